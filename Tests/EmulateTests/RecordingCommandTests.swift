import Foundation
import Glibc
import Testing

/// `--trace`, `--profile` and `--coverage` from outside: the files are whole however the run ends.
@Suite(.serialized) struct RecordingCommandTests {
    private let directory: TemporaryDirectory
    private static let tests = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    /// A program with line numbers that runs for ever, and one that prints a line and powers off.
    private static let endless = tests.appending(path: "EmuControlTests/Fixtures/riscv-dwarf5.elf").path
    private static let hello = tests.deletingLastPathComponent().appending(path: "testroms/hello.elf").path

    init() throws { directory = try TemporaryDirectory() }

    private func text(_ name: String) -> String { (try? String(contentsOfFile: directory.path(name), encoding: .utf8)) ?? "" }

    @Test("a guest that powers off leaves whole files behind, the same each time")
    func powerOff() throws {
        func record(_ run: Int) throws -> [String] {
            let process = try Subprocess([
                "-bios", "none", "--time", "virtual", Self.hello, "--trace", directory.path("t\(run)") + ",kinds=instructions+mmio",
                "--profile", directory.path("p\(run).svg") + ",interval=50",
            ])
            process.endInput()
            #expect(process.outputToEnd() == "Hello from RISC-V on bare metal.\n")
            #expect(process.wait() == .code(0))
            return [text("t\(run)"), text("p\(run).svg")]
        }
        let files = try record(1)
        #expect(files[0].hasPrefix("0 M exec 0x1000 00000297 auipc t0,0x0\n"))
        // The last thing is the store that powers off.
        #expect(files[0].split(separator: "\n").last?.hasPrefix("0 M mmio-write test+0x0 size 4 new 0x5555 by ") == true)
        #expect(files[1].hasPrefix("<?xml") && files[1].hasSuffix("</svg>\n") && files[1].contains("<title>"))
        #expect(try record(2) == files)
    }

    @Test("a signal ends the run with whole files, too", arguments: [SIGINT, SIGTERM])
    func signals(_ number: Int32) throws {
        let process = try Subprocess([
            "-bios", "none", "--time", "virtual", Self.endless, "--coverage", directory.path("c.info"),
            "--profile", directory.path("p.folded") + ",interval=100", "--trace", directory.path("t") + ",code=fact",
        ])
        // Something was written, so the guest has come to its loop and been round it many times.
        try #require(waitUntil { (try? FileManager.default.attributesOfItem(atPath: self.directory.path("t"))[.size] as? Int).map { $0 > 0 } == true })
        process.signal(number)
        #expect(process.wait() == .signal(number))
        #expect(text("c.info").contains("SF:/fixtures/calls.c\n") && text("c.info").hasSuffix("end_of_record\n"))
        #expect(text("p.folded").contains("program") && text("p.folded").hasSuffix("\n"))
        #expect(text("t").hasSuffix("\n"))
    }

    private func waitUntil(_ condition: () -> Bool) -> Bool {
        for _ in 0..<6000 {
            if condition() { return true }
            usleep(10_000)
        }
        return false
    }

    @Test("the debugger takes the same options and completes the files when it ends")
    func debugger() throws {
        let process = try Subprocess([
            "debug", "-batch", "-bios", "none", Self.endless, "--trace", directory.path("t") + ",code=fact,hart=0,priv=M", "--coverage", directory.path("c.info"),
            "-ex", "advance fact", "-ex", "stepi 3",
        ])
        process.endInput()
        #expect(process.wait() == .code(0))
        let lines = text("t").split(separator: "\n")
        #expect(lines.count == 3 && lines.allSatisfy { $0.contains(" <fact") })
        #expect(text("c.info").contains("FNDA:1,middle\n"))
    }

    @Test("what cannot be done is said before the guest runs, or at its end", arguments: [
        (["--trace", "/nonexistent/t"], "emulate: -trace: cannot create '/nonexistent/t': No such file or directory\n"),
        (["--trace", "/dev/null,kinds=instructions+bogus"], "emulate: -trace: 'bogus' is neither a kind of line nor a filter"),
        (["--trace", "/dev/null,code=5"], "emulate: -trace: '5' is no range of addresses"),
        (["--trace", "/dev/null,hart=7"], "emulate: -trace: there is no hart 7; the only one is 0\n"),
        (["--trace", "/dev/null,priv=X"], "emulate: -trace: priv=X: 'X' is not one of U, S, M"),
        (["--trace", ""], "emulate: -trace: needs"),
        (["--profile", "/nonexistent/p"], "emulate: -profile: cannot create '/nonexistent/p': No such file or directory\n"),
        (["--profile", "/dev/null,interval=0"], "emulate: -profile: interval=0: '0' is not a number from 1"),
        (["--coverage", "/dev/null"], "emulate: -coverage: no program on the command line has line numbers"),
        (["--trace", "/dev/full"], "emulate: trace: '/dev/full' is incomplete: No space left on device\n"),
    ])
    func failures(_ options: [String], _ message: String) throws {
        let process = try Subprocess(["-bios", "none", Self.hello] + options)
        process.endInput()
        #expect(process.errorsToEnd().hasPrefix(message))
        #expect(process.wait() == .code(1))
    }
}
