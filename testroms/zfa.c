// Zfa: constants, quiet comparisons, minimum and maximum that keep NaNs, rounding to integers, modular conversion ("Zfa" extension).
#include "float.h"

#define FLI(suffix, text) ({ u64 r_; asm volatile(FARCH "fli." suffix " ft0, " text "\nfmv.x.d %0, ft0\n.option pop" : "=r"(r_)); r_; })
#define ROUND(instruction, mode, a) ({ u64 r_; asm volatile(FARCH "fmv.d.x ft0, %1\n" instruction " ft3, ft0, " mode "\nfmv.x.d %0, ft3\n.option pop" : "=r"(r_) : "r"((u64)(a))); r_; })
#define FLI_D(i) ({ u64 r_; asm volatile(FARCH ".word 0xf2100053 | " STRING(i) " << 15\nfmv.x.d %0, ft0\n.option pop" : "=r"(r_)); r_; })

RULE("zfa") {
    float_on();
    // The constants of all 32 numbers as doubles.
    check(FLI_D(0), 0xbff0000000000000);
    check(FLI_D(1), 0x0010000000000000);
    check(FLI_D(2), 0x3ef0000000000000);
    check(FLI_D(3), 0x3f00000000000000);
    check(FLI_D(4), 0x3f70000000000000);
    check(FLI_D(5), 0x3f80000000000000);
    check(FLI_D(6), 0x3fb0000000000000);
    check(FLI_D(7), 0x3fc0000000000000);
    check(FLI_D(8), 0x3fd0000000000000);
    check(FLI_D(9), 0x3fd4000000000000);
    check(FLI_D(10), 0x3fd8000000000000);
    check(FLI_D(11), 0x3fdc000000000000);
    check(FLI_D(12), 0x3fe0000000000000);
    check(FLI_D(13), 0x3fe4000000000000);
    check(FLI_D(14), 0x3fe8000000000000);
    check(FLI_D(15), 0x3fec000000000000);
    check(FLI_D(16), 0x3ff0000000000000);
    check(FLI_D(17), 0x3ff4000000000000);
    check(FLI_D(18), 0x3ff8000000000000);
    check(FLI_D(19), 0x3ffc000000000000);
    check(FLI_D(20), 0x4000000000000000);
    check(FLI_D(21), 0x4004000000000000);
    check(FLI_D(22), 0x4008000000000000);
    check(FLI_D(23), 0x4010000000000000);
    check(FLI_D(24), 0x4020000000000000);
    check(FLI_D(25), 0x4030000000000000);
    check(FLI_D(26), 0x4060000000000000);
    check(FLI_D(27), 0x4070000000000000);
    check(FLI_D(28), 0x40e0000000000000);
    check(FLI_D(29), 0x40f0000000000000);
    check(FLI_D(30), D_INF);
    check(FLI_D(31), D_NAN);
    check(FLI("s", "min"), S(0x00800000));
    check(FLI("s", "inf"), S(0x7f800000));
    check(FLI("h", "min"), H(0x0400));
    check(FLI("h", "65536.0"), H(0x7c00));
    check(flags(), 0);
    // Quiet comparisons.
    check_flags(FP_COMPARE("fltq.d", D_NAN, D_ONE), 0, 0);
    check_flags(FP_COMPARE("fleq.d", D_SNAN, D_ONE), 0, NV);
    check_flags(FP_COMPARE("fleq.s", S(0x3f800000), S(0x3f800000)), 1, 0);
    // A NaN wins.
    check_flags(FP2("fminm.d", D_NAN, D_ONE), D_NAN, 0);
    check_flags(FP2("fmaxm.d", D_ONE, D_SNAN), D_NAN, NV);
    check_flags(FP2("fminm.d", 0, NEGATIVE), NEGATIVE, 0);
    check_flags(FP2("fmaxm.s", S(0x3f800000), S(0x40000000)), S(0x40000000), 0);
    // Rounding to an integer; only froundnx is inexact.
    check_flags(ROUND("fround.d", "rne", 0x4004000000000000), D_TWO, 0);
    check_flags(ROUND("fround.d", "rmm", 0x4004000000000000), 0x4008000000000000, 0);
    check_flags(ROUND("froundnx.d", "rup", 0x3fb999999999999a), D_ONE, NX);
    check_flags(ROUND("froundnx.d", "rtz", 0xbfe0000000000000), NEGATIVE, NX);
    check_flags(ROUND("froundnx.d", "rtz", D_TWO), D_TWO, 0);
    check_flags(ROUND("fround.d", "rne", D_SNAN), D_NAN, NV);
    check_flags(ROUND("fround.s", "rdn", S(0xbf000000)), S(0xbf800000), 0);
    // Modulo 2^32, with NV where it does not fit.
    check_flags(FP_TO_X("fcvtmod.w.d", ", rtz", 0x41f0000000100000), 1, NV);
    check_flags(FP_TO_X("fcvtmod.w.d", ", rtz", 0x3ff8000000000000), 1, NX);
    check_flags(FP_TO_X("fcvtmod.w.d", ", rtz", 0xc1e0000000000000), 0xffffffff80000000, 0);
    check_flags(FP_TO_X("fcvtmod.w.d", ", rtz", 0x41e0000000000000), 0xffffffff80000000, NV);
    check_flags(FP_TO_X("fcvtmod.w.d", ", rtz", D_INF), 0, NV);
    check_flags(FP_TO_X("fcvtmod.w.d", ", rtz", D_NAN), 0, NV);
}
