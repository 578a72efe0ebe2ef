extension RVTable {
    /// V: setting vtype and vl.
    static let vectorConfiguration: [RVInstruction] = [
        .init("vsetvli",  "0 iiiiiiiiiii sssss 111 ddddd 1010111", .all(.v), RVFormat(.vset, .rd, .rs1, .vectorType), .vsetvli),
        .init("vsetivli", "11 iiiiiiiiii zzzzz 111 ddddd 1010111", .all(.v), RVFormat(.vseti, .rd, .csrImmediate, .vectorType), .vsetivli),
        .init("vsetvl",   "1000000 ttttt sssss 111 ddddd 1010111", .all(.v), .r, .vsetvl),
    ]
}

/// vtype and vl ("Configuration-Setting Instructions").
extension RVProcessor {
    func executeVectorConfiguration(_ op: RVOp, _ r: DecodedOp) -> Bool {
        let type = op == .vsetvl ? x[Int(r.rs2)] : UInt64(UInt32(bitPattern: r.imm))
        if op == .vsetivli {
            setVectorType(type) { min(UInt64(r.rs1), $0) }
        } else if r.rs1 != 0 {
            let requested = x[Int(r.rs1)]
            setVectorType(type) { min(requested, $0) }
        } else if !RVTranslator.isDiscarded(r.rd) {
            setVectorType(type) { $0 }
        } else {
            // vl stays; where that would be more than the new type allows, or there was no type, the type is illegal.
            let (vl, old) = (h.pointee.vl, Self.maximumLength(h.pointee.vtype, vlenb))
            setVectorType(type) { $0 == old ? vl : nil }
        }
        x[Int(r.rd)] = h.pointee.vl
        return finishVector()
    }

    /// Sets vtype and, from the greatest length it allows, vl; makes vtype illegal where it is none or `length` gives nil.
    private func setVectorType(_ type: UInt64, _ length: (UInt64) -> UInt64?) {
        if let maximum = Self.maximumLength(type, vlenb), let vl = length(maximum) {
            h.pointee.vtype = type
            h.pointee.vl = vl
        } else {
            h.pointee.vtype = Self.vtypeIllegal
            h.pointee.vl = 0
        }
    }

    /// VLMAX under a vtype; nil for one that is not supported: reserved bits or fields, or SEW greater than LMUL × ELEN.
    static func maximumLength(_ type: UInt64, _ vlenb: Int) -> UInt64? {
        let width = Int(type >> 3 & 7)
        let lmul = Int(Int8(truncatingIfNeeded: type << 5) >> 5)
        guard type >> 8 == 0, width <= 3, lmul != -4, width <= 3 + min(lmul, 0) else { return nil }
        return UInt64(lmul >= 0 ? (vlenb << lmul) >> width : vlenb >> (width - lmul))
    }

    /// Makes the vector part of a state that came from outside one that instructions could have left. A state of a hart with another
    /// VLEN is legal afterwards, but its registers hold other elements than they did.
    func normalizeVectorState() {
        if let maximum = Self.maximumLength(h.pointee.vtype, vlenb), config.extensions.contains(.v) {
            h.pointee.vl = min(h.pointee.vl, maximum)
        } else {
            h.pointee.vtype = Self.vtypeIllegal
            h.pointee.vl = 0
        }
        h.pointee.vstart &= vstartMask
        h.pointee.vxrm &= 3
        h.pointee.vxsat &= 1
        let hasVectors = config.extensions.contains(.v)
        if !hasVectors { h.pointee.mstatus &= ~RVStatus.vs }
        let used = hasVectors ? 32 * vlenb : 0
        _ = withUnsafeMutableBytes(of: &h.pointee.v) { UnsafeMutableRawBufferPointer(rebasing: $0[used...]).initializeMemory(as: UInt8.self, repeating: 0) }
    }

    /// Bits of vstart: enough for the index of any element.
    var vstartMask: UInt64 { UInt64(vlenb) * 8 - 1 }
}
