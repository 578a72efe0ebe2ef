import EmuBus
import EmuIR
import EmuJIT
import Glibc

/// Translated code and the interpreter run side by side: every unit of translated code is executed by both, from the same state and for
/// the same number of cycles, and what they leave behind is compared: all that a snapshot saves of the hart, and memory.
///
/// Nothing is linked and no jump is remembered, so that each unit comes back to be compared. What cannot be done twice (device
/// accesses, reading time, flushing TLBs, waiting) ends the translated run before it; the interpreter does it once, after the comparison.
/// docs/translator.md has more.
package final class RVLockstep {
    /// What the hart does.
    enum Phase {
        /// The interpreter runs alone.
        case alone
        case translated
        case interpreted
    }

    let journal = PageJournal()
    fileprivate(set) var phase = Phase.alone
    /// Told the first difference, with all there is to know about it. The hart has been asked to stop.
    private let mismatch: (String) -> Void
    /// Runs of translated code compared, and cycles they took.
    package fileprivate(set) var comparisons = 0
    package fileprivate(set) var cycles = 0
    fileprivate var hasFailed = false
    /// The translated run ended before something that cannot be done twice.
    fileprivate var isInterrupted = false
    /// The hart's state before a run, and after the first of both; without what belongs to translated code alone.
    fileprivate let before: UnsafeMutablePointer<RVHart>
    fileprivate let after: UnsafeMutablePointer<RVHart>
    /// A jump cache that knows nothing.
    fileprivate let noJumps: UnsafeMutablePointer<JumpCacheEntry>

    /// SAFETY: the buffers live as long as the object. States are copied into them before they are read.
    package init(mismatch: @escaping (String) -> Void) {
        self.mismatch = mismatch
        before = .allocate(capacity: 1)
        after = .allocate(capacity: 1)
        noJumps = .allocate(capacity: TLBView.jumpCount)
        noJumps.initialize(repeating: JumpCacheEntry(), count: TLBView.jumpCount)
    }

    deinit {
        before.deallocate()
        after.deallocate()
        noJumps.deallocate()
    }

    /// Translated code may be entered: it has not just run, nobody watches (who would see everything twice), and all was well so far.
    func allowsTranslatedCode(_ processor: RVProcessor) -> Bool { phase == .alone && processor.watch == nil && !hasFailed }

    fileprivate func fail(_ report: String) {
        hasFailed = true
        mismatch(report)
    }

    /// True for what the interpreter alone must do, once.
    static func isUnrepeatable(_ r: DecodedOp) -> Bool {
        switch r.rv {
        // Their accesses may reach devices.
        case _ where r.rv.isVectorMemory: return true
        case .wfi, .wrs_nto, .wrs_sto, .pause, .sfence_vma, .sinval_vma, .hfence_vvma, .hfence_gvma, .hinval_vvma, .hinval_gvma: return true
        case _ where r.rv.isGuestAccess: return true
        // It may be a semihosting call.
        case .ebreak: return true
        case .csrrw, .csrrs, .csrrc, .csrrwi, .csrrsi, .csrrci:
            // They read the clock, set a timer or flush TLBs.
            switch RVCSR(rawValue: UInt16(truncatingIfNeeded: r.imm & 0xfff)) {
            case .tdata1, .tdata2, .tdata3, .scontext, .hcontext, .mcontext, .time, .mip, .sip, .stimecmp, .menvcfg, .satp, .hip, .vsip, .vstimecmp, .htimedelta, .henvcfg, .vsatp, .hgatp, .vstopi, .pmpcfg0, .pmpcfg2, .mseccfg, .seed: return true
            // Interrupt files are outside of the hart's state.
            case .mireg, .sireg, .vsireg, .mtopei, .stopei, .vstopei, .mtopi, .stopi, .hgeip: return true
            case let csr?: return RVCSR.pmpaddr0.rawValue...RVCSR.pmpaddr15.rawValue ~= csr.rawValue
            case nil: return false
            }
        default: return false
        }
    }
}

extension RVProcessor {
    /// Notes that the translated run ends before the instruction in hand.
    func interruptComparison() { comparison?.isInterrupted = true }

    /// True for what the interpreter alone must do, once.
    func isUnrepeatable(_ r: DecodedOp) -> Bool {
        guard let bytes = plainVectorBytes(r) else { return RVLockstep.isUnrepeatable(r) }
        // In one piece: where both ends are memory, all of it is.
        let first = x[Int(r.rs1)], access: RVAccess = r.rv == .vse || r.rv == .vsr ? .store : .load
        return bytes > 0 && (accessIsUnrepeatable(first, access) || accessIsUnrepeatable(first &+ UInt64(bytes - 1), access))
    }

    /// Bytes of a vector access that is certain to be legal and to start with its first byte; nil for others.
    private func plainVectorBytes(_ r: DecodedOp) -> Int? {
        guard h.pointee.mstatus & RVStatus.vs != 0, h.pointee.vstart == 0, h.pointee.addressTriggers == 0 else { return nil }
        let fields = Int(r.raw >> 29) + 1, register = Int(r.raw >> 7 & 31)
        switch r.rv {
        case .vlr, .vsr:
            return register % fields == 0 ? fields * vlenb : nil
        case .vle, .vse, .vleff:
            let width = r.vectorForm == 0 ? 0 : Int(r.vectorForm) - 4, multiplier = Int(h.pointee.vtype & 7)
            let isMasked = r.raw >> 25 & 1 == 0, registers = multiplier < 4 ? 1 << multiplier : 1
            guard h.pointee.vtype >> 63 == 0, fields == 1, !isMasked, Int(h.pointee.vtype >> 3 & 7) == width, register % registers == 0 else { return nil }
            return Int(h.pointee.vl) << width
        default:
            return nil
        }
    }

    /// True when the access reaches a device.
    func accessIsUnrepeatable(_ address: UInt64, _ access: RVAccess) -> Bool {
        guard let physical = look(address, access) else { return false }
        return bus.memory(at: physical) == nil
    }

    /// Runs the unit that `code`, of `block`, belongs to, by translated code and by the interpreter. `h.pc` and `h.remaining` are up to date
    /// before and afterwards.
    /// - Returns: nil to go on.
    @inline(never)
    func runLockstep(_ block: UnsafeMutablePointer<Block>, _ code: UnsafeRawPointer, _ lockstep: RVLockstep) -> ExitReason? {
        guard let host = cache.hostCode else { return nil }
        let start = h.pointee.pc
        let budget = h.pointee.remaining
        let unit = block.pointee.unit
        let contents = host.contents(unit: unit)
        let log = Log.enabled
        countCycles(budget)
        h.pointee.x[32] = 0
        Self.copy(h, to: lockstep.before)

        // The translated run.
        lockstep.journal.begin()
        lockstep.phase = .translated
        lockstep.isInterrupted = false
        // What probes remember of earlier runs is not true for the journal.
        h.pointee.windowChanges = 0
        // Both runs walk page tables from the root.
        h.pointee.walkChanges = 0
        Log.enabled = []
        let (exit, stops) = runUnit(code, lockstep)
        let cycles = budget &- h.pointee.remaining
        countCycles(h.pointee.remaining)
        h.pointee.x[32] = 0
        Self.copy(h, to: lockstep.after)
        lockstep.journal.rewind()
        Log.enabled = log

        // The interpreter's run, with a budget of just as many cycles. The slice shrinks by what the budget does, so that totals agree.
        rewind(to: lockstep.before)
        h.pointee.walkChanges = 0
        lockstep.phase = .interpreted
        var reason = ExitReason.budget
        if cycles > 0 {
            h.pointee.sliceBudget &-= budget &- cycles
            h.pointee.remaining = cycles
            reason = runBlocks()
            h.pointee.remaining &+= budget &- cycles
            h.pointee.sliceBudget &+= budget &- cycles
            countCycles(h.pointee.remaining)
        }
        h.pointee.x[32] = 0
        lockstep.phase = .alone
        lockstep.comparisons += 1
        lockstep.cycles += cycles
        let isSame = memcmp(h, lockstep.after, Self.savedSize) == 0 && h.pointee.remaining == budget &- cycles && stops == (reason == .requested)
        let memory = lockstep.journal.difference()
        if !isSame || memory != nil {
            let report = lockstepReport(lockstep, start, cycles, exit, contents, memory, host)
            lockstep.journal.finish()
            h.pointee.request |= RVRequest.exit
            lockstep.fail(report)
            return nil
        }
        lockstep.journal.finish()
        if stops { return .requested }

        if lockstep.isInterrupted { return runAlone(1) }
        switch exit {
        case .budget: budgetExit()
        default:
            // Where the slice ends is where time is spent; with nothing linked, translated code does not notice by itself.
            if h.pointee.remaining < Self.maximumBlock, unit >= 0 {
                h.pointee.exitUnit = UInt64(unit)
                h.pointee.exitSite = 0
                budgetExit()
            }
        }
        return nil
    }

    /// The translated half: what `runBlocks` does with translated code, but for links.
    private func runUnit(_ code: UnsafeRawPointer, _ lockstep: RVLockstep) -> (CodeExit, stops: Bool) {
        let exit = runTranslated(code, jumps: lockstep.noJumps)
        switch exit {
        case .bail:
            // Where nothing may leave the block, code need not have computed what a later instruction of the block overwrites. The
            // interpreter, which goes on here, comes to that instruction before anybody looks.
            let rest = lockstep.isInterrupted ? 0 : instructionsWithoutExit()
            h.pointee.pc = resumeBailed(&h.pointee.remaining)
            if rest == 0 {
                lockstep.isInterrupted = true
                return (exit, false)
            }
            return (exit, runAlone(rest) == .requested)
        case .trap:
            countCycles(h.pointee.remaining)
            h.pointee.nonRetired &+= 1
            takeTrap(cause: h.pointee.trapCause, value: h.pointee.trapValue, pc: h.pointee.pc)
        case .dispatch, .computed, .link, .budget, .wait, .yield: break
        }
        guard h.isRequested else { return (exit, false) }
        countCycles(h.pointee.remaining)
        return (exit, serveRequests())
    }

    /// Copies all but what belongs to translated code alone.
    private static func copy(_ source: UnsafePointer<RVHart>, to target: UnsafeMutablePointer<RVHart>) {
        UnsafeMutableRawPointer(target).copyMemory(from: source, byteCount: MemoryLayout<RVHart>.offset(of: \RVHart.pageBase) ?? savedSize)
    }

    /// The hart's state as it was; memory and TLBs are so already.
    private func rewind(to state: UnsafeMutablePointer<RVHart>) {
        let views = (h.pointee.dataView, h.pointee.fetchView)
        Self.copy(state, to: h)
        // A view may stand for something else by now.
        if views != (h.pointee.dataView, h.pointee.fetchView) { viewChanged() }
        csrLevelChanged()
    }

    /// After a bail: the instructions from the one in hand on, up to the first that may leave the block; 0 when that is
    /// the one in hand, unless it is a load or store that can be repeated.
    private func instructionsWithoutExit() -> Int {
        guard let block = UnsafeMutablePointer<Block>(bitPattern: UInt(h.pointee.exitUnit)) else { return 0 }
        let site = Site(rawValue: h.pointee.exitSite)
        let position = site.guest
        if site.op == .probe {
            // The interpreter must ask for the page as the probe did, which marks it accessed.
            let ip = block.pointee.ops + position
            let access: RVAccess =
                switch ip.pointee.rv {
                case .sb, .sh, .sw, .sd, .fsh, .fsw, .fsd, .vse, .vsr: .store
                default: .load
                }
            return accessIsUnrepeatable(accessAddress(ip), access) ? 0 : 1
        }
        var translator = makeTranslator()
        let ir = translator.translate(block)
        let exits = ir.instructions.filter { $0.op.info.mayLeave && Int($0.guest) >= position }.map { Int($0.guest) }
        if let next = exits.first { return next - position }
        if case .interpret = ir.terminator { return Int(block.pointee.count) - 1 - position }
        return Int(block.pointee.count) - position
    }

    /// The interpreter executes `count` instructions alone.
    private func runAlone(_ count: Int) -> ExitReason? {
        let rest = h.pointee.remaining - count
        if rest < 0 { return nil }
        h.pointee.sliceBudget &-= rest
        h.pointee.remaining = count
        // `runBlocks` asks once, when it starts, whether translated code may run.
        let phase = comparison?.phase
        comparison?.phase = .interpreted
        let reason = runBlocks()
        if let phase { comparison?.phase = phase }
        h.pointee.remaining &+= rest
        h.pointee.sliceBudget &+= rest
        return reason == .budget ? nil : reason
    }

    /// Allows direct stores to a page that a probe asks for and that stores have reached before.
    func openForProbe(_ address: UInt64) {
        guard let comparison else { return }
        let entry = h.pointee.dataView.pointee.stores.entry(address)
        guard entry.pointee.tag == address & TLBEntry.pageMask | TLBEntry.slow else { return }
        let physical = h.pointee.dataView.pointee.stores.physicalPage(address)
        guard let memory = bus.memory(at: physical), !memory.isReadOnly,
            memory.pageFlags[Int((physical &- memory.base) >> UInt64(GuestRAM.pageShift))] & GuestRAM.PageFlags.hasCode == 0 else { return }
        comparison.journal.willWrite(memory, physical)
        wroteMemory(memory, physical, 1, address)
    }
}

// MARK: Reports

extension RVProcessor {
    private func lockstepReport(
        _ lockstep: RVLockstep, _ start: UInt64, _ cycles: Int, _ exit: CodeExit, _ contents: (blocks: [UnsafeMutablePointer<Block>], range: Range<Int>)?,
        _ memory: (address: UInt64, first: [UInt8], second: [UInt8])?, _ host: HostCodeCache
    ) -> String {
        var text = "translated code and the interpreter differ: hart \(index), entered at \(hex(start)), \(cycles) cycles, exit '\(exit)'\n"
        if h.pointee.remaining != lockstep.after.pointee.remaining {
            text += "cycles left: translated \(lockstep.after.pointee.remaining), interpreted \(h.pointee.remaining)\n"
        }
        for (name, old, first, second) in RVStateFields.differences(
            Self.savedBytes(lockstep.before), Self.savedBytes(lockstep.after), Self.savedBytes(h)
        ).prefix(16) {
            text += "\(name): translated \(hex(first)), interpreted \(hex(second)), before \(hex(old))\n"
        }
        if let memory {
            func word(_ bytes: [UInt8]) -> String { hex(bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }) }
            text += "memory at \(hex(memory.address)): translated \(word(memory.first)), interpreted \(word(memory.second))\n"
        }
        guard let contents else { return text }
        text += "\nguest code:\n"
        let page = start & TLBEntry.pageMask
        var translator = makeTranslator()
        var unit = IRUnit(blocks: [])
        for block in contents.blocks {
            let pc = page | block.pointee.physicalPC & 0xfff
            for position in 0..<Int(block.pointee.count) {
                let op = block.pointee.ops[position]
                let address = pc &+ UInt64(op.offset)
                text += "\(hex(address)):  \(hex(UInt64(op.raw)))  \(disassembler.text(bits: op.raw, address: address).text)\n"
            }
            text += "\n"
            unit.blocks.append(translator.translate(block))
        }
        text += "registers before:\n"
        for register in 1..<32 { text += "x\(register)=\(hex(lockstep.before.pointee.x[register]))\(register % 4 == 0 ? "\n" : " ")" }
        text += "\n\nIR:\n\(unit)\n"
        var optimizer = IROptimizer()
        optimizer.run(&unit)
        text += "optimised IR:\n\(unit)\nhost code:\n"
        let address = UInt(bitPattern: host.backend.buffer.executable(contents.range.lowerBound))
        let bytes = UnsafeRawBufferPointer(start: UnsafeRawPointer(bitPattern: address), count: contents.range.count)
        for line in HostDisassembler.Architecture.host.flatMap({ HostDisassembler($0) })?.lines(bytes, address: UInt64(address)) ?? [] { text += "\(line)\n" }
        return text
    }
}

extension RVProcessor {
    private static func savedBytes(_ state: UnsafePointer<RVHart>) -> [UInt8] { Array(UnsafeRawBufferPointer(start: state, count: savedSize)) }

    /// Registers and fields in which two saved states (`encodedState`) differ, with both values.
    package static func differences(_ first: [UInt8], _ second: [UInt8]) -> [(name: String, first: UInt64, second: UInt64)] {
        guard first.count == savedSize, second.count == savedSize else { return [] }
        return RVStateFields.differences(first, first, second).map { ($0.name, $0.first, $0.second) }
    }
}

/// Names for the saved part of `RVHart`, for reports.
package enum RVStateFields {
    private static func field<Value>(_ name: String, _ path: KeyPath<RVHart, Value>) -> (Int, Int, String)? {
        MemoryLayout<RVHart>.offset(of: path).map { ($0, MemoryLayout<Value>.size, name) }
    }

    /// The fields behind the floating-point registers.
    private static let fields: [(offset: Int, size: Int, name: String)] = [
        field("padding", \.registerPadding), field("v", \.v),
        field("pc", \.pc), field("privilege", \.privilege), field("fflags", \.fflags), field("frm", \.frm), field("waiting", \.waiting), field("virtualisation mode", \.virtualization),
        field("mstatus", \.mstatus), field("medeleg", \.medeleg), field("mideleg", \.mideleg), field("mie", \.mie),
        field("mip (software)", \.mipSoftware), field("mip (wires)", \.mipLines), field("mtvec", \.mtvec), field("mcounteren", \.mcounteren),
        field("menvcfg", \.menvcfg), field("mcountinhibit", \.mcountinhibit), field("mscratch", \.mscratch), field("mepc", \.mepc),
        field("mcause", \.mcause), field("mtval", \.mtval), field("mstateen", \.mstateen), field("mseccfg", \.mseccfg), field("entropy", \.entropy), field("mtval2", \.mtval2), field("srmcfg", \.srmcfg),
        field("mnscratch", \.mnscratch), field("mnepc", \.mnepc), field("mncause", \.mncause), field("mnstatus", \.mnstatus),
        field("non-maskable pending", \.nonMaskablePending), field("critical error", \.criticalError), field("mctrctl", \.mctrctl), field("vsctrctl", \.vsctrctl),
        field("sctrstatus", \.sctrstatus), field("sctrdepth", \.sctrdepth), field("transfers", \.transfers), field("tselect", \.tselect),
        field("tdata1", \.tdata1), field("tdata2", \.tdata2), field("tdata3", \.tdata3), field("scontext", \.scontext), field("mcontext", \.mcontext),
        field("trigger cycles", \.triggerCycles), field("ssp", \.ssp), field("expected landing pad", \.expectedLandingPad), field("stvec", \.stvec),
        field("scounteren", \.scounteren), field("senvcfg", \.senvcfg), field("sscratch", \.sscratch), field("sepc", \.sepc),
        field("scause", \.scause), field("stval", \.stval), field("satp", \.satp), field("stimecmp", \.stimecmp),
        field("miselect", \.miselect), field("siselect", \.siselect), field("mvien", \.mvien), field("mvip", \.mvip),
        field("sie (not delegated)", \.virtualEnable), field("pmpcfg", \.pmpcfg),
        field("sstatus (standby)", \.standby.status), field("stvec (standby)", \.standby.stvec), field("sscratch (standby)", \.standby.sscratch),
        field("sepc (standby)", \.standby.sepc), field("scause (standby)", \.standby.scause), field("stval (standby)", \.standby.stval),
        field("satp (standby)", \.standby.satp), field("vsstatus.FS and VS", \.guestUnits), field("hstatus", \.hstatus), field("hedeleg", \.hedeleg),
        field("hideleg", \.hideleg), field("hvip", \.hvip), field("hgeip", \.hgeip), field("hgeie", \.hgeie), field("henvcfg", \.henvcfg),
        field("hcounteren", \.hcounteren), field("htimedelta", \.htimedelta), field("htval", \.htval), field("htinst", \.htinst), field("hgatp", \.hgatp),
        field("mtinst", \.mtinst), field("hstateen", \.hstateen), field("vstimecmp", \.vstimecmp), field("vsiselect", \.vsiselect),
        field("hvien", \.hvien), field("hvictl", \.hvictl), field("vsie (not delegated)", \.guestEnable),
        field("pmpaddr", \.pmpaddr), field("vstart", \.vstart),
        field("vl", \.vl), field("vtype", \.vtype), field("vxrm", \.vxrm), field("vxsat", \.vxsat), field("padding", \.vectorPadding),
        field("mhpmevent", \.mhpmevent), field("mhpmcounter", \.mhpmcounter), field("mcycle (offset)", \.mcycleOffset),
        field("minstret (offset)", \.minstretOffset), field("counters' cycles", \.counterCycles), field("counters' instructions", \.counterRetired),
        field("reservation", \.reservedAddress), field("reservation's length", \.reservedLength), field("cycles", \.totalCycles),
        field("cycles without instruction", \.nonRetired),
    ].compactMap { $0 }

    /// Everything that is saved, arrays by element: offset and size in bytes, and name. Padding, too: it must not differ either.
    package static let elements: [(offset: Int, size: Int, name: String)] = (0..<32).map { (8 * $0, 8, "x\($0)") } + [(8 * 32, 8, "writes to x0")]
        + (0..<32).map { (8 * (33 + $0), 8, "f\($0)") }
        + fields.flatMap { field in
            stride(from: 0, to: field.size, by: 8).map { (field.offset + $0, min(8, field.size - $0), field.size > 8 ? "\(field.name)[\($0 / 8)]" : field.name) }
        }

    /// Registers and fields in which `first` and `second` differ, with their values and that in `before`.
    static func differences(
        _ before: [UInt8], _ first: [UInt8], _ second: [UInt8]
    ) -> [(name: String, before: UInt64, first: UInt64, second: UInt64)] {
        let states = [before, first, second]
        return elements.compactMap { offset, size, name in
            let values = states.map { state in (0..<size).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64(state[offset + $1]) } }
            return values[1] == values[2] ? nil : (name, values[0], values[1], values[2])
        }
    }
}
