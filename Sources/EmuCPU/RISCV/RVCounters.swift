/// Hardware performance counters (privileged manual, "Hardware Performance Monitor"; Zicntr, Zihpm, Sscofpmf, Smcntrpmf).
///
/// mcycle and minstret are offsets to totals that run anyway, unless mcountinhibit stops them or mcyclecfg or minstretcfg, which stand in
/// `mhpmevent[0]` and `[2]`, keep them from counting in some modes; then they are plain values, and a filtered one runs with the others. mhpmcounter3…31 are brought up to date from the same totals
/// whenever somebody looks, an event changes, or the privilege does (their counting may be limited to some modes).
enum RVCounterEvent {
    /// Events mhpmevent can choose, numbered as the SBI numbers the general hardware events; 0 counts nothing.
    static let cycles: UInt64 = 1
    static let instructions: UInt64 = 2
    static let selector: UInt64 = 1 << 58 - 1
    // Sscofpmf
    static let overflow: UInt64 = 1 << 63
    static let inhibitMachine: UInt64 = 1 << 62
    static let inhibitSupervisor: UInt64 = 1 << 61
    static let inhibitUser: UInt64 = 1 << 60
    static let inhibitGuestSupervisor: UInt64 = 1 << 59
    static let inhibitGuestUser: UInt64 = 1 << 58
}

extension RVProcessor {
    private static let inhibitCycle: UInt64 = 1 << 0
    private static let inhibitRetired: UInt64 = 1 << 2

    private var retiredTotal: UInt64 { h.pointee.totalCycles &- h.pointee.nonRetired }

    // MARK: mcycle and minstret

    var cycleCounter: UInt64 {
        guard isPlain(0) else { return h.pointee.totalCycles &+ h.pointee.mcycleOffset }
        synchroniseCounters()
        return h.pointee.mcycleOffset
    }

    var retiredCounter: UInt64 {
        guard isPlain(2) else { return retiredTotal &+ h.pointee.minstretOffset }
        synchroniseCounters()
        return h.pointee.minstretOffset
    }

    /// A write takes effect after the writing instruction, which is therefore not counted on top.
    func setCycleCounter(_ value: UInt64) {
        synchroniseCounters(including: 1)
        h.pointee.mcycleOffset = isPlain(0) ? value : value &- (h.pointee.totalCycles &+ 1)
    }

    func setRetiredCounter(_ value: UInt64) {
        synchroniseCounters(including: 1)
        h.pointee.minstretOffset = isPlain(2) ? value : value &- (retiredTotal &+ 1)
    }

    /// mcycle (0) or minstret (2) is kept as a value, not as an offset: it is stopped, or filtered by privilege mode.
    private func isPlain(_ index: Int) -> Bool { h.pointee.mcountinhibit >> UInt64(index) & 1 != 0 || h.pointee.mhpmevent[index] != 0 }

    /// Makes a change that may turn mcycle and minstret into values or back; the writing instruction still counts in the old way.
    private func changingCounters(_ change: () -> Void) {
        synchroniseCounters(including: 1)
        let old = (isPlain(0), isPlain(2))
        change()
        let (cycles, retired) = (h.pointee.totalCycles &+ 1, retiredTotal &+ 1)
        if old.0 != isPlain(0) { h.pointee.mcycleOffset = old.0 ? h.pointee.mcycleOffset &- cycles : h.pointee.mcycleOffset &+ cycles }
        if old.1 != isPlain(2) { h.pointee.minstretOffset = old.1 ? h.pointee.minstretOffset &- retired : h.pointee.minstretOffset &+ retired }
        findActiveCounters()
        overflowDeadlineChanged()
    }

    /// mcyclecfg (0) and minstretcfg (2).
    func writeCounterFilter(_ index: Int, _ value: UInt64) {
        changingCounters { h.pointee.mhpmevent[index] = value & modeFilters }
    }

    func writeCounterInhibit(_ value: UInt64) {
        let writable = config.extensions.contains(.zihpm) ? 0xffff_fffd : Self.inhibitCycle | Self.inhibitRetired
        changingCounters { h.pointee.mcountinhibit = value & writable }
    }

    // MARK: mhpmcounter and mhpmevent

    func setEventCounter(_ index: Int, _ value: UInt64) {
        guard config.extensions.contains(.zihpm) else { return }
        synchroniseCounters(including: 1)
        h.pointee.mhpmcounter[index] = value
        overflowDeadlineChanged()
    }

    /// The bits that keep a counter from counting in some modes.
    private var modeFilters: UInt64 {
        let own = RVCounterEvent.inhibitMachine | RVCounterEvent.inhibitSupervisor | RVCounterEvent.inhibitUser
        return config.extensions.contains(.h) ? own | RVCounterEvent.inhibitGuestSupervisor | RVCounterEvent.inhibitGuestUser : own
    }

    /// Unknown events count nothing and read back as 0.
    func writeCounterEvent(_ index: Int, _ value: UInt64) {
        guard config.extensions.contains(.zihpm) else { return }
        synchroniseCounters(including: 1)
        var event = value & RVCounterEvent.selector
        if event > RVCounterEvent.instructions { event = 0 }
        if config.extensions.contains(.sscofpmf) {
            event |= value & (RVCounterEvent.overflow | modeFilters)
        }
        h.pointee.mhpmevent[index] = event
        findActiveCounters()
        overflowDeadlineChanged()
    }

    /// Adds what happened since the last call to the event counters that run in the present privilege mode, and notes overflows.
    /// - Parameter pending: 1 when the instruction in hand, not yet in the totals, is to be counted too.
    func synchroniseCounters(including pending: UInt64 = 0) {
        let cycles = h.pointee.totalCycles &+ pending &- h.pointee.counterCycles
        let retired = retiredTotal &+ pending &- h.pointee.counterRetired
        // Nothing new, or the instruction in hand has been counted ahead of the totals.
        if Int64(bitPattern: cycles) <= 0 || Int64(bitPattern: retired) < 0 { return }
        h.pointee.counterCycles &+= cycles
        h.pointee.counterRetired &+= retired
        var rest = h.pointee.activeCounters
        while rest != 0 {
            let index = rest.trailingZeroBitCount
            rest &= rest &- 1
            let event = h.pointee.mhpmevent[index]
            if event & inhibitingBit != 0 { continue }
            switch index {
            case 0: h.pointee.mcycleOffset &+= cycles
            case 2: h.pointee.minstretOffset &+= retired
            default: advance(index, by: event & RVCounterEvent.selector == RVCounterEvent.cycles ? cycles : retired)
            }
        }
    }

    private func advance(_ index: Int, by count: UInt64) {
        let old = h.pointee.mhpmcounter[index]
        let new = old &+ count
        h.pointee.mhpmcounter[index] = new
        if new < old { counterOverflowed(index) }
    }

    /// The bit of Sscofpmf and Smcntrpmf that stops counting in the present privilege mode.
    private var inhibitingBit: UInt64 {
        switch h.pointee.privilege {
        case RVPrivilege.machine: RVCounterEvent.inhibitMachine
        case RVPrivilege.supervisor: h.pointee.isGuest ? RVCounterEvent.inhibitGuestSupervisor : RVCounterEvent.inhibitSupervisor
        default: h.pointee.isGuest ? RVCounterEvent.inhibitGuestUser : RVCounterEvent.inhibitUser
        }
    }

    private func counterOverflowed(_ index: Int) {
        guard config.extensions.contains(.sscofpmf), h.pointee.mhpmevent[index] & RVCounterEvent.overflow == 0 else { return }
        h.pointee.mhpmevent[index] |= RVCounterEvent.overflow
        setSoftwareInterrupts(1 << UInt64(RVInterrupt.counterOverflow), clear: 0)
        updateInterruptRequest()
    }

    func findActiveCounters() {
        var active: UInt32 = (h.pointee.mhpmevent[0] != 0 ? 1 : 0) | (h.pointee.mhpmevent[2] != 0 ? 4 : 0)
        for index in 3..<32 where h.pointee.mhpmevent[index] & RVCounterEvent.selector != 0 { active |= 1 << UInt32(index) }
        h.pointee.activeCounters = active & ~UInt32(truncatingIfNeeded: h.pointee.mcountinhibit)
    }

    // MARK: Overflow

    /// At the edge of a slice: raises the local counter-overflow interrupt of counters that wrapped.
    package func counterOverflowCheck() {
        if h.pointee.activeCounters != 0 { synchroniseCounters() }
    }

    /// An upper bound for the next slice, so that an overflow interrupt is on time: cycles until the first counter that would
    /// raise one can wrap in the present privilege mode; nil when none can.
    package func cyclesUntilOverflow() -> Int? {
        guard h.pointee.activeCounters != 0, config.extensions.contains(.sscofpmf) else { return nil }
        synchroniseCounters()
        var nearest: UInt64?
        for index in 3..<32 where h.pointee.activeCounters >> UInt32(index) & 1 != 0 {
            if h.pointee.mhpmevent[index] & (RVCounterEvent.overflow | inhibitingBit) != 0 { continue }
            // A counter at 0 still has 2^64 to go.
            let left = 0 &- h.pointee.mhpmcounter[index]
            if left != 0 { nearest = min(nearest ?? .max, left) }
        }
        return nearest.map { Int(min($0, UInt64(Int.max))) }
    }

    /// A counter can begin to run, or be moved, in the middle of a slice: ends the slice early when one can now wrap inside it.
    @inline(__always)
    func overflowDeadlineChanged() {
        if h.pointee.activeCounters != 0, let left = cyclesUntilOverflow(), left < h.pointee.sliceBudget { h.pointee.request |= RVRequest.exit }
    }

    /// scountovf: the overflow bits of the counters mcounteren shows to S-mode, and hcounteren to a guest; all of them in M-mode.
    var overflowBits: UInt64 {
        synchroniseCounters()
        var bits: UInt64 = 0
        for index in 3..<32 where h.pointee.mhpmevent[index] & RVCounterEvent.overflow != 0 { bits |= 1 << UInt64(index) }
        if h.pointee.privilege == RVPrivilege.machine { return bits }
        return bits & h.pointee.mcounteren & (h.pointee.isGuest ? h.pointee.hcounteren : .max)
    }
}
