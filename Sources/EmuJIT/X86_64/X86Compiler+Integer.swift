import EmuIR

/// Integer operations.
extension X86Compiler {
    mutating func assemble(_ i: Instruction) {
        switch i.op {
        case .mov: move(i)
        case .pc: pageAddress(i)
        case .add: add(i)
        case .addw: addWord(i)
        case .sub: binary(.sub, i, .quad, commutes: false)
        case .subw: binary(.sub, i, .long, commutes: false)
        case .and: binary(.and, i, .quad, commutes: true)
        case .or: binary(.or, i, .quad, commutes: true)
        case .xor: binary(.xor, i, .quad, commutes: true)
        case .andn, .orn, .xnor: logicNot(i)
        case .shl: shift(.shl, i, .quad)
        case .shlw: shift(.shl, i, .long)
        case .shr: shift(.shr, i, .quad)
        case .shrw: shift(.shr, i, .long)
        case .sar: shift(.sar, i, .quad)
        case .sarw: shift(.sar, i, .long)
        case .rotl: shift(.rol, i, .quad)
        case .rotlw: shift(.rol, i, .long)
        case .rotr: shift(.ror, i, .quad)
        case .rotrw: shift(.ror, i, .long)
        case .mul: multiply(i, .quad)
        case .mulw: multiply(i, .long)
        case .mulhs, .mulhu: multiplyHigh(i)
        case .mulhsu: multiplyHighMixed(i)
        case .div, .divu, .rem, .remu, .divw, .divuw, .remw, .remuw: divide(i)
        case .min: choose(i, .g)
        case .max: choose(i, .l)
        case .minu: choose(i, .a)
        case .maxu: choose(i, .b)
        case .setlt: setIf(i, .l)
        case .setltu: inherited.isCarry(of: i) ? setToFlag(i, .b) : setIf(i, .b)
        case .seteq: setIf(i, .e)
        case .setne: setIf(i, .ne)
        case .bitclear: bit(.btr, i)
        case .bitset: bit(.bts, i)
        case .bitflip: bit(.btc, i)
        case .bittest: bitTest(i)
        case .clmul, .clmulh, .clmulr: carrylessMultiply(i)
        case .zeroifeq: zeroIf(i, .e)
        case .zeroifne: zeroIf(i, .ne)
        case .shladd, .shladduw: shiftAdd(i)
        case .sext8: extend(i, .byte, signed: true)
        case .sext16: extend(i, .word, signed: true)
        case .sext32: extend(i, .long, signed: true)
        case .zext8: extend(i, .byte, signed: false)
        case .zext16: extend(i, .word, signed: false)
        case .zext32: extend(i, .long, signed: false)
        case .clz, .clzw, .ctz, .ctzw, .popcnt, .popcntw: count(i)
        case .bswap:
            load(i.a, to: target(i.dst))
            asm.bswap(target(i.dst))
            finish(i.dst, target(i.dst))
        case .orcb: orCombine(i)
        case .brev8: reverseBits(i)
        case .xperm4, .xperm8: pick(i)
        case .turnedSum: turnedSum(i, .quad)
        case .turnedSumw: turnedSum(i, .long)
        case .aes64es, .aes64esm, .aes64ds, .aes64dsm, .aes64im, .aes64ks1i: cipherHalf(i)
        case .load8s, .load8u, .load16s, .load16u, .load32s, .load32u, .load64, .loadf32, .loadf64: load(i)
        case .store8, .store16, .store32, .store64, .storef32, .storef64: store(i)
        case .loadReserved32, .loadReserved64: loadReserved(i)
        case .storeConditional32, .storeConditional64: storeConditional(i)
        case .swap32, .swap64, .fetchAdd32, .fetchAdd64, .fetchXor32, .fetchXor64, .fetchAnd32, .fetchAnd64, .fetchOr32, .fetchOr64,
            .fetchMin32, .fetchMin64, .fetchMax32, .fetchMax64, .fetchMinu32, .fetchMinu64, .fetchMaxu32, .fetchMaxu64: fetchAndModify(i)
        case .guardPrivilege: guardPrivilege(i)
        case .readState:
            asm.mov(target(i.dst), state.field(stateOffset(i)))
            finish(i.dst, target(i.dst))
        case .writeState:
            if let value = immediate(i.b) {
                asm.mov(state.field(stateOffset(i)), immediate: value)
            } else {
                asm.mov(state.field(stateOffset(i)), register(i.b, loadedTo: .rax))
            }
        case .interpret:
            callInterpreter(i.guest)
            // It may have written any f register.
            boxed = 0
        default: i.op.info.isVector ? assembleVector(i) : assembleFloat(i)
        }
    }

    private func stateOffset(_ i: Instruction) -> Int {
        guard case .constant(let offset) = i.a else { preconditionFailure("the place of a word of the state is constant") }
        return Int(offset)
    }

    private mutating func guardPrivilege(_ i: Instruction) {
        guard let level = immediate(i.a) else { preconditionFailure("a privilege is constant") }
        let entry = asm.newLabel()
        asm.alu(.cmp, state.field(layout.privilege), immediate: level, .long)
        asm.jcc(.b, entry)
        add(.bail(guest: i.guest, .guardPrivilege, entry: entry))
    }

    private mutating func move(_ i: Instruction) {
        if i.a == i.dst { return }
        if case .constant(let value) = i.a {
            if let home = home(i.dst) {
                asm.mov(home, immediate: value)
            } else if let value = Int32(exactly: value) {
                asm.mov(memory(i.dst), immediate: value)
            } else {
                asm.mov(.rax, immediate: value)
                finish(i.dst, .rax)
            }
            return
        }
        if let source = home(i.a) { return finish(i.dst, source) }
        load(i.a, to: target(i.dst))
        finish(i.dst, target(i.dst))
    }

    private mutating func pageAddress(_ i: Instruction) {
        guard case .constant(let offset) = i.a else { preconditionFailure("pc takes a constant") }
        let result = target(i.dst)
        asm.mov(result, state.field(layout.pageBase))
        if let small = Int32(exactly: offset) {
            if small != 0 { asm.alu(.add, result, immediate: small) }
        } else {
            asm.mov(.rcx, immediate: offset)
            asm.alu(.add, result, .rcx)
        }
        finish(i.dst, result)
    }

    private mutating func add(_ i: Instruction) {
        if let result = home(i.dst), let a = home(i.a), a != result {
            if let value = immediate(i.b) { return asm.lea(result, X86Memory(a, value)) }
            if let b = home(i.b), b != result { return asm.lea(result, X86Memory(a, index: b)) }
        }
        binary(.add, i, .quad, commutes: true)
        leftover = .carry(sum: i.dst, a: i.a, b: i.b)
    }

    private mutating func addWord(_ i: Instruction) {
        let result = target(i.dst)
        guard let a = home(i.a), a != result else { return binary(.add, i, .long, commutes: true) }
        if let value = immediate(i.b) {
            asm.lea(result, X86Memory(a, value), .long)
        } else if let b = home(i.b), b != result {
            asm.lea(result, X86Memory(a, index: b), .long)
        } else {
            return binary(.add, i, .long, commutes: true)
        }
        finishWidth(i.dst, result, .long)
    }

    /// dst = a op b, in the two-operand form of the host.
    private mutating func binary(_ operation: X86ALU, _ i: Instruction, _ width: X86Width, commutes: Bool) {
        var a = i.a, b = i.b
        if width == .quad && home(i.dst) == nil && a == i.dst {
            // In memory and to memory.
            if let value = immediate(b) { return asm.alu(operation, memory(i.dst), immediate: value) }
            if let b = home(b) { return asm.alu(operation, memory(i.dst), b) }
        }
        var result = target(i.dst)
        if b == i.dst && home(b) != nil && a != b {
            if commutes { swap(&a, &b) } else { result = .rax }
        }
        load(a, to: result)
        if let value = immediate(b) {
            asm.alu(operation, result, immediate: value, width)
        } else {
            asm.alu(operation, result, place(b, constantIn: .rcx), width)
        }
        finishWidth(i.dst, result, width)
    }

    /// Sign-extends a 32-bit result on its way to the destination.
    mutating func finishWidth(_ destination: Operand, _ result: X86Register, _ width: X86Width) {
        if width == .long {
            let home = target(destination)
            asm.movsx(home, result, from: .long)
            finish(destination, home)
        } else {
            finish(destination, result)
        }
    }

    /// a & ~b, a | ~b, ~(a ^ b).
    private mutating func logicNot(_ i: Instruction) {
        load(i.b, to: .rcx)
        if i.op == .andn {
            asm.andn(.rax, .rcx, place(i.a, constantIn: .rax))
        } else {
            asm.unary(.not, .rcx)
            load(i.a, to: .rax)
            asm.alu(i.op == .orn ? .or : .xor, .rax, .rcx)
        }
        finish(i.dst, .rax)
    }

    private mutating func shift(_ operation: X86Shift, _ i: Instruction, _ width: X86Width) {
        let result = target(i.dst)
        if case .constant(let value) = i.b {
            let amount = UInt8(truncatingIfNeeded: value) & (width == .long ? 31 : 63)
            if amount != 0, operation == .rol || operation == .ror, case .register(let source) = place(i.a, constantIn: .rax), source != result {
                asm.rorx(result, source, by: operation == .ror ? amount : (width == .long ? 32 : 64) - amount, width)
            } else {
                load(i.a, to: result)
                if amount != 0 { asm.shift(operation, result, by: amount, width) }
            }
            // Zeros shifted in make it a positive number.
            return finishWidth(i.dst, result, operation == .shr && amount != 0 ? .quad : width)
        }
        switch operation {
        case .shl, .shr, .sar:
            let amount = register(i.b, loadedTo: .rcx)
            let source = place(i.a, constantIn: .rdx)
            switch operation {
            case .shl: asm.shlx(result, source, amount, width)
            case .shr: asm.shrx(result, source, amount, width)
            default: asm.sarx(result, source, amount, width)
            }
            finishWidth(i.dst, result, width)
        case .rol, .ror:
            load(i.b, to: .rcx)
            load(i.a, to: .rax)
            asm.shiftByCL(operation, .rax, width)
            finishWidth(i.dst, .rax, width)
        }
    }

    private mutating func multiply(_ i: Instruction, _ width: X86Width) {
        if width == .quad {
            if case .product(i.a, i.b, _) = inherited { return finish(i.dst, .rax) }
            if let high = upcoming, high.op == .mulhu || high.op == .mulhs, high.a == i.a, high.b == i.b, i.dst != i.a, i.dst != i.b {
                multiplyToPair(i, high.op)
                return finish(i.dst, .rax)
            }
        }
        var a = i.a, b = i.b
        if case .constant = a { swap(&a, &b) }
        var result = target(i.dst)
        if let value = immediate(b) {
            asm.imul(result, place(a, constantIn: .rcx), immediate: value, width)
        } else {
            if b == i.dst && home(b) != nil {
                if a == i.dst { result = target(i.dst) } else { swap(&a, &b) }
            }
            load(a, to: result)
            asm.imul(result, place(b, constantIn: .rcx), width)
        }
        finishWidth(i.dst, result, width)
    }

    private mutating func multiplyHigh(_ i: Instruction) {
        if inherited != .product(a: i.a, b: i.b, high: i.op) { multiplyToPair(i, i.op) }
        finish(i.dst, .rdx)
    }

    /// rdx:rax = a · b, signed or unsigned as `high` wants it. Both halves are left behind, where the operands stay what they are.
    private mutating func multiplyToPair(_ i: Instruction, _ high: Opcode) {
        load(i.a, to: .rax)
        asm.unary(high == .mulhs ? .imul : .mul, place(i.b, constantIn: .rcx))
        if i.dst != i.a && i.dst != i.b { leftover = .product(a: i.a, b: i.b, high: high) }
    }

    /// Signed a, unsigned b: the unsigned product has b too much in its upper half when a is negative.
    private mutating func multiplyHighMixed(_ i: Instruction) {
        load(i.a, to: .rax)
        load(i.b, to: .rcx)
        asm.unary(.mul, .rcx)
        load(i.a, to: .rax)
        asm.shift(.sar, .rax, by: 63)
        asm.alu(.and, .rax, .rcx)
        asm.alu(.sub, .rdx, .rax)
        finish(i.dst, .rdx)
    }

    private mutating func choose(_ i: Instruction, _ condition: X86Condition) {
        load(i.a, to: .rax)
        load(i.b, to: .rcx)
        asm.alu(.cmp, .rax, .rcx)
        asm.cmov(condition, .rax, .rcx)
        finish(i.dst, .rax)
    }

    private mutating func setIf(_ i: Instruction, _ condition: X86Condition) {
        let result = target(i.dst)
        if result != .rax, result != home(i.a), result != home(i.b) {
            // Zeroed ahead of the comparison, it is there one step earlier.
            asm.alu(.xor, result, result, .long)
            compareOperands(i.a, i.b)
            asm.set(condition, result)
            return
        }
        compareOperands(i.a, i.b)
        setToFlag(i, condition)
    }

    private mutating func setToFlag(_ i: Instruction, _ condition: X86Condition) {
        let result = target(i.dst)
        asm.set(condition, result)
        asm.movzx(result, result, from: .byte)
        finish(i.dst, result)
    }

    private mutating func bit(_ operation: X86BitTest, _ i: Instruction) {
        if case .constant(let value) = i.b {
            let result = target(i.dst)
            load(i.a, to: result)
            asm.bitTest(operation, result, bit: UInt8(truncatingIfNeeded: value) & 63)
            return finish(i.dst, result)
        }
        load(i.a, to: .rax)
        asm.bitTest(operation, .rax, register(i.b, loadedTo: .rcx))
        finish(i.dst, .rax)
    }

    private mutating func bitTest(_ i: Instruction) {
        if case .constant(let value) = i.b {
            load(i.a, to: .rax)
            let amount = UInt8(truncatingIfNeeded: value) & 63
            if amount != 0 { asm.shift(.shr, .rax, by: amount) }
        } else {
            let amount = register(i.b, loadedTo: .rcx)
            asm.shrx(.rax, place(i.a, constantIn: .rdx), amount)
        }
        asm.alu(.and, .rax, immediate: 1, .long)
        finish(i.dst, .rax)
    }

    private mutating func carrylessMultiply(_ i: Instruction) {
        let a = XMMRegister(0), b = XMMRegister(1)
        asm.movq(a, register(i.a, loadedTo: .rax))
        asm.movq(b, register(i.b, loadedTo: .rcx))
        asm.pclmulqdq(.half, a, a, b, 0)
        if i.op != .clmulh { asm.movq(.rax, a) }
        if i.op != .clmul {
            asm.pshufd(.half, a, a, 0b1110_1110)
            asm.movq(.rcx, a)
        }
        switch i.op {
        case .clmul: finish(i.dst, .rax)
        case .clmulh: finish(i.dst, .rcx)
        default:
            // Bits 126…63 of the product.
            asm.shift(.shr, .rax, by: 63)
            asm.alu(.add, .rcx, .rcx)
            asm.alu(.or, .rax, .rcx)
            finish(i.dst, .rax)
        }
    }

    private mutating func zeroIf(_ i: Instruction, _ condition: X86Condition) {
        asm.alu(.xor, .rcx, .rcx, .long)
        load(i.a, to: .rax)
        asm.alu(.cmp, place(i.b, constantIn: .rdx), immediate: 0)
        asm.cmov(condition, .rax, .rcx)
        finish(i.dst, .rax)
    }

    private mutating func shiftAdd(_ i: Instruction) {
        guard case .constant(let amount) = i.c, let scale = X86Scale(rawValue: UInt8(truncatingIfNeeded: amount) & 3) else { return }
        var index = register(i.a, loadedTo: .rcx)
        if i.op == .shladduw {
            asm.mov(.rcx, index, .long)
            index = .rcx
        }
        let base = register(i.b, loadedTo: .rax)
        let result = target(i.dst)
        asm.lea(result, X86Memory(base, index: index, scale))
        finish(i.dst, result)
    }

    private mutating func extend(_ i: Instruction, _ width: X86Width, signed: Bool) {
        let result = target(i.dst)
        let source = place(i.a, constantIn: .rcx)
        if signed {
            asm.movsx(result, source, from: width)
        } else if width == .long {
            // A 32-bit move clears the upper half.
            switch source {
            case .register(let register): asm.mov(result, register, .long)
            case .memory(let memory): asm.mov(result, memory, .long)
            }
        } else {
            asm.movzx(result, source, from: width)
        }
        finish(i.dst, result)
    }

    private mutating func count(_ i: Instruction) {
        let result = target(i.dst)
        let source = place(i.a, constantIn: .rcx)
        switch i.op {
        case .clz: asm.lzcnt(result, source)
        case .clzw: asm.lzcnt(result, source, .long)
        case .ctz: asm.tzcnt(result, source)
        case .ctzw: asm.tzcnt(result, source, .long)
        case .popcnt: asm.popcnt(result, source)
        default: asm.popcnt(result, source, .long)
        }
        finish(i.dst, result)
    }

    /// Every byte that is not 0 becomes 0xff: bit 7 of (b & 0x7f) + 0x7f | b says whether byte b is not 0; m·2 − m/128 spreads it.
    private mutating func orCombine(_ i: Instruction) {
        load(i.a, to: .rax)
        asm.mov(.rcx, immediate: 0x7f7f_7f7f_7f7f_7f7f)
        asm.mov(.rdx, .rax)
        asm.alu(.and, .rdx, .rcx)
        asm.alu(.add, .rdx, .rcx)
        asm.alu(.or, .rax, .rdx)
        asm.unary(.not, .rcx)
        asm.alu(.and, .rax, .rcx)
        asm.mov(.rcx, .rax)
        asm.shift(.shr, .rcx, by: 7)
        asm.alu(.add, .rax, .rax)
        asm.alu(.sub, .rax, .rcx)
        finish(i.dst, .rax)
    }

    // MARK: Division

    private mutating func divide(_ i: Instruction) {
        let zero = asm.newLabel(), minusOne = asm.newLabel(), back = asm.newLabel()
        let width: X86Width = i.op.isWordDivision ? .long : .quad
        load(i.b, to: .rcx)
        load(i.a, to: .rax)
        asm.test(.rcx, .rcx, width)
        asm.jcc(.e, zero)
        if i.op.isSignedDivision {
            // The one quotient that does not fit traps on the host.
            asm.alu(.cmp, .rcx, immediate: -1, width)
            asm.jcc(.e, minusOne)
            if width == .long { asm.cdq() } else { asm.cqo() }
            asm.unary(.idiv, .rcx, width)
        } else {
            asm.alu(.xor, .rdx, .rdx, .long)
            asm.unary(.div, .rcx, width)
        }
        if i.op.isRemainder { asm.mov(.rax, .rdx) }
        asm.bind(back)
        finishWidth(i.dst, .rax, width)
        add(.division(i, zero: zero, minusOne: minusOne, back: back))
    }

    /// With the dividend in rax: x / 0 = −1, x % 0 = x, x / −1 = −x, x % −1 = 0.
    mutating func assembleDivisionCorners(_ i: Instruction, _ zero: X86Label, _ minusOne: X86Label, _ back: X86Label) {
        asm.bind(zero)
        if !i.op.isRemainder { asm.mov(.rax, immediate: -1) }
        asm.jmp(back)
        guard i.op.isSignedDivision else { return }
        asm.bind(minusOne)
        if i.op.isRemainder { asm.mov(.rax, immediate: 0) } else { asm.unary(.neg, .rax) }
        asm.jmp(back)
    }
}

extension X86Compiler.Leftover {
    /// Whether an unsigned comparison asks for the carry that is left: the sum is less than what was added.
    fileprivate func isCarry(of comparison: Instruction) -> Bool {
        guard case .carry(let sum, let a, let b) = self else { return false }
        return comparison.a == sum && comparison.b != sum && (comparison.b == a || comparison.b == b)
    }
}

extension Opcode {
    fileprivate var isWordDivision: Bool { self == .divw || self == .divuw || self == .remw || self == .remuw }
    fileprivate var isSignedDivision: Bool { self == .div || self == .rem || self == .divw || self == .remw }
    fileprivate var isRemainder: Bool { self == .rem || self == .remu || self == .remw || self == .remuw }
}
