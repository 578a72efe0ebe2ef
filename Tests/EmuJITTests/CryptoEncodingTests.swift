import EmuJIT
import Testing

@Test func ciphersAndHashesAreEncoded() throws {
    var listing = Listing()
    for vector in someVectors {
        let name = text(vector, "")
        for operand in vectorOperands {
            let source = text(operand, "xmmword")
            for first in [XMMRegister(3), XMMRegister(14)] {
                let three = "\(name), \(text(first, "")), \(source)"
                for operation in X86AES.allCases { listing.add("v\(operation) \(three)") { $0.aes(operation, .half, vector, first, operand) } }
                listing.add("vpclmulqdq \(three), 0x11") { $0.pclmulqdq(.half, vector, first, operand, 0x11) }
                listing.add("vpalignr \(three), 4") { $0.palignr(.half, vector, upper: first, lower: operand, 4) }
            }
            listing.add("vaesimc \(name), \(source)") { $0.aesimc(vector, operand) }
            listing.add("vaeskeygenassist \(name), \(source), 0x1b") { $0.aeskeygenassist(vector, operand, 0x1b) }
            listing.add("vpshufd \(name), \(source), 0xe4") { $0.pshufd(.half, vector, operand, 0xe4) }
        }
        for source in someVectors {
            let two = "\(name), \(text(source, ""))"
            for operation in X86SHA.allCases where operation != .sha256rnds2 { listing.add("\(operation) \(two)") { $0.sha(operation, vector, source) } }
            listing.add("vpslldq \(two), 8") { $0.shiftBytes(left: true, .half, vector, source, by: 8) }
            listing.add("vpsrldq \(two), 4") { $0.shiftBytes(left: false, .half, vector, source, by: 4) }
        }
    }
    try listing.check()
}

/// Disassemblers differ in whether they name its third operand, always xmm0.
@Test func roundsOfSHA256AreEncoded() {
    var assembler = X86Assembler()
    assembler.sha(.sha256rnds2, XMMRegister(1), XMMRegister(2))
    assembler.sha(.sha256rnds2, XMMRegister(9), XMMRegister(14))
    #expect(assembler.withBytes { Array($0) } == [0x0f, 0x38, 0xcb, 0xca, 0x45, 0x0f, 0x38, 0xcb, 0xce])
}

/// Capstone 4 does not know all of them: the bit of the size is the only difference.
@Test func ciphersOf256BitsDifferInOneBit() {
    func bytes(_ emit: (inout X86Assembler, X86VectorSize) -> Void, _ size: X86VectorSize) -> [UInt8] {
        var assembler = X86Assembler()
        emit(&assembler, size)
        return assembler.withBytes { Array($0) }
    }
    let (a, b, c) = (XMMRegister(1), XMMRegister(14), X86Memory(.rdx))
    let instructions: [(inout X86Assembler, X86VectorSize) -> Void] =
        X86AES.allCases.map { operation in { $0.aes(operation, $1, a, b, c) } }
        + [
            { $0.pclmulqdq($1, a, b, c, 0x10) }, { $0.palignr($1, a, upper: b, lower: c, 4) }, { $0.shiftBytes(left: true, $1, a, b, by: 8) },
            { $0.pshufd($1, a, c, 0x4e) },
        ]
    for emit in instructions {
        let (half, full) = (bytes(emit, .half), bytes(emit, .full))
        #expect(half.count == full.count)
        let different = half.indices.filter { half[$0] != full[$0] }
        #expect(different == [half[0] == 0xc5 ? 1 : 2] && full[different[0]] == half[different[0]] | 4)
    }
}
