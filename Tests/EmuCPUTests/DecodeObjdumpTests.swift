import EmuCPU
import Foundation
import Testing

/// Text against text: our disassembler and two others over the same encodings.
struct DecodeObjdumpTests {
    /// What binutils 2.40 knows of the extensions in the table. Zacas, Zabha, Zimop, Zcmop, Zcb, Zfa, Zicond and Zihintntl came later:
    /// they are compared with LLVM.
    static let binutilsExtensions = RVExtensionSet([
        .i, .m, .a, .f, .d, .c, .zicbom, .zicbop, .zicboz, .zicsr, .zifencei, .zihintpause, .zawrs, .zfh, .zfhmin, .zba, .zbb, .zbc, .zbs, .svinval, .v,
        .zbkb, .zbkc, .zbkx, .zknd, .zkne, .zknh, .zksed, .zksh,
    ])

    @Test(arguments: [true, false])
    func everyCompressedEncodingReadsAsInObjdump(aliases: Bool) throws {
        let encodings = (0..<0x10000 as Range<UInt32>).filter { $0 & 3 != 3 }
        #expect(encodings.count == 49152)
        try compareWithBinutils(encodings, aliases: aliases)
    }

    @Test(arguments: [true, false])
    func sampled32BitEncodingsReadAsInObjdump(aliases: Bool) throws {
        var random = SeededGenerator(state: 1)
        // Not the encodings reserved for instructions longer than 32 bits, which objdump takes more bytes for.
        let swept = (0..<40_000).map { _ in UInt32.random(in: 0...(.max), using: &random) | 3 }.filter { $0 & 0x1c != 0x1c }
        let rows = RVTable.all.filter { $0.length == 4 && $0.needs.isMet(by: Self.binutilsExtensions) }
        let drawn = rows.flatMap { row in instances(of: row, count: 60, &random) }
        let csrs = (0..<4096 as Range<UInt32>).map { $0 << 20 | 0x2573 }
        try compareWithBinutils(swept + drawn + csrs, aliases: aliases)
    }

    /// The rows binutils 2.40 does not know, with random operands, against the LLVM of the Swift toolchain. It writes offsets in
    /// hexadecimal and, without aliases, the dynamic rounding mode.
    @Test(arguments: [true, false])
    func newerExtensionsReadAsInLLVM(aliases: Bool) throws {
        guard let swift = Objdump.find(["swift"]),
            case let directory = URL(fileURLWithPath: swift).resolvingSymlinksInPath().deletingLastPathComponent(),
            let tool = Objdump.find([directory.appendingPathComponent("llvm-objdump").path])
        else {
            print("skipped: no llvm-objdump beside swift")
            return
        }
        let extensions = RVExtensionSet([
            .i, .m, .a, .f, .d, .c, .zicond, .zicsr, .zifencei, .zihintntl, .zimop, .zabha, .zacas, .zfa, .zfh, .zcb, .zcmop, .zba, .zbb,
        ])
        var random = SeededGenerator(state: 2)
        let rows = RVTable.all.filter { $0.op != .illegal && $0.needs.isMet(by: extensions) && !$0.needs.isMet(by: Self.binutilsExtensions) }
        #expect(rows.count > 100)
        // LLVM does not decode reserved rounding modes, which are valid encodings that trap.
        let encodings = rows.flatMap { row in
            instances(of: row, count: 100, &random).filter { !row.format.operands.contains(.rounding) || $0 >> 12 & 7 != 5 && $0 >> 12 & 7 != 6 }
        }
        try compare(
            encodings, RVDisassembler(extensions: extensions, aliases: aliases), with: tool, aliases ? [] : ["-M", "no-aliases"], extensions,
            theirs: { $0.replacing(/0x([0-3])\(/) { "\($0.1)(" }.replacing(",dyn", with: "") })
    }

    private func compareWithBinutils(_ encodings: [UInt32], aliases: Bool) throws {
        guard let tool = Objdump.find(["riscv64-linux-gnu-objdump", "riscv64-unknown-elf-objdump"]) else {
            print("skipped: no objdump for RISC-V (install binutils-riscv64-linux-gnu, or run make deps)")
            return
        }
        let version = try Objdump.version(tool)
        guard version.contains(" 2.40") else {
            print("skipped: \(version) writes some operands in another way than binutils 2.40, with which the comparison is made")
            return
        }
        try compare(
            encodings, RVDisassembler(extensions: Self.binutilsExtensions, aliases: aliases), with: tool, aliases ? [] : ["-M", "no-aliases"],
            Self.binutilsExtensions, theirs: aliases ? immediateMnemonic : { $0 })
    }

    private func compare(
        _ encodings: [UInt32], _ disassembler: RVDisassembler, with tool: String, _ options: [String], _ extensions: RVExtensionSet,
        theirs: (String) -> String
    ) throws {
        var code: [UInt8] = []
        var ours: [String] = []
        for bits in encodings {
            let (text, length) = disassembler.text(bits: bits, address: UInt64(code.count))
            ours.append(text)
            code += withUnsafeBytes(of: bits.littleEndian) { Array($0.prefix(length)) }
        }
        let expected = try Objdump.texts(tool, options, of: code, extensions: extensions)
        try #require(expected.count == ours.count)
        var differences: [String] = []
        for (index, bits) in encodings.enumerated() where ours[index] != theirs(expected[index]) && differsOnPurpose(bits) == nil {
            // objdump takes the assembler's macro for whatever it does not know when it lists vector instructions.
            if expected[index].hasPrefix("vmsge"), ours[index].hasPrefix(".") { continue }
            differences.append("\(String(bits, radix: 16)): \(ours[index]) | \(theirs(expected[index]))")
        }
        #expect(differences.isEmpty, "\(differences.count) of \(encodings.count), such as\n\(differences.prefix(60).joined(separator: "\n"))")
    }

    /// Why an encoding is written differently on purpose.
    private func differsOnPurpose(_ bits: UInt32) -> String? {
        if bits == 0x6101 { return "c.addi16sp with an immediate of zero is reserved; objdump writes it as an addition of zero" }
        if bits & 0xff00_707f == 0x3100_1013, bits >> 20 & 15 > 10 { return "a key schedule has rounds 0 to 10; objdump writes those that are reserved, too" }
        if bits & 0x7f == 0x73, bits >> 12 & 3 != 0, Self.newerCSRs.contains(bits >> 20) { return "binutils 2.40 does not know the register" }
        let exact = RVTable.all.contains { bits & $0.mask == $0.match && $0.format.operands.contains(.exactRounding) }
        return exact && bits >> 12 & 7 != 0 ? "binutils 2.40 knows no rounding mode in conversions that are always exact" : nil
    }

    /// ssp, scountinhibit, sireg2…6, srmcfg, vsireg2…6, mcyclecfg, minstretcfg and mireg2…6; those of Smctr and Smrnmi.
    private static let newerCSRs: Set<UInt32> = [
        0x011, 0x120, 0x152, 0x153, 0x155, 0x156, 0x157, 0x181, 0x252, 0x253, 0x255, 0x256, 0x257, 0x321, 0x322, 0x352, 0x353, 0x355, 0x356, 0x357,
        0x14e, 0x14f, 0x15f, 0x24e, 0x34e, 0x740, 0x741, 0x742, 0x744,
    ]

    /// binutils 2.40 writes the immediate forms by the name of the register form (`add a0,a0,1`); others, and this project, do not.
    private func immediateMnemonic(_ text: String) -> String {
        let parts = text.split(separator: "\t")
        guard parts.count == 2, let last = parts[1].split(separator: ",").last, Int(last) != nil || last.hasPrefix("0x"),
            let name = Self.immediateNames[String(parts[0])]
        else { return text }
        return "\(name)\t\(parts[1])"
    }

    private static let immediateNames = [
        "add": "addi", "and": "andi", "or": "ori", "xor": "xori", "slt": "slti", "sltu": "sltiu", "sll": "slli", "srl": "srli", "sra": "srai",
        "addw": "addiw", "sllw": "slliw", "srlw": "srliw", "sraw": "sraiw", "ror": "rori", "rorw": "roriw", "bclr": "bclri", "bset": "bseti",
        "binv": "binvi", "bext": "bexti", "csrw": "csrwi", "csrs": "csrsi", "csrc": "csrci", "csrrw": "csrrwi", "csrrs": "csrrsi", "csrrc": "csrrci",
        "fsflags": "fsflagsi", "fsrm": "fsrmi",
    ]

    /// Instances of `row` with random operands.
    private func instances(of row: RVInstruction, count: Int, _ random: inout SeededGenerator) -> [UInt32] {
        (0..<count).map { _ in row.match | UInt32.random(in: 0...(.max), using: &random) & ~row.mask }
    }
}
