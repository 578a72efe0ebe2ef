// variants: host machine supervisor linux
// Convolution of an image of bytes with nine weights.
#include "bench.h"
BENCH("convolution", 1);
enum { WIDTH = 512, HEIGHT = 256 };
static u8 image[HEIGHT][WIDTH], result[HEIGHT][WIDTH];
static u16 weights[3][3], sums[WIDTH];

void bench_setup(void) {
    u64 state = 1;
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++) image[y][x] = (u8)bench_random(&state);
    for (int i = 0; i < 9; i++) weights[i / 3][i % 3] = (u16)(bench_random(&state) & 255);
}

static NOINLINE void add_row(const u8 *restrict from, u16 weight) {
    for (int x = 0; x < WIDTH - 2; x++) sums[x] += (u16)(from[x] * weight);
}

static NOINLINE void finish_row(u8 *restrict to) {
    for (int x = 0; x < WIDTH - 2; x++) {
        to[x] = (u8)(sums[x] >> 8);
        sums[x] = 0;
    }
}

u64 bench_run(void) {
    u64 sum = 0;
    for (int y = 1; y < HEIGHT - 1; y++) {
        for (int i = 0; i < 9; i++) add_row(image[y - 1 + i / 3] + i % 3, weights[i / 3][i % 3]);
        finish_row(result[y] + 1);
    }
    for (int y = 1; y < HEIGHT - 1; y += 5)
        for (int x = 1; x < WIDTH - 1; x += 31) sum = bench_mix(sum, result[y][x]);
    return sum;
}
