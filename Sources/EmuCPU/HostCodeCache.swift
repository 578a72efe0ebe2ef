import EmuBus
import EmuIR
import EmuJIT

/// The host code made from hot blocks of a machine, and what links it together.
///
/// Code is compiled in units (one block, or the blocks of a loop) into a buffer that fills segment by segment; when all segments are
/// used, the oldest one is emptied and its blocks are interpreted again. Code of a unit is entered at its blocks' `hostCode`, by jumps
/// that other units were linked with, and through jump caches; `retire` and eviction close all three ways.
package final class HostCodeCache {
    /// A translated unit that may still be entered.
    private final class Unit {
        let compiled: CompiledUnit
        let blocks: [UnsafeMutablePointer<Block>]
        /// Links of other units that jump into this one.
        var incoming: [(unit: Int32, link: Int32)] = []
        /// For each link of this unit, the unit it jumps to, or -1.
        var targets: [Int32]
        /// Windows its steady probes use.
        let windows: [Int]
        /// Times the budget ended in it; nil once it is compiled as well as it can be.
        var samples: Int?

        init(compiled: CompiledUnit, blocks: [UnsafeMutablePointer<Block>], windows: [Int], samples: Int?) {
            self.compiled = compiled
            self.blocks = blocks
            self.windows = windows
            self.samples = samples
            targets = Array(repeating: -1, count: compiled.links.count)
        }
    }

    /// Runs of a block by the interpreter before it is translated.
    package let threshold: Int32
    package let backend: any HostBackend
    /// `HostBackend.enter`: (state, code) → `CodeExit`.
    typealias Enter = @convention(c) (UnsafeMutableRawPointer, UnsafeRawPointer) -> UInt32
    let enter: Enter
    /// `HostBackend.dispatchExit`.
    let dispatchExit: UnsafeRawPointer
    private unowned let cache: TranslationCache
    private let windowCount: Int
    // Checks for exclusivity at run time cost a tenth of a small unit's translation; no method here is called by what another one calls.
    @exclusivity(unchecked) private var optimizer = IROptimizer()
    @exclusivity(unchecked) private var units: [Unit?] = []
    @exclusivity(unchecked) private var freeUnits: [Int32] = []
    /// Units by the segment their code lies in.
    @exclusivity(unchecked) private var segments: [[Int32]]
    @exclusivity(unchecked) private var segment = 0

    /// Where `--perf-map` names units; nil without it.
    @exclusivity(unchecked) package var perfMap: PerfMap?

    /// Figures for `--stats`.
    @exclusivity(unchecked) package private(set) var figures = TranslationFigures()

    package init(cache: TranslationCache, backend: any HostBackend, threshold: Int32 = 64, samplesForLoop: Int = 3, windowCount: Int = 1024) {
        self.cache = cache
        self.backend = backend
        self.threshold = threshold
        self.samplesForLoop = samplesForLoop
        self.windowCount = windowCount
        // SAFETY: `enter` is the address of such a function.
        enter = unsafeBitCast(backend.enter, to: Enter.self)
        dispatchExit = backend.dispatchExit
        segments = Array(repeating: [], count: backend.buffer.segmentCount)
        freeWindows = Array(0..<windowCount)
        figures.baseBytes = backend.buffer.used
    }

    /// Bytes of host code in use: of units that may be entered, and of what all share.
    package var bytes: Int { units.reduce(figures.baseBytes) { $0 + ($1?.compiled.range.count ?? 0) } }

    /// What a unit consists of: its blocks, and where its code is in the buffer. Nil when it is gone.
    func contents(unit number: Int32) -> (blocks: [UnsafeMutablePointer<Block>], range: Range<Int>)? {
        guard number >= 0, number < units.count, let unit = units[Int(number)] else { return nil }
        return (unit.blocks, unit.compiled.range)
    }

    // MARK: Making and dropping code

    /// Compiles `ir`, whose blocks are `blocks`; they are entered there from now on. False when that is impossible.
    /// - Parameters:
    ///   - loop: what the blocks were found by; nil for a block alone.
    ///   - page: virtual address of the blocks' page, and the hart that runs there, for logs.
    ///   - started: `HostClock.now()` when work on the unit began.
    func install(
        _ ir: inout IRUnit, _ blocks: [UnsafeMutablePointer<Block>], loop: LoopFinder? = nil, at page: UInt64, hart: Int, started: UInt64
    ) -> Bool {
        defer { count(HostClock.now() &- started) }
        let log = TranslationLog(ir, blocks, page: page, hart: hart, isLoop: loop != nil)
        log?.write(.ir, ir)
        let probes = blocks.map(\.pointee.probes).min() ?? .shared
        optimizer.run(&ir, cycles: loop?.shape.cycles ?? [], probes: probes)
        log?.write(.optimisedIR, ir)
        let number = freeUnits.popLast() ?? Int32(units.count)
        if Int(number) == units.count { units.append(nil) }
        let addresses = blocks.map { UInt(bitPattern: $0) }
        let windows = takeWindows(for: ir)
        var compiled = backend.compile(ir, number: UInt64(number), blockAddresses: addresses, loop: loop?.shape, windows: windows)
        if compiled == nil {
            openNextSegment()
            compiled = backend.compile(ir, number: UInt64(number), blockAddresses: addresses, loop: loop?.shape, windows: windows)
        }
        guard let compiled else {
            freeUnits.append(number)
            freeWindows += windows
            return false
        }
        for block in blocks where block.pointee.unit >= 0 { dissolve(block.pointee.unit) }
        for (block, entry) in zip(blocks, compiled.entries) {
            block.pointee.hostCode = backend.buffer.executable(entry.position)
            block.pointee.unit = number
            block.pointee.isPlain = false
            if loop != nil { block.pointee.loops += 1 }
        }
        let unit = Unit(compiled: compiled, blocks: blocks, windows: windows, samples: loop == nil ? 0 : nil)
        units[Int(number)] = unit
        if !windows.isEmpty {
            windowUsers.append((number, unit))
            // At most `windowCount` of them are there.
            if windowUsers.count > 2 * windowCount { windowUsers.removeAll { units[Int($0.number)] !== $0.unit } }
        }
        segments[segment].append(number)
        figures.units += 1
        figures.blocks += blocks.count
        figures.instructions += blocks.reduce(0) { $0 + Int($1.pointee.count) }
        log?.write(compiled, backend.buffer)
        name(compiled, ir, page: page, isLoop: loop != nil)
        return true
    }

    private func count(_ nanoseconds: UInt64) {
        let seconds = Double(nanoseconds) / 1e9
        figures.seconds += seconds
        figures.longest = max(figures.longest, seconds)
    }

    /// Tells perf which guest code a unit comes from.
    private func name(_ compiled: CompiledUnit, _ ir: IRUnit, page: UInt64, isLoop: Bool) {
        guard let perfMap, let first = ir.blocks.first else { return }
        let start = UInt(bitPattern: backend.buffer.executable(compiled.range.lowerBound))
        perfMap.add(start: start, size: compiled.range.count, name: "guest \(hex(page | UInt64(first.offset)))" + (isLoop ? " loop" : ""))
    }

    /// A block with translated code was overwritten: nothing may enter its unit any more.
    package func retire(_ block: UnsafeMutablePointer<Block>) {
        guard block.pointee.unit >= 0 else { return }
        dissolve(block.pointee.unit)
        figures.retired += 1
    }

    /// Closes every way into a unit; its blocks are interpreted again. Code that is being executed stays intact.
    private func dissolve(_ number: Int32) {
        guard let unit = units[Int(number)] else { return }
        units[Int(number)] = nil
        for entry in unit.compiled.entries { backend.retire(entry) }
        for (position, target) in unit.targets.enumerated() where target >= 0 && target != number {
            units[Int(target)]?.incoming.removeAll { $0.unit == number && $0.link == Int32(position) }
        }
        for (source, link) in unit.incoming where source != number {
            guard let from = units[Int(source)] else { continue }
            backend.link(from.compiled.links[Int(link)], to: nil)
            from.targets[Int(link)] = -1
        }
        if !unit.windows.isEmpty {
            freeWindows += unit.windows
            forgetJumps()
        }
        for block in unit.blocks {
            block.pointee.hostCode = nil
            block.pointee.unit = -1
            block.pointee.isPlain = block.pointee.isValid
            block.pointee.heat = threshold
        }
        retiredNumbers.append(number)
    }

    /// Windows no unit uses.
    @exclusivity(unchecked) private var freeWindows: [Int]
    /// Units that were given windows, oldest first; some are gone by now.
    @exclusivity(unchecked) private var windowUsers: [(number: Int32, unit: Unit)] = []

    /// One window for each steady probe, while there are any. The oldest loops give theirs up: those of a kernel's start are not run again,
    /// and what still is hot is compiled anew.
    private func takeWindows(for ir: IRUnit) -> [Int] {
        var wanted = 0
        for block in ir.blocks {
            for each in block.instructions where each.op == .probe {
                if case .constant(let rights) = each.c, ProbeRights(rawValue: rights).contains(.steady) { wanted += 1 }
            }
        }
        if wanted == 0 { return [] }
        var given = 0
        while freeWindows.count < min(wanted, windowCount), given < windowUsers.count {
            let (number, unit) = windowUsers[given]
            given += 1
            if units[Int(number)] === unit { dissolve(number) }
        }
        windowUsers.removeFirst(given)
        let taken = Array(freeWindows.suffix(wanted))
        freeWindows.removeLast(taken.count)
        return taken
    }

    /// Numbers of dissolved units: their code may still be on the host's stack or in a jump cache, so they are used again only with the segment.
    @exclusivity(unchecked) private var retiredNumbers: [Int32] = []

    /// Goes on in the next segment, dropping what it holds.
    private func openNextSegment() {
        segment = (segment + 1) % segments.count
        if !segments[segment].isEmpty { figures.evictions += 1 }
        for number in segments[segment] {
            for block in units[Int(number)]?.blocks ?? [] { block.pointee.loops = 0 }
            dissolve(number)
        }
        forgetJumps()
        let emptied = Set(segments[segment])
        freeUnits.append(contentsOf: retiredNumbers.filter { emptied.contains($0) })
        retiredNumbers.removeAll { emptied.contains($0) }
        segments[segment] = []
        backend.buffer.openSegment(segment)
    }

    /// Drops all code. Only between blocks; the blocks themselves are gone already.
    package func removeAll() {
        units = []
        freeUnits = []
        retiredNumbers = []
        freeWindows = Array(0..<windowCount)
        windowUsers = []
        for index in segments.indices { segments[index] = [] }
        segment = 0
        forgetJumps()
        backend.buffer.openSegment(0)
    }

    private func forgetJumps() {
        for views in cache.views { views.flushJumps() }
    }

    // MARK: Linking

    /// Lets a direct jump of unit `number` go straight to `block` from now on.
    package func link(unit number: Int, link: Int, to block: UnsafeMutablePointer<Block>) {
        guard number < units.count, let unit = units[number], link < unit.targets.count, let code = block.pointee.hostCode else { return }
        backend.link(unit.compiled.links[link], to: backend.buffer.offset(ofExecutable: UInt(bitPattern: code)))
        unit.targets[link] = block.pointee.unit
        units[Int(block.pointee.unit)]?.incoming.append((Int32(number), Int32(link)))
        // A loop's own blocks are beyond such details.
        if unit.blocks.count == 1 { unit.blocks[0].pointee.note(successor: block) }
        figures.links += 1
    }

    // MARK: Learning from failures

    /// Failed probes after which a block is translated again with less use of them, if they came more often than once in so many cycles:
    /// its data crosses pages, or it accesses a device.
    private static let greatestFailedProbes: UInt8 = 16
    private static let cyclesPerFailure: UInt64 = 1000

    /// Translated code was left because a probe in `block` failed, when the hart had run `cycles` cycles.
    package func probeFailed(_ block: UnsafeMutablePointer<Block>, cycles: UInt64) {
        block.pointee.failedProbes += 1
        guard block.pointee.failedProbes == Self.greatestFailedProbes else { return }
        let elapsed = cycles &- block.pointee.failuresSince
        block.pointee.failedProbes = 0
        block.pointee.failuresSince = cycles
        guard elapsed < Self.cyclesPerFailure * UInt64(Self.greatestFailedProbes), block.pointee.unit >= 0 else { return }
        block.pointee.probes = block.pointee.probes == .shared ? .single : .none
        dissolve(block.pointee.unit)
        block.pointee.heat = 0
    }

    /// What translations of a block may have been made for in vain, and how often one is made again.
    private static let greatestFailedAssumptions: UInt8 = 64
    private static let greatestRevisions: UInt8 = 8

    /// The hart's state was not what the translation of `block` assumes: translated again when that has happened often.
    package func assumptionFailed(_ block: UnsafeMutablePointer<Block>) {
        guard block.pointee.revisions < Self.greatestRevisions, block.pointee.unit >= 0 else { return }
        block.pointee.failedAssumptions += 1
        guard block.pointee.failedAssumptions == Self.greatestFailedAssumptions else { return }
        block.pointee.failedAssumptions = 0
        block.pointee.revisions += 1
        dissolve(block.pointee.unit)
        block.pointee.heat = 0
    }

    // MARK: Finding loops

    /// Loops a block is compiled in at most. What is too large for one loop would be cut in ever other ways.
    static let greatestLoops: UInt8 = 8

    /// Samples that make it worth compiling the loop around a block.
    private let samplesForLoop: Int

    /// The budget ended at a block of unit `number`: a sample of where time is spent, for free.
    /// - Returns: the block, when it is time to compile the loop around it.
    package func sample(unit number: UInt64, position: UInt32) -> UnsafeMutablePointer<Block>? {
        let number = Int(truncatingIfNeeded: number)
        guard number < units.count, let unit = units[number], let samples = unit.samples else { return nil }
        guard samples + 1 >= samplesForLoop else {
            unit.samples = samples + 1
            return nil
        }
        unit.samples = nil
        return Int(position) < unit.blocks.count ? unit.blocks[Int(position)] : nil
    }
}

/// What translation did, for `--stats`.
public struct TranslationFigures: Sendable {
    public var units = 0
    public var blocks = 0
    /// Guest instructions translated.
    public var instructions = 0
    public var retired = 0
    public var evictions = 0
    public var links = 0
    var baseBytes = 0
    /// Host seconds spent translating, and the longest that one translation took.
    public var seconds = 0.0
    public var longest = 0.0

    /// What two translators have done.
    public static func + (a: TranslationFigures, b: TranslationFigures) -> TranslationFigures {
        var sum = a
        sum.units += b.units
        sum.blocks += b.blocks
        sum.instructions += b.instructions
        sum.retired += b.retired
        sum.evictions += b.evictions
        sum.links += b.links
        sum.baseBytes += b.baseBytes
        sum.seconds += b.seconds
        sum.longest = max(a.longest, b.longest)
        return sum
    }
}
