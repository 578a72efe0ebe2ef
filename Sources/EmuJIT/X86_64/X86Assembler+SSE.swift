/// Scalar floating-point arithmetic; the raw value is its opcode.
///
/// `min` and `max` return the second operand when either is a NaN or both are zero.
public enum X86Scalar: UInt8, CaseIterable, Sendable {
    case sqrt = 0x51, add = 0x58, mul, sub = 0x5c, min, div, max
}

/// Bitwise logic on 128 bits; the raw value is the opcode. `andn` is `~first & second`.
public enum X86FloatLogic: UInt8, CaseIterable, Sendable {
    case and = 0x54, andn, or, xor
}

/// The fused operations; the raw value times 2 is their distance in opcodes.
public enum X86FMA: UInt8, CaseIterable, Sendable {
    /// `a * b + c`, `a * b - c`, `-(a * b) + c`, `-(a * b) - c`.
    case madd, msub, nmadd, nmsub
}

/// Which operands of a fused operation are multiplied and which is added; the raw value is the distance in opcodes from the first.
public enum X86FMAOrder: UInt8, CaseIterable, Sendable {
    /// First times third plus second.
    case o132 = 0x00
    /// Second times first plus third.
    case o213 = 0x10
    /// Second times third plus first.
    case o231 = 0x20
}

extension X86Float {
    /// The mandatory prefix of scalar instructions.
    fileprivate var prefix: UInt8 { self == .double ? 0xf2 : 0xf3 }
    /// The mandatory prefix of instructions that share their opcode with packed ones.
    fileprivate var packedPrefix: UInt8 { self == .double ? 0x66 : 0 }
}

/// All in VEX encoding: the legacy one keeps the upper half of the destination, for which the host waits for whatever wrote it.
extension X86Assembler {
    // MARK: Moves

    /// 64 bits; clears the rest.
    public mutating func movq(_ destination: XMMRegister, _ source: X86Register) {
        emitVEX(0x6e, map: .of, prefix: 0x66, wide: true, reg: destination.number, rm: source.encoding)
    }

    public mutating func movq(_ destination: X86Register, _ source: XMMRegister) {
        emitVEX(0x7e, map: .of, prefix: 0x66, wide: true, reg: source.number, rm: destination.encoding)
    }

    /// 64 bits from a vector register or memory; clears the rest.
    public mutating func movq(_ destination: XMMRegister, _ source: some X86VectorOperand) {
        emitVEX(0x7e, map: .of, prefix: 0xf3, wide: false, reg: destination.number, rm: source.encoding)
    }

    public mutating func movq(_ destination: X86Memory, _ source: XMMRegister) {
        emitVEX(0xd6, map: .of, prefix: 0x66, wide: false, reg: source.number, rm: destination.encoding)
    }

    /// 32 bits; clears the rest.
    public mutating func movd(_ destination: XMMRegister, _ source: X86Register) {
        emitVEX(0x6e, map: .of, prefix: 0x66, wide: false, reg: destination.number, rm: source.encoding)
    }

    /// 32 bits; clears the upper half.
    public mutating func movd(_ destination: X86Register, _ source: XMMRegister) {
        emitVEX(0x7e, map: .of, prefix: 0x66, wide: false, reg: source.number, rm: destination.encoding)
    }

    /// movss or movsd: loads and clears the rest.
    public mutating func movs(_ format: X86Float, _ destination: XMMRegister, _ source: X86Memory) {
        emitVEX(0x10, map: .of, prefix: format.prefix, wide: false, reg: destination.number, rm: source.encoding)
    }

    /// movss or movsd: stores.
    public mutating func movs(_ format: X86Float, _ destination: X86Memory, _ source: XMMRegister) {
        emitVEX(0x11, map: .of, prefix: format.prefix, wide: false, reg: source.number, rm: destination.encoding)
    }

    /// All 128 bits.
    public mutating func movaps(_ destination: XMMRegister, _ source: XMMRegister) {
        emitVEX(0x28, map: .of, prefix: 0, wide: false, reg: destination.number, rm: source.encoding)
    }

    // MARK: Arithmetic

    /// `destination = first op second`, for `sqrt` of `second` alone; the upper bits come from `first`.
    public mutating func scalar(
        _ operation: X86Scalar, _ format: X86Float, _ destination: XMMRegister, _ first: XMMRegister,
        _ second: some X86VectorOperand
    ) {
        emitVEX(
            operation.rawValue, map: .of, prefix: format.prefix, wide: false, reg: destination.number, second: first.number,
            rm: second.encoding)
    }

    /// A fused multiply-add into `first`; see `X86FMAOrder` for what is multiplied. Needs FMA.
    public mutating func fma(
        _ operation: X86FMA, _ order: X86FMAOrder, _ format: X86Float, _ first: XMMRegister, _ second: XMMRegister,
        _ third: some X86VectorOperand
    ) {
        emitVEX(
            0x99 &+ order.rawValue &+ operation.rawValue &<< 1, map: .of38, prefix: 0x66, wide: format == .double,
            reg: first.number, second: second.number, rm: third.encoding)
    }

    /// Compares: ZF, PF, CF = 111 unordered, 000 greater, 001 less, 100 equal. Only signalling NaNs are invalid.
    public mutating func ucomis(_ format: X86Float, _ first: XMMRegister, _ second: some X86VectorOperand) {
        emitVEX(0x2e, map: .of, prefix: format.packedPrefix, wide: false, reg: first.number, rm: second.encoding)
    }

    /// Compares as `ucomis`; every NaN is invalid.
    public mutating func comis(_ format: X86Float, _ first: XMMRegister, _ second: some X86VectorOperand) {
        emitVEX(0x2f, map: .of, prefix: format.packedPrefix, wide: false, reg: first.number, rm: second.encoding)
    }

    // MARK: Conversions

    /// Signed integer to floating point; the upper bits come from `upper`.
    public mutating func cvtsi2s(
        _ format: X86Float, _ destination: XMMRegister, upper: XMMRegister, _ source: some X86IntegerOperand, _ width: X86Width = .quad
    ) {
        emitConversion(0x2a, format, destination.number, upper.number, source.encoding, width)
    }

    /// Floating point to signed integer by the rounding of MXCSR; out of range gives the most negative integer.
    public mutating func cvts2si(
        _ format: X86Float, _ destination: X86Register, _ source: some X86VectorOperand, _ width: X86Width = .quad
    ) {
        emitConversion(0x2d, format, destination.rawValue, 0, source.encoding, width)
    }

    /// Floating point to signed integer toward zero; out of range gives the most negative integer.
    public mutating func cvtts2si(
        _ format: X86Float, _ destination: X86Register, _ source: some X86VectorOperand, _ width: X86Width = .quad
    ) {
        emitConversion(0x2c, format, destination.rawValue, 0, source.encoding, width)
    }

    private mutating func emitConversion(
        _ opcode: UInt8, _ format: X86Float, _ reg: UInt8, _ second: UInt8, _ rm: X86OperandEncoding, _ width: X86Width
    ) {
        precondition(width.rawValue >= X86Width.long.rawValue)
        emitVEX(opcode, map: .of, prefix: format.prefix, wide: width == .quad, reg: reg, second: second, rm: rm)
    }

    /// Double to single; the upper bits come from `upper`.
    public mutating func cvtsd2ss(_ destination: XMMRegister, upper: XMMRegister, _ source: some X86VectorOperand) {
        emitVEX(0x5a, map: .of, prefix: 0xf2, wide: false, reg: destination.number, second: upper.number, rm: source.encoding)
    }

    /// Single to double; the upper bits come from `upper`.
    public mutating func cvtss2sd(_ destination: XMMRegister, upper: XMMRegister, _ source: some X86VectorOperand) {
        emitVEX(0x5a, map: .of, prefix: 0xf3, wide: false, reg: destination.number, second: upper.number, rm: source.encoding)
    }

    // MARK: 128 bits

    /// `destination = first op second`; see `X86FloatLogic`.
    public mutating func logic(_ operation: X86FloatLogic, _ destination: XMMRegister, _ first: XMMRegister, _ second: some X86VectorOperand) {
        emitVEX(operation.rawValue, map: .of, prefix: 0, wide: false, reg: destination.number, second: first.number, rm: second.encoding)
    }

    // MARK: State

    public mutating func ldmxcsr(_ source: X86Memory) {
        emitVEX(0xae, map: .of, prefix: 0, wide: false, reg: 2, rm: source.encoding)
    }

    public mutating func stmxcsr(_ destination: X86Memory) {
        emitVEX(0xae, map: .of, prefix: 0, wide: false, reg: 3, rm: destination.encoding)
    }
}
