import EmuBus

/// Changing the guest.
extension CommandTable {
    static let changing: [Command] = [
        Command(
            names: ["set"], arguments: "PLACE = EXPRESSION | SETTING VALUE", section: .changing, summary: "assign a register, memory, a control register or a variable; or change a setting",
            details: "Settings: " + settings.map { "\($0.name) \($0.values): \($0.help)" }.joined(separator: "\n"),
            examples: ["set $a0 = 5", "set *(u32*)0x80001000 = 0x13", "set $mstatus |= 8", "set $count = 0", "set step-harts all"], completion: .expression
        ) { debugger, input throws(DebugError) in try assign(debugger, input) },
        Command(names: ["show"], arguments: "[SETTING]", section: .changing, summary: "show settings") { debugger, input throws(DebugError) in
            let chosen = settings.filter { input.text.isEmpty || $0.name == input.text }
            guard !chosen.isEmpty else { throw DebugError("there is no setting '\(input.text)'" + didYouMean(input.text, among: settings.map(\.name))) }
            return CommandResult(
                chosen.map { "\($0.name.padded(16)) \($0.get(debugger).padded(5)) \($0.help)\n" }.joined(),
                .object(chosen.map { .init(name: $0.name, value: .string($0.get(debugger))) }))
        },
        Command(
            names: ["send"], arguments: "TEXT", section: .changing, summary: "type TEXT at the guest's console",
            details: "A line feed is added unless TEXT is in quotes, where \\n, \\r, \\t, \\e and \\xNN can be used; ^C is Ctrl-C. The guest sees it when it runs on.",
            examples: ["send ls -l", "send \"root\\n\"", "send ^C"]) { debugger, input throws(DebugError) in
            guard let send = debugger.sendToGuest else { throw DebugError("the guest has no console that could be typed at") }
            let bytes = try typed(input.text)
            send(bytes)
            return CommandResult("", .record(["bytes": .int(bytes.count)]))
        },
    ]

    /// Something of the debugger the user can change.
    private struct Setting: Sendable {
        let name: String
        let values: String
        let help: String
        let get: @Sendable (Debugger) -> String
        /// False when the value is none.
        let set: @Sendable (Debugger, String) -> Bool
    }

    private static func flag(_ text: String) -> Bool? {
        switch text {
        case "on", "yes", "1", "true": true
        case "off", "no", "0", "false": false
        default: nil
        }
    }

    private static let settings: [Setting] = [
        Setting(
            name: "step-harts", values: "one|all", help: "whether steps take the other harts along", get: { $0.session.stepsOneHart ? "one" : "all" },
            set: { debugger, text in
                guard text == "one" || text == "all" else { return false }
                debugger.session.stepsOneHart = text == "one"
                return true
            }),
        Setting(
            name: "step-interrupts", values: "on|off", help: "whether steps may end up in interrupt handlers", get: { $0.session.stepsHoldInterrupts ? "off" : "on" },
            set: { debugger, text in
                guard let value = flag(text) else { return false }
                debugger.session.stepsHoldInterrupts = !value
                return true
            }),
        Setting(
            name: "devices", values: "on|off", help: "whether x and set may touch device registers", get: { $0.touchesDevices ? "on" : "off" },
            set: { debugger, text in
                guard let value = flag(text) else { return false }
                debugger.touchesDevices = value
                return true
            }),
    ]

    private static func assign(_ debugger: Debugger, _ input: CommandInput) throws(DebugError) -> CommandResult {
        let words = input.words
        guard let first = words.first else { return try Debugger.command("show").action(debugger, input) }
        if let setting = settings.first(where: { $0.name == first }) {
            guard words.count == 2, setting.set(debugger, words[1]) else { throw DebugError("write set \(setting.name) \(setting.values)") }
            return CommandResult("", .object([.init(name: setting.name, value: .string(words[1]))]))
        }
        var text = input.text
        if first == "var" || first == "variable" { text = words.dropFirst().joined(separator: " ") }
        guard text.contains("=") else {
            throw DebugError("write set PLACE = EXPRESSION, or a setting" + didYouMean(first, among: settings.map(\.name)))
        }
        let value = try debugger.session.evaluate(text, allowsAssignment: true)
        return CommandResult("", .record(["value": .hex(value.bits)]))
    }

    private static func typed(_ text: String) throws(DebugError) -> [UInt8] {
        guard text.count >= 2, text.hasPrefix("\""), text.hasSuffix("\"") else {
            if text.count == 2, text.hasPrefix("^"), let code = text.last?.uppercased().utf8.first, (0x40...0x5f).contains(code) { return [code & 0x1f] }
            return Array(text.utf8) + [10]
        }
        var bytes: [UInt8] = []
        var rest = text.dropFirst().dropLast()
        while let character = rest.popFirst() {
            guard character == "\\" else {
                bytes += Array(String(character).utf8)
                continue
            }
            switch rest.popFirst() {
            case "n": bytes.append(10)
            case "r": bytes.append(13)
            case "t": bytes.append(9)
            case "e": bytes.append(27)
            case "x":
                guard let code = UInt8(rest.prefix(2), radix: 16), rest.count >= 2 else { throw DebugError("\\x needs two hexadecimal digits") }
                bytes.append(code)
                rest = rest.dropFirst(2)
            case let other?: bytes += Array(String(other).utf8)
            case nil: throw DebugError("something is missing after the last backslash")
            }
        }
        return bytes
    }
}
