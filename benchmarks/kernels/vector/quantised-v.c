// variants: host machine supervisor
// A layer of a neural net in bytes, vectorised by the compiler on both sides.
#define BENCH_NAME "quantised-v"
#include "../integer/quantised.c"
