import Foundation

/// Limits that a run has to keep, as ratios, so that they hold on any machine: benchmarks/thresholds.json.
package struct BenchThresholds: Codable, Sendable {
    package struct Limit: Codable, Sendable {
        /// Who is measured, and against whom.
        package var engine: String
        package var against: String
        /// One benchmark, or the geometric mean of a group; one of the two.
        package var benchmark: String?
        package var group: BenchGroup?
        package var environment: BenchEnvironment
        /// The highest ratio of times that passes.
        package var most: Double

        package init(engine: String, against: String, benchmark: String?, group: BenchGroup?, environment: BenchEnvironment, most: Double) {
            self.engine = engine
            self.against = against
            self.benchmark = benchmark
            self.group = group
            self.environment = environment
            self.most = most
        }

        package var title: String { "\(engine) against \(against), \(benchmark ?? group.map { "\($0.rawValue), geometric mean" } ?? "?"), \(environment.title)" }
    }

    package var format = 1
    package var limits: [Limit]

    package init(limits: [Limit]) { self.limits = limits }

    package init(path: String) throws(BenchFailure) {
        guard let data = FileManager.default.contents(atPath: path) else { throw BenchFailure("cannot read it") }
        do {
            self = try JSONDecoder().decode(BenchThresholds.self, from: data)
        } catch {
            throw BenchFailure("is not a file of thresholds: see benchmarks/thresholds.json")
        }
        for limit in limits where (limit.benchmark == nil) == (limit.group == nil) || limit.most <= 0 {
            throw BenchFailure("a limit needs either benchmark or group, and 'most' above 0")
        }
    }

    package enum Outcome: Equatable, Sendable {
        case kept(Double)
        case exceeded(Double)
        /// Something it needs failed; that is no pass.
        case failed(String)
        /// An engine was not part of the run.
        case unchecked(String)
    }

    package func check(_ results: BenchResults) -> [(limit: Limit, outcome: Outcome)] {
        limits.map { ($0, Self.outcome($0, results)) }
    }

    private static func outcome(_ limit: Limit, _ results: BenchResults) -> Outcome {
        for engine in [limit.engine, limit.against] where !results.engines.contains(where: { $0.name == engine }) {
            return .unchecked("\(engine) was not run")
        }
        let measured = results.entries.filter {
            $0.engine == limit.engine && $0.environment == limit.environment
                && (limit.benchmark == nil ? $0.group == limit.group && $0.unit == .iteration : $0.benchmark == limit.benchmark)
        }
        guard !measured.isEmpty else { return .unchecked("it was not run") }
        var ratios: [Double] = []
        for entry in measured {
            let other = results.entry(entry.benchmark, limit.against == BenchEngine.native.name ? .host : limit.environment, limit.against)
            if let failure = entry.failure { return .failed("\(entry.benchmark): \(failure)") }
            guard let other else { continue }
            if let failure = other.failure { return .failed("\(entry.benchmark) by \(limit.against): \(failure)") }
            guard let mine = entry.time, let theirs = other.time, let ratio = Statistics.median(zip(mine.samples, theirs.samples).map { $0 / $1 }) else {
                return .failed("\(entry.benchmark): no figure")
            }
            ratios.append(ratio)
        }
        guard let ratio = Statistics.geometricMean(ratios) else { return .unchecked("there is nothing to compare with") }
        return ratio <= limit.most ? .kept(ratio) : .exceeded(ratio)
    }

    /// Lines for the terminal.
    package static func text(_ outcomes: [(limit: Limit, outcome: Outcome)]) -> String {
        outcomes.map { limit, outcome in
            switch outcome {
            case .kept(let ratio): "ok        \(limit.title): \(BenchFormat.times(ratio)), at most \(BenchFormat.times(limit.most))\n"
            case .exceeded(let ratio): "EXCEEDED  \(limit.title): \(BenchFormat.times(ratio)), at most \(BenchFormat.times(limit.most))\n"
            case .failed(let reason): "FAILED    \(limit.title): \(reason)\n"
            case .unchecked(let reason): "unchecked \(limit.title): \(reason)\n"
            }
        }.joined()
    }

    package static func passes(_ outcomes: [(limit: Limit, outcome: Outcome)]) -> Bool {
        outcomes.allSatisfy { if case .exceeded = $0.outcome { false } else if case .failed = $0.outcome { false } else { true } }
    }
}
