// variants: host machine supervisor
// A convolution, vectorised by the compiler on both sides.
#define BENCH_NAME "convolution-v"
#include "../integer/convolution.c"
