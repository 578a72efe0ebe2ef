import Foundation

/// What tests have compared with their references, by name, for the report of `Tests/coverage.sh`: each list is a file in the folder that
/// EMULATE_COVERAGE names. Without it nothing is written.
public enum CoverageLog {
    /// Writes a list, one name a line. A name may be followed by a tab and what it belongs to.
    public static func write(_ list: String, _ names: [String]) {
        guard let folder = ProcessInfo.processInfo.environment["EMULATE_COVERAGE"] else { return }
        let text = names.map { $0 + "\n" }.joined()
        try? FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try? text.write(toFile: "\(folder)/\(list).txt", atomically: true, encoding: .utf8)
    }
}
