// The base integer instructions against values worked out by hand: signs, widths, shift amounts (unprivileged manual, "RV64I").
#include "rom.h"

#define R(instruction, a, b) ({ u64 r_; asm volatile(instruction " %0, %1, %2" : "=r"(r_) : "r"((u64)(a)), "r"((u64)(b))); r_; })
#define I(instruction, a, n) ({ u64 r_; asm volatile(instruction " %0, %1, " #n : "=r"(r_) : "r"((u64)(a))); r_; })
#define MIN64 0x8000000000000000

static void loads(void) {
    static u64 cell = 0x8182838485868788;
    i64 value;
#define LOAD(instruction, offset, want) asm volatile(instruction " %0, " #offset "(%1)" : "=r"(value) : "r"(&cell)); check(value, want)
    LOAD("lb", 0, 0xffffffffffffff88);
    LOAD("lbu", 7, 0x81);
    LOAD("lh", 2, 0xffffffffffff8586);
    LOAD("lhu", 6, 0x8182);
    LOAD("lw", 0, 0xffffffff85868788);
    LOAD("lw", 4, 0xffffffff81828384);
    LOAD("lwu", 4, 0x81828384);
    LOAD("ld", 0, 0x8182838485868788);
    // Negative offsets.
    u64 past = (u64)&cell + 2048;
    asm volatile("ld %0, -2048(%1)" : "=r"(value) : "r"(past));
    check(value, 0x8182838485868788);
    asm volatile("sb %0, -2045(%1)" :: "r"(0x1ff), "r"(past) : "memory");
    check(cell, 0x81828384ff868788);
    // Destination and base in one register.
    u64 both = (u64)&cell;
    asm volatile("ld %0, 0(%0)" : "+r"(both));
    check(both, 0x81828384ff868788);
}

static void jumps(void) {
    u64 link, target, here;
    // jalr with its base as destination uses the old value; the lowest bit of the target is dropped.
    asm volatile(".option push\n.option norvc\nla %1, 1f\naddi %1, %1, 1\nmv %0, %1\njalr %0, 0(%0)\n2: nop\n1: la %2, 2b\n.option pop"
        : "=&r"(link), "=&r"(target), "=&r"(here) :: "memory");
    check(link, here);
    asm volatile(".option push\n.option norvc\njal %0, 1f\n2: nop\n1: la %1, 2b\n.option pop" : "=&r"(link), "=&r"(here));
    check(link, here);
    asm volatile("1: auipc %0, 0x80000\nla %1, 1b" : "=&r"(link), "=&r"(here));
    check(link, here - 0x80000000);
    asm volatile("lui %0, 0x80000" : "=r"(link));
    check(link, 0xffffffff80000000);
#define BRANCH(instruction, a, b) ({ u64 t_ = 1; asm volatile(instruction " %1, %2, 1f\nli %0, 0\n1:" : "+r"(t_) : "r"((u64)(a)), "r"((u64)(b))); t_; })
    check(BRANCH("beq", 1, 1), 1);
    check(BRANCH("beq", 0, MIN64), 0);
    check(BRANCH("bne", 0, MIN64), 1);
    check(BRANCH("blt", MIN64, 0), 1);
    check(BRANCH("blt", 0, 0), 0);
    check(BRANCH("bltu", MIN64, 0), 0);
    check(BRANCH("bge", 0, 0), 1);
    check(BRANCH("bge", MIN64, 0), 0);
    check(BRANCH("bgeu", MIN64, 0), 1);
    check(BRANCH("bgeu", 0, ~0ull), 0);
}

RULE("integer_operations") {
    check(R("add", ~0ull, 1), 0);
    check(R("sub", 0, 1), ~0ull);
    check(R("slt", MIN64, 1), 1);
    check(R("sltu", MIN64, 1), 0);
    check(R("sltu", 0, 1), 1);
    check(R("xor", 0xff00, 0x0ff0), 0xf0f0);
    check(R("or", 0xff00, 0x0ff0), 0xfff0);
    check(R("and", 0xff00, 0x0ff0), 0x0f00);
    // Only six (five) bits of the amount count.
    check(R("sll", 1, 127), MIN64);
    check(R("srl", MIN64, 0xffff003f), 1);
    check(R("sra", MIN64, 63), ~0ull);
    check(R("sra", MIN64, 64), MIN64);
    check(R("sllw", 1, 63), 0xffffffff80000000);
    check(R("srlw", 0xffffffff80000000, 31), 1);
    check(R("srlw", 0xffffffff80000000, 32), 0xffffffff80000000);
    check(R("sraw", 0x0000000080000000, 31), ~0ull);
    check(R("addw", 0x7fffffff, 1), 0xffffffff80000000);
    check(R("subw", 0xabcdef0000000000, 1), ~0ull);
    check(I("addi", 5, -2048), (u64)-2043);
    check(I("addiw", 0x17fffffff, 1), 0xffffffff80000000);
    check(I("slti", MIN64, -1), 1);
    check(I("sltiu", 5, -1), 1);
    check(I("sltiu", 0, 1), 1);
    check(I("xori", 0, -1), ~0ull);
    check(I("ori", 0, -2048), 0xfffffffffffff800);
    check(I("andi", ~0ull, 0x7ff), 0x7ff);
    check(I("slli", 1, 63), MIN64);
    check(I("srli", MIN64, 63), 1);
    check(I("srai", MIN64, 1), 0xc000000000000000);
    check(I("slliw", 0x40000000, 1), 0xffffffff80000000);
    check(I("srliw", 0xffffffff80000000, 1), 0x40000000);
    check(I("sraiw", 0x180000000, 31), ~0ull);
    loads();
    jumps();
}
