/// Text that a guest wrote, made fit for a terminal: whatever could steer it is spelled out.
enum GuestText {
    /// Invalid UTF-8 is repaired; control characters become `\x1b` and the like, newlines too.
    static func line(_ bytes: some Sequence<UInt8>) -> String {
        var text = ""
        for scalar in String(decoding: Array(bytes), as: UTF8.self).unicodeScalars {
            switch scalar.value {
            // C0, DEL and C1, and the characters that turn the direction of writing.
            case 0..<0x20, 0x7f..<0xa0, 0x202a...0x202e, 0x2066...0x2069:
                let digits = String(scalar.value, radix: 16)
                text += "\\x" + (digits.count < 2 ? "0" : "") + digits
            default: text.unicodeScalars.append(scalar)
            }
        }
        return text
    }

    /// The lines of a text.
    static func lines(_ bytes: [UInt8]) -> [String] {
        bytes.split(separator: 10, omittingEmptySubsequences: false).map { line($0.map { $0 == 9 ? 32 : $0 }) }
    }
}
