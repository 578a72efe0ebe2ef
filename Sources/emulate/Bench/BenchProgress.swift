import Glibc

/// What a run is doing, on standard error: one line that is rewritten on a terminal, a line for each step elsewhere.
final class BenchProgress {
    private let isTerminal = isatty(STDERR_FILENO) == 1
    private var hasStatus = false
    private var lastStatus = ""

    /// What happens now.
    func status(_ text: String) {
        if isTerminal {
            write("\r\u{1b}[K\(text.prefix(width))")
            hasStatus = true
        } else if text != lastStatus {
            write("emulate: \(text)\n")
        }
        lastStatus = text
    }

    /// A detail of what happens now, for whoever watches.
    func note(_ text: String) {
        if isTerminal, !text.isEmpty { write("\r\u{1b}[K\("\(lastStatus): \(text)".prefix(width))") }
    }

    /// A line that stays.
    func line(_ text: String) {
        clear()
        write(text + "\n")
    }

    /// Takes the status away.
    func clear() {
        if hasStatus { write("\r\u{1b}[K") }
        hasStatus = false
    }

    private var width: Int {
        var size = winsize()
        return ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 20 ? Int(size.ws_col) - 1 : 79
    }

    private func write(_ text: String) {
        var text = text
        text.withUTF8 { _ = Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }
}
