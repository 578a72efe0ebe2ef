/// What an IR instruction does. Operand roles (`dst`, `a`, `b`, `c`, `displacement`) are given per group.
///
/// Integer values have 64 bits. A `w` suffix means: computed on the low 32 bits, result sign-extended to 64.
/// Floating values are 64-bit register contents; `S` operations work on NaN-boxed single precision (an operand that is not
/// properly boxed counts as the canonical NaN, results are boxed), `D` operations on double precision.
public enum Opcode: UInt16, CaseIterable, Sendable {
    // dst = a
    case mov
    // dst = virtual address of the page the code runs in + `a` (a constant)
    case pc

    // dst = a op b
    case add, addw, sub, subw, and, or, xor
    /// a & ~b, a | ~b, ~(a ^ b)
    case andn, orn, xnor
    /// Shift and rotate amounts are taken modulo the width.
    case shl, shlw, shr, shrw, sar, sarw, rotl, rotlw, rotr, rotrw
    case mul, mulw
    /// High half of the 128-bit product: signed, unsigned, signed × unsigned.
    case mulhs, mulhu, mulhsu
    /// Division by zero gives all ones, its remainder the dividend; overflow wraps.
    case div, divu, rem, remu, divw, divuw, remw, remuw
    case min, max, minu, maxu
    /// 1 if the relation holds, else 0.
    case setlt, setltu, seteq, setne
    /// a with bit b (modulo 64) cleared, set, flipped; bittest: that bit as 0 or 1.
    case bitclear, bitset, bitflip, bittest
    /// Carry-less product: low half, high half, reversed.
    case clmul, clmulh, clmulr
    /// b == 0 ? 0 : a, and b != 0 ? 0 : a
    case zeroifeq, zeroifne
    // dst = (a << c) + b, c a constant 0…3; `shladduw` zero-extends a from 32 bits first
    case shladd, shladduw

    // dst = op a
    case sext8, sext16, sext32, zext8, zext16, zext32
    case clz, clzw, ctz, ctzw, popcnt, popcntw, bswap, orcb
    /// The bits of each byte in reverse order.
    case brev8
    // dst[i] = a[b[i]] in nibbles, in bytes; 0 where there is no such
    case xperm4, xperm8
    /// The exclusive or of a turned right by each of the bytes 0, 1 and 2 of constant b (`TurnedSum`).
    case turnedSum, turnedSumw

    // dst = memory[a + displacement]; b: none, or the temp of a `probe` that covers the access
    case load8s, load8u, load16s, load16u, load32s, load32u, load64
    /// Into a floating register; 32 bits arrive boxed.
    case loadf32, loadf64
    // memory[a + displacement] = b; c: none, or the temp of a `probe`
    case store8, store16, store32, store64, storef32, storef64
    /// dst (temp) = host address less guest address of the page in which [a + displacement, + b) lies. Goes on in the interpreter at
    /// this guest instruction when not all of that may be accessed directly. b: length in bytes, c: `ProbeRights`.
    case probe

    // dst = a op b (floating), rounded by the dynamic mode
    case faddS, fsubS, fmulS, fdivS, faddD, fsubD, fmulD, fdivD
    // dst = op a
    case fsqrtS, fsqrtD
    // dst = ±(a × b) ± c: a·b + c, a·b − c, −(a·b) + c, −(a·b) − c
    case fmaddS, fmsubS, fnmsubS, fnmaddS, fmaddD, fmsubD, fnmsubD, fnmaddD
    // dst = a op b: sign of b, inverted sign of b, xor of signs
    case fsgnjS, fsgnjnS, fsgnjxS, fsgnjD, fsgnjnD, fsgnjxD
    // IEEE minimumNumber and maximumNumber
    case fminS, fmaxS, fminD, fmaxD
    // integer dst = relation; `feq` is quiet
    case feqS, fltS, fleS, feqD, fltD, fleD
    // integer dst = a rounded towards zero (`t`) or by the dynamic mode (`r`); saturating, NaN gives the maximum
    case fcvtI32StoX_t, fcvtI64StoX_t, fcvtI32DtoX_t, fcvtI64DtoX_t
    case fcvtI32StoX_r, fcvtI64StoX_r, fcvtI32DtoX_r, fcvtI64DtoX_r
    // floating dst = integer a (signed 32, signed 64, unsigned 32 bits)
    case fcvtI32toS, fcvtI64toS, fcvtU32toS, fcvtI32toD, fcvtI64toD, fcvtU32toD
    case fcvtStoD, fcvtDtoS
    /// Bits between the files: 64, or 32 (to x: sign-extended; to f: boxed).
    case movFtoX, movXtoF, movF32toX, movX32toF

    // dst = memory[a], 32 bits sign-extended, and the guest has a reservation there
    case loadReserved32, loadReserved64
    // memory[a] = b if the guest has a reservation of that size there, then none; dst = 0 if it had, else 1
    case storeConditional32, storeConditional64
    // dst = memory[a], 32 bits sign-extended; memory[a] = dst op b, at once; `swap` stores b. The address is a multiple of the size, or
    // the interpreter executes the instruction
    case swap32, swap64, fetchAdd32, fetchAdd64, fetchXor32, fetchXor64, fetchAnd32, fetchAnd64, fetchOr32, fetchOr64
    case fetchMin32, fetchMin64, fetchMax32, fetchMax64, fetchMinu32, fetchMinu64, fetchMaxu32, fetchMaxu64

    /// Goes on in the interpreter at this guest instruction unless floating point is enabled, dirty and in a rounding mode
    /// the host knows. Comes before the first floating instruction of a block.
    case guardFloat
    /// Goes on in the interpreter at this guest instruction unless the guest's privilege is at least `a` (a constant).
    case guardPrivilege
    // dst = the 64-bit word `a` (a constant) bytes into the guest's state; the word `a` bytes into the state = b.
    // Only words that are no register and that nothing else in a block depends on
    case readState, writeState
    /// The interpreter executes the guest instruction; any guest register may be read and written.
    case interpret

    // Vectors: `VectorShape` says of which elements and how many. All of these leave the guest instruction to the interpreter unless the
    // guest's vector configuration is the one the shape names. Elements behind the count, and those masked off, keep their values. A scalar
    // in the place of a vector counts as one with that in each element.
    // dst = memory[a + displacement], in one piece, and the other way round; b, c as of other loads and stores
    case vload, vstore
    /// The same for one element each at a, a + c, a + 2c, …; a probe answers for the first.
    case vloadStrided
    /// As `vload` and `vstore`, with a bit for each element of the shape.
    case vloadMask, vstoreMask
    /// dst[i] = memory[a + b[i]], indices unsigned; memory[a + b × i] = c[i]; memory[a + b[i]] = c[i]. All elements or none.
    case vloadIndexed, vstoreStrided, vstoreIndexed
    /// dst = the vector length: the lesser of a and b (a constant), unsigned; the type c (a constant) is in force from here on.
    case vsetLength
    /// The type a (a constant) is in force from here on, with the length there is.
    case vsetType
    /// dst = the vector length.
    case vgetLength

    // dst = a op b, modulo the width; `vrsub` is b − a
    case vadd, vsub, vrsub, vand, vor, vxor, vminu, vmin, vmaxu, vmax
    /// Amounts modulo the width.
    case vsll, vsrl, vsra
    // Low half of the product; high half, signed and unsigned
    case vmul, vmulh, vmulhu
    /// The same, signed × unsigned.
    case vmulhsu
    // As the scalar ones
    case vdivu, vdiv, vremu, vrem
    // dst = a + b + carry, a − b − carry; mask dst = what is carried out of these, and of a + b. The carries are the bits of v0
    case vadc, vsbc, vmadc, vmsbc, vmcarry
    // dst = a op b, saturating. These and the next ones have the guest's fixed-point state
    case vsaddu, vsadd, vssubu, vssub
    // (a op b) ÷ 2, a >> b, rounded
    case vaaddu, vaadd, vasubu, vasub, vssrl, vssra
    /// a >> b, rounded and saturating, to half its width; the shape's elements are those of dst.
    case vnclipu, vnclip
    // a & ~b; rotations
    case vandn, vrol, vror
    // dst = a's bits of bytes, bytes, bits in opposite order; zeroes before the first one, behind the last one, ones
    case vbrev8, vrev8, vbrev, vclz, vctz, vpopcnt
    // dst = dst + a × b, dst − a × b, dst × b + a, a − dst × b
    case vmacc, vnmsac, vmadd, vnmsub
    // mask dst = relation(a, b)
    case vmseq, vmsne, vmsltu, vmslt, vmsleu, vmsle, vmsgtu, vmsgt
    /// dst = mask v0 ? b : a
    case vmerge
    // dst = a
    case vmove
    /// dst = a, whose elements have 2^b bytes (b a constant), extended.
    case vzext, vsext
    // The shape's elements are those of dst; a and b, or in the `_w` forms b alone, are half as wide
    case vwaddu, vwadd, vwsubu, vwsub, vwadduW, vwaddW, vwsubuW, vwsubW, vwmulu, vwmul
    /// a signed, b not.
    case vwmulsu
    // dst = dst + a × b; b alone signed; a alone signed
    case vwmaccu, vwmacc, vwmaccsu, vwmaccus
    /// dst = a << b, a unsigned.
    case vwsll
    /// The shape's elements are those of dst; a's are twice as wide. dst = a >> b
    case vnsrl, vnsra

    // dst = a op b; `vfrsub` is b − a, `vfrdiv` b ÷ a
    case vfadd, vfsub, vfrsub, vfmul, vfdiv, vfrdiv, vfmin, vfmax, vfsgnj, vfsgnjn, vfsgnjx
    // dst = ±(b × a) ± dst, and ±(b × dst) ± a
    case vfmacc, vfnmacc, vfmsac, vfnmsac, vfmadd, vfnmadd, vfmsub, vfnmsub
    // dst = op a
    case vfsqrt
    // mask dst = relation(a, b); `eq` and `ne` are quiet
    case vmfeq, vmfne, vmflt, vmfle, vmfgt, vmfge
    /// dst = signed integer a as a number of the same width; a as such an integer, by the dynamic mode or truncated.
    case vfcvtFromInteger, vfcvtToInteger, vfcvtToIntegerTruncated
    // Single to double and double to single; the shape's elements are those of dst
    case vfwiden, vfnarrow
    /// dst = unsigned integer a (32 bits).
    case vfcvtFromUnsigned
    // Integers of 32 bits to doubles; singles to integers of 64 bits; these to singles; doubles to integers of 32 bits
    case vfwidenFromInteger, vfwidenFromUnsigned, vfwidenToInteger, vfwidenToIntegerTruncated, vfnarrowFromInteger, vfnarrowToInteger
    case vfnarrowToIntegerTruncated
    // The shape's elements are those of dst, doubles; a and b, or in the `_w` forms b alone, are singles
    case vfwadd, vfwsub, vfwaddW, vfwsubW, vfwmul
    // dst = ±(b × a) ± dst
    case vfwmacc, vfwnmacc, vfwmsac, vfwnmsac

    // dst's first element = b's first element combined with all of a's
    case vredsum, vredand, vredor, vredxor, vredminu, vredmin, vredmaxu, vredmax
    /// The same of elements half as wide, extended.
    case vwredsumu, vwredsum
    /// The same for numbers, in order; their least or greatest; the sum of singles in a double.
    case vfredsum, vfredmin, vfredmax, vfwredsum

    // mask dst = a op b
    case vmand, vmnand, vmandn, vmxor, vmor, vmnor, vmorn, vmxnor
    // dst (integer) = bits set in mask a; position of the first, −1 without one
    case vcpop, vfirst
    // mask dst = ones before the first one of mask a, before and at it, at it
    case vmsbf, vmsif, vmsof
    /// dst[i] = ones before element i of mask a.
    case viota
    /// dst = 0, 1, 2, …
    case vid
    // dst (integer) = a's first element, sign-extended; dst (floating) = a's first element; dst's first element = a
    case vmoveToInteger, vmoveToFloat, vmoveFirst
    /// dst[i] = a[i − b] from element b on; dst[i] = a[i + b], 0 from the greatest length on, which is constant c. b is a scalar.
    case vslideup, vslidedown
    /// dst[0] = b, the others a[i − 1]; the last is b, the others a[i + 1]. b is a scalar.
    case vslide1up, vslide1down
    /// dst[i] = a[b[i]], 0 where b[i] is not below the greatest length, which is constant c; with indices of 16 bits.
    case vgather, vgather16
    /// dst = the elements of a whose bit in mask b is set, from the first place on.
    case vcompress

    // Ciphers and hashes. Vectors consist of groups of four elements, of eight for SM3, and the count is a number of whole groups; elements
    // have 32 bits, for SHA-2 also 64. In words and bytes the first is the lowest.

    // AES (FIPS 197). A state of the scalar ones is the pair a (lower half), b. dst = lower half of the state after ShiftRows and SubBytes, the
    // `m` ones with MixColumns behind it; and by the inverses of these
    case aes64es, aes64esm, aes64ds, aes64dsm
    /// InvMixColumns of two columns.
    case aes64im
    /// The upper word of a through SubWord in both halves of dst, behind RotWord and with the constant of round b (a constant) + 1 where b is below 10.
    case aes64ks1i
    // dst = dst ^ a after SubBytes and ShiftRows, the `m` ones with MixColumns before a; inverses, with InvMixColumns behind a. Where constant b is 1
    // the first group of a serves all
    case vaesef, vaesem, vaesdf, vaesdm
    /// dst = dst ^ a, b as above.
    case vaesz
    /// dst = round key b (a constant) behind a, of AES-128; behind dst and a, of AES-256.
    case vaeskf1, vaeskf2
    /// Low and high half of the carry-less product, of 64 bits.
    case vclmul, vclmulh
    /// dst = (dst ^ b) × a as GHASH multiplies.
    case vghash
    // SHA-2 (FIPS 180-4). dst: words t-16…t-13 become t…t+3; a: t-12, t-7…t-5; b: t-4…t-1. Two rounds, with the lower and the upper two of the words b:
    // dst: h, g, d, c become f, e, b, a; a: f, e, b, a
    case vsha2ms, vsha2cl, vsha2ch
    // SM4 (GB/T 32907). Four rounds with the keys a, `vaesem`'s constant b; dst = round keys 4b…4b+3 (b a constant) behind those in a
    case vsm4r, vsm4k
    // SM3 (GB/T 32905), bytes of words in the standard's order. dst = words t…t+7; a: t-8…t-1; b: t-16…t-9. Rounds 2b and 2b+1 (b a constant) with
    // words 0, 1, 4 and 5 of a
    case vsm3me, vsm3c
}

extension Opcode {
    /// Of the ciphers and hashes on vectors, whose groups of elements are whole ones of the length they were made for.
    public var isCipher: Bool { Opcode.vaesef.rawValue <= rawValue && rawValue <= Opcode.vsm3c.rawValue }

    /// What constant b of a cipher may be.
    var constantRange: ClosedRange<Int64>? {
        switch self {
        case .vaesef, .vaesem, .vaesdf, .vaesdm, .vaesz, .vsm4r: 0...1
        case .aes64ks1i: 0...10
        case .vaeskf1: 1...10
        case .vaeskf2: 2...14
        case .vsm4k: 0...7
        case .vsm3c: 0...31
        default: nil
        }
    }
}

/// The constant operand of `turnedSum`: amounts modulo the width, the first lowest. The third is one of a shift where byte 3 is not 0.
public struct TurnedSum: Sendable {
    public let rawValue: Int64
    public init(rawValue: Int64) { self.rawValue = rawValue }

    public init(_ first: UInt8, _ second: UInt8, _ third: UInt8, isShift: Bool = false) {
        rawValue = Int64(first) | Int64(second) << 8 | Int64(third) << 16 | (isShift ? 1 << 24 : 0)
    }

    public var first: UInt8 { UInt8(truncatingIfNeeded: rawValue) }
    public var second: UInt8 { UInt8(truncatingIfNeeded: rawValue >> 8) }
    public var third: UInt8 { UInt8(truncatingIfNeeded: rawValue >> 16) }
    public var isShift: Bool { rawValue >> 24 & 0xff != 0 }
}

/// What a `probe` must allow.
public struct ProbeRights: OptionSet, Sendable {
    public let rawValue: Int64
    public init(rawValue: Int64) { self.rawValue = rawValue }
    public static let read = ProbeRights(rawValue: 1)
    public static let write = ProbeRights(rawValue: 2)
    /// Most answers will be the last one's: it is worth remembering while the unit is not left.
    public static let steady = ProbeRights(rawValue: 4)
}

/// The relation a conditional branch tests.
public enum Relation: UInt8, CaseIterable, Sendable {
    case eq, ne, lt, ge, ltu, geu

    public var inverted: Relation {
        switch self {
        case .eq: .ne
        case .ne: .eq
        case .lt: .ge
        case .ge: .lt
        case .ltu: .geu
        case .geu: .ltu
        }
    }
}
