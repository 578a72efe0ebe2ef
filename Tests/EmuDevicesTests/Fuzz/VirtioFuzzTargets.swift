import EmuBus
import EmuDevices
import TestSupport
import Testing

/// Every virtio device, with a driver that makes up requests and destroys its rings.
@Suite struct VirtioFuzzTargets {
    enum Kind: String, CaseIterable {
        case block, scsi, net, console, entropy, balloon, folder, vsock, keyboard, tablet, gpu
    }

    private static let ram: UInt64 = 0x8000_0000

    /// The device, and what must live as long.
    private func make(_ kind: Kind, _ events: EventQueue, _ folder: FuzzFolder) throws -> (device: any VirtioDevice, keep: [AnyObject]) {
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
        case .vsock: return (try VirtioVsock(name: "d", guestCID: 3, path: folder.file("v")), [])
        case .keyboard: return (VirtioInput(name: "d", kind: .keyboard, events: events), [])
        case .tablet: return (VirtioInput(name: "d", kind: .tablet, events: events), [])
        case .gpu: return (VirtioGPU(name: "d", width: 64, height: 64), [])
        }
    }

    /// First words that mean something to the device.
    private func operation(_ kind: Kind, _ input: inout FuzzInput) -> [UInt8] {
        let word: UInt32
        switch kind {
        case .block: word = input.pick([0, 1, 4, 8, 11, 13, 14])
        case .gpu: word = 0x100 + UInt32(input.below(12))
        case .folder:
            // Size, type, tag.
            let types: [UInt8] = [6, 8, 12, 14, 16, 18, 22, 24, 26, 30, 32, 40, 50, 52, 54, 70, 72, 74, 76, 100, 104, 108, 110, 116, 118, 120, 122]
            return [UInt8(input.below(120)), 0, 0, 0, input.pick(types), 1, 0]
        default: word = UInt32(input.below(8))
        }
        return withUnsafeBytes(of: word.littleEndian) { Array($0) }
    }

    /// Small numbers, addresses and noise.
    private func words(_ input: inout FuzzInput) -> [UInt8] {
        (0..<input.below(24)).flatMap { _ in
            let word = input.pick([0, 1, UInt64(input.below(8)), Self.ram + UInt64(input.below(4 << 20)), input.extreme()])
            return withUnsafeBytes(of: word.littleEndian) { Array($0.prefix(input.pick([1, 2, 4, 8]))) }
        }
    }

    @Test(arguments: Kind.allCases) func virtio(kind: Kind) throws {
        try FuzzFolder.each("virtio-\(kind)", cases: 12) { input, folder in
            let space = AddressSpace(), events = EventQueue(mode: .virtual), interrupts = InterruptRecorder()
            try space.map(GuestRAM(base: Self.ram, size: 4 << 20), name: "ram")
            let (device, keep) = try make(kind, events, folder)
            let transport = VirtioMMIO(
                name: "mmio", device: device, memory: space, events: events, line: InterruptLine(interrupts, 0), isLegacy: input.below(4) == 0,
                options: VirtioOptions(packed: input.below(3) == 0))
            let driver = VirtioMockDriver(transport, space, heap: Self.ram + 0x10_0000)
            driver.start(input.below(2) == 0 ? .max : input.next() | VirtioMockDriver.Feature.version1, queueCount: min(device.queueSizes.count, 5), size: 16)
            for _ in 0..<24 where input.hasMore { step(kind, driver, events, &input) }
            for queue in driver.queues.values {
                for _ in 0..<4 {
                    driver.store(queue.areas.descriptors + UInt64(input.below(256)), words(&input))
                    driver.store(queue.areas.driver + UInt64(input.below(36)), input.bytes(4))
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

    private func step(_ kind: Kind, _ driver: VirtioMockDriver, _ events: EventQueue, _ input: inout FuzzInput) {
        switch input.below(12) {
        case 0: driver.write(input.pick([0x14, 0x24, 0x30, 0x38, 0x44, 0x50, 0x64, 0x70, 0xc0, 0x100, 0x104, 0x108]), UInt32(truncatingIfNeeded: input.extreme()))
        case 1: events.run(to: events.now + UInt64(input.below(100_000)))
        default:
            guard let queue = driver.queues[input.below(driver.queues.count)] else { return }
            _ = queue.used()
            // As many descriptors as are sure to be free.
            guard driver.heapMark < Self.ram + 0x30_0000, queue.freeSlots >= 4 else { return }
            var buffers = [driver.readable(operation(kind, &input) + words(&input))]
            if input.below(2) == 0 { buffers.append(driver.readable(words(&input) + [0])) }
            for _ in 0..<input.below(3) { buffers.append(driver.writable(input.pick([1, 4, 12, 36, 512, 4096]))) }
            if input.below(8) == 0 { buffers.append(MockBuffer(input.extreme(), input.below(1 << 20) + 1, isWritable: true)) }
            queue.add(buffers.suffix(4), indirect: input.below(4) == 0)
            queue.notify()
        }
    }
}
