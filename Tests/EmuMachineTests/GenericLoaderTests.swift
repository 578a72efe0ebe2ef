import EmuBus
import EmuMachine
import Foundation
import Testing

/// `-device loader`, in QEMU's words.
@Suite struct GenericLoaderTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func loader(_ properties: [(String, String)]) -> (inout MachineConfig) -> Void {
        return {
            var device = DeviceConfig(driver: "loader")
            device.properties = properties.map { DeviceConfig.Property(name: $0.0, value: $0.1) }
            $0.harts = 2
            $0.loads = [device]
        }
    }

    private func bytes(_ machine: Machine, _ address: UInt64, _ count: UInt64) -> [UInt8] {
        (0..<count).map { machine.bus.loadMemory(address + $0, as: UInt8.self) ?? 0xee }
    }

    @Test func numbersAreStoredInEitherOrder() throws {
        let little = try machine(loader([("addr", "0x80001000"), ("data", "0x123456"), ("data-len", "4")]))
        #expect(bytes(little, 0x8000_1000, 5) == [0x56, 0x34, 0x12, 0, 0])
        let big = try machine(loader([("addr", "0x80001000"), ("data", "258"), ("data-len", "2"), ("data-be", "on")]))
        #expect(bytes(big, 0x8000_1000, 3) == [1, 2, 0])
        let longest = try machine(loader([("addr", "0x80001000"), ("data", "0xffffffffffffffff"), ("data-len", "8")]))
        #expect(bytes(longest, 0x8000_1000, 8) == Array(repeating: 0xff, count: 8))
    }

    @Test func filesAreLoadedAndLoadedAgainAtReset() throws {
        let path = try directory.file("raw", [1, 2, 3])
        let machine = try machine(loader([("file", path), ("addr", "0x80002000")]))
        #expect(bytes(machine, 0x8000_2000, 4) == [1, 2, 3, 0])
        _ = machine.bus.storeMemory(0x8000_2000, UInt32(0))
        try machine.performReset()
        #expect(bytes(machine, 0x8000_2000, 3) == [1, 2, 3])
    }

    /// The hart that was moved leaves its number and ends the run; the other one starts at the reset vector and runs into empty memory.
    @Test func aHartStartsWhereItIsTold() throws {
        let code: [UInt32] = [
            0xf140_2573,  // csrr a0, mhartid
            0x8000_05b7,  // lui  a1, 0x80000 (sign-extended)
            0x0205_9593,  // slli a1, a1, 32
            0x0205_d593,  // srli a1, a1, 32
            0x00a5_a023,  // sw   a0, 0(a1)
            0x0010_0637,  // lui  a2, 0x100
            0x0000_56b7,  // lui  a3, 0x5
            0x5556_8693,  // addi a3, a3, 0x555
            0x00d6_2023,  // sw   a3, 0(a2)
        ]
        let path = try directory.file("code", code.flatMap { ELFBuilder.bytes($0) })
        let machine = try machine(loader([("file", path), ("addr", "0x80004000"), ("cpu-num", "1")]))
        #expect(machine.run().code == 0)
        #expect(machine.bus.loadMemory(0x8000_0000, as: UInt32.self) == 1)
    }

    @Test func whatCannotBeLoadedIsRefused() throws {
        let path = try directory.file("raw", [1])
        #expect(problem(loader([])).hasSuffix("it needs file=FILE, or addr=, data= and data-len=, or addr= and cpu-num="))
        #expect(problem(loader([("file", path)])).hasSuffix("it is no ELF file, so it needs addr=ADDRESS"))
        #expect(problem(loader([("file", path), ("addr", "0x1000")])).contains("do not fit the guest's RAM"))
        #expect(problem(loader([("file", path), ("addr", "0xffffffffffffffff")])).contains("do not fit the guest's RAM"))
        #expect(problem(loader([("file", path), ("addr", "0x80000000"), ("data", "1")])).hasSuffix("either file or data, not both"))
        #expect(problem(loader([("data", "1"), ("data-len", "4")])).hasSuffix("data needs addr=ADDRESS"))
        #expect(problem(loader([("addr", "0x80000000"), ("data", "256"), ("data-len", "1")])).hasSuffix("data has more than 1 bytes"))
        #expect(problem(loader([("addr", "0x80000000"), ("data", "1"), ("data-len", "9")])).hasSuffix("data needs data-len, 1 to 8 bytes"))
        #expect(problem(loader([("addr", "0x80000000"), ("cpu-num", "2")])).hasSuffix("the machine has harts 0 to 1"))
        #expect(problem(loader([("addr", "x"), ("cpu-num", "0")])).hasSuffix("addr=x is not a number below 2^64"))
        #expect(problem(loader([("addr", "0x80000000"), ("data", "1"), ("data-len", "1"), ("data-be", "maybe")])) == "-device loader,data-be=maybe: write on or off")
        let program = try directory.file("program.elf", ELFBuilder.program(at: 0x8000_0000, [1]).bytes)
        #expect(problem(loader([("file", program), ("addr", "0x80001000")])).hasSuffix("leave out addr=, or add force-raw=on to copy it as it is"))
        #expect(problem(loader([("file", program), ("addr", "0x80001000"), ("force-raw", "on")])) == "accepted")
        #expect(problem(loader([("file", "/nonexistent"), ("addr", "0x80000000")])).contains("/nonexistent"))
    }
}
