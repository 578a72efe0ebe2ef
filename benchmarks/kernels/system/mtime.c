// variants: machine supervisor
// Reads of the timer's register.
#include "bare.h"
enum { TURNS = 4000 };
BENCH("mtime", TURNS);

void bench_setup(void) {}

u64 bench_run(void) {
    u64 last = 0, forward = 1;
    for (int i = 0; i < TURNS; i++) {
        u64 now = *MTIME;
        forward &= now >= last;
        last = now;
    }
    return forward;
}
