import EmuIR

extension RVTable {
    /// Zbc: carry-less multiplication.
    static let zbc: [RVInstruction] = [
        .init("clmul",  "0000101 ttttt sssss 001 ddddd 0110011", .zbcOrZbkc, .r, .clmul),
        .init("clmulr", "0000101 ttttt sssss 010 ddddd 0110011", .all(.zbc), .r, .clmulr),
        .init("clmulh", "0000101 ttttt sssss 011 ddddd 0110011", .zbcOrZbkc, .r, .clmulh),
    ]
}

extension RVRequirement {
    static let zbcOrZbkc = any(all(.zbc), all(.zbkc))
}

/// Semantics of Zbc (unprivileged manual, "B Extension for Bit Manipulation", "Zbc"): the 127-bit product of polynomials over GF(2).
package enum RVZbc {
    /// Bits 63:0.
    @inline(__always)
    package static func clmul(_ a: UInt64, _ b: UInt64) -> UInt64 { product(a, b).low }
    /// Bits 127:64.
    @inline(__always)
    package static func clmulh(_ a: UInt64, _ b: UInt64) -> UInt64 { product(a, b).high }
    /// Bits 126:63, which is the product of the reversed operands, reversed.
    @inline(__always)
    package static func clmulr(_ a: UInt64, _ b: UInt64) -> UInt64 {
        let (high, low) = product(a, b)
        return high &<< 1 | low &>> 63
    }

    /// As many steps for any operands, as Zkt promises.
    @inline(never)
    private static func product(_ a: UInt64, _ b: UInt64) -> (high: UInt64, low: UInt64) {
        var (high, low): (UInt64, UInt64) = (0, 0)
        for position in 0..<64 as Range<UInt64> {
            let chosen = 0 &- (b &>> position & 1)
            low ^= a &<< position & chosen
            // Two shifts: one by 64 would be one by 0.
            high ^= (a &>> 1) &>> (63 &- position) & chosen
        }
        return (high, low)
    }
}

extension RVTranslator {
    mutating func lowerZbc(_ op: RVOp, _ r: DecodedOp) {
        switch op {
        case .clmul: binary(.clmul, r)
        case .clmulh: binary(.clmulh, r)
        case .clmulr: binary(.clmulr, r)
        default: interpret()
        }
    }
}
