// Fences, pauses, prefetches and all other hints change nothing a program sees (unprivileged manual, "RV64I HINT Instructions",
// "Compressed HINT", "Zihintpause", "Zihintntl", "Zicbop").
#include "rom.h"

static u64 cell = 0x1234;

RULE("hints") {
    u64 before = trap.count, sum;
    asm volatile(
        ".option push\n.option norvc\n"
        "li t0, 5\nli t1, 7\nmv t2, sp\n"
        "fence\nfence rw, w\nfence.tso\n.word 0x0100000f\n"        // the last is pause
        ".word 0x0000000f\n"                                      // no sets at all
        ".word 0x4ff0000f\n.word 0xfff0000f\n"                    // reserved modes act as a full fence
        ".word 0x0ff2828f\n"                                      // rd and rs1 are ignored
        "fence.i\n"
        "lui zero, 5\nauipc zero, 5\naddi zero, t0, 5\nandi zero, t0, 5\nori zero, t0, 5\nxori zero, t0, 5\n"
        "add zero, t0, t1\nsub zero, t0, t1\nsll zero, t0, t1\nslt zero, t0, t1\nslti zero, t0, 5\nsrli zero, t0, 5\nsrai zero, t0, 5\n"
        "addw zero, t0, t1\naddiw zero, t0, 5\n"
        "add zero, zero, sp\nadd zero, zero, gp\nadd zero, zero, tp\nadd zero, zero, t0\n"          // ntl
        ".option arch, +zicbop\nprefetch.i 0(t2)\nprefetch.r 32(t2)\nprefetch.w -32(t2)\nprefetch.r 0(zero)\n"
        ".option arch, +c\n"
        ".short 0x0005, 0x1005\n"                                 // c.nop 1, c.nop -31
        ".short 0x4015\n"                                         // c.li x0, 5
        ".short 0x6015\n"                                         // c.lui x0, 5
        ".short 0x8016, 0x901a\n"                                 // c.mv x0, t0; c.add x0, t1
        ".short 0x0016\n"                                         // c.slli x0, 5
        ".short 0x0281\n"                                         // c.addi t0, 0
        ".short 0x0282, 0x8401, 0x8001\n"                         // shifts by zero
        "add %0, t0, t1\n.option pop"
        : "=r"(sum) :: "t0", "t1", "t2", "memory");
    check(sum, 12);
    check(trap.count, before);
    check(cell, 0x1234);
    // x0 stays zero.
    u64 zero;
    asm volatile("mv %0, zero" : "=r"(zero));
    check(zero, 0);
    // A load to x0 still happens, and may fault.
    check(TRAP_OF("ld zero, 0(%0)", :: "r"(0x200000)), LOAD_ACCESS);
}
