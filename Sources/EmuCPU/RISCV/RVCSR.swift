/// Every control and status register this processor can have, with its number (privileged manual, "CSR Listing").
///
/// Bits 11:10 of a number say whether it is read-only (11), bits 9:8 the lowest privilege that may touch it, where 10 is HS-mode.
/// Absent on purpose, so illegal: the RV32 high halves, the debug-mode registers, `tcontrol` (docs/extensions.md), and PMP entries beyond 16.
public enum RVCSR: UInt16, CaseIterable, Sendable {
    // Floating point
    case fflags = 0x001, frm, fcsr
    // Vectors
    case vstart = 0x008, vxsat, vxrm
    case vcsr = 0x00F
    case vl = 0xC20, vtype, vlenb
    // Shadow stack pointer
    case ssp = 0x011
    // Entropy source
    case seed = 0x015
    // User-level shadows of the counters
    case cycle = 0xC00, time, instret
    case hpmcounter3 = 0xC03, hpmcounter4, hpmcounter5, hpmcounter6, hpmcounter7, hpmcounter8, hpmcounter9, hpmcounter10
    case hpmcounter11, hpmcounter12, hpmcounter13, hpmcounter14, hpmcounter15, hpmcounter16, hpmcounter17, hpmcounter18
    case hpmcounter19, hpmcounter20, hpmcounter21, hpmcounter22, hpmcounter23, hpmcounter24, hpmcounter25, hpmcounter26
    case hpmcounter27, hpmcounter28, hpmcounter29, hpmcounter30, hpmcounter31
    // Supervisor level
    case sstatus = 0x100
    case sie = 0x104, stvec, scounteren
    case senvcfg = 0x10A
    case sstateen0 = 0x10C, sstateen1, sstateen2, sstateen3
    case sscratch = 0x140, sepc, scause, stval, sip
    // Control transfer records
    case sctrctl = 0x14E, sctrstatus
    case sctrdepth = 0x15F
    case vsctrctl = 0x24E
    case mctrctl = 0x34E
    // Triggers
    case scontext = 0x5A8
    case hcontext = 0x6A8
    case tselect = 0x7A0, tdata1, tdata2, tdata3, tinfo
    case mcontext = 0x7A8
    // Resumable non-maskable interrupts
    case mnscratch = 0x740, mnepc, mncause
    case mnstatus = 0x744
    case stimecmp = 0x14D
    // Indirect access
    case siselect = 0x150, sireg, sireg2, sireg3
    case sireg4 = 0x155, sireg5, sireg6
    case stopei = 0x15C
    case scountinhibit = 0x120
    case srmcfg = 0x181
    case satp = 0x180
    case scountovf = 0xDA0
    case stopi = 0xDB0
    // Hypervisor
    case hstatus = 0x600
    case hedeleg = 0x602, hideleg, hie, htimedelta, hcounteren, hgeie, hvien, hvictl, henvcfg
    case hstateen0 = 0x60C, hstateen1, hstateen2, hstateen3
    case htval = 0x643, hip, hvip, hviprio1, hviprio2
    case htinst = 0x64A
    case hgatp = 0x680
    case hgeip = 0xE12
    // Virtual supervisor level
    case vsstatus = 0x200
    case vsie = 0x204, vstvec
    case vsscratch = 0x240, vsepc, vscause, vstval, vsip
    case vstimecmp = 0x24D
    case vsiselect = 0x250, vsireg, vsireg2, vsireg3
    case vsireg4 = 0x255, vsireg5, vsireg6
    case vstopei = 0x25C
    case vsatp = 0x280
    case vstopi = 0xEB0
    // Machine level
    case mvendorid = 0xF11, marchid, mimpid, mhartid, mconfigptr
    case mtopi = 0xFB0
    case mstatus = 0x300, misa, medeleg, mideleg, mie, mtvec, mcounteren
    case mvien = 0x308, mvip
    case menvcfg = 0x30A
    case mstateen0 = 0x30C, mstateen1, mstateen2, mstateen3
    case mseccfg = 0x747
    case mcountinhibit = 0x320, mcyclecfg, minstretcfg
    case mhpmevent3 = 0x323, mhpmevent4, mhpmevent5, mhpmevent6, mhpmevent7, mhpmevent8, mhpmevent9, mhpmevent10
    case mhpmevent11, mhpmevent12, mhpmevent13, mhpmevent14, mhpmevent15, mhpmevent16, mhpmevent17, mhpmevent18
    case mhpmevent19, mhpmevent20, mhpmevent21, mhpmevent22, mhpmevent23, mhpmevent24, mhpmevent25, mhpmevent26
    case mhpmevent27, mhpmevent28, mhpmevent29, mhpmevent30, mhpmevent31
    case mscratch = 0x340, mepc, mcause, mtval, mip
    case mtinst = 0x34A, mtval2
    case miselect = 0x350, mireg, mireg2, mireg3
    case mireg4 = 0x355, mireg5, mireg6
    case mtopei = 0x35C
    case pmpcfg0 = 0x3A0
    case pmpcfg2 = 0x3A2
    case pmpaddr0 = 0x3B0, pmpaddr1, pmpaddr2, pmpaddr3, pmpaddr4, pmpaddr5, pmpaddr6, pmpaddr7
    case pmpaddr8, pmpaddr9, pmpaddr10, pmpaddr11, pmpaddr12, pmpaddr13, pmpaddr14, pmpaddr15
    case mcycle = 0xB00
    case minstret = 0xB02
    case mhpmcounter3 = 0xB03, mhpmcounter4, mhpmcounter5, mhpmcounter6, mhpmcounter7, mhpmcounter8, mhpmcounter9, mhpmcounter10
    case mhpmcounter11, mhpmcounter12, mhpmcounter13, mhpmcounter14, mhpmcounter15, mhpmcounter16, mhpmcounter17, mhpmcounter18
    case mhpmcounter19, mhpmcounter20, mhpmcounter21, mhpmcounter22, mhpmcounter23, mhpmcounter24, mhpmcounter25, mhpmcounter26
    case mhpmcounter27, mhpmcounter28, mhpmcounter29, mhpmcounter30, mhpmcounter31

    /// All of them by ascending number, for debuggers; which ones a hart has depends on its extensions.
    public static let all = allCases.sorted { $0.rawValue < $1.rawValue }

    /// Lower-case name as in the manual ("mstatus").
    public var name: String { "\(self)" }

    public init?(name: String) {
        guard let found = Self.allCases.first(where: { $0.name == name }) else { return nil }
        self = found
    }

    /// True when instructions cannot write the register.
    public var isReadOnly: Bool { rawValue >> 10 == 3 }

    /// Lowest privilege that may access the register: 0 = U, 1 = S (HS of the hypervisor's), 3 = M.
    public var privilege: UInt8 { Self.privilege(rawValue) }

    /// The same by a number.
    @inline(__always)
    static func privilege(_ number: UInt16) -> UInt8 {
        let level = UInt8(number >> 8 & 3)
        return level == 2 ? RVPrivilege.supervisor : level
    }

    /// The extension that brings the register; nil for those every hart has, and those several extensions bring.
    private var requirement: RVExtension? {
        switch self {
        case .fflags, .frm, .fcsr: .f
        case .vstart, .vxsat, .vxrm, .vcsr, .vl, .vtype, .vlenb: .v
        case .cycle, .time, .instret: .zicntr
        case .sstateen0, .sstateen1, .sstateen2, .sstateen3: .ssstateen
        case .mstateen0, .mstateen1, .mstateen2, .mstateen3: .smstateen
        case .stimecmp: .sstc
        case .seed: .zkr
        case .sireg2, .sireg3, .sireg4, .sireg5, .sireg6: .sscsrind
        case .mireg2, .mireg3, .mireg4, .mireg5, .mireg6: .smcsrind
        case .stopei, .stopi: .ssaia
        case .mvien, .mvip, .mtopei, .mtopi: .smaia
        case .scountinhibit: .ssccfg
        case .srmcfg: .ssqosid
        case .mcyclecfg, .minstretcfg: .smcntrpmf
        case .hstatus, .hedeleg, .hideleg, .hie, .htimedelta, .hcounteren, .hgeie, .henvcfg, .htval, .hip, .hvip, .htinst, .hgatp, .hgeip, .mtinst,
            .vsstatus, .vsie, .vstvec, .vsscratch, .vsepc, .vscause, .vstval, .vsip, .vsatp: .h
        case .ssp: .zicfiss
        case .scountovf: .sscofpmf
        case .sctrctl, .sctrstatus, .sctrdepth: .ssctr
        case .mctrctl: .smctr
        case .scontext, .tselect, .tdata1, .tdata2, .tdata3, .tinfo, .mcontext: .sdtrig
        case .mnscratch, .mnepc, .mncause, .mnstatus: .smrnmi
        default: rawValue >> 5 == RVCSR.cycle.rawValue >> 5 ? .zihpm : nil
        }
    }

    /// True on a hart with `extensions`.
    public func exists(in extensions: RVExtensionSet) -> Bool {
        switch self {
        case .mtval2: return extensions.contains(.ssdbltrp) || extensions.contains(.h)
        case .hvien, .hvictl, .hviprio1, .hviprio2, .vstopei, .vstopi: return extensions.contains(.h) && extensions.contains(.ssaia)
        case .hstateen0, .hstateen1, .hstateen2, .hstateen3: return extensions.contains(.h) && extensions.contains(.ssstateen)
        case .vstimecmp: return extensions.contains(.h) && extensions.contains(.sstc)
        case .vsctrctl: return extensions.contains(.h) && extensions.contains(.ssctr)
        case .hcontext: return extensions.contains(.h) && extensions.contains(.sdtrig)
        case .vsiselect, .vsireg: return extensions.contains(.h) && (extensions.contains(.sscsrind) || extensions.contains(.ssaia))
        case .vsireg2, .vsireg3, .vsireg4, .vsireg5, .vsireg6: return extensions.contains(.h) && extensions.contains(.sscsrind)
        case .mseccfg: return RVConfig(extensions: extensions).securityMask != 0
        case .siselect, .sireg: return extensions.contains(.sscsrind) || extensions.contains(.ssaia)
        case .miselect, .mireg: return extensions.contains(.smcsrind) || extensions.contains(.smaia)
        default: break
        }
        guard let requirement else { return true }
        return extensions.contains(requirement)
    }

    /// The number in the name of a counter register (mhpmcounter7, mhpmevent7, hpmcounter7: 7).
    var counterIndex: Int { Int(rawValue & 31) }
}
