// variants: host machine supervisor linux
// CRC-32 (the reflected polynomial of Ethernet) with a table of 256 entries: a chain of dependent loads.
#include "bench.h"
BENCH("crc32", 1);
enum { SIZE = 512 << 10 };
static u8 data[SIZE];
static u32 table[256];

void bench_setup(void) {
    for (u32 i = 0; i < 256; i++) {
        u32 value = i;
        for (int bit = 0; bit < 8; bit++) value = value & 1 ? value >> 1 ^ 0xedb88320 : value >> 1;
        table[i] = value;
    }
    u64 state = 2;
    for (int i = 0; i < SIZE; i++) data[i] = (u8)bench_random(&state);
}

u64 bench_run(void) {
    u32 crc = ~0u;
    for (int i = 0; i < SIZE; i++) crc = crc >> 8 ^ table[(crc ^ data[i]) & 0xff];
    return ~crc;
}
