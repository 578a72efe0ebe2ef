extension RVTable {
    /// V: integer arithmetic of one width.
    static let vectorInteger: [RVInstruction] = [
        vector("vadd", 0x00, .vadd, .ivv, .ivx, .ivi), vector("vsub", 0x02, .vsub, .ivv, .ivx), vector("vrsub", 0x03, .vrsub, .ivx, .ivi),
        vector("vminu", 0x04, .vminu, .ivv, .ivx), vector("vmin", 0x05, .vmin, .ivv, .ivx),
        vector("vmaxu", 0x06, .vmaxu, .ivv, .ivx), vector("vmax", 0x07, .vmax, .ivv, .ivx),
        vector("vand", 0x09, .vand, .ivv, .ivx, .ivi), vector("vor", 0x0a, .vor, .ivv, .ivx, .ivi), vector("vxor", 0x0b, .vxor, .ivv, .ivx, .ivi),
        vector("vsll", 0x25, .vsll, .ivv, .ivx, .ivu), vector("vsrl", 0x28, .vsrl, .ivv, .ivx, .ivu), vector("vsra", 0x29, .vsra, .ivv, .ivx, .ivu),
        vector("vmul", 0x25, .vmul, .mvv, .mvx), vector("vmulh", 0x27, .vmulh, .mvv, .mvx), vector("vmulhu", 0x24, .vmulhu, .mvv, .mvx),
        vector("vmulhsu", 0x26, .vmulhsu, .mvv, .mvx),
        vector("vdivu", 0x20, .vdivu, .mvv, .mvx), vector("vdiv", 0x21, .vdiv, .mvv, .mvx),
        vector("vremu", 0x22, .vremu, .mvv, .mvx), vector("vrem", 0x23, .vrem, .mvv, .mvx),
        vector("vmacc", 0x2d, .vmacc, .mvv, .mvx, accumulates: true), vector("vnmsac", 0x2f, .vnmsac, .mvv, .mvx, accumulates: true),
        vector("vmadd", 0x29, .vmadd, .mvv, .mvx, accumulates: true), vector("vnmsub", 0x2b, .vnmsub, .mvv, .mvx, accumulates: true),
        vector("vmseq", 0x18, .vmseq, .ivv, .ivx, .ivi), vector("vmsne", 0x19, .vmsne, .ivv, .ivx, .ivi),
        vector("vmsltu", 0x1a, .vmsltu, .ivv, .ivx), vector("vmslt", 0x1b, .vmslt, .ivv, .ivx),
        vector("vmsleu", 0x1c, .vmsleu, .ivv, .ivx, .ivi), vector("vmsle", 0x1d, .vmsle, .ivv, .ivx, .ivi),
        vector("vmsgtu", 0x1e, .vmsgtu, .ivx, .ivi), vector("vmsgt", 0x1f, .vmsgt, .ivx, .ivi),
        vector("vadc", 0x10, .vadc, .ivv, .ivx, .ivi, mask: "0"), vector("vsbc", 0x12, .vsbc, .ivv, .ivx, mask: "0"),
        vector("vmadc", 0x11, .vmadc, .ivv, .ivx, .ivi, mask: "0"), vector("vmadc", 0x11, .vmadc, .ivv, .ivx, .ivi, mask: "1"),
        vector("vmsbc", 0x13, .vmsbc, .ivv, .ivx, mask: "0"), vector("vmsbc", 0x13, .vmsbc, .ivv, .ivx, mask: "1"),
        vector("vmerge", 0x17, .vmerge, .ivv, .ivx, .ivi, mask: "0"),
        [
            vectorMove("vmv.v.v", 0x17, .vmv_v, .ivv), vectorMove("vmv.v.x", 0x17, .vmv_v, .ivx), vectorMove("vmv.v.i", 0x17, .vmv_v, .ivi),
            vectorUnary("vzext.vf8", 0x12, code: 2, .vzext, .mvv), vectorUnary("vsext.vf8", 0x12, code: 3, .vsext, .mvv),
            vectorUnary("vzext.vf4", 0x12, code: 4, .vzext, .mvv), vectorUnary("vsext.vf4", 0x12, code: 5, .vsext, .mvv),
            vectorUnary("vzext.vf2", 0x12, code: 6, .vzext, .mvv), vectorUnary("vsext.vf2", 0x12, code: 7, .vsext, .mvv),
        ],
    ].flatMap { $0 }
}

/// "Vector Integer Arithmetic Instructions" whose operands all have SEW, comparisons and extensions included.
extension RVProcessor {
    /// - Returns: false for a reserved encoding.
    func executeVectorInteger(_ op: RVOp, _ r: DecodedOp, _ c: VectorContext) -> Bool {
        switch op.rawValue {
        case ...RVOp.vremu.rawValue: c.isPlain(r) && executeVectorBinary(op, r, c)
        case ...RVOp.vnmsub.rawValue: c.isPlain(r) && executeVectorMultiplyAdd(op, r, c)
        case ...RVOp.vmsgt.rawValue: c.isComparison(r) && executeVectorComparison(op, r, c)
        case ...RVOp.vmsbc.rawValue: executeVectorCarry(op, r, c)
        case ...RVOp.vmv_v.rawValue: executeVectorMerge(op, r, c)
        default: executeVectorExtend(op, r, c)
        }
    }

    // MARK: Shapes

    /// vd = operation(vs2, second), zero-extended to 64 bits.
    @inline(__always)
    func unsigned(_ r: DecodedOp, _ c: VectorContext, unsignedImmediate: Bool = false, _ operation: (UInt64, UInt64) -> UInt64) -> Bool {
        switch c.width {
        case 0: vectorMap(r, c, to: UInt8.self, UInt8.self, UInt8.self, unsignedImmediate: unsignedImmediate, operation)
        case 1: vectorMap(r, c, to: UInt16.self, UInt16.self, UInt16.self, unsignedImmediate: unsignedImmediate, operation)
        case 2: vectorMap(r, c, to: UInt32.self, UInt32.self, UInt32.self, unsignedImmediate: unsignedImmediate, operation)
        default: vectorMap(r, c, to: UInt64.self, UInt64.self, UInt64.self, unsignedImmediate: unsignedImmediate, operation)
        }
        return true
    }

    /// The same, sign-extended.
    @inline(__always)
    func signed(_ r: DecodedOp, _ c: VectorContext, unsignedImmediate: Bool = false, _ operation: (Int64, Int64) -> Int64) -> Bool {
        switch c.width {
        case 0: vectorMap(r, c, to: Int8.self, Int8.self, Int8.self, unsignedImmediate: unsignedImmediate, operation)
        case 1: vectorMap(r, c, to: Int16.self, Int16.self, Int16.self, unsignedImmediate: unsignedImmediate, operation)
        case 2: vectorMap(r, c, to: Int32.self, Int32.self, Int32.self, unsignedImmediate: unsignedImmediate, operation)
        default: vectorMap(r, c, to: Int64.self, Int64.self, Int64.self, unsignedImmediate: unsignedImmediate, operation)
        }
        return true
    }

    /// vd = operation(vd, vs2, second), modulo 2^SEW.
    @inline(__always)
    private func accumulate(_ r: DecodedOp, _ c: VectorContext, _ operation: (UInt64, UInt64, UInt64) -> UInt64) -> Bool {
        switch c.width {
        case 0: vectorAccumulate(r, c, to: UInt8.self, UInt8.self, UInt8.self, operation)
        case 1: vectorAccumulate(r, c, to: UInt16.self, UInt16.self, UInt16.self, operation)
        case 2: vectorAccumulate(r, c, to: UInt32.self, UInt32.self, UInt32.self, operation)
        default: vectorAccumulate(r, c, to: UInt64.self, UInt64.self, UInt64.self, operation)
        }
        return true
    }

    // MARK: Operations

    private func executeVectorBinary(_ op: RVOp, _ r: DecodedOp, _ c: VectorContext) -> Bool {
        let sew = c.sew
        let amount = sew - 1
        switch op {
        case .vadd: return unsigned(r, c) { $0 &+ $1 }
        case .vsub: return unsigned(r, c) { $0 &- $1 }
        case .vrsub: return unsigned(r, c) { $1 &- $0 }
        case .vand: return unsigned(r, c) { $0 & $1 }
        case .vor: return unsigned(r, c) { $0 | $1 }
        case .vxor: return unsigned(r, c) { $0 ^ $1 }
        case .vminu: return unsigned(r, c) { min($0, $1) }
        case .vmin: return signed(r, c) { min($0, $1) }
        case .vmaxu: return unsigned(r, c) { max($0, $1) }
        case .vmax: return signed(r, c) { max($0, $1) }
        case .vsll: return unsigned(r, c, unsignedImmediate: true) { $0 &<< ($1 & amount) }
        case .vsrl: return unsigned(r, c, unsignedImmediate: true) { $0 &>> ($1 & amount) }
        case .vsra: return signed(r, c, unsignedImmediate: true) { $0 &>> ($1 & Int64(amount)) }
        case .vmul: return unsigned(r, c) { $0 &* $1 }
        case .vmulh:
            return signed(r, c) { c.width == 3 ? Int64(truncatingIfNeeded: RVM.mulh(UInt64(bitPattern: $0), UInt64(bitPattern: $1))) : ($0 &* $1) &>> Int64(sew) }
        case .vmulhu: return unsigned(r, c) { c.width == 3 ? RVM.mulhu($0, $1) : ($0 &* $1) &>> sew }
        case .vmulhsu:
            return signed(r, c) {
                if c.width == 3 { return Int64(bitPattern: RVM.mulhsu(UInt64(bitPattern: $0), UInt64(bitPattern: $1))) }
                // The second factor is unsigned.
                return ($0 &* ($1 & (1 << Int64(sew) - 1))) &>> Int64(sew)
            }
        case .vdivu: return unsigned(r, c) { $1 == 0 ? .max : $0 / $1 }
        case .vdiv: return signed(r, c) { $1 == 0 ? -1 : $1 == -1 ? 0 &- $0 : $0 / $1 }
        case .vremu: return unsigned(r, c) { $1 == 0 ? $0 : $0 % $1 }
        case .vrem: return signed(r, c) { $1 == 0 ? $0 : $1 == -1 ? 0 : $0 % $1 }
        default: return false
        }
    }

    private func executeVectorMultiplyAdd(_ op: RVOp, _ r: DecodedOp, _ c: VectorContext) -> Bool {
        switch op {
        case .vmacc: accumulate(r, c) { $0 &+ $1 &* $2 }
        case .vnmsac: accumulate(r, c) { $0 &- $1 &* $2 }
        case .vmadd: accumulate(r, c) { $0 &* $2 &+ $1 }
        case .vnmsub: accumulate(r, c) { $1 &- $0 &* $2 }
        default: false
        }
    }

    private func executeVectorComparison(_ op: RVOp, _ r: DecodedOp, _ c: VectorContext) -> Bool {
        switch op {
        case .vmseq: compareUnsigned(r, c) { $0 == $1 }
        case .vmsne: compareUnsigned(r, c) { $0 != $1 }
        case .vmsltu: compareUnsigned(r, c) { $0 < $1 }
        case .vmslt: compareSigned(r, c) { $0 < $1 }
        case .vmsleu: compareUnsigned(r, c) { $0 <= $1 }
        case .vmsle: compareSigned(r, c) { $0 <= $1 }
        case .vmsgtu: compareUnsigned(r, c) { $0 > $1 }
        case .vmsgt: compareSigned(r, c) { $0 > $1 }
        default: false
        }
    }

    @inline(__always)
    private func compareUnsigned(_ r: DecodedOp, _ c: VectorContext, _ relation: (UInt64, UInt64) -> Bool) -> Bool {
        switch c.width {
        case 0: vectorCompare(r, c, UInt8.self) { relation(UInt64($0), UInt64($1)) }
        case 1: vectorCompare(r, c, UInt16.self) { relation(UInt64($0), UInt64($1)) }
        case 2: vectorCompare(r, c, UInt32.self) { relation(UInt64($0), UInt64($1)) }
        default: vectorCompare(r, c, UInt64.self, relation)
        }
        return true
    }

    @inline(__always)
    private func compareSigned(_ r: DecodedOp, _ c: VectorContext, _ relation: (Int64, Int64) -> Bool) -> Bool {
        switch c.width {
        case 0: vectorCompare(r, c, Int8.self) { relation(Int64($0), Int64($1)) }
        case 1: vectorCompare(r, c, Int16.self) { relation(Int64($0), Int64($1)) }
        case 2: vectorCompare(r, c, Int32.self) { relation(Int64($0), Int64($1)) }
        default: vectorCompare(r, c, Int64.self, relation)
        }
        return true
    }

    // MARK: Carries, merges, extensions

    // v0 is an operand of these, not a condition: every element is active.

    private func executeVectorCarry(_ op: RVOp, _ r: DecodedOp, _ c: VectorContext) -> Bool {
        let writesMask = op == .vmadc || op == .vmsbc
        guard writesMask ? c.isComparison(r) : c.isPlain(r) else { return false }
        switch c.width {
        case 0: carry(op, r, c, UInt8.self)
        case 1: carry(op, r, c, UInt16.self)
        case 2: carry(op, r, c, UInt32.self)
        default: carry(op, r, c, UInt64.self)
        }
        return true
    }

    @inline(__always)
    private func carry<Element: FixedWidthInteger>(_ op: RVOp, _ r: DecodedOp, _ c: VectorContext, _ type: Element.Type) {
        let a = elements(r.rs2, as: Element.self)
        let d = elements(r.rd, as: Element.self)
        let (b, step) = secondOperand(r, as: Element.self)
        forActive(c.withoutMask) { index in
            let carry: Element = c.isMasked && maskBit(0, index) ? 1 : 0
            let (first, second) = (a[index], b[index &* step])
            switch op {
            case .vadc: d[index] = first &+ second &+ carry
            case .vsbc: d[index] = first &- second &- carry
            case .vmadc:
                let (sum, overflow) = first.addingReportingOverflow(second)
                setMaskBit(r.rd, index, overflow || sum.addingReportingOverflow(carry).overflow)
            default:
                let (difference, overflow) = first.subtractingReportingOverflow(second)
                setMaskBit(r.rd, index, overflow || difference.subtractingReportingOverflow(carry).overflow)
            }
        }
    }

    private func executeVectorMerge(_ op: RVOp, _ r: DecodedOp, _ c: VectorContext) -> Bool {
        if op == .vmv_v {
            // vs2 is no operand.
            guard r.isVectorVector ? c.allows(c.group(r.rd), c.group(r.rs1)) : c.allows(c.group(r.rd)) else { return false }
            return unsigned(r, c) { $1 }
        }
        guard c.isPlain(r) else { return false }
        switch c.width {
        case 0: merge(r, c, UInt8.self)
        case 1: merge(r, c, UInt16.self)
        case 2: merge(r, c, UInt32.self)
        default: merge(r, c, UInt64.self)
        }
        return true
    }

    /// vd[i] = second operand where v0 has a one, else vs2[i].
    @inline(__always)
    func merge<Element: FixedWidthInteger>(_ r: DecodedOp, _ c: VectorContext, _ type: Element.Type) {
        let (a, d) = (elements(r.rs2, as: Element.self), elements(r.rd, as: Element.self))
        let (b, step) = secondOperand(r, as: Element.self)
        forActive(c.withoutMask) { d[$0] = maskBit(0, $0) ? b[$0 &* step] : a[$0] }
    }

    /// vzext and vsext: the source is 2, 4 or 8 times narrower, by field vs1.
    private func executeVectorExtend(_ op: RVOp, _ r: DecodedOp, _ c: VectorContext) -> Bool {
        let width = c.width - (4 - Int(r.rs1 >> 1))
        guard width >= 0, c.allows(c.group(r.rd), c.group(r.rs2, width: width)) else { return false }
        let isSigned = op == .vsext
        switch (width, c.width) {
        case (0, 1): isSigned ? extend(r, c, Int8.self, Int16.self) : extend(r, c, UInt8.self, UInt16.self)
        case (0, 2): isSigned ? extend(r, c, Int8.self, Int32.self) : extend(r, c, UInt8.self, UInt32.self)
        case (0, 3): isSigned ? extend(r, c, Int8.self, Int64.self) : extend(r, c, UInt8.self, UInt64.self)
        case (1, 2): isSigned ? extend(r, c, Int16.self, Int32.self) : extend(r, c, UInt16.self, UInt32.self)
        case (1, 3): isSigned ? extend(r, c, Int16.self, Int64.self) : extend(r, c, UInt16.self, UInt64.self)
        default: isSigned ? extend(r, c, Int32.self, Int64.self) : extend(r, c, UInt32.self, UInt64.self)
        }
        return true
    }

    @inline(__always)
    private func extend<Source: FixedWidthInteger, Result: FixedWidthInteger>(_ r: DecodedOp, _ c: VectorContext, _ source: Source.Type, _ result: Result.Type) {
        let (a, d) = (elements(r.rs2, as: Source.self), elements(r.rd, as: Result.self))
        forActive(c) { d[$0] = Result(truncatingIfNeeded: a[$0]) }
    }
}
