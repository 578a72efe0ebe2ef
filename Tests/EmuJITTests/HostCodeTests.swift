import EmuJIT
import Testing

/// Generated functions, run. Only where the host is x86-64.
#if arch(x86_64)

/// Links the code, puts it in `buffer` and returns where it runs.
private func place(_ assembler: inout X86Assembler, in buffer: CodeBuffer) throws -> UnsafeRawPointer {
    let offset = try #require(buffer.allocate(assembler.position))
    let linked = assembler.link(at: UInt(bitPattern: buffer.executable(offset)))
    #expect(linked)
    assembler.withBytes { buffer.write($0, at: offset) }
    return buffer.executable(offset)
}

// SAFETY of every call below: the code follows the C calling convention for the type it is cast to, and `buffer` outlives the calls.
private typealias Binary = @convention(c) (UInt64, UInt64) -> UInt64
private typealias OnMemory = @convention(c) (UnsafeMutableRawPointer, UInt64) -> UInt64
private typealias Ternary = @convention(c) (Double, Double, Double) -> Double

@Test func loopWithBackwardJumpSums() throws {
    let buffer = try CodeBuffer(capacity: 1 << 16)
    var assembler = X86Assembler()
    assembler.alu(.xor, .rax, .rax, .long)
    let top = assembler.here()
    assembler.alu(.add, .rax, .rdi)
    assembler.alu(.sub, .rdi, immediate: 1)
    assembler.jcc(.ne, top)
    assembler.ret()
    #expect(assembler.position == 2 + 3 + 4 + 2 + 1, "the jump is short")
    let sum = unsafeBitCast(try place(&assembler, in: buffer), to: Binary.self)
    #expect(sum(100, 0) == 5050)
}

@Test func forwardJumpsOfOneLabelAllArrive() throws {
    let buffer = try CodeBuffer(capacity: 1 << 16)
    var assembler = X86Assembler()
    let small = assembler.newLabel()
    assembler.mov(.rax, immediate: 1)
    assembler.alu(.cmp, .rdi, immediate: 10)
    assembler.jcc(.b, small)
    assembler.alu(.cmp, .rsi, immediate: 10)
    assembler.jcc(.b, small)
    assembler.mov(.rax, immediate: 2)
    assembler.bind(small)
    assembler.ret()
    let test = unsafeBitCast(try place(&assembler, in: buffer), to: Binary.self)
    #expect(test(9, 10) == 1)
    #expect(test(10, 9) == 1)
    #expect(test(10, 10) == 2)
}

@Test(arguments: [0, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0x1_0000_0000, -1, -0x8000_0000, -0x8000_0001, Int64.min, Int64.max])
func movLoadsEveryImmediate(value: Int64) throws {
    let buffer = try CodeBuffer(capacity: 1 << 12)
    var assembler = X86Assembler()
    assembler.mov(.rax, immediate: value)
    assembler.mov(.r9, immediate: value)
    assembler.alu(.xor, .rax, .r9)
    assembler.alu(.xor, .rax, .r9)
    assembler.ret()
    let load = unsafeBitCast(try place(&assembler, in: buffer), to: Binary.self)
    #expect(load(0, 0) == UInt64(bitPattern: value))
}

@Test func longBackwardJumpsReachToo() throws {
    let buffer = try CodeBuffer(capacity: 1 << 16)
    var assembler = X86Assembler(capacity: 16)
    assembler.mov(.rax, immediate: 0)
    let top = assembler.here()
    for _ in 0..<1000 { assembler.alu(.add, .rax, immediate: 1000) }
    assembler.alu(.sub, .rdi, immediate: 1)
    assembler.jcc(.ne, top)
    assembler.ret()
    let run = unsafeBitCast(try place(&assembler, in: buffer), to: Binary.self)
    #expect(run(3, 0) == 3_000_000)
}

@Test func callsInsideTheCodeReturn() throws {
    let buffer = try CodeBuffer(capacity: 1 << 16)
    var assembler = X86Assembler()
    let double = assembler.newLabel()
    assembler.push(.rbx)
    assembler.call(double)
    assembler.call(double)
    assembler.mov(.rax, .rdi)
    assembler.pop(.rbx)
    assembler.ret()
    assembler.align(to: 16)
    #expect(assembler.position % 16 == 0)
    assembler.bind(double)
    assembler.alu(.add, .rdi, .rdi)
    assembler.ret()
    let run = unsafeBitCast(try place(&assembler, in: buffer), to: Binary.self)
    #expect(run(5, 0) == 20)
}

@Test func absoluteTargetsAreReachedWhereverTheCodeIsPlaced() throws {
    let buffer = try CodeBuffer(capacity: 1 << 16)
    var callee = X86Assembler()
    callee.lea(.rax, X86Memory(.rdi, index: .rsi, .by4, -3))
    callee.ret()
    let target = UInt(bitPattern: try place(&callee, in: buffer))

    var caller = X86Assembler()
    let direct = caller.newLabel()
    caller.call(address: target)
    caller.alu(.cmp, .rax, immediate: 0)
    caller.jcc(.g, direct)
    caller.jmp(address: target)
    caller.bind(direct)
    caller.mov(.rdi, .rax)
    caller.jcc(.g, address: target)
    caller.ud2()
    let run = unsafeBitCast(try place(&caller, in: buffer), to: Binary.self)
    #expect(run(10, 2) == 10 + 8 - 3 + 8 - 3)
    #expect(Int64(bitPattern: run(0, 0)) == -3)
    let far = caller.link(at: target &+ 1 << 40 & ~15)
    #expect(!far)
}

@Test func patchableJumpIsAimedAnew() throws {
    let buffer = try CodeBuffer(capacity: 1 << 16)
    var assembler = X86Assembler()
    var fields: [Int] = []
    let first = assembler.newLabel()
    let second = assembler.newLabel()
    // One of them after each number of bytes, so that every padding occurs.
    for count in 0..<16 {
        assembler.nop(count)
        let skip = assembler.newLabel()
        assembler.jcc(.ne, skip)
        fields.append(assembler.jccPatchable(.ne, first))
        assembler.bind(skip)
    }
    let last = assembler.jmpPatchable(first)
    fields.append(last)
    assembler.bind(first)
    assembler.mov(.rax, immediate: 1)
    assembler.ret()
    assembler.bind(second)
    assembler.mov(.rax, immediate: 2)
    assembler.ret()
    #expect(fields.allSatisfy { $0 % 8 <= 4 })

    let base = try #require(buffer.allocate(assembler.position))
    #expect(base % 16 == 0)
    assembler.withBytes { buffer.write($0, at: base) }
    let run = unsafeBitCast(buffer.executable(base), to: Binary.self)
    #expect(run(0, 0) == 1)
    let offset = assembler.offset(of: second)
    let target = try #require(offset)
    buffer.patch32(at: base + last, Int32(target - (last + 4)))
    #expect(run(0, 0) == 2)
}

@Test func tableOfLabelsBesideTheCodeIsReached() throws {
    let buffer = try CodeBuffer(capacity: 1 << 16)
    var assembler = X86Assembler()
    let table = assembler.newLabel()
    assembler.lea(.rdx, table)
    assembler.mov(.rax, X86Memory(.rdx, index: .rdi, .by8))
    assembler.ret()
    assembler.align(to: 8)
    assembler.bind(table)
    for value: UInt64 in [3, 0x1234_5678_9abc_def0, .max] { assembler.data(value) }
    let load = unsafeBitCast(try place(&assembler, in: buffer), to: Binary.self)
    #expect((0..<3).map { load($0, 0) } == [3, 0x1234_5678_9abc_def0, .max])
}

@Test func memoryOfEveryWidthIsReadAndWritten() throws {
    let buffer = try CodeBuffer(capacity: 1 << 16)
    var assembler = X86Assembler()
    assembler.mov(X86Memory(.rdi, 0), .rsi, .byte)
    assembler.mov(X86Memory(.rdi, 2), .rsi, .word)
    assembler.mov(X86Memory(.rdi, 4), .rsi, .long)
    assembler.mov(X86Memory(.rdi, 8), .rsi)
    assembler.mov(X86Memory(.rdi, 16), immediate: -2)
    assembler.movsx(.rax, X86Memory(.rdi, 2), from: .word)
    assembler.movzx(.rcx, X86Memory(.rdi, 0), from: .byte)
    assembler.alu(.add, .rax, .rcx)
    assembler.lockXadd(X86Memory(.rdi, 8), .rax)
    assembler.ret()
    let run = unsafeBitCast(try place(&assembler, in: buffer), to: OnMemory.self)
    var memory = [UInt64](repeating: 0, count: 3)
    let old = memory.withUnsafeMutableBytes { run($0.baseAddress!, 0x8182_8384_8586_8788) }
    #expect(old == 0x8182_8384_8586_8788)
    let added = UInt64(bitPattern: Int64(Int16(bitPattern: 0x8788))) &+ 0x88
    #expect(memory == [0x8586_8788_8788_0088, 0x8182_8384_8586_8788 &+ added, UInt64(bitPattern: -2)])
}

@Test func wideMultiplicationAndDivisionFollowTheirFixedRegisters() throws {
    let buffer = try CodeBuffer(capacity: 1 << 16)
    var assembler = X86Assembler()
    // (a * b) / b + remainder, with the 128-bit product.
    assembler.mov(.rax, .rdi)
    assembler.unary(.mul, .rsi)
    assembler.unary(.div, .rsi)
    assembler.alu(.add, .rax, .rdx)
    assembler.ret()
    let run = unsafeBitCast(try place(&assembler, in: buffer), to: Binary.self)
    #expect(run(.max, .max) == .max)
    #expect(run(0x1234_5678_9abc_def0, 0xfedc_ba98) == 0x1234_5678_9abc_def0)
}

@Test(.enabled(if: HostFeatures.current.contains(.bmi2)))
func mulxAndShiftsPutOperandsWhereTheyBelong() throws {
    let buffer = try CodeBuffer(capacity: 1 << 16)
    var assembler = X86Assembler()
    assembler.mov(.rdx, .rdi)
    assembler.mulx(high: .r8, low: .r9, .rsi)
    assembler.mov(.rcx, immediate: 4)
    assembler.shlx(.r8, .r8, .rcx)
    assembler.mov(.rcx, immediate: 60)
    assembler.shrx(.rax, .r9, .rcx)
    assembler.alu(.or, .rax, .r8)
    assembler.rorx(.rax, .rax, by: 8)
    assembler.ret()
    let run = unsafeBitCast(try place(&assembler, in: buffer), to: Binary.self)
    let (high, low) = UInt64(0xfedc_ba98_7654_3210).multipliedFullWidth(by: 0x0fed_cba9_8765_4321)
    let expected = high << 4 | low >> 60
    #expect(run(0xfedc_ba98_7654_3210, 0x0fed_cba9_8765_4321) == expected >> 8 | expected << 56)
}

@Test(.enabled(if: HostFeatures.current.contains(.fma)), arguments: X86FMA.allCases, X86FMAOrder.allCases)
func fusedOperationsMultiplyAndAddTheRightOperands(operation: X86FMA, order: X86FMAOrder) throws {
    let buffer = try CodeBuffer(capacity: 1 << 16)
    var assembler = X86Assembler()
    assembler.fma(operation, order, .double, XMMRegister(0), XMMRegister(1), XMMRegister(2))
    assembler.ret()
    let run = unsafeBitCast(try place(&assembler, in: buffer), to: Ternary.self)
    let (first, second, third) = (3.0, 5.0, 11.0)
    let (product, addend) =
        switch order {
        case .o132: (first * third, second)
        case .o213: (second * first, third)
        case .o231: (second * third, first)
        }
    let expected =
        switch operation {
        case .madd: product + addend
        case .msub: product - addend
        case .nmadd: -product + addend
        case .nmsub: -product - addend
        }
    #expect(run(first, second, third) == expected)
}

@Test func conversionRoundsAsMXCSRSays() throws {
    let buffer = try CodeBuffer(capacity: 1 << 16)
    var assembler = X86Assembler()
    let (saved, own) = (X86Memory(.rdi), X86Memory(.rdi, 4))
    assembler.stmxcsr(saved)
    assembler.mov(own, .rsi, .long)
    assembler.ldmxcsr(own)
    assembler.movs(.double, XMMRegister(9), X86Memory(.rdi, 8))
    assembler.cvts2si(.double, .rax, XMMRegister(9))
    assembler.stmxcsr(own)
    assembler.ldmxcsr(saved)
    assembler.ret()
    let run = unsafeBitCast(try place(&assembler, in: buffer), to: OnMemory.self)
    // All exceptions masked; bits 14:13 say how to round: to nearest even, down, up, toward zero.
    for (mode, expected) in [(0, -2), (1, -3), (2, -2), (3, -2)] as [(UInt64, Int64)] {
        var memory: [UInt64] = [0, (-2.5).bitPattern]
        let result = memory.withUnsafeMutableBytes { run($0.baseAddress!, 0x1f80 | mode << 13) }
        #expect(Int64(bitPattern: result) == expected)
        #expect(memory[0] >> 32 & 0x3f == 0x20, "inexact and nothing else")
    }
}

@Test func comparisonTellsUnorderedFromEqual() throws {
    let buffer = try CodeBuffer(capacity: 1 << 16)
    var assembler = X86Assembler()
    assembler.movq(XMMRegister(8), .rdi)
    assembler.movq(XMMRegister(1), .rsi)
    assembler.alu(.xor, .rax, .rax, .long)
    assembler.mov(.rcx, immediate: 1)
    assembler.ucomis(.double, XMMRegister(8), XMMRegister(1))
    assembler.set(.ae, .rax)
    assembler.cmov(.p, .rax, .rcx)
    assembler.set(.p, .rcx)
    assembler.shift(.shl, .rcx, by: 4)
    assembler.alu(.or, .rax, .rcx)
    assembler.ret()
    let run = unsafeBitCast(try place(&assembler, in: buffer), to: Binary.self)
    #expect(run((1.0).bitPattern, (2.0).bitPattern) == 0)
    #expect(run((2.0).bitPattern, (2.0).bitPattern) == 1)
    #expect(run(Double.nan.bitPattern, (2.0).bitPattern) == 0x11)
}
#endif
