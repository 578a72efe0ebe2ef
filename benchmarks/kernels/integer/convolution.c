// variants: host machine supervisor linux
// Convolution of an image of bytes with nine weights.
#include "bench.h"
BENCH("convolution", 1);
enum { WIDTH = 512, HEIGHT = 256 };
static u8 image[HEIGHT][WIDTH], result[HEIGHT][WIDTH];
static short weights[3][3] = {{1, 2, 1}, {2, 4, 2}, {1, 2, 1}};

void bench_setup(void) {
    u64 state = 1;
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++) image[y][x] = (u8)bench_random(&state);
}

static NOINLINE void convolve(const short weights[3][3]) {
    for (int y = 1; y < HEIGHT - 1; y++) {
        const u8 *restrict above = image[y - 1], *restrict row = image[y], *restrict below = image[y + 1];
        u8 *restrict to = result[y];
        for (int x = 1; x < WIDTH - 1; x++) {
            short sum = (short)(above[x - 1] * weights[0][0] + above[x] * weights[0][1] + above[x + 1] * weights[0][2]
                + row[x - 1] * weights[1][0] + row[x] * weights[1][1] + row[x + 1] * weights[1][2]
                + below[x - 1] * weights[2][0] + below[x] * weights[2][1] + below[x + 1] * weights[2][2]);
            to[x] = (u8)((u16)sum >> 4);
        }
    }
}

u64 bench_run(void) {
    convolve(weights);
    u64 sum = 0;
    for (int y = 1; y < HEIGHT - 1; y += 5)
        for (int x = 1; x < WIDTH - 1; x += 31) sum = bench_mix(sum, result[y][x]);
    return sum;
}
