import EmuBus
import Glibc
import Synchronization

/// What keeps the caches of decoded code true to memory when every hart has one of its own (docs/smp.md).
///
/// The page flags are shared: a page is flagged `hasCode` while any cache holds code of it, and then no hart may have a direct write
/// entry for it. Whoever stores to such a page looks into every cache's code map and mails the caches concerned; a hart reads
/// its mail between blocks, in any case before an instruction fence of its own is complete.
///
/// A page gets its first code in three steps: the flag is set, every hart that runs gives up its direct write entries for the page (the
/// decoding hart waits for that), and only then is code read. Flags change under `codeLock` only.
///
/// SAFETY: `caches` holds one unretained reference for each member, whose harts outlive the sharing; of a cache only its code maps are touched
/// by other threads, atomically. Page flags are bytes and code maps words that are accessed as atomics wherever several harts run.
package final class CodeSharing: @unchecked Sendable {
    /// What a cache must do to stay true.
    enum Letter {
        /// Drop the code in a range of one page.
        case written(address: UInt64, length: Int)
        /// Give up direct write entries for a page.
        case protect(page: UInt64)
        /// Loads from some addresses find a device where they found memory, or the other way round.
        case loadsMoved
    }

    /// A cache's letters, and how many there have ever been and have been dealt with.
    private final class Mailbox {
        let letters = Mutex<[Letter]>([])
        let sent = Atomic<UInt64>(0)
        let done = Atomic<UInt64>(0)
    }

    private let group: HartGroup
    private let bus: AddressSpace
    private let mailboxes: [Mailbox]
    /// By hart: the number of its cache among the books of memory.
    private let numbers: [Int]
    private let codeLock = Atomic<Bool>(false)
    /// How often loads have moved, and how much of that every hart that runs is known to know.
    private let moves = Atomic<UInt64>(0)
    private let settledMoves = Atomic<UInt64>(0)

    /// - Parameter caches: those of the group's harts, in order.
    package init(group: HartGroup, bus: AddressSpace, caches: [TranslationCache]) {
        self.group = group
        self.bus = bus
        mailboxes = caches.map { _ in Mailbox() }
        numbers = caches.map(\.number)
        for (index, cache) in caches.enumerated() { cache.share(self, as: index) }
        bus.codeWritten = { [unowned self] in codeWritten($0, $1, by: nil) }
        bus.loadsMoved = { [unowned self] in loadsMoved() }
    }

    // MARK: Atomics

    @inline(__always)
    private static func flags(_ memory: MappedMemory, _ page: Int) -> UnsafeMutablePointer<Atomic<UInt8>> {
        UnsafeMutableRawPointer(memory.pageFlags + page).assumingMemoryBound(to: Atomic<UInt8>.self)
    }

    @inline(__always)
    private func map(_ memory: MappedMemory, _ page: Int, of member: Int) -> UnsafeMutablePointer<Atomic<UInt64>> {
        UnsafeMutableRawPointer(memory.books[numbers[member]].codeMap + page).assumingMemoryBound(to: Atomic<UInt64>.self)
    }

    private func isEmpty(_ memory: MappedMemory, _ page: Int) -> Bool {
        for member in 0..<group.count where map(memory, page, of: member).pointee.load(ordering: .sequentiallyConsistent) != 0 { return false }
        return true
    }

    // MARK: Mail

    private func send(_ letter: Letter, to member: Int) {
        let mailbox = mailboxes[member]
        mailbox.letters.withLock {
            $0.append(letter)
            _ = mailbox.sent.wrappingAdd(1, ordering: .relaxed)
        }
        group.post(HartGroup.Posted.mail, to: member)
    }

    /// Deals with everything that was sent to `cache`, of hart `member`; true when code was dropped. From its hart's thread.
    func readMail(_ cache: TranslationCache, _ member: Int) -> Bool {
        let mailbox = mailboxes[member]
        let (letters, sent) = mailbox.letters.withLock { letters in
            defer { letters = [] }
            return (letters, mailbox.sent.load(ordering: .relaxed))
        }
        var hasDropped = false
        for letter in letters {
            switch letter {
            case .written(let address, let length): hasDropped = cache.invalidate(address, length) || hasDropped
            case .protect(let page): cache.protectFromWrites(page: page)
            case .loadsMoved: for each in cache.views { each.flushLoads() }
            }
        }
        mailbox.done.store(sent, ordering: .sequentiallyConsistent)
        return hasDropped
    }

    // MARK: Stores

    /// Memory was written, and the page holds code: whoever has some of it in the range gets mail.
    /// - Parameter writer: the hart that has dropped its own already; nil for a device.
    func codeWritten(_ address: UInt64, _ length: Int, by writer: Int?) {
        var first = address
        while first < address &+ UInt64(length) {
            let end = min(address &+ UInt64(length), (first | 0xfff) &+ 1)
            codeWrittenInPage(first, end &- first, by: writer)
            first = end
        }
    }

    private func codeWrittenInPage(_ address: UInt64, _ length: UInt64, by writer: Int?) {
        guard let memory = bus.codeMemory(at: address) else { return }
        let mask = GuestRAM.codeMask(address, length)
        let page = memory.page(of: address)
        for member in 0..<group.count where member != writer {
            let map = map(memory, page, of: member)
            // Bits are taken away here, so that what is going to be dropped anyway is not written about again.
            guard map.pointee.load(ordering: .sequentiallyConsistent) & mask != 0 else { continue }
            let taken = map.pointee.bitwiseAnd(~mask, ordering: .sequentiallyConsistent).oldValue & mask
            if taken == 0 { continue }
            let first = taken.trailingZeroBitCount, last = 63 - taken.leadingZeroBitCount
            send(.written(address: address & ~0xfff | UInt64(first) << 6, length: (last - first + 1) << 6), to: member)
        }
    }

    /// The page may be written directly by the hart that asks, as no cache holds code of it; notes that it is.
    func allowsDirectStores(_ memory: MappedMemory, page: Int) -> Bool {
        let flags = Self.flags(memory, page)
        let present = flags.pointee.load(ordering: .sequentiallyConsistent)
        if present & GuestRAM.PageFlags.hasCode != 0 { return false }
        if present & GuestRAM.PageFlags.writeCached != 0 { return true }
        // Whoever sets a flag first is seen by the other.
        let old = flags.pointee.bitwiseOr(GuestRAM.PageFlags.writeCached, ordering: .sequentiallyConsistent).oldValue
        return old & GuestRAM.PageFlags.hasCode == 0
    }

    func hasCode(_ memory: MappedMemory, page: Int) -> Bool {
        Self.flags(memory, page).pointee.load(ordering: .sequentiallyConsistent) & GuestRAM.PageFlags.hasCode != 0
    }

    /// Clears `hasCode` of a page no cache holds code of any more; false when one does, or is about to.
    func unprotect(_ memory: MappedMemory, page: Int) -> Bool {
        guard isEmpty(memory, page), codeLock.compareExchange(expected: false, desired: true, ordering: .acquiring).exchanged else { return false }
        defer { codeLock.store(false, ordering: .releasing) }
        guard isEmpty(memory, page) else { return false }
        _ = Self.flags(memory, page).pointee.bitwiseAnd(~GuestRAM.PageFlags.hasCode, ordering: .sequentiallyConsistent)
        return true
    }

    // MARK: Loads

    /// A device has taken memory from where loads find it, or given it. With the machine's lock, for which other harts may be waiting.
    private func loadsMoved() {
        for member in 0..<group.count { send(.loadsMoved, to: member) }
        _ = moves.wrappingAdd(1, ordering: .sequentiallyConsistent)
    }

    /// After a store of a hart's to a device, which may have moved loads: returns when no hart that runs finds them where they were.
    /// Without the machine's lock.
    @inline(__always)
    func settleLoads(_ cache: TranslationCache, _ member: Int) {
        let present = moves.load(ordering: .sequentiallyConsistent)
        if settledMoves.load(ordering: .sequentiallyConsistent) != present { settleLoads(cache, member, present) }
    }

    @inline(never)
    private func settleLoads(_ cache: TranslationCache, _ member: Int, _ present: UInt64) {
        withCodeLock(cache, member) {
            guard settledMoves.load(ordering: .sequentiallyConsistent) < present else { return }
            waitForReplies(to: member)
            settledMoves.store(present, ordering: .sequentiallyConsistent)
        }
        _ = readMail(cache, member)
    }

    // MARK: Decoding

    /// Runs `body` under the code lock. Whoever waits for it reads mail meanwhile: its holder may be waiting for that.
    private func withCodeLock<Result>(_ cache: TranslationCache, _ member: Int, _ body: () -> Result) -> Result {
        while !codeLock.compareExchange(expected: false, desired: true, ordering: .acquiring).exchanged {
            _ = readMail(cache, member)
            sched_yield()
        }
        defer { codeLock.store(false, ordering: .releasing) }
        return body()
    }

    /// Before code at `address` is read: all stores to its page take the slow path from now on, and one to its line is reported to `cache`.
    func protect(_ address: UInt64, for cache: TranslationCache, _ member: Int) {
        guard let memory = bus.codeMemory(at: address) else { return }
        let page = memory.page(of: address)
        withCodeLock(cache, member) {
            _ = map(memory, page, of: member).pointee.bitwiseOr(GuestRAM.codeMask(address, 1), ordering: .sequentiallyConsistent)
            let old = Self.flags(memory, page).pointee.bitwiseOr(GuestRAM.PageFlags.hasCode, ordering: .sequentiallyConsistent).oldValue
            guard old & GuestRAM.PageFlags.hasCode == 0, old & GuestRAM.PageFlags.writeCached != 0 else { return }
            cache.protectFromWrites(page: address & ~0xfff)
            for other in 0..<group.count where other != member { send(.protect(page: address & ~0xfff), to: other) }
            waitForReplies(to: member)
            _ = Self.flags(memory, page).pointee.bitwiseAnd(~GuestRAM.PageFlags.writeCached, ordering: .sequentiallyConsistent)
        }
    }

    /// Until every other hart has read its mail, or is parked: then it reads it before it runs. Under the code lock.
    private func waitForReplies(to member: Int) {
        for other in 0..<group.count where other != member { waitForReply(other) }
    }

    private func waitForReply(_ other: Int) {
        let mailbox = mailboxes[other]
        let ticket = mailbox.sent.load(ordering: .sequentiallyConsistent)
        var turns = 0
        while group.isRunning(other), mailbox.done.load(ordering: .sequentiallyConsistent) < ticket {
            turns += 1
            if turns & 0x3f == 0 { sched_yield() }
        }
    }

    /// Marks decoded code in the maps; false when its page has lost its flag meanwhile and must be protected again.
    func mark(_ address: UInt64, _ length: Int, for cache: TranslationCache, _ member: Int) -> Bool {
        guard let memory = bus.codeMemory(at: address) else { return true }
        let page = memory.page(of: address)
        return withCodeLock(cache, member) {
            guard hasCode(memory, page: page) else { return false }
            _ = map(memory, page, of: member).pointee.bitwiseOr(GuestRAM.codeMask(address, UInt64(length)), ordering: .sequentiallyConsistent)
            return true
        }
    }
}
