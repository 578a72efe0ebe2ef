// variants: machine
// A timer set 20 µs ahead and waited for with wfi: 20000 ns is perfect.
#include "bare.h"
enum { TURNS = 200, AHEAD = 200 };
BENCH("tick", TURNS);
static volatile u64 taken;

__attribute__((interrupt("machine"), aligned(4))) static void handler(void) {
    *MTIMECMP = ~0ull;
    taken = taken + 1;
}

void bench_setup(void) {
    *MTIMECMP = ~0ull;
    CSR_WRITE(mtvec, handler);
    CSR_SET(mie, 1 << 7);
}

u64 bench_run(void) {
    taken = 0;
    for (u64 i = 0; i < TURNS; i++) {
        *MTIMECMP = *MTIME + AHEAD;
        // Interrupts are let in only after waiting, so that none is missed before wfi.
        while (taken == i) {
            __asm__ volatile("wfi");
            CSR_SET(mstatus, 1 << 3);
            CSR_CLEAR(mstatus, 1 << 3);
        }
    }
    return taken;
}
