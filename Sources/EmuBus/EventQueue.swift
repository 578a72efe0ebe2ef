import Glibc

/// Where guest time comes from.
public enum ClockMode: String, Sendable, CaseIterable {
    /// Guest time follows the host's monotonic clock.
    case host
    /// Guest time advances with retired instructions: the same inputs give the same run.
    case virtual
}

/// Guest time and everything scheduled on it. All devices of a machine share one queue.
///
/// Times are nanoseconds since the machine was created, not since reset. Events with equal deadlines run in the
/// order in which their timers were created, so a virtual-clock run is deterministic.
public final class EventQueue {
    public let mode: ClockMode
    /// Virtual mode: the present, advanced by the run loop. Host mode: offset source, unused.
    public private(set) var virtualNow: UInt64 = 0
    /// Host time that counts as guest time 0; moves on while time is held.
    private var hostStart: UInt64
    private var heldAt: UInt64?
    private var timers: [EventTimer] = []
    /// Earliest deadline of any armed timer, `UInt64.max` when none is armed.
    public private(set) var nextDeadline = UInt64.max
    /// Called when `nextDeadline` moves earlier, so that a running hart can shorten its slice.
    public var deadlineMoved: (() -> Void)?

    public init(mode: ClockMode) {
        self.mode = mode
        hostStart = Self.hostMonotonic()
    }

    /// Guest time in nanoseconds.
    public var now: UInt64 {
        mode == .virtual ? virtualNow : heldAt ?? Self.hostMonotonic() &- hostStart
    }

    /// Host mode: guest time stands still while true, so that a guest a debugger has stopped misses nothing. (Virtual time only
    /// advances with the harts anyway.)
    public var isHeld: Bool {
        get { heldAt != nil }
        set {
            guard mode == .host, newValue != isHeld else { return }
            if newValue {
                heldAt = now
            } else if let time = heldAt {
                hostStart = Self.hostMonotonic() &- time
                heldAt = nil
            }
        }
    }

    /// Armed timers, earliest first.
    public var pending: [(name: String, deadline: UInt64)] {
        timers.filter { $0.deadline != .max }.sorted { ($0.deadline, $0.order) < ($1.deadline, $1.order) }.map { ($0.name, $0.deadline) }
    }

    /// Moves virtual time forward (never back). Does not run events.
    @inline(__always)
    public func advanceVirtual(to time: UInt64) {
        if time > virtualNow { virtualNow = time }
    }

    /// Restores the virtual clock of a snapshot.
    public func restoreVirtual(now: UInt64) { virtualNow = now }

    /// A new, disarmed timer. `action` runs on the machine's thread when the deadline has passed.
    public func makeTimer(_ name: String, _ action: @escaping () -> Void) -> EventTimer {
        let timer = EventTimer(queue: self, name: name, order: timers.count, action: action)
        timers.append(timer)
        return timer
    }

    /// Runs every event that is due, earliest first.
    ///
    /// Events that become due meanwhile may be left to the next call: ones that schedule each other for ever, as they do when
    /// time stands still at its end, must not keep the caller.
    public func runDue() {
        var left = 4 * timers.count
        while nextDeadline <= now, left > 0 {
            left -= 1
            guard let due = timers.filter({ $0.deadline != .max })
                .min(by: { ($0.deadline, $0.order) < ($1.deadline, $1.order) }) else { return }
            due.cancel()
            due.action()
        }
    }

    /// Ends the slice in hand, so that the user and other devices get their turn. For devices that kept the machine for long:
    /// a guest may ask for that many times in one slice.
    public func yield() { deadlineMoved?() }

    fileprivate func deadlineChanged(_ old: UInt64, _ new: UInt64) {
        if new < nextDeadline {
            nextDeadline = new
            deadlineMoved?()
        } else if old == nextDeadline {
            nextDeadline = timers.reduce(.max) { min($0, $1.deadline) }
        }
    }

    private static func hostMonotonic() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
    }
}

/// One schedulable event of a device. Re-arming replaces the earlier deadline.
public final class EventTimer {
    private unowned let queue: EventQueue
    public let name: String
    fileprivate let order: Int
    fileprivate let action: () -> Void
    /// Absolute guest time in nanoseconds, `UInt64.max` while disarmed.
    public private(set) var deadline = UInt64.max

    fileprivate init(queue: EventQueue, name: String, order: Int, action: @escaping () -> Void) {
        self.queue = queue
        self.name = name
        self.order = order
        self.action = action
    }

    /// Arms the timer for absolute guest time `time`; a time already past fires at the next check.
    public func schedule(at time: UInt64) {
        let old = deadline
        deadline = min(time, .max - 1)
        queue.deadlineChanged(old, deadline)
    }

    public func cancel() {
        let old = deadline
        deadline = .max
        queue.deadlineChanged(old, .max)
    }
}
