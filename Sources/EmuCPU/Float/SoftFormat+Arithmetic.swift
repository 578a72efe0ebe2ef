// Addition, subtraction, multiplication, division, square root, fused multiply-add (IEEE 754 section 5.4.1).
//
// Each begins with the host's own operation where that cannot be told from ours: see `accepts`.

extension SoftFormat {
    /// Whether the host's operation may be tried: it rounds to nearest even, and whether its result is exact is not known,
    /// which does not matter once the inexact flag is set. (Guest code rarely clears it, so this is the usual case.)
    @inline(__always)
    private static func mayUseHost(_ mode: RoundingMode, _ flags: FloatFlags) -> Bool {
        isHostFormat && mode == .rne && flags.contains(.inexact)
    }

    /// Whether a host result is final: finite and well inside the normal range. Then no operand was infinite or a NaN,
    /// and no flag but inexact can have been raised.
    @inline(__always)
    private static func accepts(_ result: UInt64) -> Bool {
        magnitude(result) &- 2 << UInt64(fractionBits) < infinity &- 2 << UInt64(fractionBits)
    }

    /// a + b.
    @_specialize(where Self == Binary16)
    @_specialize(where Self == Binary32)
    @_specialize(where Self == Binary64)
    package static func add(_ a: UInt64, _ b: UInt64, _ mode: RoundingMode, _ flags: inout FloatFlags) -> UInt64 {
        if mayUseHost(mode, flags) {
            let result = hostAdd(a, b)
            if accepts(result) { return result }
        }
        if isSpecial(a) || isSpecial(b) { return addSpecial(a, b, &flags) }
        if magnitude(b) == 0 {
            return magnitude(a) == 0 && a != b ? zero(negative: mode == .rdn) : a
        }
        if magnitude(a) == 0 { return b }
        let aIsLarger = magnitude(a) >= magnitude(b)
        let large = unpack(aIsLarger ? a : b)
        let small = unpack(aIsLarger ? b : a)
        // One bit of room for the carry; the lowest bits of a significand are zero in every format.
        let large63 = large.significand >> 1
        let small63 = shiftedRightSticky(small.significand >> 1, large.exponent &- small.exponent)
        let sum = large.negative == small.negative ? large63 &+ small63 : large63 &- small63
        if sum == 0 { return zero(negative: mode == .rdn) }
        let lead = sum.leadingZeroBitCount
        return round(
            negative: large.negative, exponent: large.exponent &+ 1 &- lead, significand: sum << UInt64(truncatingIfNeeded: lead),
            mode, &flags)
    }

    /// a − b.
    @inline(__always)
    package static func subtract(_ a: UInt64, _ b: UInt64, _ mode: RoundingMode, _ flags: inout FloatFlags) -> UInt64 {
        add(a, b ^ signMask, mode, &flags)
    }

    @inline(never)
    private static func addSpecial(_ a: UInt64, _ b: UInt64, _ flags: inout FloatFlags) -> UInt64 {
        if isNaN(a) || isNaN(b) { return propagateNaN(a, b, &flags) }
        guard isSpecial(a) else { return b }
        return isSpecial(b) && a != b ? invalid(&flags) : a
    }

    /// a × b.
    @_specialize(where Self == Binary16)
    @_specialize(where Self == Binary32)
    @_specialize(where Self == Binary64)
    package static func multiply(_ a: UInt64, _ b: UInt64, _ mode: RoundingMode, _ flags: inout FloatFlags) -> UInt64 {
        if mayUseHost(mode, flags) {
            let result = hostMultiply(a, b)
            if accepts(result) { return result }
        }
        let negative = isNegative(a ^ b)
        if isSpecial(a) || isSpecial(b) {
            if isNaN(a) || isNaN(b) { return propagateNaN(a, b, &flags) }
            return magnitude(a) == 0 || magnitude(b) == 0 ? invalid(&flags) : infinity(negative: negative)
        }
        if magnitude(a) == 0 || magnitude(b) == 0 { return zero(negative: negative) }
        let x = unpack(a)
        let y = unpack(b)
        let (high, low) = x.significand.multipliedFullWidth(by: y.significand)
        let product = high | (low == 0 ? 0 : 1)
        let lead = product.leadingZeroBitCount
        return round(
            negative: negative, exponent: x.exponent &+ y.exponent &+ 1 &- lead,
            significand: product << UInt64(truncatingIfNeeded: lead), mode, &flags)
    }

    /// a ÷ b.
    @_specialize(where Self == Binary16)
    @_specialize(where Self == Binary32)
    @_specialize(where Self == Binary64)
    package static func divide(_ a: UInt64, _ b: UInt64, _ mode: RoundingMode, _ flags: inout FloatFlags) -> UInt64 {
        if mayUseHost(mode, flags) {
            let result = hostDivide(a, b)
            if accepts(result) { return result }
        }
        let negative = isNegative(a ^ b)
        if isSpecial(a) || isSpecial(b) {
            if isNaN(a) || isNaN(b) { return propagateNaN(a, b, &flags) }
            if !isSpecial(a) { return zero(negative: negative) }
            return isSpecial(b) ? invalid(&flags) : infinity(negative: negative)
        }
        if magnitude(b) == 0 {
            if magnitude(a) == 0 { return invalid(&flags) }
            flags.insert(.divideByZero)
            return infinity(negative: negative)
        }
        if magnitude(a) == 0 { return zero(negative: negative) }
        let x = unpack(a)
        let y = unpack(b)
        // The dividend's high half stays below the divisor and the quotient's leading digit lands in bit 63.
        let halve = x.significand >= y.significand
        let (quotient, remainder) = y.significand.dividingFullWidth(
            halve ? (x.significand >> 1, x.significand << 63) : (x.significand, 0))
        return round(
            negative: negative, exponent: x.exponent &- y.exponent &- (halve ? 0 : 1),
            significand: quotient | (remainder == 0 ? 0 : 1), mode, &flags)
    }

    /// √a.
    @_specialize(where Self == Binary16)
    @_specialize(where Self == Binary32)
    @_specialize(where Self == Binary64)
    package static func squareRoot(_ a: UInt64, _ mode: RoundingMode, _ flags: inout FloatFlags) -> UInt64 {
        if mayUseHost(mode, flags) {
            let result = hostSquareRoot(a)
            if accepts(result) { return result }
        }
        if isNaN(a) { return propagateNaN(a, a, &flags) }
        if magnitude(a) == 0 { return a }
        if isNegative(a) { return invalid(&flags) }
        if isSpecial(a) { return a }
        let x = unpack(a)
        let odd = x.exponent & 1
        // The root of a radicand in 2^122 ..< 2^124 has its leading digit in bit 61.
        let radicand = UInt128(x.significand) << UInt128(truncatingIfNeeded: 59 &+ odd)
        let root = integerSquareRoot(radicand)
        let exact = UInt128(root) * UInt128(root) == radicand
        return round(
            negative: false, exponent: (x.exponent &- odd) >> 1, significand: root << 2 | (exact ? 0 : 1), mode, &flags)
    }

    /// a × b + c with one rounding. The other three RISC-V forms are this one with the signs of a or c changed.
    @_specialize(where Self == Binary16)
    @_specialize(where Self == Binary32)
    @_specialize(where Self == Binary64)
    package static func multiplyAdd(
        _ a: UInt64, _ b: UInt64, _ c: UInt64, _ mode: RoundingMode, _ flags: inout FloatFlags
    ) -> UInt64 {
        if mayUseHost(mode, flags) {
            let result = hostMultiplyAdd(a, b, c)
            if accepts(result) { return result }
        }
        if isSpecial(a) || isSpecial(b) || isSpecial(c) { return multiplyAddSpecial(a, b, c, &flags) }
        let negative = isNegative(a ^ b)
        if magnitude(a) == 0 || magnitude(b) == 0 {
            if magnitude(c) != 0 { return c }
            return negative == isNegative(c) ? c : zero(negative: mode == .rdn)
        }
        let x = unpack(a)
        let y = unpack(b)
        // Leading digit of each term in bit 126: one bit of room for the carry. The product is exact: at most 106 digits.
        var product = UInt128(x.significand >> 1) * UInt128(y.significand)
        var productExponent = x.exponent &+ y.exponent &+ 1
        if product >> 126 == 0 {
            product <<= 1
            productExponent &-= 1
        }
        var sum = product
        var exponent = productExponent
        var sumNegative = negative
        if magnitude(c) != 0 {
            let z = unpack(c)
            let addend = UInt128(z.significand) << 63
            let productIsLarger = productExponent > z.exponent || (productExponent == z.exponent && product >= addend)
            let small = productIsLarger ? addend : product
            let distance = productIsLarger ? productExponent &- z.exponent : z.exponent &- productExponent
            let aligned = shiftedRightSticky(small, distance)
            if !productIsLarger {
                sum = addend
                exponent = z.exponent
                sumNegative = z.negative
            }
            sum = negative == z.negative ? sum &+ aligned : sum &- aligned
            if sum == 0 { return zero(negative: mode == .rdn) }
        }
        let lead = sum.leadingZeroBitCount
        sum <<= UInt128(truncatingIfNeeded: lead)
        let sticky: UInt64 = UInt64(truncatingIfNeeded: sum) == 0 ? 0 : 1
        return round(
            negative: sumNegative, exponent: exponent &+ 1 &- lead, significand: UInt64(truncatingIfNeeded: sum >> 64) | sticky,
            mode, &flags)
    }

    @inline(never)
    private static func multiplyAddSpecial(_ a: UInt64, _ b: UInt64, _ c: UInt64, _ flags: inout FloatFlags) -> UInt64 {
        if isNaN(a) || isNaN(b) { return propagateNaN(propagateNaN(a, b, &flags), c, &flags) }
        let productIsInfinite = isSpecial(a) || isSpecial(b)
        // Invalid even if c is a quiet NaN.
        if productIsInfinite && (magnitude(a) == 0 || magnitude(b) == 0) { return invalid(&flags) }
        if isNaN(c) { return propagateNaN(c, c, &flags) }
        let product = infinity(negative: isNegative(a ^ b))
        guard productIsInfinite else { return c }
        return isSpecial(c) && c != product ? invalid(&flags) : product
    }
}

/// `shiftedRightSticky` for 128 bits.
@inline(__always)
private func shiftedRightSticky(_ value: UInt128, _ count: Int) -> UInt128 {
    if count == 0 { return value }
    if count > 127 { return value == 0 ? 0 : 1 }
    return value &>> UInt128(truncatingIfNeeded: count) | (value &<< UInt128(truncatingIfNeeded: 128 &- count) == 0 ? 0 : 1)
}

/// ⌊√radicand⌋ for a radicand in 2^122 ..< 2^124.
///
/// The host's root is only the first guess (about 50 right digits); a Newton step doubles them and the last unit is settled exactly.
@inline(__always)
private func integerSquareRoot(_ radicand: UInt128) -> UInt64 {
    let high = UInt64(truncatingIfNeeded: radicand >> 64)
    let guess = UInt64((Double(high) * 0x1p64).squareRoot())
    let quotient = guess.dividingFullWidth((high, UInt64(truncatingIfNeeded: radicand))).quotient
    var root = (guess &+ quotient) >> 1
    while UInt128(root) * UInt128(root) > radicand { root &-= 1 }
    while UInt128(root &+ 1) * UInt128(root &+ 1) <= radicand { root &+= 1 }
    return root
}
