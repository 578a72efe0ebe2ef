import EmuIR

extension RVTable {
    /// M: multiplication and division.
    static let m: [RVInstruction] = [
        .init("mul",    "0000001 ttttt sssss 000 ddddd 0110011", .all(.m), .r, .mul),
        .init("mulh",   "0000001 ttttt sssss 001 ddddd 0110011", .all(.m), .r, .mulh),
        .init("mulhsu", "0000001 ttttt sssss 010 ddddd 0110011", .all(.m), .r, .mulhsu),
        .init("mulhu",  "0000001 ttttt sssss 011 ddddd 0110011", .all(.m), .r, .mulhu),
        .init("div",    "0000001 ttttt sssss 100 ddddd 0110011", .all(.m), .r, .div),
        .init("divu",   "0000001 ttttt sssss 101 ddddd 0110011", .all(.m), .r, .divu),
        .init("rem",    "0000001 ttttt sssss 110 ddddd 0110011", .all(.m), .r, .rem),
        .init("remu",   "0000001 ttttt sssss 111 ddddd 0110011", .all(.m), .r, .remu),
        .init("mulw",   "0000001 ttttt sssss 000 ddddd 0111011", .all(.m), .r, .mulw),
        .init("divw",   "0000001 ttttt sssss 100 ddddd 0111011", .all(.m), .r, .divw),
        .init("divuw",  "0000001 ttttt sssss 101 ddddd 0111011", .all(.m), .r, .divuw),
        .init("remw",   "0000001 ttttt sssss 110 ddddd 0111011", .all(.m), .r, .remw),
        .init("remuw",  "0000001 ttttt sssss 111 ddddd 0111011", .all(.m), .r, .remuw),
    ]
}

/// Semantics of M (unprivileged manual, "M Extension for Integer Multiplication and Division"). Division by zero and overflow
/// have defined results and never trap.
package enum RVM {
    @inline(__always)
    package static func mul(_ a: UInt64, _ b: UInt64) -> UInt64 { a &* b }
    @inline(__always)
    package static func mulh(_ a: UInt64, _ b: UInt64) -> UInt64 {
        UInt64(bitPattern: Int64(bitPattern: a).multipliedFullWidth(by: Int64(bitPattern: b)).high)
    }
    /// Signed by unsigned: the unsigned product's high half, less b where a is negative.
    @inline(__always)
    package static func mulhsu(_ a: UInt64, _ b: UInt64) -> UInt64 { mulhu(a, b) &- (Int64(bitPattern: a) < 0 ? b : 0) }
    @inline(__always)
    package static func mulhu(_ a: UInt64, _ b: UInt64) -> UInt64 { a.multipliedFullWidth(by: b).high }

    @inline(__always)
    package static func div(_ a: UInt64, _ b: UInt64) -> UInt64 { UInt64(bitPattern: quotient(Int64(bitPattern: a), Int64(bitPattern: b))) }
    @inline(__always)
    package static func divu(_ a: UInt64, _ b: UInt64) -> UInt64 { b == 0 ? .max : a / b }
    @inline(__always)
    package static func rem(_ a: UInt64, _ b: UInt64) -> UInt64 { UInt64(bitPattern: remainder(Int64(bitPattern: a), Int64(bitPattern: b))) }
    @inline(__always)
    package static func remu(_ a: UInt64, _ b: UInt64) -> UInt64 { b == 0 ? a : a % b }

    @inline(__always)
    package static func mulw(_ a: UInt64, _ b: UInt64) -> UInt64 { (a &* b).signExtendedWord }
    @inline(__always)
    package static func divw(_ a: UInt64, _ b: UInt64) -> UInt64 {
        UInt64(bitPattern: Int64(quotient(Int32(truncatingIfNeeded: a), Int32(truncatingIfNeeded: b))))
    }
    @inline(__always)
    package static func divuw(_ a: UInt64, _ b: UInt64) -> UInt64 {
        let (dividend, divisor) = (UInt32(truncatingIfNeeded: a), UInt32(truncatingIfNeeded: b))
        return divisor == 0 ? .max : UInt64(dividend / divisor).signExtendedWord
    }
    @inline(__always)
    package static func remw(_ a: UInt64, _ b: UInt64) -> UInt64 {
        UInt64(bitPattern: Int64(remainder(Int32(truncatingIfNeeded: a), Int32(truncatingIfNeeded: b))))
    }
    @inline(__always)
    package static func remuw(_ a: UInt64, _ b: UInt64) -> UInt64 {
        let (dividend, divisor) = (UInt32(truncatingIfNeeded: a), UInt32(truncatingIfNeeded: b))
        return UInt64(divisor == 0 ? dividend : dividend % divisor).signExtendedWord
    }

    /// Division by zero gives -1. Division by -1 is negation, which wraps for the most negative dividend.
    @inline(__always)
    private static func quotient<T: FixedWidthInteger & SignedInteger>(_ a: T, _ b: T) -> T { b == 0 ? -1 : b == -1 ? 0 &- a : a / b }
    /// Division by zero leaves the dividend.
    @inline(__always)
    private static func remainder<T: FixedWidthInteger & SignedInteger>(_ a: T, _ b: T) -> T { b == 0 ? a : b == -1 ? 0 : a % b }
}

extension UInt64 {
    /// The low 32 bits, sign-extended: how RV64 keeps a 32-bit result.
    @inline(__always)
    package var signExtendedWord: UInt64 { UInt64(bitPattern: Int64(Int32(truncatingIfNeeded: self))) }
    /// The low 32 bits, zero-extended.
    @inline(__always)
    package var zeroExtendedWord: UInt64 { UInt64(UInt32(truncatingIfNeeded: self)) }
}

extension RVTranslator {
    mutating func lowerM(_ op: RVOp, _ r: DecodedOp) {
        switch op {
        case .mul: binary(.mul, r)
        case .mulh: binary(.mulhs, r)
        case .mulhsu: binary(.mulhsu, r)
        case .mulhu: binary(.mulhu, r)
        case .div: binary(.div, r)
        case .divu: binary(.divu, r)
        case .rem: binary(.rem, r)
        case .remu: binary(.remu, r)
        case .mulw: binary(.mulw, r)
        case .divw: binary(.divw, r)
        case .divuw: binary(.divuw, r)
        case .remw: binary(.remw, r)
        case .remuw: binary(.remuw, r)
        default: interpret()
        }
    }
}
