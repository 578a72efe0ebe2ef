import EmuBus

/// The rounds in which a device serves its queues.
///
/// A guest can ask for hours of copying with one store. So a round ends after `budget` bytes, however many queues it was for; queues
/// that are not done by then go on in the next round, at an event of its own, and those that had no turn come first in it.
final class ServiceRounds {
    /// Bytes moved in a round.
    static let budget = 64 << 20
    /// Nanoseconds until the next round: later than now, or the event loop would never see the end of it.
    private static let delay: UInt64 = 10_000
    /// More bytes than this at once took as long as a hart's slice may.
    private static let longRound = 1 << 20

    private let events: EventQueue
    private let serveQueue: (Int) -> Void
    private var timer: EventTimer!
    private var bytesLeft = 0
    private var isInRound = false
    /// Queues that are not done, in the order in which they go on.
    private(set) var unfinished: [Int] = []

    /// - Parameters:
    ///   - name: of the timer.
    ///   - serveQueue: serves one queue until it is empty or `isOver`, when it calls `postpone`.
    init(_ name: String, events: EventQueue, serveQueue: @escaping (Int) -> Void) {
        self.events = events
        self.serveQueue = serveQueue
        timer = events.makeTimer(name) { [unowned self] in next() }
    }

    // MARK: Rounds

    /// Serves queues in one round. What was postponed goes on by itself: asking again must not make it take longer.
    func serve(_ queues: [Int]) {
        let before = unfinished.count
        let waiting = queues.filter { !unfinished.contains($0) }
        run {
            for (position, queue) in waiting.enumerated() {
                guard !isOver else { return unfinished.insert(contentsOf: waiting[position...], at: before) }
                serveQueue(queue)
            }
        }
    }

    /// Carries `body` out in a round: the one in hand, or one of its own.
    func run(_ body: () -> Void) {
        if isInRound { return body() }
        isInRound = true
        bytesLeft = Self.budget
        body()
        isInRound = false
        if !unfinished.isEmpty, timer.deadline == .max { schedule() }
        if bytesLeft < Self.budget - Self.longRound { events.yield() }
    }

    private func next() {
        let queues = unfinished
        unfinished = []
        serve(queues)
    }

    private func schedule() { timer.schedule(at: events.now &+ Self.delay) }

    // MARK: What a round costs

    /// The round has moved all it may.
    var isOver: Bool { bytesLeft <= 0 }

    /// Counts work, in bytes moved in the same time.
    func spend(_ bytes: Int) { bytesLeft -= bytes }

    /// `queue` goes on in the next round. Only within a round.
    func postpone(_ queue: Int) {
        if !unfinished.contains(queue) { unfinished.append(queue) }
    }

    // MARK: Ends

    /// `queue` is gone.
    func forget(_ queue: Int) { unfinished.removeAll { $0 == queue } }

    /// Nothing waits but these, as after a reset or in a restored state.
    func restart(_ queues: [Int] = []) {
        unfinished = queues
        if queues.isEmpty { timer.cancel() } else { schedule() }
    }
}
