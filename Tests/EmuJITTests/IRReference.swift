import EmuCPU
import EmuIR
import TestSupport

/// Executes units as the documentation of the opcodes says: what a back end's code is compared with.
struct IRReference {
    /// How a run ends.
    enum Stop: Equatable, CustomStringConvertible {
        /// At an address: the next block is not part of the unit.
        case address(UInt64)
        /// At the start of a block the budget does not suffice for.
        case budget(block: Int)
        /// The interpreter goes on at the guest instruction.
        case bail(block: Int, guest: Int)
        /// The guest instruction trapped, or is complete and must not be followed by the next one.
        case trap(block: Int, guest: Int)
        case left(block: Int, guest: Int)

        var description: String {
            switch self {
            case .address(let address): "at 0x\(String(address, radix: 16))"
            case .budget(let block): "out of budget at block \(block)"
            case .bail(let block, let guest): "bailed at \(guest) of block \(block)"
            case .trap(let block, let guest): "trapped at \(guest) of block \(block)"
            case .left(let block, let guest): "left after \(guest) of block \(block)"
            }
        }
    }

    var integers = [UInt64](repeating: 0, count: 32)
    var floats = [UInt64](repeating: 0, count: 32)
    var flags: FloatFlags = []
    var remaining = 0
    var memory: SparseMemory
    /// Virtual address of the page the code runs in.
    var page: UInt64
    /// Dynamic rounding mode; nil while floating point is not enabled.
    var rounding: RoundingMode?

    private var temps: [UInt64] = []

    init(memory: SparseMemory, page: UInt64) {
        self.memory = memory
        self.page = page
    }

    /// Where the back end's code bailed because a single-precision operand was not boxed, which it may.
    struct Bail {
        let block: Int
        let guest: Int
        let remaining: Int
    }

    /// Runs from the start of a block.
    mutating func run(_ unit: IRUnit, from first: Int, bailing: Bail? = nil) throws -> Stop {
        var index = first
        if let bailing, bailing.block == first, bailing.guest == 0, bailing.remaining == remaining - unit.blocks[first].guestCount,
            floats.contains(where: { !Self.isBoxed($0) }) {
            // Entering a loop may ask for all registers it uses as singles.
            remaining = bailing.remaining
            return .bail(block: first, guest: 0)
        }
        while true {
            let block = unit.blocks[index]
            guard remaining >= block.guestCount else { return .budget(block: index) }
            remaining -= block.guestCount
            temps = Array(repeating: 0xdead_dead_dead_dead, count: block.tempCount)
            for i in block.instructions {
                let guest = Int(i.guest)
                if let bailing, bailing.block == index, bailing.remaining == remaining, bailing.guest == guest, hasUnboxedSingle(block, guest) {
                    return .bail(block: index, guest: guest)
                }
                switch try execute(i) {
                case .done: break
                case .bail: return .bail(block: index, guest: guest)
                case .trap: return .trap(block: index, guest: guest)
                case .left: return .left(block: index, guest: guest)
                }
            }
            let target: GuestOffset
            switch block.terminator {
            case .jump(let to): target = to
            case .branch(let relation, let a, let b, let taken, let next): target = relation.holds(value(a), value(b)) ? taken : next
            case .indirect(let base, let displacement, _):
                // With bit 0 set the back end may leave even where the block is expected, and does.
                let address = value(base) &+ UInt64(bitPattern: Int64(displacement))
                guard let expected = block.expected.first(where: { address == page &+ UInt64(bitPattern: Int64($0)) }) else { return .address(address & ~1) }
                target = expected
            case .interpret:
                Self.interpret(&integers, &floats, guest: Int(block.terminatorGuest))
                return .left(block: index, guest: Int(block.terminatorGuest))
            }
            guard let next = unit.index(of: target) else { return .address(page &+ UInt64(bitPattern: Int64(target))) }
            index = next
        }
    }

    private static func isBoxed(_ bits: UInt64) -> Bool { bits >> 32 == 0xffff_ffff }

    private func hasUnboxedSingle(_ block: IRBlock, _ guest: Int) -> Bool {
        block.instructions.contains { i in
            guard Int(i.guest) == guest, FloatOperations.readsSingles(i.op) else { return false }
            return [i.a, i.b, i.c].contains { operand in
                if case .float(let number) = operand { return !Self.isBoxed(floats[Int(number)]) }
                return false
            }
        }
    }

    // MARK: Operands

    private func value(_ operand: Operand) -> UInt64 {
        switch operand {
        case .none, .vector: 0
        case .integer(let number): integers[Int(number)]
        case .float(let number): floats[Int(number)]
        case .temp(let number): temps[Int(number)]
        case .constant(let value): UInt64(bitPattern: value)
        }
    }

    private mutating func write(_ operand: Operand, _ value: UInt64) {
        switch operand {
        case .integer(let number): integers[Int(number)] = value
        case .float(let number): floats[Int(number)] = value
        case .temp(let number): temps[Int(number)] = value
        case .none, .constant, .vector: break
        }
    }

    // MARK: Instructions

    private enum Step { case done, bail, trap, left }
    private struct Undefined: Error { let op: Opcode }

    private mutating func execute(_ i: Instruction) throws -> Step {
        let address = value(i.a) &+ UInt64(bitPattern: Int64(i.displacement))
        switch i.op {
        case .pc: write(i.dst, page &+ value(i.a))
        case .probe: return probes(i, address) ? .done : .bail
        case .guardFloat: return rounding == nil ? .bail : .done
        case .interpret: Self.interpret(&integers, &floats, guest: Int(i.guest))
        default:
            if i.op.info.readsMemory || i.op.info.writesMemory { return access(i, address) }
            let (a, b, c) = (value(i.a), value(i.b), value(i.c))
            if let result = IRConstantEvaluator.evaluate(i.op, Int64(bitPattern: a), Int64(bitPattern: b), Int64(bitPattern: c)) {
                write(i.dst, UInt64(bitPattern: result))
            } else if let result = FloatOperations.result(i.op, [a, b, c], rounding ?? .rne, &flags) {
                write(i.dst, result)
            } else {
                throw Undefined(op: i.op)
            }
        }
        return .done
    }

    /// Whether the bytes may be accessed directly, all in one page.
    private func probes(_ i: Instruction, _ address: UInt64) -> Bool {
        guard case .constant(let length) = i.b, case .constant(let rights) = i.c else { return false }
        let page = address & ~0xfff
        let pages = ProbeRights(rawValue: rights).contains(.write) ? SparseMemory.readWrite : SparseMemory.direct
        return pages.contains(page) && (address &+ UInt64(length - 1)) & ~0xfff == page
    }

    private mutating func access(_ i: Instruction, _ address: UInt64) -> Step {
        let length = Int(i.op.info.accessBytes)
        let kind = memory.kind(address, length)
        if kind == .faulting { return .trap }
        if i.op.info.writesMemory {
            memory.store(address, length, value(i.b))
        } else {
            write(i.dst, Self.loaded(i.op, memory.load(address, length)))
        }
        return kind == .leaving ? .left : .done
    }

    /// What a load makes of the bytes it read.
    static func loaded(_ op: Opcode, _ bits: UInt64) -> UInt64 {
        switch op {
        case .load8s: UInt64(bitPattern: Int64(Int8(truncatingIfNeeded: bits)))
        case .load16s: UInt64(bitPattern: Int64(Int16(truncatingIfNeeded: bits)))
        case .load32s: UInt64(bitPattern: Int64(Int32(truncatingIfNeeded: bits)))
        case .loadf32: bits | 0xffff_ffff_0000_0000
        default: bits
        }
    }

    /// What the interpreter does is arbitrary: some registers change, others stay.
    static func interpret(_ integers: inout [UInt64], _ floats: inout [UInt64], guest: Int) {
        var random = SplitMix(seed: integers.reduce(UInt64(guest)) { $0 &* 31 &+ $1 })
        for index in 1..<32 {
            let value = random.next()
            if value & 3 == 0 { integers[index] = value }
            if value & 0x30 == 0 { floats[index] = value }
        }
    }
}

extension Relation {
    func holds(_ a: UInt64, _ b: UInt64) -> Bool {
        let (x, y) = (Int64(bitPattern: a), Int64(bitPattern: b))
        return switch self {
        case .eq: a == b
        case .ne: a != b
        case .lt: x < y
        case .ge: x >= y
        case .ltu: a < b
        case .geu: a >= b
        }
    }
}

/// Memory that exists everywhere and holds, until written, bytes that depend on their address.
struct SparseMemory: Equatable {
    /// What an access by a helper does.
    enum Kind { case plain, faulting, leaving }

    private(set) var written: [UInt64: UInt8] = [:]

    /// Pages that are directly accessible; around them lie pages of the other kinds.
    static let base: UInt64 = 0x12_3456_7000
    static let readWrite: [UInt64] = [base, base + 0x1000, base + 0x5000]
    static let readOnly = base + 0x2000
    static let direct = readWrite + [readOnly]

    static func original(_ address: UInt64) -> UInt8 { UInt8(truncatingIfNeeded: (address &* 0x9e37_79b9_7f4a_7c15) >> 29) }

    func kind(_ address: UInt64, _ length: Int) -> Kind {
        func kind(_ address: UInt64) -> Kind {
            let page = address & ~0xfff
            if Self.direct.contains(page) { return .plain }
            return [.plain, .plain, .faulting, .leaving][Int(page >> 12 & 3)]
        }
        let (first, last) = (kind(address), kind(address &+ UInt64(length - 1)))
        if first == .faulting || last == .faulting { return .faulting }
        return first == .leaving || last == .leaving ? .leaving : .plain
    }

    func byte(_ address: UInt64) -> UInt8 { written[address] ?? Self.original(address) }

    func load(_ address: UInt64, _ length: Int) -> UInt64 {
        (0..<length).reduce(0) { $0 | UInt64(byte(address &+ UInt64($1))) << UInt64(8 * $1) }
    }

    mutating func store(_ address: UInt64, _ length: Int, _ value: UInt64) {
        for index in 0..<length {
            let (at, byte) = (address &+ UInt64(index), UInt8(truncatingIfNeeded: value >> UInt64(8 * index)))
            written[at] = byte == Self.original(at) ? nil : byte
        }
    }
}

/// Floating-point opcodes by the arithmetic the interpreter uses, which tests of its own check.
enum FloatOperations {
    static func readsSingles(_ op: Opcode) -> Bool {
        let parts = op.info.name.description.split(separator: ".")
        guard op.info.isGuarded, op.info.shape.a == .float, parts[0] != "fmv" else { return false }
        return parts[0] == "fcvt" ? parts[1] != "s" && parts[2] == "s" : parts[1] == "s"
    }

    /// The destination's new value; nil when it is no such opcode.
    static func result(_ op: Opcode, _ operands: [UInt64], _ mode: RoundingMode, _ flags: inout FloatFlags) -> UInt64? {
        let parts = op.info.name.description.split(separator: ".").map(String.init)
        let integer = operands[0]
        switch parts {
        case ["fmv", "x", "d"], ["fmv", "d", "x"]: return integer
        case ["fmv", "x", "s"]: return signExtended(integer)
        case ["fmv", "s", "x"]: return Binary32.boxed(integer & 0xffff_ffff)
        default: break
        }
        guard parts.count > 1, let format = format(parts[1]) else { return parts[0] == "fcvt" ? toInteger(parts, integer, mode, &flags) : nil }
        if parts[0] == "fcvt" { return convert(format, parts[2], integer, mode, &flags) }
        return arithmetic(parts[0], format, operands.map { format.unboxed($0) }, mode, &flags)
    }

    private static func format(_ letter: String) -> (any SoftFormat.Type)? { letter == "s" ? Binary32.self : letter == "d" ? Binary64.self : nil }

    private static func signExtended(_ bits: UInt64) -> UInt64 { UInt64(bitPattern: Int64(Int32(truncatingIfNeeded: bits))) }

    private static func toInteger(_ parts: [String], _ bits: UInt64, _ mode: RoundingMode, _ flags: inout FloatFlags) -> UInt64? {
        guard let source = format(parts[2]) else { return nil }
        let (number, mode) = (source.unboxed(bits), parts[3] == "rtz" ? .rtz : mode)
        if parts[1] == "i32" { return UInt64(bitPattern: Int64(source.toInteger(number, as: Int32.self, mode, &flags))) }
        return UInt64(bitPattern: source.toInteger(number, as: Int64.self, mode, &flags))
    }

    private static func convert<F: SoftFormat>(_ target: F.Type, _ source: String, _ bits: UInt64, _ mode: RoundingMode, _ flags: inout FloatFlags) -> UInt64? {
        switch source {
        case "i32": F.boxed(F.fromSigned(Int64(bitPattern: signExtended(bits)), mode, &flags))
        case "i64": F.boxed(F.fromSigned(Int64(bitPattern: bits), mode, &flags))
        case "u32": F.boxed(F.fromUnsigned(bits & 0xffff_ffff, mode, &flags))
        default: format(source).map { F.boxed($0.convert($0.unboxed(bits), to: F.self, mode, &flags)) }
        }
    }

    private static func arithmetic<F: SoftFormat>(_ name: String, _ format: F.Type, _ x: [UInt64], _ mode: RoundingMode, _ flags: inout FloatFlags) -> UInt64? {
        func fused(_ negatesProduct: Bool, _ negatesAddend: Bool) -> UInt64 {
            F.multiplyAdd(negatesProduct ? F.negate(x[0]) : x[0], x[1], negatesAddend ? F.negate(x[2]) : x[2], mode, &flags)
        }
        switch name {
        case "feq": return F.isEqual(x[0], x[1], &flags) ? 1 : 0
        case "flt": return F.isLess(x[0], x[1], &flags) ? 1 : 0
        case "fle": return F.isLessOrEqual(x[0], x[1], &flags) ? 1 : 0
        case "fadd": return F.boxed(F.add(x[0], x[1], mode, &flags))
        case "fsub": return F.boxed(F.subtract(x[0], x[1], mode, &flags))
        case "fmul": return F.boxed(F.multiply(x[0], x[1], mode, &flags))
        case "fdiv": return F.boxed(F.divide(x[0], x[1], mode, &flags))
        case "fsqrt": return F.boxed(F.squareRoot(x[0], mode, &flags))
        case "fmadd": return F.boxed(fused(false, false))
        case "fmsub": return F.boxed(fused(false, true))
        case "fnmsub": return F.boxed(fused(true, false))
        case "fnmadd": return F.boxed(fused(true, true))
        case "fsgnj": return F.boxed(F.copySign(x[0], x[1]))
        case "fsgnjn": return F.boxed(F.copyNegatedSign(x[0], x[1]))
        case "fsgnjx": return F.boxed(F.multiplySign(x[0], x[1]))
        case "fmin": return F.boxed(F.minimum(x[0], x[1], &flags))
        case "fmax": return F.boxed(F.maximum(x[0], x[1], &flags))
        default: return nil
        }
    }
}
