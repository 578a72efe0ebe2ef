// variants: host machine supervisor linux
// Pointer chase through 64 MiB: misses caches and, page by page, address translation.
enum { NODES = 1048576, STEPS = 60000 };
#include "chase.h"
BENCH("chase-64m", STEPS);
