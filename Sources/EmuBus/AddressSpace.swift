/// The guest physical address space: memory and register blocks, looked up by address.
///
/// Every access a guest, a page walk or a device's DMA makes by physical address ends here, and is bounds-checked here.
public final class AddressSpace {
    /// A register block on the bus.
    public struct Region {
        public let base: UInt64
        public let size: UInt64
        public let sizes: AccessSizes
        public let device: any MMIODevice

        func contains(_ address: UInt64, _ length: UInt64) -> Bool {
            address >= base && address &- base < size && length <= size &- (address &- base)
        }
    }

    /// Two things asked for the same addresses, or one lies outside the space.
    public struct MapError: Error, CustomStringConvertible {
        public let description: String
    }

    public private(set) var memories: [GuestRAM] = []
    public private(set) var regions: [Region] = []
    private var lastRegion = 0
    /// How often memory was written by others than harts: an LR reservation does not outlive such a write.
    @inlinable
    public var foreignWrites: UInt64 { foreignWriteCount.pointee }
    /// Behind a pointer because harts ask with every LR and SC, and each read of a class's variable would be checked for exclusivity.
    /// SAFETY: allocated with the object and freed with it.
    @usableFromInline let foreignWriteCount: UnsafeMutablePointer<UInt64>
    /// Called after a write that reached memory behind the harts' backs (DMA, loader) touched a page that holds code.
    public var codeWritten: ((_ address: UInt64, _ length: Int) -> Void)?

    public init() {
        foreignWriteCount = .allocate(capacity: 1)
        foreignWriteCount.initialize(to: 0)
    }

    deinit { foreignWriteCount.deallocate() }

    /// Adds memory. Throws when the range is already taken.
    public func map(_ memory: GuestRAM, name: String) throws(MapError) {
        try refuseOverlap(memory.base, memory.size, name)
        memories.append(memory)
    }

    /// Adds a register block. Throws when the range is already taken, naming both owners.
    public func map(_ device: any MMIODevice, at base: UInt64, size: UInt64, sizes: AccessSizes = .any) throws(MapError) {
        try refuseOverlap(base, size, device.name)
        regions.append(Region(base: base, size: size, sizes: sizes, device: device))
        regions.sort { $0.base < $1.base }
        lastRegion = 0
    }

    private func refuseOverlap(_ base: UInt64, _ size: UInt64, _ name: String) throws(MapError) {
        guard size > 0, base &+ (size - 1) >= base else {
            throw MapError(description: "\(name): \(hex(size)) bytes at \(hex(base)) do not fit the address space")
        }
        let last = base + (size - 1)
        for region in regions where base <= region.base + (region.size - 1) && region.base <= last {
            throw MapError(description: "\(name) at \(hex(base)) overlaps \(region.device.name) at \(hex(region.base))")
        }
        for memory in memories where base <= memory.base + (memory.size - 1) && memory.base <= last {
            throw MapError(description: "\(name) at \(hex(base)) overlaps memory at \(hex(memory.base))")
        }
    }

    // MARK: Memory

    /// The memory that holds all of `length` bytes at `address`, if one does.
    @inlinable
    public func memory(at address: UInt64, length: UInt64 = 1) -> GuestRAM? {
        for memory in memories where memory.contains(address, length) { return memory }
        return nil
    }

    /// Host pointer to `length` bytes of memory (RAM or ROM) at `address`; nil when not all of them are memory.
    /// SAFETY: valid while the address space lives. Writers must use `writeMemory`, which keeps translated code honest.
    @inlinable
    public func memoryPointer(_ address: UInt64, _ length: UInt64) -> UnsafeRawPointer? {
        guard let memory = memory(at: address, length: length) else { return nil }
        return UnsafeRawPointer(memory.host + Int(address &- memory.base))
    }

    /// Copies memory out (device DMA, debugger). Returns false, having copied nothing, when not all of it is memory.
    public func readMemory(_ address: UInt64, into buffer: UnsafeMutableRawBufferPointer) -> Bool {
        guard let source = memoryPointer(address, UInt64(buffer.count)) else { return false }
        buffer.copyMemory(from: UnsafeRawBufferPointer(start: source, count: buffer.count))
        return true
    }

    /// Copies into RAM (device DMA, debugger) and drops translations of the code it overwrites.
    /// Returns false, having written nothing, when not all of the range is writable memory.
    public func writeMemory(_ address: UInt64, from bytes: UnsafeRawBufferPointer) -> Bool {
        guard let memory = memory(at: address, length: UInt64(bytes.count)), !memory.isReadOnly else { return false }
        (memory.host + Int(address &- memory.base)).copyMemory(from: bytes.baseAddress ?? UnsafeRawPointer(memory.host), byteCount: bytes.count)
        foreignWriteCount.pointee &+= 1
        noteWrite(memory, address, bytes.count)
        return true
    }

    /// Host pointer to `length` bytes of writable RAM, for backends that fill guest memory themselves
    /// (`readv` into a guest buffer). Call `didWriteMemory` afterwards.
    public func writableMemoryPointer(_ address: UInt64, _ length: UInt64) -> UnsafeMutableRawPointer? {
        guard let memory = memory(at: address, length: length), !memory.isReadOnly else { return nil }
        return memory.host + Int(address &- memory.base)
    }

    /// Reports a write made through `writableMemoryPointer`.
    public func didWriteMemory(_ address: UInt64, _ length: Int) {
        foreignWriteCount.pointee &+= 1
        dropCode(address, length)
    }

    /// Drops translations of code in a range a hart's page walk wrote.
    public func dropCode(_ address: UInt64, _ length: Int) {
        guard let memory = memory(at: address, length: UInt64(length)) else { return }
        noteWrite(memory, address, length)
    }

    /// Reads a little-endian integer from memory; nil outside memory. For DMA of rings and descriptors.
    @inlinable
    public func loadMemory<T: FixedWidthInteger>(_ address: UInt64, as type: T.Type) -> T? {
        guard let source = memoryPointer(address, UInt64(MemoryLayout<T>.size)) else { return nil }
        return T(littleEndian: source.loadUnaligned(as: T.self))
    }

    /// Writes a little-endian integer to RAM; false outside RAM.
    public func storeMemory<T: FixedWidthInteger>(_ address: UInt64, _ value: T) -> Bool {
        withUnsafeBytes(of: value.littleEndian) { writeMemory(address, from: $0) }
    }

    private func noteWrite(_ memory: GuestRAM, _ address: UInt64, _ length: Int) {
        guard length > 0, let codeWritten else { return }
        let first = Int((address &- memory.base) >> UInt64(GuestRAM.pageShift))
        let last = Int((address &- memory.base &+ UInt64(length - 1)) >> UInt64(GuestRAM.pageShift))
        for page in first...last where memory.pageFlags[page] & GuestRAM.PageFlags.hasCode != 0 {
            codeWritten(address, length)
            return
        }
    }

    // MARK: Registers

    /// The register block at `address`, if any.
    public func region(at address: UInt64) -> Region? {
        regionIndex(address, 1).map { regions[$0] }
    }

    private func regionIndex(_ address: UInt64, _ length: UInt64) -> Int? {
        if lastRegion < regions.count, regions[lastRegion].contains(address, length) { return lastRegion }
        guard let index = regions.firstIndex(where: { $0.contains(address, length) }) else { return nil }
        lastRegion = index
        return index
    }

    /// A device register read of 1, 2, 4 or 8 bytes; nil is an access fault.
    /// Memory is not looked at: harts reach it through their TLB.
    public func readDevice(_ address: UInt64, size: Int) -> UInt64? {
        guard let index = regionIndex(address, UInt64(size)) else {
            Log.write(.guestErrors, "read of \(size) bytes at unmapped physical address \(hex(address))")
            return nil
        }
        guard accepts(index, address, size) else { return nil }
        return regions[index].device.read(address &- regions[index].base, size: size)
    }

    /// A device register write; false is an access fault.
    public func writeDevice(_ address: UInt64, _ value: UInt64, size: Int) -> Bool {
        guard let index = regionIndex(address, UInt64(size)) else {
            Log.write(.guestErrors, "write of \(size) bytes at unmapped physical address \(hex(address))")
            return false
        }
        guard accepts(index, address, size) else { return false }
        regions[index].device.write(address &- regions[index].base, value, size: size)
        return true
    }

    private func accepts(_ index: Int, _ address: UInt64, _ size: Int) -> Bool {
        let region = regions[index]
        if region.sizes.rawValue & UInt8(size) != 0 && address % UInt64(size) == 0 { return true }
        Log.write(.guestErrors, "\(region.device.name): \(size)-byte access at offset \(hex(address &- region.base)) is not supported")
        return false
    }
}

/// "0x…" in lower case, the form every message of this project uses for addresses.
public func hex(_ value: UInt64) -> String { "0x" + String(value, radix: 16) }
