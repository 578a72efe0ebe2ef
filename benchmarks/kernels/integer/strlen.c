// variants: host machine supervisor linux
// Lengths of strings of up to 511 bytes.
#include "bench.h"
BENCH("strlen", 1);
enum { STRINGS = 256 };
static char text[STRINGS * 512 + 256] __attribute__((aligned(64)));
static const char *strings[STRINGS];

#ifdef OWN_STRLEN
static unsigned long length(const char *string);
#else
static NOINLINE unsigned long length(const char *string) {
    const char *end = string;
    while (*end) end++;
    return (unsigned long)(end - string);
}
#endif

void bench_setup(void) {
    u64 state = 1;
    char *next = text;
    for (int i = 0; i < STRINGS; i++) {
        strings[i] = next;
        for (u64 left = bench_random(&state) & 511; left; left--) *next++ = (char)(1 + (bench_random(&state) & 63));
        *next++ = 0;
    }
}

u64 bench_run(void) {
    u64 sum = 0;
    for (int i = 0; i < STRINGS; i++) sum = bench_mix(sum, length(strings[i]));
    return sum;
}
