import EmuCPU
import EmuMachine

/// Something that stops the guest: a place that is executed, data that is touched, or an event.
public struct Breakpoint: Sendable {
    public enum Access: String, CaseIterable, Sendable {
        /// Loads.
        case read
        /// Stores, whatever they store.
        case write
        /// Stores that change the watched bytes.
        case change
        /// Loads and stores.
        case access
    }

    /// An event to catch; an empty set means any.
    public enum Event: Equatable, Sendable {
        case exception(causes: Set<UInt64>)
        case interrupt(causes: Set<UInt64>)
        case systemCall(numbers: Set<UInt64>)
        /// Writes to control registers, by number.
        case registerWrite(registers: Set<Int>)
        /// A change of privilege, to this one if given.
        case privilege(to: UInt8?)
    }

    public enum Kind: Equatable, Sendable {
        /// Execution of the instruction at an address.
        case code(address: UInt64, isPhysical: Bool)
        /// A place whose symbol nobody knows yet: becomes `code` when symbols arrive.
        case pending
        /// Loads and stores of `length` bytes.
        case data(address: UInt64, length: UInt64, isPhysical: Bool, Access)
        case event(Event)
    }

    /// Numbered from 1; 0 and below are the session's own.
    public internal(set) var id: Int
    public internal(set) var kind: Kind
    /// The place as the user wrote it.
    public var location: String
    /// Removed by its first hit.
    public var isTemporary = false
    public var isEnabled = true
    /// Hits still to be passed over.
    public var ignoreCount = 0
    /// How often it stopped, or would have but for `ignoreCount`.
    public internal(set) var hits = 0
    /// As written; an empty one always holds.
    public internal(set) var condition = ""
    var parsedCondition: Expression?
    /// Only this hart.
    public var hart: Int?
    /// Only in this address space (`DebugHart.identity(ofSpace:)`); virtual addresses only.
    public internal(set) var space: UInt64?
    /// Commands for the REPL when it stops.
    public var commands: [String] = []
    /// For the session's own: must hold as well.
    var guardCondition: (@Sendable (any DebugHart) -> Bool)?
    /// Why the condition could not be evaluated when it stopped last.
    public internal(set) var problem: String?

    init(id: Int, kind: Kind, location: String) {
        self.id = id
        self.kind = kind
        self.location = location
    }

    var isInternal: Bool { id <= 0 }

    /// What `info breakpoints` calls it.
    public var kindName: String {
        switch kind {
        case .code(_, let isPhysical): isPhysical ? "physical breakpoint" : "breakpoint"
        case .pending: "pending breakpoint"
        case .data(_, _, let isPhysical, let access):
            (isPhysical ? "physical " : "") + ["read": "read", "write": "write", "change": "change", "access": "access"][access.rawValue, default: ""] + " watchpoint"
        case .event: "catchpoint"
        }
    }
}

/// Why and where the guest stopped.
public struct Stop: Sendable {
    public enum Reason: Sendable {
        /// Nothing has run yet.
        case start
        /// The steps asked for are done.
        case step
        /// The place asked for (`finish`, `until`, `advance`) is reached.
        case location
        case breakpoint(ids: [Int])
        case watchpoint(ids: [Int], Access)
        case event(ids: [Int], String)
        /// Ctrl-C, or `interrupt`.
        case interrupted
        /// The guest's machine was reset.
        case reset
        /// The run is over.
        case ended(EndOfRun)
    }

    /// A load or store that a watchpoint saw.
    public struct Access: Equatable, Sendable {
        public var isWrite: Bool
        public var address: UInt64
        public var size: UInt64
        public var old: UInt64?
        public var new: UInt64?
        /// The instruction that did it; the hart stands behind it.
        public var pc: UInt64

        public init(isWrite: Bool, address: UInt64, size: UInt64, old: UInt64?, new: UInt64?, pc: UInt64) {
            self.isWrite = isWrite
            self.address = address
            self.size = size
            self.old = old
            self.new = new
            self.pc = pc
        }
    }

    public var reason: Reason
    public var hart: Int
    /// Of the hart's next instruction.
    public var pc: UInt64

    /// Numbers of the user's breakpoints that stopped the guest.
    public var breakpoints: [Int] {
        switch reason {
        case .breakpoint(let ids), .watchpoint(let ids, _), .event(let ids, _): ids
        default: []
        }
    }
}

/// How the guest's run ended under the debugger.
public struct EndOfRun: Equatable, Sendable {
    /// What the process would have exited with.
    public var code: Int32
    public var text: String
    /// By the user or a signal, not by the guest: the debugger is to end, too.
    public var isFromOutside: Bool
    /// The same as the run loop reported it.
    public var status: ExitStatus
}
