import EmuBus
import EmuControl
import EmuCPU
import EmuMachine
import TestSupport
import Testing

/// A whole machine with a small program at the start of RAM, under a debugger.
final class DebugGuest {
    static let ram: UInt64 = 0x8000_0000
    let machine: Machine
    let session: DebugSession

    /// - Parameter program: instructions at the start of RAM; every hart begins there, after the reset code.
    init(_ program: [UInt32], harts: Int = 1, clock: ClockMode = .virtual) throws {
        var config = MachineConfig()
        config.clock = clock
        config.harts = harts
        config.memory = 16 << 20
        config.firmware = .none
        machine = try Machine(config)
        session = try DebugSession(machine)
        place(program, at: Self.ram)
    }

    func place(_ program: [UInt32], at address: UInt64) {
        for (index, word) in program.enumerated() { #expect(machine.bus.storeMemory(address + 4 * UInt64(index), word)) }
    }

    /// Runs the reset code, so that every hart stands at the start of RAM.
    func begin() throws {
        for hart in 0..<session.hartCount {
            try session.select(hart: hart)
            try session.write(try session.register("pc"), Self.ram)
        }
        try session.select(hart: 0)
    }

    subscript(_ register: String) -> UInt64 {
        get { (try? session.read(session.register(register))) ?? 0xdead_dead }
        set { #expect(throws: Never.self) { try session.write(session.register(register), newValue) } }
    }
}
