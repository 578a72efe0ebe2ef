// variants: host machine supervisor linux
// Quicksort of 32-bit integers: branches that cannot be foreseen, recursion.
#include "bench.h"
BENCH("quicksort", 1);
enum { SIZE = 40000 };
static i32 numbers[SIZE];

void bench_setup(void) {}

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

u64 bench_run(void) {
    u64 state = 88172645463325252ull, sum = 0;
    for (int i = 0; i < SIZE; i++) numbers[i] = (i32)bench_random(&state);
    quicksort(numbers, 0, SIZE - 1);
    for (int i = 0; i < SIZE; i += 100) sum = bench_mix(sum, (u32)numbers[i]);
    return sum;
}
