import EmuBus
import Foundation

/// A disk in a qcow2 image, versions 2 and 3 (docs/interop/qcow2 of QEMU; docs/storage.md here).
///
/// One operation at a time: whoever calls waits for the one in hand. Metadata that operations change stays in memory until a flush, the
/// end, or until there is a lot of it; see `commit` for the order in which it reaches the file.
public final class Qcow2Image: DiskImage {
    public let isReadOnly: Bool
    package let path: String
    package let format = DiskFormat.qcow2
    package let allowsConcurrency = false
    package let backing: (any DiskImage)?
    package let file: any ImageFile
    package internal(set) var header: Qcow2Header
    let passesDiscards: Bool
    let lazyRefcounts: Bool?
    var map: Qcow2Map
    var refcounts: Qcow2Refcounts!
    package internal(set) var snapshots: [Qcow2Snapshot] = []
    /// Bytes of the snapshot table in the file.
    var snapshotBytes = 0
    /// Numbers of host clusters that hold metadata and must not be written as data; only known while writable.
    var metadata: Set<UInt64> = []
    /// Host clusters that nothing in memory refers to any more but the file still may, and how often.
    var pendingFrees: [UInt64: Int] = [:]
    /// Why nothing is written any more.
    var failure: HostError?
    var isPrepared = false
    private let lock = NSLock()
    /// The compressed cluster read last.
    var inflated: (offset: UInt64, data: TransferBuffer)?
    /// Where the next piece of compressed data goes: the free rest of a host cluster.
    var compressedTail: Range<UInt64>?

    public var size: UInt64 { header.size / 512 * 512 }
    var clusterSize: UInt64 { header.clusterSize }
    var isLazy: Bool { header.version >= 3 && (lazyRefcounts ?? (header.compatible & Qcow2Header.Compatible.lazyRefcounts != 0)) }

    /// - Parameters:
    ///   - backing: what unallocated clusters show; nil for zeroes.
    ///   - passesDiscards: give discarded clusters' space back to the host.
    /// - Throws: `DiskError` naming the file and what is wrong with it.
    package init(
        _ file: any ImageFile, path: String, isReadOnly: Bool, backing: (any DiskImage)? = nil, passesDiscards: Bool = false,
        lazyRefcounts: Bool? = nil
    ) throws(DiskError) {
        self.file = file
        self.path = path
        self.isReadOnly = isReadOnly
        self.backing = backing
        self.passesDiscards = passesDiscards
        self.lazyRefcounts = lazyRefcounts
        header = try Qcow2Header(file)
        guard header.size >= 512 else { throw DiskError("disk '\(path)' is empty; give it a size with 'emulate disk resize \(path) 4G'") }
        if !isReadOnly {
            guard header.incompatible & Qcow2Header.Incompatible.corrupt == 0 else {
                throw DiskError("disk '\(path)' is marked as damaged and can only be read; mend it with 'emulate disk check -r all \(path)' (after a copy)")
            }
            if header.incompatible & Qcow2Header.Incompatible.dirty != 0 {
                var check = try Qcow2Check(file)
                _ = try check.repair(.all)
                header = try Qcow2Header(file)
            }
        }
        do throws(HostError) {
            map = try Qcow2Map(file, header)
        } catch { throw DiskError("\(error)") }
        try load()
    }

    /// Reads what else is kept in memory.
    private func load() throws(DiskError) {
        do throws(HostError) {
            (snapshots, snapshotBytes) = try Qcow2Snapshot.read(file, header)
            refcounts = try Qcow2Refcounts(
                file, header, claim: { [unowned self] clusters throws(HostError) in try claim(clusters) },
                release: { [unowned self] in metadata.subtract($0) },
                switchTable: { [unowned self] offset, clusters throws(HostError) in try switchRefcountTable(offset, clusters) })
            if !isReadOnly { try collectMetadata() }
        } catch { throw DiskError("\(error)") }
    }

    package func reload() throws(DiskError) {
        lock.lock()
        defer { lock.unlock() }
        header = try Qcow2Header(file)
        inflated = nil
        do throws(HostError) { map = try Qcow2Map(file, header) } catch { throw DiskError("\(error)") }
        try load()
    }

    package func writable(through file: any ImageFile) throws(DiskError) -> any DiskImage {
        try Qcow2Image(file, path: path, isReadOnly: false, backing: backing, passesDiscards: passesDiscards, lazyRefcounts: lazyRefcounts)
    }

    public func perform(_ operation: BlockOperation) throws(HostError) {
        lock.lock()
        defer { lock.unlock() }
        switch operation {
        case .read(let offset, let buffers): try read(offset, buffers)
        case .write(let offset, let buffers): try write(offset, buffers)
        case .writeZeroes(let offset, let length, let mayUnmap): try writeZeroes(offset, length, mayUnmap: mayUnmap)
        case .discard(let offset, let length): try discard(offset, length)
        case .flush:
            if !isReadOnly { try flush() }
            return
        }
        if map.wantsCommit || pendingFrees.count > 8192 { try commit() }
    }

    package func extent(at offset: UInt64, limit: UInt64) throws(HostError) -> DiskExtent {
        lock.lock()
        defer { lock.unlock() }
        var run = try run(at: offset, limit: limit)
        // The tables end where they are allocated; what follows is the same all the way.
        while run.kind == .unallocated, run.length < limit {
            let next = try self.run(at: offset + run.length, limit: limit - run.length)
            guard next.kind == .unallocated else { break }
            run.length += next.length
        }
        switch run.kind {
        case .unallocated: return DiskExtent(kind: .unallocated, length: run.length)
        case .zero(let host): return DiskExtent(kind: .zero, length: run.length, fileOffset: host)
        case .data(let host): return DiskExtent(kind: .data, length: run.length, fileOffset: host)
        case .compressed: return DiskExtent(kind: .compressed, length: run.length)
        }
    }

    package func close() throws(HostError) {
        lock.lock()
        defer { lock.unlock() }
        if !isReadOnly { try finish() }
    }

    /// Lets a tool work on the image with nothing else going on.
    func exclusively<T>(_ body: () throws(DiskError) -> T) throws(DiskError) -> T {
        lock.lock()
        defer { lock.unlock() }
        return try body()
    }

    // MARK: Lookup

    /// A run of guest bytes that one rule tells where to find.
    struct Run {
        enum Kind: Equatable {
            case unallocated
            /// With the place of a host cluster kept for it.
            case zero(UInt64?)
            /// Offset in the file.
            case data(UInt64)
            /// `offset` and `length` as in `Qcow2Entry`; the run is the rest of the one cluster.
            case compressed(offset: UInt64, length: UInt64)
        }

        var kind: Kind
        var length: UInt64

        /// True when `next` follows this in the file as it does on the disk.
        func continues(into next: Kind) -> Bool {
            switch (kind, next) {
            case (.unallocated, .unallocated), (.zero(nil), .zero(nil)): true
            case (.zero(let host?), .zero(let other?)), (.data(let host), .data(let other)): host + length == other
            default: false
            }
        }
    }

    /// What the guest's bytes from `offset` on are, at most to the end of an L2 table's range.
    func run(at offset: UInt64, limit: UInt64) throws(HostError) -> Run {
        let coverage = header.l2Coverage
        let end = min(limit, coverage - offset % coverage)
        do throws(HostError) {
            guard let table = try map.table(Int(offset / coverage)) else { return Run(kind: .unallocated, length: end) }
            var result: Run?
            var done: UInt64 = 0
            while done < end {
                let position = offset + done
                let entry = try map.entry(table, Int((position % coverage) >> UInt64(header.clusterBits)))
                var piece = piece(entry, at: position % clusterSize)
                piece.length = min(piece.length, end - done)
                if result == nil {
                    result = piece
                } else if result!.continues(into: piece.kind) {
                    result!.length += piece.length
                } else {
                    break
                }
                done += piece.length
            }
            return result ?? Run(kind: .unallocated, length: end)
        } catch {
            throw error.code == EINVAL ? markCorrupt(error) : error
        }
    }

    var subclusterSize: UInt64 { header.hasExtendedL2 ? clusterSize / 32 : clusterSize }
    var subclusters: Int { header.hasExtendedL2 ? 32 : 1 }

    /// What follows byte `within` of a cluster, at most to the cluster's end.
    private func piece(_ entry: Qcow2Entry, at within: UInt64) -> Run {
        if case .compressed(let offset, let length) = entry.mapping {
            return Run(kind: .compressed(offset: offset, length: length), length: clusterSize - within)
        }
        let first = UInt32(within / subclusterSize)
        func state(_ index: UInt32) -> (Bool, Bool) { (entry.allocated >> index & 1 != 0, entry.zero >> index & 1 != 0) }
        var last = first
        while last + 1 < UInt32(subclusters), state(last + 1) == state(first) { last += 1 }
        let length = UInt64(last + 1) * subclusterSize - within
        let (isAllocated, isZero) = state(first)
        var host: UInt64?
        if case .host(let offset) = entry.mapping { host = offset + within }
        if isZero { return Run(kind: .zero(host), length: length) }
        if isAllocated, let host { return Run(kind: .data(host), length: length) }
        return Run(kind: .unallocated, length: length)
    }

    // MARK: Reading

    func read(_ offset: UInt64, _ buffers: [UnsafeMutableRawBufferPointer]) throws(HostError) {
        var cursor = BufferCursor(buffers)
        var position = offset
        let end = offset + BufferCursor.length(buffers)
        while position < end {
            let run = try run(at: position, limit: end - position)
            let target = cursor.take(run.length)
            switch run.kind {
            case .unallocated: try readBacking(position, target, run.length)
            case .zero: target.fillWithZeroes()
            case .data(let host): try file.read(at: host, into: target)
            case .compressed(let host, let length):
                let data = try inflate(host, length)
                let within = Int(position % clusterSize)
                target.fill(from: UnsafeRawBufferPointer(data.part(within..<within + Int(run.length))))
            }
            position += run.length
        }
    }

    private func readBacking(_ offset: UInt64, _ buffers: [UnsafeMutableRawBufferPointer], _ length: UInt64) throws(HostError) {
        guard let backing, offset < backing.size else { return buffers.fillWithZeroes() }
        var cursor = BufferCursor(buffers)
        let there = min(length, backing.size - offset)
        try backing.perform(.read(offset: offset, into: cursor.take(there)))
        cursor.take(length - there).fillWithZeroes()
    }

    /// True when the range would read as zeroes if it were not allocated.
    func isZeroBelow(_ offset: UInt64) -> Bool { backing.map { offset >= $0.size } ?? true }
}
