extension RVTable {
    /// V: integer arithmetic that doubles or halves the width.
    static let vectorWidening: [RVInstruction] = [
        vector("vwaddu", 0x30, .vwaddu, .mvv, .mvx), vector("vwadd", 0x31, .vwadd, .mvv, .mvx),
        vector("vwsubu", 0x32, .vwsubu, .mvv, .mvx), vector("vwsub", 0x33, .vwsub, .mvv, .mvx),
        vector("vwaddu", 0x34, .vwaddu_w, .mvv, .mvx, first: "w"), vector("vwadd", 0x35, .vwadd_w, .mvv, .mvx, first: "w"),
        vector("vwsubu", 0x36, .vwsubu_w, .mvv, .mvx, first: "w"), vector("vwsub", 0x37, .vwsub_w, .mvv, .mvx, first: "w"),
        vector("vwmulu", 0x38, .vwmulu, .mvv, .mvx), vector("vwmulsu", 0x3a, .vwmulsu, .mvv, .mvx), vector("vwmul", 0x3b, .vwmul, .mvv, .mvx),
        vector("vwmaccu", 0x3c, .vwmaccu, .mvv, .mvx, accumulates: true), vector("vwmacc", 0x3d, .vwmacc, .mvv, .mvx, accumulates: true),
        vector("vwmaccsu", 0x3f, .vwmaccsu, .mvv, .mvx, accumulates: true), vector("vwmaccus", 0x3e, .vwmaccus, .mvx, accumulates: true),
        vector("vnsrl", 0x2c, .vnsrl, .ivv, .ivx, .ivu, first: "w"), vector("vnsra", 0x2d, .vnsra, .ivv, .ivx, .ivu, first: "w"),
    ].flatMap { $0 }
}

/// Integer arithmetic with operands of SEW and of 2 × SEW.
extension RVProcessor {
    /// - Returns: false for a reserved encoding.
    func executeVectorWidening(_ op: RVOp, _ r: DecodedOp, _ c: VectorContext) -> Bool {
        switch op {
        case .vwaddu: c.isWidening(r) && widenUnsigned(r, c) { $0 &+ $1 }
        case .vwadd: c.isWidening(r) && widenSigned(r, c) { $0 &+ $1 }
        case .vwsubu: c.isWidening(r) && widenUnsigned(r, c) { $0 &- $1 }
        case .vwsub: c.isWidening(r) && widenSigned(r, c) { $0 &- $1 }
        case .vwaddu_w: c.isWide(r) && wideUnsigned(r, c) { $0 &+ $1 }
        case .vwadd_w: c.isWide(r) && wideSigned(r, c) { $0 &+ $1 }
        case .vwsubu_w: c.isWide(r) && wideUnsigned(r, c) { $0 &- $1 }
        case .vwsub_w: c.isWide(r) && wideSigned(r, c) { $0 &- $1 }
        case .vwmulu: c.isWidening(r) && widenUnsigned(r, c) { $0 &* $1 }
        case .vwmul: c.isWidening(r) && widenSigned(r, c) { $0 &* $1 }
        case .vwmulsu: c.isWidening(r) && widenMixed(r, c)
        case .vwmaccu, .vwmacc, .vwmaccsu, .vwmaccus: c.isWideningAccumulation(r) && accumulateWide(op, r, c)
        case .vnsrl: c.isNarrowing(r) && narrowLogical(r, c)
        case .vnsra: c.isNarrowing(r) && narrowArithmetic(r, c)
        default: false
        }
    }

    // MARK: Shapes

    @inline(__always)
    func widenUnsigned(_ r: DecodedOp, _ c: VectorContext, unsignedImmediate: Bool = false, _ operation: (UInt64, UInt64) -> UInt64) -> Bool {
        switch c.width {
        case 0: vectorMap(r, c, to: UInt16.self, UInt8.self, UInt8.self, unsignedImmediate: unsignedImmediate, operation)
        case 1: vectorMap(r, c, to: UInt32.self, UInt16.self, UInt16.self, unsignedImmediate: unsignedImmediate, operation)
        default: vectorMap(r, c, to: UInt64.self, UInt32.self, UInt32.self, unsignedImmediate: unsignedImmediate, operation)
        }
        return true
    }

    @inline(__always)
    private func widenSigned(_ r: DecodedOp, _ c: VectorContext, _ operation: (Int64, Int64) -> Int64) -> Bool {
        switch c.width {
        case 0: vectorMap(r, c, to: Int16.self, Int8.self, Int8.self, operation)
        case 1: vectorMap(r, c, to: Int32.self, Int16.self, Int16.self, operation)
        default: vectorMap(r, c, to: Int64.self, Int32.self, Int32.self, operation)
        }
        return true
    }

    /// vwmulsu: vs2 is signed, the second operand is not.
    private func widenMixed(_ r: DecodedOp, _ c: VectorContext) -> Bool {
        let product: (Int64, Int64) -> Int64 = { $0 &* $1 }
        switch c.width {
        case 0: vectorMap(r, c, to: Int16.self, Int8.self, UInt8.self, product)
        case 1: vectorMap(r, c, to: Int32.self, Int16.self, UInt16.self, product)
        default: vectorMap(r, c, to: Int64.self, Int32.self, UInt32.self, product)
        }
        return true
    }

    @inline(__always)
    private func wideUnsigned(_ r: DecodedOp, _ c: VectorContext, _ operation: (UInt64, UInt64) -> UInt64) -> Bool {
        switch c.width {
        case 0: vectorMap(r, c, to: UInt16.self, UInt16.self, UInt8.self, operation)
        case 1: vectorMap(r, c, to: UInt32.self, UInt32.self, UInt16.self, operation)
        default: vectorMap(r, c, to: UInt64.self, UInt64.self, UInt32.self, operation)
        }
        return true
    }

    @inline(__always)
    private func wideSigned(_ r: DecodedOp, _ c: VectorContext, _ operation: (Int64, Int64) -> Int64) -> Bool {
        switch c.width {
        case 0: vectorMap(r, c, to: Int16.self, Int16.self, Int8.self, operation)
        case 1: vectorMap(r, c, to: Int32.self, Int32.self, Int16.self, operation)
        default: vectorMap(r, c, to: Int64.self, Int64.self, Int32.self, operation)
        }
        return true
    }

    private func narrowLogical(_ r: DecodedOp, _ c: VectorContext) -> Bool {
        let amount = 2 * c.sew - 1
        let shift: (UInt64, UInt64) -> UInt64 = { $0 &>> ($1 & amount) }
        switch c.width {
        case 0: vectorMap(r, c, to: UInt8.self, UInt16.self, UInt8.self, unsignedImmediate: true, shift)
        case 1: vectorMap(r, c, to: UInt16.self, UInt32.self, UInt16.self, unsignedImmediate: true, shift)
        default: vectorMap(r, c, to: UInt32.self, UInt64.self, UInt32.self, unsignedImmediate: true, shift)
        }
        return true
    }

    private func narrowArithmetic(_ r: DecodedOp, _ c: VectorContext) -> Bool {
        let amount = Int64(2 * c.sew - 1)
        let shift: (Int64, Int64) -> Int64 = { $0 &>> ($1 & amount) }
        switch c.width {
        case 0: vectorMap(r, c, to: Int8.self, Int16.self, Int8.self, unsignedImmediate: true, shift)
        case 1: vectorMap(r, c, to: Int16.self, Int32.self, Int16.self, unsignedImmediate: true, shift)
        default: vectorMap(r, c, to: Int32.self, Int64.self, Int32.self, unsignedImmediate: true, shift)
        }
        return true
    }

    private func accumulateWide(_ op: RVOp, _ r: DecodedOp, _ c: VectorContext) -> Bool {
        switch c.width {
        case 0: accumulateWide(op, r, c, UInt8.self, Int8.self, Int16.self)
        case 1: accumulateWide(op, r, c, UInt16.self, Int16.self, Int32.self)
        default: accumulateWide(op, r, c, UInt32.self, Int32.self, Int64.self)
        }
        return true
    }

    /// Which factors are signed follows from the operation. In modular arithmetic it does not matter whether the sum is.
    @inline(__always)
    private func accumulateWide<Unsigned: FixedWidthInteger, Signed: FixedWidthInteger, Wide: FixedWidthInteger>(
        _ op: RVOp, _ r: DecodedOp, _ c: VectorContext, _ unsigned: Unsigned.Type, _ signed: Signed.Type, _ wide: Wide.Type
    ) {
        let sum: (Int64, Int64, Int64) -> Int64 = { $0 &+ $1 &* $2 }
        switch op {
        case .vwmaccu: vectorAccumulate(r, c, to: Wide.self, Unsigned.self, Unsigned.self, sum)
        case .vwmacc: vectorAccumulate(r, c, to: Wide.self, Signed.self, Signed.self, sum)
        // The second operand is signed, vs2 is not.
        case .vwmaccsu: vectorAccumulate(r, c, to: Wide.self, Unsigned.self, Signed.self, sum)
        default: vectorAccumulate(r, c, to: Wide.self, Signed.self, Unsigned.self, sum)
        }
    }
}
