import Glibc

/// One contiguous range of guest physical memory backed by host memory.
///
/// The backing is an anonymous file mapping unless another place was asked for, so pages the guest never touches cost nothing.
/// SAFETY: the mapping lives exactly as long as the object; `host` must not be kept beyond it. All access from
/// guest-controlled addresses goes through `AddressSpace` or a TLB entry, both of which check bounds against `size`.
public final class GuestRAM: @unchecked Sendable {
    /// First guest physical address, page aligned.
    public let base: UInt64
    /// Length in bytes, a multiple of `pageSize`.
    public let size: UInt64
    /// Host address of guest physical address `base`.
    public let host: UnsafeMutableRawPointer
    /// True for mask ROM: guest stores fault, `load` still works.
    public let isReadOnly: Bool
    /// One byte per page; see `PageFlags`.
    public let pageFlags: UnsafeMutablePointer<UInt8>
    /// What each cache of decoded code keeps of the pages, by the cache's number.
    /// SAFETY: `bookCount` elements; replaced by `makeBooks`, which nobody calls once harts run.
    public private(set) var books: UnsafeMutablePointer<PageBook>
    private var bookCount = 0
    /// The parts of files behind `host`, one after the other.
    private let ranges: [MemoryRange]

    /// One cache's notes about the pages.
    public struct PageBook {
        /// One word per page with a bit for every 64 bytes: where decoded code may lie.
        public let codeMap: UnsafeMutablePointer<UInt64>
        public let records: UnsafeMutablePointer<PageRecord>
    }

    /// What a processor's cache knows of a page, so that a change to it needs no search.
    public struct PageRecord {
        /// The first of the cache's blocks that start in the page.
        public var blocks: UnsafeMutableRawPointer?
        /// TLB entries that may hold a direct write entry for the page, as far as there is room: guest page address and number of the
        /// TLB view, which is not 0.
        public var writers: (UInt64, UInt64) = (0, 0)
        /// There are more.
        public var hasMoreWriters = false
        /// An instruction that begins in the page before reaches into the page.
        public var hasTail = false
        /// Stores that hit blocks since the last one was added.
        public var overwrites: UInt8 = 0
    }

    public static let pageShift = 12
    public static let pageSize = 4096

    /// Bits of `pageFlags`, which all harts share.
    public enum PageFlags {
        /// The page holds decoded or translated guest code: stores must go through the slow path.
        public static let hasCode: UInt8 = 1
        /// Some hart's TLB may hold a direct write entry for the page.
        public static let writeCached: UInt8 = 2
    }

    /// - Parameters:
    ///   - base: guest physical address, a multiple of 4096.
    ///   - size: bytes, a non-zero multiple of 4096.
    /// - Throws: `HostError` when the host cannot provide the memory.
    public convenience init(base: UInt64, size: UInt64, isReadOnly: Bool = false) throws(HostError) {
        precondition(base % UInt64(Self.pageSize) == 0 && size % UInt64(Self.pageSize) == 0 && size > 0)
        try self.init(base, size, isReadOnly, [MemoryRange(size: size)], sharing: MAP_SHARED)
    }

    /// Memory whose parts the host keeps in different places.
    /// - Parameter parts: one after the other, at least one, each of a size that is a non-zero multiple of 4096.
    public convenience init(base: UInt64, parts: [(backing: MemoryBacking, size: UInt64)]) throws {
        let ranges = try parts.map { try MemoryRange.make($0.backing, size: $0.size) }
        try self.init(base, parts.reduce(0) { $0 + $1.size }, false, ranges, sharing: MAP_SHARED)
    }

    /// Memory that holds what `original` holds now. What is written to the copy stays in it; what is written to the original later
    /// may show in the copy. For looking ahead while a guest stands still.
    public convenience init(copyOf original: GuestRAM) throws(HostError) {
        try self.init(original.base, original.size, original.isReadOnly, original.ranges, sharing: MAP_PRIVATE)
    }

    private init(_ base: UInt64, _ size: UInt64, _ isReadOnly: Bool, _ ranges: [MemoryRange], sharing: Int32) throws(HostError) {
        let mapping = try MemoryRange.map(ranges, sharing)
        let length = Int(size)
        let pages = length >> Self.pageShift
        // calloc, so that flags of untouched pages cost no memory either.
        guard let flags = calloc(pages, 1) else {
            munmap(mapping, length)
            throw HostError("page flags of guest RAM", ENOMEM)
        }
        self.base = base
        self.size = size
        self.isReadOnly = isReadOnly
        self.ranges = ranges
        host = mapping
        pageFlags = flags.bindMemory(to: UInt8.self, capacity: pages)
        books = .allocate(capacity: 0)
    }

    /// Makes sure that there are books for `count` caches.
    func makeBooks(_ count: Int) {
        guard count > bookCount else { return }
        let pages = Int(size) >> Self.pageShift
        let larger = UnsafeMutablePointer<PageBook>.allocate(capacity: count)
        larger.update(from: books, count: bookCount)
        for number in bookCount..<count {
            guard let map = calloc(pages, MemoryLayout<UInt64>.stride), let records = calloc(pages, MemoryLayout<PageRecord>.stride) else {
                // As when anything else is allocated.
                fatalError("out of memory for the notes about \(pages) pages of guest memory")
            }
            // SAFETY: a record of zero bytes is an empty one: no pointer, zeros, false.
            (larger + number).initialize(to: PageBook(
                codeMap: map.bindMemory(to: UInt64.self, capacity: pages), records: records.bindMemory(to: PageRecord.self, capacity: pages)))
        }
        books.deallocate()
        books = larger
        bookCount = count
    }

    deinit {
        munmap(host, Int(size))
        free(pageFlags)
        for number in 0..<bookCount {
            free(books[number].codeMap)
            free(books[number].records)
        }
        books.deallocate()
    }

    /// The bits of `codeMap` for the part of `length` bytes (at least 1) from `address` that lies in the page of `address`.
    @inlinable
    public static func codeMask(_ address: UInt64, _ length: UInt64) -> UInt64 {
        let first = address & 0xfff
        let last = min(first &+ (length &- 1), 0xfff)
        return ~0 &<< (first >> 6) & ~0 &>> (63 &- last >> 6)
    }

    /// True when `length` bytes at guest physical `address` lie inside.
    @inlinable
    public func contains(_ address: UInt64, _ length: UInt64) -> Bool {
        address >= base && address &- base <= size && length <= size &- (address &- base)
    }

    /// Gives the host back the pages from `offset` on, which read as zeros from then on; false, having changed nothing, when it does not take them.
    /// - Precondition: both are multiples of `pageSize` and the range lies inside.
    func discard(_ offset: UInt64, _ length: UInt64) -> Bool {
        var start = 0, isDone = true
        for range in ranges {
            let first = max(Int(offset) - start, 0), last = min(Int(offset + length) - start, range.length)
            if first < last { isDone = range.discard(first, last - first) && isDone }
            start += range.length
        }
        return isDone
    }

    /// Copies bytes in; for loaders. Returns false when the range does not fit.
    public func load(_ bytes: UnsafeRawBufferPointer, at address: UInt64) -> Bool {
        guard contains(address, UInt64(bytes.count)) else { return false }
        if let source = bytes.baseAddress {
            memcpy(host + Int(address - base), source, bytes.count)
        }
        return true
    }
}

/// A host system call that failed: what was attempted and the host's reason.
public struct HostError: Error, CustomStringConvertible, Sendable {
    public let action: String
    public let code: Int32

    public init(_ action: String, _ code: Int32) {
        self.action = action
        self.code = code
    }

    public var description: String { "\(action): \(String(cString: strerror(code)))" }
}
