import EmuBus

/// General queries and settings, and the threads.
extension GDBStub {
    static let queries: [Packet] = [
        Packet(name: "qSupported") { stub, arguments in
            _ = arguments.skip(":")
            let offered = Set(arguments.text.split(separator: ";"))
            stub.reportsSoftwareBreaks = offered.contains("swbreak+")
            stub.reportsHardwareBreaks = offered.contains("hwbreak+")
            return .text(
                "PacketSize=\(String(GDBPacket.size, radix: 16));qXfer:features:read+;qXfer:memory-map:read+;qXfer:threads:read+;swbreak+;hwbreak+;"
                    + "vContSupported+;QStartNoAckMode+")
        },
        Packet(name: "QStartNoAckMode", isWhole: true) { stub, _ in
            stub.onNoAcknowledgements()
            return .ok
        },
        Packet(name: "qAttached") { _, _ in .text("1") },
        Packet(name: "qSymbol:") { _, _ in .ok },

        // MARK: Threads
        Packet(name: "H") { stub, arguments throws(GDBRefusal) in
            let operation = arguments.byte()
            guard let thread = arguments.thread(), arguments.isEmpty else { throw .malformed }
            if case .hart(let hart) = thread, !stub.harts.contains(hart) { throw .noSuchThing }
            switch operation {
            case UInt8(ascii: "g"): if case .hart(let hart) = thread { stub.generalHart = hart }
            case UInt8(ascii: "c"): if case .hart(let hart) = thread { stub.resumedHart = hart } else { stub.resumedHart = nil }
            default: throw .malformed
            }
            return .ok
        },
        Packet(name: "T") { stub, arguments throws(GDBRefusal) in
            guard case .hart(let hart)? = arguments.thread() else { throw .malformed }
            guard stub.harts.contains(hart) else { throw .noSuchThing }
            return .ok
        },
        Packet(name: "qC", isWhole: true) { stub, _ in .text("QC" + GDBThread.text(hart: stub.generalHart)) },
        Packet(name: "qfThreadInfo", isWhole: true) { stub, _ in .text("m" + stub.harts.map(GDBThread.text).joined(separator: ",")) },
        Packet(name: "qsThreadInfo", isWhole: true) { _, _ in .text("l") },
        Packet(name: "qThreadExtraInfo,") { stub, arguments throws(GDBRefusal) in
            guard case .hart(let hart)? = arguments.thread() else { throw .malformed }
            guard stub.harts.contains(hart) else { throw .noSuchThing }
            return .bytes(GDBPacket.hex(stub.threadText(hart).utf8))
        },

        // MARK: Documents
        Packet(name: "qXfer:features:read:target.xml:") { stub, arguments throws(GDBRefusal) in try piece(of: stub.target.description, &arguments) },
        Packet(name: "qXfer:memory-map:read::") { stub, arguments throws(GDBRefusal) in try piece(of: stub.memoryMap, &arguments) },
        Packet(name: "qXfer:threads:read::") { stub, arguments throws(GDBRefusal) in try piece(of: stub.threadList, &arguments) },

        // MARK: QEMU's own
        Packet(name: "qqemu.Supported", isWhole: true) { _, _ in .text("PhyMemMode") },
        Packet(name: "qqemu.PhyMemMode", isWhole: true) { stub, _ in .text(stub.usesPhysicalMemory ? "1" : "0") },
        Packet(name: "Qqemu.PhyMemMode:") { stub, arguments throws(GDBRefusal) in
            guard let number = arguments.number(), arguments.isEmpty else { throw .malformed }
            stub.usesPhysicalMemory = number != 0
            return .ok
        },

        Packet(name: "qRcmd,") { stub, arguments throws(GDBRefusal) in
            guard let command = GDBPacket.bytes(hex: arguments.rest) else { throw .malformed }
            stub.monitor(String(decoding: command, as: UTF8.self))
            return .ok
        },
    ]

    // MARK: Documents

    /// The part of a document that `offset,length` ask for, marked as the last or not.
    private static func piece(of document: String, _ arguments: inout GDBArguments) throws(GDBRefusal) -> Reply {
        guard let (offset, length) = arguments.pair(), arguments.isEmpty else { throw .malformed }
        let bytes = Array(document.utf8)
        guard offset <= UInt64(bytes.count) else { throw .malformed }
        // Any byte may need a second one on the wire.
        let rest = bytes[Int(offset)...]
        let part = rest.prefix(Int(clamping: min(length, UInt64(GDBPacket.size / 2 - 1))))
        return .bytes([UInt8(ascii: part.count == rest.count ? "l" : "m")] + part)
    }

    private func threadText(_ index: Int) -> String {
        let hart = session.harts[index]
        return hart.privilegeName + "-mode" + (hart.isWaiting ? ", waits for an interrupt" : "")
    }

    private var threadList: String {
        let threads = harts.map { "<thread id=\"\(GDBThread.text(hart: $0))\" core=\"\($0)\" name=\"hart \($0)\">\(threadText($0))</thread>\n" }
        return "<?xml version=\"1.0\"?>\n<threads>\n\(threads.joined())</threads>\n"
    }

    /// Where code can only be watched, not changed. GDB takes for unreadable what no entry covers, and asks for this once, when it does not
    /// matter yet what virtual addresses the guest will use: so everything that is no read-only memory is given as RAM.
    private var memoryMap: String {
        var text = """
            <?xml version="1.0"?>
            <!DOCTYPE memory-map PUBLIC "+//IDN gnu.org//DTD GDB Memory Map V1.0//EN" "http://sourceware.org/gdb/gdb-memory-map.dtd">
            <memory-map>

            """
        func add(_ type: String, _ start: UInt64, _ size: UInt64) {
            text += "<memory type=\"\(type)\" start=\"\(hexText(start))\" length=\"\(hexText(size))\"/>\n"
        }
        var next: UInt64 = 0
        for memory in session.machine.memories.sorted(by: { $0.base < $1.base }) where memory.isReadOnly {
            if memory.base > next { add("ram", next, memory.base &- next) }
            add("rom", memory.base, memory.size)
            next = memory.base &+ memory.size
        }
        // Up to the end of the address space, whose size is 0 modulo 2⁶⁴.
        add("ram", next, 0 &- max(next, 1))
        return text + "</memory-map>\n"
    }

    // MARK: Monitor

    /// Carries out a command of the debugger; its text goes to the client's terminal.
    private func monitor(_ line: String) {
        let show = debugger.onText
        let previous = session.willRun
        var hasRun = false
        debugger.onText = { [unowned self] in write($0) }
        session.willRun = {
            hasRun = true
            previous?()
        }
        defer {
            debugger.onText = show
            session.willRun = previous
        }
        do throws(DebugError) {
            write(try debugger.execute(line).text)
        } catch {
            write("\(error)\n")
        }
        if hasRun, session.end == nil { write("(GDB still shows what was before: 'maintenance flush register-cache' lets it look again)\n") }
        if debugger.isQuitting { ending = .killed(debugger.exitCode ?? session.end?.code ?? 0) }
    }

    /// Text for the client's terminal, in as many packets as it needs.
    private func write(_ text: String) {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            send([UInt8(ascii: "O")] + GDBPacket.hex(rest.prefix(GDBPacket.size / 2 - 1)))
            rest = rest.dropFirst(GDBPacket.size / 2 - 1)
        }
    }
}
