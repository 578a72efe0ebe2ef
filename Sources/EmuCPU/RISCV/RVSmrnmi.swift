import EmuBus

extension RVTable {
    /// Smrnmi: the return from a non-maskable interrupt.
    static let smrnmi: [RVInstruction] = [
        .init("mnret", "0111000 00010 00000 000 00000 1110011", .all(.smrnmi), .none, .mnret),
    ]
}

/// Fields of mnstatus (privileged manual, "Smrnmi").
enum RVNonMaskable {
    /// NMIE: interrupts are enabled at all.
    static let enabled: UInt64 = 1 << 3
    /// MNPV: the interrupt came while V was 1.
    static let previousGuest: UInt64 = 1 << 7
    static let previousLandingPad: UInt64 = 1 << 9
    static let previousPrivilege: UInt64 = 3 << 11
    static let previousPrivilegeShift: UInt64 = 11
}

/// Smrnmi: non-maskable interrupts one can return from; Smdbltrp: what becomes of a trap into M-mode while M-mode is not ready for one
/// (privileged manual, "Double Trap Control in mstatus Register").
///
/// The addresses of both of Smrnmi's handlers are the implementation's to choose: here they are mtvec.BASE. A handler there finds mnstatus.NMIE
/// clear when it was entered by a non-maskable interrupt or a double trap.
extension RVProcessor {
    private var handler: UInt64 { h.pointee.mtvec & ~3 }

    /// mnstatus.NMIE, which hides MPRV and all interrupts while it is clear. Always true without Smrnmi.
    @inline(__always)
    var hasNonMaskableEnabled: Bool { h.pointee.mnstatus & RVNonMaskable.enabled != 0 }

    // MARK: Interrupts

    /// Raises a non-maskable interrupt, which stays pending until it is taken.
    /// - Parameter cause: what mncause tells, 0…63; 0 for no particular one.
    package func raiseNonMaskable(cause: UInt64 = 0) {
        guard config.extensions.contains(.smrnmi) else { return }
        h.pointee.nonMaskablePending |= 1 << (cause & 63)
        updateInterruptRequest()
    }

    /// A non-maskable interrupt is to be taken now.
    @inline(__always)
    var hasNonMaskable: Bool { h.pointee.nonMaskablePending != 0 && hasNonMaskableEnabled }

    func takeNonMaskable() {
        let cause = UInt64(truncatingIfNeeded: h.pointee.nonMaskablePending.trailingZeroBitCount)
        h.pointee.nonMaskablePending &= h.pointee.nonMaskablePending &- 1
        if h.pointee.activeCounters != 0 { synchroniseCounters() }
        if h.pointee.countTriggers != 0 { countInstructions(includingTrap: true) }
        if h.pointee.isShared { h.pointee.reservedLength = 0 }
        Log.write(.interrupts, "hart \(index): non-maskable interrupt \(cause) at pc \(hex(h.pointee.pc))")
        enterNonMaskableHandler(cause: RVCause.interrupt | cause, pc: h.pointee.pc, from: h.pointee.privilege)
    }

    private func enterNonMaskableHandler(cause: UInt64, pc: UInt64, from: UInt8) {
        let wasGuest = h.pointee.isGuest
        let fromMode = RVPrivilege.mode(from, isGuest: wasGuest)
        h.pointee.mnepc = pc & instructionAddressMask
        h.pointee.mncause = cause
        h.pointee.mnstatus = UInt64(from) << RVNonMaskable.previousPrivilegeShift | (wasGuest ? RVNonMaskable.previousGuest : 0)
        setVirtualization(false)
        if h.pointee.expectedLandingPad != 0 {
            h.pointee.mnstatus |= RVNonMaskable.previousLandingPad
            expectLandingPad(false)
        }
        h.pointee.pc = handler
        h.pointee.privilege = RVPrivilege.machine
        h.pointee.waiting = false
        if isRecording { recordTrap(cause, pc: pc, from: fromMode, to: RVPrivilege.machine, target: handler) }
        viewChanged()
        overflowDeadlineChanged()
        triggersChangeMode()
        updateInterruptRequest()
        traps.note(cause: cause, value: 0, pc: pc, from: fromMode, to: RVPrivilege.machine, cycle: h.pointee.totalCycles)
        if let watch { didTrap(watch, cause, 0, pc, from: fromMode, to: RVPrivilege.machine) }
    }

    /// mnret. `pc` already points past it.
    func returnFromNonMaskable(_ r: DecodedOp) {
        let status = h.pointee.mnstatus
        let privilege = UInt8(truncatingIfNeeded: status >> RVNonMaskable.previousPrivilegeShift & 3)
        h.pointee.mnstatus |= RVNonMaskable.enabled
        let cleared = privilege == RVPrivilege.machine ? 0 : RVStatus.mdt
        let expects = status & RVNonMaskable.previousLandingPad != 0
        let isGuest = status & RVNonMaskable.previousGuest != 0 && privilege != RVPrivilege.machine
        returned(to: privilege, isGuest: isGuest, at: h.pointee.mnepc, expectsLandingPad: expects, status: h.pointee.mstatus & ~cleared, by: r)
    }

    // MARK: Double traps

    /// Whether a trap into M-mode must not be taken as usual; sets mstatus.MDT otherwise.
    @inline(__always)
    func isUnexpectedTrap(from: UInt8) -> Bool {
        guard config.extensions.contains(.smdbltrp) else { return false }
        if h.pointee.mstatus & RVStatus.mdt != 0 || from == RVPrivilege.machine && !hasNonMaskableEnabled { return true }
        h.pointee.mstatus |= RVStatus.mdt
        return false
    }

    /// The trap goes to the handler of non-maskable interrupts or, where there is none or that is at work, the hart ceases to execute, with
    /// nothing changed.
    func takeUnexpectedTrap(cause: UInt64, pc: UInt64) {
        Log.write(.interrupts, "hart \(index): double trap in machine mode: \(RVCause.name(cause)) at pc \(hex(pc))")
        if config.extensions.contains(.smrnmi), hasNonMaskableEnabled {
            // It is told as one from M-mode, whatever interrupted it.
            enterNonMaskableHandler(cause: cause, pc: pc, from: RVPrivilege.machine)
            return
        }
        Log.write(.guestErrors, "hart \(index): critical error: \(RVCause.name(cause)) at pc \(hex(pc)) while machine mode could take no trap; the hart stops")
        h.pointee.criticalError = 1
        h.pointee.pc = pc
        h.pointee.waiting = true
        h.pointee.request |= RVRequest.exit
    }

    // MARK: Registers

    func writeNonMaskableStatus(_ value: UInt64) {
        let old = h.pointee.mnstatus
        var new = value & (RVNonMaskable.previousPrivilege | RVNonMaskable.enabled)
        if config.extensions.contains(.zicfilp) { new |= value & RVNonMaskable.previousLandingPad }
        if config.extensions.contains(.h) { new |= value & RVNonMaskable.previousGuest }
        // Software can set NMIE, not clear it.
        new |= old & RVNonMaskable.enabled
        if new & RVNonMaskable.previousPrivilege == RVStatus.mppReserved { new = new & ~RVNonMaskable.previousPrivilege | old & RVNonMaskable.previousPrivilege }
        h.pointee.mnstatus = new
        viewChanged()
        updateInterruptRequest()
    }

    /// Legal bits of mncause: an interrupt or exception.
    static let nonMaskableCauses: UInt64 = RVCause.interrupt | 0x3f
}
