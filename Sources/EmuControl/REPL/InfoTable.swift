import EmuBus
import EmuMachine
import Foundation

/// The topics of `info`.
enum InfoTable {
    struct Topic: Sendable {
        let names: [String]
        let arguments: String
        let summary: String
        let action: @Sendable (Debugger, [String]) throws(DebugError) -> CommandResult

        var name: String { names[0] }
    }

    static var list: String {
        topics.map { "  info " + "\($0.name)\($0.arguments.isEmpty ? "" : " " + $0.arguments)".padded(24) + " " + $0.summary + "\n" }.joined()
    }

    static func show(_ debugger: Debugger, _ input: CommandInput) throws(DebugError) -> CommandResult {
        let words = input.words
        guard let name = words.first else {
            return CommandResult(list, .record(["topics": .list(topics.map { .record(["name": .string($0.name), "summary": .string($0.summary)]) })]))
        }
        let begun = topics.filter { $0.names.contains { $0.hasPrefix(name) } }
        guard let topic = topics.first(where: { $0.names.contains(name) }) ?? (begun.count == 1 ? begun[0] : nil) else {
            if begun.count > 1 { throw DebugError("'info \(name)' is ambiguous: \(begun.map(\.name).joined(separator: ", "))") }
            throw DebugError("there is no topic '\(name)'" + didYouMean(name, among: topics.flatMap(\.names)) + "; 'info' lists them")
        }
        return try topic.action(debugger, Array(words.dropFirst()))
    }

    static let topics: [Topic] = [
        Topic(names: ["registers", "r", "reg"], arguments: "[NAME…]", summary: "integer registers and pc, or those named") { debugger, words throws(DebugError) in
            try registers(debugger, words) { $0.group == .general }
        },
        Topic(names: ["all-registers"], arguments: "", summary: "every register") { debugger, words throws(DebugError) in
            try registers(debugger, words) { _ in true }
        },
        Topic(names: ["float", "f"], arguments: "", summary: "floating-point registers") { debugger, words throws(DebugError) in
            try registers(debugger, words) { $0.group == .float }
        },
        Topic(names: ["vector", "v"], arguments: "[NAME…]", summary: "vector registers, the highest byte first") { debugger, words throws(DebugError) in
            try registers(debugger, words) { $0.group == .vector }
        },
        Topic(names: ["csr", "system"], arguments: "[NAME…]", summary: "control and status registers, decoded field by field when named") { debugger, words throws(DebugError) in
            try registers(debugger, words) { $0.group == .system && !$0.name.contains("hpm") && !$0.name.hasPrefix("pmpaddr") }
        },
        Topic(names: ["harts", "threads", "cpus"], arguments: "", summary: "where every hart stands") { debugger, _ throws(DebugError) in harts(debugger) },
        Topic(names: ["breakpoints", "b", "watchpoints"], arguments: "", summary: "breakpoints, watchpoints and events with their hits") { debugger, _ throws(DebugError) in
            breakpoints(debugger)
        },
        Topic(names: ["symbol"], arguments: "ADDRESS", summary: "which symbol an address belongs to") { debugger, words throws(DebugError) in
            let address = try debugger.session.evaluate(words.joined(separator: " ")).bits
            guard let symbol = debugger.session.symbols?.symbol(at: address) else { throw DebugError("no symbol is known for \(hexText(address))") }
            return CommandResult("\(hexText(address)) is \(symbol.text)\n", .record(["address": .hex(address), "symbol": .string(symbol.text)]))
        },
        Topic(names: ["address"], arguments: "SYMBOL", summary: "where a symbol is") { debugger, words throws(DebugError) in
            let address = try debugger.session.location(words.joined(separator: " "))
            return CommandResult("\(words.joined(separator: " ")) is at \(hexText(address))\n", .record(["address": .hex(address)]))
        },
        Topic(names: ["line"], arguments: "PLACE", summary: "the source line of a place") { debugger, words throws(DebugError) in
            let session = debugger.session
            let place = words.isEmpty ? session.pc : try session.location(words.joined(separator: " "))
            guard let address = session.firstWithLine(place) else { throw DebugError("no line is known for \(session.addressText(place))") }
            return CommandResult(StopReport.placeText(address, session) + "\n", .object(StopReport.placeValue(address, session)))
        },
        Topic(names: ["files", "symbols", "sources"], arguments: "", summary: "symbol files loaded") { debugger, _ throws(DebugError) in
            let modules = debugger.symbols.modules
            let text = modules.isEmpty ? "no symbols are loaded\n" : modules.map { "\($0.file.name): \($0.file.symbolCount) symbols, slide \(hexText($0.slide))\n" }.joined()
            return CommandResult(text, .record(["files": .list(modules.map { .record(["name": .string($0.file.name), "symbols": .int($0.file.symbolCount), "slide": .hex($0.slide)]) })]))
        },
        Topic(names: ["mem", "mappings"], arguments: "", summary: "what the selected hart's page tables map, with rights") { debugger, _ throws(DebugError) in mappings(debugger) },
        Topic(names: ["tlb"], arguments: "", summary: "the selected hart's TLB") { debugger, _ throws(DebugError) in tlb(debugger) },
        Topic(names: ["physical", "mtree"], arguments: "", summary: "the physical address space: memory and devices") { debugger, _ throws(DebugError) in physical(debugger) },
        Topic(names: ["devices"], arguments: "", summary: "devices and where their registers are") { debugger, _ throws(DebugError) in physical(debugger, memory: false) },
        Topic(names: ["device", "dev"], arguments: "NAME", summary: "a device's registers and state, without touching it") { debugger, words throws(DebugError) in
            try device(debugger, words)
        },
        Topic(names: ["interrupts", "irq"], arguments: "", summary: "what is pending and enabled in every hart") { debugger, _ throws(DebugError) in
            let facts = debugger.session.harts.map { ($0.index, $0.interruptFacts) }
            let text = facts.map { index, lines in "hart \(index):\n" + lines.map { "  \($0)\n" }.joined() }.joined()
            return CommandResult(text, .record(["harts": .list(facts.map { .record(["hart": .int($0.0), "facts": .list($0.1.map { .string($0) })]) })]))
        },
        Topic(names: ["dtb", "device-tree", "fdt"], arguments: "", summary: "the device tree the guest was given") { debugger, _ throws(DebugError) in
            guard let blob = try? debugger.session.machine.deviceTreeBlob(), let text = DeviceTreeText.source(blob) else { throw DebugError("the machine has no device tree") }
            return CommandResult(text, .record(["source": .string(text)]))
        },
        Topic(names: ["events", "timers"], arguments: "", summary: "pending events and guest time") { debugger, _ throws(DebugError) in events(debugger) },
        Topic(names: ["display"], arguments: "", summary: "expressions shown at every stop") { debugger, _ throws(DebugError) in
            CommandResult(
                debugger.displays.map { "\($0.id): \($0.format.map { "/\($0) " } ?? "")\($0.expression)\n" }.joined(),
                .record(["displays": .list(debugger.displays.map { .record(["number": .int($0.id), "expression": .string($0.expression)]) })]))
        },
        Topic(names: ["status", "program", "stats"], arguments: "", summary: "why the guest stopped, and what has run so far") { debugger, _ throws(DebugError) in
            let session = debugger.session
            return CommandResult(
                StopReport.text(session.lastStop, session) + session.machine.statistics.summary + "\n",
                .record(["stop": StopReport.value(session.lastStop, session), "instructions": .int(Int(truncatingIfNeeded: session.machine.statistics.instructions))]))
        },
    ]

    // MARK: Registers

    private static func registers(
        _ debugger: Debugger, _ words: [String], _ isChosen: (RegisterDescription) -> Bool
    ) throws(DebugError) -> CommandResult {
        let session = debugger.session
        var chosen: [RegisterDescription] = []
        for word in words { chosen.append(try session.register(word)) }
        if words.isEmpty { chosen = session.registers.filter(isChosen) }
        var text = ""
        var members: [DebugValue.Member] = []
        for register in chosen {
            let value = session.read(register)
            text += line(register, value, session)
            let fields = session.fields(of: register)
            if !words.isEmpty {
                for field in fields {
                    let bits = field.high == field.low ? "\(field.low)" : "\(field.high):\(field.low)"
                    text += "  \(bits.padded(6)) \(field.name.padded(24)) \(hexText(field.value))\(field.meaning.isEmpty ? "" : " (\(field.meaning))")\n"
                }
            }
            guard !words.isEmpty, !fields.isEmpty else {
                members.append(.init(name: register.name, value: register.group == .vector ? .string(vectorText(register, session)) : .hex(value)))
                continue
            }
            members.append(.init(name: register.name, value: .record([
                "value": .hex(value),
                "fields": .object(fields.map { .init(name: $0.name, value: .record(["value": .hex($0.value), "meaning": .string($0.meaning)])) }),
            ])))
        }
        return CommandResult(text, .object(members))
    }

    private static func vectorText(_ register: RegisterDescription, _ session: DebugSession) -> String {
        "0x" + session.hart.vectorBytes(of: register).reversed().map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    private static func line(_ register: RegisterDescription, _ value: UInt64, _ session: DebugSession) -> String {
        let name = register.name.padded(register.group == .system ? 14 : 6)
        switch register.group {
        case .float:
            let double = Double(bitPattern: value)
            let single = value >> 32 == 0xffff_ffff ? "float \(Float(bitPattern: UInt32(truncatingIfNeeded: value)))" : "double \(double)"
            return "\(name) \(hexColumn(value))  \(single)\n"
        case .system:
            let parts = session.fields(of: register).filter { $0.value != 0 }.prefix(16).map { field in
                field.meaning.isEmpty ? field.high == field.low ? field.name : "\(field.name)=\(hexText(field.value))" : "\(field.name)=\(field.meaning)"
            }
            return "\(name) \(hexText(value).padded(18)) \(parts.joined(separator: " "))".trimmedEnd + "\n"
        case .vector: return "\(name) \(vectorText(register, session))\n"
        case .general:
            let shown = register.isPointer || session.symbolText(value) != nil ? session.addressText(value) : String(Int64(bitPattern: value))
            return "\(name) \(hexText(value).padded(18)) \(shown)\n"
        }
    }

    // MARK: Harts

    private static func harts(_ debugger: Debugger) -> CommandResult {
        let session = debugger.session
        var text = ""
        var values: [DebugValue] = []
        for hart in session.harts {
            let state = hart.isWaiting ? "waiting" : "running"
            text += "\(hart.index == session.selected ? "*" : " ") hart \(hart.index)  \(hart.privilegeName)-mode  \(state)  \(StopReport.placeText(hart.pc, session))\n"
            values.append(.object([
                .init(name: "hart", value: .int(hart.index)), .init(name: "selected", value: .bool(hart.index == session.selected)),
                .init(name: "privilege", value: .string(hart.privilegeName)), .init(name: "waiting", value: .bool(hart.isWaiting)), .init(name: "space", value: .hex(hart.space)),
            ] + StopReport.placeValue(hart.pc, session)))
        }
        return CommandResult(text, .record(["harts": .list(values)]))
    }

    private static func breakpoints(_ debugger: Debugger) -> CommandResult {
        let points = debugger.session.userBreakpoints
        var text = points.isEmpty ? "no breakpoints\n" : ""
        for point in points {
            text += "\(String(point.id).padded(4)) \(point.kindName.padded(20)) \(point.isEnabled ? "on " : "off")  \(CommandTable.describe(point, debugger.session))\n"
            if point.hits > 0 { text += "     hit \(point.hits) time\(point.hits == 1 ? "" : "s")\n" }
            if point.ignoreCount > 0 { text += "     passes over the next \(point.ignoreCount)\n" }
            for command in point.commands { text += "       \(command)\n" }
        }
        return CommandResult(text, .record(["breakpoints": .list(points.map { CommandTable.value($0, debugger.session) })]))
    }

    // MARK: Memory

    private static let mappingLimit = 4096

    private static func mappings(_ debugger: Debugger) -> CommandResult {
        let ranges = debugger.session.hart.mappings(limit: mappingLimit)
        var text = ranges.map { "\(hexColumn($0.address))-\(hexColumn($0.address &+ ($0.size &- 1)))  \($0.rights)  -> \(hexText($0.physical))\n" }.joined()
        if ranges.isEmpty { text = "nothing is translated: satp is off or maps nothing\n" }
        if ranges.count == mappingLimit { text += "… only the first \(mappingLimit) ranges are shown\n" }
        return CommandResult(text, .record(["ranges": .list(ranges.map {
            .record(["address": .hex($0.address), "size": .hex($0.size), "physical": .hex($0.physical), "rights": .string($0.rights)])
        })]))
    }

    private static func tlb(_ debugger: Debugger) -> CommandResult {
        let pages = debugger.session.hart.tlb
        let text = pages.isEmpty ? "the TLB is empty\n" : pages.map {
            "\($0.isCurrent ? "*" : " ") \(hexColumn($0.address)) -> \(hexColumn($0.physical))  \($0.rights) \($0.privilege)\($0.isSlow ? "  slow" : "")"
                + ($0.space == 0 ? "\n" : "  satp \(hexText($0.space))\n")
        }.joined()
        return CommandResult(text, .record(["pages": .list(pages.map {
            .record([
                "address": .hex($0.address), "physical": .hex($0.physical), "rights": .string($0.rights), "privilege": .string($0.privilege), "space": .hex($0.space),
                "slow": .bool($0.isSlow), "current": .bool($0.isCurrent),
            ])
        })]))
    }

    private static func physical(_ debugger: Debugger, memory: Bool = true) -> CommandResult {
        let machine = debugger.session.machine
        var ranges = machine.regions.map { ($0.base, $0.size, $0.device.name) }
        if memory { ranges += machine.memories.map { ($0.base, $0.size, $0.isReadOnly ? "ROM" : "RAM") } }
        ranges.sort { $0.0 < $1.0 }
        return CommandResult(
            ranges.map { "\(hexColumn($0.0))-\(hexColumn($0.0 &+ ($0.1 &- 1)))  \($0.2)\n" }.joined(),
            .record(["ranges": .list(ranges.map { .record(["base": .hex($0.0), "size": .hex($0.1), "name": .string($0.2)]) })]))
    }

    // MARK: Devices

    private static func device(_ debugger: Debugger, _ words: [String]) throws(DebugError) -> CommandResult {
        let machine = debugger.session.machine
        guard let name = words.first else { return physical(debugger, memory: false) }
        let parts = machine.regions.map { ($0.device.name, $0.device as? any Saveable, Optional($0)) }
            + machine.deviceStates.map { ($0.stateName, Optional($0), machine.regions.first { _ in false }) }
        guard let found = parts.first(where: { $0.0 == name }) else {
            throw DebugError("there is no device '\(name)'" + didYouMean(name, among: parts.map(\.0)) + "; 'info devices' lists them")
        }
        var text = found.2.map { "\(name) at \(hexText($0.base)), \(hexText($0.size)) bytes\n" } ?? "\(name)\n"
        var state = DebugValue.null
        if let saveable = found.1, let data = try? saveable.encodedState(), let object = try? JSONSerialization.jsonObject(with: data, options: .fragmentsAllowed) {
            state = value(object)
            text += lines(state, indent: 2)
        } else {
            text += "  it keeps no state\n"
        }
        return CommandResult(text, .record(["name": .string(name), "base": .hex(found.2?.base), "state": state]))
    }

    /// What a JSON reader made of a device's state.
    private static func value(_ object: Any) -> DebugValue {
        switch object {
        case let dictionary as [String: Any]: .object(dictionary.sorted { $0.key < $1.key }.map { .init(name: $0.key, value: value($0.value)) })
        case let array as [Any]: .list(array.map(value))
        case let text as String: .string(text)
        case let number as NSNumber: CFGetTypeIDIsBool(number) ? .bool(number.boolValue) : .hex(number.uint64Value)
        default: .null
        }
    }

    /// `true` and `false` come as numbers of one character.
    private static func CFGetTypeIDIsBool(_ number: NSNumber) -> Bool { String(cString: number.objCType) == "c" }

    private static func lines(_ value: DebugValue, indent: Int) -> String {
        guard case .object(let members) = value else { return String(repeating: " ", count: indent) + short(value) + "\n" }
        return members.map { member in
            let head = String(repeating: " ", count: indent) + member.name
            if case .object(let inner) = member.value, !inner.isEmpty { return head + ":\n" + lines(member.value, indent: indent + 2) }
            return head.padded(26) + " " + short(member.value) + "\n"
        }.joined()
    }

    /// A value on one line, with equal neighbours of a list drawn together.
    private static func short(_ value: DebugValue) -> String {
        switch value {
        case .hex(let number): return hexText(number)
        case .string(let text): return "\"\(text)\""
        case .bool(let flag): return flag ? "yes" : "no"
        case .list(let values):
            var parts: [String] = []
            var index = 0
            while index < values.count, parts.count < 24 {
                let run = values[index...].prefix { $0 == values[index] }.count
                parts.append(short(values[index]) + (run > 1 ? " (\(run) times)" : ""))
                index += run
            }
            return "[" + parts.joined(separator: ", ") + (index < values.count ? ", …" : "") + "]"
        case .object(let members): return "{" + members.map { "\($0.name) \(short($0.value))" }.joined(separator: ", ") + "}"
        case .int(let number): return String(number)
        case .null: return "-"
        }
    }

    private static func events(_ debugger: Debugger) -> CommandResult {
        let queue = debugger.session.machine.events
        let now = queue.now
        let pending = queue.pending
        var text = "guest time \(secondsText(now)) s\n"
        for event in pending { text += "  \(event.name.padded(16)) in \(event.deadline > now ? secondsText(event.deadline - now) : "0") s\n" }
        return CommandResult(text, .record([
            "now": .hex(now), "events": .list(pending.map { .record(["name": .string($0.name), "deadline": .hex($0.deadline)]) }),
        ]))
    }
}

extension String {
    fileprivate var trimmedEnd: String {
        var text = self
        while text.last == " " { text.removeLast() }
        return text
    }
}
