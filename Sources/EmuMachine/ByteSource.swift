import EmuBus
import Glibc

/// What a parser or loader reads an image from: a file, or bytes in memory.
public protocol ByteSource: AnyObject {
    /// Length in bytes.
    var count: UInt64 { get }
    /// Fills all of `buffer` from `offset`.
    /// - Throws: `ImageError` when the range is not inside the source or the host cannot read it.
    func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(ImageError)
}

/// What is wrong with an image, in words that follow "-kernel FILE: ".
public struct ImageError: Error, CustomStringConvertible, Equatable, Sendable {
    public let description: String

    public init(_ description: String) { self.description = description }
}

extension ByteSource {
    /// `length` bytes at `offset`.
    public func bytes(at offset: UInt64, _ length: Int) throws(ImageError) -> [UInt8] {
        var failure: ImageError?
        // SAFETY: the closure fills the whole buffer or the array is not used.
        let result = [UInt8](unsafeUninitializedCapacity: length) { buffer, filled in
            do throws(ImageError) {
                try read(at: offset, into: UnsafeMutableRawBufferPointer(buffer))
                filled = length
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        return result
    }

    /// Up to `length` bytes from the start; fewer when the source is shorter.
    func prefix(_ length: Int) throws(ImageError) -> [UInt8] {
        try bytes(at: 0, Int(min(UInt64(length), count)))
    }

    func refuseBeyondEnd(_ offset: UInt64, _ length: Int) throws(ImageError) {
        guard offset <= count, UInt64(length) <= count - offset else {
            throw ImageError("it is truncated: \(length) bytes at offset \(hex(offset)) are missing")
        }
    }
}

/// Bytes in memory.
public final class MemorySource: ByteSource {
    private let contents: [UInt8]

    public init(_ contents: [UInt8]) { self.contents = contents }

    public var count: UInt64 { UInt64(contents.count) }

    public func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(ImageError) {
        try refuseBeyondEnd(offset, buffer.count)
        let start = Int(offset)
        contents.withUnsafeBytes { buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[start..<start + buffer.count])) }
    }
}

/// Told while a file is loaded: its path, the bytes read so far, and how many there are.
public typealias LoadProgress = (_ path: String, _ done: UInt64, _ total: UInt64) -> Void

/// A file read with pread(2), so that one shortened meanwhile gives an error and no signal.
public final class FileSource: ByteSource {
    private let descriptor: Int32
    public let count: UInt64
    private let path: String
    private let progress: LoadProgress?
    private var delivered: UInt64 = 0
    /// Bytes read between two reports of progress.
    private static let chunk = 4 << 20

    private init(descriptor: Int32, count: UInt64, path: String, progress: LoadProgress?) {
        self.descriptor = descriptor
        self.count = count
        self.path = path
        self.progress = progress
    }

    deinit { close(descriptor) }

    /// Opens `path`. What is not a regular file (a pipe) is read to its end, at most `limit` bytes.
    public static func open(_ path: String, limit: UInt64, progress: LoadProgress? = nil) throws(ImageError) -> any ByteSource {
        let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw ImageError(Self.reason(errno)) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            defer { close(descriptor) }
            throw ImageError(Self.reason(errno))
        }
        if status.st_mode & S_IFMT == S_IFREG {
            return FileSource(descriptor: descriptor, count: UInt64(max(0, status.st_size)), path: path, progress: progress)
        }
        defer { close(descriptor) }
        guard status.st_mode & S_IFMT != S_IFDIR else { throw ImageError("it is a directory") }
        return MemorySource(try readAll(descriptor, limit))
    }

    private static func readAll(_ descriptor: Int32, _ limit: UInt64) throws(ImageError) -> [UInt8] {
        var contents: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let got = Glibc.read(descriptor, &chunk, chunk.count)
            if got < 0 && errno == EINTR { continue }
            guard got >= 0 else { throw ImageError(reason(errno)) }
            if got == 0 { return contents }
            guard UInt64(contents.count + got) <= limit else { throw ImageError("it is larger than \(limit >> 20) MiB") }
            contents += chunk[..<got]
        }
    }

    private static func reason(_ code: Int32) -> String { String(cString: strerror(code)) }

    public func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(ImageError) {
        try refuseBeyondEnd(offset, buffer.count)
        var done = 0
        while done < buffer.count {
            let piece = min(buffer.count - done, Self.chunk)
            let got = pread(descriptor, buffer.baseAddress.map { $0 + done }, piece, off_t(offset) + off_t(done))
            if got < 0 && errno == EINTR { continue }
            guard got >= 0 else { throw ImageError(Self.reason(errno)) }
            guard got > 0 else { throw ImageError("it became shorter while it was read") }
            done += got
            delivered = min(delivered + UInt64(got), count)
            progress?(path, delivered, count)
        }
    }
}
