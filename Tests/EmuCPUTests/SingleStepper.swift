import EmuBus
import EmuCPU
import TestSupport
import Testing

/// Executes single instructions on a hart whose traps all go to M-mode, in S- or U-mode under Sv39 with RAM at its own addresses.
final class SingleStepper {
    let hart: TestHart
    static let code = TestHart.ram + 0x8000
    static let handler = TestHart.ram + 0x9000
    /// A page that tests map as they like; its physical one is the same.
    static let page = TestHart.ram + 0x2_0000
    /// Valid, accessed and dirty.
    static let used: UInt64 = 0xc1
    static let read: UInt64 = 2, write: UInt64 = 4, execute: UInt64 = 8, user: UInt64 = 16

    init(_ option: String = "rv64", mode: UInt8 = Mode.supervisor) throws {
        hart = try TestHart(option)
        hart[.mtvec] = Self.handler
        map(Self.code, Self.used | Self.read | Self.execute | (mode == Mode.user ? Self.user : 0))
        hart[.satp] = PrivilegedWalkerTests.satp(8)
        hart.cpu.privilege = mode
    }

    /// Maps a page of RAM to itself.
    func map(_ address: UInt64, _ flags: UInt64) {
        PrivilegedWalkerTests.map(hart, address, leaf: PrivilegedWalkerTests.entry(address, flags))
        hart.cpu.views.flush()
    }

    /// What an instruction raised.
    struct Fault: Equatable, CustomStringConvertible {
        var cause: UInt64
        var value: UInt64
        init(_ cause: UInt64, _ value: UInt64) { (self.cause, self.value) = (cause, value) }
        var description: String { "cause \(cause), tval \(hex(value))" }
    }

    /// Executes one instruction in `mode`; nil when it did not trap.
    func execute(_ bits: UInt32, at pc: UInt64 = code, mode: UInt8? = nil) throws -> Fault? {
        hart.cache.flushAll()
        try #require(TranslatedCode.place([bits], at: pc, hart))
        if let mode { hart.cpu.privilege = mode }
        let before = hart.cpu.privilege
        hart.cpu.pc = pc
        _ = hart.cpu.run(budget: 1, clockBase: hart.events.now)
        guard hart.cpu.pc == Self.handler else { return nil }
        hart.cpu.privilege = before
        return Fault(hart[.mcause], hart[.mtval])
    }
}
