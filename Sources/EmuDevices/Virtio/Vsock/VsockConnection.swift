import EmuBus
import Glibc

/// One stream between a port of the guest and a socket of the host.
final class VsockConnection {
    enum Stage {
        /// A client of the host that has not said yet which port it wants.
        case greeting
        /// The guest has been asked and has not answered.
        case requested
        case open
        /// One side has ended it; what the guest sent is still on its way, and the guest has not confirmed.
        case closing
    }

    /// Bytes of the guest kept for a host that does not read.
    static let room: UInt32 = 256 << 10
    /// Longest line a client may greet with.
    private static let greetingLimit = 32

    /// -1 once closed.
    private(set) var descriptor: Int32
    var guestPort: UInt32
    let hostPort: UInt32
    var stage: Stage
    private var greeting: [UInt8] = []
    /// From the guest, not taken by the host yet; begins at `start`.
    private var outgoing: [UInt8] = []
    private var start = 0
    /// Bytes passed on to the host, and how many of them the guest knows of; free-running.
    private(set) var passedOn: UInt32 = 0
    private var toldPassedOn: UInt32 = 0
    /// Bytes sent to the guest, its room, and how many it has passed on; free-running.
    private var sent: UInt32 = 0
    private var guestRoom: UInt32 = 0
    private var guestPassedOn: UInt32 = 0
    /// What the guest will not do any more.
    private(set) var guestShutdown: UInt32 = 0
    /// The host has sent all it has.
    private(set) var isHostDone = false
    /// Of the poll under way.
    var pollIndex: Int?

    init(_ descriptor: Int32, guestPort: UInt32, hostPort: UInt32, stage: Stage) {
        self.descriptor = descriptor
        self.guestPort = guestPort
        self.hostPort = hostPort
        self.stage = stage
    }

    deinit { close() }

    func close() {
        if descriptor >= 0 { Glibc.close(descriptor) }
        descriptor = -1
        outgoing = []
        start = 0
    }

    // MARK: Credit

    private var pending: Int { outgoing.count - start }
    var isDrained: Bool { pending == 0 }

    /// Bytes the guest has room for (5.10.6.3).
    var credit: Int {
        let free = guestRoom &- (sent &- guestPassedOn)
        // A guest that passes on what was never sent gets nothing.
        return free <= guestRoom ? Int(free) : 0
    }

    func noteCredit(_ packet: VsockPacket) {
        guestRoom = packet.room
        guestPassedOn = packet.passedOn
    }

    /// Fills in what every packet tells the guest.
    func stamp(_ packet: inout VsockPacket) {
        packet.room = Self.room
        packet.passedOn = passedOn
        toldPassedOn = passedOn
    }

    /// The guest should hear that there is room again.
    var owesCredit: Bool { passedOn &- toldPassedOn >= Self.room / 2 }

    // MARK: To the host

    /// Takes data of the guest; false when it is more than it was told there is room for.
    func take(_ data: GuestBuffer) -> Bool {
        guard data.count <= Int(Self.room) - pending else { return false }
        if descriptor < 0 || isBroken {
            passedOn &+= UInt32(data.count)
            return true
        }
        if start > 0 {
            outgoing.removeFirst(start)
            start = 0
        }
        outgoing += data.bytes(data.count)
        flush()
        return true
    }

    /// The host takes no more: its end is gone.
    private(set) var isBroken = false

    /// Writes what the host takes.
    func flush() {
        outgoing.withUnsafeBytes { bytes in
            while start < bytes.count, descriptor >= 0 {
                let count = send(descriptor, bytes.baseAddress.map { $0 + start }, bytes.count - start, Int32(MSG_NOSIGNAL))
                if count < 0, errno == EINTR { continue }
                if count < 0, errno != EAGAIN { isBroken = true }
                if count <= 0 { break }
                start += count
                passedOn &+= UInt32(count)
            }
        }
        if isBroken { drop() }
        if isDrained { endSending() }
    }

    private func drop() {
        passedOn &+= UInt32(pending)
        outgoing = []
        start = 0
    }

    func note(shutdown flags: UInt32) {
        guestShutdown |= flags & VsockPacket.Shutdown.both
        if isDrained { endSending() }
    }

    private func endSending() {
        if descriptor >= 0, guestShutdown & VsockPacket.Shutdown.send != 0 { Glibc.shutdown(descriptor, Int32(SHUT_WR)) }
    }

    /// Answers a client's greeting.
    func welcome() {
        outgoing = Array("OK \(hostPort)\n".utf8)
        start = 0
        flush()
        // The guest did not send this.
        passedOn = 0
        toldPassedOn = 0
    }

    // MARK: From the host

    /// Reads as much as there is, up to `target`; nil when there is nothing now, 0 at the end.
    func read(into target: UnsafeMutableRawBufferPointer) -> Int? {
        while true {
            let count = recv(descriptor, target.baseAddress, target.count, 0)
            if count < 0, errno == EINTR { continue }
            if count < 0, errno == EAGAIN { return nil }
            if count <= 0 { isHostDone = true }
            return max(0, count)
        }
    }

    func noteSent(_ count: Int) { sent &+= UInt32(count) }

    enum Greeting {
        case incomplete, port(UInt32), nonsense
    }

    /// Reads `CONNECT PORT` and not a byte more: what follows is for the guest.
    func readGreeting() -> Greeting {
        var byte: UInt8 = 0
        while true {
            guard let count = withUnsafeMutableBytes(of: &byte, { read(into: $0) }) else { return .incomplete }
            if count == 0 { return .nonsense }
            if byte == 10 { break }
            greeting.append(byte)
            if greeting.count > Self.greetingLimit { return .nonsense }
        }
        let words = String(decoding: greeting, as: UTF8.self).split(separator: " ")
        guard words.count == 2, words[0] == "CONNECT", let port = UInt32(words[1]) else { return .nonsense }
        return .port(port)
    }

    /// What to wait for; empty for nothing.
    func wanted(hasGuestBuffers: Bool) -> PollSet.Events {
        guard descriptor >= 0 else { return [] }
        var events: PollSet.Events = isDrained ? [] : .writable
        switch stage {
        case .greeting: events.insert(.readable)
        case .open where !isHostDone && hasGuestBuffers && credit > 0 && guestShutdown & VsockPacket.Shutdown.receive == 0: events.insert(.readable)
        default: break
        }
        return events
    }
}
