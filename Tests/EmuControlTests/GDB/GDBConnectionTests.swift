import EmuBus
import EmuControl
import EmuMachine
import Foundation
import Glibc
import TestSupport
import Testing

/// Clients that misbehave, die or come in numbers: the guest never suffers.
@Suite struct GDBConnectionTests {
    /// Tells whether the guest goes on after the last client has gone and nothing is left of it, and ends the run.
    private static func runsOn(_ rig: GDBRig) -> Bool {
        let isAlone = rig.waitUntil { !$0.hasClient && !$0.isHolding && $0.breakpoints == 0 } != nil
        let goesOn = rig.goesOn()
        rig.stop()
        return isAlone && goesOn
    }

    @Test("a client that goes away gives the guest back, wherever it left it", arguments: [
        [], ["?"], ["?", "Z0,80000004,4"], ["?", "vCont;c"], ["?", "Z0,80000004,4", "vCont;c"], ["?", "vCont;r80000000,80000010:1"], ["qRcmd,636f6e74696e7565"],
    ])
    func deadClient(_ packets: [String]) throws {
        let (rig, client) = try GDBRig.pair(try GDBStubTests.countingGuest())
        for packet in packets { client.send(packet) }
        for _ in packets { while let byte = client.byte(), byte != UInt8(ascii: "+") {} }
        client.hangUp()
        #expect(Self.runsOn(rig))
    }

    @Test("a connection cut off within a packet is a client that goes away")
    func cutOff() throws {
        let (rig, client) = try GDBRig.pair(try GDBStubTests.countingGuest())
        #expect(client.ask("?") != nil)
        client.send(raw: "$m80000000,")
        client.hangUp()
        #expect(Self.runsOn(rig))
    }

    @Test("a guest that was started stopped waits for somebody who lets it run: not for who looks in, but for who detaches")
    func startedStopped() throws {
        let rig = try GDBRig.listening(try GDBStubTests.countingGuest(), isPaused: true)
        let first = try rig.connect()
        #expect(first.ask("?") != nil)
        #expect(first.register(5) == 0)
        first.hangUp()
        let second = try rig.connect()
        #expect(second.ask("?") != nil)
        #expect(second.register(5) == 0)
        #expect(second.ask("D;1") == "OK")
        #expect(rig.goesOn())
        second.hangUp()
        #expect(Self.runsOn(rig))
    }

    @Test("who connects and says nothing neither stops the guest nor keeps others out")
    func halfOpen() throws {
        let rig = try GDBRig.listening(try GDBStubTests.countingGuest())
        let silent = try rig.connect()
        let noisy = try rig.connect()
        noisy.send(raw: "GET / HTTP/1.0\r\n\r\n$$$###")
        let client = try rig.connect()
        #expect(client.ask("?")?.hasPrefix("T05") == true)
        #expect(silent.isClosed)
        #expect(noisy.isClosed)
        client.hangUp()
        #expect(Self.runsOn(rig))
    }

    @Test("a second client is turned away and does not disturb the first; when that has gone, the next is let in")
    func twoClients() throws {
        let rig = try GDBRig.listening(try GDBStubTests.countingGuest())
        let first = try rig.connect()
        #expect(first.ask("?") != nil)
        let second = try rig.connect()
        second.send("k")
        #expect(second.isClosed)
        #expect(first.ask("Z0,80000004,4") == "OK")
        #expect(first.ask("c")?.hasPrefix("T05") == true)
        // The same while the guest runs.
        #expect(first.ask("z0,80000004,4") == "OK")
        first.send("c")
        #expect(try rig.connect().isClosed)
        first.send(raw: [3])
        #expect(first.reply()?.hasPrefix("T02") == true)
        first.hangUp()
        #expect(rig.waitUntil { !$0.hasClient } != nil)
        let next = try rig.connect()
        #expect(next.ask("?") != nil)
        #expect(next.register(5) != nil)
        next.hangUp()
        #expect(Self.runsOn(rig))
    }

    @Test("whatever bytes come, answers stay well-formed and the guest runs on", arguments: 1...4)
    func randomBytes(_ seed: UInt64) throws {
        let (rig, client) = try GDBRig.pair(try GDBStubTests.countingGuest(harts: 2))
        client.withoutAcknowledgements()
        var random = SplitMix(seed: seed)
        func pick<T>(_ list: [T]) -> T { list[Int(random.next() % UInt64(list.count))] }
        let words = [
            "m", "M", "X", "Z0", "Z2", "z0", "Z4,", "g", "G", "p", "P", "vCont", ";s", ";r", "H", "Hg", "T", "qXfer:features:read:target.xml:", "qXfer:threads:read::", "qRcmd,",
            "Qqemu.PhyMemMode:", "80000000", "ffffffffffffffff", "0", "1", ",", ":", ";", "-1", "=", "4", "zz", "p1.", "#", "$", "}",
        ]
        for _ in 0..<3000 {
            var body = (0..<random.next() % 6).map { _ in pick(words) }.joined()
            // These let the guest run until told otherwise, or end it.
            if ["k", "c", "C", "D", "R", "vKill"].contains(where: body.hasPrefix) || body.contains("vCont;r") { body = "?" }
            client.send(raw: random.next() % 8 == 0 ? Array(body.utf8) : GDBClient.frame(Array(body.utf8)))
        }
        // All answered or dropped; what is asked now is answered last, and nothing before it like that.
        client.send(raw: [3])
        client.send("qSupported")
        var last: String?
        while let reply = client.reply() {
            last = reply
            if reply.hasPrefix("PacketSize=") { break }
        }
        #expect(last?.hasPrefix("PacketSize=") == true)
        client.hangUp()
        #expect(Self.runsOn(rig))
    }

    @Test("a client that asks and asks and never reads is heard no more after a while, and the guest runs on")
    func neverReads() throws {
        let (rig, client) = try GDBRig.pair(try GDBStubTests.countingGuest())
        _ = fcntl(client.descriptor, F_SETFL, O_NONBLOCK)
        // What the host buffers is the same everywhere.
        var size: Int32 = 1 << 16
        #expect(setsockopt(client.descriptor, SOL_SOCKET, SO_SNDBUF, &size, socklen_t(MemoryLayout<Int32>.size)) == 0)
        let question = GDBClient.frame(Array("qXfer:features:read:target.xml:0,fff".utf8))
        var sent = 0
        for _ in 0..<200 {
            while true {
                let count = question.withUnsafeBytes { Glibc.send(client.descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
                if count <= 0 { break }
                sent += count
            }
            usleep(1000)
        }
        // Buffers of sockets, and a bounded part of it here.
        #expect(sent < 4 << 20)
        #expect(rig.goesOn())
        rig.stop()
    }

    // MARK: Endpoints

    private static let folder = NSTemporaryDirectory() + "emulate-gdb-" + UUID().uuidString

    @Test("a socket file is its owner's alone, gone after the run, replaces an abandoned one and nothing else")
    func socketFile() throws {
        try FileManager.default.createDirectory(atPath: Self.folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: Self.folder) }
        let path = Self.folder + "/gdb"
        func serve() throws -> GDBServer { try GDBServer(Debugger(try GDBStubTests.countingGuest().session), at: .unix(path: path)) }
        do {
            let server = try serve()
            var status = stat()
            #expect(stat(path, &status) == 0 && status.st_mode & 0o777 == 0o600)
            // Somebody listens there.
            #expect(throws: (any Error).self) { try serve() }
            withExtendedLifetime(server) {}
        }
        #expect(access(path, F_OK) != 0)
        let abandoned = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(abandoned, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0 }
        }
        #expect(bound)
        close(abandoned)
        #expect(access(path, F_OK) == 0)
        do { withExtendedLifetime(try serve()) {} }
        try "precious".write(toFile: path, atomically: true, encoding: .utf8)
        #expect(throws: (any Error).self) { try serve() }
        #expect(try String(contentsOfFile: path, encoding: .utf8) == "precious")
    }

    @Test("a place nobody can listen on is named, with what is wrong")
    func badEndpoints() throws {
        let debugger = Debugger(try GDBStubTests.countingGuest().session)
        func problem(_ endpoint: SocketAddress) -> String {
            do {
                _ = try GDBServer(debugger, at: endpoint)
                return "none"
            } catch { return "\(error)" }
        }
        let taken = try GDBServer(debugger, at: .inet(host: "", port: 0))
        let port = try #require(taken.port)
        #expect(problem(.inet(host: "", port: port)).contains("somebody else listens on port \(port)"))
        #expect(problem(.inet(host: "no.such.host.invalid", port: 1)).contains("-gdb tcp:no.such.host.invalid:1"))
        #expect(problem(.unix(path: String(repeating: "x", count: 200))).contains("1 to 107 bytes"))
        #expect(problem(.unix(path: "/nonexistent/gdb")).contains("No such file or directory"))
    }

    @Test("without a host only this computer can connect")
    func loopback() throws {
        let server = try GDBServer(Debugger(try GDBStubTests.countingGuest().session), at: .inet(host: "", port: 0))
        #expect(server.isLoopback)
    }
}
