import EmuIR

/// Which values of one block stay in host registers from where they are computed to where they are read last: temps, and registers that
/// have no home in the unit.
///
/// The hart's state gets such a register's value besides, unless it is overwritten before anyone else can look: then only the
/// host register has it. So code that leaves the block finds everything where it belongs, and the processor need not wait for a store to
/// read back what it has just computed.
struct X86ValuePlan {
    /// What the host registers of `X86Assignment.pool` hold.
    struct Held: Equatable {
        /// By position in the pool: 0…31 for an integer register, 32 and above for a temp, or -1.
        var slots = SIMD8<Int16>(repeating: -1)
        /// What this instruction reads last as its first operand, and the register it leaves to the result; -1 for none.
        var dying: Int16 = -1
        var dyingRegister = -1

        /// Position of the register that holds a variable.
        func position(of slot: Int16) -> Int? {
            if slot < 0 { return nil }
            if slot == dying { return dyingRegister }
            return slots.indices.first { slots[$0] == slot }
        }
    }

    /// Registers a pool may have.
    static let greatestPool = SIMD8<Int16>.scalarCount

    /// A value, or several of one variable of which each is computed from the one before.
    private struct Interval {
        var slot: Int16
        var start: Int
        var end: Int
        var reads = 0
        /// Position in the pool, or -1.
        var register: Int8 = -1
        /// Its first instruction's first operand, which that may leave its register; -1 for none.
        var source: Int16

        /// Whether it is worth a register more than another one.
        func isDenser(than other: Interval) -> Bool {
            reads * (other.end - other.start + 1) > other.reads * (end - start + 1)
        }
    }

    /// By instruction: position in the pool of the register that gets its result, or -1.
    private(set) var registers: [Int8] = []
    /// By instruction: that result must be in the state too.
    private(set) var isStored: [Bool] = []
    /// By instruction: it is of use.
    private(set) var isNeeded: [Bool] = []

    /// The place of an operand in `Held`; -1 when it never has one.
    @inline(__always)
    static func slot(_ operand: Operand) -> Int16 {
        switch operand {
        case .integer(let guest): Int16(guest)
        case .temp(let number): number < 1 << 14 ? 32 + Int16(number) : -1
        case .none, .float, .vector, .constant: -1
        }
    }

    /// - Parameter leaves: for each instruction, whether the block may be left there: then all registers are seen.
    init(_ block: IRBlock, _ assignment: X86Assignment, leaves: [Bool]) {
        let count = block.instructions.count
        registers = Array(repeating: -1, count: count)
        isStored = Array(repeating: false, count: count)
        isNeeded = Array(repeating: true, count: count)
        var intervals: [Interval] = []
        let owners = Self.findIntervals(block, assignment, &intervals)
        Self.allocate(&intervals, assignment.pool.count)
        // Whether anyone can look at a register, after an instruction, before it is overwritten; and whether anyone does, or at a temp.
        var isSeen = Array(repeating: true, count: 32)
        var isRead = Array(repeating: true, count: 32 + block.tempCount)
        for (position, each) in block.instructions.enumerated().reversed() {
            let slot = Int(Self.slot(each.dst))
            if case .integer(let guest) = each.dst {
                isStored[position] = isSeen[Int(guest)]
                isNeeded[position] = isSeen[Int(guest)] || isRead[slot] || !each.op.info.isPure
                isSeen[Int(guest)] = false
                isRead[slot] = false
            }
            if !isNeeded[position] { continue }
            if leaves[position] { for guest in isSeen.indices { isSeen[guest] = true } }
            for operand in [each.a, each.b, each.c] where Self.slot(operand) >= 0 { isRead[Int(Self.slot(operand))] = true }
            if owners[position] >= 0 { registers[position] = intervals[owners[position]].register }
        }
    }

    /// By instruction: the interval its result is part of, or -1.
    private static func findIntervals(_ block: IRBlock, _ assignment: X86Assignment, _ intervals: inout [Interval]) -> [Int] {
        var owners = Array(repeating: -1, count: block.instructions.count)
        var open = Array(repeating: -1, count: 32 + block.tempCount)
        func read(_ operand: Operand, _ position: Int) {
            let slot = Int(slot(operand))
            guard slot >= 0, open[slot] >= 0 else { return }
            intervals[open[slot]].end = position
            intervals[open[slot]].reads += 1
        }
        for (position, each) in block.instructions.enumerated() {
            let slot = Int(slot(each.dst))
            let before = slot >= 0 ? open[slot] : -1
            for operand in [each.a, each.b, each.c] { read(operand, position) }
            if each.op == .interpret { for guest in 0..<32 { open[guest] = -1 } }
            if slot < 0 { continue }
            open[slot] = -1
            // The interpreter may execute an atomic operation or a conversion instead; then its result is in the state.
            if assignment.hasHome(each.dst) || each.op == .probe || each.op.info.isAtomic || each.op.info.isGuarded || each.op.info.isVector { continue }
            if before >= 0, each.reads(each.dst) {
                open[slot] = before
            } else {
                open[slot] = intervals.count
                // What it reads of its destination is fetched into the register first.
                let isSource = each.a != each.b && each.a != each.c && !each.reads(each.dst)
                intervals.append(Interval(slot: Int16(slot), start: position, end: position, source: isSource ? self.slot(each.a) : -1))
            }
            owners[position] = open[slot]
        }
        read(block.terminator.operands.0, block.instructions.count)
        read(block.terminator.operands.1, block.instructions.count)
        return owners
    }

    /// Gives registers to intervals, in the order of their starts; where there are too few, to those read most for their length. No two
    /// that one instruction touches share one, but for a first operand that is read last there and the result.
    private static func allocate(_ intervals: inout [Interval], _ registerCount: Int) {
        var owners = Array(repeating: -1, count: registerCount)
        for number in intervals.indices where intervals[number].reads > 0 {
            let start = intervals[number].start, source = intervals[number].source
            func isFree(_ owner: Int) -> Bool { owner < 0 || intervals[owner].end < start }
            func isLeft(_ owner: Int) -> Bool { owner >= 0 && source >= 0 && intervals[owner].slot == source && intervals[owner].end == start }
            if let free = owners.firstIndex(where: isLeft) ?? owners.firstIndex(where: isFree) {
                intervals[number].register = Int8(free)
                owners[free] = number
                continue
            }
            var weakest = number
            for owner in owners where intervals[weakest].isDenser(than: intervals[owner]) { weakest = owner }
            if weakest == number { continue }
            intervals[number].register = intervals[weakest].register
            owners[Int(intervals[number].register)] = number
            intervals[weakest].register = -1
        }
    }

    /// What is held while the instruction at `position` runs, given what was held before it.
    /// - Returns: whether the instruction reads its destination, which now is held and was not: its value must be fetched first.
    func advance(_ held: inout Held, over instruction: Instruction, at position: Int) -> Bool {
        held.dying = -1
        if instruction.op == .interpret {
            // It may have written any register.
            held.slots.replace(with: -1, where: held.slots .< 32)
            return false
        }
        let slot = Self.slot(instruction.dst)
        if slot < 0 { return false }
        let wasHeld = any(held.slots .== slot)
        held.slots.replace(with: -1, where: held.slots .== slot)
        let register = Int(registers[position])
        guard register >= 0 else { return false }
        if held.slots[register] >= 0, held.slots[register] == Self.slot(instruction.a) {
            held.dying = held.slots[register]
            held.dyingRegister = register
        }
        held.slots[register] = slot
        return !wasHeld && instruction.reads(instruction.dst)
    }
}

extension X86ValuePlan {
    /// Roughly what the block spends on variables in memory, in cycles.
    /// - Parameter written: integer registers, by bit, that the loop around the block writes.
    func cost(of block: IRBlock, _ assignment: X86Assignment, written: UInt32) -> Int {
        var held = Held()
        var here = Set<Int16>()
        var cost = 0
        func read(_ operand: Operand) {
            let slot = Self.slot(operand)
            if slot < 0 || assignment.hasHome(operand) || held.position(of: slot) != nil { return }
            // What has just been stored is not there at once.
            if here.contains(slot) { cost += 5 } else { cost += slot < 32 && written >> UInt32(slot) & 1 != 0 ? 3 : 1 }
        }
        for (position, each) in block.instructions.enumerated() {
            for operand in [each.a, each.b, each.c] { read(operand) }
            _ = advance(&held, over: each, at: position)
            if each.op == .probe { continue }
            let slot = Self.slot(each.dst)
            if slot < 0 || assignment.hasHome(each.dst) { continue }
            here.insert(slot)
            if registers[position] < 0 || isStored[position] { cost += 1 }
        }
        read(block.terminator.operands.0)
        read(block.terminator.operands.1)
        return cost
    }
}

extension Instruction {
    /// Whether whoever goes on elsewhere may see all registers. Floating point leaves for singles that are not boxed, among others.
    var mayLeave: Bool { op.info.mayLeave || op == .interpret || op.info.isGuarded }

    fileprivate func reads(_ operand: Operand) -> Bool { a == operand || b == operand || c == operand }
}

extension OpcodeInfo {
    /// Reads and writes memory in one operation, or is half of such a pair.
    fileprivate var isAtomic: Bool { readsMemory && writesMemory }
}
