import EmuIR

/// Floating point on vectors, under the guest's modes and flags as scalar floating point is.
///
/// Where a result is a NaN the interpreter computes it and all elements behind: vstart says where it goes on. What the host has raised until then
/// the interpreter raises again.
extension X86Compiler {
    private var zero: XMMRegister { XMMRegister(0) }
    private var one: XMMRegister { XMMRegister(1) }

    private func format(_ i: Instruction) -> X86Float { i.vector.width == 3 ? .double : .single }

    /// Lets the interpreter go on from the piece in hand if the flags say `condition`.
    private mutating func giveUp(_ condition: X86Condition, at piece: X86Piece, of i: Instruction) {
        let entry = asm.newLabel()
        asm.jcc(condition, entry)
        add(.finishVector(start: Int32(piece.first(i.vector.width)), entry: entry, slow: vectorSlow))
    }

    /// Gives up where an element of `first` or of `second` is a NaN. Uses scratch12 and rax.
    private mutating func checkNumbers(_ piece: X86Piece, of i: Instruction, _ first: XMMRegister, _ second: XMMPlace) {
        asm.cmpp(.unord_q, format(i), piece.size, Self.scratch12, first, second)
        asm.movmskp(format(i), piece.size, .rax, Self.scratch12)
        asm.test(.rax, .rax, .long)
        giveUp(.ne, at: piece, of: i)
    }

    mutating func computeFloats(_ i: Instruction) {
        broadcastScalar(i.b, width: i.vector.width)
        for piece in pieces(i.vector.bytes, greatest: i.op == .vfnarrow ? 16 : 32) {
            switch i.op {
            case .vfcvtFromInteger: asm.cvtdq2ps(piece.size, zero, vectorMemory(i.a, i.vector, piece.offset))
            case .vfcvtToInteger, .vfcvtToIntegerTruncated: toInteger(piece, i)
            case .vfwiden:
                asm.cvtps2pd(piece.size, zero, vectorMemory(i.a, i.vector, piece.offset / 2))
                checkNumbers(piece, of: i, zero, .register(zero))
            case .vfnarrow: narrowFloats(piece, i)
            case .vfsgnj, .vfsgnjn, .vfsgnjx: injectSigns(piece, i)
            case .vfmin, .vfmax: extremum(piece, i)
            default: return computeArithmetic(i)
            }
            storePiece(piece.bytes, vectorMemory(i.dst, i.vector, piece.offset), zero)
        }
    }

    /// Operations whose results alone are looked at: two pieces at once.
    private mutating func computeArithmetic(_ i: Instruction) {
        var rest = pieces(i.vector.bytes)[...]
        while let first = rest.popFirst() {
            computeArithmetic(first, i, zero)
            guard let second = rest.first, second.bytes == first.bytes else {
                checkNumbers(first, of: i, zero, .register(zero))
                storePiece(first.bytes, vectorMemory(i.dst, i.vector, first.offset), zero)
                continue
            }
            rest.removeFirst()
            computeArithmetic(second, i, Self.scratch14)
            checkNumbers(first, of: i, zero, .register(Self.scratch14))
            storePiece(first.bytes, vectorMemory(i.dst, i.vector, first.offset), zero)
            storePiece(second.bytes, vectorMemory(i.dst, i.vector, second.offset), Self.scratch14)
        }
    }

    private mutating func computeArithmetic(_ piece: X86Piece, _ i: Instruction, _ result: XMMRegister) {
        let format = format(i)
        if i.op == .vfsqrt { return asm.packed(.sqrt, format, piece.size, result, result, vectorMemory(i.a, i.vector, piece.offset)) }
        let operation: X86Scalar
        switch i.op {
        case .vfadd: operation = .add
        case .vfsub, .vfrsub: operation = .sub
        case .vfmul: operation = .mul
        case .vfdiv, .vfrdiv: operation = .div
        default: return fuse(piece, i, result)
        }
        load(piece, of: i.a, i.vector, to: result)
        if i.op == .vfrsub || i.op == .vfrdiv { return asm.packed(operation, format, piece.size, result, Self.scalar, result) }
        asm.packed(operation, format, piece.size, result, result, place(piece, of: i.b, i.vector, loadedTo: one))
    }

    private mutating func fuse(_ piece: X86Piece, _ i: Instruction, _ result: XMMRegister) {
        let (operation, multipliesDestination): (X86FMA, Bool) =
            switch i.op {
            case .vfmacc: (.madd, false)
            case .vfnmacc: (.nmsub, false)
            case .vfmsac: (.msub, false)
            case .vfnmsac: (.nmadd, false)
            case .vfmadd: (.madd, true)
            case .vfnmadd: (.nmsub, true)
            case .vfmsub: (.msub, true)
            default: (.nmadd, true)
            }
        // The first operand times the second plus the third.
        load(piece, of: multipliesDestination ? i.dst : i.a, i.vector, to: result)
        let addend = vectorMemory(multipliesDestination ? i.a : i.dst, i.vector, piece.offset)
        switch place(piece, of: i.b, i.vector, loadedTo: one) {
        case .register(let b): asm.packed(operation, .o213, format(i), piece.size, result, b, addend)
        case .memory(let b):
            asm.movdqu(piece.size, one, b)
            asm.packed(operation, .o213, format(i), piece.size, result, one, addend)
        }
    }

    /// The sign alone, in each element of scratch12.
    private mutating func loadSigns(_ piece: X86Piece, _ i: Instruction) {
        asm.packed(.pcmpeqd, piece.size, Self.scratch12, Self.scratch12, Self.scratch12)
        asm.packedShift(i.vector.width == 3 ? .psllq : .pslld, piece.size, Self.scratch12, Self.scratch12, by: i.vector.width == 3 ? 63 : 31)
    }

    private mutating func injectSigns(_ piece: X86Piece, _ i: Instruction) {
        load(piece, of: i.a, i.vector, to: zero)
        loadSigns(piece, i)
        if case .vector = i.b {
            load(piece, of: i.b, i.vector, to: one)
        } else {
            asm.packed(.por, .full, one, Self.scalar, Self.scalar)
        }
        asm.packed(.pand, piece.size, one, one, Self.scratch12)
        if i.op == .vfsgnjx { return asm.packed(.pxor, piece.size, zero, zero, one) }
        if i.op == .vfsgnjn { asm.packed(.pxor, piece.size, one, one, Self.scratch12) }
        asm.packed(.pandn, piece.size, zero, Self.scratch12, zero)
        asm.packed(.por, piece.size, zero, zero, one)
    }

    /// Equal operands differ at most in the sign of zero: both orders are asked, and combined.
    private mutating func extremum(_ piece: X86Piece, _ i: Instruction) {
        let operation: X86Scalar = i.op == .vfmin ? .min : .max
        load(piece, of: i.a, i.vector, to: zero)
        let b: XMMRegister
        if case .vector = i.b {
            load(piece, of: i.b, i.vector, to: one)
            b = one
        } else {
            b = Self.scalar
        }
        checkNumbers(piece, of: i, zero, .register(b))
        asm.packed(operation, format(i), piece.size, Self.scratch12, zero, b)
        asm.packed(operation, format(i), piece.size, zero, b, zero)
        asm.packed(i.op == .vfmin ? .por : .pand, piece.size, zero, zero, Self.scratch12)
    }

    // MARK: Conversions

    /// The host answers everything out of range with its most negative integer.
    private mutating func toInteger(_ piece: X86Piece, _ i: Instruction) {
        asm.cvtps2dq(piece.size, truncating: i.op == .vfcvtToIntegerTruncated, zero, vectorMemory(i.a, i.vector, piece.offset))
        loadSigns(piece, i)
        asm.packed(.pcmpeqd, piece.size, Self.scratch12, Self.scratch12, zero)
        asm.ptest(piece.size, Self.scratch12, Self.scratch12)
        giveUp(.ne, at: piece, of: i)
    }

    private mutating func narrowFloats(_ piece: X86Piece, _ i: Instruction) {
        loadPiece(2 * piece.bytes, zero, vectorMemory(i.a, i.vector, 2 * piece.offset))
        asm.cvtpd2ps(piece.bytes == 16 ? .full : .half, zero, zero)
        checkNumbers(piece, of: i, zero, .register(zero))
    }

    // MARK: Comparisons

    mutating func compareFloats(_ i: Instruction) {
        broadcastScalar(i.b, width: i.vector.width)
        let relation: X86FloatRelation =
            switch i.op {
            case .vmfeq: .eq_oq
            case .vmfne: .neq_uq
            case .vmflt: .lt_os
            case .vmfle: .le_os
            case .vmfgt: .gt_os
            default: .ge_os
            }
        let format = format(i)
        gatherBits(i) { compiler, piece in
            compiler.load(piece, of: i.a, i.vector, to: XMMRegister(0))
            let b = compiler.place(piece, of: i.b, i.vector, loadedTo: XMMRegister(1))
            compiler.asm.cmpp(relation, format, piece.size, XMMRegister(0), XMMRegister(0), b)
            return false
        }
    }

    // MARK: Reductions

    /// One element after the other. Nothing has been written when a NaN comes out, so that all of it is done again.
    mutating func reduceFloats(_ i: Instruction) {
        let format = format(i), width = i.vector.width
        asm.movs(format, zero, vectorMemory(i.b, i.vector))
        for element in 0..<Int(i.vector.count) {
            asm.scalar(.add, format, zero, zero, vectorMemory(i.a, i.vector, element << Int(width)))
        }
        asm.ucomis(format, zero, zero)
        let entry = asm.newLabel()
        asm.jcc(.p, entry)
        add(.finishVector(start: 0, entry: entry, slow: vectorSlow))
        asm.movs(format, vectorMemory(i.dst, i.vector), zero)
    }
}
