import EmuControl
import Testing

/// The functions of rules.S, with a stack of 8-byte words from 0x1000 on.
private struct Rules {
    let symbols = SymbolTable()
    let unwinder: Unwinder

    init(_ words: [UInt64]) throws {
        symbols.add(try SymbolFixture.riscvRules.open())
        let stack = TestMemory(start: 0x1000, contents: words.flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> ($0 * 8)) } })
        unwinder = Unwinder(symbols: symbols, memory: stack, architecture: .riscv)
    }

    func caller(_ function: String, _ offset: UInt64, _ registers: [Int: UInt64]) throws -> FrameRegisters? {
        unwinder.registersOfCaller(of: FrameRegisters(pc: try symbols.resolve(function) + offset, registers))
    }
}

@Test func aFunctionsFirstInstructionReturnsByTheLinkRegister() throws {
    let caller = try Rules([]).caller("rules", 0, [1: 0x8000_0101, 2: 0x1000, 8: 7, 10: 1])
    // Bit 0 of a return address is no part of it; a0 is not preserved.
    #expect(caller == FrameRegisters(pc: 0x8000_0100, [1: 0x8000_0101, 2: 0x1000, 8: 7].filter { $0.key != 1 }))
}

@Test func aSavedRegisterIsReadAtItsOffsetFromTheCFA() throws {
    let caller = try #require(try Rules([1, 0x8000_0200]).caller("rules", 4, [1: 5, 2: 0x1000]))
    #expect(caller.pc == 0x8000_0200)
    #expect(caller[2] == 0x1010)
}

@Test func aCFAMayBeInMemory() throws {
    // The CFA is what is at sp + 8; the return address is below it.
    let caller = try #require(try Rules([0, 0x1020, 0, 0x8000_0300]).caller("rules", 8, [2: 0x1000]))
    #expect(caller[2] == 0x1020)
    #expect(caller.pc == 0x8000_0300)
}

@Test func rememberedStatesComeBack() throws {
    let caller = try #require(try Rules([1, 0x8000_0200]).caller("rules", 12, [2: 0x1000]))
    #expect(caller.pc == 0x8000_0200)
    #expect(caller[2] == 0x1010)
}

@Test func registersHaveExpressionsAndOtherRegistersAsRules() throws {
    let caller = try #require(try Rules([0, 0, 0, 0x1234]).caller("rules", 16, [2: 0x1000, 5: 0x8000_0400, 9: 1, 18: 2]))
    #expect(caller.pc == 0x8000_0400)
    #expect(caller[9] == 0x1014)
    #expect(caller[18] == 0x1234)
}

@Test func registersAreValuesOrLost() throws {
    let caller = try #require(try Rules([0, 0, 0, 0]).caller("rules", 20, [2: 0x1000, 5: 0x8000_0400, 19: 3, 20: 4, 21: 5]))
    #expect(caller[19] == 0x1000)
    #expect(caller[20] == nil)
    #expect(caller[21] == 5)
}

@Test func expressionsKnowEveryOperation() throws {
    let caller = try #require(try Rules([]).caller("arithmetic", 0, [1: 0x8000_0100, 2: 0x1000]))
    #expect(caller[2] == 0x1010)
}

@Test func anInterruptedFunctionsAddressIsExact() throws {
    let rules = try Rules([0x8000_0000, 0, 0x1018, 0])
    let trace = Backtrace(FrameRegisters(pc: try rules.symbols.resolve("interrupted"), [2: 0x1000]), rules.unwinder)
    // At the very beginning of `rules`: as a return address it would belong to what is before.
    #expect(trace.frames.count >= 2)
    #expect(trace.frames[1].symbol?.description == "rules")
    #expect(trace.frames[1].registers[2] == 0x1018)
}

@Test func aStackThatCannotBeReadEndsTheTrace() throws {
    let rules = try Rules([])
    let trace = Backtrace(FrameRegisters(pc: try rules.symbols.resolve("rules") + 4, [2: 0x9000]), rules.unwinder)
    #expect(trace.frames.count == 1)
    #expect(trace.end == .unreadable(0x9008))
    #expect(trace.end.description == "the stack at 0x9008 cannot be read")
}

@Test func aStackThatLeadsBackToItselfEndsTheTrace() throws {
    // Its CFA is where its stack pointer is, and its return address leads back into it.
    let rules = try Rules([0, 0x1000])
    let stack = try Rules([0x8000_0009, 0x1000]).unwinder.memory
    let unwinder = Unwinder(symbols: rules.symbols, memory: stack, architecture: .riscv)
    let trace = Backtrace(FrameRegisters(pc: try rules.symbols.resolve("rules"), [1: try rules.symbols.resolve("rules") + 1, 2: 0x1000]), unwinder)
    #expect(trace.frames.count < 10)
    let limited = Backtrace(FrameRegisters(pc: try rules.symbols.resolve("rules") + 4, [2: 0x1000]), unwinder, limit: 1)
    #expect(limited.frames.count == 1)
    #expect(limited.end == .limit)
}

/// AArch64: in `leaf`, called by `middle`, called by `program`, called by `_start`.
private func aarch64Stack() -> (registers: FrameRegisters, memory: TestMemory) {
    var words = [UInt64](repeating: 0, count: 16)
    // Frames as the convention has them: the caller's frame pointer, the return address.
    words[0] = 0x1020
    // Signed by pointer authentication: only the address counts.
    words[1] = 0x0025_0000_8000_0160
    words[4] = 0
    words[5] = 0x8000_0014
    let memory = TestMemory(start: 0x1000, contents: words.flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> ($0 * 8)) } })
    return (FrameRegisters(pc: 0, [29: 0x1000, 30: 0, 31: 0x1000]), memory)
}

@Test func aarch64IsUnwoundByItsCallFrameInformation() throws {
    let symbols = SymbolTable()
    symbols.add(try SymbolFixture.aarch64.open())
    var (registers, memory) = aarch64Stack()
    registers.pc = try #require(symbols.places(named: "leaf").first).address
    let middle = try symbols.resolve("middle")
    registers[30] = middle + 0x30
    let program = try symbols.resolve("program")
    memory.contents.set(8, 8, 0x0025_0000_0000_0000 | (program + 0x18))
    memory.contents.set(40, 8, try symbols.resolve("_start") + 20)
    let trace = Backtrace(registers, Unwinder(symbols: symbols, memory: memory, architecture: .aarch64))
    #expect(trace.frames.map { $0.symbol?.description } == ["leaf", "middle+0x30", "program+0x18", "_start+0x14"])
    #expect(trace.frames.map(\.cfa) == [0x1000, 0x1020, 0x1040, 0x1040])
    #expect(trace.end == .outermost)
}

@Test func aListOfNamesLeavesTheChainOfFramePointers() throws {
    // As without any file of the guest's but its System.map.
    let symbols = SymbolTable()
    symbols.add(try SymbolFile(Array("80000000 T entry\n80000100 T outer\n80000200 T inner\n80000300 T end\n".utf8), name: "map"))
    var (registers, memory) = aarch64Stack()
    memory.contents.set(8, 8, 0x8000_0110)
    memory.contents.set(40, 8, 0x8000_0008)
    registers.pc = 0x8000_0240
    let trace = Backtrace(registers, Unwinder(symbols: symbols, memory: memory, architecture: .aarch64))
    #expect(trace.frames.map { $0.symbol?.description } == ["inner+0x40", "outer+0x10", "entry+0x8"])
    #expect(trace.frames.map(\.source) == [.registers, .framePointer, .framePointer])
    #expect(trace.end == .outermost)
}

@Test func linuxKeepsTheInterruptedRegistersOnTheStack() throws {
    let symbols = SymbolTable()
    symbols.add(try SymbolFile(Array("80000100 T handler\n80000200 T handle_exception\n80000300 T ret_from_exception\n80000400 T victim\n".utf8), name: "map"))
    var words = [UInt64](repeating: 0, count: 48)
    // The handler's frame at 0x1000: its caller is entry code, whose stack pointer is at the saved registers, 0x1010.
    words[1] = 0x8000_0300
    words[2] = 0x8000_0444
    words[2 + 2] = 0x1160
    words[2 + 8] = 0
    let memory = TestMemory(start: 0x1000, contents: words.flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> ($0 * 8)) } })
    let trace = Backtrace(FrameRegisters(pc: 0x8000_0120, [2: 0x1000, 8: 0x1010]), Unwinder(symbols: symbols, memory: memory, architecture: .riscv))
    #expect(trace.frames.map { $0.symbol?.description } == ["handler+0x20", "handle_exception+0x100", "victim+0x44"])
    #expect(trace.frames.last?.source == .trapFrame)
    #expect(trace.frames.last?.registers[2] == 0x1160)
}
