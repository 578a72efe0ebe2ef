import EmuCPU
import Foundation
import Synchronization
import Testing

/// Harts on threads as their group sees them: running, asleep, stopped. The harts here only count.
struct HartGroupTests {
    /// Threads that count while their group lets them.
    private final class Counters: Sendable {
        static let count = 3
        let group: HartGroup
        nonisolated(unsafe) let posted: UnsafeMutablePointer<UInt32>
        let turns: [Counter] = (0..<count).map { _ in Counter() }
        private let ended = DispatchGroup()

        final class Counter: Sendable {
            let value = Atomic<Int>(0)
        }

        init(body: @escaping @Sendable (HartGroup, Int, UnsafeMutablePointer<UInt32>, Counter) -> Void) {
            let words = UnsafeMutablePointer<UInt32>.allocate(capacity: Self.count)
            words.initialize(repeating: 0, count: Self.count)
            posted = words
            group = HartGroup(posted: (0..<Self.count).map { words + $0 })
            for index in 0..<Self.count {
                ended.enter()
                nonisolated(unsafe) let word = words + index
                let (group, turn, ended) = (group, turns[index], ended)
                Thread.detachNewThread {
                    while group.enter(index) {
                        while !group.mustLeave {
                            _ = turn.value.wrappingAdd(1, ordering: .relaxed)
                            body(group, index, word, turn)
                        }
                        group.leave(index)
                    }
                    ended.leave()
                }
            }
        }

        var all: [Int] { turns.map { $0.value.load(ordering: .relaxed) } }

        /// Waits until every counter has moved on.
        func waitForAll() {
            let before = all
            while !zip(before, all).allSatisfy({ $0 < $1 }) { usleep(100) }
        }

        func end() {
            group.end()
            ended.wait()
            posted.deallocate()
        }
    }

    @Test func nobodyRunsWhileTheMachineHasStoppedThem() {
        let counters = Counters { _, _, _, _ in }
        #expect(counters.all == [0, 0, 0])
        for _ in 0..<20 {
            counters.group.resume()
            counters.waitForAll()
            counters.group.stop()
            #expect(!counters.group.isBusy)
            let before = counters.all
            usleep(500)
            #expect(counters.all == before)
        }
        counters.end()
    }

    @Test func oneRunsAlone() {
        final class Shared: Sendable {
            let mistakes = Atomic<Int>(0), turns = Atomic<Int>(0)
        }
        let shared = Shared()
        let counters = Counters { group, index, _, _ in
            group.alone(index) {
                for other in 0..<Counters.count where other != index && group.isRunning(other) { _ = shared.mistakes.wrappingAdd(1, ordering: .relaxed) }
                _ = shared.turns.wrappingAdd(1, ordering: .relaxed)
            }
        }
        for _ in 0..<5 {
            counters.group.resume()
            let before = shared.turns.load(ordering: .relaxed)
            while shared.turns.load(ordering: .relaxed) < before + 100 { usleep(100) }
            counters.group.stop()
        }
        counters.end()
        #expect(shared.mistakes.load(ordering: .relaxed) == 0)
    }

    @Test func whatIsPostedEndsASleep() {
        let counters = Counters { group, index, posted, _ in
            group.sleep(index, until: .max)
            // Takes what was posted, as harts do; not before it sleeps, or what comes after the turn was counted would wake nobody.
            _ = UnsafeMutableRawPointer(posted).assumingMemoryBound(to: Atomic<UInt32>.self).pointee.exchange(0, ordering: .sequentiallyConsistent)
        }
        counters.group.resume()
        for _ in 0..<200 {
            let before = counters.all
            for index in 0..<Counters.count { counters.group.post(HartGroup.Posted.interrupt, to: index) }
            while !zip(before, counters.all).allSatisfy({ $0 < $1 }) { sched_yield() }
        }
        counters.group.stop()
        counters.end()
    }

    @Test func frozenHartsWaitForTheMachine() {
        let counters = Counters { group, index, _, turn in
            if index == 0, turn.value.load(ordering: .relaxed) == 5 { group.freeze() }
        }
        counters.group.resume()
        while counters.all[0] < 5 || counters.group.isBusy { usleep(100) }
        #expect(counters.all[0] >= 5)
        counters.group.stop()
        counters.group.resume()
        counters.waitForAll()
        counters.group.stop()
        counters.end()
    }
}
