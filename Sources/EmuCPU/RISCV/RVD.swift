// D: double precision (unprivileged manual, "D Extension for Double-Precision Floating-Point"; fld and fsd are with the loads and stores).

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
