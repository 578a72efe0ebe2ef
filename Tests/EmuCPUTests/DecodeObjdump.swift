import EmuCPU
import Foundation

/// Runs a foreign disassembler over a list of encodings, through a minimal ELF file that names the extensions.
enum Objdump {
    /// The first of `candidates` that can be run: absolute paths, or names looked for on PATH.
    static func find(_ candidates: [String]) -> String? {
        let path = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
        let places = candidates.flatMap { name in name.hasPrefix("/") ? [name] : path.map { "\($0)/\(name)" } }
        return places.first { FileManager.default.isExecutableFile(atPath: $0) }
    }

    /// The first line of `--version`.
    static func version(_ tool: String) throws -> String {
        String(try run(tool, ["--version"]).prefix { $0 != "\n" })
    }

    /// The text of every instruction, in order: mnemonic, tab, operands without spaces or the comment objdump may add.
    static func texts(_ tool: String, _ options: [String], of code: [UInt8], extensions: RVExtensionSet) throws -> [String] {
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("decode-\(UUID().uuidString).elf")
        defer { try? FileManager.default.removeItem(at: file) }
        try Data(elf(code, isa: isaString(extensions))).write(to: file)
        return try run(tool, ["-d", "-z"] + options + [file.path]).split(separator: "\n").compactMap(text)
    }

    /// `  addr:\tbytes\tmnemonic\toperands # comment`; LLVM has no tab before the bytes.
    private static func text(_ line: Substring) -> String? {
        let line = line.drop { $0 == " " }
        guard let colon = line.firstIndex(of: ":"), line[..<colon].allSatisfy(\.isHexDigit), let tab = line.firstIndex(of: "\t") else { return nil }
        var fields = line[tab...].split(separator: "\t").map { $0.filter { $0 != " " } }
        if line.index(after: colon) == tab { fields.removeFirst() }
        guard let mnemonic = fields.first else { return nil }
        let operands = fields.dropFirst().joined().prefix { $0 != "#" && $0 != "<" }
        return operands.isEmpty ? mnemonic : "\(mnemonic)\t\(operands)"
    }

    private static func run(_ tool: String, _ arguments: [String]) throws -> String {
        let process = Process()
        let pipe = Pipe()
        process.executableURL = URL(fileURLWithPath: tool)
        process.arguments = arguments
        process.standardOutput = pipe
        try process.run()
        let output = try pipe.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        return String(decoding: output, as: UTF8.self)
    }

    /// ISA string of an ELF attribute; only unprivileged and instruction-bearing extensions belong there.
    private static func isaString(_ extensions: RVExtensionSet) -> String {
        let versions: [RVExtension: String] = [.i: "2p1", .m: "2p0", .a: "2p1", .f: "2p2", .d: "2p2", .c: "2p0", .zicsr: "2p0", .zifencei: "2p0", .zihintpause: "2p0"]
        return "rv64" + extensions.members.map { "\($0.name)\(versions[$0] ?? "1p0")" }.joined(separator: "_")
    }

    /// ELF64 with `.text` and `.riscv.attributes` (RISC-V psABI, "Attributes") and no symbols.
    private static func elf(_ code: [UInt8], isa: String) -> [UInt8] {
        func word<T: FixedWidthInteger>(_ value: T) -> [UInt8] { withUnsafeBytes(of: value.littleEndian, Array.init) }
        let tag = [5] + Array(isa.utf8) + [0]
        let file = [1] + word(UInt32(tag.count + 5)) + tag
        let vendor = Array("riscv".utf8) + [0]
        let attributes = [UInt8(ascii: "A")] + word(UInt32(4 + vendor.count + file.count)) + vendor + file
        let names = Array("\0.text\0.riscv.attributes\0.shstrtab\0".utf8)
        func section(_ name: UInt32, _ type: UInt32, _ flags: UInt64, _ offset: Int, _ size: Int) -> [UInt8] {
            word(name) + word(type) + word(flags) + word(UInt64(0)) + word(UInt64(offset)) + word(UInt64(size)) + word(UInt64(0)) + word(UInt64(1)) + word(UInt64(0))
        }
        let (codeAt, attributesAt) = (64, 64 + code.count)
        let namesAt = attributesAt + attributes.count
        let sectionsAt = (namesAt + names.count + 7) / 8 * 8
        var bytes: [UInt8] = [0x7f, 0x45, 0x4c, 0x46, 2, 1, 1] + [UInt8](repeating: 0, count: 9)
        bytes += word(UInt16(1)) + word(UInt16(243)) + word(UInt32(1)) + word(UInt64(0)) + word(UInt64(0)) + word(UInt64(sectionsAt))
        bytes += word(UInt32(5)) + [64, 0, 0, 0, 0, 0, 64, 0, 4, 0, 3, 0].map { UInt8($0) }
        bytes += code + attributes + names
        bytes += [UInt8](repeating: 0, count: sectionsAt - bytes.count)
        bytes += section(0, 0, 0, 0, 0) + section(1, 1, 6, codeAt, code.count)
        return bytes + section(7, 0x7000_0003, 0, attributesAt, attributes.count) + section(25, 3, 0, namesAt, names.count)
    }
}

/// Fixed-seed random numbers (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
        return z ^ z >> 31
    }
}
