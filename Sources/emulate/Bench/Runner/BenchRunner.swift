import Foundation

/// Carries a plan out. Every round runs native and each engine once, one after the other, so that whatever else the machine does
/// meets all of them; ratios are formed within a round.
final class BenchRunner {
    /// One run of one program.
    struct Sample {
        var measurement: ProgramMeasurement
        /// Of the whole process; nil in a session with others.
        var hostInstructions: UInt64?
        var guestInstructions: UInt64?
        var peakMemory: UInt64?
    }

    /// MiB of guest memory.
    private static let bareMemory = 256, linuxMemory = 512
    /// Seconds after which a boot, and a boot with workloads, counts as hung.
    private static let bootLimit = 600.0, sessionLimit = 3600.0
    private static let bootAppend = "console=ttyS0 quiet"
    private static let networkBytes = 8 << 20, scratchBytes: UInt64 = 64 << 20

    private let plan: BenchPlan
    private let files: BenchFiles
    private let progress: BenchProgress
    private let programLimit: Double
    private let folder: String
    private var collected: [Key: [Result<Sample, BenchFailure>]] = [:]
    /// Host instructions of the empty program by engine.
    private var startInstructions: [String: UInt64] = [:]

    /// Samples of one engine; native's are kept apart by whom they are the measure for.
    private struct Key: Hashable {
        let benchmark: String
        let environment: BenchEnvironment
        let engine: String
    }

    init(_ plan: BenchPlan, _ files: BenchFiles, _ progress: BenchProgress, programLimit: Double) throws(CommandEnd) {
        self.plan = plan
        self.files = files
        self.progress = progress
        self.programLimit = programLimit
        folder = FileManager.default.temporaryDirectory.appending(path: "emulate-bench-\(getpid())").path
        do {
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        } catch {
            throw .failed("bench", "cannot make \(folder)")
        }
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    /// - Parameter onItem: called with the entries of a benchmark when it is done.
    func run(onItem: ([BenchEntry]) -> Void) throws(CommandEnd) -> [BenchEntry] {
        let guest = plan.usesLinux ? try files.debian(progress) : nil
        let bootDisk = plan.usesLinux && plan.needs(.bootDisk) ? try files.bootDisk(progress) : nil
        let tools = plan.usesLinux && plan.needs(.tools) ? try files.tools(progress) : nil
        for (index, item) in plan.items.enumerated() {
            let bare = item.environments.filter { $0 != .linux }
            let position = "[\(index + 1)/\(plan.items.count)] \(item.benchmark.name)"
            if !bare.isEmpty {
                for round in 1...plan.rounds { runBare(item.benchmark, bare, "\(position), round \(round) of \(plan.rounds)") }
            }
            if item.benchmark.isBoot, let guest {
                let isByDisk = item.benchmark.needs.contains(.bootDisk)
                for round in 1...plan.rounds { boot(item.benchmark, guest, isByDisk ? bootDisk : nil, "\(position), round \(round) of \(plan.rounds)") }
            }
            if !item.environments.contains(.linux) || item.benchmark.isBoot { onItem(entries(item)) }
        }
        if let guest { runSessions(LinuxSession(guest: guest, programs: files.programs + "/linux.cpio.gz", tools: tools)) }
        progress.clear()
        let all = BenchChecks.checked(plan.items.flatMap(entries))
        return all
    }

    private func note(_ key: Key, _ result: Result<Sample, BenchFailure>) { collected[key, default: []].append(result) }

    private func hasFailed(_ key: Key) -> Bool {
        collected[key]?.contains { if case .failure = $0 { true } else { false } } ?? false
    }

    // MARK: Bare metal and native

    private func runBare(_ benchmark: Benchmark, _ environments: [BenchEnvironment], _ title: String) {
        runNative(benchmark, for: environments[0], title)
        for environment in environments {
            for engine in plan.engines where !engine.runsNatively && engine.runs(benchmark, in: environment) {
                let key = Key(benchmark: benchmark.name, environment: environment, engine: engine.name)
                if hasFailed(key) { continue }
                progress.status("\(title): \(engine.name), \(environment.title)")
                note(key, runProgram(benchmark, environment, engine))
            }
        }
    }

    private func runNative(_ benchmark: Benchmark, for environment: BenchEnvironment, _ title: String) {
        guard benchmark.hasNative, let engine = plan.engines.first(where: \.runsNatively) else { return }
        let key = Key(benchmark: benchmark.name, environment: environment == .linux ? .linux : .host, engine: engine.name)
        if hasFailed(key) { return }
        progress.status("\(title): native")
        note(key, runProgram(benchmark, .host, engine))
    }

    private func runProgram(_ benchmark: Benchmark, _ environment: BenchEnvironment, _ engine: BenchEngine) -> Result<Sample, BenchFailure> {
        let outcome: ProcessOutcome
        switch start(benchmark, environment, engine) {
        case .success(let value): outcome = value
        case .failure(let failure): return .failure(failure)
        }
        if outcome.hostInstructions != nil, startInstructions[engine.name] == nil, !benchmark.isBoot {
            let empty = start(BenchCatalogue.start, engine.runsNatively ? .host : .machine, engine)
            startInstructions[engine.name] = (try? empty.get())?.hostInstructions ?? 0
        }
        // Why the program says it failed tells more than how its process ended.
        let result = Transcript.parse(outcome.lines)[engine.program(benchmark)]
        if case .failure(let failure)? = result, outcome.ending == .code(0) || failure.description != "the guest ended early" { return .failure(failure) }
        guard outcome.ending == .code(0) else { return .failure(Self.explain(outcome)) }
        guard case .success(let measurement)? = result else { return .failure(BenchFailure("the guest ended early")) }
        return .success(
            Sample(
                measurement: measurement, hostInstructions: outcome.hostInstructions,
                guestInstructions: engine.countsInstructions == true ? Self.instructions(in: outcome.errorLines) : nil,
                peakMemory: outcome.peakMemory))
    }

    private func start(_ benchmark: Benchmark, _ environment: BenchEnvironment, _ engine: BenchEngine) -> Result<ProcessOutcome, BenchFailure> {
        let program = files.program(engine.program(benchmark), environment)
        guard FileManager.default.fileExists(atPath: program) else { return .failure(BenchFailure("\(program) was not built")) }
        if engine.runsNatively { return launch(program, [], seconds: programLimit) }
        guard let executable = engine.locate(), let template = engine.bare else { return .failure(BenchFailure("\(engine.name) is not on the PATH")) }
        let extra = engine.extra(benchmark)
        let arguments = BenchEngine.fill(template + extra, ["program": program, "harts": "\(benchmark.harts)", "memory": "\(Self.bareMemory)"])
        return launch(executable, arguments, seconds: programLimit)
    }

    private func launch(_ program: String, _ arguments: [String], seconds: Double) -> Result<ProcessOutcome, BenchFailure> {
        do {
            return .success(try MeasuredProcess.run(program, arguments, directory: folder, seconds: seconds))
        } catch {
            return .failure(BenchFailure(error.description))
        }
    }

    /// "N instructions in …" of `emulate --stats`.
    static func instructions(in lines: [String]) -> UInt64? {
        for line in lines {
            guard let range = line.range(of: " instructions in ") else { continue }
            return line[..<range.lowerBound].split(separator: " ").last.flatMap { UInt64($0) }
        }
        return nil
    }

    private static func explain(_ outcome: ProcessOutcome) -> BenchFailure {
        // What `--stats` prints is no message; its further lines are indented.
        let message = outcome.errorLines.last { !$0.isEmpty && !$0.hasPrefix("  ") && !$0.contains(" instructions in ") }
        return BenchFailure(outcome.ending.description + (message.map { ": \($0)" } ?? ""))
    }

    // MARK: Linux

    /// - Parameter disk: boots by U-Boot's UEFI from here; nil boots the kernel alone.
    private func boot(_ benchmark: Benchmark, _ guest: String, _ disk: String?, _ title: String) {
        // What the guest says once it has come to its shell, or to its root file system.
        let arrival = disk == nil ? "run: exit 0" : "root: /dev/vda2 / ext4"
        for engine in plan.engines {
            guard let template = disk == nil ? engine.linux : engine.diskBoot, let executable = engine.locate() else { continue }
            let key = Key(benchmark: benchmark.name, environment: .linux, engine: engine.name)
            if hasFailed(key) { continue }
            progress.status("\(title): \(engine.name)")
            let arguments = BenchEngine.fill(template, [
                "kernel": guest + (disk == nil ? "/Image" : "/u-boot.bin"), "disk": disk ?? "", "initrd": guest + "/initrd.gz", "harts": "1", "memory": "\(Self.linuxMemory)",
                "append": Self.append("true"),
            ])
            note(key, launch(executable, arguments, seconds: Self.bootLimit).flatMap { outcome in
                guard outcome.ending == .code(0) else { return .failure(Self.explain(outcome)) }
                guard outcome.lines.contains(where: { $0.text.contains(arrival) }) else {
                    return .failure(BenchFailure("the guest did not say '\(arrival)'"))
                }
                let time = outcome.seconds * 1e9
                let measurement = ProgramMeasurement(
                    checksum: "", firstNanoseconds: time, iterations: 1, nanoseconds: time, hostNanoseconds: time,
                    instructions: Self.instructions(in: outcome.errorLines) ?? 0, operations: 1, allIterations: 1)
                return .success(Sample(measurement: measurement, peakMemory: outcome.peakMemory))
            })
        }
    }

    private static func append(_ command: String) -> String { "\(bootAppend) run=\(Data(command.utf8).base64EncodedString())" }

    /// All workloads of Linux, in one boot for each engine and round.
    private func runSessions(_ session: LinuxSession) {
        let benchmarks = plan.items.filter { $0.environments.contains(.linux) && !$0.benchmark.isBoot }.map(\.benchmark)
        guard !benchmarks.isEmpty else { return }
        do {
            let servers = plan.needs(.network) ? (gives: try ByteServer(.gives(Self.networkBytes)), takes: try ByteServer(.takes)) : nil
            let script = LinuxSession.script(benchmarks, servers: servers.map { ($0.gives.port, $0.takes.port) })
            let initrd = try session.makeInitrd(script: script, in: folder)
            for round in 1...plan.rounds {
                let title = "Debian guest, round \(round) of \(plan.rounds)"
                for benchmark in benchmarks { runNative(benchmark, for: .linux, title) }
                for engine in plan.engines where engine.linux != nil {
                    progress.status("\(title): \(benchmarks.count) workloads by \(engine.name)")
                    runSession(session, benchmarks, engine, initrd)
                }
            }
            // The servers serve as long as they live.
            withExtendedLifetime(servers) {}
        } catch {
            for benchmark in benchmarks {
                for engine in plan.engines where engine.linux != nil { note(Key(benchmark: benchmark.name, environment: .linux, engine: engine.name), .failure(error)) }
            }
        }
    }

    private func runSession(_ session: LinuxSession, _ benchmarks: [Benchmark], _ engine: BenchEngine, _ initrd: String) {
        guard let template = engine.linux, let executable = engine.locate() else { return }
        var arguments = BenchEngine.fill(template, [
            "kernel": session.guest + "/Image", "initrd": initrd, "harts": "1", "memory": "\(Self.linuxMemory)", "append": Self.append("sh /bench/run"),
        ])
        var missing: [BenchNeed: String] = [:]
        func add(_ need: BenchNeed, _ extra: [String]?, _ values: [String: String], _ what: String) {
            guard plan.needs(need) else { return }
            if let extra { arguments += BenchEngine.fill(extra, values) } else { missing[need] = "\(engine.name) has no \(what)" }
        }
        func addScratch(_ need: BenchNeed, _ extra: [String]?, _ file: String, _ what: String) {
            let path = folder + "/" + file
            if plan.needs(need) {
                _ = FileManager.default.createFile(atPath: path, contents: nil)
                truncate(path, Int(Self.scratchBytes))
            }
            add(need, extra, ["disk": path], what)
        }
        addScratch(.scratchDisk, engine.disk, "scratch", "disk")
        addScratch(.nvmeDisk, engine.nvme, "nvme", "NVMe disk")
        add(.tools, engine.readOnlyDisk, ["disk": session.tools ?? ""], "read-only disk")
        add(.network, engine.network, [:], "network")

        let outcome = launch(executable, arguments, seconds: Self.sessionLimit)
        let results = (try? outcome.get()).map { Transcript.parse($0.lines) } ?? [:]
        for benchmark in benchmarks {
            let key = Key(benchmark: benchmark.name, environment: .linux, engine: engine.name)
            if let reason = benchmark.needs.lazy.compactMap({ missing[$0] }).first {
                note(key, .failure(BenchFailure(reason)))
                continue
            }
            switch (results[benchmark.name], outcome) {
            case (.success(let measurement)?, _): note(key, .success(Sample(measurement: measurement, peakMemory: (try? outcome.get())?.peakMemory)))
            case (.failure(let failure)?, _), (nil, .failure(let failure)): note(key, .failure(failure))
            case (nil, .success(let outcome)):
                note(key, .failure(outcome.ending == .code(0) ? BenchFailure("the guest ended early") : Self.explain(outcome)))
            }
        }
    }

    // MARK: Results

    private func entries(_ item: BenchPlan.Item) -> [BenchEntry] {
        let benchmark = item.benchmark
        var entries: [BenchEntry] = []
        if benchmark.hasNative, let native = plan.engines.first(where: \.runsNatively) {
            let samples = [BenchEnvironment.host, .linux].flatMap { collected[Key(benchmark: benchmark.name, environment: $0, engine: native.name)] ?? [] }
            entries.append(BenchEntry(benchmark, .host, native.name, samples, native: nil))
        }
        for environment in item.environments {
            let native = plan.engines.first(where: \.runsNatively).flatMap {
                collected[Key(benchmark: benchmark.name, environment: environment == .linux ? .linux : .host, engine: $0.name)]
            }
            for engine in plan.engines where !engine.runsNatively && engine.runs(benchmark, in: environment) {
                let samples = collected[Key(benchmark: benchmark.name, environment: environment, engine: engine.name)] ?? []
                entries.append(BenchEntry(benchmark, environment, engine.name, samples, native: native))
            }
            addInstructions(&entries, benchmark, environment)
        }
        return entries
    }

    /// Guest instructions, and host instructions for each of them. What a guest did outside its iterations is known from an engine that counts.
    private func addInstructions(_ entries: inout [BenchEntry], _ benchmark: Benchmark, _ environment: BenchEnvironment) {
        func samples(_ engine: String) -> [Sample] {
            (collected[Key(benchmark: benchmark.name, environment: environment, engine: engine)] ?? []).compactMap { try? $0.get() }
        }
        let counting = plan.engines.first { $0.countsInstructions == true }.flatMap { samples($0.name).first }
        let each = counting.flatMap {
            $0.measurement.instructions > 0 ? Double($0.measurement.instructions) / Double($0.measurement.iterations) : nil
        }
        // Only this emulator's counter counts instructions; others' may count time.
        for index in entries.indices where entries[index].environment == environment && entries[index].failure == nil {
            let engine = plan.engines.first { $0.name == entries[index].engine }
            if engine?.countsInstructions != true { entries[index].instructions = each }
        }
        guard let counting, let each, let all = counting.guestInstructions else { return }
        let around = max(0, Double(all) - each * Double(counting.measurement.allIterations))
        for index in entries.indices where entries[index].environment == environment && entries[index].failure == nil {
            let engine = entries[index].engine
            let ratios = samples(engine).compactMap { sample -> Double? in
                guard let host = sample.hostInstructions else { return nil }
                let guest = sample.guestInstructions.map { Double($0) } ?? around + each * Double(sample.measurement.allIterations)
                return (Double(host) - Double(startInstructions[engine] ?? 0)) / guest
            }
            entries[index].hostPerGuest = Statistics.median(ratios)
        }
    }
}

extension BenchEntry {
    /// Joins the samples of all rounds; one that failed makes all fail.
    init(
        _ benchmark: Benchmark, _ environment: BenchEnvironment, _ engine: String, _ results: [Result<BenchRunner.Sample, BenchFailure>],
        native: [Result<BenchRunner.Sample, BenchFailure>]?
    ) {
        self.init(benchmark, environment, engine)
        var samples: [BenchRunner.Sample] = []
        for result in results {
            switch result {
            case .success(let sample): samples.append(sample)
            case .failure(let failure):
                self.failure = failure.description
                return
            }
        }
        guard let first = samples.first else {
            failure = "it was not run"
            return
        }
        func perIteration(_ value: (ProgramMeasurement) -> Double) -> [Double] { samples.map { value($0.measurement) / Double($0.measurement.iterations) } }
        let times = perIteration(\.nanoseconds)
        time = BenchSummary(times)
        hostTime = BenchSummary(perIteration(\.hostNanoseconds))
        self.first = BenchSummary(samples.map(\.measurement.firstNanoseconds))
        operations = first.measurement.operations
        checksum = first.measurement.checksum
        if Set(samples.map(\.measurement.checksum)).count > 1 { self = Self.failed(self, "the checksum changed between runs") }
        let counted = perIteration { Double($0.instructions) }
        if counted.allSatisfy({ $0 > 0 }) { instructions = Statistics.median(counted) }
        peakMemory = samples.compactMap(\.peakMemory).max()
        if let native, native.count == results.count {
            let natives = native.compactMap { try? $0.get() }.map { $0.measurement.nanoseconds / Double($0.measurement.iterations) }
            if natives.count == times.count { slowdown = BenchSummary(zip(times, natives).map { $0 / $1 }) }
        }
    }

    /// The same row as a failure, without figures.
    package static func failed(_ entry: BenchEntry, _ reason: String) -> BenchEntry {
        var result = entry
        result.failure = reason
        result.time = nil
        result.hostTime = nil
        result.first = nil
        result.slowdown = nil
        result.operations = nil
        result.checksum = nil
        result.instructions = nil
        result.hostPerGuest = nil
        result.peakMemory = nil
        return result
    }
}
