import EmuIR

/// Finds the loop a hot block belongs to, among the translated blocks of its page.
struct LoopFinder {
    /// Blocks and instructions a loop may have to be compiled in one piece.
    static let greatestBlockCount = 32
    static let greatestInstructionCount = 600
    /// How much more often innermost loops are expected to run than what surrounds them.
    private static let innerWeight = 16

    struct Node {
        var block: UnsafeMutablePointer<Block>
        var ir: IRBlock
        var successors: [Int] = []
    }

    /// The blocks of the loop, the hot one first.
    private(set) var nodes: [Node] = []
    /// By block: the positions of the blocks on the shortest cycle through it.
    private var cycles: [[Int]] = []
    private(set) var shape = LoopShape(weights: [], cycles: [])

    /// - Parameter node: the block at an offset of the page and its IR; nil when there is none worth compiling.
    /// - Returns: nil when the block at `start` is not part of a loop.
    init?(around start: GuestOffset, node: (GuestOffset) -> (UnsafeMutablePointer<Block>, IRBlock)?) {
        var found: [Node] = []
        var index: [GuestOffset: Int] = [:]
        var instructions = 0
        func visit(_ offset: GuestOffset) -> Int? {
            if let known = index[offset] { return known >= 0 ? known : nil }
            guard found.count < Self.greatestBlockCount, instructions < Self.greatestInstructionCount, let (block, ir) = node(offset) else {
                index[offset] = -1
                return nil
            }
            index[offset] = found.count
            instructions += ir.guestCount
            found.append(Node(block: block, ir: ir))
            return found.count - 1
        }
        guard visit(start) != nil else { return nil }
        // Breadth first, so that what is near is found within the limits.
        var next = 0
        while next < found.count {
            found[next].successors = found[next].ir.terminator.targets.compactMap { visit($0) }
            next += 1
        }
        let distance = Self.distances(from: 0, found.map(\.successors))
        var predecessors = Array(repeating: [Int](), count: found.count)
        for (from, each) in found.enumerated() { for to in each.successors { predecessors[to].append(from) } }
        let back = Self.distances(from: 0, predecessors)
        // Part of the loop: reached from the hot block and leading back to it.
        guard found.contains(where: { $0.successors.contains(0) }) else { return nil }
        var number = Array(repeating: -1, count: found.count)
        for i in found.indices where distance[i] != nil && back[i] != nil {
            number[i] = nodes.count
            nodes.append(found[i])
        }
        for i in nodes.indices { nodes[i].successors = nodes[i].successors.compactMap { number[$0] >= 0 ? number[$0] : nil } }
        findCycles()
    }

    private mutating func findCycles() {
        let successors = nodes.map(\.successors)
        var predecessors = Array(repeating: [Int](), count: nodes.count)
        for (from, each) in successors.enumerated() { for to in each { predecessors[to].append(from) } }
        for i in nodes.indices {
            let there = Self.distances(from: i, successors), back = Self.distances(from: i, predecessors)
            // Every block of the loop leads back to every other.
            let length = nodes.indices.compactMap { successors[$0].contains(i) ? there[$0] : nil }.min() ?? 0
            cycles.append(nodes.indices.filter { $0 == i || (there[$0] ?? .max / 2) + (back[$0] ?? .max / 2) == length + 1 })
        }
        // Innermost: nothing on the cycle has a shorter one.
        let isInner = cycles.map { cycle in cycle.allSatisfy { cycles[$0].count >= cycle.count } }
        shape.weights = isInner.map { $0 ? Self.innerWeight : 1 }
        shape.cycles = zip(cycles, isInner).map { $1 ? $0 : [] }
    }

    /// Edges from `start` to each node; nil where there is no way.
    private static func distances(from start: Int, _ edges: [[Int]]) -> [Int?] {
        var result: [Int?] = Array(repeating: nil, count: edges.count)
        result[start] = 0
        var queue = [start]
        var next = 0
        while next < queue.count {
            let here = queue[next]
            next += 1
            for to in edges[here] where result[to] == nil {
                result[to] = (result[here] ?? 0) + 1
                queue.append(to)
            }
        }
        return result
    }
}
