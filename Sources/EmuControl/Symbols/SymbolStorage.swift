import CZlib
import CZstd
import EmuMachine
import Glibc

/// A file mapped for reading: only the pages looked at are ever read.
final class MappedFile {
    let bytes: UnsafeRawPointer?
    let count: Int
    /// Length and modification time when it was mapped.
    private let status: stat
    private let path: String

    init(path: String) throws(ImageError) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw ImageError(String(cString: strerror(errno))) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw ImageError(String(cString: strerror(errno))) }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw ImageError(status.st_mode & S_IFMT == S_IFDIR ? "it is a directory" : "it is not a regular file")
        }
        guard status.st_size > 0 else { throw ImageError("it is empty") }
        guard let address = mmap(nil, Int(status.st_size), PROT_READ, MAP_PRIVATE, descriptor, 0), address != MAP_FAILED else {
            throw ImageError(String(cString: strerror(errno)))
        }
        // SAFETY: the mapping is `count` bytes long and lives until `deinit`. A file shortened meanwhile would raise SIGBUS;
        // `isUnchanged` is asked before each query.
        bytes = UnsafeRawPointer(address)
        count = Int(status.st_size)
        self.status = status
        self.path = path
    }

    deinit { munmap(UnsafeMutableRawPointer(mutating: bytes), count) }

    /// False when the file at the path is another one or was written to since it was opened.
    var isUnchanged: Bool {
        var now = stat()
        // A file replaced by a new one of the same name leaves this mapping as it was.
        guard stat(path, &now) == 0, now.st_ino == status.st_ino, now.st_dev == status.st_dev else { return true }
        return now.st_size == status.st_size && now.st_mtim.tv_sec == status.st_mtim.tv_sec && now.st_mtim.tv_nsec == status.st_mtim.tv_nsec
    }

    var view: SymbolBytes { SymbolBytes(owner: self, base: bytes, count: count) }
}

/// Bytes in memory that do not move: the contents of a decompressed section, or a file given as an array.
final class HeapBytes {
    private let buffer: UnsafeMutableRawBufferPointer

    /// Room for `count` bytes, not initialised; nil when the host has not that much.
    private init?(count: Int) {
        guard count >= 0, let memory = malloc(max(count, 1)) else { return nil }
        buffer = UnsafeMutableRawBufferPointer(start: memory, count: count)
    }

    init(_ contents: [UInt8]) {
        buffer = .allocate(byteCount: contents.count, alignment: 1)
        buffer.copyBytes(from: contents)
    }

    deinit { free(buffer.baseAddress) }

    // SAFETY: the buffer lives as long as this object, which the view holds, and is not written to after `init` or `decompress`.
    var view: SymbolBytes { SymbolBytes(owner: self, base: UnsafeRawPointer(buffer.baseAddress), count: buffer.count) }

    enum Method { case zlib, zstandard }

    /// Largest section that is decompressed.
    private static let limit: UInt64 = 8 << 30

    /// Decompresses `input`, whose decompressed size the file states; nil when it is damaged or the size is not what was said.
    static func decompress(_ input: SymbolBytes, to size: UInt64, _ method: Method) -> SymbolBytes? {
        guard size <= limit, let output = HeapBytes(count: Int(size)) else { return nil }
        let good = input.withBytes { input in
            switch method {
            case .zlib: output.inflate(input)
            // SAFETY: zstd writes at most the given number of bytes and reads only the input.
            case .zstandard: ZSTD_decompress(output.buffer.baseAddress, output.buffer.count, input.baseAddress, input.count) == output.buffer.count
            }
        }
        return good ? output.view : nil
    }

    /// The contents of a gzip file of which only the last four bytes tell the size (modulo 4 GiB).
    static func gunzip(_ input: SymbolBytes) -> SymbolBytes? {
        guard let size: UInt32 = input.load(input.count - 4) else { return nil }
        return decompress(input, to: UInt64(size), .zlib)
    }

    /// Inflates a zlib or gzip stream; true when it fills the buffer exactly.
    private func inflate(_ input: UnsafeRawBufferPointer) -> Bool {
        var stream = z_stream()
        // 32 + 15: zlib or gzip framing, whichever it is; largest window.
        guard inflateInit2_(&stream, 32 + MAX_WBITS, zlibVersion(), Int32(MemoryLayout<z_stream>.size)) == Z_OK else { return false }
        defer { inflateEnd(&stream) }
        var taken = 0
        var made = 0
        var code = Z_OK
        while code == Z_OK {
            // zlib counts in 32 bits.
            let available = min(input.count - taken, 1 << 30)
            let room = min(buffer.count - made, 1 << 30)
            // SAFETY: both pointers stay within their buffers by the counts given; zlib only reads through next_in.
            stream.next_in = input.baseAddress.map { UnsafeMutableRawPointer(mutating: $0 + taken).assumingMemoryBound(to: Bytef.self) }
            stream.avail_in = UInt32(available)
            stream.next_out = buffer.baseAddress.map { ($0 + made).assumingMemoryBound(to: Bytef.self) }
            stream.avail_out = UInt32(room)
            code = CZlib.inflate(&stream, Z_NO_FLUSH)
            let used = available - Int(stream.avail_in)
            let produced = room - Int(stream.avail_out)
            taken += used
            made += produced
            if code == Z_OK, used == 0, produced == 0 { return false }
        }
        return code == Z_STREAM_END && made == buffer.count
    }
}
