// Comparison, minimum and maximum, classification, sign injection: operations that never round.

extension SoftFormat {
    /// Maps non-NaN patterns to integers in numeric order, with −0 just below +0.
    @inline(__always)
    private static func orderKey(_ bits: UInt64) -> Int64 {
        let magnitude = Int64(bitPattern: magnitude(bits))
        return isNegative(bits) ? ~magnitude : magnitude
    }

    @inline(__always)
    private static func areBothZero(_ a: UInt64, _ b: UInt64) -> Bool { magnitude(a | b) == 0 }

    /// a = b; only a signalling NaN is invalid (`feq`).
    @inline(__always)
    package static func isEqual(_ a: UInt64, _ b: UInt64, _ flags: inout FloatFlags) -> Bool {
        if isNaN(a) || isNaN(b) {
            _ = propagateNaN(a, b, &flags)
            return false
        }
        return a == b || areBothZero(a, b)
    }

    /// a < b. With `quiet` (`fltq`) only a signalling NaN is invalid, without (`flt`) any NaN is.
    @inline(__always)
    package static func isLess(_ a: UInt64, _ b: UInt64, quiet: Bool = false, _ flags: inout FloatFlags) -> Bool {
        if isNaN(a) || isNaN(b) { return unordered(a, b, quiet, &flags) }
        return orderKey(a) < orderKey(b) && !areBothZero(a, b)
    }

    /// a ≤ b. With `quiet` (`fleq`) only a signalling NaN is invalid, without (`fle`) any NaN is.
    @inline(__always)
    package static func isLessOrEqual(_ a: UInt64, _ b: UInt64, quiet: Bool = false, _ flags: inout FloatFlags) -> Bool {
        if isNaN(a) || isNaN(b) { return unordered(a, b, quiet, &flags) }
        return orderKey(a) <= orderKey(b) || areBothZero(a, b)
    }

    @inline(__always)
    private static func unordered(_ a: UInt64, _ b: UInt64, _ quiet: Bool, _ flags: inout FloatFlags) -> Bool {
        _ = quiet ? propagateNaN(a, b, &flags) : invalid(&flags)
        return false
    }

    /// IEEE 754-2019 minimumNumber (`fmin`), or minimum with `propagatingNaN` (`fminm`).
    @inline(__always)
    package static func minimum(_ a: UInt64, _ b: UInt64, propagatingNaN: Bool = false, _ flags: inout FloatFlags) -> UInt64 {
        if isNaN(a) || isNaN(b) { return extremumOfNaN(a, b, propagatingNaN, &flags) }
        return orderKey(a) < orderKey(b) ? a : b
    }

    /// IEEE 754-2019 maximumNumber (`fmax`), or maximum with `propagatingNaN` (`fmaxm`).
    @inline(__always)
    package static func maximum(_ a: UInt64, _ b: UInt64, propagatingNaN: Bool = false, _ flags: inout FloatFlags) -> UInt64 {
        if isNaN(a) || isNaN(b) { return extremumOfNaN(a, b, propagatingNaN, &flags) }
        return orderKey(a) < orderKey(b) ? b : a
    }

    private static func extremumOfNaN(_ a: UInt64, _ b: UInt64, _ propagatingNaN: Bool, _ flags: inout FloatFlags) -> UInt64 {
        let nan = propagateNaN(a, b, &flags)
        if propagatingNaN || (isNaN(a) && isNaN(b)) { return nan }
        return isNaN(a) ? b : a
    }

    /// The ten-bit class mask of `fclass`: bit 0 −∞, 1 negative normal, 2 negative subnormal, 3 −0, 4 +0, 5 positive subnormal,
    /// 6 positive normal, 7 +∞, 8 signalling NaN, 9 quiet NaN.
    @inline(__always)
    package static func classify(_ a: UInt64) -> UInt64 {
        let size = magnitude(a)
        if size > infinity { return a & quietBit == 0 ? 1 << 8 : 1 << 9 }
        let rank: UInt64 = size == 0 ? 0 : size <= fractionMask ? 1 : size < infinity ? 2 : 3
        return isNegative(a) ? 1 << (3 - rank) : 1 << (4 + rank)
    }

    /// a with the sign of b.
    @inline(__always)
    package static func copySign(_ a: UInt64, _ b: UInt64) -> UInt64 { magnitude(a) | b & signMask }

    /// a with the opposite sign of b.
    @inline(__always)
    package static func copyNegatedSign(_ a: UInt64, _ b: UInt64) -> UInt64 { magnitude(a) | ~b & signMask }

    /// a with its sign flipped if b is negative.
    @inline(__always)
    package static func multiplySign(_ a: UInt64, _ b: UInt64) -> UInt64 { a ^ b & signMask }

    /// −a, for NaNs too.
    @inline(__always)
    package static func negate(_ a: UInt64) -> UInt64 { a ^ signMask }
}
