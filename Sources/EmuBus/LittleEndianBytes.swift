/// Bytes put together field by field, numbers in little-endian order: the form of firmware tables and of what devices tell of themselves.
package struct LittleEndianBytes {
    package private(set) var bytes: [UInt8]

    /// No bytes yet.
    package init() { bytes = [] }

    /// A structure of fixed size, all zeros, for `set`.
    package init(size: Int) { bytes = Array(repeating: 0, count: size) }

    package var count: Int { bytes.count }

    // MARK: Behind what is there

    package mutating func add<T: FixedWidthInteger>(_ value: T) {
        withUnsafeBytes(of: value.littleEndian) { bytes += $0 }
    }

    package mutating func add(_ more: [UInt8]) { bytes += more }

    package mutating func addZeros(_ count: Int) { bytes += Array(repeating: 0, count: count) }

    /// The ASCII characters of `text` in a field of `width` bytes: cut, or filled up with `filler`.
    package mutating func add(_ text: String, width: Int, filler: UInt8 = 0) { bytes += Self.field(text, width, filler) }

    // MARK: In its place

    package mutating func set<T: FixedWidthInteger>(_ offset: Int, _ value: T) {
        withUnsafeBytes(of: value.littleEndian) { bytes.replaceSubrange(offset..<offset + $0.count, with: $0) }
    }

    package mutating func set(_ offset: Int, _ content: [UInt8]) { bytes.replaceSubrange(offset..<offset + content.count, with: content) }

    /// As `add` of a text.
    package mutating func set(_ offset: Int, _ text: String, width: Int, filler: UInt8 = 0) { set(offset, Self.field(text, width, filler)) }

    private static func field(_ text: String, _ width: Int, _ filler: UInt8) -> [UInt8] {
        let characters = text.utf8.prefix(width)
        return Array(characters) + Array(repeating: filler, count: width - characters.count)
    }

    /// The value that makes the sum of all bytes a multiple of 256 when it is added.
    package static func checksum(_ bytes: some Sequence<UInt8>) -> UInt8 { 0 &- bytes.reduce(0, &+) }
}
