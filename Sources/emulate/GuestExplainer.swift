import EmuControl
import EmuMachine

/// Tells people at the terminal why a guest does not move: on Ctrl-A w, in the monitor, and by `--watchdog`.
final class GuestExplainer {
    private let machine: Machine
    private let symbols: () -> SymbolTable
    private var watchdog: Watchdog?

    /// - Parameter symbols: asked for each time something is to be explained.
    init(_ machine: Machine, _ options: RunOptions, _ stopper: MachineStopper, symbols: @escaping () -> SymbolTable) {
        self.machine = machine
        self.symbols = symbols
        guard let (seconds, exitCode) = options.watchdog else { return }
        watchdog = Watchdog(machine, seconds: seconds, symbols: symbols) { text in
            HostStartup.printError("--watchdog: " + text.trimmingNewline)
            if let exitCode {
                stopper.requestStop(ExitStatus(code: exitCode, reason: .error("--watchdog: ends here with exit code \(exitCode)")))
            }
        }
    }

    var text: String {
        do throws(DebugError) {
            return try machine.whileHartsStand { () throws(DebugError) in try Diagnosis(machine, symbols: symbols()).text }
        } catch {
            return "\(error)\n"
        }
    }

    /// Of one hart, or of all.
    func registers(hart: Int?) -> String {
        do throws(DebugError) {
            return try machine.whileHartsStand { () throws(DebugError) in try RegisterListing.text(machine, hart: hart) }
        } catch {
            return "\(error)"
        }
    }

    /// While a debugger has stopped the guest it need not make progress.
    func hold() { watchdog?.hold() }
    func release() { watchdog?.release() }

    /// The symbols of the programs on the command line that are ELF files; others have none to offer, which is no mistake.
    static func symbols(of config: MachineConfig) -> SymbolTable {
        let table = SymbolTable()
        for path in config.programs {
            if let file = try? SymbolFile.open(path) { table.add(file) }
        }
        return table
    }
}

extension MachineConfig {
    /// Files of `-kernel` and `-bios`.
    var programs: [String] {
        var files = [kernel].compactMap { $0 }
        if case .file(let path) = firmware { files.append(path) }
        return files
    }
}

extension Debugger {
    /// Loads what symbols the programs on the command line have.
    func loadSymbols(of config: MachineConfig) {
        for path in config.programs { _ = try? loadSymbols(path) }
    }
}

extension String {
    fileprivate var trimmingNewline: String { hasSuffix("\n") ? String(dropLast()) : self }
}
