/// JSON as qemu-img prints it: members in the order given, four spaces a level.
indirect enum DiskJSON {
    case number(UInt64)
    case bool(Bool)
    case text(String)
    case list([DiskJSON])
    case object([(String, DiskJSON)])

    static func number(_ value: Int) -> DiskJSON { .number(UInt64(max(0, value))) }

    func text(_ indent: String = "") -> String {
        let inner = indent + "    "
        switch self {
        case .number(let value): return String(value)
        case .bool(let value): return value ? "true" : "false"
        case .text(let value): return Self.quoted(value)
        case .list(let items):
            return items.isEmpty ? "[\n\(indent)]" : "[\n" + items.map { inner + $0.text(inner) }.joined(separator: ",\n") + "\n\(indent)]"
        case .object(let members):
            return "{\n" + members.map { "\(inner)\(Self.quoted($0)): \($1.text(inner))" }.joined(separator: ",\n") + "\n\(indent)}"
        }
    }

    static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"", "\\": result += "\\" + String(scalar)
            case "\n": result += "\\n"
            case let other where other.value < 0x20:
                let digits = String(other.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}

/// Sizes for people.
enum DiskText {
    static func size(_ bytes: UInt64) -> String {
        let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
        var value = Double(bytes), unit = 0
        while value >= 1000, unit < units.count - 1 {
            value /= 1024
            unit += 1
        }
        // Three digits, without zeroes behind the point.
        var text = fixed(value, value >= 100 || unit == 0 ? 0 : value >= 10 ? 1 : 2)
        if text.contains(".") {
            while text.hasSuffix("0") { text.removeLast() }
            if text.hasSuffix(".") { text.removeLast() }
        }
        return "\(text) \(units[unit])"
    }

    /// `value` with that many digits behind the point.
    static func fixed(_ value: Double, _ digits: Int) -> String {
        let scale = (0..<digits).reduce(1.0) { scale, _ in scale * 10 }
        let scaled = UInt64((value * scale).rounded())
        guard digits > 0 else { return String(scaled) }
        let rest = String(scaled % UInt64(scale))
        return "\(scaled / UInt64(scale))." + String(repeating: "0", count: digits - rest.count) + rest
    }
}
