import CHost
import Glibc
import Synchronization

/// A part of a file that holds guest memory. What it holds is given back with the last memory that shows it.
///
/// All memory of the process without another place is in one anonymous file: it takes one of the descriptors the host allows, however many
/// memories there are.
final class MemoryRange: Sendable {
    private let start: Int
    let length: Int
    /// A file of its own, closed at the end; nil for a part of the file of all.
    private let owned: Int32?
    /// Bytes of the pages it is mapped by.
    private let pageSize: Int

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
        owned = nil
        pageSize = GuestRAM.pageSize
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

    /// A part of a file that is closed with the object. The part consists of whole pages of `pageSize` bytes.
    init(owning descriptor: Int32, start: Int, length: Int, pageSize: Int) {
        owned = descriptor
        self.start = start
        self.length = length
        self.pageSize = pageSize
    }

    private static func rounded(_ length: Int) -> Int { (length + alignment - 1) & -alignment }

    deinit {
        if let owned {
            close(owned)
            return
        }
        Self.file.withLock { file in
            // Nothing is lost but memory where this fails.
            let isEmpty = host_punch_hole(file.descriptor, Int64(start), Int64(length)) == 0
            // The last range is used again, others are not: places in a file cost nothing.
            if isEmpty, file.end - start == Self.rounded(length) { file.end = start }
        }
    }

    private var descriptor: Int32 { owned ?? Self.file.withLock(\.descriptor) }

    // MARK: Contents

    /// Makes a part of the range a hole, which takes no memory and reads as zeros; false when the host refuses.
    func discard(_ offset: Int, _ count: Int) -> Bool {
        precondition(offset >= 0 && count >= 0 && offset <= length && count <= length - offset)
        return host_punch_hole(descriptor, Int64(start + offset), Int64(count)) == 0
    }

    /// Takes from the host what the range needs.
    func allocate() throws(MemoryBackingError) {
        let code = posix_fallocate(descriptor, off_t(start), off_t(length))
        if code != 0 { throw .host("taking \(length >> 20) MiB from the host", code) }
    }

    /// Reads what the range begins with.
    func fill(from source: Int32, offset: off_t, _ path: String) throws(MemoryBackingError) {
        let chunk = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: GuestRAM.pageSize)
        defer { chunk.deallocate() }
        var done = 0
        while done < length {
            // SAFETY: never more than the buffer holds.
            let count = pread(source, chunk.baseAddress, min(chunk.count, length - done), offset + off_t(done))
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw count == 0 ? MemoryBackingError("\(path) ends too early") : .host("reading \(path)") }
            // What is zero is there already and would only cost memory.
            let bytes = UnsafeRawBufferPointer(rebasing: chunk[..<count])
            if bytes.contains(where: { $0 != 0 }) {
                guard pwrite(descriptor, bytes.baseAddress, count, off_t(start + done)) == count else { throw .host("copying \(path)") }
            }
            done += count
        }
    }

    // MARK: Mapping

    /// Maps ranges one after the other for reading and writing.
    /// - Parameter sharing: `MAP_SHARED`, or `MAP_PRIVATE` for a copy: what is written to it stays in it.
    static func map(_ ranges: [MemoryRange], _ sharing: Int32) throws(HostError) -> UnsafeMutableRawPointer {
        if ranges.count == 1 { return try ranges[0].map(sharing, at: nil) }
        let total = ranges.reduce(0) { $0 + $1.length }
        // Large pages need addresses that are multiples of them.
        let alignment = ranges.map(\.pageSize).max() ?? GuestRAM.pageSize
        let problem = "finding room for \(total >> 20) MiB of guest RAM"
        let (size, isTooLarge) = total.addingReportingOverflow(alignment)
        guard !isTooLarge else { throw HostError(problem, ENOMEM) }
        let room = mmap(nil, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
        guard let room, room != MAP_FAILED else { throw HostError(problem, errno) }
        let first = room.alignedUp(toMultipleOf: alignment)
        // SAFETY: what is given back lies in the room and outside of the aligned part, which `ranges` fill exactly.
        if first > room { munmap(room, first - room) }
        munmap(first + total, alignment - (first - room))
        do throws(HostError) {
            var place = first
            for range in ranges {
                guard (place - first) % range.pageSize == 0 else { throw HostError("memory before it is not whole pages of \(range.pageSize >> 10) KiB", EINVAL) }
                _ = try range.map(sharing, at: place)
                place += range.length
            }
        } catch {
            munmap(first, total)
            throw error
        }
        return first
    }

    /// - Parameter place: where, in place of what is mapped there; nil anywhere.
    private func map(_ sharing: Int32, at place: UnsafeMutableRawPointer?) throws(HostError) -> UnsafeMutableRawPointer {
        // Where large pages run out, a promise that was not kept would end the process.
        let promise = pageSize == GuestRAM.pageSize ? MAP_NORESERVE : 0
        let mapping = mmap(place, length, PROT_READ | PROT_WRITE, sharing | promise | (place == nil ? 0 : MAP_FIXED), descriptor, start)
        guard let mapping, mapping != MAP_FAILED else { throw HostError("mapping \(length >> 20) MiB of guest RAM", errno) }
        return mapping
    }
}
