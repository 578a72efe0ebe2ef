// variants: machine supervisor
// Reads of a device's register: the UART's line status.
#include "bare.h"
enum { TURNS = 4000 };
BENCH("uart", TURNS);

void bench_setup(void) {}

u64 bench_run(void) {
    u64 idle = 0;
    // Bit 5: ready to send. Others depend on how fast the other end takes what was sent.
    for (int i = 0; i < TURNS; i++) idle += UART[5] >> 5 & 1;
    return idle > 0;
}
