import EmuBus
import EmuCPU
import EmuMachine

/// Why a guest does not move, as far as that can be told from outside: what each hart is about to do, and what went wrong first.
///
/// Nothing in the guest changes by it. To be made between slices.
public struct Diagnosis: Sendable {
    /// What harts do, in words.
    struct HartReport: Sendable, Equatable {
        /// "spinning", "trap-loop", "stopped-for-good", "waiting-for-input", "idle", "working".
        var state: String
        var pc: UInt64
        /// What follows the harts' names.
        var summary: String
        /// Indented below.
        var details: [String]
    }

    /// A remark about the machine as a whole, with a short name for programs.
    struct Fact: Sendable, Equatable {
        var name: String
        var lines: [String]
    }

    /// One sentence.
    public let headline: String
    /// The guest will get no further by itself, as far as can be seen.
    public let isHang: Bool
    let harts: [HartReport]
    let facts: [Fact]

    /// - Throws: `DebugError` when the machine's processors are not known to the debugger, or the host has no memory for looking ahead.
    public init(_ machine: Machine, symbols: (any SymbolLookup)? = nil) throws(DebugError) {
        let originals = try machine.debugHarts()
        let ahead: Lookahead
        do {
            ahead = try Lookahead(machine, originals)
        } catch {
            throw DebugError("why: the guest cannot be copied to look ahead: \(error)")
        }
        let conditions = originals.map { HartCondition(ahead, hart: $0.index, isWaiting: $0.isWaiting) }
        let writer = DiagnosisWriter(machine: machine, symbols: symbols, harts: originals, conditions: conditions)
        harts = originals.indices.map(writer.report)
        facts = writer.facts()
        let stuck = harts.filter { Self.stuck.contains($0.state) }.count
        let isDead = harts.allSatisfy { $0.state == Self.dead }
        isHang = isDead || stuck > 0 && harts.allSatisfy { ![Self.working, Self.input].contains($0.state) }
        if isDead {
            headline = harts.count == 1 ? "the hart waits for an interrupt, and none can come" : "every hart waits for an interrupt, and none can come"
        } else if isHang {
            headline = "the guest does not get any further"
        } else if stuck == 0, harts.contains(where: { $0.state == Self.input }), harts.allSatisfy({ $0.state != Self.working }) {
            headline = "the guest waits for input"
        } else if harts.allSatisfy({ $0.state == Self.idle || $0.state == Self.dead }) {
            headline = "the guest is idle: it waits for an interrupt that can come"
        } else {
            headline = stuck > 0 ? "the guest works, but not on every hart" : "the guest works: nothing suggests that it hangs"
        }
    }

    private static let stuck = ["spinning", "trap-loop"]
    static let input = "waiting-for-input"
    static let dead = "stopped-for-good", idle = "idle", working = "working"

    /// For people.
    public var text: String {
        var text = headline + "\n"
        var index = 0
        while index < harts.count {
            // Harts in the same state are told of together.
            let alike = harts[index...].prefix { $0 == harts[index] }
            let name = alike.count == 1 ? "hart \(index)" : "harts \(index) to \(index + alike.count - 1)"
            text += "\(name): \(harts[index].summary)\n" + harts[index].details.map { "    \($0)\n" }.joined()
            index += alike.count
        }
        for fact in facts { text += fact.lines.enumerated().map { ($0 == 0 ? "" : "    ") + $1 + "\n" }.joined() }
        return text
    }

    /// For programs.
    public var value: DebugValue {
        .record([
            "headline": .string(headline), "hang": .bool(isHang),
            "harts": .list(harts.enumerated().map { index, hart in
                .record([
                    "hart": .int(index), "state": .string(hart.state), "pc": .hex(hart.pc), "summary": .string(hart.summary),
                    "details": .list(hart.details.map { .string($0) }),
                ])
            }),
            "facts": .list(facts.map { .record(["name": .string($0.name), "text": .string($0.lines.joined(separator: "\n"))]) }),
        ])
    }
}
