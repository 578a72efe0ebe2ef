// More pages than any TLB holds, mapped across each other, keep their own contents and permissions.
#include "rom.h"

#define BASE 0x300000000ull
#define PAGES 3072
#define FRAMES 0x81000000ull
#define RW (PTE_V | PTE_R | PTE_W | PTE_AD)

static u64 frame_of(u64 page) { return FRAMES + (page * 37 % PAGES << 12); }

static u64 write_all(u64 salt) {
    for (u64 page = 0; page < PAGES; page++) store64(BASE + (page << 12) + (page & 511) * 8, page ^ salt);
    return 0;
}
static u64 read_all(u64 salt) {
    u64 wrong = 0;
    for (u64 step = 0; step < PAGES; step++) {
        u64 page = step * 1031 % PAGES;
        if (load64(BASE + (page << 12) + (page & 511) * 8) != (page ^ salt)) wrong++;
    }
    return wrong;
}

RULE("many_pages") {
    paging_on(SV39);
    for (u64 page = 0; page < PAGES; page++) *pte_of(BASE + (page << 12), 0) = pte(frame_of(page), RW);
    sfence();
    call_in(MODE_S, write_all, 0x5555, 0);
    check(call_in(MODE_S, read_all, 0x5555, 0), 0);
    for (u64 page = 0; page < PAGES; page += 97) check(load64(frame_of(page) + (page & 511) * 8), page ^ 0x5555);
    // Turned around, with one fence.
    for (u64 page = 0; page < PAGES; page++) *pte_of(BASE + (page << 12), 0) = pte(frame_of(PAGES - 1 - page), RW);
    sfence();
    call_in(MODE_S, write_all, 0x7777, 0);
    check(call_in(MODE_S, read_all, 0x7777, 0), 0);
    for (u64 page = 0; page < PAGES; page += 97) check(load64(frame_of(PAGES - 1 - page) + (page & 511) * 8), page ^ 0x7777);
    // Every third page read-only, fenced one by one.
    for (u64 page = 0; page < PAGES; page += 3) {
        *pte_of(BASE + (page << 12), 0) &= ~(u64)PTE_W;
        asm volatile("sfence.vma %0, zero" :: "r"(BASE + (page << 12)) : "memory");
    }
    for (u64 page = 0; page < PAGES; page += 101) check(store_trap(MODE_S, BASE + (page << 12), 0), page % 3 ? NO_TRAP : STORE_PAGE);
}
