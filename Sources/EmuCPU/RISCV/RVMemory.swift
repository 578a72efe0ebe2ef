import EmuBus

/// Memory as a RISC-V hart sees it: filling TLB views, and every access the fast path cannot do.
///
/// SAFETY: every pointer into guest memory made here comes from `AddressSpace` for exactly the bytes that are accessed.
extension RVProcessor {
    // MARK: Filling

    /// Makes `view` know the page of `address`. False when the access faults; the trap is then noted.
    @inline(never)
    func fill(_ view: UnsafeMutablePointer<TLBView>, _ address: UInt64, _ access: RVAccess) -> Bool {
        cache.counts.pointee.tlbFills &+= 1
        let key = view.pointee.key
        let page: RVPage
        let target = access == .fetch ? address : withoutIgnoredBits(address, key)
        switch walk(target, access, rights: key.rights, space: key.space, guestSpace: key.guestSpace) {
        case .fault(let cause): return raise(cause, address)
        case .page(let found): page = found
        }
        let privilege = UInt8(truncatingIfNeeded: key.rights & RVRights.privilegeMask)
        let protection = pmpPage(page.physicalPage, privilege: privilege)
        if protection.uniform && !(access == .load ? protection.read : access == .store ? protection.write : protection.execute) {
            return raise(access.accessFault, address)
        }
        view.pointee.isTouched = true
        if page.superpage { view.pointee.holdsSuperpage = true }
        let tag = address & TLBEntry.pageMask
        var entry = TLBEntry(tag: tag, addend: 0)
        if !protection.uniform || h.pointee.addressTriggers != 0 && triggersCover(tag, access) { entry.tag |= TLBEntry.slow | TLBEntry.checked }
        if let watch {
            let space = Self.identity(ofSpace: key.space)
            if watch.watchesData(page: target & TLBEntry.pageMask, physicalPage: page.physicalPage, space: space) { entry.tag |= TLBEntry.slow | TLBEntry.watched }
            if access == .fetch { watch.markCode(page: tag, physicalPage: page.physicalPage, space: space) }
        }
        if let memory = memory(at: page.physicalPage, for: access) {
            let offset = page.physicalPage &- memory.base
            entry.addend = UInt64(UInt(bitPattern: memory.host)) &+ offset &- tag
            if access == .store {
                let index = memory.page(of: page.physicalPage)
                if memory.isReadOnly || !allowsDirectStores(memory, page: index) || comparison != nil {
                    entry.tag |= TLBEntry.slow
                } else {
                    cache.noteDirectStores(memory, page: index, address, view)
                }
            }
        } else {
            entry.tag |= TLBEntry.slow
        }
        if let comparison { comparison.journal.willFill(self.entry(view, access, address), physicalPlace(view, access, address)) }
        switch access {
        case .load, .shadowLoad: view.pointee.loads.fill(address, entry, physicalPage: page.physicalPage)
        case .store, .shadowStore: view.pointee.stores.fill(address, entry, physicalPage: page.physicalPage)
        case .fetch: view.pointee.fetches.fill(address, entry, physicalPage: page.physicalPage)
        }
        return true
    }

    /// The memory behind a page; nil where each access asks a device.
    private func memory(at page: UInt64, for access: RVAccess) -> MappedMemory? {
        let size = UInt64(GuestRAM.pageSize)
        return switch access {
        case .load, .shadowLoad: bus.loadMemory(at: page, length: size)
        case .store, .shadowStore: bus.memory(at: page, length: size)
        case .fetch: bus.codeMemory(at: page, length: size)
        }
    }

    /// Physical address of a data access that stays inside its page; nil when it faults, with the trap noted.
    func translate(_ address: UInt64, _ size: UInt64, _ access: RVAccess) -> UInt64? {
        if h.pointee.addressTriggers != 0, triggerFires(address, size, access) { return nil }
        let view = access == .fetch ? h.pointee.fetchView : h.pointee.dataView
        var tag = entry(view, access, address).pointee.tag
        if tag & TLBEntry.pageMask != address & TLBEntry.pageMask || tag == .max {
            let isRefilled = (access == .load || access == .store) && refill(view, address, access) != nil
            guard isRefilled || fill(view, address, access) else { return nil }
            tag = entry(view, access, address).pointee.tag
        }
        let physical = physicalPage(view, access, address) | address & 0xfff
        if tag & TLBEntry.checked != 0 {
            let privilege = UInt8(truncatingIfNeeded: view.pointee.key.rights & RVRights.privilegeMask)
            guard pmpAllows(physical, size: size, access, privilege: privilege) else {
                _ = raise(access.accessFault, address)
                return nil
            }
        }
        return physical
    }

    /// The same for one byte, without the access: nothing is marked or remembered, no trap noted.
    func look(_ address: UInt64, _ access: RVAccess) -> UInt64? {
        let view = h.pointee.dataView, key = view.pointee.key
        let tag = entry(view, access, address).pointee.tag
        if tag & TLBEntry.pageMask == address & TLBEntry.pageMask, tag != .max { return physicalPage(view, access, address) | address & 0xfff }
        guard case .page(let page) = walk(
            withoutIgnoredBits(address, key), access, rights: key.rights, space: key.space, guestSpace: key.guestSpace, isLook: true) else { return nil }
        let physical = page.physicalPage | address & 0xfff
        return pmpAllows(physical, size: 1, access, privilege: UInt8(truncatingIfNeeded: key.rights & RVRights.privilegeMask)) ? physical : nil
    }

    @inline(__always)
    private func entry(_ view: UnsafeMutablePointer<TLBView>, _ access: RVAccess, _ address: UInt64) -> UnsafeMutablePointer<TLBEntry> {
        switch access {
        case .load, .shadowLoad: view.pointee.loads.entry(address)
        case .store, .shadowStore: view.pointee.stores.entry(address)
        case .fetch: view.pointee.fetches.entry(address)
        }
    }

    /// The physical page a filled entry stands for.
    @inline(__always)
    func physicalPage(_ view: UnsafeMutablePointer<TLBView>, _ access: RVAccess, _ address: UInt64) -> UInt64 {
        switch access {
        case .load, .shadowLoad: view.pointee.loads.physicalPage(address)
        case .store, .shadowStore: view.pointee.stores.physicalPage(address)
        case .fetch: view.pointee.fetches.physicalPage(address)
        }
    }

    private func physicalPlace(_ view: UnsafeMutablePointer<TLBView>, _ access: RVAccess, _ address: UInt64) -> UnsafeMutablePointer<UInt64> {
        switch access {
        case .load, .shadowLoad: view.pointee.loads.physicalPlace(address)
        case .store, .shadowStore: view.pointee.stores.physicalPlace(address)
        case .fetch: view.pointee.fetches.physicalPlace(address)
        }
    }

    // MARK: Slow loads and stores

    /// A load the TLB could not serve directly: first touch, device, protected, watched or page-crossing. Nil when it traps.
    @inline(never)
    func loadSlow(_ address: UInt64, _ size: UInt64, _ ip: UnsafeMutablePointer<DecodedOp>) -> UInt64? {
        guard let value = load(address, size, ip) else { return nil }
        if watch != nil { didLoad(address, size, value, ip) }
        return value
    }

    private func load(_ address: UInt64, _ size: UInt64, _ ip: UnsafeMutablePointer<DecodedOp>) -> UInt64? {
        if address & 0xfff &+ size > 4096 { return loadAcrossPages(address, size) }
        let view = h.pointee.dataView
        var tag = view.pointee.loads.entry(address).pointee.tag
        if tag & TLBEntry.pageMask != address & TLBEntry.pageMask || tag == .max {
            if let source = refill(view, address, .load) { return Self.load(source, size) }
            if h.pointee.addressTriggers != 0, triggerFires(address, size, .load) { return nil }
            guard fill(view, address, .load) else { return nil }
            tag = view.pointee.loads.entry(address).pointee.tag
        }
        if tag == address & TLBEntry.pageMask | TLBEntry.slow, !h.pointee.isCompared {
            // No memory, and nothing else to ask about. (While translated code is compared, loads of memory may be slow, too.)
            return loadDevice(view.pointee.loads.physicalPage(address) | address & 0xfff, size, address, ip)
        }
        if let source = Self.direct(view.pointee.loads.entries, view.pointee.loads.mask, address, size) {
            return Self.load(UnsafeRawPointer(source), size)
        }
        guard let physical = translate(address, size, .load) else { return nil }
        if let source = bus.memoryPointer(physical, size) { return Self.load(source, size) }
        return loadDevice(physical, size, address, ip)
    }

    @inline(__always)
    private func loadDevice(_ physical: UInt64, _ size: UInt64, _ address: UInt64, _ ip: UnsafeMutablePointer<DecodedOp>) -> UInt64? {
        synchronise(ip)
        guard let value = bus.readDevice(physical, size: Int(size)) else {
            _ = raise(RVCause.loadAccess, address)
            return nil
        }
        return value
    }

    @inline(__always)
    static func load(_ source: UnsafeRawPointer, _ size: UInt64) -> UInt64 {
        switch size {
        case 1: UInt64(source.load(as: UInt8.self))
        case 2: UInt64(source.loadUnaligned(as: UInt16.self))
        case 4: UInt64(source.loadUnaligned(as: UInt32.self))
        default: source.loadUnaligned(as: UInt64.self)
        }
    }

    /// A store the TLB could not serve directly. False when it traps; then nothing was written.
    @inline(never)
    func storeSlow(_ address: UInt64, _ size: UInt64, _ value: UInt64, _ ip: UnsafeMutablePointer<DecodedOp>) -> Bool {
        watch == nil ? store(address, size, value, ip) : storeWatched(address, size, value, ip)
    }

    /// The same, unseen by a debugger.
    func store(_ address: UInt64, _ size: UInt64, _ value: UInt64, _ ip: UnsafeMutablePointer<DecodedOp>) -> Bool {
        if address & 0xfff &+ size > 4096 { return storeAcrossPages(address, size, value) }
        if let target = refillMissed(address, size, .store) {
            Self.store(value, size, to: target)
            return true
        }
        guard let physical = translate(address, size, .store) else { return false }
        if let memory = bus.memory(at: physical, length: size) {
            if memory.isReadOnly {
                Log.write(.guestErrors, "hart \(index): store to read-only memory at \(hex(physical))")
                return raise(RVCause.storeAccess, address)
            }
            comparison?.journal.willWrite(memory, physical)
            Self.store(value, size, to: memory.host + Int(physical &- memory.base))
            wroteMemory(memory, physical, Int(size), address)
            return true
        }
        synchronise(ip)
        let changes = views.changes
        guard bus.writeDevice(physical, value, size: Int(size)) else { return raise(RVCause.storeAccess, address) }
        if h.pointee.isShared { cache.sharing?.settleLoads(cache, cache.member) }
        // The rest of a translated block may rely on pages that loads do not find any more.
        if views.changes != changes { h.pointee.request |= RVRequest.leaveBlock }
        return true
    }

    /// A page that harts may store to without asking: it holds no code.
    @inline(__always)
    func allowsDirectStores(_ memory: MappedMemory, page: Int) -> Bool {
        h.pointee.isShared
            ? cache.sharing?.allowsDirectStores(memory, page: page) ?? false : memory.pageFlags[page] & GuestRAM.PageFlags.hasCode == 0
    }

    // An access over a page boundary is misaligned, which only memory takes; nothing happens unless both pages allow all of it.

    private func loadAcrossPages(_ address: UInt64, _ size: UInt64) -> UInt64? {
        let boundary = (address | 0xfff) &+ 1
        let split = boundary &- address
        guard let first = translate(address, split, .load), let second = translate(boundary, size &- split, .load) else { return nil }
        guard let low = bus.memoryPointer(first, split) else {
            refuse(address, first, .load)
            return nil
        }
        guard let high = bus.memoryPointer(second, size &- split) else {
            refuse(boundary, second, .load)
            return nil
        }
        var value: UInt64 = 0
        for index in 0..<size {
            let byte = index < split ? low.load(fromByteOffset: Int(index), as: UInt8.self) : high.load(fromByteOffset: Int(index &- split), as: UInt8.self)
            value |= UInt64(byte) << (8 * index)
        }
        return value
    }

    private func storeAcrossPages(_ address: UInt64, _ size: UInt64, _ value: UInt64) -> Bool {
        let boundary = (address | 0xfff) &+ 1
        let split = boundary &- address
        guard let first = translate(address, split, .store), let second = translate(boundary, size &- split, .store) else { return false }
        guard let low = bus.memory(at: first, length: split), !low.isReadOnly else { return refuse(address, first, .store) }
        guard let high = bus.memory(at: second, length: size &- split), !high.isReadOnly else { return refuse(boundary, second, .store) }
        comparison?.journal.willWrite(low, first)
        comparison?.journal.willWrite(high, second)
        for index in 0..<size {
            let (memory, physical) = index < split ? (low, first &+ index) : (high, second &+ (index &- split))
            Self.store(value >> (8 * index), 1, to: memory.host + Int(physical &- memory.base))
        }
        wroteMemory(low, first, Int(split), address)
        wroteMemory(high, second, Int(size &- split), boundary)
        return true
    }

    /// Raises the access fault of a page-crossing access whose part at `address` does not lie in memory; always false.
    @discardableResult
    private func refuse(_ address: UInt64, _ physical: UInt64, _ access: RVAccess) -> Bool {
        Log.write(.guestErrors, "hart \(index): access across a page boundary reaches \(hex(physical)), which it may not: not memory, or read-only")
        return raise(access.accessFault, address)
    }

    @inline(__always)
    static func store(_ value: UInt64, _ size: UInt64, to target: UnsafeMutableRawPointer) {
        switch size {
        case 1: target.storeBytes(of: UInt8(truncatingIfNeeded: value), as: UInt8.self)
        case 2: target.storeBytes(of: UInt16(truncatingIfNeeded: value), as: UInt16.self)
        case 4: target.storeBytes(of: UInt32(truncatingIfNeeded: value), as: UInt32.self)
        default: target.storeBytes(of: value, as: UInt64.self)
        }
    }

    /// After a store to RAM by the slow path: drops the code it overwrote, and makes the page's next stores fast if none is left.
    func wroteMemory(_ memory: MappedMemory, _ physical: UInt64, _ size: Int, _ address: UInt64) {
        let index = memory.page(of: physical)
        if h.pointee.isShared { return wroteSharedMemory(memory, index, physical, size, address) }
        let flags = memory.pageFlags + index
        if flags.pointee & GuestRAM.PageFlags.hasCode != 0 {
            // Data next to code is not worth a search for blocks.
            if cache.book(memory).codeMap[index] & GuestRAM.codeMask(physical, UInt64(size)) == 0 { return }
            if cache.invalidate(physical, size) { h.pointee.request |= RVRequest.leaveBlock }
            if flags.pointee & GuestRAM.PageFlags.hasCode != 0 { return }
        }
        let entry = h.pointee.dataView.pointee.stores.entry(address)
        if entry.pointee.tag == address & TLBEntry.pageMask | TLBEntry.slow {
            if let comparison, !comparison.journal.open(entry) { return }
            entry.pointee.tag &= ~TLBEntry.slow
            cache.noteDirectStores(memory, page: index, address, h.pointee.dataView)
        }
    }

    /// Host pointer for an atomic access of `size` aligned bytes; nil when it traps (misaligned, fault, not RAM).
    /// - Parameters:
    ///   - access: `.load` for LR, `.store` for everything that writes.
    ///   - mayBeMisaligned: the access lies in one page all the same.
    func atomicPointer(_ address: UInt64, _ size: UInt64, _ access: RVAccess, mayBeMisaligned: Bool = false) -> UnsafeMutableRawPointer? {
        guard mayBeMisaligned || address & (size &- 1) == 0 else {
            _ = raise(access == .load ? RVCause.loadMisaligned : RVCause.storeMisaligned, address)
            return nil
        }
        let view = h.pointee.dataView
        let entries = access == .store ? view.pointee.stores.entries : view.pointee.loads.entries
        let mask = access == .store ? view.pointee.stores.mask : view.pointee.loads.mask
        if let host = Self.direct(entries, mask, address, size) { return host }
        guard let physical = translate(address, size, access) else { return nil }
        guard let memory = bus.memory(at: physical, length: size), access == .load || !memory.isReadOnly else {
            Log.write(.guestErrors, "hart \(index): atomic access to \(hex(physical)), which is not RAM")
            _ = raise(access.accessFault, address)
            return nil
        }
        if access == .store { comparison?.journal.willWrite(memory, physical) }
        return memory.host + Int(physical &- memory.base)
    }

    // MARK: Cache-block operations (Zicbom, Zicboz)

    static let cacheBlock: UInt64 = 64

    /// cbo.zero clears its block; the others only check their right to the address, as there is no cache to act on.
    func executeCacheBlock(_ op: RVOp, _ r: DecodedOp) -> Bool {
        guard cboAllowed(op, r) else { return false }
        let address = x[Int(r.rs1)]
        let block = address & ~(Self.cacheBlock - 1)
        if op == .cbo_zero {
            guard let physical = translateReporting(address, at: block, .store) else { return false }
            guard let memory = bus.memory(at: physical, length: Self.cacheBlock), !memory.isReadOnly else {
                return raise(RVCause.storeAccess, address)
            }
            comparison?.journal.willWrite(memory, physical)
            (memory.host + Int(physical &- memory.base)).initializeMemory(as: UInt8.self, repeating: 0, count: Int(Self.cacheBlock))
            wroteMemory(memory, physical, Int(Self.cacheBlock), block)
            return true
        }
        if isShadowStack(address) { return raise(RVCause.storeAccess, address) }
        // Either a load or a store right is enough; what is reported is always a store fault.
        guard let physical = translate(block, Self.cacheBlock, .load) ?? translateReporting(address, at: block, .store) else { return false }
        guard bus.memory(at: physical) != nil || bus.region(at: physical) != nil else { return raise(RVCause.storeAccess, address) }
        return true
    }

    /// Like `translate`, but a fault names `address` (the operand) instead of the block's start.
    private func translateReporting(_ address: UInt64, at block: UInt64, _ access: RVAccess) -> UInt64? {
        if let physical = translate(block, Self.cacheBlock, access) { return physical }
        h.pointee.trapValue = reported(h.pointee.trapCause, address)
        return nil
    }
}
