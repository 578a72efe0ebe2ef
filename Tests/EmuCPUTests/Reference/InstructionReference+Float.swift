import EmuCPU

/// F, D, Zfh, Zfa and Zfbfmin by exact rational arithmetic, with the boxing and the flags of the manual.
extension InstructionReference {
    /// A format by its suffix.
    static func format(_ suffix: Substring) -> FloatReference? {
        switch suffix {
        case "h": FloatFormat.half.reference
        case "s": FloatFormat.single.reference
        case "d": FloatFormat.double.reference
        case "bf16": FloatReference(exponentBits: 8, fractionBits: 7)
        default: nil
        }
    }

    /// What a register holds in a format: its canonical NaN where the bits above are not all ones.
    private func operand(_ register: Int, _ format: FloatReference) -> UInt64 {
        if format.width == 64 { return f[register] }
        let boxes = UInt64.max << UInt64(format.width)
        return f[register] & boxes == boxes ? f[register] & ~boxes : format.quietNaN
    }

    private mutating func write(_ register: Int, _ bits: UInt64, _ format: FloatReference) {
        f[register] = format.width == 64 ? bits : bits | .max << UInt64(format.width)
    }

    /// The constants of Zfa's table; the second is each format's smallest normal number.
    private static let constants: [Double] = [
        -1, .nan, 0x1p-16, 0x1p-15, 0x1p-8, 0x1p-7, 0.0625, 0.125, 0.25, 0.3125, 0.375, 0.4375, 0.5, 0.625, 0.75, 0.875, 1, 1.25, 1.5, 1.75, 2, 2.5, 3, 4, 8, 16,
        128, 256, 0x1p15, 0x1p16, .infinity, .nan,
    ]

    /// Nil for other instructions.
    mutating func floatingPoint(_ i: Operands) -> Outcome? {
        let parts = i.name.split(separator: ".")
        guard i.name.hasPrefix("f"), parts.count >= 2 else { return nil }
        let name = parts[0]
        if name == "fmv" { return move(i, to: parts[1], from: parts[2]) }
        if name == "fcvt" || name == "fcvtmod" { return convert(i, to: parts[1], from: parts[2]) }
        guard let format = Self.format(parts[1]) else { return nil }
        let (a, b, c) = (operand(i.rs1, format), operand(i.rs2, format), operand(i.rs3, format))
        let sign = format.signBit
        switch name {
        case "fadd": return rounded(i, format) { _ in format.add(a, b) }
        case "fsub": return rounded(i, format) { _ in format.add(a, b ^ sign) }
        case "fmul": return rounded(i, format) { _ in format.multiply(a, b) }
        case "fdiv": return rounded(i, format) { _ in format.divide(a, b) }
        case "fsqrt": return rounded(i, format) { _ in format.squareRoot(a) }
        case "fmadd": return rounded(i, format) { _ in format.multiplyAdd(a, b, c) }
        case "fmsub": return rounded(i, format) { _ in format.multiplyAdd(a, b, c ^ sign) }
        case "fnmsub": return rounded(i, format) { _ in format.multiplyAdd(a ^ sign, b, c) }
        case "fnmadd": return rounded(i, format) { _ in format.multiplyAdd(a ^ sign, b, c ^ sign) }
        case "fround": return rounded(i, format) { _ in format.roundToIntegral(a, exact: false) }
        case "froundnx": return rounded(i, format) { _ in format.roundToIntegral(a, exact: true) }
        case "fsgnj": write(i.rd, a & ~sign | b & sign, format)
        case "fsgnjn": write(i.rd, a & ~sign | ~b & sign, format)
        case "fsgnjx": write(i.rd, a ^ b & sign, format)
        case "fmin", "fminm": write(i.rd, extreme(a, b, format, wantsLess: true, passesNaN: name == "fminm"), format)
        case "fmax", "fmaxm": write(i.rd, extreme(a, b, format, wantsLess: false, passesNaN: name == "fmaxm"), format)
        case "feq", "flt", "fle", "fltq", "fleq":
            let order = format.order(a, b)
            // The signalling ones object to any NaN.
            if isSignalling(a, format) || isSignalling(b, format) || order == nil && (name == "flt" || name == "fle") { flags |= FloatFlags.invalid.rawValue }
            let holds = order.map { name == "feq" ? $0 == 0 : name.hasPrefix("flt") ? $0 < 0 : $0 <= 0 } ?? false
            write(i.rd, holds ? 1 : 0)
        case "fclass": write(i.rd, 1 << classNumber(a, format))
        case "fli":
            let constant = Self.constants[i.rs1]
            let bits: UInt64 =
                i.rs1 == 1 ? 1 << UInt64(format.fractionBits) : constant.isNaN ? format.quietNaN
                : FloatFormat.double.reference.convert(constant.bitPattern, to: format)[0].bits
            write(i.rd, bits, format)
        default: return nil
        }
        return .retired
    }

    // MARK: Rounding

    /// The rounding mode the instruction names, or frm; nil for a reserved one.
    private func mode(_ i: Operands) -> Int? {
        let named = Int(i.field(12, 3))
        let mode = named == 7 ? Int(rounding) : named
        return mode < 5 ? mode : nil
    }

    private mutating func rounded(_ i: Operands, _ format: FloatReference, _ outcomes: (Int) -> [FloatOutcome]) -> Outcome {
        guard let mode = mode(i) else { return .trap(cause: 2, value: UInt64(i.bits)) }
        let outcome = outcomes(mode)[mode]
        flags |= outcome.flags.rawValue
        write(i.rd, outcome.bits, format)
        return .retired
    }

    private mutating func roundedToInteger(_ i: Operands, _ outcomes: [FloatOutcome], width: Int) -> Outcome {
        guard let mode = mode(i) else { return .trap(cause: 2, value: UInt64(i.bits)) }
        flags |= outcomes[mode].flags.rawValue
        write(i.rd, Self.wrapped(Self.signed(outcomes[mode].bits, width)))
        return .retired
    }

    // MARK: Conversions

    private mutating func convert(_ i: Operands, to target: Substring, from source: Substring) -> Outcome? {
        if i.name == "fcvtmod.w.d" {
            let outcome = FloatFormat.double.reference.truncatedModulo32(f[i.rs1])
            flags |= outcome.flags.rawValue
            write(i.rd, outcome.bits)
            return .retired
        }
        switch (Self.format(target), Self.format(source)) {
        case (let to?, let from?):
            return rounded(i, to) { [a = operand(i.rs1, from)] _ in from.convert(a, to: to) }
        case (nil, let from?):
            let a = operand(i.rs1, from)
            switch target {
            case "w": return roundedToInteger(i, from.toInteger(a, minimum: Int64(Int32.min), maximum: UInt64(Int32.max)), width: 32)
            case "wu": return roundedToInteger(i, from.toInteger(a, minimum: 0, maximum: UInt64(UInt32.max)), width: 32)
            case "l": return roundedToInteger(i, from.toInteger(a, minimum: .min, maximum: UInt64(Int64.max)), width: 64)
            default: return roundedToInteger(i, from.toInteger(a, minimum: 0, maximum: .max), width: 64)
            }
        case (let to?, nil):
            let width = source.hasPrefix("w") ? 32 : 64
            let value = source.hasSuffix("u") ? Self.unsigned(x[i.rs1], width) : Self.signed(x[i.rs1], width)
            return rounded(i, to) { _ in to.fromInteger(magnitude: UInt64(value.magnitude), negative: value < 0) }
        default: return nil
        }
    }

    /// Bits pass unchanged, boxed or sign-extended.
    private mutating func move(_ i: Operands, to target: Substring, from source: Substring) -> Outcome? {
        let widths: [Substring: Int] = ["h": 16, "w": 32, "d": 64]
        if target == "x", let width = widths[source] {
            write(i.rd, Self.wrapped(Self.signed(f[i.rs1], width)))
        } else if source == "x", let width = widths[target] {
            f[i.rd] = width == 64 ? x[i.rs1] : x[i.rs1] | .max << UInt64(width)
        } else {
            return nil
        }
        return .retired
    }

    // MARK: Comparisons

    private func isNaN(_ a: UInt64, _ format: FloatReference) -> Bool { if case .nan = format.value(a) { true } else { false } }

    private func isSignalling(_ a: UInt64, _ format: FloatReference) -> Bool { if case .nan(true) = format.value(a) { true } else { false } }

    /// The smaller or larger one; −0 is less than +0.
    private mutating func extreme(_ a: UInt64, _ b: UInt64, _ format: FloatReference, wantsLess: Bool, passesNaN: Bool) -> UInt64 {
        if isSignalling(a, format) || isSignalling(b, format) { flags |= FloatFlags.invalid.rawValue }
        guard let order = format.order(a, b) else {
            if passesNaN || isNaN(a, format) && isNaN(b, format) { return format.quietNaN }
            return isNaN(a, format) ? b : a
        }
        let isLess = order < 0 || order == 0 && format.isNegative(a)
        return isLess == wantsLess ? a : b
    }

    /// −∞, negative normal, negative subnormal, −0, +0, positive subnormal, positive normal, +∞, signalling NaN, quiet NaN.
    private func classNumber(_ a: UInt64, _ format: FloatReference) -> UInt64 {
        switch format.value(a) {
        case .nan(let signalling): return signalling ? 8 : 9
        case .infinity: return format.isNegative(a) ? 0 : 7
        case .zero: return format.isNegative(a) ? 3 : 4
        case .finite:
            let isSubnormal = a & ~format.signBit < 1 << UInt64(format.fractionBits)
            return format.isNegative(a) ? (isSubnormal ? 2 : 1) : (isSubnormal ? 5 : 6)
        }
    }
}
