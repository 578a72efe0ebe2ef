/// In a loop, lets accesses that walk through memory remember which page they are in, instead of asking the TLB each time.
///
/// An access is steady when its base moves by small steps or not at all: everything that is assigned to it is a sum or a copy of such
/// registers and constants. Accesses through pointers that are themselves loaded, and through products, are not. Only what the block's own
/// loop assigns counts: what an outer loop does, it does rarely.
struct SteadyProbes {
    /// A register that moves by more than this many bytes a time is no walk through a page.
    private static let greatestStep: Int64 = 1024

    /// By integer register.
    private var isSteady = [Bool](repeating: true, count: 32)
    private var isWritten = [Bool](repeating: false, count: 32)

    /// - Parameter cycles: by block, the innermost loop it is part of; empty where accesses are not worth it.
    mutating func run(_ unit: inout IRUnit, cycles: [[Int]]) {
        for index in unit.blocks.indices where !cycles[index].isEmpty {
            findSteadyRegisters(unit, in: cycles[index])
            mark(&unit.blocks[index])
        }
    }

    /// Assumes all are, and takes back what contradicts until nothing does.
    private mutating func findSteadyRegisters(_ unit: IRUnit, in part: [Int]) {
        for register in isSteady.indices {
            isSteady[register] = true
            isWritten[register] = false
        }
        for each in part.lazy.flatMap({ unit.blocks[$0].instructions }) {
            if case .integer(let register) = each.dst { isWritten[Int(register)] = true }
        }
        var hasChanged = true
        while hasChanged {
            hasChanged = false
            for index in part {
                for each in unit.blocks[index].instructions {
                    guard case .integer(let register) = each.dst, isSteady[Int(register)], !keepsSteady(each) else { continue }
                    isSteady[Int(register)] = false
                    hasChanged = true
                }
            }
        }
    }

    private func keepsSteady(_ instruction: Instruction) -> Bool {
        switch instruction.op {
        case .mov, .pc, .sext32, .zext32, .shladd, .shladduw:
            return isSteady(instruction.a) && isSteady(instruction.b)
        case .shl:
            if case .constant = instruction.b { return isSteady(instruction.a) }
            return false
        case .add, .addw, .sub, .subw:
            // A step of its own must be small, or always the same, which will rarely be much; a sum of others moves as they do.
            if instruction.a == instruction.dst || instruction.b == instruction.dst {
                switch instruction.a == instruction.dst ? instruction.b : instruction.a {
                case .constant(let step): return step.magnitude <= Self.greatestStep
                case .integer(let step): return instruction.op == .add && !isWritten[Int(step)]
                default: return false
                }
            }
            return isSteady(instruction.a) && isSteady(instruction.b)
        default:
            return false
        }
    }

    private func isSteady(_ operand: Operand) -> Bool {
        switch operand {
        case .integer(let register): isSteady[Int(register)]
        case .constant, .none: true
        case .float, .temp: false
        }
    }

    /// Makes the probes on steady bases steady, and gives one to each access that has none.
    private func mark(_ block: inout IRBlock) {
        var result: [Instruction] = []
        result.reserveCapacity(block.instructions.count + 8)
        for var each in block.instructions {
            if each.op == .probe, isSteady(each.a), case .constant(let rights) = each.c {
                each.c = .constant(ProbeRights(rawValue: rights).union(.steady).rawValue)
            } else if each.op.info.accessBytes > 0, each.host == .none, case .integer = each.a, isSteady(each.a), block.tempCount < 1 << 16 {
                let temp = Operand.temp(UInt16(block.tempCount))
                block.tempCount += 1
                let rights: ProbeRights = each.op.info.shape.syntax == .load ? [.read, .steady] : [.write, .steady]
                result.append(Instruction(
                    .probe, temp, each.a, .constant(Int64(each.op.info.accessBytes)), .constant(rights.rawValue), displacement: each.displacement,
                    guest: each.guest))
                each.host = temp
            }
            result.append(each)
        }
        block.instructions = result
    }
}
