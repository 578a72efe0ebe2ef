import EmuBus
import EmuControl
import EmuMachine
import Glibc

/// `emulate [run] [options] [PATH]`: boots a machine and runs it until it ends.
package enum RunCommand: Subcommand {
    static let name = "run"
    static let summary = "boot a guest (the default)"

    package static var help: String {
        """
        usage: emulate [run] [options] [PATH]

        Boots firmware, kernels, disk images and bare-metal programs for RISC-V.
        PATH is recognised by its contents: an ELF program, a kernel Image, a gzip of
        either, or a disk image. Options have QEMU's names and may be written with one
        dash or two.

        """ + options.text + """

            Keys on a console with the monitor (mon:stdio, the default):

            """
            + columns(SerialMux.Command.allCases.map { ("  Ctrl-A \($0.key)", $0.summary) }, width: 24)
            + "\nOther commands ('emulate COMMAND -h'):\n"
            + columns(Emulate.subcommands.filter { $0.name != name }.map { ("  " + $0.name, $0.summary) }, width: 24)
    }

    static func run(_ arguments: [String]) throws(CommandEnd) -> Int32 {
        var options = try RunOptions.parse(arguments)
        try options.recognisePath()
        try options.refuseNothingToRun()
        options.warnings.forEach(HostStartup.printError)
        let user = try options.process.user.map { text throws(CommandEnd) in try HostUser(text) }
        // Before anything starts a thread. A device tree is written and that is all.
        let daemon = options.process.isDaemon && options.config.deviceTreeDump == nil ? try Daemon.detach() : nil
        let pidFile = try options.process.pidFile.map { path throws(CommandEnd) in try PIDFile(path) }
        try openLog(options)
        do {
            let run = try MachineRun(options)
            run.willStart = {
                try user?.become()
                daemon?.becomeReady()
            }
            run.willEnd = { pidFile?.remove() }
            return try run.run()
        } catch let problem as ConfigError {
            throw .failed(problem)
        } catch {
            HostStartup.printError("\(error)")
            return 1
        }
    }

    static func openLog(_ options: RunOptions) throws(CommandEnd) {
        Log.enabled = options.log
        Log.filter = options.logFilter
        guard let path = options.logFile else { return }
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0o666)
        guard descriptor >= 0 else { throw .failed("-D \(path)", "cannot create it: \(String(cString: strerror(errno)))") }
        Log.redirect(to: descriptor)
    }
}

/// One machine, joined to the process's terminal and signals.
private final class MachineRun: MonitorTarget {
    private let options: RunOptions
    private let console: SerialConsole
    private let stopper = MachineStopper()
    private let machine: Machine
    private let explainer: GuestExplainer
    private let gdb: GDBAttachment?
    /// Everything is open, and the guest is about to run.
    var willStart: () throws -> Void = {}
    /// The process is about to end, maybe by a signal.
    var willEnd: () -> Void = {}

    init(_ options: RunOptions) throws {
        self.options = options
        // Before anything is opened, so that a second Ctrl-C ends even a long load.
        guard let signals = HostSignals() else { throw ConfigError("signals", String(cString: strerror(errno))) }
        console = SerialConsole(escape: options.escape, version: Version.number)
        HostStartup.tell(of: console)
        var host = MachineHost(stopper: stopper) { [console] in try console.makeBackend($0) }
        let progress = ProgressLine()
        host.loadProgress = progress?.show
        host.pollers = [signals, console]
        defer { progress?.clear() }
        machine = try Machine(options.config, host: host)
        // Read when there is something to explain, which is rare.
        var table: SymbolTable?
        explainer = GuestExplainer(machine, options, stopper) {
            let symbols = table ?? GuestExplainer.symbols(of: options.config)
            table = symbols
            return symbols
        }
        gdb = try options.gdb.map { [machine, console, explainer] in try GDBAttachment($0, machine, options, console: console, explainer: explainer) }
        machine.isPaused = options.startsPaused
        if let monitor = options.monitor { try console.makeMonitor(monitor) }
        signals.onTermination = { [stopper] in stopper.requestStop(signal: $0) }
        console.onQuit = { [stopper] in stopper.requestStop(.user) }
        console.onFailure = { [stopper] in
            stopper.requestStop(.error("\($0): the run ends here; what the guest has flushed is on its disks"))
        }
    }

    func run() throws -> Int32 {
        if let path = options.config.deviceTreeDump {
            try machine.writeDeviceTree(to: path)
            return 0
        }
        console.monitor?.target = self
        console.onSync = { [weak self] in self?.commit() }
        console.onExplain = { [explainer] in explainer.text }
        let symbols = options.recording.isEmpty || gdb != nil ? nil : GuestExplainer.symbols(of: options.config)
        let recorder = try symbols.map { try GuestRecorder(machine, $0, options.recording) }
        try gdb?.recordings.start(options.recording)
        try willStart()
        console.start()
        var status = gdb?.server.run() ?? recorder?.run() ?? machine.run()
        do {
            try machine.close()
        } catch {
            status = .error("\(error)")
        }
        console.finish()
        return report(status, hasAllFiles: (gdb?.recordings ?? recorder?.recordings)?.finishAll() ?? true)
    }

    private func report(_ status: ExitStatus, hasAllFiles: Bool) -> Int32 {
        if options.config.printsStatistics { HostStartup.printError(machine.statistics.summary) }
        let isComplete = reportLog() && hasAllFiles
        willEnd()
        switch status.reason {
        case .poweroff, .failure, .reset, .user: break
        case .error(let message): HostStartup.printError(message)
        case .signal(let number):
            HostStartup.printError("terminating on signal \(number) (\(String(cString: strsignal(number))))")
            HostSignals.die(by: number)
        }
        return status.code == 0 && !isComplete ? 1 : status.code
    }

    /// Says so when lines of the log file are missing; false then.
    private func reportLog() -> Bool {
        guard let path = options.logFile, Log.writeError != 0 else { return true }
        HostStartup.printError("-D \(path): lines are missing at its end: \(String(cString: strerror(Log.writeError)))")
        return false
    }

    // MARK: Monitor

    var statusLine: String { machine.isPaused ? "paused" : gdb?.server.isHolding == true ? "stopped by GDB" : "running" }
    func pause() { machine.isPaused = true }
    func resume() { machine.isPaused = false }
    var explanation: String { explainer.text }
    func registers(hart: Int?) -> String { explainer.registers(hart: hart) }
    func reset() { machine.requestReset() }
    func quit() { stopper.requestStop(.user) }
    var peripherals: MachinePeripherals { machine.peripherals }

    func plug(_ device: String) -> String? {
        do {
            try machine.plug(try Devices.parse(OptionUse(option: "device_add", value: device)))
            return nil
        } catch let end as CommandEnd {
            return switch end {
            case .answered(let text): text
            case .failed(let problem): problem.description
            }
        } catch {
            return "\(error)"
        }
    }

    func unplug(_ id: String) -> String? {
        do throws(ConfigError) {
            try machine.unplug(id)
            return nil
        } catch {
            return error.description
        }
    }

    func commit() {
        do {
            try machine.commitSnapshots()
        } catch {
            HostStartup.printError("\(error)")
        }
    }
}
