import EmuCPU
import Testing

@Suite struct FloatComparisonTests {
    private func pairs(_ format: FloatFormat, seed: UInt64, _ body: (UInt64, UInt64) -> Void) {
        var operands = FloatOperands(format.reference, seed: seed)
        for a in operands.special { for b in operands.special { body(a, b) } }
        for _ in 0..<floatSamples {
            let (a, b) = operands.two()
            body(a, b)
            body(a, a)
        }
    }

    private func isSignalling(_ reference: FloatReference, _ bits: UInt64) -> Bool {
        if case .nan(true) = reference.value(bits) { return true }
        return false
    }

    @Test(arguments: FloatFormat.allCases)
    func comparisonsOrderNumbersAndFlagNaNs(_ format: FloatFormat) {
        func run<F: SoftFormat>(_: F.Type) {
            var wrong = FloatMismatches()
            let reference = format.reference
            func one(_ name: String, _ a: UInt64, _ b: UInt64, _ holds: Bool, _ flags: FloatFlags, _ relation: (inout FloatFlags) -> Bool) {
                var raised = FloatFlags()
                let result = relation(&raised)
                wrong.check(
                    FloatOutcome(bits: result ? 1 : 0, flags: raised), FloatOutcome(bits: holds ? 1 : 0, flags: flags),
                    "\(String(a, radix: 16)) \(name) \(String(b, radix: 16))")
            }
            pairs(format, seed: 21) { a, b in
                let order = reference.order(a, b)
                let quiet: FloatFlags = isSignalling(reference, a) || isSignalling(reference, b) ? .invalid : []
                let signalling: FloatFlags = order == nil ? .invalid : []
                let less = order.map { $0 < 0 } ?? false
                let lessOrEqual = order.map { $0 <= 0 } ?? false
                one("=", a, b, order == 0, quiet) { F.isEqual(a, b, &$0) }
                one("<", a, b, less, signalling) { F.isLess(a, b, &$0) }
                one("≤", a, b, lessOrEqual, signalling) { F.isLessOrEqual(a, b, &$0) }
                one("< quiet", a, b, less, quiet) { F.isLess(a, b, quiet: true, &$0) }
                one("≤ quiet", a, b, lessOrEqual, quiet) { F.isLessOrEqual(a, b, quiet: true, &$0) }
            }
            wrong.report(atLeast: 10 * floatSamples)
        }
        run(format.type)
    }

    @Test(arguments: FloatFormat.allCases)
    func minimumAndMaximumTreatZerosAndNaNsAsTheManualSays(_ format: FloatFormat) {
        func run<F: SoftFormat>(_: F.Type) {
            var wrong = FloatMismatches()
            let reference = format.reference
            pairs(format, seed: 22) { a, b in
                let flags: FloatFlags = isSignalling(reference, a) || isSignalling(reference, b) ? .invalid : []
                let (smaller, larger): (UInt64, UInt64)
                let (strictSmaller, strictLarger): (UInt64, UInt64)
                if let order = reference.order(a, b) {
                    // Among equal numbers only the zeros differ: −0 is the smaller.
                    let aIsSmaller = order < 0 || (order == 0 && reference.isNegative(a))
                    (smaller, larger) = aIsSmaller ? (a, b) : (b, a)
                    (strictSmaller, strictLarger) = (smaller, larger)
                } else {
                    var number = reference.quietNaN
                    if case .nan = reference.value(a) {} else { number = a }
                    if case .nan = reference.value(b) {} else { number = b }
                    (smaller, larger) = (number, number)
                    (strictSmaller, strictLarger) = (reference.quietNaN, reference.quietNaN)
                }
                func one(_ name: String, _ expected: UInt64, _ operation: (inout FloatFlags) -> UInt64) {
                    var raised = FloatFlags()
                    let result = operation(&raised)
                    wrong.check(
                        FloatOutcome(bits: result, flags: raised), FloatOutcome(bits: expected, flags: flags),
                        "\(name) \(String(a, radix: 16)) \(String(b, radix: 16))")
                }
                one("minimum number", smaller) { F.minimum(a, b, &$0) }
                one("maximum number", larger) { F.maximum(a, b, &$0) }
                one("minimum", strictSmaller) { F.minimum(a, b, propagatingNaN: true, &$0) }
                one("maximum", strictLarger) { F.maximum(a, b, propagatingNaN: true, &$0) }
            }
            wrong.report(atLeast: 8 * floatSamples)
        }
        run(format.type)
    }

    @Test(arguments: FloatFormat.allCases)
    func classificationTellsTheTenClassesApart(_ format: FloatFormat) {
        func run<F: SoftFormat>(_: F.Type) {
            let r = format.reference
            let one = UInt64(r.bias) << UInt64(r.fractionBits)
            let smallestNormal = (1 as UInt64) << UInt64(r.fractionBits)
            let classes: [(UInt64, Int)] = [
                (r.infinity | r.signBit, 0), (one | r.signBit, 1), (smallestNormal | r.signBit, 1), ((r.infinity - 1) | r.signBit, 1),
                (1 | r.signBit, 2), ((smallestNormal - 1) | r.signBit, 2), (r.signBit, 3), (0, 4), (1, 5), (smallestNormal - 1, 5),
                (smallestNormal, 6), (one, 6), (r.infinity - 1, 6), (r.infinity, 7), (r.infinity | 1, 8),
                (r.infinity | 1 | r.signBit, 8), (r.quietNaN, 9), (r.quietNaN | r.signBit | 1, 9),
            ]
            for (bits, position) in classes { #expect(F.classify(bits) == 1 << UInt64(position)) }
        }
        run(format.type)
    }

    @Test(arguments: FloatFormat.allCases)
    func signInjectionTouchesNothingButTheSign(_ format: FloatFormat) {
        func run<F: SoftFormat>(_: F.Type) {
            let r = format.reference
            let payload = r.infinity | 1
            for a in [payload, payload | r.signBit, 0, r.signBit, 5] {
                let size = a & ~r.signBit
                #expect(F.copySign(a, r.signBit) == size | r.signBit)
                #expect(F.copySign(a, 7) == size)
                #expect(F.copyNegatedSign(a, r.signBit) == size)
                #expect(F.copyNegatedSign(a, 7) == size | r.signBit)
                #expect(F.multiplySign(a, r.signBit) == a ^ r.signBit)
                #expect(F.multiplySign(a, 7) == a)
            }
        }
        run(format.type)
    }

    @Test func narrowValuesNotProperlyBoxedReadAsTheCanonicalNaN() {
        #expect(Binary32.unboxed(0xffff_ffff_3f80_0000) == 0x3f80_0000)
        #expect(Binary32.unboxed(0xffff_fffe_3f80_0000) == 0x7fc0_0000)
        #expect(Binary32.unboxed(0x0000_0000_3f80_0000) == 0x7fc0_0000)
        #expect(Binary16.unboxed(0xffff_ffff_ffff_3c00) == 0x3c00)
        #expect(Binary16.unboxed(0xffff_ffff_7fff_3c00) == 0x7e00)
        #expect(Binary64.unboxed(0x1234) == 0x1234)
        #expect(Binary32.boxed(0x3f80_0000) == 0xffff_ffff_3f80_0000)
        #expect(Binary16.boxed(0x3c00) == 0xffff_ffff_ffff_3c00)
    }
}
