#if arch(x86_64)
import EmuCPU
import EmuIR
import EmuJIT
import TestSupport
import Testing

/// Code of the back end does what the opcodes are documented to do: registers, memory, flags and budget at the end, and the way it ends.
@Suite(.enabled(if: X86Backend.isSupported)) struct BackendExecutionTests {
    private static let roundings: [RoundingMode] = [.rne, .rtz, .rdn, .rup]

    /// - Returns: why the host's code ended.
    @discardableResult
    private func check(_ rig: BackendRig, _ unit: IRUnit, loop: LoopShape?, from first: Int = 0, _ start: IRReference, _ context: String) throws -> CodeExit? {
        // Too many temps at a time: the interpreter's case.
        guard let compiled = rig.compile(unit, loop: loop) else { return nil }
        var actual = start
        let (stop, exit) = try rig.run(unit, compiled, from: first, &actual)
        var bailing: IRReference.Bail?
        if case .bail(let block, let guest) = stop { bailing = IRReference.Bail(block: block, guest: guest, remaining: actual.remaining) }
        var expected = start
        let right = try expected.run(unit, from: first, bailing: bailing)
        let place = "\(context), \(loop.map { "weights \($0.weights)" } ?? "canonical")\n\(unit)"
        #expect(stop == right, "\(place)")
        var wrong: [String] = []
        func compare(_ name: String, _ is: UInt64, _ shouldBe: UInt64, _ was: UInt64) {
            if `is` != shouldBe { wrong.append("\(name) is \(hex(`is`)) instead of \(hex(shouldBe)), was \(hex(was))") }
        }
        for index in 1..<32 { compare("x\(index)", actual.integers[index], expected.integers[index], start.integers[index]) }
        for index in 0..<32 { compare("f\(index)", actual.floats[index], expected.floats[index], start.floats[index]) }
        compare("flags", UInt64(actual.flags.rawValue), UInt64(expected.flags.rawValue), 0)
        compare("remaining", UInt64(bitPattern: Int64(actual.remaining)), UInt64(bitPattern: Int64(expected.remaining)), UInt64(start.remaining))
        #expect(wrong.isEmpty, "\(wrong.joined(separator: "; ")): \(place)")
        #expect(actual.memory == expected.memory, "memory: \(place)")
        return exit
    }

    private func hex(_ value: UInt64) -> String { "0x" + String(value, radix: 16) }

    private func start(_ random: inout RandomOperations, singles: Bool) -> IRReference {
        var guest = IRReference(memory: SparseMemory(), page: BackendRig.page)
        random.fill(&guest, singles: singles)
        guest.rounding = random.pick(Self.roundings)
        guest.remaining = 1000
        return guest
    }

    /// A block that may be a loop.
    private static let single = LoopShape(weights: [8], cycles: [[0]])

    /// Atomics, words of the state, ciphers and vectors are the guest's business; blocks of the guest's instructions test them.
    private static let opcodes = Opcode.allCases.filter { op in
        !(op.info.shape.syntax == .plain && op.info.readsMemory && op != .interpret) && !op.info.isVector 
            && ![.guardPrivilege, .readState, .writeState, .aes64es, .aes64esm, .aes64ds, .aes64dsm, .aes64im, .aes64ks1i].contains(op)
    }

    /// A random unit without the opcodes left out here.
    private func unit(seed: UInt64) -> IRUnit? {
        var generator = RandomUnits(seed: seed)
        var unit = generator.unit()
        for index in unit.blocks.indices { unit.blocks[index].instructions.removeAll { !Self.opcodes.contains($0.op) } }
        // Not where a temp lost its definition.
        return (try? unit.verify()) == nil ? nil : unit
    }

    @Test(arguments: opcodes)
    func everyOpcodeComputesWhatItSays(op: Opcode) throws {
        let rig = try BackendRig()
        var compiled = 0
        for seed in 0..<UInt64(24) {
            var random = RandomOperations(seed: seed)
            let block = random.block(of: op)
            let unit = IRUnit(blocks: [block])
            try block.verify()
            for _ in 0..<2 {
                let guest = start(&random, singles: FloatOperations.readsSingles(op) || random.below(3) == 0)
                for loop in [nil, Self.single] where try check(rig, unit, loop: loop, guest, "\(op), seed \(seed)") != nil { compiled += 1 }
            }
        }
        #expect(compiled > 80)
    }

    @Test func whatTheInterpreterWroteCountsAsUnboxedAgain() throws {
        let rig = try BackendRig()
        let unit = try IRUnit(text: """
            unit
            block 0x40 count 4
              0: guard.float
              0: f1 = fadd.s f2, f3
              1: interpret
              2: f4 = fadd.s f1, f1
              3: jump -> 0x1000
            """)
        for seed in 0..<UInt64(40) {
            var random = RandomOperations(seed: seed)
            let guest = start(&random, singles: true)
            for loop in [nil, Self.single] { try check(rig, unit, loop: loop, guest, "seed \(seed)") }
        }
    }

    // MARK: Loops

    /// Loops that walk through memory in steps, forwards and backwards, across pages and into what may not be accessed.
    @Test func loopsWithUncheckedCopiesDoWhatTheySay() throws {
        let rig = try BackendRig()
        var exits: [CodeExit: Int] = [:]
        var unchecked = 0
        for seed in 0..<UInt64(1500) {
            var random = RandomOperations(seed: seed)
            let unit = try Self.loop(&random)
            try unit.verify()
            var guest = start(&random, singles: true)
            for base in 10...12 {
                guest.integers[base] = random.pick(SparseMemory.direct) + random.pick([0, 1024, 4000]) + UInt64(random.below(9)) * random.pick([1, 8])
            }
            guest.integers[15] = random.pick(SparseMemory.readWrite)
            guest.integers[17] = UInt64(random.pick([0, 8, 1000]))
            guest.integers[18] = UInt64(random.below(300))
            guest.integers[19] = UInt64(bitPattern: random.pick([0, 8, 40, 4096, -8]))
            guest.integers[6] = UInt64(random.pick([2, 12, 100, 700]))
            guest.remaining = random.pick([40, 300, 8000])
            let all = Array(unit.blocks.indices)
            let shape = LoopShape(weights: all.map { _ in 16 }, cycles: all.map { _ in all })
            // Twice: the second time windows hold something from the start.
            for _ in 0..<2 {
                if let exit = try check(rig, unit, loop: shape, guest, "seed \(seed)") { exits[exit, default: 0] += 1 }
                if rig.field(rig.layout.run) != 0 { unchecked += 1 }
            }
        }
        #expect(unchecked > 1000)
        for exit in [CodeExit.link, .budget, .bail] { #expect(exits[exit, default: 0] > 100, "\(exits)") }
    }

    /// One block, or a condition and what depends on it; x6 counts, x10 to x12 and x18 walk, x15 is the start of a page, x16 computed from
    /// others, x17 and x19 stay.
    private static func loop(_ random: inout RandomOperations) throws -> IRUnit {
        var temps = 0
        func accesses(_ random: inout RandomOperations, from guest: Int) -> (text: String, count: Int) {
            var lines: [String] = []
            var position = guest
            for _ in 0..<random.pick([1, 2, 4]) {
                let base = random.pick(["x10", "x11", "x12", "x16"]), displacement = random.pick(["+ 0", "+ 8", "- 8", "+ 5"])
                let bytes = random.pick([1, 4, 8])
                if base == "x16" {
                    lines.append("\(position): x16 = \(random.pick(["add x10, x17", "shladd x18, x15, 3", "add x11, 24", "mov x12"]))")
                    position += 1
                }
                if random.below(3) == 0 {
                    lines.append("\(position): t\(temps) = probe.ws [\(base) \(displacement), \(bytes)]")
                    lines.append("\(position): store.\(8 * bytes) [\(base) \(displacement)] = x\(5 + random.below(2)) via t\(temps)")
                } else {
                    lines.append("\(position): t\(temps) = probe.rs [\(base) \(displacement), \(bytes)]")
                    lines.append("\(position): x13 = load.\(["u8", "u32", "64"][bytes.trailingZeroBitCount / 2 + (bytes == 8 ? 1 : 0)]) [\(base) \(displacement)] via t\(temps)")
                }
                temps += 1
                position += 1
                if random.below(3) == 0 {
                    lines.append("\(position): x14 = and x13, 0x7f8")
                    lines.append("\(position + 1): x14 = add x14, x15")
                    lines.append("\(position + 2): x5 = load.u16 [x14 + 2]")
                    position += 3
                }
                if random.below(2) == 0 {
                    let step = random.pick(["1", "8", "16", "24", "56", "-8", "-24", "x19"])
                    lines.append("\(position): \(base == "x16" ? "x18 = add x18, \(random.pick([1, 2, -1]))" : "\(base) = add \(base), \(step)")")
                    position += 1
                }
            }
            return (lines.map { "  " + $0 }.joined(separator: "\n"), position)
        }
        func block(_ offset: String, _ body: (text: String, count: Int), _ last: String) -> String {
            defer { temps = 0 }
            return "block \(offset) count \(body.count + 1) temps \(temps)\n\(body.text)\n  \(body.count): \(last)\n"
        }
        func step(_ body: (text: String, count: Int)) -> (text: String, count: Int) {
            (body.text + "\n  \(body.count): x6 = add x6, -1", body.count + 1)
        }
        if random.below(2) == 0 {
            return try IRUnit(text: "unit\n" + block("0x100", step(accesses(&random, from: 0)), "branch.ne x6, 0 -> 0x100, 0x900"))
        }
        return try IRUnit(text: "unit\n"
            + block("0x100", step(accesses(&random, from: 0)), "branch.ltu x13, x6 -> 0x300, 0x200")
            + block("0x200", accesses(&random, from: 0), "jump -> 0x300")
            + block("0x300", accesses(&random, from: 0), "branch.ne x6, 0 -> 0x100, 0x900"))
    }

    @Test func valuesHeldInsideABlockAreRight() throws {
        let rig = try BackendRig()
        let opcodes: [Opcode] = [.add, .addw, .sub, .xor, .or, .and, .shl, .shrw, .rotlw, .mul, .mulhu, .setltu, .setlt, .mov, .load64, .store32, .shladd, .sext32]
        var compiled = 0
        for seed in 0..<UInt64(300) {
            var random = RandomOperations(seed: seed)
            // More registers than homes; registers that are read soon after they are written.
            let block = random.crowdedBlock(of: opcodes, count: 60)
            try block.verify()
            for _ in 0..<2 {
                let guest = start(&random, singles: false)
                if try check(rig, IRUnit(blocks: [block]), loop: Self.single, guest, "seed \(seed)") != nil { compiled += 1 }
            }
        }
        #expect(compiled > 500)
    }

    // MARK: Computed jumps

    @Test(arguments: [1, 2, 3, 9])
    func computedJumpsToExpectedBlocksStayInTheUnit(count: Int) throws {
        let rig = try BackendRig()
        // Block 0 jumps to one of the others; each of them does something else and comes back, and the last one ends.
        let offsets = (0..<count).map { GuestOffset(0x40 + 26 * $0) }
        let list = offsets.map { "0x" + String($0, radix: 16) }.joined(separator: ", ")
        var text = "unit\nblock 0x10 count 2\n0: x11 = add x11, 1\n1: indirect x5 - 16 -> \(list)\n"
        for (index, offset) in offsets.enumerated() {
            text += "block 0x\(String(offset, radix: 16)) count 3\n0: x6 = add x6, \(1 << index)\n1: x5 = mov x20\n2: return x21 + 0 -> 0x10\n"
        }
        let unit = try IRUnit(text: text)
        try unit.verify()
        var exits: [CodeExit: Int] = [:]
        let near: [GuestOffset] = offsets.flatMap { offset in [-2, 0, 1, 2, 0x1000].map { offset + $0 } }
        for target in [-0x1000, -2, 0x10, 0xffe, 0x1000] + near {
            for after in [offsets[0], offsets[count - 1] + 2] {
                for (back, remaining) in [(0x10, 1000), (0x11, 2), (0x12, 1000), (0x1010, 4)] as [(GuestOffset, Int)] {
                    var guest = IRReference(memory: SparseMemory(), page: BackendRig.page)
                    func address(_ offset: GuestOffset) -> UInt64 { guest.page &+ UInt64(bitPattern: Int64(offset)) }
                    guest.integers[5] = address(target + 16)
                    guest.integers[20] = address(after + 16)
                    guest.integers[21] = address(back)
                    guest.remaining = remaining
                    for loop in [nil, LoopShape(weights: unit.blocks.map { _ in 8 }, cycles: unit.blocks.map { _ in [] })] {
                        let context = "\(count) blocks, to \(target), then \(after), back to \(back)"
                        if let exit = try check(rig, unit, loop: loop, guest, context) { exits[exit, default: 0] += 1 }
                    }
                }
            }
        }
        // Other computed jumps say so, returns do not.
        for exit in [CodeExit.dispatch, .computed, .budget] { #expect(exits[exit, default: 0] >= 4, "\(exits)") }
    }

    @Test func randomUnitsDoWhatTheySay() throws {
        let rig = try BackendRig()
        var exits: [CodeExit: Int] = [:]
        for seed in 0..<UInt64(500) {
            guard let unit = unit(seed: seed) else { continue }
            var random = RandomOperations(seed: seed)
            var guest = start(&random, singles: seed % 2 == 0)
            // The registers that are bases most often.
            for register in [1, 2, 5] { guest.integers[register] = random.pick(SparseMemory.direct) + UInt64(random.below(512)) * 8 }
            guest.remaining = random.pick([3, 20, 300])
            if random.below(10) == 0 { guest.rounding = nil }
            let first = random.below(unit.blocks.count)
            let weights = unit.blocks.map { _ in random.pick([1, 8]) }
            let inner = weights.indices.filter { weights[$0] > 1 }
            for loop in [nil, LoopShape(weights: weights, cycles: weights.map { $0 > 1 ? inner : [] })] {
                if let exit = try check(rig, unit, loop: loop, from: first, guest, "seed \(seed)") { exits[exit, default: 0] += 1 }
            }
        }
        // The random units are of use only if they end in every way.
        for exit in [CodeExit.dispatch, .link, .budget, .bail, .trap] { #expect(exits[exit, default: 0] > 10, "\(exits)") }
    }
}
#endif
