// Rows of the vector extension: few shapes, many instructions.

/// Where the second operand of an arithmetic instruction comes from: funct3 and the letter in its name.
enum VectorForm: String {
    case ivv = "000", fvv = "001", mvv = "010", ivi = "011", ivx = "100", fvf = "101", mvx = "110"
    /// An immediate that is not sign-extended.
    case ivu = "011u"

    var function: String { String(rawValue.prefix(3)) }

    var letter: String {
        switch self {
        case .ivv, .fvv, .mvv: "v"
        case .ivi, .ivu: "i"
        case .ivx, .mvx: "x"
        case .fvf: "f"
        }
    }

    var operand: RVOperand {
        switch self {
        case .ivv, .fvv, .mvv: .vs1
        case .ivi: .vectorImmediate
        case .ivu: .csrImmediate
        case .ivx, .mvx: .rs1
        case .fvf: .fs1
        }
    }
}

extension RVTable {
    /// Rows of an operation in several forms.
    /// - Parameters:
    ///   - function: field funct6.
    ///   - first: the letter of the first operand in the name, `w` for one of twice the width.
    ///   - accumulates: vd is an operand too, and vs2 is written last.
    ///   - mask: field vm, `m` for an optional mask; `0` with a mask that is no condition, written `v0`.
    ///   - suffix: replaces the letters in the name.
    static func vector(
        _ name: String, _ function: Int, _ op: RVOp, _ forms: VectorForm..., first: String = "v", accumulates: Bool = false, mask: Character = "m",
        suffix: String? = nil, needs: RVRequirement = .all(.v)
    ) -> [RVInstruction] {
        forms.map { form in
            let last: [RVOperand] = mask == "m" ? [.vectorMask] : mask == "0" ? [.vectorCarry] : []
            return RVInstruction(
                "\(name).\(suffix ?? first + form.letter + (mask == "0" ? "m" : ""))",
                "\(binary(function, 6)) \(mask) ttttt \(form.operand == .vs1 || form.operand == .rs1 || form.operand == .fs1 ? "sssss" : "zzzzz") \(form.function) ddddd 1010111",
                needs, RVFormat(.vector, [.vd] + (accumulates ? [form.operand, .vs2] : [.vs2, form.operand]) + last), op)
        }
    }

    /// A row whose field vs1 is a function code.
    static func vectorUnary(
        _ name: String, _ function: Int, code: Int, _ op: RVOp, _ form: VectorForm, to destination: RVOperand = .vd, mask: Character = "m",
        needs: RVRequirement = .all(.v)
    ) -> RVInstruction {
        RVInstruction(
            name, "\(binary(function, 6)) \(mask) ttttt \(binary(code, 5)) \(form.function) ddddd 1010111", needs,
            RVFormat(.vector, [destination, .vs2] + (mask == "m" ? [.vectorMask] : [])), op)
    }

    /// A row whose field vs2 is fixed: a move of the second operand.
    static func vectorMove(_ name: String, _ function: Int, _ op: RVOp, _ form: VectorForm) -> RVInstruction {
        RVInstruction(
            name, "\(binary(function, 6)) 1 00000 \(form == .ivi ? "zzzzz" : "sssss") \(form.function) ddddd 1010111", .all(.v),
            RVFormat(.vector, [.vd, form.operand]), op)
    }

    /// `value` in `width` binary digits.
    static func binary(_ value: Int, _ width: Int) -> String {
        let digits = String(value, radix: 2)
        return String(repeating: "0", count: width - digits.count) + digits
    }
}
