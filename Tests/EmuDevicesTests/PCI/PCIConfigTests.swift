import EmuBus
import EmuDevices
import TestSupport
import Testing

/// Configuration space, base addresses, windows.
@Suite struct PCIConfigTests {
    private let bench: PCIBench
    private let probe = PCIProbe()
    private let function: PCIMockFunction

    init() throws {
        bench = try PCIBench()
        bench.host.root.plug(probe, at: PCISlot(device: 3))
        function = bench.function(3)
    }

    @Test func aFunctionShowsWhatItIs() {
        #expect(function.read(0, as: UInt32.self) == 0x5678_1234)
        #expect(function.read(8, as: UInt32.self) == 0xff01_0200)
        #expect(function.read(0x2c, as: UInt32.self) == 0x1100_1af4)
        #expect(function.read(0x3d, as: UInt8.self) == 1)
        #expect(bench.function(0).read(0, as: UInt32.self) == 0x0008_1b36)
    }

    @Test func whereNoFunctionIsEverythingReadsAsOnes() {
        for (bus, device, number) in [(0, 1, 0), (0, 3, 1), (0, 31, 7), (1, 3, 0), (255, 0, 0)] {
            let absent = bench.function(device, bus: bus, function: number)
            #expect(!absent.exists)
            #expect(absent.read(0x10, as: UInt16.self) == .max && absent.read(7, as: UInt8.self) == .max)
            absent.write(4, UInt32(7))
        }
    }

    @Test func identityCannotBeWrittenAndReservedBitsStayZero() {
        // Base addresses are tested below; one bit of Device Control resets the function.
        let deviceControl = function.capabilities(0x10)[0] + 8
        for offset in stride(from: 0, to: 0x1000, by: 4) where !(0x10..<0x30).contains(offset) && offset != deviceControl { function.write(offset, UInt32.max) }
        #expect(function.read(0, as: UInt32.self) == 0x5678_1234)
        #expect(function.read(4, as: UInt16.self) == 0x547)
        #expect(function.read(0x34, as: UInt8.self) == 0x40)
    }

    @Test func extendedSpaceIsZeroForExpressAndAbsentForConventionalFunctions() {
        bench.host.root.plug(PCIProbe(isExpress: false), at: PCISlot(device: 4))
        #expect(function.read(0x100, as: UInt32.self) == 0)
        #expect(bench.function(4).read(0xfc, as: UInt32.self) == 0)
        #expect(bench.function(4).read(0x100, as: UInt32.self) == .max)
    }

    @Test func capabilitiesAreListed() {
        #expect(function.read(6, as: UInt16.self) & 1 << 4 != 0)
        #expect(function.capabilities(0x11).count == 1 && function.capabilities(0x01).count == 1 && function.capabilities(0x10).count == 1)
        #expect(function.capabilities(0x05).isEmpty)
    }

    @Test func accessesOfEightBytesFault() {
        #expect(bench.space.readDevice(PCIBench.ecam, size: 8) == nil)
    }

    // MARK: Base addresses

    @Test func sizesAreFoundByWritingOnes() {
        #expect(function.size(ofBAR: 0) == 32)
        #expect(function.size(ofBAR: 1) == 0x1000)
        #expect(function.size(ofBAR: 2) == 1 << 20)
        #expect(function.read(0x10, as: UInt32.self) & 3 == 1 && function.read(0x18, as: UInt32.self) & 0xf == 4)
        function.write(0x24, UInt32.max)
        #expect(function.read(0x24, as: UInt32.self) == 0)
    }

    @Test func addressesAreDecodedWhereSoftwarePutThem() {
        function.place(0, at: 0x2000)
        function.place(1, at: 0x5000_0000)
        function.place(2, at: 0x5_0010_0000)
        function.enable()
        bench.write(PCIBench.io + 0x2004, 11)
        bench.write(0x5000_0f00, 22, size: 2)
        bench.write(0x5_001f_fff8, 33, size: 8)
        #expect(probe.cells == [4: 11, 1 << 32 | 0xf00: 22, 2 << 32 | 0xffff8: 33])
        #expect(bench.read(0x5_001f_fff8, size: 8) == 33)
        // Elsewhere nobody answers.
        #expect(bench.read(PCIBench.io + 0x2020) == 0xffff_ffff)
        #expect(bench.read(0x5000_1000, size: 8) == .max)
        function.place(1, at: 0x6000_0000)
        #expect(bench.read(0x5000_0f00, size: 8) == .max)
        #expect(bench.read(0x6000_0f00) == 22)
    }

    @Test func nothingIsDecodedBeforeItIsEnabledOrInD3() {
        function.place(1, at: 0x5000_0000)
        #expect(bench.read(0x5000_0f00, size: 8) == .max)
        function.write(4, UInt16(2))
        #expect(bench.read(0x5000_0f00) == 0)
        function.write(4, UInt16(1))
        #expect(bench.read(0x5000_0f00, size: 8) == .max)
        function.enable()
        let power = function.capabilities(0x01)[0] + 4
        function.write(power, UInt16(3))
        #expect(bench.read(0x5000_0f00, size: 8) == .max)
        // D1 does not exist: the state stays.
        function.write(power, UInt16(1))
        #expect(function.read(power, as: UInt16.self) & 3 == 3)
        function.write(power, UInt16(0))
        #expect(bench.read(0x5000_0f00) == 0)
    }

    /// UEFI firmware puts the first I/O region there.
    @Test func zeroIsAnIOAddress() {
        #expect(bench.read(PCIBench.io, size: 4) == 0xffff_ffff)
        function.place(0, at: 0)
        function.enable()
        bench.write(PCIBench.io + 4, 44)
        #expect(probe.cells == [4: 44])
    }

    @Test func functionLevelResetBringsEverythingBack() {
        function.place(1, at: 0x5000_0000)
        function.enable()
        let express = function.capabilities(0x10)[0]
        #expect(function.read(express + 4, as: UInt32.self) & 1 << 28 != 0)
        function.write(express + 8, UInt16(1 << 15))
        #expect(probe.resets == 1)
        #expect(function.read(4, as: UInt16.self) == 0 && function.read(0x14, as: UInt32.self) == 0)
        #expect(function.read(express + 8, as: UInt16.self) & 1 << 15 == 0)
    }

    // MARK: Interrupts

    @Test func pinsAreTurnedByTheDevicesNumberAndShared() {
        let other = PCIProbe()
        bench.host.root.plug(other, at: PCISlot(device: 7))
        probe.function.setInterrupt(true)
        #expect(bench.interrupts.high == [3])
        #expect(function.read(6, as: UInt16.self) & 1 << 3 != 0)
        other.function.setInterrupt(true)
        probe.function.setInterrupt(false)
        #expect(bench.interrupts.high == [3])
        bench.function(7).write(4, UInt16(1 << 10))
        #expect(bench.interrupts.high == [])
        #expect(bench.function(7).read(6, as: UInt16.self) & 1 << 3 != 0)
        bench.function(7).write(4, UInt16(0))
        #expect(bench.interrupts.high == [3])
    }

    private func enableMessages() -> Int {
        function.place(1, at: 0x5000_0000)
        function.enable()
        let capability = function.capabilities(0x11)[0]
        #expect(function.read(capability + 2, as: UInt16.self) == 1)
        #expect(function.read(capability + 4, as: UInt32.self) == 1 && function.read(capability + 8, as: UInt32.self) == 0x801)
        function.write(capability + 2, UInt16(1 << 15))
        bench.write(0x5000_0010, PCIBench.ram + 0x100, size: 8)
        bench.write(0x5000_0018, 0xabcd)
        return capability
    }

    @Test func messagesAreWrittenWhenTheirVectorIsNotMasked() {
        let capability = enableMessages()
        // Vectors begin masked.
        #expect(bench.read(0x5000_001c) == 1)
        probe.function.msix!.notify(1)
        #expect(bench.word(PCIBench.ram + 0x100) == 0)
        #expect(bench.read(0x5000_0800, size: 8) == 2)
        bench.write(0x5000_001c, 0)
        #expect(bench.word(PCIBench.ram + 0x100) == 0xabcd)
        #expect(bench.read(0x5000_0800, size: 8) == 0)
        // The whole function, and a function that may not write to memory.
        bench.write(0x5000_0018, 0x1111)
        function.write(capability + 2, UInt16(3 << 14))
        probe.function.msix!.notify(1)
        function.write(4, UInt16(2))
        function.write(capability + 2, UInt16(1 << 15))
        #expect(bench.word(PCIBench.ram + 0x100) == 0xabcd)
        function.enable()
        #expect(bench.word(PCIBench.ram + 0x100) == 0x1111)
    }

    @Test func messagesReachInterruptControllersAndNeverOtherRegisters() {
        final class Target: MSITarget {
            var written: [UInt32] = []
            func writeMSI(address: UInt64, data: UInt32) -> Bool {
                guard address == 0x2800_0000 else { return false }
                written.append(data)
                return true
            }
        }
        let target = Target()
        bench.host.messageTargets = [target]
        _ = enableMessages()
        bench.write(0x5000_001c, 0)
        bench.write(0x5000_0010, 0x2800_0000, size: 8)
        probe.function.msix!.notify(1)
        #expect(target.written == [0xabcd])
        for address: UInt64 in [0x5000_0f00, PCIBench.ecam + 3 << 15, 0, .max - 3] {
            bench.write(0x5000_0010, address, size: 8)
            probe.function.msix!.notify(1)
            probe.function.msix!.notify(2)
            probe.function.msix!.notify(-1)
        }
        #expect(probe.cells.isEmpty && target.written == [0xabcd])
    }

    // MARK: Robustness

    @Test func randomAccessesHurtNobodyAndStatesMove() throws {
        let port = PCIeRootPort(name: "port", busName: "port", chassis: 1, slot: 1)
        bench.host.root.plug(port, at: PCISlot(device: 1))
        port.secondary.plug(PCIProbe(), at: PCISlot(device: 0))
        var random = SplitMix(seed: 7)
        for _ in 0..<30_000 {
            let size = 1 << Int(random.next() % 3)
            let slot = [0, 1, 3][Int(random.next() % 3)], bus: UInt64 = random.next() % 8 == 0 ? 1 : 0
            let offset = (random.next() % 4 == 0 ? random.next() % 0x1000 : random.next() % 0x100) & ~UInt64(size - 1)
            let address = PCIBench.ecam + bus << 20 + UInt64(slot) << 15 + offset
            switch random.next() % 4 {
            case 0: _ = bench.read(address, size: size)
            case 1: bench.write(PCIBench.memory32 + random.next() % (1 << 30) & ~7, random.next(), size: 8)
            default: bench.write(address, random.next() % 3 == 0 ? .max : random.next(), size: size)
            }
        }
        for device in bench.host.devices {
            let saved = try device.encodedState()
            try device.restoreState(from: saved)
            #expect(try device.encodedState() == saved)
        }
        bench.host.reset()
        #expect(function.read(4, as: UInt16.self) == 0 && bench.interrupts.high == [])
    }
}
