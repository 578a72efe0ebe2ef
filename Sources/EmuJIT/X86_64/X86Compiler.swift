import EmuIR

/// Turns a unit of IR into x86-64 code: one pass over the instructions, everything rare out of line behind the last block.
///
/// A unit begins with a word for its number and one for each block's address, which exits and helper calls name by their place.
struct X86Compiler: ~Copyable {
    /// Expected targets a computed jump is compared with, one after the other; more are found in a table.
    private static let greatestComparisons = 2

    let state: X86State
    var layout: StateLayout { state.layout }
    var asm = X86Assembler()
    var runtime = X86Runtime()
    var assignment = X86Assignment.canonical
    private(set) var isCanonical = true
    /// Helper calls of a unit that is not canonical.
    private var calls: [X86Label] = []

    private(set) var words: [X86Label] = []
    private(set) var labels: [X86Label] = []
    private var entries: [X86Label] = []
    private var retired: [X86Label] = []
    /// Position of the displacement, stub and target of each link.
    private var links: [(site: Int, stub: X86Label, target: GuestOffset)] = []
    /// For computed jumps with many expected targets: where code is by page offset, and where to go otherwise.
    private var tables: [(table: X86Label, other: X86Label, range: Range<GuestOffset>, targets: [(offset: GuestOffset, block: Int)])] = []
    /// With the position of their block, what is held where they come back to, and the unchecked loop they belong to.
    var stubs: [(block: Int, held: X86ValuePlan.Held, vectors: Int, run: Int?, stub: Stub)] = []
    private var isOutOfLine = false
    /// Block in hand, its instruction, and the block whose code follows.
    var block = 0
    var position = 0
    /// Its instructions whose result needs no replacement of NaNs.
    var unseen: Set<Int> = []
    private var following: Int?
    /// Innermost loops that have an unchecked copy, and which copy is in hand.
    var runs: [UncheckedLoop] = []
    var run: Int?
    /// By block of such a loop: where each instruction's checked code begins.
    var checked: [Int: [X86Label]] = [:]
    /// What is held of vectors there.
    var checkedVectors: [Int: [X86VectorCache]] = [:]
    /// Which values stay in host registers at this point of the block.
    var held = X86ValuePlan.Held()
    /// The slots of all temps, and by block the position of its first.
    private var temporarySlots: [Int8] = []
    private var firstTemporary: [Int] = []
    /// While slots are given: by temp the instruction that uses it last, and by slot the one it is taken until.
    private var lastUses: [Int] = []
    private var busyUntil: [Int] = []
    /// By block and temp: the window that keeps its value, or -1; empty in units without windows.
    var temporaryWindows: [[Int16]] = []
    /// The temp whose value is in rcx at this point, if one is.
    var tempInRCX: Operand = .none
    /// What an instruction leaves behind for the one after it.
    enum Leftover: Equatable {
        case nothing
        /// The carry flag of sum = a + b.
        case carry(sum: Operand, a: Operand, b: Operand)
        /// The product of a and b: its low half in rax, its high half, as the opcode defines it, in rdx.
        case product(a: Operand, b: Operand, high: Opcode)
    }
    /// What the instruction before this one left, and what this one does.
    var inherited = Leftover.nothing
    var leftover = Leftover.nothing
    /// Behind a multiplication: the instruction after it.
    var upcoming: Instruction?
    /// Of the vector operation in hand: where the interpreter executes it instead, and that place while its probe is in hand.
    var vectorSlow = X86Label(index: 0)
    var vectorSkip: X86Label?
    /// Behind the vector operation in hand, and whether its code is for any length.
    var vectorEnd = X86Label(index: 0)
    var takesAnyLength = false
    /// It must leave out what merely fills up a part of a host register, as elements behind the length.
    var leavesOutRest = false
    /// Host registers that may hold vectors, which of them do at this point of the block, and whether the operation in hand makes use of it.
    var vectorPool: [XMMRegister] = []
    var vectorCache = X86VectorCache()
    /// What was held where stubs are left to, by number, so that stubs stay plain values.
    var stubVectors: [X86VectorCache] = []
    var holdsVectors = false
    /// What the loop in hand carries around in host registers of its own.
    var carried: [X86VectorCache.Entry] = []
    /// What the configuration of vectors is known to be at this point of the block.
    var knownKey: UInt32?
    /// By instruction of the block in hand, in units with vectors.
    var vectorUses: [X86VectorUse] = []
    /// 32 bytes each.
    var vectorConstants: [(label: X86Label, words: [UInt64])] = []
    /// f registers that hold nothing but boxed singles in this unit: its entries make sure of it.
    private(set) var assumedBoxed: UInt32 = 0
    /// f registers known to be NaN-boxed at this point of the block.
    var boxed: UInt32 = 0

    /// Other threads access guest memory meanwhile: atomic operations are the host's.
    let isShared: Bool
    /// What code may use.
    let features: HostFeatures

    init(_ state: X86State, isShared: Bool, features: HostFeatures) {
        self.state = state
        self.isShared = isShared
        self.features = features
    }

    // MARK: Units

    /// Assembles a unit; false when it cannot be compiled.
    mutating func assemble(_ unit: IRUnit, number: UInt64, blockAddresses: [UInt], windows: [Int], loops: [InnerLoop], _ assignment: X86Assignment) -> Bool {
        asm.reset()
        assumedBoxed = assignment.singles
        self.assignment = assignment
        isCanonical = assignment == .canonical
        calls = isCanonical ? [] : HelperCall.allCases.map { _ in asm.newLabel() }
        links.removeAll(keepingCapacity: true)
        stubs.removeAll(keepingCapacity: true)
        stubVectors.removeAll(keepingCapacity: true)
        tables.removeAll(keepingCapacity: true)
        vectorConstants.removeAll(keepingCapacity: true)
        temporarySlots.removeAll(keepingCapacity: true)
        firstTemporary.removeAll(keepingCapacity: true)
        assignWindows(unit, windows)
        words.removeAll(keepingCapacity: true)
        words.append(asm.here())
        asm.data(number)
        for address in blockAddresses {
            words.append(asm.here())
            asm.data(UInt64(address))
        }
        asm.align(to: 16)
        labels = unit.blocks.map { _ in asm.newLabel() }
        retired = unit.blocks.map { _ in asm.newLabel() }
        entries = isCanonical ? labels : unit.blocks.map { _ in asm.newLabel() }
        run = nil
        prepareRuns(loops, unit)
        checkedVectors.removeAll(keepingCapacity: true)
        vectorPool = Self.vectorPool(unit, assignment)
        isOutOfLine = false
        for index in unit.blocks.indices {
            block = index
            guard assignTemporaries(unit.blocks[index]) else { return false }
            assemble(unit.blocks[index], in: unit, isFollowedBy: index + 1)
        }
        assembleRuns(unit)
        var next = 0
        // Stubs may add stubs.
        isOutOfLine = true
        while next < stubs.count {
            let stub: Stub
            let vectors: Int
            (block, held, vectors, run, stub) = stubs[next]
            vectorCache = vectors < 0 ? X86VectorCache() : stubVectors[vectors]
            following = nil
            assemble(stub, in: unit)
            next += 1
        }
        run = nil
        if !isCanonical { assembleEdges(unit) }
        for index in unit.blocks.indices {
            asm.bind(retired[index])
            asm.mov(.rax, immediate: Int64(unit.blocks[index].offset))
            asm.jmp(address: runtime.offsetExit)
        }
        assembleTables()
        assembleVectorConstants()
        return true
    }

    /// What a unit with an assignment of its own has more: entries that establish it, and its own helper calls.
    private mutating func assembleEdges(_ unit: IRUnit) {
        for (index, (entry, label)) in zip(entries, labels).enumerated() {
            let bail = asm.newLabel()
            asm.bind(entry)
            for guest in UInt8(0)..<32 where assumedBoxed >> UInt32(guest) & 1 != 0 {
                var upper = state.float(guest)
                upper.displacement += 4
                asm.alu(.cmp, upper, immediate: -1, .long)
                asm.jcc(.ne, bail)
            }
            state.enter(&asm, assignment)
            asm.jmp(label)
            if assumedBoxed == 0 { continue }
            // As if the block had been entered.
            asm.bind(bail)
            asm.alu(.sub, .r15, immediate: Int32(unit.blocks[index].guestCount))
            asm.mov(.rdx, immediate: Int64(Site(guest: 0, .guardFloat).rawValue))
            asm.lea(.rcx, words[1 + index])
            asm.jmp(address: runtime.bailExit)
        }
        for helper in HelperCall.allCases {
            asm.bind(calls[helper.rawValue])
            state.helperCall(&asm, helper, assignment, helperExit: runtime.helperExit)
        }
    }

    /// Before leaving the unit: everything to where other units expect it.
    mutating func toCanonical() {
        if !isCanonical { state.leave(&asm, assignment) }
    }

    /// Where everything is once the code has been put at `position`.
    func result(at position: Int) -> CompiledUnit {
        func place(_ label: X86Label) -> Int { position + (asm.offset(of: label) ?? 0) }
        return CompiledUnit(
            range: position..<position + asm.position,
            entries: zip(entries, retired).map { CompiledUnit.Entry(position: place($0), retired: place($1)) },
            links: links.map { CompiledUnit.Link(site: position + $0.site, stub: place($0.stub), target: $0.target) })
    }

    mutating func assemble(_ ir: IRBlock, in unit: IRUnit, isFollowedBy following: Int?) {
        self.following = following
        held = X86ValuePlan.Held()
        leftover = .nothing
        boxed = assumedBoxed
        prepareVectors(ir)
        asm.usesUpperHalves = true
        asm.bind(label(of: block))
        if run == nil { considerRun() }
        let budget = asm.newLabel(), count = Int32(ir.guestCount)
        asm.alu(.sub, .r15, immediate: count)
        asm.jcc(.l, budget)
        add(run == nil ? .budget(count: count, offset: ir.offset, entry: budget) : .endRun(count: count, entry: budget))
        tempInRCX = .none
        unseen = ir.instructions.contains { $0.op == .guardFloat } ? unseenResults(ir) : []
        var plan: X86ValuePlan?
        if !assignment.pool.isEmpty || run != nil {
            var leaves: [Bool] = []
            for each in ir.instructions { leaves.append(mayLeave(each)) }
            plan = X86ValuePlan(ir, assignment, leaves: leaves)
        }
        for (position, instruction) in ir.instructions.enumerated() {
            self.position = position
            if run == nil, let places = checked[block] {
                asm.bind(places[position])
                checkedVectors[block, default: []].append(vectorCache)
            }
            if let plan {
                if !plan.isNeeded[position] { continue }
                if plan.advance(&held, over: instruction, at: position), let holder = holder(instruction.dst) { asm.mov(holder, memory(instruction.dst)) }
            }
            defer { if let plan, plan.isStored[position] { storeHeld(instruction.dst) } }
            inherited = leftover
            leftover = .nothing
            if instruction.op == .mul { upcoming = position + 1 < ir.instructions.count ? ir.instructions[position + 1] : nil }
            if instruction.op == .probe {
                probe(instruction, before: ir.instructions[position + 1])
            } else {
                if instruction.host == .none { tempInRCX = .none }
                assemble(instruction)
            }
        }
        restoreCarried()
        terminate(ir, in: unit)
    }

    /// Where jumps inside the unit enter a block: in the copy in hand, if the block is part of it.
    @inline(__always)
    private func label(of block: Int) -> X86Label { run.flatMap { runs[$0].labels[block] } ?? labels[block] }

    /// Whether the code in hand may be left at an instruction. Accesses in unchecked loops are known to succeed.
    @inline(__always)
    private func mayLeave(_ instruction: Instruction) -> Bool {
        if instruction.op.info.isVector { return vectorMayLeave(instruction) }
        return instruction.mayLeave && !isAnsweredByRun(instruction.op == .probe ? instruction.dst : instruction.host)
    }

    /// Brings the state up to date with a register that has no home but is held.
    private mutating func storeHeld(_ register: Operand) {
        if let holder = holder(register) { asm.mov(memory(register), holder) }
    }

    /// Gives each temp a slot in the state from its first to its last use; false when there are not enough.
    private mutating func assignTemporaries(_ ir: IRBlock) -> Bool {
        let first = temporarySlots.count
        firstTemporary.append(first)
        if ir.tempCount == 0 { return true }
        temporarySlots.append(contentsOf: repeatElement(0, count: ir.tempCount))
        lastUses.removeAll(keepingCapacity: true)
        lastUses.append(contentsOf: repeatElement(0, count: ir.tempCount))
        for (position, each) in ir.instructions.enumerated() {
            noteUse(each.dst, position)
            noteUse(each.a, position)
            noteUse(each.b, position)
            noteUse(each.c, position)
        }
        noteUse(ir.terminator.operands.0, .max)
        noteUse(ir.terminator.operands.1, .max)
        busyUntil.removeAll(keepingCapacity: true)
        busyUntil.append(contentsOf: repeatElement(-1, count: layout.temporaryCount - assignment.pool.count))
        for (position, each) in ir.instructions.enumerated() {
            guard case .temp(let number) = each.dst else { continue }
            guard let slot = busyUntil.firstIndex(where: { $0 < position }) else { return false }
            busyUntil[slot] = max(lastUses[Int(number)], position)
            temporarySlots[first + Int(number)] = Int8(slot)
        }
        return true
    }

    /// The slot of a temp of the block in hand.
    func slot(ofTemporary number: UInt16) -> Int { Int(temporarySlots[firstTemporary[block] + Int(number)]) }

    private mutating func noteUse(_ operand: Operand, _ position: Int) {
        if case .temp(let number) = operand { lastUses[Int(number)] = position }
    }

    // MARK: Control flow

    private mutating func terminate(_ ir: IRBlock, in unit: IRUnit) {
        switch ir.terminator {
        case .jump(let target):
            jump(target, in: unit)
        case .branch(let relation, let a, let b, let taken, let next):
            held.dying = -1
            let condition = compare(relation, a, b)
            if leavesRun(taken, unit) {
                let entry = asm.newLabel()
                asm.jcc(condition, entry)
                add(.leaveRun(taken, entry: entry))
            } else if let index = unit.index(of: taken), index == following, !leavesRun(next, unit), let other = unit.index(of: next) {
                asm.jcc(condition.inverted, label(of: other))
                return
            } else if let index = unit.index(of: taken) {
                asm.jcc(condition, label(of: index))
            } else if isInPage(taken) && isCanonical {
                let stub = asm.newLabel()
                add(.leave(taken, link: links.count, entry: stub))
                links.append((asm.jccPatchable(condition, stub), stub, taken))
            } else {
                let entry = asm.newLabel()
                asm.jcc(condition, entry)
                add(.leave(taken, link: nil, entry: entry))
            }
            jump(next, in: unit)
        case .indirect(let base, let displacement, let isReturn):
            let exit = isReturn ? runtime.dispatchExit : runtime.computedExit
            if ir.expected.isEmpty {
                leaveComputed(base, displacement, exit: exit)
            } else {
                let other = asm.newLabel()
                jumpInside(base, displacement, ir.expected, in: unit, otherwise: other)
                add(.computed(base, displacement, exit: exit, entry: other))
            }
        case .interpret:
            callInterpreter(ir.terminatorGuest)
            // The helper never comes back here.
            asm.ud2()
        }
    }

    private func isInPage(_ target: GuestOffset) -> Bool { target >= 0 && target < 4096 }

    /// Whether a jump goes out of the unchecked loop in hand.
    private func leavesRun(_ target: GuestOffset, _ unit: IRUnit) -> Bool {
        guard let run else { return false }
        return unit.index(of: target).flatMap { runs[run].labels[$0] } == nil
    }

    mutating func jump(_ target: GuestOffset, in unit: IRUnit) {
        if leavesRun(target, unit) {
            leaveRun()
            let inside = run
            run = nil
            following = nil
            jump(target, in: unit)
            run = inside
        } else if let index = unit.index(of: target) {
            if index != following { asm.jmp(label(of: index)) }
        } else {
            leave(to: target)
        }
    }

    /// Leaves the unit for a known address.
    mutating func leave(to target: GuestOffset) {
        toCanonical()
        if isInPage(target) {
            let stub = asm.newLabel()
            add(.leave(target, link: links.count, entry: stub))
            links.append((asm.jmpPatchable(stub), stub, target))
        } else {
            asm.mov(.rax, state.field(layout.pageBase))
            asm.alu(.add, .rax, immediate: target)
            jumpThroughCache(exit: runtime.dispatchExit)
        }
    }

    private mutating func jumpThroughCache(exit: UInt) {
        state.jumpThroughCache(&asm) { $0.jcc(.ne, address: exit) }
    }

    /// Leaves the unit for a computed address.
    mutating func leaveComputed(_ base: Operand, _ displacement: Int32, exit: UInt) {
        addressToRAX(base, displacement)
        asm.alu(.and, .rax, immediate: -2)
        toCanonical()
        jumpThroughCache(exit: exit)
    }

    /// Goes to the block of the unit a computed jump leads to, if it is one of `targets` and the address is even.
    private mutating func jumpInside(_ base: Operand, _ displacement: Int32, _ targets: [GuestOffset], in unit: IRUnit, otherwise other: X86Label) {
        let targets = targets.compactMap { target in unit.index(of: target).map { (offset: target, block: $0) } }
        guard let lowest = targets.map(\.offset).min(), let highest = targets.map(\.offset).max() else { return asm.jmp(other) }
        if targets.count <= Self.greatestComparisons {
            addressToRAX(base, displacement)
            asm.alu(.sub, .rax, state.field(layout.pageBase))
            for (target, index) in targets.dropLast() {
                asm.alu(.cmp, .rax, immediate: target)
                asm.jcc(.e, labels[index])
            }
            // An unconditional jump is never predicted wrongly.
            asm.alu(.cmp, .rax, immediate: targets[targets.count - 1].offset)
            asm.jcc(.ne, other)
            asm.jmp(labels[targets[targets.count - 1].block])
        } else {
            let table = asm.newLabel()
            let (distance, overflow) = displacement.subtractingReportingOverflow(lowest)
            if overflow { return asm.jmp(other) }
            addressToRAX(base, distance)
            asm.alu(.sub, .rax, state.field(layout.pageBase))
            // Halfwords; an odd distance becomes a great one.
            asm.rorx(.rax, .rax, by: 1)
            asm.alu(.cmp, .rax, immediate: (highest - lowest) / 2)
            asm.jcc(.a, other)
            asm.lea(.rdx, table)
            asm.movsx(.rcx, X86Memory(.rdx, index: .rax, .by4), from: .long)
            asm.alu(.add, .rcx, .rdx)
            asm.jmp(.rcx)
            tables.append((table, other, lowest..<highest + 2, targets))
        }
    }

    private mutating func assembleTables() {
        for (table, other, range, targets) in tables {
            asm.align(to: 16)
            asm.bind(table)
            for offset in stride(from: range.lowerBound, to: range.upperBound, by: 2) {
                asm.data(from: table, to: targets.first { $0.offset == offset }.map { labels[$0.block] } ?? other)
            }
        }
    }

    private mutating func compare(_ relation: Relation, _ a: Operand, _ b: Operand) -> X86Condition {
        var a = a, b = b
        if case .constant = a {
            swap(&a, &b)
            compareOperands(a, b)
            return relation.swappedCondition
        }
        compareOperands(a, b)
        return relation.condition
    }

    // MARK: Helpers

    /// Calls a helper with rax as its operand; the result arrives in rax. Host registers that hold vectors are read again where the code comes back
    /// from out of line, and hold nothing any more elsewhere.
    mutating func call(_ helper: HelperCall, _ site: Site) {
        asm.mov(.rdx, immediate: Int64(site.rawValue))
        asm.lea(.rcx, words[1 + block])
        if isCanonical { asm.call(address: runtime.calls[helper.rawValue]) } else { asm.call(calls[helper.rawValue]) }
        if isOutOfLine { return reloadVectors(vectorCache) }
        vectorCache.removeAll()
        knownKey = nil
    }

    mutating func callInterpreter(_ guest: UInt16) { call(.interpret, Site(guest: guest, .interpret)) }
}

extension Relation {
    var condition: X86Condition {
        switch self {
        case .eq: .e
        case .ne: .ne
        case .lt: .l
        case .ge: .ge
        case .ltu: .b
        case .geu: .ae
        }
    }

    /// The same for exchanged operands.
    var swappedCondition: X86Condition {
        switch self {
        case .eq: .e
        case .ne: .ne
        case .lt: .g
        case .ge: .le
        case .ltu: .a
        case .geu: .be
        }
    }
}
