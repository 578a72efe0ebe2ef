import EmuBus
import EmuDevices
import EmuMachine
import Testing

/// Bare-metal programs of a few instructions on whole machines.
@Suite struct GuestProgramTests {
    private let directory: TemporaryDirectory
    private static let start: UInt64 = 0x8000_0000

    init() throws { directory = try TemporaryDirectory() }

    private final class Recorder: CharacterBackend {
        weak var frontend: (any CharacterFrontend)?
        private(set) var output: [UInt8] = []
        func write(_ bytes: UnsafeRawBufferPointer) { output += bytes }
        func frontendReady() {}
    }

    private func run(
        _ program: ELFBuilder, _ mode: ClockMode, board: BoardKind = .virt, _ change: (inout MachineConfig) -> Void = { _ in }
    ) throws -> (status: EmuMachine.ExitStatus, output: String, machine: Machine) {
        var config = MachineConfig()
        config.board = board
        config.clock = mode
        config.firmware = .none
        config.kernel = try directory.file("program.elf", program.bytes)
        config.serial = [CharacterConfig(.null)]
        change(&config)
        let recorder = Recorder()
        let machine = try Machine(config, host: MachineHost { _ in recorder })
        let status = machine.run()
        return (status, String(decoding: recorder.output, as: UTF8.self), machine)
    }

    @Test(arguments: ClockMode.allCases) func theFinisherPowersOff(mode: ClockMode) throws {
        // lui a0, 0x100; lui a1, 0x25; addi a1, a1, 0x555; sw a1, 0(a0); j .
        let program = ELFBuilder.program(at: Self.start, code: [0x0010_0537, 0x0002_55b7, 0x5555_8593, 0x00b5_2023, 0x0000_006f])
        #expect(try run(program, mode).status == EmuMachine.ExitStatus(code: 2, reason: .poweroff))
    }

    @Test(arguments: ClockMode.allCases) func theSerialPortPrints(mode: ClockMode) throws {
        // lui a0, 0x10000; li a1, 'h'; sb a1, 0(a0); li a1, 'i'; sb a1, 0(a0); then power off.
        let program = ELFBuilder.program(
            at: Self.start,
            code: [
                0x1000_0537, 0x0680_0593, 0x00b5_0023, 0x0690_0593, 0x00b5_0023, 0x0010_0537, 0x0000_55b7, 0x5555_8593, 0x00b5_2023,
                0x0000_006f,
            ])
        let result = try run(program, mode)
        #expect(result.output == "hi")
        #expect(result.status.code == 0)
    }

    @Test(arguments: ClockMode.allCases, [(UInt32(1), Int32(0)), (7, 3)]) func tohostEndsTheRun(mode: ClockMode, exit: (UInt32, Int32)) throws {
        // auipc a0, 1; li a1, VALUE; sd a1, 0(a0); j .
        var program = ELFBuilder.program(at: Self.start, code: [0x0000_1517, exit.0 << 20 | 0x0000_0593, 0x00b5_3023, 0x0000_006f])
        program.symbols = [("tohost", Self.start + 0x1000), ("fromhost", Self.start + 0x1008)]
        #expect(try run(program, mode, board: .spike).status.code == exit.1)
    }

    @Test func tohostPrintsCharacters() throws {
        // auipc a0, 1; li a1, 0x101; slli a1, a1, 48; addi a1, a1, 'k'; sd a1, 0(a0); then wait until it is taken and exit.
        var program = ELFBuilder.program(
            at: Self.start,
            code: [
                0x0000_1517, 0x1010_0593, 0x0305_9593, 0x06b5_8593, 0x00b5_3023, 0x0005_3583, 0xfe05_9ee3, 0x0010_0593, 0x00b5_3023,
                0x0000_006f,
            ])
        program.symbols = [("tohost", Self.start + 0x1000), ("fromhost", Self.start + 0x1008)]
        let result = try run(program, .virtual, board: .spike)
        #expect(result.output == "k")
        #expect(result.status.code == 0)
    }

    @Test func hartsSeeTheirNumbersAndTheDeviceTree() throws {
        // Every hart stores a1 at 0x80001000 + 8 * a0; the last of them (hart 3) then powers off.
        // auipc t0, 1; slli t1, a0, 3; add t0, t0, t1; sd a1, 0(t0); li t2, 3; bne a0, t2, .; power off
        let program = ELFBuilder.program(
            at: Self.start,
            code: [
                0x0000_1297, 0x0035_1313, 0x0062_82b3, 0x00b2_b023, 0x0030_0393, 0x0075_1063, 0x0010_0537, 0x0000_55b7, 0x5555_8593,
                0x00b5_2023, 0x0000_006f,
            ])
        let result = try run(program, .virtual) { $0.harts = 4 }
        #expect(result.status.reason == .poweroff)
        for hart in 0..<4 {
            #expect(result.machine.bus.loadMemory(Self.start + 0x1000 + 8 * UInt64(hart), as: UInt64.self) == 0x87e0_0000)
        }
    }

    @Test func aResetStartsTheProgramAgain() throws {
        // Counts its starts at 0x80002000, which a reset keeps; resets twice, then powers off.
        // auipc t0, 2; lw t1, 0(t0); addi t1, t1, 1; sw t1, 0(t0); li t2, 3; lui a0, 0x100; beq t1, t2, +20;
        // lui a1, 7; addi a1, a1, 0x777; sw a1, 0(a0); j .; lui a1, 5; addi a1, a1, 0x555; sw a1, 0(a0); j .
        let program = ELFBuilder.program(
            at: Self.start,
            code: [
                0x0000_2297, 0x0002_a303, 0x0013_0313, 0x0062_a023, 0x0030_0393, 0x0010_0537, 0x0073_0a63, 0x0000_75b7, 0x7775_8593,
                0x00b5_2023, 0x0000_006f, 0x0000_55b7, 0x5555_8593, 0x00b5_2023, 0x0000_006f,
            ])
        let result = try run(program, .virtual)
        #expect(result.status == EmuMachine.ExitStatus(code: 0, reason: .poweroff))
        #expect(result.machine.resets == 2)
        #expect(try run(program, .virtual) { $0.exitsOnReset = true }.status.reason == .reset)
    }

    @Test func aGuestThatJumpsNowhereCanBeStopped() throws {
        // jr zero: an access fault whose handler is at 0 as well.
        var config = MachineConfig()
        config.firmware = .none
        config.kernel = try directory.file("nowhere.elf", ELFBuilder.program(at: Self.start, code: [0x0000_0067]).bytes)
        let machine = try Machine(config)
        var turns = 0
        #expect(machine.run(until: { turns += 1; return turns > 100 }) == nil)
        #expect(machine.statistics.guestSeconds >= 0)
    }
}
