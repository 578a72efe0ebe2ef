import EmuBus
import EmuDevices
import TestSupport
import Testing

private enum Feature {
    static let checksum: UInt64 = 1 << 0, guestChecksum: UInt64 = 1 << 1, guestOffloads: UInt64 = 1 << 2
    static let tso4: UInt64 = 1 << 11, tso6: UInt64 = 1 << 12, ecn: UInt64 = 1 << 13, control: UInt64 = 1 << 17
    static let multiqueue: UInt64 = 1 << 22, uso: UInt64 = 1 << 56
}

/// A network without a wire: segments of any length, checksums of its own.
private final class Cloud: NetworkBackend {
    weak var receiver: (any NetworkReceiver)?
    var sent: [[UInt8]] = []
    let takesLargeSegments = true
    let vouchesForChecksums = true

    func send(_ frame: UnsafeRawBufferPointer) { sent.append(Array(frame)) }
    func receiverReady() {}
    func deliver(_ frame: [UInt8]) { _ = frame.withUnsafeBytes { receiver?.receive($0) } }
}

/// A packet as a driver leaves it to the card: headers of one frame, data of many, the sum of the pseudo header for a checksum.
private struct LongPacket {
    var isIPv6 = false
    var isTCP = true
    var length = 3000
    var tag: [UInt8] = []
    var options = 0
    var flags: UInt8 = 0x99  // CWR, ACK, PSH, FIN

    var data: [UInt8] { (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 >> 8) } }
    var network: Int { 14 + tag.count }
    var transport: Int { network + (isIPv6 ? 40 : 20) }
    var headers: Int { transport + (isTCP ? 20 + options : 8) }

    private static func big(_ value: Int, _ size: Int = 2) -> [UInt8] { (0..<size).reversed().map { UInt8(truncatingIfNeeded: value >> (8 * $0)) } }

    var addresses: [UInt8] { isIPv6 ? (0..<32).map { UInt8($0 | 0x20) } : [10, 0, 2, 15, 10, 0, 2, 2] }
    var ports: [UInt8] = [0x12, 0x34, 0, 80]

    /// The sum of the pseudo header of a segment with `length` bytes of TCP or UDP.
    func pseudoSum(_ length: Int) -> Int { Self.sum(addresses + [0, isTCP ? 6 : 17] + Self.big(length)) }

    static func sum(_ bytes: some Collection<UInt8>) -> Int {
        var sum = 0
        for (index, byte) in bytes.enumerated() { sum += Int(byte) << (index % 2 == 0 ? 8 : 0) }
        while sum > 0xffff { sum = sum & 0xffff + sum >> 16 }
        return sum
    }

    var frame: [UInt8] {
        let segment = headers - transport + length
        var ip: [UInt8] = isIPv6
            ? [0x60, 0, 0, 0] + Self.big(segment) + [isTCP ? 6 : 17, 64] + addresses
            : [0x45, 0] + Self.big(20 + segment) + [0xff, 0xfe, 0x40, 0, 64, isTCP ? 6 : 17, 0, 0] + addresses
        if !isIPv6 { ip.replaceSubrange(10..<12, with: Self.big(0xffff - Self.sum(ip))) }
        let pseudo = Self.big(pseudoSum(segment))
        let header: [UInt8] = isTCP
            ? ports + [0xff, 0xff, 0xff, 0, 0, 0, 0, 9, UInt8((5 + options / 4) << 4), flags, 1, 0] + pseudo + [0, 0] + [UInt8](repeating: 1, count: options)
            : ports + Self.big(segment) + pseudo
        return [2, 0, 0, 0, 0, 9, 0x52, 0x54, 0, 0x12, 0x34, 0x56] + tag + (isIPv6 ? [0x86, 0xdd] : [8, 0]) + ip + header + data
    }

    /// The header of the request.
    func request(_ kind: UInt8, size: Int = 1000) -> [UInt8] {
        [1, kind] + .little(UInt16(headers)) + .little(UInt16(size)) + .little(UInt16(transport)) + .little(UInt16(isTCP ? 16 : 6)) + [0, 0]
    }

    func hasRightChecksums(_ frame: [UInt8]) -> Bool {
        (isIPv6 || Self.sum(frame[network..<transport]) == 0xffff)
            && Self.sum(Self.big(pseudoSum(frame.count - transport)) + frame[transport...]) == 0xffff
    }
}

@Suite struct VirtioNetOffloadTests {
    private func bench(
        _ backend: any NetworkBackend, _ features: UInt64 = .max, setup: VirtioSetup = .modernSplit, pairs: Int = 1, withheld: UInt64 = 0
    ) throws -> VirtioBench {
        let bench = try VirtioBench(setup, VirtioNet(name: "virtio-net0", backend: backend, mac: MACAddress(index: 0), queuePairs: pairs, withheld: withheld))
        bench.driver.start(features, queueCount: 2 * pairs + 1, size: 16)
        return bench
    }

    private func send(_ bench: VirtioBench, _ request: [UInt8], _ frame: [UInt8], pair: Int = 0) {
        let queue = bench.driver.queues[2 * pair + 1]!
        queue.add([bench.driver.readable(request), bench.driver.readable(frame)])
        queue.kick()
        _ = queue.used()
    }

    private func command(_ bench: VirtioBench, _ bytes: [UInt8], queue index: Int = 2) -> UInt8? {
        let queue = bench.driver.queues[index]!
        let answer = bench.driver.writable(1)
        queue.add([bench.driver.readable(bytes), answer])
        queue.kick()
        return queue.used().count == 1 ? bench.driver.contents(answer)[0] : nil
    }

    @Test(arguments: [false, true], [[], [0x81, 0x00, 0x00, 0x07]] as [[UInt8]])
    func segmentsAreCutAsTheStackWouldHaveMadeThem(isIPv6: Bool, tag: [UInt8]) throws {
        let wire = Wire()
        let bench = try bench(wire)
        let packet = LongPacket(isIPv6: isIPv6, tag: tag, options: 12)
        send(bench, packet.request(isIPv6 ? 4 : 1), packet.frame)
        #expect(wire.sent.map(\.count) == [1000, 1000, 1000].map { packet.headers + $0 })
        #expect(wire.sent.flatMap { $0[packet.headers...] } == packet.data)
        for (index, frame) in wire.sent.enumerated() {
            #expect(packet.hasRightChecksums(frame))
            #expect(Array(frame[..<packet.network]) == Array(packet.frame[..<packet.network]))
            let sequence = frame[(packet.transport + 4)..<(packet.transport + 8)].reduce(0) { $0 << 8 | Int($1) }
            // It wraps.
            #expect(sequence == (0xffff_ff00 + 1000 * index) & 0xffff_ffff)
            // FIN and PSH end the last, CWR is the first's, ACK is everybody's.
            #expect(frame[packet.transport + 13] == [0x90, 0x10, 0x19][index])
            let length = Int(frame[packet.network + (isIPv6 ? 4 : 2)]) << 8 | Int(frame[packet.network + (isIPv6 ? 5 : 3)])
            #expect(length == frame.count - packet.network - (isIPv6 ? 40 : 0))
            if !isIPv6 { #expect(Int(frame[packet.network + 4]) << 8 | Int(frame[packet.network + 5]) == (0xfffe + index) & 0xffff) }
        }
    }

    @Test(arguments: [false, true])
    func datagramsAreCutForEveryNetwork(isIPv6: Bool) throws {
        let cloud = Cloud()
        let bench = try bench(cloud)
        let packet = LongPacket(isIPv6: isIPv6, isTCP: false, length: 2500)
        send(bench, packet.request(5), packet.frame)
        #expect(cloud.sent.map { $0.count - packet.headers } == [1000, 1000, 500])
        for frame in cloud.sent {
            #expect(packet.hasRightChecksums(frame))
            #expect(Int(frame[packet.transport + 4]) << 8 | Int(frame[packet.transport + 5]) == frame.count - packet.transport)
        }
    }

    @Test func aNetworkWithoutAWireGetsSegmentsWhole() throws {
        let cloud = Cloud()
        let bench = try bench(cloud)
        let packet = LongPacket(length: 60_000)
        send(bench, packet.request(1), packet.frame)
        #expect(cloud.sent.count == 1 && cloud.sent[0].count == packet.frame.count)
        #expect(packet.hasRightChecksums(cloud.sent[0]))
        // Congestion notification is a bit of its own.
        send(bench, packet.request(0x81), packet.frame)
        #expect(cloud.sent.count == 2)
    }

    @Test func packetsThatCannotBeCutAreDropped() throws {
        let wire = Wire()
        let bench = try bench(wire)
        let packet = LongPacket(), six = LongPacket(isIPv6: true), datagram = LongPacket(isTCP: false)
        func changed(_ packet: LongPacket, _ offset: Int, _ value: UInt8) -> [UInt8] {
            var frame = packet.frame
            frame[offset] = value
            return frame
        }
        var transportElsewhere = packet.request(1)
        transportElsewhere[6] = 38
        let bad: [([UInt8], [UInt8])] = [
            (packet.request(1, size: 0), packet.frame), (packet.request(1, size: 1), packet.frame), (packet.request(3), packet.frame),
            (packet.request(7), packet.frame), (packet.request(0x41), packet.frame), (datagram.request(1), datagram.frame),
            (packet.request(5), packet.frame), (transportElsewhere, packet.frame), (packet.request(1), changed(packet, 12, 9)),
            (packet.request(1), changed(packet, 14, 0x42)), (packet.request(1), changed(packet, 14, 0x4f)), (packet.request(1), changed(packet, 20, 0x20)),
            (packet.request(1), Array(packet.frame[..<54])), (packet.request(1), Array(packet.frame[..<40])), (packet.request(1), Array(packet.frame[..<20])),
            (six.request(4), changed(six, 20, 44)), (six.request(4), Array(six.frame[..<50])),
            (packet.request(1), Array(changed(packet, 46, 0xf0).prefix(90))),
        ]
        for (request, frame) in bad { send(bench, request, frame) }
        #expect(wire.sent.isEmpty && !bench.needsReset)
        send(bench, packet.request(1), packet.frame)
        #expect(wire.sent.count == 3)
    }

    @Test func everyHostileHeaderEndsInFramesOrNothing() throws {
        let wire = Wire()
        let bench = try bench(wire)
        var random = SplitMix(seed: 9)
        for round in 0..<400 {
            let mark = bench.driver.heapMark
            var frame = LongPacket(isIPv6: round % 2 == 0, isTCP: round % 3 != 0, length: 200).frame
            for _ in 0..<3 { frame[Int(random.next() % 70)] = UInt8(truncatingIfNeeded: random.next()) }
            var request = LongPacket(isIPv6: round % 2 == 0, isTCP: round % 3 != 0).request([1, 4, 5][round % 3], size: 50)
            if round % 4 == 0 { request[Int(random.next() % 10)] = UInt8(truncatingIfNeeded: random.next()) }
            send(bench, request, Array(frame.prefix(14 + Int(random.next() % UInt64(frame.count - 13)))))
            #expect(wire.sent.allSatisfy { $0.count <= 65_600 })
            wire.sent = []
            bench.driver.free(downTo: mark)
        }
        #expect(!bench.needsReset)
    }

    @Test func offloadsThatWereNotNegotiatedAreNotUsable() throws {
        let wire = Wire()
        let bench = try bench(wire, ~(Feature.tso4 | Feature.ecn))
        let packet = LongPacket(), six = LongPacket(isIPv6: true)
        send(bench, packet.request(1), packet.frame)
        send(bench, six.request(0x84), six.frame)
        #expect(wire.sent.isEmpty)
        send(bench, six.request(4), six.frame)
        #expect(wire.sent.count == 3)
    }

    @Test func featuresStandAndFallWithWhatTheyNeed() throws {
        func accepts(_ features: UInt64) throws -> Bool {
            let device = VirtioNet(name: "virtio-net0", backend: Wire(), mac: MACAddress(index: 0), queuePairs: 2)
            let bench = try VirtioBench(.modernSplit, device)
            return withExtendedLifetime(bench) { bench.driver.negotiate(features) }
        }
        #expect(try accepts(.max))
        for missing in [Feature.checksum, Feature.control, Feature.tso4 | Feature.tso6] { #expect(try !accepts(~missing)) }
        let bench = try bench(Wire(), withheld: Feature.checksum)
        let offered = withExtendedLifetime(bench) { bench.driver.offeredFeatures() }
        #expect(offered & (Feature.checksum | Feature.tso4 | Feature.tso6 | Feature.ecn | Feature.uso) == 0)
        #expect(offered & Feature.guestChecksum != 0)
    }

    @Test func checksumsAreVouchedForWhereTheNetworkDoesAndTheDriverWants() throws {
        let frame = LongPacket(length: 40).frame
        func flags(_ backend: Cloud, _ bench: VirtioBench) -> UInt8 {
            let buffer = bench.driver.writable(1526)
            bench.driver.queues[0]!.add([buffer])
            bench.driver.queues[0]!.kick()
            backend.deliver(frame)
            return bench.driver.contents(buffer)[0]
        }
        let cloud = Cloud()
        let bench = try bench(cloud)
        #expect(flags(cloud, bench) == 2)
        #expect(command(bench, [5, 0] + .little(UInt64(0))) == 0)
        #expect(flags(cloud, bench) == 0)
        #expect(command(bench, [5, 0] + .little(Feature.guestChecksum)) == 0)
        #expect(flags(cloud, bench) == 2)
        // An offload that was not negotiated, and a command that is too short.
        #expect(command(bench, [5, 0] + .little(UInt64(1 << 7))) == 1 && command(bench, [5, 0, 2]) == 1)
        let other = Cloud()
        let plain = try self.bench(other, ~Feature.guestChecksum)
        #expect(flags(other, plain) == 0)
    }

    @Test(arguments: VirtioSetup.allCases)
    func flowsComeBackWhereTheyWereSentFrom(_ setup: VirtioSetup) throws {
        let cloud = Cloud()
        let bench = try bench(cloud, setup: setup, pairs: 4)
        #expect(bench.driver.config(8, size: 2) == 4)
        for pair in 0..<4 {
            for _ in 0..<8 { bench.driver.queues[2 * pair]!.add([bench.driver.writable(1526)]) }
            bench.driver.queues[2 * pair]!.notify()
        }
        func arrivals() -> [Int] { (0..<4).map { bench.driver.queues[2 * $0]!.used().count } }
        var packet = LongPacket(length: 40), answer = LongPacket(length: 40)
        answer.ports = [0, 80, 0x12, 0x34]
        cloud.deliver(answer.frame)
        // One pair is in use until the driver says otherwise.
        #expect(arrivals() == [1, 0, 0, 0])
        for count in [0, 5, 0xffff] { #expect(command(bench, [4, 0] + .little(UInt16(count)), queue: 8) == 1) }
        #expect(command(bench, [4, 0, 4], queue: 8) == 1)
        #expect(command(bench, [4, 0] + .little(UInt16(4)), queue: 8) == 0)
        for pair in [2, 1, 3, 0] {
            send(bench, [UInt8](repeating: 0, count: 12), packet.frame, pair: pair)
            cloud.deliver(answer.frame)
            #expect(arrivals() == (0..<4).map { $0 == pair ? 1 : 0 })
        }
        // Flows nobody has answered yet spread.
        for port in 0..<16 {
            packet.ports = [0, 80, 0x40, UInt8(port)]
            cloud.deliver(packet.frame)
        }
        #expect(arrivals().filter { $0 > 0 }.count > 1)
        #expect(command(bench, [4, 0] + .little(UInt16(1)), queue: 8) == 0)
        bench.driver.queues[0]!.add([bench.driver.writable(1526)])
        bench.driver.queues[0]!.notify()
        cloud.deliver(answer.frame)
        #expect(arrivals() == [1, 0, 0, 0])
    }

    @Test func withoutMultiqueueTheControlQueueIsTheThird() throws {
        let cloud = Cloud()
        let bench = try bench(cloud, ~Feature.multiqueue, pairs: 4)
        #expect(command(bench, [0, 0, 1]) == 0)
        #expect(command(bench, [4, 0] + .little(UInt16(2))) == 1)
        bench.driver.queues[4]!.notify()
        bench.driver.queues[7]!.notify()
        #expect(!bench.needsReset)
    }

    @Test func steeringSurvivesASavedState() throws {
        let cloud = Cloud()
        func device(pairs: Int) -> VirtioNet { VirtioNet(name: "virtio-net0", backend: cloud, mac: MACAddress(index: 0), queuePairs: pairs) }
        let source = device(pairs: 4)
        let bench = try VirtioBench(.modernSplit, source)
        bench.driver.start(queueCount: 9, size: 16)
        #expect(command(bench, [4, 0] + .little(UInt16(3)), queue: 8) == 0)
        try transplant(source, into: device(pairs: 4))
        // A card with fewer pairs must not steer to those it lacks.
        let smaller = device(pairs: 2)
        let other = try VirtioBench(.modernSplit, smaller)
        other.driver.start(queueCount: 5, size: 16)
        try smaller.restoreState(from: try source.encodedState())
        let buffer = other.driver.writable(1526)
        other.driver.queues[0]!.add([buffer])
        other.driver.queues[0]!.kick()
        cloud.deliver(LongPacket(length: 40).frame)
        #expect(other.driver.queues[0]!.used().count == 1)
    }

    @Test func checksumOfOddAndEvenLengthsIsTheSumOfWords() {
        var random = SplitMix(seed: 3)
        for length in 0..<70 {
            let bytes = (0..<length).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            #expect(Int(bytes.withUnsafeBytes { InternetChecksum.sum($0) }) % 0xffff == LongPacket.sum(bytes) % 0xffff)
        }
        // Nothing outside the frame is touched.
        var frame = [UInt8](repeating: 1, count: 10)
        for (start, field) in [(10, 10), (0, 9), (5, 4), (-1, 3)] {
            #expect(!frame.withUnsafeMutableBytes { InternetChecksum.complete($0, start: start, field: field) })
        }
        #expect(frame == [UInt8](repeating: 1, count: 10))
    }
}
