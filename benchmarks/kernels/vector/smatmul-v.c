// variants: host machine supervisor
// Single-precision matrix product, vectorised by the compiler on both sides.
#define BENCH_NAME "smatmul-v"
#include "../float/smatmul.c"
