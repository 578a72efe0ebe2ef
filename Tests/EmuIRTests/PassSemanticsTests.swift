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
            #expect(try actual.run(after) == whole, "\(context)")
            #expect(actual == expected, "\(context)")
            for leave in 0..<whole.leaves {
                var expected = start
                let left = try expected.run(before, leavingAt: leave)
                var actual = start
                #expect(try actual.run(after, leavingAt: leave) == left, "\(context)")
                #expect(actual == expected, "leaving at \(left) of \(context)")
            }
        }
    }

    @Test(arguments: IROptimizer.Pass.allCases)
    func aPassKeepsWhatABlockDoes(pass: IROptimizer.Pass) throws {
        var optimizer = IROptimizer(passes: [pass])
        for seed in 0..<UInt64(250) {
            var generator = RandomUnits(seed: seed)
            let before = IRUnit(blocks: [generator.nextBlock()])
            var after = before
            optimizer.run(&after)
            try check(before.blocks[0], after.blocks[0], seed: seed)
        }
    }

    @Test func allPassesKeepWhatAUnitDoes() throws {
        var optimizer = IROptimizer()
        for seed in 10_000..<UInt64(10_400) {
            var generator = RandomUnits(seed: seed)
            let before = generator.unit()
            var after = before
            optimizer.run(&after)
            for (old, new) in zip(before.blocks, after.blocks) { try check(old, new, seed: seed) }
        }
    }

    @Test func runningPassByPassGivesTheSame() {
        var (one, other) = (IROptimizer(), IROptimizer())
        for seed in 0..<UInt64(100) {
            var generator = RandomUnits(seed: seed)
            let unit = generator.unit()
            var (atOnce, stepwise) = (unit, unit)
            one.run(&atOnce)
            var seen: [IROptimizer.Pass] = []
            other.run(&stepwise) { pass, unit in
                seen.append(pass)
                #expect(throws: Never.self) { try unit.verify() }
            }
            #expect(atOnce == stepwise)
            #expect(seen == IROptimizer.Pass.allCases)
        }
    }

    /// The random blocks are of use only if every pass finds something to do in them.
    @Test(arguments: IROptimizer.Pass.allCases)
    func everyPassChangesManyRandomBlocks(pass: IROptimizer.Pass) {
        var optimizer = IROptimizer(passes: [pass])
        let changed = (0..<UInt64(400)).filter { seed in
            var generator = RandomUnits(seed: seed)
            let before = generator.unit()
            var after = before
            optimizer.run(&after)
            return after != before
        }
        #expect(changed.count > 40, "\(pass): \(changed.count)")
    }
}
