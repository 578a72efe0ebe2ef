import EmuCPU

/// What a hart is up to, found out by looking ahead.
struct HartCondition {
    enum Kind {
        /// Waits for an interrupt.
        case waiting
        /// Takes exceptions over and over, and gets nowhere between them.
        case trapLoop([Lookahead.Exception])
        /// Executes the same instructions over and over without changing anything.
        case spinning(reads: [Read], readsTime: Bool)
        case working
    }

    /// Something read in a loop.
    struct Read {
        var address: UInt64
        var physical: UInt64
        var size: UInt64
        /// Nil for a device register that cannot be looked at without effect.
        var value: UInt64?
        var pc: UInt64
        /// An atomic instruction read it: a lock, as often as not.
        var isAtomic: Bool
        var changes = false
    }

    var kind: Kind
    /// What follows repeats exactly, for ever, unless something outside the harts changes.
    var isExact = false
    /// Addresses of the instructions of the loop, in order; at most the limit of a look ahead.
    var code: [UInt64] = []

    /// Judges what the copy of hart `index` did.
    init(_ ahead: Lookahead, hart index: Int, isWaiting: Bool) {
        let turns = ahead.turns[index]
        if isWaiting || turns.isEmpty {
            kind = .waiting
            return
        }
        if let range = ahead.repetition?[index] {
            let loop = turns[range]
            isExact = true
            code = Self.code(loop)
            let exceptions = Self.exceptions(loop)
            kind = loop.isEmpty ? .waiting : exceptions.isEmpty ? .spinning(reads: Self.reads(loop), readsTime: false) : .trapLoop(exceptions)
            return
        }
        if ahead.endsWaiting[index] {
            kind = .working
            return
        }
        let half = turns.count / 2
        let (before, loop) = (turns[..<half], turns[half...])
        code = Self.code(loop)
        let repeated = Self.repeated(turns)
        if !repeated.isEmpty {
            kind = .trapLoop(repeated)
        } else if let reads = Self.poll(before, loop, code) {
            kind = .spinning(reads: reads, readsTime: loop.contains(where: \.readsTime))
        } else {
            kind = .working
            code = []
        }
    }

    /// Distinct instructions in the order they first appear.
    private static func code(_ turns: ArraySlice<Lookahead.Turn>) -> [UInt64] {
        var seen: Set<UInt64> = []
        return turns.map(\.pc).filter { seen.insert($0).inserted }
    }

    private static func exceptions(_ turns: ArraySlice<Lookahead.Turn>) -> [Lookahead.Exception] {
        var seen: Set<Lookahead.Exception> = []
        return turns.flatMap(\.exceptions).filter { seen.insert($0).inserted }
    }

    /// Exceptions of the same cause at the same instruction, from a handler's own privilege, that recur throughout: handlers that trap
    /// themselves, each time with a little less stack.
    private static func repeated(_ turns: [Lookahead.Turn]) -> [Lookahead.Exception] {
        var counts: [[UInt64]: (count: Int, latest: Lookahead.Exception)] = [:]
        for exception in turns.flatMap(\.exceptions) where exception.from == exception.to {
            counts[[exception.cause, exception.pc], default: (0, exception)].count += 1
            counts[[exception.cause, exception.pc]]?.latest = exception
        }
        return counts.values.filter { $0.count >= leastRepetitions }.map(\.latest).sorted { $0.pc < $1.pc }
    }

    private static let leastRepetitions = 16
    /// A loop of more instructions than this does more than wait.
    private static let longestPoll = 400
    /// Places a loop that only waits may change: counters and what it saves on its stack.
    private static let mostChanges = 16

    /// What a loop waits for that does not repeat exactly, because it counts or looks at the time; nil when it does more than that.
    private static func poll(_ before: ArraySlice<Lookahead.Turn>, _ loop: ArraySlice<Lookahead.Turn>, _ code: [UInt64]) -> [Read]? {
        guard code.count <= longestPoll, Set(code).isSubset(of: before.map(\.pc)) else { return nil }
        let touched = Set(before.flatMap(\.accesses).map(\.access.address))
        let accesses = loop.flatMap(\.accesses).map(\.access)
        guard accesses.allSatisfy({ touched.contains($0.address) }) else { return nil }
        let changed = Set(accesses.filter { $0.kind != .read && $0.old != $0.new }.map(\.address))
        let reads = reads(loop).filter { !$0.changes }
        return changed.count <= mostChanges && (!reads.isEmpty || loop.contains(where: \.readsTime)) ? reads : nil
    }

    /// What a loop reads and does not write itself.
    private static func reads(_ loop: ArraySlice<Lookahead.Turn>) -> [Read] {
        var reads: [[UInt64]: Read] = [:]
        var order: [[UInt64]] = []
        let written = Set(loop.flatMap(\.accesses).filter { $0.access.kind == .write }.map(\.access.address))
        for each in loop.flatMap(\.accesses) where each.access.kind != .write && !written.contains(each.access.address) {
            let access = each.access
            let key = [access.pc, access.address]
            let value = each.isKnown ? access.old : nil
            if let known = reads[key] {
                if known.value != value { reads[key]?.changes = true }
            } else {
                order.append(key)
                reads[key] = Read(
                    address: access.address, physical: access.physical, size: access.size, value: value, pc: access.pc, isAtomic: access.kind == .readWrite)
            }
        }
        return order.compactMap { reads[$0] }
    }
}
