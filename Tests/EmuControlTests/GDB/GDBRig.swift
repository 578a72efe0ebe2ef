import EmuBus
import EmuControl
import EmuMachine
import Foundation
import Glibc
import Synchronization
import TestSupport
import Testing

/// A guest served to GDB clients on a thread of its own. Its state may be looked at after `stop` only; until then there are glimpses.
final class GDBRig {
    let guest: DebugGuest
    let debugger: Debugger
    let server: GDBServer
    private let ending = Ending()
    private let witness: Witness

    /// What the guest's thread saw the last time it looked for input.
    struct Glimpse: Sendable {
        var hasClient: Bool
        var isHolding: Bool
        var breakpoints: Int
        /// Of each hart.
        var cycles: [UInt64]
    }

    /// Looks at the state on the guest's own thread and leaves a copy for the test's.
    private final class Witness: IOPoller {
        /// Belong to the rig, as the machine does that this object is added to.
        private unowned let server: GDBServer
        private unowned let session: DebugSession
        private let glimpse = Mutex<Glimpse?>(nil)

        init(_ server: GDBServer, _ session: DebugSession) {
            self.server = server
            self.session = session
        }

        var last: Glimpse? { glimpse.withLock { $0 } }

        func fillPoll(_ set: PollSet) {
            let seen = Glimpse(
                hasClient: server.hasClient, isHolding: server.isHolding, breakpoints: session.userBreakpoints.count,
                cycles: session.machine.harts.map(\.cycles))
            glimpse.withLock { $0 = seen }
        }

        func handlePoll(_ set: PollSet) {}
    }

    private final class Ending: Sendable {
        let status = Mutex<EmuMachine.ExitStatus?>(nil)
        let semaphore = DispatchSemaphore(value: 0)
    }

    /// What runs on the other thread: nothing else touches it while it does.
    private struct Work: @unchecked Sendable { let server: GDBServer }

    /// Serves one client, whose end is returned by `connect`.
    private init(_ guest: DebugGuest, _ make: (Debugger) throws -> GDBServer) throws {
        self.guest = guest
        debugger = Debugger(guest.session)
        server = try make(debugger)
        witness = Witness(server, guest.session)
        guest.machine.pollers.add(witness)
    }

    private func start() {
        let work = Work(server: server)
        Thread.detachNewThread { [ending] in
            let status = work.server.run()
            ending.status.withLock { $0 = status }
            ending.semaphore.signal()
        }
    }

    /// A guest with one client on a socket pair.
    static func pair(_ guest: DebugGuest, isPaused: Bool = false) throws -> (GDBRig, GDBClient) {
        var ends: [Int32] = [-1, -1]
        #expect(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0, &ends) == 0)
        guest.machine.isPaused = isPaused
        let rig = try GDBRig(guest) { try GDBServer($0, serving: ends[0]) }
        rig.start()
        return (rig, GDBClient(ends[1]))
    }

    /// A guest to which clients connect by TCP.
    static func listening(_ guest: DebugGuest, isPaused: Bool = false) throws -> GDBRig {
        guest.machine.isPaused = isPaused
        let rig = try GDBRig(guest) { try GDBServer($0, at: .inet(host: "", port: 0)) }
        rig.start()
        return rig
    }

    func connect() throws -> GDBClient {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = try #require(server.port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        let connected = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0 }
        }
        try #require(connected)
        return GDBClient(descriptor)
    }

    /// The most that is waited for anything, however slow the machine is.
    static let patience = 60

    /// Waits for a glimpse of the running guest that is as wanted; nil when none comes.
    @discardableResult
    func waitUntil(_ isRight: (Glimpse) -> Bool) -> Glimpse? {
        let deadline = ContinuousClock.now + .seconds(Self.patience)
        repeat {
            if let glimpse = witness.last, isRight(glimpse) { return glimpse }
            usleep(1000)
        } while ContinuousClock.now < deadline
        return nil
    }

    /// True when a hart gets further than it is now.
    func goesOn(hart: Int = 0) -> Bool {
        guard let now = waitUntil({ !$0.isHolding }) else { return false }
        return waitUntil { $0.cycles[hart] > now.cycles[hart] } != nil
    }

    /// Ends the run from outside and returns how it ended; nil when it does not end.
    @discardableResult
    func stop() -> EmuMachine.ExitStatus? {
        guest.machine.host.stopper.requestStop(.user)
        return wait()
    }

    /// How the run ended; nil when it does not end in time.
    func wait() -> EmuMachine.ExitStatus? {
        if let status = ending.status.withLock({ $0 }) { return status }
        guard ending.semaphore.wait(timeout: .now() + .seconds(Self.patience)) == .success else { return nil }
        return ending.status.withLock { $0 }
    }
}

/// A client that says what it is told to, right or wrong.
final class GDBClient {
    let descriptor: Int32
    private var acknowledges = true
    private var received: ArraySlice<UInt8> = []
    /// Nothing more can come.
    private var isAtEnd = false

    init(_ descriptor: Int32) {
        self.descriptor = descriptor
        var limit = timeval(tv_sec: GDBRig.patience, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    }

    deinit { hangUp() }

    private var isOpen = true

    func hangUp() {
        // Even where something has a copy of the descriptor, the server sees the end.
        if isOpen { shutdown(descriptor, Int32(SHUT_RDWR)) }
        if isOpen { close(descriptor) }
        isOpen = false
    }

    func send(raw bytes: [UInt8]) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            if count <= 0 { return }
            rest = rest.dropFirst(count)
        }
    }

    func send(raw text: String) { send(raw: Array(text.utf8)) }

    static func frame(_ body: [UInt8]) -> [UInt8] {
        let sum = String(body.reduce(UInt8(0)) { $0 &+ $1 }, radix: 16)
        return Array("$".utf8) + body + Array("#\(sum.count == 1 ? "0" : "")\(sum)".utf8)
    }

    func send(_ body: String) { send(raw: Self.frame(Array(body.utf8))) }

    /// The next byte; nil at the end, or when none comes.
    func byte() -> UInt8? {
        if received.isEmpty {
            var bytes = [UInt8](repeating: 0, count: 65536)
            let count = recv(descriptor, &bytes, bytes.count, 0)
            guard count > 0 else {
                // `errno` says something only when the call failed.
                isAtEnd = count == 0 || errno != EAGAIN
                return nil
            }
            received = bytes[..<count]
        }
        return received.popFirst()
    }

    /// The body of the next packet, acknowledgements passed over, escapes undone.
    func reply() -> String? {
        while let byte = byte(), byte != UInt8(ascii: "$") {}
        var body: [UInt8] = []
        while let next = byte() {
            if next == UInt8(ascii: "#") {
                guard byte() != nil, byte() != nil else { return nil }
                if acknowledges { send(raw: "+") }
                return String(decoding: body, as: UTF8.self)
            }
            if next == UInt8(ascii: "}") {
                guard let escaped = byte() else { return nil }
                body.append(escaped ^ 0x20)
            } else {
                body.append(next)
            }
        }
        return nil
    }

    /// Sends a packet and returns what comes back.
    func ask(_ body: String) -> String? {
        send(body)
        return reply()
    }

    /// Sends a packet; the text that comes before its last answer, and that answer.
    func monitor(_ command: String) -> (text: String, answer: String?) {
        send("qRcmd," + command.utf8.map { Self.hex($0) }.joined())
        var text: [UInt8] = []
        while let part = reply() {
            guard part.hasPrefix("O"), part != "OK" else { return (String(decoding: text, as: UTF8.self), part) }
            text += Self.bytes(part.dropFirst())
        }
        return (String(decoding: text, as: UTF8.self), nil)
    }

    static func hex(_ byte: UInt8) -> String { (byte < 16 ? "0" : "") + String(byte, radix: 16) }

    static func bytes(_ text: some StringProtocol) -> [UInt8] {
        let digits = Array(text)
        return stride(from: 0, to: digits.count - 1, by: 2).compactMap { UInt8(String(digits[$0...$0 + 1]), radix: 16) }
    }

    /// Sends no acknowledgements any more.
    func withoutAcknowledgements() {
        #expect(ask("QStartNoAckMode") == "OK")
        acknowledges = false
    }

    /// The number in a register of 64 bits.
    func register(_ number: Int) -> UInt64? {
        guard let text = ask("p" + String(number, radix: 16)), text.count == 16 else { return nil }
        return Self.bytes(text).reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// True when the other side has closed the connection.
    var isClosed: Bool {
        while byte() != nil {}
        return isAtEnd
    }
}
