import EmuBus
import EmuCPU
import TestSupport
import Testing

/// Sdtrig (debug specification, chapter of that name): triggers that software on the hart sets, with the breakpoint exception as their action.
@Suite struct TriggerTests {
    private static let code = TestHart.ram + 0x1000
    private static let data = TestHart.ram + 0x3000
    private static let handler = TestHart.ram + 0x8000
    private enum Bit {
        static let load: UInt64 = 1, store: UInt64 = 2, execute: UInt64 = 4, user: UInt64 = 8, supervisor: UInt64 = 16, machine: UInt64 = 64, chain: UInt64 = 1 << 11
        static let address: UInt64 = 6 << 60, count: UInt64 = 3 << 60, interrupt: UInt64 = 4 << 60, exception: UInt64 = 5 << 60
        /// Of the other types.
        static let countUser: UInt64 = 1 << 6, countSupervisor: UInt64 = 1 << 7, countMachine: UInt64 = 1 << 9
    }

    /// Breakpoints are M-mode's, everything else is executed in U-mode.
    private static func makeHart() throws -> TestHart {
        let hart = try TestHart("max")
        hart[.mtvec] = handler
        place(hart, [RVAssembly.jump(0)], at: handler)
        return hart
    }

    private static func place(_ hart: TestHart, _ words: [UInt32], at address: UInt64 = code) {
        for (index, word) in words.enumerated() { #expect(hart.bus.storeMemory(address + 4 * UInt64(index), word)) }
    }

    private static func set(_ hart: TestHart, _ index: UInt64, _ data1: UInt64, _ data2: UInt64, _ data3: UInt64 = 0) {
        // The order the specification asks for.
        for (csr, value) in [(RVCSR.tselect, index), (.tdata1, 0), (.tdata2, data2), (.tdata3, data3), (.tdata1, data1)] {
            #expect(hart.csr(.csrrw, csr, value) != nil)
        }
        // The last of these instructions has been executed.
        hart.cpu.count(cycles: 1)
    }

    private static func run(_ hart: TestHart, cycles: Int, at pc: UInt64 = code, mode: UInt8 = Mode.user, guest: Bool = false) {
        hart.cpu.privilege = mode
        hart.cpu.isGuest = guest
        hart.cpu.pc = pc
        advance(hart, cycles)
    }

    /// Goes on for that many cycles; slices end early where counts do.
    private static func advance(_ hart: TestHart, _ cycles: Int) {
        let end = hart.cpu.cycles + UInt64(cycles)
        for _ in 0..<10 * cycles where hart.cpu.cycles < end { _ = hart.cpu.run(budget: Int(end - hart.cpu.cycles), clockBase: hart.events.now) }
    }

    /// The breakpoint that was taken: where, and what it tells.
    private static func breakpoint(_ hart: TestHart) -> [UInt64]? {
        hart.cpu.pc == handler && hart[.mcause] == 3 ? [hart[.mepc], hart[.mtval]] : nil
    }

    @Test func triggersAreEnumeratedAsTheSpecificationSays() throws {
        let hart = try Self.makeHart()
        for index in 0..<8 as Range<UInt64> {
            hart.csr(.csrrw, .tselect, index)
            #expect((hart[.tselect] == index) == (index < 4))
        }
        hart.csr(.csrrw, .tselect, 3)
        #expect(hart[.tinfo] == 1 << 24 | 1 << 15 | 1 << 6 | 1 << 5 | 1 << 4 | 1 << 3)
    }

    @Test func dataFollowsTheType() throws {
        let hart = try Self.makeHart()
        for (written, kept) in [
            // mcontrol6: modes, execute, store, load, chain, match 0 to 3; no action, size, select or hit.
            (Bit.address | 0x07ff_ffff & ~(15 << 7), Bit.address | 0x0180_085f & ~0x780), (Bit.address | 3 << 7, Bit.address | 3 << 7), (Bit.address | 4 << 7, Bit.address),
            // icount: count, modes, pending. itrigger and etrigger: modes.
            (Bit.count | 0x0fff_ffff, Bit.count | 0x06ff_ffc0), (Bit.interrupt | 0xffff, Bit.interrupt | 0x1ac0), (Bit.exception | 0xffff, Bit.exception | 0x1ac0),
            // Disabled, and what there is not.
            (0, 15 << 60), (2 << 60 | 0x7f, 15 << 60), (7 << 60, 15 << 60), (15 << 60 | 1 << 59 | 5, 15 << 60),
        ] as [(UInt64, UInt64)] {
            Self.set(hart, 1, written, 0)
            #expect(hart[.tdata1] == kept, "\(hex(written)): \(hex(hart[.tdata1]))")
        }
        #expect(hart[.tdata2] == 0 && hart[.tdata3] == 0)
        // There are no guests' modes without guests, and one bit less of their numbers.
        let plain = try TestHart("max,h=off")
        for (written, kept) in [(Bit.address | 0x0180_0008, Bit.address | 8), (Bit.count | 0x0600_0040, Bit.count | 0x40), (Bit.exception | 0x1840, Bit.exception | 0x40)] as [(UInt64, UInt64)] {
            Self.set(plain, 1, written, 0, 5 << 48)
            #expect(plain[.tdata1] == kept && plain[.tdata3] == 0)
        }
        plain[.mcontext] = .max
        #expect(plain[.mcontext] == 0x1fff && !plain.reads(.hcontext))
        // Each trigger has registers of its own.
        Self.set(hart, 0, Bit.address | Bit.load, 0x10)
        Self.set(hart, 2, Bit.address | Bit.store, 0x20)
        hart[.tselect] = 0
        #expect(hart[.tdata1] == Bit.address | Bit.load && hart[.tdata2] == 0x10)
    }

    @Test func executionStopsBeforeTheInstruction() throws {
        let hart = try Self.makeHart()
        Self.place(hart, [RVAssembly.addImmediate(5, 5, 1), RVAssembly.addImmediate(5, 5, 1), RVAssembly.addImmediate(5, 5, 1), RVAssembly.jump(-12)])
        // Once round without it, so that a block is there.
        Self.run(hart, cycles: 8)
        hart.cpu.x[5] = 0
        hart.cpu.privilege = Mode.machine
        Self.set(hart, 0, Bit.address | Bit.execute | Bit.user, Self.code + 8)
        Self.run(hart, cycles: 10)
        #expect(hart.cpu.x[5] == 2)
        #expect(Self.breakpoint(hart) == [Self.code + 8, Self.code + 8])
        // Off again.
        hart.cpu.privilege = Mode.machine
        Self.set(hart, 0, 0, 0)
        Self.run(hart, cycles: 4)
        #expect(hart.cpu.x[5] == 5 && hart.cpu.pc == Self.code)
    }

    @Test(arguments: [
        (RVAssembly.loadDouble(6, 8, 0), Bit.load), (RVAssembly.loadByte(6, 8, 0), Bit.load), (RVAssembly.storeDouble(6, 8, 0), Bit.store), (RVAssembly.storeByte(6, 8, 0), Bit.store),
        // amoadd.d does both; lr.d loads; cbo.zero stores; vle8.v loads, after vsetivli 4, e8, m1.
        (RVAssembly.atomicAdd(6, 0, 8), Bit.load | Bit.store), (RVAssembly.loadReserved(6, 8), Bit.load), (0x0044_200f, Bit.store), (0x0204_0107, Bit.load),
    ] as [(UInt32, UInt64)]) func accessesStopBeforeTheyHappen(bits: UInt32, kind: UInt64) throws {
        for wanted in [Bit.load, Bit.store] {
            let hart = try Self.makeHart()
            hart[.mstatus] = 0x6600
            (hart[.menvcfg], hart[.senvcfg]) = (0xf0, 0xf0)
            Self.place(hart, [0xc002_7057 | 4 << 15 & 0xf8000, bits])
            hart.store(Self.data, 0x1111)
            hart.cpu.x[8] = Self.data
            hart.cpu.x[6] = 0x77
            // Once before, so that the page is known.
            Self.run(hart, cycles: 2)
            hart.store(Self.data, 0x1111)
            hart.cpu.x[6] = 0x77
            hart.cpu.privilege = Mode.machine
            Self.set(hart, 3, Bit.address | wanted | Bit.user, Self.data)
            Self.run(hart, cycles: 2)
            if kind & wanted == 0 {
                #expect(Self.breakpoint(hart) == nil && hart.cpu.pc == Self.code + 8)
            } else {
                #expect(Self.breakpoint(hart) == [Self.code + 4, Self.data])
                #expect(hart.cpu.x[6] == 0x77 && hart.load(Self.data) == 0x1111)
            }
        }
    }

    @Test func everyByteOfAnAccessIsCompared() throws {
        // ld at data: bytes 0 to 7.
        for (offset, hits) in [(-1, false), (0, true), (7, true), (8, false)] as [(Int64, Bool)] {
            let hart = try Self.makeHart()
            Self.place(hart, [RVAssembly.loadDouble(6, 8, 0)])
            hart.cpu.x[8] = Self.data
            Self.set(hart, 0, Bit.address | Bit.load | Bit.user, UInt64(Int64(Self.data) + offset))
            Self.run(hart, cycles: 1)
            #expect((Self.breakpoint(hart) != nil) == hits, "\(offset)")
        }
    }

    @Test func rangesArePowersOfTwoOrHaveOneEnd() throws {
        let napot: UInt64 = 1 << 7, from: UInt64 = 2 << 7, below: UInt64 = 3 << 7
        for (match, value, address, hits) in [
            // 0x…3000 with its low bits 0111: sixteen bytes.
            (napot, Self.data | 7, Self.data, true), (napot, Self.data | 7, Self.data + 15, true), (napot, Self.data | 7, Self.data + 16, false),
            (from, Self.data + 8, Self.data + 7, false), (from, Self.data + 8, Self.data + 8, true), (from, Self.data + 8, Self.data + 0x900, true),
            (below, Self.data + 8, Self.data + 7, true), (below, Self.data + 8, Self.data + 8, false),
        ] as [(UInt64, UInt64, UInt64, Bool)] {
            let hart = try Self.makeHart()
            Self.place(hart, [RVAssembly.loadByte(6, 8, 0)])
            hart.cpu.x[8] = address
            Self.set(hart, 0, Bit.address | match | Bit.load | Bit.user, value)
            Self.run(hart, cycles: 1)
            #expect((Self.breakpoint(hart) != nil) == hits, "match \(match >> 7), \(hex(address))")
        }
    }

    @Test func chainsFireWhenAllOfThemMatch() throws {
        let (first, last) = (Self.data + 8, Self.data + 16)
        for (address, hits) in [(first - 1, false), (first, true), (last - 1, true), (last, false)] {
            let hart = try Self.makeHart()
            Self.place(hart, [RVAssembly.loadByte(6, 8, 0)])
            hart.cpu.x[8] = address
            // From `first` on, and below `last`.
            Self.set(hart, 1, Bit.address | Bit.chain | 2 << 7 | Bit.load | Bit.user, first)
            Self.set(hart, 2, Bit.address | 3 << 7 | Bit.load | Bit.user, last)
            Self.run(hart, cycles: 1)
            #expect((Self.breakpoint(hart) != nil) == hits, "\(hex(address))")
        }
    }

    @Test func onlyEnabledModesAndContextsMatch() throws {
        for (bit, mode) in [(Bit.user, Mode.user), (Bit.supervisor, Mode.supervisor), (Bit.machine, Mode.machine)] {
            for running in Mode.all {
                let hart = try Self.makeHart()
                Self.place(hart, [RVAssembly.nop])
                Self.set(hart, 0, Bit.address | Bit.execute | bit, Self.code)
                // Interrupts on: no trap handler is at work.
                hart[.mstatus] = 8
                Self.run(hart, cycles: 1, mode: running)
                #expect((Self.breakpoint(hart) != nil) == (mode == running), "\(mode) in \(running)")
            }
        }
        // scontext, its bytes 1 to 3 masked; ASID; mcontext.
        let byte: UInt64 = 0xe << 36
        for (extra, csr, value, hits) in [
            (1 | 0x1234 << 2, RVCSR.scontext, 0x1234, true), (1 | 0x1234 << 2, .scontext, 0x1235, false), (1 | 0x34 << 2 | byte, .scontext, 0x5534, true),
            (4 << 48 | 5 << 51, .mcontext, 5, true), (4 << 48 | 5 << 51, .mcontext, 6, false), (2 | 7 << 2, .satp, 8 << 60 | 7 << 44, true), (2 | 7 << 2, .satp, 8 << 60 | 6 << 44, false),
        ] as [(UInt64, RVCSR, UInt64, Bool)] {
            let hart = try Self.makeHart()
            Self.place(hart, [RVAssembly.nop])
            hart[csr] = value
            hart[.mstatus] = 8
            Self.set(hart, 0, Bit.address | Bit.execute | Bit.machine, Self.code, extra)
            Self.run(hart, cycles: 1, mode: Mode.machine)
            #expect((Self.breakpoint(hart) != nil) == hits, "\(csr) \(hex(value))")
        }
    }

    @Test func handlersAreNotInterrupted() throws {
        // M-mode with MIE clear; S-mode with SIE clear, where breakpoints are its own.
        for (mode, delegated, status, hits) in [
            (Mode.machine, false, 0, false), (Mode.machine, false, 8, true), (Mode.supervisor, true, 0, false), (Mode.supervisor, true, 2, true), (Mode.supervisor, false, 0, true),
        ] as [(UInt8, Bool, UInt64, Bool)] {
            let hart = try Self.makeHart()
            hart[.stvec] = Self.handler
            hart[.medeleg] = delegated ? 8 : 0
            Self.place(hart, [RVAssembly.nop])
            Self.set(hart, 0, Bit.address | Bit.execute | Bit.machine | Bit.supervisor, Self.code)
            hart[.mstatus] = status
            Self.run(hart, cycles: 1, mode: mode)
            #expect((hart.cpu.pc == Self.handler) == hits, "mode \(mode), status \(status)")
        }
    }

    @Test func addressBreakpointsComeBeforePageFaults() throws {
        let hart = try Self.makeHart()
        // No page table: every fetch and access in U-mode faults.
        hart[.satp] = 8 << 60 | (TestHart.ram + 0x2_0000) >> 12
        Self.set(hart, 0, Bit.address | Bit.execute | Bit.user, Self.code)
        Self.run(hart, cycles: 1)
        #expect(Self.breakpoint(hart) == [Self.code, Self.code])
    }

    // MARK: Counts and traps

    @Test func countedInstructionsEndBeforeTheNextOne() throws {
        for count in [1, 2, 5, 40] as [UInt64] {
            let hart = try Self.makeHart()
            Self.place(hart, [RVAssembly.addImmediate(5, 5, 1), RVAssembly.jump(-4)])
            Self.set(hart, 0, Bit.count | count << 10 | Bit.countUser, 0)
            Self.run(hart, cycles: 200)
            #expect(hart.cpu.x[5] == (count + 1) / 2)
            #expect(Self.breakpoint(hart) == [Self.code + 4 * (count & 1), 0], "\(count)")
            #expect(hart[.tdata1] == Bit.count | Bit.countUser, "count and pending are used up")
        }
    }

    @Test func trapsCountAndTheBreakpointWaitsForTheMode() throws {
        let hart = try Self.makeHart()
        // ecall in U-mode; the handler returns behind it.
        Self.place(hart, [RVAssembly.environmentCall, RVAssembly.nop])
        Self.place(hart, [RVAssembly.nop, RVAssembly.nop, RVAssembly.machineReturn], at: Self.handler)
        Self.set(hart, 0, Bit.count | 1 << 10 | Bit.countUser, 0)
        Self.run(hart, cycles: 3)
        #expect(hart[.mcause] == 8 && hart.cpu.pc == Self.handler + 8 && hart[.tdata1] == Bit.count | 1 << 8 | Bit.countUser, "pending")
        hart[.mepc] = Self.code + 4
        Self.advance(hart, 1)
        #expect(hart.cpu.pc == Self.code + 4)
        Self.advance(hart, 1)
        #expect(hart[.mcause] == 3 && hart[.mepc] == Self.code + 4 && hart[.mtval] == 0)
    }

    @Test func trapTriggersFireBeforeTheHandlersFirstInstruction() throws {
        // An illegal instruction and a timer interrupt of S-mode's, whose breakpoints M-mode takes.
        for isInterrupt in [false, true] {
            for isListed in [true, false] {
                let hart = try Self.makeHart()
                hart[.stvec] = Self.data
                hart[.medeleg] = 4
                hart[.mideleg] = 1 << 5
                Self.place(hart, [isInterrupt ? RVAssembly.nop : 0])
                let cause: UInt64 = isInterrupt ? 5 : 2
                Self.set(hart, 0, (isInterrupt ? Bit.interrupt : Bit.exception) | Bit.countUser, isListed ? 1 << cause : ~(1 << cause))
                if isInterrupt {
                    hart[.menvcfg] = 0
                    hart[.mie] = 1 << 5
                    hart[.mip] = 1 << 5
                }
                hart.cpu.privilege = Mode.user
                hart.cpu.pc = Self.code
                hart.cpu.takeTrap(cause: isInterrupt ? 1 << 63 | 5 : 2, value: 0, pc: Self.code)
                #expect(hart[.scause] == (isInterrupt ? 1 << 63 | 5 : 2) && hart[.sepc] == Self.code)
                if isListed {
                    #expect(hart.cpu.pc == Self.handler && hart[.mcause] == 3 && hart[.mepc] == Self.data && hart[.mtval] == 0)
                } else {
                    #expect(hart.cpu.pc == Self.data && hart.cpu.privilege == Mode.supervisor)
                }
            }
        }
    }

    @Test func contextIsGuardedByItsStateEnable() throws {
        let hart = try Self.makeHart()
        for allows in [false, true] {
            hart.cpu.privilege = Mode.machine
            hart[.mstateen0] = allows ? 1 << 57 : 0
            hart.cpu.privilege = Mode.supervisor
            #expect(hart.reads(.scontext) == allows && hart.reads(.hcontext) == allows && !hart.reads(.tdata1) && !hart.reads(.mcontext))
        }
    }

    // MARK: Guests

    @Test func guestsModesHaveBitsOfTheirOwn() throws {
        let all: [(bit: UInt64, privilege: UInt8, isGuest: Bool)] = [
            (Bit.user, Mode.user, false), (Bit.supervisor, Mode.supervisor, false), (1 << 23, Mode.user, true), (1 << 24, Mode.supervisor, true),
        ]
        for (bit, privilege, isGuest) in all {
            for running in all {
                let hart = try Self.makeHart()
                Self.place(hart, [RVAssembly.nop])
                Self.set(hart, 0, Bit.address | Bit.execute | bit, Self.code)
                Self.run(hart, cycles: 1, mode: running.privilege, guest: running.isGuest)
                #expect((Self.breakpoint(hart) != nil) == (privilege == running.privilege && isGuest == running.isGuest), "\(hex(bit)) in \(running)")
                // The trap says where it comes from.
                if Self.breakpoint(hart) != nil { #expect(hart[.mstatus] >> 39 & 1 == (isGuest ? 1 : 0)) }
            }
        }
    }

    @Test func accessesOfGuestsStopBeforeTheyHappen() throws {
        for (mode, bit) in [(Mode.user, 1 << 23), (Mode.supervisor, 1 << 24)] as [(UInt8, UInt64)] {
            let hart = try Self.makeHart()
            Self.place(hart, [RVAssembly.storeDouble(6, 8, 0), RVAssembly.storeDouble(6, 9, 0)])
            (hart.cpu.x[8], hart.cpu.x[9], hart.cpu.x[6]) = (Self.data + 8, Self.data, 0x77)
            Self.set(hart, 0, Bit.address | Bit.store | bit, Self.data)
            Self.run(hart, cycles: 2, mode: mode, guest: true)
            #expect(Self.breakpoint(hart) == [Self.code + 4, Self.data])
            #expect(hart.load(Self.data) == 0 && hart.load(Self.data + 8) == 0x77)
        }
    }

    @Test func guestsHandlersAreNotInterrupted() throws {
        // In VS-mode its own SIE counts, where breakpoints are its own.
        for (medeleg, hedeleg, own, host, hits) in [
            (8, 8, 0, 2, false), (8, 8, 2, 0, true), (8, 0, 0, 0, true), (0, 8, 0, 0, true),
        ] as [(UInt64, UInt64, UInt64, UInt64, Bool)] {
            let hart = try Self.makeHart()
            (hart[.stvec], hart[.vstvec]) = (Self.handler, Self.handler)
            (hart[.medeleg], hart[.hedeleg]) = (medeleg, hedeleg)
            Self.place(hart, [RVAssembly.nop])
            Self.set(hart, 0, Bit.address | Bit.execute | 1 << 24, Self.code)
            (hart[.sstatus], hart[.vsstatus]) = (host, own)
            Self.run(hart, cycles: 1, mode: Mode.supervisor, guest: true)
            #expect((hart.cpu.pc == Self.handler) == hits, "medeleg \(medeleg), hedeleg \(hedeleg), SIE \(own)")
            if hits { #expect(hart.cpu.mode == (medeleg == 0 ? 3 : hedeleg == 0 ? 1 : 5)) }
        }
    }

    @Test func contextsTellOneGuestFromAnother() throws {
        // mhselect: 1 and 5 compare all of mcontext, 2 and 6 the VMID; the high bit is the lowest of the value. sselect 2: vsatp's ASID.
        func extra(_ select: UInt64, _ value: UInt64) -> UInt64 { (select | (value & 1) << 2) << 48 | (value >> 1) << 51 }
        for (extra, csr, value, hits) in [
            (extra(1, 0x2001), RVCSR.hcontext, 0x2001, true), (extra(1, 0x2001), .hcontext, 1, false), (extra(1, 6), .hcontext, 6, true), (extra(1, 6), .hcontext, 7, false),
            (4 << 48 | 5 << 51, .hcontext, 0x2005, true), (extra(2, 9), .hgatp, 8 << 60 | 9 << 44, true), (extra(2, 9), .hgatp, 8 << 60 | 8 << 44, false),
            (2 | 7 << 2, .vsatp, 8 << 60 | 7 << 44, true), (2 | 7 << 2, .vsatp, 8 << 60 | 6 << 44, false), (2 | 7 << 2, .satp, 8 << 60 | 7 << 44, false),
        ] as [(UInt64, RVCSR, UInt64, Bool)] {
            let hart = try Self.makeHart()
            Self.place(hart, [RVAssembly.nop])
            hart[csr] = value
            Self.set(hart, 0, Bit.address | Bit.execute | 1 << 24, Self.code, extra)
            // Breakpoints come before the page faults that there are without tables.
            Self.run(hart, cycles: 1, mode: Mode.supervisor, guest: true)
            #expect((Self.breakpoint(hart) != nil) == hits, "\(csr) \(hex(value)), \(hex(extra))")
        }
        // One register under two names.
        let hart = try Self.makeHart()
        hart[.hcontext] = 0x1234
        #expect(hart[.mcontext] == 0x1234)
        #expect(GuestCSRTests.fault(hart, .hcontext) == 2, "mstateen0 is closed")
        hart[.mstateen0] = .max
        #expect(GuestCSRTests.fault(hart, .hcontext) == 22 && GuestCSRTests.fault(hart, .hcontext, guest: false) == nil)
    }

    @Test func instructionsOfGuestsAreCounted() throws {
        for (mode, bit) in [(Mode.user, 1 << 25), (Mode.supervisor, 1 << 26)] as [(UInt8, UInt64)] {
            for guest in [true, false] {
                let hart = try Self.makeHart()
                Self.place(hart, [RVAssembly.addImmediate(5, 5, 1), RVAssembly.jump(-4)])
                Self.set(hart, 0, Bit.count | 5 << 10 | bit, 0)
                Self.run(hart, cycles: 20, mode: mode, guest: guest)
                #expect(Self.breakpoint(hart) == (guest ? [Self.code + 4, 0] : nil))
                if guest { #expect(hart.cpu.x[5] == 3) }
            }
        }
    }

    @Test func trapsOfGuestsFireUnderTheHandlersNumber() throws {
        // A guest's timer interrupt, 6 for the hypervisor, is its own 5; an exception keeps its number.
        for (type, cause, listed, hits) in [
            (Bit.interrupt, 1 << 63 | 6, 5, true), (Bit.interrupt, 1 << 63 | 6, 6, false), (Bit.exception, 2, 2, true), (Bit.exception, 2, 5, false),
        ] as [(UInt64, UInt64, UInt64, Bool)] {
            let hart = try Self.makeHart()
            (hart[.vstvec], hart[.hideleg], hart[.medeleg], hart[.hedeleg]) = (Self.data, .max, 4, 4)
            Self.set(hart, 0, type | 1 << 11, 1 << listed)
            hart.cpu.privilege = Mode.user
            hart.cpu.isGuest = true
            hart.cpu.takeTrap(cause: cause, value: 0, pc: Self.code)
            #expect(hart[.vsepc] == Self.code)
            #expect((Self.breakpoint(hart) == [Self.data, 0]) == hits, "\(hex(cause)), \(listed)")
            if !hits { #expect(hart.cpu.mode == 5 && hart.cpu.pc == Self.data) }
        }
    }

    /// A page far from any trigger is found directly, one beside it by the slow way, and both hold what is stored.
    @Test func neighboursOfATriggerWork() throws {
        let hart = try Self.makeHart()
        Self.place(hart, [RVAssembly.storeDouble(6, 8, 0), RVAssembly.loadDouble(7, 8, 0), RVAssembly.storeDouble(6, 9, 0), RVAssembly.loadDouble(10, 9, 0)])
        Self.set(hart, 0, Bit.address | Bit.load | Bit.store | Bit.user, Self.data + 0x800)
        (hart.cpu.x[8], hart.cpu.x[9], hart.cpu.x[6]) = (Self.data, Self.data + 0x1000, 0x1234)
        Self.run(hart, cycles: 4)
        #expect(hart.cpu.x[7] == 0x1234 && hart.cpu.x[10] == 0x1234 && hart.cpu.pc == Self.code + 16)
    }
}
