/// Says why and where the guest stopped.
enum StopReport {
    static func text(_ stop: Stop, _ session: DebugSession) -> String {
        var text: String
        let place = placeText(stop.pc, session)
        switch stop.reason {
        case .start: text = "hart \(stop.hart) is at its reset vector, \(place)\n"
        case .step, .location: text = session.hartCount > 1 ? "hart \(stop.hart), \(place)\n" : session.symbols?.line(at: stop.pc) == nil ? "" : place + "\n"
        case .breakpoint(let ids): text = "\(names("breakpoint", ids)), hart \(stop.hart), \(place)\n"
        case .watchpoint(let ids, let access):
            text = "\(names("watchpoint", ids)), hart \(stop.hart): \(access.size) byte\(access.size == 1 ? "" : "s") "
                + "\(access.isWrite ? "written to" : "read from") \(session.addressText(access.address)) by \(session.addressText(access.pc))\n"
            if let old = access.old, access.isWrite { text += "  old = \(hexText(old))\n" }
            if let new = access.new { text += "  \(access.isWrite ? "new" : "value") = \(hexText(new))\n" }
            text += "now at \(place)\n"
        case .event(let ids, let event): text = "\(names("catchpoint", ids)), hart \(stop.hart): \(event)\nnow at \(place)\n"
        case .interrupted: text = "interrupted: hart \(stop.hart), \(place)\n"
        case .reset: text = "the machine was reset\n"
        case .ended(let end): return "the guest has ended: \(end.text)\n"
        }
        for id in stop.breakpoints {
            if let problem = session.breakpoint(id)?.problem { text += "condition of breakpoint \(id): \(problem)\n" }
        }
        if let instruction = session.instruction(at: stop.pc) {
            text += "=> \(Listing.line(instruction, session))\n"
        } else {
            text += "=> \(session.addressText(stop.pc)): no instruction can be read there\n"
        }
        return text
    }

    private static func names(_ kind: String, _ ids: [Int]) -> String {
        "\(kind)\(ids.count == 1 ? "" : "s") \(ids.map(String.init).joined(separator: ", "))"
    }

    /// `0x80000000 <main+0x4> at main.c:12`
    static func placeText(_ address: UInt64, _ session: DebugSession) -> String {
        session.addressText(address) + (session.symbols?.line(at: address).map { " at \($0.file):\($0.line)" } ?? "")
    }

    static func placeValue(_ address: UInt64, _ session: DebugSession) -> [DebugValue.Member] {
        var members: [DebugValue.Member] = [.init(name: "pc", value: .hex(address))]
        if let symbol = session.symbolText(address) { members.append(.init(name: "symbol", value: .string(symbol))) }
        if let line = session.symbols?.line(at: address) {
            members.append(.init(name: "file", value: .string(line.file)))
            members.append(.init(name: "line", value: .int(line.line)))
        }
        return members
    }

    static func value(_ stop: Stop, _ session: DebugSession) -> DebugValue {
        var members: [DebugValue.Member] = []
        func add(_ name: String, _ value: DebugValue) { members.append(.init(name: name, value: value)) }
        switch stop.reason {
        case .start: add("reason", .string("start"))
        case .step: add("reason", .string("step"))
        case .location: add("reason", .string("location"))
        case .breakpoint: add("reason", .string("breakpoint"))
        case .watchpoint(_, let access):
            add("reason", .string("watchpoint"))
            add("access", .record([
                "kind": .string(access.isWrite ? "write" : "read"), "address": .hex(access.address), "size": .int(Int(access.size)), "old": .hex(access.old),
                "new": .hex(access.new), "pc": .hex(access.pc),
            ]))
        case .event(_, let text):
            add("reason", .string("event"))
            add("event", .string(text))
        case .interrupted: add("reason", .string("interrupted"))
        case .reset: add("reason", .string("reset"))
        case .ended(let end):
            add("reason", .string("ended"))
            add("code", .int(Int(end.code)))
            add("text", .string(end.text))
            return .object(members)
        }
        if !stop.breakpoints.isEmpty { add("breakpoints", .list(stop.breakpoints.map { .int($0) })) }
        add("hart", .int(stop.hart))
        members += placeValue(stop.pc, session)
        if let instruction = session.instruction(at: stop.pc) { add("instruction", .string(instruction.text)) }
        return .object(members)
    }
}

/// Lines of disassembly.
enum Listing {
    /// `0x80000000 <main+0x4>:  13 01 01 ff   addi  sp,sp,-16`
    static func line(_ instruction: DebugInstruction, _ session: DebugSession, showsBytes: Bool = false) -> String {
        line(instruction, session.symbols, showsBytes: showsBytes)
    }

    static func line(_ instruction: DebugInstruction, _ symbols: (any SymbolLookup)?, showsBytes: Bool = false) -> String {
        let parts = instruction.text.split(separator: "\t", maxSplits: 1, omittingEmptySubsequences: false)
        var text = "\(symbols.addressText(instruction.address)):\t"
        if showsBytes {
            let digits = instruction.bytes.reversed().map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
            text += digits.padded(10)
        }
        // Long mnemonics (fnmsub.d, sha256sig0) keep a space before their operands.
        text += String(parts[0]).padded(7) + " "
        if parts.count > 1 { text += String(parts[1]) }
        while text.last == " " { text.removeLast() }
        return text
    }

    static func value(_ instruction: DebugInstruction, _ session: DebugSession) -> DebugValue {
        .record([
            "address": .hex(instruction.address), "symbol": .string(session.symbolText(instruction.address)),
            "bytes": .string(instruction.bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()), "text": .string(instruction.text.replacing("\t", with: " ")),
            "target": .hex(instruction.target),
        ])
    }
}

/// The x command.
enum Examination {
    /// Shows memory from `address` on, which moves behind what was shown.
    static func examine(_ debugger: Debugger, _ address: inout UInt64, _ format: DisplayFormat, _ kind: DebugSession.AddressKind) throws(DebugError) -> CommandResult {
        let session = debugger.session
        switch format.letter {
        case .instruction:
            let list = try session.disassemble(address, count: format.count, kind)
            if let last = list.last { address = last.address &+ last.length }
            let pc = session.pc
            let text = list.map { ($0.address == pc && kind == .virtual ? "=> " : "   ") + Listing.line($0, session) + "\n" }.joined()
            return CommandResult(text, .record(["instructions": .list(list.map { Listing.value($0, session) })]))
        case .string:
            var text = ""
            var values: [DebugValue] = []
            for _ in 0..<format.count {
                let bytes = try session.readString(address, kind)
                text += "\(session.addressText(address)):\t\"\(DisplayFormat.escaped(bytes))\"\n"
                values.append(.record(["address": .hex(address), "string": .string(String(decoding: bytes, as: UTF8.self))]))
                address = address &+ UInt64(bytes.count) &+ 1
            }
            return CommandResult(text, .record(["strings": .list(values)]))
        default: return try units(debugger, &address, format, kind)
        }
    }

    private static func units(
        _ debugger: Debugger, _ address: inout UInt64, _ format: DisplayFormat, _ kind: DebugSession.AddressKind
    ) throws(DebugError) -> CommandResult {
        let session = debugger.session
        let perLine = format.letter == .binary ? max(1, 8 / format.size) : format.letter == .character ? 8 : max(1, 16 / format.size)
        var text = ""
        var values: [DebugValue] = []
        let start = address
        var failure: DebugError?
        for index in 0..<format.count {
            let bits: UInt64
            do throws(DebugError) {
                bits = try session.readNumber(address, format.size, kind, touchingDevices: debugger.touchesDevices)
            } catch {
                // What could be read is shown first.
                failure = error
                break
            }
            if index % perLine == 0 { text += (index > 0 ? "\n" : "") + "\(session.addressText(address)):" }
            let shown = format.text(bits) { session.symbolText($0) }
            text += "\t" + shown
            values.append([.hex, .address].contains(format.letter) ? .hex(bits) : .string(shown))
            address = address &+ UInt64(format.size)
        }
        if let failure {
            if values.isEmpty { throw failure }
            text += "\n\(failure)"
        }
        return CommandResult(
            text + "\n",
            .record(["address": .hex(start), "size": .int(format.size), "values": .list(values), "error": .string(failure?.description)]))
    }
}
