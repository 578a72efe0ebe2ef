// Three small integer kernels, one source for the guest and for the host: a sieve, a quicksort and a recursive Fibonacci.
// Prints a checksum and the time each took, so that start-up does not count.

#include "platform.h"

#define SIEVE_SIZE 2000000
#define SIEVE_ROUNDS 12
#define SORT_SIZE 1000000
#define SORT_ROUNDS 3
#define FIB_N 36

static unsigned char composite[SIEVE_SIZE];
static int numbers[SORT_SIZE];

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

static void quicksort(int *a, long low, long high) {
    while (low < high) {
        int pivot = a[(low + high) / 2];
        long i = low, j = high;
        while (i <= j) {
            while (a[i] < pivot) i++;
            while (a[j] > pivot) j--;
            if (i <= j) {
                int swap = a[i];
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
        u64 seed = 88172645463325252ull + (u64)round;
        for (int i = 0; i < SORT_SIZE; i++) {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            numbers[i] = (int)seed;
        }
        quicksort(numbers, 0, SORT_SIZE - 1);
        for (int i = 0; i < SORT_SIZE; i += 1000) sum = sum * 31 + (u64)(unsigned)numbers[i];
    }
    return sum;
}

__attribute__((noinline)) static u64 fib(u64 n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }

static void run(const char *name, u64 (*kernel)(void)) {
    u64 start = now_ns();
    u64 result = kernel();
    u64 end = now_ns();
    report(name, result, end - start);
}

static u64 fibonacci(void) { return fib(FIB_N); }

int main(void) {
    run("sieve", sieve);
    run("quicksort", sort);
    run("fib", fibonacci);
    return 0;
}
