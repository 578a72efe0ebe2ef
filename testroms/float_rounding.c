// The five rounding modes, static and dynamic, and the reserved ones (unprivileged manual, "F" extension, "Floating-Point Control and
// Status Register").
#include "float.h"

RULE("float_rounding") {
    float_on();
    // 1 + 2^-53, half way between two numbers; and its negative.
    static const u64 up = 0x3ff0000000000001, tiny = 0x3ca0000000000000;
    static const u64 positive[] = { D_ONE, D_ONE, D_ONE, up, up };
    static const u64 negative[] = { D_ONE, D_ONE, up, D_ONE, up };
    for (u64 mode = RNE; mode <= RMM; mode++) {
        rounding(mode);
        check_flags(FP2("fadd.d", D_ONE, tiny), positive[mode], NX);
        check_flags(FP2("fsub.d", D_ONE | NEGATIVE, tiny), negative[mode] | NEGATIVE, NX);
        // Exact results are the same in all modes, and raise nothing.
        check_flags(FP2("fadd.d", D_ONE, D_ONE), D_TWO, 0);
        // x - x is +0, but -0 when rounding down.
        check_flags(FP2("fsub.d", D_ONE, D_ONE), mode == RDN ? NEGATIVE : 0, 0);
    }
    // Just above half way there is no tie.
    rounding(RNE);
    check_flags(FP2("fadd.d", D_ONE, tiny + 1), up, NX);
    // Ties to even, upwards.
    check_flags(FP2("fadd.d", up, tiny), up + 1, NX);
    // A mode in the instruction goes before frm.
    rounding(RUP);
    check_flags(FP_TO_X("fcvt.w.d", ", rtz", 0x3ff8000000000000), 1, NX);
    check_flags(FP_TO_X("fcvt.w.d", ", dyn", 0x3ff8000000000000), 2, NX);
    check_flags(FP_TO_X("fcvt.w.d", ", rne", 0x4004000000000000), 2, NX);
    check_flags(FP_TO_X("fcvt.w.d", ", rmm", 0x4004000000000000), 3, NX);
    check_flags(FP_TO_X("fcvt.w.d", ", rdn", 0xbff8000000000000), (u64)-2, NX);
    check_flags(FP_TO_X("fcvt.w.d", ", rup", 0xbff8000000000000), (u64)-1, NX);
    check_flags(FP_TO_X("fcvt.w.d", ", rmm", 0xbff8000000000000), (u64)-2, NX);
    // Overflow: to infinity or to the largest number, by the mode and the sign.
    static const u64 high[] = { D_INF, D_MAX, D_MAX, D_INF, D_INF }, low[] = { D_INF, D_MAX, D_INF, D_MAX, D_INF };
    for (u64 mode = RNE; mode <= RMM; mode++) {
        rounding(mode);
        check_flags(FP2("fadd.d", D_MAX, D_MAX), high[mode], OF | NX);
        check_flags(FP2("fmul.d", D_MAX | NEGATIVE, D_TWO), low[mode] | NEGATIVE, OF | NX);
    }
    // Modes 5, 6 and 7 in frm trap where they would be used, and only there.
    for (u64 mode = 5; mode <= 7; mode++) {
        rounding(mode);
        check(csr_read(0x002), mode);
        check(TRAP_OF(".option arch, +d\nfadd.d ft0, ft0, ft0"), ILLEGAL);
        check(TRAP_OF(".option arch, +d\nfcvt.w.d t0, ft0, dyn", ::: "t0"), ILLEGAL);
        check(TRAP_OF(".option arch, +d\nfadd.d ft0, ft0, ft0, rne"), NO_TRAP);
        check(TRAP_OF(".option arch, +d\nfsgnj.d ft0, ft0, ft0"), NO_TRAP);
        check(TRAP_OF(".option arch, +d\nfmax.d ft0, ft0, ft0"), NO_TRAP);
    }
    rounding(RNE);
    // Static modes 5 and 6 are reserved.
    check(TRAP_OF(".insn r 0x53, 5, 1, f0, f0, f0"), ILLEGAL);
    check(TRAP_OF(".insn r 0x53, 6, 1, f0, f0, f0"), ILLEGAL);
    // fcsr holds both fields and nothing else.
    check(csr_try(0x003, ~0ull), 0xff);
    check(csr_read(0x001), 31);
    check(csr_read(0x002), 7);
    csr_write(0x001, 0);
    check(csr_read(0x003), 0xe0);
}
