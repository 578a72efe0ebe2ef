// RAM above 4 GiB: loads, stores, atomics and code, with and without translation, up to its last byte (run with 5 GiB).
#include "rom.h"

#define END (0x80000000ull + (5ull << 30))
#define HIGH 0x180000000ull

RULE("large_memory") {
    u64 places[] = { 0xfffffff8, 0x100000000, HIGH, END - 8 };
    for (u64 i = 0; i < 4; i++) store64(places[i], i + 1);
    for (u64 i = 0; i < 4; i++) check(load64(places[i]), i + 1);
    check(load_trap(MODE_M, END), LOAD_ACCESS);
    // Over the 4 GiB line.
    store64(0xfffffffc, 0x1122334455667788);
    check(load32(0xfffffffc), 0x55667788);
    check(load32(0x100000000), 0x11223344);
    asm volatile("amoadd.d zero, %0, (%1)" :: "r"(5), "r"(HIGH) : "memory");
    check(load64(HIGH), 8);
    store32(HIGH, 0x00900513);
    store32(HIGH + 4, 0x00008067);
    fence_i();
    check(jump_to(HIGH), 9);
    paging_on(SV39);
    map(0x300000000, HIGH, PTE_V | PTE_RWX | PTE_AD, 0);
    check(jump_in(MODE_S, 0x300000000), 9);
    map(0x340000000, HIGH & ~0x3fffffffull, PTE_V | PTE_RWX | PTE_AD, 2);
    check(jump_in(MODE_S, 0x340000000 + (HIGH & 0x3fffffff)), 9);
}
