/// Why a command of the debugger cannot be carried out: a sentence for the user.
public struct DebugError: Error, CustomStringConvertible, Equatable, Sendable {
    public let description: String

    public init(_ description: String) { self.description = description }
}

/// "0x…" with as many digits as the value has.
func hexText(_ value: UInt64) -> String { "0x" + String(value, radix: 16) }

/// "0x…" with 16 digits, for columns.
func hexColumn(_ value: UInt64, digits: Int = 16) -> String {
    let text = String(value, radix: 16)
    return "0x" + String(repeating: "0", count: max(0, digits - text.count)) + text
}

/// Seconds with nine decimals.
func secondsText(_ nanoseconds: UInt64) -> String {
    let digits = String(nanoseconds % 1_000_000_000)
    return "\(nanoseconds / 1_000_000_000)." + String(repeating: "0", count: 9 - digits.count) + digits
}

extension String {
    /// Followed by spaces up to `width` characters.
    func padded(_ width: Int) -> String { count >= width ? self : self + String(repeating: " ", count: width - count) }
}
