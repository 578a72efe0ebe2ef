import EmuIR

/// Which elements of a vector operation are active: the mask's bits and the length as ones and zeroes in the elements of a piece.
extension X86Compiler {
    /// Only some elements are computed: those the mask lets, or as many as there are.
    func isPartial(_ shape: VectorShape) -> Bool { shape.isMasked || takesAnyLength || leavesOutRest }

    /// For operations whose inactive elements must not be seen, by exception flags for example: lanes are exact from here on. A part of a register
    /// has zeroes, and bits of the mask, that are not its own.
    mutating func leaveOutRest(_ shape: VectorShape) { leavesOutRest = shape.isMasked || shape.bytes % 16 != 0 }

    /// Ends the operation where a piece begins behind the length, as all after it do.
    mutating func skipRest(from piece: X86Piece, _ shape: VectorShape) {
        guard takesAnyLength, piece.offset > 0 else { return }
        asm.alu(.cmp, state.field(layout.vectorLength), immediate: Int32(piece.first(shape.width)))
        asm.jcc(.be, vectorEnd)
    }

    /// laneMask = ones in the active elements of the piece. Uses rdx, scratch12 and scratch14.
    mutating func loadLanes(_ piece: X86Piece, _ shape: VectorShape) {
        if shape.isMasked { expandMask(piece, shape) }
        guard takesAnyLength || leavesOutRest else { return }
        expandLength(piece, shape.width, to: shape.isMasked ? Self.scratch12 : Self.laneMask)
        if shape.isMasked { asm.packed(.pand, piece.size, Self.laneMask, Self.laneMask, Self.scratch12) }
    }

    /// Ones in the elements of the piece below the length. Uses rdx and scratch14.
    private mutating func expandLength(_ piece: X86Piece, _ width: UInt8, to target: XMMRegister) {
        let length = state.field(layout.vectorLength), first = piece.first(width), size = piece.size, count = piece.count(width)
        // What is behind the piece is behind any length.
        func number(_ element: Int) -> Int { element < count ? first + element : Int.max >> (width == 0 ? 48 : 64 - 8 << Int(width)) }
        if width > 0 {
            asm.broadcast(size, X86Width(rawValue: width) ?? .quad, target, length)
            let greater: X86Packed = width == 1 ? .pcmpgtw : width == 2 ? .pcmpgtd : .pcmpgtq
            return asm.packed(greater, size, target, target, constant(Self.words((0..<32 >> Int(width)).map(number), width: width)))
        }
        // There may be more than a signed byte counts. Each half of the result gets its bytes of both comparisons.
        asm.broadcast(size, .word, target, length)
        let halves = size == .full ? [0, 16] : [0]
        asm.packed(.pcmpgtw, size, Self.scratch14, target, constant(Self.words(halves.flatMap { $0..<$0 + 8 }.map(number), width: 1)))
        asm.packed(.pcmpgtw, size, target, target, constant(Self.words(halves.flatMap { $0 + 8..<$0 + 16 }.map(number), width: 1)))
        asm.packed(.packsswb, size, target, Self.scratch14, target)
    }

    /// 32 bytes of elements of 2^`width` bytes, the low bits of `numbers`.
    static func words(_ numbers: [Int], width: UInt8) -> [UInt64] {
        var words = [UInt64](repeating: 0, count: 4)
        let bits = 8 << Int(width)
        for (element, number) in numbers.enumerated() {
            words[element * bits / 64] |= (UInt64(truncatingIfNeeded: number) & (bits == 64 ? .max : 1 << UInt64(bits) - 1)) << UInt64(element * bits % 64)
        }
        return words
    }

    /// laneMask = ones in the elements of the piece whose bit in v0 is set. Uses rdx and scratch12.
    mutating func expandMask(_ piece: X86Piece, _ shape: VectorShape) {
        let first = piece.first(shape.width)
        let bits = vectorMemory(.vector(0), shape, first / 8)
        let mask = Self.laneMask, size = piece.size
        switch shape.width {
        case 0:
            asm.broadcast(size, .long, mask, bits)
            loadConstant(Self.scratch12, [0, 0x0101_0101_0101_0101, 0x0202_0202_0202_0202, 0x0303_0303_0303_0303], size)
            asm.packed(.pshufb, size, mask, mask, Self.scratch12)
            let single: UInt64 = 0x8040_2010_0804_0201
            // Less than eight elements may begin in the middle of a byte.
            loadConstant(Self.scratch12, first & 7 == 0 ? [single, single, single, single] : [single >> UInt64(8 * (first & 7)), 0, 0, 0], size)
        case 1:
            asm.broadcast(size, .word, mask, bits)
            loadConstant(Self.scratch12, Self.bitLanes(width: 1, from: first & 7), size)
        case 2:
            asm.broadcast(size, .byte, mask, bits)
            loadConstant(Self.scratch12, Self.bitLanes(width: 2, from: first & 7), size)
        default:
            asm.broadcast(size, .byte, mask, bits)
            loadConstant(Self.scratch12, Self.bitLanes(width: 3, from: first & 7), size)
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

    /// Loads 32 bytes that lie behind the code, or the first half of them. Uses rdx.
    mutating func loadConstant(_ register: XMMRegister, _ words: [UInt64], _ size: X86VectorSize = .full) { asm.movdqu(size, register, constant(words)) }

    /// 32 bytes behind the code, for the next instruction. Uses rdx.
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
}
