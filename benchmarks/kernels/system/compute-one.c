// variants: host machine
// Sorting and sieving on one hart: what compute-harts is compared with.
#include "bench.h"
enum { HARTS = 1 };
BENCH("compute-one", HARTS);
#include "compute.h"
