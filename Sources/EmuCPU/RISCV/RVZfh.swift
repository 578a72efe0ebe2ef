// Zfh and its subset Zfhmin: half precision (unprivileged manual, chapters of those names; flh and fsh are with the loads and stores).

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
