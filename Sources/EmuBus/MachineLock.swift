import Glibc
import Synchronization

/// The lock of everything in a machine that is not a hart: devices, the event queue, pollers. Needed while harts run on threads
/// of their own; then each access to a device register takes it, and the machine's thread holds it except while it waits.
///
/// One thread may take it several times over. A thread that asks as the machine's own does not have to queue behind harts that take it
/// again and again.
///
/// SAFETY: the mutex is allocated with the object and freed with it; `depth` is touched by the lock's holder only.
public final class MachineLock: @unchecked Sendable {
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private var depth = 0
    private let machineWaits = Atomic<Bool>(false)
    /// Until when (host time) the machine's thread sleeps without the lock; 0 while it does not.
    private let sleepsUntil = Atomic<UInt64>(0)
    /// Makes the machine's thread look around; callable from every thread.
    private let wake: @Sendable () -> Void

    public init(wake: @escaping @Sendable () -> Void) {
        self.wake = wake
        var attributes = pthread_mutexattr_t()
        pthread_mutexattr_init(&attributes)
        pthread_mutexattr_settype(&attributes, Int32(PTHREAD_MUTEX_RECURSIVE))
        pthread_mutex_init(mutex, &attributes)
        pthread_mutexattr_destroy(&attributes)
    }

    deinit {
        pthread_mutex_destroy(mutex)
        mutex.deallocate()
    }

    /// For harts.
    public func lock() {
        // A mutex goes to whoever asks first, which a hart that has just given it back nearly always is.
        while machineWaits.load(ordering: .relaxed) { sched_yield() }
        pthread_mutex_lock(mutex)
        depth += 1
    }

    /// For the machine's own thread.
    public func lockForMachine() {
        if pthread_mutex_trylock(mutex) != 0 {
            machineWaits.store(true, ordering: .relaxed)
            pthread_mutex_lock(mutex)
            machineWaits.store(false, ordering: .relaxed)
        }
        depth += 1
    }

    public func unlock() {
        depth -= 1
        pthread_mutex_unlock(mutex)
    }

    /// Runs `body` on the machine's thread, which holds the lock, without it.
    public func whileReleased<Result>(_ body: () -> Result) -> Result {
        let held = depth
        for _ in 0..<held { unlock() }
        defer { for _ in 0..<held { lockForMachine() } }
        return body()
    }

    /// Like `whileReleased`, for a sleep that `wakeMachine` can end early.
    /// - Parameter end: host time at which the sleep ends by itself.
    func sleeping<Result>(until end: UInt64, _ body: () -> Result) -> Result {
        sleepsUntil.store(end, ordering: .relaxed)
        defer { sleepsUntil.store(0, ordering: .relaxed) }
        return whileReleased(body)
    }

    /// Ends the sleep of the machine's thread if it would last beyond the host time `time`. With the lock held.
    public func wakeMachine(before time: UInt64 = 0) {
        if sleepsUntil.load(ordering: .relaxed) > time {
            // Once is enough.
            sleepsUntil.store(0, ordering: .relaxed)
            wake()
        }
    }
}
