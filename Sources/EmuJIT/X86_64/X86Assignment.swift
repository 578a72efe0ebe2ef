import EmuIR

/// Which guest registers live in host registers while a unit runs; the others live in the hart's state.
///
/// rax, rcx, rdx, xmm0 and xmm1 are free for the code of one instruction; rbp points into the state (`stateBias` bytes behind its
/// start, so that the integer registers have short displacements) and r15 counts the budget down.
struct X86Assignment: Equatable {
    static let stateBias: Int32 = 128
    /// Host registers that can hold guest registers. The first six are the caller-saved ones of the C calling convention.
    static let available: [X86Register] = [.rsi, .rdi, .r8, .r9, .r10, .r11, .rbx, .r12, .r13, .r14]
    static let callerSaved = 6
    static let availableFloats: ClosedRange<UInt8> = 3...15
    /// The same where vector operations need some.
    static let availableFloatsBesideVectors: ClosedRange<UInt8> = 3...11
    /// Holds 0xffff_ffff_0000_0000 in units whose assignment has f registers.
    static let box = XMMRegister(2)

    /// By guest register.
    private(set) var integerHome: [X86Register?] = Array(repeating: nil, count: 32)
    private(set) var floatHome: [XMMRegister?] = Array(repeating: nil, count: 32)
    /// f registers, by bit, that hold boxed singles throughout; entering the unit checks it.
    private(set) var singles: UInt32 = 0
    /// Host registers without a guest register, for what the windows of an unchecked loop add to addresses.
    private(set) var addendHomes: [X86Register] = []
    /// Host registers that hold values inside blocks only (`X86ValuePlan`).
    private(set) var pool: [X86Register] = []

    /// What holds at every edge between units: one assignment, so that units jump to each other without moving anything.
    /// The registers compilers use most: arguments, stack pointer, first saved ones.
    static let canonical: X86Assignment = {
        var assignment = X86Assignment()
        let order: [UInt8] = [10, 11, 12, 13, 14, 15, 2, 8, 9, 16]
        for (guest, register) in zip(order, available) { assignment.integerHome[Int(guest)] = register }
        return assignment
    }()

    private init() {}

    /// The assignment for a loop: the registers it uses most have homes. Those with a canonical home keep it, so that entering and
    /// leaving moves little. How many host registers go into the pool is tried out on the blocks of the greatest weight.
    /// - Parameter addends: host registers wanted for `addendHomes`; they go before guest registers that innermost loops do not use.
    init(for unit: IRUnit, weights: [Int], addends: Int) {
        let uses = X86RegisterUses(unit, weights)
        let places = min(Self.available.count, max(Self.available.count - addends, uses.inner))
        self.init(uses, homes: places, pool: 0, addends: addends)
        defer { singles = Self.singles(in: unit, weights) }
        if uses.count <= places && !uses.hasTemps { return }
        let greatest = weights.max() ?? 0
        let hot = zip(unit.blocks, weights).filter { $1 == greatest }.map { (block: $0.0, leaves: $0.0.instructions.map(\.mayLeave)) }
        func cost(_ assignment: X86Assignment) -> Int {
            hot.reduce(addends - assignment.addendHomes.count) {
                $0 + X86ValuePlan($1.block, assignment, leaves: $1.leaves).cost(of: $1.block, assignment, written: uses.written)
            }
        }
        var least = cost(self), sizeOfLeast = 0
        for size in 1...X86ValuePlan.greatestPool where size <= sizeOfLeast + 2 {
            for kept in addends == 0 ? [0] : [0, min(addends, Self.available.count - size)] {
                let other = X86Assignment(uses, homes: Self.available.count - size - kept, pool: size, addends: addends)
                let cost = cost(other)
                if cost < least { (self, least, sizeOfLeast) = (other, cost, size) }
            }
        }
    }

    private init(_ uses: X86RegisterUses, homes: Int, pool size: Int, addends: Int) {
        let integers = uses.integers, floats = uses.floats
        func isUsedMore(_ a: Int, _ b: Int) -> Bool {
            // With a pool, what a block computes before it reads it needs no home.
            if size > 0, uses.awaited[a] != uses.awaited[b] { return uses.awaited[a] > uses.awaited[b] }
            return integers[a] > integers[b]
        }
        let used = (0..<32).filter { integers[$0] > 0 }.sorted(by: isUsedMore).prefix(homes)
        let canonical = Self.canonical
        for guest in used { if let home = canonical.integerHome[guest] { integerHome[guest] = home } }
        var free = Self.available.filter { host in !integerHome.contains(host) }
        pool = Array(free.suffix(size))
        free.removeLast(pool.count)
        for guest in used where integerHome[guest] == nil { integerHome[guest] = free.removeLast() }
        while addendHomes.count < addends, let host = free.popLast() { addendHomes.append(host) }
        // A canonical register the loop does not touch stays where it is.
        for guest in 0..<32 where integerHome[guest] == nil {
            if let home = canonical.integerHome[guest], free.contains(home) { integerHome[guest] = home }
        }
        let usedFloats = (0..<32).filter { floats[$0] > 0 }.sorted { floats[$0] > floats[$1] }
        for (guest, host) in zip(usedFloats, uses.hasVectors ? Self.availableFloatsBesideVectors : Self.availableFloats) { floatHome[guest] = XMMRegister(host) }
    }

    /// Whether a register always is in the same host register.
    func hasHome(_ operand: Operand) -> Bool {
        if case .integer(let guest) = operand { return integerHome[Int(guest)] != nil }
        return false
    }

    /// f registers that the innermost loops read as singles and nothing in the unit writes as anything else.
    private static func singles(in unit: IRUnit, _ weights: [Int]) -> UInt32 {
        var read: UInt32 = 0, spoiled: UInt32 = 0
        for (block, weight) in zip(unit.blocks, weights) {
            for each in block.instructions {
                if each.op == .interpret { return 0 }
                if weight > 1, each.op.readsSingles {
                    for case .float(let guest) in [each.a, each.b, each.c] { read |= 1 << UInt32(guest) }
                }
                if case .float(let guest) = each.dst, !each.op.writesSingle { spoiled |= 1 << UInt32(guest) }
            }
        }
        return read & ~spoiled
    }

    /// Guest register and host register of everything that has one, integer.
    var integers: [(guest: UInt8, host: X86Register)] {
        (0..<32).compactMap { guest in integerHome[guest].map { (UInt8(guest), $0) } }
    }

    var floats: [(guest: UInt8, host: XMMRegister)] {
        (0..<32).compactMap { guest in floatHome[guest].map { (UInt8(guest), $0) } }
    }
}

extension Opcode {
    /// Takes its floating operands for boxed singles.
    var readsSingles: Bool {
        switch self {
        case .faddS, .fsubS, .fmulS, .fdivS, .fsqrtS, .fmaddS, .fmsubS, .fnmsubS, .fnmaddS, .fsgnjS, .fsgnjnS, .fsgnjxS, .fminS, .fmaxS, .feqS,
            .fltS, .fleS, .fcvtI32StoX_t, .fcvtI64StoX_t, .fcvtI32StoX_r, .fcvtI64StoX_r, .fcvtStoD:
            true
        default: false
        }
    }

    /// Leaves a boxed single in its floating destination.
    var writesSingle: Bool {
        switch self {
        case .loadf32, .faddS, .fsubS, .fmulS, .fdivS, .fsqrtS, .fmaddS, .fmsubS, .fnmsubS, .fnmaddS, .fsgnjS, .fsgnjnS, .fsgnjxS, .fminS, .fmaxS,
            .fcvtI32toS, .fcvtI64toS, .fcvtU32toS, .fcvtDtoS, .movX32toF:
            true
        default: false
        }
    }

    /// Arithmetic whose result is a NaN if an operand is one, and never a signalling one.
    var isFloatArithmetic: Bool {
        switch self {
        case .faddS, .fsubS, .fmulS, .fdivS, .fsqrtS, .faddD, .fsubD, .fmulD, .fdivD, .fsqrtD, .fmaddS, .fmsubS, .fnmsubS, .fnmaddS, .fmaddD, .fmsubD,
            .fnmsubD, .fnmaddD: true
        default: false
        }
    }
}

/// How often a unit's registers are used, as far as its weights tell.
private struct X86RegisterUses {
    var integers = Array(repeating: 0, count: 32)
    var floats = Array(repeating: 0, count: 32)
    /// Reads of what an earlier block has left in an integer register.
    var awaited = Array(repeating: 0, count: 32)
    /// Integer registers, by bit, that the blocks of the greatest weight write.
    var written: UInt32 = 0
    /// Integer registers that the blocks of the greatest weight use.
    var inner = 0
    /// Some temp is no probe's.
    var hasTemps = false
    var hasVectors = false

    /// Integer registers used.
    var count: Int { integers.count { $0 > 0 } }

    init(_ unit: IRUnit, _ weights: [Int]) {
        let greatest = weights.max() ?? 0
        var usedInside: UInt32 = 0
        for (block, weight) in zip(unit.blocks, weights) {
            var writtenHere: UInt32 = 0
            func use(_ operand: Operand) {
                switch operand {
                case .integer(let guest):
                    integers[Int(guest)] += weight
                    if weight == greatest { usedInside |= 1 << UInt32(guest) }
                case .float(let guest): floats[Int(guest)] += weight
                case .none, .vector, .temp, .constant: break
                }
            }
            func read(_ operand: Operand) {
                use(operand)
                if case .integer(let guest) = operand, writtenHere >> UInt32(guest) & 1 == 0 { awaited[Int(guest)] += weight }
            }
            for each in block.instructions {
                read(each.a)
                read(each.b)
                read(each.c)
                use(each.dst)
                if case .integer(let guest) = each.dst { writtenHere |= 1 << UInt32(guest) }
                if case .temp = each.dst, each.op != .probe { hasTemps = true }
                if each.op.info.isVector { hasVectors = true }
            }
            if weight == greatest { written |= writtenHere }
            read(block.terminator.operands.0)
            read(block.terminator.operands.1)
        }
        inner = usedInside.nonzeroBitCount
    }
}
