import EmuMachine
import Testing

/// What firmware finds in `bootorder`: Open Firmware paths, as EDK2's QemuBootOrderLib reads them.
@Suite struct BootOrderTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    /// - Parameter devices: as `-device` takes them. There are drives a to c, the last an optical disk, and a network n.
    private func machine(_ devices: [String], _ change: (inout MachineConfig) -> Void = { _ in }) throws -> Machine {
        let file = try directory.file("disk", [UInt8](repeating: 0, count: 512))
        var config = MachineConfig()
        config.firmware = .none
        for id in ["a", "b", "c"] {
            var drive = DriveConfig(file: file)
            drive.interface = .none
            drive.id = id
            drive.isReadOnly = true
            drive.isOptical = id == "c"
            config.drives.append(drive)
        }
        config.netdevs = [NetdevConfig(id: "n", kind: .user([]))]
        config.devices = devices.map { DeviceConfig(line: $0) }
        change(&config)
        return try Machine(config)
    }

    private func order(_ machine: Machine) throws -> [String] {
        let reader = FirmwareConfigurationReader(machine: machine)
        guard reader.names.contains("bootorder") else { return [] }
        let text = String(decoding: try reader.file("bootorder"), as: UTF8.self)
        #expect(text.last == "\0")
        return text.dropLast().split(separator: "\n").map(String.init)
    }

    @Test func devicesOnPCIAreNamedByTheirPlace() throws {
        let machine = try machine([
            "pcie-root-port,id=p,addr=1e", "nvme,drive=a,serial=1,bootindex=3", "virtio-blk-pci,drive=b,bus=p,bootindex=1",
            "virtio-rng-pci,addr=1f,multifunction=on", "virtio-net-pci,netdev=n,addr=1f.2,bootindex=2", "virtio-blk-device,drive=c,bootindex=0",
        ])
        #expect(try order(machine) == [
            "/virtio-mmio@0000000010008000/disk@0,0", "/pci@30000000/pci-bridge@1e/scsi@0/disk@0,0", "/pci@30000000/ethernet@1f,2/ethernet-phy@0",
            "/pci@30000000/pci1b36,10@1/namespace@1,0",
        ])
    }

    @Test func kindsComeAfterIndicesInTheOrderOfTheLetters() throws {
        let devices = ["virtio-blk-pci,drive=c", "virtio-blk-pci,drive=a", "virtio-net-pci,netdev=n", "nvme,drive=b,serial=1,bootindex=7"]
        let nvme = "/pci@30000000/pci1b36,10@4/namespace@1,0", optical = "/pci@30000000/scsi@1/disk@0,0", disk = "/pci@30000000/scsi@2/disk@0,0"
        let network = "/pci@30000000/ethernet@3/ethernet-phy@0"
        let cases = [("", [nvme]), ("n", [nvme, network]), ("dc", [nvme, optical, disk]), ("ncd", [nvme, network, disk, optical])]
        for (letters, expected) in cases { #expect(try order(machine(devices) { $0.boot.order = letters }) == expected) }
    }

    @Test func unitsOfHostAdaptersAreNamedByTheirAddress() throws {
        let machine = try machine([
            "virtio-scsi-pci,id=s", "scsi-hd,drive=a,bus=s.0,scsi-id=26,lun=3,bootindex=2", "scsi-cd,drive=c,bus=s.0,bootindex=1", "virtio-scsi-device",
            "scsi-hd,drive=b,bootindex=0",
        ])
        #expect(try order(machine) == [
            "/virtio-mmio@0000000010008000/channel@0/disk@0,0", "/pci@30000000/scsi@1/channel@0/disk@0,0", "/pci@30000000/scsi@1/channel@0/disk@1a,3",
        ])
        #expect(throws: ConfigError.self) { try self.machine(["virtio-scsi-pci", "scsi-hd,drive=a,bootindex=1", "scsi-hd,drive=b,bootindex=1"]) }
    }

    @Test func disksWithoutADeviceOptionHaveTheirKindToo() throws {
        let machine = try machine(["virtio-blk-pci,drive=a"]) {
            $0.drives[2].interface = .virtio
            $0.drives[2].id = nil
            $0.boot.order = "dc"
        }
        #expect(try order(machine) == ["/pci@30000000/scsi@2/disk@0,0", "/pci@30000000/scsi@1/disk@0,0"])
    }

    @Test func onceLastsUntilTheFirstReset() throws {
        let devices = ["virtio-blk-pci,drive=a", "virtio-net-pci,netdev=n"]
        let machine = try machine(devices) {
            $0.boot.once = "n"
            $0.boot.order = "c"
        }
        #expect(try order(machine) == ["/pci@30000000/ethernet@2/ethernet-phy@0"])
        try machine.performReset()
        #expect(try order(machine) == ["/pci@30000000/scsi@1/disk@0,0"])
        try machine.performReset()
        #expect(try order(machine) == ["/pci@30000000/scsi@1/disk@0,0"])
    }

    @Test func nothingIsLeftOfAnOrderThatWasForOnce() throws {
        let machine = try machine(["virtio-blk-pci,drive=a"]) { $0.boot.once = "c" }
        #expect(try order(machine).count == 1)
        try machine.performReset()
        #expect(try order(machine).isEmpty)
        #expect(try FirmwareConfigurationReader(machine: machine).file("etc/boot-fail-wait").count == 4)
    }

    @Test func anIndexIsGivenOnce() throws {
        #expect(throws: ConfigError.self) { try machine(["virtio-blk-pci,drive=a,bootindex=1", "nvme,drive=b,serial=1,bootindex=1"]) }
    }
}
