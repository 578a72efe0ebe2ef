import EmuCPU
import TestSupport
import Testing

@Suite struct FloatConversionTests {
    /// Every half-precision pattern; special and random patterns of the wider formats.
    private func everyOrMany(_ format: FloatFormat, seed: UInt64, _ body: (UInt64) -> Void) {
        var operands = FloatOperands(format.reference, seed: seed)
        if format == .half {
            for bits in 0..<(1 as UInt64) << 16 { body(bits) }
        } else {
            for bits in operands.special { body(bits) }
            for _ in 0..<floatSamples { body(operands.one()) }
        }
    }

    /// At least as many operands as `everyOrMany` tries.
    private func samples(_ format: FloatFormat) -> Int { format == .half ? min(floatSamples, 1 << 16) : floatSamples }

    @Test(arguments: FloatFormat.allCases.flatMap { a in FloatFormat.allCases.filter { $0 != a }.map { (a, $0) } })
    func conversionBetweenFormatsRoundsOnlyWhenNarrowing(_ source: FloatFormat, _ target: FloatFormat) {
        func run<F: SoftFormat, T: SoftFormat>(_: F.Type, _: T.Type) {
            var wrong = FloatMismatches()
            everyOrMany(source, seed: 11) { a in
                wrong.check("\(source) to \(target)", [a], source.reference.convert(a, to: target.reference)) {
                    F.convert(a, to: T.self, $0, &$1)
                }
            }
            // Numbers that are halfway, or nearly, between two of a narrower target.
            var operands = FloatOperands(target.reference, seed: 12)
            for _ in 0..<floatSamples where target.reference.fractionBits < source.reference.fractionBits {
                let near = target.reference.convert(operands.one(), to: source.reference)[0].bits
                let half = (1 as UInt64) << UInt64(source.reference.fractionBits - target.reference.fractionBits - 1)
                for a in [near &+ half &- 1, near &+ half, near &+ half &+ 1] where a & ~source.reference.signBit < source.reference.infinity {
                    wrong.check("\(source) to \(target)", [a], source.reference.convert(a, to: target.reference)) {
                        F.convert(a, to: T.self, $0, &$1)
                    }
                }
            }
            wrong.report(atLeast: samples(source))
        }
        run(source.type, target.type)
    }

    @Test(arguments: FloatFormat.allCases)
    func conversionToIntegersClipsAndFlagsAsTheManualSays(_ format: FloatFormat) {
        func run<F: SoftFormat>(_: F.Type) {
            var wrong = FloatMismatches()
            let reference = format.reference
            func one<Integer: FixedWidthInteger>(_ a: UInt64, _ type: Integer.Type) {
                let expected = reference.toInteger(a, minimum: Int64(Integer.min), maximum: UInt64(Integer.max))
                wrong.check("to \(type)", [a], expected) {
                    let result = F.toInteger(a, as: type, $0, &$1)
                    return Integer.isSigned ? UInt64(bitPattern: Int64(truncatingIfNeeded: result)) : UInt64(truncatingIfNeeded: result)
                }
            }
            everyOrMany(format, seed: 13) { a in
                one(a, Int32.self)
                one(a, UInt32.self)
                one(a, Int64.self)
                one(a, UInt64.self)
            }
            wrong.report(atLeast: 40 * samples(format))
        }
        run(format.type)
    }

    /// The table of the manual, entered by hand.
    @Test func invalidConversionsGiveTheTabulatedLimits() {
        let infinity: UInt64 = 0x7ff0 << 48
        let nan: UInt64 = 0xfff8 << 48
        let huge = (1e30).bitPattern
        func outcome<Integer: FixedWidthInteger>(_ a: UInt64, _ type: Integer.Type) -> Integer? {
            var flags = FloatFlags()
            let result = Binary64.toInteger(a, as: type, .rne, &flags)
            return flags == .invalid ? result : nil
        }
        for negative in [(-1e30).bitPattern, infinity | 1 << 63] {
            #expect(outcome(negative, Int32.self) == .min)
            #expect(outcome(negative, UInt32.self) == 0)
            #expect(outcome(negative, Int64.self) == .min)
            #expect(outcome(negative, UInt64.self) == 0)
        }
        for positive in [huge, infinity, nan] {
            #expect(outcome(positive, Int32.self) == 0x7fff_ffff)
            #expect(outcome(positive, UInt32.self) == 0xffff_ffff)
            #expect(outcome(positive, Int64.self) == .max)
            #expect(outcome(positive, UInt64.self) == .max)
        }
        // −0.5 rounds to 0 towards zero, which is valid and inexact, and to −1 downwards, which unsigned types cannot hold.
        var flags = FloatFlags()
        #expect(Binary64.toInteger((-0.5).bitPattern, as: UInt64.self, .rtz, &flags) == 0 && flags == .inexact)
        #expect(outcome((-0.9).bitPattern, UInt64.self) == 0)
    }

    @Test(arguments: FloatFormat.allCases)
    func conversionFromIntegersRoundsInEveryMode(_ format: FloatFormat) {
        func run<F: SoftFormat>(_: F.Type) {
            var wrong = FloatMismatches()
            func one(_ value: UInt64) {
                let signed = Int64(bitPattern: value)
                wrong.check("from unsigned", [value], format.reference.fromInteger(magnitude: value, negative: false)) {
                    F.fromUnsigned(value, $0, &$1)
                }
                wrong.check("from signed", [value], format.reference.fromInteger(magnitude: signed.magnitude, negative: signed < 0)) {
                    F.fromSigned(signed, $0, &$1)
                }
            }
            var random = SplitMix(seed: 14)
            for shift in 0..<64 {
                for delta in 0..<4 {
                    one((1 as UInt64) << UInt64(shift) &+ UInt64(delta))
                    one((1 as UInt64) << UInt64(shift) &- UInt64(delta))
                }
            }
            for _ in 0..<floatSamples {
                let bits = random.next() >> UInt64(random.below(64))
                one(bits)
                one(0 &- bits)
                // Few digits, so that exact values and ties are common.
                one((bits & 0xfff) << UInt64(random.below(52)))
                one((bits & 0xfff_ffff | 1 << 28) << UInt64(random.below(36)))
            }
            wrong.report(atLeast: 40 * floatSamples)
        }
        run(format.type)
    }

    @Test(arguments: FloatFormat.allCases)
    func roundingToIntegralKeepsTheSignAndFlagsOnlyWhenAsked(_ format: FloatFormat) {
        func run<F: SoftFormat>(_: F.Type) {
            var wrong = FloatMismatches()
            func one(_ a: UInt64) {
                for exact in [false, true] {
                    wrong.check("round, exact \(exact)", [a], format.reference.roundToIntegral(a, exact: exact)) {
                        F.roundToIntegral(a, exact: exact, $0, &$1)
                    }
                }
            }
            everyOrMany(format, seed: 15, one)
            // Halves and their neighbours.
            for units in 0..<64 {
                let half = format.reference.rounded(.dyadic(Natural(UInt64(2 * units + 1)), -1), negative: units % 2 == 1)[0].bits
                for a in [half - 1, half, half + 1] { one(a) }
            }
            wrong.report(atLeast: 20 * samples(format))
        }
        run(format.type)
    }

    @Test func modularConversionKeepsTheLow32BitsOfTheTruncatedNumber() {
        var wrong = FloatMismatches()
        let reference = FloatFormat.double.reference
        var operands = FloatOperands(reference, seed: 16)
        func one(_ a: UInt64) {
            var flags = FloatFlags()
            let result = UInt64(bitPattern: Int64(Binary64.toIntegerModulo32(a, &flags)))
            wrong.check(FloatOutcome(bits: result, flags: flags), reference.truncatedModulo32(a), "modulo \(String(a, radix: 16))")
        }
        for a in operands.special { one(a) }
        for _ in 0..<floatSamples {
            one(operands.one())
            // Between 1 and 2^100, where whole, fractional and shifted-out digits all occur.
            one(UInt64(1023 + operands.random.below(100)) << 52 | operands.random.next() >> 12 | operands.random.next() << 63)
        }
        wrong.report(atLeast: floatSamples)
        var flags = FloatFlags()
        #expect(Binary64.toIntegerModulo32((4294967297.5).bitPattern, &flags) == 1 && flags == .invalid)
        flags = []
        #expect(Binary64.toIntegerModulo32((-1.75).bitPattern, &flags) == -1 && flags == .inexact)
        flags = []
        #expect(Binary64.toIntegerModulo32((0x1p84).bitPattern, &flags) == 0 && flags == .invalid)
        #expect(Binary64.toIntegerModulo32((-2147483649.0).bitPattern, &flags) == 0x7fff_ffff)
    }

    @Test func loadImmediateConstantsAreThoseOfTheTable() {
        // Sign, exponent and top fraction bits of single precision as tabulated, from −1.0 (0) to the canonical NaN (31).
        let single: [UInt64] = [
            0xbf80_0000, 0x0080_0000, 0x3780_0000, 0x3800_0000, 0x3b80_0000, 0x3c00_0000, 0x3d80_0000, 0x3e00_0000,
            0x3e80_0000, 0x3ea0_0000, 0x3ec0_0000, 0x3ee0_0000, 0x3f00_0000, 0x3f20_0000, 0x3f40_0000, 0x3f60_0000,
            0x3f80_0000, 0x3fa0_0000, 0x3fc0_0000, 0x3fe0_0000, 0x4000_0000, 0x4020_0000, 0x4040_0000, 0x4080_0000,
            0x4100_0000, 0x4180_0000, 0x4300_0000, 0x4380_0000, 0x4700_0000, 0x4780_0000, 0x7f80_0000, 0x7fc0_0000,
        ]
        for (index, bits) in single.enumerated() {
            #expect(Binary32.loadImmediate(index) == bits)
            guard index != 1 else { continue }
            let value = Float(bitPattern: UInt32(bits))
            #expect(Binary64.loadImmediate(index) == Double(value).bitPattern)
        }
        #expect(Binary64.loadImmediate(1) == 0x0010 << 48)
        #expect(Binary16.loadImmediate(1) == 0x0400)
        #expect(Binary16.loadImmediate(2) == 0x0100)
        #expect(Binary16.loadImmediate(3) == 0x0200)
        #expect(Binary16.loadImmediate(16) == 0x3c00)
        #expect(Binary16.loadImmediate(28) == 0x7800)
        // 2^16 is beyond half precision.
        #expect(Binary16.loadImmediate(29) == 0x7c00)
        #expect(Binary16.loadImmediate(31) == 0x7e00)
    }
}
