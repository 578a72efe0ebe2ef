import EmuBus
import EmuCPU
import Testing

/// A hart with 1 MiB of RAM at 0x8000_0000, a page of ROM at 0x1000, the virtual clock, and no program: tests call its parts.
final class TestHart {
    static let ram: UInt64 = 0x8000_0000
    static let rom: UInt64 = 0x1000

    let bus = AddressSpace()
    let cache: TranslationCache
    let events = EventQueue(mode: .virtual)
    let cpu: RVProcessor

    init(_ option: String = "rv64", openPMP: Bool = true) throws {
        let config = try RVConfig.parse(option)
        try bus.map(GuestRAM(base: Self.ram, size: 1 << 20), name: "ram")
        try bus.map(GuestRAM(base: Self.rom, size: 4096, isReadOnly: true), name: "rom")
        cache = TranslationCache(bus: bus)
        let events = events
        cpu = RVProcessor(
            index: 5, config: config, bus: bus, cache: cache, events: events, readTime: { events.now / 100 })
        // One NAPOT entry over everything, so that S and U modes reach memory at all.
        if openPMP {
            self[.pmpaddr0] = .max
            self[.pmpcfg0] = 0x1f
        }
    }

    /// A CSR past all access checks, with the WARL rules of a write.
    subscript(_ csr: RVCSR) -> UInt64 {
        get { cpu.readCSR(csr) }
        set { cpu.writeCSR(csr, newValue) }
    }

    /// Sets bits of a CSR.
    func set(_ csr: RVCSR, _ bits: UInt64) { self[csr] |= bits }
    func clear(_ csr: RVCSR, _ bits: UInt64) { self[csr] &= ~bits }

    /// Executes a CSR instruction on register x1 (x2 = destination); the value read, or nil when it trapped as illegal.
    @discardableResult
    func csr(_ op: RVOp, _ number: UInt16, _ operand: UInt64? = nil) -> UInt64? {
        cpu.x[1] = operand ?? 0
        let done = cpu.executeCSR(op, DecodedOp(op, rd: 2, rs1: operand == nil ? 0 : 1, imm: Int32(number), raw: 0x1234))
        if !done { #expect(cpu.raised == (2, 0x1234)) }
        return done ? cpu.x[2] : nil
    }

    @discardableResult
    func csr(_ op: RVOp, _ csr: RVCSR, _ operand: UInt64? = nil) -> UInt64? { self.csr(op, csr.rawValue, operand) }

    /// True when the register can be read in the present mode.
    func reads(_ csr: RVCSR) -> Bool { self.csr(.csrrs, csr) != nil }

    /// Executes a privileged instruction; true when it did not trap.
    @discardableResult
    func execute(_ op: RVOp, rs1: UInt8 = 0, rs2: UInt8 = 0) -> Bool {
        cpu.executePrivileged(op, DecodedOp(op, rs1: rs1, rs2: rs2, raw: 0x1234))
    }

    func store(_ address: UInt64, _ value: UInt64) { #expect(bus.storeMemory(address, value)) }
    func load(_ address: UInt64) -> UInt64? { bus.loadMemory(address, as: UInt64.self) }
}

/// Privilege levels as the hart encodes them.
enum Mode {
    static let user: UInt8 = 0
    static let supervisor: UInt8 = 1
    static let machine: UInt8 = 3
    static let all = [user, supervisor, machine]
}
