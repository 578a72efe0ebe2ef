import EmuMachine
import Foundation
import Testing
import emulate

/// docs/emulate.md and the option table say the same. `UPDATE_GOLDEN=1` rewrites the page's generated part.
@Suite struct DocumentationTests {
    static let page = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../docs/emulate.md").standardizedFileURL
    static let start = "<!-- options: written by `UPDATE_GOLDEN=1 swift test --filter DocumentationTests` -->\n"
    static let end = "<!-- end of options -->\n"

    @Test func theReferencePageIsTheOptionTable() throws {
        var text = try String(contentsOf: Self.page, encoding: .utf8)
        let from = try #require(text.range(of: Self.start)).upperBound
        let to = try #require(text.range(of: Self.end)).lowerBound
        let expected = "\n" + RunCommand.options.markdown + "\n"
        if ProcessInfo.processInfo.environment["UPDATE_GOLDEN"] != nil {
            text.replaceSubrange(from..<to, with: expected)
            try text.write(to: Self.page, atomically: true, encoding: .utf8)
        } else {
            #expect(text[from..<to] == expected, "docs/emulate.md is out of date: run it with UPDATE_GOLDEN=1")
        }
    }

    @Test func theReferencePageNamesEveryKey() throws {
        let text = try String(contentsOf: Self.page, encoding: .utf8)
        for command in SerialMux.Command.allCases { #expect(text.contains("| Ctrl-A \(command.key) |")) }
    }
}
