/// Makes one instruction of a few that belong together: shifts that extend, shifts before additions, shifts that rotate, and comparisons
/// before branches. Extensions of what is extended already become moves.
///
/// The last instruction of such a group is rewritten to read what the first one reads, which must not have been written since. The
/// first one stays: `DeadWrites` drops it when nobody needs it. Where the first one overwrites its own operand (`x5 = shl x5, 32`) it is
/// dropped here, which needs that nobody has seen its result.
struct Fusion: IRPass {
    /// How many instructions are looked at one by one; keeps the pass linear.
    private static let horizon = 12

    /// Index of the instruction that wrote a variable last, or -1.
    private var definitions = [Int](repeating: -1, count: Slot.firstTemp)
    /// Index of the instruction that read a variable last, or -1.
    private var reads = [Int](repeating: -1, count: Slot.firstTemp)
    /// Index of the last instruction that may leave.
    private var lastLeave = -1
    private var hasDropped = false

    mutating func run(_ block: inout IRBlock) {
        let count = Slot.count(in: block)
        if definitions.count < count {
            definitions.append(contentsOf: repeatElement(-1, count: count - definitions.count))
            reads.append(contentsOf: repeatElement(-1, count: count - reads.count))
        }
        for slot in 0..<count {
            definitions[slot] = -1
            reads[slot] = -1
        }
        lastLeave = -1
        hasDropped = false
        for index in block.instructions.indices {
            fuse(&block.instructions, index)
            note(block.instructions[index], index)
        }
        fuse(&block.terminator, block.instructions)
        if hasDropped { block.removeDropped() }
    }

    private mutating func note(_ instruction: Instruction, _ index: Int) {
        if instruction.op == .mov && instruction.a == instruction.dst { return }
        noteRead(instruction.a, index)
        noteRead(instruction.b, index)
        noteRead(instruction.c, index)
        if instruction.op.info.mayLeave { lastLeave = index }
        if instruction.op == .interpret {
            for slot in 0..<Slot.firstTemp { definitions[slot] = index }
        }
        let slot = instruction.dst.slot
        if slot >= 0 { definitions[slot] = index }
    }

    private mutating func noteRead(_ operand: Operand, _ index: Int) {
        let slot = operand.slot
        if slot >= 0 { reads[slot] = index }
    }

    // MARK: - What may be read

    /// Index of the instruction that computed a variable's value.
    private func definition(of operand: Operand) -> Int? {
        let slot = operand.slot
        if slot < 0 || definitions[slot] < 0 { return nil }
        return definitions[slot]
    }

    /// Whether an operand still has the value it had before the instruction at `index`.
    private func isUnchanged(_ operand: Operand, since index: Int) -> Bool {
        let slot = operand.slot
        return slot < 0 || definitions[slot] < index
    }

    /// Whether the instruction at `first` can be dropped, for one that writes `dst` is next: it wrote `dst` too, and nobody has
    /// read that.
    private func isUnseen(_ first: Int, before dst: Operand) -> Bool {
        let slot = dst.slot
        return definitions[slot] == first && reads[slot] <= first && lastLeave <= first
    }

    /// Makes `operand`, read by the instruction at `first`, readable by one that writes `dst` in its stead: it is unchanged, or `first`
    /// alone changed it and is dropped.
    private mutating func reach(_ operand: Operand, past first: Int, for dst: Operand, _ instructions: inout [Instruction]) -> Bool {
        if isUnchanged(operand, since: first) { return true }
        guard operand == dst, isUnseen(first, before: dst) else { return false }
        instructions[first].drop()
        hasDropped = true
        return true
    }

    // MARK: - Instructions

    private mutating func fuse(_ instructions: inout [Instruction], _ index: Int) {
        switch instructions[index].op {
        case .shr, .sar: fuseShifts(&instructions, index)
        case .add:
            if fuseRotation(&instructions, index) { return }
            fuseShiftedAddition(&instructions, index)
        case .or, .xor: _ = fuseRotation(&instructions, index)
        case .shladd: fuseExtendedAddition(&instructions, index)
        case .seteq, .setne: fuseComparison(&instructions, index)
        case .sext8, .sext16, .sext32, .zext8, .zext16, .zext32: dropExtension(&instructions, index)
        default: break
        }
    }

    /// shl n, then shr or sar n: an extension. shl 32, then shr 32 - k: an extension shifted by k.
    private mutating func fuseShifts(_ instructions: inout [Instruction], _ index: Int) {
        let second = instructions[index]
        guard case .constant(let right) = second.b, let first = definition(of: second.a) else { return }
        let shifted = instructions[first].a
        guard instructions[first].op == .shl, case .constant(let left) = instructions[first].b else { return }
        var fused = second
        switch (second.op, left, right) {
        case (.shr, 32, 32): fused.become(.zext32, shifted)
        case (.shr, 48, 48): fused.become(.zext16, shifted)
        case (.shr, 56, 56): fused.become(.zext8, shifted)
        case (.sar, 32, 32): fused.become(.sext32, shifted)
        case (.sar, 48, 48): fused.become(.sext16, shifted)
        case (.sar, 56, 56): fused.become(.sext8, shifted)
        case (.shr, 32, 29...31): fused.become(.shladduw, shifted, .constant(0), .constant(32 - right))
        default: return
        }
        if reach(shifted, past: first, for: second.dst, &instructions) { instructions[index] = fused }
    }

    /// A value shifted left by 1 to 3 or zero-extended, then added.
    private mutating func fuseShiftedAddition(_ instructions: inout [Instruction], _ index: Int) {
        let addition = instructions[index]
        if addition.a == addition.b { return }
        for (shifted, other) in [(addition.a, addition.b), (addition.b, addition.a)] {
            guard let first = definition(of: shifted) else { continue }
            let shift = instructions[first]
            var fused = addition
            switch (shift.op, shift.b) {
            case (.shl, .constant(let amount)) where 1...3 ~= amount: fused.become(.shladd, shift.a, other, shift.b)
            case (.shladduw, .constant(0)): fused.become(.shladduw, shift.a, other, shift.c)
            case (.zext32, _): fused.become(.shladduw, shift.a, other, .constant(0))
            default: continue
            }
            if replace(&instructions, index, with: fused, first: first) { return }
        }
    }

    /// A value zero-extended, then shifted and added.
    private mutating func fuseExtendedAddition(_ instructions: inout [Instruction], _ index: Int) {
        let addition = instructions[index]
        guard addition.a != addition.b, let first = definition(of: addition.a), instructions[first].op == .zext32 else { return }
        var fused = addition
        fused.become(.shladduw, instructions[first].a, addition.b, addition.c)
        _ = replace(&instructions, index, with: fused, first: first)
    }

    /// Worth it only when the result of the first instruction is not needed besides.
    private mutating func replace(_ instructions: inout [Instruction], _ index: Int, with fused: Instruction, first: Int) -> Bool {
        let between = instructions[first].dst
        guard between.isTemp || fused.dst == between || isOverwrittenSoon(between, after: index, instructions) else { return false }
        guard reach(fused.a, past: first, for: fused.dst, &instructions) else { return false }
        instructions[index] = fused
        return true
    }

    private func isOverwrittenSoon(_ register: Operand, after index: Int, _ instructions: [Instruction]) -> Bool {
        for next in instructions[(index + 1)...].prefix(Self.horizon) {
            if next.a == register || next.b == register || next.c == register || next.op.info.mayLeave { return false }
            if next.dst == register { return true }
        }
        return false
    }

    /// A value shifted left and the same value shifted right, which together have all its bits, joined.
    private mutating func fuseRotation(_ instructions: inout [Instruction], _ index: Int) -> Bool {
        let join = instructions[index]
        guard let one = definition(of: join.a), let two = definition(of: join.b), one != two else { return false }
        var (left, right) = (instructions[one], instructions[two])
        if left.op == .shr || left.op == .shrw { swap(&left, &right) }
        guard left.a == right.a, case .constant(let up) = left.b, case .constant(let down) = right.b, up > 0, down > 0 else { return false }
        var fused = join
        switch (left.op, right.op, up + down) {
        case (.shl, .shr, 64): fused.become(.rotl, left.a, left.b)
        case (.shlw, .shrw, 32): fused.become(.rotlw, left.a, left.b)
        default: return false
        }
        // Both shifts must have read the same value.
        let (earlier, later) = (min(one, two), max(one, two))
        guard later - earlier <= Self.horizon, isUnwritten(fused.a, from: earlier, to: later, instructions) else { return false }
        guard reach(fused.a, past: later, for: fused.dst, &instructions) else { return false }
        instructions[index] = fused
        return true
    }

    private func isUnwritten(_ operand: Operand, from start: Int, to end: Int, _ instructions: [Instruction]) -> Bool {
        instructions[start..<end].allSatisfy { $0.dst != operand && ($0.op != .interpret || operand.isTemp) }
    }

    /// A difference compared with zero compares the operands; a comparison compared with zero is the comparison or its inverse.
    private mutating func fuseComparison(_ instructions: inout [Instruction], _ index: Int) {
        let second = instructions[index]
        guard second.b == .constant(0), let first = definition(of: second.a) else { return }
        let compared = instructions[first]
        var fused = second
        switch (compared.op, second.op) {
        case (.xor, _), (.sub, _): fused.become(second.op, compared.a, compared.b)
        case (.seteq, .seteq): fused.become(.setne, compared.a, compared.b)
        case (.setne, .seteq): fused.become(.seteq, compared.a, compared.b)
        case (_, .setne) where compared.isUnsigned(bits: 1): return instructions[index].become(.mov, second.a)
        default: return
        }
        if isUnchanged(compared.b, since: first), reach(compared.a, past: first, for: second.dst, &instructions) {
            instructions[index] = fused
        } else if isUnchanged(compared.a, since: first), reach(compared.b, past: first, for: second.dst, &instructions) {
            instructions[index] = fused
        }
    }

    private func dropExtension(_ instructions: inout [Instruction], _ index: Int) {
        let extended = instructions[index].a
        guard let first = definition(of: extended) else { return }
        let source = instructions[first]
        let isExtended =
            switch instructions[index].op {
            case .sext8: source.isSigned(bits: 8)
            case .sext16: source.isSigned(bits: 16)
            case .sext32: source.isSigned(bits: 32)
            case .zext8: source.isUnsigned(bits: 8)
            case .zext16: source.isUnsigned(bits: 16)
            case .zext32: source.isUnsigned(bits: 32)
            default: false
            }
        if isExtended { instructions[index].become(.mov, extended) }
    }

    // MARK: - The terminator

    /// A comparison or a difference compared with zero, then branched on. What is compared must be unchanged: at the end of a block all
    /// registers are needed.
    private func fuse(_ terminator: inout Terminator, _ instructions: [Instruction]) {
        while case .branch(let relation, let a, .constant(0), let taken, let next) = terminator, relation == .eq || relation == .ne,
            let first = definition(of: a)
        {
            let compared = instructions[first]
            guard isUnchanged(compared.a, since: first), isUnchanged(compared.b, since: first) else { return }
            let whenNotZero: Relation
            switch compared.op {
            case .mov:
                // A constant is for ConstantFolding to compare.
                if compared.a.slot < 0 { return }
                terminator = .branch(relation, compared.a, .constant(0), taken: taken, next: next)
                continue
            case .setlt: whenNotZero = .lt
            case .setltu: whenNotZero = .ltu
            case .seteq: whenNotZero = .eq
            case .setne, .xor, .sub: whenNotZero = .ne
            default: return
            }
            terminator = .branch(relation == .ne ? whenNotZero : whenNotZero.inverted, compared.a, compared.b, taken: taken, next: next)
        }
    }
}

extension Instruction {
    /// Whether its result is a signed number of so many bits.
    fileprivate func isSigned(bits: Int) -> Bool {
        switch op {
        case .load8s, .sext8: true
        case .load16s, .sext16: bits >= 16
        case .load32s, .sext32, .addw, .subw, .shlw, .shrw, .sarw, .rotlw, .rotrw, .mulw, .divw, .divuw, .remw, .remuw,
            .fcvtI32StoX_t, .fcvtI32DtoX_t, .fcvtI32StoX_r, .fcvtI32DtoX_r, .movF32toX:
            bits >= 32
        default: isUnsigned(bits: bits - 1)
        }
    }

    /// Whether its result is an unsigned number of so many bits.
    fileprivate func isUnsigned(bits: Int) -> Bool {
        switch op {
        case .setlt, .setltu, .seteq, .setne, .bittest, .feqS, .fltS, .fleS, .feqD, .fltD, .fleD: return bits >= 1
        case .clz, .clzw, .ctz, .ctzw, .popcnt, .popcntw: return bits >= 7
        case .load8u, .zext8: return bits >= 8
        case .load16u, .zext16: return bits >= 16
        case .load32u, .zext32: return bits >= 32
        case .and:
            if case .constant(let mask) = b { return mask >= 0 && mask &>> Int64(bits) == 0 }
            return false
        case .shr:
            if case .constant(let amount) = b { return 64 - amount & 63 <= bits }
            return false
        default: return false
        }
    }
}
