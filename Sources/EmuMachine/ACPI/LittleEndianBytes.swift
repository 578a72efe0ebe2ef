/// Bytes put together field by field, numbers in little-endian order: the form of firmware tables.
struct LittleEndianBytes {
    private(set) var bytes: [UInt8] = []

    var count: Int { bytes.count }

    mutating func add<T: FixedWidthInteger>(_ value: T) {
        withUnsafeBytes(of: value.littleEndian) { bytes += $0 }
    }

    mutating func add(_ more: [UInt8]) { bytes += more }

    mutating func addZeros(_ count: Int) { bytes += Array(repeating: 0, count: count) }

    /// The ASCII characters of `text` in a field of `width` bytes: cut, or filled up with `filler`.
    mutating func add(_ text: String, width: Int, filler: UInt8 = 0) {
        let characters = text.utf8.prefix(width)
        bytes += characters
        bytes += Array(repeating: filler, count: width - characters.count)
    }

    mutating func set<T: FixedWidthInteger>(_ offset: Int, _ value: T) {
        withUnsafeBytes(of: value.littleEndian) { bytes.replaceSubrange(offset..<offset + $0.count, with: $0) }
    }

    /// The value that makes the sum of all bytes a multiple of 256 when it is added.
    static func checksum(_ bytes: some Sequence<UInt8>) -> UInt8 { 0 &- bytes.reduce(0, &+) }
}
