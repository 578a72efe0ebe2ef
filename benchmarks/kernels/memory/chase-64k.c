// variants: host machine supervisor linux
// Pointer chase through 64 KiB: near caches, few pages.
enum { NODES = 1024, STEPS = 400000 };
#include "chase.h"
BENCH("chase-64k", STEPS);
