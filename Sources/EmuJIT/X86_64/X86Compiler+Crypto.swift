import EmuIR

/// Scalar operations of ciphers and hashes, and bits and bytes moved by shuffles.
extension X86Compiler {
    private var zero: XMMRegister { XMMRegister(0) }
    private var one: XMMRegister { XMMRegister(1) }

    /// dst = the low half of xmm0.
    private mutating func finishLow(_ dst: Operand) {
        let result = target(dst)
        asm.movq(result, zero)
        finish(dst, result)
    }

    /// Half a round of AES on the state a, b; or a step of its key schedule. The round key is zero: the guest adds its own.
    mutating func cipherHalf(_ i: Instruction) {
        asm.movq(zero, register(i.a, loadedTo: .rax))
        switch i.op {
        case .aes64im: asm.aesimc(zero, zero)
        case .aes64ks1i:
            guard case .constant(let round) = i.b else { preconditionFailure("the round is a constant") }
            // Word 0 of what it gives is without rotation and constant, word 1 with both.
            asm.aeskeygenassist(zero, zero, round < 10 ? Self.roundConstant(Int(round) + 1) : 0)
            asm.pshufd(.half, zero, zero, round < 10 ? 0x55 : 0)
        default:
            asm.movq(one, register(i.b, loadedTo: .rcx))
            asm.packed(.punpcklqdq, .half, zero, zero, one)
            asm.packed(.pxor, .half, one, one, one)
            let operation: X86AES =
                switch i.op {
                case .aes64es: .aesenclast
                case .aes64esm: .aesenc
                case .aes64ds: .aesdeclast
                default: .aesdec
                }
            asm.aes(operation, .half, zero, zero, one)
        }
        finishLow(i.dst)
    }

    /// Of a round of AES's key schedule, from 1 on: x to the power of it less 1.
    static func roundConstant(_ round: Int) -> UInt8 {
        let power = 1 << (round - 1)
        return UInt8(truncatingIfNeeded: power ^ (power >> 8) * 0x11b)
    }

    mutating func turnedSum(_ i: Instruction, _ width: X86Width) {
        guard case .constant(let value) = i.b else { preconditionFailure("the amounts are a constant") }
        let sum = TurnedSum(rawValue: value), mask: UInt8 = width == .long ? 31 : 63
        let source = register(i.a, loadedTo: .rdx)
        asm.rorx(.rax, source, by: sum.first & mask, width)
        asm.rorx(.rcx, source, by: sum.second & mask, width)
        asm.alu(.xor, .rax, .rcx, width)
        if sum.isShift {
            asm.mov(.rcx, source, width)
            if sum.third & mask != 0 { asm.shift(.shr, .rcx, by: sum.third & mask, width) }
        } else {
            asm.rorx(.rcx, source, by: sum.third & mask, width)
        }
        asm.alu(.xor, .rax, .rcx, width)
        finishWidth(i.dst, .rax, width)
    }

    // MARK: Shuffles

    static let lowNibbles: [UInt64] = Array(repeating: 0x0f0f_0f0f_0f0f_0f0f, count: 4)

    /// Neighbouring bits change places, then pairs of them, then nibbles.
    mutating func reverseBits(_ i: Instruction) {
        load(i.a, to: .rax)
        for (distance, mask) in [(1, 0x5555_5555_5555_5555), (2, 0x3333_3333_3333_3333), (4, 0x0f0f_0f0f_0f0f_0f0f)] as [(UInt8, Int64)] {
            asm.mov(.rcx, immediate: mask)
            asm.mov(.rdx, .rax)
            asm.shift(.shr, .rax, by: distance)
            asm.alu(.and, .rax, .rcx)
            asm.alu(.and, .rdx, .rcx)
            asm.shift(.shl, .rdx, by: distance)
            asm.alu(.or, .rax, .rdx)
        }
        finish(i.dst, .rax)
    }

    /// dst[i] = a[b[i]], in bytes or nibbles.
    mutating func pick(_ i: Instruction) {
        if i.op == .xperm8 {
            asm.movq(zero, register(i.b, loadedTo: .rax))
            // Indices above 15 get a sign, which makes zeroes; those from 8 on find them.
            asm.packed(.paddusb, .half, zero, zero, constant(Array(repeating: 0x7070_7070_7070_7070, count: 4)))
            asm.movq(one, register(i.a, loadedTo: .rax))
            asm.packed(.pshufb, .half, zero, one, zero)
            return finishLow(i.dst)
        }
        spread(i.b, to: zero, beside: one)
        // Room for the indices: a register is free for the table alone.
        asm.movdqu(.half, vectorScratch(0), zero)
        spread(i.a, to: one, beside: zero)
        asm.movdqu(.half, zero, vectorScratch(0))
        asm.packed(.pshufb, .half, zero, one, zero)
        // Of each two bytes the second counts sixteenfold.
        asm.packed(.pmaddubsw, .half, zero, zero, constant(Array(repeating: 0x1001_1001_1001_1001, count: 4)))
        asm.packed(.packuswb, .half, zero, zero, zero)
        finishLow(i.dst)
    }

    /// The sixteen nibbles of an integer in as many bytes.
    private mutating func spread(_ operand: Operand, to register: XMMRegister, beside other: XMMRegister) {
        asm.movq(register, self.register(operand, loadedTo: .rax))
        asm.packedShift(.psrlw, .half, other, register, by: 4)
        asm.packed(.punpcklbw, .half, register, register, other)
        asm.packed(.pand, .half, register, register, constant(Self.lowNibbles))
    }
}
