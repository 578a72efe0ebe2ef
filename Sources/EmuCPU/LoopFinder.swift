import EmuIR

/// Finds the loop a hot block belongs to, among the translated blocks of its page.
struct LoopFinder {
    /// Blocks and instructions a loop may have to be compiled in one piece.
    private static let greatestBlockCount = 32
    private static let greatestBlockCountOfSwitches = 64
    private static let greatestInstructionCount = 600
    /// How much more often innermost loops are expected to run than what surrounds them.
    private static let innerWeight = 16

    struct Node {
        var block: UnsafeMutablePointer<Block>
        var ir: IRBlock
        var successors: [Int] = []
        /// Where the function it calls returns to.
        var link: GuestOffset?

        /// Its jump goes to several places.
        var isSwitch: Bool {
            if case .indirect(_, _, isReturn: false) = ir.terminator { ir.expected.count > 1 } else { false }
        }

        /// The successors that have followed it so far; all when none was seen to.
        func successors(seenAmong nodes: [Node]) -> [Int] {
            guard case .branch(_, _, _, let taken, let next) = ir.terminator, (block.pointee.taken == nil) != (block.pointee.next == nil) else { return successors }
            return successors.filter { nodes[$0].ir.offset == (block.pointee.taken == nil ? next : taken) }
        }
    }

    /// The blocks of the loop, by their addresses.
    private(set) var nodes: [Node] = []
    /// By block: the positions of the blocks on the shortest cycle through it.
    private var cycles: [[Int]] = []
    private(set) var shape = LoopShape(weights: [], cycles: [])

    /// - Parameters:
    ///   - jumpTargets: where computed jumps of the page that are no returns have been seen to go.
    ///   - node: the block at an offset of the page and its IR; nil when there is none worth compiling.
    /// - Returns: nil when the block at `start` is not part of a loop.
    init?(around start: GuestOffset, jumpTargets: [GuestOffset], node: (GuestOffset) -> (UnsafeMutablePointer<Block>, IRBlock)?) {
        var found: [Node] = []
        var index: [GuestOffset: Int] = [:]
        var instructions = 0
        var greatestCount = Self.greatestBlockCount
        func visit(_ offset: GuestOffset) -> Int? {
            if let known = index[offset] { return known >= 0 ? known : nil }
            guard found.count < greatestCount, instructions < Self.greatestInstructionCount, let (block, ir) = node(offset) else {
                index[offset] = -1
                return nil
            }
            index[offset] = found.count
            instructions += ir.guestCount
            found.append(Node(block: block, ir: ir, link: ir.link))
            return found.count - 1
        }
        guard visit(start) != nil else { return nil }
        // Breadth first, so that what is near is found within the limits.
        var next = 0
        repeat {
            while next < found.count {
                var targets = found[next].ir.terminator.targets
                if case .indirect(_, _, isReturn: false) = found[next].ir.terminator {
                    targets = jumpTargets
                    greatestCount = Self.greatestBlockCountOfSwitches
                }
                found[next].successors = targets.compactMap { visit($0) }
                next += 1
            }
            // What has been found may return to calls, and what follows them may lead further.
            for (from, link) in Self.returns(in: found) {
                guard let to = visit(link), !found[from].successors.contains(to) else { continue }
                found[from].successors.append(to)
            }
        } while next < found.count
        let distance = Self.distances(from: 0, found.map(\.successors))
        var predecessors = Array(repeating: [Int](), count: found.count)
        for (from, each) in found.enumerated() { for to in each.successors { predecessors[to].append(from) } }
        let back = Self.distances(from: 0, predecessors)
        // Part of the loop: reached from the hot block and leading back to it.
        guard found.contains(where: { $0.successors.contains(0) }) else { return nil }
        var number = Array(repeating: -1, count: found.count)
        // In the order of their addresses most blocks come before what follows them.
        for i in found.indices.sorted(by: { found[$0].ir.offset < found[$1].ir.offset }) where distance[i] != nil && back[i] != nil {
            number[i] = nodes.count
            nodes.append(found[i])
        }
        for i in nodes.indices {
            nodes[i].successors = nodes[i].successors.compactMap { number[$0] >= 0 ? number[$0] : nil }
            if case .indirect = nodes[i].ir.terminator { nodes[i].ir.expected = nodes[i].successors.map { nodes[$0].ir.offset }.sorted() }
        }
        findCycles()
    }

    /// Blocks that return, with the addresses they return to: of each call, what its function comes to without leaving by another one's return.
    private static func returns(in nodes: [Node]) -> [(from: Int, to: GuestOffset)] {
        guard nodes.contains(where: { $0.ir.terminator.isReturn }) else { return [] }
        var result: [(from: Int, to: GuestOffset)] = []
        for call in nodes {
            guard let link = call.link else { continue }
            var reached = Set(call.successors)
            var queue = call.successors
            while let here = queue.popLast() {
                if nodes[here].ir.terminator.isReturn {
                    result.append((here, link))
                    continue
                }
                // A call within: it goes on behind it.
                let onward = nodes[here].link.map { link in nodes.indices.filter { nodes[$0].ir.offset == link } } ?? nodes[here].successors
                for to in onward where reached.insert(to).inserted { queue.append(to) }
            }
        }
        return result
    }

    private mutating func findCycles() {
        let successors = nodes.map { $0.successors(seenAmong: nodes) }
        var predecessors = Array(repeating: [Int](), count: nodes.count)
        for (from, each) in successors.enumerated() { for to in each { predecessors[to].append(from) } }
        var lengths: [Int] = []
        for i in nodes.indices {
            let there = Self.distances(from: i, successors), back = Self.distances(from: i, predecessors)
            let length = nodes.indices.compactMap { successors[$0].contains(i) ? there[$0] : nil }.min()
            lengths.append(length ?? .max)
            cycles.append(length.map { length in nodes.indices.filter { $0 == i || (there[$0] ?? .max / 2) + (back[$0] ?? .max / 2) == length + 1 } } ?? [])
        }
        // Innermost: nothing on the cycle has a shorter one, unless it goes round the same switch.
        let isInner = nodes.indices.map { i in
            let switches = cycles[i].filter { nodes[$0].isSwitch }
            return !cycles[i].isEmpty && cycles[i].allSatisfy { lengths[$0] >= lengths[i] || switches.contains(where: cycles[$0].contains) }
        }
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

extension IRBlock {
    /// Of a call: where it is to return to.
    fileprivate var link: GuestOffset? {
        // What the jump itself leaves in a register is the address behind it.
        for each in instructions.reversed() where each.guest == terminatorGuest && each.op == .pc {
            if case .integer = each.dst, case .constant(let address) = each.a { return GuestOffset(truncatingIfNeeded: address) }
        }
        return nil
    }
}

extension Terminator {
    fileprivate var isReturn: Bool {
        if case .indirect(_, _, isReturn: true) = self { true } else { false }
    }
}
