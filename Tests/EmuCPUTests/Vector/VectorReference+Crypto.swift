import EmuCPU

/// Bit manipulation, BF16 and cryptography in vectors, from their standards; arithmetic of the ciphers is `CryptoReference`'s.
extension VectorReference {
    static let bfloat = FloatReference(exponentBits: 8, fractionBits: 7)

    /// Nil for other instructions, false for a reserved encoding.
    mutating func executeExtension(_ i: VectorFields) -> Bool? {
        executeBits(i) ?? executeBFloat(i) ?? executeCrypto(i)
    }

    private var body: Range<Int> { vstart..<max(vstart, vl) }

    // MARK: Zvbb and Zvbc

    private mutating func executeBits(_ i: VectorFields) -> Bool? {
        let (old, active) = (self, body.filter { [self] in !i.isMasked || mask(0, $0) })
        switch i.name {
        case "vbrev.v", "vbrev8.v", "vrev8.v", "vclz.v", "vctz.v", "vcpop.v":
            guard isLegal(operand(i.vd), [operand(i.vs2)], masked: i.isMasked) else { return false }
            for index in active {
                let value = old.bits(i.vs2, index, sew)
                let digits = (0..<sew).map { value >> UInt64($0) & 1 }
                let places = 0..<sew
                let result: UInt64 = switch i.name {
                case "vbrev.v": places.reduce(0) { $0 | digits[sew - 1 - $1] << UInt64($1) }
                case "vbrev8.v": places.reduce(0) { $0 | digits[$1 / 8 * 8 + 7 - $1 % 8] << UInt64($1) }
                case "vrev8.v": places.reduce(0) { $0 | digits[sew - 8 - $1 / 8 * 8 + $1 % 8] << UInt64($1) }
                case "vclz.v": UInt64(digits.reversed().prefix { $0 == 0 }.count)
                case "vctz.v": UInt64(digits.prefix { $0 == 0 }.count)
                default: digits.reduce(0, +)
                }
                set(i.vd, index, sew, result)
            }
            return true
        case "vclmul.vv", "vclmul.vx", "vclmulh.vv", "vclmulh.vx":
            guard sew == 64, isLegal(operand(i.vd), [operand(i.vs2)] + (i.hasVector ? [operand(i.vs1)] : []), masked: i.isMasked) else { return false }
            for index in active {
                let (a, b) = (old.bits(i.vs2, index, 64), i.hasVector ? old.bits(i.vs1, index, 64) : x[i.vs1])
                var product: UInt128 = 0
                for place in 0..<64 as Range<UInt64> where b >> place & 1 == 1 { product ^= UInt128(a) << UInt128(place) }
                set(i.vd, index, 64, UInt64(truncatingIfNeeded: i.base == "vclmul" ? product : product >> 64))
            }
            return true
        default: return nil
        }
    }

    // MARK: Zvfbfmin and Zvfbfwma

    private mutating func executeBFloat(_ i: VectorFields) -> Bool? {
        guard i.base.contains("bf16"), let single = Self.format(32) else { return nil }
        let isNarrowing = i.base == "vfncvtbf16", isProduct = i.base == "vfwmaccbf16"
        let (d, a) = isNarrowing ? (operand(i.vd), operand(i.vs2, times: 2)) : (operand(i.vd, times: 2), operand(i.vs2))
        let sources = [a] + (isProduct && i.hasVector ? [operand(i.vs1)] : [])
        guard sew == 16, isLegal(d, sources, masked: i.isMasked), !isProduct || areReadable([d] + sources, masked: false) else { return false }
        let (old, active) = (self, body.filter { [self] in !i.isMasked || mask(0, $0) })
        for index in active {
            if isNarrowing {
                set(i.vd, index, 16, accrued(single.convert(old.bits(i.vs2, index, 32), to: Self.bfloat)))
                continue
            }
            let first = accrued(Self.bfloat.convert(old.bits(i.vs2, index, 16), to: single))
            if !isProduct {
                set(i.vd, index, 32, first)
                continue
            }
            let factor = i.hasVector ? old.bits(i.vs1, index, 16) : f[i.vs1] >> 16 == .max >> 16 ? f[i.vs1] & 0xffff : 0x7fc0
            let second = accrued(Self.bfloat.convert(factor, to: single))
            set(i.vd, index, 32, accrued(single.multiplyAdd(second, first, old.bits(i.vd, index, 32))))
        }
        return true
    }

    // MARK: Cryptography

    /// Bytes of an element group.
    private func block(_ register: Int, _ index: Int, _ count: Int) -> [UInt8] {
        let place = register * vlenb + index * count
        return Array(registers[place..<place + count])
    }

    private func words(_ register: Int, _ index: Int, _ count: Int) -> [UInt64] { (0..<count).map { bits(register, index * count + $0, sew) } }

    private mutating func executeCrypto(_ i: VectorFields) -> Bool? {
        let prefixes = ["vaes", "vgmul", "vghsh", "vsha2", "vsm3", "vsm4"]
        guard prefixes.contains(where: i.base.hasPrefix) else { return nil }
        let size = i.base.hasPrefix("vsm3") ? 8 : 4
        let isScalar = i.suffix == "vs"
        let d = operand(i.vd)
        let a = isScalar ? Operand(register: i.vs2, width: sew, emul: 1) : operand(i.vs2)
        let hasFirst = ["vghsh", "vsha2ms", "vsha2ch", "vsha2cl", "vsm3me"].contains(i.base)
        let sources = [a] + (hasFirst ? [operand(i.vs1)] : [])
        guard sew == 32 || sew == 64 && i.base.hasPrefix("vsha2"), vl % size == 0, vstart % size == 0, vlmax >= size,
            ([d] + sources).allSatisfy(\.isLegal) else { return false }
        let apart = i.base.hasPrefix("vsha2") ? sources : isScalar || i.base.hasPrefix("vsm3") ? [a] : []
        if apart.contains(where: { !$0.all.isDisjoint(with: d.all) }) { return false }
        let old = self
        for index in vstart / size..<max(vstart, vl) / size {
            let key = isScalar ? 0 : index
            let result: [UInt8]
            switch i.base {
            case "vgmul": result = Self.ghash(old.block(i.vd, index, 16), old.block(i.vs2, index, 16))
            case "vghsh": result = Self.ghash(zip(old.block(i.vd, index, 16), old.block(i.vs1, index, 16)).map { $0 ^ $1 }, old.block(i.vs2, index, 16))
            case "vsha2ms": result = Self.schedule(old.words(i.vd, index, 4), old.words(i.vs2, index, 4), old.words(i.vs1, index, 4), sew)
            case "vsha2ch", "vsha2cl":
                let message = Array(old.words(i.vs1, index, 4)[(i.base == "vsha2cl" ? 0 : 2)...].prefix(2))
                result = Self.compress(old.words(i.vd, index, 4), old.words(i.vs2, index, 4), message, sew)
            case "vsm3me": result = Self.sm3Expansion(old.block(i.vs1, index, 32) + old.block(i.vs2, index, 32))
            case "vsm3c": result = Self.sm3Rounds(old.block(i.vd, index, 32), old.block(i.vs2, index, 32), i.vs1)
            case "vsm4r": result = Self.sm4(old.words(i.vd, index, 4), old.words(i.vs2, key, 4), isKey: false)
            case "vsm4k": result = Self.sm4(old.words(i.vs2, index, 4), (0..<4).map { Self.sm4Constant(i.vs1 % 8 * 4 + $0) }, isKey: true)
            case "vaeskf1", "vaeskf2": result = Self.aesKey(old.block(i.vd, index, 16), old.block(i.vs2, index, 16), i.vs1 % 16, isShort: i.base == "vaeskf1")
            default: result = Self.aes(i.base, old.block(i.vd, index, 16), old.block(i.vs2, key, 16))
            }
            for (place, byte) in result.enumerated() { registers[i.vd * vlenb + index * result.count + place] = byte }
        }
        return true
    }

    /// FIPS 197, on the sixteen bytes of a state.
    private static func aes(_ name: String, _ state: [UInt8], _ key: [UInt8]) -> [UInt8] {
        typealias Reference = CryptoReference
        // Row r of column c comes from column c + r, or c - r.
        func shifted(_ direction: Int) -> [UInt8] { (0..<16).map { state[($0 / 4 + direction * ($0 % 4) + 4) % 4 * 4 + $0 % 4] } }
        func plus(_ a: [UInt8]) -> [UInt8] { zip(a, key).map { $0 ^ $1 } }
        switch name {
        case "vaesem": return plus(Reference.mixed(shifted(1).map { Reference.box[Int($0)] }, Reference.forward))
        case "vaesef": return plus(shifted(1).map { Reference.box[Int($0)] })
        case "vaesdm": return Reference.mixed(plus(shifted(-1).map { Reference.inverseBox[Int($0)] }), Reference.backward)
        case "vaesdf": return plus(shifted(-1).map { Reference.inverseBox[Int($0)] })
        default: return plus(state)
        }
    }

    /// FIPS 197, 5.2, for keys of four and of eight words.
    private static func aesKey(_ previous: [UInt8], _ current: [UInt8], _ number: Int, isShort: Bool) -> [UInt8] {
        let isThere = isShort ? 1...10 ~= number : 2...14 ~= number
        let round = isThere ? number : number ^ 8
        let base = isShort ? current : previous
        let last = CryptoReference.join(Array(current[8...]))
        let step = isShort ? round - 1 : round % 2 == 1 ? 10 : round / 2 - 1
        var word = Array(CryptoReference.bytes(CryptoReference.keyWord(last, round: step))[..<4])
        return (0..<4).flatMap { column in
            word = zip(word, base[4 * column..<4 * column + 4]).map { $0 ^ $1 }
            return word
        }
    }

    /// NIST SP 800-38D, 6.3: bit 0 is the highest of the first byte.
    private static func ghash(_ a: [UInt8], _ b: [UInt8]) -> [UInt8] {
        func bit(_ block: [UInt8], _ place: Int) -> UInt8 { block[place / 8] >> UInt8(7 - place % 8) & 1 }
        var (product, factor) = ([UInt8](repeating: 0, count: 128), (0..<128).map { bit(b, $0) })
        for place in 0..<128 {
            if bit(a, place) == 1 { product = zip(product, factor).map { $0 ^ $1 } }
            // Times x: one place to the right; what falls out is 1 + x + x² + x⁷.
            let last = factor[127]
            factor = [0] + factor.dropLast()
            if last == 1 { for term in [0, 1, 2, 7] { factor[term] ^= 1 } }
        }
        return (0..<16).map { (byte: Int) -> UInt8 in product[8 * byte..<8 * byte + 8].reduce(0) { $0 << 1 | $1 } }
    }

    private static func bytes(_ words: [UInt64], _ width: Int) -> [UInt8] { words.flatMap { CryptoReference.bytes($0, width / 8) } }

    private static func low(_ value: UInt64, _ width: Int) -> UInt64 { width == 64 ? value : value & 0xffff_ffff }

    private static func sum(_ a: UInt64, _ turns: [Int], shift: Int? = nil, _ width: Int) -> UInt64 { low(CryptoReference.sum(a, turns, shift: shift, width: width), width) }

    private static func schedule(_ oldest: [UInt64], _ middle: [UInt64], _ newest: [UInt64], _ width: Int) -> [UInt8] {
        var w = [Int: UInt64]()
        for place in 0..<4 {
            w[place] = oldest[place]
            w[[4, 9, 10, 11][place]] = middle[place]
            w[12 + place] = newest[place]
        }
        for place in 16..<20 {
            guard let a = w[place - 2], let b = w[place - 7], let c = w[place - 15], let d = w[place - 16] else { return [] }
            let first = width == 32 ? sum(a, [17, 19], shift: 10, 32) : sum(a, [19, 61], shift: 6, 64)
            let second = width == 32 ? sum(c, [7, 18], shift: 3, 32) : sum(c, [1, 8], shift: 7, 64)
            w[place] = low(first &+ b &+ second &+ d, width)
        }
        return bytes((16..<20).compactMap { w[$0] }, width)
    }

    private static func compress(_ old: [UInt64], _ new: [UInt64], _ messages: [UInt64], _ width: Int) -> [UInt8] {
        // a…h
        var s = [new[3], new[2], old[3], old[2], new[1], new[0], old[1], old[0]]
        for message in messages {
            let first = s[7] &+ sum(s[4], width == 32 ? [6, 11, 25] : [14, 18, 41], width) &+ (s[4] & s[5] ^ ~s[4] & s[6]) &+ message
            let second = sum(s[0], width == 32 ? [2, 13, 22] : [28, 34, 39], width) &+ (s[0] & s[1] ^ s[0] & s[2] ^ s[1] & s[2])
            s = [low(first &+ second, width)] + s[0..<3] + [low(s[3] &+ first, width)] + s[4..<7]
        }
        return bytes([s[5], s[4], s[1], s[0]], width)
    }

    // MARK: ShangMi

    private static func bigEndian(_ bytes: [UInt8]) -> [UInt32] {
        stride(from: 0, to: bytes.count, by: 4).map { place in bytes[place..<place + 4].reduce(0) { $0 << 8 | UInt32($1) } }
    }

    private static func bigEndian(_ words: [UInt32]) -> [UInt8] { words.flatMap { CryptoReference.bytes(UInt64($0), 4).reversed() } }

    /// GB/T 32905, 5.3.2.
    private static func sm3Expansion(_ message: [UInt8]) -> [UInt8] {
        var w = bigEndian(message)
        for j in 16..<24 {
            let x = w[j - 16] ^ w[j - 9] ^ CryptoReference.rotate(w[j - 3], 15)
            w.append(x ^ CryptoReference.rotate(x, 15) ^ CryptoReference.rotate(x, 23) ^ CryptoReference.rotate(w[j - 13], 7) ^ w[j - 6])
        }
        return bigEndian(Array(w[16...]))
    }

    /// GB/T 32905, 5.3.3: rounds 2 × number and the next.
    private static func sm3Rounds(_ state: [UInt8], _ message: [UInt8], _ number: Int) -> [UInt8] {
        let w = bigEndian(message), turn = CryptoReference.rotate
        var s = bigEndian(state)
        for (step, j) in [2 * number, 2 * number + 1].enumerated() {
            let one = turn(turn(s[0], 12) &+ s[4] &+ turn(j < 16 ? 0x79cc_4519 : 0x7a87_9d8a, UInt32(j % 32)), 7)
            let ff = j < 16 ? s[0] ^ s[1] ^ s[2] : s[0] & s[1] | s[0] & s[2] | s[1] & s[2]
            let gg = j < 16 ? s[4] ^ s[5] ^ s[6] : s[4] & s[5] | ~s[4] & s[6]
            let first = ff &+ s[3] &+ (one ^ turn(s[0], 12)) &+ (w[step] ^ w[step + 4])
            let second = gg &+ s[7] &+ one &+ w[step]
            s = [first, s[0], turn(s[1], 9), s[2], second ^ turn(second, 9) ^ turn(second, 17), s[4], turn(s[5], 19), s[6]]
        }
        return bigEndian(s)
    }

    /// GB/T 32907, 7.3.
    private static func sm4Constant(_ index: Int) -> UInt64 {
        (4 * index..<4 * index + 4).reduce(0) { (word: UInt64, byte: Int) -> UInt64 in word << 8 | UInt64(byte * 7 % 256) }
    }

    private static func sm4(_ state: [UInt64], _ keys: [UInt64], isKey: Bool) -> [UInt8] {
        var w = state.map { UInt32(truncatingIfNeeded: $0) }
        for j in 0..<4 {
            let sum = w[j + 1] ^ w[j + 2] ^ w[j + 3] ^ UInt32(truncatingIfNeeded: keys[j])
            var substituted: UInt32 = 0
            for place in 0..<4 as Range<UInt32> { substituted |= UInt32(CryptoReference.sm4Box[Int(sum >> (8 * place) & 0xff)]) << (8 * place) }
            w.append(w[j] ^ CryptoReference.linear(substituted, isKey: isKey))
        }
        return bytes(w[4...].map(UInt64.init), 32)
    }
}
