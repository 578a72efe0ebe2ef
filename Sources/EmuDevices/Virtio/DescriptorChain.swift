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

    init?(_ memory: DMASpace, _ location: UInt64) {
        guard let low = memory.load(location, as: UInt64.self), let high = memory.load(location &+ 8, as: UInt64.self) else { return nil }
        address = low
        length = UInt32(truncatingIfNeeded: high)
        word12 = UInt16(truncatingIfNeeded: high >> 32)
        word14 = UInt16(truncatingIfNeeded: high >> 48)
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
    private let memory: DMASpace
    /// Most descriptors a chain may have, its indirect ones included.
    private let limit: Int
    private var readable: [GuestSegment] = []
    private var writable: [GuestSegment] = []
    private var total: UInt64 = 0
    private var descriptors = 0

    init(_ memory: DMASpace, limit: Int) {
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
        let isMemory = isWrite
            ? memory.append(address, UInt64(length), isWrite: true, to: &writable) : memory.append(address, UInt64(length), isWrite: false, to: &readable)
        guard isMemory else { throw VirtqueueError("descriptor for \(length) bytes at \(hex(address)) is not \(isWrite ? "writable " : "")memory") }
    }

    /// Entries of an indirect table (2.6.5.3, 2.7.7).
    func tableEntries(_ length: UInt32) throws(VirtqueueError) -> Int {
        guard length > 0, length % UInt32(RawDescriptor.size) == 0 else {
            throw VirtqueueError("indirect table of \(length) bytes: not a positive multiple of 16")
        }
        return Int(length / UInt32(RawDescriptor.size))
    }

    func chain(id: UInt16, slots: UInt16) -> DescriptorChain {
        DescriptorChain(id: id, slots: slots, readable: GuestBuffer(memory.bus, readable), writable: GuestBuffer(memory.bus, writable))
    }
}
