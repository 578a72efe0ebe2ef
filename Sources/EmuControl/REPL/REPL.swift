import EmuMachine
import Glibc

/// The prompt: reads commands from options, files, a terminal or a pipe, and writes what they answer.
public final class REPL {
    /// What is carried out before the first prompt, in the order given.
    public enum Script: Sendable {
        case command(String)
        case file(String)
    }

    private let debugger: Debugger
    private let scripts: [Script]
    private let writesJSON: Bool
    private let isBatch: Bool
    private let isInteractive: Bool
    /// True once after Ctrl-C at the prompt.
    private let takeInterrupt: () -> Bool
    private var failed = false

    /// - Parameters:
    ///   - isBatch: end after the scripts, and at the first command that fails.
    public init(_ debugger: Debugger, scripts: [Script], writesJSON: Bool, isBatch: Bool, takeInterrupt: @escaping () -> Bool) {
        self.debugger = debugger
        self.scripts = scripts
        self.writesJSON = writesJSON
        self.takeInterrupt = takeInterrupt
        isInteractive = Terminal.isTerminal(STDIN_FILENO) && !isBatch
        self.isBatch = isBatch || !isInteractive
    }

    /// Works until the end of input, `quit`, or a failure in a script; returns the process's exit code.
    public func run() -> Int32 {
        debugger.onText = { [unowned self] text in if !writesJSON { write(text) } }
        if isInteractive, !writesJSON { write("Type help for a list of commands.\n") }
        if !writesJSON { write(StopReport.text(debugger.session.lastStop, debugger.session)) }
        runScripts()
        if !isBatch, !isDone { prompt() } else if !isDone, !failed, !Terminal.isTerminal(STDIN_FILENO) { readPipe() }
        if let code = debugger.exitCode { return code }
        if failed { return 1 }
        return debugger.session.end?.code ?? 0
    }

    /// `quit`, a failure in a script, or an end of the run that was not the guest's.
    private var isDone: Bool { debugger.isQuitting || (failed && isBatch) || debugger.session.end?.isFromOutside == true }

    private func runScripts() {
        for script in scripts where !isDone {
            switch script {
            case .command(let line): perform(line)
            case .file(let path):
                do throws(DebugError) {
                    for line in try Debugger.lines(ofFile: path) where !isDone { perform(line) }
                } catch {
                    fail("-x \(path)", error)
                }
            }
        }
    }

    private func readPipe() {
        while !isDone {
            // At the end of input `readLine` looks whether it was interrupted, by an errno that may be older than its call.
            errno = 0
            guard let line = readLine() else { return }
            perform(line)
        }
    }

    private func prompt() {
        let editor = LineEditor(historyFile: Self.historyFile) { [debugger] in debugger.completions(after: $0, $1) }
        defer { editor.finish() }
        while !isDone {
            guard let line = editor.readLine(prompt: writesJSON ? "" : debugger.prompt, wasInterrupted: takeInterrupt) else {
                if !writesJSON { write("\n") }
                return
            }
            perform(line)
        }
    }

    /// Carries out a line and shows what it answers.
    private func perform(_ line: String) {
        // An empty line repeats only at a prompt.
        if CommandInput(line) == nil, isBatch { return }
        do throws(DebugError) {
            let result = try debugger.execute(line)
            if writesJSON {
                if CommandInput(line) != nil { write(DebugValue.record(["command": .string(line.trimmed), "ok": .bool(true), "result": result.value]).json + "\n") }
            } else {
                write(result.text)
            }
        } catch {
            fail(line.trimmed, error)
        }
    }

    private func fail(_ command: String, _ error: DebugError) {
        failed = true
        if writesJSON {
            write(DebugValue.record(["command": .string(command), "ok": .bool(false), "error": .string(error.description)]).json + "\n")
        } else if isBatch {
            // In a log it must be clear which command that was.
            writeError("\(command): \(error)\n")
        } else {
            write("\(error)\n")
        }
        if !isBatch { failed = false }
    }

    private func write(_ text: String) { Self.write(text, to: STDOUT_FILENO) }

    private func writeError(_ text: String) {
        Self.write("emulate: " + text, to: STDERR_FILENO)
    }

    private static func write(_ text: String, to descriptor: Int32) {
        var text = text
        text.withUTF8 { bytes in
            var rest = UnsafeRawBufferPointer(bytes)
            while !rest.isEmpty {
                let count = Glibc.write(descriptor, rest.baseAddress, rest.count)
                if count < 0, errno == EINTR { continue }
                if count < 0, errno == EAGAIN {
                    var entry = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                    _ = poll(&entry, 1, 1000)
                    continue
                }
                if count <= 0 { return }
                rest = UnsafeRawBufferPointer(rebasing: rest[count...])
            }
        }
    }

    /// `EMULATE_HISTORY`, or `emulate/history` in the user's state folder.
    private static var historyFile: String? {
        if let path = getenv("EMULATE_HISTORY").map({ String(cString: $0) }) { return path.isEmpty ? nil : path }
        let base: String
        if let state = getenv("XDG_STATE_HOME").map({ String(cString: $0) }), state.hasPrefix("/") {
            base = state
        } else if let home = getenv("HOME").map({ String(cString: $0) }), home.hasPrefix("/") {
            base = home + "/.local/state"
        } else {
            return nil
        }
        var folder = ""
        for part in (base + "/emulate").split(separator: "/") {
            folder += "/" + part
            mkdir(folder, 0o700)
        }
        return folder + "/history"
    }
}
