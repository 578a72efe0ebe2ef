/// Names and addresses without a file format around them: what nm(1) writes, or what a running kernel keeps.
struct SymbolList {
    struct Entry {
        let address: UInt64
        /// 0 when unknown.
        let size: UInt64
        /// The kind as nm(1) shows it: `T`, `t`, `D`, …
        let letter: UInt8
        /// Offset in `names`.
        let name: UInt32
    }

    private(set) var entries: [Entry] = []
    /// NUL-terminated, one behind the other.
    private(set) var names: [UInt8] = [0]

    init() {}

    /// False when there is no room for more names.
    @discardableResult
    mutating func add(_ address: UInt64, size: UInt64 = 0, letter: UInt8, name: some Collection<UInt8>) -> Bool {
        guard names.count <= Int(UInt32.max) - name.count - 1 else { return false }
        entries.append(Entry(address: address, size: size, letter: letter, name: UInt32(names.count)))
        names += name
        names.append(0)
        return true
    }

    /// Reads lines as nm(1) writes them: address, optionally size, type letter, name, and for the kernel's lists a module in brackets.
    /// Nil when the text is something else.
    init?(text: SymbolBytes) {
        let recognised = text.withBytes { bytes -> Bool in
            var rest = bytes[...]
            while let line = Self.nextLine(&rest) {
                guard !line.isEmpty else { continue }
                var fields = line.split(whereSeparator: { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }).map { Array($0) }
                // nm prints undefined symbols without an address.
                if fields.count == 2, fields[0].count == 1 { continue }
                guard fields.count >= 3, let address = Self.hexadecimal(fields[0]) else { return false }
                var size: UInt64 = 0
                if fields[1].count > 1 {
                    guard fields.count >= 4, let stated = Self.hexadecimal(fields[1]) else { return false }
                    size = stated
                    fields.remove(at: 1)
                }
                guard fields[1].count == 1, let letter = fields[1].first else { return false }
                let name = fields.count > 3 ? fields[2] + [UInt8(ascii: " ")] + fields[3] : fields[2]
                guard add(address, size: size, letter: letter, name: name) else { return false }
            }
            return true
        }
        guard recognised, !entries.isEmpty else { return nil }
    }

    private static func nextLine(_ rest: inout Slice<UnsafeRawBufferPointer>) -> Slice<UnsafeRawBufferPointer>? {
        guard !rest.isEmpty else { return nil }
        let end = rest.firstIndex(of: UInt8(ascii: "\n")) ?? rest.endIndex
        var line = rest[rest.startIndex..<end]
        rest = end < rest.endIndex ? rest[(end + 1)...] : rest[end...]
        if line.last == UInt8(ascii: "\r") { line.removeLast() }
        return line
    }

    private static func hexadecimal(_ digits: [UInt8]) -> UInt64? {
        guard (1...16).contains(digits.count) else { return nil }
        var value: UInt64 = 0
        for digit in digits {
            switch digit {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): value = value << 4 | UInt64(digit & 0xf)
            case UInt8(ascii: "a")...UInt8(ascii: "f"), UInt8(ascii: "A")...UInt8(ascii: "F"): value = value << 4 | UInt64(digit & 0xf + 9)
            default: return nil
            }
        }
        return value
    }
}
