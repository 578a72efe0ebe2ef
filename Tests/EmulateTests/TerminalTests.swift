import Foundation
import Glibc
import Testing

/// The terminal under a running emulator, seen through a pseudo-terminal.
@Suite(.serialized) struct TerminalTests {
    let directory: TemporaryDirectory
    let terminal: Pseudoterminal
    let original: Pseudoterminal.Settings

    init() throws {
        directory = try TemporaryDirectory()
        terminal = try Pseudoterminal()
        original = terminal.settings
    }

    /// Starts the echoing guest on the terminal and waits for its prompt.
    private func start(_ arguments: [String] = []) throws -> Subprocess {
        let guest = try directory.program("echo.bin", TestGuest.echo)
        let run = try Subprocess(
            ["-bios", "none", "-kernel", guest] + arguments, input: .terminal, output: .terminal, errors: .terminal, terminal: terminal)
        try #require(run.waitFor(">"))
        try #require(terminal.settings != original)
        return run
    }

    @Test func aConsoleWithMonitorGetsEveryKey() throws {
        let run = try start()
        let raw = terminal.settings
        for flag in [ICANON, ECHO, ISIG, IEXTEN] { #expect(!raw.has(flag)) }
        #expect(raw.output == original.output)
        run.send("\u{3}\u{1A}\r\u{4}")
        #expect(run.waitFor("\u{3}\u{1A}\r\u{4}"))
        run.send("!")
        #expect(run.wait() == .code(0))
        #expect(terminal.settings == original)
    }

    @Test func escapeXRestoresTheTerminal() throws {
        let run = try start()
        run.send("\u{1}x")
        #expect(run.wait() == .code(0))
        #expect(terminal.settings == original)
    }

    @Test func controlCEndsAConsoleWithoutMonitor() throws {
        let run = try start(["-serial", "stdio"])
        #expect(terminal.settings.has(ISIG))
        run.send("\u{1}x")
        #expect(run.waitFor("\u{1}x"))
        run.send("\u{3}")
        #expect(run.wait() == .signal(SIGINT))
        #expect(terminal.settings == original)
    }

    @Test(arguments: [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS])
    func aSignalRestoresTheTerminalAndIsWhatTheParentSees(number: Int32) throws {
        let run = try start()
        run.signal(number)
        #expect(run.wait() == .signal(number))
        #expect(terminal.settings == original)
    }

    @Test func anErrorRestoresTheTerminal() throws {
        let guest = try directory.program("flood.bin", TestGuest.flood)
        let run = try Subprocess(
            ["-bios", "none", "-kernel", guest], input: .terminal, output: .file("/dev/full"), errors: .pipe, terminal: terminal)
        #expect(run.errorsToEnd().contains("standard output: No space left on device"))
        #expect(run.wait() == .code(1))
        #expect(terminal.settings == original)
    }

    @Test func stoppingGivesTheTerminalBackAndContinuingTakesItAgain() throws {
        // A shell with job control runs the emulator in a process group that may be stopped.
        let guest = try directory.program("echo.bin", TestGuest.echo)
        let script = "set -m; \(Subprocess.executable) -bios none -kernel \(guest) -serial stdio; echo stopped; read line; fg; echo ended $?"
        let shell = try Subprocess(["-c", script], program: "/bin/bash", input: .terminal, output: .terminal, errors: .terminal, terminal: terminal)
        #expect(shell.waitFor(">"))
        #expect(terminal.waitUntil { !$0.has(ICANON) && $0.has(ISIG) })
        shell.send("\u{1A}")
        #expect(shell.waitFor("stopped"))
        #expect(terminal.waitUntil { $0 == original })
        shell.send("go on\r")
        #expect(terminal.waitUntil { !$0.has(ICANON) })
        shell.send("abc!")
        #expect(shell.waitFor("abc!"))
        #expect(shell.waitFor("ended 0"))
        #expect(shell.wait() == .code(0))
        #expect(terminal.waitUntil { $0 == original })
    }

    @Test func changingTheWindowSizeIsHarmless() throws {
        let run = try start()
        for columns in 80..<90 as Range<UInt16> { terminal.resize(rows: 24, columns: columns) }
        run.send("abc")
        #expect(run.waitFor("abc"))
        run.send("!")
        #expect(run.wait() == .code(0))
    }

    @Test func theMonitorStopsAndContinuesTheGuest() throws {
        let run = try start()
        run.send("\u{1}c")
        #expect(run.waitFor("(emulate) "))
        run.send("info status\r")
        #expect(run.waitFor("VM status: running"))
        run.send("stop\rinfo status\r")
        #expect(run.waitFor("VM status: paused"))
        run.send("cont\r\u{1}cxyz")
        #expect(run.waitFor("xyz"))
        run.send("\u{1}csystem_reset\r")
        #expect(run.waitFor("\n(emulate) >"))
        run.send("quit\r")
        #expect(run.wait() == .code(0))
        #expect(terminal.settings == original)
    }
}
