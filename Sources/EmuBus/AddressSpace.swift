/// A range of memory on the bus: what a `GuestRAM` says of itself as a trivial value, so that looking one up counts no references.
///
/// SAFETY: the pointers are valid while the address space lives, which keeps the `GuestRAM`.
public struct MappedMemory {
    public let base: UInt64
    public let size: UInt64
    public let host: UnsafeMutableRawPointer
    public let isReadOnly: Bool
    public let pageFlags: UnsafeMutablePointer<UInt8>
    public let codeMap: UnsafeMutablePointer<UInt64>
    public let pageRecords: UnsafeMutablePointer<GuestRAM.PageRecord>
    /// Loads find the memory, too. (Only a device's can be fetched from and not be loaded from.)
    public fileprivate(set) var answersLoads = true

    init(_ memory: GuestRAM) {
        base = memory.base
        size = memory.size
        host = memory.host
        isReadOnly = memory.isReadOnly
        pageFlags = memory.pageFlags
        codeMap = memory.codeMap
        pageRecords = memory.pageRecords
    }

    /// Number of the page that holds `address`, which lies inside.
    @inlinable
    public func page(of address: UInt64) -> Int { Int(truncatingIfNeeded: (address &- base) >> UInt64(GuestRAM.pageShift)) }

    /// Where `address`, which lies inside, is kept.
    @inlinable
    public func pointer(to address: UInt64) -> UnsafeMutableRawPointer { host + Int(truncatingIfNeeded: address &- base) }
}

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
    private var deviceMemories: [GuestRAM] = []
    /// All that instructions are fetched from: `memories`, and what devices keep for that.
    public var codeMemories: [GuestRAM] { memories + deviceMemories }
    /// How often memory was written by others than harts: an LR reservation does not outlive such a write.
    @inlinable
    public var foreignWrites: UInt64 { tables.pointee.foreignWrites }
    /// Where `foreignWrites` is counted.
    /// SAFETY: valid while the address space lives.
    public var foreignWriteCount: UnsafePointer<UInt64> {
        UnsafePointer((UnsafeMutableRawPointer(tables) + (MemoryLayout<Tables>.offset(of: \.foreignWrites) ?? 0)).assumingMemoryBound(to: UInt64.self))
    }
    /// What accesses look at, behind a pointer because each use of a class's variable would be checked for exclusivity.
    /// SAFETY: allocated with the object and freed with it; so are the tables it points to, which hold what their counts say.
    @usableFromInline let tables: UnsafeMutablePointer<Tables>

    @usableFromInline
    struct Tables {
        /// `memories`, largest first.
        @usableFromInline var memories: UnsafeMutablePointer<MappedMemory>
        @usableFromInline var memoryCount = 0
        /// Entries that follow in `memories`: what devices let instructions be fetched from, and loads while they say so.
        var deviceMemoryCount = 0
        /// `regions`, by address, and the one used last.
        var regions: UnsafeMutablePointer<Port>
        var regionCount = 0
        var lastRegion = 0
        @usableFromInline var foreignWrites: UInt64 = 0
    }

    /// Called when loads from some addresses find memory where they found a device, or the other way round.
    public var loadsMoved: (() -> Void)?

    /// Called after a write that reached memory behind the harts' backs (DMA, loader) touched a page that holds code.
    public var codeWritten: ((_ address: UInt64, _ length: Int) -> Void)?

    /// A register block as accesses find it, without a reference to count.
    struct Port {
        let base: UInt64
        let size: UInt64
        let sizes: AccessSizes
        /// Retained by the table.
        let device: Unmanaged<Device>

        init(_ region: Region) {
            base = region.base
            size = region.size
            sizes = region.sizes
            device = .passRetained(Device(region.device))
        }

        @inline(__always)
        func contains(_ address: UInt64, _ length: UInt64) -> Bool {
            address >= base && address &- base < size && length <= size &- (address &- base)
        }
    }

    /// Holds what an `Unmanaged` cannot.
    final class Device {
        let device: any MMIODevice

        init(_ device: any MMIODevice) { self.device = device }
    }

    public init() {
        tables = .allocate(capacity: 1)
        tables.initialize(to: Tables(memories: .allocate(capacity: 0), regions: .allocate(capacity: 0)))
    }

    deinit {
        tables.pointee.memories.deallocate()
        dropPorts()
        tables.deallocate()
    }

    private func dropPorts() {
        for index in 0..<tables.pointee.regionCount { tables.pointee.regions[index].device.release() }
        tables.pointee.regions.deallocate()
    }

    /// Adds memory. Throws when the range is already taken.
    public func map(_ memory: GuestRAM, name: String) throws(MapError) {
        try refuseOverlap(memory.base, memory.size, name)
        memories.append(memory)
        listMemories()
    }

    private func listMemories() {
        let all = memories.sorted { $0.size > $1.size } + deviceMemories
        tables.pointee.memories.deallocate()
        tables.pointee.memories = .allocate(capacity: all.count)
        for (index, each) in all.enumerated() {
            var entry = MappedMemory(each)
            entry.answersLoads = index < memories.count
            (tables.pointee.memories + index).initialize(to: entry)
        }
        tables.pointee.memoryCount = memories.count
        tables.pointee.deviceMemoryCount = deviceMemories.count
    }

    /// Lets loads find `code`, which was mapped with its device, without asking the device each time, or ends that. For devices that are
    /// memory most of the time.
    public func setLoads(from code: GuestRAM, isDirect: Bool) {
        let first = tables.pointee.memories + tables.pointee.memoryCount
        for index in 0..<tables.pointee.deviceMemoryCount where first[index].base == code.base && first[index].answersLoads != isDirect {
            first[index].answersLoads = isDirect
            loadsMoved?()
        }
    }

    /// Adds a register block. Throws when the range is already taken, naming both owners.
    /// - Parameter code: what instructions in the block's range are fetched from; loads and stores are the device's (but see `setLoads`).
    public func map(_ device: any MMIODevice, at base: UInt64, size: UInt64, sizes: AccessSizes = .any, code: GuestRAM? = nil) throws(MapError) {
        try refuseOverlap(base, size, device.name)
        if let code {
            precondition(code.base == base && code.size == size)
            deviceMemories.append(code)
            listMemories()
        }
        regions.append(Region(base: base, size: size, sizes: sizes, device: device))
        regions.sort { $0.base < $1.base }
        dropPorts()
        tables.pointee.regions = .allocate(capacity: regions.count)
        for (index, each) in regions.enumerated() { (tables.pointee.regions + index).initialize(to: Port(each)) }
        tables.pointee.regionCount = regions.count
        tables.pointee.lastRegion = 0
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
    @inlinable @inline(__always)
    public func memory(at address: UInt64, length: UInt64 = 1) -> MappedMemory? {
        memoryHolding(address, length)?.pointee
    }

    @inlinable @inline(__always)
    func memoryHolding(_ address: UInt64, _ length: UInt64) -> UnsafeMutablePointer<MappedMemory>? {
        let first = tables.pointee.memories
        // The largest one is nearly always the one.
        if tables.pointee.memoryCount > 0 {
            let offset = address &- first.pointee.base, size = first.pointee.size
            if offset <= size && length <= size &- offset { return first }
        }
        return searchMemory(address, length)
    }

    @usableFromInline @inline(never)
    func searchMemory(_ address: UInt64, _ length: UInt64) -> UnsafeMutablePointer<MappedMemory>? {
        let memories = tables.pointee.memories
        for index in 0..<tables.pointee.memoryCount {
            let offset = address &- memories[index].base, size = memories[index].size
            if offset <= size && length <= size &- offset { return memories + index }
        }
        return nil
    }

    /// The memory instructions at `address` are fetched from: RAM, ROM, or what a device such as flash keeps for that.
    @inlinable @inline(__always)
    public func codeMemory(at address: UInt64, length: UInt64 = 1) -> MappedMemory? {
        memory(at: address, length: length) ?? deviceMemory(at: address, length: length)
    }

    /// A little-endian integer of what instructions at `address` are fetched from; nil where that is nothing.
    public func loadCode<T: FixedWidthInteger>(_ address: UInt64, as type: T.Type) -> T? {
        // SAFETY: `codeMemory` vouches for the bytes.
        codeMemory(at: address, length: UInt64(MemoryLayout<T>.size)).map { T(littleEndian: $0.pointer(to: address).loadUnaligned(as: T.self)) }
    }

    /// The memory loads from `address` may find without asking a device.
    @inlinable @inline(__always)
    public func loadMemory(at address: UInt64, length: UInt64 = 1) -> MappedMemory? {
        if let memory = memory(at: address, length: length) { return memory }
        guard let memory = deviceMemory(at: address, length: length), memory.answersLoads else { return nil }
        return memory
    }

    @usableFromInline @inline(never)
    func deviceMemory(at address: UInt64, length: UInt64) -> MappedMemory? {
        let first = tables.pointee.memoryCount
        for index in first..<first + tables.pointee.deviceMemoryCount {
            let memory = tables.pointee.memories + index
            let offset = address &- memory.pointee.base
            if offset <= memory.pointee.size && length <= memory.pointee.size &- offset { return memory.pointee }
        }
        return nil
    }

    /// Host pointer to `length` bytes of memory (RAM or ROM) at `address`; nil when not all of them are memory.
    /// SAFETY: valid while the address space lives. Writers must use `writeMemory`, which keeps translated code honest.
    @inlinable @inline(__always)
    public func memoryPointer(_ address: UInt64, _ length: UInt64) -> UnsafeRawPointer? {
        guard let memory = memoryHolding(address, length) else { return nil }
        return UnsafeRawPointer(memory.pointee.host + Int(truncatingIfNeeded: address &- memory.pointee.base))
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
        tables.pointee.foreignWrites &+= 1
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
        tables.pointee.foreignWrites &+= 1
        dropCode(address, length)
    }

    /// Drops translations of code in a range that a hart's page walk or a device that holds code wrote.
    public func dropCode(_ address: UInt64, _ length: Int) {
        guard let memory = codeMemory(at: address, length: UInt64(length)) else { return }
        noteWrite(memory, address, length)
    }

    /// Reads a little-endian integer from memory; nil outside memory. For DMA of rings and descriptors.
    @inlinable @inline(__always)
    public func loadMemory<T: FixedWidthInteger>(_ address: UInt64, as type: T.Type) -> T? {
        guard let source = memoryPointer(address, UInt64(MemoryLayout<T>.size)) else { return nil }
        return T(littleEndian: source.loadUnaligned(as: T.self))
    }

    /// Writes a little-endian integer to RAM; false outside RAM.
    public func storeMemory<T: FixedWidthInteger>(_ address: UInt64, _ value: T) -> Bool {
        withUnsafeBytes(of: value.littleEndian) { writeMemory(address, from: $0) }
    }

    private func noteWrite(_ memory: MappedMemory, _ address: UInt64, _ length: Int) {
        guard length > 0, let codeWritten else { return }
        for page in memory.page(of: address)...memory.page(of: address &+ UInt64(length - 1)) where memory.pageFlags[page] & GuestRAM.PageFlags.hasCode != 0 {
            codeWritten(address, length)
            return
        }
    }

    // MARK: Registers

    /// The register block at `address`, if any.
    public func region(at address: UInt64) -> Region? {
        regions.first { $0.contains(address, 1) }
    }

    @inline(__always)
    private func regionAt(_ address: UInt64, _ length: UInt64) -> UnsafeMutablePointer<Port>? {
        let last = tables.pointee.regions + tables.pointee.lastRegion
        if tables.pointee.regionCount > 0, last.pointee.contains(address, length) { return last }
        return searchRegion(address, length)
    }

    @inline(never)
    private func searchRegion(_ address: UInt64, _ length: UInt64) -> UnsafeMutablePointer<Port>? {
        for index in 0..<tables.pointee.regionCount where tables.pointee.regions[index].contains(address, length) {
            tables.pointee.lastRegion = index
            return tables.pointee.regions + index
        }
        return nil
    }

    /// A device register read of 1, 2, 4 or 8 bytes; nil is an access fault.
    /// Memory is not looked at: harts reach it through their TLB.
    public func readDevice(_ address: UInt64, size: Int) -> UInt64? {
        guard let region = regionAt(address, UInt64(size)), accepts(region, address, size, .misalignedReads) else {
            logRefusal("read", address, size)
            return nil
        }
        let offset = address &- region.pointee.base
        return region.pointee.device._withUnsafeGuaranteedRef { $0.device.read(offset, size: size) }
    }

    /// A device register write; false is an access fault.
    public func writeDevice(_ address: UInt64, _ value: UInt64, size: Int) -> Bool {
        guard let region = regionAt(address, UInt64(size)), accepts(region, address, size, []) else {
            logRefusal("write", address, size)
            return false
        }
        let offset = address &- region.pointee.base
        region.pointee.device._withUnsafeGuaranteedRef { $0.device.write(offset, value, size: size) }
        return true
    }

    /// The register block takes accesses of `size`, a power of two, at `address`: aligned, or `misaligned` is among its sizes.
    @inline(__always)
    private func accepts(_ region: UnsafeMutablePointer<Port>, _ address: UInt64, _ size: Int, _ misaligned: AccessSizes) -> Bool {
        region.pointee.sizes.rawValue & UInt8(truncatingIfNeeded: size) != 0
            && (address & UInt64(truncatingIfNeeded: size &- 1) == 0 || region.pointee.sizes.rawValue & misaligned.rawValue != 0)
    }

    @inline(never)
    private func logRefusal(_ access: String, _ address: UInt64, _ size: Int) {
        if let region = region(at: address), region.contains(address, UInt64(size)) {
            Log.write(.guestErrors, "\(region.device.name): \(size)-byte access at offset \(hex(address &- region.base)) is not supported")
        } else {
            Log.write(.guestErrors, "\(access) of \(size) bytes at unmapped physical address \(hex(address))")
        }
    }
}

/// "0x…" in lower case, the form every message of this project uses for addresses.
public func hex(_ value: UInt64) -> String { "0x" + String(value, radix: 16) }
