// Zfh and its subset Zfhmin: half precision (unprivileged manual, chapters of those names; flh and fsh are with the loads and stores).

import EmuIR

extension RVTable {
    /// Zfh, and the moves and conversions Zfhmin has of it.
    static let zfh: [RVInstruction] = [
        .init("flh",       "iiiiiiiiiiii sssss 001 ddddd 0000111", .halfMoves, .loadFloat, .flh),
        .init("fsh",       "iiiiiii ttttt sssss 001 iiiii 0100111", .halfMoves, .storeFloat, .fsh),
        .init("fcvt.s.h",  "01000 00 00010 sssss mmm ddddd 1010011", .zfhmin, .ffExact, .fcvt_s_h),
        .init("fcvt.h.s",  "01000 10 00000 sssss mmm ddddd 1010011", .zfhmin, .ffRounded, .fcvt_h_s),
        .init("fmv.x.h",   "11100 10 00000 sssss 000 ddddd 1010011", .halfMoves, .xf, .fmv_x_h),
        .init("fmv.h.x",   "11110 10 00000 sssss 000 ddddd 1010011", .halfMoves, .fx, .fmv_h_x),
        .init("fcvt.d.h",  "01000 01 00010 sssss mmm ddddd 1010011", .zfhminD, .ffExact, .fcvt_d_h),
        .init("fcvt.h.d",  "01000 10 00001 sssss mmm ddddd 1010011", .zfhminD, .ffRounded, .fcvt_h_d),
        .init("fmadd.h",   "eeeee 10 ttttt sssss mmm ddddd 1000011", .all(.zfh), .fused, .fmadd_h),
        .init("fmsub.h",   "eeeee 10 ttttt sssss mmm ddddd 1000111", .all(.zfh), .fused, .fmsub_h),
        .init("fnmsub.h",  "eeeee 10 ttttt sssss mmm ddddd 1001011", .all(.zfh), .fused, .fnmsub_h),
        .init("fnmadd.h",  "eeeee 10 ttttt sssss mmm ddddd 1001111", .all(.zfh), .fused, .fnmadd_h),
        .init("fadd.h",    "00000 10 ttttt sssss mmm ddddd 1010011", .all(.zfh), .fffRounded, .fadd_h),
        .init("fsub.h",    "00001 10 ttttt sssss mmm ddddd 1010011", .all(.zfh), .fffRounded, .fsub_h),
        .init("fmul.h",    "00010 10 ttttt sssss mmm ddddd 1010011", .all(.zfh), .fffRounded, .fmul_h),
        .init("fdiv.h",    "00011 10 ttttt sssss mmm ddddd 1010011", .all(.zfh), .fffRounded, .fdiv_h),
        .init("fsqrt.h",   "01011 10 00000 sssss mmm ddddd 1010011", .all(.zfh), .ffRounded, .fsqrt_h),
        .init("fsgnj.h",   "00100 10 ttttt sssss 000 ddddd 1010011", .all(.zfh), .fff, .fsgnj_h),
        .init("fsgnjn.h",  "00100 10 ttttt sssss 001 ddddd 1010011", .all(.zfh), .fff, .fsgnjn_h),
        .init("fsgnjx.h",  "00100 10 ttttt sssss 010 ddddd 1010011", .all(.zfh), .fff, .fsgnjx_h),
        .init("fmin.h",    "00101 10 ttttt sssss 000 ddddd 1010011", .all(.zfh), .fff, .fmin_h),
        .init("fmax.h",    "00101 10 ttttt sssss 001 ddddd 1010011", .all(.zfh), .fff, .fmax_h),
        .init("feq.h",     "10100 10 ttttt sssss 010 ddddd 1010011", .all(.zfh), .xff, .feq_h),
        .init("flt.h",     "10100 10 ttttt sssss 001 ddddd 1010011", .all(.zfh), .xff, .flt_h),
        .init("fle.h",     "10100 10 ttttt sssss 000 ddddd 1010011", .all(.zfh), .xff, .fle_h),
        .init("fclass.h",  "11100 10 00000 sssss 001 ddddd 1010011", .all(.zfh), .xf, .fclass_h),
        .init("fcvt.w.h",  "11000 10 00000 sssss mmm ddddd 1010011", .all(.zfh), .xfRounded, .fcvt_w_h),
        .init("fcvt.wu.h", "11000 10 00001 sssss mmm ddddd 1010011", .all(.zfh), .xfRounded, .fcvt_wu_h),
        .init("fcvt.h.w",  "11010 10 00000 sssss mmm ddddd 1010011", .all(.zfh), .fxRounded, .fcvt_h_w),
        .init("fcvt.h.wu", "11010 10 00001 sssss mmm ddddd 1010011", .all(.zfh), .fxRounded, .fcvt_h_wu),
        .init("fcvt.l.h",  "11000 10 00010 sssss mmm ddddd 1010011", .all(.zfh), .xfRounded, .fcvt_l_h),
        .init("fcvt.lu.h", "11000 10 00011 sssss mmm ddddd 1010011", .all(.zfh), .xfRounded, .fcvt_lu_h),
        .init("fcvt.h.l",  "11010 10 00010 sssss mmm ddddd 1010011", .all(.zfh), .fxRounded, .fcvt_h_l),
        .init("fcvt.h.lu", "11010 10 00011 sssss mmm ddddd 1010011", .all(.zfh), .fxRounded, .fcvt_h_lu),
    ]
}

extension RVProcessor {
    /// Rows of Zfh; false if the instruction raised a trap.
    func executeZfh(_ op: RVOp, _ r: DecodedOp) -> Bool {
        switch op {
        case .fmadd_h: floatMultiplyAdd(Binary16.self, r, negatingProduct: false, negatingAddend: false)
        case .fmsub_h: floatMultiplyAdd(Binary16.self, r, negatingProduct: false, negatingAddend: true)
        case .fnmsub_h: floatMultiplyAdd(Binary16.self, r, negatingProduct: true, negatingAddend: false)
        case .fnmadd_h: floatMultiplyAdd(Binary16.self, r, negatingProduct: true, negatingAddend: true)
        case .fadd_h: floatBinary(Binary16.self, r) { Binary16.add($0, $1, $2, &$3) }
        case .fsub_h: floatBinary(Binary16.self, r) { Binary16.subtract($0, $1, $2, &$3) }
        case .fmul_h: floatBinary(Binary16.self, r) { Binary16.multiply($0, $1, $2, &$3) }
        case .fdiv_h: floatBinary(Binary16.self, r) { Binary16.divide($0, $1, $2, &$3) }
        case .fsqrt_h: floatUnary(Binary16.self, r) { Binary16.squareRoot($0, $1, &$2) }
        case .fsgnj_h: floatSign(Binary16.self, r) { Binary16.copySign($0, $1) }
        case .fsgnjn_h: floatSign(Binary16.self, r) { Binary16.copyNegatedSign($0, $1) }
        case .fsgnjx_h: floatSign(Binary16.self, r) { Binary16.multiplySign($0, $1) }
        case .fmin_h: floatSelect(Binary16.self, r) { Binary16.minimum($0, $1, &$2) }
        case .fmax_h: floatSelect(Binary16.self, r) { Binary16.maximum($0, $1, &$2) }
        case .feq_h: floatCompare(Binary16.self, r) { Binary16.isEqual($0, $1, &$2) }
        case .flt_h: floatCompare(Binary16.self, r) { Binary16.isLess($0, $1, &$2) }
        case .fle_h: floatCompare(Binary16.self, r) { Binary16.isLessOrEqual($0, $1, &$2) }
        case .fclass_h: floatClassify(Binary16.self, r)
        case .fcvt_w_h: floatToInteger(Binary16.self, r, as: Int32.self)
        case .fcvt_wu_h: floatToInteger(Binary16.self, r, as: UInt32.self)
        case .fcvt_l_h: floatToInteger(Binary16.self, r, as: Int64.self)
        case .fcvt_lu_h: floatToInteger(Binary16.self, r, as: UInt64.self)
        case .fcvt_h_w: floatFromInteger(Binary16.self, r, as: Int32.self)
        case .fcvt_h_wu: floatFromInteger(Binary16.self, r, as: UInt32.self)
        case .fcvt_h_l: floatFromInteger(Binary16.self, r, as: Int64.self)
        case .fcvt_h_lu: floatFromInteger(Binary16.self, r, as: UInt64.self)
        case .fmv_x_h: moveToInteger(r, UInt64(bitPattern: Int64(Int16(truncatingIfNeeded: f[Int(r.rs1)]))))
        case .fmv_h_x: floatLoadBits(Binary16.self, r, x[Int(r.rs1)])
        case .fcvt_s_h: floatConvert(Binary32.self, from: Binary16.self, r) { Binary16.convert($0, to: Binary32.self, $1, &$2) }
        case .fcvt_h_s: floatConvert(Binary16.self, from: Binary32.self, r) { Binary32.convert($0, to: Binary16.self, $1, &$2) }
        case .fcvt_d_h: floatConvert(Binary64.self, from: Binary16.self, r) { Binary16.convert($0, to: Binary64.self, $1, &$2) }
        case .fcvt_h_d: floatConvert(Binary16.self, from: Binary64.self, r) { Binary64.convert($0, to: Binary16.self, $1, &$2) }
        default: illegal(r)
        }
    }
}

extension RVTranslator {
    /// Lowers the loads and stores of Zfh; its arithmetic is interpreted.
    mutating func lowerZfh(_ op: RVOp, _ r: DecodedOp) {
        switch op {
        case .flh:
            guardFloat()
            let (bits, boxed) = (temp(), temp())
            emit(.load16u, bits, source(r.rs1), displacement: r.imm)
            emit(.or, boxed, bits, .constant(Int64(bitPattern: Binary16.box)))
            emit(.movXtoF, .float(r.rd), boxed)
        case .fsh:
            guardFloat()
            let bits = temp()
            emit(.movFtoX, bits, .float(r.rs2))
            emit(.store16, .none, source(r.rs1), bits, displacement: r.imm)
        default: interpret()
        }
    }
}
