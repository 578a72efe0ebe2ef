/// Readers of single values, in QEMU's forms. Each returns nil for what it does not take.
package enum Values {
    /// on/off and their synonyms.
    package static func bool(_ text: some StringProtocol) -> Bool? {
        switch text {
        case "on", "yes", "true", "y": true
        case "off", "no", "false", "n": false
        default: nil
        }
    }

    /// An unsigned number: decimal, or hexadecimal after `0x`.
    package static func number(_ text: some StringProtocol) -> UInt64? {
        if text.hasPrefix("0x") || text.hasPrefix("0X") {
            let digits = text.dropFirst(2)
            return digits.first?.isHexDigit == true ? UInt64(digits, radix: 16) : nil
        }
        return text.first?.isNumber == true ? UInt64(text) : nil
    }

    /// A size in bytes: a number, possibly with a fraction, and a unit (B, K, M, G, T, P, E: powers of 1024; either case).
    /// - Parameter unit: bytes of one when no unit is written.
    package static func size(_ text: some StringProtocol, unit: UInt64 = 1) -> UInt64? {
        var number = text[...]
        var scale = unit
        if let last = number.last, let position = Array("bkmgtpe").firstIndex(of: Character(last.lowercased())),
            !(number.hasPrefix("0x") && last.isHexDigit)
        {
            scale = 1 << (10 * UInt64(position))
            number = number.dropLast()
        }
        guard let dot = number.firstIndex(of: ".") else {
            guard let whole = Self.number(number) else { return nil }
            let (bytes, overflow) = whole.multipliedReportingOverflow(by: scale)
            return overflow ? nil : bytes
        }
        let fraction = number[number.index(after: dot)...]
        guard let whole = UInt64(number[..<dot]), !fraction.isEmpty, fraction.allSatisfy({ $0.isASCII && $0.isNumber }),
            let part = Double("0." + fraction), scale > 1
        else { return nil }
        let (bytes, overflow) = whole.multipliedReportingOverflow(by: scale)
        guard !overflow else { return nil }
        let (sum, carry) = bytes.addingReportingOverflow(UInt64(part * Double(scale)))
        return carry ? nil : sum
    }

    /// Addresses as `-dfilter` takes them: `START+LENGTH`, `START-LENGTH` or `START..END`, in hexadecimal with or without `0x`.
    package static func addressRange(_ text: some StringProtocol) -> ClosedRange<UInt64>? {
        func number(_ text: Substring) -> UInt64? {
            let digits = text.hasPrefix("0x") || text.hasPrefix("0X") ? text.dropFirst(2) : text
            return digits.first?.isHexDigit == true ? UInt64(digits, radix: 16) : nil
        }
        let text = text.description
        if let dots = text.firstRange(of: "..") {
            guard let start = number(text[..<dots.lowerBound]), let end = number(text[dots.upperBound...]), start <= end else { return nil }
            return start...end
        }
        guard let sign = text.firstIndex(where: { $0 == "+" || $0 == "-" }),
            let start = number(text[..<sign]), let length = number(text[text.index(after: sign)...]), length > 0
        else { return nil }
        if text[sign] == "+" { return start...(start.addingReportingOverflow(length - 1).overflow ? .max : start + (length - 1)) }
        return (start < length - 1 ? 0 : start - (length - 1))...start
    }

    /// A dotted IPv4 address.
    package static func isIPv4Address(_ text: some StringProtocol) -> Bool {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4
            && parts.allSatisfy { $0.count <= 3 && $0.allSatisfy { $0.isASCII && $0.isNumber } && UInt8($0) != nil }
    }

    /// An Ethernet address of one station (not a group), six hexadecimal bytes joined by colons.
    package static func isUnicastMAC(_ text: some StringProtocol) -> Bool {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 6, parts.allSatisfy({ $0.count == 2 && $0.allSatisfy(\.isHexDigit) }),
            let first = UInt8(parts[0], radix: 16)
        else { return false }
        return first & 1 == 0
    }
}
