import EmuCPU
import Foundation
import Testing

/// The formats under test; each brings its reference.
enum FloatFormat: CaseIterable, Sendable {
    case half, single, double

    var reference: FloatReference {
        switch self {
        case .half: FloatReference(exponentBits: 5, fractionBits: 10)
        case .single: FloatReference(exponentBits: 8, fractionBits: 23)
        case .double: FloatReference(exponentBits: 11, fractionBits: 52)
        }
    }

    var type: any SoftFormat.Type {
        switch self {
        case .half: Binary16.self
        case .single: Binary32.self
        case .double: Binary64.self
        }
    }
}

/// Random operand sets per operation and format; every set is tried in all five rounding modes. `make float` asks for a million.
#if DEBUG
    private let usualSamples = 2_000
#else
    private let usualSamples = 40_000
#endif
let floatSamples = ProcessInfo.processInfo.environment["FLOAT_SAMPLES"].flatMap { Int($0) } ?? usualSamples

/// Compares outcomes and keeps the first few that differ, so that a broken operation does not report a million lines.
struct FloatMismatches {
    private(set) var count = 0
    private(set) var checked = 0
    private(set) var lines: [String] = []

    mutating func check(_ actual: FloatOutcome, _ expected: FloatOutcome, _ what: @autoclosure () -> String) {
        checked += 1
        guard actual != expected else { return }
        count += 1
        if lines.count < 5 { lines.append("\(what()): got \(actual), expected \(expected)") }
    }

    /// Checks an operation in every mode, and once more with inexact already accrued, when the host's arithmetic is allowed.
    mutating func check(
        _ name: String, _ operands: [UInt64], _ expected: [FloatOutcome],
        _ operation: (RoundingMode, inout FloatFlags) -> UInt64
    ) {
        for mode in RoundingMode.allCases {
            for accrued in [FloatFlags(), .inexact] {
                var flags = accrued
                let bits = operation(mode, &flags)
                var outcome = expected[Int(mode.rawValue)]
                outcome.flags.formUnion(accrued)
                check(
                    FloatOutcome(bits: bits, flags: flags), outcome,
                    "\(name) \(operands.map { String($0, radix: 16) }) \(mode), accrued \(accrued.rawValue)")
            }
        }
    }

    func report(atLeast: Int) {
        #expect(count == 0, "\(count) of \(checked) wrong: \(lines.joined(separator: "; "))")
        #expect(checked >= atLeast)
    }
}

@Suite struct FloatArithmeticTests {
    @Test(arguments: FloatFormat.allCases)
    func additionAndSubtractionAreExactInEveryMode(_ format: FloatFormat) {
        func run<F: SoftFormat>(_: F.Type) {
            var wrong = FloatMismatches()
            let reference = format.reference
            func one(_ a: UInt64, _ b: UInt64) {
                let expected = reference.add(a, b)
                wrong.check("add", [a, b], expected) { F.add(a, b, $0, &$1) }
                wrong.check("subtract", [a, b ^ reference.signBit], expected) { F.subtract(a, b ^ reference.signBit, $0, &$1) }
            }
            var operands = FloatOperands(reference, seed: 1)
            for a in operands.special { for b in operands.special { one(a, b) } }
            for _ in 0..<floatSamples {
                let (a, b) = operands.two()
                one(a, b)
            }
            wrong.report(atLeast: 10 * floatSamples)
        }
        run(format.type)
    }

    @Test(arguments: FloatFormat.allCases)
    func multiplicationIsExactInEveryMode(_ format: FloatFormat) {
        func run<F: SoftFormat>(_: F.Type) {
            var wrong = FloatMismatches()
            var operands = FloatOperands(format.reference, seed: 2)
            func one(_ a: UInt64, _ b: UInt64) {
                wrong.check("multiply", [a, b], format.reference.multiply(a, b)) { F.multiply(a, b, $0, &$1) }
            }
            for a in operands.special { for b in operands.special { one(a, b) } }
            for _ in 0..<floatSamples {
                let (a, b) = operands.two()
                one(a, b)
            }
            wrong.report(atLeast: 10 * floatSamples)
        }
        run(format.type)
    }

    @Test(arguments: FloatFormat.allCases)
    func divisionIsExactInEveryMode(_ format: FloatFormat) {
        func run<F: SoftFormat>(_: F.Type) {
            var wrong = FloatMismatches()
            var operands = FloatOperands(format.reference, seed: 3)
            func one(_ a: UInt64, _ b: UInt64) {
                wrong.check("divide", [a, b], format.reference.divide(a, b)) { F.divide(a, b, $0, &$1) }
            }
            for a in operands.special { for b in operands.special { one(a, b) } }
            for _ in 0..<floatSamples {
                let (a, b) = operands.two()
                one(a, b)
            }
            wrong.report(atLeast: 10 * floatSamples)
        }
        run(format.type)
    }

    @Test(arguments: FloatFormat.allCases)
    func squareRootIsExactInEveryMode(_ format: FloatFormat) {
        func run<F: SoftFormat>(_: F.Type) {
            var wrong = FloatMismatches()
            var operands = FloatOperands(format.reference, seed: 4)
            func one(_ a: UInt64) {
                wrong.check("squareRoot", [a], format.reference.squareRoot(a)) { F.squareRoot(a, $0, &$1) }
            }
            for a in operands.special { one(a) }
            for _ in 0..<floatSamples {
                let a = operands.one()
                one(a)
                // Squares and their neighbours: roots that are exact or just miss it.
                let square = format.reference.multiply(a, a)[0].bits
                for neighbour in [square &- 1, square, square &+ 1] where neighbour < format.reference.infinity { one(neighbour) }
            }
            wrong.report(atLeast: 10 * floatSamples)
        }
        run(format.type)
    }

    @Test(arguments: FloatFormat.allCases)
    func fusedMultiplyAddRoundsOnce(_ format: FloatFormat) {
        func run<F: SoftFormat>(_: F.Type) {
            var wrong = FloatMismatches()
            var operands = FloatOperands(format.reference, seed: 5)
            func one(_ a: UInt64, _ b: UInt64, _ c: UInt64) {
                wrong.check("multiplyAdd", [a, b, c], format.reference.multiplyAdd(a, b, c)) { F.multiplyAdd(a, b, c, $0, &$1) }
            }
            let few = operands.fewSpecial
            for a in few { for b in few { for c in few { one(a, b, c) } } }
            for _ in 0..<floatSamples {
                let (a, b, c) = operands.three()
                one(a, b, c)
            }
            wrong.report(atLeast: 10 * floatSamples)
        }
        run(format.type)
    }

    /// A third opinion: the host's hardware, in its default rounding mode.
    @Test func doubleResultsEqualTheHostsWhenRoundingToNearestEven() {
        var wrong = FloatMismatches()
        var operands = FloatOperands(FloatFormat.double.reference, seed: 6)
        func canonical(_ x: Double) -> FloatOutcome { FloatOutcome(bits: x.isNaN ? Binary64.canonicalNaN : x.bitPattern) }
        func soft(_ operation: (inout FloatFlags) -> UInt64) -> FloatOutcome {
            var flags = FloatFlags()
            return FloatOutcome(bits: operation(&flags))
        }
        for _ in 0..<floatSamples {
            let (a, b, c) = operands.three()
            let (x, y, z) = (Double(bitPattern: a), Double(bitPattern: b), Double(bitPattern: c))
            wrong.check(soft { Binary64.add(a, b, .rne, &$0) }, canonical(x + y), "\(x) + \(y)")
            wrong.check(soft { Binary64.multiply(a, b, .rne, &$0) }, canonical(x * y), "\(x) × \(y)")
            wrong.check(soft { Binary64.divide(a, b, .rne, &$0) }, canonical(x / y), "\(x) ÷ \(y)")
            wrong.check(soft { Binary64.squareRoot(a, .rne, &$0) }, canonical(x.squareRoot()), "√\(x)")
            wrong.check(soft { Binary64.multiplyAdd(a, b, c, .rne, &$0) }, canonical(z.addingProduct(x, y)), "\(x) × \(y) + \(z)")
        }
        wrong.report(atLeast: floatSamples)
    }

    /// Hand-worked cases, so that a mistake shared by code and reference cannot hide.
    @Test func knownCornersOfUnderflowOverflowAndFusedMultiplication() {
        func outcome(_ operation: (inout FloatFlags) -> UInt64) -> FloatOutcome {
            var flags = FloatFlags()
            let bits = operation(&flags)
            return FloatOutcome(bits: bits, flags: flags)
        }
        // (2^−126 − 2^−149) × (1 + 2^−23) = 2^−126 × (1 − 2^−46): with unlimited exponents it rounds to 2^−126 or stays below,
        // so whether it is tiny depends on the mode.
        let belowNormal: UInt64 = 0x007f_ffff
        let aboveOne: UInt64 = 0x3f80_0001
        #expect(outcome { Binary32.multiply(belowNormal, aboveOne, .rne, &$0) } == FloatOutcome(bits: 0x0080_0000, flags: .inexact))
        #expect(outcome { Binary32.multiply(belowNormal, aboveOne, .rtz, &$0) } == FloatOutcome(bits: belowNormal, flags: [.inexact, .underflow]))
        // (2 − 2^−23) × 2^−127 = 2^−126 × (1 − 2^−24) needs no rounding with unlimited exponents: tiny, although the tie goes to 2^−126.
        #expect(outcome { Binary32.multiply(0x3fff_ffff, 0x0040_0000, .rne, &$0) } == FloatOutcome(bits: 0x0080_0000, flags: [.inexact, .underflow]))
        // An exact subnormal result does not underflow.
        #expect(outcome { Binary32.multiply(0x0080_0000, 0x3f00_0000, .rne, &$0) } == FloatOutcome(bits: 0x0040_0000))
        // 2^−126 × (1 + 2^−23) − 2^−149 is 2^−126 exactly: no rounding of the product.
        #expect(outcome { Binary32.multiplyAdd(0x0080_0000, aboveOne, 0x8000_0001, .rup, &$0) } == FloatOutcome(bits: 0x0080_0000))
        // The largest finite number plus half its last unit overflows only where ties leave it.
        let largest: UInt64 = 0x7f7f_ffff
        let halfUnit: UInt64 = 0x7300_0000
        #expect(outcome { Binary32.add(largest, halfUnit, .rne, &$0) } == FloatOutcome(bits: 0x7f80_0000, flags: [.overflow, .inexact]))
        #expect(outcome { Binary32.add(largest, halfUnit, .rmm, &$0) } == FloatOutcome(bits: 0x7f80_0000, flags: [.overflow, .inexact]))
        #expect(outcome { Binary32.add(largest, halfUnit, .rtz, &$0) } == FloatOutcome(bits: largest, flags: .inexact))
        #expect(outcome { Binary32.add(largest, largest, .rtz, &$0) } == FloatOutcome(bits: largest, flags: [.overflow, .inexact]))
        // ∞ × 0 + quiet NaN is invalid; quiet NaN × 1 + ∞ is not.
        #expect(outcome { Binary64.multiplyAdd(0x7ff0 << 48, 0, 0x7ff8 << 48, .rne, &$0) } == FloatOutcome(bits: 0x7ff8 << 48, flags: .invalid))
        #expect(outcome { Binary64.multiplyAdd(0xfff8 << 48 | 5, 0x3ff0 << 48, 0x7ff0 << 48, .rne, &$0) } == FloatOutcome(bits: 0x7ff8 << 48))
        // x − x is −0 only when rounding down.
        #expect(outcome { Binary16.subtract(0x3c00, 0x3c00, .rdn, &$0) } == FloatOutcome(bits: 0x8000))
        #expect(outcome { Binary16.subtract(0x3c00, 0x3c00, .rup, &$0) } == FloatOutcome(bits: 0))
    }
}
