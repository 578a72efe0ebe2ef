import EmuIR
import TestSupport

/// Blocks that consist of one opcode, with operands in every place: registers of the canonical assignment and others, temps, constants,
/// destinations equal to operands.
struct RandomOperations {
    private var random: SplitMix
    private var block = IRBlock(offset: 0x40, guestCount: 1, terminator: .jump(0x1040), terminatorGuest: 0)
    private var temps: [Operand] = []

    /// Guest registers that are never written and hold addresses around the accessible pages.
    static let bases: [UInt8] = [2, 9, 20, 21]
    private static let registers: [UInt8] = [10, 11, 16, 8, 1, 5, 6, 28, 31]
    private static let floats: [UInt8] = [0, 1, 2, 10, 30, 31]

    init(seed: UInt64) { random = SplitMix(seed: seed) }

    mutating func below(_ bound: Int) -> Int { Int(random.next() % UInt64(bound)) }
    mutating func pick<Element>(_ choices: [Element]) -> Element { choices[below(choices.count)] }

    // MARK: Operands

    static let constants: [Int64] = [
        0, 1, -1, 2, 3, 7, 8, 16, 31, 32, 33, 63, 64, 127, 128, 255, -128, -129, 2047, -2048, 4095, 0xffff, 0x7fff_ffff, -0x8000_0000,
    ]

    private mutating func constant() -> Int64 { below(3) == 0 ? Int64(Int32(truncatingIfNeeded: random.next())) : pick(Self.constants) }

    private mutating func source(_ kind: OperandKind, pool: [UInt8]) -> Operand {
        switch kind {
        // Operations on vectors are compared with the interpreter, by the fuzzer.
        case .unused, .hostAddress, .probed, .vector, .elements: return .none
        case .float: return .float(pick(Self.floats))
        case .constant: return .constant(constant())
        case .wideValue where below(3) == 0: return .constant(Int64(bitPattern: random.next()))
        case .wideValue, .value, .register:
            switch below(10) {
            case 0..<2: return .constant(constant())
            case 2 where !temps.isEmpty: return pick(temps)
            default: return .integer(pick(pool))
            }
        }
    }

    private mutating func destination(_ kind: OperandKind, _ sources: [Operand], pool: [UInt8]) -> Operand {
        if kind == .float { return below(3) == 0 ? sources.first { if case .float = $0 { true } else { false } } ?? .float(pick(Self.floats)) : .float(pick(Self.floats)) }
        guard kind == .register else { return .none }
        if below(7) == 0 { return newTemp() }
        let written = sources.filter { if case .integer(let number) = $0 { !Self.bases.contains(number) } else { false } }
        return below(3) == 0 && !written.isEmpty ? pick(written) : .integer(pick(pool))
    }

    private mutating func newTemp() -> Operand {
        block.tempCount += 1
        return .temp(UInt16(block.tempCount - 1))
    }

    // MARK: Blocks

    mutating func block(of op: Opcode, count: Int = 8) -> IRBlock {
        block = IRBlock(offset: 0x40, guestCount: count + 2, terminator: .jump(0x1040), terminatorGuest: UInt16(count + 1))
        temps = []
        // Few registers repeat operands often; many leave a loop without homes for all.
        let pool = below(2) == 0 ? Array(Self.registers.shuffled(using: &random).prefix(3)) : Self.registers
        for guest in 0..<count {
            let guest = UInt16(guest)
            if op.info.isGuarded && guest == 0 { block.instructions.append(Instruction(.guardFloat, guest: guest)) }
            switch op.info.shape.syntax {
            case .plain: plain(op, guest, pool)
            case .load, .store: access(op, guest, pool)
            case .probe: access(pick([.load8u, .load64, .store16, .store64]), guest, pool, alwaysProbes: true)
            }
        }
        // What temps got must be seen.
        for (temp, register) in zip(temps.suffix(3), Self.registers) {
            block.instructions.append(Instruction(.mov, .integer(register), temp, guest: UInt16(count)))
        }
        return block
    }

    /// A block of several opcodes that uses nearly all registers, those written last most often.
    mutating func crowdedBlock(of opcodes: [Opcode], count: Int) -> IRBlock {
        block = IRBlock(offset: 0x40, guestCount: count + 2, terminator: .jump(0x1040), terminatorGuest: UInt16(count + 1))
        temps = []
        let all = (1..<32).map { UInt8($0) }.filter { !Self.bases.contains($0) }
        var recent = Array(all.prefix(4))
        for guest in 0..<count {
            let op = pick(opcodes)
            let pool = below(3) == 0 ? all : recent + [pick(all)]
            if op.info.shape.syntax == .plain { plain(op, UInt16(guest), pool) } else { access(op, UInt16(guest), pool) }
            if case .integer(let written)? = block.instructions.last?.dst { recent = recent.suffix(5) + [written] }
        }
        return block
    }

    private mutating func plain(_ op: Opcode, _ guest: UInt16, _ pool: [UInt8]) {
        let shape = op.info.shape
        let a = source(shape.a, pool: pool)
        let b = below(6) == 0 && shape.b == shape.a ? a : source(shape.b, pool: pool)
        let c = op == .shladd || op == .shladduw ? .constant(Int64(below(4))) : source(shape.c, pool: pool)
        // The interpreter, which helps with these, knows registers only.
        let dst = op.info.isGuarded && shape.dst == .register ? .integer(pick(pool)) : destination(shape.dst, [a, b, c], pool: pool)
        block.instructions.append(Instruction(op, dst, a, b, c, guest: guest))
        if case .temp = dst { temps.append(dst) }
    }

    private mutating func access(_ op: Opcode, _ guest: UInt16, _ pool: [UInt8], alwaysProbes: Bool = false) {
        let shape = op.info.shape
        let base: Operand = below(12) == 0 ? .constant(constant()) : .integer(pick(Self.bases))
        let displacement = Int32(below(200)) - 100
        var host = Operand.none
        if alwaysProbes || below(3) == 0, case .integer = base {
            host = newTemp()
            let rights: ProbeRights = op.info.writesMemory ? pick([.write, [.read, .write], [.write, .steady]]) : pick([.read, [.read, .write], [.read, .steady]])
            let length = Int64(op.info.accessBytes) + Int64(below(40))
            block.instructions.append(
                Instruction(.probe, host, base, .constant(length), .constant(rights.rawValue), displacement: displacement, guest: guest))
        }
        if op.info.writesMemory {
            block.instructions.append(Instruction(op, .none, base, source(shape.b, pool: pool), host, displacement: displacement, guest: guest))
        } else {
            let dst = destination(shape.dst, [], pool: pool)
            block.instructions.append(Instruction(op, dst, base, host, displacement: displacement, guest: guest))
            if case .temp = dst { temps.append(dst) }
        }
    }

    // MARK: Registers

    private static let integerValues: [UInt64] = [
        0, 1, .max, 2, 0x7fff_ffff_ffff_ffff, 0x8000_0000_0000_0000, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0xffff_ffff_8000_0000, 0x80, 0xff, 0x8000, 63, 64,
    ]
    private static let doubles: [UInt64] = [
        0, 1 << 63, 0x3ff0_0000_0000_0000, 0xbff0_0000_0000_0000, 0x7ff0_0000_0000_0000, 0xfff0_0000_0000_0000, 0x7ff8_0000_0000_0000, 0x7ff0_0000_0000_0001,
        1, 0x000f_ffff_ffff_ffff, 0x7fef_ffff_ffff_ffff, 0x41df_ffff_ffc0_0000, 0xc1e0_0000_0020_0000, 0x43e0_0000_0000_0000, 0xc3e0_0000_0000_0000,
        0x3fe0_0000_0000_0000, 0x4004_0000_0000_0000,
    ]
    private static let singles: [UInt64] = [
        0, 0x8000_0000, 0x3f80_0000, 0xbf80_0000, 0x7f80_0000, 0xff80_0000, 0x7fc0_0000, 0x7f80_0001, 1, 0x007f_ffff, 0x7f7f_ffff, 0x4f00_0000,
        0xcf00_0000, 0x5f00_0000, 0xdf00_0000, 0x3f00_0000, 0x4020_0000,
    ]

    /// Fills the registers with values at the edges and between them.
    /// - Parameter singles: most f registers hold boxed singles.
    mutating func fill(_ guest: inout IRReference, singles: Bool) {
        for index in 1..<32 {
            let value = random.next()
            guest.integers[index] = [value, value >> UInt64(below(64)), UInt64(bitPattern: Int64(Int32(truncatingIfNeeded: value))), pick(Self.integerValues)][below(4)]
        }
        for base in Self.bases {
            let page = pick(SparseMemory.direct + [SparseMemory.base + 0x3000, SparseMemory.base + 0x4000, SparseMemory.base - 0x1000])
            guest.integers[Int(base)] = page + UInt64(pick([0, 3, 100, 0x7f8, 0xf9c, 0xff8, 0xfff]))
        }
        for index in 0..<32 {
            if singles && below(40) != 0 {
                guest.floats[index] = 0xffff_ffff_0000_0000 | (below(3) == 0 ? pick(Self.singles) : narrowed(random.next() & 0xffff_ffff, 23, 0xff))
            } else {
                guest.floats[index] = below(3) == 0 ? pick(Self.doubles) : narrowed(random.next(), 52, 0x7ff)
            }
        }
    }

    /// Half of the numbers near 1, so that sums and products round.
    private mutating func narrowed(_ bits: UInt64, _ fraction: UInt64, _ exponents: UInt64) -> UInt64 {
        if below(2) == 0 { return bits }
        return bits & ~(exponents << fraction) | (exponents / 2 - 20 + UInt64(below(80))) << fraction
    }
}

extension SplitMix: RandomNumberGenerator {}
