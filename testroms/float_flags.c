// Results and all five flags of double and single precision in the corner cases of IEEE 754; underflow is detected after rounding
// (unprivileged manual, "F" and "D" extensions).
#include "float.h"

RULE("float_flags") {
    float_on();
    // Invalid.
    check_flags(FP2("fsub.d", D_INF, D_INF), D_NAN, NV);
    check_flags(FP2("fmul.d", 0, D_INF), D_NAN, NV);
    check_flags(FP2("fdiv.d", 0, 0), D_NAN, NV);
    check_flags(FP2("fdiv.d", D_INF, D_INF | NEGATIVE), D_NAN, NV);
    check_flags(FP1("fsqrt.d", D_ONE | NEGATIVE), D_NAN, NV);
    check_flags(FP2("fadd.d", D_SNAN, D_ONE), D_NAN, NV);
    // A quiet NaN is no exception, and its payload is not kept.
    check_flags(FP2("fadd.d", 0xfff8000000001234, D_ONE), D_NAN, 0);
    check_flags(FP1("fsqrt.d", NEGATIVE), NEGATIVE, 0);
    // Division by zero is for finite numbers.
    check_flags(FP2("fdiv.d", D_ONE, 0), D_INF, DZ);
    check_flags(FP2("fdiv.d", D_ONE, NEGATIVE), D_INF | NEGATIVE, DZ);
    check_flags(FP2("fdiv.d", D_INF, 0), D_INF, 0);
    // Inexact.
    check_flags(FP2("fdiv.d", D_ONE, 0x4008000000000000), 0x3fd5555555555555, NX);
    check_flags(FP1("fsqrt.d", D_TWO), 0x3ff6a09e667f3bcd, NX);
    check_flags(FP2("fadd.d", 0x3fb999999999999a, 0x3fc999999999999a), 0x3fd3333333333334, NX);
    // Underflow: not for exact subnormals; for inexact ones; not where rounding reaches the smallest normal number.
    check_flags(FP2("fmul.d", 0x0010000000000000, D_HALF), 0x0008000000000000, 0);
    check_flags(FP2("fmul.d", 0x0010000000000001, D_HALF), 0x0008000000000000, UF | NX);
    check_flags(FP2("fmul.d", 0x001fffffffffffff, D_HALF), 0x0010000000000000, UF | NX);
    check_flags(FP2("fmul.d", 0x1ffffffffc000000, 0x2000000002000000), 0x0010000000000000, NX);
    check_flags(FP2("fmul.d", 1, D_HALF), 0, UF | NX);
    // Fused: one rounding. (1 + 2^-52)^2 - (1 + 2^-51) = 2^-104.
    check_flags(FP3("fmsub.d", 0x3ff0000000000001, 0x3ff0000000000001, 0x3ff0000000000002), 0x3970000000000000, 0);
    check_flags(FP3("fnmadd.d", D_ONE, D_TWO, D_ONE), 0xc008000000000000, 0);
    check_flags(FP3("fnmsub.d", D_ONE, D_TWO, D_ONE), 0xbff0000000000000, 0);
    check_flags(FP3("fmadd.d", 0, D_INF, D_NAN), D_NAN, NV);
    check_flags(FP3("fmadd.d", D_INF, D_ONE, D_INF | NEGATIVE), D_NAN, NV);
    check_flags(FP3("fmadd.d", D_ONE, NEGATIVE, NEGATIVE), NEGATIVE, 0);
    // Minimum and maximum: the number beats a NaN, a signalling one is invalid, -0 < +0.
    check_flags(FP2("fmin.d", D_NAN, D_ONE), D_ONE, 0);
    check_flags(FP2("fmax.d", D_ONE, D_SNAN), D_ONE, NV);
    check_flags(FP2("fmin.d", D_NAN, 0xfff8000000000000), D_NAN, 0);
    check_flags(FP2("fmin.d", 0, NEGATIVE), NEGATIVE, 0);
    check_flags(FP2("fmax.d", NEGATIVE, 0), 0, 0);
    // Comparisons: feq is quiet, flt and fle signal.
    check_flags(FP_COMPARE("feq.d", D_NAN, D_NAN), 0, 0);
    check_flags(FP_COMPARE("feq.d", D_SNAN, D_ONE), 0, NV);
    check_flags(FP_COMPARE("flt.d", D_NAN, D_ONE), 0, NV);
    check_flags(FP_COMPARE("fle.d", NEGATIVE, 0), 1, 0);
    check_flags(FP_COMPARE("feq.d", NEGATIVE, 0), 1, 0);
    // Classes, one bit each.
    static const u64 classes[] = { D_INF | NEGATIVE, D_ONE | NEGATIVE, 1 | NEGATIVE, NEGATIVE, 0, 1, D_ONE, D_INF, D_SNAN, D_NAN };
    for (u64 i = 0; i < 10; i++) check_flags(FP_TO_X("fclass.d", "", classes[i]), BIT(i), 0);
    // Conversions saturate with NV and are inexact otherwise; 32-bit results are sign-extended, also unsigned ones.
    check_flags(FP_TO_X("fcvt.w.d", ", rtz", D_NAN), 0x7fffffff, NV);
    check_flags(FP_TO_X("fcvt.w.d", ", rtz", D_INF | NEGATIVE), 0xffffffff80000000, NV);
    check_flags(FP_TO_X("fcvt.wu.d", ", rtz", 0xbff0000000000000), 0, NV);
    check_flags(FP_TO_X("fcvt.wu.d", ", rtz", 0xbfe0000000000000), 0, NX);
    check_flags(FP_TO_X("fcvt.wu.d", ", rtz", 0x41efffffffe00000), 0xffffffffffffffff, 0);
    check_flags(FP_TO_X("fcvt.wu.d", ", rtz", 0x41f0000000000000), 0xffffffffffffffff, NV);
    check_flags(FP_TO_X("fcvt.l.d", ", rtz", 0x43e0000000000000), 0x7fffffffffffffff, NV);
    check_flags(FP_TO_X("fcvt.l.d", ", rtz", 0xc3e0000000000000), 0x8000000000000000, 0);
    check_flags(FP_TO_X("fcvt.lu.d", ", rtz", 0x43efffffffffffff), 0xfffffffffffff800, 0);
    check_flags(FP_TO_X("fcvt.lu.d", ", rtz", D_NAN), 0xffffffffffffffff, NV);
    check_flags(FP_FROM_X("fcvt.d.l", ", rne", 0x7fffffffffffffff), 0x43e0000000000000, NX);
    check_flags(FP_FROM_X("fcvt.d.lu", ", rne", 0xffffffffffffffff), 0x43f0000000000000, NX);
    check_flags(FP_FROM_X("fcvt.d.w", "", 0x1234567880000000), 0xc1e0000000000000, 0);
    check_flags(FP_FROM_X("fcvt.d.wu", "", 0x1234567880000000), 0x41e0000000000000, 0);
    // Single precision.
    check_flags(FP2("fdiv.s", S(0x3f800000), S(0x40400000)), S(0x3eaaaaab), NX);
    check_flags(FP1("fsqrt.s", S(0x40000000)), S(0x3fb504f3), NX);
    check_flags(FP2("fmul.s", S(0x7f7fffff), S(0x40000000)), S(0x7f800000), OF | NX);
    check_flags(FP2("fmul.s", S(0x00800001), S(0x3f000000)), S(0x00400000), UF | NX);
    check_flags(FP2("fadd.s", S(0x7f800001), S(0)), S(0x7fc00000), NV);
    check_flags(FP1("fcvt.s.d", 0x3ff0000010000000), S(0x3f800000), NX);
    check_flags(FP1("fcvt.s.d", 0x7ff4000000000000), S(0x7fc00000), NV);
    check_flags(FP1("fcvt.s.d", D_MAX), S(0x7f800000), OF | NX);
    check_flags(FP1("fcvt.d.s", S(0x00000001)), 0x36a0000000000000, 0);
    check_flags(FP1("fcvt.d.s", S(0xff800000)), D_INF | NEGATIVE, 0);
    check_flags(FP_FROM_X("fcvt.s.l", ", rne", 16777217), S(0x4b800000), NX);
    check_flags(FP_FROM_X("fcvt.s.l", ", rup", 16777217), S(0x4b800001), NX);
    // Flags add up until they are cleared.
    FP2("fdiv.d", D_ONE, 0);
    FP2("fadd.d", D_SNAN, 0);
    FP1("fsqrt.d", D_TWO);
    check(flags(), DZ | NV | NX);
    check(flags(), 0);
}
