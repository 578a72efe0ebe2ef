import EmuIR

extension RVTable {
    /// Zbkb: bit manipulation for cryptography. What it shares with Zbb stands there; `zext.h` is a `packw` of x0.
    static let zbkb: [RVInstruction] = [
        .init("pack",  "0000100 ttttt sssss 100 ddddd 0110011", .all(.zbkb), .r, .pack),
        .init("packh", "0000100 ttttt sssss 111 ddddd 0110011", .all(.zbkb), .r, .packh),
        .init("packw", "0000100 ttttt sssss 100 ddddd 0111011", .all(.zbkb), .r, .packw),
        .init("brev8", "0110100 00111 sssss 101 ddddd 0010011", .all(.zbkb), .unary, .brev8),
    ]

    /// Zbkx: permutations. (Zbkc is two instructions of Zbc.)
    static let zbkx: [RVInstruction] = [
        .init("xperm4", "0010100 ttttt sssss 010 ddddd 0110011", .all(.zbkx), .r, .xperm4),
        .init("xperm8", "0010100 ttttt sssss 100 ddddd 0110011", .all(.zbkx), .r, .xperm8),
    ]
}

/// Semantics of Zbkb and Zbkx (unprivileged manual, "Bit-manipulation for Cryptography"): `a` is rs1, `b` is rs2.
package enum RVZbk {
    /// The low words of `a` and `b`, that of `b` above.
    package static func pack(_ a: UInt64, _ b: UInt64) -> UInt64 { a.zeroExtendedWord | b &<< 32 }
    package static func packh(_ a: UInt64, _ b: UInt64) -> UInt64 { a & 0xff | (b & 0xff) &<< 8 }
    package static func packw(_ a: UInt64, _ b: UInt64) -> UInt64 { (a & 0xffff | (b & 0xffff) &<< 16).signExtendedWord }

    /// The bits of each byte in reverse order.
    package static func brev8(_ a: UInt64) -> UInt64 {
        var value = a
        for (distance, mask) in [(1, 0x5555_5555_5555_5555), (2, 0x3333_3333_3333_3333), (4, 0x0f0f_0f0f_0f0f_0f0f)] as [(UInt64, UInt64)] {
            value = (value & mask) &<< distance | value &>> distance & mask
        }
        return value
    }

    /// Each nibble of `b` chooses a nibble of `a`.
    package static func xperm4(_ a: UInt64, _ b: UInt64) -> UInt64 { permute(a, b, width: 4) }
    /// Each byte of `b` chooses a byte of `a`, or zero beyond the last.
    package static func xperm8(_ a: UInt64, _ b: UInt64) -> UInt64 { permute(a, b, width: 8) }

    private static func permute(_ a: UInt64, _ b: UInt64, width: UInt64) -> UInt64 {
        let mask: UInt64 = 1 << width - 1
        var result: UInt64 = 0
        var position: UInt64 = 0
        while position < 64 {
            let index = b &>> position & mask
            result |= index &* width < 64 ? (a &>> (index &* width) & mask) &<< position : 0
            position += width
        }
        return result
    }
}

// MARK: Translation

extension RVTranslator {
    mutating func lowerZbk(_ op: RVOp, _ r: DecodedOp) {
        switch op {
        case .brev8: return unary(.brev8, r)
        case .xperm4: return binary(.xperm4, r)
        case .xperm8: return binary(.xperm8, r)
        default: break
        }
        if Self.isDiscarded(r.rd) { return }
        let (high, low) = (temp(), temp())
        switch op {
        case .pack:
            emit(.zext32, low, source(r.rs1))
            emit(.shl, high, source(r.rs2), .constant(32))
        case .packh:
            emit(.zext8, low, source(r.rs1))
            let byte = temp()
            emit(.zext8, byte, source(r.rs2))
            emit(.shl, high, byte, .constant(8))
        case .packw:
            emit(.zext16, low, source(r.rs1))
            emit(.shlw, high, source(r.rs2), .constant(16))
        default: return interpret()
        }
        emit(.or, .integer(r.rd), low, high)
    }
}
