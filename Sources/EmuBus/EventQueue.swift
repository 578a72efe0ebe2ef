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
    /// What changes all the time, behind a pointer because each use of a class's variable would be checked for exclusivity.
    /// SAFETY: allocated with the object and freed with it; `deadlines` has room for one word for each of `timers`.
    private let clock: UnsafeMutablePointer<Clock>

    private struct Clock {
        var virtualNow: UInt64 = 0
        /// Host time that counts as guest time 0; moves on while time is held.
        var hostStart: UInt64
        /// Guest time at which it stands still, `UInt64.max` while it does not.
        var heldAt = UInt64.max
        var nextDeadline = UInt64.max
        /// By timer.
        var deadlines: UnsafeMutablePointer<UInt64>
        var timerCount = 0
    }

    /// Virtual mode: the present, advanced by the run loop. Host mode: unused.
    public var virtualNow: UInt64 { clock.pointee.virtualNow }
    /// Earliest deadline of any armed timer, `UInt64.max` when none is armed.
    public var nextDeadline: UInt64 { clock.pointee.nextDeadline }
    private var timers: [EventTimer] = []
    /// Called when `nextDeadline` moves earlier, so that a running hart can shorten its slice.
    public var deadlineMoved: (() -> Void)?

    public init(mode: ClockMode) {
        self.mode = mode
        clock = .allocate(capacity: 1)
        clock.initialize(to: Clock(hostStart: HostClock.now(), deadlines: .allocate(capacity: 0)))
    }

    deinit {
        clock.pointee.deadlines.deallocate()
        clock.deallocate()
    }

    /// Guest time in nanoseconds.
    public var now: UInt64 {
        if mode == .virtual { return clock.pointee.virtualNow }
        let held = clock.pointee.heldAt
        return held == .max ? HostClock.now() &- clock.pointee.hostStart : held
    }

    /// Host mode: `nextDeadline` as a time of the host's clock.
    public var nextHostDeadline: UInt64 {
        let (time, isBeyond) = nextDeadline.addingReportingOverflow(clock.pointee.hostStart)
        return isBeyond ? .max : time
    }

    /// Host mode: guest time stands still while true, so that a guest a debugger has stopped misses nothing. (Virtual time only
    /// advances with the harts anyway.)
    public var isHeld: Bool {
        get { clock.pointee.heldAt != .max }
        set {
            guard mode == .host, newValue != isHeld else { return }
            if newValue {
                clock.pointee.heldAt = now
            } else {
                clock.pointee.hostStart = HostClock.now() &- clock.pointee.heldAt
                clock.pointee.heldAt = .max
            }
        }
    }

    /// Armed timers, earliest first.
    public var pending: [(name: String, deadline: UInt64)] {
        timers.filter { $0.deadline != .max }.sorted { ($0.deadline, $0.order) < ($1.deadline, $1.order) }.map { ($0.name, $0.deadline) }
    }

    /// Moves virtual time forward (never back). Does not run events.
    public func advanceVirtual(to time: UInt64) {
        if time > clock.pointee.virtualNow { clock.pointee.virtualNow = time }
    }

    /// Restores the virtual clock of a snapshot.
    public func restoreVirtual(now: UInt64) { clock.pointee.virtualNow = now }

    /// A new, disarmed timer. `action` runs on the machine's thread when the deadline has passed.
    public func makeTimer(_ name: String, _ action: @escaping () -> Void) -> EventTimer {
        let timer = EventTimer(queue: self, name: name, order: timers.count, action: action)
        timers.append(timer)
        let old = clock.pointee.deadlines
        clock.pointee.deadlines = .allocate(capacity: timers.count)
        clock.pointee.deadlines.initialize(from: old, count: timers.count - 1)
        (clock.pointee.deadlines + timers.count - 1).initialize(to: .max)
        clock.pointee.timerCount = timers.count
        old.deallocate()
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
            guard let order = (0..<clock.pointee.timerCount).first(where: { clock.pointee.deadlines[$0] == nextDeadline }) else { return }
            let due = timers[order]
            due.cancel()
            due.action()
        }
    }

    /// Ends the slice in hand, so that the user and other devices get their turn. For devices that kept the machine for long:
    /// a guest may ask for that many times in one slice.
    public func yield() { deadlineMoved?() }

    fileprivate func deadline(_ order: Int) -> UInt64 { clock.pointee.deadlines[order] }

    fileprivate func setDeadline(_ order: Int, _ new: UInt64) {
        let old = clock.pointee.deadlines[order]
        if old == new { return }
        clock.pointee.deadlines[order] = new
        if new < clock.pointee.nextDeadline {
            clock.pointee.nextDeadline = new
            deadlineMoved?()
        } else if old == clock.pointee.nextDeadline {
            var earliest = UInt64.max
            for each in 0..<clock.pointee.timerCount { earliest = min(earliest, clock.pointee.deadlines[each]) }
            clock.pointee.nextDeadline = earliest
        }
    }
}

/// One schedulable event of a device. Re-arming replaces the earlier deadline.
public final class EventTimer {
    /// SAFETY: whoever arms timers keeps the machine's queue alive as long as the machine.
    private unowned(unsafe) let queue: EventQueue
    public let name: String
    fileprivate let order: Int
    fileprivate let action: () -> Void
    /// Absolute guest time in nanoseconds, `UInt64.max` while disarmed.
    public var deadline: UInt64 { queue.deadline(order) }

    fileprivate init(queue: EventQueue, name: String, order: Int, action: @escaping () -> Void) {
        self.queue = queue
        self.name = name
        self.order = order
        self.action = action
    }

    /// Arms the timer for absolute guest time `time`; a time already past fires at the next check.
    public func schedule(at time: UInt64) { queue.setDeadline(order, min(time, .max - 1)) }

    public func cancel() { queue.setDeadline(order, .max) }
}
