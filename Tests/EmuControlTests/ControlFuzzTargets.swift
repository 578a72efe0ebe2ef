import EmuBus
import EmuControl
import Glibc
import TestSupport
import Testing

/// What debuggers send, what users type, and the files and memory that are looked at.
@Suite struct ControlFuzzTargets {
    private static let packetBodies = [
        "qSupported:swbreak+", "m80000000,40", "M80000000,4:00112233", "Z0,80000000,4", "vCont;s:1", "qXfer:features:read:target.xml:0,fff", "X80000000,2:}\u{3}}]", "P0=0000000000000000", "g", "p20", "Hg1",
        "qXfer:memory-map:read::0,800", "Z2,80000000,8", "z0,80000000,4", "T1", "qfThreadInfo", "Qqemu.PhyMemMode:1", "QStartNoAckMode", "D",
    ]
    private static let packetSeeds = packetBodies.map { GDBPacket.frame(Array($0.utf8)) } + [packetBodies.flatMap { GDBPacket.frame(Array($0.utf8)) }]

    @Test func packets() {
        Fuzzing.read("gdb-packets", cases: 200, seeds: Self.packetSeeds) { bytes in
            var reader = GDBPacketReader()
            for byte in bytes { _ = reader.take(byte) }
        }
    }

    /// The client's end of a connection, which reads what comes and keeps nothing.
    private final class Reader: IOPoller {
        let descriptor: Int32
        private var index: Int?

        init(_ descriptor: Int32) { self.descriptor = descriptor }
        deinit { close(descriptor) }

        func fillPoll(_ set: PollSet) { index = set.add(descriptor, .readable) }

        func handlePoll(_ set: PollSet) {
            guard let index, !set.ready(index).isEmpty else { return }
            withUnsafeTemporaryAllocation(byteCount: 65536, alignment: 1) { buffer in
                while recv(descriptor, buffer.baseAddress, buffer.count, Int32(MSG_DONTWAIT)) > 0 {}
            }
        }
    }

    /// A whole session of a client, which ends it with Ctrl-C and `k`.
    @Test func connections() throws {
        try Fuzzing.read("gdb-session", cases: 20, seeds: Self.packetSeeds) { bytes in
            // Commands of the debugger are a target of their own, without those that write files.
            guard !String(decoding: bytes, as: UTF8.self).contains("qRcmd"), bytes.count < 16384 else { return }
            let guest = try DebugGuest([RVAssembly.addImmediate(5, 5, 1), RVAssembly.nop, RVAssembly.jump(-8)], harts: 2)
            try guest.begin()
            var ends: [Int32] = [-1, -1]
            guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0, &ends) == 0 else { fatalError("no socket pair: \(errno)") }
            let reader = Reader(ends[1])
            // Whatever packet the bytes have begun is ended first.
            let input = bytes + Array("#00".utf8) + [3] + GDBPacket.frame([UInt8(ascii: "k")])
            guard send(ends[1], input, input.count, Int32(MSG_NOSIGNAL)) == input.count else { fatalError("a packet does not fit: \(errno)") }
            let server = try GDBServer(Debugger(guest.session), serving: ends[0])
            guest.machine.pollers.add(reader)
            _ = server.run()
            guest.machine.pollers.remove(reader)
        }
    }

    @Test func symbolFiles() throws {
        try Fuzzing.read("symbols", cases: 30, seeds: try [SymbolFixture.riscvDWARF5, .riscvDWARF4, .riscvCompressed].map { try $0.bytes() }) { interrogate($0) }
    }

    // MARK: What users type

    private static let expressions = [
        "1 + 2 * 3", "$a0 < 0 ? $sp : ~$s1", "*(u32*)($sp + 4)", "((u16*)$sp)[3] << 2", "{unsigned char} $sp", "$count += 4", "*(u16*)$sp = 0xffff0001", "'A' + '\\n'", "&((u16*)$sp)[3] == sp + 6",
        "(i8)-1 >> 3 && 0b101 || 010",
    ]

    @Test func expressionTexts() throws {
        let guest = try DebugGuest([0x1122_3344, 0x8899_aabb])
        try guest.begin()
        guest["sp"] = DebugGuest.ram
        Fuzzing.read("expressions", cases: 200, seeds: Self.expressions.map { Array($0.utf8) }) { bytes in
            _ = try? guest.session.evaluate(String(decoding: bytes, as: UTF8.self), allowsAssignment: true)
        }
    }

    /// Commands that neither let the guest run, which might not end, nor read or write files of the host.
    private static let commands: Set = [
        "assert", "awatch", "b", "backtrace", "break", "bt", "catch", "commands", "condition", "delete", "disable", "disassemble", "display", "echo", "enable", "hart", "help", "i", "ignore", "info", "p", "print",
        "reset", "rwatch", "set", "show", "tb", "translate", "undisplay", "watch", "why", "wwatch", "x", "xp",
    ]
    private static let sessions = [
        "x/4gx $sp\nx/3i 0x80000000\nxp/8bx 0x80000000\nx", "b *0x80000004 if $a0 == 3\ninfo b\nignore 1 3\ncondition 1 $a1\ncommands 1\nprint $a0\nend\ndelete", "watch *(u32*)0x80000000\nrwatch 0x80000008 8\nawatch $sp",
        "set $a0 = 5\nset *(u64*)0x80000100 = ~0\nshow\nset radix 16", "translate 0x80000000 write\ninfo mem\ninfo tlb\ninfo csr mstatus\ninfo device uart0", "catch exception 2\ncatch csr satp write\ncatch syscall 64",
        "display/i $pc\ndisplay $a0 + 1\ndisplay\nundisplay 1", "p/x $a0\np/t 5\np 'a'\ninfo registers a0 sp\ninfo dtb\ninfo events", "disassemble 0x80000000 5\nbt\nhart 1\ninfo harts\nwhy\nhelp x",
    ]

    @Test func commandLines() throws {
        try Fuzzing.read("debugger", cases: 30, seeds: Self.sessions.map { Array($0.utf8) }) { bytes in
            let guest = try DebugGuest([RVAssembly.nop, RVAssembly.jump(0)], harts: 2)
            try guest.begin()
            guest["sp"] = DebugGuest.ram
            let debugger = Debugger(guest.session)
            for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n").prefix(40) {
                let name = line.drop { $0 == " " }.prefix { $0.isASCII && $0.isLetter }
                if Self.commands.contains(String(name)) { _ = try? debugger.execute(String(line)) }
            }
        }
    }

    /// A kernel's memory with anything in it.
    @Test func kernels() throws {
        try Fuzzing.run("linux", cases: 4) { input in
            let kernel = try FakeKernel(), types = kernel["__start_BTF"]..<kernel["__stop_BTF"]
            repeat {
                let isType = input.below(2) == 0, range = isType ? types : kernel.damageable
                let address = range.lowerBound + UInt64(input.below(range.count))
                let value = input.pick([0, kernel["init_task"], input.extreme()])
                if isType { kernel.write(address & ~3, value) } else { _ = kernel.guest.machine.bus.storeMemory(address & ~7, value) }
            } while input.hasMore && input.below(6) != 0
            for line in LinuxGuestTests.looks { _ = try? kernel.run(line) }
        }
    }
}
