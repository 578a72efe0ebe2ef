// variants: host machine supervisor
// A small network, vectorised by the compiler on both sides.
#define BENCH_NAME "neural-v"
#include "../float/neural.c"
