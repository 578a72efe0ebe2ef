/// Which of many address ranges, possibly nested or overlapping, holds an address: the one that begins last.
/// Flattened into disjoint pieces once, so that a question is one binary search.
struct SymbolIntervals {
    struct Range {
        let start: UInt64
        /// First address after the range.
        let end: UInt64
        let id: Int32

        init(_ start: UInt64, _ end: UInt64, _ id: Int) {
            self.start = start
            self.end = end
            self.id = Int32(truncatingIfNeeded: id)
        }
    }

    private static let none: Int32 = -1
    private var starts: [UInt64] = []
    private var ids: [Int32] = []

    init() {}

    /// Of ranges with the same start the shorter wins, of equal ones the first.
    init(_ ranges: [Range]) {
        var order = ranges.filter { $0.start < $0.end }
        // Larger id first among equals, so that the smaller is on top.
        order.sort { ($0.start, $1.end, $1.id) < ($1.start, $0.end, $0.id) }
        var open: [Range] = []
        for range in order {
            close(&open, upTo: range.start)
            append(range.start, range.id)
            open.append(range)
        }
        close(&open, upTo: .max)
    }

    /// Ends the open ranges that end at or before `limit`.
    private mutating func close(_ open: inout [Range], upTo limit: UInt64) {
        while let top = open.last, top.end <= limit {
            open.removeLast()
            // A range below that overlapped only in part may have ended before.
            while let below = open.last, below.end <= top.end { open.removeLast() }
            append(top.end, open.last?.id ?? Self.none)
        }
    }

    private mutating func append(_ start: UInt64, _ id: Int32) {
        if starts.last == start {
            ids[ids.count - 1] = id
        } else if ids.last != id {
            starts.append(start)
            ids.append(id)
        }
    }

    /// The range that holds `address`.
    func id(at address: UInt64) -> Int? {
        var low = 0
        var high = starts.count
        while low < high {
            let middle = (low + high) / 2
            if starts[middle] <= address { low = middle + 1 } else { high = middle }
        }
        guard low > 0, ids[low - 1] != Self.none else { return nil }
        return Int(ids[low - 1])
    }
}
