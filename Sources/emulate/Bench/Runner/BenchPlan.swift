import EmuBus

/// What a run will measure.
package struct BenchPlan: Sendable {
    package struct Item: Sendable {
        package let benchmark: Benchmark
        package let environments: [BenchEnvironment]
    }

    package let items: [Item]
    package let engines: [BenchEngine]
    package let rounds: Int
    package let profile: String

    /// - Parameters:
    ///   - only, groups, environments: empty for all.
    ///   - isFull: everything in every environment; otherwise the quick profile, or what is named.
    package init(
        only: [String] = [], groups: [BenchGroup] = [], environments: [BenchEnvironment] = [], engines: [BenchEngine], isFull: Bool = false,
        rounds: Int? = nil
    ) throws(CommandEnd) {
        for name in only where BenchCatalogue.find(name) == nil {
            let known = BenchCatalogue.all.map(\.name)
            throw .failed("--only \(name)", "there is no such benchmark" + didYouMean(name, among: known) + "; 'emulate bench --list' lists them")
        }
        var items: [Item] = []
        for benchmark in BenchCatalogue.all {
            if !groups.isEmpty, !groups.contains(benchmark.group) { continue }
            if !only.isEmpty, !only.contains(benchmark.name) { continue }
            var chosen: [BenchEnvironment]
            if !environments.isEmpty {
                chosen = benchmark.guestEnvironments.filter(environments.contains)
            } else if isFull {
                chosen = benchmark.guestEnvironments
            } else if benchmark.quick.isEmpty, !only.isEmpty || groups == [benchmark.group] && benchmark.group == .machine {
                chosen = Array(benchmark.guestEnvironments.prefix(1))
            } else {
                chosen = benchmark.quick
            }
            if !environments.isEmpty, !isFull, only.isEmpty, benchmark.quick.isEmpty { chosen = [] }
            if !chosen.isEmpty { items.append(Item(benchmark: benchmark, environments: chosen)) }
        }
        guard !items.isEmpty else { throw .failed("bench", "nothing is left to run: --only, --group and --environment exclude each other") }
        self.items = items
        self.engines = engines
        self.rounds = rounds ?? (isFull ? 5 : 3)
        profile = isFull ? "full" : only.isEmpty && groups.isEmpty && environments.isEmpty ? "quick" : "custom"
    }

    func needs(_ need: BenchNeed) -> Bool {
        items.contains { $0.environments.contains(.linux) && $0.benchmark.needs.contains(need) }
    }

    var usesLinux: Bool { engines.contains { $0.linux != nil } && items.contains { $0.environments.contains(.linux) } }
}
