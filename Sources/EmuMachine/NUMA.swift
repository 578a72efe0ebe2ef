import EmuBus

/// One `-object memory-backend-…`.
public struct MemoryBackendConfig: Equatable, Sendable {
    public var id: String
    public var backing: MemoryBacking
    /// Bytes.
    public var size: UInt64

    public init(id: String, backing: MemoryBacking, size: UInt64) {
        self.id = id
        self.backing = backing
        self.size = size
    }
}

/// `-numa`: nodes of harts and memory that are not equally far from each other.
public struct NUMAConfig: Equatable, Sendable {
    public struct Node: Equatable, Sendable {
        /// `mem=`: bytes of its memory; nil for a share of what is left.
        public var memory: UInt64?
        /// `memdev=`: id of the backend of its memory.
        public var backend: String?
        public var harts: [ClosedRange<Int>] = []

        public init() {}
    }

    public struct Distance: Equatable, Sendable {
        public var source, destination: Int
        /// 10 is local.
        public var value: UInt8

        public init(source: Int, destination: Int, value: UInt8) {
            self.source = source
            self.destination = destination
            self.value = value
        }
    }

    public var nodes: [Node] = []
    public var distances: [Distance] = []

    public init() {}
}

/// Which node every hart and every byte of RAM belongs to.
struct NUMALayout {
    struct Node {
        /// Bytes; the nodes' memory lies one after the other in RAM.
        var memory: UInt64
        var harts: [Int]
        var backing: MemoryBacking
    }

    let nodes: [Node]
    /// From node to node, row by row; nil where no distance was given.
    let distances: [[UInt8]]?

    /// nil for a machine without nodes.
    init?(_ config: MachineConfig) throws(ConfigError) {
        guard let numa = config.numa else { return nil }
        let harts = try Self.harts(numa, count: config.harts)
        let memory = try Self.memory(numa, config)
        nodes = zip(memory, harts).map { Node(memory: $0.size, harts: $1, backing: $0.backing) }
        distances = try Self.distances(numa)
    }

    /// The node of a hart.
    func node(ofHart hart: Int) -> Int { nodes.firstIndex { $0.harts.contains(hart) } ?? 0 }

    /// Nodes with memory: number, first address, bytes.
    func memory(from base: UInt64) -> [(node: Int, base: UInt64, size: UInt64)] {
        var next = base
        return nodes.enumerated().compactMap { index, node in
            defer { next += node.memory }
            return node.memory == 0 ? nil : (index, next, node.memory)
        }
    }

    // MARK: Reading the options

    private static func harts(_ numa: NUMAConfig, count: Int) throws(ConfigError) -> [[Int]] {
        var owner = [Int?](repeating: nil, count: count)
        for (index, node) in numa.nodes.enumerated() {
            for hart in node.harts.joined() {
                guard hart < count else { throw ConfigError("-numa node,nodeid=\(index)", "there is no hart \(hart); -smp says how many there are") }
                guard owner[hart] == nil else { throw ConfigError("-numa node,nodeid=\(index)", "hart \(hart) is in node \(owner[hart] ?? 0) already") }
                owner[hart] = index
            }
        }
        if owner.allSatisfy({ $0 == nil }) {
            // One after the other, as equally as possible.
            return numa.nodes.indices.map { node in (0..<count).filter { $0 * numa.nodes.count / count == node } }
        }
        let left = owner.indices.filter { owner[$0] == nil }
        guard left.isEmpty else {
            throw ConfigError("-numa", "harts \(left.map(String.init).joined(separator: ", ")) are in no node; give them to one with cpus=")
        }
        return numa.nodes.indices.map { node in owner.indices.filter { owner[$0] == node } }
    }

    private static func memory(_ numa: NUMAConfig, _ config: MachineConfig) throws(ConfigError) -> [(size: UInt64, backing: MemoryBacking)] {
        let total = GuestMemory.rounded(config.memory)
        var used: Set<String> = []
        var parts: [(size: UInt64?, backing: MemoryBacking)] = []
        for node in numa.nodes {
            guard let id = node.backend else {
                parts.append((node.memory, GuestMemory.backing(config)))
                continue
            }
            guard used.insert(id).inserted else { throw ConfigError("-numa node,memdev=\(id)", "another node has that memory") }
            let backend = try GuestMemory.backend(id, config, "-numa node,memdev=\(id)")
            parts.append((backend.size, backend.backing))
        }
        let page = UInt64(GuestRAM.pageSize)
        var given: UInt64 = 0
        for case let size? in parts.map(\.size) {
            let (sum, overflow) = given.addingReportingOverflow(size)
            guard size % page == 0, !overflow else { throw ConfigError("-numa node", "a node's memory is a number of pages of \(page) bytes") }
            given = sum
        }
        let open = parts.count(where: { $0.size == nil })
        guard open == 0 ? given == total : given <= total else {
            throw ConfigError("-numa node", "the nodes have \(given >> 20) MiB together, and the machine \(total >> 20) (-m)")
        }
        // Whole MiB where possible; the last one has the rest.
        let unit: UInt64 = (total - given) % (1 << 20) == 0 ? 1 << 20 : page
        let share = open == 0 ? 0 : (total - given) / UInt64(open) / unit * unit
        var rest = total - given
        let lastOpen = parts.lastIndex { $0.size == nil }
        return parts.enumerated().map { index, part in
            if let size = part.size { return (size: size, backing: part.backing) }
            let size = index == lastOpen ? rest : share
            rest -= size
            return (size: size, backing: part.backing)
        }
    }

    private static func distances(_ numa: NUMAConfig) throws(ConfigError) -> [[UInt8]]? {
        guard !numa.distances.isEmpty else { return nil }
        let count = numa.nodes.count
        var matrix = [[UInt8?]](repeating: [UInt8?](repeating: nil, count: count), count: count)
        for node in 0..<count { matrix[node][node] = 10 }
        for distance in numa.distances {
            let option = "-numa dist,src=\(distance.source),dst=\(distance.destination)"
            guard distance.source < count, distance.destination < count else { throw ConfigError(option, "there are nodes 0 to \(count - 1)") }
            guard distance.source != distance.destination || distance.value == 10 else { throw ConfigError(option, "a node is at distance 10 from itself") }
            matrix[distance.source][distance.destination] = distance.value
        }
        // Where one direction is given, the other is the same.
        for source in 0..<count {
            for destination in 0..<count { matrix[source][destination] = matrix[source][destination] ?? matrix[destination][source] }
        }
        for source in 0..<count {
            for destination in 0..<count where matrix[source][destination] == nil {
                throw ConfigError("-numa dist", "the distance from node \(source) to node \(destination) is missing; give all or none")
            }
        }
        return matrix.map { $0.compactMap { $0 } }
    }
}
