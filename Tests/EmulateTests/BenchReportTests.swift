import Foundation
import Testing
import emulate

@Suite struct BenchReportTests {
    @Test func aFailureIsShownAsFailedAndNeverAsANumber() throws {
        let results = BenchSample.mixed
        let row = try #require(TableReport.text(results).split(separator: "\n").first { $0.hasPrefix("fib") })
        #expect(row.contains("failed"))
        #expect(!row.contains("3.00"))
        #expect(TableReport.failures(results).contains("it did not finish in 60 s"))
        let entry = try #require(results.entries.first { $0.failure != nil })
        #expect((entry.time, entry.slowdown, entry.checksum) == (nil, nil, nil))
        // It takes no part in the means.
        #expect(results.meanSlowdown("qemu", .integer) == Statistics.geometricMean([4]))
    }

    @Test func resultsSurviveTheirFile() throws {
        let path = NSTemporaryDirectory() + "emulate-bench-\(UUID().uuidString).json"
        defer { try? FileManager.default.removeItem(atPath: path) }
        try Data(BenchSample.mixed.json.utf8).write(to: URL(filePath: path))
        #expect(try BenchResults(path: path) == BenchSample.mixed)
    }

    @Test func aFileOfAnotherFormatIsRefused() throws {
        let path = NSTemporaryDirectory() + "emulate-bench-\(UUID().uuidString).json"
        defer { try? FileManager.default.removeItem(atPath: path) }
        var results = BenchSample.mixed
        results.format = 99
        try Data(results.json.utf8).write(to: URL(filePath: path))
        #expect(throws: BenchFailure.self) { try BenchResults(path: path) }
        #expect(throws: BenchFailure.self) { try BenchResults(path: "/nonexistent") }
    }

    @Test func csvHasOneLineForEachEntryAndQuotesWhatNeedsIt() {
        let lines = CSVReport.text(BenchSample.mixed).components(separatedBy: "\r\n").dropLast()
        #expect(lines.count == 1 + BenchSample.mixed.entries.count)
        let commas = Set(lines.filter { !$0.contains("\"") }.map { $0.count { $0 == "," } })
        #expect(commas.count == 1)
        #expect(lines.contains { $0.contains("failed,\"it did not finish in 60 s, says \"\"qemu\"\"\",,") })
    }

    @Test func markdownRowsHaveAsManyCellsAsTheirHeading() {
        let tables = TableReport.markdown(BenchSample.mixed).components(separatedBy: "\n\n").filter { $0.hasPrefix("|") }
        #expect(tables.count == 2)
        for table in tables { #expect(Set(table.split(separator: "\n").map { $0.count { $0 == "|" } }).count == 1) }
    }

    @Test func chartsAreWellFormedAndShowEveryEngine() throws {
        let chart = try #require(SVGChart.slowdowns(BenchSample.mixed, .integer))
        let parser = XMLCheck(chart)
        #expect(parser.isWellFormed)
        for text in ["interp", "qemu", "sieve", "fib", "failed", "20.0×"] { #expect(chart.contains(">\(text)<"), "\(text)") }
        // Two kernels by two engines, one failed: three bars and two squares of the legend.
        #expect(chart.components(separatedBy: "<rect ").count - 1 == 5)
        #expect(SVGChart.slowdowns(BenchSample.mixed, .float) == nil)
        #expect(SVGChart.operations(BenchSample.mixed, .system)?.contains(">uecall<") == true)
    }

    @Test func aPageNeedsNothingElseAndDrawsHistoryOverSeveralRuns() {
        let alone = HTMLReport.text(BenchSample.mixed)
        #expect(!alone.contains("<polyline"))
        for outside in ["http:", "src=", "href=", "@import", "<script"] {
            #expect(!alone.replacing("http://www.w3.org/2000/svg", with: "").contains(outside), "\(outside)")
        }
        let page = HTMLReport.text(BenchSample.mixed, history: [BenchSample.mixed, BenchSample.mixed])
        #expect(page.components(separatedBy: "<polyline").count - 1 == 2)
        #expect(page.contains("says &quot;qemu&quot;"))
    }

    @Test(arguments: [(0.5, "0.50 ns"), (12.34, "12.3 ns"), (4567, "4.57 µs"), (1.5e6, "1.50 ms"), (2.5e9, "2.50 s")])
    func timesHaveTheUnitThatSuitsThem(nanoseconds: Double, text: String) {
        #expect(BenchFormat.time(nanoseconds) == text)
    }

    @Test func throughputIsToldInItsUnit() {
        var entry = BenchSample.entry("disk-read", "interp", [1e9], environment: .linux)
        entry.operations = 50_000_000
        #expect(BenchFormat.figure(entry) == "50.0 MB/s")
        entry = BenchSample.entry("disk-random", "interp", [1e9], environment: .linux)
        entry.operations = 200
        #expect(BenchFormat.figure(entry) == "200/s")
    }
}

/// Whether elements nest and close.
private struct XMLCheck {
    let isWellFormed: Bool

    init(_ text: String) {
        var open: [Substring] = []
        for match in text.matches(of: /<(\/?)([a-z]+)[^<>]*?(\/?)>/) {
            if !match.1.isEmpty {
                if open.popLast() != match.2 {
                    isWellFormed = false
                    return
                }
            } else if match.3.isEmpty {
                open.append(match.2)
            }
        }
        isWellFormed = open.isEmpty
    }
}
