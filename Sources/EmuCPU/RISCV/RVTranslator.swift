import EmuIR

/// The front end of the translator: makes IR of a decoded block, one instruction after the other.
///
/// An extension's lowering stands beside its rows and its interpreter semantics (`lowerI` in RVI.swift, `lowerM` in RVM.swift …).
/// What is not lowered becomes an `interpret`, so the translator may always know less than the interpreter.
///
/// An integer x0 is the constant zero as a source. As a destination it makes an instruction without other effect vanish; one that
/// accesses memory or raises floating-point flags writes to a temp nobody reads.
package struct RVTranslator {
    /// Bits a jump's target must not have set.
    let alignmentMask: GuestOffset
    /// For a hart among others on threads.
    let isShared: Bool
    /// The back end compiles vector operations, and the guest has them; bytes of a vector register.
    let hasVectors: Bool
    let vlenb: Int
    /// The back end compiles operations of AES and SM4.
    let hasCiphers: Bool
    /// SHA-2 on vectors has words of 64 bits too.
    let hasLongHashes: Bool
    /// Of the vector unit at the instruction being lowered, as far as it is known or assumed.
    var configuration: VectorConfiguration?
    /// Distance of the block's first instruction from the start of its page.
    private(set) var pageOffset: GuestOffset = 0
    /// Position in the block of the instruction being lowered.
    private(set) var guest: UInt16 = 0
    private var instructions: [Instruction] = []
    private var tempCount: UInt16 = 0
    /// A `guardFloat` stands before the instruction being lowered.
    private var isFloatGuarded = false
    /// Privilege a `guardPrivilege` before the instruction being lowered makes sure of.
    var guardedPrivilege: Int32 = 0

    package init(config: RVConfig, isShared: Bool = false, hasVectors: Bool = false, hasCiphers: Bool = false) {
        self.isShared = isShared
        self.hasCiphers = hasCiphers
        hasLongHashes = config.extensions.contains(.zvknhb)
        self.hasVectors = hasVectors && config.extensions.contains(.v)
        vlenb = config.vectorLength / 8
        alignmentMask = config.extensions.contains(.zca) ? 0 : 2
    }

    /// The IR of a block. Offsets in it count from the start of the page the block lies in.
    ///
    /// SAFETY: `ops` holds `count` instructions, at least one; see `TranslationCache`.
    /// - Parameter block: must not cross a page.
    package mutating func translate(_ block: UnsafeMutablePointer<Block>) -> IRBlock {
        let ops = block.pointee.ops
        let last = Int(block.pointee.count) - 1
        pageOffset = GuestOffset(truncatingIfNeeded: block.pointee.physicalPC & 0xfff)
        tempCount = 0
        isFloatGuarded = false
        guardedPrivilege = 0
        configuration = VectorConfiguration(key: block.pointee.assumption)
        // Few instructions need more than one operation.
        instructions.reserveCapacity(last + 1 + last / 4 + 4)
        for index in 0..<last {
            guest = UInt16(truncatingIfNeeded: index)
            lower(ops[index])
        }
        guest = UInt16(truncatingIfNeeded: last)
        let terminator = lowerEnd(ops[last])
        let result = IRBlock(
            offset: pageOffset, guestCount: last + 1, instructions: instructions, terminator: terminator, terminatorGuest: guest,
            tempCount: Int(tempCount))
        // The block's array must have one owner, or the first pass to change it would copy it.
        instructions = []
        return result
    }

    // MARK: Dispatch

    /// Lowers an instruction that others follow. The operations of an extension are consecutive in `RVOp`.
    private mutating func lower(_ r: DecodedOp) {
        let op = r.rv
        switch op.rawValue {
        case RVOp.lui.rawValue...RVOp.ebreak.rawValue: lowerI(op, r)
        case RVOp.mul.rawValue...RVOp.remuw.rawValue: lowerM(op, r)
        case RVOp.add_uw.rawValue...RVOp.slli_uw.rawValue: lowerZba(op, r)
        case RVOp.andn.rawValue...RVOp.rev8.rawValue: lowerZbb(op, r)
        case RVOp.clmul.rawValue...RVOp.clmulr.rawValue: lowerZbc(op, r)
        case RVOp.pack.rawValue...RVOp.xperm8.rawValue: lowerZbk(op, r)
        case RVOp.aes64es.rawValue...RVOp.aes64ks2.rawValue: lowerZkned(op, r)
        case RVOp.sha256sum0.rawValue...RVOp.sha512sig1.rawValue: lowerZknh(op, r)
        case RVOp.sm3p0.rawValue...RVOp.sm3p1.rawValue: lowerZksh(op, r)
        case RVOp.bclr.rawValue...RVOp.bseti.rawValue: lowerZbs(op, r)
        case RVOp.czero_eqz.rawValue...RVOp.czero_nez.rawValue: lowerZicond(op, r)
        case RVOp.flw.rawValue...RVOp.fmv_w_x.rawValue: lowerF(op, r)
        case RVOp.fld.rawValue...RVOp.fcvt_d_s.rawValue: lowerD(op, r)
        case RVOp.flh.rawValue...RVOp.fcvt_h_d.rawValue: lowerZfh(op, r)
        case RVOp.csrrw.rawValue...RVOp.csrrci.rawValue: lowerCSR(op, r)
        case RVOp.lr_w.rawValue...RVOp.amomaxu_d.rawValue: lowerA(op, r)
        case RVOp.vsetvli.rawValue...RVOp.vmvr.rawValue: lowerVector(op, r)
        case RVOp.mop.rawValue: move(r, .constant(0))
        case RVOp.hint.rawValue: break
        default: interpret()
        }
    }

    /// Lowers the block's last instruction, whether it jumps or the block just ends there.
    private mutating func lowerEnd(_ r: DecodedOp) -> Terminator {
        if RVProcessor.endsBlock(r) { return lowerJump(r.rv, r) }
        lower(r)
        return .jump(following(r))
    }

    // MARK: Operands

    /// An integer register as a source.
    @inline(__always)
    func source(_ register: UInt8) -> Operand { register == 0 ? .constant(0) : .integer(register) }

    /// An integer register as the destination of an instruction that has other effects too.
    mutating func destination(_ register: UInt8) -> Operand { Self.isDiscarded(register) ? temp() : .integer(register) }

    /// The destination is x0.
    @inline(__always)
    static func isDiscarded(_ register: UInt8) -> Bool { register == 32 }

    /// A new temp.
    mutating func temp() -> Operand {
        defer { tempCount += 1 }
        return .temp(tempCount)
    }

    /// Where the instruction after `r` is.
    @inline(__always)
    func following(_ r: DecodedOp) -> GuestOffset { pageOffset &+ GuestOffset(r.offset) &+ GuestOffset(truncatingIfNeeded: r.length) }

    /// Where a pc-relative instruction points: decoded, its immediate counts from the start of the block. Its own reaches at most
    /// 2³¹ - 4096 forward and it lies inside the page, so the distance has 32 bits.
    @inline(__always)
    func target(_ r: DecodedOp) -> GuestOffset { pageOffset &+ r.imm }

    /// The address in a register that the operation before this one put there.
    func knownAddress(_ register: UInt8) -> GuestOffset? {
        guard let last = instructions.last, last.op == .pc, last.dst == .integer(register), case .constant(let distance) = last.a else { return nil }
        return GuestOffset(truncatingIfNeeded: distance)
    }

    // MARK: Shapes of instructions

    mutating func emit(
        _ op: Opcode, _ dst: Operand = .none, _ a: Operand = .none, _ b: Operand = .none, _ c: Operand = .none, displacement: Int32 = 0,
        vector: VectorShape = .none
    ) {
        instructions.append(Instruction(op, dst, a, b, c, displacement: displacement, vector: vector, guest: guest))
    }

    /// The interpreter executes the instruction.
    mutating func interpret() { emit(.interpret) }

    /// rd = value.
    mutating func move(_ r: DecodedOp, _ value: Operand) {
        if Self.isDiscarded(r.rd) || value == .integer(r.rd) { return }
        emit(.mov, .integer(r.rd), value)
    }

    /// rd = op rs1.
    mutating func unary(_ op: Opcode, _ r: DecodedOp) {
        if Self.isDiscarded(r.rd) { return }
        emit(op, .integer(r.rd), source(r.rs1))
    }

    /// rd = rs1 op rs2.
    mutating func binary(_ op: Opcode, _ r: DecodedOp) {
        if Self.isDiscarded(r.rd) { return }
        emit(op, .integer(r.rd), source(r.rs1), source(r.rs2))
    }

    /// rd = rs1 op immediate.
    mutating func immediate(_ op: Opcode, _ r: DecodedOp) {
        if Self.isDiscarded(r.rd) { return }
        emit(op, .integer(r.rd), source(r.rs1), .constant(Int64(r.imm)))
    }

    /// rd = start of the page + distance.
    mutating func address(_ r: DecodedOp, _ distance: GuestOffset) {
        if Self.isDiscarded(r.rd) { return }
        emit(.pc, .integer(r.rd), .constant(Int64(distance)))
    }

    /// rd = memory[rs1 + immediate].
    mutating func load(_ op: Opcode, _ r: DecodedOp) {
        emit(op, destination(r.rd), source(r.rs1), displacement: r.imm)
    }

    /// memory[rs1 + immediate] = rs2.
    mutating func store(_ op: Opcode, _ r: DecodedOp) {
        emit(op, .none, source(r.rs1), source(r.rs2), displacement: r.imm)
    }

    /// Comes before every lowered floating-point operation. One guard serves the rest of the block: nothing inside a block turns
    /// floating point off or changes the dynamic rounding mode, since writes to CSRs with consequences end blocks.
    mutating func guardFloat() {
        if isFloatGuarded { return }
        isFloatGuarded = true
        emit(.guardFloat)
    }
}
