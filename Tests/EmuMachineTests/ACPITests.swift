import EmuBus
import EmuMachine
import Foundation
import Testing

/// The ACPI tables, read back as firmware and operating systems do, and by ACPICA's compiler.
@Suite struct ACPITests {
    private func configuration(_ change: (inout MachineConfig) -> Void = { _ in }) throws -> FirmwareConfigurationReader {
        var config = MachineConfig()
        change(&config)
        return FirmwareConfigurationReader(machine: try Machine(config))
    }

    private func tables(_ change: (inout MachineConfig) -> Void = { _ in }) throws -> [String: [UInt8]] {
        try InstalledACPITables(try configuration(change)).tables()
    }

    private func number(_ bytes: some Collection<UInt8>) -> UInt64 { InstalledACPITables.little(bytes) }

    @Test func everyTableOfTheBootRequirementsIsThere() throws {
        #expect(Set(try tables().keys).isSuperset(of: ["XSDT", "FACP", "DSDT", "APIC", "RHCT", "PPTT", "SPCR", "MCFG"]))
    }

    @Test func acpiCanBeLeftOut() throws {
        let names = try configuration { $0.hasACPI = false }.names
        #expect(!names.contains { $0.hasPrefix("etc/acpi") || $0 == "etc/table-loader" })
    }

    @Test func theFixedTableIsHardwareReduced() throws {
        let table = try #require(try tables()["FACP"])
        #expect(table.count == 276 && table[8] == 6)
        #expect(number(table[112..<116]) == 1 << 20)
        #expect(number(table[36..<44]) == 0)
    }

    @Test(arguments: [1, 3]) func everyHartHasItsInterruptControllerAndPLICContext(harts: Int) throws {
        let table = try #require(try tables { $0.harts = harts }["APIC"])
        let structures = try InstalledACPITables.structures(table[44...])
        let own = structures.filter { $0.type == 0x18 }
        #expect(own.count == harts)
        for (hart, each) in own.enumerated() {
            #expect(each.bytes.count == 36 && each.bytes[2] == 1)
            #expect(number(each.bytes[4..<8]) & 1 == 1)
            #expect(number(each.bytes[8..<16]) == UInt64(hart) && number(each.bytes[16..<20]) == UInt64(hart))
            #expect(number(each.bytes[20..<24]) == UInt64(2 * hart + 1))
        }
        let external = structures.filter { $0.type == 0x1b }
        #expect(external.count == 1)
        let plic = try #require(external.first?.bytes)
        #expect(plic.count == 36)
        #expect(number(plic[12..<14]) == 95 && number(plic[14..<16]) == 7)
        #expect(number(plic[20..<24]) == 0x60_0000 && number(plic[24..<32]) == 0xc00_0000 && number(plic[32..<36]) == 0)
    }

    @Test(arguments: [1, 3]) func anAPLICHasADeliveryControlForEachHart(harts: Int) throws {
        let structures = try interruptControllers {
            $0.harts = harts
            $0.interrupts = .aplic
        }
        let own = structures.filter { $0.type == 0x18 }
        #expect(own.map { number($0.bytes[20..<24]) } == (0..<UInt64(harts)).map { $0 } && own.allSatisfy { number($0.bytes[24..<36]) == 0 })
        let aplic = try #require(structures.first { $0.type == 0x1a }?.bytes)
        #expect(aplic.count == 36 && aplic[2] == 1)
        #expect(number(aplic[16..<18]) == UInt64(harts) && number(aplic[18..<20]) == 96 && number(aplic[20..<24]) == 0)
        #expect(number(aplic[24..<32]) == 0xd00_0000 && number(aplic[32..<36]) == 0x8000)
        #expect(!structures.contains { [0x19, 0x1b].contains($0.type) })
    }

    @Test(arguments: [(1, 0, 0, 0), (2, 0, 1, 0), (3, 1, 2, 1), (4, 3, 2, 2)])
    func interruptFilesAreWhereTheDeviceTreeSays(harts: Int, guests: Int, hartBits: UInt8, guestBits: UInt8) throws {
        let structures = try interruptControllers {
            $0.harts = harts
            $0.interrupts = .imsic
            $0.guestFiles = guests
        }
        let stride: UInt64 = 0x1000 << UInt64(guestBits)
        let own = structures.filter { $0.type == 0x18 }.map(\.bytes)
        #expect(own.map { number($0[24..<32]) } == (0..<UInt64(harts)).map { 0x2800_0000 + stride * $0 })
        #expect(own.allSatisfy { number($0[20..<24]) == 0 && number($0[32..<36]) == stride })
        let files = try #require(structures.first { $0.type == 0x19 }?.bytes)
        #expect(files.count == 16 && number(files[8..<10]) == 255 && number(files[10..<12]) == 255)
        #expect(Array(files[12..<16]) == [guestBits, hartBits, 0, 24])
        let aplic = try #require(structures.first { $0.type == 0x1a }?.bytes)
        #expect(number(aplic[16..<18]) == 0 && number(aplic[18..<20]) == 96)
    }

    private func interruptControllers(_ change: (inout MachineConfig) -> Void) throws -> [(type: UInt64, bytes: [UInt8])] {
        let table = try #require(try tables(change)["APIC"])
        return try InstalledACPITables.structures(table[44...])
    }

    @Test func capabilitiesAreThoseOfTheDeviceTree() throws {
        let reader = try configuration { $0.harts = 2 }
        let table = try #require(try InstalledACPITables(reader).tables()["RHCT"])
        #expect(number(table[40..<48]) == 10_000_000)
        let first = Int(number(table[52..<56]))
        let nodes = try InstalledACPITables.structures(table[first...], wide: true)
        #expect(nodes.count == Int(number(table[48..<52])))
        let tree = try FDT.parse(try reader.machine.deviceTreeBlob())
        let processor = try #require(tree[child: "cpus"]?[child: "cpu@0"])
        let isa = try #require(nodes.first { $0.type == 0 }?.bytes)
        let length = Int(number(isa[6..<8]))
        #expect(Array(isa[8..<8 + length]) == processor["riscv,isa"])
        #expect(isa.count % 2 == 0)
        let blocks = try #require(nodes.first { $0.type == 1 }), paging = try #require(nodes.first { $0.type == 2 })
        #expect(blocks.bytes.dropFirst(7) == [6, 6, 6])
        #expect(paging.bytes[7] == 2)
        let harts = nodes.filter { $0.type == 0xffff }
        #expect(harts.map { number($0.bytes[8..<12]) } == [0, 1])
        for hart in harts {
            let offsets = stride(from: 12, to: hart.bytes.count, by: 4).map { Int(number(hart.bytes[$0..<$0 + 4])) }
            #expect(offsets.count == Int(number(hart.bytes[6..<8])))
            #expect(offsets.map { number(table[$0..<$0 + 2]) } == [0, 1, 2])
        }
    }

    @Test func aProcessorWithoutCacheBlocksSaysNothingOfThem() throws {
        let table = try #require(try tables { $0.cpu = "rv64,zicbom=off,zicbop=off,zicboz=off,sv57=off" }["RHCT"])
        let nodes = try InstalledACPITables.structures(table[56...], wide: true)
        #expect(!nodes.contains { $0.type == 1 })
        #expect(nodes.first { $0.type == 2 }?.bytes[7] == 1)
    }

    @Test func theConsoleIsTheSerialPort() throws {
        let table = try #require(try tables()["SPCR"])
        #expect(table[8] == 4 && table[36] == 0x12)
        #expect(table[40] == 0 && number(table[44..<52]) == 0x1000_0000)
        #expect(table[52] == 0x10 && number(table[54..<58]) == 10)
        #expect(number(table[76..<80]) == 3_686_400)
        #expect(Int(number(table[86..<88])) + Int(number(table[84..<86])) == table.count)
    }

    @Test func configurationSpaceIsWhereTheDeviceTreeSays() throws {
        let reader = try configuration()
        let table = try #require(try InstalledACPITables(reader).tables()["MCFG"])
        #expect(table.count == 60 && number(table[44..<52]) == 0x3000_0000 && table[54] == 0 && table[55] == 255)
        let tree = try FDT.parse(try reader.machine.deviceTreeBlob())
        #expect(tree[child: "soc"]?[child: "pci@30000000"]?["reg"] == [0, 0, 0, 0, 0x30, 0, 0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0])
    }

    @Test func anIOMMUIsToldWithTheFunctionsItServes() throws {
        #expect(try tables()["RIMT"] == nil)
        let table = try #require(try tables { $0.devices = [DeviceConfig(line: "riscv-iommu-pci,addr=3")] }["RIMT"])
        // Two nodes, the first at 48.
        #expect(table[8] == 1 && number(table[36..<40]) == 2 && number(table[40..<44]) == 48 && number(table[44..<48]) == 0)
        let iommu = Array(table[48..<96])
        #expect(iommu[0] == 0 && iommu[1] == 1 && number(iommu[2..<4]) == 48)
        #expect(String(decoding: iommu[8..<16], as: UTF8.self) == "1B360014")
        #expect(number(iommu[24..<28]) == 1 && number(iommu[32..<34]) == 0 && number(iommu[34..<36]) == 3 << 3)
        // Its pin, A of slot 3, on line 3: interrupt 32 + 3.
        #expect(number(iommu[36..<38]) == 1 && number(iommu[38..<40]) == 40 && number(iommu[40..<44]) == 35 && number(iommu[44..<48]) == 3)
        let bridge = Array(table[96...])
        #expect(bridge[0] == 1 && number(bridge[2..<4]) == UInt64(bridge.count) && number(bridge[16..<18]) == 20 && number(bridge[18..<20]) == 2)
        func mapping(_ index: Int) -> [UInt64] { (0..<5).map { number(bridge[20 + 20 * index + 4 * $0..<24 + 20 * index + 4 * $0]) } }
        // Not the id before the IOMMU, where nobody is, as Linux has a range include the id behind it.
        #expect(mapping(0) == [0, 0x17, 0, 48, 0])
        #expect(mapping(1) == [0x19, 0x10000 - 0x19, 0x19, 48, 0])
    }

    @Test func processorsFormOnePackage() throws {
        let table = try #require(try tables { $0.harts = 3 }["PPTT"])
        let nodes = try InstalledACPITables.structures(table[36...])
        #expect(nodes.map { number($0.bytes[8..<12]) } == [0, 36, 36, 36])
        #expect(nodes.dropFirst().map { number($0.bytes[12..<16]) } == [0, 1, 2])
    }

    /// ACPICA reads each table; the namespace it finds compiles again without an error.
    @Test(arguments: [(1, InterruptControllers.plic), (20, .plic), (2, .imsic)])
    func iaslUnderstandsTheTables(harts: Int, interrupts: InterruptControllers) throws {
        let directory = try TemporaryDirectory()
        let tables = try tables {
            $0.harts = harts
            $0.interrupts = interrupts
            if interrupts == .imsic { $0.devices = [DeviceConfig(line: "riscv-iommu-pci")] }
        }
        for (signature, bytes) in tables where ["DSDT", "FACP", "SPCR", "XSDT", "PPTT", "MCFG"].contains(signature) {
            let file = try directory.file("\(signature).aml", bytes)
            _ = try Tool.run(["iasl", "-p", directory.path + "/" + signature, "-d", file], input: [])
        }
        let source = try String(contentsOfFile: directory.path + "/DSDT.dsl", encoding: .utf8)
        for name in ["Device (C000)", "\"ACPI0007\"", interrupts == .plic ? "\"RSCV0001\"" : "\"RSCV0002\"", "\"PNP0C0F\"", "ToUUID (\"33db4d5b-1ff7-401c-9657-7441c03dd766\")", "\"RSCV0003\"", "\"LNRO0005\"", "\"QEMU0002\"", "\"PNP0A08\"", "Method (_GSB"] { #expect(source.contains(name)) }
        #expect(source.contains("ToUUID (\"e5c937d0-3553-4d7a-9117-ea4d19c3434d\")") == (interrupts == .imsic))
        #expect(source.components(separatedBy: "\"LNRO0005\"").count == 9)
        #expect(source.contains("0x10001000,         // Address Base"))
        let report = try Tool.run(["iasl", "-ve", "-p", directory.path + "/again", directory.path + "/DSDT.dsl"], input: [])
        #expect(report.contains(" 0 Errors"))
    }
}
