// Message passing: who sees the flag sees the data, by fences, by a release and an acquire, and by a data dependency
// (unprivileged manual, "RVWMO Memory Consistency Model").
#include "rom.h"

#define ROUNDS 20000
// Harts that take turns need a turn each for a round: then there are fewer.
#define LONGEST 1000000

static volatile u64 data[3][16] __attribute__((aligned(64)));
static volatile u64 flag[16] __attribute__((aligned(64)));
static volatile u64 seen[16] __attribute__((aligned(64)));
static volatile u64 mistakes, done, last = ROUNDS;

static u64 swap_release(volatile u64 *place, u64 value) {
    u64 old;
    asm volatile("amoswap.d.rl %0, %1, (%2)" : "=r"(old) : "r"(value), "r"(place) : "memory");
    return old;
}

static u64 read_acquire(volatile u64 *place) {
    u64 value;
    asm volatile("amoor.d.aq %0, zero, (%1)" : "=r"(value) : "r"(place) : "memory");
    return value;
}

void secondary(u64 hart) {
    if (hart != 1) for (;;) wfi();
    for (u64 round = 1; round <= last; round++) {
        u64 now;
        switch (round % 3) {
        case 0:
            while ((now = *flag) < round) ;
            asm volatile("fence r, r" ::: "memory");
            mistakes += data[0][0] != now;
            break;
        case 1:
            while ((now = read_acquire(flag)) < round) ;
            mistakes += data[1][0] != now;
            break;
        default:
            while ((now = *flag) < round) ;
            // The address depends on the flag.
            mistakes += *(volatile u64 *)((u64)&data[2][0] + (now ^ round)) != now;
        }
        *seen = round;
    }
    done = 1;
    for (;;) wfi();
}

RULE("smp_message_passing") {
    u64 end = mtime() + LONGEST;
    for (u64 round = 1; round <= last; round++) {
        if (round % 16 == 0 && mtime() > end) last = round;
        data[round % 3][0] = round;
        if (round % 3 == 1) {
            swap_release(flag, round);
        } else {
            asm volatile("fence w, w" ::: "memory");
            *flag = round;
        }
        while (*seen < round) ;
    }
    check(WAIT_FOR(done), 1);
    check(mistakes, 0);
}
