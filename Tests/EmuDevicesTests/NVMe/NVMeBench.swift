import EmuBus
import EmuDevices
import TestSupport
import Testing

/// A disk in memory that notes what was asked of it; operations wait to be drained when `isDelayed`.
final class NotedDisk: DelayingBackend {
    var content: [UInt8]
    let isReadOnly: Bool
    var size: UInt64 { UInt64(content.count) }
    var log: [String] = []
    var failure: HostError?
    var isDelayed = false
    var delayed: [() -> Void] = []

    init(sectors: Int, isReadOnly: Bool = false) {
        content = (0..<sectors * 512).map { UInt8(truncatingIfNeeded: $0 / 512) }
        self.isReadOnly = isReadOnly
    }

    func perform(_ operation: BlockOperation) throws(HostError) {
        if let failure { throw failure }
        switch operation {
        case .read(let offset, let buffers):
            log.append("read \(offset)")
            var position = Int(offset)
            for buffer in buffers {
                buffer.copyBytes(from: content[position..<position + buffer.count])
                position += buffer.count
            }
        case .write(let offset, let buffers):
            log.append("write \(offset)")
            var position = Int(offset)
            for buffer in buffers {
                content.replaceSubrange(position..<position + buffer.count, with: Array(buffer))
                position += buffer.count
            }
        case .flush: log.append("flush")
        case .discard(let offset, let length): log.append("discard \(offset)+\(length)")
        case .writeZeroes(let offset, let length, let mayUnmap):
            log.append("zero \(offset)+\(length)\(mayUnmap ? " unmap" : "")")
            content.replaceSubrange(Int(offset)..<Int(offset + length), with: repeatElement(0, count: Int(length)))
        }
    }
}

/// How a command ended.
struct NVMeResult: Equatable {
    var result: UInt32
    /// Type and code, without "do not retry".
    var status: UInt16
    var id: UInt16
    var queue: UInt16
}

/// An NVMe controller behind a host bridge, with a driver that has registers and memory only.
final class NVMeBench {
    static let base: UInt64 = 0x5000_0000
    static let pageSize: UInt64 = 4096

    /// The driver's side of a pair of queues.
    struct Pair {
        var submission: UInt64
        var completion: UInt64
        var size: UInt32
        var tail: UInt32 = 0
        var head: UInt32 = 0
        var phase = true
    }

    let pci: PCIBench
    let disk: NotedDisk
    let controller: NVMeController
    let function: PCIMockFunction
    var pairs: [Int: Pair] = [:]
    private var nextPage = PCIBench.ram + 0x10_0000
    private var nextID: UInt16 = 1

    init(_ disk: NotedDisk = NotedDisk(sectors: 2048), pairs: Int = 4, blockSize: UInt64 = 512) throws {
        pci = try PCIBench()
        self.disk = disk
        var configuration = NVMeController.Configuration(serial: "SN 1")
        configuration.queuePairs = pairs
        configuration.blockSize = blockSize
        controller = NVMeController(name: "nvme0", disk: disk, memory: pci.space, events: pci.events, configuration: configuration)
        pci.host.root.plug(controller, at: PCISlot(device: 1))
        function = pci.function(1)
        function.place(0, at: Self.base)
        function.enable()
    }

    // MARK: Registers

    func read(_ offset: UInt64, size: Int = 4) -> UInt64 { pci.read(Self.base + offset, size: size) }
    func write(_ offset: UInt64, _ value: UInt64, size: Int = 4) { pci.write(Self.base + offset, value, size: size) }
    var status: UInt64 { read(0x1c) }
    var isReady: Bool { status & 3 == 1 }

    /// Sets up the admin queue and enables the controller.
    func enable(size: UInt32 = 16, configuration: UInt64 = 0x46_0001) {
        write(0x14, 0)
        let pair = Pair(submission: pages(2), completion: pages(1), size: size)
        write(0x24, UInt64(size - 1) * 0x1_0001)
        write(0x28, pair.submission, size: 8)
        write(0x30, pair.completion, size: 8)
        write(0x14, configuration)
        pairs = [0: pair]
    }

    // MARK: Memory

    /// Zeroed pages nobody else has.
    func pages(_ count: Int) -> UInt64 {
        let first = nextPage
        nextPage += UInt64(count) * Self.pageSize
        fill(first, [UInt8](repeating: 0, count: count * Int(Self.pageSize)))
        return first
    }

    func fill(_ address: UInt64, _ bytes: [UInt8]) {
        let isStored = bytes.withUnsafeBytes { pci.space.writeMemory(address, from: $0) }
        precondition(isStored)
    }

    func bytes(_ address: UInt64, _ count: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        let isLoaded = bytes.withUnsafeMutableBytes { pci.space.readMemory(address, into: $0) }
        precondition(isLoaded)
        return bytes
    }

    func put<T: FixedWidthInteger>(_ address: UInt64, _ value: T) { _ = pci.space.storeMemory(address, value) }

    // MARK: Commands

    /// Puts a command into a queue without telling; returns its id.
    @discardableResult
    func add(_ queue: Int = 0, _ opcode: UInt8, namespace: UInt32 = 0, prp1: UInt64 = 0, prp2: UInt64 = 0, _ words: [UInt32] = [], flags: UInt8 = 0, id: UInt16? = nil) -> UInt16 {
        let id = id ?? nextID
        nextID &+= 1
        var pair = pairs[queue]!
        let address = pair.submission + UInt64(pair.tail) * 64
        put(address, UInt32(opcode) | UInt32(flags) << 8 | UInt32(id) << 16)
        put(address + 4, namespace)
        put(address + 24, prp1)
        put(address + 32, prp2)
        for index in 0..<6 { put(address + 40 + 4 * UInt64(index), index < words.count ? words[index] : 0) }
        pair.tail = (pair.tail + 1) % pair.size
        pairs[queue] = pair
        return id
    }

    func ring(_ queue: Int) { write(0x1000 + 8 * UInt64(queue), UInt64(pairs[queue]!.tail)) }

    /// What was completed since the last call; `acknowledge` tells the controller.
    func completions(_ queue: Int = 0, acknowledge: Bool = true) -> [NVMeResult] {
        var pair = pairs[queue]!
        var results: [NVMeResult] = []
        while true {
            let address = pair.completion + UInt64(pair.head) * 16
            let last = pci.word(address + 12)
            guard (last >> 16 & 1 != 0) == pair.phase else { break }
            results.append(NVMeResult(
                result: pci.word(address), status: UInt16(last >> 17) & 0x3fff, id: UInt16(truncatingIfNeeded: last), queue: UInt16(pci.word(address + 8) >> 16)))
            pair.head += 1
            if pair.head == pair.size {
                pair.head = 0
                pair.phase.toggle()
            }
        }
        pairs[queue] = pair
        if acknowledge, !results.isEmpty { write(0x1004 + 8 * UInt64(queue), UInt64(pair.head)) }
        return results
    }

    /// Carries out one command and returns its status; -1 when it was not completed.
    @discardableResult
    func run(_ queue: Int = 0, _ opcode: UInt8, namespace: UInt32 = 0, prp1: UInt64 = 0, prp2: UInt64 = 0, _ words: [UInt32] = [], flags: UInt8 = 0) -> Int {
        runResult(queue, opcode, namespace: namespace, prp1: prp1, prp2: prp2, words, flags: flags).map { Int($0.status) } ?? -1
    }

    func runResult(_ queue: Int = 0, _ opcode: UInt8, namespace: UInt32 = 0, prp1: UInt64 = 0, prp2: UInt64 = 0, _ words: [UInt32] = [], flags: UInt8 = 0) -> NVMeResult? {
        let id = add(queue, opcode, namespace: namespace, prp1: prp1, prp2: prp2, words, flags: flags)
        ring(queue)
        return completions(queue).last { $0.id == id }
    }

    /// Creates queues `id` of `size` entries; their completions interrupt through `vector`.
    func createPair(_ id: Int, size: UInt32 = 16, vector: UInt32 = 0) {
        let pair = Pair(submission: pages(Int(size) * 64 / 4096 + 1), completion: pages(Int(size) * 16 / 4096 + 1), size: size)
        #expect(run(0, 5, prp1: pair.completion, [UInt32(id) | (size - 1) << 16, 3 | vector << 16]) == 0)
        #expect(run(0, 1, prp1: pair.submission, [UInt32(id) | (size - 1) << 16, 1 | UInt32(id) << 16]) == 0)
        pairs[id] = pair
    }

    /// Words 10 to 12 of a read or write.
    func blocks(_ first: UInt64, _ count: UInt32, flags: UInt32 = 0) -> [UInt32] {
        [UInt32(truncatingIfNeeded: first), UInt32(truncatingIfNeeded: first >> 32), (count &- 1) & 0xffff | flags]
    }

    /// With the admin queue and one pair.
    static func started(_ disk: NotedDisk = NotedDisk(sectors: 2048), blockSize: UInt64 = 512) throws -> NVMeBench {
        let bench = try NVMeBench(disk, blockSize: blockSize)
        bench.enable()
        bench.createPair(1)
        return bench
    }
}
