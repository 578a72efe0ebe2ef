// Load buffering: two harts that load and then, dependent on what they got, store what the other loads do not both see the other's store
// (unprivileged manual, "RVWMO Memory Consistency Model", dependencies).
#include "rom.h"

#define ROUNDS 20000
// Harts that take turns need a turn each for a round: then there are fewer.
#define LONGEST 1000000

static volatile u64 place[2][16] __attribute__((aligned(64)));
static volatile u64 read_[2][16] __attribute__((aligned(64)));
static volatile u64 last = ROUNDS, end;
static volatile u64 at[2][16] __attribute__((aligned(64)));

static void meet(u64 me, u64 step) {
    asm volatile("fence rw, rw" ::: "memory");
    at[me][0] = step;
    while (at[1 - me][0] < step) ;
    asm volatile("fence rw, rw" ::: "memory");
}

static void take_part(u64 me) {
    for (u64 round = 0; round < last; round++) {
        meet(me, 3 * round + 1);
        u64 value, one;
        asm volatile("ld %0, (%2)\nxor %1, %0, %0\naddi %1, %1, 1\nsd %1, (%3)"
            : "=&r"(value), "=&r"(one) : "r"(place[1 - me]), "r"(place[me]) : "memory");
        read_[me][0] = value;
        meet(me, 3 * round + 2);
        if (me == 0) {
            check(read_[0][0] & read_[1][0], 0);
            place[0][0] = place[1][0] = 0;
            if (round % 16 == 0 && mtime() > end) last = round + 1;
        }
        meet(me, 3 * round + 3);
    }
}

void secondary(u64 hart) {
    if (hart == 1) take_part(1);
    for (;;) wfi();
}

RULE("smp_load_buffering") {
    end = mtime() + LONGEST;
    take_part(0);
}
