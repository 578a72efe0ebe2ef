import EmuCPU
import TestSupport
import Testing

/// Smrnmi and Smdbltrp (privileged manual, chapters of those names; "Double Trap Control in mstatus Register").
@Suite struct NonMaskableTests {
    private static let code = TestHart.ram + 0x1000
    private static let handler = TestHart.ram + 0x8000
    private static let mdt: UInt64 = 1 << 42

    private static func makeHart(_ option: String) throws -> TestHart {
        let hart = try TestHart(option)
        hart[.mtvec] = handler
        for address in [code, handler] { #expect(hart.bus.storeMemory(address, RVAssembly.jump(0))) }
        return hart
    }

    private static func run(_ hart: TestHart, cycles: Int, at pc: UInt64? = nil) {
        if let pc { hart.cpu.pc = pc }
        _ = hart.cpu.run(budget: cycles, clockBase: hart.events.now)
    }

    @Test func nothingInterruptsUntilNMIEIsSet() throws {
        let hart = try Self.makeHart("rv64,smrnmi=on")
        #expect(hart[.mnstatus] == 0)
        hart[.mie] = .max
        hart[.mstatus] = 8
        hart.cpu.setInterrupt(7, level: true)
        hart.cpu.raiseNonMaskable(cause: 5)
        hart.cpu.privilege = Mode.user
        #expect(hart.cpu.pendingInterrupt() == nil && !hart.cpu.requestsInterrupt)
        Self.run(hart, cycles: 3, at: Self.code)
        #expect(hart.cpu.pc == Self.code && hart.cpu.privilege == Mode.user)
        // The non-maskable one comes first; software cannot clear NMIE again.
        hart[.mnstatus] = 8
        #expect(hart.cpu.requestsInterrupt)
        Self.run(hart, cycles: 1)
        #expect(hart.cpu.pc == Self.handler && hart.cpu.privilege == Mode.machine)
        #expect(hart[.mnepc] == Self.code && hart[.mncause] == 1 << 63 | 5 && hart[.mnstatus] == 0 && hart[.mepc] == 0, "MNPP = U, NMIE = 0")
        hart[.mnstatus] = 8
        hart[.mnstatus] = 0
        #expect(hart[.mnstatus] == 8)
    }

    @Test func machineInterruptsDisabledDoNotMaskIt() throws {
        let hart = try Self.makeHart("rv64,smrnmi=on")
        hart[.mnstatus] = 8
        hart[.mstatus] = 0
        hart.cpu.raiseNonMaskable()
        Self.run(hart, cycles: 1, at: Self.code)
        #expect(hart.cpu.pc == Self.handler && hart[.mncause] == 1 << 63 && hart[.mnstatus] == 3 << 11)
    }

    @Test(arguments: [0, 1, 3] as [UInt64]) func returnRestoresTheInterruptedMode(mode: UInt64) throws {
        let hart = try Self.makeHart("rv64,smrnmi=on")
        hart[.mnstatus] = mode << 11
        hart[.mnepc] = Self.code
        hart[.mstatus] = 1 << 17
        #expect(hart.cpu.viewKeys.data.rights & 3 == 3, "MPRV is as if it were clear")
        #expect(hart.execute(.mnret))
        #expect(hart.cpu.privilege == UInt8(mode) && hart.cpu.pc == Self.code && hart[.mnstatus] == 8 | mode << 11)
        #expect(hart[.mstatus] >> 17 & 1 == (mode == 3 ? 1 : 0))
        if mode == 3 { #expect(hart.cpu.viewKeys.data.rights & 3 == 0, "and counts again") }
    }

    @Test func returnIsMachineModesAlone() throws {
        let hart = try Self.makeHart("rv64,smrnmi=on")
        for mode in [Mode.user, Mode.supervisor] {
            hart.cpu.privilege = mode
            #expect(!hart.execute(.mnret) && hart.cpu.raised.cause == 2)
        }
        #expect(RVDecoder(extensions: try RVConfig.parse("max").extensions).decode(0x7020_0073).rv == .illegal)
    }

    @Test func anExpectedLandingPadIsKept() throws {
        let hart = try Self.makeHart("rv64,smrnmi=on")
        hart[.mnstatus] = 8
        hart[.mseccfg] = 1 << 10
        // jalr x1, x6: a pad must follow.
        hart.cpu.x[6] = Self.code + 0x100
        #expect(hart.bus.storeMemory(Self.code, RVAssembly.jumpRegister(1, 6)))
        Self.run(hart, cycles: 1, at: Self.code)
        hart.cpu.raiseNonMaskable()
        Self.run(hart, cycles: 1)
        #expect(hart[.mnepc] == Self.code + 0x100 && hart[.mnstatus] == 3 << 11 | 1 << 9)
        #expect(hart.execute(.mnret))
        // What is there is none.
        Self.run(hart, cycles: 1)
        #expect(hart[.mcause] == 18 && hart[.mtval] == 2)
    }

    @Test func waitingEndsWithANonMaskableInterrupt() throws {
        let hart = try Self.makeHart("rv64,smrnmi=on")
        #expect(hart.execute(.wfi) && hart.cpu.isWaiting)
        // "NMIE does not affect the operation of the WFI instruction."
        hart.cpu.raiseNonMaskable()
        #expect(!hart.cpu.isWaiting)
    }

    // MARK: Double traps

    @Test func machineModeStartsNotReadyAndIsReadyWhenItSaysSoOrReturns() throws {
        let hart = try Self.makeHart("rv64,smdbltrp=on")
        #expect(hart[.mstatus] & Self.mdt != 0)
        hart[.mstatus] = Self.mdt | 8
        #expect(hart[.mstatus] & (Self.mdt | 8) == Self.mdt, "MDT keeps MIE clear")
        hart[.mstatus] = 8
        #expect(hart[.mstatus] & (Self.mdt | 8) == 8)
        for op in [RVOp.mret, .sret] {
            hart.cpu.privilege = Mode.machine
            hart[.mstatus] = Self.mdt
            #expect(hart.execute(op) && hart[.mstatus] & Self.mdt == 0, "\(op)")
        }
        // An sret of S-mode's does not concern M-mode.
        hart.cpu.privilege = Mode.machine
        hart[.mstatus] = Self.mdt
        hart.cpu.privilege = Mode.supervisor
        #expect(hart.execute(.sret) && hart[.mstatus] & Self.mdt != 0)
    }

    @Test func trapsIntoMachineModeSetMDT() throws {
        let hart = try Self.makeHart("rv64,smdbltrp=on")
        hart[.mstatus] = 0
        hart.cpu.privilege = Mode.user
        hart.cpu.takeTrap(cause: 8, value: 0, pc: Self.code)
        #expect(hart[.mstatus] & Self.mdt != 0 && hart[.mcause] == 8 && hart.cpu.pc == Self.handler)
    }

    @Test func aTrapWhileMachineModeIsNotReadyIsCritical() throws {
        let hart = try Self.makeHart("rv64,smdbltrp=on")
        #expect(hart.bus.storeMemory(Self.code, 0 as UInt32))
        let before = (hart[.mcause], hart[.mepc], hart[.mtval], hart[.mstatus])
        Self.run(hart, cycles: 5, at: Self.code)
        // The hart has ceased to execute, with nothing changed; no interrupt wakes it.
        #expect((hart[.mcause], hart[.mepc], hart[.mtval], hart[.mstatus]) == before && hart.cpu.pc == Self.code)
        hart[.mie] = .max
        hart.cpu.setInterrupt(7, level: true)
        #expect(hart.cpu.isWaiting && hart.cpu.run(budget: 5, clockBase: hart.events.now) == .waiting && hart.cpu.pc == Self.code)
        hart.cpu.reset()
        #expect(!hart.cpu.isWaiting)
    }

    @Test func theHandlerOfNonMaskableInterruptsGetsADoubleTrap() throws {
        let hart = try Self.makeHart("rv64,smdbltrp=on,smrnmi=on")
        hart[.mnstatus] = 8
        hart.cpu.takeTrap(cause: 5, value: 0x1234, pc: Self.code)
        #expect(hart.cpu.pc == Self.handler && hart[.mncause] == 5 && hart[.mnepc] == Self.code && hart[.mnstatus] == 3 << 11)
        #expect(hart[.mcause] == 0 && hart[.mtval] == 0)
        // One in that handler is critical.
        hart[.mstatus] = 0
        hart.cpu.takeTrap(cause: 2, value: 0, pc: Self.handler)
        #expect(hart.cpu.isWaiting && hart[.mncause] == 5)
    }

    @Test func nonMaskableInterruptsAreNoDoubleTraps() throws {
        let hart = try Self.makeHart("rv64,smdbltrp=on,smrnmi=on")
        hart[.mnstatus] = 8
        #expect(hart[.mstatus] & Self.mdt != 0)
        hart.cpu.raiseNonMaskable(cause: 1)
        Self.run(hart, cycles: 1, at: Self.code)
        #expect(hart[.mncause] == 1 << 63 | 1 && !hart.cpu.isWaiting)
        // mnret clears MDT unless M-mode was interrupted.
        #expect(hart.execute(.mnret) && hart[.mstatus] & Self.mdt != 0)
        hart[.mnstatus] = 1 << 11
        #expect(hart.execute(.mnret) && hart[.mstatus] & Self.mdt == 0)
    }

    @Test func withoutTheExtensionsTrapsNestAsEver() throws {
        let hart = try Self.makeHart("max")
        hart[.mstatus] = Self.mdt
        #expect(hart[.mstatus] & Self.mdt == 0)
        for cause in [2, 5] as [UInt64] { hart.cpu.takeTrap(cause: cause, value: 0, pc: Self.code) }
        #expect(hart[.mcause] == 5)
        hart.cpu.raiseNonMaskable()
        #expect(!hart.cpu.requestsInterrupt)
    }
}
