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
        static let uart: (base: UInt64, size: UInt64) = (0x1000_0000, UART16550.size)
        static let virtio: (base: UInt64, size: UInt64) = (0x1000_1000, VirtioMMIO.slotSize)
        static let fwCfg: (base: UInt64, size: UInt64) = (0x1010_0000, FwCfg.size)
        static let pciECAM: (base: UInt64, size: UInt64) = (0x3000_0000, 0x1000_0000)
        static let pciMemory32: (base: UInt64, size: UInt64) = (0x4000_0000, 0x4000_0000)
        /// The banks of flash memory follow each other.
        static let flash: (base: UInt64, size: UInt64) = (0x2000_0000, PFlash.size)
        static let ram: UInt64 = 0x8000_0000

        /// Addresses above RAM for large PCI regions: 16 GiB, at a multiple of that.
        static func pciMemory64(ramSize: UInt64) -> (base: UInt64, size: UInt64) {
            let size: UInt64 = 16 << 30
            return ((ram + ramSize + (size - 1)) & ~(size - 1), size)
        }
    }

    /// Sources of the interrupt controller.
    enum Source {
        static let virtio = 1, uart = 10, rtc = 11, pci = 32
    }

    static let maximumHarts = 512
    static let virtioSlots = 8
    static let flashBanks = 2

    let context: BoardContext
    let processor: RVConfig
    let cores: RVCores
    let numa: NUMALayout?
    let memory: GuestRAM
    private let rom: GuestRAM
    let clint: ACLINT
    let sswi: ACLINTSSWI?
    /// All there is of `clint` where IMSICs take interprocessor interrupts, with `aclint=on`.
    let timer: ACLINTTimer?
    let interrupts: VirtInterrupts
    let uart: UART16550
    let rtc: GoldfishRTC
    let finisher: TestFinisher
    let fwCfg: FwCfg
    let flash: [PFlash]
    /// Software in the first bank is started instead of a kernel.
    private let startsInFlash: Bool
    let transports: [VirtioMMIO]
    let pci: PCIHost
    private let peripherals: PeripheralAssembly
    /// What is plugged into PCI.
    private var assembly: PCIAssembly
    /// What the guest has let go of.
    private var removed: [any PCIDevice] = []
    private var bootOrder = BootOrder()
    private var seedSource: EntropySource
    private var loaded: RVBootLoader.Result?

    init(_ context: BoardContext) throws {
        self.context = context
        let config = context.config
        processor = try Self.processor(config)
        numa = try NUMALayout(config)
        memory = try GuestMemory.make(at: Map.ram, config, numa)
        rom = try GuestMemory.rom(at: Map.rom.base, size: Map.rom.size)
        cores = try RVCores(context, processor, maximum: Self.maximumHarts, board: config.board)
        clint = ACLINT(events: context.events, harts: cores.harts)
        cores.connect(clint)
        let hasFiles = config.interrupts == .imsic
        sswi = config.hasACLINT && !hasFiles ? ACLINTSSWI(harts: cores.harts) : nil
        timer = config.hasACLINT && hasFiles ? ACLINTTimer(clint) : nil
        interrupts = VirtInterrupts(config, cores)
        uart = UART16550(events: context.events, interrupt: InterruptLine(interrupts.sink, Source.uart))
        rtc = GoldfishRTC(
            events: context.events, interrupt: InterruptLine(interrupts.sink, Source.rtc), wallClock: config.wallClock(context.events))
        finisher = TestFinisher { [unowned context] in context.request($0) }
        fwCfg = FwCfg(bus: context.bus, events: context.events)
        fwCfg.set(FwCfg.Key.cpuCount, UInt16(config.harts))
        peripherals = try PeripheralAssembly(context)
        // Before virtio consoles: of devices that share a host line the first has the keyboard at the start.
        if config.serial.count > 1 { throw ConfigError("-serial", "the virt board has one serial port") }
        if let line = config.serial.first { uart.backend = try peripherals.characterBackend(line) }
        cores.semihosting = try peripherals.makeSemihosting(context)
        let images = try peripherals.flashImages(banks: Self.flashBanks)
        startsInFlash = images[0] != nil
        flash = try images.enumerated().map { bank, image in
            try FlashMemory.make(name: "pflash\(bank)", at: Self.flashBase(bank), image, context)
        }
        pci = Self.makePCIHost(context, interrupts)
        let placements = try peripherals.makeDevices()
        let slots = try Self.assignSlots(placements.compactMap { if case .virtio(let placement) = $0 { placement } else { nil } })
        transports = Self.makeTransports(context, interrupts.sink, slots)
        assembly = PCIAssembly(pci)
        for case .pci(let placement) in placements { try assembly.plug(placement) }
        try assembly.check()
        seedSource = config.entropySource(stream: .max)
        for (slot, placement) in slots.enumerated() { for boot in placement?.boots ?? [] { bootOrder.add(boot, on: Self.bootPath(slot)) } }
        for (boot, path) in assembly.bootDevices { bootOrder.add(boot, on: path) }
        try map()
        try fillFirmwareConfiguration()
        for case let port as PCIeRootPort in pci.devices { port.removed = { [unowned self] in wereRemoved($0) } }
    }

    /// The processor `-cpu` describes, with what belongs to the interrupt controllers.
    private static func processor(_ config: MachineConfig) throws -> RVConfig {
        if config.guestFiles > 0, config.interrupts != .imsic {
            throw ConfigError("-machine aia-guests=\(config.guestFiles)", "only IMSICs have files for guests; add aia=aplic-imsic")
        }
        var processor = try RVCores.processor(config)
        if config.interrupts == .imsic {
            processor.extensions.insert(.smaia)
            processor.extensions.insert(.ssaia)
        }
        return processor
    }

    private func map() throws {
        let bus = context.bus
        try bus.map(memory, name: "RAM")
        try bus.map(rom, name: "boot ROM")
        try bus.map(finisher, at: Map.finisher.base, size: Map.finisher.size, sizes: TestFinisher.accessSizes)
        try bus.map(rtc, at: Map.rtc.base, size: Map.rtc.size, sizes: GoldfishRTC.accessSizes)
        if let timer {
            try bus.map(timer, at: Map.clint.base, size: ACLINTTimer.size, sizes: ACLINT.accessSizes)
        } else {
            try bus.map(clint, at: Map.clint.base, size: Map.clint.size, sizes: ACLINT.accessSizes)
        }
        if let sswi { try bus.map(sswi, at: Map.sswi.base, size: Map.sswi.size, sizes: ACLINTSSWI.accessSizes) }
        try interrupts.map(bus)
        try bus.map(uart, at: Map.uart.base, size: Map.uart.size, sizes: UART16550.accessSizes)
        try bus.map(fwCfg, at: Map.fwCfg.base, size: Map.fwCfg.size, sizes: FwCfg.accessSizes)
        for (bank, each) in flash.enumerated() {
            try bus.map(each, at: Self.flashBase(bank), size: Map.flash.size, sizes: PFlash.accessSizes, code: each.contents)
        }
        for (slot, transport) in transports.enumerated() {
            try bus.map(transport, at: Self.virtioBase(slot), size: VirtioMMIO.decodedSize)
        }
        try pci.map()
    }

    private static func makePCIHost(_ context: BoardContext, _ interrupts: VirtInterrupts) -> PCIHost {
        let layout = PCIHost.Layout(
            ecam: Map.pciECAM, io: Map.pciIO, memory32: Map.pciMemory32, memory64: Map.pciMemory64(ramSize: context.config.memory))
        let host = PCIHost(
            memory: context.bus, layout: layout, lines: (0..<PCIHost.interruptLines).map { InterruptLine(interrupts.sink, Source.pci + $0) })
        host.messageTargets = [interrupts]
        return host
    }

    static func flashBase(_ bank: Int) -> UInt64 { Map.flash.base + UInt64(bank) * Map.flash.size }

    static func virtioBase(_ slot: Int) -> UInt64 { Map.virtio.base + UInt64(slot) * Map.virtio.size }

    /// What firmware finds in fw_cfg.
    private func fillFirmwareConfiguration() throws {
        let config = context.config
        let configuration = FirmwareConfiguration(fwCfg: fwCfg, config: config)
        if config.hasACPI { try configuration.add(acpiTables().files) }
        let family64: UInt16 = 0x201
        try configuration.addSMBIOS(
            SMBIOSTables.Machine(harts: config.harts, memory: memory.size, memoryBase: memory.base, product: "RISC-V virt", processorFamily: family64))
        try configuration.addBoot()
        try configuration.setBootOrder(bootOrder.paths(config.boot.once ?? config.boot.order))
        try configuration.addGivenFiles()
    }

    /// The Open Firmware path of a slot.
    private static func bootPath(_ slot: Int) -> String {
        let address = String(virtioBase(slot), radix: 16)
        return "/virtio-mmio@" + String(repeating: "0", count: 16 - address.count) + address
    }

    /// Fills the slots: those asked for by number first, the others from the highest free one downwards, as QEMU does.
    private static func assignSlots(_ placements: [VirtioPlacement]) throws -> [VirtioPlacement?] {
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
        return slots
    }

    private static func makeTransports(_ context: BoardContext, _ interrupts: any InterruptSink, _ slots: [VirtioPlacement?]) -> [VirtioMMIO] {
        slots.enumerated().map { slot, placement in
            VirtioMMIO(
                name: "virtio-mmio\(slot)", device: placement?.device, memory: context.bus, events: context.events,
                line: InterruptLine(interrupts, Source.virtio + slot), isLegacy: context.config.forcesLegacyVirtio,
                options: placement?.options ?? VirtioOptions())
        }
    }

    // MARK: Board

    var harts: [any Hart] { cores.harts }
    var devices: [any MMIODevice] {
        [finisher, rtc, clint, uart, fwCfg] + interrupts.devices + flash.map { $0 as any MMIODevice } + transports.map { $0 as any MMIODevice } + pci.windows
            + [sswi].compactMap { $0 }
    }
    var saveableParts: [any Saveable] {
        [rtc, clint, uart, fwCfg] + interrupts.saveableParts + flash.map { $0 as any Saveable } + transports.map { $0 as any Saveable }
            + pci.devices.map { $0 as any Saveable }
    }

    func loadImages(memoryIsClear: Bool) throws {
        if !memoryIsClear, context.config.boot.once != nil {
            try FirmwareConfiguration(fwCfg: fwCfg, config: context.config).setBootOrder(bootOrder.paths(context.config.boot.order))
        }
        var seed = [UInt8](repeating: 0, count: 32)
        guard seed.withUnsafeMutableBytes({ seedSource.fill($0) }) == seed.count else {
            throw HostError("reading random numbers", errno)
        }
        let board = RVBootBoard(ram: memory, rom: rom, flash: startsInFlash ? Map.flash.base : nil, fwCfg: fwCfg, progress: context.host.loadProgress, deviceTree: { [unowned self] chosen in deviceTree(chosen, seed: seed) })
        var loader = RVBootLoader(context.config, board, memoryIsClear: memoryIsClear)
        let result = try loader.load()
        loaded = result
        cores.start(result.starts)
    }

    func deviceTreeBlob() -> [UInt8] { loaded?.deviceTree ?? [] }
    func poll() {}
    func flush() throws { try peripherals.flush() }
    func commitSnapshots() throws { try peripherals.commitSnapshots() }
}

/// Devices that come and go while the guest runs.
extension VirtBoard {
    func plug(_ device: DeviceConfig) throws {
        let placement = try peripherals.makeLater(device)
        do {
            try assembly.plugLater(placement)
        } catch {
            peripherals.release(device)
            throw error
        }
    }

    func unplug(_ id: String) throws(ConfigError) { try assembly.requestRemoval(id) }

    /// Devices the guest has let go of: what they used is free for others.
    private func wereRemoved(_ devices: [any PCIDevice]) {
        for device in devices {
            // Requests of theirs may still be under way to their disks.
            removed.append(device)
            if let config = assembly.forget(device) { peripherals.release(config) }
        }
    }
}
