import CHost
import Glibc

/// Where the host keeps a part of guest memory.
public struct MemoryBacking: Equatable, Sendable {
    public enum Place: Equatable, Sendable {
        /// Memory of the process, taken when it is touched.
        case anonymous
        /// Large pages of the host, of this many bytes (a power of two), or of the host's default size.
        case largePages(UInt64?)
        /// A file; or a folder, on a file system of large pages for example, in which a file without a name is made.
        case file(String)
    }

    public var place = Place.anonymous
    /// What the guest writes goes to the file, and what others write there to the guest. Else the file is read at the start and left alone.
    public var isShared = false
    /// Bytes of the file before the memory's first.
    public var offset: UInt64 = 0
    /// Everything is taken from the host at the start.
    public var isPreallocated = false

    public init() {}
}

/// Why memory cannot be kept where it was asked for.
public struct MemoryBackingError: Error, CustomStringConvertible {
    public let description: String

    init(_ description: String) { self.description = description }

    /// A host call failed, as `errno` says.
    static func host(_ action: String, _ code: Int32 = errno) -> MemoryBackingError { MemoryBackingError(HostError(action, code).description) }
}

extension MemoryRange {
    /// - Parameter size: bytes, a multiple of the host's pages.
    static func make(_ backing: MemoryBacking, size: UInt64) throws(MemoryBackingError) -> MemoryRange {
        let range: MemoryRange
        switch backing.place {
        case .anonymous: range = try anonymous(size)
        case .largePages(let pageSize):
            let descriptor = host_memfd_create_huge("guest-ram", UInt32(pageSize.map { $0.trailingZeroBitCount } ?? 0))
            guard descriptor >= 0 else { throw .host("large pages" + (pageSize.map { " of \($0 >> 10) KiB" } ?? "")) }
            range = try sized(descriptor, size)
        case .file(let path): range = try inFile(path, backing, size)
        }
        if backing.isPreallocated { try range.allocate() }
        return range
    }

    private static func anonymous(_ size: UInt64) throws(MemoryBackingError) -> MemoryRange {
        do throws(HostError) { return try MemoryRange(size: size) } catch { throw MemoryBackingError(error.description) }
    }

    /// A file that is ours alone, grown to `size`.
    private static func sized(_ descriptor: Int32, _ size: UInt64) throws(MemoryBackingError) -> MemoryRange {
        let range = try owning(descriptor, start: 0, size: size)
        guard ftruncate(descriptor, off_t(size)) == 0 else { throw .host("a file of \(size >> 20) MiB") }
        return range
    }

    /// Takes over the descriptor, which is closed when this fails.
    private static func owning(_ descriptor: Int32, start: UInt64, size: UInt64) throws(MemoryBackingError) -> MemoryRange {
        let pageSize = host_file_page_size(descriptor)
        let end = start.addingReportingOverflow(size)
        guard pageSize > 0, !end.overflow, Int(exactly: end.partialValue) != nil, start % UInt64(pageSize) == 0, size % UInt64(pageSize) == 0 else {
            close(descriptor)
            throw MemoryBackingError("\(start) + \(size) bytes are not whole pages, which have \(pageSize) bytes there")
        }
        return MemoryRange(owning: descriptor, start: Int(start), length: Int(size), pageSize: Int(pageSize))
    }

    private static func inFile(_ path: String, _ backing: MemoryBacking, _ size: UInt64) throws(MemoryBackingError) -> MemoryRange {
        var facts = stat()
        let exists = stat(path, &facts) == 0
        if exists, facts.st_mode & S_IFMT == S_IFDIR {
            let descriptor = host_open_anonymous_file(path)
            guard descriptor >= 0 else { throw .host("a file in \(path)") }
            return try sized(descriptor, size)
        }
        guard backing.isShared else { return try copy(of: path, backing, size) }
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY, 0o600)
        guard descriptor >= 0 else { throw .host(path) }
        let range = try owning(descriptor, start: backing.offset, size: size)
        guard fstat(descriptor, &facts) == 0, facts.st_mode & S_IFMT == S_IFREG else { throw MemoryBackingError("\(path) is neither a file nor a folder") }
        let end = off_t(backing.offset + size)
        if facts.st_size == 0 {
            guard ftruncate(descriptor, end) == 0 else { throw .host("making \(path) large enough") }
        } else if facts.st_size < end {
            throw MemoryBackingError("\(path) has \(facts.st_size) bytes, and \(end) are needed; truncate -s \(end) makes it larger")
        }
        return range
    }

    /// Memory of the process that begins with what the file holds.
    private static func copy(of path: String, _ backing: MemoryBacking, _ size: UInt64) throws(MemoryBackingError) -> MemoryRange {
        let source = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)
        guard source >= 0 else { throw .host("reading \(path)") }
        defer { close(source) }
        let range = try anonymous(size)
        var facts = stat()
        let (end, isTooFar) = backing.offset.addingReportingOverflow(size)
        guard fstat(source, &facts) == 0, facts.st_mode & S_IFMT == S_IFREG, !isTooFar, UInt64(clamping: facts.st_size) >= end else {
            throw MemoryBackingError("\(path) is not a file of at least \(backing.offset) + \(size) bytes; share=on makes one")
        }
        try range.fill(from: source, offset: off_t(backing.offset), path)
        return range
    }
}
