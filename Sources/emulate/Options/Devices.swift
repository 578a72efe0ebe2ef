import EmuBus
import EmuDevices
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
    private static let id = Property("id", .text, "name of the device")

    /// What every virtio device has, whatever its transport.
    private static let virtio = [
        Property("packed", .bool, "offer packed rings, which the legacy interface cannot (default: off)"),
        Property("event_idx", .bool, "offer the event index (default: on)"),
        Property("indirect_desc", .bool, "offer indirect descriptors (default: on)"),
    ]

    private static let mmio = [id, Property("bus", .text, "slot: virtio-mmio-bus.0 to virtio-mmio-bus.7; the first free one by default")] + virtio

    private static let pci = [
        id, Property("bus", .text, "PCI bus: pcie.0 (default) or the id of a pcie-root-port"),
        Property("addr", .pciAddress, "device number, hexadecimal, and maybe function: 4 or 1f.7; the first free one by default"),
        Property("multifunction", .bool, "tell guests to look for the other functions of the device (default: off)"),
    ]

    private static let virtioPCI = pci + [
        Property("disable-legacy", .choice(["on", "off", "auto"]), "leave out the legacy interface; auto: behind a pcie-root-port (default: auto)"),
        Property("iommu_platform", .bool, "addresses of the driver go through the platform's IOMMU, which it must accept; implies disable-legacy=on (default: off)"),
        Property("vectors", .number(0...2048), "MSI-X vectors; 0 for none (default: one for each queue and one more)"),
    ] + virtio
    private static let bootIndex = Property("bootindex", .number(0...0x7fff_ffff), "place among what firmware tries to boot from, the lowest first")

    private static let port = [
        id,
        Property("bus", .text, "virtio-serial device to plug into: its id followed by .0; the last one by default"),
        Property("chardev", .text, "id of the -chardev behind the port"),
        Property("name", .text, "name of the port for the guest, as in /dev/virtio-ports"),
    ]

    private static let disk = [
        Property("drive", .text, "id of the -drive that holds the data"),
        Property("serial", .text, "serial number for the guest, at most 20 characters"), bootIndex,
    ]

    private static let offloads: [Property] = VirtioNetConfig.switches.map { Property($0.property, .bool, $0.help) }

    private static let screenSize = PropertyKind.number(UInt64(VirtioGPU.sizeRange.lowerBound)...UInt64(VirtioGPU.sizeRange.upperBound))

    private static let scsiUnit: [Property] = disk + [
        id, Property("bus", .text, "virtio-scsi device to plug into: its id followed by .0; the last one by default"),
        Property("scsi-id", .number(0...255), "target number (default: the first without that lun)"),
        Property("lun", .number(0...16383), "number of the unit (default: 0)"), Property("channel", .number(0...0), "0"),
        Property("vendor", .text, "vendor for the guest, at most 8 characters (default: EMULATE)"),
        Property("product", .text, "product, at most 16 (default: HARDDISK, CD-ROM)"), Property("ver", .text, "revision, at most 4 (default: 1.0)"),
    ]

    /// Virtio device types: the part of the names that the transports share, and what they have of their own.
    private static let virtioTypes: [(stem: String, summary: String, properties: [Property], required: [String])] = [
        (
            "virtio-blk", "virtio disk",
            disk + [Property("num-queues", .number(1...64), "request queues; one for each hart lets them work at once (default: 1)")], ["drive"]
        ),
        (
            "virtio-net", "virtio network card",
            [
                Property("netdev", .text, "id of the -netdev it is connected to"),
                Property("mac", .mac, "Ethernet address (default: 52:54:00:12:34:56 and following)"),
                Property("host_mtu", .number(68...65535), "largest packet, announced to the guest (default: not announced)"),
                Property("mq", .bool, "offer as many pairs of queues as the -netdev has queues= (default: off)"), bootIndex,
            ] + offloads, ["netdev"]
        ),
        (
            "virtio-9p", "folder of the host, which the guest mounts",
            [
                Property("fsdev", .text, "id of the -fsdev that names the folder"),
                Property("mount_tag", .text, "what the guest mounts, at most 31 bytes"),
            ], ["fsdev", "mount_tag"]
        ),
        (
            "virtio-balloon", "memory the guest gives back to the host",
            [
                Property("deflate-on-oom", .bool, "the guest may take memory back when it runs out of it (default: off)"),
                Property("free-page-reporting", .bool, "the host gets back what the guest does not use (default: off)"),
                Property("guest-stats-polling-interval", .number(0...86400), "seconds between questions for 'info balloon'; 0: when it is asked for (default: 0)"),
            ], []
        ),
        (
            "virtio-scsi", "virtio SCSI host adapter for scsi-hd and scsi-cd",
            [Property("num_queues", .number(1...64), "request queues; one for each hart lets them work at once (default: 1)")], []
        ),
        ("virtio-keyboard", "keyboard, for the monitor's sendkey", [], []),
        ("virtio-mouse", "mouse, for the monitor's mouse_move and mouse_button", [], []),
        ("virtio-tablet", "pointing device that knows places on the screen, for the same", [], []),
        (
            "virtio-gpu", "screen, for the monitor's screendump",
            [
                Property("xres", screenSize, "width the guest is advised to use (default: 1280)"),
                Property("yres", screenSize, "height (default: 800)"), Property("edid", .bool, "tell the guest by an EDID, too (default: on)"),
            ], []
        ),
        (
            "vhost-vsock", "sockets between the guest and programs of the host (AF_VSOCK)",
            [
                Property("guest-cid", .number(UInt64(VirtioVsock.guestCIDs.lowerBound)...UInt64(VirtioVsock.guestCIDs.upperBound)), "the guest's context id"),
                Property("socket", .text, "socket file: 'CONNECT PORT' there reaches the guest, and the guest's port N of the host reaches FILE_N"),
            ], ["guest-cid", "socket"]
        ),
        ("virtio-rng", "virtio source of random numbers", [], []),
        (
            "virtio-serial", "virtio console controller for virtconsole and virtserialport",
            [Property("max_ports", .number(1...31), "number of ports it offers (default: 31)")], []
        ),
    ]

    /// Every driver, in the order of `-device help`.
    package static let all: [DeviceDescription] =
        virtioTypes.map {
            DeviceDescription(name: $0.stem + "-device", summary: $0.summary, properties: $0.properties + mmio, required: $0.required)
        }
        + virtioTypes.map {
            DeviceDescription(name: $0.stem + "-pci", summary: $0.summary + ", on PCI", properties: $0.properties + virtioPCI, required: $0.required)
        } + [
            DeviceDescription(
                name: "scsi-hd", summary: "disk on a virtio-scsi host adapter",
                properties: scsiUnit, required: ["drive"]),
            DeviceDescription(
                name: "scsi-cd", summary: "CD-ROM drive on a virtio-scsi host adapter; its -drive is never written",
                properties: scsiUnit, required: ["drive"]),
            DeviceDescription(name: "virtconsole", summary: "console on a virtio-serial device", properties: port, required: []),
            DeviceDescription(name: "virtserialport", summary: "byte channel on a virtio-serial device", properties: port, required: []),
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
            DeviceDescription(
                name: "nvme", summary: "NVMe disk, on PCI",
                properties: disk + [
                    Property("max_ioqpairs", .number(1...64), "pairs of I/O queues it offers (default: 64)"),
                    Property("logical_block_size", .choice(["512", "4096"]), "bytes of a block (default: 512)"),
                ] + pci,
                required: ["drive", "serial"]),
            DeviceDescription(
                name: "riscv-iommu-pci", summary: "RISC-V IOMMU for the devices on PCI",
                properties: [
                    Property("intremap", .bool, "MSI page tables, and with them device contexts in the extended format (default: on)"),
                    Property("s-stage", .bool, "first stage: Sv39, Sv48, Sv57 and process directories (default: on)"),
                    Property("g-stage", .bool, "second stage: Sv39x4, Sv48x4, Sv57x4 (default: on)"),
                    Property("off", .bool, "nothing passes after a reset, instead of everything untranslated (default: off)"),
                    Property("ioatc-limit", .number(0...65536), "translations kept at most (default: 2048)"),
                    Property("ats", .choice(["off"]), "there are no address translation services"),
                    Property("hpm-counters", .number(0...0), "there are no performance counters"),
                ] + pci,
                required: []),
            DeviceDescription(
                name: "pcie-root-port", summary: "PCI Express port: one device can be plugged in behind it, with bus=ID",
                properties: [
                    Property("chassis", .number(0...255), "number of the chassis its slot is in (default: 0)"),
                    Property("slot", .number(0...8191), "number of the slot in the chassis (default: ports are counted)"),
                    Property("port", .number(0...255), "number of the port (default: 0)"),
                    Property("hotplug", .bool, "devices may come and go while the guest runs (default: on)"),
                ] + pci,
                required: []),
        ]

    /// QEMU's short names; on this machine they mean the PCI devices.
    private static let aliases = Dictionary(uniqueKeysWithValues: virtioTypes.map { ($0.stem, $0.stem + "-pci") })

    /// The text of `-device help`.
    package static var help: String {
        "Devices ('-device NAME,help' lists a device's properties):\n" + columns(all.map { ("  " + $0.name, $0.summary) })
    }

    static func parse(_ use: OptionUse) throws(CommandEnd) -> DeviceConfig {
        var elements = PropertyList.split(use.value)
        let name = elements.removeFirst().replacingPrefix("driver=", with: "")
        let driver = aliases[name] ?? name
        if driver == "help" || driver == "?" { throw .answered(help) }
        guard let description = all.first(where: { $0.name == driver }) else {
            throw use.failed("unknown device '\(driver)'" + didYouMean(driver, among: all.map(\.name)) + "; '-device help' lists them all")
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
