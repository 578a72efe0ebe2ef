/// Drops pure instructions whose result nobody reads: it is overwritten first, and no instruction in between may leave the block
/// (whoever goes on then sees all registers). At the end of a block all registers are read, temps never.
struct DeadWrites: IRPass {
    private var liveTemps: [Bool] = []

    mutating func run(_ block: inout IRBlock) {
        if liveTemps.count < block.tempCount { liveTemps = .init(repeating: false, count: block.tempCount) }
        // A temp is assigned once, before its uses: its entry is false again when the walk has passed that.
        var liveRegisters = UInt64.max
        read(block.terminator, &liveRegisters)
        var hasDropped = false
        var index = block.instructions.count
        while index > 0 {
            index -= 1
            if isDead(block.instructions[index], &liveRegisters) {
                block.instructions[index].drop()
                hasDropped = true
            }
        }
        if hasDropped { block.removeDropped() }
    }

    /// Whether it can be dropped; if not, notes what it writes and reads.
    private mutating func isDead(_ instruction: Instruction, _ liveRegisters: inout UInt64) -> Bool {
        let info = instruction.op.info
        let slot = instruction.dst.slot
        if info.isPure {
            let isLive = slot < Slot.firstTemp ? liveRegisters &>> UInt64(slot) & 1 == 1 : liveTemps[slot - Slot.firstTemp]
            if !isLive || instruction.op == .mov && instruction.a == instruction.dst { return true }
        }
        if slot >= Slot.firstTemp {
            liveTemps[slot - Slot.firstTemp] = false
        } else if slot >= 0 {
            liveRegisters &= ~(1 &<< UInt64(slot))
        }
        // A back end may leave an operation on floats to the interpreter, which goes on behind it with what registers hold.
        if info.mayLeave || info.isGuarded { liveRegisters = .max }
        read(instruction.a, &liveRegisters)
        read(instruction.b, &liveRegisters)
        read(instruction.c, &liveRegisters)
        return false
    }

    private mutating func read(_ operand: Operand, _ liveRegisters: inout UInt64) {
        let slot = operand.slot
        if slot >= Slot.firstTemp {
            liveTemps[slot - Slot.firstTemp] = true
        } else if slot >= 0 {
            liveRegisters |= 1 &<< UInt64(slot)
        }
    }

    private mutating func read(_ terminator: Terminator, _ liveRegisters: inout UInt64) {
        switch terminator {
        case .branch(_, let a, let b, _, _):
            read(a, &liveRegisters)
            read(b, &liveRegisters)
        case .indirect(let target, _, _):
            read(target, &liveRegisters)
        case .jump, .interpret: break
        }
    }
}
