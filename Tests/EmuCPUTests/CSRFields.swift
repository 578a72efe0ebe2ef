import EmuCPU

/// One field of a control and status register, as the manuals describe it for a hart with every extension.
struct CSRField {
    enum Rule: Equatable {
        /// Holds whatever is written.
        case any
        /// Holds these values.
        case values([UInt64])
        /// Reads as this, whatever is written.
        case constant(UInt64)
        /// Follows other state: the test of that name shows how.
        case test(String)
    }

    let name: String
    let low: UInt64
    let width: UInt64
    let rule: Rule

    var mask: UInt64 { (width == 64 ? .max : 1 << width - 1) << low }

    /// "NAME HIGH:LOW", "NAME BIT", then nothing, "=CONSTANT", "{LEGAL,LEGAL}" or "~test".
    init?(_ text: Substring) {
        let words = text.split(separator: " ")
        guard words.count >= 2 else { return nil }
        name = String(words[0])
        let places = words[1].split(separator: ":").compactMap { UInt64($0) }
        guard let high = places.first, let last = places.last else { return nil }
        (low, width) = (last, high - last + 1)
        let rest = words.count > 2 ? words[2] : ""
        func number(_ text: Substring) -> UInt64? { text.hasPrefix("0x") ? UInt64(text.dropFirst(2), radix: 16) : UInt64(text) }
        switch rest.first {
        case "=":
            guard let value = number(rest.dropFirst()) else { return nil }
            rule = .constant(value)
        case "{": rule = .values(rest.dropFirst().dropLast().split(separator: ",").compactMap(number))
        case "~": rule = .test(String(rest.dropFirst()))
        default: rule = .any
        }
    }
}

/// The fields of every register (privileged manual, and the chapters of the extensions; what is not listed reads as zero). Fields that
/// extensions of `-cpu max` make writable are listed as that processor has them.
enum CSRFields {
    static func all(of csr: RVCSR) -> [CSRField] {
        (table[csr] ?? families.first { $0.range.contains(csr.rawValue) }?.fields ?? "").split(separator: ";").compactMap(CSRField.init)
    }

    private static let families: [(range: ClosedRange<UInt16>, fields: String)] = [
        (RVCSR.hpmcounter3.rawValue...RVCSR.hpmcounter31.rawValue, "counter 63:0 ~enablesDecideByMode"),
        (RVCSR.mhpmcounter3.rawValue...RVCSR.mhpmcounter31.rawValue, "counter 63:0"),
        // Event 0 counts nothing, 1 cycles, 2 instructions; none has more bits.
        (RVCSR.mhpmevent3.rawValue...RVCSR.mhpmevent31.rawValue, "event 57:0 {0,1,2}; VUINH 58; VSINH 59; UINH 60; SINH 61; MINH 62; OF 63"),
        (RVCSR.pmpaddr0.rawValue...RVCSR.pmpaddr15.rawValue, "address 53:0"),
        (RVCSR.mstateen1.rawValue...RVCSR.mstateen3.rawValue, "SE 63"), (RVCSR.hstateen1.rawValue...RVCSR.hstateen3.rawValue, "SE 63"),
        (RVCSR.vsireg.rawValue...RVCSR.vsireg3.rawValue, "alias 63:0 ~selectors"), (RVCSR.vsireg4.rawValue...RVCSR.vsireg6.rawValue, "alias 63:0 ~selectors"),
        // Neither custom state nor Zfinx nor jvt: no field is left.
        (RVCSR.sstateen0.rawValue...RVCSR.sstateen3.rawValue, "reserved 63:0 =0"),
    ]

    /// Entries are written with R, because W without R is reserved; what L does is a test's own.
    private static func entries(from first: Int) -> String {
        (0..<8).map { index in
            let base = 8 * index, name = "pmp\(first + index)cfg"
            return "\(name).RW \(base + 1):\(base) {0,1,3}; \(name).X \(base + 2); \(name).A \(base + 4):\(base + 3); \(name).L \(base + 7) ~lockedEntriesBindMachineModeAndStayUntilReset"
        }.joined(separator: "; ")
    }

    private static let table: [RVCSR: String] = [
        .fflags: "NX 0; UF 1; OF 2; DZ 3; NV 4", .frm: "frm 2:0", .fcsr: "NX 0; UF 1; OF 2; DZ 3; NV 4; frm 7:5",
        // Enough bits for the elements of the longest group.
        .vstart: "vstart 7:0", .vxsat: "vxsat 0", .vxrm: "vxrm 1:0", .vcsr: "vxsat 0; vxrm 2:1",
        .vl: "vl 63:0 ~instructionsDoWhatTheManualsSay", .vtype: "vlmul 2:0 ~instructionsDoWhatTheManualsSay; vsew 5:3 ~instructionsDoWhatTheManualsSay; vta 6 ~instructionsDoWhatTheManualsSay; vma 7 ~instructionsDoWhatTheManualsSay; vill 63 ~instructionsDoWhatTheManualsSay",
        .vlenb: "vlenb 63:0 =32",
        .ssp: "ssp 63:3", .seed: "entropy 15:0 ~seedGivesSixteenBitsOncePolled; OPST 31:30 ~seedGivesSixteenBitsOncePolled",
        .cycle: "cycle 63:0 ~enablesDecideByMode", .time: "time 63:0 ~enablesDecideByMode", .instret: "instret 63:0 ~enablesDecideByMode",

        .sstatus: "SIE 1; SPIE 5; UBE 6 =0; SPP 8; VS 10:9; FS 14:13; XS 16:15 =0; SUM 18; MXR 19; SPELP 23; SDT 24 ~aTrapWhileTrapsAreDisabledGoesToMachineMode; UXL 33:32 =2; SD 63 ~floatingPointCSRsFollowFS",
        .mstatus: "SIE 1; MIE 3; SPIE 5; UBE 6 =0; MPIE 7; SPP 8; VS 10:9; MPP 12:11 {0,1,3}; FS 14:13; XS 16:15 =0; MPRV 17; SUM 18; MXR 19; TVM 20; TW 21; TSR 22; SPELP 23; SDT 24 ~aTrapWhileTrapsAreDisabledGoesToMachineMode; UXL 33:32 =2; SXL 35:34 =2; SBE 36 =0; MBE 37 =0; GVA 38; MPV 39; MPELP 41; MDT 42 ~aTrapWhileMachineModeIsNotReadyIsCritical; SD 63 ~floatingPointCSRsFollowFS",
        .misa: "MXL 63:62 =2; extensions 25:0 ~misaIsFixed",
        .sie: "SSIE 1; STIE 5; SEIE 9; LCOFIE 13", .mie: "SSIE 1; VSSIE 2; MSIE 3; STIE 5; VSTIE 6; MTIE 7; SEIE 9; VSEIE 10; MEIE 11; SGEIE 12 ~guestExternal; LCOFIE 13",
        .sip: "SSIP 1; STIP 5 ~supervisorInterruptRegistersShowWhatIsDelegated; SEIP 9 ~supervisorInterruptRegistersShowWhatIsDelegated; LCOFIP 13",
        .mip: "SSIP 1; VSSIP 2; VSTIP 6 ~timer; VSEIP 10 ~guestExternal; SGEIP 12 ~guestExternal; MSIP 3 =0; STIP 5 ~timerBitIsSoftwaresWithoutSTCE; MTIP 7 =0; SEIP 9; MEIP 11 =0; LCOFIP 13",
        .mvien: "SSIE 1; SEIE 9; LCOFIE 13", .mvip: "SSIP 1; STIP 5 ~timerBitIsSoftwaresWithoutSTCE; SEIP 9; LCOFIP 13",
        .mideleg: "SSI 1; VSSI 2 =1; STI 5; VSTI 6 =1; SEI 9; VSEI 10 =1; SGEI 12 ~guestExternal; LCOFI 13",
        .medeleg: "fetchAccess 1; illegal 2; breakpoint 3; loadMisaligned 4; loadAccess 5; storeMisaligned 6; storeAccess 7; userCall 8; supervisorCall 9; fetchPage 12; loadPage 13; storePage 15; doubleTrap 16 =0; softwareCheck 18; guestSupervisorCall 10; fetchGuestPage 20; loadGuestPage 21; virtualInstruction 22; storeGuestPage 23",
        .stvec: "MODE 1:0 {0,1}; BASE 63:2", .mtvec: "MODE 1:0 {0,1}; BASE 63:2",
        .scounteren: "CY 0; TM 1; IR 2; HPM 31:3", .mcounteren: "CY 0; TM 1; IR 2; HPM 31:3",
        .mcountinhibit: "CY 0; TM 1 =0; IR 2; HPM 31:3", .scountinhibit: "CY 0; TM 1 =0; IR 2; HPM 31:3",
        .mcyclecfg: "VUINH 58; VSINH 59; UINH 60; SINH 61; MINH 62", .minstretcfg: "VUINH 58; VSINH 59; UINH 60; SINH 61; MINH 62",
        .mcycle: "mcycle 63:0", .minstret: "minstret 63:0", .scountovf: "OF 31:3 ~overflowBitsAreShownAsMcounterenAllows",
        .senvcfg: "FIOM 0; LPE 2; SSE 3; CBIE 5:4 {0,1,3}; CBCFE 6; CBZE 7; PMM 33:32 {0,2,3}",
        .menvcfg: "FIOM 0; LPE 2; SSE 3; CBIE 5:4 {0,1,3}; CBCFE 6; CBZE 7; PMM 33:32 {0,2,3}; DTE 59; CDE 60; ADUE 61; PBMTE 62; STCE 63",
        .mseccfg: "MML 0 ~lockdownAndAllowlistStayUntilReset; MMWP 1 ~lockdownAndAllowlistStayUntilReset; RLB 2; USEED 8; SSEED 9; MLPE 10; PMM 33:32 {0,2,3}",
        .mstateen0: "CTR 54; SRMCFG 55; CONTEXT 57; IMSIC 58 ~stateEnablesGuardInterruptFiles; AIA 59; CSRIND 60; ENVCFG 62; SE0 63",
        .sscratch: "sscratch 63:0", .mscratch: "mscratch 63:0", .sepc: "sepc 63:1", .mepc: "mepc 63:1",
        .scause: "code 62:0; interrupt 63", .mcause: "code 62:0; interrupt 63", .stval: "stval 63:0", .mtval: "mtval 63:0", .mtval2: "mtval2 63:0",
        .stimecmp: "stimecmp 63:0", .satp: "MODE 63:60 {0,8,9,10}; ASID 59:44; PPN 43:0",
        .siselect: "select 11:0", .miselect: "select 11:0", .srmcfg: "RCID 11:0; MCID 27:16",
        .mctrctl: "U 0; S 1; M 2; STE 8; MTE 9; BPFRZ 11; LCOFIFRZ 12; EXCINH 33; INTRINH 34; TRETINH 35; NTBREN 36; TKBRINH 37; INDCALLINH 40; DIRCALLINH 41; INDJMPINH 42; DIRJMPINH 43; CORSWAPINH 44; RETINH 45; INDLJMPINH 46; DIRLJMPINH 47",
        .sctrctl: "U 0; S 1; STE 8; BPFRZ 11; LCOFIFRZ 12; EXCINH 33; INTRINH 34; TRETINH 35; NTBREN 36; TKBRINH 37; INDCALLINH 40; DIRCALLINH 41; INDJMPINH 42; DIRJMPINH 43; CORSWAPINH 44; RETINH 45; INDLJMPINH 46; DIRLJMPINH 47",
        .vsctrctl: "U 0; S 1; STE 8; BPFRZ 11; LCOFIFRZ 12; EXCINH 33; INTRINH 34; TRETINH 35; NTBREN 36; TKBRINH 37; INDCALLINH 40; DIRCALLINH 41; INDJMPINH 42; DIRJMPINH 43; CORSWAPINH 44; RETINH 45; INDLJMPINH 46; DIRLJMPINH 47",
        // 16 records, so four bits of their number.
        .sctrdepth: "DEPTH 2:0 {0,1}", .sctrstatus: "WRPTR 3:0; FROZEN 31",
        .tselect: "index 2:0 {0,1,2,3}", .tdata1: "type 63:60 {3,4,5,6,15}; data 59:0 ~dataFollowsTheType", .tdata2: "data 63:0",
        .tdata3: "sselect 1:0 {0,1,2}; svalue 33:2; sbytemask 39:36; mhselect 50:48 {0,1,2,4,5,6}; mhvalue 63:51",
        .tinfo: "info 15:0 =0x8078; version 31:24 =1", .scontext: "data 31:0", .mcontext: "hcontext 13:0", .hcontext: "hcontext 13:0",
        .mnscratch: "mnscratch 63:0", .mnepc: "mnepc 63:1", .mncause: "code 5:0; interrupt 63", .mnstatus: "NMIE 3 ~nothingInterruptsUntilNMIEIsSet; MNPV 7; MNPELP 9; MNPP 12:11 {0,1,3}",
        .pmpcfg0: entries(from: 0), .pmpcfg2: entries(from: 8),
        .mvendorid: "vendor 63:0 =0", .marchid: "architecture 63:0 =0", .mimpid: "implementation 63:0 =0", .mconfigptr: "pointer 63:0 =0", .mhartid: "hart 63:0 =5",
        .hstatus: "VSBE 5 =0; GVA 6; SPV 7; SPVP 8; HU 9; VGEIN 17:12 ~guestExternal; VTVM 20; VTW 21; VTSR 22; VSXL 33:32 =2; HUPMM 49:48 {0,2,3}",
        .hedeleg: "fetchAccess 1; illegal 2; breakpoint 3; loadMisaligned 4; loadAccess 5; storeMisaligned 6; storeAccess 7; userCall 8; fetchPage 12; loadPage 13; storePage 15; softwareCheck 18",
        .hideleg: "VSSI 2; VSTI 6; VSEI 10; LCOFI 13", .hie: "VSSIE 2; VSTIE 6; VSEIE 10; SGEIE 12 ~guestExternal",
        .hip: "VSSIP 2; VSTIP 6 ~timer; VSEIP 10 ~guestExternal; SGEIP 12 ~guestExternal", .hvip: "VSSIP 2; VSTIP 6; VSEIP 10; LCOFIP 13",
        .hgeip: "pending 63:1 ~guestExternal", .hgeie: "enable 63:1 ~guestExternal",
        .henvcfg: "FIOM 0; LPE 2; SSE 3; CBIE 5:4 {0,1,3}; CBCFE 6; CBZE 7; PMM 33:32 {0,2,3}; DTE 59; ADUE 61; PBMTE 62; STCE 63",
        .hcounteren: "CY 0; TM 1; IR 2; HPM 31:3", .htimedelta: "htimedelta 63:0", .htval: "htval 63:0", .htinst: "htinst 63:0", .mtinst: "mtinst 63:0",
        .hgatp: "MODE 63:60 {0,8,9,10}; VMID 57:44; PPN 43:2", .hstateen0: "CTR 54; CONTEXT 57; IMSIC 58 ~interruptFile; AIA 59; CSRIND 60; ENVCFG 62; SE0 63",
        .hvien: "LCOFIE 13", .hvictl: "IPRIO 7:0; IPRIOM 8; DPR 9; IID 21:16; VTI 30", .hviprio1: "priorities 63:0 =0", .hviprio2: "priorities 63:0 =0",
        .vsstatus: "SIE 1; SPIE 5; UBE 6 =0; SPP 8; VS 10:9; FS 14:13; XS 16:15 =0; SUM 18; MXR 19; SPELP 23; SDT 24 ~doubleTraps; UXL 33:32 =2; SD 63 ~status",
        .vsie: "SSIE 1 ~guestsWrites; STIE 5 ~guestsWrites; SEIE 9 ~guestsWrites; LCOFIE 13 ~guestsWrites",
        .vsip: "SSIP 1 ~guestsWrites; STIP 5 ~injection; SEIP 9 ~injection; LCOFIP 13 ~guestsWrites",
        .vstvec: "MODE 1:0 {0,1}; BASE 63:2", .vsscratch: "sscratch 63:0", .vsepc: "sepc 63:1", .vscause: "code 62:0; interrupt 63", .vstval: "stval 63:0",
        .vsatp: "MODE 63:60 {0,8,9,10}; ASID 59:44; PPN 43:0", .vstimecmp: "stimecmp 63:0", .vsiselect: "select 11:0",
        .vstopei: "identity 26:16 ~interruptFile; priority 10:0 ~interruptFile", .vstopi: "IID 27:16 ~top; IPRIO 7:0 ~top",
        // Windows: what they show depends on a selector, or on an interrupt file.
        .sireg: "alias 63:0 ~delegatedCountersAreReachedThroughTheSelector", .sireg2: "alias 63:0 ~delegatedCountersAreReachedThroughTheSelector",
        .sireg3: "alias 63:0 ~delegatedCountersAreReachedThroughTheSelector", .sireg4: "alias 63:0 ~delegatedCountersAreReachedThroughTheSelector",
        .sireg5: "alias 63:0 ~delegatedCountersAreReachedThroughTheSelector", .sireg6: "alias 63:0 ~delegatedCountersAreReachedThroughTheSelector",
        .mireg: "alias 63:0 ~filesAreReachedThroughTheSelector", .mireg2: "alias 63:0 ~filesAreReachedThroughTheSelector",
        .mireg3: "alias 63:0 ~filesAreReachedThroughTheSelector", .mireg4: "alias 63:0 ~filesAreReachedThroughTheSelector",
        .mireg5: "alias 63:0 ~filesAreReachedThroughTheSelector", .mireg6: "alias 63:0 ~filesAreReachedThroughTheSelector",
        .stopei: "identity 26:16 ~filesAreReachedThroughTheSelector; priority 10:0 ~filesAreReachedThroughTheSelector",
        .mtopei: "identity 26:16 ~filesAreReachedThroughTheSelector; priority 10:0 ~filesAreReachedThroughTheSelector",
        .stopi: "IID 27:16 ~theMostUrgentInterruptIsTold; IPRIO 7:0 ~theMostUrgentInterruptIsTold", .mtopi: "IID 27:16 ~theMostUrgentInterruptIsTold; IPRIO 7:0 ~theMostUrgentInterruptIsTold",
    ]
}
