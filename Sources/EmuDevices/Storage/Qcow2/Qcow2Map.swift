import EmuBus
import Glibc

/// The two-level table from guest clusters to host clusters: the active L1 table and the L2 tables in use, in memory.
///
/// Changes stay here until `Qcow2Image.commit` brings them to the file in an order that is safe at any moment.
final class Qcow2Map {
    /// One L2 table.
    final class Table {
        /// Where it lies in the file.
        let offset: UInt64
        /// In the host's byte order; two words for an extended entry.
        fileprivate var words: [UInt64]
        /// Words that differ from the file.
        fileprivate(set) var dirty: Range<Int>?
        /// Nothing in the file refers to it yet.
        fileprivate(set) var isNew: Bool
        fileprivate var lastUse: UInt64 = 0

        fileprivate init(offset: UInt64, words: [UInt64], isNew: Bool) {
            self.offset = offset
            self.words = words
            self.isNew = isNew
        }
    }

    private let file: any ImageFile
    private let header: Qcow2Header
    /// The active L1 table.
    private(set) var l1: [UInt64]
    private(set) var l1Offset: UInt64
    private var l1Dirty: Range<Int>?
    /// By offset in the file.
    private var tables: [UInt64: Table] = [:]
    private var uses: UInt64 = 0
    private(set) var dirtyTables = 0
    /// Most bytes of tables kept.
    private static let cacheLimit = 32 << 20

    init(_ file: any ImageFile, _ header: Qcow2Header) throws(HostError) {
        self.file = file
        self.header = header
        l1Offset = header.l1Offset
        l1 = try Self.readEntries(file, offset: header.l1Offset, count: header.l1Size)
    }

    /// The words of a table in the file.
    static func readEntries(_ file: any ImageFile, offset: UInt64, count: Int) throws(HostError) -> [UInt64] {
        let bytes = try file.bytes(at: offset, count * 8)
        return stride(from: 0, to: bytes.count, by: 8).map { bytes.bigEndian(at: $0) }
    }

    var isDirty: Bool { dirtyTables > 0 || l1Dirty != nil }
    var entriesPerTable: Int { Int(header.clusterSize / header.l2EntrySize) }

    /// True when so much is waiting to be written that it should be.
    var wantsCommit: Bool { dirtyTables << header.clusterBits > Self.cacheLimit / 2 }

    // MARK: Tables

    /// Where the L2 table of an L1 entry lies; nil when there is none.
    /// - Throws: EINVAL for an offset no table can have.
    func tableOffset(_ entry: UInt64) throws(HostError) -> UInt64? {
        let offset = entry & Qcow2Entry.offsetMask
        if offset == 0 { return nil }
        guard offset % header.clusterSize == 0 else { throw HostError("\(file.name): an L2 table lies at the impossible offset \(offset)", EINVAL) }
        return offset
    }

    /// The active table number `index`; nil when nothing under it is allocated.
    func table(_ index: Int) throws(HostError) -> Table? {
        guard l1.indices.contains(index), let offset = try tableOffset(l1[index]) else { return nil }
        return try table(at: offset)
    }

    /// The table at `offset` of the file, active or a snapshot's.
    func table(at offset: UInt64) throws(HostError) -> Table {
        uses += 1
        if let known = tables[offset] {
            known.lastUse = uses
            return known
        }
        makeRoom()
        let words = try Self.readEntries(file, offset: offset, count: Int(header.clusterSize) / 8)
        let table = Table(offset: offset, words: words, isNew: false)
        table.lastUse = uses
        tables[offset] = table
        return table
    }

    /// Enters a new table at `offset`, a copy of `original` or empty, as the active one number `index`.
    func install(at offset: UInt64, index: Int, copying original: Table?) -> Table {
        makeRoom()
        uses += 1
        let words = original?.words ?? [UInt64](repeating: 0, count: Int(header.clusterSize) / 8)
        let table = Table(offset: offset, words: words, isNew: true)
        table.lastUse = uses
        table.dirty = 0..<words.count
        dirtyTables += 1
        if let old = tables[offset], old.dirty != nil { dirtyTables -= 1 }
        tables[offset] = table
        setL1(index, offset | Qcow2Entry.copied)
        return table
    }

    func setL1(_ index: Int, _ entry: UInt64) {
        l1[index] = entry
        l1Dirty = l1Dirty.map { min($0.lowerBound, index)..<max($0.upperBound, index + 1) } ?? index..<index + 1
    }

    /// Forgets the table least recently used of those that the file has the same.
    private func makeRoom() {
        guard (tables.count + 1) << header.clusterBits > Self.cacheLimit else { return }
        let clean = tables.values.filter { $0.dirty == nil }.sorted { $0.lastUse < $1.lastUse }
        for table in clean.prefix(max(1, clean.count / 8)) { tables[table.offset] = nil }
    }

    /// Forgets the table at `offset`, which is one no longer.
    func forget(tableAt offset: UInt64) {
        if tables.removeValue(forKey: offset)?.dirty != nil { dirtyTables -= 1 }
    }

    // MARK: Entries

    /// Entry `index` of a table.
    /// - Throws: EINVAL for what no entry can be.
    func entry(_ table: Table, _ index: Int) throws(HostError) -> Qcow2Entry {
        let words = words(table, index)
        guard let entry = Qcow2Entry(words.word, bitmap: words.bitmap, header) else {
            throw HostError("\(file.name): entry \(index) of the L2 table at \(table.offset) is impossible", EINVAL)
        }
        return entry
    }

    func words(_ table: Table, _ index: Int) -> (word: UInt64, bitmap: UInt64) {
        header.hasExtendedL2 ? (table.words[2 * index], table.words[2 * index + 1]) : (table.words[index], 0)
    }

    func set(_ table: Table, _ index: Int, _ entry: Qcow2Entry) {
        let words = entry.words(header)
        set(table, index, words.word, words.bitmap)
    }

    func set(_ table: Table, _ index: Int, _ word: UInt64, _ bitmap: UInt64) {
        let first: Int, count: Int
        if header.hasExtendedL2 {
            table.words[2 * index] = word
            table.words[2 * index + 1] = bitmap
            (first, count) = (2 * index, 2)
        } else {
            table.words[index] = word
            (first, count) = (index, 1)
        }
        if let dirty = table.dirty {
            table.dirty = min(dirty.lowerBound, first)..<max(dirty.upperBound, first + count)
        } else {
            table.dirty = first..<first + count
            dirtyTables += 1
        }
    }

    // MARK: The file

    /// Writes tables that nothing in the file refers to yet.
    func writeNewTables() throws(HostError) {
        for table in tables.values where table.isNew {
            try write(table)
            table.isNew = false
        }
    }

    /// Writes changed tables, then the L1 table.
    func writeBack() throws(HostError) {
        for table in tables.values where table.dirty != nil { try write(table) }
        guard let dirty = l1Dirty else { return }
        var bytes: [UInt8] = []
        for entry in l1[dirty] { bytes.appendBigEndian(entry) }
        try file.write(at: l1Offset + UInt64(dirty.lowerBound) * 8, bytes: bytes)
        l1Dirty = nil
    }

    private func write(_ table: Table) throws(HostError) {
        guard let dirty = table.dirty else { return }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(dirty.count * 8)
        for word in table.words[dirty] { bytes.appendBigEndian(word) }
        try file.write(at: table.offset + UInt64(dirty.lowerBound) * 8, bytes: bytes)
        table.dirty = nil
        dirtyTables -= 1
    }

    /// Makes another table, which the file has already, the active L1 table.
    func replaceL1(_ entries: [UInt64], at offset: UInt64) {
        l1 = entries
        l1Offset = offset
        l1Dirty = nil
    }
}
