import EmuBus
import Glibc

/// A cable between two machines over a stream socket: each frame is preceded by its length, 32 bits, most significant byte first
/// (as QEMU's `-netdev stream` and `-netdev socket,listen=|connect=` have it).
///
/// A listening end serves one peer at a time and waits for the next when it goes; a connecting end that loses its peer tries again if it was told to.
public final class StreamBackend: NetworkBackend, IOPoller {
    public weak var receiver: (any NetworkReceiver)?
    private let address: SocketAddress
    /// Listens for peers; -1 on a connecting end.
    private var listener: Int32 = -1
    private var listenerIndex: Int?
    /// The peer, or -1.
    private var peer: Int32 = -1
    private var peerIndex: Int?
    private var isConnecting = false
    /// Nanoseconds between two tries to reach a peer; nil where one is enough.
    private var retryInterval: UInt64?
    /// Host time in nanoseconds before which a lost peer is not tried again.
    private var nextTry: UInt64 = 0
    private var incoming: [UInt8] = []
    private var outgoing: [UInt8] = []
    private var backlog = FrameBacklog()
    private static let frameLimit = 65536 + 64
    /// Bytes kept for a peer that does not read; frames beyond are dropped.
    private static let outgoingLimit = 1 << 20
    private static let readSize = 256 << 10
    /// Milliseconds the peer of an end that tries only once has to answer.
    private static let patience: Int32 = 5000

    /// The listening end.
    /// - Throws: `NetworkError` when nobody can listen there.
    public init(listening address: SocketAddress) throws(NetworkError) {
        self.address = address
        do throws(SocketError) { listener = try address.listen() } catch { throw NetworkError(error.description) }
        signal(SIGPIPE, SIG_IGN)
    }

    /// The connecting end.
    /// - Parameter retryInterval: nanoseconds after which a peer that is lost, or was not there, is tried again. Nil: never; then the peer has to
    ///   be there now, and the cable ends with it.
    /// - Throws: `NetworkError` when it is not, after a few seconds at most.
    public init(connecting address: SocketAddress, retryInterval: UInt64? = nil) throws(NetworkError) {
        self.address = address
        self.retryInterval = retryInterval
        signal(SIGPIPE, SIG_IGN)
        do throws(SocketError) {
            peer = try address.connect(patience: retryInterval == nil ? Self.patience : 0)
            isConnecting = retryInterval != nil
        } catch {
            guard let retryInterval else { throw NetworkError("\(error); start the other end first") }
            nextTry = HostClock.now() &+ retryInterval
        }
    }

    deinit {
        if peer >= 0 { close(peer) }
        guard listener >= 0 else { return }
        close(listener)
        if case .unix(let path) = address { unlink(path) }
    }

    /// The port it listens on, for one that was left to the host to choose.
    package var port: UInt16? {
        var address = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let found = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(listener, $0, &length) == 0 }
        }
        return found ? UInt16(bigEndian: address.sin_port) : nil
    }

    // MARK: Frames

    public func send(_ frame: UnsafeRawBufferPointer) {
        guard peer >= 0, !isConnecting, outgoing.count < Self.outgoingLimit else { return }
        withUnsafeBytes(of: UInt32(frame.count).bigEndian) { outgoing.append(contentsOf: $0) }
        outgoing.append(contentsOf: frame)
        flush()
    }

    public func receiverReady() {
        backlog.resume(receiver)
        deliver()
    }

    /// Hands on whole frames as long as the card takes them.
    private func deliver() {
        var start = 0
        incoming.withUnsafeBytes { bytes in
            while backlog.isEmpty, bytes.count - start >= 4 {
                let length = Int(UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: start, as: UInt32.self)))
                guard length <= Self.frameLimit else {
                    start = -1
                    return
                }
                guard bytes.count - start - 4 >= length else { return }
                backlog.deliver(UnsafeRawBufferPointer(rebasing: bytes[start + 4..<start + 4 + length]), to: receiver)
                start += 4 + length
            }
        }
        if start < 0 {
            Log.write(.guestErrors, "network \(address.text): the peer sent a frame longer than \(Self.frameLimit) bytes; it is dropped")
            drop()
        } else {
            incoming.removeFirst(start)
        }
    }

    private func flush() {
        var sent = 0
        outgoing.withUnsafeBytes { bytes in
            while sent < bytes.count {
                let count = Glibc.send(peer, bytes.baseAddress.map { $0 + sent }, bytes.count - sent, Int32(MSG_NOSIGNAL))
                if count < 0, errno == EINTR { continue }
                if count <= 0 { break }
                sent += count
            }
        }
        outgoing.removeFirst(sent)
    }

    // MARK: The peer

    private func drop() {
        close(peer)
        peer = -1
        isConnecting = false
        incoming = []
        outgoing = []
        if let retryInterval { nextTry = HostClock.now() &+ retryInterval }
    }

    private func reconnect() {
        guard let retryInterval, listener < 0 else { return }
        guard let descriptor = try? address.connect() else {
            nextTry = HostClock.now() &+ retryInterval
            return
        }
        peer = descriptor
        isConnecting = true
    }

    private func accept() {
        let descriptor = Glibc.accept(listener, nil, nil)
        guard descriptor >= 0 else { return }
        _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        peer = descriptor
    }

    // MARK: Polling

    public func fillPoll(_ set: PollSet) {
        // A cable has two ends: others wait until this one's is free.
        listenerIndex = listener >= 0 && peer < 0 ? set.add(listener, .readable) : nil
        if peer < 0, listener < 0, retryInterval != nil {
            let now = HostClock.now()
            if nextTry <= now { reconnect() } else { set.limitTimeout(nanoseconds: nextTry - now) }
        }
        guard peer >= 0 else {
            peerIndex = nil
            return
        }
        var events: PollSet.Events = backlog.isEmpty ? .readable : []
        if isConnecting || !outgoing.isEmpty { events.insert(.writable) }
        peerIndex = events.isEmpty ? nil : set.add(peer, events)
    }

    public func handlePoll(_ set: PollSet) {
        if let peerIndex, peer >= 0 { handlePeer(set.ready(peerIndex)) }
        if let listenerIndex, set.ready(listenerIndex).contains(.readable) { accept() }
    }

    private func handlePeer(_ ready: PollSet.Events) {
        if isConnecting {
            guard !ready.isEmpty else { return }
            var code: Int32 = 0
            var length = socklen_t(MemoryLayout<Int32>.size)
            getsockopt(peer, SOL_SOCKET, SO_ERROR, &code, &length)
            isConnecting = false
            if code != 0 {
                Log.write(.guestErrors, "network \(address.text): \(String(cString: strerror(code)))")
                return drop()
            }
        }
        if ready.contains(.writable) { flush() }
        guard !ready.isDisjoint(with: [.readable, .hangUp, .error]) else { return }
        let held = incoming.count
        var count = 0
        incoming.append(contentsOf: [UInt8](unsafeUninitializedCapacity: Self.readSize) { buffer, initialized in
            // SAFETY: as many bytes are initialised as were received.
            count = recv(peer, buffer.baseAddress, buffer.count, 0)
            initialized = max(0, count)
        })
        if count == 0 || count < 0 && errno != EAGAIN && errno != EINTR { return drop() }
        if incoming.count > held { deliver() }
    }
}
