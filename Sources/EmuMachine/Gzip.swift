import CZlib

/// Decompression of gzip files (RFC 1952) with a bound on what comes out.
enum Gzip {
    static func isGzip(_ start: [UInt8]) -> Bool { start.starts(with: [0x1f, 0x8b, 0x08]) }

    /// The contents of all members of a gzip file.
    /// - Parameter limit: most bytes to produce; more is an error, so that a small file cannot fill the host.
    /// - Parameter first: ends after this many bytes, without looking at the rest.
    static func decompress(_ source: any ByteSource, limit: UInt64, first: Int = .max) throws(ImageError) -> [UInt8] {
        var stream = z_stream()
        // 16 + 15: gzip framing, largest window.
        guard inflateInit2_(&stream, 16 + MAX_WBITS, zlibVersion(), Int32(MemoryLayout<z_stream>.size)) == Z_OK else {
            throw ImageError("zlib cannot be initialised")
        }
        defer { inflateEnd(&stream) }
        var output: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 256 << 10)
        var offset: UInt64 = 0
        var code = Z_OK
        while offset < source.count {
            var input = try source.bytes(at: offset, Int(min(64 << 10, source.count - offset)))
            offset += UInt64(input.count)
            var taken = 0
            while taken < input.count {
                if code == Z_STREAM_END {
                    // Another member may follow; anything else after the end is padding.
                    guard input[taken] == 0x1f else { return output }
                    inflateReset(&stream)
                }
                let (used, made, result) = step(&stream, &input, taken, &chunk)
                code = result
                taken += used
                guard UInt64(output.count + made) <= limit else {
                    throw ImageError("it decompresses to more than \(limit >> 20) MiB, which is more than the guest's memory")
                }
                output += chunk[..<made]
                if output.count >= first { return Array(output[..<first]) }
                guard code == Z_OK || code == Z_STREAM_END, used > 0 || made > 0 else {
                    throw ImageError("its gzip data is damaged")
                }
            }
        }
        guard code == Z_STREAM_END else { throw ImageError("its gzip data is truncated") }
        return output
    }

    /// One call of inflate(3): bytes taken, bytes produced, zlib's result.
    /// SAFETY: the stream's pointers are only valid, and only used, during the call.
    private static func step(
        _ stream: inout z_stream, _ input: inout [UInt8], _ taken: Int, _ chunk: inout [UInt8]
    ) -> (Int, Int, Int32) {
        let available = input.count - taken
        let room = chunk.count
        return input.withUnsafeMutableBufferPointer { input in
            chunk.withUnsafeMutableBufferPointer { chunk in
                stream.next_in = input.baseAddress.map { $0 + taken }
                stream.avail_in = UInt32(available)
                stream.next_out = chunk.baseAddress
                stream.avail_out = UInt32(room)
                let result = inflate(&stream, Z_NO_FLUSH)
                return (available - Int(stream.avail_in), room - Int(stream.avail_out), result)
            }
        }
    }
}
