import EmuIR

/// Loads and stores: an inline look into the TLB, everything else out of line.
///
/// SAFETY: host memory is accessed only at an address that a TLB entry with an equal tag, or a probe that found one, gave; the entry covers
/// the whole page and the compared page is that of the access's last byte, which differs from the entry's when the access leaves it.
extension X86Compiler {
    /// rax = address, rcx = the address's TLB entry; jumps to `miss` unless the entry's tag allows `length` bytes from there.
    private mutating func findEntry(_ base: Operand, _ displacement: Int32, _ length: Int32, tags: [Int], miss: X86Label) {
        addressToRAX(base, displacement)
        let shift = UInt8(layout.tlbEntryShift)
        asm.rorx(.rcx, .rax, by: 12 - shift)
        asm.alu(.and, .rcx, immediate: Int32((layout.tlbEntryCount - 1) << layout.tlbEntryShift), .long)
        asm.alu(.add, .rcx, state.field(layout.tlb))
        if length > 1 { asm.lea(.rdx, X86Memory(.rax, length - 1)) } else { asm.mov(.rdx, .rax) }
        asm.alu(.and, .rdx, immediate: -4096)
        for tag in tags {
            asm.alu(.cmp, .rdx, X86Memory(.rcx, Int32(tag)))
            asm.jcc(.ne, miss)
        }
    }

    /// The host address of a memory access; before it, code that jumps to `miss` where there is none. rdx stays free.
    private mutating func hostAddress(_ i: Instruction, via: Operand, _ length: Int32, tag: Int, miss: X86Label) -> X86Memory {
        if case .temp = via {
            asm.mov(.rcx, memory(via))
            asm.test(.rcx, .rcx)
            asm.jcc(.e, miss)
            return X86Memory(.rcx, i.displacement)
        }
        findEntry(i.a, i.displacement, length, tags: [tag], miss: miss)
        asm.mov(.rcx, X86Memory(.rcx, Int32(layout.tlbAddend)))
        return X86Memory(.rax, index: .rcx)
    }

    mutating func load(_ i: Instruction) {
        let miss = asm.newLabel(), back = asm.newLabel()
        let source = hostAddress(i, via: i.b, i.op.accessLength, tag: layout.tlbReadTag, miss: miss)
        switch i.op {
        case .loadf64:
            let result = floatHome(i.dst) ?? XMMRegister(0)
            asm.movq(result, source)
            finish(i.dst, result)
        case .loadf32:
            box32(source)
            finishFloatBits(i.dst)
        default:
            let result = target(i.dst)
            switch i.op {
            case .load8s: asm.movsx(result, source, from: .byte)
            case .load8u: asm.movzx(result, source, from: .byte)
            case .load16s: asm.movsx(result, source, from: .word)
            case .load16u: asm.movzx(result, source, from: .word)
            case .load32s: asm.movsx(result, source, from: .long)
            case .load32u: asm.mov(result, source, .long)
            default: asm.mov(result, source)
            }
            finish(i.dst, result)
        }
        noteBoxed(i)
        asm.bind(back)
        add(.load(i, entry: miss, back: back, needsAddress: i.b != .none))
    }

    /// After the helper: its result, in rax, goes to the destination.
    mutating func finishLoad(_ i: Instruction) {
        switch i.op {
        case .loadf32, .loadf64: finishFloatBits(i.dst)
        default: finish(i.dst, .rax)
        }
    }

    /// rax = the 32 bits at `source`, boxed.
    private mutating func box32(_ source: X86Memory) {
        asm.mov(.rdx, source, .long)
        asm.mov(.rax, immediate: ~0xffff_ffff)
        asm.alu(.or, .rax, .rdx)
    }

    /// Writes the bits in rax to an f register.
    mutating func finishFloatBits(_ destination: Operand) {
        if let home = floatHome(destination) { asm.movq(home, .rax) } else { asm.mov(memory(destination), .rax) }
    }

    mutating func store(_ i: Instruction) {
        let miss = asm.newLabel(), back = asm.newLabel()
        let destination = hostAddress(i, via: i.c, i.op.accessLength, tag: layout.tlbWriteTag, miss: miss)
        let width: X86Width =
            switch i.op {
            case .store8: .byte
            case .store16: .word
            case .store32, .storef32: .long
            default: .quad
            }
        if let home = floatHome(i.b) {
            asm.movs(width == .long ? .single : .double, destination, home)
        } else if let value = immediate(i.b) {
            asm.mov(destination, immediate: value, width)
        } else if case .float = i.b {
            asm.mov(.rdx, memory(i.b))
            asm.mov(destination, .rdx, width)
        } else {
            asm.mov(destination, register(i.b, loadedTo: .rdx), width)
        }
        asm.bind(back)
        add(.store(i, entry: miss, back: back, needsAddress: i.c != .none))
    }

    /// For the helper: the value to be stored. rax is kept.
    mutating func storeValueToState(_ i: Instruction) {
        let field = state.field(layout.storeValue)
        if let home = floatHome(i.b) {
            asm.movs(.double, field, home)
        } else if case .float = i.b {
            asm.mov(.rdx, memory(i.b))
            asm.mov(field, .rdx)
        } else {
            asm.mov(field, register(i.b, loadedTo: .rdx))
        }
    }

    mutating func probe(_ i: Instruction) {
        guard case .constant(let length) = i.b, case .constant(let rights) = i.c else { preconditionFailure("probe takes constants") }
        let miss = asm.newLabel(), back = asm.newLabel()
        var tags: [Int] = []
        if ProbeRights(rawValue: rights).contains(.read) { tags.append(layout.tlbReadTag) }
        if ProbeRights(rawValue: rights).contains(.write) { tags.append(layout.tlbWriteTag) }
        findEntry(i.a, i.displacement, Int32(truncatingIfNeeded: length), tags: tags, miss: miss)
        asm.mov(.rcx, X86Memory(.rcx, Int32(layout.tlbAddend)))
        if let home = home(i.a) { asm.alu(.add, .rcx, home) } else { asm.alu(.add, .rcx, memory(i.a)) }
        asm.mov(memory(i.dst), .rcx)
        asm.bind(back)
        add(.failedProbe(i.dst, entry: miss, back: back))
    }
}

extension Opcode {
    /// Bytes a load or store touches.
    var accessLength: Int32 {
        switch self {
        case .load8s, .load8u, .store8: 1
        case .load16s, .load16u, .store16: 2
        case .load32s, .load32u, .loadf32, .store32, .storef32: 4
        default: 8
        }
    }
}
