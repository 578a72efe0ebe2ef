import EmuControl
import EmuMachine
import Glibc
import TestSupport
import Testing

/// What the stub answers, packet by packet.
@Suite struct GDBStubTests {
    private static let ram = DebugGuest.ram

    /// Counts x5 for ever: `addi x5, x5, 1; nop; j -8`.
    static func countingGuest(harts: Int = 1) throws -> DebugGuest {
        let guest = try DebugGuest([RVAssembly.addImmediate(5, 5, 1), RVAssembly.nop, RVAssembly.jump(-8)], harts: harts, clock: .host)
        try guest.begin()
        return guest
    }

    private static func pair(_ guest: DebugGuest) throws -> (GDBRig, GDBClient) {
        let (rig, client) = try GDBRig.pair(guest)
        #expect(client.ask("?")?.hasPrefix("T05thread:1;") == true)
        return (rig, client)
    }

    // MARK: Handshake

    @Test("the features are announced, unknown packets get the empty answer")
    func handshake() throws {
        let (rig, client) = try GDBRig.pair(try Self.countingGuest())
        let features = try #require(client.ask("qSupported:multiprocess+;swbreak+;hwbreak+"))
        for feature in ["PacketSize=4000", "qXfer:features:read+", "qXfer:memory-map:read+", "qXfer:threads:read+", "swbreak+", "hwbreak+", "vContSupported+", "QStartNoAckMode+"] {
            #expect(features.split(separator: ";").contains(Substring(feature)), "\(feature)")
        }
        for packet in ["vMustReplyEmpty", "qTStatus", "Znothing", "Z9,80000000,4", "", "\u{1}", "qXfer:auxv:read::0,100", "vRun;61"] {
            #expect(client.ask(packet) == "", "\(packet)")
        }
        #expect(client.ask("vCont?") == "vCont;c;C;s;S;t;r")
        #expect(client.ask("qAttached") == "1")
        rig.stop()
    }

    @Test("each packet is acknowledged, a damaged one asked for again, the last answer repeated on request, until QStartNoAckMode")
    func acknowledgements() throws {
        let (rig, client) = try GDBRig.pair(try Self.countingGuest())
        client.send("qAttached")
        #expect((0..<6).map { _ in client.byte() } == Array("+$1#31".utf8))
        client.send(raw: "-")
        #expect((0..<5).map { _ in client.byte() } == Array("$1#31".utf8))
        client.send(raw: "+$qAttached#00")
        #expect(client.byte() == UInt8(ascii: "-"))
        client.withoutAcknowledgements()
        client.send(raw: "$qAttached#00-")
        client.send("qC")
        #expect((0..<7).map { _ in client.byte() } == Array("$QC1#c5".utf8))
        rig.stop()
    }

    // MARK: Attaching

    @Test("questions leave the guest running; asking for its state stops it; a detached one runs on")
    func attaching() throws {
        let (rig, client) = try GDBRig.pair(try Self.countingGuest())
        #expect(client.ask("qSupported:") != nil)
        #expect(client.ask("qfThreadInfo") == "m1")
        #expect(rig.goesOn())
        #expect(client.ask("?")?.hasPrefix("T05") == true)
        let count = client.register(5)
        #expect(count != nil && client.register(5) == count)
        #expect(rig.waitUntil { $0.isHolding } != nil)
        #expect(client.ask("Z0,80000004,4") == "OK")
        #expect(client.ask("D") == "OK")
        #expect(rig.goesOn())
        rig.stop()
        #expect(rig.guest["x5"] > count ?? .max)
        #expect(rig.debugger.session.userBreakpoints.isEmpty)
    }

    @Test("after kill the run ends as if the user had asked for it; monitor quit gives the exit code")
    func killing() throws {
        for (packet, answer) in [("k", nil), ("vKill;1", "OK")] as [(String, String?)] {
            let (rig, client) = try Self.pair(try Self.countingGuest())
            #expect(client.ask(packet) == answer)
            #expect(rig.wait() == ExitStatus(code: 0, reason: .user))
        }
        let (rig, client) = try Self.pair(try Self.countingGuest())
        #expect(client.monitor("quit 3").answer == "OK")
        #expect(rig.wait() == ExitStatus(code: 3, reason: .user))
    }

    @Test("a guest that ends by itself is reported with its exit code, and the run ends with that")
    func guestEnds() throws {
        // sw a1, 0(a0)
        let guest = try DebugGuest([0x00b5_2023, RVAssembly.jump(0)])
        try guest.begin()
        guest["a0"] = 0x10_0000
        guest["a1"] = 3 << 16 | 0x3333
        let (rig, client) = try GDBRig.pair(guest, isPaused: true)
        #expect(client.ask("?") != nil)
        #expect(client.ask("vCont;c") == "W03")
        #expect(rig.wait()?.code == 3)
    }

    // MARK: Registers

    @Test("registers are read and written one by one and together; what cannot be is refused")
    func registers() throws {
        let (rig, client) = try Self.pair(try Self.countingGuest())
        let general = try #require(client.ask("g"))
        #expect(general.count == 33 * 16)
        #expect(client.ask("P5=8877665544332211") == "OK")
        #expect(client.register(5) == 0x1122_3344_5566_7788)
        #expect(client.ask("g")?.dropFirst(80).prefix(16) == "8877665544332211")
        #expect(client.ask("G" + String(general.dropLast(16)) + "0400008000000000") == "OK")
        #expect(client.register(32) == Self.ram + 4)
        // mscratch, ft0, the privilege.
        #expect(client.ask("P381=2a00000000000000") == "OK")
        #expect(client.register(0x381) == 42)
        #expect(client.ask("P21=000000000000f03f") == "OK")
        #expect(client.register(0x21) == 0x3ff0_0000_0000_0000)
        #expect(client.register(0x1041) == 3)
        // x0, mhartid; a register nobody has; too short, odd, no number.
        for (packet, answer) in [
            ("P0=0100000000000000", "E03"), ("Pf55=0100000000000000", "E03"), ("pfff", "E03"), ("pffffffffffffffff", "E03"), ("P5=01", "E16"), ("P5=0", "E16"), ("p", "E16"),
            ("p5x", "E16"), ("P5", "E16"), ("G00", "E16"), ("p11112222333344445", "E16"),
        ] { #expect(client.ask(packet) == answer, "\(packet)") }
        rig.stop()
    }

    @Test("the target description names every register once, under GDB's features; read in pieces it is the same")
    func targetDescription() throws {
        let (rig, client) = try Self.pair(try Self.countingGuest())
        let whole = try #require(client.ask("qXfer:features:read:target.xml:0,fff"))
        #expect(whole.hasPrefix("m<?xml"))
        var document = "", position = 0
        while let piece = client.ask("qXfer:features:read:target.xml:\(String(position, radix: 16)),39b"), piece.count > 1 {
            document += piece.dropFirst()
            position += piece.utf8.count - 1
            if piece.hasPrefix("l") { break }
        }
        #expect(document.hasSuffix("</target>\n"))
        for feature in ["cpu", "fpu", "csr", "virtual"] { #expect(document.contains("<feature name=\"org.gnu.gdb.riscv.\(feature)\">")) }
        for register in rig.debugger.session.registers { #expect(document.components(separatedBy: "name=\"\(register.name)\"").count == 2, "\(register.name)") }
        let numbers = document.split(separator: "regnum=\"").dropFirst().map { $0.prefix { $0 != "\"" } }
        #expect(Set(numbers).count == numbers.count && numbers.count == rig.debugger.session.registers.count)
        #expect(client.ask("qXfer:features:read:target.xml:ffffff,10") == "E16")
        #expect(client.ask("qXfer:features:read:target.xml:0") == "E16")
        #expect(client.ask("qXfer:features:read:target.xml:0,ffffffffffffffff")?.hasPrefix("m<?xml") == true)
        rig.stop()
    }

    // MARK: Memory

    @Test("memory is read and written by M and X, binary data with everything in it; a read ends where memory does")
    func memory() throws {
        let (rig, client) = try Self.pair(try Self.countingGuest())
        #expect(client.ask("M80001000,4:01020304") == "OK")
        #expect(client.ask("m80001000,6") == "010203040000")
        // 0x23, 0x24, 0x2a, 0x7d and 0x03, escaped where they must be.
        client.send(raw: GDBClient.frame(Array("X80001004,5:".utf8) + [0x7d, 0x03, 0x7d, 0x04, 0x7d, 0x0a, 0x7d, 0x5d, 0x03]))
        #expect(client.reply() == "OK")
        #expect(client.ask("m80001003,7") == "0423242a7d0300")
        #expect(client.ask("X80001000,0:") == "OK")
        // The end of 16 MiB.
        #expect(client.ask("m80fffffe,10") == "0000")
        for (packet, answer) in [
            ("m81000000,4", "E0e"), ("M81000000,1:00", "E0e"), ("m10000000,1", "E0e"), ("M1000,1:00", "E0e"), ("M80001000,4:0102", "E16"), ("X80001000,4:ab", "E16"),
            ("m", "E16"), ("m80001000", "E16"), ("mx,4", "E16"), ("m80001000,4,", "E16"), ("M80001000,2:012", "E16"),
        ] { #expect(client.ask(packet) == answer, "\(packet)") }
        #expect(client.ask("m80001000,0") == "")
        #expect(client.ask("m80000000,ffffffffffffffff")?.count == GDBPacket.size)
        // Over the end of the address space.
        #expect(client.ask("mffffffffffffffff,10") == "E0e")
        rig.stop()
    }

    @Test("device registers are left alone until the debugger's setting allows touching them")
    func devices() throws {
        let (rig, client) = try Self.pair(try Self.countingGuest())
        #expect(client.ask("m10000007,1") == "E0e")
        #expect(client.monitor("set devices on").answer == "OK")
        #expect(client.ask("M10000007,1:5a") == "OK")
        #expect(client.ask("m10000007,1") == "5a")
        rig.stop()
    }

    @Test("addresses are virtual ones of the thread chosen, or physical in QEMU's mode")
    func physicalMemory() throws {
        let guest = try Self.countingGuest(harts: 2)
        let root = Self.ram + 0x10_0000
        // On hart 1, 0x4000_0000 is the start of RAM.
        #expect(guest.machine.bus.storeMemory(root + 8, Self.ram >> 2 | 0xcf))
        try guest.session.select(hart: 1)
        guest["satp"] = 8 << 60 | root >> 12
        guest["priv"] = 1
        try guest.session.select(hart: 0)
        // Paused, because hart 1 has nothing to fetch.
        let (rig, client) = try GDBRig.pair(guest, isPaused: true)
        #expect(client.ask("M80001000,4:01020304") == "OK")
        #expect(client.ask("m40001000,4") == "E0e")
        #expect(client.ask("Hg2") == "OK")
        #expect(client.ask("m40001000,4") == "01020304")
        #expect(client.ask("m80001000,4") == "E0e")
        #expect(client.ask("qqemu.Supported") == "PhyMemMode")
        #expect(client.ask("qqemu.PhyMemMode") == "0")
        #expect(client.ask("Qqemu.PhyMemMode:1") == "OK")
        #expect(client.ask("qqemu.PhyMemMode") == "1")
        #expect(client.ask("m80001000,4") == "01020304")
        #expect(client.ask("Qqemu.PhyMemMode:0") == "OK")
        #expect(client.ask("Qqemu.PhyMemMode:") == "E16")
        #expect(client.ask("m40001000,4") == "01020304")
        rig.stop()
    }

    @Test("the memory map covers every address, so that GDB refuses none, and marks what is read-only")
    func memoryMap() throws {
        let (rig, client) = try Self.pair(try Self.countingGuest())
        let map = try #require(client.ask("qXfer:memory-map:read::0,fff"))
        #expect(map.hasPrefix("l") && map.contains("<memory type=\"rom\" start=\"0x1000\""))
        var next: UInt64 = 0
        for entry in map.split(separator: "<memory type=").dropFirst() {
            let numbers = entry.split(separator: "\"").compactMap { $0.hasPrefix("0x") ? UInt64($0.dropFirst(2), radix: 16) : nil }
            #expect(numbers.count == 2 && numbers[0] == next)
            next = next &+ numbers[1]
        }
        #expect(next == 0)
        rig.stop()
    }

    // MARK: Monitor

    @Test("monitor carries out the debugger's commands: answers, errors, long texts, and commands that run the guest")
    func monitor() throws {
        let (rig, client) = try Self.pair(try Self.countingGuest())
        #expect(client.monitor("print 6*7").text == "$1 = 0x2a = 42\n")
        #expect(client.monitor("bogus").text.contains("unknown command 'bogus'"))
        let long = client.monitor("x/4000bx 0x80000000")
        #expect(long.answer == "OK" && long.text.split(separator: "\n").count == 250)
        #expect(client.ask("P20=0000008000000000") == "OK")
        let run = client.monitor("stepi 2")
        #expect(run.text.contains("=> 0x80000008") && run.text.contains("maintenance flush register-cache"))
        #expect(client.register(32) == Self.ram + 8)
        #expect(client.ask("qRcmd,7") == "E16")
        #expect(client.monitor("").answer == "OK")
        rig.stop()
    }

    @Test("Ctrl-C ends a monitor command that runs the guest")
    func monitorInterrupted() throws {
        let (rig, client) = try Self.pair(try Self.countingGuest())
        let count = client.register(5)
        client.send("qRcmd," + "continue".utf8.map { GDBClient.hex($0) }.joined())
        #expect(client.byte() == UInt8(ascii: "+"))
        client.send(raw: [3])
        var text = ""
        while let part = client.reply(), part != "OK" { text += String(decoding: GDBClient.bytes(part.dropFirst()), as: UTF8.self) }
        #expect(text.contains("interrupted: hart 0"))
        #expect(try #require(client.register(5)) >= count ?? .max)
        rig.stop()
    }
}
