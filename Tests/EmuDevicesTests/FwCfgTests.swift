import EmuBus
import EmuDevices
import Testing

@Suite struct FwCfgTests {
    static let base: UInt64 = 0x1010_0000
    static let ram: UInt64 = 0x8000_0000
    let bus = AddressSpace()
    let fwCfg: FwCfg

    init() throws {
        try bus.map(GuestRAM(base: Self.ram, size: 0x1_0000), name: "ram")
        try bus.map(GuestRAM(base: 0x1000, size: 0x1000, isReadOnly: true), name: "rom")
        fwCfg = FwCfg(bus: bus)
        try bus.map(fwCfg, at: Self.base, size: FwCfg.size, sizes: FwCfg.accessSizes)
    }

    private func select(_ key: UInt16) { _ = bus.writeDevice(Self.base + 8, UInt64(key.byteSwapped), size: 2) }
    private func data(_ size: Int) -> UInt64? { bus.readDevice(Self.base, size: size) }
    private func bytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8(data(1) ?? 0xEE) } }

    private static let read: UInt32 = 2, skip: UInt32 = 4, selectKey: UInt32 = 8, write: UInt32 = 16

    /// Runs one DMA descriptor and returns the control field the device left.
    private func dma(_ control: UInt32, _ length: UInt32, _ target: UInt64, at descriptor: UInt64 = ram + 0x100, halves: Bool = false) -> UInt32? {
        _ = bus.storeMemory(descriptor, control.byteSwapped)
        _ = bus.storeMemory(descriptor &+ 4, length.byteSwapped)
        _ = bus.storeMemory(descriptor &+ 8, target.byteSwapped)
        if halves {
            _ = bus.writeDevice(Self.base + 16, UInt64(UInt32(truncatingIfNeeded: descriptor >> 32).byteSwapped), size: 4)
            _ = bus.writeDevice(Self.base + 20, UInt64(UInt32(truncatingIfNeeded: descriptor).byteSwapped), size: 4)
        } else {
            _ = bus.writeDevice(Self.base + 16, descriptor.byteSwapped, size: 8)
        }
        return bus.loadMemory(descriptor, as: UInt32.self)?.byteSwapped
    }
    private func memory(_ address: UInt64, _ count: UInt64) -> [UInt8] {
        (0..<count).map { bus.loadMemory(address + $0, as: UInt8.self) ?? 0xEE }
    }

    // MARK: Data register

    @Test func theSignatureIsSelectedAtPowerOn() {
        #expect(bytes(4) == Array("QEMU".utf8))
        #expect(bytes(3) == [0, 0, 0])
    }

    @Test func theIdentifierNamesBothInterfaces() {
        select(1)
        #expect(data(4) == 3)
    }

    @Test func everyWidthKeepsByteOrder() {
        fwCfg.set(FwCfg.Key.cpuCount, [1, 2, 3, 4, 5, 6, 7, 8, 9])
        select(5)
        #expect(data(8) == 0x0807_0605_0403_0201)
        select(5)
        #expect(data(2) == 0x0201 && data(4) == 0x0605_0403 && data(1) == 7)
        #expect(data(8) == 0x0908)
        #expect(data(8) == 0)
    }

    @Test func integersAreLittleEndian() {
        fwCfg.set(FwCfg.Key.cpuCount, UInt16(4))
        select(5)
        #expect(bytes(3) == [4, 0, 0])
    }

    @Test func unknownItemsReadZero() {
        select(0x3FFF)
        #expect(data(4) == 0)
    }

    @Test func theWriteChannelBitIsNotPartOfTheKey() {
        select(0x4000)
        #expect(bytes(4) == Array("QEMU".utf8))
        select(0x8000)
        #expect(bytes(4) == [0, 0, 0, 0])
    }

    @Test func itemsCannotBeWritten() {
        #expect(bus.writeDevice(Self.base, 0x58, size: 1))
        #expect(bytes(4) == Array("QEMU".utf8))
    }

    @Test func theSelectorTakesHalfwordsOnly() {
        _ = data(1)
        #expect(bus.writeDevice(Self.base + 8, 0, size: 4))
        #expect(bytes(3) == Array("EMU".utf8))
        #expect(bus.readDevice(Self.base + 8, size: 2) == 0)
    }

    // MARK: Directory

    @Test func theDirectoryListsFilesByName() throws {
        try fwCfg.addFile("opt/b", [1, 2, 3])
        try fwCfg.addFile("etc/a", [9])
        select(0x19)
        #expect(bytes(4) == [0, 0, 0, 2])
        #expect(bytes(8) == [0, 0, 0, 1, 0, 0x20, 0, 0])
        #expect(bytes(56) == Array("etc/a".utf8) + [UInt8](repeating: 0, count: 51))
        #expect(bytes(8) == [0, 0, 0, 3, 0, 0x21, 0, 0])
        #expect(bytes(5) == Array("opt/b".utf8))
        select(0x20)
        #expect(bytes(2) == [9, 0])
        select(0x21)
        #expect(bytes(3) == [1, 2, 3])
    }

    @Test func badFilesAreRefused() throws {
        try fwCfg.addFile(String(repeating: "n", count: 55), [])
        for name in ["", String(repeating: "n", count: 56), "with space", "é", String(repeating: "n", count: 55)] {
            #expect(throws: FwCfg.ItemError.self) { try fwCfg.addFile(name, []) }
        }
    }

    // MARK: DMA

    @Test func theDMARegisterReadsItsSignature() {
        #expect(bus.readDevice(Self.base + 16, size: 8) == 0x4746_4320_554D_4551)
        #expect(bus.readDevice(Self.base + 20, size: 4) == 0x4746_4320)
        #expect(bus.readDevice(Self.base + 17, size: 1) == 0x45)
    }

    @Test(arguments: [false, true])
    func dmaReadsSelectAndCopy(halves: Bool) {
        _ = bus.storeMemory(Self.ram + 0x200, UInt64.max)
        #expect(dma(Self.selectKey | Self.read, 6, Self.ram + 0x200, halves: halves) == 0)
        #expect(memory(Self.ram + 0x200, 8) == Array("QEMU".utf8) + [0, 0, 0xFF, 0xFF])
    }

    @Test func dmaReadsContinueWhereTheLastEnded() {
        fwCfg.set(FwCfg.Key.cpuCount, [1, 2, 3, 4, 5, 6])
        #expect(dma(5 << 16 | Self.selectKey | Self.read, 2, Self.ram) == 0)
        #expect(dma(Self.skip, 1, 0) == 0)
        #expect(dma(Self.read, 2, Self.ram + 2) == 0)
        #expect(memory(Self.ram, 4) == [1, 2, 4, 5])
        #expect(data(1) == 6)
    }

    @Test func skippingStopsAtTheEnd() {
        #expect(dma(Self.selectKey | Self.skip, .max, 0) == 0)
        #expect(dma(Self.read, 4, Self.ram) == 0)
        #expect(memory(Self.ram, 4) == [0, 0, 0, 0])
    }

    @Test func dmaOfAnUnknownItemGivesZeros() {
        _ = bus.storeMemory(Self.ram, UInt64.max)
        #expect(dma(0x40 << 16 | Self.selectKey | Self.read, 8, Self.ram) == 0)
        #expect(memory(Self.ram, 8) == [UInt8](repeating: 0, count: 8))
    }

    @Test func longDMAEndsTheSlice() throws {
        let bus = AddressSpace(), events = EventQueue(mode: .virtual)
        try bus.map(GuestRAM(base: Self.ram, size: 4 << 20), name: "ram")
        let fwCfg = FwCfg(bus: bus, events: events)
        var yields = 0
        events.deadlineMoved = { yields += 1 }
        for (length, expected) in [(0x1000, 0), (2 << 20, 1)] {
            _ = bus.storeMemory(Self.ram, Self.read.byteSwapped)
            _ = bus.storeMemory(Self.ram + 4, UInt32(length).byteSwapped)
            _ = bus.storeMemory(Self.ram + 8, (Self.ram + 0x1000).byteSwapped)
            fwCfg.write(16, Self.ram.byteSwapped, size: 8)
            #expect(yields == expected && bus.loadMemory(Self.ram, as: UInt32.self) == 0)
        }
    }

    @Test func dmaWritesAreRefused() {
        #expect(dma(Self.selectKey | Self.write, 4, Self.ram) == 1)
        #expect(dma(Self.selectKey | Self.read, 4, Self.ram) == 0)
        #expect(memory(Self.ram, 4) == Array("QEMU".utf8))
    }

    @Test func aCommandWithoutATransferOnlyClearsControl() {
        #expect(dma(0, 8, 0x9_0000_0000) == 0)
    }

    @Test(arguments: [0x9_0000_0000, 0x1000, 0x8000_FFFC, UInt64.max - 3, 0x1010_0000] as [UInt64])
    func dmaOutsideRAMFails(target: UInt64) {
        #expect(dma(Self.selectKey | Self.read, 8, target) == 1)
    }

    @Test func dmaLongerThanRAMFails() {
        #expect(dma(Self.selectKey | Self.read, .max, Self.ram) == 1)
    }

    @Test(arguments: [UInt64(0), 0x9_0000_0000, .max, .max - 15, ram + 0xFFF8, 0x1000])
    func aDescriptorOutsideRAMDoesNoHarm(descriptor: UInt64) {
        #expect(bus.writeDevice(Self.base + 16, descriptor.byteSwapped, size: 8))
        #expect(bytes(4) == Array("QEMU".utf8))
    }

    @Test func aDescriptorCutByTheEndOfRAMReportsTheError() {
        let descriptor = Self.ram + 0xFFF8
        _ = bus.storeMemory(descriptor, Self.read.byteSwapped)
        _ = bus.writeDevice(Self.base + 16, descriptor.byteSwapped, size: 8)
        #expect(bus.loadMemory(descriptor, as: UInt32.self)?.byteSwapped == 1)
    }

    // MARK: Reset and state

    @Test func resetSelectsTheSignature() {
        select(1)
        fwCfg.reset()
        #expect(bytes(4) == Array("QEMU".utf8))
    }

    @Test func stateRoundTrip() throws {
        fwCfg.set(FwCfg.Key.cpuCount, [1, 2, 3])
        select(5)
        _ = data(1)
        _ = bus.writeDevice(Self.base + 16, 0, size: 4)
        let other = FwCfg(bus: bus)
        other.set(FwCfg.Key.cpuCount, [1, 2, 3])
        try transplant(fwCfg, into: other)
        #expect(other.read(0, size: 4) == 0x0302)
    }

    @Test func aSavedPositionBeyondTheItemReadsZero() {
        var state = fwCfg.state
        state.position = .max
        fwCfg.state = state
        #expect(data(8) == 0)
        #expect(dma(Self.read, 4, Self.ram) == 0)
        #expect(memory(Self.ram, 4) == [0, 0, 0, 0])
    }

    @Test func deviceTreeNode() {
        let node = fwCfg.fdtNode(at: Self.base)
        #expect(node.name == "fw-cfg@10100000" && node["dma-coherent"] == [])
        #expect(node["compatible"] == Array("qemu,fw-cfg-mmio\0".utf8))
    }
}
