import EmuIR

/// Carries and fixed-point arithmetic on vectors. Of its rounding modes to nearest and down are done here, which add the first bit that is cut
/// off or nothing; under the two others the interpreter executes the instruction.
extension X86Compiler {
    private var zero: XMMRegister { XMMRegister(0) }
    private var one: XMMRegister { XMMRegister(1) }

    // MARK: Carries

    /// Sums and differences with the bits of v0 as carries.
    mutating func addCarries(_ i: Instruction) {
        let width = Int(i.vector.width), (first, second) = i.op == .vadc ? (Self.add, Self.subtract) : (Self.subtract, Self.add)
        broadcastScalar(i.b, width: i.vector.width)
        for piece in pieces(i.vector.bytes) {
            skipRest(from: piece, i.vector)
            load(piece, of: i.a, i.vector, to: zero)
            asm.packed(first[width], piece.size, zero, zero, place(piece, of: i.b, i.vector, loadedTo: one))
            // Ones are −1.
            expandMask(piece, i.vector)
            asm.packed(second[width], piece.size, zero, zero, Self.laneMask)
            finish(piece, of: i, zero)
        }
    }

    /// Their carries, of sums without a carry in, too: with one, equal operands give a carry.
    mutating func carriesOut(_ i: Instruction) {
        let width = i.vector.width, isSum = i.op != .vmsbc, takesCarry = i.op != .vmcarry
        broadcastScalar(i.b, width: width)
        gatherBits(i) { compiler, piece in
            let zero = compiler.zero, one = compiler.one, size = piece.size
            if takesCarry { compiler.expandMask(piece, i.vector) }
            compiler.load(piece, of: i.a, i.vector, to: isSum ? one : zero)
            // A sum is less than its operand, or a difference's first operand less than the second.
            var second = one
            if isSum {
                let b = compiler.place(piece, of: i.b, i.vector, loadedTo: Self.scratch14)
                compiler.asm.packed(Self.add[Int(width)], size, zero, one, b)
                if !takesCarry { return compiler.compare(.vmsltu, width, size, .register(one)) }
                compiler.asm.packed(Self.subtract[Int(width)], size, zero, zero, Self.laneMask)
            } else {
                second = compiler.register(compiler.place(piece, of: i.b, i.vector, loadedTo: one), size)
            }
            if width == 3 {
                compiler.compareGreater(size, second, zero, isSigned: false)
                compiler.asm.packed(.pcmpeqq, size, zero, zero, second)
                compiler.asm.packed(.pand, size, zero, zero, Self.laneMask)
                compiler.asm.packed(.por, size, zero, zero, Self.scratch12)
                return false
            }
            let least: X86Packed = [.pminub, .pminuw, .pminud][Int(width)], equal = Self.equal[Int(width)]
            compiler.asm.packed(least, size, Self.scratch12, zero, second)
            compiler.asm.packed(equal, size, Self.scratch12, Self.scratch12, second)
            compiler.asm.packed(equal, size, zero, zero, second)
            compiler.asm.packed(.pand, size, zero, zero, Self.laneMask)
            compiler.asm.packed(.pandn, size, zero, zero, Self.scratch12)
            return true
        }
    }

    // MARK: Saturation

    mutating func saturate(_ i: Instruction) {
        leaveOutRest(i.vector)
        broadcastScalar(i.b, width: i.vector.width)
        for piece in pieces(i.vector.bytes) {
            skipRest(from: piece, i.vector)
            load(piece, of: i.a, i.vector, to: zero)
            let b = register(place(piece, of: i.b, i.vector, loadedTo: one), piece.size)
            switch i.op {
            case .vsadd, .vssub: saturateSigned(i.op == .vssub, i.vector.width, piece.size, b)
            default: saturateUnsigned(i.op == .vssubu, i.vector.width, piece.size, b)
            }
            noteSaturation(piece, i.vector)
            finish(piece, of: i, zero)
        }
    }

    /// xmm0 = the result, xmm1 = ones where it is a limit. Uses scratch12 and scratch14.
    private mutating func saturateSigned(_ subtracts: Bool, _ width: UInt8, _ size: X86VectorSize, _ b: XMMRegister) {
        let sum = Self.scratch12, sign = Self.scratch14
        asm.packed((subtracts ? Self.subtract : Self.add)[Int(width)], size, sum, zero, b)
        // Too great or small where the sum's sign differs from those of both operands; of a difference's second operand the opposite.
        asm.packed(.pxor, size, sign, zero, sum)
        asm.packed(.pxor, size, one, b, subtracts ? zero : sum)
        asm.packed(.pand, size, one, one, sign)
        fillSign(one, width, size, scratch: sign)
        asm.packed(.por, size, sign, zero, zero)
        fillSign(sign, width, size, scratch: zero)
        asm.packed(.pxor, size, sign, sign, constant(Self.repeated(Int.max >> (64 - 8 << Int(width)), width)))
        asm.blendvb(size, zero, sum, sign, one)
    }

    /// Each element becomes a copy of its sign.
    private mutating func fillSign(_ register: XMMRegister, _ width: UInt8, _ size: X86VectorSize, scratch: XMMRegister) {
        switch width {
        case 1: asm.packedShift(.psraw, size, register, register, by: 15)
        case 2: asm.packedShift(.psrad, size, register, register, by: 31)
        default:
            asm.packed(.pxor, size, scratch, scratch, scratch)
            asm.packed(Self.greater[Int(width)], size, register, scratch, register)
        }
    }

    /// The same for unsigned operands.
    private mutating func saturateUnsigned(_ subtracts: Bool, _ width: UInt8, _ size: X86VectorSize, _ b: XMMRegister) {
        let beyond = Self.scratch12
        if subtracts {
            compareBelow(zero, b, width, size)
            asm.packed(Self.subtract[Int(width)], size, zero, zero, b)
            asm.packed(.pandn, size, zero, beyond, zero)
        } else {
            asm.packed(Self.add[Int(width)], size, one, zero, b)
            compareBelow(one, zero, width, size)
            asm.packed(.por, size, zero, one, beyond)
        }
        asm.packed(.por, size, one, beyond, beyond)
    }

    /// scratch12 = a < b, unsigned. Uses scratch14.
    private mutating func compareBelow(_ a: XMMRegister, _ b: XMMRegister, _ width: UInt8, _ size: X86VectorSize) {
        if width == 3 { return compareGreater(size, b, a, isSigned: false) }
        asm.packed([.pminub, .pminuw, .pminud][Int(width)], size, Self.scratch12, a, b)
        asm.packed(Self.equal[Int(width)], size, Self.scratch12, Self.scratch12, b)
        asm.packed(.pcmpeqd, size, Self.scratch14, Self.scratch14, Self.scratch14)
        asm.packed(.pxor, size, Self.scratch12, Self.scratch12, Self.scratch14)
    }

    /// Remembers that an active element was limited, as xmm1 says. Uses scratch12, scratch14 and laneMask.
    private mutating func noteSaturation(_ piece: X86Piece, _ shape: VectorShape) {
        let none = asm.newLabel()
        if isPartial(shape) {
            loadLanes(piece, shape)
            asm.packed(.pand, piece.size, one, one, Self.laneMask)
        }
        asm.ptest(piece.size, one, one)
        asm.jcc(.e, none)
        asm.mov(state.field(layout.vectorSaturation), immediate: 1, .byte)
        asm.bind(none)
    }

    private static func repeated(_ element: Int, _ width: UInt8) -> [UInt64] { words(Array(repeating: element, count: 32 >> Int(width)), width: width) }

    // MARK: Rounding

    /// What is added where the first bit cut off is one, in each element: 1 or 0.
    private var rounding: X86Memory { vectorScratch(0) }

    /// Uses rax and xmm0.
    private mutating func prepareRounding(_ width: UInt8) {
        asm.movzx(.rax, state.field(layout.vectorRounding), from: .byte)
        asm.test(.rax, immediate: 1, .long)
        asm.jcc(.ne, vectorSlow)
        asm.alu(.xor, .rax, immediate: 2, .long)
        asm.shift(.shr, .rax, by: 1, .long)
        broadcast(.rax, X86Width(rawValue: width) ?? .quad, to: zero)
        asm.movdqu(.full, rounding, zero)
    }

    /// Halves of sums and differences: of the sum that carries into the next bit, by what the operands share and half of what they do not; of
    /// a difference as of a sum with the complement, one more, and another sign.
    mutating func average(_ i: Instruction) {
        let width = i.vector.width, place = Int(width)
        let isSigned = i.op == .vaadd || i.op == .vasub, subtracts = i.op == .vasub || i.op == .vasubu
        prepareRounding(width)
        broadcastScalar(i.b, width: width)
        let sign = Self.repeated(Int.min >> (64 - 8 << place), width)
        for piece in pieces(i.vector.bytes) {
            skipRest(from: piece, i.vector)
            let size = piece.size, different = Self.scratch12, half = Self.scratch14
            load(piece, of: i.a, i.vector, to: zero)
            let b = register(self.place(piece, of: i.b, i.vector, loadedTo: one), size)
            // With its sign flipped a signed number is halved as an unsigned one.
            if isSigned { asm.packed(.pxor, size, zero, zero, constant(sign)) }
            if subtracts || isSigned {
                asm.packed(.pxor, size, one, b, constant(Self.repeated((subtracts ? -1 : 0) ^ (isSigned ? Int.min >> (64 - 8 << place) : 0), width)))
            }
            let second = subtracts || isSigned ? one : b
            asm.packed(.pxor, size, different, zero, second)
            asm.packed(subtracts ? .por : .pand, size, zero, zero, second)
            asm.packedShift(width == 3 ? .psrlq : width == 2 ? .psrld : .psrlw, size, half, different, by: 1)
            if width == 0 { asm.packed(.pand, size, half, half, constant(Self.repeated(0x7f, 0))) }
            asm.packed((subtracts ? Self.subtract : Self.add)[place], size, zero, zero, half)
            asm.packed(subtracts ? .pandn : .pand, size, different, different, rounding)
            asm.packed(Self.add[place], size, zero, zero, different)
            if isSigned || subtracts { asm.packed(.pxor, size, zero, zero, constant(sign)) }
            finish(piece, of: i, zero)
        }
    }

    mutating func shiftRounding(_ i: Instruction) {
        let width = i.vector.width
        prepareRounding(width)
        let isUniform = prepareAmounts(i.b, width: width)
        for piece in pieces(i.vector.bytes) {
            skipRest(from: piece, i.vector)
            load(piece, of: i.a, i.vector, to: zero)
            if !isUniform { load(piece, of: i.b, i.vector, to: one) }
            shiftRounding(i.op == .vssrl ? .vsrl : .vsra, width, piece.size, isUniform: isUniform, i.b)
            finish(piece, of: i, zero)
        }
    }

    /// xmm0 is shifted right, by the amount in `scalar`, a constant or those in xmm1, and rounded. Uses scratch12 and scratch14.
    private mutating func shiftRounding(_ op: Opcode, _ width: UInt8, _ size: X86VectorSize, isUniform: Bool, _ amount: Operand) {
        let first = Self.scratch14, shift: X86Packed = width == 3 ? .psrlq : width == 2 ? .psrld : .psrlw
        if let constant = immediate(amount) {
            let amount = UInt8(truncatingIfNeeded: constant) & (8 << width - 1)
            if amount == 0 { return }
            asm.packedShift(shift, size, first, zero, by: amount - 1)
        } else {
            // One less; of nothing that is so much that nothing is left.
            asm.packed(.pcmpeqd, size, first, first, first)
            if isUniform {
                asm.packed(.paddq, .half, first, first, Self.scalar)
                asm.packed(shift, size, first, zero, first)
            } else {
                maskAmounts(width, size)
                asm.packed(Self.add[Int(width)], size, first, first, one)
                asm.packed(width == 3 ? .psrlvq : .psrlvd, size, first, zero, first)
            }
        }
        asm.packed(.pand, size, first, first, rounding)
        if isUniform { shiftAll(op, width, size, immediate(amount)) } else { shiftEach(op, width, size) }
        asm.packed(Self.add[Int(width)], size, zero, zero, first)
    }

    // MARK: Clips

    mutating func clip(_ i: Instruction) {
        let wide = i.vector.width + 1
        leaveOutRest(i.vector)
        var shape = i.vector
        shape.width = wide
        prepareRounding(wide)
        let isUniform = prepareAmounts(i.b, width: wide)
        for piece in pieces(i.vector.bytes, greatest: 16) {
            skipRest(from: piece, i.vector)
            let whole = X86Piece(offset: 2 * piece.offset, bytes: 2 * piece.bytes), size = whole.size
            load(whole, of: i.a, shape, to: zero)
            if !isUniform { loadExtended(whole, of: i.b, shape, from: wide - 1, isSigned: false, to: one) }
            shiftRounding(i.op == .vnclipu ? .vsrl : .vsra, wide, size, isUniform: isUniform, i.b)
            if i.op == .vnclipu { clipUnsigned(wide, size) } else { clipSigned(wide, size) }
            noteSaturation(whole, shape)
            takeLowHalves(wide, size)
            finish(piece, of: i, zero)
        }
    }

    /// Limits xmm0 to the lower half of its width; xmm1 = ones where that changed it.
    private mutating func clipUnsigned(_ width: UInt8, _ size: X86VectorSize) {
        if width == 3 {
            asm.packedShift(.psrlq, size, Self.scratch12, zero, by: 32)
            asm.packed(.pxor, size, one, one, one)
            asm.packed(.pcmpgtq, size, one, Self.scratch12, one)
            return asm.packed(.por, size, zero, zero, one)
        }
        asm.packed(width == 1 ? .pminuw : .pminud, size, Self.scratch12, zero, constant(Self.repeated(width == 1 ? 0xff : 0xffff, width)))
        noteChanged(width, size)
    }

    private mutating func clipSigned(_ width: UInt8, _ size: X86VectorSize) {
        if width == 3 {
            // Sign and magnitude's rest: in range where 2³¹ more has nothing above 32 bits.
            asm.packed(.paddq, size, Self.scratch12, zero, constant(Self.repeated(1 << 31, 3)))
            asm.packedShift(.psrlq, size, Self.scratch12, Self.scratch12, by: 32)
            asm.packed(.pxor, size, Self.scratch14, Self.scratch14, Self.scratch14)
            asm.packed(.pcmpgtq, size, one, Self.scratch12, Self.scratch14)
            asm.packed(.pcmpgtq, size, Self.scratch14, Self.scratch14, zero)
            asm.packed(.pxor, size, Self.scratch14, Self.scratch14, constant(Self.repeated(0x7fff_ffff, 3)))
            return asm.blendvb(size, zero, zero, Self.scratch14, one)
        }
        let greatest = width == 1 ? 0x7f : 0x7fff
        asm.packed(width == 1 ? .pminsw : .pminsd, size, Self.scratch12, zero, constant(Self.repeated(greatest, width)))
        asm.packed(width == 1 ? .pmaxsw : .pmaxsd, size, Self.scratch12, Self.scratch12, constant(Self.repeated(~greatest, width)))
        noteChanged(width, size)
    }

    /// xmm0 = scratch12; xmm1 = ones where that was another.
    private mutating func noteChanged(_ width: UInt8, _ size: X86VectorSize) {
        asm.packed(Self.equal[Int(width)], size, one, Self.scratch12, zero)
        asm.packed(.pcmpeqd, size, Self.scratch14, Self.scratch14, Self.scratch14)
        asm.packed(.pxor, size, one, one, Self.scratch14)
        asm.packed(.por, size, zero, Self.scratch12, Self.scratch12)
    }
}
