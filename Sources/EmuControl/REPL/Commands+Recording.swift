import EmuBus

/// Recording what the guest does: traces, profiles, coverage.
extension CommandTable {
    static let recording: [Command] = [
        Command(
            names: ["trace"], arguments: "[FILE [KIND…] [FILTER…] | stop]", section: .recording, summary: "write what harts do to a file, a line for each thing",
            details: """
                Kinds of lines (default: instructions exceptions):
                  instructions   each one executed
                  memory         loads and stores, device registers included
                  mmio           accesses to device registers
                  exceptions     exceptions and interrupts taken
                Filters; of each kind at least one must hold:
                  code RANGE     by the address of the instruction
                  data RANGE     by the address accessed
                  hart N         priv U|S|M
                RANGE is START..END, START+LENGTH or the name of a function; no spaces in it.
                Instructions and all of memory make the guest slow; data of a few pages, mmio and exceptions hardly. 'trace stop' completes the file, and so
                does the end of the guest or of emulate; 'trace' says what is being written. The same: emulate run --trace.
                """,
            examples: ["trace run.txt", "trace boot.txt exceptions priv S", "trace uart.txt mmio data 0x10000000+8", "trace f.txt instructions memory code main hart 0", "trace stop"],
            completion: .files) { debugger, input throws(DebugError) in try trace(debugger, input.words) },
        Command(
            names: ["profile", "prof"], arguments: "[start [INTERVAL] | stop | tree | save FILE]", section: .recording,
            summary: "find out where harts spend their time",
            details: """
                'profile start' begins: the stack of each hart is looked at about every INTERVAL of its cycles (default \(Profiler.defaultInterval)), which
                changes nothing in the guest and with --time virtual gives the same profile each time. 'profile' shows the functions by the cycles spent
                in themselves and with what they call; 'profile tree' shows who calls whom; 'profile save FILE' writes an SVG flame graph when FILE
                ends in .svg, else folded stacks for other tools. Names need symbols. The same: emulate run --profile FILE.
                """,
            examples: ["profile start", "profile start 1000", "profile", "profile save boot.svg"], completion: .files
        ) { debugger, input throws(DebugError) in try profile(debugger, input.words) },
        Command(
            names: ["coverage", "cov"], arguments: "[start | stop | clear | save FILE]", section: .recording, summary: "count which code is executed",
            details: """
                'coverage start' begins; the guest is slow meanwhile. 'coverage' shows for each function that was executed how much of it was;
                'coverage save FILE' writes the counts of source lines for lcov and genhtml, which needs a program built with -g.
                The same: emulate run --coverage FILE.
                """,
            examples: ["coverage start", "coverage", "coverage save guest.info"], completion: .files
        ) { debugger, input throws(DebugError) in try coverage(debugger, input.words) },
    ]

    private static func trace(_ debugger: Debugger, _ words: [String]) throws(DebugError) -> CommandResult {
        let recordings = debugger.recordings
        guard let path = words.first else {
            guard let tracer = recordings.tracer else { return CommandResult("nothing is being traced\n", .record(["file": .null])) }
            let kinds = tracer.filter.kinds.map(\.rawValue).sorted()
            return CommandResult(
                "\(tracer.file.path): \(kinds.joined(separator: ", ")); \(tracer.lines) lines so far\n",
                .record(["file": .string(tracer.file.path), "kinds": .list(kinds.map { .string($0) }), "lines": .int(tracer.lines)]))
        }
        if words == ["stop"] || words == ["off"] {
            let path = recordings.tracer?.file.path ?? ""
            let lines = try recordings.stopTrace()
            return CommandResult("\(path): \(lines) line\(lines == 1 ? "" : "s")\n", .record(["file": .string(path), "lines": .int(lines)]))
        }
        try recordings.startTrace(path, Array(words.dropFirst()))
        return CommandResult("", .record(["file": .string(path)]))
    }

    // MARK: Profile

    private static let tableLimit = 30

    private static func profile(_ debugger: Debugger, _ words: [String]) throws(DebugError) -> CommandResult {
        let recordings = debugger.recordings
        switch (words.first, words.count) {
        case ("start", 1...2):
            var interval: Int?
            if words.count == 2 {
                guard let number = Int(words[1]), number > 0 else { throw DebugError("profile: '\(words[1])' is not a number of cycles") }
                interval = number
            }
            try recordings.startProfile(interval: interval)
            return CommandResult()
        case ("stop", 1):
            try recordings.stopProfile()
            return CommandResult()
        case ("save", 2):
            try taken(recordings).save(to: words[1])
            return CommandResult("", .record(["file": .string(words[1])]))
        case ("tree", 1): return callTree(try taken(recordings).tree)
        case (nil, _): return hotSpots(try taken(recordings).tree)
        default: throw DebugError("write profile, profile start [INTERVAL], profile stop, profile tree or profile save FILE")
        }
    }

    private static func taken(_ recordings: Recordings) throws(DebugError) -> Profiler {
        guard let profiler = recordings.profiler else { throw DebugError("profile: there is none; 'profile start' begins one") }
        return profiler
    }

    private static func hotSpots(_ tree: CallTree) -> CommandResult {
        let spots = tree.hotSpots
        var text = "\(tree.total) cycles, \(tree.samples) samples\n    self    total  function\n"
        for spot in spots.prefix(tableLimit) { text += "\(column(tree.percent(spot.own)))  \(column(tree.percent(spot.total)))  \(spot.name)\n" }
        if spots.count > tableLimit { text += "… and \(spots.count - tableLimit) more\n" }
        return CommandResult(text, .record([
            "cycles": .int(Int(clamping: tree.total)), "samples": .int(tree.samples),
            "functions": .list(spots.map { .record(["name": .string($0.name), "self": .int(Int(clamping: $0.own)), "total": .int(Int(clamping: $0.total))]) }),
        ]))
    }

    /// Right-aligned.
    private static func column(_ text: String) -> String { String(repeating: " ", count: max(0, 8 - text.count)) + text }

    private static func callTree(_ tree: CallTree) -> CommandResult {
        var text = "\(tree.total) cycles, \(tree.samples) samples\n    self    total  called\n"
        var values: [DebugValue] = []
        tree.visit { node, path in
            let own = tree.nodes[node].own, total = tree.nodes[node].total
            // A hundredth of everything, or it is not worth a line.
            if total &* 100 >= tree.total {
                text += "\(column(tree.percent(own)))  \(column(tree.percent(total)))  \(String(repeating: "  ", count: path.count - 1))\(path.last ?? "")\n"
            }
            values.append(.record(["stack": .list(path.map { .string($0) }), "self": .int(Int(clamping: own)), "total": .int(Int(clamping: total))]))
        }
        return CommandResult(text, .record(["cycles": .int(Int(clamping: tree.total)), "nodes": .list(values)]))
    }

    // MARK: Coverage

    private static func coverage(_ debugger: Debugger, _ words: [String]) throws(DebugError) -> CommandResult {
        let recordings = debugger.recordings
        switch (words.first, words.count) {
        case ("start", 1): try recordings.startCoverage()
        case ("stop", 1): try recordings.stopCoverage()
        case ("clear", 1): recordings.coverage?.clear()
        case ("save", 2):
            try OutputFile.write(try counted(recordings).lcov(debugger.symbols), to: words[1], for: "coverage")
            return CommandResult("", .record(["file": .string(words[1])]))
        case (nil, _): return summary(try counted(recordings).functions(debugger.symbols, debugger.session))
        default: throw DebugError("write coverage, coverage start, coverage stop, coverage clear or coverage save FILE")
        }
        return CommandResult()
    }

    private static func counted(_ recordings: Recordings) throws(DebugError) -> Coverage {
        guard let coverage = recordings.coverage else { throw DebugError("coverage: nothing was counted; 'coverage start' begins") }
        return coverage
    }

    private static func summary(_ functions: [Coverage.FunctionCoverage]) -> CommandResult {
        if functions.isEmpty { return CommandResult("no functions are known: load symbols with 'symbols FILE'\n", .record(["functions": .list([])])) }
        let run = functions.filter { $0.executed > 0 }
        let executed = run.reduce(0) { $0 + $1.executed }, all = functions.reduce(0) { $0 + $1.instructions }
        var text = "\(run.count) of \(functions.count) functions, \(executed) of \(all) instructions executed\n"
        if !run.isEmpty { text += "     calls  instructions  function\n" }
        for function in run {
            let calls = String(function.calls), share = "\(function.executed)/\(function.instructions)"
            text += String(repeating: " ", count: max(0, 10 - calls.count)) + calls + String(repeating: " ", count: max(0, 14 - share.count)) + share + "  \(function.name)\n"
        }
        return CommandResult(text, .record(["functions": .list(functions.map {
            .record([
                "name": .string($0.name), "address": .hex($0.address), "calls": .int(Int(clamping: $0.calls)), "executed": .int($0.executed),
                "instructions": .int($0.instructions),
            ])
        })]))
    }
}
