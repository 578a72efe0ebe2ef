import EmuCPU

/// An independent statement of what vector arithmetic does: registers are bytes, numbers are 128-bit integers or exact real numbers,
/// and one element is done after the other as the manual's formulas say.
struct VectorReference {
    let vlenb: Int
    var registers: [UInt8]
    /// Bits of an element; registers in a group.
    var sew = 8
    var lmul = 1.0
    var vl = 0
    var vstart = 0
    var vxrm = 0
    var vxsat = false
    var mode = RoundingMode.rne
    var flags: FloatFlags = []
    var x = [UInt64](repeating: 0, count: 32)
    var f = [UInt64](repeating: 0, count: 32)

    var vlmax: Int { Int(Double(vlenb * 8) * lmul) / sew }

    // MARK: Elements

    func bits(_ register: Int, _ index: Int, _ width: Int) -> UInt64 {
        let place = register * vlenb + index * width / 8
        return registers[place..<place + width / 8].reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }

    mutating func set(_ register: Int, _ index: Int, _ width: Int, _ value: UInt64) {
        for byte in 0..<width / 8 { registers[register * vlenb + index * width / 8 + byte] = UInt8(truncatingIfNeeded: value >> UInt64(8 * byte)) }
    }

    func number(_ register: Int, _ index: Int, _ width: Int, signed: Bool) -> Int128 { Self.number(bits(register, index, width), width, signed: signed) }

    static func number(_ bits: UInt64, _ width: Int, signed: Bool) -> Int128 {
        let value = Int128(width == 64 ? bits : bits & (1 << UInt64(width) - 1))
        return signed && value >> Int128(width - 1) & 1 != 0 ? value - (1 << Int128(width)) : value
    }

    func mask(_ register: Int, _ index: Int) -> Bool { registers[register * vlenb + index / 8] >> UInt8(index % 8) & 1 != 0 }

    mutating func setMask(_ register: Int, _ index: Int, _ value: Bool) {
        let bit = UInt8(1) << UInt8(index % 8)
        registers[register * vlenb + index / 8] = registers[register * vlenb + index / 8] & ~bit | (value ? bit : 0)
    }

    static func low(_ value: Int128) -> UInt64 { UInt64(truncatingIfNeeded: value) }

    // MARK: Reserved encodings

    /// A group of registers with elements of `width` bits (1 for masks).
    struct Operand {
        let register: Int
        let width: Int
        let emul: Double

        var all: Set<Int> { Set(register..<register + max(1, Int(emul))) }
        var isLegal: Bool { emul >= 0.125 && emul <= 8 && width <= 64 && register % max(1, Int(emul)) == 0 }
    }

    func operand(_ register: Int, times: Double = 1) -> Operand { Operand(register: register, width: Int(Double(sew) * times), emul: lmul * times) }
    func maskOperand(_ register: Int) -> Operand { Operand(register: register, width: 1, emul: 1) }

    /// "Vector Operands" and "Vector Masking".
    func isLegal(_ destination: Operand, _ sources: [Operand], masked: Bool, mayOverlap: Bool = true) -> Bool {
        guard ([destination] + sources).allSatisfy(\.isLegal), sources.allSatisfy({ $0.width >= 1 }) else { return false }
        if masked && destination.width != 1 && destination.all.contains(0) { return false }
        for source in sources where !destination.all.isDisjoint(with: source.all) {
            if !mayOverlap { return false }
            if destination.width == source.width { continue }
            if destination.width < source.width {
                if destination.all.min() != source.all.min() { return false }
            } else if source.emul < 1 || destination.all.max() != source.all.max() {
                return false
            }
        }
        return areReadable(sources, masked: masked)
    }

    /// No register is read with two widths.
    func areReadable(_ sources: [Operand], masked: Bool) -> Bool {
        let all = sources + (masked ? [maskOperand(0)] : [])
        for (index, one) in all.enumerated() {
            for other in all[..<index] where one.width != other.width && !one.all.isDisjoint(with: other.all) { return false }
        }
        return true
    }

    // MARK: Fixed point

    /// The value divided by 2^count, rounded as vxrm says.
    func roundoff(_ value: Int128, _ count: Int) -> Int128 {
        let unit = Int128(1) << Int128(count)
        var whole = value / unit
        if whole * unit > value { whole -= 1 }
        let rest = value - whole * unit
        let up = switch vxrm {
        case 0: 2 * rest >= unit && rest != 0
        case 1: 2 * rest > unit || 2 * rest == unit && rest != 0 && whole % 2 != 0
        case 2: false
        default: rest != 0 && whole % 2 == 0
        }
        return whole + (up ? 1 : 0)
    }

    mutating func clipped(_ value: Int128, signed: Bool) -> Int128 {
        let (least, greatest) = signed ? (-(Int128(1) << Int128(sew - 1)), Int128(1) << Int128(sew - 1) - 1) : (0, Int128(1) << Int128(sew) - 1)
        if value < least || value > greatest { vxsat = true }
        return min(max(value, least), greatest)
    }

    // MARK: Floating point

    static func format(_ width: Int) -> FloatReference? {
        switch width {
        case 16: FloatReference(exponentBits: 5, fractionBits: 10)
        case 32: FloatReference(exponentBits: 8, fractionBits: 23)
        case 64: FloatReference(exponentBits: 11, fractionBits: 52)
        default: nil
        }
    }

    mutating func accrued(_ outcomes: [FloatOutcome], _ mode: RoundingMode? = nil) -> UInt64 {
        let outcome = outcomes[Int((mode ?? self.mode).rawValue)]
        flags.formUnion(outcome.flags)
        return outcome.bits
    }

    mutating func widened(_ bits: UInt64, _ width: Int) -> UInt64 {
        guard let source = Self.format(width), let target = Self.format(2 * width) else { return 0 }
        return accrued(source.convert(bits, to: target))
    }

    /// An f register as a number of `width` bits.
    func scalar(_ register: Int, _ width: Int) -> UInt64 {
        if width == 64 { return f[register] }
        let low = f[register] & (1 << UInt64(width) - 1)
        return f[register] >> UInt64(width) == .max >> UInt64(width) ? low : Self.format(width)?.quietNaN ?? 0
    }
}
