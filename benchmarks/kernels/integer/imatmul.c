// variants: host machine supervisor linux
// Product of two 64-bit integer matrices, row by column.
#include "bench.h"
BENCH("imatmul", 1);
enum { N = 96 };
static u64 a[N][N], b[N][N], c[N][N];

void bench_setup(void) {
    u64 state = 4;
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) a[i][j] = bench_random(&state), b[i][j] = bench_random(&state);
}

u64 bench_run(void) {
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            u64 sum = 0;
            for (int k = 0; k < N; k++) sum += a[i][k] * b[k][j];
            c[i][j] = sum;
        }
    u64 sum = 0;
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) sum = bench_mix(sum, c[i][j]);
    return sum;
}
