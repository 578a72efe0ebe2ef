// variants: host machine supervisor linux
// A layer of a neural net in bytes: products summed in 32 bits, scaled and cut back to bytes.
#include "bench.h"
BENCH("quantised", 1);
enum { INPUTS = 256, OUTPUTS = 512, ROUNDS = 8 };
typedef signed char i8;
static i8 weights[INPUTS][OUTPUTS], inputs[ROUNDS][INPUTS], outputs[OUTPUTS];
static i32 bias[OUTPUTS], sums[OUTPUTS];

void bench_setup(void) {
    u64 state = 1;
    for (int i = 0; i < INPUTS; i++)
        for (int o = 0; o < OUTPUTS; o++) weights[i][o] = (i8)bench_random(&state);
    for (int round = 0; round < ROUNDS; round++)
        for (int i = 0; i < INPUTS; i++) inputs[round][i] = (i8)bench_random(&state);
    for (int o = 0; o < OUTPUTS; o++) bias[o] = (i32)(bench_random(&state) & 0xffff) - 0x8000;
}

static NOINLINE void layer(const i8 *restrict input, i8 *restrict output) {
    for (int o = 0; o < OUTPUTS; o++) sums[o] = bias[o];
    for (int i = 0; i < INPUTS; i++) {
        const short factor = input[i];
        const i8 *restrict row = weights[i];
        for (int o = 0; o < OUTPUTS; o++) sums[o] += (short)(row[o] * factor);
    }
    for (int o = 0; o < OUTPUTS; o++) {
        i32 scaled = sums[o] >> 11;
        output[o] = (i8)(scaled < -128 ? -128 : scaled > 127 ? 127 : scaled);
    }
}

u64 bench_run(void) {
    u64 sum = 0;
    for (int round = 0; round < ROUNDS; round++) {
        layer(inputs[round], outputs);
        for (int o = 0; o < OUTPUTS; o += 16) sum = bench_mix(sum, (u8)outputs[o]);
    }
    return sum;
}
