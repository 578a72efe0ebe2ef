import EmuBus
import EmuCPU
import EmuMachine

/// Runs a copy of the harts that do not wait over a copy of the memory for a moment, so that it can be seen what the guest is about to do without its doing it.
///
/// Devices in the copy answer what they can tell without effect, and take no writes; time passes as with the virtual clock. When all that
/// decides what the harts do next comes back to what it was, they will do the same for ever unless something outside them changes.
final class Lookahead: HartObserver {
    /// A load or store.
    struct Access {
        var access: HartAccess
        /// False for a device register that cannot be looked at without effect; the copy read 0.
        var isKnown: Bool
    }

    /// An exception; interrupts and calls of the environment, which a program makes on purpose, are not among them.
    struct Exception: Hashable {
        var cause: UInt64
        var value: UInt64
        var pc: UInt64
        var from: UInt8
        var to: UInt8
    }

    /// What one hart did in one turn.
    struct Turn {
        var pc: UInt64
        var accesses: [Access] = []
        var exceptions: [Exception] = []
        /// It looked at the clock.
        var readsTime = false
    }

    /// Each hart's turns, in order; none for one that waits.
    private(set) var turns: [[Turn]]
    /// Every hart's turns from this one on are the same over and over; nil when no repetition was seen.
    private(set) var repetition: [Range<Int>]?
    /// The copy of each hart ended in a wait.
    private(set) var endsWaiting: [Bool]

    /// Instructions each hart may execute. More than fit between two ticks of an operating system find little more.
    static let limit = 20_000

    private let bus = AddressSpace()
    private let cache: TranslationCache
    private let events = EventQueue(mode: .virtual)
    private let clock = LookaheadClock()
    private let devices: [LookaheadDevice]
    /// By their index in the machine.
    private let harts: [(index: Int, copy: any DebugHart)]
    private var watch: HartWatch?
    private var turn = Turn(pc: 0)
    /// A hash over what memory holds now and did not at the start.
    private var memoryDigest = 0
    private var isException: (UInt64) -> Bool

    /// - Throws: `HostError` or `AddressSpace.MapError` when the host has no room for the copy.
    init(_ machine: Machine, _ originals: [any DebugHart]) throws {
        for memory in machine.memories { try bus.map(GuestRAM(copyOf: memory), name: "a copy of memory") }
        devices = machine.regions.map { LookaheadDevice($0.device) }
        for (region, device) in zip(machine.regions, devices) {
            let code = try machine.bus.codeMemories.first { $0.base == region.base }.map { try GuestRAM(copyOf: $0) }
            try bus.map(device, at: region.base, size: region.size, sizes: region.sizes, code: code)
        }
        cache = TranslationCache(bus: bus)
        events.advanceVirtual(to: machine.events.now)
        let (bus, cache, events) = (bus, cache, events)
        let clock = clock
        harts = try originals.filter { !$0.isWaiting }.map {
            ($0.index, try $0.copy(bus: bus, cache: cache, events: events) { clock.wasRead = true })
        }
        turns = originals.map { _ in [] }
        endsWaiting = originals.map { _ in true }
        isException = { _ in false }
        let watch = HartWatch(cache: cache, observer: self)
        self.watch = watch
        watch.events = .traps
        watch.set(code: [], data: [HartWatch.Data(first: 0, last: .max, isPhysical: true)])
        for hart in harts { hart.copy.watch = watch }
        if let first = originals.first { isException = { !first.isInterrupt($0) && !first.isSystemCall($0) } }
        // What the copies do is not to be found in the log.
        let logged = Log.enabled
        Log.enabled = []
        run(nanosecondsPerCycle: machine.config.nanosecondsPerCycle)
        Log.enabled = logged
    }

    /// Lets the harts take turns of one instruction.
    private func run(nanosecondsPerCycle: UInt64) {
        var seen: [Int: [Int]] = [:]
        for _ in 0..<Self.limit {
            var hasher = Hasher()
            hasher.combine(memoryDigest)
            for hart in harts { hasher.combine(hart.copy.stateDigest) }
            if let earlier = seen.updateValue(turns.map(\.count), forKey: hasher.finalize()) {
                repetition = zip(earlier, turns).map { $0..<$1.count }
                break
            }
            var hasRun = false
            for (index, hart) in harts where !hart.isWaiting {
                hasRun = true
                turn = Turn(pc: hart.pc)
                for device in devices { device.wasUnknown = false }
                clock.wasRead = false
                _ = hart.hart.run(budget: 1, clockBase: events.now)
                turn.readsTime = clock.wasRead
                // Who looks at the clock sees something else the next time.
                if turn.readsTime { seen = [:] }
                turns[index].append(turn)
            }
            if !hasRun { break }
            events.advanceVirtual(to: events.now &+ nanosecondsPerCycle)
            events.runDue()
        }
        for (index, hart) in harts { endsWaiting[index] = hart.isWaiting }
    }

    func stops(hart index: Int, before pc: UInt64, physical: UInt64) -> Bool { false }

    func observe(hart index: Int, _ event: HartEvent) -> Bool {
        switch event {
        case .access(let access):
            turn.accesses.append(Access(access: access, isKnown: !devices.contains { $0.wasUnknown }))
            if access.kind != .read, let old = access.old, let new = access.new { changeMemory(access.physical, access.size, old, new) }
        case .trap(let cause, let value, let pc, let from, let to):
            if isException(cause) { turn.exceptions.append(Exception(cause: cause, value: value, pc: pc, from: from, to: to)) }
        case .registerWrite, .privilege: break
        }
        return false
    }

    /// Takes what the bytes were out of the digest and what they are into it, so that it comes back when they do.
    private func changeMemory(_ address: UInt64, _ size: UInt64, _ old: UInt64, _ new: UInt64) {
        for offset in 0..<size {
            let before = UInt8(truncatingIfNeeded: old >> (8 * offset)), after = UInt8(truncatingIfNeeded: new >> (8 * offset))
            if before != after { memoryDigest ^= Self.digest(address &+ offset, before) ^ Self.digest(address &+ offset, after) }
        }
    }

    private static func digest(_ address: UInt64, _ byte: UInt8) -> Int {
        var hasher = Hasher()
        hasher.combine(address)
        hasher.combine(byte)
        return hasher.finalize()
    }
}

/// Notes that the time was looked at.
private final class LookaheadClock {
    var wasRead = false
}

/// Stands in for a device in a copy of its machine.
private final class LookaheadDevice: MMIODevice {
    private let device: any MMIODevice
    /// A register was read whose value is not known.
    var wasUnknown = false

    init(_ device: any MMIODevice) { self.device = device }

    var name: String { device.name }

    func read(_ offset: UInt64, size: Int) -> UInt64 {
        if let value = device.peek(offset, size: size) { return value }
        wasUnknown = true
        return 0
    }

    func write(_ offset: UInt64, _ value: UInt64, size: Int) {}
    func reset() {}
}
