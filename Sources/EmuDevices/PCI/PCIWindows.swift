import EmuBus

/// The memory-mapped configuration space: 4 KiB for each function of each bus.
final class PCIConfigWindow: MMIODevice {
    let name = "pci-ecam"
    /// The host owns its windows.
    private unowned let host: PCIHost

    init(_ host: PCIHost) { self.host = host }

    private func function(_ offset: UInt64) -> PCIFunction? {
        let slot = PCISlot(device: Int(offset >> 15 & 31), function: Int(offset >> 12 & 7))
        return host.device(bus: Int(offset >> 20), slot)?.function
    }

    /// Where no function answers, everything reads as ones: that is how software finds out.
    func read(_ offset: UInt64, size: Int) -> UInt64 {
        answer(function(offset)?.readConfig(Int(offset & 0xfff), size: size), size)
    }

    /// Registers whose reading does something show what the latest reading left in them.
    func peek(_ offset: UInt64, size: Int) -> UInt64? {
        answer(function(offset)?.config.read(Int(offset & 0xfff), size: size), size)
    }

    private func answer(_ value: UInt32?, _ size: Int) -> UInt64 { UInt64(value ?? .max) & .max >> UInt64(64 - 8 * size) }

    func write(_ offset: UInt64, _ value: UInt64, size: Int) {
        function(offset)?.writeConfig(Int(offset & 0xfff), UInt32(truncatingIfNeeded: value), size: size)
    }

    func reset() { host.reset() }
}

/// Addresses of the host that are passed on to the functions.
final class PCIAddressWindow: MMIODevice {
    let hasHostWork = true
    let name: String
    /// The host owns its windows.
    private unowned let host: PCIHost
    private let isIO: Bool
    /// PCI address of the window's start.
    private let base: UInt64

    init(_ host: PCIHost, _ name: String, isIO: Bool, base: UInt64) {
        self.host = host
        self.name = name
        self.isIO = isIO
        self.base = base
    }

    func read(_ offset: UInt64, size: Int) -> UInt64 { host.read(isIO, base &+ offset, size: size) }
    func peek(_ offset: UInt64, size: Int) -> UInt64? { host.peek(isIO, base &+ offset, size: size) }
    func write(_ offset: UInt64, _ value: UInt64, size: Int) { host.write(isIO, base &+ offset, value, size: size) }
    func reset() {}
}
