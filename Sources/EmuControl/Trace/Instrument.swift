import EmuCPU
import EmuMachine

/// Something that listens in on harts at work under a session: a trace, a coverage count. It changes nothing in the guest.
package protocol Instrument: AnyObject {
    /// Every instruction is to be told; harts run slowly then.
    var wantsInstructions: Bool { get }
    /// Loads and stores to be told.
    var watchedData: [HartWatch.Data] { get }
    /// Rare events to be told.
    var watchedEvents: HartWatch.Events { get }
    /// `hart` executes the instruction at `pc` next. The hart's own program counter may be behind.
    func willExecute(_ hart: any DebugHart, pc: UInt64, physical: UInt64)
    func observe(_ hart: any DebugHart, _ event: HartEvent)
}

/// Joining instruments to the harts.
extension DebugSession {
    /// Begins to tell `instrument` what it wants to hear. Only while the guest is stopped.
    func add(_ instrument: any Instrument) {
        instruments.append(instrument)
        watchIsStale = true
    }

    /// Tells it no more.
    func remove(_ instrument: any Instrument) {
        instruments.removeAll { $0 === instrument }
        watchIsStale = true
    }

    /// Runs the guest to its end outside the debugger, with the instruments listening.
    public func runToEnd() -> ExitStatus {
        updateWatch()
        listen(!watch.isEmpty)
        machine.events.isHeld = false
        return machine.run()
    }
}
