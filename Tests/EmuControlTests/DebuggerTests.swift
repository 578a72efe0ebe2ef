import EmuBus
import EmuControl
import Foundation
import TestSupport
import Testing

/// The commands, without a terminal.
@Suite struct DebuggerTests {
    private static let ram = DebugGuest.ram
    private let guest: DebugGuest
    private let debugger: Debugger

    init() throws {
        // Counts x5 in a loop and stores it.
        guest = try DebugGuest([
            RVAssembly.addImmediate(5, 5, 1), RVAssembly.storeDouble(5, 10, 0), RVAssembly.nop, RVAssembly.jump(-12),
        ])
        try guest.begin()
        guest["a0"] = Self.ram + 0x1000
        debugger = Debugger(guest.session)
    }

    private func run(_ lines: String...) throws -> String { try lines.map { try debugger.execute($0).text }.joined() }

    private func failure(_ line: String) -> String {
        do throws(DebugError) {
            return "no failure: " + (try debugger.execute(line).text)
        } catch {
            return error.description
        }
    }

    @Test("names, aliases and unambiguous beginnings name a command; others suggest one")
    func names() throws {
        #expect(try run("stepi") == "=> 0x80000004:\tsd      t0,0(a0)\n")
        #expect(try run("tb *0x80000008", "conti").contains("breakpoint 1, hart 0, 0x80000008"))
        #expect(failure("brake") == "unknown command 'brake'; did you mean 'break'?; 'help' lists the commands")
        #expect(failure("dis").contains("ambiguous: disable, disassemble, display"))
    }

    @Test("every command has help, and an example for whatever takes more than a count")
    func help() throws {
        let list = try run("help")
        for line in list.split(separator: "\n") where line.hasPrefix("  ") {
            let name = String(line.split(whereSeparator: { " ,".contains($0) })[0])
            #expect(try run("help \(name)").hasPrefix(name), "\(name)")
        }
        #expect(try run("help x").contains("x/8gx $sp"))
        #expect(try run("help info").contains("info registers"))
    }

    @Test("an empty line repeats a step or a listing, and nothing else")
    func repetition() throws {
        #expect(try run("stepi", "").contains("0x80000008"))
        #expect(try run("x/2wx 0x80000000").hasPrefix("0x80000000:"))
        #expect(try run("").hasPrefix("0x80000008:"))
        _ = try run("set $s1 = 1")
        #expect(try run("") == "")
    }

    @Test("memory is shown in every format")
    func formats() throws {
        try guest.session.writeMemory(Self.ram + 0x2000, Array("Hi \"you\"\n\0".utf8) + [0xff, 0xff, 0, 0, 0x80, 0x3f])
        #expect(try run("x/s 0x80002000") == "0x80002000:\t\"Hi \\\"you\\\"\\n\"\n")
        #expect(try run("x/2xb 0x80002000") == "0x80002000:\t0x48\t0x69\n")
        #expect(try run("x/dh 0x8000200a") == "0x8000200a:\t-1\n")
        #expect(try run("x/uh 0x8000200a") == "0x8000200a:\t65535\n")
        #expect(try run("x/tb 0x80002000") == "0x80002000:\t01001000\n")
        #expect(try run("x/ob 0x80002000") == "0x80002000:\t0110\n")
        #expect(try run("x/cb 0x80002000") == "0x80002000:\t72 'H'\n")
        #expect(try run("x/fw 0x8000200c") == "0x8000200c:\t1.0\n")
        #expect(try run("x/i 0x80000000") == "=> 0x80000000:\taddi    t0,t0,1\n")
        // fnmsub.d: a mnemonic as long as the column is wide.
        _ = try run("set *(u32*)0x80002800 = 0x02c5f54b")
        #expect(try run("x/i 0x80002800") == "   0x80002800:\tfnmsub.d fa0,fa1,fa2,ft0\n")
        #expect(failure("x/q 0").contains("no format"))
        #expect(failure("x/4gx 0").contains("nothing is at physical address 0x0"))
        #expect(try run("xp/2wx 0x80000000") == "0x80000000:\t0x00128293\t0x00553023\n")
    }

    @Test("print numbers its values, which can be used again")
    func printing() throws {
        #expect(try run("p 2 + 3") == "$1 = 5\n")
        #expect(try run("p $ * 5") == "$2 = 0x19 = 25\n")
        #expect(try run("p/x $1 - 6") == "$3 = 0xffffffffffffffff\n")
        #expect(try run("p/t 5").hasSuffix("101\n"))
        #expect(try run("p (u8)-1") == "$5 = 0xff = 255\n")
        #expect(try run("p -3") == "$6 = 0xfffffffffffffffd = -3\n")
    }

    @Test("breakpoints are made, listed, changed and removed by commands")
    func breakpoints() throws {
        #expect(try run("b *0x80000008 if $t0 == 3") == "breakpoint 1: 0x80000008 if $t0 == 3\n")
        #expect(try run("c") == "breakpoint 1, hart 0, 0x80000008\n=> 0x80000008:\tnop\n")
        #expect(guest["t0"] == 3)
        _ = try run("condition 1", "ignore 1 2", "c")
        #expect(guest["t0"] == 6)
        #expect(try run("info breakpoints").contains("hit 4 times"))
        _ = try run("disable 1", "tbreak *0x8000000c", "c")
        #expect(guest.session.pc == Self.ram + 0xc)
        #expect(guest.session.userBreakpoints.map(\.id) == [1])
        _ = try run("delete 1")
        #expect(try run("info breakpoints") == "no breakpoints\n")
        #expect(failure("delete 1") == "there is no breakpoint 1")
        #expect(failure("b *0x80000000 if 1 = 2").contains("=="))
    }

    @Test("a breakpoint's commands run when it stops, silently if they say so")
    func commandLists() throws {
        _ = try run("b *0x80000004", "commands", "silent", "p $t0", "end")
        #expect(try run("c") == "$1 = 1\n")
        #expect(debugger.prompt == "(emulate) ")
        _ = try run("commands 1", "set $seen = $t0", "continue", "end", "tb *0x80000008 if $t0 == 4")
        #expect(try run("c").contains("breakpoint 2"))
        #expect(try run("p $seen").hasSuffix("= 4\n"))
    }

    @Test("a command list that continues is carried out at every stop, however many come")
    func listsThatContinue() throws {
        _ = try run("set $stops = 0", "b *0x80000004", "commands", "silent", "set $stops = $stops + 1", "continue", "end", "tb *0x80000008 if $t0 == 100")
        #expect(try run("c").contains("breakpoint 2"))
        #expect(try run("p $stops").contains("= 100\n"))
    }

    @Test("a command list that fails does not take the stop's report along")
    func listsThatFail() throws {
        var shown = ""
        debugger.onText = { shown += $0 }
        _ = try run("b *0x80000004", "commands", "nonsense", "end")
        #expect(failure("c").contains("unknown command 'nonsense'"))
        #expect(shown.contains("breakpoint 1"))
    }

    @Test("watchpoints tell what was written where by whom")
    func watchpoints() throws {
        #expect(try run("watch *(u64*)0x80001000") == "watchpoint 1: 8 bytes at 0x80001000 (*(u64*)0x80001000)\n".replacing("watchpoint 1", with: "change watchpoint 1"))
        let text = try run("c")
        #expect(text.contains("8 bytes written to 0x80001000 by 0x80000004"))
        #expect(text.contains("old = 0x0\n  new = 0x1\n"))
        #expect(failure("watch a0").contains("register"))
    }

    @Test("events are caught by name")
    func catching() throws {
        #expect(try run("catch exception load-page illegal") .contains("catchpoint 1"))
        #expect(failure("catch exception nonsense").contains("names no exception"))
        #expect(failure("catch everything").contains("cannot be caught"))
        #expect(try run("catch csr satp mstatus").contains("catchpoint 2"))
        #expect(try run("catch device uart0 write").contains("catchpoint 3") == false)
        #expect(guest.session.userBreakpoints.count == 3)
    }

    @Test("control registers are shown field by field")
    func controlRegisters() throws {
        guest["mstatus"] = 1 << 3 | 3 << 11
        let text = try run("info registers mstatus")
        #expect(text.contains("MPP                      0x3 (M-mode)"))
        #expect(text.contains("MIE                      0x1"))
        guest["satp"] = 8 << 60 | 5 << 44 | 0x80100
        #expect(try run("info csr satp").contains("root table at 0x80100000"))
    }

    @Test("devices, the device tree, memory and events are listed")
    func machine() throws {
        #expect(try run("info devices").contains("uart0"))
        #expect(try run("info physical").contains("RAM"))
        #expect(try run("info device uart0").contains("divisor"))
        #expect(failure("info device uart1").contains("did you mean 'uart0'?"))
        let tree = try run("info dtb")
        #expect(tree.hasPrefix("/dts-v1/;\n/ {\n"))
        #expect(tree.contains("compatible = \"ns16550a\""))
        #expect(try run("info events").hasPrefix("guest time "))
        #expect(try run("info tlb").isEmpty == false)
    }

    @Test("translate tells the walk level by level")
    func translation() throws {
        let root = Self.ram + 0x10_0000
        #expect(guest.machine.bus.storeMemory(root + 8, (root + 0x1000) >> 2 | 1))
        guest["satp"] = 8 << 60 | root >> 12
        guest["pmpaddr0"] = .max
        guest["pmpcfg0"] = 0x1f
        guest["priv"] = 1
        #expect(try run("translate 0x40001000 write") == """
            0x40001000, write, with the rights of S-mode: Sv39, ASID 0, root table at 0x80100000
              level 2: entry at 0x80100008 = 0x0000000020040401: next table at 0x80101000
              level 1: entry at 0x80101000 = 0x0000000000000000: not valid
              store page fault: the entry is not valid (V = 0)

            """)
    }

    @Test("set assigns, settings are changed and shown, assert fails when it should")
    func setting() throws {
        _ = try run("set $a1 = 7", "set *(u16*)0x80002000 = 0x1234", "set $mscratch = 9", "set step-harts all")
        #expect(guest["a1"] == 7 && guest["mscratch"] == 9)
        #expect(try guest.session.readNumber(Self.ram + 0x2000, 2) == 0x1234)
        #expect(!guest.session.stepsOneHart)
        #expect(try run("show step-harts").contains("all"))
        #expect(failure("set step-harts some") == "write set step-harts one|all")
        #expect(failure("set zero = 1").contains("cannot be written"))
        _ = try run("assert $a1 == 7")
        #expect(failure("assert $a1 == 8") == "assertion failed: $a1 == 8")
    }

    @Test("every answer is one JSON object that says what the text says")
    func json() throws {
        func object(_ line: String) throws -> [String: Any] {
            let text = try debugger.execute(line).value.json
            #expect(!text.contains("\n"))
            return try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
        }
        _ = try run("b *0x80000008")
        let stop = try #require(try object("c")["stop"] as? [String: Any])
        #expect(stop["reason"] as? String == "breakpoint")
        #expect(stop["pc"] as? String == "0x80000008")
        #expect(stop["breakpoints"] as? [Int] == [1])
        #expect(try object("p $t0")["value"] as? String == "0x1")
        #expect(try object("x/2wx 0x80000000")["values"] as? [String] == ["0x128293", "0x553023"])
        #expect(try object("info registers t0 sp")["t0"] as? String == "0x1")
        for line in ["help", "info harts", "info devices", "info device plic", "info csr mstatus", "info mem", "info dtb", "disas", "bt", "translate 1", "info b"] {
            #expect(try !object(line).isEmpty, "\(line)")
        }
    }

    @Test("expressions shown at every stop are shown with it")
    func displays() throws {
        _ = try run("display $t0", "display/i $pc")
        let text = try run("si")
        #expect(text.contains("1: $t0 = 1\n"))
        #expect(text.contains("2: x/i $pc\n=> 0x80000004"))
        _ = try run("undisplay 1")
        #expect(try !run("si").contains("$t0"))
    }

    @Test("a symbol that is unknown makes a breakpoint that waits for it")
    func pending() throws {
        #expect(try run("b somewhere") == "pending breakpoint 1: somewhere, unknown so far\n")
        #expect(failure("p somewhere").contains("no register or symbol"))
        let path = FileManager.default.temporaryDirectory.appending(path: "emulate-symbols-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: path) }
        try "0000000080000008 T somewhere\n000000008000000c T after\n".write(to: path, atomically: true, encoding: .utf8)
        #expect(try run("symbols \(path.path)").contains("2 symbols"))
        #expect(try run("c").contains("breakpoint 1, hart 0, 0x80000008 <somewhere>"))
        #expect(try run("x/2i somewhere").contains("0x8000000c <after>"))
    }

    @Test("ten thousand steps are ten thousand instructions, with a breakpoint that is never reached in their page")
    func manySteps() throws {
        _ = try run("b *0x80000800")
        for _ in 0..<10_000 { _ = try debugger.execute("stepi") }
        #expect(guest.machine.harts[0].cycles == 10_000)
    }
}
