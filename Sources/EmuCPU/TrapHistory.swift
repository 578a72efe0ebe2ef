/// A trap as a hart remembers it.
package struct TrapRecord: Sendable {
    /// The architecture's number, its value for the handler, and the instruction that trapped or was the first not executed.
    package var cause: UInt64
    package var value: UInt64
    package var pc: UInt64
    package var from: UInt8
    package var to: UInt8
    /// Cycles the hart had used when it happened first and last, and how often it has happened.
    package var first: UInt64
    package var last: UInt64
    package var count: UInt64 = 1

    package init(cause: UInt64, value: UInt64, pc: UInt64, from: UInt8, to: UInt8, cycle: UInt64) {
        self.cause = cause
        self.value = value
        self.pc = pc
        self.from = from
        self.to = to
        first = cycle
        last = cycle
    }
}

/// What a hart remembers of its traps, so that a guest that has gone astray can be explained afterwards. Written only when a trap is taken, and
/// at the cost of a few instructions then.
///
/// A trap equal to one of the latest few is counted, not stored again: a loop of traps leaves in place what came before it.
///
/// SAFETY: `records` holds `capacity` records and `stored` one number, from `init` to `deallocate`; indices are masked or constant.
package struct TrapHistory {
    private static let depth = 16
    /// Longest sequence of traps that counts as a repetition.
    private static let longestPeriod = 4
    /// Behind the latest traps: the first illegal instruction at each privilege, and the last access that was refused.
    private static let illegal = depth, refused = illegal + 4, capacity = refused + 1

    private let records: UnsafeMutablePointer<TrapRecord>
    /// Traps stored so far.
    private let stored: UnsafeMutablePointer<Int>

    init() {
        records = .allocate(capacity: Self.capacity)
        records.initialize(repeating: .none, count: Self.capacity)
        stored = .allocate(capacity: 1)
        stored.initialize(to: 0)
    }

    func deallocate() {
        records.deallocate()
        stored.deallocate()
    }

    /// Forgets everything.
    func clear() {
        records.update(repeating: .none, count: Self.capacity)
        stored.pointee = 0
    }

    /// Remembers a trap.
    @inline(__always)
    func note(cause: UInt64, value: UInt64, pc: UInt64, from: UInt8, to: UInt8, cycle: UInt64) {
        let latest = records + ((stored.pointee &- 1) & (Self.depth &- 1))
        if latest.pointee.pc == pc && latest.pointee.cause == cause {
            latest.pointee.count &+= 1
            latest.pointee.last = cycle
            latest.pointee.value = value
        } else {
            noteOther(TrapRecord(cause: cause, value: value, pc: pc, from: from, to: to, cycle: cycle))
        }
    }

    /// A trap that is not the latest one again.
    @inline(never)
    private func noteOther(_ record: TrapRecord) {
        for distance in 2...Self.longestPeriod {
            let earlier = records + ((stored.pointee &- distance) & (Self.depth &- 1))
            if earlier.pointee.pc == record.pc && earlier.pointee.cause == record.cause {
                earlier.pointee.count &+= 1
                earlier.pointee.last = record.last
                earlier.pointee.value = record.value
                return
            }
        }
        records[stored.pointee & (Self.depth &- 1)] = record
        stored.pointee &+= 1
    }

    /// Remembers the trap of an instruction that does not exist.
    @inline(never)
    func noteIllegal(_ record: TrapRecord) {
        let first = records + (Self.illegal + Int(record.from & 3))
        if first.pointee.count == 0 { first.pointee = record } else { first.pointee.count &+= 1 }
    }

    /// Remembers the trap of an access that nothing answered, or that was not allowed.
    @inline(never)
    func noteRefused(_ record: TrapRecord) {
        let count = records[Self.refused].count
        records[Self.refused] = record
        records[Self.refused].count = count &+ 1
    }

    /// The latest traps that differ, oldest first.
    package var recent: [TrapRecord] {
        (max(0, stored.pointee - Self.depth)..<stored.pointee).map { records[$0 & (Self.depth - 1)] }
    }

    /// The first illegal instruction at each privilege that met one, with the number of all of them.
    package var firstIllegal: [TrapRecord] { (0..<4).map { records[Self.illegal + $0] }.filter { $0.count != 0 } }

    /// The latest access fault, with the number of all of them.
    package var lastRefused: TrapRecord? { records[Self.refused].count == 0 ? nil : records[Self.refused] }
}

extension TrapRecord {
    /// Equal to no trap there can be.
    fileprivate static var none: TrapRecord {
        var record = TrapRecord(cause: .max, value: 0, pc: .max, from: 0, to: 0, cycle: 0)
        record.count = 0
        return record
    }
}
