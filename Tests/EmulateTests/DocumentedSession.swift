import Foundation
import Testing

/// A page of documentation whose blocks marked `console` are what a user sees: commands behind `$ ` and `(emulate) `, and the answers.
///
/// A session begins at `$ emulate debug …` and goes on through later blocks, also behind other commands of the shell, as in another window. `^C` stands for that key. A line that is `…` stands for
/// any lines, for answers that are longer than worth showing.
struct DocumentedPage {
    /// Something typed, and what came of it.
    struct Step {
        var text: String
        /// Typed at a shell, not at the debugger.
        var isShell = false
        /// Lines of the page that show the answer.
        var answer: Range<Int>
        /// Ctrl-C ends it: where the answer to that is shown.
        var interrupted: Range<Int>?
    }

    /// A debugger, by its command line, the lines it starts with, and what is typed at it.
    struct Session {
        var command: String
        var start: Range<Int>
        var steps: [Step] = []

        /// Runs Debian's kernel, not a program of this repository.
        var isDebian: Bool { command.contains("$guest") }
    }

    let url: URL
    private(set) var lines: [String]
    private(set) var sessions: [Session] = []

    private static let prompt = "(emulate) "
    private static let shellPrompt = "$ "

    init(_ url: URL) throws {
        self.url = url
        lines = try String(contentsOf: url, encoding: .utf8).components(separatedBy: "\n")
        var isInside = false
        for number in lines.indices {
            let line = lines[number]
            if line == "```console" {
                isInside = true
            } else if line == "```" {
                isInside = false
            } else if isInside {
                take(line, number)
            }
        }
    }

    private mutating func take(_ line: String, _ number: Int) {
        let none = number + 1..<number + 1
        if line.hasPrefix(Self.shellPrompt + "emulate debug") {
            return sessions.append(Session(command: String(line.dropFirst(Self.shellPrompt.count)), start: none))
        }
        guard var session = sessions.popLast() else { return }
        for (prompt, isShell) in [(Self.prompt, false), (Self.shellPrompt, true)] where line.hasPrefix(prompt) {
            session.steps.append(Step(text: String(line.dropFirst(prompt.count)), isShell: isShell, answer: none))
            return sessions.append(session)
        }
        let last = session.steps.count - 1
        if last < 0 {
            session.start = session.start.lowerBound..<number + 1
        } else if line == "^C" {
            session.steps[last].interrupted = none
        } else if let interrupted = session.steps[last].interrupted {
            session.steps[last].interrupted = interrupted.lowerBound..<number + 1
        } else {
            session.steps[last].answer = session.steps[last].answer.lowerBound..<number + 1
        }
        sessions.append(session)
    }

    // MARK: Comparing

    /// Without what differs from kernel to kernel: numbers, and the room they take.
    static func masked(_ line: String) -> String {
        line.replacing(/0x[0-9a-f]+/, with: "0x#").replacing(/[0-9]+/, with: "#").replacing(/[ \t]+/, with: " ")
    }

    /// The lines of an answer as the page would show them.
    static func lines(of output: String) -> [String] {
        var lines = output.replacing("\r\n", with: "\n").replacing("\r", with: "\n").components(separatedBy: "\n").map { line in
            var line = line[...]
            while line.last == " " { line.removeLast() }
            return String(line)
        }
        while lines.last == "" { lines.removeLast() }
        while lines.first == "" { lines.removeFirst() }
        return lines
    }

    /// What the page should show in `range`: what it shows, brought up to date with `output`. Nil when its lines are not those of the output.
    func shown(_ range: Range<Int>, _ output: [String], isMasked: Bool) -> [String]? {
        let expected = lines[range]
        guard expected.contains("…") else {
            if isMasked, expected.map(Self.masked) != output.map(Self.masked) { return nil }
            return output
        }
        var result: [String] = []
        var position = 0
        var mayPass = false
        for line in expected {
            if line == "…" {
                mayPass = true
                result.append(line)
                continue
            }
            // Something may be cut at the end of a line, too.
            let isCut = line.hasSuffix(" …")
            let wanted = Self.masked(isCut ? String(line.dropLast(2)) : line)
            func fits(_ candidate: String) -> Bool { isCut ? Self.masked(candidate).hasPrefix(wanted) : Self.masked(candidate) == wanted }
            while mayPass, position < output.count, !fits(output[position]) { position += 1 }
            guard position < output.count, fits(output[position]) else { return nil }
            result.append(isCut ? line : output[position])
            position += 1
            mayPass = false
        }
        return mayPass || position == output.count ? result : nil
    }

    /// Puts new lines in the place of old ones, and writes the page.
    mutating func replace(_ changes: [(Range<Int>, [String])]) throws {
        for (range, new) in changes.sorted(by: { $0.0.lowerBound > $1.0.lowerBound }) { lines.replaceSubrange(range, with: new) }
        try lines.joined(separator: "\n").write(to: url, atomically: true, encoding: .utf8)
    }
}

/// A debugger that a documented session is typed at, through pipes.
final class DocumentedDebugger {
    private let process: Subprocess
    private var count = 0
    /// What has been read up to.
    private var position = 0

    /// - Parameter command: as a user types it in the repository's folder, with `guest` set to where Debian's kernel is.
    init(_ command: String, in folder: URL, guest: String?) throws {
        process = try Subprocess(
            ["-c", "cd \"$0\" && PATH=\"$1:$PATH\" && guest=\"$2\" && exec \(command)", folder.path, URL(filePath: Subprocess.executable).deletingLastPathComponent().path, guest ?? ""],
            program: "/bin/sh")
    }

    private var mark: String { "<<<\(count)>>>\n" }

    /// What came since the last answer, up to the mark that is asked for now.
    func answer(seconds: Double) -> String? {
        count += 1
        process.send("echo <<<\(count)>>>\n")
        guard process.waitFor(mark, seconds: seconds), let range = process.text.range(of: mark) else { return nil }
        let start = process.text.utf8.index(process.text.utf8.startIndex, offsetBy: position)
        let answer = String(process.text[start..<range.lowerBound])
        position = process.text.utf8.distance(from: process.text.utf8.startIndex, to: range.upperBound)
        return answer
    }

    /// What came since the last answer, once the debugger has ended.
    func lastAnswer(seconds: Double) -> String {
        let text = process.outputToEnd(seconds: seconds)
        return String(text[text.utf8.index(text.utf8.startIndex, offsetBy: min(position, text.utf8.count))...])
    }

    func type(_ line: String) { process.send(line + "\n") }

    /// Presses Ctrl-C once the guest has shown `last`, again and again until it is found where it stays.
    /// - Returns: what came before, and the answer to Ctrl-C.
    func interrupt(after last: String, seconds: Double, _ isThere: ([String]) -> Bool) -> (before: String, answer: String)? {
        guard process.waitFor(last, seconds: seconds) else { return nil }
        var before = ""
        for _ in 0..<200 {
            // Ctrl-C means something only once the guest runs.
            usleep(300_000)
            process.signal(SIGINT)
            guard let all = answer(seconds: seconds), let stop = all.range(of: "interrupted: ") else { return nil }
            before += all[..<stop.lowerBound]
            let answer = String(all[stop.lowerBound...])
            if isThere(DocumentedPage.lines(of: answer)) { return (before, answer) }
            type("continue")
        }
        return nil
    }

    /// Ends it as a user would, by the end of input.
    func end() -> (ending: Subprocess.Ending, errors: String) {
        process.endInput()
        _ = process.outputToEnd(seconds: 20)
        let errors = process.errorsToEnd()
        return (process.wait(), errors)
    }
}
