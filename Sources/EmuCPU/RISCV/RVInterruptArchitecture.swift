import EmuBus

/// Smaia and Ssaia (RISC-V Advanced Interrupt Architecture, "Interrupts for Machine and Supervisor Levels", "Control and Status Registers").
///
/// Priorities of major interrupts are fixed: the `iprio` arrays are read-only zeros, and mtopi and stopi tell priority 1. Virtual interrupts
/// exist for SSI, SEI and counter overflow.
extension RVProcessor {
    private func bit(_ interrupt: Int) -> UInt64 { 1 << UInt64(interrupt) }

    /// Writable bits of mvien.
    private var virtualInterrupts: UInt64 {
        bit(RVInterrupt.supervisorSoftware) | bit(RVInterrupt.supervisorExternal) | delegatableInterrupts & bit(RVInterrupt.counterOverflow)
    }

    // MARK: Virtual interrupts

    /// Interrupts of the supervisor's that come out of mvip: those enabled there and not delegated.
    var virtualPending: UInt64 {
        if h.pointee.mvien == 0 { return 0 }
        let pending = h.pointee.mvip | h.pointee.mipSoftware & bit(RVInterrupt.supervisorExternal)
        return pending & h.pointee.mvien & ~h.pointee.mideleg
    }

    /// sie: mie where an interrupt is delegated, bits of its own under mvien.
    var supervisorEnabled: UInt64 {
        h.pointee.mie & h.pointee.mideleg & ~RVInterrupt.hypervisors | h.pointee.virtualEnable & h.pointee.mvien & ~h.pointee.mideleg
    }

    func writeVirtualEnable(_ value: UInt64) { h.pointee.virtualEnable = value & h.pointee.mvien & ~h.pointee.mideleg }

    /// A write of sip. SEIP is read-only there.
    func writeVirtualPending(_ value: UInt64, writable: UInt64) {
        let writable = writable & h.pointee.mvien & ~h.pointee.mideleg
        h.pointee.mvip = h.pointee.mvip & ~writable | value & writable
    }

    /// The interrupt about to be taken goes to S-mode.
    func isSupervisors(interrupt: UInt64) -> Bool {
        let bit: UInt64 = 1 << interrupt
        if h.pointee.mideleg & bit != 0 { return true }
        // Filtered: the real one is M-mode's, and comes first.
        return virtualPending & bit != 0 && mip & h.pointee.mie & bit == 0
    }

    // MARK: Access

    /// Whether the present privilege may access one of the registers that depend on more than their number.
    func interruptRegisterIsAccessible(_ csr: RVCSR) -> Bool {
        switch csr {
        case .stopi: return stateEnabled(0, RVStateEnable.interrupts)
        case .stopei: return supervisorFile != nil && mayUseSupervisorFile
        case .sireg:
            guard exists(h.pointee.siselect, supervisorFile, .ssaia) else { return false }
            return RVIndirect.file.contains(h.pointee.siselect) ? mayUseSupervisorFile : stateEnabled(0, RVStateEnable.interrupts)
        case .mireg: return exists(h.pointee.miselect, machineFile, .smaia)
        default: return machineFile != nil
        }
    }

    private var mayUseSupervisorFile: Bool {
        if h.pointee.privilege == RVPrivilege.machine { return true }
        return stateEnabled(0, RVStateEnable.interruptFile) && h.pointee.mvien & bit(RVInterrupt.supervisorExternal) == 0
    }

    /// A selector means a register.
    private func exists(_ selector: UInt64, _ file: (any InterruptFile)?, _ requirement: RVExtension) -> Bool {
        if RVIndirect.priorities.contains(selector) { return selector & 1 == 0 && config.extensions.contains(requirement) }
        return file != nil && RVIndirect.file.contains(selector) && (selector < RVIndirect.fileArrays || selector & 1 == 0)
    }

    // MARK: Reading and writing

    func readInterruptRegister(_ csr: RVCSR) -> UInt64 {
        switch csr {
        case .mireg: readIndirect(h.pointee.miselect, machineFile)
        case .sireg: readIndirect(h.pointee.siselect, supervisorFile)
        case .mtopei: Self.top(machineFile)
        case .stopei: Self.top(supervisorFile)
        case .mtopi: major(mip & h.pointee.mie & ~h.pointee.mideleg)
        case .stopi: major(mip & h.pointee.mie & h.pointee.mideleg & ~h.pointee.hideleg | virtualPending & supervisorEnabled)
        case .mvien: h.pointee.mvien
        default: virtualInterruptsPending
        }
    }

    func writeInterruptRegister(_ csr: RVCSR, _ value: UInt64) {
        switch csr {
        case .mireg: if RVIndirect.file.contains(h.pointee.miselect) { machineFile?.write(h.pointee.miselect, value) }
        case .sireg: if RVIndirect.file.contains(h.pointee.siselect) { supervisorFile?.write(h.pointee.siselect, value) }
        case .mtopei: machineFile?.claim()
        case .stopei: supervisorFile?.claim()
        case .mvien: h.pointee.mvien = value & virtualInterrupts
        default: writeVirtualInterrupts(value)
        }
        updateInterruptRequest()
    }

    private func readIndirect(_ selector: UInt64, _ file: (any InterruptFile)?) -> UInt64 {
        RVIndirect.file.contains(selector) ? file?.read(selector) ?? 0 : 0
    }

    /// Identity and priority, which are the same.
    static func top(_ file: (any InterruptFile)?) -> UInt64 {
        let identity = file?.top ?? 0
        return identity << 16 | identity
    }

    private func major(_ pending: UInt64) -> UInt64 { highest(pending).map { ($0 & 0xfff) << 16 | 1 } ?? 0 }

    /// mvip: aliases of mip's writable bits, but for those that mvien makes its own.
    private var virtualInterruptsPending: UInt64 {
        let aliases = bit(RVInterrupt.supervisorExternal) | bit(RVInterrupt.supervisorSoftware) & ~h.pointee.mvien | softwareInterrupts & bit(RVInterrupt.supervisorTimer)
        return h.pointee.mipSoftware & aliases | h.pointee.mvip & ~aliases
    }

    private func writeVirtualInterrupts(_ value: UInt64) {
        let aliases = bit(RVInterrupt.supervisorExternal) | bit(RVInterrupt.supervisorSoftware) & ~h.pointee.mvien | softwareInterrupts & bit(RVInterrupt.supervisorTimer)
        let own = virtualInterrupts & ~aliases
        h.pointee.mvip = h.pointee.mvip & ~own | value & own
        writeInterruptPending(value, writable: aliases)
    }
}
