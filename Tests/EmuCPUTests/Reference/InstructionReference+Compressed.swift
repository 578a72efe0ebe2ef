/// Compressed instructions: what each expands to (unprivileged manual, "C" Extension, Zcb, Zcmop; the figures of the formats CR to CJ).
extension InstructionReference {
    static func expanded(_ name: String, _ bits: UInt32) -> Operands? {
        let full = Int(bits >> 7 & 31), second = Int(bits >> 2 & 31)
        let high = Int(8 + (bits >> 7 & 7)), low = Int(8 + (bits >> 2 & 7))
        let signed6 = scattered(bits, "12>5 6>4 5>3 4>2 3>1 2>0", signBit: 5)
        let amount = scattered(bits, "12>5 6>4 5>3 4>2 3>1 2>0")
        let word = scattered(bits, "12>5 11>4 10>3 6>2 5>6"), double = scattered(bits, "12>5 11>4 10>3 6>7 5>6")
        func make(_ name: String, rd: Int = 0, rs1: Int = 0, rs2: Int = 0, _ immediate: Int64 = 0) -> Operands {
            Operands(name: name, rd: rd, rs1: rs1, rs2: rs2, immediate: immediate, bits: bits, length: 2)
        }
        switch name {
        case "c.addi4spn": return make("addi", rd: low, rs1: 2, scattered(bits, "12>5 11>4 10>9 9>8 8>7 7>6 6>2 5>3"))
        case "c.lw": return make("lw", rd: low, rs1: high, word)
        case "c.ld": return make("ld", rd: low, rs1: high, double)
        case "c.fld": return make("fld", rd: low, rs1: high, double)
        case "c.sw": return make("sw", rs1: high, rs2: low, word)
        case "c.sd": return make("sd", rs1: high, rs2: low, double)
        case "c.fsd": return make("fsd", rs1: high, rs2: low, double)
        case "c.lbu": return make("lbu", rd: low, rs1: high, scattered(bits, "6>0 5>1"))
        case "c.lhu": return make("lhu", rd: low, rs1: high, scattered(bits, "5>1"))
        case "c.lh": return make("lh", rd: low, rs1: high, scattered(bits, "5>1"))
        case "c.sb": return make("sb", rs1: high, rs2: low, scattered(bits, "6>0 5>1"))
        case "c.sh": return make("sh", rs1: high, rs2: low, scattered(bits, "5>1"))
        case "c.addi": return make("addi", rd: full, rs1: full, signed6)
        case "c.addiw": return make("addiw", rd: full, rs1: full, signed6)
        case "c.li": return make("addi", rd: full, signed6)
        case "c.lui": return make("lui", rd: full, signed6 << 12)
        case "c.addi16sp": return make("addi", rd: 2, rs1: 2, scattered(bits, "12>9 6>4 5>6 4>8 3>7 2>5", signBit: 9))
        case "c.srli", "c.srli64": return make("srli", rd: high, rs1: high, amount)
        case "c.srai", "c.srai64": return make("srai", rd: high, rs1: high, amount)
        case "c.slli", "c.slli64": return make("slli", rd: full, rs1: full, amount)
        case "c.andi": return make("andi", rd: high, rs1: high, signed6)
        case "c.sub", "c.xor", "c.or", "c.and", "c.subw", "c.addw", "c.mul": return make(String(name.dropFirst(2)), rd: high, rs1: high, rs2: low)
        case "c.zext.b": return make("andi", rd: high, rs1: high, 0xff)
        case "c.sext.b", "c.sext.h", "c.zext.h": return make(String(name.dropFirst(2)), rd: high, rs1: high)
        case "c.zext.w": return make("add.uw", rd: high, rs1: high)
        case "c.not": return make("xori", rd: high, rs1: high, -1)
        case "c.j": return make("jal", scattered(bits, "12>11 11>4 10>9 9>8 8>10 7>6 6>7 5>3 4>2 3>1 2>5", signBit: 11))
        case "c.beqz", "c.bnez": return make(name == "c.beqz" ? "beq" : "bne", rs1: high, scattered(bits, "12>8 11>4 10>3 6>7 5>6 4>2 3>1 2>5", signBit: 8))
        case "c.lwsp": return make("lw", rd: full, rs1: 2, scattered(bits, "12>5 6>4 5>3 4>2 3>7 2>6"))
        case "c.ldsp": return make("ld", rd: full, rs1: 2, scattered(bits, "12>5 6>4 5>3 4>8 3>7 2>6"))
        case "c.fldsp": return make("fld", rd: full, rs1: 2, scattered(bits, "12>5 6>4 5>3 4>8 3>7 2>6"))
        case "c.swsp": return make("sw", rs1: 2, rs2: second, scattered(bits, "12>5 11>4 10>3 9>2 8>7 7>6"))
        case "c.sdsp": return make("sd", rs1: 2, rs2: second, scattered(bits, "12>5 11>4 10>3 9>8 8>7 7>6"))
        case "c.fsdsp": return make("fsd", rs1: 2, rs2: second, scattered(bits, "12>5 11>4 10>3 9>8 8>7 7>6"))
        case "c.mv": return make("add", rd: full, rs2: second)
        case "c.add": return make("add", rd: full, rs1: full, rs2: second)
        case "c.jr": return make("jalr", rs1: full)
        case "c.jalr": return make("jalr", rd: 1, rs1: full)
        case "c.ebreak": return make("ebreak")
        case _ where name.hasPrefix("c.mop.") || name.hasPrefix("c.ntl."): return make("nop")
        // Where no shadow stack is in force these are the may-be-operations they stand in the place of.
        case "c.sspush", "c.sspopchk": return make("nop")
        default: return nil
        }
    }
}
