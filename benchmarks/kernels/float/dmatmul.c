// variants: host machine supervisor linux
// Double-precision matrix product.
#include "bench.h"
BENCH("dmatmul", 1);
enum { N = 96 };
static double a[N][N], b[N][N], c[N][N];

void bench_setup(void) {
    u64 state = 13;
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            a[i][j] = (double)(bench_random(&state) >> 44) / 1048576;
            b[i][j] = (double)(bench_random(&state) >> 44) / 1048576;
        }
}

u64 bench_run(void) {
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) c[i][j] = 0;
    for (int i = 0; i < N; i++)
        for (int k = 0; k < N; k++) {
            double factor = a[i][k];
            for (int j = 0; j < N; j++) c[i][j] += factor * b[k][j];
        }
    u64 sum = 0;
    for (int i = 0; i < N; i += 5)
        for (int j = 0; j < N; j += 5) {
            union { double number; u64 bits; } value = {c[i][j]};
            sum = bench_mix(sum, value.bits);
        }
    return sum;
}
