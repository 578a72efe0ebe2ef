// Page-table accesses are checked as S-mode loads, and what fails is an access fault of the original access; a page that is
// only partly protected is protected only there (privileged manual, "Physical Memory Protection and Paging").
#include "rom.h"

#define PAGE 0x300000000ull

RULE("pmp_page_table") {
    csr_set(menvcfg, MENVCFG_ADUE);
    paging_on(SV39);
    u64 *cell = new_page();
    map(PAGE, (u64)cell, PTE_V | PTE_RWX | PTE_AD, 0);
    cell[0] = 0x8067;
    u64 table = (u64)pte_of(PAGE, 0) & ~0xfffull;
    check(load_trap(MODE_S, PAGE), NO_TRAP);
    csr_write(pmpaddr0, table >> 2 | 0x1ff);
    csr_write(pmpcfg0, 0x18);
    sfence();
    check(load_trap(MODE_S, PAGE), LOAD_ACCESS);
    check(trap.tval, PAGE);
    check(store_trap(MODE_S, PAGE, 0), STORE_ACCESS);
    check(fetch_trap(MODE_S, PAGE), FETCH_ACCESS);
    // Readable is enough for a walk that marks nothing.
    csr_write(pmpcfg0, 0x19);
    sfence();
    check(load_trap(MODE_S, PAGE), NO_TRAP);
    check(store_trap(MODE_S, PAGE, 0x8067), NO_TRAP);
    csr_write(pmpcfg0, 0);

    // Sixteen bytes in the middle of a page.
    csr_write(pmpaddr0, ((u64)cell + 0x100) >> 2 | 1);
    csr_write(pmpcfg0, 0x18);
    sfence();
    check(load_trap(MODE_S, PAGE), NO_TRAP);
    check(load_trap(MODE_S, PAGE + 0xf8), NO_TRAP);
    check(load_trap(MODE_S, PAGE + 0x100), LOAD_ACCESS);
    check(trap.tval, PAGE + 0x100);
    check(load_trap(MODE_S, PAGE + 0x108), LOAD_ACCESS);
    check(load_trap(MODE_S, PAGE + 0x110), NO_TRAP);
    check(store_trap(MODE_S, PAGE + 0x108, 0), STORE_ACCESS);
    check(store_trap(MODE_S, PAGE + 0xf8, 0), NO_TRAP);
    check(fetch_trap(MODE_S, PAGE), NO_TRAP);
    csr_write(pmpcfg0, 0);
    sfence();
    check(load_trap(MODE_S, PAGE + 0x100), NO_TRAP);
}
