import EmuBus
import EmuDevices
import TestSupport
import Testing

@Suite struct PCIeRootPortTests {
    private let bench: PCIBench
    private let port = PCIeRootPort(name: "port", busName: "rp", chassis: 2, slot: 5)
    private let probe = PCIProbe()
    private let bridge: PCIMockFunction
    private let behind: PCIMockFunction

    init() throws {
        bench = try PCIBench()
        bench.host.root.plug(port, at: PCISlot(device: 2))
        port.secondary.plug(probe, at: PCISlot(device: 0))
        bridge = bench.function(2)
        behind = bench.function(0, bus: 4)
    }

    private func number() {
        bridge.write(0x18, UInt32(0x0004_0400))
        bridge.enable()
    }

    private var express: Int { bridge.capabilities(0x10)[0] }
    private var slotStatus: UInt16 { bridge.read(express + 0x1a) }
    private var linkIsUp: Bool { bridge.read(express + 0x12, as: UInt16.self) & 1 << 13 != 0 }

    @Test func configurationReachesTheBusSoftwareNumbered() {
        #expect(!behind.exists)
        number()
        #expect(behind.read(0, as: UInt32.self) == 0x5678_1234)
        #expect(!bench.function(1, bus: 4).exists && !bench.function(0, bus: 5).exists)
        // A range that ends before it begins holds no bus.
        bridge.write(0x18, UInt32(0x0003_0400))
        #expect(!behind.exists)
    }

    @Test func windowsLetThroughWhatLiesInside() {
        number()
        behind.place(0, at: 0x3000)
        behind.place(1, at: 0x4010_0000)
        behind.place(2, at: 0x5_0000_0000)
        behind.enable()
        bridge.write(0x1c, UInt16(0x00f0))
        bridge.write(0x20, UInt32(0x0000_fff0))
        bridge.write(0x24, UInt32(0x0000_fff0))
        for address in [PCIBench.io + 0x3000, 0x4010_0f00, 0x5_0000_0000] { #expect(bench.read(address, size: 4) != 0) }
        bridge.write(0x1c, UInt16(0x3030))
        bridge.write(0x20, UInt32(0x4010_4010))
        bridge.write(0x24, UInt32(0))
        bridge.write(0x28, UInt32(5))
        bridge.write(0x2c, UInt32(5))
        for address in [PCIBench.io + 0x3000, 0x4010_0f00, 0x5_0000_0000] { #expect(bench.read(address, size: 4) == 0) }
        bridge.write(4, UInt16(0))
        #expect(bench.read(0x4010_0f00, size: 4) != 0)
    }

    @Test func pinsAreTurnedOnEveryBus() {
        probe.function.setInterrupt(true)
        #expect(bench.interrupts.high == [2])
    }

    @Test func theBusBehindCanBeReset() {
        number()
        behind.enable()
        bridge.write(0x3e, UInt16(1 << 6))
        #expect(probe.resets == 1 && behind.read(4, as: UInt16.self) == 0)
    }

    @Test func theSlotTellsItsNumberAndWhatIsInIt() {
        let capabilities: UInt32 = bridge.read(express + 0x14)
        #expect(capabilities >> 19 == 5 && capabilities & 1 << 6 != 0)
        #expect(slotStatus & 1 << 6 != 0)
        #expect(bridge.read(express + 0x12, as: UInt16.self) & 1 << 13 != 0)
        #expect(bridge.read(bridge.capabilities(0x0d)[0] + 6, as: UInt16.self) == 2)
    }

    // MARK: Hot-plug

    @Test func insertionInterruptsUntilTheEventIsCleared() throws {
        let empty = PCIeRootPort(name: "empty", busName: "e", chassis: 0, slot: 1)
        bench.host.root.plug(empty, at: PCISlot(device: 4))
        let bridge = bench.function(4)
        let express = bridge.capabilities(0x10)[0]
        #expect(bridge.read(express + 0x1a, as: UInt16.self) == 0)
        bridge.write(express + 0x18, UInt16(1 << 5 | 1 << 3))
        empty.secondary.plug(PCIProbe(), at: PCISlot(device: 0))
        #expect(bridge.read(express + 0x1a, as: UInt16.self) & (1 << 3 | 1 << 6) == 1 << 3 | 1 << 6)
        #expect(bench.interrupts.high == [0])
        bridge.write(express + 0x1a, UInt16.max)
        #expect(bench.interrupts.high == [])
        // What was plugged in survives a reset, its news do not.
        bench.host.reset()
        #expect(bridge.read(express + 0x1a, as: UInt16.self) == 1 << 6)
    }

    @Test func aDeviceLeavesWhenTheGuestSwitchesItsSlotOff() {
        var removed: [any PCIDevice] = []
        port.removed = { removed += $0 }
        bridge.write(express + 0x1a, UInt16.max)
        bridge.write(express + 0x18, UInt16(1 << 5 | 1))
        probe.function.setInterrupt(true)
        port.requestRemoval()
        #expect(slotStatus & 1 != 0 && bench.interrupts.high == [2])
        // Off, but the light still blinks: the guest is not done.
        bridge.write(express + 0x18, UInt16(1 << 10 | 2 << 8))
        #expect(removed.isEmpty && probe.resets == 1)
        bridge.write(express + 0x18, UInt16(1 << 10 | 3 << 8))
        #expect(removed.count == 1 && probe.function.bus == nil)
        #expect(slotStatus & 1 << 6 == 0 && bench.interrupts.high == [])
        number()
        #expect(!behind.exists)
    }

    @Test func aDeviceNobodyTakesIsBackWithThePower() {
        number()
        behind.enable()
        bridge.write(express + 0x1a, UInt16.max)
        bridge.write(express + 0x18, UInt16(1 << 10 | 3 << 8))
        #expect(slotStatus == 1 << 6 | 1 << 8 && !linkIsUp && probe.resets == 1 && !behind.exists)
        bridge.write(express + 0x18, UInt16(1 << 8))
        #expect(linkIsUp && behind.exists && behind.read(4, as: UInt16.self) == 0)
        // A reset switches it on, too.
        bridge.write(express + 0x18, UInt16(1 << 10 | 3 << 8))
        bench.host.reset()
        number()
        #expect(linkIsUp && behind.exists)
    }

    @Test func aRestoredPortSendsNoMessageAgain() throws {
        let message = PCIBench.ram + 0x100
        bridge.place(0, at: 0x5000_0000)
        bridge.enable()
        bridge.write(bridge.capabilities(0x11)[0] + 2, UInt16(1 << 15))
        bench.write(0x5000_0000, message, size: 8)
        bench.write(0x5000_0008, 0x77, size: 8)
        bridge.write(express + 0x1a, UInt16.max)
        bridge.write(express + 0x18, UInt16(1 << 5 | 1))
        port.requestRemoval()
        #expect(bench.word(message) == 0x77)
        _ = bench.space.storeMemory(message, UInt32(0))
        let saved = try port.encodedState()
        bench.host.reset()
        try port.restoreState(from: saved)
        #expect(bench.word(message) == 0)
        // The next one is told of.
        bridge.write(express + 0x1a, UInt16.max)
        port.requestRemoval()
        #expect(bench.word(message) == 0x77)
    }

    @Test func aSlotWithoutHotPlugStaysAsItIs() {
        let fixed = PCIeRootPort(name: "fixed", busName: "f", chassis: 0, slot: 1, isHotPluggable: false)
        bench.host.root.plug(fixed, at: PCISlot(device: 4))
        fixed.secondary.plug(PCIProbe(), at: PCISlot(device: 0))
        let bridge = bench.function(4)
        let express = bridge.capabilities(0x10)[0]
        bridge.write(express + 0x18, UInt16.max)
        fixed.requestRemoval()
        #expect(bridge.read(express + 0x18, as: UInt16.self) == 0 && fixed.secondary.devices.count == 1 && bench.interrupts.high == [])
    }
}
