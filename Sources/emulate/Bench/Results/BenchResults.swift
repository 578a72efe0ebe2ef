import Foundation

/// One benchmark in one environment by one engine.
package struct BenchEntry: Codable, Equatable, Sendable {
    package var benchmark: String
    package var group: BenchGroup
    package var environment: BenchEnvironment
    package var engine: String
    package var unit: BenchUnit
    /// Why there is no figure; then everything below is nil.
    package var failure: String?
    /// Nanoseconds of one iteration when warm, by the guest's clock and by the host's.
    package var time: BenchSummary?
    package var hostTime: BenchSummary?
    /// Nanoseconds of the first, cold iteration.
    package var first: BenchSummary?
    /// `time` divided by native's of the same round.
    package var slowdown: BenchSummary?
    /// Operations of one iteration.
    package var operations: UInt64?
    package var checksum: String?
    /// Guest instructions retired in one iteration.
    package var instructions: Double?
    /// Host instructions for each guest instruction, over the whole run less the start.
    package var hostPerGuest: Double?
    /// Bytes.
    package var peakMemory: UInt64?

    package init(_ benchmark: Benchmark, _ environment: BenchEnvironment, _ engine: String) {
        self.benchmark = benchmark.name
        group = benchmark.group
        self.environment = environment
        self.engine = engine
        unit = benchmark.unit
    }

    /// What two entries share that measure the same thing.
    package var key: String { "\(benchmark)/\(environment.rawValue)/\(engine)" }

    /// Nanoseconds of one operation.
    package var nanosecondsPerOperation: Double? {
        guard let time, let operations, operations > 0 else { return nil }
        return time.median / Double(operations)
    }

    /// Million guest instructions in a second.
    package var mips: Double? {
        guard let time, let instructions, instructions > 0 else { return nil }
        return instructions / time.median * 1000
    }
}

/// A run of the suite, as `--json` writes it.
package struct BenchResults: Codable, Equatable, Sendable {
    /// Of this layout.
    package static let currentFormat = 1

    package struct Engine: Codable, Equatable, Sendable {
        package var name: String
        package var version: String

        package init(name: String, version: String) {
            self.name = name
            self.version = version
        }
    }

    package var format = BenchResults.currentFormat
    /// ISO 8601, UTC.
    package var date: String
    /// quick, full or custom.
    package var profile: String
    package var rounds: Int
    package var host: HostFacts
    package var engines: [Engine]
    package var warnings: [String]
    package var entries: [BenchEntry]

    package init(date: String, profile: String, rounds: Int, host: HostFacts, engines: [Engine], warnings: [String] = [], entries: [BenchEntry] = []) {
        self.date = date
        self.profile = profile
        self.rounds = rounds
        self.host = host
        self.engines = engines
        self.warnings = warnings
        self.entries = entries
    }

    /// Reads a file of `--json`.
    package init(path: String) throws(BenchFailure) {
        guard let data = FileManager.default.contents(atPath: path) else { throw BenchFailure("cannot read it") }
        guard let results = try? JSONDecoder().decode(BenchResults.self, from: data) else { throw BenchFailure("is not a result of 'emulate bench --json'") }
        guard results.format == Self.currentFormat else {
            throw BenchFailure("has format \(results.format), this version reads \(Self.currentFormat)")
        }
        self = results
    }

    package var json: String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return (try? encoder.encode(self)).map { String(decoding: $0, as: UTF8.self) + "\n" } ?? ""
    }

    /// Engines that are compared, native left out.
    package var guestEngines: [String] { engines.map(\.name).filter { $0 != BenchEngine.native.name } }

    /// The geometric mean of an engine's slowdowns against native; nil without any.
    package func meanSlowdown(_ engine: String, _ group: BenchGroup?, _ environment: BenchEnvironment? = nil) -> Double? {
        Statistics.geometricMean(
            entries.filter {
                $0.engine == engine && (group == nil || $0.group == group) && (environment == nil || $0.environment == environment)
                    && $0.unit == .iteration
            }.compactMap { $0.slowdown?.median })
    }

    package func entry(_ benchmark: String, _ environment: BenchEnvironment, _ engine: String) -> BenchEntry? {
        entries.first { $0.benchmark == benchmark && $0.environment == environment && $0.engine == engine }
    }

    /// The rows of reports: each benchmark and environment once, in the order measured.
    package var rows: [(benchmark: String, group: BenchGroup, environment: BenchEnvironment, unit: BenchUnit)] {
        var seen: Set<String> = []
        return entries.filter { $0.environment != .host }.compactMap {
            seen.insert("\($0.benchmark)/\($0.environment)").inserted ? ($0.benchmark, $0.group, $0.environment, $0.unit) : nil
        }
    }
}
