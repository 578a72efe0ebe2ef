import EmuJIT
import Testing

@Test func everyAddressingFormIsEncoded() throws {
    var listing = Listing()
    for memory in everyMemory {
        listing.add("mov r9, \(text(memory, "qword"))") { $0.mov(.r9, memory) }
        listing.add("mov \(text(memory, "byte")), sil") { $0.mov(memory, .rsi, .byte) }
        listing.add("lea edx, \(text(memory, ""))") { $0.lea(.rdx, memory, .long) }
        listing.add("shlx r10d, \(text(memory, "dword")), ebx") { $0.shlx(.r10, memory, .rbx, .long) }
    }
    try listing.check()
}

@Test func movesAreEncoded() throws {
    var listing = Listing()
    for width in X86Width.allCases {
        for first in X86Register.allCases {
            for second in X86Register.allCases {
                listing.add("mov \(first.name(width)), \(second.name(width))") { $0.mov(first, second, width) }
            }
            for memory in someMemory {
                listing.add("mov \(first.name(width)), \(text(memory, width))") { $0.mov(first, memory, width) }
                listing.add("mov \(text(memory, width)), \(first.name(width))") { $0.mov(memory, first, width) }
            }
        }
        for memory in someMemory {
            for value: Int32 in [0, 0x7f, -1, -0x80] {
                listing.add("mov \(text(memory, width))", immediate: Int64(value), width) { $0.mov(memory, immediate: value, width) }
            }
        }
    }
    for register in X86Register.allCases {
        for value: Int64 in [0, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff] {
            listing.add("mov \(register.name(.long))", immediate: value, .long) { $0.mov(register, immediate: value) }
        }
        for value: Int64 in [-1, -0x8000_0000] {
            listing.add("mov \(register.name())", immediate: value, .quad) { $0.mov(register, immediate: value) }
        }
        for value in [0x1_0000_0000, -0x8000_0001, Int64.max, Int64.min] {
            listing.add("movabs \(register.name())", immediate: value, .quad) { $0.mov(register, immediate: value) }
        }
        for width in bigWidths {
            listing.add("bswap \(register.name(width))") { $0.bswap(register, width) }
        }
        listing.add("push \(register.name())") { $0.push(register) }
        listing.add("pop \(register.name())") { $0.pop(register) }
    }
    try listing.check()
}

@Test func extensionsAreEncoded() throws {
    var listing = Listing()
    for register in someRegisters {
        for operand in integerOperands {
            for width in [X86Width.byte, .word] {
                listing.add("movzx \(register.name(.long)), \(text(operand, width))") { $0.movzx(register, operand, from: width) }
                for result in bigWidths {
                    listing.add("movsx \(register.name(result)), \(text(operand, width))") {
                        $0.movsx(register, operand, from: width, to: result)
                    }
                }
            }
            listing.add("mov \(register.name(.long)), \(text(operand, .long))") { $0.movzx(register, operand, from: .long) }
            listing.add("movsxd \(register.name()), \(text(operand, .long))") { $0.movsx(register, operand, from: .long) }
        }
    }
    try listing.check()
}

@Test(arguments: X86ALU.allCases)
func arithmeticIsEncoded(operation: X86ALU) throws {
    let name = "\(operation)"
    var listing = Listing()
    for width in X86Width.allCases {
        for register in X86Register.allCases {
            for operand in integerOperands {
                listing.add("\(name) \(register.name(width)), \(text(operand, width))") { $0.alu(operation, register, operand, width) }
            }
            for memory in someMemory {
                listing.add("\(name) \(text(memory, width)), \(register.name(width))") { $0.alu(operation, memory, register, width) }
                if operation != .cmp {
                    listing.add("lock \(name) \(text(memory, width)), \(register.name(width))") {
                        $0.lockALU(operation, memory, register, width)
                    }
                }
            }
        }
        let values: [Int32] =
            switch width {
            case .byte: [0, 1, 9, 0x10, 127, -1, -128]
            case .word: [0, 1, 9, 0x10, 127, 128, -1, -128, -129, 0x7fff, -0x8000]
            case .long, .quad: [0, 1, 9, 0x10, 127, 128, -1, -128, -129, .max, .min]
            }
        for operand in integerOperands {
            for value in values {
                listing.add("\(name) \(text(operand, width))", immediate: Int64(value), width) {
                    $0.alu(operation, operand, immediate: value, width)
                }
            }
        }
    }
    try listing.check()
}

@Test func testsAndUnaryArithmeticAreEncoded() throws {
    var listing = Listing()
    for width in X86Width.allCases {
        for operand in integerOperands {
            for register in X86Register.allCases {
                listing.add("test \(text(operand, width)), \(register.name(width))") { $0.test(operand, register, width) }
                listing.add("xchg \(text(operand, width)), \(register.name(width))") { $0.xchg(operand, register, width) }
            }
            for value: Int32 in [1, 0x7f, -1] {
                listing.add("test \(text(operand, width))", immediate: Int64(value), width) { $0.test(operand, immediate: value, width) }
            }
            for operation in X86Unary.allCases {
                listing.add("\(operation) \(text(operand, width))") { $0.unary(operation, operand, width) }
            }
        }
    }
    listing.add("cqo") { $0.cqo() }
    listing.add("cdq") { $0.cdq() }
    try listing.check()
}

@Test func multiplicationsAreEncoded() throws {
    var listing = Listing()
    for width in wideWidths {
        for register in someRegisters {
            for operand in integerOperands {
                let operands = "\(register.name(width)), \(text(operand, width))"
                listing.add("imul \(operands)") { $0.imul(register, operand, width) }
                for value: Int32 in [3, -3, 127, -128, 128, 0x1234] {
                    listing.add("imul \(operands)", immediate: Int64(value), width) { $0.imul(register, operand, immediate: value, width) }
                }
            }
        }
    }
    try listing.check()
}

@Test func shiftsAndBitTestsAreEncoded() throws {
    var listing = Listing()
    for operand in integerOperands {
        for width in X86Width.allCases {
            for operation in X86Shift.allCases {
                for count: UInt8 in [1, 2, 7, 31, 63] {
                    listing.add("\(operation) \(text(operand, width)), \(number(UInt64(count)))") {
                        $0.shift(operation, operand, by: count, width)
                    }
                }
                listing.add("\(operation) \(text(operand, width)), cl") { $0.shiftByCL(operation, operand, width) }
            }
        }
        for width in wideWidths {
            for operation in X86BitTest.allCases {
                for bit: UInt8 in [0, 9, 10, 63] {
                    listing.add("\(operation) \(text(operand, width)), \(number(UInt64(bit)))") {
                        $0.bitTest(operation, operand, bit: bit, width)
                    }
                }
            }
        }
    }
    for width in wideWidths {
        for operation in X86BitTest.allCases {
            for first in someRegisters {
                for second in someRegisters {
                    listing.add("\(operation) \(first.name(width)), \(second.name(width))") { $0.bitTest(operation, first, second, width) }
                }
            }
        }
    }
    try listing.check()
}

@Test func bitManipulationIsEncoded() throws {
    var listing = Listing()
    for width in bigWidths {
        for register in someRegisters {
            for operand in integerOperands {
                let two = "\(register.name(width)), \(text(operand, width))"
                listing.add("lzcnt \(two)") { $0.lzcnt(register, operand, width) }
                listing.add("tzcnt \(two)") { $0.tzcnt(register, operand, width) }
                listing.add("popcnt \(two)") { $0.popcnt(register, operand, width) }
                listing.add("blsr \(two)") { $0.blsr(register, operand, width) }
                for count: UInt8 in [1, 31] {
                    listing.add("rorx \(two), \(number(UInt64(count)))") { $0.rorx(register, operand, by: count, width) }
                }
                for third in [X86Register.rcx, .rbp, .r9, .r13] {
                    let last = "\(two), \(third.name(width))"
                    listing.add("shlx \(last)") { $0.shlx(register, operand, third, width) }
                    listing.add("shrx \(last)") { $0.shrx(register, operand, third, width) }
                    listing.add("sarx \(last)") { $0.sarx(register, operand, third, width) }
                    listing.add("bzhi \(last)") { $0.bzhi(register, operand, third, width) }
                    listing.add("bextr \(last)") { $0.bextr(register, operand, third, width) }
                    let middle = "\(register.name(width)), \(third.name(width)), \(text(operand, width))"
                    listing.add("andn \(middle)") { $0.andn(register, third, operand, width) }
                    listing.add("mulx \(middle)") { $0.mulx(high: register, low: third, operand, width) }
                    listing.add("pdep \(middle)") { $0.pdep(register, third, operand, width) }
                    listing.add("pext \(middle)") { $0.pext(register, third, operand, width) }
                }
            }
        }
    }
    try listing.check()
}

@Test(arguments: X86Condition.allCases)
func conditionsAreEncoded(condition: X86Condition) throws {
    // Capstone prefers these names to their synonyms.
    let name = "\(condition)"
    var listing = Listing()
    for operand in integerOperands {
        listing.add("set\(name) \(text(operand, .byte))") { $0.set(condition, operand) }
        for width in wideWidths {
            for register in someRegisters {
                listing.add("cmov\(name) \(register.name(width)), \(text(operand, width))") { $0.cmov(condition, register, operand, width) }
            }
        }
    }
    try listing.check()
    #expect(condition.inverted.inverted == condition)
    #expect(condition.inverted.rawValue == condition.rawValue ^ 1)
}

@Test func atomicsAreEncoded() throws {
    var listing = Listing()
    for memory in someMemory {
        for width in X86Width.allCases {
            for register in X86Register.allCases {
                let operands = "\(text(memory, width)), \(register.name(width))"
                listing.add("lock xadd \(operands)") { $0.lockXadd(memory, register, width) }
                listing.add("lock cmpxchg \(operands)") { $0.lockCmpxchg(memory, register, width) }
            }
        }
    }
    listing.add("mfence") { $0.mfence() }
    try listing.check()
}

@Test func jumpsThroughOperandsAndSingleInstructionsAreEncoded() throws {
    var listing = Listing()
    for operand in integerOperands {
        listing.add("jmp \(text(operand, .quad))") { $0.jmp(operand) }
        listing.add("call \(text(operand, .quad))") { $0.call(operand) }
    }
    listing.add("ret") { $0.ret() }
    listing.add("int3") { $0.int3() }
    listing.add("ud2") { $0.ud2() }
    listing.add("pause") { $0.pause() }
    try listing.check()
}
