/// Computes pure integer operations at translation time, exactly as the guest would.
public enum IRConstantEvaluator {
    /// The result of `op`, or nil when it is not a pure integer operation (or `pc`, which depends on where the code runs).
    ///
    /// Operands the opcode does not have are ignored.
    public static func evaluate(_ op: Opcode, _ a: Int64, _ b: Int64 = 0, _ c: Int64 = 0) -> Int64? {
        switch op {
        case .mov: a

        case .add: a &+ b
        case .addw: word(a &+ b)
        case .sub: a &- b
        case .subw: word(a &- b)
        case .and: a & b
        case .or: a | b
        case .xor: a ^ b
        case .andn: a & ~b
        case .orn: a | ~b
        case .xnor: ~(a ^ b)

        // Swift's masking shifts take the amount modulo the width.
        case .shl: a &<< b
        case .shlw: word(Int32(truncatingIfNeeded: a) &<< Int32(truncatingIfNeeded: b))
        case .shr: Int64(bitPattern: unsigned(a) &>> unsigned(b))
        case .shrw: word(low(a) &>> low(b))
        case .sar: a &>> b
        case .sarw: word(Int32(truncatingIfNeeded: a) &>> Int32(truncatingIfNeeded: b))
        case .rotl: Int64(bitPattern: rotated(unsigned(a), left: unsigned(b)))
        case .rotlw: word(rotated(low(a), left: low(b)))
        case .rotr: Int64(bitPattern: rotated(unsigned(a), left: 0 &- unsigned(b)))
        case .rotrw: word(rotated(low(a), left: 0 &- low(b)))

        case .mul: a &* b
        case .mulw: word(a &* b)
        case .mulhs: a.multipliedFullWidth(by: b).high
        case .mulhu: Int64(bitPattern: unsigned(a).multipliedFullWidth(by: unsigned(b)).high)
        // As if both were unsigned, less 2^64 × b for a negative a.
        case .mulhsu: Int64(bitPattern: unsigned(a).multipliedFullWidth(by: unsigned(b)).high) &- (a < 0 ? b : 0)

        case .div: quotient(a, b)
        case .divu: Int64(bitPattern: quotient(unsigned(a), unsigned(b)))
        case .rem: remainder(a, b)
        case .remu: Int64(bitPattern: remainder(unsigned(a), unsigned(b)))
        case .divw: word(quotient(Int32(truncatingIfNeeded: a), Int32(truncatingIfNeeded: b)))
        case .divuw: word(quotient(low(a), low(b)))
        case .remw: word(remainder(Int32(truncatingIfNeeded: a), Int32(truncatingIfNeeded: b)))
        case .remuw: word(remainder(low(a), low(b)))

        case .min: Swift.min(a, b)
        case .max: Swift.max(a, b)
        case .minu: Int64(bitPattern: Swift.min(unsigned(a), unsigned(b)))
        case .maxu: Int64(bitPattern: Swift.max(unsigned(a), unsigned(b)))
        case .setlt: a < b ? 1 : 0
        case .setltu: unsigned(a) < unsigned(b) ? 1 : 0
        case .seteq: a == b ? 1 : 0
        case .setne: a != b ? 1 : 0
        case .bitclear: a & ~(1 &<< b)
        case .bitset: a | 1 &<< b
        case .bitflip: a ^ 1 &<< b
        case .bittest: a &>> b & 1
        case .clmul: Int64(bitPattern: carrylessProduct(unsigned(a), unsigned(b)).low)
        case .clmulh: Int64(bitPattern: carrylessProduct(unsigned(a), unsigned(b)).high)
        case .clmulr: reversedProduct(unsigned(a), unsigned(b))
        case .zeroifeq: b == 0 ? 0 : a
        case .zeroifne: b != 0 ? 0 : a
        case .shladd: a &<< c &+ b
        case .shladduw: Int64(low(a)) &<< c &+ b

        case .sext8: Int64(Int8(truncatingIfNeeded: a))
        case .sext16: Int64(Int16(truncatingIfNeeded: a))
        case .sext32: word(a)
        case .zext8: a & 0xff
        case .zext16: a & 0xffff
        case .zext32: Int64(low(a))
        case .clz: Int64(a.leadingZeroBitCount)
        case .clzw: Int64(low(a).leadingZeroBitCount)
        case .ctz: Int64(a.trailingZeroBitCount)
        case .ctzw: Int64(low(a).trailingZeroBitCount)
        case .popcnt: Int64(a.nonzeroBitCount)
        case .popcntw: Int64(low(a).nonzeroBitCount)
        case .bswap: a.byteSwapped
        case .orcb: combinedBytes(unsigned(a))
        case .brev8: Int64(bitPattern: reversedBits(unsigned(a)).byteSwapped)
        case .xperm4: picked(unsigned(a), unsigned(b), width: 4)
        case .xperm8: picked(unsigned(a), unsigned(b), width: 8)
        case .turnedSum: Int64(bitPattern: turnedSum(unsigned(a), TurnedSum(rawValue: b)))
        case .turnedSumw: word(turnedSum(low(a), TurnedSum(rawValue: b)))

        default: nil
        }
    }

    private static func unsigned(_ value: Int64) -> UInt64 { UInt64(bitPattern: value) }
    private static func low(_ value: Int64) -> UInt32 { UInt32(truncatingIfNeeded: value) }

    /// The low 32 bits, sign-extended.
    private static func word(_ value: some BinaryInteger) -> Int64 { Int64(Int32(truncatingIfNeeded: value)) }

    private static func rotated<Value: FixedWidthInteger>(_ value: Value, left amount: Value) -> Value {
        value &<< amount | value &>> (0 &- amount)
    }

    private static func quotient<Value: FixedWidthInteger>(_ a: Value, _ b: Value) -> Value {
        b == 0 ? ~0 : a.dividedReportingOverflow(by: b).partialValue
    }

    private static func remainder<Value: FixedWidthInteger>(_ a: Value, _ b: Value) -> Value {
        if b == 0 { return a }
        let (remainder, overflows) = a.remainderReportingOverflow(dividingBy: b)
        return overflows ? 0 : remainder
    }

    private static func carrylessProduct(_ a: UInt64, _ b: UInt64) -> (high: UInt64, low: UInt64) {
        var high: UInt64 = 0
        var low: UInt64 = 0
        for bit in 0..<UInt64(64) where b &>> bit & 1 == 1 {
            low ^= a &<< bit
            if bit > 0 { high ^= a &>> (64 - bit) }
        }
        return (high, low)
    }

    /// Bits 63 to 126 of the product.
    private static func reversedProduct(_ a: UInt64, _ b: UInt64) -> Int64 {
        let (high, low) = carrylessProduct(a, b)
        return Int64(bitPattern: high &<< 1 | low &>> 63)
    }

    private static func reversedBits(_ value: UInt64) -> UInt64 {
        (0..<64 as Range<UInt64>).reduce(0) { $0 | (value &>> $1 & 1) &<< (63 &- $1) }
    }

    /// The parts of `value` that those of `places` name.
    private static func picked(_ value: UInt64, _ places: UInt64, width: UInt64) -> Int64 {
        let mask = 1 &<< width &- 1 as UInt64
        var result: UInt64 = 0
        for position in stride(from: 0, to: 64, by: Int(width)).map(UInt64.init) {
            let place = places &>> position & mask
            if place < 64 / width { result |= (value &>> (place &* width) & mask) &<< position }
        }
        return Int64(bitPattern: result)
    }

    private static func turnedSum<Value: FixedWidthInteger>(_ value: Value, _ sum: TurnedSum) -> Value {
        let third = Value(sum.third)
        return rotated(value, left: 0 &- Value(sum.first)) ^ rotated(value, left: 0 &- Value(sum.second)) ^ (sum.isShift ? value &>> third : rotated(value, left: 0 &- third))
    }

    /// Each byte that is not zero becomes 0xff.
    private static func combinedBytes(_ value: UInt64) -> Int64 {
        var result: UInt64 = 0
        for byte in stride(from: UInt64(0), to: 64, by: 8) where value &>> byte & 0xff != 0 { result |= 0xff &<< byte }
        return Int64(bitPattern: result)
    }
}

extension Relation {
    /// Whether it holds between two values.
    public func holds(_ a: Int64, _ b: Int64) -> Bool {
        switch self {
        case .eq: a == b
        case .ne: a != b
        case .lt: a < b
        case .ge: a >= b
        case .ltu: UInt64(bitPattern: a) < UInt64(bitPattern: b)
        case .geu: UInt64(bitPattern: a) >= UInt64(bitPattern: b)
        }
    }
}
