/// Writes instructions as GNU objdump does.
public struct RVDisassembler: Sendable {
    private let decoder: RVDecoder
    private let usesAliases: Bool
    /// Aliases of each row of the table; empty when they are not wanted.
    private let aliases: [[RVAlias]]
    /// The row that a row of the table is written as: the expansion of a compressed one, say; nil for itself.
    private let expansions: [RVInstruction?]

    /// - Parameters:
    ///   - extensions: instructions of others are unknown.
    ///   - aliases: prefer pseudo-instructions (`ret`) and expand compressed ones, as objdump does; false is its `-M no-aliases`.
    public init(extensions: RVExtensionSet, aliases: Bool) {
        decoder = RVDecoder(extensions: extensions)
        usesAliases = aliases
        guard aliases else {
            self.aliases = RVTable.all.map { _ in [] }
            // A hint that is an addition of certain registers is written as that.
            expansions = RVTable.all.map { row in
                let isNamedAddition = row.op == .hint && row.format.operands.isEmpty && row.format.layout != .none
                return isNamedAddition ? RVTable.all.first { $0.name == row.refines.first } : nil
            }
            return
        }
        let byRow = Dictionary(grouping: RVAlias.all, by: \.row)
        self.aliases = RVTable.all.map { byRow[$0.name] ?? [] }
        let full = Dictionary(
            RVTable.all.filter { $0.length == 4 && $0.op != .hint }.map { ($0.op, $0) }, uniquingKeysWith: { first, _ in first })
        expansions = RVTable.all.map { $0.length == 2 ? full[$0.op] : nil }
    }

    /// The instruction at `address` in assembler language, mnemonic and operands separated by a tab, and its length in bytes (2 or 4).
    ///
    /// What is no instruction, or has bits set that are ignored, is written as `.2byte` or `.4byte` with its value, and the all-zero halfword as `unimp`.
    /// - Parameters:
    ///   - bits: 32 bits at `address`; only the low 16 count when bits 1:0 are not 11.
    ///   - symbol: names an address (`main+0x4`), or nil; the target is then written `ADDRESS <NAME>`.
    public func text(bits: UInt32, address: UInt64, symbol: ((UInt64) -> String?)? = nil) -> (text: String, length: Int) {
        let length = bits & 3 == 3 ? 4 : 2
        guard let position = decoder.position(of: bits) else { return (unknown(bits, length), length) }
        let row = RVTable.all[position]
        if row.op == .illegal || bits & row.ignored != 0 { return (unknown(bits, length), length) }
        var r = decoder.decode(bits)
        if r.rd == 32 { r.rd = 0 }
        let writer = RVOperandWriter(op: r, address: address, symbol: symbol)
        if let alias = aliases[position].first(where: { $0.matches(r) }) { return (writer.line(alias.name, alias.operands), length) }
        let written = expansions[position] ?? row
        return (writer.line(written.name + ordering(of: written, r), written.format.operands), length)
    }

    /// `.aq`, `.rl` or `.aqrl` after an atomic's name.
    private func ordering(of row: RVInstruction, _ r: DecodedOp) -> String {
        guard row.format.layout == .atomic else { return "" }
        return ["", ".rl", ".aq", ".aqrl"][Int(r.imm & 3)]
    }

    private func unknown(_ bits: UInt32, _ length: Int) -> String {
        if length == 4 { return ".4byte\t0x\(String(bits, radix: 16))" }
        let half = bits & 0xffff
        return half != 0 ? ".2byte\t0x\(String(half, radix: 16))" : usesAliases ? "unimp" : "c.unimp"
    }
}

/// Writes the operands of one instruction.
private struct RVOperandWriter {
    let op: DecodedOp
    let address: UInt64
    let symbol: ((UInt64) -> String?)?

    func line(_ mnemonic: String, _ operands: [RVOperand]) -> String {
        let written = operands.compactMap(text)
        return written.isEmpty ? mnemonic : "\(mnemonic)\t\(written.joined(separator: ","))"
    }

    /// Nil when an operand is left out.
    private func text(_ operand: RVOperand) -> String? {
        switch operand {
        case .rd: return RVRegisterNames.integer[Int(op.rd)]
        case .rs1: return base
        case .rs2: return RVRegisterNames.integer[Int(op.rs2)]
        case .fd: return RVRegisterNames.float[Int(op.rd)]
        case .fs1: return RVRegisterNames.float[Int(op.rs1)]
        case .fs2: return RVRegisterNames.float[Int(op.rs2)]
        case .fs3: return RVRegisterNames.float[Int(op.rs3)]
        case .immediate: return String(op.imm)
        case .amount: return hex(UInt64(UInt32(bitPattern: op.imm)))
        case .upper: return hex(UInt64(UInt32(bitPattern: op.imm) >> 12))
        case .label: return String(UInt32(bitPattern: op.imm) >> 12)
        case .memory: return "\(op.imm)(\(base))"
        case .address: return "(\(base))"
        case .target:
            let target = address &+ UInt64(bitPattern: Int64(op.imm))
            if let name = symbol?(target) { return "\(String(target, radix: 16)) <\(name)>" }
            return hex(target)
        case .csr:
            let number = UInt16(truncatingIfNeeded: op.imm)
            return RVCSR.name(of: number) ?? hex(UInt64(number))
        case .csrImmediate: return String(op.rs1)
        case .rounding: return op.imm == 7 ? nil : Self.roundingNames[Int(op.imm & 7)]
        case .exactRounding: return op.imm == 0 ? nil : Self.roundingNames[Int(op.imm & 7)]
        case .towardsZero: return "rtz"
        case .fence: return "\(accesses(op.imm >> 4)),\(accesses(op.imm))"
        case .constant: return Self.constantNames[Int(op.rs1)]
        case .vd: return "v\(op.rd)"
        case .vs1: return "v\(op.rs1)"
        case .vs2: return "v\(op.rs2)"
        case .vs3: return "v\(op.rs3)"
        case .vectorImmediate: return String(Int64(bitPattern: op.signedImmediate))
        case .rotation: return String(op.rotationImmediate)
        case .vectorMask: return op.isUnmasked ? nil : "v0.t"
        case .vectorCarry: return "v0"
        case .vectorType: return vectorType(op.imm)
        }
    }

    /// A vtype with a reserved field is written as its number.
    private func vectorType(_ type: Int32) -> String {
        let lmul = Int(type & 7)
        guard type >> 8 == 0, type >> 3 & 7 < 4, lmul != 4 else { return String(type) }
        let multiplier = lmul < 4 ? "m\(1 << lmul)" : "mf\(1 << (8 - lmul))"
        return "e\(8 << (type >> 3 & 7)),\(multiplier),\(type & 64 != 0 ? "ta" : "tu"),\(type & 128 != 0 ? "ma" : "mu")"
    }

    private var base: String { RVRegisterNames.integer[Int(op.rs1)] }

    private func hex(_ value: UInt64) -> String { "0x\(String(value, radix: 16))" }

    /// The accesses a fence orders: input, output, reads, writes.
    private func accesses(_ bits: Int32) -> String {
        let set = zip("iorw", [8, 4, 2, 1] as [Int32]).filter { bits & $0.1 != 0 }.map(\.0)
        return set.isEmpty ? "unknown" : String(set)
    }

    private static let roundingNames = ["rne", "rtz", "rdn", "rup", "rmm", "unknown", "unknown", "dyn"]
    /// Constants of `fli` (unprivileged manual, "Zfa", "Load-Immediate Instructions").
    private static let constantNames = [
        "-1.0", "min", "1.52587890625e-05", "3.0517578125e-05", "0.00390625", "0.0078125", "0.0625", "0.125", "0.25", "0.3125", "0.375", "0.4375",
        "0.5", "0.625", "0.75", "0.875", "1.0", "1.25", "1.5", "1.75", "2.0", "2.5", "3.0", "4.0", "8.0", "16.0", "128.0", "256.0", "32768.0",
        "65536.0", "inf", "nan",
    ]
}

/// The calling convention's names of x0…x31 and f0…f31.
package enum RVRegisterNames {
    package static let integer = [
        "zero", "ra", "sp", "gp", "tp", "t0", "t1", "t2", "s0", "s1", "a0", "a1", "a2", "a3", "a4", "a5", "a6", "a7", "s2", "s3", "s4", "s5", "s6",
        "s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6",
    ]
    package static let float = [
        "ft0", "ft1", "ft2", "ft3", "ft4", "ft5", "ft6", "ft7", "fs0", "fs1", "fa0", "fa1", "fa2", "fa3", "fa4", "fa5", "fa6", "fa7", "fs2", "fs3",
        "fs4", "fs5", "fs6", "fs7", "fs8", "fs9", "fs10", "fs11", "ft8", "ft9", "ft10", "ft11",
    ]
}
