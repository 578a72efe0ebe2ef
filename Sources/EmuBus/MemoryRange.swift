import CHost
import Glibc
import Synchronization

/// A range of the one anonymous file behind all guest memory of this process: it takes one of the descriptors the host allows, however
/// many memories there are. What the range holds is given back with the last memory that shows it.
final class MemoryRange: Sendable {
    private let start: Int
    private let length: Int

    private struct File {
        var descriptor: Int32 = -1
        /// Where the last range ends, rounded up.
        var end = 0
    }

    private static let file = Mutex(File())
    /// What ranges begin at multiples of, in bytes, so that the host can use its large pages.
    private static let alignment = 2 << 20

    /// - Parameter size: bytes, a multiple of the host's pages. All are zero at first.
    init(size: UInt64) throws(HostError) {
        let problem = "reserving \(size >> 20) MiB of guest RAM"
        guard let length = Int(exactly: size), length <= .max - Self.alignment else { throw HostError(problem, ENOMEM) }
        self.length = length
        start = try Self.file.withLock { (file) throws(HostError) -> Int in
            if file.descriptor < 0 { file.descriptor = host_memfd_create("guest-ram") }
            guard file.descriptor >= 0 else { throw HostError("memfd_create for guest RAM", errno) }
            let start = file.end
            let (end, isTooLong) = start.addingReportingOverflow(Self.rounded(length))
            guard !isTooLong else { throw HostError(problem, EFBIG) }
            guard ftruncate(file.descriptor, end) == 0 else { throw HostError(problem, errno) }
            file.end = end
            return start
        }
    }

    private static func rounded(_ length: Int) -> Int { (length + alignment - 1) & -alignment }

    deinit {
        Self.file.withLock { file in
            // Nothing is lost but memory where this fails.
            let isEmpty = host_punch_hole(file.descriptor, Int64(start), Int64(length)) == 0
            // The last range is used again, others are not: places in a file cost nothing.
            if isEmpty, file.end - start == Self.rounded(length) { file.end = start }
        }
    }

    /// Makes a part of the range a hole, which takes no memory and reads as zeros; false when the host refuses.
    func discard(_ offset: Int, _ count: Int) -> Bool {
        precondition(offset >= 0 && count >= 0 && offset <= length && count <= length - offset)
        return host_punch_hole(Self.file.withLock(\.descriptor), Int64(start + offset), Int64(count)) == 0
    }

    /// Maps the range for reading and writing.
    /// - Parameter sharing: `MAP_SHARED`, or `MAP_PRIVATE` for a copy: what is written to it stays in it.
    func map(_ sharing: Int32) throws(HostError) -> UnsafeMutableRawPointer {
        // SAFETY: the host chooses where, over nothing that exists; `length` bytes of the file are there from `start` on. The caller unmaps it
        // before it lets go of the range.
        let mapping = mmap(nil, length, PROT_READ | PROT_WRITE, sharing | MAP_NORESERVE, Self.file.withLock(\.descriptor), start)
        guard let mapping, mapping != MAP_FAILED else { throw HostError("mapping \(length >> 20) MiB of guest RAM", errno) }
        return mapping
    }
}
