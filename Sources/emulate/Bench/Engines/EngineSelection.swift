import EmuBus

/// The engines of a run.
package enum EngineSelection {
    /// What `--engine` asked for: names of built-in engines or adapter files. Without names, all that are on this machine.
    package static func resolve(_ names: [String]) throws(CommandEnd) -> [BenchEngine] {
        guard !names.isEmpty else { return BenchEngine.builtIn.filter { $0.runsNatively || $0.locate() != nil } }
        var result: [BenchEngine] = []
        for name in names {
            let engine: BenchEngine
            if name.hasSuffix(".json") {
                engine = try BenchEngine(adapter: name)
            } else if let known = BenchEngine.builtIn.first(where: { $0.name == name }) {
                engine = known
            } else {
                let known = BenchEngine.builtIn.map(\.name)
                throw .failed(
                    "--engine \(name)",
                    "there is no such engine" + didYouMean(name, among: known) + "; known are \(known.joined(separator: ", ")), or a file FILE.json")
            }
            if result.contains(where: { $0.name == engine.name }) { throw .failed("--engine", "'\(engine.name)' is given twice") }
            if !engine.runsNatively, engine.locate() == nil {
                throw .failed("--engine \(name)", "'\(engine.executable ?? "")' is not on the PATH" + (name == "qemu" ? "; 'make bench-deps' installs it" : ""))
            }
            result.append(engine)
        }
        return result
    }
}
