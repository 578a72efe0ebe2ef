/// In a loop, lets accesses that walk through memory remember which page they are in, instead of asking the TLB each time.
///
/// An access is steady when its base moves by small steps or not at all: everything that is assigned to it is a sum or a copy of such
/// registers and constants. Accesses through pointers that are themselves loaded, and through products, are not. Only what the block's own
/// loop assigns counts, and only what is left of it at the end of a block; what an outer loop does, or one branch of a switch with many, it
/// does rarely. What an indirect jump fetches its target from is a table, and steady wherever in it the target stands.
struct SteadyProbes {
    /// A register that moves by more than this many bytes a time is no walk through a page.
    private static let greatestStep: Int64 = 1024
    /// Blocks that move a register by small steps for each that does something else with it.
    private static let shareOfSteps = 4

    private typealias Registers = InlineArray<32, Bool>

    /// By integer register, at the blocks' ends.
    private var isSteady = Registers(repeating: true)
    private var isWritten = Registers(repeating: false)

    /// - Parameter cycles: by block, the innermost loop it is part of; empty where accesses are not worth it.
    mutating func run(_ unit: inout IRUnit, cycles: [[Int]]) {
        for index in unit.blocks.indices where !cycles[index].isEmpty {
            findSteadyRegisters(unit, in: cycles[index])
            mark(&unit.blocks[index])
        }
    }

    /// Assumes all are, and takes back what contradicts until nothing does.
    private mutating func findSteadyRegisters(_ unit: IRUnit, in part: [Int]) {
        isSteady = Registers(repeating: true)
        isWritten = Registers(repeating: false)
        for index in part {
            for each in unit.blocks[index].instructions {
                if case .integer(let register) = each.dst { isWritten[Int(register)] = true }
            }
        }
        var hasChanged = true
        while hasChanged {
            hasChanged = false
            var steps = InlineArray<32, Int>(repeating: 0)
            var others = InlineArray<32, Int>(repeating: 0)
            for index in part {
                var registers = isSteady
                var assigned: UInt32 = 0
                for each in unit.blocks[index].instructions {
                    guard case .integer(let register) = each.dst else { continue }
                    registers[Int(register)] = keepsSteady(each, registers)
                    assigned |= 1 << UInt32(register)
                }
                for register in 0..<32 where assigned >> UInt32(register) & 1 != 0 {
                    if registers[register] { steps[register] += 1 } else { others[register] += 1 }
                }
            }
            for register in 0..<32 where isSteady[register] && others[register] * Self.shareOfSteps > steps[register] {
                isSteady[register] = false
                hasChanged = true
            }
        }
    }

    private func keepsSteady(_ instruction: Instruction, _ registers: Registers) -> Bool {
        switch instruction.op {
        case .mov, .pc, .sext32, .zext32, .shladd, .shladduw:
            return Self.isSteady(instruction.a, registers) && Self.isSteady(instruction.b, registers)
        case .shl:
            if case .constant = instruction.b { return Self.isSteady(instruction.a, registers) }
            return false
        case .add, .addw, .sub, .subw:
            // A step of its own must be small, or always the same, which will rarely be much; a sum of others moves as they do.
            if instruction.a == instruction.dst || instruction.b == instruction.dst {
                switch instruction.a == instruction.dst ? instruction.b : instruction.a {
                case .constant(let step) where step.magnitude <= Self.greatestStep: break
                case .integer(let step) where instruction.op == .add && !isWritten[Int(step)]: break
                default: return false
                }
            }
            return Self.isSteady(instruction.a, registers) && Self.isSteady(instruction.b, registers)
        default:
            return false
        }
    }

    private static func isSteady(_ operand: Operand, _ registers: Registers) -> Bool {
        switch operand {
        case .integer(let register): registers[Int(register)]
        case .constant, .none: true
        case .float, .vector, .temp: false
        }
    }

    /// Makes the probes on steady bases steady, and gives one to each access that has none.
    private mutating func mark(_ block: inout IRBlock) {
        var result: [Instruction] = []
        result.reserveCapacity(block.instructions.count + 8)
        let table = Self.tableLoad(block)
        var registers = isSteady
        // Something is added to a steady register.
        var isPlace = Registers(repeating: false)
        for (position, var each) in block.instructions.enumerated() {
            if case .integer(let base) = each.a, registers[Int(base)] || (position == table && isPlace[Int(base)]) {
                if each.op == .probe, case .constant(let rights) = each.c {
                    each.c = .constant(ProbeRights(rawValue: rights).union(.steady).rawValue)
                } else if each.accessBytes > 0, each.host == .none, block.tempCount < 1 << 16 {
                    let temp = Operand.temp(UInt16(block.tempCount))
                    block.tempCount += 1
                    let rights: ProbeRights = each.op.info.shape.syntax == .load ? [.read, .steady] : [.write, .steady]
                    result.append(Instruction(
                        .probe, temp, each.a, .constant(Int64(each.accessBytes)), .constant(rights.rawValue), displacement: each.displacement,
                        guest: each.guest))
                    each.host = temp
                }
            }
            result.append(each)
            guard case .integer(let register) = each.dst else { continue }
            isPlace[Int(register)] = Self.isPlace(each, registers)
            registers[Int(register)] = keepsSteady(each, registers)
        }
        block.instructions = result
    }

    private static func isPlace(_ instruction: Instruction, _ registers: Registers) -> Bool {
        switch (instruction.op, instruction.a, instruction.b) {
        case (.add, .integer(let a), .integer(let b)): registers[Int(a)] || registers[Int(b)]
        case (.shladd, _, .integer(let b)), (.shladduw, _, .integer(let b)): registers[Int(b)]
        default: false
        }
    }

    /// The load an indirect jump has its target from.
    private static func tableLoad(_ block: IRBlock) -> Int? {
        guard case .indirect(let target, _, isReturn: false) = block.terminator,
            let position = block.instructions.lastIndex(where: { $0.dst == target }), block.instructions[position].op.info.shape.syntax == .load else { return nil }
        return position
    }
}
