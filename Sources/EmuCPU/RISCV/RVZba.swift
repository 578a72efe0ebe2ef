import EmuIR

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

extension RVTranslator {
    mutating func lowerZba(_ op: RVOp, _ r: DecodedOp) {
        switch op {
        case .add_uw: r.rs2 == 0 ? unary(.zext32, r) : shiftAdd(.shladduw, 0, r)
        case .sh1add: shiftAdd(.shladd, 1, r)
        case .sh2add: shiftAdd(.shladd, 2, r)
        case .sh3add: shiftAdd(.shladd, 3, r)
        case .sh1add_uw: shiftAdd(.shladduw, 1, r)
        case .sh2add_uw: shiftAdd(.shladduw, 2, r)
        case .sh3add_uw: shiftAdd(.shladduw, 3, r)
        case .slli_uw:
            if Self.isDiscarded(r.rd) { return }
            let word = temp()
            emit(.zext32, word, source(r.rs1))
            emit(.shl, .integer(r.rd), word, .constant(Int64(r.imm)))
        default: interpret()
        }
    }

    /// rd = (rs1 << amount) + rs2.
    private mutating func shiftAdd(_ op: Opcode, _ amount: Int64, _ r: DecodedOp) {
        if Self.isDiscarded(r.rd) { return }
        emit(op, .integer(r.rd), source(r.rs1), source(r.rs2), .constant(amount))
    }
}
