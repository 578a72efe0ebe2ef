// variants: supervisor
// A call from S mode to M mode and back: what every SBI call costs at least.
#include "bare.h"
enum { TURNS = 2000 };
BENCH("secall", TURNS);

void bench_setup(void) {}

u64 bench_run(void) {
    register u64 a0 __asm__("a0") = 0;
    for (int i = 0; i < TURNS; i++) __asm__ volatile("ecall" : "+r"(a0) : : "memory");
    return a0;
}
