import EmuBus
import EmuMachine
import Glibc

/// One line on the terminal of standard error that shows how far a long load is.
final class ProgressLine {
    /// Loads that take less show nothing.
    private static let delay: UInt64 = 400_000_000
    private static let interval: UInt64 = 100_000_000

    private var next = HostClock.now() &+ ProgressLine.delay
    private var isShown = false

    /// - Returns: nil when standard error is no terminal.
    init?() {
        if !Terminal.isTerminal(STDERR_FILENO) { return nil }
    }

    func show(_ path: String, _ done: UInt64, _ total: UInt64) {
        let now = HostClock.now()
        guard now >= next, total > 0 else { return }
        next = now &+ Self.interval
        isShown = true
        let name = path.split(separator: "/").last ?? ""
        HostStartup.printProgress("loading \(name): \(Int(Double(done) / Double(total) * 100)) %")
    }

    /// Removes the line. Nothing is shown afterwards: the console has the terminal.
    func clear() {
        if isShown { HostStartup.printProgress(nil) }
        next = .max
    }
}
