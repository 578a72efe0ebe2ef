import EmuBus

/// What stands between devices and memory and decides where their accesses go: an IOMMU.
protocol DMATranslator: AnyObject {
    /// Where an access of a device goes. The answer counts up to the end of the page of `DMASpace.pageSize` bytes.
    /// - Parameter requester: the device's routing id: bus number, device, function.
    /// - Returns: a physical address; nil for an access that is refused, which whoever is to know has been told of.
    func translate(_ address: UInt64, isWrite: Bool, requester: UInt16) -> UInt64?
}

/// Memory as one device reaches it.
///
/// Addresses are physical ones, unless an IOMMU is between the device and memory; then they are what the IOMMU makes of them, page by page, when
/// the device uses them.
public final class DMASpace {
    /// Translation works on pages of this size.
    static let pageSize: UInt64 = 4096

    /// Physical memory behind it.
    public let bus: AddressSpace
    /// The function whose accesses these are.
    weak var function: PCIFunction?
    /// Nil where nothing is between the device and memory.
    var translator: (any DMATranslator)? { didSet { choose() } }
    /// The device's driver hands it physical addresses whatever there is: a virtio driver without VIRTIO_F_ACCESS_PLATFORM.
    var usesPhysicalAddresses = false { didSet { choose() } }
    /// `translator`, when it is in use.
    private var active: (any DMATranslator)?

    /// Accesses go to `bus`, untranslated until there is a translator.
    public init(_ bus: AddressSpace) { self.bus = bus }

    private func choose() { active = usesPhysicalAddresses ? nil : translator }

    /// Addresses are translated, so that nothing is known of them before they are used.
    var isTranslated: Bool { active != nil }

    /// The physical address of what lies at `address`, up to the end of its page.
    private func physical(_ address: UInt64, isWrite: Bool) -> UInt64? {
        guard let active else { return address }
        return active.translate(address, isWrite: isWrite, requester: function?.requesterID ?? 0)
    }

    // MARK: Small accesses

    /// A little-endian integer; nil where no memory is.
    @inline(__always)
    func load<T: FixedWidthInteger>(_ address: UInt64, as type: T.Type) -> T? {
        active == nil ? bus.loadMemory(address, as: type) : loadTranslated(address, as: type)
    }

    @inline(never)
    private func loadTranslated<T: FixedWidthInteger>(_ address: UInt64, as type: T.Type) -> T? {
        var value: T = 0
        return withUnsafeMutableBytes(of: &value) { read(address, into: $0) } ? T(littleEndian: value) : nil
    }

    /// Writes a little-endian integer; false where no RAM is.
    func store<T: FixedWidthInteger>(_ address: UInt64, _ value: T) -> Bool {
        withUnsafeBytes(of: value.littleEndian) { write(address, from: $0) }
    }

    /// Copies memory out; false, with part of it copied, where not all of it is memory.
    func read(_ address: UInt64, into buffer: UnsafeMutableRawBufferPointer) -> Bool {
        forEachPage(address, buffer.count, isWrite: false) { address, range in
            bus.readMemory(address, into: UnsafeMutableRawBufferPointer(rebasing: buffer[range]))
        }
    }

    /// Copies into memory; false, with part of it copied, where not all of it is RAM.
    func write(_ address: UInt64, from bytes: UnsafeRawBufferPointer) -> Bool {
        forEachPage(address, bytes.count, isWrite: true) { address, range in
            bus.writeMemory(address, from: UnsafeRawBufferPointer(rebasing: bytes[range]))
        }
    }

    /// Gives `body` physical addresses and the parts of `count` bytes that lie there, until it returns false.
    private func forEachPage(_ address: UInt64, _ count: Int, isWrite: Bool, _ body: (UInt64, Range<Int>) -> Bool) -> Bool {
        guard active != nil else { return body(address, 0..<count) }
        var done = 0
        while done < count {
            let position = address &+ UInt64(done)
            let length = min(count - done, Int(Self.pageSize - position % Self.pageSize))
            guard let physical = physical(position, isWrite: isWrite), body(physical, done..<done + length) else { return false }
            done += length
        }
        return true
    }

    // MARK: Buffers

    /// All of `length` bytes are memory, as far as that is known beforehand.
    func isMemory(_ address: UInt64, _ length: UInt64, isWrite: Bool) -> Bool {
        isTranslated || (isWrite ? bus.writableMemoryPointer(address, length) != nil : bus.memoryPointer(address, length) != nil)
    }

    /// Adds the memory that holds `length` bytes, at least 1, at `address`; false, with nothing added that counts, where not all of it is memory.
    func append(_ address: UInt64, _ length: UInt64, isWrite: Bool, to segments: inout [GuestSegment]) -> Bool {
        guard active != nil else { return appendPhysical(address, length, isWrite, &segments) }
        // Pages that follow each other in physical memory, too, are one piece.
        var start: UInt64 = 0, run: UInt64 = 0, done: UInt64 = 0
        while done < length {
            let position = address &+ done
            let piece = min(length - done, Self.pageSize - position % Self.pageSize)
            guard let physical = physical(position, isWrite: isWrite) else { return false }
            if run > 0, physical != start &+ run {
                guard appendPhysical(start, run, isWrite, &segments) else { return false }
                run = 0
            }
            if run == 0 { start = physical }
            run += piece
            done += piece
        }
        return appendPhysical(start, run, isWrite, &segments)
    }

    private func appendPhysical(_ address: UInt64, _ length: UInt64, _ isWrite: Bool, _ segments: inout [GuestSegment]) -> Bool {
        // SAFETY: the address space finds all of the range in one memory, which lives as long as the machine; only what was asked for
        // as writable is written to.
        let host = isWrite
            ? bus.writableMemoryPointer(address, length) : bus.memoryPointer(address, length).map(UnsafeMutableRawPointer.init(mutating:))
        guard let host else { return false }
        segments.append(GuestSegment(address: address, host: host, length: Int(length)))
        return true
    }
}
