// variants: host machine supervisor
// Streams, vectorised by the compiler on both sides.
#define BENCH_NAME "stream-v"
#include "../memory/stream.c"
