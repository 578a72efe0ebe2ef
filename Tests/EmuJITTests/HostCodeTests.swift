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

private typealias Binary = @convention(c) (UInt64, UInt64) -> UInt64
private typealias BinaryDouble = @convention(c) (Double, Double, Double) -> Double

@Test func loopWithBackwardJumpSums() throws {
    let buffer = try CodeBuffer(capacity: 1 << 16)
    var assembler = X86Assembler()
    assembler.alu(.xor, .rax, .rax, .long)
    let top = assembler.here()
    assembler.alu(.add, .rax, .rdi)
    assembler.alu(.sub, .rdi, immediate: 1)
    assembler.jcc(.ne, top)
    assembler.ret()
    // SAFETY: the code follows the C calling convention and `buffer` outlives the calls.
    let sum = unsafeBitCast(try place(&assembler, in: buffer), to: Binary.self)
    #expect(sum(100, 0) == 5050)
    #expect(assembler.position == 2 + 3 + 4 + 2 + 1)
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
#endif
