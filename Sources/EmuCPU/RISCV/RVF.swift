// F: single precision (unprivileged manual, "F Extension for Single-Precision Floating-Point"; flw and fsw are with the loads and stores).

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
