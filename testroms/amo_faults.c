// An AMO needs read and write permission and reports the lack of either as a store fault; LR is a load, and a failing SC
// to a read-only page still faults (privileged manual, "Sv39", "Physical Memory Attributes").
#include "rom.h"

#define PAGE 0x300000000ull
#define HOLE 0x200000ull

static u64 amo(u64 a) { return TRAP_OF("amoadd.d zero, zero, (%0)", :: "r"(a) : "memory"); }
static u64 lr(u64 a) { return TRAP_OF("lr.d zero, (%0)", :: "r"(a) : "memory"); }
static u64 sc(u64 a) { return TRAP_OF("lr.d zero, (%0)\nsc.d zero, zero, (%0)", :: "r"(a) : "memory"); }

RULE("amo_faults") {
    check(amo(HOLE), STORE_ACCESS);
    check(trap.tval, HOLE);
    check(lr(HOLE), LOAD_ACCESS);
    paging_on(SV39);
    u64 physical = (u64)new_page();
    map(PAGE, physical, PTE_V | PTE_R | PTE_AD, 0);
    check(call_in(MODE_S, amo, PAGE, 0), STORE_PAGE);
    check(trap.tval, PAGE);
    check(call_in(MODE_S, lr, PAGE, 0), NO_TRAP);
    check(call_in(MODE_S, sc, PAGE, 0), STORE_PAGE);
    map(PAGE, physical, PTE_V | PTE_X | PTE_AD, 0);
    check(call_in(MODE_S, amo, PAGE, 0), STORE_PAGE);
    check(call_in(MODE_S, lr, PAGE, 0), LOAD_PAGE);
    map(PAGE, 0, 0, 0);
    check(call_in(MODE_S, amo, PAGE + 8, 0), STORE_PAGE);
    check(trap.tval, PAGE + 8);
    check(call_in(MODE_S, lr, PAGE, 0), LOAD_PAGE);
    map(PAGE, physical, PTE_V | PTE_R | PTE_W | PTE_AD, 0);
    check(call_in(MODE_S, amo, PAGE, 0), NO_TRAP);
    check(call_in(MODE_S, sc, PAGE, 0), NO_TRAP);
}
