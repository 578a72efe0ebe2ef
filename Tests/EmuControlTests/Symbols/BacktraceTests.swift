import EmuControl
import Testing

/// Steps a fixture through its whole loop and compares each backtrace with the calls made; returns what differs.
private func differences(_ fixture: SymbolFixture, steps: Int, registers: Bool = true) throws -> [String] {
    let guest = try #require(try UnwindGuest(fixture))
    var result: [String] = []
    var deepest = 0
    for _ in 0..<steps {
        let trace = Backtrace(guest.registers, guest.unwinder)
        let expected = [guest.pc] + guest.calls.reversed().map(\.returnAddress)
        deepest = max(deepest, expected.count)
        let place = guest.symbols.lookup(guest.pc)?.description ?? "?"
        if trace.frames.map(\.pc) != expected || trace.end != .outermost {
            let names = trace.frames.map { $0.symbol?.description ?? "?" }
            result.append("\(place): \(names), \(trace.end); expected \(expected.map { guest.symbols.lookup($0)?.description ?? "?" })")
        } else if registers {
            for (frame, call) in zip(trace.frames.dropFirst(), guest.calls.reversed()) {
                if frame.registers[2] != call.stackPointer { result.append("\(place): stack pointer of frame \(frame.number)") }
                for register in UnwindGuest.preserved where frame.registers[register] != call.preserved[register] {
                    result.append("\(place): x\(register) of frame \(frame.number)")
                }
            }
        }
        guest.step()
    }
    // Through fact's recursion, or nothing was tested.
    #expect(deepest >= 7)
    return Array(result.prefix(8))
}

@Test(arguments: [SymbolFixture.riscvDWARF5, .riscvDWARF4, .riscvCompressed])
func atEveryInstructionTheCallersAreThoseThatCalled(fixture: SymbolFixture) throws {
    let wrong = try differences(fixture, steps: 700)
    #expect(wrong == [])
}

@Test func withoutUnwindInformationTheCallersAreFoundToo() throws {
    let wrong = try differences(.riscvFramePointer, steps: 700, registers: false)
    #expect(wrong == [])
}
