/// The hypervisor's registers and those of VS-level, as M-mode and HS-mode reach them: V = 0.
extension RVProcessor {
    /// - Returns: nil for a register that is none of these.
    func readHypervisorCSR(_ csr: RVCSR) -> UInt64? {
        let state = h
        return switch csr {
        case .hstatus: state.pointee.hstatus
        case .hedeleg: state.pointee.hedeleg
        case .hideleg: state.pointee.hideleg
        case .hie: state.pointee.mie & RVInterrupt.hypervisors
        case .hip: freshInterrupts() & RVInterrupt.hypervisors
        case .hvip: state.pointee.hvip
        case .hgeip: state.pointee.hgeip
        case .hgeie: state.pointee.hgeie
        case .henvcfg: state.pointee.henvcfg
        case .hcounteren: state.pointee.hcounteren
        case .htimedelta: state.pointee.htimedelta
        case .htval: state.pointee.htval
        case .htinst: state.pointee.htinst
        case .hgatp: state.pointee.hgatp
        case .hstateen0, .hstateen1, .hstateen2, .hstateen3: hypervisorStateEnable(Int(csr.rawValue & 3))
        case .hvien: state.pointee.hvien
        case .hvictl: state.pointee.hvictl
        case .hviprio1, .hviprio2: 0
        case .mtinst: state.pointee.mtinst
        case .vsstatus: Self.withSummary(guestStatus)
        case .vsie: guestEnabled
        case .vsip: freshGuestPending
        case .vstvec: state.pointee.standby.stvec
        case .vsscratch: state.pointee.standby.sscratch
        case .vsepc: state.pointee.standby.sepc
        case .vscause: state.pointee.standby.scause
        case .vstval: state.pointee.standby.stval
        case .vsatp: state.pointee.standby.satp
        case .vstimecmp: state.pointee.vstimecmp
        case .vsiselect: state.pointee.vsiselect
        case .vsireg, .vsireg2, .vsireg3, .vsireg4, .vsireg5, .vsireg6: readGuestAlias(csr)
        case .vstopei: Self.top(guestFile)
        case .vstopi: guestTopRegister
        default: nil
        }
    }

    /// - Returns: false for a register that is none of these.
    func writeHypervisorCSR(_ csr: RVCSR, _ value: UInt64) -> Bool {
        let state = h
        switch csr {
        case .hstatus: writeHypervisorStatus(value)
        case .hedeleg: state.pointee.hedeleg = value & guestExceptions
        case .hideleg: writeInterruptDelegation(value)
        case .hie:
            state.pointee.mie = state.pointee.mie & ~hypervisorInterrupts | value & hypervisorInterrupts
            updateInterruptRequest()
        case .hip: writeGuestSoftwareInterrupt(value)
        case .hvip: writeGuestPending(value)
        case .hgeie, .hvien, .hvictl: writeHypervisorInterrupt(csr, value)
        case .henvcfg: writeHypervisorEnvironment(value)
        case .hcounteren: state.pointee.hcounteren = value & counterEnableMask
        case .htimedelta:
            state.pointee.htimedelta = value
            supervisorTimerChanged()
        case .htval: state.pointee.htval = value
        case .htinst: state.pointee.htinst = value
        case .hgatp: writeGuestTranslation(value)
        case .hstateen0, .hstateen1, .hstateen2, .hstateen3: writeHypervisorStateEnable(Int(csr.rawValue & 3), value)
        case .mtinst: state.pointee.mtinst = value
        case .vsstatus: writeGuestStatus(value, writable: statusMask)
        case .vsie: writeGuestEnabled(value)
        case .vsip: writeGuestOwnPending(value)
        case .vstvec: state.pointee.standby.stvec = value & ~2
        case .vsscratch: state.pointee.standby.sscratch = value
        case .vsepc: state.pointee.standby.sepc = value & instructionAddressMask
        case .vscause: state.pointee.standby.scause = value
        case .vstval: state.pointee.standby.stval = value
        case .vsatp:
            if let legal = legalTranslation(value) { state.pointee.standby.satp = legal }
            viewChanged()
        case .vstimecmp:
            state.pointee.vstimecmp = value
            supervisorTimerChanged()
        case .vsiselect: state.pointee.vsiselect = value & RVIndirect.selectMask
        case .vsireg, .vsireg2, .vsireg3, .vsireg4, .vsireg5, .vsireg6: writeGuestAlias(csr, value)
        case .vstopei:
            guestFile?.claim()
            updateInterruptRequest()
        case .hviprio1, .hviprio2: break
        default: return false
        }
        return true
    }

    /// Whether M-mode or HS-mode, as `privilege` says, may access a register that depends on more than its number; nil for others.
    func hypervisorRegisterIsAccessible(_ csr: RVCSR, from privilege: UInt8, ignoringTVM: Bool) -> Bool? {
        switch csr {
        case .hgatp: return ignoringTVM || privilege == RVPrivilege.machine || h.pointee.mstatus & RVStatus.tvm == 0
        case .henvcfg: return stateEnabled(0, RVStateEnable.environment)
        case .hstateen0, .hstateen1, .hstateen2, .hstateen3: return stateEnabled(Int(csr.rawValue & 3), RVStateEnable.stateEnable)
        case .hvien, .hvictl, .hviprio1, .hviprio2, .vstopi: return stateEnabled(0, RVStateEnable.interrupts)
        case .vsiselect: return stateEnabled(0, RVStateEnable.indirect)
        case .vsireg, .vsireg2, .vsireg3, .vsireg4, .vsireg5, .vsireg6:
            return selectsTransfer(h.pointee.vsiselect) ? mayUseTransfers : csr == .vsireg && guestAliasIsAccessible
        case .vstopei: return stateEnabled(0, RVStateEnable.interruptFile) && guestFile != nil
        default: return nil
        }
    }

    // MARK: Aliases

    /// What vsireg…vsireg6 show; 0 when that is nothing.
    private func readGuestAlias(_ csr: RVCSR) -> UInt64 {
        let selector = h.pointee.vsiselect
        if selectsTransfer(selector) { return readTransfer(csr, selector) }
        return csr == .vsireg ? guestFile?.read(selector) ?? 0 : 0
    }

    private func writeGuestAlias(_ csr: RVCSR, _ value: UInt64) {
        let selector = h.pointee.vsiselect
        if selectsTransfer(selector) { return writeTransfer(csr, selector, value) }
        if csr == .vsireg, RVIndirect.file.contains(selector) { guestFile?.write(selector, value) }
        updateInterruptRequest()
    }

    // MARK: Legal values

    private func writeHypervisorStatus(_ value: UInt64) {
        var writable = RVHypervisorStatus.gva | RVHypervisorStatus.spv | RVHypervisorStatus.spvp | RVHypervisorStatus.hu | RVHypervisorStatus.vtvm
            | RVHypervisorStatus.vtw | RVHypervisorStatus.vtsr
        // VGEIN and HUPMM keep what they held where the new value means nothing.
        if value >> RVHypervisorStatus.vgeinShift & 0x3f <= UInt64(guestFiles.count) { writable |= RVHypervisorStatus.vgein }
        if config.extensions.contains(.ssnpm), value & RVHypervisorStatus.hupmm != 1 << RVHypervisorStatus.hupmmShift { writable |= RVHypervisorStatus.hupmm }
        h.pointee.hstatus = h.pointee.hstatus & ~writable | value & writable
        updateInterruptRequest()
    }

    /// Exceptions a guest can be made to handle itself ("Bits of hedeleg that must be writable or must be read-only zero").
    private var guestExceptions: UInt64 {
        let never: UInt64 = 1 << RVCause.supervisorCall | 1 << RVCause.guestSupervisorCall | 1 << RVCause.fetchGuestPage | 1 << RVCause.loadGuestPage
            | 1 << RVCause.virtualInstruction | 1 << RVCause.storeGuestPage
        return delegatableExceptions & ~never
    }

    /// hgatp: a mode this hart lacks leaves that field as it was. Bare is stored as zero.
    private func writeGuestTranslation(_ value: UInt64) {
        var mode = value >> 60
        if !isTranslationMode(mode) { mode = h.pointee.hgatp >> 60 }
        let number = value & RVGuestSpace.machineMask << RVGuestSpace.machineShift, table = value & PTE.pageNumberMask & RVGuestSpace.rootMask
        h.pointee.hgatp = mode == 0 ? 0 : mode << 60 | number | table
        viewChanged()
    }

    private func writeHypervisorEnvironment(_ value: UInt64) {
        let old = h.pointee.henvcfg
        let new = environment(value, old, mask: henvcfgMask)
        h.pointee.henvcfg = new
        if (old ^ new) & (RVEnvironment.pbmte | RVEnvironment.adue | RVEnvironment.sse) != 0 { views.flushAll() }
        if new & RVEnvironment.dte == 0 { writeGuestStatus(0, writable: 0) }
        modeRightsChanged()
        if (old ^ new) & RVEnvironment.stce != 0 { supervisorTimerChanged() }
    }

    /// What follows for henvcfg from bits that menvcfg has lost.
    func withdrawHypervisorEnvironment() {
        let lost = h.pointee.henvcfg & RVEnvironment.needsMachine & ~h.pointee.menvcfg
        if lost != 0 { writeHypervisorEnvironment(h.pointee.henvcfg & ~lost) }
    }

    private var henvcfgMask: UInt64 {
        var mask = environmentMask
        if config.extensions.contains(.ssnpm) { mask |= RVEnvironment.pmm }
        mask |= RVEnvironment.needsMachine
        return mask & (h.pointee.menvcfg | ~RVEnvironment.needsMachine)
    }
}
