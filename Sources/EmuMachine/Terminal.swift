import CHost
import EmuBus
import Glibc

/// The process's terminal modes. See HostTerminal.h for what raw mode changes and when it is undone.
public enum Terminal {
    /// Puts the terminal `descriptor` into raw mode until the process ends or `restore` is called.
    /// - Parameter keepsSignals: Ctrl-C, Ctrl-Z and Ctrl-\ raise signals instead of being input.
    /// - Returns: false when `descriptor` is not a terminal.
    @discardableResult
    public static func enterRawMode(_ descriptor: Int32 = STDIN_FILENO, keepsSignals: Bool) -> Bool {
        host_terminal_enter_raw(descriptor, keepsSignals ? 1 : 0) == 0
    }

    /// Puts back the settings found by `enterRawMode`.
    public static func restore() { host_terminal_restore() }

    public static func isTerminal(_ descriptor: Int32) -> Bool { isatty(descriptor) == 1 }

    /// Whether a read would not stop this process because it is in the background.
    static func mayRead(_ descriptor: Int32) -> Bool { host_terminal_refresh(descriptor) == 1 }
}

/// Turns SIGINT, SIGTERM, SIGHUP and SIGQUIT into an orderly end of the run, and keeps the terminal right over
/// stops, continuations and crashes.
public final class HostSignals: IOPoller {
    private let descriptor: Int32
    private var index = 0
    /// Called once on the machine's thread with the first termination signal.
    public var onTermination: ((Int32) -> Void)?

    /// Called on the machine's thread after each SIGINT, which then ends nothing. For a debugger.
    public var onInterrupt: (() -> Void)? {
        didSet { if onInterrupt != nil { host_signals_catch_interrupts() } }
    }

    /// True once after a SIGINT that nobody has been told of.
    public static func takeInterrupt() -> Bool { host_signals_take_interrupt() != 0 }

    /// Installs the process's handlers.
    /// - Returns: nil when the host refuses, with `errno` set.
    public init?() {
        descriptor = host_signals_install()
        if descriptor < 0 { return nil }
    }

    /// The first termination signal received, if any.
    public static var pending: Int32? {
        let signal = host_signals_pending()
        return signal == 0 ? nil : signal
    }

    /// Ends the process as `signal` would have, with the terminal restored; the parent sees the signal.
    public static func die(by signal: Int32) -> Never {
        host_signals_die(signal)
        exit(128 + signal)
    }

    public func fillPoll(_ set: PollSet) { index = set.add(descriptor, .readable) }

    public func handlePoll(_ set: PollSet) {
        if set.ready(index).contains(.readable) {
            var count: UInt64 = 0
            withUnsafeMutableBytes(of: &count) { bytes in
                _ = read(descriptor, bytes.baseAddress, bytes.count)
            }
        }
        if let onInterrupt, Self.takeInterrupt() { onInterrupt() }
        if let signal = Self.pending, let action = onTermination {
            onTermination = nil
            action(signal)
        }
    }
}
