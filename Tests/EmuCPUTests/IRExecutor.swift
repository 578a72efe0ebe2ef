import EmuCPU
import EmuIR
import Testing

/// Executes IR on the registers and the memory of a hart, operation by operation as `Opcode` defines them: what a back end does,
/// without one. Addresses are physical; the hart must be in M-mode.
struct IRExecutor {
    let hart: TestHart
    /// Virtual address of the page the code lies in.
    let page: UInt64
    /// Addresses of the block's guest instructions.
    let addresses: [UInt64]
    private var temps: [UInt64] = []

    init(_ hart: TestHart, page: UInt64, addresses: [UInt64]) {
        self.hart = hart
        self.page = page
        self.addresses = addresses
    }

    private var cpu: RVProcessor { hart.cpu }

    /// Runs a block; the hart then stands where it goes on.
    mutating func run(_ block: IRBlock) throws {
        temps = Array(repeating: 0xdead_dead_dead_dead, count: block.tempCount)
        for instruction in block.instructions {
            if try !execute(instruction) {
                interpret(from: instruction.guest, count: block.guestCount - Int(instruction.guest))
                return
            }
        }
        switch block.terminator {
        case .jump(let target): cpu.pc = address(target)
        case .branch(let relation, let a, let b, let taken, let next):
            cpu.pc = address(holds(relation, Int64(bitPattern: value(a)), Int64(bitPattern: value(b))) ? taken : next)
        case .indirect(let target, let displacement, _):
            cpu.pc = (value(target) &+ UInt64(bitPattern: Int64(displacement))) & ~1
        case .interpret: interpret(from: block.terminatorGuest, count: 1)
        }
    }

    private func address(_ offset: GuestOffset) -> UInt64 { page &+ UInt64(bitPattern: Int64(offset)) }

    private func holds(_ relation: Relation, _ a: Int64, _ b: Int64) -> Bool {
        switch relation {
        case .eq: a == b
        case .ne: a != b
        case .lt: a < b
        case .ge: a >= b
        case .ltu: UInt64(bitPattern: a) < UInt64(bitPattern: b)
        case .geu: UInt64(bitPattern: a) >= UInt64(bitPattern: b)
        }
    }

    private func interpret(from guest: UInt16, count: Int) {
        cpu.pc = addresses[Int(guest)]
        _ = cpu.run(budget: count, clockBase: hart.events.now)
    }

    // MARK: Operands

    private func value(_ operand: Operand) -> UInt64 {
        switch operand {
        case .none, .vector: 0
        case .integer(let number): cpu.x[Int(number)]
        case .float(let number): cpu.f[Int(number)]
        case .temp(let number): temps[Int(number)]
        case .constant(let value): UInt64(bitPattern: value)
        }
    }

    /// A place in the hart's state.
    private func word(_ offset: Int) -> UnsafeMutableRawPointer { UnsafeMutableRawPointer(cpu.h) + offset }

    private mutating func write(_ operand: Operand, _ value: UInt64) {
        switch operand {
        case .integer(let number): cpu.x[Int(number)] = value
        case .float(let number): cpu.f[Int(number)] = value
        case .temp(let number): temps[Int(number)] = value
        case .none, .constant, .vector: Issue.record("\(operand) is no destination")
        }
    }

    private func register(_ operand: Operand) -> UInt8 {
        if case .float(let number) = operand { return number }
        return Self.integerSlot
    }

    /// The register that swallows writes to x0: it passes integer operands of floating-point instructions.
    private static let integerSlot: UInt8 = 32

    // MARK: Operations

    /// False when the interpreter must go on at the instruction.
    private mutating func execute(_ i: Instruction) throws -> Bool {
        let access = value(i.a) &+ UInt64(bitPattern: Int64(i.displacement))
        switch i.op {
        case .pc: write(i.dst, page &+ value(i.a))
        case .load8s: write(i.dst, UInt64(bitPattern: Int64(try load(access, Int8.self))))
        case .load16s: write(i.dst, UInt64(bitPattern: Int64(try load(access, Int16.self))))
        case .load32s: write(i.dst, UInt64(bitPattern: Int64(try load(access, Int32.self))))
        case .load8u: write(i.dst, UInt64(try load(access, UInt8.self)))
        case .load16u: write(i.dst, UInt64(try load(access, UInt16.self)))
        case .load32u: write(i.dst, UInt64(try load(access, UInt32.self)))
        case .load64, .loadf64: write(i.dst, try load(access, UInt64.self))
        case .loadf32: write(i.dst, 0xffff_ffff_0000_0000 | UInt64(try load(access, UInt32.self)))
        case .store8: store(access, UInt8(truncatingIfNeeded: value(i.b)))
        case .store16: store(access, UInt16(truncatingIfNeeded: value(i.b)))
        case .store32, .storef32: store(access, UInt32(truncatingIfNeeded: value(i.b)))
        case .store64, .storef64: store(access, value(i.b))
        case .probe: write(i.dst, 0)
        case .guardFloat: return hart[.mstatus] >> 13 & 3 == 3 && hart[.frm] < 4
        case .loadReserved32, .loadReserved64, .storeConditional32, .storeConditional64, .swap32, .swap64, .fetchAdd32, .fetchAdd64, .fetchXor32,
            .fetchXor64, .fetchAnd32, .fetchAnd64, .fetchOr32, .fetchOr64, .fetchMin32, .fetchMin64, .fetchMax32, .fetchMax64, .fetchMinu32,
            .fetchMinu64, .fetchMaxu32, .fetchMaxu64:
            // What they are defined as; their tests are those of translated code.
            interpret(from: i.guest, count: 1)
        case .guardPrivilege: return word(RVProcessor.stateLayout.privilege).load(as: UInt32.self) >= value(i.a)
        case .readState: write(i.dst, word(Int(value(i.a))).load(as: UInt64.self))
        case .writeState: word(Int(value(i.a))).storeBytes(of: value(i.b), as: UInt64.self)
        case .interpret: interpret(from: i.guest, count: 1)
        default:
            if let op = Self.floatingPoint[i.op] { try executeFloat(op, i) } else { try executeInteger(i) }
        }
        return true
    }

    private func load<T: FixedWidthInteger>(_ address: UInt64, _ type: T.Type) throws -> T { try #require(hart.bus.loadMemory(address, as: type)) }

    private func store(_ address: UInt64, _ value: some FixedWidthInteger) { #expect(hart.bus.storeMemory(address, value)) }

    private mutating func executeInteger(_ i: Instruction) throws {
        let (a, b, c) = (value(i.a), value(i.b), value(i.c))
        if let result = CipherOperations.result(i.op, a, b) { return write(i.dst, result) }
        let result = IRConstantEvaluator.evaluate(i.op, Int64(bitPattern: a), Int64(bitPattern: b), Int64(bitPattern: c))
        write(i.dst, UInt64(bitPattern: try #require(result, "\(i)")))
    }

    /// Has the interpreter execute the instruction that does the same.
    private mutating func executeFloat(_ op: (RVOp, rounding: Int32), _ i: Instruction) throws {
        cpu.x[Int(Self.integerSlot)] = value(i.a)
        let r = DecodedOp(op.0, rd: register(i.dst), rs1: register(i.a), rs2: register(i.b), rs3: register(i.c), imm: op.rounding)
        try #require(cpu.executeFloat(op.0, r))
        if register(i.dst) == Self.integerSlot { write(i.dst, cpu.x[Int(Self.integerSlot)]) }
    }

    private static let floatingPoint: [Opcode: (RVOp, rounding: Int32)] = [
        .faddS: (.fadd_s, 7), .fsubS: (.fsub_s, 7), .fmulS: (.fmul_s, 7), .fdivS: (.fdiv_s, 7), .fsqrtS: (.fsqrt_s, 7),
        .faddD: (.fadd_d, 7), .fsubD: (.fsub_d, 7), .fmulD: (.fmul_d, 7), .fdivD: (.fdiv_d, 7), .fsqrtD: (.fsqrt_d, 7),
        .fmaddS: (.fmadd_s, 7), .fmsubS: (.fmsub_s, 7), .fnmsubS: (.fnmsub_s, 7), .fnmaddS: (.fnmadd_s, 7),
        .fmaddD: (.fmadd_d, 7), .fmsubD: (.fmsub_d, 7), .fnmsubD: (.fnmsub_d, 7), .fnmaddD: (.fnmadd_d, 7),
        .fsgnjS: (.fsgnj_s, 0), .fsgnjnS: (.fsgnjn_s, 0), .fsgnjxS: (.fsgnjx_s, 0), .fminS: (.fmin_s, 0), .fmaxS: (.fmax_s, 0),
        .fsgnjD: (.fsgnj_d, 0), .fsgnjnD: (.fsgnjn_d, 0), .fsgnjxD: (.fsgnjx_d, 0), .fminD: (.fmin_d, 0), .fmaxD: (.fmax_d, 0),
        .feqS: (.feq_s, 0), .fltS: (.flt_s, 0), .fleS: (.fle_s, 0), .feqD: (.feq_d, 0), .fltD: (.flt_d, 0), .fleD: (.fle_d, 0),
        .fcvtI32StoX_t: (.fcvt_w_s, 1), .fcvtI64StoX_t: (.fcvt_l_s, 1), .fcvtI32DtoX_t: (.fcvt_w_d, 1), .fcvtI64DtoX_t: (.fcvt_l_d, 1),
        .fcvtI32StoX_r: (.fcvt_w_s, 7), .fcvtI64StoX_r: (.fcvt_l_s, 7), .fcvtI32DtoX_r: (.fcvt_w_d, 7), .fcvtI64DtoX_r: (.fcvt_l_d, 7),
        .fcvtI32toS: (.fcvt_s_w, 7), .fcvtI64toS: (.fcvt_s_l, 7), .fcvtU32toS: (.fcvt_s_wu, 7),
        .fcvtI32toD: (.fcvt_d_w, 7), .fcvtI64toD: (.fcvt_d_l, 7), .fcvtU32toD: (.fcvt_d_wu, 7),
        .fcvtStoD: (.fcvt_d_s, 7), .fcvtDtoS: (.fcvt_s_d, 7),
        .movFtoX: (.fmv_x_d, 0), .movXtoF: (.fmv_d_x, 0), .movF32toX: (.fmv_x_w, 0), .movX32toF: (.fmv_w_x, 0),
    ]
}

/// Half rounds of AES, which nobody computes at translation time, by the functions of the interpreter.
enum CipherOperations {
    static func result(_ op: Opcode, _ a: UInt64, _ b: UInt64) -> UInt64? {
        switch op {
        case .aes64es: RVAES.aes64es(a, b)
        case .aes64esm: RVAES.aes64esm(a, b)
        case .aes64ds: RVAES.aes64ds(a, b)
        case .aes64dsm: RVAES.aes64dsm(a, b)
        case .aes64im: RVAES.aes64im(a)
        case .aes64ks1i: RVAES.aes64ks1i(a, round: b)
        default: nil
        }
    }
}
