// Setting A or D is a store by the walk: where PMP makes the page table read-only, the access faults ("Svadu" extension).
#include "rom.h"

#define PAGE 0x300000000ull

RULE("pmp_svadu_walk") {
    csr_set(menvcfg, MENVCFG_ADUE);
    paging_on(SV39);
    u64 *cell = new_page(), *entry = pte_of(PAGE, 0), clean = pte((u64)cell, PTE_V | PTE_R | PTE_W);
    *entry = clean;
    csr_write(pmpaddr0, ((u64)entry & ~0xfffull) >> 2 | 0x1ff);
    csr_write(pmpcfg0, 0x19);
    sfence();
    check(load_trap(MODE_S, PAGE), LOAD_ACCESS);
    check(store_trap(MODE_S, PAGE, 0), STORE_ACCESS);
    check(*entry, clean);
    *entry = clean | PTE_A;
    sfence();
    check(load_trap(MODE_S, PAGE), NO_TRAP);
    check(store_trap(MODE_S, PAGE, 0), STORE_ACCESS);
    check(*entry, clean | PTE_A);
    csr_write(pmpcfg0, 0x1b);
    sfence();
    check(store_trap(MODE_S, PAGE, 0), NO_TRAP);
    check(*entry, clean | PTE_AD);
}
