import EmuIR
import TestSupport

/// Executes blocks as the documentation of the opcodes says, to compare a block with what the passes made of it.
///
/// Memory exists everywhere and holds, until written, bytes that depend on the seed. What floating instructions compute is of no interest to
/// the passes: each is an arbitrary function of its operands, and what may raise exception flags is logged in order. The
/// interpreter is an arbitrary function of all registers. The result of a probe is refused as a guest value.
struct IRMachine: Equatable {
    enum Outcome: Equatable {
        case address(UInt64)
        /// The interpreter goes on at a guest instruction.
        case left(guest: UInt16)
    }

    private struct Reservation: Equatable {
        let address: UInt64
        let size: Int
    }

    /// Something a valid block cannot do.
    struct Misbehaviour: Error { let reason: String }

    private var integers = [Int64](repeating: 0, count: 32)
    private var floats = [UInt64](repeating: 0, count: 32)
    private var memory: [UInt64: UInt8] = [:]
    private var flags: UInt64 = 0
    private var reservation: Reservation?
    /// Words of the guest's state that are no registers.
    private var state: [Int64: Int64] = [:]
    private let page: UInt64
    private let seed: UInt64

    init(seed: UInt64) {
        var random = SplitMix(seed: seed)
        self.seed = seed
        page = random.next() & ~0xfff
        for index in 1..<32 {
            // Small and related values make comparisons interesting.
            let value = Int64(bitPattern: random.next())
            integers[index] = [value, value >> 40, value & 0xff, Int64(Int32(truncatingIfNeeded: value)), 0][Int(random.next() % 5)]
            floats[index] = random.next()
        }
    }

    /// An instruction that may leave, as it was reached.
    struct Leave: Equatable {
        let op: Opcode
        let guest: UInt16
    }

    /// What a run keeps besides the guest's state.
    private struct Run {
        var temps: [UInt16: Int64] = [:]
        var probed: [UInt16: Probed] = [:]
        var leaves: [Leave] = []
    }

    /// What a probe allows: addresses, from the first to before the end.
    private struct Probed {
        let first: Int64
        let length: Int64
        let rights: ProbeRights
    }

    /// Executes a block, up to number `count` of the instructions that may leave.
    mutating func run(_ block: IRBlock, leavingAt count: Int = .max) throws -> (outcome: Outcome, leaves: [Leave]) {
        var run = Run()
        for instruction in block.instructions {
            if instruction.op.info.mayLeave {
                if run.leaves.count == count { return (.left(guest: instruction.guest), run.leaves) }
                run.leaves.append(Leave(op: instruction.op, guest: instruction.guest))
            }
            try execute(instruction, &run)
        }
        return (try finish(block, run), run.leaves)
    }

    /// Executes what comes before a guest instruction.
    mutating func run(_ block: IRBlock, before guest: UInt16) throws {
        var run = Run()
        for instruction in block.instructions.prefix(while: { $0.guest < guest }) { try execute(instruction, &run) }
    }

    private func finish(_ block: IRBlock, _ run: Run) throws -> Outcome {
        func address(_ offset: GuestOffset) -> Outcome { .address(page &+ UInt64(bitPattern: Int64(offset))) }
        switch block.terminator {
        case .jump(let target): return address(target)
        case .branch(let relation, let a, let b, let taken, let next):
            let (left, right) = (try value(a, run), try value(b, run))
            let less = (signed: left < right, unsigned: UInt64(bitPattern: left) < UInt64(bitPattern: right))
            let holds =
                switch relation {
                case .eq: left == right
                case .ne: left != right
                case .lt: less.signed
                case .ge: !less.signed
                case .ltu: less.unsigned
                case .geu: !less.unsigned
                }
            return address(holds ? taken : next)
        case .indirect(let target, let displacement, _):
            return .address(UInt64(bitPattern: try value(target, run) &+ Int64(displacement)) & ~1)
        case .interpret: return .left(guest: block.terminatorGuest)
        }
    }

    // MARK: - Operands

    private func value(_ operand: Operand, _ run: Run) throws -> Int64 {
        switch operand {
        case .integer(let number): return integers[Int(number)]
        case .constant(let value): return value
        case .temp(let number):
            guard let value = run.temps[number] else { throw Misbehaviour(reason: "\(operand) has no value") }
            return value
        case .none, .float, .vector: throw Misbehaviour(reason: "\(operand) is no integer")
        }
    }

    private mutating func write(_ operand: Operand, _ value: Int64, _ run: inout Run) throws {
        switch operand {
        case .integer(let number): integers[Int(number)] = value
        case .temp(let number): run.temps[number] = value
        case .float(let number): floats[Int(number)] = UInt64(bitPattern: value)
        case .none, .constant, .vector: throw Misbehaviour(reason: "\(operand) is no destination")
        }
    }

    private func bits(_ operand: Operand, _ run: Run) throws -> UInt64 {
        if case .float(let number) = operand { return floats[Int(number)] }
        return operand == .none ? 0 : UInt64(bitPattern: try value(operand, run))
    }

    // MARK: - Instructions

    private mutating func execute(_ instruction: Instruction, _ run: inout Run) throws {
        switch instruction.op {
        case .load8s, .load8u, .load16s, .load16u, .load32s, .load32u, .load64, .loadf32, .loadf64: try load(instruction, &run)
        case .store8, .store16, .store32, .store64, .storef32, .storef64: try store(instruction, run)
        case .probe: try probe(instruction, &run)
        case .pc:
            try write(instruction.dst, Int64(bitPattern: page) &+ value(instruction.a, run), &run)
        case .guardFloat, .guardPrivilege: break
        case .loadReserved32, .loadReserved64:
            let (address, size) = (try bits(instruction.a, run), width(instruction.op))
            reservation = Reservation(address: address, size: size)
            try write(instruction.dst, signed(read(address, size), size), &run)
        case .storeConditional32, .storeConditional64:
            let (address, size) = (try bits(instruction.a, run), width(instruction.op))
            let succeeds = reservation == Reservation(address: address, size: size)
            if succeeds { replace(address, size, with: try bits(instruction.b, run)) }
            reservation = nil
            try write(instruction.dst, succeeds ? 0 : 1, &run)
        case _ where Self.isAtomic(instruction.op): try fetchAndStore(instruction, &run)
        case .readState: try write(instruction.dst, state[try value(instruction.a, run)] ?? Int64(bitPattern: seed), &run)
        case .writeState: state[try value(instruction.a, run)] = try value(instruction.b, run)
        case .interpret: interpret()
        default:
            let (a, b, c) = (try bits(instruction.a, run), try bits(instruction.b, run), try bits(instruction.c, run))
            let (x, y, z) = (Int64(bitPattern: a), Int64(bitPattern: b), Int64(bitPattern: c))
            if let result = ReferenceArithmetic.result(instruction.op, x, y, z) {
                try write(instruction.dst, result, &run)
            } else {
                try executeFloat(instruction, [a, b, c], &run)
            }
        }
    }

    private mutating func executeFloat(_ instruction: Instruction, _ operands: [UInt64], _ run: inout Run) throws {
        var result = mixed(UInt64(instruction.op.rawValue), operands)
        let isFlagged = switch instruction.op {
        case .fsgnjS, .fsgnjnS, .fsgnjxS, .fsgnjD, .fsgnjnD, .fsgnjxD, .movFtoX, .movXtoF, .movF32toX, .movX32toF: false
        default: true
        }
        if isFlagged { flags = mixed(flags, [result]) }
        switch instruction.op {
        case .feqS, .fltS, .fleS, .feqD, .fltD, .fleD: result &= 1
        case .fcvtI32StoX_t, .fcvtI32DtoX_t, .fcvtI32StoX_r, .fcvtI32DtoX_r: result = extended(result, 32, signed: true)
        case .movF32toX: result = extended(operands[0], 32, signed: true)
        default: break
        }
        try write(instruction.dst, Int64(bitPattern: result), &run)
    }

    private mutating func interpret() {
        var state = mixed(flags, integers.map(UInt64.init(bitPattern:)) + floats)
        for index in 1..<32 {
            state = mixed(state, [UInt64(index)])
            // Some registers change, others stay.
            if state & 3 == 0 { integers[index] = Int64(bitPattern: state) }
            if state & 0x30 == 0 { floats[index] = state }
        }
        memory[UInt64(bitPattern: integers[2])] = UInt8(truncatingIfNeeded: state)
    }

    private func mixed(_ start: UInt64, _ values: [UInt64]) -> UInt64 {
        var state = start
        for value in values {
            var random = SplitMix(seed: state ^ value)
            state = random.next() &+ state &* 3
        }
        return state
    }

    // MARK: - Memory

    private func width(_ op: Opcode) -> Int {
        switch op {
        case .load8s, .load8u, .store8: 1
        case .load16s, .load16u, .store16: 2
        case .load32s, .load32u, .loadf32, .store32, .storef32: 4
        default: op.info.name.description.hasSuffix(".32") ? 4 : 8
        }
    }

    private static func isAtomic(_ op: Opcode) -> Bool { op.info.readsMemory && op.info.writesMemory && op != .interpret }

    /// dst = memory[a]; memory[a] = dst op b.
    private mutating func fetchAndStore(_ instruction: Instruction, _ run: inout Run) throws {
        let (address, size) = (try bits(instruction.a, run), width(instruction.op))
        let old = read(address, size)
        let (x, y) = (signed(old, size), signed(try bits(instruction.b, run), size))
        // Of 32 bits sign-extended, the unsigned order is that of the low halves.
        let isLess = UInt64(bitPattern: x) < UInt64(bitPattern: y)
        let name = instruction.op.info.name.description.split(separator: ".")
        let new: Int64
        switch name.count == 2 ? name[0] : name[1] {
        case "swap": new = y
        case "add": new = x &+ y
        case "xor": new = x ^ y
        case "and": new = x & y
        case "or": new = x | y
        case "min": new = x < y ? x : y
        case "max": new = x < y ? y : x
        case "minu": new = isLess ? x : y
        case "maxu": new = isLess ? y : x
        default: throw Misbehaviour(reason: "\(instruction.op.info.name) is unknown")
        }
        replace(address, size, with: UInt64(bitPattern: new))
        try write(instruction.dst, x, &run)
    }

    private func signed(_ value: UInt64, _ size: Int) -> Int64 { Int64(bitPattern: extended(value, UInt64(8 * size), signed: true)) }

    private func read(_ address: UInt64, _ size: Int) -> UInt64 {
        (0..<size).reduce(0) { value, byte in
            let at = address &+ UInt64(byte)
            return value | UInt64(memory[at] ?? UInt8(truncatingIfNeeded: mixed(seed, [at]))) << UInt64(8 * byte)
        }
    }

    private mutating func replace(_ address: UInt64, _ size: Int, with value: UInt64) {
        for byte in 0..<size { memory[address &+ UInt64(byte)] = UInt8(truncatingIfNeeded: value >> UInt64(8 * byte)) }
    }

    /// Where an access goes; what its probe found must be there.
    private func address(_ instruction: Instruction, needs: ProbeRights, _ run: Run) throws -> UInt64 {
        let address = try value(instruction.a, run) &+ Int64(instruction.displacement)
        if case .temp(let number) = instruction.host {
            guard let probed = run.probed[number] else { throw Misbehaviour(reason: "\(instruction.host) was not probed") }
            let start = address &- probed.first
            guard start >= 0, start + Int64(width(instruction.op)) <= probed.length, probed.rights.isSuperset(of: needs) else {
                throw Misbehaviour(reason: "\(instruction.host) does not cover \(instruction)")
            }
        }
        return UInt64(bitPattern: address)
    }

    /// One that fails leaves the block before it gets here.
    private func probe(_ instruction: Instruction, _ run: inout Run) throws {
        guard case .temp(let number) = instruction.dst else { throw Misbehaviour(reason: "a probe into \(instruction.dst)") }
        run.probed[number] = Probed(
            first: try value(instruction.a, run) &+ Int64(instruction.displacement), length: try value(instruction.b, run),
            rights: ProbeRights(rawValue: try value(instruction.c, run)))
    }

    private func extended(_ value: UInt64, _ width: UInt64, signed: Bool) -> UInt64 {
        if width == 64 { return value }
        let low = value & (1 << width - 1)
        return signed && low >> (width - 1) == 1 ? low | ~(1 << width - 1) : low
    }

    private mutating func load(_ instruction: Instruction, _ run: inout Run) throws {
        let address = try address(instruction, needs: .read, run)
        let width = width(instruction.op)
        let loaded = read(address, width)
        let result: UInt64
        switch instruction.op {
        case .load8s, .load16s, .load32s: result = extended(loaded, UInt64(8 * width), signed: true)
        case .loadf32: result = loaded | 0xffff_ffff_0000_0000
        default: result = loaded
        }
        try write(instruction.dst, Int64(bitPattern: result), &run)
    }

    private mutating func store(_ instruction: Instruction, _ run: Run) throws {
        let address = try address(instruction, needs: .write, run)
        let stored = try bits(instruction.b, run)
        replace(address, width(instruction.op), with: stored)
    }
}
