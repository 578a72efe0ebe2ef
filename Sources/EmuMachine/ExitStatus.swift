import Glibc
import Synchronization

/// How a run ended: what the process should exit with, and why.
public struct ExitStatus: Equatable, Sendable {
    public enum Reason: Equatable, Sendable {
        /// The guest powered the machine off.
        case poweroff
        /// The guest reported failure with this code.
        case failure(code: Int)
        /// The guest asked for a reset and `-no-reboot` is set.
        case reset
        /// The user asked for the end (Ctrl-A x, `quit`).
        case user
        /// A signal asked for the end.
        case signal(Int32)
        /// The host let the machine down (output closed, disk full, image gone): a message for the user.
        case error(String)
    }

    /// Exit code for the process, 0…255.
    public let code: Int32
    public let reason: Reason

    public init(code: Int32, reason: Reason) {
        self.code = code
        self.reason = reason
    }

    public static let user = ExitStatus(code: 0, reason: .user)
    public static func error(_ message: String) -> ExitStatus { ExitStatus(code: 1, reason: .error(message)) }
    /// What a shell reports for a process ended by `number`.
    public static func signal(_ number: Int32) -> ExitStatus { ExitStatus(code: 128 + number, reason: .signal(number)) }

    /// QEMU's codes: the low byte of what the guest gave; a failure is never 0.
    static func poweroff(code: Int) -> ExitStatus { ExitStatus(code: Int32(code & 0xff), reason: .poweroff) }
    static func failure(code: Int) -> ExitStatus {
        ExitStatus(code: code & 0xff == 0 ? 1 : Int32(code & 0xff), reason: .failure(code: code))
    }
}

/// Ends a run from outside the machine's thread: a terminal, a signal handler, a test's time limit.
///
/// The first request wins. The run loop sees it at the end of the slice in hand, or at once while it waits.
public final class MachineStopper: Sendable {
    private let pending = Mutex<ExitStatus?>(nil)
    private let signal = Atomic<Int32>(0)
    /// A pipe whose read end the run loop polls; -1 when the host had none to give (then a stop waits for the next wake-up).
    let readEnd: Int32
    private let writeEnd: Int32

    public init() {
        var ends: [Int32] = [-1, -1]
        if pipe(&ends) == 0 {
            for end in ends {
                _ = fcntl(end, F_SETFD, FD_CLOEXEC)
                _ = fcntl(end, F_SETFL, O_NONBLOCK)
            }
        } else {
            ends = [-1, -1]
        }
        readEnd = ends[0]
        writeEnd = ends[1]
    }

    deinit {
        if readEnd >= 0 {
            close(readEnd)
            close(writeEnd)
        }
    }

    /// Asks for the end of the run with `status`.
    public func requestStop(_ status: ExitStatus) {
        pending.withLock { if $0 == nil { $0 = status } }
        wake()
    }

    /// Asks for the end of the run because of a signal. Async-signal-safe.
    public func requestStop(signal number: Int32) {
        signal.store(number, ordering: .relaxed)
        wake()
    }

    /// Makes a waiting run loop look around. Async-signal-safe.
    public func wake() {
        let code = errno
        var byte: UInt8 = 0
        _ = write(writeEnd, &byte, 1)
        errno = code
    }

    /// The status asked for, if any.
    public var request: ExitStatus? {
        let number = signal.load(ordering: .relaxed)
        if number != 0 { return .signal(number) }
        return pending.withLock { $0 }
    }

    /// Empties the pipe after the run loop was woken.
    func drain() {
        var bytes: (UInt64, UInt64) = (0, 0)
        while read(readEnd, &bytes, 16) > 0 {}
    }
}
