import EmuBus
import EmuControl
import EmuMachine

/// What `-gdb` adds to a run: a server over a debugger of its own.
final class GDBAttachment {
    let server: GDBServer
    private let debugger: Debugger

    init(_ endpoint: SocketAddress, _ machine: Machine, _ options: RunOptions, console: SerialConsole, explainer: GuestExplainer) throws {
        debugger = Debugger(try DebugSession(machine))
        server = try GDBServer(debugger, at: endpoint)
        debugger.loadSymbols(of: options.config)
        debugger.sendToGuest = { [console] in _ = console.type($0) }
        // A guest that GDB holds need not make progress.
        debugger.session.willRun = { [explainer] in explainer.release() }
        debugger.session.didStop = { [explainer] in explainer.hold() }
        // Nobody could know it otherwise.
        if case .inet(let host, 0) = endpoint, let port = server.port { HostStartup.printError("GDB can attach: target remote \(host):\(port)") }
    }

    /// The debugger's own, so that a run has one of them.
    var recordings: Recordings { debugger.recordings }
}
