import EmuControl
import EmuMachine

/// What is recorded of a run: `--trace`, `--profile`, `--coverage`.
package struct RecordingOptions: Sendable {
    /// File, and the words of the debugger's `trace` command that follow it.
    package var trace: (path: String, words: [String])?
    package var profile: (path: String, interval: Int?)?
    package var coverage: String?

    var isEmpty: Bool { trace == nil && profile == nil && coverage == nil }

    private static let traceProperties = [
        Property("file", .text, "FILE"), Property("kinds", .text, "what, joined by +"), Property("code", .text, "addresses of instructions"),
        Property("data", .text, "addresses accessed"), Property("hart", .number(0...4095), "one hart"), Property("priv", .choice(["U", "S", "M"]), "one privilege"),
    ]

    private typealias Row = Option<RunOptions>

    static let rows: [Option<RunOptions>] = [
        Row(["trace"], "FILE[,kinds=KIND+…][,code=RANGE][,data=RANGE][,hart=N][,priv=U|S|M]",
            help: "write what harts do to FILE; kinds: " + TraceFilter.Kind.allCases.map(\.rawValue).joined(separator: ", ")
                + " (default: instructions+exceptions)\n"
                + "RANGE: START..END, START+LENGTH or a function; filters may be repeated ('help trace' in emulate debug tells more)") {
            options, use throws(CommandEnd) in
            let list = try PropertyList(use, traceProperties, implied: "file")
            guard let path = list["file"], !path.isEmpty else { throw use.failed("needs a file") }
            var words = list["kinds"]?.split(separator: "+").map(String.init) ?? []
            for item in list.items where !["file", "kinds"].contains(item.name) { words += [item.name, item.value] }
            options.recording.trace = (path, words)
        },
        Row(["profile"], "FILE[,interval=CYCLES]",
            help: "look at the harts' stacks every so many cycles (default \(Profiler.defaultInterval)) and write where time was spent:\n"
                + "an SVG flame graph when FILE ends in .svg, else folded stacks; names come from ELF files on the command line") {
            options, use throws(CommandEnd) in
            let list = try PropertyList(use, [Property("file", .text, "FILE"), Property("interval", .number(1...1 << 40), "cycles")], implied: "file")
            guard let path = list["file"], !path.isEmpty else { throw use.failed("needs a file") }
            options.recording.profile = (path, list.number("interval").map { Int($0) })
        },
        Row(["coverage"], "FILE", help: "count how often each source line is executed and write it to FILE for lcov; the guest runs slowly") {
            options, use throws(CommandEnd) in
            if use.value.isEmpty { throw use.failed("needs the name of a file") }
            options.recording.coverage = use.value
        },
    ]
}

extension Recordings {
    /// Begins what the command line asks for.
    func start(_ options: RecordingOptions) throws(ConfigError) {
        if let (path, words) = options.trace { try attempt("trace") { () throws(DebugError) in try startTrace(path, words) } }
        if let (path, interval) = options.profile { try attempt("profile") { () throws(DebugError) in try startProfile(interval: interval, savingTo: path) } }
        if let path = options.coverage { try attempt("coverage") { () throws(DebugError) in try startCoverage(savingTo: path) } }
    }

    private func attempt(_ option: String, _ body: () throws(DebugError) -> Void) throws(ConfigError) {
        do throws(DebugError) { try body() } catch { throw ConfigError("-\(option)", error.description.replacingPrefix("\(option): ", with: "")) }
    }

    /// Completes all files; false when one is missing something, which is said.
    func finishAll() -> Bool {
        let problems = finish()
        for problem in problems { HostStartup.printError(problem.description) }
        return problems.isEmpty
    }
}
