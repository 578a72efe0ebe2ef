import EmuBus

/// The devices on one PCI bus: that of the host bridge, or the link behind a root port.
public final class PCIBus {
    /// Devices the slots of a bus can hold.
    public static let maximumDevices = 32

    /// What `bus=` calls it.
    public let name: String
    /// Slots there are: a link has one.
    public let deviceCount: Int
    /// By slot.
    public private(set) var devices: [any PCIDevice] = []
    /// The port above, nil for the host's own bus.
    public private(set) weak var port: PCIeRootPort?
    private weak var rootHost: PCIHost?

    init(name: String, host: PCIHost) {
        self.name = name
        rootHost = host
        deviceCount = Self.maximumDevices
    }

    init(name: String, port: PCIeRootPort) {
        self.name = name
        self.port = port
        deviceCount = 1
    }

    /// As software has numbered it; 0 for one that has no number yet.
    var number: Int { port?.busNumbers?.lowerBound ?? 0 }
    /// The host bridge above, nil while the port is not plugged in.
    public var host: PCIHost? { rootHost ?? port?.function.bus?.host }
    /// Functions on it are on a PCI Express link of their own, not part of the root complex.
    public var isLink: Bool { port != nil }

    /// The function in a slot, nil where none is.
    public func device(at slot: PCISlot) -> (any PCIDevice)? { devices.first { $0.function.slot == slot } }

    /// The lowest slot in which no function is; nil when there is none.
    public var freeSlot: PCISlot? {
        (0..<deviceCount).first { number in !devices.contains { $0.function.slot.device == number } }.map { PCISlot(device: $0) }
    }

    /// Plugs a device in. The slot exists and is free.
    /// - Parameter isMultifunction: tells software to look for functions beyond the first.
    public func plug(_ device: any PCIDevice, at slot: PCISlot, isMultifunction: Bool = false) {
        precondition(self.device(at: slot) == nil && slot.device < deviceCount)
        let function = device.function
        function.bus = self
        function.slot = slot
        if isMultifunction { function.setMultifunction() }
        devices.append(device)
        devices.sort { $0.function.slot.index < $1.function.slot.index }
        host?.routingChanged()
        host?.connectDMA()
        port?.presenceChanged()
    }

    /// Takes every device out; returns them.
    func removeAll() -> [any PCIDevice] {
        let removed = devices
        for device in removed { device.reset() }
        devices = []
        for device in removed { device.function.disconnect() }
        host?.routingChanged()
        return removed
    }

    /// Every function on it and behind it.
    var allDevices: [any PCIDevice] {
        devices.flatMap { [$0] + (($0 as? PCIeRootPort)?.secondary.allDevices ?? []) }
    }

    /// A device's interrupt pin changed. Each bus turns the pins by the device's number, so that devices share evenly
    /// (PCI Express Base 5.0, 2.2.8.1).
    func interrupt(from device: Int, pin: Int, _ level: Bool) {
        let turned = (device + pin) % 4
        if let port {
            port.function.bus?.interrupt(from: port.function.slot.device, pin: turned, level)
        } else {
            rootHost?.interrupt(turned, level)
        }
    }
}
