import EmuBus
import EmuMachine
import Foundation
import Testing

@Suite struct DeviceTreeTests {
    private func machine(_ change: (inout MachineConfig) -> Void = { _ in }) throws -> Machine {
        var config = MachineConfig()
        change(&config)
        return try Machine(config)
    }

    /// The tree as sorted source text, without what VirtBoardFDT.swift documents as different.
    private func comparable(_ arguments: [String], _ input: [UInt8]) throws -> [String] {
        let text = try Tool.run(["dtc", "-q", "-s", "-O", "dts"] + arguments, input: input)
        let missing: [String] = []
        let different = [
            "rng-seed", "riscv,isa ", "riscv,isa-base", "riscv,isa-extensions", "riscv,cbom", "riscv,cbop", "riscv,cboz", "mmu-type",
            "riscv,event-to-mhpmcounters", "riscv,ndev",
        ]
        var lines: [String] = []
        var skipped = false
        for line in text.split(separator: "\n", omittingEmptySubsequences: true).map({ $0.trimmingCharacters(in: .whitespaces) }) {
            if missing.contains(line) { skipped = true }
            if !skipped && !different.contains(where: line.hasPrefix) { lines.append(line) }
            if skipped && line == "};" { skipped = false }
        }
        return lines
    }

    @Test(arguments: [(1, "smp1"), (4, "smp4"), (2, "smp2-aclint")]) func virtTreeIsQEMUs(harts: Int, file: String) throws {
        let golden = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Golden/qemu-virt-\(file).dts")
        let expected = try comparable(["-I", "dts"], Array(try Data(contentsOf: golden)))
        let blob = try machine { $0.harts = harts; $0.hasACLINT = file.hasSuffix("aclint") }.deviceTreeBlob()
        let actual = try comparable(["-I", "dtb"], blob)
        #expect(expected.count > 100)
        #expect(actual == expected)
    }

    @Test func treeDescribesTheProcessor() throws {
        let tree = try FDT.parse(try machine { $0.cpu = "rv64,sv57=off,zicboz=off" }.deviceTreeBlob())
        let cpu = try #require(tree[child: "cpus"]?[child: "cpu@0"])
        #expect(cpu["mmu-type"] == Array("riscv,sv48\0".utf8))
        #expect(cpu["riscv,cboz-block-size"] == nil)
        #expect(cpu["riscv,cbom-block-size"] == [0, 0, 0, 64])
        let names = cpu["riscv,isa-extensions"]?.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
        #expect(names?.contains("sstc") == true)
        #expect(names?.contains("zicboz") == false)
    }

    @Test func memorySizeIsInTheTree() throws {
        let tree = try FDT.parse(try machine { $0.memory = 3 << 30 }.deviceTreeBlob())
        #expect(tree[child: "memory@80000000"]?["reg"] == [0, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0xc0, 0, 0, 0])
    }

    @Test func seedsDifferUnlessRunsRepeat() throws {
        func seed(_ change: (inout MachineConfig) -> Void) throws -> [UInt8]? {
            try FDT.parse(try machine(change).deviceTreeBlob())[child: "chosen"]?["rng-seed"]
        }
        #expect(try seed { _ in } != seed { _ in })
        #expect(try seed { $0.clock = .virtual } == seed { $0.clock = .virtual })
        #expect(try seed { $0.seed = 1 } != seed { $0.seed = 2 })
        #expect(try seed { _ in }?.count == 32)
    }

    @Test func spikeTreeHasRegistersOnlyWithoutSymbols() throws {
        let plain = try FDT.parse(try machine { $0.board = .spike; $0.firmware = .none }.deviceTreeBlob())
        #expect(plain[child: "htif"]?["reg"] != nil)
        #expect(plain["compatible"] == Array("ucbbar,spike-bare-dev\0".utf8))
        let directory = try TemporaryDirectory()
        var program = ELFBuilder.program(at: 0x8000_0000, code: [0x0000_006f])
        program.symbols = [("tohost", 0x8000_1000), ("fromhost", 0x8000_1008)]
        let path = try directory.file("program.elf", program.bytes)
        let own = try FDT.parse(try machine { $0.board = .spike; $0.firmware = .none; $0.kernel = path }.deviceTreeBlob())
        #expect(own[child: "htif"] != nil && own[child: "htif"]?["reg"] == nil)
    }

    @Test func treeIsDumpedToAFile() throws {
        let directory = try TemporaryDirectory()
        let machine = try machine()
        try machine.writeDeviceTree(to: directory.path + "/tree.dtb")
        #expect(try Array(Data(contentsOf: URL(fileURLWithPath: directory.path + "/tree.dtb"))) == machine.deviceTreeBlob())
        #expect(throws: ConfigError.self) { try machine.writeDeviceTree(to: directory.path + "/absent/tree.dtb") }
    }
}
