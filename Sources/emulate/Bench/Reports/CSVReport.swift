/// Results as one line for each entry (RFC 4180); cells without a figure are empty.
package enum CSVReport {
    static let columns = [
        "benchmark", "group", "environment", "engine", "status", "failure", "ns_per_iteration", "ns_low", "ns_high", "spread", "host_ns_per_iteration",
        "first_ns", "slowdown", "slowdown_spread", "operations", "ns_per_operation", "instructions", "mips", "host_per_guest", "peak_memory_bytes",
        "checksum", "unit",
    ]

    package static func text(_ results: BenchResults) -> String {
        ([columns] + results.entries.map(cells)).map { $0.map(quoted).joined(separator: ",") + "\r\n" }.joined()
    }

    private static func cells(_ entry: BenchEntry) -> [String] {
        func shown(_ value: Double?) -> String { value.map { "\($0)" } ?? "" }
        return [
            entry.benchmark, entry.group.rawValue, entry.environment.rawValue, entry.engine, entry.failure == nil ? "ok" : "failed", entry.failure ?? "",
            shown(entry.time?.median), shown(entry.time?.low), shown(entry.time?.high), shown(entry.time?.spread), shown(entry.hostTime?.median),
            shown(entry.first?.median), shown(entry.slowdown?.median), shown(entry.slowdown?.spread), entry.operations.map { "\($0)" } ?? "",
            shown(entry.nanosecondsPerOperation), shown(entry.instructions), shown(entry.mips), shown(entry.hostPerGuest),
            entry.peakMemory.map { "\($0)" } ?? "", entry.checksum ?? "", entry.unit.rawValue,
        ]
    }

    private static func quoted(_ cell: String) -> String {
        cell.contains { ",\"\r\n".contains($0) } ? "\"" + cell.replacing("\"", with: "\"\"") + "\"" : cell
    }
}
