// variants: machine
// A timer interrupt that is due at once: raised, taken, taken back.
#include "bare.h"
enum { TURNS = 1000 };
BENCH("irq", TURNS);
static volatile u64 taken;

__attribute__((interrupt("machine"), aligned(4))) static void handler(void) {
    *MTIMECMP = ~0ull;
    taken = taken + 1;
}

void bench_setup(void) {
    *MTIMECMP = ~0ull;
    CSR_WRITE(mtvec, handler);
    CSR_SET(mie, 1 << 7);
    CSR_SET(mstatus, 1 << 3);
}

u64 bench_run(void) {
    taken = 0;
    for (u64 i = 0; i < TURNS; i++) {
        *MTIMECMP = 0;
        while (taken == i) {}
    }
    return taken;
}
