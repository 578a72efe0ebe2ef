import EmuBus
import EmuDevices
import EmuMachine
import Foundation
import Testing

/// What the command line plugs into PCI, where it ends up, and how that goes wrong.
@Suite struct PCITopologyTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    /// `-device`s as on the command line.
    private func devices(_ texts: [String]) -> [DeviceConfig] {
        texts.map { DeviceConfig(line: $0) }
    }

    private func plugged(_ texts: [String], drives: [DriveConfig] = [], memory: UInt64 = MachineConfig.defaultMemory) throws -> Machine {
        try machine {
            $0.memory = memory
            $0.drives = drives
            $0.devices = devices(texts)
        }
    }

    private func refusal(_ texts: String...) -> String { problem { $0.devices = devices(texts) } }

    private func drive(_ id: String?, _ interface: DriveInterface) throws -> DriveConfig {
        var drive = DriveConfig(file: try directory.file("\(UUID().uuidString).img", [UInt8](repeating: 0, count: 4096)))
        drive.id = id
        drive.interface = interface
        return drive
    }

    private func device(_ machine: Machine, _ slot: UInt64, _ function: UInt64 = 0) -> UInt64? {
        machine.bus.readDevice(0x3000_0000 + slot << 15 + function << 12, size: 4)
    }

    @Test func devicesFillTheLowestSlotsAndDrivesComeLast() throws {
        let machine = try plugged(["virtio-rng-pci", "pcie-root-port", "virtio-serial-pci,addr=0x1f.7", "virtio-rng-pci,addr=1f,multifunction=on", "virtio-rng-pci"], drives: [try drive(nil, .virtio)])
        #expect((0..<6).map { device(machine, $0) } == [0x0008_1b36, 0x1005_1af4, 0x000c_1b36, 0x1005_1af4, 0x1001_1af4, 0xffff_ffff])
        #expect(device(machine, 31, 7) == 0x1003_1af4)
    }

    @Test func behindAPortDevicesAreModernAndNumberedByTheGuest() throws {
        let machine = try plugged(["pcie-root-port,id=p,chassis=1,slot=2", "virtio-rng-pci,bus=p"])
        _ = machine.bus.writeDevice(0x3000_0000 + 1 << 15 + 0x18, 0x0001_0100, size: 4)
        #expect(machine.bus.readDevice(0x3010_0000, size: 4) == 0x1044_1af4)
        try machine.performReset()
        #expect(machine.bus.readDevice(0x3010_0000, size: 4) == 0xffff_ffff)
    }

    @Test func theLegacyInterfaceCanBeLeftOut() throws {
        #expect(device(try plugged(["virtio-rng-pci,disable-legacy=on"]), 1) == 0x1044_1af4)
        #expect(device(try plugged(["virtio-rng-pci,disable-legacy=auto"]), 1) == 0x1005_1af4)
        #expect(refusal("pcie-root-port,id=p", "virtio-rng-pci,bus=p,disable-legacy=off").contains("put it on bus pcie.0"))
    }

    // MARK: IOMMU

    @Test func anIOMMUIsInFrontOfAllOthersAndInTheDeviceTree() throws {
        let machine = try plugged(["virtio-rng-pci,iommu_platform=on", "riscv-iommu-pci,addr=3", "nvme,drive=d,serial=1"], drives: [try drive("d", .none)])
        // Without the legacy interface, whose drivers know nothing of it.
        #expect(device(machine, 1) == 0x1044_1af4 && device(machine, 3) == 0x0014_1b36)
        let tree = try FDT.parse(machine.deviceTreeBlob())
        let host = try #require(tree[child: "soc"]?[child: "pci@30000000"]), iommu = try #require(host[child: "iommu@18"])
        #expect(iommu["compatible"] == Array("riscv,pci-iommu\0".utf8) && iommu["#iommu-cells"] == [0, 0, 0, 1])
        #expect(iommu["reg"].map { Array($0.prefix(4)) } == [0, 0, 0x18, 0])
        let handle = try #require(iommu["phandle"])
        #expect(host["iommu-map"] == [0, 0, 0, 0] + handle + [0, 0, 0, 0, 0, 0, 0, 0x18, 0, 0, 0, 0x19] + handle + [0, 0, 0, 0x19, 0, 0, 0xff, 0xe7])
        #expect(try FDT.parse(plugged(["virtio-rng-pci"]).deviceTreeBlob())[child: "soc"]?[child: "pci@30000000"]?["iommu-map"] == nil)
    }

    @Test func whereAnIOMMUDoesNotGo() {
        #expect(refusal("riscv-iommu-pci", "riscv-iommu-pci").contains("a PCI host has one IOMMU at most"))
        #expect(refusal("pcie-root-port,id=p", "riscv-iommu-pci,bus=p").contains("it belongs on the host's own bus, pcie.0"))
        #expect(refusal("virtio-rng-pci,iommu_platform=on,disable-legacy=off").contains("leave one of them out"))
        #expect(refusal("virtio-rng-pci,iommu_platform=on,disable-legacy=on", "riscv-iommu-pci,off=on,ioatc-limit=0") == "accepted")
    }

    @Test func theHighWindowLiesAboveMemory() throws {
        let gigabyte: UInt64 = 1 << 30
        let cases: [(memory: UInt64, base: UInt8)] = [(gigabyte, 4), (14 * gigabyte, 4), (15 * gigabyte, 8)]
        for (memory, base) in cases {
            let tree = try FDT.parse(try plugged([], memory: memory).deviceTreeBlob())
            let ranges = try #require(tree[child: "soc"]?[child: "pci@30000000"]?["ranges"])
            #expect(Array(ranges[60..<68]) == [0, 0, 0, base, 0, 0, 0, 0])
        }
    }

    @Test func nvmeNeedsADriveOfItsOwnAndASerialNumber() throws {
        let disk = try drive("d", .none)
        let machine = try plugged(["nvme,drive=d,serial=a"], drives: [disk])
        #expect(device(machine, 1) == 0x0010_1b36)
        #expect(refusal("nvme,serial=a").contains("it needs drive=ID"))
        #expect(throws: ConfigError.self) { try plugged(["nvme,drive=d"], drives: [disk]) }
        #expect(throws: ConfigError.self) { try plugged(["nvme,drive=d,serial=a", "virtio-blk-pci,drive=d"], drives: [disk]) }
    }

    @Test func furtherFunctionsNeedAFirstThatTellsOfThem() {
        #expect(
            refusal("virtio-rng-pci,addr=5.3")
                == "-device virtio-rng-pci,addr=5.3: guests find it only together with a function 0: plug a device in at addr=5,multifunction=on")
        #expect(
            refusal("virtio-rng-pci,addr=5", "virtio-rng-pci,addr=5.3")
                == "-device virtio-rng-pci,addr=5.3: guests look only for virtio-rng0-pci, function 0 of that device: give it multifunction=on")
        #expect(refusal("virtio-rng-pci,addr=5.3", "virtio-rng-pci,addr=5,multifunction=on") == "accepted")
    }

    @Test func placesThatCannotBeUsedAreErrors() {
        #expect(refusal("virtio-rng-pci,bus=pcie.1").contains("bus=pcie.1: there is no such PCI bus before it; did you mean 'pcie.0'?"))
        #expect(refusal("virtio-rng-pci,addr=0") == "-device virtio-rng-pci,addr=0.0: pci-host is there already")
        #expect(refusal("virtio-rng-pci,addr=20").contains("0 to 1f"))
        #expect(refusal("pcie-root-port,id=p", "virtio-rng-pci,bus=p", "virtio-rng-pci,bus=p").contains("bus p is full: a port takes one device"))
        #expect(refusal("pcie-root-port,id=p", "virtio-rng-pci,bus=p,addr=3").contains("with address 0"))
        #expect(refusal("pcie-root-port,id=p", "pcie-root-port,bus=p").contains("belongs on the host's own bus"))
        #expect(refusal("pcie-root-port,chassis=1,slot=2", "pcie-root-port,chassis=1,slot=2").contains("another root port has that place"))
        #expect(refusal("pcie-root-port", "pcie-root-port") == "accepted")
        #expect(refusal("e1000-pci").contains("there is no such device"))
    }

    @Test(arguments: [("0", 0, 0), ("1f.7", 31, 7), ("0x1f", 31, 0), ("06.0", 6, 0)]) func addressesAreHexadecimal(text: String, device: Int, function: Int) {
        #expect(PCISlot(text) == PCISlot(device: device, function: function))
    }

    @Test(arguments: ["", "20", "1.8", "1.", ".1", "-1", "1.0.0", "g", "1.10"]) func otherAddressesAreNone(text: String) {
        #expect(PCISlot(text) == nil)
    }
}
