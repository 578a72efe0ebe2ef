// Conversions between formats and to and from integers, and rounding to integral values.

extension SoftFormat {
    /// The value in another format.
    @_specialize(where Self == Binary16, Target == Binary32)
    @_specialize(where Self == Binary16, Target == Binary64)
    @_specialize(where Self == Binary32, Target == Binary16)
    @_specialize(where Self == Binary32, Target == Binary64)
    @_specialize(where Self == Binary64, Target == Binary16)
    @_specialize(where Self == Binary64, Target == Binary32)
    package static func convert<Target: SoftFormat>(
        _ a: UInt64, to target: Target.Type, _ mode: RoundingMode, _ flags: inout FloatFlags
    ) -> UInt64 {
        let negative = isNegative(a)
        if isSpecial(a) {
            if !isNaN(a) { return Target.infinity(negative: negative) }
            _ = propagateNaN(a, a, &flags)
            return Target.canonicalNaN
        }
        if magnitude(a) == 0 { return Target.zero(negative: negative) }
        let x = unpack(a)
        return Target.round(negative: negative, exponent: x.exponent, significand: x.significand, mode, &flags)
    }

    /// The format's value nearest to ±magnitude.
    @_specialize(where Self == Binary16)
    @_specialize(where Self == Binary32)
    @_specialize(where Self == Binary64)
    package static func fromInteger(
        magnitude: UInt64, negative: Bool, _ mode: RoundingMode, _ flags: inout FloatFlags
    ) -> UInt64 {
        if magnitude == 0 { return 0 }
        let lead = magnitude.leadingZeroBitCount
        return round(
            negative: negative, exponent: 63 &- lead, significand: magnitude << UInt64(truncatingIfNeeded: lead), mode, &flags)
    }

    @inline(__always)
    package static func fromSigned(_ value: Int64, _ mode: RoundingMode, _ flags: inout FloatFlags) -> UInt64 {
        fromInteger(magnitude: value.magnitude, negative: value < 0, mode, &flags)
    }

    @inline(__always)
    package static func fromUnsigned(_ value: UInt64, _ mode: RoundingMode, _ flags: inout FloatFlags) -> UInt64 {
        fromInteger(magnitude: value, negative: false, mode, &flags)
    }

    /// Rounds to an integer of type `Integer` (at most 64 bits). Out of range: the nearest limit and invalid; NaN: the upper limit and invalid.
    @_specialize(where Self == Binary16, Integer == Int32)
    @_specialize(where Self == Binary16, Integer == UInt32)
    @_specialize(where Self == Binary16, Integer == Int64)
    @_specialize(where Self == Binary16, Integer == UInt64)
    @_specialize(where Self == Binary32, Integer == Int32)
    @_specialize(where Self == Binary32, Integer == UInt32)
    @_specialize(where Self == Binary32, Integer == Int64)
    @_specialize(where Self == Binary32, Integer == UInt64)
    @_specialize(where Self == Binary64, Integer == Int32)
    @_specialize(where Self == Binary64, Integer == UInt32)
    @_specialize(where Self == Binary64, Integer == Int64)
    @_specialize(where Self == Binary64, Integer == UInt64)
    package static func toInteger<Integer: FixedWidthInteger>(
        _ a: UInt64, as type: Integer.Type, _ mode: RoundingMode, _ flags: inout FloatFlags
    ) -> Integer {
        if isNaN(a) {
            flags.insert(.invalid)
            return Integer.max
        }
        let negative = isNegative(a)
        if magnitude(a) == 0 { return 0 }
        let x = unpack(a)
        // Infinity unpacks to a number too large for 64 bits unless the format is narrow.
        if isSpecial(a) || x.exponent > 63 {
            flags.insert(.invalid)
            return negative ? Integer.min : Integer.max
        }
        let (size, inexact) = integerPart(x, mode)
        let limit = UInt64(truncatingIfNeeded: negative ? Integer.min.magnitude : Integer.max.magnitude)
        if size > limit {
            flags.insert(.invalid)
            return negative ? Integer.min : Integer.max
        }
        if inexact { flags.insert(.inexact) }
        return Integer(truncatingIfNeeded: negative ? 0 &- size : size)
    }

    /// Magnitude of a number below 2^64, rounded to an integer.
    @inline(__always)
    private static func integerPart(_ x: Unpacked, _ mode: RoundingMode) -> (size: UInt64, inexact: Bool) {
        // No format has so many digits that a number this large has a fraction.
        if x.exponent >= 61 { return (x.significand >> UInt64(truncatingIfNeeded: 63 &- x.exponent), false) }
        // The units digit becomes bit 2; bit 1 is the half and bit 0 everything below.
        let scaled = shiftedRightSticky(x.significand, 61 &- x.exponent)
        let whole = scaled >> 2
        let remainder = scaled & 3
        let up = mode.roundsUp(negative: x.negative, odd: whole & 1 != 0, remainder: remainder, half: 2)
        return (whole &+ (up ? 1 : 0), remainder != 0)
    }

    /// Rounds towards zero and keeps the low 32 bits of the two's complement integer (`fcvtmod.w.d`); infinities and NaNs give 0.
    /// The flags are those of the conversion to a 32-bit signed integer.
    package static func toIntegerModulo32(_ a: UInt64, _ flags: inout FloatFlags) -> Int32 {
        _ = toInteger(a, as: Int32.self, .rtz, &flags)
        if isSpecial(a) || magnitude(a) == 0 { return 0 }
        let x = unpack(a)
        if x.exponent < 0 { return 0 }
        let count = UInt64(truncatingIfNeeded: (x.exponent &- 63).magnitude)
        let size = x.exponent <= 63 ? x.significand >> count : x.significand << count
        return Int32(truncatingIfNeeded: x.negative ? 0 &- size : size)
    }

    /// Rounds to an integral value of the same format, keeping the sign of a zero (IEEE 754 section 5.9).
    /// - Parameter exact: raise inexact if the value changes (`froundnx`); `fround` never does.
    @_specialize(where Self == Binary16)
    @_specialize(where Self == Binary32)
    @_specialize(where Self == Binary64)
    package static func roundToIntegral(
        _ a: UInt64, exact: Bool, _ mode: RoundingMode, _ flags: inout FloatFlags
    ) -> UInt64 {
        let exponent = Int(truncatingIfNeeded: magnitude(a) >> UInt64(fractionBits)) &- bias
        if exponent >= fractionBits {
            // Integral already, infinite or a NaN.
            return isNaN(a) ? propagateNaN(a, a, &flags) : a
        }
        let negative = isNegative(a)
        if exponent < 0 {
            if magnitude(a) == 0 { return a }
            // Between 0 and 1: only how it compares with a half counts.
            let half = UInt64(bias - 1) << UInt64(fractionBits)
            let up = mode.roundsUp(negative: negative, odd: false, remainder: magnitude(a), half: half)
            if exact { flags.insert(.inexact) }
            return zero(negative: negative) | (up ? UInt64(bias) << UInt64(fractionBits) : 0)
        }
        let unit = 1 << UInt64(truncatingIfNeeded: fractionBits &- exponent) as UInt64
        let remainder = a & (unit - 1)
        if remainder == 0 { return a }
        let whole = a &- remainder
        // With exponent 0 the unit is the hidden one, in whose place stands the lowest bit of the exponent field: the bias is odd too.
        let odd = whole & unit != 0
        if exact { flags.insert(.inexact) }
        let up = mode.roundsUp(negative: negative, odd: odd, remainder: remainder, half: unit >> 1)
        return up ? whole &+ unit : whole
    }

    /// The constants of `fli` (Zfa, table of immediate values), each held as a double but for the second.
    package static func loadImmediate(_ index: Int) -> UInt64 {
        if index == 1 { return 1 << UInt64(fractionBits) }
        if index == 31 { return canonicalNaN }
        var flags = FloatFlags()
        return Binary64.convert(immediateConstants[index & 31].bitPattern, to: Self.self, .rne, &flags)
    }
}

/// Values of the 32 `fli` constants; 1 (the smallest positive normal number) and 31 (the canonical NaN) depend on the format.
private let immediateConstants: InlineArray<32, Double> = [
    -1, 0, 0x1p-16, 0x1p-15, 0x1p-8, 0x1p-7, 0.0625, 0.125, 0.25, 0.3125, 0.375, 0.4375, 0.5, 0.625, 0.75, 0.875,
    1, 1.25, 1.5, 1.75, 2, 2.5, 3, 4, 8, 16, 128, 256, 0x1p15, 0x1p16, .infinity, 0,
]
