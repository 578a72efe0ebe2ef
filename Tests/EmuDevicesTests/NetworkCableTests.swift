import EmuBus
import EmuDevices
import Foundation
import Testing

/// A card that keeps what it gets.
final class Card: NetworkReceiver {
    let backend: any NetworkBackend
    var frames: [[UInt8]] = []
    var room = Int.max

    init(_ backend: any NetworkBackend) {
        self.backend = backend
        backend.receiver = self
    }

    func receive(_ frame: UnsafeRawBufferPointer) -> Bool {
        if room == 0 { return false }
        room -= 1
        frames.append(Array(frame))
        return true
    }

    func send(_ frame: [UInt8]) { frame.withUnsafeBytes { backend.send($0) } }
}

private func poll(_ pollers: [any IOPoller], until condition: () -> Bool) -> Bool {
    let group = IOPollGroup()
    for poller in pollers { group.add(poller) }
    for _ in 0..<3000 {
        if condition() { return true }
        group.wait(timeout: 10_000_000)
    }
    return condition()
}

private func frame(_ number: Int, _ length: Int) -> [UInt8] { (0..<length).map { UInt8(truncatingIfNeeded: $0 &+ number) } }

@Suite struct NetworkCableTests {
    private func folder() throws -> URL {
        let folder = FileManager.default.temporaryDirectory.appending(path: "net-\(UUID().uuidString.prefix(8))")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        return folder
    }

    @Test("frames cross a stream in order, whole, in both directions", arguments: [true, false]) func streams(isFile: Bool) throws {
        let folder = try folder()
        defer { try? FileManager.default.removeItem(at: folder) }
        let path = SocketAddress.unix(path: folder.appending(path: "s").path)
        let listening = try StreamBackend(listening: isFile ? path : .inet(host: "", port: 0))
        let connecting = try StreamBackend(connecting: isFile ? path : .inet(host: "127.0.0.1", port: try #require(listening.port)))
        let left = Card(listening), right = Card(connecting)
        var sent: [[UInt8]] = []
        // What is sent before the cable is whole is lost, as without a cable.
        #expect(poll([listening, connecting]) {
            right.send(frame(0, 60))
            return !left.frames.isEmpty
        })
        left.frames = []
        for number in 1..<200 {
            sent.append(frame(number, 60 + 317 * number % 9000))
            right.send(sent[number - 1])
        }
        #expect(poll([listening, connecting]) { left.frames.last == sent.last })
        #expect(Array(left.frames.suffix(sent.count)) == sent)
        left.send(frame(7, 1500))
        #expect(poll([listening, connecting]) { right.frames.last == frame(7, 1500) })
    }

    @Test func aCardWithoutRoomStopsTheStreamAndLosesNothing() throws {
        let listening = try StreamBackend(listening: .inet(host: "", port: 0))
        let connecting = try StreamBackend(connecting: .inet(host: "127.0.0.1", port: try #require(listening.port)))
        let left = Card(listening), right = Card(connecting)
        #expect(poll([listening, connecting]) {
            right.send(frame(0, 60))
            return !left.frames.isEmpty
        })
        #expect(poll([listening, connecting]) { true })
        left.room = 3
        left.frames = []
        for number in 1...50 { right.send(frame(number, 1000)) }
        #expect(poll([listening, connecting]) { left.room == 0 })
        left.room = .max
        listening.receiverReady()
        #expect(poll([listening, connecting]) { left.frames.contains(frame(50, 1000)) })
        #expect(Array(left.frames.suffix(50)) == (1...50).map { frame($0, 1000) })
    }

    @Test func aPeerThatGoesIsFollowedByTheNext() throws {
        let listening = try StreamBackend(listening: .inet(host: "", port: 0))
        let port = try #require(listening.port)
        let card = Card(listening)
        for number in 0..<3 {
            let connecting = try StreamBackend(connecting: .inet(host: "127.0.0.1", port: port))
            let other = Card(connecting)
            #expect(poll([listening, connecting]) {
                other.send(frame(number, 100))
                return card.frames.last == frame(number, 100)
            })
        }
        // An impossible length ends the connection, not the machine.
        let raw = try SocketAddress.inet(host: "127.0.0.1", port: port).connect()
        #expect(poll([listening]) { write(raw, [0xff, 0xff, 0xff, 0xff, 0], 5) == 5 })
        var byte: UInt8 = 0
        #expect(poll([listening]) { read(raw, &byte, 1) == 0 })
        close(raw)
    }

    @Test func aConnectingEndComesBack() throws {
        let folder = try folder()
        defer { try? FileManager.default.removeItem(at: folder) }
        let path = SocketAddress.unix(path: folder.appending(path: "s").path)
        #expect(throws: NetworkError.self) { _ = try StreamBackend(connecting: path) }
        // Nobody listens on this port any more.
        let port = try #require(try StreamBackend(listening: .inet(host: "", port: 0)).port)
        #expect { _ = try StreamBackend(connecting: .inet(host: "127.0.0.1", port: port)) } throws: { "\($0)".contains("start the other end first") }
        let connecting = try StreamBackend(connecting: path, retryInterval: 1_000_000)
        let right = Card(connecting)
        for number in 0..<2 {
            let listening = try StreamBackend(listening: path)
            let left = Card(listening)
            #expect(poll([listening, connecting]) {
                right.send(frame(number, 80))
                return left.frames.last == frame(number, 80)
            })
        }
    }

    @Test func datagramsCrossBetweenTwoEnds() throws {
        let folder = try folder()
        defer { try? FileManager.default.removeItem(at: folder) }
        let a = SocketAddress.unix(path: folder.appending(path: "a").path), b = SocketAddress.unix(path: folder.appending(path: "b").path)
        let first = try DatagramBackend(local: a, remote: b), second = try DatagramBackend(local: b, remote: a)
        let left = Card(first), right = Card(second)
        left.send(frame(1, 1514))
        right.send(frame(2, 60))
        #expect(poll([first, second]) { !left.frames.isEmpty && !right.frames.isEmpty })
        #expect(right.frames == [frame(1, 1514)] && left.frames == [frame(2, 60)])
    }

    @Test func onlyMulticastAddressesAreGroups() {
        #expect(throws: NetworkError.self) { _ = try DatagramBackend(group: IPv4Address(0x0a00_0001), port: 1234, interface: nil) }
    }

    @Test func capturesAreFilesForWireshark() throws {
        let folder = try folder()
        defer { try? FileManager.default.removeItem(at: folder) }
        let a = SocketAddress.unix(path: folder.appending(path: "a").path), b = SocketAddress.unix(path: folder.appending(path: "b").path)
        let near = try DatagramBackend(local: a, remote: b), far = try DatagramBackend(local: b, remote: a)
        let path = folder.appending(path: "x.pcap").path
        let card = Card(try PacketCapture(of: near, path: path, limit: 100) { 1_700_000_000_123_456_789 }), other = Card(far)
        card.send(frame(1, 60))
        #expect(poll([near, far]) { !other.frames.isEmpty })
        other.send(frame(2, 300))
        #expect(poll([near, far]) { !card.frames.isEmpty })
        func words(_ values: [UInt32]) -> [UInt8] { values.flatMap { value in withUnsafeBytes(of: value.littleEndian) { Array($0) } } }
        let time: [UInt32] = [1_700_000_000, 123_456]
        let expected = words([0xa1b2_c3d4, 0x0004_0002, 0, 0, 100, 1]) + words(time + [60, 60]) + frame(1, 60) + words(time + [100, 300]) + frame(2, 300).prefix(100)
        #expect(try Array(Data(contentsOf: URL(filePath: path))) == expected)
    }

    @Test(arguments: [
        ("tcp:10.0.2.100:7-cmd:cat -u", "10.0.2.100", 7, "cat -u"), (":10.0.2.9:80-cmd:a-b", "10.0.2.9", 80, "a-b"),
    ] as [(String, String, UInt16, String)])
    func guestForwardsAreParsed(text: String, address: String, port: UInt16, command: String) throws {
        let forward = try GuestForward(parsing: text)
        #expect(forward.address.description == address && forward.port == port && forward.command == command)
    }

    @Test(arguments: ["tcp:10.0.2.100:7", "udp:10.0.2.100:7-cmd:cat", "tcp:10.0.2.100:0-cmd:cat", "tcp:x:7-cmd:cat", "tcp:10.0.2.100:7-cmd:", "tcp:10.0.2.100:7-tcp:x"])
    func badGuestForwardsAreNamed(text: String) {
        do {
            _ = try GuestForward(parsing: text)
            Issue.record("accepted")
        } catch { #expect("\(error)".contains("guestfwd=\(text)") && "\(error)".contains("for example")) }
    }
}
