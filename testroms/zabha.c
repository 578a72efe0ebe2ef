// Zabha: AMOs and compare-and-swap of bytes and halfwords; neighbours stay, results extend the sign ("Zabha" extension).
#include "rom.h"

static u64 cell;

#define AMO(instruction, offset, operand) ({ u64 r_; asm volatile(".option push\n.option arch, +zabha\n" instruction " %0, %1, (%2)\n.option pop" \
    : "=&r"(r_) : "r"((u64)(operand)), "r"((u64)&cell + (offset)) : "memory"); r_; })
#define CAS(instruction, offset, expected, desired) ({ u64 r_ = (u64)(expected); asm volatile(".option push\n.option arch, +zabha, +zacas\n" instruction " %0, %1, (%2)\n.option pop" \
    : "+r"(r_) : "r"((u64)(desired)), "r"((u64)&cell + (offset)) : "memory"); r_; })
#define BASE 0x8877665544332211

RULE("zabha") {
    for (u64 i = 0; i < 8; i++) {
        u64 old = BASE >> (8 * i) & 0xff, mask = 0xffull << (8 * i);
        cell = BASE;
        check(AMO("amoswap.b", i, 0xabcd00), (u64)(i64)(signed char)old);
        check(cell, BASE & ~mask);
        cell = BASE;
        check(AMO("amoadd.b.aqrl", i, 0x1ff), (u64)(i64)(signed char)old);
        check(cell, (BASE & ~mask) | ((old - 1) & 0xff) << (8 * i));
    }
    cell = BASE;
    check(AMO("amoxor.b", 7, 0xff), 0xffffffffffffff88);
    check(cell >> 56, 0x77);
    check(AMO("amoand.b", 7, 0x0f), 0x77);
    check(AMO("amoor.b", 7, 0x80), 0x07);
    check(cell >> 56, 0x87);
    check(AMO("amomin.b", 7, 1), 0xffffffffffffff87);
    check(cell >> 56, 0x87);
    check(AMO("amomax.b", 7, 1), 0xffffffffffffff87);
    check(cell >> 56, 1);
    check(AMO("amomaxu.b", 7, 0xff), 1);
    check(cell >> 56, 0xff);
    check(AMO("amominu.b", 7, 0x7f), 0xffffffffffffffff);
    check(cell >> 56, 0x7f);
    cell = BASE;
    check(AMO("amoadd.h", 2, 0xffff), 0x4433);
    check(cell, 0x8877665544322211);
    check(AMO("amoswap.h", 6, 0x1234), 0xffffffffffff8877);
    check(cell, 0x1234665544322211);
    check(AMO("amomin.h", 6, 0x8000), 0x1234);
    check(AMO("amomaxu.h", 6, 0x7000), 0xffffffffffff8000);
    check(cell >> 48, 0x8000);
    check(AMO("amominu.h", 6, 0x7000), 0xffffffffffff8000);
    check(cell >> 48, 0x7000);
    // Compare and swap looks at the low bits of the expected value only.
    cell = BASE;
    check(CAS("amocas.b", 3, 0xff44, 0x99), 0x44);
    check(cell, 0x8877665599332211);
    check(CAS("amocas.b", 3, 0x44, 0), 0xffffffffffffff99);
    check(cell, 0x8877665599332211);
    check(CAS("amocas.h", 0, 0x2211, 0xbeef), 0x2211);
    check(cell, 0x887766559933beef);
    // Halfwords keep their alignment.
    check(trap_of(AMO("amoadd.h", 1, 1)), STORE_MISALIGNED);
    check(trap.tval, (u64)&cell + 1);
}
