import CHost
import EmuBus
import Glibc

/// Memory for generated code: one anonymous file mapped twice, for writing and for execution, and nowhere for both.
///
/// Places are named by their offset in the file. Pages cost memory only shortly before they are written.
/// SAFETY: both mappings live exactly as long as the object and no pointer into them may be kept beyond it. Every offset that comes
/// in is checked against `capacity`.
public final class CodeBuffer {
    /// Bytes, a multiple of the page size.
    public let capacity: Int
    /// Where the last allocation ended.
    public private(set) var used = 0
    /// Segments the buffer is emptied by, see `openSegment`.
    public let segmentCount = 8
    /// Where the first segment begins, and where allocation ends for now.
    private var first = 0
    private var end: Int
    /// Where the pages end that the host was asked for ahead of their use.
    private var populated = 0

    private let writable: UnsafeMutableRawPointer
    private let code: UnsafeMutableRawPointer

    /// What `allocate(_:)` aligns to, in bytes.
    public static let alignment = 16

    /// - Parameter capacity: bytes of address space, rounded up to pages.
    /// - Throws: when the host refuses the memory or executable mappings.
    public init(capacity: Int) throws(HostError) {
        let page = Int(getpagesize())
        precondition(capacity > 0 && capacity <= Int(Int32.max))
        let capacity = (capacity + page - 1) & -page
        let descriptor = host_memfd_create("translated-code")
        guard descriptor >= 0 else { throw HostError("memfd_create for translated code", errno) }
        defer { close(descriptor) }
        guard ftruncate(descriptor, capacity) == 0 else {
            throw HostError("reserving \(capacity >> 10) KiB for translated code", errno)
        }
        let flags = MAP_SHARED | MAP_NORESERVE
        let writable = mmap(nil, capacity, PROT_READ | PROT_WRITE, flags, descriptor, 0)
        guard let writable, writable != MAP_FAILED else {
            throw HostError("mapping \(capacity >> 10) KiB for translated code", errno)
        }
        let code = mmap(nil, capacity, PROT_READ | PROT_EXEC, flags, descriptor, 0)
        guard let code, code != MAP_FAILED else {
            let reason = errno
            munmap(writable, capacity)
            throw HostError("mapping \(capacity >> 10) KiB of translated code for execution", reason)
        }
        self.capacity = capacity
        end = capacity
        self.writable = writable
        self.code = code
    }

    deinit {
        munmap(writable, capacity)
        munmap(code, capacity)
    }

    /// The offset of `count` fresh bytes, a multiple of `alignment`; nil when they do not fit.
    public func allocate(_ count: Int) -> Int? {
        precondition(count >= 0)
        let offset = (used + Self.alignment - 1) & -Self.alignment
        guard offset <= end, count <= end - offset else { return nil }
        used = offset + count
        if used > populated { populate() }
        return offset
    }

    /// Asks for the next pages in one go: a fault for each, in both mappings, costs more than what is compiled into it.
    private func populate() {
        let page = Int(getpagesize())
        let start = max(populated, used - Self.populateStep) & -page
        let size = min(used + Self.populateStep, end) - start
        populated = start + size
        // Nothing is lost but time where the host cannot.
        _ = madvise(writable + start, size, Self.populateWrite)
        _ = madvise(code + start, size, Self.populateRead)
    }

    private static let populateStep = 128 << 10
    /// MADV_POPULATE_READ and MADV_POPULATE_WRITE (Linux 5.14), which Swift's Glibc overlay may lack.
    private static let populateRead: Int32 = 22
    private static let populateWrite: Int32 = 23

    /// Keeps what has been allocated so far out of all segments: `openSegment` never frees it.
    public func keepUsed() {
        first = (used + Self.alignment - 1) & -Self.alignment
        openSegment(0)
    }

    /// Empties a segment, gives its memory back and allocates from it until the next call. No code in it may run any more.
    public func openSegment(_ index: Int) {
        let size = (capacity - first) / segmentCount & -Self.alignment
        let start = first + index * size
        used = start
        populated = start
        end = index == segmentCount - 1 ? capacity : start + size
        release(start..<end)
    }

    /// Gives the memory of the pages that lie wholly inside back to the host.
    private func release(_ range: Range<Int>) {
        let page = Int(getpagesize())
        let first = (range.lowerBound + page - 1) & -page
        let end = range.upperBound & -page
        guard first < end else { return }
        // Nothing is lost but memory where this fails.
        _ = madvise(writable + first, end - first, MADV_REMOVE)
    }

    /// Copies code in and makes it ready to run.
    public func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) {
        precondition(offset >= 0 && offset <= capacity && bytes.count <= capacity - offset)
        guard let source = bytes.baseAddress else { return }
        memcpy(writable + offset, source, bytes.count)
        host_synchronize_code(code + offset, bytes.count)
    }

    /// Replaces four bytes of code by one store, at once for code running meanwhile when they do not cross a multiple of 8.
    public func patch32(at offset: Int, _ value: Int32) {
        precondition(offset >= 0 && offset <= capacity - 4)
        (writable + offset).storeBytes(of: value, as: Int32.self)
        host_synchronize_code(code + offset, 4)
    }

    /// Where the code at an offset runs. Not beyond the object's life.
    public func executable(_ offset: Int) -> UnsafeRawPointer {
        precondition(offset >= 0 && offset <= capacity)
        return UnsafeRawPointer(code + offset)
    }

    /// The offset of a place in the executable view; nil when it lies elsewhere.
    public func offset(ofExecutable address: UInt) -> Int? {
        let offset = address &- UInt(bitPattern: code)
        return offset < UInt(capacity) ? Int(offset) : nil
    }
}
