import EmuIR

extension RVTable {
    /// Zicond: conditional zeroing.
    static let zicond: [RVInstruction] = [
        .init("czero.eqz", "0000111 ttttt sssss 101 ddddd 0110011", .all(.zicond), .r, .czero_eqz),
        .init("czero.nez", "0000111 ttttt sssss 111 ddddd 0110011", .all(.zicond), .r, .czero_nez),
    ]
}

/// Semantics of Zicond (unprivileged manual, "Zicond Extension for Integer Conditional Operations").
package enum RVZicond {
    @inline(__always)
    package static func czero_eqz(_ a: UInt64, _ b: UInt64) -> UInt64 { b == 0 ? 0 : a }
    @inline(__always)
    package static func czero_nez(_ a: UInt64, _ b: UInt64) -> UInt64 { b != 0 ? 0 : a }
}

extension RVTranslator {
    mutating func lowerZicond(_ op: RVOp, _ r: DecodedOp) {
        switch op {
        case .czero_eqz: binary(.zeroifeq, r)
        case .czero_nez: binary(.zeroifne, r)
        default: interpret()
        }
    }
}
