import EmuCPU
import EmuIR
import Testing

/// What becomes of decoded instructions in the IR.
@Suite struct RVTranslatorTests {
    @Test("guest instructions become this IR", arguments: ["integer", "memory", "jumps", "bits", "float", "system", "vectors", "crypto"])
    func golden(file: String) throws { try TranslationGolden(file).check() }

    // MARK: Coverage

    /// Operations the interpreter executes inside a block, beside those on vectors.
    private static let interpreted: Set<RVOp> = [
        .amoswap_b, .amoadd_b, .amoxor_b, .amoand_b, .amoor_b, .amomin_b, .amomax_b, .amominu_b, .amomaxu_b, .amocas_b,
        .amoswap_h, .amoadd_h, .amoxor_h, .amoand_h, .amoor_h, .amomin_h, .amomax_h, .amominu_h, .amomaxu_h, .amocas_h,
        .amocas_w, .amocas_d, .amocas_q, .cbo_clean, .cbo_flush, .cbo_inval, .cbo_zero,
        .sm4ed, .sm4ks,
        // Unsigned conversions have no counterpart on every host.
        .fcvt_wu_s, .fcvt_lu_s, .fcvt_s_lu, .fcvt_wu_d, .fcvt_lu_d, .fcvt_d_lu,
        .fclass_s, .fclass_d,
        .hlv_b, .hlv_bu, .hlv_h, .hlv_hu, .hlvx_hu, .hlv_w, .hlv_wu, .hlvx_wu, .hlv_d, .hsv_b, .hsv_h, .hsv_w, .hsv_d,
        .sspush, .sspopchk, .ssrdp, .ssamoswap_w, .ssamoswap_d, .fcvt_bf16_s, .fcvt_s_bf16,
        .fmadd_h, .fmsub_h, .fnmsub_h, .fnmadd_h, .fadd_h, .fsub_h, .fmul_h, .fdiv_h, .fsqrt_h, .fsgnj_h, .fsgnjn_h,
        .fsgnjx_h, .fmin_h, .fmax_h, .feq_h, .flt_h, .fle_h, .fclass_h, .fcvt_w_h, .fcvt_wu_h, .fcvt_l_h, .fcvt_lu_h, .fcvt_h_w,
        .fcvt_h_wu, .fcvt_h_l, .fcvt_h_lu, .fmv_x_h, .fmv_h_x, .fcvt_s_h, .fcvt_h_s, .fcvt_d_h, .fcvt_h_d,
        .fli_s, .fminm_s, .fmaxm_s, .fround_s, .froundnx_s, .fleq_s, .fltq_s, .fli_d, .fminm_d, .fmaxm_d, .fround_d,
        .froundnx_d, .fleq_d, .fltq_d, .fli_h, .fminm_h, .fmaxm_h, .fround_h, .froundnx_h, .fleq_h, .fltq_h, .fcvtmod_w_d,
    ]

    /// Operations that end a block and are left to the interpreter.
    private static let interpretedLast: Set<RVOp> = [
        .jalr_lp, .transfer, .ecall, .ebreak, .fence_i, .wrs_nto, .wrs_sto, .mret, .sret, .mnret, .sctrclr, .wfi, .sfence_vma, .sinval_vma, .sfence_w_inval,
        .sfence_inval_ir, .hfence_vvma, .hfence_gvma, .hinval_vvma, .hinval_gvma, .csrrw, .csrrs, .csrrc, .csrrwi, .csrrsi, .csrrci, .pause, .illegal,
    ]

    @Test func everyOperationIsLoweredOrKnownToBeInterpreted() throws {
        var code = try TranslatedCode()
        for op in RVOp.allCases where op != .blockEnd {
            // An immediate of 7 is the dynamic rounding mode.
            let block = code.lower(DecodedOp(op, rd: 10, rs1: 11, rs2: 12, rs3: 13, imm: 7, raw: 3))
            let isInterpreted = block.instructions.contains { $0.op == .interpret }
            #expect(isInterpreted == (Self.interpreted.contains(op) || op.isVector), "\(op)")
            #expect((block.terminator == .interpret) == Self.interpretedLast.contains(op), "\(op)")
            if ![.fence, .hint, .jal, .jalr, .beq, .bne, .blt, .bge, .bltu, .bgeu].contains(op) && block.terminator != .interpret {
                #expect(!block.instructions.isEmpty, "\(op) is lowered to nothing")
            }
        }
    }

    // MARK: Rounding

    private static let roundedToInteger: Set<RVOp> = [.fcvt_w_s, .fcvt_l_s, .fcvt_w_d, .fcvt_l_d]
    private static let exact: Set<RVOp> = [.fcvt_d_w, .fcvt_d_wu, .fcvt_d_s]

    /// Whether the result depends on a rounding mode decides which modes are lowered.
    @Test func roundingModesFixedInTheInstructionAreInterpreted() throws {
        var code = try TranslatedCode()
        let operands: Set<RVOperand> = [.rounding, .exactRounding]
        var seen = 0
        for row in RVTable.all where !operands.isDisjoint(with: row.format.operands) && !Self.interpreted.contains(row.op) {
            seen += 1
            for mode in 0..<8 as Range<Int32> {
                let block = code.lower(DecodedOp(row.op, rd: 10, rs1: 11, rs2: 12, rs3: 13, imm: mode, raw: 3))
                let lowered = Self.exact.contains(row.op) ? mode != 5 && mode != 6 : mode == 7 || mode == 1 && Self.roundedToInteger.contains(row.op)
                #expect(block.instructions.contains { $0.op == .interpret } == !lowered, "\(row.name), mode \(mode)")
                #expect(block.instructions.contains { $0.op == .guardFloat } == lowered, "\(row.name), mode \(mode)")
            }
        }
        #expect(seen == 30)
    }

    // MARK: Random code

    /// Sequences of random instances of table rows, with the destinations and sources colliding often.
    private func randomCode(_ random: inout SeededGenerator, length: Int) -> [UInt32] {
        (0..<length).map { _ in
            let row = RVTable.all[Int(random.next() % UInt64(RVTable.all.count))]
            var bits = row.match | random.next32() & ~row.mask & (row.length == 2 ? 0xffff : .max)
            // Registers 0 and 1 in one of four 32-bit instructions.
            if row.length == 4, random.next() & 3 == 0 { bits = row.match | bits & ~row.mask & ~(30 << 7 | 30 << 15 | 30 << 20) }
            return bits
        }
    }

    @Test(arguments: ["rv64", "rv64,zca=off", "rv64,f=off"])
    func randomCodeGivesValidBlocks(cpu: String) throws {
        var code = try TranslatedCode(cpu: cpu)
        var random = SeededGenerator(state: 17)
        for _ in 0..<400 {
            let offset = cpu.contains("zca") ? random.next() % 1000 * 4 : random.next() % 2000 * 2
            let guest = randomCode(&random, length: 24)
            let block = try code.lower(guest, at: offset)
            #expect(block.offset == GuestOffset(offset))
            #expect(block.terminatorGuest == block.guestCount - 1)
            #expect(throws: Never.self, "\(block)") { try block.verify() }
        }
    }
}
