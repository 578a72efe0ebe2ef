import EmuJIT
import Testing

@Test func vectorMovesAreEncoded() throws {
    var listing = Listing()
    for vector in someVectors {
        let name = text(vector, "")
        for register in X86Register.allCases {
            listing.add("vmovq \(name), \(register.name())") { $0.movq(vector, register) }
            listing.add("vmovq \(register.name()), \(name)") { $0.movq(register, vector) }
            listing.add("vmovd \(name), \(register.name(.long))") { $0.movd(vector, register) }
            listing.add("vmovd \(register.name(.long)), \(name)") { $0.movd(register, vector) }
        }
        for source in someVectors {
            listing.add("vmovaps \(name), \(text(source, ""))") { $0.movaps(vector, source) }
        }
        for source in vectorOperands {
            listing.add("vmovq \(name), \(text(source, "qword"))") { $0.movq(vector, source) }
        }
        for memory in someMemory {
            listing.add("vmovq \(text(memory, "qword")), \(name)") { $0.movq(memory, vector) }
            for format in X86Float.allCases {
                let place = text(memory, sizeName(format))
                listing.add("vmov\(suffix(format)) \(name), \(place)") { $0.movs(format, vector, memory) }
                listing.add("vmov\(suffix(format)) \(place), \(name)") { $0.movs(format, memory, vector) }
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
                for first in [XMMRegister(3), XMMRegister(14)] {
                    let three = "\(text(vector, "")), \(text(first, "")), \(text(source, sizeName(format)))"
                    listing.add("v\(operation)\(end) \(three)") { $0.scalar(operation, format, vector, first, source) }
                }
            }
            listing.add("vucomi\(end) \(two)") { $0.ucomis(format, vector, source) }
            // This one Capstone shows with the size of the whole register.
            listing.add("vcomi\(end) \(text(vector, "")), \(text(source, "xmmword"))") { $0.comis(format, vector, source) }
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
                    listing.add("vcvtsi2\(end) \(text(vector, "")), \(text(XMMRegister(9), "")), \(text(operand, width))") {
                        $0.cvtsi2s(format, vector, upper: XMMRegister(9), operand, width)
                    }
                }
            }
            for register in X86Register.allCases {
                for operand in vectorOperands {
                    let operands = "\(register.name(width)), \(text(operand, sizeName(format)))"
                    listing.add("vcvt\(end)2si \(operands)") { $0.cvts2si(format, register, operand, width) }
                    listing.add("vcvtt\(end)2si \(operands)") { $0.cvtts2si(format, register, operand, width) }
                }
            }
        }
    }
    for vector in someVectors {
        for operand in vectorOperands {
            listing.add("vcvtsd2ss \(text(vector, "")), \(text(XMMRegister(9), "")), \(text(operand, "qword"))") {
                $0.cvtsd2ss(vector, upper: XMMRegister(9), operand)
            }
            listing.add("vcvtss2sd \(text(vector, "")), \(text(XMMRegister(9), "")), \(text(operand, "dword"))") {
                $0.cvtss2sd(vector, upper: XMMRegister(9), operand)
            }
        }
    }
    try listing.check()
}

@Test func packedInstructionsAreEncoded() throws {
    var listing = Listing()
    for vector in someVectors {
        for operand in vectorOperands {
            let two = "\(text(vector, "")), \(text(operand, "xmmword"))"
            for first in [XMMRegister(3), XMMRegister(14)] {
                let three = "\(text(vector, "")), \(text(first, "")), \(text(operand, "xmmword"))"
                for operation in X86FloatLogic.allCases {
                    listing.add("v\(operation)ps \(three)") { $0.logic(operation, vector, first, operand) }
                }
                listing.add("vpclmulqdq \(three), 0x11") { $0.pclmulqdq(vector, first, operand, 0x11) }
            }
            listing.add("vpshufd \(two), 0xe4") { $0.pshufd(vector, operand, 0xe4) }
        }
    }
    for memory in someMemory {
        listing.add("vldmxcsr \(text(memory, "dword"))") { $0.ldmxcsr(memory) }
        listing.add("vstmxcsr \(text(memory, "dword"))") { $0.stmxcsr(memory) }
    }
    try listing.check()
}
