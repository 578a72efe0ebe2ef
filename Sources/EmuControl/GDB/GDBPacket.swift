/// Packets of the GDB remote serial protocol on the wire ("Overview" in the protocol's appendix of the GDB manual):
/// `$body#checksum`, with `}` in front of bytes that would be taken for framing.
package enum GDBPacket {
    /// Longest body a client may send, and the longest this side sends; told to the client as `PacketSize`.
    package static let size = 0x4000

    /// A body as it is sent.
    package static func frame(_ body: [UInt8]) -> [UInt8] {
        var result = [UInt8(ascii: "$")]
        result.reserveCapacity(body.count + 4)
        var sum: UInt8 = 0
        func add(_ byte: UInt8) {
            result.append(byte)
            sum &+= byte
        }
        for byte in body {
            if needsEscape(byte) {
                add(escape)
                add(byte ^ 0x20)
            } else {
                add(byte)
            }
        }
        result.append(UInt8(ascii: "#"))
        result += hex([sum])
        return result
    }

    fileprivate static let escape = UInt8(ascii: "}")

    /// `*` begins a run-length in what a stub sends.
    private static func needsEscape(_ byte: UInt8) -> Bool { "$#}*".utf8.contains(byte) }

    /// Two digits for each byte.
    static func hex(_ bytes: some Sequence<UInt8>) -> [UInt8] {
        let digits = Array("0123456789abcdef".utf8)
        return bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }
    }

    /// What two digits each say; nil for an odd number of digits, or others.
    package static func bytes(hex text: some Collection<UInt8>) -> [UInt8]? {
        guard text.count % 2 == 0 else { return nil }
        var result: [UInt8] = []
        result.reserveCapacity(text.count / 2)
        var high: UInt8?
        for character in text {
            guard let digit = digit(character) else { return nil }
            if let begun = high {
                result.append(begun << 4 | digit)
                high = nil
            } else {
                high = digit
            }
        }
        return result
    }

    static func digit(_ character: UInt8) -> UInt8? {
        switch character {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): character - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): character - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): character - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}

/// Finds packets in what a client sends, byte by byte, whatever it sends.
package struct GDBPacketReader {
    package enum Event: Equatable {
        /// Complete, its checksum right, escapes undone.
        case packet([UInt8])
        /// Too long, or its checksum wrong.
        case damaged
        case acknowledge
        /// The client asks for the last packet again.
        case reject
        /// Ctrl-C: stop the guest.
        case interrupt
    }

    private enum State {
        case outside
        case body
        /// What follows is dropped up to the end of the packet.
        case tooLong
        case firstDigit
        case secondDigit(UInt8?)
    }

    private var state = State.outside
    private var body: [UInt8] = []
    private var sum: UInt8 = 0
    private var isTooLong = false

    package init() {}

    /// Takes the next byte; the event it completes, if any.
    package mutating func take(_ byte: UInt8) -> Event? {
        switch state {
        case .outside:
            switch byte {
            case UInt8(ascii: "$"): begin()
            case UInt8(ascii: "+"): return .acknowledge
            case UInt8(ascii: "-"): return .reject
            case 0x03: return .interrupt
            // Noise between packets means nothing.
            default: break
            }
        case .body, .tooLong:
            switch byte {
            // Never part of a body: the end of the last packet was lost.
            case UInt8(ascii: "$"): begin()
            case UInt8(ascii: "#"): state = .firstDigit
            default: add(byte)
            }
        case .firstDigit: state = .secondDigit(GDBPacket.digit(byte))
        case .secondDigit(let high):
            state = .outside
            guard let high, let low = GDBPacket.digit(byte), high << 4 | low == sum, !isTooLong, let plain = unescaped() else { return .damaged }
            return .packet(plain)
        }
        return nil
    }

    private mutating func begin() {
        state = .body
        body.removeAll(keepingCapacity: true)
        sum = 0
        isTooLong = false
    }

    private mutating func add(_ byte: UInt8) {
        if body.count == GDBPacket.size { isTooLong = true }
        if isTooLong {
            state = .tooLong
            return
        }
        body.append(byte)
        sum &+= byte
    }

    /// Nil when the body ends within an escape.
    private func unescaped() -> [UInt8]? {
        guard body.contains(GDBPacket.escape) else { return body }
        var result: [UInt8] = []
        result.reserveCapacity(body.count)
        var isEscaped = false
        for byte in body {
            if isEscaped {
                result.append(byte ^ 0x20)
                isEscaped = false
            } else if byte == GDBPacket.escape {
                isEscaped = true
            } else {
                result.append(byte)
            }
        }
        return isEscaped ? nil : result
    }
}

/// The arguments of a packet, taken from its front.
package struct GDBArguments {
    private(set) var rest: ArraySlice<UInt8>

    package init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

    var isEmpty: Bool { rest.isEmpty }
    /// The rest as text; only to be compared with or shown.
    var text: String { String(decoding: rest, as: UTF8.self) }

    /// True, and past it, when `literal` comes next.
    package mutating func skip(_ literal: String) -> Bool {
        guard rest.starts(with: literal.utf8) else { return false }
        rest = rest.dropFirst(literal.utf8.count)
        return true
    }

    /// A hexadecimal number of up to 64 bits.
    package mutating func number() -> UInt64? {
        let digits = rest.prefix { GDBPacket.digit($0) != nil }
        guard !digits.isEmpty, digits.drop(while: { $0 == UInt8(ascii: "0") }).count <= 16 else { return nil }
        rest = rest.dropFirst(digits.count)
        return digits.reduce(0) { $0 << 4 | UInt64(GDBPacket.digit($1) ?? 0) }
    }

    /// Two numbers with a comma between them.
    mutating func pair() -> (UInt64, UInt64)? {
        guard let first = number(), skip(","), let second = number() else { return nil }
        return (first, second)
    }

    mutating func byte() -> UInt8? { rest.popFirst() }

    /// What comes before `separator`, which is dropped, or else the rest.
    mutating func word(until separator: Character) -> ArraySlice<UInt8> {
        let word = rest.prefix { $0 != separator.asciiValue }
        rest = rest.dropFirst(word.count + 1)
        return word
    }

    package mutating func thread() -> GDBThread? {
        // With the name of a process in front, which is always the first.
        if skip("p") {
            guard !skip("-1") || isEmpty else { return nil }
            if isEmpty { return .all }
            guard number() != nil else { return nil }
            guard skip(".") else { return isEmpty ? .all : nil }
        }
        if skip("-1") { return .all }
        guard let number = number() else { return nil }
        if number == 0 { return .any }
        return .hart(Int(clamping: number - 1))
    }
}

/// A thread as packets name it. Harts are threads, counted from 1, because 0 means any.
package enum GDBThread: Equatable {
    case all
    case any
    case hart(Int)

    static func text(hart: Int) -> String { String(hart + 1, radix: 16) }
}
