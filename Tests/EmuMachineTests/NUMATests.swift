import EmuBus
import EmuMachine
import Testing

/// Nodes of harts and memory, as guests find them in the device tree and in ACPI tables.
@Suite struct NUMATests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func node(_ memory: UInt64? = nil, backend: String? = nil, _ harts: ClosedRange<Int>...) -> NUMAConfig.Node {
        var node = NUMAConfig.Node()
        node.memory = memory
        node.backend = backend
        node.harts = harts
        return node
    }

    private func machine(_ nodes: [NUMAConfig.Node], _ change: (inout MachineConfig) -> Void = { _ in }) throws -> Machine {
        var config = MachineConfig()
        config.firmware = .none
        config.harts = 4
        config.memory = 256 << 20
        config.numa = NUMAConfig()
        config.numa?.nodes = nodes
        change(&config)
        return try Machine(config)
    }

    private func problem(_ nodes: [NUMAConfig.Node], _ change: (inout MachineConfig) -> Void = { _ in }) -> String {
        do {
            _ = try machine(nodes, change)
            return "accepted"
        } catch { return "\(error)" }
    }

    private func cells(_ bytes: [UInt8]?) -> [UInt64] {
        let bytes = bytes ?? []
        return stride(from: 0, to: bytes.count, by: 4).map { bytes[$0..<$0 + 4].reduce(0) { $0 << 8 | UInt64($1) } }
    }

    /// Nodes of the harts, and node, base and size of each part of memory.
    private func tree(_ machine: Machine) throws -> (harts: [[UInt64]], memory: [[UInt64]], root: FDTNode) {
        let tree = try FDT.parse(try machine.deviceTreeBlob())
        let harts = (0..<4).map { cells(tree[child: "cpus"]?[child: "cpu@\($0)"]?["numa-node-id"]) }
        let memory = tree.children.filter { $0.name.hasPrefix("memory@") }.map { part in
            let reg = cells(part["reg"])
            return cells(part["numa-node-id"]) + [reg[0] << 32 | reg[1], reg[2] << 32 | reg[3]]
        }
        return (harts, memory, tree)
    }

    private static let ram: UInt64 = 0x8000_0000, mebibyte: UInt64 = 1 << 20

    @Test func everythingIsDividedEquallyUnlessSaid() throws {
        let found = try tree(machine([node(), node()]))
        #expect(found.harts == [[0], [0], [1], [1]])
        #expect(found.memory == [[0, Self.ram, 128 * Self.mebibyte], [1, Self.ram + 128 * Self.mebibyte, 128 * Self.mebibyte]])
        #expect(found.root[child: "distance-map"] == nil)
        let three = try tree(machine([node(), node(), node()]))
        #expect(three.memory.map { $0[2] } == [85, 85, 86].map { $0 * Self.mebibyte })
    }

    @Test func nodesHaveWhatTheyAreGiven() throws {
        let found = try tree(machine([node(64 << 20, 1...1, 3...3), node(nil, 0...0), node(0, 2...2)]))
        #expect(found.harts == [[1], [0], [2], [0]])
        #expect(found.memory == [[0, Self.ram, 64 * Self.mebibyte], [1, Self.ram + 64 * Self.mebibyte, 192 * Self.mebibyte]])
        let map = try #require(found.root[child: "cpus"]?[child: "cpu-map"])
        #expect(map.children.map(\.name) == ["cluster0", "cluster1", "cluster2"] && map.children.map(\.children.count) == [2, 1, 1])
    }

    @Test func withoutNodesNothingIsSaidOfThem() throws {
        let found = try tree(machine([]) { $0.numa = nil })
        #expect(found.harts == [[], [], [], []] && found.memory == [[Self.ram, 256 * Self.mebibyte]])
    }

    @Test func distancesHoldInBothDirectionsUnlessBothAreGiven() throws {
        let machine = try machine([node(), node(), node()]) {
            $0.numa?.distances = [
                .init(source: 0, destination: 1, value: 20), .init(source: 0, destination: 2, value: 30), .init(source: 1, destination: 2, value: 40),
                .init(source: 2, destination: 1, value: 41),
            ]
        }
        let map = try #require(try tree(machine).root[child: "distance-map"])
        #expect(cells(map["distance-matrix"]) == [0, 0, 10, 0, 1, 20, 0, 2, 30, 1, 0, 20, 1, 1, 10, 1, 2, 40, 2, 0, 30, 2, 1, 41, 2, 2, 10])
        let tables = try InstalledACPITables(FirmwareConfigurationReader(machine: machine)).tables()
        let slit = try #require(tables["SLIT"])
        #expect(InstalledACPITables.little(slit[36..<44]) == 3 && Array(slit[44...]) == [10, 20, 30, 20, 10, 40, 30, 41, 10])
    }

    @Test func affinityIsThatOfTheDeviceTree() throws {
        let machine = try machine([node(64 << 20, 1...1, 3...3), node(nil, 0...0, 2...2)])
        let tables = try InstalledACPITables(FirmwareConfigurationReader(machine: machine)).tables()
        let table = try #require(tables["SRAT"])
        #expect(tables["SLIT"] == nil && table[8] == 3)
        let structures = try InstalledACPITables.structures(table[48...]).map { each in (type: each.type, bytes: each.bytes) }
        func number(_ bytes: ArraySlice<UInt8>) -> UInt64 { InstalledACPITables.little(bytes) }
        let harts = structures.filter { $0.type == 7 }.map(\.bytes)
        #expect(harts.map { number($0[4..<8]) } == [1, 0, 1, 0] && harts.map { number($0[8..<12]) } == [0, 1, 2, 3])
        #expect(harts.allSatisfy { $0.count == 20 && number($0[12..<16]) == 1 })
        let memory = structures.filter { $0.type == 1 }.map(\.bytes)
        #expect(memory.map { number($0[2..<6]) } == [0, 1] && memory.map { number($0[8..<16]) } == [Self.ram, Self.ram + 64 * Self.mebibyte])
        #expect(memory.map { number($0[16..<24]) } == [64 * Self.mebibyte, 192 * Self.mebibyte] && memory.allSatisfy { $0.count == 40 && $0[28] == 1 })
    }

    @Test func nodesThatDoNotFitAreErrors() {
        #expect(problem([node(64 << 20), node(64 << 20)]).contains("the nodes have 128 MiB together, and the machine 256 (-m)"))
        #expect(problem([node(512 << 20), node()]).contains("together"))
        #expect(problem([node(.max & ~0xfff), node(.max & ~0xfff)]).contains("a number of pages"))
        #expect(problem([node(nil, 0...1), node(nil, 1...3)]).contains("hart 1 is in node 0 already"))
        #expect(problem([node(nil, 0...1), node()]).contains("harts 2, 3 are in no node"))
        #expect(problem([node(nil, 0...4)]).contains("there is no hart 4"))
        #expect(problem([node(nil, backend: "m")]).contains("there is no memory backend with id=m"))
    }

    @Test(arguments: [
        (2, 0, 2, "there are nodes 0 to 1"), (2, 1, 1, "a node is at distance 10 from itself"), (3, 0, 1, "from node 0 to node 2 is missing"),
    ])
    func distancesThatDoNotFitAreErrors(nodes: Int, source: Int, destination: Int, message: String) {
        let outcome = problem((0..<nodes).map { _ in node() }) { $0.numa?.distances = [.init(source: source, destination: destination, value: 20)] }
        #expect(outcome.contains(message))
    }

    // MARK: Where memory is kept

    private func fileBackend(_ id: String, _ path: String, size: UInt64, isShared: Bool) -> MemoryBackendConfig {
        var backing = MemoryBacking()
        backing.place = .file(path)
        backing.isShared = isShared
        return MemoryBackendConfig(id: id, backing: backing, size: size)
    }

    @Test func eachNodesMemoryIsInItsOwnPlace() throws {
        let shared = directory.path + "/shared", copied = try directory.file("copied", [1, 2, 3, 4] + [UInt8](repeating: 0, count: 8 << 20 - 4))
        let machine = try machine([node(nil, backend: "a"), node(nil, backend: "b"), node()]) {
            $0.memory = 24 << 20
            $0.memoryBackends = [fileBackend("a", shared, size: 8 << 20, isShared: true), fileBackend("b", copied, size: 8 << 20, isShared: false)]
        }
        #expect(machine.bus.loadMemory(Self.ram + 0x80_0000, as: UInt32.self) == 0x0403_0201)
        #expect(machine.bus.storeMemory(Self.ram + 0x1000, UInt32(0xdead_beef)) && machine.bus.storeMemory(Self.ram + 0x80_0000, UInt32(5)))
        // A store over the boundary between two files.
        #expect(machine.bus.storeMemory(Self.ram + 0x7f_fffc, UInt64(0x1122_3344_5566_7788)))
        #expect(try bytes(shared, at: 0x1000, 4) == [0xef, 0xbe, 0xad, 0xde] && bytes(shared, at: 0x7f_fffc, 4) == [0x88, 0x77, 0x66, 0x55])
        #expect(try bytes(copied, at: 0, 4) == [1, 2, 3, 4])
    }

    private func bytes(_ path: String, at offset: Int, _ count: Int) throws -> [UInt8] {
        let file = try FileSource.open(path, limit: .max)
        return try file.bytes(at: UInt64(offset), count)
    }

    @Test func allMemoryCanHaveOnePlace() throws {
        let path = directory.path + "/ram"
        let machine = try machine([]) {
            $0.numa = nil
            $0.memory = 16 << 20
            $0.memoryBackends = [fileBackend("m", path, size: 16 << 20, isShared: true)]
            $0.memoryBackend = "m"
        }
        #expect(machine.bus.storeMemory(Self.ram + 0x2000, UInt32(7)))
        #expect(try bytes(path, at: 0x2000, 4) == [7, 0, 0, 0])
        #expect(problem([]) {
            $0.numa = nil
            $0.memoryBackends = [fileBackend("m", path, size: 16 << 20, isShared: true)]
            $0.memoryBackend = "m"
        } == "-machine memory-backend=m: it has 16M, and the machine 256M (-m)")
    }

    @Test func aFolderHoldsANamelessFile() throws {
        let machine = try machine([]) {
            $0.numa = nil
            $0.memoryPath = directory.path
            $0.memory = 4 << 20
            $0.preallocatesMemory = true
        }
        #expect(machine.bus.storeMemory(Self.ram, UInt32(7)) && machine.memorySize == 4 << 20)
        #expect(problem([]) {
            $0.numa = nil
            $0.memoryPath = directory.path + "/missing"
        }.contains("-mem-path"))
    }
}
