import EmuBus

/// A PCI function as a guest sees it: it reaches the function only through the host bridge's configuration space and windows.
public struct PCIMockFunction {
    public let space: AddressSpace
    /// Physical address of its configuration space.
    public let config: UInt64

    /// - Parameter ecam: physical address of the host bridge's configuration space.
    public init(_ space: AddressSpace, ecam: UInt64, bus: Int = 0, device: Int, function: Int = 0) {
        self.space = space
        config = ecam + UInt64(bus) << 20 + UInt64(device) << 15 + UInt64(function) << 12
    }

    public func read<T: FixedWidthInteger>(_ offset: Int, as type: T.Type = T.self) -> T {
        T(truncatingIfNeeded: space.readDevice(config + UInt64(offset), size: MemoryLayout<T>.size)!)
    }

    public func write<T: FixedWidthInteger>(_ offset: Int, _ value: T) {
        let isTaken = space.writeDevice(config + UInt64(offset), UInt64(truncatingIfNeeded: value), size: MemoryLayout<T>.size)
        precondition(isTaken, "configuration space refused a write at \(hex(UInt64(offset)))")
    }

    public var exists: Bool { read(0, as: UInt32.self) != .max }

    /// Offsets of the capabilities with `id`, in the order of the list.
    public func capabilities(_ id: UInt8) -> [Int] {
        var found: [Int] = []
        var offset = Int(read(0x34, as: UInt8.self))
        var left = 64
        while offset != 0, left > 0 {
            if read(offset, as: UInt8.self) == id { found.append(offset) }
            offset = Int(read(offset + 1, as: UInt8.self))
            left -= 1
        }
        return found
    }

    /// Finds out the size of a base address register as software does; the register keeps its value.
    public func size(ofBAR index: Int) -> UInt64 {
        let offset = 0x10 + 4 * index
        let low: UInt32 = read(offset)
        write(offset, UInt32.max)
        var mask = UInt64(read(offset, as: UInt32.self))
        write(offset, low)
        if low & 1 != 0 { return UInt64(~UInt32(truncatingIfNeeded: mask & ~3) &+ 1) }
        guard low & 4 != 0 else { return mask == 0 ? 0 : UInt64(~UInt32(truncatingIfNeeded: mask & ~0xf) &+ 1) }
        let high: UInt32 = read(offset + 4)
        write(offset + 4, UInt32.max)
        mask |= UInt64(read(offset + 4, as: UInt32.self)) << 32
        write(offset + 4, high)
        return ~(mask & ~0xf) &+ 1
    }

    /// Gives a base address register an address.
    public func place(_ index: Int, at address: UInt64) {
        let offset = 0x10 + 4 * index
        let is64Bit = read(offset, as: UInt32.self) & 7 == 4
        write(offset, UInt32(truncatingIfNeeded: address))
        if is64Bit { write(offset + 4, UInt32(truncatingIfNeeded: address >> 32)) }
    }

    /// Decodes its addresses and may reach memory.
    public func enable() { write(4, UInt16(7)) }
}
