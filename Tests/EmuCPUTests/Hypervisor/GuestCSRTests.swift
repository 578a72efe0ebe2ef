import EmuBus
import EmuCPU
import Testing

/// Registers of the hypervisor and of VS-level (privileged manual, "Hypervisor and Virtual Supervisor CSRs").
@Suite struct GuestCSRTests {
    static let illegal: UInt64 = 2, virtual: UInt64 = 22

    /// The exception of reading `csr` in a mode, nil when it is read.
    static func fault(_ hart: TestHart, _ csr: RVCSR, _ op: RVOp = .csrrs, guest: Bool = true, _ privilege: UInt8 = Mode.supervisor) -> UInt64? {
        hart.cpu.privilege = privilege
        hart.cpu.isGuest = guest
        let done = hart.cpu.executeCSR(op, DecodedOp(op, rd: 2, rs1: op == .csrrw ? 1 : 0, imm: Int32(csr.rawValue), raw: 0x1234))
        if !done { #expect(hart.cpu.raised.value == 0x1234) }
        return done ? nil : hart.cpu.raised.cause
    }

    /// Everything that could keep HS-mode or a guest from something is open.
    static func open(_ option: String = "max") throws -> TestHart {
        let hart = try TestHart(option)
        for csr in [RVCSR.mstateen0, .mstateen1, .mstateen2, .mstateen3, .hstateen0, .hstateen1, .hstateen2, .hstateen3] { hart[csr] = .max }
        for csr in [RVCSR.mcounteren, .hcounteren, .scounteren, .menvcfg, .henvcfg, .senvcfg] { hart[csr] = .max }
        // FS and VS of all levels.
        hart[.mstatus] = 0x2200
        hart[.vsstatus] = 0x2200
        return hart
    }

    @Test("supervisor registers of a guest are its own; the host's keep their values")
    func substitution() throws {
        let hart = try Self.open()
        let pairs: [(RVCSR, RVCSR)] = [
            (.stvec, .vstvec), (.sscratch, .vsscratch), (.sepc, .vsepc), (.scause, .vscause), (.stval, .vstval), (.satp, .vsatp), (.stimecmp, .vstimecmp),
            (.siselect, .vsiselect),
        ]
        for (own, guests) in pairs {
            hart.cpu.isGuest = false
            hart[own] = 0x104
            hart[guests] = 0x208
            if own == .satp { (hart[own], hart[guests]) = (8 << 60 | 1, 9 << 60 | 2) }
            let (host, guest) = (hart[own], hart[guests])
            #expect(host != guest)
            hart.cpu.privilege = Mode.supervisor
            #expect(hart.csr(.csrrs, own) == host && hart.csr(.csrrs, guests) == guest)
            hart.cpu.isGuest = true
            let new: UInt64 = own == .satp ? 10 << 60 | 3 : 0x30c
            #expect(hart.csr(.csrrw, own, new) == guest)
            #expect(hart.csr(.csrrs, own) == new)
            // A debugger goes by the names that M-mode knows.
            #expect(hart[own] == host && hart[guests] == new)
            hart.cpu.isGuest = false
            #expect(hart.csr(.csrrs, own) == host && hart.csr(.csrrs, guests) == new)
        }
        // Of these there is only one.
        for shared in [RVCSR.senvcfg, .scounteren] {
            hart.cpu.isGuest = false
            hart[shared] = 1
            hart.cpu.privilege = Mode.supervisor
            hart.cpu.isGuest = true
            #expect(hart.csr(.csrrs, shared) == 1, "\(shared)")
        }
    }

    @Test("vsstatus stands in for sstatus; FS and VS of both levels are in effect")
    func status() throws {
        let hart = try Self.open()
        hart[.mstatus] = 0x2200
        // SIE SPIE SPP SUM MXR SPELP, FS and VS initial.
        hart[.vsstatus] = 0x008c_2322
        #expect(hart[.vsstatus] == 0x2_008c_2322)
        hart.cpu.privilege = Mode.supervisor
        hart.cpu.isGuest = true
        #expect(hart.csr(.csrrs, .sstatus) == 0x2_008c_2322)
        // Using the units makes both levels dirty.
        #expect(hart.csr(.csrrw, .fflags, 1) != nil && hart.csr(.csrrw, .vxrm, 1) != nil)
        #expect(hart.csr(.csrrs, .sstatus) == 0x8000_0002_008c_6722)
        #expect(hart[.mstatus] & 0x8000_0000_0000_6600 == 0x8000_0000_0000_6600)
        for (host, guest, works) in [(0, 3, false), (3, 0, false), (1, 2, true), (3, 3, true)] as [(UInt64, UInt64, Bool)] {
            hart.cpu.isGuest = false
            hart[.mstatus] = host << 13 | host << 9
            hart[.vsstatus] = guest << 13 | guest << 9
            hart.cpu.isGuest = true
            // Never a virtual-instruction exception.
            for csr in [RVCSR.fcsr, .vl] { #expect(Self.fault(hart, csr) == (works ? nil : Self.illegal), "FS and VS \(host) and \(guest)") }
            #expect(hart.csr(.csrrs, .sstatus).map { $0 >> 13 & 3 } == guest)
            #expect(hart[.mstatus] >> 13 & 3 == host)
            // The guest can switch its own on and off.
            #expect(hart.csr(.csrrw, .sstatus, 1 << 13 | 1 << 9) != nil)
            #expect(Self.fault(hart, .fcsr) == (host == 0 ? Self.illegal : nil))
            #expect(hart.csr(.csrrw, .sstatus, 0) != nil && Self.fault(hart, .fcsr) == Self.illegal && hart[.mstatus] >> 13 & 3 == host)
        }
    }

    @Test("which exception every register raises in a guest: virtual where HS-mode has it, illegal where only M-mode does")
    func exceptions() throws {
        let hart = try Self.open()
        // Registers a guest finds under the supervisor's names, or has none of.
        let never: Set<RVCSR> = [.seed, .srmcfg, .scountinhibit, .stopei, .scountovf, .sctrdepth]
        // With nothing selected there is nothing behind an alias.
        let aliases: Set<RVCSR> = [.sireg, .sireg2, .sireg3, .sireg4, .sireg5, .sireg6]
        for csr in RVCSR.all where csr.exists(in: hart.cpu.config.extensions) {
            let level = csr.rawValue >> 8 & 3
            // An interrupt file is missing, and VGEIN names none.
            let supervisor = level == 3 || csr == .seed || aliases.contains(csr) ? Self.illegal : level == 2 || never.contains(csr) ? Self.virtual : nil
            #expect(Self.fault(hart, csr) == supervisor, "\(csr) in VS-mode")
            let user = level == 3 || csr == .seed ? Self.illegal : level >= 1 ? Self.virtual : nil
            #expect(Self.fault(hart, csr, .csrrs, guest: true, Mode.user) == user, "\(csr) in VU-mode")
            // Writing what cannot be written is nobody's.
            if csr.isReadOnly { #expect(Self.fault(hart, csr, .csrrw) == Self.illegal, "writing \(csr)") }
        }
        // Polling the seed writes it; after reset S-mode may.
        hart[.mseccfg] = 0
        #expect(Self.fault(hart, .seed, .csrrw) == Self.illegal)
        hart[.mseccfg] = 1 << 9
        #expect(Self.fault(hart, .seed, .csrrw) == Self.virtual && Self.fault(hart, .seed, .csrrs) == Self.illegal)
        // U-mode has nothing of it.
        #expect(Self.fault(hart, .hstatus, .csrrs, guest: false, Mode.user) == Self.illegal)
        #expect(Self.fault(hart, .vsscratch, .csrrs, guest: false, Mode.user) == Self.illegal)
        #expect(Self.fault(hart, .vsscratch, .csrrs, guest: false) == nil && Self.fault(hart, .hstatus, .csrrs, guest: false) == nil)
    }

    @Test("every bit that takes a register away from a guest, by whom, and the exception that follows")
    func enables() throws {
        struct Rule {
            var csr: RVCSR
            var by: RVCSR
            var bit: Int
            var fault: UInt64
            var privilege = Mode.supervisor
        }
        var rules: [Rule] = [
            Rule(csr: .senvcfg, by: .mstateen0, bit: 62, fault: Self.illegal), Rule(csr: .senvcfg, by: .hstateen0, bit: 62, fault: Self.virtual),
            Rule(csr: .siselect, by: .mstateen0, bit: 60, fault: Self.illegal), Rule(csr: .siselect, by: .hstateen0, bit: 60, fault: Self.virtual),
            Rule(csr: .stopi, by: .mstateen0, bit: 59, fault: Self.illegal), Rule(csr: .stopi, by: .hstateen0, bit: 59, fault: Self.virtual),
            Rule(csr: .sctrctl, by: .mstateen0, bit: 54, fault: Self.illegal), Rule(csr: .sctrctl, by: .hstateen0, bit: 54, fault: Self.virtual),
            Rule(csr: .sctrstatus, by: .mstateen0, bit: 54, fault: Self.illegal), Rule(csr: .sctrstatus, by: .hstateen0, bit: 54, fault: Self.virtual),
            Rule(csr: .scontext, by: .mstateen0, bit: 57, fault: Self.illegal), Rule(csr: .scontext, by: .hstateen0, bit: 57, fault: Self.virtual),
            Rule(csr: .stimecmp, by: .menvcfg, bit: 63, fault: Self.illegal), Rule(csr: .stimecmp, by: .henvcfg, bit: 63, fault: Self.virtual),
            Rule(csr: .stimecmp, by: .mcounteren, bit: 1, fault: Self.illegal), Rule(csr: .stimecmp, by: .hcounteren, bit: 1, fault: Self.virtual),
            Rule(csr: .ssp, by: .menvcfg, bit: 3, fault: Self.illegal), Rule(csr: .ssp, by: .henvcfg, bit: 3, fault: Self.virtual),
            Rule(csr: .ssp, by: .senvcfg, bit: 3, fault: Self.virtual, privilege: Mode.user),
        ]
        for (csr, mine, theirs) in [
            (RVCSR.sstateen0, RVCSR.mstateen0, RVCSR.hstateen0), (.sstateen1, .mstateen1, .hstateen1), (.sstateen2, .mstateen2, .hstateen2), (.sstateen3, .mstateen3, .hstateen3),
        ] { rules += [Rule(csr: csr, by: mine, bit: 63, fault: Self.illegal), Rule(csr: csr, by: theirs, bit: 63, fault: Self.virtual)] }
        for (bit, csr) in [(0, RVCSR.cycle), (1, .time), (2, .instret), (3, .hpmcounter3), (31, .hpmcounter31)] {
            rules += [
                Rule(csr: csr, by: .mcounteren, bit: bit, fault: Self.illegal), Rule(csr: csr, by: .hcounteren, bit: bit, fault: Self.virtual),
                Rule(csr: csr, by: .mcounteren, bit: bit, fault: Self.illegal, privilege: Mode.user),
                Rule(csr: csr, by: .hcounteren, bit: bit, fault: Self.virtual, privilege: Mode.user),
                Rule(csr: csr, by: .scounteren, bit: bit, fault: Self.virtual, privilege: Mode.user),
            ]
        }
        for rule in rules {
            let hart = try Self.open()
            #expect(Self.fault(hart, rule.csr, .csrrs, guest: true, rule.privilege) == nil, "\(rule.csr)")
            hart.clear(rule.by, 1 << UInt64(rule.bit))
            #expect(Self.fault(hart, rule.csr, .csrrs, guest: true, rule.privilege) == rule.fault, "\(rule.csr) by \(rule.by) bit \(rule.bit)")
        }
        // scounteren does not concern VS-mode.
        let hart = try Self.open()
        hart[.scounteren] = 0
        #expect(Self.fault(hart, .cycle) == nil)
        // VTVM; TVM of mstatus is for HS-mode alone.
        hart.set(.mstatus, 1 << 20)
        #expect(Self.fault(hart, .satp) == nil && Self.fault(hart, .satp, .csrrs, guest: false) == Self.illegal)
        #expect(Self.fault(hart, .hgatp) == Self.virtual && Self.fault(hart, .hgatp, .csrrs, guest: false) == Self.illegal)
        #expect(Self.fault(hart, .vsatp, .csrrs, guest: false) == nil)
        hart[.hstatus] = 1 << 20
        #expect(Self.fault(hart, .satp) == Self.virtual)
    }

    @Test("menvcfg withholds from henvcfg, hstateen, and mideleg from hideleg")
    func whatMachineModeWithholds() throws {
        let hart = try TestHart("max")
        hart[.menvcfg] = .max
        hart[.henvcfg] = .max
        #expect(hart[.henvcfg] == 0xe800_0003_0000_00fd)
        for bit in [3, 59, 61, 62, 63] as [UInt64] {
            hart.clear(.menvcfg, 1 << bit)
            #expect(hart[.henvcfg] >> bit & 1 == 0, "bit \(bit)")
            hart.set(.henvcfg, 1 << bit)
            #expect(hart[.henvcfg] >> bit & 1 == 0, "bit \(bit)")
        }
        hart[.hstateen0] = .max
        #expect(hart[.hstateen0] == 0)
        hart[.mstateen0] = .max
        hart[.hstateen0] = .max
        #expect(hart[.hstateen0] == 0xda40_0000_0000_0000)
        hart.clear(.mstateen0, 1 << 62)
        #expect(hart[.hstateen0] == 0x9a40_0000_0000_0000)
        // Without Smstateen there is nobody to open what a guest may use.
        #expect(try TestHart("rv64,h=on,smstateen=off")[.hstateen0] == 0xd240_0000_0000_0000)
        hart[.hideleg] = .max
        #expect(hart[.hideleg] == 0x444)
        hart[.mideleg] = 1 << 13
        hart[.hideleg] = .max
        #expect(hart[.hideleg] == 0x2444 && hart[.mideleg] == 0x2444)
        hart[.mideleg] = 0
        #expect(hart[.hideleg] == 0x444 && hart[.mideleg] == 0x444)
    }

    @Test("modes of hgatp and vsatp", arguments: [("rv64,h=on", [8, 9, 10]), ("rv64,h=on,sv57=off", [8, 9]), ("rv64,h=on,sv48=off", [8])] as [(String, [UInt64])])
    func translationModes(option: String, modes: [UInt64]) throws {
        let hart = try TestHart(option)
        for mode in 0..<16 as Range<UInt64> {
            hart[.hgatp] = 8 << 60 | 1 << 44 | 4
            hart[.hgatp] = mode << 60 | .max >> 4
            // All fields are WARL each for itself: 14 bits of VMID, and a root of 16 KiB.
            let expected: UInt64 = mode == 0 ? 0 : (modes.contains(mode) ? mode : 8) << 60 | 0x3fff << 44 | 0xfff_ffff_fffc
            #expect(hart[.hgatp] == expected, "mode \(mode)")
            hart[.vsatp] = 8 << 60 | 1
            hart[.vsatp] = mode << 60 | 2
            #expect(hart[.vsatp] == (mode == 0 ? 0 : modes.contains(mode) ? mode << 60 | 2 : 8 << 60 | 1), "mode \(mode)")
        }
    }

    @Test("guests count time from htimedelta on")
    func time() throws {
        let hart = try Self.open()
        hart.events.advanceVirtual(to: 100_000)
        hart[.htimedelta] = UInt64.max - 99
        hart.cpu.privilege = Mode.supervisor
        #expect(hart.csr(.csrrs, .time) == 1000)
        hart.cpu.isGuest = true
        #expect(hart.csr(.csrrs, .time) == 900 && hart[.time] == 1000)
    }

    @Test("counters stand still for guests when VSINH or VUINH says so")
    func counterFilters() throws {
        for (bit, privilege) in [(59, Mode.supervisor), (58, Mode.user)] as [(UInt64, UInt8)] {
            let hart = try TestHart("max")
            hart[.mhpmevent3] = 1 | 1 << bit
            hart[.mhpmevent4] = 1 | 1 << (bit + 2)
            hart.cpu.privilege = privilege
            hart.cpu.isGuest = true
            hart.cpu.count(cycles: 100)
            _ = hart[.mhpmcounter3]
            // Each write of an event counts the instruction that it would be.
            #expect(hart[.mhpmcounter3] == 0 && (98...100).contains(hart[.mhpmcounter4]))
        }
    }

    @Test("a machine without the extension has none of it")
    func absent() throws {
        let hart = try TestHart()
        #expect(hart[.misa] >> 7 & 1 == 0)
        #expect(try TestHart("rv64,h=on")[.misa] >> 7 & 1 == 1)
        for csr in [RVCSR.hstatus, .vsstatus, .hgatp, .mtinst, .hvip, .hstateen0, .vstimecmp] { #expect(hart.csr(.csrrs, csr) == nil, "\(csr)") }
        hart[.mstatus] = .max
        #expect(hart[.mstatus] >> 38 & 3 == 0)
        hart.cpu.privilege = Mode.supervisor
        hart.cpu.isGuest = true
        #expect(!hart.cpu.isGuest)
    }
}
