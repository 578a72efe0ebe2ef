import EmuBus

/// A piece of guest memory in a request.
public struct MockBuffer {
    public let address: UInt64
    public let length: Int
    public let isWritable: Bool

    public init(_ address: UInt64, _ length: Int, isWritable: Bool) {
        self.address = address
        self.length = length
        self.isWritable = isWritable
    }
}

/// A virtio driver as a guest would have it: it reaches the device only through its registers and through memory.
///
/// Speaks the legacy layout when the device's version register says 1, the modern one otherwise.
public final class VirtioMockDriver {
    public enum Offset {
        public static let magic: UInt64 = 0x00, version: UInt64 = 0x04, deviceID: UInt64 = 0x08, vendor: UInt64 = 0x0c
        public static let deviceFeatures: UInt64 = 0x10, deviceFeaturesSelect: UInt64 = 0x14
        public static let driverFeatures: UInt64 = 0x20, driverFeaturesSelect: UInt64 = 0x24
        public static let guestPageSize: UInt64 = 0x28, queueSelect: UInt64 = 0x30, queueSizeMax: UInt64 = 0x34
        public static let queueSize: UInt64 = 0x38, queueAlign: UInt64 = 0x3c, queuePFN: UInt64 = 0x40
        public static let queueReady: UInt64 = 0x44, queueNotify: UInt64 = 0x50, interruptStatus: UInt64 = 0x60
        public static let interruptACK: UInt64 = 0x64, status: UInt64 = 0x70
        public static let descriptorArea: UInt64 = 0x80, driverArea: UInt64 = 0x90, deviceArea: UInt64 = 0xa0
        public static let sharedMemoryLength: UInt64 = 0xb0, queueReset: UInt64 = 0xc0
        public static let configGeneration: UInt64 = 0xfc, config: UInt64 = 0x100
    }

    public enum Feature {
        public static let indirect: UInt64 = 1 << 28, eventIndex: UInt64 = 1 << 29
        public static let version1: UInt64 = 1 << 32, packed: UInt64 = 1 << 34, ringReset: UInt64 = 1 << 40
    }

    public let device: any MMIODevice
    public let space: AddressSpace
    public private(set) var features: UInt64 = 0
    private let heap: UInt64
    private var nextFree: UInt64
    public private(set) var queues: [Int: MockQueue] = [:]

    /// - Parameter heap: first guest address the driver may use; it grows upwards.
    public init(_ device: any MMIODevice, _ space: AddressSpace, heap: UInt64) {
        self.device = device
        self.space = space
        self.heap = heap
        nextFree = heap
    }

    /// Makes all memory the driver has allocated so far free again.
    public func freeEverything() { nextFree = heap }

    /// Makes the memory allocated since `mark` was taken free again.
    public func free(downTo mark: UInt64) { nextFree = mark }
    public var heapMark: UInt64 { nextFree }

    // MARK: Registers

    public func read(_ offset: UInt64) -> UInt32 { UInt32(truncatingIfNeeded: device.read(offset, size: 4)) }
    public func write(_ offset: UInt64, _ value: UInt32) { device.write(offset, UInt64(value), size: 4) }
    public var isLegacy: Bool { read(Offset.version) == 1 }
    public var status: UInt32 { read(Offset.status) }

    public func config(_ offset: UInt64, size: Int) -> UInt64 { device.read(Offset.config + offset, size: size) }

    public func offeredFeatures() -> UInt64 {
        write(Offset.deviceFeaturesSelect, 0)
        let low = UInt64(read(Offset.deviceFeatures))
        write(Offset.deviceFeaturesSelect, 1)
        return low | UInt64(read(Offset.deviceFeatures)) << 32
    }

    public func writeFeatures(_ bits: UInt64) {
        features = bits
        write(Offset.driverFeaturesSelect, 0)
        write(Offset.driverFeatures, UInt32(truncatingIfNeeded: bits))
        write(Offset.driverFeaturesSelect, 1)
        write(Offset.driverFeatures, UInt32(truncatingIfNeeded: bits >> 32))
    }

    /// Resets and negotiates the features among `wanted` that are offered. False when the device refused them.
    @discardableResult
    public func negotiate(_ wanted: UInt64 = .max) -> Bool {
        // In Linux's order.
        if isLegacy { write(Offset.guestPageSize, 4096) }
        write(Offset.status, 0)
        queues = [:]
        write(Offset.status, 1)
        write(Offset.status, 3)
        writeFeatures(offeredFeatures() & wanted)
        if isLegacy { return true }
        write(Offset.status, 0xb)
        return status & 8 != 0
    }

    public func ready() { write(Offset.status, isLegacy ? 7 : 0xf) }

    /// Negotiates, sets up queues 0..<`queueCount` of `size` entries and sets DRIVER_OK.
    public func start(_ wanted: UInt64 = .max, queueCount: Int = 1, size: UInt16 = 8) {
        negotiate(wanted)
        for index in 0..<queueCount { setUpQueue(index, size: size) }
        ready()
    }

    @discardableResult
    public func setUpQueue(_ index: Int, size: UInt16) -> MockQueue {
        let isPacked = features & Feature.packed != 0
        let table = allocate(16 * Int(size) + 6 + 2 * Int(size) + 4096 + 6 + 8 * Int(size), alignment: 4096)
        write(Offset.queueSelect, UInt32(index))
        write(Offset.queueSize, UInt32(size))
        let available = table + 16 * UInt64(size)
        let used = (available + 6 + 2 * UInt64(size) + 4095) & ~4095
        if isLegacy {
            write(Offset.queueAlign, 4096)
            write(Offset.queuePFN, UInt32(table >> 12))
        } else {
            for (register, address) in [(Offset.descriptorArea, table), (Offset.driverArea, available), (Offset.deviceArea, used)] {
                write(register, UInt32(truncatingIfNeeded: address))
                write(register + 4, UInt32(truncatingIfNeeded: address >> 32))
            }
            write(Offset.queueReady, 1)
        }
        let queue = MockQueue(self, index: index, size: size, isPacked: isPacked, usesEventIndex: features & Feature.eventIndex != 0,
                              areas: (table, available, used))
        queues[index] = queue
        return queue
    }

    // MARK: Memory

    /// Zeroed guest memory nobody else has.
    public func allocate(_ length: Int, alignment: UInt64 = 16) -> UInt64 {
        let address = (nextFree + alignment - 1) & ~(alignment - 1)
        nextFree = address + UInt64(length)
        store(address, [UInt8](repeating: 0, count: length))
        return address
    }

    public func store(_ address: UInt64, _ bytes: [UInt8]) {
        let stored = bytes.withUnsafeBytes { space.writeMemory(address, from: $0) }
        precondition(stored, "mock driver wrote outside RAM at \(hex(address))")
    }

    public func load(_ address: UInt64, _ length: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: length)
        let loaded = bytes.withUnsafeMutableBytes { space.readMemory(address, into: $0) }
        precondition(loaded, "mock driver read outside RAM at \(hex(address))")
        return bytes
    }

    public func readable(_ bytes: [UInt8]) -> MockBuffer {
        let address = allocate(bytes.count)
        store(address, bytes)
        return MockBuffer(address, bytes.count, isWritable: false)
    }

    public func writable(_ length: Int) -> MockBuffer {
        MockBuffer(allocate(length), length, isWritable: true)
    }

    public func contents(_ buffer: MockBuffer) -> [UInt8] { load(buffer.address, buffer.length) }

    public func acknowledgeInterrupts() { write(Offset.interruptACK, read(Offset.interruptStatus)) }
}

/// The driver's side of one ring, split or packed.
public final class MockQueue {
    public let index: Int
    public let size: UInt16
    public let isPacked: Bool
    public let usesEventIndex: Bool
    /// Split: table, available ring, used ring. Packed: ring, driver events, device events.
    public let areas: (descriptors: UInt64, driver: UInt64, device: UInt64)
    private unowned let driver: VirtioMockDriver
    private var space: AddressSpace { driver.space }
    private var freeIDs: [UInt16]
    /// Descriptors nothing uses.
    public var freeSlots: Int { freeIDs.count }
    /// Split: descriptors of each head. Packed: ring slots of each id.
    private var taken: [UInt16: [UInt16]] = [:]
    public private(set) var nextAvailable: UInt16 = 0
    public private(set) var availableWrap = true
    private var nextUsed: UInt16 = 0
    private var usedWrap = true
    private var lastKick: UInt16 = 0
    private var addedSinceKick: UInt16 = 0

    init(_ driver: VirtioMockDriver, index: Int, size: UInt16, isPacked: Bool, usesEventIndex: Bool,
         areas: (UInt64, UInt64, UInt64)) {
        self.driver = driver
        self.index = index
        self.size = size
        self.isPacked = isPacked
        self.usesEventIndex = usesEventIndex
        self.areas = areas
        freeIDs = (0..<size).reversed()
    }

    public func put<T: FixedWidthInteger>(_ address: UInt64, _ value: T) { _ = space.storeMemory(address, value) }
    public func get<T: FixedWidthInteger>(_ address: UInt64, as type: T.Type = T.self) -> T { space.loadMemory(address, as: T.self)! }

    /// Writes one descriptor; the last two fields are (flags, next) in split rings and (id, flags) in packed ones.
    public func putDescriptor(_ table: UInt64, _ slot: Int, _ address: UInt64, _ length: UInt32, _ word12: UInt16, _ word14: UInt16) {
        let location = table + 16 * UInt64(slot)
        put(location, address)
        put(location + 8, length)
        put(location + 12, word12)
        put(location + 14, word14)
    }

    /// Offers a request; returns its id.
    @discardableResult
    public func add(_ buffers: [MockBuffer], indirect: Bool = false) -> UInt16 {
        isPacked ? addPacked(buffers, indirect) : addSplit(buffers, indirect)
    }

    private func indirectTable(_ buffers: [MockBuffer]) -> UInt64 {
        let table = driver.allocate(16 * buffers.count)
        for (slot, buffer) in buffers.enumerated() {
            let write: UInt16 = buffer.isWritable ? 2 : 0
            if isPacked {
                putDescriptor(table, slot, buffer.address, UInt32(buffer.length), 0, write)
            } else {
                let isLast = slot == buffers.count - 1
                putDescriptor(table, slot, buffer.address, UInt32(buffer.length), write | (isLast ? 0 : 1), isLast ? 0 : UInt16(slot + 1))
            }
        }
        return table
    }

    private func addSplit(_ buffers: [MockBuffer], _ indirect: Bool) -> UInt16 {
        let slots = indirect ? [freeIDs.removeLast()] : buffers.map { _ in freeIDs.removeLast() }
        if indirect {
            putDescriptor(areas.descriptors, Int(slots[0]), indirectTable(buffers), UInt32(16 * buffers.count), 4, 0)
        } else {
            for (position, buffer) in buffers.enumerated() {
                let isLast = position == buffers.count - 1
                putDescriptor(areas.descriptors, Int(slots[position]), buffer.address, UInt32(buffer.length),
                              (buffer.isWritable ? 2 : 0) | (isLast ? 0 : 1), isLast ? 0 : slots[position + 1])
            }
        }
        taken[slots[0]] = slots
        offerHead(slots[0])
        return slots[0]
    }

    /// Split: puts any head, valid or not, into the available ring.
    public func offerHead(_ head: UInt16) {
        put(areas.driver + 4 + 2 * UInt64(nextAvailable % size), head)
        nextAvailable &+= 1
        put(areas.driver + 2, nextAvailable)
        addedSinceKick += 1
    }

    private func addPacked(_ buffers: [MockBuffer], _ indirect: Bool) -> UInt16 {
        let id = freeIDs.removeLast()
        var first: (slot: UInt16, flags: UInt16)?
        var slots: [UInt16] = []
        let count = indirect ? 1 : buffers.count
        for position in 0..<count {
            let marks: UInt16 = availableWrap ? 1 << 7 : 1 << 15
            var flags = marks
            if indirect {
                flags |= 4
                putDescriptor(areas.descriptors, Int(nextAvailable), indirectTable(buffers), UInt32(16 * buffers.count), id, 0)
            } else {
                let buffer = buffers[position]
                flags |= (buffer.isWritable ? 2 : 0) | (position == count - 1 ? 0 : 1)
                let location = areas.descriptors + 16 * UInt64(nextAvailable)
                put(location, buffer.address)
                put(location + 8, UInt32(buffer.length))
                put(location + 12, id)
            }
            slots.append(nextAvailable)
            if position == 0 { first = (nextAvailable, flags) } else { put(areas.descriptors + 16 * UInt64(nextAvailable) + 14, flags) }
            nextAvailable += 1
            addedSinceKick += 1
            if nextAvailable == size {
                nextAvailable = 0
                availableWrap.toggle()
            }
        }
        taken[id] = slots
        if let first { put(areas.descriptors + 16 * UInt64(first.slot) + 14, first.flags) }
        return id
    }

    /// Whether the device wants to hear of what was added since the last kick.
    public var wantsNotification: Bool {
        func passes(_ event: UInt16) -> Bool { nextAvailable &- event &- 1 < addedSinceKick }
        if !isPacked {
            return usesEventIndex ? passes(get(areas.device + 4 + 8 * UInt64(size))) : get(areas.device, as: UInt16.self) & 1 == 0
        }
        let flags: UInt16 = get(areas.device + 2)
        if flags != 2 { return flags == 0 }
        let position: UInt16 = get(areas.device)
        var event = position & 0x7fff
        if (position & 0x8000 != 0) != availableWrap { event &-= size }
        return passes(event)
    }

    /// Notifies the device if it asked for that; returns whether it did.
    @discardableResult
    public func kick() -> Bool {
        let wanted = wantsNotification
        addedSinceKick = 0
        if wanted { notify() }
        return wanted
    }

    public func notify() { driver.write(VirtioMockDriver.Offset.queueNotify, UInt32(index)) }

    /// Requests the device has given back since the last call: id and bytes written.
    public func used() -> [(id: UInt16, written: UInt32)] {
        var result: [(id: UInt16, written: UInt32)] = []
        while let entry = nextUsedEntry() {
            for slot in isPacked ? [entry.id] : taken[entry.id] ?? [] { freeIDs.append(slot) }
            taken[entry.id] = nil
            result.append(entry)
        }
        return result
    }

    private func nextUsedEntry() -> (id: UInt16, written: UInt32)? {
        if !isPacked {
            guard get(areas.device + 2, as: UInt16.self) != nextUsed else { return nil }
            let location = areas.device + 4 + 8 * UInt64(nextUsed % size)
            nextUsed &+= 1
            return (UInt16(truncatingIfNeeded: get(location, as: UInt32.self)), get(location + 4))
        }
        let location = areas.descriptors + 16 * UInt64(nextUsed)
        let flags: UInt16 = get(location + 14)
        guard (flags & 1 << 7 != 0) == usedWrap, (flags & 1 << 15 != 0) == usedWrap else { return nil }
        let id: UInt16 = get(location + 12)
        nextUsed += UInt16(taken[id]?.count ?? 1)
        if nextUsed >= size {
            nextUsed -= size
            usedWrap.toggle()
        }
        return (id, flags & 2 != 0 ? get(location + 8) : 0)
    }

    /// Asks for an interrupt when `count` more requests are used than have been collected (event index only).
    public func requestInterrupt(after count: UInt16) {
        let distance = count - 1
        if !isPacked {
            put(areas.driver + 4 + 2 * UInt64(size), nextUsed &+ distance)
        } else {
            let position = nextUsed + distance
            let wraps = position >= size
            put(areas.driver, (wraps ? position - size : position) | (usedWrap != wraps ? 0x8000 : 0))
            put(areas.driver + 2, UInt16(2))
        }
    }

    /// Switches interrupts off or on by the flags of the ring.
    public func suppressInterrupts(_ suppressed: Bool) {
        put(isPacked ? areas.driver + 2 : areas.driver, UInt16(suppressed ? 1 : 0))
    }
}
