import EmuBus
import EmuControl
import EmuMachine
import Glibc

/// What `emulate debug` was asked for: a machine, and what the debugger does first.
struct DebugOptions {
    var run = RunOptions()
    var scripts: [REPL.Script] = []
    var symbols: [(path: String, slide: UInt64)] = []
    var writesJSON = false
    var isBatch = false
}

/// `emulate debug [options] [PATH]`: the same machine under the debugger, stopped at its reset vector.
package enum DebugCommand: Subcommand {
    static let name = "debug"
    static let summary = "boot a guest under the step debugger, stopped at its first instruction"

    private typealias Row = Option<DebugOptions>

    private static let ownOptions: [Row] = [
        Row(["ex", "eval-command"], "COMMAND", takesAnyText: true, help: "carry out a command before the first prompt; may be given often") { options, use in
            options.scripts.append(.command(use.value))
        },
        Row(["x", "command"], "FILE", help: "carry out the commands in FILE") { options, use in options.scripts.append(.file(use.value)) },
        Row(["batch"], help: "end after -ex and -x, with code 1 at the first command that fails") { options, _ in options.isBatch = true },
        Row(["json"], help: "answer each command with one JSON object on a line; the guest's console goes to standard error") { options, _ in
            options.writesJSON = true
        },
        Row(["symbols"], "FILE[,slide=N]", help: "load symbols and line numbers (those of an ELF -kernel and -bios are loaded anyway)") {
            options, use throws(CommandEnd) in
            let list = try PropertyList(use, [Property("file", .text, "FILE"), Property("slide", .number(0 ... .max), "added to its addresses")], implied: "file")
            guard let path = list["file"], !path.isEmpty else { throw use.failed("needs a file") }
            options.symbols.append((path, list.number("slide") ?? 0))
        },
        Row(["h", "help"], help: "show this help") { _, _ throws(CommandEnd) in throw .answered(help) },
    ]

    /// The debugger's options, then those of `run`.
    private static let options = OptionTable<DebugOptions>(
        sections: [OptionSection(title: "Debugger", options: ownOptions)]
            + RunCommand.options.sections.map { section in
                OptionSection(
                    title: section.title,
                    options: section.options.filter { !$0.names.contains("h") }.map { row in
                        Row(row.names, row.placeholder, takesAnyText: row.takesAnyText, help: row.help) { options, use throws(CommandEnd) in
                            try row.action(&options.run, use)
                        }
                    })
            },
        missing: RunCommand.options.missing)

    package static var help: String {
        """
        usage: emulate debug [options] [PATH]

        Takes the options of 'emulate run' and stops at the reset vector. 'help' at the
        prompt lists the commands. While the guest runs, the terminal is its console and
        Ctrl-C stops it. Commands can also come from standard input.

        """ + OptionTable(sections: [OptionSection(title: "Debugger", options: ownOptions)]).text
            + "\nAll options of 'emulate run' ('emulate -h' lists them).\n"
            + """

            Exit code: what 'quit N' said; else 1 when a command of a script failed; else the
            guest's when it powered off; else 0.

            """
    }

    static func run(_ arguments: [String]) throws(CommandEnd) -> Int32 {
        var options = DebugOptions()
        let words = try Self.options.parse(arguments, into: &options)
        if words.count > 1 { throw .failed(words[1], "only one file can be given without an option; use -drive file=… for further disks") }
        options.run.path = words.first
        if options.run.gdb != nil {
            throw .failed("-gdb", "belongs to 'emulate run': GDB and the prompt would drive one guest; in GDB, 'monitor COMMAND' carries out the prompt's commands")
        }
        if let option = options.run.process.firstGiven { throw .failed(option, "belongs to 'emulate run'; the debugger stays at its prompt, as the user who started it") }
        try options.run.finish()
        try options.run.recognisePath()
        try options.run.refuseNothingToRun()
        options.run.warnings.forEach(HostStartup.printError)
        try RunCommand.openLog(options.run)
        do {
            return try DebugRun(options).run()
        } catch let problem as ConfigError {
            throw .failed(problem)
        } catch {
            HostStartup.printError("\(error)")
            return 1
        }
    }
}

/// One machine under the debugger, joined to the process's terminal and signals.
private final class DebugRun {
    private let options: DebugOptions
    private let console: SerialConsole
    private let stopper = MachineStopper()
    private let machine: Machine
    private let session: DebugSession
    private let debugger: Debugger
    private let explainer: GuestExplainer

    init(_ options: DebugOptions) throws {
        self.options = options
        guard let signals = HostSignals() else { throw ConfigError("signals", String(cString: strerror(errno))) }
        // Commands in a pipe are not the guest's to read.
        console = SerialConsole(
            escape: options.run.escape, version: Version.number, readsInput: Terminal.isTerminal(STDIN_FILENO) && !options.isBatch,
            output: options.writesJSON ? STDERR_FILENO : STDOUT_FILENO)
        HostStartup.tell(of: console)
        var host = MachineHost(stopper: stopper) { [console] in try console.makeBackend($0) }
        host.pollers = [signals, console]
        machine = try Machine(options.run.config, host: host)
        if let monitor = options.run.monitor { try console.makeMonitor(monitor) }
        session = try DebugSession(machine)
        debugger = Debugger(session)
        explainer = GuestExplainer(machine, options.run, stopper) { [debugger] in debugger.symbols }
        explainer.hold()
        console.onExplain = { [explainer] in explainer.text }
        signals.onTermination = { [stopper] in stopper.requestStop(signal: $0) }
        signals.onInterrupt = { [session] in session.interrupt() }
        console.onInterrupt = { [session] in session.interrupt() }
        console.onQuit = { [stopper] in stopper.requestStop(.user) }
        console.onFailure = { [stopper] in stopper.requestStop(.error("\($0)")) }
        debugger.sendToGuest = { [console] in _ = console.type($0) }
        session.willRun = { [console, explainer] in
            console.start()
            explainer.release()
        }
        session.didStop = { [console, options, explainer] in
            explainer.hold()
            console.finish()
            if !console.isAtLineStart, !options.writesJSON { _ = HostStartup.printOut("\n") }
        }
    }

    func run() throws -> Int32 {
        if let path = options.run.config.deviceTreeDump {
            try machine.writeDeviceTree(to: path)
            return 0
        }
        debugger.loadSymbols(of: options.run.config)
        let repl = REPL(debugger, scripts: options.scripts, writesJSON: options.writesJSON, isBatch: options.isBatch) { HostSignals.takeInterrupt() }
        for (path, slide) in options.symbols { try debugger.loadSymbols(path, slide: slide) }
        try debugger.recordings.start(options.run.recording)
        var code = repl.run()
        if !debugger.recordings.finishAll() { code = 1 }
        do {
            try machine.close()
        } catch {
            HostStartup.printError("\(error)")
            code = 1
        }
        if options.run.config.printsStatistics { HostStartup.printError(machine.statistics.summary) }
        if let signal = HostSignals.pending { HostSignals.die(by: signal) }
        return code
    }
}
