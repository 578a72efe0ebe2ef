/// Every operation the RISC-V interpreter knows, one case per distinct behaviour. Compressed instructions decode to the
/// operation they expand to; the instruction table (`RVTable`) maps encodings to cases.
///
/// Operand conventions in `DecodedOp`:
/// - `rd`, `rs1`, `rs2`, `rs3`: register numbers. An *integer* destination x0 is stored as 32 (a slot nothing reads); sources keep 0.
/// - `imm`: the sign-extended immediate in bytes or units of the instruction; `lui`/`auipc`: the value already shifted left by 12;
///   shifts: the amount; branches, `jal` and `auipc`: block building adds the instruction's offset, so that target = block start + imm.
/// - CSR instructions: `imm` = CSR number (0…4095), `rs1` = register or 5-bit immediate.
/// - Floating point with rounding: `imm` = rm field. Atomics: `imm` bit 0 = rl, bit 1 = aq. `fence`: imm = fm|pred|succ (12 bits).
/// - Vectors: `rd` = vd, `rs1` = vs1, rs1 or five bits of immediate, `rs2` = vs2, `rs3` = a store's data; `imm` = vm; vtype for `vset…`.
/// - `aes64ks1i`: `imm` = round; `sm4ed`, `sm4ks`: `imm` = byte.
/// - `fli`: `rs1` = constant index. `mop`: only `rd` counts. `illegal`: `raw` is what `mtval` reports.
public enum RVOp: UInt16, CaseIterable, Sendable {
    // RV64I
    case lui, auipc, jal, jalr, beq, bne, blt, bge, bltu, bgeu, lb, lh, lw, ld, lbu, lhu, lwu, sb, sh, sw, sd, addi
    case slti, sltiu, xori, ori, andi, slli, srli, srai, add, sub, sll, slt, sltu, xor, srl, sra, or, and, addiw
    case slliw, srliw, sraiw, addw, subw, sllw, srlw, sraw, fence, ecall, ebreak
    // Zifencei
    case fence_i
    // M
    case mul, mulh, mulhsu, mulhu, div, divu, rem, remu, mulw, divw, divuw, remw, remuw
    // A
    case lr_w, sc_w, amoswap_w, amoadd_w, amoxor_w, amoand_w, amoor_w, amomin_w, amomax_w, amominu_w, amomaxu_w
    case lr_d, sc_d, amoswap_d, amoadd_d, amoxor_d, amoand_d, amoor_d, amomin_d, amomax_d, amominu_d, amomaxu_d
    // Zabha, Zacas
    case amoswap_b, amoadd_b, amoxor_b, amoand_b, amoor_b, amomin_b, amomax_b, amominu_b, amomaxu_b, amocas_b
    case amoswap_h, amoadd_h, amoxor_h, amoand_h, amoor_h, amomin_h, amomax_h, amominu_h, amomaxu_h, amocas_h
    case amocas_w, amocas_d, amocas_q
    // Zawrs
    case wrs_nto, wrs_sto
    // Zicsr
    case csrrw, csrrs, csrrc, csrrwi, csrrsi, csrrci
    // privileged, Svinval
    case mret, sret, wfi, sfence_vma, sinval_vma, sfence_w_inval, sfence_inval_ir
    // Smrnmi, Ssctr
    case mnret, sctrclr
    // H
    case hfence_vvma, hfence_gvma, hinval_vvma, hinval_gvma
    case hlv_b, hlv_bu, hlv_h, hlv_hu, hlvx_hu, hlv_w, hlv_wu, hlvx_wu, hlv_d, hsv_b, hsv_h, hsv_w, hsv_d
    // Zicbom, Zicboz; prefetches decode to hint
    case cbo_clean, cbo_flush, cbo_inval, cbo_zero
    // Zimop, Zcmop: may-be-operations that write zero; c.mop.N writes nothing and decodes to hint
    case mop
    // Zicfilp: `jalr` where landing pads are expected, which blocks hold instead of it
    case jalr_lp
    // Smctr: a jump or branch where those are recorded, which blocks hold instead of it
    case transfer
    // Zicfiss
    case sspush, sspopchk, ssrdp, ssamoswap_w, ssamoswap_d
    // Hints and instructions without effect on this machine (pause is separate: it yields)
    case hint, pause
    // Zba
    case add_uw, sh1add, sh2add, sh3add, sh1add_uw, sh2add_uw, sh3add_uw, slli_uw
    // Zbb
    case andn, orn, xnor, clz, ctz, cpop, clzw, ctzw, cpopw, max, maxu, min, minu, sext_b, sext_h, zext_h, rol, ror
    case rori, rolw, rorw, roriw, orc_b, rev8
    // Zbc
    case clmul, clmulh, clmulr
    // Zbkb, Zbkx
    case pack, packh, packw, brev8, xperm4, xperm8
    // Zkne, Zknd, Zknh
    case aes64es, aes64esm, aes64ds, aes64dsm, aes64im, aes64ks1i, aes64ks2
    case sha256sum0, sha256sum1, sha256sig0, sha256sig1, sha512sum0, sha512sum1, sha512sig0, sha512sig1
    // Zksed, Zksh
    case sm4ed, sm4ks, sm3p0, sm3p1
    // Zbs
    case bclr, bext, binv, bset, bclri, bexti, binvi, bseti
    // Zicond
    case czero_eqz, czero_nez
    // F
    case flw, fsw, fmadd_s, fmsub_s, fnmsub_s, fnmadd_s, fadd_s, fsub_s, fmul_s, fdiv_s, fsqrt_s, fsgnj_s, fsgnjn_s
    case fsgnjx_s, fmin_s, fmax_s, feq_s, flt_s, fle_s, fclass_s, fcvt_w_s, fcvt_wu_s, fcvt_l_s, fcvt_lu_s, fcvt_s_w
    case fcvt_s_wu, fcvt_s_l, fcvt_s_lu, fmv_x_w, fmv_w_x
    // D
    case fld, fsd, fmadd_d, fmsub_d, fnmsub_d, fnmadd_d, fadd_d, fsub_d, fmul_d, fdiv_d, fsqrt_d, fsgnj_d, fsgnjn_d
    case fsgnjx_d, fmin_d, fmax_d, feq_d, flt_d, fle_d, fclass_d, fcvt_w_d, fcvt_wu_d, fcvt_l_d, fcvt_lu_d, fcvt_d_w
    case fcvt_d_wu, fcvt_d_l, fcvt_d_lu, fmv_x_d, fmv_d_x, fcvt_s_d, fcvt_d_s
    // Zfh, Zfhmin
    case flh, fsh, fmadd_h, fmsub_h, fnmsub_h, fnmadd_h, fadd_h, fsub_h, fmul_h, fdiv_h, fsqrt_h, fsgnj_h, fsgnjn_h
    case fsgnjx_h, fmin_h, fmax_h, feq_h, flt_h, fle_h, fclass_h, fcvt_w_h, fcvt_wu_h, fcvt_l_h, fcvt_lu_h, fcvt_h_w
    case fcvt_h_wu, fcvt_h_l, fcvt_h_lu, fmv_x_h, fmv_h_x, fcvt_s_h, fcvt_h_s, fcvt_d_h, fcvt_h_d
    // Zfbfmin
    case fcvt_bf16_s, fcvt_s_bf16
    // Zfa
    case fli_s, fminm_s, fmaxm_s, fround_s, froundnx_s, fleq_s, fltq_s, fli_d, fminm_d, fmaxm_d, fround_d
    case froundnx_d, fleq_d, fltq_d, fli_h, fminm_h, fmaxm_h, fround_h, froundnx_h, fleq_h, fltq_h, fcvtmod_w_d
    // V: configuration
    case vsetvli, vsetivli, vsetvl
    // V: loads and stores
    case vlm, vsm, vle, vse, vleff, vlse, vsse, vlxei, vsxei, vlr, vsr
    // V: integer
    case vadd, vsub, vrsub, vminu, vmin, vmaxu, vmax, vand, vor, vxor, vsll, vsrl, vsra, vmul, vmulh, vmulhu, vmulhsu, vdivu, vdiv, vrem, vremu
    case vmacc, vnmsac, vmadd, vnmsub, vmseq, vmsne, vmsltu, vmslt, vmsleu, vmsle, vmsgtu, vmsgt, vadc, vsbc, vmadc, vmsbc, vmerge, vmv_v, vzext, vsext
    // V: widening and narrowing
    case vwaddu, vwadd, vwsubu, vwsub, vwaddu_w, vwadd_w, vwsubu_w, vwsub_w, vwmulu, vwmulsu, vwmul, vwmaccu, vwmacc, vwmaccsu, vwmaccus, vnsrl, vnsra
    // V: fixed point
    case vsaddu, vsadd, vssubu, vssub, vaaddu, vaadd, vasubu, vasub, vsmul, vssrl, vssra, vnclipu, vnclip
    // V: floating point
    case vfadd, vfsub, vfrsub, vfmul, vfdiv, vfrdiv, vfmin, vfmax, vfsgnj, vfsgnjn, vfsgnjx, vfmacc, vfnmacc, vfmsac, vfnmsac, vfmadd, vfnmadd
    case vfmsub, vfnmsub, vmfeq, vmfle, vmflt, vmfne, vmfgt, vmfge, vfsqrt, vfrsqrt7, vfrec7, vfclass, vfmerge, vfmv_v
    case vfwadd, vfwsub, vfwadd_w, vfwsub_w, vfwmul, vfwmacc, vfwnmacc, vfwmsac, vfwnmsac
    // V: conversions
    case vfcvt_xu_f, vfcvt_x_f, vfcvt_f_xu, vfcvt_f_x, vfcvt_rtz_xu_f, vfcvt_rtz_x_f, vfwcvt_xu_f, vfwcvt_x_f, vfwcvt_f_xu, vfwcvt_f_x, vfwcvt_f_f
    case vfwcvt_rtz_xu_f, vfwcvt_rtz_x_f, vfncvt_xu_f, vfncvt_x_f, vfncvt_f_xu, vfncvt_f_x, vfncvt_f_f, vfncvt_rod_f_f, vfncvt_rtz_xu_f, vfncvt_rtz_x_f
    // V: reductions
    case vredsum, vredand, vredor, vredxor, vredminu, vredmin, vredmaxu, vredmax, vwredsumu, vwredsum
    case vfredusum, vfredosum, vfredmin, vfredmax, vfwredusum, vfwredosum
    // V: masks
    case vmandn, vmand, vmor, vmxor, vmorn, vmnand, vmnor, vmxnor, vcpop, vfirst, vmsbf, vmsof, vmsif, viota, vid
    // Zvbb, Zvbc
    case vandn, vrol, vror, vwsll, vbrev8, vrev8, vbrev, vclz, vctz, vcpop_v, vclmul, vclmulh
    // Zvfbfmin, Zvfbfwma
    case vfwcvtbf16, vfncvtbf16, vfwmaccbf16
    // Zvkg, Zvkned, Zvknh, Zvksed, Zvksh
    case vgmul, vghsh, vaesdm, vaesdf, vaesem, vaesef, vaesz, vaeskf1, vaeskf2, vsha2ms, vsha2ch, vsha2cl, vsm4k, vsm4r, vsm3me, vsm3c
    // V: permutations
    case vmv_x_s, vmv_s_x, vfmv_f_s, vfmv_s_f, vslideup, vslidedown, vslide1up, vslide1down, vfslide1up, vfslide1down, vrgather, vrgatherei16, vcompress
    case vmvr
    // Not instructions: an encoding that is none, and the end of a block that just runs on
    case illegal, blockEnd
}

extension DecodedOp {
    /// The opcode as the enum.
    /// SAFETY: RISC-V blocks hold only opcodes that came from an `RVOp` (through the initialiser below); the enum has more than
    /// 256 cases, so it occupies 16 bits whose value is the case's position, which equals its raw value (a test checks both).
    @inline(__always)
    package var rv: RVOp { unsafeBitCast(op, to: RVOp.self) }

    package init(_ op: RVOp, rd: UInt8 = 0, rs1: UInt8 = 0, rs2: UInt8 = 0, rs3: UInt8 = 0, imm: Int32 = 0, raw: UInt32 = 0) {
        self.init(op: op.rawValue, rd: rd, rs1: rs1, rs2: rs2, rs3: rs3, imm: imm, raw: raw)
    }

    /// Length in bytes, 2 or 4.
    @inline(__always)
    package var length: UInt64 { raw & 3 == 3 ? 4 : 2 }
}
