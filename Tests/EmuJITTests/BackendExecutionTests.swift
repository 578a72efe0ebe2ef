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
    private func check(_ rig: BackendRig, _ unit: IRUnit, weights: [Int], from first: Int = 0, _ start: IRReference, _ context: String) throws -> CodeExit? {
        // Too many temps at a time: the interpreter's case.
        guard let compiled = rig.compile(unit, weights: weights) else { return nil }
        var actual = start
        let (stop, exit) = try rig.run(unit, compiled, from: first, &actual)
        var bailing: IRReference.Bail?
        if case .bail(let block, let guest) = stop { bailing = IRReference.Bail(block: block, guest: guest, remaining: actual.remaining) }
        var expected = start
        let right = try expected.run(unit, from: first, bailing: bailing)
        let place = "\(context), \(weights.isEmpty ? "canonical" : "weights \(weights)")\n\(unit)"
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

    /// Atomics and words of the state are the guest's business; blocks of the guest's instructions test them.
    private static let opcodes = Opcode.allCases.filter { op in
        !(op.info.shape.syntax == .plain && op.info.readsMemory && op != .interpret) && ![.guardPrivilege, .readState, .writeState].contains(op)
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
                for weights in [[], [8]] where try check(rig, unit, weights: weights, guest, "\(op), seed \(seed)") != nil { compiled += 1 }
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
            for weights in [[], [8]] { try check(rig, unit, weights: weights, guest, "seed \(seed)") }
        }
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
            for weights in [[], unit.blocks.map { _ in random.pick([1, 8]) }] {
                if let exit = try check(rig, unit, weights: weights, from: first, guest, "seed \(seed)") { exits[exit, default: 0] += 1 }
            }
        }
        // The random units are of use only if they end in every way.
        for exit in [CodeExit.dispatch, .link, .budget, .bail, .trap] { #expect(exits[exit, default: 0] > 10, "\(exits)") }
    }
}
#endif
