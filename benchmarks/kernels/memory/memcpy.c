// variants: host machine supervisor linux
// Copies of 4 MiB in words, four to a turn, and of short runs of bytes.
#include "bench.h"
enum { SIZE = 4 << 20, WORDS = SIZE / 8 };
BENCH("memcpy", SIZE);
static LARGE u64 from[WORDS], to[WORDS];

void bench_setup(void) {
    u64 state = 10;
    for (u64 i = 0; i < WORDS; i++) from[i] = bench_random(&state);
}

static NOINLINE void copy_words(u64 *restrict out, const u64 *restrict in, u64 words) {
    for (u64 i = 0; i < words; i += 4) {
        out[i] = in[i];
        out[i + 1] = in[i + 1];
        out[i + 2] = in[i + 2];
        out[i + 3] = in[i + 3];
    }
}

static NOINLINE void copy_bytes(u8 *out, const u8 *in, u64 length) {
    for (u64 i = 0; i < length; i++) out[i] = in[i];
}

u64 bench_run(void) {
    copy_words(to, from, WORDS);
    for (u64 i = 0; i < 1000; i++) copy_bytes((u8 *)to + i * 61, (const u8 *)from + i * 53 + 3, i % 48);
    u64 sum = 0;
    for (u64 i = 0; i < WORDS; i += 512) sum = bench_mix(sum, to[i]);
    return sum;
}
