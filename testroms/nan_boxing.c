// Narrow values live boxed: results have all upper bits set, operands without them count as the canonical NaN, moves and stores take the
// bits as they are (unprivileged manual, "NaN Boxing of Narrower Values").
#include "float.h"

#define LOAD(instruction) ({ u64 r_; asm volatile(FARCH instruction " ft0, 0(%1)\nfmv.x.d %0, ft0\n.option pop" : "=r"(r_) : "r"(&cell) : "memory"); r_; })
#define STORE(instruction, value) asm volatile(FARCH "fmv.d.x ft0, %0\n" instruction " ft0, 0(%1)\n.option pop" :: "r"((u64)(value)), "r"(&cell) : "memory")
#define UNBOXED 0x000000003f800000ull

static u64 cell;

RULE("nan_boxing") {
    float_on();
    cell = 0x123456783f800000;
    check(LOAD("flw"), S(0x3f800000));
    check(LOAD("fld"), 0x123456783f800000);
    check(FP_FROM_X("fmv.w.x", "", 0x1234567880000000), S(0x80000000));
    check(FP_FROM_X("fcvt.s.w", "", 1), S(0x3f800000));
    check(FP2("fadd.s", S(0x3f800000), S(0x3f800000)), S(0x40000000));
    check(flags(), 0);
    // Operands that are not boxed.
    check_flags(FP2("fadd.s", UNBOXED, S(0x3f800000)), S(0x7fc00000), 0);
    check_flags(FP2("fmul.s", S(0x3f800000), 0xfffffffe3f800000), S(0x7fc00000), 0);
    check_flags(FP3("fmadd.s", S(0x3f800000), S(0x3f800000), UNBOXED), S(0x7fc00000), 0);
    check_flags(FP1("fcvt.d.s", UNBOXED), D_NAN, 0);
    check_flags(FP_TO_X("fclass.s", "", UNBOXED), BIT(9), 0);
    check_flags(FP_TO_X("fcvt.w.s", ", rtz", UNBOXED), 0x7fffffff, NV);
    check_flags(FP_COMPARE("feq.s", UNBOXED, UNBOXED), 0, 0);
    check_flags(FP2("fmin.s", UNBOXED, S(0x3f800000)), S(0x3f800000), 0);
    check_flags(FP2("fsgnj.s", UNBOXED, S(0x80000000)), S(0xffc00000), 0);
    check_flags(FP2("fsgnjx.s", S(0xbf800000), UNBOXED), S(0xbf800000), 0);
    // Not even a signalling NaN in the low half shows through.
    check_flags(FP2("fadd.s", 0x000000007f800001, S(0)), S(0x7fc00000), 0);
    // Bits as they are.
    check(FP_TO_X("fmv.x.w", "", 0x00000000bf800000), 0xffffffffbf800000);
    cell = ~0ull;
    STORE("fsw", 0x123456783f800000);
    check(cell, 0xffffffff3f800000);
    STORE("fsd", 0x123456783f800000);
    check(cell, 0x123456783f800000);
    // A double sees a boxed single as a NaN.
    check_flags(FP2("fadd.d", S(0x3f800000), D_ONE), D_NAN, 0);
    check_flags(FP2("fsgnj.d", S(0x3f800000), 0), 0x7fffffff3f800000, 0);
}
