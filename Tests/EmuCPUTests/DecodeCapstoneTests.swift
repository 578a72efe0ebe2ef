import EmuCPU
import EmuJIT
import Testing

/// Text against text: our disassembler and libcapstone, where the one installed knows RISC-V (version 5 on).
struct DecodeCapstoneTests {
    @Test func standardExtensionsReadAsInCapstone() throws {
        guard let capstone = HostDisassembler(.riscv64) else {
            print("skipped: the installed libcapstone knows no RISC-V (it does from version 5 on)")
            return
        }
        let extensions = RVExtensionSet([.i, .m, .a, .f, .d, .c])
        let disassembler = RVDisassembler(extensions: extensions, aliases: true)
        var random = SeededGenerator(state: 3)
        var compared = 0
        var differences: [String] = []
        for row in RVTable.all where row.length == 4 && row.op != .illegal && row.needs.isMet(by: extensions) {
            for _ in 0..<60 {
                let bits = row.match | UInt32.random(in: 0...(.max), using: &random) & ~row.mask
                // At address 0 a jump's target is its offset, which is what Capstone writes.
                let ours = disassembler.text(bits: bits, address: 0).text
                guard !ours.hasPrefix("."), let line = capstone.lines(withUnsafeBytes(of: bits.littleEndian, Array.init), address: 0).first, !line.mnemonic.hasPrefix(".")
                else { continue }
                compared += 1
                if Self.normal(ours) != Self.normal("\(line.mnemonic)\t\(line.operands)") { differences.append("\(String(bits, radix: 16)): \(ours) | \(line.text)") }
            }
        }
        #expect(compared > 6000)
        #expect(differences.isEmpty, "\(differences.count) of \(compared), such as\n\(differences.prefix(60).joined(separator: "\n"))")
    }

    /// Numbers in decimal, no spaces, the operands of `jalr` as assemblers take them, and the macros Capstone does not write spelled out.
    private static func normal(_ text: String) -> String {
        var parts = text.split(separator: "\t").map { String($0.filter { $0 != " " }) }
        guard parts.count == 2 else { return text.filter { $0 != "\t" } }
        parts[1] = parts[1].replacing(/-?0x[0-9a-f]+/) { match in
            let isNegative = match.output.hasPrefix("-")
            let value = UInt64(match.output.drop { $0 == "-" }.dropFirst(2), radix: 16) ?? 0
            return String(isNegative ? -Int64(bitPattern: value) : Int64(bitPattern: value))
        }
        parts[1] = parts[1].replacing(/^(\w+),(\w+),(-?\d+)$/) { parts[0] == "jalr" ? "\($0.1),\($0.3)(\($0.2))" : String($0.0) }
        switch parts[0] {
        case "li": return "addi " + parts[1].replacing(",", with: ",zero,")
        case "jr" where parts[1].contains("("): return "jalr zero,\(parts[1])"
        case "jalr" where parts[1].contains("(") && !parts[1].contains(","): return "jalr ra,\(parts[1])"
        default: return parts.joined(separator: " ")
        }
    }
}
