// variants: host machine supervisor linux
// AES-128-GCM (FIPS 197, SP 800-38D) of 64 KiB: tables of columns for the cipher, of nibbles for the hash.
#include "bench.h"
BENCH("aesgcm", 1);
enum { BLOCKS = 4096, ROUNDS = 10 };
typedef union {
    u8 bytes[16];
    u32 words[4];
} block __attribute__((aligned(16)));
static block text[BLOCKS], sealed[BLOCKS];
static block keys[ROUNDS + 1];
/// The hash's factor: the cipher of zeroes.
static block factor;
static u8 box[256];
/// Column 0 of a round by one byte; the other columns are turned ones.
static u32 columns[4][256];

static u8 twice(u8 x) { return (u8)(x << 1 ^ (x >> 7) * 0x1b); }

static void make_tables(void) {
    // Powers of 3 and their inverses run through all of the field.
    u8 p = 1, q = 1;
    do {
        p = p ^ twice(p);
        q ^= (u8)(q << 1), q ^= (u8)(q << 2), q ^= (u8)(q << 4);
        if (q & 0x80) q ^= 9;
        u32 turned = q * 0x101u;
        box[p] = (u8)(q ^ turned >> 7 ^ turned >> 6 ^ turned >> 5 ^ turned >> 4 ^ 0x63);
    } while (p != 1);
    box[0] = 0x63;
    for (int i = 0; i < 256; i++) {
        u32 s = box[i], d = twice(box[i]), column = d | s << 8 | s << 16 | (s ^ d) << 24;
        for (int row = 0; row < 4; row++) columns[row][i] = row ? column << 8 * row | column >> (32 - 8 * row) : column;
    }
}

static void encrypt(block *to, const block *from) {
    u32 s[4], t[4];
    for (int c = 0; c < 4; c++) s[c] = from->words[c] ^ keys[0].words[c];
    for (int round = 1; round < ROUNDS; round++) {
        for (int c = 0; c < 4; c++)
            t[c] = columns[0][(u8)s[c]] ^ columns[1][(u8)(s[(c + 1) & 3] >> 8)] ^ columns[2][(u8)(s[(c + 2) & 3] >> 16)]
                ^ columns[3][s[(c + 3) & 3] >> 24] ^ keys[round].words[c];
        for (int c = 0; c < 4; c++) s[c] = t[c];
    }
    for (int c = 0; c < 4; c++)
        to->words[c] = (box[(u8)s[c]] | (u32)box[(u8)(s[(c + 1) & 3] >> 8)] << 8 | (u32)box[(u8)(s[(c + 2) & 3] >> 16)] << 16
            | (u32)box[s[(c + 3) & 3] >> 24] << 24) ^ keys[ROUNDS].words[c];
}

static const u32 nonce[3] = {0xbebafeca, 0xaddbcefa, 0x88f8cade};

/// Seals all of the text and leaves its hash, the length not yet in it.
static void seal(block *hash);

void bench_setup(void) {
    make_tables();
    u64 state = 1;
    for (int i = 0; i < BLOCKS; i++)
        for (int w = 0; w < 4; w++) text[i].words[w] = (u32)bench_random(&state);
    for (int w = 0; w < 4; w++) keys[0].words[w] = (u32)bench_random(&state);
    u8 power = 1;
    for (int round = 1; round <= ROUNDS; round++, power = twice(power)) {
        u32 last = keys[round - 1].words[3];
        u32 word = (box[(u8)(last >> 8)] ^ power) | (u32)box[(u8)(last >> 16)] << 8 | (u32)box[last >> 24] << 16 | (u32)box[(u8)last] << 24;
        for (int w = 0; w < 4; w++) keys[round].words[w] = word ^= keys[round - 1].words[w];
    }
    block zero = {{0}};
    encrypt(&factor, &zero);
}

u64 bench_run(void) {
    block hash = {{0}};
    seal(&hash);
    u64 sum = 0;
    for (int w = 0; w < 4; w++) sum = bench_mix(sum, hash.words[w]);
    for (int i = 0; i < BLOCKS; i += 63) sum = bench_mix(sum, sealed[i].words[i & 3]);
    return sum;
}

#ifndef OWN_SEAL
/// Multiples of the factor by four bits, the first bit being the highest power; upper and lower half of the polynomial.
static u64 multiples[16][2];

static u64 big_endian(const u8 *bytes) {
    u64 value = 0;
    for (int i = 0; i < 8; i++) value = value << 8 | bytes[i];
    return value;
}

static void make_multiples(void) {
    u64 high = big_endian(factor.bytes), low = big_endian(factor.bytes + 8);
    for (int bit = 8; bit; bit >>= 1) {
        multiples[bit][0] = high, multiples[bit][1] = low;
        u64 carry = low & 1;
        low = low >> 1 | high << 63;
        high = high >> 1 ^ carry * 0xe100000000000000ull;
    }
    for (int i = 2; i < 16; i *= 2)
        for (int j = 1; j < i; j++) multiples[i + j][0] = multiples[i][0] ^ multiples[j][0], multiples[i + j][1] = multiples[i][1] ^ multiples[j][1];
}

static void multiply(u64 *high, u64 *low) {
    static const u64 reductions[16] = {0x0000, 0x1c20, 0x3840, 0x2460, 0x7080, 0x6ca0, 0x48c0, 0x54e0,
        0xe100, 0xfd20, 0xd940, 0xc560, 0x9180, 0x8da0, 0xa9c0, 0xb5e0};
    u64 h = 0, l = 0;
    for (int nibble = 0; nibble < 32; nibble++) {
        u64 from = nibble < 16 ? *low : *high, rest = l & 15;
        if (nibble) {
            l = l >> 4 | h << 60;
            h = h >> 4 ^ reductions[rest] << 48;
        }
        int digit = (int)(from >> 4 * (nibble & 15) & 15);
        h ^= multiples[digit][0], l ^= multiples[digit][1];
    }
    *high = h, *low = l;
}

static void seal(block *hash) {
    make_multiples();
    u64 high = 0, low = 0;
    for (u32 i = 0; i < BLOCKS; i++) {
        block counter = {.words = {nonce[0], nonce[1], nonce[2], __builtin_bswap32(i + 2)}}, stream;
        encrypt(&stream, &counter);
        for (int w = 0; w < 4; w++) sealed[i].words[w] = text[i].words[w] ^ stream.words[w];
        high ^= big_endian(sealed[i].bytes), low ^= big_endian(sealed[i].bytes + 8);
        multiply(&high, &low);
    }
    for (int i = 0; i < 8; i++) hash->bytes[i] = (u8)(high >> (56 - 8 * i)), hash->bytes[8 + i] = (u8)(low >> (56 - 8 * i));
}
#endif
