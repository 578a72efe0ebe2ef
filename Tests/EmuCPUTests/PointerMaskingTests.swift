import EmuCPU
import TestSupport
import Testing

/// Smmpm, Smnpm and Ssnpm (privileged manual, "Pointer Masking Extensions").
@Suite struct PointerMaskingTests {
    /// PMM of the register that configures a privilege.
    private static func mask(_ hart: TestHart, _ mode: UInt8, _ value: UInt64) {
        let csr = [Mode.user: RVCSR.senvcfg, Mode.supervisor: .menvcfg, Mode.machine: .mseccfg][mode] ?? .mseccfg
        hart[csr] = hart[csr] & ~(3 << 32) | value << 32
    }

    /// The transformation bit by bit: ignored bits become copies of the one below them, or zeros.
    private static func expected(_ address: UInt64, ignored: Int, isVirtual: Bool) -> UInt64 {
        (64 - ignored..<64).reduce(address) { value, bit in
            let isSet = isVirtual && address >> UInt64(63 - ignored) & 1 == 1
            return isSet ? value | 1 << UInt64(bit) : value & ~(1 << UInt64(bit))
        }
    }

    private static let load: UInt32 = RVAssembly.loadDouble(6, 8, 0)

    @Test(arguments: Mode.all, [0, 2, 3] as [UInt64])
    func trapsReportTheTransformedAddress(mode: UInt8, pmm: UInt64) throws {
        let stepper = try SingleStepper(mode: mode)
        Self.mask(stepper.hart, mode, pmm)
        stepper.hart.cpu.privilege = mode
        var random = SeededGenerator(state: UInt64(mode) * 4 + pmm)
        let ignored = [0: 0, 2: 7, 3: 16][pmm] ?? 0
        for index in 0..<200 {
            // Nothing is mapped, and no memory is, above 2^40.
            let address = random.next() | 1 << 45 | (index & 1 == 0 ? 1 << 47 | 1 << 56 : 0)
            stepper.hart.cpu.x[8] = address
            let fault = try stepper.execute(Self.load, mode: mode)
            let isVirtual = mode != Mode.machine
            #expect(fault == .init(isVirtual ? 13 : 5, Self.expected(address, ignored: ignored, isVirtual: isVirtual)))
        }
    }

    @Test(arguments: Mode.all, [2, 3] as [UInt64])
    func taggedPointersReachTheirPlace(mode: UInt8, pmm: UInt64) throws {
        let stepper = try SingleStepper(mode: mode)
        let hart = stepper.hart
        stepper.map(SingleStepper.page, SingleStepper.used | SingleStepper.read | SingleStepper.write | (mode == Mode.user ? SingleStepper.user : 0))
        Self.mask(hart, mode, pmm)
        hart.store(SingleStepper.page + 0xff8, 0x1111)
        for tag in [0, 1, 0x55, 0x7f] as [UInt64] {
            // Bits 63:57 are ignored in both settings, bits 56:48 in one.
            let tagged = tag << 57 | (pmm == 3 ? tag << 48 : 0) | SingleStepper.page
            hart.cpu.x[8] = tagged + 0xff8
            #expect(try stepper.execute(Self.load) == nil && hart.cpu.x[6] == 0x1111 + tag)
            hart.cpu.x[5] = 1
            #expect(try stepper.execute(RVAssembly.atomicAdd(6, 5, 8)) == nil && hart.cpu.x[6] == 0x1111 + tag)
            hart.cpu.x[8] = tagged
            hart.cpu.x[5] = tag
            #expect(try stepper.execute(RVAssembly.storeDouble(5, 8, 0x10)) == nil && hart.load(SingleStepper.page + 0x10) == tag)
            hart.store(SingleStepper.page + 0xff8, 0x1111 + ([0: 1, 1: 0x55, 0x55: 0x7f][tag] ?? 0))
        }
        // Without the setting, the same address is no address.
        Self.mask(hart, mode, 0)
        hart.cpu.privilege = mode
        hart.cpu.x[8] = 1 << 57 | SingleStepper.page
        #expect(try stepper.execute(Self.load)?.cause == (mode == Mode.machine ? 5 : 13))
    }

    @Test func eachPrivilegeHasItsOwnSetting() throws {
        for configured in Mode.all {
            for mode in Mode.all {
                let stepper = try SingleStepper(mode: mode)
                Self.mask(stepper.hart, configured, 2)
                stepper.hart.cpu.privilege = mode
                stepper.hart.cpu.x[8] = 0x7f << 57 | 1 << 46
                let value = try stepper.execute(Self.load)?.value
                #expect(value == (configured == mode ? 1 << 46 : 0x7f << 57 | 1 << 46), "set for \(configured), accessed in \(mode)")
            }
        }
    }

    @Test func theEffectivePrivilegeDecides() throws {
        let stepper = try SingleStepper(mode: Mode.machine)
        let hart = stepper.hart
        Self.mask(hart, Mode.supervisor, 3)
        hart.cpu.x[8] = 0xabcd << 48 | 1 << 46
        #expect(try stepper.execute(Self.load) == .init(5, 0xabcd << 48 | 1 << 46))
        // MPRV, MPP = S.
        hart[.mstatus] = 1 << 17 | 1 << 11
        #expect(try stepper.execute(Self.load) == .init(13, 1 << 46))
    }

    @Test func noMaskingUnderMXRBelowMachineMode() throws {
        for mode in Mode.all {
            let stepper = try SingleStepper(mode: mode)
            Self.mask(stepper.hart, mode, 2)
            stepper.hart[.mstatus] = 1 << 19
            stepper.hart.cpu.privilege = mode
            stepper.hart.cpu.x[8] = 1 << 60 | 1 << 46
            #expect(try stepper.execute(Self.load)?.value == (mode == Mode.machine ? 1 << 46 : 1 << 60 | 1 << 46))
        }
    }

    @Test func fetchesAreNotMasked() throws {
        let stepper = try SingleStepper()
        Self.mask(stepper.hart, Mode.supervisor, 2)
        stepper.hart.cpu.privilege = Mode.supervisor
        stepper.hart.cpu.x[8] = 1 << 60 | SingleStepper.code
        #expect(try stepper.execute(RVAssembly.jumpRegister(0, 8)) == nil)
        _ = stepper.hart.cpu.run(budget: 1, clockBase: stepper.hart.events.now)
        #expect(stepper.hart[.mcause] == 12 && stepper.hart[.mtval] == 1 << 60 | SingleStepper.code)
    }

    @Test func reservedSettingKeepsTheField() throws {
        let hart = try TestHart()
        for csr in [RVCSR.menvcfg, .senvcfg, .mseccfg] {
            for old in [0, 2, 3] as [UInt64] {
                hart[csr] = old << 32
                hart[csr] = 1 << 32
                #expect(hart[csr] == old << 32, "\(csr)")
            }
        }
        for (option, csr) in [("smmpm", RVCSR.mseccfg), ("smnpm", .menvcfg), ("ssnpm", .senvcfg)] {
            let without = try TestHart("rv64,\(option)=off")
            without[csr] = 3 << 32
            #expect(without[csr] & 3 << 32 == 0, "\(option)")
        }
    }

    @Test(.enabled(if: canTranslate, "this host cannot run translated code"), arguments: [FuzzEngine.translator, .lockstep])
    func translatedLoopsSeeOnePlaceThroughManyTags(engine: FuzzEngine) throws {
        // x8 is one of two pointers to the same words; their sum is kept in memory, through whichever comes next.
        let program = [
            RVAssembly.loadDouble(6, 8, 0), RVAssembly.addImmediate(6, 6, 1), RVAssembly.storeDouble(6, 9, 0), RVAssembly.loadDouble(7, 9, 8),
            RVAssembly.addImmediate(7, 7, 2), RVAssembly.storeDouble(7, 8, 8), RVAssembly.jump(-24),
        ]
        let machine = try TranslatedExecutionTests().compare(program, slices: [7, 70, 7001, 700], engine: engine) {
            $0[.mseccfg] = 2 << 32
            $0.cpu.x[8] = FuzzMap.data | 1 << 60
            $0.cpu.x[9] = FuzzMap.data | 0x3f << 57
            for word in 0..<2 as Range<UInt64> { $0.store(FuzzMap.data + 8 * word, 0) }
        }
        #expect(machine.bus.loadMemory(FuzzMap.data, as: UInt64.self) == 1111 && machine.bus.loadMemory(FuzzMap.data + 8, as: UInt64.self) == 2222)
    }
}
