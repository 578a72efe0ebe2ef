/// Results as tables, one for each group.
package enum TableReport {
    /// For the terminal.
    package static func text(_ results: BenchResults) -> String {
        var text = ""
        for (group, table) in tables(results) { text += "\n\(group.title)\n" + table.text }
        for warning in results.warnings { text += "\nwarning: \(warning)" }
        return text + (results.warnings.isEmpty ? "" : "\n")
    }

    /// For documents, with what was measured on what.
    package static func markdown(_ results: BenchResults) -> String {
        var text = "\(results.date), \(results.profile) profile, \(results.rounds) rounds.  \nHost: \(results.host.line); \(results.host.compiler).  \n"
        text += "Engines: " + results.engines.map { "\($0.name) (\($0.version))" }.joined(separator: ", ") + ".\n"
        for warning in results.warnings { text += "\n> \(warning)\n" }
        for (group, table) in tables(results) { text += "\n### \(group.title)\n\n" + table.markdown }
        return text
    }

    private static func tables(_ results: BenchResults) -> [(BenchGroup, TextTable)] {
        let engines = results.guestEngines
        let hasNative = results.engines.contains { $0.name == BenchEngine.native.name }
        return BenchGroup.allCases.compactMap { group in
            let rows = results.rows.filter { $0.group == group }
            guard !rows.isEmpty else { return nil }
            let heading = ["benchmark", "where"] + (hasNative ? ["native"] : []) + engines.flatMap { [$0, "slowdown", "±"] } + ["instructions"]
            var table = TextTable(heading, alignRight: Set(2..<heading.count))
            for row in rows {
                var cells = [row.benchmark, row.environment.title]
                if hasNative { cells.append(results.entry(row.benchmark, .host, BenchEngine.native.name).map(BenchFormat.figure) ?? "–") }
                for engine in engines { cells += columns(results.entry(row.benchmark, row.environment, engine)) }
                let instructions = engines.lazy.compactMap { results.entry(row.benchmark, row.environment, $0)?.instructions }.first
                cells.append(instructions.map { BenchFormat.count($0) } ?? "")
                table.add(cells)
            }
            addMeans(&table, results, group, engines, hasNative)
            return (group, table)
        }
    }

    private static func columns(_ entry: BenchEntry?) -> [String] {
        guard let entry else { return ["–", "", ""] }
        if entry.failure != nil { return ["failed", "", ""] }
        return [
            BenchFormat.figure(entry), entry.slowdown.map { BenchFormat.times($0.median) } ?? "",
            ((entry.slowdown ?? entry.time)?.spread).map { BenchFormat.percent($0) } ?? "",
        ]
    }

    private static func addMeans(_ table: inout TextTable, _ results: BenchResults, _ group: BenchGroup, _ engines: [String], _ hasNative: Bool) {
        for environment in BenchEnvironment.allCases where environment != .host {
            let means = engines.map { results.meanSlowdown($0, group, environment) }
            guard means.contains(where: { $0 != nil }) else { continue }
            table.add(
                ["geometric mean", environment.title] + (hasNative ? [""] : [])
                    + means.flatMap { ["", $0.map { BenchFormat.times($0) } ?? "–", ""] } + [""])
        }
    }

    /// Every failure with its reason.
    package static func failures(_ results: BenchResults) -> String {
        results.entries.compactMap { entry in entry.failure.map { "failed: \(entry.benchmark) (\(entry.environment.title)) by \(entry.engine): \($0)\n" } }.joined()
    }
}

extension BenchFormat {
    /// A count with its thousands, millions or billions.
    package static func count(_ value: Double) -> String {
        switch value {
        case ..<1e3: number(value)
        case ..<1e6: number(value / 1e3) + " k"
        case ..<1e9: number(value / 1e6) + " M"
        default: number(value / 1e9) + " G"
        }
    }
}
