import EmuBus
import EmuCPU
import EmuDevices
import Glibc

/// QEMU's `spike` board: harts, CLINT, RAM, and a host-target interface for console and exit.
final class SpikeBoard: Board {
    /// The memory map: base and size of every region of the board.
    enum Map {
        static let rom: (base: UInt64, size: UInt64) = (0x1000, 0xF000)
        /// The mailboxes as registers, for software that brings no `tohost` and `fromhost` of its own.
        static let htif: (base: UInt64, size: UInt64) = (0x100_0000, HTIF.size)
        static let clint: (base: UInt64, size: UInt64) = (0x200_0000, ACLINT.size)
        static let ram: UInt64 = 0x8000_0000
    }

    static let maximumHarts = 8

    private let context: BoardContext
    private let processor: RVConfig
    private let cores: RVCores
    private let numa: NUMALayout?
    let memory: GuestRAM
    private let rom: GuestRAM
    private let clint: ACLINT
    /// Made when the images are in memory: only then it is known where the mailboxes are.
    private var htif: HTIF!
    private let peripherals: PeripheralAssembly
    private var loaded: RVBootLoader.Result?

    init(_ context: BoardContext) throws {
        self.context = context
        let config = context.config
        if config.interrupts != .plic { throw ConfigError("-machine spike,aia=\(config.interrupts.rawValue)", "the spike board has no interrupt controller; -machine virt has") }
        processor = try RVCores.processor(config)
        numa = try NUMALayout(config)
        memory = try GuestMemory.make(at: Map.ram, config, numa)
        rom = try GuestMemory.rom(at: Map.rom.base, size: Map.rom.size)
        cores = try RVCores(context, processor, maximum: Self.maximumHarts, board: config.board)
        clint = ACLINT(events: context.events, harts: cores.harts)
        cores.connect(clint)
        if let device = config.devices.first {
            throw ConfigError("-device \(device.driver)", "the spike board has no bus to plug devices into; use -machine virt")
        }
        if let drive = config.drives.first {
            throw ConfigError("-drive file=\(drive.file)", "the spike board has no disks; use -machine virt")
        }
        if config.serial.count > 1 { throw ConfigError("-serial", "the spike board has one console") }
        peripherals = try PeripheralAssembly(context)
        cores.semihosting = try peripherals.makeSemihosting(context)
        try context.bus.map(memory, name: "RAM")
        try context.bus.map(rom, name: "boot ROM")
        try context.bus.map(clint, at: Map.clint.base, size: Map.clint.size, sizes: ACLINT.accessSizes)
    }

    var harts: [any Hart] { cores.harts }
    var devices: [any MMIODevice] { [clint, htif] }
    var saveableParts: [any Saveable] { [clint, htif] }

    func loadImages(memoryIsClear: Bool) throws {
        let board = RVBootBoard(
            ram: memory, rom: rom, progress: context.host.loadProgress,
            programsLoaded: { [unowned self] programs in if htif == nil { try connectHTIF(programs) } },
            deviceTree: { [unowned self] chosen in deviceTree(chosen) })
        var loader = RVBootLoader(context.config, board, memoryIsClear: memoryIsClear)
        let result = try loader.load()
        loaded = result
        cores.start(result.starts)
    }

    /// Finds the mailboxes in the programs just loaded; without them the mailboxes are registers.
    private func connectHTIF(_ programs: [ELFFile]) throws {
        var mailboxes: HTIF.Mailboxes?
        for program in programs where mailboxes == nil {
            let symbols = try program.symbols(["tohost", "fromhost"])
            guard let tohost = symbols["tohost"] else { continue }
            mailboxes = HTIF.Mailboxes(tohost: tohost, fromhost: symbols["fromhost"] ?? tohost &+ 8)
        }
        htif = HTIF(bus: context.bus, mailboxes: mailboxes) { [unowned context] in context.request($0) }
        if mailboxes == nil { try context.bus.map(htif, at: Map.htif.base, size: Map.htif.size, sizes: HTIF.accessSizes) }
        if let line = context.config.serial.first { htif.backend = try peripherals.characterBackend(line) }
    }

    /// The content of QEMU 7.2's tree, with the differences of the harts that `VirtBoard`'s tree has too.
    private func deviceTree(_ chosen: RVChosen) -> FDTNode {
        let parts = RVDeviceTree(processor: processor, harts: context.config.harts, numa: numa)
        var root = parts.root(compatible: "ucbbar,spike-bare-dev", model: "ucbbar,spike-bare,qemu")
        var chosenNode = FDTNode("chosen")
        chosenNode.set("stdout-path", "/htif")
        root.children = [chosenNode] + parts.memory(memory) + [parts.cpus()]
        root.children.append(parts.soc([clint.fdtNode(at: Map.clint.base, interruptControllers: parts.controllers)]))
        root.children.append(htif.fdtNode(at: Map.htif.base))
        RVChosenNode.patch(&root, chosen)
        return root
    }

    func deviceTreeBlob() -> [UInt8] { loaded?.deviceTree ?? [] }
    func poll() { htif.poll() }
    let isPolled = true
    func flush() {}
    func commitSnapshots() {}
}
