import EmuMachine
import TestSupport
import Testing

/// SBI calls as supervisor software makes them, answered by the built-in firmware.
@Suite struct FirmwareFeatureTests {
    private let directory: TemporaryDirectory
    private static let start: UInt64 = 0x8020_0000
    private static let results: UInt64 = 0x8080_0000

    init() throws { directory = try TemporaryDirectory() }

    private struct Call {
        var number: UInt32
        var function: UInt32 = 0
        var arguments: [UInt32] = []
    }

    private static let features: UInt32 = 0x4657_4654
    private static func set(_ feature: UInt32, _ value: UInt32, _ flags: UInt32 = 0) -> Call { Call(number: features, arguments: [feature, value, flags]) }
    private static func get(_ feature: UInt32) -> Call { Call(number: features, function: 1, arguments: [feature]) }

    /// lui and addiw.
    private static func load(_ register: UInt32, _ value: UInt32) -> [UInt32] {
        let low = Int32(bitPattern: value << 20) >> 20
        return [value &- UInt32(bitPattern: low) | register << 7 | 0x37, UInt32(bitPattern: low) << 20 | register << 15 | register << 7 | 0x1b]
    }

    /// What a0 and a1 hold after each call.
    private func answers(_ cpu: String, _ calls: [Call]) throws -> [(error: Int64, value: UInt64)] {
        var code = Self.load(8, UInt32(Self.results)) + [0x0204_1413, 0x0204_5413]  // s0, its upper half cleared
        for call in calls {
            code += Self.load(17, call.number) + Self.load(16, call.function)
            for (index, argument) in call.arguments.enumerated() { code += Self.load(10 + UInt32(index), argument) }
            code += [RVAssembly.environmentCall, RVAssembly.storeDouble(10, 8, 0), RVAssembly.storeDouble(11, 8, 8), RVAssembly.addImmediate(8, 8, 16)]
        }
        // SRST: shutdown.
        code += Self.load(17, 0x5352_5354) + Self.load(16, 0) + Self.load(10, 0) + Self.load(11, 0) + [RVAssembly.environmentCall, RVAssembly.jump(0)]
        var config = MachineConfig()
        config.clock = .virtual
        config.cpu = cpu
        config.kernel = try directory.file("program.elf", ELFBuilder.program(at: Self.start, code: code).bytes)
        config.serial = [CharacterConfig(.null)]
        let machine = try Machine(config)
        try #require(machine.run().reason == .poweroff)
        return try calls.indices.map { index in
            let place = Self.results + 16 * UInt64(index)
            let error = try #require(machine.bus.loadMemory(place, as: UInt64.self)), value = try #require(machine.bus.loadMemory(place + 8, as: UInt64.self))
            return (Int64(bitPattern: error), value)
        }
    }

    /// "Firmware Features Extension": values, errors and locks.
    @Test(arguments: ["max", "max,smrnmi=on,smdbltrp=on"]) func supervisorSwitchesWhatTheHartHas(cpu: String) throws {
        let (success, notSupported, invalid, denied, locked): (Int64, Int64, Int64, Int64, Int64) = (0, -2, -3, -4, -14)
        var calls: [Call] = [], expected: [(Int64, UInt64)] = []
        func expect(_ call: Call, _ error: Int64, _ value: UInt64 = 0) {
            calls.append(call)
            expected.append((error, value))
        }
        expect(Call(number: 0x10, function: 0), success, 3 << 24)
        expect(Call(number: 0x10, function: 3, arguments: [Self.features]), success, 1)
        for feature in 0..<5 as Range<UInt32> {
            // Hardware that sets A and D is on where the device tree promises nothing else.
            expect(Self.get(feature), success, feature == 4 ? 1 : 0)
            expect(Self.set(feature, 1), success)
            expect(Self.get(feature), success, 1)
            expect(Self.set(feature, 2), invalid)
            expect(Self.set(feature, 0), success)
            expect(Self.get(feature), success, 0)
        }
        for (length, error) in [(7, success), (16, success), (1, invalid), (8, invalid), (0, success)] as [(UInt32, Int64)] { expect(Self.set(5, length), error) }
        expect(Self.set(5, 7), success)
        expect(Self.get(5), success, 7)
        // Flags other than LOCK are reserved; what is locked cannot be changed, only read.
        expect(Self.set(0, 1, 2), invalid)
        expect(Self.set(0, 1, 1), success)
        expect(Self.set(0, 0), locked)
        expect(Self.get(0), success, 1)
        expect(Self.set(6, 1), denied)
        expect(Self.get(0x4000_0000), denied)
        expect(Call(number: Self.features, function: 2, arguments: [0]), notSupported)
        // DBTR and SSE are not there.
        for number in [0x4442_5452, 0x53_5345] as [UInt32] {
            expect(Call(number: 0x10, function: 3, arguments: [number]), success, 0)
            expect(Call(number: number), notSupported)
        }
        let found = try answers(cpu, calls)
        for (index, answer) in found.enumerated() {
            #expect(answer == expected[index], "call \(index): \(calls[index])")
        }
    }

    /// "RFENCE Extension": what the functions need.
    @Test(arguments: [("max", 0), ("rv64", -2)] as [(String, Int64)]) func hypervisorFencesNeedTheExtension(cpu: String, error: Int64) throws {
        let fence: UInt32 = 0x5246_4e43
        let calls = (3..<7).map { Call(number: fence, function: $0, arguments: [1, 0, 0, 0, 0]) }
        #expect(try answers(cpu, calls).allSatisfy { $0 == (error, 0) })
        // Hart 1 is not there, nor is function 7.
        let wrong = (0..<7).map { Call(number: fence, function: $0, arguments: [2, 0, 0, 0, 0]) } + [Call(number: fence, function: 7, arguments: [1])]
        #expect(try answers(cpu, wrong).map(\.error) == Array(repeating: -3, count: 7) + [-2])
    }

    @Test func whatTheHartLacksIsNotSupported() throws {
        let calls = (1..<6).map { Self.get($0) } + [Self.set(1, 1)]
        let found = try answers("rv64,zicfilp=off,zicfiss=off,ssdbltrp=off,svadu=off,smnpm=off", calls)
        #expect(found.allSatisfy { $0 == (-2, 0) })
    }
}
