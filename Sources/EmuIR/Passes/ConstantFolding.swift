/// Follows constants, and distances from the page of the code, forward through a block; computes what is known and simplifies
/// what has one constant operand.
///
/// A constant of more than 32 bits is not put in a register's place (instructions do not take it), but is computed with. A
/// memory access keeps its base register, so that accesses with one base can be recognised. A constant operand of
/// a commutative operation goes to `b`.
struct ConstantFolding: IRPass {
    private enum Fact {
        case unknown
        case constant(Int64)
        /// Virtual address of the page the code runs in, plus this.
        case page(Int64)
    }

    private var facts = [Fact](repeating: .unknown, count: Slot.firstTemp)

    mutating func run(_ block: inout IRBlock) {
        forgetRegisters()
        let count = Slot.count(in: block)
        if facts.count < count { facts.append(contentsOf: repeatElement(.unknown, count: count - facts.count)) }
        for index in block.instructions.indices { visit(&block.instructions[index]) }
        visit(&block.terminator)
    }

    private mutating func forgetRegisters() {
        for slot in 0..<Slot.firstFloat { facts[slot] = .unknown }
    }

    // MARK: - What is known

    private func constant(_ operand: Operand) -> Int64? {
        switch operand {
        case .constant(let value): return value
        case .integer, .temp:
            if case .constant(let value) = facts[operand.slot] { return value }
            return nil
        case .none, .float, .vector: return nil
        }
    }

    private func page(_ operand: Operand) -> Int64? {
        switch operand {
        case .integer, .temp:
            if case .page(let distance) = facts[operand.slot] { return distance }
            return nil
        case .none, .float, .vector, .constant: return nil
        }
    }

    /// Puts a constant in a register's place.
    private func substitute(_ operand: inout Operand) {
        let slot = operand.slot
        if slot >= 0, case .constant(let value) = facts[slot], fits32(value) { operand = .constant(value) }
    }

    // MARK: - Instructions

    private mutating func visit(_ instruction: inout Instruction) {
        let info = instruction.op.info
        switch info.shape.syntax {
        case .store:
            if info.shape.b == .value { substitute(&instruction.b) }
        case .load, .probe:
            forget(instruction.dst)
        case .plain:
            if info.isPure && !info.isGuarded {
                fold(&instruction, info)
            } else if instruction.op == .interpret {
                forgetRegisters()
            } else {
                if info.shape.a == .value { substitute(&instruction.a) }
                forget(instruction.dst)
            }
        }
    }

    private mutating func forget(_ operand: Operand) {
        if operand.slot >= 0 { facts[operand.slot] = .unknown }
    }

    /// Of a pure integer operation.
    private mutating func fold(_ instruction: inout Instruction, _ info: OpcodeInfo) {
        compute(&instruction, info)
        let slot = instruction.dst.slot
        switch (instruction.op, instruction.a) {
        case (.mov, .constant(let value)):
            if case .constant(value) = facts[slot], !instruction.dst.isTemp { return instruction.a = instruction.dst }
            facts[slot] = .constant(value)
        case (.mov, let source):
            facts[slot] = facts[source.slot]
        case (.pc, .constant(let distance)):
            if case .page(distance) = facts[slot], !instruction.dst.isTemp { return instruction.become(.mov, instruction.dst) }
            facts[slot] = .page(distance)
        default:
            facts[slot] = .unknown
        }
    }

    private func compute(_ instruction: inout Instruction, _ info: OpcodeInfo) {
        if instruction.op == .pc { return }
        if let a = constant(instruction.a) {
            // Unused operands count as zero.
            let b = info.shape.b == .unused ? 0 : constant(instruction.b)
            if let b, let result = IRConstantEvaluator.evaluate(instruction.op, a, b, constant(instruction.c) ?? 0) {
                return instruction.become(constant: result)
            }
        }
        substitute(&instruction.a)
        substitute(&instruction.b)
        if info.isCommutative, case .constant = instruction.a { swap(&instruction.a, &instruction.b) }
        if case .constant(let b) = instruction.b {
            simplify(&instruction, b: b)
            if instruction.op == .add, case .constant(let b) = instruction.b, let distance = page(instruction.a), fits32(distance &+ b) {
                instruction.become(.pc, .constant(distance &+ b))
            }
        } else if case .constant(let a) = instruction.a {
            simplify(&instruction, a: a)
        } else if instruction.a == instruction.b {
            simplifyEqual(&instruction)
        }
    }

    /// With a constant for `b`.
    private func simplify(_ i: inout Instruction, b: Int64) {
        switch i.op {
        case .add, .xor, .maxu:
            if b == 0 { i.become(.mov, i.a) }
        case .sub:
            if fits32(0 &- b) { negateConstant(&i, b, into: .add) }
        case .addw:
            if b == 0 { i.become(.sext32, i.a) }
        case .subw:
            if fits32(0 &- b) { negateConstant(&i, b, into: .addw) }
        case .and:
            switch b {
            case 0: i.become(constant: 0)
            case -1: i.become(.mov, i.a)
            case 0xff: i.become(.zext8, i.a)
            case 0xffff: i.become(.zext16, i.a)
            default: break
            }
        case .or:
            if b == 0 { i.become(.mov, i.a) }
            if b == -1 { i.become(constant: -1) }
        case .andn: complementConstant(&i, b, into: .and)
        case .orn: complementConstant(&i, b, into: .or)
        case .xnor: complementConstant(&i, b, into: .xor)
        case .shl, .shr, .sar, .rotl, .rotr:
            i.b = .constant(b & 63)
            if b & 63 == 0 { i.become(.mov, i.a) }
        case .shlw, .shrw, .sarw, .rotlw, .rotrw:
            i.b = .constant(b & 31)
            if b & 31 == 0 { i.become(.sext32, i.a) }
        case .mul: simplifyMultiplication(&i, b, one: .mov, shift: .shl, negation: .sub)
        case .mulw: simplifyMultiplication(&i, b, one: .sext32, shift: .shlw, negation: .subw)
        case .mulhs, .mulhu, .mulhsu, .minu, .clmul, .clmulh, .clmulr:
            if b == 0 { i.become(constant: 0) }
        case .div, .divu, .divw, .divuw, .rem, .remu, .remw, .remuw: simplifyDivision(&i, b)
        case .setltu:
            if b == 0 { i.become(constant: 0) }
            if b == 1 { i.become(.seteq, i.a, .constant(0)) }
        case .bitclear, .bitset, .bitflip, .bittest: simplifyBit(&i, bit: b & 63)
        case .zeroifeq: b == 0 ? i.become(constant: 0) : i.become(.mov, i.a)
        case .zeroifne: b == 0 ? i.become(.mov, i.a) : i.become(constant: 0)
        case .shladd:
            if b != 0 { break }
            i.c == .constant(0) ? i.become(.mov, i.a) : i.become(.shl, i.a, i.c)
        case .shladduw:
            if b == 0 && i.c == .constant(0) { i.become(.zext32, i.a) }
        default: break
        }
    }

    private func negateConstant(_ i: inout Instruction, _ b: Int64, into op: Opcode) {
        i.become(op, i.a, .constant(0 &- b))
        simplify(&i, b: 0 &- b)
    }

    private func complementConstant(_ i: inout Instruction, _ b: Int64, into op: Opcode) {
        i.become(op, i.a, .constant(~b))
        simplify(&i, b: ~b)
    }

    private func simplifyMultiplication(_ i: inout Instruction, _ b: Int64, one: Opcode, shift: Opcode, negation: Opcode) {
        if b == 0 { return i.become(constant: 0) }
        if b == 1 { return i.become(one, i.a) }
        if b == -1 { return i.become(negation, .constant(0), i.a) }
        if let exponent = exponent(b) { i.become(shift, i.a, .constant(exponent)) }
    }

    private func simplifyDivision(_ i: inout Instruction, _ b: Int64) {
        switch (i.op, b) {
        case (.div, 0), (.divu, 0), (.divw, 0), (.divuw, 0): i.become(constant: -1)
        case (.div, 1), (.divu, 1), (.rem, 0), (.remu, 0): i.become(.mov, i.a)
        case (.divw, 1), (.divuw, 1), (.remw, 0), (.remuw, 0): i.become(.sext32, i.a)
        case (.rem, 1), (.rem, -1), (.remw, 1), (.remw, -1): i.become(constant: 0)
        case (.divu, _):
            if let exponent = exponent(b) { i.become(.shr, i.a, .constant(exponent)) }
        case (.divuw, _):
            if let exponent = exponent(b) { i.become(.shrw, i.a, .constant(exponent)) }
        case (.remu, _), (.remuw, _):
            if exponent(b) != nil {
                i.become(.and, i.a, .constant(b - 1))
                simplify(&i, b: b - 1)
            }
        default: break
        }
    }

    private func simplifyBit(_ i: inout Instruction, bit: Int64) {
        i.b = .constant(bit)
        let mask: Int64 = 1 &<< bit
        switch i.op {
        case .bitclear where fits32(~mask): i.become(.and, i.a, .constant(~mask))
        case .bitset where fits32(mask): i.become(.or, i.a, .constant(mask))
        case .bitflip where fits32(mask): i.become(.xor, i.a, .constant(mask))
        case .bittest where bit == 0: i.become(.and, i.a, .constant(1))
        case .bittest where bit == 63: i.become(.shr, i.a, .constant(63))
        default: break
        }
    }

    /// With a constant for `a` and a variable for `b`.
    private func simplify(_ i: inout Instruction, a: Int64) {
        switch i.op {
        case .shl, .shr, .sar, .rotl, .rotr, .shlw, .shrw, .sarw, .rotlw, .rotrw, .mulhsu, .rem, .remu, .remw, .remuw, .zeroifeq, .zeroifne:
            if a == 0 { i.become(constant: 0) }
        case .andn:
            if a == 0 { i.become(constant: 0) }
            if a == -1 { i.become(.xor, i.b, .constant(-1)) }
        case .orn:
            if a == 0 { i.become(.xor, i.b, .constant(-1)) }
            if a == -1 { i.become(constant: -1) }
        case .setltu:
            if a == 0 { i.become(.setne, i.b, .constant(0)) }
        case .shladd, .shladduw:
            let shifted = IRConstantEvaluator.evaluate(i.op, a, 0, constant(i.c) ?? 0) ?? 0
            if fits32(shifted) {
                i.become(.add, i.b, .constant(shifted))
                simplify(&i, b: shifted)
            }
        default: break
        }
    }

    /// With one variable for both operands.
    private func simplifyEqual(_ i: inout Instruction) {
        switch i.op {
        case .sub, .subw, .xor, .andn, .setlt, .setltu, .setne, .zeroifne: i.become(constant: 0)
        case .orn, .xnor: i.become(constant: -1)
        case .seteq: i.become(constant: 1)
        case .and, .or, .min, .max, .minu, .maxu, .zeroifeq: i.become(.mov, i.a)
        default: break
        }
    }

    /// Of a power of two greater than one.
    private func exponent(_ value: Int64) -> Int64? {
        value > 1 && value & (value - 1) == 0 ? Int64(value.trailingZeroBitCount) : nil
    }

    // MARK: - Terminators

    private func visit(_ terminator: inout Terminator) {
        switch terminator {
        case .branch(let relation, let a, let b, let taken, let next):
            terminator = folded(relation, a, b, taken: taken, next: next)
        case .indirect(let target, let displacement, _):
            if let distance = page(target), fits32(distance &+ Int64(displacement)) {
                terminator = .jump(GuestOffset(truncatingIfNeeded: distance &+ Int64(displacement)) & ~1)
            }
        case .jump, .interpret: break
        }
    }

    private func folded(_ relation: Relation, _ a: Operand, _ b: Operand, taken: GuestOffset, next: GuestOffset) -> Terminator {
        if let left = constant(a), let right = constant(b) { return .jump(relation.holds(left, right) ? taken : next) }
        if a == b { return .jump(relation.holds(0, 0) ? taken : next) }
        var (a, b) = (a, b)
        substitute(&a)
        substitute(&b)
        switch (relation, a, b) {
        case (.eq, .constant, _), (.ne, .constant, _): return .branch(relation, b, a, taken: taken, next: next)
        case (.ltu, _, .constant(0)): return .jump(next)
        case (.geu, _, .constant(0)): return .jump(taken)
        case (.ltu, _, .constant(1)): return .branch(.eq, a, .constant(0), taken: taken, next: next)
        case (.geu, _, .constant(1)): return .branch(.ne, a, .constant(0), taken: taken, next: next)
        case (.ltu, .constant(0), _): return .branch(.ne, b, .constant(0), taken: taken, next: next)
        case (.geu, .constant(0), _): return .branch(.eq, b, .constant(0), taken: taken, next: next)
        default: return .branch(relation, a, b, taken: taken, next: next)
        }
    }
}
