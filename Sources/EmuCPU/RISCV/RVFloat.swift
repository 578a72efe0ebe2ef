// What the floating-point instructions of all formats share. The rows of each extension are in RVF, RVD, RVZfh and RVZfa.

import EmuIR

extension RVOp {
    /// An operation of F, D, Zfh, Zfbfmin or Zfa.
    @inline(__always)
    var isFloatingPoint: Bool { rawValue &- RVOp.flw.rawValue <= RVOp.fcvtmod_w_d.rawValue - RVOp.flw.rawValue }
}

extension RVProcessor {
    /// Executes a floating-point instruction other than a load or store.
    /// - Returns: false if it raised a trap.
    package func executeFloat(_ op: RVOp, _ r: DecodedOp) -> Bool {
        if h.pointee.mstatus & RVStatus.fs == 0 { return illegal(r) }
        // The opcodes of an extension are consecutive in RVOp, which declares F, D, Zfh, Zfbfmin and Zfa in this order.
        if op.rawValue <= RVOp.fmv_w_x.rawValue { return executeF(op, r) }
        if op.rawValue <= RVOp.fcvt_d_s.rawValue { return executeD(op, r) }
        if op.rawValue <= RVOp.fcvt_h_d.rawValue { return executeZfh(op, r) }
        if op.rawValue <= RVOp.fcvt_s_bf16.rawValue { return executeZfbfmin(op, r) }
        return executeZfa(op, r)
    }

    /// The rounding mode of the instruction; nil if it, or the dynamic mode it asks for, is reserved.
    @inline(__always)
    private func roundingMode(_ r: DecodedOp) -> RoundingMode? {
        RoundingMode(rawValue: r.imm == 7 ? h.pointee.frm : UInt8(truncatingIfNeeded: r.imm))
    }

    @inline(__always)
    private var accruedFlags: FloatFlags { FloatFlags(rawValue: h.pointee.fflags) }

    /// An f register as an operand: the canonical NaN unless the value is properly NaN-boxed.
    @inline(__always)
    private func operand<F: SoftFormat>(_ format: F.Type, _ register: UInt8) -> UInt64 { F.unboxed(f[Int(register)]) }

    /// Writes an f register and the accrued flags, and so makes the floating-point state dirty.
    @inline(__always)
    private func finish<F: SoftFormat>(_ format: F.Type, _ r: DecodedOp, _ result: UInt64, _ flags: FloatFlags) -> Bool {
        f[Int(r.rd)] = F.boxed(result)
        h.pointee.fflags = flags.rawValue
        h.pointee.mstatus |= RVStatus.fs
        return true
    }

    /// Writes an integer register and the accrued flags; the floating-point state becomes dirty if a flag did.
    @inline(__always)
    private func finish(_ r: DecodedOp, _ result: UInt64, _ flags: FloatFlags) -> Bool {
        x[Int(r.rd)] = result
        if flags.rawValue != h.pointee.fflags {
            h.pointee.fflags = flags.rawValue
            h.pointee.mstatus |= RVStatus.fs
        }
        return true
    }

    // MARK: Shapes of instructions

    typealias RoundedUnary = (UInt64, RoundingMode, inout FloatFlags) -> UInt64
    typealias RoundedBinary = (UInt64, UInt64, RoundingMode, inout FloatFlags) -> UInt64

    /// rd = operation(rs1), rounded.
    @inline(__always)
    func floatUnary<F: SoftFormat>(_ format: F.Type, _ r: DecodedOp, _ operation: RoundedUnary) -> Bool {
        floatConvert(format, from: format, r, operation)
    }

    /// rd = operation(rs1), rounded, from one format to another.
    @inline(__always)
    func floatConvert<F: SoftFormat, Source: SoftFormat>(
        _ format: F.Type, from source: Source.Type, _ r: DecodedOp, _ operation: RoundedUnary
    ) -> Bool {
        guard let mode = roundingMode(r) else { return illegal(r) }
        var flags = accruedFlags
        let result = operation(operand(source, r.rs1), mode, &flags)
        return finish(format, r, result, flags)
    }

    /// rd = operation(rs1, rs2), rounded.
    @inline(__always)
    func floatBinary<F: SoftFormat>(_ format: F.Type, _ r: DecodedOp, _ operation: RoundedBinary) -> Bool {
        guard let mode = roundingMode(r) else { return illegal(r) }
        var flags = accruedFlags
        let result = operation(operand(format, r.rs1), operand(format, r.rs2), mode, &flags)
        return finish(format, r, result, flags)
    }

    /// rd = ±(rs1 × rs2) ± rs3, rounded once.
    @inline(__always)
    func floatMultiplyAdd<F: SoftFormat>(
        _ format: F.Type, _ r: DecodedOp, negatingProduct: Bool, negatingAddend: Bool
    ) -> Bool {
        guard let mode = roundingMode(r) else { return illegal(r) }
        var flags = accruedFlags
        let a = operand(format, r.rs1)
        let c = operand(format, r.rs3)
        let result = F.multiplyAdd(
            negatingProduct ? F.negate(a) : a, operand(format, r.rs2), negatingAddend ? F.negate(c) : c, mode, &flags)
        return finish(format, r, result, flags)
    }

    /// rd = operation(rs1, rs2) without rounding.
    @inline(__always)
    func floatSelect<F: SoftFormat>(
        _ format: F.Type, _ r: DecodedOp, _ operation: (UInt64, UInt64, inout FloatFlags) -> UInt64
    ) -> Bool {
        var flags = accruedFlags
        let result = operation(operand(format, r.rs1), operand(format, r.rs2), &flags)
        return finish(format, r, result, flags)
    }

    /// Sign injection: no flags.
    @inline(__always)
    func floatSign<F: SoftFormat>(_ format: F.Type, _ r: DecodedOp, _ operation: (UInt64, UInt64) -> UInt64) -> Bool {
        finish(format, r, operation(operand(format, r.rs1), operand(format, r.rs2)), accruedFlags)
    }

    /// Integer rd = relation(rs1, rs2).
    @inline(__always)
    func floatCompare<F: SoftFormat>(
        _ format: F.Type, _ r: DecodedOp, _ relation: (UInt64, UInt64, inout FloatFlags) -> Bool
    ) -> Bool {
        var flags = accruedFlags
        let holds = relation(operand(format, r.rs1), operand(format, r.rs2), &flags)
        return finish(r, holds ? 1 : 0, flags)
    }

    /// Integer rd = class mask of rs1.
    @inline(__always)
    func floatClassify<F: SoftFormat>(_ format: F.Type, _ r: DecodedOp) -> Bool {
        finish(r, F.classify(operand(format, r.rs1)), accruedFlags)
    }

    /// Integer rd = rs1 rounded; 32-bit results, unsigned ones too, are sign-extended.
    @inline(__always)
    func floatToInteger<F: SoftFormat, Integer: FixedWidthInteger>(
        _ format: F.Type, _ r: DecodedOp, as type: Integer.Type
    ) -> Bool {
        guard let mode = roundingMode(r) else { return illegal(r) }
        var flags = accruedFlags
        let result = F.toInteger(operand(format, r.rs1), as: type, mode, &flags)
        let extended = Integer.bitWidth == 32 ? Int64(Int32(truncatingIfNeeded: result)) : Int64(truncatingIfNeeded: result)
        return finish(r, UInt64(bitPattern: extended), flags)
    }

    /// rd = integer rs1, read as `Integer`, rounded.
    @inline(__always)
    func floatFromInteger<F: SoftFormat, Integer: FixedWidthInteger>(
        _ format: F.Type, _ r: DecodedOp, as type: Integer.Type
    ) -> Bool {
        guard let mode = roundingMode(r) else { return illegal(r) }
        var flags = accruedFlags
        let value = Integer(truncatingIfNeeded: x[Int(r.rs1)])
        let result = F.fromInteger(magnitude: UInt64(truncatingIfNeeded: value.magnitude), negative: value < 0, mode, &flags)
        return finish(format, r, result, flags)
    }

    /// Integer rd = bits moved from an f register as they are.
    @inline(__always)
    func moveToInteger(_ r: DecodedOp, _ bits: UInt64) -> Bool {
        x[Int(r.rd)] = bits
        return true
    }

    /// f register rd = the low bits, NaN-boxed; no flags.
    @inline(__always)
    func floatLoadBits<F: SoftFormat>(_ format: F.Type, _ r: DecodedOp, _ bits: UInt64) -> Bool {
        finish(format, r, bits & ~F.box, accruedFlags)
    }

    /// Integer rd = `fcvtmod.w.d` of rs1.
    @inline(__always)
    func floatToIntegerModulo32(_ r: DecodedOp) -> Bool {
        var flags = accruedFlags
        let result = Binary64.toIntegerModulo32(operand(Binary64.self, r.rs1), &flags)
        return finish(r, UInt64(bitPattern: Int64(result)), flags)
    }
}

extension RVTranslator {
    /// The rm field for "as `frm` says".
    static let dynamicRounding: Int32 = 7
    /// The rm field for rounding towards zero.
    static let roundTowardsZero: Int32 = 1

    // Results for x0 are computed all the same, for their flags.

    /// fd = memory[rs1 + immediate].
    mutating func loadFloat(_ op: Opcode, _ r: DecodedOp) {
        guardFloat()
        emit(op, .float(r.rd), source(r.rs1), displacement: r.imm)
    }

    /// memory[rs1 + immediate] = fs2.
    mutating func storeFloat(_ op: Opcode, _ r: DecodedOp) {
        guardFloat()
        emit(op, .none, source(r.rs1), .float(r.rs2), displacement: r.imm)
    }

    /// fd = fs1 op fs2, no rounding.
    mutating func floatBinary(_ op: Opcode, _ r: DecodedOp) {
        guardFloat()
        emit(op, .float(r.rd), .float(r.rs1), .float(r.rs2))
    }

    /// rd = relation(fs1, fs2).
    mutating func floatCompare(_ op: Opcode, _ r: DecodedOp) {
        guardFloat()
        emit(op, destination(r.rd), .float(r.rs1), .float(r.rs2))
    }

    /// fd = fs1 op fs2, rounded.
    mutating func roundedBinary(_ op: Opcode, _ r: DecodedOp) {
        r.imm == Self.dynamicRounding ? floatBinary(op, r) : interpret()
    }

    /// fd = ±(fs1 × fs2) ± fs3, rounded once.
    mutating func roundedFused(_ op: Opcode, _ r: DecodedOp) {
        if r.imm != Self.dynamicRounding { return interpret() }
        guardFloat()
        emit(op, .float(r.rd), .float(r.rs1), .float(r.rs2), .float(r.rs3))
    }

    /// fd = op fs1, rounded.
    mutating func roundedUnary(_ op: Opcode, _ r: DecodedOp) {
        if r.imm != Self.dynamicRounding { return interpret() }
        guardFloat()
        emit(op, .float(r.rd), .float(r.rs1))
    }

    /// fd = integer rs1, rounded.
    mutating func roundedFromInteger(_ op: Opcode, _ r: DecodedOp) {
        if r.imm != Self.dynamicRounding { return interpret() }
        guardFloat()
        emit(op, .float(r.rd), source(r.rs1))
    }

    /// fd = op operand, which is exact in every mode; the reserved ones still trap.
    mutating func exact(_ op: Opcode, _ r: DecodedOp, _ operand: Operand) {
        if RoundingMode(rawValue: UInt8(truncatingIfNeeded: r.imm)) == nil && r.imm != Self.dynamicRounding { return interpret() }
        guardFloat()
        emit(op, .float(r.rd), operand)
    }

    /// Integer rd = fs1, rounded dynamically or towards zero, as C does.
    mutating func roundedToInteger(_ dynamic: Opcode, towardsZero: Opcode, _ r: DecodedOp) {
        guard r.imm == Self.dynamicRounding || r.imm == Self.roundTowardsZero else { return interpret() }
        guardFloat()
        emit(r.imm == Self.dynamicRounding ? dynamic : towardsZero, destination(r.rd), .float(r.rs1))
    }

    /// rd = bits of fs1.
    mutating func bitsToInteger(_ op: Opcode, _ r: DecodedOp) {
        guardFloat()
        if !Self.isDiscarded(r.rd) { emit(op, .integer(r.rd), .float(r.rs1)) }
    }

    /// fd = bits of rs1.
    mutating func bitsToFloat(_ op: Opcode, _ r: DecodedOp) {
        guardFloat()
        emit(op, .float(r.rd), source(r.rs1))
    }
}
