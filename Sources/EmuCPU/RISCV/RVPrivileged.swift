extension RVTable {
    /// Privileged instructions, Svinval included.
    static let privileged: [RVInstruction] = [
        .init("mret",            "0011000 00010 00000 000 00000 1110011", .all(.i), .none, .mret),
        .init("wfi",             "0001000 00101 00000 000 00000 1110011", .all(.i), .none, .wfi),
        .init("sfence.vma",      "0001001 ttttt sssss 000 00000 1110011", .all(.i), .fenceAddress, .sfence_vma),
        .init("sret",            "0001000 00010 00000 000 00000 1110011", .all(.i), .none, .sret),
        .init("sinval.vma",      "0001011 ttttt sssss 000 00000 1110011", .all(.svinval), .fenceAddress, .sinval_vma),
        .init("sfence.w.inval",  "0001100 00000 00000 000 00000 1110011", .all(.svinval), .none, .sfence_w_inval),
        .init("sfence.inval.ir", "0001100 00001 00000 000 00000 1110011", .all(.svinval), .none, .sfence_inval_ir),
    ]

    /// Zawrs: waiting for a reservation set.
    static let zawrs: [RVInstruction] = [
        .init("wrs.nto", "0000000 01101 00000 000 00000 1110011", .all(.zawrs), .none, .wrs_nto),
        .init("wrs.sto", "0000000 11101 00000 000 00000 1110011", .all(.zawrs), .none, .wrs_sto),
    ]
}

/// SYSTEM instructions other than the CSR ones: environment calls, trap returns, waiting, translation fences, and who may use
/// the cache-block instructions.
extension RVProcessor {
    /// Executes a privileged instruction; `pc` already points past it. False when it trapped.
    package func executePrivileged(_ op: RVOp, _ r: DecodedOp) -> Bool {
        let privilege = h.pointee.privilege
        switch op {
        case .ecall:
            // Causes 8, 9 and 11 follow the privilege encoding.
            let isGuestSupervisor = h.pointee.isGuest && privilege == RVPrivilege.supervisor
            return raise(isGuestSupervisor ? RVCause.guestSupervisorCall : RVCause.userCall + UInt64(privilege), 0)
        case .ebreak:
            if let semihosting, semihost(semihosting, r) { return true }
            return raise(RVCause.breakpoint, h.pointee.blockPC &+ UInt64(r.offset))
        case .mret:
            guard privilege == RVPrivilege.machine else { return illegal(r) }
            returnFromMachine(r)
        case .sret:
            guard maySupervise(RVStatus.tsr, RVHypervisorStatus.vtsr) else { return refuseHypervisors(r) }
            returnFromSupervisor(r)
        case .mnret:
            guard privilege == RVPrivilege.machine else { return illegal(r) }
            returnFromNonMaskable(r)
        case .sctrclr:
            guard stateEnabled(0, RVStateEnable.transfers) else { return illegal(r) }
            let isWithheld = h.pointee.isGuest && !guestStateEnabled(0, RVStateEnable.transfers)
            guard privilege >= RVPrivilege.supervisor, !isWithheld else { return refuseHypervisors(r) }
            clearTransfers()
        case .wfi:
            // With TW the time limit below M-mode is zero; U-mode may never wait where S-mode exists.
            guard privilege == RVPrivilege.machine || h.pointee.mstatus & RVStatus.tw == 0 else { return illegal(r) }
            guard privilege != RVPrivilege.user, !isTimeLimited else { return refuseHypervisors(r) }
            h.pointee.waiting = true
            h.pointee.waiting = isWaiting
        case .wrs_nto:
            guard privilege == RVPrivilege.machine || h.pointee.mstatus & RVStatus.tw == 0 else { return illegal(r) }
            if isTimeLimited { return virtualInstruction(r) }
        case .wrs_sto:
            break
        case .sfence_vma, .sinval_vma:
            guard maySupervise(RVStatus.tvm, RVHypervisorStatus.vtvm) else { return refuseHypervisors(r) }
            if h.pointee.isGuest { fenceGuest(r) } else { fence(r) }
        case .sfence_w_inval, .sfence_inval_ir:
            // sinval_vma takes effect at once, so there is nothing to order.
            guard privilege >= RVPrivilege.supervisor else { return refuseHypervisors(r) }
        case .hfence_vvma, .hfence_gvma, .hinval_vvma, .hinval_gvma:
            return executeGuestFence(op, r)
        case .cbo_clean, .cbo_flush, .cbo_inval, .cbo_zero:
            return cboAllowed(op, r)
        default:
            return illegal(r)
        }
        return true
    }

    /// S-mode's instructions: not in U-mode; a bit of mstatus makes M-mode intercept them, one of hstatus the hypervisor those of its guest.
    private func maySupervise(_ bit: UInt64, _ guestBit: UInt64) -> Bool {
        switch h.pointee.privilege {
        case RVPrivilege.user: false
        case RVPrivilege.supervisor: h.pointee.isGuest ? h.pointee.hstatus & guestBit == 0 : h.pointee.mstatus & bit == 0
        default: true
        }
    }

    /// The hypervisor wants to hear of guests that wait: their time limit is zero.
    private var isTimeLimited: Bool { h.pointee.isGuest && h.pointee.hstatus & RVHypervisorStatus.vtw != 0 }

    private func returnFromMachine(_ r: DecodedOp) {
        let status = h.pointee.mstatus
        let previous = UInt8(truncatingIfNeeded: (status & RVStatus.mpp) >> 11)
        let kept = status & ~(RVStatus.mie | RVStatus.mpp | RVStatus.mpv | RVStatus.mpelp | RVStatus.mdt)
        returned(
            to: previous, isGuest: status & RVStatus.mpv != 0 && previous != RVPrivilege.machine, at: h.pointee.mepc,
            expectsLandingPad: status & RVStatus.mpelp != 0, status: kept | (status & RVStatus.mpie != 0 ? RVStatus.mie : 0) | RVStatus.mpie, by: r)
    }

    private func returnFromSupervisor(_ r: DecodedOp) {
        let status = h.pointee.mstatus
        let previous = status & RVStatus.spp != 0 ? RVPrivilege.supervisor : RVPrivilege.user
        // M-mode that returns is ready for traps again.
        let cleared = h.pointee.privilege == RVPrivilege.machine ? RVStatus.mdt : 0
        let kept = status & ~(RVStatus.sie | RVStatus.spp | RVStatus.sdt | RVStatus.spelp | cleared)
        let isGuest = h.pointee.isGuest || h.pointee.hstatus & RVHypervisorStatus.spv != 0
        if !h.pointee.isGuest { h.pointee.hstatus &= ~RVHypervisorStatus.spv }
        returned(
            to: previous, isGuest: isGuest, at: h.pointee.sepc, expectsLandingPad: status & RVStatus.spelp != 0,
            status: kept | (status & RVStatus.spie != 0 ? RVStatus.sie : 0) | RVStatus.spie, by: r)
    }

    /// - Parameters:
    ///   - isGuest: V after the return.
    ///   - expectsLandingPad: the place returned to must be a landing pad, where its privilege wants them.
    ///   - status: what mstatus becomes, but for the fields that depend on the privilege.
    func returned(to privilege: UInt8, isGuest: Bool, at pc: UInt64, expectsLandingPad: Bool, status: UInt64, by r: DecodedOp) {
        if expectsLandingPad && modeRights(privilege, isGuest: isGuest) & RVRights.landingPads != 0 { expectLandingPad(true) }
        let wasGuest = h.pointee.isGuest
        // Whoever returns to U-mode or to a guest has dealt with S-mode's trap.
        let status = privilege == RVPrivilege.user || isGuest && !wasGuest ? status & ~RVStatus.sdt : status
        if h.pointee.activeCounters != 0 { synchroniseCounters(including: 1) }
        if h.pointee.countTriggers != 0 { countInstructions(including: 1) }
        let from = RVPrivilege.mode(h.pointee.privilege, isGuest: wasGuest), to = RVPrivilege.mode(privilege, isGuest: isGuest)
        if isRecording { recordTrapReturn(pc: h.pointee.blockPC &+ UInt64(r.offset), from: from, to: to, target: pc) }
        h.pointee.mstatus = privilege == RVPrivilege.machine ? status : status & ~RVStatus.mprv
        if isGuest != wasGuest {
            setVirtualization(isGuest)
            if isGuest && privilege == RVPrivilege.user { h.pointee.mstatus &= ~RVStatus.sdt }
        }
        h.pointee.privilege = privilege
        h.pointee.pc = pc
        privilegeChanged()
        overflowDeadlineChanged()
        triggersChangeMode()
        updateInterruptRequest()
        if let watch, watch.events.contains(.privilege), from != to {
            report(.privilege(from: from, to: to, pc: h.pointee.blockPC &+ UInt64(r.offset)))
        }
    }

    /// sfence.vma: rs1 = x0 means every address, rs2 = x0 every address space. Flushing more than asked is always allowed;
    /// here global pages go with their address space.
    private func fence(_ r: DecodedOp) {
        let address = r.rs1 == 0 ? nil : x[Int(r.rs1)]
        let everySpace = r.rs2 == 0
        let wanted = x[Int(r.rs2)] & 0xffff
        views.flush(address: address) { key in
            key.rights & RVRights.guest == 0 && key.space != 0 && (everySpace || key.space >> 44 & 0xffff == wanted)
        }
    }

    /// Zicbom and Zicboz: menvcfg, henvcfg and senvcfg enable the instructions below M-mode. True when allowed, else the exception is
    /// raised. Without caches, cbo.inval and cbo.flush do the same, so the choice between them in CBIE has no effect.
    package func cboAllowed(_ op: RVOp, _ r: DecodedOp) -> Bool {
        let field: UInt64
        switch op {
        case .cbo_inval: field = RVEnvironment.cbie
        case .cbo_zero: field = RVEnvironment.cbze
        default: field = RVEnvironment.cbcfe
        }
        let privilege = h.pointee.privilege
        if privilege == RVPrivilege.machine { return true }
        guard h.pointee.menvcfg & field != 0 else { return illegal(r) }
        guard !h.pointee.isGuest || h.pointee.henvcfg & field != 0, privilege == RVPrivilege.supervisor || h.pointee.senvcfg & field != 0 else {
            return refuseHypervisors(r)
        }
        return true
    }
}
