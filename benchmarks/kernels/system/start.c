// variants: host machine
// Nothing: what starting and ending a program takes is left out of other figures.
#include "bench.h"
BENCH("start", 1);

void bench_setup(void) { platform_exit(0); }

u64 bench_run(void) { return 0; }
