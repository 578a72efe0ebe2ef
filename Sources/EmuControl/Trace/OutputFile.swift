import Glibc

/// A file that is written from its start to its end, in large pieces. A failure is kept until it is asked for.
final class OutputFile {
    let path: String
    private let descriptor: Int32
    private var buffer: [UInt8] = []
    /// `errno` of the first write that failed.
    private var failure: Int32 = 0
    private var isOpen = true

    private static let bufferSize = 1 << 16

    /// Creates the file, or empties it.
    /// - Throws: `DebugError` beginning with `what` when it cannot.
    init(_ path: String, for what: String) throws(DebugError) {
        guard !path.isEmpty else { throw DebugError("\(what): the name of a file is needed") }
        self.path = path
        descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0o666)
        guard descriptor >= 0 else { throw DebugError("\(what): cannot create '\(path)': \(String(cString: strerror(errno)))") }
        buffer.reserveCapacity(Self.bufferSize)
    }

    deinit { if isOpen { close(descriptor) } }

    func write(_ text: String) {
        buffer += text.utf8
        if buffer.count >= Self.bufferSize { flush() }
    }

    /// Writes what is left and closes the file.
    /// - Throws: `DebugError` when something is missing in it.
    func finish(_ what: String) throws(DebugError) {
        guard isOpen else { return }
        flush()
        isOpen = false
        if close(descriptor) != 0, failure == 0 { failure = errno }
        if failure != 0 { throw DebugError("\(what): '\(path)' is incomplete: \(String(cString: strerror(failure)))") }
    }

    private func flush() {
        buffer.withUnsafeBytes { bytes in
            // SAFETY: never reads beyond `bytes`.
            var rest = bytes
            while failure == 0, let start = rest.baseAddress, !rest.isEmpty {
                let written = Glibc.write(descriptor, start, rest.count)
                if written < 0, errno == EINTR { continue }
                if written <= 0 { failure = written < 0 ? errno : EIO } else { rest = UnsafeRawBufferPointer(rebasing: rest[written...]) }
            }
        }
        buffer.removeAll(keepingCapacity: true)
    }

    /// Writes a whole file.
    static func write(_ text: String, to path: String, for what: String) throws(DebugError) {
        let file = try OutputFile(path, for: what)
        file.write(text)
        try file.finish(what)
    }
}
