// What only vector instructions compute: estimates and rounding to odd.

extension SoftFormat {
    /// 1/√a to 7 bits (vfrsqrt7): by a table of 128 values.
    package static func reciprocalSquareRootEstimate(_ a: UInt64, _ flags: inout FloatFlags) -> UInt64 {
        if isNaN(a) { return propagateNaN(a, a, &flags) }
        if magnitude(a) == 0 {
            flags.insert(.divideByZero)
            return infinity(negative: isNegative(a))
        }
        if isNegative(a) { return invalid(&flags) }
        if a == infinity { return 0 }
        let (exponent, fraction) = normalized(a)
        let index = (exponent & 1) << 6 | Int(truncatingIfNeeded: fraction >> UInt64(fractionBits - 6))
        return UInt64(truncatingIfNeeded: (3 * bias - 1 - exponent) >> 1) << UInt64(fractionBits) | UInt64(inverseRoots[index]) << UInt64(fractionBits - 7)
    }

    /// 1/a to 7 bits (vfrec7), by a table too. The rounding mode decides on what is too small to have a reciprocal.
    package static func reciprocalEstimate(_ a: UInt64, _ mode: RoundingMode, _ flags: inout FloatFlags) -> UInt64 {
        if isNaN(a) { return propagateNaN(a, a, &flags) }
        let negative = isNegative(a)
        if magnitude(a) == 0 {
            flags.insert(.divideByZero)
            return infinity(negative: negative)
        }
        if magnitude(a) == infinity { return zero(negative: negative) }
        let (exponent, fraction) = normalized(a)
        // Less than half the smallest normal number: rounded as any number that overflows.
        if exponent < -1 { return round(negative: negative, exponent: bias + 1, significand: 1 << 63, mode, &flags) }
        let result = 2 * bias - 1 - exponent
        let significand = UInt64(inverses[Int(truncatingIfNeeded: fraction >> UInt64(fractionBits - 7))]) << UInt64(fractionBits - 7)
        if result > 0 { return zero(negative: negative) | UInt64(result) << UInt64(fractionBits) | significand }
        return zero(negative: negative) | (1 << UInt64(fractionBits) | significand) >> UInt64(1 - result)
    }

    /// The exponent field and fraction a finite number other than zero would have if the field had no lower limit.
    private static func normalized(_ a: UInt64) -> (exponent: Int, fraction: UInt64) {
        let field = Int(magnitude(a) >> UInt64(fractionBits))
        let fraction = a & fractionMask
        if field > 0 { return (field, fraction) }
        let zeros = fraction.leadingZeroBitCount - (64 - fractionBits)
        return (-zeros, fraction << UInt64(zeros + 1) & fractionMask)
    }

    /// The value in another format, rounded to odd: cut off, and the last bit set if that lost anything (vfncvt.rod.f.f.w).
    package static func convertToOdd<Target: SoftFormat>(_ a: UInt64, to target: Target.Type, _ flags: inout FloatFlags) -> UInt64 {
        var own = FloatFlags()
        let result = convert(a, to: target, .rtz, &own)
        flags.formUnion(own)
        return own.contains(.inexact) ? result | 1 : result
    }
}

/// Fractions of 1/√x to 7 bits, by the exponent's lowest bit and 6 bits of x's fraction.
private let inverseRoots: InlineArray<128, UInt8> = [
    52, 51, 50, 48, 47, 46, 44, 43, 42, 41, 40, 39, 38, 36, 35, 34, 33, 32, 31, 30, 30, 29, 28, 27, 26, 25, 24, 23, 23, 22, 21, 20, 19, 19, 18, 17, 16, 16,
    15, 14, 14, 13, 12, 12, 11, 10, 10, 9, 9, 8, 7, 7, 6, 6, 5, 4, 4, 3, 3, 2, 2, 1, 1, 0, 127, 125, 123, 121, 119, 118, 116, 114, 113, 111, 109, 108, 106,
    105, 103, 102, 100, 99, 97, 96, 95, 93, 92, 91, 90, 88, 87, 86, 85, 84, 83, 82, 80, 79, 78, 77, 76, 75, 74, 73, 72, 71, 70, 70, 69, 68, 67, 66, 65, 64,
    63, 63, 62, 61, 60, 59, 59, 58, 57, 56, 56, 55, 54, 53,
]

/// Fractions of 1/x to 7 bits, by 7 bits of x's fraction.
private let inverses: InlineArray<128, UInt8> = [
    127, 125, 123, 121, 119, 117, 116, 114, 112, 110, 109, 107, 105, 104, 102, 100, 99, 97, 96, 94, 93, 91, 90, 88, 87, 85, 84, 83, 81, 80, 79, 77, 76, 75,
    74, 72, 71, 70, 69, 68, 66, 65, 64, 63, 62, 61, 60, 59, 58, 57, 56, 55, 54, 53, 52, 51, 50, 49, 48, 47, 46, 45, 44, 43, 42, 41, 40, 40, 39, 38, 37, 36,
    35, 35, 34, 33, 32, 31, 31, 30, 29, 28, 28, 27, 26, 25, 25, 24, 23, 23, 22, 21, 21, 20, 19, 19, 18, 17, 17, 16, 15, 15, 14, 14, 13, 12, 12, 11, 11, 10,
    9, 9, 8, 8, 7, 7, 6, 5, 5, 4, 4, 3, 3, 2, 2, 1, 1, 0,
]
