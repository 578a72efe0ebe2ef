// An instruction may begin in one page and end in the next: both are translated, a fault in the second names it in xtval, and
// a changed second page counts (privileged manual, "Machine Trap Value Register", "Sv39").
#include "rom.h"

#define PAGE 0x300000000ull
#define FLAGS (PTE_V | PTE_R | PTE_X | PTE_AD)

// li a0, value as two halves, then ret: the halves lie in different pages.
static void put(u64 first_page, u64 second_page, u64 value) {
    store16(first_page + 0xffe, 0x0513);
    store16(second_page, (u16)(value << 4));
    store32(second_page + 2, 0x00008067);
}

RULE("code_across_pages") {
    paging_on(SV39);
    u64 second = (u64)new_page(), first = (u64)new_page(), other = (u64)new_page();
    put(first, second, 0x11);
    put(first, other, 0x22);
    fence_i();
    map(PAGE, first, FLAGS, 0);
    map(PAGE + 0x1000, second, FLAGS, 0);
    for (int i = 0; i < 3; i++) check(jump_in(MODE_S, PAGE + 0xffe), 0x11);
    // Another second page.
    map(PAGE + 0x1000, other, FLAGS, 0);
    for (int i = 0; i < 3; i++) check(jump_in(MODE_S, PAGE + 0xffe), 0x22);
    map(PAGE + 0x1000, second, FLAGS, 0);
    check(jump_in(MODE_S, PAGE + 0xffe), 0x11);
    // Only the second half changes in memory.
    store16(second, 0x0330);
    fence_i();
    check(jump_in(MODE_S, PAGE + 0xffe), 0x33);
    // Only the first: li a0 becomes li a0 by ori.
    store16(first + 0xffe, 0x6513);
    fence_i();
    check(jump_in(MODE_S, PAGE + 0xffe), 0x33);
    // The second page is gone, or not executable: xepc the instruction, xtval the second page.
    map(PAGE + 0x1000, 0, 0, 0);
    check(fetch_trap(MODE_S, PAGE + 0xffe), FETCH_PAGE);
    check(trap.pc, PAGE + 0xffe);
    check(trap.tval, PAGE + 0x1000);
    map(PAGE + 0x1000, second, PTE_V | PTE_R | PTE_AD, 0);
    check(fetch_trap(MODE_S, PAGE + 0xffe), FETCH_PAGE);
    check(trap.tval, PAGE + 0x1000);
    // The first page is gone.
    map(PAGE + 0x1000, second, FLAGS, 0);
    map(PAGE, 0, 0, 0);
    check(fetch_trap(MODE_S, PAGE + 0xffe), FETCH_PAGE);
    check(trap.pc, PAGE + 0xffe);
    check(trap.tval, PAGE + 0xffe);
    map(PAGE, first, FLAGS, 0);
    check(jump_in(MODE_S, PAGE + 0xffe), 0x33);
    // Falling from one page into the next, where the next is missing: xepc is there.
    store16(first + 0xffe, 0x0001);             // c.nop
    store32(second, 0x00008067);
    fence_i();
    check(fetch_trap(MODE_S, PAGE + 0xffe), NO_TRAP);
    map(PAGE + 0x1000, 0, 0, 0);
    check(fetch_trap(MODE_S, PAGE + 0xffe), FETCH_PAGE);
    check(trap.pc, PAGE + 0x1000);
    check(trap.tval, PAGE + 0x1000);
    // A compressed instruction in the last halfword needs no second page: c.jr ra.
    store16(first + 0xffe, 0x8082);
    fence_i();
    check(fetch_trap(MODE_S, PAGE + 0xffe), NO_TRAP);
}
