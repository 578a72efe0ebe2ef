// variants: host machine supervisor
// y = a·x + y, vectorised by the compiler on both sides.
#define BENCH_NAME "axpy-v"
#include "../float/axpy.c"
