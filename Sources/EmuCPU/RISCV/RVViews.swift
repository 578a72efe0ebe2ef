/// How access rights are packed into a TLB view's key.
enum RVRights {
    /// Effective privilege.
    static let privilegeMask: UInt64 = 3
    static let sum: UInt64 = 1 << 2
    static let mxr: UInt64 = 1 << 3
    /// Pointer masking: PMM of the register that configures the privilege.
    static let pointerMask: UInt64 = 3 << 4
    static let pointerMaskShift: UInt64 = 4
    /// Computed jumps must lead to landing pads.
    static let landingPads: UInt64 = 1 << 6
    /// Control transfers are recorded.
    static let recording: UInt64 = 1 << 7
    /// Where those two are: a `BlockMode`.
    static let blockModeShift: UInt64 = 6
    static let blockModes: UInt64 = 3
}

extension RVProcessor {
    /// Points `dataView` and `fetchView` at the views for the present privilege, address space and access rights.
    /// To be called whenever privilege, satp, or mstatus.MPRV, MPP, SUM or MXR change.
    func viewChanged() {
        let privilege = h.pointee.privilege
        let status = h.pointee.mstatus
        let fetch = views.view(viewKey(privilege, status))
        h.pointee.fetchView = fetch
        let effective = status & RVStatus.mprv != 0 && hasNonMaskableEnabled ? UInt8(truncatingIfNeeded: (status & RVStatus.mpp) >> 11) : privilege
        h.pointee.dataView = effective == privilege ? fetch : views.view(viewKey(effective, status))
        csrLevelChanged()
    }

    /// Brings `csrLevel` up to date after a change of privilege, or of what a debugger wants to hear of.
    func csrLevelChanged() {
        let isObserved = watch.map { $0.events.contains(.registerWrites) } ?? false
        h.pointee.csrLevel = isObserved ? 0 : UInt32(h.pointee.privilege)
    }

    /// Brings `modeRights` up to date after a change of menvcfg, senvcfg, mseccfg or mctrctl, or after the state was replaced.
    func modeRightsChanged() {
        func setRights(_ privilege: UInt8, _ configuration: UInt64, landingPads: UInt64) {
            var rights = (configuration >> RVEnvironment.pmmShift & 3) << RVRights.pointerMaskShift
            if configuration & landingPads != 0 { rights |= RVRights.landingPads }
            if h.pointee.mctrctl & Self.transferBit(privilege) != 0 { rights |= RVRights.recording }
            h.pointee.modeRights[Int(privilege)] = rights
        }
        setRights(RVPrivilege.machine, h.pointee.mseccfg, landingPads: RVSecurity.landingPads)
        setRights(RVPrivilege.supervisor, h.pointee.menvcfg, landingPads: RVEnvironment.lpe)
        setRights(RVPrivilege.user, h.pointee.senvcfg, landingPads: RVEnvironment.lpe)
        viewChanged()
    }

    @inline(__always)
    private func viewKey(_ privilege: UInt8, _ status: UInt64) -> TLBViewKey {
        var key = TLBViewKey(space: 0, rights: UInt64(privilege) | h.pointee.modeRights[Int(privilege)])
        // MXR ends pointer masking below M-mode, whether or not pages are translated.
        if status & RVStatus.mxr != 0 && privilege != RVPrivilege.machine { key.rights &= ~RVRights.pointerMask }
        // SUM and MXR matter only where pages are translated, SUM only to S-mode.
        if privilege != RVPrivilege.machine && h.pointee.satp != 0 {
            key.space = h.pointee.satp
            if status & RVStatus.mxr != 0 { key.rights |= RVRights.mxr }
            if status & RVStatus.sum != 0 && privilege == RVPrivilege.supervisor { key.rights |= RVRights.sum }
        }
        return key
    }
}
