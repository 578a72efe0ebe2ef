import EmuBus
import EmuCPU
import TestSupport
import Testing

/// Every vector instruction that accesses no memory against `VectorReference`: random operands, vtype, vl, vstart, mask, rounding modes and
/// registers, reserved combinations included.
struct VectorArithmeticTests {
    private static let rows = RVInstruction.vectors.filter { [0x57, 0x77].contains($0.match & 0x7f) && $0.match >> 12 & 7 != 7 }

    @Test(arguments: [128, 256, 1024]) func instructionsDoWhatTheManualSays(vlen: Int) throws {
        let vectors = try VectorMachine(vlen: vlen)
        var random = SplitMix(seed: UInt64(vlen))
        #expect(Self.rows.count == 359)
        var failures = 0
        var tested: [String] = []
        for row in Self.rows {
            let finer = Self.rows.filter { $0.refines.contains(row.name) }
            var (done, reserved) = (0, 0)
            // Until each has been executed often enough; few random encodings of some are legal.
            for attempt in 0..<4000 where done < 24 || attempt < 40 {
                var bits = row.instance(&random)
                if finer.contains(where: { bits & $0.mask == $0.match }) { continue }
                // Often registers that suit any group.
                let registers: UInt32 = 7 << 7 | 7 << 20 | (row.match >> 12 & 7 < 3 ? 7 << 15 : 0)
                if attempt % 4 != 0 { bits = row.match | bits & ~row.mask & ~registers }
                let (isLegal, message) = try compare(row, bits, vectors, &random)
                if let message {
                    failures += 1
                    if failures < 20 { Issue.record("\(row.name) \(String(bits, radix: 16)) vlen \(vlen): \(message)") }
                    break
                }
                done += isLegal ? 1 : 0
                reserved += isLegal ? 0 : 1
            }
            #expect(done >= 10, "\(row.name) was hardly ever legal: \(done) of \(done + reserved)")
            if done >= 10 { tested.append(row.name) }
        }
        CoverageLog.write("tested-vectors-\(vlen)", tested)
    }

    /// Executes an instruction on both; whether it was legal, and what differs.
    private func compare(_ row: RVInstruction, _ bits: UInt32, _ vectors: VectorMachine, _ random: inout SplitMix) throws -> (Bool, String?) {
        var reference = VectorReference(vlenb: vectors.vlenb, registers: [])
        let isFloat = row.name.hasPrefix("vf") && row.name != "vfirst.m" || row.name.hasPrefix("vmf")
        let log = [0, 0, 0, 1, 2, 3, -1, -2, -3][random.below(9)]
        reference.sew = 8 << (isFloat ? [1, 2, 2, 3, 3, 0][random.below(6)] : random.below(4))
        if reference.sew > 64 >> max(0, -log) { reference.sew = 64 >> -log }
        reference.lmul = log >= 0 ? Double(1 << log) : 1 / Double(1 << -log)
        reference.vl = [random.below(reference.vlmax + 1), min(reference.vlmax, random.below(12)), reference.vlmax][random.below(3)]
        // Exact real numbers take their time.
        if isFloat { reference.vl = min(reference.vl, 6) }
        reference.vstart = random.below(4) == 0 ? random.below(min(reference.vlmax, max(2, reference.vl + 2))) : 0
        reference.vxrm = random.below(4)
        reference.mode = RoundingMode.allCases[random.below(5)]
        reference.registers = (0..<32 * vectors.vlenb / 8).flatMap { _ in
            let value = isFloat && random.below(3) != 0 ? Self.floats(reference.sew, &random) : Self.integers(reference.sew, &random)
            return (0..<8).map { UInt8(truncatingIfNeeded: value >> UInt64(8 * $0)) }
        }
        reference.x = [0] + (1..<32).map { _ in FuzzCase.value(&random) }
        reference.f = (0..<32).map { _ in FuzzCase.floatValue(&random) }

        vectors.configure(vtype: .vtype(reference.sew, log), vl: UInt64(reference.vl))
        vectors.registers = reference.registers
        for register in 0..<32 {
            vectors.cpu.x[register] = reference.x[register]
            vectors.cpu.f[register] = reference.f[register]
        }
        vectors[.vxrm] = UInt64(reference.vxrm)
        vectors[.vxsat] = 0
        vectors[.fcsr] = UInt64(reference.mode.rawValue) << 5
        vectors[.vstart] = UInt64(reference.vstart)
        vectors[.mstatus] = 0x2200

        let fields = VectorFields(row, bits)
        let before = reference
        let isLegal = try #require(reference.executeInteger(fields) ?? reference.executeExtension(fields) ?? reference.executeFloat(fields) ?? reference.executeMove(fields), "\(row.name) has no reference")
        let cause = vectors.execute(bits)
        if !isLegal || cause != nil {
            if isLegal { return (true, "is illegal (\(cause ?? 0)), sew \(before.sew) lmul \(before.lmul) vl \(before.vl)") }
            if cause != 2 { return (false, "is reserved, but executed, sew \(before.sew) lmul \(before.lmul)") }
            let isUntouched = vectors.registers == before.registers && vectors[.vstart] == UInt64(before.vstart)
            return (false, isUntouched ? nil : "is reserved, and changed something")
        }
        if let at = zip(vectors.registers, reference.registers).enumerated().first(where: { $1.0 != $1.1 })?.offset {
            return (true, """
                v\(at / before.vlenb) byte \(at % before.vlenb): \(vectors.registers[at]), not \(reference.registers[at]); sew \(before.sew) lmul \(before.lmul) vl \(before.vl) \
                vstart \(before.vstart) vxrm \(before.vxrm) \(before.mode)
                """)
        }
        for register in 0..<32 where vectors.cpu.x[register] != reference.x[register] || vectors.cpu.f[register] != reference.f[register] {
            return (true, "x or f\(register): \(hex(vectors.cpu.x[register])), not \(hex(reference.x[register])); \(hex(vectors.cpu.f[register])), not \(hex(reference.f[register]))")
        }
        if (vectors[.vxsat] == 1) != reference.vxsat { return (true, "vxsat is \(vectors[.vxsat])") }
        if vectors[.fflags] != UInt64(reference.flags.rawValue) { return (true, "fflags is \(vectors[.fflags]), not \(reference.flags.rawValue), \(before.mode)") }
        if vectors[.vstart] != 0 || vectors[.mstatus] >> 9 & 3 != 3 { return (true, "vstart or VS is wrong") }
        let writesFloat = row.name == "vfmv.f.s" || reference.flags != []
        if (vectors[.mstatus] >> 13 & 3 == 3) != writesFloat { return (true, "FS is \(vectors[.mstatus] >> 13 & 3)") }
        return (true, nil)
    }

    static func integers(_ sew: Int, _ random: inout SplitMix) -> UInt64 {
        switch random.below(3) {
        case 0: random.next()
        // The same limit, or small number, in every element.
        case 1:
            (0..<64 / sew).reduce(0) { value, _ in
                value << UInt64(sew == 64 ? 0 : sew) | [0, 1, 1 << UInt64(sew - 1), 1 << UInt64(sew - 1) - 1, UInt64.max >> UInt64(64 - sew)][random.below(5)]
            }
        default: (0..<64 / sew).reduce(0) { value, _ in value << UInt64(sew == 64 ? 0 : sew) | UInt64(random.below(20)) }
        }
    }

    static func floats(_ sew: Int, _ random: inout SplitMix) -> UInt64 {
        guard let format = VectorReference.format(sew) else { return random.next() }
        return (0..<64 / sew).reduce(0) { value, _ in
            let special = [
                0, format.infinity, format.quietNaN, format.infinity | 1, 1, format.infinity - 1, UInt64(format.bias) << UInt64(format.fractionBits),
                1 << UInt64(format.fractionBits), 1 << UInt64(format.fractionBits - 2),
            ][random.below(9)]
            // Near one, so that sums cancel and conversions stay in range; or anything.
            let near = UInt64(format.bias - 3 + random.below(12)) << UInt64(format.fractionBits) | random.next() & (1 << UInt64(format.fractionBits) - 1)
            let any = random.next() & (UInt64.max >> UInt64(64 - sew))
            let bits = [special, near, near, any][random.below(4)] | (random.below(2) == 0 ? format.signBit : 0)
            return value << UInt64(sew == 64 ? 0 : sew) | bits
        }
    }
}
