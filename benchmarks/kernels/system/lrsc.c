// variants: host machine supervisor
// Compare and exchange by one hart: LR/SC in the guest, locked cmpxchg on an x86-64 host.
#include "bench.h"
enum { TURNS = 100000 };
BENCH("lrsc", TURNS);
static u64 value;

void bench_setup(void) {}

u64 bench_run(void) {
    value = 1;
    for (u64 i = 0; i < TURNS; i++) {
        u64 old = __atomic_load_n(&value, __ATOMIC_RELAXED);
        while (!__atomic_compare_exchange_n(&value, &old, old * 3 + i, 1, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)) {}
    }
    return value;
}
