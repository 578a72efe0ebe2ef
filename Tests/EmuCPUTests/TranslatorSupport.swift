import EmuBus
import EmuCPU
import EmuIR
import Foundation
import Testing

/// A hart whose blocks are translated: code is placed in a page of its memory, decoded as the hart would, and lowered.
struct TranslatedCode {
    static let page = TestHart.ram + 0x4000

    let hart: TestHart
    private var translator: RVTranslator

    init(cpu: String = "rv64") throws {
        hart = try TestHart(cpu)
        translator = RVTranslator(config: hart.cpu.config, hasVectors: true, hasCiphers: true)
    }

    /// The IR of the block at `offset` in the page, which holds `code` there and then nothing that is an instruction.
    mutating func lower(_ code: [UInt32], at offset: UInt64 = 0) throws -> IRBlock {
        hart.cache.flushAll()
        try #require(Self.place(code, at: Self.page + offset, hart))
        return try lower(at: offset)
    }

    /// Puts code into memory, with nothing that is an instruction after it; false when there is no memory.
    static func place(_ code: [UInt32], at start: UInt64, _ hart: TestHart) -> Bool {
        var address = start
        for bits in code {
            guard hart.bus.storeMemory(address, UInt16(truncatingIfNeeded: bits)) else { return false }
            if bits & 3 == 3 && !hart.bus.storeMemory(address + 2, UInt16(truncatingIfNeeded: bits >> 16)) { return false }
            address += bits & 3 == 3 ? 4 : 2
        }
        return hart.bus.storeMemory(address, UInt32(0))
    }

    /// The IR of the block that starts at `offset` in the page.
    mutating func lower(at offset: UInt64) throws -> IRBlock {
        let block = try #require(hart.cpu.locateBlock(Self.page + offset))
        try #require(!block.pointee.crossesPage)
        return translator.translate(block)
    }

    /// The IR of a block of one operation that never went through the decoder.
    mutating func lower(_ op: DecodedOp) -> IRBlock {
        hart.cache.flushAll()
        var end = DecodedOp(.blockEnd)
        end.offset = UInt16(op.length)
        let block = [op, end].withUnsafeBufferPointer { hart.cache.insert(Self.page, mode: 0, $0, byteLength: Int(op.length), secondPage: 0) }
        return translator.translate(block)
    }
}

/// A golden file: cases of guest instructions and the IR they become.
///
///     == title @ 0x10 cpu rv64,zca=off
///     00b50463  beq a0,a1,0x1018
///     --
///     block 0x10 count 1
///       0: branch.eq x10, x11 -> 0x18, 0x14
///
/// `@` gives the offset of the block in its page, 0 when absent; `cpu` the processor model. Titles and the hexadecimal column are
/// written by hand; `UPDATE_GOLDEN=1 swift test --filter RVTranslatorTests` writes the rest.
struct TranslationGolden {
    let url: URL
    let text: String

    init(_ name: String) throws {
        url = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Golden/\(name).ir")
        text = try String(contentsOf: url, encoding: .utf8)
    }

    /// The file as it should be.
    func expected() throws -> String {
        var result: [String] = []
        for paragraph in text.components(separatedBy: "\n== ").map({ $0.hasPrefix("== ") ? String($0.dropFirst(3)) : $0 }) {
            let lines = paragraph.split(separator: "\n")
            let title = try #require(lines.first)
            let code = try lines.dropFirst().prefix { $0 != "--" }.map { try #require(UInt32($0.prefix { $0 != " " }, radix: 16)) }
            result.append("== \(title)\n" + (try translation(of: code, title)))
        }
        return result.joined(separator: "\n")
    }

    private func translation(of code: [UInt32], _ title: Substring) throws -> String {
        let words = title.split(separator: " ")
        let cpu = words.firstIndex(of: "cpu").map { String(words[$0 + 1]) } ?? "rv64"
        let offset = try words.firstIndex(of: "@").map { try #require(UInt64(words[$0 + 1].dropFirst(2), radix: 16)) } ?? 0
        var translated = try TranslatedCode(cpu: cpu)
        let disassembler = RVDisassembler(extensions: translated.hart.cpu.config.extensions, aliases: true)
        var (address, listing) = (0x1000 + offset, "")
        for bits in code {
            let hex = String(bits, radix: 16)
            let (text, length) = disassembler.text(bits: bits, address: address)
            let digits = String(repeating: "0", count: length * 2 - hex.count) + hex
            listing += "\(digits)  \(text.replacingOccurrences(of: "\t", with: " "))\n"
            address += UInt64(length)
        }
        let block = try translated.lower(code, at: offset)
        #expect(block.guestCount == code.count, "\(title): the block has \(block.guestCount) of \(code.count) instructions")
        return listing + "--\n\(block)"
    }

    /// Compares the file with what it should be, or makes it that.
    func check() throws {
        let expected = try expected()
        if ProcessInfo.processInfo.environment["UPDATE_GOLDEN"] != nil {
            try expected.write(to: url, atomically: true, encoding: .utf8)
        } else {
            let (old, new) = (text.components(separatedBy: "\n"), expected.components(separatedBy: "\n"))
            let line = zip(old, new).prefix { $0 == $1 }.count
            #expect(old.count == new.count && line == old.count, """
                \(url.lastPathComponent):\(line + 1) should be `\(line < new.count ? new[line] : "")`: \
                run it with UPDATE_GOLDEN=1 and look at the difference
                """)
        }
    }
}
