import EmuBus
import Glibc

/// A straight run of decoded guest instructions, keyed by the physical address it starts at.
///
/// It ends at a jump, at an instruction that changes how the next ones are fetched, or at the end of its page, so a block
/// survives address-space switches and the direct jumps between blocks of one page can be remembered in the blocks themselves.
package struct Block {
    let physicalPC: UInt64
    /// `count` instructions followed by one `blockEnd`.
    let ops: UnsafeMutablePointer<DecodedOp>
    package let count: Int32
    let byteLength: Int32
    /// False once the code has been overwritten: never enter it again.
    var isValid = true
    /// A debugger is asked each time before the block is entered: nothing may link to it or remember it as a jump's target.
    var isWatched = false
    /// Valid and without translated code: the interpreter may run it without asking.
    var isPlain = true
    /// Runs left until it is worth translating.
    var heat: Int32
    /// Its translation: the code's host address and the unit it belongs to.
    var hostCode: UnsafeRawPointer?
    var unit: Int32 = -1
    /// Times its translation was left because accesses that share a check could not.
    var failedProbes: UInt8 = 0
    /// Physical page of the last instruction's second half when it straddles two pages, else 0.
    let secondPage: UInt64
    /// Blocks of the same page this one continues with: at its jump's target, and after its end.
    var taken: UnsafeMutablePointer<Block>?
    var next: UnsafeMutablePointer<Block>?
    fileprivate var hashNext: UnsafeMutablePointer<Block>?
    fileprivate var pageNext: UnsafeMutablePointer<Block>?

    /// True when an instruction straddles two pages; such a block is looked up anew each time.
    @inline(__always)
    package var crossesPage: Bool { secondPage != 0 }
}

/// The decoded blocks of a machine, shared by its harts, and the bookkeeping that keeps them true to memory.
///
/// SAFETY: blocks and their instructions live in chunks owned by the cache. Everything that points to blocks (chains, jump caches)
/// is dropped before chunks are reused: `flushAll` runs only between blocks and empties every registered hart's views.
public final class TranslationCache {
    private static let bucketCount = 1 << 15
    private static let chunkOps = 1 << 15
    /// Bytes of a straddling instruction in its second page.
    private static let tailLength = 2
    /// Above this many bytes of decoded instructions everything is dropped and decoded again on demand.
    private static let capacity = 48 << 20

    private let buckets: UnsafeMutablePointer<UnsafeMutablePointer<Block>?>
    /// Blocks with any byte in a page, by physical page address.
    private var pages: [UInt64: UnsafeMutablePointer<Block>] = [:]
    /// Blocks whose last instruction reaches into a page, by that page.
    private var tails: [UInt64: [UnsafeMutablePointer<Block>]] = [:]
    private var opChunks: [UnsafeMutablePointer<DecodedOp>] = []
    private var opsUsed = TranslationCache.chunkOps
    private var blockChunks: [UnsafeMutablePointer<Block>] = []
    private var blocksUsed = TranslationCache.chunkOps
    private let bus: AddressSpace
    /// Physical addresses where blocks must start and are watched: no block runs across one.
    package private(set) var boundaries: Set<UInt64> = []
    package private(set) var views: [TLBViews] = []
    /// Code for the host made from hot blocks; nil when everything is interpreted.
    package var hostCode: HostCodeCache?

    /// Figures for `--stats`.
    public private(set) var blocksDecoded = 0
    public private(set) var blocksInvalidated = 0
    public private(set) var flushes = 0

    public init(bus: AddressSpace) {
        self.bus = bus
        buckets = .allocate(capacity: Self.bucketCount)
        buckets.initialize(repeating: nil, count: Self.bucketCount)
        bus.codeWritten = { [unowned self] address, length in _ = self.invalidate(address, length) }
    }

    deinit {
        opChunks.forEach { $0.deallocate() }
        blockChunks.forEach { $0.deallocate() }
        buckets.deallocate()
    }

    /// Bytes held for decoded instructions and blocks.
    public var bytes: Int {
        opChunks.count * Self.chunkOps * MemoryLayout<DecodedOp>.stride
            + blockChunks.count * Self.chunkOps * MemoryLayout<Block>.stride
    }

    package func register(_ views: TLBViews) { self.views.append(views) }

    @inline(__always)
    private static func bucket(_ address: UInt64) -> Int {
        Int((address >> 1 ^ address >> 14) & UInt64(bucketCount - 1))
    }

    /// The valid block that starts at a physical address. A block straddling pages counts only with the same second page.
    package func find(_ address: UInt64, secondPage: (() -> UInt64?)) -> UnsafeMutablePointer<Block>? {
        var block = buckets[Self.bucket(address)]
        while let candidate = block {
            if candidate.pointee.physicalPC == address,
                !candidate.pointee.crossesPage || secondPage() == candidate.pointee.secondPage { return candidate }
            block = candidate.pointee.hashNext
        }
        return nil
    }

    /// True when the next `insert` should be preceded by `flushAll`.
    package var isFull: Bool { bytes >= Self.capacity && opsUsed + 512 > Self.chunkOps }

    /// Adds a block. `ops` must end in `blockEnd`, which is not counted.
    package func insert(_ address: UInt64, _ ops: UnsafeBufferPointer<DecodedOp>, byteLength: Int, secondPage: UInt64) -> UnsafeMutablePointer<Block> {
        let block = newBlock()
        block.initialize(to: Block(physicalPC: address, ops: copy(ops), count: Int32(ops.count - 1), byteLength: Int32(byteLength), heat: hostCode?.threshold ?? .max, secondPage: secondPage))
        if !boundaries.isEmpty { block.pointee.isWatched = boundaries.contains(address) }
        let bucket = Self.bucket(address)
        block.pointee.hashNext = buckets[bucket]
        buckets[bucket] = block
        let page = address & ~0xfff
        block.pointee.pageNext = pages.updateValue(block, forKey: page)
        markCode(address, byteLength)
        if secondPage != 0 {
            tails[secondPage, default: []].append(block)
            markCode(secondPage, Self.tailLength)
        }
        blocksDecoded += 1
        return block
    }

    private func newBlock() -> UnsafeMutablePointer<Block> {
        if blocksUsed == Self.chunkOps {
            blockChunks.append(.allocate(capacity: Self.chunkOps))
            blocksUsed = 0
        }
        blocksUsed += 1
        return blockChunks[blockChunks.count - 1] + (blocksUsed - 1)
    }

    private func copy(_ ops: UnsafeBufferPointer<DecodedOp>) -> UnsafeMutablePointer<DecodedOp> {
        if opsUsed + ops.count > Self.chunkOps {
            opChunks.append(.allocate(capacity: Self.chunkOps))
            opsUsed = 0
        }
        let place = opChunks[opChunks.count - 1] + opsUsed
        if let source = ops.baseAddress { place.initialize(from: source, count: ops.count) }
        opsUsed += ops.count
        return place
    }

    /// Makes stores to the page of `address` take the slow path, and those to `length` bytes in it come to `invalidate`.
    private func markCode(_ address: UInt64, _ length: Int) {
        let page = address & ~0xfff
        guard let memory = bus.memory(at: page) else { return }
        let index = Int((page &- memory.base) >> UInt64(GuestRAM.pageShift))
        let flags = memory.pageFlags + index
        if flags.pointee & GuestRAM.PageFlags.hasCode == 0 { memory.codeMap[index] = 0 }
        memory.codeMap[index] |= GuestRAM.codeMask(address, UInt64(length))
        if flags.pointee & GuestRAM.PageFlags.hasCode != 0 { return }
        flags.pointee |= GuestRAM.PageFlags.hasCode
        if flags.pointee & GuestRAM.PageFlags.writeCached != 0 {
            flags.pointee &= ~GuestRAM.PageFlags.writeCached
            for each in views { each.protectFromWrites(physicalPage: page) }
        }
    }

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
        let end = address &+ UInt64(length)
        var kept: UnsafeMutablePointer<Block>?
        var found = false
        var block = pages[page]
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
            }
        }
        pages[page] = kept
        if var reaching = tails[page] {
            if address < page &+ UInt64(Self.tailLength) && end > page {
                for each in reaching where each.pointee.isValid { remove(each) }
                reaching = []
                found = true
            }
            tails[page] = reaching.isEmpty ? nil : reaching
        }
        if found || kept == nil { remap(page, kept) }
        return found
    }

    /// Notes where code is left in a page: in the blocks from `kept` on and in straddling instructions.
    private func remap(_ page: UInt64, _ kept: UnsafeMutablePointer<Block>?) {
        guard let memory = bus.memory(at: page) else { return }
        var map = tails[page] == nil ? 0 : GuestRAM.codeMask(page, UInt64(Self.tailLength))
        var block = kept
        while let each = block {
            map |= GuestRAM.codeMask(each.pointee.physicalPC, UInt64(each.pointee.byteLength))
            block = each.pointee.pageNext
        }
        let index = Int((page &- memory.base) >> UInt64(GuestRAM.pageShift))
        memory.codeMap[index] = map
        if map == 0 { memory.pageFlags[index] &= ~GuestRAM.PageFlags.hasCode }
    }

    private func remove(_ block: UnsafeMutablePointer<Block>) {
        block.pointee.isValid = false
        block.pointee.isPlain = false
        if block.pointee.hostCode != nil { hostCode?.retire(block) }
        blocksInvalidated += 1
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
            for page in Set(pages.keys).union(tails.keys) {
                for offset in pageOffsets { _ = invalidate(page | offset, Self.tailLength) }
            }
        }
        for each in views { each.flush() }
    }

    /// Forgets every block. Only between blocks.
    package func flushAll() {
        for page in Array(pages.keys) + Array(tails.keys) {
            guard let memory = bus.memory(at: page) else { continue }
            memory.pageFlags[Int((page &- memory.base) >> UInt64(GuestRAM.pageShift))] &= ~GuestRAM.PageFlags.hasCode
        }
        pages = [:]
        tails = [:]
        buckets.update(repeating: nil, count: Self.bucketCount)
        opChunks.forEach { $0.deallocate() }
        blockChunks.forEach { $0.deallocate() }
        opChunks = []
        blockChunks = []
        opsUsed = Self.chunkOps
        blocksUsed = Self.chunkOps
        for each in views { each.flush() }
        hostCode?.removeAll()
        flushes += 1
    }
}
