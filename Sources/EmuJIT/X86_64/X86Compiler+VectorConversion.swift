import EmuIR

/// Floating point on vectors with operands of two widths: what widens single numbers, and conversions.
extension X86Compiler {
    private var zero: XMMRegister { XMMRegister(0) }
    private var one: XMMRegister { XMMRegister(1) }

    /// The shape of operands half as wide, and where a piece lies in them.
    private func narrow(_ shape: VectorShape, _ piece: X86Piece) -> (shape: VectorShape, piece: X86Piece) {
        var narrow = shape
        narrow.width -= 1
        return (narrow, X86Piece(offset: piece.offset / 2, bytes: piece.bytes / 2))
    }

    mutating func computeWideFloats(_ i: Instruction) {
        let shape = i.vector
        leaveOutRest(shape)
        broadcastScalar(i.b, width: shape.width - 1)
        for piece in pieces(shape.bytes) {
            skipRest(from: piece, shape)
            let (narrowShape, half) = narrow(shape, piece), takesWide = i.op == .vfwaddW || i.op == .vfwsubW
            if isPartial(shape) { loadLanes(half, narrowShape) }
            takeActive(half, of: i.b, narrowShape, to: one)
            asm.cvtps2pd(piece.size, one, one)
            if !takesWide {
                takeActive(half, of: i.a, narrowShape, to: zero)
                asm.cvtps2pd(piece.size, zero, zero)
            }
            if isPartial(shape) { loadLanes(piece, shape) }
            if takesWide { takeActive(piece, of: i.a, shape, to: zero) }
            switch i.op {
            case .vfwadd, .vfwaddW: asm.packed(.add, .double, piece.size, zero, zero, one)
            case .vfwsub, .vfwsubW: asm.packed(.sub, .double, piece.size, zero, zero, one)
            case .vfwmul: asm.packed(.mul, .double, piece.size, zero, zero, one)
            default:
                takeActive(piece, of: i.dst, shape, to: Self.scratch12)
                asm.packed(i.op.fusion, .o213, .double, piece.size, zero, one, Self.scratch12)
            }
            checkNumbers(piece, of: i, zero, .register(zero))
            finishLanes(piece, of: i, zero)
        }
    }

    // MARK: Conversions

    /// 32-bit integers to doubles, which is exact.
    mutating func widenIntegers(_ i: Instruction) {
        for piece in pieces(i.vector.bytes) {
            skipRest(from: piece, i.vector)
            let (shape, half) = narrow(i.vector, piece)
            load(half, of: i.a, shape, to: zero)
            convertToDoubles(isSigned: i.op == .vfwidenFromInteger, piece.size)
            finish(piece, of: i, zero)
        }
    }

    private mutating func convertToDoubles(isSigned: Bool, _ size: X86VectorSize) {
        if isSigned { return asm.cvtdq2pd(size, zero, zero) }
        // As a signed number it is 2³¹ too small. Rounding down makes a zero negative.
        asm.packed(.pxor, .half, zero, zero, constant(Array(repeating: 0x8000_0000_8000_0000, count: 4)))
        asm.cvtdq2pd(size, zero, zero)
        asm.packed(.add, .double, size, zero, zero, constant(Array(repeating: 0x41e0_0000_0000_0000, count: 4)))
        asm.packedShift(.psllq, size, zero, zero, by: 1)
        asm.packedShift(.psrlq, size, zero, zero, by: 1)
    }

    /// Unsigned 32-bit integers to singles, by way of doubles.
    mutating func singlesFromUnsigned(_ i: Instruction) {
        leaveOutRest(i.vector)
        for piece in pieces(i.vector.bytes, greatest: 16) {
            skipRest(from: piece, i.vector)
            if isPartial(i.vector) { loadLanes(piece, i.vector) }
            takeActive(piece, of: i.a, i.vector, to: zero)
            convertToDoubles(isSigned: false, .full)
            asm.cvtpd2ps(.full, zero, zero)
            finishLanes(piece, of: i, zero)
        }
    }

    /// Doubles to signed 32-bit integers; the host answers everything out of range with the most negative one.
    mutating func narrowToIntegers(_ i: Instruction) {
        leaveOutRest(i.vector)
        for piece in pieces(i.vector.bytes, greatest: 16) {
            skipRest(from: piece, i.vector)
            var wide = i.vector
            wide.width += 1
            let whole = X86Piece(offset: 2 * piece.offset, bytes: 2 * piece.bytes)
            if isPartial(wide) { loadLanes(whole, wide) }
            takeActive(whole, of: i.a, wide, to: zero)
            asm.cvtpd2dq(piece.bytes == 16 ? .full : .half, truncating: i.op == .vfnarrowToIntegerTruncated, zero, zero)
            asm.packed(.pcmpeqd, .half, Self.scratch12, Self.scratch12, Self.scratch12)
            asm.packedShift(.pslld, .half, Self.scratch12, Self.scratch12, by: 31)
            asm.packed(.pcmpeqd, .half, Self.scratch12, Self.scratch12, zero)
            asm.ptest(.half, Self.scratch12, Self.scratch12)
            giveUp(.ne, at: piece, of: i)
            finish(piece, of: i, zero)
        }
    }

    /// To and from 64-bit integers, one element after the other.
    mutating func convertLongIntegers(_ i: Instruction) {
        let shape = i.vector
        forEachElement(i) { compiler, _ in
            switch i.op {
            case .vfcvtFromInteger, .vfnarrowFromInteger:
                let format: X86Float = i.op == .vfcvtFromInteger ? .double : .single
                compiler.asm.packed(.pxor, .half, XMMRegister(0), XMMRegister(0), XMMRegister(0))
                compiler.asm.cvtsi2s(format, XMMRegister(0), upper: XMMRegister(0), compiler.element(compiler.vectorMemory(i.a, shape), 3), .quad)
                compiler.asm.movs(format, compiler.element(compiler.vectorMemory(i.dst, shape), shape.width), XMMRegister(0))
            default:
                let widens = i.op == .vfwidenToInteger || i.op == .vfwidenToIntegerTruncated, done = compiler.asm.newLabel()
                let source = compiler.element(compiler.vectorMemory(i.a, shape), widens ? 2 : 3), format: X86Float = widens ? .single : .double
                if i.op == .vfcvtToInteger || i.op == .vfwidenToInteger {
                    compiler.asm.cvts2si(format, .rax, source, .quad)
                } else {
                    compiler.asm.cvtts2si(format, .rax, source, .quad)
                }
                // Out of range the host answers with the most negative one, of which one more is no overflow.
                compiler.asm.alu(.cmp, .rax, immediate: 1)
                compiler.asm.jcc(.no, done)
                compiler.asm.mov(compiler.state.field(compiler.layout.vectorStart), .r10)
                compiler.asm.mov(compiler.state.field(compiler.layout.vectorKey), immediate: 0, .long)
                compiler.asm.pop(.r10)
                compiler.asm.jmp(compiler.vectorSlow)
                compiler.asm.bind(done)
                compiler.asm.mov(compiler.element(compiler.vectorMemory(i.dst, shape), 3), .rax)
            }
        }
    }

    // MARK: Reductions

    /// The sum of single numbers in a double, in order. Nothing has been written when a NaN comes out, so that all of it is done again.
    mutating func reduceWideFloats(_ i: Instruction) {
        asm.movs(.double, zero, vectorMemory(i.b, i.vector))
        forEachElement(i) { compiler, _ in
            compiler.asm.cvtss2sd(XMMRegister(1), upper: XMMRegister(1), compiler.element(compiler.vectorMemory(i.a, i.vector), 2))
            compiler.asm.scalar(.add, .double, XMMRegister(0), XMMRegister(0), XMMRegister(1))
        }
        asm.movq(.rax, zero)
        checkNumber(i, .double)
        asm.movs(.double, vectorMemory(i.dst, i.vector), zero)
    }

    /// The least or greatest number; the interpreter looks at NaNs.
    mutating func reduceExtremum(_ i: Instruction) {
        let width = i.vector.width, format: X86Float = width == 3 ? .double : .single
        let infinity: UInt64 = width == 3 ? 0x7ff0_0000_0000_0000 : 0x7f80_0000_7f80_0000, signs: UInt64 = width == 3 ? 1 << 63 : 0x8000_0000_8000_0000
        asm.mov(.rax, vectorMemory(i.b, i.vector), width == 3 ? .quad : .long)
        checkNumber(i, format)
        leavesOutRest = i.vector.isMasked || i.vector.bytes % 32 != 0
        loadConstant(Self.scalar, Array(repeating: i.op == .vfredmin ? infinity : infinity | signs, count: 4))
        asm.packed(.por, .full, zero, Self.scalar, Self.scalar)
        for piece in pieces(i.vector.bytes) {
            load(piece, of: i.a, i.vector, to: one)
            if isPartial(i.vector) {
                loadLanes(piece, i.vector)
                // Of a part there is nothing in the upper half.
                asm.blendvb(.full, one, Self.scalar, one, Self.laneMask)
            }
            takeExtremum(i, format, .full)
        }
        asm.extracti128(one, zero)
        takeExtremum(i, format, .half)
        asm.pshufd(.half, one, zero, 0x4e)
        takeExtremum(i, format, .half)
        if width == 2 {
            asm.pshufd(.half, one, zero, 0xb1)
            takeExtremum(i, format, .half)
        }
        loadPiece(1 << Int(width), one, vectorMemory(i.b, i.vector))
        takeExtremum(i, format, .half)
        storePiece(1 << Int(width), vectorMemory(i.dst, i.vector), zero)
    }

    /// xmm0 = the lesser or greater of xmm0 and xmm1. Zeroes differ in their sign at most: both orders are asked, and combined.
    private mutating func takeExtremum(_ i: Instruction, _ format: X86Float, _ size: X86VectorSize) {
        let operation: X86Scalar = i.op == .vfredmin ? .min : .max
        checkNumbers(X86Piece(offset: 0, bytes: size.bytes), of: i, zero, .register(one))
        asm.packed(operation, format, size, Self.scratch12, zero, one)
        asm.packed(operation, format, size, zero, one, zero)
        asm.packed(i.op == .vfredmin ? .por : .pand, size, zero, zero, Self.scratch12)
    }
}
