// D: double precision (unprivileged manual, "D Extension for Double-Precision Floating-Point"; fld and fsd are with the loads and stores).

import EmuIR

extension RVTable {
    /// D: double precision.
    static let d: [RVInstruction] = [
        .init("fld",       "iiiiiiiiiiii sssss 011 ddddd 0000111", .all(.d), .loadFloat, .fld),
        .init("fsd",       "iiiiiii ttttt sssss 011 iiiii 0100111", .all(.d), .storeFloat, .fsd),
        .init("fmadd.d",   "eeeee 01 ttttt sssss mmm ddddd 1000011", .all(.d), .fused, .fmadd_d),
        .init("fmsub.d",   "eeeee 01 ttttt sssss mmm ddddd 1000111", .all(.d), .fused, .fmsub_d),
        .init("fnmsub.d",  "eeeee 01 ttttt sssss mmm ddddd 1001011", .all(.d), .fused, .fnmsub_d),
        .init("fnmadd.d",  "eeeee 01 ttttt sssss mmm ddddd 1001111", .all(.d), .fused, .fnmadd_d),
        .init("fadd.d",    "00000 01 ttttt sssss mmm ddddd 1010011", .all(.d), .fffRounded, .fadd_d),
        .init("fsub.d",    "00001 01 ttttt sssss mmm ddddd 1010011", .all(.d), .fffRounded, .fsub_d),
        .init("fmul.d",    "00010 01 ttttt sssss mmm ddddd 1010011", .all(.d), .fffRounded, .fmul_d),
        .init("fdiv.d",    "00011 01 ttttt sssss mmm ddddd 1010011", .all(.d), .fffRounded, .fdiv_d),
        .init("fsqrt.d",   "01011 01 00000 sssss mmm ddddd 1010011", .all(.d), .ffRounded, .fsqrt_d),
        .init("fsgnj.d",   "00100 01 ttttt sssss 000 ddddd 1010011", .all(.d), .fff, .fsgnj_d),
        .init("fsgnjn.d",  "00100 01 ttttt sssss 001 ddddd 1010011", .all(.d), .fff, .fsgnjn_d),
        .init("fsgnjx.d",  "00100 01 ttttt sssss 010 ddddd 1010011", .all(.d), .fff, .fsgnjx_d),
        .init("fmin.d",    "00101 01 ttttt sssss 000 ddddd 1010011", .all(.d), .fff, .fmin_d),
        .init("fmax.d",    "00101 01 ttttt sssss 001 ddddd 1010011", .all(.d), .fff, .fmax_d),
        .init("fcvt.s.d",  "01000 00 00001 sssss mmm ddddd 1010011", .all(.d), .ffRounded, .fcvt_s_d),
        .init("fcvt.d.s",  "01000 01 00000 sssss mmm ddddd 1010011", .all(.d), .ffExact, .fcvt_d_s),
        .init("feq.d",     "10100 01 ttttt sssss 010 ddddd 1010011", .all(.d), .xff, .feq_d),
        .init("flt.d",     "10100 01 ttttt sssss 001 ddddd 1010011", .all(.d), .xff, .flt_d),
        .init("fle.d",     "10100 01 ttttt sssss 000 ddddd 1010011", .all(.d), .xff, .fle_d),
        .init("fclass.d",  "11100 01 00000 sssss 001 ddddd 1010011", .all(.d), .xf, .fclass_d),
        .init("fcvt.w.d",  "11000 01 00000 sssss mmm ddddd 1010011", .all(.d), .xfRounded, .fcvt_w_d),
        .init("fcvt.wu.d", "11000 01 00001 sssss mmm ddddd 1010011", .all(.d), .xfRounded, .fcvt_wu_d),
        .init("fcvt.d.w",  "11010 01 00000 sssss mmm ddddd 1010011", .all(.d), .fxExact, .fcvt_d_w),
        .init("fcvt.d.wu", "11010 01 00001 sssss mmm ddddd 1010011", .all(.d), .fxExact, .fcvt_d_wu),
        .init("fcvt.l.d",  "11000 01 00010 sssss mmm ddddd 1010011", .all(.d), .xfRounded, .fcvt_l_d),
        .init("fcvt.lu.d", "11000 01 00011 sssss mmm ddddd 1010011", .all(.d), .xfRounded, .fcvt_lu_d),
        .init("fmv.x.d",   "11100 01 00000 sssss 000 ddddd 1010011", .all(.d), .xf, .fmv_x_d),
        .init("fcvt.d.l",  "11010 01 00010 sssss mmm ddddd 1010011", .all(.d), .fxRounded, .fcvt_d_l),
        .init("fcvt.d.lu", "11010 01 00011 sssss mmm ddddd 1010011", .all(.d), .fxRounded, .fcvt_d_lu),
        .init("fmv.d.x",   "11110 01 00000 sssss 000 ddddd 1010011", .all(.d), .fx, .fmv_d_x),
    ]
}

extension RVProcessor {
    /// Rows of D; false if the instruction raised a trap.
    func executeD(_ op: RVOp, _ r: DecodedOp) -> Bool {
        switch op {
        case .fmadd_d: floatMultiplyAdd(Binary64.self, r, negatingProduct: false, negatingAddend: false)
        case .fmsub_d: floatMultiplyAdd(Binary64.self, r, negatingProduct: false, negatingAddend: true)
        case .fnmsub_d: floatMultiplyAdd(Binary64.self, r, negatingProduct: true, negatingAddend: false)
        case .fnmadd_d: floatMultiplyAdd(Binary64.self, r, negatingProduct: true, negatingAddend: true)
        case .fadd_d: floatBinary(Binary64.self, r) { Binary64.add($0, $1, $2, &$3) }
        case .fsub_d: floatBinary(Binary64.self, r) { Binary64.subtract($0, $1, $2, &$3) }
        case .fmul_d: floatBinary(Binary64.self, r) { Binary64.multiply($0, $1, $2, &$3) }
        case .fdiv_d: floatBinary(Binary64.self, r) { Binary64.divide($0, $1, $2, &$3) }
        case .fsqrt_d: floatUnary(Binary64.self, r) { Binary64.squareRoot($0, $1, &$2) }
        case .fsgnj_d: floatSign(Binary64.self, r) { Binary64.copySign($0, $1) }
        case .fsgnjn_d: floatSign(Binary64.self, r) { Binary64.copyNegatedSign($0, $1) }
        case .fsgnjx_d: floatSign(Binary64.self, r) { Binary64.multiplySign($0, $1) }
        case .fmin_d: floatSelect(Binary64.self, r) { Binary64.minimum($0, $1, &$2) }
        case .fmax_d: floatSelect(Binary64.self, r) { Binary64.maximum($0, $1, &$2) }
        case .feq_d: floatCompare(Binary64.self, r) { Binary64.isEqual($0, $1, &$2) }
        case .flt_d: floatCompare(Binary64.self, r) { Binary64.isLess($0, $1, &$2) }
        case .fle_d: floatCompare(Binary64.self, r) { Binary64.isLessOrEqual($0, $1, &$2) }
        case .fclass_d: floatClassify(Binary64.self, r)
        case .fcvt_w_d: floatToInteger(Binary64.self, r, as: Int32.self)
        case .fcvt_wu_d: floatToInteger(Binary64.self, r, as: UInt32.self)
        case .fcvt_l_d: floatToInteger(Binary64.self, r, as: Int64.self)
        case .fcvt_lu_d: floatToInteger(Binary64.self, r, as: UInt64.self)
        case .fcvt_d_w: floatFromInteger(Binary64.self, r, as: Int32.self)
        case .fcvt_d_wu: floatFromInteger(Binary64.self, r, as: UInt32.self)
        case .fcvt_d_l: floatFromInteger(Binary64.self, r, as: Int64.self)
        case .fcvt_d_lu: floatFromInteger(Binary64.self, r, as: UInt64.self)
        case .fmv_x_d: moveToInteger(r, f[Int(r.rs1)])
        case .fmv_d_x: floatLoadBits(Binary64.self, r, x[Int(r.rs1)])
        case .fcvt_s_d: floatConvert(Binary32.self, from: Binary64.self, r) { Binary64.convert($0, to: Binary32.self, $1, &$2) }
        case .fcvt_d_s: floatConvert(Binary64.self, from: Binary32.self, r) { Binary32.convert($0, to: Binary64.self, $1, &$2) }
        default: illegal(r)
        }
    }
}

extension RVTranslator {
    /// Lowers D. Rounding in a mode the instruction fixes is left to the interpreter, except truncation to an integer.
    mutating func lowerD(_ op: RVOp, _ r: DecodedOp) {
        switch op {
        case .fld: loadFloat(.loadf64, r)
        case .fsd: storeFloat(.storef64, r)
        case .fmadd_d: roundedFused(.fmaddD, r)
        case .fmsub_d: roundedFused(.fmsubD, r)
        case .fnmsub_d: roundedFused(.fnmsubD, r)
        case .fnmadd_d: roundedFused(.fnmaddD, r)
        case .fadd_d: roundedBinary(.faddD, r)
        case .fsub_d: roundedBinary(.fsubD, r)
        case .fmul_d: roundedBinary(.fmulD, r)
        case .fdiv_d: roundedBinary(.fdivD, r)
        case .fsqrt_d: roundedUnary(.fsqrtD, r)
        case .fsgnj_d: floatBinary(.fsgnjD, r)
        case .fsgnjn_d: floatBinary(.fsgnjnD, r)
        case .fsgnjx_d: floatBinary(.fsgnjxD, r)
        case .fmin_d: floatBinary(.fminD, r)
        case .fmax_d: floatBinary(.fmaxD, r)
        case .feq_d: floatCompare(.feqD, r)
        case .flt_d: floatCompare(.fltD, r)
        case .fle_d: floatCompare(.fleD, r)
        case .fcvt_w_d: roundedToInteger(.fcvtI32DtoX_r, towardsZero: .fcvtI32DtoX_t, r)
        case .fcvt_l_d: roundedToInteger(.fcvtI64DtoX_r, towardsZero: .fcvtI64DtoX_t, r)
        case .fcvt_d_w: exact(.fcvtI32toD, r, source(r.rs1))
        case .fcvt_d_wu: exact(.fcvtU32toD, r, source(r.rs1))
        case .fcvt_d_l: roundedFromInteger(.fcvtI64toD, r)
        case .fcvt_d_s: exact(.fcvtStoD, r, .float(r.rs1))
        case .fcvt_s_d: roundedUnary(.fcvtDtoS, r)
        case .fmv_x_d: bitsToInteger(.movFtoX, r)
        case .fmv_d_x: bitsToFloat(.movXtoF, r)
        default: interpret()
        }
    }
}
