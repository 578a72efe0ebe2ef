// variants: host machine supervisor
// Atomic additions, swaps and bit operations by one hart (on the host: locked instructions).
#include "bench.h"
enum { TURNS = 50000 };
BENCH("amo", 4 * TURNS);
static u64 counter, mask, latest;

void bench_setup(void) {}

u64 bench_run(void) {
    counter = mask = latest = 0;
    u64 sum = 0;
    for (u64 i = 0; i < TURNS; i++) {
        sum += __atomic_fetch_add(&counter, i, __ATOMIC_SEQ_CST);
        sum ^= __atomic_exchange_n(&latest, i, __ATOMIC_SEQ_CST);
        sum += __atomic_fetch_or(&mask, i, __ATOMIC_SEQ_CST);
        sum += __atomic_fetch_and(&mask, ~(i >> 3), __ATOMIC_SEQ_CST);
    }
    return bench_mix(sum, counter);
}
