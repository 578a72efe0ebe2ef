// variants: host machine supervisor linux
// Schoolbook multiplication of 2048-bit numbers: 64 × 64 → 128 bits and carries.
#include "bench.h"
BENCH("bignum", 1);
enum { LIMBS = 32, ROUNDS = 300 };
static u64 a[LIMBS], b[LIMBS], product[2 * LIMBS];

void bench_setup(void) {}

static NOINLINE void multiply(void) {
    for (int i = 0; i < 2 * LIMBS; i++) product[i] = 0;
    for (int i = 0; i < LIMBS; i++) {
        u64 carry = 0;
        for (int j = 0; j < LIMBS; j++) {
            unsigned __int128 sum = (unsigned __int128)a[i] * b[j] + product[i + j] + carry;
            product[i + j] = (u64)sum;
            carry = (u64)(sum >> 64);
        }
        product[i + LIMBS] = carry;
    }
}

u64 bench_run(void) {
    u64 state = 8, sum = 0;
    for (int i = 0; i < LIMBS; i++) a[i] = bench_random(&state), b[i] = bench_random(&state);
    for (int round = 0; round < ROUNDS; round++) {
        multiply();
        for (int i = 0; i < LIMBS; i++) a[i] = product[i] ^ product[i + LIMBS];
    }
    for (int i = 0; i < LIMBS; i++) sum = bench_mix(sum, a[i]);
    return sum;
}
