import EmuBus

/// A piece of guest memory that a driver named for a transfer, already checked to be memory.
struct GuestSegment {
    let address: UInt64
    // SAFETY: points at `length` bytes of one GuestRAM of the address space, which outlives every request.
    let host: UnsafeMutableRawPointer
    let length: Int
}

/// The bytes of a request that its device reads, or those that it writes, as one run, wherever the driver put them.
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

    /// Gives the host back the memory of the whole pages in the run, which read as zeros from then on.
    public func discard() {
        for segment in segments { memory.discard(segment.address, UInt64(segment.length)) }
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
