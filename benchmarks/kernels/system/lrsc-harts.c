// variants: host machine
// Two harts compare and exchange one word (on the host: two threads).
#include "bench.h"
enum { HARTS = 2, TURNS = 20000 };
BENCH("lrsc-harts", HARTS * TURNS);
static u64 counter;

void bench_setup(void) {}

static void work(unsigned index) {
    for (u64 i = 0; i < TURNS; i++) {
        u64 old = __atomic_load_n(&counter, __ATOMIC_RELAXED);
        while (!__atomic_compare_exchange_n(&counter, &old, old + i + index, 1, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)) {}
    }
}

u64 bench_run(void) {
    counter = 0;
    platform_parallel(HARTS, work);
    return counter;
}
