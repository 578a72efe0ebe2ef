import EmuIR
import Testing

@Suite struct ConstantFoldingTests {
    // MARK: - What is known

    @Test func constantsBuiltInStepsAreComputed() throws {
        #expect(
            try lines(
                after: .constantFolding,
                "x5 = mov 0x12345000", "x5 = addw x5, 1656", "x5 = shl x5, 16", "x5 = add x5, -1")
                == ["x5 = mov 0x12345000", "x5 = mov 0x12345678", "x5 = mov 0x123456780000", "x5 = mov 0x12345677ffff"])
    }

    @Test func addressesBuiltInStepsAreDistancesFromThePage() throws {
        #expect(
            try lines(after: .constantFolding, "x5 = pc 0x12000", "x5 = add x5, -16", "x6 = mov x5", "x6 = add x6, 8", "x7 = sub x6, 8")
                == ["x5 = pc 0x12000", "x5 = pc 0x11ff0", "x6 = mov x5", "x6 = pc 0x11ff8", "x7 = pc 0x11ff0"])
    }

    @Test func anAddressTooFarFromThePageStaysASum() throws {
        #expect(try lines(after: .constantFolding, "x5 = pc 0x7ffffff0", "x5 = add x5, 16") == ["x5 = pc 0x7ffffff0", "x5 = add x5, 16"])
    }

    @Test func aConstantTakesTheRegistersPlace() throws {
        #expect(
            try lines(after: .constantFolding, "x5 = mov 7", "x6 = add x5, x7", "store.8 [x5 + 1] = x5", "x8 = shl x5, x7")
                == ["x5 = mov 7", "x6 = add x7, 7", "store.8 [x5 + 1] = 7", "x8 = shl 7, x7"])
    }

    @Test func aConstantOfMoreThan32BitsStaysInItsRegister() throws {
        #expect(
            try lines(
                after: .constantFolding, "x5 = mov 0x80000000", "x6 = add x5, x7", "store.64 [x8 + 0] = x5", "x9 = mov x5", "x10 = add x5, 1")
                == [
                    "x5 = mov 0x80000000", "x6 = add x5, x7", "store.64 [x8 + 0] = x5", "x9 = mov 0x80000000", "x10 = mov 0x80000001",
                ])
    }

    @Test func aBaseStaysARegister() throws {
        #expect(
            try lines(after: .constantFolding, "x5 = mov 0x10000000", "x6 = load.u8 [x5 + 5]", "t0 = probe.r [x5 + 0, 8]")
                == ["x5 = mov 0x10000000", "x6 = load.u8 [x5 + 5]", "t0 = probe.r [x5 + 0, 8]"])
    }

    @Test func whatIsLoadedOrInterpretedIsUnknown() throws {
        #expect(
            try lines(after: .constantFolding, "x5 = mov 1", "x5 = load.64 [x6 + 0]", "x7 = add x5, x8")
                == ["x5 = mov 1", "x5 = load.64 [x6 + 0]", "x7 = add x5, x8"])
        #expect(
            try lines(after: .constantFolding, "x5 = mov 1", "t0 = mov 2", "interpret", "x7 = add x5, t0")
                == ["x5 = mov 1", "t0 = mov 2", "interpret", "x7 = add x5, 2"])
        #expect(
            try lines(after: .constantFolding, "guard.float", "x5 = mov 1", "x5 = fcvt.i32.d.rtz f1", "x7 = add x5, x8")
                == ["guard.float", "x5 = mov 1", "x5 = fcvt.i32.d.rtz f1", "x7 = add x5, x8"])
    }

    @Test func writingWhatIsThereAlreadyBecomesAMoveToItself() throws {
        #expect(
            try lines(after: .constantFolding, "x5 = mov 0x1000", "x6 = load.64 [x5 + 0]", "x5 = mov 0x1000")
                == ["x5 = mov 4096", "x6 = load.64 [x5 + 0]", "x5 = mov x5"])
        #expect(try lines(after: .constantFolding, "x5 = pc 0x1000", "x5 = pc 0x1000") == ["x5 = pc 0x1000", "x5 = mov x5"])
    }

    // MARK: - One constant operand

    @Test(arguments: [
        ("add x6, 0", "mov x6"), ("add 0, x6", "mov x6"), ("add 9, x6", "add x6, 9"),
        ("sub x6, 0", "mov x6"), ("sub x6, 9", "add x6, -9"), ("sub x6, -0x80000000", "sub x6, -0x80000000"), ("sub 0, x6", "sub 0, x6"),
        ("addw x6, 0", "sext32 x6"), ("subw x6, 0", "sext32 x6"), ("subw x6, -4", "addw x6, 4"),
        ("and x6, 0", "mov 0"), ("and x6, -1", "mov x6"), ("and x6, 255", "zext8 x6"), ("and 0xffff, x6", "zext16 x6"), ("and x6, 7", "and x6, 7"),
        ("or x6, 0", "mov x6"), ("or x6, -1", "mov -1"), ("xor x6, 0", "mov x6"), ("xor x6, -1", "xor x6, -1"),
        ("andn x6, 255", "and x6, -256"), ("andn x6, 0", "mov x6"), ("andn x6, -1", "mov 0"), ("orn x6, 15", "or x6, -16"),
        ("xnor x6, 0", "xor x6, -1"), ("xnor x6, -1", "mov x6"),
        ("andn 0, x6", "mov 0"), ("andn -1, x6", "xor x6, -1"), ("orn 0, x6", "xor x6, -1"), ("orn -1, x6", "mov -1"),
        ("shl x6, 0", "mov x6"), ("shl x6, 67", "shl x6, 3"), ("shr x6, 64", "mov x6"), ("sar x6, -1", "sar x6, 63"), ("rotr x6, 0", "mov x6"),
        ("shlw x6, 32", "sext32 x6"), ("shrw x6, 0", "sext32 x6"), ("sarw x6, 33", "sarw x6, 1"), ("rotlw x6, 0", "sext32 x6"),
        ("shl 0, x6", "mov 0"), ("sarw 0, x6", "mov 0"), ("rotr 0, x6", "mov 0"),
        ("mul x6, 0", "mov 0"), ("mul 1, x6", "mov x6"), ("mul x6, -1", "sub 0, x6"), ("mul x6, 64", "shl x6, 6"), ("mul x6, 10", "mul x6, 10"),
        ("mulw x6, 0", "mov 0"), ("mulw x6, 1", "sext32 x6"), ("mulw x6, -1", "subw 0, x6"), ("mulw x6, 8", "shlw x6, 3"),
        ("mulhs x6, 0", "mov 0"), ("mulhu 0, x6", "mov 0"), ("mulhsu x6, 0", "mov 0"), ("mulhsu 0, x6", "mov 0"),
        ("div x6, 0", "mov -1"), ("div x6, 1", "mov x6"), ("div x6, 2", "div x6, 2"), ("div 0, x6", "div 0, x6"),
        ("divu x6, 0", "mov -1"), ("divu x6, 1", "mov x6"), ("divu x6, 16", "shr x6, 4"),
        ("divw x6, 0", "mov -1"), ("divw x6, 1", "sext32 x6"), ("divuw x6, 1", "sext32 x6"), ("divuw x6, 2", "shrw x6, 1"),
        ("rem x6, 0", "mov x6"), ("rem x6, 1", "mov 0"), ("rem x6, -1", "mov 0"), ("rem x6, 8", "rem x6, 8"), ("rem 0, x6", "mov 0"),
        ("remu x6, 0", "mov x6"), ("remu x6, 1", "remu x6, 1"), ("remu x6, 256", "zext8 x6"), ("remu x6, 8", "and x6, 7"),
        ("remw x6, 0", "sext32 x6"), ("remw x6, -1", "mov 0"), ("remuw x6, 0", "sext32 x6"), ("remuw x6, 4", "and x6, 3"),
        ("minu x6, 0", "mov 0"), ("maxu x6, 0", "mov x6"), ("min 3, x6", "min x6, 3"),
        ("setltu x6, 0", "mov 0"), ("setltu x6, 1", "seteq x6, 0"), ("setltu 0, x6", "setne x6, 0"), ("setlt x6, 0", "setlt x6, 0"),
        ("seteq 4, x6", "seteq x6, 4"),
        ("bitclear x6, 4", "and x6, -17"), ("bitclear x6, 31", "bitclear x6, 31"), ("bitset x6, 66", "or x6, 4"), ("bitset x6, 63", "bitset x6, 63"),
        ("bitflip x6, 0", "xor x6, 1"), ("bittest x6, 0", "and x6, 1"), ("bittest x6, 127", "shr x6, 63"), ("bittest x6, 65", "bittest x6, 1"),
        ("clmul x6, 0", "mov 0"), ("clmulh 0, x6", "mov 0"), ("clmulr x6, 0", "mov 0"),
        ("zeroifeq x6, 0", "mov 0"), ("zeroifeq x6, 5", "mov x6"), ("zeroifne x6, 0", "mov x6"), ("zeroifne x6, 5", "mov 0"),
        ("zeroifeq 0, x6", "mov 0"), ("zeroifne 0, x6", "mov 0"),
        ("shladd x6, x7, 0", "shladd x6, x7, 0"), ("shladd x6, 0, 0", "mov x6"), ("shladd x6, 0, 3", "shl x6, 3"), ("shladd 5, x6, 2", "add x6, 20"),
        ("shladd 0, x6, 2", "mov x6"), ("shladduw x6, 0, 0", "zext32 x6"), ("shladduw x6, 0, 1", "shladduw x6, 0, 1"), ("shladduw -1, x6, 0", "shladduw -1, x6, 0"),
    ])
    func oneConstantOperandSimplifies(before: String, after: String) throws {
        #expect(try lines(after: .constantFolding, "x5 = " + before) == ["x5 = " + after])
    }

    @Test(arguments: [
        ("sub", "mov 0"), ("subw", "mov 0"), ("xor", "mov 0"), ("andn", "mov 0"), ("setlt", "mov 0"), ("setltu", "mov 0"), ("setne", "mov 0"),
        ("zeroifne", "mov 0"), ("orn", "mov -1"), ("xnor", "mov -1"), ("seteq", "mov 1"), ("and", "mov x6"), ("or", "mov x6"), ("min", "mov x6"),
        ("maxu", "mov x6"), ("zeroifeq", "mov x6"), ("add", "add x6, x6"), ("div", "div x6, x6"),
    ])
    func oneVariableTwiceSimplifies(before: String, after: String) throws {
        #expect(try lines(after: .constantFolding, "x5 = \(before) x6, x6") == ["x5 = " + after])
    }

    // MARK: - Terminators

    @Test(arguments: [
        ("branch.lt x5, x6 -> 0x10, 0x20", "jump -> 0x10"), ("branch.ge x5, x6 -> 0x10, 0x20", "jump -> 0x20"),
        ("branch.ltu x5, x6 -> 0x10, 0x20", "jump -> 0x20"), ("branch.eq x7, x7 -> 0x10, 0x20", "jump -> 0x10"),
        ("branch.ltu x7, x7 -> 0x10, 0x20", "jump -> 0x20"),
        ("branch.eq x6, x7 -> 0x10, 0x20", "branch.eq x7, 3 -> 0x10, 0x20"), ("branch.lt x7, x5 -> 0x10, 0x20", "branch.lt x7, -2 -> 0x10, 0x20"),
        ("branch.ltu x7, 0 -> 0x10, 0x20", "jump -> 0x20"), ("branch.geu x7, 0 -> 0x10, 0x20", "jump -> 0x10"),
        ("branch.ltu x7, 1 -> 0x10, 0x20", "branch.eq x7, 0 -> 0x10, 0x20"), ("branch.geu x7, 1 -> 0x10, 0x20", "branch.ne x7, 0 -> 0x10, 0x20"),
        ("branch.ltu 0, x7 -> 0x10, 0x20", "branch.ne x7, 0 -> 0x10, 0x20"), ("branch.geu 0, x7 -> 0x10, 0x20", "branch.eq x7, 0 -> 0x10, 0x20"),
    ])
    func branchesOnConstantsAreDecided(before: String, after: String) throws {
        #expect(try lines(after: .constantFolding, "x5 = mov -2", "x6 = mov 3", before).last == after)
    }

    @Test func anIndirectJumpToAKnownDistanceIsDirect() throws {
        #expect(
            try lines(after: .constantFolding, "x1 = pc 0x12000", "t0 = mov x1", "x1 = pc 0x10c", "indirect t0 + 21")
                == ["x1 = pc 0x12000", "t0 = mov x1", "x1 = pc 0x10c", "jump -> 0x12014"])
        #expect(try lines(after: .constantFolding, "x5 = pc 0x7ffffff0", "indirect x5 + 16").last == "indirect x5 + 16")
    }
}
