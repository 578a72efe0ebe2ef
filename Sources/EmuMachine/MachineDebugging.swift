import EmuBus
import EmuCPU

/// What a debugger needs of the run loop besides `run(until:)`.
extension Machine {
    /// How one turn for one hart ended.
    package enum TurnOutcome: Equatable {
        /// The hart ran.
        case ran
        /// The hart waits for an interrupt and did not run.
        case waiting
        case ended(ExitStatus)
    }

    /// One turn of the loop in which only hart `index` may run, for at most `budget` cycles. Due events and descriptors are served as always.
    package func turn(hart index: Int, budget: Int) -> TurnOutcome {
        if let status = host.stopper.request { return .ended(status) }
        if let status = servePower() { return .ended(status) }
        events.runDue()
        board.poll()
        if let status = servePower() { return .ended(status) }
        pollIfDue()
        let hart = harts[index]
        guard !hart.isWaiting else { return .waiting }
        runSlice(hart, limit: budget)
        // What the guest has just asked for: a step that powers the machine off ends the run.
        if let status = servePower() { return .ended(status) }
        return .ran
    }

    /// The physical address space's devices, for listings.
    package var regions: [AddressSpace.Region] { bus.regions }
    package var memories: [GuestRAM] { bus.memories }
    /// State of the devices a snapshot would hold.
    package var deviceStates: [any Saveable] { board.saveableParts }
}
