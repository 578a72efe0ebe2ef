// variants: host machine supervisor linux
// y = a·x + y on 4096 doubles.
#include "bench.h"
BENCH("axpy", 1);
enum { N = 4096, ROUNDS = 64 };
static double x[N], y[N];

void bench_setup(void) {
    u64 state = 1;
    for (int i = 0; i < N; i++) x[i] = (double)(i64)(bench_random(&state) >> 40) / 1024;
}

static NOINLINE void axpy(double a, const double *restrict x, double *restrict y) {
    for (int i = 0; i < N; i++) y[i] = a * x[i] + y[i];
}

u64 bench_run(void) {
    for (int i = 0; i < N; i++) y[i] = 1;
    for (int round = 0; round < ROUNDS; round++) axpy(0.5 + round, x, y);
    u64 sum = 0;
    for (int i = 0; i < N; i += 64) sum = bench_mix(sum, (u64)(i64)y[i]);
    return sum;
}
