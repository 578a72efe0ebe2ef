import EmuCPU
import TestSupport
import Testing

/// Computed jumps and returns inside a loop that is compiled in one piece.
extension TranslatedExecutionTests {
    /// Where a switch finds its targets, one after the other; x8 points to the next one.
    private static let targets = FuzzMap.data
    /// Jumps to the next target.
    private static let head = [RVAssembly.loadDouble(6, 8, 0), RVAssembly.addImmediate(8, 8, 8), RVAssembly.jumpRegister(0, 6)]
    /// Starts the targets again, counts the rounds in x7.
    private static let restart: UInt64 = 12
    private static let cases: [UInt64] = [24, 32, 40, 48, 56]

    /// A switch in a loop: each case adds a number of its own to x5, or does one other thing.
    private static func program(others: [Int: UInt32] = [:]) -> [UInt32] {
        var result = head + [RVAssembly.addImmediate(8, 9, 0), RVAssembly.addImmediate(7, 7, 1), RVAssembly.jump(-20)]
        for (number, offset) in cases.enumerated() {
            result += [others[number] ?? RVAssembly.addImmediate(5, 5, 1 << Int32(2 * number)), RVAssembly.jump(-Int32(offset) - 4)]
        }
        return result
    }

    /// Makes the switch go to `numbers` of cases, in this order, again and again.
    private static func load(_ machine: FuzzMachine, _ numbers: [Int], page: (Int) -> UInt64 = { _ in code }) {
        var place = targets
        for (position, number) in numbers.enumerated() {
            machine.store(place, page(position) + cases[number])
            place += 8
        }
        machine.store(place, code + restart)
        machine.cpu.x[8] = targets
        machine.cpu.x[9] = targets
    }

    @Test("a loop around a switch is compiled in one piece, whatever its targets' lowest bits are", arguments: [FuzzEngine.translator, .lockstep])
    func switches(engine: FuzzEngine) throws {
        let machine = try compare(Self.program(), slices: Array(repeating: 211, count: 40), engine: engine) {
            Self.load($0, [0, 1, 2, 1, 0, 3, 3, 1])
            $0.store(Self.targets + 16, Self.code + Self.cases[2] + 1)
        }
        #expect(isLoopCompiled(machine))
        #expect(machine.cpu.x[7] > 100)
    }

    @Test("a target that a switch first goes to when its loop is compiled already joins it")
    func lateTargets() throws {
        var before = (units: 0, blocks: 0)
        let machine = try compare(Self.program(), slices: Array(repeating: 307, count: 60)) {
            Self.load($0, [0, 1, 2])
        } between: { machine, slice in
            guard slice == 20 else { return }
            if let figures = machine.cache.hostCode?.figures { before = (figures.units, figures.blocks) }
            Self.load(machine, [0, 4, 1, 4, 2, 4])
            machine.cpu.pc = Self.code
        }
        #expect(before.blocks > before.units)
        let figures = try #require(machine.cache.hostCode?.figures)
        // The new case alone, and with the head and the other four.
        #expect(figures.units - before.units >= 2 && figures.blocks - before.blocks >= 7)
    }

    @Test("a switch with more cases than a loop may have blocks is not compiled again and again")
    func manyCases() throws {
        let count = 130
        var program = Self.head + [RVAssembly.addImmediate(8, 9, 0), RVAssembly.addImmediate(7, 7, 1), RVAssembly.jump(-20)]
        let first = UInt64(4 * program.count)
        for _ in 0..<count { program += [RVAssembly.addImmediate(5, 5, 1), RVAssembly.jump(-Int32(4 * program.count) - 4)] }
        let machine = try compare(program, slices: Array(repeating: 331, count: 600)) { machine in
            for number in 0..<UInt64(count) { machine.store(Self.targets + 8 * number, Self.code + first + 8 * (number * 37 % UInt64(count))) }
            machine.store(Self.targets + 8 * UInt64(count), Self.code + Self.restart)
            machine.cpu.x[8] = Self.targets
            machine.cpu.x[9] = Self.targets
        }
        let figures = try #require(machine.cache.hostCode?.figures)
        #expect(figures.blocks > figures.units)
        #expect(figures.units < 400)
    }

    @Test("a case that is overwritten is run as it is, by the switch's own loop or from outside", arguments: [FuzzEngine.translator, .lockstep], [false, true])
    func casesChange(engine: FuzzEngine, fromOutside: Bool) throws {
        // Case 3 exchanges case 1's addition.
        let others: [Int: UInt32] = fromOutside ? [:] : [3: storeWord(11, 10), 4: xor(11, 11, 12)]
        let (first, second) = (RVAssembly.addImmediate(5, 5, 4), RVAssembly.addImmediate(5, 5, 100))
        let machine = try compare(Self.program(others: others), slices: Array(repeating: 173, count: 60), engine: engine) {
            Self.load($0, [0, 1, 3, 4, 1, 2, 1])
            $0.cpu.x[10] = Self.code + Self.cases[1]
            $0.cpu.x[11] = UInt64(second)
            $0.cpu.x[12] = UInt64(first ^ second)
        } between: { machine, slice in
            if fromOutside, slice % 10 == 9 { machine.place([slice % 20 == 9 ? second : first], at: Self.code + Self.cases[1]) }
        }
        #expect(isLoopCompiled(machine))
        #expect(machine.cpu.x[5] > 100 * machine.cpu.x[7] / 2)
    }

    @Test("a jump to a block of the loop under another address goes on there", arguments: [FuzzEngine.translator, .lockstep])
    func aliases(engine: FuzzEngine) throws {
        let alias: UInt64 = 0xc000_0000
        // Case 1 tells where it runs.
        let machine = try compare(Self.program(others: [1: RVAssembly.addUpper(13, pages: 0), 2: xor(14, 14, 13), 3: add(5, 5, 13)]), slices: Array(repeating: 199, count: 60), engine: engine) { machine in
            FuzzCase(seed: 1, start: Self.code).loadPageTables(machine)
            let (middle, leaf) = (FuzzMap.tables + 0x8_000, FuzzMap.tables + 0x9_000)
            machine.store(FuzzMap.tables + (alias >> 30) * 8, (middle >> 12) << 10 | 1)
            machine.store(middle + (alias >> 21 & 0x1ff) * 8, (leaf >> 12) << 10 | 1)
            machine.store(leaf, (Self.code >> 12) << 10 | 0xcf)
            Self.load(machine, [1, 3, 1, 2, 0, 1, 3, 4, 1]) { $0 == 2 || $0 == 4 || $0 == 8 ? alias : Self.code }
            machine[.satp] = FuzzMap.spaces[0]
            machine.cpu.privilege = Mode.supervisor
        }
        #expect(isLoopCompiled(machine))
        #expect(machine.cpu.x[7] > 80)
        #expect(machine.cpu.x[13] & ~0xfff == alias || machine.cpu.x[13] & ~0xfff == Self.code)
    }

    @Test("a loop with calls is compiled with what it calls, and returns go where they are told", arguments: [FuzzEngine.translator, .lockstep])
    func calls(engine: FuzzEngine) throws {
        // Two calls of one function, which calls another; x12 is added to the latter's return address now and then.
        let program: [UInt32] = [
            RVAssembly.call(20), RVAssembly.addImmediate(6, 6, 1), RVAssembly.call(12), RVAssembly.addImmediate(7, 7, 1), RVAssembly.jump(-16),
            // 20
            RVAssembly.addImmediate(18, 1, 0), RVAssembly.call(24), RVAssembly.addImmediate(5, 5, 1), RVAssembly.addImmediate(5, 5, 2),
            RVAssembly.addImmediate(1, 18, 0), RVAssembly.jumpRegister(0, 1), RVAssembly.nop,
            // 48: four times of eight, one instruction further.
            RVAssembly.addImmediate(13, 13, 1), RVAssembly.addImmediate(14, 13, 0) | 7 << 12 | 4 << 20, add(1, 1, 14), RVAssembly.jumpRegister(0, 1),
        ]
        let machine = try compare(program, slices: Array(repeating: 251, count: 60), engine: engine)
        #expect(isLoopCompiled(machine))
        #expect(machine.cpu.x[6] > 200 && machine.cpu.x[7] > 200)
        #expect(machine.cpu.x[5] > 2 * (machine.cpu.x[6] + machine.cpu.x[7]))
    }
}
