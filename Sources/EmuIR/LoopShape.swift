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
    /// By integer register: the least and the most that is added to it each time round; nil when something else happens to it.
    public let steps: [ClosedRange<Int64>?]

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
        guard let order = Self.order(from: head, successors) , order.count == blocks.count,
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

    private static func steps(_ blocks: [Int], _ unit: IRUnit) -> [ClosedRange<Int64>?] {
        var steps: [ClosedRange<Int64>?] = Array(repeating: 0...0, count: 32)
        for position in blocks {
            for each in unit.blocks[position].instructions {
                guard case .integer(let register) = each.dst else { continue }
                let known = steps[Int(register)]
                steps[Int(register)] = nil
                // Constants of additions have 32 bits: the sums do not overflow.
                if let known, each.op == .add, each.a == each.dst, case .constant(let step) = each.b {
                    steps[Int(register)] = known.lowerBound + min(step, 0)...known.upperBound + max(step, 0)
                }
            }
        }
        return steps
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
