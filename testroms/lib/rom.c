// The runtime behind rom.h.
#include "rom.h"

u64 check_count;
volatile struct trap_record traps[MAX_HARTS];
volatile u64 skip_bytes = 4;
volatile u64 resume_pc;
volatile u64 interrupts[64];
volatile u64 last_interrupt;
volatile u64 interrupt_handler;
u64 user_offset;
u64 access_result;
u64 *root_table;
extern u8 harts[];

// ---- console and end

__attribute__((weak)) void console_put(char c) {
    while (!(load8(UART + 5) & 0x20))
        ;
    store8(UART, (u8)c);
}

__attribute__((weak)) void machine_exit(u64 code) {
    store32(FINISHER, code ? (u32)(code << 16 | 0x3333) : 0x5555);
    for (;;)
        wfi();
}

void print(const char *text) {
    for (; *text; text++) console_put(*text);
}

void print_hex(u64 value) {
    print("0x");
    int digit = 15;
    while (digit > 0 && !(value >> (4 * digit))) digit--;
    for (; digit >= 0; digit--) console_put("0123456789abcdef"[value >> (4 * digit) & 15]);
}

static void print_decimal(u64 value) {
    if (value >= 10) print_decimal(value / 10);
    console_put((char)('0' + value % 10));
}

static void report(u64 number, u64 got, u64 want) {
    print("FAIL ");
    print(rule_name);
    print(": check ");
    print_decimal(number);
    print(" got ");
    print_hex(got);
    print(" want ");
    print_hex(want);
    print("\n");
    machine_exit(number > 255 ? 255 : number);
}

// From any mode: M-mode reports, because only there the devices are always in reach.
void check_failed(u64 got, u64 want) {
    register u64 a0 asm("a0") = got;
    register u64 a1 asm("a1") = want;
    register u64 a2 asm("a2") = check_count;
    register u64 a7 asm("a7") = CALL_FAIL;
    asm volatile(".option push\n.option norvc\necall\n.option pop" :: "r"(a0), "r"(a1), "r"(a2), "r"(a7) : "memory");
    __builtin_unreachable();
}

void pass(void) {
    print("PASS ");
    print(rule_name);
    print("\n");
    machine_exit(0);
}

void rom_main(void) {
    rule();
    pass();
}

__attribute__((weak)) void secondary(u64 hart) {
    (void)hart;
    for (;;)
        wfi();
}

void rom_secondary(u64 hart) { secondary(hart); }

// ---- traps

static void mask_interrupt(u64 number, u64 mode) {
    if (mode == MODE_M) csr_clear(mie, BIT(number)); else csr_clear(sie, BIT(number));
}
void (*volatile on_interrupt)(u64 number, u64 mode) = mask_interrupt;

// Back to the M-mode caller of enter().
static void leave_mode(struct frame *frame, u64 result) {
    u64 *saved = (u64 *)((u64)frame + HART_SAVED);
    frame->pc = saved[0];
    frame->x[1] = saved[0];
    frame->x[2] = saved[1];
    frame->x[8] = saved[2];
    frame->x[9] = saved[3];
    for (int i = 4; i < 14; i++) frame->x[14 + i] = saved[i];
    frame->x[10] = result;
    frame->status |= MSTATUS_MPP;
    // The caller's interrupt enable, which its mret consumed.
    frame->status &= ~MSTATUS_MPIE;
    if (saved[14] & MSTATUS_MIE) frame->status |= MSTATUS_MPIE;
}

// Hands an environment call that was delegated to S-mode on to M-mode.
static void call_up(struct frame *frame) {
    register u64 a0 asm("a0") = frame->x[10];
    register u64 a1 asm("a1") = frame->x[11];
    register u64 a2 asm("a2") = frame->x[12];
    register u64 a7 asm("a7") = frame->x[17];
    asm volatile(".option push\n.option norvc\necall\n.option pop" :: "r"(a0), "r"(a1), "r"(a2), "r"(a7) : "memory");
}

static int own_call(struct frame *frame, u64 mode) {
    u64 call = frame->x[17];
    if (frame->cause < ECALL_U || frame->cause > ECALL_M || (call != CALL_LEAVE && call != CALL_FAIL)) return 0;
    if (mode == MODE_S) {
        call_up(frame);
    } else if (call == CALL_FAIL) {
        report(frame->x[12], frame->x[10], frame->x[11]);
    } else {
        leave_mode(frame, frame->x[10]);
    }
    return 1;
}

void handle_trap(struct frame *frame, u64 mode) {
    if (frame->cause & INTERRUPT) {
        u64 number = frame->cause & 63;
        interrupts[number]++;
        last_interrupt = number;
        interrupt_handler = mode;
        on_interrupt(number, mode);
        return;
    }
    if (own_call(frame, mode)) return;
    u64 hart = ((u64)frame - (u64)harts) >> HART_SHIFT;
    volatile struct trap_record *record = &traps[hart];
    record->count++;
    record->cause = frame->cause;
    record->tval = frame->tval;
    record->pc = frame->pc;
    record->status = frame->status;
    record->handler = mode;
    if (resume_pc) {
        frame->pc = resume_pc;
        resume_pc = 0;
    } else if (frame->cause == FETCH_MISALIGNED || frame->cause == FETCH_ACCESS || frame->cause == FETCH_PAGE) {
        frame->pc = frame->x[1];
    } else {
        frame->pc += skip_bytes;
    }
}

// ---- accesses in a lower mode

static u64 load_there(u64 address) { return load64(address); }
static u64 store_there(u64 address, u64 value) { store64(address, value); return 0; }
static u64 jump_there(u64 address) { return jump_to(address); }

u64 load64_in(u64 mode, u64 address) { return mode == MODE_M ? load_there(address) : call_in(mode, load_there, address, 0); }
u64 store64_in(u64 mode, u64 address, u64 value) { return mode == MODE_M ? store_there(address, value) : call_in(mode, store_there, address, value); }
u64 jump_in(u64 mode, u64 address) { return mode == MODE_M ? jump_there(address) : call_in(mode, jump_there, address, 0); }
u64 load_trap(u64 mode, u64 address) { return trap_of(access_result = load64_in(mode, address)); }
u64 store_trap(u64 mode, u64 address, u64 value) { return trap_of(store64_in(mode, address, value)); }
u64 fetch_trap(u64 mode, u64 address) { return trap_of(access_result = jump_in(mode, address)); }
