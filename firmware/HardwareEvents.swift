/// Which events the hardware counters can count, from the device tree's `riscv,pmu` node. A row beyond the room is left
/// out: its events count as unsupported.
struct EventMap: ~Copyable {
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
}

extension PlatformPointer {
    func loadEvents(_ tree: FDT, _ node: FDTNode) {
        if let rows = tree.property(node, "riscv,event-to-mhpmcounters") {
            var row = 0
            while row < pointee.events.ranges.count, let first = rows.cell(row * 3), let last = rows.cell(row * 3 + 1),
                let counters = rows.cell(row * 3 + 2)
            {
                pointee.events.ranges[row] = EventMap.Range(first: first, last: last, counters: counters)
                row += 1
            }
            pointee.events.rangeCount = row
        }
        if let rows = tree.property(node, "riscv,event-to-mhpmevent") {
            var row = 0
            while row < pointee.events.selectors.count, let event = rows.cell(row * 3),
                let value = rows.number(cell: row * 3 + 1, cells: 2)
            {
                pointee.events.selectors[row] = EventMap.Selector(event: event, value: value)
                row += 1
            }
            pointee.events.selectorCount = row
        }
        if let rows = tree.property(node, "riscv,raw-event-to-mhpmcounters") {
            var row = 0
            while row < pointee.events.rawRanges.count, let value = rows.number(cell: row * 5, cells: 2),
                let mask = rows.number(cell: row * 5 + 2, cells: 2), let counters = rows.cell(row * 5 + 4)
            {
                pointee.events.rawRanges[row] = EventMap.RawRange(value: value, mask: mask, counters: counters)
                row += 1
            }
            pointee.events.rawRangeCount = row
        }
    }

    /// Counters able to count general or cache event `event` (bit = counter number).
    func hardwareCounters(event: UInt64) -> UInt64 {
        let cycles: UInt64 = 1
        let instructions: UInt64 = 2
        // The fixed counters need no description, and count only their own event.
        var found: UInt64 = 0
        for index in 0..<pointee.events.rangeCount {
            let range = pointee.events.ranges[index]
            if UInt64(range.first) <= event, event <= UInt64(range.last) { found |= UInt64(range.counters) }
        }
        found &= ~0b111
        if event == cycles { found |= 1 << 0 }
        if event == instructions { found |= 1 << 2 }
        return found
    }

    /// Counters able to count the raw event with selector `value`.
    func hardwareCounters(raw value: UInt64) -> UInt64 {
        var found: UInt64 = 0
        for index in 0..<pointee.events.rawRangeCount {
            let range = pointee.events.rawRanges[index]
            if value & range.mask == range.value { found |= UInt64(range.counters) }
        }
        return found & ~0b111
    }

    /// What mhpmevent holds to count `event`. Where the device tree names no selector, the event's own index is it.
    func eventSelector(event: UInt64) -> UInt64 {
        for index in 0..<pointee.events.selectorCount {
            let selector = pointee.events.selectors[index]
            if UInt64(selector.event) == event { return selector.value }
        }
        return event
    }
}
