import EmuBus

/// What `emulate bench` was asked for.
package struct BenchOptions {
    package var only: [String] = []
    package var groups: [BenchGroup] = []
    package var environments: [BenchEnvironment] = []
    package var engines: [String] = []
    package var isFull = false
    package var rounds: Int?
    /// Seconds after which a program counts as hung.
    package var limit = 60.0
    package var isList = false
    /// Files of reports by kind.
    package var json: String?
    package var csv: String?
    package var markdown: String?
    package var html: String?
    /// Folder for charts.
    package var svg: String?
    /// File of thresholds.
    package var check: String?
    /// Folder of stored runs; nil for the cache.
    package var history: String?
    package var isStored = true
    /// The folder with build.sh.
    package var folder: String?

    package init() {}

    typealias Row = Option<BenchOptions>

    package static let table = OptionTable<BenchOptions>(sections: [
        OptionSection(title: "What is measured", options: selection),
        OptionSection(title: "How", options: method),
        OptionSection(title: "Reports", options: reports),
    ])

    private static let selection: [Row] = [
        Row(["only"], "BENCHMARK[,…]", help: "these benchmarks ('--list' lists them)") { options, use throws(CommandEnd) in
            options.only += words(use)
        },
        Row(["group"], "GROUP[,…]", help: "these groups: " + BenchGroup.allCases.map(\.rawValue).joined(separator: ", ")) {
            options, use throws(CommandEnd) in
            options.groups += try values(use)
        },
        Row(["environment"], "PLACE[,…]",
            help: "where guest programs run\nmachine: bare metal, M mode\nsupervisor: bare metal, S mode, Sv39\nlinux: a program in the Debian guest") {
            options, use throws(CommandEnd) in
            options.environments += try values(use)
        },
        Row(["engine"], "ENGINE[,…]",
            help: "who runs them, a name or a description FILE.json (default: all found)\n"
                + BenchEngine.builtIn.map { "\($0.name): \($0.summary)" }.joined(separator: "\n")) { options, use throws(CommandEnd) in
            options.engines += words(use)
        },
        Row(["full"], help: "all benchmarks in all places (default: the quick profile, a few minutes)") { options, _ in options.isFull = true },
        Row(["list"], help: "list the benchmarks and the engines found") { options, _ in options.isList = true },
    ]

    private static let method: [Row] = [
        Row(["rounds"], "N", help: "rounds of native and each engine in turn (default: 3; 5 with --full)") { options, use throws(CommandEnd) in
            guard let rounds = Values.number(use.value), (1...1000).contains(rounds) else { throw use.failed("'\(use.value)' is not a number from 1 to 1000") }
            options.rounds = Int(rounds)
        },
        Row(["limit"], "SECONDS", help: "a bare-metal program that runs longer has failed (default: 60)") { options, use throws(CommandEnd) in
            guard let limit = Values.number(use.value), (1...86400).contains(limit) else { throw use.failed("'\(use.value)' is not a number from 1 to 86400") }
            options.limit = Double(limit)
        },
        Row(["benchmarks"], "FOLDER", help: "the folder with build.sh (default: benchmarks, looked for upwards from here)") { options, use throws(CommandEnd) in
            options.folder = try name(use)
        },
    ]

    private static let reports: [Row] = [
        Row(["json"], "FILE", help: "write all figures, for 'emulate bench compare'") { options, use throws(CommandEnd) in options.json = try name(use) },
        Row(["csv"], "FILE", help: "write a line for each figure") { options, use throws(CommandEnd) in options.csv = try name(use) },
        Row(["markdown"], "FILE", help: "write tables for a document") { options, use throws(CommandEnd) in options.markdown = try name(use) },
        Row(["html"], "FILE", help: "write a page with charts and the history of stored runs") { options, use throws(CommandEnd) in
            options.html = try name(use)
        },
        Row(["svg"], "FOLDER", help: "write a chart for each group") { options, use throws(CommandEnd) in options.svg = try name(use) },
        Row(["check"], "FILE", help: "exit with 1 unless the ratios keep these thresholds") { options, use throws(CommandEnd) in
            options.check = try name(use)
        },
        Row(["history"], "FOLDER", help: "where runs of the quick and full profile are stored (default: in the cache)") { options, use throws(CommandEnd) in
            options.history = try name(use)
        },
        Row(["no-history"], help: "do not store this run") { options, _ in options.isStored = false },
        Row(["h", "help"], help: "show this help") { _, _ throws(CommandEnd) in throw .answered(BenchCommand.help) },
    ]

    private static func words(_ use: OptionUse) -> [String] { use.value.split(separator: ",").map(String.init) }

    private static func name(_ use: OptionUse) throws(CommandEnd) -> String {
        if use.value.isEmpty { throw use.failed("needs a name") }
        return use.value
    }

    private static func values<T: RawRepresentable & CaseIterable>(_ use: OptionUse) throws(CommandEnd) -> [T] where T.RawValue == String {
        var result: [T] = []
        for word in words(use) {
            guard let value = T(rawValue: word) else {
                let known = T.allCases.map(\.rawValue)
                throw use.failed("'\(word)' is not one of \(known.joined(separator: ", "))" + didYouMean(word, among: known))
            }
            result.append(value)
        }
        return result
    }
}
