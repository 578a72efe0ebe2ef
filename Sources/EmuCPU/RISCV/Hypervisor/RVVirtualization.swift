/// Fields of hstatus (privileged manual, "Hypervisor Status (hstatus) Register"). VSBE is fixed at little-endian, VSXL at 64 bits.
enum RVHypervisorStatus {
    static let gva: UInt64 = 1 << 6
    static let spv: UInt64 = 1 << 7
    static let spvp: UInt64 = 1 << 8
    static let hu: UInt64 = 1 << 9
    static let vgein: UInt64 = 0x3f << 12
    static let vgeinShift: UInt64 = 12
    static let vtvm: UInt64 = 1 << 20
    static let vtw: UInt64 = 1 << 21
    static let vtsr: UInt64 = 1 << 22
    static let vsxl: UInt64 = 2 << 32
    static let hupmm: UInt64 = 3 << 48
    static let hupmmShift: UInt64 = 48
}

/// Who handles a trap, and whose registers it writes.
package enum RVLevel: UInt8 {
    case machine
    /// HS-mode, which is S-mode where there is no hypervisor extension.
    case supervisor
    /// VS-mode.
    case guest
}

extension RVPrivilege {
    /// A privilege and the virtualisation mode in one number, as debuggers and the log have it: U 0, S (HS) 1, M 3, VU 4, VS 5.
    package static func mode(_ privilege: UInt8, isGuest: Bool) -> UInt8 { isGuest ? privilege | 4 : privilege }
    static func isGuest(_ mode: UInt8) -> Bool { mode & 4 != 0 }
    static func privilege(_ mode: UInt8) -> UInt8 { mode & 3 }
}

/// Virtualisation mode V (privileged manual, "H Extension for Hypervisor Support"; docs/hypervisor.md).
extension RVProcessor {
    /// Fields of mstatus that are sstatus's own and that vsstatus has, too.
    private static let exchanged = RVStatus.sie | RVStatus.spie | RVStatus.spp | RVStatus.sum | RVStatus.mxr | RVStatus.spelp | RVStatus.sdt | units
    private static let units = RVStatus.fs | RVStatus.vs

    /// Changes V: the supervisor registers in force change places with the others. The caller brings views up to date.
    func setVirtualization(_ isGuest: Bool) {
        if h.pointee.isGuest != isGuest { exchangeSupervisors() }
    }

    /// SAFETY: `standby` is only used inside the closure, where nothing else reaches that part of the state.
    private func exchangeSupervisors() {
        withUnsafeMutablePointer(to: &h.pointee.standby) { standby in
            swap(&h.pointee.stvec, &standby.pointee.stvec)
            swap(&h.pointee.sscratch, &standby.pointee.sscratch)
            swap(&h.pointee.sepc, &standby.pointee.sepc)
            swap(&h.pointee.scause, &standby.pointee.scause)
            swap(&h.pointee.stval, &standby.pointee.stval)
            swap(&h.pointee.satp, &standby.pointee.satp)
            if h.pointee.isGuest { settleUnits() }
            let own = h.pointee.mstatus & Self.exchanged, other = standby.pointee.status
            h.pointee.mstatus = h.pointee.mstatus & ~Self.exchanged | other
            if h.pointee.isGuest {
                standby.pointee.status = own & ~Self.units | h.pointee.guestUnits
                h.pointee.guestUnits = 0
            } else {
                standby.pointee.status = own
                h.pointee.guestUnits = other & Self.units
            }
            h.pointee.virtualization ^= 1
            combineUnits()
        }
        forgetPrivileges()
        noteVectorConfiguration()
    }

    /// While V = 1, mstatus.FS and VS hold what both levels together allow: off if either is off, dirty if both are. What execution makes dirty
    /// is dirty at both levels.
    private func settleUnits() {
        for field in [RVStatus.fs, RVStatus.vs] where h.pointee.mstatus & field == field {
            h.pointee.guestUnits |= field
            h.pointee.standby.status |= field
        }
    }

    private func combineUnits() {
        guard h.pointee.isGuest else { return }
        for field in [RVStatus.fs, RVStatus.vs] {
            let host = h.pointee.standby.status & field, guest = h.pointee.guestUnits & field
            let both = host == 0 || guest == 0 ? 0 : host & guest == field ? field : field & (0 &- field)
            h.pointee.mstatus = h.pointee.mstatus & ~field | both
        }
    }

    /// sstatus as a guest reads it, vsstatus: without SD.
    var guestStatus: UInt64 {
        if !h.pointee.isGuest { return h.pointee.standby.status | h.pointee.mstatus & RVStatus.uxl }
        settleUnits()
        return h.pointee.mstatus & (Self.exchanged & ~Self.units | RVStatus.uxl) | h.pointee.guestUnits
    }

    /// Writes vsstatus, whichever way it is in force. `value` and `writable` are sstatus's.
    func writeGuestStatus(_ value: UInt64, writable: UInt64) {
        var writable = writable & Self.exchanged
        if h.pointee.henvcfg & RVEnvironment.dte == 0 { writable &= ~RVStatus.sdt }
        var new = guestStatus & Self.exchanged & ~writable | value & writable
        if new & RVStatus.sdt != 0 { new &= ~RVStatus.sie }
        if h.pointee.isGuest {
            h.pointee.mstatus = h.pointee.mstatus & ~(Self.exchanged & ~Self.units) | new & ~Self.units
            h.pointee.guestUnits = new & Self.units
            combineUnits()
        } else {
            h.pointee.standby.status = new
        }
        viewChanged()
        updateInterruptRequest()
    }

    /// What M-mode would find: runs `body` with V = 0.
    func asHost<Result>(_ body: () -> Result) -> Result {
        guard h.pointee.isGuest else { return body() }
        // What was counted so far was counted in the guest.
        if h.pointee.activeCounters != 0 { synchroniseCounters() }
        exchangeSupervisors()
        defer { exchangeSupervisors() }
        return body()
    }

    // MARK: Instructions

    /// Raises a virtual-instruction exception for `r`.
    func virtualInstruction(_ r: DecodedOp) -> Bool { raise(RVCause.virtualInstruction, UInt64(r.raw)) }

    /// Raises what an instruction that HS-mode has, but not the present mode, raises: in a guest it is the hypervisor's business.
    func refuseHypervisors(_ r: DecodedOp) -> Bool { h.pointee.isGuest ? virtualInstruction(r) : illegal(r) }

    // MARK: State

    /// A saved state says nothing that a hart cannot be in.
    func normalizeVirtualization() {
        let has = config.extensions.contains(.h)
        h.pointee.virtualization = has && h.pointee.privilege != RVPrivilege.machine ? h.pointee.virtualization & 1 : 0
        h.pointee.standby.status &= Self.exchanged
        h.pointee.guestUnits = h.pointee.isGuest ? h.pointee.guestUnits & Self.units : 0
        h.pointee.hgeip &= guestFileMask
        if !has { (h.pointee.hideleg, h.pointee.hvip, h.pointee.hvictl) = (0, 0, 0) }
    }
}
