import Foundation

/// Debian's qemu-img, the other reader and writer of disk images.
public enum QemuImg {
    private static let path = ["/usr/bin/qemu-img", "/usr/local/bin/qemu-img"].first { FileManager.default.isExecutableFile(atPath: $0) }
    public static var isThere: Bool { path != nil }
    /// Why tests that need it are skipped.
    public static let advice = "qemu-img is not installed: make test-deps"

    public struct Outcome {
        public let code: Int32
        /// What it printed on standard output.
        public let text: String
        /// What it printed on standard error.
        public let errors: String
    }

    /// Runs it to its end. Nothing may need it that is not skipped where it is missing.
    @discardableResult
    public static func run(_ arguments: [String]) throws -> Outcome {
        let process = Process()
        process.executableURL = URL(filePath: path!)
        process.arguments = arguments
        let output = Pipe(), errors = Pipe()
        process.standardOutput = output
        process.standardError = errors
        try process.run()
        // Its messages are few and fit the second pipe.
        let text = try output.fileHandleForReading.readToEnd() ?? Data(), messages = try errors.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        return Outcome(code: process.terminationStatus, text: String(decoding: text, as: UTF8.self), errors: String(decoding: messages, as: UTF8.self))
    }

    @discardableResult
    public static func run(_ arguments: String...) throws -> Outcome { try run(arguments) }
}
