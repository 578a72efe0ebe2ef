import EmuIR

/// SM4 and SM3 on vectors.
extension X86Compiler {
    private var zero: XMMRegister { XMMRegister(0) }
    private var one: XMMRegister { XMMRegister(1) }

    /// 16 bytes for both halves of a ymm register.
    private static func twice(_ low: UInt64, _ high: UInt64) -> [UInt64] { [low, high, low, high] }

    // MARK: SM4

    // The substitution is an inversion in GF(2⁸) between two affine maps, and so is AES's, in another representation of the field. The maps here
    // lead from one to the other, by tables for the lower and the upper half of a byte: box = after · SubBytes · before.
    private static let before = (lower: twice(0x078b_37bb_820e_b23e, 0x9814_a824_1d91_2da1), upper: twice(0x37eb_19c5_f22e_dc00, 0x3fe3_11cd_fa26_d408))
    private static let after = (lower: twice(0x2098_ea52_1ea6_d46c, 0x47ff_8d35_79c1_b30b), upper: twice(0x2dcd_7d9d_b050_e000, 0xed0d_bd5d_7090_20c0))
    /// The inverse of ShiftRows, which the host's round has besides.
    private static let unshifted = twice(0x0b0e_0104_070a_0d00, 0x0306_090c_0f02_0508)
    /// Words turned left by 8, 16 and 24.
    private static let turned8 = twice(0x0605_0407_0201_0003, 0x0e0d_0c0f_0a09_080b)
    private static let turned16 = twice(0x0504_0706_0100_0302, 0x0d0c_0f0e_0908_0b0a)
    private static let turned24 = twice(0x0407_0605_0003_0201, 0x0c0f_0e0d_080b_0a09)

    /// Where a word of four groups, and its keys, are while the rounds run.
    private func word(_ number: Int) -> X86Memory { vectorScratch(16 * (number & 3)) }
    private func key(_ number: Int) -> X86Memory { vectorScratch(64 + 16 * number) }

    /// Four rounds on four groups at a time: a register holds the same word of each.
    mutating func cipherSM4(_ i: Instruction) {
        guard case .constant(let constant) = i.b else { preconditionFailure("the operand is a constant") }
        let isSchedule = i.op == .vsm4k
        if !isSchedule && constant == 1 {
            asm.movdqu(.half, zero, vectorMemory(i.a, i.vector))
            for place in 0..<4 {
                asm.pshufd(.half, one, zero, UInt8(0x55 * place))
                asm.movdqu(.half, key(place), one)
            }
        }
        for offset in stride(from: 0, to: i.vector.bytes, by: 64) {
            let groups = min(4, (i.vector.bytes - offset) / 16)
            let sources = (0..<groups).map { vectorMemory(isSchedule ? i.a : i.dst, i.vector, offset + 16 * $0) }
            let targets = (0..<groups).map { vectorMemory(i.dst, i.vector, offset + 16 * $0) }
            let words = (0..<4).map { word($0) }
            exchange(sources, to: words)
            if !isSchedule && constant == 0 {
                exchange((0..<groups).map { vectorMemory(i.a, i.vector, offset + 16 * $0) }, to: (0..<4).map { key($0) })
            }
            for round in 0..<4 {
                if isSchedule {
                    let constant = Self.scheduleConstant(4 * Int(constant) + round)
                    asm.movdqu(.half, zero, self.constant(Self.twice(constant, constant)))
                } else {
                    asm.movdqu(.half, zero, key(round))
                }
                for other in 1...3 { asm.packed(.pxor, .half, zero, zero, word(round + other)) }
                substituteSM4()
                isSchedule ? spreadKeySM4() : spreadSM4()
                asm.packed(.pxor, .half, zero, zero, word(round))
                asm.movdqu(.half, word(round), zero)
            }
            exchange(words, to: targets)
        }
    }

    /// Rows of four words, zero where there are less than four, become as many columns as are wanted.
    private mutating func exchange(_ sources: [X86Memory], to targets: [X86Memory]) {
        let rows = [Self.scratch12, Self.laneMask, Self.scratch14, Self.scalar]
        for (number, register) in rows.enumerated() {
            if number < sources.count { asm.movdqu(.half, register, sources[number]) } else { asm.packed(.pxor, .half, register, register, register) }
        }
        asm.packed(.punpckldq, .half, zero, rows[0], rows[1])
        asm.packed(.punpckhdq, .half, one, rows[0], rows[1])
        asm.packed(.punpckldq, .half, rows[0], rows[2], rows[3])
        asm.packed(.punpckhdq, .half, rows[1], rows[2], rows[3])
        asm.packed(.punpcklqdq, .half, rows[2], zero, rows[0])
        asm.packed(.punpckhqdq, .half, rows[3], zero, rows[0])
        asm.packed(.punpcklqdq, .half, zero, one, rows[1])
        asm.packed(.punpckhqdq, .half, one, one, rows[1])
        for (target, register) in zip(targets, [rows[2], rows[3], zero, one]) { asm.movdqu(.half, target, register) }
    }

    /// The bytes of the constant of a round key are multiples of 7.
    private static func scheduleConstant(_ round: Int) -> UInt64 {
        let word = (0..<4).reduce(0 as UInt64) { $0 << 8 | UInt64((4 * round + $1) * 7 & 0xff) }
        return word << 32 | word
    }

    /// xmm0 = its bytes through the substitution. Uses xmm1 and scratch12.
    private mutating func substituteSM4() {
        transform(Self.before)
        asm.packed(.pshufb, .half, zero, zero, constant(Self.unshifted))
        asm.packed(.pxor, .half, one, one, one)
        asm.aes(.aesenclast, .half, zero, zero, one)
        transform(Self.after)
    }

    private mutating func transform(_ table: (lower: [UInt64], upper: [UInt64])) {
        let mask = constant(Self.lowNibbles)
        asm.packedShift(.psrlw, .half, one, zero, by: 4)
        asm.packed(.pand, .half, zero, zero, mask)
        asm.packed(.pand, .half, one, one, mask)
        loadConstant(Self.scratch12, table.lower)
        asm.packed(.pshufb, .half, zero, Self.scratch12, zero)
        loadConstant(Self.scratch12, table.upper)
        asm.packed(.pshufb, .half, one, Self.scratch12, one)
        asm.packed(.pxor, .half, zero, zero, one)
    }

    /// result = xmm0's words turned left. Uses scratch12.
    private mutating func turn(_ result: XMMRegister, by amount: UInt8) {
        asm.packedShift(.pslld, .half, result, zero, by: amount)
        asm.packedShift(.psrld, .half, Self.scratch12, zero, by: 32 - amount)
        asm.packed(.por, .half, result, result, Self.scratch12)
    }

    /// xmm0 = the sum of it and of it turned by 2, 10, 18 and 24.
    private mutating func spreadSM4() {
        turn(one, by: 2)
        asm.packed(.pshufb, .half, Self.laneMask, zero, constant(Self.turned24))
        asm.packed(.pxor, .half, zero, zero, one)
        asm.packed(.pxor, .half, zero, zero, Self.laneMask)
        for shuffle in [Self.turned8, Self.turned16] {
            asm.packed(.pshufb, .half, Self.laneMask, one, constant(shuffle))
            asm.packed(.pxor, .half, zero, zero, Self.laneMask)
        }
    }

    /// xmm0 = the sum of it and of it turned by 13 and 23.
    private mutating func spreadKeySM4() {
        turn(one, by: 13)
        turn(Self.laneMask, by: 23)
        asm.packed(.pxor, .half, zero, zero, one)
        asm.packed(.pxor, .half, zero, zero, Self.laneMask)
    }

    // MARK: SM3

    private static let wordsReversed = twice(0x0405_0607_0001_0203, 0x0c0d_0e0f_0809_0a0b)

    /// Eight words, each with its bytes reversed.
    private mutating func copyReversed(_ target: X86Memory, _ source: X86Memory) {
        asm.movdqu(.full, zero, source)
        asm.packed(.pshufb, .full, zero, zero, constant(Self.wordsReversed))
        asm.movdqu(.full, target, zero)
    }

    mutating func expandSM3(_ i: Instruction) {
        func word(_ number: Int) -> X86Memory { vectorScratch(4 * number) }
        for offset in stride(from: 0, to: i.vector.bytes, by: 32) {
            copyReversed(word(0), vectorMemory(i.b, i.vector, offset))
            copyReversed(word(8), vectorMemory(i.a, i.vector, offset))
            for new in 16..<24 {
                asm.mov(.rax, word(new - 16), .long)
                asm.alu(.xor, .rax, word(new - 9), .long)
                addTurned(word(new - 3), by: 15)
                permuteSM3(15, 23)
                addTurned(word(new - 13), by: 7)
                asm.alu(.xor, .rax, word(new - 6), .long)
                asm.mov(word(new), .rax, .long)
            }
            copyReversed(vectorMemory(i.dst, i.vector, offset), word(16))
        }
    }

    /// eax ^= a word turned left. Uses rcx.
    private mutating func addTurned(_ word: X86Memory, by amount: UInt8) {
        asm.rorx(.rcx, word, by: 32 - amount, .long)
        asm.alu(.xor, .rax, .rcx, .long)
    }

    /// eax = the sum of it and of it turned left by two amounts. Uses rcx and rdx.
    private mutating func permuteSM3(_ first: UInt8, _ second: UInt8) {
        asm.rorx(.rcx, .rax, by: 32 - first, .long)
        asm.rorx(.rdx, .rax, by: 32 - second, .long)
        asm.alu(.xor, .rax, .rcx, .long)
        asm.alu(.xor, .rax, .rdx, .long)
    }

    /// Two rounds. The new A and E take the places of D and H, and so the words move on by two places in all.
    mutating func compressSM3(_ i: Instruction) {
        guard case .constant(let pair) = i.b else { preconditionFailure("the rounds are a constant") }
        for offset in stride(from: 0, to: i.vector.bytes, by: 32) {
            copyReversed(vectorScratch(0), vectorMemory(i.dst, i.vector, offset))
            copyReversed(vectorScratch(32), vectorMemory(i.a, i.vector, offset))
            var state = (0..<8).map { vectorScratch(4 * $0) }
            for step in 0..<2 {
                compressSM3(state, word: vectorScratch(32 + 4 * step), later: vectorScratch(48 + 4 * step), round: 2 * Int(pair) + step)
                state = [state[3], state[0], state[1], state[2], state[7], state[4], state[5], state[6]]
            }
            asm.movdqu(.full, zero, vectorScratch(0))
            asm.pshufd(.full, zero, zero, 0x4e)
            asm.packed(.pshufb, .full, zero, zero, constant(Self.wordsReversed))
            asm.movdqu(.full, vectorMemory(i.dst, i.vector, offset), zero)
        }
    }

    private mutating func compressSM3(_ state: [X86Memory], word: X86Memory, later: X86Memory, round: Int) {
        let (a, b, c, d) = (state[0], state[1], state[2], state[3]), (e, f, g, h) = (state[4], state[5], state[6], state[7])
        let isEarly = round < 16, base: UInt32 = isEarly ? 0x79cc_4519 : 0x7a87_9d8a, amount = UInt32(round & 31)
        asm.rorx(.rax, a, by: 20, .long)
        asm.mov(.rcx, .rax, .long)
        asm.alu(.add, .rax, e, .long)
        asm.alu(.add, .rax, immediate: Int32(bitPattern: base &<< amount | base &>> (0 &- amount)), .long)
        asm.rorx(.rax, .rax, by: 25, .long)
        asm.alu(.xor, .rcx, .rax, .long)
        // ecx becomes the new A, eax E.
        asm.alu(.add, .rcx, d, .long)
        asm.mov(.rdx, later, .long)
        asm.alu(.xor, .rdx, word, .long)
        asm.alu(.add, .rcx, .rdx, .long)
        if isEarly { addParity(a, b, c, to: .rcx) } else { addMajority(a, b, c, to: .rcx, through: .rdx, .long) }
        asm.mov(d, .rcx, .long)
        asm.alu(.add, .rax, h, .long)
        asm.alu(.add, .rax, word, .long)
        if isEarly {
            addParity(e, f, g, to: .rax)
        } else {
            asm.mov(.rdx, f, .long)
            asm.alu(.xor, .rdx, g, .long)
            asm.alu(.and, .rdx, e, .long)
            asm.alu(.xor, .rdx, g, .long)
            asm.alu(.add, .rax, .rdx, .long)
        }
        permuteSM3(9, 17)
        asm.mov(h, .rax, .long)
        for (place, amount) in [(b, 9), (f, 19)] as [(X86Memory, UInt8)] {
            asm.rorx(.rdx, place, by: 32 - amount, .long)
            asm.mov(place, .rdx, .long)
        }
    }

    private mutating func addParity(_ a: X86Memory, _ b: X86Memory, _ c: X86Memory, to result: X86Register) {
        asm.mov(.rdx, a, .long)
        asm.alu(.xor, .rdx, b, .long)
        asm.alu(.xor, .rdx, c, .long)
        asm.alu(.add, result, .rdx, .long)
    }
}
