// variants: host machine
// The same on two harts at once, each in memory of its own (on the host: two threads); the time is for one of them.
#include "bench.h"
enum { HARTS = 2 };
BENCH("compute-harts", HARTS);
#include "compute.h"
