import EmuIR

/// A part of a vector operand that one instruction works on.
struct X86Piece {
    /// Bytes from the operand's first one, and how many: 32, 16, 8, 4, 2 or 1.
    let offset: Int
    let bytes: Int

    var size: X86VectorSize { bytes == 32 ? .full : .half }

    /// Elements of 2^`width` bytes before it and in it.
    func first(_ width: UInt8) -> Int { offset >> Int(width) }
    func count(_ width: UInt8) -> Int { bytes >> Int(width) }
}

/// Vector operations in AVX2.
///
/// The guest's registers stay in the state; an operation takes them through host registers piece by piece. Pieces go from the first element to
/// the last, each being read before it is written: what the guest's architecture allows to overlap may do so here too. Smaller pieces lie in the
/// low part of an xmm register, with zeroes above.
extension X86Compiler {
    /// Registers of the operation in hand besides xmm0 and xmm1; f registers are not kept there in units with vectors.
    static let scratch12 = XMMRegister(12)
    /// Its mask, one element for each of the operands'; what was in the destination; a scalar in each element.
    static let laneMask = XMMRegister(13)
    static let scratch14 = XMMRegister(14)
    static let scalar = XMMRegister(15)

    // MARK: Configuration

    mutating func assembleVector(_ i: Instruction) {
        // What the slow path does not check must not count as checked behind it.
        let known = boxed
        for operand in [i.a, i.b] where i.op.takesSingleScalars(i.vector) { if case .float = operand { checkBoxed(operand, i.guest) } }
        boxed = known
        // A probe that fails leaves the operation to the interpreter too.
        let slow = vectorSkip ?? asm.newLabel(), back = asm.newLabel()
        vectorSlow = slow
        vectorEnd = back
        let first = vectorCache.last, leaves = vectorSkip != nil || !isConfigured(i.vector) || mayGiveUp(i)
        vectorSkip = nil
        let other = checkConfiguration(i)
        holdsVectors = i.op.goesThroughPieces && !vectorPool.isEmpty
        assembleOperation(i)
        settleVectors(i, since: first)
        asm.bind(back)
        noteKey(i)
        if let other { add(.anyLength(i, since: first, entry: other, slow: slow, back: back)) }
        if case .float(let register) = i.dst { boxed &= ~(1 << UInt32(register)) }
        // The interpreter has used the register.
        tempInRCX = .none
        if leaves { add(.interpret(guest: i.guest, entry: slow, back: back)) } else { precondition(!asm.isUsed(slow)) }
    }

    private mutating func assembleOperation(_ i: Instruction) {
        leavesOutRest = false
        switch i.op {
        case .vload, .vloadMask: loadVector(i)
        case .vstore, .vstoreMask: storeVector(i)
        case .vloadStrided: loadStrided(i)
        case .vloadIndexed: loadScattered(i)
        case .vstoreStrided, .vstoreIndexed: storeScattered(i)
        case .vsetLength: setLength(i)
        case .vsetType: setType(i)
        case .vgetLength:
            asm.mov(target(i.dst), state.field(layout.vectorLength))
            finish(i.dst, target(i.dst))
        case .vmove: moveVector(i)
        case .vmoveToInteger, .vmoveToFloat, .vmoveFirst: moveElement(i)
        case .vmseq, .vmsne, .vmsltu, .vmslt, .vmsleu, .vmsle, .vmsgtu, .vmsgt: compareIntegers(i)
        case .vmadc, .vmsbc, .vmcarry: carriesOut(i)
        case .vmsbf, .vmsif, .vmsof: setAroundFirst(i)
        case .vwredsumu, .vwredsum: reduce(i)
        case .vfredmin, .vfredmax: reduceExtremum(i)
        case .vfwredsum: reduceWideFloats(i)
        case .vmfeq, .vmfne, .vmflt, .vmfle, .vmfgt, .vmfge: compareFloats(i)
        case .vmand, .vmnand, .vmandn, .vmxor, .vmor, .vmnor, .vmorn, .vmxnor: combineMasks(i)
        case .vcpop: countMask(i)
        case .vfirst: findFirst(i)
        case .vslideup, .vslidedown: slide(i)
        case .vslide1up, .vslide1down: slideOne(i)
        case .vgather, .vgather16: gather(i)
        case .vid: index(i)
        case .vredsum, .vredand, .vredor, .vredxor, .vredminu, .vredmin, .vredmaxu, .vredmax: reduce(i)
        case .vfredsum: reduceFloats(i)
        case .vclmul, .vclmulh: multiplyCarryless(i)
        case .vaesef, .vaesem, .vaesdf, .vaesdm, .vaesz: cipher(i)
        case .vaeskf1, .vaeskf2: expandCipherKey(i)
        case .vghash: multiplyHash(i)
        case .vsha2ms, .vsha2cl, .vsha2ch: hashSHA2(i)
        case .vsm4r, .vsm4k: cipherSM4(i)
        case .vsm3me: expandSM3(i)
        case .vsm3c: compressSM3(i)
        default: i.op.info.isGuarded ? computeFloats(i) : computeIntegers(i)
        }
    }

    /// Jumps out of line unless the guest's vectors are configured as the operation wants.
    /// - Returns: where code for any length begins, if there is to be some.
    private mutating func checkConfiguration(_ i: Instruction) -> X86Label? {
        if isConfigured(i.vector) { return nil }
        guard let key = i.vector.key else {
            asm.alu(.cmp, state.field(layout.vectorKey), immediate: 0, .long)
            asm.jcc(.e, vectorSlow)
            return nil
        }
        asm.alu(.cmp, state.field(layout.vectorKey), immediate: Int32(bitPattern: key), .long)
        let entry = i.op.isCipher ? nil : asm.newLabel()
        asm.jcc(.ne, entry ?? vectorSlow)
        return entry
    }

    /// The operation for whatever length there is, the last time round a loop for example, if only the length is another.
    mutating func assembleAnyLength(_ i: Instruction, since first: Int, _ slow: X86Label, _ back: X86Label) {
        let held = vectorCache
        asm.mov(.rax, state.field(layout.vectorKey), .long)
        asm.alu(.xor, .rax, immediate: Int32(bitPattern: VectorShape.key(type: i.vector.type, length: 0)), .long)
        asm.test(.rax, immediate: Int32(bitPattern: 0x8000_00ff), .long)
        asm.jcc(.ne, slow)
        asm.alu(.cmp, state.field(layout.vectorLength), immediate: 0)
        asm.jcc(.e, slow)
        var i = i
        i.vector.count = i.vector.greatest
        vectorSlow = slow
        tempInRCX = .none
        takesAnyLength = true
        let end = asm.newLabel()
        vectorEnd = end
        assembleOperation(i)
        asm.bind(end)
        takesAnyLength = false
        reloadVectors(held, behind: i, since: first)
        asm.jmp(back)
    }

    /// Whether the operation may leave the block, for the interpreter to execute it or to go on there.
    func vectorMayLeave(_ i: Instruction) -> Bool {
        guard let run, runs[run].isConfigured else { return true }
        return mayGiveUp(i)
    }

    /// Whether the interpreter may have to execute the operation under the configuration it is made for.
    private func mayGiveUp(_ i: Instruction) -> Bool {
        if i.op.info.isGuarded { return true }
        switch i.op {
        // Under a rounding mode that is not translated.
        case .vaaddu, .vaadd, .vasubu, .vasub, .vssrl, .vssra, .vnclipu, .vnclip: return true
        case .vloadStrided: return !isStrideAnsweredByRun(i.host)
        case .vloadIndexed, .vstoreStrided, .vstoreIndexed: return true
        default: return i.accessBytes > 0 && !isAnsweredByRun(i.host)
        }
    }

    /// Whether the configuration is known to be what an operation wants.
    private func isConfigured(_ shape: VectorShape) -> Bool {
        if let run, runs[run].isConfigured { return true }
        return knownKey != nil && (shape.key == nil || shape.key == knownKey)
    }

    /// What is known behind an operation, however it was executed.
    private mutating func noteKey(_ i: Instruction) {
        switch (i.op, i.a, i.b, i.c) {
        case (.vsetLength, .constant(let wanted), .constant(let greatest), .constant(let type)):
            knownKey = VectorShape.key(
                type: UInt8(truncatingIfNeeded: type), length: UInt32(truncatingIfNeeded: min(UInt64(bitPattern: wanted), UInt64(bitPattern: greatest))))
        case (.vsetType, .constant(let type), _, _) where knownKey == i.vector.key && knownKey != nil:
            knownKey = VectorShape.key(type: UInt8(truncatingIfNeeded: type), length: UInt32(i.vector.count))
        case (.vsetLength, _, _, _), (.vsetType, _, _, _): knownKey = nil
        default: if i.vector.traits.contains(.shortening) { knownKey = nil }
        }
    }

    private mutating func setLength(_ i: Instruction) {
        guard case .constant(let greatest) = i.b, case .constant(let number) = i.c else { preconditionFailure("the greatest length and the type are constants") }
        let type = UInt8(truncatingIfNeeded: number)
        if case .constant(let wanted) = i.a {
            let length = Int32(truncatingIfNeeded: min(UInt64(bitPattern: wanted), UInt64(bitPattern: greatest)))
            let key = VectorShape.key(type: type, length: UInt32(length))
            asm.mov(.rax, immediate: Int64(length))
            if key == knownKey { return finish(i.dst, .rax) }
            asm.mov(state.field(layout.vectorLength), immediate: length)
            asm.mov(state.field(layout.vectorKey), immediate: Int32(bitPattern: key), .long)
        } else {
            asm.mov(.rax, immediate: greatest)
            let wanted = register(i.a, loadedTo: .rcx)
            asm.alu(.cmp, wanted, .rax)
            asm.cmov(.b, .rax, wanted)
            asm.mov(state.field(layout.vectorLength), .rax)
            asm.mov(.rcx, .rax, .long)
            asm.shift(.shl, .rcx, by: 8, .long)
            asm.alu(.or, .rcx, immediate: Int32.min | Int32(type), .long)
            asm.mov(state.field(layout.vectorKey), .rcx, .long)
        }
        asm.mov(state.field(layout.vectorType), immediate: Int32(type))
        finish(i.dst, .rax)
    }

    private mutating func setType(_ i: Instruction) {
        guard case .constant(let type) = i.a else { preconditionFailure("the type is a constant") }
        asm.mov(state.field(layout.vectorType), immediate: Int32(type))
        // The lowest byte of the key.
        asm.mov(state.field(layout.vectorKey), immediate: Int32(type), .byte)
    }

    // MARK: Pieces

    /// An operand's bytes in pieces of at most `greatest`.
    func pieces(_ bytes: Int, greatest: Int = 32) -> [X86Piece] {
        var pieces: [X86Piece] = []
        var offset = 0, size = greatest
        while offset < bytes {
            while size > bytes - offset { size /= 2 }
            pieces.append(X86Piece(offset: offset, bytes: size))
            offset += size
        }
        return pieces
    }

    /// Byte `offset` of a vector register or group.
    func vectorMemory(_ operand: Operand, _ shape: VectorShape, _ offset: Int = 0) -> X86Memory {
        guard case .vector(let number) = operand else { preconditionFailure("\(operand) is no vector") }
        return state.field(layout.vectors + (Int(number) << Int(shape.registerSize)) + offset)
    }

    /// Uses rdx for the smallest.
    mutating func loadPiece(_ bytes: Int, _ register: XMMRegister, _ source: X86Memory) {
        switch bytes {
        case 32: asm.movdqu(.full, register, source)
        case 16: asm.movdqu(.half, register, source)
        case 8: asm.movq(register, source)
        case 4: asm.movd(register, source)
        default:
            asm.movzx(.rdx, source, from: bytes == 2 ? .word : .byte)
            asm.movd(register, .rdx)
        }
    }

    mutating func storePiece(_ bytes: Int, _ target: X86Memory, _ register: XMMRegister) {
        switch bytes {
        case 32: asm.movdqu(.full, target, register)
        case 16: asm.movdqu(.half, target, register)
        case 8: asm.movq(target, register)
        case 4: asm.movd(target, register)
        default:
            asm.movd(.rdx, register)
            asm.mov(target, .rdx, bytes == 2 ? .word : .byte)
        }
    }

    mutating func load(_ piece: X86Piece, of operand: Operand, _ shape: VectorShape, to register: XMMRegister) {
        if let held = vectorRegister(piece, of: operand, shape) { return asm.movdqu(piece.size, register, held) }
        loadPiece(piece.bytes, register, vectorMemory(operand, shape, piece.offset))
    }

    /// A source's piece: where it is held, as a memory operand where it fills a register, else loaded to `register`; a scalar is in its register already.
    mutating func place(_ piece: X86Piece, of operand: Operand, _ shape: VectorShape, loadedTo register: XMMRegister) -> XMMPlace {
        guard case .vector = operand else { return .register(Self.scalar) }
        if let held = vectorRegister(piece, of: operand, shape) { return .register(held) }
        if piece.bytes >= 16 { return .memory(vectorMemory(operand, shape, piece.offset)) }
        load(piece, of: operand, shape, to: register)
        return .register(register)
    }

    /// Writes a result, in another register than scratch12 and scratch14, to the active elements of the destination.
    mutating func finish(_ piece: X86Piece, of i: Instruction, _ result: XMMRegister) {
        if isPartial(i.vector) { loadLanes(piece, i.vector) }
        finishLanes(piece, of: i, result)
    }

    /// The same where laneMask holds which they are.
    mutating func finishLanes(_ piece: X86Piece, of i: Instruction, _ result: XMMRegister) {
        guard isPartial(i.vector) else { return write(piece, of: i.dst, i.vector, result) }
        load(piece, of: i.dst, i.vector, to: Self.scratch14)
        asm.blendvb(piece.size, Self.scratch14, Self.scratch14, result, Self.laneMask)
        write(piece, of: i.dst, i.vector, Self.scratch14)
    }

    // MARK: Scalars

    /// Puts a scalar operand into each element of `scalar`; nothing for a vector. Uses rax.
    mutating func broadcastScalar(_ operand: Operand, width: UInt8) {
        let width = X86Width(rawValue: width) ?? .quad
        switch operand {
        case .vector, .none: return
        case .constant(0): asm.packed(.pxor, .half, Self.scalar, Self.scalar, Self.scalar)
        case .constant(-1): asm.packed(.pcmpeqd, .full, Self.scalar, Self.scalar, Self.scalar)
        case .float:
            if let home = floatHome(operand) {
                asm.broadcast(.full, width, Self.scalar, home)
            } else {
                asm.broadcast(.full, width, Self.scalar, memory(operand))
            }
        default:
            if home(operand) == nil, immediate(operand) == nil {
                asm.broadcast(.full, width, Self.scalar, memory(operand))
            } else {
                broadcast(register(operand, loadedTo: .rax), width)
            }
        }
    }

    mutating func broadcast(_ register: X86Register, _ width: X86Width, to target: XMMRegister = X86Compiler.scalar) {
        asm.movq(target, register)
        asm.broadcast(.full, width, target, target)
    }

    // MARK: Moves

    private mutating func moveVector(_ i: Instruction) {
        broadcastScalar(i.a, width: i.vector.width)
        for piece in pieces(i.vector.bytes) {
            skipRest(from: piece, i.vector)
            guard case .vector = i.a else {
                finish(piece, of: i, Self.scalar)
                continue
            }
            load(piece, of: i.a, i.vector, to: XMMRegister(0))
            finish(piece, of: i, XMMRegister(0))
        }
    }

    /// The first element to or from a scalar register.
    private mutating func moveElement(_ i: Instruction) {
        let width = X86Width(rawValue: i.vector.width) ?? .quad
        switch i.op {
        case .vmoveToInteger:
            let result = target(i.dst), source = vectorMemory(i.a, i.vector)
            if width == .quad { asm.mov(result, source) } else { asm.movsx(result, source, from: width) }
            finish(i.dst, result)
        case .vmoveToFloat:
            let source = vectorMemory(i.a, i.vector)
            if width == .quad {
                asm.mov(.rax, source)
            } else {
                asm.mov(.rdx, source, .long)
                asm.mov(.rax, immediate: ~0xffff_ffff)
                asm.alu(.or, .rax, .rdx)
            }
            finishFloatBits(i.dst)
        default:
            let destination = vectorMemory(i.dst, i.vector)
            if let home = floatHome(i.a) {
                asm.movs(width == .quad ? .double : .single, destination, home)
            } else if case .float = i.a {
                asm.mov(.rax, memory(i.a))
                asm.mov(destination, .rax, width)
            } else {
                asm.mov(destination, register(i.a, loadedTo: .rax), width)
            }
        }
    }
}

extension Opcode {
    /// A scalar in an f register counts as a single number.
    fileprivate func takesSingleScalars(_ shape: VectorShape) -> Bool {
        switch self {
        case .vfwadd, .vfwsub, .vfwaddW, .vfwsubW, .vfwmul, .vfwmacc, .vfwnmacc, .vfwmsac, .vfwnmsac: true
        default: shape.width == 2
        }
    }
}

/// The address so many bytes on.
func + (address: X86Memory, bytes: Int) -> X86Memory {
    var result = address
    result.displacement += Int32(truncatingIfNeeded: bytes)
    return result
}
