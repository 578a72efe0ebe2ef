import EmuBus
import EmuCPU
import EmuDevices
import TestSupport

/// One hart with memory, no firmware and no devices.
final class BareHart {
    static let base: UInt64 = 0x8000_0000
    let bus = AddressSpace()
    let processor: RVProcessor

    init(code: [UInt32]) throws {
        try bus.map(GuestRAM(base: Self.base, size: 16 << 20), name: "ram")
        var config = try RVConfig.parse("rv64")
        config.resetVector = Self.base
        let events = EventQueue(mode: .virtual)
        processor = RVProcessor(
            index: 0, config: config, bus: bus, cache: TranslationCache(bus: bus), events: events, readTime: { events.now / 100 })
        processor.reset()
        write(code)
    }

    /// Writes the program as a device would: what was decoded from there is dropped.
    func write(_ code: [UInt32]) {
        let isMemory = code.withUnsafeBytes { bus.writeMemory(Self.base, from: $0) }
        precondition(isMemory)
    }

    /// A loop that drops all translations and then touches `pages` pages, in a mode in which loads go through page tables (MPRV).
    static func translationFills(pages: Int) throws -> BareHart {
        var code: [UInt32] = []
        // pmpaddr0 = -1, pmpcfg0 = 0x1f: everything is open to S mode.
        code += [GuestCode.addi(5, 0, -1), GuestCode.csrw(0x3b0, 5), GuestCode.addi(5, 0, 0x1f), GuestCode.csrw(0x3a0, 5)]
        // satp = Sv39, root table at base + 1 MiB: page number 0x80100.
        code += [GuestCode.addi(5, 0, 8), GuestCode.slli(5, 5, 60), GuestCode.lui(6, 0x80), GuestCode.addi(6, 6, 0x100)]
        code += [GuestCode.add(5, 5, 6), GuestCode.csrw(0x180, 5)]
        // mstatus: MPP = S, MPRV.
        code += [GuestCode.lui(5, 0x21), GuestCode.addi(5, 5, -0x800), GuestCode.csrs(0x300, 5)]
        // x7 = base, x8 = 4096
        code += [GuestCode.addi(7, 0, 1), GuestCode.slli(7, 7, 31), GuestCode.lui(8, 1)]
        let loop = code.count
        code += [GuestCode.sfence, GuestCode.addi(9, 7, 0)]
        for _ in 0..<pages { code += [GuestCode.ld(10, 9), GuestCode.add(9, 9, 8)] }
        code.append(GuestCode.jumpBack((code.count - loop) * 4))
        let hart = try BareHart(code: code)
        // Three levels, 4 KiB pages, as an operating system has them.
        let root = base + (1 << 20), middle = root + 4096, bottom = middle + 4096
        func put(_ address: UInt64, _ value: UInt64) { precondition(hart.bus.storeMemory(address, value)) }
        func entry(_ address: UInt64, _ flags: UInt64) -> UInt64 { (address >> 12) << 10 | flags }
        put(root + 8 * 2, entry(middle, 1))
        put(middle, entry(bottom, 1))
        for page in 0..<UInt64(512) { put(bottom + 8 * page, entry(base + page * 4096, 0xcf)) }
        return hart
    }

    func run(_ cycles: Int) { _ = processor.run(budget: cycles, clockBase: 0) }
}

/// A register block that holds one number.
final class OneRegister: MMIODevice {
    let name: String
    private var value: UInt64 = 0

    init(_ name: String) { self.name = name }

    func read(_ offset: UInt64, size: Int) -> UInt64 { value }
    func write(_ offset: UInt64, _ value: UInt64, size: Int) { self.value = value }
    func reset() { value = 0 }
}

/// A board's worth of register blocks.
func busOfDevices(_ count: Int) throws -> AddressSpace {
    let bus = AddressSpace()
    for index in 0..<count { try bus.map(OneRegister("device\(index)"), at: 0x1000_0000 + UInt64(index) << 12, size: 4096) }
    return bus
}

/// A virtio device that answers requests with what they contain.
final class Echo: VirtioDevice {
    struct State: Codable { var served = 0 }
    let stateName = "echo0"
    let deviceID: UInt32 = 42
    let deviceFeatures: UInt64 = 0
    let queueSizes: [UInt16] = [64]
    weak var core: VirtioCore?
    var state = State()

    func process(queue index: Int) {
        core?.serve(index) { chain in
            state.served += 1
            return UInt32(chain.writable.copyIn(chain.readable.bytes(chain.readable.count)))
        }
    }

    func reset() { state = State() }
}

/// A device in its slot and a driver that talks to it.
final class VirtioPair {
    let slot: VirtioMMIO
    let driver: VirtioMockDriver
    // Lines and slots do not keep what they belong to alive.
    private let interrupts = InterruptRecorder()
    private let events = EventQueue(mode: .virtual)
    private let device = Echo()
    private let request: [MockBuffer]

    init() throws {
        let space = AddressSpace()
        try space.map(GuestRAM(base: 0x8000_0000, size: 1 << 20), name: "ram")
        slot = VirtioMMIO(
            name: "virtio-mmio0", device: device, memory: space, events: events, line: InterruptLine(interrupts, 1),
            isLegacy: false, options: VirtioOptions())
        driver = VirtioMockDriver(slot, space, heap: 0x8000_0000)
        driver.start(size: 64)
        request = [driver.readable([UInt8](repeating: 7, count: 64)), driver.writable(64)]
    }

    /// Requests from the driver's offer to its look at the answer.
    func serve(_ count: Int) {
        guard let queue = driver.queues[0] else { return }
        for _ in 0..<count { queue.add(request) }
        queue.kick()
        precondition(queue.used().count == count)
    }
}
