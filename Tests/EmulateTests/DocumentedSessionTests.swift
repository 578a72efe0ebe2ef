import Foundation
import Testing

/// The sessions shown in docs/debugger.md are what the debugger shows. `UPDATE_GOLDEN=1` rewrites them.
@Suite(.serialized) struct DocumentedSessionTests {
    private static let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../..").standardizedFileURL
    /// Seconds an answer may take on a slow, busy machine.
    private static let patience = 300.0

    private var page: DocumentedPage
    private var changes: [(Range<Int>, [String])] = []

    init() throws { page = try DocumentedPage(Self.root.appending(path: "docs/debugger.md")) }

    @Test("a bug in a program is found as the page tells") mutating func bareMetal() throws {
        try check(guest: nil)
    }

    @Test("Debian's boot is walked as the page tells, whatever the numbers of the kernel at hand", .disabled(if: DebianGuest.isLeftOut, "EMULATE_OFFLINE is set: real guests were not fetched"))
    mutating func debian() throws {
        try check(guest: try DebianGuest().path("."))
    }

    @Test("the page shows sessions of both kinds") func parts() {
        #expect(page.sessions.contains { $0.isDebian && $0.steps.count > 8 })
        #expect(page.sessions.contains { !$0.isDebian && $0.steps.count > 8 })
    }

    /// Carries out the sessions with Debian, or those without.
    private mutating func check(guest: String?) throws {
        for session in page.sessions where session.isDebian == (guest != nil) {
            let debugger = try DocumentedDebugger(session.command, in: Self.root, guest: guest)
            compare(session.start, debugger.answer(seconds: Self.patience), session.command, session.isDebian)
            for step in session.steps { try carryOut(step, debugger, session.isDebian) }
            let (ending, errors) = debugger.end()
            #expect(ending == .code(0), "\(session.command): \(errors)")
        }
        if ProcessInfo.processInfo.environment["UPDATE_GOLDEN"] != nil { try page.replace(changes) }
    }

    private mutating func carryOut(_ step: DocumentedPage.Step, _ debugger: DocumentedDebugger, _ isMasked: Bool) throws {
        if step.isShell {
            return compare(step.answer, try HostTool.run("sh", "-c", "cd \"$0\" && \(step.text)", Self.root.path), step.text, isMasked)
        }
        debugger.type(step.text)
        if step.text == "quit" { return compare(step.answer, debugger.lastAnswer(seconds: Self.patience), step.text, isMasked) }
        guard let interrupted = step.interrupted else { return compare(step.answer, debugger.answer(seconds: Self.patience), step.text, isMasked) }
        var wanted = page.lines[interrupted].map(DocumentedPage.masked)
        let last = page.lines[step.answer].last ?? ""
        let answers = debugger.interrupt(after: last, seconds: Self.patience) { lines in
            let found = lines.map(DocumentedPage.masked)
            if found == wanted { return true }
            // New ones are right when they are found twice.
            if ProcessInfo.processInfo.environment["UPDATE_GOLDEN"] != nil { wanted = found }
            return false
        }
        compare(step.answer, answers?.before, step.text, isMasked)
        compare(interrupted, answers?.answer, "^C", isMasked)
    }

    private mutating func compare(_ range: Range<Int>, _ output: String?, _ command: String, _ isMasked: Bool) {
        guard let output else {
            Issue.record("docs/debugger.md: no answer to '\(command)'")
            return
        }
        let isUpdate = ProcessInfo.processInfo.environment["UPDATE_GOLDEN"] != nil
        let actual = DocumentedPage.lines(of: output)
        guard let shown = page.shown(range, actual, isMasked: isMasked && !isUpdate) else {
            Issue.record("docs/debugger.md, line \(range.lowerBound): the lines shown for '\(command)' are not among\n\(actual.joined(separator: "\n"))")
            return
        }
        if isUpdate {
            changes.append((range, shown))
        } else if !isMasked {
            #expect(Array(page.lines[range]) == shown, "docs/debugger.md, '\(command)': run DocumentedSessionTests with UPDATE_GOLDEN=1")
        }
    }
}
