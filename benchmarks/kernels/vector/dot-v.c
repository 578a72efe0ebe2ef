// variants: host machine supervisor
// Dot products, vectorised by the compiler on both sides.
#define BENCH_NAME "dot-v"
#include "../float/dot.c"
