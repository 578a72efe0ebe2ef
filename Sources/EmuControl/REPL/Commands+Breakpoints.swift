import EmuBus

/// Breakpoints, watchpoints and events.
extension CommandTable {
    private static let options = "[if CONDITION] [hart N] [space SATP|PID|current]"

    static let breakpoints: [Command] = [
        Command(
            names: ["break", "b", "br"], arguments: "[PLACE] " + options, section: .breakpoints, summary: "stop before the instruction at PLACE is executed",
            details: """
                PLACE is a symbol, symbol+offset, *ADDRESS, FILE:LINE, or nothing for the present instruction. Guest memory is never changed. With
                'physical' PLACE is a physical address, whatever the page tables say. 'space' limits it to the page tables of a value of satp, of a process of
                a Linux guest, or of the selected hart; 'hart' limits it to one hart. A symbol that is unknown now makes a breakpoint that comes into
                force when symbols are loaded.
                """,
            examples: ["b main", "b *0x80200000", "b do_sys_open if $a1 == 0x1000", "b *0x80000000 physical", "b main.c:12 hart 1", "b *0x10430 space 42"], completion: .place
        ) { debugger, input throws(DebugError) in try addCode(debugger, input, isTemporary: false) },
        Command(
            names: ["tbreak", "tb"], arguments: "[PLACE] " + options, section: .breakpoints, summary: "like break, but only once", completion: .place
        ) { debugger, input throws(DebugError) in try addCode(debugger, input, isTemporary: true) },
        Command(
            names: ["watch"], arguments: "WHAT [LENGTH] [physical] [if CONDITION] [hart N]", section: .breakpoints, summary: "stop after a store that changes WHAT",
            details: """
                WHAT is memory (*(u32*)ADDRESS, or a symbol), or an address with LENGTH bytes (default 8). $old and $new can be used in CONDITION. Pages
                without watchpoints run at full speed. Stores by devices (DMA) are not seen.
                """,
            examples: ["watch *(u32*)0x80001000", "watch jiffies", "watch 0x80001000 64 physical", "watch counter if $new > 10"], completion: .expression
        ) { debugger, input throws(DebugError) in try addData(debugger, input, .change) },
        Command(
            names: ["wwatch"], arguments: "WHAT …", section: .breakpoints, summary: "stop after any store to WHAT, changing or not", completion: .expression
        ) { debugger, input throws(DebugError) in try addData(debugger, input, .write) },
        Command(names: ["rwatch"], arguments: "WHAT …", section: .breakpoints, summary: "stop after a load from WHAT", completion: .expression) {
            debugger, input throws(DebugError) in try addData(debugger, input, .read)
        },
        Command(names: ["awatch"], arguments: "WHAT …", section: .breakpoints, summary: "stop after a load from WHAT or a store to it", completion: .expression) {
            debugger, input throws(DebugError) in try addData(debugger, input, .access)
        },
        Command(
            names: ["catch"], arguments: "exception|interrupt|syscall|csr|priv|device …", section: .breakpoints, summary: "stop after an event",
            details: """
                catch exception [CAUSE…]    a number or words: 'catch exception illegal'; stops at the handler
                catch interrupt [CAUSE…]    'catch interrupt timer'
                catch syscall [NUMBER…]     environment calls by the number in a7
                catch csr [NAME…]           instructions that write control registers
                catch priv [U|S|M]          changes of privilege, to that one
                catch device NAME [read|write]   accesses to a device's registers
                Each can be followed by 'if CONDITION' and 'hart N'.
                """,
            examples: ["catch exception 2", "catch exception load-page", "catch syscall 64", "catch csr satp", "catch device uart0 write"]
        ) { debugger, input throws(DebugError) in try addEvent(debugger, input) },
        Command(
            names: ["delete", "d", "del"], arguments: "[NUMBER…]", section: .breakpoints, summary: "remove breakpoints, or all", examples: ["delete 2 3"],
            completion: .breakpoints) { debugger, input throws(DebugError) in
            let ids = try numbers(debugger, input, orAll: true)
            for id in ids { debugger.session.removeBreakpoint(id) }
            return CommandResult("", .record(["deleted": .list(ids.map { .int($0) })]))
        },
        Command(names: ["enable"], arguments: "[NUMBER…]", section: .breakpoints, summary: "put breakpoints into force again", completion: .breakpoints) {
            debugger, input throws(DebugError) in try change(debugger, try numbers(debugger, input, orAll: true)) { $0.isEnabled = true }
        },
        Command(names: ["disable"], arguments: "[NUMBER…]", section: .breakpoints, summary: "keep breakpoints, but do not stop at them", completion: .breakpoints) {
            debugger, input throws(DebugError) in try change(debugger, try numbers(debugger, input, orAll: true)) { $0.isEnabled = false }
        },
        Command(
            names: ["ignore"], arguments: "NUMBER COUNT", section: .breakpoints, summary: "pass over a breakpoint's next COUNT hits", examples: ["ignore 1 99"],
            completion: .breakpoints) { debugger, input throws(DebugError) in
            let words = input.words
            guard words.count == 2, let id = Int(words[0]), let count = Int(words[1]), count >= 0 else { throw DebugError("write ignore NUMBER COUNT") }
            return try change(debugger, [id]) { $0.ignoreCount = count }
        },
        Command(
            names: ["condition", "cond"], arguments: "NUMBER [EXPRESSION]", section: .breakpoints, summary: "stop only while EXPRESSION is true; without one, always",
            examples: ["condition 1 $a0 != 0"], completion: .breakpoints) { debugger, input throws(DebugError) in
            let parts = input.text.split(maxSplits: 1, whereSeparator: \.isWhitespace)
            guard let id = parts.first.flatMap({ Int($0) }) else { throw DebugError("write condition NUMBER EXPRESSION") }
            try debugger.session.setCondition(id, parts.count > 1 ? String(parts[1]).trimmed : "")
            return try change(debugger, [id]) { _ in }
        },
        Command(
            names: ["commands"], arguments: "[NUMBER…]", section: .breakpoints, summary: "give breakpoints commands to carry out when they stop",
            details: "The lines that follow are the commands, up to one that says 'end'. A first line 'silent' keeps the stop from being reported. Without NUMBER: the latest one.",
            examples: ["commands 1\n  silent\n  print $a0\n  continue\n  end"], completion: .breakpoints) { debugger, input throws(DebugError) in
            var ids = try numbers(debugger, input, orAll: false)
            if ids.isEmpty, let last = debugger.session.userBreakpoints.last { ids = [last.id] }
            guard !ids.isEmpty else { throw DebugError("there is no breakpoint to give commands to") }
            debugger.beginCommands(ids)
            return CommandResult()
        },
    ]

    // MARK: Reading arguments

    /// What can follow a place.
    private struct PointOptions {
        var place = ""
        var words: [String] = []
        var condition = ""
        var hart: Int?
        var space: UInt64?
        var isPhysical = false

        init(_ text: String, _ debugger: Debugger) throws(DebugError) {
            var words = text.split(whereSeparator: \.isWhitespace).map(String.init)
            if let index = words.firstIndex(of: "if") {
                condition = words[(index + 1)...].joined(separator: " ")
                words.removeSubrange(index...)
                if condition.isEmpty { throw DebugError("a condition is needed after 'if'") }
            }
            if let index = words.firstIndex(of: "hart") ?? words.firstIndex(of: "thread") {
                guard index + 1 < words.count, let number = Int(words[index + 1]) else { throw DebugError("a number is needed after '\(words[index])'") }
                hart = number
                words.removeSubrange(index...(index + 1))
            }
            if let index = words.firstIndex(of: "space") {
                let given = Array(words[(index + 1)...])
                space = try debugger.space(given)
                words.removeSubrange(index...(index + (given.first == "pid" ? 2 : 1)))
            }
            if let index = words.firstIndex(where: { $0 == "physical" || $0 == "phys" }) {
                isPhysical = true
                words.remove(at: index)
            }
            self.words = words
            place = words.joined(separator: " ")
        }
    }

    /// Numbers of breakpoints; of all of them when there are none and that is meant.
    private static func numbers(_ debugger: Debugger, _ input: CommandInput, orAll: Bool) throws(DebugError) -> [Int] {
        var words = input.words
        if words.first == "breakpoints" { words.removeFirst() }
        if words.isEmpty { return orAll ? debugger.session.userBreakpoints.map(\.id) : [] }
        var ids: [Int] = []
        for word in words {
            let ends = word.split(separator: "-").map { Int($0) }
            guard let first = ends.first ?? nil, let last = ends.last ?? nil, first <= last, ends.count <= 2 else { throw DebugError("'\(word)' is not the number of a breakpoint") }
            guard last - first < 10_000 else { throw DebugError("'\(word)' is a long range") }
            for id in first...last {
                if debugger.session.breakpoint(id) == nil || id <= 0 { throw DebugError("there is no breakpoint \(id)") }
                ids.append(id)
            }
        }
        return ids
    }

    private static func change(_ debugger: Debugger, _ ids: [Int], _ body: (inout Breakpoint) -> Void) throws(DebugError) -> CommandResult {
        for id in ids { try debugger.session.changeBreakpoint(id, body) }
        return CommandResult("", .record(["breakpoints": .list(ids.compactMap { debugger.session.breakpoint($0) }.map { value($0, debugger.session) })]))
    }

    // MARK: Adding

    private static func added(_ debugger: Debugger, _ id: Int) -> CommandResult {
        guard let point = debugger.session.breakpoint(id) else { return CommandResult() }
        return CommandResult("\(point.kindName) \(id): \(describe(point, debugger.session))\n", value(point, debugger.session))
    }

    private static func addCode(_ debugger: Debugger, _ input: CommandInput, isTemporary: Bool) throws(DebugError) -> CommandResult {
        let session = debugger.session
        let options = try PointOptions(input.text, debugger)
        if options.place.isEmpty {
            let id = try session.addBreakpoint(
                .code(address: session.pc, isPhysical: options.isPhysical), location: "*" + hexText(session.pc), condition: options.condition,
                isTemporary: isTemporary, hart: options.hart, space: options.space)
            return added(debugger, id)
        }
        var kind = Breakpoint.Kind.pending
        do throws(DebugError) {
            kind = .code(address: try session.location(options.place), isPhysical: options.isPhysical)
        } catch {
            // Only a name can become known later.
            let isName = options.place.allSatisfy { $0.isLetter || $0.isNumber || "_.$:".contains($0) } && options.place.first?.isNumber == false
            guard isName, !options.isPhysical else { throw error }
        }
        let id = try session.addBreakpoint(
            kind, location: options.place, condition: options.condition, isTemporary: isTemporary, hart: options.hart, space: options.space)
        return added(debugger, id)
    }

    private static func addData(_ debugger: Debugger, _ input: CommandInput, _ access: Breakpoint.Access) throws(DebugError) -> CommandResult {
        let session = debugger.session
        let options = try PointOptions(input.text, debugger)
        guard !options.place.isEmpty else { throw DebugError("what is to be watched? write an address, a symbol or *(u32*)ADDRESS") }
        var place = options.place
        var length: UInt64?
        if options.words.count > 1, let last = options.words.last, let number = ExpressionType.names[last].map({ UInt64($0.bytes) }) ?? UInt64(last) {
            length = number
            place = options.words.dropLast().joined(separator: " ")
        }
        let value = try session.evaluate(place)
        var address = value.bits
        if case .memory(let found)? = value.place {
            address = found
            length = length ?? UInt64(value.type.bytes)
        } else if let symbol = session.symbols?.symbol(at: address), symbol.offset == 0, symbol.size > 0, symbol.size <= 4096 {
            length = length ?? symbol.size
        } else if case .register? = value.place, place.trimmed.hasPrefix("$") == false, session.symbols?.address(of: place) == nil, length == nil {
            throw DebugError("'\(place)' is a register; only memory can be watched (for control registers: catch csr \(place))")
        }
        let id = try session.addBreakpoint(
            .data(address: address, length: length ?? 8, isPhysical: options.isPhysical, access), location: place, condition: options.condition,
            hart: options.hart, space: options.space)
        return added(debugger, id)
    }

    private static let eventNames = ["exception", "interrupt", "syscall", "csr", "priv", "device"]

    private static func addEvent(_ debugger: Debugger, _ input: CommandInput) throws(DebugError) -> CommandResult {
        let session = debugger.session
        let options = try PointOptions(input.text, debugger)
        guard let kind = options.words.first else { throw DebugError("what is to be caught? one of \(eventNames.joined(separator: ", "))") }
        let arguments = Array(options.words.dropFirst())
        let event: Breakpoint.Event
        switch kind {
        case "exception", "trap", "fault": event = .exception(causes: try causes(session, arguments, interrupts: false))
        case "interrupt", "irq": event = .interrupt(causes: try causes(session, arguments, interrupts: true))
        case "syscall", "ecall":
            var numbers: Set<UInt64> = []
            for argument in arguments { numbers.insert(try session.evaluate(argument).bits) }
            event = .systemCall(numbers: numbers)
        case "csr":
            var registers: Set<Int> = []
            for argument in arguments {
                let register = try session.register(argument)
                guard register.group == .system else { throw DebugError("\(register.name) is not a control register") }
                registers.insert(register.number)
            }
            event = .registerWrite(registers: registers)
        case "priv", "privilege":
            var wanted: UInt8?
            if let argument = arguments.first {
                wanted = session.hart.privilege(named: argument)
                if wanted == nil { throw DebugError("'\(argument)' is not a privilege: U, S or M") }
            }
            event = .privilege(to: wanted)
        case "device": return try addDevice(debugger, arguments, options)
        default: throw DebugError("'\(kind)' cannot be caught" + didYouMean(kind, among: eventNames) + "; there are \(eventNames.joined(separator: ", "))")
        }
        let id = try session.addBreakpoint(.event(event), location: options.place, condition: options.condition, hart: options.hart)
        return added(debugger, id)
    }

    private static func causes(_ session: DebugSession, _ words: [String], interrupts: Bool) throws(DebugError) -> Set<UInt64> {
        var causes: Set<UInt64> = []
        for word in words {
            let found = session.hart.causes(named: word, interrupts: interrupts)
            if found.isEmpty { throw DebugError("'\(word)' names no \(interrupts ? "interrupt" : "exception"); a number or words such as \(interrupts ? "timer" : "load-page") do") }
            causes.formUnion(found)
        }
        return causes
    }

    private static func addDevice(_ debugger: Debugger, _ arguments: [String], _ options: PointOptions) throws(DebugError) -> CommandResult {
        let regions = debugger.session.machine.regions
        guard let name = arguments.first else { throw DebugError("which device? there are \(regions.map(\.device.name).joined(separator: ", "))") }
        guard let region = regions.first(where: { $0.device.name == name }) else {
            throw DebugError("there is no device '\(name)'" + didYouMean(name, among: regions.map(\.device.name)) + "; 'info devices' lists them")
        }
        let access: Breakpoint.Access = switch arguments.dropFirst().first {
        case "read": .read
        case "write": .write
        default: .access
        }
        let id = try debugger.session.addBreakpoint(
            .data(address: region.base, length: region.size, isPhysical: true, access), location: options.place, condition: options.condition, hart: options.hart)
        return added(debugger, id)
    }

    // MARK: Showing

    static func describe(_ point: Breakpoint, _ session: DebugSession) -> String {
        var text: String
        switch point.kind {
        case .code(let address, let isPhysical): text = isPhysical ? "physical \(hexText(address))" : StopReport.placeText(address, session)
        case .pending: text = "\(point.location), unknown so far"
        case .data(let address, let length, let isPhysical, _):
            text = "\(length) byte\(length == 1 ? "" : "s") at \(isPhysical ? "physical \(hexText(address))" : session.addressText(address))"
            if point.location.contains(where: { !$0.isNumber }), !point.location.hasPrefix("0x") { text += " (\(point.location))" }
        case .event: text = point.location
        }
        if !point.condition.isEmpty { text += " if \(point.condition)" }
        if let hart = point.hart { text += ", hart \(hart)" }
        if let space = point.space { text += ", space \(hexText(space))" }
        if point.isTemporary { text += ", temporary" }
        return text
    }

    static func value(_ point: Breakpoint, _ session: DebugSession) -> DebugValue {
        var members: [DebugValue.Member] = [.init(name: "number", value: .int(point.id)), .init(name: "kind", value: .string(point.kindName))]
        func add(_ name: String, _ value: DebugValue) { members.append(.init(name: name, value: value)) }
        switch point.kind {
        case .code(let address, let isPhysical):
            add("address", .hex(address))
            add("physical", .bool(isPhysical))
            add("symbol", .string(isPhysical ? nil : session.symbolText(address)))
        case .data(let address, let length, let isPhysical, let access):
            add("address", .hex(address))
            add("length", .hex(length))
            add("physical", .bool(isPhysical))
            add("access", .string(access.rawValue))
        case .pending, .event: break
        }
        add("location", .string(point.location))
        add("enabled", .bool(point.isEnabled))
        add("temporary", .bool(point.isTemporary))
        add("hits", .int(point.hits))
        add("ignore", .int(point.ignoreCount))
        if !point.condition.isEmpty { add("condition", .string(point.condition)) }
        if let hart = point.hart { add("hart", .int(hart)) }
        if let space = point.space { add("space", .hex(space)) }
        if !point.commands.isEmpty { add("commands", .list(point.commands.map { .string($0) })) }
        return .object(members)
    }
}
