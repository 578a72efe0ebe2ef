/// Rounds of AES: `destination = first`, one round on, with the round key `second`. The raw value is the opcode in map 0F 38.
public enum X86AES: UInt8, CaseIterable, Sendable {
    case aesenc = 0xdc, aesenclast, aesdec, aesdeclast
}

/// Steps of SHA-256, `destination op= source`; the raw value is the opcode in map 0F 38. `sha256rnds2` has the sums of words and constants in xmm0.
public enum X86SHA: UInt8, CaseIterable, Sendable {
    case sha256rnds2 = 0xcb, sha256msg1, sha256msg2
}

/// Ciphers, hashes, carry-less products, and the moves of bytes they need. Those of 256 bits work on each 16 bytes alone.
extension X86Assembler {
    /// Needs AES; of 256 bits VAES.
    public mutating func aes(_ operation: X86AES, _ size: X86VectorSize, _ destination: XMMRegister, _ first: XMMRegister, _ second: some X86VectorOperand) {
        emitVEX(operation.rawValue, map: .of38, prefix: 0x66, wide: false, long: size.isLong, reg: destination.number, second: first.number, rm: second.encoding)
    }

    /// InvMixColumns. Needs AES.
    public mutating func aesimc(_ destination: XMMRegister, _ source: some X86VectorOperand) {
        emitVEX(0xdb, map: .of38, prefix: 0x66, wide: false, reg: destination.number, rm: source.encoding)
    }

    /// Of words 1 and 3 of the source SubWord, then RotWord of that and `constant`. Needs AES.
    public mutating func aeskeygenassist(_ destination: XMMRegister, _ source: some X86VectorOperand, _ constant: UInt8) {
        emitVEX(0xdf, map: .of3a, prefix: 0x66, wide: false, reg: destination.number, rm: source.encoding)
        put8(constant)
    }

    /// Needs SHA; keeps the upper half of the ymm register.
    public mutating func sha(_ operation: X86SHA, _ destination: XMMRegister, _ source: XMMRegister) {
        emit(operation.rawValue, map: .of38, reg: destination.number, rm: source.encoding)
    }

    /// Carry-less product of two 64-bit halves: bit 0 of `halves` picks that of `first`, bit 4 that of `second`. Needs PCLMULQDQ; of 256 bits VPCLMULQDQ.
    public mutating func pclmulqdq(
        _ size: X86VectorSize, _ destination: XMMRegister, _ first: XMMRegister, _ second: some X86VectorOperand, _ halves: UInt8
    ) {
        emitVEX(0x44, map: .of3a, prefix: 0x66, wide: false, long: size.isLong, reg: destination.number, second: first.number, rm: second.encoding)
        put8(halves)
    }

    /// - Parameter order: two bits per 32-bit element of the destination, lowest first: which element of the source it gets.
    public mutating func pshufd(_ size: X86VectorSize, _ destination: XMMRegister, _ source: some X86VectorOperand, _ order: UInt8) {
        emitVEX(0x70, map: .of, prefix: 0x66, wide: false, long: size.isLong, reg: destination.number, rm: source.encoding)
        put8(order)
    }

    /// 16 bytes from byte `distance` on of `lower` with `upper` behind it.
    public mutating func palignr(_ size: X86VectorSize, _ destination: XMMRegister, upper: XMMRegister, lower: some X86VectorOperand, _ distance: UInt8) {
        emitVEX(0x0f, map: .of3a, prefix: 0x66, wide: false, long: size.isLong, reg: destination.number, second: upper.number, rm: lower.encoding)
        put8(distance)
    }

    /// Shifts 16 bytes by whole ones: `pslldq`, `psrldq`.
    public mutating func shiftBytes(left: Bool, _ size: X86VectorSize, _ destination: XMMRegister, _ source: XMMRegister, by count: UInt8) {
        emitVEX(0x73, map: .of, prefix: 0x66, wide: false, long: size.isLong, reg: left ? 7 : 3, second: destination.number, rm: source.encoding)
        put8(count)
    }
}
