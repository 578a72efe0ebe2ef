import CTestSupport
import Foundation
import Glibc

/// A run of the built `emulate`, with its standard streams on pipes or on a pseudo-terminal.
final class Subprocess {
    enum Ending: Equatable {
        case code(Int32)
        case signal(Int32)
        /// Still running when the time was up; killed.
        case timeout
    }

    /// The command built beside the test bundle.
    static let executable: String = {
        let bundle = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath()
        return bundle.deletingLastPathComponent().appending(path: "emulate").path
    }()

    /// What the child gets as one of its standard streams.
    enum Stream {
        case pipe
        case file(String)
        case closed
        /// The pseudo-terminal of the run.
        case terminal
    }

    /// Seconds something may take on a slow, busy machine before it counts as hung, unless a test says otherwise.
    static let patience = 60.0

    let pid: pid_t
    /// The test's ends: of pipes, or of the pseudo-terminal.
    private(set) var input: Int32 = -1
    private(set) var output: Int32 = -1
    private(set) var errors: Int32 = -1
    let terminal: Pseudoterminal?
    private(set) var text = ""
    private var ended: Ending?

    struct Failure: Error { let call: String, code: Int32 }

    /// - Parameter program: run instead of `emulate`.
    init(
        _ arguments: [String], program: String? = nil, input inputStream: Stream = .pipe, output outputStream: Stream = .pipe,
        errors errorStream: Stream = .pipe, terminal: Pseudoterminal? = nil
    ) throws {
        self.terminal = terminal
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        test_prepare_spawn(&attributes, terminal == nil ? 0 : 1)

        var childEnds: [Int32] = []
        func connect(_ stream: Stream, to target: Int32) throws -> Int32 {
            switch stream {
            case .pipe:
                var ends: [Int32] = [-1, -1]
                guard test_pipe(&ends) == 0 else { throw Failure(call: "pipe", code: errno) }
                let (child, own) = target == STDIN_FILENO ? (ends[0], ends[1]) : (ends[1], ends[0])
                posix_spawn_file_actions_adddup2(&actions, child, target)
                childEnds.append(child)
                return own
            case .file(let path):
                posix_spawn_file_actions_addopen(&actions, target, path, target == STDIN_FILENO ? O_RDONLY : O_WRONLY | O_CREAT, 0o600)
            case .closed:
                posix_spawn_file_actions_addclose(&actions, target)
            case .terminal:
                // After setsid the first terminal opened becomes the controlling one.
                posix_spawn_file_actions_addopen(&actions, target, terminal!.path, O_RDWR, 0)
                return terminal!.master
            }
            return -1
        }
        input = try connect(inputStream, to: STDIN_FILENO)
        output = try connect(outputStream, to: STDOUT_FILENO)
        errors = try connect(errorStream, to: STDERR_FILENO)
        // A socket of another test, kept open by this child, would never end for its other side.
        test_close_others(&actions)

        // Swift's crash reporter would ask the terminal what to do next.
        let environment = ProcessInfo.processInfo.environment.merging(["SWIFT_BACKTRACE": "enable=no"]) { $1 }
        var variables: [UnsafeMutablePointer<CChar>?] = environment.map { strdup("\($0)=\($1)") } + [nil]
        defer { for variable in variables { free(variable) } }
        let path = program ?? Self.executable
        var words: [UnsafeMutablePointer<CChar>?] = ([path] + arguments).map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        var child: pid_t = 0
        let code = posix_spawn(&child, path, &actions, &attributes, &words, &variables)
        for end in childEnds { close(end) }
        guard code == 0 else { throw Failure(call: "posix_spawn \(path)", code: code) }
        pid = child
    }

    deinit {
        _ = wait(seconds: 0)
        for descriptor in Set([input, output, errors]) where descriptor >= 0 && descriptor != terminal?.master { close(descriptor) }
    }

    // MARK: Talking to it

    func send(_ text: String) {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes { write(input, $0.baseAddress, $0.count) }
            if count <= 0 { return }
            bytes = bytes.dropFirst(count)
        }
    }

    func endInput() {
        close(input)
        input = -1
    }

    func endOutput() {
        close(output)
        output = -1
    }

    func signal(_ number: Int32) { kill(pid, number) }

    /// Reads output until it contains `expected`; false when the output ends or the time is up.
    func waitFor(_ expected: String, seconds: Double = patience) -> Bool {
        read(output, seconds: seconds) { $0.contains(expected) }
    }

    /// Reads output until it contains `expected` so many times; false when the output ends or the time is up.
    func waitFor(occurrences: Int, of expected: String, seconds: Double = patience) -> Bool {
        read(output, seconds: seconds) { $0.components(separatedBy: expected).count > occurrences }
    }

    /// Reads to the end of output.
    /// - Parameter hopeless: what tells that nothing more is to be expected.
    func outputToEnd(seconds: Double = patience, orUntil hopeless: String? = nil) -> String {
        _ = read(output, seconds: seconds) { text in hopeless.map { text.contains($0) } ?? false }
        return text
    }

    func errorsToEnd(seconds: Double = patience) -> String {
        var collected = ""
        _ = Self.readChunks(errors, seconds) { chunk in
            collected += chunk
            return false
        }
        return collected
    }

    /// Reads standard error until it contains `expected`; nil when it ends or the time is up.
    func errors(until expected: String, seconds: Double = patience) -> String? {
        var collected = ""
        let isFound = Self.readChunks(errors, seconds) { chunk in
            collected += chunk
            return collected.contains(expected)
        }
        return isFound ? collected : nil
    }

    private func read(_ descriptor: Int32, seconds: Double, until isDone: (String) -> Bool) -> Bool {
        if isDone(text) { return true }
        return Self.readChunks(descriptor, seconds) { chunk in
            text += chunk
            return isDone(text)
        }
    }

    private static func readChunks(_ descriptor: Int32, _ seconds: Double, _ take: (String) -> Bool) -> Bool {
        let deadline = Date(timeIntervalSinceNow: seconds)
        var chunk = [UInt8](repeating: 0, count: 4096)
        while deadline.timeIntervalSinceNow > 0 {
            var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard poll(&entry, 1, 100) > 0 else { continue }
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count <= 0 { return false }
            if take(String(decoding: chunk[..<count], as: UTF8.self)) { return true }
        }
        return false
    }

    /// Waits for the end; kills it when the time is up.
    func wait(seconds: Double = patience) -> Ending {
        if let ended { return ended }
        let deadline = Date(timeIntervalSinceNow: seconds)
        var status: Int32 = 0
        while waitpid(pid, &status, WNOHANG) == 0 {
            if deadline.timeIntervalSinceNow <= 0 {
                kill(pid, SIGKILL)
                waitpid(pid, &status, 0)
                ended = .timeout
                return .timeout
            }
            usleep(5000)
        }
        let result: Ending = status & 0x7f == 0 ? .code((status >> 8) & 0xff) : .signal(status & 0x7f)
        ended = result
        return result
    }
}

/// A terminal whose other end the test holds.
final class Pseudoterminal {
    let master: Int32
    let path: String
    /// Keeps the terminal's settings alive when no child has it open.
    private let slave: Int32

    init() throws {
        var name = [CChar](repeating: 0, count: 128)
        master = test_open_terminal(&name, name.count)
        guard master >= 0 else { throw Subprocess.Failure(call: "posix_openpt", code: errno) }
        path = String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        slave = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC)
        guard slave >= 0 else { throw Subprocess.Failure(call: "open \(path)", code: errno) }
    }

    deinit {
        close(slave)
        close(master)
    }

    struct Settings: Equatable {
        var input, output, control, local: UInt32

        func has(_ flag: Int32) -> Bool { local & UInt32(flag) != 0 }
    }

    var settings: Settings {
        var attributes = termios()
        tcgetattr(slave, &attributes)
        return Settings(input: attributes.c_iflag, output: attributes.c_oflag, control: attributes.c_cflag, local: attributes.c_lflag)
    }

    /// Waits until the settings are as wanted.
    func waitUntil(seconds: Double = Subprocess.patience, _ isRight: (Settings) -> Bool) -> Bool {
        let deadline = Date(timeIntervalSinceNow: seconds)
        while !isRight(settings) {
            if deadline.timeIntervalSinceNow <= 0 { return false }
            usleep(5000)
        }
        return true
    }

    func resize(rows: UInt16, columns: UInt16) {
        var size = winsize(ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0)
        _ = ioctl(master, UInt(TIOCSWINSZ), &size)
    }
}
