// With MPRV loads and stores of M-mode go by the privilege in MPP: translated, protected; fetches do not
// (privileged manual, "Memory Privilege in mstatus Register").
#include "rom.h"

#define PAGE 0x300000000ull

static u64 load_as(u64 mode, u64 address) {
    u64 value;
    clear_trap();
    csr_clear(mstatus, MSTATUS_MPP);
    asm volatile(".option push\n.option norvc\nli %0, 0x55\ncsrs mstatus, %2\nld %0, 0(%1)\ncsrc mstatus, %3\n.option pop"
        : "=&r"(value) : "r"(address), "r"(MSTATUS_MPRV | mode << 11), "r"(MSTATUS_MPRV) : "memory");
    return trap.cause == NO_TRAP ? value : trap.cause;
}
static u64 store_as(u64 mode, u64 address, u64 value) {
    clear_trap();
    csr_clear(mstatus, MSTATUS_MPP);
    asm volatile(".option push\n.option norvc\ncsrs mstatus, %2\nsd %0, 0(%1)\ncsrc mstatus, %3\n.option pop"
        :: "r"(value), "r"(address), "r"(MSTATUS_MPRV | mode << 11), "r"(MSTATUS_MPRV) : "memory");
    return trap.cause;
}

RULE("mprv") {
    csr_set(menvcfg, MENVCFG_ADUE);
    paging_on(SV39);
    u64 *cell = new_page();
    *cell = 0x1234;
    map(PAGE, (u64)cell, PTE_V | PTE_R | PTE_W | PTE_AD, 0);
    check(load_as(MODE_S, PAGE), 0x1234);
    check(load_as(MODE_U, PAGE), LOAD_PAGE);
    check(trap.tval, PAGE);
    check(load_as(MODE_M, (u64)cell), 0x1234);
    // With MPP = M there is no translation: this address is nowhere.
    check(load_as(MODE_M, PAGE), LOAD_ACCESS);
    check(store_as(MODE_S, PAGE, 0x4321), NO_TRAP);
    check(*cell, 0x4321);
    check(store_as(MODE_U, PAGE, 0), STORE_PAGE);
    map(PAGE, (u64)cell, PTE_V | PTE_R | PTE_W | PTE_U | PTE_AD, 0);
    check(load_as(MODE_U, PAGE), 0x4321);
    check(load_as(MODE_S, PAGE), LOAD_PAGE);
    csr_set(mstatus, MSTATUS_SUM);
    check(load_as(MODE_S, PAGE), 0x4321);
    csr_clear(mstatus, MSTATUS_SUM);
    map(PAGE, (u64)cell, PTE_V | PTE_X | PTE_AD, 0);
    check(load_as(MODE_S, PAGE), LOAD_PAGE);
    csr_set(mstatus, MSTATUS_MXR);
    check(load_as(MODE_S, PAGE), 0x4321);
    csr_clear(mstatus, MSTATUS_MXR);
    paging_off();
    // Protection as well: an entry M-mode could ignore.
    csr_write(pmpaddr0, (u64)cell >> 2 | 0x1ff);
    csr_write(pmpcfg0, 0x18);
    check(load_as(MODE_M, (u64)cell), 0x4321);
    check(load_as(MODE_S, (u64)cell), LOAD_ACCESS);
    check(store_as(MODE_U, (u64)cell, 0), STORE_ACCESS);
    check(load64((u64)cell), 0x4321);
    csr_write(pmpcfg0, 0);
}
