// Without Zama16b atomics need natural alignment: LR traps as a load, SC and AMOs as a store; nothing is changed
// (unprivileged manual, "A" extension: "address-misaligned or access-fault exception").
#include "rom.h"

static u64 cell[4];

RULE("misaligned_atomic") {
    u64 at = (u64)cell;
    cell[0] = cell[1] = 0x5555555555555555;
    for (u64 offset = 1; offset < 8; offset++) {
        u64 a = at + offset, word_cause = offset % 4 ? STORE_MISALIGNED : NO_TRAP;
        check(TRAP_OF("amoadd.w zero, %0, (%1)", :: "r"(0), "r"(a) : "memory"), word_cause);
        if (word_cause != NO_TRAP) check(trap.tval, a);
        check(TRAP_OF("amoswap.d zero, %0, (%1)", :: "r"(0), "r"(a) : "memory"), STORE_MISALIGNED);
        check(trap.tval, a);
        check(TRAP_OF("lr.w t0, (%0)", :: "r"(a) : "t0", "memory"), offset % 4 ? LOAD_MISALIGNED : NO_TRAP);
        check(TRAP_OF("lr.d t0, (%0)", :: "r"(a) : "t0", "memory"), LOAD_MISALIGNED);
        check(trap.tval, a);
        check(TRAP_OF("sc.w t0, %1, (%0)", :: "r"(a), "r"(0x55555555) : "t0", "memory"), word_cause);
        check(TRAP_OF("sc.d t0, zero, (%0)", :: "r"(a) : "t0", "memory"), STORE_MISALIGNED);
    }
    check(cell[0], 0x5555555555555555);
    check(cell[1], 0x5555555555555555);
}
