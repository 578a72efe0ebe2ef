import EmuBus
import EmuCPU
import Testing

@Suite struct PrivilegedCounterTests {
    /// A CSR write and its retirement.
    static func write(_ hart: TestHart, _ csr: RVCSR, _ value: UInt64) {
        #expect(hart.csr(.csrrw, csr, value) != nil)
        hart.cpu.count(cycles: 1)
    }

    @Test func cyclesAndInstructionsAreCounted() throws {
        let hart = try TestHart()
        hart.cpu.count(cycles: 100, nonRetired: 3)
        #expect(hart[.mcycle] == 100 && hart[.minstret] == 97 && hart[.cycle] == 100 && hart[.instret] == 97)
    }

    @Test func aWrittenCounterStartsAfterTheWrite() throws {
        let hart = try TestHart()
        hart.cpu.count(cycles: 50, nonRetired: 7)
        Self.write(hart, .mcycle, 1000)
        #expect(hart[.mcycle] == 1000)
        Self.write(hart, .minstret, 2000)
        #expect(hart[.mcycle] == 1001 && hart[.minstret] == 2000)
        hart.cpu.count(cycles: 10, nonRetired: 1)
        #expect(hart[.mcycle] == 1011 && hart[.minstret] == 2009)
        Self.write(hart, .mcycle, .max)
        hart.cpu.count(cycles: 2)
        #expect(hart[.mcycle] == 1)
    }

    @Test func inhibitedCountersStandStill() throws {
        let hart = try TestHart()
        hart.cpu.count(cycles: 100)
        Self.write(hart, .mcountinhibit, 1)
        hart.cpu.count(cycles: 100)
        #expect(hart[.mcycle] == 101 && hart[.minstret] == 201)
        Self.write(hart, .mcycle, 5)
        hart.cpu.count(cycles: 100)
        #expect(hart[.mcycle] == 5)
        Self.write(hart, .mcountinhibit, 4)
        let retired = hart[.minstret]
        hart.cpu.count(cycles: 7)
        #expect(hart[.mcycle] == 12 && hart[.minstret] == retired)
    }

    @Test func eventCountersCountTheirEvent() throws {
        let hart = try TestHart()
        Self.write(hart, .mhpmevent3, 1)
        Self.write(hart, .mhpmevent31, 2)
        Self.write(hart, .mhpmevent4, 77)
        #expect(hart[.mhpmevent4] == 0)
        Self.write(hart, .mhpmcounter3, 0)
        Self.write(hart, .mhpmcounter31, 0)
        hart.cpu.count(cycles: 100, nonRetired: 4)
        #expect(hart[.mhpmcounter3] == 101 && hart[.mhpmcounter31] == 96 && hart[.mhpmcounter4] == 0)
        #expect(hart[.hpmcounter3] == 101)
        Self.write(hart, .mcountinhibit, 1 << 3)
        hart.cpu.count(cycles: 100)
        #expect(hart[.mhpmcounter3] == 102 && hart[.mhpmcounter31] == 197)
    }

    @Test func modeFiltersStopCounting() throws {
        let hart = try TestHart()
        for (inhibit, expected) in [(0, [10, 20, 30]), (1 << 62, [0, 20, 30]), (1 << 61, [10, 0, 30]), (1 << 60, [10, 20, 0])] as [(UInt64, [UInt64])] {
            hart.cpu.privilege = Mode.machine
            Self.write(hart, .mhpmevent3, 1 | inhibit)
            Self.write(hart, .mhpmcounter3, 0)
            hart.cpu.count(cycles: 9)
            hart[.mstatus] = 0x800
            hart.execute(.mret)  // to S-mode
            hart.cpu.count(cycles: 1)  // the mret itself, in M-mode
            hart.cpu.count(cycles: 19)
            hart[.mstatus] = 0
            hart.execute(.sret)  // to U-mode
            hart.cpu.count(cycles: 1)
            hart.cpu.count(cycles: 30)
            hart.cpu.takeTrap(cause: 8, value: 0, pc: 0)
            #expect(hart[.mhpmcounter3] == expected.reduce(0, +))
        }
    }

    @Test func overflowSetsOFOnceAndRequestsAnInterrupt() throws {
        let hart = try TestHart()
        Self.write(hart, .mhpmevent3, 2)
        Self.write(hart, .mhpmcounter3, .max - 9)
        #expect(hart.cpu.cyclesUntilOverflow() == 10)
        hart.cpu.count(cycles: 9)
        hart.cpu.counterOverflowCheck()
        #expect(hart[.mip] == 0 && hart.cpu.cyclesUntilOverflow() == 1)
        hart.cpu.count(cycles: 3)
        hart.cpu.counterOverflowCheck()
        #expect(hart[.mip] == 1 << 13 && hart[.mhpmevent3] == 1 << 63 | 2 && hart[.mhpmcounter3] == 2)
        #expect(hart[.scountovf] == 8 && hart.cpu.cyclesUntilOverflow() == nil)
        // With OF still set the next overflow is silent.
        hart[.mip] = 0
        Self.write(hart, .mhpmcounter3, .max)
        hart.cpu.count(cycles: 5)
        hart.cpu.counterOverflowCheck()
        #expect(hart[.mip] == 0 && hart[.mhpmcounter3] == 4)
    }

    @Test func overflowBitsAreShownAsMcounterenAllows() throws {
        let hart = try TestHart()
        hart[.mhpmevent3] = 1 << 63
        hart[.mhpmevent9] = 1 << 63
        #expect(hart[.scountovf] == 0x208)
        hart[.mcounteren] = 8
        hart.cpu.privilege = Mode.supervisor
        #expect(hart.csr(.csrrs, .scountovf) == 8)
        hart.cpu.privilege = Mode.user
        #expect(!hart.reads(.scountovf))
    }

    @Test func withoutSscofpmfCountersWrapSilently() throws {
        let hart = try TestHart("rv64,sscofpmf=off")
        Self.write(hart, .mhpmevent3, 1 << 63 | 1)
        #expect(hart[.mhpmevent3] == 1)
        Self.write(hart, .mhpmcounter3, .max)
        hart.cpu.count(cycles: 5)
        hart.cpu.counterOverflowCheck()
        #expect(hart[.mip] == 0 && hart[.mhpmcounter3] == 4 && hart.cpu.cyclesUntilOverflow() == nil)
    }

    @Test func userCountersNeedTheirEnables() throws {
        let hart = try TestHart()
        let counters = [RVCSR.cycle, .time, .instret, .hpmcounter3, .hpmcounter31]
        for csr in counters {
            let bit: UInt64 = 1 << UInt64(csr.rawValue & 31)
            for (m, s) in [(false, false), (true, false), (false, true), (true, true)] {
                hart[.mcounteren] = m ? bit : ~bit
                hart[.scounteren] = s ? bit : ~bit
                for (mode, allowed) in [(Mode.machine, true), (Mode.supervisor, m), (Mode.user, m && s)] {
                    hart.cpu.privilege = mode
                    #expect(hart.reads(csr) == allowed, "\(csr)")
                }
                hart.cpu.privilege = Mode.machine
            }
        }
    }

    @Test func timeIsTheBoardsClock() throws {
        let hart = try TestHart()
        hart.events.advanceVirtual(to: 123_456)
        #expect(hart.csr(.csrrs, .time) == 1234)
    }
}
