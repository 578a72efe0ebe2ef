// variants: supervisor
// A load from a page that is not there: page fault in S mode, handled by going on behind it.
#include "bare.h"
enum { TURNS = 2000 };
BENCH("fault", TURNS);

__asm__(".balign 4\n"
        "load_faulted:\n"
        "    csrw sscratch, t0\n"
        "    csrr t0, sepc\n"
        "    addi t0, t0, 4\n"
        "    csrw sepc, t0\n"
        "    addi a0, a0, 1\n"
        "    csrr t0, sscratch\n"
        "    sret\n");
extern char load_faulted[];

void bench_setup(void) { CSR_WRITE(stvec, load_faulted); }

u64 bench_run(void) {
    register u64 a0 __asm__("a0") = 0;
    for (int i = 0; i < TURNS; i++)
        __asm__ volatile(".option push\n .option norvc\n ld zero, 0(%1)\n .option pop" : "+r"(a0) : "r"(0x40000000ull) : "memory");
    return a0;
}
