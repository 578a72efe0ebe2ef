import EmuBus
import Synchronization

/// "Process to translate an IOVA", and the walks of page tables it needs.
extension RISCVIOMMU: DMATranslator {
    func translate(_ address: UInt64, isWrite: Bool, requester: UInt16) -> UInt64? {
        if registers.directory & IOMMU.Mode.mask == IOMMU.Mode.bare { return address }
        if let page = cache.find(address, isWrite: isWrite, requester: requester) { return page | address & 0xfff }
        guard let leaf = translate(IOMMURequest(device: UInt32(requester), access: isWrite ? .write : .read, address: address)) else { return nil }
        cache.insert(address, leaf, isWrite: isWrite, requester: requester)
        return leaf.address
    }

    /// The outcome of a request; a fault has been reported.
    func translate(_ request: IOMMURequest) -> IOMMULeaf? {
        var context: IOMMUDeviceContext?
        do throws(IOMMUFault) {
            return try translate(request, &context)
        } catch {
            // Faults before the context was found are not its to hide.
            let isHidden = context?.has(IOMMU.Control.hidesFaults) ?? false
            if !isHidden || IOMMU.Cause.isAlwaysReported(error.cause) { report(error, request) }
            return nil
        }
    }

    private func translate(_ request: IOMMURequest, _ found: inout IOMMUDeviceContext?) throws(IOMMUFault) -> IOMMULeaf {
        switch registers.directory & IOMMU.Mode.mask {
        case IOMMU.Mode.off: throw IOMMUFault(IOMMU.Cause.allDisallowed)
        case IOMMU.Mode.bare: return IOMMULeaf(address: request.address, shift: 12)
        default: break
        }
        let context = try deviceContext(request.device)
        found = context
        let second = IOMMUPageTable(context.secondStage, isSecondStage: true, updates: context.has(IOMMU.Control.secondStageUpdates))
        var field = context.firstStage, isPrivileged = false, mayReachUser = false
        let process = try process(request, context)
        if context.has(IOMMU.Control.hasProcesses) {
            field = 0
            if let process, context.firstMode != 0 {
                let own = try processContext(process, context, request, second)
                isPrivileged = request.isPrivileged && request.process != nil
                guard !isPrivileged || own.attributes & IOMMU.Process.allowsPrivileged != 0 else { throw IOMMUFault(IOMMU.Cause.typeDisallowed) }
                mayReachUser = own.attributes & IOMMU.Process.mayReachUser != 0
                field = own.firstStage
            }
        }
        var leaf = IOMMULeaf(address: request.address, shift: 12)
        if let first = IOMMUPageTable(field, isSecondStage: false, updates: context.has(IOMMU.Control.firstStageUpdates)) {
            // U decides which privilege reaches a page; what executes never reaches user pages with the other.
            func mayReach(_ entry: UInt64) -> Bool {
                entry & IOMMU.Entry.user != 0 ? !isPrivileged || mayReachUser && request.access != .execute : isPrivileged
            }
            leaf = try walk(first, request.address, request.access, IOMMUFault(request.access.pageFault), IOMMUFault(request.access.accessFault), mayReach) {
                position, isWrite throws(IOMMUFault) in
                try implicit(position, isWrite: isWrite, request, second, accessFault: request.access.accessFault)
            }
        }
        if context.messageMode != 0, isMessage(leaf.address, context) { return try translateMessage(leaf, context, request) }
        guard let second else { return leaf }
        let final = try translate(leaf.address, second, request.access, request, isImplicit: false, accessFault: request.access.accessFault)
        return IOMMULeaf(address: final.address, shift: min(leaf.shift, final.shift), memoryType: leaf.memoryType != 0 ? leaf.memoryType : final.memoryType)
    }

    // MARK: Second stage

    /// Where a first-stage structure at a guest physical address lies.
    func implicit(
        _ address: UInt64, isWrite: Bool, _ request: IOMMURequest, _ second: IOMMUPageTable?, accessFault: UInt32
    ) throws(IOMMUFault) -> UInt64 {
        guard let second else { return address }
        return try translate(address, second, isWrite ? .write : .read, request, isImplicit: true, accessFault: accessFault).address
    }

    private func translate(
        _ address: UInt64, _ second: IOMMUPageTable, _ access: IOMMUAccess, _ request: IOMMURequest, isImplicit: Bool, accessFault: UInt32
    ) throws(IOMMUFault) -> IOMMULeaf {
        // Always reported as what the device wanted; the low bits tell of accesses of the walk.
        let place = address & ~3 | (isImplicit ? 1 : 0) | (isImplicit && access == .write ? 2 : 0)
        let fault = IOMMUFault(request.access.guestPageFault, second: place)
        return try walk(second, address, access, fault, IOMMUFault(accessFault), { $0 & IOMMU.Entry.user != 0 }) { position, _ throws(IOMMUFault) in position }
    }

    // MARK: Page tables

    /// Walks one page table.
    /// - Parameters:
    ///   - mayReach: a leaf's U bit suits the request.
    ///   - locate: where an entry at some position lies, which is read, or written too.
    private func walk(
        _ table: IOMMUPageTable, _ address: UInt64, _ access: IOMMUAccess, _ pageFault: IOMMUFault, _ accessFault: IOMMUFault,
        _ mayReach: (UInt64) -> Bool, _ locate: (UInt64, Bool) throws(IOMMUFault) -> UInt64
    ) throws(IOMMUFault) -> IOMMULeaf {
        typealias Entry = IOMMU.Entry
        guard table.covers(address) else { throw pageFault }
        var base = table.root, level = table.levels - 1
        while true {
            let position = table.position(base, level, address)
            guard let entry = memory.loadMemory(try locate(position, false), as: UInt64.self) else { throw accessFault }
            guard entry & Entry.valid != 0, entry & (Entry.read | Entry.write) != Entry.write, entry & Entry.reserved == 0 else { throw pageFault }
            guard entry & (Entry.read | Entry.execute) != 0 else {
                guard entry & (Entry.napot | Entry.memoryType | Entry.user | Entry.accessed | Entry.dirty) == 0, level > 0 else { throw pageFault }
                base = IOMMU.address(entry)
                level -= 1
                continue
            }
            let spanned = try span(entry, level, pageFault)
            guard entry & access.permission != 0, mayReach(entry) else { throw pageFault }
            let marked = entry | Entry.accessed | (access == .write ? Entry.dirty : 0)
            if marked != entry {
                guard table.updates else { throw pageFault }
                guard let isMarked = mark(try locate(position, true), entry, marked) else { throw accessFault }
                // The entry changed meanwhile: look at it again.
                guard isMarked else { continue }
            }
            let mask: UInt64 = 1 << (12 + spanned) - 1
            return IOMMULeaf(
                address: IOMMU.address(entry) & ~mask | address & mask, shift: 12 + spanned, memoryType: (entry & Entry.memoryType) >> Entry.memoryTypeShift)
        }
    }

    /// log2 of the pages a leaf spans, when its encoding is a legal one.
    private func span(_ entry: UInt64, _ level: Int, _ fault: IOMMUFault) throws(IOMMUFault) -> UInt64 {
        let pageNumber = entry >> 10, spanned = UInt64(9 * level)
        guard entry & IOMMU.Entry.memoryType != IOMMU.Entry.memoryType, pageNumber & (1 << spanned - 1) == 0 else { throw fault }
        guard entry & IOMMU.Entry.napot != 0 else { return spanned }
        guard level == 0, pageNumber & 0xf == 1 << (IOMMU.Entry.napotBits - 1) else { throw fault }
        return IOMMU.Entry.napotBits
    }

    /// Replaces an entry, unless it has changed; nil where it is not in RAM.
    private func mark(_ position: UInt64, _ old: UInt64, _ new: UInt64) -> Bool? {
        guard let host = memory.writableMemoryPointer(position, 8) else { return nil }
        // SAFETY: 8 bytes of RAM, aligned as positions in page tables are multiples of 8 and memories begin at pages.
        let cell = host.assumingMemoryBound(to: Atomic<UInt64>.self)
        let isDone = cell.pointee.compareExchange(expected: old.littleEndian, desired: new.littleEndian, ordering: .sequentiallyConsistent).exchanged
        if isDone { memory.didWriteMemory(position, 8) }
        return isDone
    }

    // MARK: Messages

    /// A guest physical address is that of a virtual interrupt file.
    private func isMessage(_ address: UInt64, _ context: IOMMUDeviceContext) -> Bool {
        (address >> 12 ^ context.messagePattern) & ~context.messageMask == 0
    }

    /// "Process to translate addresses of MSIs".
    private func translateMessage(_ leaf: IOMMULeaf, _ context: IOMMUDeviceContext, _ request: IOMMURequest) throws(IOMMUFault) -> IOMMULeaf {
        let file = Self.extract(leaf.address >> 12, context.messageMask)
        guard let entry = memory.loadMemory(IOMMU.rootAddress(context.messageTable) | file &* 16, as: UInt64.self) else {
            throw IOMMUFault(IOMMU.Cause.messageTableAccess)
        }
        guard entry & 1 != 0 else { throw IOMMUFault(IOMMU.Cause.messageInvalid) }
        // Basic mode alone: memory-resident interrupt files are not offered, and nothing is of custom use. What is reserved must be 0.
        guard entry & ~IOMMU.pageNumber == 7 else { throw IOMMUFault(IOMMU.Cause.messageMisconfigured) }
        guard request.access != .execute else { throw IOMMUFault(request.access.accessFault) }
        return IOMMULeaf(address: IOMMU.address(entry) | leaf.address & 0xfff, shift: 12)
    }

    /// The bits of `value` where `mask` has ones, put together.
    static func extract(_ value: UInt64, _ mask: UInt64) -> UInt64 {
        var result: UInt64 = 0, place: UInt64 = 0, left = mask
        while left != 0 {
            let bit = UInt64(left.trailingZeroBitCount)
            result |= (value >> bit & 1) << place
            place += 1
            left &= left - 1
        }
        return result
    }
}
