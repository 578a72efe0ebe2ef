import EmuBus
import EmuCPU
import Testing

@Suite struct PrivilegedCSRTests {
    /// What every writable CSR of the processor with everything holds after writing all ones, and after writing zeros.
    /// Derived from the privileged manual's field descriptions.
    static let legal: [Rule] = [
        Rule(.ssp, ones: .max - 7),
        Rule(.fflags, ones: 0x1f), Rule(.frm, ones: 7), Rule(.fcsr, ones: 0xff),
        Rule(.vstart, ones: 0xff), Rule(.vxsat, ones: 1), Rule(.vxrm, ones: 3), Rule(.vcsr, ones: 7),
        // SD | UXL=64 | SPELP | MXR SUM | FS VS | SPP SPIE SIE
        Rule(.sstatus, ones: 0x8000_0002_008c_6722, zeros: 0x2_0000_0000),
        // SD | MPELP | MPV GVA | SXL UXL | SPELP | TSR TW TVM MXR SUM MPRV | FS MPP VS SPP MPIE SPIE MIE SIE
        Rule(.mstatus, ones: 0x8000_02ca_00fe_7faa, zeros: 0xa_0000_0000),
        Rule(.stvec, .mtvec, ones: .max - 2),
        Rule(.scounteren, .mcounteren, ones: 0xffff_ffff),
        Rule(.senvcfg, ones: 0x3_0000_00f5),
        Rule(.menvcfg, ones: 0xf800_0003_0000_00fd),
        Rule(.sstateen0, .sstateen1, .sstateen2, .sstateen3, ones: 0),
        Rule(.mstateen0, ones: 0xdac0_0000_0000_0000),
        Rule(.mstateen1, .mstateen2, .mstateen3, ones: 0x8000_0000_0000_0000),
        Rule(.sscratch, .mscratch, .scause, .mcause, .stval, .mtval, .stimecmp, ones: .max),
        Rule(.sepc, .mepc, ones: .max - 1),
        // No delegation of misaligned jumps (they cannot happen with C), M-mode calls and reserved causes.
        Rule(.medeleg, ones: 0xf4_b7fe), Rule(.hedeleg, ones: 0x4_b1fe),
        // VS-level interrupts pass M-mode by.
        Rule(.mideleg, ones: 0x2666, zeros: 0x444), Rule(.hideleg, ones: 0x444), Rule(.mie, ones: 0x2eee), Rule(.mip, ones: 0x2226),
        Rule(.hie, ones: 0x444), Rule(.hip, ones: 4), Rule(.hvip, ones: 0x2444), Rule(.hvien, ones: 0x2000), Rule(.hvictl, ones: 0x403f_03ff),
        Rule(.hgeie, .hviprio1, .hviprio2, .vsie, .vsip, ones: 0),
        // HUPMM | VSXL=64 | VTSR VTW VTVM | HU SPVP SPV GVA
        Rule(.hstatus, ones: 0x0003_0002_0070_03c0, zeros: 0x2_0000_0000),
        Rule(.vsstatus, ones: 0x8000_0002_008c_6722, zeros: 0x2_0000_0000),
        Rule(.vstvec, ones: .max - 2), Rule(.vsepc, ones: .max - 1),
        Rule(.vsscratch, .vscause, .vstval, .vstimecmp, .htimedelta, .htval, .htinst, .mtinst, ones: .max),
        Rule(.hcounteren, ones: 0xffff_ffff), Rule(.henvcfg, ones: 0x3_0000_00f5), Rule(.vsiselect, ones: 0xfff),
        Rule(.hstateen0, .hstateen1, .hstateen2, .hstateen3, ones: 0),
        Rule(.mvien, ones: 0x2202), Rule(.mvip, ones: 0x2222),
        Rule(.mcountinhibit, ones: 0xffff_fffd),
        Rule(.mcyclecfg, .minstretcfg, ones: 0x7c00_0000_0000_0000),
        Rule(.siselect, .miselect, ones: 0xfff), Rule(.srmcfg, ones: 0x0fff_0fff), Rule(.mtval2, ones: .max),
        // Depths but 16 and 32 leave the field alone.
        Rule(.mctrctl, ones: 0xff3e_0000_1b07), Rule(.sctrctl, .vsctrctl, ones: 0xff3e_0000_1903), Rule(.sctrdepth, ones: 0), Rule(.sctrstatus, ones: 0x8000_000f),
        // Neither all ones nor zeros are a type: the trigger is off. There are four.
        Rule(.tselect, ones: 0), Rule(.tdata1, ones: 0xf << 60, zeros: 0xf << 60), Rule(.tdata2, ones: .max), Rule(.tdata3, ones: 0xfff8_00f3_ffff_fffc),
        Rule(.tinfo, ones: 0x100_8078, zeros: 0x100_8078), Rule(.scontext, ones: 0xffff_ffff), Rule(.mcontext, .hcontext, ones: 0x3fff),
        // NMIE cannot be cleared.
        Rule(.mnscratch, ones: .max), Rule(.mnepc, ones: .max - 1), Rule(.mncause, ones: 1 << 63 | 0x3f), Rule(.mnstatus, ones: 0x1a88, zeros: 8),
        Rule(.mcycle, .minstret, ones: .max),
        Rule(all: numbered(.mhpmcounter3, 29), ones: .max),
        Rule(all: numbered(.mhpmevent3, 29), ones: 0xfc00_0000_0000_0000),
        Rule(all: numbered(.pmpaddr0, 16), ones: 0x003f_ffff_ffff_ffff),
        // Locked by the first write; last, because it locks pmpaddr8…15 as well.
        Rule(.pmpcfg2, ones: 0x9f9f_9f9f_9f9f_9f9f, zeros: 0x9f9f_9f9f_9f9f_9f9f),
    ]

    struct Rule {
        var csrs: [RVCSR]
        var ones: UInt64
        var zeros: UInt64

        init(_ csrs: RVCSR..., ones: UInt64, zeros: UInt64 = 0) { self.init(all: csrs, ones: ones, zeros: zeros) }
        init(all csrs: [RVCSR], ones: UInt64, zeros: UInt64 = 0) {
            self.csrs = csrs
            self.ones = ones
            self.zeros = zeros
        }
    }

    /// `count` CSRs from `first` on.
    static func numbered(_ first: RVCSR, _ count: UInt16) -> [RVCSR] {
        (0..<count).compactMap { RVCSR(rawValue: first.rawValue + $0) }
    }

    /// Covered by tests of their own: pmpcfg0 (locks), satp, vsatp and hgatp (modes), sie and sip (follow mideleg), misa (fixed), mseccfg (sticky), seed, aliases,
    /// and what leads to interrupt files.
    static let elsewhere: [RVCSR] = [
        .pmpcfg0, .satp, .sie, .sip, .misa, .mseccfg, .seed, .scountinhibit, .mtopei, .stopei,
        .sireg, .sireg2, .sireg3, .sireg4, .sireg5, .sireg6, .mireg, .mireg2, .mireg3, .mireg4, .mireg5, .mireg6,
        .vsatp, .hgatp, .vstopei, .vsireg, .vsireg2, .vsireg3, .vsireg4, .vsireg5, .vsireg6,
    ]

    /// An interrupt file that holds nothing.
    private final class EmptyFile: InterruptFile {
        let top: UInt64 = 0
        func read(_ selector: UInt64) -> UInt64 { 0 }
        func write(_ selector: UInt64, _ value: UInt64) {}
        func claim() {}
        func detachedCopy() -> any InterruptFile { self }
    }

    @Test func everyWritableCSRHoldsItsLegalBits() throws {
        let hart = try TestHart("max,smrnmi=on", openPMP: false)
        // Counters must hold still while they are compared; mcountinhibit itself is written along the way.
        hart[.mcountinhibit] = .max
        var covered = Set(Self.elsewhere)
        for rule in Self.legal {
            for csr in rule.csrs {
                covered.insert(csr)
                hart[.mcountinhibit] = .max
                hart[.mstatus] = 0x6600
                #expect(hart.csr(.csrrw, csr, .max) != nil, "\(csr)")
                #expect(hart[csr] == rule.ones, "\(csr) ones: \(hex(hart[csr]))")
                #expect(hart.csr(.csrrw, csr, 0) != nil, "\(csr)")
                #expect(hart[csr] == rule.zeros, "\(csr) zeros: \(hex(hart[csr]))")
            }
        }
        #expect(RVCSR.all.filter { !$0.isReadOnly && !covered.contains($0) } == [])
    }

    @Test func readOnlyCSRsHaveTheirFixedValues() throws {
        let hart = try TestHart("max")
        hart[.mstatus] = 0x600
        for csr in [RVCSR.mvendorid, .marchid, .mimpid, .mconfigptr] { #expect(hart[csr] == 0) }
        #expect(hart[.mhartid] == 5)
        for csr in RVCSR.all where csr.isReadOnly {
            #expect(hart.csr(.csrrw, csr, 0) == nil && hart.csr(.csrrs, csr, 1) == nil && hart.csr(.csrrc, csr, 0) == nil, "\(csr)")
            #expect(hart.csr(.csrrs, csr) != nil, "\(csr)")
        }
    }

    @Test func misaIsFixed() throws {
        let hart = try TestHart()
        // RV64 + A B C D F I M S U
        let expected: UInt64 = 1 << 63 | 0b1_0100_0001_0001_0010_1111
        #expect(hart[.misa] == expected)
        #expect(hart.csr(.csrrw, .misa, 0) == expected && hart[.misa] == expected)
        let small = try TestHart("rv64,d=off,zbs=off,a=off,zabha=off")
        // Without A, B and D.
        #expect(small[.misa] == expected & ~0b1011)
    }

    @Test func onlyListedNumbersExistAndTheirPrivilegeIsInTheNumber() throws {
        let hart = try TestHart("max,smrnmi=on")
        hart[.mstatus] = 0x2200  // FS and VS on
        hart[.mcounteren] = .max
        hart[.scounteren] = .max
        hart[.mstateen0] = .max
        hart[.mstateen1] = .max
        hart[.mstateen2] = .max
        hart[.mstateen3] = .max
        hart[.menvcfg] = .max
        hart[.senvcfg] = .max
        // Interrupt files, and a register of them selected, to which one alias of each kind leads.
        (hart.cpu.machineFile, hart.cpu.supervisorFile) = (EmptyFile(), EmptyFile())
        hart[.mstateen0] = .max
        (hart[.miselect], hart[.siselect]) = (0x70, 0x70)
        let hidden: [RVCSR] = [.seed, .sireg2, .sireg3, .sireg4, .sireg5, .sireg6, .mireg2, .mireg3, .mireg4, .mireg5, .mireg6, .vsireg, .vsireg2, .vsireg3, .vsireg4, .vsireg5, .vsireg6, .vstopei]
        for number in 0..<4096 as Range<UInt16> {
            for mode in Mode.all {
                hart.cpu.privilege = mode
                let exists = RVCSR(rawValue: number).map { !hidden.contains($0) } ?? false && mode >= [0, 1, 1, 3][Int(number >> 8 & 3)]
                #expect((hart.csr(.csrrs, number) != nil) == exists, "\(String(number, radix: 16)) in mode \(mode)")
            }
        }
    }

    @Test(arguments: [
        ("f=off", [.fflags, .frm, .fcsr]), ("zicntr=off", [.cycle, .time, .instret]), ("zihpm=off", numbered(.hpmcounter3, 29)),
        ("sstc=off", [.stimecmp]), ("ssaia=off", [.stopei, .stopi, .mtopei, .mtopi, .mvien, .mvip]),
        ("ssaia=off,sscsrind=off", [.siselect, .sireg, .sireg2, .miselect, .mireg, .mireg2]), ("ssccfg=off", [.scountinhibit]), ("ssqosid=off", [.srmcfg]),
        ("smcntrpmf=off", [.mcyclecfg, .minstretcfg]), ("ssdbltrp=off", [.mtval2]), ("zicfiss=off", [.ssp]), ("zkr=off", [.seed]),
        ("ssctr=off", [.sctrctl, .sctrstatus, .sctrdepth, .mctrctl]), ("smctr=off", [.mctrctl]), ("zicsr=on", [.mnscratch, .mnepc, .mncause, .mnstatus]),
        ("sdtrig=off", [.tselect, .tdata1, .tdata2, .tdata3, .tinfo, .scontext, .mcontext]),
        ("sscofpmf=off", [.scountovf]), ("smstateen=off", numbered(.mstateen0, 4)),
        ("ssstateen=off", numbered(.mstateen0, 4) + numbered(.sstateen0, 4)),
    ] as [(String, [RVCSR])])
    func absentExtensionsHaveNoCSRs(option: String, absent: [RVCSR]) throws {
        let hart = try TestHart("rv64," + option)
        hart[.mstatus] = 0x2000
        for csr in absent { #expect(hart.csr(.csrrs, csr) == nil, "\(csr)") }
    }

    @Test func absentExtensionsLeaveTheirFieldsZero() throws {
        let plain = try TestHart("rv64,ssdbltrp=off,smcdeleg=off,zicfilp=off,zicfiss=off,smnpm=off,ssnpm=off,f=off,mmu=off,zicbom=off,zicboz=off,zicntr=off,zihpm=off,sstc=off")
        for csr in [RVCSR.mstatus, .menvcfg, .senvcfg, .mcounteren, .mcountinhibit, .medeleg, .mideleg, .mhpmevent3, .mhpmcounter3] {
            plain.csr(.csrrw, csr, .max)
        }
        #expect(plain[.mstatus] == 0xa_0062_19aa && plain[.menvcfg] == 1 && plain[.senvcfg] == 1 && plain[.mcounteren] == 0)
        #expect(plain[.mcountinhibit] == 5 && plain[.medeleg] == 0x3fe && plain[.mideleg] == 0x222)
        #expect(plain[.mhpmevent3] == 0 && plain[.mhpmcounter3] == 0)
        // Without paging satp can only be Bare.
        plain.csr(.csrrw, .satp, 8 << 60 | 1)
        #expect(plain[.satp] == 0)
    }

    // MARK: Instructions

    @Test func setAndClearUseTheirOperandAsAMask() throws {
        let hart = try TestHart()
        #expect(hart.csr(.csrrw, .mscratch, 0xf0) == 0)
        #expect(hart.csr(.csrrs, .mscratch, 0x0f) == 0xf0)
        #expect(hart.csr(.csrrc, .mscratch, 0x3c) == 0xff)
        #expect(hart[.mscratch] == 0xc3)
        for (op, immediate, result) in [(RVOp.csrrwi, 21, 21), (.csrrsi, 10, 31), (.csrrci, 3, 28)] as [(RVOp, UInt8, UInt64)] {
            #expect(hart.cpu.executeCSR(op, DecodedOp(op, rd: 32, rs1: immediate, imm: 0x340)))
            #expect(hart[.mscratch] == result)
        }
    }

    @Test func sourceAndDestinationMayBeOneRegister() throws {
        let hart = try TestHart()
        hart[.mscratch] = 1
        hart.cpu.x[7] = 2
        #expect(hart.cpu.executeCSR(.csrrw, DecodedOp(.csrrw, rd: 7, rs1: 7, imm: 0x340)))
        #expect(hart.cpu.x[7] == 1 && hart[.mscratch] == 2)
    }

    @Test func zeroMaskDoesNotWrite() throws {
        let hart = try TestHart()
        // Read-only registers may be read by csrrs, csrrc with x0 and by their immediate forms with 0.
        for op in [RVOp.csrrs, .csrrc, .csrrsi, .csrrci] {
            #expect(hart.cpu.executeCSR(op, DecodedOp(op, rd: 2, rs1: 0, imm: 0xf14)) && hart.cpu.x[2] == 5)
        }
        for op in [RVOp.csrrw, .csrrwi] { #expect(!hart.cpu.executeCSR(op, DecodedOp(op, rd: 2, rs1: 0, imm: 0xf14))) }
        // And do not make the floating-point state dirty.
        hart[.mstatus] = 0x2000
        #expect(hart.csr(.csrrs, .fcsr) == 0 && hart[.mstatus] & 0x6000 == 0x2000)
    }

    // MARK: Registers with rules of their own

    @Test func floatingPointCSRsFollowFS() throws {
        let hart = try TestHart()
        for csr in [RVCSR.fflags, .frm, .fcsr] {
            hart[.mstatus] = 0
            #expect(hart.csr(.csrrs, csr) == nil)
            hart[.mstatus] = 0x2000  // initial
            #expect(hart[.mstatus] >> 63 == 0)
            #expect(hart.csr(.csrrw, csr, 0x15) != nil)
            #expect(hart[.mstatus] & 0x6000 == 0x6000 && hart[.mstatus] >> 63 == 1 && hart[.sstatus] >> 63 == 1)
        }
        hart[.fcsr] = 0x5a
        #expect(hart[.frm] == 2 && hart[.fflags] == 0x1a)
        hart[.frm] = 4
        hart[.fflags] = 1
        #expect(hart[.fcsr] == 0x81)
    }

    @Test func previousPrivilegeSkipsTheReservedEncoding() throws {
        let hart = try TestHart()
        for old in [0, 1, 3] as [UInt64] {
            for new in [0, 1, 2, 3] as [UInt64] {
                hart[.mstatus] = old << 11
                hart[.mstatus] = new << 11
                #expect(hart[.mstatus] >> 11 & 3 == (new == 2 ? old : new))
            }
        }
    }

    @Test func sstatusIsAWindowOnMstatus() throws {
        let hart = try TestHart()
        hart[.mstatus] = .max
        hart.cpu.privilege = Mode.supervisor
        hart.csr(.csrrw, .sstatus, 0)
        #expect(hart[.mstatus] == 0x20a_0072_1888)
        hart.csr(.csrrw, .sstatus, .max)
        #expect(hart[.mstatus] == 0x8000_020a_00fe_79aa)
    }

    @Test func supervisorInterruptRegistersShowWhatIsDelegated() throws {
        let hart = try TestHart()
        hart[.mie] = .max
        hart[.mip] = .max
        #expect(hart[.sie] == 0 && hart[.sip] == 0)
        hart[.mideleg] = 0x202
        #expect(hart[.sie] == 0x202 && hart[.sip] == 0x202)
        hart.cpu.privilege = Mode.supervisor
        hart.csr(.csrrw, .sie, 0)
        #expect(hart[.mie] == 0x28a8)
        // Of the pending bits S-mode clears SSIP and LCOFIP only.
        hart[.mideleg] = 0x2222
        hart.csr(.csrrw, .sip, 0)
        #expect(hart[.mip] == 0x220)
        hart.csr(.csrrw, .sip, .max)
        #expect(hart[.mip] == 0x2222)
    }

    @Test func unsupportedTranslationModesLeaveSatpAlone() throws {
        let hart = try TestHart("rv64,sv57=off")
        let old: UInt64 = 9 << 60 | 0xabcd << 44 | 0x123
        hart[.satp] = old
        #expect(hart[.satp] == old)
        for mode in [1, 2, 3, 4, 5, 6, 7, 10, 11, 12, 13, 14, 15] as [UInt64] {
            hart[.satp] = mode << 60 | 1
            #expect(hart[.satp] == old)
        }
        let widest: UInt64 = 0x8fff_ffff_ffff_ffff  // 16 ASID bits, 44 of the page number
        hart[.satp] = widest
        #expect(hart[.satp] == widest)
        hart[.satp] = 0
        #expect(hart[.satp] == 0)
    }

    @Test func trapVirtualMemoryGuardsSatp() throws {
        let hart = try TestHart()
        hart.set(.mstatus, 1 << 20)
        #expect(hart.reads(.satp))
        hart.cpu.privilege = Mode.supervisor
        #expect(!hart.reads(.satp) && hart.csr(.csrrw, .satp, 0) == nil)
        hart.clear(.mstatus, 1 << 20)
        #expect(hart.reads(.satp))
    }

    @Test func timerCompareNeedsSTCEAndTM() throws {
        let hart = try TestHart()
        for (stce, tm) in [(false, false), (true, false), (false, true), (true, true)] {
            hart.cpu.privilege = Mode.machine
            hart[.menvcfg] = stce ? 1 << 63 : 0
            hart[.mcounteren] = tm ? 2 : 0
            #expect(hart.reads(.stimecmp))
            hart.cpu.privilege = Mode.supervisor
            #expect(hart.reads(.stimecmp) == (stce && tm))
        }
    }

    @Test func stateEnablesGuardSupervisorConfiguration() throws {
        let hart = try TestHart()
        #expect(hart.reads(.senvcfg) && hart.reads(.sstateen0))
        hart.cpu.privilege = Mode.supervisor
        #expect(!hart.reads(.senvcfg))
        for csr in Self.numbered(.sstateen0, 4) { #expect(!hart.reads(csr)) }
        hart[.mstateen0] = 1 << 62
        #expect(hart.reads(.senvcfg) && !hart.reads(.sstateen0))
        for (index, csr) in Self.numbered(.mstateen0, 4).enumerated() {
            hart[csr] = 1 << 63
            #expect(hart.reads(Self.numbered(.sstateen0, 4)[index]))
        }
        #expect(!hart.reads(.senvcfg))
        // Without Smstateen nothing stands in the way.
        let free = try TestHart("rv64,smstateen=off")
        free.cpu.privilege = Mode.supervisor
        #expect(free.reads(.senvcfg) && free.reads(.sstateen0))
    }

    @Test func reservedInvalidateEncodingKeepsTheField() throws {
        let hart = try TestHart()
        for csr in [RVCSR.menvcfg, .senvcfg] {
            for old in [0, 1, 3] as [UInt64] {
                hart[csr] = old << 4
                hart[csr] = 2 << 4 | 1
                #expect(hart[csr] == old << 4 | 1)
            }
        }
    }

    @Test func pmpConfigurationRefusesWriteWithoutRead() throws {
        let hart = try TestHart(openPMP: false)
        hart[.pmpcfg0] = 0x1f1e_1d1c_1b1a_1918
        #expect(hart[.pmpcfg0] == 0x1f1c_1d1c_1b18_1918)
    }

    @Test func namesLookUpRegisters() {
        #expect(RVCSR(name: "mstatus") == .mstatus && RVCSR(name: "pmpaddr15")?.rawValue == 0x3bf && RVCSR(name: "mhpmevent31")?.rawValue == 0x33f)
        #expect(RVCSR(name: "hpmcounter31")?.rawValue == 0xc1f && RVCSR(name: "mhpmcounter31")?.rawValue == 0xb1f && RVCSR(name: "nosuch") == nil)
        #expect(RVCSR.all.map(\.rawValue) == RVCSR.all.map(\.rawValue).sorted())
    }
}
