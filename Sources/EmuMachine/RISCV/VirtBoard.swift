import EmuBus
import EmuCPU
import EmuDevices
import Glibc

/// QEMU's `virt` board.
final class VirtBoard: Board {
    /// The memory map: base and size of every region of the board.
    enum Map {
        static let rom: (base: UInt64, size: UInt64) = (0x1000, 0xF000)
        static let finisher: (base: UInt64, size: UInt64) = (0x10_0000, TestFinisher.size)
        static let rtc: (base: UInt64, size: UInt64) = (0x10_1000, GoldfishRTC.size)
        static let clint: (base: UInt64, size: UInt64) = (0x200_0000, ACLINT.size)
        /// Only with `aclint=on`.
        static let sswi: (base: UInt64, size: UInt64) = (0x2F0_0000, ACLINTSSWI.size)
        /// Room for devices plugged in on the command line; none exist yet.
        static let platformBus: (base: UInt64, size: UInt64) = (0x400_0000, 0x200_0000)
        static let pciIO: (base: UInt64, size: UInt64) = (0x300_0000, 0x1_0000)
        static let plic: (base: UInt64, size: UInt64) = (0xC00_0000, PLIC.size)
        static let uart: (base: UInt64, size: UInt64) = (0x1000_0000, UART16550.size)
        static let virtio: (base: UInt64, size: UInt64) = (0x1000_1000, VirtioMMIO.slotSize)
        static let fwCfg: (base: UInt64, size: UInt64) = (0x1010_0000, FwCfg.size)
        static let pciECAM: (base: UInt64, size: UInt64) = (0x3000_0000, 0x1000_0000)
        static let pciMemory32: (base: UInt64, size: UInt64) = (0x4000_0000, 0x4000_0000)
        static let ram: UInt64 = 0x8000_0000

        /// Addresses above RAM for large PCI regions: 16 GiB, at a multiple of that.
        static func pciMemory64(ramSize: UInt64) -> (base: UInt64, size: UInt64) {
            let size: UInt64 = 16 << 30
            return ((ram + ramSize + (size - 1)) & ~(size - 1), size)
        }
    }

    /// PLIC sources.
    enum Source {
        static let virtio = 1, uart = 10, rtc = 11, pci = 32
        /// `riscv,ndev`.
        static let count = 95
    }

    static let maximumHarts = 512
    static let virtioSlots = 8

    let context: BoardContext
    let processor: RVConfig
    let cores: RVCores
    let memory: GuestRAM
    private let rom: GuestRAM
    let clint: ACLINT
    let sswi: ACLINTSSWI?
    let plic: PLIC
    let uart: UART16550
    let rtc: GoldfishRTC
    let finisher: TestFinisher
    let fwCfg: FwCfg
    let transports: [VirtioMMIO]
    let pci: PCIHost
    private let peripherals: PeripheralAssembly
    private var seedSource: EntropySource
    private var loaded: RVBootLoader.Result?

    init(_ context: BoardContext) throws {
        self.context = context
        let config = context.config
        processor = try RVCores.processor(config)
        memory = try GuestMemory.make(at: Map.ram, config)
        rom = try GuestMemory.rom(at: Map.rom.base, size: Map.rom.size)
        cores = try RVCores(context, processor, maximum: Self.maximumHarts, board: config.board)
        clint = ACLINT(events: context.events, harts: cores.harts)
        cores.connect(clint)
        sswi = config.hasACLINT ? ACLINTSSWI(harts: cores.harts) : nil
        plic = PLIC(sources: Source.count, contexts: cores.plicContexts)
        uart = UART16550(events: context.events, interrupt: InterruptLine(plic, Source.uart))
        rtc = GoldfishRTC(
            events: context.events, interrupt: InterruptLine(plic, Source.rtc), wallClock: config.wallClock(context.events))
        finisher = TestFinisher { [unowned context] in context.request($0) }
        fwCfg = FwCfg(bus: context.bus, events: context.events)
        fwCfg.set(FwCfg.Key.cpuCount, UInt16(config.harts))
        peripherals = try PeripheralAssembly(context)
        // Before virtio consoles: of devices that share a host line the first has the keyboard at the start.
        if config.serial.count > 1 { throw ConfigError("-serial", "the virt board has one serial port") }
        if let line = config.serial.first { uart.backend = try peripherals.characterBackend(line) }
        pci = Self.makePCIHost(context, plic)
        let placements = try peripherals.makeDevices()
        transports = try Self.makeTransports(
            context, plic, placements.compactMap { if case .virtio(let placement) = $0 { placement } else { nil } })
        var assembly = PCIAssembly(pci)
        for case .pci(let placement) in placements { try assembly.plug(placement) }
        seedSource = config.entropySource(stream: .max)
        try map()
    }

    private func map() throws {
        let bus = context.bus
        try bus.map(memory, name: "RAM")
        try bus.map(rom, name: "boot ROM")
        try bus.map(finisher, at: Map.finisher.base, size: Map.finisher.size, sizes: TestFinisher.accessSizes)
        try bus.map(rtc, at: Map.rtc.base, size: Map.rtc.size, sizes: GoldfishRTC.accessSizes)
        try bus.map(clint, at: Map.clint.base, size: Map.clint.size, sizes: ACLINT.accessSizes)
        if let sswi { try bus.map(sswi, at: Map.sswi.base, size: Map.sswi.size, sizes: ACLINTSSWI.accessSizes) }
        try bus.map(plic, at: Map.plic.base, size: Map.plic.size, sizes: PLIC.accessSizes)
        try bus.map(uart, at: Map.uart.base, size: Map.uart.size, sizes: UART16550.accessSizes)
        try bus.map(fwCfg, at: Map.fwCfg.base, size: Map.fwCfg.size, sizes: FwCfg.accessSizes)
        for (slot, transport) in transports.enumerated() {
            try bus.map(transport, at: Self.virtioBase(slot), size: VirtioMMIO.decodedSize)
        }
        try pci.map()
    }

    private static func makePCIHost(_ context: BoardContext, _ plic: PLIC) -> PCIHost {
        let layout = PCIHost.Layout(
            ecam: Map.pciECAM, io: Map.pciIO, memory32: Map.pciMemory32, memory64: Map.pciMemory64(ramSize: context.config.memory))
        return PCIHost(
            memory: context.bus, layout: layout, lines: (0..<PCIHost.interruptLines).map { InterruptLine(plic, Source.pci + $0) })
    }

    static func virtioBase(_ slot: Int) -> UInt64 { Map.virtio.base + UInt64(slot) * Map.virtio.size }

    /// Fills the slots: those asked for by number first, the others from the highest free one downwards, as QEMU does.
    private static func makeTransports(_ context: BoardContext, _ plic: PLIC, _ placements: [VirtioPlacement]) throws -> [VirtioMMIO] {
        var slots = [VirtioPlacement?](repeating: nil, count: virtioSlots)
        for placement in placements {
            guard let slot = placement.slot else { continue }
            let option = "\(placement.option),bus=virtio-mmio-bus.\(slot)"
            guard slots.indices.contains(slot) else { throw ConfigError(option, "the buses are virtio-mmio-bus.0 to virtio-mmio-bus.\(virtioSlots - 1)") }
            guard slots[slot] == nil else { throw ConfigError(option, "another device is already on that bus") }
            slots[slot] = placement
        }
        for placement in placements where placement.slot == nil {
            guard let free = slots.lastIndex(where: { $0 == nil }) else {
                throw ConfigError(placement.option, "all \(virtioSlots) virtio slots of the board are taken")
            }
            slots[free] = placement
        }
        return slots.enumerated().map { slot, placement in
            VirtioMMIO(
                name: "virtio-mmio\(slot)", device: placement?.device, memory: context.bus, events: context.events,
                line: InterruptLine(plic, Source.virtio + slot), isLegacy: context.config.forcesLegacyVirtio,
                options: placement?.options ?? VirtioOptions())
        }
    }

    // MARK: Board

    var harts: [any Hart] { cores.harts }
    var devices: [any MMIODevice] {
        [finisher, rtc, clint, plic, uart, fwCfg] + transports.map { $0 as any MMIODevice } + pci.windows + [sswi].compactMap { $0 }
    }
    var saveableParts: [any Saveable] {
        [rtc, clint, plic, uart, fwCfg] + transports.map { $0 as any Saveable } + pci.devices.map { $0 as any Saveable }
    }

    func loadImages(memoryIsClear: Bool) throws {
        var seed = [UInt8](repeating: 0, count: 32)
        guard seed.withUnsafeMutableBytes({ seedSource.fill($0) }) == seed.count else {
            throw HostError("reading random numbers", errno)
        }
        let board = RVBootBoard(ram: memory, rom: rom, progress: context.host.loadProgress, deviceTree: { [unowned self] chosen in deviceTree(chosen, seed: seed) })
        var loader = RVBootLoader(context.config, board, memoryIsClear: memoryIsClear)
        loaded = try loader.load()
    }

    func deviceTreeBlob() -> [UInt8] { loaded?.deviceTree ?? [] }
    func poll() {}
    func flush() throws { try peripherals.flush() }
    func commitSnapshots() throws { try peripherals.commitSnapshots() }
}
