import EmuBus
import EmuControl
import Foundation
import TestSupport
import Testing

/// A file of a test's own, gone with it.
final class ScratchFile {
    let path = FileManager.default.temporaryDirectory.appending(path: "emulate-test-\(UUID().uuidString)").path

    var text: String { (try? String(contentsOfFile: path, encoding: .utf8)) ?? "" }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}

extension Debugger {
    /// What a command that has to fail says.
    func failure(_ line: String) -> String {
        do throws(DebugError) {
            return "no failure: " + (try execute(line).text)
        } catch {
            return error.description
        }
    }
}

/// `trace`: what is in the file, and what the filters keep.
@Suite struct TraceTests {
    private static let ram = DebugGuest.ram
    private let guest: DebugGuest
    private let debugger: Debugger
    private let file = ScratchFile()

    init() throws {
        // Counts, stores the count, prints it, and calls its handler, which is itself.
        guest = try DebugGuest([
            RVAssembly.addImmediate(5, 5, 1), RVAssembly.storeDouble(5, 10, 0), RVAssembly.storeByte(5, 11, 0), RVAssembly.environmentCall,
        ], harts: 2)
        try guest.begin()
        guest["a0"] = Self.ram + 0x1000
        guest["a1"] = 0x1000_0000
        guest["mtvec"] = Self.ram
        debugger = Debugger(guest.session)
    }

    private static let everything = """
        0 M exec 0x80000000 00128293 addi t0,t0,1
        0 M exec 0x80000004 00553023 sd t0,0(a0)
        0 M store 0x80001000 size 8 old 0x0 new 0x1 by 0x80000004
        0 M exec 0x80000008 00558023 sb t0,0(a1)
        0 M mmio-write uart0+0x0 size 1 new 0x1 by 0x80000008
        0 M exec 0x8000000c 00000073 ecall
        0 M exception environment call from M-mode, value 0x0, at 0x8000000c, to M

        """

    private func lines(of command: String, steps: Int = 4) throws -> String {
        _ = try debugger.execute("trace \(file.path) \(command)")
        _ = try debugger.execute("stepi \(steps)")
        _ = try debugger.execute("trace stop")
        return file.text
    }

    @Test("everything a hart does is there, in order")
    func everything() throws {
        #expect(try lines(of: "instructions memory exceptions") == Self.everything)
    }

    @Test("a run at full speed is traced like single steps")
    func freeRun() throws {
        _ = try debugger.execute("trace \(file.path) ins mem exc hart 0")
        _ = try debugger.execute("watch *(u64*)0x80001000 if $new == 3")
        _ = try debugger.execute("continue")
        #expect(try debugger.execute("trace").text == "\(file.path): exceptions, instructions, memory; 17 lines so far\n")
        _ = try debugger.execute("trace stop")
        #expect(file.text.hasPrefix(Self.everything))
        #expect(file.text.hasSuffix("0 M store 0x80001000 size 8 old 0x2 new 0x3 by 0x80000004\n"))
    }

    @Test("filters keep what they name", arguments: [
        ("instructions code 0x80000004+4", "0 M exec 0x80000004 00553023 sd t0,0(a0)\n"),
        ("mmio", "0 M mmio-write uart0+0x0 size 1 new 0x1 by 0x80000008\n"),
        ("memory data 0x80001007..0x80001007", "0 M store 0x80001000 size 8 old 0x0 new 0x1 by 0x80000004\n"),
        ("memory data 0x80001008+8", ""),
        ("exceptions", "0 M exception environment call from M-mode, value 0x0, at 0x8000000c, to M\n"),
        ("instructions hart 1", ""), ("instructions priv U priv S", ""),
        ("mmio exceptions code 0x80000008..0x80000008 priv m", "0 M mmio-write uart0+0x0 size 1 new 0x1 by 0x80000008\n"),
    ])
    func filters(_ command: String, _ expected: String) throws {
        #expect(try lines(of: command) == expected)
    }

    @Test("a function's name stands for its addresses, and instructions are named by it")
    func symbols() throws {
        let list = "0000000080000000 T start\n0000000080000008 T print\n000000008000000c T call\n"
        debugger.symbols.add(try SymbolFile(Array(list.utf8), name: "list"))
        #expect(try lines(of: "instructions code print..call").contains("exec 0x80000008 <print> 00558023 sb t0,0(a1)\n"))
        #expect(debugger.failure("trace \(file.path) code start").contains("the size of 'start' is not known"))
    }

    @Test("an instruction of two halves in two pages is whole")
    func acrossPages() throws {
        guest.place([0x0001_0001, RVAssembly.addImmediate(5, 5, 2)], at: Self.ram + 0xffa)
        guest["pc"] = Self.ram + 0xffe
        #expect(try lines(of: "instructions", steps: 1) == "0 M exec 0x80000ffe 00228293 addi t0,t0,2\n")
    }

    @Test("wrong commands are refused with what would be right", arguments: [
        ("trace /nonexistent/file", "trace: cannot create '/nonexistent/file': No such file or directory"),
        ("trace F instructoins", "trace: 'instructoins' is neither a kind of line nor a filter; did you mean 'instructions'?; known are "),
        ("trace F code", "trace: something is needed after 'code'"), ("trace F code 5..4", "ends before it begins"), ("trace F data 5+0", "is empty"),
        ("trace F code nosuchthing", "'nosuchthing' is no range of addresses"), ("trace F hart 2", "there is no hart 2; they are 0 to 1"),
        ("trace F priv X", "'X' is not a privilege"), ("trace stop", "nothing is being traced"),
    ])
    func failures(_ command: String, _ message: String) {
        #expect(debugger.failure(command.replacing(" F ", with: " \(file.path) ")).contains(message))
    }

    @Test("there is one trace at a time, and a full disk is told of")
    func trouble() throws {
        _ = try debugger.execute("trace /dev/full")
        #expect(debugger.failure("trace \(file.path)").contains("'/dev/full' is being written; 'trace stop' ends that"))
        _ = try debugger.execute("stepi 4")
        #expect(debugger.failure("trace stop") == "trace: '/dev/full' is incomplete: No space left on device")
        #expect(try debugger.execute("trace").text == "nothing is being traced\n")
    }

    @Test("the end of the debugger completes a trace")
    func finish() throws {
        _ = try debugger.execute("trace \(file.path) instructions memory exceptions")
        _ = try debugger.execute("stepi 4")
        #expect(debugger.recordings.finish() == [])
        #expect(file.text == Self.everything)
    }

    @Test("a guest that is not traced any more runs as before, and a traced one as if it were not")
    func noEffect() throws {
        func hash(_ trace: Bool) throws -> UInt64 {
            let guest = try DebugGuest([RVAssembly.addImmediate(5, 5, 1), RVAssembly.storeDouble(5, 10, 0), RVAssembly.jump(-8)], harts: 2)
            try guest.begin()
            guest["a0"] = Self.ram + 0x1000
            let debugger = Debugger(guest.session)
            if trace { _ = try debugger.execute("trace \(file.path) memory instructions") }
            _ = try debugger.execute("watch *(u64*)0x80001000 if $new == 20000")
            _ = try debugger.execute("continue")
            if trace { _ = try debugger.execute("trace stop") }
            _ = try debugger.execute("stepi 1000")
            return try guest.machine.stateHash()
        }
        #expect(try hash(true) == hash(false))
    }
}
