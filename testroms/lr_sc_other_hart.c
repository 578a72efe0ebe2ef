// A store by another hart to the reserved bytes between LR and SC makes the SC fail
// (unprivileged manual, "Load-Reserved/Store-Conditional Instructions").
#include "rom.h"

static volatile u64 cell __attribute__((aligned(64)));
static volatile u64 turn;

void secondary(u64 hart) {
    if (hart != 1) for (;;) wfi();
    for (u64 round = 1;; round++) {
        while (turn != 2 * round - 1) ;
        // Even a store of the same value counts.
        store64((u64)&cell, cell);
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        turn = 2 * round;
    }
}

RULE("lr_sc_other_hart") {
    for (u64 round = 1; round <= 20; round++) {
        cell = round;
        u64 failed;
        asm volatile("lr.d zero, (%0)" :: "r"(&cell) : "memory");
        turn = 2 * round - 1;
        while (turn != 2 * round) ;
        asm volatile("sc.d %0, zero, (%1)" : "=&r"(failed) : "r"(&cell) : "memory");
        check(failed, 1);
        check(cell, round);
    }
}
