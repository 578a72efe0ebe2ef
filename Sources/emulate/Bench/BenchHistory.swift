import Foundation

/// Runs kept for the history line, one JSON file each.
struct BenchHistory {
    let folder: String

    init(folder: String?) { self.folder = folder ?? BenchFiles.cache + "/bench-history" }

    /// Earlier runs of a profile, oldest first; files that cannot be read are left out.
    func runs(of profile: String) -> [BenchResults] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        return names.filter { $0.hasSuffix(".json") }.sorted().compactMap { try? BenchResults(path: "\(folder)/\($0)") }.filter { $0.profile == profile }
    }

    func store(_ results: BenchResults) throws(BenchFailure) {
        let path = "\(folder)/\(results.date.replacingOccurrences(of: ":", with: "")).json"
        do {
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            try Data(results.json.utf8).write(to: URL(filePath: path), options: .atomic)
        } catch {
            throw BenchFailure("cannot store the run in \(folder)")
        }
    }
}
