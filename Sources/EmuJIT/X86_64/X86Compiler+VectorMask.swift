import EmuIR

/// Masks, which are bits in the first register of a group, and what makes one value of many.
extension X86Compiler {
    /// Bits of a mask that are worked on at once.
    private static let chunk = 64

    // MARK: Masks as results

    /// Puts a bit for each element into the mask register `dst`.
    /// - Parameter body: leaves all ones or zeroes in each element of xmm0 and says whether the bits are the opposite. May use rdx.
    mutating func gatherBits(_ i: Instruction, _ body: (inout X86Compiler, X86Piece) -> Bool) {
        let width = i.vector.width, count = Int(i.vector.count)
        for piece in pieces(i.vector.bytes) {
            // rcx collects what earlier pieces of the chunk gave.
            let isInverted = body(&self, piece)
            let first = piece.first(width), bits = piece.count(width)
            switch width {
            case 0: asm.movmskb(piece.size, .rax, XMMRegister(0))
            case 1:
                asm.movmskb(piece.size, .rax, XMMRegister(0))
                asm.mov(.rdx, immediate: 0xaaaa_aaaa)
                asm.pext(.rax, .rax, .rdx, .long)
            case 2: asm.movmskp(.single, piece.size, .rax, XMMRegister(0))
            default: asm.movmskp(.double, piece.size, .rax, XMMRegister(0))
            }
            if isInverted { asm.unary(.not, .rax, .long) }
            if isInverted || piece.bytes < 16 {
                if bits < 32 { asm.alu(.and, .rax, immediate: 1 << Int32(bits) - 1, .long) }
            }
            let place = first % Self.chunk
            if place == 0 {
                asm.mov(.rcx, .rax, .long)
            } else {
                asm.shift(.shl, .rax, by: UInt8(place))
                asm.alu(.or, .rcx, .rax)
            }
            let end = first + bits
            if end % Self.chunk == 0 || end == count { finishBits(i, from: first - place, end - first + place, none: vectorEnd) }
        }
    }

    /// Writes `count` bits in rcx to the mask `dst` from bit `first`, a multiple of the chunk, on, as far as the mask of the operation lets them.
    /// - Parameter none: where to go if the length ends before them.
    private mutating func finishBits(_ i: Instruction, from first: Int, _ count: Int, none: X86Label) {
        let target = vectorMemory(i.dst, i.vector, first / 8)
        if takesAnyLength {
            asm.mov(.rdx, state.field(layout.vectorLength))
            if first > 0 {
                asm.alu(.sub, .rdx, immediate: Int32(first))
                asm.jcc(.be, none)
            }
            asm.mov(.rax, immediate: Int64(Self.chunk))
            asm.alu(.cmp, .rdx, .rax)
            asm.cmov(.a, .rdx, .rax)
            asm.mov(.rax, immediate: -1)
            asm.bzhi(.rdx, .rax, .rdx)
            if i.vector.isMasked { asm.alu(.and, .rdx, vectorMemory(.vector(0), i.vector, first / 8)) }
        } else if i.vector.isMasked {
            asm.mov(.rdx, vectorMemory(.vector(0), i.vector, first / 8))
            keepLow(count, .rdx)
        } else if count == Self.chunk {
            return asm.mov(target, .rcx)
        } else {
            asm.mov(.rdx, immediate: Int64(bitPattern: .max >> UInt64(Self.chunk - count)))
        }
        asm.mov(.rax, target)
        asm.alu(.xor, .rcx, .rax)
        asm.alu(.and, .rcx, .rdx)
        asm.alu(.xor, .rcx, .rax)
        asm.mov(target, .rcx)
    }

    /// Clears the bits of rcx, `count` from element `first` on, that lie behind the length; jumps to `none` if all do. Uses rdx.
    mutating func keepActive(_ first: Int, _ count: Int, none: X86Label) {
        guard takesAnyLength else { return keepLow(count, .rcx) }
        let all = asm.newLabel()
        asm.mov(.rdx, state.field(layout.vectorLength))
        if first > 0 {
            asm.alu(.sub, .rdx, immediate: Int32(first))
            asm.jcc(.be, none)
        }
        asm.alu(.cmp, .rdx, immediate: Int32(Self.chunk))
        asm.jcc(.ae, all)
        asm.bzhi(.rcx, .rcx, .rdx)
        asm.bind(all)
    }

    /// Clears all but the lowest `count` bits.
    private mutating func keepLow(_ count: Int, _ register: X86Register) {
        if count == Self.chunk { return }
        asm.shift(.shl, register, by: UInt8(Self.chunk - count))
        asm.shift(.shr, register, by: UInt8(Self.chunk - count))
    }

    /// The first bits and the number of bits of each chunk.
    func maskChunks(_ shape: VectorShape) -> [(first: Int, count: Int)] {
        stride(from: 0, to: Int(shape.count), by: Self.chunk).map { ($0, min(Self.chunk, Int(shape.count) - $0)) }
    }

    mutating func combineMasks(_ i: Instruction) {
        for (first, count) in maskChunks(i.vector) {
            asm.mov(.rcx, vectorMemory(i.b, i.vector, first / 8))
            let a = vectorMemory(i.a, i.vector, first / 8)
            switch i.op {
            case .vmand, .vmnand: asm.alu(.and, .rcx, a)
            case .vmor, .vmnor: asm.alu(.or, .rcx, a)
            case .vmxor, .vmxnor: asm.alu(.xor, .rcx, a)
            case .vmandn:
                asm.unary(.not, .rcx)
                asm.alu(.and, .rcx, a)
            default:
                asm.unary(.not, .rcx)
                asm.alu(.or, .rcx, a)
            }
            if i.op == .vmnand || i.op == .vmnor || i.op == .vmxnor { asm.unary(.not, .rcx) }
            finishBits(i, from: first, count, none: vectorEnd)
        }
    }

    // MARK: Integers of masks

    /// rcx = a chunk of the mask `a`, active elements only.
    private mutating func loadBits(_ i: Instruction, _ first: Int, _ count: Int, none: X86Label) {
        asm.mov(.rcx, vectorMemory(i.a, i.vector, first / 8))
        if i.vector.isMasked { asm.alu(.and, .rcx, vectorMemory(.vector(0), i.vector, first / 8)) }
        keepActive(first, count, none: none)
    }

    mutating func countMask(_ i: Instruction) {
        let end = asm.newLabel()
        for (first, count) in maskChunks(i.vector) {
            loadBits(i, first, count, none: end)
            asm.popcnt(first == 0 ? .rax : .rcx, .rcx)
            if first > 0 { asm.alu(.add, .rax, .rcx) }
        }
        asm.bind(end)
        finish(i.dst, .rax)
    }

    mutating func findFirst(_ i: Instruction) {
        let found = asm.newLabel(), none = asm.newLabel()
        for (first, count) in maskChunks(i.vector) {
            loadBits(i, first, count, none: none)
            asm.mov(.rax, immediate: Int64(first))
            asm.test(.rcx, .rcx)
            asm.jcc(.ne, found)
        }
        asm.bind(none)
        // Adds up to −1.
        asm.mov(.rax, immediate: -1)
        asm.mov(.rcx, immediate: 1)
        asm.bind(found)
        asm.tzcnt(.rcx, .rcx)
        asm.alu(.add, .rax, .rcx)
        finish(i.dst, .rax)
    }

    /// Ones before, at, or before and at the first one.
    mutating func setAroundFirst(_ i: Instruction) {
        let chunks = maskChunks(i.vector), earlier = vectorScratch(0)
        for (first, count) in chunks {
            loadBits(i, first, count, none: vectorEnd)
            // Behind the chunk with the first one there are zeroes.
            if first > 0 { asm.mov(.rdx, earlier) }
            if chunks.count > 1 { if first == 0 { asm.mov(earlier, .rcx) } else { asm.alu(.or, earlier, .rcx) } }
            asm.lea(.rax, X86Memory(.rcx, -1))
            switch i.op {
            case .vmsbf: asm.andn(.rcx, .rcx, .rax)
            case .vmsif: asm.alu(.xor, .rcx, .rax)
            default:
                asm.unary(.not, .rax)
                asm.alu(.and, .rcx, .rax)
            }
            if first > 0 {
                asm.mov(.rax, immediate: 0)
                asm.test(.rdx, .rdx)
                asm.cmov(.ne, .rcx, .rax)
            }
            finishBits(i, from: first, count, none: vectorEnd)
        }
    }

    /// Numbers the elements.
    mutating func index(_ i: Instruction) {
        let width = i.vector.width
        for piece in pieces(i.vector.bytes) {
            skipRest(from: piece, i.vector)
            loadConstant(XMMRegister(0), Self.words((0..<piece.count(width)).map { piece.first(width) + $0 }, width: width))
            finish(piece, of: i, XMMRegister(0))
        }
    }

    // MARK: Reductions

    /// Combines pieces, then the two halves of what that gave, and so on. What is no active element is replaced by one that changes nothing.
    mutating func reduce(_ i: Instruction) {
        let width = i.vector.width, isWidening = i.op == .vwredsumu || i.op == .vwredsum
        let zero = XMMRegister(0), one = XMMRegister(1), all = pieces(i.vector.bytes), folded = asm.newLabel()
        leaveOutRest(i.vector)
        let isPartial = isPartial(i.vector)
        if isPartial { loadConstant(Self.scalar, Self.neutral(i.op, width)) }
        var isWide = false
        for (position, piece) in all.enumerated() {
            if takesAnyLength, position > 0 {
                // There are only whole ones.
                asm.alu(.cmp, state.field(layout.vectorLength), immediate: Int32(piece.first(width)))
                asm.jcc(.be, folded)
            }
            if isWide && piece.bytes < 32 {
                foldUpper(i.op, width)
                isWide = false
            }
            let place = position == 0 ? zero : one
            if isPartial || isWidening || position == 0 {
                if isWidening {
                    loadExtended(piece, of: i.a, i.vector, from: width - 1, isSigned: i.op == .vwredsum, to: place)
                } else {
                    load(piece, of: i.a, i.vector, to: place)
                }
                if isPartial {
                    loadLanes(piece, i.vector)
                    asm.blendvb(piece.size, place, Self.scalar, place, Self.laneMask)
                }
            }
            if position == 0 {
                isWide = piece.bytes == 32
                continue
            }
            combine(i.op, width, piece.size, isPartial || isWidening ? .register(one) : self.place(piece, of: i.a, i.vector, loadedTo: one))
        }
        asm.bind(folded)
        if isWide { foldUpper(i.op, width) }
        var bytes = 16
        while bytes > 1 << Int(width) {
            bytes /= 2
            switch bytes {
            case 8: asm.pshufd(.half, one, zero, 0x4e)
            case 4: asm.pshufd(.half, one, zero, 0xb1)
            case 2: asm.packedShift(.psrld, .half, one, zero, by: 16)
            default: asm.packedShift(.psrlw, .half, one, zero, by: 8)
            }
            combine(i.op, width, .half, .register(one))
        }
        loadPiece(1 << Int(width), one, vectorMemory(i.b, i.vector))
        combine(i.op, width, .half, .register(one))
        storePiece(1 << Int(width), vectorMemory(i.dst, i.vector), zero)
    }

    /// Elements that a reduction leaves as it is.
    private static func neutral(_ op: Opcode, _ width: UInt8) -> [UInt64] {
        let bits = 8 << Int(width), greatest = bits == 64 ? Int.max : 1 << (bits - 1) - 1
        let element: Int =
            switch op {
            case .vredand, .vredminu: -1
            case .vredmin: greatest
            case .vredmax: ~greatest
            default: 0
            }
        return words(Array(repeating: element, count: 32 >> Int(width)), width: width)
    }

    private mutating func foldUpper(_ op: Opcode, _ width: UInt8) {
        asm.extracti128(XMMRegister(1), XMMRegister(0))
        combine(op, width, .half, .register(XMMRegister(1)))
    }
}
