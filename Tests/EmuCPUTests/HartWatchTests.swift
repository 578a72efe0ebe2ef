import EmuBus
import EmuCPU
import TestSupport
import Testing

/// What a debugger is asked and told while a hart runs.
@Suite struct HartWatchTests {
    private static let code = TestHart.ram + 0x1000
    private static let data = TestHart.ram + 0x4000

    /// An observer that stops where a test wants it to.
    private final class Observer: HartObserver {
        var asked: [UInt64] = []
        var events: [HartEvent] = []
        var stopsAt: (UInt64) -> Bool = { _ in true }
        var stopsOn: (HartEvent) -> Bool = { _ in true }

        func stops(hart index: Int, before pc: UInt64, physical: UInt64) -> Bool {
            asked.append(pc)
            return stopsAt(pc)
        }

        func observe(hart index: Int, _ event: HartEvent) -> Bool {
            events.append(event)
            return stopsOn(event)
        }

        var accesses: [HartAccess] { events.compactMap { if case .access(let access) = $0 { access } else { nil } } }
    }

    private struct Setup {
        let hart: TestHart
        let observer = Observer()
        let watch: HartWatch

        init(_ program: [UInt32]) throws {
            hart = try TestHart()
            watch = HartWatch(caches: [hart.cache], observer: observer)
            hart.cpu.watch = watch
            for (index, word) in program.enumerated() { #expect(hart.bus.storeMemory(HartWatchTests.code + 4 * UInt64(index), word)) }
            hart.cpu.pc = HartWatchTests.code
        }

        func run(_ budget: Int) -> ExitReason { hart.cpu.run(budget: budget, clockBase: hart.events.now) }
    }

    /// Counts x5 up in a loop of two blocks.
    private static let loop = [
        RVAssembly.addImmediate(5, 5, 1), RVAssembly.addImmediate(6, 6, 1), RVAssembly.addImmediate(7, 7, 1), RVAssembly.jump(-12),
    ]

    @Test("a hart stops before a watched instruction, in the middle of what was a block already run and linked")
    func stopsInsideABlock() throws {
        let setup = try Setup(Self.loop)
        #expect(setup.run(40) == .budget)
        let place = Self.code + 4
        setup.watch.set(code: [.init(address: place)], data: [])
        #expect(setup.run(40) == .requested)
        #expect(setup.hart.cpu.pc == place)
        #expect(setup.hart.cpu.x[5] == 11 && setup.hart.cpu.x[6] == 10)
        // Asked again it may go on, once around the loop.
        var skipped = false
        setup.observer.stopsAt = { _ in
            defer { skipped = true }
            return skipped
        }
        let before = setup.hart.cpu.cycles
        #expect(setup.run(40) == .requested)
        #expect(setup.hart.cpu.cycles - before == 4)
        #expect(setup.hart.cpu.pc == place)
        setup.watch.set(code: [], data: [])
        #expect(setup.run(40) == .budget)
    }

    @Test("an observer that never stops is asked each time, and the program does what it would do")
    func asking() throws {
        let setup = try Setup(Self.loop)
        setup.observer.stopsAt = { _ in false }
        setup.watch.set(code: [.init(address: Self.code + 4), .init(address: Self.code + 8, isPhysical: true)], data: [])
        #expect(setup.run(400) == .budget)
        #expect(setup.observer.asked.count == 200)
        #expect(setup.hart.cpu.x[5] == 100 && setup.hart.cpu.x[7] == 100)
    }

    @Test("a watched place costs instructions elsewhere in its page nothing: they are not asked about")
    func neighboursAreNotAsked() throws {
        let setup = try Setup(Self.loop)
        setup.watch.set(code: [.init(address: Self.code + 0x800)], data: [])
        #expect(setup.run(400) == .budget)
        #expect(setup.observer.asked.isEmpty)
    }

    @Test("a virtual address is watched in the address space asked for, whatever its ASID, a physical one in all", arguments: [true, false])
    func addressSpaces(matches: Bool) throws {
        let setup = try Setup(Self.loop)
        let hart = setup.hart
        let root = TestHart.ram + 0xf_0000
        // One gigabyte page at 0x4000_0000, onto RAM.
        hart.store(root + 8, TestHart.ram >> 2 | 0xcf)
        let space: UInt64 = 8 << 60 | root >> 12
        hart[.satp] = space | 5 << 44
        hart.cpu.privilege = Mode.supervisor
        hart.cpu.pc = 0x4000_1000
        setup.watch.set(code: [.init(address: 0x4000_1004, space: matches ? space : space + 1)], data: [])
        #expect(setup.run(40) == (matches ? .requested : .budget))
        hart.cpu.pc = 0x4000_1000
        setup.watch.set(code: [.init(address: Self.code + 8, isPhysical: true)], data: [])
        #expect(setup.run(40) == .requested)
        #expect(hart.cpu.pc == 0x4000_1008)
    }

    @Test("a load, a store and an atomic of a watched page are told of with old and new value, and stop after themselves")
    func accesses() throws {
        let setup = try Setup([
            RVAssembly.loadDouble(5, 10, 0), RVAssembly.storeByte(11, 10, 1), RVAssembly.atomicAdd(6, 11, 10), RVAssembly.jump(0),
        ])
        setup.hart.cpu.x[10] = Self.data
        setup.hart.cpu.x[11] = 0x1ff
        setup.hart.store(Self.data, 0x1000)
        setup.watch.set(code: [], data: [.init(first: Self.data, last: Self.data)])
        for step in 1...3 {
            #expect(setup.run(10) == .requested)
            #expect(setup.hart.cpu.pc == Self.code + 4 * UInt64(step))
            #expect(setup.observer.accesses.last?.pc == Self.code + 4 * UInt64(step - 1))
        }
        let seen = setup.observer.accesses
        #expect(seen.map(\.kind) == [.read, .write, .readWrite])
        #expect(seen.map(\.address) == [Self.data, Self.data + 1, Self.data])
        #expect(seen.map(\.size) == [8, 1, 8])
        #expect(seen.map(\.old) == [0x1000, 0x10, 0xff00])
        #expect(seen.map(\.new) == [0x1000, 0xff, 0xff00 + 0x1ff])
        #expect(setup.hart.load(Self.data) == 0xff00 + 0x1ff)
    }

    @Test("an access that only reaches into a watched page is told of; one to another page is not")
    func pageCrossing() throws {
        let setup = try Setup([RVAssembly.storeDouble(11, 10, -4), RVAssembly.storeDouble(11, 10, -16), RVAssembly.jump(0)])
        setup.hart.cpu.x[10] = Self.data
        setup.hart.cpu.x[11] = .max
        setup.watch.set(code: [], data: [.init(first: Self.data, last: Self.data)])
        setup.observer.stopsOn = { _ in false }
        #expect(setup.run(10) == .budget)
        #expect(setup.observer.accesses.map(\.address) == [Self.data - 4])
        #expect(setup.observer.accesses.map(\.old) == [0])
    }

    @Test("traps, privilege changes and CSR writes are told of when asked for, and stop after themselves")
    func rareEvents() throws {
        let setup = try Setup([RVAssembly.environmentCall])
        let hart = setup.hart
        let handler = Self.code + 0x100
        #expect(hart.bus.storeMemory(handler, RVAssembly.writeCSR(0x340, 10)))
        hart[.mtvec] = handler
        hart.cpu.x[10] = 0x55
        hart.cpu.privilege = Mode.user
        setup.watch.events = [.traps, .privilege, .registerWrites]
        #expect(setup.run(10) == .requested)
        #expect(hart.cpu.pc == handler)
        #expect(setup.run(10) == .requested)
        #expect(hart.cpu.pc == handler + 4)
        #expect(setup.observer.events.count == 3)
        guard setup.observer.events.count == 3, case .trap(8, 0, Self.code, 0, 3) = setup.observer.events[0],
            case .privilege(0, 3, Self.code) = setup.observer.events[1],
            case .registerWrite(0x340, 0, 0x55, handler) = setup.observer.events[2]
        else {
            Issue.record("\(setup.observer.events)")
            return
        }
    }

    @Test("an interrupt that is told of stops the hart at its handler; held interrupts stay pending")
    func interrupts() throws {
        let setup = try Setup(Self.loop)
        let hart = setup.hart
        hart[.mtvec] = Self.code + 0x100
        hart[.mie] = 1 << 3
        hart[.mstatus] = 1 << 3
        hart.cpu.setInterrupt(3, level: true)
        setup.watch.events = .traps
        setup.watch.holdsInterrupts = true
        #expect(setup.run(4) == .budget)
        #expect(hart.cpu.x[5] == 1)
        setup.watch.holdsInterrupts = false
        #expect(setup.run(4) == .requested)
        #expect(hart.cpu.pc == Self.code + 0x100)
        #expect(setup.observer.events.count == 1)
    }
}
