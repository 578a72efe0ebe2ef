/// Registers and in-memory structures of the RISC-V IOMMU architecture 1.0. Section names are those of its specification.
enum IOMMU {
    /// Offsets of registers ("Register layout").
    enum Register {
        static let capabilities: UInt64 = 0, features: UInt64 = 8, directory: UInt64 = 16
        static let commandBase: UInt64 = 24, commandHead: UInt64 = 32, commandTail: UInt64 = 36
        static let faultBase: UInt64 = 40, faultHead: UInt64 = 48, faultTail: UInt64 = 52
        static let commandControl: UInt64 = 72, faultControl: UInt64 = 76, pending: UInt64 = 84
        static let requestAddress: UInt64 = 600, requestControl: UInt64 = 608, response: UInt64 = 616
        static let vectors: UInt64 = 760, messages: UInt64 = 768
        /// Bytes of all registers.
        static let size: UInt64 = 4096
    }

    /// Bits of `capabilities`.
    enum Capability {
        static let version: UInt64 = 0x10
        static let firstStages: UInt64 = 7 << 9
        static let memoryTypes: UInt64 = 1 << 15
        static let secondStages: UInt64 = 7 << 17
        static let messageTables: UInt64 = 1 << 22
        static let accessedDirty: UInt64 = 1 << 24
        /// IGS: messages and a wire.
        static let bothInterrupts: UInt64 = 2 << 28
        static let debug: UInt64 = 1 << 31
        static let addressBits: UInt64 = 56 << 32
        static let processDirectories: UInt64 = 7 << 38
        static let nonLeafInvalidation: UInt64 = 1 << 42
        static let rangeInvalidation: UInt64 = 1 << 43
    }

    /// `fctl.WSI`, the only feature that can be chosen.
    static let wiredInterrupts: UInt32 = 1 << 1

    /// Values of `ddtp.iommu_mode`.
    enum Mode {
        static let off: UInt64 = 0, bare: UInt64 = 1, oneLevel: UInt64 = 2, threeLevels: UInt64 = 4
        static let mask: UInt64 = 0xf
    }

    /// The PPN of registers and table entries, in place.
    static let pageNumber: UInt64 = (1 << 44 - 1) << 10
    /// The address such a field means.
    static func address(_ field: UInt64) -> UInt64 { (field & pageNumber) << 2 }
    /// The address of the PPN field at bit 0 of `iohgatp`, `iosatp`, `pdtp` and `msiptp`.
    static func rootAddress(_ field: UInt64) -> UInt64 { (field & (1 << 44 - 1)) << 12 }

    /// Bits of `cqcsr` and `fqcsr`.
    enum Queue {
        static let enable: UInt32 = 1 << 0, interruptEnable: UInt32 = 1 << 1
        static let memoryFault: UInt32 = 1 << 8
        /// `cqcsr` only.
        static let timeout: UInt32 = 1 << 9, illegal: UInt32 = 1 << 10, fenceInterrupt: UInt32 = 1 << 11
        /// `fqcsr` only.
        static let overflow: UInt32 = 1 << 9
        static let on: UInt32 = 1 << 16
        /// Most entries, as LOG2SZ-1. More would be commands for seconds.
        static let maximumSize: UInt64 = 15
    }

    /// Bits of `ipsr`, which are also the numbers of the causes in `icvec`.
    enum Interrupt {
        static let command = 0, fault = 1
    }

    /// Fields of a device context ("Device-context fields").
    enum Control {
        static let valid: UInt64 = 1 << 0, hidesFaults: UInt64 = 1 << 4, hasProcesses: UInt64 = 1 << 5
        static let secondStageUpdates: UInt64 = 1 << 7, firstStageUpdates: UInt64 = 1 << 8, defaultProcess: UInt64 = 1 << 9
        /// What is defined here and offered; the custom bits may be anything.
        static let supported = valid | hidesFaults | hasProcesses | secondStageUpdates | firstStageUpdates | defaultProcess | 0xff << 24
    }

    /// Fields of a process context's `ta`.
    enum Process {
        static let valid: UInt64 = 1 << 0, allowsPrivileged: UInt64 = 1 << 1, mayReachUser: UInt64 = 1 << 2
        static let reserved: UInt64 = 0x1ff << 3 | 0xffff_ffff << 32
    }

    /// Fields of page-table entries (privileged manual, "Sv39", with Svnapot and Svpbmt).
    enum Entry {
        static let valid: UInt64 = 1 << 0, read: UInt64 = 1 << 1, write: UInt64 = 1 << 2, execute: UInt64 = 1 << 3, user: UInt64 = 1 << 4
        static let accessed: UInt64 = 1 << 6, dirty: UInt64 = 1 << 7
        static let reserved: UInt64 = 0x7f << 54
        static let memoryTypeShift: UInt64 = 61
        static let memoryType: UInt64 = 3 << memoryTypeShift
        static let napot: UInt64 = 1 << 63
        /// log2 of the pages a NAPOT leaf spans.
        static let napotBits: UInt64 = 4
    }

    /// `CAUSE` of fault records.
    enum Cause {
        static let allDisallowed: UInt32 = 256, directoryAccess: UInt32 = 257, directoryInvalid: UInt32 = 258, directoryMisconfigured: UInt32 = 259
        static let typeDisallowed: UInt32 = 260, messageTableAccess: UInt32 = 261, messageInvalid: UInt32 = 262, messageMisconfigured: UInt32 = 263
        static let processAccess: UInt32 = 265, processInvalid: UInt32 = 266, processMisconfigured: UInt32 = 267, interruptWrite: UInt32 = 273
        /// Reported with `DTF` set, too.
        static func isAlwaysReported(_ cause: UInt32) -> Bool { (allDisallowed...directoryMisconfigured).contains(cause) || cause == interruptWrite }
    }
}

/// What a transaction wants.
enum IOMMUAccess {
    case read, write, execute

    var permission: UInt64 {
        switch self {
        case .read: IOMMU.Entry.read
        case .write: IOMMU.Entry.write
        case .execute: IOMMU.Entry.execute
        }
    }

    var accessFault: UInt32 {
        switch self {
        case .read: 5
        case .write: 7
        case .execute: 1
        }
    }

    var pageFault: UInt32 { accessFault + (self == .execute ? 11 : 8) }
    var guestPageFault: UInt32 { pageFault + 8 }

    /// `TTYP` of an untranslated request.
    var transactionType: UInt64 {
        switch self {
        case .execute: 1
        case .read: 2
        case .write: 3
        }
    }
}

/// An inbound transaction, untranslated.
struct IOMMURequest {
    let device: UInt32
    /// The PASID, of requests that have one.
    var process: UInt32?
    var isPrivileged = false
    let access: IOMMUAccess
    let address: UInt64
}

/// Why a translation stops.
struct IOMMUFault: Error {
    let cause: UInt32
    /// `iotval2`.
    var second: UInt64 = 0

    init(_ cause: UInt32, second: UInt64 = 0) {
        self.cause = cause
        self.second = second
    }
}

/// What a translation finds.
struct IOMMULeaf {
    /// Of the byte asked for.
    var address: UInt64
    /// log2 of the size of the smallest page on the way.
    var shift: UInt64
    /// PBMT.
    var memoryType: UInt64 = 0
}

/// A device context in its extended form; what the base form lacks is zero.
struct IOMMUDeviceContext {
    let control: UInt64
    let secondStage: UInt64
    let attributes: UInt64
    let firstStage: UInt64
    let messageTable: UInt64
    let messageMask: UInt64
    let messagePattern: UInt64
    let reserved: UInt64

    func has(_ bit: UInt64) -> Bool { control & bit != 0 }
    var secondMode: UInt64 { secondStage >> 60 }
    var firstMode: UInt64 { firstStage >> 60 }
    var messageMode: UInt64 { messageTable >> 60 }
}

/// One stage of translation.
struct IOMMUPageTable {
    let root: UInt64
    let levels: Int
    let isSecondStage: Bool
    /// A and D bits are set where they are needed; otherwise that is a fault.
    let updates: Bool

    /// Nil for a stage that translates nothing.
    init?(_ field: UInt64, isSecondStage: Bool, updates: Bool) {
        let mode = Int(field >> 60)
        guard mode >= 8 else { return nil }
        root = IOMMU.rootAddress(field)
        levels = mode - 5
        self.isSecondStage = isSecondStage
        self.updates = updates
    }

    /// The address can be translated: its unused bits are as they must be.
    func covers(_ address: UInt64) -> Bool {
        let width = UInt64(12 + 9 * levels)
        if isSecondStage { return address >> (width + 2) == 0 }
        let unused = 64 - width
        return UInt64(bitPattern: Int64(bitPattern: address << unused) >> Int64(unused)) == address
    }

    /// Position of the entry for `address` in the table at `base`.
    func position(_ base: UInt64, _ level: Int, _ address: UInt64) -> UInt64 {
        let mask: UInt64 = isSecondStage && level == levels - 1 ? 0x7ff : 0x1ff
        return base | (address >> UInt64(12 + 9 * level) & mask) << 3
    }
}
