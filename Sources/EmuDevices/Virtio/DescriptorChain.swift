import EmuBus

/// What a driver did to a virtqueue that the specification forbids. The device stops until it is reset.
public struct VirtqueueError: Error, CustomStringConvertible, Sendable {
    public let description: String
    init(_ description: String) { self.description = description }
}

/// A piece of guest memory that a descriptor names, already checked to be memory.
struct GuestSegment {
    let address: UInt64
    // SAFETY: points at `length` bytes of one GuestRAM of the address space, which outlives every request.
    let host: UnsafeMutableRawPointer
    let length: Int
}

/// The device-readable or the device-writable bytes of a request as one run of bytes, wherever the driver put them.
///
/// Offsets count from the first byte of the run. Every access is clipped to it.
public struct GuestBuffer {
    private let memory: AddressSpace
    private let segments: [GuestSegment]
    /// Bytes in the run.
    public let count: Int

    init(_ memory: AddressSpace, _ segments: [GuestSegment]) {
        self.memory = memory
        self.segments = segments
        count = segments.reduce(0) { $0 + $1.length }
    }

    /// Copies bytes from `offset` on into `target`; returns how many there were.
    @discardableResult
    public func copyOut(at offset: Int = 0, into target: UnsafeMutableRawBufferPointer) -> Int {
        var copied = 0
        forEachPiece(offset, target.count) { segment, start, length in
            UnsafeMutableRawBufferPointer(rebasing: target[copied..<copied + length])
                .copyMemory(from: UnsafeRawBufferPointer(start: segment.host + start, count: length))
            copied += length
        }
        return copied
    }

    /// Copies `source` to `offset` and on; returns how many bytes fitted.
    @discardableResult
    public func copyIn(at offset: Int = 0, from source: UnsafeRawBufferPointer) -> Int {
        var copied = 0
        forEachPiece(offset, source.count) { segment, start, length in
            UnsafeMutableRawBufferPointer(start: segment.host + start, count: length)
                .copyMemory(from: UnsafeRawBufferPointer(rebasing: source[copied..<copied + length]))
            memory.didWriteMemory(segment.address &+ UInt64(start), length)
            copied += length
        }
        return copied
    }

    @discardableResult
    public func copyIn(at offset: Int = 0, _ bytes: [UInt8]) -> Int {
        bytes.withUnsafeBytes { copyIn(at: offset, from: $0) }
    }

    /// Up to `length` bytes from `offset` on, as an array.
    public func bytes(at offset: Int = 0, _ length: Int) -> [UInt8] {
        let available = max(0, min(length, count - offset))
        return [UInt8](unsafeUninitializedCapacity: available) { buffer, initialized in
            initialized = copyOut(at: offset, into: UnsafeMutableRawBufferPointer(buffer))
        }
    }

    /// A little-endian integer at `offset`; nil when the run ends before.
    public func load<T: FixedWidthInteger>(at offset: Int, as type: T.Type = T.self) -> T? {
        var value: T = 0
        let copied = withUnsafeMutableBytes(of: &value) { copyOut(at: offset, into: $0) }
        return copied == MemoryLayout<T>.size ? T(littleEndian: value) : nil
    }

    /// Stores a little-endian integer at `offset`; false, having stored part of it, when the run ends before.
    @discardableResult
    public func store<T: FixedWidthInteger>(at offset: Int, _ value: T) -> Bool {
        withUnsafeBytes(of: value.littleEndian) { copyIn(at: offset, from: $0) } == MemoryLayout<T>.size
    }

    /// The part of the run that starts at `offset` and is at most `length` bytes long.
    public func slice(_ offset: Int, _ length: Int) -> GuestBuffer {
        var parts: [GuestSegment] = []
        forEachPiece(offset, length) { segment, start, length in
            parts.append(GuestSegment(address: segment.address &+ UInt64(start), host: segment.host + start, length: length))
        }
        return GuestBuffer(memory, parts)
    }

    /// The run as host memory, for vectored I/O. Valid while the address space lives. Call `didWrite` after filling it.
    public var hostBuffers: [UnsafeMutableRawBufferPointer] {
        segments.map { UnsafeMutableRawBufferPointer(start: $0.host, count: $0.length) }
    }

    /// Reports that the whole run was written through `hostBuffers`.
    public func didWrite() {
        for segment in segments { memory.didWriteMemory(segment.address, segment.length) }
    }

    private func forEachPiece(_ offset: Int, _ length: Int, _ body: (GuestSegment, Int, Int) -> Void) {
        guard offset >= 0, length > 0, offset < count else { return }
        var skip = offset
        var left = min(length, count - offset)
        for segment in segments where left > 0 {
            if skip >= segment.length {
                skip -= segment.length
                continue
            }
            let piece = min(segment.length - skip, left)
            body(segment, skip, piece)
            skip = 0
            left -= piece
        }
    }
}

/// One request of a driver: what the device may read, then what it may write (virtio 1.2, 2.6.4).
public struct DescriptorChain {
    /// What the device hands back: the head's index in a split ring, the buffer id in a packed one.
    public let id: UInt16
    /// Slots of the ring it occupies: descriptors in a packed ring, always 1 in a split one.
    public let slots: UInt16
    public let readable: GuestBuffer
    public let writable: GuestBuffer
}

/// A descriptor as it lies in memory, 16 bytes. The last two fields change places between the ring formats.
struct RawDescriptor {
    static let size: UInt64 = 16
    let address: UInt64
    let length: UInt32
    /// Split: flags. Packed: buffer id.
    let word12: UInt16
    /// Split: next. Packed: flags.
    let word14: UInt16

    init?(_ memory: AddressSpace, _ location: UInt64) {
        guard let source = memory.memoryPointer(location, Self.size) else { return nil }
        address = UInt64(littleEndian: source.loadUnaligned(as: UInt64.self))
        length = UInt32(littleEndian: source.loadUnaligned(fromByteOffset: 8, as: UInt32.self))
        word12 = UInt16(littleEndian: source.loadUnaligned(fromByteOffset: 12, as: UInt16.self))
        word14 = UInt16(littleEndian: source.loadUnaligned(fromByteOffset: 14, as: UInt16.self))
    }

    /// Flag bits shared by both formats.
    enum Flags {
        static let next: UInt16 = 1
        static let write: UInt16 = 2
        static let indirect: UInt16 = 4
        /// Packed rings only.
        static let available: UInt16 = 1 << 7
        /// Packed rings only.
        static let used: UInt16 = 1 << 15
    }
}

/// Collects the descriptors of one chain and refuses what no driver may do.
struct ChainBuilder {
    private let memory: AddressSpace
    /// Most descriptors a chain may have, its indirect ones included.
    private let limit: Int
    private var readable: [GuestSegment] = []
    private var writable: [GuestSegment] = []
    private var total: UInt64 = 0
    private var descriptors = 0

    init(_ memory: AddressSpace, limit: Int) {
        self.memory = memory
        self.limit = limit
    }

    mutating func add(address: UInt64, length: UInt32, isWrite: Bool) throws(VirtqueueError) {
        descriptors += 1
        guard descriptors <= limit else { throw VirtqueueError("descriptor chain is longer than \(limit) (a loop?)") }
        total += UInt64(length)
        guard total <= 1 << 32 else { throw VirtqueueError("descriptor chain is longer than 4 GiB") }
        guard isWrite || writable.isEmpty else {
            throw VirtqueueError("device-readable descriptor at \(hex(address)) after a device-writable one")
        }
        if length == 0 { return }
        let host = isWrite
            ? memory.writableMemoryPointer(address, UInt64(length))
            : memory.memoryPointer(address, UInt64(length)).map(UnsafeMutableRawPointer.init(mutating:))
        guard let host else {
            throw VirtqueueError("descriptor for \(length) bytes at \(hex(address)) is not \(isWrite ? "writable " : "")memory")
        }
        let segment = GuestSegment(address: address, host: host, length: Int(length))
        if isWrite { writable.append(segment) } else { readable.append(segment) }
    }

    /// Entries of an indirect table (2.6.5.3, 2.7.7).
    func tableEntries(_ length: UInt32) throws(VirtqueueError) -> Int {
        guard length > 0, length % UInt32(RawDescriptor.size) == 0 else {
            throw VirtqueueError("indirect table of \(length) bytes: not a positive multiple of 16")
        }
        return Int(length / UInt32(RawDescriptor.size))
    }

    func chain(id: UInt16, slots: UInt16) -> DescriptorChain {
        DescriptorChain(id: id, slots: slots, readable: GuestBuffer(memory, readable), writable: GuestBuffer(memory, writable))
    }
}
