import EmuBus
import Glibc

/// Changing what the guest sees.
extension Qcow2Image {
    /// A piece of the guest's bytes within one cluster.
    private struct Piece {
        let index: Int
        /// Bytes of the cluster.
        let range: Range<UInt64>
    }

    func write(_ offset: UInt64, _ buffers: [UnsafeMutableRawBufferPointer]) throws(HostError) {
        try prepareToWrite()
        var cursor = BufferCursor(buffers)
        var position = offset
        let end = offset + BufferCursor.length(buffers)
        while position < end { position += try writeRun(position, end, &cursor) }
    }

    /// Writes as much as goes in one piece; returns how much that was.
    private func writeRun(_ position: UInt64, _ end: UInt64, _ cursor: inout BufferCursor) throws(HostError) -> UInt64 {
        let coverage = header.l2Coverage
        let table = try writableTable(Int(position / coverage))
        let stop = min(end, (position / coverage + 1) * coverage)
        let first = piece(at: position, stop)
        let entry = try checkedEntry(table, first.index)
        if let host = inPlaceHost(entry, first.range) {
            // Clusters that follow here as in the file take part.
            var length = UInt64(first.range.count)
            while position + length < stop {
                let next = piece(at: position + length, stop)
                guard inPlaceHost(try checkedEntry(table, next.index), next.range) == host + length else { break }
                length += UInt64(next.range.count)
            }
            try checkIsData(host, length)
            try file.write(at: host, from: cursor.take(length))
            return length
        }
        if case .host(let host) = entry.mapping, entry.isCopied {
            try checkIsData(host, clusterSize)
            try fill(first, of: table, entry, at: host, position, &cursor)
            return UInt64(first.range.count)
        }
        return try writeNew(position, stop, table, &cursor)
    }

    private func piece(at position: UInt64, _ stop: UInt64) -> Piece {
        let within = position % clusterSize
        return Piece(index: Int((position % header.l2Coverage) >> UInt64(header.clusterBits)), range: within..<min(clusterSize, within + (stop - position)))
    }

    private func checkedEntry(_ table: Qcow2Map.Table, _ index: Int) throws(HostError) -> Qcow2Entry {
        do throws(HostError) { return try map.entry(table, index) } catch { throw error.code == EINVAL ? markCorrupt(error) : error }
    }

    /// A damaged image may map guest data onto its own tables.
    private func checkIsData(_ host: UInt64, _ length: UInt64) throws(HostError) {
        let bits = UInt64(header.clusterBits)
        for cluster in host >> bits...(host + length - 1) >> bits where metadata.contains(cluster) {
            throw markCorrupt(HostError("\(file.name): guest data lies on metadata in cluster \(cluster)", EINVAL))
        }
    }

    /// Bits of the subclusters that `range` of a cluster touches.
    private func touched(_ range: Range<UInt64>) -> UInt32 {
        let first = range.lowerBound / subclusterSize, last = (range.upperBound - 1) / subclusterSize
        return UInt32(truncatingIfNeeded: ((UInt64(1) << (last - first + 1)) - 1) << first)
    }

    private var allSubclusters: UInt32 { header.hasExtendedL2 ? .max : 1 }

    /// Where `range` of a cluster can simply be overwritten; nil when it cannot.
    private func inPlaceHost(_ entry: Qcow2Entry, _ range: Range<UInt64>) -> UInt64? {
        guard case .host(let host) = entry.mapping, entry.isCopied else { return nil }
        let touched = touched(range)
        return entry.allocated & touched == touched ? host + range.lowerBound : nil
    }

    /// Writes to clusters that get new host clusters: none yet, shared with a snapshot, or compressed.
    private func writeNew(_ position: UInt64, _ stop: UInt64, _ table: Qcow2Map.Table, _ cursor: inout BufferCursor) throws(HostError) -> UInt64 {
        var pieces: [(piece: Piece, entry: Qcow2Entry)] = []
        var next = position
        while next < stop {
            let piece = piece(at: next, stop)
            let entry = try checkedEntry(table, piece.index)
            if case .host = entry.mapping, entry.isCopied { break }
            pieces.append((piece, entry))
            next += UInt64(piece.range.count)
        }
        let clusters = try allocateData(upTo: UInt64(pieces.count))
        pieces.removeLast(pieces.count - clusters.count)
        let host = clusters.lowerBound << UInt64(header.clusterBits)
        let length = pieces.reduce(0) { $0 + UInt64($1.piece.range.count) }
        do throws(HostError) {
            let start = position - pieces[0].piece.range.lowerBound
            var parts = [(host + pieces[0].piece.range.lowerBound, cursor.take(length))]
            var copies: [TransferBuffer] = []
            // Only the first and the last can be written in part.
            for number in Set([0, pieces.count - 1]) {
                let (piece, entry) = pieces[number]
                let clusterStart = UInt64(number) * clusterSize
                for range in copyRanges(entry, piece.range, keepsHost: false) {
                    let copy = TransferBuffer(range.count)
                    let buffer = copy.part(0..<range.count)
                    try read(start + clusterStart + range.lowerBound, [buffer])
                    copies.append(copy)
                    parts.append((host + clusterStart + range.lowerBound, [buffer]))
                }
            }
            try withExtendedLifetime(copies) { () throws(HostError) in try writeParts(parts) }
        } catch {
            release(clusters)
            throw error
        }
        for (number, (piece, old)) in pieces.enumerated() {
            let isCompressed = if case .compressed = old.mapping { true } else { false }
            let allocated = touched(piece.range) | (isCompressed ? allSubclusters : old.allocated)
            let new = Qcow2Entry(mapping: .host(host + UInt64(number) * clusterSize), isCopied: true, allocated: allocated, zero: old.zero & ~allocated)
            map.set(table, piece.index, new)
            free(old.mapping)
        }
        return length
    }

    /// Writes into a host cluster that is this one's already but does not hold all subclusters yet.
    private func fill(
        _ piece: Piece, of table: Qcow2Map.Table, _ entry: Qcow2Entry, at host: UInt64, _ position: UInt64, _ cursor: inout BufferCursor
    ) throws(HostError) {
        let start = position - piece.range.lowerBound
        var parts = [(host + piece.range.lowerBound, cursor.take(UInt64(piece.range.count)))]
        var copies: [TransferBuffer] = []
        for range in copyRanges(entry, piece.range, keepsHost: true) {
            let copy = TransferBuffer(range.count)
            let buffer = copy.part(0..<range.count)
            try read(start + range.lowerBound, [buffer])
            copies.append(copy)
            parts.append((host + range.lowerBound, [buffer]))
        }
        try withExtendedLifetime(copies) { () throws(HostError) in try writeParts(parts) }
        var new = entry
        new.allocated |= touched(piece.range)
        new.zero &= ~new.allocated
        map.set(table, piece.index, new)
    }

    /// What of a cluster's old contents has to come along when `range` of it is written.
    private func copyRanges(_ entry: Qcow2Entry, _ range: Range<UInt64>, keepsHost: Bool) -> [Range<UInt64>] {
        let isCompressed = if case .compressed = entry.mapping { true } else { false }
        let touched = touched(range)
        var ranges: [Range<UInt64>] = []
        func add(_ new: Range<UInt64>) {
            guard !new.isEmpty else { return }
            if let last = ranges.last, last.upperBound == new.lowerBound {
                ranges[ranges.count - 1] = last.lowerBound..<new.upperBound
            } else {
                ranges.append(new)
            }
        }
        for index in 0..<UInt32(subclusters) {
            let isThere = entry.allocated >> index & 1 != 0 || isCompressed
            guard keepsHost ? !isThere && touched >> index & 1 != 0 : isThere || touched >> index & 1 != 0 else { continue }
            let bytes = UInt64(index) * subclusterSize..<UInt64(index + 1) * subclusterSize
            if bytes.upperBound <= range.lowerBound || bytes.lowerBound >= range.upperBound {
                add(bytes)
            } else {
                add(bytes.lowerBound..<max(bytes.lowerBound, range.lowerBound))
                add(min(bytes.upperBound, range.upperBound)..<bytes.upperBound)
            }
        }
        return ranges
    }

    /// Writes pieces that follow each other in the file by one call.
    private func writeParts(_ parts: [(offset: UInt64, buffers: [UnsafeMutableRawBufferPointer])]) throws(HostError) {
        var pending: (offset: UInt64, buffers: [UnsafeMutableRawBufferPointer], end: UInt64)?
        for part in parts.sorted(by: { $0.offset < $1.offset }) {
            let length = BufferCursor.length(part.buffers)
            if let current = pending, current.end == part.offset {
                pending = (current.offset, current.buffers + part.buffers, current.end + length)
            } else {
                if let current = pending { try file.write(at: current.offset, from: current.buffers) }
                pending = (part.offset, part.buffers, part.offset + length)
            }
        }
        if let current = pending { try file.write(at: current.offset, from: current.buffers) }
    }

    // MARK: Zeroes and discards

    func writeZeroes(_ offset: UInt64, _ length: UInt64, mayUnmap: Bool) throws(HostError) {
        try prepareToWrite()
        try forEachUnit(offset, length) { position, count, isWhole throws(HostError) in
            if isWhole, header.version >= 3 || isZeroBelow(position) {
                try zeroSubclusters(position, count, mayUnmap: mayUnmap)
            } else if try !readsAsZero(position, count) {
                let zeroes = TransferBuffer(Int(count), zeroed: true)
                try write(position, [zeroes.part(0..<Int(count))])
            }
        }
    }

    func discard(_ offset: UInt64, _ length: UInt64) throws(HostError) {
        try prepareToWrite()
        try forEachUnit(offset, length) { position, count, isWhole throws(HostError) in
            // Version 2 has no other way to hide what the backing image has there.
            guard isWhole, header.version >= 3 || isZeroBelow(position) else { return }
            try zeroSubclusters(position, count, mayUnmap: true)
        }
    }

    /// Splits a range into what covers whole subclusters of one cluster, and the rest.
    private func forEachUnit(_ offset: UInt64, _ length: UInt64, _ body: (UInt64, UInt64, Bool) throws(HostError) -> Void) throws(HostError) {
        var position = offset
        let end = offset + length
        // The disk may end within a subcluster; nothing is behind it.
        func isEdge(_ at: UInt64) -> Bool { at % subclusterSize == 0 || at == size }
        while position < end {
            let clusterEnd = min((position / clusterSize + 1) * clusterSize, end)
            var stop = clusterEnd
            if !isEdge(position) {
                stop = min(clusterEnd, (position / subclusterSize + 1) * subclusterSize)
                try body(position, stop - position, false)
            } else {
                if !isEdge(clusterEnd) { stop = clusterEnd / subclusterSize * subclusterSize }
                if stop > position { try body(position, stop - position, true) } else { stop = clusterEnd; try body(position, stop - position, false) }
            }
            position = stop
        }
    }

    private func readsAsZero(_ offset: UInt64, _ length: UInt64) throws(HostError) -> Bool {
        var done: UInt64 = 0
        while done < length {
            let run = try run(at: offset + done, limit: length - done)
            switch run.kind {
            case .zero: break
            case .unallocated where isZeroBelow(offset + done): break
            default: return false
            }
            done += run.length
        }
        return true
    }

    /// Makes whole subclusters of one cluster read as zeroes without writing any.
    private func zeroSubclusters(_ position: UInt64, _ count: UInt64, mayUnmap: Bool) throws(HostError) {
        let index = Int(position / header.l2Coverage)
        // Nothing is there, and nothing shows through.
        if try readsAsZero(position, count) {
            if !mayUnmap { return }
            if try run(at: position, limit: count).kind == .unallocated { return }
        }
        let table = try writableTable(index)
        let piece = piece(at: position, position + count)
        let old = try checkedEntry(table, piece.index)
        let isWholeCluster = piece.range.lowerBound == 0 && (piece.range.upperBound == clusterSize || position + count == size)
        let touched = isWholeCluster ? allSubclusters : touched(piece.range)
        var new = old
        if case .compressed = old.mapping {
            guard isWholeCluster else {
                let zeroes = TransferBuffer(Int(count), zeroed: true)
                return try write(position, [zeroes.part(0..<Int(count))])
            }
            new = Qcow2Entry()
        }
        new.allocated &= ~touched
        // Without anything below, being unallocated says the same.
        let needsFlag = header.version >= 3 && !isZeroBelow(position / clusterSize * clusterSize)
        new.zero = needsFlag || (!mayUnmap && new.mapping != .none) ? new.zero | touched : new.zero & ~touched
        if case .host = old.mapping, new.allocated == 0, isWholeCluster, mayUnmap || !old.isCopied || header.version < 3 {
            new.mapping = .none
            new.isCopied = false
            new.zero = needsFlag ? allSubclusters : 0
        }
        // A plain entry with a host cluster and without the flag would be data.
        if !header.hasExtendedL2, new.mapping != .none { new.zero = 1 }
        guard new != old else { return }
        map.set(table, piece.index, new)
        if new.mapping == .none || new.mapping != old.mapping { free(old.mapping) }
    }
}
