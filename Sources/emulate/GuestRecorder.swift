import EmuControl
import EmuMachine

/// A run outside the debugger with traces, a profile or coverage.
final class GuestRecorder {
    let recordings: Recordings
    private let session: DebugSession

    init(_ machine: Machine, _ symbols: SymbolTable, _ options: RecordingOptions) throws {
        session = try DebugSession(machine)
        session.symbols = symbols
        // Better now than at the end of a long run.
        if options.coverage != nil, symbols.modules.allSatisfy({ $0.file.debugInfo == nil }) {
            throw ConfigError("-coverage", "no program on the command line has line numbers; give an ELF file built with -g as PATH, -kernel or -bios")
        }
        recordings = Recordings(session, symbols)
        try recordings.start(options)
    }

    func run() -> ExitStatus { session.runToEnd() }
}
