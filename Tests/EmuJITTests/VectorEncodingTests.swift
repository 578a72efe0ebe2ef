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
            for first in [XMMRegister(3), XMMRegister(14)] {
                let three = "\(text(vector, "")), \(text(first, "")), \(text(operand, "xmmword"))"
                for operation in X86FloatLogic.allCases {
                    listing.add("v\(operation)ps \(three)") { $0.logic(operation, vector, first, operand) }
                }
            }
        }
    }
    for memory in someMemory {
        listing.add("vldmxcsr \(text(memory, "dword"))") { $0.ldmxcsr(memory) }
        listing.add("vstmxcsr \(text(memory, "dword"))") { $0.stmxcsr(memory) }
    }
    try listing.check()
}

// MARK: AVX2

private let sizes: [(size: X86VectorSize, name: String)] = [(.half, "xmmword"), (.full, "ymmword")]

/// The operand as an operand of so many bits.
private func text(_ operand: any X86VectorOperand, _ size: (size: X86VectorSize, name: String)) -> String {
    let name = text(operand, size.name)
    return size.size == .full && operand is XMMRegister ? name.replacing("xmm", with: "ymm") : name
}

@Test func packedIntegersAreEncoded() throws {
    var listing = Listing()
    for size in sizes {
        for vector in someVectors {
            for operand in vectorOperands {
                let (first, second) = (text(vector, size), text(operand, size))
                for operation in X86Packed.allCases {
                    // An amount is one, whatever the size.
                    let last = operation.takesAmount ? text(operand, "xmmword") : second
                    listing.add("v\(operation) \(first), \(text(XMMRegister(14), size)), \(last)") { $0.packed(operation, size.size, vector, XMMRegister(14), operand) }
                }
                listing.add("vpblendvb \(first), \(text(XMMRegister(3), size)), \(second), \(text(XMMRegister(13), size))") {
                    $0.blendvb(size.size, vector, XMMRegister(3), operand, XMMRegister(13))
                }
                listing.add("vptest \(first), \(second)") { $0.ptest(size.size, vector, operand) }
            }
            for operation in X86Packed.allCases where operation.takesAmount {
                listing.add("v\(operation) \(text(vector, size)), \(text(XMMRegister(9), size)), 7") { $0.packedShift(operation, size.size, vector, XMMRegister(9), by: 7) }
            }
            for operation in X86PackedExtension.allCases {
                let source = XMMRegister(10)
                listing.add("v\(operation) \(text(vector, size)), \(text(source, ""))") { $0.extend(operation, size.size, vector, source) }
            }
            for (width, name) in zip(X86Width.allCases, ["b", "w", "d", "q"]) {
                listing.add("vpbroadcast\(name) \(text(vector, size)), \(text(XMMRegister(4), ""))") { $0.broadcast(size.size, width, vector, XMMRegister(4)) }
            }
            listing.add("vpmovmskb \(X86Register.rdx.name(.long)), \(text(vector, size))") { $0.movmskb(size.size, .rdx, vector) }
        }
    }
    try listing.check()
}

/// Capstone 4 does not know it.
@Test func halvesAreBroadcast() {
    var assembler = X86Assembler()
    assembler.broadcasti128(XMMRegister(1), X86Memory(.rax))
    assembler.broadcasti128(XMMRegister(9), X86Memory(.r12, 8))
    #expect(assembler.withBytes { Array($0) } == [0xc4, 0xe2, 0x7d, 0x5a, 0x08, 0xc4, 0x42, 0x7d, 0x5a, 0x4c, 0x24, 0x08])
}

@Test func movesOfWholeRegistersAreEncoded() throws {
    var listing = Listing()
    for vector in someVectors {
        for size in sizes {
            for source in vectorOperands {
                listing.add("vmovdqu \(text(vector, size)), \(text(source, size))") { $0.movdqu(size.size, vector, source) }
                listing.add("vshufps \(text(vector, size)), \(text(XMMRegister(1), size)), \(text(source, size)), 0x88") { $0.shufps(size.size, vector, XMMRegister(1), source, 0x88) }
            }
            for memory in someMemory {
                listing.add("vmovdqu \(text(memory, size.name)), \(text(vector, size))") { $0.movdqu(size.size, memory, vector) }
                for (wide, end) in [(false, "d"), (true, "q")] {
                    listing.add("vpmaskmov\(end) \(text(memory, size.name)), \(text(XMMRegister(13), size)), \(text(vector, size))") {
                        $0.maskedStore(size.size, wide: wide, memory, XMMRegister(13), vector)
                    }
                }
            }
        }
        for memory in someMemory {
            listing.add("vmovd \(text(vector, "")), \(text(memory, "dword"))") { $0.movd(vector, memory) }
            listing.add("vmovd \(text(memory, "dword")), \(text(vector, ""))") { $0.movd(memory, vector) }
        }
        listing.add("vextracti128 \(text(vector, "")), \(text(XMMRegister(8), sizes[1])), 1") { $0.extracti128(vector, XMMRegister(8)) }
        listing.add("vperm2i128 \(text(vector, sizes[1])), \(text(XMMRegister(8), sizes[1])), \(text(XMMRegister(3), sizes[1])), 0x31") {
            $0.perm2i128(vector, XMMRegister(8), XMMRegister(3), 0x31)
        }
        for memory in someMemory {
            listing.add("vpinsrd \(text(vector, "")), \(text(XMMRegister(9), "")), \(text(memory, "dword")), 3") { $0.pinsrd(vector, XMMRegister(9), memory, at: 3) }
            listing.add("vmovhps \(text(vector, "")), \(text(XMMRegister(9), "")), \(text(memory, "qword"))") { $0.movhps(vector, XMMRegister(9), memory) }
        }
        listing.add("vinserti128 \(text(vector, sizes[1])), \(text(XMMRegister(8), sizes[1])), \(text(XMMRegister(3), "")), 1") {
            $0.inserti128(vector, XMMRegister(8), XMMRegister(3))
        }
        listing.add("vpermq \(text(vector, sizes[1])), \(text(XMMRegister(8), sizes[1])), 0xd8") { $0.permq(vector, XMMRegister(8), 0xd8) }
    }
    listing.add("vzeroupper") { $0.vzeroupper() }
    try listing.check()
}

@Test(arguments: X86Float.allCases)
func packedFloatingPointIsEncoded(format: X86Float) throws {
    let end = format == .double ? "pd" : "ps"
    var listing = Listing()
    for size in sizes {
        for vector in someVectors {
            for operand in vectorOperands {
                let three = "\(text(vector, size)), \(text(XMMRegister(14), size)), \(text(operand, size))"
                for operation in X86Scalar.allCases where operation != .sqrt {
                    listing.add("v\(operation)\(end) \(three)") { $0.packed(operation, format, size.size, vector, XMMRegister(14), operand) }
                }
                listing.add("vsqrt\(end) \(text(vector, size)), \(text(operand, size))") { $0.packed(.sqrt, format, size.size, vector, XMMRegister(14), operand) }
                for (operation, name) in zip(X86FMA.allCases, ["vfmadd", "vfmsub", "vfnmadd", "vfnmsub"]) {
                    for (order, digits) in zip(X86FMAOrder.allCases, ["132", "213", "231"]) {
                        listing.add("\(name)\(digits)\(end) \(three)") { $0.packed(operation, order, format, size.size, vector, XMMRegister(14), operand) }
                    }
                }
                for relation in X86FloatRelation.allCases {
                    // Capstone leaves out what is the usual kind of each relation.
                    let name = ["lt_os": "lt", "le_os": "le", "unord_q": "unord", "neq_uq": "neq", "eq_oq": "eq", "ge_os": "ge", "gt_os": "gt"]["\(relation)"] ?? ""
                    listing.add("vcmp\(name)\(end) \(three)") { $0.cmpp(relation, format, size.size, vector, XMMRegister(14), operand) }
                }
            }
            listing.add("vmovmsk\(end) \(X86Register.rcx.name(.long)), \(text(vector, size))") { $0.movmskp(format, size.size, .rcx, vector) }
        }
    }
    try listing.check()
}

@Test func packedConversionsAreEncoded() throws {
    var listing = Listing()
    for size in sizes {
        for vector in someVectors {
            let (target, source) = (text(vector, size), XMMRegister(11))
            listing.add("vcvtdq2ps \(target), \(text(source, size))") { $0.cvtdq2ps(size.size, vector, source) }
            listing.add("vcvtps2dq \(target), \(text(source, size))") { $0.cvtps2dq(size.size, truncating: false, vector, source) }
            listing.add("vcvttps2dq \(target), \(text(source, size))") { $0.cvtps2dq(size.size, truncating: true, vector, source) }
            listing.add("vcvtps2pd \(target), \(text(source, ""))") { $0.cvtps2pd(size.size, vector, source) }
            listing.add("vcvtpd2ps \(text(vector, "")), \(text(source, size))") { $0.cvtpd2ps(size.size, vector, source) }
            listing.add("vcvtdq2pd \(target), \(text(source, ""))") { $0.cvtdq2pd(size.size, vector, source) }
            listing.add("vcvtpd2dq \(text(vector, "")), \(text(source, size))") { $0.cvtpd2dq(size.size, truncating: false, vector, source) }
            listing.add("vcvttpd2dq \(text(vector, "")), \(text(source, size))") { $0.cvtpd2dq(size.size, truncating: true, vector, source) }
        }
    }
    try listing.check()
}
