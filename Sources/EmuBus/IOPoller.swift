import CHost
import Glibc
import Synchronization

/// Something that waits for host descriptors: a terminal, a socket, a network stack.
///
/// The machine's run loop owns an `IOPollGroup` and calls its members on the machine's thread only.
public protocol IOPoller: AnyObject {
    /// Adds the descriptors to wait for and, if need be, shortens the wait. Called before every poll;
    /// what was added is forgotten afterwards. A poller with no room for input adds nothing (back-pressure).
    func fillPoll(_ set: PollSet)
    /// Handles what became ready, looked up by the indices `PollSet.add` returned. Called after every poll, ready or not.
    func handlePoll(_ set: PollSet)
}

/// The descriptors of one poll(2) call and how long it may wait.
public final class PollSet {
    private var entries: [pollfd] = []
    /// Longest wait in nanoseconds; `UInt64.max` waits until something is ready.
    public private(set) var timeout = UInt64.max
    /// True when poll(2) itself failed; then no descriptor counts as ready.
    public private(set) var failed = false

    public init() {}

    /// The events of poll(2) that `add` takes and `ready` returns.
    public struct Events: OptionSet, Sendable {
        public let rawValue: Int16
        public init(rawValue: Int16) { self.rawValue = rawValue }
        public static let readable = Events(rawValue: Int16(POLLIN))
        public static let writable = Events(rawValue: Int16(POLLOUT))
        public static let urgent = Events(rawValue: Int16(POLLPRI))
        /// Always reported, need not be asked for.
        public static let error = Events(rawValue: Int16(POLLERR))
        /// Always reported, need not be asked for.
        public static let hangUp = Events(rawValue: Int16(POLLHUP))
        /// The descriptor is not open. Always reported.
        public static let invalid = Events(rawValue: Int16(POLLNVAL))
    }

    /// Adds a descriptor; returns the index to pass to `ready`.
    @discardableResult
    public func add(_ descriptor: Int32, _ events: Events) -> Int {
        entries.append(pollfd(fd: descriptor, events: events.rawValue, revents: 0))
        return entries.count - 1
    }

    /// Shortens the wait to at most `nanoseconds` from now.
    public func limitTimeout(nanoseconds: UInt64) { timeout = min(timeout, nanoseconds) }

    /// What happened to the descriptor `add` gave `index` for.
    public func ready(_ index: Int) -> Events {
        guard !failed, entries.indices.contains(index) else { return [] }
        return Events(rawValue: entries[index].revents)
    }

    fileprivate func clear(timeout: UInt64) {
        entries.removeAll(keepingCapacity: true)
        self.timeout = timeout
        failed = false
    }

    /// Returns the number of ready descriptors; a signal counts as none.
    fileprivate func poll() -> Int {
        let limit = timeout == .max ? -1 : Int64(clamping: timeout)
        let count = entries.withUnsafeMutableBufferPointer { host_ppoll($0.baseAddress, $0.count, limit) }
        if count < 0 {
            failed = true
            return 0
        }
        return Int(count)
    }
}

/// Tells the run loop from any thread that a poller has something to do: ends its wait, and is looked at between slices.
public final class PollWake: Sendable {
    private let raised = Atomic<Bool>(false)
    /// An eventfd; readable while raised.
    fileprivate let descriptor = host_eventfd()

    public init() {}

    /// Whether `raise` was called since the last poll.
    public var isRaised: Bool { raised.load(ordering: .relaxed) }

    /// Any thread. What it announces must be in its place before.
    public func raise() {
        if !raised.exchange(true, ordering: .releasing) { host_eventfd_add(descriptor) }
    }

    /// Before pollers look at what they have: what comes later raises it again.
    fileprivate func lower() {
        guard isRaised else { return }
        host_eventfd_clear(descriptor)
        raised.store(false, ordering: .sequentiallyConsistent)
    }

    deinit { if descriptor >= 0 { close(descriptor) } }
}

/// All pollers of a machine and the one place that calls poll(2) for them.
public final class IOPollGroup {
    private var pollers: [any IOPoller] = []
    private let set = PollSet()
    private var isPrecise = false
    /// For pollers whose work is done on other threads.
    public let wake = PollWake()

    public init() {}

    public func add(_ poller: any IOPoller) { pollers.append(poller) }
    public func remove(_ poller: any IOPoller) { pollers.removeAll { $0 === poller } }
    public var isEmpty: Bool { pollers.isEmpty }

    /// Waits at most `timeout` nanoseconds (0: just looks; `.max`: until something happens) and lets every poller
    /// handle what it got. Returns early on a signal.
    /// - Returns: the number of descriptors that were ready.
    @discardableResult
    public func wait(timeout: UInt64) -> Int {
        if !isPrecise {
            host_precise_timeouts()
            isPrecise = true
        }
        set.clear(timeout: timeout)
        for poller in pollers { poller.fillPoll(set) }
        if wake.descriptor >= 0 { set.add(wake.descriptor, .readable) }
        let count = set.poll()
        wake.lower()
        for poller in pollers { poller.handlePoll(set) }
        return count
    }
}
