import EmuBus
import EmuIR
import Glibc
import Synchronization

/// A straight run of decoded guest instructions, keyed by the physical address it starts at.
///
/// It ends at a jump, at an instruction that changes how the next ones are fetched, or at the end of its page, so a block
/// survives address-space switches and the direct jumps between blocks of one page can be remembered in the blocks themselves.
package struct Block {
    // What looking a block up and going from one to the next reads stands first, within the length of a cache line.

    let physicalPC: UInt64
    /// `count` instructions followed by one `blockEnd`.
    let ops: UnsafeMutablePointer<DecodedOp>
    package let count: Int32
    /// Runs left until it is worth translating.
    var heat: Int32
    /// Blocks of the same page this one continues with: at its jump's target, and after its end.
    var taken: UnsafeMutablePointer<Block>?
    var next: UnsafeMutablePointer<Block>?
    fileprivate var hashNext: UnsafeMutablePointer<Block>?
    /// Its translation: the code's host address and the unit it belongs to.
    var hostCode: UnsafeRawPointer?
    var unit: Int32 = -1
    /// False once the code has been overwritten: never enter it again.
    var isValid = true
    /// A debugger is asked each time before the block is entered: nothing may link to it or remember it as a jump's target.
    var isWatched = false
    /// Valid and without translated code: the interpreter may run it without asking.
    var isPlain = true
    /// What the code was decoded for, where the architecture has several ways: blocks of one mode never meet those of another.
    let mode: UInt8
    /// Physical page of the last instruction's second half when it straddles two pages, else 0.
    let secondPage: UInt64
    let byteLength: Int32
    /// Times its translation was left because a probe failed, since the hart had run so many cycles; and what its probes may still be used for.
    var failedProbes: UInt8 = 0
    var probes = IROptimizer.ProbeUse.shared
    /// What its translation assumes of the hart's state when the block is entered; the architecture says in which form. It makes sure of it.
    package var assumption: UInt32 = 0
    /// Times that did not hold, and times the block was translated again for it.
    var failedAssumptions: UInt8 = 0
    var revisions: UInt8 = 0
    /// Times it was compiled as part of a loop.
    var loops: UInt8 = 0
    /// A computed jump from its own page, not a return, has led here.
    var isJumpTarget = false
    var failuresSince: UInt64 = 0
    fileprivate var pageNext: UnsafeMutablePointer<Block>?

    /// Remembers a block of the same page that has followed this one.
    mutating func note(successor: UnsafeMutablePointer<Block>) {
        if successor.pointee.physicalPC == physicalPC &+ UInt64(byteLength) { next = successor } else { taken = successor }
    }

    /// True when an instruction straddles two pages; such a block is looked up anew each time.
    @inline(__always)
    package var crossesPage: Bool { secondPage != 0 }
}

/// How often rare things happened on the way from block to block, for `--stats`. Trivial, behind a pointer: counting is one addition.
public struct ExecutionCounts: Sendable {
    /// Times translated code was left, by `CodeExit`.
    public var exits = InlineArray<8, Int>(repeating: 0)
    /// Pages looked up because a TLB did not know them.
    public var tlbFills = 0
    /// Blocks looked up because the jump cache did not know them.
    public var jumpCacheMisses = 0

    public init() {}

    /// What two caches have counted.
    public static func + (a: ExecutionCounts, b: ExecutionCounts) -> ExecutionCounts {
        var sum = a
        for exit in 0..<8 { sum.exits[exit] += b.exits[exit] }
        sum.tlbFills += b.tlbFills
        sum.jumpCacheMisses += b.jumpCacheMisses
        return sum
    }
}

/// The decoded blocks of a machine, and the bookkeeping that keeps them true to memory. Harts that take turns share one; harts on threads have
/// one each, and a `CodeSharing` between them.
///
/// The blocks that begin in a page are chained from the page's record (`GuestRAM.PageRecord`).
///
/// SAFETY: blocks and their instructions live in chunks owned by the cache. Everything that points to blocks (chains, jump caches, page
/// records) is dropped before chunks are reused: `flushAll` runs only between blocks and empties every registered hart's views.
public final class TranslationCache {
    private static let bucketCount = 1 << 16
    private static let chunkOps = 1 << 15
    /// Bytes of a straddling instruction in its second page.
    private static let tailLength = 2
    /// Highest number of a TLB view that page records have room for; the views above have number 0.
    private static let lastViewNumber = 0xfff
    /// Stores to code of a page, without any of it being run in between, after which all of the page's code is dropped.
    private static let overwritesOfPage: UInt8 = 4
    /// Above this many bytes of decoded instructions everything is dropped and decoded again on demand.
    private let capacity: Int
    /// Among the caches over this memory: which of its books are this cache's.
    package let number: Int
    /// Its fellows, and its position among them; nil for a cache alone.
    private(set) var sharing: CodeSharing?
    private(set) var member = 0
    /// There are other caches over the same memory, whose harts run meanwhile.
    var isShared: Bool { progress.pointee.isShared }

    private let buckets: UnsafeMutablePointer<UnsafeMutablePointer<Block>?>
    // No method here is called while another one holds one of these; checks at run time would cost a tenth of decoding a block.
    /// Blocks whose last instruction reaches into a page, by that page, which is flagged `hasTail`.
    @exclusivity(unchecked) private var tails: [UInt64: [UnsafeMutablePointer<Block>]] = [:]
    @exclusivity(unchecked) private var opChunks: [UnsafeMutablePointer<DecodedOp>] = []
    @exclusivity(unchecked) private var blockChunks: [UnsafeMutablePointer<Block>] = []
    /// What each new block changes, behind a pointer because each use of a class's variable would be checked for exclusivity.
    /// SAFETY: allocated with the object and freed with it; the chunks it points to are the last of `opChunks` and `blockChunks`.
    private let progress: UnsafeMutablePointer<Progress>

    private struct Progress {
        var ops: UnsafeMutablePointer<DecodedOp>?
        var opsUsed = TranslationCache.chunkOps
        var blocks: UnsafeMutablePointer<Block>?
        var blocksUsed = TranslationCache.chunkOps
        var isNearlyFull = false
        var isShared = false
        var hasBoundaries = false
        var watchesEverything = false
        var threshold = Int32.max
        var enter: HostCodeCache.Enter?
        var dispatchExit: UnsafeRawPointer?
        var blocksDecoded = 0
        var blocksInvalidated = 0
    }
    private let bus: AddressSpace
    /// Physical addresses where blocks must start and are watched: no block runs across one.
    @exclusivity(unchecked) package private(set) var boundaries: Set<UInt64> = [] {
        didSet { progress.pointee.hasBoundaries = !boundaries.isEmpty }
    }
    /// There are boundaries.
    package var hasBoundaries: Bool { progress.pointee.hasBoundaries }
    /// Every instruction is a block of its own, and watched: for traces. Blocks are decoded anew when it changes; only between blocks.
    package var watchesEverything: Bool {
        get { progress.pointee.watchesEverything }
        set {
            guard newValue != watchesEverything else { return }
            progress.pointee.watchesEverything = newValue
            flushAll()
        }
    }
    package private(set) var views: [TLBViews] = []
    /// Code for the host made from hot blocks; nil when everything is interpreted.
    @exclusivity(unchecked) package var hostCode: HostCodeCache? {
        didSet {
            progress.pointee.threshold = hostCode?.threshold ?? .max
            progress.pointee.enter = hostCode?.enter
            progress.pointee.dispatchExit = hostCode?.dispatchExit
        }
    }
    /// There is a `hostCode`; asking for it would cost a reference count.
    var translates: Bool { progress.pointee.enter != nil }
    /// Runs `code`, which `hostCode` made, on a hart's state; returns a `CodeExit`.
    @inline(__always)
    func enter(_ state: UnsafeMutableRawPointer, _ code: UnsafeRawPointer) -> UInt32 { progress.pointee.enter.unsafelyUnwrapped(state, code) }
    /// What a jump cache holds as a block's host code: its own, or what leaves to the interpreter.
    @inline(__always)
    func jumpCode(_ block: UnsafeMutablePointer<Block>) -> UInt {
        guard let exit = progress.pointee.dispatchExit else { return 0 }
        return UInt(bitPattern: block.pointee.hostCode ?? exit)
    }

    /// Figures for `--stats`.
    public var blocksDecoded: Int { progress.pointee.blocksDecoded }
    public var blocksInvalidated: Int { progress.pointee.blocksInvalidated }
    public private(set) var flushes = 0
    public var executionCounts: ExecutionCounts { counts.pointee }
    /// Lives as long as the cache; only the harts' one thread counts.
    let counts: UnsafeMutablePointer<ExecutionCounts>

    /// - Parameter capacity: bytes of decoded instructions.
    public init(bus: AddressSpace, capacity: Int = 48 << 20) {
        self.bus = bus
        self.capacity = capacity
        number = bus.registerCache()
        progress = .allocate(capacity: 1)
        progress.initialize(to: Progress())
        counts = .allocate(capacity: 1)
        counts.initialize(to: ExecutionCounts())
        buckets = .allocate(capacity: Self.bucketCount)
        buckets.initialize(repeating: nil, count: Self.bucketCount)
        bus.codeWritten = { [unowned self] address, length in _ = self.invalidate(address, length) }
        bus.loadsMoved = { [unowned self] in for each in views { each.flush() } }
    }

    deinit {
        opChunks.forEach { $0.deallocate() }
        blockChunks.forEach { $0.deallocate() }
        buckets.deallocate()
        progress.deallocate()
        counts.deallocate()
    }

    /// Bytes held for decoded instructions and blocks.
    public var bytes: Int {
        opChunks.count * Self.chunkOps * MemoryLayout<DecodedOp>.stride
            + blockChunks.count * Self.chunkOps * MemoryLayout<Block>.stride
    }

    /// Joins the caches of other harts, as the one of hart `member`. Before anything is decoded.
    func share(_ sharing: CodeSharing, as member: Int) {
        self.sharing = sharing
        self.member = member
        progress.pointee.isShared = true
    }

    /// Makes sure that stores to the page of `address`, whose code is about to be read, do not pass unseen.
    @inline(__always)
    func willDecode(_ address: UInt64) {
        if isShared { sharing?.protect(address, for: self, member) }
    }

    /// True when what was decoded may be kept: from now on this cache hears of every store to it. Otherwise it must be decoded again.
    func confirms(_ address: UInt64, _ length: Int, secondPage: UInt64) -> Bool {
        guard isShared, let sharing else { return true }
        if !sharing.mark(address, length, for: self, member) { return false }
        if secondPage == 0 || sharing.mark(secondPage, Self.tailLength, for: self, member) { return true }
        willDecode(secondPage)
        return false
    }

    package func register(_ views: TLBViews) {
        for index in 0..<TLBViews.count {
            let number = self.views.count * TLBViews.count + index + 1
            views.views[index].number = number <= Self.lastViewNumber ? UInt64(number) : 0
        }
        self.views.append(views)
    }

    @inline(__always)
    private static func bucket(_ address: UInt64) -> Int {
        Int((address >> 1 ^ address >> 14) & UInt64(bucketCount - 1))
    }

    /// The valid block of a mode that starts at a physical address. A block straddling pages counts only with the same second page.
    package func find(_ address: UInt64, mode: UInt8, secondPage: (() -> UInt64?)) -> UnsafeMutablePointer<Block>? {
        var block = buckets[Self.bucket(address)]
        while let candidate = block {
            if candidate.pointee.physicalPC == address, candidate.pointee.mode == mode,
                !candidate.pointee.crossesPage || secondPage() == candidate.pointee.secondPage { return candidate }
            block = candidate.pointee.hashNext
        }
        return nil
    }

    /// True when the next `insert` should be preceded by `flushAll`.
    package var isFull: Bool { progress.pointee.isNearlyFull && progress.pointee.opsUsed + 512 > Self.chunkOps }

    /// Adds a block. `ops` must end in `blockEnd`, which is not counted.
    package func insert(_ address: UInt64, mode: UInt8, _ ops: UnsafeBufferPointer<DecodedOp>, byteLength: Int, secondPage: UInt64) -> UnsafeMutablePointer<Block> {
        let block = newBlock()
        block.initialize(to: Block(physicalPC: address, ops: copy(ops), count: Int32(ops.count - 1), heat: progress.pointee.threshold, mode: mode, secondPage: secondPage, byteLength: Int32(byteLength)))
        if hasBoundaries { block.pointee.isWatched = boundaries.contains(address) }
        if watchesEverything { block.pointee.isWatched = true }
        let bucket = Self.bucket(address)
        block.pointee.hashNext = buckets[bucket]
        buckets[bucket] = block
        markCode(address, byteLength, first: block)
        if secondPage != 0 {
            tails[secondPage, default: []].append(block)
            markCode(secondPage, Self.tailLength, first: nil)
        }
        progress.pointee.blocksDecoded += 1
        return block
    }

    private func newBlock() -> UnsafeMutablePointer<Block> {
        if progress.pointee.blocksUsed == Self.chunkOps {
            let chunk = UnsafeMutablePointer<Block>.allocate(capacity: Self.chunkOps)
            blockChunks.append(chunk)
            progress.pointee.blocks = chunk
            progress.pointee.blocksUsed = 0
            progress.pointee.isNearlyFull = bytes >= capacity
        }
        progress.pointee.blocksUsed += 1
        return progress.pointee.blocks.unsafelyUnwrapped + (progress.pointee.blocksUsed - 1)
    }

    private func copy(_ ops: UnsafeBufferPointer<DecodedOp>) -> UnsafeMutablePointer<DecodedOp> {
        if progress.pointee.opsUsed + ops.count > Self.chunkOps {
            let chunk = UnsafeMutablePointer<DecodedOp>.allocate(capacity: Self.chunkOps)
            opChunks.append(chunk)
            progress.pointee.ops = chunk
            progress.pointee.opsUsed = 0
            progress.pointee.isNearlyFull = bytes >= capacity
        }
        let place = progress.pointee.ops.unsafelyUnwrapped + progress.pointee.opsUsed
        if let source = ops.baseAddress { place.initialize(from: source, count: ops.count) }
        progress.pointee.opsUsed += ops.count
        return place
    }

    /// Makes stores to the page of `address` take the slow path, and those to `length` bytes in it come to `invalidate`.
    /// - Parameter block: what begins there; nil for the end of an instruction that began in another page.
    private func markCode(_ address: UInt64, _ length: Int, first block: UnsafeMutablePointer<Block>?) {
        guard let memory = bus.codeMemory(at: address) else { return }
        let index = memory.page(of: address)
        let flags = memory.pageFlags + index, record = book(memory).records + index
        if let block {
            block.pointee.pageNext = Self.blocks(record)
            record.pointee.overwrites = 0
            record.pointee.blocks = UnsafeMutableRawPointer(block)
        } else {
            record.pointee.hasTail = true
        }
        // Among others, `confirms` has done the rest.
        if isShared { return }
        let map = book(memory).codeMap + index
        if flags.pointee & GuestRAM.PageFlags.hasCode == 0 { map.pointee = 0 }
        map.pointee |= GuestRAM.codeMask(address, UInt64(length))
        if flags.pointee & GuestRAM.PageFlags.hasCode != 0 { return }
        flags.pointee |= GuestRAM.PageFlags.hasCode
        if flags.pointee & GuestRAM.PageFlags.writeCached != 0 {
            flags.pointee &= ~GuestRAM.PageFlags.writeCached
            protectFromWrites(record, address & ~0xfff)
        }
    }

    /// This cache's notes about pages.
    @inline(__always)
    func book(_ memory: MappedMemory) -> GuestRAM.PageBook { memory.books[number] }

    /// The blocks that begin in a page: the first of them.
    /// SAFETY: only `Block`s of this cache are put there.
    @inline(__always)
    private static func blocks(_ record: UnsafeMutablePointer<GuestRAM.PageRecord>) -> UnsafeMutablePointer<Block>? {
        record.pointee.blocks?.assumingMemoryBound(to: Block.self)
    }

    /// Calls `body` with each block that begins in the page at `address`.
    func forEachBlock(inPage address: UInt64, _ body: (UnsafeMutablePointer<Block>) -> Void) {
        guard let memory = bus.codeMemory(at: address) else { return }
        var block = Self.blocks(book(memory).records + memory.page(of: address))
        while let each = block {
            if each.pointee.isValid { body(each) }
            block = each.pointee.pageNext
        }
    }

    // MARK: Direct stores

    /// Notes that the entry for `address` in `view` now allows direct stores to a page without code.
    @inline(__always)
    func noteDirectStores(_ memory: MappedMemory, page index: Int, _ address: UInt64, _ view: UnsafeMutablePointer<TLBView>) {
        if !isShared { memory.pageFlags[index] |= GuestRAM.PageFlags.writeCached }
        let record = book(memory).records + index
        let writer = address & ~0xfff | view.pointee.number
        if record.pointee.writers.0 == writer || record.pointee.writers.1 == writer { return }
        addWriter(record, writer)
    }

    private func addWriter(_ record: UnsafeMutablePointer<GuestRAM.PageRecord>, _ writer: UInt64) {
        if writer & 0xfff == 0 {
            record.pointee.hasMoreWriters = true
        } else if !isWriter(record.pointee.writers.0) {
            record.pointee.writers.0 = writer
        } else if !isWriter(record.pointee.writers.1) {
            record.pointee.writers.1 = writer
        } else {
            record.pointee.hasMoreWriters = true
        }
    }

    /// The entry a page record names still allows direct stores, if only to another page.
    private func isWriter(_ writer: UInt64) -> Bool {
        guard writer != 0 else { return false }
        let number = Int(writer & 0xfff) - 1, address = writer & ~0xfff
        return views[number / TLBViews.count].views[number % TLBViews.count].stores.entry(address).pointee.tag == address
    }

    private func protectFromWrites(_ record: UnsafeMutablePointer<GuestRAM.PageRecord>, _ page: UInt64) {
        if record.pointee.hasMoreWriters {
            for each in views { each.protectFromWrites(physicalPage: page) }
        } else {
            for each in views { each.noteChange() }
            protectFromWrites(record.pointee.writers.0)
            protectFromWrites(record.pointee.writers.1)
        }
        record.pointee.writers = (0, 0)
        record.pointee.hasMoreWriters = false
    }

    /// Takes all direct write entries for a page away.
    func protectFromWrites(page: UInt64) {
        guard let memory = bus.memory(at: page) else { return }
        protectFromWrites(book(memory).records + memory.page(of: page), page)
    }

    private func protectFromWrites(_ writer: UInt64) {
        guard writer != 0 else { return }
        let number = Int(writer & 0xfff) - 1
        views[number / TLBViews.count].protectFromWrites(writer & ~0xfff, index: number % TLBViews.count)
    }

    // MARK: Overwritten code

    /// Drops the blocks that overlap a written range; true when there were any. A page left without blocks becomes plain again.
    package func invalidate(_ address: UInt64, _ length: Int) -> Bool {
        var found = false
        var page = address & ~0xfff
        while page < address &+ UInt64(length) {
            found = invalidate(page: page, address, length) || found
            page &+= 4096
        }
        return found
    }

    private func invalidate(page: UInt64, _ address: UInt64, _ length: Int) -> Bool {
        guard let memory = bus.codeMemory(at: page) else { return false }
        let index = memory.page(of: page)
        let record = book(memory).records + index
        var address = address, end = address &+ UInt64(length)
        if record.pointee.overwrites >= Self.overwritesOfPage {
            // Something else is being loaded here: do not look for the blocks of each word.
            address = page
            end = page &+ 4096
        }
        var kept: UnsafeMutablePointer<Block>?
        var found = false
        var map: UInt64 = 0
        var block = Self.blocks(record)
        while let each = block {
            block = each.pointee.pageNext
            if !each.pointee.isValid { continue }
            let start = each.pointee.physicalPC
            let inPage = min(start &+ UInt64(each.pointee.byteLength), page &+ 4096)
            if start < end && address < inPage {
                remove(each)
                found = true
            } else {
                each.pointee.pageNext = kept
                kept = each
                map |= GuestRAM.codeMask(start, UInt64(each.pointee.byteLength))
            }
        }
        record.pointee.blocks = UnsafeMutableRawPointer(kept)
        if record.pointee.hasTail {
            if address < page &+ UInt64(Self.tailLength) && end > page {
                for each in tails.removeValue(forKey: page) ?? [] where each.pointee.isValid {
                    remove(each)
                    found = true
                }
                record.pointee.hasTail = false
            } else {
                map |= GuestRAM.codeMask(page, UInt64(Self.tailLength))
            }
        }
        if found, record.pointee.overwrites < .max { record.pointee.overwrites += 1 }
        setMap(memory, index, map)
        return found
    }

    /// Where code of this cache still lies in a page. The last to leave a page that others may hold code of gives it back when it is stored to.
    private func setMap(_ memory: MappedMemory, _ page: Int, _ map: UInt64) {
        let place = book(memory).codeMap + page
        if isShared {
            // SAFETY: other harts' threads look at the word, as an atomic.
            UnsafeMutableRawPointer(place).assumingMemoryBound(to: Atomic<UInt64>.self).pointee.store(map, ordering: .sequentiallyConsistent)
        } else {
            place.pointee = map
            if map == 0 { memory.pageFlags[page] &= ~GuestRAM.PageFlags.hasCode }
        }
    }

    private func remove(_ block: UnsafeMutablePointer<Block>) {
        block.pointee.isValid = false
        block.pointee.isPlain = false
        if block.pointee.hostCode != nil { hostCode?.retire(block) }
        progress.pointee.blocksInvalidated += 1
        let bucket = Self.bucket(block.pointee.physicalPC)
        if buckets[bucket] == block {
            buckets[bucket] = block.pointee.hashNext
            return
        }
        var previous = buckets[bucket]
        while let each = previous {
            if each.pointee.hashNext == block {
                each.pointee.hashNext = block.pointee.hashNext
                return
            }
            previous = each.pointee.hashNext
        }
    }

    // MARK: Boundaries

    /// Makes every block from now on end before `physical` or start there.
    package func addBoundary(_ physical: UInt64) {
        if boundaries.insert(physical).inserted { _ = invalidate(physical, Self.tailLength) }
    }

    /// Replaces all boundaries, and makes every address be translated anew. Only between blocks.
    /// - Parameter pageOffsets: blocks that run over one of these places of any page are dropped as well.
    package func setBoundaries(_ new: Set<UInt64>, pageOffsets: Set<UInt64>) {
        for address in boundaries.union(new) { _ = invalidate(address, Self.tailLength) }
        boundaries = new
        if !pageOffsets.isEmpty {
            for (memory, index) in pagesWithCode {
                let page = memory.base &+ UInt64(index) << UInt64(GuestRAM.pageShift)
                for offset in pageOffsets { _ = invalidate(page | offset, Self.tailLength) }
            }
        }
        for each in views { each.flush() }
    }

    /// Every page that holds decoded code, with the memory it is a page of.
    private var pagesWithCode: [(memory: GuestRAM, index: Int)] {
        bus.codeMemories.flatMap { memory in
            let book = memory.books[number], isShared = isShared
            return (0..<Int(memory.size >> UInt64(GuestRAM.pageShift))).lazy
                // Among others a page may have lost its flag while mail about it is under way.
                .filter { isShared ? book.records[$0].blocks != nil || book.records[$0].hasTail : memory.pageFlags[$0] & GuestRAM.PageFlags.hasCode != 0 }
                .map { (memory, $0) }
        }
    }

    /// Forgets every block. Only between blocks.
    package func flushAll() {
        for (memory, index) in pagesWithCode {
            let record = memory.books[number].records + index
            record.pointee.blocks = nil
            record.pointee.hasTail = false
            setMap(MappedMemory(memory), index, 0)
        }
        tails = [:]
        buckets.update(repeating: nil, count: Self.bucketCount)
        opChunks.forEach { $0.deallocate() }
        blockChunks.forEach { $0.deallocate() }
        opChunks = []
        blockChunks = []
        progress.pointee.opsUsed = Self.chunkOps
        progress.pointee.blocksUsed = Self.chunkOps
        progress.pointee.isNearlyFull = false
        for each in views { each.flush() }
        hostCode?.removeAll()
        flushes += 1
    }
}
