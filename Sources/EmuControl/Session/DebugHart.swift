import EmuBus
import EmuCPU
import EmuMachine

/// A register as a debugger shows it.
public struct RegisterDescription: Sendable, Equatable {
    public enum Group: String, CaseIterable, Sendable {
        /// The program counter and the integer registers.
        case general
        case float
        /// Wider than 64 bits; their value is that of the lowest 64.
        case vector
        /// Control and status registers, and the privilege.
        case system
    }

    /// The name the calling convention gives it, or the manual's.
    public var name: String
    /// Other names: `x10`, `fp`.
    public var aliases: [String]
    public var group: Group
    /// Holds an address more often than not.
    public var isPointer: Bool
    public var isReadOnly: Bool
    /// The architecture's own number within the group; for a RISC-V CSR its 12-bit number.
    public var number: Int

    public init(_ name: String, aliases: [String] = [], group: Group, number: Int, isPointer: Bool = false, isReadOnly: Bool = false) {
        self.name = name
        self.aliases = aliases
        self.group = group
        self.number = number
        self.isPointer = isPointer
        self.isReadOnly = isReadOnly
    }
}

/// A part of a register that means something by itself.
public struct RegisterField: Sendable, Equatable {
    public var name: String
    /// Highest and lowest bit.
    public var high: Int
    public var low: Int
    public var value: UInt64
    /// What the value means, empty when it is just a number.
    public var meaning: String
}

/// One instruction of a listing.
public struct DebugInstruction: Sendable, Equatable {
    public enum Flow: Sendable, Equatable {
        case other
        /// Leaves a return address behind.
        case call
        /// Returns by the return-address register.
        case `return`
        /// Enters a more privileged program that comes back behind the instruction.
        case systemCall
    }

    public var address: UInt64
    public var bytes: [UInt8]
    /// Mnemonic and operands, separated by a tab.
    public var text: String
    public var flow: Flow
    /// Where a direct jump, call or branch leads.
    public var target: UInt64?

    public var length: UInt64 { UInt64(bytes.count) }
}

/// What an access wants, in a debugger's words.
public enum DebugAccess: String, CaseIterable, Sendable {
    case read, write, execute
}

/// How a virtual address is, or is not, translated: told level by level.
public struct TranslationStory: Sendable, Equatable {
    public struct Step: Sendable, Equatable {
        public var level: Int
        /// Physical address of the table entry.
        public var position: UInt64
        public var entry: UInt64?
        /// The entry taken apart.
        public var text: String
    }

    public var address: UInt64
    public var access: DebugAccess
    /// The translation in force: "Sv39, ASID 0, root table at 0x…", or that there is none.
    public var scheme: String
    public var privilege: String
    public var steps: [Step]
    public var physical: UInt64?
    public var pageSize: UInt64
    /// The exception the access would raise, nil when it is allowed.
    public var fault: String?
    public var reason: String
}

/// A range of virtual addresses with equal rights.
public struct MappedRange: Sendable, Equatable {
    public var address: UInt64
    public var physical: UInt64
    public var size: UInt64
    /// `rwxugad`, a dash for each right that is missing.
    public var rights: String
}

/// A page in a hart's TLB.
public struct TLBPage: Sendable, Equatable {
    public var space: UInt64
    public var privilege: String
    public var address: UInt64
    public var physical: UInt64
    public var rights: String
    public var isSlow: Bool
    public var isCurrent: Bool
}

/// An interrupt that a hart has enabled, and whether it can come.
public struct WakeUp: Sendable, Equatable {
    public var name: String
    public var canCome: Bool
    /// It would enter a handler now; otherwise it only ends a wait.
    public var entersHandler: Bool
    /// When, or why not.
    public var text: String
}

/// A processor as the debugger sees it; one implementation per guest architecture. Reading changes nothing in the guest.
/// Only to be used while the machine is stopped, reading registers and memory excepted.
package protocol DebugHart: AnyObject {
    var index: Int { get }
    var hart: any Hart { get }
    /// What the hart reports to its observer.
    var watch: HartWatch? { get set }

    var pc: UInt64 { get set }
    var stackPointer: UInt64 { get }
    var framePointer: UInt64 { get }
    var returnAddress: UInt64 { get }
    /// What is needed to find callers, with the registers by their DWARF numbers.
    var unwinding: (architecture: UnwindArchitecture, registers: FrameRegisters) { get }
    /// Number and arguments of a system call about to be made, or just made.
    var systemCallNumber: UInt64 { get }

    /// Every register there is, general ones first.
    var registers: [RegisterDescription] { get }
    /// The register with this name or alias, without `$`.
    func register(named name: String) -> RegisterDescription?
    func value(of register: RegisterDescription) -> UInt64
    /// Writes as an instruction of the highest privilege would: illegal values of control registers become legal ones.
    func set(_ register: RegisterDescription, to value: UInt64)
    /// All of a vector register, lowest byte first; empty for others.
    func vectorBytes(of register: RegisterDescription) -> [UInt8]
    func set(_ register: RegisterDescription, toBytes bytes: [UInt8])
    func fields(of register: RegisterDescription) -> [RegisterField]

    /// The translation register by which pages are found now, 0 without translation.
    var space: UInt64 { get }
    /// What of a translation register's value says which address space it is: not the tags in it that can change.
    func identity(ofSpace space: UInt64) -> UInt64
    var privilege: UInt8 { get }
    /// "M", "S", "U".
    var privilegeName: String { get }
    func privilegeName(_ privilege: UInt8) -> String
    /// Waits for an interrupt.
    var isWaiting: Bool { get }

    /// Where data at `address` lies, whatever the rights; nil when nothing is mapped there.
    func physical(_ address: UInt64) -> UInt64?
    /// The same with another value in the translation register.
    func physical(_ address: UInt64, space: UInt64) -> UInt64?
    func story(_ address: UInt64, _ access: DebugAccess) -> TranslationStory
    func mappings(limit: Int) -> [MappedRange]
    var tlb: [TLBPage] { get }

    /// The instruction that `bytes` begin with; nil when there are too few.
    func instruction(_ bytes: [UInt8], at address: UInt64, symbol: (UInt64) -> String?) -> DebugInstruction?
    /// Longest instruction in bytes.
    var maximumInstructionLength: Int { get }

    /// Name of an exception or interrupt.
    func causeName(_ cause: UInt64) -> String
    /// The exceptions or interrupts `text` names: a number, or words of the name.
    func causes(named text: String, interrupts: Bool) -> [UInt64]
    /// True for the causes of environment calls.
    func isSystemCall(_ cause: UInt64) -> Bool
    func isInterrupt(_ cause: UInt64) -> Bool
    /// The privilege `text` names.
    func privilege(named text: String) -> UInt8?
    /// What a hart that waits or is stuck could be woken by, one fact a line.
    var interruptFacts: [String] { get }

    // For those who explain what a guest does.

    /// The interrupts enabled.
    /// - Parameter othersRun: some other hart runs, and could send one.
    func wakeUps(_ machine: Machine, othersRun: Bool) -> [WakeUp]
    /// What is remembered of traps.
    var traps: TrapHistory { get }
    /// Where traps to `privilege` go, and the name of the register that says so.
    func trapHandler(_ privilege: UInt8) -> (register: String, address: UInt64)
    /// True for an instruction fetch that was refused, whatever by.
    func isFetchFault(_ cause: UInt64) -> Bool
    /// A hart in the same state over other memory, which tells each time it looks at the clock.
    func copy(bus: AddressSpace, cache: TranslationCache, events: EventQueue, onTime: @escaping () -> Void) throws -> any DebugHart
    /// A hash over all that decides what the hart does next, the time excepted.
    var stateDigest: Int { get }
}
