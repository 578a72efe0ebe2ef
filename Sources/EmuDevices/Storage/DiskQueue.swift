import EmuBus
import Foundation
import Glibc

/// Carries out a disk's operations on threads of its own, while the guest goes on.
///
/// `submit` leaves an operation for a thread; when it is done the thread leaves it in a list and wakes the run loop (`PollWake`), which
/// calls its completion on the machine's thread. Without a `PollWake` every operation is complete when `submit` returns: the virtual clock
/// promises that nothing depends on how fast the host is.
///
/// Large operations are carried out in pieces, so that one who waits for a thread never waits for more than a piece; and `drain` gives up
/// what no guest asks for at once unless it wants others to wait.
public final class DiskQueue: BlockBackend, IOPoller {
    public let size: UInt64
    public let isReadOnly: Bool
    private let disk: any BlockBackend
    private let shared: Shared?
    /// Operations whose completion has not been called.
    private var outstanding = 0
    /// Operations that are done, whose completions are next. Here and not with whoever took them, for a completion may drain the queue.
    private var completing: ArraySlice<Job> = []
    /// Bytes a thread moves before it looks whether it is to go on.
    static let pieceSize: UInt64 = 16 << 20
    /// Most bytes that `drain` waits for: more than drivers have under way in memory of their own, but buffers may overlap.
    static let drainLimit: UInt64 = 1 << 30
    /// Most bytes that are read on the machine's thread because the host has them in memory.
    private static let immediateLimit: UInt64 = 4 << 20
    /// What became of an operation that `drain` gave up. That is the guest's doing, not the host's.
    public static let givenUp = HostError("waiting for more disk operations than a driver has use for", ECANCELED)

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
        if operation.length <= Self.immediateLimit, (disk as? any ImmediateDisk)?.performNow(operation) ?? false { return completion(nil) }
        outstanding += 1
        shared.add(Job(operation, completion))
    }

    /// Operations that are left over when `drainLimit` bytes have been moved complete as `givenUp`.
    public func drain() {
        if outstanding > 0 { shared?.giveUp(beyond: Self.drainLimit) }
        while outstanding > 0, let shared {
            if completing.isEmpty { completing += shared.takeFinished(waits: true) }
            finish()
        }
    }

    public func fillPoll(_ set: PollSet) {}

    public func handlePoll(_ set: PollSet) {
        guard outstanding > 0, let shared else { return }
        completing += shared.takeFinished(waits: false)
        finish()
    }

    private func finish() {
        while let job = completing.popFirst() {
            outstanding -= 1
            job.completion(job.error)
        }
    }

    /// One operation on its way. Touched by one thread at a time; handed over under the lock of `Shared`.
    private final class Job: @unchecked Sendable {
        let operation: BlockOperation
        let completion: (HostError?) -> Void
        var error: HostError?
        var isGivenUp = false

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
        private var underWay: [Job] = []
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

        /// Gives up what has not been done when so many bytes have been moved, counting from now.
        func giveUp(beyond limit: UInt64) {
            condition.lock()
            var total: UInt64 = 0
            for job in underWay + waiting {
                total += job.operation.length
                job.isGivenUp = total > limit
            }
            condition.unlock()
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
                underWay.append(job)
                for piece in job.operation.pieces(of: DiskQueue.pieceSize) {
                    if job.isGivenUp || isStopping { job.error = DiskQueue.givenUp }
                    if job.error != nil { break }
                    condition.unlock()
                    var failure: HostError?
                    do throws(HostError) { try disk.perform(piece) } catch { failure = error }
                    condition.lock()
                    job.error = failure
                }
                underWay.removeAll { $0 === job }
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

extension BlockOperation {
    /// Bytes it moves to or from the guest.
    var length: UInt64 {
        switch self {
        case .read(_, let buffers), .write(_, let buffers): BufferCursor.length(buffers)
        case .flush, .discard, .writeZeroes: 0
        }
    }

    /// The same in steps that move at most `size` bytes each; at least one.
    func pieces(of size: UInt64) -> [BlockOperation] {
        guard length > size else { return [self] }
        func parts(_ offset: UInt64, _ buffers: [UnsafeMutableRawBufferPointer]) -> [(UInt64, [UnsafeMutableRawBufferPointer])] {
            var cursor = BufferCursor(buffers)
            return stride(from: 0, to: length, by: UInt64.Stride(size)).map { (offset + $0, cursor.take(size)) }
        }
        switch self {
        case .read(let offset, let buffers): return parts(offset, buffers).map { .read(offset: $0, into: $1) }
        case .write(let offset, let buffers): return parts(offset, buffers).map { .write(offset: $0, from: $1) }
        case .flush, .discard, .writeZeroes: return [self]
        }
    }
}

/// A disk that can tell that an operation needs no waiting, and then does it at once.
package protocol ImmediateDisk: BlockBackend {
    /// False, having done any part of the operation, when it would have to wait for the host's disk.
    func performNow(_ operation: BlockOperation) -> Bool
}
