import EmuControl
import EmuMachine
import TestSupport
import Testing

/// Asks everything there is to ask; only that it returns matters.
func interrogate(_ contents: [UInt8]) {
    guard let file = try? SymbolFile(contents, name: "damaged") else { return }
    let table = SymbolTable()
    table.add(file)
    for symbol in file.symbols.prefix(16) { _ = table.places(named: symbol.displayName) }
    _ = table.completions(of: "")
    _ = try? table.resolve("facts")
    for address in stride(from: UInt64(0x8000_0000), to: 0x8000_0200, by: 22) {
        _ = table.lookup(address)
        _ = table.scopes(at: address)
        _ = file.debugInfo?.functionRanges(at: address)
        _ = table.bodyAddress(ofFunctionAt: address)
        _ = file.contents(at: address, 64)
    }
    if let architecture = file.machine.flatMap(UnwindArchitecture.init) {
        // A stack full of addresses of the code.
        let stack = TestMemory(start: 0x1000, contents: (0..<128).flatMap { [UInt8(truncatingIfNeeded: $0 * 22), 1, 0, 0x80, 0, 0, 0, 0] })
        let unwinder = Unwinder(symbols: table, memory: stack, architecture: architecture)
        for pc in stride(from: UInt64(0x8000_0000), to: 0x8000_0200, by: 34) {
            let registers = FrameRegisters(pc: pc, [1: 0x8000_0100, 2: 0x1100, 8: 0x1180, 29: 0x1180, 30: 0x8000_0100, 31: 0x1100])
            _ = Backtrace(registers, unwinder, limit: 20)
        }
        _ = KernelSlide.find(file, memory: stack, hints: [0x8020_0000])
    }
    _ = try? table.places(file: "calls.c", line: 30)
    _ = try? table.places(file: "inline.h", line: 5)
}

@Test(arguments: [SymbolFixture.riscvDWARF5, .riscvDWARF4, .riscvCompressed])
func truncatedFilesDoNoHarm(fixture: SymbolFixture) throws {
    let whole = try fixture.bytes()
    for length in stride(from: 0, to: whole.count, by: 97) { interrogate(Array(whole.prefix(length))) }
}

@Test(arguments: SymbolFixture.allCases)
func filesWithWrongBytesDoNoHarm(fixture: SymbolFixture) throws {
    let whole = try fixture.bytes()
    var random = SplitMix(seed: 0x5eed)
    for _ in 0..<150 {
        var damaged = whole
        for _ in 0..<1 + random.next() % 8 {
            let position = Int(random.next() % UInt64(whole.count))
            // Extremes are likelier to hurt than noise.
            damaged[position] = [0, 0x7f, 0x80, 0xff, UInt8(truncatingIfNeeded: random.next())][Int(random.next() % 5)]
        }
        interrogate(damaged)
    }
}

@Test func everySectionHeaderFieldMayBeWrong() throws {
    let whole = try SymbolFixture.riscvDWARF5.bytes()
    let table = Int(whole.number(40, 8))
    for section in 0..<Int(whole.number(60, 2)) {
        for field in [8, 16, 24, 32, 40] {
            for value: UInt64 in [0, 1, 0x7fff_ffff_ffff_ffff, .max, UInt64(whole.count)] {
                var damaged = whole
                damaged.set(table + section * 64 + field, 8, value)
                interrogate(damaged)
            }
        }
    }
}
