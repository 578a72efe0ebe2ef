import EmuCPU
import Testing

/// M and the bit-manipulation extensions against arithmetic written another way: 128-bit integers and loops over bits.
struct DecodeSemanticsTests {
    typealias Binary = (UInt64, UInt64) -> UInt64
    typealias Unary = (UInt64) -> UInt64

    /// Every pair of values at the edges of each width, then random ones of random magnitude.
    private static let pairs: [(UInt64, UInt64)] = {
        let edges: [UInt64] = [
            0, 1, 2, 31, 32, 33, 63, 64, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fff_ffff, 0x8000_0000, 0x8000_0001, 0xffff_ffff, 0x1_0000_0000,
            0x7fff_ffff_ffff_ffff, 0x8000_0000_0000_0000, 0x8000_0000_0000_0001, 0xffff_ffff_8000_0000, 0xffff_ffff_7fff_ffff, .max - 1, .max,
            0x0102_0304_0506_0708, 0x00ff_0001_8000_7f00,
        ]
        var random = SeededGenerator(state: 5)
        return edges.flatMap { a in edges.map { (a, $0) } }
            + (0..<4000).map { _ in (random.next() >> (random.next() & 63), random.next() >> (random.next() & 63)) }
            + (0..<1000).map { _ in (~(random.next() >> (random.next() & 63)), ~(random.next() >> (random.next() & 63))) }
    }()

    private func check(_ name: String, _ actual: Binary, _ reference: Binary) {
        let wrong = Self.pairs.first { actual($0.0, $0.1) != reference($0.0, $0.1) }
        #expect(wrong == nil, "\(name) of \(wrong.map { "\($0)" } ?? "")")
    }

    private func check(_ name: String, _ actual: Unary, _ reference: Unary) { check(name, { a, _ in actual(a) }, { a, _ in reference(a) }) }

    private func signed(_ a: UInt64, _ width: Int = 64) -> Int128 {
        let value = Int128(a) & ((1 << width) - 1)
        return value >> (width - 1) == 0 ? value : value - (1 << width)
    }
    private func unsigned(_ a: UInt64, _ width: Int = 64) -> Int128 { Int128(a) & ((1 << width) - 1) }
    /// The low 64 bits of a value that was first wrapped and sign-extended to `width` bits.
    private func result(_ value: Int128, _ width: Int = 64) -> UInt64 {
        UInt64(truncatingIfNeeded: signed(UInt64(truncatingIfNeeded: value), width))
    }

    @Test func multiplicationKeepsTheHalfItNames() {
        check("mul", RVM.mul) { result(signed($0) * signed($1)) }
        check("mulh", RVM.mulh) { UInt64(truncatingIfNeeded: (signed($0) * signed($1)) >> 64) }
        check("mulhsu", RVM.mulhsu) { UInt64(truncatingIfNeeded: (signed($0) * unsigned($1)) >> 64) }
        check("mulhu", RVM.mulhu) { UInt64(truncatingIfNeeded: (UInt128($0) * UInt128($1)) >> 64) }
        check("mulw", RVM.mulw) { result(signed($0, 32) * signed($1, 32), 32) }
    }

    @Test func divisionNeverTraps() {
        for (name, width, divide, remainder) in [("", 64, RVM.div, RVM.rem), ("w", 32, RVM.divw, RVM.remw)] as [(String, Int, Binary, Binary)] {
            check("div\(name)", divide) { a, b in
                let (n, d) = (signed(a, width), signed(b, width))
                return result(d == 0 ? -1 : n / d, width)
            }
            check("rem\(name)", remainder) { a, b in
                let (n, d) = (signed(a, width), signed(b, width))
                return result(d == 0 ? n : n % d, width)
            }
        }
        for (name, width, divide, remainder) in [("", 64, RVM.divu, RVM.remu), ("w", 32, RVM.divuw, RVM.remuw)] as [(String, Int, Binary, Binary)] {
            check("divu\(name)", divide) { a, b in
                let (n, d) = (unsigned(a, width), unsigned(b, width))
                return result(d == 0 ? -1 : n / d, width)
            }
            check("remu\(name)", remainder) { a, b in
                let (n, d) = (unsigned(a, width), unsigned(b, width))
                return result(d == 0 ? n : n % d, width)
            }
        }
        #expect(RVM.div(1 << 63, .max) == 1 << 63 && RVM.rem(1 << 63, .max) == 0)
        #expect(RVM.divw(1 << 31, .max) == 0xffff_ffff_8000_0000 && RVM.remw(1 << 31, .max) == 0)
        #expect(RVM.divuw(7, 1 << 32) == .max && RVM.remuw(0x8000_0000, 0) == 0xffff_ffff_8000_0000)
    }

    @Test func addressGenerationShiftsThenAdds() {
        for (shift, plain, word) in [
            (1, RVZba.sh1add, RVZba.sh1add_uw), (2, RVZba.sh2add, RVZba.sh2add_uw), (3, RVZba.sh3add, RVZba.sh3add_uw),
        ] as [(Int, Binary, Binary)] {
            check("sh\(shift)add", plain) { UInt64(truncatingIfNeeded: Int128($0) * (1 << shift) + Int128($1)) }
            check("sh\(shift)add.uw", word) { UInt64(truncatingIfNeeded: unsigned($0, 32) * (1 << shift) + Int128($1)) }
        }
        check("add.uw", RVZba.add_uw) { UInt64(truncatingIfNeeded: unsigned($0, 32) + Int128($1)) }
        check("slli.uw", { RVZba.slli_uw($0, $1 & 63) }) { UInt64(truncatingIfNeeded: UInt128($0 & 0xffff_ffff) << ($1 & 63)) }
    }

    /// The bits of the low `width`, lowest first.
    private func bits(_ a: UInt64, _ width: Int = 64) -> [Bool] { (0..<width).map { a >> UInt64($0) & 1 == 1 } }
    private func value(_ bits: [Bool]) -> UInt64 { bits.enumerated().reduce(0) { $0 | ($1.element ? 1 << UInt64($1.offset) : 0) } }

    @Test func logicWithComplementWorksBitByBit() {
        func logic(_ combine: @escaping (Bool, Bool) -> Bool) -> Binary { { a, b in value(zip(bits(a), bits(b)).map { combine($0, $1) }) } }
        check("andn", RVZbb.andn, logic { $0 && !$1 })
        check("orn", RVZbb.orn, logic { $0 || !$1 })
        check("xnor", RVZbb.xnor, logic { $0 == $1 })
    }

    @Test func countsOfBits() {
        for (suffix, width, clz, ctz, cpop) in [("", 64, RVZbb.clz, RVZbb.ctz, RVZbb.cpop), ("w", 32, RVZbb.clzw, RVZbb.ctzw, RVZbb.cpopw)]
            as [(String, Int, Unary, Unary, Unary)] {
            check("clz\(suffix)", clz) { UInt64(bits($0, width).reversed().prefix { !$0 }.count) }
            check("ctz\(suffix)", ctz) { UInt64(bits($0, width).prefix { !$0 }.count) }
            check("cpop\(suffix)", cpop) { UInt64(bits($0, width).filter { $0 }.count) }
        }
    }

    @Test func extremesCompareInTheirSignedness() {
        check("max", RVZbb.max) { result(max(signed($0), signed($1))) }
        check("min", RVZbb.min) { result(min(signed($0), signed($1))) }
        check("maxu", RVZbb.maxu) { UInt64(max(unsigned($0), unsigned($1))) }
        check("minu", RVZbb.minu) { UInt64(min(unsigned($0), unsigned($1))) }
        check("sext.b", RVZbb.sext_b) { result(signed($0, 8)) }
        check("sext.h", RVZbb.sext_h) { result(signed($0, 16)) }
        check("zext.h", RVZbb.zext_h) { UInt64(unsigned($0, 16)) }
    }

    @Test func rotationsWrapWithinTheirWidth() {
        func rotated(_ a: UInt64, right amount: UInt64, _ width: Int) -> UInt64 {
            let all = bits(a, width)
            return value((0..<width).map { all[($0 + Int(amount % UInt64(width))) % width] })
        }
        func left(_ amount: UInt64, _ width: UInt64) -> UInt64 { width - amount % width }
        check("ror", RVZbb.ror) { rotated($0, right: $1, 64) }
        check("rori", RVZbb.rori) { rotated($0, right: $1, 64) }
        check("rol", RVZbb.rol) { rotated($0, right: left($1, 64), 64) }
        check("rorw", RVZbb.rorw) { result(signed(rotated($0, right: $1, 32), 32)) }
        check("roriw", RVZbb.roriw) { result(signed(rotated($0, right: $1, 32), 32)) }
        check("rolw", RVZbb.rolw) { result(signed(rotated($0, right: left($1, 32), 32), 32)) }
    }

    @Test func bytesAreCombinedAndReversed() {
        func bytes(_ a: UInt64) -> [UInt8] { (0..<8).map { UInt8(truncatingIfNeeded: a >> UInt64($0 * 8)) } }
        func joined(_ bytes: [UInt8]) -> UInt64 { bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) } }
        check("orc.b", RVZbb.orc_b) { joined(bytes($0).map { $0 == 0 ? 0 : 255 }) }
        check("rev8", RVZbb.rev8) { joined(bytes($0).reversed()) }
    }

    @Test func carryLessProductsAreSumsOfShiftedOperands() {
        func sum(_ a: UInt64, _ b: UInt64, _ term: (UInt64, UInt64) -> UInt64) -> UInt64 {
            (0..<64 as Range<UInt64>).reduce(0) { b >> $1 & 1 == 1 ? $0 ^ term(a, $1) : $0 }
        }
        check("clmul", RVZbc.clmul) { sum($0, $1) { $0 << $1 } }
        check("clmulh", RVZbc.clmulh) { sum($0, $1) { $1 == 0 ? 0 : $0 >> (64 - $1) } }
        check("clmulr", RVZbc.clmulr) { sum($0, $1) { $0 >> (63 - $1) } }
    }

    @Test func singleBitsAreAddressedModulo64() {
        func with(_ change: @escaping (Bool) -> Bool) -> Binary {
            { a, b in
                var all = bits(a)
                all[Int(b % 64)] = change(all[Int(b % 64)])
                return value(all)
            }
        }
        check("bclr", RVZbs.bclr, with { _ in false })
        check("bset", RVZbs.bset, with { _ in true })
        check("binv", RVZbs.binv, with { !$0 })
        check("bext", RVZbs.bext) { bits($0)[Int($1 % 64)] ? 1 : 0 }
    }

    @Test func conditionalZeroing() {
        check("czero.eqz", RVZicond.czero_eqz) { $1 == 0 ? 0 : $0 }
        check("czero.nez", RVZicond.czero_nez) { $1 == 0 ? $0 : 0 }
    }
}
