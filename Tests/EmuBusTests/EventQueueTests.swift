import EmuBus
import Testing

@Suite struct EventQueueTests {
    @Test func eventsRunInTheOrderOfTheirDeadlinesThenOfTheirMaking() {
        let queue = EventQueue(mode: .virtual)
        var log: [Int] = []
        let timers = (0..<4).map { number in queue.makeTimer("\(number)") { log.append(number) } }
        for (timer, time) in zip(timers, [30, 10, 20, 10] as [UInt64]) { timer.schedule(at: time) }
        queue.advanceVirtual(to: 20)
        queue.runDue()
        #expect(log == [1, 3, 2])
        #expect(queue.nextDeadline == 30)
    }

    @Test func eventsThatScheduleThemselvesAtTheEndOfTimeLeaveTheCallerFree() {
        let queue = EventQueue(mode: .virtual)
        queue.advanceVirtual(to: .max - 1)
        var runs = 0
        var timer: EventTimer?
        timer = queue.makeTimer("again") {
            runs += 1
            if runs < 100_000 { timer?.schedule(at: queue.now &+ 10_000) }
        }
        timer?.schedule(at: 1)
        queue.runDue()
        #expect((1..<100).contains(runs))
    }
}
