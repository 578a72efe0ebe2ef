/// What one hart implements beyond the base, found by trying.
struct HartFeatures {
    /// `stimecmp` exists (Sstc).
    var hasStimecmp = false
    /// The `time` CSR exists.
    var hasTime = false
    /// `mcountinhibit` exists: counters can be stopped.
    var hasCounterInhibit = false
    /// Sscofpmf: counters can interrupt on overflow and be filtered by mode.
    var hasCounterOverflow = false
    /// Smrnmi: interrupts are off until mnstatus.NMIE is set.
    var hasNonMaskable = false
    /// Hypervisor extension.
    var hasHypervisor = false
    var hasFloat = false
    var hasDouble = false
    var hasVector = false
    /// Bit n: `mhpmcounter`n can count (bits 0 and 2: cycle and instret).
    var counters: UInt64 = 0
    /// Writable bits of mcounteren.
    var counterEnable: UInt64 = 0
    /// The protection unit has at least two entries.
    var hasPMP = false

    static func extensionBit(_ letter: Unicode.Scalar) -> UInt64 { 1 << UInt64(letter.value - 0x41) }

    static func probe() -> HartFeatures {
        var features = HartFeatures()
        let misa = read_misa()
        features.hasHypervisor = misa & extensionBit("H") != 0
        features.hasFloat = misa & extensionBit("F") != 0
        features.hasDouble = misa & extensionBit("D") != 0
        features.hasVector = misa & extensionBit("V") != 0
        features.hasTime = has_time()
        features.hasCounterInhibit = has_mcountinhibit()
        features.hasCounterOverflow = has_scountovf()
        features.hasNonMaskable = has_mnstatus()
        features.hasPMP = has_pmpcfg0() && has_pmpaddr1()
        features.counters = probeCounters()
        if has_mcounteren() {
            write_mcounteren(0xffff_ffff)
            features.counterEnable = read_mcounteren()
        }
        if has_menvcfg() {
            write_menvcfg(EnvironmentConfig.supervisor)
            // menvcfg.STCE opens stimecmp to S mode; without it the CSR is of no use there. And without a working CSR the
            // bit must not stay set, as it takes mip.STIP out of the firmware's hands.
            features.hasStimecmp = read_menvcfg() & EnvironmentConfig.stimecmp != 0 && has_stimecmp()
            if !features.hasStimecmp { clear_menvcfg(EnvironmentConfig.stimecmp) }
        }
        return features
    }

    /// A counter that exists keeps what is written; one that does not is read-only zero or traps.
    private static func probeCounters() -> UInt64 {
        var found: UInt64 = 0
        for number: UInt64 in 0..<32 where number != 1 && has_hpmcounter(number) {
            if number < 3 {
                found |= 1 << number
                continue
            }
            let before = read_mhpmcounter(number)
            write_mhpmcounter(number, 0x1000)
            if read_mhpmcounter(number) != 0 { found |= 1 << number }
            write_mhpmcounter(number, before)
        }
        return found
    }
}

/// Fields of menvcfg.
enum EnvironmentConfig {
    static let stimecmp: UInt64 = 1 << 63
    static let pageBasedMemoryTypes: UInt64 = 1 << 62
    static let hardwareAccessedDirty: UInt64 = 1 << 61
    /// Smcdeleg: S mode uses the counters that mcounteren shows it.
    static let counterDelegation: UInt64 = 1 << 60
    // Features of FWFT.
    static let landingPad: UInt64 = 1 << 2
    static let shadowStack: UInt64 = 1 << 3
    static let pointerMask: UInt64 = 3 << 32
    static let pointerMask7: UInt64 = 2 << 32
    static let pointerMask16: UInt64 = 3 << 32
    static let doubleTrap: UInt64 = 1 << 59
    static let cacheBlockZero: UInt64 = 1 << 7
    static let cacheBlockClean: UInt64 = 1 << 6
    static let cacheBlockInvalidate: UInt64 = 3 << 4

    /// What S mode is given. Hardware updating of A and D bits stays off unless the device tree promises it
    /// (`Platform.hardwareUpdatesAccessedDirty`).
    static var supervisor: UInt64 {
        var value = stimecmp | pageBasedMemoryTypes | counterDelegation | cacheBlockZero | cacheBlockClean | cacheBlockInvalidate
        if platform.pointee.hardwareUpdatesAccessedDirty { value |= hardwareAccessedDirty }
        return value
    }
}

/// Fields of mstatus.
enum MachineStatus {
    static let supervisorInterruptEnable: UInt64 = 1 << 1
    static let supervisorPreviousEnable: UInt64 = 1 << 5
    static let machinePreviousEnable: UInt64 = 1 << 7
    static let supervisorPreviousPrivilege: UInt64 = 1 << 8
    static let vectorInitial: UInt64 = 1 << 9
    static let machinePreviousPrivilege: UInt64 = 3 << 11
    static let machinePreviousPrivilegeShift: UInt64 = 11
    static let floatInitial: UInt64 = 1 << 13
    /// A landing pad is expected: as the trap left it, and as S mode's trap does.
    static let machineLandingPad: UInt64 = 1 << 41
    static let supervisorLandingPad: UInt64 = 1 << 23
    /// S mode is not ready for a trap (Ssdbltrp).
    static let supervisorDisableTrap: UInt64 = 1 << 24
    static let floatDirty: UInt64 = 3 << 13
    static let machinePreviousVirtualization: UInt64 = 1 << 39
    static let guestVirtualAddress: UInt64 = 1 << 38
}

/// Fields of mnstatus.
enum NonMaskable {
    static let enable: UInt64 = 1 << 3
}

/// Bits of mip, mie and mideleg.
enum Interrupt {
    static let supervisorSoftware: UInt64 = 1 << 1
    static let machineSoftware: UInt64 = 1 << 3
    static let supervisorTimer: UInt64 = 1 << 5
    static let machineTimer: UInt64 = 1 << 7
    static let supervisorExternal: UInt64 = 1 << 9
    static let machineExternal: UInt64 = 1 << 11
    static let counterOverflow: UInt64 = 1 << 13
}

/// Exception codes (mcause).
enum Exception {
    static let fetchMisaligned: UInt64 = 0
    static let fetchAccess: UInt64 = 1
    static let illegalInstruction: UInt64 = 2
    static let breakpoint: UInt64 = 3
    static let loadMisaligned: UInt64 = 4
    static let loadAccess: UInt64 = 5
    static let storeMisaligned: UInt64 = 6
    static let storeAccess: UInt64 = 7
    static let userCall: UInt64 = 8
    static let supervisorCall: UInt64 = 9
    static let virtualSupervisorCall: UInt64 = 10
    static let fetchPage: UInt64 = 12
    static let loadPage: UInt64 = 13
    static let storePage: UInt64 = 15
    static let doubleTrap: UInt64 = 16
    static let softwareCheck: UInt64 = 18
    static let guestFetchPage: UInt64 = 20
    static let guestLoadPage: UInt64 = 21
    static let virtualInstruction: UInt64 = 22
    static let guestStorePage: UInt64 = 23
}

/// Brings the executing hart's machine-mode CSRs to the state S mode starts from.
func configureHart(_ hart: HartPointer) {
    hart.pointee.features = HartFeatures.probe()
    let features = hart.pointee.features

    var status: UInt64 = 0
    if features.hasFloat { status |= MachineStatus.floatInitial }
    if features.hasVector { status |= MachineStatus.vectorInitial }
    write_mstatus(status)

    var exceptions: UInt64 = 1 << Exception.fetchMisaligned | 1 << Exception.breakpoint | 1 << Exception.userCall
    exceptions |= 1 << Exception.fetchPage | 1 << Exception.loadPage | 1 << Exception.storePage
    exceptions |= 1 << Exception.softwareCheck
    if features.hasHypervisor {
        exceptions |= 1 << Exception.virtualSupervisorCall | 1 << Exception.virtualInstruction
        exceptions |= 1 << Exception.guestFetchPage | 1 << Exception.guestLoadPage | 1 << Exception.guestStorePage
    }
    write_medeleg(exceptions)

    var interrupts = Interrupt.supervisorSoftware | Interrupt.supervisorTimer | Interrupt.supervisorExternal
    if features.hasCounterOverflow { interrupts |= Interrupt.counterOverflow }
    write_mideleg(interrupts)

    if features.hasNonMaskable { set_mnstatus(NonMaskable.enable) }
    if has_mstateen0() { openStateEnables() }
    write_scounteren(0b111)
    write_satp(0)
    configurePMP(features)
    resetPMU(hart)
    resetTimer(hart)

    clear_mip(Interrupt.supervisorSoftware | Interrupt.supervisorTimer | Interrupt.supervisorExternal)
    if hart.interprocessorInterrupt == Interrupt.machineExternal { openInterruptFile() }
    write_mie(hart.interprocessorInterrupt)
}

/// Smstateen: nothing is withheld from S mode (bit 63 lets it write sstateen). Bits of absent extensions ignore the write.
private func openStateEnables() {
    // Bit 0 covers custom state, of which the firmware knows nothing.
    write_mstateen0(~1)
    write_mstateen1(1 << 63)
    write_mstateen2(1 << 63)
    write_mstateen3(1 << 63)
}
