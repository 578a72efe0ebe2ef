import EmuIR

/// Integer operations as `Opcode` documents them, on lists of bits and in long hand: slow, and nothing shared with the evaluator
/// the passes use.
enum ReferenceArithmetic {
    private typealias Bits = [Bool]

    /// Nil when it is not a pure integer operation.
    static func result(_ op: Opcode, _ a: Int64, _ b: Int64, _ c: Int64) -> Int64? {
        let name = op.info.name.description
        if wordOperations.contains(op), let full = Opcode.allCases.first(where: { $0.info.name.description == String(name.dropLast()) }) {
            return wordResult(full, bits(a, 32), bits(b, 32))
        }
        return fullResult(op, bits(a, 64), bits(b, 64), a, b, c)
    }

    private static let wordOperations: Set<Opcode> = [
        .addw, .subw, .shlw, .shrw, .sarw, .rotlw, .rotrw, .mulw, .divw, .divuw, .remw, .remuw, .clzw, .ctzw, .popcntw, .turnedSumw,
    ]

    /// Least significant bit first.
    private static func bits(_ value: Int64, _ width: Int) -> Bits {
        (0..<width).map { UInt64(bitPattern: value) >> UInt64($0) & 1 == 1 }
    }

    /// Sign-extended from the list's width.
    private static func signed(_ bits: Bits) -> Int64 {
        var value: Int64 = bits.last == true ? -1 : 0
        for bit in bits.reversed() { value = value &* 2 &+ (bit ? 1 : 0) }
        return value
    }

    private static func wordResult(_ op: Opcode, _ a: Bits, _ b: Bits) -> Int64? {
        listResult(op, a, b).map(signed)
    }

    private static func fullResult(_ op: Opcode, _ x: Bits, _ y: Bits, _ a: Int64, _ b: Int64, _ c: Int64) -> Int64? {
        switch op {
        case .mov: return a
        case .mulhs: return signed(Bits(product(extended(x, by: x[63]), extended(y, by: y[63]))[64..<128]))
        case .mulhu: return signed(Bits(product(extended(x, by: false), extended(y, by: false))[64..<128]))
        case .mulhsu: return signed(Bits(product(extended(x, by: x[63]), extended(y, by: false))[64..<128]))
        case .min: return isLess(x, y, signed: true) ? a : b
        case .max: return isLess(x, y, signed: true) ? b : a
        case .minu: return isLess(x, y, signed: false) ? a : b
        case .maxu: return isLess(x, y, signed: false) ? b : a
        case .setlt: return isLess(x, y, signed: true) ? 1 : 0
        case .setltu: return isLess(x, y, signed: false) ? 1 : 0
        case .seteq: return x == y ? 1 : 0
        case .setne: return x == y ? 0 : 1
        case .zeroifeq: return y.contains(true) ? a : 0
        case .zeroifne: return y.contains(true) ? 0 : a
        case .clmul: return signed(Bits(polynomialProduct(x, y)[0..<64]))
        case .clmulh: return signed(Bits(polynomialProduct(x, y)[64..<128]))
        case .clmulr: return signed(Bits(polynomialProduct(x, y)[63..<127]))
        case .shladd: return signed(sum(shifted(x, left: Int(c)), y))
        case .shladduw: return signed(sum(shifted(Bits(x[0..<32]) + Bits(repeating: false, count: 32), left: Int(c)), y))
        case .sext8: return signed(Bits(x[0..<8]))
        case .sext16: return signed(Bits(x[0..<16]))
        case .sext32: return signed(Bits(x[0..<32]))
        case .zext8: return signed(Bits(x[0..<8]) + [false])
        case .zext16: return signed(Bits(x[0..<16]) + [false])
        case .zext32: return signed(Bits(x[0..<32]) + [false])
        case .bswap: return signed(stride(from: 56, through: 0, by: -8).flatMap { x[$0..<$0 + 8] })
        case .brev8: return signed(stride(from: 0, to: 64, by: 8).flatMap { x[$0..<$0 + 8].reversed() })
        case .xperm4: return signed(picked(x, y, 4))
        case .xperm8: return signed(picked(x, y, 8))
        case .orcb: return signed(stride(from: 0, to: 64, by: 8).flatMap { Bits(repeating: x[$0..<$0 + 8].contains(true), count: 8) })
        default: return listResult(op, x, y).map(signed)
        }
    }

    /// What has the same definition for 32 and 64 bits.
    private static func listResult(_ op: Opcode, _ x: Bits, _ y: Bits) -> Bits? {
        let width = x.count
        let amount = (0..<(width == 64 ? 6 : 5)).reduce(0) { $0 + (y[$1] ? 1 << $1 : 0) }
        switch op {
        case .add: return sum(x, y)
        case .sub: return sum(x, negated(y))
        case .and: return zip(x, y).map { $0 && $1 }
        case .or: return zip(x, y).map { $0 || $1 }
        case .xor: return zip(x, y).map { $0 != $1 }
        case .andn: return zip(x, y).map { $0 && !$1 }
        case .orn: return zip(x, y).map { $0 || !$1 }
        case .xnor: return zip(x, y).map { $0 == $1 }
        case .shl: return shifted(x, left: amount)
        case .shr: return Bits(x[amount...]) + Bits(repeating: false, count: amount)
        case .sar: return Bits(x[amount...]) + Bits(repeating: x[width - 1], count: amount)
        case .rotl: return (0..<width).map { x[($0 + width - amount) % width] }
        case .rotr: return (0..<width).map { x[($0 + amount) % width] }
        case .mul: return Bits(product(x, y)[0..<width])
        case .div: return division(x, y, signed: true).quotient
        case .divu: return division(x, y, signed: false).quotient
        case .rem: return division(x, y, signed: true).remainder
        case .remu: return division(x, y, signed: false).remainder
        case .bitclear: return x.indices.map { $0 == amount ? false : x[$0] }
        case .bitset: return x.indices.map { $0 == amount ? true : x[$0] }
        case .bitflip: return x.indices.map { $0 == amount ? !x[$0] : x[$0] }
        case .bittest: return [x[amount], false]
        case .clz: return number(x.reversed().prefix { !$0 }.count, width)
        case .ctz: return number(x.prefix { !$0 }.count, width)
        case .popcnt: return number(x.filter { $0 }.count, width)
        case .turnedSum:
            func turned(_ place: Int) -> Bits {
                let amount = (0..<(width == 64 ? 6 : 5)).reduce(0) { $0 + (y[8 * place + $1] ? 1 << $1 : 0) }
                return place == 2 && y[24..<32].contains(true) ? Bits(x[amount...]) + Bits(repeating: false, count: amount) : (0..<width).map { x[($0 + amount) % width] }
            }
            return (0..<width).map { (turned(0)[$0] != turned(1)[$0]) != turned(2)[$0] }
        default: return nil
        }
    }

    private static func picked(_ x: Bits, _ y: Bits, _ width: Int) -> Bits {
        stride(from: 0, to: 64, by: width).flatMap { position in
            let place = (0..<width).reduce(0) { $0 + (y[position + $1] ? 1 << $1 : 0) }
            return place * width < 64 ? Bits(x[place * width..<place * width + width]) : Bits(repeating: false, count: width)
        }
    }

    private static func number(_ value: Int, _ width: Int) -> Bits { bits(Int64(value), width) }

    private static func sum(_ x: Bits, _ y: Bits) -> Bits {
        var carry = false
        return zip(x, y).map { a, b in
            let ones = [a, b, carry].filter { $0 }.count
            carry = ones > 1
            return ones % 2 == 1
        }
    }

    private static func negated(_ x: Bits) -> Bits { sum(x.map { !$0 }, number(1, x.count)) }

    private static func shifted(_ x: Bits, left amount: Int) -> Bits {
        Bits(repeating: false, count: amount) + Bits(x.dropLast(amount))
    }

    private static func extended(_ x: Bits, by bit: Bool) -> Bits { x + Bits(repeating: bit, count: 64) }

    /// Modulo 2 to the width of `x`.
    private static func product(_ x: Bits, _ y: Bits) -> Bits {
        var result = Bits(repeating: false, count: x.count)
        for (place, bit) in y.enumerated() where bit { result = sum(result, shifted(x, left: place)) }
        return result
    }

    private static func polynomialProduct(_ x: Bits, _ y: Bits) -> Bits {
        var result = Bits(repeating: false, count: 128)
        for (i, a) in x.enumerated() where a {
            for (j, b) in y.enumerated() where b { result[i + j].toggle() }
        }
        return result
    }

    private static func isLess(_ x: Bits, _ y: Bits, signed: Bool) -> Bool {
        if signed, x.last != y.last { return x.last == true }
        for (a, b) in zip(x.reversed(), y.reversed()) where a != b { return b }
        return false
    }

    /// Long division of the magnitudes.
    private static func division(_ x: Bits, _ y: Bits, signed: Bool) -> (quotient: Bits, remainder: Bits) {
        let width = x.count
        if !y.contains(true) { return (Bits(repeating: true, count: width), x) }
        let (isNegative, otherIsNegative) = (signed && x[width - 1], signed && y[width - 1])
        let (dividend, divisor) = (isNegative ? negated(x) : x, otherIsNegative ? negated(y) : y)
        var quotient = Bits(repeating: false, count: width)
        // One bit more than the operands: it is shifted before it is compared.
        var remainder = Bits(repeating: false, count: width + 1)
        let wideDivisor = divisor + [false]
        for place in (0..<width).reversed() {
            remainder = shifted(remainder, left: 1)
            remainder[0] = dividend[place]
            if !isLess(remainder, wideDivisor, signed: false) {
                remainder = sum(remainder, negated(wideDivisor))
                quotient[place] = true
            }
        }
        let narrow = Bits(remainder.dropLast())
        return (isNegative != otherIsNegative ? negated(quotient) : quotient, isNegative ? negated(narrow) : narrow)
    }
}
