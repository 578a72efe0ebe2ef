import EmuBus
import EmuCPU
import EmuJIT
import TestSupport
import Testing

/// System operations that translated code does itself, compared with the interpreter. Nothing to see on hosts without a translator.
@Suite(.enabled(if: X86Backend.isSupported)) struct TranslatedSystemTests {
    private static let code = TestHart.ram + 0x1000
    private static let handler = TestHart.ram + 0x8000
    private static let data = TestHart.ram + 0x4000

    /// A hart whose blocks are translated before they run for the first time, or never.
    private func makeHart(translating: Bool) throws -> TestHart {
        let hart = try TestHart()
        if translating {
            let backend = try X86Backend(layout: RVProcessor.stateLayout, capacity: 4 << 20)
            hart.cache.hostCode = HostCodeCache(cache: hart.cache, backend: backend, threshold: 0)
        }
        place(hart, Self.handler, [RVAssembly.jump(0)])
        hart[.mtvec] = Self.handler
        return hart
    }

    private func place(_ hart: TestHart, _ address: UInt64, _ code: [UInt32]) {
        for (index, word) in code.enumerated() { #expect(hart.bus.storeMemory(address + 4 * UInt64(index), word)) }
    }

    private func run(_ hart: TestHart, at pc: UInt64, privilege: UInt8 = Mode.machine, cycles: Int) {
        hart.cpu.privilege = privilege
        hart.cpu.pc = pc
        _ = hart.cpu.run(budget: cycles, clockBase: hart.events.now)
    }

    private func wasTranslated(_ hart: TestHart) -> Bool { (hart.cache.hostCode?.figures.units ?? 0) > 0 }

    // MARK: Atomics

    /// amo<op>.<width> x6, x7, (x5); `function` is the upper five bits.
    private static func atomic(_ function: UInt32, isDouble: Bool) -> UInt32 {
        function << 27 | 7 << 20 | 5 << 15 | (isDouble ? 3 : 2) << 12 | 6 << 7 | 0x2f
    }

    private static let values: [UInt64] = [
        0, 1, .max, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0x7fff_ffff_ffff_ffff, 0x8000_0000_0000_0000, 0x1234_5678_9abc_def0, 0xffff_ffff_8000_0000,
    ]

    /// amoadd, amoswap, lr, sc, amoxor, amoor, amoand, amomin, amomax, amominu, amomaxu
    @Test("atomic operations give what the interpreter gives", arguments: [0, 1, 2, 3, 4, 8, 12, 16, 20, 24, 28] as [UInt32], [true, false])
    func atomics(function: UInt32, isDouble: Bool) throws {
        let harts = try [makeHart(translating: true), makeHart(translating: false)]
        let reserve = Self.atomic(2, isDouble: isDouble) & ~(31 << 20)
        // The reservation is the interpreter's or translated code's own, of the same size, of the other one, or none.
        let programs: [[UInt32]] = [
            [Self.atomic(function, isDouble: isDouble)], [reserve, Self.atomic(function, isDouble: isDouble)],
            [reserve ^ 1 << 12, Self.atomic(function, isDouble: isDouble)],
        ]
        for hart in harts {
            for (index, program) in programs.enumerated() {
                place(hart, Self.code + 0x40 * UInt64(index), (function == 2 ? program.map { $0 & ~(31 << 20) } : program) + [RVAssembly.jump(0)])
            }
        }
        for index in programs.indices {
            for offset in [0, 8, 4, 1, 0xffc] as [UInt64] {
                for old in Self.values {
                    for operand in Self.values {
                        for hart in harts {
                            hart.store(Self.data, old)
                            hart.store(Self.data + 8, ~old)
                            hart.store(Self.data + 0xff8, old)
                            hart.cpu.x[5] = Self.data + offset
                            hart.cpu.x[6] = 0
                            hart.cpu.x[7] = operand
                            run(hart, at: Self.code + 0x40 * UInt64(index), cycles: programs[index].count + 1)
                        }
                        let what = "program \(index), offset \(offset), \(hex(old)) and \(hex(operand))"
                        #expect(harts[0].cpu.encodedState() == harts[1].cpu.encodedState(), "\(what)")
                        for place in [0, 8, 0xff8] as [UInt64] { #expect(harts[0].load(Self.data + place) == harts[1].load(Self.data + place), "\(what)") }
                    }
                }
            }
        }
        #expect(wasTranslated(harts[0]) && !wasTranslated(harts[1]))
    }

    @Test("a device's write breaks a reservation that translated code made")
    func deviceWrite() throws {
        let hart = try makeHart(translating: true)
        place(hart, Self.code, [RVAssembly.loadReserved(6, 5), RVAssembly.jump(0)])
        place(hart, Self.code + 0x40, [RVAssembly.storeConditional(8, 7, 5), RVAssembly.jump(0)])
        hart.cpu.x[5] = Self.data
        hart.cpu.x[7] = 42
        for disturbed in [false, true, false] {
            hart.store(Self.data, 7)
            run(hart, at: Self.code, cycles: 2)
            if disturbed { hart.store(Self.data, 8) }
            run(hart, at: Self.code + 0x40, cycles: 2)
            #expect(hart.cpu.x[8] == (disturbed ? 1 : 0))
            #expect(hart.load(Self.data) == (disturbed ? 8 : 42))
        }
    }

    // MARK: Registers

    @Test("plain registers are read and written like the interpreter does", arguments: [0x140, 0x141, 0x142, 0x143, 0x105, 0x340, 0x341, 0x342, 0x343, 0x305] as [UInt32])
    func plainRegisters(number: UInt32) throws {
        let harts = try [makeHart(translating: true), makeHart(translating: false)]
        // csrrw, csrrs, csrrc and the immediate forms, with the source as destination too.
        let program = [1, 2, 3, 5, 6, 7].flatMap { (kind: UInt32) -> [UInt32] in
            [number << 20 | 5 << 15 | kind << 12 | 6 << 7 | 0x73, number << 20 | 7 << 15 | kind << 12 | 7 << 7 | 0x73, number << 20 | kind << 12 | 8 << 7 | 0x73]
        }
        for hart in harts {
            place(hart, Self.code, program + [RVAssembly.jump(0)])
            for value in Self.values {
                hart.cpu.x[5] = value
                hart.cpu.x[7] = ~value
                run(hart, at: Self.code, cycles: program.count + 1)
            }
        }
        #expect(harts[0].cpu.encodedState() == harts[1].cpu.encodedState())
        #expect(wasTranslated(harts[0]) && !wasTranslated(harts[1]))
    }

    @Test("code that several privileges share checks the present one for each register")
    func privileges() throws {
        let hart = try makeHart(translating: true)
        place(hart, Self.code, [RVAssembly.writeCSR(0x140, 5), RVAssembly.jump(0)])
        hart.cpu.x[5] = 1
        run(hart, at: Self.code, privilege: Mode.supervisor, cycles: 2)
        #expect(hart[.sscratch] == 1)
        hart.cpu.x[5] = 2
        run(hart, at: Self.code, privilege: Mode.user, cycles: 2)
        #expect(hart[.sscratch] == 1 && hart[.mcause] == 2 && hart[.mepc] == Self.code)
        hart.cpu.x[5] = 3
        run(hart, at: Self.code, privilege: Mode.machine, cycles: 2)
        #expect(hart[.sscratch] == 3)
    }

    private final class Observer: HartObserver {
        var written: [UInt64] = []

        func stops(hart index: Int, before pc: UInt64, physical: UInt64) -> Bool { false }

        func observe(hart index: Int, _ event: HartEvent) -> Bool {
            if case .registerWrite(_, _, let new, _) = event { written.append(new) }
            return false
        }
    }

    @Test("a debugger sees the writes of translated code from when it asks for them")
    func observedWrites() throws {
        let hart = try makeHart(translating: true)
        let observer = Observer()
        let watch = HartWatch(caches: [hart.cache], observer: observer)
        hart.cpu.watch = watch
        place(hart, Self.code, [RVAssembly.writeCSR(0x340, 5), RVAssembly.jump(0)])
        for value in 1...4 as ClosedRange<UInt64> {
            watch.events = value == 2 || value == 3 ? .registerWrites : []
            hart.cpu.x[5] = value
            run(hart, at: Self.code, cycles: 2)
            #expect(hart[.mscratch] == value)
        }
        #expect(observer.written == [2, 3])
        #expect(wasTranslated(hart))
    }

    // MARK: Traps

    @Test("traps and returns leave the same state and the same counts as in the interpreter")
    func traps() throws {
        let harts = try [makeHart(translating: true), makeHart(translating: false)]
        for hart in harts {
            // User code calls M-mode in a loop; the handler counts and skips the call.
            place(hart, Self.code, [RVAssembly.addImmediate(5, 5, 1), RVAssembly.environmentCall, RVAssembly.addImmediate(6, 6, 1), RVAssembly.jump(-12)])
            place(hart, Self.handler, [
                RVAssembly.writeCSR(0x340, 7), RVAssembly.readCSR(7, 0x341), RVAssembly.addImmediate(7, 7, 4), RVAssembly.writeCSR(0x341, 7),
                RVAssembly.readCSR(7, 0x340), RVAssembly.addImmediate(8, 8, 1), RVAssembly.machineReturn,
            ])
            hart.cpu.x[7] = 77
            run(hart, at: Self.code, privilege: Mode.user, cycles: 1)
            for budget in [3, 7, 100, 11, 1000, 1] { _ = hart.cpu.run(budget: budget, clockBase: hart.events.now) }
            #expect(hart.cpu.x[8] > 90)
        }
        #expect(harts[0].cpu.encodedState() == harts[1].cpu.encodedState())
        #expect(wasTranslated(harts[0]) && !wasTranslated(harts[1]))
    }
}
