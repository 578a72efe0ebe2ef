// What the test programs share: checks, traps as values, CSR access, privilege modes, the board's devices.
//
// A program defines RULE("name") with its checks. It ends with exit code 0, or with the number of the first failed check.
#ifndef ROM_H
#define ROM_H

#include <stdint.h>
#include "layout.h"

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int64_t i64;

enum { MODE_U = 0, MODE_S = 1, MODE_M = 3 };

// Exception causes.
enum {
    FETCH_MISALIGNED = 0, FETCH_ACCESS = 1, ILLEGAL = 2, BREAKPOINT = 3, LOAD_MISALIGNED = 4, LOAD_ACCESS = 5,
    STORE_MISALIGNED = 6, STORE_ACCESS = 7, ECALL_U = 8, ECALL_S = 9, ECALL_M = 11, FETCH_PAGE = 12, LOAD_PAGE = 13, STORE_PAGE = 15,
    NO_TRAP = 99,
};

// Interrupts, as bit numbers of mip and mie.
enum { SSI = 1, MSI = 3, STI = 5, MTI = 7, SEI = 9, MEI = 11, LCOFI = 13 };
#define INTERRUPT (1ull << 63)
#define BIT(n) (1ull << (n))

#define MSTATUS_SIE BIT(1)
#define MSTATUS_MIE BIT(3)
#define MSTATUS_SPIE BIT(5)
#define MSTATUS_MPIE BIT(7)
#define MSTATUS_SPP BIT(8)
#define MSTATUS_MPP (3ull << 11)
#define MSTATUS_FS (3ull << 13)
#define MSTATUS_MPRV BIT(17)
#define MSTATUS_SUM BIT(18)
#define MSTATUS_MXR BIT(19)
#define MSTATUS_TVM BIT(20)
#define MSTATUS_TW BIT(21)
#define MSTATUS_TSR BIT(22)
#define MSTATUS_SD BIT(63)

#define MENVCFG_ADUE BIT(61)
#define MENVCFG_PBMTE BIT(62)
#define MENVCFG_STCE BIT(63)

// ---- the program

extern const char rule_name[];
void rule(void);
#define RULE(name) const char rule_name[] = name; void rule(void)

// What every hart found at its first instruction.
struct boot_state { u64 a0, a1, a2, mstatus, mie, satp, mhartid, mcause; };
extern struct boot_state boot_state[MAX_HARTS];

// Runs on harts other than 0; the default sleeps.
void secondary(u64 hart);

// ---- checks

void check_failed(u64 got, u64 want);
extern u64 check_count;
// Counts a check and ends the program when `got` is not `want`. Not for U-mode functions: these return what is to be checked.
#define check(got, want) do { u64 got_ = (u64)(got), want_ = (u64)(want); check_count++; if (got_ != want_) check_failed(got_, want_); } while (0)
void pass(void) __attribute__((noreturn));
void print(const char *text);
void print_hex(u64 value);
// Replaces printing and ending for a board without UART and finisher.
void console_put(char c);
void machine_exit(u64 code) __attribute__((noreturn));

// ---- traps

// The last exception: `handler` is the mode that took it, `pc` what xepc held, `status` xstatus in the handler.
struct trap_record { u64 count, cause, tval, pc, status, handler; };
extern volatile struct trap_record traps[MAX_HARTS];
#define trap traps[0]

// After an exception a program goes on behind the 4-byte instruction, after a fetch fault at ra. Other steps for compressed instructions.
extern volatile u64 skip_bytes;
// When not zero: where the next exception continues.
extern volatile u64 resume_pc;

// Interrupts are counted by cause. The default action clears the enable bit, so that a level cannot interrupt again.
extern volatile u64 interrupts[64];
extern volatile u64 last_interrupt;
extern volatile u64 interrupt_handler;
extern void (*volatile on_interrupt)(u64 number, u64 mode);

// Called for an environment call that is neither of the runtime's own; true when it dealt with it.
struct frame { u64 x[32], pc, cause, tval, status; };

u64 enter(u64 mode, void *function, u64 a, u64 b, u64 offset);
// Where U-mode code and stack lie above the addresses they are linked for; set by paging_on.
extern u64 user_offset;
// Calls function(a, b) in `mode`, and comes back to M-mode with its result.
static inline u64 call_in(u64 mode, void *function, u64 a, u64 b) { return enter(mode, function, a, b, mode == MODE_U ? user_offset : 0); }

// Runs `instructions` (4 bytes each) and yields the cause of the exception they raised, or NO_TRAP.
#define clear_trap() do { trap.cause = NO_TRAP; trap.tval = ~0ull; trap.pc = ~0ull; } while (0)
#define TRAP_OF(instructions, ...) ({ \
    clear_trap(); \
    asm volatile(".option push\n.option norvc\n" instructions "\n.option pop" __VA_ARGS__); \
    trap.cause; })

// ---- CSRs

#define STRING_(x) #x
#define STRING(x) STRING_(x)
#define csr_read(csr) ({ u64 v_; asm volatile("csrr %0, " STRING(csr) : "=r"(v_) :: "memory"); v_; })
#define csr_write(csr, value) ({ u64 v_ = (u64)(value); asm volatile("csrw " STRING(csr) ", %0" :: "r"(v_) : "memory"); })
#define csr_set(csr, value) ({ u64 v_ = (u64)(value); asm volatile("csrs " STRING(csr) ", %0" :: "r"(v_) : "memory"); })
#define csr_clear(csr, value) ({ u64 v_ = (u64)(value); asm volatile("csrc " STRING(csr) ", %0" :: "r"(v_) : "memory"); })
#define csr_swap(csr, value) ({ u64 v_ = (u64)(value), o_; asm volatile("csrrw %0, " STRING(csr) ", %1" : "=r"(o_) : "r"(v_) : "memory"); o_; })
// The cause a read or write raises, or NO_TRAP.
#define csr_read_trap(csr) TRAP_OF("csrr zero, " STRING(csr), ::: "memory")
#define csr_write_trap(csr, value) ({ u64 w_ = (u64)(value); TRAP_OF("csrw " STRING(csr) ", %0", :: "r"(w_) : "memory"); })
// Writes, reads back.
#define csr_try(csr, value) ({ csr_write(csr, value); csr_read(csr); })
// Field `mask` of a CSR set to `value`.
#define csr_field(csr, mask, value) do { csr_clear(csr, mask); csr_set(csr, value); } while (0)

// ---- memory accesses that may trap

#define DEFINE_LOAD(name, type, instruction) \
    static inline type name(u64 address) { u64 v; asm volatile(".option push\n.option norvc\n" instruction " %0, 0(%1)\n.option pop" \
        : "=&r"(v) : "r"(address), "0"(0xdead) : "memory"); return (type)v; }
#define DEFINE_STORE(name, type, instruction) \
    static inline void name(u64 address, type value) { asm volatile(".option push\n.option norvc\n" instruction " %0, 0(%1)\n.option pop" \
        :: "r"((u64)value), "r"(address) : "memory"); }
DEFINE_LOAD(load8, u8, "lbu") DEFINE_LOAD(load16, u16, "lhu") DEFINE_LOAD(load32, u32, "lwu") DEFINE_LOAD(load64, u64, "ld")
DEFINE_STORE(store8, u8, "sb") DEFINE_STORE(store16, u16, "sh") DEFINE_STORE(store32, u32, "sw") DEFINE_STORE(store64, u64, "sd")
#define trap_of(statement) ({ clear_trap(); statement; trap.cause; })

// Calls the code at `address`; a fetch fault there comes back here.
static inline u64 jump_to(u64 address) {
    register u64 a0 asm("a0") = 0;
    asm volatile("jalr ra, 0(%1)" : "+r"(a0) : "r"(address)
        : "ra", "t0", "t1", "t2", "t3", "t4", "t5", "t6", "a1", "a2", "a3", "a4", "a5", "a6", "a7", "memory");
    return a0;
}

// The same in a lower mode.
u64 load64_in(u64 mode, u64 address);
u64 store64_in(u64 mode, u64 address, u64 value);
u64 jump_in(u64 mode, u64 address);
// Cause of the exception a load, a store of `value`, or a call raises in `mode`; NO_TRAP for none.
u64 load_trap(u64 mode, u64 address);
u64 store_trap(u64 mode, u64 address, u64 value);
u64 fetch_trap(u64 mode, u64 address);
extern u64 access_result;

static inline void fence_i(void) { asm volatile("fence.i" ::: "memory"); }
static inline void sfence(void) { asm volatile("sfence.vma" ::: "memory"); }
static inline void wfi(void) { asm volatile("wfi" ::: "memory"); }

// ---- page tables

enum { PTE_V = 1, PTE_R = 2, PTE_W = 4, PTE_X = 8, PTE_U = 16, PTE_G = 32, PTE_A = 64, PTE_D = 128 };
#define PTE_RWX (PTE_R | PTE_W | PTE_X)
#define PTE_AD (PTE_A | PTE_D)
#define PTE_N BIT(63)
#define PTE_PBMT_NC BIT(61)
#define PTE_PBMT_IO BIT(62)
enum { SV39 = 8, SV48 = 9, SV57 = 10 };

#define USER_OFFSET 0x100000000ull
// A zeroed page below the bss limit.
u64 *new_page(void);
// Builds page tables of `mode`: RAM and devices at their addresses for S, and USER_OFFSET higher for U; then selects them.
void paging_on(u64 mode);
void paging_off(void);
extern u64 *root_table;
// The entry for `address` at `level` (0: 4 KiB), with the tables above it made as needed.
u64 *pte_of(u64 address, unsigned level);
static inline u64 pte(u64 physical, u64 flags) { return physical >> 12 << 10 | flags; }
// Maps one page of the level's size and fences.
void map(u64 address, u64 physical, u64 flags, unsigned level);

// ---- devices

#define UART 0x10000000ull
#define FINISHER 0x100000ull
#define CLINT 0x2000000ull
#define PLIC 0xc000000ull
#define RTC 0x101000ull
#define FW_CFG 0x10100000ull
#define VIRTIO(n) (0x10001000ull + 0x1000ull * (n))
#define UART_IRQ 10
#define RTC_IRQ 11

// Makes the UART interrupt the supervisor in S-mode by its empty transmitter; how often it has been interrupted then.
static inline u64 take_uart_interrupt(void) {
    csr_set(sie, BIT(SEI));
    csr_set(sstatus, MSTATUS_SIE);
    store8(UART + 1, 2);
    for (int i = 0; i < 1000000 && !interrupts[SEI]; i++) ;
    csr_clear(sstatus, MSTATUS_SIE);
    return interrupts[SEI];
}

static inline void msip(u64 hart, u32 value) { store32(CLINT + 4 * hart, value); }
static inline u64 mtime(void) { return load64(CLINT + 0xbff8); }
static inline void mtimecmp(u64 hart, u64 value) { store64(CLINT + 0x4000 + 8 * hart, value); }

// Waits until `condition`, but not for ever: false when it stayed false for 5 s of guest time. Evaluated once a turn.
#define WAIT_FOR(condition) ({ u64 end_ = mtime() + 50000000; int met_; while (!(met_ = !!(condition)) && mtime() < end_) ; met_; })

#endif
