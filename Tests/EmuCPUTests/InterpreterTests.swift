import EmuBus
import EmuCPU
import TestSupport
import Testing

/// Small programs run by the interpreter, where what counts is what happens between blocks and pages.
@Suite struct InterpreterTests {
    private static let code = TestHart.ram + 0x1000
    private static let handler = TestHart.ram + 0x8000

    /// A hart in M-mode whose traps end in a jump to itself at `handler`.
    private func makeHart() throws -> TestHart {
        let hart = try TestHart()
        place(hart, Self.handler, [Assembly.jump(0)])
        hart[.mtvec] = Self.handler
        return hart
    }

    private func place(_ hart: TestHart, _ address: UInt64, _ code: [UInt32]) {
        for (index, word) in code.enumerated() { #expect(hart.bus.storeMemory(address + 4 * UInt64(index), word)) }
    }

    @discardableResult
    private func run(_ hart: TestHart, at pc: UInt64, privilege: UInt8 = Mode.machine, cycles: Int) -> ExitReason {
        hart.cpu.privilege = privilege
        hart.cpu.pc = pc
        return hart.cpu.run(budget: cycles, clockBase: hart.events.now)
    }

    // MARK: Memory protection

    @Test("blocks linked before memory protection cut through their page do not lead past it", arguments: [true, false])
    func linksRespectProtection(byJump: Bool) throws {
        let hart = try makeHart()
        // Two blocks of one page: the first jumps to the second, or a branch not taken falls through to it.
        let target = Self.code + (byJump ? 0x100 : 0x80)
        let first = byJump ? Self.code : target - 4
        place(hart, first, [byJump ? Assembly.jump(0x100) : Assembly.branchIfNotEqual(0, 0, 8)])
        place(hart, target, [Assembly.addImmediate(5, 0, 1), Assembly.jump(0)])
        run(hart, at: first, cycles: 10)
        #expect(hart.cpu.x[5] == 1)

        // U-mode may use the page up to the second block.
        hart[.pmpaddr0] = Self.code >> 2
        hart[.pmpcfg0] = 0
        hart[.pmpaddr1] = target >> 2
        hart[.pmpcfg0] = 0x0f << 8
        hart.cpu.x[5] = 0
        run(hart, at: first, privilege: Mode.user, cycles: 2)
        #expect(hart.cpu.x[5] == 0)
        #expect(hart.cpu.pc == Self.handler)
        #expect(hart[.mcause] == 1)
        #expect(hart[.mepc] == target)
        #expect(hart[.mtval] == target)
    }

    // MARK: Code in a device's memory

    @Test("forgetting all code forgets that of a device's memory, too")
    func codeOfADeviceIsForgotten() throws {
        let hart = try makeHart()
        let place: UInt64 = 0x9000_0000
        let flash = try GuestRAM(base: place, size: 4096)
        try hart.bus.map(Probe(), at: place, size: 4096, code: flash)
        for value in [1, 2] as [Int32] {
            for (index, word) in [Assembly.addImmediate(5, 0, value), Assembly.jump(0)].enumerated() {
                (flash.host + 4 * index).storeBytes(of: word, as: UInt32.self)
            }
            run(hart, at: place, cycles: 10)
            #expect(hart.cpu.x[5] == UInt64(value))
            #expect(flash.pageFlags[0] & GuestRAM.PageFlags.hasCode != 0)
            hart.cache.flushAll()
            #expect(flash.pageFlags[0] & GuestRAM.PageFlags.hasCode == 0)
        }
    }

    // MARK: Page-crossing accesses

    @Test("a store that runs over the end of memory traps and writes nothing")
    func storeOverTheEnd() throws {
        let hart = try makeHart()
        let last = TestHart.ram + (1 << 20) - 8
        hart.store(last, 0x1122_3344_5566_7788)
        place(hart, Self.code, [Assembly.storeDouble(6, 5, 4)])
        hart.cpu.x[5] = last
        hart.cpu.x[6] = .max
        run(hart, at: Self.code, cycles: 1)
        #expect(hart[.mcause] == 7)
        #expect(hart[.mtval] == last + 8)
        #expect(hart.load(last) == 0x1122_3344_5566_7788)
    }

    @Test("a store that runs from memory into read-only memory or a device traps and writes nothing", arguments: [true, false])
    func storeIntoAnotherKindOfMemory(isDevice: Bool) throws {
        let hart = try makeHart()
        let second: UInt64 = 0x9000_0000
        let probe = Probe()
        try hart.bus.map(GuestRAM(base: second - 4096, size: 4096), name: "below")
        if isDevice {
            try hart.bus.map(probe, at: second, size: 4096)
        } else {
            try hart.bus.map(GuestRAM(base: second, size: 4096, isReadOnly: true), name: "rom2")
        }
        place(hart, Self.code, [Assembly.storeDouble(6, 5, 0)])
        place(hart, Self.code + 0x100, [Assembly.loadDouble(7, 5, 0)])
        hart.cpu.x[5] = second - 4
        hart.cpu.x[6] = .max
        run(hart, at: Self.code, cycles: 1)
        #expect(hart[.mcause] == 7)
        #expect(hart[.mtval] == second)
        #expect(hart.load(second - 8) == 0)
        run(hart, at: Self.code + 0x100, cycles: 1)
        #expect(isDevice ? hart[.mcause] == 5 && hart[.mtval] == second : hart.cpu.x[7] == 0)
        #expect(probe.accesses == 0)
    }

    @Test("a page-crossing access that is allowed reads and writes both pages")
    func crossingAccess() throws {
        let hart = try makeHart()
        place(hart, Self.code, [Assembly.storeDouble(6, 5, 0), Assembly.loadDouble(7, 5, 0)])
        hart.cpu.x[5] = TestHart.ram + 0x3ffd
        hart.cpu.x[6] = 0x8877_6655_4433_2211
        run(hart, at: Self.code, cycles: 2)
        #expect(hart.cpu.x[7] == 0x8877_6655_4433_2211)
        #expect(hart.load(TestHart.ram + 0x3ff8) == 0x3322_1100_0000_0000)
        #expect(hart.load(TestHart.ram + 0x4000) == 0x88_7766_5544)
    }

    @Test("a store over a page boundary rewrites code on both sides")
    func crossingStoreOverCode() throws {
        let hart = try makeHart()
        let boundary = TestHart.ram + 0x4000
        place(hart, boundary - 4, [Assembly.addImmediate(7, 0, 1), Assembly.addImmediate(8, 0, 1), Assembly.jump(0)])
        run(hart, at: boundary - 4, cycles: 2)
        #expect(hart.cpu.x[7] == 1 && hart.cpu.x[8] == 1)
        place(hart, Self.code, [Assembly.storeDouble(6, 5, 0), Assembly.jump(0)])
        hart.cpu.x[5] = boundary - 4
        hart.cpu.x[6] = UInt64(Assembly.addImmediate(7, 0, 2)) | UInt64(Assembly.addImmediate(8, 0, 2)) << 32
        run(hart, at: Self.code, cycles: 1)
        run(hart, at: boundary - 4, cycles: 2)
        #expect(hart.cpu.x[7] == 2 && hart.cpu.x[8] == 2)
    }

    // MARK: Overwritten code

    @Test("a store drops a block if and only if it touches it, wherever in the page both are")
    func storesNextToCode() throws {
        let hart = try makeHart()
        let page = TestHart.ram + 0x6000
        let block = page + 0xf8 ..< page + 0x20c
        place(hart, Self.code, [Assembly.storeDouble(6, 5, 0), Assembly.jump(0)])
        let nop = Assembly.addImmediate(0, 0, 0)
        for offset in stride(from: UInt64(4), to: 4096, by: 8) where offset + 8 <= 4096 {
            place(hart, block.lowerBound, Array(repeating: nop, count: (block.count - 4) / 4) + [Assembly.jump(0)])
            run(hart, at: block.lowerBound, cycles: block.count / 4 + 1)
            let before = hart.cache.blocksInvalidated
            hart.cpu.x[5] = page + offset
            hart.cpu.x[6] = UInt64(nop) << 32 | UInt64(nop)
            run(hart, at: Self.code, cycles: 1)
            let touches = (page + offset ..< page + offset + 8).overlaps(block)
            // The jump to itself at the block's end is a block of its own.
            let touchesJump = (page + offset ..< page + offset + 8).overlaps(block.upperBound - 4 ..< block.upperBound)
            #expect(hart.cache.blocksInvalidated - before == (touchesJump ? 2 : touches ? 1 : 0), "offset \(hex(offset))")
        }
    }

    // MARK: Translation

    /// Sv39 page tables: `middle` maps the second gigabyte by superpages, but its ninth one by the pages of `last`.
    private func mapPages(_ hart: TestHart, root: UInt64) -> (middle: UInt64, last: UInt64) {
        let (middle, last) = (root + 0x1000, root + 0x2000)
        hart.store(root + 8, middle >> 2 | 1)
        hart.store(middle + 8 * 8, last >> 2 | 1)
        hart[.satp] = 8 << 60 | root >> 12
        return (middle, last)
    }

    @Test("sfence.vma of one address reaches every page its superpage has left in the TLB")
    func fenceOfSuperpage() throws {
        let hart = try makeHart()
        let other = TestHart.ram + 0x20_0000
        try hart.bus.map(GuestRAM(base: other, size: 1 << 20), name: "more")
        let tables = mapPages(hart, root: TestHart.ram + 0xf_0000)
        let superpage: UInt64 = 0x4000_0000
        let page = superpage + 8 * 0x20_0000
        hart.store(tables.middle, TestHart.ram >> 2 | 0xcf)
        hart.store(tables.last, (TestHart.ram + 0x6000) >> 2 | 0xcf)
        hart.store(TestHart.ram + 0x5000, 1)
        hart.store(other + 0x5000, 2)
        hart.store(TestHart.ram + 0x6000, 3)
        hart.store(TestHart.ram + 0x7000, 4)
        // M-mode loads with the rights of S-mode.
        place(hart, Self.code, [Assembly.loadDouble(6, 5, 0), Assembly.loadDouble(8, 7, 0), Assembly.jump(0)])
        hart[.mstatus] = 1 << 17 | 1 << 11
        hart.cpu.x[5] = superpage + 0x5000
        hart.cpu.x[7] = page
        run(hart, at: Self.code, cycles: 2)
        #expect(hart.cpu.x[6] == 1 && hart.cpu.x[8] == 3)

        hart.store(tables.middle, other >> 2 | 0xcf)
        hart.cpu.x[1] = superpage + 0x9000
        hart.execute(.sfence_vma, rs1: 1)
        run(hart, at: Self.code, cycles: 2)
        #expect(hart.cpu.x[6] == 2 && hart.cpu.x[8] == 3)

        hart.store(tables.last, (TestHart.ram + 0x7000) >> 2 | 0xcf)
        hart.cpu.x[1] = page + 0xff8
        hart.execute(.sfence_vma, rs1: 1)
        run(hart, at: Self.code, cycles: 2)
        #expect(hart.cpu.x[6] == 2 && hart.cpu.x[8] == 4)
    }

    @Test("sfence.vma of one address makes jumps into its page look again")
    func fenceOfCode() throws {
        let hart = try makeHart()
        let tables = mapPages(hart, root: TestHart.ram + 0xf_0000)
        let page: UInt64 = 0x4000_0000 + 8 * 0x20_0000
        place(hart, TestHart.ram + 0x6000, [Assembly.addImmediate(5, 0, 1), Assembly.jump(0)])
        place(hart, TestHart.ram + 0x7000, [Assembly.addImmediate(5, 0, 2), Assembly.jump(0)])
        place(hart, TestHart.ram + 0x9000, [Assembly.addImmediate(5, 0, 3), Assembly.jump(0)])
        for (index, physical) in [TestHart.ram + 0x6000, TestHart.ram + 0x7000, TestHart.ram + 0x9000].enumerated() {
            hart.store(tables.last, physical >> 2 | 0xcf)
            hart.cpu.x[1] = page
            hart.execute(.sfence_vma, rs1: 1)
            // Entered twice, by the TLB and by the jump cache; another page's fence in between changes nothing.
            for address in [page + 0x1000, page + 0x40_0000] {
                run(hart, at: page, privilege: Mode.supervisor, cycles: 3)
                #expect(hart.cpu.x[5] == UInt64(index + 1))
                hart.cpu.privilege = Mode.machine
                hart.cpu.x[1] = address
                hart.execute(.sfence_vma, rs1: 1)
            }
        }
    }

    // MARK: LR and SC

    @Test("a device's write between LR and SC makes the SC fail", arguments: [true, false])
    func deviceWritesBreakReservations(deviceWrites: Bool) throws {
        let hart = try makeHart()
        let address = TestHart.ram + 0x5000
        place(hart, Self.code, [Assembly.loadReserved(6, 5), Assembly.storeConditional(7, 8, 5)])
        hart.cpu.x[5] = address
        hart.cpu.x[8] = 9
        run(hart, at: Self.code, cycles: 1)
        if deviceWrites { hart.store(address, 5) }
        #expect(hart.cpu.run(budget: 1, clockBase: 0) == .budget)
        #expect(hart.cpu.x[7] == (deviceWrites ? 1 : 0))
        #expect(hart.load(address) == (deviceWrites ? 5 : 9))
    }

    // MARK: Saved state

    @Test("every saved byte has a name for reports of differences")
    func savedStateIsNamed() throws {
        var end = 0
        for element in RVStateFields.elements.sorted(by: { $0.offset < $1.offset }) {
            #expect(element.offset == end, "before \(element.name)")
            end = element.offset + element.size
        }
        #expect(try end == makeHart().cpu.encodedState().count)
    }

    @Test("a saved program counter that is odd is made even")
    func oddProgramCounter() throws {
        let hart = try makeHart()
        place(hart, TestHart.ram + 0xf_fffc, [Assembly.jump(0)])
        var bytes = hart.cpu.encodedState()
        let place = try #require(RVStateFields.elements.first { $0.name == "pc" }).offset
        withUnsafeBytes(of: TestHart.ram + 0xf_ffff) { pc in for (index, byte) in pc.enumerated() { bytes[place + index] = byte } }
        try hart.cpu.restoreState(bytes)
        #expect(hart.cpu.pc == TestHart.ram + 0xf_fffe)
    }

    // MARK: Budgets

    @Test("any division into slices gives the same state after the same number of cycles")
    func budgetsAreExact() throws {
        func state(after slices: [Int]) throws -> [UInt8] {
            let hart = try makeHart()
            // A loop with a call, a trap and a device-like slow path: counts in x5, traps by ecall, stores beside its own code.
            place(hart, Self.code, [
                Assembly.addImmediate(5, 5, 1), Assembly.addImmediate(6, 5, 0), Assembly.addImmediate(6, 6, 3), Assembly.jump(0x34),
            ])
            place(hart, Self.code + 0x40, [
                Assembly.storeDouble(5, 10, 0x200), Assembly.addImmediate(8, 8, 1), Assembly.environmentCall, Assembly.addImmediate(9, 9, 1),
                Assembly.jump(-0x50),
            ])
            // The handler steps over the ecall.
            place(hart, Self.handler, [
                Assembly.readCSR(11, 0x341), Assembly.addImmediate(11, 11, 4), Assembly.writeCSR(0x341, 11), Assembly.machineReturn,
            ])
            hart.cpu.x[10] = Self.code
            hart.cpu.pc = Self.code
            for budget in slices {
                let before = hart.cpu.cycles
                #expect(hart.cpu.run(budget: budget, clockBase: hart.events.now) == .budget)
                #expect(hart.cpu.cycles - before == UInt64(budget))
            }
            return hart.cpu.encodedState()
        }
        let whole = try state(after: [240])
        #expect(try state(after: Array(repeating: 1, count: 240)) == whole)
        #expect(try state(after: Array(repeating: 3, count: 80)) == whole)
        #expect(try state(after: (1...15).map { $0 } + [120]) == whole)
    }
}

/// A device that counts its accesses.
private final class Probe: MMIODevice {
    let name = "probe"
    private(set) var accesses = 0
    func read(_ offset: UInt64, size: Int) -> UInt64 { accesses += 1; return 0 }
    func write(_ offset: UInt64, _ value: UInt64, size: Int) { accesses += 1 }
    func reset() {}
}

private typealias Assembly = RVAssembly
