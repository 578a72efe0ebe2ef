import EmuJIT
import Testing

@Test func vectorMovesAreEncoded() throws {
    var listing = Listing()
    for vector in someVectors {
        let name = text(vector, "")
        for register in X86Register.allCases {
            listing.add("movq \(name), \(register.name())") { $0.movq(vector, register) }
            listing.add("movq \(register.name()), \(name)") { $0.movq(register, vector) }
            listing.add("movd \(name), \(register.name(.long))") { $0.movd(vector, register) }
            listing.add("movd \(register.name(.long)), \(name)") { $0.movd(register, vector) }
        }
        for source in someVectors {
            listing.add("movaps \(name), \(text(source, ""))") { $0.movaps(vector, source) }
        }
        for source in vectorOperands {
            listing.add("movq \(name), \(text(source, "qword"))") { $0.movq(vector, source) }
        }
        for memory in someMemory {
            listing.add("movq \(text(memory, "qword")), \(name)") { $0.movq(memory, vector) }
            listing.add("movups \(name), \(text(memory, "xmmword"))") { $0.movups(vector, memory) }
            listing.add("movups \(text(memory, "xmmword")), \(name)") { $0.movups(memory, vector) }
            for format in X86Float.allCases {
                let place = text(memory, sizeName(format))
                listing.add("mov\(suffix(format)) \(name), \(place)") { $0.movs(format, vector, memory) }
                listing.add("mov\(suffix(format)) \(place), \(name)") { $0.movs(format, memory, vector) }
            }
        }
    }
    try listing.check()
}

@Test(arguments: X86Float.allCases)
func scalarArithmeticIsEncoded(format: X86Float) throws {
    let end = suffix(format)
    var listing = Listing()
    for vector in someVectors {
        for source in vectorOperands {
            let two = "\(text(vector, "")), \(text(source, sizeName(format)))"
            for operation in X86Scalar.allCases {
                listing.add("\(operation)\(end) \(two)") { $0.scalar(operation, format, vector, source) }
                for first in [XMMRegister(3), XMMRegister(14)] {
                    let three = "\(text(vector, "")), \(text(first, "")), \(text(source, sizeName(format)))"
                    listing.add("v\(operation)\(end) \(three)") { $0.vscalar(operation, format, vector, first, source) }
                }
            }
            listing.add("ucomi\(end) \(two)") { $0.ucomis(format, vector, source) }
            // This one Capstone shows with the size of the whole register.
            listing.add("comi\(end) \(text(vector, "")), \(text(source, "xmmword"))") { $0.comis(format, vector, source) }
            for rounding in X86Rounding.allCases {
                listing.add("round\(end) \(two), \(number(UInt64(rounding.rawValue)))") { $0.round(format, vector, source, rounding) }
            }
        }
    }
    try listing.check()
}

@Test(arguments: X86Float.allCases)
func fusedOperationsAreEncoded(format: X86Float) throws {
    var listing = Listing()
    for (operation, name) in zip(X86FMA.allCases, ["vfmadd", "vfmsub", "vfnmadd", "vfnmsub"]) {
        for (order, digits) in zip(X86FMAOrder.allCases, ["132", "213", "231"]) {
            for first in someVectors {
                for second in [XMMRegister(2), XMMRegister(11)] {
                    for third in vectorOperands {
                        let operands = "\(text(first, "")), \(text(second, "")), \(text(third, sizeName(format)))"
                        listing.add("\(name)\(digits)\(suffix(format)) \(operands)") {
                            $0.fma(operation, order, format, first, second, third)
                        }
                    }
                }
            }
        }
    }
    try listing.check()
}

@Test func conversionsAreEncoded() throws {
    var listing = Listing()
    for format in X86Float.allCases {
        let end = suffix(format)
        for width in bigWidths {
            for vector in someVectors {
                for operand in integerOperands {
                    listing.add("cvtsi2\(end) \(text(vector, "")), \(text(operand, width))") { $0.cvtsi2s(format, vector, operand, width) }
                }
            }
            for register in X86Register.allCases {
                for operand in vectorOperands {
                    let operands = "\(register.name(width)), \(text(operand, sizeName(format)))"
                    listing.add("cvt\(end)2si \(operands)") { $0.cvts2si(format, register, operand, width) }
                    listing.add("cvtt\(end)2si \(operands)") { $0.cvtts2si(format, register, operand, width) }
                }
            }
        }
    }
    for vector in someVectors {
        for operand in vectorOperands {
            listing.add("cvtsd2ss \(text(vector, "")), \(text(operand, "qword"))") { $0.cvtsd2ss(vector, operand) }
            listing.add("cvtss2sd \(text(vector, "")), \(text(operand, "dword"))") { $0.cvtss2sd(vector, operand) }
        }
    }
    try listing.check()
}

@Test func packedInstructionsAreEncoded() throws {
    var listing = Listing()
    for vector in someVectors {
        for operand in vectorOperands {
            let two = "\(text(vector, "")), \(text(operand, "xmmword"))"
            for operation in X86FloatLogic.allCases {
                listing.add("\(operation)ps \(two)") { $0.logic(operation, vector, operand) }
            }
            for operation in X86Packed.allCases {
                listing.add("\(operation) \(two)") { $0.packed(operation, vector, operand) }
            }
            listing.add("pshufd \(two), 0xe4") { $0.pshufd(vector, operand, 0xe4) }
            listing.add("pclmulqdq \(two), 0x11") { $0.pclmulqdq(vector, operand, 0x11) }
        }
        listing.add("psrlq \(text(vector, "")), 0x3f") { $0.psrlq(vector, by: 63) }
        listing.add("psllq \(text(vector, "")), 5") { $0.psllq(vector, by: 5) }
    }
    for memory in someMemory {
        listing.add("ldmxcsr \(text(memory, "dword"))") { $0.ldmxcsr(memory) }
        listing.add("stmxcsr \(text(memory, "dword"))") { $0.stmxcsr(memory) }
    }
    listing.add("vzeroupper") { $0.vzeroupper() }
    try listing.check()
}
