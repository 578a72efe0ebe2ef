import Synchronization

/// A RISC-V hart's whole state in one trivial struct: what the guest can see, then what makes execution fast.
///
/// Lives behind a pointer that the interpreter and generated code share; a test pins the offsets generated code relies on.
/// CSR fields hold the *legal* value: WARL rules are applied when they are written (`RVCSR`).
package struct RVHart {
    // MARK: Guest-visible state (saved in snapshots)

    /// x0…x31; slot 32 swallows writes to x0. Must stay first: code addresses registers from the struct's start.
    var x = InlineArray<33, UInt64>(repeating: 0)
    /// f0…f31, NaN-boxed.
    var f = InlineArray<32, UInt64>(repeating: 0)
    /// Lets the vector registers begin at a multiple of 64 bytes, as the state itself does: none lies across cache lines.
    var registerPadding = InlineArray<7, UInt64>(repeating: 0)
    /// v0…v31 one after the other, each VLEN/8 bytes; what is left behind them is zero.
    var v = InlineArray<512, UInt64>(repeating: 0)
    var pc: UInt64 = 0
    /// 0 = U, 1 = S, 3 = M.
    var privilege: UInt8 = 3
    /// Accrued exceptions NV DZ OF UF NX (bits 4…0) and dynamic rounding mode.
    var fflags: UInt8 = 0
    var frm: UInt8 = 0
    /// Waiting in `wfi`.
    var waiting = false
    /// Virtualisation mode V: 1 while a guest runs.
    var virtualization: UInt32 = 0

    // Machine level
    /// Without SD, which is computed when the CSR is read.
    var mstatus: UInt64 = 0
    var medeleg: UInt64 = 0
    var mideleg: UInt64 = 0
    var mie: UInt64 = 0
    /// Bits of mip that software sets (SSIP, STIP without Sstc, SEIP, LCOFIP).
    var mipSoftware: UInt64 = 0
    /// Levels of the interrupt wires into mip (MSIP, MTIP, MEIP, SEIP; STIP from stimecmp, which counts while menvcfg.STCE is set).
    var mipLines: UInt64 = 0
    var mtvec: UInt64 = 0
    var mcounteren: UInt64 = 0
    var menvcfg: UInt64 = 0
    var mcountinhibit: UInt64 = 0
    var mscratch: UInt64 = 0
    var mepc: UInt64 = 0
    var mcause: UInt64 = 0
    var mtval: UInt64 = 0
    var mstateen = InlineArray<4, UInt64>(repeating: 0)
    // Supervisor level
    var stvec: UInt64 = 0
    var scounteren: UInt64 = 0
    var senvcfg: UInt64 = 0
    var sscratch: UInt64 = 0
    var sepc: UInt64 = 0
    var scause: UInt64 = 0
    var stval: UInt64 = 0
    var satp: UInt64 = 0
    var stimecmp = UInt64.max
    // Selectors of indirect access; the advanced interrupt architecture's virtual interrupts, and sie's bits for those that are not delegated.
    var miselect: UInt64 = 0
    var siselect: UInt64 = 0
    var mvien: UInt64 = 0
    var mvip: UInt64 = 0
    var virtualEnable: UInt64 = 0
    // Physical memory protection: 16 entries, one configuration byte each.
    var pmpcfg = InlineArray<16, UInt8>(repeating: 0)
    var pmpaddr = InlineArray<16, UInt64>(repeating: 0)
    var mseccfg: UInt64 = 0
    /// State of the generator behind `seed` when its values must repeat.
    var entropy: UInt64 = 0
    /// Shadow stack pointer.
    var ssp: UInt64 = 0
    /// Zicfilp's ELP: 1 when the next instruction must be a landing pad.
    var expectedLandingPad: UInt64 = 0
    var mtval2: UInt64 = 0
    var srmcfg: UInt64 = 0
    // Smrnmi; without it mnstatus has NMIE set and nothing else
    var mnscratch: UInt64 = 0
    var mnepc: UInt64 = 0
    var mncause: UInt64 = 0
    var mnstatus: UInt64 = RVNonMaskable.enabled
    /// Non-maskable interrupts that wait for mnstatus.NMIE.
    var nonMaskablePending: UInt64 = 0
    /// Not 0 after a double trap nobody could handle: the hart has ceased to execute.
    var criticalError: UInt64 = 0
    // Smctr: entries in the order of the buffer, sources, targets and metadata one after the other
    var mctrctl: UInt64 = 0
    var vsctrctl: UInt64 = 0
    var sctrstatus: UInt64 = 0
    var sctrdepth: UInt64 = 0
    var transfers = InlineArray<96, UInt64>(repeating: 0)
    // Sdtrig
    var tselect: UInt64 = 0
    var tdata1 = InlineArray<4, UInt64>(repeating: RVTrigger.disabled)
    var tdata2 = InlineArray<4, UInt64>(repeating: 0)
    var tdata3 = InlineArray<4, UInt64>(repeating: 0)
    var scontext: UInt64 = 0
    var mcontext: UInt64 = 0
    // Hypervisor extension
    /// The supervisor registers that are not in force: the guest's while V = 0, the host's while V = 1.
    var standby = RVSupervisorSet()
    /// FS and VS of vsstatus while V = 1, when those of mstatus are what both levels together allow.
    var guestUnits: UInt64 = 0
    var hstatus: UInt64 = 0
    var hedeleg: UInt64 = 0
    var hideleg: UInt64 = 0
    var hvip: UInt64 = 0
    /// Levels of the guests' external interrupts.
    var hgeip: UInt64 = 0
    var hgeie: UInt64 = 0
    var henvcfg: UInt64 = 0
    var hcounteren: UInt64 = 0
    var htimedelta: UInt64 = 0
    var htval: UInt64 = 0
    var htinst: UInt64 = 0
    var hgatp: UInt64 = 0
    var mtinst: UInt64 = 0
    var hstateen = InlineArray<4, UInt64>(repeating: 0)
    var vstimecmp = UInt64.max
    var vsiselect: UInt64 = 0
    var hvien: UInt64 = 0
    var hvictl: UInt64 = 0
    /// Bits of vsie that are no aliases.
    var guestEnable: UInt64 = 0
    // Vector extension
    /// Element at which the next vector instruction starts.
    var vstart: UInt64 = 0
    /// Elements vector instructions work on; at most what vtype allows.
    var vl: UInt64 = 0
    /// A supported vtype, or vill (bit 63) alone.
    var vtype: UInt64 = 1 << 63
    /// Fixed-point rounding mode and saturation flag.
    var vxrm: UInt8 = 0
    var vxsat: UInt8 = 0
    /// Fills the gap, too.
    var vectorPadding = InlineArray<6, UInt8>(repeating: 0)
    // Counters 3…31; mhpmevent holds the event and the Sscofpmf bits, and those of Smcntrpmf for mcycle (0) and minstret (2). mcycle and
    // minstret are kept as offsets to the totals below, and as plain values while mcountinhibit stops them or they are filtered.
    var mhpmevent = InlineArray<32, UInt64>(repeating: 0)
    var mhpmcounter = InlineArray<32, UInt64>(repeating: 0)
    var mcycleOffset: UInt64 = 0
    var minstretOffset: UInt64 = 0
    /// Totals at which `mhpmcounter` was last brought up to date.
    var counterCycles: UInt64 = 0
    var counterRetired: UInt64 = 0
    /// The total at which `icount` triggers were last brought up to date.
    var triggerCycles: UInt64 = 0
    /// LR/SC: physical address and length of the reservation; `reservedLength` 0 means none. Of harts on threads see `RVReservation`.
    var reservedAddress: UInt64 = 0
    var reservedLength: UInt64 = 0
    /// Cycles used and cycles that retired nothing (traps), since the machine was created, up to the last synchronisation.
    var totalCycles: UInt64 = 0
    var nonRetired: UInt64 = 0

    // MARK: Run-time state (rebuilt, never saved)

    /// What must be looked at before the next block starts; see `RVRequest`. Only the hart's own thread sets it.
    var request: UInt32 = 0
    /// The same left by other threads (`HartGroup.Posted`): the one word of the run-time state they touch, and always as an atomic.
    var posted: UInt32 = 0
    /// The trap being raised by the instruction in hand.
    var trapCause: UInt64 = 0
    var trapValue: UInt64 = 0
    /// Of a guest-page fault: the guest physical address, and the pseudoinstruction if the access was one to page tables.
    var trapGuestAddress: UInt64 = 0
    var trapPseudoinstruction: UInt64 = 0
    /// `trapValue` is an address of a guest's, if it is one at all.
    var trapIsGuests = false
    /// Cycles left in this slice once the block in hand has ended, the slice's full budget, and the total at its start.
    var remaining: Int = 0
    var sliceBudget: Int = 0
    var sliceStart: UInt64 = 0
    /// Guest nanoseconds at the start of the slice (virtual clock).
    var clockBase: UInt64 = 0
    /// Guest address of the block in hand, and the `blockEnd` record that closes it.
    var blockPC: UInt64 = 0
    var blockEnd: UnsafeMutablePointer<DecodedOp>
    /// What a mode's configuration adds to the rights of its views: see `RVRights`. By `RVPrivilege.mode`.
    var modeRights = InlineArray<6, UInt64>(repeating: 0)
    /// With V = 0 and all else as it is, the views of the privileges that were in force; true while `TLBViews.assignments` is what it was then.
    var privilegeViews = InlineArray<4, UnsafeMutablePointer<TLBView>?>(repeating: nil)
    var privilegeAssignments: UInt64 = 0
    /// The views address spaces mostly change between: see `modeView`.
    var modeViews = InlineArray<32, RVModeView>(repeating: RVModeView())
    /// `AddressSpace.foreignWrites` when the reservation was made.
    var reservedWrites: UInt64 = 0
    /// Bit for each trigger that matches addresses in some mode, and for each that counts instructions or waits to fire.
    var addressTriggers: UInt32 = 0
    var countTriggers: UInt32 = 0
    /// Some trigger waits for a trap.
    var trapTriggers = false
    /// mhpmcounters that count something: an event is chosen and mcountinhibit lets them.
    var activeCounters: UInt32 = 0
    /// First and last address each PMP entry matches (first > last: none), and how many entries can match at all.
    var pmpFirst = InlineArray<16, UInt64>(repeating: 1)
    var pmpLast = InlineArray<16, UInt64>(repeating: 0)
    var pmpCount = 0
    /// Physical addresses, a first one and how many, of which PMP leaves all to every access of every privilege.
    var pmpOpenFirst: UInt64 = 0
    var pmpOpenCount: UInt64 = 0
    /// The views that data accesses and instruction fetches use now (they differ under MPRV).
    var dataView: UnsafeMutablePointer<TLBView>
    var fetchView: UnsafeMutablePointer<TLBView>

    // MARK: What translated code and its helpers share (see `StateLayout` in EmuJIT)

    /// Virtual address of the page translated code runs in.
    var pageBase: UInt64 = 0
    /// Parts of the views, copied whenever translated code is entered.
    var loads: UnsafeMutablePointer<TLBEntry>
    /// In bytes: the number of entries less one, times their size.
    var loadMask: UInt64 = 0
    var loadPages: UnsafeMutablePointer<UInt64>?
    var storePages: UnsafeMutablePointer<UInt64>?
    var stores: UnsafeMutablePointer<TLBEntry>
    var storeMask: UInt64 = 0
    var jumps: UnsafeMutablePointer<JumpCacheEntry>
    var jumpSalt: UInt64 = 0
    var leave: UInt32 = 0
    var exitReason: UInt32 = 0
    var exitSite: UInt32 = 0
    /// Not 0 while the host's MXCSR is the guest's, and what it was when it was last stored: modes and sticky flags.
    var floatLive: UInt32 = 0
    var floatControl: UInt32 = 0
    var exitUnit: UInt64 = 0
    /// vtype and vl in one word (`VectorShape.key`) while vectors are enabled, dirty, of a legal type, and start at element 0; else 0. True
    /// while translated code runs.
    var vectorKey: UInt32 = 0
    /// Where translated code shifts elements: twice the largest group.
    var vectorScratch = InlineArray<256, UInt64>(repeating: 0)
    /// `AddressSpace.foreignWrites`.
    var foreignWrites: UnsafePointer<UInt64>?
    /// The privilege at which translated code accesses control and status registers itself: the present one, or 0 while a debugger
    /// observes them.
    var csrLevel: UInt32 = 0
    /// A debugger listens (`RVProcessor.watch`).
    var isWatched = false
    /// Translated code is being compared (`RVProcessor.comparison`).
    var isCompared = false
    /// Whether translated code may go on by itself after a trap, or must be left (1 or 0).
    var mayGoOn: UInt32 = 1
    var storeValue: UInt64 = 0
    var temporaries = InlineArray<32, UInt64>(repeating: 0)
    /// What steady probes remember: page, limit and addend each; and which of them do.
    var windows = InlineArray<4096, UInt64>(repeating: 0)
    var filledWindowCount: UInt64 = 0
    /// See `StateLayout`.
    var run = 0
    var reserve = 0
    var filledWindows = InlineArray<1024, UInt16>(repeating: 0)
    /// `TLBViews.changes` and the data view when the windows were last known to be true.
    var windowChanges: UInt64 = 0
    var windowView: UnsafeMutablePointer<TLBView>?
    /// The last table of leaf entries a walk came to: for which satp and which bits 21 and up of the address, where it is, and
    /// `TLBViews.changes` then.
    var walkSpace: UInt64 = 0
    var walkRegion: UInt64 = 0
    var walkTable: UInt64 = 0
    var walkChanges: UInt64 = 0
    /// The entries of that table, where `refill` may take them from.
    var walkLeaves: UnsafeRawPointer?
    /// C functions, by `HelperCall`.
    var helpers = InlineArray<5, UInt>(repeating: 0)
    /// The `RVProcessor` this is the state of; unretained.
    var processor: UnsafeMutableRawPointer?

    // MARK: Harts on threads (docs/smp.md)

    /// Other harts have threads and caches of their own: what is shared with them is accessed atomically.
    var isShared = false
    /// No other hart runs during the slice in hand.
    var isAlone = true
    /// Runs on a thread of its own now, which looks at stimecmp itself.
    var isParallel = false
    /// The next instruction is one that must be executed alone.
    var wantsAlone = false
    /// What the sc of a plain sequence expects in `reservedLength`, set by translated code before lr and sc (`RVReservation`).
    var reservationMark: UInt64 = 0
    /// What lr loaded.
    var reservedValue: UInt64 = 0
    /// Not 0 after an sc that its lr was not meant for: the next lr does not count on meeting the sc that is expected.
    var distrust: UInt64 = 0
}

/// Supervisor registers that a guest has of its own and that change places with the host's when V changes, so that those in force are always
/// found in the same fields of `RVHart`, `mstatus` included.
struct RVSupervisorSet {
    /// The fields of sstatus alone.
    var status: UInt64 = 0
    var stvec: UInt64 = 0
    var sscratch: UInt64 = 0
    var sepc: UInt64 = 0
    var scause: UInt64 = 0
    var stval: UInt64 = 0
    var satp: UInt64 = 0
}

extension RVHart {
    /// V = 1.
    @inline(__always)
    var isGuest: Bool { virtualization != 0 }
}

extension UnsafeMutablePointer<RVHart> {
    /// Something must be looked at before the next block starts.
    @inline(__always)
    var isRequested: Bool { pointee.request | posted.pointee.load(ordering: .relaxed) != 0 }

    /// It is an interrupt, and nothing else.
    var isRequestedInterrupt: Bool { pointee.request == RVRequest.interrupt && posted.pointee.load(ordering: .relaxed) == 0 }

    /// SAFETY: the field's own place, which lives as long as the state; a 32-bit word is all an `Atomic<UInt32>` is.
    @inline(__always)
    var posted: UnsafeMutablePointer<Atomic<UInt32>> {
        withUnsafeMutablePointer(to: &pointee.posted) { UnsafeMutableRawPointer($0).assumingMemoryBound(to: Atomic<UInt32>.self) }
    }
}

/// Bits of `RVHart.request`.
enum RVRequest {
    /// An enabled interrupt may be pending.
    static let interrupt: UInt32 = 1
    /// `requestExit` was called.
    static let exit: UInt32 = 2
    /// The block in hand must not run on: it rewrote code or changed what it runs under.
    static let leaveBlock: UInt32 = 4
    /// The next instruction must be a landing pad.
    static let landingPad: UInt32 = 8
}

/// Privilege levels as encoded in `RVHart.privilege`.
package enum RVPrivilege {
    static let user: UInt8 = 0
    static let supervisor: UInt8 = 1
    static let machine: UInt8 = 3
}

/// mstatus fields (privileged manual, "Machine Status (mstatus and mstatush) Registers").
enum RVStatus {
    static let sie: UInt64 = 1 << 1
    static let mie: UInt64 = 1 << 3
    static let spie: UInt64 = 1 << 5
    static let ube: UInt64 = 1 << 6
    static let mpie: UInt64 = 1 << 7
    static let spp: UInt64 = 1 << 8
    static let vs: UInt64 = 3 << 9
    static let mpp: UInt64 = 3 << 11
    static let mppReserved: UInt64 = 2 << 11
    static let fs: UInt64 = 3 << 13
    static let xs: UInt64 = 3 << 15
    static let mprv: UInt64 = 1 << 17
    static let sum: UInt64 = 1 << 18
    static let mxr: UInt64 = 1 << 19
    static let spelp: UInt64 = 1 << 23
    static let sdt: UInt64 = 1 << 24
    static let mdt: UInt64 = 1 << 42
    static let gva: UInt64 = 1 << 38
    static let mpv: UInt64 = 1 << 39
    static let mpelp: UInt64 = 1 << 41
    static let tvm: UInt64 = 1 << 20
    static let tw: UInt64 = 1 << 21
    static let tsr: UInt64 = 1 << 22
    static let uxl: UInt64 = 3 << 32
    static let sxl: UInt64 = 3 << 34
    static let sd: UInt64 = 1 << 63
}

/// Exception causes (privileged manual, table of `mcause` values after trap).
package enum RVCause {
    static let fetchMisaligned: UInt64 = 0
    static let fetchAccess: UInt64 = 1
    static let illegalInstruction: UInt64 = 2
    static let breakpoint: UInt64 = 3
    static let loadMisaligned: UInt64 = 4
    static let loadAccess: UInt64 = 5
    static let storeMisaligned: UInt64 = 6
    static let storeAccess: UInt64 = 7
    static let userCall: UInt64 = 8
    static let supervisorCall: UInt64 = 9
    static let guestSupervisorCall: UInt64 = 10
    static let machineCall: UInt64 = 11
    static let fetchPage: UInt64 = 12
    static let loadPage: UInt64 = 13
    static let storePage: UInt64 = 15
    static let doubleTrap: UInt64 = 16
    static let softwareCheck: UInt64 = 18
    static let fetchGuestPage: UInt64 = 20
    static let loadGuestPage: UInt64 = 21
    static let virtualInstruction: UInt64 = 22
    static let storeGuestPage: UInt64 = 23
    static let interrupt: UInt64 = 1 << 63
}

/// Interrupt numbers: bits of mip and mie.
package enum RVInterrupt {
    package static let supervisorSoftware = 1
    package static let guestSoftware = 2
    package static let machineSoftware = 3
    package static let supervisorTimer = 5
    package static let guestTimer = 6
    package static let machineTimer = 7
    package static let supervisorExternal = 9
    package static let guestExternal = 10
    package static let machineExternal = 11
    package static let supervisorGuestExternal = 12
    package static let counterOverflow = 13
    /// Inputs of a hart from here on are the guests' external interrupts, bits of hgeip.
    package static let guestFiles = 64

    /// VS-level interrupts, which hideleg hands on to the guest under the numbers one below; and what the hypervisor extension adds in all.
    static let guests: UInt64 = 1 << 2 | 1 << 6 | 1 << 10
    static let hypervisors: UInt64 = guests | 1 << 12
}
