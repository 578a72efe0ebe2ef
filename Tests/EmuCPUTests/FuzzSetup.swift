import EmuBus
import EmuCPU
import TestSupport

/// What a fuzz case finds: memory, page tables, trap handlers, registers.
extension FuzzCase {
    /// Loads memory and forgets everything that ran before.
    func prepare(_ machine: FuzzMachine) {
        machine.ram.host.initializeMemory(as: UInt8.self, repeating: 0, count: Int(machine.ram.size))
        machine.cache.flushAll()
        machine.cpu.reset()
        machine.device.reset()
        for number in [1, 3, 7, 9] { machine.cpu.setInterrupt(number, level: false) }
        var random = SplitMix(seed: seed)
        for page in 0..<UInt64(FuzzMap.dataPages) {
            for offset in stride(from: UInt64(0), to: 4096, by: 8) { machine.store(FuzzMap.data + page << 12 + offset, Self.value(&random)) }
        }
        loadPageTables(machine)
        loadHandlers(machine)
        machine.place(code, at: start)
    }

    // MARK: Page tables

    private static let valid: UInt64 = 1, readable: UInt64 = 2, writable: UInt64 = 4, executable: UInt64 = 8, user: UInt64 = 16
    private static let used: UInt64 = 0xc0

    /// Rights of the window's pages and what lies behind them.
    private static let window: [(flags: UInt64, page: UInt64)] = [
        (valid | readable | writable | used, FuzzMap.data), (valid | readable | used, FuzzMap.data + 0x1000), (0, 0),
        (valid | executable | used, FuzzMap.data + 0x2000), (valid | readable | writable | user | used, FuzzMap.data + 0x1000),
        // Accessed and dirty are for the hardware to set.
        (valid | readable | writable | user, FuzzMap.data + 0x3000), (valid | readable | writable, FuzzMap.data),
        (valid | readable | writable | used, FuzzMap.device), (valid | readable | writable | user | used, FuzzMap.device),
        (valid | readable | writable | user | used, FuzzMap.code), (valid | readable | writable | used, FuzzMap.code + 0x1000),
        (valid | readable | writable | user | used, FuzzMap.rom), (valid | readable | writable | user | used, 0x2000_0000),
        (valid | readable | user | used, FuzzMap.data + 0x2000),
    ]
    /// Behind the window: pages of shadow stacks, which are reserved without them.
    private static let shadowStacks: [(flags: UInt64, page: UInt64)] = [
        (valid | writable | used, FuzzMap.data + 0x3000), (valid | writable | user | used, FuzzMap.data + 0x1000), (valid | writable | user, FuzzMap.device),
    ]

    func loadPageTables(_ machine: FuzzMachine) {
        let root = FuzzMap.tables
        func entry(_ page: UInt64, _ flags: UInt64) -> UInt64 { (page >> 12) << 10 | flags }
        // Root → a middle table for each gigabyte → a table of pages for one 2 MiB each.
        var next = root + 0x1000
        func table() -> UInt64 {
            defer { next += 0x1000 }
            return next
        }
        func map(_ address: UInt64, _ page: UInt64, _ flags: UInt64) {
            var place = root
            for level in [2, 1] as [UInt64] {
                let position = place + (address >> (12 + 9 * level) & 0x1ff) * 8
                var link = machine.bus.loadMemory(position, as: UInt64.self) ?? 0
                if link == 0 {
                    link = entry(table(), Self.valid)
                    machine.store(position, link)
                }
                place = (link >> 10) << 12
            }
            machine.store(place + (address >> 12 & 0x1ff) * 8, entry(page, flags))
        }
        let all = Self.valid | Self.readable | Self.writable | Self.executable | Self.used
        for page in 0..<UInt64(FuzzMap.codePages) {
            map(FuzzMap.code + page << 12, FuzzMap.code + page << 12, all)
            map(FuzzMap.userCode + page << 12, FuzzMap.code + page << 12, all | Self.user)
        }
        for page in [FuzzMap.supervisorHandler, FuzzMap.supervisorSave] { map(page, page, all) }
        for page in 0..<UInt64(FuzzMap.dataPages) { map(FuzzMap.data + page << 12, FuzzMap.data + page << 12, all) }
        for (index, each) in (Self.window + Self.shadowStacks).enumerated() where each.flags != 0 { map(FuzzMap.window + UInt64(index) << 12, each.page, each.flags) }
    }

    // MARK: Trap handlers

    /// A handler makes the code go on with the next segment; an interrupt turns interrupts off instead. A fetch that failed is none of
    /// the code's privilege any more: M-mode goes on.
    private func loadHandlers(_ machine: FuzzMachine) {
        loadHandler(machine, FuzzMap.machineHandler, (.mscratch, .mcause, .mepc, .mstatus, .mie), shift: 11, mask: 3, RVAssembly.machineReturn)
        loadHandler(machine, FuzzMap.supervisorHandler, (.sscratch, .scause, .sepc, .sstatus, .sie), shift: 8, mask: 1, RVAssembly.supervisorReturn)
    }

    /// add t4, t4, register
    private static func addTo29(_ register: UInt32) -> UInt32 { register << 20 | 29 << 15 | 29 << 7 | 0x33 }

    private func loadHandler(
        _ machine: FuzzMachine, _ base: UInt64, _ csrs: (scratch: RVCSR, cause: RVCSR, epc: RVCSR, status: RVCSR, enable: RVCSR),
        shift: UInt32, mask: Int32, _ trapReturn: UInt32
    ) {
        func read(_ rd: UInt32, _ csr: RVCSR) -> UInt32 { RVAssembly.readCSR(rd, UInt32(csr.rawValue)) }
        func write(_ csr: RVCSR, _ rs1: UInt32, _ rd: UInt32 = 0) -> UInt32 { RVAssembly.writeCSR(UInt32(csr.rawValue), rs1) | rd << 7 }
        func branch(_ function: UInt32, _ rs1: UInt32, _ rs2: UInt32, _ offset: Int) -> UInt32 {
            RVAssembly.branchIfNotEqual(rs1, rs2, Int32(offset)) & ~(7 << 12) | function << 12
        }
        func immediate(_ function: UInt32, _ register: UInt32, _ value: Int32) -> UInt32 { RVAssembly.addImmediate(register, register, value) | function << 12 }
        let (interrupt, toMachine) = (0x100, 0x200)
        let lookup: [UInt32] = [
            read(29, csrs.status), immediate(5, 29, Int32(shift)), immediate(7, 29, mask), immediate(1, 29, 8), Self.addTo29(31),
            RVAssembly.loadDouble(30, 31, 16), RVAssembly.addImmediate(30, 30, 8), immediate(7, 30, 0xf8), RVAssembly.storeDouble(30, 31, 16),
            Self.addTo29(30), RVAssembly.loadDouble(30, 29, 0x100), write(csrs.epc, 30),
        ]
        let leave: [UInt32] = [RVAssembly.loadDouble(29, 31, 8), RVAssembly.loadDouble(30, 31, 0), write(csrs.scratch, 31, 31), trapReturn]
        var code = [write(csrs.scratch, 31, 31), RVAssembly.storeDouble(30, 31, 0), RVAssembly.storeDouble(29, 31, 8), read(30, csrs.cause)]
        func jump(to target: Int, if function: UInt32, _ rs2: UInt32) { code.append(branch(function, 30, rs2, target - 4 * code.count)) }
        jump(to: interrupt, if: 4, 0)
        if mask == 3 {
            for cause in [1, 12] as [Int32] {
                code.append(RVAssembly.addImmediate(29, 0, cause))
                jump(to: toMachine, if: 0, 29)
            }
        }
        machine.place(code + lookup + leave, at: base)
        machine.place([write(csrs.enable, 0)] + leave, at: base + UInt64(interrupt))
        // MPP = M, by the two bits of 0x1800.
        machine.place([0x0000_2eb7, RVAssembly.addImmediate(29, 29, -0x800), read(0, .mstatus) | 29 << 15] + lookup + leave, at: base + UInt64(toMachine))
    }

    // MARK: Registers

    /// Registers that generated code mostly uses as addresses; compressed code reaches some of them.
    static let pointers: [Int] = [2, 8, 9, 10, 18, 21]
    /// Registers that hold what is worth storing into code: instructions.
    static let instructions: [Int] = [11, 22]

    /// Puts the hart where the code starts.
    func start(_ machine: FuzzMachine, seed: UInt64) {
        var random = SplitMix(seed: seed)
        let cpu = machine.cpu
        for register in 1..<32 { cpu.x[register] = Self.value(&random) }
        for register in 0..<32 { cpu.f[register] = Self.floatValue(&random) }

        let privilege = [Mode.machine, Mode.supervisor, Mode.user][random.below(3)]
        let isTranslated = privilege != Mode.machine && random.below(4) != 0
        let space = FuzzMap.spaces[random.below(2)]
        let machineData = random.below(8) == 0
        for register in Self.pointers { cpu.x[register] = address(&random, isTranslated: isTranslated || machineData) }
        for register in Self.instructions { cpu.x[register] = UInt64(code[random.below(code.count)]) }
        // For csrw satp.
        cpu.x[23] = FuzzMap.spaces[random.below(2)]

        machine[.pmpaddr0] = .max
        machine[.pmpcfg0] = 0x1f
        machine[.satp] = isTranslated || machineData ? space : 0
        machine[.mtvec] = FuzzMap.machineHandler
        machine[.stvec] = FuzzMap.supervisorHandler
        machine[.mscratch] = FuzzMap.machineSave
        machine[.sscratch] = FuzzMap.supervisorSave
        // Fetches that fail go to M-mode.
        machine[.medeleg] = random.below(2) == 0 ? 0 : ~(1 << 0 | 1 << 1 | 1 << 12)
        machine[.mideleg] = random.below(2) == 0 ? 0 : .max
        machine[.mie] = random.below(2) == 0 ? 0 : .max
        machine[.mcounteren] = .max
        machine[.scounteren] = .max
        // Landing pads, shadow stacks and pointer masking now and then, each by itself. Drawn apart: saved cases keep their registers.
        var rare = SplitMix(seed: seed ^ 0x2f1a_55)
        func environment() -> UInt64 { ([1 << 2, 1 << 3, 3 << 32] as [UInt64]).reduce(UInt64.max) { rare.below(8) == 0 ? $0 : $0 & ~$1 } }
        machine[.menvcfg] = (random.below(4) == 0 ? random.next() : .max) & environment()
        machine[.senvcfg] = environment()
        machine[.mseccfg] = environment() & (3 << 32) | (rare.below(8) == 0 ? 1 << 10 : 0)
        machine[.ssp] = FuzzMap.window + UInt64(Self.window.count + rare.below(Self.shadowStacks.count)) << 12 + 0x800
        var status: UInt64 = random.below(16) == 0 ? UInt64(random.below(4)) << 13 : 3 << 13
        // MIE, SIE, SUM, MXR; translated data accesses from M-mode.
        status |= random.next() & (1 << 3 | 1 << 1 | 1 << 18 | 1 << 19)
        if machineData && privilege == Mode.machine { status |= 1 << 17 | UInt64(random.below(2)) << 11 }
        // Vectors draw their own numbers, so that cases saved before there were any start as they did.
        var vectors = SplitMix(seed: seed ^ 0x7665_6374)
        status |= vectors.below(16) == 0 ? UInt64(vectors.below(4)) << 9 : 3 << 9
        for offset in stride(from: 0, to: 32 * cpu.vlenb, by: 8) { 
            // Pairs of singles and doubles of all kinds, among other things.
            let kind = vectors.below(4)
            let value = kind < 2 ? Self.value(&vectors) : kind == 2 ? Self.floatValue(&vectors) : Self.floatValue(&vectors) << 32 | Self.floatValue(&vectors) & 0xffff_ffff
            cpu.v.storeBytes(of: value, toByteOffset: offset, as: UInt64.self)
        }
        machine[.mstatus] = status
        // Interrupts start disabled where the processor has non-maskable ones.
        machine[.mnstatus] = 8
        machine[.fcsr] = UInt64(random.below(8) == 0 ? random.below(8) : random.below(5)) << 5
        if status >> 13 & 3 != 3 { machine[.mstatus] = status }

        // Where handlers go on, by privilege.
        let addresses = segmentAddresses
        let supervisor = addresses, user = isTranslated || machineData ? addresses.map { $0 - FuzzMap.code + FuzzMap.userCode } : addresses
        for slot in 0..<32 {
            let at = UInt64(8 * slot)
            machine.store(FuzzMap.machineSave + 0x100 + at, user[slot % user.count])
            machine.store(FuzzMap.machineSave + 0x200 + at, supervisor[slot % supervisor.count])
            machine.store(FuzzMap.machineSave + 0x400 + at, addresses[slot % addresses.count])
            machine.store(FuzzMap.supervisorSave + 0x100 + at, user[slot % user.count])
            machine.store(FuzzMap.supervisorSave + 0x200 + at, supervisor[slot % supervisor.count])
        }
        machine.store(FuzzMap.machineSave + 16, 0)
        machine.store(FuzzMap.supervisorSave + 16, 0)
        cpu.privilege = privilege
        cpu.pc = privilege == Mode.user ? user[0] : addresses[0]
    }

    /// Somewhere a load or store is interesting.
    private func address(_ random: inout SplitMix, isTranslated: Bool) -> UInt64 {
        let offset = [0x800, 0x7f8, 0x000, 0xffc, 0xfff, 0xff8, 0x10, 0x20, 0x801, 0x40][random.below(10)] as UInt64
        let codeAddress = segmentAddresses[random.below(segmentAddresses.count)]
        if isTranslated {
            switch random.below(8) {
            case 0...4: return FuzzMap.window + UInt64(random.below(Self.window.count)) << 12 + offset
            case 5: return codeAddress - FuzzMap.code + FuzzMap.userCode
            case 6: return codeAddress
            default: return FuzzMap.data + UInt64(random.below(FuzzMap.dataPages)) << 12 + offset
            }
        }
        switch random.below(12) {
        case 0: return FuzzMap.rom + offset
        case 1: return FuzzMap.device + offset
        case 2: return 0x2000_0000 + offset
        case 3, 4: return codeAddress
        case 5: return FuzzMap.ram + FuzzMap.ramSize - 4096 + offset
        default: return FuzzMap.data + UInt64(random.below(FuzzMap.dataPages)) << 12 + offset
        }
    }

    static func value(_ random: inout SplitMix) -> UInt64 {
        switch random.below(6) {
        case 0: [0, 1, 2, 63, 64, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 1 << 63, .max, .max - 1, .max >> 1][random.below(12)]
        case 1: UInt64(bitPattern: Int64(Int32(truncatingIfNeeded: random.next())))
        case 2: random.next() & 0xffff_ffff
        case 3: UInt64(random.below(16))
        default: random.next() >> UInt64(random.below(64))
        }
    }

    static func floatValue(_ random: inout SplitMix) -> UInt64 {
        let boxed = 0xffff_ffff_0000_0000 as UInt64
        switch random.below(8) {
        case 0:
            return [
                0, 1 << 63, 0x7ff0 << 48, 0xfff0 << 48, 0x7ff8 << 48, 0x7ff4 << 48, 0x3ff0 << 48, 1, 0x000f_ffff_ffff_ffff, 0x7fef_ffff_ffff_ffff,
                0x43e0 << 48, 0xc3e0 << 48,
            ][random.below(12)]
        case 1: return boxed | [0, 0x8000_0000, 0x7f80_0000, 0xff80_0000, 0x7fa0_0000, 0x7fc0_0000, 0x3f80_0000, 1, 0x007f_ffff, 0x7f7f_ffff, 0x4f00_0000, 0xcf00_0000][random.below(12)]
        case 2: return (Double(Int32(truncatingIfNeeded: random.next())) / 16).bitPattern
        case 3: return boxed | UInt64((Float(Int16(truncatingIfNeeded: random.next())) / 8).bitPattern)
        case 4: return boxed | random.next() & 0xffff_ffff
        case 5: return 0xffff_ffff_ffff_0000 | random.next() & 0xffff
        // Near each other in size, so that sums cancel and round.
        case 6: return 0x3ff0 << 48 ^ random.next() >> 10
        default: return random.next()
        }
    }
}
