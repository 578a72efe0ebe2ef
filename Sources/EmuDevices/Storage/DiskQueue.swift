import EmuBus
import Foundation

/// Carries out a disk's operations on threads of its own, while the guest goes on.
///
/// `submit` leaves an operation for a thread; when it is done the thread leaves it in a list and wakes the run loop (`PollWake`), which
/// calls its completion on the machine's thread. Without a `PollWake` every operation is complete when `submit` returns: the virtual clock
/// promises that nothing depends on how fast the host is.
public final class DiskQueue: BlockBackend, IOPoller {
    public let size: UInt64
    public let isReadOnly: Bool
    private let disk: any BlockBackend
    private let shared: Shared?
    /// Operations whose completion has not been called.
    private var outstanding = 0

    /// - Parameter threads: how many operations may be under way at once; more than 1 only for a disk that allows it.
    public init(_ disk: any BlockBackend, wake: PollWake?, threads: Int = 1) {
        self.disk = disk
        size = disk.size
        isReadOnly = disk.isReadOnly
        shared = wake.map { Shared(disk, $0, limit: max(1, threads)) }
    }

    deinit { stop() }

    /// Ends the threads: what is under way ends first, what has not begun never does. Before the memory of submitted operations goes.
    public func stop() { shared?.stop() }

    /// - Precondition: nothing submitted is outstanding, or the caller does not care in which order it happens.
    public func perform(_ operation: BlockOperation) throws(HostError) { try disk.perform(operation) }

    public func submit(_ operation: BlockOperation, completion: @escaping (HostError?) -> Void) {
        guard let shared else {
            do throws(HostError) {
                try disk.perform(operation)
                completion(nil)
            } catch { completion(error) }
            return
        }
        if (disk as? any ImmediateDisk)?.performNow(operation) ?? false { return completion(nil) }
        outstanding += 1
        shared.add(Job(operation, completion))
    }

    public func drain() {
        while outstanding > 0 { finish(shared!.takeFinished(waits: true)) }
    }

    public func fillPoll(_ set: PollSet) {}

    public func handlePoll(_ set: PollSet) {
        guard outstanding > 0, let shared else { return }
        finish(shared.takeFinished(waits: false))
    }

    private func finish(_ jobs: [Job]) {
        // Each may submit more, or drain, while its completion runs.
        for job in jobs {
            outstanding -= 1
            job.completion(job.error)
        }
    }

    /// One operation on its way. Touched by one thread at a time; handed over under the lock of `Shared`.
    private final class Job: @unchecked Sendable {
        let operation: BlockOperation
        let completion: (HostError?) -> Void
        var error: HostError?

        init(_ operation: BlockOperation, _ completion: @escaping (HostError?) -> Void) {
            self.operation = operation
            self.completion = completion
        }
    }

    /// What the threads share with the machine's. SAFETY: everything that varies is only touched under `condition`; the disk takes calls
    /// from any thread.
    private final class Shared: @unchecked Sendable {
        private let condition = NSCondition()
        private let disk: any BlockBackend
        private let wake: PollWake
        private let limit: Int
        private var waiting: [Job] = []
        private var finished: [Job] = []
        private var threads = 0
        private var idle = 0
        private var isStopping = false

        init(_ disk: any BlockBackend, _ wake: PollWake, limit: Int) {
            self.disk = disk
            self.wake = wake
            self.limit = limit
        }

        func add(_ job: Job) {
            condition.lock()
            waiting.append(job)
            if idle < waiting.count, threads < limit {
                threads += 1
                let thread = Thread { [self] in serve() }
                thread.name = "disk"
                thread.start()
            }
            // Not a signal: it might reach whoever waits for the finished ones.
            condition.broadcast()
            condition.unlock()
        }

        /// What is done; with `waits`, not before something is.
        func takeFinished(waits: Bool) -> [Job] {
            condition.lock()
            defer { condition.unlock() }
            while waits && finished.isEmpty { condition.wait() }
            defer { finished = [] }
            return finished
        }

        /// Gives up what has not begun and waits for what has: its buffers may go now.
        func stop() {
            condition.lock()
            isStopping = true
            waiting = []
            condition.broadcast()
            while threads > 0 { condition.wait() }
            condition.unlock()
        }

        private func serve() {
            condition.lock()
            while true {
                while waiting.isEmpty && !isStopping {
                    idle += 1
                    condition.wait()
                    idle -= 1
                }
                if isStopping { break }
                let job = waiting.removeFirst()
                condition.unlock()
                do throws(HostError) { try disk.perform(job.operation) } catch { job.error = error }
                condition.lock()
                finished.append(job)
                condition.broadcast()
                wake.raise()
            }
            threads -= 1
            condition.broadcast()
            condition.unlock()
        }
    }
}

/// A disk that can tell that an operation needs no waiting, and then does it at once.
package protocol ImmediateDisk: BlockBackend {
    /// False, having done any part of the operation, when it would have to wait for the host's disk.
    func performNow(_ operation: BlockOperation) -> Bool
}
