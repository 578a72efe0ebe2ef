import EmuBus
import EmuMachine
import Foundation
import Glibc
import Testing

/// What a machine with software in flash memory starts, and how a kernel reaches it.
@Suite struct FlashBootTests {
    private let directory: TemporaryDirectory
    private static let bank = 32 << 20

    init() throws { directory = try TemporaryDirectory() }

    /// An image of a bank, most of it a hole.
    private func image(_ name: String, _ start: [UInt8] = [], size: Int = bank) throws -> DriveConfig {
        let path = try directory.file(name, start)
        guard truncate(path, off_t(size)) == 0 else { throw HostError("truncate", errno) }
        var drive = DriveConfig(file: path)
        drive.interface = .pflash
        return drive
    }

    private func machine(_ change: (inout MachineConfig) throws -> Void) throws -> Machine {
        var config = MachineConfig()
        try change(&config)
        return try Machine(config)
    }

    private func problem(_ change: (inout MachineConfig) throws -> Void) -> String {
        do {
            _ = try machine(change)
            return "accepted"
        } catch {
            return "\(error)"
        }
    }

    private func rom(_ machine: Machine, _ index: UInt64) -> UInt64? { machine.bus.loadMemory(0x1018 + 8 * index, as: UInt64.self) }

    @Test func theFirmwareStartsTheFirstBank() throws {
        let machine = try machine { $0.drives = [try image("code", [1, 2, 3, 4])] }
        #expect(rom(machine, 0) == 0x8000_0000)
        // fw_dynamic's next address and mode.
        #expect(rom(machine, 4) == 0x2000_0000 && rom(machine, 5) == 1)
        #expect(machine.bus.readDevice(0x2000_0000, size: 4) == 0x0403_0201)
    }

    @Test func withoutFirmwareTheFirstBankStartsInMachineMode() throws {
        let machine = try machine {
            $0.firmware = .none
            $0.drives = [try image("code")]
        }
        #expect(rom(machine, 0) == 0x2000_0000)
    }

    @Test func imagesFillTheBanksInOrderOrByUnit() throws {
        let machine = try machine {
            var first = try image("second", [2])
            first.unit = 1
            $0.drives = [first, try image("first", [1])]
        }
        #expect(machine.bus.readDevice(0x2000_0000, size: 1) == 1 && machine.bus.readDevice(0x2200_0000, size: 1) == 2)
    }

    @Test func onlyTheSecondBankLeavesTheStartAlone() throws {
        let machine = try machine {
            var drive = try image("vars")
            drive.unit = 1
            $0.drives = [drive]
        }
        #expect(rom(machine, 4) == 0)
    }

    @Test func drivesCanBeNamedAsBanks() throws {
        let machine = try machine {
            var drive = try image("code", [7])
            drive.interface = .none
            drive.id = "code"
            $0.drives = [drive]
            $0.flashDrives = [0: "code"]
        }
        #expect(rom(machine, 4) == 0x2000_0000 && machine.bus.readDevice(0x2000_0000, size: 1) == 7)
    }

    @Test func banksThatCannotBeAreRefused() throws {
        let small = try image("small", size: 1 << 20)
        #expect(problem { $0.drives = [small] }.contains("32 MiB, and the image 1048576 bytes; truncate -s 32M extends a raw one"))
        let images = try (0..<3).map { try image("\($0)") }
        #expect(problem { $0.drives = images }.hasSuffix("the board has 2 banks of flash memory, units 0 to 1"))
        var twice = Array(images[0..<2])
        for index in twice.indices { twice[index].unit = 1 }
        #expect(problem { $0.drives = twice }.hasSuffix("unit=1 is already taken by another drive"))
        #expect(problem { $0.flashDrives = [0: "none"] }.hasSuffix("there is no -drive with id=none"))
        var used = images[0]
        used.id = "a"
        #expect(problem { $0.drives = [used]; $0.flashDrives = [1: "a"] }.hasSuffix("that drive has another use; give it if=none"))
    }

    @Test func aKernelReachesTheFlashThroughTheFirmwareConfiguration() throws {
        let kernel = try directory.file("kernel", TestGzip.stored([5, 6, 7])), initrd = try directory.file("initrd", [8, 9])
        let machine = try machine {
            $0.drives = [try image("code")]
            $0.kernel = kernel
            $0.initrd = initrd
            $0.append = "quiet"
        }
        let reader = FirmwareConfigurationReader(machine: machine)
        #expect(reader.item(0x08, 4) == [3, 0, 0, 0] && reader.item(0x11, 3) == [5, 6, 7])
        #expect(reader.item(0x0b, 4) == [2, 0, 0, 0] && reader.item(0x12, 2) == [8, 9])
        #expect(reader.item(0x14, 4) == [6, 0, 0, 0] && reader.item(0x15, 6) == Array("quiet\0".utf8))
        #expect(rom(machine, 4) == 0x2000_0000)
        let chosen = try FDT.parse(try machine.deviceTreeBlob())[child: "chosen"]
        #expect(chosen?["bootargs"] == nil && chosen?["linux,initrd-start"] == nil)
    }

    /// Instructions run from a bank, and a program there sees its own stores as commands at once, in translated code too.
    @Test(arguments: [ExecutionEngine.interp, .jit]) func codeInTheBankRunsAndProgramsTheOther(engine: ExecutionEngine) throws {
        let code: [UInt32] = [
            0x2200_04b7,  //     lui  s1, 0x22000
            0x0ff0_0e93,  //     li   t4, 0xff
            0x0400_0293,  //     li   t0, 0x40
            0x0c80_0413,  //     li   s0, 200
            0x0640_0f93,  // 1:  li   t6, 100
            0x0004_a303,  // 2:  lw   t1, 0(s1)        the array, often enough to be read directly
            0xffff_8f93,  //     addi t6, t6, -1
            0x0000_0000,  //     bnez t6, 2b
            0x0054_a023,  //     sw   t0, 0(s1)        program
            0xfff4_4393,  //     not  t2, s0
            0x0074_a023,  //     sw   t2, 0(s1)
            0x0004_ae03,  //     lw   t3, 0(s1)        status
            0x01d4_a023,  //     sw   t4, 0(s1)        read array
            0x0004_af03,  //     lw   t5, 0(s1)
            0x01e3_7333,  //     and  t1, t1, t5       programming has only cleared bits
            0x0000_0000,  //     bne  t1, t5, fail
            0x080e_7e13,  //     andi t3, t3, 0x80
            0x0000_0000,  //     beqz t3, fail
            0xfff4_0413,  //     addi s0, s0, -1
            0x0000_0000,  //     bnez s0, 1b
            0x0010_0537,  //     lui  a0, 0x100
            0x0000_55b7,  //     lui  a1, 0x5
            0x5555_8593,  //     addi a1, a1, 0x555
            0x00b5_2023,  //     sw   a1, 0(a0)
            0x0000_006f,  //     j    .
        ]
        // `fail` is the end with another code.
        let failure: [UInt32] = [0x0010_0537, 0x0001_35b7, 0x3335_8593, 0x00b5_2023, 0x0000_006f]
        let equal: UInt32 = 0x63, notEqual: UInt32 = 0x1063
        var program = code
        program[7] = Self.branch(notEqual, rs1: 31, rs2: 0, to: 5 - 7)
        program[15] = Self.branch(notEqual, rs1: 6, rs2: 30, to: 25 - 15)
        program[17] = Self.branch(equal, rs1: 28, rs2: 0, to: 25 - 17)
        program[19] = Self.branch(notEqual, rs1: 8, rs2: 0, to: 4 - 19)
        program += failure
        let bytes = program.flatMap { ELFBuilder.bytes($0) }
        let machine = try machine {
            $0.engine = engine
            $0.firmware = .none
            $0.clock = .virtual
            $0.drives = [try image("code", bytes), try image("data", [UInt8](repeating: 0xff, count: 16))]
        }
        #expect(machine.run().code == 0)
        let expected = (1...200).reduce(UInt32.max) { $0 & ~UInt32($1) }
        #expect(machine.bus.readDevice(0x2200_0000, size: 4) == UInt64(expected))
        let file = try Data(contentsOf: URL(fileURLWithPath: directory.path + "/data"))
        #expect(Array(file.prefix(4)) == ELFBuilder.bytes(expected))
    }

    /// A branch by `words` instructions.
    private static func branch(_ kind: UInt32, rs1: UInt32, rs2: UInt32, to words: Int) -> UInt32 {
        let offset = UInt32(bitPattern: Int32(words * 4))
        let high = (offset >> 12 & 1) << 31 | (offset >> 5 & 0x3f) << 25
        return kind | rs1 << 15 | rs2 << 20 | high | (offset >> 1 & 0xf) << 8 | (offset >> 11 & 1) << 7
    }
}
