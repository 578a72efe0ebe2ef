// variants: host machine supervisor linux
// One word of each of 4096 scattered pages: address translation is what costs.
#include "bench.h"
enum { PAGES = 4096, PAGE_WORDS = 512, TURNS = 8 };
BENCH("pages", PAGES * TURNS);
static LARGE u64 memory[PAGES][PAGE_WORDS];
static u16 order[PAGES];

void bench_setup(void) {
    for (u32 i = 0; i < PAGES; i++) order[i] = (u16)i;
    u64 state = 11;
    for (u32 i = PAGES - 1; i > 0; i--) {
        u32 j = (u32)(bench_random(&state) % (i + 1));
        u16 swap = order[i];
        order[i] = order[j];
        order[j] = swap;
    }
    // A different line of each page, so that they do not all share one set of the cache.
    for (u32 i = 0; i < PAGES; i++) memory[i][i * 8 % PAGE_WORDS] = i;
}

u64 bench_run(void) {
    u64 sum = 0;
    for (u64 turn = 0; turn < TURNS; turn++)
        for (u64 i = 0; i < PAGES; i++) {
            u64 page = order[i];
            sum += memory[page][page * 8 % PAGE_WORDS] * (turn + 1);
        }
    return sum;
}
