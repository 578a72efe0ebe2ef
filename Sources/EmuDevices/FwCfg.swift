import EmuBus

/// QEMU's firmware configuration device in its memory-mapped form: named blobs the host hands to firmware
/// (QEMU documentation, "QEMU Firmware Configuration (fw_cfg) Device").
///
/// Data register at 0 (8 bytes), selector at 8 (2 bytes, big-endian), DMA address at 16 (8 bytes, big-endian).
/// Every item is read-only: writes through the data register are ignored, DMA writes end with the error bit.
public final class FwCfg: MMIODevice, Saveable {
    public static let size: UInt64 = 0x18
    public static let accessSizes: AccessSizes = .any

    /// Well-known selector keys.
    public enum Key {
        public static let signature: UInt16 = 0x00
        /// Feature bits: 1 traditional interface, 2 DMA interface.
        public static let identifier: UInt16 = 0x01
        public static let cpuCount: UInt16 = 0x05
        public static let kernelSize: UInt16 = 0x08
        public static let initrdSize: UInt16 = 0x0B
        public static let bootMenu: UInt16 = 0x0E
        public static let kernelData: UInt16 = 0x11
        public static let initrdData: UInt16 = 0x12
        public static let commandLineSize: UInt16 = 0x14
        public static let commandLineData: UInt16 = 0x15
        public static let directory: UInt16 = 0x19
        /// First key of a named file.
        static let firstFile: UInt16 = 0x20
        /// Bit 14 once asked for writing; the remaining low bits and bit 15 (architecture's own items) are the key.
        static let writeChannel: UInt16 = 0x4000
    }

    private enum Register {
        static let data: UInt64 = 0, selector: UInt64 = 8, dma: UInt64 = 16, dmaLow: UInt64 = 20
    }

    /// Bits of the control field of a DMA descriptor.
    private enum DMA {
        static let error: UInt32 = 1, read: UInt32 = 2, skip: UInt32 = 4, select: UInt32 = 8, write: UInt32 = 16
        static let descriptorSize = 16
        /// What the DMA register reads as: "QEMU CFG".
        static let signature: [UInt8] = Array("QEMU CFG".utf8)
    }

    /// Guest-visible state; the items belong to the machine's configuration.
    public struct State: Codable, Equatable {
        public var key: UInt16 = Key.signature
        /// Position of the next byte in the selected item.
        public var position: UInt64 = 0
        /// High half of the DMA address, waiting for the low half.
        public var dmaHigh: UInt32 = 0
    }

    /// A file that cannot be added.
    public struct ItemError: Error, CustomStringConvertible {
        public let description: String
    }

    public let name: String
    private let bus: AddressSpace
    private let events: EventQueue?
    /// Bytes of a transfer after which the machine looks at the rest of the world.
    private static let longTransfer: UInt64 = 1 << 20
    private var items: [UInt16: [UInt8]] = [:]
    /// Sorted by name, as the directory lists them.
    private var files: [(name: String, data: [UInt8])] = []
    private var current = State()
    /// Contents of the selected item, kept out of the dictionary for the byte-by-byte data register.
    private var selected: [UInt8] = []

    /// - Parameter events: told of long transfers.
    public init(name: String = "fw-cfg", bus: AddressSpace, events: EventQueue? = nil) {
        self.name = name
        self.bus = bus
        self.events = events
        items[Key.signature] = Array("QEMU".utf8)
        items[Key.identifier] = Self.littleEndian(UInt32(3))
        rebuildDirectory()
        select(Key.signature)
    }

    // MARK: Items

    /// Sets the contents of a numbered item (`Key`), below the keys of the named files.
    public func set(_ key: UInt16, _ bytes: [UInt8]) {
        precondition(key < Key.firstFile && key != Key.directory)
        items[key] = bytes
        refreshSelection()
    }

    /// Sets a numbered item to a little-endian integer.
    public func set<T: FixedWidthInteger>(_ key: UInt16, _ value: T) { set(key, Self.littleEndian(value)) }

    /// Adds a named file; its key follows from its place among the names in order.
    /// - Throws: `ItemError` for an empty, too long, non-ASCII or repeated name, a file of 4 GiB or more, or too many files.
    public func addFile(_ fileName: String, _ bytes: [UInt8]) throws(ItemError) {
        guard (1...55).contains(fileName.utf8.count), fileName.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            throw ItemError(description: "fw_cfg file \"\(fileName)\": a name has 1 to 55 printable ASCII characters")
        }
        guard !files.contains(where: { $0.name == fileName }) else {
            throw ItemError(description: "fw_cfg file \"\(fileName)\" is given twice")
        }
        guard UInt32(exactly: bytes.count) != nil else {
            throw ItemError(description: "fw_cfg file \"\(fileName)\" is larger than 4 GiB")
        }
        guard files.count < Int(Key.writeChannel - Key.firstFile) else {
            throw ItemError(description: "fw_cfg file \"\(fileName)\": there is no room for more files")
        }
        let place = files.firstIndex { fileName.utf8.lexicographicallyPrecedes($0.name.utf8) } ?? files.count
        files.insert((fileName, bytes), at: place)
        rebuildDirectory()
        refreshSelection()
    }

    /// Replaces a named file, or takes it away; adds it where there is none. Software that looked up keys before has to do so again.
    /// - Throws: as `addFile`.
    public func setFile(_ fileName: String, _ bytes: [UInt8]?) throws(ItemError) {
        if let place = files.firstIndex(where: { $0.name == fileName }) {
            files.remove(at: place)
            items[Key.firstFile + UInt16(files.count)] = nil
            rebuildDirectory()
            refreshSelection()
        }
        if let bytes { try addFile(fileName, bytes) }
    }

    private func rebuildDirectory() {
        var directory = Self.bigEndian(UInt32(files.count))
        for (index, file) in files.enumerated() {
            let key = Key.firstFile + UInt16(index)
            items[key] = file.data
            directory += Self.bigEndian(UInt32(file.data.count)) + Self.bigEndian(key) + [0, 0]
            directory += Array(file.name.utf8).fitted(to: 56, filler: 0)
        }
        items[Key.directory] = directory
    }

    private static func littleEndian<T: FixedWidthInteger>(_ value: T) -> [UInt8] {
        withUnsafeBytes(of: value.littleEndian) { Array($0) }
    }

    private static func bigEndian<T: FixedWidthInteger>(_ value: T) -> [UInt8] { littleEndian(value.byteSwapped) }

    private func select(_ key: UInt16) {
        current.key = key & ~Key.writeChannel
        current.position = 0
        refreshSelection()
        if items[current.key] == nil { Log.write(.guestErrors, "\(name): item \(hex(UInt64(current.key))) does not exist") }
    }

    private func refreshSelection() { selected = items[current.key] ?? [] }

    /// Bytes of the selected item from the position on.
    private var remaining: UInt64 { UInt64(selected.count) - min(current.position, UInt64(selected.count)) }

    // MARK: Registers

    public func read(_ offset: UInt64, size: Int) -> UInt64 {
        switch offset {
        case Register.data..<Register.selector:
            // Bytes keep the item's order in the guest's memory, whatever the access width; past the end they are 0.
            var value: UInt64 = 0
            for index in 0..<min(size, Int(remaining)) {
                value |= UInt64(selected[Int(current.position)]) << (8 * UInt64(index))
                current.position += 1
            }
            return value
        case Register.dma...:
            return (0..<size).reduce(0) { value, index in
                value | UInt64(DMA.signature[Int(offset - Register.dma) + index]) << (8 * UInt64(index))
            }
        default:
            Log.write(.guestErrors, "\(name): read of write-only offset \(hex(offset))")
            return 0
        }
    }

    public func write(_ offset: UInt64, _ value: UInt64, size: Int) {
        switch (offset, size) {
        case (Register.selector, 2): select(UInt16(truncatingIfNeeded: value).byteSwapped)
        case (Register.dma, 4): current.dmaHigh = UInt32(truncatingIfNeeded: value).byteSwapped
        case (Register.dmaLow, 4):
            transfer(UInt64(current.dmaHigh) << 32 | UInt64(UInt32(truncatingIfNeeded: value).byteSwapped))
        case (Register.dma, 8): transfer(value.byteSwapped)
        case (Register.data..<Register.selector, _): Log.write(.guestErrors, "\(name): items are read-only")
        default: Log.write(.guestErrors, "\(name): \(size)-byte write at offset \(hex(offset)) is not supported")
        }
    }

    // MARK: DMA

    /// Carries out the descriptor at `address`: control and length (32 bits), address (64 bits), all big-endian.
    private func transfer(_ address: UInt64) {
        current.dmaHigh = 0
        guard bus.memory(at: address, length: UInt64(DMA.descriptorSize)) != nil,
            let control = bus.loadMemory(address, as: UInt32.self)?.byteSwapped,
            let length = bus.loadMemory(address &+ 4, as: UInt32.self)?.byteSwapped,
            let target = bus.loadMemory(address &+ 8, as: UInt64.self)?.byteSwapped
        else {
            Log.write(.guestErrors, "\(name): DMA descriptor at \(hex(address)) is not in memory")
            // The error is reported where the guest will look for it, if that much of the descriptor exists.
            _ = bus.storeMemory(address, DMA.error.byteSwapped)
            return
        }
        if control & DMA.select != 0 { select(UInt16(control >> 16)) }
        var failed = false
        if control & DMA.read != 0 {
            failed = !copyOut(to: target, length: UInt64(length))
        } else if control & DMA.write != 0 {
            failed = true
        } else if control & DMA.skip != 0 {
            current.position += min(UInt64(length), remaining)
        }
        if failed {
            Log.write(.guestErrors, "\(name): DMA control \(hex(UInt64(control))) of \(length) bytes at \(hex(target)) failed")
        }
        if !bus.storeMemory(address, failed ? DMA.error.byteSwapped : 0) {
            Log.write(.guestErrors, "\(name): DMA descriptor at \(hex(address)) is not writable")
        }
    }

    /// Copies the item's next bytes to guest memory, zeros once it is exhausted. False when that is not RAM.
    private func copyOut(to target: UInt64, length: UInt64) -> Bool {
        guard length > 0 else { return true }
        guard let destination = bus.writableMemoryPointer(target, length) else { return false }
        let count = Int(min(length, remaining))
        // SAFETY: the bus vouches for `length` writable bytes; the source slice is inside the item by `remaining`.
        selected.withUnsafeBytes { source in
            if let base = source.baseAddress, count > 0 {
                destination.copyMemory(from: base + Int(current.position), byteCount: count)
            }
        }
        (destination + count).initializeMemory(as: UInt8.self, repeating: 0, count: Int(length) - count)
        bus.didWriteMemory(target, Int(length))
        current.position += UInt64(count)
        if length > Self.longTransfer { events?.yield() }
        return true
    }

    public func reset() {
        current = State()
        refreshSelection()
    }

    // MARK: State

    public var stateName: String { name }

    public var state: State {
        get { current }
        set {
            current = newValue
            refreshSelection()
        }
    }

    // MARK: Device tree

    /// `fw-cfg@…`.
    public func fdtNode(at base: UInt64) -> FDTNode {
        var node = FDTNode("fw-cfg@" + String(base, radix: 16))
        node.set("compatible", "qemu,fw-cfg-mmio")
        node.set("reg", pairs: [base, Self.size])
        node.set("dma-coherent")
        return node
    }
}
