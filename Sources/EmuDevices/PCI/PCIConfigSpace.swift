/// Offsets of the configuration registers every function has (PCI Express Base 5.0, 7.5.1).
public enum PCIRegister {
    public static let vendorID = 0x00
    public static let deviceID = 0x02
    public static let command = 0x04
    public static let status = 0x06
    public static let revisionID = 0x08
    /// Three bytes: programming interface, subclass, class.
    public static let classCode = 0x09
    public static let headerType = 0x0e
    public static let bars = 0x10
    public static let subsystemVendorID = 0x2c
    public static let subsystemID = 0x2e
    public static let capabilities = 0x34
    public static let interruptLine = 0x3c
    public static let interruptPin = 0x3d
    /// First byte that the header does not define.
    public static let headerEnd = 0x40
    /// First byte only PCI Express functions have.
    public static let extended = 0x100
}

/// Bits of the command register.
public enum PCICommand {
    public static let io: UInt16 = 1 << 0
    public static let memory: UInt16 = 1 << 1
    public static let busMaster: UInt16 = 1 << 2
    public static let parityErrorResponse: UInt16 = 1 << 6
    public static let serrEnable: UInt16 = 1 << 8
    public static let interruptDisable: UInt16 = 1 << 10
}

/// Bits of the status register.
public enum PCIStatus {
    public static let interrupt: UInt16 = 1 << 3
    public static let hasCapabilities: UInt16 = 1 << 4
}

/// Capability ids (7.5.2, 7.7, 7.8, 7.9).
public enum PCICapability {
    public static let powerManagement: UInt8 = 0x01
    public static let vendorSpecific: UInt8 = 0x09
    public static let subsystemID: UInt8 = 0x0d
    public static let express: UInt8 = 0x10
    public static let msix: UInt8 = 0x11
}

/// The configuration space of one function as bytes, with a mask of what software may change.
///
/// Little-endian. It knows no meaning: who owns it acts on what was written.
public struct PCIConfigSpace {
    /// Bytes of a conventional function's space and of a PCI Express function's.
    public static let conventionalSize = 0x100
    public static let expressSize = 0x1000

    /// What software reads.
    public private(set) var bytes: [UInt8]
    private var powerOn: [UInt8]
    /// Bits that take what software writes.
    private var writable: [UInt8]
    /// Bits that software clears by writing 1.
    private var clearable: [UInt8]
    /// Where the next capability goes, and the byte that will point to it.
    private var freeOffset = PCIRegister.headerEnd
    private var link = PCIRegister.capabilities

    /// - Parameter size: bytes; all are zero and read-only at first.
    public init(size: Int) {
        bytes = Array(repeating: 0, count: size)
        powerOn = bytes
        writable = bytes
        clearable = bytes
    }

    /// Bytes.
    public var count: Int { bytes.count }

    // MARK: For the function

    /// Gives a register its power-on value, and says which bits software may write, and which it clears by writing 1.
    public mutating func define<T: FixedWidthInteger>(_ offset: Int, _ value: T, writable mask: T = 0, clearable clears: T = 0) {
        put(value, into: &powerOn, offset)
        put(value, into: &bytes, offset)
        put(mask, into: &writable, offset)
        put(clears, into: &clearable, offset)
    }

    /// Adds a capability of `size` bytes, its two-byte header included, to the list; returns its offset.
    public mutating func addCapability(_ id: UInt8, size: Int) -> Int {
        let offset = freeOffset
        freeOffset = (offset + size + 3) & ~3
        precondition(freeOffset <= PCIRegister.extended, "capabilities do not fit")
        define(link, UInt8(offset))
        define(offset, id)
        link = offset + 1
        define(PCIRegister.status, self[PCIRegister.status] | PCIStatus.hasCapabilities)
        return offset
    }

    /// A register as the function reads and changes it, whatever software may do.
    public subscript<T: FixedWidthInteger>(_ offset: Int, as type: T.Type = T.self) -> T {
        get {
            var value: T = 0
            for index in 0..<MemoryLayout<T>.size { value |= T(truncatingIfNeeded: UInt64(bytes[offset + index]) << UInt64(8 * index)) }
            return value
        }
        set { put(newValue, into: &bytes, offset) }
    }

    /// Every register gets its power-on value.
    public mutating func reset() { bytes = powerOn }

    /// Takes over what software had written; the other bits are the function's to set again.
    public mutating func restore(_ saved: [UInt8]) {
        guard saved.count == bytes.count else { return }
        for index in bytes.indices {
            let mask = writable[index] | clearable[index]
            bytes[index] = saved[index] & mask | powerOn[index] & ~mask
        }
    }

    private func put<T: FixedWidthInteger>(_ value: T, into target: inout [UInt8], _ offset: Int) {
        for index in 0..<MemoryLayout<T>.size { target[offset + index] = UInt8(truncatingIfNeeded: value >> T(8 * index)) }
    }

    // MARK: For software

    /// `size` bytes at `offset`; what lies outside reads as ones, as where no function answers.
    public func read(_ offset: Int, size: Int) -> UInt32 {
        guard offset >= 0, size <= 4, offset + size <= bytes.count else { return .max }
        return (0..<size).reduce(0) { $0 | UInt32(bytes[offset + $1]) << UInt32(8 * $1) }
    }

    /// Changes the writable bits of `size` bytes at `offset` and clears what 1 is written to; what lies outside stays as it is.
    public mutating func write(_ offset: Int, _ value: UInt32, size: Int) {
        guard offset >= 0, size <= 4, offset + size <= bytes.count else { return }
        for index in 0..<size {
            let position = offset + index
            let byte = UInt8(truncatingIfNeeded: value >> UInt32(8 * index))
            let mask = writable[position]
            bytes[position] = (bytes[position] & ~mask | byte & mask) & ~(byte & clearable[position])
        }
    }
}
