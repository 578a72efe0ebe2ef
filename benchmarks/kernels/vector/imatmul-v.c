// variants: host machine supervisor
// Product of two 64-bit integer matrices, vectorised by the compiler on both sides.
#define BENCH_NAME "imatmul-v"
#include "../integer/imatmul.c"
