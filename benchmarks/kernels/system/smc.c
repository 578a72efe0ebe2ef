// variants: machine supervisor
// One instruction rewritten, fence.i, and called.
#include "bare.h"
enum { TURNS = 300 };
BENCH("smc", TURNS);
static u32 code[16] __attribute__((aligned(64)));

void bench_setup(void) { code[1] = 0x00008067; }  // ret

u64 bench_run(void) {
    u64 sum = 0;
    for (u32 i = 0; i < TURNS; i++) {
        *(volatile u32 *)code = 0x00000513 | (i & 0x7ff) << 20;  // li a0, i
        __asm__ volatile("fence.i" : : : "memory");
        sum = sum * 5 + ((u64(*)(void))code)();
    }
    return sum;
}
