import EmuCPU
import Foundation
import TestSupport
import Testing

/// Random programs run by the interpreter and by translated code leave the same registers, control registers, memory and device accesses.
///
/// A failure is shrunk and saved as a case in FuzzCases, which is run from then on. `make fuzz` goes on until it is stopped.
@Suite(.enabled(if: canTranslate, "this host cannot run translated code")) struct FuzzTests {
    private static let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "FuzzCases")

    private static let saved: [String] =
        ((try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []).filter { $0.hasSuffix(".txt") }.sorted()

    /// Machines used for many cases: making one takes longer than running a case.
    private struct Pair {
        let reference: FuzzMachine
        let machine: FuzzMachine

        init(_ engine: FuzzEngine, cpu: String) throws {
            reference = try FuzzMachine(.interpreter, cpu: cpu)
            machine = try FuzzCase.machine(engine, cpu)
        }
    }

    /// A pair for each processor.
    private struct Pairs {
        let engine: FuzzEngine
        private(set) var all: [String: Pair] = [:]

        init(_ engine: FuzzEngine) { self.engine = engine }

        mutating func failure(_ fuzzCase: FuzzCase) throws -> String? {
            let pair = try all[fuzzCase.cpu] ?? Pair(engine, cpu: fuzzCase.cpu)
            all[fuzzCase.cpu] = pair
            return try fuzzCase.failure(pair.reference, pair.machine)
        }
    }

    /// Shrinks a failure, saves it and returns where, with what went wrong.
    private static func save(_ failing: FuzzCase, _ engine: FuzzEngine, _ message: String) throws -> String {
        guard try failing.failure(engine) != nil else {
            return "seed \(failing.seed) (\(engine)) fails only after the cases before it: \(message)"
        }
        let small = try failing.shrunk(engine)
        let reason = try small.failure(engine) ?? message
        let file = folder.appending(path: "seed-\(String(failing.seed, radix: 16)).txt")
        try small.text(comment: String(reason.prefix(400))).write(to: file, atomically: true, encoding: .utf8)
        return "\(file.lastPathComponent): \(reason)"
    }

    @Test(arguments: [FuzzEngine.translator, .lockstep], saved) func savedCasePasses(engine: FuzzEngine, name: String) throws {
        let fuzzCase = try FuzzCase(text: String(contentsOf: Self.folder.appending(path: name), encoding: .utf8))
        let failure = try fuzzCase.failure(engine)
        #expect(failure == nil, "\(failure ?? "")")
    }

    @Test func casesAreTheSameAsTextAndBack() throws {
        for seed in 0..<20 as Range<UInt64> {
            let fuzzCase = FuzzGenerator.program(seed: seed)
            #expect(try FuzzCase(text: fuzzCase.text(comment: "a\nb")) == fuzzCase)
        }
    }

    /// An instruction nobody generates is one nobody compares.
    @Test func everyRowOfTheTableIsGenerated() throws {
        let decoder = RVDecoder(extensions: FuzzGenerator.present)
        // Rows that always give way to others are not instructions of this processor.
        let hidden = RVTable.all.filter { row in RVTable.all.contains { $0.refines.contains(row.name) && $0.mask == row.mask } }.map(\.name)
        var missing = Set(RVTable.all.map(\.name)).subtracting(hidden)
        for seed in 0..<20_000 as Range<UInt64> where !missing.isEmpty {
            for bits in FuzzGenerator.program(seed: seed).code { if let position = decoder.position(of: bits) { missing.remove(RVTable.all[position].name) } }
        }
        #expect(missing.isEmpty, "\(missing.sorted())")
    }

    @Test(arguments: [FuzzEngine.translator, .lockstep]) func randomProgramsRunAlike(engine: FuzzEngine) throws {
        var pairs = Pairs(engine)
        for seed in 0..<400 as Range<UInt64> {
            let fuzzCase = FuzzGenerator.program(seed: seed)
            if let message = try pairs.failure(fuzzCase) {
                Issue.record("\(try Self.save(fuzzCase, engine, message))")
                return
            }
        }
        let figures = pairs.all.values.compactMap(\.machine.cache.hostCode?.figures)
        let (instructions, links) = (figures.reduce(0) { $0 + $1.instructions }, figures.reduce(0) { $0 + $1.links })
        #expect(instructions > 20_000 && links > (engine == .translator ? 1000 : -1), "hardly anything was translated")
    }

    /// `FUZZ=seconds` (0: without end) and perhaps `FUZZ_SEED=first`.
    @Test(.enabled(if: ProcessInfo.processInfo.environment["FUZZ"] != nil, "only for make fuzz")) func randomProgramsWithoutEnd() throws {
        let environment = ProcessInfo.processInfo.environment
        let seconds = environment["FUZZ"].flatMap(Double.init) ?? 0
        var seed = environment["FUZZ_SEED"].flatMap { UInt64($0) } ?? UInt64.random(in: 0..<1 << 48)
        let began = Date()
        var (count, failures, lastReport) = (0, 0, began)
        print("fuzz: from seed \(seed)")
        while seconds == 0 || Date().timeIntervalSince(began) < seconds {
            let engine: FuzzEngine = count / 200 % 4 == 3 ? .lockstep : .translator
            var pairs = Pairs(engine)
            for _ in 0..<200 {
                let fuzzCase = FuzzGenerator.program(seed: seed)
                if let message = try pairs.failure(fuzzCase) {
                    failures += 1
                    print("fuzz: \(try Self.save(fuzzCase, engine, message))")
                    if failures == 20 {
                        Issue.record("too many failures to go on")
                        return
                    }
                    seed += 1
                    count += 1
                    break
                }
                seed += 1
                count += 1
            }
            if Date().timeIntervalSince(lastReport) > 5 {
                lastReport = Date()
                print("fuzz: \(count) programs, \(failures) failures, next seed \(seed)")
            }
        }
        #expect(failures == 0)
    }
}
