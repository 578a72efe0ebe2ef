extension RVTable {
    /// V: reductions.
    static let vectorReduction: [RVInstruction] = [
        vector("vredsum", 0x00, .vredsum, .mvv, suffix: "vs"), vector("vredand", 0x01, .vredand, .mvv, suffix: "vs"),
        vector("vredor", 0x02, .vredor, .mvv, suffix: "vs"), vector("vredxor", 0x03, .vredxor, .mvv, suffix: "vs"),
        vector("vredminu", 0x04, .vredminu, .mvv, suffix: "vs"), vector("vredmin", 0x05, .vredmin, .mvv, suffix: "vs"),
        vector("vredmaxu", 0x06, .vredmaxu, .mvv, suffix: "vs"), vector("vredmax", 0x07, .vredmax, .mvv, suffix: "vs"),
        vector("vwredsumu", 0x30, .vwredsumu, .ivv, suffix: "vs"), vector("vwredsum", 0x31, .vwredsum, .ivv, suffix: "vs"),
        vector("vfredusum", 0x01, .vfredusum, .fvv, suffix: "vs"), vector("vfredosum", 0x03, .vfredosum, .fvv, suffix: "vs"),
        vector("vfredmin", 0x05, .vfredmin, .fvv, suffix: "vs"), vector("vfredmax", 0x07, .vfredmax, .fvv, suffix: "vs"),
        vector("vfwredusum", 0x31, .vfwredusum, .fvv, suffix: "vs"), vector("vfwredosum", 0x33, .vfwredosum, .fvv, suffix: "vs"),
    ].flatMap { $0 }
}

/// "Vector Reduction Operations": vd[0] = vs1[0] and all active elements of vs2, combined in order, which the unordered ones allow too.
extension RVProcessor {
    /// - Returns: false for a reserved encoding.
    func executeVectorReduction(_ op: RVOp, _ r: DecodedOp, _ c: VectorContext) -> Bool {
        let isWidening = op == .vwredsumu || op == .vwredsum || op == .vfwredusum || op == .vfwredosum
        guard c.isReduction(r, width: isWidening ? c.width + 1 : c.width) else { return false }
        switch op {
        case .vredsum: return reduceUnsigned(r, c) { $0 &+ $1 }
        case .vredand: return reduceUnsigned(r, c) { $0 & $1 }
        case .vredor: return reduceUnsigned(r, c) { $0 | $1 }
        case .vredxor: return reduceUnsigned(r, c) { $0 ^ $1 }
        case .vredminu: return reduceUnsigned(r, c) { min($0, $1) }
        case .vredmin: return reduceSigned(r, c) { min($0, $1) }
        case .vredmaxu: return reduceUnsigned(r, c) { max($0, $1) }
        case .vredmax: return reduceSigned(r, c) { max($0, $1) }
        case .vwredsumu:
            switch c.width {
            case 0: reduce(r, c, UInt8.self, to: UInt16.self) { (a: UInt64, b: UInt64) in a &+ b }
            case 1: reduce(r, c, UInt16.self, to: UInt32.self) { (a: UInt64, b: UInt64) in a &+ b }
            default: reduce(r, c, UInt32.self, to: UInt64.self) { (a: UInt64, b: UInt64) in a &+ b }
            }
            return true
        case .vwredsum:
            switch c.width {
            case 0: reduce(r, c, Int8.self, to: Int16.self) { (a: Int64, b: Int64) in a &+ b }
            case 1: reduce(r, c, Int16.self, to: Int32.self) { (a: Int64, b: Int64) in a &+ b }
            default: reduce(r, c, Int32.self, to: Int64.self) { (a: Int64, b: Int64) in a &+ b }
            }
            return true
        default: return reduceFloats(op, r, c)
        }
    }

    @inline(__always)
    func reduce<Element: FixedWidthInteger, Result: FixedWidthInteger, Wide: FixedWidthInteger>(
        _ r: DecodedOp, _ c: VectorContext, _ type: Element.Type, to result: Result.Type, _ operation: (Wide, Wide) -> Wide
    ) {
        if c.vl == 0 { return }
        let a = elements(r.rs2, as: Element.self)
        var value = Wide(truncatingIfNeeded: elements(r.rs1, as: Result.self).pointee)
        forActive(c) { value = operation(value, Wide(truncatingIfNeeded: a[$0])) }
        elements(r.rd, as: Result.self).pointee = Result(truncatingIfNeeded: value)
    }

    @inline(__always)
    private func reduceUnsigned(_ r: DecodedOp, _ c: VectorContext, _ operation: (UInt64, UInt64) -> UInt64) -> Bool {
        switch c.width {
        case 0: reduce(r, c, UInt8.self, to: UInt8.self, operation)
        case 1: reduce(r, c, UInt16.self, to: UInt16.self, operation)
        case 2: reduce(r, c, UInt32.self, to: UInt32.self, operation)
        default: reduce(r, c, UInt64.self, to: UInt64.self, operation)
        }
        return true
    }

    @inline(__always)
    private func reduceSigned(_ r: DecodedOp, _ c: VectorContext, _ operation: (Int64, Int64) -> Int64) -> Bool {
        switch c.width {
        case 0: reduce(r, c, Int8.self, to: Int8.self, operation)
        case 1: reduce(r, c, Int16.self, to: Int16.self, operation)
        case 2: reduce(r, c, Int32.self, to: Int32.self, operation)
        default: reduce(r, c, Int64.self, to: Int64.self, operation)
        }
        return true
    }

    private func reduceFloats(_ op: RVOp, _ r: DecodedOp, _ c: VectorContext) -> Bool {
        if op == .vfwredusum || op == .vfwredosum {
            return withFloatFlags(c) { mode, flags in
                switch c.width {
                case 1 where hasHalfVectors:
                    reduce(r, c, UInt16.self, to: UInt32.self) { Binary32.add($0, Binary16.convert($1, to: Binary32.self, mode, &flags), mode, &flags) }
                case 2: reduce(r, c, UInt32.self, to: UInt64.self) { Binary64.add($0, Binary32.convert($1, to: Binary64.self, mode, &flags), mode, &flags) }
                default: return false
                }
                return true
            }
        }
        return withFloatFlags(c) { mode, flags in
            switch c.width {
            case 1 where hasHalfVectors: reduceFloats(op, r, c, Binary16.self, UInt16.self, mode, &flags)
            case 2: reduceFloats(op, r, c, Binary32.self, UInt32.self, mode, &flags)
            case 3: reduceFloats(op, r, c, Binary64.self, UInt64.self, mode, &flags)
            default: return false
            }
            return true
        }
    }

    @inline(__always)
    private func reduceFloats<Format: SoftFormat, Element: FixedWidthInteger>(
        _ op: RVOp, _ r: DecodedOp, _ c: VectorContext, _ format: Format.Type, _ type: Element.Type, _ mode: RoundingMode, _ flags: inout FloatFlags
    ) {
        switch op {
        case .vfredmin: reduce(r, c, Element.self, to: Element.self) { Format.minimum($0, $1, &flags) }
        case .vfredmax: reduce(r, c, Element.self, to: Element.self) { Format.maximum($0, $1, &flags) }
        default: reduce(r, c, Element.self, to: Element.self) { Format.add($0, $1, mode, &flags) }
        }
    }
}
