/// What a guest's instruction may do with a control and status register, and which register it means.
enum RVGuestRegister {
    case register(RVCSR)
    case illegal
    /// HS-mode could access it: a virtual-instruction exception.
    case virtual
}

/// Registers as guests see them: those of VS-level in the place of the supervisor's, and which exception the others raise (privileged manual,
/// "Hypervisor and Virtual Supervisor CSRs", "Trap Cause Codes").
extension RVProcessor {
    /// The register a guest's instruction accesses under a number.
    func guestRegister(_ number: UInt16, writing: Bool) -> RVGuestRegister {
        guard let csr = csrs[Int(number)], number >> 8 & 3 != 3, !writing || number >> 10 != 3 else { return .illegal }
        switch csr {
        case .sireg, .sireg2, .sireg3, .sireg4, .sireg5, .sireg6: return guestAlias(csr)
        // As HS-mode would find them, but for files that the guest has not.
        case .stopei, .vstopei: if supervisorFile != nil && !stateEnabled(0, RVStateEnable.interruptFile) { return .illegal }
        case .vsireg, .vsireg2, .vsireg3, .vsireg4, .vsireg5, .vsireg6: if !stateEnabled(0, RVStateEnable.indirect) { return .illegal }
        default: if !isAccessible(csr, writing: writing, from: RVPrivilege.supervisor, ignoringTVM: true) { return .illegal }
        }
        let isUser = h.pointee.privilege == RVPrivilege.user
        // The hypervisor's own, and in VU-mode the supervisor's.
        if number >> 8 & 3 == 2 || isUser && number >> 8 & 3 == 1 { return .virtual }
        return guestMayAccess(csr, writing: writing, isUser: isUser) ? .register(Self.substitute(csr)) : .virtual
    }

    /// What hypervisor and supervisor leave to the guest of registers that HS-mode may access.
    private func guestMayAccess(_ csr: RVCSR, writing: Bool, isUser: Bool) -> Bool {
        let isInjected = h.pointee.hvictl & RVGuestInjection.vti != 0
        switch csr {
        case .seed, .srmcfg, .scountinhibit, .sctrdepth: return false
        case .sctrctl, .sctrstatus: return guestStateEnabled(0, RVStateEnable.transfers)
        case .scontext: return guestStateEnabled(0, RVStateEnable.context)
        case .ssp: return usesShadowStack
        case .satp: return h.pointee.hstatus & RVHypervisorStatus.vtvm == 0
        case .sie, .sip: return !isInjected
        case .stimecmp: return h.pointee.henvcfg & RVEnvironment.stce != 0 && h.pointee.hcounteren & 2 != 0 && !(writing && isInjected)
        case .senvcfg: return guestStateEnabled(0, RVStateEnable.environment)
        case .sstateen0, .sstateen1, .sstateen2, .sstateen3: return guestStateEnabled(Int(csr.rawValue & 3), RVStateEnable.stateEnable)
        case .siselect: return guestStateEnabled(0, RVStateEnable.indirect)
        case .stopi: return guestStateEnabled(0, RVStateEnable.interrupts)
        case .stopei: return guestFile != nil && guestStateEnabled(0, RVStateEnable.interruptFile)
        case .scountovf: return h.pointee.menvcfg & RVEnvironment.cde == 0
        default:
            guard csr.rawValue >> 5 == RVCSR.cycle.rawValue >> 5 else { return true }
            let enabled = isUser ? h.pointee.hcounteren & h.pointee.scounteren : h.pointee.hcounteren
            return enabled >> UInt64(csr.counterIndex) & 1 != 0
        }
    }

    /// sireg…sireg6 of a guest, by what vsiselect selects.
    private func guestAlias(_ csr: RVCSR) -> RVGuestRegister {
        guard stateEnabled(0, RVStateEnable.indirect) else { return .illegal }
        guard h.pointee.privilege != RVPrivilege.user, guestStateEnabled(0, RVStateEnable.indirect) else { return .virtual }
        switch h.pointee.vsiselect {
        case let selector where selectsTransfer(selector):
            guard stateEnabled(0, RVStateEnable.transfers) else { return .illegal }
            return guestStateEnabled(0, RVStateEnable.transfers) ? .register(Self.substitute(csr)) : .virtual
        case RVIndirect.counters: return h.pointee.menvcfg & RVEnvironment.cde == 0 ? .illegal : .virtual
        case RVIndirect.priorities: return .virtual
        case RVIndirect.file:
            let has = csr == .sireg && selectsFile(h.pointee.vsiselect) && guestFile != nil && stateEnabled(0, RVStateEnable.interruptFile)
            return has && guestStateEnabled(0, RVStateEnable.interruptFile) ? .register(.vsireg) : .virtual
        default: return .illegal
        }
    }

    /// vsireg of HS-mode and M-mode.
    var guestAliasIsAccessible: Bool {
        stateEnabled(0, RVStateEnable.indirect) && stateEnabled(0, RVStateEnable.interruptFile) && guestFile != nil && selectsFile(h.pointee.vsiselect)
    }

    /// A selector means a register of an interrupt file.
    private func selectsFile(_ selector: UInt64) -> Bool {
        RVIndirect.file.contains(selector) && (selector < RVIndirect.fileArrays || selector & 1 == 0)
    }

    /// The register of VS-level that stands behind one of S-level, unless both change places with V.
    private static func substitute(_ csr: RVCSR) -> RVCSR {
        switch csr {
        case .sie: .vsie
        case .sip: .vsip
        case .stimecmp: .vstimecmp
        case .siselect: .vsiselect
        case .sireg: .vsireg
        case .sireg2: .vsireg2
        case .sireg3: .vsireg3
        case .sireg4: .vsireg4
        case .sireg5: .vsireg5
        case .sireg6: .vsireg6
        case .sctrctl: .vsctrctl
        case .stopei: .vstopei
        case .stopi: .vstopi
        default: csr
        }
    }

    // MARK: State enables

    /// hstateen lets guests access state that mstateen leaves to the hypervisor.
    func guestStateEnabled(_ register: Int, _ bit: UInt64) -> Bool {
        !config.extensions.contains(.ssstateen) || h.pointee.hstateen[register] & bit != 0
    }

    /// hstateen as read: what mstateen withholds is zero.
    func hypervisorStateEnable(_ register: Int) -> UInt64 {
        config.extensions.contains(.smstateen) ? h.pointee.hstateen[register] & h.pointee.mstateen[register] : h.pointee.hstateen[register]
    }

    func writeHypervisorStateEnable(_ register: Int, _ value: UInt64) {
        var writable = RVStateEnable.stateEnable
        if register == 0 {
            writable |= RVStateEnable.environment
            if config.extensions.contains(.sscsrind) { writable |= RVStateEnable.indirect }
            if config.extensions.contains(.ssaia) { writable |= RVStateEnable.indirect | RVStateEnable.interrupts }
            if config.extensions.contains(.ssctr) { writable |= RVStateEnable.transfers }
            if config.extensions.contains(.sdtrig) { writable |= RVStateEnable.context }
            if supervisorFile != nil { writable |= RVStateEnable.interruptFile }
        }
        if config.extensions.contains(.smstateen) { writable &= h.pointee.mstateen[register] }
        h.pointee.hstateen[register] = h.pointee.hstateen[register] & ~writable | value & writable
    }
}
