/// Scalar cryptography written from its standards, on bytes and bits: what the instructions are compared with.
enum CryptoReference {
    static func bytes(_ value: UInt64, _ count: Int = 8) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: value >> UInt64(8 * $0)) } }
    static func join(_ bytes: [UInt8]) -> UInt64 { bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) } }
    static func signed(_ word: UInt32) -> UInt64 { UInt64(bitPattern: Int64(Int32(bitPattern: word))) }

    // MARK: Fields

    /// The product of two polynomials over GF(2), modulo a polynomial of degree 8.
    static func multiply(_ a: UInt8, _ b: UInt8, modulo polynomial: UInt32 = 0x11b) -> UInt8 {
        var product: UInt32 = 0
        for bit in 0..<8 as Range<UInt32> where b >> UInt8(bit) & 1 == 1 { product ^= UInt32(a) << bit }
        for bit in (8..<15 as Range<UInt32>).reversed() where product >> bit & 1 == 1 { product ^= polynomial << (bit - 8) }
        return UInt8(product)
    }

    /// The element whose product with `a` is 1; 0 for 0.
    static func inverse(_ a: UInt8, modulo polynomial: UInt32 = 0x11b) -> UInt8 {
        (0...255 as ClosedRange<UInt8>).first { multiply(a, $0, modulo: polynomial) == 1 } ?? 0
    }

    /// A cyclic bit matrix times `a`: bit i of the result is the parity of `a` and `row` turned left by i.
    static func cyclic(_ row: UInt8, _ a: UInt8) -> UInt8 {
        (0..<8 as Range<UInt8>).reduce(0) { result, i in
            let turned = row << i | (i == 0 ? 0 : row >> (8 - i))
            return result | UInt8((turned & a).nonzeroBitCount & 1) << i
        }
    }

    // MARK: AES (FIPS 197)

    /// 5.1.1: the inverse, then an affine transformation: each bit with the four above it, cyclically.
    static let box: [UInt8] = (0...255 as ClosedRange<UInt8>).map { cyclic(0b1111_0001, inverse($0)) ^ 0x63 }
    static let inverseBox: [UInt8] = (0...255 as ClosedRange<UInt8>).map { value in UInt8(box.firstIndex(of: value) ?? 0) }

    /// Row r of column c comes from column c + r (or c - r): the state's first two columns afterwards.
    static func shiftedRows(_ state: [UInt8], by direction: Int) -> [UInt8] {
        (0..<8).map { place in state[((place / 4 + direction * (place % 4) + 4) % 4) * 4 + place % 4] }
    }

    /// 5.1.3, 5.3.3: each column times the polynomial whose coefficients are given, lowest first.
    static func mixed(_ columns: [UInt8], _ coefficients: [UInt8]) -> [UInt8] {
        columns.indices.map { place in
            (0..<4).reduce(0 as UInt8) { $0 ^ multiply(coefficients[$1], columns[place / 4 * 4 + (place % 4 + 4 - $1) % 4]) }
        }
    }
    static let forward: [UInt8] = [2, 1, 1, 3]
    static let backward: [UInt8] = [0x0e, 0x09, 0x0d, 0x0b]

    static func half(_ a: UInt64, _ b: UInt64, _ direction: Int, _ box: [UInt8], _ coefficients: [UInt8]?) -> UInt64 {
        let substituted = shiftedRows(bytes(a) + bytes(b), by: direction).map { box[Int($0)] }
        return join(coefficients.map { mixed(substituted, $0) } ?? substituted)
    }

    /// 5.2: RotWord, SubWord and the round constant, a power of x; in the round after the last only SubWord.
    static func keyWord(_ a: UInt64, round: Int) -> UInt64 {
        var word = Array(bytes(a)[4...])
        if round < 10 { word = [word[1], word[2], word[3], word[0]] }
        word = word.map { box[Int($0)] }
        if round < 10 { word[0] ^= (0..<round).reduce(1) { value, _ in multiply(value, 2) } }
        return join(word + word)
    }

    // MARK: SM4 (GB/T 32907)

    /// The S-box is an inverse between two affine transformations, in the field of x⁸+x⁷+x⁶+x⁵+x⁴+x²+1.
    static let sm4Box: [UInt8] = (0...255 as ClosedRange<UInt8>).map { cyclic(0xa7, inverse(cyclic(0xa7, $0) ^ 0xd3, modulo: 0x1f5)) ^ 0xd3 }

    static func rotate(_ a: UInt32, _ left: UInt32) -> UInt32 { left == 0 ? a : a << left | a >> (32 - left) }

    /// The linear transformation L of rounds, L′ of the key schedule, on words as the standard writes them.
    static func linear(_ a: UInt32, isKey: Bool) -> UInt32 {
        isKey ? a ^ rotate(a, 13) ^ rotate(a, 23) : a ^ rotate(a, 2) ^ rotate(a, 10) ^ rotate(a, 18) ^ rotate(a, 24)
    }

    /// One byte's share: L is linear, so its result is the sum of those of the bytes. Registers hold the standard's words with bytes swapped.
    static func sm4(_ a: UInt64, _ b: UInt64, _ byte: Int, isKey: Bool) -> UInt64 {
        let place = UInt32(sm4Box[Int(bytes(b)[byte])]) << UInt32(24 - 8 * byte)
        return signed(linear(place, isKey: isKey).byteSwapped ^ UInt32(truncatingIfNeeded: a))
    }

    // MARK: SHA-2 and SM3, on bits

    /// The low `width` bits turned or shifted right.
    static func right(_ a: UInt64, _ amount: Int, _ width: Int, turning: Bool = true) -> UInt64 {
        (0..<width).reduce(0) { result, place in
            let from = place + amount
            let bit = turning ? a >> UInt64(from % width) & 1 : from < width ? a >> UInt64(from) & 1 : 0
            return result | bit << UInt64(place)
        }
    }

    static func sum(_ a: UInt64, _ turns: [Int], shift: Int? = nil, width: Int) -> UInt64 {
        let value = turns.reduce(0) { $0 ^ right(a, $1, width) } ^ (shift.map { right(a, $0, width, turning: false) } ?? 0)
        return width == 32 ? signed(UInt32(truncatingIfNeeded: value)) : value
    }

    /// Fractional bits of a prime's root: `width` of them, by search.
    static func rootFraction(_ prime: UInt64, degree: Int, width: Int) -> UInt64 {
        let target = Natural(prime) << (degree * width)
        // The root's integral part is below 16.
        var root = Natural(0)
        for bit in (0..<width + 4).reversed() {
            let candidate = root + Natural(1) << bit
            let power = (1..<degree).reduce(candidate) { product, _ in product * candidate }
            if Natural.compare(power, target) <= 0 { root = candidate }
        }
        let whole = (root >> width) << width
        let fraction = root - whole
        return fraction == Natural(0) ? 0 : fraction.divided(by: Natural(1)).quotient
    }

    static func primes(_ count: Int) -> [UInt64] {
        var found: [UInt64] = []
        var candidate: UInt64 = 2
        while found.count < count {
            if !found.contains(where: { candidate % $0 == 0 }) { found.append(candidate) }
            candidate += 1
        }
        return found
    }
}
