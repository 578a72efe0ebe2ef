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
        for operand in [i.a, i.b] where i.vector.width == 2 { if case .float = operand { checkBoxed(operand, i.guest) } }
        boxed = known
        let slow = asm.newLabel(), back = asm.newLabel()
        vectorSlow = slow
        checkConfiguration(i.vector, slow)
        switch i.op {
        case .vload: loadVector(i)
        case .vloadStrided: loadStrided(i)
        case .vstore: storeVector(i)
        case .vsetLength: setLength(i)
        case .vsetType: setType(i)
        case .vgetLength:
            asm.mov(target(i.dst), state.field(layout.vectorLength))
            finish(i.dst, target(i.dst))
        case .vmove: moveVector(i)
        case .vmoveToInteger, .vmoveToFloat, .vmoveFirst: moveElement(i)
        case .vmseq, .vmsne, .vmsltu, .vmslt, .vmsleu, .vmsle, .vmsgtu, .vmsgt: compareIntegers(i)
        case .vmfeq, .vmfne, .vmflt, .vmfle, .vmfgt, .vmfge: compareFloats(i)
        case .vmand, .vmnand, .vmandn, .vmxor, .vmor, .vmnor, .vmorn, .vmxnor: combineMasks(i)
        case .vcpop: countMask(i)
        case .vfirst: findFirst(i)
        case .vslideup, .vslidedown: slide(i)
        case .vslide1up, .vslide1down: slideOne(i)
        case .vgather: gather(i)
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
        asm.bind(back)
        if let skip = vectorSkip { asm.bind(skip) }
        vectorSkip = nil
        if case .float(let register) = i.dst { boxed &= ~(1 << UInt32(register)) }
        // The interpreter has used the register.
        tempInRCX = .none
        add(.interpret(guest: i.guest, entry: slow, back: back))
    }

    /// Jumps to `slow` unless the guest's vectors are configured as the operation wants.
    private mutating func checkConfiguration(_ shape: VectorShape, _ slow: X86Label) {
        if let run, runs[run].isConfigured { return }
        if let key = shape.key {
            asm.alu(.cmp, state.field(layout.vectorKey), immediate: Int32(bitPattern: key), .long)
            asm.jcc(.ne, slow)
        } else {
            asm.alu(.cmp, state.field(layout.vectorKey), immediate: 0, .long)
            asm.jcc(.e, slow)
        }
    }

    /// Whether the operation may leave the block, for the interpreter to execute it or to go on there.
    func vectorMayLeave(_ i: Instruction) -> Bool {
        guard let run, runs[run].isConfigured, !i.op.info.isGuarded, i.op != .vloadStrided else { return true }
        return i.accessBytes > 0 && !isAnsweredByRun(i.host)
    }

    private mutating func setLength(_ i: Instruction) {
        guard case .constant(let greatest) = i.b, case .constant(let number) = i.c else { preconditionFailure("the greatest length and the type are constants") }
        let type = UInt8(truncatingIfNeeded: number)
        if case .constant(let wanted) = i.a {
            let length = Int32(truncatingIfNeeded: min(UInt64(bitPattern: wanted), UInt64(bitPattern: greatest)))
            asm.mov(state.field(layout.vectorLength), immediate: length)
            asm.mov(state.field(layout.vectorKey), immediate: Int32(bitPattern: VectorShape.key(type: type, length: UInt32(length))), .long)
            asm.mov(.rax, immediate: Int64(length))
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
        asm.mov(
            state.field(layout.vectorKey),
            immediate: Int32(bitPattern: VectorShape.key(type: UInt8(truncatingIfNeeded: type), length: UInt32(i.vector.count))), .long)
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
        loadPiece(piece.bytes, register, vectorMemory(operand, shape, piece.offset))
    }

    /// A source's piece: as a memory operand where it fills a register, else loaded to `register`; a scalar is in its register already.
    mutating func place(_ piece: X86Piece, of operand: Operand, _ shape: VectorShape, loadedTo register: XMMRegister) -> XMMPlace {
        guard case .vector = operand else { return .register(Self.scalar) }
        if piece.bytes >= 16 { return .memory(vectorMemory(operand, shape, piece.offset)) }
        load(piece, of: operand, shape, to: register)
        return .register(register)
    }

    /// Writes a result to the destination, where the mask lets it.
    mutating func finish(_ piece: X86Piece, of i: Instruction, _ result: XMMRegister) {
        let target = vectorMemory(i.dst, i.vector, piece.offset)
        if i.vector.isMasked {
            expandMask(piece, i.vector)
            loadPiece(piece.bytes, Self.scratch14, target)
            asm.blendvb(piece.size, result, Self.scratch14, result, Self.laneMask)
        }
        storePiece(piece.bytes, target, result)
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

    // MARK: Masks

    /// laneMask = ones in the elements of the piece whose bit in v0 is set. Uses rdx and scratch12.
    mutating func expandMask(_ piece: X86Piece, _ shape: VectorShape) {
        let first = piece.first(shape.width)
        let bits = vectorMemory(.vector(0), shape, first / 8)
        let mask = Self.laneMask, size = piece.size
        switch shape.width {
        case 0:
            asm.broadcast(size, .long, mask, bits)
            loadConstant(Self.scratch12, [0, 0x0101_0101_0101_0101, 0x0202_0202_0202_0202, 0x0303_0303_0303_0303])
            asm.packed(.pshufb, size, mask, mask, Self.scratch12)
            let single: UInt64 = 0x8040_2010_0804_0201
            // Less than eight elements may begin in the middle of a byte.
            loadConstant(Self.scratch12, first & 7 == 0 ? [single, single, single, single] : [single >> UInt64(8 * (first & 7)), 0, 0, 0])
        case 1:
            asm.broadcast(size, .word, mask, bits)
            loadConstant(Self.scratch12, Self.bitLanes(width: 1, from: first & 7))
        case 2:
            asm.broadcast(size, .byte, mask, bits)
            loadConstant(Self.scratch12, Self.bitLanes(width: 2, from: first & 7))
        default:
            asm.broadcast(size, .byte, mask, bits)
            loadConstant(Self.scratch12, Self.bitLanes(width: 3, from: first & 7))
        }
        asm.packed(.pand, size, mask, mask, Self.scratch12)
        asm.packed([.pcmpeqb, .pcmpeqw, .pcmpeqd, .pcmpeqq][Int(shape.width)], size, mask, mask, Self.scratch12)
    }

    /// 32 bytes in which element `n` has bit `first` + n alone, as far as there are such bits.
    private static func bitLanes(width: Int, from first: Int) -> [UInt64] {
        var words = [UInt64](repeating: 0, count: 4)
        let bits = 8 << width
        for lane in 0..<(256 / bits) where first + lane < bits { words[lane * bits / 64] |= 1 << UInt64((lane * bits) % 64 + first + lane) }
        return words
    }

    /// Loads 32 bytes that lie behind the code. Uses rdx.
    mutating func loadConstant(_ register: XMMRegister, _ words: [UInt64]) { asm.movdqu(.full, register, constant(words)) }

    /// 32 bytes that lie behind the code, as long as rdx points to them.
    mutating func constant(_ words: [UInt64]) -> X86Memory {
        let label: X86Label
        if let known = vectorConstants.first(where: { $0.words == words }) {
            label = known.label
        } else {
            label = asm.newLabel()
            vectorConstants.append((label, words))
        }
        asm.lea(.rdx, label)
        return X86Memory(.rdx)
    }

    mutating func assembleVectorConstants() {
        for (label, words) in vectorConstants {
            asm.align(to: 16)
            asm.bind(label)
            for word in words { asm.data(word) }
        }
    }

    // MARK: Memory

    private mutating func loadVector(_ i: Instruction) {
        let source = hostAddress(i, loadTable, miss: vectorSlow)
        if i.vector.fields > 1 { return moveSegments(i.vector, i.dst, source, isStore: false) }
        for piece in pieces(i.vector.bytes) {
            loadPiece(piece.bytes, XMMRegister(0), source + piece.offset)
            storePiece(piece.bytes, vectorMemory(i.dst, i.vector, piece.offset), XMMRegister(0))
        }
    }

    private mutating func storeVector(_ i: Instruction) {
        let target = hostAddress(i, storeTable, miss: vectorSlow)
        if i.vector.fields > 1 { return moveSegments(i.vector, i.b, target, isStore: true) }
        for piece in pieces(i.vector.bytes) {
            load(piece, of: i.b, i.vector, to: XMMRegister(0))
            storePiece(piece.bytes, target + piece.offset, XMMRegister(0))
        }
    }

    /// Elements lie a distance apart. One window must hold them all: the first, for which its probe answers, and the last; a stride of 32 bits
    /// cannot lead around the address space between them.
    private mutating func loadStrided(_ i: Instruction) {
        guard let number = window(of: i.host, in: block) else { return asm.jmp(vectorSlow) }
        let window = state.window(number), count = Int(i.vector.count)
        load(i.c, to: .rdx)
        asm.movsx(.rax, .rdx, from: .long)
        asm.alu(.cmp, .rax, .rdx)
        asm.jcc(.ne, vectorSlow)
        asm.imul(.rax, .rax, immediate: Int32(count - 1))
        asm.alu(.add, .rax, place(i.a, constantIn: .rcx))
        asm.alu(.sub, .rax, window.page)
        asm.alu(.cmp, .rax, window.limit)
        asm.jcc(.ae, vectorSlow)
        load(i.a, to: .rcx)
        asm.alu(.add, .rcx, window.addend)
        let width = X86Width(rawValue: i.vector.width) ?? .quad
        for element in 0..<count {
            asm.mov(.rax, X86Memory(.rcx), width)
            asm.mov(vectorMemory(i.dst, i.vector, element << Int(i.vector.width)), .rax, width)
            if element + 1 < count { asm.alu(.add, .rcx, .rdx) }
        }
    }

    /// Segments lie one after the other at `address`, fields in registers from `operand` on. Uses rdx.
    private mutating func moveSegments(_ shape: VectorShape, _ operand: Operand, _ address: X86Memory, isStore: Bool) {
        let size = 1 << Int(shape.width), segment = shape.fields * size
        func place(_ field: Int, _ element: Int) -> X86Memory {
            vectorMemory(operand, shape, (field << (shape.fieldSize + Int(shape.registerSize))) + element * size)
        }
        var element = 0
        // Four segments of four 64-bit fields are a square.
        while shape.fields == 4, shape.width == 3, element + 4 <= Int(shape.count) {
            let rows = [XMMRegister(0), XMMRegister(1), Self.scratch12, Self.laneMask]
            for (row, register) in rows.enumerated() { asm.movdqu(.full, register, isStore ? place(row, element) : address + (element + row) * segment) }
            for (row, register) in transpose(rows).enumerated() {
                asm.movdqu(.full, isStore ? address + (element + row) * segment : place(row, element), register)
            }
            element += 4
        }
        let width = X86Width(rawValue: shape.width) ?? .quad
        for element in element..<Int(shape.count) {
            for field in 0..<shape.fields {
                let memory = address + (element * segment + field * size)
                asm.mov(.rdx, isStore ? place(field, element) : memory, width)
                asm.mov(isStore ? memory : place(field, element), .rdx, width)
            }
        }
    }

    /// Where the columns of four rows of four 64-bit numbers are.
    private mutating func transpose(_ rows: [XMMRegister]) -> [XMMRegister] {
        let (lower, upper) = (Self.scratch14, Self.scalar)
        asm.packed(.punpcklqdq, .full, lower, rows[0], rows[1])
        asm.packed(.punpckhqdq, .full, upper, rows[0], rows[1])
        asm.packed(.punpcklqdq, .full, rows[0], rows[2], rows[3])
        asm.packed(.punpckhqdq, .full, rows[1], rows[2], rows[3])
        asm.perm2i128(rows[2], lower, rows[0], 0x20)
        asm.perm2i128(rows[3], upper, rows[1], 0x20)
        asm.perm2i128(lower, lower, rows[0], 0x31)
        asm.perm2i128(upper, upper, rows[1], 0x31)
        return [rows[2], rows[3], lower, upper]
    }

    // MARK: Moves

    private mutating func moveVector(_ i: Instruction) {
        broadcastScalar(i.a, width: i.vector.width)
        for piece in pieces(i.vector.bytes) {
            guard case .vector = i.a else {
                storePiece(piece.bytes, vectorMemory(i.dst, i.vector, piece.offset), Self.scalar)
                continue
            }
            load(piece, of: i.a, i.vector, to: XMMRegister(0))
            storePiece(piece.bytes, vectorMemory(i.dst, i.vector, piece.offset), XMMRegister(0))
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

/// The address so many bytes on.
func + (address: X86Memory, bytes: Int) -> X86Memory {
    var result = address
    result.displacement += Int32(truncatingIfNeeded: bytes)
    return result
}
