// variants: host machine supervisor linux
// SHA-256 (FIPS 180-4) of 256 KiB: rotations, additions and a working set in registers.
#include "bench.h"
BENCH("sha256", 1);
enum { BLOCKS = 4096 };
static u32 message[BLOCKS][16];
static u32 constants[64];

/// The first 32 bits of the fraction of the cube root of the first 64 primes.
static u32 cube_root_fraction(u64 prime) {
    // The largest r with r³ ≤ prime · 2^96, bit by bit; 128 bits hold it all.
    unsigned __int128 root = 0;
    for (int bit = 34; bit >= 0; bit--) {
        unsigned __int128 next = root | (unsigned __int128)1 << bit;
        if (next * next * next <= (unsigned __int128)prime << 96) root = next;
    }
    return (u32)root;
}

void bench_setup(void) {
    u64 found = 0;
    for (u64 n = 2; found < 64; n++) {
        int is_prime = 1;
        for (u64 d = 2; d * d <= n; d++) is_prime &= n % d != 0;
        if (is_prime) constants[found++] = cube_root_fraction(n);
    }
    u64 state = 1;
    for (int block = 0; block < BLOCKS; block++)
        for (int i = 0; i < 16; i++) message[block][i] = (u32)bench_random(&state);
}

#ifdef OWN_COMPRESS
static void compress(u32 *hash, const u32 *block);
#else
static inline u32 rotate(u32 x, int n) { return x >> n | x << (32 - n); }

static NOINLINE void compress(u32 *hash, const u32 *block) {
    u32 w[64];
    for (int i = 0; i < 16; i++) w[i] = block[i];
    for (int i = 16; i < 64; i++) {
        u32 s0 = rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ w[i - 15] >> 3;
        u32 s1 = rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ w[i - 2] >> 10;
        w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
    u32 a = hash[0], b = hash[1], c = hash[2], d = hash[3], e = hash[4], f = hash[5], g = hash[6], h = hash[7];
    for (int i = 0; i < 64; i++) {
        u32 t1 = h + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + ((e & f) ^ (~e & g)) + constants[i] + w[i];
        u32 t2 = (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
        h = g, g = f, f = e, e = d + t1, d = c, c = b, b = a, a = t1 + t2;
    }
    hash[0] += a, hash[1] += b, hash[2] += c, hash[3] += d, hash[4] += e, hash[5] += f, hash[6] += g, hash[7] += h;
}
#endif

u64 bench_run(void) {
    u32 hash[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    for (int block = 0; block < BLOCKS; block++) compress(hash, message[block]);
    return (u64)hash[0] << 32 | hash[1];
}
