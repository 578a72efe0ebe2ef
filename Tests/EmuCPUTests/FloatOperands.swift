import EmuCPU
import TestSupport

extension SplitMix {
    mutating func below(_ limit: Int) -> Int { Int(next() % UInt64(limit)) }
}

/// Operands likely to find mistakes in a format.
struct FloatOperands {
    let reference: FloatReference
    var random: SplitMix

    init(_ reference: FloatReference, seed: UInt64) {
        self.reference = reference
        random = SplitMix(seed: seed)
    }

    private func pattern(_ field: Int, _ fraction: UInt64) -> UInt64 { UInt64(field) << UInt64(reference.fractionBits) | fraction }

    /// Zeros, subnormals, limits, infinities, NaNs, halves and the powers of two where integers end; both signs.
    var special: [UInt64] {
        let r = reference
        let ones = (1 as UInt64) << UInt64(r.fractionBits) - 1
        var result: [UInt64] = [
            0, 1, 2, ones >> 1, ones, ones + 1, ones + 2, pattern(2, 0),
            pattern(r.bias - r.fractionBits - 1, 0), pattern(r.bias - 2, ones), pattern(r.bias - 1, 0), pattern(r.bias - 1, 1),
            pattern(r.bias - 1, ones), pattern(r.bias, 0), pattern(r.bias, 1), pattern(r.bias, 1 << UInt64(r.fractionBits - 1)),
            pattern(r.bias, ones), pattern(r.bias + 1, 0), pattern(r.bias + 1, 1 << UInt64(r.fractionBits - 2)),
            pattern(r.bias + r.fractionBits - 1, ones), pattern(r.bias + r.fractionBits, 1), pattern(r.bias + r.fractionBits + 1, 0),
            r.infinity - 2, r.infinity - 1, r.infinity, r.quietNaN, r.quietNaN | 1, r.infinity | 1, r.quietNaN - 1,
        ]
        for exponent in [30, 31, 32, 62, 63, 64] where exponent < r.bias {
            result.append(pattern(r.bias + exponent, 0))
            result.append(pattern(r.bias + exponent, ones))
            result.append(pattern(r.bias + exponent, 0) - 1)
        }
        return result + result.map { $0 | r.signBit }
    }

    /// The special values that matter when three operands are crossed.
    var fewSpecial: [UInt64] {
        let r = reference
        let ones = (1 as UInt64) << UInt64(r.fractionBits) - 1
        let result = [
            0, 1, ones, ones + 1, pattern(r.bias - 1, 1), pattern(r.bias, 0), pattern(r.bias, ones), r.infinity - 1, r.infinity,
            r.quietNaN | 1, r.infinity | 1,
        ]
        return result + result.map { $0 | r.signBit }
    }

    /// Bits that are dense, sparse, or long runs.
    private mutating func fraction() -> UInt64 {
        let mask = (1 as UInt64) << UInt64(reference.fractionBits) - 1
        switch random.below(6) {
        case 0: return 0
        case 1: return mask
        case 2: return (1 as UInt64) << UInt64(random.below(reference.fractionBits))
        case 3: return mask & ~((1 as UInt64) << UInt64(random.below(reference.fractionBits)))
        case 4: return (random.next() << UInt64(random.below(reference.fractionBits))) & mask
        default: return random.next() & mask
        }
    }

    private mutating func field() -> Int {
        let last = (1 << reference.exponentBits) - 1
        switch random.below(8) {
        case 0: return random.below(3)
        case 1: return last - random.below(4)
        case 2, 3: return min(last, max(0, reference.bias - 4 + random.below(9)))
        case 4: return min(last, max(0, reference.bias - 2 + random.below(68)))
        default: return random.below(last + 1)
        }
    }

    private mutating func sign() -> UInt64 { random.below(2) == 0 ? 0 : reference.signBit }

    mutating func one() -> UInt64 { sign() | pattern(field(), fraction()) }

    /// Two operands that are sometimes near each other, or that multiply or divide to something near a limit.
    mutating func two() -> (UInt64, UInt64) {
        let a = one()
        let own = Int(a >> UInt64(reference.fractionBits)) & ((1 << reference.exponentBits) - 1)
        let last = (1 << reference.exponentBits) - 2
        func clamped(_ field: Int) -> Int { min(last, max(0, field)) }
        let reach = reference.fractionBits + 4
        switch random.below(6) {
        case 0: return (a, sign() | pattern(clamped(own - reach + random.below(2 * reach)), fraction()))
        case 1: return (a, (a ^ sign()) &+ UInt64(random.below(3)) & (reference.signBit << 1 &- 1))
        // Product, then quotient, near the smallest normal number; then near the largest.
        case 2: return (a, sign() | pattern(clamped(reference.bias - own + 1 - random.below(reach)), fraction()))
        case 3: return (a, sign() | pattern(clamped(own + reference.bias - 2 + random.below(reach)), fraction()))
        case 4: return (a, sign() | pattern(clamped(2 * last - reference.bias - own + random.below(5)), fraction()))
        default: return (a, one())
        }
    }

    /// Three operands of which the third is sometimes close to the negated product, or just far enough to be a rounding bit.
    mutating func three() -> (UInt64, UInt64, UInt64) {
        let (a, b) = two()
        let product = reference.multiply(a, b)[random.below(5)].bits
        guard case .finite = reference.value(product) else { return (a, b, one()) }
        let own = Int(product >> UInt64(reference.fractionBits)) & ((1 << reference.exponentBits) - 1)
        switch random.below(4) {
        case 0: return (a, b, product ^ reference.signBit ^ UInt64(random.below(2)))
        case 1, 2:
            let reach = 2 * reference.fractionBits + 6
            let near = min((1 << reference.exponentBits) - 2, max(0, own - reach + random.below(2 * reach)))
            return (a, b, sign() | pattern(near, fraction()))
        default: return (a, b, one())
        }
    }
}
