/// Accrued exception flags in the layout of RISC-V `fflags` (unprivileged manual, "Floating-Point Control and Status Register").
package struct FloatFlags: OptionSet, Sendable {
    package var rawValue: UInt8

    @inline(__always)
    package init(rawValue: UInt8) { self.rawValue = rawValue }

    package static var inexact: FloatFlags { FloatFlags(rawValue: 1) }
    package static var underflow: FloatFlags { FloatFlags(rawValue: 2) }
    package static var overflow: FloatFlags { FloatFlags(rawValue: 4) }
    package static var divideByZero: FloatFlags { FloatFlags(rawValue: 8) }
    package static var invalid: FloatFlags { FloatFlags(rawValue: 16) }
}

/// Rounding modes, encoded as in the instruction's rm field and in `frm`.
package enum RoundingMode: UInt8, CaseIterable, Sendable {
    /// To nearest, ties to even.
    case rne
    /// Towards zero.
    case rtz
    /// Down, towards −∞.
    case rdn
    /// Up, towards +∞.
    case rup
    /// To nearest, ties to the larger magnitude.
    case rmm

    /// Whether a magnitude cut off at some digit grows by one unit of that digit.
    /// - Parameters:
    ///   - negative: sign of the number.
    ///   - odd: whether the last kept digit is one.
    ///   - remainder: what was cut off, in any scale in which `half` is half a unit.
    @inline(__always)
    func roundsUp(negative: Bool, odd: Bool, remainder: UInt64, half: UInt64) -> Bool {
        switch self {
        case .rne: remainder > half || (remainder == half && odd)
        case .rtz: false
        case .rdn: negative && remainder != 0
        case .rup: !negative && remainder != 0
        case .rmm: remainder >= half
        }
    }
}
