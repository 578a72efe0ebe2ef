import CHost
import EmuBus
import Glibc

/// An open file or block device of the host, with whole-buffer transfers. Closed when released.
final class HostFile {
    let descriptor: Int32
    /// What messages call it: the path the user gave.
    let name: String

    init(descriptor: Int32, name: String) {
        self.descriptor = descriptor
        self.name = name
    }

    deinit { close(descriptor) }

    /// Fills all of `buffers` from `offset` on; what lies behind the end of the file reads as zeroes.
    func read(at offset: UInt64, into buffers: [UnsafeMutableRawBufferPointer]) throws(HostError) {
        try transfer(at: offset, buffers) { descriptor, vector, count, position, left in
            let got = preadv(descriptor, vector, count, position)
            guard got == 0 else { return got }
            // End of file: the rest is zeroes.
            var rest = left
            for index in 0..<Int(count) where rest > 0 {
                memset(vector[index].iov_base, 0, vector[index].iov_len)
                rest -= vector[index].iov_len
            }
            return left - rest
        }
    }

    /// Writes all of `buffers` from `offset` on.
    func write(at offset: UInt64, from buffers: [UnsafeMutableRawBufferPointer]) throws(HostError) {
        try transfer(at: offset, buffers) { descriptor, vector, count, position, _ in
            pwritev(descriptor, vector, count, position)
        }
    }

    /// Puts everything written so far on stable storage.
    func flush() throws(HostError) {
        while fdatasync(descriptor) != 0 {
            // Some file systems let signals interrupt it; nothing is known to be lost then.
            if errno != EINTR { throw HostError("flushing \(name)", errno) }
        }
    }

    /// Most buffers one call may name (IOV_MAX).
    private static let vectorLimit = 1024

    /// Repeats `step` until every byte has moved. SAFETY: the buffers are valid for the call; the vector only ever covers
    /// what is left of them.
    private func transfer(
        at offset: UInt64, _ buffers: [UnsafeMutableRawBufferPointer],
        _ step: (Int32, UnsafeMutablePointer<iovec>, Int32, off_t, Int) -> Int
    ) throws(HostError) {
        var vector = buffers.map { iovec(iov_base: $0.baseAddress, iov_len: $0.count) }
        var left = buffers.reduce(0) { $0 + $1.count }
        var position = off_t(clamping: offset)
        var first = 0
        while left > 0 {
            let moved = vector.withUnsafeMutableBufferPointer { all -> Int in
                guard let base = all.baseAddress else { return 0 }
                return step(descriptor, base + first, Int32(min(all.count - first, Self.vectorLimit)), position, left)
            }
            if moved < 0 {
                if errno == EINTR { continue }
                throw HostError("accessing \(name) at byte \(position)", errno)
            }
            guard moved > 0 else { throw HostError("accessing \(name) at byte \(position)", EIO) }
            left -= moved
            position += off_t(moved)
            var consumed = moved
            while first < vector.count, consumed >= vector[first].iov_len {
                consumed -= vector[first].iov_len
                first += 1
            }
            if first < vector.count, consumed > 0 {
                vector[first].iov_base += consumed
                vector[first].iov_len -= consumed
            }
        }
    }

    /// Makes a range read as zeroes, cheaply where the file system can.
    func writeZeroes(at offset: UInt64, length: UInt64, mayUnmap: Bool) throws(HostError) {
        let start = Int64(clamping: offset), count = Int64(clamping: length)
        if count == 0 { return }
        if mayUnmap, host_punch_hole(descriptor, start, count) == 0 { return }
        if host_zero_range(descriptor, start, count) == 0 { return }
        guard Self.isUnsupported(errno) else { throw HostError("zeroing \(name) at byte \(offset)", errno) }
        try writeZeroBytes(at: offset, length: length)
    }

    private func writeZeroBytes(at offset: UInt64, length: UInt64) throws(HostError) {
        let chunk = UnsafeMutableRawBufferPointer.allocate(byteCount: Int(min(length, 1 << 20)), alignment: 4096)
        defer { chunk.deallocate() }
        chunk.initializeMemory(as: UInt8.self, repeating: 0)
        var done: UInt64 = 0
        while done < length {
            let piece = Int(min(length - done, UInt64(chunk.count)))
            try write(at: offset + done, from: [UnsafeMutableRawBufferPointer(rebasing: chunk[..<piece])])
            done += UInt64(piece)
        }
    }

    /// Gives a range's space back if the file system can; contents become unspecified.
    func discard(at offset: UInt64, length: UInt64) throws(HostError) {
        guard length > 0, host_punch_hole(descriptor, Int64(clamping: offset), Int64(clamping: length)) != 0 else { return }
        guard Self.isUnsupported(errno) else { throw HostError("discarding in \(name) at byte \(offset)", errno) }
    }

    private static func isUnsupported(_ code: Int32) -> Bool {
        code == EOPNOTSUPP || code == ENOSYS || code == EINVAL || code == ENODEV
    }
}
