import EmuBus

/// How a RISC-V hart is built: fixed when the machine is.
public struct RVConfig: Sendable {
    /// Extensions present; `RVConfig.validate` has resolved what they imply.
    public var extensions: RVExtensionSet
    /// Nanoseconds of guest time per cycle of the virtual clock.
    public var nanosecondsPerCycle: UInt64 = 10
    /// Frequency of the `time` counter in Hz.
    public var timebase: UInt64 = 10_000_000
    /// Bits of a vector register (VLEN): a power of two, 128…1024.
    public var vectorLength = 256
    /// Makes what `seed` returns repeatable; nil for the host's random numbers.
    public var entropySeed: UInt64?
    /// Where a hart starts after reset.
    public var resetVector: UInt64 = 0x1000

    public init(extensions: RVExtensionSet) { self.extensions = extensions }
}

/// One RISC-V hart: its state, its view of memory, and the interpreter that runs it.
///
/// SAFETY: `h` is allocated here and lives as long as the object. Only the thread that calls `run` touches it, except for `request`.
public final class RVProcessor {
    public let index: Int
    /// Longest block in instructions.
    static let maximumBlock = 128

    package let config: RVConfig
    package let h: UnsafeMutablePointer<RVHart>
    package let bus: AddressSpace
    package let cache: TranslationCache
    package let events: EventQueue
    package let views = TLBViews()
    package let decoder: RVDecoder
    /// For the log.
    private(set) lazy var disassembler = RVDisassembler(extensions: config.extensions, aliases: true)
    /// The board's `mtime` in ticks, behind the `time` CSR and Sstc.
    package let readTime: () -> UInt64
    /// Deadline of Sstc's stimecmp.
    package private(set) var supervisorTimer: EventTimer!
    /// What a debugger wants to hear of; nil for nothing. Set between slices.
    package var watch: HartWatch? {
        @inline(__always) get { h.pointee.isWatched ? observation : nil }
        set {
            observation = newValue
            h.pointee.isWatched = newValue != nil
        }
    }
    /// The harts on threads it is one of; nil where harts take turns. Set before the first slice.
    package private(set) var group: HartGroup?
    /// What is remembered of traps.
    package let traps = TrapHistory()
    /// Behind a flag, because each use of a class's variable is checked for exclusivity.
    private var observation: HartWatch?
    /// Runs translated code and the interpreter side by side; nil when translated code runs alone. Set before the first slice.
    package var lockstep: RVLockstep? {
        get { comparison }
        set {
            compared = newValue
            h.pointee.isCompared = newValue != nil
        }
    }
    var comparison: RVLockstep? {
        @inline(__always) get { h.pointee.isCompared ? compared : nil }
    }
    private var compared: RVLockstep?
    /// The hart's interrupt files, where the board has such; set before the first slice.
    public var machineFile: (any InterruptFile)?
    public var supervisorFile: (any InterruptFile)?
    /// Those of its guests, of number 1 first; 63 at most.
    public var guestFiles: [any InterruptFile] = [] {
        didSet { if !guestFiles.isEmpty { h.pointee.mideleg |= 1 << UInt64(RVInterrupt.supervisorGuestExternal) } }
    }
    /// Who carries out semihosting calls; nil where they are breakpoints like any other.
    public var semihosting: (any SemihostingHandler)?
    /// The control and status registers this hart has, by number.
    /// SAFETY: 4096 elements, one for each value of a 12-bit number; allocated here and never changed.
    let csrs: UnsafeMutablePointer<RVCSR?>
    /// Bytes of a vector register.
    package let vlenb: Int
    /// The vector registers, one after the other.
    package let v: UnsafeMutableRawPointer
    /// Where loops over elements find a scalar operand.
    let scalarElement: UnsafeMutablePointer<UInt64>
    /// SAFETY: `RVGuestTable.count` elements; allocated here.
    let guestTables: UnsafeMutablePointer<RVGuestTable>
    /// Room to decode one block into, and to run the first instructions of one.
    let scratch: UnsafeMutablePointer<DecodedOp>

    /// - Parameters:
    ///   - readTime: present value of the board's mtime, in ticks of `config.timebase`.
    public init(index: Int, config: RVConfig, bus: AddressSpace, cache: TranslationCache, events: EventQueue, readTime: @escaping () -> UInt64) {
        self.index = index
        self.config = config
        self.bus = bus
        self.cache = cache
        self.events = events
        self.readTime = readTime
        decoder = RVDecoder(extensions: config.extensions)
        csrs = .allocate(capacity: 1 << 12)
        csrs.initialize(repeating: nil, count: 1 << 12)
        for csr in RVCSR.allCases where csr.exists(in: config.extensions) { csrs[Int(csr.rawValue)] = csr }
        scratch = .allocate(capacity: Self.maximumBlock + 1)
        guestTables = .allocate(capacity: RVGuestTable.count)
        guestTables.initialize(repeating: RVGuestTable(), count: RVGuestTable.count)
        scalarElement = .allocate(capacity: 1)
        scalarElement.initialize(to: 0)
        precondition([128, 256, 512, 1024].contains(config.vectorLength), "a VLEN that RVHart has no room for")
        vlenb = config.vectorLength / 8
        h = UnsafeMutableRawPointer.allocate(byteCount: MemoryLayout<RVHart>.stride, alignment: 64).bindMemory(to: RVHart.self, capacity: 1)
        v = UnsafeMutableRawPointer(h) + Self.vectorOffset
        let view = views.views
        h.initialize(to: RVHart(
            blockEnd: scratch, dataView: view, fetchView: view, loads: view.pointee.loads.entries, stores: view.pointee.stores.entries,
            jumps: view.pointee.jumps, helpers: Self.helperAddresses))
        h.pointee.foreignWrites = bus.foreignWriteCount
        h.pointee.processor = Unmanaged.passUnretained(self).toOpaque()
        cache.register(views)
        supervisorTimer = events.makeTimer("stimecmp\(index)") { [unowned self] in self.supervisorTimerDue() }
        h.pointee.entropy = (config.entropySeed ?? 0) &+ UInt64(truncatingIfNeeded: index) &* 0xD1B5_4A32_D192_ED03
        reset()
    }

    /// Becomes a hart that may run on a thread of its own beside the others of `group`, whose caches share code with this one's.
    func join(_ group: HartGroup) {
        self.group = group
        h.pointee.isShared = true
    }

    deinit {
        h.deallocate()
        traps.deallocate()
        scratch.deallocate()
        scalarElement.deallocate()
        guestTables.deallocate()
        csrs.deallocate()
    }

    /// A hart in the same state over other memory and another clock: what it does stays there.
    package func copy(bus: AddressSpace, cache: TranslationCache, events: EventQueue, readTime: @escaping () -> UInt64) throws -> RVProcessor {
        let copy = RVProcessor(index: index, config: config, bus: bus, cache: cache, events: events, readTime: readTime)
        copy.machineFile = machineFile?.detachedCopy()
        copy.supervisorFile = supervisorFile?.detachedCopy()
        copy.guestFiles = guestFiles.map { $0.detachedCopy() }
        try copy.restoreState(encodedState())
        return copy
    }

    /// The hart can have guests.
    public var hasHypervisor: Bool { config.extensions.contains(.h) }
    /// Number of the input for the external interrupts of guest 1, 2, …
    public static func guestInput(_ guest: Int) -> Int { RVInterrupt.guestFiles + guest }

    /// Base of the register file: x0…x31 and the slot that swallows writes to x0.
    @inline(__always)
    package var x: UnsafeMutablePointer<UInt64> { UnsafeMutableRawPointer(h).assumingMemoryBound(to: UInt64.self) }

    /// Base of the floating-point registers, which follow the integer ones.
    @inline(__always)
    package var f: UnsafeMutablePointer<UInt64> { x + 33 }

    private static let vectorOffset = MemoryLayout<RVHart>.offset(of: \.v) ?? 0

    /// Notes the trap the instruction in hand raises; always false, so that semantics can `return raise(…)`.
    @inline(never)
    func raise(_ cause: UInt64, _ value: UInt64) -> Bool {
        h.pointee.trapCause = cause
        h.pointee.trapValue = reported(cause, value)
        h.pointee.trapIsGuests = h.pointee.dataView.pointee.key.rights & RVRights.guest != 0
        return false
    }

    /// Raises an illegal-instruction exception for `r`.
    func illegal(_ r: DecodedOp) -> Bool { raise(RVCause.illegalInstruction, UInt64(r.raw)) }
}
