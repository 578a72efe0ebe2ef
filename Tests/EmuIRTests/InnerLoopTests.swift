import EmuIR
import Testing

/// What is found out about loops, and how their accesses move.
@Suite struct InnerLoopTests {
    private func loop(_ text: String, _ blocks: [Int]) throws -> (loop: InnerLoop?, unit: IRUnit) {
        let unit = try IRUnit(text: "unit\n" + text)
        return (InnerLoop(blocks, in: unit), unit)
    }

    /// How the base of instruction 1 … of block 0 moves, when instructions 0 … come before it.
    private func walk(_ lines: String...) throws -> Walk? {
        let body = lines.map { "  0: \($0)\n" }.joined()
        let (loop, unit) = try loop("block 0x10 count 2\n\(body)  1: branch.ne x6, 0 -> 0x10, 0x20\n", [0])
        guard let position = unit.blocks[0].instructions.firstIndex(where: { $0.op == .load64 }) else { return nil }
        return try #require(loop).walk(of: position, in: unit.blocks[0])
    }

    @Test func theHeadIsTheLowestBlockAndTheShortestWayRoundCounts() throws {
        let (loop, _) = try loop("""
            block 0x30 count 4
              3: branch.ne x6, 0 -> 0x10, 0x90
            block 0x10 count 5
              4: branch.eq x5, 0 -> 0x30, 0x20
            block 0x20 count 7
              6: jump -> 0x30
            """, [0, 1, 2])
        let found = try #require(loop)
        #expect(found.head == 1)
        #expect(found.blocks == [1, 2, 0])
        #expect(found.shortest == 9)
        #expect(found.certain == [0, 1])
    }

    @Test func blocksThatDoNotLeadBackToTheHeadAreNoLoop() throws {
        #expect(try loop("block 0x10 count 1\n  0: jump -> 0x20\n", [0]).loop == nil)
    }

    @Test func aLoopInsideALoopIsNotInnermost() throws {
        let text = """
            block 0x10 count 1
              0: jump -> 0x20
            block 0x20 count 1
              0: branch.ne x5, 0 -> 0x20, 0x30
            block 0x30 count 1
              0: branch.ne x6, 0 -> 0x10, 0x40
            """
        #expect(try loop(text, [0, 1, 2]).loop == nil)
        #expect(try loop(text, [1]).loop != nil)
    }

    @Test func whatTheInterpreterDoesIsNotForeseen() throws {
        #expect(try loop("block 0x10 count 2\n  0: interpret\n  1: branch.ne x6, 0 -> 0x10, 0x20\n", [0]).loop == nil)
        #expect(try loop("block 0x10 count 1\n  0: interpret.last\n", [0]).loop == nil)
    }

    @Test func stepsAddUp() throws {
        let found = try #require(try walk("x10 = add x10, 8", "x5 = load.64 [x10 + 0]", "x10 = add x10, -24"))
        #expect(found.least == -24)
        #expect(found.most == 8)
        #expect(found.register == nil)
        #expect(found.terms.map(\.register) == [10])
    }

    @Test func whatStaysHasNoStep() throws {
        let found = try #require(try walk("x5 = load.64 [x10 + 0]"))
        #expect(found.least == 0 && found.most == 0 && found.register == nil)
    }

    @Test func aStepInARegisterMustStayTheSame() throws {
        #expect(try walk("x5 = load.64 [x10 + 0]", "x10 = add x10, x11")?.register == 11)
        #expect(try walk("x5 = load.64 [x10 + 0]", "x10 = add x11, x10")?.register == 11)
        #expect(try walk("x5 = load.64 [x10 + 0]", "x10 = add x10, x11", "x11 = add x11, 8") == nil)
        #expect(try walk("x5 = load.64 [x10 + 0]", "x10 = add x10, x11", "x10 = add x10, x11") == nil)
        #expect(try walk("x5 = load.64 [x10 + 0]", "x10 = add x10, x11", "x10 = add x10, 8") == nil)
        #expect(try walk("x5 = load.64 [x10 + 0]", "x10 = add x10, x10") == nil)
    }

    @Test func whatIsComputedFromWalksWalks() throws {
        let sum = try #require(try walk("x12 = shladd x10, x11, 3", "x5 = load.64 [x12 + 0]", "x10 = add x10, 2", "x11 = add x11, -1"))
        #expect(sum.most == 16)
        #expect(sum.least == -1)
        #expect(sum.terms.map(\.register) == [10, 11])
        #expect(sum.terms.map(\.shift) == [3, 0])
        let distant = try #require(try walk("x12 = add x10, 64", "x5 = load.64 [x12 + 0]", "x10 = add x10, 2"))
        #expect(distant.constant == 64)
        #expect(distant.most == 2)
    }

    @Test func whatIsLoadedOrMultipliedDoesNotWalk() throws {
        #expect(try walk("x5 = load.64 [x10 + 0]", "x10 = mov x5") == nil)
        #expect(try walk("x12 = mul x10, 24", "x5 = load.64 [x12 + 0]", "x10 = add x10, 1") == nil)
        // Last time round's value.
        #expect(try walk("x5 = load.64 [x12 + 0]", "x12 = add x10, x11") == nil)
        // A step that is a register's value, times eight.
        #expect(try walk("x12 = shladd x10, x11, 3", "x5 = load.64 [x12 + 0]", "x10 = add x10, x13") == nil)
    }
}
