/*
 * What Swift cannot say by itself: CSR and fence instructions, volatile
 * accesses, atomics, and the declarations of the assembly routines.
 */
#ifndef FIRMWARE_H
#define FIRMWARE_H

#include <stdbool.h>
#include <stdint.h>

#include "Layout.h"

/* MARK: CSRs */

#define CSR(name, number)                                                      \
    static inline uint64_t read_##name(void) {                                 \
        uint64_t value;                                                        \
        __asm__ volatile("csrr %0, " #number : "=r"(value) : : "memory");      \
        return value;                                                          \
    }                                                                          \
    static inline void write_##name(uint64_t value) {                          \
        __asm__ volatile("csrw " #number ", %0" : : "r"(value) : "memory");    \
    }                                                                          \
    static inline void set_##name(uint64_t bits) {                             \
        __asm__ volatile("csrs " #number ", %0" : : "r"(bits) : "memory");     \
    }                                                                          \
    static inline void clear_##name(uint64_t bits) {                           \
        __asm__ volatile("csrc " #number ", %0" : : "r"(bits) : "memory");     \
    }

CSR(sstatus, 0x100)
CSR(stvec, 0x105)
CSR(scounteren, 0x106)
CSR(sepc, 0x141)
CSR(scause, 0x142)
CSR(stval, 0x143)
CSR(stimecmp, 0x14d)
CSR(satp, 0x180)
CSR(vsstatus, 0x200)
CSR(vstvec, 0x205)
CSR(vsepc, 0x241)
CSR(vscause, 0x242)
CSR(vstval, 0x243)
CSR(mstatus, 0x300)
CSR(misa, 0x301)
CSR(medeleg, 0x302)
CSR(mideleg, 0x303)
CSR(mie, 0x304)
CSR(mtvec, 0x305)
CSR(mcounteren, 0x306)
CSR(menvcfg, 0x30a)
CSR(mstateen0, 0x30c)
CSR(mstateen1, 0x30d)
CSR(mstateen2, 0x30e)
CSR(mstateen3, 0x30f)
CSR(mcountinhibit, 0x320)
CSR(mscratch, 0x340)
CSR(mepc, 0x341)
CSR(mcause, 0x342)
CSR(mtval, 0x343)
CSR(mip, 0x344)
CSR(mtinst, 0x34a)
CSR(mnepc, 0x741)
CSR(mncause, 0x742)
CSR(mnstatus, 0x744)
CSR(miselect, 0x350)
CSR(mireg, 0x351)
CSR(mtopei, 0x35c)
CSR(mtval2, 0x34b)
CSR(pmpcfg0, 0x3a0)
CSR(pmpaddr0, 0x3b0)
CSR(pmpaddr1, 0x3b1)
CSR(hstatus, 0x600)
CSR(hedeleg, 0x602)
CSR(hgatp, 0x680)
CSR(htval, 0x643)
CSR(htinst, 0x64a)
CSR(mvendorid, 0xf11)
CSR(marchid, 0xf12)
CSR(mimpid, 0xf13)
CSR(mhartid, 0xf14)
#undef CSR

/* MARK: Fences and waiting */

static inline void wait_for_interrupt(void) { __asm__ volatile("wfi" : : : "memory"); }
static inline void pause_hint(void) { __asm__ volatile(".4byte 0x0100000f" : : : "memory"); }
static inline void fence_i(void) { __asm__ volatile("fence.i" : : : "memory"); }
static inline void fence_all(void) { __asm__ volatile("fence iorw, iorw" : : : "memory"); }
static inline void sfence_vma_all(void) { __asm__ volatile("sfence.vma" : : : "memory"); }
static inline void sfence_vma_address(uint64_t address) {
    __asm__ volatile("sfence.vma %0, x0" : : "r"(address) : "memory");
}
static inline void sfence_vma_asid(uint64_t asid) {
    __asm__ volatile("sfence.vma x0, %0" : : "r"(asid) : "memory");
}
static inline void sfence_vma_address_asid(uint64_t address, uint64_t asid) {
    __asm__ volatile("sfence.vma %0, %1" : : "r"(address), "r"(asid) : "memory");
}
/* The assembler is told of no hypervisor extension: the instructions by their fields. */
#define GUEST_FENCE(name, function, space)                                     \
    static inline void name##_all(void) {                                      \
        __asm__ volatile(".insn r 0x73, 0, " #function ", x0, x0, x0" : : : "memory"); \
    }                                                                          \
    static inline void name##_address(uint64_t address) {                      \
        __asm__ volatile(".insn r 0x73, 0, " #function ", x0, %0, x0" : : "r"(address) : "memory"); \
    }                                                                          \
    static inline void name##_##space(uint64_t number) {                       \
        __asm__ volatile(".insn r 0x73, 0, " #function ", x0, x0, %0" : : "r"(number) : "memory"); \
    }                                                                          \
    static inline void name##_address_##space(uint64_t address, uint64_t number) { \
        __asm__ volatile(".insn r 0x73, 0, " #function ", x0, %0, %1" : : "r"(address), "r"(number) : "memory"); \
    }
GUEST_FENCE(hfence_vvma, 0x11, asid)
GUEST_FENCE(hfence_gvma, 0x31, vmid)
#undef GUEST_FENCE

/* MARK: Memory-mapped registers (fenced: device accesses keep program order) */

#define MMIO(bits)                                                             \
    static inline uint##bits##_t mmio_read##bits(uint64_t address) {           \
        uint##bits##_t value = *(volatile uint##bits##_t *)address;            \
        fence_all();                                                           \
        return value;                                                          \
    }                                                                          \
    static inline void mmio_write##bits(uint64_t address, uint##bits##_t value) { \
        fence_all();                                                           \
        *(volatile uint##bits##_t *)address = value;                           \
    }
MMIO(8)
MMIO(16)
MMIO(32)
MMIO(64)
#undef MMIO

/* MARK: Atomics (AMO and LR/SC instructions, sequentially consistent) */

static inline uint64_t atomic_load(uint64_t *_Nonnull cell) {
    return __atomic_load_n(cell, __ATOMIC_SEQ_CST);
}
static inline void atomic_store(uint64_t *_Nonnull cell, uint64_t value) {
    __atomic_store_n(cell, value, __ATOMIC_SEQ_CST);
}
static inline uint64_t atomic_add(uint64_t *_Nonnull cell, uint64_t value) {
    return __atomic_fetch_add(cell, value, __ATOMIC_SEQ_CST);
}
static inline uint64_t atomic_or(uint64_t *_Nonnull cell, uint64_t value) {
    return __atomic_fetch_or(cell, value, __ATOMIC_SEQ_CST);
}
static inline uint64_t atomic_swap(uint64_t *_Nonnull cell, uint64_t value) {
    return __atomic_exchange_n(cell, value, __ATOMIC_SEQ_CST);
}
static inline bool atomic_compare_swap(uint64_t *_Nonnull cell, uint64_t expected, uint64_t value) {
    return __atomic_compare_exchange_n(cell, &expected, value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

/* MARK: Assembly routines */

/* What an instruction run under the expected-trap vector met. */
struct ProbedTrap {
    uint64_t cause; /* mcause, or all ones when nothing trapped */
    uint64_t value; /* mtval */
};

/* Whether reading the CSR succeeds. */
bool has_stimecmp(void);
bool has_time(void);
bool has_menvcfg(void);
bool has_mstateen0(void);
bool has_mcounteren(void);
bool has_mcountinhibit(void);
bool has_pmpcfg0(void);
bool has_pmpaddr1(void);
bool has_scountovf(void);
bool has_mnstatus(void);
bool has_hpmcounter(uint64_t number);

/* Counter and event selector by number (0...31; selectors from 3). */
uint64_t read_mhpmcounter(uint64_t number);
void write_mhpmcounter(uint64_t number, uint64_t value);
uint64_t read_mhpmevent(uint64_t number);
void write_mhpmevent(uint64_t number, uint64_t value);

/* Floating-point registers by number. */
uint64_t read_double_bits(uint64_t number);
void write_double_bits(uint64_t number, uint64_t value);
uint64_t read_single_bits(uint64_t number);
void write_single_bits(uint64_t number, uint64_t value);

/* Byte and halfword accesses with the privilege and translation of the trapped mode. */
uint64_t guest_load8(uint64_t address, struct ProbedTrap *_Nonnull trap);
void guest_store8(uint64_t address, uint64_t value, struct ProbedTrap *_Nonnull trap);
uint64_t guest_fetch16(uint64_t address, struct ProbedTrap *_Nonnull trap);

/* Physical accesses that may fault. */
uint64_t physical_load8(uint64_t address, struct ProbedTrap *_Nonnull trap);
void physical_store8(uint64_t address, uint64_t value, struct ProbedTrap *_Nonnull trap);

/* Leaves machine mode for `pc` with a0 and a1 as given and all other registers zero. mstatus is already set. */
__attribute__((noreturn)) void enter_next_mode(uint64_t a0, uint64_t a1, uint64_t pc);
/* Continues on the hart's own stack in fw_warm_boot. */
__attribute__((noreturn)) void warm_boot(uint64_t hartid);
__attribute__((noreturn)) void park(void);

void trap_vector(void);
static inline uint64_t trap_vector_address(void) { return (uint64_t)&trap_vector; }

extern char firmware_start[];
extern char firmware_image_end[];
static inline uint64_t firmware_start_address(void) { return (uint64_t)firmware_start; }
static inline uint64_t firmware_image_end_address(void) { return (uint64_t)firmware_image_end; }

/* Published by the cold boot for the harts that wait in Entry.S. */
extern uint64_t boot_hart_ids[MAX_HARTS];
extern uint64_t boot_hart_count;
extern uint64_t boot_hart_areas;
extern uint64_t boot_done;
/* Room for `Platform` in Platform.swift. */
extern char platform_room[PLATFORM_SIZE];
static inline void *_Nonnull platform_storage(void) { return platform_room; }
static inline uint64_t *_Nonnull hart_ids(void) { return boot_hart_ids; }
static inline uint64_t *_Nonnull boot_done_flag(void) { return &boot_done; }
static inline void publish_harts(uint64_t count, uint64_t areas) {
    boot_hart_count = count;
    boot_hart_areas = areas;
}

#endif
