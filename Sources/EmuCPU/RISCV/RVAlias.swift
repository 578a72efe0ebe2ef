/// A shorter way to write some instances of an instruction (ISA manual, "RISC-V Assembly Programmer's Handbook").
struct RVAlias: Sendable {
    /// What an instance must look like; rd and rs1 name register numbers.
    enum Condition: Sendable {
        case rd(UInt8), rs1(UInt8), rs2(UInt8), immediate(Int32)
        /// rs1 and rs2 are the same register; and rd is, too.
        case sameSources, sameRegisters
    }

    let name: String
    /// Name of the row it abbreviates.
    let row: String
    let conditions: [Condition]
    let operands: [RVOperand]

    private init(_ name: String, for row: String, when conditions: Condition..., writes operands: [RVOperand] = []) {
        self.name = name
        self.row = row
        self.conditions = conditions
        self.operands = operands
    }

    /// - Parameter r: with x0 as destination 0.
    func matches(_ r: DecodedOp) -> Bool {
        conditions.allSatisfy { condition in
            switch condition {
            case .rd(let n): r.rd == n
            case .rs1(let n): r.rs1 == n
            case .rs2(let n): r.rs2 == n
            case .immediate(let value): r.imm == value
            case .sameSources: r.rs1 == r.rs2
            case .sameRegisters: r.rs1 == r.rs2 && r.rd == r.rs1
            }
        }
    }

    /// In order of preference. Compressed rows list theirs themselves; one without any is written as what it expands to.
    static let all: [RVAlias] = integer + jumps + csrs + floats + vectors + compressed

    private static let integer = [
        RVAlias("nop", for: "addi", when: .rd(0), .rs1(0), .immediate(0)),
        RVAlias("li", for: "addi", when: .rs1(0), writes: [.rd, .immediate]),
        RVAlias("mv", for: "addi", when: .immediate(0), writes: [.rd, .rs1]),
        RVAlias("sext.w", for: "addiw", when: .immediate(0), writes: [.rd, .rs1]),
        RVAlias("not", for: "xori", when: .immediate(-1), writes: [.rd, .rs1]),
        RVAlias("zext.b", for: "andi", when: .immediate(255), writes: [.rd, .rs1]),
        RVAlias("zext.w", for: "add.uw", when: .rs2(0), writes: [.rd, .rs1]),
        RVAlias("neg", for: "sub", when: .rs1(0), writes: [.rd, .rs2]),
        RVAlias("negw", for: "subw", when: .rs1(0), writes: [.rd, .rs2]),
        RVAlias("seqz", for: "sltiu", when: .immediate(1), writes: [.rd, .rs1]),
        RVAlias("snez", for: "sltu", when: .rs1(0), writes: [.rd, .rs2]),
        RVAlias("sltz", for: "slt", when: .rs2(0), writes: [.rd, .rs1]),
        RVAlias("sgtz", for: "slt", when: .rs1(0), writes: [.rd, .rs2]),
        RVAlias("fence", for: "fence", when: .immediate(0xff)),
        RVAlias("sfence.vma", for: "sfence.vma", when: .rs1(0), .rs2(0)),
        RVAlias("sfence.vma", for: "sfence.vma", when: .rs2(0), writes: [.rs1]),
    ]

    private static let jumps = [
        RVAlias("j", for: "jal", when: .rd(0), writes: [.target]),
        RVAlias("jal", for: "jal", when: .rd(1), writes: [.target]),
        RVAlias("ret", for: "jalr", when: .rd(0), .rs1(1), .immediate(0)),
        RVAlias("jr", for: "jalr", when: .rd(0), .immediate(0), writes: [.rs1]),
        RVAlias("jr", for: "jalr", when: .rd(0), writes: [.memory]),
        RVAlias("jalr", for: "jalr", when: .rd(1), .immediate(0), writes: [.rs1]),
        RVAlias("jalr", for: "jalr", when: .rd(1), writes: [.memory]),
        RVAlias("jalr", for: "jalr", when: .immediate(0), writes: [.rd, .rs1]),
        RVAlias("beqz", for: "beq", when: .rs2(0), writes: [.rs1, .target]),
        RVAlias("bnez", for: "bne", when: .rs2(0), writes: [.rs1, .target]),
        RVAlias("bltz", for: "blt", when: .rs2(0), writes: [.rs1, .target]),
        RVAlias("bgtz", for: "blt", when: .rs1(0), writes: [.rs2, .target]),
        RVAlias("bgez", for: "bge", when: .rs2(0), writes: [.rs1, .target]),
        RVAlias("blez", for: "bge", when: .rs1(0), writes: [.rs2, .target]),
    ]

    private static let csrs =
        [
            RVAlias("unimp", for: "csrrw", when: .rd(0), .rs1(0), .immediate(0xc00)),
            RVAlias("rdcycle", for: "csrrs", when: .rs1(0), .immediate(0xc00), writes: [.rd]),
            RVAlias("rdtime", for: "csrrs", when: .rs1(0), .immediate(0xc01), writes: [.rd]),
            RVAlias("rdinstret", for: "csrrs", when: .rs1(0), .immediate(0xc02), writes: [.rd]),
        ] + floatCSR("flags", 1) + floatCSR("rm", 2) + floatCSR("csr", 3) + [
            RVAlias("csrr", for: "csrrs", when: .rs1(0), writes: [.rd, .csr]),
            RVAlias("csrw", for: "csrrw", when: .rd(0), writes: [.csr, .rs1]),
            RVAlias("csrs", for: "csrrs", when: .rd(0), writes: [.csr, .rs1]),
            RVAlias("csrc", for: "csrrc", when: .rd(0), writes: [.csr, .rs1]),
            RVAlias("csrwi", for: "csrrwi", when: .rd(0), writes: [.csr, .csrImmediate]),
            RVAlias("csrsi", for: "csrrsi", when: .rd(0), writes: [.csr, .csrImmediate]),
            RVAlias("csrci", for: "csrrci", when: .rd(0), writes: [.csr, .csrImmediate]),
        ]

    /// Reading, swapping and setting one of fcsr's views.
    private static func floatCSR(_ stem: String, _ number: Int32) -> [RVAlias] {
        [
            RVAlias("fr\(stem)", for: "csrrs", when: .rs1(0), .immediate(number), writes: [.rd]),
            RVAlias("fs\(stem)", for: "csrrw", when: .rd(0), .immediate(number), writes: [.rs1]),
            RVAlias("fs\(stem)", for: "csrrw", when: .immediate(number), writes: [.rd, .rs1]),
        ]
            + (stem == "csr"
                ? []
                : [
                    RVAlias("fs\(stem)i", for: "csrrwi", when: .rd(0), .immediate(number), writes: [.csrImmediate]),
                    RVAlias("fs\(stem)i", for: "csrrwi", when: .immediate(number), writes: [.rd, .csrImmediate]),
                ])
    }

    private static let floats = ["s", "d", "h"].flatMap { size in
        [
            RVAlias("fmv.\(size)", for: "fsgnj.\(size)", when: .sameSources, writes: [.fd, .fs1]),
            RVAlias("fneg.\(size)", for: "fsgnjn.\(size)", when: .sameSources, writes: [.fd, .fs1]),
            RVAlias("fabs.\(size)", for: "fsgnjx.\(size)", when: .sameSources, writes: [.fd, .fs1]),
        ]
    }

    private static let vectors =
        [
            RVAlias("vneg.v", for: "vrsub.vx", when: .rs1(0), writes: [.vd, .vs2, .vectorMask]),
            RVAlias("vnot.v", for: "vxor.vi", when: .rs1(31), writes: [.vd, .vs2, .vectorMask]),
            RVAlias("vwcvt.x.x.v", for: "vwadd.vx", when: .rs1(0), writes: [.vd, .vs2, .vectorMask]),
            RVAlias("vwcvtu.x.x.v", for: "vwaddu.vx", when: .rs1(0), writes: [.vd, .vs2, .vectorMask]),
            RVAlias("vncvt.x.x.w", for: "vnsrl.wx", when: .rs1(0), writes: [.vd, .vs2, .vectorMask]),
            RVAlias("vfneg.v", for: "vfsgnjn.vv", when: .sameSources, writes: [.vd, .vs2, .vectorMask]),
            RVAlias("vfabs.v", for: "vfsgnjx.vv", when: .sameSources, writes: [.vd, .vs2, .vectorMask]),
            RVAlias("vmmv.m", for: "vmand.mm", when: .sameSources, writes: [.vd, .vs2]),
            RVAlias("vmnot.m", for: "vmnand.mm", when: .sameSources, writes: [.vd, .vs2]),
            RVAlias("vmclr.m", for: "vmxor.mm", when: .sameRegisters, writes: [.vd]),
            RVAlias("vmset.m", for: "vmxnor.mm", when: .sameRegisters, writes: [.vd]),
        ] + [1, 2, 4, 8].map { RVAlias("vl\($0)r.v", for: "vl\($0)re8.v", writes: [.vd, .address]) }

    /// HINTs keep their compressed names.
    private static let compressed = [
        RVAlias("nop", for: "c.addi", when: .rd(0), .immediate(0)),
        RVAlias("c.nop", for: "c.addi", when: .rd(0), writes: [.immediate]),
        RVAlias("c.li", for: "c.li", when: .rd(0), writes: [.rd, .immediate]),
        RVAlias("li", for: "c.li", writes: [.rd, .immediate]),
        RVAlias("c.lui", for: "c.lui", when: .rd(0), writes: [.rd, .upper]),
        RVAlias("c.slli", for: "c.slli", when: .rd(0), writes: [.rd, .amount]),
        RVAlias("c.slli64", for: "c.slli64", writes: [.rd]),
        RVAlias("c.srli64", for: "c.srli64", writes: [.rd]),
        RVAlias("c.srai64", for: "c.srai64", writes: [.rd]),
        RVAlias("c.mv", for: "c.mv", when: .rd(0), writes: [.rd, .rs2]),
        RVAlias("mv", for: "c.mv", writes: [.rd, .rs2]),
        RVAlias("c.add", for: "c.add", when: .rd(0), writes: [.rd, .rs2]),
        RVAlias("sext.w", for: "c.addiw", when: .immediate(0), writes: [.rd, .rs1]),
        RVAlias("not", for: "c.not", writes: [.rd, .rs1]),
        RVAlias("zext.b", for: "c.zext.b", writes: [.rd, .rs1]),
        RVAlias("zext.w", for: "c.zext.w", writes: [.rd, .rs1]),
        RVAlias("j", for: "c.j", writes: [.target]),
        RVAlias("ret", for: "c.jr", when: .rs1(1)),
        RVAlias("jr", for: "c.jr", writes: [.rs1]),
        RVAlias("jalr", for: "c.jalr", writes: [.rs1]),
        RVAlias("beqz", for: "c.beqz", writes: [.rs1, .target]),
        RVAlias("bnez", for: "c.bnez", writes: [.rs1, .target]),
    ]
}
