import EmuIR
import Testing

@Suite struct CopyPropagationTests {
    @Test func theSourceIsReadInPlaceOfTheCopy() throws {
        #expect(
            try lines(
                after: .copyPropagation,
                "x10 = mov x11", "x12 = add x10, x10", "x13 = load.64 [x10 + 8]", "store.64 [x10 + 16] = x10", "branch.lt x10, x12 -> 0x10, 0x20")
                == [
                    "x10 = mov x11", "x12 = add x11, x11", "x13 = load.64 [x11 + 8]", "store.64 [x11 + 16] = x11",
                    "branch.lt x11, x12 -> 0x10, 0x20",
                ])
    }

    @Test func chainsLeadToTheFirstSource() throws {
        #expect(
            try lines(after: .copyPropagation, "x10 = mov x11", "t0 = mov x10", "x12 = mov t0", "indirect x12 + 0")
                == ["x10 = mov x11", "t0 = mov x11", "x12 = mov x11", "indirect x11 + 0"])
    }

    @Test func aCopyEndsWhenItsSourceIsWritten() throws {
        #expect(
            try lines(after: .copyPropagation, "x10 = mov x11", "x11 = add x11, 1", "x12 = add x10, 1")
                == ["x10 = mov x11", "x11 = add x11, 1", "x12 = add x10, 1"])
        #expect(
            try lines(after: .copyPropagation, "t0 = mov x1", "x1 = pc 0x104", "indirect t0 + 0") == ["t0 = mov x1", "x1 = pc 0x104", "indirect t0 + 0"])
    }

    @Test func aCopyEndsWhenItIsWritten() throws {
        #expect(
            try lines(after: .copyPropagation, "x10 = mov x11", "x10 = load.64 [x10 + 0]", "x12 = add x10, 1")
                == ["x10 = mov x11", "x10 = load.64 [x11 + 0]", "x12 = add x10, 1"])
    }

    @Test func aCopyEndsAtTheInterpreter() throws {
        #expect(
            try lines(after: .copyPropagation, "x10 = mov x11", "interpret", "x12 = add x10, 1") == ["x10 = mov x11", "interpret", "x12 = add x10, 1"])
    }

    @Test func copyingBackIsAMoveToItselfAndEndsNoCopy() throws {
        #expect(
            try lines(after: .copyPropagation, "x10 = mov x11", "x11 = mov x10", "x12 = add x10, 1")
                == ["x10 = mov x11", "x11 = mov x11", "x12 = add x11, 1"])
    }

    @Test func aProbedBaseStays() throws {
        #expect(
            try lines(after: .copyPropagation, "x10 = mov x11", "t0 = probe.rw [x10 + 0, 16]", "x12 = load.64 [x10 + 0] via t0", "store.64 [x10 + 8] = x10 via t0")
                == ["x10 = mov x11", "t0 = probe.rw [x10 + 0, 16]", "x12 = load.64 [x10 + 0] via t0", "store.64 [x10 + 8] = x11 via t0"])
    }
}
