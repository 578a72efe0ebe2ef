import EmuCPU
import EmuJIT
import Testing

/// Whole algorithms by vector instructions, against the examples of their standards: interpreted, and translated for this host and for one that has less.
@Suite struct VectorCryptoTests {
    enum Way: CaseIterable {
        case interpreted, translated, translatedPlainly
        static let all = canTranslate ? Self.allCases : [.interpreted]
    }

    /// Executes instructions by name on registers that hold bytes.
    private struct Executor {
        let vectors: VectorMachine
        private let way: Way

        /// - Parameter words: elements of `sew` bits in use.
        init(_ way: Way, vlen: Int, sew: Int, words: Int) throws {
            self.way = way
            vectors = try VectorMachine(
                vlen: vlen, engine: way == .interpreted ? .interpreter : .translator,
                features: way == .translatedPlainly ? HostFeatures.current.subtracting([.sha, .vaes, .vpclmulqdq]) : .current)
            vectors.executesBlocks = way != .interpreted
            let registers = max(1, words * sew / vlen)
            vectors.configure(vtype: .vtype(sew, registers.trailingZeroBitCount), vl: UInt64(words))
            vectors[.mstatus] = way == .interpreted ? 0x2200 : 0x6600
        }

        func callAsFunction(_ name: String, _ vd: Int, _ vs2: Int, _ last: Int = 0) throws {
            let row = try #require(RVTable.all.first { $0.name == name })
            let second = row.format.operands.count > 2 ? UInt32(last) << 15 : 0
            try #require(vectors.execute(row.match | UInt32(vd) << 7 | UInt32(vs2) << 20 | second) == nil, "\(name)")
            #expect(way == .interpreted || vectors.machine.cache.hostCode?.figures.instructions ?? 0 > 0, "nothing was translated")
        }

        /// Bytes from the start of a register on.
        subscript(_ register: Int) -> [UInt8] {
            get { Array(vectors.registers[(register * vectors.vlenb)...]) }
            nonmutating set {
                var all = vectors.registers
                all.replaceSubrange(register * vectors.vlenb..<register * vectors.vlenb + newValue.count, with: newValue)
                vectors.registers = all
            }
        }
    }

    private static func bytes(_ text: String) -> [UInt8] {
        let digits = Array(text.filter { $0 != " " })
        return stride(from: 0, to: digits.count, by: 2).compactMap { UInt8(String(digits[$0...$0 + 1]), radix: 16) }
    }

    private static func littleEndian(_ words: [UInt64], _ width: Int) -> [UInt8] { words.flatMap { CryptoReference.bytes($0, width / 8) } }

    private static func bigEndian(_ bytes: [UInt8], _ width: Int) -> [UInt64] {
        stride(from: 0, to: bytes.count, by: width / 8).map { place in bytes[place..<place + width / 8].reduce(0) { $0 << 8 | UInt64($1) } }
    }

    /// FIPS 197, appendix C.1 and C.3.
    @Test(arguments: Way.all, [
        (16, "69c4e0d86a7b0430d8cdb78070b4c55a"), (32, "8ea2b7ca516745bfeafc49904b496089"),
    ]) func blocksAreEncryptedAndDecrypted(way: Way, example: (length: Int, cipher: String)) throws {
        let run = try Executor(way, vlen: 128, sew: 32, words: 4)
        let plain = Self.bytes("00112233445566778899aabbccddeeff")
        let rounds = example.length == 16 ? 10 : 14
        // Round keys in v8 and following.
        run[8] = Array(0..<16)
        if rounds == 14 { run[9] = Array(16..<32) }
        for round in (rounds == 10 ? 1 : 2)...rounds {
            if rounds == 10 {
                try run("vaeskf1.vi", 8 + round, 7 + round, round)
            } else {
                run[8 + round] = Array(run[6 + round].prefix(16))
                try run("vaeskf2.vi", 8 + round, 7 + round, round)
            }
        }
        for form in ["vs", "vv"] {
            run[1] = plain
            try run("vaesz.vs", 1, 8)
            for round in 1..<rounds { try run("vaesem.\(form)", 1, 8 + round) }
            try run("vaesef.\(form)", 1, 8 + rounds)
            #expect(run[1].prefix(16) == Self.bytes(example.cipher)[...])
            try run("vaesz.vs", 1, 8 + rounds)
            for round in (1..<rounds).reversed() { try run("vaesdm.\(form)", 1, 8 + round) }
            try run("vaesdf.\(form)", 1, 8)
            #expect(run[1].prefix(16) == plain[...])
        }
    }

    /// "The Galois/Counter Mode of Operation", test case 2.
    @Test(arguments: Way.all) func hashesAreMultiplied(way: Way) throws {
        let run = try Executor(way, vlen: 128, sew: 32, words: 4)
        run[1] = [UInt8](repeating: 0, count: 16)
        run[2] = Self.bytes("66e94bd4ef8a2c3b884cfa59ca342b2e")
        run[3] = Self.bytes("0388dace60b6a392f328c2b971b2fe78")
        run[4] = Self.bytes("00000000000000000000000000000080")
        try run("vghsh.vv", 1, 2, 3)
        #expect(run[1].prefix(16) == Self.bytes("5e2ec746917062882c85b0685353deb7")[...])
        let sum = zip(run[1], run[4]).map { $0 ^ $1 }
        try run("vghsh.vv", 1, 2, 4)
        #expect(run[1].prefix(16) == Self.bytes("f38cbb1ad69223dcc3457ae5b6b0f885")[...])
        run[5] = Array(sum.prefix(16))
        try run("vgmul.vv", 5, 2)
        #expect(run[5].prefix(16) == run[1].prefix(16))
    }

    /// FIPS 180-4's examples of one block: "abc".
    @Test(arguments: Way.all, [
        (32, 64, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (64, 80, "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"),
    ]) func messagesAreHashed(way: Way, example: (width: Int, rounds: Int, digest: String)) throws {
        let (width, rounds, digest) = example
        let run = try Executor(way, vlen: 256, sew: width, words: 4)
        let primes = CryptoReference.primes(rounds)
        let constants = primes.map { CryptoReference.rootFraction($0, degree: 3, width: width) }
        let start = primes.prefix(8).map { CryptoReference.rootFraction($0, degree: 2, width: width) }
        let mask = UInt64.max >> UInt64(64 - width)
        let message: [UInt8] = [0x61, 0x62, 0x63, 0x80] + [UInt8](repeating: 0, count: width / 8 * 16 - 5) + [24]
        var words = Self.bigEndian(message, width)
        while words.count < rounds {
            let now = words.count
            run[1] = Self.littleEndian(Array(words[now - 16..<now - 12]), width)
            run[2] = Self.littleEndian([words[now - 12]] + words[now - 7..<now - 4], width)
            run[3] = Self.littleEndian(Array(words[(now - 4)...]), width)
            try run("vsha2ms.vv", 1, 2, 3)
            words += (0..<4).map { place in CryptoReference.join(Array(run[1][place * width / 8..<(place + 1) * width / 8])) }
        }
        // c, d, g, h and a, b, e, f, the last lowest.
        run[4] = Self.littleEndian([start[7], start[6], start[3], start[2]], width)
        run[5] = Self.littleEndian([start[5], start[4], start[1], start[0]], width)
        for round in stride(from: 0, to: rounds, by: 4) {
            run[6] = Self.littleEndian((round..<round + 4).map { (words[$0] &+ constants[$0]) & mask }, width)
            try run("vsha2cl.vv", 4, 5, 6)
            try run("vsha2ch.vv", 5, 4, 6)
        }
        func word(_ register: Int, _ place: Int) -> UInt64 { CryptoReference.join(Array(run[register][place * width / 8..<(place + 1) * width / 8])) }
        let end = [word(5, 3), word(5, 2), word(4, 3), word(4, 2), word(5, 1), word(5, 0), word(4, 1), word(4, 0)]
        let hash = zip(start, end).flatMap { CryptoReference.bytes(($0 &+ $1) & mask, width / 8).reversed() }
        #expect(hash == Self.bytes(digest))
    }

    /// GB/T 32905, appendix A.1: "abc".
    @Test(arguments: Way.all, [128, 256]) func messagesAreHashedBySM3(way: Way, vlen: Int) throws {
        let run = try Executor(way, vlen: vlen, sew: 32, words: 8)
        var message: [UInt8] = [0x61, 0x62, 0x63, 0x80] + [UInt8](repeating: 0, count: 59) + [24]
        while message.count < 4 * 72 {
            run[2] = Array(message.suffix(64).prefix(32))
            run[4] = Array(message.suffix(32))
            try run("vsm3me.vv", 6, 4, 2)
            message += run[6].prefix(32)
        }
        let start = Self.bytes("7380166f4914b2b9172442d7da8a0600a96f30bc163138aae38dee4db0fb0e4e")
        run[8] = start
        for pair in 0..<32 {
            run[10] = Array(message[8 * pair..<8 * pair + 32])
            try run("vsm3c.vi", 8, 10, pair)
        }
        #expect(zip(start, run[8]).map { $0 ^ $1 } == Self.bytes("66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"))
    }

    /// GB/T 32907, appendix A.1.
    @Test(arguments: Way.all) func blocksAreEncryptedBySM4(way: Way) throws {
        let run = try Executor(way, vlen: 128, sew: 32, words: 4)
        let plain: [UInt64] = [0x0123_4567, 0x89ab_cdef, 0xfedc_ba98, 0x7654_3210]
        let parameter: [UInt64] = [0xa3b1_bac6, 0x56aa_3350, 0x677d_9197, 0xb270_22dc]
        run[8] = Self.littleEndian(zip(plain, parameter).map { $0 ^ $1 }, 32)
        for group in 0..<8 { try run("vsm4k.vi", 9 + group, 8 + group, group) }
        for form in ["vs", "vv"] {
            run[1] = Self.littleEndian(plain, 32)
            for group in 0..<8 { try run("vsm4r.\(form)", 1, 9 + group) }
            let end = stride(from: 0, to: 16, by: 4).map { CryptoReference.join(Array(run[1][$0..<$0 + 4])) }
            #expect(end.reversed() == [0x681e_df34, 0xd206_965e, 0x86b3_e94f, 0x536e_4246])
        }
    }
}
