import EmuIR
import Testing

@Suite struct SteadyProbesTests {
    /// What the pass makes of a block that jumps to itself, without guest positions and jump.
    private func lines(_ lines: String..., cycles: [[Int]] = [[0]]) throws -> [String] {
        var text = "unit\nblock 0x100 count \(lines.count + 1)\n"
        for (position, line) in lines.enumerated() { text += "\(position): \(line)\n" }
        var unit = try IRUnit(text: text + "\(lines.count): jump -> 0x100")
        try unit.verify()
        var optimizer = IROptimizer(passes: [.steadyProbes])
        optimizer.run(&unit, cycles: cycles)
        try unit.verify()
        return unit.blocks[0].instructions.map(\.description)
    }

    @Test func aBaseThatStaysOrMovesBySmallStepsIsSteady() throws {
        #expect(try lines("x5 = load.64 [x6 + 8]") == ["t0 = probe.rs [x6 + 8, 8]", "x5 = load.64 [x6 + 8] via t0"])
        #expect(
            try lines("store.32 [x6 - 4] = x5", "x6 = add x6, 4")
                == ["t0 = probe.ws [x6 - 4, 4]", "store.32 [x6 - 4] = x5 via t0", "x6 = add x6, 4"])
    }

    @Test func whatIsComputedFromSteadyRegistersIsSteady() throws {
        #expect(
            try lines("x7 = add x7, 1", "x8 = shladd x7, x9, 3", "x5 = load.u8 [x8 + 0]")
                == ["x7 = add x7, 1", "x8 = shladd x7, x9, 3", "t0 = probe.rs [x8 + 0, 1]", "x5 = load.u8 [x8 + 0] via t0"])
    }

    @Test(arguments: [
        "x6 = load.64 [12 + 0]", "x6 = mul x7, 8", "x6 = add x6, 1025", "x6 = sub x6, x7", "x6 = add x6, x6", "x6 = shl x7, x8",
    ])
    func otherBasesAreNot(assignment: String) throws {
        #expect(try lines(assignment, "x5 = load.64 [x6 + 8]") == [assignment, "x5 = load.64 [x6 + 8]"])
    }

    @Test func aStepThatStaysTheSameIsSteady() throws {
        #expect(try lines("x5 = load.u8 [x6 + 0]", "x6 = add x7, x6").first == "t0 = probe.rs [x6 + 0, 1]")
        #expect(try lines("x5 = load.u8 [x6 + 0]", "x6 = add x6, x7", "x7 = add x7, 1").first == "x5 = load.u8 [x6 + 0]")
    }

    @Test func whatIsComputedFromOtherRegistersIsNot() throws {
        let before = ["x5 = load.64 [x8 + 0]", "x8 = add x7, 8", "x7 = and x7, 255"]
        #expect(try lines(before[0], before[1], before[2]) == before)
    }

    @Test func aProbeOnASteadyBaseBecomesSteady() throws {
        #expect(
            try lines("t0 = probe.rw [x6 + 0, 16]", "x5 = load.64 [x6 + 0] via t0", "store.64 [x6 + 8] = x5 via t0")
                == ["t0 = probe.rws [x6 + 0, 16]", "x5 = load.64 [x6 + 0] via t0", "store.64 [x6 + 8] = x5 via t0"])
    }

    @Test func onlyBlocksOfALoopChange() throws {
        #expect(try lines("x5 = load.64 [x6 + 8]", cycles: [[]]) == ["x5 = load.64 [x6 + 8]"])
    }
}
