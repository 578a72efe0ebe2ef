import EmuBus
import EmuControl
import EmuMachine
import TestSupport
import Testing

/// The monitor's `info registers`.
@Suite struct RegisterListingTests {
    @Test("registers are listed as QEMU's monitor does, of one hart or of all")
    func listing() throws {
        let guest = try DebugGuest([0x13], harts: 2)
        try guest.begin()
        guest["a0"] = 0xdead_beef
        let text = try RegisterListing.text(guest.machine, hart: 0)
        #expect(text.hasPrefix("\nCPU#0\n V      =   0\n pc       0000000080000000\n mhartid  0000000000000000\n mstatus  "))
        #expect(text.contains("x10/a0   00000000deadbeef x11/a1   "))
        #expect(text.contains(" x0/zero  0000000000000000 x1/ra    0000000000000000 x2/sp    "))
        #expect(text.contains(" f0/ft0   "))
        #expect(text.split(separator: "\n").allSatisfy { $0.hasPrefix(" ") || $0.hasPrefix("CPU#") })
        #expect(try RegisterListing.text(guest.machine, hart: nil).contains("\nCPU#1\n"))
        #expect(throws: DebugError.self) { try RegisterListing.text(guest.machine, hart: 2) }
    }
}

/// `why`, over guests that each fail in one way.
@Suite struct DiagnosisTests {
    private static let ram = DebugGuest.ram
    private static let spin = RVAssembly.jump(0)
    private static let nowhere: UInt64 = 0x1700_0000

    /// What is said of a program after `turns` slices, with registers set before it starts.
    private func explain(_ program: [UInt32], harts: Int = 1, turns: Int = 2, _ registers: KeyValuePairs<String, UInt64> = [:]) throws -> Diagnosis {
        let guest = try DebugGuest(program, harts: harts)
        try guest.begin()
        for (name, value) in registers { guest[name] = value }
        run(guest, turns)
        return try Diagnosis(guest.machine)
    }

    private func run(_ guest: DebugGuest, _ turns: Int) {
        var left = turns
        let end = guest.machine.run {
            left -= 1
            return left < 0
        }
        #expect(end == nil)
    }

    @Test("harts that wait with nothing enabled are told of together")
    func waiting() throws {
        let found = try explain([RVAssembly.waitForInterrupt, Self.spin], harts: 2, turns: 2)
        #expect(found.isHang)
        #expect(found.headline == "every hart waits for an interrupt, and none can come")
        #expect(found.text.contains("harts 0 to 1: waits in M-mode at 0x80000004; no interrupt is enabled\n"))
    }

    @Test("an enabled interrupt that cannot come is named with the reason")
    func waitingInVain() throws {
        let found = try explain([RVAssembly.waitForInterrupt, Self.spin], turns: 1, ["mie": 1 << 3 | 1 << 7 | 1 << 11])
        #expect(found.isHang)
        #expect(found.text.contains("no enabled interrupt can come\n"))
        #expect(found.text.contains("machine software interrupt: no other hart runs that could send it\n"))
        #expect(found.text.contains("machine timer interrupt: its timer is not set\n"))
        #expect(found.text.contains("machine external interrupt: no source is enabled in the plic\n"))
    }

    @Test("a wait that a timer ends is no hang")
    func idle() throws {
        let guest = try DebugGuest([RVAssembly.waitForInterrupt, Self.spin])
        try guest.begin()
        guest["mie"] = 1 << 7
        // mtimecmp of hart 0.
        #expect(guest.machine.bus.writeDevice(0x200_4000, 1_000_000, size: 8))
        run(guest, 1)
        let found = try Diagnosis(guest.machine)
        #expect(!found.isHang)
        #expect(found.headline == "the guest is idle: it waits for an interrupt that can come")
        #expect(found.text.contains("machine timer interrupt: its timer ends in 0.099"))
    }

    @Test("a loop of exceptions is told with its first cause and what is wrong with its handler")
    func trapLoop() throws {
        let found = try explain([RVAssembly.nop, 0xffff_ffff], ["mtvec": 0])
        #expect(found.isHang)
        #expect(found.headline == "the guest does not get any further")
        #expect(found.text.contains("hart 0: is in a loop of exceptions in M-mode, with nothing that could end it\n"))
        #expect(found.text.contains("    instruction access fault at 0x0, value 0x0, M -> M, 39998 times so far\n"))
        #expect(found.text.contains("    it began with:\n      illegal instruction at 0x80000004, value 0xffffffff, M -> M\n"))
        #expect(found.text.contains("its handler is at 0x0 (mtvec): nothing is at that physical address\n"))
        #expect(found.text.contains("first illegal instruction in M-mode: 0xffffffff at 0x80000004\n"))
    }

    @Test("a handler that traps itself with ever less stack is a loop of exceptions, too")
    func nestedTraps() throws {
        // The handler makes room on the stack and then loads from nothing.
        let found = try explain(
            [RVAssembly.addImmediate(2, 2, -16), RVAssembly.loadDouble(5, 10, 0), Self.spin], ["mtvec": Self.ram, "sp": Self.ram + 0x10_0000, "a0": Self.nowhere])
        #expect(found.isHang)
        #expect(found.text.contains("hart 0: is in a loop of exceptions in M-mode\n    load access fault at 0x80000004, value 0x17000000, M -> M"))
    }

    @Test("a spin names what it reads and what that holds")
    func spinning() throws {
        let found = try explain(
            [RVAssembly.loadDouble(5, 10, 8), RVAssembly.branchIfNotEqual(5, 6, -4)], ["a0": Self.ram + 0x1000, "t1": 1])
        #expect(found.isHang)
        #expect(found.text.contains("""
            hart 0: executes the same 2 instructions over and over in M-mode, at 0x80000000
                it goes on so until what it reads changes:
                  0x80001008, 8 bytes read by 0x80000000: holds 0x0
            """))
        #expect(found.text.contains("      0x80000000:\tld      t0,8(a0)\n      0x80000004:\tbne     t0,t1,0x80000000\n"))
        #expect(found.text.contains("    no interrupt can take it out of there\n"))
    }

    @Test("a lock that is held is told from data")
    func lock() throws {
        // amoadd.d t0, zero, (a0) until it is 0, which it never becomes.
        let guest = try DebugGuest([RVAssembly.atomicAdd(5, 0, 10), RVAssembly.branchIfNotEqual(5, 0, -4), Self.spin])
        try guest.begin()
        guest["a0"] = Self.ram + 0x1000
        #expect(guest.machine.bus.storeMemory(Self.ram + 0x1000, UInt64(7)))
        run(guest, 2)
        #expect(try Diagnosis(guest.machine).text.contains("0x80001000, 8 bytes read atomically by 0x80000000: holds 0x7\n"))
    }

    @Test("a device register in a loop is named by its device, and read without effect")
    func polling() throws {
        // The loop reads memory as well, which is on the way only.
        let found = try explain(
            [RVAssembly.loadDouble(7, 11, 0), RVAssembly.loadByte(5, 10, 3), RVAssembly.branchIfNotEqual(5, 6, -8)],
            ["a0": 0x1000_0000, "a1": Self.ram + 0x1000, "t1": 1])
        #expect(found.isHang)
        #expect(found.text.contains("uart0+0x3 at 0x10000003, 1 byte read by 0x80000004: holds 0x0\n      and 1 other place in memory\n"))
    }

    @Test("a loop that looks for a character waits for input, which is no hang")
    func pollingForInput() throws {
        let found = try explain([RVAssembly.loadByte(5, 10, 5), RVAssembly.branchIfNotEqual(5, 6, -4)], ["a0": 0x1000_0000, "t1": 1])
        #expect(!found.isHang)
        #expect(found.headline == "the guest waits for input")
        #expect(found.text.contains("hart 0: waits in M-mode at 0x80000000 for a character on uart0, looking for it again and again\n"))
        #expect(found.text.contains("uart0+0x5 at 0x10000005, 1 byte read by 0x80000000: holds 0x60\n"))
    }

    @Test("a loop that looks at the clock never repeats exactly, however short it is")
    func delay() throws {
        // rdtime t0; bltu would need more encodings: it takes ages until t0 equals t1.
        let found = try explain([RVAssembly.readCSR(5, 0xc01), RVAssembly.branchIfNotEqual(5, 6, -4)], ["t1": 1 << 60])
        #expect(found.isHang)
        #expect(found.text.contains("hart 0: executes the same 2 instructions over and over in M-mode, at 0x80000000\n    it looks at the time, and at nothing else\n"))
    }

    @Test("a loop that counts while it polls is still seen to wait")
    func pollingWithCounter() throws {
        let found = try explain(
            [RVAssembly.addImmediate(7, 7, 1), RVAssembly.loadDouble(5, 10, 0), RVAssembly.branchIfNotEqual(5, 6, -8)], ["a0": Self.ram + 0x1000, "t1": 1])
        #expect(found.isHang)
        #expect(found.text.contains("it seems to wait until something it reads changes:\n      0x80001000, 8 bytes"))
    }

    @Test("an instruction that jumps to itself waits for nothing but an interrupt")
    func endlessLoop() throws {
        let found = try explain([Self.spin], ["mie": 1 << 3, "mstatus": 8])
        #expect(found.text.contains("hart 0: executes one instruction over and over in M-mode, at 0x80000000\n    it reads nothing"))
        #expect(found.text.contains("no interrupt can take it out of there"))
    }

    @Test("a program that goes through memory works, and so does one that computes in registers")
    func working() throws {
        let stores = [RVAssembly.addImmediate(10, 10, 8), RVAssembly.storeDouble(5, 10, 0), RVAssembly.jump(-8)]
        for program in [stores, [RVAssembly.addImmediate(5, 5, 1), RVAssembly.jump(-4)]] {
            let found = try explain(program, turns: 1, ["a0": Self.ram + 0x1000])
            #expect(!found.isHang)
            #expect(found.headline == "the guest works: nothing suggests that it hangs")
        }
    }

    @Test("firmware that starts a stage that was never loaded")
    func emptyStage() throws {
        let found = try explain([RVAssembly.machineReturn], [
            "pmpaddr0": .max, "pmpcfg0": 0x1f, "mepc": Self.ram + 0x20_0000, "mstatus": 1 << 11,
        ])
        #expect(found.isHang)
        #expect(found.text.contains("the guest jumped to 0x80200000 in S-mode, but memory there is empty: no program was loaded\n"))
        #expect(found.text.contains("first illegal instruction in S-mode: 0x0 at 0x80200000\n"))
    }

    @Test("a jump to where no memory is")
    func jumpToNothing() throws {
        let found = try explain([RVAssembly.jumpRegister(0, 10)], ["a0": Self.nowhere])
        #expect(found.text.contains("the guest jumped to 0x17000000 in M-mode, where there is no memory; nearest is fw-cfg"))
    }

    @Test("an access to nothing is told with what is next to it; one a device refuses, with the device")
    func accessToNothing() throws {
        let program = [RVAssembly.loadDouble(5, 10, 0), RVAssembly.nop, Self.spin]
        let missed = try explain(program, ["a0": Self.nowhere, "mtvec": Self.ram + 8])
        #expect(missed.text.contains("last access fault: load access fault at 0x80000000, address 0x17000000: nothing is there; nearest is fw-cfg"))
        // The finisher takes no accesses of 8 bytes.
        let refused = try explain(program, ["a0": 0xc00_0000, "mtvec": Self.ram + 8])
        #expect(refused.text.contains("address 0xc000000: plic is there and did not take it\n"))
    }

    @Test("a console that was never written is told from one that was")
    func console() throws {
        #expect(try explain([Self.spin]).text.contains("uart0 was never written: the guest has printed nothing\n"))
        let found = try explain([RVAssembly.storeByte(5, 10, 0), Self.spin], ["a0": 0x1000_0000])
        #expect(found.text.contains("uart0: 1 character written so far\n"))
    }

    @Test("looking ahead leaves no trace in the guest")
    func noTrace() throws {
        let guest = try DebugGuest([
            RVAssembly.addImmediate(5, 5, 1), RVAssembly.storeDouble(5, 10, 0), RVAssembly.storeByte(5, 11, 0), RVAssembly.loadByte(6, 11, 5), RVAssembly.jump(-16),
        ])
        try guest.begin()
        guest["a0"] = Self.ram + 0x1000
        guest["a1"] = 0x1000_0000
        run(guest, 1)
        let before = try guest.machine.stateHash(), written = guest.machine.activity
        _ = try Diagnosis(guest.machine)
        #expect(try guest.machine.stateHash() == before)
        #expect(guest.machine.activity == written)
    }

    @Test("a program gets the same as JSON")
    func json() throws {
        let guest = try DebugGuest([Self.spin])
        try guest.begin()
        run(guest, 1)
        let result = try Debugger(guest.session).execute("why")
        #expect(result.text == (try Diagnosis(guest.machine).text))
        #expect(result.value.json.hasPrefix(
            "{\"headline\":\"the guest does not get any further\",\"hang\":true,\"harts\":[{\"hart\":0,\"state\":\"spinning\",\"pc\":\"0x80000000\","))
        #expect(result.value.json.contains("{\"name\":\"console\",\"text\":\"uart0 was never written"))
    }
}

/// `--watchdog`, with a clock of the test's own.
@Suite struct WatchdogTests {
    private final class Clock {
        var now: UInt64 = 1_000_000_000
        var reports: [String] = []
    }

    private func watch(_ guest: DebugGuest, _ clock: Clock) -> Watchdog {
        Watchdog(guest.machine, seconds: 8, now: { clock.now }) { clock.reports.append($0) }
    }

    /// Lets `seconds` pass, one after the other.
    private func pass(_ seconds: Int, _ guest: DebugGuest, _ clock: Clock) {
        for _ in 0..<seconds {
            clock.now += 1_000_000_000
            var turns = 1
            _ = guest.machine.run { turns -= 1; return turns < 0 }
            guest.machine.pollers.wait(timeout: 0)
        }
    }

    @Test("a guest that spins is reported once, after the time given")
    func spinning() throws {
        let guest = try DebugGuest([RVAssembly.jump(0)]), clock = Clock()
        try guest.begin()
        let watchdog = watch(guest, clock)
        pass(8, guest, clock)
        #expect(clock.reports.isEmpty)
        pass(20, guest, clock)
        #expect(clock.reports.count == 1)
        #expect(clock.reports.first?.hasPrefix("the guest made no progress for 8 s\nthe guest does not get any further\n") == true)
        withExtendedLifetime(watchdog) {}
    }

    @Test("progress starts the time anew, and makes another report possible")
    func progress() throws {
        let guest = try DebugGuest([RVAssembly.jump(0), RVAssembly.storeByte(5, 10, 0), RVAssembly.jump(-8)]), clock = Clock()
        try guest.begin()
        guest["a0"] = 0x1000_0000
        let watchdog = watch(guest, clock)
        pass(20, guest, clock)
        #expect(clock.reports.count == 1)
        guest["pc"] = DebugGuest.ram + 4
        pass(6, guest, clock)
        #expect(clock.reports.count == 1)
        pass(20, guest, clock)
        #expect(clock.reports.count == 2)
        withExtendedLifetime(watchdog) {}
    }

    @Test("computing is progress, and so is nothing while the guest is stopped", arguments: [true, false])
    func noAlarm(computes: Bool) throws {
        let guest = try DebugGuest(computes ? [RVAssembly.addImmediate(5, 5, 1), RVAssembly.jump(-4)] : [RVAssembly.jump(0)]), clock = Clock()
        try guest.begin()
        let watchdog = watch(guest, clock)
        if !computes { watchdog.hold() }
        pass(40, guest, clock)
        #expect(clock.reports.isEmpty)
    }
}
