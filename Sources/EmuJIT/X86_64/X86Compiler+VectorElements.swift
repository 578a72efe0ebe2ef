import EmuIR

/// What the host has no vector instructions for: loops over the active elements in integer registers.
extension X86Compiler {
    private func width(_ shape: VectorShape) -> X86Width { X86Width(rawValue: shape.width) ?? .quad }

    /// rax = element r10 of a register, extended to 64 bits.
    private mutating func loadElement(_ source: X86Memory, _ shape: VectorShape, isSigned: Bool, to register: X86Register = .rax) {
        let source = element(source, shape.width), width = width(shape)
        if width == .quad {
            asm.mov(register, source)
        } else if isSigned {
            asm.movsx(register, source, from: width)
        } else {
            asm.movzx(register, source, from: width)
        }
    }

    /// dst[i] = `body` of a[i] in rax and b[i], if there is one, in rcx. `body` may use rdx.
    private mutating func mapElements(_ i: Instruction, isSigned: Bool, _ body: (inout X86Compiler) -> Void) {
        let shape = i.vector, width = width(shape)
        switch i.b {
        case .vector, .none: break
        default:
            // Its register may be r10.
            load(i.b, to: .rax)
            asm.mov(vectorScratch(0), .rax)
        }
        forEachElement(i) { compiler, _ in
            compiler.loadElement(compiler.vectorMemory(i.a, shape), shape, isSigned: isSigned)
            switch i.b {
            case .vector: compiler.loadElement(compiler.vectorMemory(i.b, shape), shape, isSigned: isSigned, to: .rcx)
            case .none: break
            default:
                let scalar = compiler.vectorScratch(0)
                if width == .quad {
                    compiler.asm.mov(.rcx, scalar)
                } else if isSigned {
                    compiler.asm.movsx(.rcx, scalar, from: width)
                } else {
                    compiler.asm.movzx(.rcx, scalar, from: width)
                }
            }
            body(&compiler)
            compiler.asm.mov(compiler.element(compiler.vectorMemory(i.dst, shape), shape.width), .rax, width)
        }
    }

    // MARK: Arithmetic

    mutating func divideElements(_ i: Instruction) {
        let isSigned = i.op == .vdiv || i.op == .vrem, isRemainder = i.op == .vrem || i.op == .vremu
        let width: X86Width = i.vector.width == 3 ? .quad : .long
        mapElements(i, isSigned: isSigned) { compiler in
            let byZero = compiler.asm.newLabel(), end = compiler.asm.newLabel()
            compiler.asm.test(.rcx, .rcx)
            compiler.asm.jcc(.e, byZero)
            if isSigned {
                let plain = compiler.asm.newLabel()
                compiler.asm.alu(.cmp, .rcx, immediate: -1)
                compiler.asm.jcc(.ne, plain)
                if isRemainder { compiler.asm.mov(.rax, immediate: 0) } else { compiler.asm.unary(.neg, .rax) }
                compiler.asm.jmp(end)
                compiler.asm.bind(plain)
                if width == .quad { compiler.asm.cqo() } else { compiler.asm.cdq() }
                compiler.asm.unary(.idiv, .rcx, width)
            } else {
                compiler.asm.alu(.xor, .rdx, .rdx, .long)
                compiler.asm.unary(.div, .rcx, width)
            }
            if isRemainder { compiler.asm.mov(.rax, .rdx) }
            compiler.asm.jmp(end)
            compiler.asm.bind(byZero)
            if !isRemainder { compiler.asm.mov(.rax, immediate: -1) }
            compiler.asm.bind(end)
        }
    }

    /// High halves of products.
    mutating func multiplyElementsHigh(_ i: Instruction) {
        let shape = i.vector
        mapElements(i, isSigned: i.op != .vmulhu) { compiler in
            if shape.width == 3 {
                // Of a negative first factor the second one is taken off what the unsigned product has.
                if i.op == .vmulhsu { compiler.asm.mov(compiler.vectorScratch(8), .rax) }
                compiler.asm.unary(i.op == .vmulh ? .imul : .mul, .rcx)
                compiler.asm.mov(.rax, .rdx)
                guard i.op == .vmulhsu else { return }
                compiler.asm.mov(.rdx, compiler.vectorScratch(8))
                compiler.asm.shift(.sar, .rdx, by: 63)
                compiler.asm.alu(.and, .rcx, .rdx)
                compiler.asm.alu(.sub, .rax, .rcx)
                return
            }
            if i.op == .vmulhsu { compiler.asm.movzx(.rcx, .rcx, from: compiler.width(shape)) }
            compiler.asm.imul(.rax, .rcx)
            compiler.asm.shift(.shr, .rax, by: 8 << shape.width)
        }
    }

    /// Amounts of their own for elements of 8 and 16 bits, and rotations.
    mutating func shiftElements(_ i: Instruction) {
        let width = width(i.vector), isRotation = i.op == .vrol || i.op == .vror
        mapElements(i, isSigned: i.op == .vsra) { compiler in
            // The host takes them modulo 32 or 64.
            if width.rawValue < X86Width.long.rawValue, !isRotation { compiler.asm.alu(.and, .rcx, immediate: 8 << Int32(width.rawValue) - 1, .long) }
            switch i.op {
            case .vsll: compiler.asm.shiftByCL(.shl, .rax)
            case .vsrl: compiler.asm.shiftByCL(.shr, .rax)
            case .vsra: compiler.asm.shiftByCL(.sar, .rax)
            case .vrol: compiler.asm.shiftByCL(.rol, .rax, width)
            default: compiler.asm.shiftByCL(.ror, .rax, width)
            }
        }
    }

    /// Zeroes before the first one, behind the last one, and ones.
    mutating func countElementBits(_ i: Instruction) {
        let bits = 8 << Int64(i.vector.width)
        mapElements(i, isSigned: false) { compiler in
            switch i.op {
            case .vclz:
                compiler.asm.lzcnt(.rax, .rax)
                if bits < 64 { compiler.asm.alu(.sub, .rax, immediate: Int32(64 - bits)) }
            case .vctz:
                if bits < 64 {
                    compiler.asm.mov(.rdx, immediate: 1 << bits)
                    compiler.asm.alu(.or, .rax, .rdx)
                }
                compiler.asm.tzcnt(.rax, .rax)
            default: compiler.asm.popcnt(.rax, .rax)
            }
        }
    }

    // MARK: Positions

    /// Numbers the active elements by the ones before them in the mask a.
    mutating func countBefore(_ i: Instruction) {
        let shape = i.vector, width = width(shape)
        asm.alu(.xor, .rcx, .rcx, .long)
        forEachElement(i) { compiler, _ in
            compiler.asm.mov(compiler.element(compiler.vectorMemory(i.dst, shape), shape.width), .rcx, width)
            compiler.testBit(i.a, shape)
            compiler.asm.alu(.adc, .rcx, immediate: 0)
        }
    }

    /// Moves the elements whose bit in the mask b is set to the first places.
    mutating func compress(_ i: Instruction) {
        let shape = i.vector, width = width(shape)
        asm.alu(.xor, .rcx, .rcx, .long)
        forEachElement(i) { compiler, next in
            compiler.testBit(i.b, shape)
            compiler.asm.jcc(.ae, next)
            compiler.asm.mov(.rax, compiler.element(compiler.vectorMemory(i.a, shape), shape.width), width)
            var target = compiler.element(compiler.vectorMemory(i.dst, shape), shape.width)
            target.index = .rcx
            compiler.asm.mov(target, .rax, width)
            compiler.asm.alu(.add, .rcx, immediate: 1)
        }
    }
}
