// variants: host machine supervisor linux
// A sieve, a quicksort and a recursive Fibonacci in one, each large: a single figure to follow over the years.
#include "bench.h"
BENCH("sieve-quicksort-fib", 1);
enum { SIEVE_SIZE = 2000000, SIEVE_ROUNDS = 12, SORT_SIZE = 1000000, SORT_ROUNDS = 3, FIB_N = 36 };
static u8 composite[SIEVE_SIZE];
static i32 numbers[SORT_SIZE];

void bench_setup(void) {}

static u64 sieve(void) {
    u64 primes = 0;
    for (int round = 0; round < SIEVE_ROUNDS; round++) {
        primes = 0;
        for (u64 i = 0; i < SIEVE_SIZE; i++) composite[i] = 0;
        for (u64 i = 2; i < SIEVE_SIZE; i++) {
            if (composite[i]) continue;
            primes++;
            for (u64 j = i * i; j < SIEVE_SIZE; j += i) composite[j] = 1;
        }
    }
    return primes;
}

static void quicksort(i32 *a, i64 low, i64 high) {
    while (low < high) {
        i32 pivot = a[(low + high) / 2];
        i64 i = low, j = high;
        while (i <= j) {
            while (a[i] < pivot) i++;
            while (a[j] > pivot) j--;
            if (i <= j) {
                i32 swap = a[i];
                a[i++] = a[j];
                a[j--] = swap;
            }
        }
        if (j - low < high - i) {
            quicksort(a, low, j);
            low = i;
        } else {
            quicksort(a, i, high);
            high = j;
        }
    }
}

static u64 sort(void) {
    u64 sum = 0;
    for (int round = 0; round < SORT_ROUNDS; round++) {
        u64 state = 88172645463325252ull + (u64)round;
        for (int i = 0; i < SORT_SIZE; i++) numbers[i] = (i32)bench_random(&state);
        quicksort(numbers, 0, SORT_SIZE - 1);
        for (int i = 0; i < SORT_SIZE; i += 1000) sum = bench_mix(sum, (u32)numbers[i]);
    }
    return sum;
}

static NOINLINE u64 fib(u64 n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }

u64 bench_run(void) { return bench_mix(bench_mix(sieve(), sort()), fib(FIB_N)); }
