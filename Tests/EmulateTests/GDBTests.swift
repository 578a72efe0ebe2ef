import Foundation
import Glibc
import Testing

/// GDB itself, as Debian ships it.
private enum GDB {
    /// Where the program is; nil when it is not installed.
    static let path: String? = (ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin").split(separator: ":")
        .map { "\($0)/gdb-multiarch" }.first { access($0, X_OK) == 0 }
    static var isMissing: Bool { path == nil }
    static let advice: Comment = "gdb-multiarch is not installed: 'make test-deps' installs it"

    /// Carries out commands, one that fails included, and returns all that was shown.
    static func run(_ commands: [String], seconds: Double = 60) throws -> String {
        let settings = ["set confirm off", "set pagination off", "set width 0", "set style enabled off", "set architecture riscv:rv64", "set remotetimeout 60"]
        let words = [path ?? "", "-nx", "-q", "-batch"] + (settings + commands).flatMap { ["-ex", $0] }
        // What 'monitor' shows goes to standard error.
        let run = try Subprocess(["-c", "exec \"$0\" \"$@\" 2>&1"] + words, program: "/bin/sh")
        run.endInput()
        let text = run.outputToEnd(seconds: seconds)
        #expect(run.wait() != .timeout, "\(text)")
        return text
    }

    /// What was shown after the line `== name`, up to the next such line.
    static func section(_ name: String, _ text: String) -> Substring {
        guard let from = text.range(of: "== \(name)\n") else { return "" }
        let rest = text[from.upperBound...]
        return rest[..<(rest.range(of: "== ")?.lowerBound ?? rest.endIndex)]
    }
}

@Suite(.serialized, .disabled(if: GDB.isMissing, GDB.advice))
struct GDBTests {
    private let directory: TemporaryDirectory
    private var socket: String { directory.path("gdb") }
    private static let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../..").standardizedFileURL

    init() throws { directory = try TemporaryDirectory() }

    private func emulate(_ arguments: String...) throws -> Subprocess {
        let run = try Subprocess(["-nographic", "-bios", "none", "-gdb", "unix:\(socket)"] + arguments)
        let deadline = Date(timeIntervalSinceNow: Subprocess.patience)
        while access(socket, F_OK) != 0, deadline.timeIntervalSinceNow > 0 { usleep(5000) }
        return run
    }

    @Test("a program with symbols: break in a function, backtrace, step lines, watch a variable, finish, write memory and registers, kill")
    func program() throws {
        let program = Self.root.appending(path: "Tests/EmuControlTests/Fixtures/riscv-dwarf5.elf").path
        let run = try emulate("-S", "-kernel", program)
        let text = try GDB.run([
            "file \(program)", "target remote \(socket)", "echo == start\\n", "info registers pc", "break fact", "continue", "echo == break\\n", "bt", "info args", "delete",
            "watch sink", "continue", "echo == watch\\n", "delete", "break leaf", "continue", "finish", "echo == finish\\n", "delete", "hbreak shape_area", "continue", "echo == step\\n", "step",
            "stepi", "next", "echo == write\\n", "set var sink = 77", "print sink", "set $s1 = 0x123456789abcdef0", "print/x $s1", "print/x $mscratch = 0x5a",
            "info line fact", "compare-sections", "echo == end\\n", "kill",
        ])
        #expect(GDB.section("start", text).contains("0x1000"))
        #expect(GDB.section("start", text).contains("Breakpoint 1, fact (n="))
        let stack = GDB.section("break", text)
        #expect(stack.contains("#0  fact (n=") && stack.contains("#1  0x") && stack.contains("in middle (a=") && stack.contains("in program ()"), "\(text)")
        #expect(stack.contains("Hardware watchpoint 2: sink") && stack.contains("Old value = ") && stack.contains("New value = "), "\(text)")
        #expect(GDB.section("watch", text).contains("Value returned is"), "\(text)")
        #expect(GDB.section("finish", text).contains("Breakpoint 4, shape_area"), "\(text)")
        let written = GDB.section("write", text)
        #expect(written.contains("= 77") && written.contains("= 0x123456789abcdef0") && written.contains("= 0x5a"), "\(text)")
        #expect(text.contains("killed"))
        #expect(run.wait() == .code(0))
        #expect(access(socket, F_OK) != 0)
    }

    @Test("harts are threads that step alone or together; detaching lets the program finish, reconnecting works")
    func harts() throws {
        let run = try emulate("-S", "-smp", "4", "--time", "virtual", "-kernel", Self.root.appending(path: "testroms/smp_atomic_counter.elf").path)
        let connect = "target remote \(socket)"
        let first = try GDB.run([
            connect, "info threads", "break *0x80000000", "continue", "echo == step\\n", "thread 3", "stepi", "info registers pc", "set scheduler-locking on", "thread 2", "stepi 2",
            "info threads", "disconnect",
        ])
        #expect(first.contains("4    Thread 4 \"hart 3\" (M-mode)"), "\(first)")
        #expect(first.contains("hit Breakpoint 1, 0x0000000080000000") || first.contains("Breakpoint 1, 0x0000000080000000"), "\(first)")
        // Without a word the client went away: the guest goes on and ends.
        #expect(run.outputToEnd().contains("PASS smp_atomic_counter"))
        #expect(run.wait() == .code(0))

        let again = try emulate("-S", "-kernel", Self.root.appending(path: "testroms/hello.elf").path)
        #expect(try GDB.run([connect, "stepi", "info registers pc", "detach"]).contains("0x1004"))
        #expect(again.outputToEnd().contains("Hello from RISC-V"))
        #expect(again.wait() == .code(0))
    }

    @Test("monitor commands, the list of registers, QEMU's physical mode and the memory map, as GDB shows them")
    func looking() throws {
        let run = try emulate("-S", "-kernel", Self.root.appending(path: "testroms/hello.elf").path)
        let text = try GDB.run([
            "target remote \(socket)", "info registers mstatus mhartid satp fcsr priv ft0", "monitor info registers pc", "monitor bogus",
            "maintenance packet qqemu.PhyMemMode", "maintenance packet Qqemu.PhyMemMode:1", "x/wx 0x80000000", "info mem", "monitor quit 7",
        ])
        for expected in ["mstatus ", "pc     0x1000", "unknown command 'bogus'", "received: \"0\"", "received: \"OK\"", "0x80000000:", "0x0000000000010000 ro"] { #expect(text.contains(expected), "\(expected) in \(text)") }
        #expect(text.contains("prv:3 [Machine]"), "\(text)")
        #expect(run.wait() == .code(7))
    }

    @Test("a free port is named on standard error, and GDB finds it")
    func port() throws {
        let run = try Subprocess(["-nographic", "-bios", "none", "-S", "-gdb", "tcp::0", "-kernel", Self.root.appending(path: "testroms/hello.elf").path])
        let line = try #require(run.errors(until: "\n"))
        let port = try #require(line.split(separator: ":").last.flatMap { UInt16($0.trimmingCharacters(in: .whitespacesAndNewlines)) })
        #expect(try GDB.run(["target remote 127.0.0.1:\(port)", "info registers pc", "kill"]).contains("0x1000"))
        #expect(run.wait() == .code(0))
    }
}

@Suite(.serialized, .disabled(if: GDB.isMissing, GDB.advice), .disabled(if: DebianGuest.isLeftOut, "EMULATE_OFFLINE is set: real guests were not fetched"))
struct GDBKernelTests {
    /// Seconds a boot may take on a slow, busy machine before it counts as hung.
    private static let patience = 300.0

    @Test("a running Debian kernel with two harts: break in a function, step, watch a variable, continue, the harts as threads; then it runs on")
    func debian() throws {
        let guest = try DebianGuest()
        let directory = try TemporaryDirectory()
        let socket = directory.path("gdb")
        // Names the addresses, then reads files for ever, on both harts.
        let script = "grep -E ' (vfs_open|jiffies_64|_stext)$' /proc/kallsyms; echo ready; "
            + "(while :; do cat /proc/uptime >/dev/null; done) & while :; do cat /proc/uptime >/dev/null; done"
        let run = try Subprocess([
            "-m", "512M", "-smp", "2", "-nographic", "-gdb", "unix:\(socket)", "-kernel", guest.image, "-initrd", guest.initrd, "-append",
            "console=ttyS0 run=\(Data(script.utf8).base64EncodedString())",
        ])
        try #require(run.waitFor("ready\r\n", seconds: Self.patience))
        func address(_ symbol: String) throws -> String {
            let line = try #require(run.text.split(whereSeparator: \.isNewline).first { $0.hasSuffix(" \(symbol)") })
            return "0x" + line.prefix { $0 != " " }
        }
        let function = try address("vfs_open"), variable = try address("jiffies_64")
        let text = try GDB.run([
            "target remote \(socket)", "info threads", "break *\(function)", "continue", "echo == break\\n", "info registers pc priv", "stepi", "info registers pc", "x/i $pc", "stepi 3",
            "echo == watch\\n", "delete", "watch *(long *)\(variable)", "continue", "continue", "echo == threads\\n", "delete", "info threads", "thread apply all print/x $satp >> 60",
            "monitor info harts", "break *\(function) thread 2", "continue", "echo == again\\n", "info registers pc", "thread", "detach",
        ], seconds: Self.patience)
        func section(_ name: String) -> Substring { GDB.section(name, text) }
        #expect(text.contains("Thread 1 \"hart 0\"") && text.contains("Thread 2 \"hart 1\""), "\(text)")
        #expect(section("break").contains(function) && section("break").contains("prv:1 [Supervisor]"), "\(text)")
        #expect(section("watch").components(separatedBy: "Old value = ").count == 3, "\(text)")
        #expect(section("threads").contains("hart 1"), "\(text)")
        #expect(section("again").contains(function) && section("again").contains("thread 2"), "\(text)")
        // Detached, it runs on: somebody else attaches and finds it at work.
        let later = try GDB.run(["target remote \(socket)", "tbreak *\(function)", "continue", "info registers pc", "kill"], seconds: Self.patience)
        #expect(later.contains(function), "\(later)")
        #expect(run.wait() == .code(0))
    }
}
