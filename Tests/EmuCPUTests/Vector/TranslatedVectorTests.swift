import EmuBus
import EmuCPU
import EmuIR
import Glibc
import TestSupport
import Testing

/// Every vector instruction as translated code and as the interpreter executes it: random operands, types, masks and modes; translated for one
/// length, executed under that one and under others.
@Suite(.enabled(if: canTranslate, "this host cannot run translated code")) struct TranslatedVectorTests {
    private static let rows = RVInstruction.vectors.filter { $0.match & 0x707f != 0x7057 }
    /// Memory accesses go around here, and now and then over the end of memory.
    private static let middle = FuzzMap.ram + FuzzMap.ramSize / 2
    private static let end = FuzzMap.ram + FuzzMap.ramSize

    @Test(arguments: [128, 256, 1024]) func translatedInstructionsDoWhatTheInterpreterDoes(vlen: Int) throws {
        let pair = [try VectorMachine(vlen: vlen), try VectorMachine(vlen: vlen, engine: .translator)]
        var random = SplitMix(seed: UInt64(vlen) + 7)
        var failures = 0
        for row in Self.rows {
            for attempt in 0..<12 {
                var bits = row.instance(&random)
                // Mostly registers that suit any group.
                if attempt % 4 != 0 { bits = row.match | bits & ~row.mask & ~(7 << 7 | 7 << 20 | (row.match >> 12 & 7 < 3 ? 7 << 15 : 0)) }
                let isMemory = row.op.isVectorMemoryRow
                if isMemory { bits = bits & ~(31 << 15) | 10 << 15 }
                if isMemory, row.format.operands.contains(.rs2) { bits = bits & ~(31 << 20) | 11 << 20 }
                guard let message = try compare(row, bits, pair, &random) else { continue }
                failures += 1
                if failures < 20 { Issue.record("\(row.name) \(String(bits, radix: 16)) vlen \(vlen): \(message)") }
            }
        }
        let figures = try #require(pair[1].machine.cache.hostCode?.figures)
        #expect(figures.instructions > Self.rows.count * 8, "hardly anything was translated")
    }

    private func compare(_ row: RVInstruction, _ bits: UInt32, _ pair: [VectorMachine], _ random: inout SplitMix) throws -> String? {
        let isFloat = row.name.hasPrefix("vf") && row.name != "vfirst.m" || row.name.hasPrefix("vmf")
        let log = [0, 0, 0, 1, 2, 3, -1, -2, -3][random.below(9)]
        var sew = 8 << (isFloat ? [1, 2, 2, 3, 3][random.below(5)] : random.below(4))
        sew = min(sew, 64 >> max(0, -log))
        let most = (pair[0].vlenb * 8 << max(0, log)) >> max(0, -log) / sew
        let lengths = [0, 1, 2].map { _ in [most, most, random.below(most + 1), min(most, 1 + random.below(8))][random.below(4)] }
        // A jump to itself behind it, so that it is part of a block.
        let place = Self.place(&random, [bits, 0x6f], pair)
        for length in lengths {
            let registers = (0..<32 * pair[0].vlenb / 8).flatMap { word in
                var value = isFloat && random.below(3) != 0 ? VectorArithmeticTests.floats(sew, &random) : VectorArithmeticTests.integers(sew, &random)
                // Indices of what is there.
                if row.op.isVectorMemoryRow, word >= pair[0].vlenb / 8 { value &= 0x0000_00ff_0000_00ff << UInt64(random.below(2) * 4) }
                return (0..<8).map { UInt8(truncatingIfNeeded: value >> UInt64(8 * $0)) }
            }
            let x = (0..<32).map { $0 == 0 ? 0 : FuzzCase.value(&random) }, f = (0..<32).map { _ in random.below(2) == 0 ? FuzzCase.floatValue(&random) : VectorArithmeticTests.floats(sew, &random) | (sew == 32 ? 0xffff_ffff_0000_0000 : 0) }
            let base = random.below(8) == 0 ? Self.end - UInt64(random.below(600)) : Self.middle + UInt64(random.below(5000))
            let stride = [0, 1, 2, 4, 8, 24, -8, -3, 130, 4096][random.below(10)]
            let vxrm = UInt64(random.below(4)), mode = UInt64(random.below(5))
            for each in pair {
                each.configure(vtype: .vtype(sew, log), vl: UInt64(length))
                each.registers = registers
                for register in 1..<32 { each.cpu.x[register] = x[register] }
                for register in 0..<32 { each.cpu.f[register] = f[register] }
                each.cpu.x[10] = base
                each.cpu.x[11] = UInt64(bitPattern: Int64(stride))
                each[.vxrm] = vxrm
                each[.vxsat] = 0
                each[.fcsr] = mode << 5
                each[.mstatus] = 0x6600
                each.cpu.pc = place
                _ = each.machine.run(2)
            }
            if let difference = pair[1].machine.difference(pair[0].machine) { return "\(difference); sew \(sew) lmul \(log) vl \(length) of \(most), lengths \(lengths)" }
            let (mine, theirs) = (pair[1].machine.ram.host, pair[0].machine.ram.host)
            if memcmp(mine, theirs, Int(FuzzMap.ramSize)) != 0 { return "\(pair[1].machine.memoryDifference(pair[0].machine) ?? ""); sew \(sew) lmul \(log) vl \(length) of \(most), lengths \(lengths)" }
        }
        return nil
    }

    /// What host registers hold from one instruction to the next: blocks of instructions that read what others have written, whole or in part, with
    /// memory accesses that cross into other pages or fail among them; behind a `vset` of their own, or under the length assumed or another one.
    @Test(arguments: [128, 256]) func blocksOfInstructionsThatBuildOnEachOtherDoWhatTheInterpreterDoes(vlen: Int) throws {
        let pair = [try VectorMachine(vlen: vlen), try VectorMachine(vlen: vlen, engine: .translator)]
        let judge = try VectorMachine(vlen: vlen)
        var random = SplitMix(seed: UInt64(vlen) + 11)
        for number in 0..<60 {
            let log = [0, 0, 0, 1, 1, 2, -1][random.below(7)], sew = [32, 64, 64, 16, 8][random.below(5)]
            let most = (vlen << max(0, log)) >> max(0, -log) / sew, type = UInt64.vtype(sew, log)
            if most == 0 { continue }
            let block = Self.block(type, most, judge, &random)
            let place = Self.place(&random, block + [0x6f], pair)
            for length in [most, most, 1 + random.below(most)] {
                let registers = (0..<32 * vlen / 8).map { _ in UInt8(truncatingIfNeeded: random.next()) }
                let x = (0..<32).map { $0 == 0 ? 0 : FuzzCase.value(&random) }, f = (0..<32).map { _ in VectorArithmeticTests.floats(64, &random) }
                let base = random.below(4) == 0 ? Self.end - UInt64(random.below(600)) : Self.middle + UInt64(random.below(5000))
                for each in pair {
                    each.configure(vtype: type, vl: UInt64(length))
                    each.registers = registers
                    for register in 1..<32 { each.cpu.x[register] = x[register] }
                    for register in 0..<32 { each.cpu.f[register] = f[register] }
                    each.cpu.x[10] = base
                    each.cpu.x[11] = UInt64(bitPattern: [8, 16, -8, 130][Int(length & 3)])
                    each[.fcsr] = 0
                    each[.mstatus] = 0x6600
                    each.cpu.pc = place
                    _ = each.machine.run(block.count + 1)
                }
                let isSame = memcmp(pair[1].machine.ram.host, pair[0].machine.ram.host, Int(FuzzMap.ramSize)) == 0
                guard let difference = pair[1].machine.difference(pair[0].machine) ?? (isSame ? nil : pair[1].machine.memoryDifference(pair[0].machine)) else { continue }
                let words = block.map { String($0, radix: 16) }.joined(separator: " ")
                Issue.record("block \(number), sew \(sew) lmul \(log) vl \(length): \(difference): \(words)")
                return
            }
        }
    }

    /// Instructions that are legal one by one, most of them on three groups of registers.
    private static func block(_ type: UInt64, _ most: Int, _ judge: VectorMachine, _ random: inout SplitMix) -> [UInt32] {
        var block: [UInt32] = []
        switch random.below(3) {
        case 0: block.append(UInt32(type) << 20 | 7 << 12 | 5 << 7 | 0x57)
        case 1: block.append(3 << 30 | UInt32(type) << 20 | UInt32(min(31, 1 + random.below(most))) << 15 | 7 << 12 | 5 << 7 | 0x57)
        default: break
        }
        while block.count < 14 {
            let row = rows[random.below(rows.count)]
            var bits = row.instance(&random)
            let places: [UInt32] = [8, 16, 24], isMemory = row.op.isVectorMemoryRow
            bits = bits & ~(31 << 7) | places[random.below(3)] << 7
            bits = bits & ~(31 << 20) | places[random.below(3)] << 20
            if row.match >> 12 & 7 < 3 || isMemory { bits = bits & ~(31 << 15) | (isMemory ? 10 : places[random.below(3)]) << 15 }
            if isMemory, row.format.operands.contains(.rs2) { bits = bits & ~(31 << 20) | 11 << 20 }
            bits = row.match | bits & ~row.mask
            judge.configure(vtype: type, vl: UInt64(most))
            judge.cpu.x[10] = middle
            judge.cpu.x[11] = 8
            judge[.mstatus] = 0x6600
            if judge.execute(bits) == nil { block.append(bits) }
        }
        return block
    }

    private static func place(_ random: inout SplitMix, _ code: [UInt32], _ pair: [VectorMachine]) -> UInt64 {
        let place = FuzzMap.code + UInt64(8 + random.below(0x2ff) * 4)
        for each in pair {
            each.machine.place(code, at: place)
            each.machine.cache.flushAll()
        }
        return place
    }
}

extension RVOp {
    /// It accesses memory: a load or a store.
    fileprivate var isVectorMemoryRow: Bool { RVOp.vlm.rawValue...RVOp.vsr.rawValue ~= rawValue }
}
