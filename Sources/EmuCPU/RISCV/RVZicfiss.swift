import EmuBus

extension RVTable {
    /// Zicfiss: shadow stacks. All but the swaps are may-be-operations, which do what those do where shadow stacks are off.
    static let zicfiss: [RVInstruction] = [
        .init("sspush",      "1100111 00t01 00000 100 00000 1110011", .all(.zicfiss), .link2, .sspush, refines: "mop.rr.7"),
        .init("sspopchk",    "110011011100 00s01 100 00000 1110011", .all(.zicfiss), .link1, .sspopchk, refines: "mop.r.28"),
        .init("ssrdp",       "110011011100 00000 100 ddddd 1110011", .all(.zicfiss), .readPointer, .ssrdp, refines: "mop.r.28"),
        .init("ssamoswap.w", "01001 ar ttttt sssss 010 ddddd 0101111", .all(.zicfiss), .atomic, .ssamoswap_w),
        .init("ssamoswap.d", "01001 ar ttttt sssss 011 ddddd 0101111", .all(.zicfiss), .atomic, .ssamoswap_d),
        .init("c.sspush",    "011 0 00001 00000 01", .all(.zicfiss, .zcmop), .cPushLink, .sspush, refines: "c.mop.1", "c.lui", "reserved c.lui"),
        .init("c.sspopchk",  "011 0 00101 00000 01", .all(.zicfiss, .zcmop), .cPopLink, .sspopchk, refines: "c.mop.5", "c.lui", "reserved c.lui"),
    ]
}

/// Shadow stacks (unprivileged manual, "Shadow Stack (Zicfiss)"; privileged manual, section of the same name).
extension RVProcessor {
    private static let shadowStackFault: UInt64 = 3

    /// xSSE: shadow stacks are on at the present privilege. M-mode has none.
    var usesShadowStack: Bool {
        let above = h.pointee.isGuest ? h.pointee.menvcfg & h.pointee.henvcfg : h.pointee.menvcfg
        return switch h.pointee.privilege {
        case RVPrivilege.machine: false
        case RVPrivilege.supervisor: above & RVEnvironment.sse != 0
        default: above & h.pointee.senvcfg & RVEnvironment.sse != 0
        }
    }

    /// Executes an instruction of Zicfiss. False when it trapped.
    func executeShadowStack(_ op: RVOp, _ r: DecodedOp) -> Bool {
        switch op {
        case .ssamoswap_w: return swapShadowStack(r, UInt32.self)
        case .ssamoswap_d: return swapShadowStack(r, UInt64.self)
        case .ssrdp:
            x[Int(r.rd)] = usesShadowStack ? h.pointee.ssp : 0
            return true
        default:
            guard usesShadowStack else { return true }
            return op == .sspush ? pushShadowStack(r) : popShadowStack(r)
        }
    }

    private func pushShadowStack(_ r: DecodedOp) -> Bool {
        let top = h.pointee.ssp &- 8
        guard let place = shadowStack(top, 8, .shadowStore) else { return false }
        let old = place.host.load(as: UInt64.self), value = x[Int(r.rs2)]
        place.host.storeBytes(of: value, as: UInt64.self)
        wroteMemory(place.memory, place.physical, 8, top)
        h.pointee.ssp = top
        if let watch { report(.write, at: top, place.physical, 8, old: old, new: value, by: r, to: watch) }
        return true
    }

    private func popShadowStack(_ r: DecodedOp) -> Bool {
        let top = h.pointee.ssp
        guard let place = shadowStack(top, 8, .shadowLoad) else { return false }
        let value = place.host.load(as: UInt64.self)
        guard value == x[Int(r.rs1)] else { return raise(RVCause.softwareCheck, Self.shadowStackFault) }
        h.pointee.ssp = top &+ 8
        if let watch { report(.read, at: top, place.physical, 8, old: value, new: value, by: r, to: watch) }
        return true
    }

    private func swapShadowStack<T: AtomicCell>(_ r: DecodedOp, _: T.Type) -> Bool {
        guard h.pointee.privilege == RVPrivilege.machine || usesShadowStack else {
            return h.pointee.menvcfg & RVEnvironment.sse == 0 ? illegal(r) : refuseHypervisors(r)
        }
        let address = x[Int(r.rs1)], size = MemoryLayout<T>.size
        guard address & UInt64(size - 1) == 0 else { return raise(RVCause.storeMisaligned, address) }
        guard let place = shadowStack(address, UInt64(size), .shadowStore) else { return false }
        var old = place.host.load(as: T.self)
        let new = T(truncatingIfNeeded: x[Int(r.rs2)])
        if h.pointee.isShared {
            while true {
                let (exchanged, original) = T.compareExchange(place.host, old, new)
                if exchanged { break }
                old = original
            }
        } else {
            place.host.storeBytes(of: new, as: T.self)
        }
        wroteMemory(place.memory, place.physical, size, address)
        x[Int(r.rd)] = size == 4 ? UInt64(old).signExtendedWord : UInt64(old)
        if let watch { report(.readWrite, at: address, place.physical, UInt64(size), old: UInt64(old), new: UInt64(new), by: r, to: watch) }
        return true
    }

    /// Tells a debugger that watches the page.
    private func report(
        _ kind: HartAccess.Kind, at address: UInt64, _ physical: UInt64, _ size: UInt64, old: UInt64, new: UInt64, by r: DecodedOp, to watch: HartWatch
    ) {
        let address = effectiveAddress(address)
        let space = Self.identity(ofSpace: h.pointee.dataView.pointee.key.space)
        guard watch.watchesData(page: address & TLBEntry.pageMask, physicalPage: physical & TLBEntry.pageMask, space: space) else { return }
        report(.access(HartAccess(
            kind: kind, address: address, physical: physical, size: size, old: old, new: new, pc: h.pointee.blockPC &+ UInt64(r.offset))))
    }

    /// Where an aligned access to a shadow stack goes; nil when it traps. Only pages of shadow stacks will do, in memory that may be read and written.
    private func shadowStack(_ address: UInt64, _ size: UInt64, _ access: RVAccess) -> (memory: MappedMemory, physical: UInt64, host: UnsafeMutableRawPointer)? {
        func fail(_ cause: UInt64) -> (MappedMemory, UInt64, UnsafeMutableRawPointer)? {
            _ = raise(cause, address)
            return nil
        }
        let key = h.pointee.dataView.pointee.key
        let privilege = UInt8(truncatingIfNeeded: key.rights & RVRights.privilegeMask)
        guard address & (size - 1) == 0, key.space != 0, privilege != RVPrivilege.machine else { return fail(RVCause.storeAccess) }
        let virtual = effectiveAddress(address)
        let page: RVPage
        switch walk(virtual, access, rights: key.rights, space: key.space, guestSpace: key.guestSpace) {
        case .fault(let cause): return fail(cause)
        case .page(let found): page = found
        }
        let physical = page.physicalPage | virtual & 0xfff
        guard pmpAllows(physical, size: size, .load, privilege: privilege), pmpAllows(physical, size: size, .store, privilege: privilege),
            let memory = bus.memory(at: physical, length: size), !memory.isReadOnly else { return fail(RVCause.storeAccess) }
        if access == .shadowStore { comparison?.journal.willWrite(memory, physical) }
        return (memory, physical, memory.host + Int(physical &- memory.base))
    }

    /// A cache-block instruction may touch no page of a shadow stack.
    func isShadowStack(_ address: UInt64) -> Bool {
        guard h.pointee.menvcfg & RVEnvironment.sse != 0 else { return false }
        let key = h.pointee.dataView.pointee.key
        guard key.space != 0, case .page(let page) = walk(effectiveAddress(address), .load, rights: key.rights, space: key.space, guestSpace: key.guestSpace) else { return false }
        return page.isShadowStack
    }
}
