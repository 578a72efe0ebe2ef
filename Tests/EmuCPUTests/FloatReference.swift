import EmuCPU

// An independent statement of IEEE 754 arithmetic as RISC-V uses it: operands become exact real numbers, the operation is done
// exactly, and the real number is rounded by asking between which two representable numbers it lies.

/// A positive real number known exactly.
enum ExactReal {
    /// numerator / denominator × 2^exponent.
    case quotient(Natural, Natural, exponent: Int)
    /// √radicand × 2^exponent.
    case root(Natural, exponent: Int)

    static func dyadic(_ value: Natural, _ exponent: Int) -> ExactReal { .quotient(value, Natural(1), exponent: exponent) }

    /// The number in units of 2^scale: whole units, what is left compared with half a unit (−1, 0, 1), and whether anything is left.
    func measured(scale: Int) -> (units: UInt64, half: Int, exact: Bool) {
        switch self {
        case .quotient(let numerator, let denominator, let exponent):
            let shift = exponent - scale
            if denominator == Natural(1), shift < 0 {
                let units = numerator >> -shift
                let rest = numerator - units << -shift
                return (units.lowWord, Natural.compare(rest << 1, Natural(1) << -shift), rest.isZero)
            }
            let top = shift > 0 ? numerator << shift : numerator
            let bottom = shift < 0 ? denominator << -shift : denominator
            let (units, rest) = top.divided(by: bottom)
            return (units, Natural.compare(rest << 1, bottom), rest.isZero)
        case .root(let radicand, let exponent):
            let shift = 2 * (exponent - scale)
            precondition(shift >= 0, "roots of binary fractions are never this small")
            let square = radicand << shift
            let units = square.squareRoot
            let middle = Natural(2 * units + 1)
            return (units, Natural.compare(square << 2, middle * middle), Natural(units) * Natural(units) == square)
        }
    }

    /// ⌊log2⌋.
    var exponent: Int {
        switch self {
        case .quotient(let numerator, let denominator, let exponent):
            let guess = numerator.bitWidth - denominator.bitWidth
            let reaches =
                guess >= 0
                ? Natural.compare(numerator, denominator << guess) >= 0 : Natural.compare(numerator << -guess, denominator) >= 0
            return exponent + (reaches ? guess : guess - 1)
        case .root(let radicand, let exponent):
            return exponent + (radicand.bitWidth - 1) / 2
        }
    }
}

/// What an operand stands for.
enum FloatValue {
    case nan(signalling: Bool)
    case infinity
    case zero
    case finite(Natural, Int)
}

/// A result with the flags it raises.
struct FloatOutcome: Equatable, CustomStringConvertible {
    var bits: UInt64
    var flags: FloatFlags = []
    var description: String { "\(String(bits, radix: 16)) flags \(String(flags.rawValue, radix: 2))" }
}

/// Reference arithmetic for the format with these field widths.
struct FloatReference {
    let exponentBits: Int
    let fractionBits: Int

    var width: Int { 1 + exponentBits + fractionBits }
    var bias: Int { (1 << (exponentBits - 1)) - 1 }
    /// Exponents of the smallest and largest normal numbers.
    var minimumExponent: Int { 1 - bias }
    var maximumExponent: Int { bias }
    var signBit: UInt64 { 1 << UInt64(width - 1) }
    var infinity: UInt64 { ((1 << UInt64(exponentBits)) - 1) << UInt64(fractionBits) }
    var quietNaN: UInt64 { infinity | (1 << UInt64(fractionBits - 1)) }

    func isNegative(_ bits: UInt64) -> Bool { bits & signBit != 0 }
    func signed(_ bits: UInt64, _ negative: Bool) -> UInt64 { negative ? bits | signBit : bits }

    func value(_ bits: UInt64) -> FloatValue {
        let field = Int(bits >> UInt64(fractionBits)) & ((1 << exponentBits) - 1)
        let fraction = bits & ((1 << UInt64(fractionBits)) - 1)
        switch field {
        case (1 << exponentBits) - 1:
            return fraction == 0 ? .infinity : .nan(signalling: fraction >> UInt64(fractionBits - 1) == 0)
        case 0: return fraction == 0 ? .zero : .finite(Natural(fraction), minimumExponent - fractionBits)
        default: return .finite(Natural(fraction | 1 << UInt64(fractionBits)), field - bias - fractionBits)
        }
    }

    // MARK: Rounding

    static func goesUp(_ measured: (units: UInt64, half: Int, exact: Bool), _ negative: Bool, _ mode: RoundingMode) -> Bool {
        switch mode {
        case .rne: measured.half > 0 || (measured.half == 0 && measured.units % 2 == 1)
        case .rmm: measured.half >= 0
        case .rtz: false
        case .rdn: negative && !measured.exact
        case .rup: !negative && !measured.exact
        }
    }

    /// The outcome in each rounding mode, in the order of `RoundingMode.allCases`.
    func rounded(_ real: ExactReal, negative: Bool) -> [FloatOutcome] {
        let exponent = real.exponent
        let free = exponent - fractionBits
        let scale = max(free, minimumExponent - fractionBits)
        let here = real.measured(scale: scale)
        let unbounded = free == scale ? here : real.measured(scale: free)
        return RoundingMode.allCases.map { mode in
            let units = here.units + (Self.goesUp(here, negative, mode) ? 1 : 0)
            var flags: FloatFlags = here.exact ? [] : .inexact
            // The largest finite number is (2^(fractionBits + 1) − 1) units of this scale.
            let top = maximumExponent - fractionBits
            if scale > top || (scale == top && units >> UInt64(fractionBits + 1) != 0) {
                flags = [.overflow, .inexact]
                let toInfinity = mode == .rne || mode == .rmm || (mode == .rup && !negative) || (mode == .rdn && negative)
                return FloatOutcome(bits: signed(toInfinity ? infinity : infinity - 1, negative), flags: flags)
            }
            let freeUnits = unbounded.units + (Self.goesUp(unbounded, negative, mode) ? 1 : 0)
            let reachesNormal = exponent >= minimumExponent
                || (exponent == minimumExponent - 1 && freeUnits == 1 << UInt64(fractionBits + 1))
            if !reachesNormal, !here.exact { flags.insert(.underflow) }
            // Units count through the binades: a number with scale k above the smallest starts at k × 2^fractionBits.
            let binade = UInt64(scale - (minimumExponent - fractionBits))
            return FloatOutcome(bits: signed(binade << UInt64(fractionBits) + units, negative), flags: flags)
        }
    }

    func always(_ bits: UInt64, _ flags: FloatFlags = []) -> [FloatOutcome] {
        RoundingMode.allCases.map { _ in FloatOutcome(bits: bits, flags: flags) }
    }

    var invalid: [FloatOutcome] { always(quietNaN, .invalid) }

    /// The outcome if any operand is a NaN.
    func ofNaN(_ operands: UInt64...) -> [FloatOutcome]? {
        var found = false
        var flags: FloatFlags = []
        for operand in operands {
            guard case .nan(let signalling) = value(operand) else { continue }
            found = true
            if signalling { flags = .invalid }
        }
        return found ? always(quietNaN, flags) : nil
    }

    /// Zero as an exact sum: negative when rounding down unless all terms agree on a sign.
    private func zeroSum(_ aNegative: Bool, _ bNegative: Bool) -> [FloatOutcome] {
        RoundingMode.allCases.map { mode in
            FloatOutcome(bits: signed(0, aNegative == bNegative ? aNegative : mode == .rdn))
        }
    }

    /// ±a ± b for two positive dyadic numbers, rounded.
    private func sum(_ a: (Natural, Int), _ aNegative: Bool, _ b: (Natural, Int), _ bNegative: Bool) -> [FloatOutcome] {
        let scale = min(a.1, b.1)
        let x = a.0 << (a.1 - scale)
        let y = b.0 << (b.1 - scale)
        if aNegative == bNegative { return rounded(.dyadic(x + y, scale), negative: aNegative) }
        switch Natural.compare(x, y) {
        case 0: return zeroSum(aNegative, bNegative)
        case 1: return rounded(.dyadic(x - y, scale), negative: aNegative)
        default: return rounded(.dyadic(y - x, scale), negative: bNegative)
        }
    }

    // MARK: Operations: the outcome in each rounding mode

    func add(_ a: UInt64, _ b: UInt64) -> [FloatOutcome] {
        if let outcome = ofNaN(a, b) { return outcome }
        switch (value(a), value(b)) {
        case (.infinity, .infinity): return a == b ? always(a) : invalid
        case (.infinity, _): return always(a)
        case (_, .infinity): return always(b)
        case (.zero, .zero): return zeroSum(isNegative(a), isNegative(b))
        case (.zero, _): return always(b)
        case (_, .zero): return always(a)
        case (.finite(let m, let e), .finite(let n, let f)): return sum((m, e), isNegative(a), (n, f), isNegative(b))
        default: preconditionFailure("NaNs are handled above")
        }
    }

    func multiply(_ a: UInt64, _ b: UInt64) -> [FloatOutcome] {
        if let outcome = ofNaN(a, b) { return outcome }
        let negative = isNegative(a) != isNegative(b)
        switch (value(a), value(b)) {
        case (.infinity, .zero), (.zero, .infinity): return invalid
        case (.infinity, _), (_, .infinity): return always(signed(infinity, negative))
        case (.zero, _), (_, .zero): return always(signed(0, negative))
        case (.finite(let m, let e), .finite(let n, let f)): return rounded(.dyadic(m * n, e + f), negative: negative)
        default: preconditionFailure("NaNs are handled above")
        }
    }

    func divide(_ a: UInt64, _ b: UInt64) -> [FloatOutcome] {
        if let outcome = ofNaN(a, b) { return outcome }
        let negative = isNegative(a) != isNegative(b)
        switch (value(a), value(b)) {
        case (.infinity, .infinity), (.zero, .zero): return invalid
        case (.infinity, _): return always(signed(infinity, negative))
        case (_, .infinity), (.zero, _): return always(signed(0, negative))
        case (_, .zero): return always(signed(infinity, negative), .divideByZero)
        case (.finite(let m, let e), .finite(let n, let f)):
            return rounded(.quotient(m, n, exponent: e - f), negative: negative)
        default: preconditionFailure("NaNs are handled above")
        }
    }

    func squareRoot(_ a: UInt64) -> [FloatOutcome] {
        if let outcome = ofNaN(a) { return outcome }
        switch value(a) {
        case .zero: return always(a)
        case _ where isNegative(a): return invalid
        case .infinity: return always(a)
        case .finite(let m, let e):
            let even = e & ~1
            return rounded(.root(m << (e - even), exponent: even / 2), negative: false)
        case .nan: preconditionFailure("NaNs are handled above")
        }
    }

    func multiplyAdd(_ a: UInt64, _ b: UInt64, _ c: UInt64) -> [FloatOutcome] {
        switch (value(a), value(b)) {
        case (.infinity, .zero), (.zero, .infinity): return invalid
        default: break
        }
        if let outcome = ofNaN(a, b, c) { return outcome }
        let negative = isNegative(a) != isNegative(b)
        switch (value(a), value(b), value(c)) {
        case (.infinity, _, .infinity), (_, .infinity, .infinity): return negative == isNegative(c) ? always(c) : invalid
        case (.infinity, _, _), (_, .infinity, _): return always(signed(infinity, negative))
        case (_, _, .infinity): return always(c)
        case (.zero, _, .zero), (_, .zero, .zero): return zeroSum(negative, isNegative(c))
        case (.zero, _, _), (_, .zero, _): return always(c)
        case (.finite(let m, let e), .finite(let n, let f), .zero):
            return rounded(.dyadic(m * n, e + f), negative: negative)
        case (.finite(let m, let e), .finite(let n, let f), .finite(let o, let g)):
            return sum((m * n, e + f), negative, (o, g), isNegative(c))
        default: preconditionFailure("NaNs are handled above")
        }
    }

    func convert(_ a: UInt64, to target: FloatReference) -> [FloatOutcome] {
        switch value(a) {
        case .nan(let signalling): return always(target.quietNaN, signalling ? .invalid : [])
        case .infinity: return always(target.signed(target.infinity, isNegative(a)))
        case .zero: return always(target.signed(0, isNegative(a)))
        case .finite(let m, let e): return target.rounded(.dyadic(m, e), negative: isNegative(a))
        }
    }

    func fromInteger(magnitude: UInt64, negative: Bool) -> [FloatOutcome] {
        magnitude == 0 ? always(0) : rounded(.dyadic(Natural(magnitude), 0), negative: negative)
    }

    /// Conversion to an integer with the given limits; the result is its two's complement pattern.
    func toInteger(_ a: UInt64, minimum: Int64, maximum: UInt64) -> [FloatOutcome] {
        let negative = isNegative(a)
        let clipped = always(negative ? UInt64(bitPattern: minimum) : maximum, .invalid)
        switch value(a) {
        case .nan: return always(maximum, .invalid)
        case .infinity: return clipped
        case .zero: return always(0)
        case .finite(let m, let e):
            let real = ExactReal.dyadic(m, e)
            guard real.exponent < 64 else { return clipped }
            let measured = real.measured(scale: 0)
            return RoundingMode.allCases.map { mode in
                let size = UInt128(measured.units) + (Self.goesUp(measured, negative, mode) ? 1 : 0)
                if size > (negative ? UInt128(minimum.magnitude) : UInt128(maximum)) { return clipped[0] }
                let pattern = UInt64(truncatingIfNeeded: size)
                return FloatOutcome(bits: negative ? 0 &- pattern : pattern, flags: measured.exact ? [] : .inexact)
            }
        }
    }

    /// The low 32 bits of the truncated number as a two's complement integer, sign-extended.
    func truncatedModulo32(_ a: UInt64) -> FloatOutcome {
        let flags = toInteger(a, minimum: Int64(Int32.min), maximum: UInt64(Int32.max))[Int(RoundingMode.rtz.rawValue)].flags
        guard case .finite(let m, let e) = value(a) else { return FloatOutcome(bits: 0, flags: flags) }
        let size = (e >= 0 ? m << e : m >> -e).lowWord & 0xffff_ffff
        let word = Int32(truncatingIfNeeded: isNegative(a) ? 0 - Int64(size) : Int64(size))
        return FloatOutcome(bits: UInt64(bitPattern: Int64(word)), flags: flags)
    }

    func roundToIntegral(_ a: UInt64, exact: Bool) -> [FloatOutcome] {
        if let outcome = ofNaN(a) { return outcome }
        guard case .finite(let m, let e) = value(a) else { return always(a) }
        let real = ExactReal.dyadic(m, e)
        guard real.exponent < fractionBits else { return always(a) }
        let measured = real.measured(scale: 0)
        return RoundingMode.allCases.map { mode in
            let units = measured.units + (Self.goesUp(measured, isNegative(a), mode) ? 1 : 0)
            let flags: FloatFlags = exact && !measured.exact ? .inexact : []
            return FloatOutcome(bits: units == 0 ? signed(0, isNegative(a)) : fromInteger(magnitude: units, negative: isNegative(a))[0].bits, flags: flags)
        }
    }

    /// −1, 0, 1 for non-NaN operands by value; nil if unordered.
    func order(_ a: UInt64, _ b: UInt64) -> Int? {
        func ranked(_ bits: UInt64) -> (sign: Int, size: (Natural, Int)?)? {
            let sign = isNegative(bits) ? -1 : 1
            switch value(bits) {
            case .nan: return nil
            case .zero: return (0, nil)
            case .infinity: return (sign, (Natural(1), maximumExponent + 1))
            case .finite(let m, let e): return (sign, (m, e))
            }
        }
        guard let x = ranked(a), let y = ranked(b) else { return nil }
        guard x.sign == y.sign, let p = x.size, let q = y.size else { return (x.sign - y.sign).signum() }
        let scale = min(p.1, q.1)
        return x.sign * Natural.compare(p.0 << (p.1 - scale), q.0 << (q.1 - scale))
    }
}
