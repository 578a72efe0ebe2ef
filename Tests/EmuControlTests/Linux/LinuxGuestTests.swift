import EmuBus
import EmuControl
import EmuMachine
import Foundation
import TestSupport
import Testing

/// What the debugger sees of a Linux kernel, on memory made by hand.
@Suite struct LinuxGuestTests {
    private let kernel: FakeKernel

    init() throws { kernel = try FakeKernel() }

    static let looks = ["guest", "guest ps", "guest ps threads", "guest dmesg", "guest modules", "guest bt", "guest bt 1", "guest bt 43", "symbols guest"]

    @Test("the overview tells version, command line, slide and what the hart executes")
    func overview() throws {
        let lines = try kernel.run("guest").split(separator: "\n")
        #expect(lines.count == 5)
        #expect(lines[0] == "Linux 6.12.0-test #1 SMP, riscv64, host box")
        #expect(lines[1] == "command line: console=ttyS0 quiet")
        #expect(lines[2] == "image at 0xffffffff82000000, 4096 KiB, slide 0x2000000")
        #expect(lines[3].hasSuffix("types, 2 modules"))
        #expect(lines[4] == "hart 0  CPU 0  kernel 42    sh\\x1b[2J" + spaces(10) + "0xffffffff82001100 <schedule>")
    }

    @Test("ps lists processes, or all threads, with states, arguments and the function they wait in")
    func processes() throws {
        let head = "   PID   PPID   UID S HART WAITS IN                  COMMAND\n"
        let first = "     1      0  1000 S -    do_wait" + spaces(19) + "[kthreadd]\n" + "    42      0  1000 R 0    -" + spaces(25) + "sh -c\n"
        #expect(try kernel.run("guest ps") == head + first)
        #expect(try kernel.run("guest ps threads") == head + first + "    43      1  1000 D -    do_wait" + spaces(19) + "sh -c\n")
    }

    @Test("the backtrace of a task that waits comes from the registers it saved, that of the current one from its hart's")
    func backtraces() throws {
        #expect(try kernel.run("guest bt 1") == """
            task 1, [kthreadd], state S
            #0  0xffffffff82001110 <schedule+0x10>
            #1  0xffffffff82001210 <do_wait+0x10>

            """)
        #expect(try kernel.run("guest bt").hasPrefix("task 42, sh\\x1b[2J, on hart 0\n#0  0xffffffff82001100 <schedule>\n"))
        // Where traps lead nothing is saved yet: the program's stack is not to be taken for the kernel's.
        kernel.guest["pc"] = kernel["handle_exception"]
        #expect(try kernel.run("guest bt").split(separator: "\n").count == 2)
        #expect(kernel.failure("guest bt 77").hasPrefix("there is no task 77"))
        #expect(kernel.failure("guest bt 0x100000000") == "'0x100000000' is not the number of a task")
    }

    @Test("the log is read from its ring: complete messages only, texts that wrap, several lines, nothing that steers a terminal")
    func log() throws {
        let expected = """
            [    9.000009] first
            [   10.000010] a\\x1b[31m two
            [   10.000010] lines
            [   11.000011]\u{20}
            [   13.000013] at the end of the ring, so at its start

            """
        #expect(try kernel.run("guest dmesg") == expected)
        #expect(try kernel.run("guest dmesg 1") == "[   13.000013] at the end of the ring, so at its start\n")
        #expect(kernel.failure("guest dmesg x") == "'x' is not a number of messages")
    }

    @Test("modules are listed with their users, and their symbols are known from then on")
    func modules() throws {
        #expect(kernel.failure("info address probe").contains("probe"))
        #expect(try kernel.run("guest modules") == """
            MODULE                   SIZE  USES ADDRESS            USED BY
            dummy                    4096  0    0xffffffff82300000
            helper                   8192  1    0xffffffff82301000 dummy

            """)
        #expect(try kernel.run("info symbol 0xffffffff82300018") == "0xffffffff82300018 is probe+0x8\n")
        #expect(try kernel.run("b probe").contains("0xffffffff82300010 <probe>"))
        // Unloaded again.
        kernel.write(kernel["modules"], kernel["module helper"] + 8)
        _ = try kernel.run("guest")
        #expect(!kernel.failure("info symbol 0xffffffff82300018").contains("probe"))
    }

    @Test("the kernel's names serve the whole debugger, and breakpoints that waited for them", arguments: KallsymsBuilder.Order.allCases)
    func names(order: KallsymsBuilder.Order) throws {
        let kernel = try FakeKernel(order: order)
        #expect(try kernel.run("b do_wait").contains("unknown so far"))
        #expect(try kernel.run("symbols guest").hasSuffix("symbols, slide 0x2000000\n"))
        #expect(try kernel.run("info breakpoints").contains("0xffffffff82001200 <do_wait>"))
        #expect(try kernel.run("p/x handle_exception").contains("0xffffffff82001000"))
        #expect(try kernel.run("info symbol 0xffffffff82000010").contains("a_long_name_xxx"))
        #expect(try kernel.run("x/i $pc").contains("<schedule>"))
        #expect(kernel.failure("info symbol 0xffffffffff000000").contains("no symbol"))
    }

    @Test("system calls are shown as they return: task, names, arguments, result; the guest stops after as many as asked for")
    func systemCalls() throws {
        kernel.enterProgram()
        var shown = ""
        kernel.debugger.onText = { shown += $0 }
        #expect(try kernel.run("guest syscalls 3").hasPrefix("3 system calls\n"))
        let who = "42     sh\\x1b[2J" + spaces(7)
        let open = who + "openat(dfd=AT_FDCWD, filename=\"/etc/motd\") = -2 ENOENT\n", write = who + "write(fd=-2, buf=\"/etc\", count=4) = -2 ENOENT\n"
        #expect(shown == open + write + open)
        // Filtered out, they do not end the run; a breakpoint does.
        shown = ""
        #expect(try kernel.run("tb *0x10010 if $a7 == 64", "guest syscalls 1 pid 7").contains("breakpoint 1, hart 0, 0x10010"))
        #expect(shown == "")
        // Another debugger's command hears nothing more of it.
        #expect(try kernel.run("tb *0x10000", "c").contains("breakpoint 2"))
        #expect(shown == "")
    }

    @Test("a call whose return has not been seen is shown as unfinished, and counts as none")
    func unfinished() throws {
        kernel.enterProgram()
        var shown = ""
        kernel.debugger.onText = { shown += $0 }
        #expect(try kernel.run("symbols guest", "tb handle_exception", "guest syscalls").contains("0 system calls\n"))
        #expect(shown.hasSuffix("openat(dfd=AT_FDCWD, filename=\"/etc/motd\") = ?\n"))
    }

    @Test("a breakpoint in a process's address space stops in its page tables only, whatever the ASID")
    func processBreakpoints() throws {
        kernel.enterProgram()
        #expect(try kernel.run("b *0x10008 space \(text(FakeKernel.space))", "b *0x10008 space 42 if 1", "b *0x10004 space pid 42").contains("breakpoint 3: 0x10004, space 0x8000000000080c10"))
        #expect(try kernel.run("c").contains("breakpoint 3, hart 0, 0x10004"))
        #expect(try kernel.run("c").contains("breakpoint 2, hart 0, 0x10008"))
        #expect(kernel.failure("b *0x10008 space 1").contains("no address space of its own"))
        #expect(kernel.failure("b *0x10008 space 99").contains("there is no task 99"))
        #expect(kernel.failure("b *0x10008 space pid").contains("needed after 'space'"))
    }

    @Test("looking changes nothing in the guest: neither memory nor accessed bits nor registers")
    func nothingChanges() throws {
        let before = try kernel.guest.machine.stateHash()
        for line in Self.looks { _ = try kernel.run(line) }
        #expect(try kernel.guest.machine.stateHash() == before)
    }

    @Test("every answer is JSON that can be read")
    func json() throws {
        for line in Self.looks {
            let value = try kernel.debugger.execute(line).value.json
            let object = try #require(try JSONSerialization.jsonObject(with: Data(value.utf8)) as? [String: Any], "\(line)")
            #expect(!object.isEmpty)
        }
        let tasks = try JSONSerialization.jsonObject(with: Data(try kernel.debugger.execute("guest ps").value.json.utf8)) as? [String: Any]
        let shell = try #require((tasks?["tasks"] as? [[String: Any]])?.last)
        #expect(shell["pid"] as? Int == 42)
        #expect(shell["space"] as? String == "0x8000000000080c10")
        #expect(shell["arguments"] as? [String] == ["sh", "-c"])
    }

    @Test("without a kernel, its symbols or its types the command says what is missing")
    func missing() throws {
        let bare = try DebugGuest([RVAssembly.jump(0)])
        try bare.begin()
        #expect(throws: DebugError.self) { _ = try Debugger(bare.session).execute("guest") }
        #expect(try FakeKernel(hasTypes: false).failure("guest").contains("CONFIG_DEBUG_INFO_BTF"))
        #expect(try FakeKernel(hasSymbols: false).failure("guest ps").contains("CONFIG_KALLSYMS"))
        #expect(kernel.failure("guest pss").contains("did you mean 'ps'?"))
        #expect(kernel.failure("guest ps now").contains("does not know 'now'"))
    }

    @Test("a list of symbols that the user loaded stands in for the kernel's own")
    func loadedSymbols() throws {
        let kernel = try FakeKernel(hasSymbols: false)
        let path = FileManager.default.temporaryDirectory.appending(path: "emulate-\(UUID().uuidString).map").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        try ["init_task", "runqueues", "nr_cpu_ids", "__per_cpu_offset", "__cpuid_to_hartid_map", "prb", "linux_banner"].map {
            String(kernel[$0], radix: 16) + " D \($0)\n"
        }.joined().write(toFile: path, atomically: true, encoding: .utf8)
        #expect(try kernel.run("symbols \(path)", "guest ps").contains("sh -c"))
        #expect(try kernel.run("guest dmesg 1").contains("at the end"))
        #expect(kernel.failure("guest modules") == "the kernel has no symbol 'modules'")
    }

    @Test("after a reset the kernel is gone, and its symbols with it")
    func reset() throws {
        #expect(try kernel.run("symbols guest", "p/x do_wait").contains("0xffffffff82001200"))
        _ = try kernel.run("reset")
        #expect(kernel.failure("guest").contains("no Linux kernel runs here yet"))
        #expect(kernel.failure("p do_wait").contains("do_wait"))
    }

    // MARK: Damage

    @Test("lists that run in circles or into nothing are told of, and end")
    func damagedLists() throws {
        kernel.write(kernel["task 42"] + 24, kernel["task 1"] + 24)
        #expect(try kernel.run("guest ps").hasSuffix("incomplete: the list of struct task_struct is damaged: it runs in a circle at \(text(kernel["task 1"] + 24))\n"))
        kernel.write(kernel["task 42"] + 24, 0x1000)
        #expect(try kernel.run("guest ps").contains("leads to 0x1000, where nothing is mapped"))
        kernel.write(kernel["module helper"] + 8, ~0)
        #expect(try kernel.run("guest modules").contains("incomplete: the list of struct module is damaged"))
        kernel.write(kernel["modules"], kernel["module helper"] + 8)
        kernel.write(kernel["module helper"] + 200, kernel["module helper"])
        #expect(try kernel.run("guest modules").contains("helper"))
    }

    @Test("a damaged log is refused or shown as far as it is good", arguments: [
        (0, 60, "2^60 descriptors"), (0, 0, "2^0 descriptors"), (40, 63, "2^63 bytes"), (24, 1 << 40, "before the last"), (8, 0x1000, "cannot be read"), (48, 0x1000, "incomplete"),
    ] as [(UInt64, UInt64, String)])
    func damagedLog(offset: UInt64, value: UInt64, message: String) throws {
        kernel.write(kernel["ring"] + offset, value)
        let text = (try? kernel.run("guest dmesg")) ?? kernel.failure("guest dmesg")
        #expect(text.contains(message))
    }

    @Test("a message that lies about its place or length is left out and told of")
    func damagedMessage() throws {
        // The first one's block, which ends before it begins; the second one's length, which is more than its block has.
        kernel.write(kernel["descriptors"] + 24 + 16, 0x100)
        kernel.write(kernel["infos"] + 2 * 88 + 16, 0xffff)
        let text = try kernel.run("guest dmesg")
        #expect(!text.contains("first"))
        #expect(text.contains("[   10.000010] lines"))
        #expect(text.contains("incomplete: a message of the kernel's log is damaged"))
    }

    @Test("a process whose page table is not where it should be has no address space")
    func damagedPageTable() throws {
        kernel.write(kernel["mm"] + 8, 0x1234)
        #expect(kernel.failure("b *0x10000 space 42").contains("the page table of task 42 is not where its mm_struct says"))
        #expect(try kernel.run("guest ps").contains("sh\\x1b[2J"))
    }

    @Test("whatever is damaged, every command ends with an answer or an error", arguments: 0..<8)
    func randomDamage(seed: UInt64) throws {
        var random = SplitMix(seed: seed)
        for _ in 0..<12 {
            let kernel = try FakeKernel()
            for _ in 0..<(1 << (random.next() % 9)) {
                let address = kernel.damageable.lowerBound + random.next() % UInt64(kernel.damageable.count)
                let values = [random.next(), 0, ~0, 1 << (random.next() % 64), kernel["init_task"]]
                #expect(kernel.guest.machine.bus.storeMemory(address & ~7, values[Int(random.next() % 5)]))
            }
            for line in Self.looks {
                let answer = (try? kernel.run(line)) ?? kernel.failure(line)
                #expect(!answer.isEmpty || line == "guest dmesg")
            }
            kernel.enterProgram()
            _ = try? kernel.debugger.execute("tb *0x10000 if $a7 == 64")
            _ = try? kernel.debugger.execute("guest syscalls 4")
        }
    }

    @Test("types that say what no kernel's would end in an answer or an error, too", arguments: 0..<8)
    func randomTypes(seed: UInt64) throws {
        var random = SplitMix(seed: seed)
        for _ in 0..<12 {
            let kernel = try FakeKernel()
            let length = kernel["__stop_BTF"] - kernel["__start_BTF"]
            for _ in 0..<(1 << (random.next() % 6)) {
                let values: [UInt32] = [UInt32(truncatingIfNeeded: random.next()), .max, 8 << 24, UInt32(random.next() % 64), UInt32(random.next() % 64) << 3]
                kernel.write(kernel["__start_BTF"] + 24 + random.next() % (length - 28) & ~3, littleEndian(values[Int(random.next() % 5)]))
            }
            for line in Self.looks { _ = (try? kernel.run(line)) ?? kernel.failure(line) }
        }
    }

    @Test("a number that types make wider than any kernel has it is cut")
    func wideLevel() throws {
        let kernel = try FakeKernel(hasWideLevel: true)
        kernel.write(kernel["infos"] + 88 + 80, ~0 as UInt64)
        #expect(try kernel.run("guest dmesg").contains("lines"))
    }

    private func spaces(_ count: Int) -> String { String(repeating: " ", count: count) }
    private func text(_ address: UInt64) -> String { "0x" + String(address, radix: 16) }
}
