import EmuMachine
import Glibc

/// Source files as the debugger lists them. The paths are those of the machine the guest was built on: substitutions lead to where the
/// files are here.
public final class SourceFiles {
    /// Rules of the form "paths that begin with this begin with that instead"; the first that fits and leads to a file is used.
    public private(set) var substitutions: [(from: String, to: String)] = []
    /// Directories in which files are looked for by their last components.
    public private(set) var directories: [String] = []
    private var contents: [String: SourceFile?] = [:]
    /// Larger files are no source files.
    private static let limit: UInt64 = 64 << 20

    public init() {}

    /// Paths below `from` are looked for below `to`.
    public func substitute(_ from: String, _ to: String) {
        substitutions.append((from, to))
        contents.removeAll()
    }

    /// Looks for files in `directory` too, with as many of the path's last components as lead to one.
    public func search(_ directory: String) {
        directories.append(directory)
        contents.removeAll()
    }

    /// The file the compiler knew as `path`; nil when it is not on this machine.
    public func file(_ path: String) -> SourceFile? {
        if let known = contents[path] { return known }
        let found = candidates(path).lazy.compactMap { Self.read($0) }.first
        contents[path] = .some(found)
        return found
    }

    private func candidates(_ path: String) -> [String] {
        var result: [String] = []
        for (from, to) in substitutions {
            let prefix = from.hasSuffix("/") ? String(from.dropLast()) : from
            guard path == prefix || path.hasPrefix(prefix + "/") else { continue }
            result.append(to + path.dropFirst(prefix.count))
        }
        result.append(path)
        let parts = path.split(separator: "/")
        for directory in directories {
            for first in parts.indices { result.append(SourcePath.join(directory, parts[first...].joined(separator: "/"))) }
        }
        return result
    }

    private static func read(_ path: String) -> SourceFile? {
        // Only a regular file: a debugged program could name a device or a pipe.
        var status = stat()
        guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG,
            let source = try? FileSource.open(path, limit: limit), source.count <= limit,
            let bytes = try? source.bytes(at: 0, Int(source.count))
        else { return nil }
        return SourceFile(path: path, text: bytes)
    }
}

/// The lines of one source file.
public struct SourceFile: Equatable, Sendable {
    /// A line with its number, from 1.
    public struct Line: Equatable, Sendable {
        public let number: Int
        public let text: String
    }

    /// Where it was found.
    public let path: String
    public let lines: [String]

    public init(path: String, text: [UInt8]) {
        self.path = path
        var lines = text.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).map { line in
            String(decoding: line.last == UInt8(ascii: "\r") ? line.dropLast() : line, as: UTF8.self)
        }
        // What follows the last line's end is no line.
        if lines.last == "" { lines.removeLast() }
        self.lines = lines
    }

    /// Up to `count` lines with `line` in the middle, moved where the file begins or ends.
    public func around(_ line: Int, count: Int = 10) -> [Line] {
        guard count > 0, !lines.isEmpty else { return [] }
        let middle = min(max(line, 1), lines.count)
        let first = max(1, min(middle - count / 2, lines.count - count + 1))
        return self.lines(from: first, count: count)
    }

    /// Up to `count` lines from `first` on.
    public func lines(from first: Int, count: Int) -> [Line] {
        let start = max(first, 1)
        guard count > 0, start <= lines.count else { return [] }
        return (start...min(lines.count, start - 1 + min(count, lines.count))).map { Line(number: $0, text: lines[$0 - 1]) }
    }
}
