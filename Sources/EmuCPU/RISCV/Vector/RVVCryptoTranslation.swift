import EmuIR

/// Lowers Zvbc and vector cryptography. Reserved combinations are left to the interpreter, which raises the exception.
extension RVTranslator {
    /// Words of SM3 and of SHA-2 that are worked on one by one, at most.
    private static let mostWords = 64

    /// - Returns: false for what the interpreter must execute, or say that it is reserved.
    mutating func lowerVectorCrypto(_ op: RVOp, _ r: DecodedOp, _ c: VectorContext) -> Bool {
        switch op {
        case .vclmul, .vclmulh:
            guard c.width == 3, c.isPlain(r) else { return false }
            emit(op == .vclmul ? .vclmul : .vclmulh, .vector(r.rd), .vector(r.rs2), r.isVectorVector ? .vector(r.rs1) : source(r.rs1), vector: shape(c))
            return true
        case .vgmul, .vghsh:
            guard c.isBlockOperation(r) else { return false }
            emit(.vghash, .vector(r.rd), .vector(r.rs2), op == .vghsh ? .vector(r.rs1) : .constant(0), vector: shape(c))
            return true
        case .vsha2ms, .vsha2cl, .vsha2ch:
            guard c.width == 2 || c.width == 3 && hasLongHashes, c.hasElementGroups(of: 4), c.isApart(r, fromFirst: true), c.vl <= Self.mostWords else { return false }
            emit(op == .vsha2ms ? .vsha2ms : op == .vsha2cl ? .vsha2cl : .vsha2ch, .vector(r.rd), .vector(r.rs2), .vector(r.rs1), vector: shape(c))
            return true
        case .vsm3me, .vsm3c:
            guard c.width == 2, c.hasElementGroups(of: 8), c.isApart(r, fromFirst: false), c.vl <= Self.mostWords else { return false }
            emit(op == .vsm3me ? .vsm3me : .vsm3c, .vector(r.rd), .vector(r.rs2), op == .vsm3me ? .vector(r.rs1) : .constant(Int64(r.rs1)), vector: shape(c))
            return true
        default:
            guard let opcode = Self.ciphers[op], hasCiphers, c.isBlockOperation(r) else { return false }
            let constant =
                switch op {
                case .vaeskf1, .vaeskf2: RVAES.round(Int(r.rs1), of: op)
                case .vsm4k: Int(r.rs1) & 7
                default: r.hasScalarGroup ? 1 : 0
                }
            emit(opcode, .vector(r.rd), .vector(r.rs2), .constant(Int64(constant)), vector: shape(c))
            return true
        }
    }

    private static let ciphers: [RVOp: Opcode] = [
        .vaesef: .vaesef, .vaesem: .vaesem, .vaesdf: .vaesdf, .vaesdm: .vaesdm, .vaesz: .vaesz, .vaeskf1: .vaeskf1, .vaeskf2: .vaeskf2, .vsm4r: .vsm4r,
        .vsm4k: .vsm4k,
    ]
}
