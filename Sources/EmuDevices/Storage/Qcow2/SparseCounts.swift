/// Counters by cluster number, with memory only where there are any.
struct SparseCounts {
    private static let pageBits: UInt64 = 12
    private var pages: [UInt64: [UInt64]] = [:]

    subscript(index: UInt64) -> UInt64 {
        pages[index >> Self.pageBits]?[Int(index & ((1 << Self.pageBits) - 1))] ?? 0
    }

    mutating func add(_ index: UInt64, _ count: UInt64) {
        pages[index >> Self.pageBits, default: [UInt64](repeating: 0, count: 1 << Self.pageBits)][Int(index & ((1 << Self.pageBits) - 1))] &+= count
    }

    /// Everything that was counted, in no order.
    var all: [(UInt64, UInt64)] {
        pages.flatMap { page, counts in
            counts.enumerated().compactMap { $1 == 0 ? nil : (page << Self.pageBits | UInt64($0), $1) }
        }
    }
}

/// Reference counts within a refcount block: 1 to 64 bits wide, big-endian, narrow ones from the lowest bit of a byte on.
enum RefcountBits {
    static func load(_ block: [UInt8], _ entry: Int, order: Int) -> UInt64 {
        if order < 3 {
            let bit = entry << order
            return UInt64(block[bit / 8]) >> UInt64(bit % 8) & ((1 << (1 << UInt64(order))) - 1)
        }
        let width = 1 << (order - 3)
        return block[entry * width..<(entry + 1) * width].reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// Returns the bytes that were changed. The caller keeps `value` within the width.
    @discardableResult
    static func store(_ block: inout [UInt8], _ entry: Int, _ value: UInt64, order: Int) -> Range<Int> {
        if order < 3 {
            let bit = entry << order
            let mask = UInt8((1 << (1 << order)) - 1) << UInt8(bit % 8)
            block[bit / 8] = block[bit / 8] & ~mask | UInt8(value) << UInt8(bit % 8)
            return bit / 8..<bit / 8 + 1
        }
        let width = 1 << (order - 3)
        for byte in 0..<width { block[entry * width + byte] = UInt8(truncatingIfNeeded: value >> UInt64(8 * (width - 1 - byte))) }
        return entry * width..<(entry + 1) * width
    }
}
