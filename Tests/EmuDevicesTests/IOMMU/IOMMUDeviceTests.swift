import EmuBus
import EmuDevices
import TestSupport
import Testing

/// What devices behind an IOMMU reach.
@Suite struct IOMMUDeviceTests {
    private static let base: UInt64 = 0x5100_0000, messages: UInt64 = 0x5101_0000
    private static let accessPlatform: UInt64 = 1 << 33

    private let bench: IOMMUBench
    private let device = InvertingDevice()
    private let transport: VirtioPCI
    private let function: PCIMockFunction
    private let driver: VirtioMockDriver
    /// First stage of the device.
    private let table: UInt64

    init() throws {
        bench = try IOMMUBench()
        bench.startQueues()
        bench.start()
        transport = VirtioPCI(
            device, memory: bench.pci.space, events: bench.pci.events, configuration: .init(isTransitional: false), options: VirtioOptions(accessPlatform: true))
        bench.pci.host.root.plug(transport, at: PCISlot(device: 1))
        function = bench.pci.function(1)
        function.place(1, at: Self.messages)
        driver = VirtioMockDriver(VirtioPCIRegisters(bench.pci, function, base: Self.base), bench.pci.space, heap: PCIBench.ram + 0x80_0000)
        table = bench.table(3)
        // The driver's memory as it is.
        for page in 0..<4 { bench.map(table, PCIBench.ram + 0x80_0000 + UInt64(page) << 21, to: PCIBench.ram + 0x80_0000 + UInt64(page) << 21, level: 1) }
        bench.setContext(8, first: table)
    }

    /// Requests a complement of what is at `source`.
    private func invert(_ source: UInt64, _ count: Int) -> [UInt8] {
        let output = driver.writable(count)
        driver.queues[0]!.add([MockBuffer(source, count, isWritable: false), output])
        driver.queues[0]!.kick()
        _ = driver.queues[0]!.used()
        return driver.contents(output)
    }

    @Test func buffersAreWhereTheTablesSay() {
        driver.start()
        let first = bench.pages(), second = bench.pages(), hole = bench.pages()
        // Two pages that follow each other for the device alone, in the wrong order.
        bench.map(table, 0x1000, to: second)
        bench.map(table, 0x2000, to: first)
        driver.store(second + 4094, [1, 2])
        driver.store(first, [3, 4])
        #expect(invert(0x1ffe, 4) == [0xfe, 0xfd, 0xfc, 0xfb] && driver.status == 0xf)
        // What is not mapped is not reached, and software hears of it.
        _ = invert(hole, 4)
        #expect(driver.status & 64 != 0)
        let fault = bench.takeFault()
        #expect(fault.map { $0[0] & 0xfff == 13 && $0[0] >> 40 == 8 && $0[2] == hole } ?? false)
    }

    @Test func ringsAreTranslatedToo() {
        bench.store(bench.entry(table, PCIBench.ram + 0x80_0000, level: 1), 0)
        driver.start()
        #expect(invert(PCIBench.ram + 0xa0_0000, 1) == [0] && driver.status & 64 != 0 && bench.takeFault() != nil)
    }

    @Test func driversMustAcceptThePlatformsAddresses() {
        #expect(driver.offeredFeatures() & Self.accessPlatform != 0)
        #expect(!driver.negotiate(~Self.accessPlatform) && driver.negotiate())
    }

    @Test func withoutThatFeatureAddressesArePhysical() throws {
        let plain = VirtioPCI(InvertingDevice(), memory: bench.pci.space, events: bench.pci.events)
        bench.pci.host.root.plug(plain, at: PCISlot(device: 2))
        let driver = VirtioMockDriver(
            VirtioPCIRegisters(bench.pci, bench.pci.function(2), base: 0x5200_0000), bench.pci.space, heap: PCIBench.ram + 0x40_0000)
        driver.start()
        let output = driver.writable(2)
        driver.queues[0]!.add([driver.readable([1, 2]), output])
        driver.queues[0]!.kick()
        #expect(driver.contents(output) == [0xfe, 0xfd] && bench.takeFault() == nil)
    }

    @Test func translationsAreKeptUntilSoftwareTakesThemBack() {
        driver.start()
        let old = bench.pages(), new = bench.pages()
        driver.store(old, [1])
        driver.store(new, [2])
        // No page of the rings or buffers has the same place among the translations that are kept.
        let address: UInt64 = 0x7_f000
        bench.map(table, address, to: old)
        // Each takes back what the second member says, of the address below or of others.
        let commands: [(UInt64, UInt64, Bool)] = [
            (1, 0, true), (1 | 1 << 10, (address >> 12) << 10, true), (1 | 1 << 10, 2 << 10, false), (1 | 1 << 10, (address >> 12) << 10 | 1 << 9, true), (1 | 1 << 7, 0, true),
            (3, 0, true), (3 | 1 << 33 | 8 << 40, 0, true), (2, 0, false),
        ]
        for (first, second, isGone) in commands {
            #expect(invert(address, 1) == [0xfe])
            bench.map(table, address, to: new)
            bench.run(first, second)
            #expect(invert(address, 1) == [isGone ? 0xfd : 0xfe], "\(hex(first)) \(hex(second))")
            bench.map(table, address, to: old)
            bench.invalidateAll()
        }
        // One address of a superpage stands for all of it.
        bench.map(table, 0x4000_0000, to: PCIBench.ram, level: 1)
        driver.store(PCIBench.ram + 0x5000, [7])
        #expect(invert(0x4000_5000, 1) == [0xf8])
        bench.store(bench.entry(table, 0x4000_0000, level: 1), 0)
        bench.run(1 | 1 << 10, 0x4_0010 << 10)
        _ = invert(0x4000_5000, 1)
        #expect(driver.status & 64 != 0)
    }

    @Test func aTranslationForReadingIsNoneForWriting() {
        driver.start()
        let page = bench.pages()
        bench.map(table, 0x1000, to: page, IOMMUBench.all & ~IOMMUBench.dirty)
        #expect(invert(0x1000, 1) == [0xff])
        driver.queues[0]!.add([driver.readable([1]), MockBuffer(0x1000, 1, isWritable: true)])
        driver.queues[0]!.kick()
        #expect(driver.status & 64 != 0 && bench.takeFault().map { $0[0] & 0xfff == 15 } ?? false)
    }

    // MARK: Messages and other devices

    @Test func messagesOfDevicesAreTranslated() {
        let target = bench.pages()
        bench.map(table, 0x7000, to: target)
        let capability = function.capabilities(0x11)[0]
        function.write(capability + 2, UInt16(1 << 15))
        bench.pci.write(Self.messages, 0x7010, size: 8)
        bench.pci.write(Self.messages + 8, 99, size: 8)
        driver.negotiate()
        bench.pci.write(Self.base + 0x10, 0, size: 2)
        driver.setUpQueue(0, size: 8)
        driver.ready()
        device.core?.configChanged()
        #expect(bench.word(target + 16) == 99 && bench.takeFault() == nil)
        bench.store(bench.entry(table, 0x7000), 0)
        bench.invalidateAll()
        device.core?.configChanged()
        #expect(bench.takeFault().map { $0[0] & 0xfff == 15 && $0[2] == 0x7010 } ?? false)
    }

    @Test func devicesBehindPortsHaveTheirBusNumber() {
        let port = PCIeRootPort(name: "port", busName: "p", chassis: 0, slot: 1)
        bench.pci.host.root.plug(port, at: PCISlot(device: 3))
        let inner = VirtioPCI(
            InvertingDevice(), memory: bench.pci.space, events: bench.pci.events, configuration: .init(isTransitional: false, isExpress: true),
            options: VirtioOptions(accessPlatform: true))
        port.secondary.plug(inner, at: PCISlot(device: 0))
        let bridge = bench.pci.function(3)
        bridge.write(0x18, UInt32(0x00_05_05_00))
        bridge.write(0x20, UInt16(0x5300))
        bridge.write(0x22, UInt16(0x5300))
        bridge.enable()
        let driver = VirtioMockDriver(
            VirtioPCIRegisters(bench.pci, bench.pci.function(0, bus: 5), base: 0x5300_0000), bench.pci.space, heap: PCIBench.ram + 0x40_0000)
        driver.start()
        driver.queues[0]!.add([driver.readable([1]), driver.writable(1)])
        driver.queues[0]!.kick()
        // Too wide an id for a directory of one level.
        #expect(bench.takeFault().map { $0[0] & 0xfff == 260 && $0[0] >> 40 == 0x500 } ?? false)
    }

    @Test func anNVMeControllersQueuesAndDataAreTranslated() throws {
        let nvme = try NVMeBench()
        let bench = try IOMMUBench(on: nvme.pci)
        bench.startQueues()
        bench.start()
        let table = bench.table(3), ram = PCIBench.ram
        // The command queue of the bench is not among what the driver of the controller uses.
        for page: UInt64 in 0..<512 { bench.map(table, ram + page << 12, to: ram + page << 12) }
        bench.setContext(8, first: table)
        nvme.enable()
        let list = nvme.pages(1), target = nvme.pages(1)
        bench.map(table, list, to: target)
        #expect(nvme.run(0, 6, prp1: list, [1]) == 0 && nvme.bytes(target + 4, 4) == Array("SN 1".utf8) && bench.takeFault() == nil)
        bench.store(bench.entry(table, list), 0)
        bench.invalidateAll()
        #expect(nvme.run(0, 6, prp1: list, [1]) == 4)
        #expect(bench.takeFault().map { $0[0] & 0xfff == 15 && $0[2] == list } ?? false)
    }

    @Test func anIOMMUThatComesLateServesThoseBeforeIt() throws {
        let pci = try PCIBench()
        let early = VirtioPCI(
            InvertingDevice(), memory: pci.space, events: pci.events, configuration: .init(isTransitional: false), options: VirtioOptions(accessPlatform: true))
        pci.host.root.plug(early, at: PCISlot(device: 1))
        let bench = try IOMMUBench(on: pci)
        bench.startQueues()
        bench.start()
        let driver = VirtioMockDriver(VirtioPCIRegisters(pci, pci.function(1), base: Self.base), pci.space, heap: PCIBench.ram + 0x40_0000)
        driver.start()
        driver.queues[0]!.add([driver.readable([1])])
        driver.queues[0]!.kick()
        #expect(bench.takeFault().map { $0[0] & 0xfff == 258 } ?? false)
    }
}
