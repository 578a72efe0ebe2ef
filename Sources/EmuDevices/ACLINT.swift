import EmuBus

/// Core-local interruptor: machine software interrupts, `mtime` and one `mtimecmp` per hart.
///
/// The registers lie as in the SiFive CLINT, which is also the ACLINT layout of an MSWI followed by an MTIMER
/// (RISC-V ACLINT specification 1.0, sections 2 and 3). `mtime` counts at `frequency`.
public final class ACLINT: MMIODevice, Saveable {
    /// `timebase-frequency`: ticks of `mtime` a second.
    public static let frequency: UInt64 = 10_000_000
    /// Nanoseconds of guest time in one tick.
    public static let nanosecondsPerTick: UInt64 = 1_000_000_000 / frequency
    public static let size: UInt64 = 0x1_0000
    public static let accessSizes: AccessSizes = [.word, .double]
    /// Most harts the register layout has room for.
    public static let maximumHarts = 4095

    private enum Register {
        static let msip: UInt64 = 0x0000
        static let mtimecmp: UInt64 = 0x4000
        static let mtime: UInt64 = 0xBFF8
    }

    /// Guest-visible state.
    public struct State: Codable, Equatable {
        /// Per hart, 0 or 1.
        public var msip: [UInt32]
        /// Per hart, in ticks.
        public var mtimecmp: [UInt64]
        /// `mtime` less the ticks of the event queue; changes when a guest writes `mtime`.
        public var mtimeOffset: UInt64 = 0
    }

    private struct Hart {
        let software: InterruptLine
        let timer: InterruptLine
        let event: EventTimer
        /// `event` may be scheduled.
        var isArmed = false
    }

    public let name: String
    /// Called after a guest (or a restore) moved `mtime`, so that other users of `ticks()` compare again (Sstc).
    public var timeChanged: (() -> Void)?
    private let events: EventQueue
    private var harts: [Hart] { wiring.pointee.harts }
    /// As `current`.
    private let wiring = UnsafeMutablePointer<Wiring>.allocate(capacity: 1)

    private struct Wiring {
        var harts: [Hart] = []
        /// `mtime` is at most the queue's ticks, as it is unless a guest sets it ahead.
        var isBehindQueue = true
    }

    /// Behind a pointer because each use of a class's variable would be checked for exclusivity.
    /// SAFETY: allocated with the object and freed with it.
    private let current = UnsafeMutablePointer<State>.allocate(capacity: 1)

    /// - Parameters:
    ///   - events: the clock `mtime` follows.
    ///   - harts: the interrupt inputs of hart 0, 1, …; the numbers driven are `mip` bits 3 (MSIP) and 7 (MTIP).
    public init(name: String = "clint", events: EventQueue, harts sinks: [any InterruptSink]) {
        precondition(sinks.count <= Self.maximumHarts)
        wiring.initialize(to: Wiring())
        self.name = name
        self.events = events
        current.initialize(to: State(msip: Array(repeating: 0, count: sinks.count), mtimecmp: Array(repeating: .max, count: sinks.count)))
        for (index, sink) in sinks.enumerated() {
            let event = events.makeTimer("\(name) hart \(index)") { [unowned self] in updateTimer(index) }
            wiring.pointee.harts.append(Hart(software: InterruptLine(sink, 3), timer: InterruptLine(sink, 7), event: event))
        }
    }

    deinit {
        current.deinitialize(count: 1)
        current.deallocate()
        wiring.deinitialize(count: 1)
        wiring.deallocate()
    }

    // MARK: Time

    /// `mtime` now: the value of the `time` CSR.
    public func ticks() -> UInt64 { queueTicks() &+ current.pointee.mtimeOffset }

    private func queueTicks() -> UInt64 { events.now / Self.nanosecondsPerTick }

    /// Guest time in nanoseconds at which the answer of `mtime >= compare` next changes, for `EventTimer.schedule`;
    /// nil when that lies beyond what the event queue can express. The wrap of `mtime` to zero counts as a change.
    public func nextChange(comparing compare: UInt64) -> UInt64? { nextChange(comparing: compare, at: queueTicks()) }

    private func nextChange(comparing compare: UInt64, at queueNow: UInt64) -> UInt64? {
        let now = queueNow &+ current.pointee.mtimeOffset
        let target = now >= compare ? 0 : compare
        let wait = target &- now  // to `compare`, or to the wrap; `now` 0 and `compare` 0 gives 0: a whole period
        guard wait != 0 else { return nil }
        let (tick, wrapped) = queueNow.addingReportingOverflow(wait)
        let (time, overflow) = tick.multipliedReportingOverflow(by: Self.nanosecondsPerTick)
        return wrapped || overflow ? nil : time
    }

    private func updateTimer(_ hart: Int) {
        let compare = current.pointee.mtimecmp[hart]
        // Looking at the host's clock costs more than all the rest, and what always or never holds needs none: a queue's ticks end at
        // `lastTick`.
        if wiring.pointee.isBehindQueue, compare == 0 || compare > Self.lastTick {
            wiring.pointee.harts[hart].timer.set(compare == 0)
            disarm(hart)
            return
        }
        let queueNow = queueTicks()
        wiring.pointee.harts[hart].timer.set(queueNow &+ current.pointee.mtimeOffset >= compare)
        if let time = nextChange(comparing: compare, at: queueNow) {
            wiring.pointee.harts[hart].event.schedule(at: time)
            wiring.pointee.harts[hart].isArmed = true
        } else {
            disarm(hart)
        }
    }

    /// Ticks of the queue's greatest time.
    private static let lastTick = UInt64.max / nanosecondsPerTick

    private func disarm(_ hart: Int) {
        guard wiring.pointee.harts[hart].isArmed else { return }
        wiring.pointee.harts[hart].event.cancel()
        wiring.pointee.harts[hart].isArmed = false
    }

    private func timeMoved() { wiring.pointee.isBehindQueue = 0 &- current.pointee.mtimeOffset <= queueTicks() }

    private func moveTime(to value: UInt64) {
        current.pointee.mtimeOffset = value &- queueTicks()
        timeMoved()
        for hart in harts.indices { updateTimer(hart) }
        timeChanged?()
    }

    // MARK: Registers

    public func peek(_ offset: UInt64, size: Int) -> UInt64? { read(offset, size: size) }

    public func read(_ offset: UInt64, size: Int) -> UInt64 {
        let word = offset & ~7
        let value: UInt64
        if word == Register.mtime {
            value = ticks()
        } else if let hart = compareIndex(word) {
            value = current.pointee.mtimecmp[hart]
        } else {
            let hart = Int(word / 4)
            guard hart < harts.count else {
                Log.write(.guestErrors, "\(name): read of unused offset \(hex(offset))")
                return 0
            }
            value = UInt64(current.pointee.msip[hart]) | (hart + 1 < harts.count ? UInt64(current.pointee.msip[hart + 1]) << 32 : 0)
        }
        return size == 8 ? value : UInt64(UInt32(truncatingIfNeeded: value >> ((offset & 4) * 8)))
    }

    public func write(_ offset: UInt64, _ value: UInt64, size: Int) {
        let word = offset & ~7
        if word == Register.mtime {
            moveTime(to: merge(ticks(), offset, value, size))
        } else if let hart = compareIndex(word) {
            current.pointee.mtimecmp[hart] = merge(current.pointee.mtimecmp[hart], offset, value, size)
            updateTimer(hart)
        } else if Int(offset / 4) < harts.count {
            setSoftwareInterrupt(Int(offset / 4), value)
            if size == 8, Int(offset / 4) + 1 < harts.count { setSoftwareInterrupt(Int(offset / 4) + 1, value >> 32) }
        } else {
            Log.write(.guestErrors, "\(name): write of unused offset \(hex(offset))")
        }
    }

    /// The hart whose `mtimecmp` is the doubleword at `word`.
    private func compareIndex(_ word: UInt64) -> Int? {
        let index = Int(truncatingIfNeeded: word &- Register.mtimecmp) / 8
        return word >= Register.mtimecmp && index < harts.count ? index : nil
    }

    private func merge(_ old: UInt64, _ offset: UInt64, _ value: UInt64, _ size: Int) -> UInt64 {
        if size == 8 { return value }
        let shift = (offset & 4) * 8
        return old & ~(0xFFFF_FFFF << shift) | (value & 0xFFFF_FFFF) << shift
    }

    private func setSoftwareInterrupt(_ hart: Int, _ value: UInt64) {
        current.pointee.msip[hart] = UInt32(truncatingIfNeeded: value & 1)
        harts[hart].software.set(value & 1 != 0)
    }

    /// Clears every MSIP, restarts `mtime` at 0 and disarms every comparator.
    public func reset() {
        for hart in harts.indices {
            setSoftwareInterrupt(hart, 0)
            current.pointee.mtimecmp[hart] = .max
        }
        moveTime(to: 0)
    }

    // MARK: State

    public var stateName: String { name }

    public var state: State {
        get { current.pointee }
        set {
            current.pointee = newValue
            timeMoved()
            current.pointee.msip = newValue.msip.fitted(to: harts.count, filler: 0)
            current.pointee.mtimecmp = newValue.mtimecmp.fitted(to: harts.count, filler: .max)
            for hart in harts.indices {
                setSoftwareInterrupt(hart, UInt64(current.pointee.msip[hart]))
                updateTimer(hart)
            }
            timeChanged?()
        }
    }

    // MARK: Device tree

    /// `clint@…` with one software and one timer interrupt for each hart.
    /// - Parameter interruptControllers: phandle of each hart's `interrupt-controller`, hart 0 first.
    public func fdtNode(at base: UInt64, interruptControllers: [UInt32]) -> FDTNode {
        var node = FDTNode("clint@" + String(base, radix: 16))
        node.set("compatible", "sifive,clint0", "riscv,clint0")
        node.set("reg", pairs: [base, Self.size])
        node.set("interrupts-extended", cells: interruptControllers.flatMap { [$0, 3, $0, 7] })
        return node
    }

    /// The same registers described as an ACLINT: `mtimer@…` and `mswi@…`.
    public func aclintNodes(at base: UInt64, interruptControllers: [UInt32]) -> [FDTNode] {
        let compareBase = base + Register.mtimecmp, timeBase = base + Register.mtime
        var timer = FDTNode("mtimer@" + String(compareBase, radix: 16))
        timer.set("interrupts-extended", cells: interruptControllers.flatMap { [$0, 7] })
        timer.set("reg", pairs: [timeBase, Self.size - Register.mtime, compareBase, Register.mtime - Register.mtimecmp])
        timer.set("compatible", "riscv,aclint-mtimer")
        var software = FDTNode("mswi@" + String(base, radix: 16))
        software.set("#interrupt-cells", cells: [0])
        software.set("interrupt-controller")
        software.set("interrupts-extended", cells: interruptControllers.flatMap { [$0, 3] })
        software.set("reg", pairs: [base, Register.mtimecmp])
        software.set("compatible", "riscv,aclint-mswi")
        return [timer, software]
    }
}
