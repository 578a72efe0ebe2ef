import EmuBus
import EmuCPU
import Testing

/// Interrupts of guests (privileged manual, "Hypervisor Interrupt (hvip, hip, and hie) Registers"; AIA, "Interrupts for Virtual Machines").
@Suite struct GuestInterruptTests {
    static let interrupt: UInt64 = 1 << 63

    @Test("hvip makes VS-level interrupts pending; hideleg turns them into the guest's own", arguments: [(2, 1), (6, 5), (10, 9)] as [(UInt64, UInt64)])
    func injection(number: UInt64, guests: UInt64) throws {
        let hart = try TestHart("rv64,h=on")
        (hart[.stvec], hart[.vstvec]) = (0x8000_0201, 0x8000_0301)
        hart[.hvip] = 1 << number
        #expect(hart[.hip] == 1 << number && hart[.mip] == 1 << number && hart[.sip] == 0 && hart[.vsip] == 0)
        hart[.hie] = 1 << number
        #expect(hart[.mie] == 1 << number && hart[.sie] == 0 && hart[.vsie] == 0)
        // Not delegated: HS-mode's, in any guest.
        hart.cpu.privilege = Mode.supervisor
        hart.cpu.isGuest = true
        #expect(hart.cpu.pendingInterrupt() == Self.interrupt | number)
        hart[.hideleg] = .max
        #expect(hart[.vsip] == 1 << guests && hart[.vsie] == 1 << guests)
        #expect(hart.csr(.csrrs, .sip) == 1 << guests && hart.csr(.csrrs, .sie) == 1 << guests)
        // Delegated: only when the guest listens.
        #expect(hart.cpu.pendingInterrupt() == nil)
        #expect(hart.csr(.csrrs, .sstatus, 2) != nil)
        #expect(hart.cpu.pendingInterrupt() == Self.interrupt | guests)
        hart.cpu.privilege = Mode.user
        #expect(hart.cpu.pendingInterrupt() == Self.interrupt | guests)
        // Never outside of the guest.
        hart.cpu.isGuest = false
        #expect(hart.cpu.pendingInterrupt() == nil)
        hart.cpu.isGuest = true
        hart.cpu.takeTrap(cause: Self.interrupt | number, value: 0, pc: 0x40)
        #expect(hart.cpu.mode == 5 && hart[.vscause] == Self.interrupt | guests && hart.cpu.pc == 0x8000_0300 + 4 * guests && hart[.scause] == 0)
    }

    @Test("a guest writes its enables and its software interrupt, nothing else")
    func guestsWrites() throws {
        let hart = try TestHart("rv64,h=on")
        hart[.mideleg] = 1 << 13
        hart[.hideleg] = .max
        hart.cpu.privilege = Mode.supervisor
        hart.cpu.isGuest = true
        #expect(hart.csr(.csrrw, .sie, .max) != nil && hart[.vsie] == 0x2222 && hart[.hie] == 0x444 && hart[.mie] == 0x2444)
        #expect(hart.csr(.csrrw, .sip, .max) != nil && hart[.vsip] == 0x2002 && hart[.hvip] == 4 && hart[.mip] == 0x2004)
        #expect(hart.csr(.csrrw, .sip, 0) != nil && hart[.vsip] == 0)
        hart[.hideleg] = 0
        #expect(hart.csr(.csrrw, .sie, .max) != nil && hart.csr(.csrrw, .sip, .max) != nil && hart[.vsie] == 0 && hart[.vsip] == 0 && hart[.hvip] == 0)
        // hip has one bit that can be written.
        hart[.hip] = .max
        #expect(hart[.hip] == 4 && hart[.hvip] == 4)
    }

    @Test("HS-mode takes its interrupts in the manual's order")
    func priorities() throws {
        let hart = try TestHart("rv64,h=on")
        hart.cpu.guestFiles = [FakeFile()]
        hart[.mideleg] = .max
        hart[.mie] = .max
        hart[.hgeie] = 2
        hart.cpu.setInterrupt(RVProcessor.guestInput(1), level: true)
        hart[.hvip] = .max
        hart[.mip] = .max
        hart.cpu.privilege = Mode.user
        var order: [UInt64] = []
        while let cause = hart.cpu.pendingInterrupt() {
            order.append(cause & 63)
            hart.clear(.mie, 1 << (cause & 63))
        }
        #expect(order == [9, 1, 5, 12, 10, 2, 6, 13])
    }

    @Test("guest external interrupts: hgeip, VGEIN selects VSEIP, hgeie gathers SGEIP")
    func guestExternal() throws {
        let hart = try TestHart("rv64,h=on")
        #expect(hart[.mideleg] == 0x444)
        hart[.hgeie] = .max
        hart[.hstatus] = 1 << 12
        #expect(hart[.hgeie] == 0 && hart[.hstatus] >> 12 & 0x3f == 0)
        hart.cpu.guestFiles = [FakeFile(), FakeFile(), FakeFile()]
        #expect(hart[.mideleg] == 0x1444)
        hart[.hgeie] = .max
        #expect(hart[.hgeie] == 0xe)
        for number in 0..<8 as Range<UInt64> {
            hart[.hstatus] = 2 << 12
            hart[.hstatus] = number << 12
            #expect(hart[.hstatus] >> 12 & 0x3f == (number <= 3 ? number : 2))
        }
        hart[.hgeie] = 1 << 3
        hart[.hstatus] = 2 << 12
        hart.cpu.setInterrupt(RVProcessor.guestInput(2), level: true)
        #expect(hart[.hgeip] == 4 && hart[.hip] == 1 << 10)
        hart.cpu.setInterrupt(RVProcessor.guestInput(3), level: true)
        #expect(hart[.hgeip] == 0xc && hart[.hip] == 1 << 10 | 1 << 12)
        hart[.hstatus] = 1 << 12
        #expect(hart[.hip] == 1 << 12)
        hart.cpu.setInterrupt(RVProcessor.guestInput(3), level: false)
        #expect(hart[.hip] == 0 && hart[.hgeip] == 4)
        // Software may raise VSEIP, too.
        hart[.hvip] = 1 << 10
        #expect(hart[.hip] == 1 << 10)
    }

    @Test("vstimecmp is compared with the guest's time, and hvip.VSTIP is or'ed")
    func timer() throws {
        let hart = try TestHart("rv64,h=on")
        hart.set(.menvcfg, 1 << 63)
        hart[.henvcfg] = 1 << 63
        hart.events.advanceVirtual(to: 100_000)
        hart[.htimedelta] = 500
        hart[.vstimecmp] = 1501
        #expect(hart[.hip] & 0x40 == 0)
        hart[.htimedelta] = 501
        #expect(hart[.hip] & 0x40 == 0x40)
        hart[.vstimecmp] = 1600
        #expect(hart[.hip] & 0x40 == 0)
        // It is noticed by itself.
        hart.events.advanceVirtual(to: 109_900)
        hart.events.runDue()
        #expect(hart.cpu.inspectCSR(.hip) & 0x40 == 0x40)
        hart[.vstimecmp] = .max
        #expect(hart[.hip] & 0x40 == 0)
        hart[.hvip] = 0x40
        #expect(hart[.hip] & 0x40 == 0x40)
        hart[.hvip] = 0
        hart[.vstimecmp] = 0
        hart[.henvcfg] = 0
        #expect(hart[.hip] & 0x40 == 0)
    }

    // MARK: Advanced interrupt architecture

    private final class FakeFile: InterruptFile {
        var top: UInt64 = 0
        var written: [UInt64: UInt64] = [:]
        func read(_ selector: UInt64) -> UInt64 { written[selector] ?? 0 }
        func write(_ selector: UInt64, _ value: UInt64) { written[selector] = value }
        func claim() { top = 0 }
        func detachedCopy() -> any InterruptFile { FakeFile() }
    }

    private func prepared() throws -> (TestHart, FakeFile) {
        let hart = try GuestCSRTests.open()
        let file = FakeFile()
        hart.cpu.supervisorFile = FakeFile()
        hart.cpu.guestFiles = [FakeFile(), file]
        hart[.mstateen0] = .max
        hart[.hstateen0] = .max
        hart[.hstatus] = 2 << 12
        return (hart, file)
    }

    @Test("a guest reaches the interrupt file VGEIN names by the supervisor's registers")
    func interruptFile() throws {
        let (hart, file) = try prepared()
        hart.cpu.privilege = Mode.supervisor
        hart.cpu.isGuest = true
        #expect(hart.csr(.csrrw, .siselect, 0x70) != nil && hart.csr(.csrrw, .sireg, 1) == 0 && file.written == [0x70: 1])
        #expect(hart.csr(.csrrs, .sireg) == 1)
        file.top = 7
        #expect(hart.csr(.csrrw, .stopei, 0) == 7 << 16 | 7 && file.top == 0)
        hart.cpu.isGuest = false
        #expect(hart.csr(.csrrs, .vsiselect) == 0x70 && hart.csr(.csrrs, .vsireg) == 1 && hart.csr(.csrrs, .vstopei) == 0)
        // Without a file: virtual for the guest, illegal for its host.
        hart[.hstatus] = 0
        for csr in [RVCSR.sireg, .stopei] { #expect(GuestCSRTests.fault(hart, csr) == 22, "\(csr)") }
        for csr in [RVCSR.vsireg, .vstopei] { #expect(GuestCSRTests.fault(hart, csr, .csrrs, guest: false) == 2, "\(csr)") }
        hart[.hstatus] = 2 << 12
        hart.clear(.hstateen0, 1 << 58)
        for csr in [RVCSR.sireg, .stopei] { #expect(GuestCSRTests.fault(hart, csr) == 22, "\(csr) by hstateen0") }
    }

    @Test("what vsiselect selects decides the exception of sireg", arguments: [
        (0x30, 22), (0x3f, 22), (0x40, 22), (0x5f, 22), (0x70, nil), (0x81, 22), (0x82, nil), (0xff, 22), (0x100, 2), (0, 2),
    ] as [(UInt64, UInt64?)])
    func selectors(selector: UInt64, fault: UInt64?) throws {
        let (hart, _) = try prepared()
        hart[.vsiselect] = selector
        #expect(GuestCSRTests.fault(hart, .sireg) == fault)
        #expect(GuestCSRTests.fault(hart, .sireg, .csrrs, guest: true, Mode.user) == 22)
        #expect(GuestCSRTests.fault(hart, .vsireg, .csrrs, guest: false) == (fault == nil ? nil : 2))
        if (0x40...0x5f).contains(selector) {
            hart.clear(.menvcfg, 1 << 60)
            #expect(GuestCSRTests.fault(hart, .sireg) == 2)
        }
        hart.clear(.hstateen0, 1 << 60)
        #expect(GuestCSRTests.fault(hart, .sireg) == 22 || hart[.menvcfg] >> 60 & 1 == 0)
        hart.clear(.mstateen0, 1 << 60)
        #expect(GuestCSRTests.fault(hart, .sireg) == 2)
    }

    @Test("vstopi, by vsip, hvictl and the interrupt file", arguments: [
        // ready bits of vsip and vsie, hvictl, top of the file (0: VGEIN is 0), expected identity and priority
        (0, 0, 0, 0, 0), (1 << 5, 0, 0, 5, 1), (1 << 5 | 1 << 1, 0, 0, 1, 1), (1 << 9 | 1 << 1, 0, 0, 9, 1),
        // IPRIOM: the priority number is told; 256 as 255.
        (1 << 9, 1 << 8, 0, 9, 255), (1 << 9, 1 << 8, 7, 9, 7), (1 << 9, 1 << 8 | 9 << 16 | 42, 0, 9, 42),
        // VTI: hvictl's interrupt in the place of vsip's others.
        (1 << 1, 1 << 30 | 9 << 16, 0, 0, 0), (0, 1 << 30 | 13 << 16 | 5, 0, 13, 1), (1 << 9, 1 << 30 | 1 << 8 | 13 << 16 | 5, 7, 13, 5),
        (1 << 9, 1 << 30 | 1 << 8 | 13 << 16 | 9, 7, 9, 7), (1 << 9, 1 << 30 | 1 << 8 | 13 << 16 | 7, 7, 13, 7), (1 << 9, 1 << 30 | 1 << 9 | 1 << 8 | 13 << 16 | 7, 7, 9, 7),
        (1 << 9, 1 << 30 | 1 << 8 | 13 << 16, 7, 13, 0), (1 << 9, 1 << 30 | 1 << 9 | 1 << 8 | 13 << 16, 7, 9, 7), (0, 1 << 30 | 1 << 9 | 1 << 8 | 13 << 16, 0, 13, 255),
    ] as [(UInt64, UInt64, UInt64, UInt64, UInt64)])
    func top(ready: UInt64, control: UInt64, top: UInt64, identity: UInt64, priority: UInt64) throws {
        let (hart, file) = try prepared()
        hart[.hideleg] = .max
        hart[.hie] = 0x444
        hart[.hvip] = (ready & 0x222) << 1
        hart[.hvictl] = control
        file.top = top
        hart[.hstatus] = top == 0 ? 0 : 2 << 12
        #expect(hart[.vstopi] == identity << 16 | priority)
        hart.cpu.privilege = Mode.user
        hart.cpu.isGuest = true
        #expect(hart.cpu.pendingInterrupt() == (identity | priority == 0 ? nil : Self.interrupt | identity))
    }

    @Test("hvictl.VTI hides sip, sie and writes of stimecmp from the guest")
    func virtualTrapInterrupts() throws {
        let (hart, _) = try prepared()
        hart[.hvictl] = 1 << 30 | 9 << 16
        for csr in [RVCSR.sip, .sie] { #expect(GuestCSRTests.fault(hart, csr) == 22, "\(csr)") }
        #expect(GuestCSRTests.fault(hart, .stimecmp) == nil && GuestCSRTests.fault(hart, .stimecmp, .csrrw) == 22)
    }

    @Test("hvien and hvip inject a counter overflow, which the guest enables for itself")
    func injectedOverflow() throws {
        let (hart, _) = try prepared()
        hart[.hvien] = .max
        hart[.hvip] = 1 << 13
        #expect(hart[.hvien] == 1 << 13 && hart[.vsip] == 1 << 13 && hart[.mip] & 1 << 13 == 0)
        hart.cpu.privilege = Mode.supervisor
        hart.cpu.isGuest = true
        #expect(hart.csr(.csrrw, .sie, .max) != nil && hart[.vsie] == 1 << 13 && hart[.mie] == 0)
        #expect(hart.csr(.csrrs, .sstatus, 2) != nil && hart.cpu.pendingInterrupt() == Self.interrupt | 13)
        #expect(hart.csr(.csrrw, .sip, 0) != nil && hart[.vsip] == 0 && hart[.hvip] == 0)
    }
}
