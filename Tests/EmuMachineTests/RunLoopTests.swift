import EmuBus
import EmuCPU
import EmuDevices
import EmuMachine
import Foundation
import Glibc
import Testing

@Suite struct RunLoopTests {
    private static let quantum = 20_000

    // MARK: Virtual clock

    @Test func virtualTimeIsCyclesOfAllHarts() throws {
        let (machine, board) = try ScriptedBoard.machine(.virtual, harts: 2) { $0.cycleShift = 2 }
        board.scripted[0].work = { _, _ in 100 }
        board.scripted[1].work = { _, _ in 30 }
        _ = machine.run { board.scripted[1].slices.count == 2 }
        #expect(machine.events.now == (100 + 30 + 100 + 30) * 4)
        #expect(board.scripted[0].slices.map(\.start) == [0, 520])
        #expect(board.scripted[1].slices.map(\.start) == [400, 920])
    }

    @Test func hartsTakeTurnsByTheQuantum() throws {
        let (machine, board) = try ScriptedBoard.machine(.virtual, harts: 3)
        _ = machine.run { board.scripted[2].slices.count == 3 }
        for hart in board.scripted {
            #expect(hart.slices.map(\.budget) == [Self.quantum, Self.quantum, Self.quantum])
        }
        // Every hart was preceded by another, except the first time.
        #expect(board.scripted.map(\.switches) == [2, 3, 3])
    }

    @Test func aLoneHartIsNeverSwitched() throws {
        let (machine, board) = try ScriptedBoard.machine(.virtual)
        _ = machine.run { board.scripted[0].slices.count == 5 }
        #expect(board.scripted[0].switches == 0)
    }

    @Test func virtualSlicesEndAtTheNextEvent() throws {
        let (machine, board) = try ScriptedBoard.machine(.virtual)
        var fired: [UInt64] = []
        let timer = machine.events.makeTimer("test") { fired.append(machine.events.now) }
        timer.schedule(at: 12_345)
        _ = machine.run { board.scripted[0].slices.count == 2 }
        // 10 ns a cycle: the event lies between two cycles and fires after the second.
        #expect(board.scripted[0].slices.map(\.budget) == [1235, Self.quantum])
        #expect(fired == [12_350])
    }

    @Test func anEarlierEventEndsTheSliceInHand() throws {
        let (machine, board) = try ScriptedBoard.machine(.virtual)
        let timer = machine.events.makeTimer("test") {}
        board.scripted[0].work = { hart, budget in
            if hart.slices.count == 1 { timer.schedule(at: 500) }
            return hart.exitRequested ? 10 : budget
        }
        _ = machine.run { board.scripted[0].slices.count == 3 }
        #expect(board.scripted[0].slices.map(\.budget) == [Self.quantum, 40, Self.quantum])
    }

    @Test func idleTimeJumpsToTheNextEvent() throws {
        let (machine, board) = try ScriptedBoard.machine(.virtual)
        let hart = board.scripted[0]
        hart.isWaiting = true
        var wakes: [UInt64] = []
        var timer: EventTimer!
        timer = machine.events.makeTimer("test") {
            wakes.append(machine.events.now)
            if wakes.count < 3 { timer.schedule(at: machine.events.now + 3_600_000_000_000) } else { hart.isWaiting = false }
        }
        timer.schedule(at: 3_600_000_000_000)
        let start = Date()
        _ = machine.run { !hart.slices.isEmpty }
        #expect(wakes == [1, 2, 3].map { $0 * 3_600_000_000_000 })
        #expect(hart.slices.map(\.start) == [wakes[2]])
        #expect(Date().timeIntervalSince(start) < 60)
    }

    @Test func aSleepingIdleMachineTakesItsTime() throws {
        let (machine, board) = try ScriptedBoard.machine(.virtual) { $0.sleepsWhenIdle = true }
        let hart = board.scripted[0]
        hart.isWaiting = true
        machine.events.makeTimer("test") { hart.isWaiting = false }.schedule(at: 30_000_000)
        let start = Date()
        _ = machine.run { !hart.slices.isEmpty }
        #expect(Date().timeIntervalSince(start) >= 0.03)
        #expect(hart.slices.map(\.start) == [30_000_000])
    }

    @Test func waitingHartsGetNoTurn() throws {
        let (machine, board) = try ScriptedBoard.machine(.virtual, harts: 3)
        board.scripted[1].isWaiting = true
        _ = machine.run { board.scripted[2].slices.count == 2 }
        #expect(board.scripted.map(\.slices.count) == [2, 0, 2])
    }

    // MARK: Host clock

    @Test func anIdleMachineSleepsUntilTheDeadline() throws {
        let (machine, board) = try ScriptedBoard.machine(.host)
        let hart = board.scripted[0]
        hart.isWaiting = true
        machine.events.makeTimer("test") { hart.isWaiting = false }.schedule(at: machine.events.now + 50_000_000)
        let start = Date()
        let before = cpuTime()
        _ = machine.run { !hart.slices.isEmpty }
        #expect(Date().timeIntervalSince(start) >= 0.045)
        // A loop that spins would use all of it.
        #expect(cpuTime() - before < 0.04)
    }

    private func cpuTime() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    @Test func inputWakesAnIdleMachine() throws {
        for mode in ClockMode.allCases {
            let (machine, board) = try ScriptedBoard.machine(mode)
            let hart = board.scripted[0]
            hart.isWaiting = true
            var ends: [Int32] = [0, 0]
            #expect(pipe(&ends) == 0)
            defer { ends.forEach { close($0) } }
            let poller = PipePoller(ends[0]) { hart.isWaiting = false }
            machine.pollers.add(poller)
            let writer = ends[1]
            Thread.detachNewThread {
                usleep(20_000)
                write(writer, "x", 1)
            }
            _ = machine.run { !hart.slices.isEmpty }
            #expect(poller.received == 1)
        }
    }

    private final class PipePoller: IOPoller {
        private let descriptor: Int32
        private let action: () -> Void
        private var index = 0
        private(set) var received = 0

        init(_ descriptor: Int32, _ action: @escaping () -> Void) {
            self.descriptor = descriptor
            self.action = action
        }

        func fillPoll(_ set: PollSet) { index = set.add(descriptor, .readable) }

        func handlePoll(_ set: PollSet) {
            guard set.ready(index).contains(.readable) else { return }
            var byte: UInt8 = 0
            received += read(descriptor, &byte, 1)
            action()
        }
    }

    @Test func busyMachinesLookAtDescriptors() throws {
        for mode in ClockMode.allCases {
            let (machine, board) = try ScriptedBoard.machine(mode)
            var looks = 0
            let poller = CountingPoller { looks += 1 }
            machine.pollers.add(poller)
            board.scripted[0].work = { _, budget in
                if mode == .host { usleep(300) }
                return budget
            }
            _ = machine.run { board.scripted[0].slices.count == 100 }
            // 100 sleeps are at least 30 ms; the last of 100 virtual slices of 0.2 ms starts at 19.8 ms.
            #expect(mode == .host ? looks >= 15 : looks == 19)
        }
    }

    private final class CountingPoller: IOPoller {
        private let action: () -> Void
        init(_ action: @escaping () -> Void) { self.action = action }
        func fillPoll(_ set: PollSet) { action() }
        func handlePoll(_ set: PollSet) {}
    }

    // MARK: Power

    @Test(arguments: [
        (PowerRequest.poweroff(code: 0), ExitStatus(code: 0, reason: .poweroff)),
        (.poweroff(code: 7), ExitStatus(code: 7, reason: .poweroff)),
        (.failure(code: 3), ExitStatus(code: 3, reason: .failure(code: 3))),
        (.failure(code: 0x300), ExitStatus(code: 1, reason: .failure(code: 0x300))),
    ])
    func theGuestEndsTheRun(request: PowerRequest, status: EmuMachine.ExitStatus) throws {
        let (machine, board) = try ScriptedBoard.machine(.host)
        board.scripted[0].work = { hart, budget in
            board.context.request(request)
            // A second request comes too late.
            board.context.request(.reset)
            #expect(hart.exitRequested)
            return 1
        }
        #expect(machine.run() == status)
        #expect(board.scripted[0].slices.count == 1)
    }

    @Test func resetLoadsImagesAndGoesOn() throws {
        let (machine, board) = try ScriptedBoard.machine(.host, harts: 2)
        board.scripted[1].work = { hart, _ in
            if hart.slices.count == 1 { board.context.request(.reset) }
            return 1
        }
        _ = machine.run { machine.resets == 1 && board.scripted[0].slices.count == 2 }
        #expect(board.loads == [true, false])
        #expect(board.scripted.map(\.resets) == [1, 1])
        // After a reset the first hart begins again.
        #expect(board.scripted[1].slices.count == 1)
    }

    @Test func noRebootEndsTheRun() throws {
        let (machine, board) = try ScriptedBoard.machine(.host) { $0.exitsOnReset = true }
        board.scripted[0].work = { _, _ in
            board.context.request(.reset)
            return 1
        }
        #expect(machine.run() == ExitStatus(code: 0, reason: .reset))
    }

    @Test func aResetThatCannotLoadEndsTheRun() throws {
        let (machine, board) = try ScriptedBoard.machine(.host)
        board.loadFailure = ConfigError("-kernel gone", "No such file or directory")
        machine.requestReset()
        #expect(machine.run() == .error("reset: -kernel gone: No such file or directory"))
    }

    // MARK: Stopping and pausing

    @Test func stopRequestsEndBusyAndIdleRuns() throws {
        for isWaiting in [false, true] {
            let stopper = MachineStopper()
            let (machine, board) = try ScriptedBoard.machine(.host, stopper: stopper)
            board.scripted[0].isWaiting = isWaiting
            Thread.detachNewThread {
                usleep(20_000)
                stopper.requestStop(.user)
                stopper.requestStop(.error("too late"))
            }
            #expect(machine.run() == .user)
        }
    }

    @Test func signalsEndTheRun() throws {
        let stopper = MachineStopper()
        let (machine, board) = try ScriptedBoard.machine(.host, stopper: stopper)
        board.scripted[0].isWaiting = true
        Thread.detachNewThread {
            usleep(20_000)
            stopper.requestStop(signal: SIGTERM)
        }
        #expect(machine.run() == EmuMachine.ExitStatus(code: 143, reason: .signal(SIGTERM)))
    }

    @Test func aPausedMachineRunsNothingButServesResets() throws {
        let stopper = MachineStopper()
        let (machine, board) = try ScriptedBoard.machine(.host, stopper: stopper)
        machine.isPaused = true
        Thread.detachNewThread {
            usleep(20_000)
            stopper.requestStop(.user)
        }
        machine.requestReset()
        #expect(machine.run() == .user)
        #expect(machine.resets == 1)
        #expect(board.scripted[0].slices.isEmpty)
    }

    @Test func closingFlushesTheDisks() throws {
        let (machine, board) = try ScriptedBoard.machine(.host)
        try machine.close()
        #expect(board.flushes == 1)
    }

    // MARK: State

    @Test func theStateHashSeesMemoryHartsAndTime() throws {
        func hash(_ change: (Machine, ScriptedBoard) -> Void) throws -> UInt64 {
            let (machine, board) = try ScriptedBoard.machine(.virtual)
            change(machine, board)
            return try machine.stateHash()
        }
        let plain = try hash { _, _ in }
        #expect(try hash { _, _ in } == plain)
        #expect(try hash { machine, _ in _ = machine.bus.storeMemory(0x800f_ffff, UInt8(1)) } != plain)
        #expect(try hash { machine, board in _ = machine.run { board.scripted[0].cycles > 0 } } != plain)
        #expect(try hash { machine, _ in machine.events.advanceVirtual(to: 1) } != plain)
    }

    @Test func statisticsAddUpAllHarts() throws {
        let (machine, board) = try ScriptedBoard.machine(.virtual, harts: 2)
        for hart in board.scripted { hart.work = { _, _ in 1000 } }
        _ = machine.run { board.scripted[1].slices.count == 1 }
        let statistics = machine.statistics
        #expect(statistics.instructions == 2000)
        #expect(statistics.guestSeconds == 2e-5)
        #expect(statistics.summary.hasPrefix("2000 instructions in "))
        #expect(statistics.peakResident > 1 << 20)
    }
}
