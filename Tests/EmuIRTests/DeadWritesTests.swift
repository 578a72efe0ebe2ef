import EmuIR
import Testing

@Suite struct DeadWritesTests {
    @Test func aWriteOverwrittenBeforeAnyUseIsDropped() throws {
        #expect(try lines(after: .deadWrites, "x5 = mov 0x12345000", "x6 = add x7, 1", "x5 = mov 0x12345678") == ["x6 = add x7, 1", "x5 = mov 0x12345678"])
        #expect(try lines(after: .deadWrites, "x5 = pc 0x100", "x5 = add x6, x7") == ["x5 = add x6, x7"])
    }

    @Test func whatOnlyDroppedInstructionsReadIsDroppedToo() throws {
        #expect(try lines(after: .deadWrites, "t0 = mov 1", "t1 = add t0, 1", "x5 = add t1, 1", "x5 = mov 0") == ["x5 = mov 0"])
    }

    @Test func aWriteThatIsReadStays() throws {
        for reader in ["x6 = add x5, 1", "x6 = mov x5"] {
            #expect(try lines(after: .deadWrites, "x5 = mov 1", reader, "x5 = mov 2") == ["x5 = mov 1", reader, "x5 = mov 2"])
        }
        #expect(
            try lines(after: .deadWrites, "t0 = mov x1", "x1 = pc 0x104", "indirect t0 + 0") == ["t0 = mov x1", "x1 = pc 0x104", "indirect t0 + 0"])
        #expect(
            try lines(after: .deadWrites, "t0 = setlt x1, x2", "x1 = mov 0", "branch.ne t0, 0 -> 0x10, 0x20").first == "t0 = setlt x1, x2")
    }

    @Test func aWriteSeenWhereTheBlockMayBeLeftStays() throws {
        for leaving in ["x6 = load.64 [x7 + 0]", "store.64 [x7 + 0] = 1", "guard.float", "interpret"] {
            #expect(try lines(after: .deadWrites, "x5 = mov 1", leaving, "x5 = mov 2") == ["x5 = mov 1", leaving, "x5 = mov 2"])
        }
        #expect(
            try lines(after: .deadWrites, "x5 = mov 1", "x5 = load.64 [x7 + 0]") == ["x5 = mov 1", "x5 = load.64 [x7 + 0]"])
    }

    @Test func aWriteBeforeAnOperationOnFloatsStays() throws {
        let all = ["guard.float", "x5 = mov x6", "x7 = feq.s f1, f2", "x5 = sext16 x6"]
        #expect(try lines(after: .deadWrites, all[0], all[1], all[2], all[3]) == all)
    }

    @Test func registersAreReadAtTheEndAndTempsAreNot() throws {
        #expect(try lines(after: .deadWrites, "x5 = mov 1", "t0 = mov 2") == ["x5 = mov 1"])
    }

    @Test func aTempOfOneBlockIsNotOneOfAnother() throws {
        var unit = try IRUnit(
            text: """
                unit
                block 0x10 count 1
                  0: t0 = mov 1
                  0: branch.eq t0, x5 -> 0x20, 0x10
                block 0x20 count 1
                  0: t0 = mov 1
                  0: jump -> 0x20
                """)
        var optimizer = IROptimizer(passes: [.deadWrites])
        optimizer.run(&unit)
        #expect(unit.blocks.map(\.instructions.count) == [1, 0])
    }

    @Test func unusedProbesAreDropped() throws {
        #expect(try lines(after: .deadWrites, "t0 = probe.r [x5 + 0, 8]") == [])
        #expect(
            try lines(after: .deadWrites, "t0 = probe.rw [x5 + 0, 8]", "store.64 [x5 + 0] = x6 via t0")
                == ["t0 = probe.rw [x5 + 0, 8]", "store.64 [x5 + 0] = x6 via t0"])
    }

    @Test func whatHasOtherEffectsStays() throws {
        #expect(
            try lines(after: .deadWrites, "guard.float", "f1 = fadd.d f2, f3", "f1 = fsgnj.d f2, f2", "t0 = feq.d f1, f2", "x5 = fmv.x.d f1", "x5 = mov 0")
                == ["guard.float", "f1 = fadd.d f2, f3", "f1 = fsgnj.d f2, f2", "t0 = feq.d f1, f2", "x5 = mov 0"])
        #expect(try lines(after: .deadWrites, "t0 = load.64 [x5 + 0]") == ["t0 = load.64 [x5 + 0]"])
    }

    @Test func integerAndFloatingRegistersOfOneNumberAreDifferent() throws {
        let before = ["guard.float", "x5 = mov 1", "f5 = fmv.d.x x6", "f6 = fmv.d.x x5"]
        #expect(try lines(after: .deadWrites, before[0], before[1], before[2], before[3]) == before)
    }

    @Test func movesToThemselvesAreDropped() throws {
        #expect(try lines(after: .deadWrites, "x5 = mov x5", "x6 = mov x5") == ["x6 = mov x5"])
    }
}
