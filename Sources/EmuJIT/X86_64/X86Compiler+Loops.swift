import EmuIR

/// An innermost loop that is compiled twice. Its unchecked copy runs as many times round as the windows it walks through are certain
/// to hold, without looking at them: the budget is lowered to so many cycles, and the rest kept back in `reserve`. Everything rare, and
/// what comes after those times, is left to the checked copy; all registers are in the same places in both.
struct UncheckedLoop {
    let loop: InnerLoop
    /// By position of the block, in the unchecked copy.
    let labels: [Int: X86Label]
    /// In the checked copy: its head, once it has been considered to start a run.
    let checkedHead: X86Label
    /// Probes whose windows hold for a whole run, by block and temp, with the register for the window's addend, if there is one.
    let probes: [Probe]
    let usesFloat: Bool
    /// What its vector operations need as the configuration, all the same; 0 for any.
    let vectorKey: UInt32?
    /// What of vectors host registers hold where it begins.
    var carried: [X86VectorCache.Entry] = []
    /// Starting a run makes sure of that configuration, which nothing in the loop changes.
    var isConfigured: Bool { vectorKey != nil }

    struct Probe {
        let block: Int
        let instruction: Instruction
        let window: Int
        let addend: X86Register?
        let walk: Walk
        /// A register that does not change, by which the elements of a vector lie apart that the probe answers for; the number of the last one.
        let stride: (register: UInt8, last: Int32)?
    }
}

extension X86Compiler {
    /// Elements of a run lie less far apart, and one behind the other.
    private static let greatestStride: Int32 = 1 << 20
    /// Times round that make a run worth starting.
    private static let shortestRun: Int32 = 8
    /// Times the head is passed before the next attempt, after one that failed and after a run that was too short.
    private static let patience: Int32 = 8
    private static let longPatience: Int32 = 64

    /// Host registers the unchecked copies of these loops could use for addends.
    static func addendCount(_ loops: [InnerLoop], _ unit: IRUnit) -> Int { loops.reduce(0) { max($0, foreseeable($1, unit).count) } }

    /// The steady probes of a loop that every time round performs, with bases that move by known steps.
    private static func foreseeable(_ loop: InnerLoop, _ unit: IRUnit) -> [(block: Int, probe: Instruction, walk: Walk)] {
        loop.blocks.filter(loop.certain.contains).flatMap { block in
            unit.blocks[block].instructions.enumerated().compactMap { position, each in
                guard each.op == .probe, each.rights.contains(.steady), let walk = loop.walk(of: position, in: unit.blocks[block]) else { return nil }
                return (block, each, walk)
            }
        }
    }

    mutating func prepareRuns(_ loops: [InnerLoop], _ unit: IRUnit) {
        runs.removeAll()
        checked.removeAll()
        for loop in loops {
            var homes = assignment.addendHomes[...]
            let probes = Self.foreseeable(loop, unit).compactMap { block, probe, walk in
                window(of: probe.dst, in: block).map {
                    UncheckedLoop.Probe(
                        block: block, instruction: probe, window: $0, addend: homes.popFirst(), walk: walk, stride: Self.stride(of: probe, block, loop, unit))
                }
            }
            if probes.isEmpty { continue }
            for block in loop.blocks { checked[block] = unit.blocks[block].instructions.map { _ in asm.newLabel() } }
            let usesFloat = loop.blocks.contains { unit.blocks[$0].instructions.contains { $0.op == .guardFloat } }
            let labels = Dictionary(uniqueKeysWithValues: loop.blocks.map { ($0, asm.newLabel()) })
            runs.append(UncheckedLoop(loop: loop, labels: labels, checkedHead: asm.newLabel(), probes: probes, usesFloat: usesFloat, vectorKey: Self.vectorKey(of: loop, unit)))
        }
    }

    /// Of the strided load that a probe stands before.
    private static func stride(of probe: Instruction, _ block: Int, _ loop: InnerLoop, _ unit: IRUnit) -> (register: UInt8, last: Int32)? {
        guard let each = unit.blocks[block].instructions.first(where: { $0.op == .vloadStrided && $0.host == probe.dst }), !each.vector.isMasked, each.vector.count > 0,
            case .integer(let register) = each.c, loop.keeps(register) else { return nil }
        return (register, Int32(each.vector.count) - 1)
    }

    /// The configuration that all vector operations of a loop need, 0 where any will do; nil if there are none, or if it changes.
    private static func vectorKey(of loop: InnerLoop, _ unit: IRUnit) -> UInt32? {
        let operations = loop.blocks.flatMap { unit.blocks[$0].instructions.filter(\.op.info.isVector) }
        if operations.isEmpty || operations.contains(where: { $0.op == .vsetLength || $0.op == .vsetType }) { return nil }
        let keys = Set(operations.compactMap(\.vector.key))
        return keys.count > 1 ? nil : keys.first ?? 0
    }

    /// The unchecked copies, behind all else: they are only ever jumped to.
    mutating func assembleRuns(_ unit: IRUnit) {
        for index in runs.indices {
            run = index
            let blocks = runs[index].loop.blocks
            asm.align(to: 16)
            for (position, each) in blocks.enumerated() {
                block = each
                assemble(unit.blocks[each], in: unit, isFollowedBy: position + 1 < blocks.count ? blocks[position + 1] : nil)
            }
        }
        run = nil
    }

    /// At the head of a checked copy: every so often, tries to go on unchecked.
    mutating func considerRun() {
        guard let index = runs.firstIndex(where: { $0.loop.head == block }) else { return }
        let entry = asm.newLabel()
        asm.alu(.sub, patience(index), immediate: 1, .long)
        asm.jcc(.l, entry)
        asm.bind(runs[index].checkedHead)
        add(.startRun(loop: index, entry: entry))
    }

    // MARK: Starting and ending a run

    private func patience(_ index: Int) -> X86Memory { state.window(runs[index].probes[0].window).patience }

    /// Finds out how many times round all windows hold; runs the unchecked copy that often, or less if the budget ends before.
    mutating func startRun(_ index: Int) {
        let loop = runs[index].loop, fails = asm.newLabel()
        let times = state.field(layout.run)
        asm.mov(times, immediate: .max)
        if runs[index].usesFloat {
            asm.alu(.cmp, state.field(layout.floatLive), immediate: 0, .long)
            asm.jcc(.e, fails)
        }
        if let key = runs[index].vectorKey {
            asm.alu(.cmp, state.field(layout.vectorKey), immediate: Int32(bitPattern: key), .long)
            asm.jcc(key == 0 ? .e : .ne, fails)
        }
        for probe in runs[index].probes { limitRun(probe, times, fails) }
        asm.mov(.rax, times)
        asm.alu(.cmp, .rax, immediate: Self.shortestRun)
        asm.jcc(.b, fails)
        // All that was counted lies in guest memory, so that the product is far below 2⁶³.
        asm.imul(.rax, .rax, immediate: Int32(loop.shortest))
        asm.alu(.cmp, .rax, .r15)
        asm.cmov(.g, .rax, .r15)
        asm.mov(times, .rax)
        asm.alu(.sub, .r15, .rax)
        asm.mov(state.field(layout.reserve), .r15)
        asm.mov(.r15, .rax)
        for probe in runs[index].probes {
            if let home = probe.addend { asm.mov(home, state.window(probe.window).addend) }
        }
        for entry in runs[index].carried { reload(entry) }
        if let head = runs[index].labels[loop.head] { asm.jmp(head) }
        asm.bind(fails)
        asm.mov(patience(index), immediate: Self.patience, .long)
        asm.jmp(runs[index].checkedHead)
    }

    /// Lowers `times` to how often a probe's window is certain to hold; jumps to `fails` where it does not hold now.
    private mutating func limitRun(_ probe: UncheckedLoop.Probe, _ times: X86Memory, _ fails: X86Label) {
        let window = state.window(probe.window), walk = probe.walk
        distanceToRAX(probe)
        asm.alu(.cmp, .rax, window.limit)
        asm.jcc(.ae, fails)
        if let stride = probe.stride {
            load(.integer(stride.register), to: .rcx)
            asm.alu(.cmp, .rcx, immediate: Self.greatestStride)
            asm.jcc(.ae, fails)
        }
        // The base may have moved up to a whole step by the time of the probe.
        if walk.least < 0 {
            divide(by: -walk.least)
            limit(times)
        }
        if let stride = probe.stride {
            distanceToRAX(probe)
            load(.integer(stride.register), to: .rcx)
            asm.imul(.rcx, .rcx, immediate: stride.last)
            asm.alu(.add, .rax, .rcx)
            asm.alu(.cmp, .rax, window.limit)
            asm.jcc(.ae, fails)
        }
        if walk.most > 0 || walk.register != nil {
            if walk.least < 0, probe.stride == nil { distanceToRAX(probe) }
            asm.unary(.not, .rax)
            asm.alu(.add, .rax, window.limit)
            if let register = walk.register {
                load(.integer(register), to: .rcx)
                asm.test(.rcx, .rcx)
                asm.jcc(.le, fails)
                if walk.most > 0 { asm.alu(.add, .rcx, immediate: Int32(walk.most)) }
                asm.alu(.xor, .rdx, .rdx, .long)
                asm.unary(.div, .rcx)
            } else {
                divide(by: walk.most)
            }
            limit(times)
        }
    }

    /// rax = how far into its window a probe's address lies, seen from the head of the loop.
    private mutating func distanceToRAX(_ probe: UncheckedLoop.Probe) {
        let displacement = Int64(probe.instruction.displacement) + probe.walk.constant
        for (number, term) in probe.walk.terms.enumerated() {
            let place: X86Register = number == 0 ? .rax : .rcx
            load(.integer(term.register), to: place)
            if term.shift > 0 { asm.shift(.shl, place, by: term.shift) }
            if number > 0 { asm.alu(.add, .rax, .rcx) }
        }
        if let small = Int32(exactly: displacement) {
            if small != 0 { asm.alu(.add, .rax, immediate: small) }
        } else {
            asm.mov(.rcx, immediate: displacement)
            asm.alu(.add, .rax, .rcx)
        }
        asm.alu(.sub, .rax, state.window(probe.window).page)
    }

    /// rax = rax / step, unsigned.
    private mutating func divide(by step: Int64) {
        if step & (step - 1) == 0 {
            if step > 1 { asm.shift(.shr, .rax, by: UInt8(step.trailingZeroBitCount)) }
        } else {
            asm.mov(.rcx, immediate: step)
            asm.alu(.xor, .rdx, .rdx, .long)
            asm.unary(.div, .rcx)
        }
    }

    /// times = min(times, rax), unsigned.
    private mutating func limit(_ times: X86Memory) {
        asm.alu(.cmp, .rax, times)
        asm.cmov(.a, .rax, times)
        asm.mov(times, .rax)
    }

    /// Gives the reserve back when the unchecked copy is left before the run is over; learns whether runs are worth it. Uses rax.
    mutating func leaveRun() {
        guard let run else { return }
        let isLong = asm.newLabel()
        asm.mov(.rax, state.field(layout.run))
        asm.alu(.sub, .rax, .r15)
        asm.alu(.cmp, .rax, immediate: Self.shortestRun * Int32(runs[run].loop.shortest))
        asm.jcc(.ge, isLong)
        asm.mov(patience(run), immediate: Self.longPatience, .long)
        asm.bind(isLong)
        asm.alu(.add, .r15, state.field(layout.reserve))
    }

    /// The run is over before the block in hand, whose cycles are given back: after one time round with checks the next is tried.
    mutating func endRun(_ count: Int32) {
        guard let run else { return }
        asm.alu(.add, .r15, immediate: count)
        asm.alu(.add, .r15, state.field(layout.reserve))
        asm.mov(patience(run), immediate: 0, .long)
    }

    // MARK: Accesses

    /// Whether a probe needs no code in the copy in hand: its window holds for the whole run.
    func isAnsweredByRun(_ temp: Operand) -> Bool { probe(temp) != nil }

    /// Whether that goes for all elements of a strided load, too.
    func isStrideAnsweredByRun(_ temp: Operand) -> Bool { probe(temp)?.stride != nil }

    /// The register that holds the addend of a probe's window in the copy in hand, if one does.
    func addendHome(_ temp: Operand) -> X86Register? { probe(temp)?.addend }

    private func probe(_ temp: Operand) -> UncheckedLoop.Probe? {
        guard let run else { return nil }
        return runs[run].probes.first { $0.block == block && $0.instruction.dst == temp }
    }
}
