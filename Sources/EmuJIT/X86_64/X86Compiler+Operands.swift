import EmuIR

/// A register or memory, chosen when the code is made.
enum X86Place: X86IntegerOperand, Equatable {
    case register(X86Register)
    case memory(X86Memory)

    var encoding: X86OperandEncoding {
        switch self {
        case .register(let register): register.encoding
        case .memory(let memory): .memory(memory)
        }
    }
}

/// The same for a floating-point value.
enum XMMPlace: X86VectorOperand, Equatable {
    case register(XMMRegister)
    case memory(X86Memory)

    var encoding: X86OperandEncoding {
        switch self {
        case .register(let register): register.encoding
        case .memory(let memory): .memory(memory)
        }
    }
}

/// Where IR operands are.
extension X86Compiler {
    /// The host register that holds the operand, always or at this point, if one does.
    func home(_ operand: Operand) -> X86Register? {
        if case .integer(let guest) = operand, let home = assignment.integerHome[Int(guest)] { return home }
        return holder(operand)
    }

    /// The host register of the pool that holds the operand at this point, if one does.
    func holder(_ operand: Operand) -> X86Register? {
        if assignment.pool.isEmpty { return nil }
        return held.position(of: X86ValuePlan.slot(operand)).map { assignment.pool[$0] }
    }

    /// The state's word for a register or temp.
    func memory(_ operand: Operand) -> X86Memory {
        switch operand {
        case .integer(let guest): state.integer(guest)
        case .float(let guest): state.float(guest)
        case .temp(let number):
            window(of: operand, in: block).map { state.window($0).addend } ?? state.temporary(slot(ofTemporary: number))
        case .none, .constant, .vector: preconditionFailure("operand without a place")
        }
    }

    /// Register or memory of an operand; constants are first put into `scratch`.
    mutating func place(_ operand: Operand, constantIn scratch: X86Register) -> X86Place {
        if case .constant(let value) = operand {
            asm.mov(scratch, immediate: value)
            return .register(scratch)
        }
        if let home = home(operand) { return .register(home) }
        return .memory(memory(operand))
    }

    /// The operand in a register: its home, or `scratch` after loading it.
    mutating func register(_ operand: Operand, loadedTo scratch: X86Register) -> X86Register {
        if let home = home(operand) { return home }
        load(operand, to: scratch)
        return scratch
    }

    mutating func load(_ operand: Operand, to register: X86Register) {
        switch operand {
        case .constant(let value): asm.mov(register, immediate: value)
        default:
            if let home = home(operand) {
                if home != register { asm.mov(register, home) }
            } else {
                asm.mov(register, memory(operand))
            }
        }
    }

    /// Where a result is computed: the destination's home, or rax before `finish` stores it.
    func target(_ destination: Operand) -> X86Register { home(destination) ?? .rax }

    mutating func finish(_ destination: Operand, _ register: X86Register) {
        if let home = home(destination) {
            if home != register { asm.mov(home, register) }
        } else {
            asm.mov(memory(destination), register)
        }
    }

    func immediate(_ operand: Operand) -> Int32? {
        if case .constant(let value) = operand { return Int32(exactly: value) }
        return nil
    }

    /// rax = operand + displacement.
    mutating func addressToRAX(_ base: Operand, _ displacement: Int32) {
        if let home = home(base) {
            if displacement == 0 { asm.mov(.rax, home) } else { asm.lea(.rax, X86Memory(home, displacement)) }
        } else {
            load(base, to: .rax)
            if displacement != 0 { asm.alu(.add, .rax, immediate: displacement) }
        }
    }

    /// Flags of a − b.
    mutating func compareOperands(_ a: Operand, _ b: Operand) {
        if let value = immediate(b) {
            let place = place(a, constantIn: .rax)
            if value == 0, case .register(let register) = place {
                asm.test(register, register)
            } else {
                asm.alu(.cmp, place, immediate: value)
            }
        } else {
            let first = register(a, loadedTo: .rax)
            asm.alu(.cmp, first, place(b, constantIn: .rcx))
        }
    }

    // MARK: Floating point

    func floatHome(_ operand: Operand) -> XMMRegister? {
        if case .float(let guest) = operand { return assignment.floatHome[Int(guest)] }
        return nil
    }

    func floatPlace(_ operand: Operand) -> XMMPlace {
        if let home = floatHome(operand) { return .register(home) }
        return .memory(memory(operand))
    }

    mutating func floatRegister(_ operand: Operand, loadedTo scratch: XMMRegister) -> XMMRegister {
        if let home = floatHome(operand) { return home }
        asm.movq(scratch, memory(operand))
        return scratch
    }

    mutating func finish(_ destination: Operand, _ register: XMMRegister) {
        if let home = floatHome(destination) {
            if home != register { asm.movaps(home, register) }
        } else {
            asm.movs(.double, memory(destination), register)
        }
    }
}
