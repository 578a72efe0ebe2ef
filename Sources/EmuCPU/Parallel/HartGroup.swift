import Glibc
import Synchronization

/// The harts of a machine that run on threads of their own: who runs, who waits, and how all of them are stopped (docs/smp.md).
///
/// A hart is either *running*, and then touches its state and guest memory as it likes, or *parked*: outside the guest, waiting for
/// an interrupt, for its turn, or for the machine to go on. A hart parks at safe points only, between blocks.
///
/// SAFETY: `members` holds one element for each hart, allocated here and freed with the object. A member's `isRunning` and
/// `posted` are atomic; `mutex` guards everything else and the change of `isRunning`.
public final class HartGroup: @unchecked Sendable {
    /// Bits another thread leaves for a hart.
    package enum Posted {
        /// Interrupt inputs or the timer have changed.
        package static let interrupt: UInt32 = 1
        /// Come back to whoever called `run`.
        package static let exit: UInt32 = 2
        /// There is mail.
        package static let mail: UInt32 = 4
    }

    /// Whom all harts stand still for.
    private enum Owner: Equatable {
        case nobody, machine
        case hart(Int)
    }

    struct Member {
        /// `RVHart.posted` or its like.
        let posted: UnsafeMutablePointer<Atomic<UInt32>>
        let isRunning: UnsafeMutablePointer<Atomic<Bool>>
        let wakeUp: UnsafeMutablePointer<pthread_cond_t>
    }

    public let count: Int
    let members: UnsafeMutablePointer<Member>
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    /// Somebody parked, or an owner is done.
    private let changed = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var runningCount = 0
    /// Harts that wait for something to be posted.
    private var sleepingCount = 0
    private var owner = Owner.machine
    /// Harts that run come back from `run` and park, until it is false again.
    private let isStopping = Atomic<Bool>(true)
    /// Only the machine lets harts go on.
    private var isFrozen = false
    private var hasEnded = false

    /// - Parameter posted: for each hart the word in its state where others leave bits for it.
    public init(posted: [UnsafeMutablePointer<UInt32>]) {
        count = posted.count
        members = .allocate(capacity: count)
        pthread_mutex_init(mutex, nil)
        Self.makeCondition(changed)
        for (index, word) in posted.enumerated() {
            let isRunning = UnsafeMutablePointer<Atomic<Bool>>.allocate(capacity: 1)
            isRunning.initialize(to: Atomic(false))
            let wakeUp = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
            Self.makeCondition(wakeUp)
            // SAFETY: a 32-bit word in memory is all an `Atomic<UInt32>` is.
            let atomic = UnsafeMutableRawPointer(word).assumingMemoryBound(to: Atomic<UInt32>.self)
            (members + index).initialize(to: Member(posted: atomic, isRunning: isRunning, wakeUp: wakeUp))
        }
    }

    deinit {
        for index in 0..<count {
            pthread_cond_destroy(members[index].wakeUp)
            members[index].wakeUp.deallocate()
            members[index].isRunning.deinitialize(count: 1)
            members[index].isRunning.deallocate()
        }
        members.deallocate()
        pthread_cond_destroy(changed)
        changed.deallocate()
        pthread_mutex_destroy(mutex)
        mutex.deallocate()
    }

    /// A condition whose time-outs are times of the monotonic clock.
    private static func makeCondition(_ condition: UnsafeMutablePointer<pthread_cond_t>) {
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(condition, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    private func locked<Result>(_ body: () -> Result) -> Result {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return body()
    }

    // MARK: From any thread

    /// Leaves bits for a hart and wakes it when it waits for an interrupt. It sees them before its next block at the latest
    /// when its slice ends.
    package func post(_ bits: UInt32, to index: Int) {
        // Either the hart sees the bits before it sleeps, or this sees that it has parked.
        _ = members[index].posted.pointee.bitwiseOr(bits, ordering: .sequentiallyConsistent)
        if !isRunning(index) { locked { _ = pthread_cond_signal(members[index].wakeUp) } }
    }

    @inline(__always)
    package func isRunning(_ index: Int) -> Bool { members[index].isRunning.pointee.load(ordering: .sequentiallyConsistent) }

    /// Some hart is in the guest, or will be as soon as it may and its thread has a processor.
    public var isBusy: Bool { locked { owner != .machine && !isFrozen && sleepingCount < count } }

    // MARK: From a hart's thread

    /// Parks until the hart may run; false when its thread is to end.
    public func enter(_ index: Int) -> Bool {
        locked {
            waitForTurn(index)
            if hasEnded { return false }
            setRunning(index)
            return true
        }
    }

    /// Parks: the hart is not in the guest any more.
    public func leave(_ index: Int) { locked { setParked(index) } }

    /// The hart has to leave.
    @inline(__always)
    public var mustLeave: Bool { isStopping.load(ordering: .relaxed) }

    /// Parks a running hart until something was posted to it, until host time `end`, or until it must leave; it is running again afterwards.
    public func sleep(_ index: Int, until end: UInt64) {
        locked {
            setParked(index)
            sleepingCount += 1
            let posted = members[index].posted
            var isOver = false
            while !isOver && owner == .nobody && !isFrozen && posted.pointee.load(ordering: .sequentiallyConsistent) == 0 {
                isOver = !wait(members[index].wakeUp, until: end)
            }
            sleepingCount -= 1
            waitForTurn(index)
            setRunning(index)
        }
    }

    /// Runs `body` for a running hart while every other one is parked.
    public func alone(_ index: Int, _ body: () -> Void) {
        let isAlone = locked {
            setParked(index)
            waitForTurn(index)
            if !hasEnded { takeOver(.hart(index)) }
            setRunning(index)
            return !hasEnded
        }
        guard isAlone else { return }
        body()
        locked {
            setParked(index)
            giveBack()
            waitForTurn(index)
            setRunning(index)
        }
    }

    /// With the mutex: until nobody wants harts to stand still.
    private func waitForTurn(_ index: Int) {
        while (owner != .nobody || isFrozen) && !hasEnded { pthread_cond_wait(members[index].wakeUp, mutex) }
    }

    /// False when the time was over.
    private func wait(_ condition: UnsafeMutablePointer<pthread_cond_t>, until end: UInt64) -> Bool {
        if end == .max {
            pthread_cond_wait(condition, mutex)
            return true
        }
        var time = timespec(tv_sec: Int(end / 1_000_000_000), tv_nsec: Int(end % 1_000_000_000))
        return pthread_cond_timedwait(condition, mutex, &time) != ETIMEDOUT
    }

    private func setRunning(_ index: Int) {
        runningCount += 1
        members[index].isRunning.pointee.store(true, ordering: .sequentiallyConsistent)
    }

    private func setParked(_ index: Int) {
        members[index].isRunning.pointee.store(false, ordering: .sequentiallyConsistent)
        runningCount -= 1
        pthread_cond_broadcast(changed)
    }

    // MARK: Owners

    /// With the mutex: waits until nobody else owns the machine and all harts are parked.
    private func takeOver(_ new: Owner) {
        owner = new
        isStopping.store(true, ordering: .relaxed)
        for index in 0..<count where isRunning(index) {
            _ = members[index].posted.pointee.bitwiseOr(Posted.exit, ordering: .sequentiallyConsistent)
        }
        while runningCount > 0 { pthread_cond_wait(changed, mutex) }
    }

    private func giveBack() {
        owner = .nobody
        isStopping.store(isFrozen, ordering: .relaxed)
        pthread_cond_broadcast(changed)
        for index in 0..<count { pthread_cond_signal(members[index].wakeUp) }
    }

    /// Lets harts run. From the machine's thread, which has stopped them.
    public func resume() {
        locked {
            isFrozen = false
            giveBack()
        }
    }

    /// Returns when every hart is parked; none runs before `resume`. From the machine's thread, which must hold no lock a hart may ask for.
    public func stop() {
        locked {
            while owner != .nobody { pthread_cond_wait(changed, mutex) }
            takeOver(.machine)
        }
    }

    /// Makes every hart park soon and stay so until the machine's thread has called `stop` and `resume`. From any thread.
    public func freeze() {
        locked {
            isFrozen = true
            isStopping.store(true, ordering: .relaxed)
            for index in 0..<count { _ = members[index].posted.pointee.bitwiseOr(Posted.exit, ordering: .sequentiallyConsistent) }
        }
    }

    /// Ends the harts' threads, which are parked.
    public func end() {
        locked {
            hasEnded = true
            isStopping.store(true, ordering: .relaxed)
            for index in 0..<count { pthread_cond_signal(members[index].wakeUp) }
        }
    }
}
