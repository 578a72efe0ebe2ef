// variants: host machine supervisor linux
// Streams of 64-bit words over 3 MiB: copy, scale, add and triad.
#include "bench.h"
enum { N = 128 << 10 };
BENCH("stream", 4 * N);
static LARGE u64 a[N], b[N], c[N];

void bench_setup(void) {}

u64 bench_run(void) {
    for (u64 i = 0; i < N; i++) a[i] = i;
    for (u64 i = 0; i < N; i++) c[i] = a[i];
    for (u64 i = 0; i < N; i++) b[i] = 3 * c[i];
    for (u64 i = 0; i < N; i++) c[i] = a[i] + b[i];
    for (u64 i = 0; i < N; i++) a[i] = b[i] + 5 * c[i];
    u64 sum = 0;
    for (u64 i = 0; i < N; i += 64) sum = bench_mix(sum, a[i]);
    return sum;
}
