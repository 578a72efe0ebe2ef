import EmuBus

/// Looking at the guest.
extension CommandTable {
    static let looking: [Command] = [
        Command(
            names: ["info", "i"], arguments: "TOPIC [WHAT]", section: .looking, summary: "show a topic; 'info' lists the topics",
            examples: ["info registers", "info registers a0 sp", "info csr mstatus", "info harts", "info device uart0"], completion: .topics
        ) { debugger, input throws(DebugError) in try InfoTable.show(debugger, input) },
        Command(
            names: ["print", "p", "call"], arguments: "[/FORMAT] EXPRESSION", section: .looking, summary: "compute an expression",
            details: """
                C's operators over registers ($a0 or a0), symbols, memory (*(u32*)(sp+8), ((u8*)$a0)[3], {u16}ADDRESS), control registers ($mstatus), values shown
                before ($1, $) and variables ($x = 5). FORMAT is one of x d u o t c a f s i.
                """,
            examples: ["p $a0", "p/x *(u32*)(sp+8)", "p/t $mstatus", "p $a0 = 5", "p &main"], completion: .expression
        ) { debugger, input throws(DebugError) in try printValue(debugger, input) },
        Command(
            names: ["x"], arguments: "[/COUNT FORMAT SIZE] [ADDRESS]", section: .looking, summary: "show memory as the selected hart sees it",
            details: """
                FORMAT: x hex, d decimal, u unsigned, o octal, t binary, c character, a address, f float, s string, i instruction. SIZE: b 1, h 2, w 4, g 8 bytes.
                Without ADDRESS, and when an empty line repeats it, it goes on behind what was shown last. No page table changes; devices are not read unless
                'set devices on'.
                """,
            examples: ["x/8gx $sp", "x/s $a0", "x/10i $pc", "x/4wx &_start"], completion: .expression, repeats: true
        ) { debugger, input throws(DebugError) in try examine(debugger, input, .virtual) },
        Command(
            names: ["xp"], arguments: "[/COUNT FORMAT SIZE] [ADDRESS]", section: .looking, summary: "show memory by physical address", examples: ["xp/4gx 0x80000000"],
            completion: .expression, repeats: true) { debugger, input throws(DebugError) in try examine(debugger, input, .physical) },
        Command(
            names: ["disassemble", "disas"], arguments: "[PLACE] [COUNT]", section: .looking, summary: "list instructions, of the function or from PLACE on",
            details: "Without arguments, the function pc is in if its size is known, else ten instructions from pc on; repeated, what follows.",
            examples: ["disas", "disas main", "disas *0x80000000 20"], completion: .place, repeats: true) { debugger, input throws(DebugError) in
            try disassemble(debugger, input)
        },
        Command(
            names: ["backtrace", "bt", "where"], arguments: "[COUNT]", section: .looking, summary: "show who called whom",
            details: "By the program's unwind information, by reading its functions, or by frame pointers. Functions inlined at a place are shown above the one they became part of.",
            examples: ["bt", "bt 5"]) { debugger, input throws(DebugError) in
            let limit = input.text.isEmpty ? 64 : try count(debugger, input)
            let session = debugger.session
            let shown = frames(session.backtrace(limit: min(limit, 10_000)), session)
            return CommandResult(shown.text, .record(["frames": shown.value]))
        },
        Command(
            names: ["list", "l"], arguments: "[PLACE]", section: .looking, summary: "show source lines around PLACE, around pc, or those that follow",
            details: "Files are looked for where the compiler found them; 'directory' names other places.", examples: ["list", "list main", "list main.c:10"],
            completion: .place, repeats: true) { debugger, input throws(DebugError) in try list(debugger, input) },
        Command(
            names: ["directory", "dir"], arguments: "DIRECTORY | FROM TO", section: .looking, summary: "look for source files in DIRECTORY, or below TO instead of FROM",
            examples: ["directory src", "directory /build/linux /home/me/linux"], completion: .files) { debugger, input throws(DebugError) in
            switch input.words.count {
            case 1: debugger.sources.search(input.words[0])
            case 2: debugger.sources.substitute(input.words[0], input.words[1])
            default: throw DebugError("write directory DIRECTORY, or directory FROM TO")
            }
            return CommandResult()
        },
        Command(
            names: ["translate", "walk"], arguments: "ADDRESS [read|write|execute]", section: .looking, summary: "walk the page tables, level by level: why does this address fault?",
            examples: ["translate $sp", "translate 0x1000 write"], completion: .expression) { debugger, input throws(DebugError) in
            var words = input.words
            var access = DebugAccess.read
            if let last = words.last, let found = DebugAccess.allCases.first(where: { $0.rawValue == last }) {
                access = found
                words.removeLast()
            }
            guard !words.isEmpty else { throw DebugError("which address?") }
            let story = debugger.session.story(try debugger.session.evaluate(words.joined(separator: " ")).bits, access)
            return CommandResult(storyText(story), storyValue(story))
        },
        Command(
            names: ["display"], arguments: "[/FORMAT] [EXPRESSION]", section: .looking, summary: "show an expression at every stop, or show all of them now",
            examples: ["display $a0", "display/4i $pc"], completion: .expression) { debugger, input throws(DebugError) in
            if input.text.isEmpty {
                var text = ""
                for display in debugger.displays { text += try debugger.show(display).text }
                return CommandResult(text)
            }
            if let format = input.format { _ = try DisplayFormat(format) }
            let display = Debugger.Display(id: debugger.nextDisplay, format: input.format, expression: input.text)
            let shown = try debugger.show(display)
            debugger.displays.append(display)
            debugger.nextDisplay += 1
            return shown
        },
        Command(names: ["undisplay"], arguments: "[NUMBER…]", section: .looking, summary: "stop showing expressions, or all of them") {
            debugger, input throws(DebugError) in
            if input.text.isEmpty { debugger.displays = [] }
            for word in input.words {
                guard let id = Int(word), debugger.displays.contains(where: { $0.id == id }) else { throw DebugError("there is no display '\(word)'") }
                debugger.displays.removeAll { $0.id == id }
            }
            return CommandResult()
        },
    ]

    private static func list(_ debugger: Debugger, _ input: CommandInput) throws(DebugError) -> CommandResult {
        let session = debugger.session
        let lines: [SourceFile.Line]
        let file: String
        if input.text.isEmpty || input.isRepeated, let next = debugger.nextListed {
            file = next.file
            lines = debugger.sources.file(file)?.lines(from: next.line, count: 10) ?? []
            if lines.isEmpty { throw DebugError("\(file) ends at line \(next.line - 1)") }
        } else {
            let address = input.text.isEmpty ? session.pc : try session.location(input.text)
            guard let place = session.firstWithLine(address).flatMap({ session.symbols?.line(at: $0) }) else {
                throw DebugError("no line is known for \(session.addressText(address))")
            }
            file = place.file
            guard let source = debugger.sources.file(file) else {
                throw DebugError("\(file), line \(place.line), is not on this machine; say where it is with 'directory'")
            }
            lines = source.around(place.line)
        }
        if let last = lines.last { debugger.nextListed = (file, last.number + 1) }
        return CommandResult(
            lines.map { "\($0.number)".padded(6) + $0.text + "\n" }.joined(),
            .record(["file": .string(file), "lines": .list(lines.map { .record(["line": .int($0.number), "text": .string($0.text)]) })]))
    }

    /// Frames, a line each and as a list.
    static func frames(_ frames: [CallerFrame], _ session: DebugSession) -> CommandResult {
        let text = frames.map { frame in inlined(frame) + "#\(frame.level)".padded(4) + frameText(frame, session) + "\n" }.joined()
        return CommandResult(text, .list(frames.map { frame in
            .object(
                [.init(name: "level", value: .int(frame.level))] + StopReport.placeValue(frame.pc, session)
                    + [.init(name: "frame", value: .hex(frame.frame)), .init(name: "scopes", value: .list(frame.scopes.map(scopeValue)))])
        }))
    }

    /// The functions inlined at a frame's place, a line each.
    private static func inlined(_ frame: CallerFrame) -> String {
        frame.scopes.filter(\.isInlined).map { scope in
            "    inlined " + (scope.function ?? "?") + (scope.location.map { " at \($0.file):\($0.line)" } ?? "") + "\n"
        }.joined()
    }

    /// The line is the one of the call, not of what follows it.
    private static func frameText(_ frame: CallerFrame, _ session: DebugSession) -> String {
        guard let place = frame.scopes.last?.location, place.line > 0 else { return StopReport.placeText(frame.pc, session) }
        return session.addressText(frame.pc) + " at \(place.file):\(place.line)"
    }

    private static func scopeValue(_ scope: CodeScope) -> DebugValue {
        var members: [DebugValue.Member] = [.init(name: "function", value: .string(scope.function ?? "")), .init(name: "inlined", value: .bool(scope.isInlined))]
        if let place = scope.location { members += [.init(name: "file", value: .string(place.file)), .init(name: "line", value: .int(place.line))] }
        return .object(members)
    }

    private static func printValue(_ debugger: Debugger, _ input: CommandInput) throws(DebugError) -> CommandResult {
        let session = debugger.session
        let text = input.text.isEmpty ? "$" : input.text
        let value = try session.evaluate(text, allowsAssignment: true)
        var format: DisplayFormat?
        if let given = input.format {
            let read = try DisplayFormat(given)
            if read.letter == .string || read.letter == .instruction {
                var address = value.bits
                return try Examination.examine(debugger, &address, read, .virtual)
            }
            format = read
        }
        let number = session.record(value)
        let shown = debugger.valueText(value, format)
        return CommandResult(
            "$\(number) = \(shown)\n",
            .record(["number": .int(number), "value": .hex(value.bits), "text": .string(shown), "symbol": .string(session.symbolText(value.bits))]))
    }

    private static func examine(_ debugger: Debugger, _ input: CommandInput, _ kind: DebugSession.AddressKind) throws(DebugError) -> CommandResult {
        var format = debugger.examineFormat
        if let given = input.format { format = try DisplayFormat(given, defaults: format) } else { format.count = 1 }
        if !input.text.isEmpty, !input.isRepeated {
            let value = try debugger.session.evaluate(input.text)
            // Memory itself is meant by its address.
            if case .memory(let address)? = value.place { debugger.nextExamined = address } else { debugger.nextExamined = value.bits }
        }
        var remembered = format
        remembered.count = 1
        // A string's or an instruction's size says nothing about the next numbers.
        debugger.examineFormat = remembered
        return try Examination.examine(debugger, &debugger.nextExamined, format, kind)
    }

    private static func disassemble(_ debugger: Debugger, _ input: CommandInput) throws(DebugError) -> CommandResult {
        let session = debugger.session
        var words = input.words
        var number = 10
        if words.count > 1, let last = words.last, let given = Int(last), given > 0 {
            number = min(given, 1 << 20)
            words.removeLast()
        }
        var start = session.pc
        if input.isRepeated, let next = debugger.nextDisassembled {
            start = next
        } else if !words.isEmpty {
            start = try session.location(words.joined(separator: " "))
        }
        var list: [DebugInstruction]
        if !input.isRepeated, number == 10, input.words.count < 2, let symbol = session.symbols?.symbol(at: start), symbol.size > 0, symbol.offset < symbol.size,
            symbol.size <= 1 << 16 {
            let first = start &- symbol.offset
            list = try session.disassemble(first, count: Int(symbol.size / 2 + 1)).filter { $0.address &- first < symbol.size }
        } else {
            list = try session.disassemble(start, count: number)
        }
        if let last = list.last { debugger.nextDisassembled = last.address &+ last.length }
        let pc = session.pc
        var text = ""
        var line: SourceLine?
        for instruction in list {
            if let here = session.symbols?.line(at: instruction.address), here != line {
                line = here
                text += "\(here.file):\(here.line)\n"
            }
            text += (instruction.address == pc ? "=> " : "   ") + Listing.line(instruction, session, showsBytes: true) + "\n"
        }
        return CommandResult(text, .record(["instructions": .list(list.map { Listing.value($0, session) })]))
    }

    // MARK: Translation

    private static func sizeText(_ size: UInt64) -> String {
        for (shift, unit) in [(30, "GiB"), (20, "MiB"), (10, "KiB")] where size >= 1 << UInt64(shift) && size & (1 << UInt64(shift) - 1) == 0 {
            return "\(size >> UInt64(shift)) \(unit)"
        }
        return "\(size) bytes"
    }

    static func storyText(_ story: TranslationStory) -> String {
        var text = "\(hexText(story.address)), \(story.access.rawValue), with the rights of \(story.privilege)-mode: \(story.scheme)\n"
        for step in story.steps {
            text += "  level \(step.level): entry at \(hexText(step.position)) = \(step.entry.map { hexColumn($0) } ?? "?"): \(step.text)\n"
        }
        if let physical = story.physical, !story.steps.isEmpty { text += "  physical address \(hexText(physical)), in a page of \(sizeText(story.pageSize))\n" }
        text += story.fault.map { "  \($0): \(story.reason)\n" } ?? "  allowed\n"
        return text
    }

    static func storyValue(_ story: TranslationStory) -> DebugValue {
        .record([
            "address": .hex(story.address), "access": .string(story.access.rawValue), "scheme": .string(story.scheme), "privilege": .string(story.privilege),
            "steps": .list(story.steps.map {
                .record(["level": .int($0.level), "position": .hex($0.position), "entry": .hex($0.entry), "text": .string($0.text)])
            }),
            "physical": .hex(story.physical), "pageSize": .hex(story.pageSize), "fault": .string(story.fault), "reason": .string(story.reason),
        ])
    }
}
