import EmuBus

/// Why a hart gave control back to the run loop.
public enum ExitReason: Equatable, Sendable {
    /// The budget is used up.
    case budget
    /// The hart waits for an interrupt (RISC-V `wfi`) and has nothing to do until one becomes pending.
    case waiting
    /// The guest hints that another hart should run (RISC-V `pause`, `wrs`).
    case yielded
    /// The next instruction must be executed while no other hart runs; only from harts on threads.
    case exclusive
    /// Somebody called `requestExit`: a device asked for power-off, an event moved, a debugger wants in.
    case requested
}

/// A processor core as the machine sees it, whatever its architecture.
///
/// Its interrupt inputs are numbered as the architecture numbers them (RISC-V: the bits of `mip`).
public protocol Hart: InterruptSink {
    /// Position in the machine, 0-based; RISC-V `mhartid`.
    var index: Int { get }
    /// Runs at most `budget` cycles (one for each instruction retired and one for each exception) and says why it stopped.
    /// - Parameters:
    ///   - budget: cycles, at least 1.
    ///   - clockBase: with the virtual clock, the guest time in nanoseconds at which the slice starts.
    func run(budget: Int, clockBase: UInt64) -> ExitReason
    /// Asks a running hart to return after the instruction in hand.
    func requestExit()
    /// True while the hart waits for an interrupt and none is pending.
    var isWaiting: Bool { get }
    /// Cycles used since the machine was created; never reset, unlike the guest's own counters.
    var cycles: UInt64 { get }
    /// Instructions retired since the machine was created.
    var retired: UInt64 { get }
    /// Returns to the state after power-on.
    func reset()
    /// Called when another hart ran in between: drops what cannot survive that (RISC-V: the LR reservation).
    func didSwitch()
    /// The architectural state as bytes for snapshots and comparison.
    func encodedState() throws -> [UInt8]
    func restoreState(_ bytes: [UInt8]) throws
}
