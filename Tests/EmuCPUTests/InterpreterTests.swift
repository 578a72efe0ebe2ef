import EmuBus
import EmuCPU
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

/// The few encodings these programs need (unprivileged manual, "RV32/64G Instruction Set Listings").
private enum Assembly {
    static let environmentCall: UInt32 = 0x73
    static let machineReturn: UInt32 = 0x3020_0073

    static func addImmediate(_ rd: UInt32, _ rs1: UInt32, _ imm: Int32) -> UInt32 { immediate(imm) | rs1 << 15 | rd << 7 | 0x13 }
    static func loadDouble(_ rd: UInt32, _ rs1: UInt32, _ imm: Int32) -> UInt32 { immediate(imm) | rs1 << 15 | 3 << 12 | rd << 7 | 0x03 }
    static func storeDouble(_ rs2: UInt32, _ rs1: UInt32, _ imm: Int32) -> UInt32 {
        let bits = UInt32(bitPattern: imm)
        return (bits >> 5 & 0x7f) << 25 | rs2 << 20 | rs1 << 15 | 3 << 12 | (bits & 31) << 7 | 0x23
    }
    static func branchIfNotEqual(_ rs1: UInt32, _ rs2: UInt32, _ offset: Int32) -> UInt32 {
        let bits = UInt32(bitPattern: offset)
        return (bits >> 12 & 1) << 31 | (bits >> 5 & 0x3f) << 25 | rs2 << 20 | rs1 << 15 | 1 << 12 | (bits >> 1 & 15) << 8 | (bits >> 11 & 1) << 7 | 0x63
    }
    static func jump(_ offset: Int32) -> UInt32 {
        let bits = UInt32(bitPattern: offset)
        return (bits >> 20 & 1) << 31 | (bits >> 1 & 0x3ff) << 21 | (bits >> 11 & 1) << 20 | (bits >> 12 & 0xff) << 12 | 0x6f
    }
    static func loadReserved(_ rd: UInt32, _ rs1: UInt32) -> UInt32 { 2 << 27 | rs1 << 15 | 3 << 12 | rd << 7 | 0x2f }
    static func storeConditional(_ rd: UInt32, _ rs2: UInt32, _ rs1: UInt32) -> UInt32 { 3 << 27 | rs2 << 20 | rs1 << 15 | 3 << 12 | rd << 7 | 0x2f }
    static func readCSR(_ rd: UInt32, _ csr: UInt32) -> UInt32 { csr << 20 | 2 << 12 | rd << 7 | 0x73 }
    static func writeCSR(_ csr: UInt32, _ rs1: UInt32) -> UInt32 { csr << 20 | rs1 << 15 | 1 << 12 | 0x73 }
    private static func immediate(_ imm: Int32) -> UInt32 { UInt32(bitPattern: imm) << 20 }
}
