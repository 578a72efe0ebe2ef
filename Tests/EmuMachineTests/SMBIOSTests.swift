import EmuBus
import EmuMachine
import Foundation
import Glibc
import Testing

/// The SMBIOS tables and the other files of fw_cfg, as firmware finds them.
@Suite struct SMBIOSTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func reader(_ change: (inout MachineConfig) throws -> Void = { _ in }) throws -> FirmwareConfigurationReader {
        var config = MachineConfig()
        try change(&config)
        return FirmwareConfigurationReader(machine: try Machine(config))
    }

    private struct Structure {
        let bytes: [UInt8]
        let strings: [String]
        var type: UInt8 { bytes[0] }
        func string(_ offset: Int) -> String? { bytes[offset] == 0 ? nil : strings[Int(bytes[offset]) - 1] }
        func number(_ range: Range<Int>) -> UInt64 { InstalledACPITables.little(bytes[range]) }
    }

    /// Follows the structures to the end marker (DSP0134, 6.1).
    private func structures(_ reader: FirmwareConfigurationReader) throws -> [Structure] {
        let anchor = try reader.file("etc/smbios/smbios-anchor"), tables = try reader.file("etc/smbios/smbios-tables")
        #expect(anchor.count == 24 && anchor.starts(with: Array("_SM3_".utf8)) && anchor.reduce(0, &+) == 0)
        #expect(anchor[6] == 24 && anchor[7] == 3 && InstalledACPITables.little(anchor[12..<16]) == UInt64(tables.count))
        var rest = tables[...]
        var result: [Structure] = []
        while result.last?.type != 127 {
            let length = Int(try #require(rest.dropFirst().first))
            let body = Array(rest.prefix(length))
            rest = rest.dropFirst(length)
            var strings: [String] = []
            while let end = rest.firstIndex(of: 0), end > rest.startIndex {
                strings.append(String(decoding: rest[..<end], as: UTF8.self))
                rest = rest[(end + 1)...]
            }
            rest = rest.dropFirst(strings.isEmpty ? 2 : 1)
            result.append(Structure(bytes: body, strings: strings))
        }
        #expect(rest.isEmpty)
        #expect(Set(result.map { $0.number(2..<4) }).count == result.count)
        return result
    }

    private func fields(_ type: UInt8, _ values: [(String, String)]) -> SMBIOSFields {
        SMBIOSFields(type: type, properties: values.map { DeviceConfig.Property(name: $0.0, value: $0.1) })
    }

    @Test func theRequiredStructuresDescribeTheMachine() throws {
        let all = try structures(try reader { $0.harts = 3; $0.memory = 3 << 30 })
        #expect(all.map(\.type) == [0, 1, 3, 4, 16, 17, 19, 32, 127])
        let lengths: [UInt8: Int] = [0: 26, 1: 27, 3: 22, 4: 48, 16: 23, 17: 40, 19: 31, 32: 11, 127: 4]
        for each in all { #expect(each.bytes.count == lengths[each.type]) }
        let processor = try #require(all.first { $0.type == 4 })
        #expect(processor.bytes[0x23] == 3 && processor.number(0x2a..<0x2c) == 3 && processor.number(0x28..<0x2a) == 0x201)
        let module = try #require(all.first { $0.type == 17 })
        #expect(module.number(0x0c..<0x0e) == 3072)
        let place = try #require(all.first { $0.type == 19 })
        #expect(place.number(0x0f..<0x17) == 0x8000_0000 && place.number(0x17..<0x1f) == 0x1_3fff_ffff)
    }

    @Test func fieldsAreThoseGiven() throws {
        let all = try structures(try reader {
            $0.smbios = [
                fields(1, [("manufacturer", "M"), ("serial", "S1"), ("sku", "K")]), fields(1, [("serial", "S2")]), fields(2, [("product", "Board")]),
                fields(11, [("value", "one"), ("value", "two")]), fields(0, [("vendor", "V"), ("release", "4.7")]),
            ]
            $0.uuid = (0..<16).map { UInt8($0) }
        })
        let system = try #require(all.first { $0.type == 1 })
        #expect(system.string(4) == "M" && system.string(7) == "S2" && system.string(0x19) == "K" && system.string(0x1a) == nil)
        // The first three fields of a UUID are little-endian (7.2.1).
        #expect(Array(system.bytes[8..<24]) == [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15])
        #expect(all.first { $0.type == 2 }?.string(5) == "Board")
        #expect(all.first { $0.type == 11 }?.strings == ["one", "two"])
        let firmware = try #require(all.first { $0.type == 0 })
        #expect(firmware.string(4) == "V" && firmware.bytes[0x14] == 4 && firmware.bytes[0x15] == 7)
    }

    @Test func aGivenStructureTakesThePlaceOfItsType() throws {
        let given: [UInt8] = [1, 27, 0x77, 0x77, 1, 0, 0, 0] + [UInt8](repeating: 9, count: 16) + [6, 0, 0] + Array("Mine\0\0".utf8)
        let path = try directory.file("system", given)
        let all = try structures(try reader { $0.smbiosFiles = [path] })
        #expect(all.filter { $0.type == 1 }.map(\.strings) == [["Mine"]])
    }

    @Test(arguments: [[], [1, 4, 0, 0], [1, 3, 0, 0, 0, 0], [1, 200, 0, 0, 0, 0], [1, 4, 0, 0, 0x41, 0, 0x42], [1, 4, 0, 0, 0x41, 0, 0, 0x42, 0, 0]] as [[UInt8]])
    func whatIsNoStructureIsRefused(bytes: [UInt8]) throws {
        let path = try directory.file("bad", bytes)
        do {
            _ = try reader { $0.smbiosFiles = [path] }
            Issue.record("accepted")
        } catch {
            #expect("\(error)" == "-smbios file=\(path): it is not one SMBIOS structure with its strings")
        }
    }

    // MARK: Other files

    @Test func givenFilesAreThere() throws {
        let path = try directory.file("file", [1, 2])
        let reader = try reader {
            $0.firmwareFiles = [FirmwareFile(name: "opt/text", contents: .text("abc")), FirmwareFile(name: "opt/file", contents: .file(path))]
        }
        #expect(try reader.file("opt/text") == Array("abc".utf8) && reader.file("opt/file") == [1, 2])
    }

    @Test func bootOrderNamesDevicesAsOpenFirmwareDoes() throws {
        let disk = try directory.file("disk", [UInt8](repeating: 0, count: 512))
        let reader = try reader { config in
            for (id, index) in [("a", "5"), ("b", "1")] {
                var drive = DriveConfig(file: disk)
                drive.interface = .none
                drive.id = id
                drive.isReadOnly = true
                config.drives.append(drive)
                var device = DeviceConfig(driver: "virtio-blk-device")
                device.properties = [.init(name: "drive", value: id), .init(name: "bootindex", value: index)]
                config.devices.append(device)
            }
            config.boot.isStrict = true
            config.boot.hasMenu = true
            config.boot.menuWait = 3000
        }
        // As QEMU 7.2 writes it for the same machine.
        let expected = "/virtio-mmio@0000000010007000/disk@0,0\n/virtio-mmio@0000000010008000/disk@0,0\nHALT\0"
        #expect(String(decoding: try reader.file("bootorder"), as: UTF8.self) == expected)
        #expect(try reader.file("etc/boot-menu-wait") == [0xb8, 0x0b] && reader.file("etc/boot-fail-wait") == [0xff, 0xff, 0xff, 0xff])
        #expect(reader.item(0x0e, 2) == [1, 0])
    }

    @Test func withoutBootIndicesThereIsNoOrder() throws {
        #expect(try !reader().names.contains("bootorder"))
    }

    // MARK: Firmware of the host

    private func install(_ root: String, _ path: String, _ contents: String = "x") throws {
        let place = URL(fileURLWithPath: root + path)
        try FileManager.default.createDirectory(at: place.deletingLastPathComponent(), withIntermediateDirectories: true)
        try contents.write(to: place, atomically: true, encoding: .utf8)
    }

    private func description(_ architecture: String, _ device: String = "flash", format: String = "raw", name: String) -> String {
        """
        {"mapping": {"device": "\(device)", "executable": {"filename": "/fw/\(name).code", "format": "\(format)"},
          "nvram-template": {"filename": "/fw/\(name).vars", "format": "\(format)"}},
         "targets": [{"architecture": "\(architecture)", "machines": ["virt*"]}], "features": []}
        """
    }

    @Test func firmwareIsFoundByItsDescription() throws {
        let root = directory.path + "/root"
        #expect(UEFIFirmware.find(root: root) == nil)
        try install(root, "/usr/share/qemu/firmware/10-arm.json", description("aarch64", name: "arm"))
        try install(root, "/usr/share/qemu/firmware/20-bad.json", "{")
        try install(root, "/usr/share/qemu/firmware/30-absent.json", description("riscv64", name: "absent"))
        try install(root, "/usr/share/qemu/firmware/40-memory.json", description("riscv64", "memory", name: "good"))
        try install(root, "/usr/share/qemu/firmware/50-vmdk.json", description("riscv64", format: "vmdk", name: "good"))
        for name in ["arm", "good"] { for file in ["code", "vars"] { try install(root, "/fw/\(name).\(file)") } }
        #expect(UEFIFirmware.find(root: root) == nil)
        try install(root, "/usr/share/qemu/firmware/60-edk2.json", description("riscv64", name: "good"))
        let found = try #require(UEFIFirmware.find(root: root))
        #expect(found.code.file == root + "/fw/good.code" && found.code.isReadOnly && found.code.unit == 0)
        #expect(found.variables.file == root + "/fw/good.vars" && !found.variables.isReadOnly && found.variables.unit == 1)
    }

    @Test func firmwareIsFoundAtTheUsualPlaces() throws {
        let root = directory.path + "/root"
        try install(root, "/usr/share/qemu-efi-riscv64/RISCV_VIRT_CODE.fd")
        #expect(UEFIFirmware.find(root: root) == nil)
        try install(root, "/usr/share/qemu-efi-riscv64/RISCV_VIRT_VARS.fd")
        #expect(UEFIFirmware.find(root: root)?.code.file == root + "/usr/share/qemu-efi-riscv64/RISCV_VIRT_CODE.fd")
    }

    @Test func variablesAreKeptBesideTheDisk() throws {
        let root = directory.path + "/root", template = root + "/usr/share/qemu-efi-riscv64/RISCV_VIRT_VARS.fd"
        try install(root, "/usr/share/qemu-efi-riscv64/RISCV_VIRT_CODE.fd")
        try install(root, "/usr/share/qemu-efi-riscv64/RISCV_VIRT_VARS.fd", "template")
        guard truncate(template, 32 << 20) == 0 else { throw HostError("truncate", errno) }
        let firmware = try #require(UEFIFirmware.find(root: root))
        let disk = directory.path + "/disk.img"
        let kept = firmware.keepingVariables(besideDisk: disk, isWritable: true)
        #expect(kept.variables.file == disk + ".uefi-vars" && !kept.variables.isSnapshot)
        #expect(FileManager.default.contentsEqual(atPath: template, andPath: disk + ".uefi-vars"))
        // What is there stays.
        try Data("mine".utf8).write(to: URL(fileURLWithPath: disk + ".uefi-vars"))
        _ = firmware.keepingVariables(besideDisk: disk, isWritable: true)
        #expect(try String(contentsOfFile: disk + ".uefi-vars", encoding: .utf8) == "mine")
        // Nothing is written where nothing may be.
        for (place, isWritable) in [(directory.path + "/other.img", false), (directory.path + "/absent/disk.img", true)] {
            let volatile = firmware.keepingVariables(besideDisk: place, isWritable: isWritable)
            #expect(volatile.variables.isSnapshot && volatile.variables.file == template)
            #expect(!FileManager.default.fileExists(atPath: place + ".uefi-vars"))
        }
    }
}
