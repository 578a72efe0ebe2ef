import EmuIR

extension RVTable {
    /// Zkne and Zknd: AES for 64-bit processors. Both have the key schedule; its rounds above 10 are reserved.
    static let zkned: [RVInstruction] = [
        .init("aes64es",   "0011001 ttttt sssss 000 ddddd 0110011", .all(.zkne), .r, .aes64es),
        .init("aes64esm",  "0011011 ttttt sssss 000 ddddd 0110011", .all(.zkne), .r, .aes64esm),
        .init("aes64ds",   "0011101 ttttt sssss 000 ddddd 0110011", .all(.zknd), .r, .aes64ds),
        .init("aes64dsm",  "0011111 ttttt sssss 000 ddddd 0110011", .all(.zknd), .r, .aes64dsm),
        .init("aes64im",   "0011000 00000 sssss 001 ddddd 0010011", .all(.zknd), .unary, .aes64im),
        .init("aes64ks1i", "0011000 1nnnn sssss 001 ddddd 0010011", .keySchedule, .round, .aes64ks1i),
        .init("aes64ks2",  "0111111 ttttt sssss 000 ddddd 0110011", .keySchedule, .r, .aes64ks2),
        .reserved("aes64ks1i of round 11", "0011000 11011 sssss 001 ddddd 0010011", .keySchedule, refines: "aes64ks1i"),
        .reserved("aes64ks1i of rounds above 11", "0011000 111nn sssss 001 ddddd 0010011", .keySchedule, refines: "aes64ks1i"),
    ]

    /// Zknh: SHA-256 and SHA-512.
    static let zknh: [RVInstruction] = [
        .init("sha256sum0", "0001000 00000 sssss 001 ddddd 0010011", .all(.zknh), .unary, .sha256sum0),
        .init("sha256sum1", "0001000 00001 sssss 001 ddddd 0010011", .all(.zknh), .unary, .sha256sum1),
        .init("sha256sig0", "0001000 00010 sssss 001 ddddd 0010011", .all(.zknh), .unary, .sha256sig0),
        .init("sha256sig1", "0001000 00011 sssss 001 ddddd 0010011", .all(.zknh), .unary, .sha256sig1),
        .init("sha512sum0", "0001000 00100 sssss 001 ddddd 0010011", .all(.zknh), .unary, .sha512sum0),
        .init("sha512sum1", "0001000 00101 sssss 001 ddddd 0010011", .all(.zknh), .unary, .sha512sum1),
        .init("sha512sig0", "0001000 00110 sssss 001 ddddd 0010011", .all(.zknh), .unary, .sha512sig0),
        .init("sha512sig1", "0001000 00111 sssss 001 ddddd 0010011", .all(.zknh), .unary, .sha512sig1),
    ]
}

extension RVRequirement {
    static let keySchedule = any(all(.zkne), all(.zknd))
}

/// Semantics of AES (unprivileged manual, "Scalar Cryptography Instructions"; FIPS 197). A state of four columns lies in a pair of
/// registers, column 0 in the low word of the first; byte 0 of a column is the lowest.
package enum RVAES {
    /// Half a round with, and the last round without, mixing columns: the two columns of the new state that stand in the first register.
    /// The other two result with the operands exchanged.
    package static func aes64es(_ a: UInt64, _ b: UInt64) -> UInt64 { substitute(shiftRows(a, b)) { forward[$0] } }
    package static func aes64esm(_ a: UInt64, _ b: UInt64) -> UInt64 { mixColumns(aes64es(a, b)) }
    package static func aes64ds(_ a: UInt64, _ b: UInt64) -> UInt64 { substitute(shiftRowsBack(a, b)) { inverse[$0] } }
    package static func aes64dsm(_ a: UInt64, _ b: UInt64) -> UInt64 { aes64im(aes64ds(a, b)) }

    /// Columns mixed backwards, also for the round keys of decryption.
    package static func aes64im(_ a: UInt64) -> UInt64 {
        // The inverse matrix is the forward one times a matrix of 5 and 4: x ^ 4(x ^ x two bytes on).
        let rotated = a &>> 16 & 0x0000_ffff_0000_ffff | (a & 0x0000_ffff_0000_ffff) &<< 16
        return mixColumns(a ^ double(double(a ^ rotated)))
    }

    /// The start of the next round key from the last word of the one before: turned and with its constant, or for 10 only substituted.
    package static func aes64ks1i(_ a: UInt64, round: UInt64) -> UInt64 {
        var word = UInt32(truncatingIfNeeded: a &>> 32)
        if round < 10 { word = word &>> 8 | word &<< 24 }
        let result = substitute(UInt64(word)) { forward[$0] } & 0xffff_ffff ^ (round < 10 ? constant(round) : 0)
        return result | result &<< 32
    }

    /// Two words of the next round key from the words before them.
    package static func aes64ks2(_ a: UInt64, _ b: UInt64) -> UInt64 {
        let low = a &>> 32 ^ b & 0xffff_ffff
        return low | (low ^ b &>> 32) &<< 32
    }

    // MARK: Steps

    /// Row r of column c comes from column c + r.
    private static func shiftRows(_ a: UInt64, _ b: UInt64) -> UInt64 {
        a & 0x0000_00ff_0000_00ff
            | (a &>> 32 & 0xff00 | (b & 0xff00) &<< 32)
            | (b & 0x00ff_0000 | b & 0x00ff_0000_0000_0000)
            | (b &>> 32 & 0xff00_0000 | (a & 0xff00_0000) &<< 32)
    }

    /// Row r of column c comes from column c - r.
    private static func shiftRowsBack(_ a: UInt64, _ b: UInt64) -> UInt64 {
        a & 0x0000_00ff_0000_00ff
            | (b &>> 32 & 0xff00 | (a & 0xff00) &<< 32)
            | (b & 0x00ff_0000 | b & 0x00ff_0000_0000_0000)
            | (a &>> 32 & 0xff00_0000 | (b & 0xff00_0000) &<< 32)
    }

    /// Each byte times x in GF(2⁸).
    private static func double(_ a: UInt64) -> UInt64 {
        let carries = a &>> 7 & 0x0101_0101_0101_0101
        return (a & 0x7f7f_7f7f_7f7f_7f7f) &<< 1 ^ carries &* 0x1b
    }

    /// Each byte becomes 2x₀ + 3x₁ + x₂ + x₃ of its column, counted from itself.
    private static func mixColumns(_ a: UInt64) -> UInt64 {
        let one = a &>> 8 & 0x00ff_ffff_00ff_ffff | (a & 0x0000_00ff_0000_00ff) &<< 24
        let two = a &>> 16 & 0x0000_ffff_0000_ffff | (a & 0x0000_ffff_0000_ffff) &<< 16
        let three = a &>> 24 & 0x0000_00ff_0000_00ff | (a & 0x00ff_ffff_00ff_ffff) &<< 8
        return double(a ^ one) ^ one ^ two ^ three
    }

    @inline(__always)
    private static func substitute(_ a: UInt64, _ box: (Int) -> UInt8) -> UInt64 {
        var result: UInt64 = 0
        for position in 0..<8 as Range<UInt64> { result |= UInt64(box(Int(a &>> (8 &* position) & 0xff))) &<< (8 &* position) }
        return result
    }

    /// x to the power of the round.
    private static func constant(_ round: UInt64) -> UInt64 {
        let power = 1 as UInt64 &<< round
        return power ^ power &>> 8 &* 0x11b
    }

    private static let forward: InlineArray<256, UInt8> = [
    0x63, 0x7c, 0x77, 0x7b, 0xf2, 0x6b, 0x6f, 0xc5, 0x30, 0x01, 0x67, 0x2b, 0xfe, 0xd7, 0xab, 0x76,
    0xca, 0x82, 0xc9, 0x7d, 0xfa, 0x59, 0x47, 0xf0, 0xad, 0xd4, 0xa2, 0xaf, 0x9c, 0xa4, 0x72, 0xc0,
    0xb7, 0xfd, 0x93, 0x26, 0x36, 0x3f, 0xf7, 0xcc, 0x34, 0xa5, 0xe5, 0xf1, 0x71, 0xd8, 0x31, 0x15,
    0x04, 0xc7, 0x23, 0xc3, 0x18, 0x96, 0x05, 0x9a, 0x07, 0x12, 0x80, 0xe2, 0xeb, 0x27, 0xb2, 0x75,
    0x09, 0x83, 0x2c, 0x1a, 0x1b, 0x6e, 0x5a, 0xa0, 0x52, 0x3b, 0xd6, 0xb3, 0x29, 0xe3, 0x2f, 0x84,
    0x53, 0xd1, 0x00, 0xed, 0x20, 0xfc, 0xb1, 0x5b, 0x6a, 0xcb, 0xbe, 0x39, 0x4a, 0x4c, 0x58, 0xcf,
    0xd0, 0xef, 0xaa, 0xfb, 0x43, 0x4d, 0x33, 0x85, 0x45, 0xf9, 0x02, 0x7f, 0x50, 0x3c, 0x9f, 0xa8,
    0x51, 0xa3, 0x40, 0x8f, 0x92, 0x9d, 0x38, 0xf5, 0xbc, 0xb6, 0xda, 0x21, 0x10, 0xff, 0xf3, 0xd2,
    0xcd, 0x0c, 0x13, 0xec, 0x5f, 0x97, 0x44, 0x17, 0xc4, 0xa7, 0x7e, 0x3d, 0x64, 0x5d, 0x19, 0x73,
    0x60, 0x81, 0x4f, 0xdc, 0x22, 0x2a, 0x90, 0x88, 0x46, 0xee, 0xb8, 0x14, 0xde, 0x5e, 0x0b, 0xdb,
    0xe0, 0x32, 0x3a, 0x0a, 0x49, 0x06, 0x24, 0x5c, 0xc2, 0xd3, 0xac, 0x62, 0x91, 0x95, 0xe4, 0x79,
    0xe7, 0xc8, 0x37, 0x6d, 0x8d, 0xd5, 0x4e, 0xa9, 0x6c, 0x56, 0xf4, 0xea, 0x65, 0x7a, 0xae, 0x08,
    0xba, 0x78, 0x25, 0x2e, 0x1c, 0xa6, 0xb4, 0xc6, 0xe8, 0xdd, 0x74, 0x1f, 0x4b, 0xbd, 0x8b, 0x8a,
    0x70, 0x3e, 0xb5, 0x66, 0x48, 0x03, 0xf6, 0x0e, 0x61, 0x35, 0x57, 0xb9, 0x86, 0xc1, 0x1d, 0x9e,
    0xe1, 0xf8, 0x98, 0x11, 0x69, 0xd9, 0x8e, 0x94, 0x9b, 0x1e, 0x87, 0xe9, 0xce, 0x55, 0x28, 0xdf,
    0x8c, 0xa1, 0x89, 0x0d, 0xbf, 0xe6, 0x42, 0x68, 0x41, 0x99, 0x2d, 0x0f, 0xb0, 0x54, 0xbb, 0x16,    ]

    private static let inverse: InlineArray<256, UInt8> = [
    0x52, 0x09, 0x6a, 0xd5, 0x30, 0x36, 0xa5, 0x38, 0xbf, 0x40, 0xa3, 0x9e, 0x81, 0xf3, 0xd7, 0xfb,
    0x7c, 0xe3, 0x39, 0x82, 0x9b, 0x2f, 0xff, 0x87, 0x34, 0x8e, 0x43, 0x44, 0xc4, 0xde, 0xe9, 0xcb,
    0x54, 0x7b, 0x94, 0x32, 0xa6, 0xc2, 0x23, 0x3d, 0xee, 0x4c, 0x95, 0x0b, 0x42, 0xfa, 0xc3, 0x4e,
    0x08, 0x2e, 0xa1, 0x66, 0x28, 0xd9, 0x24, 0xb2, 0x76, 0x5b, 0xa2, 0x49, 0x6d, 0x8b, 0xd1, 0x25,
    0x72, 0xf8, 0xf6, 0x64, 0x86, 0x68, 0x98, 0x16, 0xd4, 0xa4, 0x5c, 0xcc, 0x5d, 0x65, 0xb6, 0x92,
    0x6c, 0x70, 0x48, 0x50, 0xfd, 0xed, 0xb9, 0xda, 0x5e, 0x15, 0x46, 0x57, 0xa7, 0x8d, 0x9d, 0x84,
    0x90, 0xd8, 0xab, 0x00, 0x8c, 0xbc, 0xd3, 0x0a, 0xf7, 0xe4, 0x58, 0x05, 0xb8, 0xb3, 0x45, 0x06,
    0xd0, 0x2c, 0x1e, 0x8f, 0xca, 0x3f, 0x0f, 0x02, 0xc1, 0xaf, 0xbd, 0x03, 0x01, 0x13, 0x8a, 0x6b,
    0x3a, 0x91, 0x11, 0x41, 0x4f, 0x67, 0xdc, 0xea, 0x97, 0xf2, 0xcf, 0xce, 0xf0, 0xb4, 0xe6, 0x73,
    0x96, 0xac, 0x74, 0x22, 0xe7, 0xad, 0x35, 0x85, 0xe2, 0xf9, 0x37, 0xe8, 0x1c, 0x75, 0xdf, 0x6e,
    0x47, 0xf1, 0x1a, 0x71, 0x1d, 0x29, 0xc5, 0x89, 0x6f, 0xb7, 0x62, 0x0e, 0xaa, 0x18, 0xbe, 0x1b,
    0xfc, 0x56, 0x3e, 0x4b, 0xc6, 0xd2, 0x79, 0x20, 0x9a, 0xdb, 0xc0, 0xfe, 0x78, 0xcd, 0x5a, 0xf4,
    0x1f, 0xdd, 0xa8, 0x33, 0x88, 0x07, 0xc7, 0x31, 0xb1, 0x12, 0x10, 0x59, 0x27, 0x80, 0xec, 0x5f,
    0x60, 0x51, 0x7f, 0xa9, 0x19, 0xb5, 0x4a, 0x0d, 0x2d, 0xe5, 0x7a, 0x9f, 0x93, 0xc9, 0x9c, 0xef,
    0xa0, 0xe0, 0x3b, 0x4d, 0xae, 0x2a, 0xf5, 0xb0, 0xc8, 0xeb, 0xbb, 0x3c, 0x83, 0x53, 0x99, 0x61,
    0x17, 0x2b, 0x04, 0x7e, 0xba, 0x77, 0xd6, 0x26, 0xe1, 0x69, 0x14, 0x63, 0x55, 0x21, 0x0c, 0x7d,    ]
}

/// Semantics of Zknh (FIPS 180-4, 4.1.2 and 4.1.3). SHA-256 works on the low word and sign-extends.
package enum RVSHA {
    package static func sha256sum0(_ a: UInt64) -> UInt64 { word(a, 2, 13, 22) }
    package static func sha256sum1(_ a: UInt64) -> UInt64 { word(a, 6, 11, 25) }
    package static func sha256sig0(_ a: UInt64) -> UInt64 { word(a, 7, 18, shift: 3) }
    package static func sha256sig1(_ a: UInt64) -> UInt64 { word(a, 17, 19, shift: 10) }
    package static func sha512sum0(_ a: UInt64) -> UInt64 { rotate(a, 28) ^ rotate(a, 34) ^ rotate(a, 39) }
    package static func sha512sum1(_ a: UInt64) -> UInt64 { rotate(a, 14) ^ rotate(a, 18) ^ rotate(a, 41) }
    package static func sha512sig0(_ a: UInt64) -> UInt64 { rotate(a, 1) ^ rotate(a, 8) ^ a &>> 7 }
    package static func sha512sig1(_ a: UInt64) -> UInt64 { rotate(a, 19) ^ rotate(a, 61) ^ a &>> 6 }

    private static func rotate(_ a: UInt64, _ amount: UInt64) -> UInt64 { a &>> amount | a &<< (64 &- amount) }

    private static func rotate(_ a: UInt32, _ amount: UInt32) -> UInt32 { a &>> amount | a &<< (32 &- amount) }

    private static func word(_ a: UInt64, _ first: UInt32, _ second: UInt32, _ third: UInt32) -> UInt64 {
        let a = UInt32(truncatingIfNeeded: a)
        return UInt64(rotate(a, first) ^ rotate(a, second) ^ rotate(a, third)).signExtendedWord
    }

    private static func word(_ a: UInt64, _ first: UInt32, _ second: UInt32, shift: UInt32) -> UInt64 {
        let a = UInt32(truncatingIfNeeded: a)
        return UInt64(rotate(a, first) ^ rotate(a, second) ^ a &>> shift).signExtendedWord
    }
}

// MARK: Translation

extension RVTranslator {
    mutating func lowerZkned(_ op: RVOp, _ r: DecodedOp) {
        if op == .aes64ks2 { return lowerKeyScheduleEnd(r) }
        guard hasCiphers else { return interpret() }
        switch op {
        case .aes64es: binary(.aes64es, r)
        case .aes64esm: binary(.aes64esm, r)
        case .aes64ds: binary(.aes64ds, r)
        case .aes64dsm: binary(.aes64dsm, r)
        case .aes64im: unary(.aes64im, r)
        case .aes64ks1i: immediate(.aes64ks1i, r)
        default: interpret()
        }
    }

    /// The upper word of rs1 + the lower one of rs2, and that + the upper one of rs2.
    private mutating func lowerKeyScheduleEnd(_ r: DecodedOp) {
        if Self.isDiscarded(r.rd) { return }
        let (word, sum, upper) = (temp(), temp(), temp())
        emit(.shr, word, source(r.rs1), .constant(32))
        emit(.xor, sum, word, source(r.rs2))
        emit(.shl, upper, sum, .constant(32))
        emit(.xor, .integer(r.rd), sum, upper)
    }

    mutating func lowerZknh(_ op: RVOp, _ r: DecodedOp) {
        switch op {
        case .sha256sum0: sum(.turnedSumw, r, TurnedSum(2, 13, 22))
        case .sha256sum1: sum(.turnedSumw, r, TurnedSum(6, 11, 25))
        case .sha256sig0: sum(.turnedSumw, r, TurnedSum(7, 18, 3, isShift: true))
        case .sha256sig1: sum(.turnedSumw, r, TurnedSum(17, 19, 10, isShift: true))
        case .sha512sum0: sum(.turnedSum, r, TurnedSum(28, 34, 39))
        case .sha512sum1: sum(.turnedSum, r, TurnedSum(14, 18, 41))
        case .sha512sig0: sum(.turnedSum, r, TurnedSum(1, 8, 7, isShift: true))
        case .sha512sig1: sum(.turnedSum, r, TurnedSum(19, 61, 6, isShift: true))
        default: interpret()
        }
    }

    /// rd = the sum of rs1 turned by three amounts.
    mutating func sum(_ op: Opcode, _ r: DecodedOp, _ amounts: TurnedSum) {
        if Self.isDiscarded(r.rd) { return }
        emit(op, .integer(r.rd), source(r.rs1), .constant(amounts.rawValue))
    }
}
