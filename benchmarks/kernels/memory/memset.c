// variants: host machine supervisor linux
// Fills 4 MiB with words, four to a turn.
#include "bench.h"
enum { SIZE = 4 << 20, WORDS = SIZE / 8 };
BENCH("memset", SIZE);
static LARGE u64 memory[WORDS];

void bench_setup(void) {}

static NOINLINE void fill(u64 *out, u64 value, u64 words) {
    for (u64 i = 0; i < words; i += 4) {
        out[i] = value;
        out[i + 1] = value;
        out[i + 2] = value;
        out[i + 3] = value;
    }
}

u64 bench_run(void) {
    fill(memory, 0x0123456789abcdef, WORDS);
    return bench_mix(memory[WORDS / 3], memory[WORDS - 1]);
}
