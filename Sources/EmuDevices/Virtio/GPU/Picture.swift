import CZlib

/// What is on a screen, for files.
public struct Picture: Equatable, Sendable {
    public let width: Int
    public let height: Int
    /// Rows from the top, red, green and blue of each pixel.
    public private(set) var rgb: [UInt8]

    public init(width: Int, height: Int) {
        self.width = width
        self.height = height
        rgb = [UInt8](repeating: 0, count: 3 * width * height)
    }

    mutating func set(_ x: Int, _ y: Int, red: UInt8, green: UInt8, blue: UInt8) {
        let offset = 3 * (y * width + x)
        rgb[offset] = red
        rgb[offset + 1] = green
        rgb[offset + 2] = blue
    }

    /// As a portable pixmap (netpbm's binary PPM).
    public var ppm: [UInt8] { Array("P6\n\(width) \(height)\n255\n".utf8) + rgb }

    /// As PNG (ISO/IEC 15948): eight bits a colour, no filters.
    public var png: [UInt8] {
        var rows: [UInt8] = []
        rows.reserveCapacity(height * (3 * width + 1))
        for row in 0..<height {
            rows.append(0)
            rows += rgb[3 * width * row..<3 * width * (row + 1)]
        }
        return [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]
            + Self.chunk("IHDR", Self.big(width) + Self.big(height) + [8, 2, 0, 0, 0]) + Self.chunk("IDAT", Self.compressed(rows)) + Self.chunk("IEND", [])
    }

    private static func big(_ value: Int) -> [UInt8] { (0..<4).reversed().map { UInt8(truncatingIfNeeded: value >> (8 * $0)) } }

    private static func chunk(_ type: String, _ data: [UInt8]) -> [UInt8] {
        let content = Array(type.utf8) + data
        return big(data.count) + content + big(Int(crc32(0, content, uInt(content.count))))
    }

    private static func compressed(_ bytes: [UInt8]) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: Int(compressBound(uLong(bytes.count)))) { buffer, initialized in
            // SAFETY: as many bytes are initialised as the call says; none where it fails, which it cannot with this much room.
            var count = uLong(buffer.count)
            initialized = compress2(buffer.baseAddress, &count, bytes, uLong(bytes.count), Z_BEST_SPEED) == Z_OK ? Int(count) : 0
        }
    }
}
