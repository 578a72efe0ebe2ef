import Foundation

/// Numbers as reports show them.
package enum BenchFormat {
    /// Three significant digits.
    package static func number(_ value: Double) -> String {
        guard value.isFinite else { return "–" }
        let size = abs(value)
        let digits = size >= 100 ? 0 : size >= 10 ? 1 : 2
        return String(format: "%.\(digits)f", value)
    }

    /// Nanoseconds in the unit that suits them.
    package static func time(_ nanoseconds: Double) -> String {
        switch abs(nanoseconds) {
        case ..<1e3: "\(number(nanoseconds)) ns"
        case ..<1e6: "\(number(nanoseconds / 1e3)) µs"
        case ..<1e9: "\(number(nanoseconds / 1e6)) ms"
        default: "\(number(nanoseconds / 1e9)) s"
        }
    }

    package static func times(_ ratio: Double) -> String { number(ratio) + "×" }
    package static func percent(_ fraction: Double) -> String { String(format: "%.0f %%", fraction * 100) }
    /// `+12 %` for 1.12.
    package static func change(_ ratio: Double) -> String { String(format: "%+.0f %%", (ratio - 1) * 100) }

    /// An entry's figure in its unit.
    package static func figure(_ entry: BenchEntry) -> String {
        guard let time = entry.time else { return "failed" }
        guard let nanoseconds = entry.nanosecondsPerOperation else { return Self.time(time.median) }
        switch entry.unit {
        case .iteration: return Self.time(time.median)
        case .operation: return Self.time(nanoseconds)
        case .bytes: return "\(number(1000 / nanoseconds)) MB/s"
        case .rate: return "\(number(1e9 / nanoseconds))/s"
        }
    }
}

/// A table of text: for the terminal in columns, for documents in Markdown.
package struct TextTable {
    private var rows: [[String]]
    private let right: Set<Int>

    package init(_ heading: [String], alignRight: Set<Int> = []) {
        rows = [heading]
        right = alignRight
    }

    package mutating func add(_ row: [String]) { rows.append(row) }

    package var text: String {
        let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
        return rows.map { row in
            let line = row.indices.map { column in
                let padding = String(repeating: " ", count: widths[column] - row[column].count)
                return right.contains(column) ? padding + row[column] : row[column] + padding
            }.joined(separator: "  ")
            return String(line.reversed().drop { $0 == " " }.reversed()) + "\n"
        }.joined()
    }

    package var markdown: String {
        func line(_ cells: [String]) -> String { "| " + cells.map { $0.replacingOccurrences(of: "|", with: "\\|") }.joined(separator: " | ") + " |\n" }
        return line(rows[0]) + "|" + rows[0].indices.map { right.contains($0) ? "--:|" : "---|" }.joined() + "\n" + rows.dropFirst().map(line).joined()
    }
}
