/// Where an operand comes from or goes to.
public enum Operand: Hashable, Sendable {
    case none
    /// A guest integer register: a variable, present at every block edge. A guest's hardwired zero never appears; it is `constant(0)`.
    case integer(UInt8)
    /// A guest floating-point register: a variable.
    case float(UInt8)
    /// A guest vector register, or the first of a group: a variable.
    case vector(UInt8)
    /// A value of this block only, assigned once, before its uses.
    case temp(UInt16)
    case constant(Int64)
}

/// One operation; see `Opcode` for what the operands mean.
public struct Instruction: Hashable, Sendable {
    public var op: Opcode
    /// What vector operations work on.
    public var vector: VectorShape
    public var dst: Operand
    public var a: Operand
    public var b: Operand
    public var c: Operand
    /// Bytes, for memory operations.
    public var displacement: Int32
    /// Position in its block of the guest instruction this belongs to: the state to be seen if it traps is the one before it.
    public var guest: UInt16

    public init(
        _ op: Opcode, _ dst: Operand = .none, _ a: Operand = .none, _ b: Operand = .none, _ c: Operand = .none,
        displacement: Int32 = 0, vector: VectorShape = .none, guest: UInt16
    ) {
        self.op = op
        self.vector = vector
        self.dst = dst
        self.a = a
        self.b = b
        self.c = c
        self.displacement = displacement
        self.guest = guest
    }
}

/// Where control goes: a guest address as a distance in bytes from the start of the page the code lies in. Another block of the
/// unit when one starts there (`IRUnit.index(of:)`), else out of the unit.
public typealias GuestOffset = Int32

extension Instruction {
    /// Bytes a load or store accesses, a strided one each time, else 0.
    public var accessBytes: Int {
        switch op {
        case .vload, .vstore: vector.fields * vector.bytes
        case .vloadStrided: 1 << Int(vector.width)
        case .vloadMask, .vstoreMask: (Int(vector.count) + 7) / 8
        default: Int(op.info.accessBytes)
        }
    }

    /// Of a load or store: the temp of the probe that answers for it, or none.
    public var host: Operand {
        get { op.info.shape.syntax == .load ? b : op.info.shape.syntax == .store ? c : .none }
        set { if op.info.shape.syntax == .load { b = newValue } else { c = newValue } }
    }
}

/// How a block ends.
public enum Terminator: Hashable, Sendable {
    /// Continues at an address.
    case jump(GuestOffset)
    /// Compares two integer operands.
    case branch(Relation, Operand, Operand, taken: GuestOffset, next: GuestOffset)
    /// Continues at the address in an operand, bit 0 cleared. `isReturn`: by convention a return from a call.
    case indirect(Operand, displacement: Int32, isReturn: Bool)
    /// The interpreter executes the last guest instruction and says where to go on.
    case interpret
}

/// A straight run of guest code.
public struct IRBlock: Hashable, Sendable {
    /// Distance of its first instruction from the start of its page, 0…4095.
    public var offset: GuestOffset
    /// Guest instructions in it, the terminator's included: what it costs of the budget.
    public var guestCount: Int
    public var instructions: [Instruction]
    public var terminator: Terminator
    /// Guest instruction the terminator belongs to.
    public var terminatorGuest: UInt16
    /// Temps used: `temp(0)` ..< `temp(tempCount)`.
    public var tempCount: Int
    /// Where an indirect terminator is expected to go: offsets of blocks of the unit. It may go anywhere else as well.
    public var expected: [GuestOffset]

    public init(
        offset: GuestOffset, guestCount: Int, instructions: [Instruction] = [], terminator: Terminator, terminatorGuest: UInt16, tempCount: Int = 0,
        expected: [GuestOffset] = []
    ) {
        self.offset = offset
        self.guestCount = guestCount
        self.instructions = instructions
        self.terminator = terminator
        self.terminatorGuest = terminatorGuest
        self.tempCount = tempCount
        self.expected = expected
    }
}

/// What is compiled in one piece: blocks of one page. All may be entered.
public struct IRUnit: Hashable, Sendable {
    public var blocks: [IRBlock]

    public init(blocks: [IRBlock]) { self.blocks = blocks }

    /// The block that starts at `offset`.
    public func index(of offset: GuestOffset) -> Int? { blocks.firstIndex { $0.offset == offset } }
}

extension Terminator {
    /// What it reads; none in places it does not use.
    public var operands: (Operand, Operand) {
        switch self {
        case .branch(_, let a, let b, _, _): (a, b)
        case .indirect(let a, _, _): (a, .none)
        case .jump, .interpret: (.none, .none)
        }
    }
}
