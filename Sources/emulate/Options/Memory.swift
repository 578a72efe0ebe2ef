import EmuBus
import EmuMachine

/// Readers of `-object memory-backend-…` and `-numa`.
enum MemoryOptions {
    // MARK: Backends

    private static let common = [
        Property("id", .text, "name for -machine memory-backend= and -numa node,memdev="), Property("size", .size(unit: 1), "bytes, or with a unit"),
        Property("share", .bool, "file: what the guest writes goes to the file (default: off)"),
        Property("prealloc", .bool, "take all of it from the host at the start (default: off)"),
        Property("merge", .choice(["off"]), "accepted"), Property("dump", .bool, "accepted"),
    ]

    /// The objects, and what each has besides.
    private static let kinds: [(name: String, properties: [Property])] = [
        ("memory-backend-ram", []),
        (
            "memory-backend-memfd",
            [
                Property("hugetlb", .bool, "in large pages of the host (default: off)"),
                Property("hugetlbsize", .size(unit: 1), "bytes of such a page: a power of two the host has (default: the host's)"),
                Property("seal", .bool, "accepted"),
            ]
        ),
        (
            "memory-backend-file",
            [
                Property("mem-path", .text, "the file; or a folder, for a file without a name in it"),
                Property("offset", .size(unit: 1), "bytes of the file before the memory's first (default: 0)"),
            ]
        ),
    ]

    static let objects = kinds.map(\.name)

    /// What `-object` has to say about these.
    static let help = "memory-backend-ram|memory-backend-memfd|memory-backend-file,id=ID,size=SIZE[,PROPERTY=…]: a place for guest memory\n"
        + (common + kinds.flatMap(\.properties)).dropFirst(2).filter { $0.help != "accepted" }.map { "  \($0.usage): \($0.help)" }.joined(separator: "\n")

    /// - Parameter kind: one of `objects`.
    static func backend(_ kind: String, _ elements: [String], _ use: OptionUse) throws(CommandEnd) -> MemoryBackendConfig {
        let own = kinds.first { $0.name == kind }?.properties ?? []
        let list = try PropertyList(elements: elements, use, common + own, of: kind)
        guard let id = list["id"], !id.isEmpty, let size = list["size"].flatMap({ Values.size($0) }), size > 0 else {
            throw use.failed("\(kind) needs id=ID and size=SIZE")
        }
        guard size % UInt64(GuestRAM.pageSize) == 0 else { throw use.failed("size=\(size): memory consists of pages of \(GuestRAM.pageSize) bytes") }
        var backing = MemoryBacking()
        backing.isShared = list.bool("share") ?? false
        backing.isPreallocated = list.bool("prealloc") ?? false
        backing.offset = list["offset"].flatMap { Values.size($0) } ?? 0
        if kind == "memory-backend-file" {
            guard let path = list["mem-path"], !path.isEmpty else { throw use.failed("\(kind) needs mem-path=FILE") }
            backing.place = .file(path)
        }
        let pageSize = list["hugetlbsize"].flatMap { Values.size($0) }
        if list.bool("hugetlb") ?? false {
            if let pageSize, pageSize.nonzeroBitCount != 1 { throw use.failed("hugetlbsize=\(pageSize): it is no power of two") }
            backing.place = .largePages(pageSize)
        } else if pageSize != nil {
            throw use.failed("hugetlbsize is for hugetlb=on")
        }
        return MemoryBackendConfig(id: id, backing: backing, size: size)
    }

    // MARK: Nodes

    private static let nodeProperties = [
        Property("nodeid", .number(0...127), "number of the node"), Property("cpus", .text, "FIRST or FIRST-LAST, may be repeated"),
        Property("mem", .size(unit: 1 << 20), "memory of the node"), Property("memdev", .text, "id of the -object memory-backend-… of its memory"),
    ]
    private static let distanceProperties = [
        Property("src", .number(0...127), "node"), Property("dst", .number(0...127), "node"), Property("val", .number(10...255), "distance"),
    ]
    private static let hartProperties = [
        Property("node-id", .number(0...127), "node"), Property("core-id", .number(0...511), "hart"),
        Property("socket-id", .choice(["0"]), "accepted"), Property("cluster-id", .choice(["0"]), "accepted"), Property("thread-id", .choice(["0"]), "accepted"),
    ]

    static func numa(_ use: OptionUse, _ config: inout NUMAConfig) throws(CommandEnd) {
        var elements = PropertyList.split(use.value)
        let kind = elements.removeFirst().replacingPrefix("type=", with: "")
        switch kind {
        case "node": try addNode(PropertyList(elements: elements, use, nodeProperties, of: kind), use, &config)
        case "dist":
            let list = try PropertyList(elements: elements, use, distanceProperties, of: kind)
            guard let source = list.number("src"), let destination = list.number("dst"), let value = list.number("val") else {
                throw use.failed("dist needs src=NODE, dst=NODE and val=DISTANCE")
            }
            config.distances.append(.init(source: Int(source), destination: Int(destination), value: UInt8(value)))
        case "cpu":
            let list = try PropertyList(elements: elements, use, hartProperties, of: kind)
            guard let node = list.number("node-id"), let hart = list.number("core-id") else { throw use.failed("cpu needs node-id=NODE and core-id=HART") }
            guard node < config.nodes.count else { throw use.failed("node-id=\(node): there is no -numa node,nodeid=\(node) before it") }
            config.nodes[Int(node)].harts.append(Int(hart)...Int(hart))
        default: throw use.failed("unknown kind '\(kind)'; there are node, dist, cpu")
        }
    }

    private static func addNode(_ list: PropertyList, _ use: OptionUse, _ config: inout NUMAConfig) throws(CommandEnd) {
        if let number = list.number("nodeid"), number != config.nodes.count {
            throw use.failed("nodeid=\(number): nodes come in the order of their numbers, and this is number \(config.nodes.count)")
        }
        guard config.nodes.count < 128 else { throw use.failed("there are at most 128 nodes") }
        var node = NUMAConfig.Node()
        node.memory = list["mem"].flatMap { Values.size($0, unit: 1 << 20) }
        node.backend = list["memdev"]
        if node.memory != nil, node.backend != nil { throw use.failed("mem and memdev exclude each other") }
        for item in list.items where item.name == "cpus" {
            let ends = item.value.split(separator: "-", omittingEmptySubsequences: false).map { Values.number($0).flatMap { Int(exactly: $0) } }
            guard ends.count <= 2, let first = ends.first ?? nil, let last = ends.last ?? nil, first <= last, last < 512 else {
                throw use.failed("cpus=\(item.value): write a hart's number, or FIRST-LAST")
            }
            node.harts.append(first...last)
        }
        config.nodes.append(node)
    }
}
