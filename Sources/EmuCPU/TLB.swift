/// One page of a TLB view: 32 bytes, trivial, read by the interpreter and by generated code.
///
/// A tag is the page's guest address when a plain host access is allowed, the address with bit 0 set when the access is allowed
/// but must take the slow path (device, ROM, page holding code), with bit 1 set too when every access must ask the memory
/// protection unit (it covers only part of the page), with bits 0 and 2 set when a debugger watches the page's data, and all
/// ones when nothing is known.
package struct TLBEntry {
    var readTag = UInt64.max
    var writeTag = UInt64.max
    var executeTag = UInt64.max
    /// Host address minus guest address; meaningless for device pages.
    var addend: UInt64 = 0

    static let slow: UInt64 = 1
    static let checked: UInt64 = 2
    static let watched: UInt64 = 4
    static let pageMask = ~UInt64(0xfff)
}

/// A remembered jump target: which block runs at a guest address. 32 bytes, trivial, read by the interpreter and by generated code.
package struct JumpCacheEntry {
    /// The guest address, exclusive-or'ed with the view's `salt`. Empty entries have bit 0 set, which no address has.
    var key: UInt64 = 1
    /// Host address of the block's translated code, or of the code that leaves for the interpreter; 0 without a translator.
    var code: UInt = 0
    var block: UnsafeMutablePointer<Block>?
    /// Makes the size a power of two.
    var padding: UInt64 = 0
}

/// What a TLB view is valid for: one address space seen with one set of access rights.
package struct TLBViewKey: Equatable {
    /// The translation register (RISC-V satp), 0 without translation.
    package var space: UInt64
    /// Privilege and access-right bits, as the architecture packs them.
    package var rights: UInt64
}

/// A direct-mapped TLB and a jump cache for one address space and one set of rights.
///
/// A hart keeps `TLBViews.count` of them, so that a change of privilege or address space only changes a pointer.
package struct TLBView {
    static let entryCount = 1024
    static let indexMask = UInt64(entryCount - 1)
    static let jumpCount = 2048

    var entries: UnsafeMutablePointer<TLBEntry>
    /// Physical page address behind each entry; only slow paths read it.
    var physical: UnsafeMutablePointer<UInt64>
    var jumps: UnsafeMutablePointer<JumpCacheEntry>
    /// In the seven bits above every guest address: changes with each flush, so that jump cache entries made before match no more.
    var salt: UInt64 = 0
    var key = TLBViewKey(space: .max, rights: .max)
    var lastUse: UInt64 = 0
    /// Pages came from superpages: flushing one address must flush everything.
    var holdsSuperpage = false
    /// Indices of filled entries, so that flushing a hardly used view is cheap; above `logSize` everything is cleared.
    var filledCount = 0
    var filled = InlineArray<64, UInt16>(repeating: 0)
    static let logSize = 64

    private static let saltStep: UInt64 = 1 << 57

    @inline(__always)
    static func jumpIndex(_ pc: UInt64) -> Int { Int((pc >> 1 ^ pc >> 12) & UInt64(jumpCount - 1)) }

    /// Forgets every jump. Guest addresses have 57 bits, extended by sign, so two of them under different salts are never one key.
    mutating func flushJumps() {
        salt &+= Self.saltStep
        if salt == 0 { jumps.update(repeating: JumpCacheEntry(), count: Self.jumpCount) }
    }

    @inline(__always)
    func entry(_ address: UInt64) -> UnsafeMutablePointer<TLBEntry> {
        entries + Int(address >> 12 & Self.indexMask)
    }

    /// Physical page address behind the entry for `address`.
    @inline(__always)
    func physicalPage(_ address: UInt64) -> UInt64 { physical[Int(address >> 12 & Self.indexMask)] }

    /// The entry to overwrite for `address`, emptied and noted as filled, now standing for `physicalPage`.
    mutating func entryToFill(_ address: UInt64, physicalPage: UInt64) -> UnsafeMutablePointer<TLBEntry> {
        let index = Int(address >> 12 & Self.indexMask)
        if filledCount < Self.logSize { filled[filledCount] = UInt16(index) }
        filledCount += 1
        entries[index] = TLBEntry()
        physical[index] = physicalPage
        return entries + index
    }

    /// Forgets every page and every jump.
    mutating func flush() {
        if filledCount <= Self.logSize {
            for position in 0..<filledCount { entries[Int(filled[position])] = TLBEntry() }
        } else {
            entries.update(repeating: TLBEntry(), count: Self.entryCount)
        }
        filledCount = 0
        holdsSuperpage = false
        flushJumps()
    }

    /// Forgets the page of `address` and every jump.
    mutating func flush(address: UInt64) {
        if holdsSuperpage { return flush() }
        entry(address).pointee = TLBEntry()
        flushJumps()
    }
}

/// All TLB views of one hart.
/// SAFETY: owns the allocations its views point to; a hart's `dataView` and `fetchView` point into `views` and die with it.
package final class TLBViews {
    static let count = 16
    let views: UnsafeMutablePointer<TLBView>
    private var useClock: UInt64 = 0

    init() {
        views = .allocate(capacity: Self.count)
        for index in 0..<Self.count {
            let entries = UnsafeMutablePointer<TLBEntry>.allocate(capacity: TLBView.entryCount)
            entries.initialize(repeating: TLBEntry(), count: TLBView.entryCount)
            let jumps = UnsafeMutablePointer<JumpCacheEntry>.allocate(capacity: TLBView.jumpCount)
            jumps.initialize(repeating: JumpCacheEntry(), count: TLBView.jumpCount)
            let physical = UnsafeMutablePointer<UInt64>.allocate(capacity: TLBView.entryCount)
            physical.initialize(repeating: .max, count: TLBView.entryCount)
            (views + index).initialize(to: TLBView(entries: entries, physical: physical, jumps: jumps))
        }
    }

    deinit {
        for index in 0..<Self.count {
            views[index].entries.deallocate()
            views[index].physical.deallocate()
            views[index].jumps.deallocate()
        }
        views.deallocate()
    }

    /// The view for `key`, an emptied one when none is remembered.
    func view(_ key: TLBViewKey) -> UnsafeMutablePointer<TLBView> {
        useClock &+= 1
        var oldest = views
        for index in 0..<Self.count {
            let view = views + index
            if view.pointee.key == key {
                view.pointee.lastUse = useClock
                return view
            }
            if view.pointee.lastUse < oldest.pointee.lastUse { oldest = view }
        }
        oldest.pointee.flush()
        oldest.pointee.key = key
        oldest.pointee.lastUse = useClock
        return oldest
    }

    /// Flushes the views whose key satisfies `matches`; one address of them, or everything.
    func flush(address: UInt64? = nil, where matches: (TLBViewKey) -> Bool = { _ in true }) {
        for index in 0..<Self.count where matches(views[index].key) {
            if let address { views[index].flush(address: address) } else { views[index].flush() }
        }
    }

    /// Forgets every jump of every view.
    func flushJumps() {
        for index in 0..<Self.count { views[index].flushJumps() }
    }

    /// Makes direct stores to the physical page at `page` take the slow path from now on.
    func protectFromWrites(physicalPage page: UInt64) {
        for index in 0..<Self.count {
            let view = views[index]
            for position in 0..<TLBView.entryCount where view.physical[position] == page {
                if view.entries[position].writeTag & 0xfff == 0 { view.entries[position].writeTag |= TLBEntry.slow }
            }
        }
    }
}
