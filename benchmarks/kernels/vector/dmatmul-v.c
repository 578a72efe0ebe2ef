// variants: host machine supervisor
// Double-precision matrix product, vectorised by the compiler on both sides.
#define BENCH_NAME "dmatmul-v"
#include "../float/dmatmul.c"
