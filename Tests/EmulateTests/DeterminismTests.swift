import EmuMachine
import Foundation
import Testing

/// The virtual clock's promise: the same inputs give the same run, bit for bit.
@Suite(.enabled(if: !DebianGuest.isLeftOut, "EMULATE_OFFLINE is set: real guests were not fetched"))
struct DeterminismTests {
    private struct Outcome: Equatable {
        let hash: UInt64
        let retired: [UInt64]
        let status: EmuMachine.ExitStatus
    }

    private func boot(harts: Int, engine: ExecutionEngine = .jit) throws -> Outcome {
        let guest = try DebianGuest()
        var config = MachineConfig()
        config.engine = engine
        config.clock = .virtual
        config.harts = harts
        config.memory = 256 << 20
        config.kernel = guest.image
        config.initrd = guest.initrd
        config.append = "console=ttyS0 run=\(Data("ls -lR /sys | sha256sum; cat /proc/interrupts".utf8).base64EncodedString())"
        let machine = try Machine(config)
        let status = machine.run()
        return Outcome(hash: try machine.stateHash(), retired: machine.harts.map(\.retired), status: status)
    }

    @Test(arguments: [1, 2]) func bootingDebianTwiceEndsInTheSameState(harts: Int) throws {
        let first = try boot(harts: harts)
        #expect(first.status.reason == .poweroff)
        #expect(try boot(harts: harts) == first)
    }

    /// Where the engine is no part of the outcome: instruction counts, memory, devices and registers are the same.
    @Test func translatedCodeAndTheInterpreterEndInTheSameState() throws {
        #expect(try boot(harts: 2, engine: .interp) == boot(harts: 2, engine: .jit))
    }
}
