import EmuBus
import EmuMachine

/// Reports a guest that has made no progress for some time of the host: nothing on a console, no request to a device, no code it has not run
/// before, and by the look of its harts no way on. A guest that computes, or waits for an interrupt that can come, is left alone.
///
/// Looks at the machine from its run loop, a few times in the period. Reports once, and again only after there was progress.
public final class Watchdog: IOPoller {
    private let machine: Machine
    private let period: UInt64
    private let symbols: () -> (any SymbolLookup)?
    private let report: (String) -> Void
    private let now: () -> UInt64
    private var activity: MachineActivity
    private var lastProgress: UInt64
    private var nextLook: UInt64
    private var hasReported = false
    private var isHeld = false

    /// - Parameters:
    ///   - seconds: without progress until it reports, at least 1.
    ///   - symbols: asked for when there is something to report.
    ///   - now: host time in nanoseconds.
    ///   - report: gets the text.
    public init(
        _ machine: Machine, seconds: UInt64, symbols: @escaping () -> (any SymbolLookup)? = { nil }, now: @escaping () -> UInt64 = HostClock.now,
        report: @escaping (String) -> Void
    ) {
        self.machine = machine
        period = max(1, seconds).multipliedReportingOverflow(by: 1_000_000_000).overflow ? .max / 2 : max(1, seconds) &* 1_000_000_000
        self.symbols = symbols
        self.now = now
        self.report = report
        activity = machine.activity
        lastProgress = now()
        nextLook = lastProgress
        machine.pollers.add(self)
    }

    /// While it is held, as when the guest is stopped by a debugger, no time passes for it.
    public func hold() { isHeld = true }

    /// Starts anew.
    public func release() {
        isHeld = false
        noteProgress()
    }

    public func fillPoll(_ set: PollSet) {
        let now = now()
        set.limitTimeout(nanoseconds: nextLook > now ? nextLook - now : 0)
    }

    public func handlePoll(_ set: PollSet) {
        let now = now()
        guard now >= nextLook else { return }
        nextLook = now &+ period / 4
        let present = machine.activity
        if isHeld || machine.isPaused || present != activity {
            activity = present
            return noteProgress()
        }
        guard !hasReported, now &- lastProgress >= period else { return }
        let found = machine.whileHartsStand { () -> String? in
            guard let diagnosis = try? Diagnosis(machine, symbols: symbols()), diagnosis.isHang else { return nil }
            return diagnosis.text
        }
        guard let found else { return noteProgress() }
        hasReported = true
        report("the guest made no progress for \((now &- lastProgress) / 1_000_000_000) s\n" + found)
    }

    private func noteProgress() {
        hasReported = false
        lastProgress = now()
    }
}
