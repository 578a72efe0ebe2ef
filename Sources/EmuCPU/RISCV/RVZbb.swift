import EmuIR

extension RVTable {
    /// Zbb: basic bit manipulation.
    static let zbb: [RVInstruction] = [
        .init("andn",   "0100000 ttttt sssss 111 ddddd 0110011", .zbbOrZbkb, .r, .andn),
        .init("orn",    "0100000 ttttt sssss 110 ddddd 0110011", .zbbOrZbkb, .r, .orn),
        .init("xnor",   "0100000 ttttt sssss 100 ddddd 0110011", .zbbOrZbkb, .r, .xnor),
        .init("clz",    "0110000 00000 sssss 001 ddddd 0010011", .all(.zbb), .unary, .clz),
        .init("ctz",    "0110000 00001 sssss 001 ddddd 0010011", .all(.zbb), .unary, .ctz),
        .init("cpop",   "0110000 00010 sssss 001 ddddd 0010011", .all(.zbb), .unary, .cpop),
        .init("max",    "0000101 ttttt sssss 110 ddddd 0110011", .all(.zbb), .r, .max),
        .init("maxu",   "0000101 ttttt sssss 111 ddddd 0110011", .all(.zbb), .r, .maxu),
        .init("min",    "0000101 ttttt sssss 100 ddddd 0110011", .all(.zbb), .r, .min),
        .init("minu",   "0000101 ttttt sssss 101 ddddd 0110011", .all(.zbb), .r, .minu),
        .init("sext.b", "0110000 00100 sssss 001 ddddd 0010011", .all(.zbb), .unary, .sext_b),
        .init("sext.h", "0110000 00101 sssss 001 ddddd 0010011", .all(.zbb), .unary, .sext_h),
        .init("rol",    "0110000 ttttt sssss 001 ddddd 0110011", .zbbOrZbkb, .r, .rol),
        .init("ror",    "0110000 ttttt sssss 101 ddddd 0110011", .zbbOrZbkb, .r, .ror),
        .init("orc.b",  "0010100 00111 sssss 101 ddddd 0010011", .all(.zbb), .unary, .orc_b),
        .init("clzw",   "0110000 00000 sssss 001 ddddd 0011011", .all(.zbb), .unary, .clzw),
        .init("ctzw",   "0110000 00001 sssss 001 ddddd 0011011", .all(.zbb), .unary, .ctzw),
        .init("cpopw",  "0110000 00010 sssss 001 ddddd 0011011", .all(.zbb), .unary, .cpopw),
        .init("rolw",   "0110000 ttttt sssss 001 ddddd 0111011", .zbbOrZbkb, .r, .rolw),
        .init("rorw",   "0110000 ttttt sssss 101 ddddd 0111011", .zbbOrZbkb, .r, .rorw),
        .init("roriw",  "0110000 iiiii sssss 101 ddddd 0011011", .zbbOrZbkb, .shift, .roriw),
        .init("rori",   "011000 iiiiii sssss 101 ddddd 0010011", .zbbOrZbkb, .shift, .rori),
        .init("zext.h", "0000100 00000 sssss 100 ddddd 0111011", .all(.zbb), .unary, .zext_h, refines: "packw"),
        .init("rev8",   "0110101 11000 sssss 101 ddddd 0010011", .zbbOrZbkb, .unary, .rev8),
    ]
}

extension RVRequirement {
    static let zbbOrZbkb = any(all(.zbb), all(.zbkb))
}

/// Semantics of Zbb (unprivileged manual, "B Extension for Bit Manipulation", "Zbb"): `a` is rs1, `b` is rs2 or the amount.
package enum RVZbb {
    @inline(__always)
    package static func andn(_ a: UInt64, _ b: UInt64) -> UInt64 { a & ~b }
    @inline(__always)
    package static func orn(_ a: UInt64, _ b: UInt64) -> UInt64 { a | ~b }
    @inline(__always)
    package static func xnor(_ a: UInt64, _ b: UInt64) -> UInt64 { ~(a ^ b) }

    @inline(__always)
    package static func clz(_ a: UInt64) -> UInt64 { UInt64(truncatingIfNeeded: a.leadingZeroBitCount) }
    @inline(__always)
    package static func ctz(_ a: UInt64) -> UInt64 { UInt64(truncatingIfNeeded: a.trailingZeroBitCount) }
    @inline(__always)
    package static func cpop(_ a: UInt64) -> UInt64 { UInt64(truncatingIfNeeded: a.nonzeroBitCount) }
    @inline(__always)
    package static func clzw(_ a: UInt64) -> UInt64 { UInt64(truncatingIfNeeded: UInt32(truncatingIfNeeded: a).leadingZeroBitCount) }
    @inline(__always)
    package static func ctzw(_ a: UInt64) -> UInt64 { UInt64(truncatingIfNeeded: UInt32(truncatingIfNeeded: a).trailingZeroBitCount) }
    @inline(__always)
    package static func cpopw(_ a: UInt64) -> UInt64 { UInt64(truncatingIfNeeded: UInt32(truncatingIfNeeded: a).nonzeroBitCount) }

    @inline(__always)
    package static func max(_ a: UInt64, _ b: UInt64) -> UInt64 { Int64(bitPattern: a) < Int64(bitPattern: b) ? b : a }
    @inline(__always)
    package static func maxu(_ a: UInt64, _ b: UInt64) -> UInt64 { a < b ? b : a }
    @inline(__always)
    package static func min(_ a: UInt64, _ b: UInt64) -> UInt64 { Int64(bitPattern: a) < Int64(bitPattern: b) ? a : b }
    @inline(__always)
    package static func minu(_ a: UInt64, _ b: UInt64) -> UInt64 { a < b ? a : b }

    @inline(__always)
    package static func sext_b(_ a: UInt64) -> UInt64 { UInt64(bitPattern: Int64(Int8(truncatingIfNeeded: a))) }
    @inline(__always)
    package static func sext_h(_ a: UInt64) -> UInt64 { UInt64(bitPattern: Int64(Int16(truncatingIfNeeded: a))) }
    @inline(__always)
    package static func zext_h(_ a: UInt64) -> UInt64 { a & 0xffff }

    @inline(__always)
    package static func rol(_ a: UInt64, _ b: UInt64) -> UInt64 { a &<< b | a &>> (0 &- b) }
    @inline(__always)
    package static func ror(_ a: UInt64, _ b: UInt64) -> UInt64 { a &>> b | a &<< (0 &- b) }
    @inline(__always)
    package static func rori(_ a: UInt64, _ b: UInt64) -> UInt64 { ror(a, b) }
    @inline(__always)
    package static func rolw(_ a: UInt64, _ b: UInt64) -> UInt64 { rorw(a, 0 &- b) }
    @inline(__always)
    package static func rorw(_ a: UInt64, _ b: UInt64) -> UInt64 {
        let (word, amount) = (UInt32(truncatingIfNeeded: a), UInt32(truncatingIfNeeded: b))
        return UInt64(word &>> amount | word &<< (0 &- amount)).signExtendedWord
    }
    @inline(__always)
    package static func roriw(_ a: UInt64, _ b: UInt64) -> UInt64 { rorw(a, b) }

    /// Every byte that is not zero becomes 0xff.
    @inline(__always)
    package static func orc_b(_ a: UInt64) -> UInt64 {
        // Adding 0x7f carries into bit 7 exactly when one of bits 6:0 is set, and never into the next byte.
        let low: UInt64 = 0x7f7f_7f7f_7f7f_7f7f
        let flags = ((a & low &+ low) | a) & ~low
        return flags | (flags &- flags &>> 7)
    }
    @inline(__always)
    package static func rev8(_ a: UInt64) -> UInt64 { a.byteSwapped }
}

extension RVTranslator {
    mutating func lowerZbb(_ op: RVOp, _ r: DecodedOp) {
        switch op {
        case .andn: binary(.andn, r)
        case .orn: binary(.orn, r)
        case .xnor: binary(.xnor, r)
        case .clz: unary(.clz, r)
        case .ctz: unary(.ctz, r)
        case .cpop: unary(.popcnt, r)
        case .clzw: unary(.clzw, r)
        case .ctzw: unary(.ctzw, r)
        case .cpopw: unary(.popcntw, r)
        case .max: binary(.max, r)
        case .maxu: binary(.maxu, r)
        case .min: binary(.min, r)
        case .minu: binary(.minu, r)
        case .sext_b: unary(.sext8, r)
        case .sext_h: unary(.sext16, r)
        case .zext_h: unary(.zext16, r)
        case .rol: binary(.rotl, r)
        case .ror: binary(.rotr, r)
        case .rori: immediate(.rotr, r)
        case .rolw: binary(.rotlw, r)
        case .rorw: binary(.rotrw, r)
        case .roriw: immediate(.rotrw, r)
        case .orc_b: unary(.orcb, r)
        case .rev8: unary(.bswap, r)
        default: interpret()
        }
    }
}
