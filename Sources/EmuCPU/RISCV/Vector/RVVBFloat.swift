extension RVTable {
    /// Zvfbfmin: conversions of BF16; Zvfbfwma: multiplication with accumulation in single precision.
    static let vectorBFloat: [RVInstruction] =
        [
            vectorUnary("vfwcvtbf16.f.f.v", 0x12, code: 0x0d, .vfwcvtbf16, .fvv, needs: .all(.zvfbfmin)),
            vectorUnary("vfncvtbf16.f.f.w", 0x12, code: 0x1d, .vfncvtbf16, .fvv, needs: .all(.zvfbfmin)),
        ] + vector("vfwmaccbf16", 0x3b, .vfwmaccbf16, .fvv, .fvf, accumulates: true, needs: .all(.zvfbfwma))
}

/// BF16 in vectors. All of these want SEW = 16.
extension RVProcessor {
    /// - Returns: false for a reserved encoding, or while floating point is off.
    func executeVectorBFloat(_ op: RVOp, _ r: DecodedOp, _ c: VectorContext) -> Bool {
        guard c.width == 1 else { return false }
        return withFloatFlags(c) { mode, flags in
            switch op {
            case .vfwcvtbf16:
                guard c.allows(c.group(r.rd, width: 2), c.group(r.rs2)) else { return false }
                fromFloat(r, c, UInt16.self, UInt32.self) { BFloat16.convert($0, to: Binary32.self, mode, &flags) }
            case .vfncvtbf16:
                guard c.allows(c.group(r.rd), c.group(r.rs2, width: 2)) else { return false }
                fromFloat(r, c, UInt32.self, UInt16.self) { Binary32.convert($0, to: BFloat16.self, mode, &flags) }
            default:
                guard c.isWideningAccumulation(r) else { return false }
                let (d, a) = (elements(r.rd, as: UInt32.self), elements(r.rs2, as: UInt16.self))
                let (b, step) = secondOperand(r, as: UInt16.self)
                // What is not boxed as 16 bits is this format's NaN, not half precision's.
                if step == 0 { scalarElement.pointee = BFloat16.unboxed(f[Int(r.rs1)]) }
                forActive(c) {
                    let first = BFloat16.convert(UInt64(a[$0]), to: Binary32.self, mode, &flags)
                    let second = BFloat16.convert(UInt64(b[$0 &* step]), to: Binary32.self, mode, &flags)
                    d[$0] = UInt32(truncatingIfNeeded: Binary32.multiplyAdd(second, first, UInt64(d[$0]), mode, &flags))
                }
            }
            return true
        }
    }
}
