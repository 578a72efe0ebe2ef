import EmuIR

/// Floating point in scalar SSE and FMA instructions. MXCSR holds the guest's rounding mode and collects its flags meanwhile.
extension X86Compiler {
    static func canonicalNaN(_ format: X86Float) -> Int64 {
        format == .double ? 0x7ff8_0000_0000_0000 : Int64(bitPattern: 0xffff_ffff_7fc0_0000)
    }

    mutating func assembleFloat(_ i: Instruction) {
        switch i.op {
        case .guardFloat: guardFloat(i)
        case .faddS: arithmetic(.add, .single, i)
        case .fsubS: arithmetic(.sub, .single, i)
        case .fmulS: arithmetic(.mul, .single, i)
        case .fdivS: arithmetic(.div, .single, i)
        case .faddD: arithmetic(.add, .double, i)
        case .fsubD: arithmetic(.sub, .double, i)
        case .fmulD: arithmetic(.mul, .double, i)
        case .fdivD: arithmetic(.div, .double, i)
        case .fsqrtS: squareRoot(.single, i)
        case .fsqrtD: squareRoot(.double, i)
        case .fmaddS: multiplyAdd(.madd, .single, i)
        case .fmsubS: multiplyAdd(.msub, .single, i)
        case .fnmsubS: multiplyAdd(.nmadd, .single, i)
        case .fnmaddS: multiplyAdd(.nmsub, .single, i)
        case .fmaddD: multiplyAdd(.madd, .double, i)
        case .fmsubD: multiplyAdd(.msub, .double, i)
        case .fnmsubD: multiplyAdd(.nmadd, .double, i)
        case .fnmaddD: multiplyAdd(.nmsub, .double, i)
        case .fsgnjS, .fsgnjnS, .fsgnjxS: injectSign(i, bit: 31, .single)
        case .fsgnjD, .fsgnjnD, .fsgnjxD: injectSign(i, bit: 63, .double)
        case .fminS: extremum(.min, .or, .single, i)
        case .fmaxS: extremum(.max, .and, .single, i)
        case .fminD: extremum(.min, .or, .double, i)
        case .fmaxD: extremum(.max, .and, .double, i)
        case .feqS: equal(.single, i)
        case .feqD: equal(.double, i)
        case .fltS: less(.a, .single, i)
        case .fltD: less(.a, .double, i)
        case .fleS: less(.ae, .single, i)
        case .fleD: less(.ae, .double, i)
        case .fcvtI32StoX_t: toInteger(.single, .long, truncating: true, i)
        case .fcvtI64StoX_t: toInteger(.single, .quad, truncating: true, i)
        case .fcvtI32DtoX_t: toInteger(.double, .long, truncating: true, i)
        case .fcvtI64DtoX_t: toInteger(.double, .quad, truncating: true, i)
        case .fcvtI32StoX_r: toInteger(.single, .long, truncating: false, i)
        case .fcvtI64StoX_r: toInteger(.single, .quad, truncating: false, i)
        case .fcvtI32DtoX_r: toInteger(.double, .long, truncating: false, i)
        case .fcvtI64DtoX_r: toInteger(.double, .quad, truncating: false, i)
        case .fcvtI32toS: fromInteger(.single, .long, i)
        case .fcvtI64toS, .fcvtU32toS: fromInteger(.single, .quad, i)
        case .fcvtI32toD: fromInteger(.double, .long, i)
        case .fcvtI64toD, .fcvtU32toD: fromInteger(.double, .quad, i)
        case .fcvtStoD:
            checkBoxed(i.a, i.guest)
            asm.cvtss2sd(XMMRegister(0), upper: XMMRegister(0), floatPlace(i.a))
            finishNumber(.double, XMMRegister(0), i)
        case .fcvtDtoS:
            asm.mov(.rax, immediate: -1)
            asm.movq(XMMRegister(0), .rax)
            asm.cvtsd2ss(XMMRegister(0), upper: XMMRegister(0), floatPlace(i.a))
            finishNumber(.single, XMMRegister(0), i)
        case .movFtoX:
            if let home = floatHome(i.a) {
                asm.movq(target(i.dst), home)
            } else {
                asm.mov(target(i.dst), memory(i.a))
            }
            finish(i.dst, target(i.dst))
        case .movF32toX:
            if let home = floatHome(i.a) {
                asm.movd(.rax, home)
                asm.movsx(target(i.dst), .rax, from: .long)
            } else {
                asm.movsx(target(i.dst), memory(i.a), from: .long)
            }
            finish(i.dst, target(i.dst))
        case .movXtoF:
            load(i.a, to: .rax)
            finishFloatBits(i.dst)
            forgetBoxed(i.dst)
        case .movX32toF:
            load(i.a, to: .rcx)
            asm.mov(.rcx, .rcx, .long)
            asm.mov(.rax, immediate: ~0xffff_ffff)
            asm.alu(.or, .rax, .rcx)
            finishFloatBits(i.dst)
            noteBoxed(i)
        default: preconditionFailure("no code for \(i.op)")
        }
    }

    // MARK: Guards

    private mutating func guardFloat(_ i: Instruction) {
        // Live from the start of a run on: nothing in it calls a helper.
        if run != nil { return }
        let entry = asm.newLabel(), back = asm.newLabel()
        asm.alu(.cmp, state.field(layout.floatLive), immediate: 0, .long)
        asm.jcc(.e, entry)
        asm.bind(back)
        add(.enableFloat(guest: i.guest, entry: entry, back: back))
    }

    /// Leaves for the interpreter unless the operand is a properly boxed single.
    mutating func checkBoxed(_ operand: Operand, _ guest: UInt16) {
        guard case .float(let register) = operand, boxed >> UInt32(register) & 1 == 0 else { return }
        let entry = asm.newLabel()
        if let home = floatHome(operand) {
            asm.movq(.rax, home)
            asm.shift(.sar, .rax, by: 32)
            asm.alu(.cmp, .rax, immediate: -1, .long)
        } else {
            var upper = memory(operand)
            upper.displacement += 4
            asm.alu(.cmp, upper, immediate: -1, .long)
        }
        asm.jcc(.ne, entry)
        add(.bail(guest: guest, .guardFloat, entry: entry))
        boxed |= 1 << UInt32(register)
    }

    /// After an operation that writes a float register: singles are boxed, doubles need not be.
    mutating func noteBoxed(_ i: Instruction) {
        guard case .float(let register) = i.dst else { return }
        switch i.op {
        case .loadf64, .movXtoF: boxed &= ~(1 << UInt32(register))
        default: boxed |= 1 << UInt32(register)
        }
    }

    private mutating func forgetBoxed(_ operand: Operand) {
        if case .float(let register) = operand { boxed &= ~(1 << UInt32(register)) }
    }

    private mutating func noteFormat(_ destination: Operand, _ format: X86Float) {
        guard case .float(let register) = destination else { return }
        if format == .single { boxed |= 1 << UInt32(register) } else { boxed &= ~(1 << UInt32(register)) }
    }

    /// The instructions whose result, if it is a NaN, only other arithmetic sees before it is overwritten: they propagate it, and what they
    /// make of it is checked. (Only asked for blocks with such arithmetic.)
    func unseenResults(_ ir: IRBlock) -> Set<Int> {
        var unseen: Set<Int> = []
        let leaves = mayLeave(ir)
        for (position, each) in ir.instructions.enumerated() where each.op.isFloatArithmetic {
            for next in (position + 1)..<max(position + 1, ir.instructions.count) {
                let user = ir.instructions[next]
                let isRead = user.a == each.dst || user.b == each.dst || user.c == each.dst
                if leaves[next] || (isRead && !user.op.isFloatArithmetic) { break }
                if user.dst == each.dst {
                    unseen.insert(position)
                    break
                }
            }
        }
        return unseen
    }

    /// By instruction: whether it may leave the block, for a single that is not boxed among other reasons.
    private func mayLeave(_ ir: IRBlock) -> [Bool] {
        var known = assumedBoxed
        return ir.instructions.map { each in
            var leaves = each.op.info.mayLeave && (each.host == .none || each.op.info.isVector)
            if each.op.readsSingles {
                for case .float(let register) in [each.a, each.b, each.c] where known >> UInt32(register) & 1 == 0 {
                    leaves = true
                    known |= 1 << UInt32(register)
                }
            }
            if case .float(let register) = each.dst {
                if each.op.writesSingle { known |= 1 << UInt32(register) } else { known &= ~(1 << UInt32(register)) }
            }
            return leaves
        }
    }

    /// Writes a result, with any NaN replaced by the canonical one.
    private mutating func finishNumber(_ format: X86Float, _ result: XMMRegister, _ i: Instruction) {
        if unseen.contains(position) {
            finish(i.dst, result)
            return noteFormat(i.dst, format)
        }
        let entry = asm.newLabel(), back = asm.newLabel()
        asm.ucomis(format, result, result)
        asm.jcc(.p, entry)
        asm.bind(back)
        finish(i.dst, result)
        add(.canonicalNaN(result, format, entry: entry, back: back))
        noteFormat(i.dst, format)
    }

    private mutating func check(_ format: X86Float, _ i: Instruction) {
        guard format == .single else { return }
        checkBoxed(i.a, i.guest)
        if case .float = i.b { checkBoxed(i.b, i.guest) }
        if case .float = i.c { checkBoxed(i.c, i.guest) }
    }

    // MARK: Operations

    private mutating func arithmetic(_ operation: X86Scalar, _ format: X86Float, _ i: Instruction) {
        check(format, i)
        let result = floatHome(i.dst) ?? XMMRegister(0)
        let a = floatRegister(i.a, loadedTo: XMMRegister(1))
        asm.scalar(operation, format, result, a, floatPlace(i.b))
        finishNumber(format, result, i)
    }

    private mutating func squareRoot(_ format: X86Float, _ i: Instruction) {
        check(format, i)
        let result = floatHome(i.dst) ?? XMMRegister(0)
        let a = floatRegister(i.a, loadedTo: XMMRegister(1))
        asm.scalar(.sqrt, format, result, a, a)
        finishNumber(format, result, i)
    }

    private mutating func multiplyAdd(_ operation: X86FMA, _ format: X86Float, _ i: Instruction) {
        check(format, i)
        if let home = floatHome(i.dst), i.dst == i.c, i.dst != i.a, i.dst != i.b {
            // The accumulator in place.
            let a = floatRegister(i.a, loadedTo: XMMRegister(1))
            asm.fma(operation, .o231, format, home, a, floatPlace(i.b))
            return finishSum(format, home, i)
        }
        let result = XMMRegister(0)
        if let a = floatHome(i.a) { asm.movaps(result, a) } else { asm.movq(result, memory(i.a)) }
        let b = floatRegister(i.b, loadedTo: XMMRegister(1))
        asm.fma(operation, .o213, format, result, b, floatPlace(i.c))
        finishSum(format, result, i)
    }

    /// `finishNumber` after a fused operation; its factors are still where they were.
    private mutating func finishSum(_ format: X86Float, _ result: XMMRegister, _ i: Instruction) {
        let entry = asm.newLabel(), back = asm.newLabel()
        asm.ucomis(format, result, result)
        asm.jcc(.p, entry)
        asm.bind(back)
        finish(i.dst, result)
        add(.fusedNaN(i, result, format, entry: entry, back: back))
        noteFormat(i.dst, format)
    }

    /// The canonical NaN, and the invalid-operation flag where the host does not raise it: for infinity times zero plus a quiet NaN.
    mutating func assembleFusedNaN(_ i: Instruction, _ result: XMMRegister, _ format: X86Float) {
        let product = XMMRegister(1), canonical = asm.newLabel(), invalid = asm.newLabel()
        if let home = floatHome(i.a) { asm.movaps(product, home) } else { asm.movq(product, memory(i.a)) }
        asm.ucomis(format, product, floatPlace(i.b))
        asm.jcc(.p, canonical)
        // The product of two numbers is a NaN only then; its own flags do not count.
        asm.stmxcsr(state.field(layout.floatControl))
        asm.scalar(.mul, format, product, product, floatPlace(i.b))
        asm.ucomis(format, product, product)
        asm.jcc(.p, invalid)
        asm.ldmxcsr(state.field(layout.floatControl))
        asm.jmp(canonical)
        asm.bind(invalid)
        asm.alu(.or, state.field(layout.floatControl), immediate: 1, .long)
        asm.ldmxcsr(state.field(layout.floatControl))
        asm.bind(canonical)
        asm.mov(.rax, immediate: Self.canonicalNaN(format))
        asm.movq(result, .rax)
    }

    /// Bits of an f register in a general one.
    private mutating func bits(_ operand: Operand, to register: X86Register) {
        if let home = floatHome(operand) { asm.movq(register, home) } else { asm.mov(register, memory(operand)) }
    }

    private mutating func injectSign(_ i: Instruction, bit: UInt8, _ format: X86Float) {
        check(format, i)
        bits(i.a, to: .rax)
        if i.a == i.b {
            switch i.op {
            case .fsgnjnS, .fsgnjnD: asm.bitTest(.btc, .rax, bit: bit)
            case .fsgnjxS, .fsgnjxD: asm.bitTest(.btr, .rax, bit: bit)
            default: break
            }
        } else {
            bits(i.b, to: .rcx)
            if i.op == .fsgnjnS || i.op == .fsgnjnD { asm.unary(.not, .rcx) }
            // rcx: the sign alone.
            asm.shift(.shr, .rcx, by: bit)
            asm.alu(.and, .rcx, immediate: 1, .long)
            asm.shift(.shl, .rcx, by: bit)
            if i.op == .fsgnjxS || i.op == .fsgnjxD {
                asm.alu(.xor, .rax, .rcx)
            } else {
                asm.bitTest(.btr, .rax, bit: bit)
                asm.alu(.or, .rax, .rcx)
            }
        }
        finishFloatBits(i.dst)
        noteFormat(i.dst, format)
    }

    /// `zeros` combines equal operands, which differ at most in the sign of zero. NaNs are left to the interpreter.
    private mutating func extremum(_ operation: X86Scalar, _ zeros: X86FloatLogic, _ format: X86Float, _ i: Instruction) {
        check(format, i)
        let entry = asm.newLabel(), back = asm.newLabel(), differ = asm.newLabel(), done = asm.newLabel()
        let result = XMMRegister(0)
        if let a = floatHome(i.a) { asm.movaps(result, a) } else { asm.movq(result, memory(i.a)) }
        let b = floatRegister(i.b, loadedTo: XMMRegister(1))
        // A quiet comparison: a signalling NaN raises its flag here or in the interpreter, which is the same.
        asm.ucomis(format, result, b)
        asm.jcc(.p, entry)
        asm.jcc(.ne, differ)
        asm.logic(zeros, result, result, b)
        asm.jmp(done)
        asm.bind(differ)
        asm.scalar(operation, format, result, result, b)
        asm.bind(done)
        finish(i.dst, result)
        asm.bind(back)
        noteFormat(i.dst, format)
        add(.interpret(guest: i.guest, entry: entry, back: back))
    }

    private mutating func equal(_ format: X86Float, _ i: Instruction) {
        check(format, i)
        let a = floatRegister(i.a, loadedTo: XMMRegister(0))
        asm.ucomis(format, a, floatPlace(i.b))
        // Unordered sets the parity flag.
        asm.set(.np, .rax)
        asm.set(.e, .rcx)
        asm.alu(.and, .rax, .rcx, .long)
        let result = target(i.dst)
        asm.movzx(result, .rax, from: .byte)
        finish(i.dst, result)
    }

    /// a < b as b > a, and a <= b as b >= a: both false when unordered.
    private mutating func less(_ condition: X86Condition, _ format: X86Float, _ i: Instruction) {
        check(format, i)
        let b = floatRegister(i.b, loadedTo: XMMRegister(0))
        asm.comis(format, b, floatPlace(i.a))
        asm.set(condition, .rax)
        let result = target(i.dst)
        asm.movzx(result, .rax, from: .byte)
        finish(i.dst, result)
    }

    /// The host answers everything out of range with its most negative integer; the interpreter then finds the right answer.
    private mutating func toInteger(_ format: X86Float, _ width: X86Width, truncating: Bool, _ i: Instruction) {
        check(format, i)
        if truncating { asm.cvtts2si(format, .rax, floatPlace(i.a), width) } else { asm.cvts2si(format, .rax, floatPlace(i.a), width) }
        let entry = asm.newLabel(), back = asm.newLabel()
        if width == .long {
            asm.alu(.cmp, .rax, immediate: .min, .long)
            asm.jcc(.e, entry)
            asm.movsx(.rax, .rax, from: .long)
        } else {
            asm.mov(.rcx, immediate: .min)
            asm.alu(.cmp, .rax, .rcx)
            asm.jcc(.e, entry)
        }
        finish(i.dst, .rax)
        asm.bind(back)
        add(.interpret(guest: i.guest, entry: entry, back: back))
    }

    private mutating func fromInteger(_ format: X86Float, _ width: X86Width, _ i: Instruction) {
        let result = XMMRegister(0)
        load(i.a, to: .rcx)
        if i.op == .fcvtU32toS || i.op == .fcvtU32toD { asm.mov(.rcx, .rcx, .long) }
        // Fills the upper part: boxes a single, and cuts the dependence on what the register held.
        asm.mov(.rax, immediate: -1)
        asm.movq(result, .rax)
        asm.cvtsi2s(format, result, upper: result, .rcx, width)
        finish(i.dst, result)
        noteFormat(i.dst, format)
    }
}
