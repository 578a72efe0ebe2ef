// variants: host machine supervisor linux
// Dot products of 4096 doubles. They are whole numbers, so that every order of the additions gives the same sum.
#include "bench.h"
BENCH("dot", 1);
enum { N = 4096, ROUNDS = 64 };
static double x[N + ROUNDS], y[N];

void bench_setup(void) {
    u64 state = 1;
    for (int i = 0; i < N + ROUNDS; i++) x[i] = (double)(bench_random(&state) & 1023);
    for (int i = 0; i < N; i++) y[i] = (double)(bench_random(&state) & 1023);
}

static NOINLINE double dot(const double *x, const double *y) {
#pragma clang fp reassociate(on)
    double sum = 0;
    for (int i = 0; i < N; i++) sum += x[i] * y[i];
    return sum;
}

u64 bench_run(void) {
    u64 sum = 0;
    for (int round = 0; round < ROUNDS; round++) sum = bench_mix(sum, (u64)dot(x + round, y));
    return sum;
}
