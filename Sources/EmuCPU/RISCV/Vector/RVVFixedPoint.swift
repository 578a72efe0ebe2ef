extension RVTable {
    /// V: fixed-point arithmetic.
    static let vectorFixedPoint: [RVInstruction] = [
        vector("vsaddu", 0x20, .vsaddu, .ivv, .ivx, .ivi), vector("vsadd", 0x21, .vsadd, .ivv, .ivx, .ivi),
        vector("vssubu", 0x22, .vssubu, .ivv, .ivx), vector("vssub", 0x23, .vssub, .ivv, .ivx),
        vector("vaaddu", 0x08, .vaaddu, .mvv, .mvx), vector("vaadd", 0x09, .vaadd, .mvv, .mvx),
        vector("vasubu", 0x0a, .vasubu, .mvv, .mvx), vector("vasub", 0x0b, .vasub, .mvv, .mvx),
        vector("vsmul", 0x27, .vsmul, .ivv, .ivx),
        vector("vssrl", 0x2a, .vssrl, .ivv, .ivx, .ivu), vector("vssra", 0x2b, .vssra, .ivv, .ivx, .ivu),
        vector("vnclipu", 0x2e, .vnclipu, .ivv, .ivx, .ivu, first: "w"), vector("vnclip", 0x2f, .vnclip, .ivv, .ivx, .ivu, first: "w"),
    ].flatMap { $0 }
}

/// Fixed-point rounding modes, encoded as in vxrm.
private enum FixedPointRounding: UInt8 {
    /// To nearest, ties up.
    case rnu
    /// To nearest, ties to even.
    case rne
    /// Down.
    case rdn
    /// To odd.
    case rod

    /// What is added to a number cut off at some bit.
    /// - Parameters:
    ///   - odd: the last bit kept is one.
    ///   - half: the first bit cut off.
    ///   - rest: any bit behind it is one.
    @inline(__always)
    func increment(odd: Bool, half: Bool, rest: Bool) -> Bool {
        switch self {
        case .rnu: half
        case .rne: half && (rest || odd)
        case .rdn: false
        case .rod: !odd && (half || rest)
        }
    }

    /// roundoff_signed or roundoff_unsigned: `value` shifted right by `count`, rounded.
    @inline(__always)
    func shifted<Value: FixedWidthInteger>(_ value: Value, _ count: Int) -> Value {
        if count == 0 { return value }
        let kept = value >> count
        let half = value >> (count - 1) & 1 != 0
        return kept &+ (increment(odd: kept & 1 != 0, half: half, rest: value & (1 << (count - 1) - 1) != 0) ? 1 : 0)
    }
}

/// "Vector Fixed-Point Arithmetic Instructions".
extension RVProcessor {
    private var fixedPointRounding: FixedPointRounding { FixedPointRounding(rawValue: h.pointee.vxrm) ?? .rnu }

    /// - Returns: false for a reserved encoding.
    func executeVectorFixedPoint(_ op: RVOp, _ r: DecodedOp, _ c: VectorContext) -> Bool {
        guard op == .vnclip || op == .vnclipu ? c.isNarrowing(r) : c.isPlain(r) else { return false }
        let mode = fixedPointRounding
        let amount = c.sew - 1
        switch op {
        case .vsaddu, .vsadd, .vssubu, .vssub: return saturate(op, r, c)
        case .vaaddu: return unsigned(r, c) { Self.average($0 & $1, &+, $0 ^ $1, mode) }
        case .vaadd: return signed(r, c) { Self.average($0 & $1, &+, $0 ^ $1, mode) }
        case .vasubu: return unsigned(r, c) { Self.halfDifference($0, $1, mode) }
        case .vasub: return signed(r, c) { Self.halfDifference($0, $1, mode) }
        case .vsmul: return multiplyFractions(r, c, mode)
        case .vssrl: return unsigned(r, c, unsignedImmediate: true) { mode.shifted($0, Int($1 & amount)) }
        case .vssra: return signed(r, c, unsignedImmediate: true) { mode.shifted($0, Int($1 & Int64(amount))) }
        case .vnclipu: return clipUnsigned(r, c, mode)
        case .vnclip: return clipSigned(r, c, mode)
        default: return false
        }
    }

    // Half a sum or difference, rounded, without the bit more that the sum itself takes.

    @inline(__always)
    private static func average<Value: FixedWidthInteger>(
        _ common: Value, _ add: (Value, Value) -> Value, _ different: Value, _ mode: FixedPointRounding
    ) -> Value {
        let half = add(common, different >> 1)
        return half &+ (mode.increment(odd: half & 1 != 0, half: different & 1 != 0, rest: false) ? 1 : 0)
    }

    @inline(__always)
    private static func halfDifference<Value: FixedWidthInteger>(_ a: Value, _ b: Value, _ mode: FixedPointRounding) -> Value {
        let half = a >> 1 &- b >> 1 &- ~a & b & 1
        return half &+ (mode.increment(odd: half & 1 != 0, half: (a ^ b) & 1 != 0, rest: false) ? 1 : 0)
    }

    private func saturate(_ op: RVOp, _ r: DecodedOp, _ c: VectorContext) -> Bool {
        let isSigned = op == .vsadd || op == .vssub
        let subtracts = op == .vssub || op == .vssubu
        switch c.width {
        case 0: isSigned ? saturate(r, c, Int8.self, subtracts) : saturate(r, c, UInt8.self, subtracts)
        case 1: isSigned ? saturate(r, c, Int16.self, subtracts) : saturate(r, c, UInt16.self, subtracts)
        case 2: isSigned ? saturate(r, c, Int32.self, subtracts) : saturate(r, c, UInt32.self, subtracts)
        default: isSigned ? saturate(r, c, Int64.self, subtracts) : saturate(r, c, UInt64.self, subtracts)
        }
        return true
    }

    @inline(__always)
    private func saturate<Element: FixedWidthInteger>(_ r: DecodedOp, _ c: VectorContext, _ type: Element.Type, _ subtracts: Bool) {
        var saturates = false
        vectorMap(r, c, to: Element.self, Element.self, Element.self) { (a: Element, b: Element) in
            let (result, overflow) = subtracts ? a.subtractingReportingOverflow(b) : a.addingReportingOverflow(b)
            if !overflow { return result }
            saturates = true
            // Unsigned differences are too small, sums too great; signed ones lie beyond the limit on the side of vs2.
            return (Element.isSigned ? a < 0 : subtracts) ? Element.min : Element.max
        }
        if saturates { h.pointee.vxsat = 1 }
    }

    private func multiplyFractions(_ r: DecodedOp, _ c: VectorContext, _ mode: FixedPointRounding) -> Bool {
        var saturates = false
        let count = Int(c.sew) - 1
        let limit = Int64.max >> Int64(64 - c.sew)
        let isDone = signed(r, c) {
            let product = c.width == 3 ? Int64(truncatingIfNeeded: mode.shifted(Int128($0) * Int128($1), count)) : mode.shifted($0 &* $1, count)
            // Only −1 × −1 is too great.
            guard $0 == ~limit, $1 == ~limit else { return product }
            saturates = true
            return limit
        }
        if saturates { h.pointee.vxsat = 1 }
        return isDone
    }

    private func clipUnsigned(_ r: DecodedOp, _ c: VectorContext, _ mode: FixedPointRounding) -> Bool {
        var saturates = false
        let amount = 2 * c.sew - 1
        let limit = 1 << c.sew - 1 as UInt64
        let clip: (UInt64, UInt64) -> UInt64 = {
            let value = mode.shifted($0, Int($1 & amount))
            if value > limit { saturates = true }
            return min(value, limit)
        }
        switch c.width {
        case 0: vectorMap(r, c, to: UInt8.self, UInt16.self, UInt8.self, unsignedImmediate: true, clip)
        case 1: vectorMap(r, c, to: UInt16.self, UInt32.self, UInt16.self, unsignedImmediate: true, clip)
        default: vectorMap(r, c, to: UInt32.self, UInt64.self, UInt32.self, unsignedImmediate: true, clip)
        }
        if saturates { h.pointee.vxsat = 1 }
        return true
    }

    private func clipSigned(_ r: DecodedOp, _ c: VectorContext, _ mode: FixedPointRounding) -> Bool {
        var saturates = false
        let amount = Int64(2 * c.sew - 1)
        let limit = Int64.max >> Int64(64 - c.sew)
        let clip: (Int64, Int64) -> Int64 = {
            let value = mode.shifted($0, Int($1 & amount))
            if value > limit || value < ~limit { saturates = true }
            return max(min(value, limit), ~limit)
        }
        switch c.width {
        case 0: vectorMap(r, c, to: Int8.self, Int16.self, Int8.self, unsignedImmediate: true, clip)
        case 1: vectorMap(r, c, to: Int16.self, Int32.self, Int16.self, unsignedImmediate: true, clip)
        default: vectorMap(r, c, to: Int32.self, Int64.self, Int32.self, unsignedImmediate: true, clip)
        }
        if saturates { h.pointee.vxsat = 1 }
        return true
    }
}
