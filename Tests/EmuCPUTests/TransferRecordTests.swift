import EmuCPU
import TestSupport
import Testing

/// Smctr and Ssctr (privileged manual, "Control Transfer Records Extension").
@Suite struct TransferRecordTests {
    private static let code = TestHart.ram + 0x1000
    private static let handler = TestHart.ram + 0x8000
    private static let (user, supervisor, machine): (UInt64, UInt64, UInt64) = (1, 2, 4)

    private struct Record: Equatable, CustomStringConvertible {
        var source: UInt64
        var target: UInt64
        var type: UInt64
        var description: String { "\(String(source, radix: 16)) -> \(String(target, radix: 16)) type \(type)" }
    }

    private static func makeHart(_ control: UInt64, _ option: String = "max") throws -> TestHart {
        let hart = try TestHart(option)
        hart[.mtvec] = handler
        hart[.mctrctl] = control
        #expect(hart.bus.storeMemory(handler, RVAssembly.nop))
        return hart
    }

    private static func place(_ hart: TestHart, _ words: [UInt32], at address: UInt64 = code) {
        for (index, word) in words.enumerated() { #expect(hart.bus.storeMemory(address + 4 * UInt64(index), word)) }
    }

    private static func run(_ hart: TestHart, cycles: Int, at pc: UInt64 = code, mode: UInt8 = Mode.machine, guest: Bool = false) {
        hart.cpu.privilege = mode
        hart.cpu.isGuest = guest
        hart.cpu.pc = pc
        _ = hart.cpu.run(budget: cycles, clockBase: hart.events.now)
    }

    /// Valid entries, the youngest first, through the selector.
    private static func records(_ hart: TestHart) -> [Record] {
        hart.cpu.isGuest = false
        hart.cpu.privilege = Mode.machine
        return (0..<256 as Range<UInt64>).compactMap { entry in
            hart[.siselect] = 0x200 + entry
            guard let source = hart.csr(.csrrs, .sireg), let target = hart.csr(.csrrs, .sireg2), let data = hart.csr(.csrrs, .sireg3) else { return nil }
            return source & 1 == 1 ? Record(source: source & ~1, target: target, type: data & 15) : nil
        }
    }

    /// One jump or branch of each kind.
    @Test(arguments: [
        (RVAssembly.jumpRegister(1, 6), 8), (RVAssembly.jumpRegister(5, 6), 8), (RVAssembly.call(16), 9), (RVAssembly.jump(16) | 5 << 7, 9),
        (RVAssembly.jumpRegister(0, 6), 10), (RVAssembly.jump(16), 11), (RVAssembly.jumpRegister(1, 5), 12), (RVAssembly.jumpRegister(5, 1), 12),
        (RVAssembly.jumpRegister(0, 1), 13), (RVAssembly.jumpRegister(0, 5), 13), (RVAssembly.jumpRegister(7, 1), 13), (RVAssembly.jumpRegister(7, 6), 14),
        (RVAssembly.jump(16) | 7 << 7, 15), (RVAssembly.branchIfNotEqual(1, 0, 16), 5), (RVAssembly.jumpRegister(1, 1), 8),
        // c.jr ra, c.jalr t1
        (0x8082, 13), (0x9302, 8),
    ] as [(UInt32, UInt64)]) func transfersAreTypedAsTheTableSays(bits: UInt32, type: UInt64) throws {
        for inhibited in [false, true] {
            let hart = try Self.makeHart(Self.machine | (inhibited ? 1 << (32 + type) : 0))
            Self.place(hart, [bits])
            for register in [1, 5, 6] { hart.cpu.x[register] = Self.code + 16 }
            Self.run(hart, cycles: 1)
            #expect(hart.cpu.pc == Self.code + 16)
            #expect(Self.records(hart) == (inhibited ? [] : [Record(source: Self.code, target: Self.code + 16, type: type)]))
        }
    }

    @Test func branchesNotTakenAreRecordedWhenAskedFor() throws {
        for asks in [false, true] {
            let hart = try Self.makeHart(Self.machine | (asks ? 1 << 36 : 0))
            Self.place(hart, [RVAssembly.branchIfNotEqual(0, 0, 16)])
            Self.run(hart, cycles: 1)
            #expect(hart.cpu.pc == Self.code + 4 && Self.records(hart) == (asks ? [Record(source: Self.code, target: Self.code + 4, type: 4)] : []))
        }
    }

    /// A loop runs as it does unrecorded, whatever it is executed by, and only in the modes that are recorded.
    @Test func onlyEnabledModesAreRecorded() throws {
        for (control, mode, isRecorded) in [(Self.user, Mode.user, true), (Self.user, Mode.supervisor, false), (Self.supervisor, Mode.supervisor, true), (Self.machine, Mode.user, false)] {
            let hart = try Self.makeHart(control)
            // addi x5, x5, -1; bne x5, x0, -4; j 0
            Self.place(hart, [RVAssembly.addImmediate(5, 5, -1), RVAssembly.branchIfNotEqual(5, 0, -4), RVAssembly.jump(0)])
            hart.cpu.x[5] = 5
            Self.run(hart, cycles: 10, mode: mode)
            #expect(hart.cpu.pc == Self.code + 8 && hart.cpu.x[5] == 0)
            #expect(Self.records(hart) == (isRecorded ? Array(repeating: Record(source: Self.code + 4, target: Self.code, type: 5), count: 4) : []))
        }
    }

    @Test func theBufferHoldsTheLastRecordsOfItsDepth() throws {
        let hart = try Self.makeHart(Self.machine)
        for (depth, count) in [(0, 16), (1, 32)] as [(UInt64, Int)] {
            hart[.sctrdepth] = depth
            hart[.sctrstatus] = 0
            #expect(hart.execute(.sctrclr))
            Self.place(hart, (0..<50).map { _ in RVAssembly.jump(4) })
            Self.run(hart, cycles: 50)
            let records = Self.records(hart)
            #expect(records.count == count && records.first?.source == Self.code + 49 * 4 && records.last?.source == Self.code + UInt64(50 - count) * 4)
            #expect(hart[.sctrstatus] == UInt64(50 % count), "the write pointer wraps")
        }
        // Entries beyond the depth are read-only zero, and so are the other aliases.
        hart[.sctrdepth] = 0
        hart[.siselect] = 0x210
        #expect(hart.csr(.csrrw, .sireg, .max) == 0 && hart.csr(.csrrs, .sireg) == 0)
        hart[.siselect] = 0x200
        for csr in [RVCSR.sireg4, .sireg5, .sireg6] { #expect(hart.csr(.csrrw, csr, .max) == 0 && hart.csr(.csrrs, csr) == 0) }
    }

    @Test func entriesCanBeWrittenAndCleared() throws {
        let hart = try Self.makeHart(0)
        hart[.siselect] = 0x203
        for (csr, written, kept) in [(RVCSR.sireg, UInt64.max, UInt64.max), (.sireg2, .max, .max - 1), (.sireg3, .max, 15)] {
            #expect(hart.csr(.csrrw, csr, written) == 0 && hart.csr(.csrrs, csr) == kept)
        }
        // Logical entries follow the write pointer.
        hart[.sctrstatus] = 1
        hart[.siselect] = 0x204
        #expect(hart.csr(.csrrs, .sireg) == .max)
        #expect(hart.execute(.sctrclr) && hart.csr(.csrrs, .sireg) == 0)
    }

    @Test func trapsAndReturnsTellOnlyRecordedModesPlaces() throws {
        // From U to M: control, then what is there; ecall has type 1, mret type 3.
        let call = Self.code, back = Self.code + 4
        for (control, trap, trapReturn) in [
            (Self.user | Self.machine, Record(source: call, target: Self.handler, type: 1), Record(source: Self.handler, target: back, type: 3)),
            (Self.machine, Record(source: 0, target: Self.handler, type: 1), Record(source: Self.handler, target: 0, type: 3)),
            (Self.user, nil, nil),
            // External traps: every mode on the way agrees.
            (Self.user | 1 << 9, nil, nil), (Self.user | 1 << 9 | 1 << 8, Record(source: call, target: 0, type: 1), nil),
        ] as [(UInt64, Record?, Record?)] {
            let hart = try Self.makeHart(control)
            Self.place(hart, [RVAssembly.environmentCall])
            Self.place(hart, [RVAssembly.machineReturn], at: Self.handler)
            Self.run(hart, cycles: 1, mode: Mode.user)
            #expect(hart.cpu.pc == Self.handler && hart[.mcause] == 8)
            #expect(Self.records(hart) == [trap].compactMap { $0 }, "\(control)")
            hart[.mepc] = back
            Self.run(hart, cycles: 1, at: Self.handler)
            #expect(hart.cpu.pc == back)
            #expect(Self.records(hart) == [trapReturn, trap].compactMap { $0 }, "\(control)")
        }
    }

    @Test func interruptsAreTypedAndFiltered() throws {
        for filter in [0, 1 << 34] as [UInt64] {
            let hart = try Self.makeHart(Self.machine | filter)
            hart[.mie] = .max
            hart[.mstatus] = 8
            hart.cpu.setInterrupt(7, level: true)
            Self.run(hart, cycles: 1)
            #expect(Self.records(hart) == (filter == 0 ? [Record(source: Self.code, target: Self.handler, type: 2)] : []))
        }
    }

    @Test func breakpointsAndOverflowsFreeze() throws {
        for (control, cause) in [(1 << 11, 3), (1 << 12, 1 << 63 | 13)] as [(UInt64, UInt64)] {
            for freezes in [true, false] {
                let hart = try Self.makeHart(Self.machine | (freezes ? control : 0))
                hart.cpu.takeTrap(cause: cause, value: 0, pc: Self.code)
                #expect(hart[.sctrstatus] >> 31 == (freezes ? 1 : 0) && Self.records(hart).count == (freezes ? 0 : 1))
                // While frozen nothing is recorded.
                Self.place(hart, [RVAssembly.jump(4)])
                Self.run(hart, cycles: 1)
                #expect(Self.records(hart).count == (freezes ? 0 : 2))
            }
        }
    }

    @Test func stateEnableGuardsTheRecords() throws {
        let hart = try Self.makeHart(0)
        hart[.siselect] = 0x200
        for allows in [false, true] {
            hart.cpu.privilege = Mode.machine
            hart[.mstateen0] = 1 << 60 | (allows ? 1 << 54 : 0)
            hart.cpu.privilege = Mode.supervisor
            for csr in [RVCSR.sctrctl, .sctrstatus, .sctrdepth, .sireg, .sireg2, .sireg3, .sireg4] { #expect(hart.reads(csr) == allows, "\(csr)") }
            #expect(hart.execute(.sctrclr) == allows)
        }
        hart.cpu.privilege = Mode.user
        #expect(!hart.execute(.sctrclr))
    }

    // MARK: Guests

    @Test func guestsModesAreRecordedAsTheirOwnRegisterSays() throws {
        for (own, guests, mode, isRecorded) in [
            (Self.user | Self.supervisor, 0, Mode.user, false), (Self.user | Self.supervisor, 0, Mode.supervisor, false), (0, Self.user, Mode.user, true),
            (0, Self.user, Mode.supervisor, false), (0, Self.supervisor, Mode.supervisor, true), (0, Self.supervisor, Mode.user, false),
        ] {
            let hart = try Self.makeHart(own)
            hart[.vsctrctl] = guests
            Self.place(hart, [RVAssembly.jump(8)])
            Self.run(hart, cycles: 1, mode: mode, guest: true)
            #expect(hart.cpu.pc == Self.code + 8)
            #expect(Self.records(hart) == (isRecorded ? [Record(source: Self.code, target: Self.code + 8, type: 11)] : []), "\(own), \(guests), \(mode)")
        }
        // The filters are the guest's, too.
        let hart = try Self.makeHart(1 << 43)
        hart[.vsctrctl] = Self.user
        Self.place(hart, [RVAssembly.jump(8)])
        Self.run(hart, cycles: 1, mode: Mode.user, guest: true)
        #expect(Self.records(hart).count == 1)
        hart[.vsctrctl] = Self.user | 1 << 43
        Self.run(hart, cycles: 1, mode: Mode.user, guest: true)
        #expect(Self.records(hart).count == 1)
        // And the host is not recorded for the guest's sake.
        Self.run(hart, cycles: 1, mode: Mode.user)
        #expect(Self.records(hart).count == 1)
    }

    /// A trap out of a guest: its privilege, whom it goes to (0: M, 1: HS, 2: VS), and the enables it takes where that one is not recorded.
    private static let externalTraps: [(from: UInt8, to: Int, needs: [(RVCSR, UInt64)])] = [
        (Mode.user, 2, [(.vsctrctl, 1 << 8)]), (Mode.user, 1, [(.mctrctl, 1 << 8), (.vsctrctl, 1 << 8)]),
        (Mode.user, 0, [(.mctrctl, 1 << 9), (.mctrctl, 1 << 8), (.vsctrctl, 1 << 8)]), (Mode.supervisor, 1, [(.mctrctl, 1 << 8)]),
        (Mode.supervisor, 0, [(.mctrctl, 1 << 9), (.mctrctl, 1 << 8)]),
    ]

    private static func trap(_ hart: TestHart, from: UInt8, to level: Int, cause: UInt64 = 2) {
        (hart[.stvec], hart[.vstvec]) = (handler, handler)
        (hart[.medeleg], hart[.hedeleg]) = (level > 0 ? .max : 0, level > 1 ? .max : 0)
        hart.cpu.privilege = from
        hart.cpu.isGuest = true
        hart.cpu.takeTrap(cause: cause, value: 0, pc: code)
    }

    @Test func externalTrapsOfGuestsNeedEveryModeOnTheWay() throws {
        for (from, level, needs) in Self.externalTraps {
            let all: [(RVCSR, UInt64)] = [(.mctrctl, 1 << 9), (.mctrctl, 1 << 8), (.vsctrctl, 1 << 8)]
            for missing in all {
                let hart = try Self.makeHart(0)
                hart[.vsctrctl] = from == Mode.user ? Self.user : Self.supervisor
                for (csr, bit) in all where (csr, bit) != missing { hart.set(csr, bit) }
                Self.trap(hart, from: from, to: level)
                let isNeeded = needs.contains { $0 == missing }
                #expect(Self.records(hart) == (isNeeded ? [] : [Record(source: Self.code, target: 0, type: 1)]), "\(from) to \(level) without \(missing)")
            }
        }
    }

    @Test func whereVChangesTheGuestsFiltersDecide() throws {
        for (own, guests, isRecorded) in [(0, 0, true), (1 << 33, 0, true), (0, 1 << 33, false)] as [(UInt64, UInt64, Bool)] {
            let hart = try Self.makeHart(Self.supervisor | own)
            hart[.vsctrctl] = Self.user | guests
            Self.trap(hart, from: Mode.user, to: 1)
            #expect(Self.records(hart) == (isRecorded ? [Record(source: Self.code, target: Self.handler, type: 1)] : []))
        }
        // The way back: HS-mode, then VS-mode is recorded or not.
        for (guests, expected) in [(Self.supervisor, Self.code), (0, 0), (Self.supervisor | 1 << 35, nil)] as [(UInt64, UInt64?)] {
            let hart = try Self.makeHart(Self.supervisor)
            hart[.vsctrctl] = guests
            (hart[.hstatus], hart[.mstatus], hart[.sepc]) = (1 << 7, 1 << 8, Self.code)
            // sret
            Self.place(hart, [0x1020_0073], at: Self.handler)
            Self.run(hart, cycles: 1, at: Self.handler, mode: Mode.supervisor)
            #expect(hart.cpu.mode == 5 && hart.cpu.pc == Self.code)
            #expect(Self.records(hart) == (expected.map { [Record(source: Self.handler, target: $0, type: 3)] } ?? []), "\(guests)")
        }
    }

    @Test func freezingIsUpToWhomTheTrapGoesTo() throws {
        for (level, own, guests, freezes) in [
            (2, 0, 1 << 11, true), (2, 1 << 11, 0, false), (1, 1 << 11, 0, true), (1, 0, 1 << 11, false), (0, 1 << 11, 0, true), (0, 0, 1 << 11, false),
        ] as [(Int, UInt64, UInt64, Bool)] {
            let hart = try Self.makeHart(own)
            hart[.vsctrctl] = guests
            Self.trap(hart, from: Mode.supervisor, to: level, cause: 3)
            #expect(hart[.sctrstatus] >> 31 == (freezes ? 1 : 0), "to \(level)")
        }
    }

    @Test func guestsReachTheSameEntries() throws {
        let hart = try Self.makeHart(0)
        for csr in [RVCSR.mstateen0, .hstateen0] { hart[csr] = .max }
        hart[.siselect] = 0x201
        for (csr, value) in [(RVCSR.sireg, 0x8001), (.sireg2, 0x9000), (.sireg3, 5)] as [(RVCSR, UInt64)] { #expect(hart.csr(.csrrw, csr, value) != nil) }
        hart[.vsiselect] = 0x201
        for (csr, value) in [(RVCSR.vsireg, 0x8001), (.vsireg2, 0x9000), (.vsireg3, 5), (.vsireg4, 0), (.vsireg5, 0), (.vsireg6, 0)] as [(RVCSR, UInt64)] {
            #expect(hart.csr(.csrrs, csr) == value, "\(csr)")
        }
        hart.cpu.privilege = Mode.supervisor
        hart.cpu.isGuest = true
        for (csr, value) in [(RVCSR.sireg, 0x8001), (.sireg2, 0x9000), (.sireg3, 5), (.sireg4, 0)] as [(RVCSR, UInt64)] { #expect(hart.csr(.csrrs, csr) == value, "\(csr)") }
        #expect(hart.csr(.csrrw, .sireg2, 0xa001) == 0x9000 && hart.csr(.csrrs, .sireg2) == 0xa000)
        // sctrctl is vsctrctl.
        #expect(hart.csr(.csrrw, .sctrctl, .max) == 0 && hart.csr(.csrrs, .sctrctl) == 0xff3e_0000_1903)
        #expect(hart[.vsctrctl] == 0xff3e_0000_1903 && hart[.mctrctl] == 0)
        #expect(hart.execute(.sctrclr) && hart.csr(.csrrs, .sireg) == 0)
    }

    @Test func stateEnablesGuardTheRecordsFromGuests() throws {
        let illegal: UInt64 = 2, virtual: UInt64 = 22
        for (machine, hypervisor, fault) in [(true, true, nil), (true, false, virtual), (false, false, illegal)] as [(Bool, Bool, UInt64?)] {
            let hart = try Self.makeHart(0)
            hart[.mstateen0] = .max & ~(machine ? 0 : 1 << 54)
            hart[.hstateen0] = .max & ~(hypervisor ? 0 : 1 << 54)
            hart[.vsiselect] = 0x200
            for csr in [RVCSR.sctrctl, .sctrstatus, .sireg, .sireg2, .sireg3, .sireg6] { #expect(GuestCSRTests.fault(hart, csr) == fault, "\(csr)") }
            #expect(GuestCSRTests.fault(hart, .sctrdepth) == (machine ? virtual : illegal) && GuestCSRTests.fault(hart, .vsctrctl) == (machine ? virtual : illegal))
            // HS-mode has them unless M-mode does not want it.
            #expect(GuestCSRTests.fault(hart, .vsireg, guest: false) == (machine ? nil : illegal) && GuestCSRTests.fault(hart, .vsctrctl, guest: false) == (machine ? nil : illegal))
            hart.cpu.isGuest = true
            for (mode, expected) in [(Mode.supervisor, fault), (Mode.user, machine ? virtual : illegal)] as [(UInt8, UInt64?)] {
                hart.cpu.privilege = mode
                #expect(hart.execute(.sctrclr) == (expected == nil))
                if let expected { #expect(hart.cpu.raised.cause == expected) }
            }
        }
    }

    @Test func landingPadsAreExpectedAllTheSame() throws {
        let hart = try Self.makeHart(Self.machine)
        hart[.mseccfg] = 1 << 10
        hart.cpu.x[6] = Self.code + 16
        Self.place(hart, [RVAssembly.jumpRegister(1, 6), 0, 0, 0, RVAssembly.nop])
        Self.run(hart, cycles: 2)
        #expect(hart[.mcause] == 18 && hart[.mtval] == 2 && hart[.mepc] == Self.code + 16)
    }
}
