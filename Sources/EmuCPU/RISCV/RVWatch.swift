import EmuBus

/// Where a hart asks its observer. Every function here is called from rare paths only, and only while something is watched.
extension RVProcessor {
    /// What of a satp value says which address space it is: mode and root table. Operating systems give the ASID, a tag, to others as they like.
    package static func identity(ofSpace space: UInt64) -> UInt64 { space & ~(0xffff << 44) }

    /// Asks whether to stop before the instruction at `pc`, where a watched block starts.
    @inline(never)
    func stopsBefore(_ pc: UInt64, _ physical: UInt64) -> Bool {
        guard let watch, watch.observer.stops(hart: index, before: pc, physical: physical) else { return false }
        h.pointee.request |= RVRequest.exit
        return true
    }

    /// Reports an event; the hart stops after the instruction in hand if the observer says so.
    @inline(never)
    func report(_ event: HartEvent) {
        if let watch, watch.observer.observe(hart: index, event) { h.pointee.request |= RVRequest.exit }
    }

    /// The instruction at `ip`.
    private func address(of ip: UnsafeMutablePointer<DecodedOp>) -> UInt64 { h.pointee.blockPC &+ UInt64(ip.pointee.offset) }

    /// After a load or store of `size` bytes that succeeded: true when a page it touched is watched.
    private func isWatched(_ address: UInt64, _ size: UInt64) -> Bool {
        isWatched(pageOf: address) || isWatched(pageOf: address &+ (size &- 1))
    }

    private func isWatched(pageOf address: UInt64) -> Bool {
        let view = h.pointee.dataView
        return isWatched(view.pointee.loads.entry(address).pointee, address) || isWatched(view.pointee.stores.entry(address).pointee, address)
    }

    private func isWatched(_ entry: TLBEntry, _ address: UInt64) -> Bool {
        entry.tag & ~TLBEntry.checked == address & TLBEntry.pageMask | TLBEntry.slow | TLBEntry.watched
    }

    /// Where an access to a watched page went.
    private func physicalAddress(_ address: UInt64) -> UInt64 {
        let view = h.pointee.dataView
        let known: RVAccess = isWatched(view.pointee.loads.entry(address).pointee, address) ? .load : .store
        return physicalPage(view, known, address) | address & 0xfff
    }

    /// What a watched access is about to change: nil where nothing is watched, where it is going to fault, and for devices.
    /// The walk may set accessed and dirty bits, which the access itself sets anyway.
    private func contents(_ address: UInt64, _ size: UInt64, _ access: RVAccess) -> UInt64? {
        guard size <= 8 else { return nil }
        var value: UInt64 = 0
        for offset in 0..<size {
            guard let physical = translate(address &+ offset, 1, access), let byte = bus.memoryPointer(physical, 1) else { return nil }
            value |= UInt64(byte.load(as: UInt8.self)) << (8 * offset)
        }
        return value
    }

    func didLoad(_ address: UInt64, _ size: UInt64, _ value: UInt64, _ ip: UnsafeMutablePointer<DecodedOp>) {
        guard isWatched(address, size) else { return }
        report(.access(HartAccess(
            kind: .read, address: effectiveAddress(address), physical: physicalAddress(address), size: size, old: value, new: value, pc: self.address(of: ip))))
    }

    /// A store that is reported when it touches a watched page. False when it traps.
    @inline(never)
    func storeWatched(_ address: UInt64, _ size: UInt64, _ value: UInt64, _ ip: UnsafeMutablePointer<DecodedOp>) -> Bool {
        let old = contents(address, size, .store)
        guard store(address, size, value, ip) else { return false }
        guard isWatched(address, size) else { return true }
        let unused = 64 - 8 * size
        report(.access(HartAccess(
            kind: .write, address: effectiveAddress(address), physical: physicalAddress(address), size: size, old: old, new: (value &<< unused) &>> unused,
            pc: self.address(of: ip))))
        return true
    }

    /// LR, SC and AMO with their accesses reported. False when the instruction traps.
    @inline(never)
    func executeAtomicWatched(_ r: DecodedOp, _ ip: UnsafeMutablePointer<DecodedOp>) -> Bool {
        let address = x[Int(r.rs1)]
        // The width field of every instruction here is log2 of the size.
        let size: UInt64 = 1 << UInt64(r.raw >> 12 & 7)
        let isLoad = r.rv == .lr_w || r.rv == .lr_d
        let isConditional = r.rv == .sc_w || r.rv == .sc_d
        let old = contents(address, size, .load)
        guard executeAtomic(r.rv, r) else { return false }
        // A failed SC touches nothing.
        if isConditional && x[Int(r.rd)] != 0 && r.rd != 32 { return true }
        guard isWatched(address, size) else { return true }
        report(.access(HartAccess(
            kind: isLoad ? .read : isConditional ? .write : .readWrite, address: effectiveAddress(address), physical: physicalAddress(address), size: size,
            old: old, new: contents(address, size, .load), pc: self.address(of: ip))))
        return true
    }

    /// cbo.zero with its store reported. False when the instruction traps.
    @inline(never)
    func executeCacheBlockWatched(_ r: DecodedOp, _ ip: UnsafeMutablePointer<DecodedOp>) -> Bool {
        let block = x[Int(r.rs1)] & ~(Self.cacheBlock - 1)
        guard executeCacheBlock(r.rv, r) else { return false }
        guard r.rv == .cbo_zero, isWatched(block, Self.cacheBlock) else { return true }
        report(.access(HartAccess(
            kind: .write, address: effectiveAddress(block), physical: physicalAddress(block), size: Self.cacheBlock, old: nil, new: nil, pc: address(of: ip))))
        return true
    }

    /// After a trap was entered.
    func didTrap(_ watch: HartWatch, _ cause: UInt64, _ value: UInt64, _ pc: UInt64, from: UInt8, to: UInt8) {
        if watch.events.contains(.traps) { report(.trap(cause: cause, value: value, pc: pc, from: from, to: to)) }
        if from != to, watch.events.contains(.privilege) { report(.privilege(from: from, to: to, pc: pc)) }
    }
}
