import EmuBus
import EmuDevices
import Testing
import TestSupport

/// What holds for every platform device: no access can crash the host, and a restored copy behaves as the original.
@Suite struct DeviceRobustnessTests {
    /// One device on its own bus with its own clock and interrupt inputs.
    private struct Bench<Device: MMIODevice & Saveable> {
        let events = EventQueue(mode: .virtual)
        let sink = InterruptRecorder()
        let bus = AddressSpace()
        let device: Device

        init(size: UInt64, sizes: AccessSizes, _ make: (EventQueue, InterruptRecorder, AddressSpace) -> Device) throws {
            device = make(events, sink, bus)
            try bus.map(device, at: 0x1000_0000, size: size, sizes: sizes)
            try bus.map(GuestRAM(base: 0x8000_0000, size: 0x1000), name: "ram")
        }
    }

    private static let values: [UInt64] = [0, 1, 2, 7, 0x10, 0x41, 0x80, 0xFF, 0x7FFF_FFFF, 0xFFFF_FFFF, 1 << 63, .max, 0x8000_0100, 0x0001_0080_0000_0000]

    /// Drives two benches with the same random accesses and events, the second from a copy of the first's state,
    /// and compares everything the guest can see. Half the accesses go to the 64 bytes from one of the `hot` offsets.
    private func exercise<Device: MMIODevice & Saveable>(
        size: UInt64, sizes: AccessSizes, hot: [UInt64] = [0], seed: UInt64, _ make: (EventQueue, InterruptRecorder, AddressSpace) -> Device,
        stimulus: (Device, UInt64) -> Void = { _, _ in }
    ) throws {
        let first = try Bench(size: size, sizes: sizes, make), second = try Bench(size: size, sizes: sizes, make)
        var random = SplitMix(seed: seed)
        for step in 0..<8000 {
            if step == 4000 {
                second.events.restoreVirtual(now: first.events.virtualNow)
                try transplant(first.device, into: second.device)
                // Memory is not the device's: both start from zeros.
                for offset: UInt64 in stride(from: 0, to: 0x1000, by: 8) { _ = first.bus.storeMemory(0x8000_0000 + offset, UInt64(0)) }
            }
            let width = [1, 2, 4, 8][Int(random.next() % 4)]
            let start = hot[Int(random.next() % UInt64(hot.count))]
            let position = random.next() % 2 == 0 ? start + random.next() % min(size - start, 0x40) : random.next() % size
            let address = 0x1000_0000 + position / UInt64(width) * UInt64(width)
            let value = Self.values[Int(random.next() % UInt64(Self.values.count))]
            let action = random.next() % 8, choice = random.next()
            let benches = step < 4000 ? [first] : [first, second]
            var seen: [UInt64?] = []
            for bench in benches {
                switch action {
                case 0: bench.events.run(to: bench.events.virtualNow + choice % 1_000_000)
                case 1: stimulus(bench.device, choice)
                case 2...4: seen.append(bench.bus.readDevice(address, size: width))
                default: seen.append(bench.bus.writeDevice(address, value, size: width) ? 1 : 0)
                }
            }
            if seen.count == 2 { try #require(seen[0] == seen[1], "step \(step) at \(hex(address))") }
            if step >= 4000 { try #require(first.sink.high == second.sink.high, "step \(step)") }
        }
        #expect(try first.device.encodedState() == second.device.encodedState())
    }

    @Test(arguments: 1...4) func aclint(seed: UInt64) throws {
        try exercise(size: ACLINT.size, sizes: ACLINT.accessSizes, hot: [0, 0x4000, 0xBFF8], seed: seed) { events, sink, _ in ACLINT(events: events, harts: [sink]) }
    }

    @Test(arguments: 1...4) func plic(seed: UInt64) throws {
        try exercise(size: PLIC.size, sizes: PLIC.accessSizes, hot: [0, 0x1000, 0x2000, 0x2080, 0x20_0000, 0x20_1000], seed: seed) { _, sink, _ in
            PLIC(sources: 96, contexts: [InterruptLine(sink, 11), InterruptLine(sink, 9)])
        } stimulus: { plic, choice in
            plic.setInterrupt(Int(choice >> 8 % 100), level: choice & 1 != 0)
        }
    }

    @Test(arguments: 1...4) func uart(seed: UInt64) throws {
        try exercise(size: UART16550.size, sizes: UART16550.accessSizes, seed: seed) { events, sink, _ in
            UART16550(events: events, interrupt: InterruptLine(sink, 10))
        } stimulus: { uart, choice in
            choice % 8 == 0 ? uart.receiveBreak() : uart.receive(Array(repeating: UInt8(choice & 0xFF), count: Int(choice >> 8 % 5)))
        }
    }

    @Test(arguments: 1...4) func rtc(seed: UInt64) throws {
        try exercise(size: GoldfishRTC.size, sizes: GoldfishRTC.accessSizes, seed: seed) { events, sink, _ in
            GoldfishRTC(events: events, interrupt: InterruptLine(sink, 11), wallClock: GoldfishRTC.virtualClock(events, epoch: 1 << 60))
        }
    }

    @Test(arguments: 1...4) func fwCfg(seed: UInt64) throws {
        try exercise(size: FwCfg.size, sizes: FwCfg.accessSizes, seed: seed) { _, _, bus in
            let device = FwCfg(bus: bus)
            device.set(FwCfg.Key.cpuCount, Array(0...255))
            return device
        }
    }

    @Test(arguments: 1...4) func htif(seed: UInt64) throws {
        try exercise(size: HTIF.size, sizes: HTIF.accessSizes, seed: seed) { _, _, bus in
            HTIF(bus: bus, mailboxes: nil) { _ in }
        } stimulus: { htif, choice in
            htif.receive([UInt8(choice & 0xFF)])
        }
    }
}
