import EmuBus
import EmuMachine

/// One driver `-device` can name.
package struct DeviceDescription: Sendable {
    package let name: String
    package let summary: String
    package let properties: [Property]
    /// Properties without which the device cannot work.
    package let required: [String]

    /// The text of `-device NAME,help`.
    package var help: String {
        "\(name) options:\n" + columns(properties.map { ("  " + $0.usage, $0.help) })
    }
}

package enum Devices {
    private static let transport = [
        Property("id", .text, "name of the device"),
        Property("bus", .text, "slot: virtio-mmio-bus.0 to virtio-mmio-bus.7; the first free one by default"),
        Property("packed", .bool, "offer packed rings, which need -global virtio-mmio.force-legacy=false (default: off)"),
        Property("event_idx", .bool, "offer the event index (default: on)"),
        Property("indirect_desc", .bool, "offer indirect descriptors (default: on)"),
    ]

    private static let bootIndex = Property("bootindex", .number(0...0x7fff_ffff), "place among what firmware tries to boot from, the lowest first")

    private static let port = [
        Property("id", .text, "name of the device"),
        Property("bus", .text, "virtio-serial-device to plug into: its id followed by .0; the last one by default"),
        Property("chardev", .text, "id of the -chardev behind the port"),
        Property("name", .text, "name of the port for the guest, as in /dev/virtio-ports"),
    ]

    /// Every driver, in the order of `-device help`.
    package static let all: [DeviceDescription] = [
        DeviceDescription(
            name: "virtio-blk-device", summary: "virtio disk",
            properties: [
                Property("drive", .text, "id of the -drive that holds the data"),
                Property("serial", .text, "serial number for the guest, at most 20 characters"), bootIndex,
            ] + transport,
            required: ["drive"]),
        DeviceDescription(
            name: "virtio-net-device", summary: "virtio network card",
            properties: [
                Property("netdev", .text, "id of the -netdev it is connected to"),
                Property("mac", .mac, "Ethernet address (default: 52:54:00:12:34:56 and following)"),
                Property("host_mtu", .number(68...65535), "largest packet, announced to the guest (default: not announced)"), bootIndex,
            ] + transport,
            required: ["netdev"]),
        DeviceDescription(
            name: "virtio-9p-device", summary: "folder of the host, which the guest mounts",
            properties: [
                Property("fsdev", .text, "id of the -fsdev that names the folder"),
                Property("mount_tag", .text, "what the guest mounts, at most 31 bytes"),
            ] + transport,
            required: ["fsdev", "mount_tag"]),
        DeviceDescription(
            name: "virtio-rng-device", summary: "virtio source of random numbers", properties: transport, required: []),
        DeviceDescription(
            name: "virtio-serial-device", summary: "virtio console controller for virtconsole and virtserialport",
            properties: [Property("max_ports", .number(1...31), "number of ports it offers (default: 31)")] + transport,
            required: []),
        DeviceDescription(
            name: "virtconsole", summary: "console on a virtio-serial-device", properties: port, required: []),
        DeviceDescription(
            name: "virtserialport", summary: "byte channel on a virtio-serial-device", properties: port, required: []),
        DeviceDescription(
            name: "loader", summary: "no device: a file or a number in memory, or where a hart starts",
            properties: [
                Property("file", .text, "ELF file, or any with addr="), Property("addr", .text, "address of the file or number, or where the hart starts"),
                Property("cpu-num", .number(0...511), "hart that starts there, or at the entry of the ELF file"),
                Property("force-raw", .bool, "load an ELF file as it is (default: off)"),
                Property("data", .text, "number to store at addr"), Property("data-len", .number(1...8), "its bytes"),
                Property("data-be", .bool, "most significant byte first (default: off)"),
            ],
            required: []),
    ]

    /// The text of `-device help`.
    package static var help: String {
        "Devices ('-device NAME,help' lists a device's properties):\n" + columns(all.map { ("  " + $0.name, $0.summary) })
    }

    static func parse(_ use: OptionUse) throws(CommandEnd) -> DeviceConfig {
        var elements = PropertyList.split(use.value)
        let driver = elements.removeFirst().replacingPrefix("driver=", with: "")
        if driver == "help" || driver == "?" { throw .answered(help) }
        guard let description = all.first(where: { $0.name == driver }) else {
            let advice = driver.hasSuffix("-pci") ? " (this machine has no PCI bus: use the -device form)" : ""
            throw use.failed(
                "unknown device '\(driver)'" + didYouMean(driver, among: all.map(\.name)) + advice + "; '-device help' lists them all")
        }
        if elements.contains("help") || elements.contains("?") { throw .answered(description.help) }
        let properties = try PropertyList(elements: elements, use, description.properties, of: driver)
        for name in description.required where properties[name] == nil {
            throw use.failed("\(driver) needs the property '\(name)': \(description.properties.first { $0.name == name }?.help ?? "")")
        }
        if let serial = properties["serial"], serial.utf8.count > 20 {
            throw use.failed("serial=\(serial): a disk's serial number has at most 20 characters")
        }
        var device = DeviceConfig(driver: driver)
        device.properties = properties.items.map { DeviceConfig.Property(name: $0.name, value: $0.value) }
        return device
    }
}

extension String {
    func replacingPrefix(_ prefix: String, with replacement: String) -> String {
        hasPrefix(prefix) ? replacement + dropFirst(prefix.count) : self
    }
}
