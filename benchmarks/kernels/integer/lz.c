// variants: host machine supervisor linux
// LZ77 compression with a hash of four bytes, and decompression.
#include "bench.h"
BENCH("lz", 1);
enum { SIZE = 64 << 10, HASH_BITS = 12, SHORTEST = 4, LONGEST = 255 };
static u8 input[SIZE], packed[SIZE * 2], output[SIZE];
static u32 seen[1 << HASH_BITS];

void bench_setup(void) {
    // Text of a small vocabulary, so that there is something to find.
    u64 state = 6;
    u32 i = 0;
    while (i < SIZE) {
        u64 word = bench_random(&state) % 300, letters = word * 2654435761u;
        for (u64 n = 2 + word % 9; n && i < SIZE; n--, letters = letters * 25 + 7) input[i++] = (u8)('a' + letters % 26);
        if (i < SIZE) input[i++] = ' ';
    }
}

static inline u32 four(const u8 *p) { return (u32)p[0] | (u32)p[1] << 8 | (u32)p[2] << 16 | (u32)p[3] << 24; }

/// A literal is 0 and its byte; a match is its length, two bytes of distance.
static NOINLINE u32 compress(void) {
    for (u32 i = 0; i < 1 << HASH_BITS; i++) seen[i] = 0;
    u32 to = 0, i = 0;
    while (i < SIZE) {
        u32 length = 0, distance = 0;
        if (i + SHORTEST <= SIZE) {
            u32 *slot = &seen[four(input + i) * 2654435761u >> (32 - HASH_BITS)];
            if (*slot && i - (*slot - 1) < 65536) {
                u32 from = *slot - 1;
                while (length < LONGEST && i + length < SIZE && input[from + length] == input[i + length]) length++;
                distance = i - from;
            }
            *slot = i + 1;
        }
        if (length >= SHORTEST) {
            packed[to++] = (u8)length, packed[to++] = (u8)distance, packed[to++] = (u8)(distance >> 8);
            i += length;
        } else {
            packed[to++] = 0, packed[to++] = input[i++];
        }
    }
    return to;
}

static NOINLINE u32 decompress(u32 length) {
    u32 to = 0;
    for (u32 i = 0; i < length;) {
        u32 count = packed[i++];
        if (!count) {
            output[to++] = packed[i++];
            continue;
        }
        u32 distance = packed[i] | (u32)packed[i + 1] << 8;
        i += 2;
        for (; count; count--, to++) output[to] = output[to - distance];
    }
    return to;
}

u64 bench_run(void) {
    u32 length = compress();
    u64 sum = bench_mix(length, decompress(length));
    for (int i = 0; i < SIZE; i++) sum += (u64)(input[i] == output[i]);
    return sum;
}
