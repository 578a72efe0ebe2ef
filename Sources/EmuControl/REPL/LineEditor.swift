import CEditline
import Glibc

/// Lines from a terminal, edited, with history and completion (libedit). There is one terminal, so there is one of these.
///
/// SAFETY: libedit keeps its state in globals, and so do the statics here; it calls back only while `readline` runs, on the same thread.
/// Only the main thread uses this type.
final class LineEditor {
    /// Words that can stand where completion was asked for: (the line up to there, the word begun).
    private nonisolated(unsafe) static var complete: (_ line: String, _ word: String) -> [String] = { _, _ in [] }
    private nonisolated(unsafe) static var candidates: [String] = []
    private let historyFile: String?
    private var last = ""
    private static let historyLimit: Int32 = 2000

    /// - Parameters:
    ///   - historyFile: where lines are kept from run to run; nil to forget them.
    ///   - complete: the words that can stand at a place of a line.
    init(historyFile: String?, complete: @escaping (_ line: String, _ word: String) -> [String]) {
        self.historyFile = historyFile
        Self.complete = complete
        // The name is kept by libedit for ever.
        edit_initialize(strdup("emulate")) { text, start, _ in LineEditor.matches(text.map { String(cString: $0) } ?? "", Int(start)) }
        stifle_history(Self.historyLimit)
        if let historyFile { read_history(historyFile) }
    }

    /// Nil at the end of input. An interrupted line comes back empty.
    func readLine(prompt: String, wasInterrupted: () -> Bool) -> String? {
        guard let line = readline(prompt) else {
            if wasInterrupted() {
                print("^C")
                return ""
            }
            return nil
        }
        defer { free(line) }
        let text = String(cString: line)
        if !text.isEmpty {
            if text != last { add_history(text) }
            last = text
        }
        return text
    }

    /// Writes the history out.
    func finish() {
        guard let historyFile else { return }
        // What was typed at a guest is nobody else's business.
        let mask = umask(0o077)
        write_history(historyFile)
        umask(mask)
    }

    /// The list libedit wants: what all candidates begin with, the candidates, nil; allocated for it to free.
    private static func matches(_ word: String, _ start: Int) -> UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? {
        edit_offer_no_files()
        let line = edit_line().map { String(cString: $0) } ?? ""
        candidates = complete(String(decoding: line.utf8.prefix(start), as: UTF8.self), word)
        guard !candidates.isEmpty else { return nil }
        return rl_completion_matches(word) { _, state in
            LineEditor.candidates.indices.contains(Int(state)) ? strdup(LineEditor.candidates[Int(state)]) : nil
        }
    }
}
