import Foundation

/// Runs fuzz targets: the functions of the suites whose names end in FuzzTargets, for everything that a guest, a file or a network controls.
///
/// A test runs a target on the files of its corpus, `fuzz/corpus/TARGET`, where what once broke it stays, and on some cases made from seeds. With EMULATE_FUZZ=TARGET,
/// in a build that has libFuzzer in it (`make fuzz-targets`), libFuzzer runs that target, and nothing else is run. With EMULATE_FUZZ_SEEDS each target writes the
/// first files of its corpus.
public enum Fuzzing {
    /// A target that does what its input says: a driver of a device.
    /// - Parameters:
    ///   - target: its name, and that of its corpus.
    ///   - cases: how many made from seeds a test runs.
    ///   - body: one case, which uses nothing random but its input.
    public static func run(_ target: String, cases: Int, _ body: (inout FuzzInput) throws -> Void) rethrows {
        try perform(target) { bytes in
            var input = FuzzInput(bytes)
            try body(&input)
        } seeds: {
            try (1...3 as ClosedRange<UInt64>).map { seed in
                var input = FuzzInput(seed: seed)
                try body(&input)
                return Array(input.used.prefix(seedLimit))
            }
        } others: { _ in
            for seed in 0..<UInt64(cases) {
                var input = FuzzInput(seed: seed)
                try body(&input)
            }
        }
    }

    /// A target that reads its input: a parser.
    /// - Parameters:
    ///   - target: its name, and that of its corpus.
    ///   - cases: how many a test runs, each a file of the corpus with some bytes changed.
    ///   - seeds: the first files of the corpus.
    ///   - body: reads the bytes and does with them what is done with good ones.
    public static func read(_ target: String, cases: Int, seeds: @autoclosure () throws -> [[UInt8]], _ body: ([UInt8]) throws -> Void) rethrows {
        try perform(target, body, seeds: seeds) { files in
            for seed in 0..<UInt64(cases) {
                var random = SplitMix(seed: seed)
                try body(random.mutated(random.pick(files)))
            }
        }
    }

    /// Longer seeds of a driver are cut: more of the same.
    private static let seedLimit = 2048

    private static func perform(
        _ target: String, _ body: ([UInt8]) throws -> Void, seeds: () throws -> [[UInt8]], others: (_ files: [[UInt8]]) throws -> Void
    ) rethrows {
        let environment = ProcessInfo.processInfo.environment
        if let wanted = environment["EMULATE_FUZZ"] {
            if wanted == target { LibFuzzer.run(target, environment["EMULATE_FUZZ_ARGUMENTS"] ?? "", body) }
            return
        }
        if environment["EMULATE_FUZZ_SEEDS"] != nil { return write(try seeds(), to: corpus(of: target)) }
        let files = contents(of: corpus(of: target))
        precondition(!files.isEmpty, "fuzz target \(target) has no corpus; EMULATE_FUZZ_SEEDS=1 swift test --filter FuzzTargets makes one")
        for file in files { try body(file) }
        try others(files)
    }

    // MARK: Corpus

    private static func corpus(of target: String) -> URL { URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../fuzz/corpus/\(target)").standardizedFileURL }

    /// In the order of the names.
    private static func contents(of folder: URL) -> [[UInt8]] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        return names.sorted().compactMap { FileManager.default.contents(atPath: folder.appending(path: $0).path).map { Array($0) } }
    }

    private static func write(_ seeds: [[UInt8]], to folder: URL) {
        do {
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            for (index, seed) in seeds.enumerated() { try Data(seed).write(to: folder.appending(path: "seed-\(index + 1)")) }
        } catch {
            fatalError("\(folder.path): \(error)")
        }
    }
}

/// The fuzzing engine that is linked into the process, if it is.
private enum LibFuzzer {
    private typealias Callback = @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt
    private typealias Driver = @convention(c) (UnsafeMutablePointer<CInt>, UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>, Callback) -> CInt

    /// SAFETY: set before the engine runs and used by it alone, on the thread that called it.
    nonisolated(unsafe) private static var body: ([UInt8]) throws -> Void = { _ in }

    /// Ends the process when the engine has done as its arguments say.
    /// - Parameter arguments: as on the command line of a fuzzer, separated by spaces.
    static func run(_ target: String, _ arguments: String, _ body: ([UInt8]) throws -> Void) {
        guard let address = dlsym(nil, "LLVMFuzzerRunDriver") else { fatalError("libFuzzer is not in this build; 'make fuzz-targets' makes one that has it") }
        // SAFETY: the engine's header, FuzzerInterface of compiler-rt, declares it so.
        let driver = unsafeBitCast(address, to: Driver.self)
        var words: [UnsafeMutablePointer<CChar>?] = ([target] + arguments.split(separator: " ").map(String.init)).map { strdup($0) } + [nil]
        var count = CInt(words.count - 1)
        withoutActuallyEscaping(body) { body in
            Self.body = body
            let status = words.withUnsafeMutableBufferPointer { buffer -> CInt in
                guard var start = buffer.baseAddress else { return 1 }
                return driver(&count, &start) { data, count in
                    do {
                        try LibFuzzer.body(Array(UnsafeBufferPointer(start: data, count: count)))
                    } catch {
                        fatalError("the target itself failed: \(error)")
                    }
                    return 0
                }
            }
            exit(status)
        }
    }
}
