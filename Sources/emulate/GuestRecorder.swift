import EmuControl
import EmuMachine

/// A run outside the debugger with traces, a profile or coverage.
final class GuestRecorder {
    let recordings: Recordings
    private let session: DebugSession

    init(_ machine: Machine, _ symbols: SymbolTable, _ options: RecordingOptions) throws {
        session = try DebugSession(machine)
        session.symbols = symbols
        recordings = Recordings(session, symbols)
        try recordings.start(options)
    }

    func run() -> ExitStatus { session.runToEnd() }
}
