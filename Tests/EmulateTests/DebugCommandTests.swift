import Foundation
import Glibc
import Testing

/// `emulate debug` as a script and as a person use it.
@Suite(.serialized) struct DebugCommandTests {
    private let directory: TemporaryDirectory
    private static let roms = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../testroms").standardizedFileURL

    init() throws { directory = try TemporaryDirectory() }

    private static func rom(_ name: String) -> String { roms.appending(path: name + ".elf").path }

    @Test("a session over a test program: commands come from a pipe, the guest's console appears among the answers")
    func session() throws {
        let run = try Subprocess(["debug", "-bios", "none", "--time", "virtual", Self.rom("hello")])
        run.send("break *0x80000000\ncontinue\nstepi 2\ninfo registers pc\ndelete\ncontinue\n")
        run.endInput()
        let output = run.outputToEnd()
        #expect(run.wait() == .code(0))
        #expect(output.contains("hart 0 is at its reset vector, 0x1000"))
        #expect(output.contains("breakpoint 1, hart 0, 0x80000000"))
        #expect(output.contains("pc     0x80000008"))
        #expect(output.contains("Hello from RISC-V on bare metal.\nthe guest has ended: powered off\n"))
    }

    @Test("the exit code is the guest's, or what quit says, or 1 when a command of a script fails", arguments: [
        (["-ex", "continue"], 42), (["-ex", "quit 7"], 7), (["-ex", "assert 1 == 2", "-ex", "quit"], 1), (["-ex", "stepi"], 0), (["-ex", "wrong"], 1),
        (["-x", "/nonexistent"], 1),
    ] as [([String], Int32)])
    func exitCodes(_ options: [String], _ code: Int32) throws {
        let run = try Subprocess(["debug", "-bios", "none", "-batch", Self.rom("finisher_failure")] + options)
        run.endInput()
        _ = run.outputToEnd()
        #expect(run.wait() == .code(code))
    }

    @Test("-S is accepted, -gdb is not: it belongs to emulate run")
    func gdbOptions() throws {
        let run = try Subprocess(["debug", "-bios", "none", "-batch", "-S", "-ex", "continue", Self.rom("hello")])
        run.endInput()
        #expect(run.outputToEnd().contains("Hello from RISC-V"))
        #expect(run.wait() == .code(0))
        let refused = try Subprocess(["debug", "-bios", "none", "-s", Self.rom("hello")])
        refused.endInput()
        #expect(refused.errorsToEnd().contains("-gdb: belongs to 'emulate run'"))
        #expect(refused.wait() == .code(1))
    }

    @Test("a file of commands runs to its end; the command that fails is named")
    func script() throws {
        let path = directory.path("script")
        try "# a comment\nbreak *0x80000000\ncommands\n  print $pc\nend\ncontinue\nnonsense\nprint 5\n".write(toFile: path, atomically: true, encoding: .utf8)
        let run = try Subprocess(["debug", "-bios", "none", "-batch", "-x", path, Self.rom("hello")])
        run.endInput()
        let output = run.outputToEnd()
        #expect(run.errorsToEnd().contains("emulate: nonsense: unknown command"))
        #expect(run.wait() == .code(1))
        #expect(output.contains("$1 = 0x80000000 = 2147483648"))
        #expect(!output.contains("$2"))
    }

    @Test("with --json standard output holds one object for each command and nothing else")
    func json() throws {
        let run = try Subprocess(["debug", "-bios", "none", "--json", Self.rom("hello")])
        run.send("info harts\nbogus\n")
        run.endInput()
        let lines = run.outputToEnd().split(separator: "\n")
        #expect(run.wait() == .code(1))
        #expect(lines.count == 2)
        let objects = try lines.map { try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any]) }
        #expect(objects.map { $0["ok"] as? Bool } == [true, false])
        let playing = try Subprocess(["debug", "-bios", "none", "--json", "-batch", "-ex", "continue", Self.rom("hello")])
        playing.endInput()
        #expect(playing.outputToEnd().hasPrefix("{\"command\":\"continue\",\"ok\":true"))
        #expect(playing.errorsToEnd().contains("Hello from RISC-V"))
    }

    @Test("on a terminal lines are edited and completed, the guest gets the keys while it runs, and Ctrl-C stops it")
    func terminal() throws {
        let terminal = try Pseudoterminal()
        let original = terminal.settings
        let guest = try directory.program("echo.bin", TestGuest.echo)
        let run = try Subprocess(["debug", "-bios", "none", "-kernel", guest], input: .terminal, output: .terminal, errors: .terminal, terminal: terminal)
        try #require(run.waitFor("(emulate) "))
        // A slip taken back, and a command completed.
        run.send("pr\u{7f}rint 40+3\u{7f}2\r")
        #expect(run.waitFor("$1 = 0x2a = 42"))
        run.send("contin\t\r")
        #expect(run.waitFor(">"))
        try #require(terminal.waitUntil { !$0.has(ECHO) && !$0.has(ISIG) })
        run.send("k")
        #expect(run.waitFor(">k"))
        run.send("\u{3}")
        #expect(run.waitFor("interrupted: hart 0"))
        run.send("info registers t0\r")
        #expect(run.waitFor("t0     0x10000000"))
        // Ctrl-C at the prompt drops the line.
        run.send("quit 9\u{3}")
        run.send("print 1+1\r")
        #expect(run.waitFor("= 2\r\n"))
        run.send("quit 5\r")
        #expect(run.wait() == .code(5))
        #expect(terminal.settings == original)
    }

    @Test("the guest can be typed at by a command")
    func sending() throws {
        let guest = try directory.program("echo.bin", TestGuest.echo)
        let run = try Subprocess(["debug", "-bios", "none", "-kernel", guest])
        run.send("send \"ab!\"\ncontinue\n")
        run.endInput()
        let output = run.outputToEnd()
        #expect(run.wait() == .code(0))
        #expect(output.contains(">ab!"))
    }
}
