import Foundation
import Testing

/// The debugger looks into Debian's kernel, which carries its symbols and types in memory.
@Suite(.serialized, .enabled(if: !DebianGuest.isLeftOut, "EMULATE_OFFLINE is set: real guests were not fetched"))
struct DebugLinuxTests {
    /// What each command of a session answered.
    private func session(_ script: String, _ commands: [String], harts: Int = 2) throws -> [String] {
        let guest = try DebianGuest()
        let run = Data(script.utf8).base64EncodedString()
        var arguments = [
            "debug", "-machine", "virt", "-m", "512M", "-smp", "\(harts)", "--time", "virtual", "-kernel", guest.image, "-initrd", guest.initrd, "-append",
            "console=ttyS0 run=\(run)", "-batch",
        ]
        for (index, command) in commands.enumerated() { arguments += ["-ex", "echo <<<\(index)>>>", "-ex", command] }
        let process = try Subprocess(arguments)
        process.endInput()
        let output = process.outputToEnd(seconds: 300)
        let errors = process.errorsToEnd()
        #expect(process.wait() == .code(0), "\(errors)")
        return commands.indices.map { index in
            guard let start = output.range(of: "<<<\(index)>>>\n") else { return "" }
            let rest = output[start.upperBound...]
            return String(rest[..<(rest.range(of: "<<<")?.lowerBound ?? rest.endIndex)])
        }
    }

    @Test("the log can be read before the kernel has a console, and its symbols serve breakpoints from then on")
    func earlyLog() throws {
        // With translation on, the first question to the firmware comes when the machine is being set up.
        let answers = try session("true", [
            "catch syscall 0x10 if $satp != 0", "continue", "guest dmesg", "delete", "tb console_init", "continue", "guest", "bt",
        ])
        #expect(!answers[1].contains("Linux version"))
        #expect(answers[2].hasPrefix("[    0.000000] Linux version "))
        #expect(answers[5].contains("hart 0") && answers[5].contains("<console_init>"))
        #expect(!answers[5].contains("Linux version"))
        #expect(answers[6].contains("CPU 0  kernel 0     [swapper/0]"))
        #expect(answers[7].contains("<start_kernel+"))
    }

    @Test("processes, modules, backtraces, system calls and breakpoints of a process")
    func running() throws {
        let answers = try session("sleep 100 & sleep 0.1", [
            "catch syscall 172", "continue", "delete", "guest syscalls 40 pid 1", "break do_sys_openat2 space 1", "continue", "guest bt", "delete",
            "catch syscall 142", "continue", "guest", "guest ps", "guest modules", "guest bt 1", "info address virtio_mmio_probe", "guest dmesg",
        ])
        let calls = answers[3].split(separator: "\n").filter { $0.hasPrefix("1      init") }
        #expect(calls.count >= 40)
        #expect(calls.contains { $0.contains("openat(dfd=AT_FDCWD, filename=\"/init\", flags=0x") })
        #expect(answers[3].contains("\n40 system calls\n"))
        #expect(answers[4].contains("<do_sys_openat2>, space 0x"))
        #expect(answers[5].contains("breakpoint 2"))
        #expect(answers[6].hasPrefix("task 1, init, on hart"))
        #expect(answers[6].contains("<do_sys_openat2>") && answers[6].contains("<do_trap_ecall_u+"))
        #expect(answers[10].hasPrefix("Linux 6.") && answers[10].contains("slide 0x") && answers[10].contains("poweroff"))
        #expect(answers[11].contains("hrtimer_nanosleep         sleep 100\n"))
        #expect(answers[11].contains("[kthreadd]"))
        #expect(answers[12].split(separator: "\n").contains { $0.hasPrefix("jbd2 ") && $0.hasSuffix(" ext4") })
        #expect(answers[13].hasPrefix("task 1, init, state S\n#0"))
        #expect(answers[13].contains("<do_wait+") && answers[13].contains("<do_trap_ecall_u+"))
        #expect(answers[14].contains("is at 0xffffffff"))
        #expect(answers[15].contains("Run /init as init process"))
        #expect(!answers[15].contains("incomplete"))
    }
}
