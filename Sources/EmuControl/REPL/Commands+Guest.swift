import EmuBus

/// The guest's operating system.
extension CommandTable {
    private struct Part: Sendable {
        let name: String
        let action: @Sendable (Debugger, LinuxGuest, [String]) throws(DebugError) -> CommandResult
    }

    private static let parts: [Part] = [
        Part(name: "ps") { _, guest, words throws(DebugError) in try processes(guest, words) },
        Part(name: "dmesg") { _, guest, words throws(DebugError) in try log(guest, words) },
        Part(name: "modules") { _, guest, words throws(DebugError) in try modules(guest, words) },
        Part(name: "syscalls") { debugger, guest, words throws(DebugError) in try systemCalls(debugger, guest, words) },
        Part(name: "bt") { debugger, guest, words throws(DebugError) in try backtrace(debugger, guest, words) },
    ]

    static let guest: [Command] = [
        Command(
            names: ["guest", "linux"], arguments: "[ps [threads]|dmesg [COUNT]|modules|syscalls [COUNT] [pid PID]|bt [PID]]", section: .guest,
            summary: "look into the Linux kernel that runs in the guest",
            details: """
                guest                overview: version, slide, what every hart executes
                guest ps [threads]   processes, or every thread, and the function each waits in
                guest dmesg [COUNT]  the kernel's log, or its last messages; also before a console works
                guest modules        modules with their places; their symbols can be used from then on
                guest syscalls [COUNT] [pid PID]   let the guest run and show system calls as they return
                guest bt [PID]       who called whom in a task, by default the selected hart's
                Names come from the table the kernel keeps in memory (CONFIG_KALLSYMS) and are known to every command after the first 'guest';
                structures from its type information (CONFIG_DEBUG_INFO_BTF). A vmlinux loaded with 'symbols' stands in for either.
                Nothing in the guest is changed.
                """,
            examples: ["guest", "guest ps", "guest dmesg 20", "guest syscalls 100 pid 42", "guest bt 42", "break do_sys_openat2 space 42"],
            completion: .words(parts.map(\.name))
        ) { debugger, input throws(DebugError) in
            let words = input.words
            guard let name = words.first else { return try overview(try debugger.guest(), debugger.session) }
            let begun = parts.filter { $0.name.hasPrefix(name) }
            guard let part = parts.first(where: { $0.name == name }) ?? (begun.count == 1 ? begun[0] : nil) else {
                throw DebugError("'guest' knows no '\(name)'" + didYouMean(name, among: parts.map(\.name)) + "; there are \(parts.map(\.name).joined(separator: ", "))")
            }
            return try part.action(debugger, try debugger.guest(), Array(words.dropFirst()))
        }
    ]

    private static func refuse(_ words: [String], _ what: String) throws(DebugError) {
        if let word = words.first { throw DebugError("'guest \(what)' does not know '\(word)'") }
    }

    /// A note below what was found when some of it was not.
    private static func problemText(_ problem: String?) -> String { problem.map { "incomplete: \($0)\n" } ?? "" }

    // MARK: Overview

    private static func overview(_ guest: LinuxGuest, _ session: DebugSession) throws(DebugError) -> CommandResult {
        let names = guest.names
        var text = ""
        if let names { text += "Linux \(names.release) \(names.version), \(names.machine), host \(names.host)\n" }
        if let line = guest.commandLine { text += "command line: \(line)\n" }
        let size = (guest.image.upperBound &- guest.image.lowerBound) >> 10
        text += "image at \(hexText(guest.image.lowerBound)), \(size) KiB, slide \(hexText(guest.slide))\n"
        text += "\(guest.symbols.map { "\($0.symbolCount) symbols of its own" } ?? "symbols from files"), \(guest.types.count) types, "
        text += "\((try? guest.modules().elements.count) ?? 0) modules\n"
        let processors = try guest.processors()
        for processor in processors {
            let hart = session.harts[processor.hart]
            let place = (hart as? any LinuxHart)?.isInUserMode == true ? "user" : "kernel"
            let task = processor.task.map { "\($0.pid)".padded(6) + $0.shownName } ?? "no task yet"
            text += "hart \(hart.index)  CPU \(processor.cpu)  \(place.padded(7))\(task.padded(24)) \(session.addressText(hart.pc))\n"
        }
        return CommandResult(text, .record([
            "release": .string(names?.release), "version": .string(names?.version), "machine": .string(names?.machine), "host": .string(names?.host),
            "commandLine": .string(guest.commandLine), "image": .hex(guest.image.lowerBound), "imageSize": .int(guest.image.count), "slide": .hex(guest.slide),
            "symbols": .int(guest.symbols?.symbolCount ?? 0), "types": .int(guest.types.count),
            "harts": .list(processors.map { processor in
                let hart = session.harts[processor.hart]
                return .record([
                    "hart": .int(hart.index), "cpu": .int(processor.cpu), "user": .bool((hart as? any LinuxHart)?.isInUserMode == true), "pc": .hex(hart.pc),
                    "symbol": .string(session.symbolText(hart.pc)), "task": processor.task.map { value($0, guest, nil) } ?? .null,
                ])
            }),
        ]))
    }

    // MARK: Tasks

    private static func processes(_ guest: LinuxGuest, _ words: [String]) throws(DebugError) -> CommandResult {
        let isThreads = words.first.map { "threads".hasPrefix($0) } ?? false
        try refuse(Array(words.dropFirst(isThreads ? 1 : 0)), "ps")
        let found = try guest.tasks(threads: isThreads)
        let running = Dictionary(try guest.processors().compactMap { one in one.task.map { ($0.address, one.hart) } }) { first, _ in first }
        var text = "   PID   PPID   UID S HART WAITS IN                  COMMAND\n"
        var values: [DebugValue] = []
        for task in found.elements {
            let hart = running[task.address]
            let waits = hart == nil ? guest.waitingPlace(of: task) : nil
            let arguments = guest.arguments(of: task)
            let command = arguments.isEmpty ? task.shownName : arguments.joined(separator: " ")
            func column(_ number: Int, _ width: Int) -> String {
                let digits = String(number)
                return String(repeating: " ", count: max(0, width - digits.count)) + digits
            }
            text += "\(column(task.pid, 6)) \(column(task.parent, 6)) \(column(task.user, 5)) \(task.state) "
            text += "\(hart.map { String($0) } ?? "-")".padded(4) + " \((waits ?? "-").padded(25)) \(command)\n"
            values.append(value(task, guest, waits, arguments: arguments, hart: hart))
        }
        return CommandResult(text + problemText(found.problem), .record(["tasks": .list(values), "problem": .string(found.problem)]))
    }

    private static func value(_ task: LinuxTask, _ guest: LinuxGuest, _ waits: String?, arguments: [String] = [], hart: Int? = nil) -> DebugValue {
        .record([
            "pid": .int(task.pid), "process": .int(task.process), "parent": .int(task.parent), "user": .int(task.user), "name": .string(task.name),
            "state": .string(String(task.state)), "cpu": .int(task.cpu), "hart": hart.map { .int($0) } ?? .null, "kernelThread": .bool(task.isKernelThread),
            "waitsIn": .string(waits), "arguments": .list(arguments.map { .string($0) }), "address": .hex(task.address),
            "space": .hex(try? guest.space(of: task)),
        ])
    }

    private static func backtrace(_ debugger: Debugger, _ guest: LinuxGuest, _ words: [String]) throws(DebugError) -> CommandResult {
        try refuse(Array(words.dropFirst()), "bt")
        let task: LinuxTask
        if let word = words.first {
            let number = try debugger.session.evaluate(word).bits
            guard number <= UInt64(Int32.max) else { throw DebugError("'\(word)' is not the number of a task") }
            task = try guest.task(pid: Int(number))
        } else {
            guard let address = (debugger.session.hart as? any LinuxHart)?.currentTask else {
                throw DebugError("the selected hart executes firmware; name a task: guest bt PID")
            }
            task = try guest.task(at: address)
        }
        let frames = try guest.backtrace(task, limit: 64)
        let hart = guest.hart(of: task)
        let title = "task \(task.pid), \(task.shownName), " + (hart.map { "on hart \($0.index)" } ?? "state \(task.state)") + "\n"
        let shown = Self.frames(frames, debugger.session)
        return CommandResult(title + shown.text, .record(["task": value(task, guest, nil, hart: hart?.index), "frames": shown.value]))
    }

    // MARK: Log and modules

    private static func log(_ guest: LinuxGuest, _ words: [String]) throws(DebugError) -> CommandResult {
        try refuse(Array(words.dropFirst()), "dmesg")
        var count = Int.max
        if let word = words.first {
            guard let number = Int(word), number > 0 else { throw DebugError("'\(word)' is not a number of messages") }
            count = number
        }
        let log = try guest.log()
        let messages = log.elements.suffix(count)
        return CommandResult(messages.map(\.text).joined() + problemText(log.problem), .record([
            "messages": .list(messages.map {
                .record([
                    "sequence": .int(Int(truncatingIfNeeded: $0.sequence)), "nanoseconds": .int(Int(truncatingIfNeeded: $0.time)), "level": .int($0.level),
                    "facility": .int($0.facility), "text": .string($0.lines.joined(separator: "\n")),
                ])
            }), "problem": .string(log.problem),
        ]))
    }

    private static func modules(_ guest: LinuxGuest, _ words: [String]) throws(DebugError) -> CommandResult {
        try refuse(words, "modules")
        let found = try guest.modules()
        var text = "MODULE                   SIZE  USES ADDRESS            USED BY\n"
        for module in found.elements {
            let size = String(module.size)
            text += module.name.padded(20) + String(repeating: " ", count: max(1, 9 - size.count)) + size + "  " + String(module.uses).padded(5)
            text += hexColumn(module.base) + (module.users.isEmpty ? "" : " " + module.users.joined(separator: ","))
            text += module.state == "live" ? "\n" : " (\(module.state))\n"
        }
        return CommandResult(text + problemText(found.problem), .record([
            "modules": .list(found.elements.map {
                .record([
                    "name": .string($0.name), "base": .hex($0.base), "size": .int(Int(truncatingIfNeeded: $0.size)), "uses": .int($0.uses), "state": .string($0.state),
                    "version": .string($0.version), "users": .list($0.users.map { .string($0) }),
                ])
            }), "problem": .string(found.problem),
        ]))
    }

    // MARK: System calls

    private static func systemCalls(_ debugger: Debugger, _ guest: LinuxGuest, _ words: [String]) throws(DebugError) -> CommandResult {
        var words = words
        var only: Int?, limit = Int.max
        if let index = words.firstIndex(of: "pid") {
            guard index + 1 < words.count, let number = Int(words[index + 1]), number > 0 else { throw DebugError("the number of a process is needed after 'pid'") }
            only = number
            words.removeSubrange(index...(index + 1))
        }
        if let word = words.first {
            guard let number = Int(word), number > 0 else { throw DebugError("'\(word)' is not a number of system calls") }
            limit = number
            words.removeFirst()
        }
        try refuse(words, "syscalls")
        let trace = LinuxCallTrace(guest, only: only, limit: limit) { debugger.onText($0.text) }
        debugger.session.add(trace)
        defer { debugger.session.remove(trace) }
        let stop = try debugger.run { () throws(DebugError) in try debugger.session.resume() }
        trace.finish()
        return CommandResult("\(trace.count) system calls\n" + stop.text, .record([
            "count": .int(trace.count), "calls": .list(trace.records.map(value)), "stop": stop.value,
        ]))
    }

    private static func value(_ record: LinuxCallRecord) -> DebugValue {
        var result = DebugValue.null
        if case .value(let value) = record.outcome { result = .int(Int(value)) }
        return .record([
            "pid": .int(record.pid), "process": .int(record.process), "task": .string(record.taskName), "hart": .int(record.hart),
            "number": .int(Int(truncatingIfNeeded: record.call.number)), "name": .string(record.call.name),
            "values": .list(record.arguments.map { .hex($0) }), "arguments": .list(record.argumentTexts.map { .string($0) }), "result": result,
            "resultText": .string(record.resultText),
        ])
    }
}
