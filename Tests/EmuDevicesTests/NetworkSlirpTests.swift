import EmuBus
import EmuDevices
import Glibc
import TestSupport
import Testing

/// A guest made of crafted frames: just enough Ethernet, ARP, IPv4, UDP and TCP to talk to the user network.
private final class FrameGuest: NetworkReceiver {
    let mac: [UInt8] = [0x52, 0x54, 0, 0x12, 0x34, 0x56]
    let gatewayMAC: [UInt8] = [0x52, 0x55, 10, 0, 2, 2]
    let address: [UInt8] = [10, 0, 2, 15]
    let slirp: SlirpBackend
    let polls = IOPollGroup()
    let events = EventQueue(mode: .host)
    var frames: [[UInt8]] = []
    /// Frames taken before the guest runs out of buffers.
    var room = Int.max

    init(_ configuration: SlirpConfiguration) throws {
        slirp = try SlirpBackend(configuration, events: events)
        slirp.receiver = self
        polls.add(slirp)
    }

    func receive(_ frame: UnsafeRawBufferPointer) -> Bool {
        if room == 0 { return false }
        room -= 1
        frames.append(Array(frame))
        // The network asks who we are before it sends to us.
        if Array(frame[12..<14]) == [8, 6], frame[21] == 1, Array(frame[38..<42]) == address { sendARP(2, to: Array(frame[28..<32]), Array(frame[22..<28])) }
        return true
    }

    /// Runs the network until `condition` gives something, for two seconds at most.
    func wait<T>(_ condition: () -> T?) -> T? {
        for _ in 0..<200 {
            if let result = condition() { return result }
            polls.wait(timeout: 10_000_000)
            events.runDue()
        }
        return condition()
    }

    private func big(_ value: Int, _ bytes: Int = 2) -> [UInt8] { (0..<bytes).reversed().map { UInt8(truncatingIfNeeded: value >> (8 * $0)) } }

    private func checksum(_ bytes: [UInt8]) -> [UInt8] {
        var sum = 0
        for index in stride(from: 0, to: bytes.count, by: 2) { sum += Int(bytes[index]) << 8 | (index + 1 < bytes.count ? Int(bytes[index + 1]) : 0) }
        while sum > 0xffff { sum = sum & 0xffff + sum >> 16 }
        return big(~sum & 0xffff)
    }

    /// Where sent frames go instead of the network.
    var divert: (([UInt8]) -> Void)?

    func send(_ frame: [UInt8]) {
        if let divert { divert(frame) } else { frame.withUnsafeBytes { slirp.send($0) } }
    }

    func sendARP(_ operation: UInt8, to target: [UInt8], _ targetMAC: [UInt8]) {
        send((operation == 1 ? [UInt8](repeating: 0xff, count: 6) : targetMAC) + mac + [8, 6, 0, 1, 8, 0, 6, 4, 0, operation] + mac + address + targetMAC + target)
    }

    func sendIP(_ type: UInt8, from: [UInt8]? = nil, to target: [UInt8], mac targetMAC: [UInt8]? = nil, _ payload: [UInt8]) {
        var header: [UInt8] = [0x45, 0] + big(20 + payload.count) + [0, 1, 0, 0, 64, type, 0, 0] + (from ?? address) + target
        header.replaceSubrange(10..<12, with: checksum(header))
        send((targetMAC ?? gatewayMAC) + mac + [8, 0] + header + payload)
    }

    func sendUDP(from: [UInt8]? = nil, _ sourcePort: Int, to target: [UInt8], mac: [UInt8]? = nil, _ port: Int, _ payload: [UInt8]) {
        sendIP(17, from: from, to: target, mac: mac, big(sourcePort) + big(port) + big(8 + payload.count) + [0, 0] + payload)
    }

    enum Flags {
        static let fin: UInt8 = 1, syn: UInt8 = 2, push: UInt8 = 8, ack: UInt8 = 16
    }

    func sendTCP(_ port: Int, to target: [UInt8], _ targetPort: Int, seq: Int, ack: Int, flags: UInt8, _ payload: [UInt8] = []) {
        var segment = big(port) + big(targetPort) + big(seq, 4) + big(ack, 4) + [0x50, flags] + big(65535) + [0, 0, 0, 0] + payload
        segment.replaceSubrange(16..<18, with: checksum(address + target + [0, 6] + big(segment.count) + segment))
        sendIP(6, to: target, segment)
    }

    struct Segment {
        let sourcePort: Int, port: Int, seq: Int, ack: Int
        let flags: UInt8
        let payload: [UInt8]
    }

    /// The first TCP segment among the received frames that satisfies `condition`; it and all before it are consumed.
    func segment(_ condition: (Segment) -> Bool) -> Segment? {
        while !frames.isEmpty {
            let frame = frames.removeFirst()
            guard frame.count >= 54, frame[12] == 8, frame[13] == 0, frame[23] == 6 else { continue }
            func number(_ at: Int, _ count: Int) -> Int { frame[at..<at + count].reduce(0) { $0 << 8 | Int($1) } }
            let end = 14 + number(16, 2)
            let segment = Segment(sourcePort: number(34, 2), port: number(36, 2), seq: number(38, 4), ack: number(42, 4), flags: frame[47],
                                  payload: Array(frame[(34 + Int(frame[46] >> 4) * 4)..<end]))
            if condition(segment) { return segment }
        }
        return nil
    }
}

/// A TCP socket of the host on 127.0.0.1.
private final class HostSocket {
    let descriptor: Int32

    init(_ descriptor: Int32) { self.descriptor = descriptor }

    convenience init() { self.init(socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)) }

    deinit { close(descriptor) }

    static func loopback(_ port: UInt16) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        return address
    }

    private func with<T>(_ address: inout sockaddr_in, _ body: (UnsafeMutablePointer<sockaddr>) -> T) -> T {
        withUnsafeMutableBytes(of: &address) { body($0.baseAddress!.assumingMemoryBound(to: sockaddr.self)) }
    }

    /// Listens on a port the host chooses, and returns it.
    func listenAnywhere() -> UInt16 {
        var address = Self.loopback(0)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        _ = with(&address) { bind(descriptor, $0, length) }
        listen(descriptor, 1)
        _ = with(&address) { getsockname(descriptor, $0, &length) }
        return UInt16(bigEndian: address.sin_port)
    }

    func connectTo(_ port: UInt16) -> Bool {
        var address = Self.loopback(port)
        return with(&address) { connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) } == 0
    }

    /// A connection, if one is waiting.
    func acceptWaiting() -> HostSocket? {
        var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return poll(&entry, 1, 0) == 1 ? HostSocket(accept(descriptor, nil, nil)) : nil
    }

    func receiveWaiting() -> [UInt8]? {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
        return count > 0 ? Array(buffer[..<count]) : nil
    }

    func transmit(_ bytes: [UInt8]) { _ = Glibc.send(descriptor, bytes, bytes.count, 0) }
}

@Suite struct NetworkSlirpTests {
    private let host: [UInt8] = [10, 0, 2, 2]

    /// DHCPDISCOVER (1) or DHCPREQUEST (3) without options but the type.
    private func dhcp(_ type: UInt8) -> [UInt8] {
        [1, 1, 6, 0, 0xde, 0xad, 0xbe, 0xef] + [UInt8](repeating: 0, count: 20) + [0x52, 0x54, 0, 0x12, 0x34, 0x56]
            + [UInt8](repeating: 0, count: 10 + 64 + 128) + [0x63, 0x82, 0x53, 0x63, 53, 1, type, 255]
    }

    /// Type, offered address, router and name server of a DHCP reply among `frames`.
    private func dhcpReply(_ frames: [[UInt8]]) -> (type: UInt8, address: [UInt8], router: [UInt8]?, nameServer: [UInt8]?)? {
        for frame in frames where frame.count > 282 && frame[23] == 17 && frame[37] == 68 {
            var options: [UInt8: [UInt8]] = [:]
            var index = 282
            while index + 1 < frame.count, frame[index] != 255 {
                let length = Int(frame[index + 1])
                options[frame[index]] = Array(frame[(index + 2)..<(index + 2 + length)])
                index += 2 + length
            }
            if let type = options[53]?.first { return (type, Array(frame[58..<62]), options[3], options[6]) }
        }
        return nil
    }

    @Test func dhcpHandsOutTheFirstAddress() throws {
        let guest = try FrameGuest(SlirpConfiguration())
        for (sent, expected): (UInt8, UInt8) in [(1, 2), (3, 5)] {
            guest.frames = []
            guest.sendUDP(from: [0, 0, 0, 0], 68, to: [255, 255, 255, 255], mac: [UInt8](repeating: 0xff, count: 6), 67, dhcp(sent))
            let reply = try #require(guest.wait { dhcpReply(guest.frames) })
            #expect(reply.type == expected && reply.address == [10, 0, 2, 15])
            #expect(reply.router == [10, 0, 2, 2] && reply.nameServer == [10, 0, 2, 3])
        }
    }

    @Test(arguments: VirtioSetup.allCases)
    func dhcpWorksThroughTheVirtioCard(_ setup: VirtioSetup) throws {
        let events = EventQueue(mode: .host)
        let slirp = try SlirpBackend(SlirpConfiguration(options: [("net", "192.168.76.0/24"), ("dhcpstart", "192.168.76.9")]), events: events)
        let bench = try VirtioBench(setup, VirtioNet(name: "virtio-net0", backend: slirp, mac: MACAddress(index: 0)))
        bench.driver.start(queueCount: 2, size: 16)
        let buffers = (0..<8).map { _ in bench.driver.writable(1526) }
        for buffer in buffers { bench.driver.queues[0]!.add([buffer]) }
        bench.driver.queues[0]!.kick()
        // The frame of the test above, built by a guest that is not connected to this network.
        let recorder = try FrameGuest(SlirpConfiguration())
        var discover: [UInt8] = []
        recorder.divert = { discover = $0 }
        recorder.sendUDP(from: [0, 0, 0, 0], 68, to: [255, 255, 255, 255], mac: [UInt8](repeating: 0xff, count: 6), 67, dhcp(1))
        bench.driver.queues[1]!.add([bench.driver.readable([UInt8](repeating: 0, count: 12)), bench.driver.readable(discover)])
        bench.driver.queues[1]!.kick()
        let received = zip(bench.driver.queues[0]!.used(), buffers).map { Array(bench.driver.contents($1)[12..<Int($0.written)]) }
        #expect(dhcpReply(received)?.address == [192, 168, 76, 9])
    }

    @Test func guestReachesAServerOnTheHostsLoopback() throws {
        let server = HostSocket()
        let port = Int(server.listenAnywhere())
        let guest = try FrameGuest(SlirpConfiguration())
        guest.sendARP(1, to: host, [0, 0, 0, 0, 0, 0])
        guest.sendTCP(40000, to: host, port, seq: 1000, ack: 0, flags: FrameGuest.Flags.syn)
        let answer = try #require(guest.wait { guest.segment { $0.flags & FrameGuest.Flags.syn != 0 } })
        #expect(answer.sourcePort == port && answer.port == 40000 && answer.ack == 1001)
        let request = Array("GET /\n".utf8)
        guest.sendTCP(40000, to: host, port, seq: 1001, ack: answer.seq + 1, flags: FrameGuest.Flags.ack)
        guest.sendTCP(40000, to: host, port, seq: 1001, ack: answer.seq + 1, flags: FrameGuest.Flags.ack | FrameGuest.Flags.push, request)
        let connection = try #require(guest.wait { server.acceptWaiting() })
        #expect(guest.wait { connection.receiveWaiting() } == request)
        connection.transmit(Array("200 fine".utf8))
        let reply = try #require(guest.wait { guest.segment { !$0.payload.isEmpty } })
        #expect(reply.payload == Array("200 fine".utf8))
    }

    @Test func hostForwardReachesTheGuest() throws {
        // A port that was free a moment ago.
        let port = HostSocket().listenAnywhere()
        let guest = try FrameGuest(SlirpConfiguration(options: [("restrict", "on"), ("hostfwd", "tcp:127.0.0.1:\(port)-:80")]))
        guest.sendARP(1, to: host, [0, 0, 0, 0, 0, 0])
        let client = HostSocket()
        #expect(client.connectTo(port))
        let call = try #require(guest.wait { guest.segment { $0.flags & FrameGuest.Flags.syn != 0 } })
        #expect(call.port == 80)
        guest.sendTCP(80, to: host, call.sourcePort, seq: 5000, ack: call.seq + 1, flags: FrameGuest.Flags.syn | FrameGuest.Flags.ack)
        client.transmit([1, 2, 3])
        let data = try #require(guest.wait { guest.segment { !$0.payload.isEmpty } })
        #expect(data.payload == [1, 2, 3])
        guest.sendTCP(80, to: host, call.sourcePort, seq: 5001, ack: data.seq + 3, flags: FrameGuest.Flags.ack | FrameGuest.Flags.push, [9, 8])
        #expect(guest.wait { client.receiveWaiting() } == [9, 8])
        #expect(guest.slirp.removeHostForward(isUDP: false, hostAddress: IPv4Address(0x7f00_0001), hostPort: port))
        #expect(!HostSocket().connectTo(port))
    }

    @Test func restrictedGuestDoesNotReachTheHost() throws {
        let server = HostSocket()
        let port = Int(server.listenAnywhere())
        let guest = try FrameGuest(SlirpConfiguration(options: [("restrict", "on")]))
        guest.sendARP(1, to: host, [0, 0, 0, 0, 0, 0])
        guest.sendTCP(40000, to: host, port, seq: 1000, ack: 0, flags: FrameGuest.Flags.syn)
        for _ in 0..<10 { guest.polls.wait(timeout: 1_000_000) }
        #expect(server.acceptWaiting() == nil)
        #expect(guest.segment { $0.flags & (FrameGuest.Flags.syn | FrameGuest.Flags.ack) == FrameGuest.Flags.syn | FrameGuest.Flags.ack } == nil)
    }

    @Test func framesWaitForAGuestWithoutBuffers() throws {
        let guest = try FrameGuest(SlirpConfiguration())
        guest.room = 0
        guest.sendARP(1, to: host, [0, 0, 0, 0, 0, 0])
        #expect(guest.frames.isEmpty)
        guest.room = .max
        guest.slirp.receiverReady()
        #expect(guest.frames.count == 1)
    }

    @Test func portInUseIsAnErrorThatNamesTheRule() throws {
        let blocker = HostSocket()
        let port = blocker.listenAnywhere()
        var text = ""
        do { _ = try FrameGuest(SlirpConfiguration(options: [("hostfwd", "tcp:127.0.0.1:\(port)-:22")])) } catch { text = "\(error)" }
        #expect(text.contains("hostfwd=tcp:127.0.0.1:\(port)-:22") && text.contains("in use"))
    }

    @Test func hostForwardsParseAsQEMUWritesThem() throws {
        let short = try HostForward(parsing: "tcp::2222-:22")
        #expect(short == HostForward(isUDP: false, hostAddress: IPv4Address(0), hostPort: 2222, guestAddress: nil, guestPort: 22))
        let full = try HostForward(parsing: "udp:127.0.0.1:53-10.0.2.9:5353")
        #expect(full == HostForward(isUDP: true, hostAddress: IPv4Address(0x7f00_0001), hostPort: 53, guestAddress: IPv4Address(0x0a00_0209), guestPort: 5353))
        #expect(try !HostForward(parsing: "::1-:1").isUDP)
        for text in ["", "tcp", "tcp::22", "tcp:22-:22", "sctp::1-:1", "tcp::x-:1", "tcp::70000-:1", "tcp::1-:0", "tcp:1.2.3:1-:1", "tcp::1-1.2.3.4.5:1", "tcp::1-:1:1"] {
            #expect(throws: NetworkError.self) { _ = try HostForward(parsing: text) }
        }
    }

    @Test func optionsOfTheUserNetworkAreCheckedByName() throws {
        let custom = try SlirpConfiguration(options: [("net", "192.168.1.0/24"), ("host", "192.168.1.1"), ("restrict", "on"), ("hostname", "vm")])
        #expect(custom.host.description == "192.168.1.1" && custom.nameServer.description == "192.168.1.3")
        #expect(custom.dhcpStart.description == "192.168.1.15" && custom.isRestricted && custom.guestName == "vm")
        #expect(try SlirpConfiguration(options: [("net", "172.16.0.0/255.255.0.0")]).mask.description == "255.255.0.0")
        #expect(try SlirpConfiguration(options: [("net", "10.0.0.0")]).mask.description == "255.0.0.0")
        for (name, value) in [("net", "10.0.2/24"), ("net", "10.0.2.0/33"), ("net", "10.0.2.0/255.0.255.0"), ("host", "10.0.3.1"), ("host", "10.0.2.3"),
                              ("dns", "x"), ("dhcpstart", "10.0.2.255"), ("restrict", "maybe"), ("hostfwd", "x"), ("colour", "red")] {
            var text = ""
            do { _ = try SlirpConfiguration(options: [(name, value)]) } catch { text = "\(error)" }
            #expect(text.contains(name), "\(name)=\(value): \(text)")
        }
        #expect(throws: NetworkError.self) { _ = try SlirpConfiguration(options: [("ipv4", "off"), ("ipv6", "off")]) }
    }
}
