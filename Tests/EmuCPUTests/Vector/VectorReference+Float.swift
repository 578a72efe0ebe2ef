import EmuCPU

extension VectorReference {
    typealias FloatFormula = (FloatReference, UInt64, UInt64, UInt64) -> [FloatOutcome]

    /// Of vs2, the second operand and vd.
    private static func formula(_ base: String) -> FloatFormula? {
        func negated(_ format: FloatReference, _ bits: UInt64) -> UInt64 { bits ^ format.signBit }
        switch base {
        case "vfadd", "vfwadd": return { f, a, b, _ in f.add(a, b) }
        case "vfsub", "vfwsub": return { f, a, b, _ in f.add(a, negated(f, b)).map { $0 } }
        case "vfrsub": return { f, a, b, _ in f.add(b, negated(f, a)) }
        case "vfmul", "vfwmul": return { f, a, b, _ in f.multiply(a, b) }
        case "vfdiv": return { f, a, b, _ in f.divide(a, b) }
        case "vfrdiv": return { f, a, b, _ in f.divide(b, a) }
        case "vfmacc", "vfwmacc": return { f, a, b, d in f.multiplyAdd(b, a, d) }
        case "vfnmacc", "vfwnmacc": return { f, a, b, d in f.multiplyAdd(negated(f, b), a, negated(f, d)) }
        case "vfmsac", "vfwmsac": return { f, a, b, d in f.multiplyAdd(b, a, negated(f, d)) }
        case "vfnmsac", "vfwnmsac": return { f, a, b, d in f.multiplyAdd(negated(f, b), a, d) }
        case "vfmadd": return { f, a, b, d in f.multiplyAdd(d, b, a) }
        case "vfnmadd": return { f, a, b, d in f.multiplyAdd(negated(f, d), b, negated(f, a)) }
        case "vfmsub": return { f, a, b, d in f.multiplyAdd(d, b, negated(f, a)) }
        case "vfnmsub": return { f, a, b, d in f.multiplyAdd(negated(f, d), b, a) }
        case "vfsqrt": return { f, a, _, _ in f.squareRoot(a) }
        case "vfsgnj": return { f, a, b, _ in f.always(a & ~f.signBit | b & f.signBit) }
        case "vfsgnjn": return { f, a, b, _ in f.always(a & ~f.signBit | ~b & f.signBit) }
        case "vfsgnjx": return { f, a, b, _ in f.always(a ^ b & f.signBit) }
        case "vfmin", "vfredmin": return { f, a, b, _ in extremum(f, a, b, wantsLess: true) }
        case "vfmax", "vfredmax": return { f, a, b, _ in extremum(f, a, b, wantsLess: false) }
        case "vfclass": return { f, a, _, _ in f.always(classMask(f, a)) }
        case "vfrec7": return reciprocalEstimate
        case "vfrsqrt7": return rootEstimate
        default: return nil
        }
    }

    private static func isNaN(_ f: FloatReference, _ bits: UInt64) -> (nan: Bool, signalling: Bool) {
        if case .nan(let signalling) = f.value(bits) { return (true, signalling) }
        return (false, false)
    }

    private static func extremum(_ f: FloatReference, _ a: UInt64, _ b: UInt64, wantsLess: Bool) -> [FloatOutcome] {
        let (first, second) = (isNaN(f, a), isNaN(f, b))
        let flags: FloatFlags = first.signalling || second.signalling ? .invalid : []
        if first.nan || second.nan { return f.always(first.nan ? second.nan ? f.quietNaN : b : a, flags) }
        let order = f.order(a, b) ?? 0
        if order == 0 { return f.always(f.isNegative(a) == wantsLess ? a : b) }
        return f.always((order < 0) == wantsLess ? a : b)
    }

    private static func classMask(_ f: FloatReference, _ a: UInt64) -> UInt64 {
        let negative = f.isNegative(a)
        switch f.value(a) {
        case .nan(let signalling): return signalling ? 1 << 8 : 1 << 9
        case .infinity: return negative ? 1 : 1 << 7
        case .zero: return negative ? 1 << 3 : 1 << 4
        case .finite:
            let isNormal = a & f.infinity != 0
            return negative ? isNormal ? 1 << 1 : 1 << 2 : isNormal ? 1 << 6 : 1 << 5
        }
    }

    // The estimates follow the manual's text: exponent and fraction normalised as if exponents went on downwards, then a table. Its entries are
    // the reciprocal (of the root) of the middle of the interval that an index stands for, rounded to nearest in 7 bits.

    private static func split(_ f: FloatReference, _ a: UInt64) -> (exponent: Int, significand: Double) {
        guard case .finite(let natural, let exponent) = f.value(a) else { return (0, 0) }
        let top = natural.bitWidth - 1
        // The value is 1.xxx × 2^(exponent + top).
        let significand = Double(natural.lowWord) / Double(sign: .plus, exponent: top, significand: 1)
        return (exponent + top, significand)
    }

    private static func assembled(_ f: FloatReference, _ negative: Bool, _ exponent: Int, _ seven: UInt64) -> UInt64 {
        let field = exponent + f.bias
        let full = (128 | seven) << UInt64(f.fractionBits - 7)
        return f.signed(field > 0 ? UInt64(field) << UInt64(f.fractionBits) | full & (1 << UInt64(f.fractionBits) - 1) : full >> UInt64(1 - field), negative)
    }

    private static func reciprocalEstimate(_ f: FloatReference, _ a: UInt64, _: UInt64, _: UInt64) -> [FloatOutcome] {
        if let nan = f.ofNaN(a) { return nan }
        let negative = f.isNegative(a)
        switch f.value(a) {
        case .infinity: return f.always(f.signed(0, negative))
        case .zero: return f.always(f.signed(f.infinity, negative), .divideByZero)
        default: break
        }
        let (exponent, significand) = split(f, a)
        if exponent < -f.bias - 1 { return f.rounded(.dyadic(Natural(1), f.maximumExponent + 1), negative: negative) }
        let index = ((significand - 1) * 128).rounded(.down)
        let estimate = (256 * 128 / (128 + index + 0.5)).rounded(.toNearestOrEven)
        return f.always(assembled(f, negative, -exponent - 1, UInt64(min(estimate, 255)) - 128))
    }

    private static func rootEstimate(_ f: FloatReference, _ a: UInt64, _: UInt64, _: UInt64) -> [FloatOutcome] {
        if let nan = f.ofNaN(a) { return nan }
        let negative = f.isNegative(a)
        if case .zero = f.value(a) { return f.always(f.signed(f.infinity, negative), .divideByZero) }
        if negative { return f.always(f.quietNaN, .invalid) }
        if case .infinity = f.value(a) { return f.always(0) }
        let (exponent, significand) = split(f, a)
        // x = m × 4^k with m in [1, 4).
        let half = exponent >> 1
        let isOdd = exponent & 1 != 0
        let middle = (64 + ((significand - 1) * 64).rounded(.down) + 0.5) / 64 * (isOdd ? 2 : 1)
        let estimate = (256 / middle.squareRoot()).rounded(.toNearestOrEven)
        return f.always(assembled(f, false, -half - 1, UInt64(min(estimate, 255)) - 128))
    }

    /// Floating-point instructions; nil for others, false for a reserved encoding.
    mutating func executeFloat(_ i: VectorFields) -> Bool? {
        let (old, active) = (self, (vstart..<max(vstart, vl)).filter { [self] in !i.isMasked || mask(0, $0) })
        let b = i.hasVector && !i.name.hasSuffix(".v") ? [operand(i.vs1)] : []
        func second(_ index: Int, _ width: Int) -> UInt64 { i.hasVector ? old.bits(i.vs1, index, width) : old.scalar(i.vs1, width) }
        if i.base.hasPrefix("vfred") || i.base.hasPrefix("vfwred") {
            let width = i.base.hasPrefix("vfw") ? 2 * sew : sew
            guard vstart == 0, Self.format(sew) != nil, let format = Self.format(width), operand(i.vs2).isLegal,
                areReadable([operand(i.vs2), Operand(register: i.vs1, width: width, emul: 1)], masked: i.isMasked) else { return false }
            if vl == 0 { return true }
            var value = bits(i.vs1, 0, width)
            for index in active {
                let element = old.bits(i.vs2, index, sew)
                let other = width == sew ? element : widened(element, sew)
                value = accrued(Self.formula(i.base)?(format, value, other, 0) ?? format.add(value, other))
            }
            set(i.vd, 0, width, value)
            return true
        }
        if i.base.hasPrefix("vmf") {
            guard let format = Self.format(sew), isLegal(maskOperand(i.vd), [operand(i.vs2)] + b, masked: i.isMasked) else { return false }
            for index in active { setMask(i.vd, index, compare(i.base, format, old.bits(i.vs2, index, sew), second(index, sew))) }
            return true
        }
        if i.base == "vfmerge" || i.name == "vfmv.v.f" {
            let isMerge = i.base == "vfmerge"
            guard Self.format(sew) != nil, isLegal(operand(i.vd), isMerge ? [operand(i.vs2)] : [], masked: isMerge) else { return false }
            for index in vstart..<max(vstart, vl) { set(i.vd, index, sew, !isMerge || old.mask(0, index) ? old.scalar(i.vs1, sew) : old.bits(i.vs2, index, sew)) }
            return true
        }
        if i.name.contains("cvt") { return convert(i, old, active) }
        guard let formula = Self.formula(i.base) else { return nil }
        let isWidening = i.base.hasPrefix("vfw")
        let isWide = i.suffix.hasPrefix("w")
        let width = isWidening ? 2 * sew : sew
        let readsDestination = i.base.contains("mac") || i.base.contains("msac") || i.base.contains("madd") || i.base.contains("msub")
        let (d, a) = (operand(i.vd, times: isWidening ? 2 : 1), operand(i.vs2, times: isWide ? 2 : 1))
        guard Self.format(sew) != nil, let format = Self.format(width), isLegal(d, [a] + b, masked: i.isMasked),
            !readsDestination || areReadable([d, a] + b, masked: false) else { return false }
        for index in active {
            var (first, other) = (old.bits(i.vs2, index, isWide ? width : sew), i.name.hasSuffix(".v") ? 0 : second(index, sew))
            if isWidening {
                if !isWide { first = widened(first, sew) }
                other = widened(other, sew)
            }
            set(i.vd, index, width, accrued(formula(format, first, other, old.bits(i.vd, index, width))))
        }
        return true
    }

    private mutating func compare(_ base: String, _ format: FloatReference, _ a: UInt64, _ b: UInt64) -> Bool {
        let (first, second) = (Self.isNaN(format, a), Self.isNaN(format, b))
        let isQuiet = base == "vmfeq" || base == "vmfne"
        if first.nan || second.nan {
            if !isQuiet || first.signalling || second.signalling { flags.insert(.invalid) }
            return base == "vmfne"
        }
        let order = format.order(a, b) ?? 0
        return switch base {
        case "vmfeq": order == 0
        case "vmfne": order != 0
        case "vmflt": order < 0
        case "vmfle": order <= 0
        case "vmfgt": order > 0
        default: order >= 0
        }
    }

    private mutating func convert(_ i: VectorFields, _ old: VectorReference, _ active: [Int]) -> Bool {
        let parts = i.name.split(separator: ".").map(String.init)
        let (to, from) = (parts[parts.count - 3], parts[parts.count - 2])
        let (isWidening, isNarrowing) = (i.base == "vfwcvt", i.base == "vfncvt")
        let (source, target) = (isNarrowing ? 2 * sew : sew, isWidening ? 2 * sew : sew)
        if from == "f" && Self.format(source) == nil || to == "f" && Self.format(target) == nil { return false }
        guard isLegal(operand(i.vd, times: isWidening ? 2 : 1), [operand(i.vs2, times: isNarrowing ? 2 : 1)], masked: i.isMasked) else { return false }
        let mode = parts.contains("rtz") ? RoundingMode.rtz : self.mode
        for index in active {
            let bits = old.bits(i.vs2, index, source)
            var result: UInt64 = 0
            if from != "f", let format = Self.format(target) {
                let value = Self.number(bits, source, signed: from == "x")
                result = accrued(format.fromInteger(magnitude: UInt64(value.magnitude), negative: value < 0), mode)
            } else if let format = Self.format(source), to != "f" {
                let limits: (Int64, UInt64) = to == "x" ? (Int64.min >> Int64(64 - target), UInt64.max >> UInt64(65 - target)) : (0, UInt64.max >> UInt64(64 - target))
                result = accrued(format.toInteger(bits, minimum: limits.0, maximum: limits.1), mode)
            } else if let format = Self.format(source), let other = Self.format(target) {
                let outcomes = format.convert(bits, to: other)
                if parts.contains("rod") {
                    let cut = outcomes[Int(RoundingMode.rtz.rawValue)]
                    flags.formUnion(cut.flags)
                    result = cut.flags.contains(.inexact) ? cut.bits | 1 : cut.bits
                } else {
                    result = accrued(outcomes, mode)
                }
            }
            set(i.vd, index, target, result)
        }
        return true
    }
}
