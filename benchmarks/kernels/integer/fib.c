// variants: host machine supervisor linux
// Recursive Fibonacci: calls and returns.
#include "bench.h"
BENCH("fib", 1);

void bench_setup(void) {}

static NOINLINE u64 fib(u64 n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }

u64 bench_run(void) { return fib(25); }
