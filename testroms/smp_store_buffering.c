// Store buffering: of two harts that each store and then load what the other stores, with a full fence or an ordered lr in between,
// at least one sees the other's store (unprivileged manual, "RVWMO Memory Consistency Model").
#include "rom.h"

#define ROUNDS 20000
// Harts that take turns need a turn each for a round: then there are fewer.
#define LONGEST 1000000

static volatile u64 place[2][16] __attribute__((aligned(64)));
static volatile u64 read_[2][16] __attribute__((aligned(64)));
static volatile u64 last = ROUNDS, end;
static volatile u64 at[2][16] __attribute__((aligned(64)));

// Both harts come by here for the same step.
static void meet(u64 me, u64 step) {
    asm volatile("fence rw, rw" ::: "memory");
    at[me][0] = step;
    while (at[1 - me][0] < step) ;
    asm volatile("fence rw, rw" ::: "memory");
}

static void take_part(u64 me) {
    for (u64 round = 0; round < last; round++) {
        meet(me, 3 * round + 1);
        u64 value;
        if (round & 1) {
            asm volatile("sd %1, (%2)\nlr.d.aqrl %0, (%3)" : "=&r"(value) : "r"(1), "r"(place[me]), "r"(place[1 - me]) : "memory");
        } else {
            asm volatile("sd %1, (%2)\nfence rw, rw\nld %0, (%3)" : "=&r"(value) : "r"(1), "r"(place[me]), "r"(place[1 - me]) : "memory");
        }
        read_[me][0] = value;
        meet(me, 3 * round + 2);
        if (me == 0) {
            check(read_[0][0] | read_[1][0], 1);
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

RULE("smp_store_buffering") {
    end = mtime() + LONGEST;
    take_part(0);
}
