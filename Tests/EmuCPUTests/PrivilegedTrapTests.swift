import EmuBus
import EmuCPU
import Testing

@Suite struct PrivilegedTrapTests {
    static let interrupt: UInt64 = 1 << 63

    // MARK: Entering and leaving

    @Test(arguments: Mode.all)
    func machineTrapSavesWhereItCameFrom(mode: UInt8) throws {
        let hart = try TestHart()
        hart[.mtvec] = 0x8000_0100
        hart[.mstatus] = 0x8  // MIE
        hart.cpu.privilege = mode
        hart.cpu.takeTrap(cause: 2, value: 0x77, pc: 0x8000_0042)
        #expect(hart.cpu.pc == 0x8000_0100 && hart.cpu.privilege == Mode.machine)
        #expect(hart[.mcause] == 2 && hart[.mepc] == 0x8000_0042 && hart[.mtval] == 0x77)
        // MPP = mode, MPIE = 1, MIE = 0.
        #expect(hart[.mstatus] & 0x1888 == UInt64(mode) << 11 | 0x80)
        // Interrupts were off the next time.
        hart.cpu.takeTrap(cause: 5, value: 0, pc: 0)
        #expect(hart[.mstatus] & 0x1888 == 0x1800)
    }

    @Test(arguments: [Mode.user, Mode.supervisor])
    func delegatedTrapsGoToSupervisorMode(mode: UInt8) throws {
        let hart = try TestHart()
        hart[.medeleg] = 1 << 13
        hart[.stvec] = 0x8000_0200
        hart[.mstatus] = 0x2  // SIE
        hart[.mepc] = 0x1234
        hart.cpu.privilege = mode
        hart.cpu.takeTrap(cause: 13, value: 0xbad, pc: 0x8000_0044)
        #expect(hart.cpu.pc == 0x8000_0200 && hart.cpu.privilege == Mode.supervisor)
        #expect(hart[.scause] == 13 && hart[.sepc] == 0x8000_0044 && hart[.stval] == 0xbad)
        #expect(hart[.mstatus] & 0x122 == UInt64(mode) << 8 | 0x20)
        #expect(hart[.mepc] == 0x1234 && hart[.mcause] == 0 && hart[.mstatus] & 0x1880 == 0)
        // Another cause is not delegated.
        hart.cpu.takeTrap(cause: 15, value: 0, pc: 0)
        #expect(hart.cpu.privilege == Mode.machine && hart[.mstatus] & 0x1800 == 0x800)
    }

    @Test func machineModeNeverDelegatesDownwards() throws {
        let hart = try TestHart()
        hart[.medeleg] = .max
        hart.cpu.takeTrap(cause: 2, value: 0, pc: 0x8000_0000)
        #expect(hart.cpu.privilege == Mode.machine && hart[.mcause] == 2 && hart[.scause] == 0)
    }

    @Test func vectoredModeSpreadsInterruptsOnly() throws {
        let hart = try TestHart()
        hart[.mtvec] = 0x8000_0101
        hart.cpu.takeTrap(cause: Self.interrupt | 7, value: 0, pc: 0)
        #expect(hart.cpu.pc == 0x8000_011c && hart[.mcause] == Self.interrupt | 7)
        hart.cpu.takeTrap(cause: 7, value: 0, pc: 0)
        #expect(hart.cpu.pc == 0x8000_0100)
        hart[.stvec] = 0x8000_0201
        hart[.mideleg] = .max
        hart.cpu.privilege = Mode.user
        hart.cpu.takeTrap(cause: Self.interrupt | 9, value: 0, pc: 0)
        #expect(hart.cpu.pc == 0x8000_0224 && hart.cpu.privilege == Mode.supervisor)
    }

    @Test(arguments: Mode.all)
    func mretRestoresTheStack(mode: UInt8) throws {
        let hart = try TestHart()
        hart[.mepc] = 0x8000_1001
        hart[.mstatus] = 0x2_0080 | UInt64(mode) << 11  // MPRV, MPIE
        #expect(hart.execute(.mret))
        #expect(hart.cpu.pc == 0x8000_1000 && hart.cpu.privilege == mode)
        // MIE = MPIE, MPIE = 1, MPP = U; MPRV survives only a return to M-mode.
        #expect(hart[.mstatus] & 0x2_1888 == (mode == Mode.machine ? 0x2_0088 : 0x88))
    }

    @Test func sretRestoresTheStack() throws {
        let hart = try TestHart()
        hart[.sepc] = 0x8000_2000
        hart[.mstatus] = 0x2_0100  // MPRV, SPP = S, SPIE = 0
        hart.cpu.privilege = Mode.supervisor
        #expect(hart.execute(.sret))
        #expect(hart.cpu.pc == 0x8000_2000 && hart.cpu.privilege == Mode.supervisor && hart[.mstatus] & 0x2_0122 == 0x20)
        #expect(hart.execute(.sret))
        #expect(hart.cpu.privilege == Mode.user && hart[.mstatus] & 0x122 == 0x22)
    }

    @Test func withoutCompressedInstructionsAddressesAreMultiplesOfFour() throws {
        let hart = try TestHart("rv64,c=off,zcb=off,zcmop=off")
        hart[.mepc] = .max
        hart[.sepc] = .max
        #expect(hart[.mepc] == .max - 3 && hart[.sepc] == .max - 3)
    }

    @Test func returnsNeedTheirPrivilege() throws {
        let hart = try TestHart()
        for mode in [Mode.user, Mode.supervisor] {
            hart.cpu.privilege = mode
            #expect(!hart.execute(.mret) && hart.cpu.raised == (2, 0x1234))
        }
        hart.cpu.privilege = Mode.user
        #expect(!hart.execute(.sret))
        hart.cpu.privilege = Mode.supervisor
        hart.set(.mstatus, 1 << 22)  // TSR
        #expect(!hart.execute(.sret))
        hart.cpu.privilege = Mode.machine
        #expect(hart.execute(.sret))
    }

    @Test func environmentCallsTellTheirMode() throws {
        let hart = try TestHart()
        for (mode, cause) in [(Mode.user, 8), (Mode.supervisor, 9), (Mode.machine, 11)] as [(UInt8, UInt64)] {
            hart.cpu.privilege = mode
            #expect(!hart.execute(.ecall) && hart.cpu.raised == (cause, 0))
        }
    }

    @Test func waitingIsRefusedBelowMachineModeWithTimeout() throws {
        let hart = try TestHart()
        hart.cpu.privilege = Mode.user
        #expect(!hart.execute(.wfi))
        #expect(hart.execute(.wrs_nto) && hart.execute(.wrs_sto))
        hart.set(.mstatus, 1 << 21)  // TW
        hart.cpu.privilege = Mode.supervisor
        #expect(!hart.execute(.wfi) && !hart.execute(.wrs_nto) && hart.execute(.wrs_sto))
        hart.cpu.privilege = Mode.machine
        #expect(hart.execute(.wfi) && hart.execute(.wrs_nto))
    }

    @Test func waitingEndsWhenAnEnabledInterruptIsPending() throws {
        let hart = try TestHart()
        #expect(hart.execute(.wfi) && hart.cpu.isWaiting)
        // Not enabled: sleep on. Enabled, though globally off: wake.
        hart.cpu.setInterrupt(7, level: true)
        #expect(hart.cpu.isWaiting)
        hart[.mie] = 0x80
        #expect(!hart.cpu.isWaiting && hart.cpu.isInWFI && !hart.cpu.requestsInterrupt)
        let awake = try TestHart()
        awake[.mie] = 0x80
        awake.cpu.setInterrupt(7, level: true)
        #expect(awake.execute(.wfi) && !awake.cpu.isInWFI)
    }

    @Test func trapsEndWaiting() throws {
        let hart = try TestHart()
        #expect(hart.execute(.wfi))
        hart.cpu.takeTrap(cause: Self.interrupt | 7, value: 0, pc: 4)
        #expect(!hart.cpu.isInWFI)
    }

    // MARK: Translation fences

    @Test func fencesNeedSupervisorModeAndNoTVM() throws {
        let hart = try TestHart()
        for op in [RVOp.sfence_vma, .sinval_vma, .sfence_w_inval, .sfence_inval_ir] {
            hart.cpu.privilege = Mode.user
            #expect(!hart.execute(op), "\(op)")
            hart.cpu.privilege = Mode.supervisor
            #expect(hart.execute(op), "\(op)")
            hart.set(.mstatus, 1 << 20)
            #expect(hart.execute(op) == (op == .sfence_w_inval || op == .sfence_inval_ir), "\(op)")
            hart.cpu.privilege = Mode.machine
            #expect(hart.execute(op), "\(op)")
            hart.clear(.mstatus, 1 << 20)
        }
    }

    @Test func cacheBlockInstructionsNeedTheirEnables() throws {
        let hart = try TestHart()
        for (op, field) in [(RVOp.cbo_inval, 0x10), (.cbo_inval, 0x30), (.cbo_clean, 0x40), (.cbo_flush, 0x40), (.cbo_zero, 0x80)] as [(RVOp, UInt64)] {
            for (menvcfg, senvcfg) in [(false, false), (true, false), (false, true), (true, true)] {
                hart[.menvcfg] = menvcfg ? field : 0
                hart[.senvcfg] = senvcfg ? field : 0
                for (mode, allowed) in [(Mode.machine, true), (Mode.supervisor, menvcfg), (Mode.user, menvcfg && senvcfg)] {
                    hart.cpu.privilege = mode
                    #expect(hart.cpu.cboAllowed(op, DecodedOp(op)) == allowed)
                }
                hart.cpu.privilege = Mode.machine
            }
        }
    }

    // MARK: Views

    @Test func viewsFollowPrivilegeAndMPRV() throws {
        let hart = try TestHart()
        let satp: UInt64 = 8 << 60 | 3 << 44 | 0x8_0001
        hart[.satp] = satp
        #expect(hart.cpu.viewKeys.fetch.space == 0)
        // M-mode with MPRV and MPP = S, SUM and MXR: data as S-mode, fetch as M-mode.
        hart[.mstatus] = 0xe_0800
        #expect(hart.cpu.viewKeys.data.space == satp && hart.cpu.viewKeys.data.rights == 1 | 4 | 8)
        #expect(hart.cpu.viewKeys.fetch.space == 0 && hart.cpu.viewKeys.fetch.rights == 3)
        hart[.mstatus] = 0
        hart.cpu.privilege = Mode.user
        #expect(hart.cpu.viewKeys.data == hart.cpu.viewKeys.fetch && hart.cpu.viewKeys.data.space == satp)
    }

    // MARK: Choosing an interrupt

    @Test func interruptsFollowTheFixedOrder() throws {
        let hart = try TestHart()
        hart[.menvcfg] = 0  // STIP is software's
        hart[.mie] = .max
        for number in [3, 7, 11] { hart.cpu.setInterrupt(number, level: true) }
        hart[.mip] = .max
        hart.cpu.privilege = Mode.user
        var order: [UInt64] = []
        while let cause = hart.cpu.pendingInterrupt() {
            order.append(cause & ~Self.interrupt)
            hart.clear(.mie, 1 << (cause & 63))
        }
        #expect(order == [11, 3, 7, 9, 1, 5, 13])
        // Those for M-mode come before delegated ones, whatever their numbers.
        hart[.mie] = .max
        hart[.mideleg] = 1 << 9 | 1 << 1
        order = []
        while let cause = hart.cpu.pendingInterrupt() {
            order.append(cause & ~Self.interrupt)
            hart.clear(.mie, 1 << (cause & 63))
        }
        #expect(order == [11, 3, 7, 5, 13, 9, 1])
    }

    @Test func enablesDecideByMode() throws {
        let hart = try TestHart()
        hart[.mie] = .max
        for delegated in [false, true] {
            hart[.mideleg] = delegated ? .max : 0
            for (mie, sie) in [(false, false), (true, false), (false, true), (true, true)] {
                hart[.mstatus] = (mie ? 8 : 0) | (sie ? 2 : 0)
                for mode in Mode.all {
                    hart.cpu.setInterrupt(9, level: true)
                    hart.cpu.privilege = mode
                    let taken: Bool
                    switch mode {
                    case Mode.user: taken = true
                    case Mode.supervisor: taken = delegated ? sie : true
                    default: taken = delegated ? false : mie
                    }
                    #expect((hart.cpu.pendingInterrupt() != nil) == taken)
                    #expect(hart.cpu.requestsInterrupt == taken)
                    hart.cpu.setInterrupt(9, level: false)
                    #expect(!hart.cpu.requestsInterrupt)
                    hart.cpu.privilege = Mode.machine
                }
            }
        }
    }

    @Test func everyConditionIsWatched() throws {
        let hart = try TestHart()
        hart.cpu.setInterrupt(9, level: true)
        #expect(!hart.cpu.requestsInterrupt)
        hart.csr(.csrrw, .mie, .max)
        #expect(!hart.cpu.requestsInterrupt)
        hart.csr(.csrrs, .mstatus, 8)
        #expect(hart.cpu.requestsInterrupt)
        hart.csr(.csrrw, .mideleg, .max)
        #expect(!hart.cpu.requestsInterrupt)
        hart[.mepc] = 0x8000_0000
        #expect(hart.execute(.mret))
        #expect(hart.cpu.privilege == Mode.user && hart.cpu.requestsInterrupt)
        hart.cpu.takeTrap(cause: Self.interrupt | 9, value: 0, pc: 0)
        #expect(!hart.cpu.requestsInterrupt)
    }

    @Test func externalInterruptIsWireOrSoftware() throws {
        let hart = try TestHart()
        hart.cpu.setInterrupt(9, level: true)
        #expect(hart.csr(.csrrs, .mip, 0) == 0x200)
        // Set and clear work on the software bit alone: setting another bit must not copy the wire into it.
        hart.csr(.csrrs, .mip, 2)
        hart.cpu.setInterrupt(9, level: false)
        #expect(hart[.mip] == 2)
        hart.csr(.csrrs, .mip, 0x200)
        hart.cpu.setInterrupt(9, level: true)
        hart.csr(.csrrc, .mip, 0x200)
        #expect(hart[.mip] == 0x202)
        hart.cpu.setInterrupt(9, level: false)
        #expect(hart[.mip] == 2)
    }

    @Test func machineInterruptsAreReadOnlyInMip() throws {
        let hart = try TestHart()
        for number in [3, 7, 11] {
            hart.cpu.setInterrupt(number, level: true)
            hart.csr(.csrrw, .mip, 0)
            #expect(hart[.mip] == 1 << UInt64(number))
            hart.cpu.setInterrupt(number, level: false)
            hart.csr(.csrrw, .mip, 1 << UInt64(number))
            #expect(hart[.mip] == 0)
        }
    }

    @Test func supervisorSoftwareInterruptIsSetByWireAndClearedBySoftware() throws {
        let hart = try TestHart()
        hart[.mideleg] = .max
        hart.cpu.setInterrupt(1, level: true)
        hart.cpu.setInterrupt(1, level: false)
        #expect(hart[.mip] == 2)
        hart.cpu.privilege = Mode.supervisor
        hart.csr(.csrrc, .sip, 2)
        #expect(hart[.mip] == 0)
    }

    @Test func wiresThatDoNotExistAreIgnored() throws {
        let hart = try TestHart()
        for number in [-1, 0, 2, 5, 13, 64, 1000] { hart.cpu.setInterrupt(number, level: true) }
        #expect(hart[.mip] == 0)
    }

    // MARK: Sstc

    @Test func timerComparesWithTime() throws {
        let hart = try TestHart()
        hart.events.advanceVirtual(to: 10_000)  // time = 100
        hart[.menvcfg] = 1 << 63
        #expect(hart[.mip] == 0)  // stimecmp is all ones after reset
        hart[.stimecmp] = 100
        #expect(hart[.mip] == 0x20)
        hart[.stimecmp] = 101
        #expect(hart[.mip] == 0 && hart.events.nextDeadline == 10_100)
        hart.events.advanceVirtual(to: 10_099)
        hart.events.runDue()
        #expect(hart.cpu.mip == 0)
        hart.events.advanceVirtual(to: 10_100)
        hart.events.runDue()
        #expect(hart.cpu.mip == 0x20 && hart.events.nextDeadline == .max)
        hart[.stimecmp] = .max
        #expect(hart[.mip] == 0 && hart.events.nextDeadline == .max)
    }

    @Test func timerDeadlineIsNotMissedBetweenTicks() throws {
        let hart = try TestHart()
        hart.events.advanceVirtual(to: 10_050)  // half a tick past 100
        hart[.menvcfg] = 1 << 63
        hart[.stimecmp] = 102
        #expect(hart.events.nextDeadline == 10_200)
    }

    @Test func timerRaisesTheInterruptRequest() throws {
        let hart = try TestHart()
        hart[.menvcfg] = 1 << 63
        hart[.mideleg] = 0x20
        hart[.mie] = 0x20
        hart[.mepc] = 0x8000_0000
        hart[.stimecmp] = 3
        #expect(hart.execute(.mret) && !hart.cpu.requestsInterrupt)
        hart.events.advanceVirtual(to: 300)
        hart.events.runDue()
        #expect(hart.cpu.requestsInterrupt && hart.cpu.pendingInterrupt() == Self.interrupt | 5)
        #expect(hart.csr(.csrrw, .stimecmp, 4) == nil)  // U-mode
    }

    @Test func pollingSeesTheTimerAsSoonAsTimeShowsIt() throws {
        let hart = try TestHart()
        hart[.menvcfg] = 1 << 63
        hart[.mideleg] = 0x20
        hart[.stimecmp] = 3
        hart.events.advanceVirtual(to: 300)  // the event has not run yet
        #expect(hart[.time] == 3 && hart[.sip] == 0x20)
    }

    @Test func timerBitIsSoftwaresWithoutSTCE() throws {
        let hart = try TestHart()
        hart[.stimecmp] = 0
        #expect(hart[.mip] == 0)
        hart.csr(.csrrw, .mip, 0x20)
        #expect(hart[.mip] == 0x20)
        hart.csr(.csrrw, .mip, 0)
        hart[.menvcfg] = 1 << 63
        #expect(hart[.mip] == 0x20)
        hart.csr(.csrrw, .mip, 0)
        #expect(hart[.mip] == 0x20)
        hart[.menvcfg] = 0
        #expect(hart[.mip] == 0)
    }

    // MARK: Reset

    @Test func resetReturnsToMachineModeAtTheVector() throws {
        let hart = try TestHart()
        hart.cpu.count(cycles: 1000, nonRetired: 10)
        for csr in RVCSR.all where !csr.isReadOnly { hart[csr] = .max }
        hart.cpu.setInterrupt(11, level: true)
        hart.cpu.x[5] = 5
        hart.cpu.privilege = Mode.user
        hart.cpu.reset()
        #expect(hart.cpu.pc == 0x1000 && hart.cpu.privilege == Mode.machine && hart.cpu.x[5] == 0 && !hart.cpu.isInWFI)
        #expect(hart[.mstatus] == 0xa_0000_0000 && hart[.mie] == 0 && hart[.satp] == 0 && hart[.mcause] == 0)
        #expect(hart[.pmpcfg0] == 0 && hart[.mstateen0] == 0 && hart[.mcycle] == 0 && hart[.minstret] == 0)
        #expect(hart[.menvcfg] == 3 << 61)
        // The wire is still up.
        #expect(hart[.mip] == 0x800)
        #expect(hart.cpu.viewKeys.fetch.rights == 3 && hart.cpu.viewKeys.data.rights == 3)
    }

    // MARK: Saved state

    @Test func savedStateRestoresWhatFollowsFromIt() throws {
        let hart = try TestHart()
        hart[.menvcfg] = 1 << 63
        hart[.stimecmp] = 7
        hart[.mhpmevent3] = 1
        hart.cpu.count(cycles: 1)  // the write itself
        hart[.pmpcfg0] = 0
        hart[.satp] = 8 << 60 | 1
        hart.cpu.privilege = Mode.supervisor
        let other = try TestHart()
        try other.cpu.restoreState(hart.cpu.encodedState())
        #expect(other.cpu.encodedState() == hart.cpu.encodedState())
        #expect(other.events.nextDeadline == 700)
        #expect(other.cpu.viewKeys.data == hart.cpu.viewKeys.data && other.cpu.viewKeys.fetch == hart.cpu.viewKeys.fetch)
        #expect(!other.cpu.pmpAllows(0x8000_0000, size: 4, .load, privilege: Mode.supervisor))
        other.cpu.count(cycles: 5)
        #expect(other[.mhpmcounter3] == 5)
    }

    @Test func damagedStatesAreRefused() throws {
        let hart = try TestHart()
        let good = hart.cpu.encodedState()
        #expect(throws: (any Error).self) { try hart.cpu.restoreState(Array(good.dropLast())) }
        // The privilege and the waiting flag follow all registers and the pc.
        for (position, value) in [(585 * 8, 2), (585 * 8 + 3, 2)] as [(Int, UInt8)] {
            var bad = good
            bad[position] = value
            #expect(throws: (any Error).self) { try hart.cpu.restoreState(bad) }
        }
        #expect(hart.cpu.encodedState() == good)
    }

    /// Whatever a damaged snapshot puts into the registers, the hart must not bring the host down.
    @Test func anyRegisterContentsAreHarmless() throws {
        let hart = try TestHart()
        let good = hart.cpu.encodedState()
        var random = SeededGenerator(state: 7)
        for _ in 0..<50 {
            var bytes = good.map { _ in UInt8(truncatingIfNeeded: random.next()) }
            bytes[585 * 8] = 1
            bytes[585 * 8 + 3] = 0
            try hart.cpu.restoreState(bytes)
            for csr in RVCSR.all { hart[csr] = hart[csr] }
            _ = hart.cpu.walk(random.next(), .store, rights: 0xf & random.next(), space: random.next())
            hart.cpu.takeTrap(cause: random.next(), value: 0, pc: random.next())
            for op in [RVOp.mret, .sret, .wfi, .sfence_vma, .ecall] { hart.execute(op, rs1: 1, rs2: 2) }
            hart.cpu.counterOverflowCheck()
            _ = hart.cpu.cyclesUntilOverflow()
        }
    }
}
