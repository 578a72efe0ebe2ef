// The text form of the IR. A unit, its blocks, then one line per instruction that starts with the position of its guest instruction;
// the last line of a block is its terminator:
//
//     unit
//     block 0x1a4 count 5
//       0: x10 = add x10, 8
//       1: x12 = load.s32 [x10 + 16]
//       2: store.64 [x2 - 8] = x1
//       3: t0 = probe.rw [x2 + 0, 32]
//       3: x12 = load.s32 [x2 + 16] via t0
//       4: branch.lt x10, x12 -> 0x1a4, 0x1b0

extension Operand: CustomStringConvertible {
    public var description: String {
        switch self {
        case .none: "none"
        case .integer(let number): "x\(number)"
        case .float(let number): "f\(number)"
        case .vector(let number): "v\(number)"
        case .temp(let number): "t\(number)"
        case .constant(let value): value.magnitude <= 4096 ? "\(value)" : hexadecimal(value)
        }
    }
}

/// `0x1f` or `-0x1f`.
func hexadecimal(_ value: some BinaryInteger & SignedInteger) -> String {
    (value < 0 ? "-0x" : "0x") + String(value.magnitude, radix: 16)
}

extension Relation: CustomStringConvertible {
    public var description: String {
        switch self {
        case .eq: "eq"
        case .ne: "ne"
        case .lt: "lt"
        case .ge: "ge"
        case .ltu: "ltu"
        case .geu: "geu"
        }
    }
}

extension ProbeRights {
    /// `r`, `w` or `rw`, with `s` behind where the answer is steady.
    var text: String { (contains(.read) ? "r" : "") + (contains(.write) ? "w" : "") + (contains(.steady) ? "s" : "") }
}

extension Instruction: CustomStringConvertible {
    /// Without the guest position.
    public var description: String {
        let info = op.info
        let name = info.name.description + (info.isVector ? vector.text(isIndexed: op == .vloadIndexed || op == .vstoreIndexed) : "")
        // Code addresses are hexadecimal, as in jumps.
        if op == .pc, case .constant(let offset) = a { return "\(dst) = pc \(hexadecimal(offset))" }
        switch info.shape.syntax {
        case .plain:
            let target = info.shape.dst == .unused ? "" : "\(dst) = "
            let sources = [(a, info.shape.a), (b, info.shape.b), (c, info.shape.c)].filter { $0.1 != .unused }.map(\.0.description)
            return target + name + (sources.isEmpty ? "" : " " + sources.joined(separator: ", ")) + when
        case .load:
            return "\(dst) = \(name) [\(a)\(distance)\(c == .none ? "" : " by \(c)")]" + via(b) + when
        case .store:
            return "\(name) [\(a)\(distance)] = \(b)" + via(c) + when
        case .probe:
            var rights = c.description
            if case .constant(let bits) = c { rights = ProbeRights(rawValue: bits).text }
            return "\(dst) = \(info.name).\(rights) [\(a)\(distance), \(b)]"
        }
    }

    /// The condition of a vector operation.
    private var when: String {
        (vector.isMasked ? " masked" : "") + (vector.traits.contains(.shortening) ? " shortening" : "") + (vector.key == nil || !op.info.isVector ? "" : " when \(hexadecimal(Int(vector.type)))")
    }

    private var distance: String { (displacement < 0 ? " - " : " + ") + String(displacement.magnitude) }
    private func via(_ host: Operand) -> String { host == .none ? "" : " via \(host)" }
}

extension VectorShape {
    /// Behind the name of the operation: bits and number of elements, the greatest number if that is another, bits of a register; fields, and
    /// registers of each; bits of an index.
    func text(isIndexed: Bool) -> String {
        ".e\(8 << Int(width)).n\(count)\(greatest == count ? "" : "of\(greatest)").r\(8 << Int(registerSize))"
            + (fields > 1 ? ".f\(fields)x\(1 << fieldSize)" : "") + (isIndexed ? ".i\(8 << Int(indexWidth))" : "")
    }
}

extension Terminator: CustomStringConvertible {
    public var description: String {
        switch self {
        case .jump(let target):
            "jump -> \(hexadecimal(target))"
        case .branch(let relation, let a, let b, let taken, let next):
            "branch.\(relation) \(a), \(b) -> \(hexadecimal(taken)), \(hexadecimal(next))"
        case .indirect(let target, let displacement, let isReturn):
            (isReturn ? "return " : "indirect ") + "\(target)" + (displacement < 0 ? " - " : " + ") + String(displacement.magnitude)
        case .interpret:
            "interpret.last"
        }
    }
}

extension IRBlock: CustomStringConvertible {
    public var description: String {
        var text = "block \(hexadecimal(offset)) count \(guestCount)"
        if tempCount != tempsNamed { text += " temps \(tempCount)" }
        text += "\n"
        for instruction in instructions { text += "  \(instruction.guest): \(instruction)\n" }
        let expectation = expected.isEmpty ? "" : " -> " + expected.map { hexadecimal($0) }.joined(separator: ", ")
        return text + "  \(terminatorGuest): \(terminator)\(expectation)\n"
    }

    /// One more than the greatest number of a temp in its text: what `tempCount` is when the text does not say.
    var tempsNamed: Int {
        var count = 0
        func see(_ operand: Operand) {
            if case .temp(let number) = operand { count = max(count, Int(number) + 1) }
        }
        for instruction in instructions {
            see(instruction.dst)
            see(instruction.a)
            see(instruction.b)
            see(instruction.c)
        }
        switch terminator {
        case .branch(_, let a, let b, _, _):
            see(a)
            see(b)
        case .indirect(let target, _, _):
            see(target)
        case .jump, .interpret: break
        }
        return count
    }
}

extension IRUnit: CustomStringConvertible {
    /// The text form; `init(text:)` reads it.
    public var description: String { "unit\n" + blocks.map(\.description).joined() }
}
