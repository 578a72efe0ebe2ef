extension RVTable {
    /// Zvbb with its part Zvkb: bit manipulation; Zvbc: carry-less multiplication.
    static let vectorBits: [RVInstruction] = [
        vector("vandn", 0x01, .vandn, .ivv, .ivx, needs: .zvkb), vector("vrol", 0x15, .vrol, .ivv, .ivx, needs: .zvkb),
        vector("vror", 0x14, .vror, .ivv, .ivx, needs: .zvkb), vector("vwsll", 0x35, .vwsll, .ivv, .ivx, .ivu, needs: .all(.zvbb)),
        vector("vclmul", 0x0c, .vclmul, .mvv, .mvx, needs: .all(.zvbc)), vector("vclmulh", 0x0d, .vclmulh, .mvv, .mvx, needs: .all(.zvbc)),
        [
            // Its immediate has a sixth bit, in front of vm.
            RVInstruction("vror.vi", "01010 e m ttttt zzzzz 011 ddddd 1010111", .zvkb, RVFormat(.vectorRotation, [.vd, .vs2, .rotation, .vectorMask]), .vror),
            vectorUnary("vbrev8.v", 0x12, code: 0x08, .vbrev8, .mvv, needs: .zvkb), vectorUnary("vrev8.v", 0x12, code: 0x09, .vrev8, .mvv, needs: .zvkb),
            vectorUnary("vbrev.v", 0x12, code: 0x0a, .vbrev, .mvv, needs: .all(.zvbb)), vectorUnary("vclz.v", 0x12, code: 0x0c, .vclz, .mvv, needs: .all(.zvbb)),
            vectorUnary("vctz.v", 0x12, code: 0x0d, .vctz, .mvv, needs: .all(.zvbb)), vectorUnary("vcpop.v", 0x12, code: 0x0e, .vcpop_v, .mvv, needs: .all(.zvbb)),
        ],
    ].flatMap { $0 }
}

extension RVRequirement {
    static let zvkb = any(all(.zvbb), all(.zvkb))
}

extension DecodedOp {
    /// The six bits of the amount of `vror.vi`.
    var rotationImmediate: UInt64 { UInt64(rs3) << 5 | UInt64(rs1) }
}

/// "Vector Extension for Basic Bit Manipulation", "Vector Extension for Carry-less Multiplication".
extension RVProcessor {
    /// - Returns: false for a reserved encoding.
    func executeVectorBits(_ op: RVOp, _ r: DecodedOp, _ c: VectorContext) -> Bool {
        let sew = c.sew
        switch op {
        case .vandn: return c.isPlain(r) && unsigned(r, c) { $0 & ~$1 }
        case .vrol: return c.isPlain(r) && unsigned(r, c) { Self.rotate($0, 0 &- $1, sew) }
        case .vror where r.vectorForm == 3:
            let amount = r.rotationImmediate
            return c.isPlain(r) && unsigned(r, c) { value, _ in Self.rotate(value, amount, sew) }
        case .vror: return c.isPlain(r) && unsigned(r, c) { Self.rotate($0, $1, sew) }
        case .vwsll: return c.isWidening(r) && widenUnsigned(r, c, unsignedImmediate: true) { $0 &<< ($1 & (2 * sew - 1)) }
        // Other widths are reserved.
        case .vclmul: return c.width == 3 && c.isPlain(r) && unsigned(r, c) { RVZbc.clmul($0, $1) }
        case .vclmulh: return c.width == 3 && c.isPlain(r) && unsigned(r, c) { RVZbc.clmulh($0, $1) }
        default:
            guard c.allows(c.group(r.rd), c.group(r.rs2)) else { return false }
            switch c.width {
            case 0: rearrange(op, r, c, UInt8.self)
            case 1: rearrange(op, r, c, UInt16.self)
            case 2: rearrange(op, r, c, UInt32.self)
            default: rearrange(op, r, c, UInt64.self)
            }
            return true
        }
    }

    /// The low `width` bits of `value` turned right.
    @inline(__always)
    private static func rotate(_ value: UInt64, _ amount: UInt64, _ width: UInt64) -> UInt64 {
        let amount = amount & (width - 1)
        return value &>> amount | value &<< (width - amount)
    }

    /// Operations on the bits of one operand.
    private func rearrange<Element: FixedWidthInteger & UnsignedInteger>(_ op: RVOp, _ r: DecodedOp, _ c: VectorContext, _ type: Element.Type) {
        let (d, a) = (elements(r.rd, as: type), elements(r.rs2, as: type))
        forActive(c) {
            let value = a[$0]
            d[$0] =
                switch op {
                case .vbrev8: Element(truncatingIfNeeded: RVZbk.brev8(UInt64(value)))
                case .vrev8: value.byteSwapped
                case .vbrev: Element(truncatingIfNeeded: RVZbk.brev8(UInt64(value))).byteSwapped
                case .vclz: Element(truncatingIfNeeded: value.leadingZeroBitCount)
                case .vctz: Element(truncatingIfNeeded: value.trailingZeroBitCount)
                default: Element(truncatingIfNeeded: value.nonzeroBitCount)
                }
        }
    }
}
