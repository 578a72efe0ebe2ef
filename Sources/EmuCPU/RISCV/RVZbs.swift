import EmuIR

extension RVTable {
    /// Zbs: single-bit instructions.
    static let zbs: [RVInstruction] = [
        .init("bclr",  "0100100 ttttt sssss 001 ddddd 0110011", .all(.zbs), .r, .bclr),
        .init("bext",  "0100100 ttttt sssss 101 ddddd 0110011", .all(.zbs), .r, .bext),
        .init("binv",  "0110100 ttttt sssss 001 ddddd 0110011", .all(.zbs), .r, .binv),
        .init("bset",  "0010100 ttttt sssss 001 ddddd 0110011", .all(.zbs), .r, .bset),
        .init("bclri", "010010 iiiiii sssss 001 ddddd 0010011", .all(.zbs), .shift, .bclri),
        .init("bexti", "010010 iiiiii sssss 101 ddddd 0010011", .all(.zbs), .shift, .bexti),
        .init("binvi", "011010 iiiiii sssss 001 ddddd 0010011", .all(.zbs), .shift, .binvi),
        .init("bseti", "001010 iiiiii sssss 001 ddddd 0010011", .all(.zbs), .shift, .bseti),
    ]
}

/// Semantics of Zbs (unprivileged manual, "B Extension for Bit Manipulation", "Zbs"): `b` modulo 64 is the bit's position.
package enum RVZbs {
    @inline(__always)
    package static func bclr(_ a: UInt64, _ b: UInt64) -> UInt64 { a & ~(1 &<< b) }
    @inline(__always)
    package static func bext(_ a: UInt64, _ b: UInt64) -> UInt64 { a &>> b & 1 }
    @inline(__always)
    package static func binv(_ a: UInt64, _ b: UInt64) -> UInt64 { a ^ 1 &<< b }
    @inline(__always)
    package static func bset(_ a: UInt64, _ b: UInt64) -> UInt64 { a | 1 &<< b }
}

extension RVTranslator {
    mutating func lowerZbs(_ op: RVOp, _ r: DecodedOp) {
        switch op {
        case .bclr: binary(.bitclear, r)
        case .bclri: immediate(.bitclear, r)
        case .bext: binary(.bittest, r)
        case .bexti: immediate(.bittest, r)
        case .binv: binary(.bitflip, r)
        case .binvi: immediate(.bitflip, r)
        case .bset: binary(.bitset, r)
        case .bseti: immediate(.bitset, r)
        default: interpret()
        }
    }
}
