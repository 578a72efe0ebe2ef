import EmuBus
import EmuCPU
import Testing

/// Zbkb, Zbkc, Zbkx, Zknd, Zkne, Zknh, Zksed and Zksh, executed by a hart.
@Suite struct ScalarCryptoTests {
    private typealias Reference = CryptoReference
    private typealias Function = @Sendable (UInt64, UInt64) -> UInt64

    /// Executes single instructions.
    private struct Executor {
        let hart: TestHart
        private static let code = TestHart.ram + 0x1000

        init() throws { hart = try TestHart() }

        /// An instance of the row named `name` with its destination in x3, sources x1 and x2.
        static func encoding(_ name: String, immediate: UInt32 = 0) -> UInt32? {
            guard let row = RVTable.all.first(where: { $0.name == name }) else { return nil }
            var bits = row.match | 3 << 7 | 1 << 15
            if row.format.operands.contains(.rs2) { bits |= 2 << 20 }
            switch row.format.layout {
            case .round: bits |= immediate << 20
            case .byteSelect: bits |= immediate << 30
            default: break
            }
            return bits
        }

        /// Puts the instruction where `callAsFunction` executes it.
        func load(_ name: String, immediate: UInt32 = 0) throws {
            let bits = try #require(Self.encoding(name, immediate: immediate))
            hart.cache.flushAll()
            try #require(hart.bus.storeMemory(Self.code, bits) && hart.bus.storeMemory(Self.code + 4, RVAssemblyJump.toItself))
        }

        func callAsFunction(_ a: UInt64, _ b: UInt64 = 0) -> UInt64 {
            (hart.cpu.x[1], hart.cpu.x[2], hart.cpu.x[3]) = (a, b, 0xdead)
            hart.cpu.pc = Self.code
            _ = hart.cpu.run(budget: 1, clockBase: hart.events.now)
            return hart.cpu.x[3]
        }
    }

    private enum RVAssemblyJump { static let toItself: UInt32 = 0x6f }

    private static let values: [(UInt64, UInt64)] = {
        var random = SeededGenerator(state: 7)
        let edges: [UInt64] = [0, .max, 1, 1 << 63, 0x0123_4567_89ab_cdef, 0x8000_0000, 0x7fff_ffff_8000_0000, 0x0f0f_f0f0_5353_6363]
        return edges.flatMap { a in edges.map { (a, $0) } } + (0..<300).map { _ in (random.next(), random.next()) }
    }()

    private func check(_ name: String, immediate: UInt32 = 0, _ expected: Function) throws {
        let executor = try Executor()
        try executor.load(name, immediate: immediate)
        let wrong = Self.values.first { executor($0.0, $0.1) != expected($0.0, $0.1) }
        #expect(wrong == nil, "\(name) of \(wrong.map { "\(hex($0.0)), \(hex($0.1)): \(hex(executor($0.0, $0.1))), not \(hex(expected($0.0, $0.1)))" } ?? "")")
    }

    // MARK: Each instruction

    @Test func halvesAreJoined() throws {
        try check("pack") { Reference.join(Array(Reference.bytes($0)[..<4] + Reference.bytes($1)[..<4])) }
        try check("packh") { Reference.join([Reference.bytes($0)[0], Reference.bytes($1)[0]]) }
        try check("packw") { Reference.signed(UInt32(truncatingIfNeeded: Reference.join(Array(Reference.bytes($0)[..<2] + Reference.bytes($1)[..<2])))) }
    }

    @Test func bitsOfBytesAreReversed() throws {
        try check("brev8") { a, _ in
            (0..<64 as Range<UInt64>).reduce(0) { $0 | (a >> $1 & 1) << ($1 / 8 * 8 + 7 - $1 % 8) }
        }
    }

    @Test func permutationsChooseOrGiveZero() throws {
        try check("xperm8") { a, b in
            Reference.join(Reference.bytes(b).map { $0 < 8 ? Reference.bytes(a)[Int($0)] : 0 })
        }
        try check("xperm4") { a, b in
            let nibbles = (0..<16 as Range<UInt64>).map { a >> (4 * $0) & 15 }
            return (0..<16 as Range<UInt64>).reduce(0) { $0 | nibbles[Int(b >> (4 * $1) & 15)] << (4 * $1) }
        }
    }

    @Test func aesRoundsFollowTheStandard() throws {
        try check("aes64es") { Reference.half($0, $1, 1, Reference.box, nil) }
        try check("aes64esm") { Reference.half($0, $1, 1, Reference.box, Reference.forward) }
        try check("aes64ds") { Reference.half($0, $1, -1, Reference.inverseBox, nil) }
        try check("aes64dsm") { Reference.half($0, $1, -1, Reference.inverseBox, Reference.backward) }
        try check("aes64im") { a, _ in Reference.join(Reference.mixed(Reference.bytes(a), Reference.backward)) }
    }

    @Test func aesKeysFollowTheStandard() throws {
        for round in 0...10 { try check("aes64ks1i", immediate: UInt32(round)) { a, _ in Reference.keyWord(a, round: round) } }
        try check("aes64ks2") { a, b in
            let first = UInt32(truncatingIfNeeded: a >> 32) ^ UInt32(truncatingIfNeeded: b)
            return UInt64(first) | UInt64(first ^ UInt32(truncatingIfNeeded: b >> 32)) << 32
        }
    }

    @Test(arguments: 11...15 as ClosedRange<UInt32>) func roundsAboveTenAreReserved(round: UInt32) throws {
        let decoder = RVDecoder(extensions: DecodeTableTests.everything)
        let bits = try #require(Executor.encoding("aes64ks1i", immediate: round))
        #expect(decoder.decode(bits).rv == .illegal)
    }

    @Test func shaSumsAreRotationsAndShifts() throws {
        for (name, turns, shift, width) in [
            ("sha256sum0", [2, 13, 22], nil, 32), ("sha256sum1", [6, 11, 25], nil, 32), ("sha256sig0", [7, 18], 3, 32), ("sha256sig1", [17, 19], 10, 32),
            ("sha512sum0", [28, 34, 39], nil, 64), ("sha512sum1", [14, 18, 41], nil, 64), ("sha512sig0", [1, 8], 7, 64), ("sha512sig1", [19, 61], 6, 64),
            ("sm3p0", [0, 32 - 9, 32 - 17], nil, 32), ("sm3p1", [0, 32 - 15, 32 - 23], nil, 32),
        ] as [(String, [Int], Int?, Int)] {
            try check(name) { a, _ in Reference.sum(a, turns, shift: shift, width: width) }
        }
    }

    @Test func sm4StepsFollowTheStandard() throws {
        for byte in 0..<4 {
            try check("sm4ed", immediate: UInt32(byte)) { Reference.sm4($0, $1, byte, isKey: false) }
            try check("sm4ks", immediate: UInt32(byte)) { Reference.sm4($0, $1, byte, isKey: true) }
        }
    }

    // MARK: Known answers

    private static func columns(_ text: String) -> [UInt64] {
        let digits = Array(text)
        let bytes = stride(from: 0, to: digits.count, by: 2).map { UInt8(String(digits[$0...$0 + 1]), radix: 16) ?? 0 }
        return stride(from: 0, to: bytes.count, by: 8).map { Reference.join(Array(bytes[$0..<$0 + 8])) }
    }

    /// FIPS 197, appendix C: AES-128 and AES-256, there and back.
    @Test(arguments: [
        ("000102030405060708090a0b0c0d0e0f", "69c4e0d86a7b0430d8cdb78070b4c55a"),
        ("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", "8ea2b7ca516745bfeafc49904b496089"),
    ]) func aesGivesTheStandardsExample(key: String, cipher: String) throws {
        var keys = Self.columns(key)
        let length = keys.count
        let rounds = length == 2 ? 10 : 14
        var constant: UInt64 = 0
        while keys.count < 2 * (rounds + 1) {
            let last = keys[keys.count - 1]
            // A key of eight words is substituted, not turned, after each four.
            let turns = keys.count % length == 0
            var previous = RVAES.aes64ks1i(last, round: turns ? constant : 10)
            if turns { constant += 1 }
            for _ in 0..<2 {
                previous = RVAES.aes64ks2(previous, keys[keys.count - length])
                keys.append(previous)
            }
        }
        let plain = Self.columns("00112233445566778899aabbccddeeff")
        var (a, b) = (plain[0] ^ keys[0], plain[1] ^ keys[1])
        for round in 1..<rounds { (a, b) = (RVAES.aes64esm(a, b) ^ keys[2 * round], RVAES.aes64esm(b, a) ^ keys[2 * round + 1]) }
        (a, b) = (RVAES.aes64es(a, b) ^ keys[2 * rounds], RVAES.aes64es(b, a) ^ keys[2 * rounds + 1])
        #expect([a, b] == Self.columns(cipher))
        (a, b) = (a ^ keys[2 * rounds], b ^ keys[2 * rounds + 1])
        for round in (1..<rounds).reversed() {
            (a, b) = (RVAES.aes64dsm(a, b) ^ RVAES.aes64im(keys[2 * round]), RVAES.aes64dsm(b, a) ^ RVAES.aes64im(keys[2 * round + 1]))
        }
        #expect([RVAES.aes64ds(a, b) ^ keys[0], RVAES.aes64ds(b, a) ^ keys[1]] == plain)
    }

    /// FIPS 180-4 with the message "abc", one block.
    @Test func sha256GivesTheStandardsExample() {
        let primes = Reference.primes(64)
        var schedule: [UInt32] = [0x6162_6380] + Array(repeating: 0, count: 14) + [24]
        func low(_ value: UInt64) -> UInt32 { UInt32(truncatingIfNeeded: value) }
        for t in 16..<64 {
            schedule.append(low(RVSHA.sha256sig1(UInt64(schedule[t - 2]))) &+ schedule[t - 7] &+ low(RVSHA.sha256sig0(UInt64(schedule[t - 15]))) &+ schedule[t - 16])
        }
        let start = primes[..<8].map { low(Reference.rootFraction($0, degree: 2, width: 32)) }
        var v = start
        for t in 0..<64 {
            let choice = v[4] & v[5] ^ ~v[4] & v[6], majority = v[0] & v[1] ^ v[0] & v[2] ^ v[1] & v[2]
            let first = v[7] &+ low(RVSHA.sha256sum1(UInt64(v[4]))) &+ choice &+ low(Reference.rootFraction(primes[t], degree: 3, width: 32)) &+ schedule[t]
            let second = low(RVSHA.sha256sum0(UInt64(v[0]))) &+ majority
            v = [first &+ second, v[0], v[1], v[2], v[3] &+ first, v[4], v[5], v[6]]
        }
        #expect(zip(v, start).map { $0 &+ $1 } == [0xba78_16bf, 0x8f01_cfea, 0x4141_40de, 0x5dae_2223, 0xb003_61a3, 0x9617_7a9c, 0xb410_ff61, 0xf200_15ad])
    }

    @Test func sha512GivesTheStandardsExample() {
        let primes = Reference.primes(80)
        var schedule: [UInt64] = [0x6162_6380_0000_0000] + Array(repeating: 0, count: 14) + [24]
        for t in 16..<80 { schedule.append(RVSHA.sha512sig1(schedule[t - 2]) &+ schedule[t - 7] &+ RVSHA.sha512sig0(schedule[t - 15]) &+ schedule[t - 16]) }
        let start = primes[..<8].map { Reference.rootFraction($0, degree: 2, width: 64) }
        var v = start
        for t in 0..<80 {
            let choice = v[4] & v[5] ^ ~v[4] & v[6], majority = v[0] & v[1] ^ v[0] & v[2] ^ v[1] & v[2]
            let first = v[7] &+ RVSHA.sha512sum1(v[4]) &+ choice &+ Reference.rootFraction(primes[t], degree: 3, width: 64) &+ schedule[t]
            let second = RVSHA.sha512sum0(v[0]) &+ majority
            v = [first &+ second, v[0], v[1], v[2], v[3] &+ first, v[4], v[5], v[6]]
        }
        #expect(zip(v, start).map { $0 &+ $1 } == [
            0xddaf_35a1_9361_7aba, 0xcc41_7349_ae20_4131, 0x12e6_fa4e_89a9_7ea2, 0x0a9e_eee6_4b55_d39a,
            0x2192_992a_274f_c1a8, 0x36ba_3c23_a3fe_ebbd, 0x454d_4423_643c_e80e, 0x2a9a_c94f_a54c_a49f,
        ])
    }

    /// GB/T 32905, appendix A.1: "abc".
    @Test func sm3GivesTheStandardsExample() {
        func low(_ value: UInt64) -> UInt32 { UInt32(truncatingIfNeeded: value) }
        let rotate = Reference.rotate
        var words: [UInt32] = [0x6162_6380] + Array(repeating: 0, count: 14) + [24]
        for j in 16..<68 {
            let mixed = low(RVShangMi.sm3p1(UInt64(words[j - 16] ^ words[j - 9] ^ rotate(words[j - 3], 15))))
            words.append(mixed ^ rotate(words[j - 13], 7) ^ words[j - 6])
        }
        let start: [UInt32] = [0x7380_166f, 0x4914_b2b9, 0x1724_42d7, 0xda8a_0600, 0xa96f_30bc, 0x1631_38aa, 0xe38d_ee4d, 0xb0fb_0e4e]
        var v = start
        for j in 0..<64 {
            let first = rotate(rotate(v[0], 12) &+ v[4] &+ rotate(j < 16 ? 0x79cc_4519 : 0x7a87_9d8a, UInt32(j % 32)), 7)
            let second = first ^ rotate(v[0], 12)
            let f = j < 16 ? v[0] ^ v[1] ^ v[2] : v[0] & v[1] | v[0] & v[2] | v[1] & v[2]
            let g = j < 16 ? v[4] ^ v[5] ^ v[6] : v[4] & v[5] | ~v[4] & v[6]
            let a = f &+ v[3] &+ second &+ (words[j] ^ words[j + 4]), e = g &+ v[7] &+ first &+ words[j]
            v = [a, v[0], rotate(v[1], 9), v[2], low(RVShangMi.sm3p0(UInt64(e))), v[4], rotate(v[5], 19), v[6]]
        }
        #expect(zip(v, start).map { $0 ^ $1 } == [0x66c7_f0f4, 0x62ee_edd9, 0xd1f2_d46b, 0xdc10_e4e2, 0x4167_c487, 0x5cf2_f7a2, 0x297d_a02b, 0x8f4b_a8e0])
    }

    /// GB/T 32907, appendix A.1: the key encrypts itself.
    @Test func sm4GivesTheStandardsExample() {
        let text: [UInt32] = [0x0123_4567, 0x89ab_cdef, 0xfedc_ba98, 0x7654_3210]
        func step(_ a: UInt32, _ b: UInt32, _ function: (UInt64, UInt64, UInt32) -> UInt64) -> UInt32 {
            UInt32(truncatingIfNeeded: (0..<4 as Range<UInt32>).reduce(UInt64(a)) { function($0, UInt64(b), $1) })
        }
        var key = zip(text, [0xa3b1_bac6, 0x56aa_3350, 0x677d_9197, 0xb270_22dc] as [UInt32]).map { ($0 ^ $1).byteSwapped }
        var state = text.map(\.byteSwapped)
        for round in 0..<32 {
            let constant = (0..<4).reduce(0 as UInt32) { $0 | UInt32((4 * round + $1) * 7 % 256) << UInt32(8 * $1) }
            key = [key[1], key[2], key[3], step(key[0], key[1] ^ key[2] ^ key[3] ^ constant) { RVShangMi.sm4ks($0, $1, byte: $2) }]
            state = [state[1], state[2], state[3], step(state[0], state[1] ^ state[2] ^ state[3] ^ key[3]) { RVShangMi.sm4ed($0, $1, byte: $2) }]
        }
        #expect(state.reversed().map(\.byteSwapped) == [0x681e_df34, 0xd206_965e, 0x86b3_e94f, 0x536e_4246])
    }

    // MARK: Who provides what

    @Test func sharedInstructionsComeWithEitherExtension() {
        func decodes(_ name: String, _ extensions: RVExtension...) -> Bool {
            guard let row = RVTable.all.first(where: { $0.name == name }) else { return false }
            return RVDecoder(extensions: RVExtensionSet([.i] + extensions)).decode(row.match).rv == row.op
        }
        for name in ["andn", "orn", "xnor", "rol", "ror", "rolw", "rorw", "rori", "roriw", "rev8"] {
            #expect(decodes(name, .zbb) && decodes(name, .zbkb) && !decodes(name, .zbkc), "\(name)")
        }
        for name in ["clmul", "clmulh"] { #expect(decodes(name, .zbc) && decodes(name, .zbkc) && !decodes(name, .zbkb), "\(name)") }
        #expect(!decodes("clmulr", .zbkc) && !decodes("clz", .zbkb) && decodes("packw", .zbkb))
        for name in ["aes64ks1i", "aes64ks2"] { #expect(decodes(name, .zkne) && decodes(name, .zknd) && !decodes(name, .zknh), "\(name)") }
        #expect(decodes("aes64esm", .zkne) && !decodes("aes64esm", .zknd) && decodes("aes64im", .zknd) && !decodes("aes64im", .zkne))
    }
}
