import EmuIR

extension RVOp {
    var isCSRAccess: Bool { rawValue >= RVOp.csrrw.rawValue && rawValue <= RVOp.csrrci.rawValue }
}

extension RVTable {
    /// Zicsr: control and status registers.
    static let zicsr: [RVInstruction] = [
        .init("csrrw",  "cccccccccccc sssss 001 ddddd 1110011", .all(.zicsr), .csr, .csrrw),
        .init("csrrs",  "cccccccccccc sssss 010 ddddd 1110011", .all(.zicsr), .csr, .csrrs),
        .init("csrrc",  "cccccccccccc sssss 011 ddddd 1110011", .all(.zicsr), .csr, .csrrc),
        .init("csrrwi", "cccccccccccc zzzzz 101 ddddd 1110011", .all(.zicsr), .csrImmediate, .csrrwi),
        .init("csrrsi", "cccccccccccc zzzzz 110 ddddd 1110011", .all(.zicsr), .csrImmediate, .csrrsi),
        .init("csrrci", "cccccccccccc zzzzz 111 ddddd 1110011", .all(.zicsr), .csrImmediate, .csrrci),
    ]
}

/// What control and status registers do without consequences: those that are a field of `RVHart` and nothing else.
///
/// Blocks run on after writes of these alone, and translated code accesses them itself.
enum RVPlainCSR {
    /// The bits a write of register `number` changes (the others are zero); nil when a write has consequences.
    static func writable(_ number: Int32) -> UInt64? {
        switch number {
        // mscratch, mcause, mtval, sscratch, scause, stval
        case 0x340, 0x342, 0x343, 0x140, 0x142, 0x143: ~0
        // mepc, sepc; without compressed instructions bit 1 is zero too
        case 0x341, 0x141: ~1
        // mtvec, stvec
        case 0x305, 0x105: ~2
        default: nil
        }
    }

    /// The field of `RVHart` that reading register `number` gives, for any privilege that may access the register; nil when it is none.
    static func field(_ number: Int32) -> Int? {
        switch number {
        case 0x340: MemoryLayout<RVHart>.offset(of: \.mscratch)
        case 0x341: MemoryLayout<RVHart>.offset(of: \.mepc)
        case 0x342: MemoryLayout<RVHart>.offset(of: \.mcause)
        case 0x343: MemoryLayout<RVHart>.offset(of: \.mtval)
        case 0x302: MemoryLayout<RVHart>.offset(of: \.medeleg)
        case 0x303: MemoryLayout<RVHart>.offset(of: \.mideleg)
        case 0x304: MemoryLayout<RVHart>.offset(of: \.mie)
        case 0x305: MemoryLayout<RVHart>.offset(of: \.mtvec)
        case 0x306: MemoryLayout<RVHart>.offset(of: \.mcounteren)
        case 0x105: MemoryLayout<RVHart>.offset(of: \.stvec)
        case 0x106: MemoryLayout<RVHart>.offset(of: \.scounteren)
        case 0x140: MemoryLayout<RVHart>.offset(of: \.sscratch)
        case 0x141: MemoryLayout<RVHart>.offset(of: \.sepc)
        case 0x142: MemoryLayout<RVHart>.offset(of: \.scause)
        case 0x143: MemoryLayout<RVHart>.offset(of: \.stval)
        default: nil
        }
    }
}

// MARK: Translation

extension RVTranslator {
    /// Plain registers are read and written by translated code, behind a check of the privilege that their number asks for.
    mutating func lowerCSR(_ op: RVOp, _ r: DecodedOp) {
        let isImmediate = op == .csrrwi || op == .csrrsi || op == .csrrci
        if op == .csrrs, r.rs1 == 0, r.imm == Int32(RVCSR.vl.rawValue), hasVectors { return lowerVectorLength(r) }
        if op == .csrrs, r.rs1 == 0, r.imm == Int32(RVCSR.vlenb.rawValue), hasVectors { return lowerRegisterSize(r) }
        let replaces = op == .csrrw || op == .csrrwi
        let writes = replaces || r.rs1 != 0
        guard let field = RVPlainCSR.field(r.imm), !writes || RVPlainCSR.writable(r.imm) != nil else { return interpret() }
        guardPrivilege(r.imm >> 8 & 3)
        var old = Operand.none
        if !replaces || !Self.isDiscarded(r.rd) {
            old = temp()
            emit(.readState, old, .constant(Int64(field)))
        }
        if let mask = RVPlainCSR.writable(r.imm), writes {
            let operand = isImmediate ? Operand.constant(Int64(r.rs1)) : source(r.rs1)
            var new = operand
            if !replaces {
                new = temp()
                emit(op == .csrrs || op == .csrrsi ? .or : .andn, new, old, operand)
            }
            let kept = mask & ~(mask == ~1 ? UInt64(alignmentMask) : 0)
            if kept != ~0 {
                let masked = temp()
                emit(.and, masked, new, .constant(Int64(bitPattern: kept)))
                new = masked
            }
            emit(.writeState, .none, .constant(Int64(field)), new)
        }
        if !Self.isDiscarded(r.rd) { emit(.mov, .integer(r.rd), old) }
    }

    /// Comes before accesses to the state that take a privilege. A block's privilege does not change, so the highest one is asked for once.
    private mutating func guardPrivilege(_ level: Int32) {
        if guardedPrivilege >= level { return }
        guardedPrivilege = level
        emit(.guardPrivilege, .none, .constant(Int64(level)))
    }
}
