// The compressed instructions do what their long forms do, with their own ranges of immediates (unprivileged manual, "C" extension).
#include "rom.h"

#define RVC ".option push\n.option arch, +c\n"
#define C2(text, a, b) ({ register u64 a0_ asm("a0") = (u64)(a); register u64 a1_ asm("a1") = (u64)(b); \
    asm volatile(RVC text "\n.option pop" : "+r"(a0_), "+r"(a1_) :: "memory", "t0"); a0_; })
#define C1(text, a) C2(text, a, 0)

static u64 cells[40] __attribute__((aligned(16)));

RULE("compressed_instructions") {
    check(C1("c.li a0, -32", 5), (u64)-32);
    check(C1("c.li a0, 31", 5), 31);
    check(C1("c.lui a0, 0xfffe0", 5), 0xfffffffffffe0000);
    check(C1("c.lui a0, 31", 5), 31 << 12);
    check(C1("c.addi a0, -32", 5), (u64)-27);
    check(C1("c.addiw a0, 1", 0x7fffffff), 0xffffffff80000000);
    check(C1("c.addiw a0, 0", 0x1234567880000000), 0xffffffff80000000);
    check(C1("c.slli a0, 63", 1), 0x8000000000000000);
    check(C1("c.srli a0, 33", 0x8000000000000000), 0x40000000);
    check(C1("c.srai a0, 33", 0x8000000000000000), 0xffffffffc0000000);
    check(C1("c.andi a0, -2", 0xff), 0xfe);
    check(C2("c.mv a0, a1", 1, 2), 2);
    check(C2("c.add a0, a1", 1, 2), 3);
    check(C2("c.sub a0, a1", 1, 2), ~0ull);
    check(C2("c.xor a0, a1", 0xf0, 0xff), 0x0f);
    check(C2("c.or a0, a1", 0xf0, 0x0f), 0xff);
    check(C2("c.and a0, a1", 0xf0, 0x3c), 0x30);
    check(C2("c.addw a0, a1", 0x7fffffff, 1), 0xffffffff80000000);
    check(C2("c.subw a0, a1", 0, 1), ~0ull);
    // Loads and stores at both ends of their ranges, by register and by stack pointer.
    for (int i = 0; i < 40; i++) cells[i] = 0x8000000080000000 + (u64)i;
    u64 base = (u64)cells;
    check(C2("c.ld a0, 0(a1)", 0, base), 0x8000000080000000);
    check(C2("c.ld a0, 248(a1)", 0, base), 0x800000008000001f);
    check(C2("c.lw a0, 124(a1)", 0, base), 0xffffffff80000000);
    check(C2("c.lw a0, 120(a1)", 0, base), 0xffffffff8000000f);
    C2("c.sd a0, 248(a1)", 0x1111, base);
    check(cells[31], 0x1111);
    C2("c.sw a0, 64(a1)", 0x2222, base);
    check(cells[8], 0x8000000000002222);
    C2("mv t0, sp\nmv sp, a1\nc.sdsp a0, 312(sp)\nc.swsp a0, 4(sp)\nmv sp, t0", 0x99999999, base);
    check(cells[39], 0x99999999);
    check(cells[0], 0x9999999980000000);
    check(C2("mv t0, sp\nmv sp, a1\nc.ldsp a0, 312(sp)\nmv sp, t0", 0, base), 0x99999999);
    check(C2("mv t0, sp\nmv sp, a1\nc.lwsp a0, 252(sp)\nmv sp, t0", 0, base), 0);
    check(C2("mv t0, sp\nmv sp, a1\nc.addi4spn a0, sp, 1020\nmv sp, t0", 0, base), base + 1020);
    check(C2("mv t0, sp\nmv sp, a1\nc.addi16sp sp, -512\nmv a0, sp\nmv sp, t0", 0, base), base - 512);
    check(C2("mv t0, sp\nmv sp, a1\nc.addi16sp sp, 496\nmv a0, sp\nmv sp, t0", 0, base), base + 496);
    // Jumps and branches; the link is two bytes on.
    check(C2("c.li a0, 1\nc.j 1f\nc.li a0, 2\n1:", 0, 0), 1);
    check(C2("c.beqz a1, 1f\nc.li a0, 2\n1:", 1, 0), 1);
    check(C2("c.beqz a1, 1f\nc.li a0, 2\n1:", 1, 1), 2);
    check(C2("c.bnez a1, 1f\nc.li a0, 2\n1:", 1, 1), 1);
    check(C2("c.bnez a1, 1f\nc.li a0, 2\n1:", 1, 0), 2);
    u64 link, here;
    asm volatile(RVC "mv t1, ra\nla t0, 1f\nc.jalr t0\n2: c.nop\n1: mv %0, ra\nmv ra, t1\nla %1, 2b\n.option pop" : "=&r"(link), "=&r"(here) :: "t0", "t1", "memory");
    check(link, here);
    u64 landed;
    asm volatile(RVC "la t0, 1f\nli %0, 1\nc.jr t0\nli %0, 2\n1:\n.option pop" : "=&r"(landed) :: "t0");
    check(landed, 1);
    // c.jalr with ra as its register jumps to the old value.
    asm volatile(RVC "mv t1, ra\nla ra, 1f\nli %0, 1\nc.jalr ra\nli %0, 2\n1: mv ra, t1\n.option pop" : "=&r"(landed) :: "t1", "memory");
    check(landed, 1);
}
