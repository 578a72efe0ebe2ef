/// Reads the source of a `mov` in place of its destination while neither has been written since.
///
/// A probe and the accesses that use it keep their base: it must be the same.
struct CopyPropagation: IRPass {
    private struct Copy {
        var source: Operand = .none
        /// Write of the source it is a copy of.
        var version: UInt32 = 0
    }

    private var copies = [Copy](repeating: Copy(), count: Slot.firstTemp)
    /// Counts the writes of a variable.
    private var versions = [UInt32](repeating: 0, count: Slot.firstTemp)

    mutating func run(_ block: inout IRBlock) {
        let count = Slot.count(in: block)
        if copies.count < count {
            copies.append(contentsOf: repeatElement(Copy(), count: count - copies.count))
            versions.append(contentsOf: repeatElement(0, count: count - versions.count))
        }
        for slot in 0..<Slot.firstFloat { copies[slot].source = .none }
        for index in block.instructions.indices { visit(&block.instructions[index]) }
        visit(&block.terminator)
    }

    private func substitute(_ operand: inout Operand) {
        let slot = operand.slot
        if slot < 0 { return }
        let copy = copies[slot]
        if copy.source != .none, versions[copy.source.slot] == copy.version { operand = copy.source }
    }

    private mutating func visit(_ instruction: inout Instruction) {
        let shape = instruction.op.info.shape
        switch shape.syntax {
        case .plain:
            if shape.a == .value || shape.a == .wideValue { substitute(&instruction.a) }
            if shape.b == .value { substitute(&instruction.b) }
        case .load:
            if instruction.b == .none { substitute(&instruction.a) }
        case .store:
            if instruction.c == .none { substitute(&instruction.a) }
            if shape.b == .value { substitute(&instruction.b) }
        case .probe: break
        }
        if instruction.op == .interpret { return forgetRegisters() }
        let slot = instruction.dst.slot
        if slot < 0 || shape.dst == .float { return }
        if instruction.op == .mov {
            if instruction.a == instruction.dst { return }
            let source = instruction.a.slot
            copies[slot] = source < 0 ? Copy() : Copy(source: instruction.a, version: versions[source])
        } else {
            copies[slot].source = .none
        }
        versions[slot] &+= 1
    }

    private mutating func forgetRegisters() {
        for slot in 0..<Slot.firstFloat {
            copies[slot].source = .none
            versions[slot] &+= 1
        }
    }

    private func visit(_ terminator: inout Terminator) {
        switch terminator {
        case .branch(let relation, var a, var b, let taken, let next):
            substitute(&a)
            substitute(&b)
            terminator = .branch(relation, a, b, taken: taken, next: next)
        case .indirect(var target, let displacement, let isReturn):
            substitute(&target)
            terminator = .indirect(target, displacement: displacement, isReturn: isReturn)
        case .jump, .interpret: break
        }
    }
}
