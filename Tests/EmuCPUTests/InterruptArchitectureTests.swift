import EmuBus
import EmuCPU
import Testing

/// Smaia and Ssaia as a hart sees them: selectors, files behind them, and the interrupts they tell (Advanced Interrupt Architecture,
/// "Control and Status Registers", "Interrupts for Machine and Supervisor Levels").
@Suite struct InterruptArchitectureTests {
    /// A file whose registers are plain, with an interrupt to claim.
    private final class File: InterruptFile {
        var top: UInt64 = 0
        var registers: [UInt64: UInt64] = [:]
        var claims = 0
        func read(_ selector: UInt64) -> UInt64 { registers[selector] ?? 0 }
        func write(_ selector: UInt64, _ value: UInt64) { registers[selector] = value }
        func claim() { claims += 1 }
        func detachedCopy() -> any InterruptFile { self }
    }

    private func makeHart() throws -> (TestHart, machine: File, supervisor: File) {
        let hart = try TestHart("max")
        let (machine, supervisor) = (File(), File())
        (hart.cpu.machineFile, hart.cpu.supervisorFile) = (machine, supervisor)
        return (hart, machine, supervisor)
    }

    @Test func filesAreReachedThroughTheSelector() throws {
        let (hart, machine, supervisor) = try makeHart()
        for (select, alias, file) in [(RVCSR.miselect, RVCSR.mireg, machine), (.siselect, .sireg, supervisor)] {
            // eidelivery, eithreshold, eip0, eie62
            for selector in [0x70, 0x72, 0x80, 0xfe] as [UInt64] {
                hart[select] = selector
                #expect(hart.csr(.csrrw, alias, selector * 3) == 0 && hart.csr(.csrrs, alias) == selector * 3 && file.registers[selector] == selector * 3)
            }
            // Odd numbers of arrays do not exist with 64 bits; priorities of major interrupts are fixed at zero.
            hart[select] = 0x81
            #expect(!hart.reads(alias))
            hart[select] = 0x30
            #expect(hart.csr(.csrrw, alias, .max) == 0 && hart.csr(.csrrs, alias) == 0)
            hart[select] = 0x31
            #expect(!hart.reads(alias))
        }
        for (csr, file) in [(RVCSR.mtopei, machine), (.stopei, supervisor)] {
            file.top = 0x25
            #expect(hart.csr(.csrrs, csr) == 0x25_0025 && file.claims == 0, "reading does not claim")
            #expect(hart.csr(.csrrw, csr, 0) == 0x25_0025 && file.claims == 1)
        }
        // The other aliases stand for nothing here.
        for csr in [RVCSR.mireg2, .mireg3, .mireg4, .mireg5, .mireg6, .sireg2, .sireg3, .sireg4, .sireg5, .sireg6] { #expect(!hart.reads(csr), "\(csr)") }
    }

    @Test func stateEnablesGuardInterruptFiles() throws {
        let (hart, _, _) = try makeHart()
        hart[.siselect] = 0x70
        hart.cpu.privilege = Mode.supervisor
        #expect(!hart.reads(.stopei) && !hart.reads(.sireg) && !hart.reads(.stopi))
        // IMSIC alone opens stopei; the selector needs CSRIND, too. AIA opens stopi.
        hart[.mstateen0] = 1 << 58
        #expect(hart[.mstateen0] == 1 << 58 && hart.reads(.stopei) && !hart.reads(.sireg) && !hart.reads(.stopi))
        hart[.mstateen0] = 1 << 58 | 1 << 60
        #expect(hart.reads(.sireg))
        hart[.mstateen0] = 1 << 59
        #expect(hart.reads(.stopi) && !hart.reads(.stopei))
        // Without a file the bit does not exist.
        let none = try TestHart("max")
        none[.mstateen0] = 1 << 58
        #expect(none[.mstateen0] == 0)
    }

    @Test func theMostUrgentInterruptIsTold() throws {
        let (hart, _, _) = try makeHart()
        #expect(hart[.mtopi] == 0 && hart[.stopi] == 0)
        hart[.mie] = .max
        hart[.mip] = 0x2222
        // SEI before SSI, STI and the counters' overflow; priority 1, as none can be set.
        #expect(hart[.mtopi] == 9 << 16 | 1 && hart[.stopi] == 0)
        hart.cpu.setInterrupt(7, level: true)
        #expect(hart[.mtopi] == 7 << 16 | 1)
        hart[.mideleg] = 0x2220
        #expect(hart[.mtopi] == 7 << 16 | 1 && hart[.stopi] == 9 << 16 | 1)
        hart[.mip] = 0x2000
        hart.cpu.setInterrupt(7, level: false)
        #expect(hart[.mtopi] == 0 && hart[.stopi] == 13 << 16 | 1)
    }
}
