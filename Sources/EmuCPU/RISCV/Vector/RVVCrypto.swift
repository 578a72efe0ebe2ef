extension RVTable {
    /// Zvkg: GHASH.
    static let zvkg = [
        vectorCipher("vgmul.vv", 0x28, code: 0x11, .vgmul, .all(.zvkg)),
        vectorHash("vghsh.vv", 0x2c, .vghsh, .all(.zvkg), .vs1),
    ]

    /// Zvkned: AES.
    static let zvkned = [
        vectorCipher("vaesdm.vv", 0x28, code: 0x00, .vaesdm, .all(.zvkned)), vectorCipher("vaesdm.vs", 0x29, code: 0x00, .vaesdm, .all(.zvkned)),
        vectorCipher("vaesdf.vv", 0x28, code: 0x01, .vaesdf, .all(.zvkned)), vectorCipher("vaesdf.vs", 0x29, code: 0x01, .vaesdf, .all(.zvkned)),
        vectorCipher("vaesem.vv", 0x28, code: 0x02, .vaesem, .all(.zvkned)), vectorCipher("vaesem.vs", 0x29, code: 0x02, .vaesem, .all(.zvkned)),
        vectorCipher("vaesef.vv", 0x28, code: 0x03, .vaesef, .all(.zvkned)), vectorCipher("vaesef.vs", 0x29, code: 0x03, .vaesef, .all(.zvkned)),
        vectorCipher("vaesz.vs", 0x29, code: 0x07, .vaesz, .all(.zvkned)),
        vectorHash("vaeskf1.vi", 0x22, .vaeskf1, .all(.zvkned), .csrImmediate), vectorHash("vaeskf2.vi", 0x2a, .vaeskf2, .all(.zvkned), .csrImmediate),
    ]

    /// Zvknha and Zvknhb: SHA-2; the second has 64-bit words, too.
    static let zvknh = [
        vectorHash("vsha2ms.vv", 0x2d, .vsha2ms, .zvknh, .vs1), vectorHash("vsha2ch.vv", 0x2e, .vsha2ch, .zvknh, .vs1),
        vectorHash("vsha2cl.vv", 0x2f, .vsha2cl, .zvknh, .vs1),
    ]

    /// Zvksed: SM4; Zvksh: SM3.
    static let zvks = [
        vectorHash("vsm4k.vi", 0x21, .vsm4k, .all(.zvksed), .csrImmediate),
        vectorCipher("vsm4r.vv", 0x28, code: 0x10, .vsm4r, .all(.zvksed)), vectorCipher("vsm4r.vs", 0x29, code: 0x10, .vsm4r, .all(.zvksed)),
        vectorHash("vsm3me.vv", 0x20, .vsm3me, .all(.zvksh), .vs1), vectorHash("vsm3c.vi", 0x2b, .vsm3c, .all(.zvksh), .csrImmediate),
    ]

    /// A row whose field vs1 is a function code.
    private static func vectorCipher(_ name: String, _ function: Int, code: Int, _ op: RVOp, _ needs: RVRequirement) -> RVInstruction {
        RVInstruction(name, "\(binary(function, 6)) 1 ttttt \(binary(code, 5)) 010 ddddd 1110111", needs, RVFormat(.vector, [.vd, .vs2]), op)
    }

    private static func vectorHash(_ name: String, _ function: Int, _ op: RVOp, _ needs: RVRequirement, _ second: RVOperand) -> RVInstruction {
        let field = second == .vs1 ? "sssss" : "zzzzz"
        return RVInstruction(name, "\(binary(function, 6)) 1 ttttt \(field) 010 ddddd 1110111", needs, RVFormat(.vector, [.vd, .vs2, second]), op)
    }
}

extension RVRequirement {
    static let zvknh = any(all(.zvknha), all(.zvknhb))
}

// Which encodings are reserved, by the shape of the operation.

extension VectorContext {
    /// Registers hold whole groups of `size` elements, and whole groups are asked for.
    func hasElementGroups(of size: Int) -> Bool { vlmax >= size && vl & (size - 1) == 0 && start & (size - 1) == 0 }

    /// vd overlaps neither vs2 nor, if it is an operand that must be apart, vs1.
    func isApart(_ r: DecodedOp, fromFirst: Bool) -> Bool {
        let (d, a, b) = (group(r.rd), group(r.rs2), group(r.rs1))
        let hasFirst = r.rv != .vsm3c
        return d.isLegal && a.isLegal && (!hasFirst || b.isLegal) && !d.overlaps(a) && (!fromFirst || !d.overlaps(b))
    }

    /// Groups of four words, each a block or a key; one key for all (`.vs`) lies in one register outside vd.
    func isBlockOperation(_ r: DecodedOp) -> Bool {
        guard width == 2, hasElementGroups(of: 4) else { return false }
        let d = group(r.rd)
        if r.hasScalarGroup { return d.isLegal && !d.overlaps(VectorGroup(register: Int(r.rs2), width: width, emul: 0)) }
        return allows(d, group(r.rs2)) && (r.rv != .vghsh || group(r.rs1).isLegal)
    }
}

extension DecodedOp {
    /// The form `.vs` of a cipher: one group in vs2 serves all of vd's.
    var hasScalarGroup: Bool { raw >> 26 & 0x3f == 0x29 }
}

extension RVAES {
    /// The round whose key `vaeskf1` or `vaeskf2` makes. Numbers of rounds there are not stand for others.
    static func round(_ number: Int, of op: RVOp) -> Int {
        let round = number & 15
        return (op == .vaeskf1 ? 1...10 : 2...14).contains(round) ? round : round ^ 8
    }
}

/// "Vector Cryptography Extensions". Their operands are element groups: 4 or 8 elements that are one block, key or part of a hash's state.
extension RVProcessor {
    /// - Returns: false for a reserved encoding.
    func executeVectorCrypto(_ op: RVOp, _ r: DecodedOp, _ c: VectorContext) -> Bool {
        switch op {
        case .vsha2ms, .vsha2ch, .vsha2cl:
            guard c.width == 2 || c.width == 3 && config.extensions.contains(.zvknhb), c.hasElementGroups(of: 4), c.isApart(r, fromFirst: true) else { return false }
            c.width == 2 ? executeSHA2(op, r, c, UInt32.self) : executeSHA2(op, r, c, UInt64.self)
        case .vsm3me, .vsm3c:
            guard c.width == 2, c.hasElementGroups(of: 8), c.isApart(r, fromFirst: false) else { return false }
            op == .vsm3me ? expandSM3(r, c) : compressSM3(r, c)
        default:
            guard c.isBlockOperation(r) else { return false }
            switch op {
            case .vgmul, .vghsh: executeGHASH(op, r, c)
            case .vaeskf1, .vaeskf2: expandAESKey(op, r, c)
            case .vsm4k: expandSM4Key(r, c)
            case .vsm4r: executeSM4(r, c)
            default: executeAES(op, r, c)
            }
        }
        return true
    }

    // MARK: Element groups

    /// Runs `body` for the first element of every group.
    @inline(__always)
    private func forGroups(_ c: VectorContext, of size: Int, _ body: (Int) -> Void) {
        for index in stride(from: c.start, to: c.vl, by: size) { body(index) }
    }

    // MARK: AES

    private func executeAES(_ op: RVOp, _ r: DecodedOp, _ c: VectorContext) {
        let (state, keys) = (elements(r.rd, as: UInt64.self), elements(r.rs2, as: UInt64.self))
        let isScalar = r.hasScalarGroup
        forGroups(c, of: 4) { index in
            let place = index / 2, key = isScalar ? 0 : place
            let (low, high) = (state[place], state[place + 1])
            let (keyLow, keyHigh) = (keys[key], keys[key + 1])
            switch op {
            case .vaesem: (state[place], state[place + 1]) = (RVAES.aes64esm(low, high) ^ keyLow, RVAES.aes64esm(high, low) ^ keyHigh)
            case .vaesef: (state[place], state[place + 1]) = (RVAES.aes64es(low, high) ^ keyLow, RVAES.aes64es(high, low) ^ keyHigh)
            case .vaesdm: (state[place], state[place + 1]) = (RVAES.aes64im(RVAES.aes64ds(low, high) ^ keyLow), RVAES.aes64im(RVAES.aes64ds(high, low) ^ keyHigh))
            case .vaesdf: (state[place], state[place + 1]) = (RVAES.aes64ds(low, high) ^ keyLow, RVAES.aes64ds(high, low) ^ keyHigh)
            default: (state[place], state[place + 1]) = (low ^ keyLow, high ^ keyHigh)
            }
        }
    }

    /// The next round key: of AES-128 from the one before (vs2), of AES-256 from the two before (vd, vs2).
    private func expandAESKey(_ op: RVOp, _ r: DecodedOp, _ c: VectorContext) {
        let (d, a) = (elements(r.rd, as: UInt64.self), elements(r.rs2, as: UInt64.self))
        let round = UInt64(RVAES.round(Int(r.rs1), of: op))
        let isShort = op == .vaeskf1
        // Odd rounds of AES-256 have neither rotation nor constant.
        let step = isShort ? round - 1 : round & 1 != 0 ? 10 : round / 2 - 1
        forGroups(c, of: 4) { index in
            let place = index / 2
            let (low, high) = isShort ? (a[place], a[place + 1]) : (d[place], d[place + 1])
            let first = RVAES.aes64ks2(RVAES.aes64ks1i(a[place + 1], round: step), low)
            (d[place], d[place + 1]) = (first, RVAES.aes64ks2(first, high))
        }
    }

    // MARK: GHASH

    private func executeGHASH(_ op: RVOp, _ r: DecodedOp, _ c: VectorContext) {
        let (d, a, b) = (elements(r.rd, as: UInt64.self), elements(r.rs2, as: UInt64.self), elements(r.rs1, as: UInt64.self))
        forGroups(c, of: 4) { index in
            let place = index / 2
            var (low, high) = (d[place], d[place + 1])
            if op == .vghsh { (low, high) = (low ^ b[place], high ^ b[place + 1]) }
            let product = Self.multiplyGHASH(Self.polynomial(low, high), Self.polynomial(a[place], a[place + 1]))
            d[place] = RVZbk.brev8(UInt64(truncatingIfNeeded: product))
            d[place + 1] = RVZbk.brev8(UInt64(truncatingIfNeeded: product >> 64))
        }
    }

    /// The bits of each byte stand in reverse order.
    private static func polynomial(_ low: UInt64, _ high: UInt64) -> UInt128 { UInt128(RVZbk.brev8(high)) << 64 | UInt128(RVZbk.brev8(low)) }

    /// Modulo x¹²⁸ + x⁷ + x² + x + 1, in as many steps for any operands.
    private static func multiplyGHASH(_ a: UInt128, _ b: UInt128) -> UInt128 {
        var (product, rest, factor): (UInt128, UInt128, UInt128) = (0, a, b)
        for _ in 0..<128 {
            product ^= factor & (0 &- (rest & 1))
            rest &>>= 1
            factor = factor &<< 1 ^ (0 &- (factor &>> 127)) & 0x87
        }
        return product
    }

    // MARK: SHA-2

    private func executeSHA2<Word: SHA2Word>(_ op: RVOp, _ r: DecodedOp, _ c: VectorContext, _ word: Word.Type) {
        let (d, a, b) = (elements(r.rd, as: word), elements(r.rs2, as: word), elements(r.rs1, as: word))
        forGroups(c, of: 4) { index in
            switch op {
            case .vsha2ms: Self.schedule(d + index, a + index, b + index)
            case .vsha2ch: Self.compress(d + index, a + index, b[index + 2], b[index + 3])
            default: Self.compress(d + index, a + index, b[index], b[index + 1])
            }
        }
    }

    /// d: W3…W0 become W19…W16; a: W11, W10, W9, W4; b: W15, W14, -, W12.
    private static func schedule<Word: SHA2Word>(_ d: UnsafeMutablePointer<Word>, _ a: UnsafeMutablePointer<Word>, _ b: UnsafeMutablePointer<Word>) {
        let w16 = Word.sigma1(b[2]) &+ a[1] &+ Word.sigma0(d[1]) &+ d[0]
        let w17 = Word.sigma1(b[3]) &+ a[2] &+ Word.sigma0(d[2]) &+ d[1]
        let w18 = Word.sigma1(w16) &+ a[3] &+ Word.sigma0(d[3]) &+ d[2]
        let w19 = Word.sigma1(w17) &+ b[0] &+ Word.sigma0(a[0]) &+ d[3]
        (d[0], d[1], d[2], d[3]) = (w16, w17, w18, w19)
    }

    /// Two rounds. old: c, d, g, h become a, b, e, f; new: a, b, e, f; the last of each lies lowest.
    private static func compress<Word: SHA2Word>(_ old: UnsafeMutablePointer<Word>, _ new: UnsafeMutablePointer<Word>, _ first: Word, _ second: Word) {
        var (a, b, c, d) = (new[3], new[2], old[3], old[2])
        var (e, f, g, h) = (new[1], new[0], old[1], old[0])
        for message in [first, second] {
            let one = h &+ Word.sum1(e) &+ (e & f ^ ~e & g) &+ message
            let two = Word.sum0(a) &+ (a & b ^ a & c ^ b & c)
            (h, g, f, e) = (g, f, e, d &+ one)
            (d, c, b, a) = (c, b, a, one &+ two)
        }
        (old[3], old[2], old[1], old[0]) = (a, b, e, f)
    }

    // MARK: SM3

    // Words lie in the registers with their first byte lowest, as in the standard's messages.

    private func expandSM3(_ r: DecodedOp, _ c: VectorContext) {
        let (d, a, b) = (elements(r.rd, as: UInt32.self), elements(r.rs2, as: UInt32.self), elements(r.rs1, as: UInt32.self))
        forGroups(c, of: 8) { index in
            var w = InlineArray<24, UInt32>(repeating: 0)
            for place in 0..<8 { (w[place], w[place + 8]) = (b[index + place].byteSwapped, a[index + place].byteSwapped) }
            for place in 16..<24 {
                let mixed = UInt32(truncatingIfNeeded: RVShangMi.sm3p1(UInt64(w[place - 16] ^ w[place - 9] ^ RVShangMi.rotate(w[place - 3], 15))))
                w[place] = mixed ^ RVShangMi.rotate(w[place - 13], 7) ^ w[place - 6]
                d[index + place - 16] = w[place].byteSwapped
            }
        }
    }

    /// Two rounds, of the number `rs1`. vd: the state A…H; vs2: words 0, 1, 4 and 5 from the round's on.
    private func compressSM3(_ r: DecodedOp, _ c: VectorContext) {
        let (d, a) = (elements(r.rd, as: UInt32.self), elements(r.rs2, as: UInt32.self))
        forGroups(c, of: 8) { index in
            var s = InlineArray<8, UInt32>(repeating: 0)
            for place in 0..<8 { s[place] = d[index + place].byteSwapped }
            for step in 0..<2 {
                let round = 2 * UInt32(r.rs1) + UInt32(step)
                let isEarly = round < 16
                let word = a[index + step].byteSwapped
                let turned = RVShangMi.rotate(s[0], 12)
                let one = RVShangMi.rotate(turned &+ s[4] &+ RVShangMi.rotate(isEarly ? 0x79cc_4519 : 0x7a87_9d8a, round & 31), 7)
                let majority = isEarly ? s[0] ^ s[1] ^ s[2] : s[0] & s[1] | s[0] & s[2] | s[1] & s[2]
                let choice = isEarly ? s[4] ^ s[5] ^ s[6] : s[4] & s[5] | ~s[4] & s[6]
                let first = majority &+ s[3] &+ (one ^ turned) &+ (word ^ a[index + step + 4].byteSwapped)
                let second = choice &+ s[7] &+ one &+ word
                (s[3], s[2], s[1], s[0]) = (s[2], RVShangMi.rotate(s[1], 9), s[0], first)
                (s[7], s[6], s[5], s[4]) = (s[6], RVShangMi.rotate(s[5], 19), s[4], UInt32(truncatingIfNeeded: RVShangMi.sm3p0(UInt64(second))))
            }
            for place in 0..<8 { d[index + place] = s[place].byteSwapped }
        }
    }

    // MARK: SM4

    /// Four rounds.
    private func executeSM4(_ r: DecodedOp, _ c: VectorContext) {
        let (state, keys) = (elements(r.rd, as: UInt32.self), elements(r.rs2, as: UInt32.self))
        let isScalar = r.hasScalarGroup
        forGroups(c, of: 4) { index in
            let key = isScalar ? 0 : index
            Self.rounds(state + index, state + index) {
                RVShangMi.linear(RVShangMi.substitute($0 ^ keys[key + $1]))
            }
        }
    }

    /// The next four round keys; bits 2:0 of the immediate say which.
    private func expandSM4Key(_ r: DecodedOp, _ c: VectorContext) {
        let (d, a) = (elements(r.rd, as: UInt32.self), elements(r.rs2, as: UInt32.self))
        let first = 4 * (UInt32(r.rs1) & 7)
        forGroups(c, of: 4) { index in
            Self.rounds(d + index, a + index) { RVShangMi.keyLinear(RVShangMi.substitute($0 ^ RVShangMi.constant(first + UInt32($1)))) }
        }
    }

    /// Each word in its turn becomes the sum of itself and a function of the sum of the other three.
    @inline(__always)
    private static func rounds(_ d: UnsafeMutablePointer<UInt32>, _ a: UnsafeMutablePointer<UInt32>, _ function: (UInt32, Int) -> UInt32) {
        var (w0, w1, w2, w3) = (a[0], a[1], a[2], a[3])
        w0 ^= function(w1 ^ w2 ^ w3, 0)
        w1 ^= function(w2 ^ w3 ^ w0, 1)
        w2 ^= function(w3 ^ w0 ^ w1, 2)
        w3 ^= function(w0 ^ w1 ^ w2, 3)
        (d[0], d[1], d[2], d[3]) = (w0, w1, w2, w3)
    }
}

/// Words of SHA-256 and SHA-512, and the functions of FIPS 180-4 on them.
private protocol SHA2Word: FixedWidthInteger & UnsignedInteger {
    static func sum0(_ x: Self) -> Self
    static func sum1(_ x: Self) -> Self
    static func sigma0(_ x: Self) -> Self
    static func sigma1(_ x: Self) -> Self
}

extension UInt32: SHA2Word {
    fileprivate static func sum0(_ x: UInt32) -> UInt32 { UInt32(truncatingIfNeeded: RVSHA.sha256sum0(UInt64(x))) }
    fileprivate static func sum1(_ x: UInt32) -> UInt32 { UInt32(truncatingIfNeeded: RVSHA.sha256sum1(UInt64(x))) }
    fileprivate static func sigma0(_ x: UInt32) -> UInt32 { UInt32(truncatingIfNeeded: RVSHA.sha256sig0(UInt64(x))) }
    fileprivate static func sigma1(_ x: UInt32) -> UInt32 { UInt32(truncatingIfNeeded: RVSHA.sha256sig1(UInt64(x))) }
}

extension UInt64: SHA2Word {
    fileprivate static func sum0(_ x: UInt64) -> UInt64 { RVSHA.sha512sum0(x) }
    fileprivate static func sum1(_ x: UInt64) -> UInt64 { RVSHA.sha512sum1(x) }
    fileprivate static func sigma0(_ x: UInt64) -> UInt64 { RVSHA.sha512sig0(x) }
    fileprivate static func sigma1(_ x: UInt64) -> UInt64 { RVSHA.sha512sig1(x) }
}
