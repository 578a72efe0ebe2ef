import EmuBus
import Glibc

/// How changes reach the file.
extension Qcow2Image {
    /// Brings all metadata to the file so that at every moment, whatever of it has arrived, the file is an image whose guest data is
    /// what was flushed before:
    ///
    /// 1. counts of clusters taken, and new L2 tables (nothing refers to them yet); then everything so far, data included, is flushed;
    /// 2. changed L2 tables and the L1 table, which refer to it; flushed;
    /// 3. counts of clusters that nothing refers to any more. They are free from here on, and not before.
    ///
    /// A crash in between leaves clusters counted that nobody uses (leaks), never the other way round. With lazy reference counts the
    /// counts wait until the image is closed; its dirty bit says that they have to be counted anew.
    func commit() throws(HostError) {
        if let failure { throw failure }
        guard map.isDirty || refcounts.isDirty || !pendingFrees.isEmpty else { return }
        do throws(HostError) {
            if !isLazy { try refcounts.writeBack() }
            try map.writeNewTables()
            if map.isDirty {
                try file.flush()
                try map.writeBack()
            }
            try file.flush()
            try applyFrees()
        } catch {
            // What the file holds is whole; what is in memory no longer matches it.
            failure = error
            throw error
        }
    }

    private func applyFrees() throws(HostError) {
        guard !pendingFrees.isEmpty else { return }
        let frees = pendingFrees
        pendingFrees = [:]
        var run: Range<UInt64> = 0..<0
        for (cluster, times) in frees.sorted(by: { $0.key < $1.key }) {
            try refcounts.add(cluster, -times)
            guard passesDiscards, try refcounts.count(cluster) == 0 else { continue }
            if run.upperBound == cluster, !run.isEmpty {
                run = run.lowerBound..<cluster + 1
            } else {
                try discardHost(run)
                run = cluster..<cluster + 1
            }
        }
        try discardHost(run)
        if !isLazy { try refcounts.writeBack() }
    }

    private func discardHost(_ clusters: Range<UInt64>) throws(HostError) {
        guard !clusters.isEmpty else { return }
        try file.discard(at: clusters.lowerBound << UInt64(header.clusterBits), length: UInt64(clusters.count) << UInt64(header.clusterBits))
    }

    /// The guest's flush.
    func flush() throws(HostError) {
        if let failure { throw failure }
        if map.isDirty || !pendingFrees.isEmpty || (refcounts.isDirty && !isLazy) {
            try commit()
        } else {
            do throws(HostError) { try file.flush() } catch {
                // The host may have dropped data: no later flush may claim success.
                failure = error
                throw error
            }
        }
    }

    /// Leaves the file as after a proper end.
    func finish() throws(HostError) {
        try flush()
        guard header.incompatible & Qcow2Header.Incompatible.dirty != 0 else {
            // Counts that freeing has lowered since.
            try refcounts.writeBack()
            return
        }
        try refcounts.writeBack()
        try file.flush()
        try setIncompatible(header.incompatible & ~Qcow2Header.Incompatible.dirty)
        try file.flush()
        isPrepared = false
    }

    /// Before the first change since the image was opened.
    func prepareToWrite() throws(HostError) {
        if let failure { throw failure }
        guard !isPrepared else { return }
        if isReadOnly { throw HostError("\(file.name) is open read-only", EROFS) }
        if header.version >= 3, header.autoclear != 0 {
            // What these bits promise (that dirty bitmaps are up to date) is not kept up here.
            header.autoclear = 0
            try file.write(at: Qcow2Header.Offset.autoclear, bytes: [UInt8](repeating: 0, count: 8))
        }
        if isLazy {
            try setIncompatible(header.incompatible | Qcow2Header.Incompatible.dirty)
            try file.flush()
        }
        isPrepared = true
    }

    func setIncompatible(_ bits: UInt64) throws(HostError) {
        var bytes: [UInt8] = []
        bytes.appendBigEndian(bits)
        try file.write(at: Qcow2Header.Offset.incompatible, bytes: bytes)
        header.incompatible = bits
    }

    /// Notes damage found on the way: nothing is written to the image any more, and the file says so itself.
    /// - Returns: the error for whoever asked.
    func markCorrupt(_ cause: HostError) -> HostError {
        let error = HostError("\(cause.action): the image is damaged; 'emulate disk check -r all' may mend it", EIO)
        guard !isReadOnly, failure == nil else { return error }
        Log.write(.guestErrors, error.action)
        failure = error
        if header.version >= 3 { try? setIncompatible(header.incompatible | Qcow2Header.Incompatible.corrupt) }
        return error
    }

    // MARK: Metadata clusters

    /// Takes note of clusters that become metadata.
    /// - Throws: when one of them is metadata already, so that counts are wrong.
    func claim(_ clusters: Range<UInt64>) throws(HostError) {
        for cluster in clusters {
            guard metadata.insert(cluster).inserted else {
                throw markCorrupt(HostError("\(file.name): cluster \(cluster) holds metadata and has no reference count", EINVAL))
            }
        }
    }

    /// Gathers every cluster that a write of guest data must not touch. An image whose tables lie on each other is only read.
    func collectMetadata() throws(HostError) {
        metadata = [0]
        let bits = UInt64(header.clusterBits)
        var overlaps = false
        func insert(_ offset: UInt64, _ bytes: UInt64) {
            guard bytes > 0 else { return }
            for cluster in offset >> bits...(offset &+ (bytes - 1)) >> bits where !metadata.insert(cluster).inserted { overlaps = true }
        }
        insert(header.l1Offset, UInt64(header.l1Size) * 8)
        insert(header.refcountTableOffset, UInt64(header.refcountTableClusters) * clusterSize)
        insert(header.snapshotsOffset, UInt64(snapshotBytes))
        for snapshot in snapshots { insert(snapshot.l1Offset, UInt64(snapshot.l1Size) * 8) }
        for offset in refcounts.table where offset != 0 { insert(offset, 1) }
        for entry in map.l1 where entry & Qcow2Entry.offsetMask != 0 && entry & Qcow2Entry.copied != 0 { insert(entry & Qcow2Entry.offsetMask, 1) }
        if overlaps { failure = HostError("\(file.name): its tables lie on each other, so it is only read; 'emulate disk check -r all' may mend it", EIO) }
    }

    func switchRefcountTable(_ offset: UInt64, _ clusters: Int) throws(HostError) {
        var bytes: [UInt8] = []
        bytes.appendBigEndian(offset)
        bytes.appendBigEndian(UInt32(clusters))
        try file.write(at: Qcow2Header.Offset.refcountTable, bytes: bytes)
        header.refcountTableOffset = offset
        header.refcountTableClusters = clusters
    }

    // MARK: Clusters

    /// Clusters for metadata, `count` in a row with a reference each; the offset of the first.
    func allocateMetadata(_ count: UInt64) throws(HostError) -> UInt64 {
        let first = try guarded { () throws(HostError) in try refcounts.allocate(count) }
        try claim(first..<first + count)
        return first << UInt64(header.clusterBits)
    }

    /// Clusters for data, at most `count` and at least one, in a row.
    func allocateData(upTo count: UInt64) throws(HostError) -> Range<UInt64> {
        let clusters = try guarded { () throws(HostError) in try refcounts.allocate(upTo: count) }
        for cluster in clusters where metadata.contains(cluster) {
            throw markCorrupt(HostError("\(file.name): cluster \(cluster) holds metadata and has no reference count", EINVAL))
        }
        return clusters
    }

    /// An allocation that fails half-way leaves counts in memory that must not reach the file.
    private func guarded<T>(_ body: () throws(HostError) -> T) throws(HostError) -> T {
        do { return try body() } catch {
            failure = failure ?? error
            throw error
        }
    }

    /// Gives clusters back that nothing refers to and never did.
    func release(_ clusters: Range<UInt64>) {
        for cluster in clusters { try? refcounts.add(cluster, -1) }
    }

    /// One reference less to what an entry maps, once the file no longer has it.
    func free(_ mapping: Qcow2Entry.Mapping) {
        switch mapping {
        case .none: break
        case .host(let offset): pendingFrees[offset >> UInt64(header.clusterBits), default: 0] += 1
        case .compressed(let offset, let length):
            let bits = UInt64(header.clusterBits)
            // The cluster may become somebody else's.
            compressedTail = nil
            for cluster in offset >> bits...(offset + length - 1) >> bits { pendingFrees[cluster, default: 0] += 1 }
        }
    }

    /// The table for changing what is under it: the only reference to it, made if there is none.
    func writableTable(_ index: Int) throws(HostError) -> Qcow2Map.Table {
        guard map.l1.indices.contains(index) else { throw HostError("\(file.name): no L1 entry \(index)", EINVAL) }
        let old: Qcow2Map.Table?
        do throws(HostError) { old = try map.table(index) } catch { throw error.code == EINVAL ? markCorrupt(error) : error }
        if let old, map.l1[index] & Qcow2Entry.copied != 0 { return old }
        let offset = try allocateMetadata(1)
        let table = map.install(at: offset, index: index, copying: old)
        if let old {
            metadata.remove(old.offset >> UInt64(header.clusterBits))
            free(.host(old.offset))
        }
        return table
    }
}
