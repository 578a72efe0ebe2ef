import EmuBus

/// One level of a page-table walk, for people.
package struct RVWalkStep: Sendable {
    /// 0 for the last level.
    package var level: Int
    /// Physical address of the entry, and its contents; nil where no memory answers.
    package var position: UInt64
    package var entry: UInt64?
    /// Of a guest's second stage, from its physical addresses to the machine's.
    package var isSecondStage = false
}

/// A page-table walk told step by step; nothing was changed by it.
package struct RVWalkReport: Sendable {
    /// The translation register it went by, 0 for no translation.
    package var space: UInt64
    package var privilege: UInt8
    /// The register of the second stage, 0 for none; and whether the address is a guest's at all.
    package var guestSpace: UInt64 = 0
    package var isGuest = false
    package var steps: [RVWalkStep] = []
    /// Where the address leads, whatever the rights; nil when the tables do not say.
    package var physical: UInt64?
    /// Bytes of the page or superpage.
    package var pageSize: UInt64 = 4096
    /// The leaf, nil without translation.
    package var leaf: UInt64?
    /// The exception the access raises; nil when it is allowed.
    package var fault: UInt64?
    /// Why, in words; empty when it is allowed.
    package var reason = ""
}

/// Walks for a debugger: like `walk`, but setting no accessed or dirty bits, and saying what was found.
extension RVProcessor {
    /// The rights of a data access or a fetch at this moment: privilege (with MPRV for data), SUM, MXR, and the address space.
    package func presentRights(_ access: RVAccess) -> (rights: UInt64, space: UInt64) {
        let key = access == .fetch ? viewKeys.fetch : viewKeys.data
        return (key.rights, key.space)
    }

    /// What an access to `address` would meet. Without `rights` and `space`: as the hart stands. With another space than the present one: not
    /// as a guest.
    package func explain(_ address: UInt64, _ access: RVAccess, rights: UInt64? = nil, space: UInt64? = nil) -> RVWalkReport {
        let present = access == .fetch ? viewKeys.fetch : viewKeys.data
        var rights = rights ?? present.rights
        if let space, space != present.space { rights &= ~RVRights.guest }
        let privilege = UInt8(truncatingIfNeeded: rights & RVRights.privilegeMask)
        var report = RVWalkReport(space: space ?? present.space, privilege: privilege)
        report.isGuest = rights & RVRights.guest != 0
        if report.isGuest { report.guestSpace = present.guestSpace }
        let address = access == .fetch ? address : withoutIgnoredBits(address, TLBViewKey(space: report.space, rights: rights))
        func fail(_ problem: Problem, _ pageFault: UInt64) -> RVWalkReport {
            report.fault = problem.isAccess ? access.accessFault : problem.isSecondStage ? access.guestPageFault : pageFault
            report.reason = problem.reason
            return report
        }
        report.physical = address
        let stage = report.isGuest ? RVStage.guestVirtual : .only
        if report.space != 0 {
            report.physical = nil
            if let problem = findLeaf(address, report.space, stage, &report) { return fail(problem, access.pageFault) }
        }
        if report.guestSpace != 0, let guestPhysical = report.physical {
            if let leaf = report.leaf, let problem = refusal(leaf, access, rights, stage) { return fail(problem, access.pageFault) }
            report.physical = nil
            if let problem = findLeaf(guestPhysical, report.guestSpace, .guestPhysical, &report) { return fail(problem, access.guestPageFault) }
            rights = Self.secondRights(rights)
        }
        guard let physical = report.physical else { return report }
        if let leaf = report.leaf, let problem = refusal(leaf, access, rights, report.guestSpace != 0 ? .guestPhysical : stage) {
            return fail(problem, report.guestSpace != 0 ? access.guestPageFault : access.pageFault)
        } else if !pmpAllows(physical, size: 1, access, privilege: privilege) {
            report.fault = access.accessFault
            report.reason = "physical memory protection (PMP) does not allow it"
        } else if bus.memory(at: physical) == nil && bus.region(at: physical) == nil {
            report.fault = access.accessFault
            report.reason = "nothing is at that physical address"
        } else if access == .fetch && bus.codeMemory(at: physical) == nil {
            report.fault = access.accessFault
            report.reason = "instructions cannot be fetched from a device"
        } else if access == .store, let memory = bus.memory(at: physical), memory.isReadOnly {
            report.fault = access.accessFault
            report.reason = "that memory is read-only"
        }
        return report
    }

    private struct Problem {
        var reason: String
        var isAccess = false
        /// Met by the second stage, on the way to a table.
        var isSecondStage = false
    }

    /// Descends to the leaf; nil when there is one.
    private func findLeaf(_ address: UInt64, _ space: UInt64, _ stage: RVStage, _ report: inout RVWalkReport) -> Problem? {
        let levels = Int(space >> 60) - 5
        guard 3...5 ~= levels else { return Problem(reason: "\(stage == .guestPhysical ? "hgatp" : "satp") names an unknown translation mode") }
        var indexMask: UInt64 = 0x1ff
        if stage == .guestPhysical {
            indexMask = 0x7ff
            guard address >> UInt64(14 + 9 * levels) == 0 else { return Problem(reason: "the guest physical address has more than \(14 + 9 * levels) bits") }
        } else {
            let unused = UInt64(64 - (12 + 9 * levels))
            guard UInt64(bitPattern: Int64(bitPattern: address << unused) >> Int64(unused)) == address else {
                return Problem(reason: "bits above bit \(63 - unused) of the address do not repeat that bit, as Sv\(12 + 9 * levels) wants")
            }
        }
        var table = (space & PTE.pageNumberMask) << 12
        // The walk goes on all the same: where the address leads is worth knowing.
        var isDenied = false
        for level in stride(from: levels - 1, through: 0, by: -1) {
            var position = table | (address >> UInt64(12 + 9 * level) & indexMask) << 3
            indexMask = 0x1ff
            if stage == .guestVirtual, report.guestSpace != 0 {
                guard let physical = guestTablePosition(position, report.guestSpace) else {
                    report.steps.append(RVWalkStep(level: level, position: position, entry: nil))
                    return Problem(reason: "the second stage does not let the guest read its page-table entry, at guest physical \(hex(position))", isSecondStage: true)
                }
                position = physical
            }
            guard let entry = bus.loadMemory(position, as: UInt64.self) else {
                report.steps.append(RVWalkStep(level: level, position: position, entry: nil, isSecondStage: stage == .guestPhysical))
                return Problem(reason: "no memory is where the page-table entry should be", isAccess: true)
            }
            if !pmpAllows(position, size: 8, .load, privilege: RVPrivilege.supervisor) { isDenied = true }
            report.steps.append(RVWalkStep(level: level, position: position, entry: entry, isSecondStage: stage == .guestPhysical))
            if entry & PTE.valid == 0 { return Problem(reason: "the entry is not valid (V = 0)") }
            if entry & (PTE.read | PTE.write) == PTE.write, !isShadowStack(entry: entry, stage) { return Problem(reason: "the entry is writable but not readable, which is reserved") }
            if entry & reservedBits != 0 { return Problem(reason: "reserved bits (60:54) of the entry are set") }
            if entry & (PTE.read | PTE.write | PTE.execute) != 0 {
                if let problem = takeLeaf(entry, level, address, stage, &report) { return problem }
                return isDenied ? Problem(reason: "physical memory protection (PMP) does not let S-mode read the page tables", isAccess: true) : nil
            }
            if entry & (PTE.napot | PTE.memoryType | PTE.user | PTE.accessed | PTE.dirty) != 0 {
                return Problem(reason: "the entry points to the next level, where N, PBMT, U, A and D must be 0")
            }
            table = (entry >> 10 & PTE.pageNumberMask) << 12
        }
        return Problem(reason: "the entry of the last level is a pointer to another one (R = W = X = 0)")
    }

    /// Where a guest's page-table entry is; nil where the second stage does not say, or does not allow it.
    private func guestTablePosition(_ position: UInt64, _ guestSpace: UInt64) -> UInt64? {
        var second = RVWalkReport(space: guestSpace, privilege: RVPrivilege.user)
        guard findLeaf(position, guestSpace, .guestPhysical, &second) == nil, let leaf = second.leaf,
            refusal(leaf, .load, UInt64(RVPrivilege.user), .guestPhysical) == nil else { return nil }
        return second.physical
    }

    private func takeLeaf(_ entry: UInt64, _ level: Int, _ address: UInt64, _ stage: RVStage, _ report: inout RVWalkReport) -> Problem? {
        var pageNumber = entry >> 10 & PTE.pageNumberMask
        var spanned = UInt64(9 * level)
        if pageNumber & (1 << spanned - 1) != 0 { return Problem(reason: "the superpage is not aligned to its size") }
        if entry & PTE.napot != 0 {
            guard config.extensions.contains(.svnapot), level == 0, pageNumber & 0xf == 1 << (PTE.napotBits - 1) else {
                return Problem(reason: "the N bit is set, but the entry is no 64 KiB page this hart knows")
            }
            spanned = PTE.napotBits
        }
        let type = entry & PTE.memoryType
        if type != 0, type == PTE.memoryType || environment(of: stage) & RVEnvironment.pbmte == 0 {
            return Problem(reason: "the entry has a memory type (PBMT) that is reserved or not enabled by \(stage == .guestVirtual ? "henvcfg" : "menvcfg").PBMTE")
        }
        let mask: UInt64 = 1 << spanned - 1
        pageNumber = pageNumber & ~mask | address >> 12 & mask
        report.leaf = entry
        report.physical = pageNumber << 12 | address & 0xfff
        report.pageSize = 4096 << spanned
        return nil
    }

    /// Why a leaf does not allow an access; nil when it does.
    private func refusal(_ entry: UInt64, _ access: RVAccess, _ rights: UInt64, _ stage: RVStage) -> Problem? {
        let isUser = rights & RVRights.privilegeMask == UInt64(RVPrivilege.user)
        if isUser, entry & PTE.user == 0 { return Problem(reason: "the page is not U-mode's (U = 0)") }
        if !isUser, entry & PTE.user != 0 {
            if access == .fetch { return Problem(reason: "the page is U-mode's (U = 1), from which S-mode never executes") }
            if rights & RVRights.sum == 0 { return Problem(reason: "the page is U-mode's (U = 1) and sstatus.SUM is 0") }
        }
        if isShadowStack(entry: entry, stage) {
            if access == .load { return nil }
            return Problem(reason: "the page belongs to a shadow stack (only W is set), which only instructions of Zicfiss may write", isAccess: true)
        }
        switch access {
        case .load where entry & PTE.read == 0 && !(rights & RVRights.mxr != 0 && entry & PTE.execute != 0): return Problem(reason: "the page is not readable (R = 0)")
        case .store where entry & PTE.write == 0: return Problem(reason: "the page is not writable (W = 0)")
        case .fetch where entry & PTE.execute == 0: return Problem(reason: "the page is not executable (X = 0)")
        default: break
        }
        if updatesAccessedBits(stage) { return nil }
        if entry & PTE.accessed == 0 { return Problem(reason: "the page is not marked accessed (A = 0), and software is to do that (Svade)") }
        if access == .store, entry & PTE.dirty == 0 { return Problem(reason: "the page is not marked dirty (D = 0), and software is to do that (Svade)") }
        return nil
    }

    /// One range of virtual addresses with equal rights that continues physically.
    package struct Mapping: Sendable {
        package var address: UInt64
        package var physical: UInt64
        package var size: UInt64
        /// R, W, X, U, G, A and D, as in page-table entries (bits 1 to 7).
        package var flags: UInt64
    }

    /// Everything the page tables of `space` map, in ascending order of the address; at most `limit` ranges. Of a guest: to its physical
    /// addresses, or, if it has no tables of its own, what the second stage maps.
    package func mappings(space: UInt64, guestSpace: UInt64 = 0, limit: Int) -> [Mapping] {
        let isSecond = space == 0 && guestSpace != 0, root = isSecond ? guestSpace : space
        let levels = Int(root >> 60) - 5
        guard 3...5 ~= levels else { return [] }
        var result: [Mapping] = []
        // A guest can make tables that point to themselves; a sane one has no more than this.
        var tablesLeft = 100_000
        collect(
            (root & PTE.pageNumberMask) << 12, level: levels - 1, levels: levels, base: 0, guestSpace: isSecond ? 0 : guestSpace, isSecond: isSecond,
            limit: limit, &tablesLeft, &result)
        return result
    }

    private func collect(
        _ table: UInt64, level: Int, levels: Int, base: UInt64, guestSpace: UInt64, isSecond: Bool, limit: Int, _ tablesLeft: inout Int,
        _ result: inout [Mapping]
    ) {
        if tablesLeft == 0 { return }
        tablesLeft -= 1
        let top = UInt64(12 + 9 * levels - 1)
        for index in UInt64(0)..<(isSecond && level == levels - 1 ? 2048 : 512) {
            let place = table | index << 3
            guard let position = guestSpace == 0 ? place : guestTablePosition(place, guestSpace),
                let entry = bus.loadMemory(position, as: UInt64.self) else { return }
            guard entry & PTE.valid != 0 else { continue }
            let size: UInt64 = 4096 << UInt64(9 * level)
            var address = base | index << UInt64(12 + 9 * level)
            if !isSecond, address >> top & 1 != 0 { address |= ~0 << top }
            let target = (entry >> 10 & PTE.pageNumberMask) << 12
            guard entry & (PTE.read | PTE.write | PTE.execute) != 0 else {
                if level > 0 { collect(target, level: level - 1, levels: levels, base: address, guestSpace: guestSpace, isSecond: isSecond, limit: limit, &tablesLeft, &result) }
                continue
            }
            // The pages of a NAPOT leaf each have their entry; only its low page-number bits differ.
            let physical = entry & PTE.napot != 0 ? target & ~0xffff | address & 0xf000 : target
            let flags = entry & 0xfe
            if let last = result.last, last.address &+ last.size == address, last.physical &+ last.size == physical, last.flags == flags {
                result[result.count - 1].size &+= size
            } else {
                if result.count >= limit { return }
                result.append(Mapping(address: address, physical: physical, size: size, flags: flags))
            }
        }
    }

    /// What one TLB view holds.
    package struct TLBLine: Sendable {
        package var space: UInt64
        /// Effective privilege the entry is for.
        package var privilege: UInt8
        package var isGuest: Bool
        package var address: UInt64
        package var physical: UInt64
        package var readable: Bool
        package var writable: Bool
        package var executable: Bool
        /// Some access takes the slow path: device, code, watched or partly protected.
        package var isSlow: Bool
        /// In use for data or fetches now.
        package var isCurrent: Bool
    }

    /// Every page in the TLB.
    package var tlbLines: [TLBLine] {
        var lines: [TLBLine] = []
        for index in 0..<TLBViews.count {
            let view = views.views + index
            let isCurrent = view == h.pointee.dataView || view == h.pointee.fetchView
            var pages: [UInt64: TLBLine] = [:]
            func collect(_ table: TLBTable, _ right: WritableKeyPath<TLBLine, Bool>) {
                for position in 0..<table.count where table.entries[position].tag != .max {
                    let tag = table.entries[position].tag
                    let address = tag & TLBEntry.pageMask
                    var line = pages[address] ?? TLBLine(
                        space: view.pointee.key.space, privilege: UInt8(truncatingIfNeeded: view.pointee.key.rights & RVRights.privilegeMask),
                        isGuest: view.pointee.key.rights & RVRights.guest != 0, address: address, physical: table.physical[position], readable: false, writable: false, executable: false,
                        isSlow: false, isCurrent: isCurrent)
                    line[keyPath: right] = true
                    if tag & TLBEntry.slow != 0 { line.isSlow = true }
                    pages[address] = line
                }
            }
            collect(view.pointee.loads, \.readable)
            collect(view.pointee.stores, \.writable)
            collect(view.pointee.fetches, \.executable)
            lines += pages.values
        }
        return lines.sorted { ($0.space, $0.address) < ($1.space, $1.address) }
    }
}
