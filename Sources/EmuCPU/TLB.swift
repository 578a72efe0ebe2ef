/// One page that may be accessed in one way: 16 bytes, trivial, read by the interpreter and by generated code.
///
/// The tag is the page's guest address when a plain host access is allowed, the address with bit 0 set when the access is allowed
/// but must take the slow path (device, ROM, page holding code), with bit 1 set too when every access must ask the memory
/// protection unit (it covers only part of the page), with bits 0 and 2 set when a debugger watches the page's data, and all
/// ones when nothing is known.
package struct TLBEntry {
    var tag = UInt64.max
    /// Host address minus guest address; meaningless for device pages.
    var addend: UInt64 = 0

    static let slow: UInt64 = 1
    static let checked: UInt64 = 2
    static let watched: UInt64 = 4
    static let pageMask = ~UInt64(0xfff)
}

/// The pages known for one kind of access: direct-mapped, and larger once it is too small for the pages in use.
///
/// Loads, stores and fetches have tables of their own, so that a copy's source and destination never displace each other.
/// SAFETY: owns `entries` and `physical`, both of `count` elements; its view frees them.
package struct TLBTable {
    static let smallestCount = 1024
    static let greatestCount = 16384

    private(set) var entries: UnsafeMutablePointer<TLBEntry>
    /// Physical page address behind each entry; only slow paths read it.
    private(set) var physical: UnsafeMutablePointer<UInt64>
    /// Number of entries less one, a power of two less one.
    private(set) var mask: UInt64
    /// Indices of filled entries, so that flushing a hardly used table is cheap; above `logSize` everything is cleared.
    private var filledCount = 0
    private var filled = InlineArray<64, UInt16>(repeating: 0)
    private static let logSize = 64

    init(count: Int = smallestCount) {
        entries = .allocate(capacity: count)
        entries.initialize(repeating: TLBEntry(), count: count)
        physical = .allocate(capacity: count)
        physical.initialize(repeating: .max, count: count)
        mask = UInt64(count - 1)
    }

    func deallocate() {
        entries.deallocate()
        physical.deallocate()
    }

    var count: Int { Int(mask) + 1 }

    @inline(__always)
    private func index(_ address: UInt64) -> Int { Int(address >> 12 & mask) }

    @inline(__always)
    func entry(_ address: UInt64) -> UnsafeMutablePointer<TLBEntry> { entries + index(address) }

    /// Physical page address behind the entry for `address`.
    @inline(__always)
    func physicalPage(_ address: UInt64) -> UInt64 { physical[index(address)] }

    /// Where `physicalPage` is kept.
    func physicalPlace(_ address: UInt64) -> UnsafeMutablePointer<UInt64> { physical + index(address) }

    /// Makes the entry for `address` stand for `physicalPage`.
    mutating func fill(_ address: UInt64, _ entry: TLBEntry, physicalPage: UInt64) {
        let index = index(address)
        if filledCount < Self.logSize { filled[filledCount] = UInt16(truncatingIfNeeded: index) }
        filledCount += 1
        entries[index] = entry
        physical[index] = physicalPage
    }

    /// Forgets every page.
    mutating func flush() {
        if filledCount <= Self.logSize {
            for position in 0..<filledCount { entries[Int(filled[position])] = TLBEntry() }
        } else {
            entries.update(repeating: TLBEntry(), count: count)
        }
        filledCount = 0
    }

    /// Forgets the page of `address`.
    func flush(address: UInt64) { entry(address).pointee = TLBEntry() }

    /// Makes room when pages have displaced each other for a while. Moves the entries: only while nobody uses them.
    mutating func growIfCrowded() {
        guard filledCount > 2 * count, count < Self.greatestCount else { return }
        let larger = TLBTable(count: 4 * count)
        deallocate()
        self = larger
    }
}

/// A remembered jump target: which block runs at a guest address. 16 bytes, trivial, read by the interpreter and by generated code.
package struct JumpCacheEntry {
    /// The guest address, exclusive-or'ed with the view's `salt`. Empty entries have bit 0 set, which no address has.
    var key: UInt64 = 1
    /// Host address of the block's translated code, or of the code that leaves for the interpreter; 0 without a translator.
    var code: UInt = 0
}

/// What a TLB view is valid for: one address space seen with one set of access rights.
package struct TLBViewKey: Equatable {
    /// The translation register (RISC-V satp), 0 without translation.
    package var space: UInt64
    /// Privilege and access-right bits, as the architecture packs them.
    package var rights: UInt64
    /// The register of a second stage behind that (RISC-V hgatp), 0 without one.
    package var guestSpace: UInt64 = 0
}

/// What is known about one address space under one set of rights: pages by kind of access, and jump targets.
///
/// A hart keeps `TLBViews.count` of them, so that a change of privilege or address space only changes a pointer.
package struct TLBView {
    static let jumpCount = 4096

    var loads = TLBTable()
    var stores = TLBTable()
    var fetches = TLBTable()
    var jumps: UnsafeMutablePointer<JumpCacheEntry>
    /// The block behind each jump; only the interpreter reads it.
    var jumpBlocks: UnsafeMutablePointer<UnsafeMutablePointer<Block>?>
    /// In the seven bits above every guest address: changes with each flush, so that jump cache entries made before match no more.
    var salt: UInt64 = 0
    var key = TLBViewKey(space: .max, rights: .max)
    var lastUse: UInt64 = 0
    /// Among the views of all harts, from 1; see `GuestRAM.PageRecord`.
    var number: UInt64 = 0
    /// Something was filled since the last flush: the others, most of them, need none. (A jump is remembered only after a fetch.)
    var isTouched = false
    /// Pages came from superpages: flushing one address must flush everything.
    var holdsSuperpage = false
    private static let saltStep: UInt64 = 1 << 57

    @inline(__always)
    static func jumpIndex(_ pc: UInt64) -> Int { Int(pc >> 1 & UInt64(jumpCount - 1)) }

    /// Forgets every jump. Guest addresses have 57 bits, extended by sign, so two of them under different salts are never one key.
    mutating func flushJumps() {
        salt &+= Self.saltStep
        if salt == 0 { jumps.update(repeating: JumpCacheEntry(), count: Self.jumpCount) }
    }

    /// Forgets every page and every jump.
    mutating func flush() {
        guard isTouched else { return }
        isTouched = false
        loads.flush()
        stores.flush()
        fetches.flush()
        holdsSuperpage = false
        flushJumps()
    }

    /// Forgets the page of `address` and every jump.
    mutating func flush(address: UInt64) {
        guard isTouched else { return }
        if holdsSuperpage { return flush() }
        loads.flush(address: address)
        stores.flush(address: address)
        fetches.flush(address: address)
        flushJumps()
    }
}

/// All TLB views of one hart.
/// SAFETY: owns the allocations its views point to; a hart's `dataView` and `fetchView` point into `views` and die with it.
package final class TLBViews {
    static let count = 16
    let views: UnsafeMutablePointer<TLBView>
    /// Where a key's view was found last, by some bits of the key.
    /// SAFETY: `hintCount` pointers to elements of `views`; allocated with the object and freed with it.
    private let hints: UnsafeMutablePointer<UnsafeMutablePointer<TLBView>>
    private static let hintCount = 64
    private var useClock: UInt64 = 0
    /// Counts the views that were given to another key; from 1.
    private(set) var assignments: UInt64 = 1
    /// Counts what makes a page remembered outside the tables untrue: forgetting pages, and protecting some from writes.
    private(set) var changes: UInt64 = 1
    /// Counts what makes untrue what was remembered of second stages outside the tables.
    private(set) var secondStageChanges: UInt64 = 1

    init() {
        views = .allocate(capacity: Self.count)
        hints = .allocate(capacity: Self.hintCount)
        hints.initialize(repeating: views, count: Self.hintCount)
        for index in 0..<Self.count {
            let jumps = UnsafeMutablePointer<JumpCacheEntry>.allocate(capacity: TLBView.jumpCount)
            jumps.initialize(repeating: JumpCacheEntry(), count: TLBView.jumpCount)
            let blocks = UnsafeMutablePointer<UnsafeMutablePointer<Block>?>.allocate(capacity: TLBView.jumpCount)
            blocks.initialize(repeating: nil, count: TLBView.jumpCount)
            (views + index).initialize(to: TLBView(jumps: jumps, jumpBlocks: blocks))
        }
    }

    deinit {
        for index in 0..<Self.count {
            views[index].loads.deallocate()
            views[index].stores.deallocate()
            views[index].fetches.deallocate()
            views[index].jumps.deallocate()
            views[index].jumpBlocks.deallocate()
        }
        views.deallocate()
        hints.deallocate()
    }

    /// The view for `key`, an emptied one when none is remembered.
    @inline(__always)
    func view(_ key: TLBViewKey) -> UnsafeMutablePointer<TLBView> {
        let hint = hints + Int(truncatingIfNeeded: (key.space ^ key.space >> 44 ^ key.rights << 2 ^ key.guestSpace ^ key.guestSpace >> 44) & UInt64(Self.hintCount - 1))
        if hint.pointee.pointee.key != key { hint.pointee = searchView(key) }
        use(hint.pointee)
        return hint.pointee
    }

    /// Makes `view` the last to be given away.
    @inline(__always)
    func use(_ view: UnsafeMutablePointer<TLBView>) {
        useClock &+= 1
        view.pointee.lastUse = useClock
    }

    @inline(never)
    private func searchView(_ key: TLBViewKey) -> UnsafeMutablePointer<TLBView> {
        var oldest = views
        for index in 0..<Self.count {
            let view = views + index
            if view.pointee.key == key { return view }
            if view.pointee.lastUse < oldest.pointee.lastUse { oldest = view }
        }
        oldest.pointee.flush()
        changes &+= 1
        assignments &+= 1
        oldest.pointee.key = key
        return oldest
    }

    /// Forgets every page, and what was remembered of second stages.
    func flushAll() {
        secondStageChanges &+= 1
        flush()
    }

    /// What was remembered of second stages may be untrue.
    func noteSecondStageChange() { secondStageChanges &+= 1 }

    /// Flushes the views whose key satisfies `matches`; one address of them, or everything.
    package func flush(address: UInt64? = nil, where matches: (TLBViewKey) -> Bool = { _ in true }) {
        changes &+= 1
        for index in 0..<Self.count where views[index].isTouched && matches(views[index].key) {
            if let address { views[index].flush(address: address) } else { views[index].flush() }
        }
    }

    /// Forgets every jump of every view, and what units remembered.
    func flushJumps() {
        changes &+= 1
        for index in 0..<Self.count { views[index].flushJumps() }
    }

    /// Forgets every page that loads know.
    func flushLoads() {
        changes &+= 1
        for index in 0..<Self.count { views[index].loads.flush() }
    }

    /// Makes direct stores to the physical page at `page` take the slow path from now on.
    func protectFromWrites(physicalPage page: UInt64) {
        changes &+= 1
        for index in 0..<Self.count {
            let table = views[index].stores
            for position in 0..<table.count where table.physical[position] == page {
                if table.entries[position].tag & 0xfff == 0 { table.entries[position].tag |= TLBEntry.slow }
            }
        }
    }

    /// What was remembered outside the tables may be untrue.
    func noteChange() { changes &+= 1 }

    /// The same when only the entry for guest page `address` of view `index` can allow them, as far as tables go.
    func protectFromWrites(_ address: UInt64, index: Int) {
        let entry = views[index].stores.entry(address)
        if entry.pointee.tag == address { entry.pointee.tag |= TLBEntry.slow }
    }
}
