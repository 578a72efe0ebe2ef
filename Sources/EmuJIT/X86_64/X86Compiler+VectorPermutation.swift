import EmuIR

/// Moves of elements to other places: through memory, where any place is reached by an address.
extension X86Compiler {
    func scratch(_ offset: Int) -> X86Memory { state.field(layout.vectorScratch + offset) }

    /// Copies bytes of a group from or to the scratch memory, there from byte `offset`, and from byte rcx on if that is wanted.
    private mutating func copy(_ bytes: Int, from operand: Operand, _ shape: VectorShape, to offset: Int, isIndexed: Bool = false) {
        for piece in pieces(bytes) {
            load(piece, of: operand, shape, to: XMMRegister(0))
            var target = scratch(offset + piece.offset)
            if isIndexed { target.index = .rcx }
            storePiece(piece.bytes, target, XMMRegister(0))
        }
    }

    private mutating func finish(_ i: Instruction, from offset: Int, isIndexed: Bool = false) {
        for piece in pieces(i.vector.bytes) {
            var source = scratch(offset + piece.offset)
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
            for piece in pieces(shape.bytes) { storePiece(piece.bytes, scratch(group + piece.offset), XMMRegister(1)) }
            finish(i, from: 0, isIndexed: true)
        }
    }

    mutating func slideOne(_ i: Instruction) {
        let shape = i.vector, size = 1 << Int(shape.width), isUp = i.op == .vslide1up
        copy(shape.bytes, from: i.a, shape, to: isUp ? size : 0)
        let place = scratch(isUp ? 0 : shape.bytes), width = X86Width(rawValue: shape.width) ?? .quad
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

    mutating func gather(_ i: Instruction) {
        guard case .constant(let greatest) = i.c else { preconditionFailure("the greatest length is a constant") }
        let shape = i.vector, width = X86Width(rawValue: shape.width) ?? .quad
        guard case .vector = i.b else {
            load(i.b, to: .rax)
            take(i.a, shape, below: greatest)
            broadcast(.rcx, width)
            for piece in pieces(shape.bytes) {
                asm.packed(.por, piece.size, XMMRegister(0), Self.scalar, Self.scalar)
                finish(piece, of: i, XMMRegister(0))
            }
            return
        }
        for element in 0..<Int(shape.count) {
            let offset = element << Int(shape.width), index = vectorMemory(i.b, shape, offset)
            if width == .quad { asm.mov(.rax, index) } else { asm.movzx(.rax, index, from: width) }
            take(i.a, shape, below: greatest)
            asm.mov(vectorMemory(i.dst, shape, offset), .rcx, width)
        }
    }
}
