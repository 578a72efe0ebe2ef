import EmuBus

/// Interrupts of guests: hvip and what else makes them pending, hideleg, the guests' external interrupts (privileged manual, "Hypervisor Interrupt
/// (hvip, hip, and hie) Registers", "Hypervisor Guest External Interrupt Registers"), and with Ssaia their interrupt files and what hvictl injects
/// (AIA, "Interrupts for Virtual Machines (VS Level)"). Priorities are fixed: hviprio1 and hviprio2 are read-only zeros.
extension RVProcessor {
    private func bit(_ interrupt: Int) -> UInt64 { 1 << UInt64(interrupt) }

    // MARK: Legal values

    /// Bits 1 to GEILEN: the guests' interrupt files.
    var guestFileMask: UInt64 { guestFiles.isEmpty ? 0 : (2 << UInt64(guestFiles.count)) &- 2 }

    /// Interrupts of mie and mip that the hypervisor extension adds.
    var hypervisorInterrupts: UInt64 {
        guard config.extensions.contains(.h) else { return 0 }
        return guestFiles.isEmpty ? RVInterrupt.guests : RVInterrupt.hypervisors
    }

    /// Bits of mideleg that are always set: what concerns guests passes M-mode by.
    var delegatedForGood: UInt64 { hypervisorInterrupts }

    /// Interrupts that hvien makes virtual ones, and hvip pending: counter overflow.
    private var injectable: UInt64 {
        config.extensions.contains(.h) && config.extensions.contains(.ssaia) ? delegatableInterrupts & bit(RVInterrupt.counterOverflow) : 0
    }

    func writeInterruptDelegation(_ value: UInt64) {
        var writable = RVInterrupt.guests
        if config.extensions.contains(.shlcofideleg) { writable |= bit(RVInterrupt.counterOverflow) }
        h.pointee.hideleg = value & writable & h.pointee.mideleg
        updateInterruptRequest()
    }

    func writeGuestPending(_ value: UInt64) {
        h.pointee.hvip = value & (RVInterrupt.guests | injectable)
        updateInterruptRequest()
    }

    /// hip, and VSSIP of mip: an alias of hvip's.
    func writeGuestSoftwareInterrupt(_ value: UInt64) {
        h.pointee.hvip = h.pointee.hvip & ~bit(RVInterrupt.guestSoftware) | value & bit(RVInterrupt.guestSoftware)
        updateInterruptRequest()
    }

    func writeHypervisorInterrupt(_ csr: RVCSR, _ value: UInt64) {
        switch csr {
        case .hgeie: h.pointee.hgeie = value & guestFileMask
        case .hvien: h.pointee.hvien = value & injectable
        default: h.pointee.hvictl = value & RVGuestInjection.mask
        }
        updateInterruptRequest()
    }

    // MARK: What is pending

    /// The number of the present guest's interrupt file; nil where it has none.
    private var guestFileNumber: Int? {
        let number = Int(h.pointee.hstatus >> RVHypervisorStatus.vgeinShift & 0x3f)
        return 1...max(1, guestFiles.count) ~= number && !guestFiles.isEmpty ? number : nil
    }

    var guestFile: (any InterruptFile)? { guestFileNumber.map { guestFiles[$0 - 1] } }

    /// VSEIP and SGEIP as interrupt files make them.
    var guestExternalInterrupts: UInt64 {
        let pending = h.pointee.hgeip
        if pending == 0 { return 0 }
        let number = h.pointee.hstatus >> RVHypervisorStatus.vgeinShift & 0x3f
        return (pending >> number & 1) << UInt64(RVInterrupt.guestExternal)
            | (pending & h.pointee.hgeie != 0 ? bit(RVInterrupt.supervisorGuestExternal) : 0)
    }

    /// vsip: VS-level interrupts under their numbers for the guest, and those above 12.
    var guestPending: UInt64 {
        let delegated = mip & h.pointee.mideleg & h.pointee.hideleg
        return (delegated & RVInterrupt.guests) >> 1 | delegated & ~RVInterrupt.guests | h.pointee.hvip & h.pointee.hvien & ~h.pointee.hideleg
    }

    /// vsie.
    var guestEnabled: UInt64 {
        let delegated = h.pointee.mie & h.pointee.mideleg & h.pointee.hideleg
        return (delegated & RVInterrupt.guests) >> 1 | delegated & ~RVInterrupt.guests | h.pointee.guestEnable & h.pointee.hvien & ~h.pointee.hideleg
    }

    func writeGuestEnabled(_ value: UInt64) {
        let guests = h.pointee.hideleg & RVInterrupt.guests, others = h.pointee.hideleg & ~RVInterrupt.guests
        h.pointee.mie = h.pointee.mie & ~(guests | others) | value << 1 & guests | value & others
        h.pointee.guestEnable = value & h.pointee.hvien & ~h.pointee.hideleg
        updateInterruptRequest()
    }

    /// vsip: what its sender does not clear, SSIP and LCOFIP.
    func writeGuestOwnPending(_ value: UInt64) {
        let software = bit(RVInterrupt.guestSoftware) & h.pointee.hideleg, overflow = bit(RVInterrupt.counterOverflow)
        h.pointee.hvip = h.pointee.hvip & ~software | value << 1 & software
        let injected = overflow & h.pointee.hvien & ~h.pointee.hideleg
        h.pointee.hvip = h.pointee.hvip & ~injected | value & injected
        writeInterruptPending(value, writable: overflow & h.pointee.hideleg & h.pointee.mideleg)
        updateInterruptRequest()
    }

    // MARK: The guest's next interrupt

    /// What vstopi tells: identity and priority; nil when no interrupt is pending for the guest.
    var guestTop: (identity: UInt64, priority: UInt64)? {
        let ready = guestPending & guestEnabled, control = h.pointee.hvictl
        if ready == 0 && control & RVGuestInjection.vti == 0 { return nil }
        let external = UInt64(RVInterrupt.supervisorExternal)
        let injected = control >> RVGuestInjection.identityShift & RVGuestInjection.identityMask
        let priority = control & RVGuestInjection.priority
        // The priority number of an external interrupt.
        var externalPriority: UInt64?
        if ready >> external & 1 != 0 {
            let isUnassigned = h.pointee.hstatus & RVHypervisorStatus.vgein == 0
            if let top = guestFile?.top, top != 0 {
                externalPriority = top
            } else {
                externalPriority = isUnassigned && injected == external && priority != 0 ? priority : 256
            }
        }
        var other: (identity: UInt64, priority: UInt64, isLower: Bool)?
        if control & RVGuestInjection.vti == 0 {
            other = highest(ready & ~(1 << external)).map { ($0 & 0xfff, 0, true) }
        } else if injected != external {
            other = (injected, priority, control & RVGuestInjection.isLower != 0)
        }
        func result(_ identity: UInt64, _ priority: UInt64, isLower: Bool) -> (identity: UInt64, priority: UInt64)? {
            let told = control & RVGuestInjection.tellsPriority == 0 ? 1 : (1...255).contains(priority) ? priority : isLower || priority > 255 ? 255 : 0
            return identity == 0 && told == 0 ? nil : (identity, told)
        }
        guard let other else { return externalPriority.flatMap { result(external, $0, isLower: false) } }
        guard let externalPriority else { return result(other.identity, other.priority, isLower: other.isLower) }
        // Without a number of its own an interrupt comes before all external ones or behind them.
        let isFirst = other.priority == 0 || other.priority == externalPriority ? !other.isLower : other.priority < externalPriority
        return isFirst ? result(other.identity, other.priority, isLower: other.isLower) : result(external, externalPriority, isLower: false)
    }

    var guestTopRegister: UInt64 { guestTop.map { $0.identity << 16 | $0.priority } ?? 0 }
}

/// Fields of hvictl (AIA, "Virtual interrupts for VS level").
enum RVGuestInjection {
    static let vti: UInt64 = 1 << 30
    static let identityShift: UInt64 = 16
    /// IID has the six bits that are the least.
    static let identityMask: UInt64 = 0x3f
    /// DPR.
    static let isLower: UInt64 = 1 << 9
    /// IPRIOM.
    static let tellsPriority: UInt64 = 1 << 8
    static let priority: UInt64 = 0xff
    static let mask = vti | identityMask << identityShift | isLower | tellsPriority | priority
}
