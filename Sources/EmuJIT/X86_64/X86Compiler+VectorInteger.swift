import EmuIR

/// Integer arithmetic on vectors.
extension X86Compiler {
    static let add: [X86Packed] = [.paddb, .paddw, .paddd, .paddq]
    static let subtract: [X86Packed] = [.psubb, .psubw, .psubd, .psubq]
    static let equal: [X86Packed] = [.pcmpeqb, .pcmpeqw, .pcmpeqd, .pcmpeqq]
    static let greater: [X86Packed] = [.pcmpgtb, .pcmpgtw, .pcmpgtd, .pcmpgtq]
    private static let shiftLeft: [X86Packed] = [.psllw, .psllw, .pslld, .psllq]
    private static let shiftRight: [X86Packed] = [.psrlw, .psrlw, .psrld, .psrlq]

    private var zero: XMMRegister { XMMRegister(0) }
    private var one: XMMRegister { XMMRegister(1) }

    mutating func computeIntegers(_ i: Instruction) {
        let width = i.vector.width
        switch i.op {
        case .vsll, .vsrl, .vsra:
            if case .vector = i.b, width < 2 { shiftElements(i) } else { shift(i) }
        case .vrol, .vror: if width < 2 { shiftElements(i) } else { rotate(i) }
        case .vwsll: shiftWidening(i)
        case .vbrev8, .vrev8, .vbrev: reverse(i)
        case .vclz, .vctz, .vpopcnt: countElementBits(i)
        case .vdivu, .vdiv, .vremu, .vrem: divideElements(i)
        case .vmulh where width == 0 || width == 3, .vmulhu where width == 0 || width == 3, .vmulhsu: multiplyElementsHigh(i)
        case .vadc, .vsbc: addCarries(i)
        case .vsaddu, .vsadd, .vssubu, .vssub: saturate(i)
        case .vaaddu, .vaadd, .vasubu, .vasub: average(i)
        case .vssrl, .vssra: shiftRounding(i)
        case .vnclipu, .vnclip: clip(i)
        case .viota: countBefore(i)
        case .vcompress: compress(i)
        case .vzext, .vsext: extend(i)
        case .vnsrl, .vnsra: narrow(i)
        case .vwaddu, .vwadd, .vwsubu, .vwsub, .vwadduW, .vwaddW, .vwsubuW, .vwsubW, .vwmulu, .vwmul, .vwmulsu, .vwmaccu, .vwmacc, .vwmaccsu, .vwmaccus: widen(i)
        case .vmacc, .vnmsac, .vmadd, .vnmsub: multiplyAdd(i)
        case .vmerge:
            broadcastScalar(i.b, width: width)
            for piece in pieces(i.vector.bytes) {
                skipRest(from: piece, i.vector)
                let a = source(piece, of: i.a, i.vector, loadedTo: zero), b = place(piece, of: i.b, i.vector, loadedTo: one)
                expandMask(piece, i.vector)
                if takesAnyLength {
                    asm.blendvb(piece.size, zero, a, b, Self.laneMask)
                    finish(piece, of: i, zero)
                } else {
                    write(piece, of: i) { $0.blendvb(piece.size, $1, a, b, Self.laneMask) }
                }
            }
        default:
            broadcastScalar(i.b, width: width)
            for piece in pieces(i.vector.bytes) {
                skipRest(from: piece, i.vector)
                if !isPartial(i.vector), let operation = Self.single(i.op, width) {
                    let a = source(piece, of: i.a, i.vector, loadedTo: zero), b = place(piece, of: i.b, i.vector, loadedTo: one)
                    write(piece, of: i) { $0.packed(operation, piece.size, $1, a, b) }
                    continue
                }
                load(piece, of: i.a, i.vector, to: zero)
                let b = place(piece, of: i.b, i.vector, loadedTo: one)
                combine(i.op, width, piece.size, b)
                finish(piece, of: i, zero)
            }
        }
    }

    /// The host's instruction that is the operation.
    private static func single(_ op: Opcode, _ width: UInt8) -> X86Packed? {
        let place = Int(width)
        switch op {
        case .vadd: return add[place]
        case .vsub: return subtract[place]
        case .vand: return .pand
        case .vor: return .por
        case .vxor: return .pxor
        case .vminu where width < 3: return [.pminub, .pminuw, .pminud][place]
        case .vmin where width < 3: return [.pminsb, .pminsw, .pminsd][place]
        case .vmaxu where width < 3: return [.pmaxub, .pmaxuw, .pmaxud][place]
        case .vmax where width < 3: return [.pmaxsb, .pmaxsw, .pmaxsd][place]
        case .vmul where width == 1: return .pmullw
        case .vmul where width == 2: return .pmulld
        default: return nil
        }
    }

    /// xmm0 = xmm0 op b, of any of the operations on two operands of one width. Uses xmm1, scratch12 and scratch14.
    mutating func combine(_ op: Opcode, _ width: UInt8, _ size: X86VectorSize, _ b: XMMPlace) {
        let place = Int(width)
        switch op {
        case .vadd, .vredsum, .vwredsumu, .vwredsum: asm.packed(Self.add[place], size, zero, zero, b)
        case .vsub: asm.packed(Self.subtract[place], size, zero, zero, b)
        case .vrsub: asm.packed(Self.subtract[place], size, zero, register(b, size), zero)
        case .vandn: asm.packed(.pandn, size, zero, register(b, size), zero)
        case .vand, .vredand: asm.packed(.pand, size, zero, zero, b)
        case .vor, .vredor: asm.packed(.por, size, zero, zero, b)
        case .vxor, .vredxor: asm.packed(.pxor, size, zero, zero, b)
        case .vminu, .vredminu: extremum([.pminub, .pminuw, .pminud], width, size, b, isSigned: false, keepsGreater: false)
        case .vmin, .vredmin: extremum([.pminsb, .pminsw, .pminsd], width, size, b, isSigned: true, keepsGreater: false)
        case .vmaxu, .vredmaxu: extremum([.pmaxub, .pmaxuw, .pmaxud], width, size, b, isSigned: false, keepsGreater: true)
        case .vmax, .vredmax: extremum([.pmaxsb, .pmaxsw, .pmaxsd], width, size, b, isSigned: true, keepsGreater: true)
        case .vmul: multiply(width, size, zero, b)
        case .vmulh: multiplyHigh(width, size, b, word: .pmulhw, long: .pmuldq)
        case .vmulhu: multiplyHigh(width, size, b, word: .pmulhuw, long: .pmuludq)
        default: preconditionFailure("no code for \(op)")
        }
    }

    /// The operand in a register: its own, or xmm1.
    mutating func register(_ place: XMMPlace, _ size: X86VectorSize) -> XMMRegister {
        switch place {
        case .register(let register): return register
        case .memory(let memory):
            asm.movdqu(size, one, memory)
            return one
        }
    }

    /// There is none of 64 bits: a comparison chooses.
    private mutating func extremum(_ narrow: [X86Packed], _ width: UInt8, _ size: X86VectorSize, _ b: XMMPlace, isSigned: Bool, keepsGreater: Bool) {
        if width < 3 { return asm.packed(narrow[Int(width)], size, zero, zero, b) }
        let b = register(b, size)
        compareGreater(size, zero, b, isSigned: isSigned)
        // scratch12: a > b.
        if keepsGreater {
            asm.blendvb(size, zero, b, zero, Self.scratch12)
        } else {
            asm.blendvb(size, zero, zero, b, Self.scratch12)
        }
    }

    /// scratch12 = a > b, of 64 bits. Uses scratch14.
    mutating func compareGreater(_ size: X86VectorSize, _ a: XMMRegister, _ b: XMMRegister, isSigned: Bool) {
        if isSigned { return asm.packed(.pcmpgtq, size, Self.scratch12, a, b) }
        // With its sign flipped an unsigned number compares as a signed one.
        asm.packed(.pcmpeqd, size, Self.scratch12, Self.scratch12, Self.scratch12)
        asm.packedShift(.psllq, size, Self.scratch12, Self.scratch12, by: 63)
        asm.packed(.pxor, size, Self.scratch14, Self.scratch12, a)
        asm.packed(.pxor, size, Self.scratch12, Self.scratch12, b)
        asm.packed(.pcmpgtq, size, Self.scratch12, Self.scratch14, Self.scratch12)
    }

    // MARK: Products

    /// xmm0 = low half of a × b; a may be xmm0.
    private mutating func multiply(_ width: UInt8, _ size: X86VectorSize, _ a: XMMRegister, _ b: XMMPlace) {
        switch width {
        case 1: asm.packed(.pmullw, size, zero, a, b)
        case 2: asm.packed(.pmulld, size, zero, a, b)
        case 0:
            // The bytes at odd places, and those at even places.
            let b = register(b, size)
            asm.packedShift(.psrlw, size, Self.scratch12, a, by: 8)
            asm.packedShift(.psrlw, size, Self.scratch14, b, by: 8)
            asm.packed(.pmullw, size, Self.scratch12, Self.scratch12, Self.scratch14)
            asm.packedShift(.psllw, size, Self.scratch12, Self.scratch12, by: 8)
            asm.packed(.pmullw, size, zero, a, b)
            asm.packedShift(.psllw, size, zero, zero, by: 8)
            asm.packedShift(.psrlw, size, zero, zero, by: 8)
            asm.packed(.por, size, zero, zero, Self.scratch12)
        default:
            // Products of halves; what the upper ones give lies beyond 64 bits.
            let b = register(b, size)
            asm.packedShift(.psrlq, size, Self.scratch12, a, by: 32)
            asm.packed(.pmuludq, size, Self.scratch12, Self.scratch12, b)
            asm.packedShift(.psrlq, size, Self.scratch14, b, by: 32)
            asm.packed(.pmuludq, size, Self.scratch14, Self.scratch14, a)
            asm.packed(.paddq, size, Self.scratch12, Self.scratch12, Self.scratch14)
            asm.packedShift(.psllq, size, Self.scratch12, Self.scratch12, by: 32)
            asm.packed(.pmuludq, size, zero, a, b)
            asm.packed(.paddq, size, zero, zero, Self.scratch12)
        }
    }

    /// xmm0 = high half of xmm0 × b, of 16 or 32 bits.
    private mutating func multiplyHigh(_ width: UInt8, _ size: X86VectorSize, _ b: XMMPlace, word: X86Packed, long: X86Packed) {
        if width == 1 { return asm.packed(word, size, zero, zero, b) }
        let b = register(b, size)
        asm.packedShift(.psrlq, size, Self.scratch12, zero, by: 32)
        asm.packedShift(.psrlq, size, Self.scratch14, b, by: 32)
        asm.packed(long, size, Self.scratch12, Self.scratch12, Self.scratch14)
        asm.packedShift(.psrlq, size, Self.scratch12, Self.scratch12, by: 32)
        asm.packedShift(.psllq, size, Self.scratch12, Self.scratch12, by: 32)
        asm.packed(long, size, zero, zero, b)
        asm.packedShift(.psrlq, size, zero, zero, by: 32)
        asm.packed(.por, size, zero, zero, Self.scratch12)
    }

    private mutating func multiplyAdd(_ i: Instruction) {
        let width = i.vector.width
        broadcastScalar(i.b, width: width)
        for piece in pieces(i.vector.bytes) {
            skipRest(from: piece, i.vector)
            let multipliesDestination = i.op == .vmadd || i.op == .vnmsub
            let factor = source(piece, of: multipliesDestination ? i.dst : i.a, i.vector, loadedTo: zero), product = zero
            multiply(width, piece.size, factor, place(piece, of: i.b, i.vector, loadedTo: one))
            let other = multipliesDestination ? i.a : i.dst, subtracts = i.op == .vnmsac || i.op == .vnmsub
            let addend = subtracts ? .register(source(piece, of: other, i.vector, loadedTo: one)) : place(piece, of: other, i.vector, loadedTo: one)
            func combine(_ asm: inout X86Assembler, _ result: XMMRegister) {
                if subtracts, case .register(let minuend) = addend {
                    asm.packed(Self.subtract[Int(width)], piece.size, result, minuend, product)
                } else {
                    asm.packed(Self.add[Int(width)], piece.size, result, product, addend)
                }
            }
            if isPartial(i.vector) {
                combine(&asm, zero)
                finish(piece, of: i, zero)
            } else {
                write(piece, of: i, by: combine)
            }
        }
    }

    // MARK: Shifts

    private mutating func shift(_ i: Instruction) {
        let width = i.vector.width
        let isUniform = prepareAmounts(i.b, width: width)
        for piece in pieces(i.vector.bytes) {
            skipRest(from: piece, i.vector)
            load(piece, of: i.a, i.vector, to: zero)
            if isUniform {
                shiftAll(i.op, width, piece.size, immediate(i.b))
            } else {
                load(piece, of: i.b, i.vector, to: one)
                shiftEach(i.op, width, piece.size)
            }
            finish(piece, of: i, zero)
        }
    }

    /// Puts a scalar amount, modulo the width of what is shifted, into the register `scalar`, for all elements at once. Uses rax.
    /// - Returns: false for a vector of amounts.
    mutating func prepareAmounts(_ operand: Operand, width: UInt8) -> Bool {
        if case .vector = operand { return false }
        guard immediate(operand) == nil else { return true }
        load(operand, to: .rax)
        asm.alu(.and, .rax, immediate: 8 << Int32(width) - 1, .long)
        asm.movd(Self.scalar, .rax)
        return true
    }

    /// xmm0 is shifted by one amount: a constant, or that in `scalar`. Uses xmm1 and scratch12, and rdx for bytes.
    mutating func shiftAll(_ op: Opcode, _ width: UInt8, _ size: X86VectorSize, _ constant: Int32?) {
        let isLeft = op == .vsll, amount = constant.map { UInt8(truncatingIfNeeded: $0) & (8 << width - 1) }
        if op == .vsra, width == 1 || width == 2 {
            let operation: X86Packed = width == 1 ? .psraw : .psrad
            if let amount { asm.packedShift(operation, size, zero, zero, by: amount) } else { asm.packed(operation, size, zero, zero, Self.scalar) }
            return
        }
        let operation = (isLeft ? Self.shiftLeft : Self.shiftRight)[Int(width)]
        func apply(_ register: XMMRegister, _ asm: inout X86Assembler) {
            if let amount { asm.packedShift(operation, size, register, register, by: amount) } else { asm.packed(operation, size, register, register, Self.scalar) }
        }
        if width == 0 {
            // Words are shifted; what comes from the neighbouring byte is cut off.
            asm.packed(.pcmpeqd, size, Self.scratch12, Self.scratch12, Self.scratch12)
            asm.packedShift(isLeft ? .psrlw : .psllw, size, Self.scratch12, Self.scratch12, by: 8)
            apply(Self.scratch12, &asm)
            // One byte of each word is the mask now: left, the low one moved up is the wrong one.
            asm.packedShift(isLeft ? .psllw : .psrlw, size, Self.scratch12, Self.scratch12, by: 8)
            if isLeft { asm.packedShift(.psrlw, size, one, Self.scratch12, by: 8) } else { asm.packedShift(.psllw, size, one, Self.scratch12, by: 8) }
            asm.packed(.por, size, Self.scratch12, Self.scratch12, one)
        }
        apply(zero, &asm)
        if width == 0 { asm.packed(.pand, size, zero, zero, Self.scratch12) }
        guard op == .vsra else { return }
        // (x ^ m) − m extends the sign, which now is where m has its one.
        if width == 0 {
            // The mask less its half is its highest bit.
            asm.packedShift(.psrlw, size, one, Self.scratch12, by: 1)
            asm.packed(.pand, size, one, one, Self.scratch12)
            asm.packed(.pxor, size, one, one, Self.scratch12)
        } else {
            asm.packed(.pcmpeqd, size, one, one, one)
            asm.packedShift(.psllq, size, one, one, by: 63)
            apply(one, &asm)
        }
        asm.packed(.pxor, size, zero, zero, one)
        asm.packed(Self.subtract[Int(width)], size, zero, zero, one)
    }

    /// The amounts in xmm1 modulo the width, 32 or 64. Uses scratch12.
    mutating func maskAmounts(_ width: UInt8, _ size: X86VectorSize) {
        asm.packed(.pcmpeqd, size, Self.scratch12, Self.scratch12, Self.scratch12)
        asm.packedShift(width == 2 ? .psrld : .psrlq, size, Self.scratch12, Self.scratch12, by: width == 2 ? 27 : 58)
        asm.packed(.pand, size, one, one, Self.scratch12)
    }

    /// xmm0 is shifted by the amounts in xmm1, of 32 or 64 bits. Uses scratch12.
    mutating func shiftEach(_ op: Opcode, _ width: UInt8, _ size: X86VectorSize) {
        maskAmounts(width, size)
        switch (op, width) {
        case (.vsll, 2): asm.packed(.psllvd, size, zero, zero, one)
        case (.vsll, _): asm.packed(.psllvq, size, zero, zero, one)
        case (.vsra, 2): asm.packed(.psravd, size, zero, zero, one)
        case (.vsra, _):
            asm.packed(.pcmpeqd, size, Self.scratch12, Self.scratch12, Self.scratch12)
            asm.packedShift(.psllq, size, Self.scratch12, Self.scratch12, by: 63)
            asm.packed(.psrlvq, size, Self.scratch12, Self.scratch12, one)
            asm.packed(.psrlvq, size, zero, zero, one)
            asm.packed(.pxor, size, zero, zero, Self.scratch12)
            asm.packed(.psubq, size, zero, zero, Self.scratch12)
        case (_, 2): asm.packed(.psrlvd, size, zero, zero, one)
        default: asm.packed(.psrlvq, size, zero, zero, one)
        }
    }

    /// Rotations of 32 and 64 bits.
    private mutating func rotate(_ i: Instruction) {
        let width = i.vector.width, bits = 8 << Int(width), isLeft = i.op == .vrol
        if case .vector = i.b {} else {
            if let amount = immediate(i.b) { asm.mov(.rax, immediate: Int64(amount)) } else { load(i.b, to: .rax) }
            broadcast(.rax, X86Width(rawValue: width) ?? .quad)
        }
        for piece in pieces(i.vector.bytes) {
            skipRest(from: piece, i.vector)
            load(piece, of: i.a, i.vector, to: zero)
            if case .vector = i.b { load(piece, of: i.b, i.vector, to: one) } else { asm.packed(.por, piece.size, one, Self.scalar, Self.scalar) }
            maskAmounts(width, piece.size)
            // Shifted by the whole width nothing is left.
            loadConstant(Self.scratch14, Self.words(Array(repeating: bits, count: 32 >> Int(width)), width: width))
            asm.packed(Self.subtract[Int(width)], piece.size, Self.scratch14, Self.scratch14, one)
            let left: X86Packed = width == 2 ? .psllvd : .psllvq, right: X86Packed = width == 2 ? .psrlvd : .psrlvq
            asm.packed(isLeft ? left : right, piece.size, Self.scratch12, zero, one)
            asm.packed(isLeft ? right : left, piece.size, zero, zero, Self.scratch14)
            asm.packed(.por, piece.size, zero, zero, Self.scratch12)
            finish(piece, of: i, zero)
        }
    }

    /// Of numbers extended without sign; the amounts are of 16 bits only as a scalar.
    private mutating func shiftWidening(_ i: Instruction) {
        let shape = i.vector
        let isUniform = prepareAmounts(i.b, width: shape.width)
        for piece in pieces(shape.bytes) {
            skipRest(from: piece, shape)
            loadExtended(piece, of: i.a, shape, from: shape.width - 1, isSigned: false, to: zero)
            if isUniform {
                shiftAll(.vsll, shape.width, piece.size, immediate(i.b))
            } else {
                loadExtended(piece, of: i.b, shape, from: shape.width - 1, isSigned: false, to: one)
                shiftEach(.vsll, shape.width, piece.size)
            }
            finish(piece, of: i, zero)
        }
    }

    /// Bits of bytes, bytes of elements, or both the other way round.
    private mutating func reverse(_ i: Instruction) {
        let bytes = (0..<32).map { i.op == .vbrev8 ? $0 & 15 : ($0 & 15) ^ (1 << Int(i.vector.width) - 1) }
        let upper = (0..<32).map { nibble in (0..<4).reduce(0) { $0 | (nibble >> $1 & 1) << (7 - $1) } }
        for piece in pieces(i.vector.bytes) {
            skipRest(from: piece, i.vector)
            let size = piece.size
            load(piece, of: i.a, i.vector, to: zero)
            if i.op != .vbrev8 { asm.packed(.pshufb, size, zero, zero, constant(Self.words(bytes, width: 0))) }
            if i.op != .vrev8 {
                // Both halves of a byte find theirs in a table.
                loadConstant(Self.scratch14, Array(repeating: 0x0f0f_0f0f_0f0f_0f0f, count: 4))
                asm.packedShift(.psrlw, size, one, zero, by: 4)
                asm.packed(.pand, size, one, one, Self.scratch14)
                asm.packed(.pand, size, zero, zero, Self.scratch14)
                loadConstant(Self.scratch12, Self.words((0..<32).map { upper[$0 & 15] }, width: 0))
                asm.packed(.pshufb, size, zero, Self.scratch12, zero)
                loadConstant(Self.scratch12, Self.words((0..<32).map { upper[$0 & 15] >> 4 }, width: 0))
                asm.packed(.pshufb, size, one, Self.scratch12, one)
                asm.packed(.por, size, zero, zero, one)
            }
            finish(piece, of: i, zero)
        }
    }

    // MARK: Widening and narrowing

    /// By log2 of the bytes of source and destination.
    private static func extending(_ from: UInt8, _ to: UInt8, isSigned: Bool) -> X86PackedExtension {
        let operations: [X86PackedExtension] =
            isSigned ? [.pmovsxbw, .pmovsxbd, .pmovsxbq, .pmovsxwd, .pmovsxwq, .pmovsxdq] : [.pmovzxbw, .pmovzxbd, .pmovzxbq, .pmovzxwd, .pmovzxwq, .pmovzxdq]
        return operations[from == 0 ? Int(to) - 1 : from == 1 ? Int(to) + 1 : 5]
    }

    /// A piece of a narrower operand, extended to the width of the operation's elements.
    mutating func loadExtended(_ piece: X86Piece, of operand: Operand, _ shape: VectorShape, from width: UInt8, isSigned: Bool, to register: XMMRegister) {
        let source = vectorMemory(operand, shape, piece.offset >> Int(shape.width - width))
        asm.extend(Self.extending(width, shape.width, isSigned: isSigned), piece.size, register, source)
    }

    private mutating func extend(_ i: Instruction) {
        guard case .constant(let width) = i.b else { preconditionFailure("the source's width is a constant") }
        for piece in pieces(i.vector.bytes) {
            skipRest(from: piece, i.vector)
            loadExtended(piece, of: i.a, i.vector, from: UInt8(width), isSigned: i.op == .vsext, to: zero)
            finish(piece, of: i, zero)
        }
    }

    private mutating func widen(_ i: Instruction) {
        let shape = i.vector, half = shape.width - 1
        let isWide: Bool, firstIsSigned: Bool, isSigned: Bool
        switch i.op {
        case .vwaddu, .vwsubu, .vwmulu, .vwmaccu: (isWide, firstIsSigned, isSigned) = (false, false, false)
        case .vwmulsu, .vwmaccus: (isWide, firstIsSigned, isSigned) = (false, true, false)
        case .vwmaccsu: (isWide, firstIsSigned, isSigned) = (false, false, true)
        case .vwadduW, .vwsubuW: (isWide, firstIsSigned, isSigned) = (true, false, false)
        case .vwaddW, .vwsubW: (isWide, firstIsSigned, isSigned) = (true, true, true)
        default: (isWide, firstIsSigned, isSigned) = (false, true, true)
        }
        if case .vector = i.b {} else {
            let width = X86Width(rawValue: half) ?? .long
            load(i.b, to: .rax)
            if isSigned { asm.movsx(.rax, .rax, from: width) } else { asm.movzx(.rax, .rax, from: width) }
            broadcast(.rax, X86Width(rawValue: shape.width) ?? .quad)
        }
        for piece in pieces(shape.bytes) {
            skipRest(from: piece, i.vector)
            if isWide { load(piece, of: i.a, shape, to: zero) } else { loadExtended(piece, of: i.a, shape, from: half, isSigned: firstIsSigned, to: zero) }
            var b = Self.scalar
            if case .vector = i.b {
                loadExtended(piece, of: i.b, shape, from: half, isSigned: isSigned, to: one)
                b = one
            }
            switch i.op {
            case .vwaddu, .vwadd, .vwadduW, .vwaddW: asm.packed(Self.add[Int(shape.width)], piece.size, zero, zero, b)
            case .vwsubu, .vwsub, .vwsubuW, .vwsubW: asm.packed(Self.subtract[Int(shape.width)], piece.size, zero, zero, b)
            default:
                if shape.width == 3, firstIsSigned != isSigned {
                    multiply(3, piece.size, zero, .register(b))
                } else {
                    // The factors' halves are all there is of them.
                    let product: X86Packed = shape.width == 1 ? .pmullw : shape.width == 2 ? .pmulld : isSigned ? .pmuldq : .pmuludq
                    asm.packed(product, piece.size, zero, zero, b)
                }
                if i.op.accumulatesWide {
                    load(piece, of: i.dst, shape, to: one)
                    asm.packed(Self.add[Int(shape.width)], piece.size, zero, zero, one)
                }
            }
            finish(piece, of: i, zero)
        }
    }

    private mutating func narrow(_ i: Instruction) {
        let shape = i.vector, wide = shape.width + 1
        let isUniform = prepareAmounts(i.b, width: wide)
        let shift: Opcode = i.op == .vnsrl ? .vsrl : .vsra
        for piece in pieces(shape.bytes, greatest: 16) {
            skipRest(from: piece, i.vector)
            let size: X86VectorSize = piece.bytes == 16 ? .full : .half
            loadPiece(2 * piece.bytes, zero, vectorMemory(i.a, shape, 2 * piece.offset))
            if isUniform {
                shiftAll(shift, wide, size, immediate(i.b))
            } else {
                // Only 32 and 64 bits have amounts of their own.
                asm.extend(Self.extending(shape.width, wide, isSigned: false), size, one, vectorMemory(i.b, shape, piece.offset))
                shiftEach(shift, wide, size)
            }
            takeLowHalves(wide, size)
            finish(piece, of: i, zero)
        }
    }

    /// xmm0 = the low halves of its elements of 2^`width` bytes, one after the other. Uses xmm1.
    mutating func takeLowHalves(_ width: UInt8, _ size: X86VectorSize) {
        if width < 3 {
            // Nothing is too large to be packed once the upper halves are zero.
            let (left, right): (X86Packed, X86Packed) = width == 1 ? (.psllw, .psrlw) : (.pslld, .psrld)
            asm.packedShift(left, size, zero, zero, by: 4 << width)
            asm.packedShift(right, size, zero, zero, by: 4 << width)
        }
        if size == .full { asm.extracti128(one, zero) }
        let upper = size == .full ? one : zero
        switch width {
        case 1: asm.packed(.packuswb, .half, zero, zero, upper)
        case 2: asm.packed(.packusdw, .half, zero, zero, upper)
        default: asm.shufps(.half, zero, zero, upper, 0x88)
        }
    }

    // MARK: Comparisons

    mutating func compareIntegers(_ i: Instruction) {
        let width = i.vector.width
        broadcastScalar(i.b, width: width)
        gatherBits(i) { compiler, piece in
            compiler.load(piece, of: i.a, i.vector, to: XMMRegister(0))
            let b = compiler.place(piece, of: i.b, i.vector, loadedTo: XMMRegister(1))
            return compiler.compare(i.op, width, piece.size, b)
        }
    }

    /// xmm0 = xmm0 relation b. Uses xmm1, scratch12 and scratch14.
    /// - Returns: whether the result is the opposite.
    mutating func compare(_ op: Opcode, _ width: UInt8, _ size: X86VectorSize, _ place: XMMPlace) -> Bool {
        let equal = Self.equal[Int(width)], greater = Self.greater[Int(width)]
        switch op {
        case .vmseq, .vmsne:
            asm.packed(equal, size, zero, zero, place)
            return op == .vmsne
        case .vmsgt, .vmsle:
            asm.packed(greater, size, zero, zero, place)
            return op == .vmsle
        case .vmslt:
            asm.packed(greater, size, zero, register(place, size), zero)
            return false
        default: break
        }
        let b = register(place, size)
        if width == 3 {
            // a > b, or b > a for a < b.
            let isLess = op == .vmsltu
            compareGreater(size, isLess ? b : zero, isLess ? zero : b, isSigned: false)
            asm.packed(.por, size, zero, Self.scratch12, Self.scratch12)
            return op == .vmsleu
        }
        // a <= b where a is the lesser of both; a < b where b is not.
        let least: X86Packed = [.pminub, .pminuw, .pminud][Int(width)]
        asm.packed(least, size, Self.scratch12, zero, b)
        asm.packed(equal, size, zero, Self.scratch12, op == .vmsltu ? b : zero)
        return op != .vmsleu
    }
}

extension Opcode {
    /// dst = dst + a × b, of factors half as wide.
    fileprivate var accumulatesWide: Bool {
        switch self {
        case .vwmaccu, .vwmacc, .vwmaccsu, .vwmaccus: true
        default: false
        }
    }
}
