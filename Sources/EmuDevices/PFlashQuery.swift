/// What a flash chip says of itself: identifier codes, and the query table of the Common Flash Interface (JESD68.01, with the primary
/// extended table of command set 0001). Numbers describe one of the two chips.
enum PFlashQuery {
    /// Most bytes of the bank one buffered write can program.
    static let bufferSize = 2 << Int(bufferShift)

    /// log2 of the bytes of one chip's write buffer.
    private static let bufferShift: UInt8 = 11
    /// log2 of the bytes of one chip.
    private static let chipShift = UInt8(truncatingIfNeeded: (PFlash.size / 2).trailingZeroBitCount)
    private static let blockSize = PFlash.sectorSize / 2
    private static let blocks = PFlash.size / PFlash.sectorSize

    /// Identifier word: manufacturer, device, then the lock bit of each block and the device's configuration, all clear.
    static func identifier(_ word: UInt64) -> UInt8 {
        switch word {
        case 0: 0x89
        case 1: 0x18
        default: 0
        }
    }

    /// Query word, 0 outside the table.
    static func table(_ word: UInt64) -> UInt8 {
        guard word >= first, word < first + UInt64(words.count) else { return 0 }
        return words[Int(word - first)]
    }

    private static let first: UInt64 = 0x10
    private static let primary: UInt64 = 0x31

    private static let words: [UInt8] =
        Array("QRY".utf8) + half(1) + half(primary) + half(0) + half(0)  // Command set, its extended table; no alternative.
        + [
            0x45, 0x55,  // Vcc from 4.5 to 5.5 V.
            0, 0,  // No Vpp.
            7, 7, 10, 0,  // Typical times: 2^7 us for a word or a buffer, 2^10 ms for a block; no chip erase.
            4, 4, 4, 0,  // Most: 2^4 times that.
            chipShift,
        ]
        + half(2) + half(UInt64(bufferShift))  // 8 or 16 bits wide.
        + [1] + half(blocks - 1) + half(blockSize / 256)  // One region of equal blocks.
        + Array("PRI".utf8) + Array("10".utf8)  // Version 1.0.
        + [0, 0, 0, 0, 0, 0, 0]  // No optional feature, nothing possible while suspended, no lock bits.
        + [0x50, 0]  // 5 V, no Vpp.
        + [0]  // No protection registers.

    private static func half(_ value: UInt64) -> [UInt8] { [UInt8(truncatingIfNeeded: value), UInt8(truncatingIfNeeded: value >> 8)] }
}
