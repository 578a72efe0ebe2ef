import EmuIR

/// Vectors of blocks, keys and states of ciphers and hashes: AES, GHASH, SHA-256 and SM4 by the host's own instructions or shuffles, in a time
/// that does not depend on the data; SHA-512 and SM3 word by word. Groups go from the first to the last, each read before it is written.
extension X86Compiler {
    private var zero: XMMRegister { XMMRegister(0) }
    private var one: XMMRegister { XMMRegister(1) }

    /// Bytes an instruction of AES or a carry-less product works on.
    private var cipherBytes: Int { features.contains(.vaes) ? 32 : 16 }
    private var productBytes: Int { features.contains(.vpclmulqdq) ? 32 : 16 }

    private func constantOperand(_ i: Instruction) -> Int {
        guard case .constant(let value) = i.b else { preconditionFailure("the operand is a constant") }
        return Int(value)
    }

    // MARK: Carry-less products

    mutating func multiplyCarryless(_ i: Instruction) {
        broadcastScalar(i.b, width: 3)
        for piece in pieces(i.vector.bytes, greatest: productBytes) {
            load(piece, of: i.a, i.vector, to: zero)
            let b = place(piece, of: i.b, i.vector, loadedTo: one)
            asm.pclmulqdq(piece.size, Self.scratch12, zero, b, 0x00)
            asm.pclmulqdq(piece.size, zero, zero, b, 0x11)
            asm.packed(i.op == .vclmul ? .punpcklqdq : .punpckhqdq, piece.size, zero, Self.scratch12, zero)
            finish(piece, of: i, zero)
        }
    }

    private static let bytesReversed: [UInt64] = [0x0809_0a0b_0c0d_0e0f, 0x0001_0203_0405_0607, 0x0809_0a0b_0c0d_0e0f, 0x0001_0203_0405_0607]
    /// x¹²⁸ + x¹²⁷ + x¹²⁶ + x¹²¹ + 1 without its highest power.
    private static let polynomial: [UInt64] = [1, 0xc200_0000_0000_0000, 1, 0xc200_0000_0000_0000]

    /// With its bytes reversed a block is the number of a polynomial whose coefficients stand in reverse order. A product of such is one place too
    /// low, so one factor is multiplied by x; and what is reduced from below comes out divided by x¹²⁸, just as the reverse order wants it (RFC 8452,
    /// appendix A).
    mutating func multiplyHash(_ i: Instruction) {
        for piece in pieces(i.vector.bytes, greatest: productBytes) {
            let size = piece.size, (low, high, middle, modulus) = (Self.scratch12, Self.laneMask, Self.scratch14, Self.scalar)
            load(piece, of: i.dst, i.vector, to: zero)
            if case .vector = i.b { asm.packed(.pxor, size, zero, zero, place(piece, of: i.b, i.vector, loadedTo: one)) }
            load(piece, of: i.a, i.vector, to: one)
            loadConstant(low, Self.bytesReversed)
            asm.packed(.pshufb, size, zero, zero, low)
            asm.packed(.pshufb, size, one, one, low)
            loadConstant(modulus, Self.polynomial)
            // one × x.
            asm.pshufd(size, high, one, 0xff)
            asm.packedShift(.psrad, size, high, high, by: 31)
            asm.packed(.pand, size, high, high, modulus)
            asm.packedShift(.psrlq, size, middle, one, by: 63)
            asm.shiftBytes(left: true, size, middle, middle, by: 8)
            asm.packedShift(.psllq, size, one, one, by: 1)
            asm.packed(.por, size, one, one, middle)
            asm.packed(.pxor, size, one, one, high)
            // The product of 256 bits.
            asm.pclmulqdq(size, low, zero, one, 0x00)
            asm.pclmulqdq(size, high, zero, one, 0x11)
            asm.pclmulqdq(size, middle, zero, one, 0x10)
            asm.pclmulqdq(size, zero, zero, one, 0x01)
            asm.packed(.pxor, size, middle, middle, zero)
            asm.shiftBytes(left: true, size, zero, middle, by: 8)
            asm.packed(.pxor, size, low, low, zero)
            asm.shiftBytes(left: false, size, middle, middle, by: 8)
            asm.packed(.pxor, size, high, high, middle)
            // Its lower half goes into the upper one, 64 bits at a time.
            for _ in 0..<2 {
                asm.pclmulqdq(size, zero, low, modulus, 0x10)
                asm.pshufd(size, low, low, 0x4e)
                asm.packed(.pxor, size, low, low, zero)
            }
            asm.packed(.pxor, size, zero, low, high)
            loadConstant(low, Self.bytesReversed)
            asm.packed(.pshufb, size, zero, zero, low)
            write(piece, of: i.dst, i.vector, zero)
        }
    }

    // MARK: AES

    mutating func cipher(_ i: Instruction) {
        let isShared = constantOperand(i) == 1, isMiddleOfDecryption = i.op == .vaesdm
        if isShared {
            load(X86Piece(offset: 0, bytes: 16), of: i.a, i.vector, to: Self.scalar)
            // The host adds its key behind InvMixColumns, which is linear.
            if isMiddleOfDecryption { asm.aesimc(Self.scalar, Self.scalar) }
            if cipherBytes > 16 { asm.perm2i128(Self.scalar, Self.scalar, Self.scalar, 0) }
        }
        for piece in pieces(i.vector.bytes, greatest: isMiddleOfDecryption && !isShared ? 16 : cipherBytes) {
            load(piece, of: i.dst, i.vector, to: zero)
            let key = isShared ? XMMPlace.register(Self.scalar) : place(piece, of: i.a, i.vector, loadedTo: one)
            switch i.op {
            case .vaesem: asm.aes(.aesenc, piece.size, zero, zero, key)
            case .vaesef: asm.aes(.aesenclast, piece.size, zero, zero, key)
            case .vaesdf: asm.aes(.aesdeclast, piece.size, zero, zero, key)
            case .vaesz: asm.packed(.pxor, piece.size, zero, zero, key)
            default:
                asm.aes(isShared ? .aesdec : .aesdeclast, piece.size, zero, zero, key)
                if !isShared { asm.aesimc(zero, zero) }
            }
            write(piece, of: i.dst, i.vector, zero)
        }
    }

    mutating func expandCipherKey(_ i: Instruction) {
        let round = constantOperand(i), isLong = i.op == .vaeskf2
        // Of AES-256 every other round has neither rotation nor constant.
        let isPlain = isLong && round & 1 != 0
        let constant = isPlain ? 0 : Self.roundConstant(isLong ? round / 2 : round)
        for piece in pieces(i.vector.bytes, greatest: 16) {
            load(piece, of: i.a, i.vector, to: zero)
            asm.aeskeygenassist(one, zero, constant)
            asm.pshufd(.half, one, one, isPlain ? 0xaa : 0xff)
            if isLong { load(piece, of: i.dst, i.vector, to: zero) }
            // Each word becomes the sum of all up to it.
            for count in [4, 8] as [UInt8] {
                asm.shiftBytes(left: true, .half, Self.scratch12, zero, by: count)
                asm.packed(.pxor, .half, zero, zero, Self.scratch12)
            }
            asm.packed(.pxor, .half, zero, zero, one)
            write(piece, of: i.dst, i.vector, zero)
        }
    }

    // MARK: SHA-2

    mutating func hashSHA2(_ i: Instruction) {
        let isShort = i.vector.width == 2
        // Instructions without VEX behind those of 256 bits wait, on some hosts for a hundred cycles, to keep upper halves.
        if isShort && features.contains(.sha) && asm.usesUpperHalves {
            vectorCache.dropUpperHalves()
            asm.vzeroupper()
        }
        for offset in stride(from: 0, to: i.vector.bytes, by: isShort ? 16 : 32) {
            if isShort && features.contains(.sha) {
                hashSHA256(i, offset)
            } else if i.op == .vsha2ms {
                scheduleWords(i, offset)
            } else {
                compressWords(i, offset)
            }
        }
    }

    private mutating func hashSHA256(_ i: Instruction, _ offset: Int) {
        let piece = X86Piece(offset: offset, bytes: 16)
        if i.op == .vsha2ms {
            let a = source(piece, of: i.a, i.vector, loadedTo: one), b = source(piece, of: i.b, i.vector, loadedTo: Self.scratch12)
            let result = destination(piece, of: i, besides: [a, b], loadedTo: zero)
            asm.sha(.sha256msg1, result, a)
            asm.palignr(.half, one, upper: b, lower: a, 4)
            asm.packed(.paddd, .half, result, result, one)
            asm.sha(.sha256msg2, result, b)
            write(piece, of: i.dst, i.vector, result)
        } else {
            let a = source(piece, of: i.a, i.vector, loadedTo: Self.scratch12)
            let result = destination(piece, of: i, besides: [a], loadedTo: one)
            if i.op == .vsha2cl {
                load(piece, of: i.b, i.vector, to: zero)
            } else {
                asm.pshufd(.half, zero, place(piece, of: i.b, i.vector, loadedTo: zero), 0x0e)
            }
            asm.sha(.sha256rnds2, result, a)
            write(piece, of: i.dst, i.vector, result)
        }
    }

    /// Amounts of the functions of FIPS 180-4, 4.1.2 and 4.1.3.
    private struct SHA2 {
        let sum0, sum1, sigma0, sigma1: TurnedSum
        let width: X86Width

        static let short = SHA2(
            sum0: TurnedSum(2, 13, 22), sum1: TurnedSum(6, 11, 25), sigma0: TurnedSum(7, 18, 3, isShift: true), sigma1: TurnedSum(17, 19, 10, isShift: true),
            width: .long)
        static let long = SHA2(
            sum0: TurnedSum(28, 34, 39), sum1: TurnedSum(14, 18, 41), sigma0: TurnedSum(1, 8, 7, isShift: true), sigma1: TurnedSum(19, 61, 6, isShift: true),
            width: .quad)
    }

    /// result = the sum, of a word in memory. Uses `other`.
    private mutating func sum(_ sum: TurnedSum, _ source: X86Memory, _ result: X86Register, _ other: X86Register, _ width: X86Width) {
        asm.rorx(result, source, by: sum.first, width)
        asm.rorx(other, source, by: sum.second, width)
        asm.alu(.xor, result, other, width)
        if sum.isShift {
            asm.mov(other, source, width)
            asm.shift(.shr, other, by: sum.third, width)
        } else {
            asm.rorx(other, source, by: sum.third, width)
        }
        asm.alu(.xor, result, other, width)
    }

    /// The four words of an operand's group.
    private func words(_ operand: Operand, _ shape: VectorShape, _ offset: Int) -> [X86Memory] {
        (0..<4).map { vectorMemory(operand, shape, offset + $0 << Int(shape.width)) }
    }

    /// Where each of the new words has been written, the old one is needed no more.
    private mutating func scheduleWords(_ i: Instruction, _ offset: Int) {
        let functions = i.vector.width == 2 ? SHA2.short : .long, width = functions.width
        let (d, a, b) = (words(i.dst, i.vector, offset), words(i.a, i.vector, offset), words(i.b, i.vector, offset))
        for (place, (one, plain, zero)) in [(b[2], a[1], d[1]), (b[3], a[2], d[2]), (d[0], a[3], d[3]), (d[1], b[0], a[0])].enumerated() {
            sum(functions.sigma1, one, .rax, .rcx, width)
            asm.alu(.add, .rax, plain, width)
            sum(functions.sigma0, zero, .rcx, .rdx, width)
            asm.alu(.add, .rax, .rcx, width)
            asm.alu(.add, d[place], .rax, width)
        }
    }

    /// Two rounds. Their results take the places of h and d, then of g and c.
    private mutating func compressWords(_ i: Instruction, _ offset: Int) {
        let functions = i.vector.width == 2 ? SHA2.short : .long, width = functions.width
        let (old, new, b) = (words(i.dst, i.vector, offset), words(i.a, i.vector, offset), words(i.b, i.vector, offset))
        let first = i.op == .vsha2cl ? 0 : 2
        var state = [new[3], new[2], old[3], old[2], new[1], new[0], old[1], old[0]]
        for message in [b[first], b[first + 1]] {
            let (a, b, c, d) = (state[0], state[1], state[2], state[3]), (e, f, g, h) = (state[4], state[5], state[6], state[7])
            sum(functions.sum1, e, .rax, .rcx, width)
            asm.alu(.add, .rax, h, width)
            asm.alu(.add, .rax, message, width)
            asm.mov(.rcx, f, width)
            asm.alu(.xor, .rcx, g, width)
            asm.alu(.and, .rcx, e, width)
            asm.alu(.xor, .rcx, g, width)
            asm.alu(.add, .rax, .rcx, width)
            asm.mov(.rcx, d, width)
            asm.alu(.add, .rcx, .rax, width)
            asm.mov(h, .rcx, width)
            sum(functions.sum0, a, .rcx, .rdx, width)
            asm.alu(.add, .rax, .rcx, width)
            addMajority(a, b, c, to: .rax, through: .rcx, width)
            asm.mov(d, .rax, width)
            state = [d, a, b, c, h, e, f, g]
        }
    }

    /// What most of the three say, bit by bit, is added to `result`: where a and b agree, what both have, else c.
    mutating func addMajority(_ a: X86Memory, _ b: X86Memory, _ c: X86Memory, to result: X86Register, through other: X86Register, _ width: X86Width) {
        asm.mov(other, a, width)
        asm.alu(.and, other, b, width)
        asm.alu(.add, result, other, width)
        asm.mov(other, a, width)
        asm.alu(.xor, other, b, width)
        asm.alu(.and, other, c, width)
        asm.alu(.add, result, other, width)
    }
}
