/// What is known of the loops in a unit that is one.
public struct LoopShape: Hashable, Sendable {
    /// By block: how often it is expected to run, relative to the others.
    public var weights: [Int]
    /// By block: the positions of the blocks of the innermost loop it is part of, ascending; empty where that runs rarely.
    public var cycles: [[Int]]

    public init(weights: [Int], cycles: [[Int]]) {
        self.weights = weights
        self.cycles = cycles
    }

    /// The innermost loops that are simple enough to say how they move through memory.
    public func innerLoops(in unit: IRUnit) -> [InnerLoop] {
        cycles.indices.compactMap { index in
            let cycle = cycles[index]
            guard cycle.first == index, cycle.allSatisfy({ cycles[$0] == cycle }) else { return nil }
            return InnerLoop(cycle, in: unit)
        }
    }
}

/// A loop without loops inside: each time round passes its head, and no block twice.
public struct InnerLoop: Hashable, Sendable {
    /// Positions of its blocks, the head first, then by their addresses.
    public let blocks: [Int]
    /// Guest instructions of the shortest way round.
    public let shortest: Int
    /// Positions of the blocks that every way round passes.
    public let certain: Set<Int>
    /// By integer register: what is added to it each time round; nil when something else happens to it.
    private let steps: [Step?]

    public var head: Int { blocks[0] }

    /// - Returns: nil when the blocks are no such loop, or do something whose consequences for the others cannot be foreseen.
    public init?(_ positions: [Int], in unit: IRUnit) {
        let blocks = positions.sorted { unit.blocks[$0].offset < unit.blocks[$1].offset }
        guard let head = blocks.first else { return nil }
        var successors: [Int: [Int]] = [:]
        for position in blocks {
            switch unit.blocks[position].terminator {
            case .jump, .branch: break
            case .indirect, .interpret: return nil
            }
            if unit.blocks[position].instructions.contains(where: { $0.op == .interpret }) { return nil }
            successors[position] = unit.blocks[position].terminator.targets.compactMap { unit.index(of: $0) }.filter(blocks.contains)
        }
        guard let order = Self.order(from: head, successors), order.count == blocks.count,
            let shortest = Self.shortest(order, successors, unit, without: nil) else { return nil }
        self.blocks = blocks
        self.shortest = shortest
        certain = Set(blocks.filter { $0 == head || Self.shortest(order, successors, unit, without: $0) == nil })
        steps = Self.steps(blocks, unit)
    }

    /// The blocks in an order in which each follows all that lead to it, the way back to the head apart; nil when there is none.
    private static func order(from head: Int, _ successors: [Int: [Int]]) -> [Int]? {
        var waiting = successors.mapValues { _ in 0 }
        for targets in successors.values { for target in targets where target != head { waiting[target, default: 0] += 1 } }
        guard waiting[head] == 0 else { return nil }
        var order = [head]
        var next = 0
        while next < order.count {
            for target in successors[order[next]] ?? [] where target != head {
                waiting[target, default: 0] -= 1
                if waiting[target] == 0 { order.append(target) }
            }
            next += 1
        }
        return order
    }

    /// Guest instructions of the shortest way round that avoids a block; nil when there is none.
    private static func shortest(_ order: [Int], _ successors: [Int: [Int]], _ unit: IRUnit, without avoided: Int?) -> Int? {
        var distance: [Int: Int] = [order[0]: 0]
        var result: Int?
        for position in order where position != avoided {
            guard let start = distance[position] else { continue }
            let end = start + unit.blocks[position].guestCount
            for target in successors[position] ?? [] {
                if target == order[0] {
                    result = min(result ?? end, end)
                } else {
                    distance[target] = min(distance[target] ?? end, end)
                }
            }
        }
        return result
    }

    private static func steps(_ blocks: [Int], _ unit: IRUnit) -> [Step?] {
        var steps: [Step?] = Array(repeating: Step(), count: 32)
        for each in blocks.flatMap({ unit.blocks[$0].instructions }) {
            guard case .integer(let register) = each.dst else { continue }
            let known = steps[Int(register)]
            steps[Int(register)] = nil
            guard var step = known, each.op == .add, each.a == each.dst || each.b == each.dst else { continue }
            switch each.a == each.dst ? each.b : each.a {
            case .constant(let constant):
                // Constants of additions have 32 bits: the sums do not overflow.
                step.least += min(constant, 0)
                step.most += max(constant, 0)
            case .integer(let other) where step.isNone && other != register: step.register = other
            default: continue
            }
            if step.register == nil || step.least == 0 && step.most == 0 { steps[Int(register)] = step }
        }
        // What is added must stay the same.
        return steps.map { step in
            guard let other = step?.register else { return step }
            return steps[Int(other)]?.isNone == true ? step : nil
        }
    }

    /// Whether nothing in the loop writes an integer register.
    public func keeps(_ register: UInt8) -> Bool { steps[Int(register)]?.isNone == true }

    // MARK: Walks

    /// How the base of an instruction in a certain block moves; nil when that is not foreseeable.
    public func walk(of position: Int, in block: IRBlock) -> Walk? {
        guard case .integer(let base) = block.instructions[position].a else { return nil }
        if steps[Int(base)] != nil { return walk([(base, 0)]) }
        // Computed anew each time round, from what moves by steps.
        guard let source = block.instructions[..<position].last(where: { $0.dst == .integer(base) }) else { return nil }
        switch (source.op, source.a, source.b, source.c) {
        case (.mov, .integer(let a), _, _): return walk([(a, 0)])
        case (.add, .integer(let a), .constant(let constant), _): return walk([(a, 0)], constant)
        case (.add, .integer(let a), .integer(let b), _): return walk([(a, 0), (b, 0)])
        case (.shladd, .integer(let a), .integer(let b), .constant(let amount)): return walk([(a, UInt8(truncatingIfNeeded: amount)), (b, 0)])
        default: return nil
        }
    }

    private func walk(_ terms: [(register: UInt8, shift: UInt8)], _ constant: Int64 = 0) -> Walk? {
        let known = terms.compactMap { steps[Int($0.register)] }
        return known.count == terms.count ? Walk(terms.map { Walk.Term(register: $0.register, shift: $0.shift) }, known, constant) : nil
    }
}

/// What is added to a register each time round a loop: something between two constants, or what another register holds, or,
/// where there are ways round without it, nothing.
struct Step: Hashable, Sendable {
    var least: Int64 = 0
    var most: Int64 = 0
    var register: UInt8?

    var isNone: Bool { least == 0 && most == 0 && register == nil }
}

/// An address that moves by steps: at some time round a loop it lies between so many of the least and of the most steps, that time
/// included, from what the terms gave at the head of the first.
public struct Walk: Hashable, Sendable {
    /// A register, shifted left.
    public struct Term: Hashable, Sendable {
        public let register: UInt8
        public let shift: UInt8
    }

    /// Their sum and the constant is the address.
    public let terms: [Term]
    public let constant: Int64
    /// The least and the most it moves each time round, 32 bits.
    public let least: Int64
    public let most: Int64
    /// A register whose value is added each time round at most once, besides.
    public let register: UInt8?

    /// - Parameter steps: of the terms. Nil when more than one register is added, or steps are too large to be walked in.
    init?(_ terms: [Term], _ steps: [Step], _ constant: Int64 = 0) {
        let registers = steps.compactMap(\.register)
        guard registers.count <= 1, registers.isEmpty || terms.allSatisfy({ $0.shift == 0 }) else { return nil }
        least = zip(terms, steps).reduce(0) { $0 + $1.1.least << Int64($1.0.shift) }
        most = zip(terms, steps).reduce(0) { $0 + $1.1.most << Int64($1.0.shift) }
        guard fits32(least), fits32(most) else { return nil }
        self.terms = terms
        self.constant = constant
        register = registers.first
    }
}

extension Terminator {
    /// Addresses it may go to that are known.
    public var targets: [GuestOffset] {
        switch self {
        case .jump(let target): [target]
        case .branch(_, _, _, let taken, let next): [taken, next]
        case .indirect, .interpret: []
        }
    }
}
