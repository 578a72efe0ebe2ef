import EmuControl
import EmuMachine
import Glibc
import TestSupport
import Testing

/// Running, stepping and stopping by packets.
@Suite struct GDBRunningTests {
    private static let ram = DebugGuest.ram

    /// A client of a guest that has executed nothing yet.
    private static func attach(_ guest: DebugGuest) throws -> (GDBRig, GDBClient) {
        let (rig, client) = try GDBRig.pair(guest, isPaused: true)
        #expect(client.ask("qSupported:swbreak+;hwbreak+") != nil)
        #expect(client.ask("?")?.hasPrefix("T05thread:1;") == true)
        return (rig, client)
    }

    private static func isAt(_ reply: String?, _ offset: UInt64) -> Bool {
        let pc = (0..<8).map { GDBClient.hex(UInt8(truncatingIfNeeded: (ram + offset) >> UInt64(8 * $0))) }.joined()
        return reply?.contains(";20:\(pc);") == true
    }

    @Test("software and hardware breakpoints stop before their instruction, say which they were, and are gone when taken out")
    func breakpoints() throws {
        let (rig, client) = try Self.attach(try GDBStubTests.countingGuest())
        #expect(client.ask("Z0,80000004,4") == "OK")
        #expect(client.ask("Z0,80000004,4") == "OK")
        var reply = client.ask("vCont;c")
        #expect(reply?.hasPrefix("T05thread:1;swbreak:;") == true && Self.isAt(reply, 4))
        #expect(client.register(5) == 1)
        reply = client.ask("c")
        #expect(Self.isAt(reply, 4))
        #expect(client.register(5) == 2)
        #expect(client.ask("m80000004,4") == "13000000")
        #expect(client.ask("z0,80000004,4") == "OK")
        #expect(client.ask("z0,80000004,4") == "OK")
        #expect(client.ask("Z1,80000008,4") == "OK")
        reply = client.ask("c")
        #expect(reply?.hasPrefix("T05thread:1;hwbreak:;") == true && Self.isAt(reply, 8))
        for packet in ["Z0,80000000,4;X1,0", "Z2,80000000,0", "Z2,ffffffffffffffff,2"] { #expect(client.ask(packet) == "E16", "\(packet)") }
        for packet in ["Z0", "Z0,", "Z0,80000000", "Z5,80000000,4", "Zx,80000000,4"] { #expect(client.ask(packet) == "", "\(packet)") }
        rig.stop()
    }

    @Test("who did not say it knows them is not told of break reasons")
    func unknownReasons() throws {
        let (rig, client) = try GDBRig.pair(try GDBStubTests.countingGuest(), isPaused: true)
        #expect(client.ask("Z0,80000004,4") == "OK")
        #expect(client.ask("c")?.contains("break") == false)
        rig.stop()
    }

    @Test("a client cannot set breakpoints without end")
    func breakpointLimit() throws {
        let (rig, client) = try Self.attach(try GDBStubTests.countingGuest())
        client.withoutAcknowledgements()
        var refused = 0
        for address in 0..<10_010 { if client.ask("Z0,\(String(address * 4, radix: 16)),4") == "E1c" { refused += 1 } }
        #expect(refused == 10)
        rig.stop()
    }

    @Test("watchpoints stop after the access and tell an address that is watched")
    func watchpoints() throws {
        let guest = try DebugGuest([RVAssembly.storeDouble(11, 10, 0), RVAssembly.loadDouble(12, 10, 0), RVAssembly.storeDouble(0, 10, 0x10), RVAssembly.jump(-12)])
        try guest.begin()
        guest["a0"] = Self.ram + 0x1000
        let (rig, client) = try Self.attach(guest)
        #expect(client.ask("Z2,80001004,2") == "OK")
        var reply = client.ask("c")
        #expect(reply?.hasPrefix("T05thread:1;watch:80001004;") == true && Self.isAt(reply, 4))
        #expect(client.ask("z2,80001004,2") == "OK")
        #expect(client.ask("Z3,80001000,8") == "OK")
        reply = client.ask("c")
        #expect(reply?.hasPrefix("T05thread:1;rwatch:80001000;") == true && Self.isAt(reply, 8))
        #expect(client.ask("z3,80001000,8") == "OK")
        // Begins before the access does.
        #expect(client.ask("Z4,8000100c,40") == "OK")
        reply = client.ask("c")
        #expect(reply?.hasPrefix("T05thread:1;awatch:80001010;") == true && Self.isAt(reply, 12))
        rig.stop()
    }

    @Test("a step executes one instruction of the hart named, alone or with the others")
    func steps() throws {
        let (rig, client) = try Self.attach(try GDBStubTests.countingGuest(harts: 2))
        #expect(Self.isAt(client.ask("s"), 4))
        let reply = client.ask("vCont;s:2")
        #expect(reply?.hasPrefix("T05thread:2;") == true && Self.isAt(reply, 8))
        #expect(Self.isAt(client.ask("vCont;s:2;c"), 0))
        #expect(client.ask("Hg1") == "OK")
        #expect(client.register(32) == Self.ram + 8)
        // From an address given, and by the hart chosen for it.
        #expect(client.ask("Hc2") == "OK")
        #expect(Self.isAt(client.ask("s80000000"), 4))
        #expect(client.ask("qC") == "QC2")
        rig.stop()
        #expect(rig.guest.machine.harts.map(\.cycles) == [3, 4])
    }

    @Test("a range is stepped through until it is left or a breakpoint in it is come to")
    func ranges() throws {
        let (rig, client) = try Self.attach(try GDBStubTests.countingGuest())
        #expect(Self.isAt(client.ask("vCont;r80000000,80000008:1"), 8))
        #expect(client.ask("Z0,80000004,4") == "OK")
        let reply = client.ask("vCont;r80000000,80000010:1")
        #expect(reply?.contains("swbreak:;") == true && Self.isAt(reply, 4))
        #expect(client.ask("z0,80000004,4") == "OK")
        // An empty range is one step.
        #expect(Self.isAt(client.ask("vCont;r80000004,80000004:1"), 8))
        // For ever, but for Ctrl-C.
        client.send("vCont;r80000000,80000010:1")
        #expect(client.byte() == UInt8(ascii: "+"))
        client.send(raw: [3])
        #expect(client.reply()?.hasPrefix("T02thread:1;") == true)
        rig.stop()
    }

    @Test("harts that no action names stay where they are")
    func heldHarts() throws {
        let (rig, client) = try Self.attach(try GDBStubTests.countingGuest(harts: 3))
        client.send("vCont;c:2;t:3")
        #expect(client.byte() == UInt8(ascii: "+"))
        #expect(rig.goesOn(hart: 1))
        client.send(raw: [3])
        #expect(client.reply()?.hasPrefix("T02") == true)
        #expect(client.ask("vCont;t")?.hasPrefix("T00thread:") == true)
        for packet in ["vCont;", "vCont;x", "vCont;c:9", "vCont;s:", "vCont;r80000000", "vCont;C", "vCont;c;;"] {
            #expect(client.ask(packet)?.hasPrefix("E") == true, "\(packet)")
        }
        rig.stop()
        let cycles = rig.guest.machine.harts.map(\.cycles)
        #expect(cycles[0] == 0 && cycles[1] > 0 && cycles[2] == 0)
        #expect(rig.guest.machine.heldHarts.isEmpty)
    }

    @Test("harts are threads, named and described")
    func threads() throws {
        let (rig, client) = try Self.attach(try GDBStubTests.countingGuest(harts: 2))
        #expect(client.ask("qfThreadInfo") == "m1,2")
        #expect(client.ask("qsThreadInfo") == "l")
        #expect(client.ask("qXfer:threads:read::0,fff")?.contains("<thread id=\"2\" core=\"1\" name=\"hart 1\">M-mode</thread>") == true)
        #expect(GDBClient.bytes(client.ask("qThreadExtraInfo,1") ?? "") == Array("M-mode".utf8))
        for (packet, answer) in [
            ("T2", "OK"), ("T3", "E03"), ("Hg2", "OK"), ("Hg3", "E03"), ("Hgffffffffffffffff", "E03"), ("Hc-1", "OK"), ("Hg0", "OK"), ("H", "E16"), ("Hg", "E16"), ("Hx1", "E16"),
            ("T", "E16"), ("qThreadExtraInfo,9", "E03"),
        ] { #expect(client.ask(packet) == answer, "\(packet)") }
        rig.stop()
    }

    @Test("Ctrl-C stops the guest; one that comes right behind the command is not lost, one that comes while it stands still is nothing")
    func interruption() throws {
        let (rig, client) = try Self.attach(try GDBStubTests.countingGuest(harts: 2))
        client.send(raw: [3])
        client.send("vCont;c")
        #expect(client.byte() == UInt8(ascii: "+"))
        client.send(raw: [3])
        #expect(client.reply()?.hasPrefix("T02thread:1;") == true)
        client.send(raw: GDBClient.frame(Array("vCont;c".utf8)) + [3])
        #expect(client.reply()?.hasPrefix("T02thread:1;") == true)
        rig.stop()
    }

    @Test("while nothing is watched the harts run as without a debugger")
    func idleClient() throws {
        let (rig, client) = try Self.attach(try GDBStubTests.countingGuest())
        #expect(client.ask("Z0,80000004,4") == "OK")
        #expect(client.ask("c")?.hasPrefix("T05") == true)
        #expect(client.ask("z0,80000004,4") == "OK")
        client.send("c")
        #expect(client.byte() == UInt8(ascii: "+"))
        #expect(rig.goesOn())
        rig.stop()
        #expect(rig.debugger.session.harts.allSatisfy { $0.watch == nil })
    }
}
