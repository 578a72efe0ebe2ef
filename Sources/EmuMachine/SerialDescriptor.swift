import EmuBus
import EmuDevices
import Glibc

/// A host descriptor that could not take or give bytes.
public struct HostIOError: Error, CustomStringConvertible, Sendable {
    /// What the descriptor is: "standard output", "-serial file:log".
    public let name: String
    public let code: Int32

    public var description: String { "\(name): \(String(cString: strerror(code)))" }
}

/// A line of the host that `SerialConsole` looks after.
public protocol HostLine: CharacterBackend, IOPoller {
    /// The run is about to end: output the host does not take is no longer waited for.
    var isEnding: Bool { get set }
    /// Waits until all output is written or lost. For the end of the run.
    /// - Parameter seconds: how long to wait for a reader that does not read.
    func drain(seconds: Int)
}

/// A serial line whose host end is a pair of descriptors: standard input and output, or a file.
///
/// Neither direction blocks the guest while the host keeps up. Output the host does not take is kept up to `outputLimit`;
/// beyond that the guest waits, as on a line with flow control. Input is read only when somebody has room for it.
public final class DescriptorBackend: HostLine {
    public weak var frontend: (any CharacterFrontend)?
    /// Called once when output is lost for good: the reader is gone, the disk is full.
    public var onFailure: ((HostIOError) -> Void)?
    /// Called for each Ctrl-C in the input, which then is no input; nil passes it on.
    public var onInterrupt: (() -> Void)?
    /// The last byte written was a line feed, or none was written.
    public private(set) var isAtLineStart = true
    public private(set) var failure: HostIOError?
    /// Bytes of output kept before the guest has to wait.
    public static let outputLimit = 64 << 10

    private let name: String
    private let input: Int32?
    private let output: Int32
    private let owned: [Int32]
    private let inputIsTerminal: Bool
    /// Seconds a reader who takes nothing is waited for; then output is lost until it takes some. Nil waits.
    private let patience: Int?
    private var isStalled = false
    private var inputIndex: Int?
    private var outputIndex: Int?
    private var queue: [UInt8] = []
    private var queueStart = 0
    private var isDelivering = false
    public var isEnding = false
    private var inputEnded = false
    /// Input read and not yet taken by the frontend.
    private var received: [UInt8] = []
    private static let readSize = 4096

    /// - Parameters:
    ///   - name: what error messages call the output.
    ///   - input: where input comes from, nil for none.
    ///   - output: where output goes.
    ///   - owned: descriptors to close at the end.
    ///   - isOfTerminal: `input` may be the terminal this process was started from, which it may read in the foreground only.
    ///   - patience: seconds a reader who takes nothing is waited for before output is lost; nil waits.
    public init(name: String, input: Int32?, output: Int32, owned: [Int32] = [], isOfTerminal: Bool = true, patience: Int? = nil) {
        self.name = name
        self.input = input
        self.output = output
        self.owned = owned
        inputIsTerminal = isOfTerminal && input.map(Terminal.isTerminal) ?? false
        self.patience = patience
    }

    /// All that whoever was at the other end sent before leaving was taken. One who takes no output may still send.
    var hasEnded: Bool { inputEnded && received.isEmpty }

    /// Whoever was at the other end has left, with input that nobody takes now.
    var isAbandoned: Bool {
        guard inputIndex == nil, let input else { return false }
        let readHangUp: Int16 = 0x2000  // POLLRDHUP
        var entry = pollfd(fd: input, events: readHangUp, revents: 0)
        return poll(&entry, 1, 0) > 0
    }

    deinit {
        for descriptor in owned { close(descriptor) }
    }

    /// Standard input and output, or other descriptors of that kind; with nil there is no input. Works with terminals, pipes, files and
    /// closed descriptors.
    public static func standardStreams(input: Int32? = STDIN_FILENO, output: Int32 = STDOUT_FILENO) -> DescriptorBackend {
        // The shell shares its open file descriptions with us: O_NONBLOCK set on them would outlive this process.
        // A second opening of the same terminal or pipe has flags of its own.
        let ownOutput = reopenNonBlocking(output, O_WRONLY)
        let ownInput = input.flatMap { reopenNonBlocking($0, O_RDONLY) }
        return DescriptorBackend(
            name: output == STDOUT_FILENO ? "standard output" : "standard error", input: ownInput ?? input, output: ownOutput ?? output,
            owned: [ownInput, ownOutput].compactMap { $0 })
    }

    /// Output to `path`, which is created or emptied.
    public static func file(_ path: String) throws(ConfigError) -> DescriptorBackend {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0o666)
        guard descriptor >= 0 else {
            throw ConfigError("-serial file:\(path)", "cannot create it: \(String(cString: strerror(errno)))")
        }
        // A pipe or terminal whose reader is slow must not stop the machine.
        _ = fcntl(descriptor, F_SETFL, O_WRONLY | O_NONBLOCK)
        return DescriptorBackend(name: path, input: nil, output: descriptor, owned: [descriptor])
    }

    private static func reopenNonBlocking(_ descriptor: Int32, _ mode: Int32) -> Int32? {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { return nil }
        let kind = status.st_mode & S_IFMT
        guard kind == S_IFIFO || Terminal.isTerminal(descriptor) else { return nil }
        let opened = open("/proc/self/fd/\(descriptor)", mode | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
        return opened >= 0 ? opened : nil
    }

    // MARK: Output

    public func write(_ bytes: UnsafeRawBufferPointer) {
        guard failure == nil, !isStalled else { return }
        if let last = bytes.last { isAtLineStart = last == UInt8(ascii: "\n") }
        var rest = bytes[...]
        if queue.isEmpty { rest = rest.dropFirst(writeNow(UnsafeRawBufferPointer(rebasing: rest))) }
        // A guest may hand over gigabytes at once: no more of them than the limit is ever kept.
        while failure == nil, !rest.isEmpty {
            let room = Self.outputLimit - pendingOutput
            // What answers a key must not wait: the next key may be the one that ends the run.
            if isDelivering, room < rest.count { return }
            queue.append(contentsOf: rest.prefix(room))
            rest = rest.dropFirst(room)
            if rest.isEmpty { return }
            waitForOutput(below: Self.outputLimit / 2, limit: patience)
            // Only the end of the run or of patience ends the wait with no room: nobody reads, so the rest is lost, as is what follows.
            if pendingOutput == Self.outputLimit {
                isStalled = patience != nil
                return
            }
        }
    }

    private var pendingOutput: Int { queue.count - queueStart }

    public func drain(seconds: Int = 2) { waitForOutput(below: 0, limit: seconds) }

    /// - Parameter limit: seconds without progress after which to give up; nil waits until the run is to end: because of a
    ///   signal, or a key, for which input is read meanwhile.
    private func waitForOutput(below level: Int, limit: Int? = nil) {
        while pendingOutput > level, failure == nil {
            if limit == nil, isEnding || HostSignals.pending != nil { return }
            var entries = [pollfd(fd: output, events: Int16(POLLOUT), revents: 0)]
            if limit == nil, let input = readableInput { entries.append(pollfd(fd: input, events: Int16(POLLIN), revents: 0)) }
            let ready = poll(&entries, nfds_t(entries.count), limit.map { Int32($0) * 1000 } ?? 200)
            if ready == 0, limit != nil { return }
            if ready > 0, entries.count > 1, entries[1].revents != 0 { readInput() }
            if ready > 0, entries[0].revents != 0 { flushQueue() }
        }
    }

    /// The input, if it has not ended and somebody has room for it.
    private var readableInput: Int32? {
        guard let input, !inputEnded, received.isEmpty, let frontend, frontend.receiveCapacity > 0,
            !inputIsTerminal || Terminal.mayRead(input)
        else { return nil }
        return input
    }

    private func flushQueue() {
        guard pendingOutput > 0 else { return }
        let written = queue.withUnsafeBytes { writeNow(UnsafeRawBufferPointer(rebasing: $0[queueStart...])) }
        queueStart += written
        if written > 0 { isStalled = false }
        if queueStart == queue.count || failure != nil {
            queue.removeAll(keepingCapacity: true)
            queueStart = 0
        } else if queueStart > Self.outputLimit {
            queue.removeFirst(queueStart)
            queueStart = 0
        }
    }

    /// Writes what the host takes without waiting; returns the number of bytes taken.
    /// SAFETY: the buffer is only used during the call.
    private func writeNow(_ bytes: UnsafeRawBufferPointer) -> Int {
        var done = 0
        while done < bytes.count, let base = bytes.baseAddress {
            let count = Glibc.write(output, base + done, bytes.count - done)
            if count >= 0 {
                done += count
                continue
            }
            let code = errno
            if code == EINTR, HostSignals.pending == nil { continue }
            if code == EAGAIN || code == EINTR { break }
            fail(code)
            break
        }
        return done
    }

    private func fail(_ code: Int32) {
        guard failure == nil else { return }
        let error = HostIOError(name: name, code: code)
        failure = error
        onFailure?(error)
    }

    // MARK: Input

    public func frontendReady() { deliver() }

    /// Hands over what the frontend takes.
    private func deliver() {
        if isDelivering { return }
        isDelivering = true
        defer { isDelivering = false }
        while !received.isEmpty, let frontend {
            let count = min(frontend.receiveCapacity, received.count)
            if count <= 0 { return }
            let bytes = Array(received[..<count])
            received.removeFirst(count)
            frontend.receive(bytes)
        }
    }

    public func fillPoll(_ set: PollSet) {
        inputIndex = nil
        outputIndex = pendingOutput > 0 && failure == nil ? set.add(output, .writable) : nil
        deliver()
        guard let input, !inputEnded, received.isEmpty, let frontend, frontend.receiveCapacity > 0 else { return }
        if inputIsTerminal, !Terminal.mayRead(input) {
            // In the background a read would stop this process; nobody tells when it comes to the foreground.
            set.limitTimeout(nanoseconds: 300_000_000)
            return
        }
        inputIndex = set.add(input, .readable)
    }

    public func handlePoll(_ set: PollSet) {
        if let outputIndex, !set.ready(outputIndex).isEmpty { flushQueue() }
        if let inputIndex, !set.ready(inputIndex).isEmpty { readInput() }
    }

    /// Takes as input what nobody typed.
    public func type(_ bytes: [UInt8]) {
        received += bytes
        deliver()
    }

    private func takeInterrupts() {
        guard let onInterrupt, received.contains(0x03) else { return }
        received.removeAll { $0 == 0x03 }
        onInterrupt()
    }

    private func readInput() {
        guard let input else { return }
        var count = 0
        var code: Int32 = 0
        received = [UInt8](unsafeUninitializedCapacity: Self.readSize) { buffer, initialized in
            count = read(input, buffer.baseAddress, buffer.count)
            code = errno
            initialized = max(0, count)
        }
        if count > 0 {
            takeInterrupts()
            deliver()
        } else if count == 0 || (code != EAGAIN && code != EINTR) {
            // The guest goes on without input, as when a modem line is silent.
            inputEnded = true
        }
    }
}

/// A line nobody listens to.
public final class NullBackend: CharacterBackend {
    public weak var frontend: (any CharacterFrontend)?
    public init() {}
    public func write(_ bytes: UnsafeRawBufferPointer) {}
    public func frontendReady() {}
}
