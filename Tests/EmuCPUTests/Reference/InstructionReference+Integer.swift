/// I, M, B, Zicond, Zimop and the scalar ciphers: results in integer registers, and jumps.
extension InstructionReference {
    /// rd = f(rs1, rs2) for whole registers; of an instruction with an immediate that comes in the place of rs2.
    private static func binary(_ name: String, _ a: UInt64, _ b: UInt64) -> UInt64? {
        let (wide, narrow) = (Int(b & 63), Int(b & 31))
        let (s, t) = (signed(a), signed(b)), (u, v) = (unsigned(a), unsigned(b))
        let (sw, tw) = (signed(a, 32), signed(b, 32)), (uw, vw) = (unsigned(a, 32), unsigned(b, 32))
        switch name {
        case "add": return wrapped(s + t)
        case "sub": return wrapped(s - t)
        case "addw": return wrapped(sw + tw, 32)
        case "subw": return wrapped(sw - tw, 32)
        case "slt": return s < t ? 1 : 0
        case "sltu": return u < v ? 1 : 0
        case "and": return bitwise(a, b) { $0 && $1 }
        case "or": return bitwise(a, b) { $0 || $1 }
        case "xor": return bitwise(a, b) { $0 != $1 }
        case "andn": return bitwise(a, b) { $0 && !$1 }
        case "orn": return bitwise(a, b) { $0 || !$1 }
        case "xnor": return bitwise(a, b) { $0 == $1 }
        case "sll": return wrapped(unsigned(a, 64 - wide) * power(wide))
        case "srl": return wrapped(u / power(wide))
        case "sra": return wrapped(s >> wide)
        case "sllw": return wrapped(uw * power(narrow), 32)
        case "srlw": return wrapped(uw / power(narrow), 32)
        case "sraw": return wrapped(sw >> narrow, 32)
        case "mul": return wrapped(s * t)
        case "mulh": return wrapped((s * t) >> 64)
        case "mulhsu": return wrapped((s * v) >> 64)
        case "mulhu": return UInt64(truncatingIfNeeded: (UInt128(a) * UInt128(b)) >> 64)
        case "mulw": return wrapped(sw * tw, 32)
        case "div": return t == 0 ? .max : wrapped(s / t)
        case "rem": return t == 0 ? a : wrapped(s % t)
        case "divu": return v == 0 ? .max : wrapped(u / v)
        case "remu": return v == 0 ? a : wrapped(u % v)
        case "divw": return tw == 0 ? .max : wrapped(sw / tw, 32)
        case "remw": return wrapped(tw == 0 ? sw : sw % tw, 32)
        case "divuw": return vw == 0 ? .max : wrapped(uw / vw, 32)
        case "remuw": return wrapped(vw == 0 ? uw : uw % vw, 32)
        case "sh1add": return wrapped(u * 2 + v)
        case "sh2add": return wrapped(u * 4 + v)
        case "sh3add": return wrapped(u * 8 + v)
        case "sh1add.uw": return wrapped(uw * 2 + v)
        case "sh2add.uw": return wrapped(uw * 4 + v)
        case "sh3add.uw": return wrapped(uw * 8 + v)
        case "add.uw": return wrapped(uw + v)
        case "max": return wrapped(s > t ? s : t)
        case "maxu": return wrapped(u > v ? u : v)
        case "min": return wrapped(s < t ? s : t)
        case "minu": return wrapped(u < v ? u : v)
        case "rol": return turned(a, 64 - wide, 64)
        case "ror": return turned(a, wide, 64)
        case "rolw": return wrapped(signed(turned(a, 32 - narrow, 32), 32))
        case "rorw": return wrapped(signed(turned(a, narrow, 32), 32))
        case "clmul": return UInt64(truncatingIfNeeded: product(a, b))
        case "clmulh": return UInt64(truncatingIfNeeded: product(a, b) >> 64)
        case "clmulr": return UInt64(truncatingIfNeeded: product(a, b) >> 63)
        case "bclr": return withBit(a, wide) { _ in false }
        case "bset": return withBit(a, wide) { _ in true }
        case "binv": return withBit(a, wide) { !$0 }
        case "bext": return digits(a)[wide] ? 1 : 0
        case "czero.eqz": return b == 0 ? 0 : a
        case "czero.nez": return b != 0 ? 0 : a
        case "pack": return wrapped(uw + vw * power(32))
        case "packh": return wrapped(unsigned(a, 8) + unsigned(b, 8) * 256)
        case "packw": return wrapped(unsigned(a, 16) + unsigned(b, 16) * 65536, 32)
        case "xperm8": return CryptoReference.join(CryptoReference.bytes(b).map { $0 < 8 ? CryptoReference.bytes(a)[Int($0)] : 0 })
        case "xperm4":
            let nibbles = (0..<16).map { a / UInt64(power(4 * $0)) % 16 }
            return (0..<16).reduce(0) { $0 + nibbles[Int(b / UInt64(power(4 * $1)) % 16)] * UInt64(power(4 * $1)) }
        case "aes64es": return CryptoReference.half(a, b, 1, CryptoReference.box, nil)
        case "aes64esm": return CryptoReference.half(a, b, 1, CryptoReference.box, CryptoReference.forward)
        case "aes64ds": return CryptoReference.half(a, b, -1, CryptoReference.inverseBox, nil)
        case "aes64dsm": return CryptoReference.half(a, b, -1, CryptoReference.inverseBox, CryptoReference.backward)
        case "aes64ks2":
            let first = UInt32(truncatingIfNeeded: a >> 32) ^ UInt32(truncatingIfNeeded: b)
            return UInt64(first) | UInt64(first ^ UInt32(truncatingIfNeeded: b >> 32)) << 32
        default: return nil
        }
    }

    private static func unary(_ name: String, _ a: UInt64) -> UInt64? {
        switch name {
        case "clz": return UInt64(digits(a).reversed().prefix { !$0 }.count)
        case "ctz": return UInt64(digits(a).prefix { !$0 }.count)
        case "cpop": return UInt64(digits(a).filter { $0 }.count)
        case "clzw": return UInt64(digits(a, 32).reversed().prefix { !$0 }.count)
        case "ctzw": return UInt64(digits(a, 32).prefix { !$0 }.count)
        case "cpopw": return UInt64(digits(a, 32).filter { $0 }.count)
        case "sext.b": return wrapped(signed(a, 8))
        case "sext.h": return wrapped(signed(a, 16))
        case "zext.h": return wrapped(unsigned(a, 16))
        case "orc.b": return CryptoReference.join(CryptoReference.bytes(a).map { $0 == 0 ? 0 : 255 })
        case "rev8": return CryptoReference.join(CryptoReference.bytes(a).reversed())
        case "brev8":
            let all = digits(a)
            return number((0..<64).map { all[$0 / 8 * 8 + 7 - $0 % 8] })
        case "aes64im": return CryptoReference.join(CryptoReference.mixed(CryptoReference.bytes(a), CryptoReference.backward))
        case "sha256sum0": return CryptoReference.sum(a, [2, 13, 22], width: 32)
        case "sha256sum1": return CryptoReference.sum(a, [6, 11, 25], width: 32)
        case "sha256sig0": return CryptoReference.sum(a, [7, 18], shift: 3, width: 32)
        case "sha256sig1": return CryptoReference.sum(a, [17, 19], shift: 10, width: 32)
        case "sha512sum0": return CryptoReference.sum(a, [28, 34, 39], width: 64)
        case "sha512sum1": return CryptoReference.sum(a, [14, 18, 41], width: 64)
        case "sha512sig0": return CryptoReference.sum(a, [1, 8], shift: 7, width: 64)
        case "sha512sig1": return CryptoReference.sum(a, [19, 61], shift: 6, width: 64)
        // Rotations to the left by 9 and 17, 15 and 23.
        case "sm3p0": return CryptoReference.sum(a, [0, 23, 15], width: 32)
        case "sm3p1": return CryptoReference.sum(a, [0, 17, 9], width: 32)
        default: return nil
        }
    }

    private static func takesBranch(_ name: String, _ a: UInt64, _ b: UInt64) -> Bool? {
        switch name {
        case "beq": return a == b
        case "bne": return a != b
        case "blt": return signed(a) < signed(b)
        case "bge": return signed(a) >= signed(b)
        case "bltu": return unsigned(a) < unsigned(b)
        case "bgeu": return unsigned(a) >= unsigned(b)
        default: return nil
        }
    }

    /// Instructions with an immediate, and what they do with it.
    private static let immediates: [String: String] = [
        "addi": "add", "addiw": "addw", "slti": "slt", "sltiu": "sltu", "andi": "and", "ori": "or", "xori": "xor", "slli": "sll", "srli": "srl", "srai": "sra",
        "slliw": "sllw", "srliw": "srlw", "sraiw": "sraw", "rori": "ror", "roriw": "rorw", "bclri": "bclr", "bseti": "bset", "binvi": "binv", "bexti": "bext",
    ]

    /// Nil for other instructions.
    mutating func integer(_ i: Operands) -> Outcome? {
        let (a, b) = (x[i.rs1], x[i.rs2])
        let immediate = UInt64(bitPattern: i.immediate)
        if let result = Self.immediates[i.name].flatMap({ Self.binary($0, a, immediate) }) ?? Self.binary(i.name, a, b) ?? Self.unary(i.name, a) {
            write(i.rd, result)
        } else if let isTaken = Self.takesBranch(i.name, a, b) {
            if isTaken { jump(pc &+ immediate) }
        } else {
            switch i.name {
            case "lui": write(i.rd, immediate)
            case "auipc": write(i.rd, pc &+ immediate)
            case "jal", "jalr":
                let link = pc &+ i.length
                jump(i.name == "jal" ? pc &+ immediate : (a &+ immediate) & ~1)
                write(i.rd, link)
            case "slli.uw": write(i.rd, Self.wrapped(Self.unsigned(a, 32) * Self.power(Int(i.field(20, 6)))))
            case "aes64ks1i": write(i.rd, CryptoReference.keyWord(a, round: Int(i.field(20, 4))))
            case "sm4ed", "sm4ks": write(i.rd, CryptoReference.sm4(a, b, Int(i.field(30, 2)), isKey: i.name == "sm4ks"))
            // Operations nothing is defined for write zero; of two, Zicfiss's, only while shadow stacks are in force.
            case _ where i.name.hasPrefix("mop."): write(i.rd, 0)
            case "ssrdp": write(i.rd, 0)
            case "sspush", "sspopchk": break
            // Hints, and fences of a hart that does one thing after the other.
            case "nop", "lpad", "pause", "prefetch.i", "prefetch.r", "prefetch.w", "fence", "fence.tso", "fence.i": break
            case _ where i.name.hasPrefix("ntl."): break
            default: return nil
            }
        }
        return .retired
    }

    // MARK: Bits

    private static func digits(_ a: UInt64, _ width: Int = 64) -> [Bool] { (0..<width).map { a >> UInt64($0) & 1 == 1 } }

    private static func number(_ digits: [Bool]) -> UInt64 { digits.reversed().reduce(0) { $0 << 1 | ($1 ? 1 : 0) } }

    private static func bitwise(_ a: UInt64, _ b: UInt64, _ combine: (Bool, Bool) -> Bool) -> UInt64 {
        number(zip(digits(a), digits(b)).map { combine($0, $1) })
    }

    private static func withBit(_ a: UInt64, _ place: Int, _ change: (Bool) -> Bool) -> UInt64 {
        var all = digits(a)
        all[place] = change(all[place])
        return number(all)
    }

    private static func power(_ exponent: Int) -> Int128 { 1 << exponent }

    /// The low `width` bits turned right.
    private static func turned(_ a: UInt64, _ amount: Int, _ width: Int) -> UInt64 {
        let all = digits(a, width)
        return number((0..<width).map { all[($0 + amount) % width] })
    }

    /// The carry-less product.
    private static func product(_ a: UInt64, _ b: UInt64) -> UInt128 {
        var sum: UInt128 = 0
        for (place, digit) in digits(b).enumerated() where digit { sum ^= UInt128(a) << place }
        return sum
    }
}
