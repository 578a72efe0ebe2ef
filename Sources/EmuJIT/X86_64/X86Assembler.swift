/// A place in the code that jumps can name before it is known. Belongs to the assembler that made it.
public struct X86Label: Equatable, Sendable {
    let index: Int
}

/// Appends x86-64 machine code to a growing buffer.
///
/// The bytes are position-independent until `link(at:)` says where they will run; nothing here executes them. Operands are written in
/// Intel order, destination first. Methods that take a register or memory take it as `some X86IntegerOperand` (or `X86VectorOperand`).
/// Instructions with the same shape share one method and are named by an enumeration: `alu(.add, .rax, .rcx)`.
///
/// SAFETY: `start ..< start + capacity` is memory owned by this value and freed with it; `cursor` stays inside, because every
/// instruction begins with `reserve()`, which leaves room for more bytes than any instruction here has.
public struct X86Assembler: ~Copyable {
    private var start: UnsafeMutableRawPointer
    private var capacity: Int
    private var cursor: UnsafeMutableRawPointer
    private var limit: UnsafeMutableRawPointer
    /// Per label: its offset, or `Self.unused`, or for a label used before it is bound `Self.chain(field)` of the last field that names
    /// it; that field holds the label's state before, so that all of them form a list.
    private var labels: [Int32] = []
    /// An instruction of 256 bits has been assembled since the last `vzeroupper`, or since this was set.
    var usesUpperHalves = false
    /// Displacement fields whose target is an absolute address.
    private var relocations: [(field: Int, target: UInt)] = []

    private static let unused: Int32 = -1
    private static func chain(_ field: Int) -> Int32 { -2 &- Int32(truncatingIfNeeded: field) }

    /// Free bytes `reserve()` guarantees; the longest instruction has 15.
    private static let slack = 32

    /// - Parameter capacity: bytes to begin with; the buffer grows by itself.
    public init(capacity: Int = 16 << 10) {
        self.capacity = max(capacity, 4 * Self.slack)
        start = .allocate(byteCount: self.capacity, alignment: 16)
        cursor = start
        limit = start + (self.capacity - Self.slack)
    }

    deinit { start.deallocate() }

    /// Forgets all code and labels and keeps the memory.
    public mutating func reset() {
        cursor = start
        labels.removeAll(keepingCapacity: true)
        relocations.removeAll(keepingCapacity: true)
    }

    /// Offset in bytes of the next instruction.
    public var position: Int { cursor - start }

    /// Lends the code assembled so far; the pointer must not be kept.
    public borrowing func withBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        try body(UnsafeRawBufferPointer(start: start, count: cursor - start))
    }

    // MARK: Bytes

    @inline(__always)
    mutating func reserve() {
        if cursor > limit { grow() }
    }

    @inline(never)
    private mutating func grow() {
        let used = position
        let larger = UnsafeMutableRawPointer.allocate(byteCount: capacity * 2, alignment: 16)
        larger.copyMemory(from: start, byteCount: used)
        start.deallocate()
        start = larger
        capacity *= 2
        cursor = start + used
        limit = start + (capacity - Self.slack)
    }

    // SAFETY of the four: the caller has called `reserve()` for this instruction.
    @inline(__always)
    mutating func put8(_ value: UInt8) {
        cursor.storeBytes(of: value, as: UInt8.self)
        cursor += 1
    }

    @inline(__always)
    mutating func put16(_ value: UInt16) {
        cursor.storeBytes(of: value, as: UInt16.self)
        cursor += 2
    }

    @inline(__always)
    mutating func put32(_ value: UInt32) {
        cursor.storeBytes(of: value, as: UInt32.self)
        cursor += 4
    }

    @inline(__always)
    mutating func put64(_ value: UInt64) {
        cursor.storeBytes(of: value, as: UInt64.self)
        cursor += 8
    }

    /// Appends eight bytes of data, little-endian: for constants and tables that live beside the code.
    public mutating func data(_ value: UInt64) {
        reserve()
        put64(value)
    }

    /// Appends four bytes of data: how far a bound label is from another one.
    public mutating func data(from base: X86Label, to label: X86Label) {
        guard let base = offset(of: base), let target = offset(of: label) else { preconditionFailure("the distance of a label that is not bound") }
        reserve()
        put32(UInt32(bitPattern: Int32(target - base)))
    }

    // MARK: Labels

    /// A label that is bound nowhere yet.
    public mutating func newLabel() -> X86Label {
        labels.append(Self.unused)
        return X86Label(index: labels.count - 1)
    }

    /// Whether the label is bound or something refers to it.
    func isUsed(_ label: X86Label) -> Bool { labels[label.index] != Self.unused }

    /// Puts a label at the current position; once only.
    public mutating func bind(_ label: X86Label) {
        let here = Int32(position)
        var state = labels[label.index]
        precondition(state < 0, "label bound twice")
        while state != Self.unused {
            let field = Int(-2 &- state)
            state = (start + field).loadUnaligned(as: Int32.self)
            (start + field).storeBytes(of: here &- Int32(field + 4), as: Int32.self)
        }
        labels[label.index] = here
    }

    /// Offset of a label, nil while it is not bound.
    public func offset(of label: X86Label) -> Int? {
        labels[label.index] >= 0 ? Int(labels[label.index]) : nil
    }

    /// A label bound at the current position.
    public mutating func here() -> X86Label {
        let label = newLabel()
        bind(label)
        return label
    }

    /// Appends the 32-bit displacement to a label. It must be the last field of its instruction.
    mutating func putDisplacement(to label: X86Label) {
        let state = labels[label.index]
        if state >= 0 {
            put32(UInt32(bitPattern: state &- Int32(position + 4)))
        } else {
            labels[label.index] = Self.chain(position)
            put32(UInt32(bitPattern: state))
        }
    }

    /// Appends a 32-bit displacement that `link(at:)` fills in. It must be the last field of its instruction.
    mutating func putDisplacement(to address: UInt) {
        relocations.append((position, address))
        put32(0)
    }

    /// Fills in the displacements to absolute addresses for code that runs at `address`, a multiple of 16. May be called again for
    /// another address.
    /// - Returns: false when a target is further than 2 GiB away: the code must not be run then.
    public mutating func link(at address: UInt) -> Bool {
        precondition(address % 16 == 0)
        precondition(labels.allSatisfy { $0 >= Self.unused }, "a label is used but bound nowhere")
        for (field, target) in relocations {
            let displacement = Int(bitPattern: target &- (address &+ UInt(field + 4)))
            guard let value = Int32(exactly: displacement) else { return false }
            (start + field).storeBytes(of: value, as: Int32.self)
        }
        return true
    }
}

// MARK: Encodings

extension X86Assembler {
    /// The opcode maps: one-byte, 0F, 0F 38 and 0F 3A.
    enum Map: UInt8 {
        case primary, of, of38, of3a
    }

    static let rexW: UInt8 = 8
    /// A REX prefix with no bit set: selects spl, bpl, sil and dil instead of ah, ch, dh and bh.
    static let rexPlain: UInt8 = 0x40

    /// Any instruction with a ModR/M byte, without its immediate.
    /// - Parameters:
    ///   - prefix: 66, F2 or F3, 0 for none.
    ///   - rex: `rexW`, `rexPlain` or 0; the register bits are added.
    ///   - reg: the register or opcode digit of the reg field.
    mutating func emit(
        _ opcode: UInt8, map: Map = .primary, prefix: UInt8 = 0, rex: UInt8 = 0, reg: UInt8, rm: X86OperandEncoding
    ) {
        reserve()
        if prefix != 0 { put8(prefix) }
        let rex = rex | (reg &>> 3) &<< 2 | Self.extensionBits(rm)
        if rex != 0 { put8(0x40 | rex) }
        switch map {
        case .primary: break
        case .of: put8(0x0f)
        case .of38: put16(0x380f)
        case .of3a: put16(0x3a0f)
        }
        put8(opcode)
        putModRM(reg: reg, rm: rm)
    }

    /// Any VEX instruction with a ModR/M byte, without its immediate.
    /// - Parameters:
    ///   - prefix: the legacy prefix it stands for: 66, F2 or F3, 0 for none.
    ///   - wide: the W bit.
    ///   - long: 256 bits instead of 128.
    ///   - second: the register of the vvvv field; 0 where there is none.
    mutating func emitVEX(
        _ opcode: UInt8, map: Map, prefix: UInt8, wide: Bool, long: Bool = false, reg: UInt8, second: UInt8 = 0, rm: X86OperandEncoding
    ) {
        reserve()
        if long { usesUpperHalves = true }
        let implied: UInt8 =
            switch prefix {
            case 0x66: 1
            case 0xf3: 2
            case 0xf2: 3
            default: 0
            }
        let extensions = (reg &>> 3) &<< 2 | Self.extensionBits(rm)
        let last = (wide ? 0x80 : 0) | (~second & 15) &<< 3 | (long ? 4 : 0) | implied
        if map == .of && !wide && extensions & 3 == 0 {
            put8(0xc5)
            put8((~extensions & 4) &<< 5 | last)
        } else {
            put8(0xc4)
            put8((~extensions & 7) &<< 5 | map.rawValue)
            put8(last)
        }
        put8(opcode)
        putModRM(reg: reg, rm: rm)
    }

    /// The X and B bits of REX for an operand.
    @inline(__always)
    private static func extensionBits(_ rm: X86OperandEncoding) -> UInt8 {
        switch rm {
        case .register(let number): number &>> 3
        case .memory(let memory): ((memory.index?.rawValue ?? 0) &>> 3) &<< 1 | memory.base.rawValue &>> 3
        }
    }

    @inline(__always)
    private mutating func putModRM(reg: UInt8, rm: X86OperandEncoding) {
        let reg = (reg & 7) &<< 3
        switch rm {
        case .register(let number):
            put8(0xc0 | reg | number & 7)
        case .memory(let memory):
            let base = memory.base.rawValue & 7
            // mod 00 with rbp or r13 as the base means something else, so these always have a displacement.
            let mod: UInt8 =
                if memory.displacement == 0 && base != 5 {
                    0
                } else if Int8(exactly: memory.displacement) != nil {
                    0x40
                } else {
                    0x80
                }
            if let index = memory.index {
                put8(mod | reg | 4)
                put8(memory.scale.rawValue &<< 6 | (index.rawValue & 7) &<< 3 | base)
            } else if base == 4 {
                // rsp and r12 in the r/m field announce a SIB byte; index 4 in it means none.
                put8(mod | reg | 4)
                put8(0x24)
            } else {
                put8(mod | reg | base)
            }
            if mod == 0x40 {
                put8(UInt8(truncatingIfNeeded: memory.displacement))
            } else if mod == 0x80 {
                put32(UInt32(bitPattern: memory.displacement))
            }
        }
    }

    /// An instruction that has all four widths: `opcode` is that of the byte form, the others follow it.
    /// - Parameter byteRex: whether the byte form needs `rexPlain` for the register in the reg field.
    mutating func emitSized(
        _ opcode: UInt8, map: Map = .primary, reg: UInt8, rm: X86OperandEncoding, _ width: X86Width, byteRex: Bool = false
    ) {
        switch width {
        case .byte: emit(opcode, map: map, rex: byteRex ? Self.rexPlain : Self.byteRex(rm), reg: reg, rm: rm)
        case .word: emit(opcode | 1, map: map, prefix: 0x66, reg: reg, rm: rm)
        case .long: emit(opcode | 1, map: map, reg: reg, rm: rm)
        case .quad: emit(opcode | 1, map: map, rex: Self.rexW, reg: reg, rm: rm)
        }
    }

    /// `emitSized` with a register in the reg field.
    mutating func emitSized(
        _ opcode: UInt8, map: Map = .primary, _ reg: X86Register, _ rm: X86OperandEncoding, _ width: X86Width
    ) {
        emitSized(opcode, map: map, reg: reg.rawValue, rm: rm, width, byteRex: Self.byteRex(.register(reg.rawValue)) != 0)
    }

    /// `rexPlain` where the operand is a register whose low byte needs it.
    static func byteRex(_ rm: X86OperandEncoding) -> UInt8 {
        if case .register(4...7) = rm { rexPlain } else { 0 }
    }

    /// An instruction that has no byte form.
    mutating func emitWide(
        _ opcode: UInt8, map: Map = .primary, reg: UInt8, rm: X86OperandEncoding, _ width: X86Width
    ) {
        precondition(width != .byte)
        emit(opcode, map: map, prefix: width == .word ? 0x66 : 0, rex: width == .quad ? Self.rexW : 0, reg: reg, rm: rm)
    }

    /// `emitWide` with a register in the reg field.
    mutating func emitWide(
        _ opcode: UInt8, map: Map = .primary, _ reg: X86Register, _ rm: X86OperandEncoding, _ width: X86Width
    ) {
        emitWide(opcode, map: map, reg: reg.rawValue, rm: rm, width)
    }

    /// An immediate of the width, 32 bits for `quad`; excess upper bits are ignored.
    mutating func putImmediate(_ value: Int32, _ width: X86Width) {
        switch width {
        case .byte: put8(UInt8(truncatingIfNeeded: value))
        case .word: put16(UInt16(truncatingIfNeeded: value))
        case .long, .quad: put32(UInt32(bitPattern: value))
        }
    }
}
