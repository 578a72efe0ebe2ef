import EmuBus
import EmuDevices
import TestSupport
import Testing

private enum Feature {
    static let statistics: UInt64 = 1 << 1, poison: UInt64 = 1 << 4, reporting: UInt64 = 1 << 5
}

@Suite struct VirtioBalloonTests {
    private func bench(
        _ setup: VirtioSetup = .modernSplit, _ features: UInt64 = .max, reports: Bool = true, interval: UInt64 = 0
    ) throws -> (VirtioBench, VirtioBalloon) {
        let events = EventQueue(mode: .virtual)
        var options = VirtioBalloon.Options()
        options.reportsFreePages = reports
        options.statisticsInterval = interval
        let device = VirtioBalloon(name: "virtio-balloon0", memorySize: VirtioBench.ramSize, events: events, options: options)
        let bench = try VirtioBench(setup, device)
        bench.driver.start(features, queueCount: reports ? 5 : 3, size: 16)
        return (bench, device)
    }

    private let page = VirtioBench.ramBase + (16 << 20)

    private func fill(_ bench: VirtioBench, pages: Int) { bench.driver.store(page, [UInt8](repeating: 0xaa, count: 4096 * pages)) }

    /// First byte of each of the pages from `page` on.
    private func marks(_ bench: VirtioBench, pages: Int) -> [UInt8] { (0..<pages).map { bench.driver.load(page + 4096 * UInt64($0), 1)[0] } }

    private func send(_ bench: VirtioBench, _ queue: Int, _ buffers: [MockBuffer]) -> Int {
        bench.driver.queues[queue]!.add(buffers)
        bench.driver.queues[queue]!.kick()
        return bench.driver.queues[queue]!.used().count
    }

    private func numbers(_ pages: [UInt64]) -> [UInt8] { pages.flatMap { [UInt8].little(UInt32(truncatingIfNeeded: $0)) } }

    @Test(arguments: VirtioSetup.allCases)
    func targetIsToldAndTheDriversAnswerRead(_ setup: VirtioSetup) throws {
        let (bench, device) = try bench(setup)
        bench.driver.acknowledgeInterrupts()
        device.setTarget(24 << 20)
        #expect(bench.driver.config(0, size: 4) == 2048)
        #expect(bench.driver.read(VirtioMockDriver.Offset.interruptStatus) == 2)
        #expect(device.actualMemory == 32 << 20)
        bench.slot.write(0x104, 1024, size: 4)
        #expect(device.actualMemory == 28 << 20)
        // Byte by byte, as legacy drivers on PCI may.
        for (index, byte) in [UInt64](arrayLiteral: 0, 8, 0, 0).enumerated() { bench.slot.write(0x104 + UInt64(index), byte, size: 1) }
        #expect(device.actualMemory == 24 << 20)
        // More than there is, either way.
        device.setTarget(.max)
        #expect(bench.driver.config(0, size: 4) == 0)
        device.setTarget(0)
        #expect(bench.driver.config(0, size: 4) == 8192)
        bench.slot.write(0x104, 0xffff_ffff, size: 4)
        #expect(device.actualMemory == 0)
    }

    @Test(arguments: VirtioSetup.allCases)
    func pagesInTheBalloonGoBackToTheHost(_ setup: VirtioSetup) throws {
        let (bench, _) = try bench(setup)
        fill(bench, pages: 8)
        let first = page >> 12
        // In any order, and twice.
        #expect(send(bench, 0, [bench.driver.readable(numbers([first + 5, first + 1, first + 2, first + 5, first + 4]))]) == 1)
        #expect(marks(bench, pages: 8) == [0xaa, 0, 0, 0xaa, 0, 0, 0xaa, 0xaa])
        #expect(send(bench, 1, [bench.driver.readable(numbers([first + 1]))]) == 1)
        fill(bench, pages: 8)
        #expect(marks(bench, pages: 8) == [UInt8](repeating: 0xaa, count: 8))
    }

    @Test func pagesThatAreNoMemoryAreLeftAlone() throws {
        let (bench, _) = try bench()
        fill(bench, pages: 2)
        let rom = try GuestRAM(base: 0x2000_0000, size: 0x2000, isReadOnly: true)
        try bench.space.map(rom, name: "rom")
        rom.host.storeBytes(of: 7, as: UInt8.self)
        #expect(send(bench, 0, [bench.driver.readable(numbers([0, 0xffff_ffff, 0x2_0000, (VirtioBench.ramBase + VirtioBench.ramSize) >> 12]) + [1, 2])]) == 1)
        #expect(rom.host.load(as: UInt8.self) == 7)
        #expect(marks(bench, pages: 2) == [0xaa, 0xaa] && !bench.needsReset)
    }

    @Test func codeInADiscardedPageIsForgotten() throws {
        let (bench, _) = try bench()
        let ram = bench.space.memories[0]
        ram.pageFlags[Int((page - ram.base) >> 12) + 1] |= GuestRAM.PageFlags.hasCode
        var written: [UInt64] = []
        bench.space.codeWritten = { address, length in written += [address, UInt64(length)] }
        _ = send(bench, 0, [bench.driver.readable(numbers([page >> 12, page >> 12 + 1]))])
        #expect(written == [page, 8192])
    }

    @Test(arguments: VirtioSetup.allCases, [3, 4])
    func reportedPagesGoBackToTheHost(_ setup: VirtioSetup, queue: Int) throws {
        let (bench, _) = try bench(setup)
        fill(bench, pages: 8)
        // The second begins and ends within pages, which stay.
        #expect(send(bench, queue, [MockBuffer(page, 8192, isWritable: true), MockBuffer(page + 0x3800, 0x2800, isWritable: true)]) == 1)
        #expect(marks(bench, pages: 8) == [0, 0, 0xaa, 0xaa, 0, 0, 0xaa, 0xaa])
        #expect(bench.driver.load(page + 0x3fff, 1) == [0xaa])
    }

    @Test func poisonedPagesKeepTheirPoison() throws {
        let (bench, _) = try bench()
        bench.slot.write(0x10c, 0xaaaa_aaaa, size: 4)
        fill(bench, pages: 1)
        #expect(send(bench, 4, [MockBuffer(page, 4096, isWritable: true)]) == 1)
        #expect(marks(bench, pages: 1) == [0xaa])
        let (other, _) = try self.bench(.modernSplit, ~Feature.reporting)
        fill(other, pages: 1)
        #expect(send(other, 4, [MockBuffer(page, 4096, isWritable: true)]) == 1)
        #expect(marks(other, pages: 1) == [0xaa])
    }

    @Test(arguments: VirtioSetup.allCases)
    func statisticsComeWhenAskedFor(_ setup: VirtioSetup) throws {
        let (bench, device) = try bench(setup)
        let queue = bench.driver.queues[2]!
        func offer(_ free: UInt64) {
            queue.add([bench.driver.readable([99, 0] + .little(UInt64(1)) + [4, 0] + .little(free) + [5, 0] + .little(UInt64(77)) + [6, 0, 1])])
            queue.kick()
        }
        offer(1)
        #expect(device.statistics.map(\.name) == ["stat-free-memory", "stat-total-memory"])
        #expect(device.statistics.map(\.value) == [1, 77])
        #expect(queue.used().isEmpty)
        for value: UInt64 in 2...5 {
            device.requestStatistics()
            #expect(queue.used().count == 1)
            // Nothing to ask with until the driver has answered.
            device.requestStatistics()
            #expect(queue.used().isEmpty)
            offer(value)
            #expect(device.statistics.first?.value == value)
        }
        bench.driver.write(VirtioMockDriver.Offset.status, 0)
        #expect(device.statistics.isEmpty)
        device.requestStatistics()
    }

    @Test func statisticsAreAskedForInIntervals() throws {
        let events = EventQueue(mode: .virtual)
        var options = VirtioBalloon.Options()
        options.statisticsInterval = 1_000_000
        let device = VirtioBalloon(name: "virtio-balloon0", memorySize: VirtioBench.ramSize, events: events, options: options)
        let bench = try VirtioBench(.modernSplit, device)
        bench.driver.start(queueCount: 3, size: 16)
        let queue = bench.driver.queues[2]!
        queue.add([bench.driver.readable([])])
        queue.kick()
        events.run(to: 900_000)
        #expect(queue.used().isEmpty)
        events.run(to: 1_100_000)
        #expect(queue.used().count == 1)
        let copy = VirtioBalloon(name: "virtio-balloon0", memorySize: VirtioBench.ramSize, events: EventQueue(mode: .virtual), options: options)
        try transplant(device, into: copy)
    }

    @Test func reportingIsOfferedOnlyWhenWanted() throws {
        let (bench, _) = try bench(reports: false)
        #expect(bench.driver.offeredFeatures() & 0x3f == Feature.statistics)
        #expect(bench.driver.read(VirtioMockDriver.Offset.queueSizeMax) != 0)
        bench.driver.write(VirtioMockDriver.Offset.queueSelect, 3)
        #expect(bench.driver.read(VirtioMockDriver.Offset.queueSizeMax) == 0)
    }

    @Test func writesElsewhereInTheConfigurationChangeNothing() throws {
        let (bench, device) = try bench()
        let before = device.configSpace
        for offset: UInt64 in [0, 2, 8, 11, 16, 100] { bench.slot.write(0x100 + offset, 0xff, size: 1) }
        bench.slot.write(0x10e, 0xffff_ffff, size: 4)
        #expect(device.configSpace == before)
    }
}
