// variants: host machine supervisor linux
// The Mandelbrot set on 96 × 96 points: short loops of double additions and multiplications.
#include "bench.h"
BENCH("mandelbrot", 1);
enum { SIDE = 96, LIMIT = 100 };

void bench_setup(void) {}

static NOINLINE u64 escape(double cx, double cy) {
    double x = 0, y = 0;
    u64 n = 0;
    while (n < LIMIT && x * x + y * y <= 4) {
        double next = x * x - y * y + cx;
        y = 2 * x * y + cy;
        x = next;
        n++;
    }
    return n;
}

u64 bench_run(void) {
    u64 sum = 0;
    for (int row = 0; row < SIDE; row++)
        for (int column = 0; column < SIDE; column++) sum += escape(-2.0 + column * 3.0 / SIDE, -1.5 + row * 3.0 / SIDE);
    return sum;
}
