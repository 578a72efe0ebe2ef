// variants: machine supervisor
// Code that runs once: 32768 instructions are written and run, then others in their place (half of the time is the writing).
#include "bare.h"
enum { LENGTH = 32768 };
BENCH("cold", 2 * LENGTH);
static u32 code[LENGTH + 1] __attribute__((aligned(4096)));

void bench_setup(void) {}

/// Register instructions on a0 to a3, with a short jump now and then so that blocks have the length they have in programs.
static void generate(u64 state) {
    for (int i = 0; i < LENGTH; i++) {
        u32 bits = (u32)bench_random(&state);
        u32 to = 10 + (bits & 3), from = 10 + (bits >> 2 & 3), with = 10 + (bits >> 4 & 3);
        static const u32 kinds[4] = {0x33, 0x40000033, 0x4033, 0x00100013};  // add, sub, xor, addi (an odd number)
        if (bits % 8 == 7) code[i] = 0x00000263 | from << 15 | with << 20;  // beq to the next instruction
        else if ((bits >> 6 & 3) == 3) code[i] = kinds[3] | to << 7 | from << 15 | (bits & 0xffe00000);
        else code[i] = kinds[bits >> 6 & 3] | to << 7 | from << 15 | with << 20;
    }
    code[LENGTH] = 0x00008067;  // ret
    __asm__ volatile("fence.i" : : : "memory");
}

static u64 run(void) { return ((u64(*)(u64, u64, u64, u64))code)(1, 2, 3, 4); }

u64 bench_run(void) {
    u64 sum = 0;
    generate(16);
    sum = bench_mix(sum, run());
    generate(17);
    return bench_mix(sum, run());
}
