import EmuBus
import EmuCPU
import EmuMachine

/// A debugger over one machine, without any protocol: what a REPL, a GDB stub and a test drive.
///
/// The machine is stopped whenever no function of the session is running, and guest time stands still then. Single-threaded,
/// like the machine: only `interrupt` may be called from pollers while the guest runs.
public final class DebugSession {
    public let machine: Machine
    package let harts: [any DebugHart]
    /// The hart that commands are about.
    public internal(set) var selected = 0
    /// Names for addresses.
    public var symbols: (any SymbolLookup)? { didSet { resolvePending() } }
    /// Steps run only the selected hart; with false, every other hart gets one instruction for each of its own.
    public var stepsOneHart = true
    /// Steps leave interrupts pending, so that they do not end up in a handler.
    public var stepsHoldInterrupts = true
    /// Harts that stay where they are while others run or step.
    public var heldHarts: Set<Int> {
        get { machine.heldHarts }
        set { machine.heldHarts = newValue }
    }
    /// Where and why the guest stopped last.
    public internal(set) var lastStop: Stop
    /// The guest has ended; only a reset brings it back.
    public internal(set) var end: EndOfRun?

    public internal(set) var breakpoints: [Breakpoint] = []
    var nextID = 1
    var nextInternalID = 0
    /// Breakpoints have changed since the harts were told.
    var watchIsStale = false
    private(set) var watch: HartWatch!
    /// `$name` variables and the values `print` has shown.
    public internal(set) var variables: [String: ExpressionValue] = [:]
    public internal(set) var history: [ExpressionValue] = []

    /// Called before the guest runs and after it has stopped: for whoever lends it the terminal.
    public var willRun: (() -> Void)?
    public var didStop: (() -> Void)?

    /// What listens in while the guest runs.
    package internal(set) var instruments: [any Instrument] = []

    // While the guest runs.
    var pendingStop: Stop?
    var isInterrupted = false
    /// A function that runs the guest is at work.
    public internal(set) var isRunning = false
    /// Instructions a hart may execute once without being asked, by hart.
    var passes: [Int: UInt64] = [:]
    /// The access a watchpoint's condition is about.
    var accessInQuestion: HartAccess?
    /// The address a hart is asked about, which its own program counter does not say yet.
    var pcInQuestion: UInt64?
    /// Breakpoints by the addresses they are at.
    var codeByAddress: [UInt64: [Int]] = [:]

    /// - Throws: `DebugError` when the machine's harts are of no architecture the debugger knows.
    public init(_ machine: Machine) throws(DebugError) {
        self.machine = machine
        let harts = try machine.debugHarts()
        guard let first = harts.first else { throw DebugError("the machine has no harts") }
        self.harts = harts
        lastStop = Stop(reason: .start, hart: 0, pc: first.pc)
        watch = HartWatch(caches: machine.caches, observer: self)
        machine.events.isHeld = true
    }

    /// Lets the machine go: nothing is watched any more, and guest time runs on.
    public func detach() {
        breakpoints = []
        watch.set(code: [], data: [])
        listen(false)
        machine.events.isHeld = false
    }

    /// Makes the harts report to the session, or not: a guest in which nothing is watched runs as if there were no debugger.
    func listen(_ isWanted: Bool) {
        for hart in harts where (hart.watch != nil) != isWanted { hart.watch = isWanted ? watch : nil }
    }

    package var hart: any DebugHart { harts[selected] }

    /// Number of harts.
    public var hartCount: Int { harts.count }

    /// Makes commands be about another hart.
    public func select(hart index: Int) throws(DebugError) {
        guard harts.indices.contains(index) else {
            throw DebugError("there is no hart \(index); " + (harts.count == 1 ? "the only one is 0" : "they are 0 to \(harts.count - 1)"))
        }
        selected = index
    }

    /// The selected hart's program counter.
    public var pc: UInt64 { hart.pc }

    // MARK: Registers

    /// All registers of the selected hart.
    public var registers: [RegisterDescription] { hart.registers }

    /// The register called `name`, with or without `$`.
    public func register(_ name: String) throws(DebugError) -> RegisterDescription {
        let bare = name.hasPrefix("$") ? String(name.dropFirst()) : name
        if let found = hart.register(named: bare) { return found }
        throw DebugError("there is no register '\(bare)'" + didYouMean(bare, among: hart.registers.flatMap { [$0.name] + $0.aliases }))
    }

    /// The value of a register of hart `index`, the selected one by default. Nothing changes by reading.
    public func read(_ register: RegisterDescription, hart index: Int? = nil) -> UInt64 { harts[index ?? selected].value(of: register) }

    /// Writes a register; control registers take legal values only.
    public func write(_ register: RegisterDescription, _ value: UInt64, hart index: Int? = nil) throws(DebugError) {
        if register.isReadOnly { throw DebugError("\(register.name) cannot be written") }
        harts[index ?? selected].set(register, to: value)
    }

    /// What the parts of a register mean; empty for plain numbers.
    public func fields(of register: RegisterDescription) -> [RegisterField] { hart.fields(of: register) }

    /// To be called when `symbols` knows more than before: breakpoints that wait for a symbol look again.
    public func symbolsChanged() { resolvePending() }

    // MARK: Reset

    /// Resets the machine as its reset button would. Breakpoints stay.
    public func reset() throws(DebugError) {
        do {
            try machine.performReset()
        } catch {
            throw DebugError("reset: \(error)")
        }
        end = nil
        passes = [:]
        lastStop = Stop(reason: .reset, hart: selected, pc: hart.pc)
    }

    /// `address` as symbol and distance.
    public func symbolText(_ address: UInt64) -> String? { symbols?.symbol(at: address)?.text }

    /// `0x80000000 <_start>`
    public func addressText(_ address: UInt64) -> String { symbols.addressText(address) }
}

extension Machine {
    /// The harts as a debugger sees them.
    func debugHarts() throws(DebugError) -> [any DebugHart] {
        var list: [any DebugHart] = []
        for hart in harts {
            guard let cpu = hart as? RVProcessor else { throw DebugError("the debugger does not know this kind of processor") }
            list.append(RVDebugHart(cpu, bus: bus))
        }
        return list
    }
}
