import EmuBus
import EmuMachine
import Testing

/// Devices that come into a root port and leave it while the machine runs.
@Suite struct HotPlugTests {
    private static let bridge: UInt64 = 0x3000_0000 + 1 << 15
    private let directory: TemporaryDirectory
    private let machine: Machine

    init() throws {
        directory = try TemporaryDirectory()
        var config = MachineConfig()
        config.firmware = .none
        var drive = DriveConfig(file: try directory.file("disk", [UInt8](repeating: 0, count: 4096)))
        drive.interface = .none
        drive.id = "d"
        config.drives = [drive]
        config.netdevs = [NetdevConfig(id: "n", kind: .user([]))]
        config.devices = ["pcie-root-port,id=p,addr=1", "pcie-root-port,id=fixed,addr=2,slot=9,hotplug=off", "virtio-rng-pci,id=r,addr=3"].map { DeviceConfig(line: $0) }
        machine = try Machine(config)
        // Its link is bus 1.
        _ = machine.bus.writeDevice(Self.bridge + 0x18, 0x0001_0100, size: 4)
    }

    private func plug(_ text: String) -> String {
        do {
            try machine.plug(DeviceConfig(line: text))
            return "done"
        } catch { return "\(error)" }
    }

    private func unplug(_ id: String) -> String {
        do throws(ConfigError) {
            try machine.unplug(id)
            return "done"
        } catch { return error.description }
    }

    /// What answers behind the port.
    private var identity: UInt64? { machine.bus.readDevice(0x3010_0000, size: 4) }
    private static let nobody: UInt64 = 0xffff_ffff

    /// Offset of the port's PCI Express capability.
    private var express: UInt64 {
        var offset = machine.bus.readDevice(Self.bridge + 0x34, size: 1) ?? 0
        while offset != 0, machine.bus.readDevice(Self.bridge + offset, size: 1) != 0x10 { offset = machine.bus.readDevice(Self.bridge + offset + 1, size: 1) ?? 0 }
        return Self.bridge + offset
    }

    private var slotStatus: UInt64 { machine.bus.readDevice(express + 0x1a, size: 2) ?? 0 }

    /// Power off, light off, as a guest does after the attention button; then on again.
    private func letGo() {
        for control: UInt64 in [1 << 10 | 3 << 8, 1 << 8] { _ = machine.bus.writeDevice(express + 0x18, control, size: 2) }
    }

    @Test func aDeviceComesAndGoesAndComesAgain() {
        #expect(identity == Self.nobody && slotStatus & (1 << 6) == 0)
        for _ in 0..<2 {
            #expect(plug("nvme,id=x,drive=d,serial=1,bus=p") == "done")
            #expect(identity == 0x0010_1b36 && slotStatus & (1 << 6 | 1 << 3) == 1 << 6 | 1 << 3)
            _ = machine.bus.writeDevice(express + 0x1a, 0xffff, size: 2)
            #expect(unplug("x") == "done")
            // The button was pressed; nothing has left yet.
            #expect(slotStatus & 1 == 1 && identity == 0x0010_1b36)
            letGo()
            #expect(identity == Self.nobody && slotStatus & (1 << 6) == 0)
            #expect(unplug("x").contains("there is no device with that id"))
        }
    }

    @Test func networksAndDrivesAreFreeWhenTheirDevicesHaveGone() {
        #expect(plug("virtio-net-pci,id=card,netdev=n,bus=p") == "done")
        #expect(identity == 0x1041_1af4)
        #expect(plug("virtio-blk-pci,drive=d,bus=p").contains("bus p is full"))
        #expect(unplug("card") == "done")
        letGo()
        // Neither the failure nor the card has kept anything.
        #expect(plug("virtio-blk-pci,id=b,drive=d,bus=p") == "done")
        #expect(unplug("b") == "done")
        letGo()
        #expect(plug("virtio-net-pci,netdev=n,bus=p") == "done")
    }

    @Test func aDeviceThatCannotBeMadeKeepsNothing() {
        #expect(plug("virtio-blk-pci,drive=d,bus=p,disable-legacy=off").contains("disable-legacy=off"))
        #expect(plug("virtio-blk-pci,drive=d,bus=p,disable-legacy=maybe").contains("write on or off"))
        #expect(plug("virtio-blk-pci,drive=d,bus=p") == "done")
    }

    @Test func onlyPortsTakeDevicesLater() {
        #expect(plug("virtio-rng-pci") == "-device virtio-rng-pci: while the guest runs a device goes into a port: name a pcie-root-port with bus=ID")
        #expect(plug("virtio-rng-pci,bus=pcie.0").contains("only a pcie-root-port with hotplug=on"))
        #expect(plug("virtio-rng-pci,bus=fixed").contains("only a pcie-root-port with hotplug=on"))
        #expect(plug("virtio-rng-pci,bus=none").contains("there is no such PCI bus"))
        #expect(plug("virtio-rng-device").contains("only devices on PCI"))
        #expect(plug("pcie-root-port,id=q").contains("only devices on PCI"))
        #expect(plug("virtio-rng-pci,bus=p,id=r").contains("another device has that id"))
        #expect(plug("virtio-blk-pci,bus=p,drive=none").contains("there is no -drive with id=none"))
        #expect(unplug("r").contains("only what is in a pcie-root-port") && unplug("nobody").contains("there is no device with that id on PCI"))
        #expect(identity == Self.nobody)
    }

    @Test func aResetLeavesWhatWasPluggedIn() throws {
        #expect(plug("virtio-rng-pci,id=x,bus=p") == "done")
        try machine.performReset()
        #expect(identity == Self.nobody)
        _ = machine.bus.writeDevice(Self.bridge + 0x18, 0x0001_0100, size: 4)
        #expect(identity == 0x1044_1af4)
    }
}
