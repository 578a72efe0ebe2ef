// Svpbmt: memory types NC and IO map, the fourth is reserved, and without menvcfg.PBMTE all bits are ("Svpbmt" extension).
#include "rom.h"

#define PAGE 0x300000000ull

RULE("svpbmt") {
    u64 good = PTE_V | PTE_R | PTE_W | PTE_AD;
    csr_set(menvcfg, MENVCFG_PBMTE);
    check(csr_read(menvcfg) & MENVCFG_PBMTE, MENVCFG_PBMTE);
    paging_on(SV39);
    u64 *cell = new_page();
    *cell = 0x99;
    for (u64 type = 0; type < 4; type++) {
        *pte_of(PAGE, 0) = pte((u64)cell, good) | type << 61;
        *pte_of(PAGE + 0x40000000, 1) = pte((u64)cell & ~0x1fffffull, good) | type << 61;
        sfence();
        check(load_trap(MODE_S, PAGE), type == 3 ? LOAD_PAGE : NO_TRAP);
        check(store_trap(MODE_S, PAGE, 0x99), type == 3 ? STORE_PAGE : NO_TRAP);
        check(load_trap(MODE_S, PAGE + 0x40000000), type == 3 ? LOAD_PAGE : NO_TRAP);
    }
    csr_clear(menvcfg, MENVCFG_PBMTE);
    for (u64 type = 0; type < 4; type++) {
        *pte_of(PAGE, 0) = pte((u64)cell, good) | type << 61;
        sfence();
        check(load_trap(MODE_S, PAGE), type ? LOAD_PAGE : NO_TRAP);
    }
}
