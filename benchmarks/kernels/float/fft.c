// variants: host machine supervisor linux
// A complex fast Fourier transform of 4096 points, radix 2, there and back.
#include "bench.h"
BENCH("fft", 1);
enum { BITS = 12, N = 1 << BITS };
static double real[N], imaginary[N], cosine[N / 2], sine[N / 2];
static double input[N];

void bench_setup(void) {
    // The factors by halving the angle from 2π: cos(a/2) = √((1 + cos a) / 2), then products, exact enough and the same everywhere.
    double c = -1, s = 0;
    for (int i = 1; i < BITS; i++) {
        double half = __builtin_sqrt((1 + c) / 2);
        s = i == 1 ? 1 : s / (2 * half);
        c = half;
    }
    cosine[0] = 1, sine[0] = 0;
    for (int i = 1; i < N / 2; i++) {
        cosine[i] = cosine[i - 1] * c - sine[i - 1] * s;
        sine[i] = cosine[i - 1] * s + sine[i - 1] * c;
    }
    u64 state = 12;
    for (int i = 0; i < N; i++) input[i] = (double)(bench_random(&state) >> 40) / (1 << 24) - 0.5;
}

static NOINLINE void transform(double sign) {
    for (u32 i = 0, j = 0; i < N; i++) {
        if (i < j) {
            double swap = real[i];
            real[i] = real[j], real[j] = swap;
            swap = imaginary[i], imaginary[i] = imaginary[j], imaginary[j] = swap;
        }
        u32 bit = N >> 1;
        for (; j & bit; bit >>= 1) j ^= bit;
        j |= bit;
    }
    for (u32 size = 2; size <= N; size *= 2) {
        u32 half = size / 2, step = N / size;
        for (u32 base = 0; base < N; base += size)
            for (u32 k = 0; k < half; k++) {
                double wr = cosine[k * step], wi = sign * sine[k * step];
                u32 low = base + k, high = low + half;
                double tr = real[high] * wr - imaginary[high] * wi, ti = real[high] * wi + imaginary[high] * wr;
                real[high] = real[low] - tr, imaginary[high] = imaginary[low] - ti;
                real[low] += tr, imaginary[low] += ti;
            }
    }
}

u64 bench_run(void) {
    for (int i = 0; i < N; i++) real[i] = input[i], imaginary[i] = 0;
    transform(-1);
    u64 sum = 0;
    for (int i = 0; i < N; i += 37) {
        union { double number; u64 bits; } value = {real[i]};
        sum = bench_mix(sum, value.bits);
    }
    transform(1);
    // Back again: every point within 1e-9 of N times the input.
    for (int i = 0; i < N; i++) {
        double error = real[i] / N - input[i];
        sum += (u64)(error < 1e-9 && error > -1e-9);
    }
    return sum;
}
