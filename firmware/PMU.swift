/// Counter indices of the PMU extension: 0...31 are the hardware counters by CSR number (index 1, the time register, is
/// none of them), then come the firmware counters.
enum CounterIndex {
    static let firstFirmware: UInt64 = 32
    static let firmwareCount: UInt64 = 16
    static let count = firstFirmware + firmwareCount

    static func isFirmware(_ index: UInt64) -> Bool { index >= firstFirmware && index < count }
}

/// One hart's counters.
struct PMUState {
    /// Bit per hardware counter: it is configured for an event.
    var hardwareConfigured: UInt64 = 0
    /// Bits per firmware counter.
    var firmwareConfigured: UInt64 = 0
    var firmwareStarted: UInt64 = 0
    var firmwareEvent = InlineArray<16, UInt16>(repeating: 0)
    var firmwareValue = InlineArray<16, UInt64>(repeating: 0)
}

/// Events the firmware itself counts (SBI chapter 11, type 15). The hypervisor fence events (14 to 21) never occur.
enum FirmwareEvent: UInt16 {
    case misalignedLoad = 0
    case misalignedStore = 1
    case loadAccessFault = 2
    case storeAccessFault = 3
    case illegalInstruction = 4
    case setTimer = 5
    case ipiSent = 6
    case ipiReceived = 7
    case fenceISent = 8
    case fenceIReceived = 9
    case sfenceSent = 10
    case sfenceReceived = 11
    case sfenceASIDSent = 12
    case sfenceASIDReceived = 13

    static let lastStandard: UInt64 = 21
}

func countEvent(_ event: FirmwareEvent, _ hart: HartPointer) {
    var started = hart.pointee.pmu.firmwareStarted
    while started != 0 {
        let counter = started.trailingZeroBitCount
        started &= started &- 1
        if hart.pointee.pmu.firmwareEvent[counter] == event.rawValue {
            hart.pointee.pmu.firmwareValue[counter] &+= 1
        }
    }
}

/// Fields of mhpmevent with Sscofpmf.
enum EventSelector {
    static let overflow: UInt64 = 1 << 63
    static let inhibitMachine: UInt64 = 1 << 62
    static let inhibitSupervisor: UInt64 = 1 << 61
    static let inhibitUser: UInt64 = 1 << 60
    static let inhibitVirtualSupervisor: UInt64 = 1 << 59
    static let inhibitVirtualUser: UInt64 = 1 << 58
    /// Bits that select no event once Sscofpmf is there.
    static let reserved: UInt64 = 0xff << 56
}

/// Cycle and instret run, programmable counters are stopped and select nothing.
func resetPMU(_ hart: HartPointer) {
    hart.pointee.pmu = PMUState()
    let features = hart.pointee.features
    guard features.hasCounterInhibit else { return }
    write_mcountinhibit(~0b111 & 0xffff_ffff)
    for number: UInt64 in 3..<32 where features.counters >> number & 1 != 0 { write_mhpmevent(number, 0) }
}

/// Which events the hardware counters can count, from the device tree's `riscv,pmu` node. A row beyond the room is left
/// out: its events count as unsupported.
struct EventMap {
    /// Events `first...last` on the counters in `counters` (bit = counter number).
    struct Range {
        var first: UInt32 = 0
        var last: UInt32 = 0
        var counters: UInt32 = 0
    }

    /// The selector value for one event.
    struct Selector {
        var event: UInt32 = 0
        var value: UInt64 = 0
    }

    /// Raw events equal to `value` under `mask` on the counters in `counters`.
    struct RawRange {
        var value: UInt64 = 0
        var mask: UInt64 = 0
        var counters: UInt32 = 0
    }

    var ranges = InlineArray<16, Range>(repeating: Range())
    var rangeCount = 0
    var selectors = InlineArray<16, Selector>(repeating: Selector())
    var selectorCount = 0
    var rawRanges = InlineArray<8, RawRange>(repeating: RawRange())
    var rawRangeCount = 0

    static let cycles: UInt64 = 1
    static let instructions: UInt64 = 2

    mutating func load(_ tree: FDT, _ node: FDTNode) {
        if let rows = tree.property(node, "riscv,event-to-mhpmcounters") {
            while rangeCount < ranges.count, let first = rows.cell(rangeCount * 3),
                let last = rows.cell(rangeCount * 3 + 1), let counters = rows.cell(rangeCount * 3 + 2)
            {
                ranges[rangeCount] = Range(first: first, last: last, counters: counters)
                rangeCount += 1
            }
        }
        if let rows = tree.property(node, "riscv,event-to-mhpmevent") {
            while selectorCount < selectors.count, let event = rows.cell(selectorCount * 3),
                let value = rows.number(cell: selectorCount * 3 + 1, cells: 2)
            {
                selectors[selectorCount] = Selector(event: event, value: value)
                selectorCount += 1
            }
        }
        if let rows = tree.property(node, "riscv,raw-event-to-mhpmcounters") {
            while rawRangeCount < rawRanges.count, let value = rows.number(cell: rawRangeCount * 5, cells: 2),
                let mask = rows.number(cell: rawRangeCount * 5 + 2, cells: 2),
                let counters = rows.cell(rawRangeCount * 5 + 4)
            {
                rawRanges[rawRangeCount] = RawRange(value: value, mask: mask, counters: counters)
                rawRangeCount += 1
            }
        }
    }

    /// Counters able to count general or cache event `event`.
    func counters(event: UInt64) -> UInt64 {
        // The fixed counters need no description.
        var found: UInt64 = event == Self.cycles ? 1 << 0 : event == Self.instructions ? 1 << 2 : 0
        for index in 0..<rangeCount where UInt64(ranges[index].first) <= event && event <= UInt64(ranges[index].last) {
            found |= UInt64(ranges[index].counters)
        }
        // A fixed counter counts only its own event.
        if event != Self.cycles { found &= ~(1 << 0) }
        if event != Self.instructions { found &= ~(1 << 2) }
        return found
    }

    func counters(raw value: UInt64) -> UInt64 {
        var found: UInt64 = 0
        for index in 0..<rawRangeCount where value & rawRanges[index].mask == rawRanges[index].value {
            found |= UInt64(rawRanges[index].counters)
        }
        return found & ~0b111
    }

    /// Where the device tree names no selector, the event's own index is it.
    func selector(event: UInt64) -> UInt64 {
        for index in 0..<selectorCount where UInt64(selectors[index].event) == event { return selectors[index].value }
        return event
    }
}
