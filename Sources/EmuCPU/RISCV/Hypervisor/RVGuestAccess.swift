import EmuBus

extension RVTable {
    /// H: loads and stores of a guest's memory, and fences of its translation.
    static let hypervisor: [RVInstruction] = [
        .init("hlv.b",      "0110000 00000 sssss 100 ddddd 1110011", .all(.h), .guestLoad, .hlv_b),
        .init("hlv.bu",     "0110000 00001 sssss 100 ddddd 1110011", .all(.h), .guestLoad, .hlv_bu),
        .init("hlv.h",      "0110010 00000 sssss 100 ddddd 1110011", .all(.h), .guestLoad, .hlv_h),
        .init("hlv.hu",     "0110010 00001 sssss 100 ddddd 1110011", .all(.h), .guestLoad, .hlv_hu),
        .init("hlvx.hu",    "0110010 00011 sssss 100 ddddd 1110011", .all(.h), .guestLoad, .hlvx_hu),
        .init("hlv.w",      "0110100 00000 sssss 100 ddddd 1110011", .all(.h), .guestLoad, .hlv_w),
        .init("hlv.wu",     "0110100 00001 sssss 100 ddddd 1110011", .all(.h), .guestLoad, .hlv_wu),
        .init("hlvx.wu",    "0110100 00011 sssss 100 ddddd 1110011", .all(.h), .guestLoad, .hlvx_wu),
        .init("hlv.d",      "0110110 00000 sssss 100 ddddd 1110011", .all(.h), .guestLoad, .hlv_d),
        .init("hsv.b",      "0110001 ttttt sssss 100 00000 1110011", .all(.h), .guestStore, .hsv_b),
        .init("hsv.h",      "0110011 ttttt sssss 100 00000 1110011", .all(.h), .guestStore, .hsv_h),
        .init("hsv.w",      "0110101 ttttt sssss 100 00000 1110011", .all(.h), .guestStore, .hsv_w),
        .init("hsv.d",      "0110111 ttttt sssss 100 00000 1110011", .all(.h), .guestStore, .hsv_d),
        .init("hfence.vvma", "0010001 ttttt sssss 000 00000 1110011", .all(.h), .fenceAddress, .hfence_vvma),
        .init("hfence.gvma", "0110001 ttttt sssss 000 00000 1110011", .all(.h), .fenceAddress, .hfence_gvma),
        .init("hinval.vvma", "0010011 ttttt sssss 000 00000 1110011", .all(.h, .svinval), .fenceAddress, .hinval_vvma),
        .init("hinval.gvma", "0110011 ttttt sssss 000 00000 1110011", .all(.h, .svinval), .fenceAddress, .hinval_gvma),
    ]
}

extension RVOp {
    /// HLV, HLVX or HSV.
    var isGuestAccess: Bool { rawValue >= RVOp.hlv_b.rawValue && rawValue <= RVOp.hsv_d.rawValue }
}

/// The hypervisor's instructions (privileged manual, "Hypervisor Instructions").
extension RVProcessor {
    // MARK: Loads and stores

    /// HLV, HLVX and HSV: accesses as though V were 1 and the privilege hstatus.SPVP, whatever MPRV says. False when it trapped.
    func executeGuestAccess(_ ip: UnsafeMutablePointer<DecodedOp>) -> Bool {
        let r = ip.pointee
        if h.pointee.isGuest { return virtualInstruction(r) }
        let isUser = h.pointee.privilege == RVPrivilege.user
        guard !isUser || h.pointee.hstatus & RVHypervisorStatus.hu != 0 else { return illegal(r) }
        let isFetch = r.rv == .hlvx_hu || r.rv == .hlvx_wu
        let own = h.pointee.dataView, changes = views.changes
        // The views in use must not be given away.
        views.use(own)
        views.use(h.pointee.fetchView)
        h.pointee.dataView = views.view(hypervisorsKey(isUser: isUser, isFetch: isFetch))
        let done = isFetch ? loadCode(ip) : accessGuest(ip)
        h.pointee.dataView = own
        // The rest of a translated block may rely on what was known before.
        if views.changes != changes { h.pointee.request |= RVRequest.leaveBlock }
        return done
    }

    private func accessGuest(_ ip: UnsafeMutablePointer<DecodedOp>) -> Bool {
        let r = ip.pointee, address = x[Int(r.rs1)]
        let isStore = r.rv.rawValue >= RVOp.hsv_b.rawValue
        let size: UInt64 = switch r.rv {
        case .hlv_b, .hlv_bu, .hsv_b: 1
        case .hlv_h, .hlv_hu, .hsv_h: 2
        case .hlv_w, .hlv_wu, .hsv_w: 4
        default: 8
        }
        if isStore { return storeSlow(address, size, x[Int(r.rs2)], ip) }
        guard let value = loadSlow(address, size, ip) else { return false }
        x[Int(r.rd)] = switch r.rv {
        case .hlv_b: UInt64(bitPattern: Int64(Int8(truncatingIfNeeded: value)))
        case .hlv_h: UInt64(bitPattern: Int64(Int16(truncatingIfNeeded: value)))
        case .hlv_w: value.signExtendedWord
        default: value
        }
        return true
    }

    /// HLVX: what can be fetched, read as data. Protection and memory must grant both.
    private func loadCode(_ ip: UnsafeMutablePointer<DecodedOp>) -> Bool {
        let r = ip.pointee, address = x[Int(r.rs1)]
        let size: UInt64 = r.rv == .hlvx_hu ? 2 : 4
        var value: UInt64 = 0
        for offset in 0..<size {
            let byte = address &+ offset
            guard let physical = translate(byte, 1, .load) else { return false }
            let privilege = UInt8(truncatingIfNeeded: h.pointee.dataView.pointee.key.rights & RVRights.privilegeMask)
            guard pmpAllows(physical, size: 1, .fetch, privilege: privilege), let memory = bus.codeMemory(at: physical, length: 1) else {
                return raise(RVCause.loadAccess, byte)
            }
            value |= UInt64((memory.host + Int(physical &- memory.base)).load(as: UInt8.self)) << (8 * offset)
        }
        x[Int(r.rd)] = value
        return true
    }

    // MARK: Fences

    /// HFENCE and HINVAL, which take effect at once. False when it trapped.
    func executeGuestFence(_ op: RVOp, _ r: DecodedOp) -> Bool {
        let isPhysical = op == .hfence_gvma || op == .hinval_gvma
        if h.pointee.isGuest { return virtualInstruction(r) }
        guard h.pointee.privilege != RVPrivilege.user else { return illegal(r) }
        if isPhysical, h.pointee.privilege == RVPrivilege.supervisor, h.pointee.mstatus & RVStatus.tvm != 0 { return illegal(r) }
        if isPhysical { fenceMachine(r) } else { fenceGuest(r) }
        return true
    }

    /// HFENCE.VVMA, and SFENCE.VMA of a guest: the guest's own tables, of the machine hgatp names.
    func fenceGuest(_ r: DecodedOp) {
        let address = r.rs1 == 0 ? nil : x[Int(r.rs1)]
        let everySpace = r.rs2 == 0
        let wanted = x[Int(r.rs2)] & 0xffff
        let machine = Self.machineNumber(h.pointee.hgatp)
        views.flush(address: address) { key in
            key.rights & RVRights.guest != 0 && Self.machineNumber(key.guestSpace) == machine && key.space != 0
                && (everySpace || key.space >> 44 & 0xffff == wanted)
        }
    }

    /// HFENCE.GVMA: views hold whole translations, so that all of a machine's go.
    private func fenceMachine(_ r: DecodedOp) {
        let everyMachine = r.rs2 == 0
        let wanted = x[Int(r.rs2)] & RVGuestSpace.machineMask
        views.noteSecondStageChange()
        views.flush { key in key.rights & RVRights.guest != 0 && (everyMachine || Self.machineNumber(key.guestSpace) == wanted) }
    }

    private static func machineNumber(_ hgatp: UInt64) -> UInt64 { hgatp >> RVGuestSpace.machineShift & RVGuestSpace.machineMask }
}

/// Fields of hgatp: MODE as in satp, VMID in 14 bits, PPN.
enum RVGuestSpace {
    static let machineShift: UInt64 = 44
    static let machineMask: UInt64 = 0x3fff
    /// The root table has four pages, at a multiple of their size.
    static let rootMask: UInt64 = ~3
}
