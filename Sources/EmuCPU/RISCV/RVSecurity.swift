import EmuBus

/// Fields of mseccfg (privileged manual, "Machine Security Configuration (mseccfg) Register").
enum RVSecurity {
    // Smepmp: M-mode lockdown, M-mode allowlist, bypass of locked rules
    static let lockdown: UInt64 = 1 << 0
    static let allowlist: UInt64 = 1 << 1
    static let bypass: UInt64 = 1 << 2
    // Zkr: U-mode and S-mode may poll the entropy source
    static let userSeed: UInt64 = 1 << 8
    static let supervisorSeed: UInt64 = 1 << 9
    // Zicfilp: M-mode's computed jumps lead to landing pads
    static let landingPads: UInt64 = 1 << 10
}

extension RVConfig {
    /// Fields of mseccfg this processor has; the register exists if there are any.
    var securityMask: UInt64 {
        var mask: UInt64 = 0
        if extensions.contains(.smepmp) { mask |= RVSecurity.lockdown | RVSecurity.allowlist | RVSecurity.bypass }
        if extensions.contains(.zkr) { mask |= RVSecurity.userSeed | RVSecurity.supervisorSeed }
        if extensions.contains(.zicfilp) { mask |= RVSecurity.landingPads }
        if extensions.contains(.smmpm) { mask |= RVEnvironment.pmm }
        return mask
    }
}

extension RVProcessor {
    /// mseccfg: the rules of memory protection only get stricter, unless no entry is locked yet.
    func writeSecurity(_ value: UInt64) {
        let old = h.pointee.mseccfg
        var new = RVEnvironment.withLegalMask(value, old) & config.securityMask | old & (RVSecurity.lockdown | RVSecurity.allowlist)
        let isAnyLocked = (0..<Self.pmpEntries).contains { h.pointee.pmpcfg[$0] & RVPMPFlag.lock != 0 }
        if old & RVSecurity.bypass == 0 && isAnyLocked { new &= ~RVSecurity.bypass }
        h.pointee.mseccfg = new
        if (old ^ new) & (RVSecurity.lockdown | RVSecurity.allowlist) != 0 { pmpChanged() }
        modeRightsChanged()
    }
}
