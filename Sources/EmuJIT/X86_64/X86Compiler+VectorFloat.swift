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
    mutating func giveUp(_ condition: X86Condition, at piece: X86Piece, of i: Instruction) {
        let entry = asm.newLabel()
        asm.jcc(condition, entry)
        add(.finishVector(start: Int32(piece.first(i.vector.width)), entry: entry, slow: vectorSlow))
    }

    /// Gives up where an element of `first` or of `second` is a NaN. Uses scratch12 and rax.
    mutating func checkNumbers(_ piece: X86Piece, of i: Instruction, _ first: XMMRegister, _ second: XMMPlace) {
        asm.cmpp(.unord_q, format(i), piece.size, Self.scratch12, first, second)
        asm.movmskp(format(i), piece.size, .rax, Self.scratch12)
        asm.test(.rax, .rax, .long)
        giveUp(.ne, at: piece, of: i)
    }

    /// What is no active element must raise no flags: it is computed from zeroes, and divided by ones.
    mutating func computeFloats(_ i: Instruction) {
        switch i.op {
        case .vfwadd, .vfwsub, .vfwaddW, .vfwsubW, .vfwmul, .vfwmacc, .vfwnmacc, .vfwmsac, .vfwnmsac: return computeWideFloats(i)
        case .vfwidenFromInteger, .vfwidenFromUnsigned: return widenIntegers(i)
        case .vfcvtFromUnsigned: return singlesFromUnsigned(i)
        case .vfnarrowToInteger, .vfnarrowToIntegerTruncated: return narrowToIntegers(i)
        case .vfnarrowFromInteger, .vfwidenToInteger, .vfwidenToIntegerTruncated: return convertLongIntegers(i)
        case .vfcvtFromInteger, .vfcvtToInteger, .vfcvtToIntegerTruncated: if i.vector.width == 3 { return convertLongIntegers(i) }
        default: break
        }
        leaveOutRest(i.vector)
        broadcastScalar(i.b, width: i.vector.width)
        for piece in pieces(i.vector.bytes, greatest: i.op == .vfnarrow ? 16 : 32) {
            skipRest(from: piece, i.vector)
            switch i.op {
            case .vfcvtFromInteger:
                loadActive(piece, of: i.a, i, to: zero)
                asm.cvtdq2ps(piece.size, zero, zero)
            case .vfcvtToInteger, .vfcvtToIntegerTruncated: toInteger(piece, i)
            case .vfwiden:
                var narrow = i.vector
                narrow.width -= 1
                loadActive(X86Piece(offset: piece.offset / 2, bytes: piece.bytes / 2), of: i.a, narrow, to: zero)
                asm.cvtps2pd(piece.size, zero, zero)
                checkNumbers(piece, of: i, zero, .register(zero))
            case .vfnarrow: narrowFloats(piece, i)
            case .vfsgnj, .vfsgnjn, .vfsgnjx: injectSigns(piece, i)
            case .vfmin, .vfmax: extremum(piece, i)
            default:
                if !isPartial(i.vector) { return computeArithmetic(i) }
                computePartial(piece, i)
            }
            finish(piece, of: i, zero)
        }
    }

    /// A piece of a source with zeroes in what is no active element. Uses rdx, laneMask, scratch12 and scratch14.
    private mutating func loadActive(_ piece: X86Piece, of operand: Operand, _ shape: VectorShape, to register: XMMRegister) {
        if isPartial(shape) { loadLanes(piece, shape) }
        takeActive(piece, of: operand, shape, to: register)
    }

    private mutating func loadActive(_ piece: X86Piece, of operand: Operand, _ i: Instruction, to register: XMMRegister) {
        loadActive(piece, of: operand, i.vector, to: register)
    }

    /// The same where laneMask holds which elements are active.
    mutating func takeActive(_ piece: X86Piece, of operand: Operand, _ shape: VectorShape, to register: XMMRegister) {
        if case .vector = operand {
            load(piece, of: operand, shape, to: register)
        } else {
            asm.packed(.por, piece.size, register, Self.scalar, Self.scalar)
        }
        if isPartial(shape) { asm.packed(.pand, piece.size, register, register, Self.laneMask) }
    }

    private mutating func computePartial(_ piece: X86Piece, _ i: Instruction) {
        loadLanes(piece, i.vector)
        let format = format(i)
        let multipliesDestination = i.op.multipliesDestination
        takeActive(piece, of: multipliesDestination ? i.dst : i.a, i.vector, to: zero)
        if i.op == .vfsqrt {
            asm.packed(.sqrt, format, piece.size, zero, zero, zero)
        } else {
            takeActive(piece, of: i.b, i.vector, to: one)
            let isReversed = i.op == .vfrsub || i.op == .vfrdiv, (first, second) = isReversed ? (one, zero) : (zero, one)
            switch i.op {
            case .vfadd: asm.packed(.add, format, piece.size, zero, first, second)
            case .vfsub, .vfrsub: asm.packed(.sub, format, piece.size, zero, first, second)
            case .vfmul: asm.packed(.mul, format, piece.size, zero, first, second)
            case .vfdiv, .vfrdiv:
                loadConstant(Self.scratch12, Self.ones(i.vector.width))
                asm.blendvb(piece.size, second, Self.scratch12, second, Self.laneMask)
                asm.packed(.div, format, piece.size, zero, first, second)
            default:
                takeActive(piece, of: multipliesDestination ? i.a : i.dst, i.vector, to: Self.scratch12)
                asm.packed(i.op.fusion, .o213, format, piece.size, zero, one, Self.scratch12)
            }
        }
        checkNumbers(piece, of: i, zero, .register(zero))
    }

    /// 1 in each element.
    private static func ones(_ width: UInt8) -> [UInt64] { Array(repeating: width == 3 ? 0x3ff0_0000_0000_0000 : 0x3f80_0000_3f80_0000, count: 4) }

    /// Operations whose results alone are looked at: two pieces at once.
    private mutating func computeArithmetic(_ i: Instruction) {
        var rest = pieces(i.vector.bytes)[...]
        while let first = rest.popFirst() {
            computeArithmetic(first, i, zero)
            guard let second = rest.first, second.bytes == first.bytes else {
                checkNumbers(first, of: i, zero, .register(zero))
                write(first, of: i.dst, i.vector, zero)
                continue
            }
            rest.removeFirst()
            computeArithmetic(second, i, Self.scratch14)
            checkNumbers(first, of: i, zero, .register(Self.scratch14))
            write(first, of: i.dst, i.vector, zero)
            write(second, of: i.dst, i.vector, Self.scratch14)
        }
    }

    private mutating func computeArithmetic(_ piece: X86Piece, _ i: Instruction, _ result: XMMRegister) {
        let format = format(i)
        if i.op == .vfsqrt { return asm.packed(.sqrt, format, piece.size, result, result, place(piece, of: i.a, i.vector, loadedTo: result)) }
        let operation: X86Scalar
        switch i.op {
        case .vfadd: operation = .add
        case .vfsub, .vfrsub: operation = .sub
        case .vfmul: operation = .mul
        case .vfdiv, .vfrdiv: operation = .div
        default: return fuse(piece, i, result)
        }
        let a = source(piece, of: i.a, i.vector, loadedTo: result)
        if i.op == .vfrsub || i.op == .vfrdiv { return asm.packed(operation, format, piece.size, result, Self.scalar, a) }
        asm.packed(operation, format, piece.size, result, a, place(piece, of: i.b, i.vector, loadedTo: one))
    }

    private mutating func fuse(_ piece: X86Piece, _ i: Instruction, _ result: XMMRegister) {
        let operation = i.op.fusion, multipliesDestination = i.op.multipliesDestination
        // The first operand times the second plus the third.
        load(piece, of: multipliesDestination ? i.dst : i.a, i.vector, to: result)
        let addend = place(piece, of: multipliesDestination ? i.a : i.dst, i.vector, loadedTo: Self.scratch12)
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
        loadActive(piece, of: i.a, i, to: zero)
        takeActive(piece, of: i.b, i.vector, to: one)
        checkNumbers(piece, of: i, zero, .register(one))
        asm.packed(operation, format(i), piece.size, Self.scratch12, zero, one)
        asm.packed(operation, format(i), piece.size, zero, one, zero)
        asm.packed(i.op == .vfmin ? .por : .pand, piece.size, zero, zero, Self.scratch12)
    }

    // MARK: Conversions

    /// The host answers everything out of range with its most negative integer.
    private mutating func toInteger(_ piece: X86Piece, _ i: Instruction) {
        loadActive(piece, of: i.a, i, to: zero)
        asm.cvtps2dq(piece.size, truncating: i.op == .vfcvtToIntegerTruncated, zero, zero)
        loadSigns(piece, i)
        asm.packed(.pcmpeqd, piece.size, Self.scratch12, Self.scratch12, zero)
        asm.ptest(piece.size, Self.scratch12, Self.scratch12)
        giveUp(.ne, at: piece, of: i)
    }

    private mutating func narrowFloats(_ piece: X86Piece, _ i: Instruction) {
        var wide = i.vector
        wide.width += 1
        loadActive(X86Piece(offset: 2 * piece.offset, bytes: 2 * piece.bytes), of: i.a, wide, to: zero)
        asm.cvtpd2ps(piece.bytes == 16 ? .full : .half, zero, zero)
        checkNumbers(piece, of: i, zero, .register(zero))
    }

    // MARK: Comparisons

    mutating func compareFloats(_ i: Instruction) {
        leaveOutRest(i.vector)
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
            guard compiler.isPartial(i.vector) else {
                compiler.load(piece, of: i.a, i.vector, to: XMMRegister(0))
                let b = compiler.place(piece, of: i.b, i.vector, loadedTo: XMMRegister(1))
                compiler.asm.cmpp(relation, format, piece.size, XMMRegister(0), XMMRegister(0), b)
                return false
            }
            compiler.loadActive(piece, of: i.a, i, to: XMMRegister(0))
            compiler.takeActive(piece, of: i.b, i.vector, to: XMMRegister(1))
            compiler.asm.cmpp(relation, format, piece.size, XMMRegister(0), XMMRegister(0), XMMRegister(1))
            return false
        }
    }

    // MARK: Reductions

    /// Elements of a sum that is not a loop.
    private static let mostUnrolled = 32

    /// One element after the other. Nothing has been written when a NaN comes out, so that all of it is done again.
    mutating func reduceFloats(_ i: Instruction) {
        let format = format(i), width = i.vector.width
        asm.movs(format, zero, vectorMemory(i.b, i.vector))
        if isPartial(i.vector) || i.vector.count > Self.mostUnrolled {
            forEachElement(i) { compiler, _ in
                compiler.asm.scalar(.add, format, XMMRegister(0), XMMRegister(0), compiler.element(compiler.vectorMemory(i.a, i.vector), width))
            }
        } else {
            for element in 0..<Int(i.vector.count) {
                asm.scalar(.add, format, zero, zero, vectorMemory(i.a, i.vector, element << Int(width)))
            }
        }
        asm.movq(.rax, zero)
        checkNumber(i, format)
        asm.movs(format, vectorMemory(i.dst, i.vector), zero)
    }

    /// Gives up, before anything has been done, where the bits in rax are a NaN's; no flag is raised, since there may be no active element. Uses rcx.
    mutating func checkNumber(_ i: Instruction, _ format: X86Float) {
        let width: X86Width = format == .double ? .quad : .long
        asm.alu(.add, .rax, .rax, width)
        asm.mov(.rcx, immediate: format == .double ? ~0 << 53 : 0xff00_0000)
        asm.alu(.cmp, .rax, .rcx, width)
        giveUp(.a, at: X86Piece(offset: 0, bytes: 16), of: i)
    }
}

extension Opcode {
    /// Of a fused operation: the host's, of the first operand times the second and the third.
    var fusion: X86FMA {
        switch self {
        case .vfmacc, .vfmadd, .vfwmacc: .madd
        case .vfnmacc, .vfnmadd, .vfwnmacc: .nmsub
        case .vfmsac, .vfmsub, .vfwmsac: .msub
        default: .nmadd
        }
    }

    /// The destination is a factor, and a what is added; otherwise the other way round.
    fileprivate var multipliesDestination: Bool {
        switch self {
        case .vfmadd, .vfnmadd, .vfmsub, .vfnmsub: true
        default: false
        }
    }
}
