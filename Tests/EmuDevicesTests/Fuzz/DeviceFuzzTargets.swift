import EmuBus
import EmuDevices
import TestSupport
import Testing

/// The other devices a guest programs, and the networks it sends frames to.
@Suite struct DeviceFuzzTargets {
    // MARK: PCI

    @Test func pciConfiguration() throws {
        try Fuzzing.run("pciConfiguration", cases: 20) { random in
            let bench = try PCIBench()
            let port = PCIeRootPort(name: "port", busName: "p", chassis: 0, slot: 1)
            bench.host.root.plug(PCIProbe(), at: PCISlot(device: 1))
            bench.host.root.plug(port, at: PCISlot(device: 2))
            port.secondary.plug(PCIProbe(), at: PCISlot(device: 0))
            bench.host.root.plug(RISCVIOMMU(name: "iommu", memory: bench.space), at: PCISlot(device: 3))
            bench.host.root.plug(VirtioPCI(InvertingDevice(), memory: bench.space, events: bench.events), at: PCISlot(device: 4))
            for _ in 0..<300 {
                let size = random.pick([1, 2, 4]), function = UInt64(random.below(6)) << 15 | UInt64(random.below(8) / 7)
                let offset = random.pick([0, 4, 0x10, 0x18, 0x1c, 0x20, 0x24, 0x3c, UInt64(random.below(0x100)), UInt64(random.below(0x1000))])
                let place = UInt64(random.below(2)) << 20 | function | offset & ~UInt64(size - 1)
                bench.write(PCIBench.ecam + place, random.extreme(), size: size)
                _ = bench.space.readDevice(PCIBench.ecam + place, size: size)
                for window in [PCIBench.io, PCIBench.memory32, PCIBench.memory64] {
                    let address = window + UInt64(random.below(0x8000)) & ~7
                    bench.write(address, random.extreme(), size: random.pick([1, 2, 4]))
                    _ = bench.space.readDevice(address, size: 4)
                }
            }
            bench.host.reset()
        }
    }

    // MARK: NVMe

    @Test func nvme() throws {
        try Fuzzing.run("nvme", cases: 20) { random in
            let bench = try NVMeBench(NotedDisk(sectors: 256), pairs: 3)
            bench.enable()
            bench.createPair(1)
            let memory = bench.pages(16)
            func address(_ random: inout SplitMix) -> UInt64 {
                random.below(6) == 0 ? random.extreme() : memory + UInt64(random.below(16)) << 12 + UInt64(random.below(4) == 0 ? random.below(4096) : 0)
            }
            for _ in 0..<60 {
                bench.fill(memory + UInt64(random.below(16)) << 12, (0..<8).flatMap { _ in
                    let entry = address(&random)
                    return withUnsafeBytes(of: entry.littleEndian) { Array($0) }
                })
                let queue = random.below(2)
                let words = (0..<6).map { _ in UInt32(truncatingIfNeeded: random.below(3) == 0 ? random.extreme() : UInt64(random.below(16))) }
                let opcode = queue == 0 ? random.pick([0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 0x80]) : random.pick([0, 1, 2, 4, 5, 8, 9] as [UInt8])
                bench.add(queue, opcode, namespace: UInt32(random.below(3)), prp1: address(&random), prp2: address(&random), words, flags: random.below(8) == 0 ? 0x40 : 0)
                bench.ring(queue)
                _ = bench.completions(queue)
                if random.below(10) == 0 { bench.write(UInt64(random.below(0x1100)) & ~3, random.extreme(), size: random.pick([4, 8])) }
                guard bench.isReady, bench.pairs[1] != nil else { break }
            }
            let saved = try bench.controller.encodedState()
            try bench.controller.restoreState(from: saved)
        }
    }

    // MARK: IOMMU

    @Test func iommu() throws {
        try Fuzzing.run("iommu", cases: 20) { random in
            let bench = try IOMMUBench()
            bench.startQueues()
            bench.start(levels: 1 + random.below(3))
            let pages = (0..<8).map { _ in bench.pages() }
            func field(_ random: inout SplitMix) -> UInt64 {
                let page = random.pick(pages)
                return random.pick([
                    IOMMUBench.pageNumber(page) | IOMMUBench.all, IOMMUBench.pageNumber(page) | 1, UInt64(8 + random.below(4)) << 60 | page >> 12, UInt64(1 + random.below(3)) << 60 | page >> 12,
                    random.extreme(), page,
                ])
            }
            for _ in 0..<200 {
                switch random.below(8) {
                case 0: bench.store(random.pick(pages) + UInt64(random.below(8)) * 8, field(&random))
                case 1: bench.store(bench.root + UInt64(random.below(16)) * 8, field(&random))
                case 2:
                    bench.setContext(
                        UInt64(random.below(4)), control: random.pick([1, 0x21, 0x221, 0x181, random.extreme()]), second: field(&random), attributes: 0, first: field(&random),
                        messages: (field(&random), random.extreme(), random.extreme()))
                case 3: bench.put(UInt64(random.below(0x410)) & ~7, random.extreme(), size: random.pick([4, 8]))
                case 4: bench.run(UInt64(1 + random.below(4)) | random.extreme() << 7, random.extreme())
                default:
                    _ = bench.translate(
                        random.extreme(), device: UInt64(random.below(5)), random.pick(IOMMUBench.Access.allCases), process: random.below(3) == 0 ? random.extreme() & 0xf_ffff : nil)
                }
                bench.put(72, 0x703, size: 4)
                bench.put(76, 0x303, size: 4)
            }
        }
    }

    // MARK: Flash and fw_cfg

    @Test func flash() throws {
        let bus = AddressSpace()
        let contents = try GuestRAM(base: 0x2000_0000, size: PFlash.size)
        let flash = PFlash(name: "pflash0", bus: bus, contents: contents, image: nil)
        try bus.map(flash, at: 0x2000_0000, size: PFlash.size, sizes: PFlash.accessSizes, code: contents)
        try Fuzzing.run("flash", cases: 20) { random in
            for _ in 0..<400 {
                let command = random.pick([0x10, 0x20, 0x28, 0x40, 0x50, 0x60, 0x70, 0x90, 0x98, 0xd0, 0xe8, 0xff, UInt64(random.below(256))])
                let value = random.below(3) == 0 ? random.extreme() : command << 16 | command
                let address = 0x2000_0000 + (random.below(2) == 0 ? UInt64(random.below(0x8_0000)) : random.next() % PFlash.size) & ~7
                _ = bus.writeDevice(address, value, size: random.pick([1, 2, 4, 8]))
                _ = bus.readDevice(address, size: 4)
            }
            try flash.restoreState(from: flash.encodedState())
        }
    }

    @Test func firmwareConfiguration() throws {
        try Fuzzing.run("firmwareConfiguration", cases: 20) { random in
            let bus = AddressSpace()
            try bus.map(GuestRAM(base: 0x8000_0000, size: 1 << 20), name: "ram")
            let device = FwCfg(bus: bus)
            device.set(FwCfg.Key.cpuCount, random.bytes(random.below(200)))
            for _ in 0..<200 {
                // Control, length and address, big-endian.
                let control = UInt32(random.below(64)) | UInt32(random.pick([0, 5, 0x19, 0x20, 0xffff])) << 16
                let length = UInt32(truncatingIfNeeded: random.extreme()), address = random.below(2) == 0 ? 0x8000_0000 + UInt64(random.below(1 << 20)) : random.extreme()
                _ = bus.storeMemory(0x8000_1000, control.byteSwapped)
                _ = bus.storeMemory(0x8000_1004, length.byteSwapped)
                _ = bus.storeMemory(0x8000_1008, address.byteSwapped)
                device.write(16, (random.below(4) == 0 ? random.extreme() : 0x8000_1000).byteSwapped, size: 8)
                device.write(8, random.extreme(), size: 2)
                _ = device.read(0, size: random.pick([1, 2, 4, 8]))
            }
        }
    }

    // MARK: Networks

    /// Frames a guest sends: ARP, DHCP, DNS and TFTP over UDP, TCP, ICMP, IPv6's neighbour solicitation.
    private static let frames: [[UInt8]] = {
        let ethernet: [UInt8] = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x52, 0x54, 0, 0x12, 0x34, 0x56]
        func ip(_ kind: UInt8, _ target: [UInt8], _ payload: [UInt8]) -> [UInt8] {
            let length = 20 + payload.count
            var header: [UInt8] = [0x45, 0, UInt8(length >> 8), UInt8(length & 255), 0, 1, 0, 0, 64, kind, 0, 0, 10, 0, 2, 15] + target
            var sum: UInt32 = stride(from: 0, to: 20, by: 2).reduce(0) { $0 + UInt32(header[$1]) << 8 + UInt32(header[$1 + 1]) }
            sum = (sum & 0xffff) + sum >> 16
            header[10] = UInt8(~sum >> 8 & 255)
            header[11] = UInt8(~sum & 255)
            return ethernet + [8, 0] + header + payload
        }
        func udp(_ port: Int, _ payload: [UInt8]) -> [UInt8] {
            [0, 68, UInt8(port >> 8), UInt8(port & 255), UInt8((8 + payload.count) >> 8), UInt8((8 + payload.count) & 255), 0, 0] + payload
        }
        let dhcp: [UInt8] = [1, 1, 6, 0, 1, 2, 3, 4] + Array(repeating: 0, count: 228) + [99, 130, 83, 99, 53, 1, 1, 55, 2, 3, 6, 255]
        let dns: [UInt8] = [0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 97, 0, 0, 1, 0, 1]
        return [
            ethernet + [8, 6, 0, 1, 8, 0, 6, 4, 0, 1, 0x52, 0x54, 0, 0x12, 0x34, 0x56, 10, 0, 2, 15, 0, 0, 0, 0, 0, 0, 10, 0, 2, 2],
            ip(17, [255, 255, 255, 255], udp(67, dhcp)), ip(17, [10, 0, 2, 3], udp(53, dns)), ip(17, [10, 0, 2, 2], udp(69, [0, 1] + Array("file\0octet\0blksize\0512\0".utf8))),
            ip(6, [10, 0, 2, 2], [0, 80, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 255, 255, 0, 0, 0, 0]), ip(1, [10, 0, 2, 2], [8, 0, 0xf7, 0xfe, 0, 1, 0, 0]),
            ethernet + [0x86, 0xdd, 0x60, 0, 0, 0, 0, 24, 58, 255] + Array(repeating: 0xfe, count: 32) + [135, 0, 0, 0, 0, 0, 0, 0] + Array(repeating: 0xfe, count: 16),
        ]
    }()

    /// What the card makes of frames, and the user network, which may reach nothing outside.
    @Test func frames() throws {
        try Fuzzing.run("frames", cases: 20) { random in
            let events = EventQueue(mode: .virtual)
            var configuration = SlirpConfiguration()
            configuration.isRestricted = true
            let network = try SlirpBackend(configuration, events: events)
            for _ in 0..<40 {
                let frame = random.mutated(random.pick(Self.frames))
                frame.withUnsafeBytes { network.send($0) }
                events.run(to: events.now + UInt64(random.below(1 << 28)))
            }
        }
    }
}
