/// Where time was spent, by stacks of functions: a tree with the outermost functions at its root.
public struct CallTree: Sendable {
    struct Node: Sendable {
        /// Number in `names`.
        var name: Int
        var parent: Int
        /// By name.
        var children: [Int: Int] = [:]
        /// Cycles spent in the function itself, called in this way.
        var own: UInt64 = 0
        /// With what it called.
        var total: UInt64 = 0
    }

    /// Node 0 is the root, which has no name.
    private(set) var nodes = [Node(name: -1, parent: -1)]
    private(set) var names: [String] = []
    private var numbers: [String: Int] = [:]
    public private(set) var samples = 0

    public init() {}

    /// All cycles counted.
    public var total: UInt64 { nodes[0].total }

    /// Counts `cycles` for a stack, outermost function first.
    public mutating func add(_ stack: [String], cycles: UInt64) {
        samples += 1
        var node = 0
        nodes[0].total &+= cycles
        for name in stack {
            node = child(of: node, number(name))
            nodes[node].total &+= cycles
        }
        nodes[node].own &+= cycles
    }

    private mutating func number(_ name: String) -> Int {
        if let known = numbers[name] { return known }
        names.append(name)
        numbers[name] = names.count - 1
        return names.count - 1
    }

    private mutating func child(of parent: Int, _ name: Int) -> Int {
        if let known = nodes[parent].children[name] { return known }
        nodes.append(Node(name: name, parent: parent))
        nodes[parent].children[name] = nodes.count - 1
        return nodes.count - 1
    }

    /// A node's children by name, so that output does not depend on chance.
    func children(of node: Int) -> [Int] { nodes[node].children.values.sorted { names[nodes[$0].name] < names[nodes[$1].name] } }

    func name(of node: Int) -> String { nodes[node].name < 0 ? "all" : names[nodes[node].name] }

    // MARK: Reports

    /// One line for each stack, its functions joined by semicolons, and the cycles: what flame-graph tools read.
    public var folded: String {
        var text = ""
        visit { node, path in
            if nodes[node].own > 0 { text += path.map(Self.foldable).joined(separator: ";") + " \(nodes[node].own)\n" }
        }
        return text
    }

    /// Calls `body` for each node but the root, parents first, with the names on the way to it.
    func visit(_ body: (Int, [String]) -> Void) {
        // Recursion would be as deep as the guest's stack.
        var left = children(of: 0).reversed().map { ($0, [name(of: $0)]) }
        while let (node, path) = left.popLast() {
            body(node, path)
            for next in children(of: node).reversed() { left.append((next, path + [name(of: next)])) }
        }
    }

    /// A name without what separates fields and lines of a folded file.
    private static func foldable(_ name: String) -> String {
        String(String.UnicodeScalarView(name.unicodeScalars.map { $0 == ";" ? ":" : $0.value < 0x20 || $0.value == 0x7f ? "?" : $0 }))
    }

    /// A function, however it was called.
    public struct HotSpot: Sendable, Equatable {
        public var name: String
        public var own: UInt64
        /// With what it called; recursion is counted once.
        public var total: UInt64

        public init(name: String, own: UInt64, total: UInt64) {
            self.name = name
            self.own = own
            self.total = total
        }
    }

    /// Functions by the cycles spent in themselves, most first.
    public var hotSpots: [HotSpot] {
        var spots = names.map { HotSpot(name: $0, own: 0, total: 0) }
        for node in nodes.indices.dropFirst() {
            spots[nodes[node].name].own &+= nodes[node].own
            if !hasAncestor(node, nodes[node].name) { spots[nodes[node].name].total &+= nodes[node].total }
        }
        return spots.sorted { ($1.own, $1.total, $0.name) < ($0.own, $0.total, $1.name) }
    }

    private func hasAncestor(_ node: Int, _ name: Int) -> Bool {
        var node = nodes[node].parent
        while node > 0 {
            if nodes[node].name == name { return true }
            node = nodes[node].parent
        }
        return false
    }

    /// "12.3 %" of everything.
    func percent(_ cycles: UInt64) -> String {
        let tenths = total == 0 ? 0 : Int((Double(cycles) * 1000 / Double(total)).rounded())
        return "\(tenths / 10).\(tenths % 10) %"
    }
}
