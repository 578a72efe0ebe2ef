extension RVTable {
    /// V: floating-point arithmetic.
    static let vectorFloat: [RVInstruction] = [
        vector("vfadd", 0x00, .vfadd, .fvv, .fvf), vector("vfsub", 0x02, .vfsub, .fvv, .fvf), vector("vfrsub", 0x27, .vfrsub, .fvf),
        vector("vfmul", 0x24, .vfmul, .fvv, .fvf), vector("vfdiv", 0x20, .vfdiv, .fvv, .fvf), vector("vfrdiv", 0x21, .vfrdiv, .fvf),
        vector("vfmin", 0x04, .vfmin, .fvv, .fvf), vector("vfmax", 0x06, .vfmax, .fvv, .fvf),
        vector("vfsgnj", 0x08, .vfsgnj, .fvv, .fvf), vector("vfsgnjn", 0x09, .vfsgnjn, .fvv, .fvf), vector("vfsgnjx", 0x0a, .vfsgnjx, .fvv, .fvf),
        vector("vfmacc", 0x2c, .vfmacc, .fvv, .fvf, accumulates: true), vector("vfnmacc", 0x2d, .vfnmacc, .fvv, .fvf, accumulates: true),
        vector("vfmsac", 0x2e, .vfmsac, .fvv, .fvf, accumulates: true), vector("vfnmsac", 0x2f, .vfnmsac, .fvv, .fvf, accumulates: true),
        vector("vfmadd", 0x28, .vfmadd, .fvv, .fvf, accumulates: true), vector("vfnmadd", 0x29, .vfnmadd, .fvv, .fvf, accumulates: true),
        vector("vfmsub", 0x2a, .vfmsub, .fvv, .fvf, accumulates: true), vector("vfnmsub", 0x2b, .vfnmsub, .fvv, .fvf, accumulates: true),
        vector("vmfeq", 0x18, .vmfeq, .fvv, .fvf), vector("vmfle", 0x19, .vmfle, .fvv, .fvf), vector("vmflt", 0x1b, .vmflt, .fvv, .fvf),
        vector("vmfne", 0x1c, .vmfne, .fvv, .fvf), vector("vmfgt", 0x1d, .vmfgt, .fvf), vector("vmfge", 0x1f, .vmfge, .fvf),
        vector("vfmerge", 0x17, .vfmerge, .fvf, mask: "0"),
        vector("vfwadd", 0x30, .vfwadd, .fvv, .fvf), vector("vfwsub", 0x32, .vfwsub, .fvv, .fvf),
        vector("vfwadd", 0x34, .vfwadd_w, .fvv, .fvf, first: "w"), vector("vfwsub", 0x36, .vfwsub_w, .fvv, .fvf, first: "w"),
        vector("vfwmul", 0x38, .vfwmul, .fvv, .fvf),
        vector("vfwmacc", 0x3c, .vfwmacc, .fvv, .fvf, accumulates: true), vector("vfwnmacc", 0x3d, .vfwnmacc, .fvv, .fvf, accumulates: true),
        vector("vfwmsac", 0x3e, .vfwmsac, .fvv, .fvf, accumulates: true), vector("vfwnmsac", 0x3f, .vfwnmsac, .fvv, .fvf, accumulates: true),
        [
            vectorMove("vfmv.v.f", 0x17, .vfmv_v, .fvf),
            vectorUnary("vfsqrt.v", 0x13, code: 0x00, .vfsqrt, .fvv), vectorUnary("vfrsqrt7.v", 0x13, code: 0x04, .vfrsqrt7, .fvv),
            vectorUnary("vfrec7.v", 0x13, code: 0x05, .vfrec7, .fvv), vectorUnary("vfclass.v", 0x13, code: 0x10, .vfclass, .fvv),
        ],
    ].flatMap { $0 }
}

/// "Vector Floating-Point Instructions", of SEW and widening ones. Conversions are in RVVConversion.
extension RVProcessor {
    // MARK: Conditions

    /// Floating point is on, and frm holds a rounding mode, which all of these instructions need.
    @inline(__always)
    var isFloatAllowed: Bool { h.pointee.mstatus & RVStatus.fs != 0 && RoundingMode(rawValue: h.pointee.frm) != nil }

    /// Zvfh: elements of 16 bits may be numbers.
    var hasHalfVectors: Bool { config.extensions.contains(.zvfh) }

    /// What goes above a number of SEW in an f register; nil when there are no such numbers.
    func floatBox(_ c: VectorContext) -> UInt64? {
        switch c.width {
        case 1: hasHalfVectors ? Binary16.box : nil
        case 2: Binary32.box
        case 3: Binary64.box
        default: nil
        }
    }

    /// The scalar operand of OPFVF as a number of so many bytes.
    @inline(__always)
    func floatScalar(_ r: DecodedOp, bytes: Int) -> UInt64 {
        let register = f[Int(r.rs1)]
        return bytes == 8 ? register : bytes == 4 ? Binary32.unboxed(register) : Binary16.unboxed(register)
    }

    /// Runs `body` with the dynamic rounding mode and the flags accrued so far, which it adds to.
    /// - Returns: false when floating point is not allowed, or `body` says so.
    @inline(__always)
    func withFloatFlags(_ c: VectorContext, _ body: (RoundingMode, inout FloatFlags) -> Bool) -> Bool {
        guard isFloatAllowed, let mode = RoundingMode(rawValue: h.pointee.frm) else { return false }
        var flags = FloatFlags(rawValue: h.pointee.fflags)
        guard body(mode, &flags) else { return false }
        if flags.rawValue != h.pointee.fflags {
            h.pointee.fflags = flags.rawValue
            h.pointee.mstatus |= RVStatus.fs
        }
        return true
    }

    // MARK: Operations

    /// - Returns: false for a reserved encoding, or while floating point is off.
    func executeVectorFloat(_ op: RVOp, _ r: DecodedOp, _ c: VectorContext) -> Bool {
        let isWidening = op.rawValue >= RVOp.vfwadd.rawValue
        return withFloatFlags(c) { mode, flags in
            if isWidening {
                switch c.width {
                case 1 where hasHalfVectors: return widenFloats(op, r, c, Binary16.self, UInt16.self, Binary32.self, UInt32.self, mode, &flags)
                case 2: return widenFloats(op, r, c, Binary32.self, UInt32.self, Binary64.self, UInt64.self, mode, &flags)
                default: return false
                }
            }
            switch c.width {
            case 1 where hasHalfVectors: return computeFloats(op, r, c, Binary16.self, UInt16.self, mode, &flags)
            case 2: return computeFloats(op, r, c, Binary32.self, UInt32.self, mode, &flags)
            case 3: return computeFloats(op, r, c, Binary64.self, UInt64.self, mode, &flags)
            default: return false
            }
        }
    }

    /// Operands and result of one format.
    private func computeFloats<Format: SoftFormat, Element: FixedWidthInteger>(
        _ op: RVOp, _ r: DecodedOp, _ c: VectorContext, _ format: Format.Type, _ type: Element.Type, _ mode: RoundingMode, _ flags: inout FloatFlags
    ) -> Bool {
        if op.rawValue >= RVOp.vmfeq.rawValue && op.rawValue <= RVOp.vmfge.rawValue { return compareFloats(op, r, c, format, type, &flags) }
        if op.rawValue >= RVOp.vfsqrt.rawValue && op.rawValue <= RVOp.vfclass.rawValue {
            guard c.allows(c.group(r.rd), c.group(r.rs2)) else { return false }
            unaryFloats(op, r, c, format, type, mode, &flags)
            return true
        }
        if op == .vfmv_v {
            guard c.allows(c.group(r.rd)) else { return false }
            vectorMap(r, c, to: type, type, type) { (_: Element, b: Element) in b }
            return true
        }
        guard c.isPlain(r) else { return false }
        switch op {
        case .vfadd: mapFloats(r, c, type) { Format.add($0, $1, mode, &flags) }
        case .vfsub: mapFloats(r, c, type) { Format.subtract($0, $1, mode, &flags) }
        case .vfrsub: mapFloats(r, c, type) { Format.subtract($1, $0, mode, &flags) }
        case .vfmul: mapFloats(r, c, type) { Format.multiply($0, $1, mode, &flags) }
        case .vfdiv: mapFloats(r, c, type) { Format.divide($0, $1, mode, &flags) }
        case .vfrdiv: mapFloats(r, c, type) { Format.divide($1, $0, mode, &flags) }
        case .vfmin: mapFloats(r, c, type) { Format.minimum($0, $1, &flags) }
        case .vfmax: mapFloats(r, c, type) { Format.maximum($0, $1, &flags) }
        case .vfsgnj: mapFloats(r, c, type) { Format.copySign($0, $1) }
        case .vfsgnjn: mapFloats(r, c, type) { Format.copyNegatedSign($0, $1) }
        case .vfsgnjx: mapFloats(r, c, type) { Format.multiplySign($0, $1) }
        case .vfmacc: accumulateFloats(r, c, type) { Format.multiplyAdd($2, $1, $0, mode, &flags) }
        case .vfnmacc: accumulateFloats(r, c, type) { Format.multiplyAdd(Format.negate($2), $1, Format.negate($0), mode, &flags) }
        case .vfmsac: accumulateFloats(r, c, type) { Format.multiplyAdd($2, $1, Format.negate($0), mode, &flags) }
        case .vfnmsac: accumulateFloats(r, c, type) { Format.multiplyAdd(Format.negate($2), $1, $0, mode, &flags) }
        case .vfmadd: accumulateFloats(r, c, type) { Format.multiplyAdd($2, $0, $1, mode, &flags) }
        case .vfnmadd: accumulateFloats(r, c, type) { Format.multiplyAdd(Format.negate($2), $0, Format.negate($1), mode, &flags) }
        case .vfmsub: accumulateFloats(r, c, type) { Format.multiplyAdd($2, $0, Format.negate($1), mode, &flags) }
        case .vfnmsub: accumulateFloats(r, c, type) { Format.multiplyAdd(Format.negate($2), $0, $1, mode, &flags) }
        case .vfmerge: merge(r, c, type)
        default: return false
        }
        return true
    }

    private func unaryFloats<Format: SoftFormat, Element: FixedWidthInteger>(
        _ op: RVOp, _ r: DecodedOp, _ c: VectorContext, _ format: Format.Type, _ type: Element.Type, _ mode: RoundingMode, _ flags: inout FloatFlags
    ) {
        let (d, a) = (elements(r.rd, as: type), elements(r.rs2, as: type))
        forActive(c) {
            let operand = UInt64(truncatingIfNeeded: a[$0])
            let result =
                switch op {
                case .vfsqrt: Format.squareRoot(operand, mode, &flags)
                case .vfrsqrt7: Format.reciprocalSquareRootEstimate(operand, &flags)
                case .vfrec7: Format.reciprocalEstimate(operand, mode, &flags)
                default: Format.classify(operand)
                }
            d[$0] = Element(truncatingIfNeeded: result)
        }
    }

    private func compareFloats<Format: SoftFormat, Element: FixedWidthInteger>(
        _ op: RVOp, _ r: DecodedOp, _ c: VectorContext, _ format: Format.Type, _ type: Element.Type, _ flags: inout FloatFlags
    ) -> Bool {
        guard c.isComparison(r) else { return false }
        vectorCompare(r, c, type) {
            let (a, b) = (UInt64(truncatingIfNeeded: $0), UInt64(truncatingIfNeeded: $1))
            return switch op {
            case .vmfeq: Format.isEqual(a, b, &flags)
            case .vmfne: !Format.isEqual(a, b, &flags)
            case .vmflt: Format.isLess(a, b, &flags)
            case .vmfle: Format.isLessOrEqual(a, b, &flags)
            case .vmfgt: Format.isLess(b, a, &flags)
            default: Format.isLessOrEqual(b, a, &flags)
            }
        }
        return true
    }

    /// Operands of SEW, a result of twice that; or, in the `w` forms, vs2 of twice that too. Widening is exact.
    private func widenFloats<Format: SoftFormat, Element: FixedWidthInteger, WideFormat: SoftFormat, Wide: FixedWidthInteger>(
        _ op: RVOp, _ r: DecodedOp, _ c: VectorContext, _ format: Format.Type, _ type: Element.Type, _ wideFormat: WideFormat.Type, _ wide: Wide.Type,
        _ mode: RoundingMode, _ flags: inout FloatFlags
    ) -> Bool {
        @inline(__always)
        func widened(_ value: UInt64, _ flags: inout FloatFlags) -> UInt64 { Format.convert(value, to: WideFormat.self, mode, &flags) }
        switch op {
        case .vfwadd, .vfwsub, .vfwmul:
            guard c.isWidening(r) else { return false }
            vectorMap(r, c, to: wide, type, type) { (a: UInt64, b: UInt64) in
                let (a, b) = (widened(a, &flags), widened(b, &flags))
                return switch op {
                case .vfwadd: WideFormat.add(a, b, mode, &flags)
                case .vfwsub: WideFormat.subtract(a, b, mode, &flags)
                default: WideFormat.multiply(a, b, mode, &flags)
                }
            }
        case .vfwadd_w, .vfwsub_w:
            guard c.isWide(r) else { return false }
            vectorMap(r, c, to: wide, wide, type) { (a: UInt64, b: UInt64) in
                let b = widened(b, &flags)
                return op == .vfwadd_w ? WideFormat.add(a, b, mode, &flags) : WideFormat.subtract(a, b, mode, &flags)
            }
        default:
            guard c.isWideningAccumulation(r) else { return false }
            let negatesProduct = op == .vfwnmacc || op == .vfwnmsac
            let negatesAddend = op == .vfwnmacc || op == .vfwmsac
            vectorAccumulate(r, c, to: wide, type, type) { (d: UInt64, a: UInt64, b: UInt64) in
                let (a, b) = (widened(a, &flags), widened(b, &flags))
                return WideFormat.multiplyAdd(negatesProduct ? WideFormat.negate(b) : b, a, negatesAddend ? WideFormat.negate(d) : d, mode, &flags)
            }
        }
        return true
    }

    @inline(__always)
    private func mapFloats<Element: FixedWidthInteger>(_ r: DecodedOp, _ c: VectorContext, _ type: Element.Type, _ operation: (UInt64, UInt64) -> UInt64) {
        vectorMap(r, c, to: type, type, type, operation)
    }

    @inline(__always)
    private func accumulateFloats<Element: FixedWidthInteger>(
        _ r: DecodedOp, _ c: VectorContext, _ type: Element.Type, _ operation: (UInt64, UInt64, UInt64) -> UInt64
    ) {
        vectorAccumulate(r, c, to: type, type, type, operation)
    }
}
