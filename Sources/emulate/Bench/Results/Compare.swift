/// Two runs side by side: what got slower or faster beyond noise.
package struct BenchComparison: Sendable {
    package enum Verdict: String, Sendable {
        case regression, improvement, same
        /// It had a figure and now fails.
        case broken
        case repaired
        /// Only in one of the two runs, or failed in both.
        case incomparable
    }

    package struct Row: Sendable {
        package let key: String
        package let verdict: Verdict
        /// What is compared: slowdown against native where both runs have it, else nanoseconds of an operation or iteration.
        package let old: Double?
        package let new: Double?
        package let isSlowdown: Bool
        /// The change below which a difference says nothing.
        package let noise: Double
        package let note: String

        /// New divided by old: above 1 is slower.
        package var ratio: Double? {
            guard let old, let new, old > 0 else { return nil }
            return new / old
        }
    }

    package let rows: [Row]
    package let warnings: [String]

    /// Differences below this are noise however calm the samples were.
    package static let leastNoise = 0.05

    package init(old: BenchResults, new: BenchResults) {
        var warnings: [String] = []
        let isSameMachine = old.host.processor == new.host.processor && old.host.cores == new.host.cores
        if !isSameMachine { warnings.append("the runs are from different machines: only slowdowns against native are compared") }
        let before = Dictionary(old.entries.map { ($0.key, $0) }, uniquingKeysWith: { $1 })
        let after = Dictionary(new.entries.map { ($0.key, $0) }, uniquingKeysWith: { $1 })
        var keys = new.entries.map(\.key)
        keys += old.entries.map(\.key).filter { after[$0] == nil }
        // Native is the measure, not what is measured.
        rows = keys.filter { !$0.hasSuffix("/" + BenchEngine.native.name) }.map { Self.row($0, before[$0], after[$0], isSameMachine) }
        self.warnings = warnings
    }

    private static func row(_ key: String, _ old: BenchEntry?, _ new: BenchEntry?, _ isSameMachine: Bool) -> Row {
        func plain(_ verdict: Verdict, _ note: String) -> Row {
            Row(key: key, verdict: verdict, old: nil, new: nil, isSlowdown: false, noise: 0, note: note)
        }
        guard let old else { return plain(.incomparable, "only in the new run") }
        guard let new else { return plain(.incomparable, "only in the old run") }
        switch (old.failure, new.failure) {
        case (nil, let failure?): return plain(.broken, "failed: \(failure)")
        case (_?, nil): return plain(.repaired, "no longer fails")
        case (_?, let failure?): return plain(.incomparable, "failed in both: \(failure)")
        case (nil, nil): break
        }
        if let checksum = old.checksum, let other = new.checksum, checksum != other {
            return plain(.incomparable, "the program has changed (another checksum)")
        }
        if let before = old.slowdown, let after = new.slowdown { return judge(key, before, after, isSlowdown: true) }
        guard isSameMachine else { return plain(.incomparable, "no native figure, and other machines") }
        guard let before = perOperation(old), let after = perOperation(new) else { return plain(.incomparable, "no figure") }
        return judge(key, before, after, isSlowdown: false)
    }

    private static func perOperation(_ entry: BenchEntry) -> BenchSummary? {
        guard let time = entry.time else { return nil }
        let operations = entry.unit == .iteration ? 1 : Double(max(1, entry.operations ?? 1))
        return BenchSummary(time.samples.map { $0 / operations })
    }

    private static func judge(_ key: String, _ old: BenchSummary, _ new: BenchSummary, isSlowdown: Bool) -> Row {
        let noise = max(leastNoise, old.spread + new.spread)
        let ratio = old.median > 0 ? new.median / old.median : 1
        let verdict: Verdict = ratio > 1 + noise ? .regression : ratio < 1 / (1 + noise) ? .improvement : .same
        return Row(key: key, verdict: verdict, old: old.median, new: new.median, isSlowdown: isSlowdown, noise: noise, note: "")
    }

    /// True when something got worse: the command then exits with 1.
    package var hasRegressions: Bool { rows.contains { $0.verdict == .regression || $0.verdict == .broken } }

    package var text: String {
        var table = TextTable(["benchmark", "old", "new", "change", "noise", ""], alignRight: [1, 2, 3, 4])
        for row in rows {
            func shown(_ value: Double?) -> String { value.map { row.isSlowdown ? BenchFormat.times($0) : BenchFormat.time($0) } ?? "–" }
            table.add([
                row.key, shown(row.old), shown(row.new), row.ratio.map { BenchFormat.change($0) } ?? "–",
                row.ratio == nil ? "" : "±" + BenchFormat.percent(row.noise),
                row.note.isEmpty ? (row.verdict == .same ? "" : row.verdict.rawValue) : "\(row.verdict.rawValue): \(row.note)",
            ])
        }
        let counts = [Verdict.regression, .broken, .improvement, .repaired, .same, .incomparable].compactMap { verdict -> String? in
            let count = rows.count { $0.verdict == verdict }
            return count == 0 ? nil : "\(count) \(verdict.rawValue)"
        }
        return table.text + warnings.map { "warning: \($0)\n" }.joined() + counts.joined(separator: ", ") + "\n"
    }
}
