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

/// What a hart remembers of its traps, so that a guest that has gone astray can be explained afterwards. Trivial, and written only
/// when a trap is taken.
///
/// A trap equal to one of the latest few is counted, not stored again: a loop of traps leaves in place what came before it.
package struct TrapHistory {
    private static let depth = 16
    /// Longest sequence of traps that counts as a repetition.
    private static let longestPeriod = 4

    private var records = InlineArray<16, TrapRecord>(repeating: .none)
    private var stored = 0
    /// The first illegal instruction at each privilege, and the last access that was refused; a count of 0 stands for none.
    private var illegal = InlineArray<4, TrapRecord>(repeating: .none)
    private var refused = TrapRecord.none

    /// Remembers a trap.
    @inline(__always)
    package mutating func note(_ record: TrapRecord) {
        for distance in 1...Self.longestPeriod {
            let index = (stored &- distance) & (Self.depth - 1)
            if records[index].pc == record.pc && records[index].cause == record.cause && records[index].count != 0 {
                records[index].count &+= 1
                records[index].last = record.last
                records[index].value = record.value
                return
            }
        }
        records[stored & (Self.depth - 1)] = record
        stored &+= 1
    }

    /// Remembers the trap of an instruction that does not exist.
    package mutating func noteIllegal(_ record: TrapRecord) {
        let index = Int(record.from & 3)
        if illegal[index].count == 0 { illegal[index] = record } else { illegal[index].count &+= 1 }
    }

    /// Remembers the trap of an access that nothing answered, or that was not allowed.
    package mutating func noteRefused(_ record: TrapRecord) {
        let count = refused.count
        refused = record
        refused.count = count &+ 1
    }

    /// The latest traps that differ, oldest first.
    package var recent: [TrapRecord] {
        (max(0, stored - Self.depth)..<stored).map { records[$0 & (Self.depth - 1)] }
    }

    /// The first illegal instruction at each privilege that met one, with the number of all of them.
    package var firstIllegal: [TrapRecord] { (0..<4).map { illegal[$0] }.filter { $0.count != 0 } }

    /// The latest access fault, with the number of all of them.
    package var lastRefused: TrapRecord? { refused.count == 0 ? nil : refused }
}

extension TrapRecord {
    fileprivate static var none: TrapRecord {
        var record = TrapRecord(cause: 0, value: 0, pc: 0, from: 0, to: 0, cycle: 0)
        record.count = 0
        return record
    }
}
