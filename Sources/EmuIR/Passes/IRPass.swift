/// One rewriting of blocks. It keeps what the block does to registers and memory, and what is seen when one of its instructions leaves.
///
/// A pass takes and leaves blocks that verify. It is used again and again, so that its tables are allocated once.
protocol IRPass {
    mutating func run(_ block: inout IRBlock)
}

/// Where a variable has its place in a pass's tables.
enum Slot {
    static let firstFloat = 32
    static let firstTemp = 64

    /// Places needed for a block's variables.
    static func count(in block: borrowing IRBlock) -> Int { firstTemp + block.tempCount }
}

extension Operand {
    /// Its place in a pass's tables; -1 when it is no variable.
    @inline(__always)
    var slot: Int {
        switch self {
        case .none, .constant, .vector: -1
        case .integer(let number): Int(number & 31)
        case .float(let number): Slot.firstFloat + Int(number & 31)
        case .temp(let number): Slot.firstTemp + Int(number)
        }
    }

    @inline(__always)
    var isTemp: Bool {
        if case .temp = self { true } else { false }
    }
}

/// Whether an instruction takes it as a constant; only `mov` takes others.
@inline(__always)
func fits32(_ value: Int64) -> Bool { Int64(Int32(truncatingIfNeeded: value)) == value }

extension Instruction {
    /// Keeps the destination.
    @inline(__always)
    mutating func become(_ op: Opcode, _ a: Operand, _ b: Operand = .none, _ c: Operand = .none) {
        self.op = op
        self.a = a
        self.b = b
        self.c = c
    }

    @inline(__always)
    mutating func become(constant: Int64) { become(.mov, .constant(constant)) }

    /// Marks it for `removeDropped()`.
    @inline(__always)
    mutating func drop() {
        dst = .none
        become(.mov, .none)
    }
}

extension IRBlock {
    mutating func removeDropped() {
        var kept = 0
        for index in instructions.indices {
            if instructions[index].op == .mov && instructions[index].dst == .none { continue }
            if kept != index { instructions[kept] = instructions[index] }
            kept += 1
        }
        instructions.removeLast(instructions.count - kept)
    }
}
