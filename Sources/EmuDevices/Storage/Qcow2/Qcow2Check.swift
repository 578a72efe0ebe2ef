import EmuBus
import Glibc

/// Compares an image's reference counts with what its tables refer to, and mends what differs. Works on the file alone; nobody
/// else may have it open for writing.
package struct Qcow2Check {
    package struct Report: Equatable, Sendable {
        /// References that are missing or impossible: guest data may be lost or overwritten.
        package var corruptions = 0
        /// Clusters counted more often than used: space wasted, nothing else.
        package var leaks = 0
        package var corruptionsFixed = 0
        package var leaksFixed = 0
        /// Parts that could not be looked at.
        package var errors = 0
        package var totalClusters: UInt64 = 0
        package var allocatedClusters: UInt64 = 0
        package var compressedClusters: UInt64 = 0
        package var fragmentedClusters: UInt64 = 0
        package var endOffset: UInt64 = 0
        /// One line for each finding, the first ones.
        package var messages: [String] = []
    }

    package enum Repair: String, Sendable { case leaks, all }

    let file: any ImageFile
    var header: Qcow2Header
    let fileLength: UInt64
    var report = Report()
    /// How often each cluster is referred to.
    var references = SparseCounts()
    /// L2 tables and how many L1 entries lead to each: a table is read once, however often it is used.
    var tables: [UInt64: UInt64] = [:]
    private var activeL1: [UInt64] = []
    private var refcountTable: [UInt64] = []
    /// The counts themselves cannot be trusted to be written in place.
    private var needsRebuild = false
    private static let messageLimit = 200

    /// - Throws: `DiskError` when there is no header to start from.
    package init(_ file: any ImageFile) throws(DiskError) {
        self.file = file
        header = try Qcow2Header(file)
        do throws(HostError) { fileLength = try file.length() } catch { throw DiskError("\(error)") }
    }

    private var bits: UInt64 { UInt64(header.clusterBits) }

    mutating func corruption(_ text: String) {
        report.corruptions += 1
        note("ERROR \(text)")
    }

    private mutating func note(_ text: String) {
        if report.messages.count < Self.messageLimit { report.messages.append(text) }
    }

    // MARK: Looking

    /// Looks at everything and changes nothing.
    package mutating func run() throws(DiskError) -> Report {
        do throws(HostError) {
            try look()
            return report
        } catch { throw DiskError("\(error)") }
    }

    private mutating func look() throws(HostError) {
        report = Report()
        references = SparseCounts()
        tables = [:]
        needsRebuild = false
        report.totalClusters = (header.size + header.clusterSize - 1) >> bits
        refer(0, 1, 1, "header")
        try lookAtTables()
        try lookAtCounts()
        try lookAtFlags()
    }

    /// `weight` references to every cluster that bytes `offset` and on touch.
    mutating func refer(_ offset: UInt64, _ bytes: UInt64, _ weight: UInt64, _ what: @autoclosure () -> String) {
        guard bytes > 0 else { return }
        // Space that was set aside and never written may lie behind the end; just anywhere it cannot.
        guard offset < fileLength + Self.slack, bytes <= Self.slack else {
            corruption("\(what()) at offset \(hex(offset)), which is far behind the end of the file")
            return
        }
        for cluster in offset >> bits...(offset + bytes - 1) >> bits { references.add(cluster, weight) }
    }

    private static let slack: UInt64 = 1 << 40

    private mutating func lookAtTables() throws(HostError) {
        activeL1 = try Qcow2Map.readEntries(file, offset: header.l1Offset, count: header.l1Size)
        refer(header.l1Offset, UInt64(header.l1Size) * 8, 1, "L1 table")
        collectTables(activeL1, "active L1 table")
        do throws(HostError) {
            let (snapshots, bytes) = try Qcow2Snapshot.read(file, header)
            refer(header.snapshotsOffset, UInt64(bytes), 1, "snapshot table")
            for snapshot in snapshots {
                refer(snapshot.l1Offset, UInt64(snapshot.l1Size) * 8, 1, "L1 table of snapshot '\(snapshot.name)'")
                collectTables(try Qcow2Map.readEntries(file, offset: snapshot.l1Offset, count: snapshot.l1Size), "L1 table of snapshot '\(snapshot.name)'")
            }
        } catch {
            guard error.code == EIO else { throw error }
            corruption(error.action)
            report.errors += 1
        }
        let active = Set(activeL1.map { $0 & Qcow2Entry.offsetMask })
        for (offset, weight) in tables.sorted(by: { $0.key < $1.key }) { try lookAtTable(offset, weight, isActive: active.contains(offset)) }
        try lookAtBitmaps()
    }

    private mutating func collectTables(_ entries: [UInt64], _ what: String) {
        for (index, entry) in entries.enumerated() where entry & Qcow2Entry.offsetMask != 0 {
            let offset = entry & Qcow2Entry.offsetMask
            guard offset % header.clusterSize == 0, offset < fileLength else {
                corruption("\(what), entry \(index): L2 table at the impossible offset \(hex(offset))")
                continue
            }
            refer(offset, header.clusterSize, 1, "L2 table")
            tables[offset, default: 0] += 1
        }
    }

    private mutating func lookAtTable(_ offset: UInt64, _ weight: UInt64, isActive: Bool) throws(HostError) {
        let words = try Qcow2Map.readEntries(file, offset: offset, count: Int(header.clusterSize) / 8)
        let step = header.hasExtendedL2 ? 2 : 1
        var next: UInt64 = 0
        for index in stride(from: 0, to: words.count, by: step) {
            guard let entry = Qcow2Entry(words[index], bitmap: step == 2 ? words[index + 1] : 0, header) else {
                corruption("L2 table at \(hex(offset)), entry \(index / step): impossible value \(hex(words[index]))")
                continue
            }
            switch entry.mapping {
            case .none: continue
            case .host(let host):
                refer(host, header.clusterSize, weight, "guest data")
                guard isActive else { continue }
                report.allocatedClusters += 1
                if next != 0, host != next { report.fragmentedClusters += 1 }
                next = host + header.clusterSize
            case .compressed(let host, let length):
                refer(host, length, weight, "compressed guest data")
                guard isActive else { continue }
                report.allocatedClusters += 1
                report.compressedClusters += 1
                report.fragmentedClusters += 1
            }
        }
    }

    /// Clusters of dirty bitmaps ("Bitmaps" in the format's description), as long as they are up to date.
    private mutating func lookAtBitmaps() throws(HostError) {
        guard let bitmaps = header.bitmaps, header.autoclear & 1 != 0 else { return }
        guard bitmaps.directoryOffset % header.clusterSize == 0, bitmaps.directoryOffset < fileLength, bitmaps.directorySize <= 64 << 20 else {
            return corruption("the directory of bitmaps is not inside the file")
        }
        refer(bitmaps.directoryOffset, bitmaps.directorySize, 1, "directory of bitmaps")
        let directory = try file.bytes(at: bitmaps.directoryOffset, Int(bitmaps.directorySize))
        var position = 0
        for _ in 0..<bitmaps.count where position + 24 <= directory.count {
            let offset: UInt64 = directory.bigEndian(at: position), count: UInt32 = directory.bigEndian(at: position + 8)
            let name: UInt16 = directory.bigEndian(at: position + 18), extra: UInt32 = directory.bigEndian(at: position + 20)
            position += (24 + Int(name) + Int(extra) + 7) / 8 * 8
            guard offset % header.clusterSize == 0, offset < fileLength, UInt64(count) * 8 <= min(fileLength, 32 << 20) else {
                corruption("a bitmap's table is not inside the file")
                continue
            }
            refer(offset, UInt64(count) * 8, 1, "table of a bitmap")
            for entry in try Qcow2Map.readEntries(file, offset: offset, count: Int(count)) where entry & Qcow2Entry.offsetMask != 0 {
                refer(entry & Qcow2Entry.offsetMask, header.clusterSize, 1, "bitmap")
            }
        }
    }

    // MARK: Counts

    private mutating func lookAtCounts() throws(HostError) {
        let tableBytes = UInt64(header.refcountTableClusters) << bits
        refer(header.refcountTableOffset, tableBytes, 1, "refcount table")
        refcountTable = try Qcow2Map.readEntries(file, offset: header.refcountTableOffset, count: Int(tableBytes / 8))
        for (index, offset) in refcountTable.enumerated() where offset != 0 {
            guard offset % header.clusterSize == 0, offset < fileLength else {
                corruption("refcount block \(index) is at the impossible offset \(hex(offset))")
                refcountTable[index] = 0
                needsRebuild = true
                continue
            }
            if references[offset >> bits] != 0 { needsRebuild = true }
            refer(offset, header.clusterSize, 1, "refcount block")
        }
        let perBlock = UInt64(header.clusterSize * 8) >> UInt64(header.refcountOrder)
        var seen = SparseCounts()
        for (index, offset) in refcountTable.enumerated() where offset != 0 {
            let block = try file.bytes(at: offset, Int(header.clusterSize))
            for entry in 0..<Int(perBlock) {
                let cluster = UInt64(index) * perBlock + UInt64(entry)
                compare(cluster, RefcountBits.load(block, entry, order: header.refcountOrder))
            }
            seen.add(UInt64(index), 1)
        }
        for (cluster, wanted) in references.all where seen[cluster / perBlock] == 0 && wanted > 0 { compare(cluster, 0) }
    }

    private mutating func compare(_ cluster: UInt64, _ count: UInt64) {
        let wanted = references[cluster]
        if count > 0 || wanted > 0 { report.endOffset = max(report.endOffset, (cluster + 1) << bits) }
        if count == wanted { return }
        if count > wanted {
            report.leaks += 1
            note("Leaked cluster \(cluster) refcount=\(count) reference=\(wanted)")
        } else {
            corruption("cluster \(cluster) refcount=\(count) reference=\(wanted)")
            needsRebuild = true
        }
    }

    private mutating func lookAtFlags() throws(HostError) {
        try forEachFlag { check, what, cluster, flag, _ throws(HostError) in
            // A cluster whose count is too low was reported already.
            let isOwn = check.references[cluster] == 1
            if flag != isOwn { check.corruption("OFLAG_COPIED of \(what): flag \(flag ? 1 : 0), references \(check.references[cluster])") }
        }
    }

    /// Calls `body` for every entry of the active tables that has a "nobody else's" flag, with where the entry lies.
    private mutating func forEachFlag(
        _ body: (inout Qcow2Check, String, UInt64, Bool, (offset: UInt64, word: UInt64)) throws(HostError) -> Void
    ) throws(HostError) {
        var done: Set<UInt64> = []
        for (index, entry) in activeL1.enumerated() {
            let offset = entry & Qcow2Entry.offsetMask
            guard offset != 0, offset % header.clusterSize == 0, offset < fileLength else { continue }
            try body(&self, "L1 entry \(index)", offset >> bits, entry & Qcow2Entry.copied != 0, (header.l1Offset + UInt64(index) * 8, entry))
            guard done.insert(offset).inserted else { continue }
            let words = try Qcow2Map.readEntries(file, offset: offset, count: Int(header.clusterSize) / 8)
            for index in stride(from: 0, to: words.count, by: header.hasExtendedL2 ? 2 : 1) {
                let word = words[index]
                let host = word & Qcow2Entry.offsetMask
                guard word & Qcow2Entry.compressedFlag == 0, host != 0, host % header.clusterSize == 0 else { continue }
                try body(&self, "L2 entry \(index) of the table at \(hex(offset))", host >> bits, word & Qcow2Entry.copied != 0, (offset + UInt64(index) * 8, word))
            }
        }
    }

    // MARK: Mending

    /// Looks, mends what is asked for and can be, and looks again.
    /// - Returns: what is left, with what was mended.
    package mutating func repair(_ what: Repair) throws(DiskError) -> Report {
        do throws(HostError) {
            try look()
            let before = report
            if before.leaks == 0, before.corruptions == 0 {
                try markClean()
                return before
            }
            // What could not be read may refer to anything.
            guard before.errors == 0 else { return before }
            if what == .leaks {
                try lowerCounts()
            } else {
                if before.corruptions > 0 { try dropImpossible() }
                // Dropping may have changed what is referred to.
                try look()
                if needsRebuild { try rebuild() } else { try lowerCounts() }
                try look()
                try restoreFlags()
            }
            try file.flush()
            try look()
            report.corruptionsFixed = max(0, before.corruptions - report.corruptions)
            report.leaksFixed = max(0, before.leaks - report.leaks)
            report.messages = before.messages
            if report.corruptions == 0, report.errors == 0, what == .all { try markClean() }
            return report
        } catch { throw DiskError("\(error)") }
    }

    private mutating func markClean() throws(HostError) {
        let marks = Qcow2Header.Incompatible.dirty | Qcow2Header.Incompatible.corrupt
        guard header.incompatible & marks != 0 else { return }
        header.incompatible &= ~marks
        var bytes: [UInt8] = []
        bytes.appendBigEndian(header.incompatible)
        try file.flush()
        try file.write(at: Qcow2Header.Offset.incompatible, bytes: bytes)
        try file.flush()
    }

    private mutating func lowerCounts() throws(HostError) {
        let perBlock = UInt64(header.clusterSize * 8) >> UInt64(header.refcountOrder)
        for (index, offset) in refcountTable.enumerated() where offset != 0 {
            var block = try file.bytes(at: offset, Int(header.clusterSize))
            var isChanged = false
            for entry in 0..<Int(perBlock) {
                let wanted = references[UInt64(index) * perBlock + UInt64(entry)]
                guard RefcountBits.load(block, entry, order: header.refcountOrder) > wanted else { continue }
                RefcountBits.store(&block, entry, wanted, order: header.refcountOrder)
                isChanged = true
            }
            if isChanged { try file.write(at: offset, bytes: block) }
        }
    }

    private mutating func restoreFlags() throws(HostError) {
        try forEachFlag { check, _, cluster, flag, place throws(HostError) in
            let isOwn = check.references[cluster] == 1
            guard flag != isOwn else { return }
            var bytes: [UInt8] = []
            bytes.appendBigEndian(isOwn ? place.word | Qcow2Entry.copied : place.word & ~Qcow2Entry.copied)
            try check.file.write(at: place.offset, bytes: bytes)
        }
    }

    /// Entries that name no possible place: what they had is lost, and reads as zeroes or what is below.
    private mutating func dropImpossible() throws(HostError) {
        for (index, entry) in activeL1.enumerated() where entry & Qcow2Entry.offsetMask != 0 {
            let offset = entry & Qcow2Entry.offsetMask
            if offset % header.clusterSize != 0 || offset >= fileLength { try file.write(at: header.l1Offset + UInt64(index) * 8, bytes: [UInt8](repeating: 0, count: 8)) }
        }
        let size = Int(header.l2EntrySize)
        for offset in tables.keys {
            let words = try Qcow2Map.readEntries(file, offset: offset, count: Int(header.clusterSize) / 8)
            for index in stride(from: 0, to: words.count, by: size / 8) {
                let entry = Qcow2Entry(words[index], bitmap: size == 16 ? words[index + 1] : 0, header)
                if case .host(let host)? = entry?.mapping, host < fileLength + Self.slack { continue }
                if case .compressed(let host, _)? = entry?.mapping, host < fileLength { continue }
                if let entry, entry.mapping == .none { continue }
                try file.write(at: offset + UInt64(index) * 8, bytes: [UInt8](repeating: 0, count: size))
            }
        }
    }

    /// Writes all counts anew behind everything that is in use.
    private mutating func rebuild() throws(HostError) {
        // Without the counts that are there: they are given up.
        references = SparseCounts()
        tables = [:]
        let kept = report
        refer(0, 1, 1, "header")
        try lookAtTables()
        report = kept
        let largest: UInt64 = header.refcountOrder == 6 ? .max : (1 << (1 << UInt64(header.refcountOrder))) - 1
        let perBlock = UInt64(header.clusterSize * 8) >> UInt64(header.refcountOrder)
        let end = max((fileLength + header.clusterSize - 1) >> bits, references.all.map { $0.0 + 1 }.max() ?? 0)
        var blocks: [UInt64] = [], tableClusters: UInt64 = 1
        while true {
            let own = end..<end + UInt64(blocks.count) + tableClusters
            let needed = Set(references.all.filter { $0.1 > 0 }.map { $0.0 / perBlock } + own.map { $0 / perBlock }).sorted()
            let clusters = ((needed.last ?? 0) * 8 + 8 + header.clusterSize - 1) >> bits
            if needed == blocks, clusters <= tableClusters { break }
            blocks = needed
            tableClusters = max(tableClusters, clusters)
        }
        guard tableClusters << bits <= UInt64(max(Qcow2Header.maxRefcountTableBytes, 1 << header.clusterBits)) else {
            throw HostError("\(file.name): its refcount table would be larger than 8 MiB", EFBIG)
        }
        for cluster in end..<end + UInt64(blocks.count) + tableClusters { references.add(cluster, 1) }
        var table = [UInt64](repeating: 0, count: Int(tableClusters << bits / 8))
        for (position, index) in blocks.enumerated() {
            var block = [UInt8](repeating: 0, count: Int(header.clusterSize))
            for entry in 0..<Int(perBlock) {
                let count = references[index * perBlock + UInt64(entry)]
                if count > 0 { RefcountBits.store(&block, entry, min(count, largest), order: header.refcountOrder) }
            }
            table[Int(index)] = (end + UInt64(position)) << bits
            try file.write(at: table[Int(index)], bytes: block)
        }
        let offset = (end + UInt64(blocks.count)) << bits
        var bytes: [UInt8] = []
        for entry in table { bytes.appendBigEndian(entry) }
        try file.write(at: offset, bytes: bytes)
        try file.flush()
        var fields: [UInt8] = []
        fields.appendBigEndian(offset)
        fields.appendBigEndian(UInt32(tableClusters))
        try file.write(at: Qcow2Header.Offset.refcountTable, bytes: fields)
        try file.flush()
        try self = Qcow2Check(reopening: self)
    }

    private init(reopening other: Qcow2Check) throws(HostError) {
        do throws(DiskError) { try self.init(other.file) } catch { throw HostError(error.description, EIO) }
        report = other.report
    }
}
