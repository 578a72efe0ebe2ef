import EmuIR

/// Random units that keep every rule of the verifier, rich in what the passes look for: few registers, chains of shifts and
/// additions, repeated bases, constants of all sizes.
package struct RandomUnits {
    private var random: SplitMix
    private var block = IRBlock(offset: 0, guestCount: 1, terminator: .interpret, terminatorGuest: 0)
    private var guest: UInt16 = 0
    private var values: [Operand] = []
    private var probes: [LiveProbe] = []
    private var isGuarded = false
    private var lastResult: Operand?
    /// Rest of a sequence that passes look for; other instructions come in between.
    private var pending: [Instruction] = []

    private struct LiveProbe {
        let base: Operand
        let first: Int32
        let length: Int32
        let rights: ProbeRights
        let temp: Operand
    }

    package init(seed: UInt64) { random = SplitMix(seed: seed) }

    package static let registers: [UInt8] = [1, 2, 5, 6, 7, 8, 31]
    private static let floatRegisters: [UInt8] = [0, 1, 31]
    private static let plain = Opcode.allCases.filter { $0.info.shape.syntax == .plain && $0.info.isPure && !$0.info.isGuarded && $0 != .mov && $0 != .pc }
    private static let floats = Opcode.allCases.filter { $0.info.isGuarded && $0.info.shape.syntax == .plain && !$0.info.isVector }
    private static let loads = Opcode.allCases.filter { $0.info.shape.syntax == .load && !$0.info.isVector }
    private static let stores = Opcode.allCases.filter { $0.info.shape.syntax == .store && !$0.info.isVector }

    private static let atomics = OpcodeInfo.table.filter { $0.readsMemory && $0.writesMemory && $0.shape.dst == .register }.map(\.opcode)

    package mutating func unit() -> IRUnit {
        let count = 1 + below(3)
        var offsets: [GuestOffset] = []
        for index in 0..<count { offsets.append(GuestOffset(index * 512 + 2 * below(100))) }
        return IRUnit(blocks: offsets.map { nextBlock(offset: $0, others: offsets) })
    }

    package mutating func nextBlock(offset: GuestOffset = 0x100, others: [GuestOffset] = []) -> IRBlock {
        block = IRBlock(offset: offset, guestCount: 1 + below(14), terminator: .interpret, terminatorGuest: 0)
        values = []
        probes = []
        pending = []
        isGuarded = false
        for position in 0..<block.guestCount {
            guest = UInt16(position)
            if chance(90) { instruction() }
        }
        block.terminatorGuest = guest
        terminate(others)
        return block
    }

    // MARK: - Choices

    private mutating func below(_ bound: Int) -> Int { Int(random.next() % UInt64(bound)) }
    private mutating func chance(_ percent: Int) -> Bool { below(100) < percent }
    private mutating func pick<Element>(_ choices: [Element]) -> Element { choices[below(choices.count)] }

    private mutating func register() -> Operand { .integer(pick(Self.registers)) }

    private mutating func constant() -> Int64 {
        switch below(8) {
        case 0: 0
        case 1: pick([1, -1, 2, 3])
        case 2: pick([32, 48, 56, 63, 31, 30, 29, 24, 16])
        case 3: Int64(below(4096)) - 2048
        case 4: pick([255, 65535, 0x7fff_ffff, -0x8000_0000, 4095, 8, 16])
        case 5: 1 << Int64(below(31))
        case 6: Int64(Int32(truncatingIfNeeded: random.next())) & ~0xfff
        default: Int64(Int32(truncatingIfNeeded: random.next()))
        }
    }

    private mutating func value() -> Operand {
        if chance(30) { return .constant(constant()) }
        if let lastResult, chance(45), values.contains(lastResult) || !lastResult.isTemporary { return lastResult }
        if !values.isEmpty, chance(20) { return pick(values) }
        return register()
    }

    private mutating func newTemp() -> Operand {
        block.tempCount += 1
        return .temp(UInt16(block.tempCount - 1))
    }

    private mutating func emit(
        _ op: Opcode, _ dst: Operand = .none, _ a: Operand = .none, _ b: Operand = .none, _ c: Operand = .none, displacement: Int32 = 0
    ) {
        block.instructions.append(Instruction(op, dst, a, b, c, displacement: displacement, guest: guest))
        guard dst != .none else { return }
        probes.removeAll { $0.base == dst }
        if op != .probe {
            if dst.isTemporary { values.append(dst) }
            if case .float = dst {} else { lastResult = dst }
        }
    }

    private mutating func guardFloat() {
        if !isGuarded { emit(.guardFloat) }
        isGuarded = true
    }

    // MARK: - Instructions

    private mutating func instruction() {
        if let next = pending.first, chance(65) {
            pending.removeFirst()
            return emit(next.op, next.dst, next.a, next.b, next.c)
        }
        if pending.isEmpty, chance(20) { return startSequence() }
        while chance(15) { pure(into: newTemp()) }
        switch below(100) {
        case 0..<45:
            pure(into: register())
            if chance(10) { pure(into: register()) }
        case 45..<53: emit(.mov, register(), .constant(chance(50) ? constant() : Int64(bitPattern: random.next())))
        case 53..<57: emit(.mov, register(), value())
        case 57..<62: emit(.pc, register(), .constant(constant()))
        case 62..<76: load()
        case 76..<88: store()
        case 88..<94: float()
        case 94, 95: atomic()
        case 96: stateAccess()
        default:
            emit(.interpret)
            probes = []
        }
    }

    private mutating func atomic() {
        let op = pick(Self.atomics)
        emit(op, register(), .integer(pick([1, 2, 5])), op.info.shape.b == .value ? value() : .none)
    }

    /// An access to one of three words of the state.
    private mutating func stateAccess() {
        emit(.guardPrivilege, .none, .constant(Int64(below(4))))
        let word = Operand.constant(Int64(8 * below(3)))
        if chance(50) { emit(.writeState, .none, word, value()) } else { emit(.readState, register(), word) }
    }

    /// Shifts or comparisons that belong together, sometimes with an operand overwritten by its own shift.
    private mutating func startSequence() {
        let first = register()
        let source = chance(50) ? first : register()
        let last = chance(70) ? first : register()
        func later(_ op: Opcode, _ dst: Operand, _ a: Operand, _ b: Operand) { pending.append(Instruction(op, dst, a, b, guest: 0)) }
        switch below(4) {
        case 0:
            let amount: Int64 = pick([32, 32, 48, 56])
            emit(.shl, first, source, .constant(amount))
            later(pick([.shr, .sar]), last, first, .constant(chance(75) ? amount : 30))
        case 1:
            chance(70) ? emit(.shl, first, source, .constant(Int64(1 + below(3)))) : emit(.zext32, first, source)
            later(.add, last, first, value())
        case 2:
            let (isWord, second) = (chance(50), register())
            let amount = Int64(1 + below(isWord ? 31 : 63))
            emit(isWord ? .shlw : .shl, first, source, .constant(amount))
            later(isWord ? .shrw : .shr, second, source, .constant((isWord ? 32 : 64) - amount))
            later(pick([.or, .xor, .add]), chance(50) ? last : second, first, second)
        default:
            emit(pick([.xor, .sub, .setlt, .setltu, .seteq, .setne]), first, source, value())
            later(pick([.seteq, .setne]), last, first, .constant(0))
        }
    }

    private mutating func pure(into dst: Operand) {
        if let lastResult, chance(25), !lastResult.isTemporary || values.contains(lastResult) {
            // What follows an instruction in address arithmetic and extensions.
            let follower: Opcode = pick([.shr, .sar, .add, .sext32, .zext32, .sext8, .zext16, .shladd, .addw, .xor, .seteq, .setltu, .and])
            let shape = follower.info.shape
            let b: Operand = shape.b == .unused ? .none : chance(60) ? .constant(pick([0, 1, 32, 48, 56, 30, 29, 255])) : value()
            emit(follower, dst, lastResult, b, shape.c == .unused ? .none : .constant(Int64(below(4))))
            return
        }
        let op: Opcode = chance(30) ? pick([.add, .shl, .shl, .addw, .sub, .setlt, .setltu, .xor, .seteq]) : pick(Self.plain)
        let shape = op.info.shape
        emit(
            op, dst, value(), shape.b == .value ? value() : shape.b == .constant ? .constant(constant()) : .none,
            shape.c == .constant ? .constant(Int64(below(4))) : .none)
    }

    private mutating func address() -> (base: Operand, displacement: Int32) {
        let displacement = Int32(below(64)) * 8 - (chance(30) ? 2048 : 0)
        if chance(5) { return (.constant(constant()), displacement) }
        return (chance(10) ? (values.isEmpty ? register() : pick(values)) : .integer(pick([1, 2, 5])), displacement)
    }

    private mutating func host(_ base: Operand, _ displacement: Int32, bytes: UInt8, needs: ProbeRights) -> Operand {
        if chance(10), base.isVariable {
            emit(
                .probe, newTemp(), base, .constant(Int64(bytes) + 56), .constant(ProbeRights([.read, .write]).rawValue), displacement: displacement - 16)
            probes.append(
                LiveProbe(
                    base: base, first: displacement - 16, length: Int32(bytes) + 56, rights: [.read, .write], temp: block.instructions.last!.dst))
        }
        let fitting = probes.filter {
            $0.base == base && $0.rights.isSuperset(of: needs) && $0.first <= displacement && displacement + Int32(bytes) <= $0.first + $0.length
        }
        return fitting.isEmpty ? .none : pick(fitting).temp
    }

    private mutating func load() {
        let op = pick(Self.loads)
        if op.info.isGuarded { guardFloat() }
        let (base, displacement) = address()
        let host = host(base, displacement, bytes: op.info.accessBytes, needs: .read)
        emit(op, op.info.shape.dst == .float ? .float(pick(Self.floatRegisters)) : register(), base, host, displacement: displacement)
    }

    private mutating func store() {
        let op = pick(Self.stores)
        if op.info.isGuarded { guardFloat() }
        let (base, displacement) = address()
        let host = host(base, displacement, bytes: op.info.accessBytes, needs: .write)
        emit(op, .none, base, op.info.shape.b == .float ? .float(pick(Self.floatRegisters)) : value(), host, displacement: displacement)
    }

    private mutating func float() {
        guardFloat()
        let op = pick(Self.floats)
        let shape = op.info.shape
        emit(
            op, shape.dst == .float ? .float(pick(Self.floatRegisters)) : register(), source(shape.a), source(shape.b), source(shape.c))
    }

    private mutating func source(_ kind: OperandKind) -> Operand {
        switch kind {
        case .float: .float(pick(Self.floatRegisters))
        case .value: value()
        default: .none
        }
    }

    private mutating func terminate(_ others: [GuestOffset]) {
        let target = others.isEmpty || chance(20) ? GuestOffset(below(8192)) - 2048 : pick(others)
        switch below(10) {
        case 0..<2: block.terminator = .jump(target)
        case 2..<8:
            let b = chance(40) ? .constant(0) : value()
            block.terminator = .branch(pick(Relation.allCases), value(), b, taken: target, next: block.offset + 0x40)
        case 8: block.terminator = .indirect(value(), displacement: Int32(below(64)), isReturn: chance(50))
        default:
            block.terminator = .interpret
            // The interpreter must find the state before its instruction.
            block.instructions.removeAll { $0.guest == block.terminatorGuest }
            dropTempsWithoutDefinition()
        }
    }

    private mutating func dropTempsWithoutDefinition() {
        var count = 0
        for instruction in block.instructions {
            if case .temp(let number) = instruction.dst { count = max(count, Int(number) + 1) }
        }
        block.tempCount = count
    }
}

extension Operand {
    fileprivate var isTemporary: Bool {
        if case .temp = self { true } else { false }
    }

    /// A register or a temp.
    package var isVariable: Bool {
        switch self {
        case .integer, .temp: true
        default: false
        }
    }
}
