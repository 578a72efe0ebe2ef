/// Smstateen and Ssstateen: M-mode decides which extension state lower modes may see.
///
/// Of the state the registers can guard this hart has senvcfg, the sstateen registers themselves and perhaps Ssaia's, so those are the
/// writable bits; sstateen has none (no custom state, no Zfinx, no jvt) and reads as zero.
enum RVStateEnable {
    /// SE0 of mstateen0 and the same bit of mstateen1…3: access to the matching sstateen.
    static let stateEnable: UInt64 = 1 << 63
    /// ENVCFG of mstateen0: access to senvcfg.
    static let environment: UInt64 = 1 << 62
    /// CSRIND, AIA and IMSIC of mstateen0: indirect access, the other registers of Ssaia, and the interrupt file.
    static let indirect: UInt64 = 1 << 60
    static let interrupts: UInt64 = 1 << 59
    static let interruptFile: UInt64 = 1 << 58
    /// CONTEXT of mstateen0: access to scontext.
    static let context: UInt64 = 1 << 57
    /// SRMCFG of mstateen0: access to srmcfg.
    static let resources: UInt64 = 1 << 55
    /// CTR of mstateen0: access to control transfer records.
    static let transfers: UInt64 = 1 << 54
}

extension RVProcessor {
    /// True when the present privilege may access state guarded by `bit` of mstateen`register`.
    func stateEnabled(_ register: Int, _ bit: UInt64) -> Bool {
        h.pointee.privilege == RVPrivilege.machine || !config.extensions.contains(.smstateen) || h.pointee.mstateen[register] & bit != 0
    }

    func writeStateEnable(_ register: Int, _ value: UInt64) {
        var writable = RVStateEnable.stateEnable
        if register == 0 {
            writable |= RVStateEnable.environment
            if config.extensions.contains(.sscsrind) { writable |= RVStateEnable.indirect }
            if config.extensions.contains(.ssaia) { writable |= RVStateEnable.indirect | RVStateEnable.interrupts }
            if config.extensions.contains(.ssqosid) { writable |= RVStateEnable.resources }
            if config.extensions.contains(.ssctr) { writable |= RVStateEnable.transfers }
            if config.extensions.contains(.sdtrig) { writable |= RVStateEnable.context }
            if supervisorFile != nil { writable |= RVStateEnable.interruptFile }
        }
        h.pointee.mstateen[register] = value & writable
    }
}
