import EmuBus

/// What a driver did to a virtqueue that the specification forbids. The device stops until it is reset.
public struct VirtqueueError: Error, CustomStringConvertible, Sendable {
    public let description: String
    init(_ description: String) { self.description = description }
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
        // SAFETY: all of its bytes are memory of the guest; it may lie at any address.
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
///
/// SAFETY: host addresses come from `AddressSpace`, for as many bytes as it was asked for, all of them memory of the guest that lives as long as the
/// machine; what is readable only stays so, as a `GuestBuffer` of readable segments is never written to.
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
