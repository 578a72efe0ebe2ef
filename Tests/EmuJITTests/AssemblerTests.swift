import EmuJIT
import Testing

private func bytes(_ emit: (inout X86Assembler) -> Void) -> [UInt8] {
    var assembler = X86Assembler()
    emit(&assembler)
    return assembler.withBytes { Array($0) }
}

@Test func immediatesTakeTheirShortestForm() {
    #expect(bytes { $0.mov(.rax, immediate: 1) } == [0xb8, 1, 0, 0, 0])
    #expect(bytes { $0.mov(.r8, immediate: 0xffff_ffff) } == [0x41, 0xb8, 0xff, 0xff, 0xff, 0xff])
    #expect(bytes { $0.mov(.rax, immediate: -1) } == [0x48, 0xc7, 0xc0, 0xff, 0xff, 0xff, 0xff])
    #expect(bytes { $0.mov(.r15, immediate: 1 << 32) } == [0x49, 0xbf, 0, 0, 0, 0, 1, 0, 0, 0])
    #expect(bytes { $0.alu(.add, .rcx, immediate: 127) } == [0x48, 0x83, 0xc1, 0x7f])
    #expect(bytes { $0.alu(.add, .rcx, immediate: 128) } == [0x48, 0x81, 0xc1, 0x80, 0, 0, 0])
    #expect(bytes { $0.alu(.add, .rax, immediate: 128) } == [0x48, 0x05, 0x80, 0, 0, 0])
    #expect(bytes { $0.test(.rax, immediate: 1, .byte) } == [0xa8, 1])
    #expect(bytes { $0.alu(.and, .rcx, immediate: 0xffff, .word) } == [0x66, 0x83, 0xe1, 0xff])
    #expect(bytes { $0.imul(.rcx, .rdx, immediate: -128, .long) } == [0x6b, 0xca, 0x80])
}

@Test func displacementsTakeTheirShortestForm() {
    #expect(bytes { $0.mov(.rax, X86Memory(.rcx)) } == [0x48, 0x8b, 0x01])
    #expect(bytes { $0.mov(.rax, X86Memory(.rbp)) } == [0x48, 0x8b, 0x45, 0])
    #expect(bytes { $0.mov(.rax, X86Memory(.r13)) } == [0x49, 0x8b, 0x45, 0])
    #expect(bytes { $0.mov(.rax, X86Memory(.rsp)) } == [0x48, 0x8b, 0x04, 0x24])
    #expect(bytes { $0.mov(.rax, X86Memory(.r12, -128)) } == [0x49, 0x8b, 0x44, 0x24, 0x80])
    #expect(bytes { $0.mov(.rax, X86Memory(.r12, 128), .long) } == [0x41, 0x8b, 0x84, 0x24, 0x80, 0, 0, 0])
}

@Test func prefixesAppearOnlyWhereNeeded() {
    #expect(bytes { $0.mov(.rax, .rcx, .byte) } == [0x88, 0xc8])
    #expect(bytes { $0.mov(.rax, .rsi, .byte) } == [0x40, 0x88, 0xf0])
    #expect(bytes { $0.unary(.neg, .rax, .byte) } == [0xf6, 0xd8])
    #expect(bytes { $0.set(.e, .rbx) } == [0x0f, 0x94, 0xc3])
    // The two-byte VEX prefix, and what forces the three-byte one: a register above 7 in the r/m field, or another opcode map.
    let (low, high) = (XMMRegister(1), XMMRegister(9))
    #expect(bytes { $0.scalar(.add, .double, high, high, low) } == [0xc5, 0x33, 0x58, 0xc9])
    #expect(bytes { $0.scalar(.add, .double, low, low, high) } == [0xc4, 0xc1, 0x73, 0x58, 0xc9])
    #expect(bytes { $0.andn(.rax, .rcx, .rdx, .long) } == [0xc4, 0xe2, 0x70, 0xf2, 0xc2])
}

@Test func jumpsToBoundLabelsAreShortWhereTheyReach() {
    // A short jump reaches 128 bytes back from its end.
    for (distance, short) in [(0, true), (126, true), (127, false)] {
        var assembler = X86Assembler()
        let label = assembler.here()
        assembler.nop(distance)
        assembler.jmp(label)
        #expect(assembler.position == distance + (short ? 2 : 5))
        let start = assembler.position
        assembler.jcc(.s, label)
        #expect(assembler.position - start == (start + 2 <= 128 ? 2 : 6))
    }
}

@Test func jumpsLeadToTheirLabels() throws {
    var assembler = X86Assembler()
    let ahead = assembler.newLabel()
    let back = assembler.here()
    assembler.jmp(ahead)
    assembler.jcc(.le, ahead)
    assembler.call(ahead)
    assembler.lea(.r9, ahead)
    assembler.jmp(back)
    #expect(assembler.offset(of: ahead) == nil)
    assembler.bind(ahead)
    assembler.call(back)
    let linked = assembler.link(at: 0x1000)
    #expect(linked)
    let disassembler = try #require(HostDisassembler(.x86_64))
    let lines = assembler.withBytes { disassembler.lines($0, address: 0x1000).map(\.text) }
    #expect(
        lines == [
            "jmp 0x1019", "jle 0x1019", "call 0x1019", "lea r9, [rip + 2]", "jmp 0x1000", "call 0x1000",
        ])
}

@Test func nopsOfEveryLengthAreNops() throws {
    let disassembler = try #require(HostDisassembler(.x86_64))
    for count in 0...40 {
        let code = bytes { $0.nop(count) }
        #expect(code.count == count)
        let lines = disassembler.lines(code, address: 0)
        #expect(lines.count == (count + 8) / 9)
        // The two-byte one is "xchg ax, ax", which does nothing either.
        #expect(lines.allSatisfy { $0.mnemonic == "nop" || $0.bytes == [0x66, 0x90] })
    }
}

@Test func resetForgetsCodeAndLabels() {
    var assembler = X86Assembler(capacity: 1)
    for round in 0..<3 {
        assembler.reset()
        #expect(assembler.position == 0)
        let label = assembler.newLabel()
        assembler.jmp(label)
        for _ in 0..<(1000 << round) { assembler.int3() }
        assembler.bind(label)
        #expect(assembler.offset(of: label) == 5 + 1000 << round)
        let ends = assembler.withBytes { [$0[5], $0[$0.count - 1]] }
        #expect(ends == [0xcc, 0xcc])
    }
}
