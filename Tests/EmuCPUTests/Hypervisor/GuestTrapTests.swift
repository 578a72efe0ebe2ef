import EmuBus
import EmuCPU
import Testing

/// Traps from and to guests (privileged manual, "Trap Entry", "Trap Return"), and the instructions that trap.
@Suite struct GuestTrapTests {
    static let illegal: UInt64 = 2, virtual: UInt64 = 22
    static let interrupt: UInt64 = 1 << 63

    @Test("a guest's trap goes where medeleg and hedeleg send it", arguments: [Mode.user, Mode.supervisor], [0, 1, 2])
    func delegation(privilege: UInt8, level: Int) throws {
        let hart = try TestHart("rv64,h=on")
        (hart[.mtvec], hart[.stvec], hart[.vstvec]) = (0x8000_0100, 0x8000_0200, 0x8000_0300)
        hart[.medeleg] = level > 0 ? 1 << 13 : 0
        hart[.hedeleg] = level > 1 ? 1 << 13 : 0
        hart[.vsstatus] = 2
        hart[.hstatus] = privilege == Mode.user ? 1 << 8 : 0
        hart.cpu.privilege = privilege
        hart.cpu.isGuest = true
        hart.cpu.takeTrap(cause: 13, value: 0xbad, pc: 0x8000_0044)
        let spp = UInt64(privilege) << 8
        switch level {
        case 0:
            #expect(hart.cpu.mode == 3 && hart.cpu.pc == 0x8000_0100 && hart[.mcause] == 13 && hart[.mepc] == 0x8000_0044 && hart[.mtval] == 0xbad)
            #expect(hart[.mstatus] >> 39 & 1 == 1 && hart[.mstatus] >> 11 & 3 == UInt64(privilege))
            #expect(hart.execute(.mret) && hart.cpu.privilege == privilege && hart.cpu.isGuest && hart[.mstatus] >> 39 & 1 == 0)
        case 1:
            #expect(hart.cpu.mode == 1 && hart.cpu.pc == 0x8000_0200 && hart[.scause] == 13 && hart[.sepc] == 0x8000_0044 && hart[.stval] == 0xbad)
            // SPV, and SPVP as SPP.
            #expect(hart[.hstatus] & 0x180 == 0x80 | spp && hart[.sstatus] & 0x100 == spp)
            #expect(hart[.vsstatus] & 0x122 == 2)
            #expect(hart.execute(.sret) && hart.cpu.privilege == privilege && hart.cpu.isGuest && hart[.hstatus] & 0x80 == 0)
        default:
            #expect(hart.cpu.mode == 5 && hart.cpu.pc == 0x8000_0300 && hart[.vscause] == 13 && hart[.vsepc] == 0x8000_0044 && hart[.vstval] == 0xbad)
            #expect(hart[.vsstatus] & 0x122 == spp | 0x20 && hart[.scause] == 0 && hart[.hstatus] & 0x80 == 0)
            #expect(hart.execute(.sret) && hart.cpu.privilege == privilege && hart.cpu.isGuest && hart[.vsstatus] & 0x122 == 0x22)
        }
    }

    @Test("traps of the host leave SPVP alone and write SPV")
    func hostTraps() throws {
        let hart = try TestHart("rv64,h=on")
        hart[.medeleg] = .max
        hart[.hedeleg] = .max
        hart[.hstatus] = 1 << 8 | 1 << 7
        hart.cpu.privilege = Mode.user
        hart.cpu.takeTrap(cause: 13, value: 1, pc: 0)
        #expect(hart.cpu.mode == 1 && hart[.hstatus] & 0x180 == 0x100)
        // MRET goes by MPV, but not to M-mode.
        hart.cpu.privilege = Mode.machine
        hart[.mstatus] = 1 << 39 | 3 << 11
        #expect(hart.execute(.mret) && hart.cpu.mode == 3)
        hart[.mstatus] = 1 << 39
        #expect(hart.execute(.mret) && hart.cpu.mode == 4)
    }

    @Test("GVA says that xtval holds a guest's address", arguments: [
        (0, true), (1, true), (2, false), (3, true), (4, true), (5, true), (6, true), (7, true), (8, false), (10, false), (12, true), (13, true), (15, true),
        (18, false), (20, true), (21, true), (22, false), (23, true),
    ] as [(UInt64, Bool)])
    func guestAddresses(cause: UInt64, tells: Bool) throws {
        for toHost in [false, true] {
            let hart = try TestHart("max")
            hart[.medeleg] = toHost ? .max : 0
            hart.cpu.privilege = Mode.supervisor
            hart.cpu.isGuest = true
            // Data: what the failing access went through.
            _ = hart.execute(.ecall)
            hart.cpu.takeTrap(cause: cause, value: 0x10, pc: 0)
            let isDelegated = toHost && hart[.medeleg] >> cause & 1 != 0
            #expect((isDelegated ? hart[.hstatus] >> 6 & 1 : hart[.mstatus] >> 38 & 1) == (tells ? 1 : 0), "to \(isDelegated ? "HS" : "M")")
            hart.cpu.privilege = Mode.supervisor
            _ = hart.execute(.ecall)
            hart.cpu.takeTrap(cause: cause, value: 0x10, pc: 0)
            #expect((isDelegated ? hart[.hstatus] >> 6 & 1 : hart[.mstatus] >> 38 & 1) == 0)
        }
    }

    @Test func environmentCallsTellTheirMode() throws {
        let hart = try TestHart("rv64,h=on")
        for (privilege, isGuest, cause) in [(Mode.user, true, 8), (Mode.supervisor, true, 10), (Mode.supervisor, false, 9), (Mode.machine, false, 11)] as [(UInt8, Bool, UInt64)] {
            hart.cpu.privilege = privilege
            hart.cpu.isGuest = isGuest
            #expect(!hart.execute(.ecall) && hart.cpu.raised == (cause, 0))
        }
    }

    /// An instruction, what sets it up, and what it raises in U, HS, VU and VS.
    struct Rule: Sendable, CustomStringConvertible {
        var op: RVOp
        var status: UInt64 = 0
        var hypervisorStatus: UInt64 = 0
        var faults: [UInt64?]
        var description: String { "\(op), mstatus \(hex(status)), hstatus \(hex(hypervisorStatus))" }
    }

    private static let tvm: UInt64 = 1 << 20, tw: UInt64 = 1 << 21, tsr: UInt64 = 1 << 22

    static let rules: [Rule] = [
        Rule(op: .mret, faults: [2, 2, 2, 2]),
        Rule(op: .sret, faults: [2, nil, 22, nil]), Rule(op: .sret, status: tsr, faults: [2, 2, 22, nil]),
        Rule(op: .sret, hypervisorStatus: tsr, faults: [2, nil, 22, 22]),
        Rule(op: .wfi, faults: [2, nil, 22, nil]), Rule(op: .wfi, status: tw, faults: [2, 2, 2, 2]), Rule(op: .wfi, hypervisorStatus: tw, faults: [2, nil, 22, 22]),
        Rule(op: .wfi, status: tw, hypervisorStatus: tw, faults: [2, 2, 2, 2]),
        Rule(op: .wrs_nto, faults: [nil, nil, nil, nil]), Rule(op: .wrs_nto, status: tw, faults: [2, 2, 2, 2]),
        Rule(op: .wrs_nto, hypervisorStatus: tw, faults: [nil, nil, 22, 22]), Rule(op: .wrs_sto, status: tw, hypervisorStatus: tw, faults: [nil, nil, nil, nil]),
        Rule(op: .sfence_vma, faults: [2, nil, 22, nil]), Rule(op: .sfence_vma, status: tvm, faults: [2, 2, 22, nil]),
        Rule(op: .sfence_vma, hypervisorStatus: tvm, faults: [2, nil, 22, 22]),
        Rule(op: .sinval_vma, faults: [2, nil, 22, nil]), Rule(op: .sinval_vma, hypervisorStatus: tvm, faults: [2, nil, 22, 22]),
        Rule(op: .sfence_w_inval, status: tvm, hypervisorStatus: tvm, faults: [2, nil, 22, nil]),
        Rule(op: .sfence_inval_ir, status: tvm, hypervisorStatus: tvm, faults: [2, nil, 22, nil]),
        Rule(op: .hfence_vvma, status: tvm, hypervisorStatus: tvm, faults: [2, nil, 22, 22]), Rule(op: .hinval_vvma, status: tvm, faults: [2, nil, 22, 22]),
        Rule(op: .hfence_gvma, faults: [2, nil, 22, 22]), Rule(op: .hfence_gvma, status: tvm, faults: [2, 2, 22, 22]),
        Rule(op: .hinval_gvma, hypervisorStatus: tvm, faults: [2, nil, 22, 22]), Rule(op: .hinval_gvma, status: tvm, faults: [2, 2, 22, 22]),
    ]

    @Test("instructions that trap, and how", arguments: rules)
    func instructions(rule: Rule) throws {
        for (index, expected) in rule.faults.enumerated() {
            let hart = try TestHart("rv64,h=on")
            hart.set(.mstatus, rule.status)
            hart.set(.hstatus, rule.hypervisorStatus)
            hart.cpu.privilege = index % 2 == 0 ? Mode.user : Mode.supervisor
            hart.cpu.isGuest = index >= 2
            let done = hart.execute(rule.op)
            #expect((done ? nil : hart.cpu.raised.cause) == expected, "in \(["U", "HS", "VU", "VS"][index])")
            // xtval as for an illegal instruction.
            if !done { #expect(hart.cpu.raised.value == 0x1234) }
        }
    }

    @Test("cache-block instructions: what menvcfg withholds is illegal, what henvcfg or senvcfg does is the hypervisor's", arguments: [
        (RVOp.cbo_inval, 0x30), (.cbo_clean, 0x40), (.cbo_flush, 0x40), (.cbo_zero, 0x80),
    ] as [(RVOp, UInt64)])
    func cacheBlocks(op: RVOp, field: UInt64) throws {
        for choice in 0..<8 as Range<UInt64> {
            let hart = try TestHart("rv64,h=on")
            hart[.menvcfg] = choice & 1 != 0 ? field : 0
            hart[.henvcfg] = choice & 2 != 0 ? field : 0
            hart[.senvcfg] = choice & 4 != 0 ? field : 0
            for privilege in [Mode.user, Mode.supervisor] {
                hart.cpu.privilege = privilege
                hart.cpu.isGuest = true
                let expected: UInt64? = choice & 1 == 0 ? 2 : choice & 2 == 0 || privilege == Mode.user && choice & 4 == 0 ? 22 : nil
                #expect((hart.execute(op) ? nil : hart.cpu.raised.cause) == expected, "\(op), \(choice), privilege \(privilege)")
            }
        }
    }

    @Test("double traps of a guest: henvcfg.DTE, and vsstatus.SDT")
    func doubleTraps() throws {
        let hart = try TestHart("max")
        hart[.medeleg] = .max
        hart[.hedeleg] = .max
        hart[.menvcfg] = 1 << 59
        hart[.henvcfg] = 1 << 59
        hart.cpu.privilege = Mode.supervisor
        hart.cpu.isGuest = true
        hart.cpu.takeTrap(cause: 13, value: 0, pc: 0)
        #expect(hart.cpu.mode == 5 && hart[.vsstatus] >> 24 & 1 == 1 && hart[.sstatus] >> 24 & 1 == 0)
        hart.cpu.takeTrap(cause: 15, value: 0x77, pc: 0x44)
        #expect(hart.cpu.mode == 3 && hart[.mcause] == 16 && hart[.mtval2] == 15 && hart[.mtval] == 0x77 && hart[.mstatus] >> 39 & 1 == 1)
        // A return to VU-mode has dealt with both.
        hart.set(.vsstatus, 1 << 24)
        hart.clear(.mstatus, 3 << 11)
        hart.set(.mstatus, 1 << 39 | 1 << 24)
        #expect(hart.execute(.mret) && hart.cpu.mode == 4 && hart[.vsstatus] >> 24 & 1 == 0 && hart[.sstatus] >> 24 & 1 == 0)
    }

    @Test("a guest that waits is woken by what is pending for it or for others")
    func waiting() throws {
        let hart = try TestHart("rv64,h=on")
        hart.cpu.privilege = Mode.supervisor
        hart.cpu.isGuest = true
        #expect(hart.execute(.wfi) && hart.cpu.isWaiting)
        hart[.hideleg] = 0x444
        hart[.hie] = 0x40
        hart[.hvip] = 0x40
        #expect(!hart.cpu.isWaiting)
    }
}
