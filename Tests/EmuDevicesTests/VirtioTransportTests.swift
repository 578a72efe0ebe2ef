import EmuBus
import EmuDevices
import Foundation
import TestSupport
import Testing

private typealias Offset = VirtioMockDriver.Offset
private typealias Feature = VirtioMockDriver.Feature

@Suite struct VirtioTransportTests {
    @Test(arguments: VirtioSetup.allCases)
    func registersIdentifyTheDevice(_ setup: VirtioSetup) throws {
        let bench = try VirtioBench(setup, InvertingDevice())
        #expect(bench.driver.read(Offset.magic) == 0x7472_6976)
        #expect(bench.driver.read(Offset.version) == (setup.isLegacy ? 1 : 2))
        #expect(bench.driver.read(Offset.deviceID) == 42)
        #expect(bench.driver.read(Offset.vendor) == 0x554d_4551)
    }

    @Test(arguments: [VirtioSetup.legacySplit, .modernSplit])
    func emptySlotHasDeviceIDZeroAndIgnoresWrites(_ setup: VirtioSetup) throws {
        let bench = try VirtioBench(setup, nil)
        #expect(bench.driver.read(Offset.magic) == 0x7472_6976)
        #expect(bench.driver.read(Offset.deviceID) == 0)
        bench.driver.write(Offset.status, 1)
        bench.driver.write(Offset.queueNotify, 0)
        #expect(bench.driver.status == 0)
        #expect(bench.driver.config(0, size: 4) == 0)
    }

    @Test func legacyTransportOffersOnlyLowFeatureBits() throws {
        let bench = try VirtioBench(.legacySplit, InvertingDevice(), options: VirtioOptions(packed: true))
        #expect(bench.driver.offeredFeatures() == 0b101 | 1 << 27 | Feature.indirect | Feature.eventIndex)
    }

    @Test func modernTransportOffersVersion1AndOnlyWhatTheOptionsAllow() throws {
        let packed = try VirtioBench(.modernPacked, InvertingDevice())
        #expect(packed.driver.offeredFeatures()
            == 0b101 | Feature.indirect | Feature.eventIndex | Feature.version1 | Feature.packed | Feature.ringReset)
        let plain = try VirtioBench(.modernSplit, InvertingDevice(), options: VirtioOptions(indirectDescriptors: false, eventIndex: false))
        #expect(plain.driver.offeredFeatures() == 0b101 | Feature.version1 | Feature.ringReset)
    }

    @Test(arguments: [1 << 20 | VirtioMockDriver.Feature.version1, 0b100 | VirtioMockDriver.Feature.version1, VirtioMockDriver.Feature.packed])
    func featuresOKIsRefusedForWhatWasNotOfferedOrDoesNotFit(_ features: UInt64) throws {
        let bench = try VirtioBench(.modernPacked, InvertingDevice())
        bench.driver.write(Offset.status, 3)
        bench.driver.writeFeatures(features)
        bench.driver.write(Offset.status, 0xb)
        #expect(bench.driver.status == 3)
        // The driver may try again with less.
        bench.driver.writeFeatures(Feature.version1)
        bench.driver.write(Offset.status, 0xb)
        #expect(bench.driver.status == 0xb)
    }

    @Test func featuresAreFrozenByFeaturesOK() throws {
        let device = InvertingDevice()
        let bench = try VirtioBench(.modernSplit, device)
        bench.driver.negotiate(Feature.version1 | 1)
        bench.driver.writeFeatures(Feature.version1)
        #expect(device.core?.features == Feature.version1 | 1)
    }

    @Test(arguments: VirtioSetup.allCases)
    func statusZeroResetsEverything(_ setup: VirtioSetup) throws {
        let device = InvertingDevice()
        let bench = try VirtioBench(setup, device)
        bench.driver.start()
        bench.driver.queues[0]!.add([bench.driver.readable([1]), bench.driver.writable(1)])
        bench.driver.queues[0]!.kick()
        #expect(bench.interrupted)
        bench.driver.write(Offset.status, 0)
        #expect(!bench.interrupted)
        #expect(bench.driver.read(Offset.interruptStatus) == 0)
        #expect(device.resets == 2)  // once by `start`
        bench.driver.write(Offset.queueSelect, 0)
        #expect(bench.driver.read(setup.isLegacy ? Offset.queuePFN : Offset.queueReady) == 0)
    }

    @Test(arguments: VirtioSetup.allCases)
    func interruptStaysUntilAcknowledged(_ setup: VirtioSetup) throws {
        let bench = try VirtioBench(setup, InvertingDevice())
        bench.driver.start()
        let queue = bench.driver.queues[0]!
        queue.add([bench.driver.writable(1)])
        queue.kick()
        #expect(bench.interrupted)
        #expect(bench.driver.read(Offset.interruptStatus) == 1)
        bench.driver.write(Offset.interruptACK, 2)
        #expect(bench.interrupted)
        bench.driver.write(Offset.interruptACK, 1)
        #expect(!bench.interrupted)
    }

    @Test func unusedSharedMemoryReadsAsAllOnes() throws {
        let bench = try VirtioBench(.modernSplit, InvertingDevice())
        for offset in stride(from: Offset.sharedMemoryLength, through: 0xbc, by: 4) { #expect(bench.driver.read(offset) == .max) }
    }

    @Test func configurationSpaceTakesAllWidthsAndControlRegistersOnlyWords() throws {
        let bench = try VirtioBench(.modernSplit, InvertingDevice())
        #expect(bench.driver.config(1, size: 1) == 2)
        #expect(bench.driver.config(2, size: 2) == 0x0403)
        #expect(bench.driver.config(4, size: 4) == 0x0807_0605)
        #expect(bench.driver.config(8, size: 8) == 0x100f_0e0d_0c0b_0a09)
        #expect(bench.driver.config(0xf8, size: 8) == 0)
        #expect(bench.slot.read(Offset.magic, size: 1) == 0)
        bench.slot.write(Offset.status, 1, size: 1)
        #expect(bench.driver.status == 0)
    }

    @Test(arguments: VirtioSetup.allCases)
    func configurationChangeInterruptsAReadyDriverAndChangesTheGeneration(_ setup: VirtioSetup) throws {
        let device = InvertingDevice()
        let bench = try VirtioBench(setup, device)
        bench.driver.negotiate()
        device.core?.configChanged()
        #expect(!bench.interrupted)
        bench.driver.ready()
        let before = bench.driver.read(Offset.configGeneration)
        device.core?.configChanged()
        #expect(bench.driver.read(Offset.interruptStatus) == 2)
        if !setup.isLegacy { #expect(bench.driver.read(Offset.configGeneration) != before) }
    }

    @Test func modernDriverIsNotServedBeforeDriverOKAndServedThenWithoutANotification() throws {
        let device = InvertingDevice()
        let bench = try VirtioBench(.modernSplit, device)
        bench.driver.negotiate()
        let queue = bench.driver.setUpQueue(0, size: 8)
        queue.add([bench.driver.writable(1)])
        queue.notify()
        #expect(device.state.served == 0)
        bench.driver.ready()
        #expect(device.state.served == 1)
    }

    @Test(arguments: VirtioSetup.allCases)
    func failedDeviceIsLeftAlone(_ setup: VirtioSetup) throws {
        let device = InvertingDevice()
        let bench = try VirtioBench(setup, device)
        bench.driver.start()
        bench.driver.write(Offset.status, bench.driver.status | 128)
        bench.driver.queues[0]!.add([bench.driver.writable(1)])
        bench.driver.queues[0]!.notify()
        #expect(device.state.served == 0)
    }

    @Test func queueInUseCannotBeMoved() throws {
        let bench = try VirtioBench(.modernSplit, InvertingDevice())
        bench.driver.start()
        bench.driver.write(Offset.queueSelect, 0)
        bench.driver.write(Offset.descriptorArea, 0xdead_0000)
        bench.driver.queues[0]!.add([bench.driver.writable(1)])
        bench.driver.queues[0]!.kick()
        #expect(bench.driver.queues[0]!.used().count == 1)
    }

    @Test func queueResetLetsTheDriverStartTheQueueAfresh() throws {
        let bench = try VirtioBench(.modernSplit, InvertingDevice())
        bench.driver.start()
        bench.driver.queues[0]!.add([bench.driver.writable(1)])
        bench.driver.queues[0]!.kick()
        bench.driver.write(Offset.queueSelect, 0)
        bench.driver.write(Offset.queueReset, 1)
        #expect(bench.driver.read(Offset.queueReset) == 0)
        #expect(bench.driver.read(Offset.queueReady) == 0)
        let fresh = bench.driver.setUpQueue(0, size: 4)
        fresh.add([bench.driver.writable(1)])
        fresh.kick()
        #expect(fresh.used().count == 1)
        #expect(!bench.needsReset)
    }

    @Test(arguments: VirtioSetup.allCases)
    func queueThatDoesNotExistHasNoSize(_ setup: VirtioSetup) throws {
        let bench = try VirtioBench(setup, InvertingDevice())
        bench.driver.start()
        for index: UInt32 in [1, 64, .max] {
            bench.driver.write(Offset.queueSelect, index)
            #expect(bench.driver.read(Offset.queueSizeMax) == 0)
            bench.driver.write(Offset.queueReady, 1)
            bench.driver.write(Offset.queueNotify, index)
        }
        #expect(!bench.needsReset)
    }

    @Test func deviceTreeNodeDescribesTheSlot() {
        let node = VirtioMMIO.fdtNode(base: 0x1000_3000, interrupts: [3], interruptParent: 9)
        #expect(node.name == "virtio_mmio@10003000")
        #expect(node["compatible"] == Array("virtio,mmio\0".utf8))
        #expect(node["reg"] == [0, 0, 0, 0, 0x10, 0, 0x30, 0, 0, 0, 0, 0, 0, 0, 0x10, 0])
        #expect(node["interrupts"] == [0, 0, 0, 3])
    }

    @Test(arguments: VirtioSetup.allCases)
    func savedStateContinuesWhereItWasTaken(_ setup: VirtioSetup) throws {
        let first = try VirtioBench(setup, InvertingDevice())
        first.driver.start()
        let queue = first.driver.queues[0]!
        queue.add([first.driver.readable([1, 2]), first.driver.writable(2)])
        queue.kick()
        let saved = try first.transport.encodedState()
        #expect(try first.transport.encodedState() == saved)

        let device = InvertingDevice()
        let second = try VirtioBench(setup, device)
        // The machine's RAM is saved elsewhere: copy it.
        second.driver.store(VirtioBench.ramBase, first.driver.load(VirtioBench.ramBase, Int(VirtioBench.ramSize)))
        try second.transport.restoreState(from: saved)
        #expect(second.interrupted)
        #expect(device.state.served == 1)
        #expect(try second.transport.encodedState() == saved)

        let output = first.driver.writable(2)
        queue.add([first.driver.readable([3, 4]), output])
        second.driver.store(VirtioBench.ramBase, first.driver.load(VirtioBench.ramBase, Int(VirtioBench.ramSize)))
        second.driver.write(Offset.queueNotify, 0)
        #expect(second.driver.load(output.address, 2) == [0xfc, 0xfb])
    }

    @Test(arguments: VirtioSetup.allCases, 0..<4)
    func randomRegisterAccessesNeverHurtTheHost(_ setup: VirtioSetup, kind: Int) throws {
        let file = try TemporaryFile(sectors: 8)
        let device: any VirtioDevice = switch kind {
        case 0: try VirtioBlock(name: "device", disk: RawImage(path: file.path))
        case 1: VirtioNet(name: "device", backend: Wire(), mac: MACAddress(index: 0))
        case 2: VirtioConsole(name: "device", ports: [VirtioConsolePort(isConsole: true, backend: BufferedConsole())])
        default: VirtioEntropy(name: "device", source: .seeded(1))
        }
        let bench = try VirtioBench(setup, device)
        var random = SplitMix(seed: UInt64(kind))
        // Values that make sense somewhere come often, so that queues get going now and then.
        let values: [UInt64] = [0, 1, 2, 3, 4, 7, 8, 0xb, 0xf, 16, 4096, VirtioBench.ramBase >> 12, VirtioBench.ramBase, VirtioBench.ramBase + 0x1000]
        for _ in 0..<20_000 {
            let size = 1 << Int(random.next() % 4)
            let offset = (random.next() % 2 == 0 ? random.next() % 0x108 : random.next() % VirtioMMIO.decodedSize) & ~UInt64(size - 1)
            if random.next() % 3 == 0 {
                _ = bench.slot.read(offset, size: size)
            } else {
                let value = random.next() % 4 == 0 ? random.next() : values[Int(random.next() % UInt64(values.count))]
                bench.slot.write(offset, value, size: size)
            }
        }
        bench.runEvents()
        let saved = try bench.transport.encodedState()
        try bench.transport.restoreState(from: saved)
        #expect(try bench.transport.encodedState() == saved)
        bench.driver.start()
        #expect(!bench.needsReset)
    }

    @Test func impossibleSavedQueueBreaksTheDeviceInsteadOfTheHost() throws {
        let bench = try VirtioBench(.modernPacked, InvertingDevice())
        bench.driver.start()
        var text = String(decoding: try bench.transport.encodedState(), as: UTF8.self)
        text.replace("\"nextAvailable\":0", with: "\"nextAvailable\":65535")
        try bench.transport.restoreState(from: Data(text.utf8))
        bench.driver.write(Offset.queueNotify, 0)
        #expect(bench.needsReset)
    }
}
