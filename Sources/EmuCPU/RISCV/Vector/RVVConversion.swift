extension RVTable {
    /// V: conversions between numbers of all widths.
    static let vectorConversion: [RVInstruction] =
        [
            ("vfcvt.xu.f.v", 0x00, .vfcvt_xu_f), ("vfcvt.x.f.v", 0x01, .vfcvt_x_f), ("vfcvt.f.xu.v", 0x02, .vfcvt_f_xu),
            ("vfcvt.f.x.v", 0x03, .vfcvt_f_x), ("vfcvt.rtz.xu.f.v", 0x06, .vfcvt_rtz_xu_f), ("vfcvt.rtz.x.f.v", 0x07, .vfcvt_rtz_x_f),
            ("vfwcvt.xu.f.v", 0x08, .vfwcvt_xu_f), ("vfwcvt.x.f.v", 0x09, .vfwcvt_x_f), ("vfwcvt.f.xu.v", 0x0a, .vfwcvt_f_xu),
            ("vfwcvt.f.x.v", 0x0b, .vfwcvt_f_x), ("vfwcvt.f.f.v", 0x0c, .vfwcvt_f_f), ("vfwcvt.rtz.xu.f.v", 0x0e, .vfwcvt_rtz_xu_f),
            ("vfwcvt.rtz.x.f.v", 0x0f, .vfwcvt_rtz_x_f),
            ("vfncvt.xu.f.w", 0x10, .vfncvt_xu_f), ("vfncvt.x.f.w", 0x11, .vfncvt_x_f), ("vfncvt.f.xu.w", 0x12, .vfncvt_f_xu),
            ("vfncvt.f.x.w", 0x13, .vfncvt_f_x), ("vfncvt.f.f.w", 0x14, .vfncvt_f_f), ("vfncvt.rod.f.f.w", 0x15, .vfncvt_rod_f_f),
            ("vfncvt.rtz.xu.f.w", 0x16, .vfncvt_rtz_xu_f), ("vfncvt.rtz.x.f.w", 0x17, .vfncvt_rtz_x_f),
        ].map { (name: String, code: Int, op: RVOp) in
            vectorUnary(name, 0x12, code: code, op, .fvv)
        }
}

/// Floating-point conversions: of one width, to twice and to half of it.
extension RVProcessor {
    /// - Returns: false for a reserved encoding, or while floating point is off.
    func executeVectorConversion(_ op: RVOp, _ r: DecodedOp, _ c: VectorContext) -> Bool {
        withFloatFlags(c) { mode, flags in
            switch op {
            case .vfcvt_xu_f, .vfcvt_x_f, .vfcvt_f_xu, .vfcvt_f_x, .vfcvt_rtz_xu_f, .vfcvt_rtz_x_f: convertFloats(op, r, c, mode, &flags)
            case .vfwcvt_xu_f, .vfwcvt_x_f, .vfwcvt_f_xu, .vfwcvt_f_x, .vfwcvt_f_f, .vfwcvt_rtz_xu_f, .vfwcvt_rtz_x_f:
                c.allows(c.group(r.rd, width: c.width + 1), c.group(r.rs2)) && convertWidening(op, r, c, mode, &flags)
            default: c.allows(c.group(r.rd), c.group(r.rs2, width: c.width + 1)) && convertNarrowing(op, r, c, mode, &flags)
            }
        }
    }

    private func convertFloats(_ op: RVOp, _ r: DecodedOp, _ c: VectorContext, _ mode: RoundingMode, _ flags: inout FloatFlags) -> Bool {
        guard c.allows(c.group(r.rd), c.group(r.rs2)) else { return false }
        switch c.width {
        case 1 where hasHalfVectors: convertSame(op, r, c, Binary16.self, UInt16.self, Int16.self, mode, &flags)
        case 2: convertSame(op, r, c, Binary32.self, UInt32.self, Int32.self, mode, &flags)
        case 3: convertSame(op, r, c, Binary64.self, UInt64.self, Int64.self, mode, &flags)
        default: return false
        }
        return true
    }

    private func convertSame<Format: SoftFormat, Unsigned: FixedWidthInteger, Signed: FixedWidthInteger>(
        _ op: RVOp, _ r: DecodedOp, _ c: VectorContext, _ format: Format.Type, _ unsigned: Unsigned.Type, _ signed: Signed.Type, _ mode: RoundingMode,
        _ flags: inout FloatFlags
    ) {
        switch op {
        case .vfcvt_xu_f: toInteger(r, c, format, unsigned, unsigned, mode, &flags)
        case .vfcvt_x_f: toInteger(r, c, format, unsigned, signed, mode, &flags)
        case .vfcvt_rtz_xu_f: toInteger(r, c, format, unsigned, unsigned, .rtz, &flags)
        case .vfcvt_rtz_x_f: toInteger(r, c, format, unsigned, signed, .rtz, &flags)
        case .vfcvt_f_xu: fromInteger(r, c, format, unsigned, unsigned, mode, &flags)
        default: fromInteger(r, c, format, signed, unsigned, mode, &flags)
        }
    }

    private func convertWidening(_ op: RVOp, _ r: DecodedOp, _ c: VectorContext, _ mode: RoundingMode, _ flags: inout FloatFlags) -> Bool {
        let toWhole = op == .vfwcvt_rtz_xu_f || op == .vfwcvt_rtz_x_f ? RoundingMode.rtz : mode
        switch (op, c.width) {
        case (.vfwcvt_f_f, 1) where config.extensions.contains(.zvfhmin):
            fromFloat(r, c, UInt16.self, UInt32.self) { Binary16.convert($0, to: Binary32.self, mode, &flags) }
        case (.vfwcvt_f_f, 2): fromFloat(r, c, UInt32.self, UInt64.self) { Binary32.convert($0, to: Binary64.self, mode, &flags) }
        case (.vfwcvt_f_f, _): return false
        case (.vfwcvt_f_xu, 0) where hasHalfVectors: fromInteger(r, c, Binary16.self, UInt8.self, UInt16.self, mode, &flags)
        case (.vfwcvt_f_xu, 1): fromInteger(r, c, Binary32.self, UInt16.self, UInt32.self, mode, &flags)
        case (.vfwcvt_f_xu, 2): fromInteger(r, c, Binary64.self, UInt32.self, UInt64.self, mode, &flags)
        case (.vfwcvt_f_x, 0) where hasHalfVectors: fromInteger(r, c, Binary16.self, Int8.self, UInt16.self, mode, &flags)
        case (.vfwcvt_f_x, 1): fromInteger(r, c, Binary32.self, Int16.self, UInt32.self, mode, &flags)
        case (.vfwcvt_f_x, 2): fromInteger(r, c, Binary64.self, Int32.self, UInt64.self, mode, &flags)
        case (.vfwcvt_xu_f, 1) where hasHalfVectors, (.vfwcvt_rtz_xu_f, 1) where hasHalfVectors:
            toInteger(r, c, Binary16.self, UInt16.self, UInt32.self, toWhole, &flags)
        case (.vfwcvt_xu_f, 2), (.vfwcvt_rtz_xu_f, 2): toInteger(r, c, Binary32.self, UInt32.self, UInt64.self, toWhole, &flags)
        case (.vfwcvt_x_f, 1) where hasHalfVectors, (.vfwcvt_rtz_x_f, 1) where hasHalfVectors:
            toInteger(r, c, Binary16.self, UInt16.self, Int32.self, toWhole, &flags)
        case (.vfwcvt_x_f, 2), (.vfwcvt_rtz_x_f, 2): toInteger(r, c, Binary32.self, UInt32.self, Int64.self, toWhole, &flags)
        default: return false
        }
        return true
    }

    private func convertNarrowing(_ op: RVOp, _ r: DecodedOp, _ c: VectorContext, _ mode: RoundingMode, _ flags: inout FloatFlags) -> Bool {
        let toWhole = op == .vfncvt_rtz_xu_f || op == .vfncvt_rtz_x_f ? RoundingMode.rtz : mode
        switch (op, c.width) {
        case (.vfncvt_f_f, 1) where config.extensions.contains(.zvfhmin):
            fromFloat(r, c, UInt32.self, UInt16.self) { Binary32.convert($0, to: Binary16.self, mode, &flags) }
        case (.vfncvt_f_f, 2): fromFloat(r, c, UInt64.self, UInt32.self) { Binary64.convert($0, to: Binary32.self, mode, &flags) }
        case (.vfncvt_rod_f_f, 1) where hasHalfVectors:
            fromFloat(r, c, UInt32.self, UInt16.self) { Binary32.convertToOdd($0, to: Binary16.self, &flags) }
        case (.vfncvt_rod_f_f, 2): fromFloat(r, c, UInt64.self, UInt32.self) { Binary64.convertToOdd($0, to: Binary32.self, &flags) }
        case (.vfncvt_f_f, _), (.vfncvt_rod_f_f, _): return false
        case (.vfncvt_f_xu, 1) where hasHalfVectors: fromInteger(r, c, Binary16.self, UInt32.self, UInt16.self, mode, &flags)
        case (.vfncvt_f_xu, 2): fromInteger(r, c, Binary32.self, UInt64.self, UInt32.self, mode, &flags)
        case (.vfncvt_f_x, 1) where hasHalfVectors: fromInteger(r, c, Binary16.self, Int32.self, UInt16.self, mode, &flags)
        case (.vfncvt_f_x, 2): fromInteger(r, c, Binary32.self, Int64.self, UInt32.self, mode, &flags)
        case (.vfncvt_xu_f, 0) where hasHalfVectors, (.vfncvt_rtz_xu_f, 0) where hasHalfVectors:
            toInteger(r, c, Binary16.self, UInt16.self, UInt8.self, toWhole, &flags)
        case (.vfncvt_xu_f, 1), (.vfncvt_rtz_xu_f, 1): toInteger(r, c, Binary32.self, UInt32.self, UInt16.self, toWhole, &flags)
        case (.vfncvt_xu_f, 2), (.vfncvt_rtz_xu_f, 2): toInteger(r, c, Binary64.self, UInt64.self, UInt32.self, toWhole, &flags)
        case (.vfncvt_x_f, 0) where hasHalfVectors, (.vfncvt_rtz_x_f, 0) where hasHalfVectors:
            toInteger(r, c, Binary16.self, UInt16.self, Int8.self, toWhole, &flags)
        case (.vfncvt_x_f, 1), (.vfncvt_rtz_x_f, 1): toInteger(r, c, Binary32.self, UInt32.self, Int16.self, toWhole, &flags)
        case (.vfncvt_x_f, 2), (.vfncvt_rtz_x_f, 2): toInteger(r, c, Binary64.self, UInt64.self, Int32.self, toWhole, &flags)
        default: return false
        }
        return true
    }

    // MARK: Loops

    @inline(__always)
    func fromFloat<Source: FixedWidthInteger, Result: FixedWidthInteger>(
        _ r: DecodedOp, _ c: VectorContext, _ source: Source.Type, _ result: Result.Type, _ operation: (UInt64) -> UInt64
    ) {
        let (d, a) = (elements(r.rd, as: Result.self), elements(r.rs2, as: Source.self))
        forActive(c) { d[$0] = Result(truncatingIfNeeded: operation(UInt64(truncatingIfNeeded: a[$0]))) }
    }

    private func toInteger<Format: SoftFormat, Source: FixedWidthInteger, Result: FixedWidthInteger>(
        _ r: DecodedOp, _ c: VectorContext, _ format: Format.Type, _ source: Source.Type, _ result: Result.Type, _ mode: RoundingMode, _ flags: inout FloatFlags
    ) {
        let (d, a) = (elements(r.rd, as: Result.self), elements(r.rs2, as: Source.self))
        forActive(c) { d[$0] = Format.toInteger(UInt64(truncatingIfNeeded: a[$0]), as: Result.self, mode, &flags) }
    }

    private func fromInteger<Format: SoftFormat, Source: FixedWidthInteger, Result: FixedWidthInteger>(
        _ r: DecodedOp, _ c: VectorContext, _ format: Format.Type, _ source: Source.Type, _ result: Result.Type, _ mode: RoundingMode, _ flags: inout FloatFlags
    ) {
        let (d, a) = (elements(r.rd, as: Result.self), elements(r.rs2, as: Source.self))
        forActive(c) {
            let value = a[$0]
            d[$0] = Result(truncatingIfNeeded: Format.fromInteger(magnitude: UInt64(truncatingIfNeeded: value.magnitude), negative: value < 0, mode, &flags))
        }
    }
}
