import EmuBus
import EmuCPU
import TestSupport
import Testing

/// Smcntrpmf, Smcsrind, Sscsrind, Smcdeleg, Ssccfg, Ssqosid and Ssdbltrp.
@Suite struct PrivilegedDelegationTests {
    private static func write(_ hart: TestHart, _ csr: RVCSR, _ value: UInt64) { PrivilegedCounterTests.write(hart, csr, value) }

    // MARK: Smcntrpmf

    @Test func cyclesAndInstructionsAreFilteredByMode() throws {
        for (inhibit, modes) in [(0, [true, true, true]), (1 << 62, [false, true, true]), (1 << 61, [true, false, true]), (1 << 60, [true, true, false])] as [(UInt64, [Bool])] {
            let hart = try TestHart()
            hart.cpu.count(cycles: 1000)
            Self.write(hart, .mcyclecfg, inhibit)
            Self.write(hart, .minstretcfg, inhibit)
            Self.write(hart, .mcycle, 0)
            Self.write(hart, .minstret, 0)
            let start = (hart[.mcycle], hart[.minstret])
            // M-mode, then by mret to S-mode, then by sret to U-mode; each return is counted where it comes from.
            hart.cpu.count(cycles: 9, nonRetired: 2)
            hart[.mstatus] = 1 << 11
            hart.execute(.mret)
            hart.cpu.count(cycles: 1)
            #expect(hart[.mcycle] - start.0 == (modes[0] ? 10 : 0) && hart[.minstret] - start.1 == (modes[0] ? 8 : 0))
            hart.cpu.count(cycles: 19, nonRetired: 4)
            hart.execute(.sret)
            hart.cpu.count(cycles: 1)
            #expect(hart[.mcycle] - start.0 == (modes[0] ? 10 : 0) + (modes[1] ? 20 : 0))
            hart.cpu.count(cycles: 30, nonRetired: 5)
            let cycles = UInt64((modes[0] ? 10 : 0) + (modes[1] ? 20 : 0) + (modes[2] ? 30 : 0))
            let retired = UInt64((modes[0] ? 8 : 0) + (modes[1] ? 16 : 0) + (modes[2] ? 25 : 0))
            #expect(hart[.mcycle] - start.0 == cycles && hart[.minstret] - start.1 == retired, "\(hex(inhibit))")
        }
    }

    @Test func filteredCountersCanBeStoppedAndUnfiltered() throws {
        let hart = try TestHart()
        hart.cpu.count(cycles: 500)
        Self.write(hart, .mcyclecfg, 1 << 60)
        #expect(hart[.mcycle] == 501)
        hart.cpu.count(cycles: 10)
        Self.write(hart, .mcountinhibit, 1)
        hart.cpu.count(cycles: 10)
        #expect(hart[.mcycle] == 512)
        Self.write(hart, .mcyclecfg, 0)
        hart.cpu.count(cycles: 10)
        #expect(hart[.mcycle] == 512)
        Self.write(hart, .mcountinhibit, 0)
        hart.cpu.count(cycles: 10)
        #expect(hart[.mcycle] == 522 && hart[.minstret] == 500 + 44)
    }

    // MARK: Delegated counters

    private static let cde: UInt64 = 1 << 60

    @Test func delegatedCountersAreReachedThroughTheSelector() throws {
        let hart = try TestHart()
        hart[.mstateen0] = .max
        hart[.menvcfg] = Self.cde
        hart[.mcounteren] = 1 << 0 | 1 << 2 | 1 << 3 | 1 << 31
        hart[.mcountinhibit] = .max
        for mode in [Mode.supervisor, Mode.machine] {
            hart.cpu.privilege = mode
            for (select, counter, configuration, legal) in [
                (0x40, RVCSR.mcycle, RVCSR.mcyclecfg, 3 << 60), (0x42, .minstret, .minstretcfg, 3 << 60),
                (0x43, .mhpmcounter3, .mhpmevent3, 0xb << 60 | 2), (0x5f, .mhpmcounter31, .mhpmevent31, 0xb << 60 | 2),
            ] as [(UInt64, RVCSR, RVCSR, UInt64)] {
                #expect(hart.csr(.csrrw, .siselect, select) != nil)
                #expect(hart.csr(.csrrw, .sireg, 0x1234_5678_9abc) != nil && hart[counter] == 0x1234_5678_9abc, "\(counter)")
                #expect(hart.csr(.csrrs, .sireg, 1 << 60) == 0x1234_5678_9abc && hart[counter] == 1 << 60 | 0x1234_5678_9abc)
                // MINH is M-mode's: hidden and kept.
                hart[configuration] = 1 << 62
                #expect(hart.csr(.csrrw, .sireg2, 0x1f << 59 | 2) == 0)
                #expect(hart[configuration] == 1 << 62 | legal, "\(configuration)")
                #expect(hart.csr(.csrrc, .sireg2, .max) == legal && hart[configuration] == 1 << 62)
                for other in [RVCSR.sireg3, .sireg4, .sireg5, .sireg6] { #expect(!hart.reads(other)) }
            }
            for select in [0x41, 0x44, 0x3f, 0x60, 0, 0xfff] as [UInt64] {
                hart.csr(.csrrw, .siselect, select)
                for alias in [RVCSR.sireg, .sireg2] { #expect(!hart.reads(alias) && hart.csr(.csrrw, alias, 0) == nil, "\(hex(select))") }
            }
        }
        hart.csr(.csrrw, .siselect, 0x43)
        hart[.menvcfg] = 0
        #expect(!hart.reads(.sireg))
        hart.cpu.privilege = Mode.user
        #expect(!hart.reads(.siselect) && !hart.reads(.sireg))
    }

    @Test func whatACounterDependsOnMustExist() throws {
        let hart = try TestHart("rv64,smcntrpmf=off")
        hart[.menvcfg] = Self.cde
        hart[.mcounteren] = .max
        hart.csr(.csrrw, .siselect, 0x40)
        #expect(hart.reads(.sireg) && !hart.reads(.sireg2))
    }

    @Test func inhibitIsDelegatedWithTheCounter() throws {
        let hart = try TestHart()
        hart.cpu.privilege = Mode.supervisor
        #expect(!hart.reads(.scountinhibit))
        hart[.menvcfg] = Self.cde
        hart[.mcounteren] = 0b1101
        hart[.mcountinhibit] = 0b1_0100
        #expect(hart.csr(.csrrw, .scountinhibit, 0b1_1001) == 0b100)
        #expect(hart[.mcountinhibit] == 0b1_1001 && hart.csr(.csrrs, .scountinhibit) == 0b1001)
        hart.cpu.privilege = Mode.user
        #expect(!hart.reads(.scountinhibit))
    }

    @Test func stateEnablesGuardSelectorAndResources() throws {
        for (csr, bit) in [(RVCSR.siselect, 60), (.srmcfg, 55)] as [(RVCSR, UInt64)] {
            let hart = try TestHart()
            #expect(hart.reads(csr))
            hart.cpu.privilege = Mode.supervisor
            #expect(!hart.reads(csr))
            hart[.mstateen0] = 1 << bit
            #expect(hart.reads(csr))
            let free = try TestHart("rv64,smstateen=off")
            free.cpu.privilege = Mode.supervisor
            #expect(free.reads(csr))
        }
    }

    @Test func machineSelectorSelectsNothingYet() throws {
        let hart = try TestHart()
        for select in 0..<256 as Range<UInt64> {
            hart[.miselect] = select
            for alias in [RVCSR.mireg, .mireg2, .mireg3, .mireg4, .mireg5, .mireg6] { #expect(!hart.reads(alias)) }
        }
    }

    // MARK: Ssdbltrp

    private static let sdt: UInt64 = 1 << 24, dte: UInt64 = 1 << 59

    /// A hart in S-mode whose environment calls from U-mode and breakpoints go to S-mode.
    private static func handler(_ option: String = "rv64", dte: Bool = true) throws -> TestHart {
        let hart = try TestHart(option)
        hart[.menvcfg] = dte ? Self.dte : 0
        hart[.medeleg] = 1 << 3 | 1 << 8
        hart[.stvec] = 0x8000_2000
        hart[.mtvec] = 0x8000_4001
        hart.cpu.privilege = Mode.user
        return hart
    }

    @Test func aTrapWhileTrapsAreDisabledGoesToMachineMode() throws {
        let hart = try Self.handler()
        hart.cpu.takeTrap(cause: 8, value: 0, pc: 0x1000)
        #expect(hart.cpu.privilege == Mode.supervisor && hart[.sstatus] & Self.sdt != 0)
        hart.cpu.takeTrap(cause: 3, value: 0x2222, pc: 0x2222)
        #expect(hart.cpu.privilege == Mode.machine && hart.cpu.pc == 0x8000_4000)
        #expect(hart[.mcause] == 16 && hart[.mtval2] == 3 && hart[.mtval] == 0x2222 && hart[.mepc] == 0x2222)
        #expect(hart[.mstatus] >> 11 & 3 == 1 && hart[.scause] == 8)
        // M-mode's own handler is not disabled: the bit is S-mode's.
        hart.execute(.mret)
        #expect(hart.cpu.privilege == Mode.supervisor && hart[.sstatus] & Self.sdt != 0)
        hart.execute(.sret)
        #expect(hart.cpu.privilege == Mode.user && hart[.sstatus] & Self.sdt == 0)
    }

    @Test func clearedInTimeTrapsNest() throws {
        let hart = try Self.handler()
        hart.cpu.takeTrap(cause: 8, value: 0, pc: 0x1000)
        hart.clear(.sstatus, Self.sdt)
        hart.cpu.takeTrap(cause: 3, value: 0, pc: 0x2222)
        #expect(hart.cpu.privilege == Mode.supervisor && hart[.scause] == 3)
    }

    @Test func returningToUserModeFromMachineModeEnablesTraps() throws {
        let hart = try Self.handler()
        hart[.mstatus] = Self.sdt
        hart.cpu.privilege = Mode.machine
        hart.execute(.mret)
        #expect(hart.cpu.privilege == Mode.user && hart[.mstatus] & Self.sdt == 0)
    }

    @Test func disabledTrapsKeepInterruptsOff() throws {
        let hart = try Self.handler()
        hart[.sstatus] = Self.sdt | 2
        #expect(hart[.sstatus] & (Self.sdt | 2) == Self.sdt)
        hart[.sstatus] |= 2
        #expect(hart[.sstatus] & 2 == 0)
        hart[.sstatus] = 2
        #expect(hart[.sstatus] & (Self.sdt | 2) == 2)
    }

    @Test func withoutItsEnableThereIsNone() throws {
        for hart in try [Self.handler(dte: false), Self.handler("rv64,ssdbltrp=off")] {
            hart[.sstatus] = Self.sdt
            #expect(hart[.sstatus] & Self.sdt == 0)
            hart.cpu.takeTrap(cause: 8, value: 0, pc: 0x1000)
            hart.cpu.takeTrap(cause: 3, value: 0, pc: 0x2222)
            #expect(hart.cpu.privilege == Mode.supervisor && hart[.scause] == 3)
        }
        // Switching it off drops the bit.
        let hart = try Self.handler()
        hart[.sstatus] = Self.sdt
        hart[.menvcfg] = 0
        hart[.menvcfg] = Self.dte
        #expect(hart[.sstatus] & Self.sdt == 0)
    }
}
