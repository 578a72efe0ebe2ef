extension RVTable {
    /// V: masks.
    static let vectorMask: [RVInstruction] = [
        vector("vmandn", 0x18, .vmandn, .mvv, mask: "1", suffix: "mm"), vector("vmand", 0x19, .vmand, .mvv, mask: "1", suffix: "mm"),
        vector("vmor", 0x1a, .vmor, .mvv, mask: "1", suffix: "mm"), vector("vmxor", 0x1b, .vmxor, .mvv, mask: "1", suffix: "mm"),
        vector("vmorn", 0x1c, .vmorn, .mvv, mask: "1", suffix: "mm"), vector("vmnand", 0x1d, .vmnand, .mvv, mask: "1", suffix: "mm"),
        vector("vmnor", 0x1e, .vmnor, .mvv, mask: "1", suffix: "mm"), vector("vmxnor", 0x1f, .vmxnor, .mvv, mask: "1", suffix: "mm"),
        [
            vectorUnary("vcpop.m", 0x10, code: 0x10, .vcpop, .mvv, to: .rd), vectorUnary("vfirst.m", 0x10, code: 0x11, .vfirst, .mvv, to: .rd),
            vectorUnary("vmsbf.m", 0x14, code: 1, .vmsbf, .mvv), vectorUnary("vmsof.m", 0x14, code: 2, .vmsof, .mvv),
            vectorUnary("vmsif.m", 0x14, code: 3, .vmsif, .mvv), vectorUnary("viota.m", 0x14, code: 0x10, .viota, .mvv),
            .init("vid.v", "010100 m 00000 10001 010 ddddd 1010111", .all(.v), RVFormat(.vector, .vd, .vectorMask), .vid),
        ],
    ].flatMap { $0 }
}

/// "Vector Mask Instructions".
extension RVProcessor {
    /// - Returns: false for a reserved encoding.
    func executeVectorMask(_ op: RVOp, _ r: DecodedOp, _ c: VectorContext) -> Bool {
        switch op {
        case .vmandn: combineMasks(r, c) { $0 & ~$1 }
        case .vmand: combineMasks(r, c) { $0 & $1 }
        case .vmor: combineMasks(r, c) { $0 | $1 }
        case .vmxor: combineMasks(r, c) { $0 ^ $1 }
        case .vmorn: combineMasks(r, c) { $0 | ~$1 }
        case .vmnand: combineMasks(r, c) { ~($0 & $1) }
        case .vmnor: combineMasks(r, c) { ~($0 | $1) }
        case .vmxnor: combineMasks(r, c) { ~($0 ^ $1) }
        case .vcpop: countMask(r, c)
        case .vfirst: findFirst(r, c)
        case .vmsbf, .vmsof, .vmsif: setAroundFirst(op, r, c)
        case .viota: iota(r, c)
        default: index(r, c)
        }
    }

    /// vd = operation(vs2, vs1) on the bits of the body.
    @inline(__always)
    private func combineMasks(_ r: DecodedOp, _ c: VectorContext, _ operation: (UInt8, UInt8) -> UInt8) -> Bool {
        let (d, a, b) = (elements(r.rd, as: UInt8.self), elements(r.rs2, as: UInt8.self), elements(r.rs1, as: UInt8.self))
        var byte = c.start >> 3
        while byte << 3 < c.vl {
            var body = UInt8.max
            if c.start > byte << 3 { body <<= UInt8(c.start & 7) }
            if c.vl - byte << 3 < 8 { body &= 1 << UInt8(c.vl & 7) - 1 }
            d[byte] = d[byte] & ~body | operation(a[byte], b[byte]) & body
            byte += 1
        }
        return true
    }

    private func countMask(_ r: DecodedOp, _ c: VectorContext) -> Bool {
        guard c.start == 0 else { return false }
        var count: UInt64 = 0
        forActive(c) { if maskBit(r.rs2, $0) { count &+= 1 } }
        x[Int(r.rd)] = count
        return true
    }

    private func findFirst(_ r: DecodedOp, _ c: VectorContext) -> Bool {
        guard c.start == 0 else { return false }
        x[Int(r.rd)] = UInt64(bitPattern: Int64(firstActive(r, c) ?? -1))
        return true
    }

    /// The first active element whose bit in vs2 is set.
    private func firstActive(_ r: DecodedOp, _ c: VectorContext) -> Int? {
        (c.start..<c.vl).first { (!c.isMasked || maskBit(0, $0)) && maskBit(r.rs2, $0) }
    }

    /// vmsbf: ones before the first set bit; vmsif: and at it; vmsof: at it alone.
    private func setAroundFirst(_ op: RVOp, _ r: DecodedOp, _ c: VectorContext) -> Bool {
        guard c.start == 0, r.rd != r.rs2, !c.isMasked || r.rd != 0 else { return false }
        let first = firstActive(r, c) ?? Int.max
        forActive(c) { setMaskBit(r.rd, $0, op == .vmsof ? $0 == first : $0 < first || op == .vmsif && $0 == first) }
        return true
    }

    /// vd[i] = number of set bits of vs2 in active elements before i.
    private func iota(_ r: DecodedOp, _ c: VectorContext) -> Bool {
        let (d, a) = (c.group(r.rd), VectorGroup(mask: r.rs2))
        guard c.start == 0, c.allows(d), !d.overlaps(a) else { return false }
        var count: UInt64 = 0
        forActive(c) {
            setElement(r.rd, c, $0, count)
            if maskBit(r.rs2, $0) { count &+= 1 }
        }
        return true
    }

    private func index(_ r: DecodedOp, _ c: VectorContext) -> Bool {
        guard c.allows(c.group(r.rd)) else { return false }
        forActive(c) { setElement(r.rd, c, $0, UInt64($0)) }
        return true
    }

    /// Element `index` of the group at `register` = the low bits of `value`.
    @inline(__always)
    func setElement(_ register: UInt8, _ c: VectorContext, _ index: Int, _ value: UInt64) {
        switch c.width {
        case 0: elements(register, as: UInt8.self)[index] = UInt8(truncatingIfNeeded: value)
        case 1: elements(register, as: UInt16.self)[index] = UInt16(truncatingIfNeeded: value)
        case 2: elements(register, as: UInt32.self)[index] = UInt32(truncatingIfNeeded: value)
        default: elements(register, as: UInt64.self)[index] = value
        }
    }

    /// Element `index` of the group at `register`, zero-extended.
    @inline(__always)
    func element(_ register: UInt8, _ c: VectorContext, _ index: Int) -> UInt64 {
        switch c.width {
        case 0: UInt64(elements(register, as: UInt8.self)[index])
        case 1: UInt64(elements(register, as: UInt16.self)[index])
        case 2: UInt64(elements(register, as: UInt32.self)[index])
        default: elements(register, as: UInt64.self)[index]
        }
    }
}
