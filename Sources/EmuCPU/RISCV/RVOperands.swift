extension RVLayout {
    /// The operands of an instruction of this layout; opcode and raw bits are left to the caller.
    @inline(__always)
    func operands(of raw: UInt32) -> DecodedOp {
        let bits = RVBits(raw: raw)
        switch self {
        case .none: return DecodedOp(op: 0)
        case .r: return DecodedOp(op: 0, rd: bits.rd, rs1: bits.rs1, rs2: bits.rs2)
        case .unary: return DecodedOp(op: 0, rd: bits.rd, rs1: bits.rs1)
        case .r4: return DecodedOp(op: 0, rd: bits.rd, rs1: bits.rs1, rs2: bits.rs2, rs3: bits.field(27, 5), imm: bits.at(12, 3))
        case .rounded: return DecodedOp(op: 0, rd: bits.rd, rs1: bits.rs1, rs2: bits.rs2, imm: bits.at(12, 3))
        case .unaryRounded: return DecodedOp(op: 0, rd: bits.rd, rs1: bits.rs1, imm: bits.at(12, 3))
        case .i: return DecodedOp(op: 0, rd: bits.rd, rs1: bits.rs1, imm: bits.signed(20, 12))
        case .s: return DecodedOp(op: 0, rs1: bits.rs1, rs2: bits.rs2, imm: bits.signed(25, 7) << 5 | bits.at(7, 5))
        case .b:
            let offset = bits.signed(31, 1) << 12 | bits.at(7, 1) << 11 | bits.at(25, 6) << 5 | bits.at(8, 4) << 1
            return DecodedOp(op: 0, rs1: bits.rs1, rs2: bits.rs2, imm: offset)
        case .u: return DecodedOp(op: 0, rd: bits.rd, imm: bits.signed(12, 20) << 12)
        case .j:
            let offset = bits.signed(31, 1) << 20 | bits.at(12, 8) << 12 | bits.at(20, 1) << 11 | bits.at(21, 10) << 1
            return DecodedOp(op: 0, rd: bits.rd, imm: offset)
        case .shift: return DecodedOp(op: 0, rd: bits.rd, rs1: bits.rs1, imm: bits.at(20, 6))
        case .round: return DecodedOp(op: 0, rd: bits.rd, rs1: bits.rs1, imm: bits.at(20, 4))
        case .byteSelect: return DecodedOp(op: 0, rd: bits.rd, rs1: bits.rs1, rs2: bits.rs2, imm: bits.at(30, 2))
        case .csr: return DecodedOp(op: 0, rd: bits.rd, rs1: bits.rs1, imm: bits.at(20, 12))
        case .fence: return DecodedOp(op: 0, imm: bits.at(20, 12))
        case .atomic: return DecodedOp(op: 0, rd: bits.rd, rs1: bits.rs1, rs2: bits.rs2, imm: bits.at(25, 2))
        case .prefetch: return DecodedOp(op: 0, rs1: bits.rs1, imm: bits.signed(25, 7) << 5)
        case .vector: return DecodedOp(op: 0, rd: bits.rd, rs1: bits.rs1, rs2: bits.rs2, imm: bits.at(25, 1))
        case .vectorRotation: return DecodedOp(op: 0, rd: bits.rd, rs1: bits.rs1, rs2: bits.rs2, rs3: bits.field(26, 1), imm: bits.at(25, 1))
        case .vectorStore: return DecodedOp(op: 0, rs1: bits.rs1, rs2: bits.rs2, rs3: bits.rd, imm: bits.at(25, 1))
        case .vset: return DecodedOp(op: 0, rd: bits.rd, rs1: bits.rs1, imm: bits.at(20, 11))
        case .vseti: return DecodedOp(op: 0, rd: bits.rd, rs1: bits.rs1, imm: bits.at(20, 10))
        default: return compressedOperands(of: bits)
        }
    }

    /// The 16-bit layouts (ISA manual, "C" extension, "Compressed Instruction Formats").
    @inline(__always)
    private func compressedOperands(of bits: RVBits) -> DecodedOp {
        switch self {
        case .cAddi4spn:
            let imm = bits.at(7, 4) << 6 | bits.at(11, 2) << 4 | bits.at(5, 1) << 3 | bits.at(6, 1) << 2
            return DecodedOp(op: 0, rd: bits.low, rs1: 2, imm: imm)
        case .cLoadWord: return DecodedOp(op: 0, rd: bits.low, rs1: bits.high, imm: bits.wordOffset)
        case .cLoadDouble: return DecodedOp(op: 0, rd: bits.low, rs1: bits.high, imm: bits.doubleOffset)
        case .cStoreWord: return DecodedOp(op: 0, rs1: bits.high, rs2: bits.low, imm: bits.wordOffset)
        case .cStoreDouble: return DecodedOp(op: 0, rs1: bits.high, rs2: bits.low, imm: bits.doubleOffset)
        case .cLoadByte: return DecodedOp(op: 0, rd: bits.low, rs1: bits.high, imm: bits.byteOffset)
        case .cLoadHalf: return DecodedOp(op: 0, rd: bits.low, rs1: bits.high, imm: bits.at(5, 1) << 1)
        case .cStoreByte: return DecodedOp(op: 0, rs1: bits.high, rs2: bits.low, imm: bits.byteOffset)
        case .cStoreHalf: return DecodedOp(op: 0, rs1: bits.high, rs2: bits.low, imm: bits.at(5, 1) << 1)
        case .cImmediate: return DecodedOp(op: 0, rd: bits.rd, rs1: bits.rd, imm: bits.immediate6)
        case .cLoadImmediate: return DecodedOp(op: 0, rd: bits.rd, imm: bits.immediate6)
        case .cAddi16sp:
            let imm = bits.signed(12, 1) << 9 | bits.at(3, 2) << 7 | bits.at(5, 1) << 6 | bits.at(2, 1) << 5 | bits.at(6, 1) << 4
            return DecodedOp(op: 0, rd: 2, rs1: 2, imm: imm)
        case .cUpper: return DecodedOp(op: 0, rd: bits.rd, imm: bits.immediate6 << 12)
        case .cShift: return DecodedOp(op: 0, rd: bits.rd, rs1: bits.rd, imm: bits.immediate6 & 63)
        case .cShiftShort: return DecodedOp(op: 0, rd: bits.high, rs1: bits.high, imm: bits.immediate6 & 63)
        case .cImmediateShort: return DecodedOp(op: 0, rd: bits.high, rs1: bits.high, imm: bits.immediate6)
        case .cArithmetic: return DecodedOp(op: 0, rd: bits.high, rs1: bits.high, rs2: bits.low)
        case .cUnary: return DecodedOp(op: 0, rd: bits.high, rs1: bits.high)
        case .cJump: return DecodedOp(op: 0, imm: bits.jumpOffset)
        case .cBranch: return DecodedOp(op: 0, rs1: bits.high, imm: bits.branchOffset)
        case .cLoadWordStack:
            return DecodedOp(op: 0, rd: bits.rd, rs1: 2, imm: bits.at(2, 2) << 6 | bits.at(12, 1) << 5 | bits.at(4, 3) << 2)
        case .cLoadDoubleStack:
            return DecodedOp(op: 0, rd: bits.rd, rs1: 2, imm: bits.at(2, 3) << 6 | bits.at(12, 1) << 5 | bits.at(5, 2) << 3)
        case .cStoreWordStack:
            return DecodedOp(op: 0, rs1: 2, rs2: bits.field(2, 5), imm: bits.at(7, 2) << 6 | bits.at(9, 4) << 2)
        case .cStoreDoubleStack:
            return DecodedOp(op: 0, rs1: 2, rs2: bits.field(2, 5), imm: bits.at(7, 3) << 6 | bits.at(10, 3) << 3)
        case .cPushLink: return DecodedOp(op: 0, rs2: 1)
        case .cPopLink: return DecodedOp(op: 0, rs1: 5)
        case .cJumpRegister: return DecodedOp(op: 0, rs1: bits.rd)
        case .cCallRegister: return DecodedOp(op: 0, rd: 1, rs1: bits.rd)
        case .cMove: return DecodedOp(op: 0, rd: bits.rd, rs2: bits.field(2, 5))
        case .cAdd: return DecodedOp(op: 0, rd: bits.rd, rs1: bits.rd, rs2: bits.field(2, 5))
        default: return DecodedOp(op: 0)
        }
    }
}

/// Fields of an encoding.
private struct RVBits {
    let raw: UInt32

    /// `width` bits from position `low` up, as an immediate.
    @inline(__always)
    func at(_ low: UInt32, _ width: UInt32) -> Int32 { Int32(truncatingIfNeeded: raw &>> low & (1 &<< width &- 1)) }
    /// The same as a register number.
    @inline(__always)
    func field(_ low: UInt32, _ width: UInt32) -> UInt8 { UInt8(truncatingIfNeeded: raw &>> low & (1 &<< width &- 1)) }

    /// The same, sign-extended.
    @inline(__always)
    func signed(_ low: UInt32, _ width: UInt32) -> Int32 {
        Int32(truncatingIfNeeded: raw &<< (32 &- low &- width)) &>> Int32(truncatingIfNeeded: 32 &- width)
    }
    @inline(__always)
    var rd: UInt8 { field(7, 5) }
    @inline(__always)
    var rs1: UInt8 { field(15, 5) }
    @inline(__always)
    var rs2: UInt8 { field(20, 5) }

    // 16-bit encodings
    /// Three-bit register in bits 4:2: x8…x15.
    @inline(__always)
    var low: UInt8 { 8 | field(2, 3) }
    /// Three-bit register in bits 9:7.
    @inline(__always)
    var high: UInt8 { 8 | field(7, 3) }
    /// Bit 12 (the sign) and bits 6:2.
    @inline(__always)
    var immediate6: Int32 { signed(12, 1) << 5 | at(2, 5) }
    @inline(__always)
    var byteOffset: Int32 { at(5, 1) << 1 | at(6, 1) }
    @inline(__always)
    var wordOffset: Int32 { at(5, 1) << 6 | at(10, 3) << 3 | at(6, 1) << 2 }
    @inline(__always)
    var doubleOffset: Int32 { at(5, 2) << 6 | at(10, 3) << 3 }
    @inline(__always)
    var branchOffset: Int32 {
        signed(12, 1) << 8 | at(5, 2) << 6 | at(2, 1) << 5 | at(10, 2) << 3 | at(3, 2) << 1
    }
    @inline(__always)
    var jumpOffset: Int32 {
        let high = signed(12, 1) << 11 | at(8, 1) << 10 | at(9, 2) << 8 | at(6, 1) << 7
        return high | at(7, 1) << 6 | at(2, 1) << 5 | at(11, 1) << 4 | at(3, 3) << 1
    }
}
