/// Where an encoding keeps its operands and how they become the fields of a `DecodedOp`.
///
/// 32-bit layouts are named after the base formats (ISA manual, "Base Instruction Formats"); 16-bit ones start with `c`.
package enum RVLayout: UInt8, Sendable {
    /// No operands.
    case none
    /// rd, rs1, rs2.
    case r
    /// rd, rs1; rs2's place is fixed.
    case unary
    /// rd, rs1, rs2, rs3, imm = rm.
    case r4
    /// rd, rs1, rs2, imm = rm.
    case rounded
    /// rd, rs1, imm = rm.
    case unaryRounded
    /// rd, rs1, imm: signed bits 31:20.
    case i
    /// rs1, rs2, imm: store offset.
    case s
    /// rs1, rs2, imm: branch offset.
    case b
    /// rd, imm: bits 31:12 in place.
    case u
    /// rd, imm: jump offset.
    case j
    /// rd, rs1, imm: shift amount, bits 25:20.
    case shift
    /// rd, rs1, imm: round of a key schedule, bits 23:20.
    case round
    /// rd, rs1, rs2, imm: number of a byte, bits 31:30.
    case byteSelect
    /// rd, rs1 (register or 5-bit immediate), imm: CSR number.
    case csr
    /// imm: fm, pred, succ.
    case fence
    /// rd, rs1, rs2, imm: bit 0 rl, bit 1 aq.
    case atomic
    /// rs1, imm: store offset whose low five bits are zero.
    case prefetch
    /// rd, rs1, rs2, imm = vm.
    case vector
    /// The same, and rs3: the sixth bit of the amount in rs1.
    case vectorRotation
    /// rs1, rs2, rs3 (bits 11:7), imm = vm.
    case vectorStore
    /// rd, rs1, imm: vtype, eleven and ten bits.
    case vset, vseti

    /// rd′, sp, imm: c.addi4spn.
    case cAddi4spn
    /// rd′, rs1′, imm: word and doubleword offsets.
    case cLoadWord, cLoadDouble
    /// rs1′, rs2′, imm.
    case cStoreWord, cStoreDouble
    /// Zcb's byte and halfword offsets.
    case cLoadByte, cLoadHalf, cStoreByte, cStoreHalf
    /// rd = rs1, imm: signed, six bits.
    case cImmediate
    /// rd, x0, imm: signed, six bits.
    case cLoadImmediate
    /// sp, sp, imm: c.addi16sp.
    case cAddi16sp
    /// rd, imm: already shifted left by 12.
    case cUpper
    /// rd = rs1, imm: shift amount.
    case cShift
    /// rd′ = rs1′, imm: shift amount.
    case cShiftShort
    /// rd′ = rs1′, imm: signed, six bits.
    case cImmediateShort
    /// rd′ = rs1′, rs2′.
    case cArithmetic
    /// rd′ = rs1′; the row's constant.
    case cUnary
    /// x0, imm: jump offset.
    case cJump
    /// rs1′, x0, imm: branch offset.
    case cBranch
    /// rd, sp, imm.
    case cLoadWordStack, cLoadDoubleStack
    /// sp, rs2, imm.
    case cStoreWordStack, cStoreDoubleStack
    /// ra as rs2; t0 as rs1.
    case cPushLink, cPopLink
    /// x0, rs1, 0.
    case cJumpRegister
    /// ra, rs1, 0.
    case cCallRegister
    /// rd, x0, rs2.
    case cMove
    /// rd = rs1, rs2.
    case cAdd

    /// There is an integer destination even though the assembler writes none.
    var impliesIntegerDestination: Bool {
        switch self {
        case .cJump, .cJumpRegister, .cCallRegister: true
        default: false
        }
    }
}

/// One operand as the assembler writes it.
package enum RVOperand: UInt8, Sendable {
    case rd, rs1, rs2, fd, fs1, fs2, fs3
    /// Signed decimal.
    case immediate
    /// Hexadecimal shift amount, round or byte.
    case amount
    /// Hexadecimal bits 31:12; decimal ones.
    case upper, label
    /// `imm(rs1)`; `(rs1)` of instructions that take no offset.
    case memory, address
    case target
    case csr, csrImmediate
    /// Rounding mode, left out when dynamic; of a conversion that is always exact, left out when round-to-nearest; round-towards-zero,
    /// always written.
    case rounding, exactRounding, towardsZero
    /// Predecessor and successor sets.
    case fence
    /// Constant of `fli`.
    case constant
    case vd, vs1, vs2, vs3
    /// Five bits in rs1's place, signed.
    case vectorImmediate
    /// Six bits, unsigned.
    case rotation
    /// `v0.t`, left out when there is no mask; v0 as an operand.
    case vectorMask, vectorCarry
    /// vtype.
    case vectorType
}

/// How a row's operands are encoded and written.
package struct RVFormat: Sendable {
    package let layout: RVLayout
    package let operands: [RVOperand]
    /// The destination is an integer register, so that x0 must be redirected.
    package let hasIntegerDestination: Bool

    init(_ layout: RVLayout, _ operands: RVOperand...) { self.init(layout, operands) }

    init(_ layout: RVLayout, _ operands: [RVOperand]) {
        self.layout = layout
        self.operands = operands
        hasIntegerDestination = operands.contains(.rd) || layout.impliesIntegerDestination
    }

    static let none = RVFormat(.none)
    // Integer
    static let r = RVFormat(.r, .rd, .rs1, .rs2)
    static let unary = RVFormat(.unary, .rd, .rs1)
    static let i = RVFormat(.i, .rd, .rs1, .immediate)
    static let load = RVFormat(.i, .rd, .memory)
    static let store = RVFormat(.s, .rs2, .memory)
    static let branch = RVFormat(.b, .rs1, .rs2, .target)
    static let upper = RVFormat(.u, .rd, .upper)
    static let jump = RVFormat(.j, .rd, .target)
    static let landingPad = RVFormat(.u, .label)
    static let link1 = RVFormat(.unary, .rs1)
    static let link2 = RVFormat(.r, .rs2)
    static let readPointer = RVFormat(.unary, .rd)
    static let cPushLink = RVFormat(.cPushLink, .rs2)
    static let cPopLink = RVFormat(.cPopLink, .rs1)
    static let shift = RVFormat(.shift, .rd, .rs1, .amount)
    static let round = RVFormat(.round, .rd, .rs1, .amount)
    static let byteSelect = RVFormat(.byteSelect, .rd, .rs1, .rs2, .amount)
    static let fence = RVFormat(.fence, .fence)
    static let hintAdd = RVFormat(.r)
    static let fenceFull = RVFormat(.fence)
    static let atomic = RVFormat(.atomic, .rd, .rs2, .address)
    static let loadReserved = RVFormat(.atomic, .rd, .address)
    static let csr = RVFormat(.csr, .rd, .csr, .rs1)
    static let csrImmediate = RVFormat(.csr, .rd, .csr, .csrImmediate)
    static let fenceAddress = RVFormat(.r, .rs1, .rs2)
    static let guestLoad = RVFormat(.unary, .rd, .address)
    static let guestStore = RVFormat(.r, .rs2, .address)
    static let cacheBlock = RVFormat(.i, .address)
    static let prefetch = RVFormat(.prefetch, .memory)
    // Floating point: f and x name the register files of destination and sources
    static let loadFloat = RVFormat(.i, .fd, .memory)
    static let storeFloat = RVFormat(.s, .fs2, .memory)
    static let fused = RVFormat(.r4, .fd, .fs1, .fs2, .fs3, .rounding)
    static let fffRounded = RVFormat(.rounded, .fd, .fs1, .fs2, .rounding)
    static let fff = RVFormat(.r, .fd, .fs1, .fs2)
    static let xff = RVFormat(.r, .rd, .fs1, .fs2)
    static let ffRounded = RVFormat(.unaryRounded, .fd, .fs1, .rounding)
    static let ffExact = RVFormat(.unaryRounded, .fd, .fs1, .exactRounding)
    static let fxExact = RVFormat(.unaryRounded, .fd, .rs1, .exactRounding)
    static let xfRounded = RVFormat(.unaryRounded, .rd, .fs1, .rounding)
    static let fxRounded = RVFormat(.unaryRounded, .fd, .rs1, .rounding)
    static let xf = RVFormat(.unary, .rd, .fs1)
    static let fx = RVFormat(.unary, .fd, .rs1)
    static let xfTowardsZero = RVFormat(.unary, .rd, .fs1, .towardsZero)
    static let floatConstant = RVFormat(.unary, .fd, .constant)
    // Compressed
    static let cAddi4spn = RVFormat(.cAddi4spn, .rd, .rs1, .immediate)
    static let cLoadWord = RVFormat(.cLoadWord, .rd, .memory)
    static let cLoadDouble = RVFormat(.cLoadDouble, .rd, .memory)
    static let cLoadFloatDouble = RVFormat(.cLoadDouble, .fd, .memory)
    static let cLoadByte = RVFormat(.cLoadByte, .rd, .memory)
    static let cLoadHalf = RVFormat(.cLoadHalf, .rd, .memory)
    static let cStoreWord = RVFormat(.cStoreWord, .rs2, .memory)
    static let cStoreDouble = RVFormat(.cStoreDouble, .rs2, .memory)
    static let cStoreFloatDouble = RVFormat(.cStoreDouble, .fs2, .memory)
    static let cStoreByte = RVFormat(.cStoreByte, .rs2, .memory)
    static let cStoreHalf = RVFormat(.cStoreHalf, .rs2, .memory)
    static let cImmediate = RVFormat(.cImmediate, .rd, .immediate)
    static let cLoadImmediate = RVFormat(.cLoadImmediate, .rd, .immediate)
    static let cAddi16sp = RVFormat(.cAddi16sp, .rd, .immediate)
    static let cUpper = RVFormat(.cUpper, .rd, .upper)
    static let cShift = RVFormat(.cShift, .rd, .amount)
    static let cShiftShort = RVFormat(.cShiftShort, .rd, .amount)
    static let cShift64 = RVFormat(.cShift, .rd)
    static let cShiftShort64 = RVFormat(.cShiftShort, .rd)
    static let cImmediateShort = RVFormat(.cImmediateShort, .rd, .immediate)
    static let cArithmetic = RVFormat(.cArithmetic, .rd, .rs2)
    static let cUnary = RVFormat(.cUnary, .rd)
    static let cJump = RVFormat(.cJump, .target)
    static let cBranch = RVFormat(.cBranch, .rs1, .target)
    static let cLoadWordStack = RVFormat(.cLoadWordStack, .rd, .memory)
    static let cLoadDoubleStack = RVFormat(.cLoadDoubleStack, .rd, .memory)
    static let cLoadFloatStack = RVFormat(.cLoadDoubleStack, .fd, .memory)
    static let cStoreWordStack = RVFormat(.cStoreWordStack, .rs2, .memory)
    static let cStoreDoubleStack = RVFormat(.cStoreDoubleStack, .rs2, .memory)
    static let cStoreFloatStack = RVFormat(.cStoreDoubleStack, .fs2, .memory)
    static let cJumpRegister = RVFormat(.cJumpRegister, .rs1)
    static let cCallRegister = RVFormat(.cCallRegister, .rs1)
    static let cMove = RVFormat(.cMove, .rd, .rs2)
    static let cAdd = RVFormat(.cAdd, .rd, .rs2)
    static let cHintAdd = RVFormat(.cAdd)
}
