import EmuBus
import EmuCPU
import EmuMachine

/// Running the guest and stopping it.
extension DebugSession {
    /// Asks a running guest to stop; all harts stop together. For pollers (Ctrl-C, a GDB client) while a function below runs.
    public func interrupt() {
        isInterrupted = true
        for hart in harts { hart.hart.requestExit() }
        machine.host.stopper.wake()
    }

    /// Lets all harts run until something stops them.
    public func resume() throws(DebugError) -> Stop {
        try running { run() }
    }

    /// Executes `count` instructions of the selected hart.
    public func step(_ count: Int = 1) throws(DebugError) -> Stop {
        try running {
            for _ in 0..<count {
                if let stop = stepOnce() { return stop }
            }
            return stopped(.step)
        }
    }

    /// Executes instructions of the selected hart, at least one, while they lie in `range`.
    public func step(within range: Range<UInt64>) throws(DebugError) -> Stop {
        try running {
            while true {
                if let stop = stepOnce() { return stop }
                guard range.contains(hart.pc) else { return stopped(.step) }
                passes[selected] = nil
                // A step passes over the breakpoint it starts from; this one was come to by the step before.
                if breaks(hart: selected, before: hart.pc, physical: hart.physical(hart.pc) ?? hart.pc), let pendingStop { return pendingStop }
            }
        }
    }

    /// Like `step`, but runs calls and system calls to their return.
    public func next(_ count: Int = 1) throws(DebugError) -> Stop {
        try running {
            for _ in 0..<count {
                if let stop = nextOnce() { return stop }
            }
            return stopped(.step)
        }
    }

    /// Executes to the next source line, `count` times. Where no line is known, one instruction.
    /// - Parameter into: whether functions that are called, and have lines, are entered.
    public func stepLine(_ count: Int = 1, into: Bool) throws(DebugError) -> Stop {
        try running {
            for _ in 0..<count {
                if let stop = stepLineOnce(into: into) { return stop }
            }
            return stopped(.step)
        }
    }

    private func stepLineOnce(into: Bool) -> Stop? {
        guard let start = symbols?.line(at: hart.pc) else { return into ? stepOnce() : nextOnce() }
        while true {
            let call = instruction(at: hart.pc).flatMap { $0.flow == .call ? $0 : nil }
            // What a computed call leads to is known when it is done.
            let isEntered = into && call != nil && call?.target.map { symbols?.line(at: $0) != nil } ?? true
            if let stop = isEntered ? stepOnce() : nextOnce() { return stop }
            guard let here = symbols?.line(at: hart.pc) else {
                if isEntered, let stop = runOut() { return stop }
                if symbols?.line(at: hart.pc) == nil { return nil }
                continue
            }
            if here != start { return nil }
        }
    }

    /// Leaves a function that was just entered.
    private func runOut() -> Stop? {
        let stack = hart.stackPointer
        let stop = runTo(hart.returnAddress) { $0.stackPointer >= stack }
        if case .location = stop.reason { return nil }
        return stop
    }

    /// Runs until the function the selected hart is in returns.
    public func finish() throws(DebugError) -> Stop {
        let frames = backtrace(limit: 2)
        guard frames.count > 1 else { throw DebugError("the caller is unknown: there is no return address to run to") }
        let target = frames[1].pc, stack = hart.stackPointer
        return try running {
            runTo(target) { $0.stackPointer >= stack }
        }
    }

    /// Runs until `address` is executed by the selected hart, or the present function returns.
    public func until(_ address: UInt64) throws(DebugError) -> Stop {
        let caller = backtrace(limit: 2).dropFirst().first?.pc, stack = hart.stackPointer
        return try running {
            let back = caller.map { addInternal($0) { $0.stackPointer >= stack } }
            defer { if let back { removeInternal(back) } }
            return runTo(address) { _ in true }
        }
    }

    /// Like `next`, but does not go back in a loop: stops at a greater address, or outside the function.
    public func untilNext() throws(DebugError) -> Stop {
        let start = hart.pc, stack = hart.stackPointer
        return try running {
            while true {
                if let stop = nextOnce() { return stop }
                if hart.pc > start || hart.stackPointer > stack { return stopped(.step) }
            }
        }
    }

    /// Runs until any hart executes `address`.
    public func advance(_ address: UInt64) throws(DebugError) -> Stop {
        try running {
            runTo(address, anyHart: true) { _ in true }
        }
    }

    // MARK: The loop

    /// Prepares, runs `body`, and puts the guest to rest again.
    private func running(_ body: () -> Stop) throws(DebugError) -> Stop {
        if let end { throw DebugError("the guest has ended (\(end.text)); 'reset' starts it again") }
        isInterrupted = false
        isRunning = true
        defer { isRunning = false }
        pendingStop = nil
        // Nobody is told again where they are told already; a hart that stands at a breakpoint it has not come to yet is.
        passes = passes.filter { harts[$0.key].pc == $0.value }
        passes[selected] = hart.pc
        updateWatch()
        willRun?()
        machine.events.isHeld = false
        var stop = body()
        machine.events.isHeld = true
        didStop?()
        watch.holdsInterrupts = false
        for id in stop.breakpoints where breakpoint(id)?.isTemporary == true { removeBreakpoint(id) }
        selected = stop.hart
        stop.pc = hart.pc
        passes[stop.hart] = stop.pc
        if case .ended(let end) = stop.reason { self.end = end }
        lastStop = stop
        return stop
    }

    private func stopped(_ reason: Stop.Reason) -> Stop { Stop(reason: reason, hart: selected, pc: hart.pc) }

    private func ended(_ status: ExitStatus) -> Stop {
        let text: String
        var isFromOutside = false
        switch status.reason {
        case .poweroff: text = status.code == 0 ? "powered off" : "powered off with code \(status.code)"
        case .failure(let code): text = "reported failure \(code)"
        case .reset: text = "asked for a reset, and -no-reboot is set"
        case .user, .signal:
            text = "stopped from outside"
            isFromOutside = true
        case .error(let message):
            text = message
            isFromOutside = true
        }
        return stopped(.ended(EndOfRun(code: status.code, text: text, isFromOutside: isFromOutside, status: status)))
    }

    /// Runs all harts until a stop.
    func run() -> Stop {
        pendingStop = nil
        updateWatch()
        listen(!watch.isEmpty)
        if let status = machine.run(until: { [unowned self] in pendingStop != nil || isInterrupted }) { return ended(status) }
        return pendingStop ?? stopped(.interrupted)
    }

    /// One instruction of the selected hart; nil when all went well.
    private func stepOnce() -> Stop? {
        pendingStop = nil
        listen(true)
        watch.holdsInterrupts = stepsHoldInterrupts
        passes[selected] = hart.pc
        defer { watch.holdsInterrupts = false }
        while true {
            switch turn(hart) {
            case .ended(let status): return ended(status)
            case .ran:
                if let stop = pendingStop ?? (isInterrupted ? stopped(.interrupted) : nil) { return stop }
                return stepsOneHart ? nil : stepOthers()
            case .waiting:
                // Whatever ends the wait has to happen: time passes, other harts work.
                var turns = 0
                let status = machine.run(until: { [unowned self] in
                    turns += 1
                    return turns > 1 || pendingStop != nil || isInterrupted
                })
                if let status { return ended(status) }
                if let stop = pendingStop ?? (isInterrupted ? stopped(.interrupted) : nil) { return stop }
            }
        }
    }

    /// A turn of one instruction. One that a request to leave the slice, left over from an earlier one, ended at once was none.
    private func turn(_ hart: any DebugHart) -> Machine.TurnOutcome {
        let before = hart.hart.cycles
        while true {
            let outcome = machine.turn(hart: hart.index, budget: 1)
            guard outcome == .ran, hart.hart.cycles == before, pendingStop == nil, !isInterrupted else { return outcome }
        }
    }

    /// One instruction of every other hart that has something to do.
    private func stepOthers() -> Stop? {
        for other in harts where other.index != selected && !other.isWaiting && !heldHarts.contains(other.index) {
            if case .ended(let status) = turn(other) { return ended(status) }
            if let pendingStop { return pendingStop }
        }
        return nil
    }

    private func nextOnce() -> Stop? {
        guard let instruction = instruction(at: hart.pc), instruction.flow == .call || instruction.flow == .systemCall else { return stepOnce() }
        let stack = hart.stackPointer, privilege = hart.privilegeName
        let isCall = instruction.flow == .call
        passes[selected] = hart.pc
        let stop = runTo(hart.pc &+ instruction.length) { isCall ? $0.stackPointer >= stack : $0.privilegeName == privilege }
        if case .location = stop.reason { return nil }
        return stop
    }

    /// Runs to an address under a breakpoint of the session's own.
    private func runTo(_ address: UInt64, anyHart: Bool = false, _ condition: @escaping @Sendable (any DebugHart) -> Bool) -> Stop {
        let id = addInternal(address, anyHart: anyHart, condition)
        defer { removeInternal(id) }
        return run()
    }

    private func addInternal(_ address: UInt64, anyHart: Bool = false, _ condition: @escaping @Sendable (any DebugHart) -> Bool) -> Int {
        var point = Breakpoint(id: nextInternalID, kind: .code(address: address, isPhysical: false), location: hexText(address))
        nextInternalID -= 1
        point.hart = anyHart ? nil : selected
        point.guardCondition = condition
        breakpoints.append(point)
        watchIsStale = true
        return point.id
    }

    private func removeInternal(_ id: Int) {
        breakpoints.removeAll { $0.id == id }
        watchIsStale = true
    }
}
