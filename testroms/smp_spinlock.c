// Four harts under a spinlock taken with amoswap.aq and given back with a release store: the plain data inside stays consistent.
#include "rom.h"

#define HARTS 4
#define ROUNDS 1000

static volatile u32 lock;
static volatile u64 first, second, mismatches, done, go;

static void work(void) {
    for (int i = 0; i < ROUNDS; i++) {
        u32 taken;
        do asm volatile("amoswap.w.aq %0, %1, (%2)" : "=r"(taken) : "r"(1), "r"(&lock) : "memory"); while (taken);
        if (first != second) mismatches++;
        first = first + 1;
        asm volatile("nop\nnop\nnop");
        second = second + 1;
        asm volatile("amoswap.w.rl zero, zero, (%0)" :: "r"(&lock) : "memory");
    }
    __atomic_fetch_add(&done, 1, __ATOMIC_SEQ_CST);
}

void secondary(u64 hart) {
    (void)hart;
    while (!go) ;
    work();
    for (;;) wfi();
}

RULE("smp_spinlock") {
    go = 1;
    work();
    check(WAIT_FOR(__atomic_load_n(&done, __ATOMIC_SEQ_CST) == HARTS), 1);
    check(mismatches, 0);
    check(first, HARTS * ROUNDS);
    check(second, HARTS * ROUNDS);
}
