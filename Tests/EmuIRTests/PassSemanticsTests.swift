import EmuIR
import TestSupport
import Testing

/// Random blocks do the same after the passes as before: to registers and memory at their end, and as seen at each instruction that leaves.
@Suite struct PassSemanticsTests {
    private func check(_ before: IRBlock, _ after: IRBlock, seed: UInt64) throws {
        let context = "seed \(seed)\n\(before)became\n\(after)"
        #expect(throws: Never.self, "\(context)") { try after.verify() }
        for stateSeed in seed..<seed + 3 {
            let start = IRMachine(seed: stateSeed)
            var expected = start
            let whole = try expected.run(before)
            var actual = start
            let now = try actual.run(after)
            #expect(now.outcome == whole.outcome, "\(context)")
            #expect(actual == expected, "\(context)")
            // Probes come and go, but nothing else that may leave.
            #expect(now.leaves.filter { $0.op != .probe } == whole.leaves.filter { $0.op != .probe }, "\(context)")
            for (count, leave) in now.leaves.enumerated() {
                var expected = start
                try expected.run(before, before: leave.guest)
                var actual = start
                #expect(try actual.run(after, leavingAt: count).outcome == .left(guest: leave.guest), "\(context)")
                #expect(actual == expected, "leaving at \(leave) of \(context)")
            }
        }
    }

    /// As if all blocks were one loop.
    private func cycles(_ unit: IRUnit) -> [[Int]] { unit.blocks.map { _ in Array(unit.blocks.indices) } }

    @Test(arguments: IROptimizer.Pass.allCases)
    func aPassKeepsWhatABlockDoes(pass: IROptimizer.Pass) throws {
        var optimizer = IROptimizer(passes: [pass])
        for seed in 0..<UInt64(250) {
            var generator = RandomUnits(seed: seed)
            let before = IRUnit(blocks: [generator.nextBlock()])
            var after = before
            optimizer.run(&after, cycles: cycles(after))
            try check(before.blocks[0], after.blocks[0], seed: seed)
        }
    }

    @Test func allPassesKeepWhatAUnitDoes() throws {
        var optimizer = IROptimizer()
        for seed in 10_000..<UInt64(10_400) {
            var generator = RandomUnits(seed: seed)
            let before = generator.unit()
            var after = before
            optimizer.run(&after, cycles: cycles(after))
            for (old, new) in zip(before.blocks, after.blocks) { try check(old, new, seed: seed) }
        }
    }

    @Test func theUnitIsShownAfterEachPass() {
        var optimizer = IROptimizer()
        for seed in 0..<UInt64(100) {
            var generator = RandomUnits(seed: seed)
            var unit = generator.unit()
            var seen: [IROptimizer.Pass] = []
            optimizer.run(&unit, cycles: cycles(unit)) { pass, unit in
                seen.append(pass)
                #expect(throws: Never.self) { try unit.verify() }
            }
            #expect(seen == IROptimizer.Pass.allCases)
        }
    }

    @Test func passesThatShareChecksCanBeLeftOut() {
        var optimizer = IROptimizer()
        var generator = RandomUnits(seed: 1)
        var unit = generator.unit()
        var seen: [IROptimizer.Pass] = []
        optimizer.run(&unit, cycles: cycles(unit), probes: .none) { pass, _ in seen.append(pass) }
        #expect(seen == [.constantFolding, .copyPropagation, .fusion, .deadWrites])
        seen = []
        optimizer.run(&unit) { pass, _ in seen.append(pass) }
        #expect(seen == [.constantFolding, .copyPropagation, .fusion, .deadWrites, .sharedProbes])
    }

    /// The random blocks are of use only if every pass finds something to do in them.
    @Test(arguments: IROptimizer.Pass.allCases)
    func everyPassChangesManyRandomBlocks(pass: IROptimizer.Pass) {
        var optimizer = IROptimizer(passes: [pass])
        let changed = (0..<UInt64(500)).filter { seed in
            var generator = RandomUnits(seed: seed)
            let before = generator.unit()
            var after = before
            optimizer.run(&after, cycles: cycles(after))
            return after != before
        }
        #expect(changed.count > 40, "\(pass): \(changed.count)")
    }
}
