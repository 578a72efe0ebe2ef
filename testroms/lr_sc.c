// When a store-conditional must succeed and when it must fail (unprivileged manual, "Load-Reserved/Store-Conditional Instructions").
#include "rom.h"

static volatile u64 cell[64] __attribute__((aligned(64)));

#define SC(suffix, address, value) ({ u64 r_; asm volatile("sc." suffix " %0, %1, (%2)" : "=&r"(r_) : "r"((u64)(value)), "r"(address) : "memory"); r_; })
#define LR(suffix, address) ({ u64 r_; asm volatile("lr." suffix " %0, (%1)" : "=r"(r_) : "r"(address) : "memory"); r_; })
#define PAIR(suffix, address, value, between) ({ u64 l_, r_; \
    asm volatile("lr." suffix " %0, (%2)\n" between "\nsc." suffix " %1, %3, (%2)" : "=&r"(l_), "=&r"(r_) : "r"(address), "r"((u64)(value)) : "memory"); r_; })

RULE("lr_sc") {
    // A constrained loop succeeds in the end.
    u64 tries = 0, failed;
    do failed = PAIR("d", cell, 0x1234, ""); while (failed && ++tries < 1000);
    check(failed, 0);
    check(cell[0], 0x1234);
    // Without a reservation: fails with 1 ("unspecified failure", the only code defined), writes nothing.
    cell[0] = 7;
    check(SC("d", cell, 8), 1);
    check(cell[0], 7);
    check(SC("w", cell, 8), 1);
    check(cell[0], 7);
    // A store-conditional uses the reservation up, whether it succeeds or not.
    do failed = PAIR("d", cell, 9, ""); while (failed && ++tries < 1000);
    check(SC("d", cell, 10), 1);
    check(cell[0], 9);
    LR("d", cell);
    check(SC("d", cell + 16, 1), 1);
    check(cell[16], 0);
    check(SC("d", cell, 1), 1);
    check(cell[0], 9);
    // Only the latest reservation counts.
    LR("d", cell);
    LR("d", cell + 32);
    check(SC("d", cell, 1), 1);
    check(cell[0], 9);
    // lr.w extends the sign; rd = x0 still reserves.
    cell[0] = 0xfedcba98;
    check(LR("w", cell), 0xfffffffffedcba98);
    check(LR("d", cell), 0xfedcba98);
    do {
        asm volatile("lr.w zero, (%1)\nsc.w %0, %2, (%1)" : "=&r"(failed) : "r"(cell), "r"(3) : "memory");
    } while (failed && ++tries < 1000);
    check(failed, 0);
    check(cell[0], 3);
    // sc.w writes four bytes.
    cell[0] = ~0ull;
    do failed = PAIR("w", cell, 0, ""); while (failed && ++tries < 1000);
    check(cell[0], 0xffffffff00000000);
    // aq and rl change nothing for one hart.
    do {
        asm volatile("lr.d.aqrl zero, (%1)\nsc.d.rl %0, %2, (%1)" : "=&r"(failed) : "r"(cell), "r"(4) : "memory");
    } while (failed && ++tries < 1000);
    check(cell[0], 4);
    check(tries < 1000, 1);
    // rs2 of lr is reserved; a double-word pair on a word is refused by the size.
    check(TRAP_OF(".insn r 0x2f, 3, 0x08, t0, %0, t1", :: "r"(cell) : "t0"), ILLEGAL);
}
