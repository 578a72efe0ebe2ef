/// An IEEE 754 binary interchange format and its arithmetic in integers: exact results and flags in all five rounding modes.
///
/// Operands and results are bit patterns in the low bits of a `UInt64`; bits above the format's width must be zero and are zero.
/// What IEEE 754 leaves open is settled as RISC-V does: every NaN result is the canonical NaN, tininess is detected after rounding.
/// Operations take the flags accrued so far and add to them; flags once set are never cleared.
///
/// The functions are generic over the format and specialised for those below, so its constants fold away.
package protocol SoftFormat {
    /// Width of the exponent field.
    static var exponentBits: Int { get }
    /// Width of the fraction field, without the hidden bit.
    static var fractionBits: Int { get }
    /// Whether the host computes in this format; if not, the `host…` functions are never called.
    static var isHostFormat: Bool { get }

    // The host's operations, rounding to nearest even.
    static func hostAdd(_ a: UInt64, _ b: UInt64) -> UInt64
    static func hostMultiply(_ a: UInt64, _ b: UInt64) -> UInt64
    static func hostDivide(_ a: UInt64, _ b: UInt64) -> UInt64
    static func hostSquareRoot(_ a: UInt64) -> UInt64
    static func hostMultiplyAdd(_ a: UInt64, _ b: UInt64, _ c: UInt64) -> UInt64
}

/// Half precision (binary16, RISC-V fmt H).
package enum Binary16: SoftwareOnlyFormat {
    package static var exponentBits: Int { 5 }
    package static var fractionBits: Int { 10 }
}

/// BF16: the exponent of single precision with 7 bits of its fraction (unprivileged manual, "BF16 Number Format").
package enum BFloat16: SoftwareOnlyFormat {
    package static var exponentBits: Int { 8 }
    package static var fractionBits: Int { 7 }
}

/// Single precision (binary32, RISC-V fmt S).
package enum Binary32: SoftFormat {
    package static var exponentBits: Int { 8 }
    package static var fractionBits: Int { 23 }
    package static var isHostFormat: Bool { true }

    @inline(__always)
    private static func host(_ bits: UInt64) -> Float { Float(bitPattern: UInt32(truncatingIfNeeded: bits)) }

    @inline(__always)
    package static func hostAdd(_ a: UInt64, _ b: UInt64) -> UInt64 { UInt64((host(a) + host(b)).bitPattern) }
    @inline(__always)
    package static func hostMultiply(_ a: UInt64, _ b: UInt64) -> UInt64 { UInt64((host(a) * host(b)).bitPattern) }
    @inline(__always)
    package static func hostDivide(_ a: UInt64, _ b: UInt64) -> UInt64 { UInt64((host(a) / host(b)).bitPattern) }
    @inline(__always)
    package static func hostSquareRoot(_ a: UInt64) -> UInt64 { UInt64(host(a).squareRoot().bitPattern) }
    @inline(__always)
    package static func hostMultiplyAdd(_ a: UInt64, _ b: UInt64, _ c: UInt64) -> UInt64 {
        UInt64(host(c).addingProduct(host(a), host(b)).bitPattern)
    }
}

/// Double precision (binary64, RISC-V fmt D).
package enum Binary64: SoftFormat {
    package static var exponentBits: Int { 11 }
    package static var fractionBits: Int { 52 }
    package static var isHostFormat: Bool { true }

    @inline(__always)
    private static func host(_ bits: UInt64) -> Double { Double(bitPattern: bits) }

    @inline(__always)
    package static func hostAdd(_ a: UInt64, _ b: UInt64) -> UInt64 { (host(a) + host(b)).bitPattern }
    @inline(__always)
    package static func hostMultiply(_ a: UInt64, _ b: UInt64) -> UInt64 { (host(a) * host(b)).bitPattern }
    @inline(__always)
    package static func hostDivide(_ a: UInt64, _ b: UInt64) -> UInt64 { (host(a) / host(b)).bitPattern }
    @inline(__always)
    package static func hostSquareRoot(_ a: UInt64) -> UInt64 { host(a).squareRoot().bitPattern }
    @inline(__always)
    package static func hostMultiplyAdd(_ a: UInt64, _ b: UInt64, _ c: UInt64) -> UInt64 {
        host(c).addingProduct(host(a), host(b)).bitPattern
    }
}

/// A format the host does not compute in.
package protocol SoftwareOnlyFormat: SoftFormat {}

extension SoftwareOnlyFormat {
    package static var isHostFormat: Bool { false }

    package static func hostAdd(_ a: UInt64, _ b: UInt64) -> UInt64 { canonicalNaN }
    package static func hostMultiply(_ a: UInt64, _ b: UInt64) -> UInt64 { canonicalNaN }
    package static func hostDivide(_ a: UInt64, _ b: UInt64) -> UInt64 { canonicalNaN }
    package static func hostSquareRoot(_ a: UInt64) -> UInt64 { canonicalNaN }
    package static func hostMultiplyAdd(_ a: UInt64, _ b: UInt64, _ c: UInt64) -> UInt64 { canonicalNaN }
}

// MARK: Constants and fields of a format

extension SoftFormat {
    @inline(__always)
    package static var bias: Int { 1 << (exponentBits - 1) - 1 }
    /// Width of the whole pattern.
    @inline(__always)
    package static var width: Int { 1 + exponentBits + fractionBits }
    @inline(__always)
    static var signMask: UInt64 { 1 << UInt64(exponentBits + fractionBits) }
    @inline(__always)
    static var fractionMask: UInt64 { 1 << UInt64(fractionBits) - 1 }
    /// Largest value of the exponent field, which marks infinities and NaNs.
    @inline(__always)
    static var maximumField: Int { 1 << exponentBits - 1 }
    @inline(__always)
    package static var infinity: UInt64 { UInt64(maximumField) << UInt64(fractionBits) }
    @inline(__always)
    static var quietBit: UInt64 { 1 << UInt64(fractionBits - 1) }
    @inline(__always)
    package static var canonicalNaN: UInt64 { infinity | quietBit }
    /// All ones above the pattern: what makes a narrower value NaN-boxed in a 64-bit register.
    @inline(__always)
    static var box: UInt64 { width == 64 ? 0 : ~UInt64(0) << UInt64(width) }

    /// The value in a 64-bit register: the low bits if it is NaN-boxed, the canonical NaN if not.
    @inline(__always)
    package static func unboxed(_ register: UInt64) -> UInt64 { register & box == box ? register & ~box : canonicalNaN }
    @inline(__always)
    package static func boxed(_ bits: UInt64) -> UInt64 { bits | box }

    @inline(__always)
    static func isNegative(_ bits: UInt64) -> Bool { bits & signMask != 0 }
    @inline(__always)
    static func magnitude(_ bits: UInt64) -> UInt64 { bits & (signMask - 1) }
    @inline(__always)
    static func isNaN(_ bits: UInt64) -> Bool { magnitude(bits) > infinity }
    @inline(__always)
    static func isSignallingNaN(_ bits: UInt64) -> Bool { isNaN(bits) && bits & quietBit == 0 }
    /// Infinity or NaN.
    @inline(__always)
    static func isSpecial(_ bits: UInt64) -> Bool { magnitude(bits) >= infinity }

    @inline(__always)
    static func zero(negative: Bool) -> UInt64 { negative ? signMask : 0 }
    @inline(__always)
    static func infinity(negative: Bool) -> UInt64 { infinity | zero(negative: negative) }

    /// The result of an operation of which an operand is a NaN.
    @inline(__always)
    static func propagateNaN(_ a: UInt64, _ b: UInt64, _ flags: inout FloatFlags) -> UInt64 {
        if isSignallingNaN(a) || isSignallingNaN(b) { flags.insert(.invalid) }
        return canonicalNaN
    }

    /// The result of an operation that has none.
    @inline(__always)
    static func invalid(_ flags: inout FloatFlags) -> UInt64 {
        flags.insert(.invalid)
        return canonicalNaN
    }
}

// MARK: Unpacking and rounding

/// A finite number taken apart: ±significand × 2^(exponent − 63). Bit 63 of the significand is set unless the number is zero.
struct Unpacked {
    var negative: Bool
    var exponent: Int
    var significand: UInt64
}

/// `value` shifted right with every bit that falls off kept as a one in bit 0, so that it still rounds as the exact value would.
/// - Parameter count: at least 0; there is no upper limit.
@inline(__always)
func shiftedRightSticky(_ value: UInt64, _ count: Int) -> UInt64 {
    if count == 0 { return value }
    if count > 63 { return value == 0 ? 0 : 1 }
    return value &>> UInt64(truncatingIfNeeded: count) | (value &<< UInt64(truncatingIfNeeded: 64 &- count) == 0 ? 0 : 1)
}

extension SoftFormat {
    /// Takes a finite number apart.
    @inline(__always)
    static func unpack(_ bits: UInt64) -> Unpacked {
        let negative = isNegative(bits)
        let field = Int(truncatingIfNeeded: magnitude(bits) >> UInt64(fractionBits))
        let fraction = bits & fractionMask
        let top = UInt64(63 - fractionBits)
        if field != 0 {
            return Unpacked(negative: negative, exponent: field &- bias, significand: (fraction | 1 << UInt64(fractionBits)) << top)
        }
        let lead = (fraction << top).leadingZeroBitCount
        return Unpacked(
            negative: negative, exponent: 1 &- bias &- lead,
            significand: (fraction << top) << UInt64(truncatingIfNeeded: lead))
    }

    /// Rounds ±significand × 2^(exponent − 63) to the format and adds the flags that follow.
    /// - Parameter significand: bit 63 is set; bit 0 may stand for any number of further bits (`shiftedRightSticky`).
    static func round(
        negative: Bool, exponent: Int, significand: UInt64, _ mode: RoundingMode, _ flags: inout FloatFlags
    ) -> UInt64 {
        let field = exponent &+ bias
        if field <= 0 { return roundSubnormal(negative, field, significand, mode, &flags) }
        if field < maximumField {
            let (kept, remainder) = cut(significand, negative, mode)
            // The hidden bit adds one to the field, and so does a carry out of the fraction.
            let result = UInt64(truncatingIfNeeded: field &- 1) << UInt64(fractionBits) &+ kept
            if result < infinity {
                if remainder != 0 { flags.insert(.inexact) }
                return result | zero(negative: negative)
            }
        }
        flags.formUnion([.overflow, .inexact])
        let saturates =
            switch mode {
            case .rne, .rmm: false
            case .rtz: true
            case .rdn: !negative
            case .rup: negative
            }
        return infinity(negative: negative) - (saturates ? 1 : 0)
    }

    /// Rounds a significand with bit 63 as its leading digit to the format's precision.
    /// - Returns: the rounded integer, hidden bit included, and the bits cut off.
    @inline(__always)
    private static func cut(_ significand: UInt64, _ negative: Bool, _ mode: RoundingMode) -> (kept: UInt64, remainder: UInt64) {
        let count = UInt64(63 - fractionBits)
        let remainder = significand & (1 << count - 1)
        let kept = significand >> count
        let up = mode.roundsUp(negative: negative, odd: kept & 1 != 0, remainder: remainder, half: 1 << (count - 1))
        return (kept &+ (up ? 1 : 0), remainder)
    }

    /// `round` below the normal range: `field` is the exponent field the number would have, at most 0.
    @inline(never)
    private static func roundSubnormal(
        _ negative: Bool, _ field: Int, _ significand: UInt64, _ mode: RoundingMode, _ flags: inout FloatFlags
    ) -> UInt64 {
        // Tiny unless rounding with an unlimited exponent range reaches the smallest normal number, only possible from just below.
        let tiny = field < 0 || cut(significand, negative, mode).kept < 1 << UInt64(fractionBits + 1)
        let (kept, remainder) = cut(shiftedRightSticky(significand, 1 &- field), negative, mode)
        if remainder != 0 { flags.formUnion(tiny ? [.underflow, .inexact] : .inexact) }
        return kept | zero(negative: negative)
    }
}
