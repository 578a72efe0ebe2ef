/// Hardware performance counters (privileged manual, "Hardware Performance Monitor"; Zicntr, Zihpm, Sscofpmf).
///
/// mcycle and minstret are offsets to totals that run anyway. mhpmcounter3…31 are brought up to date from the same totals
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
}

extension RVProcessor {
    private static let inhibitCycle: UInt64 = 1 << 0
    private static let inhibitRetired: UInt64 = 1 << 2

    private var retiredTotal: UInt64 { h.pointee.totalCycles &- h.pointee.nonRetired }

    // MARK: mcycle and minstret

    var cycleCounter: UInt64 {
        h.pointee.mcountinhibit & Self.inhibitCycle != 0 ? h.pointee.mcycleOffset : h.pointee.totalCycles &+ h.pointee.mcycleOffset
    }

    var retiredCounter: UInt64 {
        h.pointee.mcountinhibit & Self.inhibitRetired != 0 ? h.pointee.minstretOffset : retiredTotal &+ h.pointee.minstretOffset
    }

    /// A write takes effect after the writing instruction, which is therefore not counted on top.
    func setCycleCounter(_ value: UInt64) {
        let isStopped = h.pointee.mcountinhibit & Self.inhibitCycle != 0
        h.pointee.mcycleOffset = isStopped ? value : value &- (h.pointee.totalCycles &+ 1)
    }

    func setRetiredCounter(_ value: UInt64) {
        let isStopped = h.pointee.mcountinhibit & Self.inhibitRetired != 0
        h.pointee.minstretOffset = isStopped ? value : value &- (retiredTotal &+ 1)
    }

    func writeCounterInhibit(_ value: UInt64) {
        synchroniseCounters(including: 1)
        let old = h.pointee.mcountinhibit
        let new = value & (config.extensions.contains(.zihpm) ? 0xffff_fffd : Self.inhibitCycle | Self.inhibitRetired)
        // A stopped counter is kept as a value, a running one as an offset; the writing instruction still counts in the old way.
        if (old ^ new) & Self.inhibitCycle != 0 {
            let total = h.pointee.totalCycles &+ 1
            h.pointee.mcycleOffset = new & Self.inhibitCycle != 0 ? h.pointee.mcycleOffset &+ total : h.pointee.mcycleOffset &- total
        }
        if (old ^ new) & Self.inhibitRetired != 0 {
            let total = retiredTotal &+ 1
            h.pointee.minstretOffset = new & Self.inhibitRetired != 0 ? h.pointee.minstretOffset &+ total : h.pointee.minstretOffset &- total
        }
        h.pointee.mcountinhibit = new
        findActiveCounters()
        overflowDeadlineChanged()
    }

    // MARK: mhpmcounter and mhpmevent

    func setEventCounter(_ index: Int, _ value: UInt64) {
        guard config.extensions.contains(.zihpm) else { return }
        synchroniseCounters(including: 1)
        h.pointee.mhpmcounter[index] = value
        overflowDeadlineChanged()
    }

    /// Unknown events count nothing and read back as 0.
    func writeCounterEvent(_ index: Int, _ value: UInt64) {
        guard config.extensions.contains(.zihpm) else { return }
        synchroniseCounters(including: 1)
        var event = value & RVCounterEvent.selector
        if event > RVCounterEvent.instructions { event = 0 }
        if config.extensions.contains(.sscofpmf) {
            event |= value & (RVCounterEvent.overflow | RVCounterEvent.inhibitMachine | RVCounterEvent.inhibitSupervisor | RVCounterEvent.inhibitUser)
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
            let old = h.pointee.mhpmcounter[index]
            let new = old &+ (event & RVCounterEvent.selector == RVCounterEvent.cycles ? cycles : retired)
            h.pointee.mhpmcounter[index] = new
            if new < old { counterOverflowed(index) }
        }
    }

    /// The Sscofpmf bit that stops counting in the present privilege mode.
    private var inhibitingBit: UInt64 {
        switch h.pointee.privilege {
        case RVPrivilege.machine: RVCounterEvent.inhibitMachine
        case RVPrivilege.supervisor: RVCounterEvent.inhibitSupervisor
        default: RVCounterEvent.inhibitUser
        }
    }

    private func counterOverflowed(_ index: Int) {
        guard config.extensions.contains(.sscofpmf), h.pointee.mhpmevent[index] & RVCounterEvent.overflow == 0 else { return }
        h.pointee.mhpmevent[index] |= RVCounterEvent.overflow
        setSoftwareInterrupts(1 << UInt64(RVInterrupt.counterOverflow), clear: 0)
        updateInterruptRequest()
    }

    func findActiveCounters() {
        var active: UInt32 = 0
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
    func overflowDeadlineChanged() {
        if let left = cyclesUntilOverflow(), left < h.pointee.sliceBudget { h.pointee.request |= RVRequest.exit }
    }

    /// scountovf: the overflow bits of the counters mcounteren shows to S-mode; all of them in M-mode.
    var overflowBits: UInt64 {
        synchroniseCounters()
        var bits: UInt64 = 0
        for index in 3..<32 where h.pointee.mhpmevent[index] & RVCounterEvent.overflow != 0 { bits |= 1 << UInt64(index) }
        return h.pointee.privilege == RVPrivilege.machine ? bits : bits & h.pointee.mcounteren
    }
}
