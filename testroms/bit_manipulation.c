// Zba, Zbb, Zbc and Zbs against plain C (unprivileged manual, "B" extension; Zbc).
#include "rom.h"

#define BARCH ".option push\n.option arch, +zba, +zbb, +zbc, +zbs\n"
#define B2(instruction, a, b) ({ u64 r_; asm volatile(BARCH instruction " %0, %1, %2\n.option pop" : "=r"(r_) : "r"((u64)(a)), "r"((u64)(b))); r_; })
#define B1(instruction, a) ({ u64 r_; asm volatile(BARCH instruction " %0, %1\n.option pop" : "=r"(r_) : "r"((u64)(a))); r_; })
#define BI(instruction, a, n) ({ u64 r_; asm volatile(BARCH instruction " %0, %1, " #n "\n.option pop" : "=r"(r_) : "r"((u64)(a))); r_; })

static u64 rol(u64 a, u64 n) { n &= 63; return n ? a << n | a >> (64 - n) : a; }
static u64 rol32(u64 a, u64 n) { u32 v = (u32)a; n &= 31; v = n ? v << n | v >> (32 - n) : v; return (u64)(i64)(int)v; }
static u64 count_leading(u64 a, u64 width) { u64 n = 0; while (n < width && !(a >> (width - 1 - n) & 1)) n++; return n; }
static u64 count_trailing(u64 a, u64 width) { u64 n = 0; while (n < width && !(a >> n & 1)) n++; return n; }
static u64 population(u64 a) { u64 n = 0; for (; a; a >>= 1) n += a & 1; return n; }
static u64 or_bytes(u64 a) { u64 r = 0; for (int i = 0; i < 64; i += 8) if (a >> i & 0xff) r |= 0xffull << i; return r; }
static u64 reverse_bytes(u64 a) { u64 r = 0; for (int i = 0; i < 8; i++) r = r << 8 | (a >> (8 * i) & 0xff); return r; }
static u64 carryless_low(u64 a, u64 b) { u64 r = 0; for (int i = 0; i < 64; i++) if (b >> i & 1) r ^= a << i; return r; }
static u64 carryless_high(u64 a, u64 b) { u64 r = 0; for (int i = 1; i < 64; i++) if (b >> i & 1) r ^= a >> (64 - i); return r; }
static u64 carryless_reversed(u64 a, u64 b) { u64 r = 0; for (int i = 0; i < 64; i++) if (b >> i & 1) r ^= a >> (63 - i); return r; }

static void pair(u64 a, u64 b) {
    check(B2("sh1add", a, b), (a << 1) + b);
    check(B2("sh2add", a, b), (a << 2) + b);
    check(B2("sh3add", a, b), (a << 3) + b);
    check(B2("add.uw", a, b), (u64)(u32)a + b);
    check(B2("sh1add.uw", a, b), ((u64)(u32)a << 1) + b);
    check(B2("sh2add.uw", a, b), ((u64)(u32)a << 2) + b);
    check(B2("sh3add.uw", a, b), ((u64)(u32)a << 3) + b);
    check(B2("andn", a, b), a & ~b);
    check(B2("orn", a, b), a | ~b);
    check(B2("xnor", a, b), ~(a ^ b));
    check(B2("max", a, b), (i64)a > (i64)b ? a : b);
    check(B2("min", a, b), (i64)a < (i64)b ? a : b);
    check(B2("maxu", a, b), a > b ? a : b);
    check(B2("minu", a, b), a < b ? a : b);
    check(B2("rol", a, b), rol(a, b));
    check(B2("ror", a, b), rol(a, 0 - b));
    check(B2("rolw", a, b), rol32(a, b));
    check(B2("rorw", a, b), rol32(a, 0 - b));
    check(B2("clmul", a, b), carryless_low(a, b));
    check(B2("clmulh", a, b), carryless_high(a, b));
    check(B2("clmulr", a, b), carryless_reversed(a, b));
    check(B2("bclr", a, b), a & ~(1ull << (b & 63)));
    check(B2("bset", a, b), a | 1ull << (b & 63));
    check(B2("binv", a, b), a ^ 1ull << (b & 63));
    check(B2("bext", a, b), a >> (b & 63) & 1);
}

static void single(u64 a) {
    check(B1("clz", a), count_leading(a, 64));
    check(B1("ctz", a), count_trailing(a, 64));
    check(B1("cpop", a), population(a));
    check(B1("clzw", a), count_leading((u32)a, 32));
    check(B1("ctzw", a), count_trailing((u32)a, 32));
    check(B1("cpopw", a), population((u32)a));
    check(B1("sext.b", a), (u64)(i64)(signed char)a);
    check(B1("sext.h", a), (u64)(i64)(short)a);
    check(B1("zext.h", a), a & 0xffff);
    check(B1("orc.b", a), or_bytes(a));
    check(B1("rev8", a), reverse_bytes(a));
    check(BI("slli.uw", a, 35), (u64)(u32)a << 35);
    check(BI("rori", a, 63), rol(a, 1));
    check(BI("rori", a, 5), rol(a, 59));
    check(BI("roriw", a, 31), rol32(a, 1));
    check(BI("bclri", a, 63), a & ~BIT(63));
    check(BI("bseti", a, 40), a | BIT(40));
    check(BI("binvi", a, 0), a ^ 1);
    check(BI("bexti", a, 31), a >> 31 & 1);
}

RULE("bit_manipulation") {
    static const u64 values[] = { 0, 1, 0xffffffffffffffff, 0x8000000000000000, 0x7fffffffffffffff, 0x80000000, 0xffffffff00000000,
        0x0123456789abcdef, 0xfedcba9876543210, 0x00ff00ff01008000, 32, 63, 0xc0 };
    for (int i = 0; i < 13; i++) {
        single(values[i]);
        for (int j = 0; j < 13; j++) pair(values[i], values[j]);
    }
}
