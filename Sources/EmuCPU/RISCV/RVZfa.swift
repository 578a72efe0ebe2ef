// Zfa: additional floating-point instructions for every format present (unprivileged manual, chapter of that name).

extension RVProcessor {
    /// Rows of Zfa; false if the instruction raised a trap.
    func executeZfa(_ op: RVOp, _ r: DecodedOp) -> Bool {
        switch op {
        case .fli_s: floatLoadBits(Binary32.self, r, Binary32.loadImmediate(Int(r.rs1)))
        case .fminm_s: floatSelect(Binary32.self, r) { Binary32.minimum($0, $1, propagatingNaN: true, &$2) }
        case .fmaxm_s: floatSelect(Binary32.self, r) { Binary32.maximum($0, $1, propagatingNaN: true, &$2) }
        case .fround_s: floatUnary(Binary32.self, r) { Binary32.roundToIntegral($0, exact: false, $1, &$2) }
        case .froundnx_s: floatUnary(Binary32.self, r) { Binary32.roundToIntegral($0, exact: true, $1, &$2) }
        case .fleq_s: floatCompare(Binary32.self, r) { Binary32.isLessOrEqual($0, $1, quiet: true, &$2) }
        case .fltq_s: floatCompare(Binary32.self, r) { Binary32.isLess($0, $1, quiet: true, &$2) }
        case .fli_d: floatLoadBits(Binary64.self, r, Binary64.loadImmediate(Int(r.rs1)))
        case .fminm_d: floatSelect(Binary64.self, r) { Binary64.minimum($0, $1, propagatingNaN: true, &$2) }
        case .fmaxm_d: floatSelect(Binary64.self, r) { Binary64.maximum($0, $1, propagatingNaN: true, &$2) }
        case .fround_d: floatUnary(Binary64.self, r) { Binary64.roundToIntegral($0, exact: false, $1, &$2) }
        case .froundnx_d: floatUnary(Binary64.self, r) { Binary64.roundToIntegral($0, exact: true, $1, &$2) }
        case .fleq_d: floatCompare(Binary64.self, r) { Binary64.isLessOrEqual($0, $1, quiet: true, &$2) }
        case .fltq_d: floatCompare(Binary64.self, r) { Binary64.isLess($0, $1, quiet: true, &$2) }
        case .fli_h: floatLoadBits(Binary16.self, r, Binary16.loadImmediate(Int(r.rs1)))
        case .fminm_h: floatSelect(Binary16.self, r) { Binary16.minimum($0, $1, propagatingNaN: true, &$2) }
        case .fmaxm_h: floatSelect(Binary16.self, r) { Binary16.maximum($0, $1, propagatingNaN: true, &$2) }
        case .fround_h: floatUnary(Binary16.self, r) { Binary16.roundToIntegral($0, exact: false, $1, &$2) }
        case .froundnx_h: floatUnary(Binary16.self, r) { Binary16.roundToIntegral($0, exact: true, $1, &$2) }
        case .fleq_h: floatCompare(Binary16.self, r) { Binary16.isLessOrEqual($0, $1, quiet: true, &$2) }
        case .fltq_h: floatCompare(Binary16.self, r) { Binary16.isLess($0, $1, quiet: true, &$2) }
        case .fcvtmod_w_d: floatToIntegerModulo32(r)
        default: illegal(r)
        }
    }
}
