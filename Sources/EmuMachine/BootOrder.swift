import EmuDevices

/// A device that firmware may boot from, as far as its transport does not matter.
struct BootDevice {
    /// What `-boot order=` calls it.
    enum Kind: Character {
        case disk = "c", optical = "d", network = "n"
    }

    let kind: Kind
    /// `bootindex=`: the lowest is tried first; nil where none was given.
    let index: UInt64?
    /// What its PCI function is called in an Open Firmware path.
    let functionName: String
    /// What is below its transport in such a path.
    let unit: String
}

/// Which devices firmware tries, and in which order: fw_cfg's `bootorder`.
struct BootOrder {
    private var devices: [(device: BootDevice, path: String)] = []

    /// - Parameter transport: the Open Firmware path of the transport the device is on.
    mutating func add(_ device: BootDevice, on transport: String) { devices.append((device, transport + "/" + device.unit)) }

    /// Open Firmware paths: those with an index first, in its order; then those of the kinds that `letters` (`-boot order=`) names, in the
    /// order of the letters.
    func paths(_ letters: String) -> [String] {
        let indexed = devices.filter { $0.device.index != nil }.sorted { ($0.device.index ?? 0) < ($1.device.index ?? 0) }
        let others = letters.flatMap { letter in devices.filter { $0.device.index == nil && $0.device.kind.rawValue == letter } }
        return (indexed + others).map(\.path)
    }
}

extension PCIFunction {
    /// Where the function is, in an Open Firmware path, below the path of its bus ("/pci@30000000").
    /// - Parameter name: what the function is called.
    func openFirmwareNode(_ name: String) -> String {
        "/\(name)@" + String(slot.device, radix: 16) + (slot.function == 0 ? "" : "," + String(slot.function, radix: 16))
    }
}
