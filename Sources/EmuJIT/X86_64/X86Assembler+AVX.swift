/// Bits of a vector instruction: the xmm registers, or all of the ymm registers.
public enum X86VectorSize: Sendable {
    case half, full

    public var bytes: Int { self == .full ? 32 : 16 }
    var isLong: Bool { self == .full }
}

/// Three-operand instructions on packed integers, with prefix 66; the raw value is the opcode, the map above it, and W as the highest bit.
///
/// `pandn` is `~first & second`. Shifts by `sll` and the like take one amount from the low 64 bits of the second operand, an xmm register
/// or 16 bytes of memory whatever the size; those with a `v` one for each element. `pack` and `unpck` work on each 16 bytes alone.
public enum X86Packed: UInt16, CaseIterable, Sendable {
    case paddusb = 0x1dc
    case paddb = 0x1fc, paddw = 0x1fd, paddd = 0x1fe, paddq = 0x1d4
    case psubb = 0x1f8, psubw = 0x1f9, psubd = 0x1fa, psubq = 0x1fb
    case pand = 0x1db, pandn = 0x1df, por = 0x1eb, pxor = 0x1ef
    case pminub = 0x1da, pminuw = 0x23a, pminud = 0x23b, pmaxub = 0x1de, pmaxuw = 0x23e, pmaxud = 0x23f
    case pminsb = 0x238, pminsw = 0x1ea, pminsd = 0x239, pmaxsb = 0x23c, pmaxsw = 0x1ee, pmaxsd = 0x23d
    case pmullw = 0x1d5, pmulld = 0x240, pmulhw = 0x1e5, pmulhuw = 0x1e4, pmuludq = 0x1f4, pmuldq = 0x228
    case pcmpeqb = 0x174, pcmpeqw = 0x175, pcmpeqd = 0x176, pcmpeqq = 0x229
    case pcmpgtb = 0x164, pcmpgtw = 0x165, pcmpgtd = 0x166, pcmpgtq = 0x237
    case psllw = 0x1f1, pslld = 0x1f2, psllq = 0x1f3, psrlw = 0x1d1, psrld = 0x1d2, psrlq = 0x1d3, psraw = 0x1e1, psrad = 0x1e2
    case psllvd = 0x247, psllvq = 0x8247, psrlvd = 0x245, psrlvq = 0x8245, psravd = 0x246
    case pshufb = 0x200, packsswb = 0x163, packssdw = 0x16b, packuswb = 0x167, packusdw = 0x22b
    case punpcklbw = 0x160, punpckhbw = 0x168, punpckldq = 0x162, punpckhdq = 0x16a, punpcklqdq = 0x16c, punpckhqdq = 0x16d
    case pmaddubsw = 0x204

    /// The second operand is an amount of 64 bits in an xmm register.
    public var takesAmount: Bool {
        switch self {
        case .psllw, .pslld, .psllq, .psrlw, .psrld, .psrlq, .psraw, .psrad: true
        default: false
        }
    }
}

/// Packed extensions: the raw value is the opcode in map 0F 38. The source has as many elements as the destination.
public enum X86PackedExtension: UInt8, CaseIterable, Sendable {
    case pmovsxbw = 0x20, pmovsxbd, pmovsxbq, pmovsxwd, pmovsxwq, pmovsxdq
    case pmovzxbw = 0x30, pmovzxbd, pmovzxbq, pmovzxwd, pmovzxwq, pmovzxdq
}

/// Relations of `cmpp`; the raw value is the immediate. Those with an s behind them raise the invalid flag for every NaN, those with a q only
/// for signalling ones; unordered operands satisfy `neq_uq` and `unord_q` alone.
public enum X86FloatRelation: UInt8, CaseIterable, Sendable {
    case lt_os = 1, le_os = 2, unord_q = 3, neq_uq = 4, eq_oq = 0, ge_os = 13, gt_os = 14
}

extension X86Float {
    fileprivate var packed: UInt8 { self == .double ? 0x66 : 0 }
}

/// AVX2: nothing here may be used on a host without it.
extension X86Assembler {
    // MARK: Moves

    public mutating func movdqu(_ size: X86VectorSize, _ destination: XMMRegister, _ source: some X86VectorOperand) {
        emitVEX(0x6f, map: .of, prefix: 0xf3, wide: false, long: size.isLong, reg: destination.number, rm: source.encoding)
    }

    public mutating func movdqu(_ size: X86VectorSize, _ destination: X86Memory, _ source: XMMRegister) {
        emitVEX(0x7f, map: .of, prefix: 0xf3, wide: false, long: size.isLong, reg: source.number, rm: destination.encoding)
    }

    /// 32 bits; clears the rest.
    public mutating func movd(_ destination: XMMRegister, _ source: X86Memory) {
        emitVEX(0x6e, map: .of, prefix: 0x66, wide: false, reg: destination.number, rm: source.encoding)
    }

    public mutating func movd(_ destination: X86Memory, _ source: XMMRegister) {
        emitVEX(0x7e, map: .of, prefix: 0x66, wide: false, reg: source.number, rm: destination.encoding)
    }

    /// The lowest element of 2^`width` bytes in each.
    public mutating func broadcast(_ size: X86VectorSize, _ width: X86Width, _ destination: XMMRegister, _ source: some X86VectorOperand) {
        let opcode: UInt8 =
            switch width {
            case .byte: 0x78
            case .word: 0x79
            case .long: 0x58
            case .quad: 0x59
            }
        emitVEX(opcode, map: .of38, prefix: 0x66, wide: false, long: size.isLong, reg: destination.number, rm: source.encoding)
    }

    /// 16 bytes of memory in each half of a ymm register.
    public mutating func broadcasti128(_ destination: XMMRegister, _ source: X86Memory) {
        emitVEX(0x5a, map: .of38, prefix: 0x66, wide: false, long: true, reg: destination.number, rm: source.encoding)
    }

    /// The upper 16 bytes of a ymm register.
    public mutating func extracti128(_ destination: XMMRegister, _ source: XMMRegister) {
        emitVEX(0x39, map: .of3a, prefix: 0x66, wide: false, long: true, reg: source.number, rm: destination.encoding)
        put8(1)
    }

    /// `first` with 32 bits of memory as element `index`.
    public mutating func pinsrd(_ destination: XMMRegister, _ first: XMMRegister, _ source: X86Memory, at index: UInt8) {
        emitVEX(0x22, map: .of3a, prefix: 0x66, wide: false, reg: destination.number, second: first.number, rm: source.encoding)
        put8(index)
    }

    /// The lower half of `first` with 64 bits of memory above.
    public mutating func movhps(_ destination: XMMRegister, _ first: XMMRegister, _ source: X86Memory) {
        emitVEX(0x16, map: .of, prefix: 0, wide: false, reg: destination.number, second: first.number, rm: source.encoding)
    }

    /// `first` with 16 bytes as its upper half.
    public mutating func inserti128(_ destination: XMMRegister, _ first: XMMRegister, _ upper: some X86VectorOperand) {
        emitVEX(0x38, map: .of3a, prefix: 0x66, wide: false, long: true, reg: destination.number, second: first.number, rm: upper.encoding)
        put8(1)
    }

    /// Two halves of 16 bytes: `halves` picks the lower one in bits 0 and 1, the upper one in bits 4 and 5, of `first` (0, 1) and `second` (2, 3).
    public mutating func perm2i128(_ destination: XMMRegister, _ first: XMMRegister, _ second: some X86VectorOperand, _ halves: UInt8) {
        emitVEX(0x46, map: .of3a, prefix: 0x66, wide: false, long: true, reg: destination.number, second: first.number, rm: second.encoding)
        put8(halves)
    }

    /// - Parameter order: two bits per 64-bit element of the destination, lowest first: which element of the source it gets.
    public mutating func permq(_ destination: XMMRegister, _ source: some X86VectorOperand, _ order: UInt8) {
        emitVEX(0x00, map: .of3a, prefix: 0x66, wide: true, long: true, reg: destination.number, rm: source.encoding)
        put8(order)
    }

    /// Of each 16 bytes: two 32-bit elements of `first` and two of `second`.
    /// - Parameter order: two bits per element of the destination, lowest first: which element of its source it gets.
    public mutating func shufps(
        _ size: X86VectorSize, _ destination: XMMRegister, _ first: XMMRegister, _ second: some X86VectorOperand, _ order: UInt8
    ) {
        emitVEX(0xc6, map: .of, prefix: 0, wide: false, long: size.isLong, reg: destination.number, second: first.number, rm: second.encoding)
        put8(order)
    }

    /// Ends the use of ymm registers' upper halves.
    public mutating func vzeroupper() {
        usesUpperHalves = false
        reserve()
        put8(0xc5)
        put8(0xf8)
        put8(0x77)
    }

    // MARK: Integers

    public mutating func packed(
        _ operation: X86Packed, _ size: X86VectorSize, _ destination: XMMRegister, _ first: XMMRegister, _ second: some X86VectorOperand
    ) {
        emitVEX(
            UInt8(truncatingIfNeeded: operation.rawValue), map: operation.rawValue & 0x200 != 0 ? .of38 : .of, prefix: 0x66,
            wide: operation.rawValue & 0x8000 != 0, long: size.isLong, reg: destination.number, second: first.number, rm: second.encoding)
    }

    /// Shifts all elements by a constant, smaller than their width.
    /// - Parameter operation: one that `takesAmount`.
    public mutating func packedShift(_ operation: X86Packed, _ size: X86VectorSize, _ destination: XMMRegister, _ source: XMMRegister, by amount: UInt8) {
        let opcode = UInt8(truncatingIfNeeded: operation.rawValue)
        // Group 12, 13 or 14 by the width; the digit is that of the direction.
        let digit: UInt8 = opcode & 0xf0 == 0xf0 ? 6 : opcode & 0xf0 == 0xe0 ? 4 : 2
        emitVEX(0x70 | opcode & 3, map: .of, prefix: 0x66, wide: false, long: size.isLong, reg: digit, second: destination.number, rm: source.encoding)
        put8(amount)
    }

    /// The highest bit of each byte of `mask` chooses a byte of `second` over that of `first`.
    public mutating func blendvb(
        _ size: X86VectorSize, _ destination: XMMRegister, _ first: XMMRegister, _ second: some X86VectorOperand, _ mask: XMMRegister
    ) {
        emitVEX(0x4c, map: .of3a, prefix: 0x66, wide: false, long: size.isLong, reg: destination.number, second: first.number, rm: second.encoding)
        put8(mask.number << 4)
    }

    /// Stores the elements, of 32 or 64 bits, whose highest bit is set in `mask`; the others' memory is not accessed.
    public mutating func maskedStore(_ size: X86VectorSize, wide: Bool, _ destination: X86Memory, _ mask: XMMRegister, _ source: XMMRegister) {
        emitVEX(0x8e, map: .of38, prefix: 0x66, wide: wide, long: size.isLong, reg: source.number, second: mask.number, rm: destination.encoding)
    }

    public mutating func extend(_ operation: X86PackedExtension, _ size: X86VectorSize, _ destination: XMMRegister, _ source: some X86VectorOperand) {
        emitVEX(operation.rawValue, map: .of38, prefix: 0x66, wide: false, long: size.isLong, reg: destination.number, rm: source.encoding)
    }

    /// Puts the highest bits of the bytes together.
    public mutating func movmskb(_ size: X86VectorSize, _ destination: X86Register, _ source: XMMRegister) {
        emitVEX(0xd7, map: .of, prefix: 0x66, wide: false, long: size.isLong, reg: destination.rawValue, rm: source.encoding)
    }

    /// ZF: no bit is set in both.
    public mutating func ptest(_ size: X86VectorSize, _ first: XMMRegister, _ second: some X86VectorOperand) {
        emitVEX(0x17, map: .of38, prefix: 0x66, wide: false, long: size.isLong, reg: first.number, rm: second.encoding)
    }

    // MARK: Floating point

    /// `first op second`, for `sqrt` of `second` alone.
    public mutating func packed(
        _ operation: X86Scalar, _ format: X86Float, _ size: X86VectorSize, _ destination: XMMRegister, _ first: XMMRegister, _ second: some X86VectorOperand
    ) {
        emitVEX(
            operation.rawValue, map: .of, prefix: format.packed, wide: false, long: size.isLong, reg: destination.number,
            second: operation == .sqrt ? 0 : first.number, rm: second.encoding)
    }

    /// As `fma(_:_:_:_:_:_:)` for each element. Needs FMA.
    public mutating func packed(
        _ operation: X86FMA, _ order: X86FMAOrder, _ format: X86Float, _ size: X86VectorSize, _ first: XMMRegister, _ second: XMMRegister,
        _ third: some X86VectorOperand
    ) {
        emitVEX(
            0x98 &+ order.rawValue &+ operation.rawValue &<< 1, map: .of38, prefix: 0x66, wide: format == .double, long: size.isLong,
            reg: first.number, second: second.number, rm: third.encoding)
    }

    /// All ones in each element where the relation holds.
    public mutating func cmpp(
        _ relation: X86FloatRelation, _ format: X86Float, _ size: X86VectorSize, _ destination: XMMRegister, _ first: XMMRegister,
        _ second: some X86VectorOperand
    ) {
        emitVEX(0xc2, map: .of, prefix: format.packed, wide: false, long: size.isLong, reg: destination.number, second: first.number, rm: second.encoding)
        put8(relation.rawValue)
    }

    /// Puts the signs together.
    public mutating func movmskp(_ format: X86Float, _ size: X86VectorSize, _ destination: X86Register, _ source: XMMRegister) {
        emitVEX(0x50, map: .of, prefix: format.packed, wide: false, long: size.isLong, reg: destination.rawValue, rm: source.encoding)
    }

    /// Signed 32-bit integers to singles.
    public mutating func cvtdq2ps(_ size: X86VectorSize, _ destination: XMMRegister, _ source: some X86VectorOperand) {
        emitVEX(0x5b, map: .of, prefix: 0, wide: false, long: size.isLong, reg: destination.number, rm: source.encoding)
    }

    /// Singles to signed 32-bit integers; out of range gives the most negative one.
    public mutating func cvtps2dq(_ size: X86VectorSize, truncating: Bool, _ destination: XMMRegister, _ source: some X86VectorOperand) {
        emitVEX(0x5b, map: .of, prefix: truncating ? 0xf3 : 0x66, wide: false, long: size.isLong, reg: destination.number, rm: source.encoding)
    }

    /// Singles to doubles, which fill the size.
    public mutating func cvtps2pd(_ size: X86VectorSize, _ destination: XMMRegister, _ source: some X86VectorOperand) {
        emitVEX(0x5a, map: .of, prefix: 0, wide: false, long: size.isLong, reg: destination.number, rm: source.encoding)
    }

    /// Signed 32-bit integers to doubles, which fill the size.
    public mutating func cvtdq2pd(_ size: X86VectorSize, _ destination: XMMRegister, _ source: some X86VectorOperand) {
        emitVEX(0xe6, map: .of, prefix: 0xf3, wide: false, long: size.isLong, reg: destination.number, rm: source.encoding)
    }

    /// Doubles, which fill the size, to signed 32-bit integers; out of range gives the most negative one; clears the rest.
    public mutating func cvtpd2dq(_ size: X86VectorSize, truncating: Bool, _ destination: XMMRegister, _ source: XMMRegister) {
        emitVEX(0xe6, map: .of, prefix: truncating ? 0x66 : 0xf2, wide: false, long: size.isLong, reg: destination.number, rm: source.encoding)
    }

    /// Doubles, which fill the size, to singles; clears the rest.
    public mutating func cvtpd2ps(_ size: X86VectorSize, _ destination: XMMRegister, _ source: XMMRegister) {
        emitVEX(0x5a, map: .of, prefix: 0x66, wide: false, long: size.isLong, reg: destination.number, rm: source.encoding)
    }
}
