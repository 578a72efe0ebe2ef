import EmuCPU
import EmuIR
import EmuJIT
import Foundation
import Testing

/// Golden file of whole translations: guest instructions, the IR made of them, the IR after the passes, and the host code.
///
///     == title
///     00b50463  beq a0,a1,0x1008
///     -- IR
///     -- optimised IR
///     -- host code
///
/// Titles and the hexadecimal column are written by hand (`loop` in the title: compiled as a loop; `vectors`, `ciphers`: the guest has them); `UPDATE_GOLDEN=1 swift test --filter
/// HostCodeGoldenTests` writes the rest. Host addresses are positions in the code buffer, which begins with the code all units
/// share; it is reached by distances only, so that the bytes are the same in every run.
@Suite(.enabled(if: X86Backend.isSupported)) struct HostCodeGoldenTests {
    private static let url = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Golden/x86-64.txt")

    @Test func translationsAreWhatTheGoldenFileShows() throws {
        let text = try String(contentsOf: Self.url, encoding: .utf8)
        var result: [String] = []
        for paragraph in text.components(separatedBy: "\n== ").map({ $0.hasPrefix("== ") ? String($0.dropFirst(3)) : $0 }) {
            let lines = paragraph.split(separator: "\n")
            let title = String(try #require(lines.first))
            let code = try lines.dropFirst().prefix { !$0.hasPrefix("--") }.map { try #require(UInt32($0.prefix { $0 != " " }, radix: 16)) }
            result.append(try translation(of: code, title))
        }
        let expected = result.joined(separator: "\n")
        if ProcessInfo.processInfo.environment["UPDATE_GOLDEN"] != nil {
            try expected.write(to: Self.url, atomically: true, encoding: .utf8)
        } else {
            let (old, new) = (text.components(separatedBy: "\n"), expected.components(separatedBy: "\n"))
            let line = zip(old, new).prefix { $0 == $1 }.count
            #expect(
                old.count == new.count && line == old.count,
                "x86-64.txt:\(line + 1) should be `\(line < new.count ? new[line] : "")`: run it with UPDATE_GOLDEN=1 and look at the difference")
        }
    }

    private func translation(of code: [UInt32], _ title: String) throws -> String {
        var translated = try TranslatedCode(cpu: title.contains("ciphers") ? "max,vlen=256" : title.contains("vectors") ? "rv64,v=on,vlen=256" : "rv64")
        let disassembler = RVDisassembler(extensions: translated.hart.cpu.config.extensions, aliases: true)
        var (address, text) = (UInt64(0x1000), "== \(title)\n")
        for bits in code {
            let (listing, length) = disassembler.text(bits: bits, address: address)
            let digits = String(bits, radix: 16)
            text += String(repeating: "0", count: length * 2 - digits.count) + digits + "  \(listing.replacingOccurrences(of: "\t", with: " "))\n"
            address += UInt64(length)
        }
        var unit = IRUnit(blocks: [try translated.lower(code)])
        text += "-- IR\n\(unit)"
        let isLoop = title.contains("loop")
        var optimizer = IROptimizer()
        optimizer.run(&unit, cycles: isLoop ? [[0]] : [])
        text += "-- optimised IR\n\(unit)"
        // The same on every host.
        let features = X86Backend.requirements.union([.avx2, .aes, .sha])
        let backend = try X86Backend(layout: RVProcessor.stateLayout, capacity: 1 << 20, features: features)
        let compiled = try #require(
            backend.compile(unit, number: 1, blockAddresses: [0x10], loop: isLoop ? LoopShape(weights: [8], cycles: [[0]]) : nil, windows: Array(0..<8)))
        return text + "-- host code\n" + (try hostCode(compiled, backend))
    }

    /// The code from the first block on; before it are the words for the unit's number and blocks, and alignment.
    private func hostCode(_ compiled: CompiledUnit, _ backend: X86Backend) throws -> String {
        let disassembler = try #require(HostDisassembler(.x86_64))
        let start = (compiled.range.lowerBound + 16 + 15) & -16
        let bytes = UnsafeRawBufferPointer(start: backend.buffer.executable(start), count: compiled.range.upperBound - start)
        // SAFETY: the unit lies there and the buffer lives until the end of the call.
        return disassembler.lines(bytes, address: UInt64(start)).map { line in
            (compiled.entries.contains { UInt64($0.position) == line.address } ? "entry:\n" : "") + line.description + "\n"
        }.joined()
    }
}
