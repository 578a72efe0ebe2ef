import Foundation
import TestSupport

/// A folder of the host that one case has to itself.
final class FuzzFolder {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "fuzz-" + UUID().uuidString.prefix(13)
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func file(_ name: String) -> String { path + "/" + name }

    /// Runs a target whose cases need a folder.
    static func each(_ target: String, cases: Int, _ body: (inout FuzzInput, FuzzFolder) throws -> Void) throws {
        try Fuzzing.run(target, cases: cases) { input in try body(&input, FuzzFolder()) }
    }
}
