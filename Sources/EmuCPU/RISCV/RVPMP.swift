/// Physical memory protection (privileged manual, "Physical Memory Protection"): 16 entries, 4-byte grain, OFF, TOR, NA4, NAPOT, locking,
/// and Smepmp, which lets mseccfg bind M-mode too.
///
/// The lowest-numbered entry that matches any byte of an access decides it. Entries are kept as address ranges beside the CSRs.
enum RVPMPFlag {
    static let read: UInt8 = 1
    static let write: UInt8 = 2
    static let execute: UInt8 = 4
    static let mode: UInt8 = 3 << 3
    static let lock: UInt8 = 1 << 7
    static let topOfRange: UInt8 = 1 << 3
    static let naturallyAligned4: UInt8 = 2 << 3
}

extension RVProcessor {
    static let pmpEntries = 16
    /// pmpaddr holds bits 55…2 of an address.
    private static let addressMask: UInt64 = 1 << 54 - 1

    // MARK: Checks

    /// What an access at `privilege` may do anywhere in the 4 KiB page at physical address `page`.
    ///
    /// Not `uniform`: entries begin or end inside the page, the flags are all false, and each access must ask `pmpAllows`.
    package func pmpPage(_ page: UInt64, privilege: UInt8) -> (read: Bool, write: Bool, execute: Bool, uniform: Bool) {
        if pmpLeavesOpen(page & ~0xfff) { return (true, true, true, true) }
        let first = page & ~0xfff
        let last = first | 0xfff
        for entry in 0..<h.pointee.pmpCount {
            let low = h.pointee.pmpFirst[entry]
            let high = h.pointee.pmpLast[entry]
            if low > high || low > last || high < first { continue }
            guard low <= first && last <= high else { return (false, false, false, false) }
            let flags = effectiveFlags(entry, privilege)
            return (flags & RVPMPFlag.read != 0, flags & RVPMPFlag.write != 0, flags & RVPMPFlag.execute != 0, true)
        }
        return (isOpen(.load, privilege), isOpen(.store, privilege), isOpen(.fetch, privilege), true)
    }

    /// True when all `size` bytes (at least 1) at physical `address` may be accessed.
    package func pmpAllows(_ address: UInt64, size: UInt64, _ access: RVAccess, privilege: UInt8) -> Bool {
        let last = address &+ (size &- 1)
        guard last >= address else { return false }
        if last & ~0xfff == address & ~0xfff, pmpLeavesOpen(address & ~0xfff) { return true }
        for entry in 0..<h.pointee.pmpCount {
            let low = h.pointee.pmpFirst[entry]
            let high = h.pointee.pmpLast[entry]
            if low > high || low > last || high < address { continue }
            guard low <= address && last <= high else { return false }
            let flags = effectiveFlags(entry, privilege)
            switch access {
            case .load, .shadowLoad: return flags & RVPMPFlag.read != 0
            case .store, .shadowStore: return flags & RVPMPFlag.write != 0
            case .fetch: return flags & RVPMPFlag.execute != 0
            }
        }
        return isOpen(access, privilege)
    }

    /// An access that no entry matches is allowed.
    private func isOpen(_ access: RVAccess, _ privilege: UInt8) -> Bool {
        guard privilege == RVPrivilege.machine else { return false }
        return h.pointee.mseccfg & (access == .fetch ? RVSecurity.allowlist | RVSecurity.lockdown : RVSecurity.allowlist) == 0
    }

    /// What an entry allows. M-mode is bound only by locked entries, until mseccfg.MML divides entries between it and the others.
    private func effectiveFlags(_ entry: Int, _ privilege: UInt8) -> UInt8 {
        let flags = h.pointee.pmpcfg[entry]
        if h.pointee.mseccfg & RVSecurity.lockdown != 0 { return lockdownFlags(flags, isMachine: privilege == RVPrivilege.machine) }
        return privilege == RVPrivilege.machine && flags & RVPMPFlag.lock == 0 ? .max : flags
    }

    /// The truth table of "Smepmp Physical Memory Protection Rules".
    private func lockdownFlags(_ flags: UInt8, isMachine: Bool) -> UInt8 {
        let rights = flags & (RVPMPFlag.read | RVPMPFlag.write | RVPMPFlag.execute)
        let isLocked = flags & RVPMPFlag.lock != 0
        switch rights {
        case RVPMPFlag.write:
            // Shared: data that only M-mode writes, or code that nobody reads.
            return isLocked ? RVPMPFlag.execute : isMachine ? RVPMPFlag.read | RVPMPFlag.write : RVPMPFlag.read
        case RVPMPFlag.write | RVPMPFlag.execute:
            // Shared: data that both write, or code that M-mode reads.
            if isLocked { return isMachine ? RVPMPFlag.read | RVPMPFlag.execute : RVPMPFlag.execute }
            return RVPMPFlag.read | RVPMPFlag.write
        case RVPMPFlag.read | RVPMPFlag.write | RVPMPFlag.execute where isLocked:
            return RVPMPFlag.read
        default:
            return isLocked == isMachine ? rights : 0
        }
    }

    /// The rule would let M-mode execute.
    private func executesInMachineMode(_ flags: UInt8) -> Bool {
        flags & RVPMPFlag.mode != 0 && flags & RVPMPFlag.lock != 0 && lockdownFlags(flags, isMachine: true) & RVPMPFlag.execute != 0
    }

    /// The entry cannot be changed.
    private func isLocked(_ flags: UInt8) -> Bool { flags & RVPMPFlag.lock != 0 && h.pointee.mseccfg & RVSecurity.bypass == 0 }

    // MARK: CSRs

    /// Eight configuration bytes as pmpcfg0 or pmpcfg2 shows them.
    func pmpConfiguration(firstEntry: Int) -> UInt64 {
        var value: UInt64 = 0
        for byte in 0..<8 { value |= UInt64(h.pointee.pmpcfg[firstEntry + byte]) << UInt64(8 * byte) }
        return value
    }

    func writePMPConfiguration(_ value: UInt64, firstEntry: Int) {
        let hasLockdown = h.pointee.mseccfg & RVSecurity.lockdown != 0
        for byte in 0..<8 where !isLocked(h.pointee.pmpcfg[firstEntry + byte]) {
            var flags = UInt8(truncatingIfNeeded: value >> UInt64(8 * byte)) & 0x9f
            // Code for M-mode is fixed before lockdown, or under its bypass.
            if hasLockdown, h.pointee.mseccfg & RVSecurity.bypass == 0, executesInMachineMode(flags) { continue }
            // Write without read is reserved, or means that the region is shared.
            if !hasLockdown, flags & (RVPMPFlag.read | RVPMPFlag.write) == RVPMPFlag.write { flags &= ~RVPMPFlag.write }
            h.pointee.pmpcfg[firstEntry + byte] = flags
        }
        pmpChanged()
    }

    func writePMPAddress(_ value: UInt64, entry: Int) {
        guard !isLocked(h.pointee.pmpcfg[entry]) else { return }
        if entry + 1 < Self.pmpEntries {
            // The address is also the bottom of a locked TOR entry above.
            let above = h.pointee.pmpcfg[entry + 1]
            if isLocked(above) && above & RVPMPFlag.mode == RVPMPFlag.topOfRange { return }
        }
        h.pointee.pmpaddr[entry] = value & Self.addressMask
        pmpChanged()
    }

    func pmpChanged() {
        rebuildPMPRanges()
        views.flushAll()
    }

    /// Recomputes the address ranges from pmpcfg and pmpaddr.
    func rebuildPMPRanges() {
        h.pointee.pmpCount = 0
        for entry in 0..<Self.pmpEntries {
            let (first, last) = pmpRange(entry)
            h.pointee.pmpFirst[entry] = first
            h.pointee.pmpLast[entry] = last
            if first <= last { h.pointee.pmpCount = entry + 1 }
        }
        findOpenRange()
    }

    /// Of what the last entry gives to everybody, the part above all that entries before it decide: nearly all of RAM as firmware sets it up.
    private func findOpenRange() {
        h.pointee.pmpOpenCount = 0
        let all = RVPMPFlag.read | RVPMPFlag.write | RVPMPFlag.execute
        let entry = h.pointee.pmpCount - 1
        guard entry >= 0, h.pointee.pmpcfg[entry] & all == all, h.pointee.mseccfg & RVSecurity.lockdown == 0 else { return }
        var first = h.pointee.pmpFirst[entry]
        let last = h.pointee.pmpLast[entry]
        for before in 0..<entry where h.pointee.pmpFirst[before] <= h.pointee.pmpLast[before] && h.pointee.pmpLast[before] >= first {
            guard h.pointee.pmpLast[before] < last else { return }
            first = h.pointee.pmpLast[before] + 1
        }
        h.pointee.pmpOpenFirst = first
        h.pointee.pmpOpenCount = last - first
    }

    /// Nothing but "yes" for any access to the 4 KiB page at physical address `page`.
    @inline(__always)
    func pmpLeavesOpen(_ page: UInt64) -> Bool {
        let offset = page &- h.pointee.pmpOpenFirst
        return offset < h.pointee.pmpOpenCount && h.pointee.pmpOpenCount &- offset >= 0xfff
    }

    /// First and last byte an entry matches; first > last when it matches nothing.
    private func pmpRange(_ entry: Int) -> (UInt64, UInt64) {
        let address = h.pointee.pmpaddr[entry]
        switch h.pointee.pmpcfg[entry] & RVPMPFlag.mode {
        case 0: return (1, 0)
        case RVPMPFlag.topOfRange:
            let bottom = entry == 0 ? 0 : h.pointee.pmpaddr[entry - 1]
            return bottom < address ? (bottom << 2, address << 2 &- 1) : (1, 0)
        case RVPMPFlag.naturallyAligned4: return (address << 2, address << 2 | 3)
        default:
            // The run of ones at the bottom gives the size: none 8 bytes, one 16 bytes, …
            let spread = address ^ (address &+ 1)
            return ((address & ~spread) << 2, (address | spread) << 2 | 3)
        }
    }
}
