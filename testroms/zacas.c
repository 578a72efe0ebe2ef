// Zacas: compare and swap of 32, 64 and 128 bits ("Zacas" extension).
#include "rom.h"

static u64 cell[4] __attribute__((aligned(16)));

#define CAS(instruction, address, expected, desired) ({ u64 r_ = (u64)(expected); asm volatile(".option push\n.option arch, +zacas\n" instruction " %0, %1, (%2)\n.option pop" \
    : "+r"(r_) : "r"((u64)(desired)), "r"(address) : "memory"); r_; })

// amocas.q a0:a1 against a2:a3; yields what a0 and a1 hold afterwards.
static void cas_quad(u64 *expected, u64 low, u64 high, u64 *at) {
    register u64 a0 asm("a0") = expected[0];
    register u64 a1 asm("a1") = expected[1];
    register u64 a2 asm("a2") = low;
    register u64 a3 asm("a3") = high;
    register u64 *a4 asm("a4") = at;
    asm volatile(".option push\n.option arch, +zacas\n.option norvc\namocas.q a0, a2, (a4)\n.option pop" : "+r"(a0), "+r"(a1) : "r"(a2), "r"(a3), "r"(a4) : "memory");
    expected[0] = a0;
    expected[1] = a1;
}

RULE("zacas") {
    cell[0] = 0x8000000180000001;
    // Words compare 32 bits and return the old value sign-extended.
    check(CAS("amocas.w", cell, 0x1234567880000001, 0x7777777755555555), 0xffffffff80000001);
    check(cell[0], 0x8000000155555555);
    check(CAS("amocas.w", cell, 0x80000001, 1), 0x55555555);
    check(cell[0], 0x8000000155555555);
    check(CAS("amocas.d.aqrl", cell, 0x8000000155555555, 42), 0x8000000155555555);
    check(cell[0], 42);
    check(CAS("amocas.d", cell, 41, 43), 42);
    check(cell[0], 42);
    // rd = x0 compares with zero and drops the old value.
    asm volatile(".option push\n.option arch, +zacas\namocas.d zero, %0, (%1)\n.option pop" :: "r"(7), "r"(cell) : "memory");
    check(cell[0], 42);
    cell[0] = 0;
    asm volatile(".option push\n.option arch, +zacas\namocas.d zero, %0, (%1)\n.option pop" :: "r"(7), "r"(cell) : "memory");
    check(cell[0], 7);

    // Quad words.
    u64 pair[2] = { 7, 0x99 };
    cell[1] = 0x99;
    cas_quad(pair, 0x1111, 0x2222, cell);
    check(pair[0], 7);
    check(pair[1], 0x99);
    check(cell[0], 0x1111);
    check(cell[1], 0x2222);
    pair[0] = 0x1111;
    pair[1] = 0;
    cas_quad(pair, 5, 6, cell);
    check(pair[0], 0x1111);
    check(pair[1], 0x2222);
    check(cell[0], 0x1111);
    check(cell[1], 0x2222);
    // A pair of x0 is two zeros on either side: amocas.q x0, x0 with memory zero stores zero, and x1 is not touched.
    cell[2] = cell[3] = 0;
    register u64 a2 asm("a2") = 10;
    register u64 a3 asm("a3") = 11;
    u64 kept;
    asm volatile(".option push\n.option arch, +zacas\n.option norvc\nmv t0, ra\nli ra, 0x77\namocas.q zero, a2, (%1)\nmv %0, ra\nmv ra, t0\n.option pop"
        : "=&r"(kept) : "r"(cell + 2), "r"(a2), "r"(a3) : "t0", "memory");
    check(kept, 0x77);
    check(cell[2], 10);
    check(cell[3], 11);
    pair[0] = 10;
    pair[1] = 11;
    asm volatile(".option push\n.option arch, +zacas\n.option norvc\nmv t0, ra\nli ra, 0x77\nli a0, 10\nli a1, 11\namocas.q a0, zero, (%0)\nmv ra, t0\n.option pop"
        :: "r"(cell + 2) : "t0", "a0", "a1", "memory");
    check(cell[2], 0);
    check(cell[3], 0);
    // Alignment, and odd registers in a pair.
    clear_trap();
    cas_quad(pair, 1, 1, cell + 1);
    check(trap.cause, STORE_MISALIGNED);
    check(trap_of(CAS("amocas.d", (u64)cell + 4, 0, 0)), STORE_MISALIGNED);
    check(trap_of(CAS("amocas.w", (u64)cell + 2, 0, 0)), STORE_MISALIGNED);
    check(TRAP_OF(".insn r 0x2f, 4, 0x14, a1, %0, a2", :: "r"(cell) : "a1", "a2"), ILLEGAL);
    check(TRAP_OF(".insn r 0x2f, 4, 0x14, a0, %0, a3", :: "r"(cell) : "a0", "a1"), ILLEGAL);
}
