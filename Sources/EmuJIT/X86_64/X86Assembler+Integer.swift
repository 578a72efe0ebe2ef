/// Two-operand arithmetic; the raw value is its encoding.
public enum X86ALU: UInt8, CaseIterable, Sendable {
    case add, or, adc, sbb, and, sub, xor, cmp
}

/// One-operand arithmetic; the raw value is its opcode digit.
///
/// `mul` and `imul` multiply by al/ax/eax/rax and leave the double-width product in ax, dx:ax, edx:eax or rdx:rax; `div` and `idiv` divide
/// these and leave the quotient in the lower and the remainder in the upper half.
public enum X86Unary: UInt8, CaseIterable, Sendable {
    case not = 2, neg, mul, imul, div, idiv
}

/// Shifts and rotations; the raw value is the opcode digit.
public enum X86Shift: UInt8, CaseIterable, Sendable {
    case rol = 0, ror = 1, shl = 4, shr = 5, sar = 7
}

/// Bit tests, which leave the bit in the carry flag; the raw value is the opcode digit.
public enum X86BitTest: UInt8, CaseIterable, Sendable {
    case bt = 4, bts, btr, btc
}

extension X86Assembler {
    // MARK: Moves

    public mutating func mov(_ destination: X86Register, _ source: X86Register, _ width: X86Width = .quad) {
        emitSized(0x88, source, destination.encoding, width)
    }

    public mutating func mov(_ destination: X86Register, _ source: X86Memory, _ width: X86Width = .quad) {
        emitSized(0x8a, destination, source.encoding, width)
    }

    public mutating func mov(_ destination: X86Memory, _ source: X86Register, _ width: X86Width = .quad) {
        emitSized(0x88, source, destination.encoding, width)
    }

    /// Sets all 64 bits by the shortest `mov`; flags stay as they are. (`alu(.xor, r, r, .long)` is shorter for zero and changes them.)
    public mutating func mov(_ destination: X86Register, immediate: Int64) {
        reserve()
        let high = destination.rawValue &>> 3
        let low = destination.rawValue & 7
        if let value = UInt32(exactly: immediate) {
            if high != 0 { put8(0x41) }
            put8(0xb8 | low)
            put32(value)
        } else if let value = Int32(exactly: immediate) {
            put8(0x48 | high)
            put8(0xc7)
            put8(0xc0 | low)
            put32(UInt32(bitPattern: value))
        } else {
            put8(0x48 | high)
            put8(0xb8 | low)
            put64(UInt64(bitPattern: immediate))
        }
    }

    /// - Parameter immediate: sign-extended for `quad`, its lower bits for `byte` and `word`.
    public mutating func mov(_ destination: X86Memory, immediate: Int32, _ width: X86Width = .quad) {
        emitSized(0xc6, reg: 0, rm: destination.encoding, width)
        putImmediate(immediate, width)
    }

    /// Zero-extends the lower `width` bits to 64.
    public mutating func movzx(_ destination: X86Register, _ source: some X86IntegerOperand, from width: X86Width) {
        let source = source.encoding
        switch width {
        case .byte: emit(0xb6, map: .of, rex: Self.byteRex(source), reg: destination.rawValue, rm: source)
        case .word: emit(0xb7, map: .of, reg: destination.rawValue, rm: source)
        case .long: emit(0x8b, reg: destination.rawValue, rm: source)
        case .quad: preconditionFailure("movzx from 64 bits")
        }
    }

    /// Sign-extends the lower `width` bits to 64, or to 32 (and zeroes above) with `to: .long`.
    public mutating func movsx(
        _ destination: X86Register, _ source: some X86IntegerOperand, from width: X86Width, to result: X86Width = .quad
    ) {
        precondition(result.rawValue >= X86Width.long.rawValue && width.rawValue < result.rawValue)
        let source = source.encoding
        let rex = result == .quad ? Self.rexW : 0
        switch width {
        case .byte: emit(0xbe, map: .of, rex: rex | Self.byteRex(source), reg: destination.rawValue, rm: source)
        case .word: emit(0xbf, map: .of, rex: rex, reg: destination.rawValue, rm: source)
        case .long, .quad: emit(0x63, rex: rex, reg: destination.rawValue, rm: source)
        }
    }

    public mutating func lea(_ destination: X86Register, _ source: X86Memory, _ width: X86Width = .quad) {
        emitWide(0x8d, destination, source.encoding, width)
    }

    /// The run-time address of a label.
    public mutating func lea(_ destination: X86Register, _ label: X86Label) {
        reserve()
        put8(0x48 | (destination.rawValue &>> 3) &<< 2)
        put8(0x8d)
        put8((destination.rawValue & 7) &<< 3 | 5)
        putDisplacement(to: label)
    }

    public mutating func cmov(
        _ condition: X86Condition, _ destination: X86Register, _ source: some X86IntegerOperand, _ width: X86Width = .quad
    ) {
        emitWide(0x40 | condition.rawValue, map: .of, destination, source.encoding, width)
    }

    /// Sets the lowest byte to 1 or 0; the rest of a register stays as it was.
    public mutating func set(_ condition: X86Condition, _ destination: some X86IntegerOperand) {
        let destination = destination.encoding
        emit(0x90 | condition.rawValue, map: .of, rex: Self.byteRex(destination), reg: 0, rm: destination)
    }

    public mutating func bswap(_ register: X86Register, _ width: X86Width = .quad) {
        precondition(width.rawValue >= X86Width.long.rawValue)
        reserve()
        let rex = (width == .quad ? Self.rexW : 0) | register.rawValue &>> 3
        if rex != 0 { put8(0x40 | rex) }
        put8(0x0f)
        put8(0xc8 | register.rawValue & 7)
    }

    public mutating func push(_ register: X86Register) {
        reserve()
        if register.rawValue >= 8 { put8(0x41) }
        put8(0x50 | register.rawValue & 7)
    }

    public mutating func pop(_ register: X86Register) {
        reserve()
        if register.rawValue >= 8 { put8(0x41) }
        put8(0x58 | register.rawValue & 7)
    }

    // MARK: Arithmetic

    public mutating func alu(
        _ operation: X86ALU, _ destination: X86Register, _ source: some X86IntegerOperand, _ width: X86Width = .quad
    ) {
        emitSized(operation.rawValue &<< 3 | 2, destination, source.encoding, width)
    }

    public mutating func alu(_ operation: X86ALU, _ destination: X86Memory, _ source: X86Register, _ width: X86Width = .quad) {
        emitSized(operation.rawValue &<< 3, source, destination.encoding, width)
    }

    /// - Parameter immediate: sign-extended for `quad`, its lower bits for `byte` and `word`.
    public mutating func alu(
        _ operation: X86ALU, _ destination: some X86IntegerOperand, immediate: Int32, _ width: X86Width = .quad
    ) {
        let destination = destination.encoding
        let value = width == .word ? Int32(Int16(truncatingIfNeeded: immediate)) : immediate
        if width != .byte, let short = Int8(exactly: value) {
            emitWide(0x83, reg: operation.rawValue, rm: destination, width)
            put8(UInt8(bitPattern: short))
        } else if case .register(0) = destination {
            putAccumulator(operation.rawValue &<< 3 | 4, width)
            putImmediate(immediate, width)
        } else {
            emitSized(0x80, reg: operation.rawValue, rm: destination, width)
            putImmediate(immediate, width)
        }
    }

    public mutating func test(_ first: some X86IntegerOperand, _ second: X86Register, _ width: X86Width = .quad) {
        emitSized(0x84, second, first.encoding, width)
    }

    /// - Parameter immediate: sign-extended for `quad`, its lower bits for `byte` and `word`.
    public mutating func test(_ first: some X86IntegerOperand, immediate: Int32, _ width: X86Width = .quad) {
        let first = first.encoding
        if case .register(0) = first {
            putAccumulator(0xa8, width)
        } else {
            emitSized(0xf6, reg: 0, rm: first, width)
        }
        putImmediate(immediate, width)
    }

    /// The form for al, ax, eax or rax and an immediate, which has no ModR/M byte; `opcode` is that for al.
    private mutating func putAccumulator(_ opcode: UInt8, _ width: X86Width) {
        reserve()
        switch width {
        case .byte: put8(opcode)
        case .word:
            put8(0x66)
            put8(opcode | 1)
        case .long: put8(opcode | 1)
        case .quad:
            put8(0x48)
            put8(opcode | 1)
        }
    }

    public mutating func unary(_ operation: X86Unary, _ operand: some X86IntegerOperand, _ width: X86Width = .quad) {
        emitSized(0xf6, reg: operation.rawValue, rm: operand.encoding, width)
    }

    public mutating func imul(_ destination: X86Register, _ source: some X86IntegerOperand, _ width: X86Width = .quad) {
        emitWide(0xaf, map: .of, destination, source.encoding, width)
    }

    /// `destination = source * immediate`.
    public mutating func imul(
        _ destination: X86Register, _ source: some X86IntegerOperand, immediate: Int32, _ width: X86Width = .quad
    ) {
        if let short = Int8(exactly: immediate) {
            emitWide(0x6b, destination, source.encoding, width)
            put8(UInt8(bitPattern: short))
        } else {
            emitWide(0x69, destination, source.encoding, width)
            putImmediate(immediate, width)
        }
    }

    /// Sign of rax into all of rdx, ahead of a 64-bit `idiv`.
    public mutating func cqo() {
        reserve()
        put16(0x9948)
    }

    /// Sign of eax into all of edx, ahead of a 32-bit `idiv`.
    public mutating func cdq() {
        reserve()
        put8(0x99)
    }

    // MARK: Shifts and bits

    /// - Parameter count: taken modulo 64 for `quad`, 32 otherwise; flags stay as they are when it is 0.
    public mutating func shift(_ operation: X86Shift, _ operand: some X86IntegerOperand, by count: UInt8, _ width: X86Width = .quad) {
        if count == 1 {
            emitSized(0xd0, reg: operation.rawValue, rm: operand.encoding, width)
        } else {
            emitSized(0xc0, reg: operation.rawValue, rm: operand.encoding, width)
            put8(count)
        }
    }

    /// The count is cl, taken modulo 64 for `quad`, 32 otherwise.
    public mutating func shiftByCL(_ operation: X86Shift, _ operand: some X86IntegerOperand, _ width: X86Width = .quad) {
        emitSized(0xd2, reg: operation.rawValue, rm: operand.encoding, width)
    }

    public mutating func bitTest(_ operation: X86BitTest, _ operand: X86Register, _ bit: X86Register, _ width: X86Width = .quad) {
        emitWide(0x83 &+ operation.rawValue &<< 3, map: .of, bit, operand.encoding, width)
    }

    public mutating func bitTest(
        _ operation: X86BitTest, _ operand: some X86IntegerOperand, bit: UInt8, _ width: X86Width = .quad
    ) {
        emitWide(0xba, map: .of, reg: operation.rawValue, rm: operand.encoding, width)
        put8(bit)
    }

    /// Leading zeroes, the width for zero. Needs LZCNT.
    public mutating func lzcnt(_ destination: X86Register, _ source: some X86IntegerOperand, _ width: X86Width = .quad) {
        emitCount(0xbd, destination, source.encoding, width)
    }

    /// Trailing zeroes, the width for zero. Needs BMI1.
    public mutating func tzcnt(_ destination: X86Register, _ source: some X86IntegerOperand, _ width: X86Width = .quad) {
        emitCount(0xbc, destination, source.encoding, width)
    }

    /// Bits that are set. Needs POPCNT.
    public mutating func popcnt(_ destination: X86Register, _ source: some X86IntegerOperand, _ width: X86Width = .quad) {
        emitCount(0xb8, destination, source.encoding, width)
    }

    private mutating func emitCount(_ opcode: UInt8, _ destination: X86Register, _ source: X86OperandEncoding, _ width: X86Width) {
        precondition(width.rawValue >= X86Width.long.rawValue)
        emit(opcode, map: .of, prefix: 0xf3, rex: width == .quad ? Self.rexW : 0, reg: destination.rawValue, rm: source)
    }

    // MARK: BMI1 and BMI2. None of the shifts and multiplications changes flags.

    /// `destination = source << count`. Needs BMI2.
    public mutating func shlx(
        _ destination: X86Register, _ source: some X86IntegerOperand, _ count: X86Register, _ width: X86Width = .quad
    ) {
        emitBMI(0xf7, prefix: 0x66, destination.rawValue, count, source.encoding, width)
    }

    /// `destination = source >> count`, filled with zeroes. Needs BMI2.
    public mutating func shrx(
        _ destination: X86Register, _ source: some X86IntegerOperand, _ count: X86Register, _ width: X86Width = .quad
    ) {
        emitBMI(0xf7, prefix: 0xf2, destination.rawValue, count, source.encoding, width)
    }

    /// `destination = source >> count`, filled with the sign. Needs BMI2.
    public mutating func sarx(
        _ destination: X86Register, _ source: some X86IntegerOperand, _ count: X86Register, _ width: X86Width = .quad
    ) {
        emitBMI(0xf7, prefix: 0xf3, destination.rawValue, count, source.encoding, width)
    }

    /// `destination` = `source` rotated right. Needs BMI2.
    public mutating func rorx(
        _ destination: X86Register, _ source: some X86IntegerOperand, by count: UInt8, _ width: X86Width = .quad
    ) {
        precondition(width.rawValue >= X86Width.long.rawValue)
        emitVEX(
            0xf0, map: .of3a, prefix: 0xf2, wide: width == .quad, reg: destination.rawValue, second: 0, rm: source.encoding)
        put8(count)
    }

    /// `destination = ~inverted & source`. Needs BMI1.
    public mutating func andn(
        _ destination: X86Register, _ inverted: X86Register, _ source: some X86IntegerOperand, _ width: X86Width = .quad
    ) {
        emitBMI(0xf2, prefix: 0, destination.rawValue, inverted, source.encoding, width)
    }

    /// `source` without its lowest set bit. Needs BMI1.
    public mutating func blsr(_ destination: X86Register, _ source: some X86IntegerOperand, _ width: X86Width = .quad) {
        emitBMI(0xf3, prefix: 0, 1, destination, source.encoding, width)
    }

    /// The bits of `source` from bit `control[7:0]`, `control[15:8]` many. Needs BMI1.
    public mutating func bextr(
        _ destination: X86Register, _ source: some X86IntegerOperand, _ control: X86Register, _ width: X86Width = .quad
    ) {
        emitBMI(0xf7, prefix: 0, destination.rawValue, control, source.encoding, width)
    }

    /// The bits of `source` below bit `count[7:0]`, all of them if that is beyond the width. Needs BMI2.
    public mutating func bzhi(
        _ destination: X86Register, _ source: some X86IntegerOperand, _ count: X86Register, _ width: X86Width = .quad
    ) {
        emitBMI(0xf5, prefix: 0, destination.rawValue, count, source.encoding, width)
    }

    /// `high:low` = rdx * source, unsigned. Needs BMI2.
    public mutating func mulx(
        high: X86Register, low: X86Register, _ source: some X86IntegerOperand, _ width: X86Width = .quad
    ) {
        emitBMI(0xf6, prefix: 0xf2, high.rawValue, low, source.encoding, width)
    }

    /// Scatters the lower bits of `source` to the set bits of `mask`. Needs BMI2.
    public mutating func pdep(
        _ destination: X86Register, _ source: X86Register, _ mask: some X86IntegerOperand, _ width: X86Width = .quad
    ) {
        emitBMI(0xf5, prefix: 0xf2, destination.rawValue, source, mask.encoding, width)
    }

    /// Gathers the bits of `source` at the set bits of `mask`. Needs BMI2.
    public mutating func pext(
        _ destination: X86Register, _ source: X86Register, _ mask: some X86IntegerOperand, _ width: X86Width = .quad
    ) {
        emitBMI(0xf5, prefix: 0xf3, destination.rawValue, source, mask.encoding, width)
    }

    private mutating func emitBMI(
        _ opcode: UInt8, prefix: UInt8, _ reg: UInt8, _ second: X86Register, _ rm: X86OperandEncoding, _ width: X86Width
    ) {
        precondition(width.rawValue >= X86Width.long.rawValue)
        emitVEX(opcode, map: .of38, prefix: prefix, wide: width == .quad, reg: reg, second: second.rawValue, rm: rm)
    }

    // MARK: Atomics

    /// Exchanges; with memory atomically, with no prefix needed.
    public mutating func xchg(_ first: some X86IntegerOperand, _ second: X86Register, _ width: X86Width = .quad) {
        emitSized(0x86, second, first.encoding, width)
    }

    /// `lock xadd`: adds the register to memory and leaves the old value in the register.
    public mutating func lockXadd(_ memory: X86Memory, _ register: X86Register, _ width: X86Width = .quad) {
        putLock()
        emitSized(0xc0, map: .of, register, memory.encoding, width)
    }

    /// `lock cmpxchg`: stores the register when memory equals al/ax/eax/rax (then ZF is set); else loads that with memory.
    public mutating func lockCmpxchg(_ memory: X86Memory, _ register: X86Register, _ width: X86Width = .quad) {
        putLock()
        emitSized(0xb0, map: .of, register, memory.encoding, width)
    }

    /// `lock add` and the like; `cmp` has no such form.
    public mutating func lockALU(_ operation: X86ALU, _ memory: X86Memory, _ register: X86Register, _ width: X86Width = .quad) {
        precondition(operation != .cmp)
        putLock()
        alu(operation, memory, register, width)
    }

    private mutating func putLock() {
        reserve()
        put8(0xf0)
    }

    public mutating func mfence() {
        reserve()
        put8(0x0f)
        put16(0xf0ae)
    }
}
