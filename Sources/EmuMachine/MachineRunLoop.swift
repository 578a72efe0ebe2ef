import EmuBus
import EmuCPU
import EmuDevices
import Glibc

/// Host times the run loop keeps, in nanoseconds of the monotonic clock.
final class RunClock {
    var started: UInt64?
    var lastPoll: UInt64 = 0
}

/// Looks at harts every so many of their cycles.
package protocol HartSampler: AnyObject {
    /// Cycles, at least 1, until `didRun` wants to be called for a hart.
    func cyclesToNextSample(hart: Int) -> Int
    /// A hart has run for `cycles` and stands still.
    func didRun(hart: Int, cycles: Int)
}

/// How the machine divides its one thread: harts take turns by slices of a fixed number of cycles; between slices due events
/// run, host descriptors are looked at, and requests (power, stop, pause) are served.
///
/// With the virtual clock every decision depends on guest time alone, never on the host's: a slice ends at the next event,
/// each cycle of any hart moves time by a fixed amount, and when no hart has work time jumps to the next event.
extension Machine {
    /// Cycles a hart runs before another gets its turn.
    static let quantum = 20_000
    /// The same for the only hart on the host's clock, whom only events and requests wait for: some 20 microseconds of translated code. Every
    /// turn costs about 0.4.
    static let loneQuantum = 80_000
    /// Nanoseconds (host clock: of the host, virtual clock: of the guest) between two looks at busy descriptors.
    static let pollInterval: UInt64 = 1_000_000

    /// Runs until the guest, the user or the host ends the run.
    public func run() -> ExitStatus {
        if clock.started == nil { clock.started = HostClock.now() }
        while true {
            if let status = step() { return status }
        }
    }

    /// Runs until `isDone` or the end of the run, whichever comes first; nil in the former case. For tests and tools.
    public func run(until isDone: () -> Bool) -> ExitStatus? {
        if clock.started == nil { clock.started = HostClock.now() }
        while !isDone() {
            if let status = step() { return status }
        }
        return nil
    }

    /// One turn of the loop.
    private func step() -> ExitStatus? {
        if let status = host.stopper.request { return status }
        if let status = servePower() { return status }
        if isPaused {
            let wasHeld = events.isHeld
            events.isHeld = true
            pollers.wait(timeout: .max)
            events.isHeld = wasHeld
            return nil
        }
        events.runDue()
        board.poll()
        // What events and mailboxes asked for comes before another slice.
        guard context.powerRequest == nil else { return nil }
        pollIfDue()
        if let hart = runnableHart() {
            runSlice(hart, limit: harts.count == 1 && events.mode == .host ? Self.loneQuantum : Self.quantum)
        } else {
            return idle()
        }
        return nil
    }

    func servePower() -> ExitStatus? {
        guard let request = context.powerRequest else { return nil }
        context.powerRequest = nil
        switch request {
        case .poweroff(let code): return .poweroff(code: code)
        case .failure(let code): return .failure(code: code)
        case .reset:
            if config.exitsOnReset { return ExitStatus(code: 0, reason: .reset) }
            do {
                try performReset()
                return nil
            } catch {
                return .error("reset: \(error)")
            }
        }
    }

    // MARK: Slices

    /// The next hart in turn that has something to do.
    private func runnableHart() -> (any Hart)? {
        for offset in 0..<harts.count {
            let hart = harts[(nextHart + offset) % harts.count]
            if !hart.isWaiting, heldHarts.isEmpty || !heldHarts.contains(hart.index) { return hart }
        }
        return nil
    }

    /// - Parameter limit: most cycles the hart gets.
    func runSlice(_ hart: any Hart, limit: Int = quantum) {
        if let lastHart, lastHart != hart.index { hart.didSwitch() }
        lastHart = hart.index
        nextHart = (hart.index + 1) % harts.count
        context.runningHart = hart
        if events.mode == .virtual {
            let start = events.now
            let before = hart.cycles
            run(hart, budget: min(limit, virtualBudget(start)), clockBase: start)
            events.advanceVirtual(to: start &+ (hart.cycles &- before) &* config.nanosecondsPerCycle)
        } else {
            run(hart, budget: limit, clockBase: 0)
        }
        context.runningHart = nil
    }

    /// A slice, in pieces where a sampler wants to look in between. Budgets are exact, so that the guest does not notice.
    private func run(_ hart: any Hart, budget: Int, clockBase: UInt64) {
        guard let sampler else {
            _ = hart.run(budget: budget, clockBase: clockBase)
            return
        }
        let start = hart.cycles
        while true {
            let before = hart.cycles
            let done = before &- start
            let piece = max(1, min(budget - Int(done), sampler.cyclesToNextSample(hart: hart.index)))
            let reason = hart.run(budget: piece, clockBase: clockBase &+ (events.mode == .virtual ? done &* config.nanosecondsPerCycle : 0))
            let used = Int(hart.cycles &- before)
            sampler.didRun(hart: hart.index, cycles: used)
            if reason != .budget || used < piece || Int(done) + used >= budget { return }
        }
    }

    /// Cycles until the quantum ends or the next event is due.
    private func virtualBudget(_ now: UInt64) -> Int {
        guard events.nextDeadline != .max else { return Self.quantum }
        let wait = events.nextDeadline > now ? events.nextDeadline - now : 1
        let step = config.nanosecondsPerCycle
        let cycles = wait / step + (wait % step == 0 ? 0 : 1)
        return Int(min(cycles, UInt64(Self.quantum)))
    }

    // MARK: Descriptors and idleness

    func pollIfDue() {
        let now = events.mode == .virtual ? events.now : HostClock.now()
        guard now &- clock.lastPoll >= Self.pollInterval || pollers.wake.isRaised else { return }
        clock.lastPoll = now
        pollers.wait(timeout: 0)
    }

    /// No hart has work: waits for the next event or for the outside world.
    private func idle() -> ExitStatus? {
        let deadline = events.nextDeadline
        if events.mode == .virtual {
            // Input that is there already comes first, at this very guest time; then time jumps.
            if deadline == .max {
                pollers.wait(timeout: .max)
            } else {
                pollers.wait(timeout: config.sleepsWhenIdle && deadline > events.now ? deadline - events.now : 0)
                if runnableHart() == nil && events.nextDeadline == deadline { events.advanceVirtual(to: deadline) }
            }
            clock.lastPoll = events.now
        } else {
            let now = events.now
            pollers.wait(timeout: deadline == .max ? .max : deadline > now ? deadline - now : 0)
            clock.lastPoll = HostClock.now()
        }
        return nil
    }
}
