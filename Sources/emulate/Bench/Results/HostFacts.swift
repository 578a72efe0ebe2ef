import Foundation
import Glibc

/// The machine a run was made on.
package struct HostFacts: Codable, Equatable, Sendable {
    package var processor: String
    package var cores: Int
    /// Bytes.
    package var memory: UInt64
    package var system: String
    package var compiler: String

    package init(processor: String, cores: Int, memory: UInt64, system: String, compiler: String) {
        self.processor = processor
        self.cores = cores
        self.memory = memory
        self.system = system
        self.compiler = compiler
    }

    static func current(compiler: String) -> HostFacts {
        let information = String(decoding: FileManager.default.contents(atPath: "/proc/cpuinfo") ?? Data(), as: UTF8.self)
        let model = information.split(separator: "\n").first { $0.hasPrefix("model name") || $0.hasPrefix("Model") }
            .flatMap { $0.split(separator: ":").last }.map { $0.trimmingCharacters(in: .whitespaces) }
        var name = utsname()
        uname(&name)
        return HostFacts(
            processor: model ?? text(&name.machine), cores: ProcessInfo.processInfo.activeProcessorCount,
            memory: ProcessInfo.processInfo.physicalMemory, system: "\(text(&name.sysname)) \(text(&name.release)) \(text(&name.machine))",
            compiler: compiler)
    }

    private static func text<T>(_ field: inout T) -> String {
        withUnsafeBytes(of: &field) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }

    /// Processes that wanted to run in the last minute, on average; without this program's own they should be near 0.
    static var load: Double {
        let text = String(decoding: FileManager.default.contents(atPath: "/proc/loadavg") ?? Data(), as: UTF8.self)
        return text.split(separator: " ").first.flatMap { Double($0) } ?? 0
    }

    /// For a heading: `AMD EPYC, 2 cores, 24 GiB, Linux 6.1`.
    package var line: String { "\(processor), \(cores) core\(cores == 1 ? "" : "s"), \((memory + (1 << 29)) >> 30) GiB, \(system)" }
}
