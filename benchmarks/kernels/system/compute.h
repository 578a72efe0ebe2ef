// Computation that harts share nothing in: each sorts and sieves in memory of its own.
#include "bench.h"
enum { NUMBERS = 4096, FLAGS = 32768, ROUNDS = 8 };
static struct __attribute__((aligned(4096))) {
    u32 numbers[NUMBERS];
    u8 flags[FLAGS];
    u64 sum;
} area[2];

static void sort(u32 *from, u32 *to) {
    while (from < to) {
        u32 pivot = from[(to - from) / 2], *low = from, *high = to;
        while (low <= high) {
            while (*low < pivot) low++;
            while (*high > pivot) high--;
            if (low <= high) {
                u32 value = *low;
                *low++ = *high;
                *high-- = value;
            }
        }
        sort(from, high);
        from = low;
    }
}

/// One unit of work for hart `index`.
static void work(unsigned index) {
    u64 state = 88172645463325252ull, sum = 0;
    for (int round = 0; round < ROUNDS; round++) {
        u32 *numbers = area[index].numbers;
        for (int i = 0; i < NUMBERS; i++) numbers[i] = (u32)bench_random(&state);
        sort(numbers, numbers + NUMBERS - 1);
        for (int i = 0; i < NUMBERS; i += 64) sum = bench_mix(sum, numbers[i]);
        u8 *flags = area[index].flags;
        for (int i = 0; i < FLAGS; i++) flags[i] = 1;
        for (int i = 2; i * i < FLAGS; i++)
            if (flags[i])
                for (int j = i * i; j < FLAGS; j += i) flags[j] = 0;
        for (int i = 2; i < FLAGS; i++) sum += flags[i];
    }
    area[index].sum = sum;
}

void bench_setup(void) {}

u64 bench_run(void) {
    platform_parallel(HARTS, work);
    u64 sum = 0;
    for (int index = 0; index < HARTS; index++) sum += area[index].sum - area[0].sum;
    return bench_mix(area[0].sum, sum);
}
