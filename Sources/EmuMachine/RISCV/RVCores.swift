import EmuBus
import EmuCPU
import EmuDevices
import EmuJIT

extension MachineConfig {
    /// `-cpu` where it is left out.
    static let standardProcessor = RVConfig.standardModel
}

/// The harts of a RISC-V board and what they share.
final class RVCores {
    let processors: [RVProcessor]
    private let time: TimeSource

    /// Where the harts' `time` comes from; filled in when the board has its timer.
    private final class TimeSource {
        /// SAFETY: allocated with the object and freed with it, and so is the reference it holds.
        let clint = UnsafeMutablePointer<Unmanaged<ACLINT>?>.allocate(capacity: 1)

        init() { clint.initialize(to: nil) }

        deinit {
            clint.pointee?.release()
            clint.deallocate()
        }
    }

    /// The processor `-cpu` describes.
    static func processor(_ config: MachineConfig) throws -> RVConfig {
        var processor = try RVConfig.parse(config.cpu)
        // Harts on threads promise no more than the host does: AMOs are host atomics, plain accesses are the host's own.
        if config.wantsThreads, !HostFeatures.hasMisalignedAtomicity { processor.extensions.remove(.zama16b) }
        processor.nanosecondsPerCycle = config.nanosecondsPerCycle
        processor.timebase = ACLINT.frequency
        if case .seeded(let seed) = config.entropySource(stream: .max - 1) { processor.entropySeed = seed }
        processor.resetVector = VirtBoard.Map.rom.base
        return processor
    }

    init(_ context: BoardContext, _ processor: RVConfig, maximum: Int, board: BoardKind) throws(ConfigError) {
        let count = context.config.harts
        guard (1...maximum).contains(count) else {
            throw ConfigError("-smp \(count)", "the \(board.rawValue) board has 1 to \(maximum) harts")
        }
        let isShared = context.wantsThreads
        if isShared { context.makeCaches(count, capacity: max(48 << 20 / count, 8 << 20)) }
        try Self.addTranslators(context)
        let time = TimeSource()
        self.time = time
        processors = (0..<count).map { index in
            RVProcessor(
                index: index, config: processor, bus: context.bus, cache: context.caches[isShared ? index : 0], events: context.events
            ) {
                time.clint.pointee?._withUnsafeGuaranteedRef { $0.ticks() } ?? 0
            }
        }
        if isShared { context.group = RVProcessor.makeParallel(processors, bus: context.bus) }
        if context.config.engine == .lockstep {
            let stopper = context.host.stopper
            for processor in processors { processor.lockstep = RVLockstep { stopper.requestStop(.error($0)) } }
        }
    }

    /// Least bytes of translated code for a hart on a thread of its own.
    private static let leastTranslatedCode = 16 << 20

    /// Gives the machine's caches translators where they are wanted and the host can run what they make.
    private static func addTranslators(_ context: BoardContext) throws(ConfigError) {
        let engine = context.config.engine
        guard engine != .interp else { return }
        guard X86Backend.isSupported else {
            if engine == .jit { return }
            throw ConfigError("--engine \(engine.rawValue)", "this host's processor lacks what translated code needs; --engine interp runs without it")
        }
        do {
            let whole = context.config.translatedCodeSize, count = context.caches.count
            let perfMap = context.config.writesPerfMap ? try PerfMap() : nil
            for cache in context.caches {
                let backend = try X86Backend(
                    layout: RVProcessor.stateLayout, capacity: max(whole / count, min(whole, leastTranslatedCode)), isShared: count > 1)
                cache.hostCode = HostCodeCache(cache: cache, backend: backend)
                cache.hostCode?.perfMap = perfMap
            }
        } catch {
            throw ConfigError("--engine \(context.config.engine.rawValue)", "\(error); --engine interp runs without translated code")
        }
    }

    var harts: [any Hart] { processors }

    /// Serves the harts' semihosting calls; nil where they are breakpoints.
    var semihosting: Semihosting? {
        didSet { for processor in processors { processor.semihosting = semihosting } }
    }

    /// Makes harts start elsewhere than at the reset vector. Only after a reset.
    func start(_ starts: [(hart: Int, address: UInt64)]) {
        semihosting?.reset()
        for start in starts { processors[start.hart].pc = start.address }
    }

    /// Makes `clint` the harts' clock.
    func connect(_ clint: ACLINT) {
        time.clint.pointee?.release()
        time.clint.pointee = .passRetained(clint)
        clint.timeChanged = { [unowned self] in for processor in processors { processor.timeMoved() } }
    }

    /// The inputs with a number, of hart 0, 1, …
    func lines(_ interrupt: Int) -> [InterruptLine] { processors.map { InterruptLine($0, interrupt) } }

    /// The input for the external interrupts of a hart's guest 1, 2, …; nil where harts have no guests.
    func guestLine(hart: Int, guest: Int) -> InterruptLine? {
        processors[hart].hasHypervisor ? InterruptLine(processors[hart], RVProcessor.guestInput(guest)) : nil
    }

    /// PLIC contexts in the board's order: machine, then supervisor external interrupt of each hart.
    var plicContexts: [InterruptLine] {
        processors.flatMap { [InterruptLine($0, RVInterruptNumber.machineExternal), InterruptLine($0, RVInterruptNumber.supervisorExternal)] }
    }
}

/// Interrupt numbers boards wire up: bits of mip.
enum RVInterruptNumber {
    static let supervisorExternal = 9
    static let machineExternal = 11
}
