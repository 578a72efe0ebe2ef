import Foundation
import Testing
import emulate

/// The catalogue, the kernels' sources, the engines and the plan say the same.
@Suite struct BenchCatalogueTests {
    static let benchmarks = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../benchmarks").standardizedFileURL

    /// Kernel sources by name, with the variants their first line names.
    private func kernels() throws -> [String: (folder: String, variants: [String])] {
        var result: [String: (String, [String])] = [:]
        let root = Self.benchmarks.appending(path: "kernels")
        for folder in try FileManager.default.contentsOfDirectory(atPath: root.path) {
            for file in try FileManager.default.contentsOfDirectory(atPath: root.appending(path: folder).path) where file.hasSuffix(".c") {
                let text = try String(contentsOf: root.appending(path: "\(folder)/\(file)"), encoding: .utf8)
                let first = text.prefix { $0 != "\n" }
                try #require(first.hasPrefix("// variants: "), "\(file)")
                result[String(file.dropLast(2))] = (folder, first.dropFirst("// variants: ".count).split(separator: " ").map(String.init))
            }
        }
        return result
    }

    @Test func namesAreUnique() {
        #expect(Set(BenchCatalogue.all.map(\.name)).count == BenchCatalogue.all.count)
    }

    @Test func everyBenchmarkHasAKernelBuiltForItsEnvironments() throws {
        let kernels = try kernels()
        for benchmark in BenchCatalogue.all + [BenchCatalogue.start] where !benchmark.isBoot && benchmark.command?.contains("/bench/command") != true {
            // Its command may name another's kernel.
            let name = try benchmark.command?.firstMatch(of: /\/bench\/([a-z-]+)/).map { String($0.1) } ?? benchmark.name
            let kernel = try #require(kernels[name], "\(benchmark.name)")
            #expect(kernel.folder == benchmark.group.rawValue, "\(benchmark.name)")
            #expect(benchmark.environments.allSatisfy { kernel.variants.contains($0.rawValue) }, "\(benchmark.name): \(kernel.variants)")
        }
    }

    @Test func everyKernelIsInTheCatalogue() throws {
        for name in try kernels().keys where name != "command" && name != BenchCatalogue.start.name { #expect(BenchCatalogue.find(name) != nil, "\(name)") }
    }

    @Test func kernelsReportTheNameOfTheirFile() throws {
        for (name, kernel) in try kernels() {
            let text = try String(contentsOf: Self.benchmarks.appending(path: "kernels/\(kernel.folder)/\(name).c"), encoding: .utf8)
            #expect(text.contains("BENCH(\"\(name)\",") || text.contains("#define BENCH_NAME \"\(name)\"\n"), "\(name)")
        }
    }

    @Test func theQuickProfileHasEveryGroupAndTheFullOneEverything() throws {
        let quick = try BenchPlan(engines: BenchEngine.builtIn), full = try BenchPlan(engines: BenchEngine.builtIn, isFull: true)
        #expect(Set(quick.items.map(\.benchmark.group)) == Set(BenchGroup.allCases))
        #expect(full.items.map(\.benchmark.name) == BenchCatalogue.all.map(\.name))
        #expect(full.items.allSatisfy { $0.environments == $0.benchmark.guestEnvironments })
        #expect((quick.profile, full.profile, quick.rounds, full.rounds) == ("quick", "full", 3, 5))
        for benchmark in BenchCatalogue.all { #expect(benchmark.quick.allSatisfy(benchmark.guestEnvironments.contains), "\(benchmark.name)") }
    }

    @Test func plansTakeWhatIsNamed() throws {
        func names(_ only: [String] = [], _ groups: [BenchGroup] = [], _ environments: [BenchEnvironment] = []) throws -> [String] {
            try BenchPlan(only: only, groups: groups, environments: environments, engines: [.native]).items.flatMap { item in
                item.environments.map { "\(item.benchmark.name)/\($0.rawValue)" }
            }
        }
        #expect(try names(["sieve", "uecall"]) == ["sieve/machine", "uecall/supervisor"])
        #expect(try names(["sieve-quicksort-fib"]) == ["sieve-quicksort-fib/machine"])
        #expect(try names(["fib"], [], [.supervisor, .linux]) == ["fib/supervisor", "fib/linux"])
        #expect(try names([], [.machine]).contains("python/linux"))
        #expect(try !names([], [.integer]).contains { $0.hasPrefix("sieve-quicksort") })
    }

    @Test func whatCannotBeRunIsRefusedWithTheNearestName() {
        func message(_ make: () throws -> Void) -> String {
            do {
                try make()
                return ""
            } catch CommandEnd.failed(let problem) {
                return problem.description
            } catch {
                return "\(error)"
            }
        }
        #expect(message { _ = try BenchPlan(only: ["seive"], engines: []) }.contains("did you mean 'sieve'?"))
        #expect(message { _ = try BenchPlan(only: ["uecall"], environments: [.machine], engines: []) }.contains("nothing is left to run"))
        #expect(message { _ = try EngineSelection.resolve(["inerp"]) }.contains("did you mean 'interp'?"))
        #expect(message { _ = try EngineSelection.resolve(["native", "native"]) }.contains("given twice"))
        #expect(message { _ = try EngineSelection.resolve(["/nonexistent.json"]) }.contains("cannot read it"))
    }

    @Test func enginesAreDataAndAdapterFilesAreTheSameData() throws {
        let folder = Self.benchmarks.appending(path: "engines").path
        for file in try FileManager.default.contentsOfDirectory(atPath: folder) {
            let engine = try BenchEngine(adapter: "\(folder)/\(file)")
            #expect("\(engine.name).json" == file)
            let sieve = try #require(BenchCatalogue.find("sieve")), stream = try #require(BenchCatalogue.find("stream-v"))
            #expect(engine.runs(sieve, in: .machine) && engine.runs(sieve, in: .linux) && !engine.runs(sieve, in: .host))
            #expect(engine.runs(stream, in: .machine))
            let scalar = BenchEngine(name: "x", summary: "", bare: [])
            #expect(scalar.runs(sieve, in: .machine) && !scalar.runs(stream, in: .machine))
        }
        #expect(Set(BenchEngine.builtIn.map(\.name)).count == BenchEngine.builtIn.count)
        #expect(BenchEngine.fill(["-m", "{memory}M", "{program}{program}"], ["memory": "5", "program": "p"]) == ["-m", "5M", "pp"])
    }

    @Test func anEngineThatIsNotOnThePathIsNotFound() {
        let engine = BenchEngine(name: "x", summary: "", executable: "no-such-emulator", bare: [])
        #expect(engine.locate() == nil)
        #expect(BenchEngine(name: "x", summary: "", executable: "sh").locate(searchPath: "/nonexistent:/bin") == "/bin/sh")
    }

    // MARK: Checks between engines

    @Test func aChecksumThatDiffersFromNativeIsAFailure() {
        let entries = [
            BenchSample.entry("sieve", "native", [1], environment: .host, checksum: "a"), BenchSample.entry("sieve", "interp", [9], checksum: "a"),
            BenchSample.entry("sieve", "qemu", [5], checksum: "b"),
        ]
        #expect(BenchChecks.checked(entries).map { $0.failure != nil } == [false, false, true])
    }

    @Test func withoutNativeNobodyKnowsWhichChecksumIsRight() {
        let entries = [
            BenchSample.entry("smc", "interp", [9], checksum: "a"), BenchSample.entry("smc", "qemu", [5], checksum: "b"),
            BenchSample.entry("csr", "interp", [9], checksum: "c"), BenchSample.entry("csr", "qemu", [9], checksum: "c"),
        ]
        #expect(BenchChecks.checked(entries).map { $0.failure != nil } == [true, true, false, false])
    }

    @Test func aNoisyOrBusyMachineAndAWrongClockAreWarnedOf() {
        let calm = [BenchSample.entry("sieve", "interp", [100, 101, 102])]
        #expect(BenchChecks.warnings(calm, load: 0.1, cores: 2).isEmpty)
        #expect(BenchChecks.warnings([BenchSample.entry("sieve", "interp", [100, 150, 190])], load: 0, cores: 2).first?.contains("noisy") == true)
        #expect(BenchChecks.warnings(calm, load: 3, cores: 2).first?.contains("load 3.00 on 2 cores") == true)
        var skewed = calm
        skewed[0].hostTime = BenchSummary([200])
        #expect(BenchChecks.warnings(skewed, load: 0, cores: 2).first?.contains("clock inside interp") == true)
    }
}
