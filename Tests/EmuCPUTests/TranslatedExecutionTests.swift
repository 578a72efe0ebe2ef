import EmuBus
import EmuCPU
import EmuIR
import EmuJIT
import TestSupport
import Testing

/// What must not get lost by translation: precise traps, code that changes, address spaces, interrupts, stops. Programs run by the
/// interpreter and by translated code, from the first instruction on, and are compared after each slice.
@Suite(.enabled(if: canTranslate, "this host cannot run translated code")) struct TranslatedExecutionTests {
    static let code = FuzzMap.code
    private static let handler = FuzzMap.machineHandler
    private static let pageTable = FuzzMap.tables + 0x2000

    /// A machine whose traps end in a jump to itself.
    func makeMachine(_ engine: FuzzEngine, _ program: [UInt32], at start: UInt64 = code, codeSize: Int = 1 << 20) throws -> FuzzMachine {
        let machine = try FuzzMachine(engine, codeSize: codeSize)
        machine.place([RVAssembly.jump(0)], at: Self.handler)
        machine.place(program, at: start)
        machine[.mtvec] = Self.handler
        machine[.pmpaddr0] = .max
        machine[.pmpcfg0] = 0x1f
        machine.cpu.pc = start
        return machine
    }

    /// Runs the same on the interpreter and on translated code, in slices of these lengths; returns the latter's machine.
    @discardableResult
    func compare(
        _ program: [UInt32], slices: [Int], engine: FuzzEngine = .translator, codeSize: Int = 1 << 20, _ prepare: (FuzzMachine) -> Void = { _ in },
        between: (FuzzMachine, Int) -> Void = { _, _ in }
    ) throws -> FuzzMachine {
        let machines = try [makeMachine(.interpreter, program), makeMachine(engine, program, codeSize: codeSize)]
        for each in machines { prepare(each) }
        for (number, budget) in slices.enumerated() {
            for each in machines { between(each, number) }
            let reasons = machines.map { $0.run(budget) }
            #expect(reasons[0] == reasons[1], "slice \(number)")
            let difference = machines[0].difference(machines[1])
            try #require(difference == nil, "slice \(number)")
        }
        #expect(machines[0].memoryDifference(machines[1]) == nil)
        #expect((machines[1].cache.hostCode?.figures.units ?? 0) > 0)
        return machines[1]
    }

    func isLoopCompiled(_ machine: FuzzMachine) -> Bool {
        guard let figures = machine.cache.hostCode?.figures else { return false }
        return figures.blocks > figures.units
    }

    /// branch with a function other than bne's
    func branch(_ function: UInt32, _ rs1: UInt32, _ rs2: UInt32, _ offset: Int32) -> UInt32 {
        RVAssembly.branchIfNotEqual(rs1, rs2, offset) & ~(7 << 12) | function << 12
    }

    func register(_ function: UInt32, _ rd: UInt32, _ rs1: UInt32, _ rs2: UInt32) -> UInt32 { rs2 << 20 | rs1 << 15 | function << 12 | rd << 7 | 0x33 }
    func add(_ rd: UInt32, _ rs1: UInt32, _ rs2: UInt32) -> UInt32 { register(0, rd, rs1, rs2) }
    func xor(_ rd: UInt32, _ rs1: UInt32, _ rs2: UInt32) -> UInt32 { register(4, rd, rs1, rs2) }
    func storeWord(_ rs2: UInt32, _ rs1: UInt32) -> UInt32 { RVAssembly.storeDouble(rs2, rs1, 0) & ~(1 << 12) }
    /// csrrs x0 and csrrc x0 of a register.
    private func setBits(_ csr: RVCSR, _ rs1: UInt32) -> UInt32 { UInt32(csr.rawValue) << 20 | rs1 << 15 | 2 << 12 | 0x73 }
    private func clearBits(_ csr: RVCSR, _ rs1: UInt32) -> UInt32 { UInt32(csr.rawValue) << 20 | rs1 << 15 | 3 << 12 | 0x73 }

    // MARK: Traps

    @Test("a load or store that faults in the middle of a block leaves the state of just that point", arguments: [true, false])
    func trapInABlock(isStore: Bool) throws {
        let access = isStore ? RVAssembly.storeDouble(9, 8, 0) : RVAssembly.loadDouble(9, 8, 0)
        let machine = try compare(
            [RVAssembly.addImmediate(5, 5, 1), RVAssembly.addImmediate(6, 6, 1), access, RVAssembly.addImmediate(5, 5, 16), RVAssembly.jump(-16)],
            slices: [50, 50]
        ) {
            $0.cpu.x[8] = FuzzMap.data
        } between: { machine, slice in
            if slice == 1 { machine.cpu.x[8] = 0x2000_0000 }
        }
        #expect(machine[.mepc] == Self.code + 8)
        #expect(machine[.mcause] == (isStore ? 7 : 5))
        #expect(machine[.mtval] == 0x2000_0000)
        #expect(machine.cpu.x[5] == machine.cpu.x[6] + 16 * (machine.cpu.x[6] - 1))
    }

    /// Walks upwards by 8 bytes a time, with a second block in the loop, and counts in x5.
    private func walk(isStore: Bool) -> [UInt32] {
        [
            RVAssembly.addImmediate(5, 5, 1), branch(0, 0, 5, 12), isStore ? RVAssembly.storeDouble(5, 8, 0) : RVAssembly.loadDouble(9, 8, 0),
            RVAssembly.addImmediate(8, 8, 8), branch(1, 8, 0, -16),
        ]
    }

    @Test("a loop compiled in one piece stops at the very access that faults", arguments: [true, false], [false, true])
    func trapInALoop(isStore: Bool, isTranslated: Bool) throws {
        let machine = try compare(walk(isStore: isStore), slices: Array(repeating: 131, count: 120)) { machine in
            let fuzz = FuzzCase(seed: 1, start: Self.code)
            fuzz.loadPageTables(machine)
            machine[.satp] = isTranslated ? FuzzMap.spaces[0] : 0
            machine.cpu.privilege = isTranslated ? Mode.supervisor : Mode.machine
            machine.cpu.x[8] = (isTranslated ? FuzzMap.data : FuzzMap.ram + FuzzMap.ramSize) - UInt64(isTranslated ? 0 : 0x1800)
        }
        #expect(isLoopCompiled(machine))
        let end = isTranslated ? FuzzMap.data + UInt64(FuzzMap.dataPages << 12) : FuzzMap.ram + FuzzMap.ramSize
        #expect(machine.cpu.x[8] == end && machine[.mtval] == end)
        #expect(machine[.mcause] == (isTranslated ? (isStore ? 15 : 13) : (isStore ? 7 : 5)))
        #expect(machine[.mepc] == Self.code + 8)
    }

    @Test("an atomic operation that crosses 16 bytes traps, whatever the page is", arguments: [1, 2, 3, 4, 5, 7] as [UInt64])
    func misalignedAtomic(offset: UInt64) throws {
        for page in [FuzzMap.device, FuzzMap.rom, FuzzMap.data, Self.code] {
            let address = page + 8 + offset
            let machine = try compare(
                [RVAssembly.addImmediate(5, 5, 1), RVAssembly.loadByte(7, 8, 0), RVAssembly.atomicAdd(6, 5, 8), RVAssembly.addImmediate(5, 5, 16)], slices: [4, 1]
            ) { $0.cpu.x[8] = address }
            #expect(machine[.mcause] == 6 && machine[.mtval] == address)
            #expect(machine.cpu.x[5] == 1)
        }
    }

    @Test("a misaligned atomic operation inside 16 bytes works (Zama16b)", arguments: 0...8 as ClosedRange<UInt64>)
    func atomicInGranule(offset: UInt64) throws {
        let address = FuzzMap.data + 0x40 + offset
        let machine = try compare(
            [RVAssembly.addImmediate(5, 5, 1), RVAssembly.atomicAdd(6, 5, 8), RVAssembly.loadDouble(7, 8, 0), RVAssembly.jump(-12)], slices: [41, 3999]
        ) {
            $0.cpu.x[8] = address
            $0.store(address, 0x1122_3344_5566_7788)
        }
        // Each round has added one more than the one before.
        let rounds: UInt64 = 1010
        #expect(machine.cpu.x[5] == rounds && machine.cpu.x[7] == 0x1122_3344_5566_7788 + rounds * (rounds + 1) / 2)
        #expect(machine.cpu.x[6] == 0x1122_3344_5566_7788 + (rounds - 1) * rounds / 2)
    }

    // MARK: Code that changes

    @Test("a store to the block in hand is seen by the next instruction, with fence.i or without", arguments: [true, false])
    func ownBlockChanges(isFenced: Bool) throws {
        let fence: UInt32 = isFenced ? 0x0000_100f : RVAssembly.nop
        // x11 is alternately two instructions; the store goes to the one after the fence.
        let program = [
            storeWord(11, 8), fence, RVAssembly.addImmediate(5, 5, 1), RVAssembly.addImmediate(6, 6, 1),
            xor(11, 11, 12), RVAssembly.jump(-20),
        ]
        let machine = try compare(program, slices: Array(repeating: 61, count: 20)) {
            $0.cpu.x[8] = Self.code + 8
            $0.cpu.x[11] = UInt64(RVAssembly.addImmediate(5, 5, 64))
            $0.cpu.x[12] = UInt64(RVAssembly.addImmediate(5, 5, 64) ^ RVAssembly.addImmediate(5, 5, 1))
        }
        let rounds = machine.cpu.x[6]
        #expect(rounds > 100 && machine.cpu.x[5] >= 64 * (rounds / 2) + rounds / 2)
    }

    @Test("another block of the page, or of another one, changes while linked", arguments: [0x100, 0x1100] as [UInt64])
    func otherBlockChanges(distance: UInt64) throws {
        let program = [
            RVAssembly.call(Int32(distance)), storeWord(11, 8), xor(11, 11, 12),
            RVAssembly.addImmediate(6, 6, 1), RVAssembly.jump(-16),
        ]
        let machine = try compare(program, slices: Array(repeating: 301, count: 12)) {
            $0.place([RVAssembly.addImmediate(5, 5, 1), RVAssembly.jumpRegister(0, 1)], at: Self.code + distance)
            $0.cpu.x[8] = Self.code + distance
            $0.cpu.x[11] = UInt64(RVAssembly.addImmediate(5, 5, 64))
            $0.cpu.x[12] = UInt64(RVAssembly.addImmediate(5, 5, 64) ^ RVAssembly.addImmediate(5, 5, 1))
        }
        let rounds = machine.cpu.x[6]
        #expect(rounds > 200 && machine.cpu.x[5] >= 65 * (rounds / 2))
    }

    @Test("code another hart writes is run from its next slice on")
    func otherHartWrites() throws {
        let machine = try makeMachine(.translator, [RVAssembly.addImmediate(5, 5, 1), RVAssembly.addImmediate(6, 6, 1), RVAssembly.jump(-8)])
        let events = machine.events
        let other = RVProcessor(
            index: 1, config: machine.cpu.config, bus: machine.bus, cache: machine.cache, events: events, readTime: { events.now / 100 })
        machine.place([storeWord(11, 8), RVAssembly.jump(0)], at: Self.code + 0x1000)
        // The writer's store is translated too, and has had direct access to the page.
        other.x[8] = Self.code + 0x800
        for instruction in [1, 7, 100] as [Int32] {
            _ = machine.run(300)
            let before = (machine.cpu.x[5], machine.cpu.x[6])
            other.x[11] = UInt64(RVAssembly.addImmediate(5, 5, instruction))
            for target in [Self.code + 0x800, Self.code] {
                other.pc = Self.code + 0x1000
                other.x[8] = target
                _ = other.run(budget: 10, clockBase: 0)
            }
            machine.cpu.pc = Self.code
            _ = machine.run(300)
            #expect(machine.cpu.x[6] - before.1 == 100)
            #expect(machine.cpu.x[5] - before.0 == 100 * UInt64(instruction))
        }
    }

    // MARK: Address spaces and rights

    @Test("a fence by address, by address space or both makes linked code forget an old page", arguments: [false, true], [false, true])
    func fences(byAddress: Bool, bySpace: Bool) throws {
        let function: UInt64 = 0xc000_0000
        let fence = (0x1200_0073 as UInt32) | (byAddress ? 20 << 15 : 0) | (bySpace ? 24 << 20 : 0)
        // Call, exchange the page behind the function, fence, again.
        let program = [
            RVAssembly.jumpRegister(1, 20), RVAssembly.storeDouble(21, 22, 0), xor(21, 21, 23), fence,
            RVAssembly.addImmediate(6, 6, 1), RVAssembly.jump(-20),
        ]
        let machine = try compare(program, slices: Array(repeating: 207, count: 20)) { machine in
            FuzzCase(seed: 1, start: Self.code).loadPageTables(machine)
            let (middle, leaf) = (FuzzMap.tables + 0x8_000, FuzzMap.tables + 0x9_000)
            machine.store(FuzzMap.tables + (function >> 30) * 8, (middle >> 12) << 10 | 1)
            machine.store(middle + (function >> 21 & 0x1ff) * 8, (leaf >> 12) << 10 | 1)
            let pages = [FuzzMap.data, FuzzMap.data + 0x1000]
            let entries = pages.map { ($0 >> 12) << 10 | 0xcb }
            for (page, step) in zip(pages, [1, 100] as [Int32]) { machine.place([RVAssembly.addImmediate(5, 5, step), RVAssembly.jumpRegister(0, 1)], at: page) }
            machine.store(leaf, entries[0])
            // The table itself, for the store.
            let window = FuzzMap.window + (2 << 12)
            machine.store(Self.leafTable(machine, FuzzMap.window) + 2 * 8, (leaf >> 12) << 10 | 0xc7)
            machine.cpu.x[20] = function
            machine.cpu.x[21] = entries[1]
            machine.cpu.x[22] = window
            machine.cpu.x[23] = entries[0] ^ entries[1]
            machine.cpu.x[24] = 1
            machine[.satp] = FuzzMap.spaces[0]
            machine.cpu.privilege = Mode.supervisor
        }
        let rounds = machine.cpu.x[6]
        #expect(rounds > 400)
        // Each round runs the other function; the last one may be under way.
        let pairs = machine.cpu.x[5] / 101
        #expect(pairs == rounds / 2 || pairs == (rounds + 1) / 2)
    }

    /// The last-level table that maps `address`.
    static func leafTable(_ machine: FuzzMachine, _ address: UInt64) -> UInt64 {
        var place = FuzzMap.tables
        for level in [2, 1] as [UInt64] {
            place = ((machine.bus.loadMemory(place + (address >> (12 + 9 * level) & 0x1ff) * 8, as: UInt64.self) ?? 0) >> 10) << 12
        }
        return place
    }

    @Test("SUM, MXR and MPRV count from the next access on", arguments: [(18, 4), (19, 3)] as [(UInt32, UInt64)])
    func accessRights(bit: UInt32, page: UInt64) throws {
        // x7 toggles between setting and clearing the bit; the handler counts faults and skips the load.
        let program = [
            setBits(.sstatus, 9), RVAssembly.loadDouble(10, 8, 0), RVAssembly.addImmediate(5, 5, 1), clearBits(.sstatus, 9),
            RVAssembly.loadDouble(10, 8, 0), RVAssembly.addImmediate(5, 5, 1), RVAssembly.jump(-24),
        ] as [UInt32]
        let machine = try compare(program, slices: Array(repeating: 119, count: 20)) { machine in
            FuzzCase(seed: 1, start: Self.code).loadPageTables(machine)
            machine.place(
                [
                    RVAssembly.readCSR(30, UInt32(RVCSR.mepc.rawValue)), RVAssembly.addImmediate(30, 30, 4), RVAssembly.writeCSR(UInt32(RVCSR.mepc.rawValue), 30),
                    RVAssembly.addImmediate(6, 6, 1), RVAssembly.machineReturn,
                ], at: Self.handler)
            machine.cpu.x[8] = FuzzMap.window + (page << 12)
            machine.cpu.x[9] = 1 << UInt64(bit)
            machine[.satp] = FuzzMap.spaces[0]
            machine.cpu.privilege = Mode.supervisor
        }
        // One of two loads faults.
        #expect(machine.cpu.x[5] > 100)
        #expect(machine.cpu.x[6] * 2 >= machine.cpu.x[5] - 2 && machine.cpu.x[6] * 2 <= machine.cpu.x[5] + 2)
    }

    @Test("M-mode accesses follow MPRV at once")
    func modifiedPrivilege() throws {
        // mstatus.MPRV with MPP = S, on and off around two loads from one address that lies elsewhere when translated.
        let program = [
            setBits(.mstatus, 9), RVAssembly.loadDouble(10, 8, 0), clearBits(.mstatus, 9), RVAssembly.loadDouble(11, 8, 0), add(5, 5, 10),
            add(6, 6, 11), RVAssembly.jump(-24),
        ] as [UInt32]
        let machine = try compare(program, slices: Array(repeating: 91, count: 20)) { machine in
            FuzzCase(seed: 1, start: Self.code).loadPageTables(machine)
            let place = FuzzMap.data + 0x40
            machine.store(Self.leafTable(machine, FuzzMap.data) + (FuzzMap.data >> 12 & 0x1ff) * 8, ((FuzzMap.data + 0x1000) >> 12) << 10 | 0xc7)
            machine.store(place, 1)
            machine.store(place + 0x1000, 1000)
            machine.cpu.x[8] = place
            machine.cpu.x[9] = 1 << 17
            machine[.satp] = FuzzMap.spaces[0]
            machine[.mstatus] = 1 << 11
        }
        #expect(machine.cpu.x[6] > 100 && machine.cpu.x[5] >= 1000 * machine.cpu.x[6])
    }

    // MARK: Interrupts and stops

    @Test("an endless loop is interrupted at once", arguments: [1, 2])
    func interruptsEndlessLoops(blocks: Int) throws {
        let program = blocks == 1 ? [RVAssembly.jump(0)] : [RVAssembly.addImmediate(5, 5, 1), RVAssembly.jump(8), RVAssembly.nop, RVAssembly.jump(-12)]
        let machine = try compare(program, slices: [400, 400, 400, 1]) {
            $0[.mie] = 1 << 3
            $0[.mstatus] |= 1 << 3
        } between: { machine, slice in
            if slice == 3 { machine.cpu.setInterrupt(3, level: true) }
        }
        #expect(machine.cpu.pc == Self.handler && machine[.mcause] == 1 << 63 | 3)
    }

    @Test("an interrupt a device raises in the middle of a loop is taken after that very store")
    func devicesInterruptLoops() throws {
        // Counts to 200 without the device, then stores to it.
        let program = [
            RVAssembly.addImmediate(5, 5, 1), RVAssembly.addImmediate(6, 5, -200), RVAssembly.branchIfNotEqual(6, 0, -8), RVAssembly.storeByte(9, 8, 0x10),
            RVAssembly.addImmediate(7, 7, 1), RVAssembly.jump(-20),
        ]
        let machine = try compare(program, slices: [97, 97, 97, 97, 97, 97, 97]) {
            $0.cpu.x[8] = FuzzMap.device
            $0.cpu.x[9] = 1
            $0[.mie] = 1 << 3
            $0[.mstatus] |= 1 << 3
        }
        #expect(machine[.mepc] == Self.code + 16 && machine.cpu.x[7] == 0)
    }

    @Test("single steps go one instruction at a time, whatever has been translated")
    func singleSteps() throws {
        let program = walk(isStore: true)
        let machine = try compare(program, slices: [500, 500, 500] + Array(repeating: 1, count: 40)) { $0.cpu.x[8] = FuzzMap.data }
        #expect(isLoopCompiled(machine))
        let before = machine.cpu.retired
        _ = machine.run(1)
        #expect(machine.cpu.retired == before + 1)
    }

    private final class Observer: HartObserver {
        let watched = FuzzMap.data + 0x1800..<FuzzMap.data + 0x1808
        func stops(hart index: Int, before pc: UInt64, physical: UInt64) -> Bool { true }
        func observe(hart index: Int, _ event: HartEvent) -> Bool {
            if case .access(let access) = event { return watched.contains(access.address) }
            return true
        }
    }

    @Test("breakpoints and watchpoints stop translated loops where they are set", arguments: [FuzzEngine.translator, .lockstep])
    func breakpoints(engine: FuzzEngine) throws {
        let machine = try makeMachine(engine, walk(isStore: true))
        machine.cpu.x[8] = FuzzMap.data
        for _ in 0..<8 { _ = machine.run(100) }
        let observer = Observer()
        let watch = HartWatch(caches: [machine.cache], observer: observer)
        machine.cpu.watch = watch
        // In the middle of a block.
        watch.set(code: [.init(address: Self.code + 12)], data: [])
        #expect(machine.run(1000) == .requested)
        #expect(machine.cpu.pc == Self.code + 12)
        watch.set(code: [], data: [.init(first: observer.watched.lowerBound, last: observer.watched.upperBound - 1)])
        #expect(machine.run(100_000) == .requested)
        #expect(machine.cpu.x[8] == observer.watched.lowerBound && machine.cpu.pc == Self.code + 12)
        watch.set(code: [], data: [])
        machine.cpu.watch = nil
        #expect(machine.run(500) == .budget)
        #expect(machine.cpu.x[5] > 850)
    }

    // MARK: Memory for code

    @Test("a small code buffer only makes the guest slower")
    func smallBuffer() throws {
        // A ring of 2,000 blocks over three pages.
        var program: [UInt32] = []
        for _ in 0..<1500 { program += [RVAssembly.addImmediate(5, 5, 1), RVAssembly.jump(4)] }
        program += [RVAssembly.addImmediate(6, 6, 1), RVAssembly.jump(-12004)]
        let machine = try compare(program, slices: Array(repeating: 5003, count: 12), codeSize: 64 << 10)
        let host = try #require(machine.cache.hostCode)
        #expect(host.figures.evictions > 8 && host.bytes <= 64 << 10)
        #expect(machine.cpu.x[6] > 10)
    }

    @Test("a guest that makes code without end gets neither wrong results nor more memory")
    func endlessCode() throws {
        // Writes an instruction with a new constant, calls it, sums up.
        let program = [
            storeWord(11, 8), RVAssembly.jumpRegister(1, 8), add(11, 11, 12), RVAssembly.addImmediate(6, 6, 1),
            // Another place each time: 64 of them.
            RVAssembly.addImmediate(8, 8, 64), register(7, 8, 8, 13), register(6, 8, 8, 14), RVAssembly.jump(-28),
        ] as [UInt32]
        let machine = try compare(program, slices: Array(repeating: 4001, count: 30), codeSize: 128 << 10) { machine in
            for slot in 0..<64 as Range<UInt64> { machine.place([RVAssembly.nop, RVAssembly.jumpRegister(0, 1)], at: FuzzMap.data + 64 * slot) }
            machine.cpu.x[8] = FuzzMap.data
            machine.cpu.x[11] = UInt64(RVAssembly.addImmediate(5, 5, 0))
            machine.cpu.x[12] = 1 << 20
            machine.cpu.x[13] = 0xfff
            machine.cpu.x[14] = FuzzMap.data
        }
        let host = try #require(machine.cache.hostCode)
        #expect(machine.cpu.x[6] > 5000 && host.figures.evictions > 0)
        #expect(host.bytes <= 128 << 10)
    }

    // MARK: Lockstep

    /// A back end that gets subtractions wrong.
    private final class FaultyBackend: HostBackend {
        let inner: X86Backend
        init(_ inner: X86Backend) { self.inner = inner }
        var hasVectors: Bool { inner.hasVectors }
        var hasCiphers: Bool { inner.hasCiphers }
        var buffer: CodeBuffer { inner.buffer }
        var enter: UnsafeRawPointer { inner.enter }
        var dispatchExit: UnsafeRawPointer { inner.dispatchExit }
        func compile(_ unit: IRUnit, number: UInt64, blockAddresses: [UInt], loop: LoopShape?, windows: [Int]) -> CompiledUnit? {
            var unit = unit
            for block in unit.blocks.indices {
                for index in unit.blocks[block].instructions.indices where unit.blocks[block].instructions[index].op == .sub {
                    unit.blocks[block].instructions[index].op = .add
                }
            }
            return inner.compile(unit, number: number, blockAddresses: blockAddresses, loop: loop, windows: windows)
        }
        func link(_ link: CompiledUnit.Link, to entry: Int?) { inner.link(link, to: entry) }
        func retire(_ entry: CompiledUnit.Entry) { inner.retire(entry) }
    }

    @Test("lockstep stops at the first block that differs and shows it", arguments: [true, false])
    func lockstepFindsFaults(inRegister: Bool) throws {
        let subtract: UInt32 = 0x4000_0000 | 6 << 20 | 5 << 15 | 7 << 7 | 0x33
        // The wrong value is overwritten in the end, or only memory keeps it.
        let program = [RVAssembly.addImmediate(5, 5, 1), subtract] + (inRegister ? [] : [RVAssembly.storeDouble(7, 8, 0), RVAssembly.addImmediate(7, 0, 0)]) + [RVAssembly.jump(8)]
        let machine = try makeMachine(.lockstep, program)
        let backend = FaultyBackend(try X86Backend(layout: RVProcessor.stateLayout, capacity: 1 << 20))
        machine.cache.hostCode = HostCodeCache(cache: machine.cache, backend: backend, threshold: 0)
        machine.cpu.x[6] = 10
        machine.cpu.x[8] = FuzzMap.data
        #expect(machine.run(program.count) == .requested)
        let report = try #require(machine.mismatch)
        #expect(report.contains("entered at \(hex(Self.code))"))
        #expect(report.contains(inRegister ? "x7: translated 0xb, interpreted 0xfffffffffffffff7" : "memory at \(hex(FuzzMap.data)): translated 0xb"))
        for part in ["sub\tt2,t0,t1", "x7 = sub x5, x6", "host code:"] { #expect(report.contains(part), "no '\(part)' in the report") }
    }

    @Test("lockstep compares every block, and does device accesses once")
    func lockstepCompares() throws {
        let program = [
            RVAssembly.addImmediate(5, 5, 1), RVAssembly.storeDouble(5, 8, 0), RVAssembly.loadDouble(6, 9, 0x80), RVAssembly.storeDouble(5, 9, 0x88), RVAssembly.jump(-16),
        ]
        let machine = try compare(program, slices: Array(repeating: 100, count: 5), engine: .lockstep) {
            $0.cpu.x[8] = FuzzMap.data
            $0.cpu.x[9] = FuzzMap.device
        }
        let lockstep = try #require(machine.cpu.lockstep)
        #expect(lockstep.comparisons >= 200 && lockstep.cycles >= 200)
        #expect(machine.device.log.count == 200)
    }
}
