// variants: host machine supervisor linux
// Sieve of Eratosthenes: byte stores with growing strides.
#include "bench.h"
BENCH("sieve", 1);
enum { SIZE = 400000 };
static u8 composite[SIZE];

void bench_setup(void) {}

u64 bench_run(void) {
    u64 primes = 0;
    for (u64 i = 0; i < SIZE; i++) composite[i] = 0;
    for (u64 i = 2; i < SIZE; i++) {
        if (composite[i]) continue;
        primes++;
        for (u64 j = i * i; j < SIZE; j += i) composite[j] = 1;
    }
    return primes;
}
