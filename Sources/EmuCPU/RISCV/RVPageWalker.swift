import EmuBus
import Synchronization

/// What an access to memory wants.
package enum RVAccess {
    case load, store, fetch
    /// By an instruction of Zicfiss.
    case shadowLoad, shadowStore

    /// Cause when translation refuses.
    var pageFault: UInt64 {
        switch self {
        case .load: RVCause.loadPage
        // What reads a shadow stack counts as a store all the same.
        case .store, .shadowLoad, .shadowStore: RVCause.storePage
        case .fetch: RVCause.fetchPage
        }
    }

    /// Cause when a guest's second stage refuses.
    var guestPageFault: UInt64 {
        switch self {
        case .load: RVCause.loadGuestPage
        case .store, .shadowLoad, .shadowStore: RVCause.storeGuestPage
        case .fetch: RVCause.fetchGuestPage
        }
    }

    /// Cause when the physical access is refused (PMP, nothing there).
    var accessFault: UInt64 {
        switch self {
        case .load: RVCause.loadAccess
        case .store, .shadowLoad, .shadowStore: RVCause.storeAccess
        case .fetch: RVCause.fetchAccess
        }
    }
}

/// A page a walk found, with what the given rights may do to it. PMP is not considered.
package struct RVPage {
    /// Physical address of the 4 KiB page that holds the translated address.
    package var physicalPage: UInt64
    package var readable = true
    /// Also means that the page-table entry is marked dirty.
    package var writable = true
    package var executable = true
    /// Part of a larger leaf, so that one leaf stands behind several TLB entries.
    package var superpage = false
    /// Only instructions of Zicfiss may write it.
    package var isShadowStack = false
}

/// The outcome of a page-table walk.
package enum RVTranslation {
    case page(RVPage)
    /// The exception cause.
    case fault(UInt64)
}

/// Which tables a walk goes through.
package enum RVStage {
    /// Those of satp.
    case only
    /// A guest's own, those of vsatp: the first of two stages.
    case guestVirtual
    /// Those of hgatp: the second.
    case guestPhysical
}

/// What a walk is about.
struct RVWalk {
    var address: UInt64
    var access: RVAccess
    var rights: UInt64
    var stage = RVStage.only
    /// hgatp, where the tables themselves are at a guest's addresses.
    var guestSpace: UInt64 = 0
    /// What faults tell the access to be.
    var reported: RVAccess
    /// Nothing is marked accessed or dirty: the access may not happen.
    var isLook: Bool

    init(address: UInt64, access: RVAccess, rights: UInt64, isLook: Bool = false) {
        self.address = address
        self.access = access
        self.rights = rights
        self.isLook = isLook
        reported = access
    }

    var pageFault: UInt64 { stage == .guestPhysical ? reported.guestPageFault : reported.pageFault }
    var accessFault: UInt64 { reported.accessFault }
}

/// Fields of a page-table entry (privileged manual, "Sv39" with Svnapot and Svpbmt).
enum PTE {
    static let valid: UInt64 = 1 << 0
    static let read: UInt64 = 1 << 1
    static let write: UInt64 = 1 << 2
    static let execute: UInt64 = 1 << 3
    static let user: UInt64 = 1 << 4
    static let accessed: UInt64 = 1 << 6
    static let dirty: UInt64 = 1 << 7
    static let reserved: UInt64 = 0x7f << 54
    /// Bits 60 and 59, which Svrsw60t59b leaves to software.
    static let forSoftware: UInt64 = 3 << 59
    static let memoryType: UInt64 = 3 << 61
    static let napot: UInt64 = 1 << 63
    static let pageNumberMask: UInt64 = 1 << 44 - 1
    /// log2 of the pages a NAPOT leaf spans; its page number ends in 1000.
    static let napotBits: UInt64 = 4
}

extension RVProcessor {
    /// Translates `address` under address space `space` (satp; 0 for none) and `rights` (`RVRights`): the algorithm of
    /// "Virtual Address Translation Process" for Sv39, Sv48 and Sv57. Sets the accessed and dirty bits the access needs, or
    /// faults, as Svade and Svadu have it.
    /// - Parameters:
    ///   - guestSpace: hgatp, by which a guest's addresses go on to be translated; 0 for none.
    ///   - isLook: see `RVWalk`.
    package func walk(
        _ address: UInt64, _ access: RVAccess, rights: UInt64, space: UInt64, guestSpace: UInt64 = 0, isLook: Bool = false
    ) -> RVTranslation {
        let walk = RVWalk(address: address, access: access, rights: rights, isLook: isLook)
        if rights & RVRights.guest != 0 { return walkTwoStages(walk, space: space, guestSpace: guestSpace) }
        guard space != 0 else { return .page(RVPage(physicalPage: address & ~0xfff)) }
        if isLook { return self.walk(walk, space: space) }
        let region = address >> 21
        if region == h.pointee.walkRegion && space == h.pointee.walkSpace && views.changes == h.pointee.walkChanges {
            // The entries above were read since the last fence, as the TLB's were.
            return descend(walk, table: h.pointee.walkTable, level: 0)
        }
        return self.walk(walk, space: space) { table in
            h.pointee.walkSpace = space
            h.pointee.walkRegion = region
            h.pointee.walkTable = table
            h.pointee.walkChanges = views.changes
            h.pointee.walkLeaves = leaves(table)
        }
    }

    /// Walks from the root that `space` (satp or vsatp) names.
    @inline(__always)
    func walk(_ walk: RVWalk, space: UInt64, remember: (UInt64) -> Void = { _ in }) -> RVTranslation {
        let levels = Int(space >> 60) - 5
        guard 3...5 ~= levels else { return .fault(walk.pageFault) }
        // All bits above the highest translated one must equal it.
        let unused = 64 - UInt64(12 + 9 * levels), address = walk.address
        guard UInt64(bitPattern: Int64(bitPattern: address << unused) >> Int64(unused)) == address else { return .fault(walk.pageFault) }
        return descend(walk, table: (space & PTE.pageNumberMask) << 12, level: levels - 1, remember: remember)
    }

    /// Goes on with a walk at a table of some level.
    /// - Parameters:
    ///   - indexMask: bits of the index into the first table.
    ///   - remember: is told the table of level 0 if the walk gets there.
    @inline(__always)
    func descend(_ walk: RVWalk, table: UInt64, level: Int, indexMask: UInt64 = 0x1ff, remember: (UInt64) -> Void = { _ in }) -> RVTranslation {
        var table = table, level = level, indexMask = indexMask
        while level >= 0 {
            let listed = table | (walk.address >> UInt64(12 + 9 * level) & indexMask) << 3
            var position = listed
            if walk.stage == .guestVirtual {
                switch tablePosition(position, walk, forStore: false) {
                case .success(let physical): position = physical
                case .failure(let fault): return .fault(fault.cause)
                }
            }
            guard let entry = pageTableEntry(position) else { return .fault(walk.accessFault) }
            guard isWellFormed(entry, walk.stage) else { return .fault(walk.pageFault) }
            if entry & (PTE.read | PTE.write | PTE.execute) != 0 {
                if let result = leaf(entry, at: position, listed, level, walk) { return result }
                // The entry changed under the update of its A and D bits: look at it again.
                continue
            }
            // These bits of a pointer to the next level are reserved.
            guard entry & (PTE.napot | PTE.memoryType | PTE.user | PTE.accessed | PTE.dirty) == 0 else { return .fault(walk.pageFault) }
            table = (entry >> 10 & PTE.pageNumberMask) << 12
            level -= 1
            indexMask = 0x1ff
            if level == 0 { remember(table) }
        }
        return .fault(walk.pageFault)
    }

    /// Reads a page-table entry as S-mode; nil where PMP forbids it or no memory answers.
    @inline(__always)
    private func pageTableEntry(_ position: UInt64) -> UInt64? {
        guard pmpLeavesOpen(position & ~0xfff) || pmpAllows(position, size: 8, .load, privilege: RVPrivilege.supervisor) else { return nil }
        return bus.loadMemory(position, as: UInt64.self)
    }

    /// Valid, and free of encodings reserved at every level.
    private func isWellFormed(_ entry: UInt64, _ stage: RVStage) -> Bool {
        entry & PTE.valid != 0 && (entry & (PTE.read | PTE.write) != PTE.write || isShadowStack(entry: entry, stage)) && entry & reservedBits == 0
    }

    /// A leaf that is writable and nothing else, which is reserved while menvcfg.SSE is clear, or henvcfg.SSE, and in a guest's second stage.
    func isShadowStack(entry: UInt64, _ stage: RVStage = .only) -> Bool {
        entry & (PTE.read | PTE.write | PTE.execute) == PTE.write && stage != .guestPhysical && environment(of: stage) & RVEnvironment.sse != 0
    }

    /// What configures a stage: menvcfg, or for a guest's own tables henvcfg.
    func environment(of stage: RVStage) -> UInt64 { stage == .guestVirtual ? h.pointee.menvcfg & h.pointee.henvcfg : h.pointee.menvcfg }

    var reservedBits: UInt64 { config.extensions.contains(.svrsw60t59b) ? PTE.reserved & ~PTE.forSoftware : PTE.reserved }

    /// Judges a leaf; nil when it must be read again.
    /// - Parameter guestPosition: where the entry is for a guest; `position` is where it really is.
    private func leaf(_ entry: UInt64, at position: UInt64, _ guestPosition: UInt64, _ level: Int, _ walk: RVWalk) -> RVTranslation? {
        let fault = RVTranslation.fault(walk.pageFault), access = walk.access, address = walk.address
        var pageNumber = entry >> 10 & PTE.pageNumberMask
        // Low page-number bits that come from the address: those of a superpage must be clear in the entry.
        var spanned = UInt64(9 * level)
        guard pageNumber & (1 << spanned - 1) == 0 else { return fault }
        if entry & PTE.napot != 0 {
            guard config.extensions.contains(.svnapot), level == 0, pageNumber & 0xf == 1 << (PTE.napotBits - 1) else { return fault }
            spanned = PTE.napotBits
        }
        let memoryType = entry & PTE.memoryType
        if memoryType != 0 {
            guard memoryType != PTE.memoryType, environment(of: walk.stage) & RVEnvironment.pbmte != 0 else { return fault }
        }

        var page = permissions(entry, walk)
        switch access {
        case .load: guard page.readable else { return fault }
        case .store:
            if page.isShadowStack && page.readable { return .fault(walk.accessFault) }
            guard page.writable else { return fault }
        case .fetch:
            if page.isShadowStack { return .fault(walk.accessFault) }
            guard page.executable else { return fault }
        case .shadowLoad where walk.stage == .guestPhysical, .shadowStore where walk.stage == .guestPhysical:
            guard page.readable && page.writable else { return fault }
        case .shadowLoad, .shadowStore:
            // A read-only page may be one that was shared, and is to be copied; any other is a mistake.
            if !mayReachData(entry, walk.rights) || entry & (PTE.read | PTE.write | PTE.execute) == PTE.read { return fault }
            guard page.isShadowStack else { return .fault(walk.accessFault) }
        }

        var marked = entry | PTE.accessed
        if access == .store || access == .shadowStore { marked |= PTE.dirty }
        if marked != entry, !updatesAccessedBits(walk.stage) { return fault }
        if marked != entry, !walk.isLook {
            if walk.stage == .guestVirtual, case .failure(let fault) = tablePosition(guestPosition, walk, forStore: true) { return .fault(fault.cause) }
            guard pmpAllows(position, size: 8, .store, privilege: RVPrivilege.supervisor),
                let host = bus.writableMemoryPointer(position, 8) else { return .fault(walk.accessFault) }
            if let comparison, let memory = bus.memory(at: position) { comparison.journal.willWrite(memory, position) }
            // SAFETY: `host` is 8 bytes of guest RAM, aligned because page-table positions are multiples of 8 in a page-aligned mapping.
            let cell = host.assumingMemoryBound(to: Atomic<UInt64>.self)
            guard cell.pointee.compareExchange(
                expected: entry.littleEndian, desired: marked.littleEndian, ordering: .sequentiallyConsistent
            ).exchanged else { return nil }
            bus.dropCode(position, 8)
        }

        let mask: UInt64 = 1 << spanned - 1
        pageNumber = pageNumber & ~mask | address >> 12 & mask
        page.physicalPage = pageNumber << 12
        page.writable = page.writable && marked & PTE.dirty != 0
        page.superpage = level > 0
        return .page(page)
    }

    /// R, W, X and U against privilege, SUM and MXR.
    private func permissions(_ entry: UInt64, _ walk: RVWalk) -> RVPage {
        let rights = walk.rights
        let isUserPage = entry & PTE.user != 0
        let isUser = rights & RVRights.privilegeMask == UInt64(RVPrivilege.user)
        let data = mayReachData(entry, rights)
        let isShadowStack = isShadowStack(entry: entry, walk.stage)
        let readable = rights & RVRights.executeForRead != 0
            ? entry & PTE.execute != 0 : entry & PTE.read != 0 || isShadowStack || rights & RVRights.mxr != 0 && entry & PTE.execute != 0
        return RVPage(
            physicalPage: 0, readable: data && readable, writable: data && entry & PTE.write != 0 && !isShadowStack,
            // SUM never lets S-mode execute user pages.
            executable: isUser == isUserPage && entry & PTE.execute != 0, isShadowStack: isShadowStack)
    }

    /// U against privilege and SUM.
    private func mayReachData(_ entry: UInt64, _ rights: UInt64) -> Bool {
        let isUser = rights & RVRights.privilegeMask == UInt64(RVPrivilege.user)
        return isUser == (entry & PTE.user != 0) || !isUser && rights & RVRights.sum != 0
    }

    /// Hardware updates A and D: with Svadu when ADUE of menvcfg or henvcfg says so, else unless Svade asks for faults.
    func updatesAccessedBits(_ stage: RVStage) -> Bool {
        config.extensions.contains(.svadu) ? environment(of: stage) & RVEnvironment.adue != 0 : !config.extensions.contains(.svade)
    }
}
