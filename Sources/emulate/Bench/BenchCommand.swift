import CHost
import EmuBus
import Foundation
import Glibc

/// `emulate bench`: how much slower than this machine a guest runs.
package enum BenchCommand: Subcommand {
    static let name = "bench"
    static let summary = "measure how much slower than this machine guests run"

    package static var help: String {
        """
        usage: emulate bench [options]
               emulate bench compare OLD.json NEW.json

        Runs the programs of benchmarks/ natively, in this emulator and in the others found, and
        shows how much slower each is. 'compare' shows what changed between two runs beyond
        noise, and exits with 1 when something got slower or broke. See docs/benchmarks.md.

        """ + BenchOptions.table.text
    }

    static func run(_ arguments: [String]) throws(CommandEnd) -> Int32 {
        if arguments.first == "compare" { return try compare(Array(arguments.dropFirst())) }
        var options = BenchOptions()
        let words = try BenchOptions.table.parse(arguments, into: &options)
        if let word = words.first {
            throw .failed(word, "is no option of bench" + didYouMean(word, among: ["compare"]) + "; benchmarks are named with --only")
        }
        let engines = try EngineSelection.resolve(options.engines)
        if options.isList { throw .answered(list(engines)) }
        return try measure(options, engines)
    }

    // MARK: Measuring

    private static func measure(_ options: BenchOptions, _ engines: [BenchEngine]) throws(CommandEnd) -> Int32 {
        let plan = try BenchPlan(
            only: options.only, groups: options.groups, environments: options.environments, engines: engines, isFull: options.isFull, rounds: options.rounds)
        let thresholds: BenchThresholds?
        do {
            thresholds = try options.check.map { path throws(BenchFailure) in try BenchThresholds(path: path) }
        } catch {
            throw .failed("--check \(options.check ?? "")", "\(error)")
        }
        let progress = BenchProgress()
        let files = try BenchFiles(folder: options.folder)
        try files.build(progress)
        let load = HostFacts.load
        let host = HostFacts.current(compiler: files.compiler)
        let entries = try run(plan, files, progress, programLimit: options.limit)
        var results = BenchResults(
            date: ISO8601DateFormatter().string(from: Date()), profile: plan.profile, rounds: plan.rounds, host: host,
            engines: engines.map { BenchResults.Engine(name: $0.name, version: version($0)) })
        results.entries = entries
        results.warnings = BenchChecks.warnings(entries, load: load, cores: host.cores)
        _ = HostStartup.printOut(TableReport.text(results) + TableReport.failures(results))
        try write(results, options)
        var code: Int32 = entries.contains { $0.failure != nil } ? 1 : 0
        if let thresholds {
            let outcomes = thresholds.check(results)
            _ = HostStartup.printOut("\n" + BenchThresholds.text(outcomes))
            code = BenchThresholds.passes(outcomes) ? code : 1
        }
        return code
    }

    /// Ctrl-C ends it like any command, but not before what it made is removed.
    private static func run(_ plan: BenchPlan, _ files: BenchFiles, _ progress: BenchProgress, programLimit: Double) throws(CommandEnd) -> [BenchEntry] {
        guard host_signals_install() >= 0 else { throw .failed("bench", "cannot handle signals: \(String(cString: strerror(errno)))") }
        let entries = try BenchRunner(plan, files, progress, programLimit: programLimit).run { entries in
            if host_signals_pending() == 0 { progress.line(oneLine(entries)) }
        }
        let signal = host_signals_pending()
        if signal != 0 { host_signals_die(signal) }
        return entries
    }

    /// A benchmark's result as it arrives.
    private static func oneLine(_ entries: [BenchEntry]) -> String {
        let checked = BenchChecks.checked(entries)
        return (checked.first?.benchmark ?? "") + ": "
            + checked.map { entry in
                let place = entry.environment == .host ? "" : " \(entry.environment.title)"
                return "\(entry.engine)\(place) \(BenchFormat.figure(entry))" + (entry.slowdown.map { " (\(BenchFormat.times($0.median)))" } ?? "")
            }.joined(separator: ", ")
    }

    private static func version(_ engine: BenchEngine) -> String {
        guard let program = engine.locate(), let arguments = engine.version,
            let outcome = try? MeasuredProcess.run(program, arguments, directory: "/", seconds: 20)
        else { return engine.runsNatively ? "this machine" : "unknown" }
        return (outcome.lines.map(\.text) + outcome.errorLines).first { !$0.isEmpty } ?? "unknown"
    }

    // MARK: Reports

    private static func write(_ results: BenchResults, _ options: BenchOptions) throws(CommandEnd) {
        let history = BenchHistory(folder: options.history)
        let earlier = options.html == nil ? [] : history.runs(of: results.profile)
        if options.isStored, results.profile != "custom" {
            do { try history.store(results) } catch { HostStartup.printError("\(error)") }
        }
        try write(results.json, options.json, "--json")
        try write(CSVReport.text(results), options.csv, "--csv")
        try write(TableReport.markdown(results), options.markdown, "--markdown")
        if options.html != nil { try write(HTMLReport.text(results, history: earlier), options.html, "--html") }
        guard let folder = options.svg else { return }
        try? FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        for group in BenchGroup.allCases {
            if let chart = SVGChart.slowdowns(results, group) { try write(chart, "\(folder)/\(group.rawValue)-slowdown.svg", "--svg") }
            if let chart = SVGChart.operations(results, group) { try write(chart, "\(folder)/\(group.rawValue)-operations.svg", "--svg") }
        }
    }

    private static func write(_ text: String, _ path: String?, _ option: String) throws(CommandEnd) {
        guard let path else { return }
        do {
            try Data(text.utf8).write(to: URL(filePath: path))
        } catch {
            throw .failed("\(option) \(path)", "cannot write it: \(String(cString: strerror(errno)))")
        }
    }

    private static func list(_ engines: [BenchEngine]) -> String {
        var text = ""
        for group in BenchGroup.allCases {
            let rows = BenchCatalogue.all.filter { $0.group == group }
            text += "\(group.rawValue):\n" + columns(rows.map { ("  " + $0.name, "\($0.summary) (\($0.environments.map(\.rawValue).joined(separator: ", ")))") }, width: 24)
        }
        return text + "engines:\n" + columns(engines.map { ("  " + $0.name, $0.summary) }, width: 24)
    }

    // MARK: Comparing

    private static func compare(_ arguments: [String]) throws(CommandEnd) -> Int32 {
        if arguments.contains(where: { ["-h", "-help", "--help"].contains($0) }) { throw .answered(help) }
        guard arguments.count == 2 else { throw .failed("bench compare", "needs two files of 'emulate bench --json': OLD NEW") }
        let comparison = BenchComparison(old: try load(arguments[0]), new: try load(arguments[1]))
        _ = HostStartup.printOut(comparison.text)
        return comparison.hasRegressions ? 1 : 0
    }

    private static func load(_ path: String) throws(CommandEnd) -> BenchResults {
        do {
            return try BenchResults(path: path)
        } catch {
            throw .failed("bench compare \(path)", "\(error)")
        }
    }
}
