/// Lets neighbouring accesses with one base share the check of their addresses: one `probe` stands before the first of them and
/// covers all.
///
/// The base must keep its value between them, and the interpreter, which may change the mapping, must not run.
struct SharedProbes: IRPass {
    /// Bytes from the first to the last one accessed. A probe that reaches into a second page fails, so it should be small beside one.
    private static let greatestSpan: Int32 = 2048

    private struct Group {
        /// Index of its first access.
        var first: Int
        var base: Operand
        var start: Int32
        var end: Int32
        var rights: ProbeRights
        /// None while it has one access only.
        var temp: Operand = .none
    }

    private var groups: [Group] = []
    /// By slot of the base: the group that may still grow, or -1.
    private var open = [Int](repeating: -1, count: Slot.firstTemp)

    mutating func run(_ block: inout IRBlock) {
        let count = Slot.count(in: block)
        if open.count < count { open.append(contentsOf: repeatElement(-1, count: count - open.count)) }
        for slot in 0..<count { open[slot] = -1 }
        groups.removeAll(keepingCapacity: true)
        var lastInterpret = -1
        var probeCount = 0
        for index in block.instructions.indices {
            let info = block.instructions[index].op.info
            if info.accessBytes > 0 {
                probeCount += collect(&block, index, info, after: lastInterpret)
            } else if block.instructions[index].op == .interpret {
                lastInterpret = index
            }
            let written = block.instructions[index].dst.slot
            if written >= 0 { open[written] = -1 }
        }
        if probeCount > 0 { insertProbes(&block, probeCount) }
    }

    /// Adds an access to its group. Returns 1 if the group became one that shares, else 0.
    private mutating func collect(_ block: inout IRBlock, _ index: Int, _ info: OpcodeInfo, after lastInterpret: Int) -> Int {
        let access = block.instructions[index]
        let isLoad = info.shape.syntax == .load
        let slot = access.a.slot
        if slot < 0 || access.host != .none { return 0 }
        let (end, overflows) = access.displacement.addingReportingOverflow(Int32(info.accessBytes))
        if overflows { return 0 }
        let rights: ProbeRights = isLoad ? .read : .write

        let number = open[slot]
        if number >= 0, groups[number].first > lastInterpret {
            let start = min(groups[number].start, access.displacement)
            let span = Int64(max(groups[number].end, end)) - Int64(start)
            if span <= Self.greatestSpan {
                groups[number].start = start
                groups[number].end = max(groups[number].end, end)
                groups[number].rights.formUnion(rights)
                let becomesShared = groups[number].temp == .none
                if becomesShared {
                    guard block.tempCount < 1 << 16 else { return 0 }
                    groups[number].temp = .temp(UInt16(block.tempCount))
                    block.tempCount += 1
                    block.instructions[groups[number].first].host = groups[number].temp
                }
                block.instructions[index].host = groups[number].temp
                return becomesShared ? 1 : 0
            }
        }
        open[slot] = groups.count
        groups.append(Group(first: index, base: access.a, start: access.displacement, end: end, rights: rights))
        return 0
    }

    /// Moves the instructions up to make room, from the last one on.
    private func insertProbes(_ block: inout IRBlock, _ count: Int) {
        var source = block.instructions.count
        block.instructions.append(contentsOf: repeatElement(block.instructions[0], count: count))
        var target = block.instructions.count
        var number = groups.count
        while target > source {
            number -= 1
            let group = groups[number]
            if group.temp == .none { continue }
            while source > group.first {
                source -= 1
                target -= 1
                block.instructions[target] = block.instructions[source]
            }
            target -= 1
            block.instructions[target] = Instruction(
                .probe, group.temp, group.base, .constant(Int64(group.end - group.start)), .constant(group.rights.rawValue),
                displacement: group.start, guest: block.instructions[source].guest)
        }
    }
}
