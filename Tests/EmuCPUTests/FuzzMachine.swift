import EmuBus
import EmuCPU
import EmuJIT
import TestSupport
import Testing

/// Where things are in the machines that fuzz cases run on.
enum FuzzMap {
    static let ram: UInt64 = 0x8000_0000
    static let ramSize: UInt64 = 1 << 20
    static let rom: UInt64 = 0x1000
    static let device: UInt64 = 0x1000_0000
    /// Trap handlers, and the pages they save registers in; the resume tables follow the registers.
    static let machineHandler = ram
    static let supervisorHandler = ram + 0x1000
    static let machineSave = ram + 0x2000
    static let supervisorSave = ram + 0x3000
    /// Pages of code, the same physical ones for everybody: identity-mapped for S-mode, at `userCode` for U-mode.
    static let code = ram + 0x1_0000
    static let codePages = 3
    static let userCode: UInt64 = 0x5001_0000
    static let data = ram + 0x2_0000
    static let dataPages = 4
    static let tables = ram + 0x4_0000
    /// Sv39 pages for data, with all kinds of rights.
    static let window: UInt64 = 0x4000_0000
    /// satp of two address spaces with the same tables.
    static let spaces: [UInt64] = [8 << 60 | 1 << 44 | tables >> 12, 8 << 60 | 2 << 44 | tables >> 12]
}

/// How a machine executes a case.
enum FuzzEngine { case interpreter, translator, lockstep }

/// A device that tells what was done to it, and does what devices do to harts: raises interrupts and asks them to stop.
final class FuzzDevice: MMIODevice {
    let name = "fuzz"
    var log: [[UInt64]] = []
    weak var hart: RVProcessor?

    func read(_ offset: UInt64, size: Int) -> UInt64 {
        log.append([0, offset, UInt64(size)])
        if offset & 0xff0 == 0x20 { hart?.requestExit() }
        let value = (offset &+ UInt64(log.count)) &* 0x9E37_79B9_7F4A_7C15
        return size == 8 ? value : value & (1 << UInt64(8 * size) - 1)
    }

    func write(_ offset: UInt64, _ value: UInt64, size: Int) {
        log.append([1, offset, UInt64(size), value])
        if offset & 0xff0 == 0x10 { hart?.setInterrupt(3, level: value & 1 != 0) }
        if offset & 0xff0 == 0x20 { hart?.requestExit() }
    }

    func reset() { log = [] }
}

/// One of the machines a case runs on.
final class FuzzMachine {
    let bus = AddressSpace()
    let cache: TranslationCache
    let events = EventQueue(mode: .virtual)
    let device = FuzzDevice()
    let cpu: RVProcessor
    let ram: GuestRAM
    /// What lockstep found.
    private(set) var mismatch: String?

    /// - Parameter codeSize: bytes of the buffer for translated code.
    /// - Parameter features: what translated code may use.
    init(_ engine: FuzzEngine, cpu option: String = "rv64", codeSize: Int = 4 << 20, threshold: Int32 = 0, features: HostFeatures = .current) throws {
        ram = try GuestRAM(base: FuzzMap.ram, size: FuzzMap.ramSize)
        try bus.map(ram, name: "ram")
        try bus.map(GuestRAM(base: FuzzMap.rom, size: 4096, isReadOnly: true), name: "rom")
        try bus.map(device, at: FuzzMap.device, size: 0x1000, sizes: .any)
        cache = TranslationCache(bus: bus)
        if engine != .interpreter {
            let backend = try X86Backend(layout: RVProcessor.stateLayout, capacity: codeSize, features: features)
            cache.hostCode = HostCodeCache(cache: cache, backend: backend, threshold: threshold, samplesForLoop: 1)
        }
        let config = try RVConfig.parse(option)
        let events = events
        cpu = RVProcessor(
            index: 0, config: config, bus: bus, cache: cache, events: events, readTime: { events.now / 100 })
        device.hart = cpu
        if engine == .lockstep { cpu.lockstep = RVLockstep { [unowned self] in mismatch = $0 } }
    }

    subscript(_ csr: RVCSR) -> UInt64 {
        get { cpu.readCSR(csr) }
        set { cpu.writeCSR(csr, newValue) }
    }

    func store(_ address: UInt64, _ value: UInt64) { _ = bus.storeMemory(address, value) }

    /// Writes instructions one after the other, 2 or 4 bytes each; returns the address behind them.
    @discardableResult
    func place(_ code: [UInt32], at start: UInt64) -> UInt64 {
        var address = start
        for bits in code {
            _ = bus.storeMemory(address, UInt16(truncatingIfNeeded: bits))
            if bits & 3 == 3 { _ = bus.storeMemory(address + 2, UInt16(truncatingIfNeeded: bits >> 16)) }
            address += bits & 3 == 3 ? 4 : 2
        }
        return address
    }

    /// One turn: due events, then at most `budget` cycles. Returns why it ended.
    func run(_ budget: Int) -> ExitReason {
        events.runDue()
        let (start, before) = (events.now, cpu.cycles)
        let reason = cpu.run(budget: budget, clockBase: start)
        events.advanceVirtual(to: start &+ (cpu.cycles &- before) &* cpu.config.nanosecondsPerCycle)
        return reason
    }

    // MARK: Comparison

    /// What differs between two machines that did the same; nil when nothing does.
    func difference(_ other: FuzzMachine) -> String? {
        if let mismatch { return mismatch }
        if let mismatch = other.mismatch { return mismatch }
        let (mine, theirs) = (cpu.encodedState(), other.cpu.encodedState())
        if mine != theirs {
            return RVProcessor.differences(mine, theirs).prefix(8).map { "\($0.name): \(hex($0.first)), \(hex($0.second))" }.joined(separator: "; ")
        }
        if device.log != other.device.log {
            let at = zip(device.log, other.device.log).prefix { $0 == $1 }.count
            return "access \(at) to the device: \(device.log.dropFirst(at).first ?? []), \(other.device.log.dropFirst(at).first ?? [])"
        }
        return nil
    }

    /// The first address at which memory differs.
    func memoryDifference(_ other: FuzzMachine) -> String? {
        let (mine, theirs) = (UnsafeRawBufferPointer(start: ram.host, count: Int(ram.size)), UnsafeRawBufferPointer(start: other.ram.host, count: Int(ram.size)))
        for page in stride(from: 0, to: mine.count, by: 4096) {
            let pages = (mine[page..<page + 4096], theirs[page..<page + 4096])
            if pages.0.elementsEqual(pages.1) { continue }
            let at = zip(pages.0, pages.1).prefix { $0 == $1 }.count
            return "memory at \(hex(FuzzMap.ram + UInt64(page + at))): \(pages.0[page + at]), \(pages.1[page + at])"
        }
        return nil
    }
}

/// Whether this host can run what the tests of translated code need.
let canTranslate = X86Backend.isSupported
