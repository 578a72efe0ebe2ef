import emulate

/// Results made up for tests of reports and comparison.
enum BenchSample {
    static func entry(
        _ name: String, _ engine: String, _ samples: [Double], slowdown: [Double]? = nil, environment: BenchEnvironment = .machine, checksum: String = "1"
    ) -> BenchEntry {
        var entry = BenchEntry(BenchCatalogue.find(name)!, environment, engine)
        entry.time = BenchSummary(samples)
        entry.hostTime = entry.time
        entry.first = entry.time
        entry.slowdown = slowdown.flatMap { BenchSummary($0) }
        entry.operations = 1
        entry.checksum = checksum
        return entry
    }

    static func results(_ entries: [BenchEntry], processor: String = "Test CPU") -> BenchResults {
        let host = HostFacts(processor: processor, cores: 2, memory: 8 << 30, system: "Linux 6.1 x86_64", compiler: "clang version 21.0.0")
        let engines = ["native", "interp", "qemu"].filter { name in entries.contains { $0.engine == name } }
        return BenchResults(
            date: "2026-11-23T22:00:00Z", profile: "quick", rounds: 3, host: host, engines: engines.map { BenchResults.Engine(name: $0, version: "1") },
            entries: entries)
    }

    /// Two kernels by three engines, one of them failed.
    static var mixed: BenchResults {
        results([
            entry("sieve", "native", [1e6, 1.1e6, 0.9e6], environment: .host), entry("sieve", "interp", [2e7, 2.2e7, 1.8e7], slowdown: [20, 20, 20]),
            entry("sieve", "qemu", [4e6, 4.4e6, 3.6e6], slowdown: [4, 4, 4]),
            entry("fib", "native", [1e6], environment: .host), entry("fib", "interp", [5e6], slowdown: [5]),
            .failed(entry("fib", "qemu", [3e6], slowdown: [3]), "it did not finish in 60 s, says \"qemu\""),
            entry("uecall", "interp", [4e5], environment: .supervisor),
        ])
    }
}
