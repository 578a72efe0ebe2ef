/// The few encodings that programs in tests need (unprivileged manual, "RV32/64G Instruction Set Listings").
public enum RVAssembly {
    public static let environmentCall: UInt32 = 0x73
    public static let machineReturn: UInt32 = 0x3020_0073

    public static func addImmediate(_ rd: UInt32, _ rs1: UInt32, _ imm: Int32) -> UInt32 { immediate(imm) | rs1 << 15 | rd << 7 | 0x13 }
    public static func loadDouble(_ rd: UInt32, _ rs1: UInt32, _ imm: Int32) -> UInt32 { immediate(imm) | rs1 << 15 | 3 << 12 | rd << 7 | 0x03 }
    public static func storeDouble(_ rs2: UInt32, _ rs1: UInt32, _ imm: Int32) -> UInt32 {
        let bits = UInt32(bitPattern: imm)
        return (bits >> 5 & 0x7f) << 25 | rs2 << 20 | rs1 << 15 | 3 << 12 | (bits & 31) << 7 | 0x23
    }
    public static func branchIfNotEqual(_ rs1: UInt32, _ rs2: UInt32, _ offset: Int32) -> UInt32 {
        let bits = UInt32(bitPattern: offset)
        return (bits >> 12 & 1) << 31 | (bits >> 5 & 0x3f) << 25 | rs2 << 20 | rs1 << 15 | 1 << 12 | (bits >> 1 & 15) << 8 | (bits >> 11 & 1) << 7 | 0x63
    }
    public static func jump(_ offset: Int32) -> UInt32 {
        let bits = UInt32(bitPattern: offset)
        return (bits >> 20 & 1) << 31 | (bits >> 1 & 0x3ff) << 21 | (bits >> 11 & 1) << 20 | (bits >> 12 & 0xff) << 12 | 0x6f
    }
    public static func loadReserved(_ rd: UInt32, _ rs1: UInt32) -> UInt32 { 2 << 27 | rs1 << 15 | 3 << 12 | rd << 7 | 0x2f }
    public static func storeConditional(_ rd: UInt32, _ rs2: UInt32, _ rs1: UInt32) -> UInt32 { 3 << 27 | rs2 << 20 | rs1 << 15 | 3 << 12 | rd << 7 | 0x2f }
    public static func readCSR(_ rd: UInt32, _ csr: UInt32) -> UInt32 { csr << 20 | 2 << 12 | rd << 7 | 0x73 }
    public static func writeCSR(_ csr: UInt32, _ rs1: UInt32) -> UInt32 { csr << 20 | rs1 << 15 | 1 << 12 | 0x73 }
    public static let nop: UInt32 = 0x13
    public static let breakpoint: UInt32 = 0x0010_0073
    public static let waitForInterrupt: UInt32 = 0x1050_0073
    public static let supervisorReturn: UInt32 = 0x1020_0073
    /// jalr rd, imm(rs1)
    public static func jumpRegister(_ rd: UInt32, _ rs1: UInt32, _ imm: Int32 = 0) -> UInt32 { immediate(imm) | rs1 << 15 | rd << 7 | 0x67 }
    /// jal ra, offset
    public static func call(_ offset: Int32) -> UInt32 { jump(offset) | 1 << 7 }
    public static func loadByte(_ rd: UInt32, _ rs1: UInt32, _ imm: Int32) -> UInt32 { immediate(imm) | rs1 << 15 | rd << 7 | 0x03 }
    public static func storeByte(_ rs2: UInt32, _ rs1: UInt32, _ imm: Int32) -> UInt32 { storeDouble(rs2, rs1, imm) & ~(7 << 12) }
    public static func addUpper(_ rd: UInt32, pages: Int32) -> UInt32 { UInt32(bitPattern: pages) << 12 | rd << 7 | 0x17 }
    /// amoadd.d rd, rs2, (rs1)
    public static func atomicAdd(_ rd: UInt32, _ rs2: UInt32, _ rs1: UInt32) -> UInt32 { rs2 << 20 | rs1 << 15 | 3 << 12 | rd << 7 | 0x2f }
    private static func immediate(_ imm: Int32) -> UInt32 { UInt32(bitPattern: imm) << 20 }
}
