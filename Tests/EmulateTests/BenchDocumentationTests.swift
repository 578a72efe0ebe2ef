import Foundation
import Testing
import emulate

/// docs/benchmarks.md, the catalogue and the option table say the same. `UPDATE_GOLDEN=1` rewrites the page's generated parts.
@Suite struct BenchDocumentationTests {
    static let page = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../docs/benchmarks.md").standardizedFileURL

    @Test func thePageListsWhatThereIs() throws {
        var text = try String(contentsOf: Self.page, encoding: .utf8)
        for (mark, expected) in [("benchmarks", BenchCatalogue.markdown), ("options", "\n" + BenchOptions.table.markdown + "\n")] {
            let from = try #require(text.range(of: "<!-- \(mark): written by `UPDATE_GOLDEN=1 swift test --filter BenchDocumentationTests` -->\n")).upperBound
            let to = try #require(text.range(of: "<!-- end of \(mark) -->\n")).lowerBound
            if ProcessInfo.processInfo.environment["UPDATE_GOLDEN"] != nil {
                text.replaceSubrange(from..<to, with: expected)
                try text.write(to: Self.page, atomically: true, encoding: .utf8)
            } else {
                #expect(text[from..<to] == expected, "docs/benchmarks.md is out of date: run it with UPDATE_GOLDEN=1")
            }
        }
    }
}
