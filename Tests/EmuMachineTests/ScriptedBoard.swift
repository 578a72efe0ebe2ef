import EmuBus
import EmuCPU
import EmuDevices
import EmuMachine

/// A hart that does what a test says, to look at the run loop without an architecture.
final class ScriptedHart: Hart {
    let index: Int
    private(set) var cycles: UInt64 = 0
    var retired: UInt64 { cycles }
    var isWaiting = false
    private(set) var exitRequested = false
    /// (budget, guest time at its start) of each slice.
    private(set) var slices: [(budget: Int, start: UInt64)] = []
    private(set) var switches = 0
    private(set) var resets = 0
    /// Cycles one slice uses of its budget.
    var work: (ScriptedHart, Int) -> Int = { _, budget in budget }

    init(index: Int) { self.index = index }

    func run(budget: Int, clockBase: UInt64) -> ExitReason {
        slices.append((budget, clockBase))
        exitRequested = false
        cycles += UInt64(work(self, budget))
        return exitRequested ? .requested : isWaiting ? .waiting : .budget
    }

    func requestExit() { exitRequested = true }
    func didSwitch() { switches += 1 }
    func reset() { resets += 1 }
    func setInterrupt(_ number: Int, level: Bool) { if level { isWaiting = false } }
    func encodedState() throws -> [UInt8] { ELFBuilder.bytes(cycles) }
    func restoreState(_ bytes: [UInt8]) throws {}
}

/// The least a machine needs around scripted harts.
final class ScriptedBoard: Board {
    let context: BoardContext
    let scripted: [ScriptedHart]
    let memory: GuestRAM
    var loads: [Bool] = []
    var loadFailure: (any Error)?
    var polls = 0
    var flushes = 0

    init(_ context: BoardContext) throws {
        self.context = context
        scripted = (0..<context.config.harts).map { ScriptedHart(index: $0) }
        memory = try GuestRAM(base: 0x8000_0000, size: 1 << 20)
        try context.bus.map(memory, name: "RAM")
    }

    var harts: [any Hart] { scripted }
    var devices: [any MMIODevice] { [] }
    var saveableParts: [any Saveable] { [] }
    func loadImages(memoryIsClear: Bool) throws {
        if let loadFailure { throw loadFailure }
        loads.append(memoryIsClear)
    }
    func deviceTreeBlob() throws -> [UInt8] { [] }
    func poll() { polls += 1 }
    func flush() throws { flushes += 1 }
    func commitSnapshots() {}

    /// A machine with scripted harts on the clock `mode`.
    static func machine(
        _ mode: ClockMode, harts: Int = 1, stopper: MachineStopper = MachineStopper(), _ change: (inout MachineConfig) -> Void = { _ in }
    ) throws -> (machine: Machine, board: ScriptedBoard) {
        var config = MachineConfig()
        config.clock = mode
        config.harts = harts
        change(&config)
        var board: ScriptedBoard?
        let machine = try Machine(config, host: MachineHost(stopper: stopper)) { context in
            let made = try ScriptedBoard(context)
            board = made
            return made
        }
        guard let board else { throw ImageError("no board was made") }
        return (machine, board)
    }
}
