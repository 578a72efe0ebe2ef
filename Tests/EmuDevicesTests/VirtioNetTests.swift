import EmuBus
import EmuDevices
import TestSupport
import Testing

private enum Feature {
    static let checksum: UInt64 = 1 << 0, mtu: UInt64 = 1 << 3, mac: UInt64 = 1 << 5, mergeable: UInt64 = 1 << 15
    static let status: UInt64 = 1 << 16, control: UInt64 = 1 << 17, controlRx: UInt64 = 1 << 18
    static let controlVLAN: UInt64 = 1 << 19, controlMAC: UInt64 = 1 << 23
}

/// A wire that keeps what the guest sends and offers frames again when the card has room.
final class Wire: NetworkBackend {
    weak var receiver: (any NetworkReceiver)?
    var sent: [[UInt8]] = []
    var waiting: [[UInt8]] = []

    func send(_ frame: UnsafeRawBufferPointer) { sent.append(Array(frame)) }

    func receiverReady() {
        while let frame = waiting.first, offer(frame) { waiting.removeFirst() }
    }

    /// Offers a frame; keeps it when the card has no buffer.
    func deliver(_ frame: [UInt8]) {
        if !waiting.isEmpty || !offer(frame) { waiting.append(frame) }
    }

    private func offer(_ frame: [UInt8]) -> Bool { frame.withUnsafeBytes { receiver?.receive($0) ?? true } }
}

private let cardMAC = MACAddress(index: 0)

private func frame(to destination: [UInt8] = cardMAC.bytes, type: [UInt8] = [0x08, 0x00], length: Int = 60) -> [UInt8] {
    destination + [2, 0, 0, 0, 0, 9] + type + (0..<length - 14).map { UInt8(truncatingIfNeeded: $0) }
}

@Suite struct VirtioNetTests {
    private func bench(_ setup: VirtioSetup, _ features: UInt64 = .max, mtu: UInt16? = nil) throws -> (VirtioBench, Wire, VirtioNet) {
        let wire = Wire()
        let device = VirtioNet(name: "virtio-net0", backend: wire, mac: cardMAC, mtu: mtu)
        let bench = try VirtioBench(setup, device)
        bench.driver.start(features, queueCount: 3, size: 16)
        return (bench, wire, device)
    }

    private func command(_ bench: VirtioBench, _ bytes: [UInt8]) -> UInt8? {
        let queue = bench.driver.queues[2]!
        let ack = bench.driver.writable(1)
        bench.driver.store(ack.address, [0xff])
        queue.add([bench.driver.readable(bytes), ack])
        queue.kick()
        return queue.used().count == 1 ? bench.driver.contents(ack)[0] : nil
    }

    @Test(arguments: VirtioSetup.allCases)
    func configurationHoldsAddressLinkAndMTU(_ setup: VirtioSetup) throws {
        let (bench, _, device) = try bench(setup, mtu: 1400)
        #expect((0..<6).map { UInt8(bench.driver.config($0, size: 1)) } == cardMAC.bytes)
        #expect(bench.driver.config(6, size: 2) == 1)
        #expect(bench.driver.config(10, size: 2) == 1400)
        #expect(bench.driver.offeredFeatures() & Feature.mtu != 0)
        device.setLink(up: false)
        #expect(bench.driver.config(6, size: 2) == 0)
        #expect(bench.driver.read(VirtioMockDriver.Offset.interruptStatus) == 2)
    }

    @Test func offersNoOffloadItDoesNotDo() throws {
        let (bench, _, _) = try bench(.modernSplit)
        // Large frames for the guest, UDP fragmentation, several pairs of queues, announcements, and what came later but for HOST_USO.
        let absent: UInt64 = 1 << 3 | 0xf << 7 | 1 << 14 | 1 << 21 | 1 << 22 | 0x7f7f << 49
        #expect(bench.driver.offeredFeatures() & absent == 0)
    }

    @Test(arguments: VirtioSetup.allCases, [false, true])
    func transmittedFrameLosesItsHeaderOnly(_ setup: VirtioSetup, mergeable: Bool) throws {
        let (bench, wire, _) = try bench(setup, mergeable ? .max : ~Feature.mergeable)
        let header = setup.isLegacy && !mergeable ? 10 : 12
        let content = frame()
        let queue = bench.driver.queues[1]!
        queue.add([bench.driver.readable([UInt8](repeating: 0, count: header) + content[..<20]), bench.driver.readable(Array(content[20...]))])
        queue.kick()
        #expect(wire.sent == [content])
        #expect(queue.used().map(\.written) == [0])
    }

    @Test(arguments: VirtioSetup.allCases, [false, true])
    func receivedFrameGetsAHeader(_ setup: VirtioSetup, mergeable: Bool) throws {
        let (bench, wire, _) = try bench(setup, mergeable ? .max : ~Feature.mergeable)
        let header = setup.isLegacy && !mergeable ? 10 : 12
        let buffer = bench.driver.writable(1526)
        let queue = bench.driver.queues[0]!
        queue.add([buffer])
        queue.kick()
        wire.deliver(frame())
        #expect(queue.used().map(\.written) == [UInt32(header + 60)])
        let expected = [UInt8](repeating: 0, count: 10) + (header == 12 ? [1, 0] : []) + frame()
        #expect(Array(bench.driver.contents(buffer)[..<(header + 60)]) == expected)
        #expect(bench.interrupted)
    }

    @Test(arguments: VirtioSetup.allCases)
    func longFrameSpreadsOverMergeableBuffersOrIsDropped(_ setup: VirtioSetup) throws {
        let long = frame(length: 1000)
        let (bench, wire, _) = try bench(setup)
        let buffers = (0..<5).map { _ in bench.driver.writable(256) }
        let queue = bench.driver.queues[0]!
        for buffer in buffers { queue.add([buffer]) }
        queue.kick()
        wire.deliver(long)
        #expect(queue.used().map(\.written) == [256, 256, 256, 244])
        let received = buffers.flatMap(bench.driver.contents)
        #expect(received[10] == 4)
        #expect(Array(received[12..<1012]) == long)

        let (plain, plainWire, _) = try self.bench(setup, ~Feature.mergeable)
        plain.driver.queues[0]!.add([plain.driver.writable(256)])
        plain.driver.queues[0]!.kick()
        plainWire.deliver(long)
        #expect(plain.driver.queues[0]!.used().isEmpty && plainWire.waiting.isEmpty)
        // The buffer is still there for a frame that fits.
        plainWire.deliver(frame())
        #expect(plain.driver.queues[0]!.used().count == 1)
    }

    @Test(arguments: VirtioSetup.allCases)
    func frameWaitsUntilTheDriverAddsEnoughBuffers(_ setup: VirtioSetup) throws {
        let (bench, wire, _) = try bench(setup)
        let queue = bench.driver.queues[0]!
        queue.add([bench.driver.writable(300)])
        queue.kick()
        wire.deliver(frame(length: 500))
        #expect(wire.waiting.count == 1 && queue.used().isEmpty)
        // The device must ask to be told of the next buffer.
        queue.add([bench.driver.writable(300)])
        #expect(queue.kick())
        #expect(wire.waiting.isEmpty)
        #expect(queue.used().map(\.written) == [300, 212])
    }

    @Test func frameForADriverThatIsNotReadyIsDropped() throws {
        let wire = Wire()
        let bench = try VirtioBench(.modernSplit, VirtioNet(name: "virtio-net0", backend: wire, mac: cardMAC))
        wire.deliver(frame())
        bench.driver.negotiate()
        wire.deliver(frame())
        #expect(wire.waiting.isEmpty)
    }

    @Test func checksumLeftToTheDeviceIsCompleted() throws {
        let (bench, wire, _) = try bench(.modernSplit)
        // Start 34, offset 16: TCP after Ethernet and IPv4. The field holds the pseudo header's sum.
        var content = frame(length: 75)
        content[50] = 0x12
        content[51] = 0x34
        let queue = bench.driver.queues[1]!
        queue.add([bench.driver.readable([1, 0, 0, 0, 0, 0, 34, 0, 16, 0, 0, 0] + content)])
        queue.kick()
        let sent = try #require(wire.sent.first)
        // With the right checksum the sum over the segment and the pseudo header is all ones.
        var sum = 0x1234
        for index in stride(from: 34, to: 75, by: 2) { sum += Int(sent[index]) << 8 | (index + 1 < 75 ? Int(sent[index + 1]) : 0) }
        while sum > 0xffff { sum = sum & 0xffff + sum >> 16 }
        #expect(sum == 0xffff)
        // Outside the frame: dropped, and no harm done.
        queue.add([bench.driver.readable([1, 0, 0, 0, 0, 0, 200, 0, 200, 0, 0, 0] + content)])
        queue.kick()
        #expect(wire.sent.count == 1 && !bench.needsReset)
    }

    @Test(arguments: VirtioSetup.allCases)
    func filterLetsThroughWhatTheDriverAsksFor(_ setup: VirtioSetup) throws {
        let (bench, wire, _) = try bench(setup)
        let queue = bench.driver.queues[0]!
        for _ in 0..<16 { queue.add([bench.driver.writable(256)]) }
        queue.kick()
        func passes(_ destination: [UInt8], type: [UInt8] = [0x08, 0x00]) -> Bool {
            wire.deliver(frame(to: destination, type: type))
            let taken = queue.used().count == 1
            if taken {
                queue.add([bench.driver.writable(256)])
                queue.kick()
            }
            return taken
        }
        let stranger: [UInt8] = [2, 0, 0, 0, 0, 1], group: [UInt8] = [1, 0, 0x5e, 0, 0, 1], all = [UInt8](repeating: 0xff, count: 6)
        #expect(passes(stranger))
        #expect(command(bench, [0, 0, 0]) == 0)  // promiscuous off
        #expect(passes(cardMAC.bytes) && passes(all) && !passes(stranger) && !passes(group))
        #expect(command(bench, [0, 1, 1]) == 0)  // all multicast
        #expect(passes(group))
        #expect(command(bench, [0, 3, 1]) == 0)  // no multicast
        #expect(!passes(group) && passes(all))
        #expect(command(bench, [0, 3, 0]) == 0 && command(bench, [0, 1, 0]) == 0)
        #expect(command(bench, [1, 0] + .little(UInt32(1)) + stranger + .little(UInt32(1)) + group) == 0)
        #expect(passes(stranger) && passes(group))
        #expect(command(bench, [1, 0] + .little(UInt32(0)) + .little(UInt32(0))) == 0)
        #expect(!passes(stranger) && !passes(group))
        #expect(command(bench, [0, 5, 1]) == 0)  // no broadcast
        #expect(!passes(all))
        #expect(command(bench, [0, 4, 1]) == 0)  // no unicast
        #expect(!passes(cardMAC.bytes))
        #expect(command(bench, [0, 4, 0]) == 0)
        // The payload of `frame` counts up from 0, so the tag names VLAN 1.
        #expect(!passes(cardMAC.bytes, type: [0x81, 0x00]))
        #expect(command(bench, [2, 0] + .little(UInt16(1))) == 0)
        #expect(passes(cardMAC.bytes, type: [0x81, 0x00]))
        #expect(command(bench, [2, 1] + .little(UInt16(1))) == 0)
        #expect(!passes(cardMAC.bytes, type: [0x81, 0x00]))
        #expect(command(bench, [1, 1] + stranger) == 0)  // new address
        #expect(passes(stranger) && !passes(cardMAC.bytes))
        #expect((0..<6).map { UInt8(bench.driver.config($0, size: 1)) } == stranger)
    }

    @Test func commandsThatMakeNoSenseAreRefused() throws {
        let (bench, _, _) = try bench(.modernSplit)
        for bytes: [UInt8] in [[9, 0, 0], [0, 0], [0, 9, 1], [0, 0, 2], [1, 1, 1, 2, 3], [2, 0, 0xff, 0xff], [2, 2, 0, 0],
                               [1, 0, 0xff, 0xff, 0xff, 0xff], [1, 0, 1, 0, 0, 0, 1, 2, 3]] {
            #expect(command(bench, bytes) == 1)
        }
        #expect(!bench.needsReset)
        let (plain, _, _) = try self.bench(.modernSplit, ~(Feature.controlVLAN | Feature.controlMAC))
        #expect(command(plain, [2, 0, 1, 0]) == 1)
        #expect(command(plain, [1, 1, 2, 0, 0, 0, 0, 1]) == 1)
    }

    @Test func controlFeaturesWithoutAControlQueueAreRefused() throws {
        let bench = try VirtioBench(.modernSplit, VirtioNet(name: "virtio-net0", backend: Wire(), mac: cardMAC))
        #expect(!bench.driver.negotiate(~Feature.control))
    }

    @Test(arguments: VirtioSetup.allCases)
    func malformedRequestsBreakTheDevice(_ setup: VirtioSetup) throws {
        for shape in 0..<3 {
            let (bench, wire, _) = try bench(setup)
            switch shape {
            case 0: bench.driver.queues[1]!.add([bench.driver.readable([1, 2, 3])])
            case 1: bench.driver.queues[2]!.add([bench.driver.readable([0, 0, 0])])
            default: bench.driver.queues[0]!.add([bench.driver.readable([UInt8](repeating: 0, count: 100))])
            }
            for queue in bench.driver.queues.values { queue.notify() }
            wire.deliver(frame())
            #expect(bench.needsReset)
        }
    }

    @Test func legacyDriverSetsTheAddressInTheConfigurationSpace() throws {
        let (bench, _, _) = try bench(.legacySplit, ~Feature.controlMAC)
        for index: UInt64 in 0..<6 { bench.slot.write(0x100 + index, index + 2, size: 1) }
        #expect((0..<6).map { UInt8(bench.driver.config($0, size: 1)) } == [2, 3, 4, 5, 6, 7])
        bench.driver.write(VirtioMockDriver.Offset.status, 0)
        #expect(bench.driver.config(0, size: 1) == 0x52)
    }

    @Test func macAddressesParseStrictly() {
        #expect(MACAddress("52:54:00:12:34:5a")?.bytes == [0x52, 0x54, 0, 0x12, 0x34, 0x5a])
        #expect(MACAddress("52-54-0-12-34-5A") != nil)
        for text in ["", "52:54:00:12:34", "52:54:00:12:34:56:78", "52:54:00:12:34:5g", "52:54:00:12:34:", "525:4:00:12:34:56"] {
            #expect(MACAddress(text) == nil)
        }
        #expect(MACAddress(index: 1).description == "52:54:00:12:34:57")
    }
}
