import EmuBus

/// Where a page of a guest's tables was found, which the guest may read: most of what a walk through both stages asks.
struct RVGuestTable {
    var page: UInt64 = .max
    /// hgatp.
    var space: UInt64 = 0
    /// `TLBViews.secondStageChanges` then.
    var changes: UInt64 = 0
    var physicalPage: UInt64 = 0

    /// They are kept by the lowest bits of the page's number.
    static let count = 64
    static let mask = UInt64(count - 1)
}

/// A fault as a value.
struct RVFault: Error {
    var cause: UInt64
}

/// Two-stage translation (privileged manual, "Two-Stage Address Translation"): a guest's tables lead from its virtual to its physical addresses,
/// hgatp's from there to the machine's. The TLB keeps the result of both.
extension RVProcessor {
    /// `walk` with V = 1; `space` is vsatp.
    func walkTwoStages(_ walk: RVWalk, space: UInt64, guestSpace: UInt64) -> RVTranslation {
        let address = walk.address
        var page = RVPage(physicalPage: address & ~0xfff)
        if space != 0 {
            var walk = walk
            walk.stage = .guestVirtual
            walk.guestSpace = guestSpace
            switch self.walk(walk, space: space) {
            case .fault(let cause): return .fault(cause)
            case .page(let found): page = found
            }
        }
        guard guestSpace != 0 else { return .page(page) }
        var second = RVWalk(
            address: page.physicalPage | address & 0xfff, access: walk.access, rights: Self.secondRights(walk.rights), isLook: walk.isLook)
        second.stage = .guestPhysical
        switch walkGuestPhysical(second, guestSpace) {
        case .fault(let cause):
            noteGuestFault(second.address, pseudoinstruction: 0)
            return .fault(cause)
        case .page(let found):
            page.physicalPage = found.physicalPage
            page.readable = page.readable && found.readable
            page.writable = page.writable && found.writable
            page.executable = page.executable && found.executable
            return .page(page)
        }
    }

    /// Every access of the second stage is one of U-mode's.
    static func secondRights(_ rights: UInt64) -> UInt64 {
        UInt64(RVPrivilege.user) | rights & RVRights.executeForRead | (rights & RVRights.secondMXR != 0 ? RVRights.mxr : 0)
    }

    /// Sv39x4, Sv48x4 and Sv57x4: two more bits of address, which widen the index into the root table.
    private func walkGuestPhysical(_ walk: RVWalk, _ guestSpace: UInt64) -> RVTranslation {
        let levels = Int(guestSpace >> 60) - 5
        guard 3...5 ~= levels, walk.address >> UInt64(14 + 9 * levels) == 0 else { return .fault(walk.pageFault) }
        return descend(walk, table: (guestSpace & PTE.pageNumberMask) << 12, level: levels - 1, indexMask: 0x7ff)
    }

    /// Where an entry of a guest's own tables is, which the guest has at `position`. Reading and marking it is an implicit access.
    @inline(never)
    func tablePosition(_ position: UInt64, _ walk: RVWalk, forStore: Bool) -> Result<UInt64, RVFault> {
        guard walk.guestSpace != 0 else { return .success(position) }
        let known = guestTables + Int(truncatingIfNeeded: position >> 12 & RVGuestTable.mask)
        if !forStore, known.pointee.page == position & ~0xfff, known.pointee.space == walk.guestSpace, known.pointee.changes == views.secondStageChanges {
            return .success(known.pointee.physicalPage | position & 0xfff)
        }
        var implicit = RVWalk(address: position, access: forStore ? .store : .load, rights: UInt64(RVPrivilege.user), isLook: walk.isLook)
        implicit.stage = .guestPhysical
        implicit.reported = walk.reported
        switch walkGuestPhysical(implicit, walk.guestSpace) {
        case .fault(let cause):
            noteGuestFault(position, pseudoinstruction: forStore ? RVTrapDetails.tableWrite : RVTrapDetails.tableRead)
            return .failure(RVFault(cause: cause))
        case .page(let page):
            // Where runs are compared, both walk the whole way.
            if !forStore, comparison == nil {
                known.pointee = RVGuestTable(page: position & ~0xfff, space: walk.guestSpace, changes: views.secondStageChanges, physicalPage: page.physicalPage)
            }
            return .success(page.physicalPage | position & 0xfff)
        }
    }

    private func noteGuestFault(_ address: UInt64, pseudoinstruction: UInt64) {
        h.pointee.trapGuestAddress = address
        h.pointee.trapPseudoinstruction = pseudoinstruction
    }
}
