import CCapstone

/// Lists host code through libcapstone.
public final class HostDisassembler {
    public enum Architecture: Sendable {
        case x86_64, aarch64
        /// Known from version 5 of libcapstone on.
        case riscv64

        /// The architecture this program runs on; nil for one that is not known here.
        public static var host: Architecture? {
            #if arch(x86_64)
            .x86_64
            #elseif arch(arm64)
            .aarch64
            #else
            nil
            #endif
        }
    }

    /// One instruction; bytes that are none come as `.byte`.
    public struct Line: CustomStringConvertible, Sendable {
        public let address: UInt64
        public let bytes: [UInt8]
        public let mnemonic: String
        public let operands: String

        /// Mnemonic and operands.
        public var text: String { operands.isEmpty ? mnemonic : "\(mnemonic) \(operands)" }

        /// "address: bytes  mnemonic operands".
        public var description: String {
            let hexadecimal = bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: " ")
            // Few instructions are longer than 8 bytes: wide enough to line these up.
            let padding = String(repeating: " ", count: max(0, 23 - hexadecimal.utf8.count))
            return "0x\(String(address, radix: 16)): \(hexadecimal)\(padding)  \(text)"
        }
    }

    private var handle: csh = 0

    /// - Returns: nil when the installed libcapstone was built without the architecture.
    public init?(_ architecture: Architecture) {
        let status =
            switch architecture {
            case .x86_64: cs_open(CS_ARCH_X86, CS_MODE_64, &handle)
            case .aarch64: cs_open(CS_ARCH_ARM64, CS_MODE_ARM, &handle)
            // Headers before version 5 do not name CS_ARCH_RISCV, CS_MODE_RISCV64 and CS_MODE_RISCVC.
            case .riscv64: cs_open(cs_arch(rawValue: 15), cs_mode(rawValue: 1 << 1 | 1 << 2), &handle)
            }
        guard status == CS_ERR_OK else { return nil }
        // Go on behind bytes that are no instruction.
        cs_option(handle, CS_OPT_SKIPDATA, Int(CS_OPT_ON.rawValue))
    }

    deinit {
        if handle != 0 { cs_close(&handle) }
    }

    /// - Parameter address: where the first byte runs.
    public func lines(_ code: UnsafeRawBufferPointer, address: UInt64) -> [Line] {
        var lines: [Line] = []
        guard let instruction = cs_malloc(handle) else { return [] }
        defer { cs_free(instruction, 1) }
        // SAFETY: libcapstone reads `rest` bytes at `next` and moves both; the result lives until `cs_free`.
        var next = code.bindMemory(to: UInt8.self).baseAddress
        var rest = code.count
        var address = address
        while cs_disasm_iter(handle, &next, &rest, &address, instruction) {
            lines.append(Line(instruction.pointee))
        }
        return lines
    }

    public func lines(_ code: [UInt8], address: UInt64) -> [Line] {
        code.withUnsafeBytes { lines($0, address: address) }
    }
}

extension HostDisassembler.Line {
    fileprivate init(_ instruction: cs_insn) {
        address = instruction.address
        // SAFETY: copies of the fixed-size arrays, which C's import makes tuples; the texts end with a zero inside them.
        bytes = withUnsafeBytes(of: instruction.bytes) { Array($0.prefix(Int(instruction.size))) }
        mnemonic = withUnsafeBytes(of: instruction.mnemonic) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        operands = withUnsafeBytes(of: instruction.op_str) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }
}
