import CZlib
import CZstd
import EmuBus
import Glibc

/// Compressed clusters: raw deflate streams or zstd frames of one cluster each, at any byte of the file.
extension Qcow2Image {
    /// The contents of the compressed cluster at `offset` of the file.
    func inflate(_ offset: UInt64, _ length: UInt64) throws(HostError) -> TransferBuffer {
        if let inflated, inflated.offset == offset { return inflated.data }
        // `length` is at most what the entry's bits allow: little more than a cluster.
        let packed = TransferBuffer(Int(length))
        try file.read(at: offset, into: [packed.part(0..<Int(length))])
        let plain = TransferBuffer(Int(clusterSize))
        guard Self.inflate(packed.memory, into: plain.memory, header.compression) else {
            throw HostError("\(file.name): the compressed cluster at byte \(offset) of the file cannot be decompressed", EIO)
        }
        inflated = (offset, plain)
        return plain
    }

    /// True when `packed` begins with a stream that fills `plain` exactly.
    private static func inflate(
        _ packed: UnsafeMutableRawBufferPointer, into plain: UnsafeMutableRawBufferPointer, _ kind: Qcow2Header.Compression
    ) -> Bool {
        switch kind {
        case .zlib:
            var stream = z_stream()
            guard inflateInit2_(&stream, -12, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else { return false }
            defer { inflateEnd(&stream) }
            // SAFETY: both buffers outlive the calls; zlib keeps to the lengths given.
            stream.next_in = packed.baseAddress?.assumingMemoryBound(to: UInt8.self)
            stream.avail_in = UInt32(packed.count)
            stream.next_out = plain.baseAddress?.assumingMemoryBound(to: UInt8.self)
            stream.avail_out = UInt32(plain.count)
            let result = CZlib.inflate(&stream, Z_FINISH)
            // What follows the stream in its last sector is not its own.
            return stream.avail_out == 0 && (result == Z_STREAM_END || result == Z_BUF_ERROR || result == Z_OK)
        case .zstd:
            guard let context = ZSTD_createDStream() else { return false }
            defer { ZSTD_freeDStream(context) }
            var input = ZSTD_inBuffer(src: packed.baseAddress, size: packed.count, pos: 0)
            var output = ZSTD_outBuffer(dst: plain.baseAddress, size: plain.count, pos: 0)
            while output.pos < output.size {
                let before = (input.pos, output.pos)
                let result = ZSTD_decompressStream(context, &output, &input)
                if ZSTD_isError(result) != 0 { return false }
                if (input.pos, output.pos) == before { return false }
            }
            return true
        }
    }

    /// Packs one cluster; nil when that would not save a sector.
    static func deflate(_ plain: UnsafeMutableRawBufferPointer, _ kind: Qcow2Header.Compression) -> [UInt8]? {
        let limit = plain.count - 512
        guard limit > 0 else { return nil }
        var packed = [UInt8](repeating: 0, count: limit)
        let count: Int? = packed.withUnsafeMutableBytes { target in
            switch kind {
            case .zlib:
                var stream = z_stream()
                let settings = deflateInit2_(
                    &stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -12, 9, Z_DEFAULT_STRATEGY, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
                guard settings == Z_OK else { return nil }
                defer { deflateEnd(&stream) }
                stream.next_in = plain.baseAddress?.assumingMemoryBound(to: UInt8.self)
                stream.avail_in = UInt32(plain.count)
                stream.next_out = target.baseAddress?.assumingMemoryBound(to: UInt8.self)
                stream.avail_out = UInt32(target.count)
                return CZlib.deflate(&stream, Z_FINISH) == Z_STREAM_END ? target.count - Int(stream.avail_out) : nil
            case .zstd:
                let result = ZSTD_compress(target.baseAddress, target.count, plain.baseAddress, plain.count, 3)
                return ZSTD_isError(result) == 0 ? result : nil
            }
        }
        guard let count else { return nil }
        packed.removeLast(packed.count - count)
        return packed
    }

    /// Writes one whole cluster compressed. `plain` is a cluster long; what lies behind the end of the disk is zeroes.
    /// - Returns: false when it does not get smaller, and nothing was written.
    package func writeCompressed(_ offset: UInt64, _ plain: UnsafeMutableRawBufferPointer) throws(HostError) -> Bool {
        precondition(offset % clusterSize == 0 && plain.count == Int(clusterSize))
        guard let packed = Self.deflate(plain, header.compression) else { return false }
        return try writePacked(offset, packed)
    }

    private func writePacked(_ offset: UInt64, _ packed: [UInt8]) throws(HostError) -> Bool {
        try prepareToWrite()
        let table = try writableTable(Int(offset / header.l2Coverage))
        let index = Int((offset % header.l2Coverage) >> UInt64(header.clusterBits))
        let old = try map.entry(table, index)
        let host = try placePacked(UInt64(packed.count))
        try file.write(at: host, bytes: packed)
        map.set(table, index, Qcow2Entry(mapping: .compressed(offset: host, length: UInt64(packed.count)), isCopied: false, allocated: 0, zero: 0))
        free(old.mapping)
        return true
    }

    /// A place for compressed data: behind the data placed last, with a reference to each cluster it touches.
    private func placePacked(_ length: UInt64) throws(HostError) -> UInt64 {
        let bits = UInt64(header.clusterBits)
        if let tail = compressedTail {
            // A reference more to the cluster that is shared; none if its count cannot hold it.
            let cluster = tail.lowerBound >> bits
            if UInt64(tail.count) >= length, (try? refcounts.add(cluster, 1)) != nil {
                compressedTail = tail.lowerBound + length == tail.upperBound ? nil : tail.lowerBound + length..<tail.upperBound
                return tail.lowerBound
            }
        }
        let cluster = try allocateData(upTo: 1).lowerBound
        let start = cluster << bits
        compressedTail = start + length..<start + clusterSize
        return start
    }
}
