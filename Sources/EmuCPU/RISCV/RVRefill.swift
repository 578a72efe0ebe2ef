import EmuBus

/// Refilling a TLB view after a flush, which is most of what a flush costs: loads and stores whose leaf lies in the table the last walk
/// ended at, stands for an ordinary page that carries its A and D bits already, and leads to RAM that physical memory protection leaves
/// open. Whatever is not so is `fill`'s.
///
/// SAFETY: `walkLeaves` is a whole page of guest memory; pointers made here lie in memory of which `AddressSpace` says that it holds the page.
extension RVProcessor {
    /// The leaf entries at physical address `table` for `refill`; nil where it must not read them: no memory, protected, or each fill must be seen.
    func leaves(_ table: UInt64) -> UnsafeRawPointer? {
        guard comparison == nil, watch == nil, h.pointee.addressTriggers == 0, pmpLeavesOpen(table) else { return nil }
        return bus.memoryPointer(table, UInt64(GuestRAM.pageSize))
    }

    /// Makes `view` know the page of `address` and returns where `address` is; nil, with nothing changed, where more care is needed.
    @inline(__always)
    func refill(_ view: UnsafeMutablePointer<TLBView>, _ address: UInt64, _ access: RVAccess) -> UnsafeMutableRawPointer? {
        guard address >> 21 == h.pointee.walkRegion, view.pointee.key.space == h.pointee.walkSpace, views.changes == h.pointee.walkChanges,
            let leaves = h.pointee.walkLeaves else { return nil }
        let leaf = UInt64(littleEndian: leaves.load(fromByteOffset: Int(truncatingIfNeeded: address >> 9 & 0xff8), as: UInt64.self))
        var wanted = PTE.valid | PTE.read | PTE.accessed
        if access == .store { wanted |= PTE.write | PTE.dirty }
        var judged = wanted | PTE.reserved | PTE.memoryType | PTE.napot
        let rights = view.pointee.key.rights
        // What the walk ended at may not be what the address means without its ignored bits; a guest's is one of two stages.
        guard rights & (RVRights.pointerMask | RVRights.guest) == 0 else { return nil }
        if rights & RVRights.sum == 0 {
            judged |= PTE.user
            if rights & RVRights.privilegeMask == UInt64(RVPrivilege.user) { wanted |= PTE.user }
        }
        guard leaf & judged == wanted else { return nil }
        let physicalPage = leaf << 2 & ~0xfff
        guard pmpLeavesOpen(physicalPage), let memory = bus.memory(at: physicalPage, length: UInt64(GuestRAM.pageSize)) else { return nil }
        let tag = address & TLBEntry.pageMask
        let host = memory.host + Int(truncatingIfNeeded: physicalPage &- memory.base)
        let entry = TLBEntry(tag: tag, addend: UInt64(UInt(bitPattern: host)) &- tag)
        if access == .store {
            let page = memory.page(of: physicalPage)
            guard !memory.isReadOnly, allowsDirectStores(memory, page: page) else { return nil }
            cache.noteDirectStores(memory, page: page, address, view)
            view.pointee.stores.fill(address, entry, physicalPage: physicalPage)
        } else {
            view.pointee.loads.fill(address, entry, physicalPage: physicalPage)
        }
        view.pointee.isTouched = true
        cache.counts.pointee.tlbFills &+= 1
        return host + Int(truncatingIfNeeded: address & 0xfff)
    }

    /// As `refill`, for an access of `size` bytes for which translated code found no entry.
    @inline(__always)
    func refillMissed(_ address: UInt64, _ size: UInt64, _ access: RVAccess) -> UnsafeMutableRawPointer? {
        guard address & 0xfff &+ size <= 4096 else { return nil }
        let view = h.pointee.dataView
        let tag = access == .store ? view.pointee.stores.entry(address).pointee.tag : view.pointee.loads.entry(address).pointee.tag
        return (tag ^ address) & TLBEntry.pageMask != 0 ? refill(view, address, access) : nil
    }
}
