import Glibc

/// A checked view of bytes that something else keeps alive: a mapped file, a decompressed section.
///
/// Every access is checked: what a file says about its own layout can make a read fail, never leave the view.
struct SymbolBytes {
    private let owner: AnyObject?
    private let base: UnsafeRawPointer?
    let count: Int

    static var empty: SymbolBytes { SymbolBytes(owner: nil, base: nil, count: 0) }

    /// SAFETY: the caller guarantees that `count` bytes from `base` stay readable and unchanged while `owner` lives; the view holds `owner`.
    init(owner: AnyObject?, base: UnsafeRawPointer?, count: Int) {
        self.owner = owner
        self.base = base
        self.count = base == nil ? 0 : count
    }

    /// The `length` bytes from `offset`, or nil when they are not all inside.
    func slice(_ offset: UInt64, _ length: UInt64) -> SymbolBytes? {
        guard offset <= UInt64(count), length <= UInt64(count) - offset else { return nil }
        return SymbolBytes(owner: owner, base: base.map { $0 + Int(offset) }, count: Int(length))
    }

    /// Little-endian integer at `offset`, or nil when it is not all inside.
    @inline(__always)
    func load<T: FixedWidthInteger>(_ offset: Int, as type: T.Type = T.self) -> T? {
        guard let base, offset >= 0, offset <= count - MemoryLayout<T>.size else { return nil }
        // SAFETY: the range was checked against the view just above; T is an integer, so that any bytes are a value.
        return T(littleEndian: base.loadUnaligned(fromByteOffset: offset, as: T.self))
    }

    /// Offset of the first NUL at or after `offset`, or nil when there is none.
    @inline(__always)
    func terminator(from offset: Int) -> Int? {
        guard let base, offset >= 0, offset < count else { return nil }
        // SAFETY: memchr reads at most to the end of the view.
        guard let found = memchr(base + offset, 0, count - offset) else { return nil }
        return UnsafeRawPointer(found) - base
    }

    /// The NUL-terminated text at `offset`; nil when it is not inside or has no end.
    func string(_ offset: UInt64) -> String? {
        guard offset < UInt64(count) else { return nil }
        let start = Int(offset)
        guard let end = terminator(from: start) else { return nil }
        return text(start, end)
    }

    /// The bytes from `start` up to `end` as text; invalid UTF-8 is repaired.
    func text(_ start: Int, _ end: Int) -> String {
        guard let base, start >= 0, start <= end, end <= count else { return "" }
        // SAFETY: the range was checked just above.
        return String(decoding: UnsafeRawBufferPointer(start: base + start, count: end - start), as: UTF8.self)
    }

    /// Order of the NUL-terminated text at `offset` against `other`, by bytes; 0 also when the text begins with `other` and `prefix` is set.
    func compare(_ offset: UInt64, _ other: [UInt8], prefix: Bool = false) -> Int {
        guard offset < UInt64(count), let end = terminator(from: Int(offset)) else { return -1 }
        let length = end - Int(offset)
        guard let base else { return -1 }
        // SAFETY: `length` bytes from `offset` were found above; `other` is only read within its count.
        let order = other.withUnsafeBytes { other -> Int in
            let common = min(length, other.count)
            guard common > 0, let address = other.baseAddress else { return 0 }
            return Int(memcmp(base + Int(offset), address, common))
        }
        if order != 0 { return order }
        return prefix && length >= other.count ? 0 : length - other.count
    }

    /// Order of two NUL-terminated texts by bytes; one that is not inside sorts first.
    func compare(_ left: UInt64, with right: UInt64) -> Int {
        guard let base, left < UInt64(count), right < UInt64(count),
            terminator(from: Int(left)) != nil, terminator(from: Int(right)) != nil
        else { return Int(clamping: left) - Int(clamping: right) }
        // SAFETY: both texts end inside the view, so strcmp does too.
        return Int(strcmp((base + Int(left)).assumingMemoryBound(to: CChar.self), (base + Int(right)).assumingMemoryBound(to: CChar.self)))
    }

    /// A copy of the bytes.
    var array: [UInt8] { withBytes { Array($0) } }

    /// Lends the bytes for the duration of `body`.
    func withBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        // SAFETY: the owner is kept alive by this value during the call.
        withExtendedLifetime(owner) { body(UnsafeRawBufferPointer(start: base, count: count)) }
    }
}

/// Reads a `SymbolBytes` from front to back. Once a read leaves the range every further one gives 0 and `failed` is set, with the
/// position at the end: loops that run until `atEnd` always end.
struct SymbolCursor {
    let bytes: SymbolBytes
    private(set) var position: Int
    private(set) var end: Int
    private(set) var failed = false

    init(_ bytes: SymbolBytes) {
        self.bytes = bytes
        position = 0
        end = bytes.count
    }

    /// From `start` up to `end`; failed when that is not inside.
    init(_ bytes: SymbolBytes, _ start: UInt64, _ end: UInt64? = nil) {
        self.bytes = bytes
        let end = end ?? UInt64(bytes.count)
        if start <= end, end <= UInt64(bytes.count) {
            position = Int(start)
            self.end = Int(end)
        } else {
            position = bytes.count
            self.end = bytes.count
            failed = true
        }
    }

    var atEnd: Bool { position >= end }
    var remaining: Int { end - position }

    @inline(never)
    mutating func fail() {
        position = end
        failed = true
    }

    @inline(__always)
    mutating func integer<T: FixedWidthInteger>(_ type: T.Type = T.self) -> T {
        guard position <= end - MemoryLayout<T>.size, let value = bytes.load(position, as: T.self) else {
            fail()
            return 0
        }
        position += MemoryLayout<T>.size
        return value
    }

    @inline(__always) mutating func u8() -> UInt8 { integer() }
    @inline(__always) mutating func u16() -> UInt16 { integer() }
    @inline(__always) mutating func u32() -> UInt32 { integer() }
    @inline(__always) mutating func u64() -> UInt64 { integer() }

    /// An unsigned integer of 1, 2, 3, 4 or 8 bytes.
    @inline(__always)
    mutating func unsigned(bytes size: Int) -> UInt64 {
        switch size {
        case 1: return UInt64(u8())
        case 2: return UInt64(u16())
        case 3:
            let low = UInt64(u16())
            return low | UInt64(u8()) << 16
        case 4: return UInt64(u32())
        case 8: return u64()
        default:
            fail()
            return 0
        }
    }

    /// An unsigned LEB128; bits beyond the 64th are dropped.
    @inline(__always)
    mutating func uleb() -> UInt64 {
        let first = u8()
        return first < 0x80 ? UInt64(first) : ulebSlow(first)
    }

    private mutating func ulebSlow(_ first: UInt8) -> UInt64 {
        var result = UInt64(first & 0x7f)
        var shift: UInt64 = 7
        while true {
            let byte = u8()
            if shift < 64 { result |= UInt64(byte & 0x7f) << shift }
            shift &+= 7
            if byte < 0x80 { return result }
        }
    }

    /// A signed LEB128; bits beyond the 64th are dropped.
    mutating func sleb() -> Int64 {
        var result: UInt64 = 0
        var shift: UInt64 = 0
        while true {
            let byte = u8()
            if shift < 64 { result |= UInt64(byte & 0x7f) << shift }
            shift &+= 7
            if byte < 0x80 {
                if byte & 0x40 != 0, shift < 64 { result |= ~0 << shift }
                return Int64(bitPattern: result)
            }
        }
    }

    @inline(__always)
    mutating func skip(_ length: UInt64) {
        guard length <= UInt64(end - position) else { return fail() }
        position += Int(length)
    }

    mutating func seek(_ to: UInt64) {
        guard to <= UInt64(end) else { return fail() }
        position = Int(to)
    }

    /// Start of the NUL-terminated text here; moves past it.
    @inline(__always)
    mutating func stringStart() -> Int {
        guard !atEnd, let terminator = bytes.terminator(from: position), terminator < end else {
            fail()
            return bytes.count
        }
        defer { position = terminator + 1 }
        return position
    }

    mutating func string() -> String {
        let start = stringStart()
        return failed ? "" : bytes.text(start, position - 1)
    }

    /// The next `length` bytes as a range with the same owner.
    mutating func slice(_ length: UInt64) -> SymbolBytes {
        guard length <= UInt64(end - position), let part = bytes.slice(UInt64(position), length) else {
            fail()
            return .empty
        }
        position += Int(length)
        return part
    }
}
