import EmuControl
import EmuMachine
import Foundation
import TestSupport
import Testing

/// `coverage`: counts against single steps, lines against what the toolchain's symbolizer says.
@Suite struct CoverageTests {
    /// The fixture under a debugger, at its entry.
    private func makeDebugger() throws -> Debugger {
        var config = MachineConfig()
        config.clock = .virtual
        config.firmware = .none
        config.kernel = SymbolFixture.riscvDWARF5.path
        let debugger = Debugger(try DebugSession(try Machine(config)))
        debugger.symbols.add(try SymbolFixture.riscvDWARF5.open())
        _ = try debugger.execute("advance _start")
        return debugger
    }

    private static let steps = 5000

    @Test("lines carry the count of their most executed instruction, in every file there is")
    func lines() throws {
        // What is executed, found out by steps.
        let stepped = try makeDebugger()
        var counts: [UInt64: UInt64] = [:]
        for _ in 0..<Self.steps {
            counts[stepped.session.pc, default: 0] += 1
            _ = try stepped.session.step()
        }
        struct Line: Hashable {
            var file: String
            var line: Int
        }
        var expected: [Line: UInt64] = [:]
        for expectation in try SymbolFixture.riscvDWARF5.expectations() {
            guard let scope = expectation.scopes.first, scope.line > 0 else { continue }
            let line = Line(file: scope.file, line: scope.line)
            expected[line] = max(expected[line] ?? 0, counts[expectation.address] ?? 0)
        }

        let debugger = try makeDebugger()
        let file = ScratchFile()
        _ = try debugger.execute("coverage start")
        _ = try debugger.execute("stepi \(Self.steps)")
        _ = try debugger.execute("coverage save \(file.path)")
        var found: [Line: UInt64] = [:]
        var source = ""
        for record in file.text.split(separator: "\n") {
            if record.hasPrefix("SF:") { source = String(record.dropFirst(3)) }
            guard record.hasPrefix("DA:") else { continue }
            let numbers = record.dropFirst(3).split(separator: ",")
            found[Line(file: source, line: try #require(Int(numbers[0])))] = try #require(UInt64(numbers[1]))
        }
        #expect(found == expected)
        #expect(found.values.contains(0) && found.values.contains { $0 > 1 })
    }

    @Test("functions are there with their lines and calls, and the sums are right")
    func records() throws {
        let debugger = try makeDebugger()
        let file = ScratchFile()
        try debugger.recordings.startCoverage(savingTo: file.path)
        // To the second round of the program's loop.
        _ = try debugger.execute("advance middle")
        _ = try debugger.execute("stepi")
        _ = try debugger.execute("advance middle")
        #expect(debugger.recordings.finish() == [])
        let record = try #require(file.text.components(separatedBy: "end_of_record\n").first { $0.contains("calls.c\n") })
        // fact(4) calls itself three times.
        #expect(record.contains("FNDA:4,fact\n") && record.contains("FNDA:1,middle\n") && record.contains("FNDA:1,program\n"))
        let names = record.split(separator: "\n").filter { $0.hasPrefix("FN:") }, lines = record.split(separator: "\n").filter { $0.hasPrefix("DA:") }
        #expect(record.contains("FNF:\(names.count)\n") && record.contains("LF:\(lines.count)\n"))
        #expect(record.contains("LH:\(lines.filter { !$0.hasSuffix(",0") }.count)\n"))
        #expect(record.hasPrefix("TN:\nSF:"))
        #expect(try debugger.execute("coverage").text.contains("         4"))
    }

    @Test("without line numbers functions are told of, by the instructions executed")
    func functions() throws {
        let guest = try DebugGuest([
            RVAssembly.nop, RVAssembly.call(12), RVAssembly.jump(-4), RVAssembly.nop, RVAssembly.jumpRegister(0, 1), RVAssembly.nop, RVAssembly.nop,
        ])
        try guest.begin()
        let debugger = Debugger(guest.session)
        #expect(debugger.failure("coverage") == "coverage: nothing was counted; 'coverage start' begins")
        _ = try debugger.execute("coverage start")
        #expect(try debugger.execute("coverage").text.hasPrefix("no functions are known"))
        let list = "0000000080000000 T main\n0000000080000010 T leaf\n0000000080000014 T unused\n000000008000001c T end\n"
        debugger.symbols.add(try SymbolFile(Array(list.utf8), name: "list"))
        _ = try debugger.execute("stepi 9")
        #expect(try debugger.execute("coverage").text == """
            2 of 3 functions, 4 of 7 instructions executed
                 calls  instructions  function
                     1           3/4  main
                     3           1/1  leaf

            """)
        #expect(debugger.failure("coverage save \(ScratchFile().path)").contains("no line numbers are loaded"))
        #expect(debugger.failure("coverage start") == "coverage: instructions are being counted already")
        _ = try debugger.execute("coverage stop")
        _ = try debugger.execute("stepi 8")
        #expect(try debugger.execute("coverage").text.contains("4 of 7"))
        _ = try debugger.execute("coverage clear")
        #expect(try debugger.execute("coverage").text == "0 of 3 functions, 0 of 7 instructions executed\n")
        #expect(debugger.failure("coverage stop").contains("nothing is being counted"))
        #expect(throws: DebugError.self) { try debugger.recordings.startCoverage(savingTo: "/nonexistent/file") }
    }
}
