import EmuCPU
import Testing

/// The instruction table and the decoder built from it.
struct DecodeTableTests {
    static let everything = RVExtensionSet(RVExtension.allCases)
    private let decoder = RVDecoder(extensions: Self.everything)

    @Test func rowsOverlapOnlyWhereOneRefinesTheOther() {
        let rows = RVTable.all
        var refinements = 0
        for (index, a) in rows.enumerated() {
            for b in rows[(index + 1)...] where a.length == b.length && (a.match ^ b.match) & a.mask & b.mask == 0 {
                let (fine, coarse) = a.refines.contains(b.name) ? (a, b) : (b, a)
                #expect(fine.refines.contains(coarse.name), "\(a.name) and \(b.name) overlap")
                #expect(fine.specificity > coarse.specificity, "\(fine.name) would lose against \(coarse.name)")
                refinements += 1
            }
        }
        #expect(refinements == rows.map(\.refines.count).reduce(0, +), "a row claims to refine one it does not overlap")
    }

    @Test func rowNamesAreUnique() {
        let counts = Dictionary(grouping: RVTable.all, by: \.name).mapValues(\.count)
        #expect(counts.filter { $0.value > 1 }.isEmpty)
    }

    @Test func everyOperationIsReachable() {
        let reached = Set(RVTable.all.map(\.op))
        #expect(RVOp.allCases.filter { !reached.contains($0) } == [.jalr_lp, .transfer, .blockEnd], "blocks hold these instead of, or after, what was decoded")
    }

    @Test func everyRowDecodesToItsOperation() throws {
        var random = SeededGenerator(state: 3)
        for (position, row) in RVTable.all.enumerated() {
            let finer = RVTable.all.filter { $0.refines.contains(row.name) }
            for _ in 0..<200 {
                let bits = row.match | random.next32() & ~row.mask & (row.length == 2 ? 0xffff : .max)
                if finer.contains(where: { bits & $0.mask == $0.match }) { continue }
                #expect(decoder.position(of: bits) == position)
                #expect(decoder.decode(bits).rv == row.op)
                #expect(decoder.decode(bits).raw == bits)
            }
        }
    }

    /// Flipping a bit changes the operand its letter stands for and no other.
    @Test func patternLettersAreTheOperandsTheDecoderReads() throws {
        var random = SeededGenerator(state: 4)
        for (position, row) in RVTable.all.enumerated() where row.op != .illegal {
            let letters = row.pattern.filter { $0 != " " }
            for (place, letter) in letters.enumerated() where !"01x".contains(letter) {
                let bit = UInt32(1) << UInt32(letters.count - 1 - place)
                for _ in 0..<8 {
                    let bits = row.match | random.next32() & ~row.mask & (row.length == 2 ? 0xffff : .max)
                    if decoder.position(of: bits) != position || decoder.position(of: bits ^ bit) != position { continue }
                    let (a, b) = (decoder.decode(bits), decoder.decode(bits ^ bit))
                    let changed = [a.rd != b.rd, a.rs1 != b.rs1, a.rs2 != b.rs2, a.rs3 != b.rs3, a.imm != b.imm]
                    let twoAddress = row.length == 2 && letter == "d" && a.rs1 == (a.rd == 32 ? 0 : a.rd) && changed[1]
                    let expected = switch letter {
                    case "d": [true, twoAddress, false, false, false]
                    case "s", "z": [false, true, false, false, false]
                    case "t": [false, false, true, false, false]
                    case "e": [false, false, false, true, false]
                    default: [false, false, false, false, true]
                    }
                    #expect(changed == expected, "\(row.name): bit \(letters.count - 1 - place), \(letter)")
                }
            }
        }
    }

    @Test func operandsFollowTheConventions() {
        func check(_ bits: UInt32, _ op: RVOp, rd: UInt8 = 0, rs1: UInt8 = 0, rs2: UInt8 = 0, rs3: UInt8 = 0, imm: Int32 = 0) {
            let r = decoder.decode(bits)
            #expect(r.rv == op && r.rd == rd && r.rs1 == rs1 && r.rs2 == rs2 && r.rs3 == rs3 && r.imm == imm, "\(String(bits, radix: 16)): \(r)")
            #expect(r.length == (bits & 3 == 3 ? 4 : 2))
        }
        check(0x0000_0013, .addi, rd: 32)  // nop: x0 as destination becomes 32, as source it stays 0
        check(0xffc5_a503, .lw, rd: 10, rs1: 11, imm: -4)
        check(0xfea5_bc23, .sd, rs1: 11, rs2: 10, imm: -8)
        check(0xfeb5_0ee3, .beq, rs1: 10, rs2: 11, imm: -4)
        check(0x0080_00ef, .jal, rd: 1, imm: 8)
        check(0xffdf_f06f, .jal, rd: 32, imm: -4)
        check(0x8000_0537, .lui, rd: 10, imm: .min)
        check(0x43f5_d513, .srai, rd: 10, rs1: 11, imm: 63)
        check(0xf140_2573, .csrrs, rd: 10, imm: 0xf14)
        check(0x3002_d073, .csrrwi, rd: 32, rs1: 5, imm: 0x300)
        check(0x0ff0_000f, .fence, imm: 0xff)
        check(0x1005_252f, .lr_w, rd: 10, rs1: 10)
        check(0x04b6_352f, .amoadd_d, rd: 10, rs1: 12, rs2: 11, imm: 2)  // aq
        check(0x1ab6_352f, .sc_d, rd: 10, rs1: 12, rs2: 11, imm: 1)  // rl
        check(0x6ac5_f043, .fmadd_d, rd: 0, rs1: 11, rs2: 12, rs3: 13, imm: 7)  // f0 stays 0
        check(0xf01f_0553, .fli_s, rd: 10, rs1: 30)
        check(0x0100_000f, .pause)
        check(0x0205_6013, .hint, rs1: 10, imm: 32)  // prefetch.i
        check(0x0000_4512, .lw, rd: 10, rs1: 2, imm: 4)
        check(0x0000_0808, .addi, rd: 10, rs1: 2, imm: 16)
        check(0x0000_713d, .addi, rd: 2, rs1: 2, imm: -32)
        check(0x0000_757d, .lui, rd: 10, imm: -4096)
        check(0x0000_8082, .jalr, rd: 32, rs1: 1)
        check(0x0000_9582, .jalr, rd: 1, rs1: 11)
        check(0x0000_852e, .add, rd: 10, rs2: 11)
        check(0x0000_9d61, .andi, rd: 10, rs1: 10, imm: 255)
        check(0x0000_9d75, .xori, rd: 10, rs1: 10, imm: -1)
    }

    @Test func reservedEncodingsAreIllegal() {
        let reserved: [(UInt32, String)] = [
            (0x0000, "all zeros"), (0x0004, "c.addi4spn of zero"), (0x2001, "c.addiw to x0"), (0x6501, "c.lui of zero, even register"),
            (0x6101, "c.addi16sp of zero"), (0x4002, "c.lwsp to x0"), (0x6002, "c.ldsp to x0"), (0x8002, "c.jr x0"),
            (0x9c79, "unused code point of Zcb"), (0xffff_ffff, "all ones"), (0x1015_252f, "lr with rs2"), (0x3805_252f, "unused atomic function"),
            (0x0200_9513 | 1 << 27, "slli with a reserved function"), (0x0200_951b, "slliw by more than 31"),
            (0x2806_412f | 1 << 7, "amocas.q to an odd register"), (0x2816_412f, "amocas.q of an odd register"), (0x2806_5013, "ori is funct3 6, 5 is a shift"),
        ]
        for (bits, why) in reserved {
            let r = decoder.decode(bits)
            #expect(r.rv == .illegal && r.raw == bits, "\(why): \(String(bits, radix: 16)) decodes to \(r.rv)")
        }
        #expect(decoder.decode(0xabcd_0004).raw == 4, "the other half does not belong to a compressed encoding")
    }

    @Test func withoutTheExtensionHintsAreTheInstructionTheyAreEncodedAs() {
        let plain = RVDecoder(extensions: RVExtensionSet([.i, .c]))
        #expect(plain.decode(0x0100_000f).rv == .fence)
        #expect(plain.decode(0x0205_6013).rv == .ori && plain.decode(0x0205_6013).rd == 32)
        #expect(plain.decode(0x0020_0033).rv == .add && plain.decode(0x0020_0033).rd == 32)
        #expect(plain.decode(0x900a).rv == .add && plain.decode(0x900a).rd == 32)
        #expect(decoder.decode(0x0020_0033).rv == .hint && decoder.decode(0x900a).rv == .hint)
    }

    @Test func withoutTheirExtensionInstructionsAreIllegal() {
        for row in RVTable.all {
            let bits = row.match
            for set in row.needs.alternatives {
                let sufficient = RVDecoder(extensions: set)
                #expect(sufficient.position(of: bits) != nil || row.op == .illegal, "\(row.name)")
            }
            if row.refines.isEmpty && !row.needs.isMet(by: RVExtensionSet([.i])) {
                #expect(RVDecoder(extensions: RVExtensionSet([.i])).decode(bits).rv == .illegal, "\(row.name)")
            }
        }
    }

    @Test func instructionsOfTwoExtensionsNeedBoth() {
        func decodes(_ bits: UInt32, _ extensions: RVExtension...) -> Bool {
            RVDecoder(extensions: RVExtensionSet(extensions)).decode(bits).rv != .illegal
        }
        #expect(!decodes(0x9d4d, .i, .c, .zcb) && decodes(0x9d4d, .i, .c, .zcb, .m), "c.mul")
        #expect(!decodes(0x2861_02af, .zabha) && !decodes(0x2861_02af, .zacas) && decodes(0x2861_02af, .zabha, .zacas), "amocas.b")
        #expect(decodes(0x0005_1507, .zfhmin) && decodes(0x0005_1507, .zfh) && !decodes(0x04b5_7553, .zfhmin), "flh, fadd.h")
        #expect(!decodes(0x4225_7553, .d) && decodes(0x4225_7553, .zfhmin, .d) && !decodes(0x4225_7553, .zfh), "fcvt.d.h")
        #expect(!decodes(0x2108, .i, .c) && decodes(0x2108, .i, .c, .d) && decodes(0x2108, .zcd), "c.fld")
        #expect(decodes(0x1005_252f, .a) && decodes(0x1005_252f, .zalrsc) && !decodes(0x1005_252f, .zaamo), "lr.w")
    }

    @Test func theLayoutGeneratedCodeAndTheSwitchRelyOn() {
        #expect(MemoryLayout<RVOp>.size == 2)
        for op in RVOp.allCases { #expect(unsafeBitCast(op, to: UInt16.self) == op.rawValue) }
        #expect(MemoryLayout<DecodedOp>.size == 16)
        #expect(_isPOD(DecodedOp.self))
        #expect(_isPOD(RVHart.self))
    }

    @Test func targetsAreWrittenWithTheirSymbols() {
        let disassembler = RVDisassembler(extensions: Self.everything, aliases: true)
        let (text, length) = disassembler.text(bits: 0x0080_00ef, address: 0x8000_0000) { "main+0x\(String($0 - 0x8000_0000, radix: 16))" }
        #expect(text == "jal\t80000008 <main+0x8>" && length == 4)
        #expect(disassembler.text(bits: 0x0080_00ef, address: 0x8000_0000).text == "jal\t0x80000008")
        #expect(disassembler.text(bits: 0xffff_8082, address: 0) == ("ret", 2))
    }
}

extension SeededGenerator {
    mutating func next32() -> UInt32 { UInt32(truncatingIfNeeded: next()) }
}
