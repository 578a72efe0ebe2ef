import EmuIR

/// Loads and stores: an inline look into the TLB, everything else out of line.
///
/// SAFETY: host memory is accessed only at an address that a TLB entry with an equal tag, or a probe that found one, gave; the entry covers
/// the whole page and the compared page is that of the access's last byte, which differs from the entry's when the access leaves it.
extension X86Compiler {
    /// The TLB an access looks into: where the state has its entries and its mask.
    private var loadTable: (entries: Int, mask: Int) { (layout.loads, layout.loadMask) }
    private var storeTable: (entries: Int, mask: Int) { (layout.stores, layout.storeMask) }

    /// rcx = TLB entry of the address in rax; jumps to `miss` unless its tag is the page of the last of `length` bytes there.
    private mutating func findEntry(_ table: (entries: Int, mask: Int), _ length: Int32, miss: X86Label) {
        asm.rorx(.rcx, .rax, by: 12 - UInt8(layout.tlbEntryShift))
        asm.alu(.and, .rcx, state.field(table.mask))
        asm.alu(.add, .rcx, state.field(table.entries))
        if length > 1 { asm.lea(.rdx, X86Memory(.rax, length - 1)) } else { asm.mov(.rdx, .rax) }
        asm.alu(.and, .rdx, immediate: -4096)
        asm.alu(.cmp, .rdx, X86Memory(.rcx, Int32(layout.tlbTag)))
        asm.jcc(.ne, miss)
    }

    /// The host address of a memory access; before it, code that jumps to `miss` where there is none. rdx stays free.
    private mutating func hostAddress(
        _ i: Instruction, via: Operand, _ table: (entries: Int, mask: Int), miss: X86Label
    ) -> X86Memory {
        if case .temp = via {
            asm.mov(.rcx, memory(via))
            asm.test(.rcx, .rcx)
            asm.jcc(.e, miss)
            return X86Memory(.rcx, i.displacement)
        }
        addressToRAX(i.a, i.displacement)
        findEntry(table, i.op.accessLength, miss: miss)
        asm.mov(.rcx, X86Memory(.rcx, Int32(layout.tlbAddend)))
        return X86Memory(.rax, index: .rcx)
    }

    mutating func load(_ i: Instruction) {
        let miss = asm.newLabel(), back = asm.newLabel()
        let source = hostAddress(i, via: i.b, loadTable, miss: miss)
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
        let destination = hostAddress(i, via: i.c, storeTable, miss: miss)
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
        guard case .constant(let bytes) = i.b, case .constant(let rights) = i.c else { preconditionFailure("probe takes constants") }
        let miss = asm.newLabel(), back = asm.newLabel()
        addressToRAX(i.a, i.displacement)
        let length = Int32(truncatingIfNeeded: bytes)
        if ProbeRights(rawValue: rights).contains(.read) { findEntry(loadTable, length, miss: miss) }
        if ProbeRights(rawValue: rights).contains(.write) { findEntry(storeTable, length, miss: miss) }
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
