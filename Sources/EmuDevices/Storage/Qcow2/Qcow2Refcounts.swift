import EmuBus
import Glibc

/// The reference counts of an image's host clusters, and the allocation of clusters.
///
/// Counts in memory run ahead of the file by additions only: `writeBack` brings them there before anything refers to the new clusters.
/// A count goes down only when nothing in the file refers to the cluster any more (`Qcow2Image.commit`).
final class Qcow2Refcounts {
    /// One refcount block in memory, as in the file.
    private final class Block {
        var bytes: [UInt8]
        /// Bytes that differ from the file.
        var dirty: Range<Int>?

        init(_ bytes: [UInt8]) { self.bytes = bytes }

        func markDirty(_ range: Range<Int>) {
            dirty = dirty.map { min($0.lowerBound, range.lowerBound)..<max($0.upperBound, range.upperBound) } ?? range
        }
    }

    private let file: any ImageFile
    private let clusterBits: Int
    private let order: Int
    private(set) var table: [UInt64]
    private(set) var tableOffset: UInt64
    private var tableClusters: UInt64
    private var blocks: [Int: Block] = [:]
    private var dirtyBlocks: Set<Int> = []
    /// Where to look for a free cluster first.
    private var hint: UInt64 = 0
    /// All clusters from here on are free.
    private var end: UInt64
    /// Told of clusters that become metadata or cease to be.
    private let claim: (Range<UInt64>) throws(HostError) -> Void
    private let release: (Range<UInt64>) -> Void
    /// Points the header at a new table.
    private let switchTable: (_ offset: UInt64, _ clusters: Int) throws(HostError) -> Void

    private var clusterSize: UInt64 { 1 << UInt64(clusterBits) }
    private var entriesPerBlock: UInt64 { (clusterSize * 8) >> UInt64(order) }
    private var largest: UInt64 { order == 6 ? .max : (1 << (1 << UInt64(order))) - 1 }
    /// Clusters an offset in L1 and L2 entries can name.
    private var clusterLimit: UInt64 { (1 << 56) >> UInt64(clusterBits) }

    init(
        _ file: any ImageFile, _ header: Qcow2Header, claim: @escaping (Range<UInt64>) throws(HostError) -> Void,
        release: @escaping (Range<UInt64>) -> Void, switchTable: @escaping (UInt64, Int) throws(HostError) -> Void
    ) throws(HostError) {
        self.file = file
        self.claim = claim
        self.release = release
        self.switchTable = switchTable
        clusterBits = header.clusterBits
        order = header.refcountOrder
        tableOffset = header.refcountTableOffset
        tableClusters = UInt64(header.refcountTableClusters)
        let bytes = try file.bytes(at: tableOffset, header.refcountTableClusters << header.clusterBits)
        table = stride(from: 0, to: bytes.count, by: 8).map { bytes.bigEndian(at: $0) }
        end = (try file.length() + (1 << UInt64(clusterBits)) - 1) >> UInt64(clusterBits)
    }

    private func damage(_ what: String) -> HostError { HostError("\(file.name): \(what); 'emulate disk check -r all' may mend it", EIO) }

    // MARK: Single counts

    /// The block for `index`; nil when there is none, which means counts of zero.
    private func block(_ index: Int) throws(HostError) -> Block? {
        guard table.indices.contains(index), table[index] != 0 else { return nil }
        if let known = blocks[index] { return known }
        let offset = table[index]
        guard offset % clusterSize == 0, offset < clusterLimit << UInt64(clusterBits) else { throw damage("refcount block \(index) lies at the impossible offset \(offset)") }
        let block = Block(try file.bytes(at: offset, Int(clusterSize)))
        blocks[index] = block
        return block
    }

    private func load(_ block: Block, _ entry: Int) -> UInt64 { RefcountBits.load(block.bytes, entry, order: order) }

    private func store(_ block: Block, _ entry: Int, _ value: UInt64) {
        block.markDirty(RefcountBits.store(&block.bytes, entry, value, order: order))
    }

    /// How often cluster number `cluster` is referred to.
    func count(_ cluster: UInt64) throws(HostError) -> UInt64 {
        guard let block = try block(Int(clamping: cluster / entriesPerBlock)) else { return 0 }
        return load(block, Int(cluster % entriesPerBlock))
    }

    /// Changes a cluster's count.
    /// - Throws: when it would leave its range: the image is damaged, or has more snapshots than its counts can hold.
    func add(_ cluster: UInt64, _ change: Int) throws(HostError) {
        let index = Int(clamping: cluster / entriesPerBlock)
        guard let block = try block(index) else { throw damage("cluster \(cluster) is in use but has no reference count") }
        let old = load(block, Int(cluster % entriesPerBlock))
        guard change > 0 ? old <= largest - UInt64(change) : old >= UInt64(-change) else {
            throw damage("the reference count of cluster \(cluster) is \(old), which cannot be changed by \(change)")
        }
        let new = change > 0 ? old + UInt64(change) : old - UInt64(-change)
        store(block, Int(cluster % entriesPerBlock), new)
        dirtyBlocks.insert(index)
        if new == 0 { hint = min(hint, cluster) }
    }

    // MARK: Allocation

    /// Takes `count` clusters in a row, each with a count of one; returns the first one's number.
    func allocate(_ count: UInt64) throws(HostError) -> UInt64 {
        var start = try findFree(count) ?? end
        if start == end { start = try extend(count) }
        for cluster in start..<start + count { try add(cluster, 1) }
        // A gap too small for this stays to be found.
        if count == 1 { hint = start + 1 }
        end = max(end, start + count)
        return start
    }

    /// As many clusters in a row as are free, at most `count`.
    func allocate(upTo count: UInt64) throws(HostError) -> Range<UInt64> {
        let first = try allocate(1)
        var next = first + 1
        while next < first + count, next < end, try self.count(next) == 0, try block(Int(next / entriesPerBlock)) != nil {
            try add(next, 1)
            next += 1
        }
        // At the end of the file the rest follows as one piece if nothing has to be put in between.
        if next == end, next < first + count {
            let more = try allocate(first + count - next)
            guard more == next else {
                for cluster in more..<more + (first + count - next) { try add(cluster, -1) }
                return first..<next
            }
            next = first + count
        }
        hint = next
        return first..<next
    }

    private func findFree(_ count: UInt64) throws(HostError) -> UInt64? {
        var run: UInt64 = 0
        var cluster = hint
        while cluster < end {
            guard let block = try block(Int(cluster / entriesPerBlock)) else {
                // Free, but its count would have to be made first.
                run = 0
                cluster = (cluster / entriesPerBlock + 1) * entriesPerBlock
                continue
            }
            run = load(block, Int(cluster % entriesPerBlock)) == 0 ? run + 1 : 0
            cluster += 1
            if run == count { return cluster - count }
            if run == 0, count == 1 { hint = cluster }
        }
        return nil
    }

    /// Makes sure that `count` clusters from the end of the image on have counts, and puts what that takes before them.
    /// - Returns: the first of the clusters.
    private func extend(_ count: UInt64) throws(HostError) -> UInt64 {
        var first = end
        var newBlocks: [Int] = []
        var newTable: UInt64 = 0
        while true {
            let last = first + UInt64(newBlocks.count) + newTable + count - 1
            guard last < clusterLimit else { throw HostError("\(file.name): no room for more clusters", EFBIG) }
            // An image shorter than its counts: what is in use behind its end stays untouched.
            if let used = try lastUsed(first...last) {
                first = used + 1
                continue
            }
            let needed = (Int(first / entriesPerBlock)...Int(last / entriesPerBlock)).filter { !table.indices.contains($0) || table[$0] == 0 }
            let entries = UInt64(last / entriesPerBlock) + 1
            // Half as much again, so that tables are moved rarely.
            let wanted = entries > table.count ? ((entries + entries / 2) * 8 + clusterSize - 1) >> UInt64(clusterBits) : 0
            if needed == newBlocks, wanted <= newTable { break }
            newBlocks = needed
            newTable = max(newTable, wanted)
        }
        if newBlocks.isEmpty && newTable == 0 { return first }
        try addBlocks(newBlocks, at: first, newTableClusters: newTable)
        first += UInt64(newBlocks.count) + newTable
        end = max(end, first)
        return first
    }

    private func lastUsed(_ clusters: ClosedRange<UInt64>) throws(HostError) -> UInt64? {
        for cluster in clusters.reversed() {
            if try count(cluster) != 0 { return cluster }
        }
        return nil
    }

    /// New refcount blocks, and a larger table if need be. Counts that have only just begun must not be read from a place
    /// nothing was written to: so blocks reach the disk before the table, and the table before the header.
    private func addBlocks(_ indices: [Int], at first: UInt64, newTableClusters: UInt64) throws(HostError) {
        let tableFirst = first + UInt64(indices.count)
        let used = first..<tableFirst + newTableClusters
        try claim(used)
        if newTableClusters > 0 { table += [UInt64](repeating: 0, count: Int(newTableClusters << UInt64(clusterBits) / 8) - table.count) }
        for (position, index) in indices.enumerated() {
            table[index] = (first + UInt64(position)) << UInt64(clusterBits)
            blocks[index] = Block([UInt8](repeating: 0, count: Int(clusterSize)))
        }
        for cluster in used { try add(cluster, 1) }
        for index in indices {
            try file.write(at: table[index], bytes: blocks[index]!.bytes)
            blocks[index]!.dirty = nil
            dirtyBlocks.remove(index)
        }
        try writeBack()
        try file.flush()
        guard newTableClusters > 0 else {
            for index in indices { try writeTable(index..<index + 1, to: tableOffset) }
            return
        }
        let oldTable = tableOffset >> UInt64(clusterBits)
        let oldRange = oldTable..<oldTable + tableClusters
        tableOffset = tableFirst << UInt64(clusterBits)
        try writeTable(0..<table.count, to: tableOffset)
        try file.flush()
        try switchTable(tableOffset, Int(newTableClusters))
        try file.flush()
        release(oldRange)
        for cluster in oldRange { try add(cluster, -1) }
        tableClusters = newTableClusters
    }

    private func writeTable(_ range: Range<Int>, to offset: UInt64) throws(HostError) {
        var bytes: [UInt8] = []
        for entry in table[range] { bytes.appendBigEndian(entry) }
        try file.write(at: offset + UInt64(range.lowerBound) * 8, bytes: bytes)
    }

    // MARK: The file

    var isDirty: Bool { !dirtyBlocks.isEmpty }

    /// Writes what has changed. Not flushed.
    func writeBack() throws(HostError) {
        for index in dirtyBlocks.sorted() {
            guard let block = blocks[index], let dirty = block.dirty else { continue }
            try file.write(at: table[index] + UInt64(dirty.lowerBound), bytes: Array(block.bytes[dirty]))
            block.dirty = nil
        }
        dirtyBlocks.removeAll(keepingCapacity: true)
        // Blocks are few (one for 2 GiB by default), but small clusters make many.
        if blocks.count << clusterBits > 64 << 20 { blocks.removeAll() }
    }
}
