// M: division by zero and overflow have results, not traps; high products by sign ("M" extension).
#include "rom.h"

#define M2(instruction, a, b) ({ u64 r_; asm volatile(instruction " %0, %1, %2" : "=r"(r_) : "r"((u64)(a)), "r"((u64)(b))); r_; })
#define MIN64 0x8000000000000000
#define MIN32 0xffffffff80000000

RULE("integer_division") {
    check(M2("div", 7, 0), ~0ull);
    check(M2("divu", 7, 0), ~0ull);
    check(M2("rem", 7, 0), 7);
    check(M2("remu", 7, 0), 7);
    check(M2("div", MIN64, -1), MIN64);
    check(M2("rem", MIN64, -1), 0);
    check(M2("div", -7, 2), (u64)-3);
    check(M2("rem", -7, 2), (u64)-1);
    check(M2("rem", 7, -2), 1);
    check(M2("divu", -7, 2), 0x7ffffffffffffffc);
    // Words: operands cut, results sign-extended, upper halves ignored.
    check(M2("divw", 0x1234567800000007, 0x9876543200000000), ~0ull);
    check(M2("divuw", 7, 0), ~0ull);
    check(M2("remw", 0xabcdef0080000001, 0), 0xffffffff80000001);
    check(M2("remuw", 0x80000001, 0), 0xffffffff80000001);
    check(M2("divw", 0x80000000, -1), MIN32);
    check(M2("remw", 0x80000000, -1), 0);
    check(M2("divuw", 0xffffffff, 1), ~0ull);
    check(M2("mulw", 0x80000000, 3), MIN32);
    // Products.
    check(M2("mul", 0x100000001, 0x100000001), 0x200000001);
    check(M2("mulh", -1, -1), 0);
    check(M2("mulh", MIN64, MIN64), 0x4000000000000000);
    check(M2("mulh", MIN64, 1), ~0ull);
    check(M2("mulhu", -1, -1), 0xfffffffffffffffe);
    check(M2("mulhsu", -1, -1), ~0ull);
    check(M2("mulhsu", MIN64, MIN64), 0xc000000000000000);
    check(M2("mulhsu", 1, -1), 0);
}
