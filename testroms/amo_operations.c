// Every AMO in both widths: what it stores, and that rd receives the old value, sign-extended for words
// (unprivileged manual, "Atomic Memory Operations").
#include "rom.h"

static u64 cell;

// old, operand -> stored
#define D(op, before, operand, after) do { u64 r_; cell = (before); \
    asm volatile("amo" op ".d %0, %1, (%2)" : "=&r"(r_) : "r"((u64)(operand)), "r"(&cell) : "memory"); \
    check(r_, (before)); check(cell, (after)); } while (0)
// The upper half of the double word and of the operand must not matter.
#define W(op, before, operand, after) do { u64 r_; cell = 0xa5a5a5a500000000 | (u32)(before); \
    asm volatile("amo" op ".w.aqrl %0, %1, (%2)" : "=&r"(r_) : "r"(0x7777777700000000 | (u32)(operand)), "r"(&cell) : "memory"); \
    check(r_, (u64)(i64)(int)(before)); check(cell, 0xa5a5a5a500000000 | (u32)(after)); } while (0)

#define MIN64 0x8000000000000000
#define MIN32 0x80000000

RULE("amo_operations") {
    D("swap", 1, 0xfedcba9876543210, 0xfedcba9876543210);
    D("add", 0xffffffffffffffff, 2, 1);
    D("xor", 0xff00ff00ff00ff00, 0x0ff00ff00ff00ff0, 0xf0f0f0f0f0f0f0f0);
    D("and", 0xff00ff00ff00ff00, 0x0ff00ff00ff00ff0, 0x0f000f000f000f00);
    D("or", 0xff00ff00ff00ff00, 0x0ff00ff00ff00ff0, 0xfff0fff0fff0fff0);
    D("min", MIN64, 1, MIN64);
    D("min", 1, MIN64, MIN64);
    D("max", MIN64, 1, 1);
    D("max", 5, 5, 5);
    D("minu", MIN64, 1, 1);
    D("minu", 1, ~0ull, 1);
    D("maxu", MIN64, 1, MIN64);
    D("maxu", 1, ~0ull, ~0ull);
    W("swap", 0x80000001, 0x12345678, 0x12345678);
    W("add", 0xffffffff, 2, 1);
    W("add", 0x7fffffff, 1, MIN32);
    W("xor", 0xff00ff00, 0x0ff00ff0, 0xf0f0f0f0);
    W("and", 0xff00ff00, 0x0ff00ff0, 0x0f000f00);
    W("or", 0xff00ff00, 0x0ff00ff0, 0xfff0fff0);
    W("min", MIN32, 1, MIN32);
    W("min", 1, MIN32, MIN32);
    W("max", MIN32, 1, 1);
    W("minu", MIN32, 1, 1);
    W("minu", 1, 0xffffffff, 1);
    W("maxu", MIN32, 1, MIN32);
    W("maxu", 1, 0xffffffff, 0xffffffff);
    // The same register as operand and destination, and no destination.
    u64 value = 3;
    cell = 4;
    asm volatile("amoadd.d %0, %0, (%1)" : "+r"(value) : "r"(&cell) : "memory");
    check(value, 4);
    check(cell, 7);
    asm volatile("amoadd.d zero, %0, (%1)" :: "r"(1), "r"(&cell) : "memory");
    check(cell, 8);
    // Reserved function codes and widths.
    check(TRAP_OF(".insn r 0x2f, 3, 0x1c, t0, %0, t1", :: "r"(&cell) : "t0"), ILLEGAL);
    check(TRAP_OF(".insn r 0x2f, 5, 0x00, t0, %0, t1", :: "r"(&cell) : "t0"), ILLEGAL);
}
