import EmuMachine
import Glibc

/// The process's standard descriptors.
enum HostStartup {
    /// Makes sure descriptors 0 to 2 are open, so that no disk image is ever opened as one of them. What stands in for a
    /// closed one can only be read: writing to a closed standard output stays an error.
    static func openStandardDescriptors() {
        for descriptor in STDIN_FILENO...STDERR_FILENO where fcntl(descriptor, F_GETFD) < 0 && errno == EBADF {
            // The lowest free number is the one that is missing.
            _ = open("/dev/null", O_RDONLY)
        }
    }

    /// Writes all of `text` to standard output; false when it cannot be written.
    static func printOut(_ text: String) -> Bool { write(text, STDOUT_FILENO) }

    /// Writes "emulate: MESSAGE" to standard error.
    static func printError(_ message: String) { _ = write("emulate: \(message)\n", STDERR_FILENO) }

    /// Has the user told where the lines of `console` are, and that the run waits for somebody to connect.
    static func tell(of console: SerialConsole) {
        console.onWait = { printError("waiting for connection on: \($0)") }
        console.onPseudoTerminal = { _ = printOut($0 + "\n") }
    }

    /// Replaces the line of standard error's terminal the cursor is in; nil empties it.
    static func printProgress(_ message: String?) {
        _ = write("\r\u{1B}[K" + (message.map { "emulate: \($0)" } ?? ""), STDERR_FILENO)
    }

    private static func write(_ text: String, _ descriptor: Int32) -> Bool {
        var text = text
        return text.withUTF8 { bytes in
            // SAFETY: never reads beyond `bytes`.
            var rest = UnsafeRawBufferPointer(bytes)
            while let start = rest.baseAddress, !rest.isEmpty {
                let written = Glibc.write(descriptor, start, rest.count)
                if written < 0, errno == EINTR { continue }
                if written <= 0 { return false }
                rest = UnsafeRawBufferPointer(rebasing: rest[written...])
            }
            return true
        }
    }
}
