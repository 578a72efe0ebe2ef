import Foundation
import Glibc
import Testing

/// LLDB, the Swift toolchain's or Debian's, where one runs.
private enum LLDB {
    /// What runs; nil when none is installed, or lacks a library of its own.
    static let path: String? = {
        let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin").split(separator: ":")
        let names = ["lldb"] + (14...24).reversed().map { "lldb-\($0)" }
        return names.flatMap { name in folders.map { "\($0)/\(name)" } }.first { access($0, X_OK) == 0 && (try? HostTool.run($0, "--version")) != nil }
    }()
    static var isMissing: Bool { path == nil }
    static let advice: Comment = "no lldb runs here: one is in the Swift toolchain (it may need libpython3) and in Debian's package lldb-19"
}

@Suite(.serialized, .disabled(if: LLDB.isMissing, LLDB.advice))
struct LLDBTests {
    private static let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../..").standardizedFileURL

    /// Has LLDB carry out commands on a guest that stands at its reset vector, and returns all that was shown.
    private func run(_ file: String, harts: Int = 1, _ commands: [String]) throws -> String {
        let program = Self.root.appending(path: file).path
        let guest = try Subprocess(["-nographic", "-bios", "none", "-S", "-smp", "\(harts)", "--time", "virtual", "-gdb", "tcp::0", "-kernel", program])
        let line = try #require(guest.errors(until: "\n"))
        let port = try #require(line.split(separator: ":").last.flatMap { UInt16($0.trimmingCharacters(in: .whitespacesAndNewlines)) })
        // Typed ones would not wait for each other.
        let all = ["target create \(program)", "gdb-remote 127.0.0.1:\(port)"] + commands + ["process kill", "quit"]
        let debugger = try Subprocess(
            ["-c", "exec \"$0\" --no-lldbinit --no-use-colors \"$@\" 2>&1", LLDB.path ?? ""] + all.flatMap { ["-o", $0] }, program: "/bin/sh")
        debugger.endInput()
        let text = debugger.outputToEnd(seconds: 120)
        #expect(debugger.wait() == .code(0), "\(text)")
        #expect(guest.wait() == .code(0), "\(text)")
        return text
    }

    @Test("attach, registers, steps, a breakpoint by name, a watched variable, lines, memory")
    func program() throws {
        let text = try run("testroms/tutorial/logger.elf", [
            "register read pc mstatus", "stepi", "register read pc", "breakpoint set --name take", "continue", "register write a0 0x1234", "register read a0",
            "memory read -s4 -fx -c1 0x80000000", "breakpoint delete -f", "watchpoint set variable waiting", "continue", "thread step-over",
        ])
        for expected in [
            "pc = 0x0000000000001000", "mstatus = 0x0000000a00000000", "stop reason = instruction step into", "pc = 0x0000000000001004", "stop reason = breakpoint 1.1",
            "a0 = 0x0000000000001234", "0x80000000: 0xf14022f3", "stop reason = watchpoint 1", " at logger.c:", "stop reason = step over",
        ] { #expect(text.contains(expected), "\(expected) in \(text)") }
    }

    @Test("harts are threads; one steps alone")
    func harts() throws {
        let text = try run("testroms/smp_atomic_counter.elf", harts: 4, ["thread select 3", "stepi", "register read pc mhartid", "breakpoint set -a 0x80000000", "continue", "thread list"])
        for expected in ["pc = 0x0000000000001004", "mhartid = 0x0000000000000002", "thread #4: tid = 0x0004", "stop reason = breakpoint 1.1"] {
            #expect(text.contains(expected), "\(expected) in \(text)")
        }
    }
}
