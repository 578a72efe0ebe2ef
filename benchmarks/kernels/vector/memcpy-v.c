// variants: host machine supervisor
// Copies, vectorised by the compiler on both sides.
#define BENCH_NAME "memcpy-v"
#include "../memory/memcpy.c"
