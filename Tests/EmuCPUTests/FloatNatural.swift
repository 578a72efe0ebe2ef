/// A natural number of any size: just enough arithmetic to state exactly what a floating-point operation should give.
struct Natural: Equatable {
    /// Digits in base 2^64, least significant first; the last is not zero.
    private var words: [UInt64]

    init(_ value: UInt64) { words = value == 0 ? [] : [value] }

    private init(words: [UInt64]) {
        self.words = words
        while self.words.last == 0 { self.words.removeLast() }
    }

    var isZero: Bool { words.isEmpty }

    /// Number of binary digits; 0 for zero.
    var bitWidth: Int { words.isEmpty ? 0 : words.count * 64 - words[words.count - 1].leadingZeroBitCount }

    /// The number modulo 2^64.
    var lowWord: UInt64 { words.first ?? 0 }

    static func << (value: Natural, count: Int) -> Natural {
        let (whole, part) = (count / 64, UInt64(count % 64))
        var result = [UInt64](repeating: 0, count: value.words.count + whole + 1)
        for (index, word) in value.words.enumerated() {
            result[index + whole] |= word << part
            result[index + whole + 1] = part == 0 ? 0 : word >> (64 - part)
        }
        return Natural(words: result)
    }

    static func >> (value: Natural, count: Int) -> Natural {
        let (whole, part) = (count / 64, UInt64(count % 64))
        guard whole < value.words.count else { return Natural(0) }
        var result = Array(value.words[whole...])
        guard part != 0 else { return Natural(words: result) }
        for index in result.indices {
            result[index] = result[index] >> part | (index + 1 < result.count ? result[index + 1] << (64 - part) : 0)
        }
        return Natural(words: result)
    }

    static func + (a: Natural, b: Natural) -> Natural {
        var result = a.words.count >= b.words.count ? a.words : b.words
        let other = a.words.count >= b.words.count ? b.words : a.words
        var carry: UInt64 = 0
        for index in result.indices {
            let sum = UInt128(result[index]) + UInt128(index < other.count ? other[index] : 0) + UInt128(carry)
            result[index] = UInt64(truncatingIfNeeded: sum)
            carry = UInt64(sum >> 64)
        }
        result.append(carry)
        return Natural(words: result)
    }

    /// a − b for a ≥ b.
    static func - (a: Natural, b: Natural) -> Natural {
        var result = a.words
        var borrow = false
        for index in result.indices {
            let (first, under) = result[index].subtractingReportingOverflow(index < b.words.count ? b.words[index] : 0)
            let (second, underAgain) = first.subtractingReportingOverflow(borrow ? 1 : 0)
            result[index] = second
            borrow = under || underAgain
        }
        precondition(!borrow, "difference of naturals would be negative")
        return Natural(words: result)
    }

    static func * (a: Natural, b: Natural) -> Natural {
        var result = [UInt64](repeating: 0, count: a.words.count + b.words.count)
        for (i, x) in a.words.enumerated() {
            var carry: UInt64 = 0
            for (j, y) in b.words.enumerated() {
                let term = UInt128(x) * UInt128(y) + UInt128(result[i + j]) + UInt128(carry)
                result[i + j] = UInt64(truncatingIfNeeded: term)
                carry = UInt64(term >> 64)
            }
            result[i + b.words.count] = carry
        }
        return Natural(words: result)
    }

    /// −1, 0 or 1 as a is smaller than, equal to or larger than b.
    static func compare(_ a: Natural, _ b: Natural) -> Int {
        if a.words.count != b.words.count { return a.words.count < b.words.count ? -1 : 1 }
        for index in a.words.indices.reversed() where a.words[index] != b.words[index] {
            return a.words[index] < b.words[index] ? -1 : 1
        }
        return 0
    }

    /// Quotient (which must be below 2^64) and remainder, by long division.
    func divided(by divisor: Natural) -> (quotient: UInt64, remainder: Natural) {
        var quotient: UInt64 = 0
        var remainder = self
        for shift in stride(from: max(0, bitWidth - divisor.bitWidth), through: 0, by: -1) {
            let term = divisor << shift
            if Natural.compare(term, remainder) <= 0 {
                remainder = remainder - term
                quotient |= 1 << UInt64(shift)
            }
        }
        return (quotient, remainder)
    }

    /// ⌊√self⌋, which must be below 2^63, digit by digit.
    var squareRoot: UInt64 {
        var root: UInt64 = 0
        for bit in stride(from: (bitWidth + 1) / 2, through: 0, by: -1) {
            let candidate = root | 1 << UInt64(bit)
            if Natural.compare(Natural(candidate) * Natural(candidate), self) <= 0 { root = candidate }
        }
        return root
    }
}
