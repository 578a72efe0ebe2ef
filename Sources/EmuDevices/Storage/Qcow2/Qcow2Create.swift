import EmuBus
import Glibc

/// Making new images and changing the size of old ones.
extension Qcow2Image {
    package enum Preallocation: String, CaseIterable, Sendable {
        case off
        /// Every cluster has its place in the file, which has holes there.
        case metadata
        /// The file's space is reserved as well.
        case falloc
        /// The file's space is written with zeroes.
        case full
    }

    /// What a new image is like; the names of `-o` are QEMU's.
    package struct Settings: Sendable {
        package var size: UInt64
        package var version: UInt32 = 3
        package var clusterSize: UInt64 = 65536
        package var refcountBits: UInt64 = 16
        package var lazyRefcounts = false
        package var extendedL2 = false
        package var compression = Qcow2Header.Compression.zlib
        package var backingFile: String?
        package var backingFormat: String?
        package var preallocation = Preallocation.off

        package init(size: UInt64) { self.size = size }
    }

    /// Writes an empty image into `file`, which is empty itself.
    /// - Throws: `DiskError` naming the setting that is wrong.
    package static func create(_ file: any ImageFile, _ settings: Settings) throws(DiskError) {
        var header = try header(settings)
        let bits = UInt64(header.clusterBits)
        let l1Clusters = max(1, (UInt64(header.l1Size) * 8 + header.clusterSize - 1) >> bits)
        let perBlock = (header.clusterSize * 8) >> UInt64(header.refcountOrder)
        var blocks: UInt64 = 1
        // Header, refcount table, refcount blocks, L1 table.
        while 2 + blocks + l1Clusters > blocks * perBlock { blocks += 1 }
        guard blocks * 8 <= header.clusterSize else {
            throw DiskError("cluster_size=\(header.clusterSize) with refcount_bits=\(settings.refcountBits) is too small for a disk of this size; use larger clusters")
        }
        header.refcountTableOffset = header.clusterSize
        header.refcountTableClusters = 1
        header.l1Offset = (2 + blocks) << bits
        let total = 2 + blocks + l1Clusters
        do throws(HostError) {
            try file.truncate(to: 0)
            try file.truncate(to: total << bits)
            var table: [UInt8] = []
            for block in 0..<blocks {
                let offset = (2 + block) << bits
                table.appendBigEndian(offset)
                var counts = [UInt8](repeating: 0, count: Int(header.clusterSize))
                for cluster in block * perBlock..<min(total, (block + 1) * perBlock) {
                    RefcountBits.store(&counts, Int(cluster - block * perBlock), 1, order: header.refcountOrder)
                }
                try file.write(at: offset, bytes: counts)
            }
            try file.write(at: header.refcountTableOffset, bytes: table)
            // The header last: until then this is no image.
            do throws(Qcow2Header.Problem) {
                let encoded = try header.encoded()
                do throws(HostError) { try file.write(at: 0, bytes: encoded) } catch { throw Qcow2Header.Problem(text: "\(error)") }
            } catch { throw HostError("\(file.name): \(error.text)", EINVAL) }
            try file.flush()
        } catch { throw DiskError(error.code == EINVAL ? error.action : "\(error)") }
        guard settings.preallocation != .off else { return }
        let image = try Qcow2Image(file, path: file.name, isReadOnly: false)
        do throws(HostError) {
            try image.preallocate(0..<settings.size, settings.preallocation)
            try image.close()
        } catch { throw DiskError("\(error)") }
    }

    private static func header(_ settings: Settings) throws(DiskError) -> Qcow2Header {
        var header = Qcow2Header()
        header.version = settings.version
        guard settings.clusterSize.nonzeroBitCount == 1, Qcow2Header.clusterBitsRange.contains(settings.clusterSize.trailingZeroBitCount) else {
            throw DiskError("cluster_size=\(settings.clusterSize): it must be a power of two from 512 to 2M")
        }
        header.clusterBits = settings.clusterSize.trailingZeroBitCount
        guard settings.refcountBits.nonzeroBitCount == 1, settings.refcountBits <= 64 else {
            throw DiskError("refcount_bits=\(settings.refcountBits): it must be a power of two from 1 to 64")
        }
        header.refcountOrder = settings.refcountBits.trailingZeroBitCount
        if settings.version == 2 {
            for (isUsed, name) in [
                (settings.lazyRefcounts, "lazy_refcounts=on"), (settings.extendedL2, "extended_l2=on"), (settings.compression != .zlib, "compression_type=zstd"),
                (settings.refcountBits != 16, "refcount_bits=\(settings.refcountBits)"),
            ] where isUsed { throw DiskError("\(name) needs compat=1.1") }
        }
        if settings.extendedL2 {
            guard header.clusterBits >= 14 else { throw DiskError("extended_l2=on needs cluster_size=16k or more") }
            header.incompatible |= Qcow2Header.Incompatible.extendedL2
        }
        if settings.compression != .zlib { header.incompatible |= Qcow2Header.Incompatible.compressionType }
        header.compression = settings.compression
        if settings.lazyRefcounts { header.compatible |= Qcow2Header.Compatible.lazyRefcounts }
        guard settings.backingFile == nil || settings.preallocation == .off else {
            throw DiskError("preallocation=\(settings.preallocation.rawValue) would hide the backing file; leave one of them out")
        }
        header.backingFile = settings.backingFile
        header.backingFormat = settings.backingFormat
        header.size = settings.size
        let entries = settings.size <= 1 << 62 ? header.l1Entries(for: settings.size) : .max
        guard settings.size >= 512, settings.size % 512 == 0, entries <= UInt64(Qcow2Header.maxL1Bytes / 8) else {
            throw DiskError("a disk of \(settings.size) bytes is not possible with clusters of \(settings.clusterSize) bytes; use a multiple of 512, and larger clusters for larger disks")
        }
        header.l1Size = Int(entries)
        return header
    }

    /// Gives every cluster of a range its place.
    private func preallocate(_ range: Range<UInt64>, _ mode: Preallocation) throws(HostError) {
        try prepareToWrite()
        var position = range.lowerBound / clusterSize * clusterSize
        while position < range.upperBound {
            let table = try writableTable(Int(position / header.l2Coverage))
            let stop = min((range.upperBound + clusterSize - 1) / clusterSize * clusterSize, (position / header.l2Coverage + 1) * header.l2Coverage)
            let clusters = try allocateData(upTo: (stop - position) / clusterSize)
            let host = clusters.lowerBound << UInt64(header.clusterBits), length = UInt64(clusters.count) * clusterSize
            switch mode {
            case .off, .metadata: if try file.length() < host + length { try file.truncate(to: host + length) }
            case .falloc: try file.reserve(at: host, length: length)
            case .full: try file.writeZeroes(at: host, length: length, mayUnmap: false)
            }
            for number in 0..<UInt64(clusters.count) {
                let entry = Qcow2Entry(mapping: .host(host + number * clusterSize), isCopied: true, allocated: header.hasExtendedL2 ? .max : 1, zero: 0)
                map.set(table, Int(((position + number * clusterSize) % header.l2Coverage) >> UInt64(header.clusterBits)), entry)
            }
            position += length
        }
    }

    /// Changes the size of the disk. What is cut off is gone; what is added reads as zeroes.
    package func resize(to newSize: UInt64, preallocation: Preallocation = .off) throws(DiskError) {
        guard newSize >= 512, newSize % 512 == 0, newSize <= 1 << 62, header.l1Entries(for: newSize) <= UInt64(Qcow2Header.maxL1Bytes / 8) else {
            throw DiskError("disk '\(path)': a size of \(newSize) bytes is not possible; use a multiple of 512, and larger clusters for larger disks")
        }
        guard snapshots.isEmpty || (header.version >= 3 && newSize > header.size) else {
            throw DiskError("disk '\(path)' has snapshots, which keep it from being made smaller; delete them first with 'emulate disk snapshot -d'")
        }
        try exclusively { () throws(DiskError) in
            do throws(HostError) {
                try prepareToWrite()
                let oldSize = header.size
                if newSize < oldSize {
                    try writeZeroes(newSize, oldSize - newSize, mayUnmap: true)
                    try commit()
                }
                try setSize(newSize)
                if newSize > oldSize, let backing, backing.size > oldSize {
                    try writeZeroes(oldSize, min(newSize, backing.size) - oldSize, mayUnmap: true)
                }
                if preallocation != .off, newSize > oldSize {
                    try preallocate((oldSize + clusterSize - 1) / clusterSize * clusterSize..<newSize, preallocation)
                }
                try flush()
            } catch {
                failure = failure ?? error
                throw DiskError("\(error)")
            }
        }
    }

    private func setSize(_ newSize: UInt64) throws(HostError) {
        let needed = Int(header.l1Entries(for: newSize))
        var entries = map.l1
        var offset = map.l1Offset
        let old = (offset: offset, clusters: (UInt64(entries.count) * 8 + clusterSize - 1) / clusterSize)
        if needed > entries.count {
            try commit()
            entries = map.l1 + [UInt64](repeating: 0, count: needed - entries.count)
            offset = try writeL1(entries)
            try refcounts.writeBack()
            try file.flush()
        }
        try writeGeometry(size: newSize, l1: entries, at: offset)
        guard offset != old.offset else { return }
        let first = old.offset >> UInt64(header.clusterBits)
        for cluster in first..<first + old.clusters {
            metadata.remove(cluster)
            try refcounts.add(cluster, -1)
        }
        try refcounts.writeBack()
    }

    /// Points the header at a size and an L1 table: fields that lie in one sector.
    func writeGeometry(size: UInt64, l1 entries: [UInt64], at offset: UInt64) throws(HostError) {
        var fields: [UInt8] = []
        fields.appendBigEndian(size)
        fields.appendBigEndian(UInt32(0))  // no encryption
        fields.appendBigEndian(UInt32(entries.count))
        fields.appendBigEndian(offset)
        try file.write(at: Qcow2Header.Offset.size, bytes: fields)
        try file.flush()
        header.size = size
        header.l1Size = entries.count
        header.l1Offset = offset
        map.replaceL1(entries, at: offset)
    }
}
