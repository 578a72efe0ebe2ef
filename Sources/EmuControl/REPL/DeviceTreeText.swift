/// Writes a flattened device tree as source (devicetree specification, "Flattened Devicetree (DTB) Format").
enum DeviceTreeText {
    /// Nil when `blob` is no device tree.
    static func source(_ blob: [UInt8]) -> String? {
        func word(_ offset: Int) -> UInt32? {
            guard offset >= 0, offset <= blob.count - 4 else { return nil }
            return blob[offset..<offset + 4].reduce(0) { $0 << 8 | UInt32($1) }
        }
        func string(_ offset: Int) -> String? {
            guard offset >= 0, offset < blob.count, let end = blob[offset...].firstIndex(of: 0) else { return nil }
            return String(decoding: blob[offset..<end], as: UTF8.self)
        }
        guard word(0) == 0xd00d_feed, let structure = word(8), let strings = word(12) else { return nil }
        var text = "/dts-v1/;\n"
        var position = Int(structure)
        var depth = 0
        while let token = word(position) {
            position += 4
            let margin = String(repeating: "\t", count: max(0, depth))
            switch token {
            case 1:
                guard let name = string(position), depth < 64 else { return nil }
                text += "\(margin)\(name.isEmpty ? "/" : name) {\n"
                position += (name.utf8.count + 4) & ~3
                depth += 1
            case 2:
                depth -= 1
                text += String(repeating: "\t", count: max(0, depth)) + "};\n"
            case 3:
                guard let length = word(position), let nameOffset = word(position + 4), let name = string(Int(strings) + Int(nameOffset)) else { return nil }
                position += 8
                guard Int(length) <= blob.count - position else { return nil }
                text += margin + name + value(Array(blob[position..<position + Int(length)])) + ";\n"
                position += (Int(length) + 3) & ~3
            case 4: continue
            case 9: return text
            default: return nil
            }
        }
        return nil
    }

    private static func value(_ bytes: [UInt8]) -> String {
        if bytes.isEmpty { return "" }
        // Strings end in a zero and hold nothing unprintable and no empty part.
        if bytes.last == 0, bytes.count > 1, !bytes.dropLast().split(separator: 0, omittingEmptySubsequences: false).contains(where: \.isEmpty),
            bytes.allSatisfy({ $0 == 0 || (0x20..<0x7f).contains($0) }) {
            return " = " + bytes.dropLast().split(separator: 0).map { "\"\(String(decoding: $0, as: UTF8.self))\"" }.joined(separator: ", ")
        }
        guard bytes.count % 4 == 0 else { return " = [" + bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: " ") + "]" }
        let words = stride(from: 0, to: bytes.count, by: 4).map { offset in hexText(bytes[offset..<offset + 4].reduce(0) { $0 << 8 | UInt64($1) }) }
        return " = <" + words.joined(separator: " ") + ">"
    }
}
