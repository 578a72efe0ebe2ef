// variants: host machine
// Two harts add to one counter (on the host: two threads).
#include "bench.h"
enum { HARTS = 2, TURNS = 50000 };
BENCH("amo-harts", HARTS * TURNS);
static u64 counter;

void bench_setup(void) {}

static void work(unsigned index) {
    for (u64 i = 0; i < TURNS; i++) __atomic_fetch_add(&counter, i + index, __ATOMIC_SEQ_CST);
}

u64 bench_run(void) {
    counter = 0;
    platform_parallel(HARTS, work);
    return counter;
}
