import EmuBus
import EmuControl
import EmuMachine
import TestSupport
import Testing

/// Stepping, running and stopping.
@Suite struct SessionTests {
    private static let ram = DebugGuest.ram

    /// main: calls `twice` at +0x40 three times, then loops for ever. x5 counts calls, x6 what the callee does.
    private static func callingGuest(harts: Int = 1) throws -> DebugGuest {
        let guest = try DebugGuest([
            RVAssembly.addImmediate(5, 0, 0), RVAssembly.addImmediate(2, 0, 0), RVAssembly.call(0x38), RVAssembly.addImmediate(5, 5, 1),
            RVAssembly.call(0x30), RVAssembly.addImmediate(5, 5, 1), RVAssembly.call(0x28), RVAssembly.addImmediate(5, 5, 1), RVAssembly.jump(0),
        ], harts: harts)
        guest.place([RVAssembly.addImmediate(6, 6, 1), RVAssembly.addImmediate(6, 6, 1), RVAssembly.jumpRegister(0, 1)], at: ram + 0x40)
        try guest.begin()
        return guest
    }

    @Test("a session starts at the reset vector, with nothing executed")
    func start() throws {
        let guest = try DebugGuest([])
        #expect(guest.session.pc == 0x1000)
        #expect(guest.machine.harts[0].cycles == 0)
    }

    @Test("a step executes one instruction; many steps as many")
    func steps() throws {
        let guest = try Self.callingGuest()
        #expect(try guest.session.step().pc == Self.ram + 4)
        #expect(try guest.session.step(2).pc == Self.ram + 0x40)
        #expect(guest.machine.harts[0].cycles == 3)
    }

    @Test("a request to stop that nobody had to serve eats no step")
    func leftOverRequest() throws {
        let guest = try Self.callingGuest()
        guest.session.interrupt()
        #expect(try guest.session.step().pc == Self.ram + 4)
    }

    @Test("steps within a range end outside it, or at a breakpoint in it that they come to")
    func rangeSteps() throws {
        let guest = try Self.callingGuest()
        #expect(try guest.session.step(within: Self.ram..<Self.ram + 8).pc == Self.ram + 8)
        let id = try guest.session.addBreakpoint(.code(address: Self.ram + 0x44, isPhysical: false), location: "x")
        let stop = try guest.session.step(within: Self.ram..<Self.ram + 0x100)
        #expect(stop.pc == Self.ram + 0x44 && stop.breakpoints == [id] && guest.session.breakpoint(id)?.hits == 1)
        // It is not told again.
        #expect(try guest.session.step(within: Self.ram + 0x40..<Self.ram + 0x4c).pc == Self.ram + 0xc)
    }

    @Test("harts that are held get no turns while the others run")
    func heldHarts() throws {
        let guest = try DebugGuest([RVAssembly.addImmediate(5, 5, 1), RVAssembly.jump(-4)], harts: 3)
        try guest.begin()
        guest.session.heldHarts = [0, 2]
        try guest.session.addBreakpoint(.code(address: Self.ram, isPhysical: false), location: "x", condition: "$x5 == 1000")
        #expect(try guest.session.resume().hart == 1)
        #expect(guest.machine.harts.map { $0.cycles > 0 } == [false, true, false])
    }

    @Test("next runs over a call, finish runs to the caller, advance and until to a place")
    func overCalls() throws {
        let guest = try Self.callingGuest()
        _ = try guest.session.step(2)
        #expect(try guest.session.next().pc == Self.ram + 0xc)
        #expect(guest["t1"] == 2)
        _ = try guest.session.step(3)
        #expect(guest.session.pc == Self.ram + 0x44)
        let stop = try guest.session.finish()
        #expect(stop.pc == Self.ram + 0x14)
        guard case .location = stop.reason else { Issue.record("\(stop)"); return }
        #expect(try guest.session.advance(Self.ram + 0x40).pc == Self.ram + 0x40)
        // The function returns before its first instruction comes again.
        #expect(try guest.session.until(Self.ram + 0x40).pc == Self.ram + 0x1c)
        #expect(guest.session.breakpoints.isEmpty)
    }

    @Test("a breakpoint stops each time before its instruction, continues from it, and counts")
    func breakpoints() throws {
        let guest = try Self.callingGuest()
        let id = try guest.session.addBreakpoint(.code(address: Self.ram + 0x44, isPhysical: false), location: "x")
        for hits in 1...3 {
            let stop = try guest.session.resume()
            #expect(stop.pc == Self.ram + 0x44)
            #expect(stop.breakpoints == [id])
            #expect(guest["x6"] == UInt64(2 * hits - 1))
            #expect(guest.session.breakpoint(id)?.hits == hits)
        }
    }

    @Test("guest memory never holds a breakpoint: what reads its own code sees the code, what overwrites it changes nothing")
    func breakpointsAreNotInMemory() throws {
        // Loads the instruction with the breakpoint, then overwrites it with the addition of 7.
        let guest = try DebugGuest([
            RVAssembly.addUpper(10, pages: 0), RVAssembly.loadDouble(11, 10, 0x20), RVAssembly.storeDouble(12, 10, 0x20), RVAssembly.jump(0x14),
            RVAssembly.nop, RVAssembly.nop, RVAssembly.nop, RVAssembly.nop, RVAssembly.addImmediate(7, 0, 1), RVAssembly.jump(0),
        ])
        try guest.begin()
        guest["a2"] = UInt64(RVAssembly.addImmediate(7, 0, 7)) | UInt64(RVAssembly.jump(0)) << 32
        try guest.session.addBreakpoint(.code(address: Self.ram + 0x20, isPhysical: false), location: "x")
        #expect(try guest.session.resume().pc == Self.ram + 0x20)
        #expect(guest["a1"] == UInt64(RVAssembly.addImmediate(7, 0, 1)) | UInt64(RVAssembly.jump(0)) << 32)
        #expect(try guest.session.step().pc == Self.ram + 0x24)
        #expect(guest["x7"] == 7)
    }

    @Test("temporary, disabled, ignored and conditional breakpoints stop when they should and only then")
    func kinds() throws {
        let place = Breakpoint.Kind.code(address: Self.ram + 0x44, isPhysical: false)
        let temporary = try Self.callingGuest()
        let id = try temporary.session.addBreakpoint(place, location: "x", isTemporary: true)
        #expect(try temporary.session.resume().breakpoints == [id])
        #expect(temporary.session.userBreakpoints.isEmpty)

        let ignoring = try Self.callingGuest()
        let ignored = try ignoring.session.addBreakpoint(place, location: "x")
        try ignoring.session.changeBreakpoint(ignored) { $0.ignoreCount = 2 }
        #expect(try ignoring.session.resume().pc == Self.ram + 0x44)
        #expect(ignoring["x6"] == 5)

        let conditional = try Self.callingGuest()
        let disabled = try conditional.session.addBreakpoint(.code(address: Self.ram + 0x40, isPhysical: false), location: "x")
        try conditional.session.changeBreakpoint(disabled) { $0.isEnabled = false }
        try conditional.session.addBreakpoint(place, location: "x", condition: "$x6 == 3 && $pc == 0x80000044")
        #expect(try conditional.session.resume().pc == Self.ram + 0x44)
        #expect(conditional["x6"] == 3)
    }

    @Test("a condition that cannot be computed stops and says why")
    func badCondition() throws {
        let guest = try Self.callingGuest()
        let id = try guest.session.addBreakpoint(.code(address: Self.ram + 0x40, isPhysical: false), location: "x", condition: "*(u32*)0x50000000 == 1")
        #expect(try guest.session.resume().breakpoints == [id])
        #expect(guest.session.breakpoint(id)?.problem?.contains("0x50000000") == true)
    }

    @Test("a watchpoint stops after the access it is about, with old and new value")
    func watchpoints() throws {
        let guest = try DebugGuest([
            RVAssembly.storeDouble(11, 10, 0), RVAssembly.storeDouble(11, 10, 0), RVAssembly.loadDouble(12, 10, 0), RVAssembly.storeDouble(0, 10, 0),
            RVAssembly.jump(0),
        ])
        try guest.begin()
        guest["a0"] = Self.ram + 0x1000
        guest["a1"] = 0x1122_3344_5566_7788
        let watched = Breakpoint.Kind.data(address: Self.ram + 0x1002, length: 2, isPhysical: false, .change)
        let id = try guest.session.addBreakpoint(watched, location: "x")
        var stop = try guest.session.resume()
        #expect(stop.pc == Self.ram + 4)
        guard case .watchpoint([id], let access) = stop.reason else { Issue.record("\(stop)"); return }
        #expect(access == Stop.Access(isWrite: true, address: Self.ram + 0x1002, size: 2, old: 0, new: 0x5566, pc: Self.ram))
        // The second store changes nothing, the load is none.
        stop = try guest.session.resume()
        #expect(stop.pc == Self.ram + 0x10)
        #expect(guest.session.breakpoint(id)?.hits == 2)
    }

    @Test("a value condition sees the access: $new, $old")
    func watchConditions() throws {
        let guest = try DebugGuest([RVAssembly.addImmediate(11, 11, 1), RVAssembly.storeDouble(11, 10, 0), RVAssembly.jump(-8)])
        try guest.begin()
        guest["a0"] = Self.ram + 0x1000
        try guest.session.addBreakpoint(
            .data(address: Self.ram + 0x1000, length: 8, isPhysical: true, .write), location: "x", condition: "$new == 10 && $old == 9")
        _ = try guest.session.resume()
        #expect(guest["a1"] == 10)
    }

    @Test("exceptions, CSR writes and privilege changes are caught; others run on")
    func events() throws {
        let guest = try DebugGuest([RVAssembly.writeCSR(0x340, 10), RVAssembly.environmentCall, RVAssembly.breakpoint])
        guest.place([RVAssembly.jump(0)], at: Self.ram + 0x100)
        try guest.begin()
        guest["mtvec"] = Self.ram + 0x100
        guest["a0"] = 5
        let csr = try guest.session.register("mscratch").number
        let writes = try guest.session.addBreakpoint(.event(.registerWrite(registers: [csr])), location: "x")
        try guest.session.addBreakpoint(.event(.exception(causes: [3])), location: "x")
        let calls = try guest.session.addBreakpoint(.event(.exception(causes: [11])), location: "x")
        var stop = try guest.session.resume()
        guard case .event([writes], let text) = stop.reason else { Issue.record("\(stop)"); return }
        #expect(text == "mscratch written at 0x80000000: 0x0 -> 0x5")
        stop = try guest.session.resume()
        #expect(stop.breakpoints == [calls])
        #expect(stop.pc == Self.ram + 0x100)
        #expect(guest["mepc"] == Self.ram + 4)
    }

    @Test("device registers are watched like memory, and looked at only when asked")
    func devices() throws {
        let guest = try DebugGuest([RVAssembly.storeByte(11, 10, 7), RVAssembly.jump(0)])
        try guest.begin()
        guest["a0"] = 0x1000_0000
        guest["a1"] = 0x41
        try guest.session.addBreakpoint(.data(address: 0x1000_0007, length: 1, isPhysical: true, .access), location: "uart0")
        let stop = try guest.session.resume()
        #expect(stop.pc == Self.ram + 4)
        #expect(throws: DebugError.self) { try guest.session.readMemory(0x1000_0007, 1) }
        #expect(try guest.session.readMemory(0x1000_0007, 1, touchingDevices: true) == [0x41])
    }

    @Test("steps of one hart leave the others alone, or take them along")
    func harts() throws {
        let guest = try DebugGuest([RVAssembly.addImmediate(5, 5, 1), RVAssembly.jump(-4)], harts: 2)
        try guest.begin()
        _ = try guest.session.step(6)
        #expect(guest.machine.harts.map(\.cycles) == [6, 0])
        guest.session.stepsOneHart = false
        _ = try guest.session.step(6)
        #expect(guest.machine.harts.map(\.cycles) == [12, 6])
    }

    @Test("the hart that comes to a breakpoint is selected; one for a single hart ignores the others")
    func hartBreakpoints() throws {
        let guest = try DebugGuest([RVAssembly.addImmediate(5, 5, 1), RVAssembly.jump(-4)], harts: 2)
        try guest.begin()
        try guest.session.addBreakpoint(.code(address: Self.ram + 4, isPhysical: false), location: "x", hart: 1)
        let stop = try guest.session.resume()
        #expect(stop.hart == 1 && guest.session.selected == 1)
        #expect(stop.pc == Self.ram + 4)
    }

    @Test("a hart that waits is stepped when its interrupt comes; interrupts are held off while stepping unless asked for")
    func waiting() throws {
        let guest = try DebugGuest([RVAssembly.waitForInterrupt, RVAssembly.addImmediate(5, 5, 1), RVAssembly.jump(-4)])
        try guest.begin()
        // The timer's interrupt is due at once: mtimecmp is 0.
        guest["mtvec"] = Self.ram + 0x100
        guest["mie"] = 1 << 7
        guest["mstatus"] = 1 << 3
        try guest.session.writeMemory(0x200_4000, [0, 0, 0, 0, 0, 0, 0, 0], .physical, touchingDevices: true)
        #expect(try guest.session.step(2).pc == Self.ram + 8)
        guest.session.stepsHoldInterrupts = false
        #expect(try guest.session.step().pc == Self.ram + 0x104 || guest.session.pc == Self.ram + 0x100)
    }

    @Test("reading memory walks the page tables without touching them; unmapped addresses are named")
    func memory() throws {
        let guest = try DebugGuest([])
        try guest.begin()
        let root = Self.ram + 0x10_0000
        // A gigabyte at 0x4000_0000, neither accessed nor dirty.
        #expect(guest.machine.bus.storeMemory(root + 8, Self.ram >> 2 | 0xf))
        guest["satp"] = 8 << 60 | root >> 12
        guest["priv"] = 1
        try guest.session.writeMemory(0x4000_0ffe, [1, 2, 3, 4])
        #expect(try guest.session.readMemory(Self.ram + 0xffe, 4, .physical) == [1, 2, 3, 4])
        #expect(try guest.session.readNumber(0x4000_0ffe, 4) == 0x0403_0201)
        #expect(guest.machine.bus.loadMemory(root + 8, as: UInt64.self) == Self.ram >> 2 | 0xf)
        #expect(guest.session.story(0x4000_0ffe, .read).reason.contains("PMP"))
        guest["pmpaddr0"] = .max
        guest["pmpcfg0"] = 0x1f
        let story = guest.session.story(0x1234, .write)
        #expect(story.fault == "store page fault")
        #expect(story.steps.count == 1 && story.reason.contains("V = 0"))
        do throws(DebugError) {
            _ = try guest.session.readMemory(0x1234, 1)
            Issue.record("read")
        } catch {
            #expect(error.description.contains("0x1234"))
        }
    }

    @Test("a guest that powers off ends the session's run with its code; a reset starts again")
    func powerOff() throws {
        // sw a1, 0(a0)
        let guest = try DebugGuest([0x00b5_2023, RVAssembly.jump(0)])
        try guest.begin()
        guest["a0"] = 0x10_0000
        guest["a1"] = 3 << 16 | 0x3333
        let stop = try guest.session.resume()
        guard case .ended(let end) = stop.reason else { Issue.record("\(stop)"); return }
        #expect(end.code == 3 && !end.isFromOutside)
        #expect(throws: DebugError.self) { try guest.session.resume() }
        try guest.session.reset()
        #expect(guest.session.pc == 0x1000)
        #expect(try guest.session.step().pc == 0x1004)
    }

    @Test("stopping a run from a poller stops all harts")
    func interruption() throws {
        final class Interrupter: IOPoller {
            var session: DebugSession?
            func fillPoll(_ set: PollSet) {}
            func handlePoll(_ set: PollSet) { session?.interrupt() }
        }
        let guest = try DebugGuest([RVAssembly.jump(0)], harts: 4)
        try guest.begin()
        let interrupter = Interrupter()
        guest.machine.pollers.add(interrupter)
        interrupter.session = guest.session
        guard case .interrupted = try guest.session.resume().reason else { Issue.record("not interrupted"); return }
        interrupter.session = nil
    }
}
