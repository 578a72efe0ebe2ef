import EmuIR
import TestSupport
import Testing

@Suite struct VerifierTests {
    /// The reason the unit is refused for, nil when it is accepted.
    private func refusal(_ unit: IRUnit) -> String? {
        do {
            try unit.verify()
            return nil
        } catch {
            return error.reason
        }
    }

    private func refusal(ofLines lines: [String]) throws -> String? {
        refusal(try IRUnit(text: (["unit", "block 0x100 count 9"] + lines + ["8: jump -> 0x200"]).joined(separator: "\n")))
    }

    private func refusal(of instructions: Instruction..., terminator: Terminator = .jump(0), tempCount: Int = 0) -> String? {
        refusal(
            IRUnit(blocks: [
                IRBlock(offset: 0, guestCount: 1, instructions: instructions, terminator: terminator, terminatorGuest: 0, tempCount: tempCount)
            ]))
    }

    @Test func goodUnitsAreAccepted() throws {
        try IRUnit(text: TextTests.everyForm).verify()
        var generator = RandomUnits(seed: 2)
        for _ in 0..<500 {
            let unit = generator.unit()
            #expect(refusal(unit) == nil, "\(unit)")
        }
    }

    @Test func aMessageNamesBlockAndLine() throws {
        let unit = try IRUnit(text: "unit\nblock 0x1a4 count 3\n2: x10 = add x10, t5\n2: jump -> 0x0")
        #expect(throws: IRViolation.self) { try unit.verify() }
        do {
            try unit.verify()
        } catch {
            #expect(error.description == "block 0x1a4: \"2: x10 = add x10, t5\": t5 is used before it is assigned")
        }
    }

    // MARK: - Vectors

    @Test(arguments: [
        ("v8 = vadd.e64.n8.r256 v16, v24 when 0xd9", nil),
        ("v8 = vadd.e8.n8.r4096 v16, v24 when 0xd9", "registers have 128 to 1024 bits"),
        ("v8 = vadd.e128.n8.r256 v16, v24 when 0xd9", "elements have 8, 16, 32 or 64 bits"),
        ("v31 = vadd.e64.n8.r256 v16, v24 when 0xd9", "there are no 64 bytes from v31 on"),
        ("v8 = vadd.e64.n8.r256 v16, v31 when 0xd9", "there are no 64 bytes from v31 on"),
        ("v31 = vmseq.e64.n8.r256 v16, v24 when 0xd9", nil),
        ("v8 = vnsrl.e64.n8.r256 v30, 1 when 0xd9", "there are no 128 bytes from v30 on"),
        ("v8 = vwadd.e64.n8.r256 v31, v30 when 0xd9", nil),
        ("v32 = vmove.e64.n4.r256 v1", "v32 is no register: there are v0 to v31"),
        ("v8 = vfadd.e64.n4.r256 v1, v2 when 0xd8", "no guard.float stands before the first floating instruction"),
        ("v8 = vadd.e64.n8.r256 16, v24 when 0xd9", "a is 16, where vadd has a vector register"),
    ]) func vectorOperandsLieInsideTheRegisters(line: String, reason: String?) throws {
        #expect(try refusal(ofLines: ["0: " + line]) == reason)
    }

    @Test func aVectorLoadIsCoveredByItsProbe() throws {
        #expect(try refusal(ofLines: ["0: t0 = probe.r [x5 + 0, 64]", "0: v8 = vload.e64.n8.r256 [x5 + 0] via t0"]) == nil)
        #expect(
            try refusal(ofLines: ["0: t0 = probe.r [x5 + 0, 32]", "0: v8 = vload.e64.n8.r256 [x5 + 0] via t0"])
                == "t0 covers displacements 0 to 31 only")
    }

    // MARK: - Units and blocks

    @Test func aUnitHasABlock() {
        #expect(refusal(IRUnit(blocks: [])) == "a unit has at least one block")
    }

    @Test func blocksStartAtDifferentOffsets() throws {
        let unit = try IRUnit(text: "unit\nblock 0x10 count 1\n0: jump -> 0\nblock 0x10 count 1\n0: jump -> 0")
        #expect(refusal(unit) == "another block starts at this offset")
    }

    @Test(arguments: ["-0x2", "0x1000"])
    func aBlockStartsInItsPage(offset: String) throws {
        #expect(refusal(try IRUnit(text: "unit\nblock \(offset) count 1\n0: jump -> 0")) == "a block starts at an offset of 0 to 0xfff")
    }

    @Test(arguments: [0, -1, 65537])
    func aBlockHasGuestInstructions(count: Int) {
        let block = IRBlock(offset: 0, guestCount: count, terminator: .jump(0), terminatorGuest: 0)
        #expect(refusal(IRUnit(blocks: [block])) == "a block has 1 to 65536 guest instructions, not \(count)")
    }

    @Test(arguments: [-1, 65537])
    func aBlockHasNoMoreTempsThanNumbersForThem(count: Int) {
        #expect(refusal(tempCount: count) == "a block has 0 to 65536 temps, not \(count)")
    }

    @Test(arguments: [
        ("indirect x5 + 0 -> 0x0, 0x10", nil),
        ("indirect x5 + 0 -> 0x12", "no block starts at 0x12, where it is expected to go"),
        ("return x5 + 0 -> 0x10, 0x10", "it is expected to go to a place twice"),
        ("indirect x5 + 0 -> 0x11", "bit 0 of where an indirect jump goes is clear"),
    ] as [(String, String?)])
    func expectedTargetsAreBlocksOfTheUnit(terminator: String, reason: String?) throws {
        let unit = try IRUnit(text: "unit\nblock 0x0 count 1\n0: \(terminator)\nblock 0x10 count 1\n0: jump -> 0")
        #expect(refusal(unit) == reason)
    }

    @Test func onlyIndirectJumpsAreExpectedSomewhere() {
        let block = IRBlock(offset: 0, guestCount: 1, terminator: .jump(0), terminatorGuest: 0, expected: [0])
        #expect(refusal(IRUnit(blocks: [block])) == "only indirect jumps are expected to go somewhere")
    }

    // MARK: - Guest positions

    @Test func guestPositionsAreBelowTheCount() throws {
        #expect(try refusal(ofLines: ["9: x1 = mov 0"]) == "the block has 9 guest instructions only")
        #expect(
            refusal(try IRUnit(text: "unit\nblock 0x0 count 2\n2: jump -> 0")) == "the block has 2 guest instructions only")
    }

    @Test func guestPositionsNeverDecrease() throws {
        #expect(
            try refusal(ofLines: ["3: x1 = mov 0", "2: x2 = mov 0"]) == "guest positions never decrease, and the one before is 3")
        #expect(
            refusal(try IRUnit(text: "unit\nblock 0x0 count 2\n1: x1 = mov 0\n0: jump -> 0"))
                == "guest positions never decrease, and the one before is 1")
    }

    @Test func nothingIsWrittenBeforeItsGuestInstructionMayLeave() throws {
        #expect(
            try refusal(ofLines: ["3: x5 = mov 0", "3: x6 = load.64 [x2 + 0]"])
                == "may leave the block after x5 was written for the same guest instruction")
        #expect(try refusal(ofLines: ["3: x5 = mov 0", "3: interpret"]) != nil)
        #expect(
            refusal(of: Instruction(.mov, .integer(5), .constant(0), guest: 0), terminator: .interpret)
                == "may leave the block after x5 was written for the same guest instruction")
        #expect(try refusal(ofLines: ["3: t0 = mov 0", "3: x6 = load.64 [x2 + 0]", "3: x5 = mov t0"]) == nil)
    }

    // MARK: - Kinds of operands

    @Test(arguments: [
        ("x1 = add f2, x3", "a is f2, where add has an integer register, a temp or a constant"),
        ("x1 = add x2, f3", "b is f3, where add has an integer register, a temp or a constant"),
        ("f1 = add x2, x3", "dst is f1, where add has an integer register or a temp"),
        ("5 = add x2, x3", "dst is 5, where add has an integer register or a temp"),
        ("x1 = shladd x2, x3, x4", "c is x4, where shladd has a constant"),
        ("x1 = pc x2", "a is x2, where pc has a constant"),
        ("x1 = load.64 [f2 + 0]", "a is f2, where load.64 has an integer register, a temp or a constant"),
        ("x1 = load.64 [x2 + 0] via x3", "b is x3, where load.64 has nothing or the temp of a probe"),
        ("store.64 [x2 + 0] = f1", "b is f1, where store.64 has an integer register, a temp or a constant"),
        ("x1 = probe.r [x2 + 0, 8]", "dst is x1, where probe has a temp"),
        ("t0 = probe.r [x2 + 0, x3]", "b is x3, where probe has a constant"),
    ])
    func operandsAreOfTheKindTheOpcodeHas(line: String, reason: String) throws {
        #expect(try refusal(ofLines: ["0: " + line]) == reason)
    }

    @Test(arguments: [
        ("x1 = fadd.d f1, f2", "dst is x1, where fadd.d has a floating register"),
        ("f1 = fadd.d f1, x2", "b is x2, where fadd.d has a floating register"),
        ("f1 = load.64 [x2 + 0]", "dst is f1, where load.64 has an integer register or a temp"),
        ("x1 = load.f64 [x2 + 0]", "dst is x1, where load.f64 has a floating register"),
        ("x1 = fcvt.i32.d.rtz x1", "a is x1, where fcvt.i32.d.rtz has a floating register"),
        ("f1 = fcvt.d.i32 f1", "a is f1, where fcvt.d.i32 has an integer register, a temp or a constant"),
    ])
    func floatingOperandsAreWhereTheOpcodeHasThem(line: String, reason: String) throws {
        #expect(try refusal(ofLines: ["0: guard.float", "0: " + line]) == reason)
    }

    @Test func placesAnOpcodeDoesNotUseAreEmpty() {
        #expect(
            refusal(of: Instruction(.mov, .integer(1), .integer(2), .integer(3), guest: 0)) == "b is x3, where mov has nothing")
        #expect(
            refusal(of: Instruction(.interpret, .integer(1), guest: 0)) == "dst is x1, where interpret has nothing")
        #expect(
            refusal(of: Instruction(.add, .integer(1), .integer(2), guest: 0))
                == "b is none, where add has an integer register, a temp or a constant")
    }

    @Test func integerRegistersAreX1ToX31() throws {
        for line in ["x0 = mov 1", "x32 = mov 1", "x1 = mov x0", "x1 = add x2, x32", "store.8 [x0 + 0] = 1"] {
            #expect(try refusal(ofLines: ["0: " + line])?.hasSuffix("is no register: there are x1 to x31, and a guest's zero is a constant") == true)
        }
    }

    @Test func floatingRegistersAreF0ToF31() throws {
        for line in ["f32 = fadd.d f0, f31", "f0 = fadd.d f32, f31", "store.f64 [x2 + 0] = f40"] {
            #expect(try refusal(ofLines: ["0: guard.float", "0: " + line])?.hasSuffix("is no register: there are f0 to f31") == true)
        }
    }

    @Test func constantsHave32BitsExceptOfMov() throws {
        #expect(try refusal(ofLines: ["0: x1 = mov 0x123456789abcdef", "0: x2 = add x1, -0x80000000"]) == nil)
        #expect(
            try refusal(ofLines: ["0: x2 = add x1, 0x80000000"]) == "0x80000000 does not fit 32 bits: only mov takes such a constant")
        #expect(try refusal(ofLines: ["0: x2 = pc 0x80000000"]) != nil)
        #expect(refusal(terminator: .branch(.eq, .integer(1), .constant(1 << 40), taken: 0, next: 4)) != nil)
    }

    @Test func displacementsAreOfMemoryInstructionsOnly() {
        #expect(
            refusal(of: Instruction(.add, .integer(1), .integer(2), .integer(3), displacement: 8, guest: 0)) == "add takes no displacement")
    }

    @Test func shladdShiftsByAtMostThree() throws {
        #expect(try refusal(ofLines: ["0: x1 = shladd x2, x3, 4"]) == "c is 0 to 3")
        #expect(try refusal(ofLines: ["0: x1 = shladduw x2, x3, -1"]) == "c is 0 to 3")
    }

    @Test func floatingInstructionsComeAfterAGuard() throws {
        #expect(try refusal(ofLines: ["0: f1 = fadd.d f1, f2"]) == "no guard.float stands before the first floating instruction")
        #expect(try refusal(ofLines: ["0: guard.float", "0: f1 = fadd.d f1, f2", "1: f1 = fadd.d f1, f2"]) == nil)
    }

    // MARK: - Temps

    @Test func tempsAreAssignedBeforeUse() throws {
        #expect(try refusal(ofLines: ["0: x1 = mov t0", "0: t0 = mov 1"]) == "t0 is used before it is assigned")
        #expect(try refusal(ofLines: ["0: t0 = add t0, 1"]) == "t0 is used before it is assigned")
    }

    @Test func tempsAreAssignedOnce() throws {
        #expect(try refusal(ofLines: ["0: t0 = mov 1", "1: t0 = mov 1"]) == "t0 is assigned twice")
    }

    @Test func tempsAreBelowTheirCount() {
        #expect(
            refusal(of: Instruction(.mov, .temp(2), .constant(0), guest: 0), tempCount: 2) == "t2 is not below the number of temps, 2")
        #expect(
            refusal(of: Instruction(.mov, .integer(1), .temp(2), guest: 0), tempCount: 2) == "t2 is not below the number of temps, 2")
    }

    // MARK: - Probes

    @Test func aProbeHasALengthAndRights() throws {
        #expect(try refusal(ofLines: ["0: t0 = probe.r [x2 + 0, 0]"]) == "a probe covers 1 to 4096 bytes")
        #expect(try refusal(ofLines: ["0: t0 = probe.r [x2 + 0, 4097]"]) == "a probe covers 1 to 4096 bytes")
        #expect(
            refusal(of: Instruction(.probe, .temp(0), .integer(2), .constant(8), .constant(4), guest: 0), tempCount: 1)
                == "the rights of a probe are r, w or rw")
    }

    @Test func hostAddressesAreNoValues() throws {
        for line in ["x1 = mov t0", "x1 = add x1, t0", "x1 = load.64 [t0 + 0]", "store.64 [x1 + 0] = t0"] {
            #expect(
                try refusal(ofLines: ["0: t0 = probe.rw [x2 + 0, 8]", "0: " + line]) == "t0 is a host address, which no guest value may depend on")
        }
        #expect(
            refusal(
                of: Instruction(.probe, .temp(0), .integer(2), .constant(8), .constant(1), guest: 0),
                terminator: .branch(.eq, .temp(0), .constant(0), taken: 0, next: 4), tempCount: 1) != nil)
    }

    @Test(arguments: [
        (["t0 = mov 1", "x1 = load.64 [x2 + 0] via t0"], "t0 does not come from a probe"),
        (["t0 = probe.r [x2 + 0, 8]", "x1 = load.64 [x3 + 0] via t0"], "t0 was probed for another base, x2"),
        (["t0 = probe.r [x2 + 0, 8]", "x2 = mov 1", "x1 = load.64 [x2 + 0] via t0"], "x2 was written after it was probed for t0"),
        (
            ["t0 = probe.r [x2 + 0, 16]", "x2 = load.64 [x2 + 0] via t0", "x1 = load.64 [x2 + 8] via t0"],
            "x2 was written after it was probed for t0"
        ),
        (["t0 = probe.r [x2 + 0, 8]", "interpret", "x1 = load.64 [x2 + 0] via t0"], "the interpreter may have changed the mapping since t0 was probed"),
        (["t0 = probe.r [x2 + 8, 8]", "x1 = load.64 [x2 + 0] via t0"], "t0 covers displacements 8 to 15 only"),
        (["t0 = probe.r [x2 - 8, 15]", "x1 = load.64 [x2 + 0] via t0"], "t0 covers displacements -8 to 6 only"),
        (["t0 = probe.w [x2 + 0, 8]", "x1 = load.64 [x2 + 0] via t0"], "t0 was probed for other rights, w"),
        (["t0 = probe.r [x2 + 0, 8]", "store.64 [x2 + 0] = 1 via t0"], "t0 was probed for other rights, r"),
    ])
    func anAccessUsesAProbeThatCoversIt(lines: [String], reason: String) throws {
        #expect(try refusal(ofLines: lines.enumerated().map { "\($0): \($1)" }) == reason)
    }

    @Test func anAccessMayOverwriteTheBaseItWasProbedFor() throws {
        #expect(try refusal(ofLines: ["0: t0 = probe.r [x2 + 0, 8]", "0: x2 = load.64 [x2 + 0] via t0"]) == nil)
    }

    // MARK: - Terminators

    @Test func terminatorsReadIntegers() {
        #expect(
            refusal(terminator: .branch(.eq, .integer(1), .float(1), taken: 0, next: 4))
                == "a branch takes integer registers, temps and constants, not f1")
        #expect(
            refusal(terminator: .branch(.eq, .none, .integer(1), taken: 0, next: 4))
                == "a branch takes integer registers, temps and constants, not none")
        #expect(
            refusal(terminator: .indirect(.float(1), displacement: 0, isReturn: false))
                == "an indirect jump takes integer registers, temps and constants, not f1")
        #expect(refusal(terminator: .indirect(.temp(0), displacement: 0, isReturn: false), tempCount: 1) == "t0 is used before it is assigned")
        #expect(refusal(terminator: .indirect(.integer(32), displacement: 0, isReturn: false)) != nil)
    }
}
