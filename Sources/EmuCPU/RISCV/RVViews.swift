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
    /// V = 1: addresses are translated in two stages. SUM and MXR are then those of the first.
    static let guest: UInt64 = 1 << 8
    /// MXR of HS-mode, which makes executable pages readable in the second stage as well.
    static let secondMXR: UInt64 = 1 << 9
    /// What loads need is the right to execute (HLVX).
    static let executeForRead: UInt64 = 1 << 10
}

/// The view a privilege had when it was last in force with V = 0, and what for: traps and returns find it here without its key.
/// SAFETY: `view` is one of the hart's `TLBViews`, which live as long as the hart; `assignments` tells whether it still is the view of that key.
struct RVModeView {
    var view: UnsafeMutablePointer<TLBView>?
    var satp: UInt64 = 0
    /// mstatus.MXR; the privilege, SUM and some bits of satp make the position in `RVHart.modeViews`.
    var status: UInt64 = 0
    /// `TLBViews.assignments` then.
    var assignments: UInt64 = 0
}

extension RVProcessor {
    /// Points `dataView` and `fetchView` at the views for the present privilege, address space and access rights.
    /// To be called whenever privilege, V, satp, hgatp, or mstatus.MPRV, MPP, MPV, SUM or MXR change.
    func viewChanged() {
        forgetPrivileges()
        findViews()
    }

    /// The same where only the privilege has changed, or V, after which `forgetPrivileges` was called: after traps and returns.
    func privilegeChanged() {
        guard !h.pointee.isGuest, h.pointee.mstatus & RVStatus.mprv == 0, h.pointee.privilegeAssignments == views.assignments,
            let view = h.pointee.privilegeViews[Int(h.pointee.privilege & 3)] else {
            findViews()
            if !h.pointee.isGuest { rememberView() }
            return
        }
        views.use(view)
        h.pointee.fetchView = view
        h.pointee.dataView = view
        csrLevelChanged()
    }

    private func rememberView() {
        if h.pointee.privilegeAssignments != views.assignments {
            h.pointee.privilegeViews = InlineArray(repeating: nil)
            h.pointee.privilegeAssignments = views.assignments
        }
        h.pointee.privilegeViews[Int(h.pointee.privilege & 3)] = h.pointee.fetchView
    }

    /// The views of the other privileges are not known any more.
    func forgetPrivileges() { h.pointee.privilegeAssignments = 0 }

    @inline(__always)
    private func findViews() {
        let privilege = h.pointee.privilege
        let status = h.pointee.mstatus
        let fetch = h.pointee.isGuest ? views.view(guestKey(privilege)) : modeView(privilege, status)
        h.pointee.fetchView = fetch
        h.pointee.dataView = status & RVStatus.mprv != 0 && hasNonMaskableEnabled ? views.view(borrowedKey(status)) : fetch
        csrLevelChanged()
    }

    @inline(__always)
    private func modeView(_ privilege: UInt8, _ status: UInt64) -> UnsafeMutablePointer<TLBView> {
        let space = h.pointee.satp ^ h.pointee.satp >> 44, mxr = status & RVStatus.mxr
        let position = Int(truncatingIfNeeded: UInt64(privilege & 3) | (status & RVStatus.sum) >> 16 | (space & 3) << 3)
        if h.pointee.modeViews[position].satp == h.pointee.satp, h.pointee.modeViews[position].status == mxr,
            h.pointee.modeViews[position].assignments == views.assignments, let view = h.pointee.modeViews[position].view {
            views.use(view)
            return view
        }
        let view = views.view(viewKey(privilege, status))
        h.pointee.modeViews[position] = RVModeView(view: view, satp: h.pointee.satp, status: mxr, assignments: views.assignments)
        return view
    }

    /// Brings `csrLevel` up to date after a change of privilege, or of what a debugger wants to hear of.
    func csrLevelChanged() {
        if let watch, watch.events.contains(.registerWrites) {
            h.pointee.csrLevel = 0
        } else {
            h.pointee.csrLevel = UInt32(h.pointee.privilege)
        }
    }

    /// Brings `modeRights` up to date after a change of menvcfg, henvcfg, senvcfg, mseccfg, mctrctl or vsctrctl, or after the state was replaced.
    func modeRightsChanged() {
        func setRights(_ mode: UInt8, _ configuration: UInt64, landingPads: UInt64) {
            var rights = (configuration >> RVEnvironment.pmmShift & 3) << RVRights.pointerMaskShift
            if configuration & landingPads != 0 { rights |= RVRights.landingPads }
            if isRecorded(mode) { rights |= RVRights.recording }
            h.pointee.modeRights[Int(mode)] = rights
        }
        setRights(RVPrivilege.machine, h.pointee.mseccfg, landingPads: RVSecurity.landingPads)
        setRights(RVPrivilege.supervisor, h.pointee.menvcfg, landingPads: RVEnvironment.lpe)
        setRights(RVPrivilege.user, h.pointee.senvcfg, landingPads: RVEnvironment.lpe)
        setRights(RVPrivilege.mode(RVPrivilege.supervisor, isGuest: true), h.pointee.henvcfg, landingPads: RVEnvironment.lpe)
        setRights(RVPrivilege.mode(RVPrivilege.user, isGuest: true), h.pointee.senvcfg, landingPads: RVEnvironment.lpe)
        h.pointee.modeViews = InlineArray(repeating: RVModeView())
        viewChanged()
    }

    /// What a mode's configuration adds to its rights. Guests have no other privileges than U and S, whatever a state from outside holds in MPP.
    func modeRights(_ privilege: UInt8, isGuest: Bool) -> UInt64 {
        h.pointee.modeRights[Int(RVPrivilege.mode(isGuest ? privilege & 1 : privilege, isGuest: isGuest))]
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

    /// Of data accesses under MPRV: what MPP and MPV say.
    private func borrowedKey(_ status: UInt64) -> TLBViewKey {
        let effective = UInt8(truncatingIfNeeded: (status & RVStatus.mpp) >> 11)
        return effective != RVPrivilege.machine && status & RVStatus.mpv != 0 ? guestKey(effective) : viewKey(effective, status)
    }

    /// The same with V = 1, whether or not that is so now.
    private func guestKey(_ privilege: UInt8) -> TLBViewKey {
        let isGuest = h.pointee.isGuest
        let own = isGuest ? h.pointee.mstatus : h.pointee.standby.status
        let host = isGuest ? h.pointee.standby.status : h.pointee.mstatus
        var key = TLBViewKey(
            space: isGuest ? h.pointee.satp : h.pointee.standby.satp, rights: UInt64(privilege) | modeRights(privilege, isGuest: true) | RVRights.guest,
            guestSpace: h.pointee.hgatp)
        let hasMXR = (own | host) & RVStatus.mxr != 0
        if hasMXR { key.rights &= ~RVRights.pointerMask }
        if key.space != 0 {
            if hasMXR { key.rights |= RVRights.mxr }
            if own & RVStatus.sum != 0 && privilege == RVPrivilege.supervisor { key.rights |= RVRights.sum }
        }
        if key.guestSpace != 0 && host & RVStatus.mxr != 0 { key.rights |= RVRights.secondMXR }
        return key
    }

    /// What HLV, HLVX and HSV go by, with V = 0: the privilege in hstatus.SPVP.
    /// - Parameter isUser: executed in U-mode, where hstatus.HUPMM masks pointers as senvcfg.PMM does for others.
    func hypervisorsKey(isUser: Bool, isFetch: Bool) -> TLBViewKey {
        let isSupervisor = h.pointee.hstatus & RVHypervisorStatus.spvp != 0
        var key = guestKey(isSupervisor ? RVPrivilege.supervisor : RVPrivilege.user)
        if isUser && !isSupervisor && key.rights & RVRights.mxr == 0 && (h.pointee.mstatus | h.pointee.standby.status) & RVStatus.mxr == 0 {
            let mask = h.pointee.hstatus >> RVHypervisorStatus.hupmmShift & 3
            key.rights = key.rights & ~RVRights.pointerMask | mask << RVRights.pointerMaskShift
        }
        if isFetch { key.rights = key.rights & ~RVRights.pointerMask | RVRights.executeForRead }
        return key
    }
}
