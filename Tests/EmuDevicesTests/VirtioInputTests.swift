import EmuBus
import EmuDevices
import TestSupport
import Testing

@Suite struct VirtioInputTests {
    private func bench(_ kind: InputKind, _ setup: VirtioSetup = .modernSplit) throws -> (VirtioBench, VirtioInput, EventQueue) {
        let events = EventQueue(mode: .virtual)
        let device = VirtioInput(name: "virtio-input0", kind: kind, events: events)
        let bench = try VirtioBench(setup, device)
        bench.driver.start(queueCount: 2, size: 16)
        return (bench, device, events)
    }

    private func offer(_ bench: VirtioBench, _ count: Int) -> [MockBuffer] {
        let buffers = (0..<count).map { _ in bench.driver.writable(8) }
        for buffer in buffers { bench.driver.queues[0]!.add([buffer]) }
        bench.driver.queues[0]!.kick()
        return buffers
    }

    /// Type, code and value of the events in the first `count` of `buffers`.
    private func events(_ bench: VirtioBench, _ buffers: [MockBuffer], _ count: Int) -> [[Int]] {
        buffers.prefix(count).map {
            let bytes = bench.driver.contents($0)
            let value = (0..<4).reduce(UInt32(0)) { $0 | UInt32(bytes[4 + $1]) << UInt32(8 * $1) }
            return [Int(bytes[0]) | Int(bytes[1]) << 8, Int(bytes[2]) | Int(bytes[3]) << 8, Int(Int32(bitPattern: value))]
        }
    }

    private func ask(_ bench: VirtioBench, _ select: UInt64, _ subselect: UInt64) -> [UInt8] {
        bench.slot.write(0x100, select, size: 1)
        bench.slot.write(0x101, subselect, size: 1)
        return (0..<bench.driver.config(2, size: 1)).map { UInt8(bench.driver.config(8 + $0, size: 1)) }
    }

    @Test(arguments: [VirtioSetup.modernSplit, .modernPacked, .pciSplit, .pciPacked])
    func configurationSaysWhatTheDeviceIs(_ setup: VirtioSetup) throws {
        let (keyboard, _, _) = try bench(.keyboard, setup)
        #expect(String(decoding: ask(keyboard, 1, 0), as: UTF8.self) == "Virtio Keyboard")
        #expect(ask(keyboard, 3, 0) == [6, 0, 0x27, 6, 1, 0, 1, 0])
        let keys = ask(keyboard, 0x11, 1)
        func has(_ bits: [UInt8], _ code: Int) -> Bool { code / 8 < bits.count && bits[code / 8] >> UInt8(code % 8) & 1 != 0 }
        #expect(has(keys, 30) && has(keys, 194) && !has(keys, 0) && !has(keys, 0x110))
        #expect(ask(keyboard, 0x11, 0x11) == [7] && ask(keyboard, 0x11, 0x14) == [3])
        let (tablet, _, _) = try bench(.tablet, setup)
        #expect(ask(tablet, 0x11, 3) == [3])
        #expect(ask(tablet, 0x12, 1) == [UInt8].little(UInt32(0)) + .little(UInt32(0x7fff)) + [UInt8](repeating: 0, count: 12))
        let buttons = ask(tablet, 0x11, 1)
        #expect([0x110, 0x111, 0x112].allSatisfy { has(buttons, $0) })
        let (mouse, _, _) = try bench(.mouse, setup)
        #expect(ask(mouse, 0x11, 2) == [3, 1] && ask(mouse, 0x12, 0).isEmpty)
        // What does not exist has no size.
        for (select, subselect): (UInt64, UInt64) in [(0, 0), (2, 0), (0x11, 3), (0x11, 0xff), (0x12, 2), (1, 1), (0xff, 0xff)] {
            #expect(ask(mouse, select, subselect).isEmpty)
        }
    }

    @Test func thereIsNoLegacyInterface() throws {
        let (bench, _, _) = try bench(.keyboard, .legacySplit)
        #expect(bench.driver.read(VirtioMockDriver.Offset.version) == 2)
    }

    @Test(arguments: [VirtioSetup.modernSplit, .modernPacked, .pciSplit, .pciPacked])
    func keysGoDownInOrderAndUpInTheOther(_ setup: VirtioSetup) throws {
        let (bench, device, clock) = try bench(.keyboard, setup)
        let buffers = offer(bench, 8)
        device.type([29, 56], for: 1_000_000)
        #expect(bench.interrupted)
        #expect(events(bench, buffers, 4) == [[1, 29, 1], [0, 0, 0], [1, 56, 1], [0, 0, 0]])
        #expect(bench.driver.queues[0]!.used().map(\.written) == [8, 8, 8, 8])
        clock.run(to: 999_000)
        #expect(bench.driver.queues[0]!.used().isEmpty)
        clock.run(to: 1_000_000)
        #expect(events(bench, Array(buffers[4...]), 4) == [[1, 56, 0], [0, 0, 0], [1, 29, 0], [0, 0, 0]])
    }

    @Test func eventsWaitForBuffersAndAreDroppedByWholeUpdates() throws {
        let (bench, device, _) = try bench(.mouse)
        device.move(x: 3, y: -4, wheel: 1)
        let first = offer(bench, 2), second = offer(bench, 3)
        #expect(events(bench, first, 2) == [[2, 0, 3], [2, 1, -4]])
        #expect(events(bench, second, 2) == [[2, 8, 1], [0, 0, 0]])
        _ = bench.driver.queues[0]!.used()
        // One buffer is left; then more than is kept.
        for step in 1...2000 { device.move(x: step, y: 0) }
        let mark = bench.driver.heapMark
        var seen: [[Int]] = events(bench, Array(second[2...]), 1)
        _ = bench.driver.queues[0]!.used()
        while true {
            let buffers = offer(bench, 8)
            let count = bench.driver.queues[0]!.used().count
            seen += events(bench, buffers, count)
            bench.driver.free(downTo: mark)
            if count < 8 { break }
        }
        #expect(seen.count > 500 && seen.count % 2 == 0)
        #expect(seen.enumerated().allSatisfy { $0.offset % 2 == 0 ? $0.element == [2, 0, $0.offset / 2 + 1] : $0.element == [0, 0, 0] })
    }

    @Test func aTabletStaysOnTheScreen() throws {
        let (bench, device, _) = try bench(.tablet)
        let buffers = offer(bench, 14)
        device.move(x: 100, y: 50)
        device.move(x: .max, y: 0)
        device.move(x: .max, y: .min)
        device.press(buttons: 5)
        #expect(events(bench, buffers, 11) == [
            [3, 0, 100], [3, 1, 50], [0, 0, 0], [3, 0, 0x7fff], [0, 0, 0], [3, 0, 0x7fff], [3, 1, 0], [0, 0, 0], [1, 0x110, 1], [1, 0x111, 1], [0, 0, 0],
        ])
        device.press(buttons: 4)
        #expect(events(bench, Array(buffers[11...]), 2) == [[1, 0x110, 0], [0, 0, 0]])
    }

    @Test func lampsFollowTheDriver() throws {
        let (bench, device, _) = try bench(.keyboard)
        func send(_ bytes: [UInt8]) {
            bench.driver.queues[1]!.add([bench.driver.readable(bytes)])
            bench.driver.queues[1]!.kick()
        }
        send([0x11, 0, 1, 0, 1, 0, 0, 0])
        #expect(device.lamps == 2)
        send([0x11, 0, 0xff, 0xff, 1, 0, 0, 0])
        send([0x11, 0, 1, 0, 0, 0, 0, 0])
        #expect(device.lamps == 0 && !bench.needsReset)
        send([0x11, 0, 1])
        #expect(bench.needsReset)
    }

    @Test func eventsForNobodyAreForgotten() throws {
        let device = VirtioInput(name: "virtio-input0", kind: .keyboard, events: EventQueue(mode: .virtual))
        device.type([30], for: 1)
        let bench = try VirtioBench(.modernSplit, device)
        device.type([31], for: 1)
        bench.driver.start(queueCount: 2, size: 16)
        _ = offer(bench, 4)
        #expect(bench.driver.queues[0]!.used().isEmpty)
        // A buffer that is too small breaks the device, as a driver that errs.
        bench.driver.queues[0]!.add([bench.driver.writable(4)])
        bench.driver.queues[0]!.notify()
        device.type([30, 31, 32], for: 1)
        #expect(bench.needsReset)
    }

    @Test func heldKeysAreReleasedByARestoredCopy() throws {
        let (bench, device, _) = try bench(.keyboard)
        _ = offer(bench, 2)
        device.type([30], for: 500)
        let clock = EventQueue(mode: .virtual)
        let copy = VirtioInput(name: "virtio-input0", kind: .keyboard, events: clock)
        try transplant(device, into: copy)
        let other = try VirtioBench(.modernSplit, copy)
        other.driver.start(queueCount: 2, size: 16)
        try copy.restoreState(from: try device.encodedState())
        let buffers = offer(other, 2)
        clock.run(to: 600)
        #expect(events(other, buffers, 2) == [[1, 30, 0], [0, 0, 0]])
    }

    @Test func combinationsOfKeysParse() {
        #expect(InputKeys.parse("ctrl-alt-delete") == .success([29, 56, 111]))
        #expect(InputKeys.parse("a") == .success([30]) && InputKeys.parse("f12") == .success([88]) && InputKeys.parse("kp_5") == .success([76]))
        #expect(InputKeys.parse("0") == .success([11]) && InputKeys.parse("9") == .success([10]) && InputKeys.parse("f24") == .success([194]))
        #expect(InputKeys.parse("ctrl-nokey") == .failure(.init(name: "nokey")))
        #expect(InputKeys.parse("ctrl-") == .failure(.init(name: "")))
        let many = Array(repeating: "a", count: 17).joined(separator: "-")
        #expect(InputKeys.parse(many) == .failure(.init(name: many)))
    }
}

