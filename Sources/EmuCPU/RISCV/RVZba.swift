extension RVTable {
    /// Zba: address generation.
    static let zba: [RVInstruction] = [
        .init("sh1add",    "0010000 ttttt sssss 010 ddddd 0110011", .all(.zba), .r, .sh1add),
        .init("sh2add",    "0010000 ttttt sssss 100 ddddd 0110011", .all(.zba), .r, .sh2add),
        .init("sh3add",    "0010000 ttttt sssss 110 ddddd 0110011", .all(.zba), .r, .sh3add),
        .init("add.uw",    "0000100 ttttt sssss 000 ddddd 0111011", .all(.zba), .r, .add_uw),
        .init("sh1add.uw", "0010000 ttttt sssss 010 ddddd 0111011", .all(.zba), .r, .sh1add_uw),
        .init("sh2add.uw", "0010000 ttttt sssss 100 ddddd 0111011", .all(.zba), .r, .sh2add_uw),
        .init("sh3add.uw", "0010000 ttttt sssss 110 ddddd 0111011", .all(.zba), .r, .sh3add_uw),
        .init("slli.uw",   "000010 iiiiii sssss 001 ddddd 0011011", .all(.zba), .shift, .slli_uw),
    ]
}

/// Semantics of Zba (unprivileged manual, "B Extension for Bit Manipulation", "Zba"): `a` is rs1, `b` is rs2 or the amount.
package enum RVZba {
    @inline(__always)
    package static func add_uw(_ a: UInt64, _ b: UInt64) -> UInt64 { a.zeroExtendedWord &+ b }
    @inline(__always)
    package static func sh1add(_ a: UInt64, _ b: UInt64) -> UInt64 { a &<< 1 &+ b }
    @inline(__always)
    package static func sh2add(_ a: UInt64, _ b: UInt64) -> UInt64 { a &<< 2 &+ b }
    @inline(__always)
    package static func sh3add(_ a: UInt64, _ b: UInt64) -> UInt64 { a &<< 3 &+ b }
    @inline(__always)
    package static func sh1add_uw(_ a: UInt64, _ b: UInt64) -> UInt64 { a.zeroExtendedWord &<< 1 &+ b }
    @inline(__always)
    package static func sh2add_uw(_ a: UInt64, _ b: UInt64) -> UInt64 { a.zeroExtendedWord &<< 2 &+ b }
    @inline(__always)
    package static func sh3add_uw(_ a: UInt64, _ b: UInt64) -> UInt64 { a.zeroExtendedWord &<< 3 &+ b }
    @inline(__always)
    package static func slli_uw(_ a: UInt64, _ b: UInt64) -> UInt64 { a.zeroExtendedWord &<< b }
}
