import EmuIR

/// Atomic operations. Where harts take turns on one host thread, a load followed by a store is indivisible; where other threads access
/// guest memory meanwhile (`isShared`), the host's atomic instructions are used, which order everything before and after them as well.
///
/// SAFETY: as for loads and stores; an address that is not a multiple of the access's size never gets to the host access.
extension X86Compiler {
    private enum Table { case loads, stores }

    /// rcx = TLB entry for the address in `a`, rax = the address; jumps to `miss` unless the entry allows an aligned access of `size` bytes.
    private mutating func findAligned(_ a: Operand, _ size: Int32, _ table: Table, miss: X86Label) {
        addressToRAX(a, 0)
        asm.rorx(.rcx, .rax, by: 12 - UInt8(layout.tlbEntryShift))
        asm.alu(.and, .rcx, state.field(table == .loads ? layout.loadMask : layout.storeMask))
        asm.alu(.add, .rcx, state.field(table == .loads ? layout.loads : layout.stores))
        // The low bits of a tag say what the entry does not allow: a misaligned address must not be taken for it.
        asm.test(.rax, immediate: size - 1, .long)
        asm.jcc(.ne, miss)
        asm.mov(.rdx, .rax)
        asm.alu(.and, .rdx, immediate: -4096)
        asm.alu(.cmp, .rdx, X86Memory(.rcx, Int32(layout.tlbTag)))
        asm.jcc(.ne, miss)
    }

    /// rcx = host address of what `findAligned` found; rax and rdx stay.
    private mutating func hostAddressToRCX() {
        asm.mov(.rcx, X86Memory(.rcx, Int32(layout.tlbAddend)))
        asm.alu(.add, .rcx, .rax)
    }

    /// dst = memory[a]; memory[a] = dst op b.
    mutating func fetchAndModify(_ i: Instruction) {
        let width = i.op.atomicWidth
        let miss = asm.newLabel(), back = asm.newLabel()
        findAligned(i.a, width == .quad ? 8 : 4, .stores, miss: miss)
        hostAddressToRCX()
        let place = X86Memory(.rcx)
        if isShared {
            modifyAtOnce(i, place, width)
            if width == .long { asm.movsx(.rax, .rax, from: .long) }
            finish(i.dst, .rax)
            asm.bind(back)
            return add(.interpret(guest: i.guest, entry: miss, back: back))
        }
        // The operand is read before the destination, which may be the same register, is written.
        asm.mov(.rax, place, width)
        switch i.op {
        case .swap32, .swap64:
            asm.mov(place, register(i.b, loadedTo: .rdx), width)
        case .fetchAdd32, .fetchAdd64: modify(.add, i.b, place, width)
        case .fetchXor32, .fetchXor64: modify(.xor, i.b, place, width)
        case .fetchAnd32, .fetchAnd64: modify(.and, i.b, place, width)
        case .fetchOr32, .fetchOr64: modify(.or, i.b, place, width)
        case .fetchMin32, .fetchMin64: choose(.l, i.b, place, width)
        case .fetchMax32, .fetchMax64: choose(.g, i.b, place, width)
        case .fetchMinu32, .fetchMinu64: choose(.b, i.b, place, width)
        default: choose(.a, i.b, place, width)
        }
        if width == .long { asm.movsx(.rax, .rax, from: .long) }
        finish(i.dst, .rax)
        asm.bind(back)
        add(.interpret(guest: i.guest, entry: miss, back: back))
    }

    /// rax = memory; memory = rax op operand, in one host atomic. Uses rdx.
    private mutating func modifyAtOnce(_ i: Instruction, _ place: X86Memory, _ width: X86Width) {
        switch i.op {
        case .swap32, .swap64:
            load(i.b, to: .rax)
            return asm.xchg(place, .rax, width)
        case .fetchAdd32, .fetchAdd64:
            load(i.b, to: .rax)
            return asm.lockXadd(place, .rax, width)
        default: break
        }
        asm.mov(.rax, place, width)
        let again = asm.here()
        load(i.b, to: .rdx)
        switch i.op {
        case .fetchXor32, .fetchXor64: asm.alu(.xor, .rdx, .rax, width)
        case .fetchAnd32, .fetchAnd64: asm.alu(.and, .rdx, .rax, width)
        case .fetchOr32, .fetchOr64: asm.alu(.or, .rdx, .rax, width)
        case .fetchMin32, .fetchMin64: chooseBetween(.l, width)
        case .fetchMax32, .fetchMax64: chooseBetween(.g, width)
        case .fetchMinu32, .fetchMinu64: chooseBetween(.b, width)
        default: chooseBetween(.a, width)
        }
        asm.lockCmpxchg(place, .rdx, width)
        asm.jcc(.ne, again)
    }

    /// rdx = rax if the old value, in rax, relates to the operand, in rdx, that way.
    private mutating func chooseBetween(_ keeps: X86Condition, _ width: X86Width) {
        asm.alu(.cmp, .rax, .rdx, width)
        asm.cmov(keeps, .rdx, .rax)
    }

    private mutating func modify(_ operation: X86ALU, _ operand: Operand, _ place: X86Memory, _ width: X86Width) {
        asm.alu(operation, place, register(operand, loadedTo: .rdx), width)
    }

    /// Stores the operand unless the old value, in rax, already relates to it that way.
    private mutating func choose(_ keeps: X86Condition, _ operand: Operand, _ place: X86Memory, _ width: X86Width) {
        load(operand, to: .rdx)
        chooseBetween(keeps, width)
        asm.mov(place, .rdx, width)
    }

    /// rdx = physical address of the access in hand, of which rcx is the TLB entry and rax the address; rax becomes the host address.
    private mutating func physicalToRDX(_ table: Table) {
        asm.mov(.rdx, .rcx)
        asm.alu(.sub, .rdx, state.field(table == .loads ? layout.loads : layout.stores))
        // The physical pages are words in the order of the entries.
        asm.shift(.shr, .rdx, by: UInt8(layout.tlbEntryShift - 3))
        asm.alu(.add, .rdx, state.field(table == .loads ? layout.loadPages : layout.storePages))
        asm.mov(.rdx, X86Memory(.rdx))
        asm.mov(.rcx, X86Memory(.rcx, Int32(layout.tlbAddend)))
        asm.alu(.add, .rcx, .rax)
        asm.alu(.and, .rax, immediate: 0xfff, .long)
        asm.alu(.or, .rdx, .rax)
        asm.mov(.rax, .rcx)
    }

    mutating func loadReserved(_ i: Instruction) {
        let width = i.op.atomicWidth
        let size: Int32 = width == .quad ? 8 : 4
        let miss = asm.newLabel(), back = asm.newLabel()
        if isShared {
            asm.alu(.cmp, state.field(layout.distrust), immediate: 0)
            asm.jcc(.ne, miss)
        }
        findAligned(i.a, size, .loads, miss: miss)
        physicalToRDX(.loads)
        asm.mov(state.field(layout.reservedAddress), .rdx)
        if isShared {
            asm.mov(.rdx, state.field(layout.reservationMark))
            asm.mov(state.field(layout.reservedLength), .rdx)
        } else {
            asm.mov(state.field(layout.reservedLength), immediate: size)
            asm.mov(.rdx, state.field(layout.foreignWrites))
            asm.mov(.rdx, X86Memory(.rdx))
            asm.mov(state.field(layout.reservedWrites), .rdx)
        }
        if width == .quad { asm.mov(.rax, X86Memory(.rax)) } else { asm.movsx(.rax, X86Memory(.rax), from: .long) }
        if isShared { asm.mov(state.field(layout.reservedValue), .rax) }
        finish(i.dst, .rax)
        asm.bind(back)
        add(.interpret(guest: i.guest, entry: miss, back: back))
    }

    mutating func storeConditional(_ i: Instruction) {
        let width = i.op.atomicWidth
        let size: Int32 = width == .quad ? 8 : 4
        let miss = asm.newLabel(), back = asm.newLabel(), fails = asm.newLabel(), done = asm.newLabel()
        findAligned(i.a, size, .stores, miss: miss)
        physicalToRDX(.stores)
        if isShared {
            // Whatever is not as it should be, the interpreter decides about.
            asm.alu(.cmp, .rdx, state.field(layout.reservedAddress))
            asm.jcc(.ne, miss)
            asm.mov(.rdx, state.field(layout.reservationMark))
            asm.alu(.cmp, .rdx, state.field(layout.reservedLength))
            asm.jcc(.ne, miss)
            asm.mov(.rcx, .rax)
            load(i.b, to: .rdx)
            asm.mov(.rax, state.field(layout.reservedValue))
            asm.lockCmpxchg(X86Memory(.rcx), .rdx, width)
            asm.mov(.rax, immediate: 0)
            asm.set(.ne, .rax)
            asm.mov(state.field(layout.reservedLength), immediate: 0)
            finish(i.dst, .rax)
            asm.bind(back)
            return add(.interpret(guest: i.guest, entry: miss, back: back))
        }
        asm.alu(.cmp, .rdx, state.field(layout.reservedAddress))
        asm.jcc(.ne, fails)
        asm.alu(.cmp, state.field(layout.reservedLength), immediate: size)
        asm.jcc(.ne, fails)
        asm.mov(.rdx, state.field(layout.foreignWrites))
        asm.mov(.rdx, X86Memory(.rdx))
        asm.alu(.cmp, .rdx, state.field(layout.reservedWrites))
        asm.jcc(.ne, fails)
        asm.mov(X86Memory(.rax), register(i.b, loadedTo: .rdx), width)
        asm.mov(.rax, immediate: 0)
        asm.jmp(done)
        asm.bind(fails)
        asm.mov(.rax, immediate: 1)
        asm.bind(done)
        asm.mov(state.field(layout.reservedLength), immediate: 0)
        finish(i.dst, .rax)
        asm.bind(back)
        add(.interpret(guest: i.guest, entry: miss, back: back))
    }
}

extension Opcode {
    /// The width of an atomic operation.
    fileprivate var atomicWidth: X86Width {
        switch self {
        case .loadReserved32, .storeConditional32, .swap32, .fetchAdd32, .fetchXor32, .fetchAnd32, .fetchOr32, .fetchMin32, .fetchMax32, .fetchMinu32,
            .fetchMaxu32: .long
        default: .quad
        }
    }
}
