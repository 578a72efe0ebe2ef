import EmuBus
import Glibc

/// An internal snapshot: a second L1 table, whose clusters are shared with the active one until one of them is written.
package struct Qcow2Snapshot: Equatable, Sendable {
    package var l1Offset: UInt64
    package var l1Size: Int
    package var id: String
    package var name: String
    /// Seconds since 1970, and nanoseconds.
    package var seconds: UInt32
    package var nanoseconds: UInt32
    /// Nanoseconds the guest had run.
    package var guestTime: UInt64
    /// Bytes of saved machine state, kept behind the end of the disk.
    package var stateSize: UInt64
    /// Bytes of the disk when the snapshot was taken; nil in old images.
    package var diskSize: UInt64?
    package var instructions: UInt64?
    /// Extra data past what is known here.
    var unknown: [UInt8] = []

    /// Longest table read, bytes.
    private static let tableLimit = 64 << 20
    private static let fixedSize = 40

    /// The snapshot table and how many bytes it takes.
    static func read(_ file: any ImageFile, _ header: Qcow2Header) throws(HostError) -> (list: [Qcow2Snapshot], bytes: Int) {
        guard header.snapshotCount > 0 else { return ([], 0) }
        func damage(_ what: String) -> HostError { HostError("\(file.name): \(what); 'emulate disk check' says more", EIO) }
        let fileLength = try file.length()
        let available = fileLength - header.snapshotsOffset
        let bytes = try file.bytes(at: header.snapshotsOffset, Int(min(available, UInt64(tableLimit))))
        var result: [Qcow2Snapshot] = []
        var position = 0
        var l1Bytes: UInt64 = 0
        for _ in 0..<header.snapshotCount {
            guard let entry = Qcow2Snapshot(bytes, &position) else { throw damage("its snapshot table ends too early") }
            l1Bytes += UInt64(entry.l1Size) * 8
            // Tables that all lie at the same place would keep whoever reads them busy for hours.
            guard entry.l1Size == 0 || header.isTable(entry.l1Offset, UInt64(entry.l1Size) * 8, fileLength), l1Bytes <= fileLength,
                  entry.l1Size * 8 <= Qcow2Header.maxL1Bytes else {
                throw damage("the L1 table of snapshot '\(entry.name)' is not inside the file")
            }
            result.append(entry)
        }
        return (result, position)
    }

    init(l1Offset: UInt64, l1Size: Int, id: String, name: String, seconds: UInt32, nanoseconds: UInt32, diskSize: UInt64) {
        self.l1Offset = l1Offset
        self.l1Size = l1Size
        self.id = id
        self.name = name
        self.seconds = seconds
        self.nanoseconds = nanoseconds
        self.diskSize = diskSize
        guestTime = 0
        stateSize = 0
        // "Not recorded" in QEMU's words.
        instructions = 0
    }

    private init?(_ bytes: [UInt8], _ position: inout Int) {
        guard bytes.count - position >= Self.fixedSize else { return nil }
        let start = position
        l1Offset = bytes.bigEndian(at: start)
        l1Size = Int(bytes.bigEndian(at: start + 8, as: UInt32.self))
        let idLength = Int(bytes.bigEndian(at: start + 12, as: UInt16.self)), nameLength = Int(bytes.bigEndian(at: start + 14, as: UInt16.self))
        seconds = bytes.bigEndian(at: start + 16)
        nanoseconds = bytes.bigEndian(at: start + 20)
        guestTime = bytes.bigEndian(at: start + 24)
        stateSize = UInt64(bytes.bigEndian(at: start + 32, as: UInt32.self))
        let extra = Int(bytes.bigEndian(at: start + 36, as: UInt32.self))
        let names = start + Self.fixedSize + extra
        guard bytes.count - names >= idLength + nameLength else { return nil }
        if extra >= 8 { stateSize = bytes.bigEndian(at: start + 40) }
        if extra >= 16 { diskSize = bytes.bigEndian(at: start + 48) }
        if extra >= 24 { instructions = bytes.bigEndian(at: start + 56) }
        if extra > 24 { unknown = Array(bytes[start + 64..<names]) }
        id = String(decoding: bytes[names..<names + idLength], as: UTF8.self)
        name = String(decoding: bytes[names + idLength..<names + idLength + nameLength], as: UTF8.self)
        position = (names + idLength + nameLength + 7) / 8 * 8
    }

    static func encode(_ snapshots: [Qcow2Snapshot]) -> [UInt8] {
        var bytes: [UInt8] = []
        for snapshot in snapshots {
            bytes.appendBigEndian(snapshot.l1Offset)
            bytes.appendBigEndian(UInt32(snapshot.l1Size))
            bytes.appendBigEndian(UInt16(snapshot.id.utf8.count))
            bytes.appendBigEndian(UInt16(snapshot.name.utf8.count))
            bytes.appendBigEndian(snapshot.seconds)
            bytes.appendBigEndian(snapshot.nanoseconds)
            bytes.appendBigEndian(snapshot.guestTime)
            bytes.appendBigEndian(UInt32(clamping: snapshot.stateSize))
            bytes.appendBigEndian(UInt32(24 + snapshot.unknown.count))
            bytes.appendBigEndian(snapshot.stateSize)
            bytes.appendBigEndian(snapshot.diskSize ?? 0)
            bytes.appendBigEndian(snapshot.instructions ?? .max)
            bytes += snapshot.unknown + Array(snapshot.id.utf8) + Array(snapshot.name.utf8)
            bytes += [UInt8](repeating: 0, count: (8 - bytes.count % 8) % 8)
        }
        return bytes
    }
}

/// Taking, going back to and dropping internal snapshots. Every step leaves a whole image; what a crash can leave behind is clusters
/// counted too often, which 'check -r leaks' gives back.
extension Qcow2Image {
    /// The snapshot with this id or else this name.
    package func snapshot(named name: String) -> Qcow2Snapshot? {
        snapshots.first { $0.id == name } ?? snapshots.first { $0.name == name }
    }

    /// Takes a snapshot of the disk as it is now.
    package func createSnapshot(_ name: String, seconds: UInt32, nanoseconds: UInt32) throws(DiskError) {
        guard name.utf8.count <= 1023 else { throw DiskError("a snapshot's name has at most 1023 bytes") }
        guard header.refcountOrder > 0 else { throw DiskError("disk '\(path)' has reference counts of one bit, so it can have no snapshots") }
        guard snapshots.count < Qcow2Header.maxSnapshots else { throw DiskError("disk '\(path)' has \(snapshots.count) snapshots, which is the limit") }
        try changing { () throws(HostError) in
            try flush()
            // The active tables first stop calling anything their own: then it does not matter when the counts go up.
            try setCopied { _ in false }
            try commit()
            try countTree(map.l1, 1)
            let l1Offset = try writeL1(map.l1)
            let id = (snapshots.compactMap { Int($0.id) }.max() ?? 0) + 1
            let new = Qcow2Snapshot(
                l1Offset: l1Offset, l1Size: map.l1.count, id: String(id), name: name, seconds: seconds, nanoseconds: nanoseconds, diskSize: header.size)
            try replaceTable(snapshots + [new])
        }
    }

    /// Makes the disk what it was when the snapshot was taken; what it is now is lost.
    package func applySnapshot(_ name: String) throws(DiskError) {
        guard let snapshot = snapshot(named: name) else { throw noSnapshot(name) }
        let newSize = snapshot.diskSize ?? header.size
        guard newSize >= 512, header.l1Entries(for: newSize) <= UInt64(Qcow2Header.maxL1Bytes / 8) else {
            throw DiskError("disk '\(path)': snapshot '\(name)' has an impossible size; 'emulate disk check' says more")
        }
        try changing { () throws(HostError) in
            try flush()
            let old = map.l1, oldOffset = map.l1Offset
            var entries = try Qcow2Map.readEntries(file, offset: snapshot.l1Offset, count: snapshot.l1Size).map { $0 & ~Qcow2Entry.copied }
            let needed = Int(header.l1Entries(for: newSize))
            if entries.count < needed { entries += [UInt64](repeating: 0, count: needed - entries.count) }
            try countTree(entries, 1)
            let offset = try writeL1(entries)
            try refcounts.writeBack()
            try file.flush()
            try writeGeometry(size: newSize, l1: entries, at: offset)
            inflated = nil
            compressedTail = nil
            try countTree(old, -1)
            try freeL1(at: oldOffset, entries: old.count)
            try refcounts.writeBack()
            try restoreCopied()
            try collectMetadata()
        }
    }

    package func deleteSnapshot(_ name: String) throws(DiskError) {
        guard let snapshot = snapshot(named: name) else { throw noSnapshot(name) }
        try changing { () throws(HostError) in
            try flush()
            let entries = try Qcow2Map.readEntries(file, offset: snapshot.l1Offset, count: snapshot.l1Size)
            try replaceTable(snapshots.filter { $0.id != snapshot.id || $0.l1Offset != snapshot.l1Offset })
            try countTree(entries, -1)
            try freeL1(at: snapshot.l1Offset, entries: snapshot.l1Size)
            try refcounts.writeBack()
            // What only the active tables use from now on is theirs again.
            try restoreCopied()
            try collectMetadata()
        }
    }

    func noSnapshot(_ name: String) -> DiskError {
        let known = snapshots.map { "'\($0.name)'" }.joined(separator: ", ")
        return DiskError("disk '\(path)' has no snapshot '\(name)'" + (known.isEmpty ? "; it has none at all" : "; it has \(known)"))
    }

    private func changing(_ body: () throws(HostError) -> Void) throws(DiskError) {
        try exclusively { () throws(DiskError) in
            do throws(HostError) {
                try prepareToWrite()
                try body()
                try flush()
            } catch {
                // Half-way; the file is whole, memory is not.
                failure = failure ?? error
                throw DiskError("\(error)")
            }
        }
    }

    // MARK: Trees

    /// Adds `change` to the count of every cluster an L1 table leads to, L2 tables included.
    private func countTree(_ entries: [UInt64], _ change: Int) throws(HostError) {
        for entry in entries {
            guard let offset = try map.tableOffset(entry) else { continue }
            let table = try map.table(at: offset)
            for index in 0..<map.entriesPerTable { try count(try map.entry(table, index).mapping, change) }
            try refcounts.add(offset >> UInt64(header.clusterBits), change)
            if try refcounts.count(offset >> UInt64(header.clusterBits)) == 0 { map.forget(tableAt: offset) }
        }
    }

    private func count(_ mapping: Qcow2Entry.Mapping, _ change: Int) throws(HostError) {
        let bits = UInt64(header.clusterBits)
        switch mapping {
        case .none: break
        case .host(let offset): try refcounts.add(offset >> bits, change)
        case .compressed(let offset, let length):
            for cluster in offset >> bits...(offset + length - 1) >> bits { try refcounts.add(cluster, change) }
        }
    }

    /// Sets the active tables' "nobody else's" flags from the counts.
    private func restoreCopied() throws(HostError) {
        try setCopied { cluster throws(HostError) in try self.refcounts.count(cluster) == 1 }
        try commit()
    }

    private func setCopied(_ isOwn: (UInt64) throws(HostError) -> Bool) throws(HostError) {
        let bits = UInt64(header.clusterBits)
        for (number, entry) in map.l1.enumerated() {
            guard let offset = try map.tableOffset(entry) else { continue }
            let isOwnTable = try isOwn(offset >> bits)
            let table = try map.table(at: offset)
            for index in 0..<map.entriesPerTable {
                var entry = try map.entry(table, index)
                guard case .host(let host) = entry.mapping else { continue }
                let flag = try isOwn(host >> bits)
                guard flag != entry.isCopied else { continue }
                entry.isCopied = flag
                map.set(table, index, entry)
            }
            if isOwnTable != (entry & Qcow2Entry.copied != 0) { map.setL1(number, offset | (isOwnTable ? Qcow2Entry.copied : 0)) }
        }
    }

    /// A copy of an L1 table in new clusters; its offset.
    func writeL1(_ entries: [UInt64]) throws(HostError) -> UInt64 {
        let clusters = max(1, (UInt64(entries.count) * 8 + clusterSize - 1) / clusterSize)
        let offset = try allocateMetadata(clusters)
        var bytes: [UInt8] = []
        for entry in entries { bytes.appendBigEndian(entry) }
        try file.write(at: offset, bytes: bytes + [UInt8](repeating: 0, count: Int(clusters * clusterSize) - bytes.count))
        return offset
    }

    private func freeL1(at offset: UInt64, entries: Int) throws(HostError) {
        guard entries > 0 else { return }
        let bits = UInt64(header.clusterBits)
        for cluster in offset >> bits...(offset + UInt64(entries) * 8 - 1) >> bits { try refcounts.add(cluster, -1) }
    }

    /// Writes a snapshot table to a new place and makes it the image's.
    private func replaceTable(_ new: [Qcow2Snapshot]) throws(HostError) {
        let bytes = Qcow2Snapshot.encode(new)
        let oldOffset = header.snapshotsOffset, oldLength = snapshotBytes
        var offset: UInt64 = 0
        if !new.isEmpty {
            offset = try allocateMetadata((UInt64(bytes.count) + clusterSize - 1) / clusterSize)
            try file.write(at: offset, bytes: bytes)
        }
        try refcounts.writeBack()
        try file.flush()
        var fields: [UInt8] = []
        fields.appendBigEndian(UInt32(new.count))
        fields.appendBigEndian(offset)
        try file.write(at: Qcow2Header.Offset.snapshotCount, bytes: fields)
        try file.flush()
        header.snapshotCount = new.count
        header.snapshotsOffset = offset
        snapshots = new
        snapshotBytes = bytes.count
        if oldOffset != 0, oldLength > 0 {
            let bits = UInt64(header.clusterBits)
            for cluster in oldOffset >> bits...(oldOffset + UInt64(oldLength) - 1) >> bits {
                try refcounts.add(cluster, -1)
                metadata.remove(cluster)
            }
        }
    }
}
