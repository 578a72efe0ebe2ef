import EmuIR

extension RVTable {
    /// RV64I (ISA manual, "RV32I Base Integer Instruction Set" and "RV64I Base Integer Instruction Set").
    static let i: [RVInstruction] = [
        .init("lui",    "iiiiiiiiiiiiiiiiiiii ddddd 0110111", .all(.i), .upper, .lui),
        .init("auipc",  "iiiiiiiiiiiiiiiiiiii ddddd 0010111", .all(.i), .upper, .auipc),
        .init("jal",    "iiiiiiiiiiiiiiiiiiii ddddd 1101111", .all(.i), .jump, .jal),
        .init("jalr",   "iiiiiiiiiiii sssss 000 ddddd 1100111", .all(.i), .load, .jalr),
        .init("beq",    "iiiiiii ttttt sssss 000 iiiii 1100011", .all(.i), .branch, .beq),
        .init("bne",    "iiiiiii ttttt sssss 001 iiiii 1100011", .all(.i), .branch, .bne),
        .init("blt",    "iiiiiii ttttt sssss 100 iiiii 1100011", .all(.i), .branch, .blt),
        .init("bge",    "iiiiiii ttttt sssss 101 iiiii 1100011", .all(.i), .branch, .bge),
        .init("bltu",   "iiiiiii ttttt sssss 110 iiiii 1100011", .all(.i), .branch, .bltu),
        .init("bgeu",   "iiiiiii ttttt sssss 111 iiiii 1100011", .all(.i), .branch, .bgeu),
        .init("lb",     "iiiiiiiiiiii sssss 000 ddddd 0000011", .all(.i), .load, .lb),
        .init("lh",     "iiiiiiiiiiii sssss 001 ddddd 0000011", .all(.i), .load, .lh),
        .init("lw",     "iiiiiiiiiiii sssss 010 ddddd 0000011", .all(.i), .load, .lw),
        .init("lbu",    "iiiiiiiiiiii sssss 100 ddddd 0000011", .all(.i), .load, .lbu),
        .init("lhu",    "iiiiiiiiiiii sssss 101 ddddd 0000011", .all(.i), .load, .lhu),
        .init("sb",     "iiiiiii ttttt sssss 000 iiiii 0100011", .all(.i), .store, .sb),
        .init("sh",     "iiiiiii ttttt sssss 001 iiiii 0100011", .all(.i), .store, .sh),
        .init("sw",     "iiiiiii ttttt sssss 010 iiiii 0100011", .all(.i), .store, .sw),
        .init("addi",   "iiiiiiiiiiii sssss 000 ddddd 0010011", .all(.i), .i, .addi),
        .init("slti",   "iiiiiiiiiiii sssss 010 ddddd 0010011", .all(.i), .i, .slti),
        .init("sltiu",  "iiiiiiiiiiii sssss 011 ddddd 0010011", .all(.i), .i, .sltiu),
        .init("xori",   "iiiiiiiiiiii sssss 100 ddddd 0010011", .all(.i), .i, .xori),
        .init("ori",    "iiiiiiiiiiii sssss 110 ddddd 0010011", .all(.i), .i, .ori),
        .init("andi",   "iiiiiiiiiiii sssss 111 ddddd 0010011", .all(.i), .i, .andi),
        .init("add",    "0000000 ttttt sssss 000 ddddd 0110011", .all(.i), .r, .add),
        .init("sub",    "0100000 ttttt sssss 000 ddddd 0110011", .all(.i), .r, .sub),
        .init("sll",    "0000000 ttttt sssss 001 ddddd 0110011", .all(.i), .r, .sll),
        .init("slt",    "0000000 ttttt sssss 010 ddddd 0110011", .all(.i), .r, .slt),
        .init("sltu",   "0000000 ttttt sssss 011 ddddd 0110011", .all(.i), .r, .sltu),
        .init("xor",    "0000000 ttttt sssss 100 ddddd 0110011", .all(.i), .r, .xor),
        .init("srl",    "0000000 ttttt sssss 101 ddddd 0110011", .all(.i), .r, .srl),
        .init("sra",    "0100000 ttttt sssss 101 ddddd 0110011", .all(.i), .r, .sra),
        .init("or",     "0000000 ttttt sssss 110 ddddd 0110011", .all(.i), .r, .or),
        .init("and",    "0000000 ttttt sssss 111 ddddd 0110011", .all(.i), .r, .and),
        .init("fence",  "xxxx pppp qqqq xxxxx 000 xxxxx 0001111", .all(.i), .fence, .fence),
        .init("fence.tso", "1000 0011 0011 00000 000 00000 0001111", .all(.i), .fenceFull, .fence, refines: "fence"),
        .init("ecall",  "0000000 00000 00000 000 00000 1110011", .all(.i), .none, .ecall),
        .init("ebreak", "0000000 00001 00000 000 00000 1110011", .all(.i), .none, .ebreak),
        .init("lwu",    "iiiiiiiiiiii sssss 110 ddddd 0000011", .all(.i), .load, .lwu),
        .init("ld",     "iiiiiiiiiiii sssss 011 ddddd 0000011", .all(.i), .load, .ld),
        .init("sd",     "iiiiiii ttttt sssss 011 iiiii 0100011", .all(.i), .store, .sd),
        .init("slli",   "000000 iiiiii sssss 001 ddddd 0010011", .all(.i), .shift, .slli),
        .init("srli",   "000000 iiiiii sssss 101 ddddd 0010011", .all(.i), .shift, .srli),
        .init("srai",   "010000 iiiiii sssss 101 ddddd 0010011", .all(.i), .shift, .srai),
        .init("addiw",  "iiiiiiiiiiii sssss 000 ddddd 0011011", .all(.i), .i, .addiw),
        .init("slliw",  "0000000 iiiii sssss 001 ddddd 0011011", .all(.i), .shift, .slliw),
        .init("srliw",  "0000000 iiiii sssss 101 ddddd 0011011", .all(.i), .shift, .srliw),
        .init("sraiw",  "0100000 iiiii sssss 101 ddddd 0011011", .all(.i), .shift, .sraiw),
        .init("addw",   "0000000 ttttt sssss 000 ddddd 0111011", .all(.i), .r, .addw),
        .init("subw",   "0100000 ttttt sssss 000 ddddd 0111011", .all(.i), .r, .subw),
        .init("sllw",   "0000000 ttttt sssss 001 ddddd 0111011", .all(.i), .r, .sllw),
        .init("srlw",   "0000000 ttttt sssss 101 ddddd 0111011", .all(.i), .r, .srlw),
        .init("sraw",   "0100000 ttttt sssss 101 ddddd 0111011", .all(.i), .r, .sraw),
    ]

    /// Zifencei. Its operand fields are reserved for finer-grained fences and ignored.
    static let zifencei: [RVInstruction] = [
        .init("fence.i", "xxxxxxxxxxxx xxxxx 001 xxxxx 0001111", .all(.zifencei), .none, .fence_i),
    ]
}

extension RVTranslator {
    /// Lowers an instruction of RV64I that does not jump. What assemblers know as moves, `li`, `sext.w`, `zext.b`, `seqz` and `snez`
    /// becomes the operation it is meant as.
    mutating func lowerI(_ op: RVOp, _ r: DecodedOp) {
        switch op {
        case .lui: move(r, .constant(Int64(r.imm)))
        case .auipc: address(r, target(r))
        case .addi:
            if r.rs1 == 0 { return move(r, .constant(Int64(r.imm))) }
            if r.imm == 0 { return move(r, source(r.rs1)) }
            immediate(.add, r)
        case .add:
            if r.rs1 == 0 { return move(r, source(r.rs2)) }
            if r.rs2 == 0 { return move(r, source(r.rs1)) }
            binary(.add, r)
        case .addiw: r.imm == 0 ? unary(.sext32, r) : immediate(.addw, r)
        case .andi: r.imm == 0xff ? unary(.zext8, r) : immediate(.and, r)
        case .sltiu:
            if r.imm != 1 { return immediate(.setltu, r) }
            if !Self.isDiscarded(r.rd) { emit(.seteq, .integer(r.rd), source(r.rs1), .constant(0)) }
        case .sltu:
            if r.rs1 != 0 { return binary(.setltu, r) }
            if !Self.isDiscarded(r.rd) { emit(.setne, .integer(r.rd), source(r.rs2), .constant(0)) }
        case .slti: immediate(.setlt, r)
        case .xori: immediate(.xor, r)
        case .ori: immediate(.or, r)
        case .slli: immediate(.shl, r)
        case .srli: immediate(.shr, r)
        case .srai: immediate(.sar, r)
        case .slliw: immediate(.shlw, r)
        case .srliw: immediate(.shrw, r)
        case .sraiw: immediate(.sarw, r)
        case .sub: binary(.sub, r)
        case .sll: binary(.shl, r)
        case .slt: binary(.setlt, r)
        case .xor: binary(.xor, r)
        case .srl: binary(.shr, r)
        case .sra: binary(.sar, r)
        case .or: binary(.or, r)
        case .and: binary(.and, r)
        case .addw: binary(.addw, r)
        case .subw: binary(.subw, r)
        case .sllw: binary(.shlw, r)
        case .srlw: binary(.shrw, r)
        case .sraw: binary(.sarw, r)
        case .lb: load(.load8s, r)
        case .lh: load(.load16s, r)
        case .lw: load(.load32s, r)
        case .ld: load(.load64, r)
        case .lbu: load(.load8u, r)
        case .lhu: load(.load16u, r)
        case .lwu: load(.load32u, r)
        case .sb: store(.store8, r)
        case .sh: store(.store16, r)
        case .sw: store(.store32, r)
        case .sd: store(.store64, r)
        // A hart alone sees memory in order.
        case .fence: if isShared, RVProcessor.isNeeded(fence: r) { interpret() }
        default: interpret()
        }
    }

    /// Lowers an instruction that ends its block. What traps for certain, or might for want of alignment, is interpreted.
    mutating func lowerJump(_ op: RVOp, _ r: DecodedOp) -> Terminator {
        switch op {
        case .beq: branch(.eq, r)
        case .bne: branch(.ne, r)
        case .blt: branch(.lt, r)
        case .bge: branch(.ge, r)
        case .bltu: branch(.ltu, r)
        case .bgeu: branch(.geu, r)
        case .jal: jump(r)
        case .jalr: jumpRegister(r)
        default: .interpret
        }
    }

    private func branch(_ relation: Relation, _ r: DecodedOp) -> Terminator {
        let taken = target(r)
        if taken & alignmentMask != 0 { return .interpret }
        return .branch(relation, source(r.rs1), source(r.rs2), taken: taken, next: following(r))
    }

    private mutating func jump(_ r: DecodedOp) -> Terminator {
        let taken = target(r)
        if taken & alignmentMask != 0 { return .interpret }
        address(r, following(r))
        return .jump(taken)
    }

    /// After an `auipc` to its register it is a jump to a fixed place, as a call out of `jal`'s reach is.
    /// Else the target is read before the link is written.
    private mutating func jumpRegister(_ r: DecodedOp) -> Terminator {
        if alignmentMask != 0 { return .interpret }
        if let known = knownAddress(r.rs1) {
            let (taken, overflow) = known.addingReportingOverflow(r.imm)
            if !overflow {
                address(r, following(r))
                return .jump(taken & ~1)
            }
        }
        var base = source(r.rs1)
        if r.rd == r.rs1 {
            let copy = temp()
            emit(.mov, copy, base)
            base = copy
        }
        address(r, following(r))
        return .indirect(base, displacement: r.imm, isReturn: RVProcessor.isReturn(r))
    }
}
