/// Results as one page that needs nothing else.
package enum HTMLReport {
    /// - Parameter history: earlier runs, oldest first; this one follows them.
    package static func text(_ results: BenchResults, history: [BenchResults] = []) -> String {
        var body = "<h1>emulate bench</h1>\n<p>\(SVGChart.escaped("\(results.date), \(results.profile) profile, \(results.rounds) rounds"))<br>"
        body += SVGChart.escaped(results.host.line) + "<br>" + SVGChart.escaped(results.host.compiler) + "</p>\n<ul>"
        body += results.engines.map { "<li>\(SVGChart.escaped("\($0.name): \($0.version)"))</li>" }.joined() + "</ul>\n"
        body += results.warnings.map { "<p class=\"warning\">\(SVGChart.escaped($0))</p>\n" }.joined()
        if let line = SVGChart.history(history + [results]) { body += line }
        for group in BenchGroup.allCases {
            for chart in [SVGChart.slowdowns(results, group), SVGChart.operations(results, group)] { body += chart ?? "" }
        }
        body += table(results)
        return """
            <!DOCTYPE html>
            <html lang="en">
            <head>
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width">
            <title>emulate bench, \(SVGChart.escaped(results.date))</title>
            <style>
            :root { color-scheme: light dark }
            body { font-family: sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem }
            svg { display: block; max-width: 100%; height: auto; margin: 1rem 0 }
            table { border-collapse: collapse; font-size: .9rem }
            td, th { padding: .2rem .6rem; text-align: right; border-bottom: 1px solid #8884 }
            td:first-child, th:first-child { text-align: left }
            .warning { border-left: 4px solid #e69f00; padding-left: .6rem }
            .failed { color: #d55e00 }
            </style>
            </head>
            <body>
            \(body)</body>
            </html>

            """
    }

    private static func figures(_ entry: BenchEntry) -> [String] {
        var cells = [BenchFormat.figure(entry), entry.slowdown.map { BenchFormat.times($0.median) } ?? ""]
        cells.append((entry.slowdown ?? entry.time).map { "±" + BenchFormat.percent($0.spread) } ?? "")
        cells.append(entry.first.map { BenchFormat.time($0.median) } ?? "")
        cells.append(entry.mips.map { BenchFormat.number($0) } ?? "")
        cells.append(entry.hostPerGuest.map { BenchFormat.number($0) } ?? "")
        cells.append(entry.peakMemory.map { "\($0 >> 20) MiB" } ?? "")
        return cells.map { "<td>\(SVGChart.escaped($0))</td>" }
    }

    private static func table(_ results: BenchResults) -> String {
        var rows = ""
        for entry in results.entries {
            let cells = entry.failure.map { ["<td class=\"failed\" colspan=\"7\">failed: \(SVGChart.escaped($0))</td>"] } ?? figures(entry)
            rows += "<tr><td>\(entry.benchmark)</td><td>\(entry.environment.title)</td><td>\(SVGChart.escaped(entry.engine))</td>\(cells.joined())</tr>\n"
        }
        let heading = ["benchmark", "where", "engine", "time", "slowdown", "spread", "first", "MIPS", "host per guest instruction", "memory"]
        return "<table>\n<tr>" + heading.map { "<th>\($0)</th>" }.joined() + "</tr>\n" + rows + "</table>\n"
    }
}
