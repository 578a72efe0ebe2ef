import EmuIR
import Testing

@Suite struct SharedProbesTests {
    @Test func accessesWithOneBaseShareAProbeBeforeTheFirst() throws {
        #expect(
            try lines(
                after: .sharedProbes, "x2 = add x2, -48", "store.64 [x2 + 40] = x1", "x8 = add x2, 48", "store.32 [x2 + 24] = x8", "x9 = load.64 [x2 + 32]",
                withPositions: true)
                == [
                    "0: x2 = add x2, -48", "1: t0 = probe.rw [x2 + 24, 24]", "1: store.64 [x2 + 40] = x1 via t0", "2: x8 = add x2, 48",
                    "3: store.32 [x2 + 24] = x8 via t0", "4: x9 = load.64 [x2 + 32] via t0",
                ])
    }

    @Test func theRightsAreThoseNeeded() throws {
        #expect(try lines(after: .sharedProbes, "x5 = load.s8 [x2 + 0]", "x6 = load.u8 [x2 - 1]").first == "t0 = probe.r [x2 - 1, 2]")
        #expect(try lines(after: .sharedProbes, "store.8 [x2 + 0] = 1", "store.8 [x2 + 1] = 1").first == "t0 = probe.w [x2 + 0, 2]")
    }

    @Test func aSingleAccessIsLeftAlone() throws {
        #expect(
            try lines(after: .sharedProbes, "x5 = load.64 [x2 + 0]", "x6 = load.64 [x3 + 8]") == ["x5 = load.64 [x2 + 0]", "x6 = load.64 [x3 + 8]"])
    }

    @Test func groupsOfSeveralBasesOverlap() throws {
        #expect(
            try lines(after: .sharedProbes, "x5 = load.64 [x2 + 0]", "x6 = load.64 [x3 + 0]", "store.64 [x2 + 8] = x6", "store.64 [x3 + 8] = x5")
                == [
                    "t0 = probe.rw [x2 + 0, 16]", "x5 = load.64 [x2 + 0] via t0", "t1 = probe.rw [x3 + 0, 16]", "x6 = load.64 [x3 + 0] via t1",
                    "store.64 [x2 + 8] = x6 via t0", "store.64 [x3 + 8] = x5 via t1",
                ])
    }

    @Test func writingTheBaseEndsAGroup() throws {
        #expect(
            try lines(after: .sharedProbes, "x5 = load.64 [x2 + 0]", "x2 = add x2, 8", "x6 = load.64 [x2 + 0]", "x7 = load.64 [x2 + 8]")
                == [
                    "x5 = load.64 [x2 + 0]", "x2 = add x2, 8", "t0 = probe.r [x2 + 0, 16]", "x6 = load.64 [x2 + 0] via t0", "x7 = load.64 [x2 + 8] via t0",
                ])
    }

    @Test func anAccessThatOverwritesItsBaseIsTheLastOfItsGroup() throws {
        #expect(
            try lines(after: .sharedProbes, "x5 = load.64 [x2 + 0]", "x2 = load.64 [x2 + 8]", "x6 = load.64 [x2 + 0]")
                == ["t0 = probe.r [x2 + 0, 16]", "x5 = load.64 [x2 + 0] via t0", "x2 = load.64 [x2 + 8] via t0", "x6 = load.64 [x2 + 0]"])
    }

    @Test func theInterpreterEndsAllGroups() throws {
        let before = ["x5 = load.64 [x2 + 0]", "interpret", "x6 = load.64 [x2 + 8]"]
        #expect(try lines(after: .sharedProbes, before[0], before[1], before[2]) == before)
    }

    @Test func aGroupSpansAtMost2048Bytes() throws {
        #expect(
            try lines(after: .sharedProbes, "x5 = load.64 [x2 - 1024]", "x6 = load.64 [x2 + 1016]").first == "t0 = probe.r [x2 - 1024, 2048]")
        #expect(
            try lines(after: .sharedProbes, "x5 = load.64 [x2 - 1024]", "x6 = load.64 [x2 + 1017]", "x7 = load.64 [x2 + 1025]")
                == [
                    "x5 = load.64 [x2 - 1024]", "t0 = probe.r [x2 + 1017, 16]", "x6 = load.64 [x2 + 1017] via t0", "x7 = load.64 [x2 + 1025] via t0",
                ])
    }

    @Test func floatingAccessesShareToo() throws {
        #expect(
            try lines(after: .sharedProbes, "guard.float", "f1 = load.f64 [x2 + 0]", "store.f32 [x2 + 8] = f1")
                == ["guard.float", "t0 = probe.rw [x2 + 0, 12]", "f1 = load.f64 [x2 + 0] via t0", "store.f32 [x2 + 8] = f1 via t0"])
    }

    @Test func accessesProbedAlreadyAndConstantBasesAreLeftAlone() throws {
        let before = ["t0 = probe.r [x2 + 0, 16]", "x5 = load.64 [x2 + 0] via t0", "x6 = load.64 [16 + 0]", "x7 = load.64 [16 + 8]"]
        #expect(try lines(after: .sharedProbes, before[0], before[1], before[2], before[3]) == before)
    }
}
