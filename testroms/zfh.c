// Zfh: half precision, boxed in all upper bits ("Zfh" extension).
#include "float.h"

#define ONE H(0x3c00)
#define H_NAN H(0x7e00)
#define H_INF H(0x7c00)
#define H_MAX H(0x7bff)

static u64 cell;

RULE("zfh") {
    float_on();
    u64 loaded;
    cell = 0x1234567812343c00;
    asm volatile(FARCH "flh ft0, 0(%1)\nfmv.x.d %0, ft0\nfsh ft0, 6(%1)\n.option pop" : "=r"(loaded) : "r"(&cell) : "memory");
    check(loaded, ONE);
    check(cell, 0x3c00567812343c00);
    check(FP_FROM_X("fmv.h.x", "", 0xabcd8000), H(0x8000));
    check(FP_TO_X("fmv.x.h", "", 0x8000), 0xffffffffffff8000);
    check_flags(FP2("fadd.h", ONE, ONE), H(0x4000), 0);
    check_flags(FP2("fdiv.h", ONE, H(0x4200)), H(0x3555), NX);
    check_flags(FP1("fsqrt.h", H(0x4000)), H(0x3da8), NX);
    check_flags(FP2("fmul.h", H_MAX, H(0x4000)), H_INF, OF | NX);
    check_flags(FP2("fmul.h", H(0x0401), H(0x3800)), H(0x0200), UF | NX);
    check_flags(FP2("fdiv.h", ONE, H(0)), H_INF, DZ);
    check_flags(FP2("fsub.h", H_INF, H_INF), H_NAN, NV);
    // (1 + 2^-10)^2 - (1 + 2^-9) = 2^-20.
    check_flags(FP3("fmadd.h", H(0x3c01), H(0x3c01), H(0xbc02)), H(0x0010), 0);
    check_flags(FP2("fmin.h", H(0), H(0x8000)), H(0x8000), 0);
    check_flags(FP_COMPARE("flt.h", ONE, H_NAN), 0, NV);
    check_flags(FP_TO_X("fclass.h", "", H(0x7d00)), BIT(8), 0);
    // Not boxed: a NaN.
    check_flags(FP2("fadd.h", S(0x3c00), ONE), H_NAN, 0);
    check_flags(FP2("fadd.h", 0x3c00, ONE), H_NAN, 0);
    // Conversions.
    check_flags(FP1("fcvt.s.h", ONE), S(0x3f800000), 0);
    check_flags(FP1("fcvt.d.h", H(0x0001)), 0x3e70000000000000, 0);
    check_flags(FP1("fcvt.h.s", S(0x3f801000)), ONE, NX);
    check_flags(FP1("fcvt.h.d", 0x40effc0000000000), H_MAX, 0);
    check_flags(FP1("fcvt.h.d", 0x40effe0000000000), H_INF, OF | NX);
    check_flags(FP1("fcvt.h.d", D_SNAN), H_NAN, NV);
    check_flags(FP_TO_X("fcvt.w.h", ", rtz", H(0xc500)), (u64)-5, 0);
    check_flags(FP_TO_X("fcvt.lu.h", ", rtz", H_INF), 0xffffffffffffffff, NV);
    check_flags(FP_FROM_X("fcvt.h.w", ", rne", 2049), H(0x6800), NX);
    check_flags(FP_FROM_X("fcvt.h.l", ", rup", 2049), H(0x6801), NX);
    check_flags(FP_FROM_X("fcvt.h.lu", ", rtz", ~0ull), H_MAX, OF | NX);
}
