/// One guest instruction: how it is encoded, who provides it, what it does and how its operands are written.
///
/// The same row drives the decoder, the disassembler, the overlap test and every generator of random instructions.
package struct RVInstruction: Sendable {
    /// Assembler name of exactly this encoding (`c.addi`, `amoadd.w`); reserved encodings are named `reserved NAME`.
    package let name: String
    /// The encoding, most significant bit first: 0 and 1 are fixed, `x` is ignored (zero as assembled), other letters are operand
    /// fields. 32 or 16 characters without spaces.
    package let pattern: String
    /// Extensions that provide it.
    package let needs: RVRequirement
    package let format: RVFormat
    package let op: RVOp
    /// Immediate of an encoding that implies one, such as 255 for `c.zext.b`.
    package let constant: Int32
    /// Names of the rows this one takes precedence over where both match. Nothing else may overlap.
    package let refines: [String]
    /// Bits that are fixed, and their values.
    package let mask: UInt32
    package let match: UInt32
    /// Bits that are ignored.
    package let ignored: UInt32
    /// Length in bytes, 2 or 4.
    package let length: Int

    init(
        _ name: String, _ pattern: String, _ needs: RVRequirement, _ format: RVFormat, _ op: RVOp, constant: Int32 = 0,
        refines: String...
    ) {
        self.init(name, pattern, needs, format, op, constant, refines)
    }

    /// An encoding inside another row's pattern that no instruction has.
    static func reserved(_ name: String, _ pattern: String, _ needs: RVRequirement, refines: String...) -> RVInstruction {
        RVInstruction("reserved \(name)", pattern, needs, .none, .illegal, 0, refines)
    }

    private init(
        _ name: String, _ pattern: String, _ needs: RVRequirement, _ format: RVFormat, _ op: RVOp, _ constant: Int32, _ refines: [String]
    ) {
        self.name = name
        self.pattern = pattern
        self.needs = needs
        self.format = format
        self.op = op
        self.constant = constant
        self.refines = refines
        var (mask, match, ignored): (UInt32, UInt32, UInt32) = (0, 0, 0)
        var width = 0
        for character in pattern.utf8 where character != UInt8(ascii: " ") {
            let one = character == UInt8(ascii: "1")
            mask = mask << 1 | (one || character == UInt8(ascii: "0") ? 1 : 0)
            match = match << 1 | (one ? 1 : 0)
            ignored = ignored << 1 | (character == UInt8(ascii: "x") ? 1 : 0)
            width += 1
        }
        precondition(width == 16 || width == 32, "\(name): a pattern has 16 or 32 places, not \(width)")
        self.mask = mask
        self.match = match
        self.ignored = ignored
        length = width / 8
    }

    /// Of two rows that match the one with more fixed bits wins; of two that name the same bits, the one that refines the other and all that refines.
    package var specificity: Int { mask.nonzeroBitCount << 8 + refines.count }
}

/// The extensions an instruction needs: any one of several combinations.
package struct RVRequirement: Sendable {
    package let alternatives: [RVExtensionSet]

    /// Every one of `extensions`.
    static func all(_ extensions: RVExtension...) -> RVRequirement {
        RVRequirement(alternatives: [RVExtensionSet(extensions)])
    }

    /// At least one of the combinations.
    static func any(_ combinations: RVRequirement...) -> RVRequirement {
        RVRequirement(alternatives: combinations.flatMap(\.alternatives))
    }

    static let zalrsc = any(all(.a), all(.zalrsc))
    static let zaamo = any(all(.a), all(.zaamo))
    /// The part of Zfh that Zfhmin has too.
    static let zfhmin = any(all(.zfh), all(.zfhmin))
    /// What Zfhmin and Zfbfmin have in common.
    static let halfMoves = any(zfhmin, all(.zfbfmin))
    /// Zfhmin's conversions from and to double precision.
    static let zfhminD = any(all(.zfh, .d), all(.zfhmin, .d))
    static let compressedDouble = any(all(.c, .d), all(.zcd))

    /// Compressed instructions, and one more extension.
    static func compressed(_ other: RVExtension...) -> RVRequirement {
        any(
            RVRequirement(alternatives: [RVExtensionSet(other + [.c])]), RVRequirement(alternatives: [RVExtensionSet(other + [.zca])]))
    }

    package func isMet(by present: RVExtensionSet) -> Bool {
        alternatives.contains { $0.isSubset(of: present) }
    }
}

/// The instruction table: every row of every extension this processor can have.
package enum RVTable {
    package static let all: [RVInstruction] = [
        i, zifencei, m, zalrsc, zaamo, zabha, zacas, zawrs, zicsr, privileged, hypervisor, smrnmi, ssctr, zicbom, zicbop, zicboz, zimop, zihint, zicfilp, zicfiss, f, d, zfh,
        zfbfmin, zfa, zba, zbb, zbc, zbs, zbkb, zbkx, zkned, zknh, zksed, zksh, zicond, c, zcd, zcb, zcmop, vectorConfiguration, vectorMemory,
        vectorInteger, vectorWidening, vectorFixedPoint, vectorFloat, vectorConversion, vectorReduction, vectorMask, vectorPermutation, vectorBits, vectorBFloat, zvkg, zvkned, zvknh, zvks,
    ].flatMap { $0 }
}
