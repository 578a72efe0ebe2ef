// variants: host machine supervisor
// Fills, vectorised by the compiler on both sides.
#define BENCH_NAME "memset-v"
#include "../memory/memset.c"
