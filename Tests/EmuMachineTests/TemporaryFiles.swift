import Foundation

/// A directory for one test, removed with the value.
final class TemporaryDirectory {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "emulate-test-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// Writes a file and returns its path.
    func file(_ name: String, _ bytes: [UInt8]) throws -> String {
        let place = path + "/" + name
        try Data(bytes).write(to: URL(fileURLWithPath: place))
        return place
    }
}

enum TestGzip {
    /// A gzip file (RFC 1952) that holds `contents` uncompressed.
    static func stored(_ contents: [UInt8]) -> [UInt8] {
        var result: [UInt8] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]
        var rest = contents[...]
        repeat {
            let chunk = rest.prefix(0xffff)
            rest = rest.dropFirst(chunk.count)
            let size = UInt16(chunk.count)
            result += [rest.isEmpty ? 1 : 0] + ELFBuilder.bytes(size) + ELFBuilder.bytes(~size) + chunk
        } while !rest.isEmpty
        return result + ELFBuilder.bytes(checksum(contents)) + ELFBuilder.bytes(UInt32(contents.count))
    }

    private static func checksum(_ bytes: [UInt8]) -> UInt32 {
        var crc = ~UInt32(0)
        for byte in bytes {
            crc ^= UInt32(byte)
            for _ in 0..<8 { crc = crc & 1 == 0 ? crc >> 1 : crc >> 1 ^ 0xEDB8_8320 }
        }
        return ~crc
    }
}

enum Tool {
    /// Runs a host program with `input` on its standard input; its standard output, or an error when it fails.
    static func run(_ arguments: [String], input: [UInt8]) throws -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = arguments
        let stdin = Pipe(), stdout = Pipe()
        process.standardInput = stdin
        process.standardOutput = stdout
        process.standardError = FileHandle.nullDevice
        try process.run()
        DispatchQueue.global().async {
            stdin.fileHandleForWriting.write(Data(input))
            try? stdin.fileHandleForWriting.close()
        }
        let output = stdout.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw ToolError(description: "\(arguments.joined(separator: " ")) failed with status \(process.terminationStatus); is it installed? `make deps` does that")
        }
        return String(decoding: output, as: UTF8.self)
    }

    struct ToolError: Error, CustomStringConvertible {
        let description: String
    }
}
