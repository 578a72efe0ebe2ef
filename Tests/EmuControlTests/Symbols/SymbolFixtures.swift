import CZlib
import CZstd
import EmuControl
import Foundation

/// The ELF files of Fixtures/, and variants of them.
enum SymbolFixture: String, CaseIterable {
    case riscvDWARF5 = "riscv-dwarf5"
    case riscvDWARF4 = "riscv-dwarf4"
    case riscvFramePointer = "riscv-frame-pointer"
    case riscvCompressed = "riscv-compressed"
    case riscvRules = "riscv-rules"
    case aarch64 = "aarch64-dwarf5"

    private func url(_ ending: String) -> URL {
        URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../Fixtures/\(rawValue).\(ending)")
    }

    var path: String { url("elf").path }

    func bytes() throws -> [UInt8] { Array(try Data(contentsOf: url("elf"))) }

    func open() throws -> SymbolFile { try SymbolFile.open(path) }

    /// One address of the code with what the toolchain's symbolizer says about it, innermost function first.
    struct Expectation: Equatable {
        var address: UInt64
        var scopes: [Scope]

        struct Scope: Equatable {
            var function: String
            var file: String
            var line: Int
            var column: Int
        }
    }

    func expectations() throws -> [Expectation] {
        var result: [Expectation] = []
        for block in try String(contentsOf: url("expected"), encoding: .utf8).components(separatedBy: "\n\n") {
            var lines = block.split(separator: "\n")[...]
            guard let first = lines.popFirst(), let address = UInt64(first.dropFirst(2), radix: 16) else { continue }
            var scopes: [Expectation.Scope] = []
            while let function = lines.popFirst(), let place = lines.popFirst() {
                let parts = place.split(separator: ":")
                scopes.append(.init(function: String(function), file: String(parts[0]), line: Int(parts[1]) ?? -1, column: Int(parts[2]) ?? -1))
            }
            result.append(Expectation(address: address, scopes: scopes))
        }
        return result
    }

    enum Compression: CaseIterable { case zlib, zstandard, gnu }

    /// The file with its debugging sections compressed.
    func compressed(_ method: Compression) throws -> [UInt8] {
        var file = try bytes()
        let table = Int(file.number(40, 8))
        let count = Int(file.number(60, 2))
        let names = Int(file.number(table + Int(file.number(62, 2)) * 64 + 24, 8))
        for index in 0..<count {
            let header = table + index * 64
            let name = names + Int(file.number(header, 4))
            guard file[name...].starts(with: Array(".debug_".utf8)) else { continue }
            let start = Int(file.number(header + 24, 8))
            let contents = Array(file[start..<start + Int(file.number(header + 32, 8))])
            var packed: [UInt8]
            switch method {
            case .zlib: packed = header64(1, contents.count) + Self.deflate(contents)
            case .zstandard: packed = header64(2, contents.count) + Self.zstandard(contents)
            case .gnu: packed = Array("ZLIB".utf8) + (0..<8).reversed().map { UInt8(truncatingIfNeeded: contents.count >> ($0 * 8)) } + Self.deflate(contents)
            }
            if method == .gnu {
                // The older convention renames: ".debug_x" has room for ".zdebug_" only elsewhere.
                let renamed = Array(".z".utf8) + file[(name + 1)...].prefix { $0 != 0 } + [0]
                file.set(header, 4, UInt64(file.count - names))
                file += renamed
                // The names' section now reaches to the end of the file.
                let strings = table + Int(file.number(62, 2)) * 64
                file.set(strings + 32, 8, UInt64(file.count - names))
            } else {
                file.set(header + 8, 8, file.number(header + 8, 8) | 0x800)
            }
            file.set(header + 24, 8, UInt64(file.count))
            file.set(header + 32, 8, UInt64(packed.count))
            file += packed
            packed.removeAll()
        }
        return file
    }

    private func header64(_ type: UInt8, _ size: Int) -> [UInt8] {
        [type, 0, 0, 0, 0, 0, 0, 0] + (0..<8).map { UInt8(truncatingIfNeeded: size >> ($0 * 8)) } + [1, 0, 0, 0, 0, 0, 0, 0]
    }

    private static func deflate(_ contents: [UInt8]) -> [UInt8] {
        var size = compressBound(UInt(contents.count))
        var result = [UInt8](repeating: 0, count: Int(size))
        compress(&result, &size, contents, UInt(contents.count))
        return Array(result.prefix(Int(size)))
    }

    private static func zstandard(_ contents: [UInt8]) -> [UInt8] {
        var result = [UInt8](repeating: 0, count: ZSTD_compressBound(contents.count))
        let size = ZSTD_compress(&result, result.count, contents, contents.count, 3)
        return Array(result.prefix(size))
    }
}

extension [UInt8] {
    /// Little-endian integer of `size` bytes.
    func number(_ offset: Int, _ size: Int) -> UInt64 {
        (0..<size).reduce(0) { $0 | UInt64(self[offset + $1]) << UInt64($1 * 8) }
    }

    mutating func set(_ offset: Int, _ size: Int, _ value: UInt64) {
        for index in 0..<size { self[offset + index] = UInt8(truncatingIfNeeded: value >> UInt64(index * 8)) }
    }
}

/// What `scopes` says, in the form of the expectations.
func described(_ scopes: [CodeScope]) -> [SymbolFixture.Expectation.Scope] {
    scopes.map {
        .init(function: $0.function ?? "??", file: $0.location?.file ?? "??", line: $0.location?.line ?? 0, column: $0.location?.column ?? 0)
    }
}
