import EmuControl
import EmuDevices
import EmuMachine
import Foundation
import Testing

/// A fixture under the debugger's commands.
private func debugger(_ fixture: SymbolFixture) throws -> Debugger {
    var config = MachineConfig()
    config.clock = .virtual
    config.firmware = .none
    config.kernel = fixture.path
    let debugger = Debugger(try DebugSession(try Machine(config)))
    _ = try debugger.execute("symbols \(fixture.path) auto")
    return debugger
}

@Test func backtracesShowCallersAndInlinedFunctions() throws {
    let debugger = try debugger(.riscvDWARF5)
    _ = try debugger.execute("tbreak inline.h:5")
    _ = try debugger.execute("continue")
    let lines = try debugger.execute("bt").text.split(separator: "\n").map(String.init)
    #expect(lines.count == 5)
    #expect(lines.prefix(2) == ["    inlined square at /fixtures/inline.h:5", "    inlined sum_of_squares at /fixtures/inline.h:9"])
    #expect(lines.dropFirst(2).map { String($0.prefix(4)) } == ["#0  ", "#1  ", "#2  "])
    #expect(lines[2].contains("<middle+0x"))
    // The line of the call, not of what it returns to.
    #expect(lines[3].contains("<program+0x") && lines[3].hasSuffix("at /fixtures/calls.c:60"))
    #expect(lines[4].contains("at /fixtures/start.S:11"))
    _ = try debugger.execute("finish")
    #expect(debugger.session.symbols?.symbol(at: debugger.session.pc)?.name == "program")
}

@Test func linesAreListedWhereTheFilesAre() throws {
    let debugger = try debugger(.riscvDWARF5)
    #expect(throws: DebugError("/fixtures/calls.c, line 14, is not on this machine; say where it is with 'directory'")) {
        try debugger.execute("list leaf")
    }
    let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../Fixtures/source").standardizedFileURL.path
    _ = try debugger.execute("directory /fixtures \(folder)")
    let first = try debugger.execute("list leaf").text
    #expect(first.contains("14    ") && first.contains("return x + 1;"))
    // What follows.
    let next = try debugger.execute("list").text
    #expect(next.contains("long rest = fact(n - 1);") && !next.contains("return x + 1;"))
}
