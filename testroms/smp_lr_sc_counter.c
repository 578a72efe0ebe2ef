// Loops of lr and sc on four harts lose no step: words and double words, with a way out between lr and sc, and two sc for one lr
// (unprivileged manual, "Eventual Success of Store-Conditional Instructions").
#include "rom.h"

#define HARTS 4
#define ROUNDS 20000

static volatile u64 wide __attribute__((aligned(64)));
static volatile u32 narrow __attribute__((aligned(64)));
static volatile u64 odd __attribute__((aligned(64)));
static volatile u64 done, go;

// Even values become odd by the first sc, odd ones even by the second, which the lr is not followed by directly.
static void step_either_way(void) {
    u64 value, failed;
    asm volatile("0: lr.d %0, (%2)\nandi %1, %0, 1\nbnez %1, 1f\naddi %0, %0, 1\nsc.d %1, %0, (%2)\nbnez %1, 0b\nj 2f\n"
        "1: addi %0, %0, 1\nsc.d %1, %0, (%2)\nbnez %1, 0b\n2:" : "=&r"(value), "=&r"(failed) : "r"(&odd) : "memory");
}

static void work(void) {
    for (int i = 0; i < ROUNDS; i++) {
        u64 value, failed;
        asm volatile("0: lr.d.aq %0, (%2)\naddi %0, %0, 1\nsc.d.rl %1, %0, (%2)\nbnez %1, 0b"
            : "=&r"(value), "=&r"(failed) : "r"(&wide) : "memory");
        asm volatile("0: lr.w.aqrl %0, (%2)\naddi %0, %0, 1\nbeqz zero, 1f\nnop\n1: sc.w.rl %1, %0, (%2)\nbnez %1, 0b"
            : "=&r"(value), "=&r"(failed) : "r"(&narrow) : "memory");
        if (i % 1024 == 0) step_either_way();
    }
    __atomic_fetch_add(&done, 1, __ATOMIC_SEQ_CST);
}

void secondary(u64 hart) {
    (void)hart;
    while (!go) ;
    work();
    for (;;) wfi();
}

RULE("smp_lr_sc_counter") {
    go = 1;
    work();
    check(WAIT_FOR(__atomic_load_n(&done, __ATOMIC_SEQ_CST) == HARTS), 1);
    check(wide, HARTS * ROUNDS);
    check(narrow, HARTS * ROUNDS);
    check(odd, HARTS * ((ROUNDS + 1023) / 1024));
}
