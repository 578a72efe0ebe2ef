extension X86Assembler {
    // MARK: Jumps inside the code

    /// Two bytes to a bound label nearby, five otherwise.
    public mutating func jmp(_ label: X86Label) {
        reserve()
        if let short = shortDisplacement(to: label) {
            put8(0xeb)
            put8(short)
        } else {
            put8(0xe9)
            putDisplacement(to: label)
        }
    }

    /// Two bytes to a bound label nearby, six otherwise.
    public mutating func jcc(_ condition: X86Condition, _ label: X86Label) {
        reserve()
        if let short = shortDisplacement(to: label) {
            put8(0x70 | condition.rawValue)
            put8(short)
        } else {
            put8(0x0f)
            put8(0x80 | condition.rawValue)
            putDisplacement(to: label)
        }
    }

    public mutating func call(_ label: X86Label) {
        reserve()
        put8(0xe8)
        putDisplacement(to: label)
    }

    /// The displacement of a two-byte jump assembled now, where it reaches.
    private func shortDisplacement(to label: X86Label) -> UInt8? {
        guard let target = offset(of: label), let displacement = Int8(exactly: target - (position + 2)) else { return nil }
        return UInt8(bitPattern: displacement)
    }

    // MARK: Jumps that are aimed anew later

    /// Like `jmp(_:)`, but always with a 32-bit displacement that can be replaced while the code is in use.
    ///
    /// The displacement never crosses a multiple of 8 bytes (nops come first where needed; code is placed at multiples of 16), so one
    /// 4-byte store replaces it at once for any processor fetching it: AMD64 guarantees it within aligned 8 bytes, Intel within a cache
    /// line.
    /// - Returns: offset of the displacement field. It counts from the end of the field: `target - (field + 4)`.
    public mutating func jmpPatchable(_ label: X86Label) -> Int {
        alignField(after: 1)
        reserve()
        put8(0xe9)
        putDisplacement(to: label)
        return position - 4
    }

    /// Like `jcc(_:_:)`, as `jmpPatchable(_:)`. The nops keep flags.
    public mutating func jccPatchable(_ condition: X86Condition, _ label: X86Label) -> Int {
        alignField(after: 2)
        reserve()
        put8(0x0f)
        put8(0x80 | condition.rawValue)
        putDisplacement(to: label)
        return position - 4
    }

    /// Pads so that a 4-byte field `opcodeBytes` from here lies within aligned 8 bytes.
    private mutating func alignField(after opcodeBytes: Int) {
        let offset = (position + opcodeBytes) % 8
        if offset > 4 { nop(8 - offset) }
    }

    // MARK: Jumps out of the code

    /// To an absolute address within 2 GiB; see `link(at:)`.
    public mutating func jmp(address: UInt) {
        reserve()
        put8(0xe9)
        putDisplacement(to: address)
    }

    /// To an absolute address within 2 GiB; see `link(at:)`.
    public mutating func jcc(_ condition: X86Condition, address: UInt) {
        reserve()
        put8(0x0f)
        put8(0x80 | condition.rawValue)
        putDisplacement(to: address)
    }

    /// To an absolute address within 2 GiB; see `link(at:)`.
    public mutating func call(address: UInt) {
        reserve()
        put8(0xe8)
        putDisplacement(to: address)
    }

    /// To the 64-bit address in a register or memory.
    public mutating func jmp(_ target: some X86IntegerOperand) {
        emit(0xff, reg: 4, rm: target.encoding)
    }

    /// To the 64-bit address in a register or memory.
    public mutating func call(_ target: some X86IntegerOperand) {
        emit(0xff, reg: 2, rm: target.encoding)
    }

    public mutating func ret() {
        reserve()
        put8(0xc3)
    }

    // MARK: Others

    /// Does nothing for `count` bytes, in as few instructions as there are of at most 9 bytes.
    public mutating func nop(_ count: Int = 1) {
        var rest = count
        while rest > 0 {
            let length = min(rest, 9)
            rest -= length
            reserve()
            switch length {
            case 1: put8(0x90)
            case 2: put16(0x9066)
            case 3: putNop(modRM: 0x00, extra: 0)
            case 4: putNop(modRM: 0x40, extra: 1)
            case 5: putNop(modRM: 0x44, extra: 2)
            case 6:
                put8(0x66)
                putNop(modRM: 0x44, extra: 2)
            case 7: putNop(modRM: 0x80, extra: 4)
            case 8: putNop(modRM: 0x84, extra: 5)
            default:
                put8(0x66)
                putNop(modRM: 0x84, extra: 5)
            }
        }
    }

    /// The nop that takes an operand: `extra` zero bytes of SIB and displacement follow the ModR/M byte.
    private mutating func putNop(modRM: UInt8, extra: Int) {
        put16(0x1f0f)
        put8(modRM)
        for _ in 0..<extra { put8(0) }
    }

    /// Nops up to a multiple of `alignment`, a power of two of at most 16: that is what the place of the code is a multiple of.
    public mutating func align(to alignment: Int) {
        precondition(alignment > 0 && alignment <= 16 && alignment & (alignment - 1) == 0)
        nop(-position & (alignment - 1))
    }

    public mutating func int3() {
        reserve()
        put8(0xcc)
    }

    public mutating func ud2() {
        reserve()
        put16(0x0b0f)
    }

    /// Tells the processor that this is a spin loop.
    public mutating func pause() {
        reserve()
        put16(0x90f3)
    }
}
