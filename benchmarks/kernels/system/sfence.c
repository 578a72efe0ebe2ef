// variants: supervisor
// All of the address translation thrown away (sfence.vma), then 16 pages touched.
#include "bare.h"
enum { TURNS = 300, PAGES = 16 };
BENCH("sfence", TURNS);
static page pages[PAGES];

void bench_setup(void) {
    for (u64 i = 0; i < PAGES; i++) pages[i][0] = i + 1;
}

u64 bench_run(void) {
    u64 sum = 0;
    for (int i = 0; i < TURNS; i++) {
        __asm__ volatile("sfence.vma" : : : "memory");
        for (int j = 0; j < PAGES; j++) sum += *(volatile u64 *)pages[j];
    }
    return sum;
}
