import EmuBus
import EmuDevices
import Foundation
import TestSupport
import Testing

/// Every virtio device, with a driver that makes up requests and destroys its rings.
@Suite struct VirtioFuzzTargets {
    enum Kind: String, CaseIterable {
        case block, scsi, net, console, entropy, balloon, folder, vsock, keyboard, tablet, gpu
    }

    private static let ram: UInt64 = 0x8000_0000

    /// The device, and what must live as long.
    private func make(_ kind: Kind, _ events: EventQueue, _ folder: URL) throws -> (device: any VirtioDevice, keep: [AnyObject]) {
        switch kind {
        case .block: return (VirtioBlock(name: "d", disk: NotedDisk(sectors: 128), serial: "s", queues: 2), [])
        case .scsi:
            let units: [VirtioSCSI.Address: SCSIUnit] = [
                .init(target: 0, unit: 0): SCSIUnit(.disk, disk: NotedDisk(sectors: 128)), .init(target: 1, unit: 0): SCSIUnit(.cdrom, disk: NotedDisk(sectors: 128)),
            ]
            return (VirtioSCSI(name: "d", units: units), [])
        case .net:
            let wire = Wire()
            return (VirtioNet(name: "d", backend: wire, mac: MACAddress(index: 0), mtu: 1500, queuePairs: 2), [wire])
        case .console: return (VirtioConsole(name: "d", ports: [VirtioConsolePort(name: "p", isConsole: true, backend: nil)], maximumPorts: 3), [])
        case .entropy: return (VirtioEntropy(name: "d", source: .seeded(1)), [])
        case .balloon:
            var options = VirtioBalloon.Options()
            (options.reportsFreePages, options.deflatesWhenOutOfMemory) = (true, true)
            return (VirtioBalloon(name: "d", memorySize: 4 << 20, events: events, options: options), [])
        case .folder:
            return (VirtioNineP(name: "d", folder: try SharedFolder(path: folder.path, isReadOnly: false, ownership: .none), tag: "t"), [])
        case .vsock: return (try VirtioVsock(name: "d", guestCID: 3, path: folder.appending(path: "v").path), [])
        case .keyboard: return (VirtioInput(name: "d", kind: .keyboard, events: events), [])
        case .tablet: return (VirtioInput(name: "d", kind: .tablet, events: events), [])
        case .gpu: return (VirtioGPU(name: "d", width: 64, height: 64), [])
        }
    }

    /// First words that mean something to the device.
    private func operation(_ kind: Kind, _ random: inout SplitMix) -> [UInt8] {
        let word: UInt32
        switch kind {
        case .block: word = random.pick([0, 1, 4, 8, 11, 13, 14])
        case .gpu: word = 0x100 + UInt32(random.below(12))
        case .folder:
            // Size, type, tag.
            let types: [UInt8] = [6, 8, 12, 14, 16, 18, 22, 24, 26, 30, 32, 40, 50, 52, 54, 70, 72, 74, 76, 100, 104, 108, 110, 116, 118, 120, 122]
            return [UInt8(random.below(120)), 0, 0, 0, random.pick(types), 1, 0]
        default: word = UInt32(random.below(8))
        }
        return withUnsafeBytes(of: word.littleEndian) { Array($0) }
    }

    /// Small numbers, addresses and noise.
    private func words(_ random: inout SplitMix) -> [UInt8] {
        (0..<random.below(24)).flatMap { _ in
            let word = random.pick([0, 1, UInt64(random.below(8)), Self.ram + UInt64(random.below(4 << 20)), random.extreme()])
            return withUnsafeBytes(of: word.littleEndian) { Array($0.prefix(random.pick([1, 2, 4, 8]))) }
        }
    }

    @Test(arguments: Kind.allCases) func virtio(kind: Kind) throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "fuzz-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try Fuzzing.run("virtio(\(kind))", cases: 12) { random in
            let space = AddressSpace(), events = EventQueue(mode: .virtual), interrupts = InterruptRecorder()
            try space.map(GuestRAM(base: Self.ram, size: 4 << 20), name: "ram")
            let (device, keep) = try make(kind, events, folder)
            let transport = VirtioMMIO(
                name: "mmio", device: device, memory: space, events: events, line: InterruptLine(interrupts, 0), isLegacy: random.below(4) == 0,
                options: VirtioOptions(packed: random.below(3) == 0))
            let driver = VirtioMockDriver(transport, space, heap: Self.ram + 0x10_0000)
            driver.start(random.below(2) == 0 ? .max : random.next() | VirtioMockDriver.Feature.version1, queueCount: min(device.queueSizes.count, 5), size: 16)
            for _ in 0..<24 { step(kind, driver, events, &random) }
            for queue in driver.queues.values {
                for _ in 0..<4 {
                    driver.store(queue.areas.descriptors + UInt64(random.below(256)), words(&random))
                    driver.store(queue.areas.driver + UInt64(random.below(36)), random.bytes(4))
                    queue.notify()
                }
            }
            events.run(to: events.now + 1_000_000)
            let saved = try transport.encodedState()
            driver.write(VirtioMockDriver.Offset.status, 0)
            try transport.restoreState(from: saved)
            withExtendedLifetime((keep, interrupts)) {}
        }
    }

    private func step(_ kind: Kind, _ driver: VirtioMockDriver, _ events: EventQueue, _ random: inout SplitMix) {
        switch random.below(12) {
        case 0: driver.write(random.pick([0x14, 0x24, 0x30, 0x38, 0x44, 0x50, 0x64, 0x70, 0xc0, 0x100, 0x104, 0x108]), UInt32(truncatingIfNeeded: random.extreme()))
        case 1: events.run(to: events.now + UInt64(random.below(100_000)))
        default:
            guard let queue = driver.queues[random.below(driver.queues.count)] else { return }
            _ = queue.used()
            // As many descriptors as are sure to be free.
            guard driver.heapMark < Self.ram + 0x30_0000, queue.freeSlots >= 4 else { return }
            var buffers = [driver.readable(operation(kind, &random) + words(&random))]
            if random.below(2) == 0 { buffers.append(driver.readable(words(&random) + [0])) }
            for _ in 0..<random.below(3) { buffers.append(driver.writable(random.pick([1, 4, 12, 36, 512, 4096]))) }
            if random.below(8) == 0 { buffers.append(MockBuffer(random.extreme(), random.below(1 << 20) + 1, isWritable: true)) }
            queue.add(buffers.suffix(4), indirect: random.below(4) == 0)
            queue.notify()
        }
    }
}
