import CHost
import EmuBus
import Glibc

/// An open file or block device of the host, with whole-buffer transfers. Closed when released.
package final class HostFile: ImageFile {
    package let descriptor: Int32
    package let name: String
    /// The same file past the host's page cache, for transfers whose buffers and offset are aligned (`cache.direct=on`); -1 without.
    private let directDescriptor: Int32
    /// What O_DIRECT wants transfers aligned to at most, bytes.
    private static let directAlignment: UInt = 4096

    /// - Parameter isDirect: go past the page cache where alignment allows and the file system can.
    package init(descriptor: Int32, name: String, isDirect: Bool = false) {
        self.descriptor = descriptor
        self.name = name
        guard isDirect else {
            directDescriptor = -1
            return
        }
        let mode = fcntl(descriptor, F_GETFL) & O_ACCMODE
        directDescriptor = open("/proc/self/fd/\(descriptor)", mode | O_CLOEXEC | O_NOCTTY | host_direct_flag())
    }

    deinit {
        if directDescriptor >= 0 { Glibc.close(directDescriptor) }
        Glibc.close(descriptor)
    }

    // MARK: Transfers

    package func read(at offset: UInt64, into buffers: [UnsafeMutableRawBufferPointer]) throws(HostError) {
        let source = transferDescriptor(offset, buffers)
        try transfer(at: offset, buffers) { vector, count, position, left in
            let got = preadv(source, vector, count, position)
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

    package func write(at offset: UInt64, from buffers: [UnsafeMutableRawBufferPointer]) throws(HostError) {
        let target = transferDescriptor(offset, buffers)
        try transfer(at: offset, buffers) { vector, count, position, _ in pwritev(target, vector, count, position) }
    }

    /// Reads what the host has in memory already. False, having filled any part of the buffers, when it would have to wait
    /// for the disk.
    package func readCached(at offset: UInt64, into buffers: [UnsafeMutableRawBufferPointer]) -> Bool {
        guard directDescriptor < 0, buffers.count <= Self.vectorLimit else { return false }
        var vector = buffers.map { iovec(iov_base: $0.baseAddress, iov_len: $0.count) }
        let wanted = buffers.reduce(0) { $0 + $1.count }
        return host_read_cached(descriptor, &vector, Int32(vector.count), Int64(clamping: offset)) == wanted
    }

    package func flush() throws(HostError) {
        while fdatasync(descriptor) != 0 {
            // Some file systems let signals interrupt it; nothing is known to be lost then.
            if errno != EINTR { throw HostError("flushing \(name)", errno) }
        }
    }

    private func transferDescriptor(_ offset: UInt64, _ buffers: [UnsafeMutableRawBufferPointer]) -> Int32 {
        guard directDescriptor >= 0, UInt(truncatingIfNeeded: offset) % Self.directAlignment == 0,
              buffers.allSatisfy({ UInt(bitPattern: $0.baseAddress) % Self.directAlignment == 0 && UInt($0.count) % Self.directAlignment == 0 })
        else { return descriptor }
        return directDescriptor
    }

    /// Most buffers one call may name (IOV_MAX).
    private static let vectorLimit = 1024

    /// Repeats `step` until every byte has moved. SAFETY: the buffers are valid for the call; the vector only ever covers
    /// what is left of them.
    private func transfer(
        at offset: UInt64, _ buffers: [UnsafeMutableRawBufferPointer],
        _ step: (UnsafeMutablePointer<iovec>, Int32, off_t, Int) -> Int
    ) throws(HostError) {
        var vector = buffers.map { iovec(iov_base: $0.baseAddress, iov_len: $0.count) }
        var left = buffers.reduce(0) { $0 + $1.count }
        var position = off_t(clamping: offset)
        var first = 0
        while left > 0 {
            let moved = vector.withUnsafeMutableBufferPointer { all -> Int in
                guard let base = all.baseAddress else { return 0 }
                return step(base + first, Int32(min(all.count - first, Self.vectorLimit)), position, left)
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

    // MARK: Space

    package func length() throws(HostError) -> UInt64 {
        var information = stat()
        guard fstat(descriptor, &information) == 0 else { throw HostError("examining \(name)", errno) }
        guard information.st_mode & S_IFMT == S_IFBLK else { return UInt64(max(information.st_size, 0)) }
        let bytes = host_block_device_size(descriptor)
        guard bytes >= 0 else { throw HostError("asking \(name) for its size", errno) }
        return UInt64(bytes)
    }

    /// Bytes of disk space the file takes.
    package var allocatedBytes: UInt64 {
        var information = stat()
        return fstat(descriptor, &information) == 0 ? UInt64(max(information.st_blocks, 0)) * 512 : 0
    }

    package func truncate(to length: UInt64) throws(HostError) {
        while ftruncate(descriptor, off_t(clamping: length)) != 0 {
            if errno != EINTR { throw HostError("giving \(name) a size of \(length) bytes", errno) }
        }
    }

    package func writeZeroes(at offset: UInt64, length: UInt64, mayUnmap: Bool) throws(HostError) {
        let start = Int64(clamping: offset), count = Int64(clamping: length)
        if count == 0 { return }
        if mayUnmap, host_punch_hole(descriptor, start, count) == 0 { return }
        if host_zero_range(descriptor, start, count) == 0 { return }
        guard Self.isUnsupported(errno) else { throw HostError("zeroing \(name) at byte \(offset)", errno) }
        try writeZeroBytes(at: offset, length: length)
    }

    private func writeZeroBytes(at offset: UInt64, length: UInt64) throws(HostError) {
        let chunk = TransferBuffer(Int(min(length, 1 << 20)), zeroed: true)
        var done: UInt64 = 0
        while done < length {
            let piece = Int(min(length - done, UInt64(chunk.memory.count)))
            try write(at: offset + done, from: [chunk.part(0..<piece)])
            done += UInt64(piece)
        }
    }

    package func discard(at offset: UInt64, length: UInt64) throws(HostError) {
        guard length > 0, host_punch_hole(descriptor, Int64(clamping: offset), Int64(clamping: length)) != 0 else { return }
        guard Self.isUnsupported(errno) else { throw HostError("discarding in \(name) at byte \(offset)", errno) }
    }

    package func reserve(at offset: UInt64, length: UInt64) throws(HostError) {
        guard length > 0 else { return }
        let code = posix_fallocate(descriptor, off_t(clamping: offset), off_t(clamping: length))
        guard code == 0 else { throw HostError("reserving space for \(name)", code) }
    }

    // lseek(2); <unistd.h> only has them for _GNU_SOURCE.
    private static let seekData: Int32 = 3, seekHole: Int32 = 4

    package func extent(at offset: UInt64) throws(HostError) -> (isData: Bool, length: UInt64) {
        let end = try length()
        guard offset < end else { return (false, .max) }
        let data = lseek(descriptor, off_t(clamping: offset), Self.seekData)
        if data < 0 {
            // ENXIO: a hole up to the end. Anything else: a file system that cannot tell.
            return errno == ENXIO ? (false, end - offset) : (true, end - offset)
        }
        if UInt64(data) > offset { return (false, min(UInt64(data), end) - offset) }
        let hole = lseek(descriptor, off_t(clamping: offset), Self.seekHole)
        return (true, hole > 0 && UInt64(hole) > offset ? min(UInt64(hole), end) - offset : end - offset)
    }

    private static func isUnsupported(_ code: Int32) -> Bool {
        code == EOPNOTSUPP || code == ENOSYS || code == EINVAL || code == ENODEV
    }
}
