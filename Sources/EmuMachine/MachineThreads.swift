import CHost
import EmuBus
import EmuCPU
import Foundation

/// The threads of a machine's harts.
///
/// SAFETY: a thread touches its hart only, and only while `group` lets it run; `harts` never changes. The machine's thread touches harts
/// while `group` has stopped them.
final class HartThreads: @unchecked Sendable {
    /// Cycles a hart runs between two looks at the rest of the machine: some 20 microseconds of translated code.
    private static let slice = 20_000

    let group: HartGroup
    private let harts: [any ParallelHart]
    private var threads: [Thread] = []
    private let ended = DispatchGroup()
    /// How many have stopped the harts and not released them. Their group begins stopped.
    private var standing = 1

    init(_ group: HartGroup, _ harts: [any ParallelHart]) {
        self.group = group
        self.harts = harts
    }

    /// Lets the harts run.
    func start() {
        for hart in harts { hart.isParallel = true }
        if threads.isEmpty { threads = harts.map(makeThread) }
        release()
    }

    /// Returns when all harts stand still. May be called several times over. The machine's thread must not hold its lock.
    func stop() {
        if standing == 0 { group.stop() }
        standing += 1
    }

    /// Undoes one `stop`.
    func release() {
        standing -= 1
        if standing == 0 { group.resume() }
    }

    /// After `stop`: the harts take turns from now on.
    func takeTurns() {
        for hart in harts { hart.isParallel = false }
    }

    /// Ends the threads, which stand still.
    func end() {
        group.end()
        ended.wait()
        threads = []
    }

    private func makeThread(_ hart: any ParallelHart) -> Thread {
        ended.enter()
        nonisolated(unsafe) let hart = hart
        let thread = Thread { [group, ended] in
            host_precise_timeouts()
            Self.run(hart, group)
            ended.leave()
        }
        thread.name = "hart \(hart.index)"
        thread.stackSize = 8 << 20
        thread.start()
        return thread
    }

    /// The life of a hart's thread.
    private static func run(_ hart: any ParallelHart, _ group: HartGroup) {
        let index = hart.index
        let isCrowded = group.count > ProcessInfo.processInfo.activeProcessorCount
        while group.enter(index) {
            while !group.mustLeave {
                switch hart.run(budget: slice, clockBase: 0) {
                case .exclusive: group.alone(index) { hart.runAlone() }
                case .yielded:
                    // Whoever is waited for may have no processor.
                    if isCrowded { sched_yield() }
                default: break
                }
                if hart.isWaiting, !group.mustLeave { group.sleep(index, until: hart.wakeTime) }
            }
            group.leave(index)
        }
    }
}

/// The machine's own thread while harts run on theirs: it serves events, host descriptors and requests, and stops the harts where somebody
/// must look at or change what is theirs.
extension Machine {
    /// Most nanoseconds between two looks around while a hart is at work.
    private static let longestSleep: UInt64 = 1_000_000

    /// Nothing listens in on harts that would need them to take turns.
    var maySpreadOut: Bool { !isPaused && heldHarts.isEmpty && sampler == nil && !harts.contains { ($0 as? any ParallelHart)?.isObserved ?? true } }

    /// How a run on threads ended: of itself, or because `isDone`.
    struct ThreadedRun {
        let status: ExitStatus?
    }

    /// Runs until the end of the run or `isDone`; nil when harts have to take turns from now on.
    func run(on threads: HartThreads, until isDone: () -> Bool) -> ThreadedRun? {
        let lock = machineLock
        bus.lock = lock
        pollers.lock = lock
        lock.lockForMachine()
        threads.start()
        defer {
            lock.whileReleased { threads.stop() }
            threads.takeTurns()
            lock.unlock()
            bus.lock = nil
            pollers.lock = nil
        }
        while true {
            if let status = host.stopper.request { return ThreadedRun(status: status) }
            if context.powerRequest != nil {
                if let status = whileHartsStand({ servePower() }) { return ThreadedRun(status: status) }
            }
            if isDone() { return ThreadedRun(status: nil) }
            guard maySpreadOut else { return nil }
            events.runDue()
            board.poll()
            if context.powerRequest != nil { continue }
            let deadline = events.nextDeadline, now = events.now
            var timeout = deadline == .max ? .max : deadline > now ? deadline - now : 0
            if threads.group.isBusy || board.isPolled { timeout = min(timeout, Self.longestSleep) }
            pollers.wait(timeout: timeout)
        }
    }

    /// Runs `body` while no hart runs, wherever the machine's thread stands: for those who look at or change what belongs to harts.
    public func whileHartsStand<Result, Failure>(_ body: () throws(Failure) -> Result) throws(Failure) -> Result {
        guard let threads, let lock = bus.lock else { return try body() }
        lock.whileReleased { threads.stop() }
        defer { threads.release() }
        return try body()
    }
}
