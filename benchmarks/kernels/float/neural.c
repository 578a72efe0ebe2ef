// variants: host machine supervisor linux
// A small network, 64-64-32-10, single precision: inference and one step of training for each of 32 samples.
#include "bench.h"
BENCH("neural", 1);
enum { LAYERS = 3, WIDEST = 64, SAMPLES = 32 };
static const int sizes[LAYERS + 1] = {64, 64, 32, 10};
static float weights[LAYERS][WIDEST][WIDEST], values[LAYERS + 1][WIDEST], errors[LAYERS + 1][WIDEST], samples[SAMPLES][WIDEST];

static float uniform(u64 *state) { return (float)(bench_random(state) >> 44) / 1048576 - 0.5f; }

void bench_setup(void) {
    u64 state = 14;
    for (int i = 0; i < SAMPLES; i++)
        for (int j = 0; j < WIDEST; j++) samples[i][j] = uniform(&state);
}

static NOINLINE void forward(void) {
    for (int layer = 0; layer < LAYERS; layer++)
        for (int out = 0; out < sizes[layer + 1]; out++) {
            float sum = 0;
            for (int in = 0; in < sizes[layer]; in++) sum += weights[layer][out][in] * values[layer][in];
            // x / (1 + |x|): bounded like tanh, and exact everywhere.
            values[layer + 1][out] = sum / (1 + __builtin_fabsf(sum));
        }
}

static NOINLINE void backward(int label) {
    for (int out = 0; out < sizes[LAYERS]; out++) errors[LAYERS][out] = (out == label ? 1.0f : 0.0f) - values[LAYERS][out];
    for (int layer = LAYERS - 1; layer >= 0; layer--) {
        for (int in = 0; in < sizes[layer]; in++) errors[layer][in] = 0;
        for (int out = 0; out < sizes[layer + 1]; out++) {
            float slope = 1 - __builtin_fabsf(values[layer + 1][out]), delta = errors[layer + 1][out] * slope * slope;
            for (int in = 0; in < sizes[layer]; in++) {
                errors[layer][in] += weights[layer][out][in] * delta;
                weights[layer][out][in] += 0.05f * delta * values[layer][in];
            }
        }
    }
}

u64 bench_run(void) {
    u64 state = 15;
    for (int layer = 0; layer < LAYERS; layer++)
        for (int out = 0; out < sizes[layer + 1]; out++)
            for (int in = 0; in < sizes[layer]; in++) weights[layer][out][in] = uniform(&state) / 4;
    u64 sum = 0;
    for (int sample = 0; sample < SAMPLES; sample++) {
        for (int i = 0; i < sizes[0]; i++) values[0][i] = samples[sample][i];
        forward();
        backward(sample % 10);
        union { float number; u32 bits; } value = {values[LAYERS][sample % 10]};
        sum = bench_mix(sum, value.bits);
    }
    return sum;
}
