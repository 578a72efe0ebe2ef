import EmuIR
import TestSupport
import Testing

@Suite struct TextTests {
    /// One of each form.
    static let everyForm = """
        unit
        block 0x1a4 count 8
          0: guard.float
          0: x10 = add x10, 8
          1: x12 = load.s32 [x10 + 16]
          2: store.64 [x2 - 8] = x1
          3: t0 = probe.rw [x2 + 0, 32]
          3: x12 = load.s32 [x2 + 16] via t0
          4: store.f64 [x2 + 8] = f31 via t0
          4: t1 = probe.r [x2 - 2048, 8]
          4: t2 = probe.w [0x10000000 + 0, 8]
          5: f0 = fmadd.d f1, f2, f3
          5: x5 = fcvt.i32.d.rtz f0
          5: x6 = shladd x5, x6, 3
          5: x7 = mov -0x8000000000000000
          6: interpret
          7: branch.lt x10, x12 -> 0x1a4, -0x20
        block 0x1c0 count 1
          0: jump -> 0x1000
        block 0x1c4 count 2 temps 4
          0: t0 = pc 0x1cc
          0: x1 = mov t0
          1: return x1 + 0
        block 0x1d0 count 1
          0: indirect x5 - 16
        block 0x1d2 count 1
          0: indirect x5 + 0 -> 0x1a4, 0x1d4
        block 0x1d4 count 10
          0: guard.float
          0: x10 = vset.length.e8.n0.r256 x11, 8, 217
          1: t0 = probe.rs [x12 + 0, 64]
          1: v8 = vload.e64.n8.r256 [x12 + 0] via t0 when 0xd9
          2: vstore.e64.n8.r256.f4x2 [x13 + 0] = v8 when 0xd9
          3: v8 = vfmacc.e64.n8.r256 v16, f3 when 0xd9
          4: v8 = vwaddu.w.e32.n8.r256 v8, v4 masked when 0xd0
          5: x5 = vfirst.e8.n8.r256 v0 when 0x0
          6: v8 = vadd.e8.n8.r128 v9, -16 when 0xc0
          7: v8 = vload.strided.e64.n8.r256 [x12 + 0 by x5] when 0xd9
          8: v8 = vload.e8.n32.r256 [x12 + 0] masked shortening when 0xc0
          9: interpret.last

        """

    @Test func aUnitIsPrintedAsItWasRead() throws {
        #expect(try IRUnit(text: Self.everyForm).description == Self.everyForm)
    }

    @Test func aUnitIsReadAsItWasPrinted() throws {
        var generator = RandomUnits(seed: 1)
        for _ in 0..<300 {
            let unit = generator.unit()
            #expect(try IRUnit(text: unit.description) == unit)
        }
    }

    @Test func partsOfAnInstructionAreReadIntoTheirPlaces() throws {
        let unit = try IRUnit(text: Self.everyForm)
        #expect(unit.blocks[0].instructions[3] == Instruction(.store64, .none, .integer(2), .integer(1), displacement: -8, guest: 2))
        #expect(
            unit.blocks[0].instructions[4]
                == Instruction(.probe, .temp(0), .integer(2), .constant(32), .constant(3), displacement: 0, guest: 3))
        #expect(unit.blocks[0].instructions[6] == Instruction(.storef64, .none, .integer(2), .float(31), .temp(0), displacement: 8, guest: 4))
        #expect(unit.blocks[0].terminator == .branch(.lt, .integer(10), .integer(12), taken: 0x1a4, next: -0x20))
        #expect(unit.blocks[0].tempCount == 3)
        #expect(unit.blocks[2].tempCount == 4)
    }

    @Test func commentsEmptyLinesAndSpacingAreSkipped() throws {
        let unit = try IRUnit(text: "# the smallest\n\nunit\r\nblock 16 count 1 # one\n0 :jump->32")
        #expect(unit == IRUnit(blocks: [IRBlock(offset: 16, guestCount: 1, terminator: .jump(32), terminatorGuest: 0)]))
    }

    @Test(arguments: [
        ("", 1, "a unit starts with \"unit\""),
        ("block 0x0 count 1", 1, "a unit starts with \"unit\""),
        ("unit x", 1, "unexpected \"x\""),
        ("unit\n0: jump -> 0x0", 2, "an instruction before the first block"),
        ("unit\nblock 0x0", 2, "expected \"count\" after the offset"),
        ("unit\nblock zero count 1", 2, "expected an offset of 32 bits before \"zero count 1\""),
        ("unit\nblock 0x0 count 1 regs 3", 2, "expected \"temps\" or nothing after the count"),
        ("unit\nblock 0x0 count 1\n", 3, "the last block has no terminator"),
        ("unit\nblock 0x0 count 1\nblock 0x4 count 1", 3, "the block before this one has no terminator"),
        ("unit\nblock 0x0 count 1\n0: jump -> 0\n0: interpret", 4, "an instruction after the terminator"),
        ("unit\nblock 0x0 count 1\nx1 = mov 0", 3, "expected the position of a guest instruction of 16 bits before \"x1 = mov 0\""),
        ("unit\nblock 0x0 count 1\n0 x1 = mov 0", 3, "expected \":\" before \"x1 = mov 0\""),
        ("unit\nblock 0x0 count 1\n0:", 3, "expected an instruction"),
        ("unit\nblock 0x0 count 1\n0: return x1 + 0 ->", 3, "expected an offset of 32 bits before the end of the line"),
        ("unit\nblock 0x0 count 1\n0: return x1 + 0 -> 0x0,", 3, "expected an offset of 32 bits before the end of the line"),
        ("unit\nblock 0x0 count 1\n0: x1 = fly x2", 3, "\"fly\" is no instruction"),
        ("unit\nblock 0x0 count 1\n0: x256 = mov 0", 3, "\"x256\" is no register or temp"),
        ("unit\nblock 0x0 count 1\n0: x1 = mov", 3, "expected an operand of 64 bits before the end of the line"),
        ("unit\nblock 0x0 count 1\n0: x1 = mov 0x8000000000000000", 3, "expected an operand of 64 bits before \"0x8000000000000000\""),
        ("unit\nblock 0x0 count 1\n0: x1 = add x2 x3", 3, "expected \",\" before \"x3\""),
        ("unit\nblock 0x0 count 1\n0: add x2, x3", 3, "add needs a destination"),
        ("unit\nblock 0x0 count 1\n0: x1 = interpret", 3, "interpret has no destination"),
        ("unit\nblock 0x0 count 1\n0: x1 = load.64 x2", 3, "expected \"[\" before \"x2\""),
        ("unit\nblock 0x0 count 1\n0: x1 = load.64 [x2]", 3, "expected \"+\" before \"]\""),
        ("unit\nblock 0x0 count 1\n0: x1 = load.64 [x2 + 0x80000000]", 3, "the displacement does not fit 32 bits"),
        ("unit\nblock 0x0 count 1\n0: x1 = load.64 [x2 + 0] by t0", 3, "expected \"via\" or the end of the line"),
        ("unit\nblock 0x0 count 1\n0: t0 = probe [x2 + 0, 8]", 3, "probe needs rights: probe.r, probe.w or probe.rw"),
        ("unit\nblock 0x0 count 1\n0: branch.gt x1, x2 -> 0, 4", 3, "\"branch.gt\" is no branch"),
        ("unit\nblock 0x0 count 1\n0: branch.lt x1, x2 -> 0", 3, "expected \",\" before the end of the line"),
        ("unit\nblock 0x0 count 1\n0: return x1", 3, "expected \"+\" before the end of the line"),
        ("unit\nblock 0x0 count 1\n0: jump -> 0 0", 3, "unexpected \"0\""),
    ])
    func errorsNameTheLineAndTheReason(text: String, line: Int, reason: String) {
        #expect(throws: IRTextError.self) { try IRUnit(text: text) }
        do {
            _ = try IRUnit(text: text)
        } catch {
            #expect(error.line == line)
            #expect(error.reason == reason)
        }
    }
}
