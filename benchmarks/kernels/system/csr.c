// variants: machine
// Four accesses to control and status registers: read, write, set, clear.
#include "bare.h"
enum { TURNS = 5000 };
BENCH("csr", 4 * TURNS);

void bench_setup(void) {}

u64 bench_run(void) {
    u64 sum = 0;
    for (u64 i = 0; i < TURNS; i++) {
        CSR_WRITE(mscratch, i * 3);
        CSR_SET(mscratch, 0xf0);
        CSR_CLEAR(mscratch, 0x55);
        sum += CSR_READ(mscratch);
    }
    return sum;
}
