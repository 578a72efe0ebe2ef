import EmuBus
import EmuCPU
import EmuControl
import EmuDevices
import EmuMachine

/// A fixture running on a machine one instruction at a time, with a record of the calls it is in.
final class UnwindGuest {
    /// A call that has not returned: where it returns to, and the registers a caller gets back.
    struct Call {
        let returnAddress: UInt64
        let stackPointer: UInt64
        let preserved: [Int: UInt64]
    }

    /// RISC-V's s0 to s11.
    static let preserved = [8, 9] + Array(18...27)

    let symbols = SymbolTable()
    private let machine: Machine
    private let hart: RVProcessor
    private(set) var calls: [Call] = []

    init?(_ fixture: SymbolFixture) throws {
        var config = MachineConfig()
        config.clock = .virtual
        config.firmware = .none
        config.kernel = fixture.path
        config.serial = [CharacterConfig(.null)]
        machine = try Machine(config, host: MachineHost { _ in SilentBackend() })
        guard let hart = machine.harts.first as? RVProcessor else { return nil }
        self.hart = hart
        symbols.add(try fixture.open())
        // Through the reset code to the program's first instruction.
        for _ in 0..<64 where hart.pc < 0x8000_0000 { _ = hart.run(budget: 1, clockBase: 0) }
    }

    var pc: UInt64 { hart.pc }

    var registers: FrameRegisters {
        FrameRegisters(pc: pc, Dictionary(uniqueKeysWithValues: (1..<32).map { ($0, hart.x[$0]) }))
    }

    var memory: any FrameMemory { Memory(bus: machine.bus) }

    var unwinder: Unwinder { Unwinder(symbols: symbols, memory: memory, architecture: .riscv) }

    /// Executes an instruction and notes calls and returns.
    func step() {
        guard let low = memory.read(pc, size: 2), let word = memory.read(pc, size: 4) else { return }
        let length: UInt64 = low & 3 == 3 ? 4 : 2
        // jal and jalr that link to ra; c.jalr; what returns through ra.
        let calls = word & 0xfff == 0xef || word & 0xfff == 0xe7 || (low & 0xf07f == 0x9002 && low & 0xf80 != 0)
        let returns = low == 0x8082 || word == 0x8067
        if calls {
            let preserved = Dictionary(uniqueKeysWithValues: Self.preserved.map { ($0, hart.x[$0]) })
            self.calls.append(Call(returnAddress: pc + length, stackPointer: hart.x[2], preserved: preserved))
        }
        if returns { self.calls.removeLast() }
        _ = hart.run(budget: 1, clockBase: 0)
    }

    private struct Memory: FrameMemory {
        let bus: AddressSpace

        func read(_ address: UInt64, size: Int) -> UInt64? {
            var bytes = [UInt8](repeating: 0, count: size)
            guard bytes.withUnsafeMutableBytes({ bus.readMemory(address, into: $0) }) else { return nil }
            return bytes.number(0, size)
        }
    }

    private final class SilentBackend: CharacterBackend {
        weak var frontend: (any CharacterFrontend)?
        func write(_ bytes: UnsafeRawBufferPointer) {}
        func frontendReady() {}
    }
}

/// Memory made of bytes at an address.
struct TestMemory: FrameMemory {
    var start: UInt64
    var contents: [UInt8]

    func read(_ address: UInt64, size: Int) -> UInt64? {
        let offset = address &- start
        guard offset < UInt64(contents.count), UInt64(size) <= UInt64(contents.count) - offset else { return nil }
        return contents.number(Int(offset), size)
    }
}
