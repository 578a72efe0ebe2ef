// Svnapot: N with page-number bits 1000 is a 64 KiB page; every other pattern, and N in a superpage, is reserved ("Svnapot" extension).
#include "rom.h"

#define PAGE 0x300000000ull
#define TARGET 0x80800000ull

RULE("svnapot") {
    u64 good = PTE_V | PTE_R | PTE_W | PTE_AD;
    paging_on(SV39);
    for (u64 page = 0; page < 16; page++) store64(TARGET + page * 0x1000 + 8, 0x100 + page);
    for (u64 page = 0; page < 16; page++) *pte_of(PAGE + page * 0x1000, 0) = pte(TARGET + 0x8000, good) | PTE_N;
    sfence();
    for (u64 page = 0; page < 16; page++) {
        check(load64_in(MODE_S, PAGE + page * 0x1000 + 8), 0x100 + page);
        check(store_trap(MODE_S, PAGE + page * 0x1000 + 16, page), NO_TRAP);
        check(load64(TARGET + page * 0x1000 + 16), page);
    }
    // All other patterns.
    for (u64 pattern = 0; pattern < 16; pattern++) {
        if (pattern == 8) continue;
        *pte_of(PAGE, 0) = pte(TARGET + pattern * 0x1000, good) | PTE_N;
        sfence();
        check(load_trap(MODE_S, PAGE + 8), LOAD_PAGE);
    }
    *pte_of(PAGE + 0x40000000, 1) = pte(TARGET, good) | PTE_N;
    sfence();
    check(load_trap(MODE_S, PAGE + 0x40000000), LOAD_PAGE);
    // One fence for any address inside forgets the whole page.
    for (u64 page = 0; page < 16; page++) *pte_of(PAGE + page * 0x1000, 0) = pte(TARGET + 0x8000, good) | PTE_N;
    sfence();
    check(load64_in(MODE_S, PAGE + 0x3008), 0x103);
    for (u64 page = 0; page < 16; page++) *pte_of(PAGE + page * 0x1000, 0) = pte(TARGET + 0x18000, good) | PTE_N;
    store64(TARGET + 0x13008, 0x777);
    asm volatile("sfence.vma %0, zero" :: "r"(PAGE + 0x3000) : "memory");
    check(load64_in(MODE_S, PAGE + 0x3008), 0x777);
}
