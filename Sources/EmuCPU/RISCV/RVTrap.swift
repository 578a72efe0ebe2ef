import EmuBus

/// Traps and interrupts (privileged manual, "Machine Cause (mcause) Register", "Machine Interrupt (mip and mie) Registers", Sstc).
extension RVProcessor {
    // MARK: Entering a trap

    /// Enters the trap handler for an exception or, with bit 63 of `cause` set, an interrupt.
    /// - Parameters:
    ///   - value: what xtval receives.
    ///   - pc: what xepc receives: the instruction that trapped, or the first one not executed.
    ///   - level: whose handler, where it does not follow from delegation.
    package func takeTrap(cause: UInt64, value: UInt64, pc: UInt64, level: RVLevel? = nil) {
        if h.pointee.activeCounters != 0 { synchroniseCounters() }
        if h.pointee.countTriggers != 0 { countInstructions(includingTrap: cause & RVCause.interrupt != 0) }
        // What interrupts a sequence of lr and sc may touch memory in between.
        if h.pointee.isShared { h.pointee.reservedLength = 0 }
        let from = h.pointee.privilege, wasGuest = h.pointee.isGuest
        let isInterrupt = cause & RVCause.interrupt != 0
        let details = isInterrupt ? RVTrapDetails() : details(ofException: cause, value, pc)
        let level = level ?? handler(cause, from)
        if level != .guest { setVirtualization(false) }
        // A handler in S-mode that is not ready for another trap.
        let isDouble = level != .machine && h.pointee.mstatus & RVStatus.sdt != 0
        if isDouble { setVirtualization(false) }
        let to = level != .machine && !isDouble ? RVPrivilege.supervisor : RVPrivilege.machine
        if to == RVPrivilege.machine, isUnexpectedTrap(from: from) { return takeUnexpectedTrap(cause: isDouble ? RVCause.doubleTrap : cause, pc: pc) }
        let isGuest = h.pointee.isGuest
        let (fromMode, toMode) = (RVPrivilege.mode(from, isGuest: wasGuest), RVPrivilege.mode(to, isGuest: isGuest))
        Log.write(.interrupts, trapMessage(cause, value, pc, fromMode, toMode))

        let vector: UInt64
        if to == RVPrivilege.supervisor {
            if (isGuest ? h.pointee.henvcfg : h.pointee.menvcfg) & RVEnvironment.dte != 0 { h.pointee.mstatus |= RVStatus.sdt }
            h.pointee.scause = isGuest ? guestCause(cause) : cause
            h.pointee.sepc = pc & instructionAddressMask
            h.pointee.stval = value
            pushStatus(enable: RVStatus.sie, previousEnable: RVStatus.spie, previousPrivilege: RVStatus.spp, landingPad: RVStatus.spelp, from)
            if !isGuest { pushHypervisorStatus(details, from, wasGuest: wasGuest) }
            vector = h.pointee.stvec
        } else {
            h.pointee.mcause = isDouble ? RVCause.doubleTrap : cause
            h.pointee.mtval2 = isDouble ? cause : config.extensions.contains(.h) ? details.value : h.pointee.mtval2
            h.pointee.mtinst = details.instruction
            h.pointee.mepc = pc & instructionAddressMask
            h.pointee.mtval = value
            pushStatus(enable: RVStatus.mie, previousEnable: RVStatus.mpie, previousPrivilege: RVStatus.mpp, landingPad: RVStatus.mpelp, from)
            h.pointee.mstatus = h.pointee.mstatus & ~(RVStatus.mpv | RVStatus.gva) | (wasGuest ? RVStatus.mpv : 0) | (details.isGuests ? RVStatus.gva : 0)
            vector = h.pointee.mtvec
        }
        let isVectored = vector & 1 != 0 && isInterrupt && !isDouble
        h.pointee.pc = vector & ~3 &+ (isVectored ? ((isGuest ? guestCause(cause) : cause) & ~RVCause.interrupt) &* 4 : 0)
        h.pointee.privilege = to
        h.pointee.waiting = false
        if isRecording { recordTrap(cause, pc: pc, from: fromMode, to: toMode, target: h.pointee.pc) }
        privilegeChanged()
        overflowDeadlineChanged()
        triggersChangeMode()
        updateInterruptRequest()
        traps.note(cause: cause, value: value, pc: pc, from: fromMode, to: toMode, cycle: h.pointee.totalCycles)
        if cause <= RVCause.storeAccess { rememberFault(TrapRecord(cause: cause, value: value, pc: pc, from: fromMode, to: toMode, cycle: h.pointee.totalCycles)) }
        if let watch { didTrap(watch, cause, value, pc, from: fromMode, to: toMode) }
        if h.pointee.trapTriggers { fireTrapTrigger(isGuest ? guestCause(cause) : cause, from: fromMode) }
    }

    /// Whom a trap is delegated to.
    private func handler(_ cause: UInt64, _ from: UInt8) -> RVLevel {
        guard from <= RVPrivilege.supervisor else { return .machine }
        let number = cause & 63
        if cause & RVCause.interrupt != 0 {
            guard isSupervisors(interrupt: number) else { return .machine }
            return h.pointee.isGuest && (h.pointee.mideleg & h.pointee.hideleg) >> number & 1 != 0 ? .guest : .supervisor
        }
        guard h.pointee.medeleg >> number & 1 != 0 else { return .machine }
        return h.pointee.isGuest && h.pointee.hedeleg >> number & 1 != 0 ? .guest : .supervisor
    }

    /// How a guest sees a cause: VS-level interrupts are its own supervisor interrupts.
    private func guestCause(_ cause: UInt64) -> UInt64 {
        guard cause & RVCause.interrupt != 0, RVInterrupt.guests >> (cause & 63) & 1 != 0 else { return cause }
        return cause &- 1
    }

    /// What a trap to HS-mode writes beside what one to S-mode does.
    private func pushHypervisorStatus(_ details: RVTrapDetails, _ from: UInt8, wasGuest: Bool) {
        var status = h.pointee.hstatus & ~(RVHypervisorStatus.spv | RVHypervisorStatus.gva)
        if wasGuest {
            status = status & ~RVHypervisorStatus.spvp | RVHypervisorStatus.spv | (from == RVPrivilege.supervisor ? RVHypervisorStatus.spvp : 0)
        }
        if details.isGuests { status |= RVHypervisorStatus.gva }
        h.pointee.hstatus = status
        h.pointee.htval = details.value
        h.pointee.htinst = details.instruction
    }

    /// For those who ask later how the hart came to where it is.
    @inline(never)
    private func rememberFault(_ record: TrapRecord) {
        switch record.cause {
        case RVCause.illegalInstruction: traps.noteIllegal(record)
        case RVCause.fetchAccess, RVCause.loadAccess, RVCause.storeAccess: traps.noteRefused(record)
        default: break
        }
    }

    /// Saves the interrupt enable, the privilege and an expected landing pad in mstatus, disables interrupts and expects nothing.
    private func pushStatus(enable: UInt64, previousEnable: UInt64, previousPrivilege: UInt64, landingPad: UInt64, _ from: UInt8) {
        var status = h.pointee.mstatus
        status = status & enable != 0 ? status | previousEnable : status & ~previousEnable
        status &= ~(enable | previousPrivilege | landingPad)
        if h.pointee.expectedLandingPad != 0 {
            status |= landingPad
            expectLandingPad(false)
        }
        // The lowest bit of the field; SPP has only that one.
        status |= UInt64(from) &* (previousPrivilege & (0 &- previousPrivilege))
        h.pointee.mstatus = status
    }

    private func trapMessage(_ cause: UInt64, _ value: UInt64, _ pc: UInt64, _ from: UInt8, _ to: UInt8) -> String {
        "hart \(index): \(RVCause.name(cause)) at pc \(hex(pc)), tval \(hex(value)), \(RVPrivilege.name(from)) -> \(RVPrivilege.name(to))"
    }

    // MARK: Interrupts

    /// All pending interrupts, as mip shows them: the wires, what software set, and stimecmp.
    package var mip: UInt64 {
        let timer: UInt64 = 1 << RVInterrupt.supervisorTimer
        // Under mvien, software's SEIP is in mvip only.
        let software = h.pointee.mipSoftware & ~(h.pointee.mvien & 1 << UInt64(RVInterrupt.supervisorExternal))
        // STIP is stimecmp's or software's, never both.
        let own = h.pointee.menvcfg & RVEnvironment.stce != 0 ? h.pointee.mipLines | software & ~timer : h.pointee.mipLines & ~timer | software
        return own | h.pointee.hvip & RVInterrupt.guests | guestExternalInterrupts
    }

    /// Interrupts in decreasing priority.
    private static let priorities = [
        RVInterrupt.machineExternal, RVInterrupt.machineSoftware, RVInterrupt.machineTimer,
        RVInterrupt.supervisorExternal, RVInterrupt.supervisorSoftware, RVInterrupt.supervisorTimer, RVInterrupt.supervisorGuestExternal,
        RVInterrupt.guestExternal, RVInterrupt.guestSoftware, RVInterrupt.guestTimer, RVInterrupt.counterOverflow,
    ]

    /// The interrupt to take now, as a cause; nil when none is pending, enabled and above the present privilege.
    package func pendingInterrupt() -> UInt64? { nextInterrupt()?.cause }

    /// The same, and who handles it. A guest's is told by the guest's number.
    func nextInterrupt() -> (cause: UInt64, level: RVLevel)? {
        if !hasNonMaskableEnabled { return nil }
        let pending = mip & h.pointee.mie
        if pending == 0 && h.pointee.mvien == 0 && !h.pointee.isGuest { return nil }
        let privilege = h.pointee.privilege
        let forMachine = pending & ~h.pointee.mideleg
        if forMachine != 0 && (privilege < RVPrivilege.machine || h.pointee.mstatus & RVStatus.mie != 0) { return highest(forMachine).map { ($0, .machine) } }
        let forSupervisor = pending & h.pointee.mideleg & ~h.pointee.hideleg | virtualPending & h.pointee.virtualEnable
        // The mstatus of a guest is the guest's.
        let isEnabled = privilege < RVPrivilege.supervisor || privilege == RVPrivilege.supervisor && h.pointee.mstatus & RVStatus.sie != 0
        if forSupervisor != 0 && (isEnabled || h.pointee.isGuest) { return highest(forSupervisor).map { ($0, .supervisor) } }
        guard h.pointee.isGuest, isEnabled, let identity = guestTop?.identity else { return nil }
        return (RVCause.interrupt | identity, .guest)
    }

    func highest(_ pending: UInt64) -> UInt64? {
        for number in Self.priorities where pending >> UInt64(number) & 1 != 0 { return RVCause.interrupt | UInt64(number) }
        return nil
    }

    /// Makes the run loop look for an interrupt before the next block, or not.
    func updateInterruptRequest() {
        let isDue = mayBeInterrupted && (hasNonMaskable || nextInterrupt() != nil)
        // The word is read whole soon after, which waits for a write of a part of it.
        if isDue != (h.pointee.request & RVRequest.interrupt != 0) { h.pointee.request ^= RVRequest.interrupt }
    }

    /// False only when nothing at all is pending and enabled, or M-mode is not interrupted: which is what traps and returns mostly find.
    @inline(__always)
    private var mayBeInterrupted: Bool {
        if h.pointee.nonMaskablePending != 0 { return true }
        if h.pointee.privilege == RVPrivilege.machine && h.pointee.mstatus & RVStatus.mie == 0 { return false }
        return (h.pointee.mipLines | h.pointee.mipSoftware | h.pointee.hvip) & h.pointee.mie | h.pointee.hgeip | h.pointee.mvien != 0 || h.pointee.isGuest
    }

    /// Input wires are numbered like bits of mip: MSIP 3, MTIP 7, SEIP 9 and MEIP 11 follow the level; SSIP 1 is set by a rising
    /// level and cleared by software; from `guestFiles` on they are bits of hgeip. Others do not exist.
    public func setInterrupt(_ number: Int, level: Bool) {
        if h.pointee.isShared { return setSharedInterrupt(number, level: level) }
        switch number {
        case RVInterrupt.machineSoftware, RVInterrupt.machineTimer, RVInterrupt.supervisorExternal, RVInterrupt.machineExternal:
            let bit: UInt64 = 1 << UInt64(number)
            h.pointee.mipLines = level ? h.pointee.mipLines | bit : h.pointee.mipLines & ~bit
        case RVInterrupt.supervisorSoftware:
            if level { h.pointee.mipSoftware |= 1 << UInt64(number) }
        case RVInterrupt.guestFiles + 1..<2 * RVInterrupt.guestFiles:
            let bit: UInt64 = 1 << UInt64(number - RVInterrupt.guestFiles)
            h.pointee.hgeip = level ? h.pointee.hgeip | bit : h.pointee.hgeip & ~bit
        default: return
        }
        updateInterruptRequest()
    }

    /// True while the hart sits in `wfi` and no locally enabled interrupt is pending, whatever mstatus and mideleg say; and for good after a critical
    /// error (`RVHart.criticalError`).
    public var isWaiting: Bool {
        if h.pointee.criticalError != 0 { return true }
        return h.pointee.waiting && mip & h.pointee.mie | virtualPending & h.pointee.virtualEnable | h.pointee.nonMaskablePending == 0
            && !(h.pointee.isGuest && guestTop != nil)
    }

    // MARK: Sstc

    /// The stimecmp deadline has passed on the event queue.
    func supervisorTimerDue() { supervisorTimerChanged() }

    /// Compares `time` with stimecmp, drives STIP and schedules the next comparison. Also for the board to call when mtime jumps.
    public func supervisorTimerChanged() {
        if h.pointee.isParallel {
            // Looked at before each slice, and when the hart goes to sleep.
            if h.pointee.menvcfg & RVEnvironment.stce != 0 { compareSupervisorTimer() }
            return updateInterruptRequest()
        }
        supervisorTimer.cancel()
        if h.pointee.menvcfg & RVEnvironment.stce != 0 {
            let left = compareSupervisorTimer()
            let ticks = min(left.supervisor == 0 ? .max : left.supervisor, left.guest == 0 ? .max : left.guest)
            if ticks != .max { scheduleSupervisorTimer(in: ticks) }
        } else {
            driveLine(1 << RVInterrupt.guestTimer, false)
        }
        updateInterruptRequest()
    }

    /// Sets STIP to the result of `time` ≥ stimecmp, and VSTIP likewise for the guest's time; returns the ticks until they become true, 0 when they
    /// are, and `UInt64.max` for the guest's where it has none.
    @discardableResult
    func compareSupervisorTimer() -> (supervisor: UInt64, guest: UInt64) {
        let now = readTime()
        let isDue = now >= h.pointee.stimecmp
        driveLine(1 << RVInterrupt.supervisorTimer, isDue)
        let left = isDue ? 0 : h.pointee.stimecmp &- now
        guard h.pointee.henvcfg & RVEnvironment.stce != 0 else {
            driveLine(1 << RVInterrupt.guestTimer, false)
            return (left, .max)
        }
        let guestNow = now &+ h.pointee.htimedelta
        let isGuestDue = guestNow >= h.pointee.vstimecmp
        driveLine(1 << RVInterrupt.guestTimer, isGuestDue)
        return (left, isGuestDue ? 0 : h.pointee.vstimecmp &- guestNow)
    }

    /// Sets or clears a bit of `mipLines`, where devices on other threads drive others.
    @inline(__always)
    private func driveLine(_ bit: UInt64, _ level: Bool) {
        if (h.pointee.mipLines & bit != 0) == level { return }
        if h.pointee.isShared { return driveSharedLine(bit, level) }
        h.pointee.mipLines = level ? h.pointee.mipLines | bit : h.pointee.mipLines & ~bit
    }

    /// Sets and clears bits of `mipSoftware`, where devices on other threads may set others.
    func setSoftwareInterrupts(_ set: UInt64, clear: UInt64) {
        if h.pointee.isShared { return changeSharedInterrupts(clear: clear, set: set) }
        h.pointee.mipSoftware = h.pointee.mipSoftware & ~clear | set
    }

    private func scheduleSupervisorTimer(in ticks: UInt64) {
        let period = max(1, 1_000_000_000 / max(1, config.timebase))
        let (distance, tooFar) = ticks.multipliedReportingOverflow(by: period)
        // mtime ticks at multiples of the period.
        let now = events.now / period * period
        let (deadline, beyond) = now.addingReportingOverflow(distance)
        // Centuries away: never.
        if !tooFar && !beyond { supervisorTimer.schedule(at: deadline) }
    }

    // MARK: Reset

    /// The state after power-on: M-mode at the reset vector, interrupts and translation off. The cycle totals run on.
    ///
    /// Fields whose reset value the manual leaves open are zero, except that menvcfg enables what the device tree promises to
    /// software that knows no menvcfg: Svpbmt, and Svadu where Svade is not offered beside it; and mseccfg lets S-mode poll Zkr's seed.
    public func reset() {
        let old = h.pointee
        var state = RVHart(blockEnd: old.blockEnd, dataView: old.dataView, fetchView: old.fetchView, loads: old.loads, stores: old.stores, jumps: old.jumps)
        state.pc = config.resetVector
        state.mstatus = 2 << 32 | 2 << 34
        // These two make machine-mode software say that it is ready.
        if config.extensions.contains(.smdbltrp) { state.mstatus |= RVStatus.mdt }
        if config.extensions.contains(.smrnmi) { state.mnstatus = 0 }
        if config.extensions.contains(.svpbmt) { state.menvcfg |= RVEnvironment.pbmte }
        if config.extensions.contains(.svadu) && !config.extensions.contains(.svade) { state.menvcfg |= RVEnvironment.adue }
        if config.extensions.contains(.zkr) { state.mseccfg = RVSecurity.supervisorSeed }
        state.mideleg = delegatedForGood
        // Wires stay as their devices drive them.
        state.mipLines = old.mipLines & ~(1 << UInt64(RVInterrupt.supervisorTimer) | 1 << UInt64(RVInterrupt.guestTimer))
        state.hgeip = old.hgeip
        if config.extensions.contains(.h) { state.hstatus = RVHypervisorStatus.vsxl }
        // A reset does not rewind the sequence: that would hand out the same values twice.
        state.entropy = old.entropy
        state.totalCycles = old.totalCycles
        state.nonRetired = old.nonRetired
        state.mcycleOffset = 0 &- old.totalCycles
        state.minstretOffset = old.nonRetired &- old.totalCycles
        state.counterCycles = old.totalCycles
        state.counterRetired = old.totalCycles &- old.nonRetired
        state.triggerCycles = old.totalCycles
        // The rest of the state belongs to the run loop, which may be in the middle of a slice.
        // SAFETY: both sides are an `RVHart`, whose first `savedSize` bytes are its saved part.
        withUnsafeBytes(of: state) { bytes in
            UnsafeMutableRawBufferPointer(start: h, count: Self.savedSize).copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[..<Self.savedSize]))
        }
        // Nobody above the hypervisor is asked, and nobody there could open them.
        if !config.extensions.contains(.smstateen) { for register in 0..<4 { writeHypervisorStateEnable(register, .max) } }
        rebuildDerivedState()
        traps.clear()
        Log.write(.cpuReset, "hart \(index): reset, pc \(hex(state.pc)), misa \(hex(config.misa))")
    }

    /// Rebuilds what follows from the guest-visible state: PMP ranges, counters in use, views, timer and interrupt request.
    /// To be called after the state was replaced.
    func rebuildDerivedState() {
        h.pointee.reservedWrites = bus.foreignWrites
        rebuildPMPRanges()
        findActiveCounters()
        findTriggers()
        views.flushAll()
        modeRightsChanged()
        expectLandingPad(h.pointee.expectedLandingPad != 0)
        supervisorTimerChanged()
    }
}

extension RVPrivilege {
    /// Of a privilege, or of a mode (`mode(_:isGuest:)`).
    package static func name(_ number: UInt8) -> String {
        switch number {
        case user: "U"
        case supervisor: "S"
        case mode(user, isGuest: true): "VU"
        case mode(supervisor, isGuest: true): "VS"
        default: "M"
        }
    }
}

extension RVCause {
    /// What `-d int` and the debugger call a cause.
    package static func name(_ cause: UInt64) -> String {
        if cause & interrupt != 0 {
            switch cause & ~interrupt {
            case UInt64(RVInterrupt.supervisorSoftware): return "supervisor software interrupt"
            case UInt64(RVInterrupt.machineSoftware): return "machine software interrupt"
            case UInt64(RVInterrupt.guestSoftware): return "virtual supervisor software interrupt"
            case UInt64(RVInterrupt.guestTimer): return "virtual supervisor timer interrupt"
            case UInt64(RVInterrupt.guestExternal): return "virtual supervisor external interrupt"
            case UInt64(RVInterrupt.supervisorGuestExternal): return "supervisor guest external interrupt"
            case UInt64(RVInterrupt.supervisorTimer): return "supervisor timer interrupt"
            case UInt64(RVInterrupt.machineTimer): return "machine timer interrupt"
            case UInt64(RVInterrupt.supervisorExternal): return "supervisor external interrupt"
            case UInt64(RVInterrupt.machineExternal): return "machine external interrupt"
            case UInt64(RVInterrupt.counterOverflow): return "counter overflow interrupt"
            default: return "interrupt \(cause & ~interrupt)"
            }
        }
        switch cause {
        case fetchMisaligned: return "misaligned instruction address"
        case fetchAccess: return "instruction access fault"
        case illegalInstruction: return "illegal instruction"
        case breakpoint: return "breakpoint"
        case loadMisaligned: return "misaligned load"
        case loadAccess: return "load access fault"
        case storeMisaligned: return "misaligned store"
        case storeAccess: return "store access fault"
        case userCall: return "environment call from U-mode"
        case supervisorCall: return "environment call from S-mode"
        case machineCall: return "environment call from M-mode"
        case fetchPage: return "instruction page fault"
        case loadPage: return "load page fault"
        case storePage: return "store page fault"
        case doubleTrap: return "double trap"
        case softwareCheck: return "software check"
        case guestSupervisorCall: return "environment call from VS-mode"
        case fetchGuestPage: return "instruction guest-page fault"
        case loadGuestPage: return "load guest-page fault"
        case storeGuestPage: return "store guest-page fault"
        case virtualInstruction: return "virtual instruction"
        default: return "exception \(cause)"
        }
    }
}
