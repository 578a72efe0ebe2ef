/// What a command found out, as a value: rendered as JSON for programs; the text for people is made from the same facts.
public indirect enum DebugValue: Equatable, Sendable {
    case null
    case bool(Bool)
    case int(Int)
    /// Written in quotes, as "0x…": JSON readers lose the low bits of large numbers.
    case hex(UInt64)
    case string(String)
    case list([DebugValue])
    case object([Member])

    /// One member of an object; order is kept.
    public struct Member: Equatable, Sendable {
        public var name: String
        public var value: DebugValue
    }

    /// An object from name and value pairs.
    public static func record(_ members: KeyValuePairs<String, DebugValue>) -> DebugValue {
        .object(members.map { Member(name: $0.key, value: $0.value) })
    }

    /// `value` in hexadecimal, or null.
    static func hex(_ value: UInt64?) -> DebugValue { value.map { .hex($0) } ?? .null }
    static func string(_ value: String?) -> DebugValue { value.map { .string($0) } ?? .null }

    /// On one line, without spaces.
    public var json: String {
        switch self {
        case .null: return "null"
        case .bool(let value): return value ? "true" : "false"
        case .int(let value): return String(value)
        case .hex(let value): return "\"\(hexText(value))\""
        case .string(let text): return Self.quoted(text)
        case .list(let values): return "[" + values.map(\.json).joined(separator: ",") + "]"
        case .object(let members): return "{" + members.map { "\(Self.quoted($0.name)):\($0.value.json)" }.joined(separator: ",") + "}"
        }
    }

    private static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            case _ where scalar.value < 0x20 || scalar.value == 0x7f:
                let digits = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}

/// What a command answers.
public struct CommandResult: Sendable {
    /// For people; lines end in a newline.
    public var text: String
    /// For programs.
    public var value: DebugValue

    public init(_ text: String = "", _ value: DebugValue = .null) {
        self.text = text
        self.value = value
    }
}
