/// CSR writes: WARL rules and side effects. A hart's CSR fields always hold legal values because every write passes here.
extension RVProcessor {
    /// Writes `value` to `csr` as an M-mode instruction would. Read-only bits, absent registers and illegal field values are ignored.
    package func writeCSR(_ csr: RVCSR, _ value: UInt64) {
        guard csrs[Int(csr.rawValue)] != nil else { return }
        if !h.pointee.isGuest { return write(csr, value) }
        asHost { write(csr, value) }
        viewChanged()
        updateInterruptRequest()
    }

    /// The same for a register the hart has.
    func write(_ csr: RVCSR, _ value: UInt64) {
        let state = h
        switch csr {
        case .fflags: writeFloatingPointStatus(flags: value, rounding: nil)
        case .ssp: state.pointee.ssp = value & ~7
        case .frm: writeFloatingPointStatus(flags: nil, rounding: value)
        case .fcsr: writeFloatingPointStatus(flags: value, rounding: value >> 5)

        case .vstart, .vxsat, .vxrm, .vcsr: writeVectorState(csr, value)

        case .sstatus:
            if state.pointee.isGuest { writeGuestStatus(value, writable: statusMask) } else { writeStatus(value, writable: mstatusMask & sstatusMask) }
        case .sie:
            writeVirtualEnable(value)
            writeInterruptEnable(value, writable: state.pointee.mideleg & ~RVInterrupt.hypervisors)
        case .sip:
            let writable = bit(RVInterrupt.supervisorSoftware) | bit(RVInterrupt.counterOverflow)
            writeVirtualPending(value, writable: writable)
            writeInterruptPending(value, writable: writable & state.pointee.mideleg)
        case .stvec: state.pointee.stvec = value & ~2
        case .scounteren: state.pointee.scounteren = value & counterEnableMask
        case .senvcfg: writeSupervisorEnvironment(value)
        case .sscratch: state.pointee.sscratch = value
        case .sepc: state.pointee.sepc = value & instructionAddressMask
        case .scause: state.pointee.scause = value
        case .stval: state.pointee.stval = value
        case .stimecmp:
            state.pointee.stimecmp = value
            supervisorTimerChanged()
        case .satp: writeAddressTranslation(value)
        case .siselect, .miselect, .sireg, .sireg2, .sireg3, .mireg: writeIndirectRegister(csr, value)
        case .stopei, .mvien, .mvip, .mtopei: writeInterruptRegister(csr, value)
        case .scountinhibit:
            let delegated = state.pointee.mcounteren
            writeCounterInhibit(state.pointee.mcountinhibit & ~delegated | value & delegated)
        case .srmcfg: state.pointee.srmcfg = value & RVResources.mask
        case .mctrctl, .sctrctl, .vsctrctl, .sctrstatus, .sctrdepth: writeTransferRegister(csr, value)
        case .tselect, .tdata1, .tdata2, .tdata3, .scontext, .hcontext, .mcontext: writeTrigger(csr, value)
        case .mnscratch: state.pointee.mnscratch = value
        case .mnepc: state.pointee.mnepc = value & instructionAddressMask
        case .mncause: state.pointee.mncause = value & Self.nonMaskableCauses
        case .mnstatus: writeNonMaskableStatus(value)

        case .mstatus: writeStatus(value, writable: mstatusMask)
        case .medeleg: state.pointee.medeleg = value & delegatableExceptions
        case .mideleg:
            state.pointee.mideleg = value & delegatableInterrupts | delegatedForGood
            state.pointee.hideleg &= state.pointee.mideleg
            updateInterruptRequest()
        case .mie: writeInterruptEnable(value, writable: implementedInterrupts)
        case .mip:
            if hypervisorInterrupts != 0 { writeGuestSoftwareInterrupt(value) }
            writeInterruptPending(value, writable: softwareInterrupts)
        case .mtvec: state.pointee.mtvec = value & ~2
        case .mcounteren: state.pointee.mcounteren = value & counterEnableMask
        case .menvcfg: writeMachineEnvironment(value)
        case .mseccfg: writeSecurity(value)
        case .mstateen0: writeStateEnable(0, value)
        case .mstateen1: writeStateEnable(1, value)
        case .mstateen2: writeStateEnable(2, value)
        case .mstateen3: writeStateEnable(3, value)
        case .mcountinhibit: writeCounterInhibit(value)
        case .mcyclecfg: writeCounterFilter(0, value)
        case .minstretcfg: writeCounterFilter(2, value)
        case .mtval2: state.pointee.mtval2 = value
        case .mcycle: setCycleCounter(value)
        case .minstret: setRetiredCounter(value)
        case .mscratch: state.pointee.mscratch = value
        case .mepc: state.pointee.mepc = value & instructionAddressMask
        case .mcause: state.pointee.mcause = value
        case .mtval: state.pointee.mtval = value
        case .pmpcfg0: writePMPConfiguration(value, firstEntry: 0)
        case .pmpcfg2: writePMPConfiguration(value, firstEntry: 8)
        default: if !writeHypervisorCSR(csr, value) { writeNumberedCSR(csr, value) }
        }
    }

    /// misa (all bits fixed), sstateen (all bits zero), seed (what is written means nothing) and read-only numbers fall through without effect.
    private func writeNumberedCSR(_ csr: RVCSR, _ value: UInt64) {
        switch csr.rawValue {
        case RVCSR.pmpaddr0.rawValue...RVCSR.pmpaddr15.rawValue: writePMPAddress(value, entry: Int(csr.rawValue & 15))
        case RVCSR.mhpmevent3.rawValue...RVCSR.mhpmevent31.rawValue: writeCounterEvent(csr.counterIndex, value)
        case RVCSR.mhpmcounter3.rawValue...RVCSR.mhpmcounter31.rawValue: setEventCounter(csr.counterIndex, value)
        default: break
        }
    }

    private func bit(_ interrupt: Int) -> UInt64 { 1 << UInt64(interrupt) }

    // MARK: Legal values

    /// Instruction addresses are even, and multiples of 4 without compressed instructions (IALIGN).
    @inline(__always)
    var instructionAddressMask: UInt64 { config.extensions.contains(.zca) ? ~1 : ~3 }

    /// Writable fields of mstatus; endianness and XS are fixed at zero, UXL and SXL at 64 bits.
    var mstatusMask: UInt64 {
        var mask = RVStatus.sie | RVStatus.mie | RVStatus.spie | RVStatus.mpie | RVStatus.spp | RVStatus.mpp | RVStatus.mprv | RVStatus.tw
            | RVStatus.tsr
        if config.extensions.contains(.f) { mask |= RVStatus.fs }
        if config.extensions.contains(.v) { mask |= RVStatus.vs }
        if config.extensions.contains(.zicfilp) { mask |= RVStatus.spelp | RVStatus.mpelp }
        if config.extensions.contains(.ssdbltrp), h.pointee.menvcfg & RVEnvironment.dte != 0 { mask |= RVStatus.sdt }
        if config.extensions.contains(.smdbltrp) { mask |= RVStatus.mdt }
        if config.extensions.contains(.sv39) { mask |= RVStatus.sum | RVStatus.mxr | RVStatus.tvm }
        if config.extensions.contains(.h) { mask |= RVStatus.mpv | RVStatus.gva }
        return mask
    }

    /// Writable fields of vsstatus, SDT included.
    var statusMask: UInt64 { (mstatusMask | (config.extensions.contains(.ssdbltrp) ? RVStatus.sdt : 0)) & sstatusMask }

    /// Exceptions that can happen below M-mode; a misaligned jump target only without compressed instructions.
    var delegatableExceptions: UInt64 {
        var mask: UInt64 = 0
        for cause in [
            RVCause.fetchAccess, RVCause.illegalInstruction, RVCause.breakpoint, RVCause.loadMisaligned, RVCause.loadAccess,
            RVCause.storeMisaligned, RVCause.storeAccess, RVCause.userCall, RVCause.supervisorCall,
        ] { mask |= 1 << cause }
        if config.extensions.contains(.sv39) { mask |= 1 << RVCause.fetchPage | 1 << RVCause.loadPage | 1 << RVCause.storePage }
        if config.extensions.contains(.h) {
            mask |= 1 << RVCause.guestSupervisorCall | 1 << RVCause.fetchGuestPage | 1 << RVCause.loadGuestPage | 1 << RVCause.virtualInstruction
                | 1 << RVCause.storeGuestPage
        }
        if !config.extensions.contains(.zca) { mask |= 1 << RVCause.fetchMisaligned }
        if config.extensions.contains(.zicfilp) || config.extensions.contains(.zicfiss) { mask |= 1 << RVCause.softwareCheck }
        return mask
    }

    var delegatableInterrupts: UInt64 {
        var mask = bit(RVInterrupt.supervisorSoftware) | bit(RVInterrupt.supervisorTimer) | bit(RVInterrupt.supervisorExternal)
        if config.extensions.contains(.sscofpmf) { mask |= bit(RVInterrupt.counterOverflow) }
        return mask
    }

    private var implementedInterrupts: UInt64 {
        delegatableInterrupts | hypervisorInterrupts | bit(RVInterrupt.machineSoftware) | bit(RVInterrupt.machineTimer) | bit(RVInterrupt.machineExternal)
    }

    /// Bits of mip an M-mode write changes: STIP belongs to stimecmp while menvcfg.STCE is set, SEIP to the wire alone under mvien.
    var softwareInterrupts: UInt64 {
        let all = h.pointee.menvcfg & RVEnvironment.stce == 0 ? delegatableInterrupts : delegatableInterrupts & ~bit(RVInterrupt.supervisorTimer)
        return all & ~(h.pointee.mvien & bit(RVInterrupt.supervisorExternal))
    }

    var counterEnableMask: UInt64 {
        var mask: UInt64 = 0
        if config.extensions.contains(.zicntr) { mask |= 7 }
        if config.extensions.contains(.sstc) { mask |= 2 }
        if config.extensions.contains(.zihpm) { mask |= 0xffff_fff8 }
        return mask
    }

    /// Fields that menvcfg has for S-mode and senvcfg for U-mode.
    var environmentMask: UInt64 {
        var mask = RVEnvironment.fiom
        if config.extensions.contains(.zicfilp) { mask |= RVEnvironment.lpe }
        if config.extensions.contains(.zicfiss) { mask |= RVEnvironment.sse }
        if config.extensions.contains(.zicbom) { mask |= RVEnvironment.cbie | RVEnvironment.cbcfe }
        if config.extensions.contains(.zicboz) { mask |= RVEnvironment.cbze }
        return mask
    }

    private var senvcfgMask: UInt64 {
        var mask = environmentMask
        if config.extensions.contains(.ssnpm) { mask |= RVEnvironment.pmm }
        // Read-only zero where M-mode keeps shadow stacks from S-mode.
        if h.pointee.menvcfg & RVEnvironment.sse == 0 { mask &= ~RVEnvironment.sse }
        return mask
    }

    private var menvcfgMask: UInt64 {
        var mask = environmentMask
        if config.extensions.contains(.smnpm) { mask |= RVEnvironment.pmm }
        if config.extensions.contains(.svpbmt) { mask |= RVEnvironment.pbmte }
        if config.extensions.contains(.svadu) { mask |= RVEnvironment.adue }
        if config.extensions.contains(.sstc) { mask |= RVEnvironment.stce }
        if config.extensions.contains(.smcdeleg) { mask |= RVEnvironment.cde }
        if config.extensions.contains(.ssdbltrp) { mask |= RVEnvironment.dte }
        return mask
    }

    /// The legal menvcfg or senvcfg nearest to `value`: the reserved encodings of CBIE (10) and PMM (01) leave the field as it is.
    func environment(_ value: UInt64, _ old: UInt64, mask: UInt64) -> UInt64 {
        let value = RVEnvironment.withLegalMask(value, old)
        guard value & RVEnvironment.cbie == RVEnvironment.cbieReserved else { return value & mask }
        return (value & ~RVEnvironment.cbie | old & RVEnvironment.cbie) & mask
    }

    // MARK: Writes with side effects

    private func writeFloatingPointStatus(flags: UInt64?, rounding: UInt64?) {
        if let flags { h.pointee.fflags = UInt8(flags & 31) }
        if let rounding { h.pointee.frm = UInt8(rounding & 7) }
        h.pointee.mstatus |= RVStatus.fs
    }

    private func writeVectorState(_ csr: RVCSR, _ value: UInt64) {
        switch csr {
        case .vstart: h.pointee.vstart = value & vstartMask
        case .vxsat: h.pointee.vxsat = UInt8(value & 1)
        case .vxrm: h.pointee.vxrm = UInt8(value & 3)
        default:
            h.pointee.vxsat = UInt8(value & 1)
            h.pointee.vxrm = UInt8(value >> 1 & 3)
        }
        h.pointee.mstatus |= RVStatus.vs
    }

    private func writeStatus(_ value: UInt64, writable: UInt64) {
        let old = h.pointee.mstatus
        var new = old & ~writable | value & writable
        // MPP holds U, S or M; the encoding between them is illegal and leaves the field as it was.
        if new & RVStatus.mpp == RVStatus.mppReserved { new = new & ~RVStatus.mpp | old & RVStatus.mpp }
        // A handler that cannot be trapped again cannot be interrupted either.
        if new & RVStatus.sdt != 0 { new &= ~RVStatus.sie }
        if new & RVStatus.mdt != 0 { new &= ~RVStatus.mie }
        h.pointee.mstatus = new
        if (old ^ new) & (RVStatus.mprv | RVStatus.mpp | RVStatus.mpv | RVStatus.sum | RVStatus.mxr) != 0 { viewChanged() }
        updateInterruptRequest()
    }

    private func writeInterruptEnable(_ value: UInt64, writable: UInt64) {
        h.pointee.mie = h.pointee.mie & ~writable | value & writable
        updateInterruptRequest()
    }

    func writeInterruptPending(_ value: UInt64, writable: UInt64) {
        setSoftwareInterrupts(value & writable, clear: writable & ~value)
        updateInterruptRequest()
    }

    /// satp: a mode this hart lacks leaves the whole register as it was. Bare is stored as zero.
    func writeAddressTranslation(_ value: UInt64) {
        guard let legal = legalTranslation(value) else { return }
        h.pointee.satp = legal
        viewChanged()
    }

    /// A value of satp or vsatp that this hart knows.
    func legalTranslation(_ value: UInt64) -> UInt64? {
        let mode = value >> 60
        return isTranslationMode(mode) ? mode == 0 ? 0 : value : nil
    }

    func isTranslationMode(_ mode: UInt64) -> Bool {
        switch mode {
        case 0: true
        case 8: config.extensions.contains(.sv39)
        case 9: config.extensions.contains(.sv48)
        case 10: config.extensions.contains(.sv57)
        default: false
        }
    }

    private func writeSupervisorEnvironment(_ value: UInt64) {
        h.pointee.senvcfg = environment(value, h.pointee.senvcfg, mask: senvcfgMask)
        modeRightsChanged()
    }

    private func writeMachineEnvironment(_ value: UInt64) {
        let old = h.pointee.menvcfg
        let new = environment(value, old, mask: menvcfgMask)
        h.pointee.menvcfg = new
        // Page-table entries mean something else now. For SSE that counts at once; for the others the manual leaves flushing to
        // software, and doing it here is simply exact.
        if (old ^ new) & (RVEnvironment.pbmte | RVEnvironment.adue | RVEnvironment.sse) != 0 { views.flushAll() }
        if new & RVEnvironment.sse == 0 { h.pointee.senvcfg &= ~RVEnvironment.sse }
        if new & RVEnvironment.dte == 0 { h.pointee.mstatus &= ~RVStatus.sdt }
        withdrawHypervisorEnvironment()
        modeRightsChanged()
        if (old ^ new) & RVEnvironment.stce != 0 { supervisorTimerChanged() }
    }
}

/// Fields of menvcfg, henvcfg and senvcfg (privileged manual, "Machine Environment Configuration (menvcfg) Register").
enum RVEnvironment {
    static let fiom: UInt64 = 1 << 0
    static let lpe: UInt64 = 1 << 2
    static let sse: UInt64 = 1 << 3
    static let cbie: UInt64 = 3 << 4
    static let cbieReserved: UInt64 = 2 << 4
    static let cbcfe: UInt64 = 1 << 6
    static let cbze: UInt64 = 1 << 7
    /// Also of mseccfg.
    static let pmm: UInt64 = 3 << 32
    static let pmmShift: UInt64 = 32
    static let pmmReserved: UInt64 = 1 << 32
    static let dte: UInt64 = 1 << 59
    static let cde: UInt64 = 1 << 60
    static let adue: UInt64 = 1 << 61
    static let pbmte: UInt64 = 1 << 62
    static let stce: UInt64 = 1 << 63
    /// Fields that henvcfg has only where menvcfg has them set.
    static let needsMachine = sse | dte | adue | pbmte | stce

    /// `value` with PMM as it was in `old` where it is reserved.
    static func withLegalMask(_ value: UInt64, _ old: UInt64) -> UInt64 {
        value & pmm == pmmReserved ? value & ~pmm | old & pmm : value
    }
}
