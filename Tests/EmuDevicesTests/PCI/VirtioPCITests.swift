import EmuBus
import EmuDevices
import TestSupport
import Testing

/// What only the PCI transport has; the rest of it runs through the tests of all transports.
@Suite struct VirtioPCITests {
    private let bench: PCIBench
    private let device = InvertingDevice(queues: 2)
    private let transport: VirtioPCI
    private let function: PCIMockFunction
    private static let base: UInt64 = 0x5000_0000
    private static let messages: UInt64 = 0x5001_0000
    private static let io = PCIBench.io + 0x1000

    init() throws {
        bench = try PCIBench()
        transport = VirtioPCI(device, memory: bench.space, events: bench.events)
        bench.host.root.plug(transport, at: PCISlot(device: 1))
        function = bench.function(1)
        function.place(0, at: 0x1000)
        function.place(1, at: Self.messages)
    }

    private func driver() -> VirtioMockDriver {
        VirtioMockDriver(VirtioPCIRegisters(bench, function, base: Self.base), bench.space, heap: PCIBench.ram + 0x10_0000)
    }

    private func offer(_ driver: VirtioMockDriver, queue: Int = 0) -> MockBuffer {
        let output = driver.writable(2)
        driver.queues[queue]!.add([driver.readable([1, 2]), output])
        driver.queues[queue]!.kick()
        return output
    }

    @Test func identityTellsWhetherTheLegacyInterfaceExists() throws {
        #expect(function.read(2, as: UInt16.self) == 0x1000 + 42 && function.read(8, as: UInt8.self) == 0)
        #expect(function.read(0x2e, as: UInt16.self) == 42 && function.size(ofBAR: 0) == 64)
        for (id, ids) in [(VirtioDeviceID.network, 0x1000), (VirtioDeviceID.block, 0x1001), (VirtioDeviceID.console, 0x1003), (VirtioDeviceID.entropy, 0x1005)] {
            let file = try TemporaryFile(sectors: 1)
            let device: any VirtioDevice = switch id {
            case VirtioDeviceID.network: VirtioNet(name: "a", backend: Wire(), mac: MACAddress(index: 0))
            case VirtioDeviceID.block: try VirtioBlock(name: "a", disk: RawImage(path: file.path))
            case VirtioDeviceID.console: VirtioConsole(name: "a", ports: [])
            default: VirtioEntropy(name: "a", source: .seeded(1))
            }
            for isTransitional in [true, false] {
                let made = VirtioPCI(device, memory: bench.space, events: bench.events, configuration: .init(isTransitional: isTransitional))
                #expect(Int(made.function.config[2, as: UInt16.self]) == (isTransitional ? ids : 0x1040 + Int(id)))
                #expect((made.function.config[0x10, as: UInt32.self] == 1) == isTransitional)
                #expect(made.function.config[8, as: UInt8.self] == (isTransitional ? 0 : 1))
            }
        }
    }

    @Test func behindAPortItIsAnExpressEndpoint() {
        let made = VirtioPCI(device, memory: bench.space, events: bench.events, configuration: .init(isTransitional: false, isExpress: true))
        #expect(made.function.isExpress && made.function.config.count == 0x1000)
        #expect(!transport.function.isExpress)
    }

    @Test func queueNotificationsFollowTheirOffsets() {
        let driver = driver()
        driver.start(queueCount: 2)
        let first = offer(driver), second = offer(driver, queue: 1)
        #expect(driver.contents(first) == [0xfe, 0xfd] && driver.contents(second) == [0xfe, 0xfd])
        for offset: UInt64 in [8, 0xffc, 2, 0xfff] { bench.write(Self.base + 0x3000 + offset, 0, size: 1) }
        #expect(driver.status == 0xf)
    }

    @Test func readingTheInterruptStatusTakesIt() {
        let driver = driver()
        driver.start()
        _ = offer(driver)
        #expect(bench.interrupts.high == [1])
        #expect(bench.read(Self.base + 0x1000, size: 1) == 1)
        #expect(bench.interrupts.high == [] && bench.read(Self.base + 0x1000, size: 1) == 0)
    }

    // MARK: Messages

    @Test func vectorsReplaceThePin() {
        let driver = driver()
        let capability = function.capabilities(0x11)[0]
        #expect(function.read(capability + 2, as: UInt16.self) == 2)
        function.write(capability + 2, UInt16(1 << 15))
        for vector: UInt64 in 0..<3 {
            bench.write(Self.messages + 16 * vector, PCIBench.ram + 4 * vector, size: 8)
            bench.write(Self.messages + 16 * vector + 8, 100 + vector, size: 8)
        }
        driver.negotiate()
        bench.write(Self.base + 0x10, 0, size: 2)
        for index: UInt64 in 0..<2 {
            driver.setUpQueue(Int(index), size: 8)
            bench.write(Self.base + 0x1a, index + 1, size: 2)
            #expect(bench.read(Self.base + 0x1a, size: 2) == index + 1)
        }
        driver.ready()
        _ = offer(driver, queue: 1)
        #expect(bench.word(PCIBench.ram + 8) == 102 && bench.word(PCIBench.ram + 4) == 0)
        device.core?.configChanged()
        #expect(bench.word(PCIBench.ram) == 100)
        #expect(bench.interrupts.high == [] && bench.read(Self.base + 0x1000, size: 1) == 0)
        // One too many reads back as none.
        bench.write(Self.base + 0x10, 3, size: 2)
        #expect(bench.read(Self.base + 0x10, size: 2) == 0xffff)
        driver.write(VirtioMockDriver.Offset.status, 0)
        #expect(bench.read(Self.base + 0x1a, size: 2) == 0xffff)
    }

    @Test func vectorsCanBeLeftOut() {
        let made = VirtioPCI(device, memory: bench.space, events: bench.events, configuration: .init(vectors: 0))
        #expect(made.function.msix == nil && made.function.config[0x14, as: UInt32.self] == 0)
    }

    // MARK: Bus mastering

    @Test func whatWaitedForBusMasteringIsOneRoundOfService() {
        let driver = driver()
        driver.negotiate()
        for queue in 0...1 { driver.setUpQueue(queue, size: 8) }
        driver.ready()
        function.write(4, UInt16(3))
        let output = MockBuffer(PCIBench.ram + (4 << 20), 24 << 20, isWritable: true)
        for queue in 0...1 {
            for _ in 0..<4 { _ = driver.queues[queue]!.add([driver.readable([1]), output]) }
            driver.queues[queue]!.kick()
        }
        #expect(device.state.served == 0)
        function.enable()
        // 64 MiB are reached by the third.
        #expect(device.state.served == 3)
        bench.events.run(to: bench.events.now + 100_000)
        #expect(device.state.served == 8)
    }

    @Test func whatIsOfferedWithoutBusMasteringIsServedWithIt() {
        let driver = driver()
        driver.start()
        function.write(4, UInt16(3))
        let output = offer(driver)
        driver.queues[0]!.notify()
        #expect(driver.contents(output) == [0, 0])
        function.enable()
        #expect(driver.contents(output) == [0xfe, 0xfd])
    }

    // MARK: Access through configuration space

    @Test func theAccessCapabilityReachesTheStructures() {
        _ = driver()
        let window = function.capabilities(0x09).first { function.read($0 + 3, as: UInt8.self) == 5 }!
        func select(_ bar: UInt8, _ offset: UInt32, _ length: UInt32) {
            function.write(window + 4, bar)
            function.write(window + 8, offset)
            function.write(window + 12, length)
        }
        // Memory decoding is off: the window works without.
        function.write(4, UInt16(0))
        select(4, 0x14, 1)
        function.write(window + 16, UInt32(3))
        #expect(transport.device.core?.deviceStatus == 3)
        #expect(function.read(window + 16, as: UInt32.self) == 3)
        select(4, 0x2004, 4)
        #expect(function.read(window + 16, as: UInt32.self) == 0x0807_0605)
        for (bar, offset, length) in [(UInt8(4), UInt32(0x3ffe), UInt32(4)), (4, 1, 2), (4, 0, 8), (4, .max, 1), (4, 0, 0), (0, 18, 1), (7, 0, 4), (4, 0x4000, 1)] {
            select(bar, offset, length)
            function.write(window + 16, UInt32(0))
            _ = function.read(window + 16, as: UInt32.self)
        }
        #expect(transport.device.core?.deviceStatus == 3)
    }

    // MARK: The legacy interface

    /// Sets up queue 0 through the legacy registers; returns the driver's memory for requests.
    private func startLegacy() -> (table: UInt64, available: UInt64, used: UInt64) {
        function.enable()
        let table = PCIBench.ram + 0x20_0000
        bench.write(Self.io + 18, 0, size: 1)
        bench.write(Self.io + 18, 3, size: 1)
        bench.write(Self.io + 4, bench.read(Self.io) & 0b101)
        bench.write(Self.io + 14, 0, size: 2)
        #expect(bench.read(Self.io + 12, size: 2) == 16)
        bench.write(Self.io + 8, table >> 12)
        #expect(bench.read(Self.io + 8) == table >> 12)
        bench.write(Self.io + 18, 7, size: 1)
        return (table, table + 16 * 16, table + 4096)
    }

    private func offerLegacy(_ queue: (table: UInt64, available: UInt64, used: UInt64)) -> UInt64 {
        let data = PCIBench.ram + 0x30_0000
        _ = bench.space.storeMemory(queue.table, data)
        _ = bench.space.storeMemory(queue.table + 8, UInt64(4) | 2 << 32)
        _ = bench.space.storeMemory(queue.available + 4, UInt16(0))
        _ = bench.space.storeMemory(queue.available + 2, UInt16(1))
        bench.write(Self.io + 16, 0, size: 2)
        return queue.used
    }

    @Test func aLegacyDriverIsServed() {
        function.enable()
        #expect(bench.read(Self.io) == 0b101 | 1 << 27 | 1 << 28 | 1 << 29)
        let queue = startLegacy()
        let used = offerLegacy(queue)
        #expect(bench.space.loadMemory(used + 2, as: UInt16.self) == 1)
        #expect(transport.device.core?.isLegacy == true)
        #expect(bench.interrupts.high == [1] && bench.read(Self.io + 19, size: 1) == 1 && bench.interrupts.high == [])
        #expect(bench.read(Self.io + 20, size: 1) == 1 && bench.read(Self.io + 24, size: 4) == 0x0807_0605)
        // With MSI-X the vectors come before the device's configuration.
        function.write(function.capabilities(0x11)[0] + 2, UInt16(1 << 15))
        #expect(bench.read(Self.io + 20, size: 2) == 0xffff && bench.read(Self.io + 24, size: 1) == 1)
        bench.write(Self.io + 8, 0)
        #expect(bench.read(Self.io + 8) == 0)
    }

    @Test func theInterfaceADriverBeganWithStaysUntilAReset() {
        let queue = startLegacy()
        function.place(4, at: Self.base)
        bench.write(Self.base + 0x14, 0xf, size: 1)
        bench.write(Self.base + 0x0c, 1)
        #expect(bench.read(Self.base + 0x14, size: 1) == 7)
        #expect(bench.space.loadMemory(offerLegacy(queue) + 2, as: UInt16.self) == 1)
        let driver = driver()
        driver.start()
        #expect(transport.device.core?.isLegacy == false)
        let output = offer(driver)
        #expect(driver.contents(output) == [0xfe, 0xfd])
        bench.write(Self.io + 18, 7, size: 1)
        bench.write(Self.io + 8, 0)
        #expect(driver.status == 0xf)
    }

    // MARK: Robustness

    @Test(arguments: [UInt64(1), 2, 3]) func randomAccessesHurtNobodyAndStatesMove(seed: UInt64) throws {
        function.place(4, at: Self.base)
        var random = SplitMix(seed: seed)
        for _ in 0..<20_000 {
            let size = 1 << Int(random.next() % 4)
            let value = [0, 1, 3, 7, 0xf, random.next(), PCIBench.ram >> 12, PCIBench.ram][Int(random.next() % 8)]
            let areas = [(Self.base, UInt64(0x4000)), (Self.base, 0x40), (Self.io, 64), (Self.messages, 0x1000), (function.config, 0x100)]
            let (start, length) = areas[Int(random.next() % 5)]
            let address = start + random.next() % length & ~UInt64(size - 1)
            if random.next() % 3 == 0 { _ = bench.space.readDevice(address, size: size) } else { bench.write(address, value, size: size) }
            if random.next() % 64 == 0 {
                function.place(0, at: 0x1000)
                function.place(1, at: Self.messages)
                function.place(4, at: Self.base)
                function.enable()
            }
        }
        let saved = try transport.encodedState()
        try transport.restoreState(from: saved)
        #expect(try transport.encodedState() == saved)
        transport.reset()
        let driver = driver()
        driver.start()
        #expect(driver.contents(offer(driver)) == [0xfe, 0xfd])
    }
}
