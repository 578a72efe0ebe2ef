/// Translations of pages an IOMMU keeps until software takes them back ("Caching in-memory data structures").
struct IOMMUCache {
    private struct Entry {
        /// All ones for none.
        var tag = UInt64.max
        /// Physical address of the page.
        var page: UInt64 = 0
        /// log2 of the size of the leaf it came from.
        var shift: UInt64 = 0
        var allowsWrites = false
    }

    private var entries: [Entry]
    private var isEmpty = true

    /// - Parameter size: entries, a power of two, or 0.
    init(size: Int) {
        precondition(size & (size - 1) == 0)
        entries = Array(repeating: Entry(), count: size)
    }

    /// The page and the device; nil for addresses that are not kept, as their page number and a device's id have more than 64 bits.
    private static func tag(_ address: UInt64, _ requester: UInt16) -> UInt64? {
        address >> 60 == 0 ? (address >> 12) << 16 | UInt64(requester) : nil
    }

    /// Devices map the same low addresses, so their ids are spread.
    private func index(_ address: UInt64, _ requester: UInt16) -> Int {
        (Int(truncatingIfNeeded: address >> 12) ^ Int(requester) << 3) & (entries.count - 1)
    }

    /// The physical page of an address; nil when it is not known.
    func find(_ address: UInt64, isWrite: Bool, requester: UInt16) -> UInt64? {
        guard !isEmpty, let tag = Self.tag(address, requester) else { return nil }
        let entry = entries[index(address, requester)]
        return entry.tag == tag && (entry.allowsWrites || !isWrite) ? entry.page : nil
    }

    /// Keeps a translation. One for a write serves reads, too: nothing can be written and not read.
    mutating func insert(_ address: UInt64, _ leaf: IOMMULeaf, isWrite: Bool, requester: UInt16) {
        guard !entries.isEmpty, let tag = Self.tag(address, requester) else { return }
        isEmpty = false
        entries[index(address, requester)] = Entry(tag: tag, page: leaf.address & ~0xfff, shift: leaf.shift, allowsWrites: isWrite)
    }

    /// Forgets what leaves that hold `address` were good for, whichever device used them.
    mutating func drop(_ address: UInt64) {
        guard !isEmpty else { return }
        for index in entries.indices where entries[index].tag != .max {
            if ((entries[index].tag >> 16) << 12 ^ address) >> entries[index].shift == 0 { entries[index].tag = .max }
        }
    }

    /// Forgets everything.
    mutating func dropAll() {
        guard !isEmpty else { return }
        for index in entries.indices { entries[index].tag = .max }
        isEmpty = true
    }
}
