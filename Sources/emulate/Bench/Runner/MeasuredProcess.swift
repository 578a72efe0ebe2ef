import CHost
import EmuBus
import Glibc

/// How a process ended.
package enum ProcessEnding: Equatable, CustomStringConvertible, Sendable {
    case code(Int32)
    case signal(Int32)
    case timeout(seconds: Double)

    package var description: String {
        switch self {
        case .code(let code): "it exited with \(code)"
        case .signal(let number): "it was ended by signal \(number)"
        case .timeout(let seconds): "it did not finish in \(Int(seconds)) s"
        }
    }
}

/// One line of output and when its end arrived.
package struct TimedLine: Equatable, Sendable {
    package let text: String
    /// Nanoseconds of the host's monotonic clock.
    package let arrival: UInt64

    package init(text: String, arrival: UInt64) {
        self.text = text
        self.arrival = arrival
    }
}

/// What a process did and cost.
package struct ProcessOutcome: Sendable {
    package var ending: ProcessEnding
    package var lines: [TimedLine]
    package var errorLines: [String]
    /// From just before its first instruction to its end, by the host's clock.
    package var seconds: Double
    /// Of its largest process.
    package var peakMemory: UInt64
    /// User-mode instructions of it and its children, where the host's kernel counts them.
    package var hostInstructions: UInt64?
}

/// Runs a process, reads what it writes with times of arrival, and counts what it costs.
enum MeasuredProcess {
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    /// Why nothing runs any more once this process has been told to end.
    private static let interruption = Failure(description: "interrupted")

    /// No process may write more than this.
    private static let mostOutput = 8 << 20

    /// - Parameter onError: called with each line of standard error as it comes.
    static func run(
        _ program: String, _ arguments: [String], directory: String, seconds limit: Double, onError: (String) -> Void = { _ in }
    ) throws(Failure) -> ProcessOutcome {
        guard host_signals_pending() == 0 else { throw Self.interruption }
        var outputEnds: [Int32] = [-1, -1], errorEnds: [Int32] = [-1, -1]
        guard pipe(&outputEnds) == 0 else { throw Failure(description: "pipe: \(String(cString: strerror(errno)))") }
        guard pipe(&errorEnds) == 0 else {
            outputEnds.forEach { close($0) }
            throw Failure(description: "pipe: \(String(cString: strerror(errno)))")
        }
        for end in [outputEnds[0], errorEnds[0]] { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        defer {
            close(outputEnds[0])
            close(errorEnds[0])
        }
        var counter: Int32 = -1
        let start = HostClock.now()
        let process = spawn(program, arguments, directory, outputEnds[1], errorEnds[1], &counter)
        let code = errno
        close(outputEnds[1])
        close(errorEnds[1])
        guard process > 0 else { throw Failure(description: "\(program): \(String(cString: strerror(code)))") }
        defer { if counter >= 0 { close(counter) } }

        var output = LineReader(descriptor: outputEnds[0]), errors = LineReader(descriptor: errorEnds[0])
        var hasTimedOut = false, isInterrupted = false, total = 0
        while output.isOpen || errors.isOpen {
            var entries = [output, errors].map { pollfd(fd: $0.isOpen ? $0.descriptor : -1, events: Int16(POLLIN), revents: 0) }
            let left = limit - Double(HostClock.now() - start) / 1e9
            if left <= 0 || total > mostOutput {
                hasTimedOut = true
                break
            }
            if host_signals_pending() != 0 {
                isInterrupted = true
                break
            }
            if poll(&entries, 2, Int32(min(left * 1000 + 1, 1000))) <= 0 { continue }
            if entries[0].revents != 0 { total += output.read() }
            if entries[1].revents != 0 {
                let known = errors.lines.count
                total += errors.read()
                errors.lines[known...].forEach { onError($0.text) }
            }
        }
        if hasTimedOut || isInterrupted { kill(process, SIGKILL) }
        var status: Int32 = 0
        var usage = rusage()
        while wait4(process, &status, 0, &usage) < 0, errno == EINTR {}
        if isInterrupted { throw Self.interruption }
        let end = HostClock.now()
        var instructions: UInt64 = 0
        let isCounted = counter >= 0 && host_read_counter(counter, &instructions) == 0
        output.finish()
        errors.finish()
        return ProcessOutcome(
            ending: hasTimedOut ? .timeout(seconds: limit) : status & 0x7f == 0 ? .code((status >> 8) & 0xff) : .signal(status & 0x7f),
            lines: output.lines, errorLines: errors.lines.map(\.text), seconds: Double(end - start) / 1e9,
            peakMemory: UInt64(max(0, usage.ru_maxrss)) << 10, hostInstructions: isCounted ? instructions : nil)
    }

    private static func spawn(
        _ program: String, _ arguments: [String], _ directory: String, _ output: Int32, _ errors: Int32, _ counter: inout Int32
    ) -> Int32 {
        var words: [UnsafeMutablePointer<CChar>?] = ([program] + arguments).map { strdup($0) } + [nil]
        // SAFETY: the words outlive the call, which copies them into the new process.
        defer { words.forEach { free($0) } }
        return host_spawn_measured(program, &words, directory, output, errors, &counter)
    }
}

/// Splits what comes from a descriptor into lines.
private struct LineReader {
    let descriptor: Int32
    private(set) var isOpen = true
    private(set) var lines: [TimedLine] = []
    private var rest: [UInt8] = []

    init(descriptor: Int32) { self.descriptor = descriptor }

    /// Reads once; returns the number of bytes.
    mutating func read() -> Int {
        var chunk = [UInt8](repeating: 0, count: 16384)
        let count = Glibc.read(descriptor, &chunk, chunk.count)
        if count < 0, errno == EINTR { return 0 }
        guard count > 0 else {
            isOpen = false
            return 0
        }
        let arrival = HostClock.now()
        for byte in chunk[..<count] {
            if byte == UInt8(ascii: "\n") {
                lines.append(TimedLine(text: Self.text(rest), arrival: arrival))
                rest = []
            } else {
                rest.append(byte)
            }
        }
        return count
    }

    mutating func finish() {
        if !rest.isEmpty { lines.append(TimedLine(text: Self.text(rest), arrival: HostClock.now())) }
        rest = []
    }

    private static func text(_ bytes: [UInt8]) -> String {
        String(decoding: bytes.filter { $0 != UInt8(ascii: "\r") }, as: UTF8.self)
    }
}
