import EmuBus
import EmuCPU
import TestSupport
import Testing

/// Zicfilp (unprivileged and privileged manual, "Control-Flow Integrity").
@Suite struct LandingPadTests {
    private static func pad(_ label: UInt32 = 0) -> UInt32 { label << 12 | 0x17 }
    private static let target = SingleStepper.code + 0x100
    private static let fault = SingleStepper.Fault(18, 2)

    private static func enable(_ hart: TestHart, _ mode: UInt8) {
        switch mode {
        case Mode.user: hart[.senvcfg] |= 1 << 2
        case Mode.supervisor: hart[.menvcfg] |= 1 << 2
        default: hart[.mseccfg] |= 1 << 10
        }
        hart.cpu.privilege = mode
    }

    /// Jumps by `jump` to `target`, where `instruction` is; what that raised.
    private static func land(_ stepper: SingleStepper, _ jump: UInt32, on instruction: UInt32, at target: UInt64 = target) throws -> SingleStepper.Fault? {
        let hart = stepper.hart
        for register in 1..<32 { if register != 7 { hart.cpu.x[register] = target } }
        #expect(try stepper.execute(jump) == nil)
        #expect(hart.cpu.pc == target)
        hart.cache.flushAll()
        try #require(TranslatedCode.place([instruction], at: target, hart))
        let mode = hart.cpu.privilege
        _ = hart.cpu.run(budget: 1, clockBase: hart.events.now)
        guard hart.cpu.pc == SingleStepper.handler else { return nil }
        #expect(hart[.mepc] == target)
        hart.cpu.privilege = mode
        return .init(hart[.mcause], hart[.mtval])
    }

    @Test(arguments: Mode.all) func computedJumpsNeedAPadButForLinksAndX7(mode: UInt8) throws {
        for register in 1..<32 as Range<UInt32> {
            for link in [0, 1, 6] as [UInt32] {
                let stepper = try SingleStepper(mode: mode)
                Self.enable(stepper.hart, mode)
                if register == 7 { stepper.hart.cpu.x[7] = Self.target }
                let isFree = [1, 5, 7].contains(register)
                let jump = RVAssembly.jumpRegister(link, register)
                #expect(try Self.land(stepper, jump, on: RVAssembly.nop) == (isFree ? nil : Self.fault), "x\(register)")
                if isFree { continue }
                #expect(stepper.hart[.mstatus] >> 41 & 1 == 1, "the trap remembers what was expected")
                #expect(try Self.land(stepper, jump, on: Self.pad()) == nil)
            }
        }
    }

    @Test func compressedJumpsCountToo() throws {
        let stepper = try SingleStepper()
        Self.enable(stepper.hart, Mode.supervisor)
        // c.jr a0, c.jalr a0; c.jr ra is a return
        for jump in [0x8502, 0x9502] as [UInt32] {
            #expect(try Self.land(stepper, jump, on: RVAssembly.nop) == Self.fault)
            #expect(try Self.land(stepper, jump, on: Self.pad()) == nil)
        }
        #expect(try Self.land(stepper, 0x8082, on: RVAssembly.nop) == nil)
    }

    @Test func directJumpsAndOtherPrivilegesNeedNone() throws {
        for enabled in Mode.all {
            for mode in Mode.all where mode != enabled {
                let stepper = try SingleStepper(mode: mode)
                Self.enable(stepper.hart, enabled)
                stepper.hart.cpu.privilege = mode
                #expect(try Self.land(stepper, RVAssembly.jumpRegister(0, 8), on: RVAssembly.nop) == nil, "\(enabled), \(mode)")
            }
        }
        let stepper = try SingleStepper()
        Self.enable(stepper.hart, Mode.supervisor)
        #expect(try Self.land(stepper, RVAssembly.jump(0x100), on: RVAssembly.nop) == nil)
    }

    @Test func labelsAreComparedUnlessZero() throws {
        for (label, x7, lands) in [
            (0, 0, true), (0, 0x1234_5678_9abc_def0, true), (0x9abcd, 0x1234_5678_9abc_def0, true), (0x9abcd, 0x9abc_d000, true),
            (0x9abcd, 0x9abc_c000, false), (1, 0, false), (0xfffff, .max, true), (0x80000, 0x7fff_ffff_7fff_ffff, false),
        ] as [(UInt32, UInt64, Bool)] {
            let stepper = try SingleStepper()
            Self.enable(stepper.hart, Mode.supervisor)
            stepper.hart.cpu.x[7] = x7
            #expect(try Self.land(stepper, RVAssembly.jumpRegister(0, 8), on: Self.pad(label)) == (lands ? nil : Self.fault), "\(label), \(hex(x7))")
        }
    }

    @Test func padsAreAligned() throws {
        let stepper = try SingleStepper()
        Self.enable(stepper.hart, Mode.supervisor)
        #expect(try Self.land(stepper, RVAssembly.jumpRegister(0, 8), on: Self.pad(), at: Self.target + 2) == Self.fault)
        // A pad that nobody expects is nothing, wherever it is and whatever its label.
        stepper.hart.cpu.x[7] = 0
        #expect(try stepper.execute(Self.pad(77), at: Self.target + 2) == nil)
    }

    @Test func fetchFaultsComeFirstAndRememberTheExpectation() throws {
        let stepper = try SingleStepper()
        let hart = stepper.hart
        Self.enable(hart, Mode.supervisor)
        hart.cpu.x[8] = 0x4000_0000
        #expect(try stepper.execute(RVAssembly.jumpRegister(0, 8)) == nil)
        _ = hart.cpu.run(budget: 1, clockBase: hart.events.now)
        #expect(hart[.mcause] == 12 && hart[.mtval] == 0x4000_0000 && hart[.mepc] == 0x4000_0000)
        #expect(hart[.mstatus] >> 41 & 1 == 1)
    }

    @Test func interruptsComeFirstAndTheReturnExpectsThePadAgain() throws {
        for delegated in [false, true] {
            let stepper = try SingleStepper()
            let hart = stepper.hart
            Self.enable(hart, Mode.supervisor)
            let spelp: UInt64 = 1 << 23, mpelp: UInt64 = 1 << 41
            hart[.stvec] = SingleStepper.code + 0x40
            if delegated { hart[.mideleg] = 2 }
            hart.cpu.x[8] = Self.target
            #expect(try stepper.execute(RVAssembly.jumpRegister(0, 8)) == nil)
            // A supervisor software interrupt, now.
            hart[.mie] = 2
            hart[.mstatus] |= 1 << 1
            hart[.mip] = 2
            // Each handler clears what is pending, or it would be entered again, and returns.
            try #require(TranslatedCode.place([RVAssembly.writeCSR(0x144, 0), 0x1020_0073], at: SingleStepper.code + 0x40, hart))
            try #require(TranslatedCode.place([RVAssembly.writeCSR(0x344, 0), RVAssembly.machineReturn], at: SingleStepper.handler, hart))
            _ = hart.cpu.run(budget: 2, clockBase: hart.events.now)
            #expect(hart[delegated ? .scause : .mcause] == (1 << 63 | 1) as UInt64)
            #expect(hart.cpu.pc == Self.target && hart.cpu.privilege == Mode.supervisor)
            #expect(hart[.mstatus] & (spelp | mpelp) == 0)
            hart.cache.flushAll()
            try #require(TranslatedCode.place([RVAssembly.nop], at: Self.target, hart))
            _ = hart.cpu.run(budget: 1, clockBase: hart.events.now)
            #expect(hart[.mcause] == 18 && hart[.mtval] == 2 && hart[.mepc] == Self.target)
        }
    }

    @Test func returnsExpectOnlyWherePadsAreOn() throws {
        for (isOn, bit) in [(true, true), (true, false), (false, true)] {
            let stepper = try SingleStepper(mode: Mode.machine)
            let hart = stepper.hart
            if isOn { hart[.menvcfg] |= 1 << 2 }
            hart[.mstatus] = 1 << 11 | (bit ? 1 << 41 : 0)
            hart[.mepc] = Self.target
            #expect(try stepper.execute(RVAssembly.machineReturn) == nil)
            #expect(hart.cpu.pc == Self.target && hart.cpu.privilege == Mode.supervisor && hart[.mstatus] >> 41 & 1 == 0)
            hart.cache.flushAll()
            try #require(TranslatedCode.place([RVAssembly.nop], at: Self.target, hart))
            _ = hart.cpu.run(budget: 1, clockBase: hart.events.now)
            #expect((hart.cpu.pc == SingleStepper.handler && hart[.mcause] == 18) == (isOn && bit))
        }
    }

    @Test func anExpectationIsSavedAndRestored() throws {
        let stepper = try SingleStepper()
        let hart = stepper.hart
        Self.enable(hart, Mode.supervisor)
        hart.cpu.x[8] = Self.target
        #expect(try stepper.execute(RVAssembly.jumpRegister(0, 8)) == nil)
        let state = hart.cpu.encodedState()
        hart.cpu.reset()
        try hart.cpu.restoreState(state)
        _ = hart.cpu.run(budget: 1, clockBase: hart.events.now)
        #expect(hart[.mcause] == 18)
    }

    @Test func withoutTheExtensionNothingOfItExists() throws {
        let hart = try TestHart("rv64,zicfilp=off")
        hart[.menvcfg] = 1 << 2
        hart[.mseccfg] = 1 << 10
        hart[.mstatus] = 1 << 23 | 1 << 41
        #expect(hart[.menvcfg] & 4 == 0 && hart[.mseccfg] == 0 && hart[.mstatus] & (1 << 23 | 1 << 41) == 0)
        #expect(RVDecoder(extensions: hart.cpu.config.extensions).decode(0x17).rv == .auipc)
    }

    @Test(.enabled(if: canTranslate, "this host cannot run translated code"), arguments: [FuzzEngine.translator, .lockstep], [false, true])
    func translatedCodeLandsOnPads(engine: FuzzEngine, isOn: Bool) throws {
        // A loop that calls, through a register, a function that begins with a pad, or in every 64th round with none.
        let function = TranslatedExecutionTests.code + 0x80
        let program: [UInt32] = [
            RVAssembly.addImmediate(5, 5, 1), RVAssembly.jumpRegister(1, 8), RVAssembly.addImmediate(6, 6, 1), RVAssembly.branchIfNotEqual(5, 12, -12),
            RVAssembly.jumpRegister(1, 9), RVAssembly.jump(-20),
        ]
        let machine = try TranslatedExecutionTests().compare(program, slices: [7, 1, 1, 300, 301, 20_000], engine: engine) {
            $0[.mseccfg] = isOn ? 1 << 10 : 0
            $0.place([Self.pad(3), RVAssembly.addImmediate(10, 10, 1), RVAssembly.jumpRegister(0, 1)], at: function)
            $0.cpu.x[7] = 3 << 12
            $0.cpu.x[8] = function
            $0.cpu.x[9] = function + 4
            $0.cpu.x[12] = 64
        }
        #expect(machine.cpu.x[5] == (isOn ? 64 : machine.cpu.x[5]) && machine.cpu.x[5] >= 64)
        #expect((machine[.mcause] == 18 && machine[.mepc] == function + 4) == isOn)
    }
}

/// Zicfiss.
@Suite struct ShadowStackTests {
    private static let page = SingleStepper.page
    private static let shadow = SingleStepper.used | SingleStepper.write
    private static let push: UInt32 = 0xce10_4073, pushT0: UInt32 = 0xce50_4073
    private static let pop: UInt32 = 0xcdc0_c073, popT0: UInt32 = 0xcdc2_c073
    private static let compressedPush: UInt32 = 0x6081, compressedPop: UInt32 = 0x6281
    private static let readPointer: UInt32 = 0xcdc0_4373  // ssrdp t1
    private static let swapDouble: UInt32 = 0x4854_332f, swapWord: UInt32 = 0x4854_232f  // ssamoswap t1, t0, (s0)
    private static let top = page + 0x800

    /// A hart with shadow stacks on for S- and U-mode, and one mapped.
    private static func make(_ mode: UInt8 = Mode.supervisor, _ flags: UInt64 = shadow) throws -> SingleStepper {
        let stepper = try SingleStepper(mode: mode)
        stepper.hart[.menvcfg] |= 1 << 3
        stepper.hart[.senvcfg] |= 1 << 3
        stepper.map(page, flags | (mode == Mode.user ? SingleStepper.user : 0))
        stepper.hart.cpu.privilege = mode
        stepper.hart[.ssp] = top
        stepper.hart.cpu.x[8] = top
        return stepper
    }

    @Test(arguments: [Mode.supervisor, Mode.user]) func pushAndPopMoveThePointer(mode: UInt8) throws {
        let stepper = try Self.make(mode)
        let hart = stepper.hart
        hart.cpu.x[1] = 0x1111
        hart.cpu.x[5] = 0x5555
        for (instruction, value, depth) in [(Self.push, 0x1111, 1), (Self.pushT0, 0x5555, 2), (Self.compressedPush, 0x1111, 3)] as [(UInt32, UInt64, UInt64)] {
            #expect(try stepper.execute(instruction) == nil)
            #expect(hart[.ssp] == Self.top - 8 * depth && hart.load(Self.top - 8 * depth) == value)
        }
        #expect(try stepper.execute(Self.readPointer) == nil && hart.cpu.x[6] == Self.top - 24)
        #expect(try stepper.execute(Self.pop) == nil && hart[.ssp] == Self.top - 16)
        #expect(try stepper.execute(Self.popT0) == nil && hart[.ssp] == Self.top - 8)
        // What does not match stays.
        #expect(try stepper.execute(Self.compressedPop) == .init(18, 3) && hart[.ssp] == Self.top - 8)
        hart.cpu.x[5] = 0x1111
        #expect(try stepper.execute(Self.compressedPop) == nil && hart[.ssp] == Self.top)
    }

    @Test func whereTheyAreOffTheyAreMayBeOperations() throws {
        for (mode, menvcfg, senvcfg) in [(Mode.machine, true, true), (Mode.supervisor, false, false), (Mode.user, true, false), (Mode.user, false, true)] {
            let stepper = try Self.make(mode)
            let hart = stepper.hart
            hart[.menvcfg] = menvcfg ? 1 << 3 : 0
            hart[.senvcfg] = senvcfg ? 1 << 3 : 0
            hart.cpu.privilege = mode
            for instruction in [Self.push, Self.pop, Self.compressedPush, Self.compressedPop] { #expect(try stepper.execute(instruction) == nil) }
            #expect(hart[.ssp] == Self.top)
            hart.cpu.x[6] = 7
            #expect(try stepper.execute(Self.readPointer) == nil && hart.cpu.x[6] == 0)
            // The register and the swaps are illegal there, but for M-mode, whose accesses reach no shadow stack.
            #expect((hart.csr(.csrrs, .ssp) != nil) == (mode == Mode.machine))
            let fault = try stepper.execute(Self.swapDouble)
            #expect(fault == (mode == Mode.machine ? .init(7, Self.top) : .init(2, UInt64(Self.swapDouble))))
        }
    }

    @Test func supervisorControlIsZeroWhileMachineModeWithholdsIt() throws {
        let hart = try TestHart()
        hart[.senvcfg] = 1 << 3
        #expect(hart[.senvcfg] == 0)
        hart[.menvcfg] = 1 << 3
        hart[.senvcfg] = 1 << 3
        #expect(hart[.senvcfg] == 1 << 3)
        hart[.menvcfg] = 0
        #expect(hart[.senvcfg] == 0)
    }

    @Test func swapsExchangeWordsOfTheStack() throws {
        let stepper = try Self.make()
        let hart = stepper.hart
        hart.store(Self.top, 0x1122_3344_8566_7788)
        hart.cpu.x[5] = 0xaaaa_bbbb_cccc_dddd
        #expect(try stepper.execute(Self.swapWord) == nil)
        #expect(hart.cpu.x[6] == 0xffff_ffff_8566_7788 && hart.load(Self.top) == 0x1122_3344_cccc_dddd)
        #expect(try stepper.execute(Self.swapDouble) == nil)
        #expect(hart.cpu.x[6] == 0x1122_3344_cccc_dddd && hart.load(Self.top) == 0xaaaa_bbbb_cccc_dddd)
        hart.cpu.x[8] = Self.top + 4
        #expect(try stepper.execute(Self.swapWord) == nil)
        #expect(try stepper.execute(Self.swapDouble) == .init(6, Self.top + 4))
        hart.cpu.x[8] = Self.top + 2
        #expect(try stepper.execute(Self.swapWord) == .init(6, Self.top + 2))
    }

    /// "Shadow Stack Memory Protection": read-only pages may be shared copies; the others are mistakes.
    @Test func onlyPagesOfShadowStacksWillDo() throws {
        let (r, w, x) = (SingleStepper.read, SingleStepper.write, SingleStepper.execute)
        for (rights, cause) in [(w, nil), (r, 15), (r | w, 7), (r | x, 7), (x, 7), (r | w | x, 7)] as [(UInt64, UInt64?)] {
            for instruction in [Self.push, Self.pop, Self.swapDouble] {
                let stepper = try Self.make(Mode.supervisor, SingleStepper.used | rights)
                let address = instruction == Self.push ? Self.top - 8 : Self.top
                #expect(try stepper.execute(instruction) == cause.map { .init($0, address) }, "rights \(rights)")
                #expect(stepper.hart[.ssp] == (cause != nil || instruction == Self.swapDouble ? Self.top : instruction == Self.push ? Self.top - 8 : Self.top + 8))
            }
        }
        // Not mapped, or the other privilege's.
        for flags in [0, Self.shadow | SingleStepper.user] {
            let stepper = try Self.make(Mode.supervisor, flags)
            #expect(try stepper.execute(Self.pop) == .init(15, Self.top))
        }
        let user = try Self.make(Mode.user)
        user.map(Self.page, Self.shadow)
        #expect(try user.execute(Self.push) == .init(15, Self.top - 8))
    }

    @Test func theStackIsReadableAndNothingElse() throws {
        let stepper = try Self.make()
        let hart = stepper.hart
        hart.store(Self.top, 0x1234)
        #expect(try stepper.execute(RVAssembly.loadDouble(6, 8, 0)) == nil && hart.cpu.x[6] == 0x1234)
        #expect(try stepper.execute(RVAssembly.storeDouble(6, 8, 0)) == .init(7, Self.top))
        #expect(try stepper.execute(RVAssembly.atomicAdd(6, 5, 8)) == .init(7, Self.top))
        // cbo.zero, cbo.clean, cbo.flush, cbo.inval of (s0)
        hart[.menvcfg] |= 0xf0
        hart.cpu.privilege = Mode.supervisor
        for instruction in [0x0044_200f, 0x0014_200f, 0x0024_200f, 0x0004_200f] as [UInt32] { #expect(try stepper.execute(instruction) == .init(7, Self.top)) }
        #expect(try stepper.execute(RVAssembly.jumpRegister(0, 8)) == nil)
        _ = hart.cpu.run(budget: 1, clockBase: hart.events.now)
        #expect(hart[.mcause] == 1 && hart[.mtval] == Self.top)
        // Without menvcfg.SSE the encoding is reserved.
        hart[.menvcfg] &= ~(1 << 3)
        hart.cpu.privilege = Mode.supervisor
        #expect(try stepper.execute(RVAssembly.loadDouble(6, 8, 0)) == .init(13, Self.top))
    }

    @Test func misplacedPointersAreAccessFaults() throws {
        let bare = try Self.make()
        bare.hart[.satp] = 0
        bare.hart.cpu.privilege = Mode.supervisor
        #expect(try bare.execute(Self.push) == .init(7, Self.top - 8))
        let device = try Self.make()
        PrivilegedWalkerTests.map(device.hart, Self.page, leaf: PrivilegedWalkerTests.entry(0x1_0000_0000, Self.shadow))
        device.hart.cpu.views.flush()
        #expect(try device.execute(Self.pop) == .init(7, Self.top))
        // Protected from writing, which even reading the stack asks for.
        let protected = try Self.make()
        protected.hart[.pmpaddr0] = Self.page >> 2 | 0x1ff
        protected.hart[.pmpaddr1] = .max
        protected.hart[.pmpcfg0] = 0x1f19
        #expect(try protected.execute(Self.pop) == .init(7, Self.top))
    }

    @Test func accessedAndDirtyAreSetAsForLoadsAndStores() throws {
        for (instruction, bits) in [(Self.pop, 0x40), (Self.push, 0xc0), (Self.swapDouble, 0xc0)] as [(UInt32, UInt64)] {
            let stepper = try Self.make(Mode.supervisor, 1 | SingleStepper.write)
            #expect(try stepper.execute(instruction) == nil)
            let entry = try #require(stepper.hart.load(PrivilegedWalkerTests.root + 0x2000 + (Self.page >> 12 & 0x1ff) * 8))
            #expect(entry & 0xc0 == bits)
        }
    }

    @Test(.enabled(if: canTranslate, "this host cannot run translated code"), arguments: [FuzzEngine.translator, .lockstep])
    func translatedCallsKeepTheirStack(engine: FuzzEngine) throws {
        // A call that saves its return address on both stacks.
        let function = TranslatedExecutionTests.code + 0x80
        let program = [RVAssembly.call(0x80), RVAssembly.addImmediate(5, 5, 1), RVAssembly.jump(-8)]
        let machine = try TranslatedExecutionTests().compare(program, slices: [5, 40, 9000], engine: engine) {
            FuzzCase(seed: 1, start: TranslatedExecutionTests.code).loadPageTables($0)
            $0.place([Self.push, RVAssembly.storeDouble(1, 2, 0), RVAssembly.loadDouble(1, 2, 0), Self.pop, RVAssembly.jumpRegister(0, 1)], at: function)
            $0[.menvcfg] = 1 << 3
            $0[.satp] = FuzzMap.spaces[0]
            $0[.ssp] = FuzzMap.window + 14 << 12 + 0x800
            $0.cpu.x[2] = FuzzMap.data
            $0.cpu.privilege = Mode.supervisor
        }
        #expect(machine.cpu.x[5] > 1000 && machine[.mcause] == 0)
    }
}
