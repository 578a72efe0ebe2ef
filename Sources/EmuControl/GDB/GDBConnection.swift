import EmuBus
import Glibc

/// One client's connection: bytes in and out, framing, acknowledgements. Never waits for the client.
final class GDBConnection {
    private let descriptor: Int32
    private var reader = GDBPacketReader()
    private var packets: [[UInt8]] = []
    /// Bytes of `packets`.
    private var waiting = 0
    private var output: [UInt8] = []
    private var lastSent: [UInt8] = []
    /// Both sides acknowledge packets.
    var acknowledges = true
    /// The client has sent a whole packet, and not detached since.
    var hasSpoken = false
    /// Packets received and carried out so far, and how many had been received when Ctrl-C came last.
    private var receivedCount = 0
    private var takenCount = 0
    private var interruptedAt: Int?
    /// Nothing more will come.
    private(set) var isEnded = false
    /// Nothing more can be sent.
    private(set) var isBroken = false
    private var index: Int?

    /// Most bytes of packets not yet carried out before no more are read, and of answers not yet taken before no more are given.
    private static let inputLimit = 4 * GDBPacket.size
    private static let outputLimit = 8 * GDBPacket.size
    /// An empty packet counts as well, or they could be sent without end.
    private static let overhead = 16

    /// - Parameter descriptor: a connected stream socket, which becomes this object's.
    init(_ descriptor: Int32) {
        self.descriptor = descriptor
        _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        // Packets are small and each waits for the other side's; a client whose machine has gone is noticed within a minute.
        for (level, option, value) in [
            (Int32(IPPROTO_TCP), TCP_NODELAY, Int32(1)), (SOL_SOCKET, SO_KEEPALIVE, 1), (Int32(IPPROTO_TCP), TCP_KEEPIDLE, 20),
            (Int32(IPPROTO_TCP), TCP_KEEPINTVL, 10), (Int32(IPPROTO_TCP), TCP_KEEPCNT, 3), (Int32(IPPROTO_TCP), TCP_USER_TIMEOUT, 60_000),
        ] {
            // Sockets of other families have none of these but keep-alive.
            var value = value
            setsockopt(descriptor, level, option, &value, socklen_t(MemoryLayout<Int32>.size))
        }
    }

    deinit { close(descriptor) }

    /// There is a packet, and room for its answer.
    var mayBeServed: Bool { !packets.isEmpty && takesAnswers }
    private var takesAnswers: Bool { output.count < Self.outputLimit }

    /// Ctrl-C came after the packet taken last. One that came before it was about something else.
    var isInterrupted: Bool { interruptedAt.map { $0 >= takenCount } ?? false }

    func clearInterrupt() { interruptedAt = nil }

    func nextPacket() -> [UInt8]? {
        guard mayBeServed else { return nil }
        takenCount += 1
        let packet = packets.removeFirst()
        waiting -= packet.count + Self.overhead
        return packet
    }

    // MARK: Polling

    func fillPoll(_ set: PollSet) {
        var events: PollSet.Events = []
        if mayRead { events.insert(.readable) }
        if !output.isEmpty { events.insert(.writable) }
        index = isBroken || (isEnded && output.isEmpty) ? nil : set.add(descriptor, events)
    }

    private var mayRead: Bool { !isEnded && waiting < Self.inputLimit && takesAnswers }

    func handlePoll(_ set: PollSet) {
        guard let index else { return }
        self.index = nil
        let ready = set.ready(index)
        if ready.isEmpty { return }
        if ready.contains(.writable) { flush() }
        if mayRead, !ready.intersection([.readable, .hangUp, .error]).isEmpty {
            read()
        } else if !ready.intersection([.hangUp, .error, .invalid]).isEmpty {
            fail()
        }
    }

    private func fail() {
        isBroken = true
        isEnded = true
        output = []
        packets = []
        waiting = 0
    }

    private func read() {
        // To the end, or a client that has gone would be taken for one that is still there because of what it said last.
        // But not for ever: one may send faster than this reads.
        for _ in 0..<16 where mayRead {
            var bytes = [UInt8](repeating: 0, count: 4096)
            let count = recv(descriptor, &bytes, bytes.count, 0)
            if count < 0 {
                if errno == EINTR { continue }
                if errno != EAGAIN { fail() }
                return
            }
            if count == 0 { isEnded = true }
            for byte in bytes[..<count] { take(byte) }
        }
    }

    private func take(_ byte: UInt8) {
        switch reader.take(byte) {
        case .packet(let body)?:
            if acknowledges { write([UInt8(ascii: "+")]) }
            hasSpoken = true
            receivedCount += 1
            packets.append(body)
            waiting += body.count + Self.overhead
        case .damaged?: if acknowledges { write([UInt8(ascii: "-")]) }
        // One repetition at a time: the client can ask faster than it reads.
        case .reject?: if acknowledges, output.isEmpty { write(lastSent) }
        case .interrupt?: interruptedAt = receivedCount
        case .acknowledge?, nil: break
        }
    }

    // MARK: Sending

    func send(_ body: [UInt8]) {
        lastSent = GDBPacket.frame(body)
        write(lastSent)
    }

    private func write(_ bytes: [UInt8]) {
        guard !isBroken else { return }
        output += bytes
        flush()
    }

    private func flush() {
        while !output.isEmpty {
            let count = Glibc.send(descriptor, output, output.count, Int32(MSG_NOSIGNAL))
            if count > 0 {
                output.removeFirst(count)
            } else if errno != EINTR {
                if errno != EAGAIN { fail() }
                return
            }
        }
    }

    /// Gives the client a moment to take what is left. For the end of the run.
    func drain(milliseconds: Int32) {
        while !output.isEmpty, !isBroken {
            var entry = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
            guard poll(&entry, 1, milliseconds) > 0 else { return }
            flush()
        }
    }
}
