// variants: host machine supervisor linux
// Calls through a table of functions in an order that cannot be foreseen.
#include "bench.h"
BENCH("dispatch", 1);
enum { CALLS = 100000, KINDS = 16 };
static u8 order[CALLS];

#define HANDLER(n, expression) \
    static NOINLINE u64 handler##n(u64 x) { return expression; }
HANDLER(0, x + 0x1234567) HANDLER(1, x ^ x >> 7) HANDLER(2, x * 9) HANDLER(3, x - (x >> 3))
HANDLER(4, x << 1 | x >> 63) HANDLER(5, ~x) HANDLER(6, x ^ 0x5555555555555555) HANDLER(7, x + (x << 4))
HANDLER(8, x >> 1 ^ x) HANDLER(9, x * 31 + 1) HANDLER(10, (x & 0xff) + x) HANDLER(11, x | 0x10)
HANDLER(12, x - 77) HANDLER(13, x ^ x << 5) HANDLER(14, x + 3 * (x & 7)) HANDLER(15, x >> 32 | x << 32)

static u64 (*const table[KINDS])(u64) = {
    handler0, handler1, handler2, handler3, handler4, handler5, handler6, handler7,
    handler8, handler9, handler10, handler11, handler12, handler13, handler14, handler15,
};

void bench_setup(void) {
    u64 state = 5;
    for (int i = 0; i < CALLS; i++) order[i] = (u8)(bench_random(&state) % KINDS);
}

u64 bench_run(void) {
    u64 value = 1;
    for (int i = 0; i < CALLS; i++) value = table[order[i]](value);
    return value;
}
