import Foundation

/// Bars of slowdown by kernel and engine, on a logarithmic scale, as a picture that needs nothing else.
package enum SVGChart {
    /// Readable on light and dark pages, told apart with any colour vision.
    static let colours = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00"]

    package struct Bar: Sendable {
        /// Index of the engine.
        let series: Int
        /// Nil: failed.
        let value: Double?
        let label: String
    }

    package static func slowdowns(_ results: BenchResults, _ group: BenchGroup) -> String? {
        let engines = results.guestEngines
        let rows = results.rows.filter { $0.group == group && $0.unit == .iteration }
        let environments = Set(rows.map(\.environment))
        let bars = rows.compactMap { row -> (String, [Bar])? in
            let bars = engines.enumerated().compactMap { index, engine -> Bar? in
                guard let entry = results.entry(row.benchmark, row.environment, engine) else { return nil }
                if entry.failure != nil { return Bar(series: index, value: nil, label: "failed") }
                guard let slowdown = entry.slowdown else { return nil }
                return Bar(series: index, value: slowdown.median, label: BenchFormat.times(slowdown.median))
            }
            return bars.isEmpty ? nil : (environments.count > 1 ? "\(row.benchmark), \(row.environment.title)" : row.benchmark, bars)
        }
        guard !bars.isEmpty else { return nil }
        return chart("\(group.title): slowdown against native (lower is better)", engines, bars)
    }

    package static func operations(_ results: BenchResults, _ group: BenchGroup) -> String? {
        let engines = results.guestEngines
        let rows = results.rows.filter { $0.group == group && $0.unit == .operation }
        let environments = Set(rows.map(\.environment))
        let bars = rows.map { row in
            let bars = engines.enumerated().compactMap { index, engine -> Bar? in
                guard let entry = results.entry(row.benchmark, row.environment, engine) else { return nil }
                guard let nanoseconds = entry.nanosecondsPerOperation else { return Bar(series: index, value: nil, label: "failed") }
                return Bar(series: index, value: nanoseconds, label: BenchFormat.time(nanoseconds))
            }
            return (environments.count > 1 ? "\(row.benchmark), \(row.environment.title)" : row.benchmark, bars)
        }
        guard !bars.isEmpty else { return nil }
        return chart("\(group.title): time of an operation (lower is better)", engines, bars)
    }

    static func chart(_ title: String, _ series: [String], _ rows: [(name: String, bars: [Bar])]) -> String {
        let values = rows.flatMap { $0.bars.compactMap(\.value) }.filter { $0 > 0 }
        let low = pow(10, floor(log10(min(1, values.min() ?? 1)))), high = max(values.max() ?? 1, low * 10)
        let left = 150.0, width = 520.0, barHeight = 12.0
        func x(_ value: Double) -> Double { left + width * log10(max(value, low) / low) / log10(high / low) }
        var y = 54.0
        var body = ""
        for (name, bars) in rows {
            let height = barHeight * Double(bars.count)
            body += text(left - 8, y + height / 2 + 4, name, anchor: "end")
            for bar in bars {
                let end = bar.value.map(x) ?? left
                if bar.value != nil {
                    body += "<rect x=\"\(left)\" y=\"\(pixels(y))\" width=\"\(pixels(max(end - left, 1)))\" height=\"\(pixels(barHeight - 2))\" fill=\"\(colour(bar.series))\"/>\n"
                }
                body += text(end + 5, y + barHeight - 3, bar.label, size: 10)
                y += barHeight
            }
            y += 8
        }
        var head = text(8, 18, title, size: 14, weight: "bold")
        for (index, name) in series.enumerated() {
            let at = left + Double(index) * 110
            head += "<rect x=\"\(at)\" y=\"28\" width=\"11\" height=\"11\" fill=\"\(colour(index))\"/>\n" + text(at + 16, 38, name)
        }
        var decade = low
        while decade <= high * 1.001 {
            head += "<line x1=\"\(pixels(x(decade)))\" y1=\"46\" x2=\"\(pixels(x(decade)))\" y2=\"\(pixels(y))\" stroke=\"#888\" stroke-opacity=\"0.35\"/>\n"
            decade *= 10
        }
        return """
            <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 740 \(Int(y + 6))" width="740" height="\(Int(y + 6))" font-family="sans-serif" role="img">
            <style>text { fill: #222 } @media (prefers-color-scheme: dark) { text { fill: #ddd } }</style>
            \(head)\(body)</svg>

            """
    }

    /// A line for each engine over stored runs, oldest first: the geometric mean of slowdowns.
    static func history(_ runs: [BenchResults]) -> String? {
        let engines = runs.reduce(into: [String]()) { names, run in names += run.guestEngines.filter { !names.contains($0) } }
        let lines = engines.map { engine in runs.enumerated().compactMap { index, run in run.meanSlowdown(engine, nil).map { (index, $0) } } }
        let values = lines.flatMap { $0.map(\.1) }
        guard runs.count > 1, let highest = values.max() else { return nil }
        let left = 60.0, width = 640.0, top = 54.0, height = 180.0
        func x(_ index: Int) -> Double { left + width * Double(index) / Double(runs.count - 1) }
        func y(_ value: Double) -> Double { top + height * (1 - log10(max(value, 1)) / log10(max(highest, 10))) }
        var body = text(8, 18, "Slowdown against native over \(runs.count) runs (geometric mean of all kernels)", size: 14, weight: "bold")
        for (index, name) in engines.enumerated() {
            let points = lines[index].map { "\(pixels(x($0.0))),\(pixels(y($0.1)))" }
            let at = left + Double(index) * 110
            body += "<rect x=\"\(at)\" y=\"28\" width=\"11\" height=\"11\" fill=\"\(colour(index))\"/>\n" + text(at + 16, 38, name)
            body += "<polyline fill=\"none\" stroke=\"\(colour(index))\" stroke-width=\"2\" points=\"\(points.joined(separator: " "))\"/>\n"
            for (run, value) in lines[index] {
                body += "<circle cx=\"\(pixels(x(run)))\" cy=\"\(pixels(y(value)))\" r=\"3\" fill=\"\(colour(index))\"><title>"
                    + escaped("\(runs[run].date): \(BenchFormat.times(value))") + "</title></circle>\n"
            }
        }
        for value in [1.0, 10, 100] where value <= max(highest, 10) { body += text(left - 8, y(value) + 4, BenchFormat.times(value), anchor: "end", size: 10) }
        body += text(left, top + height + 18, String(runs[0].date.prefix(10)), size: 10)
        body += text(left + width, top + height + 18, String(runs[runs.count - 1].date.prefix(10)), anchor: "end", size: 10)
        return """
            <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 740 270" width="740" height="270" font-family="sans-serif" role="img">
            <style>text { fill: #222 } @media (prefers-color-scheme: dark) { text { fill: #ddd } }</style>
            \(body)</svg>

            """
    }

    private static func colour(_ index: Int) -> String { colours[index % colours.count] }
    private static func pixels(_ value: Double) -> String { String(format: "%.1f", value) }

    private static func text(_ x: Double, _ y: Double, _ content: String, anchor: String = "start", size: Int = 12, weight: String = "normal") -> String {
        "<text x=\"\(pixels(x))\" y=\"\(pixels(y))\" text-anchor=\"\(anchor)\" font-size=\"\(size)\" font-weight=\"\(weight)\">\(escaped(content))</text>\n"
    }

    static func escaped(_ text: String) -> String {
        text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;").replacing("\"", with: "&quot;")
    }
}
