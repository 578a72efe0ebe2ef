import Foundation

/// Something that runs benchmark programs: this machine, this emulator, another one. All of it is data, so that another emulator is a
/// small JSON file of the same fields (`--engine FILE.json`).
package struct BenchEngine: Codable, Equatable, Sendable {
    /// What `--engine` and reports call it.
    package var name: String
    /// One line for `--list`.
    package var summary: String
    /// The program, looked up in the PATH unless it has a slash; nil for this very program.
    package var executable: String?
    /// Arguments that make it tell its version.
    package var version: [String]?
    /// Arguments that run a bare-metal program: {program}, {harts} and {memory} (MiB) are replaced. Nil when it cannot.
    package var bare: [String]?
    /// Further arguments for a bare-metal program that uses the vector extension (VLEN 256). Nil when it has none.
    package var vector: [String]?
    /// The same for one that uses vector cryptography (Zvkng, Zvkb).
    package var cipher: [String]?
    /// Arguments that boot Linux: {kernel}, {initrd}, {append}, {harts}, {memory}. Nil when it cannot.
    package var linux: [String]?
    /// Arguments that boot {disk} through the firmware {kernel}, with {memory}. Nil when it cannot.
    package var diskBoot: [String]?
    /// Further arguments for a disk, {disk}, for one by NVMe, and for a user network. Nil when it has none.
    package var disk: [String]?
    package var nvme: [String]?
    package var network: [String]?
    /// Added to give the disk read-only; {disk}.
    package var readOnlyDisk: [String]?
    /// It prints "N instructions in …" on its standard error, as `emulate --stats` does.
    package var countsInstructions: Bool?
    /// Runs programs built for this machine.
    package var isNative: Bool?

    package static let native = BenchEngine(name: "native", summary: "this machine, the same source and options", isNative: true)

    /// The engines everyone has names for; those whose program is missing are left out of a run unless named.
    package static let builtIn: [BenchEngine] = [
        native,
        emulate("jit", "this emulator, hot code translated", ["--engine", "jit"]),
        emulate("interp", "this emulator's interpreter", ["--engine", "interp"]),
        machine("qemu", "QEMU's translator (TCG)", executable: "qemu-system-riscv64", version: ["--version"], extra: []),
    ]

    /// An engine of this emulator: one entry above for each.
    private static func emulate(_ name: String, _ summary: String, _ extra: [String]) -> BenchEngine {
        var engine = machine(name, summary, executable: nil, version: ["--version"], extra: extra + ["--stats"])
        engine.countsInstructions = true
        engine.cipher = ["-cpu", "rv64,v=on,vlen=256,zvkng=on"]
        return engine
    }

    /// An emulator with QEMU's command line.
    private static func machine(_ name: String, _ summary: String, executable: String?, version: [String], extra: [String]) -> BenchEngine {
        let board = extra + ["-machine", "virt", "-smp", "{harts}", "-m", "{memory}M", "-nographic"]
        return BenchEngine(
            name: name, summary: summary, executable: executable, version: version,
            bare: board + ["-bios", "none", "-kernel", "{program}"], vector: ["-cpu", "rv64,v=on,vlen=256"],
            linux: board + ["-kernel", "{kernel}", "-initrd", "{initrd}", "-append", "{append}"],
            diskBoot: board + ["-kernel", "{kernel}", "-drive", "file={disk},format=raw,if=virtio,snapshot=on"],
            disk: ["-drive", "file={disk},format=raw,if=none,id=scratch", "-device", "virtio-blk-device,drive=scratch"],
            nvme: ["-drive", "file={disk},format=raw,if=none,id=nvme", "-device", "nvme,drive=nvme,serial=1"],
            network: ["-netdev", "user,id=net", "-device", "virtio-net-device,netdev=net"],
            readOnlyDisk: ["-drive", "file={disk},format=raw,if=none,id=tools,readonly=on", "-device", "virtio-blk-device,drive=tools"])
    }

    package init(
        name: String, summary: String, executable: String? = nil, version: [String]? = nil, bare: [String]? = nil, vector: [String]? = nil, linux: [String]? = nil,
        diskBoot: [String]? = nil, disk: [String]? = nil, nvme: [String]? = nil, network: [String]? = nil, readOnlyDisk: [String]? = nil, isNative: Bool? = nil
    ) {
        self.name = name
        self.summary = summary
        self.executable = executable
        self.version = version
        self.bare = bare
        self.vector = vector
        self.linux = linux
        self.diskBoot = diskBoot
        self.disk = disk
        self.nvme = nvme
        self.network = network
        self.readOnlyDisk = readOnlyDisk
        self.isNative = isNative
    }

    /// Reads an adapter file.
    package init(adapter path: String) throws(CommandEnd) {
        guard let data = FileManager.default.contents(atPath: path) else { throw .failed("--engine \(path)", "cannot read it") }
        do {
            self = try JSONDecoder().decode(BenchEngine.self, from: data)
        } catch {
            throw .failed("--engine \(path)", "is not an engine's description: \(Self.explain(error)); see docs/benchmarks.md")
        }
    }

    private static func explain(_ error: any Error) -> String {
        switch error as? DecodingError {
        case .keyNotFound(let key, _): "'\(key.stringValue)' is missing"
        case .typeMismatch(_, let context), .valueNotFound(_, let context):
            "'\(context.codingPath.map(\.stringValue).joined(separator: "."))' has the wrong type"
        default: "not JSON"
        }
    }

    package var runsNatively: Bool { isNative == true }

    /// Its program of a benchmark: another one where it lacks vector cryptography.
    package func program(_ benchmark: Benchmark) -> String {
        guard let twin = benchmark.scalarTwin, !runsNatively, cipher == nil else { return benchmark.name }
        return twin
    }

    /// Further arguments for that program.
    package func extra(_ benchmark: Benchmark) -> [String] {
        if benchmark.scalarTwin != nil { return cipher ?? [] }
        return benchmark.needsVectors ? vector ?? [] : []
    }

    /// Whether it can run a benchmark's program for `environment`.
    package func runs(_ benchmark: Benchmark, in environment: BenchEnvironment) -> Bool {
        switch environment {
        case .host: runsNatively
        case .machine, .supervisor: bare != nil && (vector != nil || !benchmark.needsVectors || benchmark.scalarTwin != nil)
        case .linux: linux != nil
        }
    }

    /// The path of its program; nil when there is none on this machine. Always nil for native, whose program is the benchmark.
    package func locate(searchPath: String = ProcessInfo.processInfo.environment["PATH"] ?? "") -> String? {
        if runsNatively { return nil }
        guard let executable else { return BenchFiles.thisProgram }
        if executable.contains("/") { return FileManager.default.isExecutableFile(atPath: executable) ? executable : nil }
        return searchPath.split(separator: ":").map { "\($0)/\(executable)" }.first { FileManager.default.isExecutableFile(atPath: $0) }
    }

    /// Replaces {name} in arguments.
    package static func fill(_ arguments: [String], _ values: [String: String]) -> [String] {
        arguments.map { argument in
            values.reduce(argument) { $0.replacingOccurrences(of: "{\($1.key)}", with: $1.value) }
        }
    }
}
