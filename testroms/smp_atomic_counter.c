// Four harts add to one counter with amoadd, LR/SC, and byte-sized neighbours: no increment is lost.
#include "rom.h"

#define HARTS 4
#define ROUNDS 3000

static volatile u64 added, reserved, done, go;
static volatile u32 word;

static void work(void) {
    for (int i = 0; i < ROUNDS; i++) {
        __atomic_fetch_add(&added, 1, __ATOMIC_RELAXED);
        __atomic_fetch_add(&word, 0x10001, __ATOMIC_ACQ_REL);
        u64 t, failed;
        do asm volatile("lr.d %0, (%2)\naddi %0, %0, 1\nsc.d %1, %0, (%2)" : "=&r"(t), "=&r"(failed) : "r"(&reserved) : "memory"); while (failed);
    }
    __atomic_fetch_add(&done, 1, __ATOMIC_SEQ_CST);
}

void secondary(u64 hart) {
    (void)hart;
    while (!go) ;
    work();
    for (;;) wfi();
}

RULE("smp_atomic_counter") {
    go = 1;
    work();
    check(WAIT_FOR(__atomic_load_n(&done, __ATOMIC_SEQ_CST) == HARTS), 1);
    check(added, HARTS * ROUNDS);
    check(reserved, HARTS * ROUNDS);
    check(word, (u32)(HARTS * ROUNDS * 0x10001u));
}
