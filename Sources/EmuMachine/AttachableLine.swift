import EmuBus
import EmuDevices
import Glibc

/// Where the other end of a line comes from.
protocol LineSource: AnyObject {
    /// What is waited for while nobody is there.
    func fillPoll(_ set: PollSet)
    /// A descriptor to read from and write to, the caller's from now on, when somebody is there.
    func handlePoll(_ set: PollSet) -> Int32?
    /// Nobody is there any more.
    func hasLeft()
    /// Nobody comes any more.
    func end()
    /// Somebody else may come while the guest has not taken everything that one who has left sent it.
    var hasSuccessors: Bool { get }
}

/// A serial line whose other end comes and goes: a socket, a pseudo-terminal. While nobody is there, what the guest writes is lost and it has no input.
public final class AttachableLine: HostLine {
    public weak var frontend: (any CharacterFrontend)? { didSet { connection?.frontend = frontend } }
    public var isEnding = false { didSet { connection?.isEnding = isEnding } }
    /// Somebody has come.
    public var onAttach: (() -> Void)?
    private let name: String
    private let source: any LineSource
    private var connection: DescriptorBackend?
    /// Whoever comes is let in.
    private var isOpen = true
    /// Seconds that somebody who takes nothing is waited for.
    private static let patience = 1

    init(name: String, source: any LineSource) {
        self.name = name
        self.source = source
    }

    func attach(_ descriptor: Int32) {
        let line = DescriptorBackend(name: name, input: descriptor, output: descriptor, owned: [descriptor], isOfTerminal: false, patience: Self.patience)
        line.frontend = frontend
        line.isEnding = isEnding
        connection = line
        onAttach?()
    }

    var isAttached: Bool { connection != nil }

    public func write(_ bytes: UnsafeRawBufferPointer) { connection?.write(bytes) }
    public func frontendReady() { connection?.frontendReady() }
    public func drain(seconds: Int) { connection?.drain(seconds: seconds) }

    /// For the end of the run: nobody finds it any more.
    func end() { source.end() }

    public func fillPoll(_ set: PollSet) {
        if let line = connection, line.hasEnded {
            connection = nil
            source.hasLeft()
        }
        connection?.fillPoll(set)
        isOpen = connection.map { source.hasSuccessors && $0.isAbandoned } ?? true
        if isOpen { source.fillPoll(set) }
    }

    public func handlePoll(_ set: PollSet) {
        connection?.handlePoll(set)
        if isOpen, let descriptor = source.handlePoll(set) { attach(descriptor) }
    }
}

/// A socket that listens, or one that connects. A listening one serves one client after the other.
final class SocketSource: LineSource {
    private let address: SocketAddress
    private let option: String
    private let isUndelayed: Bool
    private var listener: Int32 = -1
    private var listenerIndex: Int?
    /// A connection that is being made.
    private var pending: Int32 = -1
    private var pendingIndex: Int?
    /// Nanoseconds between two tries; nil for one that does not try again.
    private let retryInterval: UInt64?
    /// Host time in nanoseconds.
    private var nextTry: UInt64 = 0
    /// Milliseconds one that tries only once has to answer.
    private static let patience: Int32 = 5000

    /// - Throws: `ConfigError` when nobody can listen there, or nobody answers who should.
    init(_ config: SocketLineConfig, option: String) throws(ConfigError) {
        address = config.address
        isUndelayed = config.isUndelayed
        self.option = option
        retryInterval = config.reconnectSeconds.map { $0 * 1_000_000_000 }
        signal(SIGPIPE, SIG_IGN)
        do throws(SocketError) {
            if config.isServer {
                listener = try address.listen()
            } else if retryInterval == nil {
                pending = try address.connect(patience: Self.patience)
            }
        } catch {
            throw ConfigError(option, error.description)
        }
    }

    deinit {
        if pending >= 0 { close(pending) }
        end()
    }

    func end() {
        guard listener >= 0 else { return }
        close(listener)
        listener = -1
        if case .unix(let path) = address { unlink(path) }
    }

    /// The connection that a line has from the start: one that was made, or the first client, who is waited for.
    /// - Throws: `ConfigError` when a signal comes instead.
    func first(waitsForClient: Bool) throws(ConfigError) -> Int32? {
        if pending >= 0 { return takePending() }
        guard listener >= 0, waitsForClient else { return nil }
        while true {
            var entry = pollfd(fd: listener, events: Int16(POLLIN), revents: 0)
            if poll(&entry, 1, 200) > 0, let client = accept() { return client }
            if HostSignals.pending != nil { throw ConfigError(option, "nobody has connected") }
        }
    }

    func fillPoll(_ set: PollSet) {
        listenerIndex = listener >= 0 ? set.add(listener, .readable) : nil
        guard listener < 0, let retryInterval else { return }
        let now = HostClock.now()
        if pending < 0, nextTry <= now {
            pending = (try? address.connect()) ?? -1
            nextTry = now &+ retryInterval
        }
        if pending >= 0 { pendingIndex = set.add(pending, .writable) } else { set.limitTimeout(nanoseconds: nextTry &- now) }
    }

    func handlePoll(_ set: PollSet) -> Int32? {
        if let listenerIndex, set.ready(listenerIndex).contains(.readable) { return accept() }
        guard let index = pendingIndex, pending >= 0, !set.ready(index).isEmpty else { return nil }
        pendingIndex = nil
        var code: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        if getsockopt(pending, SOL_SOCKET, SO_ERROR, &code, &length) == 0, code == 0 { return takePending() }
        close(pending)
        pending = -1
        return nil
    }

    func hasLeft() { nextTry = HostClock.now() &+ (retryInterval ?? 0) }
    var hasSuccessors: Bool { true }

    private func takePending() -> Int32 {
        defer { pending = -1 }
        return prepared(pending)
    }

    private func accept() -> Int32? {
        let client = Glibc.accept(listener, nil, nil)
        return client >= 0 ? prepared(client) : nil
    }

    private func prepared(_ descriptor: Int32) -> Int32 {
        _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        if isUndelayed {
            // Sockets of other families have no such delay.
            var on: Int32 = 1
            setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
        }
        return descriptor
    }
}

/// A pseudo-terminal: whoever opens its terminal is there until nobody has it open.
final class PseudoTerminalSource: LineSource {
    /// What programs open: "/dev/pts/3".
    let path: String
    private let master: Int32
    /// Host time in nanoseconds: nobody tells when the terminal is opened.
    private var nextLook: UInt64 = 0
    private static let interval: UInt64 = 200_000_000

    init(option: String) throws(ConfigError) {
        master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK)
        let unlock: UInt = 0x4004_5431, number: UInt = 0x8004_5430  // TIOCSPTLCK, TIOCGPTN
        var isLocked: Int32 = 0, index: UInt32 = 0
        guard master >= 0, ioctl(master, unlock, &isLocked) == 0, ioctl(master, number, &index) == 0 else {
            let reason = String(cString: strerror(errno))
            if master >= 0 { close(master) }
            throw ConfigError(option, "there is no pseudo-terminal to be had: \(reason)")
        }
        path = "/dev/pts/\(index)"
        // The settings last while the master is open. Characters pass as they are, none coming back as an echo; and only a terminal that
        // was open once tells when nobody has it open.
        let terminal = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC)
        var settings = termios()
        if tcgetattr(terminal, &settings) == 0 {
            cfmakeraw(&settings)
            tcsetattr(terminal, TCSANOW, &settings)
        }
        if terminal >= 0 { close(terminal) }
    }

    deinit { close(master) }

    func fillPoll(_ set: PollSet) {
        let now = HostClock.now()
        set.limitTimeout(nanoseconds: nextLook > now ? nextLook - now : 0)
    }

    func handlePoll(_ set: PollSet) -> Int32? {
        let now = HostClock.now()
        guard now >= nextLook else { return nil }
        nextLook = now &+ Self.interval
        var entry = pollfd(fd: master, events: Int16(POLLIN), revents: 0)
        // Somebody may have written something and left since the last look.
        guard poll(&entry, 1, 0) >= 0, entry.revents & Int16(POLLHUP) == 0 || entry.revents & Int16(POLLIN) != 0 else { return nil }
        let descriptor = dup(master)
        guard descriptor >= 0 else { return nil }
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        return descriptor
    }

    func hasLeft() { nextLook = HostClock.now() &+ Self.interval }
    func end() {}
    /// It is one terminal, whoever opens it.
    var hasSuccessors: Bool { false }
}
