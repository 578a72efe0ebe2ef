import EmuBus
import EmuDevices

/// A PCI device made from the command line, and where it asked to be.
struct PCIPlacement {
    /// The option that made it, for messages.
    let option: String
    /// The `-device`; nil where none asked for it.
    let config: DeviceConfig?
    /// `bus=`; nil for the host's own bus.
    let bus: String?
    /// `addr=`; nil for the first free slot.
    let slot: PCISlot?
    let isMultifunction: Bool
    /// What firmware may boot from it.
    var boots: [BootDevice] = []
    /// Makes the device for the bus it will be on.
    let make: (PCIBus) throws -> any PCIDevice

    init(_ device: DeviceConfig, _ option: String, make: @escaping (PCIBus) throws -> any PCIDevice) throws(ConfigError) {
        self.option = option
        config = device
        bus = device["bus"]
        slot = try device["addr"].map { text throws(ConfigError) in
            guard let slot = PCISlot(text) else {
                throw ConfigError("\(option),addr=\(text)", "write the device's number in hexadecimal, 0 to 1f, and maybe its function: 4 or 1f.7")
            }
            return slot
        }
        isMultifunction = try device.flag("multifunction", option) ?? false
        self.make = make
    }

    /// A device no `-device` asked for, on the host's own bus.
    init(option: String, make: @escaping (PCIBus) throws -> any PCIDevice) {
        self.option = option
        config = nil
        bus = nil
        slot = nil
        isMultifunction = false
        self.make = make
    }

    /// The same, with something firmware may boot from.
    func booting(_ boots: [BootDevice]) -> PCIPlacement {
        var placement = self
        placement.boots = boots
        return placement
    }
}

extension PCISlot {
    /// `DD` or `DD.F`, hexadecimal, as `addr=` takes it.
    public init?(_ text: some StringProtocol) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        let device = parts[0].hasPrefix("0x") ? parts[0].dropFirst(2) : parts[0][...]
        guard parts.count <= 2, device.first?.isHexDigit ?? false, let number = Int(device, radix: 16), number < PCIBus.maximumDevices else { return nil }
        self.init(device: number)
        guard parts.count == 2 else { return }
        guard parts[1].count == 1, let function = Int(parts[1], radix: 8) else { return nil }
        self.function = function
    }

    /// As `addr=` takes it.
    fileprivate var address: String { "\(String(device, radix: 16)).\(function)" }
}

/// Plugs devices into a host bridge and into the ports among them.
struct PCIAssembly {
    private let host: PCIHost
    private var buses: [String: PCIBus]
    /// What must not stay alone: functions but the first of their device.
    private var furtherFunctions: [(device: any PCIDevice, option: String)] = []
    /// What firmware may boot from among the devices plugged in, and the Open Firmware path of each's function.
    private(set) var bootDevices: [(device: BootDevice, path: String)] = []
    /// Devices a `-device` or `device_add` asked for.
    private var asked: [(device: any PCIDevice, config: DeviceConfig)] = []

    init(_ host: PCIHost) {
        self.host = host
        buses = [host.root.name: host.root]
    }

    mutating func plug(_ placement: PCIPlacement) throws {
        let bus = try self.bus(placement)
        let slot = try self.slot(placement, bus)
        let device = try placement.make(bus)
        if let port = device as? PCIeRootPort {
            guard !bus.isLink else { throw ConfigError("\(placement.option),bus=\(bus.name)", "a root port belongs on the host's own bus, \(host.root.name)") }
            if !port.secondary.name.isEmpty { buses[port.secondary.name] = port.secondary }
        }
        bus.plug(device, at: slot, isMultifunction: placement.isMultifunction)
        if slot.function != 0 { furtherFunctions.append((device, "\(placement.option),addr=\(slot.address)")) }
        if let config = placement.config { asked.append((device, config)) }
        for boot in placement.boots { bootDevices.append((boot, path(of: bus) + device.function.openFirmwareNode(boot.functionName))) }
    }

    /// Refuses functions no guest would find: it looks for further ones only where function 0 says that there are some. Once everything is
    /// plugged in, as the first may come last.
    func check() throws(ConfigError) {
        for (device, option) in furtherFunctions {
            let number = String(device.function.slot.device, radix: 16)
            guard let first = device.function.bus?.device(at: PCISlot(device: device.function.slot.device)) else {
                throw ConfigError(option, "guests find it only together with a function 0: plug a device in at addr=\(number),multifunction=on")
            }
            guard first.function.isMultifunction else {
                throw ConfigError(option, "guests look only for \(first.function.name), function 0 of that device: give it multifunction=on")
            }
        }
    }

    /// Plugs in a device while the guest runs.
    mutating func plugLater(_ placement: PCIPlacement) throws {
        if let id = placement.config?["id"], device(named: id) != nil { throw ConfigError("\(placement.option),id=\(id)", "another device has that id") }
        guard let name = placement.bus else {
            throw ConfigError(placement.option, "while the guest runs a device goes into a port: name a pcie-root-port with bus=ID")
        }
        if let port = try bus(placement).port, port.isHotPluggable { return try plug(placement) }
        throw ConfigError("\(placement.option),bus=\(name)", "only a pcie-root-port with hotplug=on takes devices while the guest runs")
    }

    /// Asks the guest to let a device go.
    func requestRemoval(_ id: String) throws(ConfigError) {
        guard let device = device(named: id) else {
            throw ConfigError("device_del \(id)", "there is no device with that id on PCI" + didYouMean(id, among: asked.compactMap { $0.config["id"] }))
        }
        guard let port = device.function.bus?.port, port.isHotPluggable else {
            throw ConfigError("device_del \(id)", "only what is in a pcie-root-port with hotplug=on can be taken out while the guest runs")
        }
        port.requestRemoval()
    }

    /// What asked for a device that has been taken out; its id is free again.
    mutating func forget(_ device: any PCIDevice) -> DeviceConfig? {
        asked.firstIndex { $0.device === device }.map { asked.remove(at: $0).config }
    }

    private func device(named id: String) -> (any PCIDevice)? { asked.first { $0.config["id"] == id }?.device }

    /// The Open Firmware path of a bus.
    private func path(of bus: PCIBus) -> String {
        guard let port = bus.port else { return "/pci@" + String(host.layout.ecam.base, radix: 16) }
        return (port.function.bus.map(path) ?? "") + port.function.openFirmwareNode("pci-bridge")
    }

    private func bus(_ placement: PCIPlacement) throws(ConfigError) -> PCIBus {
        guard let name = placement.bus else { return host.root }
        guard let bus = buses[name] else {
            let names = buses.keys.sorted()
            throw ConfigError(
                "\(placement.option),bus=\(name)",
                "there is no such PCI bus before it" + didYouMean(name, among: names) + "; there is " + names.joined(separator: ", "))
        }
        return bus
    }

    private func slot(_ placement: PCIPlacement, _ bus: PCIBus) throws(ConfigError) -> PCISlot {
        guard let slot = placement.slot else {
            guard let free = bus.freeSlot else {
                throw ConfigError(placement.option, "bus \(bus.name) is full" + (bus.isLink ? ": a port takes one device" : "; add a pcie-root-port"))
            }
            return free
        }
        guard slot.device < bus.deviceCount else {
            throw ConfigError("\(placement.option),addr=\(slot.address)", "a port takes one device, with address 0")
        }
        if let other = bus.device(at: slot) {
            throw ConfigError("\(placement.option),addr=\(slot.address)", "\(other.function.name) is there already")
        }
        return slot
    }
}
