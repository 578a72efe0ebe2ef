/// How a value or a piece of memory is shown: GDB's letters.
public struct DisplayFormat: Equatable, Sendable {
    public enum Letter: Character, CaseIterable, Sendable {
        case hex = "x", decimal = "d", unsigned = "u", octal = "o", binary = "t", character = "c", address = "a", float = "f", string = "s"
        case instruction = "i"
    }

    /// Units of memory.
    public var count = 1
    public var letter = Letter.hex
    /// Bytes of one unit: 1, 2, 4 or 8.
    public var size = 4
    /// The size was asked for.
    public var isSizeGiven = false

    public init() {}

    /// Reads what follows the slash of `x/8gx`; what it does not say comes from `defaults`.
    public init(_ text: some StringProtocol, defaults: DisplayFormat = DisplayFormat()) throws(DebugError) {
        self = defaults
        isSizeGiven = false
        count = 1
        var digits = ""
        for character in text {
            if character.isNumber {
                digits.append(character)
            } else if let size = ["b": 1, "h": 2, "w": 4, "g": 8][character] {
                self.size = size
                isSizeGiven = true
            } else if let letter = Letter(rawValue: character) {
                self.letter = letter
            } else {
                let letters = String(Letter.allCases.map(\.rawValue))
                throw DebugError("'/\(text)': '\(character)' is no format; a count, one of \(letters), and a size of b, h, w or g can be given")
            }
        }
        if !digits.isEmpty {
            guard let count = Int(digits), count > 0, count <= 1 << 20 else { throw DebugError("'/\(text)': the count must be from 1 to 1048576") }
            self.count = count
        }
        if letter == .address { size = 8 }
        if letter == .float, size < 2 { size = 8 }
        if letter == .character, !isSizeGiven { size = 1 }
    }

    /// Characters a column of this format needs.
    var width: Int {
        switch letter {
        case .hex: 2 + 2 * size
        case .decimal, .unsigned: [1: 4, 2: 6, 4: 11, 8: 20][size] ?? 20
        case .octal: 1 + (8 * size + 2) / 3
        case .binary: 8 * size
        case .character: 10
        case .float: 22
        default: 18
        }
    }

    /// A unit, or a value of `bytes` bytes, as text.
    func text(_ bits: UInt64, bytes: Int? = nil, symbol: (UInt64) -> String? = { _ in nil }) -> String {
        let bytes = bytes ?? size
        let unsigned = ExpressionType.integer(bytes: bytes, isSigned: false).extended(bits)
        let signed = Int64(bitPattern: ExpressionType.integer(bytes: bytes, isSigned: true).extended(bits))
        switch letter {
        case .hex: return hexColumn(unsigned, digits: 2 * bytes)
        case .decimal: return String(signed)
        case .unsigned: return String(unsigned)
        case .octal: return "0" + String(unsigned, radix: 8)
        case .binary:
            let digits = String(unsigned, radix: 2)
            return String(repeating: "0", count: max(0, 8 * bytes - digits.count)) + digits
        case .character: return "\(signed) \(Self.quoted(UInt8(truncatingIfNeeded: bits)))"
        case .address: return hexText(unsigned) + (symbol(unsigned).map { " <\($0)>" } ?? "")
        case .float:
            switch bytes {
            case 2: return "\(Self.half(UInt16(truncatingIfNeeded: bits)))"
            case 4: return "\(Float(bitPattern: UInt32(truncatingIfNeeded: bits)))"
            default: return "\(Double(bitPattern: bits))"
            }
        case .string, .instruction: return hexColumn(unsigned, digits: 2 * bytes)
        }
    }

    /// IEEE 754 binary16; the host's own type is missing on some hosts.
    private static func half(_ bits: UInt16) -> Double {
        let fraction = Double(bits & 0x3ff), exponent = Int(bits >> 10 & 31), sign = bits >> 15 == 0 ? 1.0 : -1.0
        switch exponent {
        case 0: return sign * fraction / 16_777_216
        case 31: return fraction == 0 ? sign * .infinity : .nan
        default: return sign * Double(sign: .plus, exponent: exponent - 15, significand: 1 + fraction / 1024)
        }
    }

    /// A character in quotes, with C's escapes.
    static func quoted(_ byte: UInt8) -> String { "'" + escaped([byte], quote: "'") + "'" }

    /// Bytes as they stand in a C string.
    static func escaped(_ bytes: [UInt8], quote: Character = "\"") -> String {
        var text = ""
        for byte in bytes {
            switch byte {
            case 10: text += "\\n"
            case 13: text += "\\r"
            case 9: text += "\\t"
            case 27: text += "\\e"
            case 92: text += "\\\\"
            case 32..<127:
                let character = Character(UnicodeScalar(byte))
                text += character == quote ? "\\\(character)" : String(character)
            default:
                let octal = String(byte, radix: 8)
                text += "\\" + String(repeating: "0", count: 3 - octal.count) + octal
            }
        }
        return text
    }
}
