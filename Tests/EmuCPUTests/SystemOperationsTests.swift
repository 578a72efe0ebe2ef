import EmuBus
import EmuCPU
import TestSupport
import Testing

/// What makes system operations fast must not be seen by the guest.
@Suite struct SystemOperationsTests {
    private static let code = TestHart.ram + 0x1000
    private static let patched = TestHart.ram + 0x6000
    private static let tables = TestHart.ram + 0x10000

    private func place(_ hart: TestHart, _ address: UInt64, _ code: [UInt32]) {
        for (index, word) in code.enumerated() { #expect(hart.bus.storeMemory(address + 4 * UInt64(index), word)) }
    }

    private func run(_ hart: TestHart, at pc: UInt64, cycles: Int) {
        hart.cpu.privilege = Mode.machine
        hart.cpu.pc = pc
        _ = hart.cpu.run(budget: cycles, clockBase: hart.events.now)
    }

    /// Sv39 with one gigapage where memory is, under address space `space`; M-mode loads and stores by it.
    private func useSpace(_ hart: TestHart, _ space: UInt64) {
        hart.store(Self.tables + 8 * 2, TestHart.ram >> 2 | 0xcf)
        hart[.satp] = 8 << 60 | space << 44 | Self.tables >> 12
        hart[.mstatus] = 1 << 17 | 1 << 11
    }

    @Test("a store to code is seen through every TLB view that could write its page before", arguments: 1...6 as ClosedRange<UInt64>)
    func storesThroughManyViews(spaces: UInt64) throws {
        let hart = try TestHart()
        place(hart, Self.code, [RVAssembly.storeDouble(6, 5, 0), RVAssembly.jump(0)])
        hart.cpu.x[5] = Self.patched
        func store(_ value: Int32, in space: UInt64) {
            useSpace(hart, space)
            hart.cpu.x[6] = UInt64(RVAssembly.addImmediate(7, 0, value)) | UInt64(RVAssembly.jump(0)) << 32
            run(hart, at: Self.code, cycles: 1)
        }
        func result() -> UInt64 {
            run(hart, at: Self.patched, cycles: 2)
            return hart.cpu.x[7]
        }
        for round in 0..<3 {
            for space in 1...spaces { store(1, in: space) }
            #expect(result() == 1)
            for space in 1...spaces {
                let value = Int32(round) * 100 + Int32(space) + 1
                store(value, in: space)
                #expect(result() == UInt64(value), "space \(space) of \(spaces)")
            }
        }
    }

    @Test("a page whose code is overwritten piece by piece keeps none of it, and takes new code")
    func overwrittenPage() throws {
        let hart = try TestHart()
        let store: [UInt32] = [RVAssembly.storeDouble(6, 5, 0), RVAssembly.addImmediate(5, 5, 8), RVAssembly.branchIfNotEqual(5, 8, -8), RVAssembly.jump(0)]
        place(hart, Self.code, store)
        // A page of jumps, each to the next but one, then to itself.
        func fill(_ value: Int32) {
            hart.cpu.x[5] = Self.patched
            hart.cpu.x[8] = Self.patched + 4096
            hart.cpu.x[6] = UInt64(RVAssembly.addImmediate(7, 7, value)) | UInt64(RVAssembly.jump(4)) << 32
            run(hart, at: Self.code, cycles: 3 * 512)
        }
        for value in [1, 3, 2] as [Int32] {
            fill(value)
            hart.cpu.x[7] = 0
            run(hart, at: Self.patched, cycles: 1024)
            #expect(hart.cpu.x[7] == 512 * UInt64(value))
        }
        #expect(hart.cache.blocksInvalidated == 2 * 512)
    }

    @Test("registers without consequences are written in the middle of a block, others end it")
    func plainRegisters() throws {
        let hart = try TestHart()
        let before = hart.cache.blocksDecoded
        place(hart, Self.code, [
            RVAssembly.writeCSR(0x340, 5), RVAssembly.readCSR(6, 0x340), RVAssembly.writeCSR(0x341, 5), RVAssembly.readCSR(7, 0x341), RVAssembly.jump(0),
        ])
        hart.cpu.x[5] = 0x1235
        run(hart, at: Self.code, cycles: 4)
        #expect(hart.cpu.x[6] == 0x1235 && hart.cpu.x[7] == 0x1234)
        #expect(hart.cache.blocksDecoded - before == 1)

        place(hart, Self.code + 0x100, [RVAssembly.writeCSR(0x300, 0), RVAssembly.readCSR(6, 0x300), RVAssembly.jump(0)])
        run(hart, at: Self.code + 0x100, cycles: 2)
        #expect(hart.cache.blocksDecoded - before == 3)
    }

    @Test("registers the hart has are found by number, and no others")
    func registersByNumber() throws {
        let hart = try TestHart("rv64,f=off")
        // Whether these are there depends on what is selected and enabled, or on how they are accessed.
        let conditional: [RVCSR] = [
            .seed, .scountinhibit, .sireg, .sireg2, .sireg3, .sireg4, .sireg5, .sireg6, .mireg, .mireg2, .mireg3, .mireg4, .mireg5, .mireg6,
        ]
        for number in 0..<4096 as Range<UInt16> {
            let exists = RVCSR(rawValue: number).map { !conditional.contains($0) && $0.exists(in: hart.cpu.config.extensions) } ?? false
            #expect((hart.csr(.csrrs, number) != nil) == exists, "\(hex(UInt64(number)))")
        }
    }

    @Test("event counters that start to run count nothing of what was before")
    func countersStartFromNow() throws {
        let hart = try TestHart()
        place(hart, Self.code, Array(repeating: RVAssembly.nop, count: 100) + [RVAssembly.environmentCall])
        place(hart, TestHart.ram + 0x8000, [RVAssembly.writeCSR(0x323, 5), RVAssembly.readCSR(6, 0xb03), RVAssembly.jump(0)])
        hart[.mtvec] = TestHart.ram + 0x8000
        hart.cpu.x[5] = 1
        run(hart, at: Self.code, cycles: 103)
        // The read comes one cycle after the write.
        #expect(hart.cpu.x[6] == 0)
        #expect(hart[.mhpmcounter3] == 1)
    }
}
