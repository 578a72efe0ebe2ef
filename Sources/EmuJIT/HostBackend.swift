import EmuIR

/// Where translated code finds what it shares with the rest of the processor: distances in bytes from the start of the hart's state.
public struct StateLayout: Sendable {
    /// Guest integer and floating-point register 0; the others follow, 8 bytes each.
    public var integers: Int
    public var floats: Int
    /// Cycles left in the slice once the block in hand has ended (Int64).
    public var remaining: Int
    /// Guest vector register 0; the others follow without gaps.
    public var vectors: Int
    /// Length and type of the guest's vectors (UInt64 each), and their configuration as `VectorShape.key` has it (UInt32).
    public var vectorLength: Int
    public var vectorType: Int
    public var vectorStart: Int
    public var vectorKey: Int
    /// Room for a group of vector registers twice; nothing is kept there.
    public var vectorScratch: Int
    /// vxrm and vxsat, a byte each.
    public var vectorRounding: Int
    public var vectorSaturation: Int
    /// Guest program counter (UInt64): written when translated code is left for the dispatcher.
    public var pc: Int
    /// Guest virtual address of the page the code runs in.
    public var pageBase: Int
    /// TLB entries for loads and for stores: pointer, and the number of entries less one times their size, in bytes (UInt64).
    public var loads: Int
    public var loadMask: Int
    /// Pointers to the physical page addresses (UInt64) behind the entries.
    public var loadPages: Int
    public var storePages: Int
    public var stores: Int
    public var storeMask: Int
    /// Pointer to the jump cache's entries, and what its keys are exclusive-or'ed with.
    public var jumps: Int
    public var jumpSalt: Int
    /// UInt32, set by a helper when the block must be left at once, the whole state being stored: 1 to return, 2 to go on at `pc`.
    public var leave: Int
    /// UInt32: an `CodeExit` raw value, the site it concerns, and the unit's number (UInt64).
    public var exitReason: Int
    public var exitSite: Int
    public var exitUnit: Int
    /// The reservation: physical address and length (UInt64), and the count of foreign writes when it was made; and a pointer to that count now.
    public var reservedAddress: Int
    public var reservedLength: Int
    public var reservedWrites: Int
    public var foreignWrites: Int
    /// Of harts on threads (UInt64): what lr puts into the length, and what sc compares with it; what lr loaded; and not 0 when lr must ask.
    public var reservationMark: Int
    public var reservedValue: Int
    public var distrust: Int
    /// UInt32: the guest's privilege as `guardPrivilege` sees it.
    public var privilege: Int
    /// UInt32: not 0 while the host's floating-point control register holds the guest's modes and flags.
    public var floatLive: Int
    /// UInt32: the guest's floating-point modes and sticky flags in the host's format.
    public var floatControl: Int
    /// UInt64: operand of the store in hand, for the helper.
    public var storeValue: Int
    /// Temporaries of a block: `temporaryCount` words of 8 bytes.
    public var temporaries: Int
    public var temporaryCount: Int
    /// What steady probes remember, `windowCount` of them, 32 bytes each: page, page offsets below which it holds (0: nothing), host
    /// address less guest address, and for the loop the window is named after, times round before `run` is tried again (Int32).
    public var windows: Int
    public var windowCount: Int
    /// The windows that hold something: their number (UInt64), and which (UInt16 each).
    public var filledWindowCount: Int
    public var filledWindows: Int
    /// In a loop's unchecked copy: the cycles it was let run for, and those kept back meanwhile (Int64).
    public var run: Int
    public var reserve: Int
    /// Addresses of the helpers, in the order of `HelperCall`.
    public var helpers: Int
    /// TLB: log2 of an entry's size, and where its tag and addend are.
    public var tlbEntryShift: Int
    public var tlbTag: Int
    public var tlbAddend: Int
    /// Jump cache: log2 of an entry's size, number of entries (index: pc >> 1), and where its key and host code address are.
    public var jumpEntryShift: Int
    public var jumpEntryCount: Int
    public var jumpKey: Int
    public var jumpCode: Int

    public init(
        integers: Int, floats: Int, vectors: Int, vectorLength: Int, vectorType: Int, vectorStart: Int, vectorKey: Int, vectorScratch: Int, vectorRounding: Int, vectorSaturation: Int, remaining: Int, pc: Int, pageBase: Int, loads: Int, loadMask: Int, loadPages: Int, storePages: Int, stores: Int, storeMask: Int, jumps: Int, jumpSalt: Int, leave: Int, exitReason: Int, exitSite: Int,
        exitUnit: Int, reservedAddress: Int, reservedLength: Int, reservedWrites: Int, foreignWrites: Int, reservationMark: Int, reservedValue: Int, distrust: Int, privilege: Int, floatLive: Int, floatControl: Int, storeValue: Int, temporaries: Int, temporaryCount: Int, windows: Int, windowCount: Int,
        filledWindowCount: Int, filledWindows: Int, run: Int, reserve: Int, helpers: Int, tlbEntryShift: Int,
        tlbTag: Int, tlbAddend: Int, jumpEntryShift: Int, jumpEntryCount: Int, jumpKey: Int, jumpCode: Int
    ) {
        self.integers = integers
        self.floats = floats
        self.vectors = vectors
        self.vectorLength = vectorLength
        self.vectorType = vectorType
        self.vectorStart = vectorStart
        self.vectorKey = vectorKey
        self.vectorScratch = vectorScratch
        self.vectorRounding = vectorRounding
        self.vectorSaturation = vectorSaturation
        self.remaining = remaining
        self.pc = pc
        self.pageBase = pageBase
        self.loads = loads
        self.loadMask = loadMask
        self.loadPages = loadPages
        self.storePages = storePages
        self.stores = stores
        self.storeMask = storeMask
        self.jumps = jumps
        self.jumpSalt = jumpSalt
        self.leave = leave
        self.exitReason = exitReason
        self.exitSite = exitSite
        self.exitUnit = exitUnit
        self.reservedAddress = reservedAddress
        self.reservedLength = reservedLength
        self.reservedWrites = reservedWrites
        self.foreignWrites = foreignWrites
        self.reservationMark = reservationMark
        self.reservedValue = reservedValue
        self.distrust = distrust
        self.privilege = privilege
        self.floatLive = floatLive
        self.floatControl = floatControl
        self.storeValue = storeValue
        self.temporaries = temporaries
        self.temporaryCount = temporaryCount
        self.windows = windows
        self.windowCount = windowCount
        self.filledWindowCount = filledWindowCount
        self.filledWindows = filledWindows
        self.run = run
        self.reserve = reserve
        self.helpers = helpers
        self.tlbEntryShift = tlbEntryShift
        self.tlbTag = tlbTag
        self.tlbAddend = tlbAddend
        self.jumpEntryShift = jumpEntryShift
        self.jumpEntryCount = jumpEntryCount
        self.jumpKey = jumpKey
        self.jumpCode = jumpCode
    }
}

/// What translated code calls: C functions of (state, operand, site, block, …); see the guest's implementation.
public enum HelperCall: Int, CaseIterable, Sendable {
    /// A load the TLB does not serve: (state, address, site, block) → value as the IR opcode defines it.
    case load
    /// A store the TLB does not serve: (state, address, site, block); the value is in `storeValue`.
    case store
    /// The interpreter executes one guest instruction: (state, 0, site, block).
    case interpret
    /// Makes the page of an address accessible directly for the kind of access the site names: (state, address, site) → 1, or 0 when it cannot.
    case probe
    /// Makes floating point live: (state) → 1, or 0 when the guest's state does not allow it.
    case enableFloat
}

/// The `site` a helper or an exit gets: which guest instruction of its block, which IR operation, the bytes that accesses, and how a load extends them.
public struct Site: Sendable {
    public var rawValue: UInt32

    public init(rawValue: UInt32) { self.rawValue = rawValue }

    public init(guest: UInt16, _ op: Opcode) {
        rawValue = UInt32(guest) | (op.rawValue < 256 ? UInt32(op.rawValue) << 16 : 0) | UInt32(op.info.accessBytes) << 24
        switch op {
        case .load8s, .load16s, .load32s: rawValue |= Self.signed
        case .loadf32: rawValue |= Self.boxed
        default: break
        }
    }

    /// What a load does with what it read: sign extension, or NaN boxing of a single.
    private static let signed: UInt32 = 1 << 28
    private static let boxed: UInt32 = 1 << 29

    public var guest: Int { Int(rawValue & 0xffff) }
    public var accessBytes: UInt64 { UInt64(rawValue >> 24 & 15) }
    public var op: Opcode? { Opcode(rawValue: UInt16(rawValue >> 16 & 0xff)) }

    /// What the register of a load becomes when `bits`, zero-extended, were read.
    public func extended(_ bits: UInt64) -> UInt64 {
        if rawValue & Self.signed != 0 {
            let unused = 64 &- 8 &* accessBytes
            return UInt64(bitPattern: Int64(bitPattern: bits &<< unused) &>> Int64(unused))
        }
        return rawValue & Self.boxed != 0 ? bits | 0xffff_ffff_0000_0000 : bits
    }
}

/// Why translated code returned.
public enum CodeExit: UInt32, CaseIterable, Sendable {
    /// The state's `pc` says where to go on.
    case dispatch
    /// The same after a computed jump that is no return, to an address the jump cache does not know.
    case computed
    /// A direct jump whose target is not linked yet: `exitSite` is the link's number, `pc` the target.
    case link
    /// The budget is too small for the block at `pc`; `exitSite` is the block's position in its unit.
    case budget
    /// The interpreter must go on at guest instruction `exitSite` (a `Site`) of the block whose address is in `exitUnit`.
    case bail
    /// The instruction at `pc` trapped; cause and value are noted.
    case trap
    /// The hart waits, or lets another one run.
    case wait
    case yield
}

/// A translated unit in the code buffer. Positions are offsets in the buffer.
public struct CompiledUnit: Sendable {
    /// A direct jump out of the unit that can be linked: the position of its 4-byte displacement, where it goes while unlinked, and the target.
    public struct Link: Sendable {
        public var site: Int
        public var stub: Int
        public var target: GuestOffset

        public init(site: Int, stub: Int, target: GuestOffset) {
            self.site = site
            self.stub = stub
            self.target = target
        }
    }

    /// Where a block is entered, and the code that leaves for the dispatcher instead once the block is retired.
    public struct Entry: Sendable {
        public var position: Int
        public var retired: Int

        public init(position: Int, retired: Int) {
            self.position = position
            self.retired = retired
        }
    }

    public var range: Range<Int>
    /// By block.
    public var entries: [Entry]
    public var links: [Link]

    public init(range: Range<Int>, entries: [Entry], links: [Link]) {
        self.range = range
        self.entries = entries
        self.links = links
    }
}

/// What a host architecture must offer to run translated code. The interpreter needs none of it.
public protocol HostBackend: AnyObject {
    /// Where compiled code is put.
    var buffer: CodeBuffer { get }
    /// C function (state, code) → `CodeExit` that enters translated code.
    var enter: UnsafeRawPointer { get }
    /// Compiles vector operations.
    var hasVectors: Bool { get }
    /// Compiles operations of AES, and those of SM4 on vectors.
    var hasCiphers: Bool { get }
    /// What the jump cache holds for blocks without translated code: leaves for the dispatcher, with the jump's target as `pc`.
    var dispatchExit: UnsafeRawPointer { get }
    /// Compiles a unit into the buffer.
    /// - Parameters:
    ///   - number: what exits report as `exitUnit`.
    ///   - blockAddresses: for each block, what helpers and exits receive as its identity.
    ///   - loop: what is known of the loops in it; nil for a block alone.
    ///   - windows: numbers of windows for its steady probes; those beyond remember nothing.
    /// - Returns: nil when the buffer has no room.
    func compile(_ unit: IRUnit, number: UInt64, blockAddresses: [UInt], loop: LoopShape?, windows: [Int]) -> CompiledUnit?
    /// Makes a link jump to `entry`, or back to its stub.
    func link(_ link: CompiledUnit.Link, to entry: Int?)
    /// Makes the code at `entry` leave for the dispatcher from now on.
    func retire(_ entry: CompiledUnit.Entry)
}
