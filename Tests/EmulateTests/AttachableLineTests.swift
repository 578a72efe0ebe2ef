import EmuBus
import EmuMachine
import Foundation
import Glibc
import Testing

/// Serial lines and monitors whose other end comes and goes.
@Suite(.serialized) struct AttachableLineTests {
    private let directory: TemporaryDirectory
    private var path: String { directory.path("s") }

    init() throws { directory = try TemporaryDirectory() }

    /// Whoever is at the other end.
    private final class Visitor {
        let descriptor: Int32
        private var text = ""

        init(_ descriptor: Int32) { self.descriptor = descriptor }
        deinit { close(descriptor) }

        /// Whoever calls this on a visitor of the moment closes it right afterwards, not before.
        func send(_ text: String) { withExtendedLifetime(self) { #expect(write(descriptor, text, text.utf8.count) == text.utf8.count) } }

        /// Everything that has come up to and with `expected`; nil when it does not come.
        func read(until expected: String) -> String? {
            let deadline = Date(timeIntervalSinceNow: Subprocess.patience)
            var chunk = [UInt8](repeating: 0, count: 4096)
            while deadline.timeIntervalSinceNow > 0 {
                if let range = text.firstRange(of: expected) {
                    defer { text.removeSubrange(..<range.upperBound) }
                    return String(text[..<range.upperBound])
                }
                var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
                guard poll(&entry, 1, 100) > 0 else { continue }
                let count = Glibc.read(descriptor, &chunk, chunk.count)
                if count <= 0 { return nil }
                text += String(decoding: chunk[..<count], as: UTF8.self)
            }
            return nil
        }
    }

    /// A client of the socket, which may not be there yet.
    private func visit() throws -> Visitor {
        let deadline = Date(timeIntervalSinceNow: Subprocess.patience)
        while true {
            do { return Visitor(try SocketAddress.unix(path: path).connect(patience: 1000)) } catch {
                guard deadline.timeIntervalSinceNow > 0 else { throw error }
                usleep(10_000)
            }
        }
    }

    private func run(_ arguments: String...) throws -> Subprocess {
        try Subprocess(["-nodefaults", "-bios", "none", "-kernel", try directory.program("echo.bin", TestGuest.echo)] + arguments)
    }

    @Test func aServerHasOneClientAfterTheOther() throws {
        let run = try run("-serial", "unix:\(path),server=on,wait=off")
        for round in 1...2 {
            let visitor = try visit()
            visitor.send("round \(round).")
            #expect(visitor.read(until: ".")?.hasSuffix("round \(round).") == true)
        }
        try visit().send("!")
        #expect(run.wait() == .code(0))
        // The socket goes with the run.
        #expect(access(path, F_OK) != 0)
    }

    @Test func aServerThatWaitsLosesNothingOfTheStart() throws {
        let run = try run("-serial", "unix:\(path),server")
        #expect(run.errors(until: "waiting for connection on: unix:\(path),server=on") != nil)
        let visitor = try visit()
        #expect(visitor.read(until: ">") == ">")
        visitor.send("!")
        #expect(run.wait() == .code(0))
    }

    @Test func aSignalEndsTheWait() throws {
        let run = try run("-serial", "tcp:127.0.0.1:0,server")
        #expect(run.errors(until: "waiting for connection on: tcp:127.0.0.1:0,server=on") != nil)
        run.signal(SIGTERM)
        #expect(run.wait() != .timeout)
    }

    @Test func aClientConnectsAgainIfItIsToldSo() throws {
        let listener = try SocketAddress.unix(path: path).listen()
        defer { close(listener) }
        func accepted() -> Visitor {
            var entry = pollfd(fd: listener, events: Int16(POLLIN), revents: 0)
            #expect(poll(&entry, 1, Int32(Subprocess.patience) * 1000) == 1)
            return Visitor(accept(listener, nil, nil))
        }
        let run = try run("-chardev", "socket,id=c,path=\(path),reconnect=1", "-serial", "chardev:c")
        for _ in 1...2 {
            let visitor = accepted()
            visitor.send("a")
            #expect(visitor.read(until: "a") != nil)
        }
        accepted().send("!")
        #expect(run.wait() == .code(0))
    }

    @Test func aClientWithoutAServerSaysSo() throws {
        let run = try run("-serial", "unix:\(path)")
        #expect(run.errorsToEnd().contains("emulate: -serial: cannot connect to \(path)"))
        #expect(run.wait() == .code(1))
    }

    @Test func aPseudoTerminalIsOpenedByWhomItConcerns() throws {
        let run = try run("-serial", "pty")
        #expect(run.waitFor("(label serial0)\n"))
        let name = try #require(run.text.firstMatch(of: /char device redirected to (\/dev\/pts\/[0-9]+) \(label serial0\)/)?.1)
        for round in 1...2 {
            let visitor = Visitor(open(String(name), O_RDWR | O_NOCTTY | O_CLOEXEC))
            visitor.send("round \(round)\r.")
            // Nothing is changed on the way, and nothing comes twice.
            #expect(visitor.read(until: ".")?.replacing(">", with: "") == "round \(round)\r.")
        }
        Visitor(open(String(name), O_RDWR | O_NOCTTY | O_CLOEXEC)).send("!")
        #expect(run.wait() == .code(0))
    }

    @Test func theMonitorGreetsEachClient() throws {
        let run = try run("-monitor", "unix:\(path),server,nowait")
        for greeting in ["type 'help' for more information", "(emulate) "] {
            let visitor = try visit()
            #expect(visitor.read(until: greeting) != nil)
            visitor.send("info status\r")
            #expect(visitor.read(until: "VM status: running") != nil)
        }
        try visit().send("quit\r")
        #expect(run.wait() == .code(0))
    }

    @Test func consoleAndMonitorShareASocket() throws {
        let run = try run("-serial", "mon:unix:\(path),server")
        let visitor = try visit()
        #expect(visitor.read(until: ">") != nil)
        visitor.send("\u{1}c")
        #expect(visitor.read(until: "(emulate) ") != nil)
        visitor.send("\u{1}x")
        #expect(visitor.read(until: "terminated") != nil)
        #expect(run.wait() == .code(0))
    }

    @Test func somebodyWhoDoesNotReadDoesNotStopTheGuest() throws {
        let console = SerialConsole(version: "1"), group = IOPollGroup()
        var socket = SocketLineConfig(.unix(path: path))
        socket.isServer = true
        let line = try #require(try console.makeBackend(CharacterConfig(.socket(socket))) as? AttachableLine)
        group.add(line)
        let visitor = Visitor(try SocketAddress.unix(path: path).connect())
        group.wait(timeout: 0)
        let text = [UInt8](repeating: 0x61, count: 4 << 20)
        line.write(text)
        line.write(text)
        // It is heard again once it reads.
        var chunk = [UInt8](repeating: 0, count: 1 << 20)
        while recv(visitor.descriptor, &chunk, chunk.count, Int32(MSG_DONTWAIT)) > 0 { group.wait(timeout: 0) }
        line.write(Array("end".utf8))
        #expect(visitor.read(until: "end") == "end")
    }
}
