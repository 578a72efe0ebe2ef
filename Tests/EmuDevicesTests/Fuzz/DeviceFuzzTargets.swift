import EmuBus
import EmuDevices
import TestSupport
import Testing

/// Devices on buses, flash memory and fw_cfg, whose drivers write anything anywhere.
@Suite struct DeviceFuzzTargets {
    // MARK: PCI

    @Test func pciConfiguration() throws {
        try Fuzzing.run("pci", cases: 20) { input in
            let bench = try PCIBench()
            let port = PCIeRootPort(name: "port", busName: "p", chassis: 0, slot: 1)
            bench.host.root.plug(PCIProbe(), at: PCISlot(device: 1))
            bench.host.root.plug(port, at: PCISlot(device: 2))
            port.secondary.plug(PCIProbe(), at: PCISlot(device: 0))
            bench.host.root.plug(RISCVIOMMU(name: "iommu", memory: bench.space), at: PCISlot(device: 3))
            bench.host.root.plug(VirtioPCI(InvertingDevice(), memory: bench.space, events: bench.events), at: PCISlot(device: 4))
            for _ in 0..<300 where input.hasMore {
                let size = input.pick([1, 2, 4]), function = UInt64(input.below(6)) << 15 | UInt64(input.below(8) / 7)
                let offset = input.pick([0, 4, 0x10, 0x18, 0x1c, 0x20, 0x24, 0x3c, UInt64(input.below(0x100)), UInt64(input.below(0x1000))])
                let place = UInt64(input.below(2)) << 20 | function | offset & ~UInt64(size - 1)
                bench.write(PCIBench.ecam + place, input.extreme(), size: size)
                _ = bench.space.readDevice(PCIBench.ecam + place, size: size)
                for window in [PCIBench.io, PCIBench.memory32, PCIBench.memory64] {
                    let address = window + UInt64(input.below(0x8000)) & ~7
                    bench.write(address, input.extreme(), size: input.pick([1, 2, 4]))
                    _ = bench.space.readDevice(address, size: 4)
                }
            }
            bench.host.reset()
        }
    }

    // MARK: NVMe

    @Test func nvme() throws {
        try Fuzzing.run("nvme", cases: 20) { input in
            let bench = try NVMeBench(NotedDisk(sectors: 256), pairs: 3)
            bench.enable()
            bench.createPair(1)
            let memory = bench.pages(16)
            func address(_ input: inout FuzzInput) -> UInt64 {
                input.below(6) == 0 ? input.extreme() : memory + UInt64(input.below(16)) << 12 + UInt64(input.below(4) == 0 ? input.below(4096) : 0)
            }
            for _ in 0..<60 where input.hasMore {
                bench.fill(memory + UInt64(input.below(16)) << 12, (0..<8).flatMap { _ in
                    let entry = address(&input)
                    return withUnsafeBytes(of: entry.littleEndian) { Array($0) }
                })
                let queue = input.below(2)
                let words = (0..<6).map { _ in UInt32(truncatingIfNeeded: input.below(3) == 0 ? input.extreme() : UInt64(input.below(16))) }
                let opcode = queue == 0 ? input.pick([0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 0x80]) : input.pick([0, 1, 2, 4, 5, 8, 9] as [UInt8])
                bench.add(queue, opcode, namespace: UInt32(input.below(3)), prp1: address(&input), prp2: address(&input), words, flags: input.below(8) == 0 ? 0x40 : 0)
                bench.ring(queue)
                _ = bench.completions(queue)
                if input.below(10) == 0 { bench.write(UInt64(input.below(0x1100)) & ~3, input.extreme(), size: input.pick([4, 8])) }
                guard bench.isReady, bench.pairs[1] != nil else { break }
            }
            let saved = try bench.controller.encodedState()
            try bench.controller.restoreState(from: saved)
        }
    }

    // MARK: IOMMU

    @Test func iommu() throws {
        try Fuzzing.run("iommu", cases: 20) { input in
            let bench = try IOMMUBench()
            bench.startQueues()
            bench.start(levels: 1 + input.below(3))
            let pages = (0..<8).map { _ in bench.pages() }
            func field(_ input: inout FuzzInput) -> UInt64 {
                let page = input.pick(pages)
                return input.pick([
                    IOMMUBench.pageNumber(page) | IOMMUBench.all, IOMMUBench.pageNumber(page) | 1, UInt64(8 + input.below(4)) << 60 | page >> 12, UInt64(1 + input.below(3)) << 60 | page >> 12,
                    input.extreme(), page,
                ])
            }
            for _ in 0..<200 where input.hasMore {
                switch input.below(8) {
                case 0: bench.store(input.pick(pages) + UInt64(input.below(8)) * 8, field(&input))
                case 1: bench.store(bench.root + UInt64(input.below(16)) * 8, field(&input))
                case 2:
                    bench.setContext(
                        UInt64(input.below(4)), control: input.pick([1, 0x21, 0x221, 0x181, input.extreme()]), second: field(&input), attributes: 0, first: field(&input),
                        messages: (field(&input), input.extreme(), input.extreme()))
                case 3: bench.put(UInt64(input.below(0x410)) & ~7, input.extreme(), size: input.pick([4, 8]))
                case 4: bench.run(UInt64(1 + input.below(4)) | input.extreme() << 7, input.extreme())
                default:
                    _ = bench.translate(
                        input.extreme(), device: UInt64(input.below(5)), input.pick(IOMMUBench.Access.allCases), process: input.below(3) == 0 ? input.extreme() & 0xf_ffff : nil)
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
        try Fuzzing.run("flash", cases: 20) { input in
            for _ in 0..<400 where input.hasMore {
                let command = input.pick([0x10, 0x20, 0x28, 0x40, 0x50, 0x60, 0x70, 0x90, 0x98, 0xd0, 0xe8, 0xff, UInt64(input.below(256))])
                let value = input.below(3) == 0 ? input.extreme() : command << 16 | command
                let address = 0x2000_0000 + (input.below(2) == 0 ? UInt64(input.below(0x8_0000)) : input.next() % PFlash.size) & ~7
                _ = bus.writeDevice(address, value, size: input.pick([1, 2, 4, 8]))
                _ = bus.readDevice(address, size: 4)
            }
            try flash.restoreState(from: flash.encodedState())
        }
    }

    @Test func firmwareConfiguration() throws {
        try Fuzzing.run("fw-cfg", cases: 20) { input in
            let bus = AddressSpace()
            try bus.map(GuestRAM(base: 0x8000_0000, size: 1 << 20), name: "ram")
            let device = FwCfg(bus: bus)
            device.set(FwCfg.Key.cpuCount, input.bytes(input.below(200)))
            for _ in 0..<200 where input.hasMore {
                // Control, length and address, big-endian.
                let control = UInt32(input.below(64)) | UInt32(input.pick([0, 5, 0x19, 0x20, 0xffff])) << 16
                let length = UInt32(truncatingIfNeeded: input.extreme()), address = input.below(2) == 0 ? 0x8000_0000 + UInt64(input.below(1 << 20)) : input.extreme()
                _ = bus.storeMemory(0x8000_1000, control.byteSwapped)
                _ = bus.storeMemory(0x8000_1004, length.byteSwapped)
                _ = bus.storeMemory(0x8000_1008, address.byteSwapped)
                device.write(16, (input.below(4) == 0 ? input.extreme() : 0x8000_1000).byteSwapped, size: 8)
                device.write(8, input.extreme(), size: 2)
                _ = device.read(0, size: input.pick([1, 2, 4, 8]))
            }
        }
    }
}
