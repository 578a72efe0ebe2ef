// variants: host machine supervisor linux
// Single-precision matrix product.
#include "bench.h"
BENCH("smatmul", 1);
enum { N = 96 };
static float a[N][N], b[N][N], c[N][N];

void bench_setup(void) {
    u64 state = 13;
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            a[i][j] = (float)(bench_random(&state) >> 44) / 1048576;
            b[i][j] = (float)(bench_random(&state) >> 44) / 1048576;
        }
}

u64 bench_run(void) {
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) c[i][j] = 0;
    for (int i = 0; i < N; i++)
        for (int k = 0; k < N; k++) {
            float factor = a[i][k];
            for (int j = 0; j < N; j++) c[i][j] += factor * b[k][j];
        }
    u64 sum = 0;
    for (int i = 0; i < N; i += 5)
        for (int j = 0; j < N; j += 5) {
            union { float number; u32 bits; } value = {c[i][j]};
            sum = bench_mix(sum, value.bits);
        }
    return sum;
}
