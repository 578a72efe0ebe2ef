import Foundation
import Glibc

/// Where benchmarks live on this machine.
package struct BenchFiles: Sendable {
    /// The folder with build.sh.
    let sources: String
    /// Where programs are built.
    let programs: String

    static let thisProgram = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath().path

    /// The project's cache folder.
    static var cache: String {
        let environment = ProcessInfo.processInfo.environment
        if let cache = environment["EMULATE_CACHE"] { return cache }
        return (environment["XDG_CACHE_HOME"] ?? (environment["HOME"] ?? "") + "/.cache") + "/emulate"
    }

    /// - Parameter folder: `--benchmarks`; nil looks upwards from the working folder, then from this program.
    init(folder: String?) throws(CommandEnd) {
        let candidates = folder.map { [$0] } ?? Self.above(FileManager.default.currentDirectoryPath) + Self.above(Self.thisProgram)
        guard let sources = candidates.first(where: { FileManager.default.isExecutableFile(atPath: $0 + "/build.sh") }) else {
            throw .failed("--benchmarks" + (folder.map { " \($0)" } ?? ""), "no build.sh found; name the project's benchmarks folder")
        }
        self.sources = URL(filePath: sources).standardizedFileURL.path
        let top = URL(filePath: sources).deletingLastPathComponent()
        let build = top.appending(path: ".build").path
        programs = FileManager.default.isWritableFile(atPath: build) ? build + "/benchmarks" : Self.cache + "/benchmarks"
    }

    private static func above(_ path: String) -> [String] {
        var result: [String] = []
        var url = URL(filePath: path)
        while url.path != "/" {
            result.append(url.appending(path: "benchmarks").path)
            url.deleteLastPathComponent()
        }
        return result
    }

    func program(_ benchmark: String, _ environment: BenchEnvironment) -> String { "\(programs)/\(benchmark).\(environment.rawValue)" }

    /// The compiler that built the programs, by its own words.
    var compiler: String {
        let text = String(decoding: FileManager.default.contents(atPath: programs + "/compiler") ?? Data(), as: UTF8.self)
        return text.split(separator: "\n").first.map(String.init) ?? "unknown compiler"
    }

    /// The scripts that prepare what benchmarks run; each prints its progress on standard error.
    func build(_ progress: BenchProgress) throws(CommandEnd) {
        progress.status("building the programs")
        _ = try script("build.sh", [programs], progress)
    }

    /// Fetches Debian's kernel; returns the folder.
    func debian(_ progress: BenchProgress) throws(CommandEnd) -> String {
        progress.status("preparing the Debian guest")
        return try script("../Tests/Guests/debian.sh", [], progress)
    }

    /// Fetches the tools; returns the image.
    func tools(_ progress: BenchProgress) throws(CommandEnd) -> String {
        progress.status("preparing the guest's compiler and Python")
        return try script("guest-tools.sh", [], progress)
    }

    /// Makes the disk that boots through UEFI; returns its path.
    func bootDisk(_ progress: BenchProgress) throws(CommandEnd) -> String {
        progress.status("preparing the disk that boots through UEFI")
        return try script("../Tests/Guests/uefi.sh", [], progress) + "/disk.img"
    }

    /// Runs a script; returns the last line of its output.
    private func script(_ name: String, _ arguments: [String], _ progress: BenchProgress) throws(CommandEnd) -> String {
        let outcome: ProcessOutcome
        do {
            outcome = try MeasuredProcess.run(
                "\(sources)/\(name)", arguments, directory: sources, seconds: 1800, onError: { progress.note($0) })
        } catch {
            throw .failed(name, "cannot be run: \(error)")
        }
        guard outcome.ending == .code(0) else {
            throw .failed(name, "failed: " + (outcome.errorLines.last { !$0.isEmpty } ?? outcome.ending.description))
        }
        return outcome.lines.last?.text ?? ""
    }
}
