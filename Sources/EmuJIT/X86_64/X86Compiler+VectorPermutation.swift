import EmuIR

/// Moves of elements to other places: through memory, where any place is reached by an address.
extension X86Compiler {
    /// Copies bytes of a group from or to the scratch memory, there from byte `offset`, and from byte rcx on if that is wanted.
    private mutating func copy(_ bytes: Int, from operand: Operand, _ shape: VectorShape, to offset: Int, isIndexed: Bool = false) {
        for piece in pieces(bytes) {
            load(piece, of: operand, shape, to: XMMRegister(0))
            var target = vectorScratch(offset + piece.offset)
            if isIndexed { target.index = .rcx }
            storePiece(piece.bytes, target, XMMRegister(0))
        }
    }

    private mutating func finish(_ i: Instruction, from offset: Int, isIndexed: Bool = false) {
        for piece in pieces(i.vector.bytes) {
            skipRest(from: piece, i.vector)
            var source = vectorScratch(offset + piece.offset)
            if isIndexed { source.index = .rcx }
            loadPiece(piece.bytes, XMMRegister(0), source)
            finish(piece, of: i, XMMRegister(0))
        }
    }

    mutating func slide(_ i: Instruction) {
        guard case .constant(let greatest) = i.c else { preconditionFailure("the greatest length is a constant") }
        let shape = i.vector, group = Int(greatest) << Int(shape.width)
        // A greater distance is the same as this one; then it is in bytes.
        asm.mov(.rax, immediate: i.op == .vslideup ? Int64(shape.count) : greatest)
        load(i.b, to: .rcx)
        asm.alu(.cmp, .rcx, .rax)
        asm.cmov(.a, .rcx, .rax)
        if shape.width > 0 { asm.shift(.shl, .rcx, by: shape.width) }
        if i.op == .vslideup {
            copy(shape.bytes, from: i.dst, shape, to: 0)
            copy(shape.bytes, from: i.a, shape, to: 0, isIndexed: true)
            finish(i, from: 0)
        } else {
            copy(group, from: i.a, shape, to: 0)
            asm.packed(.pxor, .half, XMMRegister(1), XMMRegister(1), XMMRegister(1))
            for piece in pieces(shape.bytes) { storePiece(piece.bytes, vectorScratch(group + piece.offset), XMMRegister(1)) }
            finish(i, from: 0, isIndexed: true)
        }
    }

    mutating func slideOne(_ i: Instruction) {
        let shape = i.vector, size = 1 << Int(shape.width), isUp = i.op == .vslide1up
        copy(shape.bytes, from: i.a, shape, to: isUp ? size : 0)
        var place = vectorScratch(isUp ? 0 : shape.bytes)
        if !isUp, takesAnyLength {
            asm.mov(.rcx, state.field(layout.vectorLength))
            place = vectorScratch(0)
            place.index = .rcx
            place.scale = X86Scale(rawValue: shape.width) ?? .by8
        }
        let width = X86Width(rawValue: shape.width) ?? .quad
        if let home = floatHome(i.b) {
            asm.movs(width == .quad ? .double : .single, place, home)
        } else if case .float = i.b {
            asm.mov(.rax, memory(i.b))
            asm.mov(place, .rax, width)
        } else {
            asm.mov(place, register(i.b, loadedTo: .rax), width)
        }
        finish(i, from: isUp ? 0 : size)
    }

    /// The element that rax says, or 0, in rcx. Uses rdx.
    private mutating func take(_ operand: Operand, _ shape: VectorShape, below greatest: Int64) {
        let width = X86Width(rawValue: shape.width) ?? .quad
        asm.mov(.rdx, immediate: 0)
        asm.alu(.cmp, .rax, immediate: Int32(greatest))
        asm.cmov(.ae, .rax, .rdx)
        var source = vectorMemory(operand, shape)
        source.index = .rax
        source.scale = X86Scale(rawValue: shape.width) ?? .by8
        if width == .quad { asm.mov(.rcx, source) } else { asm.movzx(.rcx, source, from: width) }
        // The comparison's flags are still there.
        asm.cmov(.ae, .rcx, .rdx)
    }

    /// Bytes of a group in which elements are looked up as bytes.
    private static let mostBytes = 128

    /// Gathers bytes by their place in the group, of which 16 at a time are a table.
    private mutating func gatherBytes(_ i: Instruction, _ greatest: Int) {
        let shape = i.vector, width = Int(shape.width), zero = XMMRegister(0), places = XMMRegister(1), inside = Self.scratch14
        func repeated(_ byte: (Int) -> Int) -> [UInt64] { Self.words((0..<32).map(byte), width: 0) }
        for piece in pieces(shape.bytes) {
            skipRest(from: piece, shape)
            let size = piece.size
            load(piece, of: i.b, shape, to: places)
            if width == 0 {
                asm.packed(.pminub, size, inside, places, constant(repeated { _ in greatest - 1 }))
                asm.packed(.pcmpeqb, size, inside, inside, places)
            } else {
                asm.packedShift([.psrlw, .psrlw, .psrld, .psrlq][width], size, inside, places, by: UInt8(greatest.trailingZeroBitCount))
                asm.packed(.pxor, size, zero, zero, zero)
                asm.packed(Self.equal[width], size, inside, inside, zero)
                // An element's bytes lie one after the other.
                asm.packed(.pshufb, size, places, places, constant(repeated { $0 & 15 & ~(1 << width - 1) }))
                asm.packedShift(.psllw, size, places, places, by: UInt8(width))
                asm.packed(.pand, size, places, places, constant(repeated { _ in 0xff << width & 0xff }))
                asm.packed(.paddb, size, places, places, constant(repeated { $0 & (1 << width - 1) }))
            }
            asm.packed(.pxor, size, zero, zero, zero)
            for table in 0..<(greatest << width + 15) / 16 {
                // What is no place in the table becomes one with its highest bit set, for which there is a zero.
                asm.packed(.pxor, size, Self.laneMask, places, constant(repeated { _ in table << 4 }))
                asm.packed(.paddusb, size, Self.laneMask, Self.laneMask, constant(repeated { _ in 0x70 }))
                let source = vectorMemory(i.a, shape, 16 * table)
                if size == .full { asm.broadcasti128(Self.scratch12, source) } else { asm.movdqu(.half, Self.scratch12, source) }
                asm.packed(.pshufb, size, Self.scratch12, Self.scratch12, Self.laneMask)
                asm.packed(.por, size, zero, zero, Self.scratch12)
            }
            asm.packed(.pand, size, zero, zero, inside)
            finish(piece, of: i, zero)
        }
    }

    mutating func gather(_ i: Instruction) {
        guard case .constant(let greatest) = i.c else { preconditionFailure("the greatest length is a constant") }
        let shape = i.vector, width = X86Width(rawValue: shape.width) ?? .quad
        guard case .vector = i.b else {
            load(i.b, to: .rax)
            take(i.a, shape, below: greatest)
            broadcast(.rcx, width)
            for piece in pieces(shape.bytes) {
                skipRest(from: piece, shape)
                asm.packed(.por, piece.size, XMMRegister(0), Self.scalar, Self.scalar)
                finish(piece, of: i, XMMRegister(0))
            }
            return
        }
        if Int(greatest) << Int(shape.width) <= Self.mostBytes, i.op == .vgather || shape.width == 1 { return gatherBytes(i, Int(greatest)) }
        // No element of the sources is overwritten.
        forEachElement(i) { compiler, _ in
            let width16 = i.op == .vgather16, index = compiler.element(compiler.vectorMemory(i.b, shape), width16 ? 1 : shape.width)
            if width16 {
                compiler.asm.movzx(.rax, index, from: .word)
            } else if width == .quad { compiler.asm.mov(.rax, index) } else { compiler.asm.movzx(.rax, index, from: width) }
            compiler.take(i.a, shape, below: greatest)
            compiler.asm.mov(compiler.element(compiler.vectorMemory(i.dst, shape), shape.width), .rcx, width)
        }
    }
}
