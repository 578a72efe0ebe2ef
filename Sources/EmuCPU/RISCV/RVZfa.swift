// Zfa: additional floating-point instructions for every format present (unprivileged manual, chapter of that name).

extension RVTable {
    /// Zfa: additional floating-point instructions.
    static let zfa: [RVInstruction] = [
        .init("fli.s",       "11110 00 00001 sssss 000 ddddd 1010011", .all(.zfa, .f), .floatConstant, .fli_s),
        .init("fminm.s",     "00101 00 ttttt sssss 010 ddddd 1010011", .all(.zfa, .f), .fff, .fminm_s),
        .init("fmaxm.s",     "00101 00 ttttt sssss 011 ddddd 1010011", .all(.zfa, .f), .fff, .fmaxm_s),
        .init("fround.s",    "01000 00 00100 sssss mmm ddddd 1010011", .all(.zfa, .f), .ffRounded, .fround_s),
        .init("froundnx.s",  "01000 00 00101 sssss mmm ddddd 1010011", .all(.zfa, .f), .ffRounded, .froundnx_s),
        .init("fleq.s",      "10100 00 ttttt sssss 100 ddddd 1010011", .all(.zfa, .f), .xff, .fleq_s),
        .init("fltq.s",      "10100 00 ttttt sssss 101 ddddd 1010011", .all(.zfa, .f), .xff, .fltq_s),
        .init("fli.d",       "11110 01 00001 sssss 000 ddddd 1010011", .all(.zfa, .d), .floatConstant, .fli_d),
        .init("fminm.d",     "00101 01 ttttt sssss 010 ddddd 1010011", .all(.zfa, .d), .fff, .fminm_d),
        .init("fmaxm.d",     "00101 01 ttttt sssss 011 ddddd 1010011", .all(.zfa, .d), .fff, .fmaxm_d),
        .init("fround.d",    "01000 01 00100 sssss mmm ddddd 1010011", .all(.zfa, .d), .ffRounded, .fround_d),
        .init("froundnx.d",  "01000 01 00101 sssss mmm ddddd 1010011", .all(.zfa, .d), .ffRounded, .froundnx_d),
        .init("fcvtmod.w.d", "11000 01 01000 sssss 001 ddddd 1010011", .all(.zfa, .d), .xfTowardsZero, .fcvtmod_w_d),
        .init("fleq.d",      "10100 01 ttttt sssss 100 ddddd 1010011", .all(.zfa, .d), .xff, .fleq_d),
        .init("fltq.d",      "10100 01 ttttt sssss 101 ddddd 1010011", .all(.zfa, .d), .xff, .fltq_d),
        .init("fli.h",       "11110 10 00001 sssss 000 ddddd 1010011", .all(.zfa, .zfh), .floatConstant, .fli_h),
        .init("fminm.h",     "00101 10 ttttt sssss 010 ddddd 1010011", .all(.zfa, .zfh), .fff, .fminm_h),
        .init("fmaxm.h",     "00101 10 ttttt sssss 011 ddddd 1010011", .all(.zfa, .zfh), .fff, .fmaxm_h),
        .init("fround.h",    "01000 10 00100 sssss mmm ddddd 1010011", .all(.zfa, .zfh), .ffRounded, .fround_h),
        .init("froundnx.h",  "01000 10 00101 sssss mmm ddddd 1010011", .all(.zfa, .zfh), .ffRounded, .froundnx_h),
        .init("fleq.h",      "10100 10 ttttt sssss 100 ddddd 1010011", .all(.zfa, .zfh), .xff, .fleq_h),
        .init("fltq.h",      "10100 10 ttttt sssss 101 ddddd 1010011", .all(.zfa, .zfh), .xff, .fltq_h),
    ]
}

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
