import EmuIR

/// Loads and stores: an inline look into the TLB, everything else out of line.
///
/// SAFETY: host memory is accessed only at an address that a TLB entry with an equal tag, or a probe that found one, gave; the entry covers
/// the whole page and the compared page is that of the access's last byte, which differs from the entry's when the access leaves it.
extension X86Compiler {
    /// The TLB an access looks into: where the state has its entries and its mask.
    var loadTable: (entries: Int, mask: Int) { (layout.loads, layout.loadMask) }
    var storeTable: (entries: Int, mask: Int) { (layout.stores, layout.storeMask) }

    /// rcx = TLB entry of the address in rax; jumps to `miss` unless its tag is the page of the last of `length` bytes there.
    private mutating func findEntry(_ table: (entries: Int, mask: Int), _ length: Int32, miss: X86Label) {
        findEntry(table, miss: miss) { if length > 1 { $0.asm.lea(.rdx, X86Memory(.rax, length - 1)) } else { $0.asm.mov(.rdx, .rax) } }
    }

    /// - Parameter lastByte: puts its address into rdx.
    private mutating func findEntry(_ table: (entries: Int, mask: Int), miss: X86Label, lastByte: (inout X86Compiler) -> Void) {
        asm.rorx(.rcx, .rax, by: 12 - UInt8(layout.tlbEntryShift))
        asm.alu(.and, .rcx, state.field(table.mask))
        asm.alu(.add, .rcx, state.field(table.entries))
        lastByte(&self)
        asm.alu(.and, .rdx, immediate: -4096)
        asm.alu(.cmp, .rdx, X86Memory(.rcx, Int32(layout.tlbTag)))
        asm.jcc(.ne, miss)
    }

    /// The host address of a memory access; before it, code that jumps to `miss` where the TLB has none. rdx stays free.
    mutating func hostAddress(_ i: Instruction, _ table: (entries: Int, mask: Int), miss: X86Label) -> X86Memory {
        if i.host != .none {
            // Its probe has been there.
            if let addend = addendHome(i.host) { return X86Memory(register(i.a, loadedTo: .rax), index: addend, .by1, i.displacement) }
            if tempInRCX != i.host {
                asm.mov(.rcx, memory(i.host))
                tempInRCX = i.host
            }
            return X86Memory(register(i.a, loadedTo: .rax), index: .rcx, .by1, i.displacement)
        }
        addressToRAX(i.a, i.displacement)
        if i.op.info.isVector {
            findEntry(table, .bytes(Int32(i.accessBytes)), slow: miss)
        } else {
            findEntry(table, Int32(i.accessBytes), miss: miss)
            asm.mov(.rcx, X86Memory(.rcx, Int32(layout.tlbAddend)))
        }
        return X86Memory(.rax, index: .rcx)
    }

    /// How much of memory a vector operation accesses in one piece.
    enum Extent {
        case bytes(Int32)
        /// As many elements as there are, of so many bytes.
        case elements(Int)
    }

    /// rdx = address of the last byte of what begins at rax.
    private mutating func lastByte(_ extent: Extent) {
        switch extent {
        case .bytes(let bytes): asm.lea(.rdx, X86Memory(.rax, bytes - 1))
        case .elements(let bytes):
            asm.mov(.rdx, state.field(layout.vectorLength))
            asm.imul(.rdx, .rdx, immediate: Int32(bytes))
            asm.lea(.rdx, X86Memory(.rax, index: .rdx, .by1, -1))
        }
    }

    /// rcx = what is added to addresses from rax on; jumps to `slow` where the TLB does not serve them all. Uses rdx.
    private mutating func findEntry(_ table: (entries: Int, mask: Int), _ extent: Extent, slow: X86Label) {
        let entry = asm.newLabel(), back = asm.newLabel()
        findEntry(table, miss: entry) { $0.lastByte(extent) }
        asm.mov(.rcx, X86Memory(.rcx, Int32(layout.tlbAddend)))
        asm.bind(back)
        add(.pageEnd(entries: table.entries, mask: table.mask, extent, entry: entry, slow: slow, back: back))
    }

    /// What the entry of its first page does not serve may lie in two pages that lie one behind the other in the host's memory, too: vectors are
    /// smaller than pages.
    mutating func assemblePageEnd(_ entries: Int, _ mask: Int, _ extent: Extent, slow: X86Label, back: X86Label) {
        let table = (entries, mask), addend = state.field(layout.storeValue)
        findEntry(table, miss: slow) { $0.asm.mov(.rdx, .rax) }
        asm.mov(.rcx, X86Memory(.rcx, Int32(layout.tlbAddend)))
        asm.mov(addend, .rcx)
        asm.push(.rax)
        lastByte(extent)
        asm.mov(.rax, .rdx)
        let miss = asm.newLabel()
        findEntry(table, miss: miss) { $0.asm.mov(.rdx, .rax) }
        asm.pop(.rax)
        asm.mov(.rcx, X86Memory(.rcx, Int32(layout.tlbAddend)))
        asm.alu(.cmp, .rcx, addend)
        asm.jcc(.e, back)
        asm.jmp(slow)
        asm.bind(miss)
        asm.pop(.rax)
        asm.jmp(slow)
    }

    /// rax = host address of as many of a vector's elements as there are, of `bytes` each; jumps to `miss` where the TLB does not serve them all.
    mutating func hostAddress(ofElements bytes: Int, _ i: Instruction, _ table: (entries: Int, mask: Int), miss: X86Label) {
        addressToRAX(i.a, i.displacement)
        findEntry(table, .elements(bytes), slow: miss)
        asm.alu(.add, .rax, .rcx)
    }

    /// The same for one element at the address in rax.
    mutating func hostAddress(ofElement bytes: Int32, _ table: (entries: Int, mask: Int), miss: X86Label) {
        findEntry(table, bytes, miss: miss)
        asm.alu(.add, .rax, X86Memory(.rcx, Int32(layout.tlbAddend)))
    }

    mutating func load(_ i: Instruction) {
        let miss = asm.newLabel(), back = asm.newLabel()
        let source = hostAddress(i, loadTable, miss: miss)
        switch i.op {
        case .loadf64:
            let result = floatHome(i.dst) ?? XMMRegister(0)
            asm.movq(result, source)
            finish(i.dst, result)
        case .loadf32:
            if let home = floatHome(i.dst) {
                asm.movs(.single, home, source)
                asm.logic(.or, home, home, X86Assignment.box)
            } else {
                box32(source)
                finishFloatBits(i.dst)
            }
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
        if i.host != .none { return }
        asm.bind(back)
        add(.load(i, entry: miss, back: back))
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
        let destination = hostAddress(i, storeTable, miss: miss)
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
        if i.host != .none { return }
        asm.bind(back)
        add(.store(i, entry: miss, back: back))
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

    /// Leaves the temp's value in rcx, and in memory unless the next instruction is its only use.
    mutating func probe(_ i: Instruction, before next: Instruction) {
        if isAnsweredByRun(i.dst) { return }
        let miss = asm.newLabel(), back = asm.newLabel()
        let skip = next.op.info.isVector && next.host == i.dst ? asm.newLabel() : nil
        vectorSkip = skip
        addressToRAX(i.a, i.displacement)
        if let number = window(of: i.dst, in: block) {
            let window = state.window(number)
            asm.alu(.sub, .rax, window.page)
            asm.alu(.cmp, .rax, window.limit)
            asm.jcc(.ae, miss)
            asm.mov(.rcx, window.addend)
            asm.bind(back)
            add(.probe(i, first: next.op, window: number, skip: skip, entry: miss, back: back))
        } else {
            findEntries(i, miss: miss)
            asm.bind(back)
            asm.mov(.rcx, X86Memory(.rcx, Int32(layout.tlbAddend)))
            asm.mov(memory(i.dst), .rcx)
            add(.probe(i, first: next.op, window: nil, skip: skip, entry: miss, back: back))
        }
        tempInRCX = i.dst
    }

    /// Gives steady probes windows while there are any.
    mutating func assignWindows(_ unit: IRUnit, _ windows: [Int]) {
        temporaryWindows.removeAll(keepingCapacity: true)
        if windows.isEmpty { return }
        var windows = windows
        temporaryWindows = unit.blocks.map { ir in
            var numbers = Array(repeating: Int16(-1), count: ir.tempCount)
            for each in ir.instructions where each.op == .probe && each.rights.contains(.steady) {
                if case .temp(let temp) = each.dst, let number = windows.popLast() { numbers[Int(temp)] = Int16(number) }
            }
            return numbers
        }
    }

    func window(of temp: Operand, in block: Int) -> Int? {
        guard !temporaryWindows.isEmpty, case .temp(let temp) = temp, temporaryWindows[block][Int(temp)] >= 0 else { return nil }
        return Int(temporaryWindows[block][Int(temp)])
    }

    /// rcx = TLB entry for the probe at the address in rax, rdx = its page.
    private mutating func findEntries(_ i: Instruction, miss: X86Label) {
        if i.rights.contains(.read) { findEntry(loadTable, i.probeLength, miss: miss) }
        if i.rights.contains(.write) { findEntry(storeTable, i.probeLength, miss: miss) }
    }

    /// Makes a window hold the page in rdx with the addend in rcx: beside what it holds where that is adjacent, in the guest's memory
    /// and in the host's, else alone. A loop over an array then asks once a page. Where pages are left out, as by long strides, the page gets those
    /// around it that the TLB has.
    private mutating func fillWindow(_ i: Instruction, _ number: Int, _ back: X86Label) {
        let window = state.window(number), length = i.probeLength
        let alone = asm.newLabel(), notAbove = asm.newLabel(), apart = asm.newLabel()
        asm.alu(.cmp, .rcx, window.addend)
        asm.jcc(.ne, alone)
        asm.mov(.rax, window.limit)
        asm.test(.rax, .rax)
        asm.jcc(.e, alone)
        asm.alu(.add, .rax, window.page)
        asm.alu(.add, .rax, immediate: length - 1)
        asm.alu(.cmp, .rax, .rdx)
        asm.jcc(.ne, notAbove)
        asm.alu(.add, window.limit, immediate: 4096)
        asm.jmp(back)
        asm.bind(notAbove)
        asm.lea(.rax, X86Memory(.rdx, 4096))
        asm.alu(.cmp, .rax, window.page)
        asm.jcc(.ne, apart)
        asm.mov(window.page, .rdx)
        asm.alu(.add, window.limit, immediate: 4096)
        asm.jmp(back)
        asm.bind(apart)
        asm.mov(.rax, .rdx)
        asm.alu(.sub, .rax, window.page)
        asm.alu(.add, .rax, immediate: Self.reach)
        asm.alu(.cmp, .rax, immediate: 2 * Self.reach)
        asm.jcc(.ae, alone)
        asm.mov(window.page, .rdx)
        asm.mov(window.limit, immediate: 4097 - length)
        extendWindow(i, window, upwards: true)
        extendWindow(i, window, upwards: false)
        asm.mov(.rcx, window.addend)
        asm.jmp(back)
        asm.bind(alone)
        noteFilled(number, window.limit)
        asm.mov(window.page, .rdx)
        asm.mov(window.limit, immediate: 4097 - length)
        asm.mov(window.addend, .rcx)
        asm.jmp(back)
    }

    /// How far pages may be apart for a window to be extended from one to the other, and how far it is extended either way.
    private static let reach: Int32 = 64 << 12

    /// Adds pages behind or before a window as long as the TLB has them and they lie beside it in the host's memory, too.
    private mutating func extendWindow(_ i: Instruction, _ window: X86State.Window, upwards: Bool) {
        let next = asm.newLabel(), end = asm.newLabel()
        asm.bind(next)
        asm.mov(.rax, window.page)
        if upwards {
            asm.alu(.add, .rax, window.limit)
            asm.alu(.add, .rax, immediate: i.probeLength - 1)
        } else {
            asm.alu(.sub, .rax, immediate: 4096)
        }
        findEntries(i, miss: end)
        asm.mov(.rcx, X86Memory(.rcx, Int32(layout.tlbAddend)))
        asm.alu(.cmp, .rcx, window.addend)
        asm.jcc(.ne, end)
        if !upwards { asm.alu(.sub, window.page, immediate: 4096) }
        asm.alu(.add, window.limit, immediate: 4096)
        asm.alu(.cmp, window.limit, immediate: upwards ? Self.reach : 2 * Self.reach)
        asm.jcc(.b, next)
        asm.bind(end)
    }

    /// Lists a window that was empty among those that must be emptied when pages change. Uses rax.
    private mutating func noteFilled(_ number: Int, _ limit: X86Memory) {
        let known = asm.newLabel()
        asm.alu(.cmp, limit, immediate: 0)
        asm.jcc(.ne, known)
        asm.mov(.rax, state.field(layout.filledWindowCount))
        var entry = state.field(layout.filledWindows)
        entry.index = .rax
        entry.scale = .by2
        asm.mov(entry, immediate: Int32(number), .word)
        asm.alu(.add, state.field(layout.filledWindowCount), immediate: 1)
        asm.bind(known)
    }

    /// Asks the TLB where a window did not match; fills it once; then gives up, or has the interpreter execute the guest instruction.
    mutating func assembleFailedProbe(_ i: Instruction, _ first: Opcode, _ window: Int?, _ skip: X86Label?, _ back: X86Label) {
        let unknown = asm.newLabel(), found = asm.newLabel(), bail = skip ?? asm.newLabel()
        if window != nil {
            addressToRAX(i.a, i.displacement)
            findEntries(i, miss: unknown)
        }
        asm.bind(found)
        if let number = window {
            asm.mov(.rcx, X86Memory(.rcx, Int32(layout.tlbAddend)))
            fillWindow(i, number, back)
        }
        if window != nil { asm.bind(unknown) }
        call(.probe, Site(guest: i.guest, first))
        asm.test(.rax, .rax)
        asm.jcc(.e, bail)
        addressToRAX(i.a, i.displacement)
        findEntries(i, miss: bail)
        asm.jmp(window == nil ? back : found)
        if skip == nil { add(.bail(guest: i.guest, .probe, entry: bail)) }
    }
}

extension Instruction {
    /// Of a probe: what must be allowed, and for how many bytes.
    var rights: ProbeRights {
        if case .constant(let bits) = c { return ProbeRights(rawValue: bits) }
        return []
    }

    fileprivate var probeLength: Int32 {
        if case .constant(let bytes) = b { return Int32(truncatingIfNeeded: bytes) }
        return 1
    }
}
