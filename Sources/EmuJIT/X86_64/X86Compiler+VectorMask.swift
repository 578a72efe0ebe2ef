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
            if end % Self.chunk == 0 || end == count { finishBits(i, from: first - place, end - first + place) }
        }
    }

    /// Writes `count` bits in rcx to the mask `dst` from bit `first`, a multiple of the chunk, on, as far as the mask of the operation lets them.
    private mutating func finishBits(_ i: Instruction, from first: Int, _ count: Int) {
        let target = vectorMemory(i.dst, i.vector, first / 8)
        if i.vector.isMasked {
            asm.mov(.rdx, vectorMemory(.vector(0), i.vector, first / 8))
            keepLow(count, .rdx)
        } else if count == Self.chunk {
            return asm.mov(target, .rcx)
        } else {
            asm.mov(.rdx, immediate: 1 << Int64(count) - 1)
        }
        asm.mov(.rax, target)
        asm.alu(.xor, .rcx, .rax)
        asm.alu(.and, .rcx, .rdx)
        asm.alu(.xor, .rcx, .rax)
        asm.mov(target, .rcx)
    }

    /// Clears all but the lowest `count` bits.
    private mutating func keepLow(_ count: Int, _ register: X86Register) {
        if count == Self.chunk { return }
        asm.shift(.shl, register, by: UInt8(Self.chunk - count))
        asm.shift(.shr, register, by: UInt8(Self.chunk - count))
    }

    /// The first bits and the number of bits of each chunk.
    private func chunks(_ shape: VectorShape) -> [(first: Int, count: Int)] {
        stride(from: 0, to: Int(shape.count), by: Self.chunk).map { ($0, min(Self.chunk, Int(shape.count) - $0)) }
    }

    mutating func combineMasks(_ i: Instruction) {
        for (first, count) in chunks(i.vector) {
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
            finishBits(i, from: first, count)
        }
    }

    // MARK: Integers of masks

    /// rcx = a chunk of the mask `a`, active elements only.
    private mutating func loadBits(_ i: Instruction, _ first: Int, _ count: Int) {
        asm.mov(.rcx, vectorMemory(i.a, i.vector, first / 8))
        if i.vector.isMasked { asm.alu(.and, .rcx, vectorMemory(.vector(0), i.vector, first / 8)) }
        keepLow(count, .rcx)
    }

    mutating func countMask(_ i: Instruction) {
        for (first, count) in chunks(i.vector) {
            loadBits(i, first, count)
            asm.popcnt(first == 0 ? .rax : .rcx, .rcx)
            if first > 0 { asm.alu(.add, .rax, .rcx) }
        }
        finish(i.dst, .rax)
    }

    mutating func findFirst(_ i: Instruction) {
        let found = asm.newLabel()
        for (first, count) in chunks(i.vector) {
            loadBits(i, first, count)
            asm.mov(.rax, immediate: Int64(first))
            asm.test(.rcx, .rcx)
            asm.jcc(.ne, found)
        }
        // Adds up to −1.
        asm.mov(.rax, immediate: -1)
        asm.mov(.rcx, immediate: 1)
        asm.bind(found)
        asm.tzcnt(.rcx, .rcx)
        asm.alu(.add, .rax, .rcx)
        finish(i.dst, .rax)
    }

    /// Numbers the elements.
    mutating func index(_ i: Instruction) {
        let width = Int(i.vector.width)
        for piece in pieces(i.vector.bytes) {
            var words = [UInt64](repeating: 0, count: 4)
            for element in 0..<piece.count(i.vector.width) {
                let bit = element * 8 << width
                let value = UInt64(piece.first(i.vector.width) + element) & (width == 3 ? .max : 1 << UInt64(8 << width) - 1)
                words[bit / 64] |= value << UInt64(bit % 64)
            }
            loadConstant(XMMRegister(0), words)
            finish(piece, of: i, XMMRegister(0))
        }
    }

    // MARK: Reductions

    /// Combines pieces, then the two halves of what that gave, and so on. Takes 16 bytes or more, unless zeroes do not matter.
    mutating func reduce(_ i: Instruction) {
        let width = i.vector.width, zero = XMMRegister(0), one = XMMRegister(1)
        var isWide = false
        for (position, piece) in pieces(i.vector.bytes).enumerated() {
            if position == 0 {
                load(piece, of: i.a, i.vector, to: zero)
                isWide = piece.bytes == 32
                continue
            }
            if isWide && piece.bytes < 32 {
                foldUpper(i.op, width)
                isWide = false
            }
            combine(i.op, width, piece.size, place(piece, of: i.a, i.vector, loadedTo: one))
        }
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

    private mutating func foldUpper(_ op: Opcode, _ width: UInt8) {
        asm.extracti128(XMMRegister(1), XMMRegister(0))
        combine(op, width, .half, .register(XMMRegister(1)))
    }
}
