// Svinval: sinval.vma between sfence.w.inval and sfence.inval.ir works like sfence.vma; S-mode's alone, sinval.vma under TVM's control
// ("Svinval" extension).
#include "rom.h"

#define PAGE 0x300000000ull
#define FLAGS (PTE_V | PTE_R | PTE_W | PTE_AD)
#define SVINVAL(text) ".option arch, +svinval\n" text

static u64 write_fence(void) { return TRAP_OF(SVINVAL("sfence.w.inval"), ::: "memory"); }
static u64 read_fence(void) { return TRAP_OF(SVINVAL("sfence.inval.ir"), ::: "memory"); }
static u64 invalidate(u64 address, u64 space) { return TRAP_OF(SVINVAL("sinval.vma %0, %1"), :: "r"(address), "r"(space) : "memory"); }
static u64 invalidate_all(void) { return TRAP_OF(SVINVAL("sinval.vma zero, zero"), ::: "memory"); }

RULE("svinval") {
    paging_on(SV39);
    u64 *first = new_page(), *second = new_page(), *entry = pte_of(PAGE, 0);
    *first = 1;
    *second = 2;
    map(PAGE, (u64)first, FLAGS, 0);
    check(load64_in(MODE_S, PAGE), 1);
    *entry = pte((u64)second, FLAGS);
    check(call_in(MODE_S, write_fence, 0, 0), NO_TRAP);
    check(call_in(MODE_S, invalidate, PAGE, 0), NO_TRAP);
    check(call_in(MODE_S, read_fence, 0, 0), NO_TRAP);
    check(load64_in(MODE_S, PAGE), 2);
    *entry = pte((u64)first, FLAGS);
    write_fence();
    check(invalidate_all(), NO_TRAP);
    read_fence();
    check(load64_in(MODE_S, PAGE), 1);
    check(call_in(MODE_U, write_fence, 0, 0), ILLEGAL);
    check(call_in(MODE_U, read_fence, 0, 0), ILLEGAL);
    check(call_in(MODE_U, invalidate, PAGE, 0), ILLEGAL);
    csr_set(mstatus, MSTATUS_TVM);
    check(call_in(MODE_S, invalidate, PAGE, 0), ILLEGAL);
    check(call_in(MODE_S, write_fence, 0, 0), NO_TRAP);
    check(call_in(MODE_S, read_fence, 0, 0), NO_TRAP);
    check(invalidate(PAGE, 0), NO_TRAP);
}
