/// One guest instruction, decoded once and executed many times: 16 bytes, trivial.
///
/// What the fields mean is the guest architecture's business; for RISC-V see `RVOp`.
public struct DecodedOp {
    /// Dense opcode of the guest architecture (`RVOp`).
    public var op: UInt16
    /// Destination register. RISC-V: integer x0 is redirected to slot 32, which nothing reads.
    public var rd: UInt8
    public var rs1: UInt8
    public var rs2: UInt8
    public var rs3: UInt8
    /// Byte offset of the instruction from the start of its block.
    public var offset: UInt16
    /// Immediate operand, sign-extended to 32 bits.
    public var imm: Int32
    /// The instruction's bits, zero-extended when it is 16 bits long.
    public var raw: UInt32

    public init(op: UInt16, rd: UInt8 = 0, rs1: UInt8 = 0, rs2: UInt8 = 0, rs3: UInt8 = 0, imm: Int32 = 0, raw: UInt32 = 0) {
        self.op = op
        self.rd = rd
        self.rs1 = rs1
        self.rs2 = rs2
        self.rs3 = rs3
        self.offset = 0
        self.imm = imm
        self.raw = raw
    }
}
