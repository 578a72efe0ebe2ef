// F: single precision (unprivileged manual, "F Extension for Single-Precision Floating-Point"; flw and fsw are with the loads and stores).

import EmuIR

extension RVTable {
    /// F: single precision.
    static let f: [RVInstruction] = [
        .init("flw",       "iiiiiiiiiiii sssss 010 ddddd 0000111", .all(.f), .loadFloat, .flw),
        .init("fsw",       "iiiiiii ttttt sssss 010 iiiii 0100111", .all(.f), .storeFloat, .fsw),
        .init("fmadd.s",   "eeeee 00 ttttt sssss mmm ddddd 1000011", .all(.f), .fused, .fmadd_s),
        .init("fmsub.s",   "eeeee 00 ttttt sssss mmm ddddd 1000111", .all(.f), .fused, .fmsub_s),
        .init("fnmsub.s",  "eeeee 00 ttttt sssss mmm ddddd 1001011", .all(.f), .fused, .fnmsub_s),
        .init("fnmadd.s",  "eeeee 00 ttttt sssss mmm ddddd 1001111", .all(.f), .fused, .fnmadd_s),
        .init("fadd.s",    "00000 00 ttttt sssss mmm ddddd 1010011", .all(.f), .fffRounded, .fadd_s),
        .init("fsub.s",    "00001 00 ttttt sssss mmm ddddd 1010011", .all(.f), .fffRounded, .fsub_s),
        .init("fmul.s",    "00010 00 ttttt sssss mmm ddddd 1010011", .all(.f), .fffRounded, .fmul_s),
        .init("fdiv.s",    "00011 00 ttttt sssss mmm ddddd 1010011", .all(.f), .fffRounded, .fdiv_s),
        .init("fsqrt.s",   "01011 00 00000 sssss mmm ddddd 1010011", .all(.f), .ffRounded, .fsqrt_s),
        .init("fsgnj.s",   "00100 00 ttttt sssss 000 ddddd 1010011", .all(.f), .fff, .fsgnj_s),
        .init("fsgnjn.s",  "00100 00 ttttt sssss 001 ddddd 1010011", .all(.f), .fff, .fsgnjn_s),
        .init("fsgnjx.s",  "00100 00 ttttt sssss 010 ddddd 1010011", .all(.f), .fff, .fsgnjx_s),
        .init("fmin.s",    "00101 00 ttttt sssss 000 ddddd 1010011", .all(.f), .fff, .fmin_s),
        .init("fmax.s",    "00101 00 ttttt sssss 001 ddddd 1010011", .all(.f), .fff, .fmax_s),
        .init("fcvt.w.s",  "11000 00 00000 sssss mmm ddddd 1010011", .all(.f), .xfRounded, .fcvt_w_s),
        .init("fcvt.wu.s", "11000 00 00001 sssss mmm ddddd 1010011", .all(.f), .xfRounded, .fcvt_wu_s),
        .init("fmv.x.w",   "11100 00 00000 sssss 000 ddddd 1010011", .all(.f), .xf, .fmv_x_w),
        .init("feq.s",     "10100 00 ttttt sssss 010 ddddd 1010011", .all(.f), .xff, .feq_s),
        .init("flt.s",     "10100 00 ttttt sssss 001 ddddd 1010011", .all(.f), .xff, .flt_s),
        .init("fle.s",     "10100 00 ttttt sssss 000 ddddd 1010011", .all(.f), .xff, .fle_s),
        .init("fclass.s",  "11100 00 00000 sssss 001 ddddd 1010011", .all(.f), .xf, .fclass_s),
        .init("fcvt.s.w",  "11010 00 00000 sssss mmm ddddd 1010011", .all(.f), .fxRounded, .fcvt_s_w),
        .init("fcvt.s.wu", "11010 00 00001 sssss mmm ddddd 1010011", .all(.f), .fxRounded, .fcvt_s_wu),
        .init("fmv.w.x",   "11110 00 00000 sssss 000 ddddd 1010011", .all(.f), .fx, .fmv_w_x),
        .init("fcvt.l.s",  "11000 00 00010 sssss mmm ddddd 1010011", .all(.f), .xfRounded, .fcvt_l_s),
        .init("fcvt.lu.s", "11000 00 00011 sssss mmm ddddd 1010011", .all(.f), .xfRounded, .fcvt_lu_s),
        .init("fcvt.s.l",  "11010 00 00010 sssss mmm ddddd 1010011", .all(.f), .fxRounded, .fcvt_s_l),
        .init("fcvt.s.lu", "11010 00 00011 sssss mmm ddddd 1010011", .all(.f), .fxRounded, .fcvt_s_lu),
    ]
}

extension RVProcessor {
    /// Rows of F; false if the instruction raised a trap.
    func executeF(_ op: RVOp, _ r: DecodedOp) -> Bool {
        switch op {
        case .fmadd_s: floatMultiplyAdd(Binary32.self, r, negatingProduct: false, negatingAddend: false)
        case .fmsub_s: floatMultiplyAdd(Binary32.self, r, negatingProduct: false, negatingAddend: true)
        case .fnmsub_s: floatMultiplyAdd(Binary32.self, r, negatingProduct: true, negatingAddend: false)
        case .fnmadd_s: floatMultiplyAdd(Binary32.self, r, negatingProduct: true, negatingAddend: true)
        case .fadd_s: floatBinary(Binary32.self, r) { Binary32.add($0, $1, $2, &$3) }
        case .fsub_s: floatBinary(Binary32.self, r) { Binary32.subtract($0, $1, $2, &$3) }
        case .fmul_s: floatBinary(Binary32.self, r) { Binary32.multiply($0, $1, $2, &$3) }
        case .fdiv_s: floatBinary(Binary32.self, r) { Binary32.divide($0, $1, $2, &$3) }
        case .fsqrt_s: floatUnary(Binary32.self, r) { Binary32.squareRoot($0, $1, &$2) }
        case .fsgnj_s: floatSign(Binary32.self, r) { Binary32.copySign($0, $1) }
        case .fsgnjn_s: floatSign(Binary32.self, r) { Binary32.copyNegatedSign($0, $1) }
        case .fsgnjx_s: floatSign(Binary32.self, r) { Binary32.multiplySign($0, $1) }
        case .fmin_s: floatSelect(Binary32.self, r) { Binary32.minimum($0, $1, &$2) }
        case .fmax_s: floatSelect(Binary32.self, r) { Binary32.maximum($0, $1, &$2) }
        case .feq_s: floatCompare(Binary32.self, r) { Binary32.isEqual($0, $1, &$2) }
        case .flt_s: floatCompare(Binary32.self, r) { Binary32.isLess($0, $1, &$2) }
        case .fle_s: floatCompare(Binary32.self, r) { Binary32.isLessOrEqual($0, $1, &$2) }
        case .fclass_s: floatClassify(Binary32.self, r)
        case .fcvt_w_s: floatToInteger(Binary32.self, r, as: Int32.self)
        case .fcvt_wu_s: floatToInteger(Binary32.self, r, as: UInt32.self)
        case .fcvt_l_s: floatToInteger(Binary32.self, r, as: Int64.self)
        case .fcvt_lu_s: floatToInteger(Binary32.self, r, as: UInt64.self)
        case .fcvt_s_w: floatFromInteger(Binary32.self, r, as: Int32.self)
        case .fcvt_s_wu: floatFromInteger(Binary32.self, r, as: UInt32.self)
        case .fcvt_s_l: floatFromInteger(Binary32.self, r, as: Int64.self)
        case .fcvt_s_lu: floatFromInteger(Binary32.self, r, as: UInt64.self)
        case .fmv_x_w: moveToInteger(r, UInt64(bitPattern: Int64(Int32(truncatingIfNeeded: f[Int(r.rs1)]))))
        case .fmv_w_x: floatLoadBits(Binary32.self, r, x[Int(r.rs1)])
        default: illegal(r)
        }
    }
}

extension RVTranslator {
    /// Lowers F. Rounding in a mode the instruction fixes is left to the interpreter, except truncation to an integer.
    mutating func lowerF(_ op: RVOp, _ r: DecodedOp) {
        switch op {
        case .flw: loadFloat(.loadf32, r)
        case .fsw: storeFloat(.storef32, r)
        case .fmadd_s: roundedFused(.fmaddS, r)
        case .fmsub_s: roundedFused(.fmsubS, r)
        case .fnmsub_s: roundedFused(.fnmsubS, r)
        case .fnmadd_s: roundedFused(.fnmaddS, r)
        case .fadd_s: roundedBinary(.faddS, r)
        case .fsub_s: roundedBinary(.fsubS, r)
        case .fmul_s: roundedBinary(.fmulS, r)
        case .fdiv_s: roundedBinary(.fdivS, r)
        case .fsqrt_s: roundedUnary(.fsqrtS, r)
        case .fsgnj_s: floatBinary(.fsgnjS, r)
        case .fsgnjn_s: floatBinary(.fsgnjnS, r)
        case .fsgnjx_s: floatBinary(.fsgnjxS, r)
        case .fmin_s: floatBinary(.fminS, r)
        case .fmax_s: floatBinary(.fmaxS, r)
        case .feq_s: floatCompare(.feqS, r)
        case .flt_s: floatCompare(.fltS, r)
        case .fle_s: floatCompare(.fleS, r)
        case .fcvt_w_s: roundedToInteger(.fcvtI32StoX_r, towardsZero: .fcvtI32StoX_t, r)
        case .fcvt_l_s: roundedToInteger(.fcvtI64StoX_r, towardsZero: .fcvtI64StoX_t, r)
        case .fcvt_s_w: roundedFromInteger(.fcvtI32toS, r)
        case .fcvt_s_wu: roundedFromInteger(.fcvtU32toS, r)
        case .fcvt_s_l: roundedFromInteger(.fcvtI64toS, r)
        case .fmv_x_w: bitsToInteger(.movF32toX, r)
        case .fmv_w_x: bitsToFloat(.movX32toF, r)
        default: interpret()
        }
    }
}
